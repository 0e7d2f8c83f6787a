"""Running one submission in the sandbox and judging it: student code answers, this side decides."""

from __future__ import annotations

import atexit
import re
from dataclasses import dataclass, field, replace
from typing import Any

from nbformat import NotebookNode

from autograder import conduct
from autograder.bundle import importable_files
from autograder.cells import CHECK_PREFIX, LONG_RUN
from autograder.comparison import shorten
from autograder.exercise import Exercise, Sheet
from autograder.grading.needed import unneeded
from autograder.paths import ROOT
from autograder.render import as_html, as_text, clean
from autograder.sandbox.calling import Answer
from autograder.sandbox.isolation import Limits
from autograder.sandbox.replay import Replay
from autograder.sandbox.session import Server, Stopped
from autograder.verdict import Verdict, judge


@dataclass
class Graded:
    """Verdicts by exercise name; what the cells printed and displayed, and how the verdicts look, by cell id."""

    verdicts: dict[str, Verdict]
    outputs: dict[str, list[dict[str, Any]]] = field(default_factory=dict)


_server: Server | None = None


def server(device: str = "cpu", torch: bool = True, spares: bool = False) -> Server:
    """This process's warm server, started on first use.

    Args:
        device: ``"cuda"`` lets student code use NVIDIA devices.
        torch: whether the chapter uses torch; a server that has it loaded serves any chapter.
        spares: start the next child while one is at work; for those who grade many.
    """
    global _server
    if _server is not None and not _server.alive:
        close_server()
    if _server is not None and (_server.device != device or (torch and not _server.torch)):
        close_server()
    if _server is None:
        _server = Server(importable_files(), ROOT, device=device, torch=torch, spares=spares)
        atexit.register(close_server)
    return _server


def close_server() -> None:
    """End the warm server."""
    global _server
    if _server is not None:
        _server.close()
        _server = None


def grade(
    notebook: NotebookNode,
    exercises: dict[str, Exercise],
    seed: str,
    limits: Limits,
    *,
    only: str = "",
    given: NotebookNode | None = None,
    sandbox: Server | None = None,
) -> Graded:
    """Run a rebuilt notebook's cells in their order and judge each exercise where its check stands.

    Whatever happens to the child costs only what depended on it: a cell that hangs or kills the process is left out, a
    fresh child runs the other cells again, and grading goes on.

    Args:
        notebook: the submission.
        exercises: what can be judged, by name.
        seed: of the cases.
        limits: what the submission may use.
        only: the one exercise to judge; empty: all.
        given: the released notebook; of its cells those run that were changed or that something depends on. None: all run.
        sandbox: where it runs; by default this process's warm server.
    """
    graded = Graded({})
    spared = unneeded(notebook, given, exercises) if given is not None else set()
    with Replay(sandbox or server(), limits) as replay:
        for position, cell in enumerate(notebook.cells):
            if cell.cell_type != "code" or position in spared:
                continue
            name = check_of(cell)
            if name is None:
                _execute(replay, position, cell, graded.outputs)
            elif name in exercises and only in ("", name):
                sheet = exercises[name].sheet(seed)
                answers = _ask(replay, sheet, notebook.cells, graded.outputs)
                verdict = _shortened(_judged(sheet, answers))
                verdict = _with_flags(verdict, exercises[name], sheet, replay, notebook)
                verdict = _with_follow_on(verdict, graded.verdicts, notebook)
                graded.verdicts[name], graded.outputs[cell.id] = verdict, verdict_outputs(verdict)
    for position, stopped in replay.stopped.items():
        graded.outputs[notebook.cells[position].id] = [_left_out(stopped)]
    return graded


def _judged(sheet: Sheet, answers: list[Answer]) -> Verdict:
    """The verdict; an answer that cannot be compared costs its question, not the notebook."""
    try:
        return judge(sheet, answers)
    except Exception as error:
        return Verdict(
            exercise=sheet.name,
            promise=sheet.promise,
            passed=False,
            kind="type",
            headline=f"The answer is of a kind that cannot be compared with the expected one ({type(error).__name__}).",
            max_points=sheet.points,
            cases=len(sheet.questions),
            seed=sheet.seed,
        )


