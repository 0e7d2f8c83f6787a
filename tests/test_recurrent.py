"""Chapter 09: the hand-written network against torch and differences, the fused one against it, and every number it prints."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pytest
import torch
from solved_chapter import run_solved

from autograder.checking import verdict_of
from autograder.exercises import recurrent as exercises
from autograder.gradients import disagreement
from solutions import recurrent as ref

LENGTHS = (3, 5, 1)
MASK = np.arange(5) < np.array(LENGTHS)[:, None]


def weights(rng: np.random.Generator, inputs: int, features: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return rng.normal(size=(inputs, features)), 0.6 * rng.normal(size=(features, features)), rng.normal(size=features)


def torch_rnn(layers: list[Any], inputs: int, both: bool = False) -> torch.nn.RNN:
    """PyTorch's network with our weights; all of our bias in one of its two."""
    features = len(layers[0][0][2])
    made = torch.nn.RNN(inputs, features, len(layers), batch_first=True, bidirectional=both, dtype=torch.float64)
    with torch.no_grad():
        for k, directions in enumerate(layers):
            for (u, w, b), end in zip(directions, ("", "_reverse"), strict=False):
                getattr(made, f"weight_ih_l{k}{end}").copy_(torch.tensor(u.T.copy()))
                getattr(made, f"weight_hh_l{k}{end}").copy_(torch.tensor(w.T.copy()))
                getattr(made, f"bias_ih_l{k}{end}").copy_(torch.tensor(b))
                getattr(made, f"bias_hh_l{k}{end}").zero_()
    return made


