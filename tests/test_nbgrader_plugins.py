"""nbgrader's own command line and gradebook, with our plug-ins and without."""

import os
import re
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import nbformat
import pytest
from nbgrader.api import MissingEntry
from submissions import cell, hand_in, scores, solved, with_mistake

from autograder.grading.classroom import Classroom
from autograder.grading.late import LateByDay
from autograder.grading.records import Store
from autograder.grading.showing import safe_markdown
from autograder.notebooks import definitions, exercises, instructor_notebook
from autograder.paths import chapter

CHAPTER = chapter("02")
AUTOMATIC = sum(made.points for made in exercises(CHAPTER))
WRITTEN = "xor_no_line"
STOCK_CONFIG = """from pathlib import Path

c = get_config()
c.CourseDirectory.root = str(Path(__file__).parent)
c.CourseDirectory.course_id = "stock"
"""
DOT = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
LOUD = '''
import sys
import warnings


def threshold_unit(x: np.ndarray, w: np.ndarray, b: float) -> np.ndarray:
    """Warns on three ways and is right."""
    warnings.warn("this will change", UserWarning)
    print("a line to stderr", file=sys.stderr)
    np.log(np.zeros(1))
    return (x @ w + b > 0).astype(int)
'''


def nbgrader(root: Path, *arguments: str) -> str:
    """Run nbgrader's command line in a course; returns what it says."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    done = subprocess.run(
        [sys.executable, "-m", "nbgrader", *arguments],
        cwd=root,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


def warning():
    notebook = solved(CHAPTER)
    cell(notebook, "threshold_unit").source = LOUD
    return notebook


def tampered():
    """Right, with a changed check, a check that is gone and a markdown cell that would run."""
    notebook = solved(CHAPTER)
    cell(notebook, "check_threshold_unit").source = "pass"
    notebook.cells.remove(cell(notebook, "check_fold_bias"))
    answer = cell(notebook, WRITTEN)
    answer.source = "My proof: <script>alert('o')</script>, <b>bold</b>, $w_1 < 0$, ![a photo](attachment:photo.png)."
    answer.attachments = {"photo.png": {"image/png": DOT, "text/html": "<script>alert('o')</script>"}}
    return notebook


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """A class graded by ``nbgrader autograde`` with our plug-ins."""
    classroom = Classroom(tmp_path_factory.mktemp("ours"))
    classroom.release(CHAPTER, due=datetime(2026, 11, 1, 12))
    root = classroom.root
    empty = nbformat.read(root / "release" / CHAPTER.name / f"{CHAPTER.name}.ipynb", 4)
    hand_in(root, CHAPTER, "solved", solved(CHAPTER), "2026-11-01 11:59:00 UTC")
    hand_in(root, CHAPTER, "empty", empty)
    hand_in(root, CHAPTER, "no-bias", with_mistake(CHAPTER, "threshold_unit", 4))
    hand_in(root, CHAPTER, "no-side", with_mistake(CHAPTER, "geometric_margin", 2))
    hand_in(root, CHAPTER, "warns", warning())
    hand_in(root, CHAPTER, "tampered", tampered())
    hand_in(root, CHAPTER, "broken", '{"cells": [')
    hand_in(root, CHAPTER, "late", solved(CHAPTER), "2026-11-02 12:30:00 UTC")
    hand_in(root, CHAPTER, "grace", solved(CHAPTER), "2026-11-01 12:14:00 UTC")
    folder = hand_in(root, CHAPTER, "linked", solved(CHAPTER)).parent
    (folder / "passwd").symlink_to("/etc/passwd")
    (folder / "etc").symlink_to("/etc")
    os.mkfifo(folder / "pipe")
    (folder / "notes.txt").write_text("an honest file")
    nbgrader(root, "autograde", CHAPTER.name)
    return classroom


@pytest.fixture(scope="module")
def feedback(course):
    """Everyone's feedback as text, by student."""
    return {path.parent.parent.name: path.read_text(encoding="utf-8") for path in course.feedback(CHAPTER)}


def graded(classroom, student):
    """The graded notebook of a student."""
    path = classroom.root / "autograded" / student / CHAPTER.name / f"{CHAPTER.name}.ipynb"
    return nbformat.read(path, 4)