def _shortened(verdict: Verdict) -> Verdict:
    """No answer, however long, makes a long verdict."""
    return replace(
        verdict,
        headline=shorten(verdict.headline, 1_500),
        evidence=tuple((label[:100], shorten(text, 4_000)) for label, text in verdict.evidence[:20]),
        notes=tuple(shorten(note, 600) for note in verdict.notes[:10]),
    )


def _with_flags(verdict: Verdict, made: Exercise, sheet: Sheet, replay: Replay, notebook: NotebookNode) -> Verdict:
    """A verdict with what the instructor should know of how the answers came about; nothing is asked where they are wrong."""
    if not verdict.passed:
        return verdict
    try:
        found = conduct.flags(
            made, sheet, _source(notebook, made.name), lambda inputs, probe: replay.call(made.name, inputs, probe)
        )
    except Exception as error:
        found = (f"How the answer came about could not be observed ({type(error).__name__}).",)
    return replace(verdict, flags=found)


def _with_follow_on(verdict: Verdict, before: dict[str, Verdict], notebook: NotebookNode) -> Verdict:
    """A verdict that says which exercise that does not pass this one relies on: the mistake may be there alone."""
    if verdict.passed or verdict.kind == "unfinished":
        return verdict
    used = _relied_on(notebook, verdict.exercise)
    note = "It relies on {}, which does not pass; mend that first, the mistake may lie there alone."
    wrong = [name for name, one in before.items() if not one.passed and name in used]
    return replace(verdict, notes=(*verdict.notes, *(note.format(f"`{name}`") for name in wrong)))


def _relied_on(notebook: NotebookNode, name: str) -> set[str]:
    """Functions and classes of the notebook that an exercise's cell calls, itself or through others of them."""
    defined: dict[str, str] = {}
    for cell in notebook.cells:
        if cell.cell_type == "code":
            text = cell.source[:50_000]
            defined |= dict.fromkeys(re.findall(r"^(?:def|class) (\w+)", text, re.MULTILINE), text)
    used: set[str] = set()
    to_read = [_source(notebook, name)]
    while to_read:
        new = {called for called in re.findall(r"\b(\w+)\(", to_read.pop()) if called in defined} - used
        used |= new
        to_read += [defined[called] for called in new]
    return used


def _source(notebook: NotebookNode, name: str) -> str:
    """A student's cell of an exercise, up to what can be looked through in no time."""
    cells = [cell for cell in notebook.cells if cell.metadata.get("nbgrader", {}).get("grade_id") == name]
    return cells[0].source[:50_000] if cells else ""


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
    shown = [made for output in raw if (made := _output(output))]
    outputs[cell.id] = _of_a_test(shown) if cell.metadata.get("nbgrader", {}).get("grade") else shown


def _of_a_test(shown: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Outputs of an instructor's own test cell, as nbgrader's scoring has to read them: an error decides, a warning does not."""
    for output in shown:
        if output["output_type"] == "stream":
            output["name"] = "stdout"
    return sorted(shown, key=lambda output: output["output_type"] != "error")


def _ask(
    replay: Replay, sheet: Sheet, cells: list[NotebookNode], outputs: dict[str, list[dict[str, Any]]]
) -> list[Answer]:
    def last(answer: Answer) -> bool:
        unfinished = answer.raised is not None and answer.raised.type_name == "NotImplementedError"
        return unfinished or answer.status in ("missing", "timeout", "died")

    answers = replay.calls(sheet.name, [question.inputs for question in sheet.questions], sheet.probe, last)
    if answers[-1].status == "missing":
        answers[-1] = Answer("missing", reason=_why_missing(sheet.name, replay, cells, outputs) or answers[-1].reason)
    return answers


def _left_out(stopped: Stopped) -> dict[str, Any]:
    text = f"{stopped.reason} The cell was left out, and grading went on without it."
    return {"output_type": "error", "ename": stopped.status, "evalue": text, "traceback": [text]}


def _why_missing(name: str, replay: Replay, cells: list[NotebookNode], outputs: dict[str, list[dict[str, Any]]]) -> str:
    for position, stopped in replay.stopped.items():
        cell = cells[position]
        if name in cell.source or cell.metadata.get("nbgrader", {}).get("grade_id") == name:
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
