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
_ALL_WIDGETS = "play.html"
_AXE = ("axe-playwright-python", "axe.min.js")
_READY = """async () => {
    if (window.MathJax?.startup?.promise) await window.MathJax.startup.promise;
    await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
}"""
_EMPTY_WIDGETS = """() => [...document.querySelectorAll('.course-widget')]
    .filter(place => !place.querySelector('.nnlm-widget')).map(place => place.dataset.widget)"""
#: Pages are longer than what a browser paints in one picture.
_SLICE = 8000
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
        first_page: seconds until the landing page's widget answered a key, nothing of the site being cached.
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
            seen.first_page = _seconds_until_usable(_page(chromium, address, seen), f"{address}/index.html")
        chromium.close()
    seen.outside = list(dict.fromkeys(seen.outside))
    seen.complaints = list(dict.fromkeys(seen.complaints))
    return seen


def _seconds_until_usable(page: Any, url: str) -> float:
    """From asking for a page, in a browser that keeps nothing of it, until its first widget answers a key with other words."""
    start = time.perf_counter()
    page.goto(url, wait_until="commit")
    page.wait_for_selector(".nnlm-widget svg")
    widget = page.locator(".nnlm-widget").first
    handle = widget.locator(".handle").first
    if handle.count():
        before = widget.locator("[role=status]").inner_text()
        handle.focus()
        page.keyboard.press("ArrowRight")
        page.wait_for_function(
            "([widget, before]) => widget.querySelector('[role=status]').innerText !== before",
            arg=[widget.element_handle(), before],
        )
    return time.perf_counter() - start


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


def photograph(
    folder: Path, target: Path, tell: Callable[[str], None] = lambda line: None, pages: list[str] | None = None
) -> list[Path]:
    """Keep a picture of every page and every widget as a desktop and a phone show them, and every page as it is printed.

    Args:
        folder: the built site.
        target: where to; pictures that are there already are removed.
        tell: is told which page is open.
        pages: file names; all of the folder when none are named.

    Returns:
        ``PAGE-desktop-1.png``, ``PAGE-phone-1.png`` and so on down the page, ``PAGE.pdf``, and of the page that has every
        widget ``widget-NAME-desktop.png`` and ``widget-NAME-phone.png``.
    """
    from playwright.sync_api import sync_playwright

    target.mkdir(parents=True, exist_ok=True)
    for old in [*target.glob("*.png"), *target.glob("*.pdf")]:
        old.unlink()
    wanted = pages or sorted(path.name for path in folder.glob("*.html"))
    with served(folder) as address, sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser(), args=list(_ARGUMENTS))
        for width, size in (("desktop", _DESKTOP), ("phone", _PHONE)):
            page = chromium.new_page(viewport={"width": size["width"], "height": size["height"]})
            for name in wanted:
                tell(f"{width}: {name}")
                stem = name.removesuffix(".html")
                page.goto(f"{address}/{name}")
                page.evaluate(_READY)
                height = page.evaluate("document.documentElement.scrollHeight")
                for number, top in enumerate(range(0, height, _SLICE), start=1):
                    page.screenshot(
                        path=target / f"{stem}-{width}-{number}.png",
                        full_page=True,
                        clip={"x": 0, "y": top, "width": size["width"], "height": min(_SLICE, height - top)},
                    )
                if name == _ALL_WIDGETS:
                    for place in page.locator(".course-widget").all():
                        made = target / f"widget-{place.get_attribute('data-widget')}-{width}.png"
                        place.screenshot(path=made)
                if width == "desktop":
                    page.pdf(path=target / f"{stem}.pdf", format="A4")
            page.close()
        chromium.close()
    return sorted([*target.glob("*.png"), *target.glob("*.pdf")])