# ---- nbgrader autograde with our plug-ins ----------------------------------------------------------------------------
def test_nbgraders_command_line_grades_with_our_executor(course):
    points = {made.name: made.points for made in exercises(CHAPTER)}
    expected = {
        "solved": AUTOMATIC,
        "empty": 0.0,
        "no-side": AUTOMATIC - points["geometric_margin"] - points["mistake_bound"],
        "tampered": AUTOMATIC,
        "broken": 0.0,
        "late": AUTOMATIC,
        "grace": AUTOMATIC,
    }
    found = scores(course, CHAPTER)
    assert {student: found[student] for student in expected} == expected
    assert 0 < found["no-bias"] < AUTOMATIC
    panels = [c.outputs[0] for c in graded(course, "solved").cells if c.get("outputs") and "check(" in c.source]
    assert len(panels) == len(points)
    assert all("Right in" in panel.data["text/html"] for panel in panels)
    error, panel = cell(graded(course, "no-bias"), "check_threshold_unit").outputs
    assert (error.output_type, error.ename) == ("error", "Check")
    sentence = definitions(CHAPTER)["threshold_unit"].mistakes[4].sentence
    assert error.evalue == sentence
    assert "Not right" in panel.data["text/html"]


def test_links_and_pipes_beside_a_notebook_are_set_aside_and_never_copied(course):
    assert scores(course, CHAPTER)["linked"] == AUTOMATIC
    copied = {path.name for path in (course.root / "autograded" / "linked" / CHAPTER.name).iterdir()}
    assert copied == {f"{CHAPTER.name}.ipynb", "notes.txt"}
    refused = sorted((course.root / "refused" / "linked" / CHAPTER.name).iterdir())
    assert sorted(path.name.partition("-")[2] for path in refused) == ["etc", "passwd", "pipe"]
    assert sum(path.is_symlink() for path in refused) == 2


def test_verdicts_are_recorded_with_their_seed(course):
    record = Store(course.root).load(CHAPTER.name, "no-bias")
    assert re.fullmatch(r"[0-9a-f]{32}", record.seed)
    first = record.verdicts[0]
    assert (first["exercise"], first["passed"], first["misconception"]) == ("threshold_unit", False, "no_bias")


def test_a_correct_solution_that_warns_keeps_full_marks(course):
    assert scores(course, CHAPTER)["warns"] == AUTOMATIC
    notes = cell(graded(course, "warns"), "check_threshold_unit").outputs[0].data["text/plain"]
    assert "Note:" in notes


def test_rubric_and_intake_notes_stand_in_the_graded_notebook(course):
    notebook = graded(course, "tampered")
    assert "`check_threshold_unit` was changed" in notebook.cells[0].source
    assert "`check_fold_bias` was missing" in notebook.cells[0].source
    sources = [c.source for c in notebook.cells]
    answer = next(i for i, source in enumerate(sources) if source.startswith("My proof"))
    assert sources[answer + 1].startswith("**Rubric** (4 points)")
    assert all(text in sources[answer + 1] for _, text in definitions(CHAPTER)[WRITTEN].rubric)


# ---- feedback --------------------------------------------------------------------------------------------------------
def test_everyone_gets_feedback_with_verdicts(course, feedback):
    assert set(feedback) == set(course.submissions(CHAPTER))
    for page in feedback.values():
        assert all(f'aria-label="check of {made.name}"' in page for made in exercises(CHAPTER))
    assert "not valid JSON" in feedback["broken"]
    assert "four conditions" in feedback["solved"]  # the rubric


def test_what_a_student_writes_is_shown_and_does_not_run(feedback):
    page = feedback["tampered"]
    assert "<script>alert(" not in page
    assert "&lt;script&gt;alert(" in page
    assert "<b>bold</b>" in page
    assert "$w_1 &lt; 0$" in page
    assert f'<img alt="a photo" src="data:image/png;base64,{DOT}"/>' in page


def test_safe_markdown_fetches_nothing_and_keeps_what_prose_needs():
    def shown(source):
        return safe_markdown({"cell": {}}, source)

    assert "<table>" in shown("| a | b |\n|---|---|\n| 1 | 2 |")
    assert "a &lt; b" in shown("`a < b`")
    assert shown(r"$\frac{1}{2} < x$").strip() == r"<p>$\frac{1}{2} &lt; x$</p>"
    assert 'href="https://arxiv.org"' in shown("[paper](https://arxiv.org)")
    assert "<details>" in shown("<details><summary>s</summary>\n\ntext\n\n</details>")
    for hostile in (
        "![x](https://example.org/seen.png)",
        "![x](//example.org/seen.png)",
        "[x](javascript:alert(1))",
        "[x](data:text/html,<script>alert(1)</script>)",
        "<p onclick='a()' style='x' id='xor_no_line' class='score'>x</p>",
        "<iframe src='https://example.org'></iframe>",
        "<svg><script>a()</script></svg>",
        "![x](data:image/svg+xml;base64,AAAA)",
    ):
        tags = re.findall(r"<[^>]*>", shown(hostile))
        assert not [tag for tag in tags if re.search(r"src=|href=|on\w+=|style|id=|class|iframe|svg|script", tag)], tags


