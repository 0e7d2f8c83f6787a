"""The cache of last words and the mixture of models, each against the sum written out."""

from __future__ import annotations

import numpy as np
import pytest

from solutions.neural_cache import cache_probabilities, mixture_weights


def written_out(features: np.ndarray, words: np.ndarray, window: int, theta: float) -> np.ndarray:
    result = []
    for t in range(len(words)):
        places = range(max(0, t - window), t)
        scores = np.array([theta * features[i] @ features[t] for i in places])
        weights = np.exp(scores - scores.max()) if len(scores) else scores
        same = np.array([words[i] == words[t] for i in places], dtype=float)
        result.append(float(weights @ same / weights.sum()) if len(scores) else 0.0)
    return np.array(result)


@pytest.mark.parametrize(("tokens", "window"), [(1, 3), (7, 1), (150, 5), (150, 400), (200, 64)])
@pytest.mark.parametrize("theta", [0.0, 0.7])
def test_the_cache_is_the_sum_over_the_places_before(tokens: int, window: int, theta: float) -> None:
    rng = np.random.default_rng(tokens + window)
    features, words = rng.normal(size=(tokens, 6)), rng.integers(0, 9, size=tokens)
    np.testing.assert_allclose(
        cache_probabilities(features, words, window, theta), written_out(features, words, window, theta), rtol=1e-11
    )


def test_the_cache_gives_every_word_together_all_of_the_probability() -> None:
    """Asked about each word of the vocabulary in turn, at the same place, it answers with a sum of 1."""
    rng = np.random.default_rng(0)
    features, words = rng.normal(size=(40, 4)), rng.integers(0, 5, size=40)
    total = 0.0
    for word in range(5):
        total += cache_probabilities(features, np.append(words[:-1], word), 12, 1.5)[-1]
    assert total == pytest.approx(1, abs=1e-12)


def test_the_cache_looks_at_no_word_that_has_not_come() -> None:
    rng = np.random.default_rng(1)
    features, words = rng.normal(size=(300, 4)), rng.integers(0, 5, size=300)
    before = cache_probabilities(features, words, 50, 1.0)
    features[200:], words[200:] = rng.normal(size=(100, 4)), rng.integers(0, 5, size=100)
    np.testing.assert_array_equal(cache_probabilities(features, words, 50, 1.0)[:200], before[:200])


def test_large_states_do_not_overflow() -> None:
    rng = np.random.default_rng(2)
    features, words = 1000 * rng.normal(size=(20, 4)), rng.integers(0, 3, size=20)
    cached = cache_probabilities(features, words, 8, 2.0)
    assert np.isfinite(cached).all()
    assert ((cached >= 0) & (cached <= 1)).all()


def test_the_weights_of_a_mixture_are_the_best_there_are() -> None:
    rng = np.random.default_rng(3)
    probabilities = rng.uniform(0.01, 1, size=(3, 400))
    weights = mixture_weights(probabilities)
    assert weights.sum() == pytest.approx(1)

    def nats(w: np.ndarray) -> float:
        return float(-np.log(w @ probabilities).sum())

    grid = np.linspace(0, 1, 21)
    others = [nats(np.array([a, b, 1 - a - b])) for a in grid for b in grid if a + b <= 1]
    assert nats(weights) <= min(others)


def test_a_model_that_is_never_better_gets_nothing() -> None:
    good = np.full(100, 0.5)
    np.testing.assert_allclose(mixture_weights(np.stack([good, good / 2])), [1, 0], atol=1e-6)


def test_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match="each of the 4 words needs a row of features"):
        cache_probabilities(np.zeros((3, 2)), np.zeros(4, dtype=int), 2, 1.0)
    with pytest.raises(ValueError, match="must hold a word"):
        cache_probabilities(np.zeros((3, 2)), np.zeros(3, dtype=int), 0, 1.0)
    with pytest.raises(ValueError, match="every model calls impossible"):
        mixture_weights(np.array([[0.1, 0.0], [0.2, 0.0]]))
