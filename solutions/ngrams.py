"""Chapter 08: counting words, smoothing the counts, and what a number called perplexity says about the result."""

from __future__ import annotations

from typing import Self

import numpy as np


# ---- counting ----------------------------------------------------------------------------------------------------------
def count_ngrams(tokens: np.ndarray, order: int) -> tuple[np.ndarray, np.ndarray]:
    """Count all runs of `order` neighbouring words in a running text.

    Args:
        tokens: (tokens,) int64, word numbers.
        order: length n of the runs, at least 1.

    Returns:
        ngrams: (distinct, order) int64, each run once, sorted by its first word, then its second, and so on;
        counts: (distinct,) int64, how often each occurs. A text shorter than `order` gives (0, order) and (0,).

    Source:
        Deck A, count(·); deck B, "n-gram".
    """
    windows = np.lib.stride_tricks.sliding_window_view(tokens, order) if len(tokens) >= order else np.zeros((0, order))
    ngrams, counts = np.unique(windows.astype(np.int64), axis=0, return_counts=True)
    return ngrams, counts


def bigram_table(tokens: np.ndarray, vocabulary_size: int, end: int = 0) -> np.ndarray:
    """Count which word follows which: the bigrams of a text as a table, a context a row.

    Args:
        tokens: (tokens,) int64, word numbers; the first word follows an `end`.
        vocabulary_size: how many words there are.
        end: number of the word that ends a sentence.

    Returns:
        (vocabulary, vocabulary) int64: entry [v, w] is how often w comes right after v.
    """
    counts = np.zeros((vocabulary_size, vocabulary_size), dtype=np.int64)
    np.add.at(counts, (np.concatenate([[end], tokens[:-1]]), tokens), 1)
    return counts


def perplexity(probabilities: np.ndarray) -> float:
    """Say among how many equally probable words a model has to choose, on average over a text.

    Args:
        probabilities: (tokens,) float64, at least one: what the model gave each word of the text that came; there may be
            thousands, and their product may be too small for a float64.

    Returns:
        P(w₁ … w_m)^(−1/m), where P is the product of all m probabilities; infinity, without a floating-point warning, if
        one of them is 0.

    Source:
        Deck A, "evaluating language models".
    """
    if np.any(probabilities == 0):
        return float("inf")
    return float(np.exp(-np.mean(np.log(probabilities))))


def smoothed_bigrams(counts: np.ndarray, k: float, weight: float) -> np.ndarray:
    """Turn counted bigrams into probabilities: k more of each, then mixed with the words' own frequencies.

    P(w|v) = weight · (C(v, w) + k) / (C(v) + k·V) + (1 − weight) · C(w) / N, where C(v) is the sum of row v, C(w) the sum
    of column w, and N the sum of the table. A row whose first fraction is 0/0 gets C(w) / N alone.

    Args:
        counts: (vocabulary, vocabulary) int64, entry [v, w] counts w after v; not all 0.
        k: what is added to every count, at least 0.
        weight: share of the bigrams, from 0 to 1.

    Returns:
        (vocabulary, vocabulary) float64: row v holds P(·|v) and sums to 1; no floating-point warning on the way.

    Source:
        Laplace and Lidstone (add-k); Jelinek and Mercer 1980 (interpolation).
    """
    frequency = counts.sum(axis=0) / counts.sum()  # (vocabulary,)
    above = counts + k  # (vocabulary, vocabulary)
    below = above.sum(axis=1, keepdims=True)  # (vocabulary, 1)
    share = np.where(below > 0, weight, 0.0)  # (vocabulary, 1)
    return share * above / np.where(below > 0, below, 1) + (1 - share) * frequency


def kneser_ney_bigrams(counts: np.ndarray, discount: float) -> np.ndarray:
    """Turn counted bigrams into probabilities by interpolated Kneser–Ney smoothing.

    P(w|v) = max(C(v, w) − D, 0) / C(v) + D · (different words after v) / C(v) · P_company(w), where
    P_company(w) = (different words before w) / (different bigrams). After a v that was never seen, P_company(w) alone.

    Args:
        counts: (vocabulary, vocabulary) int64, entry [v, w] counts w after v; not all 0.
        discount: D, above 0 and at most 1.

    Returns:
        (vocabulary, vocabulary) float64: row v holds P(·|v) and sums to 1; no floating-point warning on the way.

    Source:
        Kneser and Ney 1995, in the interpolated form of Chen and Goodman 1999.
    """
    seen = counts > 0  # (vocabulary, vocabulary)
    company = seen.sum(axis=0) / seen.sum()  # (vocabulary,)
    total = counts.sum(axis=1, keepdims=True)  # (vocabulary, 1)
    below = np.maximum(total, 1)
    kept = np.maximum(counts - discount, 0) / below  # (vocabulary, vocabulary)
    freed = np.where(total > 0, discount * seen.sum(axis=1, keepdims=True) / below, 1.0)  # (vocabulary, 1)
    return kept + freed * company