# ---- against torch and differences -----------------------------------------------------------------------------------
def test_states_and_gradients_equal_torchs_with_a_first_state() -> None:
    rng = np.random.default_rng(0)
    u, w, b = weights(rng, 3, 4)
    x, h0, upstream = rng.normal(size=(2, 6, 3)), np.tanh(rng.normal(size=(2, 4))), rng.normal(size=(2, 6, 4))
    every = np.ones((2, 6), dtype=bool)
    states = ref.rnn_forward(x, h0, every, u, w, b)
    theirs = torch_rnn([((u, w, b),)], 3)
    tx, th = (torch.tensor(a, requires_grad=True) for a in (x, h0))
    out, last = theirs(tx, th[None])
    np.testing.assert_allclose(states, out.detach().numpy(), rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(states[:, -1], last[0].detach().numpy(), rtol=1e-12)
    (out * torch.tensor(upstream)).sum().backward()
    grads = ref.rnn_backward(upstream, x, h0, every, states, u, w, b)
    expected = (tx.grad, th.grad, theirs.weight_ih_l0.grad.T, theirs.weight_hh_l0.grad.T, theirs.bias_ih_l0.grad)  # type: ignore[union-attr]
    for got, want in zip(grads, expected, strict=True):
        np.testing.assert_allclose(got, want.numpy(), rtol=1e-10, atol=1e-12)  # type: ignore[union-attr]
    # Deck C's second bias: the same gradient.
    torch.testing.assert_close(theirs.bias_ih_l0.grad, theirs.bias_hh_l0.grad)


@pytest.mark.parametrize(
    "mask", [MASK, MASK[:, ::-1].copy(), np.array([[True, False, True, True]])], ids=["behind", "in front", "between"]
)
def test_gradients_through_masks_by_differences(mask: np.ndarray) -> None:
    rng = np.random.default_rng(1)
    u, w, b = weights(rng, 2, 3)
    x, h0 = rng.normal(size=(*mask.shape, 2)), np.tanh(rng.normal(size=(len(mask), 3)))
    states = ref.rnn_forward(x, h0, mask, u, w, b)
    given = {"grad_states": rng.normal(size=states.shape), "x": x, "h0": h0, "mask": mask, "u": u, "w": w, "b": b}
    grads = ref.rnn_backward(states=states, **given)
    assert disagreement(ref.rnn_forward, given, ("x", "h0", "u", "w", "b"), "grad_states", grads) == ""
    assert not grads[0][~mask].any()
    broken = list(grads)
    broken[3] = grads[3] * 1.0001
    assert "gradient of w" in disagreement(ref.rnn_forward, given, ("x", "h0", "u", "w", "b"), "grad_states", broken)


@pytest.mark.parametrize("seed", ["one", "two"])
def test_every_gradient_exercise_agrees_with_differences(seed: str) -> None:
    exercises.rnn_step_backward.verify(seed)
    exercises.rnn_backward.verify(seed)


def test_a_state_at_1000_is_finite_and_passes_nothing_back() -> None:
    u, w, b = np.full((1, 2), 1000.0), np.eye(2), np.zeros(2)
    x = np.array([[[1.0], [-1.0]]])
    every = np.ones((1, 2), dtype=bool)
    states = ref.rnn_forward(x, np.zeros((1, 2)), every, u, w, b)
    assert states.tolist() == [[[1, 1], [-1, -1]]]
    assert not any(
        grad.any() for grad in ref.rnn_backward(np.ones((1, 2, 2)), x, np.zeros((1, 2)), every, states, u, w, b)
    )


@pytest.mark.parametrize("size", [1.0, 1000.0])
def test_masked_loss_equals_torchs(size: float) -> None:
    rng = np.random.default_rng(2)
    logits, targets = rng.uniform(-size, size, size=(3, 5, 4)), rng.integers(4, size=(3, 5))
    loss, grad = ref.masked_lm_loss(logits, targets, MASK)
    tensor = torch.tensor(logits, requires_grad=True)
    wanted = torch.tensor(np.where(MASK, targets, -100)).reshape(-1)
    theirs = torch.nn.functional.cross_entropy(tensor.reshape(-1, 4), wanted, ignore_index=-100)
    theirs.backward()
    assert loss == pytest.approx(theirs.item(), rel=1e-12)
    assert tensor.grad is not None
    np.testing.assert_allclose(grad, tensor.grad.numpy(), rtol=1e-10, atol=1e-15)
    if size == 1.0:
        for at in [(0, 1, 2), (1, 4, 0), (2, 3, 1)]:
            sides = []
            for step in (1e-5, -1e-5):
                moved = logits.copy()
                moved[at] += step
                sides.append(ref.masked_lm_loss(moved, targets, MASK)[0])
            assert grad[at] == pytest.approx((sides[0] - sides[1]) / 2e-5, abs=1e-9)
    with pytest.raises(ValueError, match="no word"):
        ref.masked_lm_loss(logits, targets, np.zeros((3, 5), dtype=bool))


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_stacked_and_bidirectional_equals_torchs_packed(depth: int) -> None:
    rng = np.random.default_rng(3)
    layers = [tuple(weights(rng, 2 if k == 0 else 6, 3) for _ in range(2)) for k in range(depth)]
    x = rng.normal(size=(3, 5, 2))
    theirs = torch_rnn(layers, 2, both=True)
    pack = torch.nn.utils.rnn.pack_padded_sequence(
        torch.tensor(x), list(LENGTHS), batch_first=True, enforce_sorted=False
    )
    out, _ = torch.nn.utils.rnn.pad_packed_sequence(theirs(pack)[0], batch_first=True)
    got = ref.bidirectional_rnn(x, MASK, layers)  # type: ignore[arg-type]
    np.testing.assert_allclose(got, out.detach().numpy(), rtol=1e-10, atol=1e-12)


def test_norms_by_lag_equal_torchs() -> None:
    rng = np.random.default_rng(4)
    u, w, b = weights(rng, 2, 3)
    x, h = torch.tensor(rng.normal(size=(4, 6, 2))), torch.zeros(4, 3, dtype=torch.float64)
    kept = []
    for t in range(6):
        h = torch.tanh(x[:, t] @ torch.tensor(u) + h @ torch.tensor(w) + torch.tensor(b))
        h.requires_grad_() if t == 0 else h.retain_grad()
        kept.append(h)
    last = rng.normal(size=(4, 3))
    (kept[-1] * torch.tensor(last)).sum().backward()
    states = np.stack([h.detach().numpy() for h in kept], axis=1)
    norms = [float(h.grad.norm()) for h in kept[::-1] if h.grad is not None]
    np.testing.assert_allclose(ref.gradient_norms(last, states, w), norms, rtol=1e-10)


@pytest.mark.parametrize("radius", [0.8, 0.9, 1.0, 1.3])
def test_without_slopes_the_long_run_multiplies_by_the_spectral_radius(radius: float) -> None:
    w = ref.with_spectral_radius(np.random.default_rng(0).normal(size=(12, 12)), radius)
    assert np.abs(np.linalg.eigvals(w)).max() == pytest.approx(radius)
    norms = ref.gradient_norms(np.ones((1, 12)), np.zeros((1, 601, 12)), w)
    assert (norms[600] / norms[200]) ** (1 / 400) == pytest.approx(radius, rel=0.01)
    busy = ref.gradient_norms(np.ones((1, 12)), np.full((1, 601, 12), 0.5), w)  # all slopes are ¾
    assert (busy[600] / busy[200]) ** (1 / 400) == pytest.approx(0.75 * radius, rel=0.01)


# ---- sampling ----------------------------------------------------------------------------------------------------------
def test_sampling_in_cases_that_are_known() -> None:
    scores = np.log([0.5, 0.2, 0.15, 0.1, 0.05])
    for settings, expected in [
        ({}, [0.5, 0.2, 0.15, 0.1, 0.05]),
        ({"top_k": 3}, [0.588, 0.235, 0.176, 0, 0]),
        ({"top_p": 0.6}, [0.714, 0.286, 0, 0, 0]),
        ({"temperature": 0.5}, [0.769, 0.123, 0.069, 0.031, 0.008]),
        ({"temperature": 0}, [1, 0, 0, 0, 0]),
        ({"top_k": 3, "top_p": 0.58}, [1, 0, 0, 0, 0]),
    ]:
        np.testing.assert_allclose(ref.word_probabilities(scores, **settings), expected, atol=6e-4)  # type: ignore[arg-type]
    for wrong in ({"temperature": -1}, {"top_k": 0}, {"top_p": 0.0}, {"top_p": 1.1}):
        with pytest.raises(ValueError, match="no such settings"):
            ref.word_probabilities(scores, **wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "settings", [(1.0, None, None), (0.7, 5, None), (1.4, None, 0.8), (2.0, 6, 0.5), (0.0, None, None)]
)
def test_sampling_agrees_with_the_engines(settings: tuple[float, int | None, float | None]) -> None:
    from course.kit.language_models import choose

    scores = np.random.default_rng(5).normal(size=20)
    p = np.exp(scores) / np.exp(scores).sum()
    np.testing.assert_allclose(ref.word_probabilities(scores, *settings), choose(p, *settings), atol=1e-12)
    assert ref.word_probabilities(1000 * scores / np.abs(scores).max(), *settings).sum() == pytest.approx(1)


def test_a_nucleus_that_is_full_takes_no_further_word() -> None:
    def one_more(logits, temperature=1.0, top_k=None, top_p=None):  # type: ignore[no-untyped-def]
        p = ref.word_probabilities(logits, temperature, top_k)
        if top_p is None or temperature == 0 or not 0 < top_p <= 1:
            return ref.word_probabilities(logits, temperature, top_k, top_p)
        order = np.argsort(-p, kind="stable")
        p[order[np.cumsum(p[order]) - p[order] > top_p]] = 0.0
        return p / p.sum()

    assert not verdict_of(exercises.word_probabilities.sheet("full"), one_more).passed


# ---- the fused network -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("mask", [MASK, MASK[:, ::-1].copy(), None], ids=["padded", "in front", "full"])
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-12), (np.float32, 2e-5)])
def test_the_fused_network_equals_the_plain_one(mask: np.ndarray | None, dtype: Any, tolerance: float) -> None:
    rng = np.random.default_rng(6)
    parameters = [p + 0.1 * rng.normal(size=p.shape) for p in ref.new_rnn_lm(rng, 7, 4)]
    words, targets, h0 = rng.integers(7, size=(3, 5)), rng.integers(7, size=(3, 5)), np.tanh(rng.normal(size=(3, 4)))
    plain = ref.rnn_lm_gradients(parameters, words, targets, np.ones_like(MASK) if mask is None else mask, h0)
    fused = ref.fused_rnn_lm_gradients([p.astype(dtype) for p in parameters], words, targets, mask, h0.astype(dtype))
    assert fused[0] == pytest.approx(plain[0], rel=tolerance)
    for got, want in zip([*fused[1], fused[2]], [*plain[1], plain[2]], strict=True):
        assert got.dtype == dtype
        np.testing.assert_allclose(got, want, atol=tolerance)


