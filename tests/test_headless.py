"""``nnlm check``: verdicts as the student sees them, whatever the notebook does."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import nbformat
import pytest

from autograder import bundle, frozen, headless, notebooks
from autograder.checking import verdict_of
from autograder.paths import ROOT, chapter
from autograder.render import as_text
from autograder.sandbox.isolation import Limits
from autograder.sandbox.session import Server

SCALE = "def scale_and_shift(x, factor, shift):\n    return factor * x + shift"
MEANS = "def row_means(x):\n    return x.mean(axis=1)"
IMPORT = "import numpy as np\nfrom autograder import check"
CHECK_SCALE, CHECK_MEANS = 'check("scale_and_shift", scale_and_shift)', 'check("row_means", row_means)'


@pytest.fixture(scope="module")
def server():
    with Server(bundle.importable_files(), ROOT) as started:
        yield started


@pytest.fixture
def run(tmp_path, monkeypatch, server):
    """Write a notebook of these code cells and check it; a cell that is a pair carries tags."""
    monkeypatch.setattr(headless, "SHORT", Limits(cell_seconds=2.0, total_seconds=30.0))
    monkeypatch.setattr(headless, "Server", lambda *_: contextlib.nullcontext(server))  # one warm server for all tests

    def run(*cells, everything=False):
        notebook = nbformat.v4.new_notebook()
        for cell in cells:
            source, tags = cell if isinstance(cell, tuple) else (cell, [])
            notebook.cells.append(nbformat.v4.new_code_cell(source, metadata={"tags": tags}))
        path = tmp_path / "my work.ipynb"
        nbformat.write(notebook, path)
        return headless.check_notebook(path, everything=everything)

    return run


def by_name(report):
    return {verdict.exercise: verdict for verdict in report.checks}


def test_verdicts_are_those_of_the_panel(run):
    report = run(IMPORT, SCALE, CHECK_SCALE, MEANS.replace("axis=1", "axis=0"), CHECK_MEANS)
    assert (report.passed, report.failed, report.not_reached, report.good) == (1, 1, 0, False)
    wrong = by_name(report)["row_means"]
    in_process = verdict_of(frozen.find("row_means"), lambda x: x.mean(axis=0))
    assert (wrong.to_data(), as_text(wrong)) == (in_process.to_data(), as_text(in_process))
    assert wrong.misconception == "column_means"
    assert wrong.headline.startswith("You averaged down the columns")
    assert dict(wrong.evidence)["expected"] == "[3., 4., 5.] (shape (3,), float64)"


def test_a_cell_that_ends_the_process_costs_only_itself(run):
    report = run(IMPORT, SCALE, MEANS + "\nimport os; os._exit(3)", CHECK_SCALE, CHECK_MEANS)
    assert (report.passed, report.failed, report.not_reached) == (1, 0, 1)
    assert by_name(report)["row_means"].kind == "missing"
    assert "Cell 3 (`def row_means`): The cell ended the process" in by_name(report)["row_means"].headline
    assert len(report.left_out) == 1
    assert report.left_out[0].startswith("Cell 3 (`def row_means`) was left out.")


def test_a_check_that_hangs_is_named_and_the_rest_goes_on(run):
    endless = "def scale_and_shift(x, factor, shift):\n    while True:\n        pass"
    report = run(IMPORT, endless, CHECK_SCALE, MEANS, CHECK_MEANS)
    assert (report.passed, report.not_reached, report.left_out) == (1, 1, [])
    assert by_name(report)["scale_and_shift"].kind == "timeout"
    assert "did not end within 2 s" in by_name(report)["scale_and_shift"].headline


def test_a_syntax_error_is_the_reason_given(run):
    report = run(IMPORT, "def row_means(x):\n    return x.mean(", CHECK_MEANS)
    verdict = by_name(report)["row_means"]
    assert verdict.headline.startswith("Not reached. SyntaxError:")
    assert "ipython-input" not in verdict.headline


def test_a_misspelt_exercise_is_not_reached(run):
    report = run(IMPORT, MEANS, 'check("row_mean", row_means)')
    assert "Did you mean 'row_means'?" in by_name(report)["row_mean"].headline


def test_the_last_check_of_an_exercise_counts(run):
    planted = MEANS.replace("axis=1", "axis=0")
    report = run(IMPORT, planted, CHECK_MEANS, MEANS, CHECK_MEANS)
    assert (report.passed, len(report.checks), report.good) == (1, 1, True)


def test_cells_with_magics_survive_a_restart(run):
    report = run(IMPORT, "%matplotlib inline\n" + SCALE, "import os; os._exit(1)", CHECK_SCALE)
    assert report.passed == 1


def test_long_runs_are_skipped_unless_wanted(run):
    cells = (IMPORT, (SCALE, ["long-run"]), CHECK_SCALE)
    skipped = run(*cells)
    assert (skipped.passed, skipped.skipped) == (0, 1)
    assert "1 long run was skipped" in skipped.summary()
    assert run(*cells, everything=True).good


def test_a_notebook_without_checks_is_not_good(run):
    report = run("1 + 1")
    assert not report.good
    assert report.summary().endswith("has no checks.")


def test_a_verdict_is_read_with_every_field_forced():
    forged = {
        "exercise": 3,
        "passed": "yes",
        "evidence": [["a"], ["b", 2], 7],
        "points": "many",
        "notes": None,
        "outputs": [3, {}],
    }
    verdict = headless.verdict_of({"data": {headless.VERDICT_TYPE: forged}})
    assert (verdict.exercise, verdict.passed, verdict.evidence, verdict.points) == ("3", False, (("b", "2"),), 0.0)
    for output in (None, {}, {"data": 3}, {"data": {headless.VERDICT_TYPE: "text"}}):
        assert headless.verdict_of(output) is None


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b'{"cells": 3}', b'{"cells": [{"a": 1}]}', b"\xff\xfe", b"[" * 99999]
)
def test_what_is_no_notebook_is_said_in_a_sentence(tmp_path, content):
    path = tmp_path / "a.ipynb"
    path.write_bytes(content)
    with pytest.raises(headless.NotANotebook, match=r"is not a notebook; give the \.ipynb file"):
        headless.read_cells(path)


def test_chapters_are_found_by_key_and_notebooks_by_path(tmp_path):
    assert headless.find_notebook("2") == headless.find_notebook("perceptron") == chapter("02").notebook
    own = tmp_path / "own.ipynb"
    own.touch()
    assert headless.find_notebook(str(own)) == own
    for key in ("99", str(tmp_path / "02_perceptron.ipynb")):
        with pytest.raises(headless.NotANotebook):
            headless.find_notebook(key)


# ---- in a student's copy ---------------------------------------------------------------------------------------------
# The command line in a copy, without the editable installation that would show it the rest of the project.
WITHOUT_PROJECT = (
    "import sys; sys.meta_path = [f for f in sys.meta_path if 'editable' not in repr(f)]; "
    "from autograder.cli import main; main()"
)


@pytest.fixture(scope="module")
def student(tmp_path_factory):
    """An unpacked bundle with chapter 02."""
    folder = tmp_path_factory.mktemp("student")
    bundle.write_zip([chapter("02")], folder / "course.zip", "# Course\n")
    with zipfile.ZipFile(folder / "course.zip") as archive:
        archive.extractall(folder)
    return folder / "nnlm-course"


def nnlm(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", WITHOUT_PROJECT, *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, encoding="utf-8", timeout=120)


def test_a_bundle_holds_no_answers(student):
    names = {path.relative_to(student).as_posix() for path in student.rglob("*") if path.is_file()}
    assert not [name for name in names if name.startswith(("solutions", "autograder/exercises", "autograder/grading"))]
    assert {"course/00_start_here.ipynb", "autograder/frozen/00_start_here.cases", "course/kit/devices.py"} <= names


def test_check_works_in_a_bundle(student):
    notebook = notebooks.without_markers(notebooks.instructor_notebook(chapter("02")))
    nbformat.write(notebook, student / "course" / "02_perceptron.ipynb")
    done = nnlm(student, "check", "02", "--json")
    assert done.returncode == 0, done.stderr
    data = json.loads(done.stdout)
    assert (data["passed"], data["failed"], data["not_reached"]) == (7, 0, 0)
    assert data["skipped_long_runs"] == 6


def test_doctor_works_in_a_bundle(student):
    done = nnlm(student, "doctor", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    lines = {line["what"]: line for line in json.loads(done.stdout)["lines"]}
    assert lines["chapters"]["mark"] == lines["sandbox"]["mark"] == "✓"
    assert "tests" not in lines


def test_data_works_in_a_bundle(student):
    done = nnlm(student, "data", "copy", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["types"] == 13


@pytest.mark.parametrize("command", [("build",), ("release", "02"), ("grade", "02"), ("test",)])
def test_other_commands_say_that_they_need_the_project(student, command):
    done = nnlm(student, *command)
    assert done.returncode == 2
    assert (
        done.stderr.strip()
        == "This command needs the whole project; a student's copy has lab, check, progress, data and doctor."
    )
