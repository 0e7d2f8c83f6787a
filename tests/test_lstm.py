"""Chapter 10: gates by hand against torch and differences, the fused model against the plain one, and every number it prints."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from solved_chapter import run_solved
from widgets.cases import lstm_steps, numbers, stored_model

from autograder.checking import verdict_of
from autograder.exercises import lstm as exercises
from autograder.gradients import disagreement
from solutions import lstm as ref
from solutions import recurrent
from solutions.gated_lm import LstmLM
from solutions.optimisers import Adam

MASK = np.arange(5) < np.array((3, 5, 1))[:, None]


def weights(rng: np.random.Generator, inputs: int, features: int, blocks: int) -> tuple[np.ndarray, ...]:
    return (
        rng.normal(size=(inputs, blocks * features)),
        0.6 * rng.normal(size=(features, blocks * features)),
        rng.normal(size=blocks * features),
    )


def into(module: Any, u: np.ndarray, w: np.ndarray, b: np.ndarray, end: str = "") -> Any:
    """Our weights in a module of PyTorch's; all of our bias in one of its two."""
    with torch.no_grad():
        getattr(module, f"weight_ih{end}").copy_(torch.tensor(u.T.copy()))
        getattr(module, f"weight_hh{end}").copy_(torch.tensor(w.T.copy()))
        getattr(module, f"bias_ih{end}").copy_(torch.tensor(b))
        getattr(module, f"bias_hh{end}").zero_()
    return module


# ---- against torch and differences -----------------------------------------------------------------------------------
@pytest.mark.parametrize(("batch", "inputs", "features"), [(1, 2, 3), (4, 5, 2), (3, 3, 1)])
def test_a_step_equals_torchs_cell_forwards_and_backwards(batch: int, inputs: int, features: int) -> None:
    rng = np.random.default_rng(0)
    u, w, b = weights(rng, inputs, features, 4)
    x, h, c = rng.normal(size=(batch, inputs)), rng.normal(size=(batch, features)), rng.normal(size=(batch, features))
    up = rng.normal(size=(2, batch, features))
    cell = into(torch.nn.LSTMCell(inputs, features, dtype=torch.float64), u, w, b)
    leaves = [torch.tensor(a, requires_grad=True) for a in (x, h, c)]
    theirs = cell(leaves[0], tuple(leaves[1:]))
    h_next, c_next, gates = ref.lstm_step(x, h, c, u, w, b)
    np.testing.assert_allclose(h_next, theirs[0].detach().numpy(), rtol=1e-12)
    np.testing.assert_allclose(c_next, theirs[1].detach().numpy(), rtol=1e-12)
    sum((out * torch.tensor(g)).sum() for out, g in zip(theirs, up, strict=True)).backward()  # type: ignore[union-attr]
    made = ref.lstm_step_backward(up[0], up[1], x, h, c, gates, u, w, b)
    expected = [leaf.grad for leaf in leaves] + [cell.weight_ih.grad.T, cell.weight_hh.grad.T, cell.bias_ih.grad]
    for got, want in zip(made, expected, strict=True):
        np.testing.assert_allclose(got, want.numpy(), rtol=1e-10, atol=1e-12)  # type: ignore[union-attr]
    torch.testing.assert_close(cell.bias_ih.grad, cell.bias_hh.grad)  # deck C's second bias


