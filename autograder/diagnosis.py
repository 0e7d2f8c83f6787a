"""Which mistake is this? First the exercise's own misconceptions, matched by their answers; then algebra on the arrays alone.

The algebra asks what simple change would turn the answer into the right one: a factor, a transpose, a sum, a missing term, a
shift, a mask. A change that explains every case is the likely cause; it is said in the learner's terms, with the numbers that
show it and a step to try, never the solution.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from autograder.comparison import compare
from autograder.exercise import Question, Sheet
from autograder.sandbox.calling import Answer
from autograder.sandbox.wire import Tensor

Agree = Callable[[np.ndarray, np.ndarray], bool]


@dataclass(frozen=True)
class Diagnosis:
    """A likely cause.

    ``kind`` names the class of mistake ("factor", "transpose", …), or is "misconception" with its ``name``.
    """

    kind: str
    sentence: str
    evidence: str = ""
    step: str = ""
    name: str = ""


@dataclass(frozen=True)
class Pair:
    """One output of one case that differs: what was expected, what came, and the inputs behind it."""

    want: np.ndarray
    have: np.ndarray
    inputs: dict[str, np.ndarray]
    terms: dict[str, np.ndarray]


# ---- misconceptions ------------------------------------------------------------------------------------------------------
def recognise(sheet: Sheet, answers: list[Answer], differs: Callable[[Question, Answer], bool]) -> Diagnosis | None:
    """The known misconception whose answers equal the student's in every case.

    A misconception only counts where it can be told from the truth: it must be wrong in at least one of the cases answered.
    Where an input chooses among several functions by name, it may also be made in some of them, the others being right.

    Args:
        sheet: the exercise.
        answers: the student's, in the order of the questions.
        differs: whether an answer to a question is wrong.
    """
    asked = list(zip(sheet.questions, answers, strict=False))
    known = {
        name: sentence
        for name, sentence in sheet.sentences.items()
        if asked and all(name in question.mistakes for question, _ in asked)
    }
    for name, sentence in known.items():
        # The first answer that is not the same settles it, mostly in the first case.
        if not all(_same_answer(sheet, question, question.mistakes[name], answer) for question, answer in asked):
            continue
        if any(differs(question, question.mistakes[name]) for question, _ in asked):
            return Diagnosis("misconception", sentence, name=name)
    # The functions chosen by name of which something is wrong: there the misconception must explain every case.
    chosen = {choice_of(question) for question, answer in asked if differs(question, answer)}
    part = [(question, answer) for question, answer in asked if choice_of(question) in chosen]
    if len(part) == len(asked):
        return None
    for name, sentence in known.items():
        if all(_same_answer(sheet, question, question.mistakes[name], answer) for question, answer in part):
            return Diagnosis("misconception", sentence, name=name)
    return None


def choice_of(question: Question) -> tuple[str, ...]:
    """The texts among a question's inputs: they choose a function by name, and other cases say nothing about it."""
    return tuple(value for value in question.inputs.values() if isinstance(value, str))


def _same_answer(sheet: Sheet, question: Question, mistake: Answer, answer: Answer) -> bool:
    if mistake.status != answer.status:
        return False
    if mistake.status == "returned":
        same = compare(mistake.value, answer.value, rtol=sheet.rtol, atol=sheet.atol) is None
        return same and set(mistake.changed_inputs) == set(answer.changed_inputs)
    if mistake.raised is None or answer.raised is None or answer.raised.type_name == "NotImplementedError":
        return False
    if mistake.raised.type_name != answer.raised.type_name:
        return False
    # A promised error counts whatever its wording; any other must say the same.
    promised = question.promised
    return mistake.raised.message == answer.raised.message or (
        promised is not None and promised.type_name == answer.raised.type_name
    )