@pytest.mark.parametrize("at_a_time", [1, 20, 1 << 16], ids=["row by row", "three rows", "all"])
@pytest.mark.parametrize("masked", [False, True])
def test_the_loss_in_place_is_torchs_own_however_many_rows_at_a_time(
    at_a_time: int, masked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ref, "IN_CACHE", at_a_time)
    rng = np.random.default_rng(8)
    logits, wanted = rng.normal(scale=300, size=(11, 6)), rng.integers(6, size=11)
    real = np.arange(11) % 4 != 1
    x = torch.tensor(logits, requires_grad=True)
    rows = torch.tensor(real) if masked else slice(None)
    want = torch.nn.functional.cross_entropy(x[rows], torch.tensor(wanted)[rows])
    want.backward()  # type: ignore[no-untyped-call]
    loss, grad = ref.softmax_loss_in_place(logits, wanted, real if masked else None)
    assert loss == pytest.approx(want.item(), rel=1e-12)
    assert grad is logits
    np.testing.assert_allclose(grad, x.grad, atol=1e-15)


def test_the_models_gradients_by_differences() -> None:
    rng = np.random.default_rng(7)
    parameters = ref.new_rnn_lm(rng, 5, 3)
    words, targets, h0 = rng.integers(5, size=(3, 5)), rng.integers(5, size=(3, 5)), np.tanh(rng.normal(size=(3, 3)))
    _, grads, _ = ref.rnn_lm_gradients(parameters, words, targets, MASK, h0)
    for k, grad in enumerate(grads):
        for at in np.ndindex(grad.shape):
            sides = []
            for step in (1e-5, -1e-5):
                moved = [p.copy() for p in parameters]
                moved[k][at] += step
                sides.append(ref.rnn_lm_gradients(moved, words, targets, MASK, h0)[0])
            assert grad[at] == pytest.approx((sides[0] - sides[1]) / 2e-5, abs=1e-8)


