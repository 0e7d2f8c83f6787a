"""The course's LSTM beside the classic word-level example's settings, on the Penn Treebank, for the same CPU seconds.

The peer is two LSTM layers of 200 with vectors of their own for reading and writing, dropout 0.2, plain gradient descent at rate
20, divided by 4 whenever the validation text has not become easier, gradients clipped to 0.25, batches of 20 texts and 35 words,
and the full softmax in every step: the settings that PyTorch's own word-level example has by default, in a program of our own.
Each side has one thread and the same CPU seconds for all it does, judging on the validation text included; then both are judged
on every word of the test text by the same function.

The corpus may not be passed on, so your own copy is read: NNLM_DATA names its folder or zip archive, as for `corpora.load`.
Run it with ``python3 start.py bench peers``; ``--cpu-seconds N`` (600) sets the budget, ``--together`` lets both run at once on two
cores, ``--json`` prints one JSON value.
"""

from __future__ import annotations

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before NumPy: OpenBLAS reads it once
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["MKL_NUM_THREADS"] = "1"

import argparse
import copy
import json
import math
import subprocess
import sys
import time
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from autograder.language_models import Request, TrainingError, run
from course.kit.corpora import Corpus, CorpusMissing, load
from course.kit.language_models import evaluate

BATCH, TIME, RATE, CLIP = 20, 35, 20.0, 0.25


class Peer(nn.Module):
    """Two LSTM layers of 200, untied, dropout 0.2 on vectors, between the layers and before the output."""

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, 200)
        self.layers = nn.LSTM(200, 200, num_layers=2, dropout=0.2, batch_first=True)
        self.dropout = nn.Dropout(0.2)
        self.output = nn.Linear(200, vocabulary)
        nn.init.uniform_(self.embedding.weight, -0.1, 0.1)
        nn.init.uniform_(self.output.weight, -0.1, 0.1)
        nn.init.zeros_(self.output.bias)

    def forward(self, tokens: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """(batch, time) words → (batch, time, 200) features, and the state after them."""
        hidden, state = self.layers(self.dropout(self.embedding(tokens)), state)
        return self.dropout(hidden), state


def train_peer(corpus: Corpus, cpu_seconds: float, seed: int) -> dict[str, Any]:
    """Train the peer until its CPU seconds are spent; the best model on the validation text is judged."""
    torch.manual_seed(seed)
    model = Peer(len(corpus.vocabulary))
    length = len(corpus.train) // BATCH
    words = torch.from_numpy(corpus.train[: length * BATCH].astype("int64")).view(BATCH, length)
    began, rate, best, steps = time.process_time(), RATE, math.inf, 0
    kept = copy.deepcopy(model.state_dict())
    judging = 0.0  # CPU seconds that one look at the validation text takes
    while True:
        state: Any = None
        model.train()
        for at in range(0, length - 1, TIME):
            if time.process_time() - began > cpu_seconds - judging:
                break
            stop = min(at + TIME, length - 1)
            state = None if state is None else tuple(part.detach() for part in state)
            model.zero_grad()
            features, state = model(words[:, at:stop], state)
            loss = F.cross_entropy(model.output(features).flatten(0, 1), words[:, at + 1 : stop + 1].flatten())
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), CLIP)
            with torch.no_grad():
                for p in model.parameters():
                    p.add_(p.grad, alpha=-rate)
            steps += 1
        before = time.process_time()
        valid = evaluate(model, corpus.valid, end=corpus.vocabulary.end).perplexity
        judging = time.process_time() - before
        if valid < best:
            best, kept = valid, copy.deepcopy(model.state_dict())
        else:
            rate /= 4
        if time.process_time() - began > cpu_seconds - 2 * judging:
            break
    spent = time.process_time() - began
    model.load_state_dict(kept)
    test = evaluate(model, corpus.test, end=corpus.vocabulary.end)
    return {
        "valid_ppl": best,
        "test_ppl": test.perplexity,
        "tokens": test.tokens,
        "parameters": sum(p.numel() for p in model.parameters()),
        "epochs": steps * BATCH * TIME / len(corpus.train),
        "cpu_seconds": spent,
    }


def one_side(side: str, cpu_seconds: float, seed: int) -> dict[str, Any]:
    """Train one of the two in this process."""
    torch.set_num_threads(1)
    if side == "peer":
        return train_peer(load("penn_treebank"), cpu_seconds, seed)
    request = Request("lstm", "penn_treebank", cpu_seconds=cpu_seconds, threads=1, seed=seed, precision="auto")
    return run(request, "bench peers")


def main() -> int:
    """Train both, each in a process of its own, and print them side by side."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--cpu-seconds", type=float, default=600.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--together", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--side", choices=("peer", "ours"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    try:
        if asked.side:
            print(json.dumps(one_side(asked.side, asked.cpu_seconds, asked.seed)))
            return 0
        load("penn_treebank", parts=("test",))
    except (CorpusMissing, TrainingError) as error:
        print(error)
        return 1
    common = [sys.executable, __file__, "--cpu-seconds", str(asked.cpu_seconds), "--seed", str(asked.seed)]
    found: dict[str, Any] = {}
    waiting = []
    for side in ("peer", "ours"):
        started = subprocess.Popen([*common, "--side", side], stdout=subprocess.PIPE, text=True)
        waiting.append((side, started))
        if not asked.together:
            started.wait()
    for side, started in waiting:
        text, _ = started.communicate()
        if started.returncode:
            print(f"The side '{side}' failed.")
            return 1
        found[side] = json.loads(text.splitlines()[-1])
    found["ahead"] = found["peer"]["test_ppl"] - found["ours"]["test_ppl"]
    if asked.json:
        print(json.dumps(found))
        return 0
    print("         CPU s   epochs  parameters    valid     test")
    for side in ("peer", "ours"):
        row = found[side]
        print(
            f"{side:5}{row['cpu_seconds']:9.0f}{row['epochs']:9.1f}{row['parameters']:12,}{row['valid_ppl']:9.1f}{row['test_ppl']:9.1f}"
        )
    print(f"ahead of the peer by {found['ahead']:.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
