"""``nnlm`` with a small language for its corpora: tests start it as a process of its own, to kill it, and under torchrun."""

from __future__ import annotations

import numpy as np

from course.kit import corpora

WORDS = 60


def small_corpus(tokens: int = 6000) -> corpora.Corpus:
    """Text of a first-order source over 60 words; every sentence ends with ``<eos>``."""
    rng = np.random.default_rng(3)
    cumulative = np.cumsum(rng.dirichlet(np.full(WORDS, 0.1), size=WORDS), axis=1)
    text, word = np.empty(tokens + 2000, dtype=np.int32), 0
    for place, draw in enumerate(rng.random(len(text))):
        word = min(int(np.searchsorted(cumulative[word], draw)), WORDS - 1)
        text[place] = word
    parts = text[:tokens], text[tokens : tokens + 1000], text[tokens + 1000 :]
    for part in parts:
        part[-1] = 0
    vocabulary = corpora.Vocabulary(("<eos>", "<unk>", *(f"w{k}" for k in range(WORDS - 2))))
    return corpora.Corpus("small", vocabulary, *parts)


if __name__ == "__main__":
    from autograder import cli

    corpora.load = lambda name="small", data_dir=None: small_corpus()
    cli.main()
