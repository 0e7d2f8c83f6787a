"""Running one submission in the sandbox and judging it: student code answers, this side decides."""

from __future__ import annotations

import atexit
import hashlib
from dataclasses import dataclass, field
from typing import Any

from nbformat import NotebookNode

from autograder.bundle import importable_files
from autograder.cells import CHECK_PREFIX, LONG_RUN
from autograder.exercise import Exercise, Sheet
from autograder.paths import ROOT
from autograder.render import as_html, as_text, clean
from autograder.sandbox.calling import Answer
from autograder.sandbox.isolation import Limits
from autograder.sandbox.replay import Replay
from autograder.sandbox.session import Server, Stopped
from autograder.verdict import Verdict, judge


@dataclass
class Graded:
    """Verdicts by exercise name, and what the cells printed and displayed, by cell id."""

    verdicts: dict[str, Verdict]
    outputs: dict[str, list[dict[str, Any]]] = field(default_factory=dict)


_server: Server | None = None


def server() -> Server:
    """This process's warm server, started on first use."""
    global _server
    if _server is None:
        _server = Server(importable_files(), ROOT)
        atexit.register(close_server)
    return _server


def close_server() -> None:
    """End the warm server."""
    global _server
    if _server is not None:
        _server.close()
        _server = None


def grade(notebook: NotebookNode, exercises: dict[str, Exercise], seed: str, limits: Limits) -> Graded:
    """Run a rebuilt notebook's cells in their order and judge each exercise where its check stands.

    Whatever happens to the child costs only what depended on it: a cell that hangs or kills the process is left out, a
    fresh child runs the other cells again, and grading goes on.
    """
    graded = Graded({})
    with Replay(server(), limits) as replay:
        for position, cell in enumerate(notebook.cells):
            if cell.cell_type != "code":
                continue
            name = check_of(cell)
            if name is None:
                _execute(replay, position, cell, graded.outputs)
            elif name in exercises:
                sheet = exercises[name].sheet(seed)
                answers = _ask(replay, sheet, notebook.cells, graded.outputs)
                graded.verdicts[name] = judge(sheet, answers)
    for position, stopped in replay.stopped.items():
        graded.outputs[notebook.cells[position].id] = [_left_out(stopped)]
    return graded


def check_of(cell: NotebookNode) -> str | None:
    """The exercise that a cell checks, or None."""
    meta = cell.metadata.get("nbgrader", {})
    grade_id = str(meta.get("grade_id", ""))
    return grade_id.removeprefix(CHECK_PREFIX) if meta.get("grade") and grade_id.startswith(CHECK_PREFIX) else None


def _execute(replay: Replay, position: int, cell: NotebookNode, outputs: dict[str, list[dict[str, Any]]]) -> None:
    if LONG_RUN in cell.metadata.get("tags", []) or not cell.source.strip():
        return
    try:
        raw = replay.run(position, cell.source)
    except Stopped:
        return  # the replay remembers it
    outputs[cell.id] = [shown for output in raw if (shown := _output(output))]


def _ask(
    replay: Replay, sheet: Sheet, cells: list[NotebookNode], outputs: dict[str, list[dict[str, Any]]]
) -> list[Answer]:
    answers: list[Answer] = []
    for question in sheet.questions:
        answer = replay.call(sheet.name, question.inputs, sheet.probe)
        if answer.status == "missing":
            answer = Answer("missing", reason=_why_missing(sheet.name, replay, cells, outputs) or answer.reason)
        answers.append(answer)
        unfinished = answer.raised is not None and answer.raised.type_name == "NotImplementedError"
        if unfinished or answer.status in ("missing", "timeout", "died"):
            break
    return answers


def _left_out(stopped: Stopped) -> dict[str, Any]:
    text = f"{stopped.reason} The cell was left out, and grading went on without it."
    return {"output_type": "error", "ename": stopped.status, "evalue": text, "traceback": [text]}


def _why_missing(name: str, replay: Replay, cells: list[NotebookNode], outputs: dict[str, list[dict[str, Any]]]) -> str:
    for position, stopped in replay.stopped.items():
        if name in cells[position].source:
            return f"`{name}` could not be defined. {stopped.reason}"
    for cell in cells:
        if cell.metadata.get("nbgrader", {}).get("grade_id") == name:
            for output in outputs.get(cell.id, []):
                if output["output_type"] == "error":
                    return f"`{name}` is not defined: its cell ended with {output['ename']}: {output['evalue'][:200]}"
    return ""


def _output(raw: Any) -> dict[str, Any] | None:
    """A child's output as nbformat wants it, every field forced to its type; None when it is none."""
    if type(raw) is not dict:
        return None
    kind = raw.get("output_type")
    if kind == "stream":
        name = "stderr" if raw.get("name") == "stderr" else "stdout"
        return {"output_type": "stream", "name": name, "text": clean(str(raw.get("text", "")))}
    if kind == "error":
        trace = raw.get("traceback")
        lines = [clean(str(line)) for line in trace[:200]] if isinstance(trace, list) else []
        ename, evalue = clean(str(raw.get("ename", "")))[:200], clean(str(raw.get("evalue", "")))[:2_000]
        return {"output_type": "error", "ename": ename, "evalue": evalue, "traceback": lines or [f"{ename}: {evalue}"]}
    data = raw.get("data")
    if kind in ("display_data", "execute_result") and isinstance(data, dict):
        # Text and pictures are kept; HTML, SVG and scripts of a submission are not shown to the person who grades.
        kept = {t: str(v) for t, v in data.items() if t in ("text/plain", "image/png", "image/jpeg")}
        return {"output_type": "display_data", "data": kept, "metadata": {}} if kept else None
    return None


def verdict_outputs(verdict: Verdict) -> list[dict[str, Any]]:
    """What is written into a check cell: nbgrader reads the first output that decides, so the verdict comes first."""
    panel = {
        "output_type": "display_data",
        "data": {"text/html": as_html(verdict, points=True), "text/plain": as_text(verdict)},
        "metadata": {},
    }
    if verdict.passed:
        return [panel]
    line = clean(verdict.headline)
    error = {"output_type": "error", "ename": "Check", "evalue": line, "traceback": [f"✗ {verdict.exercise}: {line}"]}
    return [error, panel]


def derived_seed(secret: str, *parts: str) -> str:
    """A seed for one student and chapter from the secret of a run."""
    return hashlib.sha256("\x00".join((secret, *parts)).encode()).hexdigest()[:32]
