"""``check("name", function)``: immediate feedback in the student's own kernel, from frozen cases alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from autograder import frozen, progress
from autograder.exercise import Sheet
from autograder.gradients import disagreement
from autograder.render import as_html, as_text, one_line
from autograder.sandbox.calling import Answer, call, call_in_time, materialise
from autograder.verdict import Verdict, judge

#: Seconds that one call of the student's function may take in a check.
CALL_SECONDS = 10.0


class CheckFailed(AssertionError):
    """An exercise is not right yet. The panel above says why, so the traceback is one line."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(one_line(verdict))
        self.verdict = verdict

    def _render_traceback_(self) -> list[str]:  # IPython shows this instead of a traceback
        return [f"✗ {self.verdict.exercise}: the panel above says why."]


def check(name: str, function: Any, forward: Any = None) -> None:
    """Check a solution against the frozen cases of its exercise and show what is wrong.

    Args:
        name: the exercise.
        function: the student's function or class.
        forward: for a backward function, the student's own forward; then the check also says whether the backward is
            the gradient of *that* function, by numerical differentiation.

    Raises:
        CheckFailed: the solution is not right; in a notebook its panel says where and how.
        FrozenError: there is no exercise of that name.
    """
    sheet = frozen.find(name)
    verdict = verdict_of(sheet, function)
    if forward is not None:
        verdict = replace(
            verdict, evidence=(*verdict.evidence, ("own forward", against_own_forward(sheet, function, forward)))
        )
    progress.record(name, verdict.passed)
    _show(verdict)
    if not verdict.passed:
        raise CheckFailed(verdict)


def verdict_of(sheet: Sheet, function: Any, *, bank: bool = True) -> Verdict:
    """Ask a function every question of a sheet, in this process, and judge the answers.

    ``bank`` says whether the exercise's known misconceptions are consulted.
    """
    if not callable(function):
        kind = type(function).__name__
        reason = (
            f"`{sheet.name}` should be a function or a class; it is a value of type {kind}. Was the name used again?"
        )
        return judge(sheet, [Answer("missing", reason=reason)])
    answers = []
    for question in sheet.questions:
        answers.append(call_in_time(function, question.inputs, sheet.probe, CALL_SECONDS))
        if answers[-1].status == "timeout":
            break
        raised = answers[-1].raised
        if raised is not None and raised.type_name == "NotImplementedError":
            break  # not written yet: one case says it all
    return judge(sheet, answers, bank=bank)


def against_own_forward(sheet: Sheet, function: Any, forward: Any) -> str:
    """Whether a backward function is the gradient of the student's own forward, in a sentence."""
    if not sheet.wrt:
        return f"`{sheet.name}` is no gradient, so there is no forward to compare it with."
    for number, question in enumerate(sheet.questions, 1):
        answer = call(function, question.inputs, sheet.probe)
        if answer.status != "returned":
            if question.promised is not None:
                continue
            return "It could not be compared with your forward: the call did not return."
        given = {name: materialise(value) for name, value in question.inputs.items()}
        gradients = answer.value if len(sheet.wrt) > 1 else (answer.value,)
        try:
            wrong = disagreement(forward, given, sheet.wrt, sheet.upstream, gradients)
        except Exception as error:
            return f"It could not be compared with your forward: {type(error).__name__}: {error}"
        if wrong:
            return f"Not the gradient of your own forward either: in case {number}, the {wrong}."
    return "It is the gradient of your own forward in every case. If the check fails, the forward is another function."


def _show(verdict: Verdict) -> None:
    try:
        from IPython import get_ipython
        from IPython.display import display
    except ImportError:
        shell = None
    else:
        shell = get_ipython()
    if shell is None:
        print(as_text(verdict))
        return
    bundle = {
        "text/html": as_html(verdict),
        "text/plain": as_text(verdict),
        "application/x-nnlm-verdict+json": verdict.to_data(),
    }
    display(bundle, raw=True)
