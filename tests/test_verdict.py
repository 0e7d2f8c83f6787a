"""What the judge says: one sentence for every kind of trouble, with the evidence a student needs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from autograder.checking import CheckFailed, check, verdict_of
from autograder.comparison import agreement, compare, describe, tolerances
from autograder.exercise import Exercise, case, exercise
from autograder.render import as_html, as_json, as_text, clean
from autograder.sandbox.wire import Tensor
from autograder.verdict import Verdict


def scale(x: np.ndarray, factor: float) -> np.ndarray:
    """Multiply."""
    return x * factor


def scale_exercise() -> Exercise:
    def cases(rng):  # type: ignore[no-untyped-def]
        """Multiply x by a factor."""
        yield case("small", x=np.array([[1.0, -2.0, 0.5]]), factor=2.0)
        yield case("large", x=rng.normal(size=(40, 30)), factor=-1.5)

    cases.__name__ = "scale"
    return exercise(scale, points=1)(cases)


def verdict(function: Any) -> Verdict:
    return verdict_of(scale_exercise().sheet("seed"), function)


def evidence(found: Verdict) -> dict[str, str]:
    return dict(found.evidence)


def raises(x: np.ndarray, factor: float) -> np.ndarray:
    return x @ np.ones(7)


def changes(x: np.ndarray, factor: float) -> np.ndarray:
    result = x * factor
    x[:] = 0
    return result


class Odd:
    def __repr__(self) -> str:
        raise RuntimeError("no repr")


@pytest.mark.parametrize(
    ("function", "kind", "sentence"),
    [
        (
            lambda x, factor: x.T * factor,
            "shape",
            "The result has shape (3, 1); (1, 3) was expected. The axes are swapped",
        ),
        (
            lambda x, factor: (x * factor).astype(np.float32),
            "dtype",
            "right values but the wrong dtype: float32; float64",
        ),
        (lambda x, factor: None, "none", "It returned None; does the function end with `return`?"),
        (lambda x, factor: x * factor * np.nan, "nan", "The result is NaN (not a number) at [0, 0]; 2 was expected"),
        (lambda x, factor: x * np.inf, "nan", "The result is infinite at [0, 0]; 2 was expected"),
        (raises, "exception", "Your code raised ValueError: matmul"),
        (changes, "modified", "changed its input `x` in place"),
        (lambda x, factor: x, "value", "The result is 1 at [0, 0]; 2 was expected. 3 of 3 entries differ"),
        (lambda x, factor: "text", "type", "The result is a string; an array of shape (1, 3) was expected"),
        (lambda x, factor: Odd(), "type", "an object of type Odd"),
        (lambda x, factor: torch.tensor(x * factor), "type", "a torch tensor; a NumPy array"),
        (lambda x: x, "exception", "unexpected keyword argument 'factor'"),
        (42, "missing", "should be a function or a class; it is a value of type int"),
    ],
)
def test_each_trouble_has_its_own_sentence(function: Any, kind: str, sentence: str) -> None:
    found = verdict(function)
    assert found.kind == kind
    assert sentence in found.headline + " " + evidence(found).get("found", "")  # a diagnosis puts the cause first
    assert not found.passed


def test_the_right_answer_passes_and_says_how_many_cases() -> None:
    found = verdict(scale)
    assert found.passed
    assert found.headline == "Right in all 2 cases."


def test_not_written_yet_is_not_an_error() -> None:
    def stub(x: np.ndarray, factor: float) -> np.ndarray:
        raise NotImplementedError

    found = verdict(stub)
    assert found.kind == "unfinished"
    assert "still raises NotImplementedError" in found.headline


def test_the_evidence_shows_call_answer_expectation_and_own_line() -> None:
    shown = evidence(verdict(lambda x, factor: x + factor))
    assert shown["called"] == "scale(x=np.array([[ 1. , -2. , 0.5]]), factor=2)  # small"
    assert shown["returned"].startswith("[[3. , 0. , 2.5]]")
    assert shown["expected"].startswith("[[ 2., -4.,  1.]]")
    assert evidence(verdict(raises))["your line"].endswith("return x @ np.ones(7)")


def test_large_arrays_are_summarised() -> None:
    found = verdict(lambda x, factor: x * abs(factor))  # right in the small case, wrong in the large one
    assert found.case == 2
    assert "float64 array of shape (40, 30), values from" in evidence(found)["expected"]
    assert len(as_text(found)) < 1200


def test_what_the_student_printed_is_shown() -> None:
    def talks(x: np.ndarray, factor: float) -> np.ndarray:
        print("factor is", factor)
        return x

    assert evidence(verdict(talks))["printed"] == "factor is 2.0"


def test_numbers_of_another_kind_but_equal_scalars_pass() -> None:
    assert compare(2.0, np.float64(2.0)) is None
    assert compare(2.0, np.array(2.0)) is None
    assert compare(2.0, 2) is None
    assert compare(np.array([1, 2]), np.array([1, 2], dtype=np.int32)) is None
    found = compare(np.array([1.0, 2.0]), np.array([1, 2]))
    assert found is not None
    assert found.kind == "dtype"
    found = compare(np.array([True]), np.array([1]))
    assert found is not None
    assert found.kind == "dtype"


def test_containers_are_compared_entry_by_entry() -> None:
    found = compare([1.0, (2.0, 3.0)], [1.0, (2.0, 4.0)])
    assert found is not None
    assert found.sentence == "Entry [1][1] is 4; 3 was expected."
    found = compare({"a": 1}, {"b": 1})
    assert found is not None
    assert "lacks the key 'a'" in found.sentence
    found = compare([1, 2], [1])
    assert found is not None
    assert found.kind == "length"


def test_tiny_true_values_do_not_excuse_zeros() -> None:
    gradient = np.full(5, 1e-9)
    assert compare(gradient, np.zeros(5)) is not None
    assert compare(gradient, gradient * (1 + 1e-10)) is None


def test_nan_and_infinity_where_they_are_expected_agree() -> None:
    odd = np.array([np.nan, np.inf, -np.inf, 1.0])
    assert agreement(odd, odd).all()
    assert not agreement(odd, odd[::-1]).all()


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16"])
def test_tolerance_admits_reordered_sums_and_not_much_more(dtype: str) -> None:
    rng = np.random.default_rng(0)
    terms = rng.normal(size=(200, 1000))
    exact = terms.sum(axis=1)
    kind = getattr(torch, dtype)
    rounded = torch.tensor(terms).to(kind)
    reordered = rounded[:, torch.randperm(1000)].sum(dim=1).double().numpy()
    rtol, atol = tolerances(dtype, exact.size)
    allowed = atol * np.abs(exact).max() + rtol * np.abs(exact)
    if dtype in ("float64", "float32"):
        assert (np.abs(reordered - exact) <= allowed).all()
    assert not (np.abs(1.5 * exact - exact) <= allowed).all()


def test_huge_integers_are_compared_exactly() -> None:
    big = np.array([2**62 + 1])
    assert compare(big, big) is None
    assert compare(big, big - 1) is not None


def test_tensors_carry_their_dtype() -> None:
    half = Tensor(np.array([1.0, 2.0], dtype=np.float32), "bfloat16")
    full = Tensor(np.array([1.0, 2.0], dtype=np.float32), "float32")
    found = compare(full, half)
    assert found is not None
    assert found.kind == "dtype"
    assert describe(half).startswith("tensor of bfloat16")


# ---- renderers -------------------------------------------------------------------------------------------------------
def hostile(x: np.ndarray, factor: float) -> np.ndarray:
    print("\x1b[31m<script>alert(1)</script>")
    raise ValueError("<img src=x onerror=alert(2)> \x1b[2J `code` \u202eevil")


def test_html_escapes_everything_that_came_from_the_student() -> None:
    page = as_html(verdict(hostile))
    assert "<script" not in page
    assert "<img" not in page
    assert "\x1b" not in page
    assert "\u202e" not in page
    assert "<code>code</code>" in page


def test_terminal_text_has_no_control_characters() -> None:
    text = as_text(verdict(hostile))
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert clean("a\x1b[31mb\x07c") == "abc"


def test_equal_verdicts_are_equal_bytes() -> None:
    assert as_json([verdict(raises)]) == as_json([verdict(raises)])


def test_check_raises_one_line_and_knows_close_names() -> None:
    with pytest.raises(CheckFailed, match="threshold_unit: It returned None"):
        check("threshold_unit", lambda x, w, b: None)
    with pytest.raises(Exception, match="Did you mean 'threshold_unit'"):
        check("treshold_unit", lambda x, w, b: None)


def test_an_endless_loop_is_interrupted_and_its_line_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    from autograder import checking

    monkeypatch.setattr(checking, "CALL_SECONDS", 0.3)

    def endless(x: np.ndarray, factor: float) -> np.ndarray:
        while True:
            factor += 1

    found = verdict(endless)
    assert found.kind == "timeout"
    assert "still running after 0.3 s" in found.headline
    assert "factor += 1" in found.headline or "while True" in found.headline


def test_what_a_probe_cannot_use_is_not_blamed_on_a_line_of_the_student() -> None:
    def pair(x: float) -> tuple[float, float]:
        """Two numbers."""
        return x, x

    def cases(rng):  # type: ignore[no-untyped-def]
        """Return two numbers."""
        yield case(x=1.0)

    cases.__name__ = "pair"
    made = exercise(pair, points=1)(cases)

    @made.probe
    def total(student, x):  # type: ignore[no-untyped-def]
        first, second = student(x)
        return first + second

    found = verdict_of(made.sheet("seed"), lambda x: None)
    assert found.kind == "type"
    assert "cannot be used: the step that uses it ends with TypeError" in found.headline