# ---- algebra -------------------------------------------------------------------------------------------------------------
def explain(pairs: list[Pair], agree: Agree, subject: str, right: Sequence[Pair] = ()) -> Diagnosis | None:
    """The simplest change that would make every differing array right.

    Args:
        pairs: what differs, one entry a case.
        agree: whether two arrays of one shape are equal within the exercise's tolerance.
        subject: how to call the output in a sentence, "`grad_w`" or "The result".
        right: the same output in the cases where it is right. A cause must leave these right: a lost factor of 4 would have
            spoilt them too, a lost division by the batch not where the batch is one row.
    """
    if not pairs:
        return None
    plain = all(pair.want.dtype.kind != "b" for pair in pairs)
    everywhere = all(not np.any(pair.want) for pair in right)
    for attempt in (_unstable, _shapes):
        found = attempt(pairs, agree, subject)
        if found is not None:
            return found
    if not plain:
        return None
    found = _factor(pairs, agree, subject, right) or _transposed(pairs, agree, subject)
    found = found or _missing_term(pairs, agree, subject, right) or _masked(pairs, agree, subject)
    if found is None and everywhere:
        found = _shifted(pairs, agree, subject) or _steps(pairs, agree, subject)
    found = found or _overwritten(pairs, agree, subject)
    found = found or (_functions(pairs, agree, subject) if everywhere else None)
    return found or _imprecise(pairs, agree, subject)


def _unstable(pairs: list[Pair], agree: Agree, subject: str) -> Diagnosis | None:
    """Not finite for large inputs and only there, and right in every row that is finite."""
    largest = 0.0
    for pair in pairs:
        want, have = pair.want, pair.have
        if have.dtype.kind != "f" or want.shape != have.shape or not np.isfinite(want).all():
            return None
        finite = np.isfinite(have)
        if finite.all():
            return None
        rows = finite.all(axis=-1, keepdims=True) if have.ndim > 1 else finite
        if not agree(np.where(rows, want, 0.0), np.where(rows, have, 0.0)):
            return None
        numbers = [a for a in pair.inputs.values() if a.dtype.kind in "fiu"]
        if not all(np.isfinite(a).all() for a in numbers):
            return None  # what is not finite came in with the inputs; no exponential need have overflowed
        sizes = [float(np.max(np.abs(a), initial=0)) for a in numbers]
        if max(sizes, default=0.0) < 80:
            return None  # small inputs do it too: 0/0, say
        largest = max(largest, *sizes)
    return Diagnosis(
        "overflow",
        f"{subject} is not finite where inputs are large: an exponential overflowed, and ∞/∞ or ∞ − ∞ is NaN.",
        f"the largest input is {largest:.4g}; exp(710) is already too large for float64",
        "Which form of the formula keeps every exponent at or below 0?",
    )


def _shapes(pairs: list[Pair], agree: Agree, subject: str) -> Diagnosis | None:
    """Arrays of another shape: transposed, not summed, or summed too often."""
    if all(pair.want.shape == pair.have.shape for pair in pairs):
        return None
    odd = [pair for pair in pairs if pair.want.shape != pair.have.shape]
    first = odd[0]
    want, have = first.want, first.have
    if all(p.want.ndim == 2 and p.want.T.shape == p.have.shape for p in odd):
        equal = all(agree(p.want, p.have.T) for p in odd)
        return Diagnosis(
            "transpose",
            f"{subject} is {'exactly the transpose of the right answer' if equal else 'laid out the other way round'}.",
            f"shape {have.shape}, expected {want.shape}",
            "Write the shape under each factor of your product: which of them has to be turned, or which order gives these shapes?",
        )
    if have.size == want.size and all(
        tuple(n for n in p.have.shape if n != 1) == tuple(n for n in p.want.shape if n != 1) for p in odd
    ):
        word = "too many" if have.ndim > want.ndim else "too few" if have.ndim < want.ndim else "in another place"
        return Diagnosis(
            "axis of length 1",
            f"{subject} has an axis of length 1 {word}: shape {have.shape}, expected {want.shape}.",
            "the other axes are as they should be",
            "Which operation left this axis behind, or took it away?",
        )
    for axes in itertools.permutations(range(want.ndim)):
        if (
            want.ndim > 2
            and all(p.have.ndim == p.want.ndim and p.want.transpose(axes).shape == p.have.shape for p in odd)
            and all(agree(p.want.transpose(axes), p.have) for p in odd)
        ):
            return Diagnosis(
                "transpose",
                f"{subject} has the right numbers with its axes in another order: {axes}.",
                f"shape {have.shape}, expected {want.shape}",
                "Name your axes, and compare with the order in the docstring.",
            )
    if have.ndim == want.ndim + 1 or (have.ndim == want.ndim and have.size > want.size):
        for axis in range(have.ndim):
            for reduce, word in (_SUM, _MEAN):
                if all(_reduces(p.have, p.want, axis, reduce, agree) for p in odd):
                    return Diagnosis(
                        "missing sum",
                        f"{subject} still has the axis of length {have.shape[axis]} over which a {word} is missing.",
                        f"the {word} of your answer over axis {axis} is the right answer",
                        "Which axis is gone in the docstring's shape? In a gradient, everyone who shares a parameter adds to it."
                        if word == "sum"
                        else "Which axis does the docstring leave out? There one number stands for many.",
                    )
    if want.ndim == have.ndim + 1 or (have.ndim == want.ndim and have.size < want.size):
        for axis in range(want.ndim):
            for reduce, word in (_SUM, _MEAN, _MAX):
                if all(_reduces(p.want, p.have, axis, reduce, agree) for p in odd):
                    return Diagnosis(
                        "doubled sum",
                        f"{subject} is the {word} over an axis that has to stay, the one of length {want.shape[axis]}.",
                        f"shape {have.shape}, expected {want.shape}",
                        "Which axis does the docstring keep?",
                    )
    return None