def test_equal_words_add_up() -> None:
    words, grad = np.array([3, 1, 3, 3, 0]), np.arange(10.0).reshape(5, 2)
    expected = np.zeros((5, 2))
    np.add.at(expected, words, grad)
    assert np.array_equal(ref.summed_by_word(words, grad, 5), expected)


# ---- the language of names, and the decks ------------------------------------------------------------------------------
@pytest.mark.parametrize("between", [1, 2, 3])
def test_the_lowest_perplexity_of_the_language_of_names(between: int) -> None:
    text, floor = ref.name_sentences(np.random.default_rng(0), 500, 20 * (between + 3), between)
    assert text.shape == (500, 20 * (between + 3))
    sentences = text.reshape(-1, between + 3)
    assert np.array_equal(sentences[:, 0], sentences[:, -1])
    assert not sentences[:, -2].any()
    # The source knows each choice: the probability of a text is that of its names and of its other words.
    nats = np.log(4) + between * np.log(3)
    assert floor == pytest.approx(math.exp(nats / (between + 3)))
    for values, column in [(range(1, 5), sentences[:, 0]), (range(5, 8), sentences[:, 1])]:
        np.testing.assert_allclose([np.mean(column == v) for v in values], 1 / len(values), atol=0.02)


def test_deck_a_every_prediction_depends_on_the_first_word() -> None:
    rng = np.random.default_rng(8)
    parameters = ref.new_rnn_lm(rng, 6, 4)
    embeddings, u, w, b, v, c = parameters
    words = np.array([[1, 2, 3, 4], [5, 2, 3, 4]])  # two texts, another w₁
    states = ref.rnn_forward(embeddings[words], np.zeros((2, 4)), np.ones((2, 4), dtype=bool), u, w, b)
    for t in range(4):
        first, second = (ref.word_probabilities(row @ v + c) for row in states[:, t])
        assert np.abs(first - second).max() > 1e-5, t


