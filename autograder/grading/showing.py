"""Markdown of a submission as HTML that can be shown to a person: nothing in it runs, nothing in it is fetched."""

from __future__ import annotations

import re
from typing import Any

import bleach
from jinja2 import pass_context
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

_NAMES = """a abbr b blockquote br code dd del details div dl dt em h1 h2 h3 h4 h5 h6 hr i img kbd li ol p pre s small span
strong sub summary sup table tbody td th thead tr u ul var"""
_TAGS = frozenset(_NAMES.split())
_PICTURE = re.compile(r"data:image/(png|jpeg|gif);base64,[A-Za-z0-9+/=\s]*", re.ASCII)


@pass_context
def safe_markdown(context: Any, source: str) -> str:
    """Stand in for nbconvert's filter ``markdown2html`` in the formgrader and in feedback.

    nbconvert passes a student's HTML through to the page, where a script could grade its own author. Here it is shown as the
    text that it is. Ids and classes go too (the formgrader finds its score boxes by them), and so do pictures from elsewhere,
    which would tell their server when an answer is read.
    """
    attachments = context.get("cell", {}).get("attachments", {})
    renderer = IPythonRenderer(escape=False, attachments=attachments, exclude_anchor_links=True)
    rendered = MarkdownWithMath(renderer=renderer).render(source)
    return str(bleach.clean(rendered, _TAGS, _allowed, protocols={"http", "https", "mailto", "data"}))


def _allowed(tag: str, name: str, value: str) -> bool:
    if tag == "img" and name == "src":
        return _PICTURE.fullmatch(value) is not None
    if tag == "a" and name == "href":
        return not value.lstrip().lower().startswith("data:")
    return name in {"a": ("title",), "img": ("alt", "title"), "details": ("open",), "ol": ("start",)}.get(tag, ())
