"""The course as a student meets it: `lab`, a browser, a notebook, Run All Cells, panels."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import zipfile
from pathlib import Path

import nbformat
import pytest

from autograder import bundle, doctor, notebooks
from autograder.paths import chapter

CHROMIUM = next((path for name in doctor.BROWSERS if (path := shutil.which(name))), None)
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PANEL = '[role="group"][aria-label^="check of"]'
SECONDS = 1000.0  # Playwright counts milliseconds
CONTRAST = """element => {
    const channels = colour => colour.match(/[\\d.]+/g).map(Number);
    const luminance = ([r, g, b]) => [r, g, b].map(c => c / 255)
        .map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
        .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
    const style = getComputedStyle(element.closest('[role="group"]'));
    const pair = [luminance(channels(getComputedStyle(element).color)), luminance(channels(style.backgroundColor))];
    return (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
}"""

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium or Chrome; `start.py doctor` says how to get one")


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """A student's copy with chapter 02, and a solved notebook beside the unsolved one."""
    folder = tmp_path_factory.mktemp("student copy")
    bundle.write_zip([chapter("02")], folder / "course.zip", "# Course\n")
    with zipfile.ZipFile(folder / "course.zip") as archive:
        archive.extractall(folder)
    solved = notebooks.without_markers(notebooks.instructor_notebook(chapter("02")))
    nbformat.write(solved, folder / "nnlm-course" / "course" / "solved.ipynb")
    return folder / "nnlm-course"


@pytest.fixture(scope="module")
def address(course, tmp_path_factory):
    """Start `lab` in a home folder that holds a broken kernel called python3; yields the printed address."""
    home = tmp_path_factory.mktemp("home")
    broken = home / ".local" / "share" / "jupyter" / "kernels" / "python3" / "kernel.json"
    broken.parent.mkdir(parents=True)
    broken.write_text('{"argv": ["no-such-program"], "display_name": "Broken", "language": "python"}')
    with socket.socket() as free:  # several files of tests start a server, at the same time where tests run in parallel
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "autograder.cli", "lab", "--no-browser", "--port", str(port)],
        cwd=course,
        env={**os.environ, "HOME": str(home), "JUPYTER_PREFER_ENV_PATH": "0"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
    )
    lines = []
    for line in process.stdout:
        lines.append(line)
        if found := re.search(r"http://127\.0\.0\.1:\d+/lab/tree/(\S+)\?token=\w+", line):
            break
    else:
        pytest.fail("lab ended: " + "".join(lines))
    assert found[1] == "00_start_here.ipynb"
    yield found[0]
    process.send_signal(signal.SIGINT)
    rest = process.communicate(timeout=20)[0]
    assert "JupyterLab has ended." in rest
    assert len((*lines, *rest.splitlines())) <= 4, "lab is noisy"
    assert process.returncode == 0


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield started
        started.close()


@pytest.fixture
def open_notebook(browser, address):
    """Open a notebook of the course in a page of its own; at the end, nothing was asked of another machine."""
    pages, asked = [], []

    def open_notebook(name):
        page = browser.new_page(viewport={"width": 1300, "height": 1000})
        pages.append(page)
        page.on("request", lambda request: asked.append(request.url))
        # A workspace of its own, or the tabs of the page before come back with it.
        page.goto(address.replace("/lab/tree/00_start_here.ipynb", f"/lab/workspaces/{Path(name).stem}/tree/{name}"))
        page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=60 * SECONDS)
        page.wait_for_selector("#jupyterlab-splash", state="detached", timeout=60 * SECONDS)
        page.wait_for_selector(f'.lm-DockPanel-tabBar .lm-mod-current:has-text("{name}")', timeout=60 * SECONDS)
        page.wait_for_selector('#jp-main-statusbar :text("(ipykernel) | Idle")', timeout=60 * SECONDS)
        return page

    yield open_notebook
    for page in pages:
        page.close()
    here = (address.partition("/lab/")[0] + "/", "data:", "blob:")
    assert [url for url in asked if not url.startswith(here)] == []


def menu(page, *items):
    """Click through the menu bar."""
    page.click(f'.lm-MenuBar-itemLabel:text-is("{items[0]}")')
    for item in items[1:-1]:
        page.hover(f'.lm-Menu-itemLabel:text-is("{item}")')
    page.click(f'.lm-Menu-itemLabel:text-is("{items[-1]}")')


def show(locator):
    """Scroll until an element is seen: JupyterLab renders no cell that is far away, and cells move while others grow."""
    for _ in range(50):
        locator.evaluate("element => element.scrollIntoView({block: 'center'})")
        if locator.is_visible():
            return
        locator.page.wait_for_timeout(100)
    pytest.fail(f"{locator} never came into view")


def test_all_checks_of_a_solved_chapter_turn_green(open_notebook, tmp_path):
    page = open_notebook("solved.ipynb")
    menu(page, "Run", "Run All Cells")
    count = len(notebooks.exercises(chapter("02")))
    page.wait_for_function(
        f"document.querySelectorAll('{PANEL}').length >= {count} "
        "&& document.querySelector('.jp-Notebook-ExecutionIndicator').dataset.status === 'idle'",
        timeout=90 * SECONDS,
    )
    panels = []
    for panel in page.locator(PANEL).all():
        show(panel)
        panels.append(panel.inner_text())
    page.screenshot(path=tmp_path / "solved.png")
    assert len(panels) == count
    assert all(text.startswith("✓ Passed: ") for text in panels), panels
    assert page.query_selector_all('[data-mime-type="application/vnd.jupyter.error"]') == []
    assert page.query_selector_all('[data-mime-type="application/vnd.jupyter.stderr"]') == []
    assert page.query_selector_all(".jp-Dialog") == []


def test_the_panel_of_an_unsolved_exercise_is_readable_in_both_themes(open_notebook, tmp_path):
    page = open_notebook("02_perceptron.ipynb")
    for text in ("import numpy as np", "def threshold_unit", 'check("threshold_unit"'):
        editor = page.locator(".jp-CodeCell .cm-content", has_text=text).first
        show(editor)
        editor.click()
        page.keyboard.press("Control+Enter")
    panel = page.locator(PANEL).first
    panel.wait_for(timeout=30 * SECONDS)
    assert panel.inner_text().startswith("✗ Not yet: threshold_unit")
    backgrounds = set()
    for theme in ("JupyterLab Light", "JupyterLab Dark"):
        menu(page, "Settings", "Theme", theme)
        page.wait_for_selector(f'body[data-jp-theme-name="{theme}"]', state="attached", timeout=20 * SECONDS)
        page.wait_for_timeout(500)
        show(panel)
        page.screenshot(path=tmp_path / f"{theme.split()[1].lower()}.png")
        contrasts = [part.evaluate(CONTRAST) for part in panel.locator("div, code, td, th").all()]
        assert min(contrasts) >= 4.5, f"{theme}: contrast {min(contrasts):.1f}"
        backgrounds.add(panel.evaluate("element => getComputedStyle(element).backgroundColor"))
    assert len(backgrounds) == 2, "the panel does not follow the theme"


def test_nothing_was_left_in_the_project():
    assert not list(Path(chapter("02").notebook.parent).glob("solved*"))
