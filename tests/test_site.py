"""The site: built from one chapter and all other pages, opened in a real browser, with no other machine within reach."""

from __future__ import annotations

import json
import os
import pickle
import re
import runpy
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
from test_browser import ARGUMENTS, CHROMIUM
from test_widgets import DRIVES, Driven
from typer.testing import CliRunner

from autograder import cli
from autograder.notebooks import all_exercises, definitions
from autograder.paths import ROOT, chapter, chapters
from autograder.site import building, links, pages, report, running, widgets
from autograder.site import chapters as chapter_pages
from autograder.site.browsing import Seen, axe, look, photograph
from autograder.site.directive import as_rst
from autograder.site.serving import served

needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium or Chrome; `start.py doctor` says how to get one"
)
# Sphinx 9 tells the theme's and the parser's authors what Sphinx 11 will do without.
pytestmark = pytest.mark.filterwarnings("ignore:.*Check CHANGES for Sphinx API modifications")
#: The quickest chapter, and the pages to look at in a browser.
ONE = chapter("00")
LOOKED_AT = ["index.html", "00_start_here.html", "play.html", "errata.html"]
PRINTED = [*LOOKED_AT, "feedback_gallery.html", "glossary.html", "solutions_start_here.html", "attacks.html"]


def html(built: building.Built, name: str) -> str:
    return (built.folder / name).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("site")


@pytest.fixture(scope="module")
def built(work: Path) -> building.Built:
    return building.build(wanted=[ONE], work=work)


# ---- what is built -----------------------------------------------------------------------------------------------------
def test_sphinx_has_nothing_to_object_to(built: building.Built) -> None:
    assert built.warnings == ()
    assert {"index.html", "search.html", "errata.html", "glossary.html", "solutions_start_here.html"} <= set(
        built.pages
    )


def test_every_link_and_anchor_resolves_and_nothing_is_asked_of_other_machines(built: building.Built) -> None:
    found = links.follow(built.folder)
    assert found.pages == len(built.pages)
    assert found.widgets > len(widgets.classes())
    assert found.broken == ()
    assert found.outside == ()


def test_an_unchanged_build_runs_no_chapter_and_writes_no_page(built: building.Built, work: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in built.folder.glob("*.html")}
    told: list[str] = []
    again = building.build(wanted=[ONE], work=work, tell=told.append)
    assert not [line for line in told if line.startswith("running 0")]
    assert again.pages == built.pages
    changed = {path.name for path, time in before.items() if path.stat().st_mtime_ns != time}
    assert changed <= {"genindex.html", "py-modindex.html", "search.html"}  # Sphinx always writes these


def test_a_page_with_a_widget_is_made_anew_when_the_widget_changes(built: building.Built, work: Path) -> None:
    """Its script is named by its content, and so would be an old one."""
    memory = pickle.loads((work / "doctrees" / "environment.pickle").read_bytes())
    for name in ("index", "play"):
        watched = {Path(path).name for path in memory.dependencies[name]}
        assert {"kit.mjs", "decision_line.mjs", "perceptron.mjs"} <= watched
    assert "kit.mjs" not in {Path(path).name for path in memory.dependencies.get("errata", ())}
    scripts = set(re.findall(r"_static/(widgets/\w+\.\w+\.js)", html(built, "play.html")))
    assert scripts == {widgets.file_name(name) for name in widgets.classes()}


def test_start_learning_install_and_teach_are_one_click_away(built: building.Built) -> None:
    doors = re.search(r'<div class="doors.*?</div>', html(built, "index.html"), re.DOTALL)
    assert doors is not None
    assert re.findall(r'href="([^"#]+)', doors[0]) == ["00_start_here.html", "install.html", "instructor.html"]


def test_a_chapter_shows_the_stub_and_the_check_and_folds_hints_and_solutions(built: building.Built) -> None:
    text = html(built, "00_start_here.html")
    for name in definitions(ONE):
        assert f'aria-label="check of {name}"' in text
    assert text.count("NotImplementedError") >= len(definitions(ONE))
    assert text.count("Show a solution") == len(definitions(ONE))
    assert "<details><summary>Hint 1" in text
    assert "Passed" in text
    assert "BEGIN SOLUTION" not in text


