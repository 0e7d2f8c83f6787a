"""Exercises of chapter 08: counting words, smoothing, perplexity, sampling, and Bengio's network by hand."""

from collections import Counter
from collections.abc import Iterator

import numpy as np

from autograder.exercise import Case, case, exercise, explanation
from solutions import feedforward_lm as network
from solutions import ngrams as ref

#: "the cat sat", "the cat ate", "a dog sat", each with its end: <eos> 0, a 1, ate 2, cat 3, dog 4, sat 5, the 6.
WORKED = np.array([6, 3, 5, 0, 6, 3, 2, 0, 1, 4, 5, 0])


# ---- count_ngrams ----------------------------------------------------------------------------------------------------
@exercise(ref.count_ngrams, points=2, returns=("ngrams", "counts"))
def count_ngrams(rng: np.random.Generator) -> Iterator[Case]:
    """Count every run of n neighbouring words."""
    yield case("the chapter's three sentences, pairs", tokens=WORKED, order=2)
    yield case("the chapter's three sentences, single words", tokens=WORKED, order=1)
    yield case("one word four times", tokens=np.array([1, 1, 1, 1]), order=2)
    for length, words, order in [(60, 4, 3), (40, 3, 4), (25, 30, 2)]:
        yield case(tokens=rng.integers(0, words, size=length), order=order)
    yield case("as long as the run", tokens=np.array([2, 0, 1]), order=3)
    yield case("shorter than the run", tokens=np.array([2, 0]), order=3)


@count_ngrams.mistake(
    "The runs stand end to end, as if the text were cut into pieces. Every word but the last few begins a run: by how "
    "many words does the window move on?"
)
def cuts_the_text_into_pieces(tokens, order):
    windows = [tuple(tokens[i : i + order]) for i in range(0, len(tokens) - order + 1, order)]
    counted = sorted(Counter(windows).items())
    return (
        np.array([g for g, _ in counted], dtype=np.int64).reshape(-1, order),
        np.array([c for _, c in counted], dtype=np.int64),
    )


@count_ngrams.mistake(
    "The last run is missing. The window still fits when its last word is the text's last word: how many places are there "
    "for it?"
)
def misses_the_last_window(tokens, order):
    windows = [tuple(tokens[i : i + order]) for i in range(len(tokens) - order)]
    counted = sorted(Counter(windows).items())
    return (
        np.array([g for g, _ in counted], dtype=np.int64).reshape(-1, order),
        np.array([c for _, c in counted], dtype=np.int64),
    )


@count_ngrams.mistake(
    'The words inside a run have been sorted, so that "dog bites" and "bites dog" fall together. Only the list of runs is '
    "sorted; inside a run the order of the text stays."
)
def forgets_the_order_inside(tokens, order):
    windows = [tuple(sorted(tokens[i : i + order])) for i in range(len(tokens) - order + 1)]
    counted = sorted(Counter(windows).items())
    return (
        np.array([g for g, _ in counted], dtype=np.int64).reshape(-1, order),
        np.array([c for _, c in counted], dtype=np.int64),
    )


@count_ngrams.mistake(
    "The runs are one word too short: n words, not n − 1 (that is the context alone). What is `order` for pairs?"
)
def counts_the_contexts(tokens, order):
    windows = [tuple(tokens[i : i + order - 1]) for i in range(len(tokens) - order + 2)]
    counted = sorted(Counter(windows).items())
    return (
        np.array([g for g, _ in counted], dtype=np.int64).reshape(len(counted), -1),
        np.array([c for _, c in counted], dtype=np.int64),
    )


@count_ngrams.mistake(
    "The counts are right, but the runs are in the order in which the text brings them. Sort them by the numbers of their "
    "words, the first word first."
)
def in_the_order_of_the_text(tokens, order):
    counted = Counter(tuple(tokens[i : i + order]) for i in range(len(tokens) - order + 1))
    return (
        np.array(list(counted), dtype=np.int64).reshape(-1, order),
        np.array(list(counted.values()), dtype=np.int64),
    )


@count_ngrams.mistake(
    "Each run counts as 1, however often it occurs. `ngrams` lists each run once; `counts` says how many times it stands "
    "in the text."
)
def only_whether_it_occurs(tokens, order):
    windows = sorted({tuple(tokens[i : i + order]) for i in range(len(tokens) - order + 1)})
    return np.array(windows, dtype=np.int64).reshape(-1, order), np.ones(len(windows), dtype=np.int64)


@count_ngrams.variant
def with_a_counter(tokens, order):
    counted = Counter(zip(*(tokens[i:].tolist() for i in range(order)), strict=False))
    ranked = sorted(counted)
    return np.array(ranked, dtype=np.int64).reshape(-1, order), np.array([counted[g] for g in ranked], dtype=np.int64)


@count_ngrams.variant
def with_a_dictionary(tokens, order):
    found = {}
    for start in range(len(tokens) - order + 1):
        gram = tuple(int(word) for word in tokens[start : start + order])
        found[gram] = found.get(gram, 0) + 1
    ngrams = np.zeros((len(found), order), dtype=np.int64)
    counts = np.zeros(len(found), dtype=np.int64)
    for row, gram in enumerate(sorted(found)):
        ngrams[row], counts[row] = gram, found[gram]
    return ngrams, counts


@count_ngrams.variant
def with_stacked_columns(tokens, order):
    places = len(tokens) - order + 1
    if places < 1:
        return np.zeros((0, order), dtype=np.int64), np.zeros(0, dtype=np.int64)
    windows = np.stack([tokens[i : i + places] for i in range(order)], axis=1)
    windows = windows[np.lexsort(windows.T[::-1])]
    new = np.concatenate([[True], (windows[1:] != windows[:-1]).any(axis=1)])
    starts = np.flatnonzero(new)
    return windows[starts], np.diff(np.append(starts, len(windows)))


# ---- perplexity ------------------------------------------------------------------------------------------------------
@exercise(ref.perplexity, points=2, returns=("value", "numeric_warning"))
def perplexity(rng: np.random.Generator) -> Iterator[Case]:
    """Say among how many equally probable words a model has to choose."""
    yield case("the chapter's sentence", probabilities=np.array([3 / 10, 1 / 9, 2 / 8, 3 / 9]))
    yield case("always 1 in 50", probabilities=np.full(7, 0.02))
    yield case("one word", probabilities=rng.uniform(0.01, 0.9, size=1))
    yield case("always sure and right", probabilities=np.ones(3))
    for count in (2, 9, 40):
        yield case(probabilities=rng.uniform(0.001, 1, size=count))
    yield case("a long text", probabilities=rng.uniform(1e-6, 0.1, size=5000))
    yield case("an impossible word", probabilities=np.array([0.5, 0.0, 0.25]))


@perplexity.probe
def perplexity_while_listening(student, probabilities):
    heard = []
    with np.errstate(over="call", divide="call", invalid="call", call=lambda kind, flag: heard.append(kind)):
        value = student(probabilities)
    return float(value), len(heard) > 0


@perplexity.mistake(
    "For a long text the product of all probabilities is too small for a float64 and becomes 0. A product's logarithm is "
    "the sum of the logarithms: that stays an ordinary number."
)
def product_runs_out_of_digits(probabilities):
    product = float(np.prod(probabilities))
    return float("inf") if product == 0 else product ** (-1 / len(probabilities))


@perplexity.mistake(
    "This is the inverse of the perplexity: the geometric mean of the probabilities, at most 1. A perplexity is a number of "
    "choices, at least 1. Which sign has the exponent −1/m?"
)
def upside_down(probabilities):
    with np.errstate(all="ignore"):
        return float(np.exp(np.mean(np.log(probabilities))))


