"""``nnlm data``: which corpora there are for language models, and what is in them. It needs the course's kit and nothing else."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from course.kit import corpora


@dataclass(frozen=True)
class Row:
    """One corpus as it is found here.

    Attributes:
        name: what ``corpora.load`` calls it.
        title: what it is.
        licence: what may be done with it.
        provenance: where its text comes from.
        unit: "word" or "character"; None where the corpus is not here.
        tokens: part → number of tokens, ``<eos>`` included; only the parts that are here.
        sentences: part → number of sentences.
        unknown: part → share of tokens that are ``<unk>``.
        types: size of the vocabulary.
        entropy: entropy rate in nats a token where it is known.
        missing: why the corpus or a part of it is not here, in one sentence; empty when all is.
        first: the first sentences of the training part.
    """

    name: str
    title: str
    licence: str
    provenance: str
    unit: str | None = None
    tokens: dict[str, int] = field(default_factory=dict)
    sentences: dict[str, int] = field(default_factory=dict)
    unknown: dict[str, float] = field(default_factory=dict)
    types: int | None = None
    entropy: float | None = None
    missing: str = ""
    first: tuple[str, ...] = ()

    @property
    def limit(self) -> float | None:
        """The perplexity that no model can beat on average: exp(entropy)."""
        return None if self.entropy is None else math.exp(self.entropy)

    def to_data(self) -> dict:
        """The row as JSON has it."""
        return {**asdict(self), "available": self.unit is not None, "limit": self.limit}


def describe(name: str, data_dir: Path | None = None, first: int = 3) -> Row:
    """Look at one corpus.

    Args:
        name: one of ``corpora.CORPORA``.
        data_dir: where copies of one's own are; see ``corpora.load``.
        first: how many sentences to show; empty ones are passed over.
    """
    about = corpora.CORPORA[name]
    row = Row(name, about.title, about.licence, about.provenance)
    missing, corpus = "", None
    for parts in (corpora.PARTS, corpora.PARTS[:2], corpora.PARTS[:1]):  # a copy may lack its test part
        try:
            corpus = corpora.load(name, data_dir, parts)
            break
        except corpora.CorpusMissing as error:
            missing = missing or str(error)
    if corpus is None:
        return replace(row, missing=missing)
    end, unknown = corpus.vocabulary.end, corpus.vocabulary.unknown
    here = {part: tokens for part in corpora.PARTS if len(tokens := getattr(corpus, part))}
    shown = [sentence for sentence in corpora.sentences(corpus.train[:2_000], end) if len(sentence) > 1][:first]
    between = "" if corpus.unit == "character" else " "
    return replace(
        row,
        unit=corpus.unit,
        tokens={part: len(tokens) for part, tokens in here.items()},
        sentences={part: int((tokens == end).sum()) for part, tokens in here.items()},
        unknown={part: float((tokens == unknown).mean()) for part, tokens in here.items()},
        types=len(corpus.vocabulary),
        entropy=corpus.entropy,
        missing=missing,
        first=tuple(between.join(corpus.vocabulary.decode(sentence)) for sentence in shown),
    )
