"""A small Sphinx extension: the directive ``widget``, and docstrings as they are written for ``help()``."""

from __future__ import annotations

import json
import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from autograder.site import widgets
from course.kit import widgets as kit

_SECTION = re.compile(r"^([A-Z]\w+):$")
_NAMED = re.compile(r"^(\*{0,2}\w+(?:, \w+)*): (.+)$", re.DOTALL)
_EMPTY_HEAD = re.compile(r"<th( [^>]*)?>\s*(?:<p>\s*</p>)?\s*</th>")
_CODE = re.compile(r"(``[^`]+``|:\w+:`[^`]+`|`[^`]+`)")


class WidgetDirective(SphinxDirective):
    """``{widget} NAME`` with a JSON object of trait values as its content, or nothing."""

    required_arguments = 1
    has_content = True

    def run(self) -> list[nodes.Node]:
        """Put the widget's place into the page."""
        try:
            values = json.loads("\n".join(self.content) or "{}")
            text = widgets.place(self.arguments[0], values)
        except (ValueError, widgets.WidgetError) as error:
            raise self.error(f"widget: {error}") from None
        for path in kit.FOLDER.glob("*.mjs"):  # the place names the script by its content, so the page goes with it
            self.env.note_dependency(str(path))
        return [nodes.raw("", text, format="html")]


def as_rst(lines: list[str]) -> list[str]:
    """Turn a docstring into reStructuredText.

    Sections (``Args:``, ``Returns:``, ``Raises:``, ``Source:``) become headings of their own with a list below; in what is
    left a star is a product, a bar an absolute value and an underscore part of a name.
    """
    made: list[str] = []
    section: list[str] = []
    title = ""
    for line in [*lines, "End:"]:
        if found := _SECTION.match(line):
            made += _section(title, section) if title else []
            title, section = found[1], []
        elif title and (not line.strip() or line[0] == " "):
            section.append(line)
        else:
            made += _section(title, section) if title else []
            title = ""
            made.append(line if line.startswith(">>>") else _plain(line))
    return made


def _section(title: str, lines: list[str]) -> list[str]:
    """A section's items: those at its own indent; what is indented further, or follows one, goes on with it."""
    indent = min((len(line) - len(line.lstrip()) for line in lines if line.strip()), default=0)
    items: list[str] = []
    for line in lines:
        text = line[indent:]
        if text.strip() and (text[0] != " " or not items):
            items.append(text.strip())
        elif text.strip():
            items[-1] += " " + text.strip()
    named = [_NAMED.match(item) for item in items]
    if not all(named):  # one paragraph
        return [f"**{title}**", "", _plain(" ".join(items)), ""]
    rows = [f"* ``{found[1]}``: {_plain(found[2])}" for found in named if found]
    return [f"**{title}**", "", *rows, ""]


def _plain(text: str) -> str:
    parts = _CODE.split(text)
    parts[::2] = [re.sub(r"([*|\\_])", r"\\\1", part) for part in parts[::2]]
    parts[1::2] = [f"`{part}`" if re.fullmatch(r"`[^`]+`", part) else part for part in parts[1::2]]
    return "".join(parts)


def _docstring(app: Sphinx, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    lines[:] = as_rst(lines)


def _empty_heads(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """The empty corner of a table heads nothing, so a screen reader should not announce it as a heading."""
    if "body" in context:
        context["body"] = _EMPTY_HEAD.sub(r"<td\1></td>", context["body"])


def setup(app: Sphinx) -> dict[str, Any]:
    """Register with Sphinx."""
    app.add_directive("widget", WidgetDirective)
    app.connect("autodoc-process-docstring", _docstring)
    app.connect("html-page-context", _empty_heads)
    return {"version": "3", "parallel_read_safe": True, "parallel_write_safe": True}
