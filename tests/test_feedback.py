"""Feedback and the formgrader's pages: nothing of a student's runs there, nothing hidden reaches the student."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import nbformat
import pytest
from bs4 import BeautifulSoup
from nbconvert.exporters import HTMLExporter
from nbformat import NotebookNode
from nbgrader.converters import GenerateFeedback
from nbgrader.coursedir import CourseDirectory
from submissions import hand_in, solved
from traitlets.config import Config

from autograder.grading import hiding
from autograder.grading.classroom import Classroom
from autograder.nbgrader_config import configure
from autograder.notebooks import quiet_nbgrader
from autograder.paths import ROOT, chapter

CHAPTER = chapter("02")
BIDI = "\u202e\u2066"
SCRIPT = "<script>alert('o')</script>"
HANDLER = "<img src=x onerror=\"alert('o')\">"
VECTOR = "<svg onload=\"alert('o')\"><a xlink:href=\"javascript:alert('o')\">x</a></svg>"


def page_of(tmp_path: Path, *cells: NotebookNode) -> str:
    """The cells as the formgrader's and feedback's exporter show them."""
    config = Config()
    configure(config, tmp_path)
    notebook = nbformat.v4.new_notebook(cells=list(cells), metadata={"language_info": {"name": "python"}})
    return str(HTMLExporter(config=Config(HTMLExporter=config.HTMLExporter)).from_notebook_node(notebook)[0])


def active(page: str) -> list[str]:
    """Whatever of a page would run or fetch and is not nbconvert's own: found in the parsed page, not in its text."""
    soup = BeautifulSoup(page, "html.parser")
    body = soup.body or soup
    found = [str(tag) for tag in body.find_all(["script", "iframe", "object", "embed", "svg", "form", "link", "style"])]
    for tag in body.find_all(True):
        for name, value in tag.attrs.items():
            text = "".join(value) if isinstance(value, list) else str(value)
            if name.startswith("on") or "javascript:" in text.lower():
                found.append(f"{tag.name} {name}={text}")
            if name == "src" and not text.startswith("data:image/"):
                found.append(f"{tag.name} {name}={text}")
    return found


def code(source: str = "1", *outputs: NotebookNode, **metadata: object) -> NotebookNode:
    return nbformat.v4.new_code_cell(source, outputs=list(outputs), metadata=metadata)


def test_active_finds_what_runs() -> None:
    """The instrument itself: each of these is seen."""
    for text in (SCRIPT, HANDLER, VECTOR, '<a href="JavaScript:x">x</a>', '<img src="https://example.org/p.png">'):
        assert active(f"<html><body>{text}</body></html>")
    assert not active("<html><body><p>text</p><img src='data:image/png;base64,aGVsbG8='></body></html>")


@pytest.mark.parametrize(
    "hostile", [SCRIPT, HANDLER, VECTOR, "[x](javascript:alert('o'))", "<style>*{display:none}</style>"]
)
def test_no_cell_of_a_student_runs(tmp_path: Path, hostile: str) -> None:
    cells = [
        nbformat.v4.new_markdown_cell(hostile),
        nbformat.v4.new_raw_cell(hostile),
        nbformat.v4.new_raw_cell("```\n" + hostile, metadata={"raw_mimetype": "text/html"}),
        code(hostile),
    ]
    page = page_of(tmp_path, *cells)
    assert active(page) == []
    assert "alert('o')" not in hostile or BeautifulSoup(page, "html.parser").get_text().count("alert(") >= 2


@pytest.mark.parametrize(
    "data",
    [
        {"text/html": SCRIPT},
        {"text/html": HANDLER},
        {"image/svg+xml": VECTOR},
        {"text/markdown": SCRIPT + VECTOR},
        {"application/javascript": "alert('o')"},
        {"text/latex": r"$\href{javascript:alert('o')}{x}$"},
        {"image/png": "\"><script>alert('o')</script>"},
        {"image/png": ["aGVsbG8="]},
        {"application/vnd.jupyter.widget-view+json": {"model_id": "x"}},
    ],
)
def test_no_output_of_a_student_runs(tmp_path: Path, data: dict[str, object]) -> None:
    shown = nbformat.v4.new_output("display_data", data={**data, "text/plain": "in its stead"})
    page = page_of(tmp_path, code("1", shown), code("2", shown, nbgrader={"grade": False, "grade_id": "check_x"}))
    assert active(page) == []
    assert "in its stead" in page
    assert "alert(" not in page


def test_text_outputs_are_escaped_and_colours_become_markup(tmp_path: Path) -> None:
    stream = nbformat.v4.new_output("stream", text=f"\x1b[31mred\x1b[0m {SCRIPT} {BIDI}")
    error = nbformat.v4.new_output("error", ename="E", evalue=SCRIPT, traceback=[f"\x1b[1m{HANDLER}\x1b[0m{BIDI}"])
    page = page_of(tmp_path, code("1", stream, error))
    assert active(page) == []
    assert "\x1b" not in page
    assert "ansi-red-fg" in page
    assert not re.search(f"[{BIDI}]", page)


