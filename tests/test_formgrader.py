"""Grading by hand in nbgrader's formgrader, in a real browser, with the server that `nnlm formgrader` starts."""

import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from submissions import cell, hand_in, solved
from typer.testing import CliRunner

from autograder import doctor
from autograder.cli import app
from autograder.grading.classroom import Classroom
from autograder.grading.formgrader import Formgrader
from autograder.notebooks import definitions
from autograder.paths import chapter

CHAPTER = chapter("02")
WRITTEN = "xor_no_line"
ANSWER = (
    "Four corners, two sums, one contradiction. <script>window.owned = 1</script><img src=x onerror='window.owned = 1'>"
)
CHROMIUM = next((path for name in doctor.BROWSERS if (path := shutil.which(name))), None)
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
QUIET += ["--disable-component-update", "--disable-sync"]
browser_needed = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium or Chrome; `start.py doctor` says how to get one"
)


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """One submission, graded."""
    classroom = Classroom(tmp_path_factory.mktemp("course"))
    classroom.release(CHAPTER)
    notebook = solved(CHAPTER)
    cell(notebook, WRITTEN).source = ANSWER
    hand_in(classroom.root, CHAPTER, "ada", notebook)
    classroom.grade(CHAPTER)
    return classroom


@pytest.fixture(scope="module")
def server(course):
    with Formgrader(course) as running:
        yield running


@pytest.fixture(scope="module")
def page(server):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        page = browser.new_page(viewport={"width": 1300, "height": 900})
        # Formulas are typeset by a script from elsewhere; the tests do without it.
        page.route(re.compile(r"^https?://(?!localhost)"), lambda route: route.abort())
        page.goto(server.formgrader_url)
        yield page
        browser.close()


def grade_of(course):
    with course.gradebook() as book:
        grade = book.find_grade(WRITTEN, CHAPTER.name, CHAPTER.name, "ada")
        return grade.manual_score, bool(grade.needs_manual_grade)


def enter_score(page, box, score):
    """Type a score as a person does: again, while the page's scripts are still loading and nothing is sent."""
    from playwright.sync_api import TimeoutError as NothingSent

    for _ in range(12):
        try:
            with page.expect_response(
                lambda response: "/api/grade/" in response.url and response.request.method == "PUT", timeout=5_000
            ):
                box.fill("")
                box.press_sequentially(score)
                box.press("Tab")
            return
        except NothingSent:
            continue
    pytest.fail("the formgrader did not send the score within a minute")


@browser_needed
def test_a_score_entered_in_the_formgrader_is_in_the_gradebook(course, page):
    page.get_by_role("link", name="Manual Grading").click()
    for _ in range(2):  # the assignment, then its notebook
        page.locator("table").get_by_role("link", name=CHAPTER.name).first.click()
    page.locator("table").get_by_role("link", name="Submission #1").click(no_wait_after=True)
    box = page.locator(f"#{WRITTEN}")
    box.wait_for()
    answer = page.locator(".nbgrader_cell", has=box)
    assert "Four corners, two sums, one contradiction." in answer.inner_text()
    assert "<script>" in answer.inner_text()  # as text
    assert page.evaluate("window.owned") is None
    for _, text in definitions(CHAPTER)[WRITTEN].rubric:
        assert page.get_by_text(text).is_visible()
    assert page.get_by_text("Right in all").count() >= 5  # the verdicts of the checks
    assert grade_of(course) == (None, True)
    enter_score(page, box, "2.5")
    assert grade_of(course) == (2.5, False)
    result = course.result(CHAPTER, "ada")
    assert (result.score, result.needs_manual) == (result.max_score - 1.5, False)


@browser_needed
def test_the_formgraders_autograde_button_uses_our_executor(course, server, page):
    record = course.root / "verdicts" / CHAPTER.name / "ada.json"
    before = record.read_bytes()
    record.unlink()
    page.goto(server.formgrader_url.replace("manage_assignments", f"manage_submissions/{CHAPTER.name}"))
    page.locator("td.autograde a").click()
    page.get_by_text("Success", exact=False).first.wait_for(timeout=60_000)
    assert record.exists()
    assert record.read_bytes() != before  # another seed
    assert grade_of(course) == (2.5, True)  # kept, and to be looked at again


@browser_needed
def test_jupyterlab_opens_the_formgrader_from_its_menu(server, page):
    page.goto(server.lab_url)
    page.get_by_role("menuitem", name="Nbgrader").click(timeout=60_000)
    page.get_by_role("menuitem", name="Formgrader", exact=True).click()
    frame = page.frame_locator("iframe").first
    frame.get_by_role("heading", name="Manage Assignments").wait_for()
    frame.get_by_role("link", name=CHAPTER.name).wait_for()


def test_the_command_prints_an_address_that_works_and_ends_cleanly(course):
    command = [sys.executable, "-m", "autograder.cli", "formgrader", "--no-browser", "--course-dir", str(course.root)]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        line = running.stdout.readline()
        address = re.fullmatch(r"Formgrader: (http://localhost:\d+/\S+\?token=\w+)\n", line)
        assert address, line
        with urllib.request.urlopen(address[1], timeout=30) as answer:
            assert "nbgrader formgrade" in answer.read().decode()
    finally:
        running.send_signal(signal.SIGINT if os.name != "nt" else signal.SIGTERM)
        _, errors = running.communicate(timeout=30)
    assert errors == "Stopped.\n"
    assert running.returncode == 130
    with pytest.raises(urllib.error.URLError, match="refused"):  # the server is gone, too
        urllib.request.urlopen(address[1], timeout=5)


def test_no_course_is_said_in_a_sentence(tmp_path):
    done = CliRunner().invoke(app, ["formgrader", "--no-browser", "--course-dir", str(tmp_path)])
    assert done.exit_code == 1
    assert done.stderr == f"There is no course in {Path(tmp_path).resolve()}; begin with `nnlm release CHAPTER`.\n"


def test_a_port_that_is_taken_is_said_in_a_sentence(course, server):
    port = str(server.port)
    done = CliRunner().invoke(app, ["formgrader", "--no-browser", "--course-dir", str(course.root), "--port", port])
    assert done.exit_code == 1
    assert done.stderr.startswith("JupyterLab did not start: ")
    assert "port" in done.stderr