@perplexity.mistake(
    "This is the mean of 1/p. One rare word weighs far too much in it: the definition multiplies, so the mean is taken of "
    "the logarithms."
)
def mean_of_the_inverses(probabilities):
    return float("inf") if (probabilities == 0).any() else float(np.mean(1 / probabilities))


@perplexity.mistake(
    "The logarithms are added up but not averaged, so a longer text looks worse. The m-th root divides their sum by m: "
    "that makes it a number for one word."
)
def without_the_root(probabilities):
    with np.errstate(all="ignore"):
        return float(np.exp(-np.sum(np.log(probabilities))))


@perplexity.mistake(
    "This is the cross-entropy, in nats a word. Perplexity is its exponential, with the base of the logarithm."
)
def stays_in_nats(probabilities):
    return float("inf") if (probabilities == 0).any() else float(-np.mean(np.log(probabilities)))


@perplexity.mistake(
    "The impossible word has been left out. Then a model could look good by calling impossible whatever it does not know; "
    "one probability of 0 makes the perplexity infinite."
)
def skips_the_impossible(probabilities):
    return float(np.exp(-np.mean(np.log(probabilities[probabilities > 0]))))


@perplexity.variant
def with_base_two(probabilities):
    if 0 in probabilities:
        return np.inf
    return 2 ** float(-np.log2(probabilities).sum() / len(probabilities))


@perplexity.variant
def silenced(probabilities):
    with np.errstate(divide="ignore"):
        return np.exp(-np.log(probabilities).mean())


@perplexity.variant
def root_of_each_factor(probabilities):
    product = float(np.prod(probabilities ** (1 / len(probabilities))))
    return 1 / product if product > 0 else float("inf")


# ---- smoothed_bigrams ------------------------------------------------------------------------------------------------
@exercise(ref.smoothed_bigrams, points=3, returns=("probabilities", "numeric_warning"))
def smoothed_bigrams(rng: np.random.Generator) -> Iterator[Case]:
    """Turn counted pairs into probabilities that forget nobody."""
    table = ref.bigram_table(WORKED, 7)
    yield case("the chapter's table, add one", counts=table, k=1.0, weight=1.0)
    yield case("the chapter's table, half and half", counts=table, k=0.0, weight=0.5)
    for words, k, weight in [(3, 0.5, 0.7), (5, 0.01, 0.9), (4, 2.0, 0.25)]:
        counts = rng.integers(0, 4, size=(words, words))
        counts[rng.integers(words)] = 0
        counts[0, 1] += 3
        yield case(counts=counts, k=k, weight=weight)
    counts = rng.integers(1, 6, size=(4, 4))
    counts[2] = 0
    yield case("nothing follows word 2, nothing added", counts=counts, k=0.0, weight=0.6)
    yield case("only single words", counts=counts, k=0.0, weight=0.0)
    yield case("only pairs, nothing added", counts=counts, k=0.0, weight=1.0)


@smoothed_bigrams.probe
def smooth_while_listening(student, counts, k, weight):
    heard = []
    with np.errstate(over="call", divide="call", invalid="call", call=lambda kind, flag: heard.append(kind)):
        value = student(counts, k, weight)
    return value, len(heard) > 0


@smoothed_bigrams.mistake(
    "k is added above the line but not below, so the rows add up to more than 1. Every one of the V words gets k: by how "
    "much does the row's sum grow?"
)
def adds_k_above_the_line_only(counts, k, weight):
    total = counts.sum(axis=1, keepdims=True)
    first = np.divide(counts + k, total, out=np.zeros(counts.shape), where=total > 0)
    share = np.where(total + k > 0, weight, 0.0)
    return share * first + (1 - share) * counts.sum(axis=0) / counts.sum()


@smoothed_bigrams.mistake(
    "Below the line k is added once. Each of the V words of a row gets k, so the row's sum grows by k·V."
)
def adds_k_once_below_the_line(counts, k, weight):
    below = counts.sum(axis=1, keepdims=True) + k
    first = np.divide(counts + k, below, out=np.zeros(counts.shape), where=below > 0)
    share = np.where(below > 0, weight, 0.0)
    return share * first + (1 - share) * counts.sum(axis=0) / counts.sum()


@smoothed_bigrams.mistake(
    "The columns have been divided by their sums. A row is a context: given v, the probabilities of all w along the row "
    "add up to 1."
)
def divides_the_columns(counts, k, weight):
    above = counts + k
    below = above.sum(axis=0, keepdims=True)
    share = np.where(above.sum(axis=1, keepdims=True) > 0, weight, 0.0)
    first = np.divide(above, below, out=np.zeros(counts.shape), where=below > 0)
    return share * first + (1 - share) * counts.sum(axis=0) / counts.sum()


@smoothed_bigrams.mistake(
    "The mixed-in frequency is that of the contexts: C(w) sums column w (how often w comes), not row w (how often "
    "something follows it)."
)
def frequency_of_the_contexts(counts, k, weight):
    above = counts + k
    below = above.sum(axis=1, keepdims=True)
    share = np.where(below > 0, weight, 0.0)
    return share * above / np.where(below > 0, below, 1) + (1 - share) * counts.sum(axis=1) / counts.sum()


@smoothed_bigrams.mistake("The two weights are swapped: `weight` belongs to the pairs, 1 − weight to the single words.")
def weights_swapped(counts, k, weight):
    above = counts + k
    below = above.sum(axis=1, keepdims=True)
    share = np.where(below > 0, 1 - weight, 0.0)
    return share * above / np.where(below > 0, below, 1) + (1 - share) * counts.sum(axis=0) / counts.sum()


@smoothed_bigrams.mistake(
    "With k = 0, a context after which nothing was seen gives 0/0. Its row has to hold C(w) / N alone, the frequencies of "
    "single words with the whole weight."
)
def zero_by_zero(counts, k, weight):
    above = counts + k
    with np.errstate(all="ignore"):
        first = above / above.sum(axis=1, keepdims=True)
    return weight * first + (1 - weight) * counts.sum(axis=0) / counts.sum()


@smoothed_bigrams.variant
def row_by_row(counts, k, weight):
    words = len(counts)
    single = counts.sum(axis=0) / counts.sum()
    result = np.zeros((words, words))
    for v in range(words):
        total = counts[v].sum() + k * words
        if total == 0:
            result[v] = single
        else:
            result[v] = weight * (counts[v] + k) / total + (1 - weight) * single
    return result


@smoothed_bigrams.variant
def mended_afterwards(counts, k, weight):
    single = counts.sum(0) / counts.sum()
    with np.errstate(invalid="ignore"):
        pairs = (counts + k) / (counts.sum(1)[:, None] + k * counts.shape[1])
    mixed = weight * pairs + (1 - weight) * single[None, :]
    mixed[np.isnan(pairs).any(axis=1)] = single
    return mixed


@smoothed_bigrams.variant
def word_pair_by_word_pair(counts, k, weight):
    words, everything = len(counts), counts.sum()
    result = []
    for v in range(words):
        mass = float(counts[v].sum()) + k * words
        row = []
        for w in range(words):
            single = sum(counts[u][w] for u in range(words)) / everything
            row.append(single if mass == 0 else weight * ((counts[v][w] + k) / mass) + (1 - weight) * single)
        result.append(row)
    return np.array(result)


