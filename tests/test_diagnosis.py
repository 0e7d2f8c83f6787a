"""Algebra on arrays alone: each class of mistake is named from what it does to the numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autograder.checking import verdict_of
from autograder.comparison import agreement
from autograder.diagnosis import Pair, explain
from autograder.exercise import Exercise, case, exercise
from autograder.verdict import Verdict


def make(reference: Callable[..., Any], cases: Callable[..., Any], **options: Any) -> Exercise:
    cases.__doc__ = "A promise."
    cases.__name__ = reference.__name__
    return exercise(reference, points=1, **options)(cases)


def diagnose(made: Exercise, wrong: Callable[..., Any]) -> Verdict:
    found = verdict_of(made.sheet("seed"), wrong)
    assert not found.passed
    words = " ".join(
        [found.headline, found.advice, *(v for k, v in found.evidence if k in ("found", "because"))]
    ).split()
    assert len(words) <= 160
    return found


def affine_backward(grad_y: np.ndarray, x: np.ndarray, w: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gradients of a mean loss through xw + b."""
    n = len(x)
    return grad_y @ w.T / n, x.T @ grad_y / n, grad_y.sum(axis=0) / n


def affine_cases(rng):  # type: ignore[no-untyped-def]
    for batch, inputs, outputs in [(4, 3, 5), (7, 5, 2), (6, 6, 6)]:
        yield case(
            grad_y=rng.normal(size=(batch, outputs)),
            x=rng.normal(size=(batch, inputs)),
            w=rng.normal(size=(inputs, outputs)),
        )


AFFINE = make(affine_backward, affine_cases, returns=("grad_x", "grad_w", "grad_b"))


def change(which: int, how: Callable[..., Any]) -> Callable[..., Any]:
    def wrong(grad_y, x, w):  # type: ignore[no-untyped-def]
        parts = list(affine_backward(grad_y, x, w))
        parts[which] = how(parts[which], grad_y, x, w)
        return tuple(parts)

    return wrong


@pytest.mark.parametrize(
    ("which", "how", "kind", "words"),
    [
        (1, lambda g, *_: -g, "sign", "`grad_w` has the wrong sign everywhere"),
        (
            1,
            lambda g, grad_y, x, w: g * len(x),
            "factor",
            "exactly 4 times too large; 4 is the number of rows of `grad_y`",
        ),
        (1, lambda g, grad_y, x, w: g / len(x), "factor", "exactly 4 times too small"),
        (
            1,
            lambda g, grad_y, x, w: g / np.sqrt(x.shape[1]),
            "factor",
            "exactly √3 times too small; 3 is the number of columns of `x`",
        ),
        (2, lambda g, *_: 2 * g, "factor", "exactly 2 times the right answer"),
        (1, lambda g, *_: g.T, "transpose", "exactly the transpose"),
        (
            2,
            lambda g, grad_y, x, w: grad_y / len(x),
            "missing sum",
            "still has the axis of length 4 over which a sum is missing",
        ),
        (1, lambda g, *_: g.sum(axis=0), "doubled sum", "over an axis that has to stay, the one of length 3"),
        (0, lambda g, grad_y, x, w: g + x, "missing term", "contains once too often one term: `x`"),
        (0, lambda g, grad_y, x, w: g + 1.0, "offset", "off by the same number everywhere: 1 too large"),
        (0, lambda g, *_: g[::-1], "reversed", "in reverse order along axis 0"),
        (0, lambda g, *_: np.roll(g, 1, axis=0), "shift", "one step too late"),
        (0, lambda g, *_: np.roll(g, -1, axis=0), "shift", "one step too early"),
        (
            0,
            lambda g, *_: np.where(np.arange(len(g))[:, None] == 0, g, g + np.sin(g) + 1),
            "only one step",
            "right at the first step along axis 0",
        ),
        (
            0,
            lambda g, *_: np.where(np.arange(len(g))[:, None] == len(g) - 1, g, g + np.sin(g) + 1),
            "only one step",
            "right at the last step",
        ),
        (0, lambda g, *_: np.where(g > 0.1, g, 0.0), "mask", "is exactly 0 where the right answer is not"),
        (0, lambda g, *_: g**3, "", "`grad_x` is"),
    ],
)
def test_classes_of_wrong_gradients(which: int, how: Callable[..., Any], kind: str, words: str) -> None:
    found = diagnose(AFFINE, change(which, how))
    assert found.diagnosis == kind, found.headline
    assert words in found.headline
    right = {o.name: o.right for o in found.outputs}
    name = AFFINE.returns[which]
    assert right[name] is False
    assert all(ok for other, ok in right.items() if other != name)


