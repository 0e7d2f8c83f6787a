"""Chapter 07: every optimiser against torch's own, the craft against torch or first principles, and every number it prints."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from solved_chapter import run_solved

from solutions import optimisers as ref

OPTIM = torch.optim
PAIRS: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "SGD": (lambda p: ref.SGD(p, 0.1), lambda p: OPTIM.SGD(p, 0.1)),
    "SGD with decay": (lambda p: ref.SGD(p, 0.1, decay=0.05), lambda p: OPTIM.SGD(p, 0.1, weight_decay=0.05)),
    "momentum": (lambda p: ref.Momentum(p, 0.1, 0.8), lambda p: OPTIM.SGD(p, 0.1, momentum=0.8)),
    "Nesterov": (
        lambda p: ref.Momentum(p, 0.1, 0.8, nesterov=True),
        lambda p: OPTIM.SGD(p, 0.1, momentum=0.8, nesterov=True),
    ),
    "Adagrad": (ref.Adagrad, OPTIM.Adagrad),
    "Adadelta": (ref.Adadelta, OPTIM.Adadelta),
    "RMSprop": (ref.RMSprop, OPTIM.RMSprop),
    "Adam": (ref.Adam, OPTIM.Adam),
    "Adam with a large epsilon": (lambda p: ref.Adam(p, 0.1, eps=0.1), lambda p: OPTIM.Adam(p, 0.1, eps=0.1)),
    "AdaMax": (ref.AdaMax, OPTIM.Adamax),
    "Nadam": (ref.Nadam, OPTIM.NAdam),
    "AMSGrad": (
        lambda p: ref.Adam(p, 0.1, (0.9, 0.7), amsgrad=True),
        lambda p: OPTIM.Adam(p, 0.1, (0.9, 0.7), amsgrad=True),
    ),
    "AdamW": (lambda p: ref.Adam(p, 0.01, decay=0.2), lambda p: OPTIM.AdamW(p, 0.01, weight_decay=0.2)),
}
SHAPES = [(3, 2), (4,), (), (2, 1, 3)]


def gradients(seed: int, steps: int, scale: float) -> list[list[np.ndarray]]:
    """Of very different sizes, with entries that are zero for long."""
    rng = np.random.default_rng(seed)
    return [
        [scale * 10 ** rng.uniform(-3, 0) * rng.normal(size=s) * (rng.random(s) < 0.6) for s in SHAPES]
        for _ in range(steps)
    ]


@pytest.mark.parametrize("scale", [1.0, 1000.0])
@pytest.mark.parametrize("name", PAIRS)
def test_a_hundred_steps_equal_torch(name: str, scale: float) -> None:
    ours, theirs = PAIRS[name]
    start = [np.random.default_rng(1).normal(size=s) for s in SHAPES]
    parameters = [w.copy() for w in start]
    tensors = [torch.nn.Parameter(torch.tensor(w)) for w in start]
    optimiser, other = ours(parameters), theirs(tensors)
    for grads in gradients(2, 100, scale):
        optimiser.step(grads)
        for tensor, grad in zip(tensors, grads, strict=True):
            tensor.grad = torch.tensor(grad)
        other.step()
        for w, tensor in zip(parameters, tensors, strict=True):
            np.testing.assert_allclose(w, tensor.detach().numpy(), rtol=1e-9, atol=1e-9)
    assert all(np.abs(w - before).max() > 1e-6 for w, before in zip(parameters, start, strict=True))


@pytest.mark.parametrize("name", PAIRS)
def test_an_optimiser_goes_on_from_what_it_has_saved(name: str) -> None:
    make, grads = PAIRS[name][0], gradients(3, 20, 1.0)
    whole, half = ([np.ones(s) for s in SHAPES] for _ in range(2))
    one, first = make(whole), make(half)
    for step in grads:
        one.step(step)
    for step in grads[:9]:
        first.step(step)
    saved = first.state_dict()
    second = make(half)
    second.load_state_dict(saved)
    for step in grads[9:]:
        second.step(step)
    for a, b in zip(whole, half, strict=True):
        assert np.array_equal(a, b)
    third = make([np.ones(s) for s in SHAPES])  # what is saved does not change under the hands of the second
    third.load_state_dict(saved)
    assert third.t == 9


def test_the_frame_alone_says_what_is_missing() -> None:
    with pytest.raises(NotImplementedError, match="Optimiser has no `change`"):
        ref.Optimiser([np.ones(2)], 0.1).step([np.ones(2)])
    with pytest.raises(ValueError, match="zip"):
        ref.SGD([np.ones(2)]).step([])


def test_deck_es_momentum_is_the_same_until_the_rate_changes() -> None:
    def deck_e(rates: list[float]) -> float:
        w, v = 1.0, 0.0
        for rate in rates:
            v = 0.9 * v + rate * w  # the gradient of ½w² is w
            w -= v
        return w

    def ours(rates: list[float]) -> float:
        w = np.ones(())
        optimiser = ref.Momentum([w], momentum=0.9)
        for rate in rates:
            optimiser.lr = rate
            optimiser.step([w.copy()])
        return float(w)

    assert ours([0.1] * 20) == pytest.approx(deck_e([0.1] * 20), rel=1e-12)
    falling = [0.1] * 10 + [0.01] * 10
    assert abs(ours(falling) - deck_e(falling)) > 0.01


def test_deck_e_adagrad_has_its_epsilon_outside_the_root_in_torch() -> None:
    grads, eps = [0.01, 0.02, -0.01], 0.01
    tensor = torch.nn.Parameter(torch.zeros((), dtype=torch.float64))
    theirs, w = OPTIM.Adagrad([tensor], lr=0.1, eps=eps), np.zeros(())
    ours, inside, total = ref.Adagrad([w], 0.1, eps), 0.0, 0.0
    for grad in grads:
        tensor.grad = torch.tensor(grad, dtype=torch.float64)
        theirs.step()
        ours.step([np.array(grad)])
        total += grad**2
        inside -= 0.1 * grad / math.sqrt(total + eps)
    assert float(w) == pytest.approx(tensor.item(), rel=1e-12)
    assert abs(inside - tensor.item()) > 0.02


# ---- clipping --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("scale", "limit"), [(1.0, 0.5), (1000.0, 1.0), (0.001, 1.0)])
def test_clipping_equals_torch(scale: float, limit: float) -> None:
    grads = [scale * np.random.default_rng(4).normal(size=s) for s in SHAPES]
    tensors = [torch.nn.Parameter(torch.zeros(s, dtype=torch.float64)) for s in SHAPES]
    for tensor, grad in zip(tensors, grads, strict=True):
        tensor.grad = torch.tensor(grad)
    norm = torch.nn.utils.clip_grad_norm_(tensors, limit)
    before = [grad.copy() for grad in grads]
    clipped, ours = ref.clip_by_global_norm(grads, limit)
    assert ours == pytest.approx(norm.item(), rel=1e-12)
    for got, tensor, grad, old in zip(clipped, tensors, grads, before, strict=True):
        assert tensor.grad is not None
        np.testing.assert_allclose(got, tensor.grad.numpy(), rtol=3e-6)  # torch adds 1e-6 to the norm
        assert np.array_equal(grad, old)
    assert math.sqrt(sum(np.sum(grad**2) for grad in clipped)) <= limit * (1 + 1e-12) or ours <= limit


def test_clipping_leaves_zeros_and_refuses_a_limit_of_zero() -> None:
    clipped, norm = ref.clip_by_global_norm([np.zeros(3), np.zeros((1, 2))], 1.0)
    assert norm == 0
    assert not any(grad.any() for grad in clipped)
    with pytest.raises(ValueError, match="positive"):
        ref.clip_by_global_norm([np.ones(1)], 0.0)


# ---- batches, schedules, first weights -------------------------------------------------------------------------------
@pytest.mark.parametrize(("samples", "size"), [(10, 3), (9, 3), (2, 5), (7, 1)])
def test_every_row_comes_once_with_its_answer(samples: int, size: int) -> None:
    x, y = np.arange(2 * samples).reshape(samples, 2), np.arange(samples)
    found = list(ref.minibatches(x, y, size, np.random.default_rng(0)))
    assert [len(rows) for rows, _ in found] == [min(size, samples - k) for k in range(0, samples, size)]
    rows, answers = (np.concatenate(parts) for parts in zip(*found, strict=True))
    assert np.array_equal(rows[:, 0] // 2, answers)
    assert np.array_equal(np.sort(answers), y)
    with pytest.raises(ValueError, match="rows of x"):
        next(ref.minibatches(x, y[1:], size, np.random.default_rng(0)))


def test_the_size_of_the_noise_of_a_mini_batch() -> None:
    values = np.random.default_rng(0).normal(size=1000)
    rng = np.random.default_rng(1)
    for m in (4, 25):
        means = [values[rng.integers(1000, size=m)].mean() for _ in range(4000)]
        assert np.std(means) == pytest.approx(values.std() / math.sqrt(m), rel=0.05)


@pytest.mark.parametrize("warm_up", [0, 5])
def test_schedules_equal_torchs(warm_up: int) -> None:
    total = 50
    made = {
        "constant": lambda o: OPTIM.lr_scheduler.ConstantLR(o, factor=1.0),
        "linear": lambda o: OPTIM.lr_scheduler.LinearLR(o, 1.0, 0.0, total - warm_up),
        "cosine": lambda o: OPTIM.lr_scheduler.CosineAnnealingLR(o, total - warm_up),
        "steps": lambda o: OPTIM.lr_scheduler.MultiStepLR(o, [math.ceil(k * (total - warm_up) / 3) for k in (1, 2)]),
    }
    for name, make in made.items():
        optimiser = OPTIM.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
        scheduler = make(optimiser)
        for step in range(total):
            if step < warm_up:
                assert ref.learning_rate(name, step, total, warm_up) == pytest.approx((step + 1) / warm_up)
                continue
            got = ref.learning_rate(name, step, total, warm_up)
            assert got == pytest.approx(scheduler.get_last_lr()[0], abs=1e-12), (name, step)
            optimiser.step()
            scheduler.step()
    # Vaswani et al.: min(s^-½, s·warm_up^-1.5) over its peak, with s counted from 1.
    for step in range(60):
        s = step + 1
        expected = min(s**-0.5, s * 10**-1.5) / 10**-0.5
        assert ref.learning_rate("inverse root", step, 60, 10) == pytest.approx(expected)
    with pytest.raises(ValueError, match="zigzag"):
        ref.learning_rate("zigzag", 0, 10)


@pytest.mark.parametrize(("inputs", "outputs"), [(300, 100), (80, 500)])
def test_first_weights_are_spread_like_torchs(inputs: int, outputs: int) -> None:
    rng, tensor = np.random.default_rng(0), torch.empty(outputs, inputs)
    torch.manual_seed(0)
    glorot = ref.initial_weights(rng, inputs, outputs, "glorot")
    he = ref.initial_weights(rng, inputs, outputs, "he")
    assert glorot.shape == he.shape == (inputs, outputs)
    torch.nn.init.xavier_uniform_(tensor)
    assert glorot.std() == pytest.approx(tensor.std().item(), rel=0.02)
    assert glorot.max() == pytest.approx(tensor.max().item(), rel=0.01)
    assert glorot.std() == pytest.approx(math.sqrt(2 / (inputs + outputs)), rel=0.02)
    torch.nn.init.kaiming_normal_(tensor, nonlinearity="relu")
    assert he.std() == pytest.approx(tensor.std().item(), rel=0.02)
    assert np.abs(ref.initial_weights(rng, inputs, outputs, "uniform")).max() == pytest.approx(0.01, rel=0.01)
    with pytest.raises(ValueError, match="zeros"):
        ref.initial_weights(rng, 2, 2, "zeros")


# ---- dropout, stopping, workers --------------------------------------------------------------------------------------
@pytest.mark.parametrize(("inverted", "train"), list(itertools.product([True, False], [True, False])))
def test_dropouts_gradient_by_differences(inverted: bool, train: bool) -> None:
    x, upstream = np.random.default_rng(0).normal(size=(2, 4, 7))

    def loss(x: np.ndarray) -> float:
        layer = ref.Dropout(0.4, np.random.default_rng(3), inverted)
        return float(np.sum(upstream * layer.forward(x, train)))

    layer = ref.Dropout(0.4, np.random.default_rng(3), inverted)
    before = x.copy()
    layer.forward(x, train)
    assert np.array_equal(x, before)
    grad, numeric = layer.backward(upstream), np.zeros_like(x)
    for i in np.ndindex(x.shape):
        ahead, behind = x.copy(), x.copy()
        ahead[i] += 1e-5
        behind[i] -= 1e-5
        numeric[i] = (loss(ahead) - loss(behind)) / 2e-5
    np.testing.assert_allclose(grad, numeric, atol=1e-9)


def test_dropout_behaves_like_torchs() -> None:
    p, x = 0.3, np.ones((400, 500))
    torch.manual_seed(0)
    theirs = torch.nn.Dropout(p)(torch.tensor(x)).numpy()
    layer = ref.Dropout(p, np.random.default_rng(0))
    ours = layer.forward(x, True)
    assert sorted(set(ours.ravel().round(12))) == sorted(set(theirs.ravel().round(12)))
    assert (ours == 0).mean() == pytest.approx((theirs == 0).mean(), abs=0.005)
    assert ours.mean() == pytest.approx(1, abs=0.01)
    assert np.array_equal(layer.forward(x, False), torch.nn.Dropout(p).eval()(torch.tensor(x)).numpy())
    standard = ref.Dropout(p, np.random.default_rng(0), inverted=False)
    assert standard.forward(x, True).mean() == pytest.approx(standard.forward(x, False).mean(), abs=0.005)
    for wrong in (-0.1, 1.0):
        with pytest.raises(ValueError, match="below 1"):
            ref.Dropout(wrong, np.random.default_rng(0))


def test_early_stopping_says_when_and_remembers() -> None:
    stopper = ref.EarlyStopping(2)
    said = [stopper.update(loss) for loss in (3.0, 2.0, 2.0, 1.0, 1.5, math.nan)]
    assert said == [False, False, False, False, False, True]
    assert (stopper.best, stopper.best_epoch) == (1.0, 3)
    with pytest.raises(ValueError, match="patience"):
        ref.EarlyStopping(0)


def test_asynchronous_workers_in_limits_that_are_known() -> None:
    def gradient(w: np.ndarray, worker: int) -> np.ndarray:
        return w - worker

    path, times, stale = ref.asynchronous_descent(gradient, np.ones(2), 0.1, [2.0], 6)
    plain = [np.ones(2)]
    for _ in range(6):
        plain.append(plain[-1] - 0.1 * gradient(plain[-1], 0))
    np.testing.assert_allclose(path, plain)
    assert times.tolist() == [0, 2, 4, 6, 8, 10, 12]
    assert not stale.any()
    # K equal workers: after the first round each gradient is K − 1 updates old.
    _, times, stale = ref.asynchronous_descent(gradient, np.ones(2), 0.1, [1.0] * 4, 12)
    assert stale.tolist() == [0, 1, 2, 3] + [3] * 8
    assert times.tolist() == [0] + [1] * 4 + [2] * 4 + [3] * 4
    start = np.ones(2)
    ref.asynchronous_descent(gradient, start, 0.1, [1.0, 2.0], 3)
    assert start.tolist() == [1, 1]


# ---- the chapter, run from top to bottom -----------------------------------------------------------------------------
@pytest.fixture(scope="module")
def run() -> tuple[str, dict[str, Any]]:
    """What the solved chapter prints, and its names afterwards."""
    return run_solved("07_optimisers")


@pytest.mark.parametrize(
    "line",
    [
        "η = 0.01: loss after 100 steps 0.067",
        "η = 0.0195: loss after 100 steps 0.0115",
        "η = 0.0205: loss after 100 steps 8.65e+05",
        "best constant 5; after one sorted epoch 9.95, after a shuffled one 6.22",
        "v = [1.]  v = [1.9]  v = [2.71]",
        "plain 1.1e-02  momentum 9.5e-05  Nesterov 2.5e-07",  # at half the rate, a hundred times lower
        "Adagrad, g = 0.01: step 1 0.1000, step 100 0.0100; g = 1: 0.1000, 0.0100",
        "RMSprop, g = 0.01: step 1 0.3162, step 100 0.1000; g = 1: 0.3162, 0.1000",
        "Adadelta, g = 0.01: step 1 0.0030, step 100 0.0044; g = 1: 0.0032, 0.0047",
        # Bias correction, as the text says: 0.2/0.1 = 2, 0.004/0.001 = 4, 3.162 and 6.5 times.
        "t =    1: m 0.2000 v 0.0040  m̂ 2.0 v̂ 4.0  step/η without 3.162, with 1.000",
        "t =   10: m 1.3026 v 0.0398  m̂ 2.0 v̂ 4.0  step/η without 6.528, with 1.000",
        # Deck E's erratum.
        "yours -1.8182, PyTorch's -1.8182, deck E's -0.6030",
        "λw in the gradient: 1 became on average 0.95 under large gradients, 0.00 under small ones",
        "AdamW: 1 became on average 0.60 under large gradients, 0.61 under small ones",
        "Adagrad: loss after 100 steps 9.4e-48",
        "Adadelta: loss after 100 steps 2.1e+01",
        "RMSprop: loss after 100 steps 3.0e-02",
        "([array([1.5]), array([2.]), array([[6.]])], 13.0)",
        "without residuals: mean |gradient| after 20 layers back 0.0007",
        "loss 1.42: stop True, best 1.4 of epoch 3",
        "(array([0. , 1. , 2. , 2.5, 3. ]), array([0, 0, 2, 1]))",
        "η = 0.1, 40 s, synchronous: 10 updates, off by 2\n",
        "η = 0.1, 40 s, asynchronous: 130 updates, off by 0.21,",
        "η = 1.2, 40 s, synchronous: 10 updates, off by 5.8e-07",
        "η = 1.2, 40 s, asynchronous: 130 updates, off by 1.8e+11,",
        "{'grid': 'misses the best value by 0.063', 'random': 'misses the best value by 0.033'}",  # twice as close
        "letter frequencies alone: 2.8148 nats on the Psalms; no idea: 3.2958",
        "stopped, resumed, finished; the same bits as in one go: True",
        "rebound: [1. 1.]  written into: [0.9 0.9]",
        "5 to 50 became 5.0 5.0 array by array, and 0.498 4.975 together",
    ],
)
def test_the_chapter_prints(run: tuple[str, dict[str, Any]], line: str) -> None:
    assert line in run[0]


def test_momentum_reaches_ten(run: tuple[str, dict[str, Any]]) -> None:
    v = 0.0
    for _ in range(300):
        v = 0.9 * v + 1
    assert v == pytest.approx(1 / (1 - 0.9))
    assert pytest.approx(0.606, abs=5e-4) == (1 - 0.001) ** 500


def test_rmsprop_ends_hopping_across_the_bottom() -> None:
    w = np.ones(2)
    optimiser = ref.RMSprop([w], 0.05, alpha=0.9)
    for _ in range(1000):
        before = w.copy()
        optimiser.step([np.array([100.0, 1.0]) * w])
    np.testing.assert_allclose(w, -before, rtol=1e-3)  # from one side to the other
    np.testing.assert_allclose(np.abs(w), 0.05 / 2, rtol=1e-3)  # and a whole η each time


def test_what_the_chapter_says_of_the_widget() -> None:
    from widgets.cases import LANDSCAPES, slope_of, way

    def loss(name: str, landscape: str, rate: float) -> float:
        path = way(name, lambda x, y: slope_of(landscape, x, y), [1.2, 0.2], rate, 100)
        return float(LANDSCAPES[landscape](*path[-1]))

    assert loss("adagrad", "valley", 0.5) == pytest.approx(6e-34, rel=0.1)
    assert loss("adagrad", "turned", 0.5) == pytest.approx(0.065, abs=5e-4)
    assert 1e-8 < loss("nesterov", "turned", 0.01) < 3e-7
    assert loss("sgd", "saddle", 0.01) == pytest.approx(-0.007, abs=5e-4)
    for name in ("nesterov", "rmsprop", "adam", "adamax", "nadam", "amsgrad"):
        assert loss(name, "saddle", {"nesterov": 0.01, "rmsprop": 0.05}.get(name, 0.1)) == pytest.approx(
            -0.25, abs=0.01
        )


def test_the_chapters_first_weights(run: tuple[str, dict[str, Any]]) -> None:
    found = {
        rule: [float(size) for size in sizes]
        for rule, *sizes in re.findall(
            r"(uniform|glorot|he): size of h after layers 1, 5, 10: (\S+) (\S+) (\S+)", run[0]
        )
    }
    assert found["uniform"][2] < 1e-12
    assert found["glorot"][2] > 0.2
    assert found["he"] == pytest.approx([0.82, 0.82, 0.72], abs=0.02)


def test_standardised_inputs_make_a_round_bowl(run: tuple[str, dict[str, Any]]) -> None:
    raw, even = (float(value) for value in re.findall(r"steepest/flattest (\S+),", run[0]))
    assert raw > 1e5
    assert even < 1.1


def test_plateau_decay_equals_torchs(run: tuple[str, dict[str, Any]]) -> None:
    losses = (2.0, 1.5, 1.6, 1.7, 1.4, 1.4, 1.4, 1.3)
    optimiser = OPTIM.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    scheduler = OPTIM.lr_scheduler.ReduceLROnPlateau(optimiser, factor=0.5, patience=1, threshold=0.0)
    rates = []
    for loss in losses:
        scheduler.step(loss)
        rates.append(str(round(optimiser.param_groups[0]["lr"], 12)))
    assert " ".join(rates) in run[0]


def test_drop_connect_zeroes_weights_and_is_right_on_average(run: tuple[str, dict[str, Any]]) -> None:
    once = run[1]["drop_connect"](
        np.eye(6), np.ones((6, 2)), 0.5, np.random.default_rng(0)
    )  # row i: the weights of input i
    assert set(once.ravel()) == {0.0, 2.0}
    assert any(len(set(row)) == 2 for row in once)  # one weight of an input is silent, another speaks: no unit is
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(3, 6)), rng.normal(size=(6, 2))
    many = np.mean([run[1]["drop_connect"](x, w, 0.4, rng) for _ in range(20_000)], axis=0)
    np.testing.assert_allclose(many, x @ w, atol=0.1)


def test_the_networks_gradient_by_differences(run: tuple[str, dict[str, Any]]) -> None:
    space, rng = run[1], np.random.default_rng(0)
    parameters = [rng.normal(size=s) for s in [(5, 4), 4, (4, 3), 3]]
    x, y = rng.normal(size=(6, 5)), rng.integers(3, size=6)
    _, grads = space["loss_and_grads"](parameters, x, y)
    for k, grad in enumerate(grads):
        for i in np.ndindex(grad.shape):
            sides = []
            for side in (1e-5, -1e-5):
                moved = [w.copy() for w in parameters]
                moved[k][i] += side
                sides.append(space["loss_and_grads"](moved, x, y)[0])
            assert grad[i] == pytest.approx((sides[0] - sides[1]) / 2e-5, abs=1e-8)


def test_the_real_run_says_what_the_text_says(run: tuple[str, dict[str, Any]]) -> None:
    results = run[1]["results"]
    train, dev, gospels = (
        {name: np.mean([row[k] for row in rows]) for name, rows in results.items()} for k in (2, 3, 4)
    )
    assert train["Adam"] < min(train["SGD"], train["momentum"])
    assert max(train, key=train.__getitem__) == "momentum"
    for losses in (dev, gospels):
        assert min(losses, key=losses.__getitem__) == "momentum"
        assert max(losses.values()) - min(losses.values()) < 0.15
        assert max(losses.values()) < 2.2
    chosen = run[1]["chosen"]
    assert 0.1 < chosen["SGD"] < 3
    assert chosen["SGD"] == pytest.approx(0.83, abs=0.02)
    assert chosen["momentum"] / (1 - 0.9) == pytest.approx(0.24, abs=0.01)
    assert 0.001 < chosen["Adam"] < 0.03


def test_the_progress_line_of_the_last_run(run: tuple[str, dict[str, Any]]) -> None:
    assert re.search(r"epoch 1/1 · loss 1\.\d{4} · held out 2\.\d{4}\nfinished after 1 epochs", run[0])