# ---- kneser_ney_bigrams ----------------------------------------------------------------------------------------------
@exercise(ref.kneser_ney_bigrams, points=4, returns=("probabilities", "numeric_warning"))
def kneser_ney_bigrams(rng: np.random.Generator) -> Iterator[Case]:
    """Fall back on the words that keep much company, not on those that are frequent."""
    yield case("the chapter's table", counts=ref.bigram_table(WORKED, 7), discount=0.5)
    for words, discount in [(4, 0.75), (6, 0.4), (3, 1.0)]:
        counts = rng.integers(0, 3, size=(words, words)) * rng.integers(1, 9, size=(words, words))
        counts[0, 1:3] = 3, 0
        counts[1, 0] = 5
        yield case(counts=counts, discount=discount)
    counts = rng.integers(0, 3, size=(5, 5)) * rng.integers(1, 9, size=(5, 5))
    counts[3], counts[:, 1] = 0, 0
    counts[2, 0], counts[0, 2] = 40, 1
    yield case("nothing follows word 3, nothing precedes word 1", counts=counts, discount=0.6)


@kneser_ney_bigrams.probe
def kneser_ney_while_listening(student, counts, discount):
    heard = []
    with np.errstate(over="call", divide="call", invalid="call", call=lambda kind, flag: heard.append(kind)):
        value = student(counts, discount)
    return value, len(heard) > 0


@kneser_ney_bigrams.mistake(
    "The lower order is the words' frequency, so a word that is frequent after a single context is thrown in everywhere. "
    "Kneser–Ney counts in how many different contexts a word was seen, not how often."
)
def falls_back_on_frequency(counts, discount):
    total = counts.sum(axis=1, keepdims=True)
    types = (counts > 0).sum(axis=1, keepdims=True)
    company = counts.sum(axis=0) / counts.sum()
    below = np.maximum(total, 1)
    return np.maximum(counts - discount, 0) / below + np.where(total > 0, discount * types / below, 1.0) * company


@kneser_ney_bigrams.mistake(
    "What is given to the lower order is D / C(v), as if one count had been discounted. D came off every different word "
    "after v: how many are these?"
)
def frees_one_discount_a_row(counts, discount):
    total = counts.sum(axis=1, keepdims=True)
    company = (counts > 0).sum(axis=0) / (counts > 0).sum()
    below = np.maximum(total, 1)
    return np.maximum(counts - discount, 0) / below + np.where(total > 0, discount / below, 1.0) * company


@kneser_ney_bigrams.mistake(
    "D was taken off the zeros as well, so some probabilities are too small or negative. What was never seen has nothing "
    "to give: max(C − D, 0)."
)
def discounts_the_zeros(counts, discount):
    total = counts.sum(axis=1, keepdims=True)
    types = (counts > 0).sum(axis=1, keepdims=True)
    company = (counts > 0).sum(axis=0) / (counts > 0).sum()
    below = np.maximum(total, 1)
    kept = np.where(total > 0, (counts - discount) / below, 0.0)
    return kept + np.where(total > 0, discount * types / below, 1.0) * company


@kneser_ney_bigrams.mistake(
    "The company was counted on the wrong side: how many different words come after w. As the next word, w is met from "
    "its left: how many different words come before it?"
)
def company_on_the_wrong_side(counts, discount):
    total = counts.sum(axis=1, keepdims=True)
    types = (counts > 0).sum(axis=1, keepdims=True)
    company = (counts > 0).sum(axis=1) / (counts > 0).sum()
    below = np.maximum(total, 1)
    return np.maximum(counts - discount, 0) / below + np.where(total > 0, discount * types / below, 1.0) * company


@kneser_ney_bigrams.mistake(
    "What the discount frees is given to nobody: the rows add up to less than 1 and unseen pairs stay impossible. Add the "
    "lower order, with the freed mass as its weight."
)
def keeps_what_it_freed(counts, discount):
    total = counts.sum(axis=1, keepdims=True)
    company = (counts > 0).sum(axis=0) / (counts > 0).sum()
    return np.where(total > 0, np.maximum(counts - discount, 0) / np.maximum(total, 1), company)


@kneser_ney_bigrams.mistake(
    "The lower order is used for unseen pairs only. In the interpolated form every pair gets its share of it, the seen "
    "ones too, or the rows do not add up to 1."
)
def falls_back_for_unseen_pairs_only(counts, discount):
    total = counts.sum(axis=1, keepdims=True)
    types = (counts > 0).sum(axis=1, keepdims=True)
    company = (counts > 0).sum(axis=0) / (counts > 0).sum()
    below = np.maximum(total, 1)
    freed = np.where(total > 0, discount * types / below, 1.0)
    return np.where(counts > 0, (counts - discount) / below, freed * company)


@kneser_ney_bigrams.variant
def one_context_at_a_time(counts, discount):
    words = len(counts)
    before = [sum(counts[v, w] > 0 for v in range(words)) for w in range(words)]
    company = np.array(before) / sum(before)
    rows = []
    for row in counts:
        if row.sum() == 0:
            rows.append(company)
            continue
        freed = discount * np.count_nonzero(row) / row.sum()
        rows.append(np.clip(row - discount, 0, None) / row.sum() + freed * company)
    return np.array(rows)


@kneser_ney_bigrams.variant
def freed_is_what_is_left(counts, discount):
    company = np.count_nonzero(counts, axis=0) / np.count_nonzero(counts)
    total = counts.sum(axis=1)
    kept = np.zeros(counts.shape)
    known = total > 0
    kept[known] = np.where(counts[known] > 0, counts[known] - discount, 0) / total[known, None]
    return kept + np.outer(1 - kept.sum(axis=1), company)


@kneser_ney_bigrams.variant
def with_sets_and_dictionaries(counts, discount):
    pairs = {(v, w): int(counts[v, w]) for v, w in np.argwhere(counts)}
    before = Counter(w for _, w in pairs)
    after = Counter(v for v, _ in pairs)
    company = np.array([before[w] / len(pairs) for w in range(len(counts))])
    result = np.tile(company, (len(counts), 1))
    for v in after:
        total = counts[v].sum()
        result[v] *= discount * after[v] / total
    for (v, w), count in pairs.items():
        result[v, w] += (count - discount) / counts[v].sum()
    return result


# ---- sample_words ----------------------------------------------------------------------------------------------------
@exercise(ref.sample_words, points=3)
def sample_words(rng: np.random.Generator) -> Iterator[Case]:
    """Choose words with the probabilities of a model, from random numbers that are given."""
    yield case("four equal words", logits=np.zeros(4), temperature=1.0, draws=np.array([0.0, 0.1, 0.25, 0.5, 0.99]))
    for words, temperature in [(5, 1.0), (7, 0.5), (6, 3.0)]:
        yield case(logits=2 * rng.normal(size=words), temperature=temperature, draws=rng.random(60))
    yield case("large scores", logits=np.array([1000.0, 999.0, -1000.0]), temperature=1.0, draws=rng.random(9))
    yield case("nearly greedy", logits=np.array([990.0, 1000.0, 999.0]), temperature=0.05, draws=rng.random(9))
    impossible = np.array([-np.inf, 0.0, -np.inf, 1.0, -np.inf])
    yield case("impossible words", logits=impossible, temperature=2.0, draws=np.array([0.0, 0.3, 0.6, 1 - 2.0**-53]))
    # Ten times 0.1 adds up to a little less than 1, and this draw falls into the gap.
    yield case(
        "an impossible last word",
        logits=np.append(np.zeros(10), -np.inf),
        temperature=1.0,
        draws=np.array([1 - 2.0**-53]),
    )
    yield case("temperature 0", logits=np.array([0.5, 2.0, -1.0, 2.0]), temperature=0.0, draws=rng.random(5))
    yield case("negative temperature", logits=np.zeros(3), temperature=-1.0, draws=rng.random(2))