def test_the_reference_says_what_docstrings_say(built: building.Built) -> None:
    import inspect

    import solutions.start_here as module

    text = re.sub(r"<[^>]+>", "", html(built, "solutions_start_here.html"))
    for name, function in inspect.getmembers(module, inspect.isfunction):
        assert name in text
        assert inspect.getdoc(function).splitlines()[0].split("`")[0] in text


# ---- in a browser ------------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def seen(built: building.Built) -> Seen:
    return look(built.folder, pages=LOOKED_AT)


@needs_chromium
def test_served_and_as_files_nothing_is_asked_of_other_machines_and_no_script_complains(seen: Seen) -> None:
    assert seen.outside == []
    assert seen.complaints == []
    assert seen.first_page > 0


@needs_chromium
@pytest.mark.skipif(axe() is None, reason="axe-playwright-python is not installed")
def test_axe_objects_to_nothing_in_light_and_dark(seen: Seen) -> None:
    assert seen.violations == []


@pytest.fixture(params=["served", "file"])
def root(request: Any, built: building.Built) -> Iterator[str]:
    if request.param == "file":
        yield built.folder.as_uri()
    else:
        with served(built.folder) as address:
            yield address


@pytest.fixture
def page() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    # One at a time: `look` starts a Playwright of its own.
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser.new_page(viewport={"width": 1280, "height": 900})
        browser.close()


@needs_chromium
def test_the_widget_of_the_landing_page_answers_the_keyboard_without_a_kernel(page: Any, root: str) -> None:
    page.goto(f"{root}/index.html")
    says = page.locator(".course-widget [role=status]")
    assert "4 of 4 corners right for AND with w = (1, 1), b = −1." in says.inner_text()
    page.get_by_role("combobox", name="Task", exact=True).select_option("xor")
    page.get_by_role("slider", name="b", exact=True).focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function("document.querySelector('.course-widget .nnlm-widget').model.get('bias') > -1")
    assert "for XOR" in says.inner_text()


@needs_chromium
@pytest.mark.parametrize("way", ["served", "file"])
def test_with_the_network_off_and_no_kernel_every_widget_works(page: Any, built: building.Built, way: str) -> None:
    """Once the page is there, its server has ended and the browser is off line, for good."""
    complaints: list[str] = []
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    if way == "file":
        page.context.set_offline(True)
        page.goto((built.folder / "play.html").as_uri())
        page.context.set_offline(False)  # the page's own process may have begun after it was said: say it again
    else:
        with served(built.folder) as address:
            page.goto(
                f"{address}/play.html", wait_until="networkidle"
            )  # the search index and all, before the server goes
            page.evaluate("async () => { await window.MathJax?.startup?.promise; }")
            page.wait_for_timeout(2000)  # on a busy machine the last pieces are asked for after a pause
            page.wait_for_load_state("networkidle")
    page.context.set_offline(True)
    page.wait_for_function("navigator.onLine === false")
    for name, drive in DRIVES.items():
        drive(Driven(page, page.locator(f'.course-widget[data-widget="{name}"] .nnlm-widget')))
    assert complaints == []


@needs_chromium
def test_search_finds_english_and_chinese(page: Any, root: str) -> None:
    for word in ("perceptron", "感知机"):
        page.goto(f"{root}/search.html?q={word}")
        page.wait_for_selector("#search-results li a")
        assert page.locator("#search-results li a").count() >= 1


@needs_chromium
def test_dark_and_phone(page: Any, root: str) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    for name in LOOKED_AT:
        page.goto(f"{root}/{name}")
        page.evaluate("async () => { await window.MathJax?.startup?.promise; }")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, name
    page.emulate_media(color_scheme="dark")
    white = "rgb(255, 255, 255)"
    page.wait_for_function("white => getComputedStyle(document.body).backgroundColor !== white", arg=white)
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.emulate_media(color_scheme="light")  # the theme follows the system when it is told, a moment later
    page.wait_for_function("dark => getComputedStyle(document.body).backgroundColor !== dark", arg=dark)
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != dark


