"""What a chapter's grading says about a class: scores from nbgrader's gradebook, reasons from the verdict records."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from statistics import mean, median
from typing import Any

from rich.table import Table
from rich.text import Text

from autograder.exercise import Exercise
from autograder.grading import grades as gradebook
from autograder.grading.classroom import Classroom, Result
from autograder.grading.records import Record, Store
from autograder.notebooks import CHECK_PREFIX, definitions
from autograder.paths import Chapter
from autograder.render import clean
from autograder.sandbox.isolation import LEVELS

#: Width of a bar of the histogram, in percent of the points.
BAR_PERCENT = 10


@dataclass(frozen=True)
class Difficulty:
    """How a class fared with one checked exercise."""

    name: str
    promise: str
    points: float
    answered: int  # submissions that could be read
    passed: int
    finding: str  # the most frequent kind of finding among those that did not pass
    finding_count: int
    misconception: str  # the most frequent named mistake
    misconception_count: int
    sentence: str  # what the student reads about that mistake

    @property
    def share(self) -> float | None:
        """Share of the submissions that pass, from 0 to 1; None when there are none."""
        return self.passed / self.answered if self.answered else None


@dataclass(frozen=True)
class Written:
    """How a class fared with one question that a person grades."""

    name: str
    points: float
    waiting: int
    graded: int
    average: float | None  # mean points of the graded answers


@dataclass(frozen=True)
class Report:
    """One chapter of one class."""

    chapter: str
    max_score: float
    results: tuple[Result, ...]
    names: dict[str, str]  # student → name in the gradebook, where it has one
    cells: dict[str, dict[str, float | None]]  # student → exercise → points; None: not graded yet
    exercises: tuple[Difficulty, ...]
    written: tuple[Written, ...]
    isolation: dict[str, int]  # level → submissions graded at it
    seeds: int  # submissions whose seed is recorded

    @property
    def scores(self) -> list[float]:
        """Scores of the graded submissions, penalties taken off."""
        return [result.score for result in self.results if result.score is not None]

    def to_data(self) -> dict[str, Any]:
        """As plain data. Seeds stay in the records: who knows one can foresee the cases of a second attempt."""
        return {
            "chapter": self.chapter,
            "max_score": self.max_score,
            "graded": len(self.scores),
            "mean": mean(self.scores) if self.scores else None,
            "median": median(self.scores) if self.scores else None,
            "histogram": [
                {"from_percent": low, "to_percent": low + BAR_PERCENT, "students": count}
                for low, count in histogram(self.scores, self.max_score)
            ],
            "students": [
                {
                    **result.to_data(),
                    "name": self.names.get(result.student, ""),
                    "exercises": self.cells.get(result.student, {}),
                }
                for result in self.results
            ],
            "exercises": [{**vars(made), "share_passed": made.share} for made in self.exercises],
            "written": [dict(vars(made)) for made in self.written],
            "isolation": self.isolation,
            "seeds_recorded": self.seeds,
        }


def collect(classroom: Classroom, chapter: Chapter) -> Report:
    """Read everything that a report says.

    Raises:
        ClassroomError: there is no course, its gradebook cannot be opened, or the chapter has not been released.
    """
    classroom.settle_late(chapter)
    grades = gradebook.read(classroom, chapter)
    records = Store(classroom.root).all(chapter.name)
    readable = [record for record in records if not record.unreadable]
    known = definitions(chapter)
    written, checked = [], []
    for name, definition in known.items():
        if isinstance(definition, Exercise):
            checked.append(_difficulty(definition, readable))
        else:
            written.append(_written(name, definition.points, grades))
    return Report(
        chapter=chapter.name,
        max_score=grades.max_score,
        results=tuple(grades.results),
        names=grades.names,
        cells={
            student: {name.removeprefix(CHECK_PREFIX): cell.points for name, cell in cells.items()}
            for student, cells in grades.cells.items()
        },
        exercises=tuple(checked),
        written=tuple(written),
        isolation=dict(sorted(Counter(record.isolation for record in records).items())),
        seeds=sum(bool(record.seed) for record in records),
    )


def _difficulty(definition: Exercise, records: list[Record]) -> Difficulty:
    verdicts = [v for record in records for v in record.verdicts if v.get("exercise") == definition.name]
    failed = [v for v in verdicts if not v.get("passed")]
    finding, finding_count = _most_frequent(str(v.get("kind", "")) for v in failed)
    mistake, mistake_count = _most_frequent(str(v.get("misconception", "")) for v in failed)
    sentences = {m.name: m.sentence for m in definition.mistakes}
    return Difficulty(
        name=definition.name,
        promise=definition.promise.splitlines()[0],
        points=definition.points,
        answered=len(verdicts),
        passed=len(verdicts) - len(failed),
        finding=finding,
        finding_count=finding_count,
        misconception=mistake,
        misconception_count=mistake_count,
        sentence=sentences.get(mistake, ""),
    )


def _most_frequent(values: Any) -> tuple[str, int]:
    counts = Counter(value for value in values if value)
    # Of several the first by name, so that a report does not depend on the order of the records.
    return min(counts.items(), key=lambda item: (-item[1], item[0])) if counts else ("", 0)


def _written(name: str, points: float, grades: gradebook.Grades) -> Written:
    cells = [cells[name] for cells in grades.cells.values() if name in cells]
    waiting = [cell for cell in cells if cell.waits]
    done = [cell.points for cell in cells if not cell.waits and cell.points is not None]
    return Written(name, points, len(waiting), len(done), mean(done) if done else None)


def histogram(scores: list[float], max_score: float) -> list[tuple[int, int]]:
    """Scores counted by share of the points: (lower edge in percent, how many).

    A bar holds its lower edge and not its upper one, except for the last, which holds everything from 90 % on.
    """
    bars = [0] * (100 // BAR_PERCENT)
    for score in scores:
        share = score / max_score if max_score else 1.0
        # The tiny amount keeps 5.1 of 17 points in the bar of 30 %, where 5.1 / 17 falls just below 0.3 in floats.
        bars[max(0, min(len(bars) - 1, int(share * len(bars) + 1e-9)))] += 1
    return [(BAR_PERCENT * index, count) for index, count in enumerate(bars)]


def duration(seconds: float) -> str:
    """A lateness in its two largest units: ``2 d 3 h``, ``5 min``; empty when there is none."""
    if seconds <= 0:
        return ""
    minutes = max(1, round(seconds / 60))
    days, hours, rest = minutes // 1440, minutes // 60 % 24, minutes % 60
    parts = [f"{value} {unit}" for value, unit in ((days, "d"), (hours, "h"), (rest, "min")) if value]
    return " ".join(parts[:2])


def score_text(result: Result) -> str:
    """``11.5 / 17``, or a dash when there is no score."""
    return "–" if result.score is None else f"{round(result.score, 2):g} / {result.max_score:g}"


def late_text(result: Result) -> str:
    """How late, and what it cost."""
    late = duration(result.late_seconds)
    return f"{late}, −{round(result.penalty, 2):g}" if late and result.penalty else late


def weakest_isolation(classroom: Classroom, chapter: Chapter, results: list[Result]) -> str:
    """The weakest level at which one of these submissions was graded; empty when none was."""
    store = Store(classroom.root)
    levels = {record.isolation for result in results if (record := store.load(chapter.name, result.student))}
    return max(levels, key=lambda level: LEVELS.index(level) if level in LEVELS else -1, default="")


def results_table(results: list[Result]) -> Table:
    """Results as a table for the terminal, a row a student."""
    table = Table(header_style="bold")
    table.add_column("student", overflow="fold")
    table.add_column("score", justify="right", no_wrap=True)
    table.add_column("late")
    table.add_column("by hand")
    table.add_column("repairs", justify="right")
    table.add_column("flags", justify="right")
    table.add_column("problem", overflow="fold")
    for result in results:
        cells = (
            result.student,
            score_text(result),
            late_text(result),
            "to do" if result.needs_manual else "",
            str(len(result.repairs) or ""),
            str(len(result.flags) or ""),
            result.problem,
        )
        # Text and not markup: a student called "[red]" is called so.
        table.add_row(*(Text(clean(cell)) for cell in cells))
    return table