def test_deck_b_chain_holds_for_transposed_jacobians_only() -> None:
    rng = np.random.default_rng(9)
    u, w, b = weights(rng, 2, 3)
    x, h0, last = 0.3 * rng.normal(size=(1, 4, 2)), np.zeros((1, 3)), rng.normal(size=3)
    b *= 0.2
    every = np.ones((1, 4), dtype=bool)
    states = ref.rnn_forward(x, h0, every, u, w, b)
    jacobians = [np.diag(1 - states[0, k] ** 2) @ w.T for k in (1, 2, 3)]  # ∂h_k+1/∂h_k, one row an output
    moved = []
    for i in range(3):
        sides = []
        for step in (1e-6, -1e-6):
            h1 = states[:, 0].copy()
            h1[0, i] += step
            sides.append(ref.rnn_forward(x[:, 1:], h1, every[:, 1:], u, w, b)[0, -1] @ last)
        moved.append((sides[0] - sides[1]) / 2e-6)
    np.testing.assert_allclose(last @ jacobians[2] @ jacobians[1] @ jacobians[0], moved, atol=1e-8)
    np.testing.assert_allclose(jacobians[0].T @ jacobians[1].T @ jacobians[2].T @ last, moved, atol=1e-8)
    assert np.abs(jacobians[0] @ jacobians[1] @ jacobians[2] @ last - moved).max() > 0.01
    assert np.abs(last @ jacobians[0] @ jacobians[1] @ jacobians[2] - moved).max() > 0.01


def test_deck_b_a_text_of_t_words_has_one_answer_less() -> None:
    words = np.array([[4, 2, 0, 1, 3]])
    asked = words[:, 1:]
    assert asked.shape[1] == words.shape[1] - 1
    logits = np.zeros((1, 5, 6))
    with pytest.raises(ValueError, match=r"shape|broadcast|mismatch"):
        ref.masked_lm_loss(logits, asked, np.ones((1, 5), dtype=bool))
    with_end = np.append(asked, [[5]], axis=1)  # the end counts as a word
    assert ref.masked_lm_loss(logits, with_end, np.ones((1, 5), dtype=bool))[0] == pytest.approx(math.log(6))


def test_training_reaches_the_stated_perplexity_with_other_seeds() -> None:
    for seed in (11, 12):
        rng = np.random.default_rng(seed)
        (train, floor), (test, _) = (ref.name_sentences(rng, 32, 201, 2) for _ in range(2))
        parameters = ref.train_rnn_lm(train, 8, 4, 20, rng)
        every = np.ones((32, 200), dtype=bool)
        loss, *_ = ref.fused_rnn_lm_gradients(parameters, test[:, :-1], test[:, 1:], every, np.zeros((32, 24)))
        assert math.exp(loss) < 1.1 * floor


# ---- the chapter, run from top to bottom -----------------------------------------------------------------------------
@pytest.fixture(scope="module")
def run() -> tuple[str, dict[str, Any]]:
    """What the solved chapter prints, and its names afterwards."""
    return run_solved("09_recurrent")


