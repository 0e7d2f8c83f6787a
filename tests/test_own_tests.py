"""Test cells that an instructor adds to a chapter, with regions hidden from students: ``nnlm grade`` runs them as nbgrader does."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from submissions import cell, hand_in, solved

from autograder.grading.classroom import Classroom
from autograder.notebooks import generate_assignment, quiet_nbgrader
from autograder.paths import chapter

CHAPTER = chapter("02")
SHOWN = "assert callable(threshold_unit)"
HIDDEN = "assert threshold_unit(np.array([[1.0, 1.0]]), np.array([1.0, 1.0]), -1.0)[0] == 1"
TEST = f"{SHOWN}\n### BEGIN HIDDEN TESTS\n{HIDDEN}\n### END HIDDEN TESTS"
NEVER = "def threshold_unit(x, w, b):\n    return np.zeros(len(x), dtype=int)\n"


def own_test(source: str) -> nbformat.NotebookNode:
    about = {"grade": True, "grade_id": "mine", "locked": True, "points": 3, "solution": False, "task": False}
    return nbformat.v4.new_code_cell(
        source, id="mine", metadata={"nbgrader": {**about, "schema_version": 3, "cell_type": "code"}}
    )


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Classroom:
    root: Path = tmp_path_factory.mktemp("own") / "course"
    classroom = Classroom(root)
    classroom.release(CHAPTER)
    source = root / "source" / CHAPTER.name / f"{CHAPTER.name}.ipynb"
    notebook = nbformat.read(source, as_version=4)
    notebook.cells.append(own_test(TEST))
    nbformat.write(notebook, source)
    with quiet_nbgrader():
        generate_assignment(root, CHAPTER.name, classroom.config())
    right = solved(CHAPTER)
    right.cells.append(own_test(SHOWN))
    hand_in(root, CHAPTER, "right", right)
    cell(right, "threshold_unit").source = NEVER
    hand_in(root, CHAPTER, "wrong", right)
    cell(right, "threshold_unit").source = NEVER + "print(5.0)\ndisplay(3.0)\n3.0"
    cell(right, "mine").source = "3.0"
    hand_in(root, CHAPTER, "forged", right)
    warns = solved(CHAPTER)
    warns.cells.append(own_test(SHOWN))
    test = "import warnings\nwarnings.warn('x')\n"
    cell(warns, "threshold_unit").source = test + cell(warns, "threshold_unit").source
    hand_in(root, CHAPTER, "warns", warns)
    assert not any(result.problem for result in classroom.grade(CHAPTER))
    return classroom


@pytest.mark.parametrize(("student", "points"), [("right", 3.0), ("warns", 3.0), ("wrong", 0.0), ("forged", 0.0)])
def test_a_hidden_test_decides(course: Classroom, student: str, points: float) -> None:
    with course.gradebook() as book:
        grade = book.find_grade("mine", CHAPTER.name, CHAPTER.name, student)
        assert grade.auto_score == points


def test_feedback_does_not_show_it(course: Classroom) -> None:
    pages = course.feedback(CHAPTER, ["wrong"])
    text = pages[0].read_text(encoding="utf-8")
    assert "callable" in text
    assert "1.0, 1.0]])" not in text
    assert "HIDDEN TESTS" not in text
    assert not course.result(CHAPTER, "wrong").repairs