def sample_words(logits: np.ndarray, temperature: float, draws: np.ndarray) -> np.ndarray:
    """Choose words from a distribution, with random numbers that are given.

    The probabilities are softmax(logits / temperature). Lay them side by side on [0, 1), word 0 first; a draw chooses the
    word on whose piece it falls, and a piece holds its left end but not its right one.

    Args:
        logits: (vocabulary,) float64, scores or logarithms of probabilities; −∞ for an impossible word; |logits| may
            be 1,000.
        temperature: at least 0; 0 stands for the limit: always the word with the largest logit, the first of equals.
        draws: (count,) float64, uniform in [0, 1).

    Returns:
        (count,) int64: one word number a draw.

    Raises:
        ValueError: the temperature is negative.

    Source:
        Inverse transform sampling; temperature as in chapter 4.
    """
    if temperature < 0:
        raise ValueError(f"a temperature is at least 0, not {temperature}")
    if temperature == 0:
        return np.full(len(draws), np.argmax(logits))
    scores = np.exp((logits - logits.max()) / temperature)  # (vocabulary,), the largest is 1
    ends = np.cumsum(scores) / scores.sum()  # (vocabulary,): where each piece ends
    return np.minimum(np.searchsorted(ends, draws, side="right"), np.flatnonzero(scores)[-1])