# ---- lateness --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("late_minutes", "penalty"),
    [(0, None), (15, None), (16, 1.0), (24 * 60 + 15, 1.0), (24 * 60 + 16, 2.0), (10 * 24 * 60, 5.0)],
)
def test_late_by_day(late_minutes, penalty):
    found = LateByDay().late_submission_penalty("ada", 10.0, 60.0 * late_minutes)
    assert found is None if penalty is None else found == pytest.approx(penalty)


def test_late_by_day_follows_the_courses_settings():
    policy = LateByDay(percent_per_day=25.0, grace_minutes=0.0, most_percent=100.0)
    assert policy.late_submission_penalty("ada", 8.0, 1.0) == pytest.approx(2.0)
    assert policy.late_submission_penalty("ada", 8.0, 30 * 86_400.0) == pytest.approx(8.0)


def test_a_penalty_reaches_the_gradebook(course):
    found = {student: course.result(CHAPTER, student) for student in ("solved", "grace", "late")}
    assert (found["solved"].late_seconds, found["solved"].penalty) == (0.0, 0.0)
    assert (found["grace"].late_seconds, found["grace"].penalty) == (840.0, 0.0)
    assert found["late"].late_seconds == 88_200.0
    assert found["late"].penalty == pytest.approx(0.2 * AUTOMATIC)  # two days begun
    assert found["late"].score == pytest.approx(0.8 * AUTOMATIC)


# ---- grading by hand -------------------------------------------------------------------------------------------------
def test_a_manual_score_survives_a_regrade_and_asks_for_review(course):
    with course.gradebook() as book:
        grade = book.find_grade(WRITTEN, CHAPTER.name, CHAPTER.name, "late")
        grade.manual_score, grade.needs_manual_grade = 4.0, False
        book.db.commit()
    assert not course.result(CHAPTER, "late").needs_manual
    course.settle_late(CHAPTER)  # the share is taken of the points given by hand, too
    assert course.result(CHAPTER, "late").score == pytest.approx(0.8 * (AUTOMATIC + 4))
    nbgrader(course.root, "autograde", CHAPTER.name, "--student=late", "--force")
    with course.gradebook() as book:
        grade = book.find_grade(WRITTEN, CHAPTER.name, CHAPTER.name, "late")
        assert (grade.manual_score, grade.needs_manual_grade) == (4.0, True)
    assert course.result(CHAPTER, "late").score == pytest.approx(0.8 * (AUTOMATIC + 4))


# ---- nbgrader without us ---------------------------------------------------------------------------------------------
def graded_by_stock(root, students):
    """Automatic points that nbgrader's own executor gives, in a course that knows nothing of ours."""
    (root / "nbgrader_config.py").write_text(STOCK_CONFIG, encoding="utf-8")
    source = root / "source" / CHAPTER.name / f"{CHAPTER.name}.ipynb"
    source.parent.mkdir(parents=True)
    nbformat.write(instructor_notebook(CHAPTER), source)
    nbgrader(root, "generate_assignment", CHAPTER.name)
    for student, notebook in students.items():
        if notebook is None:
            notebook = nbformat.read(root / "release" / CHAPTER.name / f"{CHAPTER.name}.ipynb", 4)
        hand_in(root, CHAPTER, student, notebook)
    nbgrader(root, "autograde", CHAPTER.name)
    return scores(Classroom(root), CHAPTER)


def test_stock_nbgrader_gives_honest_submissions_the_same_scores(course, tmp_path):
    students = {"solved": solved(CHAPTER), "empty": None, "no-bias": with_mistake(CHAPTER, "threshold_unit", 4)}
    ours = scores(course, CHAPTER)
    assert graded_by_stock(tmp_path, students) == {student: ours[student] for student in students}


@pytest.mark.full
def test_stock_nbgrader_agrees_on_more_mistakes(tmp_path_factory):
    students = {made.name: with_mistake(CHAPTER, made.name) for made in exercises(CHAPTER)[1:]}
    classroom = Classroom(tmp_path_factory.mktemp("ours"))
    classroom.release(CHAPTER)
    for student, notebook in students.items():
        hand_in(classroom.root, CHAPTER, student, notebook)
    classroom.grade(CHAPTER)
    ours = scores(classroom, CHAPTER)
    assert all(0 < score < AUTOMATIC for score in ours.values())
    assert graded_by_stock(tmp_path_factory.mktemp("stock"), students) == ours


def test_an_unknown_student_has_no_score(course):
    with course.gradebook() as book, pytest.raises(MissingEntry):
        book.find_submission(CHAPTER.name, "nobody")
    assert course.result(CHAPTER, "nobody").score is None