#: Width of A4 between margins of 1 cm, as CSS counts.
PAPER = 718
CUT_OFF = """() => [...document.querySelectorAll('.bd-article *')]
    .filter(e => e.checkVisibility() && !e.parentElement.closest('svg'))
    .filter(e => !e.closest('mjx-assistive-mml, .sr-only, .visually-hidden'))
    .filter(e => e.getBoundingClientRect().right > document.documentElement.clientWidth + 1
        || (e instanceof HTMLElement && getComputedStyle(e).overflowX !== 'visible' && e.scrollWidth > e.clientWidth + 1))
    .map(e => e.outerHTML.slice(0, 120))"""


@needs_chromium
@pytest.mark.parametrize("name", PRINTED)
def test_nothing_is_cut_off_on_paper_and_what_is_folded_says_so(page: Any, root: str, name: str) -> None:
    page.set_viewport_size({"width": PAPER, "height": 1000})
    page.emulate_media(media="print")
    page.goto(f"{root}/{name}")
    page.evaluate("async () => { await window.MathJax?.startup?.promise; }")
    assert page.locator("h1").first.is_visible()
    for gone in (".bd-sidebar-primary", ".bd-sidebar-secondary", ".bd-header-article", ".doors"):
        assert not any(one.is_visible() for one in page.locator(gone).all()), gone
    assert page.evaluate(CUT_OFF) == []
    for folded in page.locator("details:not([open]) > summary").element_handles()[:1]:
        said = "element => getComputedStyle(element, '::after').content"
        assert folded.evaluate(said) == '" (folded on the screen)"'
        folded.evaluate("element => element.parentElement.open = true")
        assert folded.evaluate(said) == "none"
    page.locator("details").evaluate_all("all => all.forEach(one => one.open = true)")
    assert page.evaluate(CUT_OFF) == []


@needs_chromium
def test_a_dark_page_is_printed_light(page: Any, root: str) -> None:
    page.goto(f"{root}/index.html")
    page.evaluate("""() => {
        document.documentElement.dataset.theme = 'dark';
        const paper = () => getComputedStyle(document.body).backgroundColor;
        window.screen_ = paper();
        window.addEventListener('beforeprint', () => { window.paper = paper(); });
    }""")
    pdf = page.pdf(format="A4")
    assert pdf.startswith(b"%PDF")
    assert page.evaluate("window.paper") == "rgb(255, 255, 255)" != page.evaluate("window.screen_")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"


@needs_chromium
def test_pictures_of_pages_and_widgets_are_kept(built: building.Built, tmp_path: Path) -> None:
    (tmp_path / "old-desktop-1.png").write_bytes(b"")
    made = {path.name: path for path in photograph(built.folder, tmp_path, pages=["index.html", "play.html"])}
    pages_made = {name for name in made if not name.startswith("widget-")}
    assert {"index-desktop-1.png", "index-phone-1.png", "index.pdf", "play-phone-2.png", "play.pdf"} <= pages_made
    assert {name.partition("-")[0] for name in pages_made} == {"index", "play", "index.pdf", "play.pdf"}
    assert {name for name in made if name.startswith("widget-")} == {
        f"widget-{name}-{width}.png" for name in widgets.classes() for width in ("desktop", "phone")
    }
    assert size_of(made["index-desktop-1.png"])[0] == 1280
    assert size_of(made["index-phone-1.png"])[0] == 390
    assert all(size_of(path)[0] <= 390 for name, path in made.items() if name.endswith("phone.png"))


def size_of(png: Path) -> tuple[int, int]:
    """Width and height, from the first bytes of a PNG."""
    start = png.read_bytes()[:24]
    assert start.startswith(b"\x89PNG\r\n\x1a\n"), png
    width, height = struct.unpack(">II", start[16:])
    return width, height


