"""A whole class, end to end: what each submission should get beside what it got.

Expected scores do not come from the grading path: they are counted from the frozen checks in this process, the ones a student
sees, while the class is graded in the sandbox with fresh cases.
"""

from __future__ import annotations

import io
import json
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

from autograder import frozen
from autograder.checking import verdict_of
from autograder.exercise import Exercise, Explanation, Misconception
from autograder.grading.classroom import Classroom
from autograder.notebooks import CHECK_PREFIX, definitions, instructor_notebook, without_markers
from autograder.paths import Chapter

DUE = datetime(2026, 9, 30, 23, 59)
IN_TIME, LATE = DUE - timedelta(hours=30), DUE + timedelta(hours=30)  # late: two days begun
LATE_PERCENT = 20.0
#: Limits for the demonstration: short, so that the endless loop does not set its length.
LIMITS = {"cell_seconds": 6.0, "call_seconds": 3.0}


@dataclass(frozen=True)
class Member:
    """One invented submission: the file's text, the points it should get, and why."""

    name: str
    text: str
    expected: float
    about: str
    submitted: datetime = IN_TIME


@dataclass(frozen=True)
class Row:
    """Expected beside actual."""

    name: str
    expected: float
    score: float | None
    max: float
    as_expected: bool
    reason: str

    def to_data(self) -> dict[str, Any]:
        """As the JSON of ``nnlm demo`` has it."""
        return {field: getattr(self, field) for field in self.__dataclass_fields__}


def run(chapter: Chapter, root: Path, progress: Callable[[str, int, int], None] | None = None) -> list[Row]:
    """Release, hand in, grade, mark written answers, write feedback and a report; compare with what was expected."""
    classroom = Classroom(root)
    classroom.release(chapter, due=DUE)
    members = list(make_class(chapter, classroom))
    for member in members:
        folder = classroom.root / "submitted" / member.name / chapter.name
        folder.mkdir(parents=True)
        (folder / f"{chapter.name}.ipynb").write_text(member.text, encoding="utf-8")
        (folder / "timestamp.txt").write_text(f"{member.submitted:%Y-%m-%d %H:%M:%S} UTC")
    results = {r.student: r for r in classroom.grade(chapter, overrides=LIMITS, progress=progress)}
    mark_written_answers(classroom, chapter)
    classroom.feedback(chapter)
    rows = []
    for member in members:
        graded = results[member.name]
        result = classroom.result(chapter, member.name, graded.problem)
        fits = result.score is not None and abs(result.score - member.expected) < 1e-9
        said = result.problem or "; ".join(result.repairs)
        rows.append(
            Row(
                member.name,
                member.expected,
                result.score,
                result.max_score,
                fits,
                f"{member.about}{f' – {said}' if said else ''}",
            )
        )
    return rows


def mark_written_answers(classroom: Classroom, chapter: Chapter) -> None:
    """Play the instructor: full points for every written answer that was given."""
    written = {name: made for name, made in definitions(chapter).items() if isinstance(made, Explanation)}
    with classroom.gradebook() as book:
        for submission in book.assignment_submissions(chapter.name):
            for notebook in submission.notebooks:
                for grade in notebook.grades:
                    if grade.name in written and grade.needs_manual_grade:
                        grade.manual_score = written[grade.name].points
                        grade.needs_manual_grade = False
        book.db.commit()