# ---- any order ---------------------------------------------------------------------------------------------------------
class KneserNey:
    """Interpolated Kneser–Ney n-gram model of any order.

    The highest order counts how often an n-gram occurs, every lower one in how many different words' company it
    occurs; n-grams at the start of a sentence have no company on their left and count as often as they occur.
    Contexts do not cross sentences, the end of a sentence is predicted, its start only serves as context.

    Args:
        order: length n of the n-grams, at least 1.
        modified: three discounts an order, for counts 1, 2 and more (Chen and Goodman); else one.

    Source:
        Kneser and Ney 1995; Chen and Goodman 1999, sections 2.7 and 3.2; Heafield et al. 2013 for the sentence starts.
    """

    def __init__(self, order: int, modified: bool = True) -> None:
        if order < 1:
            raise ValueError(f"an n-gram has at least one word, not {order}")
        self.order, self.modified = order, modified
        #: For each order k: keys, ascending (first word · how many (k − 1)-grams + number of the other words); what is kept of
        #: each k-gram's relative frequency; and the weight of the lower order after each context, 1 where nothing followed.
        self.levels: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []

    def fit(self, tokens: np.ndarray, vocabulary_size: int, end: int = 0) -> Self:
        """Count the n-grams of a text, and turn the counts into probabilities.

        Args:
            tokens: (tokens,) integers from 0 to vocabulary_size − 1; every sentence ends with `end`.
            vocabulary_size: how many words can be predicted, `end` among them.
            end: number of the word that ends a sentence.

        Returns:
            The model itself.

        Raises:
            ValueError: there is no token, or one outside the vocabulary.
        """
        tokens = np.asarray(tokens)
        if not len(tokens) or tokens.min() < 0 or tokens.max() >= vocabulary_size:
            raise ValueError(f"the text must hold tokens from 0 to {vocabulary_size - 1}")
        self.size, self.end, self.levels = vocabulary_size, end, []
        stream, place = self._stream(tokens)
        number, sizes = (
            stream,
            [1, vocabulary_size + 1],
        )  # number of the k-gram that ends at each place; the start is one
        keys, grams = np.arange(vocabulary_size + 1), number[place > 0]
        occurs = np.bincount(grams, minlength=vocabulary_size + 1)  # (1-grams,)
        before = np.zeros_like(stream)  # number of the context before each place; without words there is one context
        for k in range(1, self.order + 1):
            context = np.zeros(len(keys), dtype=np.int64)
            context[grams] = before[place >= max(k - 1, 1)]
            if k == self.order:
                count = occurs
            else:
                ends = place >= k  # where a (k + 1)-gram ends
                longer = stream[np.flatnonzero(ends) - k] * sizes[k] + number[ends]
                longer_keys, longer_grams, longer_occurs = np.unique(longer, return_inverse=True, return_counts=True)
                companions = np.bincount(longer_keys % sizes[k], minlength=sizes[k])  # distinct words on the left
                at_start = (keys // sizes[k - 1] == vocabulary_size) if k > 1 else np.zeros(len(keys), dtype=bool)
                count = np.where(at_start, occurs, companions)
            self.levels.append(self._level(keys, count, context, sizes[k - 1]))
            if k < self.order:
                before = np.concatenate([[-1], number[:-1]])
                number = np.full(len(stream), -1)
                number[ends] = longer_grams
                keys, grams, occurs = longer_keys, longer_grams, longer_occurs
                sizes.append(len(keys))
        return self

    @property
    def parameters(self) -> int:
        """How many n-grams of all orders the model keeps a number for."""
        return sum(len(keys) for keys, _, _ in self.levels)

    def log_probabilities(self, tokens: np.ndarray) -> np.ndarray:
        """Natural logarithms of the probabilities of all tokens of a text that starts a sentence.

        Args:
            tokens: (tokens,) integers, as for `fit`.

        Returns:
            (tokens,) float64: log P(token | the tokens before it in its sentence).
        """
        stream, place = self._stream(np.asarray(tokens))
        probability = self._lowest(stream)
        number = stream
        for k, (keys, kept, backoff) in enumerate(self.levels[1:], 2):
            before = np.concatenate([[-1], number[:-1]])
            first = np.concatenate([np.full(k - 1, -1), stream])[: len(stream)]
            number = self._find(keys, first, np.where(place >= k - 1, number, -1), len(self.levels[k - 2][0]))
            reached = (place >= k - 1) & (before >= 0)
            own = np.where(reached & (number >= 0), kept[number], 0.0)
            probability = own + np.where(reached, backoff[before], 1.0) * probability
        logarithms: np.ndarray = np.log(probability[place > 0])
        return logarithms

    def distribution(self, context: np.ndarray) -> np.ndarray:
        """Probabilities of every word after a context.

        Args:
            context: (tokens,) integers: a text that starts a sentence; its last words since an `end` count.

        Returns:
            (vocabulary,) float64, positive, summing to 1.
        """
        stream, place = self._stream(np.asarray(context, dtype=np.int64), last=True)
        history = stream[len(stream) - 1 - place[-1] :][-(self.order - 1) :] if self.order > 1 else stream[:0]
        number = np.arange(self.size)  # number of the k-gram: context, then each word
        probability = self._lowest(number)
        before = np.full(1, history[-1]) if len(history) else np.full(1, -1)
        for k in range(2, len(history) + 2):
            (keys, kept, backoff), below = self.levels[k - 1], len(self.levels[k - 2][0])
            number = self._find(keys, history[-(k - 1)], number, below)
            probability = np.where(number >= 0, kept[number], 0.0) + backoff[before] * probability
            if k <= len(history):
                before = self._find(keys, history[-k], before, below)
            if before[0] < 0:
                break
        return probability

    def _stream(self, tokens: np.ndarray, last: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """The text with a start before every sentence, and each entry's place in its sentence, 0 for the start."""
        starts = np.concatenate([[0], np.flatnonzero(tokens == self.end) + 1])
        if not last:
            starts = starts[starts < len(tokens)]
        stream = np.insert(tokens.astype(np.int64), starts, self.size)
        at = np.flatnonzero(stream == self.size)
        place = np.arange(len(stream)) - np.repeat(at, np.diff(np.append(at, len(stream))))
        return stream, place

    def _level(
        self, keys: np.ndarray, count: np.ndarray, context: np.ndarray, contexts: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        discount = self.discounts(count)[np.minimum(count, 3)]
        total = np.bincount(context, weights=count, minlength=contexts)
        taken = np.bincount(context, weights=discount, minlength=contexts)
        with np.errstate(invalid="ignore"):
            backoff = np.where(total > 0, taken / total, 1.0)
            kept = np.where(count > 0, (count - discount) / total[context], 0.0)
        return keys, kept, backoff

    def discounts(self, count: np.ndarray) -> np.ndarray:
        """What is taken off counts 0, 1, 2 and more, from how many n-grams have the counts 1 to 4.

        Args:
            count: (n-grams,) integers.

        Returns:
            (4,) float64; where a text is too small to tell (a count from 1 to 4 that no n-gram has, or a discount
            outside [0, count]), ½, 1 and 1½, or ½ for all when not modified.
        """
        n = np.bincount(np.minimum(count, 5), minlength=6).astype(float)
        one, two, more = 0.5, 1.0, 1.5
        if not self.modified:
            one = two = more = n[1] / (n[1] + 2 * n[2]) if n[1] else 0.5
        elif n[1:5].all():
            y = n[1] / (n[1] + 2 * n[2])
            estimate = [i - (i + 1) * y * n[i + 1] / n[i] for i in (1, 2, 3)]
            if all(0 <= d <= i for i, d in enumerate(estimate, 1)):
                one, two, more = estimate
        return np.array([0.0, one, two, more])

    @staticmethod
    def _find(keys: np.ndarray, first: np.ndarray, rest: np.ndarray, rests: int) -> np.ndarray:
        """Numbers of n-grams, −1 for an unseen one; `rest` holds the numbers of their words but the first."""
        key = first * rests + rest
        place = np.minimum(np.searchsorted(keys, key), len(keys) - 1)
        return np.where((rest >= 0) & (keys[place] == key), place, -1)

    def _lowest(self, words: np.ndarray) -> np.ndarray:
        """The order of single words, mixed with the uniform distribution."""
        probability: np.ndarray = self.levels[0][1][words] + self.levels[0][2][0] / self.size
        return probability
