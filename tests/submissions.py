"""Submissions for tests: the chapter solved, with a mistake put in, and what a real class hands in beside that."""

from pathlib import Path

import nbformat

from autograder.grading.classroom import Classroom
from autograder.notebooks import definitions, instructor_notebook, without_markers
from autograder.paths import Chapter


def solved(chapter: Chapter):
    """The chapter as a student who solved everything has it."""
    return without_markers(instructor_notebook(chapter))


def cell(notebook, grade_id):
    """The cell with a grade id."""
    return next(c for c in notebook.cells if c.metadata.get("nbgrader", {}).get("grade_id") == grade_id)


def with_mistake(chapter: Chapter, exercise: str, index: int = 0):
    """Solved except for one exercise, which holds one of its known mistakes."""
    mistake = definitions(chapter)[exercise].mistakes[index]
    notebook = solved(chapter)
    cell(notebook, exercise).source = mistake.source.replace(mistake.name, exercise)
    return notebook


def hand_in(root: Path, chapter: Chapter, student: str, notebook, timestamp: str = "") -> Path:
    """Put a notebook (or any text) where a student hands it in."""
    folder = root / "submitted" / student / chapter.name
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{chapter.name}.ipynb"
    if isinstance(notebook, str):
        path.write_text(notebook, encoding="utf-8")
    else:
        nbformat.write(notebook, path)
    if timestamp:
        (folder / "timestamp.txt").write_text(timestamp, encoding="utf-8")
    return path


def scores(classroom: Classroom, chapter: Chapter) -> dict[str, float]:
    """Automatic points by student, from nbgrader's gradebook."""
    with classroom.gradebook() as book:
        return {
            submission.student.id: sum(g.auto_score or 0.0 for n in submission.notebooks for g in n.grades)
            for submission in book.find_assignment(chapter.name).submissions
        }
