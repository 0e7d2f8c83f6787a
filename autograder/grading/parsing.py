"""From bytes to a notebook's JSON, in bounded time and memory.

A file of 20 MB can ask for a gigabyte of Python objects or for a quadratic conversion of one number. So values and nesting are
counted in the bytes before anything is built, and numbers, which nobody reads here, are not converted when they are long.
"""

from __future__ import annotations

import codecs
import itertools
import json
import re
from collections import Counter
from typing import Any

from autograder.grading.opening import MAX_BYTES, Unreadable

MAX_VALUES = 1_000_000
MAX_DEPTH = 100

_STRING = re.compile(rb'"[^"]*"?')
_LONG_NUMBER = 40
# UTF-32's mark begins with UTF-16's.
_MARKS = [
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
]
_OTHER_FILES = [
    (b"PK\x03\x04", "a zip archive (or an Office document)"),
    (b"PK\x05\x06", "an empty zip archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"Rar!", "a RAR archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ", "an xz archive"),
    (b"%PDF", "a PDF"),
    (b"<", "a web page"),
]


class Submitted(dict[str, Any]):
    """A notebook's JSON, nothing of it trusted; ``notes`` says what reading it had to decide."""

    def __init__(self, data: dict[str, Any], notes: list[str]) -> None:
        super().__init__(data)
        self.notes = notes


def parse(raw: bytes) -> Submitted:
    """Read the bytes of a submitted notebook as plain JSON.

    Raises:
        Unreadable: they are no notebook, or one that would need too much memory.
    """
    if len(raw) > MAX_BYTES:
        raise Unreadable(
            f"The notebook has {len(raw) / 2**20:.0f} MB; clear its outputs, {MAX_BYTES >> 20} MB is the limit."
        )
    if not raw.strip(b" \t\r\n\x00"):
        raise Unreadable(
            "The notebook is empty, so it is not valid JSON; save it again from JupyterLab and submit that."
        )
    for mark, what in _OTHER_FILES:
        if raw.startswith(mark):
            raise Unreadable(f"The file is {what}, not a notebook; submit the .ipynb file itself.")
    notes: list[str] = []
    text = _decoded(raw, notes)
    _bounded(raw if not notes else text.encode("utf-8", "surrogatepass"))
    data = _loaded(text, notes)
    if isinstance(data, dict) and "worksheets" in data and not data.get("cells"):
        raise Unreadable("The notebook has the format of IPython 3 or older; open it in JupyterLab and save it again.")
    if not isinstance(data, dict) or not isinstance(data.get("cells"), list):
        raise Unreadable("The file is JSON, but not a notebook; submit the .ipynb file of the chapter.")
    return Submitted(data, notes)


def _decoded(raw: bytes, notes: list[str]) -> str:
    encoding = next((name for mark, name in _MARKS if raw.startswith(mark)), "utf-8-sig")
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError:
        raise Unreadable("The notebook is not text in UTF-8; save it again from JupyterLab.") from None
    if encoding != "utf-8-sig":
        notes.append(f"the file was in {encoding.upper()} instead of UTF-8; it was read all the same")
    return text


def _bounded(raw: bytes) -> None:
    """Refuse what would become too many or too deeply nested objects; one linear pass over the bytes."""
    bare = _STRING.sub(b"", raw.replace(b"\\\\", b"").replace(b'\\"', b""))
    brackets = bare.translate(None, bytes(set(range(256)) - set(b"[]{}")))
    if bare.count(b",") + len(brackets) // 2 > MAX_VALUES:
        raise Unreadable(f"The notebook holds more than {MAX_VALUES:,} values; clear its outputs and save it again.")
    steps = (1 if byte in b"[{" else -1 for byte in brackets)
    if max(itertools.accumulate(steps), default=0) > MAX_DEPTH:
        raise Unreadable("The notebook is nested too deeply; save it again from JupyterLab.")


def _loaded(text: str, notes: list[str]) -> Any:
    doubled: Counter[str] = Counter()

    def pairs(found: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(found)
        if len(made) < len(found):
            _doubled(found, made, doubled)
        return made

    try:
        data = json.loads(text, parse_int=_whole_number, parse_float=_number, object_pairs_hook=pairs)
    except RecursionError:
        raise Unreadable("The notebook is nested too deeply; save it again from JupyterLab.") from None
    except MemoryError:
        raise Unreadable("The notebook needs too much memory; clear its outputs and save it again.") from None
    except ValueError as error:
        line = getattr(error, "lineno", "?")
        raise Unreadable(
            f"The notebook is not valid JSON (line {line}); it was cut off or edited by hand. Save it again from JupyterLab."
        ) from None
    for name in ("cells", "source"):
        if doubled[name]:
            notes.append(f"`{name}` stood twice in {doubled[name]} places; the parts were put together")
    return data


def _doubled(found: list[tuple[str, Any]], made: dict[str, Any], doubled: Counter[str]) -> None:
    """JSON lets the last of two equal keys win; where a student's text could be lost, both are kept."""
    for name in ("cells", "source"):
        values = [value for key, value in found if key == name]
        if len(values) < 2:
            continue
        doubled[name] += 1
        if name == "cells":
            made[name] = [cell for value in values if isinstance(value, list) for cell in value]
        elif any(value != values[0] for value in values):
            made[name] = [part for value in values for part in (value, "\n")][:-1]


def _whole_number(text: str) -> int:
    return int(text) if len(text) <= _LONG_NUMBER else 0


def _number(text: str) -> float:
    return float(text) if len(text) <= _LONG_NUMBER else 0.0
