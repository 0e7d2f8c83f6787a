"""Chapter 06: references against differences and torch, the worked numbers, every erratum, and what the chapter prints."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from solved_chapter import run_solved
from torch.nn import functional

from autograder.gradients import agrees, central_difference, numerical_gradient
from solutions import backpropagation as ref

BENDS: dict[str, Callable[[Any], Any]] = {
    "identity": lambda t: 1 * t,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": torch.relu,
    "leaky_relu": functional.leaky_relu,
    "softplus": functional.softplus,
}
DECK = {"w03": 1.0, "w04": -6.0, "w05": -4.0, "w13": 3.0, "w14": 6.0, "w23": 4.0, "w24": 5.0, "w35": 2.0, "w45": 4.0}


def leaf(array: np.ndarray) -> torch.Tensor:
    return torch.tensor(array, requires_grad=True)


def random_layers(rng: np.random.Generator, widths: list[int]) -> list[tuple[np.ndarray, np.ndarray]]:
    return [(rng.normal(size=(i, o)), rng.normal(size=o)) for i, o in pairwise(widths)]


# ---- one layer, one bend, one loss -----------------------------------------------------------------------------------
@pytest.mark.parametrize("sizes", [(1, 2, 3), (4, 3, 5), (7, 5, 2), (3, 3, 3)])
def test_affine_backward_equals_autograd_and_differences(sizes: tuple[int, int, int]) -> None:
    batch, inputs, outputs = sizes
    rng = np.random.default_rng(sum(sizes))
    x, w, b = rng.normal(size=(batch, inputs)), rng.normal(size=(inputs, outputs)), rng.normal(size=outputs)
    grad_y = rng.normal(size=(batch, outputs))
    found = ref.affine_backward(grad_y, x, w, b)
    leaves = [leaf(part) for part in (x, w, b)]
    functional.linear(leaves[0], leaves[1].T, leaves[2]).backward(torch.tensor(grad_y))
    estimates = numerical_gradient(ref.affine_forward, {"x": x, "w": w, "b": b}, ("x", "w", "b"), grad_y)
    for mine, tensor, estimate in zip(found, leaves, estimates.values(), strict=True):
        assert tensor.grad is not None
        np.testing.assert_allclose(mine, tensor.grad.numpy(), rtol=1e-12, atol=1e-13)
        assert agrees(mine, estimate).all()


@pytest.mark.parametrize("name", BENDS)
def test_activations_and_slopes_equal_torch(name: str) -> None:
    rng = np.random.default_rng(1)
    z = np.concatenate([[0.0, 19.0, -19.0, 1e4, -1e4], rng.normal(scale=3, size=100)])
    grad_h = rng.normal(size=z.shape)
    t = leaf(z)
    h = BENDS[name](t)
    h.backward(torch.tensor(grad_h))
    assert t.grad is not None
    np.testing.assert_allclose(ref.bend(z, name), h.detach().numpy(), rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(ref.activation_backward(grad_h, z, name), t.grad.numpy(), rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize("name", BENDS)
def test_slopes_equal_differences_without_overflow_or_aliasing(name: str) -> None:
    rng = np.random.default_rng(2)
    z, grad_h = rng.normal(size=(4, 5)), rng.normal(size=(4, 5))
    estimate = central_difference(lambda at: float(np.sum(grad_h * ref.bend(at, name))), z)
    assert agrees(ref.activation_backward(grad_h, z, name), estimate).all()
    far = np.array([1e4, -1e4])
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        result = ref.activation_backward(np.ones(2), far, name)
    assert np.isfinite(result).all()
    assert not np.shares_memory(ref.activation_backward(grad_h, z, name), grad_h)


def test_unknown_names() -> None:
    with pytest.raises(ValueError, match="wavelet"):
        ref.bend(np.zeros(2), "wavelet")
    with pytest.raises(ValueError, match="wavelet"):
        ref.activation_backward(np.zeros(2), np.zeros(2), "wavelet")


@pytest.mark.parametrize("scale", [1.0, 30.0, 1000.0])
def test_softmax_cross_entropy_equals_torch(scale: float) -> None:
    rng = np.random.default_rng(3)
    logits, targets = scale * rng.uniform(-1, 1, size=(6, 4)), rng.integers(4, size=6)
    t = leaf(logits)
    loss = functional.cross_entropy(t, torch.tensor(targets))
    loss.backward()
    assert t.grad is not None
    with np.errstate(all="raise", under="ignore"):
        grad = ref.softmax_cross_entropy_backward(logits, targets)
        assert np.isclose(ref.batch_cross_entropy(logits, targets), loss.item(), rtol=1e-12)
    np.testing.assert_allclose(grad, t.grad.numpy(), rtol=1e-9, atol=1e-15)
    np.testing.assert_allclose(grad.sum(axis=1), 0, atol=1e-15)
    estimate = central_difference(lambda at: ref.batch_cross_entropy(at, targets), logits)
    assert agrees(grad, estimate).all()


def test_the_collapse_on_paper() -> None:
    logits = np.array([[2.0, 1.0, 0.0]])
    grad = ref.softmax_cross_entropy_backward(logits, np.array([1]))
    assert grad.round(4).tolist() == [[0.6652, -0.7553, 0.0900]]
    assert np.add(grad, [[0, 1, 0]]).round(4).tolist() == [[0.6652, 0.2447, 0.0900]]


def test_repeating_the_rows_keeps_the_mean_and_doubles_the_sum() -> None:
    rng = np.random.default_rng(4)
    layers, names = random_layers(rng, [3, 4, 2]), ["tanh", "identity"]
    x, y = rng.normal(size=(5, 3)), rng.integers(2, size=5)

    def grads(x: np.ndarray, y: np.ndarray, factor: float) -> np.ndarray:
        logits, stored = ref.mlp_forward(x, layers, names)
        first = ref.softmax_cross_entropy_backward(logits, y) * factor
        return ref.mlp_backward(first, stored, layers, names)[0][0]

    twice_x, twice_y = np.tile(x, (2, 1)), np.tile(y, 2)
    np.testing.assert_allclose(grads(twice_x, twice_y, 1), grads(x, y, 1), rtol=1e-12)
    np.testing.assert_allclose(grads(twice_x, twice_y, 10), 2 * grads(x, y, 5), rtol=1e-12)


# ---- deck E's 2-2-1 network ------------------------------------------------------------------------------------------
def test_every_number_of_the_relu_example() -> None:
    u, loss, delta, change = ref.worked_example(DECK, (1.0, 0.0), 1.0, "relu", 1.0)
    assert u.tolist() == [4, 0, 4]
    assert loss == 4.5
    assert delta.tolist() == [6, 0, 3]
    expected = dict.fromkeys(DECK, 0.0) | {"w05": -3, "w35": -12, "w03": -6, "w13": -6}
    assert change == expected
    after, loss, delta, _ = ref.worked_example({k: DECK[k] + change[k] for k in DECK}, (1.0, 0.0), 1.0, "relu", 1.0)
    assert loss == 0.5
    assert not after.any()
    assert not delta.any()  # all three units are dead


def test_every_number_of_the_sigmoid_example() -> None:
    u, loss, delta, change = ref.worked_example(DECK, (1.0, 0.0), 1.0, "sigmoid", 1.0)
    assert u.round(6).tolist() == [0.982014, 0.5, 0.491008]
    assert round(loss, 6) == 0.129536
    assert delta.round(6).tolist() == [-0.004494, -0.127207, -0.127207]
    expected = {
        "w03": 0.004494,
        "w04": 0.127207,
        "w05": 0.127207,
        "w13": 0.004494,
        "w14": 0.127207,
        "w23": 0.0,
        "w24": 0.0,
        "w35": 0.124919,
        "w45": 0.063603,
    }
    assert {key: round(value, 6) for key, value in change.items()} == expected
    _, loss, _, _ = ref.worked_example({k: DECK[k] + change[k] for k in DECK}, (1.0, 0.0), 1.0, "sigmoid", 1.0)
    assert round(loss, 4) == 0.0710


@pytest.mark.parametrize("name", ["relu", "sigmoid"])
@pytest.mark.parametrize("seed", range(5))
def test_worked_example_is_the_network_with_matrices_and_torch(name: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    weights = {key: float(rng.normal()) for key in DECK}
    x, target, rate = (float(rng.normal()), float(rng.normal())), float(rng.normal()), 0.3
    u, loss, delta, change = ref.worked_example(weights, x, target, name, rate)
    w = {key: torch.tensor(value, dtype=torch.float64, requires_grad=True) for key, value in weights.items()}
    net3 = w["w03"] + w["w13"] * x[0] + w["w23"] * x[1]
    net4 = w["w04"] + w["w14"] * x[0] + w["w24"] * x[1]
    net5 = w["w05"] + w["w35"] * BENDS[name](net3) + w["w45"] * BENDS[name](net4)
    nets = (net3, net4, net5)
    for net in nets:
        net.retain_grad()
    total = 0.5 * (target - BENDS[name](net5)) ** 2
    total.backward()
    np.testing.assert_allclose(u, [BENDS[name](net).item() for net in nets], rtol=1e-12)
    assert np.isclose(loss, total.item())
    np.testing.assert_allclose(delta, [float(net.grad) for net in nets], rtol=1e-10, atol=1e-15)
    for key, value in change.items():
        assert np.isclose(value, -rate * float(w[key].grad), rtol=1e-10, atol=1e-15)  # type: ignore[arg-type]


def test_the_changes_of_deck_e_are_differences_of_its_loss() -> None:
    keys = list(DECK)
    start = np.array([DECK[key] for key in keys])

    def loss(at: np.ndarray) -> float:
        return ref.worked_example(dict(zip(keys, at.tolist(), strict=True)), (1.0, 0.0), 1.0, "sigmoid", 1.0)[1]

    change = ref.worked_example(DECK, (1.0, 0.0), 1.0, "sigmoid", 1.0)[3]
    assert agrees(-np.array([change[key] for key in keys]), central_difference(loss, start)).all()


# ---- K layers, and the skip ------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("widths", "names"),
    [
        ([3, 4], ["sigmoid"]),
        ([2, 5, 3], ["relu", "identity"]),
        ([4, 1, 6, 2, 3], ["tanh", "softplus", "leaky_relu", "sigmoid"]),
    ],
)
def test_mlp_backward_equals_autograd_and_differences(widths: list[int], names: list[str]) -> None:
    rng = np.random.default_rng(len(widths))
    layers, x = random_layers(rng, widths), rng.normal(size=(5, widths[0]))
    y, stored = ref.mlp_forward(x, layers, names)
    grad_y = rng.normal(size=y.shape)
    grads = ref.mlp_backward(grad_y, stored, layers, names)
    pairs = [(leaf(w), leaf(b)) for w, b in layers]
    h = torch.tensor(x)
    for (w, b), name in zip(pairs, names, strict=True):
        h = BENDS[name](h @ w + b)
    h.backward(torch.tensor(grad_y))
    np.testing.assert_allclose(y, h.detach().numpy(), rtol=1e-10)

    def forward(layers: Any) -> np.ndarray:
        return ref.mlp_forward(x, layers, names)[0]

    estimates = numerical_gradient(forward, {"layers": layers}, ("layers",), grad_y)["layers"]
    for mine, tensors, estimate in zip(grads, pairs, estimates, strict=True):
        for part, tensor, numbers in zip(mine, tensors, estimate, strict=True):
            assert tensor.grad is not None
            np.testing.assert_allclose(part, tensor.grad.numpy(), rtol=1e-9, atol=1e-12)
            assert agrees(part, numbers).all()


def test_the_backward_pass_changes_nothing_it_is_given() -> None:
    rng = np.random.default_rng(5)
    layers, names = random_layers(rng, [3, 4, 2]), ["relu", "identity"]
    y, stored = ref.mlp_forward(rng.normal(size=(4, 3)), layers, names)
    before = [part.copy() for pair in (*layers, *stored) for part in pair]
    ref.mlp_backward(np.ones_like(y), stored, layers, names)
    for old, new in zip(before, [part for pair in (*layers, *stored) for part in pair], strict=True):
        assert np.array_equal(old, new)


@pytest.mark.parametrize("sizes", [(4, 4, 4, 4), (5, 3, 4, 2), (1, 2, 6, 3)])
def test_residual_backward_equals_autograd(sizes: tuple[int, int, int, int]) -> None:
    batch, inputs, units, classes = sizes
    rng = np.random.default_rng(sum(sizes))
    parts = [rng.normal(size=s) for s in [(batch, inputs), (inputs, units), (units, units), (units, classes)]]
    grad_logits = rng.normal(size=(batch, classes))
    leaves = [leaf(part) for part in parts]
    h1 = torch.relu(leaves[0] @ leaves[1])
    logits = (torch.relu(h1 @ leaves[2]) + h1) @ leaves[3]
    logits.backward(torch.tensor(grad_logits))
    np.testing.assert_allclose(ref.residual_forward(*parts), logits.detach().numpy(), rtol=1e-12)
    for mine, tensor in zip(ref.residual_backward(grad_logits, *parts), leaves, strict=True):
        assert tensor.grad is not None
        np.testing.assert_allclose(mine, tensor.grad.numpy(), rtol=1e-10, atol=1e-13)
    estimates = numerical_gradient(
        ref.residual_forward, dict(zip(("x", "w1", "w2", "w4"), parts, strict=True)), ("x", "w1", "w2"), grad_logits
    )
    for mine, estimate in zip(ref.residual_backward(grad_logits, *parts), estimates.values(), strict=False):
        assert agrees(mine, estimate).all()


def test_equal_units_stay_equal_and_zeros_get_no_gradient() -> None:
    rng = np.random.default_rng(6)
    x, y = rng.normal(size=(6, 3)), np.array([0, 1, 2, 0, 1, 0])
    for value, expected in [(0.0, [True, True, True, False]), (0.5, None)]:
        layers = [(np.full((3, 4), value), np.full(4, value)), (np.full((4, 3), value), np.full(3, value))]
        logits, stored = ref.mlp_forward(x, layers, ["tanh", "identity"])
        grads = ref.mlp_backward(ref.softmax_cross_entropy_backward(logits, y), stored, layers, ["tanh", "identity"])
        assert np.ptp(grads[0][0], axis=1).max() == 0  # every hidden unit gets the same
        if expected is not None:
            assert [not part.any() for pair in grads for part in pair] == expected  # only the last bias learns


# ---- the decks' formulas ---------------------------------------------------------------------------------------------
RIGHT = {"A output weights", "D output", "E matrix"}
EXAMPLES = ref.slide_examples(np.random.default_rng(0))


def test_there_are_fifteen_formulas_and_three_are_right() -> None:
    assert len(EXAMPLES) == 15
    assert set(EXAMPLES) > RIGHT


@pytest.mark.parametrize("name", EXAMPLES)
@pytest.mark.parametrize("seed", range(5))
def test_each_printed_formula_is_right_or_wrong_as_the_chapter_says(name: str, seed: int) -> None:
    at, given = ref.slide_examples(np.random.default_rng(seed))[name]
    estimate = central_difference(lambda at: ref.meant_loss(name, at, given), at)
    assert agrees(ref.find_the_slide_bugs(name, at, given), estimate).all()
    printed = ref.printed_formula(name, at, given)
    same = printed.shape == at.shape and bool(agrees(printed, estimate).all())
    assert same == (name in RIGHT)


@pytest.mark.parametrize(
    ("name", "printed_loss"),
    [
        ("A logistic", lambda at, p: np.sum(np.log(1 + p["answer"] * at))),
        ("A cross-entropy", lambda at, p: -np.sum(at * np.log(p["answer"]))),
        ("B cross-entropy", lambda at, p: np.sum(-p["answer"] * np.log(at) + (1 - p["answer"]) * np.log(1 - at))),
        ("E norm", lambda at, p: np.linalg.norm(at - p["answer"])),
    ],
)
def test_where_a_loss_is_printed_the_gradient_shown_is_its_own(name: str, printed_loss: Callable[..., Any]) -> None:
    at, given = EXAMPLES[name]
    estimate = central_difference(lambda at: float(printed_loss(at, given)), at)
    assert agrees(ref.printed_formula(name, at, given), estimate).all()


def test_the_meaning_refutes_the_printed_losses() -> None:
    # A loss must be least where the prediction is the answer.
    near, far = np.array([0.9]), np.array([0.1])  # the answer is 1
    assert np.log(1 + 1 * near) > np.log(1 + 1 * far)  # A logistic as printed: worse when right
    wrong = np.array([1 - 1e-12])  # the answer is 0, so J = log(1 − ŷ)
    assert np.log(1 - wrong) < -27  # B as printed: without a floor
    assert ref.meant_loss("B cross-entropy", wrong, {"answer": np.zeros(1)}) > 27


def test_a_cross_entropy_needs_the_answer_outside_the_logarithm() -> None:
    answer, y = np.array([[1.0, 0.0]]), np.array([[0.7, 0.3]])
    with np.errstate(divide="ignore"):
        assert np.isinf(-np.sum(y * np.log(answer)))  # as printed, a one-hot answer costs ∞ whatever is predicted
    assert np.isclose(ref.meant_loss("A cross-entropy", y, {"answer": answer}), -np.log(0.7))


def test_a_residual_as_printed_forgets_layer_2() -> None:
    rng = np.random.default_rng(7)
    parts = [rng.normal(size=s) for s in [(5, 3), (3, 4), (4, 4), (4, 2)]]
    x, w1, w2, w4 = parts
    grad_logits = rng.normal(size=(5, 2))
    dh3 = grad_logits @ w4.T
    dh1 = np.zeros_like(dh3) + dh3  # dh[1] = dh[1] + dh[3], nothing having been written to dh[1]
    as_printed = x.T @ (dh1 * (x @ w1 > 0))
    truth = ref.residual_backward(grad_logits, *parts)[1]
    estimate = numerical_gradient(ref.residual_forward, {"x": x, "w1": w1, "w2": w2, "w4": w4}, ("w1",), grad_logits)[
        "w1"
    ]
    assert agrees(truth, estimate).all()
    assert not agrees(as_printed, estimate).all()


def test_e_norm_and_squared_error_differ_in_value_too() -> None:
    f, answer = np.array([3.0, 4.0]), np.zeros(2)
    assert np.linalg.norm(f - answer) == 5
    assert ref.meant_loss("E norm", f, {"answer": answer}) == 25
    assert functional.mse_loss(torch.tensor(f), torch.tensor(answer)).item() == 12.5  # and a mean would halve it


def test_e_quadratic_form_node_by_node() -> None:
    rng = np.random.default_rng(8)
    a, b, x = rng.normal(size=(3, 3)), rng.normal(size=3), rng.normal(size=3)
    c, answer = rng.normal(), rng.normal()
    leaves = [leaf(part) for part in (a, b, x)]
    x1, x2 = leaves[2] @ leaves[0] @ leaves[2], leaves[1] @ leaves[2]
    for node in (x1, x2):
        node.retain_grad()
    ((x1 + x2 + c - answer) ** 2).backward()
    factor = 2 * (x @ a @ x + b @ x + c - answer)
    for node in (x1, x2):
        assert node.grad is not None
        assert node.grad.shape == ()
        assert np.isclose(node.grad.item(), factor)  # no factor x
    assert leaves[0].grad is not None
    assert leaves[1].grad is not None
    np.testing.assert_allclose(leaves[0].grad.numpy(), factor * np.outer(x, x))  # these two of the deck are right
    np.testing.assert_allclose(leaves[1].grad.numpy(), factor * x)


def test_e_hidden_signal_at_net5_is_another_number() -> None:
    _, _, delta, change = ref.worked_example(DECK, (1.0, 0.0), 1.0, "relu", 1.0)
    assert delta[1] == 0
    assert 3 * 4 * float(4 > 0) == 12  # δ5·w45·g′(net5), as the formula is printed
    _, _, delta, change = ref.worked_example(DECK, (1.0, 0.0), 1.0, "sigmoid", 1.0)
    assert round(change["w13"], 4) == 0.0045  # printed with a minus
    assert round(change["w13"], 4) == round(change["w03"], 4)
    assert round(delta[2], 4) == -0.1272  # printed −0.1275, and with it:
    assert [round(change[key], 4) for key in ("w05", "w35", "w45", "w04", "w14")] == [
        0.1272,
        0.1249,
        0.0636,
        0.1272,
        0.1272,
    ]
    assert round(-(1 - 0.491) * 0.2499, 4) == -0.1272
    assert round(0.51 * 0.25, 4) == 0.1275
    assert [round(0.1275 * factor, 4) for factor in (0.9820, 0.5)] == [
        0.1252,
        0.0638,
    ]  # the deck's other numbers follow
    net5 = -4 + 2 / (1 + np.exp(-4.0)) + 4 * 0.5
    assert round(net5, 4) == -0.036
    assert round(1 / (1 + np.exp(-net5)), 3) == 0.491
    assert round(1 / (1 + np.exp(-0.04)), 2) == 0.51


def test_three_notations_one_number() -> None:
    rng = np.random.default_rng(9)
    layers, names = random_layers(rng, [3, 4, 2]), ["sigmoid", "sigmoid"]
    x, target = rng.normal(size=(1, 3)), rng.normal(size=(1, 2))
    y, stored = ref.mlp_forward(x, layers, names)
    grads = ref.mlp_backward(y - target, stored, layers, names)
    net_j, net_k = stored[0][1][0], stored[1][1][0]
    slope = [ref.activation_backward(np.ones_like(net), net, "sigmoid") for net in (net_j, net_k)]
    delta_k = (target[0] - y[0]) * slope[1]  # E's appendix: −∂J/∂net
    delta_j = slope[0] * (layers[1][0] @ delta_k)
    np.testing.assert_allclose(grads[1][0], -np.outer(stored[1][0][0], delta_k))
    np.testing.assert_allclose(grads[0][0], -np.outer(x[0], delta_j))
    column = layers[1][0] @ grads[1][1][:, None] * slope[0][:, None]  # B: (wˡ⁺¹)ᵀδˡ⁺¹ ⊙ f′, its w being our Wᵀ
    np.testing.assert_allclose(grads[0][0].T, column @ x)


# ---- the chapter, run from top to bottom -----------------------------------------------------------------------------
@pytest.fixture(scope="module")
def printed() -> str:
    return run_solved("06_backpropagation")[0]


@pytest.mark.parametrize(
    "line",
    [
        "722 weights and biases; differences need 1,444 forward passes for one gradient",
        "a row forward: 672 multiplications; there and back: 2,016",
        "[[ 0.6652 -0.7553  0.09  ]]",
        "[[ 0.   0. ]\n [-0.5  0.5]]",
        "rows against columns: True\nrows against units:   True\ngrad_W, B transposed: True",
        "relu: u3, u4, u5 = [4. 0. 4.]  loss 4.500000  δ3, δ4, δ5 = [6. 0. 3.]",
        "after the step: loss 0.500000, u5 = 0.0000, largest |δ| 0.000000",
        "sigmoid: u3, u4, u5 = [0.982014 0.5      0.491008]  loss 0.129536  δ3, δ4, δ5 = [-0.004494 -0.127207 -0.127207]",
        "after the step: loss 0.070992",
        "zeros: 1 different units, loss 0.6931, 50% right",
        "all ½: 1 different units",
        "random: 8 different units",
        "E's δ5 from its own rounded numbers: -0.1272; but 0.51 × 0.25 = 0.1275",
        "E's u5 with its exponent as printed: 0.5100; with the sign put right: 0.4900",
        "E node   shape (3,), not (1,)",
        "always 'consonant' 63.0%",
        "softmax without the maximum: [nan  0.]",
        "a bias of shape (20, 3) after one step; adding it to 20 rows works, to a last batch of 7 rows it does not",
    ],
)
def test_the_chapter_prints(printed: str, line: str) -> None:
    assert line in printed


def test_every_gradient_check_of_the_chapter_passes(printed: str) -> None:
    found = [float(value) for value in re.findall(r"largest difference (\S+)", printed)]
    assert len(found) == 1 + 5 + 3 + 4
    assert max(found) < 1e-8
    table = re.findall(r"^ *([A-E] [a-z -]+?) +(\d\.\de[+-]\d\d|shape .*\)) +(\d\.\de[+-]\d\d)$", printed, re.MULTILINE)
    assert len(table) == 15
    for name, slide, mine in table:
        assert float(mine) < 1e-7
        assert ("shape" not in slide and float(slide) < 1e-7) == (name in RIGHT)


def test_the_sigmoid_loses_the_signal_and_the_others_keep_it(printed: str) -> None:
    found = re.findall(r"(\w+): mean \|grad_W\|, layer 8 (\S+), layer 4 (\S+), layer 1 (\S+)", printed)
    share = {name: float(first) / float(last) for name, last, _, first in found}
    assert share["sigmoid"] < 1e-4
    assert 0.3 < share["tanh"] < 3
    assert 0.3 < share["relu"] < 3


def test_algorithms_1_and_2_side_by_side(printed: str) -> None:
    found = re.findall(r"(algorithm \d, η = \S+): loss after 0 … 5 passes +(.*)", printed)
    losses = {label: [float(value) for value in values.split()] for label, values in found}
    stochastic, summed, mean = losses.values()
    assert stochastic[0] == summed[0] == mean[0]
    assert min(summed[1:]) > 10  # adding up without dividing explodes
    assert mean == sorted(mean, reverse=True)
    assert stochastic[-1] < mean[-1] - 0.02


def test_a_trained_hidden_layer_does_with_48_units_what_300_random_ones_did(printed: str) -> None:
    match = re.search(r"48 random units (.*)", printed)
    assert match is not None
    assert [float(share.rstrip("%")) for share in match[1].split()] == pytest.approx([66.9, 68.9, 70.0], abs=0.3)
    trained = [float(share) for share in re.findall(r"epoch 150: loss \S+, ([\d.]+)% right", printed)]
    assert len(trained) == 3
    assert min(trained) > 74
    assert 75 < np.mean(trained) < 77.6


def test_wrong_backward_passes_that_a_falling_loss_does_not_betray(printed: str) -> None:
    found = {
        name: float(loss.replace(",", "")) for name, loss in re.findall(r"^ *([\w /]+): loss ([\d.,]+)$", printed, re.M)
    }
    for bug in ("slope at h", "last layer only", "no slopes"):
        assert found["none"] < found[bug] < 0.66  # less than its start, near ln 2
    assert found["no 1/N"] > 1
    assert found["sign"] > 100
