"""Write next_word_model.mjs: the first three chapters of Genesis as word numbers, and a small network trained on them.

Run it with ``python3 assets/widgets/next_word_model.py`` in the environment of the course; the same seed gives the same file.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np

from course.kit.corpora import END, Vocabulary, king_james
from solutions.feedforward_lm import context_windows, initial_parameters, train_epoch

FOLDER = Path(__file__).resolve().parent
WORDS, ORDER, FEATURES, HIDDEN, EPOCHS, BATCH, RATE = 120, 4, 8, 20, 24, 16, 0.4


def made() -> dict[str, Any]:
    """Words, text and parameters; numbers are rounded to three places."""
    verses = [verse for verse in king_james() if verse.book == "Genesis" and verse.chapter <= 3]
    sentences = [re.findall(r"[a-z]+(?:['’-][a-z]+)*|[^\sa-z]", verse.text.lower()) for verse in verses]
    vocabulary = Vocabulary.of(sentences, WORDS)
    tokens = vocabulary.encode(word for sentence in sentences for word in (*sentence, END))
    rng = np.random.default_rng(8)
    parameters = initial_parameters(WORDS, ORDER, FEATURES, HIDDEN, rng)
    contexts = context_windows(tokens, ORDER)
    for epoch in range(EPOCHS):
        rate = RATE * (1 - epoch / EPOCHS)
        parameters = train_epoch(parameters, contexts, tokens, rng.permutation(len(tokens)), BATCH, rate)
    names = ("embeddings", "w1", "b1", "w2", "b2")
    network = {
        name: part.astype(float).round(3).tolist()
        for name, part in zip(names, parameters, strict=False)
        if part is not None
    }
    return {"words": list(vocabulary.words), "tokens": tokens.tolist(), "order": ORDER, "network": network}


def main() -> None:
    """Write the module."""
    text = json.dumps(made(), ensure_ascii=False, separators=(",", ":"))
    (FOLDER / "next_word_model.mjs").write_text(
        "// Written by next_word_model.py: Genesis 1 to 3 (King James, public domain) and a network trained on it.\n"
        f"export const MODEL = {text};\n",
        encoding="utf-8",
    )


if __name__ == "__main__":
    main()