def test_a_constant_or_empty_answer_is_not_taken_for_a_sum_over_an_axis() -> None:
    """One number everywhere is the mean over any axis, and nothing is the sum of nothing, whatever was computed."""

    def halves(x: np.ndarray) -> np.ndarray:
        return np.full(len(x), 0.5)

    def nothing(x: np.ndarray) -> np.ndarray:
        return np.zeros(0)

    def cases(rng):  # type: ignore[no-untyped-def]
        yield case(x=rng.normal(size=(3, 4)))
        yield case(x=rng.normal(size=(2, 4)))

    for reference, wrong in ((halves, lambda x: np.full(x.shape, 0.5)), (nothing, lambda x: np.zeros((0, 4)))):
        found = diagnose(make(reference, cases), wrong)
        assert found.diagnosis not in ("missing sum", "doubled sum"), found.headline


def softmax(logits: np.ndarray) -> np.ndarray:
    """Rows to distributions."""
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def softmax_cases(rng):  # type: ignore[no-untyped-def]
    yield case(logits=rng.normal(size=(4, 3)))
    yield case(logits=1000 * rng.normal(size=(3, 5)))


SOFTMAX = make(softmax, softmax_cases)


def without_the_maximum(logits: np.ndarray) -> np.ndarray:
    e = np.exp(logits)
    return e / e.sum(axis=1, keepdims=True)


def over_the_batch(logits: np.ndarray) -> np.ndarray:
    e = np.exp(logits - logits.max(axis=0))
    return e / e.sum(axis=0)


def test_an_overflow_and_a_wrong_axis() -> None:
    found = diagnose(SOFTMAX, without_the_maximum)
    assert found.diagnosis == "overflow"
    assert "an exponential overflowed" in found.headline
    assert any("RuntimeWarning" in note for note in found.notes)
    found = diagnose(SOFTMAX, over_the_batch)
    assert found.diagnosis == "wrong axis"
    assert "normalised along axis 0; it has to be axis 1" in found.headline
    assert diagnose(SOFTMAX, lambda logits: np.log(np.maximum(softmax(logits[:, :]), 1e-300))).diagnosis == "function"


def causal_scores(q: np.ndarray, k: np.ndarray) -> np.ndarray:
    """Scores of the past."""
    scores = q @ k.T / np.sqrt(q.shape[1])
    return np.where(np.tril(np.ones(scores.shape, dtype=bool)), scores, 0.0)


def score_cases(rng):  # type: ignore[no-untyped-def]
    for time, size in [(4, 3), (6, 5)]:
        yield case(q=rng.normal(size=(time, size)), k=rng.normal(size=(time, size)))


SCORES = make(causal_scores, score_cases)


def scores(q: np.ndarray, k: np.ndarray, offset: int, root: bool = True) -> np.ndarray:
    s = q @ k.T / (np.sqrt(q.shape[1]) if root else 1.0)
    return np.where(np.tril(np.ones(s.shape, dtype=bool), offset), s, 0.0)


def test_masks_and_the_missing_root() -> None:
    assert diagnose(SCORES, lambda q, k: scores(q, k, 1)).diagnosis == "mask off by one"
    assert diagnose(SCORES, lambda q, k: scores(q, k, -1)).diagnosis == "mask off by one"
    assert diagnose(SCORES, lambda q, k: scores(q, k, 99)).diagnosis == "mask"
    found = diagnose(SCORES, lambda q, k: scores(q, k, 0, root=False))
    assert found.headline == "The result is exactly √3 times too large; 3 is the number of columns of `q`."


def embedding_backward(ids: np.ndarray, grad: np.ndarray, size: int) -> np.ndarray:
    """Scatter-add."""
    table = np.zeros((size, grad.shape[1]))
    np.add.at(table, ids, grad)
    return table


