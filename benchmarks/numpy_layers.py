"""The course's fused NumPy layers beside PyTorch's own, float32, one thread each: milliseconds a training step, and the ratio.

A step is loss and all gradients of one batch; both sides start from the same numbers, and their answers are compared before
anything is timed. The two take turns, so that a busy moment of the machine falls on both; the median of the pairs' ratios counts.
Run it with ``python3 start.py bench numpy_layers``; ``--json`` prints one JSON value, ``--repeats N`` sets the pairs.
"""

from __future__ import annotations

import os

# Before NumPy: OpenBLAS reads it once. PyTorch's own setting is made below.
os.environ["OPENBLAS_NUM_THREADS"] = "1"
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["MKL_NUM_THREADS"] = "1"

import argparse
import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from solutions.attention import fused_causal_attention, fused_causal_attention_backward
from solutions.lstm import Room, fused_tied_lm_gradients, new_lstm_lm
from solutions.recurrent import fused_rnn_lm_gradients, new_rnn_lm

Step = Callable[[], tuple[float, list[np.ndarray]]]


def elman(features: int, vocabulary: int, batch: int, steps: int) -> tuple[Step, Step]:
    """A recurrent language model: word vectors, one tanh layer, full softmax; both sides from a first state that is not 0."""
    rng = np.random.default_rng(0)
    parameters = [p.astype(np.float32) for p in new_rnn_lm(rng, vocabulary, features)]
    words, targets = rng.integers(vocabulary, size=(2, batch, steps))
    h0 = np.tanh(rng.normal(size=(batch, features))).astype(np.float32)

    def ours() -> tuple[float, list[np.ndarray]]:
        loss, grads, _ = fused_rnn_lm_gradients(parameters, words, targets, None, h0)
        return loss, grads

    embeddings, u, w, b, v, c = (torch.tensor(p) for p in parameters)
    table = torch.nn.Embedding.from_pretrained(embeddings, freeze=False)
    layer, output = torch.nn.RNN(features, features, batch_first=True), torch.nn.Linear(features, vocabulary)
    with torch.no_grad():
        layer.weight_ih_l0.copy_(u.T)
        layer.weight_hh_l0.copy_(w.T)
        layer.bias_ih_l0.copy_(b)
        layer.bias_hh_l0.zero_()
        output.weight.copy_(v.T)
        output.bias.copy_(c)
    layer.flatten_parameters()
    read, wanted, state = torch.tensor(words), torch.tensor(targets).reshape(-1), torch.tensor(h0)[None]
    learned = [table.weight, *layer.parameters(), *output.parameters()]

    def theirs() -> tuple[float, list[np.ndarray]]:
        for parameter in learned:
            parameter.grad = None
        hidden, _ = layer(table(read), state)
        loss = torch.nn.functional.cross_entropy(output(hidden).reshape(-1, vocabulary), wanted)
        loss.backward()
        grads = [p.grad.numpy() for p in learned if p.grad is not None]
        return loss.item(), [grads[0], grads[1].T, grads[2].T, grads[3], grads[5].T, grads[6]]

    return ours, theirs


def lstm(features: int, vocabulary: int, batch: int, steps: int) -> tuple[Step, Step]:
    """An LSTM language model with tied weights: word vectors, one layer, full softmax; both sides from states that are not 0."""
    rng = np.random.default_rng(0)
    parameters = [p.astype(np.float32) for p in new_lstm_lm(rng, vocabulary, features)]
    words, targets = rng.integers(vocabulary, size=(2, batch, steps))
    h0, c0 = (np.tanh(rng.normal(size=(batch, features))).astype(np.float32) for _ in range(2))
    room = Room()

    def ours() -> tuple[float, list[np.ndarray]]:
        loss, grads, _ = fused_tied_lm_gradients(parameters, words, targets, None, (h0, c0), room)
        return loss, grads

    embeddings, u, w, b, bias = (torch.tensor(p) for p in parameters)
    table = torch.nn.Embedding.from_pretrained(embeddings, freeze=False)
    layer, output = torch.nn.LSTM(features, features, batch_first=True), torch.nn.Linear(features, vocabulary)
    output.weight = table.weight
    with torch.no_grad():
        layer.weight_ih_l0.copy_(u.T)
        layer.weight_hh_l0.copy_(w.T)
        layer.bias_ih_l0.copy_(b)
        layer.bias_hh_l0.zero_()
        output.bias.copy_(bias)
    layer.flatten_parameters()
    read, wanted = torch.tensor(words), torch.tensor(targets).reshape(-1)
    state = torch.tensor(h0)[None], torch.tensor(c0)[None]
    learned = [table.weight, *layer.parameters(), output.bias]

    def theirs() -> tuple[float, list[np.ndarray]]:
        for parameter in learned:
            parameter.grad = None
        hidden, _ = layer(table(read), state)
        loss = torch.nn.functional.cross_entropy(output(hidden).reshape(-1, vocabulary), wanted)
        loss.backward()
        grads = [p.grad.numpy() for p in learned if p.grad is not None]
        return loss.item(), [grads[0], grads[1].T, grads[2].T, grads[3], grads[5]]

    return ours, theirs


