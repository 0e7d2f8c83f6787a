"""What a submission holds, as a page that can be shown to a person: nothing in it runs, nothing in it is fetched or disguised.

The formgrader and feedback show it through nbconvert's HTML exporter, whose filters and preprocessors stand here.
"""

from __future__ import annotations

import html
import re
from itertools import accumulate
from typing import Any

import bleach
from jinja2 import pass_context
from nbconvert.filters.highlight import Highlight2HTML
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbconvert.preprocessors import Preprocessor
from nbformat import NotebookNode

from autograder.cells import CHECK_PREFIX

#: Longer texts are shown as they are: setting them takes more than linear time and memory.
MAX_SET = 20_000
MAX_CODE_LINE = 500
#: The same for what is left of a notebook after so many characters.
MAX_SET_OF_ALL = 500_000
_AS_IT_IS = "nnlm-as-it-is"
_NAMES = """a abbr b blockquote br code dd del details div dl dt em h1 h2 h3 h4 h5 h6 hr i img kbd li ol p pre s small span
strong sub summary sup table tbody td th thead tr u ul var"""
_TAGS = frozenset(_NAMES.split())
_PICTURE = re.compile(r"data:image/(png|jpeg|gif);base64,[A-Za-z0-9+/=\s]*", re.ASCII)
_BASE64 = re.compile(r"[A-Za-z0-9+/=\s]*", re.ASCII)
# Bidirectional controls make a reader see another order than the machine: code that looks right, answers that look graded.
_BIDI = "\u202a-\u202e\u2066-\u2069"
_DISGUISE = re.compile(f"[{_BIDI}]")
_HIDDEN = re.compile(f"[{_BIDI}\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def visible(text: str) -> str:
    """Text with control characters written out, such as ``\\u202e``; line breaks and tabs stay."""
    return _HIDDEN.sub(_written_out, text.replace("\r\n", "\n"))


@pass_context
def safe_markdown(context: Any, source: str) -> str:
    """Stand in for nbconvert's filter ``markdown2html`` in the formgrader and in feedback.

    nbconvert passes a student's HTML through to the page, where a script could grade its own author. Here it is shown as the
    text that it is. Ids and classes go too (the formgrader finds its score boxes by them), and so do pictures from elsewhere,
    which would tell their server when an answer is read.
    """
    cell = context.get("cell", {})
    source = visible(source)
    if len(source) > MAX_SET or cell.get("metadata", {}).get(_AS_IT_IS):
        return _as_it_is(source)
    attachments = cell.get("attachments", {})
    renderer = IPythonRenderer(escape=False, attachments=attachments, exclude_anchor_links=True)
    try:
        rendered = MarkdownWithMath(renderer=renderer).render(source)
        return str(bleach.clean(rendered, _TAGS, _allowed, protocols={"http", "https", "mailto", "data"}))
    except Exception:  # whatever a student wrote, there is a page
        return _as_it_is(source)


def safe_code(source: str, language: str | None = None, metadata: Any = None) -> str:
    """Stand in for nbconvert's filter ``highlight_code``; a cell's language (``metadata``) is not asked."""
    source = visible(source)
    if len(source) > MAX_SET or (metadata or {}).get(_AS_IT_IS) or max(map(len, source.split("\n"))) > MAX_CODE_LINE:
        return _as_it_is(source)
    return str(Highlight2HTML()(source, language="ipython3"))


def same(text: str) -> str:
    """Stand in for nbconvert's ``strip_files_prefix``, a rule of 2012 that takes quadratic time on many brackets."""
    return text


class Harmless(Preprocessor):
    """Before a page is made: only text and pictures of a student's outputs, raw cells as text.

    The judge writes no other outputs; this holds for notebooks that something else has executed, too.
    """

    def preprocess(self, nb: NotebookNode, resources: dict[str, Any]) -> tuple[NotebookNode, dict[str, Any]]:
        """Make all cells harmless, and bound what setting them can cost."""
        nb, resources = super().preprocess(nb, resources)
        for cell, so_far in zip(nb.cells, accumulate(len(cell.source) for cell in nb.cells), strict=True):
            if so_far > MAX_SET_OF_ALL:
                cell.metadata[_AS_IT_IS] = True
        return nb, resources

    def preprocess_cell(
        self, cell: NotebookNode, resources: dict[str, Any], index: int
    ) -> tuple[NotebookNode, dict[str, Any]]:
        """Make one cell harmless."""
        if cell.cell_type == "raw":
            # nbconvert would take its text for a piece of the page.
            return NotebookNode(
                {"id": cell.get("id", f"raw-{index}"), "cell_type": "markdown", "metadata": {}},
                source=_fenced(cell.source),
            ), resources
        if cell.cell_type == "code":
            meta = cell.metadata.get("nbgrader", {})
            panel = bool(meta.get("grade")) and str(meta.get("grade_id", "")).startswith(CHECK_PREFIX)
            cell.outputs = [shown for output in cell.outputs if (shown := _harmless(output, panel))]
        return cell, resources


def _harmless(output: NotebookNode, panel: bool) -> NotebookNode | None:
    """An output that may be shown; a check's own panel is HTML."""
    if output.output_type == "stream":
        return NotebookNode({**output, "text": _undisguised(output.text)})
    if output.output_type == "error":
        lines = [_undisguised(line) for line in output.traceback]
        return NotebookNode({**output, "traceback": lines, "evalue": _undisguised(output.evalue)})
    kept: dict[str, str] = {}
    for kind, value in output.get("data", {}).items():
        if not isinstance(value, str):
            continue
        if kind == "text/plain" or (kind == "text/html" and panel):
            kept[kind] = _undisguised(value)
        elif kind in ("image/png", "image/jpeg") and _BASE64.fullmatch(value):
            kept[kind] = value
    return NotebookNode({**output, "data": NotebookNode(kept), "metadata": NotebookNode()}) if kept else None


def _undisguised(text: str) -> str:
    """Terminal colours stay: nbconvert sets them."""
    return _DISGUISE.sub(_written_out, text)


def _written_out(found: re.Match[str]) -> str:
    return f"\\u{ord(found.group()):04x}"


def _fenced(text: str) -> str:
    """Markdown that shows ``text`` as it is."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{text}\n{fence}"


def _as_it_is(text: str) -> str:
    return f'<div class="highlight"><pre>{html.escape(text)}</pre></div>'


def _allowed(tag: str, name: str, value: str) -> bool:
    if tag == "img" and name == "src":
        return _PICTURE.fullmatch(value) is not None
    if tag == "a" and name == "href":
        return not value.lstrip().lower().startswith("data:")
    return name in {"a": ("title",), "img": ("alt", "title"), "details": ("open",), "ol": ("start",)}.get(tag, ())