def test_a_sequence_equals_torchs_with_first_states() -> None:
    rng = np.random.default_rng(1)
    u, w, b = weights(rng, 3, 4, 4)
    x, h0, c0 = rng.normal(size=(2, 6, 3)), np.tanh(rng.normal(size=(2, 4))), rng.normal(size=(2, 4))
    every, upstream = np.ones((2, 6), dtype=bool), rng.normal(size=(2, 6, 4))
    hidden, cells = ref.lstm_forward(x, h0, c0, every, u, w, b)
    theirs = into(torch.nn.LSTM(3, 4, batch_first=True, dtype=torch.float64), u, w, b, "_l0")
    tx, th, tc = (torch.tensor(a, requires_grad=True) for a in (x, h0, c0))
    out, (last_h, last_c) = theirs(tx, (th[None], tc[None]))
    np.testing.assert_allclose(hidden, out.detach().numpy(), rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(hidden[:, -1], last_h[0].detach().numpy(), rtol=1e-11)
    np.testing.assert_allclose(cells[:, -1], last_c[0].detach().numpy(), rtol=1e-11)
    (out * torch.tensor(upstream)).sum().backward()
    made = ref.lstm_backward(upstream, x, h0, c0, every, hidden, cells, u, w, b)
    expected = (
        tx.grad,
        th.grad,
        tc.grad,
        theirs.weight_ih_l0.grad.T,
        theirs.weight_hh_l0.grad.T,
        theirs.bias_ih_l0.grad,
    )
    for got, want in zip(made, expected, strict=True):
        np.testing.assert_allclose(got, want.numpy(), rtol=1e-10, atol=1e-12)  # type: ignore[union-attr]


def test_uneven_lengths_equal_torchs_packed_sequences() -> None:
    rng = np.random.default_rng(2)
    u, w, b = weights(rng, 2, 3, 4)
    x, zero = rng.normal(size=(3, 5, 2)), np.zeros((3, 3))
    theirs = into(torch.nn.LSTM(2, 3, batch_first=True, dtype=torch.float64), u, w, b, "_l0")
    pack = torch.nn.utils.rnn.pack_padded_sequence(torch.tensor(x), [3, 5, 1], batch_first=True, enforce_sorted=False)
    out, (last_h, last_c) = theirs(pack)
    padded, _ = torch.nn.utils.rnn.pad_packed_sequence(out, batch_first=True)
    hidden, cells = ref.lstm_forward(x, zero, zero, MASK, u, w, b)
    np.testing.assert_allclose(hidden[MASK], padded.detach().numpy()[MASK], rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(hidden[:, -1], last_h[0].detach().numpy(), rtol=1e-11)
    np.testing.assert_allclose(cells[:, -1], last_c[0].detach().numpy(), rtol=1e-11)


@pytest.mark.parametrize(
    "mask", [MASK, MASK[:, ::-1].copy(), np.array([[True, False, True, True]])], ids=["behind", "in front", "between"]
)
def test_gradients_through_masks_by_differences(mask: np.ndarray) -> None:
    rng = np.random.default_rng(3)
    u, w, b = weights(rng, 2, 3, 4)
    x, h0, c0 = (
        rng.normal(size=(*mask.shape, 2)),
        np.tanh(rng.normal(size=(len(mask), 3))),
        rng.normal(size=(len(mask), 3)),
    )
    hidden, cells = ref.lstm_forward(x, h0, c0, mask, u, w, b)
    given = {
        "grad_hidden": rng.normal(size=hidden.shape),
        "x": x,
        "h0": h0,
        "c0": c0,
        "mask": mask,
        "u": u,
        "w": w,
        "b": b,
    }
    grads = ref.lstm_backward(hidden=hidden, cells=cells, **given)
    names = ("x", "h0", "c0", "u", "w", "b")
    assert disagreement(exercises.hidden_states, given, names, "grad_hidden", grads) == ""
    assert not grads[0][~mask].any()
    broken = list(grads)
    broken[2] = grads[2] * 1.0001
    assert "gradient of c0" in disagreement(exercises.hidden_states, given, names, "grad_hidden", broken)


@pytest.mark.parametrize("seed", ["one", "two"])
def test_every_gradient_exercise_agrees_with_differences(seed: str) -> None:
    for made in (exercises.lstm_step_backward, exercises.lstm_backward, exercises.gru_step_backward):
        made.verify(seed)


def test_a_gru_equals_torchs_cell_forwards_and_backwards() -> None:
    rng = np.random.default_rng(4)
    u, w, b = weights(rng, 3, 4, 3)
    x, h, d, up = rng.normal(size=(5, 3)), rng.normal(size=(5, 4)), rng.normal(size=4), rng.normal(size=(5, 4))
    cell = into(torch.nn.GRUCell(3, 4, dtype=torch.float64), u, w, b)
    with torch.no_grad():
        cell.bias_hh[8:] = torch.tensor(d)
    tx, th = (torch.tensor(a, requires_grad=True) for a in (x, h))
    out = cell(tx, th)
    h_next, gates = ref.gru_step(x, h, u, w, b, d)
    np.testing.assert_allclose(h_next, out.detach().numpy(), rtol=1e-12)
    (out * torch.tensor(up)).sum().backward()
    made = ref.gru_step_backward(up, x, h, gates, u, w, b, d)
    expected = (
        tx.grad,
        th.grad,
        cell.weight_ih.grad.T,
        cell.weight_hh.grad.T,
        cell.bias_ih.grad,
        cell.bias_hh.grad[8:],
    )
    for got, want in zip(made, expected, strict=True):
        np.testing.assert_allclose(got, want.numpy(), rtol=1e-10, atol=1e-12)  # type: ignore[union-attr]
    # r and z have one bias in two parts; the candidate's two are different things.
    torch.testing.assert_close(cell.bias_ih.grad[:8], cell.bias_hh.grad[:8])
    assert not torch.allclose(cell.bias_ih.grad[8:], cell.bias_hh.grad[8:])


def test_where_the_reset_gate_acts_makes_a_difference() -> None:
    rng = np.random.default_rng(5)
    u, w, b = weights(rng, 2, 3, 3)
    x, h, d = rng.normal(size=(1, 2)), rng.normal(size=(1, 3)), np.zeros(3)
    before = exercises.reset_before_the_product(x, h, u, w, b, d)[0]
    assert np.abs(before - ref.gru_step(x, h, u, w, b, d)[0]).max() > 0.01


@pytest.mark.parametrize("depth", [1, 3])
def test_a_highway_step_by_autograd_on_the_published_formulas(depth: int) -> None:
    """Zilly's equations for one word, each matrix by itself."""
    rng = np.random.default_rng(6)
    x, s = rng.normal(size=(2, 3)), rng.normal(size=(2, 4))
    w_h, w_t = rng.normal(size=(2, 3, 4))
    r_h, r_t, b_h, b_t = (rng.normal(size=(depth, 4, *more)) for more in ((4,), (4,), (), ()))
    state = s
    for layer in range(depth):
        n = np.tanh((x @ w_h if layer == 0 else 0) + state @ r_h[layer] + b_h[layer])
        t = 1 / (1 + np.exp(-((x @ w_t if layer == 0 else 0) + state @ r_t[layer] + b_t[layer])))
        state = n * t + state * (1 - t)
    layers = [(np.hstack([r_h[k], r_t[k]]), np.concatenate([b_h[k], b_t[k]])) for k in range(depth)]
    np.testing.assert_allclose(ref.highway_step(x, s, np.hstack([w_h, w_t]), layers), state, rtol=1e-12)


def test_sums_at_1000_overflow_nowhere() -> None:
    x, h, c = np.array([[1000.0], [-1000.0]]), np.zeros((2, 1)), np.full((2, 1), 1000.0)
    with np.errstate(all="raise"):
        h_next, c_next, gates = ref.lstm_step(x, h, c, np.ones((1, 4)), np.zeros((1, 4)), np.zeros(4))
        made = ref.lstm_step_backward(
            np.ones((2, 1)), np.ones((2, 1)), x, h, c, gates, np.ones((1, 4)), np.zeros((1, 4)), np.zeros(4)
        )
        assert np.isfinite(ref.gru_step(x, h, np.ones((1, 3)), np.zeros((1, 3)), np.zeros(3), np.zeros(1))[0]).all()
        assert np.isfinite(ref.highway_step(x, h, np.ones((1, 2)), [(np.zeros((1, 2)), np.zeros(2))])).all()
    assert c_next.ravel().tolist() == [1001.0, 0.0]
    assert h_next.ravel().tolist() == [1.0, 0.0]
    assert all(np.isfinite(part).all() for part in made)


def test_the_sigmoid_equals_torchs() -> None:
    z = np.concatenate([np.linspace(-40, 40, 161), [-1000.0, 1000.0]])
    np.testing.assert_allclose(ref.sigmoid(z), torch.sigmoid(torch.tensor(z)).numpy(), rtol=1e-12, atol=1e-16)


@pytest.mark.parametrize("mask", [MASK, MASK[:, ::-1].copy()], ids=["behind", "in front"])
def test_the_tied_models_gradients_by_differences(mask: np.ndarray) -> None:
    rng = np.random.default_rng(7)
    parameters = [p + 0.1 * rng.normal(size=p.shape) for p in ref.new_lstm_lm(rng, 4, 3)]
    words, targets = rng.integers(4, size=(2, 3, 5))
    state = np.tanh(rng.normal(size=(3, 3))), rng.normal(size=(3, 3))
    _, grads, _ = ref.tied_lm_gradients(parameters, words, targets, mask, state)
    for k, grad in enumerate(grads):
        for at in np.ndindex(grad.shape):
            sides = []
            for step in (1e-5, -1e-5):
                moved = [p.copy() for p in parameters]
                moved[k][at] += step
                sides.append(ref.tied_lm_gradients(moved, words, targets, mask, state)[0])
            assert grad[at] == pytest.approx((sides[0] - sides[1]) / 2e-5, abs=1e-8)


# ---- the road ------------------------------------------------------------------------------------------------------------
def test_lag_norms_equal_torchs_and_the_road_is_the_product_of_the_gates() -> None:
    rng = np.random.default_rng(8)
    u, w, b = weights(rng, 2, 3, 4)
    x, last = rng.normal(size=(2, 6, 2)), rng.normal(size=(2, 3))
    cell, kept, gates = into(torch.nn.LSTMCell(2, 3, dtype=torch.float64), u, w, b), [], []
    h = c = torch.zeros(2, 3, dtype=torch.float64)
    for t in range(6):
        gates.append(ref.lstm_step(x[:, t], h.detach().numpy(), c.detach().numpy(), u, w, b)[2])
        h, c = cell(torch.tensor(x[:, t]), (h, c))
        c.retain_grad()
        kept.append(c)
    (h * torch.tensor(last)).sum().backward()
    whole, road = ref.lstm_gradient_norms(last, x, u, w, b)
    np.testing.assert_allclose(whole, [float(c.grad.norm()) for c in kept[::-1]], rtol=1e-10)
    direct = kept[-1].grad.numpy()
    for lag in range(6):
        assert road[lag] == pytest.approx(np.linalg.norm(direct), rel=1e-10)
        direct = direct * gates[5 - lag][:, 3:6]


def test_with_small_weights_the_road_follows_the_forget_gates_bias() -> None:
    rng = np.random.default_rng(9)
    u, w = 0.001 * rng.normal(size=(2, 3, 12))
    for bias, expected in [(0.0, 0.5), (1.0, 0.7311), (3.0, 0.9526)]:
        b = np.repeat([0.0, bias, 0.0, 0.0], 3)
        _, road = ref.lstm_gradient_norms(np.ones((1, 3)), rng.normal(size=(1, 21, 3)), u, w, b)
        assert (road[20] / road[0]) ** (1 / 20) == pytest.approx(expected, rel=1e-3)
    for gate, lag, figure in [(0.5, 20, 1e-6), (0.731, 20, 0.0019), (0.9, 20, 0.12), (0.9526, 50, 0.088)]:
        assert gate**lag == pytest.approx(figure, rel=0.05)


# ---- the model in torch --------------------------------------------------------------------------------------------------
def test_one_layer_of_the_torch_model_is_ours() -> None:
    rng = np.random.default_rng(10)
    parameters = ref.new_lstm_lm(rng, 7, 4)
    model = LstmLM(7, 4).double()
    layer: Any = model.layers[0]
    with torch.no_grad():
        model.embedding.weight.copy_(torch.tensor(parameters[0]))
        into(layer, *parameters[1:4], "_l0")
        model.output.bias.copy_(torch.tensor(parameters[4]))
    words, targets = rng.integers(7, size=(2, 3, 5))
    state = np.tanh(rng.normal(size=(3, 4))), rng.normal(size=(3, 4))
    features, after = model(torch.tensor(words), torch.tensor(np.stack(state))[:, None])
    loss = torch.nn.functional.cross_entropy(model.output(features).reshape(-1, 7), torch.tensor(targets).reshape(-1))
    loss.backward()
    ours, grads, last = ref.tied_lm_gradients(parameters, words, targets, np.ones((3, 5), dtype=bool), state)
    assert loss.item() == pytest.approx(ours, rel=1e-12)
    np.testing.assert_allclose(after[:, 0].detach().numpy(), np.stack(last), rtol=1e-10)
    theirs = [model.embedding.weight.grad, layer.weight_ih_l0.grad.T, layer.weight_hh_l0.grad.T, layer.bias_ih_l0.grad]
    for got, want in zip(grads, [*theirs, model.output.bias.grad], strict=True):
        np.testing.assert_allclose(got, want.numpy(), rtol=1e-9, atol=1e-12)  # type: ignore[union-attr]


@pytest.mark.parametrize("layers", [1, 2])
def test_reading_in_pieces_is_reading_at_once(layers: int) -> None:
    torch.manual_seed(0)
    model = LstmLM(9, 6, layers=layers, dropout=0.5, drop_connect=0.5).eval()
    words = torch.randint(9, (2, 8))
    whole, end = model(words)
    first, state = model(words[:, :3])
    rest, after = model(words[:, 3:], state)
    torch.testing.assert_close(torch.cat([first, rest], dim=1), whole)
    torch.testing.assert_close(after, end)
    assert end.shape == (2, layers, 2, 6)


def test_forget_gates_begin_open_and_weights_are_tied() -> None:
    model = LstmLM(9, 6, layers=2, forget_bias=1.5)
    for layer in model.layers:
        total = layer.bias_ih_l0 + layer.bias_hh_l0  # type: ignore[operator]
        assert total.tolist() == [0.0] * 6 + [1.5] * 6 + [0.0] * 12
    assert model.output.weight is model.embedding.weight
    assert LstmLM(9, 6, tied=False).output.weight is not model.embedding.weight


def test_drop_connect_leaves_out_weights_only_while_learning() -> None:
    torch.manual_seed(0)
    model = LstmLM(9, 40, drop_connect=0.5)
    layer: Any = model.layers[0]
    before = layer.weight_hh_l0.detach().clone()
    dropped = model.recurrent_weights(layer)["weight_hh_l0"]
    kept = dropped != 0
    assert kept.float().mean() == pytest.approx(0.5, abs=0.03)
    torch.testing.assert_close(dropped[kept], 2 * before[kept])
    words = torch.randint(9, (3, 4))
    first, second = model(words)[0], model(words)[0]
    assert not torch.equal(first, second)
    first.sum().backward()
    assert (layer.weight_hh_l0.grad == 0).float().mean() > 0.3  # what was left out learns nothing
    torch.testing.assert_close(layer.weight_hh_l0.detach(), before)
    model.eval()
    assert model.recurrent_weights(layer) == {}
    assert torch.equal(model(words)[0], model(words)[0])
    with pytest.raises(ValueError, match="drop_connect must be"):
        LstmLM(9, drop_connect=1.0)


@pytest.mark.parametrize("shared", [True, False])
def test_dropout_is_the_same_at_all_places_only_where_it_is_shared(shared: bool) -> None:
    torch.manual_seed(0)
    model = LstmLM(9, 50, dropout=0.5, shared=shared)
    features, _ = model(torch.randint(9, (2, 6)))
    out = features == 0
    assert bool((out == out[:, :1]).all()) is shared
    assert out.float().mean() == pytest.approx(0.5, abs=0.15)


# ---- what a judge must not let pass ----------------------------------------------------------------------------------------
def test_a_model_that_forgets_at_every_border_is_refused_with_its_name() -> None:
    verdict = verdict_of(exercises.train_lstm_lm.sheet("border"), exercises.state_thrown_away)
    assert not verdict.passed
    assert verdict.misconception == "state_thrown_away"


@pytest.mark.parametrize("at_border", ["the cell", "the state", "state and cell"])
def test_what_was_set_to_zero_between_pieces_is_told_whatever_the_recipe(at_border: str) -> None:
    rng = np.random.default_rng(13)
    text, floor = recurrent.name_sentences(rng, 72, 161, 3)
    parameters = ref.new_lstm_lm(rng, 8, 16)
    optimiser = Adam(parameters, 0.02)
    for _ in range(12):
        h, c = np.zeros((2, 32, 16))
        for start in range(0, 160, 6):
            piece = text[:32, start : start + 7]
            h, c = h * ("state" not in at_border), c * ("cell" not in at_border)
            every = np.ones(piece[:, 1:].shape, dtype=bool)
            _, grads, (h, c) = ref.tied_lm_gradients(parameters, piece[:, :-1], piece[:, 1:], every, (h, c))
            optimiser.step(grads)
    outputs = dict(zip(("embeddings", "u", "w", "b", "bias"), parameters, strict=True))
    said = exercises.predicts_new_text(outputs, {"text": text[32:], "floor": floor, "time": 6})
    assert said is not None
    assert f" With {at_border} set to 0 before every 6 words it is 2." in said


@pytest.mark.parametrize("name", ["lstm_step", "gru_step", "highway_step"])
def test_a_sigmoid_that_overflows_at_either_end_is_refused_and_told(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = getattr(exercises, name)
    for sigmoid in (lambda z: np.exp(z) / (1 + np.exp(z)), lambda z: 1 - np.exp(-z) / (1 + np.exp(-z))):
        for seed in (f"frozen:{name}", "one", "two", "three"):
            sheet = made.sheet(seed)
            with monkeypatch.context() as patch, np.errstate(all="ignore"):
                patch.setattr(ref, "sigmoid", sigmoid)
                verdict = verdict_of(sheet, made.reference)
            assert (verdict.passed, verdict.diagnosis) == (False, "overflow"), seed


@pytest.mark.parametrize(
    "name",
    [
        "lstm_step",
        "lstm_step_backward",
        "lstm_backward",
        "gru_step",
        "gru_step_backward",
        "highway_step",
        "tied_lm_gradients",
    ],
)
def test_the_first_call_that_a_verdict_shows_can_be_pasted(name: str) -> None:
    one = getattr(exercises, name)
    for seed in (f"frozen:{name}", "one"):
        sheet = one.sheet(seed)
        called = dict(verdict_of(sheet, lambda *_, **__: None).evidence)["called"]
        answer = eval(called, {"np": np, name: one.reference})
        want = sheet.questions[0].expected.value
        for got, expected in zip(_flat(answer), _flat(want), strict=True):
            np.testing.assert_allclose(got, expected, atol=1e-4)


def _flat(value: Any) -> list[Any]:
    return [part for entry in value for part in _flat(entry)] if isinstance(value, (list, tuple)) else [value]


def test_training_reaches_the_stated_perplexity_with_other_seeds() -> None:
    for seed in (11, 12):
        rng = np.random.default_rng(seed)
        text, floor = recurrent.name_sentences(rng, 64, 161, 3)
        parameters = ref.train_lstm_lm(text[:32], 8, 6, 15, rng)
        zero, every = np.zeros((32, 24)), np.ones((32, 160), dtype=bool)
        loss = ref.tied_lm_gradients(parameters, text[32:, :-1], text[32:, 1:], every, (zero, zero))[0]
        assert math.exp(loss) < 1.04 * floor


# ---- the chapter, run from top to bottom -----------------------------------------------------------------------------
@pytest.fixture(scope="module")
def run() -> tuple[str, dict[str, Any]]:
    """What the solved chapter prints, and its names afterwards."""
    return run_solved("10_lstm")


@pytest.mark.parametrize(
    "line",
    [
        "u                gradient at lag 10      0.03, at lag 50     4e-08; largest |h| 0.9",
        "h + u            gradient at lag 10         1, at lag 50       1.1; largest |h| 99.1",
        "f h + (1 − f) u  gradient at lag 10      0.26, at lag 50     0.045; largest |h| 0.4",
        "gates i f g o: [0.5  0.75 0.5  0.25]  c 1.7500, h 0.2353",
        "to z_i, z_f, z_g, z_o: [0.0036 0.0107 0.0107 0.1765]  to the cell before: 0.0213",
        "by differences:        [0.0036 0.0107 0.0107 0.1765]  to the cell before: 0.0213",
        "∂loss/∂W[1, 3]: yours 0.007964, by differences 0.007964",
        "gradient at the padded places: 0.0",
        "tanh network:   lag 10 0.11, lag 50 3.9e-06",
        "forget bias 0:  lag 10 0.0034, lag 50 2.9e-12; cell to cell alone 0.001 and 1.2e-15",
        "forget bias 1:  lag 10 0.074, lag 50 1.2e-05; cell to cell alone 0.037 and 1.1e-07",
        "forget bias 3:  lag 10 0.56, lag 50 0.38; cell to cell alone 0.56 and 0.071",
        "z = 1: 0.0",
        "z = 0, r = 1: 0.0",
        "∂/∂h of the first feature: yours -0.054868, by differences -0.054868",
        "ten layers, all gates shut: [[ 0.3 -0.6]]",
        "∂loss/∂E[1, 0]: yours -0.069977, by differences -0.069977",
        "lowest possible 2.182, blind for names 2.749",
    ],
)
def test_the_chapter_prints(run: tuple[str, dict[str, Any]], line: str) -> None:
    assert line in run[0]


def test_the_cells_carry_the_name_and_said_shows_it(run: tuple[str, dict[str, Any]]) -> None:
    pattern = r"(\S+) +cells +(\S+) apart, states (\S+); forget (\S+), output (\S+); next: (\S+) \S+ or (\S+) "
    rows = re.findall(pattern, run[0])
    assert [row[0] for row in rows] == ["Bob/Dee", "some", "all", "any", "said"]
    cells, states, forget, output = (np.array([float(row[k]) for row in rows]) for k in (1, 2, 3, 4))
    assert cells.min() > 0.9 * cells[0]
    assert (states < 0.7 * cells).all()
    assert states.argmax() == 4
    assert forget.argmin() == output.argmin() == 0
    assert forget[1:4].min() > 0.6
    assert rows[-1][5:] == ("Bob", "Dee")
    yours = re.search(r"blind for names \S+, yours (\S+)\n", run[0])
    assert yours is not None
    assert float(yours[1]) < 1.06 * 2.182


def test_shut_gates_are_blind_for_a_while_and_zeros_for_good(run: tuple[str, dict[str, Any]]) -> None:
    found = re.findall(r"(forget bias \S+|zeros) +3 epochs (\S+), 12 epochs (\S+)", run[0])
    after = {name: (float(early), float(late)) for name, early, late in found}
    assert max(after["forget bias 1"]) < 1.1
    assert after["forget bias −4"][0] > 1.2
    assert after["forget bias −4"][1] < 1.1
    assert min(after["zeros"]) > 3.7  # worse than knowing nothing
    knowing_nothing = 8 / 2.182
    assert knowing_nothing == pytest.approx(3.7, abs=0.05)


def test_the_real_run_beside_chapter_9(run: tuple[str, dict[str, Any]]) -> None:
    found = re.search(r"this LSTM (\S+)\n", run[0])
    assert found is not None
    assert 40 < float(found[1]) < 45
    assert run[0].count("and the king said unto") == 2


def test_numbers_on_paper() -> None:
    gates = np.array([[0.5, 0.75, 0.5, 0.25]])
    made = ref.lstm_step_backward(
        *np.array([[[1.0]], [[0.0]], [[1.0]], [[0.5]], [[2.0]]]), gates, *np.zeros((2, 1, 4)), np.zeros(4)
    )
    np.testing.assert_allclose(made[5], [0.0036, 0.0107, 0.0107, 0.1765], atol=5e-5)
    assert made[2][0, 0] == pytest.approx(0.0213, abs=5e-5)
    assert math.tanh(1.75) == pytest.approx(0.9414, abs=5e-5)
    assert math.tanh(1.75) == pytest.approx(0.94138, abs=5e-6)
    at_c = 0.25 * (1 - 0.94138**2)
    assert at_c == pytest.approx(0.0285, abs=5e-5)
    lstm, gru = torch.nn.LSTM(200, 200), torch.nn.GRU(200, 200)
    counts = [sum(p.numel() for name, p in net.named_parameters() if name != "bias_hh_l0") for net in (lstm, gru)]
    assert counts == [320_800, 240_600]  # and d, 200 more


def test_unit_4_of_the_map_of_gates_carries_an_open_quotation() -> None:
    stored = stored_model("gate_map_model")
    text = (Path(__file__).parents[1] / "assets" / "widgets" / "gate_map.mjs").read_text(encoding="utf-8")
    sentences = dict(re.findall(r'^  (plain|quotation): "(.*)"\.split', text, re.M))
    for name, sentence in sentences.items():
        said = sentence.split()
        rows = np.array([[float(each == word) for each in stored["words"]] for word in [".", *said]])
        steps = numbers(lstm_steps(rows, *(np.array(stored[name]) for name in "uwb")))[1:]
        negative = [word for word, step in zip(said, steps, strict=True) if step["c"][3] < 0]
        assert negative == (said[said.index("says") : said.index("”")] if name == "quotation" else [])
    assert len(sentences) == 2


# ---- the fused model -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("mask", [MASK, MASK[:, ::-1].copy(), None], ids=["padded", "in front", "full"])
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-12), (np.float32, 2e-5)])
def test_the_fused_model_equals_the_plain_one(mask: np.ndarray | None, dtype: Any, tolerance: float) -> None:
    rng = np.random.default_rng(11)
    parameters = [p + 0.1 * rng.normal(size=p.shape) for p in ref.new_lstm_lm(rng, 7, 4)]
    words, targets = rng.integers(7, size=(2, 3, 5))
    state = np.tanh(rng.normal(size=(3, 4))), rng.normal(size=(3, 4))
    plain = ref.tied_lm_gradients(parameters, words, targets, np.ones_like(MASK) if mask is None else mask, state)
    low = [p.astype(dtype) for p in parameters], tuple(part.astype(dtype) for part in state)
    fused = ref.fused_tied_lm_gradients(low[0], words, targets, mask, low[1])  # type: ignore[arg-type]
    assert fused[0] == pytest.approx(plain[0], rel=tolerance)
    for got, want in zip([*fused[1], *fused[2]], [*plain[1], *plain[2]], strict=True):
        assert got.dtype == dtype
        np.testing.assert_allclose(got, want, atol=tolerance)