def embedding_cases(rng):  # type: ignore[no-untyped-def]
    yield case(ids=np.array([1, 3, 1, 0]), grad=rng.normal(size=(4, 2)), size=5)
    yield case(ids=np.array([2, 2, 2, 4, 0]), grad=rng.normal(size=(5, 3)), size=6)


def overwrites(ids: np.ndarray, grad: np.ndarray, size: int) -> np.ndarray:
    table = np.zeros((size, grad.shape[1]))
    table[ids] += grad
    return table


def test_overwritten_instead_of_accumulated() -> None:
    found = diagnose(make(embedding_backward, embedding_cases), overwrites)
    assert found.diagnosis == "overwritten"
    assert "used more than once" in found.headline


def step(w: np.ndarray, grad: np.ndarray, lr: float) -> np.ndarray:
    """Scaled gradient."""
    return lr * grad + 0.1 * w


def step_cases(rng):  # type: ignore[no-untyped-def]
    for lr in (0.5, 0.2):
        yield case(w=rng.normal(size=4), grad=rng.normal(size=4), lr=lr)


def test_named_terms_and_missing_scalar_factors() -> None:
    made = make(step, step_cases)

    @made.term("the weight decay")
    def decay(w, grad, lr):  # type: ignore[no-untyped-def]
        return 0.1 * w

    found = diagnose(made, lambda w, grad, lr: lr * grad)
    assert found.headline == "The result lacks one term: the weight decay."
    found = diagnose(made, lambda w, grad, lr: lr * grad + 0.2 * w)
    assert "contains once too often one term: the weight decay" in found.headline
    found = diagnose(made, lambda w, grad, lr: step(w, grad, lr) / lr)
    assert found.headline == "The result lacks the factor `lr`."


def test_the_bank_comes_first_and_can_be_switched_off() -> None:
    from autograder.sandbox.calling import call
    from autograder.verdict import judge

    made = make(step, step_cases)

    @made.mistake("The step goes uphill.")
    def uphill(w, grad, lr):  # type: ignore[no-untyped-def]
        return -(lr * grad + 0.1 * w)

    sheet = made.sheet("seed")
    answers = [call(uphill, question.inputs) for question in sheet.questions]
    assert (judge(sheet, answers).diagnosis, judge(sheet, answers).misconception) == ("misconception", "uphill")
    assert (judge(sheet, answers, bank=False).diagnosis, judge(sheet, answers, bank=False).misconception) == (
        "sign",
        "",
    )


def powers(name: str, x: np.ndarray) -> np.ndarray:
    """The slope of a power that is chosen by name."""
    return {"square": 2 * x, "cube": 3 * x**2}[name]


def power_cases(rng):  # type: ignore[no-untyped-def]
    for name in ("square", "cube"):
        yield case("some numbers", name=name, x=rng.normal(size=4))
        yield case("others", name=name, x=rng.normal(size=3))


def test_a_known_mistake_in_one_of_several_functions_chosen_by_name() -> None:
    made = make(powers, power_cases)

    @made.mistake("The exponent did not come down.")
    def exponent_lost(name, x):  # type: ignore[no-untyped-def]
        return {"square": x, "cube": x**2}[name]

    def in_the_cube_alone(name, x):  # type: ignore[no-untyped-def]
        return {"square": 2 * x, "cube": x**2}[name]

    def in_one_case_of_the_cube(name, x):  # type: ignore[no-untyped-def]
        return {"square": 2 * x, "cube": x**2 if len(x) == 3 else 3 * x**2}[name]

    def beside_something_else(name, x):  # type: ignore[no-untyped-def]
        return {"square": x + 0.1, "cube": x**2}[name]

    assert diagnose(made, exponent_lost).misconception == "exponent_lost"
    assert diagnose(made, in_the_cube_alone).misconception == "exponent_lost"
    assert diagnose(made, in_one_case_of_the_cube).misconception == ""
    assert diagnose(made, beside_something_else).misconception == ""


def logarithm(x: np.ndarray) -> np.ndarray:
    """The logarithm of the sum of exponentials, taken off."""
    return x - np.logaddexp.reduce(x, axis=1, keepdims=True)