@sample_words.mistake(
    "The logits are multiplied by the temperature. Dividing makes a high temperature flatten the distribution and a low "
    "one sharpen it; this does the opposite."
)
def multiplies_by_the_temperature(logits, temperature, draws):
    if temperature < 0:
        raise ValueError("negative")
    if temperature == 0:
        return np.full(len(draws), np.argmax(logits))
    scores = np.exp((logits - logits.max()) * temperature)
    return np.searchsorted(np.cumsum(scores) / scores.sum(), draws, side="right")


@sample_words.mistake("The temperature has no effect. It divides the logits before the softmax.")
def without_the_temperature(logits, temperature, draws):
    if temperature < 0:
        raise ValueError("negative")
    if temperature == 0:
        return np.full(len(draws), np.argmax(logits))
    scores = np.exp(logits - logits.max())
    return np.searchsorted(np.cumsum(scores) / scores.sum(), draws, side="right")


@sample_words.mistake(
    "The probabilities were divided by the temperature after the softmax; normalising takes that away again. The division "
    "belongs in the exponent."
)
def divides_the_probabilities(logits, temperature, draws):
    if temperature < 0:
        raise ValueError("negative")
    if temperature == 0:
        return np.full(len(draws), np.argmax(logits))
    scores = np.exp(logits - logits.max())
    scores = scores / scores.sum() / temperature
    return np.minimum(np.searchsorted(np.cumsum(scores), draws, side="right"), len(logits) - 1)


@sample_words.mistake(
    "The draws are not used: every word is the most probable one. That is temperature 0; at a positive temperature a draw "
    "decides."
)
def always_the_most_probable(logits, temperature, draws):
    if temperature < 0:
        raise ValueError("negative")
    return np.full(len(draws), np.argmax(logits))


@sample_words.mistake(
    "A draw on the boundary of two pieces falls to the left one, so a draw of 0 can choose an impossible first word. A "
    "piece holds its left end and not its right one."
)
def boundary_to_the_left(logits, temperature, draws):
    if temperature < 0:
        raise ValueError("negative")
    if temperature == 0:
        return np.full(len(draws), np.argmax(logits))
    scores = np.exp((logits - logits.max()) / temperature)
    return np.minimum(np.searchsorted(np.cumsum(scores) / scores.sum(), draws, side="left"), len(logits) - 1)


@sample_words.mistake(
    "exp(1000) overflows and ∞/∞ is NaN. Taking the largest logit off all of them changes no probability."
)
def overflows(logits, temperature, draws):
    if temperature < 0:
        raise ValueError("negative")
    if temperature == 0:
        return np.full(len(draws), np.argmax(logits))
    with np.errstate(all="ignore"):
        scores = np.exp(logits / temperature)
        return np.searchsorted(np.cumsum(scores) / scores.sum(), draws, side="right")


@sample_words.variant
def one_draw_at_a_time(logits, temperature, draws):
    if temperature < 0:
        raise ValueError("the temperature must not be negative")
    if temperature == 0:
        return np.array([int(np.argmax(logits))] * len(draws))
    scores = np.exp((logits - np.max(logits)) / temperature)
    probabilities = scores / scores.sum()
    chosen = []
    for draw in draws:
        end, word = 0.0, 0
        for number, probability in enumerate(probabilities):
            end += probability
            if probability > 0:
                word = number
            if draw < end:
                break
        chosen.append(word)
    return np.array(chosen)


@sample_words.variant
def by_comparing_all(logits, temperature, draws):
    if temperature < 0:
        raise ValueError("the temperature must not be negative")
    if temperature == 0:
        return np.zeros(len(draws), dtype=np.int64) + logits.argmax()
    scores = np.exp((logits - logits.max()) / temperature)
    ends = np.cumsum(scores)
    return (ends[None, :] / ends[-1] > draws[:, None]).argmax(axis=1)


@sample_words.variant
def in_logarithms(logits, temperature, draws):
    if temperature < 0:
        raise ValueError("the temperature must not be negative")
    if temperature == 0:
        return np.repeat(np.argmax(logits), len(draws))
    z = (logits - logits.max()) / temperature
    probabilities = np.exp(z - np.logaddexp.reduce(z))
    ends = np.minimum(np.cumsum(probabilities), 1.0)
    ends[np.flatnonzero(probabilities)[-1] :] = 1.0
    return np.digitize(draws, ends)


# ---- embedding_gradient ----------------------------------------------------------------------------------------------
@exercise(network.embedding_gradient, points=2)
def embedding_gradient(rng: np.random.Generator) -> Iterator[Case]:
    """Give every word of the table the sum of what its copies received."""
    yield case("no word twice", grad_x=np.arange(1.0, 7.0).reshape(1, 6), contexts=np.array([[2, 0]]), vocabulary=4)
    yield case("one word twice", grad_x=np.arange(1.0, 7.0).reshape(1, 6), contexts=np.array([[1, 1]]), vocabulary=3)
    for batch, places, features, words in [(4, 3, 2, 5), (6, 2, 5, 4), (3, 4, 3, 9)]:
        contexts = rng.integers(0, words, size=(batch, places))
        contexts[0, 1] = contexts[0, 0]
        contexts[-1, -1] = contexts[0, 0]
        yield case(grad_x=rng.normal(size=(batch, places * features)), contexts=contexts, vocabulary=words)