_SUM: tuple[Callable[..., Any], str] = (np.sum, "sum")
_MEAN: tuple[Callable[..., Any], str] = (np.mean, "mean")
_MAX: tuple[Callable[..., Any], str] = (np.max, "maximum")


def _reduces(large: np.ndarray, small: np.ndarray, axis: int, reduce: Callable[..., Any], agree: Agree) -> bool:
    if axis >= large.ndim or large.size == 0 or large.dtype.kind not in "fiuc":
        return False
    if large.size > 1 and (large == large.flat[0]).all():
        return False  # with one number everywhere, any axis and any mean would fit
    for keep in (False, True):
        reduced = np.asarray(reduce(large, axis=axis, keepdims=keep))
        if reduced.shape == small.shape and agree(small, reduced):
            return True
    return False


def _factor(pairs: list[Pair], agree: Agree, subject: str, right: Sequence[Pair]) -> Diagnosis | None:
    # Any two single numbers have a ratio: it says something when several cases, or several entries, share it.
    telling = any(pair.want.size > 1 for pair in pairs)
    if not telling and len(pairs) < 2:
        return None
    factors = []
    for pair in pairs:
        factor = _ratio(pair, agree)
        if factor is None:
            return None
        factors.append(factor)
    first = factors[0]
    everywhere = all(not np.any(pair.want) for pair in right)
    if everywhere and all(math.isclose(f, -1.0, rel_tol=1e-6) for f in factors):
        return Diagnosis(
            "sign",
            f"{subject} has the wrong sign everywhere: it is exactly −1 times the right answer.",
            "your answer divided by the right one is −1 in every entry",
            "Follow the minus signs through your derivation: which one was lost, or came in twice?",
        )
    named = _named_factor(factors, pairs, right)
    if named:
        return named_factor_diagnosis(subject, *named)
    if not everywhere:
        return None
    scalar = _scalar_factor(factors, pairs)
    if scalar:
        name, lacking = scalar
        return Diagnosis(
            "factor",
            f"{subject} {'lacks the factor' if lacking else 'contains once too often the factor'} `{name}`.",
            f"your answer {'times' if lacking else 'divided by'} `{name}` is the right answer",
            "Read the formula once more: where does this number enter?",
        )
    if all(math.isclose(f, first, rel_tol=1e-6) for f in factors):
        text = _simple(first)
        return Diagnosis(
            "factor",
            f"{subject} is exactly {text} times the right answer.",
            f"your answer divided by the right one is {first:.6g} in every entry",
            "Where could this number come from: a constant in the formula, a derivative of a square, a mean?",
        )
    if not all(pair.want.size > 1 for pair in pairs):
        return None
    return Diagnosis(
        "factor",
        f"{subject} is right up to a factor that differs from case to case: {', '.join(f'{f:.4g}' for f in factors[:4])}.",
        "within one case your answer divided by the right one is the same in every entry",
        "What in the formula is one number for the whole case: a norm, a count, a temperature?",
    )


def named_factor_diagnosis(subject: str, value: str, what: str, large: bool) -> Diagnosis:
    """The sentence for a factor that is a size in the inputs."""
    verb, mend = ("large", "divided by") if large else ("small", "multiplied by")
    return Diagnosis(
        "factor",
        f"{subject} is exactly {value} times too {verb}; {what}.",
        f"your answer would be right if it were {mend} {value}",
        "Is the loss a sum or a mean here, and over what? Count how often you divide.",
    )


