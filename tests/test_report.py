"""The report of a chapter: whose words are text and nothing else, and what the numbers count."""

import csv
import io
import json
import re
from html.parser import HTMLParser

import pytest
from rich.console import Console
from typer.testing import CliRunner

from autograder.cli import app
from autograder.grading import report as reporting
from autograder.grading import report_page, spreadsheet
from autograder.grading.classroom import Classroom, Result
from autograder.grading.records import Record, Store
from autograder.notebooks import exercises, quiet_nbgrader
from autograder.paths import chapter

CHAPTER = chapter("02")
EVIL = "<script>alert('o')</script>"
FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "  =1", "＝1+1", '=HYPERLINK("x","y")']


def result(student, score=None, **changes):
    """A result of 10 points."""
    fields = {
        "student": student,
        "score": score,
        "max_score": 10.0,
        "needs_manual": False,
        "late_seconds": 0.0,
        "penalty": 0.0,
        "problem": "",
        "repairs": (),
        "seconds": 0.0,
    }
    return Result(**{**fields, **changes})


def report_of(*results, names=None):
    """A report without exercises."""
    return reporting.Report("02_perceptron", 10.0, results, names or {}, {}, (), (), {}, 0)


class Page(HTMLParser):
    """Tags, attributes and text of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.words = [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data):
        self.words += data


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """A gradebook and records as grading leaves them, made by hand: nothing is executed."""
    classroom = Classroom(tmp_path_factory.mktemp("course"))
    classroom.create()
    checked = exercises(CHAPTER)
    with quiet_nbgrader(), classroom.gradebook() as book:
        book.add_assignment(CHAPTER.name, duedate="2026-11-01 12:00:00")
        book.add_notebook(CHAPTER.name, CHAPTER.name)
        for made in checked:
            book.add_grade_cell(
                f"check_{made.name}", CHAPTER.name, CHAPTER.name, max_score=made.points, cell_type="code"
            )
        book.add_grade_cell("xor_no_line", CHAPTER.name, CHAPTER.name, max_score=4, cell_type="markdown")
        book.add_student("absent", first_name="Not", last_name=EVIL)
        for student, wrong, written in (("ada", 0, 3.0), ("bob", 1, None), ("cyd", 2, 1.0)):
            book.add_student(student)
            book.add_submission(CHAPTER.name, student, timestamp="2026-11-02 15:00:00" if student == "cyd" else None)
            for index, made in enumerate(checked):
                grade = book.find_grade(f"check_{made.name}", CHAPTER.name, CHAPTER.name, student)
                grade.auto_score = 0.0 if index < wrong else made.points
                grade.needs_manual_grade = False
            answer = book.find_grade("xor_no_line", CHAPTER.name, CHAPTER.name, student)
            answer.manual_score, answer.needs_manual_grade = written, written is None
            if student == "cyd":
                book.find_submission_notebook(CHAPTER.name, CHAPTER.name, student).late_submission_penalty = 1.5
            book.db.commit()
            verdicts = []
            for index, made in enumerate(checked):
                bad = index < wrong
                verdicts.append(
                    {
                        "exercise": made.name,
                        "passed": not bad,
                        "kind": "value" if bad else "passed",
                        "misconception": made.mistakes[0].name if bad else "",
                    }
                )
            Store(classroom.root).save(Record(student, CHAPTER.name, f"seed-{student}", "process", verdicts=verdicts))
    return classroom


# ---- words of students -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("text", FORMULAS)
def test_no_cell_of_the_spreadsheet_is_a_formula(text):
    made = report_of(result(text, 5.0, problem=text, repairs=(text,), flags=(text,)), names={text: text})
    rows = list(csv.reader(io.StringIO(spreadsheet.as_csv(made).decode("utf-8-sig"))))
    student, name, *_, repairs, flags, problem = rows[1]
    for cell in (student, name, repairs, flags, problem):
        assert cell.startswith("'")
        assert text.strip("\t\r\n") in cell


def test_the_spreadsheet_keeps_ordinary_names_and_says_that_it_is_utf8():
    content = spreadsheet.as_csv(report_of(result("王芳", 9.25, late_seconds=1_234_567.0), names={"王芳": "芳 王"}))
    assert content.startswith(b"\xef\xbb\xbf")
    row = next(csv.DictReader(io.StringIO(content.decode("utf-8-sig"))))
    assert (row["student"], row["name"], row["score"], row["max_score"]) == ("王芳", "芳 王", "9.25", "10")
    assert row["seconds_late"] == "1234567"


def test_the_page_shows_markup_in_names_as_text():
    evil = result(EVIL, 5.0, problem=EVIL, repairs=(f'"{EVIL}',), flags=(EVIL,))
    page = Page(report_page.as_html(report_of(evil, names={EVIL: f"\x1b[31m{EVIL}"})))
    assert not {"script", "img", "iframe", "link", "object", "form", "a"} & set(page.tags)
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert page.words.count(EVIL) == 5  # name, student, repair, flag, problem
    assert "\x1b" not in page.words


def test_the_terminal_shows_names_as_they_are():
    console = Console(record=True, width=200, file=io.StringIO())
    console.print(reporting.results_table([result("[red]b[0]\x1b[31m", 5.0, repairs=("a", "b"), needs_manual=True)]))
    text = console.export_text()
    assert "[red]b[0]" in text
    assert "\x1b" not in text
    assert "5 / 10" in text
    assert "to do" in text


# ---- numbers ---------------------------------------------------------------------------------------------------------
def test_histogram_counts_every_score_once():
    scores = [0.0, 0.99, 1.0, 4.999, 5.0, 9.0, 9.5, 10.0, 12.0]  # extra credit goes above the maximum
    bars = dict(reporting.histogram(scores, 10.0))
    assert bars == {0: 2, 10: 1, 20: 0, 30: 0, 40: 1, 50: 1, 60: 0, 70: 0, 80: 0, 90: 4}
    assert dict(reporting.histogram([5.1], 17.0))[30] == 1  # 5.1 / 17 is a little below 0.3 in floats
    assert sum(dict(reporting.histogram([0.0], 0.0)).values()) == 1


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, ""), (20, "1 min"), (3600, "1 h"), (90_000, "1 d 1 h"), (86_460, "1 d 1 min")]
)
def test_lateness_in_words(seconds, text):
    assert reporting.duration(seconds) == text


def test_scores_come_from_the_gradebook_and_reasons_from_the_records(course):
    made = reporting.collect(course, CHAPTER)
    total, (first, second, *rest) = made.max_score, made.exercises
    by_name = {found.student: found for found in made.results}
    assert by_name["ada"].score == total - 4 + 3  # three of the four points for the written answer
    assert by_name["bob"].score == total - 4 - first.points
    assert by_name["bob"].needs_manual
    # Two days begun cost 20 % of all points; the penalty that stood in the gradebook was out of date.
    assert by_name["cyd"].score == pytest.approx(0.8 * (total - 4 + 1 - first.points - second.points))
    assert by_name["cyd"].late_seconds == 27 * 3600
    assert by_name["absent"].score is None
    assert by_name["absent"].problem == "nothing handed in"
    assert (first.answered, first.passed, first.finding, first.finding_count) == (3, 1, "value", 2)
    assert (first.misconception, first.misconception_count) == (exercises(CHAPTER)[0].mistakes[0].name, 2)
    assert first.sentence == exercises(CHAPTER)[0].mistakes[0].sentence
    assert second.share == pytest.approx(2 / 3)
    assert all((other.share, other.finding, other.misconception) == (1.0, "", "") for other in rest)
    (written,) = made.written
    assert (written.graded, written.waiting, written.average) == (2, 1, 2.0)
    assert made.cells["cyd"][first.name] == 0.0
    assert made.cells["bob"]["xor_no_line"] is None


# ---- the command -----------------------------------------------------------------------------------------------------
def test_json_and_files(course, tmp_path):
    page, sheet = tmp_path / "new" / "r.html", tmp_path / "r.csv"
    command = ["report", "02", "--course-dir", str(course.root), "--html", str(page), "--csv", str(sheet), "--json"]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    data = json.loads(done.stdout)
    assert set(data) == {
        *("chapter", "max_score", "graded", "mean", "median", "histogram", "students", "exercises", "written"),
        *("isolation", "seeds_recorded", "files"),
    }
    assert sum(bar["students"] for bar in data["histogram"]) == data["graded"] == 3
    assert data["isolation"] == {"process": 3}
    assert "seed-ada" not in done.stdout + page.read_text(encoding="utf-8")
    absent = next(student for student in data["students"] if student["student"] == "absent")
    assert absent["name"] == f"Not {EVIL}"
    assert data["files"] == {"html": str(page), "csv": str(sheet)}
    assert len(sheet.read_text(encoding="utf-8-sig").splitlines()) == 5


def test_default_files_and_table(course):
    done = CliRunner().invoke(app, ["report", "perceptron", "--course-dir", str(course.root)])
    assert done.exit_code == 0, done.output
    assert "ada" in done.stdout
    for kind in ("html", "csv"):
        assert (course.root / "reports" / f"{CHAPTER.name}.{kind}").is_file()


def test_the_page_loads_nothing_and_says_what_it_shows(course):
    text = report_page.as_html(reporting.collect(course, CHAPTER))
    page = Page(text)
    assert not re.search(r"https?:|url\(|@import|//\w", text)
    assert not {"script", "link", "img", "iframe"} & set(page.tags)
    assert not [name for name, _ in page.attributes if name in ("src", "href", "srcset", "action")]
    assert ("role", "img") in page.attributes
    assert "1 student with 90 to 100 percent" in page.words  # the histogram in words
    assert "prefers-color-scheme: dark" in text
    assert "Isolation: process (3 submissions)." in page.words
    assert "The seed of the cases is recorded for 3 submissions" in page.words


def test_an_empty_class(tmp_path):
    classroom = Classroom(tmp_path / "empty")
    classroom.create()
    with classroom.gradebook() as book:
        book.add_assignment(CHAPTER.name)
    done = CliRunner().invoke(app, ["report", "02", "--course-dir", str(classroom.root), "--json"])
    assert done.exit_code == 0, done.output
    data = json.loads(done.stdout)
    assert (data["students"], data["graded"], data["mean"]) == ([], 0, None)
    page = (classroom.root / "reports" / f"{CHAPTER.name}.html").read_text(encoding="utf-8")
    assert "nobody has handed in yet" in page
    assert "No scores yet." in page


def test_sentences_for_what_cannot_be_reported(course, tmp_path):
    def sentence(*arguments):
        done = CliRunner().invoke(app, ["report", *arguments])
        assert done.exit_code == 1
        assert done.stderr.count("\n") == 1
        return done.stderr

    assert "There is no course" in sentence("02", "--course-dir", str(tmp_path))
    assert "has not been released" in sentence("03", "--course-dir", str(course.root))
    blocked = tmp_path / "file"
    blocked.touch()
    assert "Cannot write" in sentence("02", "--course-dir", str(course.root), "--csv", str(blocked / "r.csv"))
