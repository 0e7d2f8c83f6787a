"""Frozen cases: what ``check`` needs of a chapter's exercises, in one file, without references.

Floating point differs in the last bit between processors, so a file counts as in step when it *says* the same: equal
text and whole numbers, floats within 1e-9 of each other. Then the committed bytes stay.
"""

from __future__ import annotations

import base64
import json
import zlib
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from autograder.exercise import Exercise, Question, Sheet
from autograder.sandbox.calling import Answer
from autograder.sandbox.wire import Tensor, decode, encode

FOLDER = Path(__file__).parent / "frozen"
FORMAT = 3


class FrozenError(Exception):
    """A frozen file is missing, damaged, or does not know an exercise; the message says what to do."""

    def _render_traceback_(self) -> list[str]:  # IPython shows this: the student's code is not on the way to the error
        return [str(self)]


def freeze(exercises: list[Exercise]) -> bytes:
    """The content of a chapter's frozen file."""
    sheets = [_to_data(exercise.sheet(f"frozen:{exercise.name}")) for exercise in exercises]
    tree, buffers = encode({"format": FORMAT, "sheets": sheets})
    text = json.dumps({"tree": tree, "buffers": [base64.b64encode(b).decode() for b in buffers]}, ensure_ascii=False)
    return zlib.compress(text.encode(), 9)


def thaw(content: bytes) -> dict[str, Sheet]:
    """Sheets by exercise name."""
    data = json.loads(zlib.decompress(content))
    plain = decode(data["tree"], [base64.b64decode(text) for text in data["buffers"]])
    if plain.get("format") != FORMAT:
        raise ValueError("another format")
    return {sheet["name"]: _from_data(sheet) for sheet in plain["sheets"]}


def says_the_same(first: bytes, second: bytes) -> bool:
    """Whether two frozen files carry the same questions, up to what rounding on another processor makes of them."""
    try:
        a, b = thaw(first), thaw(second)
    except Exception:
        return False
    return _alike([_to_data(sheet) for sheet in a.values()], [_to_data(sheet) for sheet in b.values()])


@cache
def _chapter_file(path: Path, _modified: int) -> dict[str, Sheet]:
    try:
        return thaw(path.read_bytes())
    except Exception as error:
        raise FrozenError(
            f"The cases of {path.stem} cannot be read ({type(error).__name__}); download the course material again."
        ) from error


def find(name: str, folder: Path = FOLDER) -> Sheet:
    """The frozen sheet of an exercise.

    Raises:
        FrozenError: no chapter has an exercise of that name.
    """
    known: list[str] = []
    for path in sorted(folder.glob("*.cases")):
        sheets = _chapter_file(path, path.stat().st_mtime_ns)
        if name in sheets:
            return sheets[name]
        known += sheets
    if not known:
        raise FrozenError(
            "No frozen cases are installed; run `python3 start.py build`, or download the course material again."
        )
    import difflib

    close = difflib.get_close_matches(name, known, n=1)
    hint = f" Did you mean '{close[0]}'?" if close else f" Known: {', '.join(sorted(known))}."
    raise FrozenError(f"There is no exercise called '{name}'.{hint}")


def names(path: Path) -> list[str]:
    """Exercises of one chapter's file, in their order."""
    return list(_chapter_file(path, path.stat().st_mtime_ns))


def _to_data(sheet: Sheet) -> dict[str, Any]:
    data = {f: getattr(sheet, f) for f in sheet.__dataclass_fields__}
    data["questions"] = [
        {
            "inputs": q.inputs,
            "label": q.label,
            "held": q.held,
            "expected": q.expected.to_data(),
            "mistakes": {name: answer.to_data() for name, answer in q.mistakes.items()},
            "terms": dict(q.terms),
        }
        for q in sheet.questions
    ]
    return data


def _from_data(data: dict[str, Any]) -> Sheet:
    questions = tuple(
        Question(
            q["inputs"],
            Answer.from_data(q["expected"]),
            q["label"],
            q["held"],
            {name: Answer.from_data(answer) for name, answer in q["mistakes"].items()},
            q["terms"],
        )
        for q in data["questions"]
    )
    return Sheet(**{**data, "questions": questions})


def _alike(a: Any, b: Any) -> bool:
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        return a.dtype == b.dtype and _alike(a.array, b.array)
    if isinstance(a, (np.ndarray, np.generic)) and isinstance(b, (np.ndarray, np.generic)):
        first, second = np.asarray(a), np.asarray(b)
        if first.dtype != second.dtype or first.shape != second.shape:
            return False
        if first.dtype.kind in "fc":
            scale = float(np.max(np.abs(first[np.isfinite(first)]), initial=0.0))
            # Processors round sums differently, and hundreds of training steps make 1e-16 of it into 1e-9 of the largest number.
            return bool(np.allclose(first, second, rtol=1e-9, atol=1e-8 * scale + 1e-300, equal_nan=True))
        return bool(np.array_equal(first, second))
    if type(a) is not type(b):
        return False
    if isinstance(a, float):
        return bool(np.isclose(a, b, rtol=1e-9, atol=1e-12, equal_nan=True))
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(_alike(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, dict):
        return list(a) == list(b) and all(_alike(a[key], b[key]) for key in a)
    if hasattr(a, "__dataclass_fields__"):
        return bool(asdict(a) == asdict(b))
    return bool(a == b)
