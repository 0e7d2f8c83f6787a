"""How a verdict looks: a panel in the notebook, lines in the terminal, HTML in feedback, JSON for programs."""

from __future__ import annotations

import html
import json
import re
import textwrap

from autograder.verdict import Verdict

_CONTROL = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b.|[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_LABELS = {
    "called": "Called",
    "returned": "Returned",
    "expected": "Expected",
    "found": "First difference",
    "your line": "Your line",
    "printed": "Printed",
}
# Colours come from JupyterLab's theme when there is one, so that the panel follows light and dark.
_STYLE = (
    "border-left:4px solid {edge};padding:.5em .9em;margin:.3em 0;border-radius:3px;"
    "background:var(--jp-layout-color1,Canvas);color:var(--jp-content-font-color1,CanvasText);"
    "font-family:var(--jp-content-font-family,system-ui,sans-serif);line-height:1.45;max-width:60em"
)
_CODE = "font-family:var(--jp-code-font-family,monospace);font-size:.92em;white-space:pre-wrap;overflow-wrap:anywhere"


def clean(text: str) -> str:
    """Text without control characters and terminal escapes, whoever wrote it."""
    return _CONTROL.sub("", text)


def one_line(verdict: Verdict) -> str:
    """Mark, name and headline."""
    return clean(f"{'✓' if verdict.passed else '✗'} {verdict.exercise}: {verdict.headline}")


def as_text(verdict: Verdict, width: int = 100) -> str:
    """Plain text for a terminal."""
    lines = textwrap.wrap(one_line(verdict), width, subsequent_indent="  ")
    if verdict.case and verdict.cases > 1:
        lines.append(f"  case {verdict.case} of {verdict.cases}")
    for label, value in verdict.evidence:
        name = _LABELS.get(label, label.capitalize())
        body = clean(value).splitlines() or [""]
        indent = " " * 20
        lines.append(f"  {name + ':':<18}{body[0]}")
        lines += [indent + line for line in body[1:]]
    if verdict.advice:
        lines += textwrap.wrap(clean(verdict.advice), width, initial_indent="  ", subsequent_indent="  ")
    lines += [f"  Note: {clean(note)}" for note in verdict.notes]
    return "\n".join(lines)


def as_html(verdict: Verdict, points: bool = False) -> str:
    """A self-contained panel; every text in it is escaped."""
    edge = "#009E73" if verdict.passed else "#D55E00"
    word = "Passed" if verdict.passed else ("Not yet" if verdict.kind in ("unfinished", "missing") else "Not right")
    score = f" · {verdict.points:g} of {verdict.max_points:g} points" if points else ""
    head = (
        f'<div style="font-weight:600">{"✓" if verdict.passed else "✗"} {word}: '
        f"<code>{_escape(verdict.exercise)}</code>{score}</div><div>{_inline(verdict.headline)}</div>"
    )
    rows = "".join(
        f'<tr><th scope="row" style="text-align:left;vertical-align:top;padding:.1em 1em .1em 0;font-weight:500;'
        f'white-space:nowrap">{_escape(_LABELS.get(label, label.capitalize()))}</th>'
        f'<td style="text-align:left;{_CODE if label != "found" else ""}">'
        f"{_inline(value) if label == 'found' else _escape(value)}</td></tr>"
        for label, value in verdict.evidence
    )
    where = f" (case {verdict.case} of {verdict.cases})" if verdict.case and verdict.cases > 1 else ""
    table = (
        f'<table style="margin:.4em 0 0 0;border:0"><caption style="text-align:left;font-size:.9em;opacity:.85">'
        f"What happened{where}</caption><tbody>{rows}</tbody></table>"
        if rows
        else ""
    )
    advice = f"<div>{_inline(verdict.advice)}</div>" if verdict.advice else ""
    notes = "".join(f'<div style="font-size:.9em">Note: {_escape(note)}</div>' for note in verdict.notes)
    frame = f'<div role="group" aria-label="check of {_escape(verdict.exercise)}" style="{_STYLE.format(edge=edge)}">'
    return f"{frame}{head}{table}{advice}{notes}</div>"


def as_json(verdicts: list[Verdict]) -> str:
    """Verdicts as a JSON array with sorted keys, so that equal verdicts are equal bytes."""
    return json.dumps([v.to_data() for v in verdicts], ensure_ascii=False, sort_keys=True, indent=1)


def _escape(text: str) -> str:
    return html.escape(clean(text), quote=True)


def _inline(text: str) -> str:
    """Escaped text in which `code` is set as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", _escape(text))
