"""Write gate_map_model.mjs: a small LSTM that has learned to expect the next word of sentences with quotations and brackets.

A quotation or a bracket stays open for up to about twenty words and may hold the other one; only what was opened last
may be closed, and a full stop comes only when nothing is open. So whoever predicts the next word must remember what is
open. Run it with ``python3 assets/widgets/gate_map_model.py`` in the environment of the course; the same seed gives the
same file.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

FOLDER = Path(__file__).resolve().parent
NOUNS, VERBS = ("king", "child", "bird", "river"), ("sees", "hears", "likes")
WORDS = (".", "the", *NOUNS, *VERBS, "and", "says", "“", "”", "(", ")")
HIDDEN, STEPS, BATCH, RATE, SEED = 8, 3000, 32, 0.02, 13
CLOSES = {"“": "”", "(": ")"}


def sentence(rng: np.random.Generator) -> list[str]:
    """One sentence, full stop and all: clauses of a subject, a verb and an object, joined by "and", some said, some in brackets."""
    words: list[str] = []
    still_open: list[str] = []
    while True:
        words += ["the", str(rng.choice(NOUNS))]
        if "“" not in still_open and rng.random() < 0.3:
            words += ["says", "“"]
            still_open.append("“")
            continue
        words += [str(rng.choice(VERBS)), "the", str(rng.choice(NOUNS))]
        if "(" not in still_open and len(words) < 16 and rng.random() < 0.25:
            words.append("(")
            still_open.append("(")
            continue
        while still_open and (rng.random() < 0.45 or len(words) > 20):
            words.append(CLOSES[still_open.pop()])
        if not still_open and (rng.random() < 0.5 or len(words) > 16):
            return [*words, "."]
        words.append("and")


def open_signs(words: list[str]) -> np.ndarray:
    """After each word, whether a quotation and whether a bracket is open, (words, 2) of 0 and 1."""
    rows, now = [], [0, 0]
    for word in words:
        for kind, (begin, end) in enumerate(CLOSES.items()):
            now[kind] += (word == begin) - (word == end)
        rows.append(list(now))
    return np.array(rows)


def made() -> dict[str, Any]:
    """Words and parameters, rows are inputs; gates stand in the order input, forget, cell, output, as torch has them."""
    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    rng = np.random.default_rng(SEED)
    cell = torch.nn.LSTM(len(WORDS), HIDDEN, batch_first=True)
    read = torch.nn.Linear(HIDDEN, len(WORDS))
    with torch.no_grad():
        cell.bias_hh_l0.zero_()
        cell.bias_ih_l0[HIDDEN : 2 * HIDDEN] = 2.0  # what the forget gate does before it has learned anything: keep
    parameters = [*cell.parameters(), *read.parameters()]
    optimiser = torch.optim.Adam(parameters, lr=RATE)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: 1 - step / STEPS)
    for _ in range(STEPS):
        batch = [[WORDS.index(word) for word in sentence(rng)] for _ in range(BATCH)]
        length = max(map(len, batch))
        x = torch.zeros(
            BATCH, length, len(WORDS)
        )  # (batch, time, words), one-hot; a full stop stands before each sentence
        y = torch.full((BATCH, length), -1)
        for i, numbers in enumerate(batch):
            x[i, torch.arange(len(numbers)), torch.tensor([0, *numbers[:-1]])] = 1
            y[i, : len(numbers)] = torch.tensor(numbers)
        states, _ = cell(x)
        logits = read(states)
        # States far from 0 cost a little, so that few units remember and the others rest.
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), y.flatten(), ignore_index=-1)
        optimiser.zero_grad()
        (loss + 0.003 * states.abs().mean()).backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        schedule.step()
    weights = {
        "u": cell.weight_ih_l0.T, "w": cell.weight_hh_l0.T, "b": cell.bias_ih_l0 + cell.bias_hh_l0,
        "wOut": read.weight.T, "bOut": read.bias,
    }  # fmt: skip
    return {
        "words": list(WORDS),
        **{name: value.detach().double().numpy().round(3).tolist() for name, value in weights.items()},
    }


def main() -> None:
    """Write the module."""
    text = json.dumps(made(), ensure_ascii=False, separators=(",", ":"))
    (FOLDER / "gate_map_model.mjs").write_text(
        "// Written by gate_map_model.py: a small LSTM trained on made sentences with quotations and brackets.\n"
        f"export const MODEL = {text};\n",
        encoding="utf-8",
    )


if __name__ == "__main__":
    main()
