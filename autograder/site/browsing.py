"""The site in a real browser: what it asks for, what it complains of, whether its widgets live, whether everyone can read it."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from autograder.doctor import BROWSERS
from autograder.site.serving import served

_ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync")
_DESKTOP, _PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
_AXE = ("axe-playwright-python", "axe.min.js")
_READY = """async () => {
    if (window.MathJax?.startup?.promise) await window.MathJax.startup.promise;
    await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
}"""
_EMPTY_WIDGETS = """() => [...document.querySelectorAll('.course-widget')]
    .filter(place => !place.querySelector('.nnlm-widget')).map(place => place.dataset.widget)"""
_STILL = "*, *::before, *::after { transition: none !important; animation: none !important; }"
# Outlines of glyphs are thousands of paths; what a screen reader reads of a formula is beside them and is looked at.
_VIOLATIONS = """async () => {
    const found = await axe.run({exclude: [['mjx-container > svg']]}, {resultTypes: ['violations'], preload: false});
    return found.violations.flatMap(one => one.nodes.map(node => `${one.id}: ${node.target.join(' ')}`));
}"""


@dataclass
class Seen:
    """What a browser saw; every list has one "page: what" an entry.

    Attributes:
        outside: requests for anything that is not the site.
        complaints: errors on the console, errors of scripts, widgets that did not start, pages
            that do not fit a phone.
        violations: what axe-core objects to, light and dark; None when axe-core is not installed.
        first_page: seconds until the landing page was usable, its widget included.
    """

    outside: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    violations: list[str] | None = None
    first_page: float = 0.0


def browser() -> str | None:
    """A Chromium or Chrome on this computer."""
    return next((path for name in BROWSERS if (path := shutil.which(name))), None)


def why_not() -> str:
    """What is missing for looking at the site in a browser; empty when nothing is."""
    if importlib.util.find_spec("playwright") is None:
        return "Playwright is not installed; run `python3 start.py test` once, it installs it"
    if browser() is None:
        return "there is no Chromium or Chrome here"
    return ""


def axe() -> str | None:
    """Text of axe-core, from the package that carries it."""
    with suppress(importlib.metadata.PackageNotFoundError):
        for file in importlib.metadata.files(_AXE[0]) or []:
            if file.name == _AXE[1]:
                return Path(str(file.locate())).read_text(encoding="utf-8")
    return None


def look(folder: Path, tell: Callable[[str], None] = lambda line: None, pages: list[str] | None = None) -> Seen:
    """Open every page of a site, served and as a file, and note what happens.

    Args:
        folder: the built site.
        tell: is told which page is open.
        pages: file names; all of the folder when none are named.
    """
    from playwright.sync_api import sync_playwright

    wanted = pages or sorted(path.name for path in folder.glob("*.html"))
    script = axe()
    seen = Seen(violations=None if script is None else [])
    with served(folder) as address, sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser(), args=list(_ARGUMENTS))
        for root, check in ((address, script), (folder.resolve().as_uri(), None)):
            page = _page(chromium, root, seen)
            for name in wanted:
                tell(f"{'file' if check is None else 'served'}: {name}")
                _visit(page, root, name, seen, check)
            page.context.close()
        if "index.html" in wanted:
            page = _page(chromium, address, seen)
            start = time.perf_counter()
            page.goto(f"{address}/index.html")
            page.wait_for_selector(".nnlm-widget svg")
            seen.first_page = time.perf_counter() - start
        chromium.close()
    seen.outside = list(dict.fromkeys(seen.outside))
    seen.complaints = list(dict.fromkeys(seen.complaints))
    return seen


def _page(chromium: Any, root: str, seen: Seen) -> Any:
    """A fresh page that is allowed to ask for the site only, and is watched."""
    context = chromium.new_context(viewport=_DESKTOP)
    page = context.new_page()

    def gate(route: Any) -> None:
        url = route.request.url
        if url.startswith((root, "data:", "blob:")):
            route.continue_()
        else:
            seen.outside.append(f"{page.url.rpartition('/')[2]}: {url}")
            route.abort()

    def where() -> str:
        return str(page.url).rpartition("/")[2]

    context.route("**/*", gate)
    page.on("console", lambda said: seen.complaints.append(f"{where()}: {said.text}") if said.type == "error" else None)
    page.on("pageerror", lambda error: seen.complaints.append(f"{where()}: {error}"))
    page.on(
        "response",
        lambda got: seen.complaints.append(f"{where()}: {got.status} {got.url}") if got.status >= 400 else None,
    )
    page.on("requestfailed", lambda request: seen.complaints.append(f"{where()}: {request.url} {request.failure}"))
    return page


def _visit(page: Any, root: str, name: str, seen: Seen, script: str | None) -> None:
    page.goto(f"{root}/{name}")
    page.wait_for_load_state("load")
    page.evaluate(_READY)
    page.set_viewport_size(_PHONE)
    wide = page.evaluate("document.documentElement.scrollWidth")
    seen.complaints += [f"{name}: {wide} pixels wide on a phone of {_PHONE['width']}"] if wide > _PHONE["width"] else []
    page.set_viewport_size(_DESKTOP)
    seen.complaints += [f"{name}: the widget {one} did not start" for one in page.evaluate(_EMPTY_WIDGETS)]
    if script is None or seen.violations is None:
        return
    page.add_style_tag(content=_STILL)  # half-way through a change of colours nothing has its contrast
    page.evaluate(script)
    for theme in ("light", "dark"):
        page.evaluate("theme => { document.documentElement.dataset.theme = theme; }", theme)
        seen.violations += [f"{name} ({theme}): {one}" for one in page.evaluate(_VIOLATIONS)]
