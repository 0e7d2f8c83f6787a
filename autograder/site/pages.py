"""The pages that are not chapters: landing page, learning path, guides, glossary, reference; and links between all of them."""

from __future__ import annotations

import importlib
import pkgutil
import posixpath
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import jupytext

from autograder.paths import ROOT, Chapter
from autograder.site import widgets

#: The first page, without its menu.
LANDING = ROOT / "assets" / "site" / "landing.md"
#: Guides that are written as they stand in ``docs/``, by group, in the order of the menu.
GUIDES = {
    "learn": ("install", "language_models", "feedback_gallery"),
    "teach": ("instructor", "threat_model", "attacks", "cluster"),
    "look up": ("errata", "data"),
}
_CHINESE = r"[\u4e00-\u9fff]"
_TERM = re.compile(rf"\*\*(\S[^*\n]*?)\*\* \(([^()]*{_CHINESE}[^()]*)\)")
_LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\[\]]*\])*)\]\(([^()\s]+)\)")
#: Files of the project that the site shows under another name.
_ALIASES = {"README.md": "index", "LICENSE": "data", "LICENSE-TEXT.md": "data"}


@dataclass(frozen=True)
class Header:
    """What a chapter says of itself."""

    title: str
    title_zh: str
    points: int
    goals: tuple[str, ...]


def header(chapter: Chapter) -> Header:
    """Title and goals of a chapter, from its source."""
    script = jupytext.read(chapter.source)
    data = script.metadata["nnlm"]
    text = next((cell.source for cell in script.cells if re.search(r"^After .* you can$", cell.source, re.M)), "")
    goals = re.findall(r"^\* (.*(?:\n  .*)*)", text.partition("you can")[2], re.MULTILINE)
    return Header(data["title"], data["title_zh"], int(data["points"]), tuple(" ".join(g.split()) for g in goals))


# ---- links -----------------------------------------------------------------------------------------------------------
def relink(text: str, path: str, known: Iterable[str], tell_image: Callable[[str], None] = lambda path: None) -> str:
    """Make the links of a text of the project fit the site.

    What is a page there is linked as a page; what is not (a test, a module) keeps its text and loses the link, as a folder
    opened from a disk has nowhere to go.

    Args:
        text: Markdown.
        path: where the text stands, from the project's root.
        known: names of the site's pages.
        tell_image: is told the path of every picture.
    """
    names = set(known)

    def one(found: re.Match[str]) -> str:
        image, label, target = found.groups()
        if re.match(r"[a-z]+:|#", target):
            return found[0]
        file, _, anchor = target.partition("#")
        place = posixpath.normpath(posixpath.join(posixpath.dirname(path), file))
        if image:
            tell_image(place)
            return f"![{label}](figures/{posixpath.basename(place)})"
        stem, suffix = posixpath.splitext(posixpath.basename(place))
        name = _ALIASES.get(place, stem if suffix in (".md", ".ipynb") else "")
        if name not in names:
            return label
        extension = ".ipynb" if re.match(r"\d\d_", name) else ".md"
        return f"[{label}]({name}{extension}{'#' + anchor if anchor else ''})"

    parts = re.split(r"(^```.*?^```$|`[^`\n]+`(?!\]))", text, flags=re.MULTILINE | re.DOTALL)
    return "".join(part if i % 2 else _LINK.sub(one, part) for i, part in enumerate(parts))


def guide(name: str, known: Iterable[str], tell_image: Callable[[str], None]) -> str:
    """A page of ``docs/``."""
    return relink((ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8"), f"docs/{name}.md", known, tell_image)


# ---- pages made here -------------------------------------------------------------------------------------------------
def landing(chapters: list[Chapter], menu: dict[str, list[str]]) -> str:
    """The first page: what it is, three doors, something that moves."""
    toctrees = "\n".join(
        f"```{{toctree}}\n:hidden:\n:caption: {caption.capitalize()}\n\n" + "\n".join(names) + "\n```\n"
        for caption, names in menu.items()
    )
    text = LANDING.read_text(encoding="utf-8").replace("FIRST_CHAPTER", chapters[0].name)
    return f"{text}\n{toctrees}"


def path_page(chapters: list[Chapter]) -> str:
    """The learning path."""
    parts = [
        "# Learning path\n",
        "Each chapter begins with a problem that the one before could not solve, and each stands alone: what it needs from earlier "
        "chapters it brings along. More chapters, up to the Transformer, are on their way.\n",
    ]
    for chapter in chapters:
        about = header(chapter)
        points = f" ({about.points} points)" if about.points else ""
        parts.append(f"## [{int(chapter.number)} · {about.title} ({about.title_zh})]({chapter.name}.ipynb)\n")
        parts.append(f"After this chapter{points} you can\n")
        parts += [f"* {goal}" for goal in about.goals] + [""]
    return "\n".join(parts)


def play_page() -> str:
    """Every widget, one after the other."""
    parts = [
        "# Things to play with\n",
        "Everything here computes in your browser: there is no kernel and no server behind it. All of it works with the "
        "keyboard: Tab goes from control to control, the arrow keys move what has the focus, Shift makes the steps larger.\n",
    ]
    for name, made in widgets.classes().items():
        sentence = (made.__doc__ or "").strip().splitlines()[0]
        title = re.sub(r"(?<!^)(?=[A-Z])", " ", made.__name__).capitalize()
        parts.append(f"## {title}\n\n{sentence}\n\n```{{widget}} {name}\n```\n")
    return "\n".join(parts)


def glossary(chapters: list[Chapter]) -> str:
    """English and Chinese terms, from where the chapters define them."""
    found: dict[str, tuple[str, str, Chapter]] = {}
    for chapter in chapters:
        for cell in jupytext.read(chapter.source).cells:
            if cell.cell_type != "markdown":
                continue
            for english, chinese in _TERM.findall(re.sub(r"\s*\n\s*", " ", cell.source)):
                if english != "bold":
                    term = english[0].lower() + english[1:] if english[1:2].islower() else english
                    found.setdefault(english.lower(), (term, chinese, chapter))
    rows = [
        f'| {english} | <span lang="zh-CN">{chinese}</span> | [{int(one.number)} · {header(one).title}]({one.name}.ipynb) |'
        for _, (english, chinese, one) in sorted(found.items())
    ]
    return (
        "# Glossary\n\nTerms where the chapters define them, in English and Chinese. The search finds either.\n\n"
        "| English | 中文 | defined in |\n| --- | --- | --- |\n" + "\n".join(rows) + "\n"
    )


def reference_pages() -> dict[str, str]:
    """The reference of ``solutions``: an overview and a page a module."""
    import solutions

    pages, rows = {}, []
    for info in pkgutil.iter_modules(solutions.__path__):
        module = importlib.import_module(f"solutions.{info.name}")
        sentence = (module.__doc__ or "").strip().splitlines()[0]
        rows.append(f"* [`solutions.{info.name}`](solutions_{info.name}.md): {sentence}")
        pages[f"solutions_{info.name}"] = (
            f"# solutions.{info.name}\n\n```{{eval-rst}}\n.. automodule:: solutions.{info.name}\n   :members:\n"
            "   :member-order: bysource\n```\n"
        )
    intro = (
        "# Reference implementations\n\n"
        "One module a chapter, small and typed. They solve the exercises: look after you have passed.\n\n"
    )
    return {"solutions": intro + "\n".join(rows) + "\n", **pages}
