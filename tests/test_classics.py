"""The five classic mistakes, made in every exercise where they make sense: each is named, not only caught.

Sign, missing transpose, missing 1/N, no max-subtraction, and a mask that is off by one (from the chapters on, that have masks).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from autograder import mutants
from autograder.checking import verdict_of
from autograder.exercise import Exercise
from autograder.mutation import mutants_of
from autograder.notebooks import all_exercises

EVERY = all_exercises()
GRADIENTS = [name for name, made in EVERY.items() if made.gradient]
NAMES = {"sign": {"sign"}, "1/N": {"factor"}, "transpose": {"transpose"}, "overflow": {"overflow"}}


def walk(value: Any, change: Callable[[np.ndarray], np.ndarray]) -> Any:
    if value is None:
        return None
    if isinstance(value, (list, tuple)):
        return type(value)(walk(entry, change) for entry in value)
    return change(np.asarray(value))


def assert_named(made: Exercise, wrong: Callable[..., Any], classic: str) -> None:
    verdict = verdict_of(made.sheet("classics"), wrong)
    assert not verdict.passed
    assert verdict.diagnosis in {"misconception", *NAMES[classic]}, (made.name, verdict.diagnosis, verdict.headline)


@pytest.mark.parametrize("name", GRADIENTS)
def test_a_wrong_sign_is_named(name: str) -> None:
    made = EVERY[name]
    if made.probe_source is None:
        assert_named(made, lambda **inputs: walk(made.reference(**inputs), np.negative), "sign")


@pytest.mark.parametrize("name", GRADIENTS)
def test_a_missing_division_by_the_batch_is_named(name: str) -> None:
    made = EVERY[name]
    sizes = {"grad_y": 0, "grad_h": 0, "logits": 0, "grad_logits": 0, "x": 0}
    if made.probe_source is not None:
        return

    def wrong(**inputs: Any) -> Any:
        batch = next(len(inputs[key]) for key in sizes if isinstance(inputs.get(key), np.ndarray) and inputs[key].ndim)
        return walk(made.reference(**inputs), lambda gradient: gradient * batch)

    if any(key in made.generate("x")[0].inputs for key in sizes):
        assert_named(made, wrong, "1/N")


BACKWARD = [name for name in GRADIENTS if name != "find_the_slide_bugs"]


@pytest.mark.parametrize("name", BACKWARD)
def test_a_missing_transpose_is_named_or_shows_the_product_that_cannot_be(name: str) -> None:
    """On arrays that are not square a product without its transpose rarely exists; then the student's own line is shown."""
    made = EVERY[name]
    dropped = [
        m for m in mutants_of(made.reference) if m.kind == "transpose" and m.after.count(".T") < m.before.count(".T")
    ]
    for mutant in dropped:
        namespace = dict(vars(__import__(made.reference.__module__, fromlist=["_"])))
        exec(compile(mutant.source, "<string>", "exec"), namespace)
        verdict = verdict_of(made.sheet("classics"), namespace[name])
        if mutant.change in mutants.equivalents().get(name, {}):
            continue
        assert not verdict.passed
        if verdict.kind == "exception":
            assert "matmul" in verdict.headline
            assert "your line" in dict(verdict.evidence)
        else:
            assert verdict.diagnosis in {"misconception", "transpose"}, (mutant.change, verdict.headline)


def test_softmax_without_the_maximum_is_named() -> None:
    made = EVERY["softmax_cross_entropy_backward"]

    def wrong(logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            e = np.exp(logits)
            return (e / e.sum(axis=1, keepdims=True) - np.eye(logits.shape[1])[targets]) / len(logits)

    assert_named(made, wrong, "overflow")
    sheet = made.sheet("classics")
    assert verdict_of(sheet, wrong, bank=False).diagnosis == "overflow"


@pytest.mark.parametrize("name", ["stable_sigmoid", "activation"])
def test_other_exponentials_that_overflow_are_named(name: str) -> None:
    made = EVERY[name]
    for mistake in made.mistakes:
        verdict = verdict_of(made.sheet("classics"), mistake.implementation)
        assert verdict.misconception == mistake.name
