"""Some hundred of the cases of ``start.py bench fuzz_intake``, and that its instrument would notice."""

from __future__ import annotations

import importlib.util
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from autograder.grading import intake
from autograder.paths import ROOT


@pytest.fixture(scope="module")
def fuzz() -> ModuleType:
    """The benchmark, which lies in no package."""
    spec = importlib.util.spec_from_file_location("fuzz_intake", ROOT / "benchmarks" / "fuzz_intake.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look for their module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("part", range(3))
def test_spoilt_submissions_are_rebuilt_or_refused_with_a_sentence(fuzz: ModuleType, part: int) -> None:
    outcomes = fuzz.run("ci", 100 * part, 100 * part + 100)
    assert [outcome for outcome in outcomes if outcome.kind not in ("rebuilt", "unreadable")] == []
    kinds = Counter(outcome.kind for outcome in outcomes)
    assert (
        min(kinds["rebuilt"], kinds["unreadable"]) >= 10
    )  # the mutations neither leave everything whole nor break it all


def test_a_case_is_fixed_by_its_seed_and_number(fuzz: ModuleType) -> None:
    assert fuzz.spoilt("a", 7) == fuzz.spoilt("a", 7)
    assert fuzz.spoilt("a", 7) != fuzz.spoilt("b", 7)


def test_every_mutation_occurs(fuzz: ModuleType) -> None:
    done = {name for number in range(600) for name in fuzz.spoilt("ci", number)[2].split()}
    mutations = [
        *fuzz.JSON_MUTATIONS,
        *fuzz.NBGRADER_MUTATIONS,
        *fuzz.BYTE_MUTATIONS,
        fuzz.make_bulky,
        fuzz.another_file,
    ]
    assert {mutate.__name__ for mutate in mutations} <= done


def test_a_crash_a_missing_sentence_and_a_lost_text_are_noticed(
    fuzz: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    def kinds() -> set[str]:
        return {outcome.kind for outcome in fuzz.run("ci", 0, 20)}

    assert kinds() == {"rebuilt", "unreadable"}
    honest = intake.rebuild
    with monkeypatch.context() as patch:
        patch.setattr(intake, "rebuild", lambda *_: {}["a bug"])
        assert "crash" in kinds()
    with monkeypatch.context() as patch:

        def curt(path: Path) -> Any:
            raise intake.Unreadable("no")

        patch.setattr(intake, "read", curt)
        assert kinds() == {"silent"}
    with monkeypatch.context() as patch:

        def forgetful(submitted: Any, template: Any) -> intake.Intake:
            taken = honest(submitted, template)
            for cell in taken.notebook.cells:
                cell.source = cell.source if cell.metadata.get("nbgrader", {}).get("locked") else ""
            return intake.Intake(taken.notebook, [])

        patch.setattr(intake, "rebuild", forgetful)
        assert "silent" in kinds()
    with monkeypatch.context() as patch:

        def generous(submitted: Any, template: Any) -> intake.Intake:
            taken = honest(submitted, template)
            next(
                c for c in taken.notebook.cells if c.metadata.get("nbgrader", {}).get("grade")
            ).metadata.nbgrader.points = 99
            return taken

        patch.setattr(intake, "rebuild", generous)
        assert "crash" in kinds()
