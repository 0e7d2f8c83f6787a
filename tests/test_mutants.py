"""The instrument that measures the checks is itself checked: a check that lets something through is reported."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from autograder import mutants
from autograder.exercise import Exercise, case, exercise
from autograder.mutation import mutants_of
from autograder.notebooks import all_exercises


def rescale(x: np.ndarray, axis: int) -> np.ndarray:
    """Divide by the root of a sum; stable."""
    total = x.sum(axis=0)
    shifted = x - x.max(axis=0)
    for _ in range(2):
        total += 1.0
    if total[0] > 0:
        return -shifted / np.sqrt(total) @ x.T
    raise ValueError("a message is no behaviour")


def test_every_kind_of_change_is_made() -> None:
    found = mutants_of(rescale)
    kinds = {mutant.kind for mutant in found}
    assert kinds >= {
        *(
            "sign",
            "operator",
            "transpose",
            "comparison",
            "axis",
            "mean for sum",
            "dropped shift",
            "dropped factor",
            "stale value",
        ),
        *("off by one", "constant", "accumulation"),
    }
    assert len({mutant.source for mutant in found}) == len(found)
    changes = {mutant.change for mutant in found}
    assert "shifted = x - x.max(axis=0) → shifted = x" in changes
    assert "total += 1.0 → total = 1.0" in changes
    assert not any("a message" in mutant.after for mutant in found)
    for mutant in found:
        compile(mutant.source, "<mutant>", "exec")


def blind_exercise() -> Exercise:
    def double(rng):  # type: ignore[no-untyped-def]
        """A blind check: it only ever asks about zero."""
        yield case(x=0.0)

    return exercise(double_reference, points=1)(double)


def double(x: float) -> float:
    """Twice x."""
    return 2 * x


double_reference = double


def test_a_blind_check_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    made = blind_exercise()

    @made.variant
    def wrong_variant(x):  # type: ignore[no-untyped-def]
        return x + 1.0

    @made.mistake("Never noticed.")
    def triples(x):  # type: ignore[no-untyped-def]
        return 3 * x

    monkeypatch.setattr(mutants, "all_exercises", lambda: {"double": made})
    tally = mutants.measure_exercise("double")
    assert any(row["change"] == "return 2 * x → return 3 * x" for row in tally.survivors)
    assert [row["variant"] for row in tally.rejected] == ["wrong_variant"]
    assert [row["misconception"] for row in tally.unnamed] == ["triples"]
    data = tally.to_data()
    assert data["false_accept"]["count"] == len(tally.survivors)
    assert data["recall"]["share"] == 0


def test_intervals() -> None:
    assert mutants.interval(0, 100)["high"] == pytest.approx(0.03699, abs=1e-4)
    assert mutants.interval(50, 100)["low"] == pytest.approx(0.40383, abs=1e-4)
    assert mutants.interval(0, 0)["high"] == 1.0


@pytest.mark.parametrize("every", [4, pytest.param(1, marks=pytest.mark.full)])
def test_the_checks_of_the_course_are_accurate(every: int) -> None:
    command = [sys.executable, "-m", "autograder.cli", "mutants", "--json", "--every", str(every)]
    run = subprocess.run(command, capture_output=True, text=True)
    data = json.loads(run.stdout)
    assert data["survivors"] == []
    assert data["rejected"] == []
    assert data["named_wrongly"] == []
    assert data["mutants"] == data["killed"] + data["equivalent"] > 400
    assert data["named_first"] >= 0.9 * data["misconceptions"] > 300
    assert run.returncode == 0, run.stderr


def test_every_nth_mutant_is_tried() -> None:
    whole, third = (mutants.measure_exercise("softmax_cross_entropy_backward", every) for every in (1, 3))
    assert third.mutants in (whole.mutants // 3, whole.mutants // 3 + 1)
    assert (third.variants, third.misconceptions) == (whole.variants, whole.misconceptions)


def test_the_list_of_equivalent_mutants_is_current() -> None:
    """Every entry still names a change that exists, and gives a reason in words."""
    known = all_exercises()
    for name, rows in mutants.equivalents().items():
        changes = {mutant.change for mutant in mutants_of(known[name].reference)}
        for change, reason in rows.items():
            assert change in changes, f"{name}: {change}"
            assert len(reason.split()) >= 4


def test_no_misconception_is_named_for_a_correct_solution() -> None:
    for made in all_exercises().values():
        for function in (made.reference, *made.variants):
            for verdict in mutants._verdicts([made.sheet("right")], function):
                assert verdict.passed, (made.name, verdict.headline)
                assert verdict.misconception == ""