def _ratio(pair: Pair, agree: Agree) -> float | None:
    want, have = pair.want, pair.have
    if want.shape != have.shape or want.dtype.kind not in "fiu" or have.dtype.kind not in "fiu" or want.size == 0:
        return None
    if not (np.isfinite(want).all() and np.isfinite(have).all()):
        return None
    a, b = want.astype(np.float64).ravel(), have.astype(np.float64).ravel()
    with np.errstate(over="ignore"):  # squares of numbers near 1e200: no factor is found then, and nobody is warned
        norm, product = float(a @ a), float(a @ b)
    if norm == 0 or not math.isfinite(norm):
        return None
    factor = product / norm
    if factor == 0 or not math.isfinite(factor) or math.isclose(factor, 1.0, rel_tol=1e-9):
        return None
    return factor if agree(a, b / factor) else None


def _named_factor(factors: list[float], pairs: list[Pair], right: Sequence[Pair]) -> tuple[str, str, bool] | None:
    """A size in the inputs that explains the factor in every case: value, what it is, and whether the answer is too large."""
    for forms, words in (
        (lambda n: float(n), "{n}"),
        (lambda n: math.sqrt(n), "√{n}"),
    ):
        for name in _common_inputs(pairs):
            for axis in range(pairs[0].inputs[name].ndim):
                sizes = [p.inputs[name].shape[axis] if p.inputs[name].ndim > axis else 0 for p in pairs]
                if min(sizes) < 1 or max(sizes) < 2:
                    continue
                for large in (True, False):
                    fits = all(
                        math.isclose(f, forms(n) if large else 1 / forms(n), rel_tol=1e-6)
                        for f, n in zip(factors, sizes, strict=True)
                    )
                    # Where the answer is right, this size must be 1, or there is nothing to scale.
                    fits = fits and all(
                        not np.any(p.want)
                        or (name in p.inputs and p.inputs[name].ndim > axis and p.inputs[name].shape[axis] == 1)
                        for p in right
                    )
                    if fits:
                        n = sizes[0]
                        place = (
                            {0: "rows", 1: "columns"}.get(axis, f"entries of axis {axis}")
                            if pairs[0].inputs[name].ndim > 1
                            else "entries"
                        )
                        return words.format(n=n), f"{n} is the number of {place} of `{name}`", large
    return None


def _common_inputs(pairs: list[Pair]) -> list[str]:
    return [name for name in pairs[0].inputs if all(name in p.inputs for p in pairs)]


def _scalar_factor(factors: list[float], pairs: list[Pair]) -> tuple[str, bool] | None:
    """A number among the inputs that is missing as a factor (True) or comes once too often (False)."""
    for name in _common_inputs(pairs):
        values = [float(p.inputs[name]) if p.inputs[name].shape == () else 0.0 for p in pairs]
        if any(v in (0.0, 1.0, -1.0) or not math.isfinite(v) for v in values):
            continue
        if all(math.isclose(f * v, 1.0, rel_tol=1e-6) for f, v in zip(factors, values, strict=True)):
            return name, True
        if all(math.isclose(f, v, rel_tol=1e-6) for f, v in zip(factors, values, strict=True)):
            return name, False
    return None


def _simple(value: float) -> str:
    for n in (
        2,
        3,
        4,
        0.5,
        1 / 3,
        0.25,
        10,
        0.1,
        -2,
        -0.5,
        math.log(2),
        1 / math.log(2),
        math.log(10),
        math.pi,
        math.sqrt(2),
    ):
        if math.isclose(value, n, rel_tol=1e-6):
            named = {0.5: "½", 1 / 3: "⅓", 0.25: "¼", -0.5: "−½", math.log(2): "ln 2", 1 / math.log(2): "1/ln 2"}
            return named.get(
                n, {math.log(10): "ln 10", math.pi: "π", math.sqrt(2): "√2"}.get(n, f"{n:g}".replace("-", "−"))
            )
    return f"{value:.6g}"


