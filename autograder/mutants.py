"""The accuracy of the checks, measured as one measures an instrument: what they let through, what they refuse wrongly, and
how often they name the cause.

*Wrong* programs are single changes to every reference and every known misconception; *right* ones are the honest variants of
every exercise. Counts come with 95 % intervals (Wilson).
"""

from __future__ import annotations

import importlib
import math
import multiprocessing
import os
import tomllib
import warnings
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

from autograder.exercise import Exercise, Sheet, source_of
from autograder.mutation import EXPECTED, mutants_of
from autograder.notebooks import all_exercises, exercises
from autograder.paths import Chapter
from autograder.sandbox.calling import Answer, call_in_time
from autograder.verdict import Verdict, judge

EQUIVALENTS = Path(__file__).parent / "exercises" / "equivalent_mutants.toml"
SEEDS = ("mutants-1", "mutants-2")
#: Seconds a single call may take before it counts as endless.
CALL_SECONDS = 5


@dataclass
class Tally:
    """What was found for one exercise; tallies add up."""

    mutants: int = 0
    killed: int = 0
    equivalent: int = 0
    survivors: list[dict[str, str]] = field(default_factory=list)
    variants: int = 0
    rejected: list[dict[str, str]] = field(default_factory=list)
    misconceptions: int = 0
    named_first: int = 0
    unnamed: list[dict[str, str]] = field(default_factory=list)
    named_wrongly: list[dict[str, str]] = field(default_factory=list)
    classed: int = 0
    classed_right: int = 0
    diagnosed: int = 0

    def add(self, other: Tally) -> None:
        """Add another exercise's counts."""
        for name, value in asdict(other).items():
            setattr(self, name, getattr(self, name) + value)

    def to_data(self) -> dict[str, Any]:
        """As the JSON of ``nnlm mutants`` has it."""
        wrong = self.mutants - self.equivalent
        named = self.named_first + len(self.named_wrongly)
        return {
            "mutants": self.mutants,
            "killed": self.killed,
            "equivalent": self.equivalent,
            "survivors": self.survivors,
            "variants": self.variants,
            "rejected": self.rejected,
            "misconceptions": self.misconceptions,
            "named_first": self.named_first,
            "unnamed": self.unnamed,
            "named_wrongly": self.named_wrongly,
            "false_accept": interval(len(self.survivors), wrong),
            "false_reject": interval(len(self.rejected), self.variants),
            "recall": interval(self.named_first, self.misconceptions),
            "precision": interval(self.named_first, named),
            "algebra": {"diagnosed": self.diagnosed, "with_a_class": self.classed, "class_right": self.classed_right},
        }


def interval(count: int, total: int) -> dict[str, float | int]:
    """A share with its 95 % interval (Wilson's score interval)."""
    if total == 0:
        return {"count": 0, "of": 0, "share": 0.0, "low": 0.0, "high": 1.0}
    z, p = 1.959964, count / total
    centre = (p + z * z / (2 * total)) / (1 + z * z / total)
    half = z * math.sqrt(p * (1 - p) / total + z * z / (4 * total * total)) / (1 + z * z / total)
    low, high = max(0.0, centre - half), min(1.0, centre + half)
    return {"count": count, "of": total, "share": round(p, 5), "low": round(low, 5), "high": round(high, 5)}


def measure(
    chapters: list[Chapter],
    progress: Callable[[str, int, int], None] | None = None,
    workers: int | None = None,
    every: int = 1,
) -> Tally:
    """Measure the checks of some chapters, in parallel; see :func:`measure_exercise` for `every`."""
    names = [made.name for chapter in chapters for made in exercises(chapter)]
    total = Tally()
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers or max(1, os.cpu_count() or 1), mp_context=context) as pool:
        futures = {pool.submit(measure_exercise, name, every): name for name in names}
        for done, future in enumerate(as_completed(futures), 1):
            if progress:
                progress(futures[future], done, len(names))
        for future in futures:  # in the order of the chapters, whoever was first
            total.add(future.result())
    return total


def measure_exercise(name: str, every: int = 1) -> Tally:
    """Measure one exercise.

    Args:
        name: of the exercise.
        every: how many mutants there are for each one that is tried; the first is another one in each exercise, the same in
            each run. Variants and misconceptions are all tried.
    """
    made = all_exercises()[name]
    if any("torch" in source_of(variant) for variant in made.variants):
        importlib.import_module("torch")  # it takes seconds, which are not the first variant's
    sheets = [made.sheet(seed) for seed in SEEDS]
    tally = Tally()
    known = equivalents().get(name, {})
    for mutant in mutants_of(made.reference)[zlib.crc32(name.encode()) % every :: every]:
        tally.mutants += 1
        verdicts = _verdicts(sheets, _compiled(mutant.source, made), bank=False)
        first = next((verdict for verdict in verdicts if not verdict.passed), None)
        if first is not None:  # a mutant that one sheet has killed is not asked by another
            tally.killed += 1
            numbers = first.kind in ("value", "nan", "shape")
            tally.diagnosed += bool(first.diagnosis)
            if numbers and mutant.kind in EXPECTED and first.diagnosis:
                tally.classed += 1
                tally.classed_right += first.diagnosis in EXPECTED[mutant.kind]
        elif mutant.change in known:
            tally.equivalent += 1
        else:
            tally.survivors.append(
                {"exercise": name, "kind": mutant.kind, "change": mutant.change, "source": mutant.source}
            )
    for variant in made.variants:
        tally.variants += 1
        for verdict in _verdicts(sheets, variant):
            if not verdict.passed:
                tally.rejected.append({"exercise": name, "variant": variant.__name__, "said": verdict.headline})
                break
    for mistake in made.mistakes:
        tally.misconceptions += 1
        found = list(_verdicts(sheets, mistake.implementation))
        if all(verdict.misconception == mistake.name for verdict in found):
            tally.named_first += 1
            continue
        said = next(v for v in found if v.misconception != mistake.name)
        row = {"exercise": name, "misconception": mistake.name, "said": said.headline}
        (tally.named_wrongly if said.misconception else tally.unnamed).append(row)
    return tally


def equivalents() -> dict[str, dict[str, str]]:
    """Mutants that are no mistakes: exercise → change → the reason, written by a person."""
    if not EQUIVALENTS.is_file():
        return {}
    return {name: dict(rows) for name, rows in tomllib.loads(EQUIVALENTS.read_text(encoding="utf-8")).items()}


def _compiled(source: str, made: Exercise) -> Any:
    namespace = dict(vars(__import__(made.reference.__module__, fromlist=["_"])))
    exec(compile(source, "<mutant>", "exec"), namespace)
    return namespace[made.name]


def _verdicts(sheets: list[Sheet], function: Any, bank: bool = True) -> Iterator[Verdict]:
    """One verdict a sheet, each made when it is asked for."""
    for sheet in sheets:
        with warnings.catch_warnings(), redirect_stdout(StringIO()):
            warnings.simplefilter("ignore")
            verdict = judge(sheet, _answers(sheet, function), bank=bank)
        yield verdict


def _answers(sheet: Sheet, function: Any) -> list[Answer]:
    answers = []
    for question in sheet.questions:
        answers.append(call_in_time(function, question.inputs, sheet.probe, CALL_SECONDS))
        if answers[-1].status == "timeout":
            break
    return answers
