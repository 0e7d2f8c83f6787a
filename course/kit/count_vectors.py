"""Word vectors by counting: which words stand near which, and how much more often than by chance. A start for a network's table."""

import numpy as np
import torch
from torch import Tensor


def near_words(tokens: np.ndarray, window: int = 2) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Count which words come after which, a word k places further on as 1/k.

    Args:
        tokens: (tokens,) integers, running text.
        window: how many places on to look, at least 1.

    Returns:
        first, second: (pairs,) int64, each pair once, ascending; counts: (pairs,) float64.
    """
    tokens = np.asarray(tokens, dtype=np.int64)
    size = int(tokens.max(initial=0)) + 1
    keys = [tokens[:-k] * size + tokens[k:] for k in range(1, window + 1)]
    pairs, which = np.unique(np.concatenate(keys), return_inverse=True)
    shares = np.concatenate([np.full(len(key), 1 / k) for k, key in enumerate(keys, start=1)])
    return pairs // size, pairs % size, np.bincount(which, weights=shares, minlength=len(pairs))


def surprise(first: np.ndarray, second: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """How much more often each pair occurs than by chance: ln P(a, b) − ln P(a) P(b), and 0 where that is below 0.

    The chance of the second word is taken from counts to the power 0.75, which keeps rare words from looking remarkable.

    Returns:
        (pairs,) float64, positive pointwise mutual information.

    Source:
        Church and Hanks 1990; Levy, Goldberg and Dagan 2015 (the power).
    """
    of_first, of_second = np.bincount(first, weights=counts), np.bincount(second, weights=counts) ** 0.75
    chance = (of_first[first] / of_first.sum()) * (of_second[second] / of_second.sum())
    return np.maximum(np.log(counts / counts.sum() / chance), 0)


def count_vectors(tokens: np.ndarray, vocabulary: int, features: int, window: int = 2, seed: int = 0) -> Tensor:
    """A vector for each word, such that words with like neighbours have like vectors.

    Each word has a row of what comes after it and what comes before it, 2·vocabulary numbers, most of them 0. Its vector is made of
    the row's coordinates along the directions in which the rows differ most, found by a randomised singular value decomposition.

    Args:
        tokens: (tokens,) integers below vocabulary, running text.
        vocabulary: how many words there are.
        features: numbers a vector.
        window: how far to look, on both sides.
        seed: of the random directions.

    Returns:
        (vocabulary, features) float32, vectors of length 1 on average; 0 for a word that does not occur. Where the text has fewer
        directions than features, the last features are 0.

    Raises:
        ValueError: the text has fewer than two words, or there is no window or feature.

    Source:
        Deerwester et al. 1990; Levy and Goldberg 2014.
    """
    if len(tokens) < 2 or window < 1 or features < 1:
        raise ValueError("count_vectors needs a text of two words or more, a window and a feature")
    first, second, counts = near_words(tokens, min(window, len(tokens) - 1))
    ahead, behind = surprise(first, second, counts), surprise(second, first, counts)
    rows, columns = np.concatenate([first, second]), np.concatenate([second, first + vocabulary])
    values = torch.from_numpy(np.concatenate([ahead, behind])).float()
    shape = (vocabulary, 2 * vocabulary)
    table = torch.sparse_coo_tensor(
        torch.from_numpy(np.stack([rows, columns])), values, shape, check_invariants=False
    ).coalesce()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        directions, strengths, _ = torch.svd_lowrank(table, q=min(features + 40, vocabulary))
    vectors = torch.zeros(vocabulary, features)
    kept = min(features, len(strengths))
    vectors[:, :kept] = directions[:, :kept] * strengths[:kept].sqrt()
    lengths = vectors.norm(dim=1)
    return vectors * (vocabulary / lengths.sum().clamp(min=1e-12))