def test_order_of_text_cannot_be_turned(tmp_path: Path) -> None:
    text = f"access = {BIDI}'user'\x00\x1b[8m\x85"
    page = page_of(tmp_path, code(text), nbformat.v4.new_markdown_cell(text), nbformat.v4.new_raw_cell(text))
    assert not re.search("[\x00\x1b\x85\u202a-\u202e\u2066-\u2069]", page)
    assert BeautifulSoup(page, "html.parser").get_text().count("\\u202e\\u2066'user'\\u0000\\u001b[8m\\u0085") == 3


def test_right_to_left_text_itself_stays(tmp_path: Path) -> None:
    assert "שלום مرحبا 感知机" in page_of(tmp_path, nbformat.v4.new_markdown_cell("שלום مرحبا 感知机"))


@pytest.mark.parametrize(
    "text", ["[" * 150_000, "*a_" * 60_000, "`" * 150_001, "<a" * 90_000, "$" * 99_999, "> " * 90_000]
)
def test_a_text_that_is_slow_to_set_is_shown_as_it_is(tmp_path: Path, text: str) -> None:
    """Without the bound each of these is more than linear; a test never asserts a time, it would simply not come back."""
    page = page_of(tmp_path, nbformat.v4.new_markdown_cell(text), code(text))
    assert BeautifulSoup(page, "html.parser").get_text().count(text) == 2


# ---- hidden tests ------------------------------------------------------------------------------------------------------
HIDDEN_CHECK = """assert double(2) == 4
### BEGIN HIDDEN TESTS
secret_factor = 271828
assert double(secret_factor) == 543656, "the secret answer is 543656"
### END HIDDEN TESTS
print("both passed", secret_factor)"""
TASK = "Draw it.\n\n=== BEGIN MARK SCHEME ===\ntwo points for the axis\n=== END MARK SCHEME ==="


def hidden_meta(**changed: object) -> dict[str, object]:
    own = {"schema_version": 3, "grade": False, "solution": False, "locked": False, "task": False, **changed}
    return {"nbgrader": own}


def source_notebook() -> NotebookNode:
    """An instructor's own assignment with a hidden test and a mark scheme."""
    return nbformat.v4.new_notebook(
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
        cells=[
            code(
                "### BEGIN SOLUTION\ndef double(x):\n    return 2 * x\n### END SOLUTION",
                **hidden_meta(grade_id="double", solution=True),
            ),
            code(HIDDEN_CHECK, **hidden_meta(grade_id="test_double", grade=True, locked=True, points=2)),
            nbformat.v4.new_markdown_cell(
                TASK, metadata=hidden_meta(grade_id="draw", task=True, locked=True, points=3)
            ),
        ],
    )


def nbgrader(root: Path, *arguments: str) -> None:
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


ANSWERS = {
    "right": "def double(x):\n    return 2 * x",
    "hidden-wrong": "def double(x):\n    return 4",
    "visible-wrong": "def double(x):\n    return 'no'",
    "raises": "def double(x):\n    if x == 2: return 4\n    raise ValueError(f'got {x}')",
    "prints": "def double(x):\n    print('asked for', x)\n    return 2 * x",
}