@pytest.mark.parametrize(
    "line",
    [
        "3-gram: a table of    512 numbers, perplexity 2.702",
        "4-gram: a table of  4,096 numbers, perplexity 2.703",
        "5-gram: a table of 32,768 numbers, perplexity 2.051",
        "nobody can do better than 2.048",
        "h1 0.4621, h2 0.8905, loss 0.5411",
        "the second step alone: grad_h1 0.3687, grad_u 0.3687, grad_w 0.0852",
        "by differences: grad_h1 0.3687",
        "grad_h0 [-0.266]",
        "grad_u [0.2357]",
        "grad_w [0.0519]",
        "grad_b [0.0514]",
        "grad_w by differences: 0.0519",
        "loss 0.5124 = (4·0.1206 + 1·2.0794)/5; mean of the texts' means: 1.1000",
        "gradient at the padded places: 0.0",
        "ρ = 0.8, all states 0: lag 10 0.055, lag 50 8.9e-07; a step of the long run × 0.800",
        "ρ = 1.2, all states 0: lag 10 3.2, lag 50 5.7e+02; a step of the long run × 1.200",
        "ρ = 1.2, with words: lag 10 0.14, lag 50 0.00015; a step of the long run × 0.842",
        "ρ = 0.5, ‖W‖ = 4.06 lengths: 1.41 4.53 4.26",
        "another last word changes places 1 … 5 by 0.0004 0.0014 0.0223 0.3666 1.9340",
        "{'temperature': 0.5} [0.769 0.123 0.069 0.031 0.008]",
        "{'top_k': 3}         [0.588 0.235 0.176 0.    0.   ]",
        "{'top_p': 0.6}       [0.714 0.286 0.    0.    0.   ]",
        "blind for names 2.702",
        "three words between: lowest 2.182, blind 1.26 times that",
    ],
)
def test_the_chapter_prints(run: tuple[str, dict[str, Any]], line: str) -> None:
    assert line in run[0]


def test_every_number_of_the_paper_example() -> None:
    made = ref.two_step_example(0.5, 2.0, -0.5, 0.25, (1.0, 2.0), (1.0, 0.0))
    expected = {
        **{"z1": 0.5, "h1": 0.4621, "z2": 1.4242, "h2": 0.8905, "loss": 0.5411, "own1": -0.5379, "own2": 0.8905},
        **{"grad_h2": 0.8905, "grad_z2": 0.1844, "back1": 0.3687, "grad_h1": -0.1691, "grad_z1": -0.1330},
        **{"grad_u": 0.2357, "grad_w": 0.0519, "grad_b": 0.0514, "grad_h0": -0.2660},
    }
    assert made == pytest.approx(expected, abs=5.1e-5)
    assert made["grad_z2"] * made["h1"] == pytest.approx(0.0852, abs=5e-5)
    assert made["grad_z1"] * 0.25 == pytest.approx(-0.0333, abs=5.1e-5)
    assert 0.5 * made["own1"] ** 2 == pytest.approx(0.1447, abs=5e-5)
    assert 0.5 * made["own2"] ** 2 == pytest.approx(0.3965, abs=5e-5)
    u, w, b, h0 = np.array([[0.5]]), np.array([[2.0]]), np.array([-0.5]), np.array([[0.25]])
    x, every = np.array([[[1.0], [2.0]]]), np.ones((1, 2), dtype=bool)
    states = ref.rnn_forward(x, h0, every, u, w, b)
    grads = ref.rnn_backward(states - [[[1.0], [0.0]]], x, h0, every, states, u, w, b)
    for got, name in zip(grads[1:], ("grad_h0", "grad_u", "grad_w", "grad_b"), strict=True):
        assert float(got.ravel()[0]) == pytest.approx(made[name], rel=1e-12)


def test_text_2_keeps_its_state_and_a_first_word_reaches_all(run: tuple[str, dict[str, Any]]) -> None:
    states = re.search(r"text 2, places 2 to 4: (\[.*?\]) (\[.*?\]) (\[.*?\])", run[0])
    assert states is not None
    assert states[1] == states[2] == states[3]
    moves = re.search(r"changes h1 … h4 by (.*)", run[0])
    assert moves is not None
    assert min(map(float, moves[1].split())) > 0


