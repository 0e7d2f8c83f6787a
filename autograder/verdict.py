"""Judging answers: which case is wrong, what is wrong with it, and why most likely.

A :class:`Verdict` is a record without layout; ``render`` turns it into HTML, terminal text or JSON.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from autograder.comparison import (
    Finding,
    agreement,
    as_array,
    both,
    compare,
    describe,
    dtype_of,
    is_numeric,
    kind_of,
    narrower,
    shorten,
)
from autograder.diagnosis import Diagnosis, Pair, as_arrays, choice_of, explain, recognise
from autograder.exercise import Question, Sheet
from autograder.sandbox.calling import Answer, load_source
from autograder.sandbox.wire import Tensor

#: How many outputs a verdict lists one by one.
MOST_OUTPUTS = 16


@dataclass(frozen=True)
class OutputCheck:
    """How one output of the case shown compares: ``worst`` is the largest error relative to the largest expected entry.

    ``grid`` holds, for a picture of at most 12 × 24 cells, the share of wrong entries in each cell; empty when shapes differ.
    """

    name: str
    shape: tuple[int, ...]
    right: bool
    worst: float | None = None
    wrong: int = 0
    size: int = 0
    grid: tuple[tuple[float, ...], ...] = ()


@dataclass(frozen=True)
class Verdict:
    """What the judge says of one exercise."""

    exercise: str
    promise: str
    passed: bool
    kind: str  # "passed" or the kind of the finding
    headline: str
    evidence: tuple[tuple[str, str], ...] = ()
    advice: str = ""
    diagnosis: str = ""  # class of the likely cause: "misconception", "factor", "transpose", …
    misconception: str = ""  # name of the known mistake that gives the same answers
    points: float = 0.0
    max_points: float = 0.0
    case: int = 0  # number of the case shown, from 1; 0 when none
    cases: int = 0
    cases_right: int = 0
    seed: str = ""
    outputs: tuple[OutputCheck, ...] = ()
    notes: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()  # for the instructor only: how the answers came about

    def to_data(self) -> dict[str, Any]:
        """As plain data, ready for JSON."""
        return asdict(self)


def judge(sheet: Sheet, answers: list[Answer], *, bank: bool = True) -> Verdict:
    """Judge the answers to a sheet's questions, in their order. Fewer answers than questions: the last one was fatal.

    Args:
        sheet: the questions with their expected answers.
        answers: the student's.
        bank: whether the exercise's known misconceptions are consulted, or algebra alone.
    """
    answers = [sheet.measured(q.inputs, a) for q, a in zip(sheet.questions, answers, strict=False)]
    findings = [examine(sheet, q, a) for q, a in zip(sheet.questions, answers, strict=False)]
    common: dict[str, Any] = {
        "exercise": sheet.name,
        "promise": sheet.promise,
        "max_points": sheet.points,
        "cases": len(sheet.questions),
        "cases_right": findings.count(None),
        "seed": sheet.seed,
        "notes": tuple(dict.fromkeys(note for answer in answers for note in answer.warnings))[:3],
    }
    number = next((i for i, finding in enumerate(findings) if finding is not None), None)
    if number is None and len(answers) == len(sheet.questions):
        count = len(sheet.questions)
        headline = f"Right in {'its one case' if count == 1 else f'all {count} cases'}."
        return Verdict(passed=True, kind="passed", headline=headline, points=sheet.points, **common)
    if number is None:
        return Verdict(passed=False, kind="died", headline="Not every case was answered.", **common)
    found = _diagnose(sheet, answers, findings, bank)
    if found is None:
        # A product that exists by accident on square arrays fails on the others, and there the error says more.
        number = next((i for i, f in enumerate(findings) if f is not None and f.kind == "exception"), number)
    finding = findings[number]
    assert finding is not None
    question, answer = sheet.questions[number], answers[number]
    evidence: list[tuple[str, str]] = []
    if found:
        evidence += [("found", finding.sentence)] if found.sentence != finding.sentence else []
        evidence += [("because", found.evidence)] if found.evidence else []
    if finding.kind not in ("missing", "unfinished"):
        evidence.append(("called", _call_text(sheet, question)))
    evidence += finding.evidence
    if answer.printed.strip() and finding.kind not in ("missing", "unfinished"):
        evidence.append(("printed", shorten(answer.printed.strip(), 300)))
    outputs = _output_checks(sheet, question, answer) if answer.status == "returned" and not sheet.criterion else ()
    return Verdict(
        passed=False,
        kind=finding.kind,
        headline=found.sentence if found else finding.sentence,
        evidence=tuple(evidence),
        advice=found.step if found else "",
        diagnosis=found.kind if found else "",
        misconception=found.name if found else "",
        case=number + 1,
        outputs=outputs,
        **common,
    )


def _diagnose(sheet: Sheet, answers: list[Answer], findings: list[Finding | None], bank: bool) -> Diagnosis | None:
    """The likely cause: a known misconception, or what algebra finds; where both speak, algebra gives the evidence.

    A cause that algebra guesses is no evidence beside the one that is known.
    """
    known = recognise(sheet, answers, lambda q, a: examine(sheet, q, a) is not None) if bank else None
    if sheet.criterion or any(f and f.kind in _NOT_NUMBERS for f in findings):
        return known
    algebra = _algebra(sheet, answers)
    if known and algebra and algebra.kind not in _GUESSED_CAUSES:
        return replace(known, evidence=algebra.sentence)
    return known or algebra


def _algebra(sheet: Sheet, answers: list[Answer]) -> Diagnosis | None:
    """What algebra on the arrays alone finds in the first output that differs."""

    def agree(want: np.ndarray, have: np.ndarray) -> bool:
        return want.shape == have.shape and bool(agreement(want, have, sheet.rtol, sheet.atol).all())

    pairs: dict[str, list[Pair]] = {}
    right: dict[str, list[tuple[Pair, tuple[str, ...]]]] = {}
    choices: dict[str, set[tuple[str, ...]]] = {}
    for question, answer in zip(sheet.questions, answers, strict=False):
        if answer.status != "returned" or question.expected.status != "returned":
            continue
        wants, haves = _arrays_by_name(sheet, question.expected.value), _arrays_by_name(sheet, answer.value)
        terms = {term: _arrays_by_name(sheet, value) for term, value in question.terms.items()}
        inputs = as_arrays(question.inputs)
        for name, want in wants.items():
            have = haves.get(name)
            if have is not None:
                parts = {term: as_array(arrays[name]) for term, arrays in terms.items() if name in arrays}
                pair = Pair(as_array(want), as_array(have), inputs, parts)
                choice = choice_of(question)
                if agree(pair.want, pair.have):
                    right.setdefault(name, []).append((pair, choice))
                else:
                    pairs.setdefault(name, []).append(pair)
                    choices.setdefault(name, set()).add(choice)
    for name, found in pairs.items():
        alike = [pair for pair, choice in right.get(name, []) if choice in choices[name]]
        diagnosis: Diagnosis | None = explain(found, agree, _subject(name, sheet), alike)
        if diagnosis is not None:
            return diagnosis
    return None


def _arrays_by_name(sheet: Sheet, value: Any) -> dict[str, Any]:
    """The numbers in an answer by name; those in lists, tuples and dictionaries under names such as ``grads[0][1]``."""
    found: dict[str, Any] = {}

    def walk(name: str, part: Any) -> None:
        if is_numeric(part):
            found[name] = part
        elif isinstance(part, (list, tuple)):
            for index, entry in enumerate(part):
                walk(f"{name}[{index}]", entry)
        elif isinstance(part, dict):
            for key, entry in part.items():
                walk(f"{name}[{key!r}]", entry)

    for name, part in _outputs(sheet, value):
        walk(name, part)
    return found


#: Diagnoses of algebra whose sentence gives a cause besides what is seen.
_GUESSED_CAUSES = frozenset({"overflow", "overwritten", "mask"})

#: Findings that no algebra on numbers can explain.
_NOT_NUMBERS = frozenset(
    {"exception", "unfinished", "missing", "timeout", "died", "none", "type", "modified", "not-raised"}
)


def _output_checks(sheet: Sheet, question: Question, answer: Answer) -> tuple[OutputCheck, ...]:
    if question.expected.status != "returned":
        return ()
    wants, haves = _arrays_by_name(sheet, question.expected.value), _arrays_by_name(sheet, answer.value)
    checks: list[OutputCheck] = []
    for name, want in wants.items():
        have = haves.get(name)
        if have is None or len(checks) == MOST_OUTPUTS:
            continue
        a, b = as_array(want), as_array(have)
        if a.shape != b.shape:
            checks.append(OutputCheck(name, tuple(b.shape), False, size=int(a.size)))
            continue
        bad = ~agreement(a, b, sheet.rtol, sheet.atol, narrower(dtype_of(want), dtype_of(have)))
        right = compare(want, have, rtol=sheet.rtol, atol=sheet.atol) is None
        worst = None
        if a.dtype.kind in "biuf" and b.dtype.kind in "biuf":
            with np.errstate(all="ignore"):
                gap = np.abs(b.astype(np.float64) - a.astype(np.float64))
                scale = float(np.max(np.abs(a[np.isfinite(a)].astype(np.float64)), initial=0.0)) or 1.0
                largest = float(np.max(gap, initial=0.0)) / scale
            worst = largest if math.isfinite(largest) else None
        grid = _grid(bad) if bad.any() and bad.size > 1 else ()
        checks.append(
            OutputCheck(name, tuple(int(n) for n in b.shape), right, worst, int(bad.sum()), int(bad.size), grid)
        )
    return tuple(checks)


def _grid(bad: np.ndarray, rows: int = 12, columns: int = 24) -> tuple[tuple[float, ...], ...]:
    """Shares of wrong entries in a grid of at most ``rows`` × ``columns`` cells; leading axes are stacked."""
    flat = bad.reshape(1, -1) if bad.ndim < 2 else bad.reshape(-1, bad.shape[-1])
    bands = [
        np.array_split(band, min(columns, flat.shape[1]), axis=1)
        for band in np.array_split(flat, min(rows, flat.shape[0]), axis=0)
    ]
    return tuple(tuple(round(float(cell.mean()), 3) for cell in band) for band in bands)


def examine(sheet: Sheet, question: Question, answer: Answer) -> Finding | None:
    """The first thing wrong with one answer, or None."""
    trouble = _trouble(sheet, question, answer)
    if trouble is not None:
        return trouble
    if question.promised is not None:
        return None
    if sheet.criterion:
        return _by_criterion(sheet, question, answer)
    finding = _compare_outputs(sheet, question.expected.value, answer.value)
    if finding is None and set(answer.changed_inputs) - set(question.expected.changed_inputs):
        names = ", ".join(f"`{n}`" for n in answer.changed_inputs)
        return Finding(
            "modified",
            f"The result is right, but the call changed its input {names} in place; the caller still needs it. Work on a copy.",
        )
    return finding


# ---- things that are wrong before any number is looked at ----------------------------------------------------------
def _trouble(sheet: Sheet, question: Question, answer: Answer) -> Finding | None:
    if answer.status == "missing":
        return Finding("missing", answer.reason or "It is not defined; run (or restore) the cell that defines it.")
    if answer.status == "timeout":
        return Finding(
            "timeout", answer.reason or "The call did not come back in time; look for a loop that never ends."
        )
    if answer.status == "died":
        return Finding("died", answer.reason or "The process ended during the call.")
    wanted = question.promised
    if answer.status == "raised" and answer.raised is not None:
        raised = answer.raised
        if wanted is not None and raised.type_name == wanted.type_name:
            return None
        if raised.type_name == "NotImplementedError":
            return Finding(
                "unfinished",
                "Its cell still raises NotImplementedError. Replace that line by your code, run the cell, and check again.",
            )
        where = (("your line", f"{raised.line_number}: {raised.line}"),) if raised.line_number else ()
        if not where and (
            sheet.probe or sheet.measure
        ):  # it came from the code around the student's, which could not use the answer
            reason = f"{raised.type_name}: {shorten(raised.message, 120)}"
            sentence = f"What your code returns here cannot be used: the step that uses it ends with {reason}."
            return Finding("type", f"{sentence} {wanted.type_name} should be raised instead." if wanted else sentence)
        message = f": {shorten(raised.message, 200)}" if raised.message else ""
        if wanted is not None:
            return Finding(
                "exception", f"It raised {raised.type_name}; {wanted.type_name} was expected here{message}.", where
            )
        return Finding("exception", f"Your code raised {raised.type_name}{message}", where)
    if wanted is not None:
        return Finding(
            "not-raised",
            f"These inputs are wrong and {wanted.type_name} should be raised; a value came back instead.",
            (("returned", describe(answer.value)), ("expected", f"{wanted.type_name}: {wanted.message}")),
        )
    return None


def _by_criterion(sheet: Sheet, question: Question, answer: Answer) -> Finding | None:
    assert sheet.criterion is not None
    criterion: Callable[..., Any] = load_source(sheet.criterion, "<criterion>")
    outputs = dict(_outputs(sheet, _arrays(answer.value)))
    for name, value in outputs.items():
        if value is None:
            return Finding("none", f"{_subject(name, sheet)} is None; does the function end with `return`?")
    try:
        sentence = criterion(outputs, question.held)
    except Exception as error:  # the answer has a form the criterion cannot read
        expected = describe(question.expected.value)
        return Finding(
            "type",
            f"The answer has another form than expected ({type(error).__name__}: {shorten(str(error), 120)}).",
            (("returned", describe(answer.value)), ("an answer that passes", expected)),
        )
    if sentence is None:
        return None
    return Finding("criterion", str(sentence), (("returned", describe(answer.value)),))


# ---- numbers ---------------------------------------------------------------------------------------------------------
#: What is noticed beside the answer, and the sentence for it; a student returns none of these.
OBSERVED = {
    "numeric_warning": "The numbers are right, but NumPy warned on the way there: something overflowed, was divided by zero, or "
    "was the logarithm of 0. Find the step that computes what is not needed.",
    "input_changed": "The numbers are right, but an array that was handed in was changed. Work on a copy: whoever called still "
    "needs the original.",
    "parameters_changed": "The numbers are right, but the parameters that were handed in were changed. Return new arrays: "
    "`p = p - …` makes one, `p -= …` writes into the old one.",
}


def _compare_outputs(sheet: Sheet, expected: Any, received: Any) -> Finding | None:
    if received is None and expected is not None:
        return Finding(
            "none", "It returned None; does the function end with `return`?", (("expected", describe(expected)),)
        )
    several = isinstance(received, (tuple, list))
    if isinstance(expected, tuple) and sheet.returns and not (several and len(received) == len(expected)):
        asked = [name for name in sheet.returns if name not in OBSERVED]
        observed = len(sheet.returns) - len(asked)
        got = f"{len(received) - observed} values" if several else kind_of(received)
        wanted = f"{len(asked)} values" if len(asked) != 1 else "one value"
        sentence = f"It should return {wanted} ({', '.join(asked)}); it returned {got}."
        return Finding("length", sentence, both(expected, received))
    for (name, want), (_, have) in zip(_outputs(sheet, expected), _outputs(sheet, received), strict=False):
        if name in OBSERVED and not want and isinstance(have, (bool, np.bool_)) and have:
            return Finding("observed", OBSERVED[name])
        finding = compare(want, have, _subject(name, sheet), sheet.rtol, sheet.atol)
        if finding is not None:
            return finding
    return None


def _outputs(sheet: Sheet, value: Any) -> Iterator[tuple[str, Any]]:
    if sheet.returns and isinstance(value, (tuple, list)):
        yield from zip(sheet.returns, value, strict=False)
    elif (
        isinstance(value, dict) and all(isinstance(key, str) for key in value) and not sheet.returns and sheet.criterion
    ):
        yield from value.items()
    else:
        yield (sheet.returns[0] if len(sheet.returns) == 1 else "result"), value


def _subject(name: str, sheet: Sheet) -> str:
    return f"`{name}`" if sheet.returns or name != "result" else "The result"


def _call_text(sheet: Sheet, question: Question) -> str:
    inputs = ", ".join(f"{name}={_argument(value)}" for name, value in question.inputs.items())
    label = f"  # {question.label}" if question.label else ""
    return f"{sheet.name}({inputs}){label}"


def _argument(value: Any) -> str:
    """An input as code that can be pasted, when it is small."""
    if isinstance(value, np.ndarray) and value.size <= 24:
        body = np.array2string(value, precision=6, separator=", ", max_line_width=10_000).replace("\n", "")
        return f"np.array({' '.join(body.split())})"
    if isinstance(value, (list, tuple)) and 0 < len(value) <= 6:
        inside = ", ".join(_argument(entry) for entry in value)
        if isinstance(value, list):
            return f"[{inside}]"
        return f"({inside},)" if len(value) == 1 else f"({inside})"
    return describe(value)


def _arrays(value: Any) -> Any:
    """Values as a criterion wants them: tensors as arrays."""
    if isinstance(value, Tensor):
        return value.array
    if isinstance(value, (list, tuple)):
        return type(value)(_arrays(entry) for entry in value)
    if isinstance(value, dict):
        return {key: _arrays(entry) for key, entry in value.items()}
    return value
