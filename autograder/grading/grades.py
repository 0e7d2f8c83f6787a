"""A chapter's page of nbgrader's gradebook: everyone's score, and the points of every cell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nbgrader.api import MissingEntry

from autograder.grading.classroom import Classroom, ClassroomError, Result
from autograder.paths import Chapter


@dataclass(frozen=True)
class Cell:
    """One graded cell of one student: its points, None before it is graded, and whether a person must look at it."""

    points: float | None
    waits: bool


@dataclass(frozen=True)
class Grades:
    """What the gradebook says of a chapter."""

    max_score: float
    results: list[Result]  # by student
    names: dict[str, str]  # student → first and last name, where there is one
    cells: dict[str, dict[str, Cell]]  # student → grade id → cell


def read(classroom: Classroom, chapter: Chapter) -> Grades:
    """Everyone who is enrolled or has handed in.

    Raises:
        ClassroomError: there is no course, its gradebook cannot be opened, or the chapter has not been released.
    """
    with classroom.gradebook() as book:
        try:
            max_score = float(book.find_assignment(chapter.name).max_score)
        except MissingEntry:
            raise ClassroomError(
                f"{chapter.name} has not been released in {classroom.root}; begin with `nnlm release {chapter.name}`."
            ) from None
        enrolled = {student.id: _name(student) for student in book.students}
        handed_in = set(classroom.submissions(chapter))
        results, cells = [], {}
        for student in sorted({*enrolled, *handed_in}):
            found = classroom.read_result(book, chapter, student)
            if found.score is None and not found.problem:
                problem = "handed in, not graded yet" if student in handed_in else "nothing handed in"
                found = classroom.read_result(book, chapter, student, problem)
            results.append(found)
            try:
                submission = book.find_submission(chapter.name, student)
            except MissingEntry:
                continue
            cells[student] = {
                grade.name: Cell(_points(grade), bool(grade.needs_manual_grade))
                for notebook in submission.notebooks
                for grade in notebook.grades
            }
    return Grades(max_score, results, {student: name for student, name in enrolled.items() if name}, cells)


def _points(grade: Any) -> float | None:
    if grade.auto_score is None and grade.manual_score is None:
        return None
    return float(grade.score)


def _name(student: Any) -> str:
    return " ".join(part for part in (student.first_name, student.last_name) if part)