def test_short_pieces_stay_blind(run: tuple[str, dict[str, Any]]) -> None:
    found = {int(t): float(r) for t, r in re.findall(r"pieces of +(\d+): (\S+) times", run[0])}
    assert found[2] == pytest.approx(1.26, abs=0.03)
    assert found[12] < 1.05 < found[4] < 1.27
    yours = re.search(r"yours (\S+)\n", run[0])
    assert yours is not None
    assert float(yours[1]) < 1.2 * 2.048


def test_names_match_at_temperature_1_and_clipping_helps(run: tuple[str, dict[str, Any]]) -> None:
    spoken = run[1]["speak"](run[1]["trained"], 200, 1)
    pairs = [(spoken[t - 3], spoken[t + 1]) for t in range(3, 200) if spoken[t] == 0]
    assert np.mean([a == b for a, b in pairs]) > 0.9
    assert run[1]["speak"](run[1]["trained"], 30, 1, temperature=0.0) == run[1]["speak"](
        run[1]["trained"], 30, 2, temperature=0.0
    )
    means = {limit: float(mean) for limit, mean in re.findall(r"limit (\S+): .* 50 losses (\S+) on average", run[0])}
    assert means["1.0"] < 1.0 < 1.3 < means["inf"]


def test_the_real_run_beside_counting(run: tuple[str, dict[str, Any]]) -> None:
    found = re.search(r"mixed bigrams (\S+); yours (\S+)", run[0])
    assert found is not None
    assert float(found[1]) == pytest.approx(74.7, abs=0.1)
    assert 45 < float(found[2]) < 54
    assert run[0].count("and the king said unto") == 4


def test_chapter_8s_figures_that_the_text_cites() -> None:
    from course.kit.corpora import load
    from solutions.ngrams import KneserNey

    corpus = load("king_james")
    assert len(corpus.vocabulary) == 10_000
    assert len(corpus.train) == pytest.approx(853_000, abs=500)
    for order, expected in [(2, 65.98), (3, 47.04), (5, 41.15)]:
        model = KneserNey(order).fit(corpus.train, 10_000)
        assert np.exp(-model.log_probabilities(corpus.test).mean()) == pytest.approx(expected, abs=0.005)


def test_what_the_chapter_says_of_the_widget() -> None:
    from widgets.cases import lehmer_bells

    draw = lehmer_bells(36, 3).reshape(6, 6)
    unit = ref.with_spectral_radius(draw + draw.T, 1.0)
    last = np.ones((1, 6)) / np.sqrt(6)
    for radius, expected in [(0.95, 0.05), (1.0, 0.41), (1.05, 2.87)]:
        norms = ref.gradient_norms(last, np.zeros((1, 41, 6)), radius * unit)
        assert norms[40] == pytest.approx(expected, abs=5e-3)


def test_the_benchmarks_two_sides_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util
    from pathlib import Path

    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.setenv(name, "1")  # the script sets them for good; here they are put back

    path = Path(__file__).resolve().parents[1] / "benchmarks" / "numpy_layers.py"
    spec = importlib.util.spec_from_file_location("numpy_layers", path)
    assert spec is not None
    assert spec.loader is not None
    bench = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(bench)
    for make in (bench.elman, bench.lstm):
        row = bench.race(*make(features=8, vocabulary=20, batch=3, steps=5), repeats=2)  # it compares before it times
        assert row["ratio"] > 0
    assert bench.race(*bench.attention(features=8, heads=2, batch=3, steps=5), repeats=2)["ratio"] > 0
    assert "thread" in bench.settings()["numpy"]
    assert set(bench.LAYERS) >= {"Elman 200, 1,000 words", "LSTM 200, 1,000 words", "attention 128, 4 heads"}
