"""Comparing two values, and saying where they differ in plain sentences."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from autograder.sandbox.wire import Opaque, Seed, Tensor

#: Unit roundoff u of each float type (IEEE 754; bfloat16 has 8 significant bits).
ROUNDOFF = {"float64": 2.0**-53, "float32": 2.0**-24, "float16": 2.0**-11, "bfloat16": 2.0**-8}
_NUMBER = (bool, int, float, np.generic)


@dataclass(frozen=True)
class Finding:
    """The first thing that is wrong with one answer.

    ``kind`` is one of exception, unfinished, missing, timeout, died, none, type, length, shape, dtype, nan, value, modified,
    criterion, not-raised.
    """

    kind: str
    sentence: str
    evidence: tuple[tuple[str, str], ...] = ()


def compare(
    expected: Any, received: Any, subject: str = "The result", rtol: float | None = None, atol: float | None = None
) -> Finding | None:
    """The first difference between two values, or None when they agree.

    Numbers agree when ``|received − expected| ≤ atol + rtol·|expected|``; the defaults follow from the dtype and the number
    of terms, see :func:`tolerances`. Types of number must be of the same kind (bool, integer, float, complex), and floats in
    arrays as wide as expected; a Python or NumPy scalar of either width will do.
    """
    if received is None and expected is not None:
        return Finding(
            "none", f"{subject} is None; does the function end with `return`?", (("expected", describe(expected)),)
        )
    if isinstance(received, Opaque):
        return Finding(
            "type",
            f"{subject} is an object of type {received.type_name}; {kind_of(expected)} was expected.",
            (("returned", shorten(received.text, 200)), ("expected", describe(expected))),
        )
    if is_numeric(expected):
        if not is_numeric(received):
            sentence = f"{subject} is {kind_of(received)}; {kind_of(expected)} was expected."
            return Finding("type", sentence, both(expected, received))
        return _compare_numbers(expected, received, subject, rtol, atol)
    if isinstance(expected, (list, tuple)):
        if not isinstance(received, (list, tuple)):
            return Finding(
                "type", f"{subject} is {kind_of(received)}; {kind_of(expected)} was expected.", both(expected, received)
            )
        if len(expected) != len(received):
            sentence = f"{subject} has {len(received)} entries; {len(expected)} were expected."
            return Finding("length", sentence, both(expected, received))
        pairs = (
            (f"{subject}[{i}]".replace("The result[", "Entry ["), e, r)
            for i, (e, r) in enumerate(zip(expected, received, strict=True))
        )
        return next((f for name, e, r in pairs if (f := compare(e, r, name, rtol, atol))), None)
    if isinstance(expected, dict):
        if not isinstance(received, dict):
            return Finding(
                "type", f"{subject} is {kind_of(received)}; a dictionary was expected.", both(expected, received)
            )
        lost = [key for key in expected if key not in received]
        extra = [key for key in received if key not in expected]
        if lost or extra:
            what = f"lacks the key {lost[0]!r}" if lost else f"has a key that is not expected, {extra[0]!r}"
            return Finding("length", f"{subject} {what}.", both(expected, received))
        items = ((f"{subject} at key {key!r}", expected[key], received[key]) for key in expected)
        return next((f for name, e, r in items if (f := compare(e, r, name, rtol, atol))), None)
    if type(expected) is not type(received):
        return Finding(
            "type", f"{subject} is {kind_of(received)}; {kind_of(expected)} was expected.", both(expected, received)
        )
    if expected != received:
        return Finding("value", f"{subject} differs.", both(expected, received))
    return None


def _compare_numbers(
    expected: Any, received: Any, subject: str, rtol: float | None, atol: float | None
) -> Finding | None:
    if isinstance(expected, Tensor) != isinstance(received, Tensor):
        names = ("a NumPy array or a number", "a torch tensor")
        wanted, got = names[isinstance(expected, Tensor)], names[isinstance(received, Tensor)]
        return Finding("type", f"{subject} is {got}; {wanted} was expected.", both(expected, received))
    want, have = as_array(expected), as_array(received)
    if want.shape != have.shape:
        hint = (
            " The axes are swapped: it has the shape of the transpose."
            if want.ndim == 2 and want.T.shape == have.shape
            else ""
        )
        sentence = f"{subject} has shape {shape_text(have)}; {shape_text(want)} was expected.{hint}"
        return Finding("shape", sentence, both(expected, received))
    finding = _compare_kinds(expected, received, subject)
    bad = ~agreement(want, have, rtol, atol, narrower(dtype_of(expected), dtype_of(received)))
    if finding is not None and not bad.any():
        return finding
    if bad.any():
        odd = (
            bad & ~np.isfinite(have.astype(np.complex128 if have.dtype.kind == "c" else np.float64))
            if have.dtype.kind in "fc"
            else None
        )
        if odd is not None and odd.any() and np.isfinite(want[odd]).all():
            first = tuple(int(i) for i in np.argwhere(odd)[0])
            what = "NaN (not a number)" if np.isnan(have[first]) else "infinite"
            share = f"{int(odd.sum())} of {odd.size} entries are" if odd.size > 1 else "It is"
            sentence = f"{subject} is {what}{_at(first)}; {_number(want[first])} was expected. {share} not finite."
            return Finding("nan", sentence, both(expected, received))
        first = tuple(int(i) for i in np.argwhere(bad)[0])
        share = f" {int(bad.sum())} of {bad.size} entries differ." if bad.size > 1 else ""
        got, due = _number(have[first]), _number(want[first])
        if got == due:  # they part after the digits that are usually shown
            got, due = f"{have[first]:.15g}", f"{want[first]:.15g}"
        sentence = f"{subject} is {got}{_at(first)}; {due} was expected.{share}"
        return Finding("value", sentence, both(expected, received))
    return None


def _compare_kinds(expected: Any, received: Any, subject: str) -> Finding | None:
    want, have = dtype_of(expected), dtype_of(received)
    if want == have:
        return None
    names = {"b": "bool", "i": "integer", "u": "integer", "f": "float", "c": "complex"}
    kinds = [names[(np.dtype("float32") if name == "bfloat16" else np.dtype(name)).kind] for name in (want, have)]
    scalar = as_array(expected).ndim == 0 and not isinstance(expected, Tensor)
    coarse = have in ("float16", "bfloat16")  # so coarse that wrong numbers would pass for right ones
    if kinds[0] == kinds[1] and (kinds[0] == "integer" or (scalar and not coarse)):
        return None
    if scalar and kinds == ["float", "integer"]:
        return None
    sentence = f"{subject} has the right values but the wrong dtype: {have}; {want} was expected."
    return Finding("dtype", sentence, (("returned", describe(received)), ("expected", describe(expected))))


def tolerances(dtype: str, size: int = 1) -> tuple[float, float]:
    """Default ``(rtol, atol per unit of scale)`` for results of a float type.

    Two orders of summing n products differ by about √n·u of the largest partial sum when roundings are independent (Higham,
    *Accuracy and Stability of Numerical Algorithms*, 2nd ed., §2.8), u the unit roundoff; the number of entries stands in
    for n. float64 has room to spare, so its bounds are widened to 1e-7 and 1e-11: honest programs may reorder whole
    formulas, and wrong ones are orders of magnitude further away.
    """
    unit = ROUNDOFF.get(dtype, ROUNDOFF["float64"])
    rtol, atol = 16 * unit, 2 * unit * math.sqrt(max(size, 64))
    return (max(rtol, 1e-7), max(atol, 1e-11)) if dtype == "float64" else (rtol, atol)


def narrower(*dtypes: str) -> str:
    """The coarsest of some float types, by their roundoff."""
    return max((name for name in dtypes if name in ROUNDOFF), key=lambda name: ROUNDOFF[name], default="float64")


def agreement(
    want: np.ndarray,
    have: np.ndarray,
    rtol: float | None = None,
    atol: float | None = None,
    dtype: str = "float64",
) -> np.ndarray:
    """Element by element, whether two arrays of one shape agree (NaN agrees with NaN, ∞ with ∞ of the same sign)."""
    if want.dtype.kind in "biu" and have.dtype.kind in "biu":
        return np.asarray(want.astype(object) == have.astype(object)).astype(bool)
    default_rtol, per_scale = tolerances(dtype, want.size)
    finite = np.abs(want[np.isfinite(want)].astype(np.complex128)) if want.size else np.zeros(0)
    scale = float(finite.max(initial=0.0))
    absolute = per_scale * scale + 1e-300 if atol is None else atol
    with np.errstate(all="ignore"):
        wide = np.complex128 if "c" in (want.dtype.kind, have.dtype.kind) else np.float64
        return np.asarray(
            np.isclose(
                have.astype(wide),
                want.astype(wide),
                rtol=default_rtol if rtol is None else rtol,
                atol=absolute,
                equal_nan=True,
            )
        )


def describe(value: Any, limit: int = 24) -> str:
    """A value in words: small arrays are shown, large ones summarised."""
    if isinstance(value, Tensor):
        text = describe(value.array, limit)
        name = value.dtype
        return f"tensor of {name}: {text.removeprefix('array ')}"
    if isinstance(value, np.ndarray):
        if value.size <= limit:
            body = np.array2string(value, precision=6, suppress_small=False, separator=", ", max_line_width=88)
            return f"{body} (shape {shape_text(value)}, {value.dtype.name})"
        text = f"{value.dtype.name} array of shape {shape_text(value)}"
        if value.dtype.kind in "iuf" and np.isfinite(value).any():
            fine = value[np.isfinite(value)].astype(np.float64)
            text += f", values from {fine.min():.4g} to {fine.max():.4g}, mean {fine.mean():.4g}"
            if fine.size < value.size:
                text += f", {value.size - fine.size} not finite"
        return text
    if isinstance(value, Seed):
        return f"np.random.default_rng({value.value})"
    if isinstance(value, Opaque):
        return shorten(f"{value.type_name}: {value.text}", 200)
    if isinstance(value, np.generic):
        return _number(value)
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, (list, tuple)):
        open_, close = "[]" if isinstance(value, list) else "()"
        items = [describe(v, max(4, limit // 3)) for v in value[:6]] + (
            [f"… {len(value)} in all"] if len(value) > 6 else []
        )
        return f"{open_}{', '.join(items)}{close}"
    if isinstance(value, dict):
        return (
            "{"
            + ", ".join(f"{k!r}: {describe(v, max(4, limit // 3))}" for k, v in list(value.items())[:16])
            + (", …}" if len(value) > 16 else "}")
        )
    return shorten(repr(value), 300)


def both(expected: Any, received: Any) -> tuple[tuple[str, str], ...]:
    """Evidence that shows a value beside the expected one."""
    return (("returned", describe(received)), ("expected", describe(expected)))


def is_numeric(value: Any) -> bool:
    """Whether a value is a number, an array or a tensor."""
    return isinstance(value, (np.ndarray, Tensor, *_NUMBER))


def as_array(value: Any) -> np.ndarray:
    """A number, an array or a tensor as a NumPy array."""
    return value.array if isinstance(value, Tensor) else np.asarray(value)


def dtype_of(value: Any) -> str:
    """Name of a value's dtype."""
    return value.dtype if isinstance(value, Tensor) else np.asarray(value).dtype.name