@embedding_gradient.mistake(
    "Of a word's copies only one counts: `grad[contexts] += …` reads, adds and writes once for each word, however often "
    "it stands there. `np.add.at` adds every time."
)
def adds_once_a_word(grad_x, contexts, vocabulary):
    grad = np.zeros((vocabulary, grad_x.shape[1] // contexts.shape[1]))
    grad[contexts] += grad_x.reshape(*contexts.shape, -1)
    return grad


@embedding_gradient.mistake(
    "The copies of a word were averaged. The table was read at each of these places, and each has its own effect on the "
    "loss: the shares add up."
)
def averages_the_copies(grad_x, contexts, vocabulary):
    grad = np.zeros((vocabulary, grad_x.shape[1] // contexts.shape[1]))
    np.add.at(grad, contexts, grad_x.reshape(*contexts.shape, -1))
    return grad / np.maximum(np.bincount(contexts.ravel(), minlength=vocabulary), 1)[:, None]


@embedding_gradient.mistake(
    "A row of grad_x was cut the wrong way. It holds the features of the first word, then those of the second: reshape to "
    "(batch, places, features), in this order."
)
def cuts_features_before_places(grad_x, contexts, vocabulary):
    batch, places = contexts.shape
    grad = np.zeros((vocabulary, grad_x.shape[1] // places))
    np.add.at(grad, contexts, np.swapaxes(grad_x.reshape(batch, -1, places), 1, 2))
    return grad


@embedding_gradient.mistake(
    "Only the last place of the context was sent back. The same table serves all places, so all of them send their share."
)
def last_place_only(grad_x, contexts, vocabulary):
    grad = np.zeros((vocabulary, grad_x.shape[1] // contexts.shape[1]))
    np.add.at(grad, contexts[:, -1], grad_x[:, -grad.shape[1] :])
    return grad


@embedding_gradient.mistake(
    "This was divided by the batch size once more. grad_x already carries it, from the mean in the loss."
)
def divides_by_the_batch_again(grad_x, contexts, vocabulary):
    grad = np.zeros((vocabulary, grad_x.shape[1] // contexts.shape[1]))
    np.add.at(grad, contexts, grad_x.reshape(*contexts.shape, -1))
    return grad / len(contexts) if len(contexts) > 1 else grad


@embedding_gradient.mistake(
    "The places were taken in reverse order: the features of the last word went to the first one. The first piece of a row "
    "of grad_x belongs to the first word of the context."
)
def places_turned_round(grad_x, contexts, vocabulary):
    grad = np.zeros((vocabulary, grad_x.shape[1] // contexts.shape[1]))
    np.add.at(grad, contexts[:, ::-1], grad_x.reshape(*contexts.shape, -1))
    return grad


@embedding_gradient.variant
def with_one_hot_rows(grad_x, contexts, vocabulary):
    one_hot = np.eye(vocabulary)[contexts]
    return np.einsum("npv,npf->vf", one_hot, grad_x.reshape(*contexts.shape, -1))


@embedding_gradient.variant
def word_by_word(grad_x, contexts, vocabulary):
    features = grad_x.shape[1] // contexts.shape[1]
    grad = np.zeros((vocabulary, features))
    for n in range(len(contexts)):
        for place, word in enumerate(contexts[n]):
            grad[word] += grad_x[n, place * features : (place + 1) * features]
    return grad


@embedding_gradient.variant
def sorted_and_reduced(grad_x, contexts, vocabulary):
    rows = grad_x.reshape(contexts.size, -1)
    order = np.argsort(contexts.ravel(), kind="stable")
    words, starts = np.unique(contexts.ravel()[order], return_index=True)
    grad = np.zeros((vocabulary, rows.shape[1]))
    grad[words] = np.add.reduceat(rows[order], starts, axis=0)
    return grad


# ---- feedforward_gradients -------------------------------------------------------------------------------------------
def _network(rng, words, places, features, hidden, direct):
    width = places * features
    return {
        "embeddings": rng.normal(size=(words, features)),
        "w1": rng.normal(size=(width, hidden)) / np.sqrt(width),
        "b1": 0.5 * rng.normal(size=hidden),
        "w2": rng.normal(size=(hidden, words)),
        "b2": 0.5 * rng.normal(size=words),
        "direct": 0.5 * rng.normal(size=(width, words)) if direct else None,
    }


@exercise(
    network.feedforward_gradients,
    points=5,
    returns=("grad_embeddings", "grad_w1", "grad_b1", "grad_w2", "grad_b2", "grad_direct"),
)
def feedforward_gradients(rng: np.random.Generator) -> Iterator[Case]:
    """Differentiate Bengio's network by every parameter, down to the word vectors."""
    for label, batch, words, places, features, hidden, direct in [
        ("one context, no direct connections", 1, 4, 2, 2, 3, False),
        ("a batch, no direct connections", 5, 6, 3, 2, 4, False),
        ("one context, direct connections", 1, 5, 2, 3, 2, True),
        ("a batch, direct connections", 6, 4, 3, 3, 5, True),
        ("one word of context", 4, 7, 1, 3, 2, True),
    ]:
        contexts = rng.integers(0, words, size=(batch, places))
        contexts[0] = contexts[0, 0]  # a word twice in one context
        contexts[-1, -1] = contexts[0, 0]  # and once more in another
        yield case(
            label,
            contexts=contexts,
            targets=rng.integers(0, words, size=batch),
            **_network(rng, words, places, features, hidden, direct),
        )
    large = _network(rng, 3, 2, 2, 2, True)
    large["w2"] = np.array([[600.0, -400.0, 0.0], [-1000.0, 300.0, 1000.0]])
    yield case("logits in the hundreds", contexts=np.array([[0, 1], [2, 2]]), targets=np.array([1, 0]), **large)


feedforward_gradients.gradient_of(network.feedforward_loss, wrt=("embeddings", "w1", "b1", "w2", "b2", "direct"))


@feedforward_gradients.mistake(
    "The gradient of the sum over the batch, not of the mean: the batch size is missing from the first factor, (ŷ − y) / "
    "batch."
)
def sum_over_the_batch(contexts, targets, embeddings, w1, b1, w2, b2, direct=None):
    x = embeddings[contexts].reshape(len(contexts), -1)
    h = np.tanh(x @ w1 + b1)
    z = h @ w2 + b2 + (0 if direct is None else x @ direct)
    e = np.exp(z - z.max(axis=1, keepdims=True))
    g = e / e.sum(axis=1, keepdims=True)
    g[np.arange(len(targets)), targets] -= 1
    grad_z = (g @ w2.T) * (1 - h**2)
    grad_x = grad_z @ w1.T + (0 if direct is None else g @ direct.T)
    grad = np.zeros_like(embeddings)
    np.add.at(grad, contexts, grad_x.reshape(*contexts.shape, -1))
    return grad, x.T @ grad_z, grad_z.sum(axis=0), h.T @ g, g.sum(axis=0), None if direct is None else x.T @ g


@feedforward_gradients.mistake(
    "The gradient passed through tanh as if it were a straight line. Its slope 1 − h² multiplies it, element by element."
)
def without_the_slope_of_tanh(contexts, targets, embeddings, w1, b1, w2, b2, direct=None):
    x = embeddings[contexts].reshape(len(contexts), -1)
    h = np.tanh(x @ w1 + b1)
    z = h @ w2 + b2 + (0 if direct is None else x @ direct)
    e = np.exp(z - z.max(axis=1, keepdims=True))
    g = e / e.sum(axis=1, keepdims=True)
    g[np.arange(len(targets)), targets] -= 1
    g = g / len(targets)
    grad_z = g @ w2.T
    grad_x = grad_z @ w1.T + (0 if direct is None else g @ direct.T)
    grad = np.zeros_like(embeddings)
    np.add.at(grad, contexts, grad_x.reshape(*contexts.shape, -1))
    return grad, x.T @ grad_z, grad_z.sum(axis=0), h.T @ g, g.sum(axis=0), None if direct is None else x.T @ g


@feedforward_gradients.mistake(
    "The slope of tanh was taken as 1 − z², with what goes into tanh. It is 1 − h², with what comes out."
)
def slope_from_z(contexts, targets, embeddings, w1, b1, w2, b2, direct=None):
    x = embeddings[contexts].reshape(len(contexts), -1)
    h = np.tanh(x @ w1 + b1)
    z = h @ w2 + b2 + (0 if direct is None else x @ direct)
    e = np.exp(z - z.max(axis=1, keepdims=True))
    g = e / e.sum(axis=1, keepdims=True)
    g[np.arange(len(targets)), targets] -= 1
    g = g / len(targets)
    grad_z = (g @ w2.T) * (1 - (x @ w1 + b1) ** 2)
    grad_x = grad_z @ w1.T + (0 if direct is None else g @ direct.T)
    grad = np.zeros_like(embeddings)
    np.add.at(grad, contexts, grad_x.reshape(*contexts.shape, -1))
    return grad, x.T @ grad_z, grad_z.sum(axis=0), h.T @ g, g.sum(axis=0), None if direct is None else x.T @ g


@feedforward_gradients.mistake(
    "grad_direct is right, but x also reaches the logits through the direct connections, so grad_x has a second share, "
    "grad_logits · directᵀ."
)
def direct_path_forgotten(contexts, targets, embeddings, w1, b1, w2, b2, direct=None):
    x = embeddings[contexts].reshape(len(contexts), -1)
    h = np.tanh(x @ w1 + b1)
    z = h @ w2 + b2 + (0 if direct is None else x @ direct)
    e = np.exp(z - z.max(axis=1, keepdims=True))
    g = e / e.sum(axis=1, keepdims=True)
    g[np.arange(len(targets)), targets] -= 1
    g = g / len(targets)
    grad_z = (g @ w2.T) * (1 - h**2)
    grad_x = grad_z @ w1.T
    grad = np.zeros_like(embeddings)
    np.add.at(grad, contexts, grad_x.reshape(*contexts.shape, -1))
    return grad, x.T @ grad_z, grad_z.sum(axis=0), h.T @ g, g.sum(axis=0), None if direct is None else x.T @ g


@feedforward_gradients.mistake(
    "A word that stands in the contexts several times collects all its shares. With `+=` on an index it keeps only one: "
    "use your embedding_gradient, or np.add.at."
)
def words_counted_once(contexts, targets, embeddings, w1, b1, w2, b2, direct=None):
    x = embeddings[contexts].reshape(len(contexts), -1)
    h = np.tanh(x @ w1 + b1)
    z = h @ w2 + b2 + (0 if direct is None else x @ direct)
    e = np.exp(z - z.max(axis=1, keepdims=True))
    g = e / e.sum(axis=1, keepdims=True)
    g[np.arange(len(targets)), targets] -= 1
    g = g / len(targets)
    grad_z = (g @ w2.T) * (1 - h**2)
    grad_x = grad_z @ w1.T + (0 if direct is None else g @ direct.T)
    grad = np.zeros_like(embeddings)
    grad[contexts] += grad_x.reshape(*contexts.shape, -1)
    return grad, x.T @ grad_z, grad_z.sum(axis=0), h.T @ g, g.sum(axis=0), None if direct is None else x.T @ g


@feedforward_gradients.mistake(
    "This is ŷ / batch, without the 1 that comes off at the right word. Then every logit is pushed down, even that of the "
    "right word."
)
def answer_not_taken_off(contexts, targets, embeddings, w1, b1, w2, b2, direct=None):
    x = embeddings[contexts].reshape(len(contexts), -1)
    h = np.tanh(x @ w1 + b1)
    z = h @ w2 + b2 + (0 if direct is None else x @ direct)
    e = np.exp(z - z.max(axis=1, keepdims=True))
    g = e / e.sum(axis=1, keepdims=True)
    g = g / len(targets)
    grad_z = (g @ w2.T) * (1 - h**2)
    grad_x = grad_z @ w1.T + (0 if direct is None else g @ direct.T)
    grad = np.zeros_like(embeddings)
    np.add.at(grad, contexts, grad_x.reshape(*contexts.shape, -1))
    return grad, x.T @ grad_z, grad_z.sum(axis=0), h.T @ g, g.sum(axis=0), None if direct is None else x.T @ g


@feedforward_gradients.variant
def sample_by_sample(contexts, targets, embeddings, w1, b1, w2, b2, direct=None):
    features = embeddings.shape[1]
    grads = [np.zeros_like(part) if part is not None else None for part in (embeddings, w1, b1, w2, b2, direct)]
    for context, target in zip(contexts, targets, strict=True):
        x = np.concatenate([embeddings[word] for word in context])
        h = np.tanh(x @ w1 + b1)
        z = h @ w2 + b2
        if direct is not None:
            z = z + x @ direct
        y_hat = np.exp(z - z.max())
        g = y_hat / y_hat.sum()
        g[target] -= 1
        g /= len(contexts)
        grad_z = (w2 @ g) * (1 - h * h)
        grad_x = w1 @ grad_z
        if direct is not None:
            grad_x = grad_x + direct @ g
            grads[5] += np.outer(x, g)
        for place, word in enumerate(context):
            grads[0][word] += grad_x[place * features : (place + 1) * features]
        grads[1] += np.outer(x, grad_z)
        grads[2] += grad_z
        grads[3] += np.outer(h, g)
        grads[4] += g
    return tuple(grads)


@feedforward_gradients.variant
def with_one_hot_contexts(contexts, targets, embeddings, w1, b1, w2, b2, direct=None):
    words, batch = len(embeddings), len(contexts)
    one_hot = np.eye(words)[contexts]
    x = np.einsum("npv,vf->npf", one_hot, embeddings).reshape(batch, -1)
    h = np.tanh(np.dot(x, w1) + b1)
    past = np.zeros((x.shape[1], words)) if direct is None else direct
    z = np.dot(h, w2) + b2 + np.dot(x, past)
    y_hat = np.exp(z - np.logaddexp.reduce(z, axis=1, keepdims=True))
    g = (y_hat - np.eye(words)[targets]) / batch
    grad_z = np.dot(g, w2.T) * (1 - np.square(h))
    grad_x = (np.dot(grad_z, w1.T) + np.dot(g, past.T)).reshape(batch, contexts.shape[1], -1)
    grad_direct = np.dot(x.T, g) if direct is not None else None
    return (
        np.einsum("npv,npf->vf", one_hot, grad_x),
        np.dot(x.T, grad_z),
        np.einsum("nh->h", grad_z),
        np.dot(h.T, g),
        np.einsum("nv->v", g),
        grad_direct,
    )


@feedforward_gradients.variant
def places_one_by_one(contexts, targets, embeddings, w1, b1, w2, b2, direct=None):
    batch, places = contexts.shape
    features = embeddings.shape[1]
    pieces = [embeddings[contexts[:, place]] for place in range(places)]
    blocks = w1.reshape(places, features, -1)
    h = np.tanh(sum(piece @ block for piece, block in zip(pieces, blocks, strict=True)) + b1)
    z = h @ w2 + b2
    if direct is not None:
        past = direct.reshape(places, features, -1)
        z = z + sum(piece @ block for piece, block in zip(pieces, past, strict=True))
    e = np.exp(z - z.max(axis=1, keepdims=True))
    g = e / e.sum(axis=1, keepdims=True)
    for row, target in enumerate(targets):
        g[row, target] -= 1.0
    g = g / batch
    grad_z = (g @ w2.T) * (1 + h) * (1 - h)
    grad = np.zeros_like(embeddings)
    grad_w1, grad_direct = np.zeros_like(blocks), None if direct is None else np.zeros_like(past)
    for place in range(places):
        back = grad_z @ blocks[place].T
        grad_w1[place] = pieces[place].T @ grad_z
        if direct is not None:
            back = back + g @ past[place].T
            grad_direct[place] = pieces[place].T @ g
        for row, word in enumerate(contexts[:, place]):
            grad[word] += back[row]
    return (
        grad,
        grad_w1.reshape(w1.shape),
        grad_z.sum(axis=0),
        h.T @ g,
        g.sum(axis=0),
        None if direct is None else grad_direct.reshape(direct.shape),
    )


# ---- train_epoch -----------------------------------------------------------------------------------------------------
def _shuffled(rng: np.random.Generator, tokens: int, batch: int) -> np.ndarray:
    """An order whose first batch is not that of the order undone, nor that of no order; (tokens,) int64."""
    while True:
        order = rng.permutation(tokens)
        first = set(order[:batch].tolist())
        if batch >= tokens or first not in (set(range(batch)), set(np.argsort(order)[:batch].tolist())):
            return order


@exercise(
    network.train_epoch,
    points=3,
    returns=("embeddings", "w1", "b1", "w2", "b2", "direct", "parameters_changed"),
)
def train_epoch(rng: np.random.Generator) -> Iterator[Case]:
    """Go through a text once, a step a batch."""
    for label, tokens, batch, rate, direct, frozen in [
        ("batches of two", 6, 2, 0.5, False, False),
        ("a smaller last batch", 7, 3, 0.3, False, False),
        ("frozen embeddings", 8, 3, 0.4, False, True),
        ("direct connections", 9, 4, 0.2, True, False),
        ("frozen, direct connections", 5, 2, 0.7, True, True),
        ("a batch larger than the text", 4, 10, 0.6, True, False),
    ]:
        words, places = 5, 2
        yield case(
            label,
            parameters=tuple(_network(rng, words, places, 3, 4, direct).values()),
            contexts=rng.integers(0, words, size=(tokens, places)),
            targets=rng.integers(0, words, size=tokens),
            order=_shuffled(rng, tokens, batch),
            batch=batch,
            rate=rate,
            frozen=frozen,
        )


@train_epoch.probe
def the_old_ones_afterwards(student, parameters, contexts, targets, order, batch, rate, frozen):
    learned = student(parameters, contexts, targets, order, batch, rate, frozen=frozen)
    return tuple(learned), tuple(parameters)


@train_epoch.measure
def whether_the_old_ones_stay(value, parameters, contexts, targets, order, batch, rate, frozen):
    learned, after = value
    same = [b is None if a is None else np.array_equal(a, b) for a, b in zip(parameters, after, strict=True)]
    return (*learned, not all(same))


@train_epoch.mistake("The steps follow the gradient, so the loss rises. A step subtracts: p − η · gradient.")
def climbs(parameters, contexts, targets, order, batch, rate, frozen=False):
    parts = list(parameters)
    for start in range(0, len(order), batch):
        at = order[start : start + batch]
        embeddings, w1, b1, w2, b2, direct = parts
        x = embeddings[contexts[at]].reshape(len(at), -1)
        h = np.tanh(x @ w1 + b1)
        z = h @ w2 + b2 + (0 if direct is None else x @ direct)
        e = np.exp(z - z.max(axis=1, keepdims=True))
        g = e / e.sum(axis=1, keepdims=True)
        g[np.arange(len(at)), targets[at]] -= 1
        g = g / len(at)
        grad_z = (g @ w2.T) * (1 - h**2)
        grad_x = grad_z @ w1.T + (0 if direct is None else g @ direct.T)
        grad = np.zeros_like(embeddings)
        np.add.at(grad, contexts[at], grad_x.reshape(*contexts[at].shape, -1))
        grads = [grad, x.T @ grad_z, grad_z.sum(axis=0), h.T @ g, g.sum(axis=0), None if direct is None else x.T @ g]
        if frozen:
            grads[0] = np.zeros_like(grad)
        parts = [None if p is None else p + rate * d for p, d in zip(parts, grads, strict=True)]
    return tuple(parts)


@train_epoch.mistake("The batches follow the text, not `order`. A batch is the rows that a slice of `order` names.")
def ignores_the_order(parameters, contexts, targets, order, batch, rate, frozen=False):
    parts = list(parameters)
    for start in range(0, len(order), batch):
        at = np.arange(start, min(start + batch, len(order)))
        embeddings, w1, b1, w2, b2, direct = parts
        x = embeddings[contexts[at]].reshape(len(at), -1)
        h = np.tanh(x @ w1 + b1)
        z = h @ w2 + b2 + (0 if direct is None else x @ direct)
        e = np.exp(z - z.max(axis=1, keepdims=True))
        g = e / e.sum(axis=1, keepdims=True)
        g[np.arange(len(at)), targets[at]] -= 1
        g = g / len(at)
        grad_z = (g @ w2.T) * (1 - h**2)
        grad_x = grad_z @ w1.T + (0 if direct is None else g @ direct.T)
        grad = np.zeros_like(embeddings)
        np.add.at(grad, contexts[at], grad_x.reshape(*contexts[at].shape, -1))
        grads = [grad, x.T @ grad_z, grad_z.sum(axis=0), h.T @ g, g.sum(axis=0), None if direct is None else x.T @ g]
        if frozen:
            grads[0] = np.zeros_like(grad)
        parts = [None if p is None else p - rate * d for p, d in zip(parts, grads, strict=True)]
    return tuple(parts)


@train_epoch.mistake(
    "The last batch, which is smaller, was left out. A slice beyond the end is no error: it is shorter."
)
def drops_the_last_batch(parameters, contexts, targets, order, batch, rate, frozen=False):
    parts = list(parameters)
    for start in range(0, len(order) - batch + 1, batch):
        at = order[start : start + batch]
        embeddings, w1, b1, w2, b2, direct = parts
        x = embeddings[contexts[at]].reshape(len(at), -1)
        h = np.tanh(x @ w1 + b1)
        z = h @ w2 + b2 + (0 if direct is None else x @ direct)
        e = np.exp(z - z.max(axis=1, keepdims=True))
        g = e / e.sum(axis=1, keepdims=True)
        g[np.arange(len(at)), targets[at]] -= 1
        g = g / len(at)
        grad_z = (g @ w2.T) * (1 - h**2)
        grad_x = grad_z @ w1.T + (0 if direct is None else g @ direct.T)
        grad = np.zeros_like(embeddings)
        np.add.at(grad, contexts[at], grad_x.reshape(*contexts[at].shape, -1))
        grads = [grad, x.T @ grad_z, grad_z.sum(axis=0), h.T @ g, g.sum(axis=0), None if direct is None else x.T @ g]
        if frozen:
            grads[0] = np.zeros_like(grad)
        parts = [None if p is None else p - rate * d for p, d in zip(parts, grads, strict=True)]
    return tuple(parts)


@train_epoch.mistake(
    "Every step began at the parameters of the beginning, so of all steps only the last one counts. Each batch must see "
    "what the one before has learned."
)
def all_steps_from_the_start(parameters, contexts, targets, order, batch, rate, frozen=False):
    parts = list(parameters)
    for start in range(0, len(order), batch):
        at = order[start : start + batch]
        parts = list(parameters)
        embeddings, w1, b1, w2, b2, direct = parts
        x = embeddings[contexts[at]].reshape(len(at), -1)
        h = np.tanh(x @ w1 + b1)
        z = h @ w2 + b2 + (0 if direct is None else x @ direct)
        e = np.exp(z - z.max(axis=1, keepdims=True))
        g = e / e.sum(axis=1, keepdims=True)
        g[np.arange(len(at)), targets[at]] -= 1
        g = g / len(at)
        grad_z = (g @ w2.T) * (1 - h**2)
        grad_x = grad_z @ w1.T + (0 if direct is None else g @ direct.T)
        grad = np.zeros_like(embeddings)
        np.add.at(grad, contexts[at], grad_x.reshape(*contexts[at].shape, -1))
        grads = [grad, x.T @ grad_z, grad_z.sum(axis=0), h.T @ g, g.sum(axis=0), None if direct is None else x.T @ g]
        if frozen:
            grads[0] = np.zeros_like(grad)
        parts = [None if p is None else p - rate * d for p, d in zip(parts, grads, strict=True)]
    return tuple(parts)


@train_epoch.mistake("With `frozen` the embeddings must stay as they came; here they learn all the same.")
def frozen_embeddings_move(parameters, contexts, targets, order, batch, rate, frozen=False):
    parts = list(parameters)
    for start in range(0, len(order), batch):
        at = order[start : start + batch]
        embeddings, w1, b1, w2, b2, direct = parts
        x = embeddings[contexts[at]].reshape(len(at), -1)
        h = np.tanh(x @ w1 + b1)
        z = h @ w2 + b2 + (0 if direct is None else x @ direct)
        e = np.exp(z - z.max(axis=1, keepdims=True))
        g = e / e.sum(axis=1, keepdims=True)
        g[np.arange(len(at)), targets[at]] -= 1
        g = g / len(at)
        grad_z = (g @ w2.T) * (1 - h**2)
        grad_x = grad_z @ w1.T + (0 if direct is None else g @ direct.T)
        grad = np.zeros_like(embeddings)
        np.add.at(grad, contexts[at], grad_x.reshape(*contexts[at].shape, -1))
        grads = [grad, x.T @ grad_z, grad_z.sum(axis=0), h.T @ g, g.sum(axis=0), None if direct is None else x.T @ g]
        parts = [None if p is None else p - rate * d for p, d in zip(parts, grads, strict=True)]
    return tuple(parts)


@train_epoch.mistake(
    "The caller's arrays have changed: `part -= …` writes into the array that came in. Make new ones, p − η·gradient."
)
def changes_the_callers_arrays(parameters, contexts, targets, order, batch, rate, frozen=False):
    parts = list(parameters)
    for start in range(0, len(order), batch):
        at = order[start : start + batch]
        embeddings, w1, b1, w2, b2, direct = parts
        x = embeddings[contexts[at]].reshape(len(at), -1)
        h = np.tanh(x @ w1 + b1)
        z = h @ w2 + b2 + (0 if direct is None else x @ direct)
        e = np.exp(z - z.max(axis=1, keepdims=True))
        g = e / e.sum(axis=1, keepdims=True)
        g[np.arange(len(at)), targets[at]] -= 1
        g = g / len(at)
        grad_z = (g @ w2.T) * (1 - h**2)
        grad_x = grad_z @ w1.T + (0 if direct is None else g @ direct.T)
        grad = np.zeros_like(embeddings)
        np.add.at(grad, contexts[at], grad_x.reshape(*contexts[at].shape, -1))
        grads = [grad, x.T @ grad_z, grad_z.sum(axis=0), h.T @ g, g.sum(axis=0), None if direct is None else x.T @ g]
        if frozen:
            grads[0] = np.zeros_like(grad)
        for p, d in zip(parts, grads, strict=True):
            if p is not None:
                p -= rate * d
    return tuple(parts)


@train_epoch.variant
def with_split_batches(parameters, contexts, targets, order, batch, rate, frozen=False):
    embeddings, w1, b1, w2, b2 = (part.copy() for part in parameters[:5])
    direct = None if parameters[5] is None else parameters[5].copy()
    for at in np.split(order, range(batch, len(order), batch)):
        words, right = contexts[at], targets[at]
        x = np.concatenate([embeddings[words[:, place]] for place in range(words.shape[1])], axis=1)
        h = np.tanh(x @ w1 + b1)
        z = h @ w2 + b2
        if direct is not None:
            z += x @ direct
        e = np.exp(z - z.max(axis=1)[:, None])
        g = (e / e.sum(axis=1)[:, None] - np.eye(len(b2))[right]) / len(at)
        back = (g @ w2.T) * (1 - h * h)
        grad_x = back @ w1.T
        if direct is not None:
            grad_x += g @ direct.T
            direct -= rate * x.T @ g
        if not frozen:
            for place, column in enumerate(np.split(grad_x, words.shape[1], axis=1)):
                np.subtract.at(embeddings, words[:, place], rate * column)
        w1 -= rate * x.T @ back
        b1 -= rate * back.sum(axis=0)
        w2 -= rate * h.T @ g
        b2 -= rate * g.sum(axis=0)
    return embeddings, w1, b1, w2, b2, direct


@train_epoch.variant
def by_recursion(parameters, contexts, targets, order, batch, rate, frozen=False):
    if len(order) == 0:
        return tuple(parameters)
    at, left = order[:batch], order[batch:]
    embeddings, w1, b1, w2, b2, direct = parameters
    one_hot = np.eye(len(embeddings))[contexts[at]]
    x = (one_hot @ embeddings).reshape(len(at), -1)
    h = np.tanh(x @ w1 + b1)
    z = h @ w2 + b2 if direct is None else h @ w2 + x @ direct + b2
    g = (np.exp(z - np.logaddexp.reduce(z, axis=1, keepdims=True)) - np.eye(len(b2))[targets[at]]) / len(at)
    back = (g @ w2.T) * (1 - h**2)
    grad_x = back @ w1.T if direct is None else back @ w1.T + g @ direct.T
    grad = np.einsum("npv,npf->vf", one_hot, grad_x.reshape(*contexts[at].shape, -1))
    new = (
        embeddings if frozen else embeddings - rate * grad,
        w1 - rate * x.T @ back,
        b1 - rate * back.sum(axis=0),
        w2 - rate * h.T @ g,
        b2 - rate * g.sum(axis=0),
        None if direct is None else direct - rate * x.T @ g,
    )
    return by_recursion(new, contexts, targets, left, batch, rate, frozen)


@train_epoch.variant
def with_a_generator_of_batches(parameters, contexts, targets, order, batch, rate, frozen=False):
    def batches():
        rows = list(order)
        while rows:
            yield np.array(rows[:batch])
            rows = rows[batch:]

    parts = [None if part is None else np.array(part) for part in parameters]
    for at in batches():
        table, w1, b1, w2, b2, direct = parts
        x = np.take(table, contexts[at], axis=0).reshape(len(at), -1)
        h = np.tanh(x @ w1 + b1)
        wide, weights = (h, w2) if direct is None else (np.hstack([h, x]), np.vstack([w2, direct]))
        z = wide @ weights + b2
        g = np.exp(z - np.logaddexp.reduce(z, axis=1)[:, None])
        g[np.arange(len(at)), targets[at]] -= 1
        g *= rate / len(at)
        back = g @ weights.T
        grad_z = back[:, : len(b1)] * (1 - h * h)
        grad_x = grad_z @ w1.T
        if direct is not None:
            grad_x = grad_x + back[:, len(b1) :]
            parts[5] = direct - x.T @ g
        moved = table.copy()
        if not frozen:
            np.subtract.at(moved, contexts[at], grad_x.reshape(*contexts[at].shape, -1))
        parts[:5] = [moved, w1 - x.T @ grad_z, b1 - grad_z.sum(0), w2 - h.T @ g, b2 - g.sum(0)]
    return tuple(parts)


# ---- graded by a person ----------------------------------------------------------------------------------------------
why_word_vectors_help = explanation(
    "why_word_vectors_help",
    points=3,
    question="""
    The training text holds "the cat sat on the mat" many times and "the dog sat" often, but "the dog sat on" never. A count-based
    4-gram model and Bengio's network are both asked for P(on | the dog sat).

    1. What does the unsmoothed count say, and what do add-k and Kneser–Ney make of it? Name what each of them falls back on.
    2. Why can the network give "on" a high probability although it never saw these four words together? Follow the gradient: which
       numbers did "the cat sat on" change, and how do they come to serve "dog" as well?
    3. Name one thing that both models share and cannot overcome, and one price that the network pays.
    """,
    rubric=(
        (
            1,
            "the count is 0; add-k gives every unseen word the same small share; Kneser–Ney falls back on shorter contexts "
            '("dog sat", "sat") and in the end on how many different words a word follows',
        ),
        (
            1,
            '"dog" and "cat" occur in similar contexts, so their rows received similar gradients and lie close together; '
            'the shared w1 and w2 that learned "cat sat → on" therefore give nearly the same answer for "dog sat"',
        ),
        (
            1,
            "shared: a context of fixed length (or: nothing outside the window counts); price: computing, a softmax over the whole "
            "vocabulary at every word, training by many passes instead of one count",
        ),
    ),
    answer="""
    1. C(the dog sat on) = 0, so the unsmoothed probability is 0. Add-k gives "on" (0 + k) / (C(the dog sat) + kV), the same as
       every other word that was not seen there. Kneser–Ney takes a discount off the seen ones and gives it to the lower orders:
       P(on | dog sat), then P(on | sat), which is high, since "sat on" was seen, at last the number of different words before "on".
    2. Each "the cat sat on" pulled the logit of "on" up through w2, w1 and the rows of "the", "cat" and "sat". "dog" has had much
       the same neighbours as "cat" (the … sat), so its row received similar gradients and came to lie near that of "cat". w1 and w2
       are shared by all contexts. A nearby input gives a nearby output: the network answers for "dog" what it learned with "cat".
    3. Both see a fixed number of words, and whatever stands before has no effect. The network pays with time: a softmax over all
       V words for every prediction, and many passes over the text, where counting needs one.
    """,
)
