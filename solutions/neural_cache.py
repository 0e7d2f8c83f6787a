"""What a language model just read, remembered word by word; and several models that answer as one.

Both work on what models say about a text, not on the models: nothing is trained.
"""

import numpy as np


def cache_probabilities(features: np.ndarray, words: np.ndarray, window: int, theta: float) -> np.ndarray:
    """How probable a cache of the last words makes each word: those that followed a similar state count.

    P(w_t) = Σ_i [w_i = w_t] softmax_i(θ h_i · h_t), over the `window` places i before t.

    Args:
        features: (tokens, features) float, h_t: what the model makes of all words before word t.
        words: (tokens,) integers, the words that came.
        window: how many places the cache holds.
        theta: how much more the similar ones count; 0 makes it the frequencies among the last words.

    Returns:
        (tokens,) float64 of the features' precision; the first is 0, since nothing stood before it.

    Raises:
        ValueError: a state is missing, or the cache holds nothing.

    Source:
        Grave, Joulin and Usunier 2017.
    """
    if features.ndim != 2 or len(features) != len(words):
        raise ValueError(f"each of the {len(words)} words needs a row of features; they have shape {features.shape}")
    if window < 1:
        raise ValueError(f"the cache must hold a word: window is {window}")
    result = np.zeros(len(words))
    block = max(64, window // 4)  # rows that share one product
    for start in range(0, len(words), block):
        stop, first = min(start + block, len(words)), max(0, start - window)
        scores = theta * (features[start:stop] @ features[first:stop].T)  # (rows, places)
        distance = np.arange(start, stop)[:, None] - np.arange(first, stop)  # (rows, places)
        scores[(distance < 1) | (distance > window)] = -np.inf
        with np.errstate(invalid="ignore"):  # the first word of all has no place to look at: −∞ − (−∞)
            weights = np.exp(scores - scores.max(axis=1, keepdims=True))
        same = words[start:stop, None] == words[first:stop]
        total = np.nansum(weights, axis=1, dtype=np.float64)
        result[start:stop] = np.nansum(weights * same, axis=1, dtype=np.float64) / np.where(total > 0, total, 1)
    return result


def mixture_weights(probabilities: np.ndarray, tolerance: float = 1e-9) -> np.ndarray:
    """The weights with which several models together are least surprised by a text, by expectation-maximisation.

    Args:
        probabilities: (models, tokens) what each model said about each word; take a text that is not the test's.
        tolerance: stops when no weight moves by more.

    Returns:
        (models,) float64, at least 0, with a sum of 1: the best there are, since Σ ln Σ_k λ_k P_k is concave in λ.

    Raises:
        ValueError: a word that every model calls impossible.

    Source:
        Jelinek and Mercer 1980.
    """
    if not (probabilities.max(axis=0) > 0).all():
        raise ValueError("there is a word that every model calls impossible")
    weights = np.full(len(probabilities), 1 / len(probabilities))
    while True:
        joint = weights[:, None] * probabilities  # (models, tokens)
        better = (joint / joint.sum(axis=0)).mean(axis=1)
        if np.abs(better - weights).max() <= tolerance:
            return better
        weights = better