def test_the_pictures_that_readme_names_are_there_in_their_size_with_a_text() -> None:
    named = re.findall(r"!\[([^\]]*)\]\((assets/figures/[^)]+)\)", (ROOT / "README.md").read_text(encoding="utf-8"))
    files = {Path(path).name: ROOT / path for _, path in named}
    sizes = runpy.run_path(str(ROOT / "assets" / "figures" / "site_pages.py"))["SIZES"]
    assert set(files) == {"check_panel.png", *sizes}
    for text, path in named:
        assert len(text.split()) > 10, path
        assert (ROOT / path).stat().st_size < 400_000
    assert {name: size_of(files[name]) for name in sizes} == sizes
    assert size_of(files["check_panel.png"])[0] == 1290


@needs_chromium
def test_a_page_that_does_wrong_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text(
        '<!doctype html><html><body><img src="https://example.org/a.png"><div class="course-widget" data-widget="gone"></div>'
        '<a href="nowhere.html">x</a><a href="#nothing">y</a>'
        "<script>console.error('no')</script><div class=nnlm-widget><svg width=9 height=9></svg></div></body></html>"
    )
    seen = look(tmp_path)
    assert any("https://example.org/a.png" in line for line in seen.outside)
    assert {"index.html: no", "index.html: the widget gone did not start"} <= set(seen.complaints)
    assert seen.violations is None or any("image-alt" in line for line in seen.violations)
    found = links.follow(tmp_path)
    assert found.broken == ("index.html: nowhere.html", "index.html: #nothing")
    assert found.outside == ("index.html: https://example.org/a.png",)


# ---- parts -------------------------------------------------------------------------------------------------------------
def test_a_widget_of_a_notebook_becomes_a_place_with_its_values() -> None:
    state = {
        "_anywidget_id": "course.kit.widgets.DecisionLine",
        "_esm": "…",
        "gate": "or",
        "bias": 0.5,
        "layout": "IPY",
    }
    view = {chapter_pages.WIDGET_VIEW: {"model_id": "m"}, "text/plain": "DecisionLine()"}
    output = nbformat.v4.new_output("display_data", data=view)
    made = chapter_pages._without_kernel(output, {"m": {"state": state}})
    assert list(made["data"]) == ["text/html"]
    assert 'data-traits="{&quot;bias&quot;: 0.5, &quot;gate&quot;: &quot;or&quot;}"' in made["data"]["text/html"]
    other = chapter_pages._without_kernel(output, {"m": {"state": {"_anywidget_id": "someone.Else"}}})
    assert other["data"]["text/plain"] == "DecisionLine()"