def test_a_guessed_cause_is_no_evidence_beside_a_known_one() -> None:
    def cases(rng):  # type: ignore[no-untyped-def]
        yield case(x=rng.normal(size=(3, 2)))
        yield case(x=np.array([[1000.0, 0.0], [1.0, 2.0]]))

    made = make(logarithm, cases)

    @made.mistake("The logarithm of a rounded number.")
    def rounded(x):  # type: ignore[no-untyped-def]
        e = np.exp(x - x.max(axis=1, keepdims=True))
        with np.errstate(divide="ignore"):
            return np.log(e / e.sum(axis=1, keepdims=True))

    found = diagnose(made, rounded)
    assert (found.misconception, dict(found.evidence).get("because")) == ("rounded", None)
    assert verdict_of(made.sheet("seed"), rounded, bank=False).diagnosis == "overflow"


def test_what_was_not_finite_before_the_call_did_not_overflow_in_it() -> None:
    def kept(x: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """Zeros in place of what is masked."""
        return np.where(mask, x, 0.0)

    def cases(rng):  # type: ignore[no-untyped-def]
        x = rng.normal(size=(3, 2))
        x[1, 1] = np.inf
        yield case(x=x, mask=np.isfinite(x))

    def multiplied(x, mask):  # type: ignore[no-untyped-def]
        with np.errstate(invalid="ignore"):
            return x * mask

    found = diagnose(make(kept, cases), multiplied)
    assert "overflow" not in found.diagnosis + found.headline


def test_nothing_is_diagnosed_of_noise_and_it_says_what_it_knows() -> None:
    rng = np.random.default_rng(5)
    for _ in range(20):
        found = diagnose(
            AFFINE, lambda grad_y, x, w: tuple(rng.normal(size=p.shape) for p in affine_backward(grad_y, x, w))
        )
        assert found.diagnosis == ""
        assert "`grad_x` is" in found.headline
        assert len(found.outputs) == 3


@given(
    shapes=st.lists(st.lists(st.integers(0, 4), max_size=3), min_size=1, max_size=3),
    seed=st.integers(0, 2**32 - 1),
    kind=st.sampled_from(["same shape", "other shape", "nan", "integers", "bools"]),
)
@settings(max_examples=300, deadline=None)
def test_whatever_the_arrays_are_the_diagnosis_never_fails(shapes: list[list[int]], seed: int, kind: str) -> None:
    rng = np.random.default_rng(seed)
    pairs = []
    for number, shape in enumerate(shapes):
        want = rng.normal(size=shape)
        have = rng.normal(size=shape if kind != "other shape" else [*shape[::-1], 2])
        if kind == "nan" and have.size:
            have = np.where(rng.random(have.shape) < 0.5, np.nan, have)
        if kind == "integers":
            have = np.asarray(have * 3).astype(int)
        if kind == "bools":
            want, have = np.asarray(want > 0), np.asarray(have > 0)
        inputs = {f"x{number}": rng.normal(size=3), "ids": rng.integers(0, 3, size=4), "lr": np.asarray(0.1)}
        pairs.append(
            Pair(np.asarray(want), np.asarray(have), inputs, {"term": np.asarray(want)} if number == 0 else {})
        )

    def agree(a: np.ndarray, b: np.ndarray) -> bool:
        return a.shape == b.shape and bool(agreement(a, b).all())

    found = explain(pairs, agree, "The result")
    assert found is None or found.sentence


def test_axes_in_another_order_are_named() -> None:
    def heads(x: np.ndarray) -> np.ndarray:
        """Move an axis."""
        return np.exp(x.transpose(1, 0, 2))

    def cases(rng):  # type: ignore[no-untyped-def]
        yield case(x=rng.normal(size=(2, 3, 4)))
        yield case(x=rng.normal(size=(5, 2, 3)))

    found = diagnose(make(heads, cases), lambda x: np.exp(x))
    assert found.diagnosis == "transpose"
    assert "axes in another order" in found.headline


def test_an_approximation_is_called_one() -> None:
    found = diagnose(AFFINE, change(0, lambda g, *_: g + 1e-6 * np.sin(1e3 * g)))
    assert found.diagnosis == "imprecise"
    assert "digits, but not further" in found.headline