def test_memory_that_is_used_again_changes_no_answer() -> None:
    rng = np.random.default_rng(13)
    room = ref.Room()
    for vocabulary, features, batch, time, dtype in [
        (7, 4, 3, 5, float),
        (7, 4, 3, 5, float),
        (9, 5, 2, 3, np.float32),
    ]:
        parameters = [p.astype(dtype) for p in ref.new_lstm_lm(rng, vocabulary, features)]
        words, targets = rng.integers(vocabulary, size=(2, batch, time))
        mask = rng.random((batch, time)) < 0.7
        mask[0] = True
        state = tuple(rng.normal(size=(batch, features)).astype(dtype) for _ in range(2))
        before = dict(room.arrays)
        again = ref.fused_tied_lm_gradients(parameters, words, targets, mask, state, room)  # type: ignore[arg-type]
        fresh = ref.fused_tied_lm_gradients(parameters, words, targets, mask, state)  # type: ignore[arg-type]
        assert again[0] == fresh[0]
        for got, want in zip([*again[1], *again[2]], [*fresh[1], *fresh[2]], strict=True):
            np.testing.assert_array_equal(got, want)
            # What is handed out is the caller's: the next call must not write over it.
            assert not any(np.shares_memory(got, kept) for kept in room.arrays.values())
        for name, kept in before.items():
            assert (room.arrays[name] is kept) == (kept.dtype == dtype), name


