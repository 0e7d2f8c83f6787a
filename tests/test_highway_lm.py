"""The recurrent highway network against its equations, its dropout, and its training."""

from __future__ import annotations

import pytest
import torch
from small_language import small_corpus

from course.kit.language_models import evaluate, train
from solutions.highway_lm import HighwayLM


def model(**settings: float) -> HighwayLM:
    torch.manual_seed(0)
    return HighwayLM(60, features=8, depth=3, **settings).double()  # type: ignore[arg-type]


def test_the_state_is_that_of_the_equations() -> None:
    one = model().eval()
    tokens = torch.tensor([[3, 5, 3], [7, 1, 0]])
    features, state = one(tokens)
    s = torch.zeros(2, 8, dtype=torch.float64)
    for place in range(3):
        word = one.embedding.weight[tokens[:, place]] @ one.from_word.weight.T
        for depth, layer in enumerate(one.layers):
            before = s @ layer.weight.T + layer.bias + (word if depth == 0 else 0)  # type: ignore[operator, union-attr]
            h, t = torch.tanh(before[:, :8]), torch.sigmoid(before[:, 8:])
            s = h * t + s * (1 - t)
        torch.testing.assert_close(features[:, place], s, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(state, s, rtol=1e-12, atol=1e-12)


def test_a_text_in_pieces_is_the_text_as_a_whole() -> None:
    one = model().eval()
    tokens = torch.randint(0, 60, (2, 9), generator=torch.Generator().manual_seed(1))
    whole, _ = one(tokens)
    first, state = one(tokens[:, :4])
    torch.testing.assert_close(torch.cat([first, one(tokens[:, 4:], state)[0]], dim=1), whole, rtol=1e-12, atol=1e-12)


def test_a_closed_gate_lets_the_state_pass() -> None:
    one = model(carry=-60.0).eval()
    state = torch.randn(2, 8, dtype=torch.float64)
    torch.testing.assert_close(one(torch.zeros(2, 5, dtype=torch.int64), state)[1], state, rtol=1e-9, atol=1e-9)


def test_what_is_hidden_is_hidden_from_all_words_of_a_piece() -> None:
    """With every feature hidden, no layer sees the state: only its own bias, and the word, decide."""
    one = model(inner=0.999999).train()
    state = torch.randn(2, 8, dtype=torch.float64)
    with torch.no_grad():
        for each in one.layers:
            each.bias[8:] = 60.0  # type: ignore[index, union-attr] # open: nothing of the state passes
    _, after = one(torch.zeros(2, 1, dtype=torch.int64), state)
    _, again = one(torch.zeros(2, 1, dtype=torch.int64), -state)
    torch.testing.assert_close(after, again, rtol=1e-12, atol=1e-12)


def test_it_learns() -> None:
    corpus = small_corpus()
    one = model(dropout=0.1, inner=0.1).float()
    before = evaluate(one, corpus.test, end=0).perplexity
    train(one, corpus, epochs=8, batch=8, time=10, rate=2e-2, sampled=20, progress=False)
    assert evaluate(one, corpus.test, end=0).perplexity < 0.6 * before


def test_no_layer_is_refused() -> None:
    with pytest.raises(ValueError, match="depth must be 1 or more, not 0"):
        HighwayLM(10, depth=0)