def _transposed(pairs: list[Pair], agree: Agree, subject: str) -> Diagnosis | None:
    if all(
        p.want.ndim == 2 and p.want.shape == p.have.shape == p.want.T.shape and agree(p.want.T, p.have) for p in pairs
    ):
        return Diagnosis(
            "transpose",
            f"{subject} is exactly the transpose of the right answer.",
            "the matrix is square here, so its shape does not show it",
            "Write the shape under each factor of your product, with letters instead of numbers.",
        )
    return None


def _missing_term(pairs: list[Pair], agree: Agree, subject: str, right: Sequence[Pair]) -> Diagnosis | None:
    if any(
        p.want.shape != p.have.shape or p.want.dtype.kind not in "fiu" or p.have.dtype.kind not in "fiu" for p in pairs
    ):
        return None
    if any(not np.isfinite(p.have).all() or not np.isfinite(p.want).all() for p in pairs):
        return None
    for group, say in (("terms", "{}"), ("inputs", "`{}`")):
        for name in getattr(pairs[0], group):
            for sign, verb in ((1.0, "lacks"), (-1.0, "contains once too often")):
                explains = all(_is_difference(p, getattr(p, group).get(name), sign, agree) for p in pairs)
                # Where the answer is right the term must be 0, or it would be missing there too.
                absent = all(not np.any(getattr(p, group).get(name, 1)) for p in right)
                # A lone whole number among the inputs is a size or a count, and equals something by chance.
                count = any(
                    t is not None and t.ndim == 0 and t.dtype.kind in "iu"
                    for t in (getattr(p, group).get(name) for p in pairs)
                )
                numbers = sum(p.want.size for p in pairs)
                if explains and absent and not count and numbers > 1:
                    return Diagnosis(
                        "missing term",
                        f"{subject} {verb} one term: {say.format(name)}.",
                        "the right answer minus yours is exactly this term"
                        if sign > 0
                        else "yours minus the right answer is exactly this term",
                        "List the terms of the sum on paper, one a line, and tick off those that your code adds.",
                    )
    if any(np.any(p.want) for p in right):
        return None
    offsets = [(p.have.astype(float) - p.want.astype(float)).ravel() for p in pairs]
    first = float(offsets[0][0]) if offsets[0].size else 0.0
    if first and all(o.size > 1 and agree(np.full(o.shape, first), o) for o in offsets):
        return Diagnosis(
            "offset",
            f"{subject} is off by the same number everywhere: {_simple(first)} too {'large' if first > 0 else 'small'}.",
            f"your answer minus the right one is {first:.6g} in every entry",
            "Which constant is added once too often, or not at all?",
        )
    return None


def _is_difference(pair: Pair, term: np.ndarray | None, sign: float, agree: Agree) -> bool:
    if term is None or term.dtype.kind not in "fiu" or not np.any(term):
        return False
    try:
        broadcast = np.broadcast_to(term.astype(float), pair.want.shape)
    except ValueError:
        return False
    return agree(pair.want.astype(float), pair.have.astype(float) + sign * broadcast)


def _masked(pairs: list[Pair], agree: Agree, subject: str) -> Diagnosis | None:
    """Right except where zeros (or −∞) should stand, or where zeros stand and should not."""
    same = [
        p
        for p in pairs
        if p.want.shape == p.have.shape and p.want.dtype.kind == "f" and p.have.dtype.kind == "f" and p.want.size > 1
    ]
    if len(same) < len(pairs):
        return None
    for zeros_in_want in (True, False):
        kept = []
        for p in same:
            first, second = (p.want, p.have) if zeros_in_want else (p.have, p.want)
            where = ((first == 0) | np.isneginf(first)) & (second != first)
            if not where.any() or where.all() or not agree(np.where(where, 0, p.want), np.where(where, 0, p.have)):
                break
            if np.isnan(second[where]).any():  # 0/0 rather than a forgotten condition
                break
            kept.append(where)
        if len(kept) < len(same):
            continue
        if all(w.ndim >= 2 and _is_diagonal(w) for w in kept):
            return Diagnosis(
                "mask off by one",
                f"{subject} is wrong on one diagonal only: the mask is off by one.",
                f"{int(kept[0].sum())} entries differ, all next to or on the diagonal",
                "May a position look at itself? Write down the mask for three positions.",
            )
        masked = any(word in name for p in same for name in p.inputs for word in ("mask", "length", "pad", "causal"))
        what = "a mask" if masked else "a condition that should switch them off"
        word = (
            f"has values where the right answer is exactly 0: {what} was forgotten"
            if zeros_in_want
            else "is exactly 0 where the right answer is not: something is switched off that should not be"
        )
        return Diagnosis(
            "mask",
            f"{subject} {word}.",
            f"{int(kept[0].sum())} of {kept[0].size} entries differ, and all others are right",
            "What do these entries have in common that the others have not?",
        )
    return None


