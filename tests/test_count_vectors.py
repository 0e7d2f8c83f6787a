"""Word vectors by counting: the counts, the surprise and the decomposition, each beside a computation by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from course.kit.count_vectors import count_vectors, near_words, surprise

TEXT = np.array([0, 1, 2, 1, 0, 1, 3])


def test_pairs_are_counted_by_their_distance() -> None:
    first, second, counts = near_words(TEXT, window=2)
    by_hand: dict[tuple[int, int], float] = {}
    for at, word in enumerate(TEXT):
        for k in (1, 2):
            if at + k < len(TEXT):
                pair = int(word), int(TEXT[at + k])
                by_hand[pair] = by_hand.get(pair, 0.0) + 1 / k
    assert {(int(a), int(b)): float(n) for a, b, n in zip(first, second, counts, strict=True)} == by_hand
    assert by_hand[1, 1] == 1.0  # twice two places on
    assert len(first) == len(by_hand)


def test_surprise_is_what_its_definition_says() -> None:
    first, second, counts = near_words(TEXT, window=1)
    found = surprise(first, second, counts)
    total = counts.sum()
    powered = {b: counts[second == b].sum() ** 0.75 for b in set(second.tolist())}
    for a, b, n, value in zip(first, second, counts, found, strict=True):
        chance = counts[first == a].sum() / total * powered[int(b)] / sum(powered.values())
        assert value == pytest.approx(max(0.0, math.log(n / total / chance)), abs=1e-12)
    assert found.max() > 0


def test_vectors_are_the_strongest_directions_of_the_table() -> None:
    rng = np.random.default_rng(0)
    tokens, size, features = rng.integers(30, size=400) * rng.integers(2, size=400), 30, 12
    vectors = count_vectors(tokens, size, features, window=2)
    first, second, counts = near_words(tokens, 2)
    table = np.zeros((size, 2 * size))
    table[first, second] = surprise(first, second, counts)
    table[second, first + size] = surprise(second, first, counts)
    left, strengths, _ = np.linalg.svd(table)
    wanted = left[:, :features] * np.sqrt(strengths[:features])
    wanted *= size / np.linalg.norm(wanted, axis=1).sum()
    # A direction's sign is free; what words have in common is not.
    np.testing.assert_allclose((vectors @ vectors.T).numpy(), wanted @ wanted.T, atol=2e-5)
    assert vectors.dtype == torch.float32
    assert float(vectors.norm(dim=1).mean()) == pytest.approx(1.0, rel=1e-5)


def test_words_with_the_same_neighbours_get_like_vectors() -> None:
    rng = np.random.default_rng(1)
    # Sentences of four words: one of 0–3, one of 4–7, one of 8–11, and the full stop, 12.
    words = np.stack([rng.integers(4, size=3000) + first for first in (0, 4, 8)] + [np.full(3000, 12)], axis=1)
    vectors = torch.nn.functional.normalize(count_vectors(words.ravel(), 13, 4), dim=1)
    alike = (vectors @ vectors.T).numpy()
    for first in (0, 4, 8):
        group = slice(first, first + 4)
        assert alike[group, group].min() > 0.99
        assert alike[group, [k for k in range(13) if not first <= k < first + 4]].max() < 0.9


def test_the_same_seed_gives_the_same_vectors_and_few_words_leave_zeros() -> None:
    tokens = np.random.default_rng(2).integers(5, size=200)
    once, again = (count_vectors(tokens, 9, 8, seed=3) for _ in range(2))
    assert torch.equal(once, again)
    assert once.shape == (9, 8)
    assert not once[5:].any()  # words that do not occur
    wide = count_vectors(tokens, 5, 20)
    assert wide.shape == (5, 20)
    assert not wide[:, 5:].any()
    assert torch.isfinite(wide).all()


@pytest.mark.parametrize(
    ("tokens", "more"), [([1], {}), ([1, 2, 1], {"window": 0}), ([1, 2, 1], {"features": 0})], ids=str
)
def test_what_cannot_be_is_said(tokens: list[int], more: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="two words or more"):
        count_vectors(np.array(tokens), 3, **{"features": 2, **more})