# ---- the class -------------------------------------------------------------------------------------------------------
def make_class(chapter: Chapter, classroom: Classroom) -> Iterator[Member]:
    """The reference, the empty one, every known mistake of the chapter, and every kind of trouble."""
    known = definitions(chapter)
    checked = [made for made in known.values() if isinstance(made, Exercise)]
    top = sum(made.points for made in known.values())
    written = sum(made.points for made in known.values() if isinstance(made, Explanation))
    reference = without_markers(instructor_notebook(chapter))
    release = nbformat.read(classroom.root / "release" / chapter.name / f"{chapter.name}.ipynb", as_version=4)
    first, last = checked[0], checked[-1]

    def member(name: str, notebook: NotebookNode, expected: float, about: str, **more: Any) -> Member:
        return Member(name, nbformat.writes(notebook), expected, about, **more)

    yield member("reference", reference, top, "the reference solutions")
    yield member("empty", release, 0.0, "handed in as released")
    for made in checked:
        for mistake in made.mistakes:
            notebook = with_source(reference, made.name, as_submission(mistake, made.name))
            expected = points_by_frozen_checks(notebook, known) + written
            yield member(f"{made.name}-{mistake.name}", notebook, expected, f"{made.name}: {mistake.name}")

    warning = "import warnings\nwarnings.warn('a library says something')\n"
    noisy = reference
    for made in checked:
        noisy = with_source(noisy, made.name, warning + source(noisy, made.name))
    yield member("warnings-only", noisy, top, "right, and every cell warns")

    missing = copy(reference)
    missing.cells.insert(0, nbformat.v4.new_code_cell("import a_package_that_nobody_has"))
    yield member("import-error", missing, top, "an extra cell fails to import; the solutions are right")
    broken = with_source(reference, first.name, "raise RuntimeError('at import')\n" + source(reference, first.name))
    yield member(
        "exception-in-a-cell",
        broken,
        points_by_frozen_checks(broken, known) + written,
        f"the cell of {first.name} raises",
    )
    endless = with_source(reference, last.name, forever(source(reference, last.name)))
    yield member("endless-loop", endless, top - last.points, f"{last.name} never returns")
    spinning = copy(reference)
    spinning.cells.insert(2, nbformat.v4.new_code_cell("while True:\n    pass"))
    yield member("endless-cell", spinning, top, "a cell of its own never ends; the solutions are right")
    killer = with_source(reference, first.name, "import os\nos._exit(0)\n" + source(reference, first.name))
    yield member(
        "process-ends",
        killer,
        points_without(killer, known, first.name) + written,
        f"the cell of {first.name} ends the process",
    )

    text = nbformat.writes(reference)
    yield Member("broken-json", text[: len(text) // 2], 0.0, "the file is cut off")
    check = CHECK_PREFIX + first.name
    twice = copy(reference)
    index = position(twice, check)
    twice.cells.insert(index, copy_cell(twice.cells[index], "twice"))
    yield member("duplicated-test", twice, top, "a test cell stands twice")
    deleted = copy(reference)
    del deleted.cells[position(deleted, check)]
    yield member("deleted-test", deleted, top, "a test cell was deleted")
    renamed = copy(reference)
    renamed.cells[position(renamed, check)].metadata.nbgrader["grade_id"] = "something_else"
    yield member("renamed-test", renamed, top, "a test cell has another id")
    forged = with_source(release, check, "pass  # nothing to see")
    forged.cells[position(forged, check)].metadata.nbgrader["points"] = 1000
    yield member("edited-test", forged, 0.0, "nothing solved; a test cell edited to pass, worth 1000 points")
    kernel = copy(reference)
    kernel.metadata["kernelspec"] = {"name": "julia-1.10", "display_name": "Julia", "language": "julia"}
    yield member("wrong-kernel", kernel, top, "another kernel's name")
    yield member("late", reference, top * (1 - LATE_PERCENT / 100), "right, 30 hours late", submitted=LATE)


def as_submission(mistake: Misconception, name: str) -> str:
    """A wrong implementation as the cell a student would hand in."""
    renamed = re.sub(rf"\b{re.escape(mistake.name)}\b", name, mistake.source)
    needs = [module for module in ("math", "torch") if re.search(rf"\b{module}\.", renamed)]
    return "".join(f"import {module}\n" for module in needs) + renamed


def points_by_frozen_checks(notebook: NotebookNode, known: dict[str, Exercise | Explanation]) -> float:
    """Points of the checks that pass, run in this process on the frozen cases, as in the student's notebook."""
    namespace: dict[str, Any] = {"__name__": "notebook", "check": lambda *_: None}
    total = 0.0
    for cell in notebook.cells:
        meta = cell.metadata.get("nbgrader", {})
        name = str(meta.get("grade_id", "")).removeprefix(CHECK_PREFIX)
        made = known.get(name)
        if meta.get("grade") and isinstance(made, Exercise):
            if name in namespace and verdict_of(frozen.find(name), namespace[name]).passed:
                total += made.points
        elif cell.cell_type == "code" and (meta.get("grade_id") or cell.source.startswith(("import ", "from "))):
            # A cell that fails leaves what it had defined until then; what it prints belongs to nobody here.
            with suppress(Exception), redirect_stdout(io.StringIO()), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                exec(compile(cell.source, f"<{name or 'cell'}>", "exec"), namespace)
    return total


def points_without(notebook: NotebookNode, known: dict[str, Exercise | Explanation], name: str) -> float:
    """As :func:`points_by_frozen_checks`, with the cell of one exercise left out."""
    return points_by_frozen_checks(with_source(notebook, name, ""), known)


def forever(text: str) -> str:
    """A solution whose call never comes back: a loop in front of its last statement's block."""
    lines = text.rstrip().splitlines()
    docstring_end = max(i for i, line in enumerate(lines) if line.rstrip().endswith('"""'))
    indent = " " * (len(lines[docstring_end]) - len(lines[docstring_end].lstrip()))
    return (
        "\n".join(
            [*lines[: docstring_end + 1], f"{indent}while True:", f"{indent}    pass", *lines[docstring_end + 1 :]]
        )
        + "\n"
    )


# ---- notebooks -------------------------------------------------------------------------------------------------------
def copy(notebook: NotebookNode) -> NotebookNode:
    """A deep copy."""
    made: NotebookNode = nbformat.from_dict(json.loads(nbformat.writes(notebook)))
    for cell in made.cells:
        cell.source = "".join(cell.source)
    return made


def copy_cell(cell: NotebookNode, suffix: str) -> NotebookNode:
    """A copy of one cell with an id of its own."""
    made = nbformat.from_dict(json.loads(json.dumps(cell)))
    made.id = f"{cell.id}-{suffix}"
    return made


def position(notebook: NotebookNode, grade_id: str) -> int:
    """Index of the cell with a grade id."""
    return next(
        i for i, cell in enumerate(notebook.cells) if cell.metadata.get("nbgrader", {}).get("grade_id") == grade_id
    )


def source(notebook: NotebookNode, grade_id: str) -> str:
    """Source of the cell with a grade id."""
    return str(notebook.cells[position(notebook, grade_id)].source)


def with_source(notebook: NotebookNode, grade_id: str, text: str) -> NotebookNode:
    """A copy in which one cell has another source."""
    made = copy(notebook)
    made.cells[position(made, grade_id)].source = text
    return made
