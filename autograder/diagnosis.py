"""Which mistake is this? Known misconceptions are recognised by the answers they give."""

from __future__ import annotations

from collections.abc import Callable

from autograder.exercise import Question, Sheet
from autograder.sandbox.calling import Answer
from autograder.verdict import Finding, compare

Examine = Callable[[Sheet, Question, Answer], Finding | None]


def recognise(sheet: Sheet, answers: list[Answer], examine: Examine) -> tuple[str, str] | None:
    """The known misconception whose answers equal the student's in every case, as ``(name, sentence)``.

    A misconception only counts where it can be told from the truth: it must be wrong in at least one of the cases answered.
    """
    asked = list(zip(sheet.questions, answers, strict=False))
    for name, sentence in sheet.sentences.items():
        telling = [question for question, _ in asked if name in question.mistakes]
        if len(telling) < len(asked) or not asked:
            continue
        if all(examine(sheet, question, question.mistakes[name]) is None for question in telling):
            continue
        if all(_same_answer(sheet, question.mistakes[name], answer) for question, answer in asked):
            return name, sentence
    return None


def _same_answer(sheet: Sheet, mistake: Answer, answer: Answer) -> bool:
    if mistake.status != answer.status:
        return False
    if mistake.status == "returned":
        same = compare(mistake.value, answer.value, rtol=sheet.rtol, atol=sheet.atol) is None
        return same and set(mistake.changed_inputs) == set(answer.changed_inputs)
    if mistake.raised is None or answer.raised is None or answer.raised.type_name == "NotImplementedError":
        return False
    return (mistake.raised.type_name, mistake.raised.message) == (answer.raised.type_name, answer.raised.message)
