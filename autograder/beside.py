"""What a trained language model reaches together with others: a cache, an n-gram model, or itself as it goes on learning.

Everything that has to be chosen is chosen on the validation text; the test text is only judged.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from torch import nn

    from course.kit.corpora import Corpus

#: What can stand beside a model, and what it is.
WAYS = {
    "kn5": "mixed with a Kneser–Ney 5-gram model",
    "cache": "mixed with a cache of the last words",
    "dynamic": "goes on learning from the text it has been judged by",
}
_WINDOWS = (500, 2000)
_SHARPNESS = (2.0, 4.0, 8.0, 16.0, 32.0)  # θ times the mean of h · h
_RATES = (0.01, 0.03, 0.1, 0.3)
_TRIED = 10_000  # words of the validation text on which dynamic evaluation's rate is chosen


def judge(model: nn.Module, corpus: Corpus, ways: tuple[str, ...]) -> dict[str, Any]:
    """Judge a model with each of these ways, and mixed with all that can be mixed.

    Args:
        model: trained; see ``course.kit.language_models``.
        corpus: its text.
        ways: of :data:`WAYS`.

    Returns:
        ``test_ppl_kn5``, ``test_ppl_cache``, ``test_ppl_cache_kn5``, ``test_ppl_dynamic`` as far as they were asked for, each over
        every word of the test text, and ``chosen``, what the validation text chose.
    """
    from course.kit.language_models import read
    from solutions.neural_cache import cache_probabilities, mixture_weights

    end = corpus.vocabulary.end
    valid, test = (read(model, part, end=end) for part in (corpus.valid, corpus.test))
    parts: dict[str, tuple[np.ndarray, ...]] = {"": (np.exp(valid[1]), np.exp(test[1]))}
    result: dict[str, Any] = {}
    chosen: dict[str, Any] = {}
    if "cache" in ways:
        window, theta = chosen["cache"] = _choose_cache(corpus, *valid)
        parts["cache"] = tuple(
            cache_probabilities(features, words, window, theta)
            for (features, _), words in ((valid, corpus.valid), (test, corpus.test))
        )
    if "kn5" in ways:
        from solutions.ngrams import KneserNey

        counted = KneserNey(5).fit(corpus.train, len(corpus.vocabulary), end=end)
        parts["kn5"] = tuple(np.exp(counted.log_probabilities(part)) for part in (corpus.valid, corpus.test))
    others = [name for name in ("cache", "kn5") if name in parts]
    for count in range(1, len(others) + 1):
        for names in itertools.combinations(others, count):
            both = [np.stack([parts[name][k] for name in ("", *names)]) for k in range(2)]  # (models, tokens) each
            weights = mixture_weights(both[0])
            label = "_".join(names)
            chosen[f"shares_{label}"] = [round(float(w), 4) for w in weights]
            result[f"test_ppl_{label}"] = _perplexity(weights @ both[1])
    if "dynamic" in ways:
        from solutions.dynamic_evaluation import dynamic_log_probabilities

        few = corpus.valid[:_TRIED]
        rate = max(_RATES, key=lambda rate: dynamic_log_probabilities(model, few, rate, end=end).mean())
        chosen["rate"] = rate
        said = dynamic_log_probabilities(model, corpus.test, rate, end=end)
        result["test_ppl_dynamic"] = float(np.exp(-said.mean()))
    return result | {"chosen": chosen}


def _choose_cache(corpus: Corpus, features: np.ndarray, said: np.ndarray) -> tuple[int, float]:
    """Window and θ with which model and cache together are least surprised by the validation text."""
    from solutions.neural_cache import cache_probabilities, mixture_weights

    size = float(np.square(features).sum(axis=1).mean())

    def nats(window: int, theta: float) -> float:
        both = np.stack([np.exp(said), cache_probabilities(features, corpus.valid, window, theta)])
        return -float(np.log(mixture_weights(both, 1e-6) @ both).sum())

    tried = [(window, sharp / size) for window in _WINDOWS for sharp in _SHARPNESS]
    return min(tried, key=lambda setting: nats(*setting))


def _perplexity(probabilities: np.ndarray) -> float:
    return float(np.exp(-np.log(probabilities).mean()))