@pytest.fixture(scope="module")
def handed_back(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Feedback pages by student: graded by stock nbgrader, whose tracebacks quote most, handed back with our plug-ins."""
    root = tmp_path_factory.mktemp("hidden")
    stock = "from pathlib import Path\nc = get_config()\nc.CourseDirectory.root = str(Path(__file__).parent)\n"
    (root / "nbgrader_config.py").write_text(stock + "c.CourseDirectory.course_id = 'hidden'\n")
    source = root / "source" / "own" / "own.ipynb"
    source.parent.mkdir(parents=True)
    nbformat.write(source_notebook(), source)
    nbgrader(root, "generate_assignment", "own")
    released = nbformat.read(root / "release" / "own" / "own.ipynb", 4)
    assert "secret_factor = 271828" not in "".join(cell.source for cell in released.cells)
    for student, answer in ANSWERS.items():
        handed = nbformat.from_dict(released)
        handed.cells[0].source = answer
        # A student's own cell may quote what nbgrader would call a region.
        handed.cells.append(nbformat.v4.new_markdown_cell("### BEGIN HIDDEN TESTS\nmy own words"))
        handed.cells.append(code("import sys; print(sys.prefix, sys.executable); In[-2:]; print(In[2]); 1 / 0"))
        target = root / "submitted" / student / "own" / "own.ipynb"
        target.parent.mkdir(parents=True)
        nbformat.write(handed, target)
    nbgrader(root, "autograde", "own")
    before = {path: path.read_bytes() for path in (root / "autograded").rglob("*.ipynb")}
    config = Config()
    configure(config, root)
    config.CourseDirectory.assignment_id = "own"
    with quiet_nbgrader():
        GenerateFeedback(coursedir=CourseDirectory(config=config), config=config).start()
    assert before == {path: path.read_bytes() for path in before}, "the graded notebooks stay as they are"
    assert any("secret_factor" in raw.decode() for raw in before.values()), "the grader does see the hidden test"
    return {path.parts[-3]: path.read_text(encoding="utf-8") for path in (root / "feedback").rglob("*.html")}


def words(page: str) -> str:
    return BeautifulSoup(page, "html.parser").get_text()


def test_everyone_has_a_page_with_the_points(handed_back: dict[str, str]) -> None:
    assert set(handed_back) == set(ANSWERS)
    assert "own (Score: 2.0 / 5.0)" in handed_back["right"]
    assert "own (Score: 0.0 / 5.0)" in handed_back["hidden-wrong"]


@pytest.mark.parametrize("student", ANSWERS)
def test_hidden_tests_do_not_reach_the_student(handed_back: dict[str, str], student: str) -> None:
    text = words(handed_back[student])
    for secret in (
        "271828",
        "543656",
        "secret_factor ==",
        "secret_factor =",
        "the secret answer",
        "two points for the axis",
    ):
        assert secret not in text
    assert "assert double(2) == 4" in text  # what is not hidden is shown
    assert "my own words" in text
    assert "Draw it." in text


def test_a_failure_is_told_as_far_as_it_is_not_hidden(handed_back: dict[str, str]) -> None:
    assert f"{hiding.FAILED} (AssertionError)." in words(handed_back["hidden-wrong"])
    assert f"{hiding.FAILED} (ValueError)." in words(handed_back["raises"])
    visible = words(handed_back["visible-wrong"])
    assert "----> assert double(2) == 4" in visible
    assert hiding.FAILED not in visible
    assert hiding.FAILED not in words(handed_back["right"])


@pytest.mark.parametrize("student", ANSWERS)
def test_folders_of_the_graders_machine_are_not_named(handed_back: dict[str, str], student: str) -> None:
    text = words(handed_back[student])
    assert "ZeroDivisionError" in text
    for folder in (sys.prefix, str(ROOT), sys.executable):
        assert folder not in text


def test_names_of_folders() -> None:
    pattern = hiding.private_folders(Path("/srv/courses/nlp"))
    text = (
        "/srv/courses/nlp/submitted/x.py /srv/courses/nlp2 /home/ada/x.py C:\\Users\\ada\\x "
        "/opt/py/lib/python3.11/site-packages/numpy/core.py"
    )
    assert (
        hiding._nameless(text, pattern)
        == "…/submitted/x.py /srv/courses/nlp2 ~/x.py ~\\x …/site-packages/numpy/core.py"
    )
    assert tempfile.gettempdir() in ("/tmp",) or pattern.search(tempfile.gettempdir())


def test_a_region_that_does_not_end_is_hidden_to_the_end() -> None:
    assert hiding.split("a\n# BEGIN HIDDEN TESTS\nb\nc", [("BEGIN HIDDEN TESTS", "END HIDDEN TESTS")]) == (
        ["a"],
        ["# BEGIN HIDDEN TESTS", "b", "c"],
    )


def test_a_hostile_submission_gets_a_harmless_page_end_to_end(tmp_path: Path) -> None:
    classroom = Classroom(tmp_path)
    classroom.release(CHAPTER)
    notebook = solved(CHAPTER)
    display = "from IPython.display import HTML, SVG, Javascript, Markdown, display\n"
    notebook.cells += [
        nbformat.v4.new_raw_cell(SCRIPT),
        nbformat.v4.new_markdown_cell(HANDLER + BIDI),
        code(display + f"display(HTML({SCRIPT!r})); display(Markdown({HANDLER!r})); display(Javascript('alert(1)'))"),
        code(f"from IPython.display import publish_display_data as p\np({{'image/png': {chr(34) + '>' + SCRIPT!r}}})"),
        code(f"raise ValueError({SCRIPT!r} + '\\x1b[31m' + {BIDI!r})"),
    ]
    hand_in(tmp_path, CHAPTER, "mallory", notebook)
    (result,) = classroom.grade(CHAPTER)
    assert result.problem == ""
    (path,) = classroom.feedback(CHAPTER)
    page = path.read_text(encoding="utf-8")
    # The panels of our checks may hold maps of where an answer is wrong; all answers are right here.
    assert active(page) == []
    assert not re.search("[\x1b\u202a-\u202e\u2066-\u2069]", page)
    assert "&lt;script&gt;" in page