@pytest.mark.parametrize(
    ("name", "values", "sentence"),
    [
        ("decision_lime", {}, "there is no widget 'decision_lime'"),
        ("decision_line", {"gates": 1}, "has no trait 'gates'"),
    ],
)
def test_a_widget_that_is_not_there_is_said(name: str, values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(widgets.WidgetError, match=sentence):
        widgets.place(name, values)


def test_links_fit_the_site_or_lose_themselves() -> None:
    known = {"attacks", "02_perceptron", "index", "data"}
    text = (
        "[a](attacks.md#b) [c](../course/02_perceptron.ipynb) [`t`](../tests/x.json) [h](https://x.org) [r](../README.md)\n"
        "[l](../LICENSE) [gone](cluster.md) `[no](attacks.md)`\n```\n[no](cluster.md)\n```\n![p](../assets/figures/p.png)"
    )
    pictures: list[str] = []
    assert pages.relink(text, "docs/threat_model.md", known, pictures.append) == (
        "[a](attacks.md#b) [c](02_perceptron.ipynb) `t` [h](https://x.org) [r](index.md)\n"
        "[l](data.md) gone `[no](attacks.md)`\n```\n[no](cluster.md)\n```\n![p](figures/p.png)"
    )
    assert pictures == ["assets/figures/p.png"]


def test_docstrings_become_restructured_text() -> None:
    lines = ["Scale |x| by a_b.", "", "Args:", "    x: inputs,", "        shape (n,).", "    **more: `others`.", ""]
    lines += [
        "Returns:",
        "    y: out.",
        "    Some text, with no name.",
        "",
        "Source:",
        "    Deck A.",
        "",
        "The end * here.",
    ]
    made = [line for line in as_rst(lines) if line]
    assert made == [
        r"Scale \|x\| by a\_b.",
        "**Args**",
        "* ``x``: inputs, shape (n,).",
        "* ``**more``: ``others``.",
        "**Returns**",
        "y: out. Some text, with no name.",
        "**Source**",
        "Deck A.",
        r"The end \* here.",
    ]


def test_the_glossary_has_every_chapter_and_each_term_once() -> None:
    rows = re.findall(
        r"^\| (.+?) \| <span lang=\"zh-CN\">(.+?)</span> \| \[(\d+)", pages.glossary(chapters()), re.MULTILINE
    )
    assert {int(one.number) for one in chapters()} == {int(number) for *_, number in rows}
    english = [term.lower() for term, *_ in rows]
    assert len(english) == len(set(english)) > 30
    assert ("margin", "间隔", "2") in rows


def test_every_check_that_the_errata_name_exists() -> None:
    text = (ROOT / "docs" / "errata.md").read_text(encoding="utf-8")
    tests = re.findall(r"`(tests/\w+\.py)::(\w+)`", text)
    assert len(tests) > 5
    for file, name in tests:
        assert re.search(rf"^def {name}\(", (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE), name
    import solutions.backpropagation as ref

    formulas = re.findall(r"`find_the_slide_bugs`, \"([^\"]+)\"", text)
    assert "find_the_slide_bugs" in all_exercises()
    assert len(formulas) > 10
    assert set(formulas) <= set(ref.slide_examples(np.random.default_rng(0)))


def test_a_chapter_that_does_not_run_is_said_with_its_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1 / 0")])
    monkeypatch.setattr(running, "instructor_notebook", lambda one: bad)
    with pytest.raises(building.SiteError, match=r"00_start_here does not run to its end: ZeroDivisionError"):
        building.build(wanted=[ONE], work=tmp_path)
    assert not list((tmp_path / "outputs").glob("*"))


def test_outputs_are_kept_until_something_that_they_come_from_changes() -> None:
    def key(code: str, prose: str, one: Any = ONE) -> str:
        cells = [nbformat.v4.new_markdown_cell(prose, id="p"), nbformat.v4.new_code_cell(code, id="c")]
        return running._key(nbformat.v4.new_notebook(cells=cells), one)

    assert key("x = 1", "old words") == key("x = 1", "new words")
    assert key("x = 1", "") != key("x = 2", "")
    assert key("x = 1", "") != key("x = 1", "", chapter("02")), "the cases of its checks are others"
    assert key("x = 1", "") != key("import course.kit.widgets", "")


def test_a_folder_with_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    done = CliRunner().invoke(cli.app, ["site", "--out", str(tmp_path)])
    assert done.exit_code == 1
    assert "holds something that is not a site; name another folder." in " ".join(done.output.split())
    assert os.listdir(tmp_path) == ["thesis.tex"]


def test_what_could_not_be_measured_is_null_and_said(built: building.Built, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "why_not", lambda: "there is no Chromium or Chrome here")
    data, notes = report.measure(built, lambda line: None)
    assert list(data) == [
        *("pages", "widgets", "outside_requests", "broken_links"),
        *("axe_violations", "console_errors", "megabytes", "seconds"),
    ]
    assert [key for key, value in data.items() if value is None] == [
        "outside_requests",
        "axe_violations",
        "console_errors",
    ]
    assert notes[-1] == "Not looked at in a browser, as there is no Chromium or Chrome here."
    assert report.good(data)
    assert not report.good({**data, "broken_links": 1})


@pytest.mark.full
@needs_chromium
def test_the_whole_site() -> None:
    done = CliRunner().invoke(cli.app, ["site", "--json"])
    data = json.loads(done.stdout)
    zeros = {key: data[key] for key in ("outside_requests", "broken_links", "axe_violations", "console_errors")}
    assert set(zeros.values()) == {0}, done.stderr
    assert data["pages"] > len(chapters()) + 15
    assert data["widgets"] > 2 * len(widgets.classes())