def _is_diagonal(where: np.ndarray) -> bool:
    matrix = where.reshape(-1, *where.shape[-2:])
    offsets = {int(j) - int(i) for _, i, j in np.argwhere(matrix)}
    return len(offsets) == 1


def _shifted(pairs: list[Pair], agree: Agree, subject: str) -> Diagnosis | None:
    if any(p.want.shape != p.have.shape or p.want.ndim == 0 for p in pairs) or not _varied(pairs):
        return None
    for axis in range(pairs[0].want.ndim):
        if any(p.want.ndim <= axis or p.want.shape[axis] < 3 for p in pairs):
            continue
        if all(agree(p.want, np.flip(p.have, axis)) for p in pairs):
            return Diagnosis(
                "reversed",
                f"{subject} is in reverse order along axis {axis}.",
                "read backwards, your answer is the right one",
                "From which end do you fill the array?",
            )
        for by, word in ((1, "late"), (-1, "early")):
            if all(
                agree(_cut(p.want, axis, 0, -1 if by > 0 else None, by), _cut(p.have, axis, 1, None, by)) for p in pairs
            ):
                return Diagnosis(
                    "shift",
                    f"{subject} is shifted by one step along axis {axis}: every entry comes one step too {word}.",
                    "leaving out one entry at the end, your answer and the right one agree",
                    "Which index does your first step read, and which one does it write?",
                )
    return None


def _varied(pairs: list[Pair]) -> bool:
    """Whether there are enough different numbers for an order to mean something; truth tables have none."""
    return all(p.want.dtype.kind == "f" for p in pairs) and sum(len(np.unique(p.want)) for p in pairs) > 4


def _cut(array: np.ndarray, axis: int, start: int, stop: int | None, by: int) -> np.ndarray:
    index: list[slice] = [slice(None)] * array.ndim
    late = start == 1
    index[axis] = (
        (slice(1, None) if late else slice(None, -1)) if by > 0 else (slice(None, -1) if late else slice(1, None))
    )
    return array[tuple(index)]


def _steps(pairs: list[Pair], agree: Agree, subject: str) -> Diagnosis | None:
    """Only the first or only the last step along an axis is right."""
    if any(p.want.shape != p.have.shape or p.want.ndim == 0 for p in pairs) or not _varied(pairs):
        return None
    if len(pairs) == 1 and pairs[0].want.size < 8:
        return None  # one right entry among a few may be chance
    for axis in range(pairs[0].want.ndim):
        if any(p.want.ndim <= axis or p.want.shape[axis] < 3 for p in pairs):
            continue
        right = [
            [agree(np.take(p.want, i, axis), np.take(p.have, i, axis)) for i in range(p.want.shape[axis])]
            for p in pairs
        ]
        for which, index, hint in (
            ("first", 0, "What carries over from one step to the next, and where is it updated?"),
            ("last", -1, "Does what you compute at one step flow on to the step before it?"),
        ):
            if all(row[index] and sum(row) == 1 for row in right):
                return Diagnosis(
                    "only one step",
                    f"{subject} is right at the {which} step along axis {axis} and wrong at every other.",
                    f"1 of {len(right[0])} steps agrees",
                    hint,
                )
    return None


def _overwritten(pairs: list[Pair], agree: Agree, subject: str) -> Diagnosis | None:
    """Rows that are addressed several times are wrong, all others right: written instead of added."""
    telling = False
    for p in pairs:
        if p.want.shape != p.have.shape or p.want.ndim == 0:
            return None
        wrong = {i for i in range(p.want.shape[0]) if not agree(p.want[i], p.have[i])}
        repeated: set[int] = set()
        for ids in p.inputs.values():
            if ids.dtype.kind in "iu" and ids.size and ids.min() >= 0 and ids.max() < p.want.shape[0]:
                values, counts = np.unique(ids, return_counts=True)
                repeated = {int(v) for v, c in zip(values, counts, strict=True) if c > 1}
                if wrong and wrong <= repeated:
                    telling = True
                    break
        if wrong and not wrong <= repeated:
            return None
    if not telling:
        return None
    return Diagnosis(
        "overwritten",
        f"{subject} is wrong exactly at the rows that are used more than once: a later use overwrites an earlier one.",
        "rows that are used once are right",
        "Every use of a shared parameter adds to its gradient. What does `a[ids] += g` do when `ids` repeats?",
    )