def attention(features: int, heads: int, batch: int, steps: int) -> tuple[Step, Step]:
    """A causal self-attention layer with its four matrices; the loss is half the mean square of what it gives."""
    rng = np.random.default_rng(0)
    w_qkv, wo = (
        rng.normal(size=(features, n * features)).astype(np.float32) / np.float32(features**0.5) for n in (3, 1)
    )
    x = rng.normal(size=(batch, steps, features)).astype(np.float32)

    def ours() -> tuple[float, list[np.ndarray]]:
        y, kept = fused_causal_attention(x, w_qkv, wo, heads)
        flat = y.ravel()
        loss = float(flat @ flat) / (2 * y.size)
        y *= np.float32(1 / y.size)  # the gradient, in the answer's own memory
        return loss, list(fused_causal_attention_backward(y, kept))

    learned = [torch.tensor(a, requires_grad=True) for a in (x, w_qkv, wo)]

    def theirs() -> tuple[float, list[np.ndarray]]:
        for parameter in learned:
            parameter.grad = None
        made = (learned[0] @ learned[1]).view(batch, steps, 3, heads, features // heads).permute(2, 0, 3, 1, 4)
        y = torch.nn.functional.scaled_dot_product_attention(*made.unbind(0), is_causal=True)
        loss = (y.transpose(1, 2).reshape(batch, steps, features) @ learned[2]).square().mean() / 2
        loss.backward()
        return loss.item(), [p.grad.numpy() for p in learned if p.grad is not None]

    return ours, theirs


#: Name → (maker, its settings); more layers come with their chapters.
LAYERS: dict[str, tuple[Callable[..., tuple[Step, Step]], dict[str, int]]] = {
    "Elman 64, 1,000 words": (elman, {"features": 64, "vocabulary": 1_000, "batch": 20, "steps": 35}),
    "Elman 200, 1,000 words": (elman, {"features": 200, "vocabulary": 1_000, "batch": 20, "steps": 35}),
    "Elman 200, 10,000 words": (elman, {"features": 200, "vocabulary": 10_000, "batch": 20, "steps": 35}),
    "LSTM 64, 1,000 words": (lstm, {"features": 64, "vocabulary": 1_000, "batch": 20, "steps": 35}),
    "LSTM 200, 1,000 words": (lstm, {"features": 200, "vocabulary": 1_000, "batch": 20, "steps": 35}),
    "LSTM 200, 10,000 words": (lstm, {"features": 200, "vocabulary": 10_000, "batch": 20, "steps": 35}),
    "attention 128, 4 heads": (attention, {"features": 128, "heads": 4, "batch": 20, "steps": 35}),
    "attention 256, 8 heads": (attention, {"features": 256, "heads": 8, "batch": 20, "steps": 35}),
    "attention 128, 256 words": (attention, {"features": 128, "heads": 4, "batch": 4, "steps": 256}),
}


def race(ours: Step, theirs: Step, repeats: int) -> dict[str, float]:
    """Median milliseconds of both, and the median of the pairs' ratios.

    Raises:
        AssertionError: the two sides disagree.
    """
    (loss, grads), (other, others) = ours(), theirs()
    assert abs(loss - other) < 1e-4 * abs(other), (loss, other)
    for mine, yours in zip(grads, others, strict=True):
        assert np.abs(mine - yours).max() < 1e-4 * np.abs(yours).max() + 1e-7
    times = np.empty((repeats, 2))
    for k in range(repeats):
        for side, step in enumerate((ours, theirs)) if k % 2 else reversed(list(enumerate((ours, theirs)))):
            began = time.perf_counter()
            step()
            times[k, side] = time.perf_counter() - began
    numpy_ms, torch_ms = 1000 * np.median(times, axis=0)
    return {"numpy_ms": numpy_ms, "torch_ms": torch_ms, "ratio": float(np.median(times[:, 0] / times[:, 1]))}


def settings() -> dict[str, Any]:
    """The libraries behind both sides, and their threads."""
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return {
        "numpy": f"{np.__version__}, {blas['name']} {blas['version']}, {os.environ['OPENBLAS_NUM_THREADS']} thread",
        "coretype": os.environ.get("OPENBLAS_CORETYPE", "chosen by OpenBLAS"),
        "torch": f"{torch.__version__}, {'MKL' if torch.backends.mkl.is_available() else 'no MKL'}, "
        f"{torch.get_num_threads()} thread",
    }


def main() -> None:
    """Print one row a layer."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=40)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = {name: race(*make(**sizes), repeats=options.repeats) for name, (make, sizes) in LAYERS.items()}
    if options.json:
        print(json.dumps({"settings": settings(), "rows": rows}))
        return
    for name, text in settings().items():
        print(f"{name}: {text}")
    print("float32, 20 texts of 35 words (4 of 256 where the row says so), loss and all gradients; median milliseconds")
    for name, row in rows.items():
        print(f"{name:24} NumPy {row['numpy_ms']:7.2f}  torch {row['torch_ms']:7.2f}  NumPy/torch {row['ratio']:.2f}")


if __name__ == "__main__":
    main()
