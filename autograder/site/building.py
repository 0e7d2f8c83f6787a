"""Building the site: pages and chapters into a folder of sources, Sphinx over it, and what is out of date removed."""

from __future__ import annotations

import io
import re
import shutil
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import nbformat

from autograder.notebooks import BuildError
from autograder.paths import ROOT, Chapter, chapters
from autograder.site import chapters as chapter_pages
from autograder.site import pages, running, widgets
from autograder.site.settings import ASSETS, PackageMissing, mathjax, settings

WORK = ROOT / "build" / "site"
SCREENSHOTS = ROOT / "build" / "screenshots"
#: Pages that Sphinx makes by itself.
_SPHINX = {"genindex", "search", "py-modindex"}
_ESCAPES = re.compile(r"\x1b\[[0-9;]*m")


class SiteError(Exception):
    """The site cannot be built; the message says what to do."""


@dataclass(frozen=True)
class Built:
    """A finished site."""

    folder: Path
    pages: tuple[str, ...]
    warnings: tuple[str, ...]
    seconds: float


def build(
    out: Path | None = None,
    wanted: Iterable[Chapter] | None = None,
    work: Path = WORK,
    tell: Callable[[str], None] = lambda line: None,
) -> Built:
    """Build the site; what has not changed since the last build is not made again.

    Args:
        out: where to; by default ``build/site/html``.
        wanted: chapters; all when none are named.
        work: where outputs of chapters, sources and Sphinx's memory are kept.
        tell: is told what is being done.

    Raises:
        SiteError: the folder holds something else, a package is missing, a chapter or a page does not build.
    """
    start = time.perf_counter()
    out = (out or work / "html").resolve()
    if out.exists() and any(out.iterdir()) and not (out / ".buildinfo").is_file():
        raise SiteError(f"{out} holds something that is not a site; name another folder.")
    which = list(wanted) if wanted is not None else chapters()
    try:
        ran = running.executed(which, work / "outputs", tell)
        tell("making pages")
        _write_static(work / "static")
        names = _write_sources(work / "source", which, {name: nbformat.from_dict(one) for name, one in ran.items()})
        tell("running Sphinx")
        warnings = _sphinx(work, out)
    except (running.RunError, PackageMissing, BuildError, widgets.WidgetError) as error:
        raise SiteError(str(error)) from None
    for path in out.glob("*.html"):
        if path.stem not in {*names, *_SPHINX}:
            path.unlink()
    for path in out.glob("_static/**/*.map"):  # for those who work on the theme
        path.unlink()
    made = tuple(sorted(path.name for path in out.glob("*.html")))
    return Built(out, made, warnings, time.perf_counter() - start)


def _write_static(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    names = [path.name for path in ASSETS.iterdir() if path.suffix in (".css", ".svg")]
    sources = {name: ASSETS / name for name in [*names, "page.js"]}
    sources["mathjax.js"] = mathjax()
    for name, source in sources.items():
        _write(folder / name, source.read_bytes())
    widgets.write_scripts(folder)


def _write_sources(folder: Path, which: list[Chapter], ran: dict[str, nbformat.NotebookNode]) -> set[str]:
    """Write every page's source and remove those of pages that are gone; returns the pages' names."""
    reference = pages.reference_pages()
    own = {"index", "path", "play", "glossary", *reference}
    guides = [name for group in pages.GUIDES.values() for name in group]
    known = {*own, *guides, *(chapter.name for chapter in which)}
    menu = {
        "learn": ["path", *(chapter.name for chapter in which), "play", *pages.GUIDES["learn"]],
        "teach": list(pages.GUIDES["teach"]),
        "look up": ["glossary", *pages.GUIDES["look up"]],
        "reference": list(reference),
    }
    figures = {"assets/figures/check_panel.png"}
    texts = {name: pages.guide(name, known, figures.add) for name in guides}
    texts |= {"index": pages.landing(which, menu), "path": pages.path_page(which), "play": pages.play_page()}
    texts |= {"glossary": pages.glossary(which), **reference}
    files: dict[str, bytes] = {f"{name}.md": text.encode() for name, text in texts.items()}
    for chapter in which:
        made = chapter_pages.page(chapter, ran[chapter.name], chapter_pages.stub(chapter))
        for cell in made.cells:
            if cell.cell_type == "markdown":
                cell.source = pages.relink(cell.source, f"course/{chapter.name}.ipynb", known, figures.add)
        files[f"{chapter.name}.ipynb"] = nbformat.writes(made).encode()
    for figure in figures:
        files[f"figures/{Path(figure).name}"] = (ROOT / figure).read_bytes()
    for name, data in files.items():
        _write(folder / name, data)
    for path in [*folder.glob("*.md"), *folder.glob("*.ipynb"), *folder.glob("figures/*")]:
        if path.relative_to(folder).as_posix() not in files:
            path.unlink()
    return known


def _write(path: Path, data: bytes) -> None:
    """Write a file unless it says the same already: Sphinx goes by what has changed."""
    if path.is_file() and path.read_bytes() == data:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def _sphinx(work: Path, out: Path) -> tuple[str, ...]:
    """Run Sphinx and give back its warnings."""
    try:
        from sphinx.application import Sphinx
        from sphinx.errors import SphinxError
        from sphinx.util.docutils import docutils_namespace, patch_docutils
    except ImportError:
        raise SiteError(
            "Sphinx is not installed; run `python3 start.py site`, it installs what the site needs."
        ) from None
    warned = io.StringIO()
    try:
        with patch_docutils(), docutils_namespace():
            app = Sphinx(
                srcdir=work / "source",
                confdir=None,
                outdir=out,
                doctreedir=work / "doctrees",
                buildername="html",
                confoverrides=settings(work / "static"),
                status=None,
                warning=warned,
            )
            app.build()
    except SphinxError as error:
        shutil.rmtree(work / "doctrees", ignore_errors=True)
        raise SiteError(f"Sphinx stops: {error}") from None
    lines = _ESCAPES.sub("", warned.getvalue()).splitlines()
    return tuple(line.replace(f"{work / 'source'}/", "") for line in lines if line.strip())
