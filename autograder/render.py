"""How a verdict looks: a panel in the notebook, lines in the terminal, HTML in feedback, JSON for programs."""

from __future__ import annotations

import html
import json
import re
import textwrap

from autograder.verdict import OutputCheck, Verdict

_CONTROL = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b.|[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_LABELS = {
    "called": "Called",
    "returned": "Returned",
    "expected": "Expected",
    "found": "First difference",
    "because": "Because",
    "own forward": "Your forward",
    "your line": "Your line",
    "printed": "Printed",
}
# Colours come from JupyterLab's theme when there is one, so that the panel follows light and dark.
_STYLE = (
    "border-left:4px solid {edge};padding:.5em .9em;margin:.3em 0;border-radius:3px;"
    "background:var(--jp-layout-color1,Canvas);color:var(--jp-content-font-color1,CanvasText);"
    "font-family:var(--jp-content-font-family,system-ui,sans-serif);line-height:1.45;max-width:60em"
)
_HEAD = "text-align:left;vertical-align:top;padding:.1em 1em .1em 0;font-weight:500;white-space:nowrap"
_TABLE = "margin:.4em 0 0 0;border:0;border-collapse:collapse;color:inherit;font-size:inherit"
_CAPTION = "text-align:left;font-size:.9em;opacity:.85"
#: Evidence in words; the rest is code or values.
_PROSE = ("found", "because", "own forward")
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
        lines.append(f"  {_where(verdict)}")
    for label, value in verdict.evidence:
        name = _LABELS.get(label, label.capitalize())
        body = clean(value).splitlines() or [""]
        indent = " " * 20
        lines.append(f"  {name + ':':<18}{body[0]}")
        lines += [indent + line for line in body[1:]]
    if len(verdict.outputs) > 1:
        lines += [f"  {row}" for row in _output_rows(verdict)]
    if verdict.advice:
        lines += textwrap.wrap(f"To try: {clean(verdict.advice)}", width, initial_indent="  ", subsequent_indent="  ")
    lines += [f"  Note: {clean(note)}" for note in verdict.notes]
    return "\n".join(lines)


def _where(verdict: Verdict) -> str:
    return f"case {verdict.case} of {verdict.cases}; {verdict.cases_right} right"


def _output_rows(verdict: Verdict) -> list[str]:
    rows = []
    for output in verdict.outputs:
        wrong = (
            f"{output.wrong} of {output.size} entries differ"
            if output.wrong
            else ("" if output.right else "another shape or dtype")
        )
        worst = (
            ""
            if output.worst is None or output.right
            else f", largest error {100 * output.worst:.3g} % of the largest entry"
        )
        rows.append(
            clean(
                f"{'✓' if output.right else '✗'} {output.name} {output.shape}: {wrong + worst if not output.right else 'right'}"
            )
        )
    return rows


def as_html(verdict: Verdict, points: bool = False) -> str:
    """A self-contained panel; every text in it is escaped, and no meaning hangs on colour."""
    edge = "#009E73" if verdict.passed else "#D55E00"
    word = "Passed" if verdict.passed else ("Not yet" if verdict.kind in ("unfinished", "missing") else "Not right")
    score = f" · {verdict.points:g} of {verdict.max_points:g} points" if points else ""
    head = (
        f'<div style="font-weight:600">{"✓" if verdict.passed else "✗"} {word}: '
        f"<code>{_escape(verdict.exercise)}</code>{score}</div><div>{_inline(verdict.headline)}</div>"
    )
    rows = "".join(
        f'<tr><th scope="row" style="{_HEAD}">{_escape(_LABELS.get(label, label.capitalize()))}</th>'
        f'<td style="text-align:left;{"" if label in _PROSE else _CODE}">'
        f"{_inline(value) if label in _PROSE else _escape(value)}</td></tr>"
        for label, value in verdict.evidence
    )
    where = f" ({_where(verdict)})" if verdict.case and verdict.cases > 1 else ""
    table = f'<table style="{_TABLE}"><caption style="{_CAPTION}">What happened{where}</caption><tbody>{rows}</tbody></table>'
    advice = (
        f'<details style="margin-top:.4em"><summary>A step to try</summary>{_inline(verdict.advice)}</details>'
        if verdict.advice
        else ""
    )
    notes = "".join(f'<div style="font-size:.9em">Note: {_escape(note)}</div>' for note in verdict.notes)
    frame = f'<div role="group" aria-label="check of {_escape(verdict.exercise)}" style="{_STYLE.format(edge=edge)}">'
    return f"{frame}{head}{table if rows else ''}{_outputs_html(verdict)}{advice}{notes}</div>"


def _outputs_html(verdict: Verdict) -> str:
    """A row for each output, with a small map of where it differs."""
    if not any(output.grid or len(verdict.outputs) > 1 for output in verdict.outputs):
        return ""
    rows = ""
    for output in verdict.outputs:
        state = "✓ right" if output.right else ("✗ differs" if output.wrong else "✗ another shape or dtype")
        worst = "" if output.worst is None or output.right else f"{100 * output.worst:.3g} %"
        cells = (f"<code>{_escape(output.name)}</code>", str(output.shape), state, worst, _map(output))
        rows += (
            "<tr>"
            + "".join(f'<td style="text-align:left;padding:.1em .8em .1em 0">{cell}</td>' for cell in cells)
            + "</tr>"
        )
    names = ("output", "shape", "result", "largest error, of the largest entry", "where it differs")
    head = "".join(f'<th scope="col" style="{_HEAD}">{name}</th>' for name in names)
    return f'<table style="{_TABLE}"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'


def _map(output: OutputCheck) -> str:
    """Wrong entries crossed out in a grid, with the same in words for those who do not see it."""
    if not output.grid:
        return ""
    side = 9
    height, width = len(output.grid) * side, max(map(len, output.grid)) * side
    cells, wrong_rows = [], []
    for i, row in enumerate(output.grid):
        if any(row):
            wrong_rows.append(i)
        for j, share in enumerate(row):
            x, y = j * side, i * side
            cells.append(
                f'<rect x="{x}" y="{y}" width="{side}" height="{side}" fill="none" stroke="currentColor" stroke-width=".4"/>'
            )
            if share:
                mark = f"M{x + 2} {y + 2}l{side - 4} {side - 4}M{x + side - 2} {y + 2}l-{side - 4} {side - 4}"
                cells.append(f'<path d="{mark}" stroke="currentColor" stroke-width="{0.8 + share:.1f}"/>')
    full = len(wrong_rows) == len(output.grid)
    bands = "every band of rows" if full else f"bands {', '.join(str(i + 1) for i in wrong_rows)} of {len(output.grid)}"
    text = f"{output.wrong} of {output.size} entries of {output.name} differ, in {bands}"
    return (
        f'<svg role="img" aria-label="{_escape(text)}" width="{width}" height="{height}" viewBox="0 0 {width} {height}">'
        f"<title>{_escape(text)}</title>{''.join(cells)}</svg>"
    )


def as_json(verdicts: list[Verdict]) -> str:
    """Verdicts as a JSON array with sorted keys, so that equal verdicts are equal bytes."""
    return json.dumps([v.to_data() for v in verdicts], ensure_ascii=False, sort_keys=True, indent=1)


def _escape(text: str) -> str:
    return html.escape(clean(text), quote=True)


def _inline(text: str) -> str:
    """Escaped text in which `code` is set as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", _escape(text))