@pytest.mark.parametrize("mask", [MASK, None], ids=["padded", "full"])
def test_the_fused_layer_equals_the_plain_one_with_other_sizes(mask: np.ndarray | None) -> None:
    rng = np.random.default_rng(12)
    u, w, b = weights(rng, 2, 4, 4)
    x, h0, c0 = rng.normal(size=(3, 5, 2)), np.tanh(rng.normal(size=(3, 4))), rng.normal(size=(3, 4))
    upstream, every = rng.normal(size=(3, 5, 4)), np.ones((3, 5), dtype=bool) if mask is None else mask
    hidden, cells = ref.lstm_forward(x, h0, c0, every, u, w, b)
    real = None if mask is None else mask.T[:, :, None]
    kept = ref.fused_lstm_forward(x.transpose(1, 0, 2), h0, c0, real, u, w, b)
    np.testing.assert_allclose(kept["hidden"][1:], hidden.transpose(1, 0, 2), rtol=1e-12)
    np.testing.assert_allclose(kept["cells"][1:], cells.transpose(1, 0, 2), rtol=1e-12)
    made = ref.fused_lstm_backward(upstream.transpose(1, 0, 2).copy(), kept, u, w)
    plain = ref.lstm_backward(upstream, x, h0, c0, every, hidden, cells, u, w, b)
    for got, want in zip((made[0].transpose(1, 0, 2), *made[1:]), plain, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-10, atol=1e-12)