def kind_of(value: Any) -> str:
    """What a value is, with its article, for sentences."""
    if isinstance(value, Tensor):
        return f"a torch tensor of shape {shape_text(value.array)}"
    if isinstance(value, np.ndarray):
        return f"an array of shape {shape_text(value)}"
    if isinstance(value, Opaque):
        return f"an object of type {value.type_name}"
    names = {
        list: "a list",
        tuple: "a tuple",
        dict: "a dictionary",
        str: "a string",
        bool: "a bool",
        type(None): "None",
    }
    return names.get(type(value), "a number" if isinstance(value, _NUMBER) else f"a {type(value).__name__}")


def shape_text(array: np.ndarray) -> str:
    """A shape as Python writes it."""
    return str(tuple(int(n) for n in array.shape))


def _at(index: tuple[int, ...]) -> str:
    return f" at {list(index)}" if index else ""


def _number(value: Any) -> str:
    if isinstance(value, (bool, np.bool_)):
        return str(bool(value))
    if isinstance(value, (int, np.integer)):
        return str(int(value))
    if isinstance(value, (complex, np.complexfloating)):
        return f"{complex(value):.6g}"
    return f"{float(value):.6g}"


def shorten(text: str, limit: int) -> str:
    """Text of at most ``limit`` characters."""
    return text if len(text) <= limit else text[: limit - 1] + "…"