def _functions(pairs: list[Pair], agree: Agree, subject: str) -> Diagnosis | None:
    if any(
        p.want.shape != p.have.shape or p.want.dtype.kind not in "fiub" or p.have.dtype.kind not in "fiub"
        for p in pairs
    ):
        return None
    for _, sentence, step, change in _changes():
        with np.errstate(all="ignore"):
            changed = [np.asarray(change(p.have.astype(float))) for p in pairs]
        if all(np.isfinite(c).all() and agree(p.want.astype(float), c) for p, c in zip(pairs, changed, strict=True)):
            return Diagnosis("function", f"{subject} {sentence}.", "undoing this one step gives the right answer", step)
    for axis in range(pairs[0].want.ndim):
        others = [a for a in range(pairs[0].want.ndim) if a != axis]
        if all(p.want.ndim > axis and _sums_to_one(p.want, axis) and not _sums_to_one(p.have, axis) for p in pairs):
            for other in others:
                if all(_sums_to_one(p.have, other) for p in pairs):
                    return Diagnosis(
                        "wrong axis",
                        f"{subject} is normalised along axis {other}; it has to be axis {axis}.",
                        f"your sums over axis {other} are 1, those over axis {axis} should be",
                        "What is one distribution here: a row, or a column?",
                    )
    return None


def _imprecise(pairs: list[Pair], agree: Agree, subject: str) -> Diagnosis | None:
    """Right to several digits and no further: an approximation where an exact formula was wanted."""
    worst = 0.0
    for p in pairs:
        if p.want.shape != p.have.shape or p.want.dtype.kind != "f" or p.have.dtype.kind != "f":
            return None
        scale = float(np.max(np.abs(p.want), initial=0.0))
        if scale == 0 or not np.isfinite(scale) or not np.isfinite(p.have).all():
            return None
        worst = max(worst, float(np.max(np.abs(p.have - p.want), initial=0.0)) / scale)
    if not 1e-16 < worst < 1e-3:  # below, only entries much smaller than the largest can be wrong
        return None
    digits = int(-math.log10(worst))
    return Diagnosis(
        "imprecise",
        f"{subject} agrees with the right answer to about {digits} digits, but not further.",
        f"the largest difference is {worst:.1g} of the largest entry",
        "Where do you approximate: a difference quotient, a rounded constant, a narrower dtype?",
    )


def _sums_to_one(array: np.ndarray, axis: int) -> bool:
    return bool(array.dtype.kind == "f" and array.shape[axis] > 1 and np.allclose(array.sum(axis=axis), 1.0, atol=1e-6))


def _changes() -> Iterator[tuple[str, str, str, Callable[[np.ndarray], np.ndarray]]]:
    yield "square", "is the square of the right answer", "Which root is missing?", lambda a: np.sqrt(a)
    yield "root", "is the root of the right answer", "Should the root be there at all?", lambda a: a * a
    yield "exp", "is the exponential of the right answer", "Is the logarithm asked for?", lambda a: np.log(a)
    yield "log", "is the logarithm of the right answer", "Is the logarithm asked for?", lambda a: np.exp(a)
    yield "reciprocal", "is one divided by the right answer", "What is divided by what?", lambda a: 1 / a
    yield "complement", "is one minus the right answer", "Which of the two outcomes is meant?", lambda a: 1 - a


def as_arrays(values: dict[str, Any]) -> dict[str, np.ndarray]:
    """Arrays and numbers among inputs, also arrays one level down in lists and tuples; text is left out."""
    found: dict[str, np.ndarray] = {}
    for name, value in values.items():
        if isinstance(value, Tensor):
            value = value.array
        if isinstance(value, (np.ndarray, float, int)) and not isinstance(value, bool):
            found[name] = np.asarray(value)
        elif isinstance(value, (list, tuple)):
            found.update({f"{name}[{i}]": entry for i, entry in enumerate(value) if isinstance(entry, np.ndarray)})
    return found
