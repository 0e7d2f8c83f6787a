"""Widgets on a page without a kernel: a place in the page, a script that fills it, and a model that lives in the page."""

from __future__ import annotations

import hashlib
import html
import json
import re
from functools import cache
from pathlib import Path
from typing import Any

from autograder.paths import ROOT
from course.kit import widgets as kit

HOST = ROOT / "assets" / "site" / "widget_host.js"
#: Keys of a widget's state that are Jupyter's own.
NOT_TRAITS = ("layout", "tabbable", "tooltip")
_DEFAULT = re.compile(r"^export default ", re.MULTILINE)
_EXPORT = re.compile(r"^export (?=async function|function|const|class)", re.MULTILINE)


class WidgetError(Exception):
    """There is no such widget, or its values do not fit; the message says which."""


@cache
def classes() -> dict[str, type[kit.Widget]]:
    """Every widget's class, by the name of its module."""
    made = [one for one in vars(kit).values() if isinstance(one, type) and issubclass(one, kit.Widget)]
    return {re.sub(r"(?<!^)(?=[A-Z])", "_", one.__name__).lower(): one for one in made if one is not kit.Widget}


def name_of(state: dict[str, Any]) -> str | None:
    """Which of the course's widgets a saved state belongs to."""
    name = str(state.get("_anywidget_id", "")).rpartition(".")[2]
    return next((key for key, made in classes().items() if made.__name__ == name), None)


@cache
def script(name: str) -> str:
    """A widget as a script that runs as it is, also in a page opened as a file, where modules cannot be loaded.

    Raises:
        WidgetError: there is no such widget.
    """
    if name not in classes():
        raise WidgetError(f"there is no widget '{name}'; choose one of {', '.join(classes())}")
    module = kit.module_source(name)
    body = _EXPORT.sub("", _DEFAULT.sub("const exported = ", module))
    return f'(() => {{\n"use strict";\n{body}\nwindow.courseWidgets.add("{name}", exported);\n}})();\n'


def file_name(name: str) -> str:
    """Name of a widget's script below ``_static``; another text has another name, so no browser keeps an old one."""
    return f"widgets/{name}.{hashlib.sha256(script(name).encode()).hexdigest()[:8]}.js"


def place(name: str, values: dict[str, Any] | None = None) -> str:
    """HTML that a widget fills. Traits that are not named have their module's own defaults.

    Raises:
        WidgetError: there is no such widget, or it has no such trait, or not with such a value.
    """
    made = classes().get(name)
    if made is None:
        raise WidgetError(f"there is no widget '{name}'; choose one of {', '.join(classes())}")
    if unknown := set(values or {}) - set(made.class_trait_names(sync=True)):
        raise WidgetError(f"'{name}' has no trait '{min(unknown)}'; it has {', '.join(made.values())}")
    traits = html.escape(json.dumps(values or {}, ensure_ascii=False, sort_keys=True), quote=True)
    return (
        f'<div class="course-widget" data-widget="{name}" data-traits="{traits}">'
        "<noscript>This widget computes in your browser and needs JavaScript.</noscript></div>"
        f'<script defer src="_static/{file_name(name)}"></script>'
    )


def write_scripts(static: Path) -> None:
    """Put the host and every widget's script into a folder of static files."""
    (static / "widgets").mkdir(parents=True, exist_ok=True)
    wanted = {file_name(name): script(name) for name in classes()}
    wanted["widgets/host.js"] = HOST.read_text(encoding="utf-8")
    for path in (static / "widgets").glob("*.js"):
        if f"widgets/{path.name}" not in wanted:
            path.unlink()
    for name, text in wanted.items():
        if not (static / name).is_file() or (static / name).read_text(encoding="utf-8") != text:
            (static / name).write_text(text, encoding="utf-8", newline="\n")
