"""``check("name", function)``: immediate feedback in the student's own kernel, from frozen cases alone."""

from __future__ import annotations

from typing import Any

from autograder import frozen
from autograder.exercise import Sheet
from autograder.render import as_html, as_text, one_line
from autograder.sandbox.calling import Answer, call
from autograder.verdict import Verdict, judge


class CheckFailed(AssertionError):
    """An exercise is not right yet. The panel above says why, so the traceback is one line."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(one_line(verdict))
        self.verdict = verdict

    def _render_traceback_(self) -> list[str]:  # IPython shows this instead of a traceback
        return [str(self)]


def check(name: str, function: Any) -> None:
    """Check a solution against the frozen cases of its exercise and show what is wrong.

    Args:
        name: the exercise.
        function: the student's function or class.

    Raises:
        CheckFailed: the solution is not right; in a notebook its panel says where and how.
        FrozenError: there is no exercise of that name.
    """
    verdict = verdict_of(frozen.find(name), function)
    _show(verdict)
    if not verdict.passed:
        raise CheckFailed(verdict)


def verdict_of(sheet: Sheet, function: Any) -> Verdict:
    """Ask a function every question of a sheet, in this process, and judge the answers."""
    if not callable(function):
        kind = type(function).__name__
        reason = (
            f"`{sheet.name}` should be a function or a class; it is a value of type {kind}. Was the name used again?"
        )
        return judge(sheet, [Answer("missing", reason=reason)])
    answers = []
    for question in sheet.questions:
        answers.append(call(function, question.inputs, sheet.probe))
        raised = answers[-1].raised
        if raised is not None and raised.type_name == "NotImplementedError":
            break  # not written yet: one case says it all
    return judge(sheet, answers)


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
