"""Chapter 08: counts, Kneser–Ney and Bengio's network against independent oracles, and every number the chapter prints."""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter, defaultdict

import numpy as np
import pytest
import torch
from solved_chapter import run_solved
from torch.nn import functional

from autograder.checking import verdict_of
from autograder.exercises import ngrams as exercises
from autograder.gradients import disagreement
from course.kit import corpora
from solutions import feedforward_lm as network
from solutions import ngrams as ref
from solutions.neural_lm import FeedForwardLM

WORDS = ["<eos>", "a", "ate", "cat", "dog", "sat", "the"]
SENTENCES = "the cat sat <eos> the cat ate <eos> a dog sat <eos>"
TEXT = np.array([WORDS.index(w) for w in SENTENCES.split()])
NEW = [WORDS.index(w) for w in ("<eos>", "the", "dog", "sat", "<eos>")]


def along(table: np.ndarray) -> np.ndarray:
    """What a table of pairs gives to "the dog sat"."""
    return table[NEW[:-1], NEW[1:]]


# ---- counting --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_counts_are_those_of_a_dictionary(order: int) -> None:
    tokens = np.random.default_rng(order).integers(0, 6, size=300)
    expected = Counter(tuple(tokens[i : i + order].tolist()) for i in range(len(tokens) - order + 1))
    ngrams, counts = ref.count_ngrams(tokens, order)
    assert {tuple(row): int(c) for row, c in zip(ngrams.tolist(), counts, strict=True)} == expected
    assert [tuple(row) for row in ngrams.tolist()] == sorted(expected)
    assert ref.count_ngrams(tokens[: order - 1], order)[0].shape == (0, order)


def test_the_table_counts_the_same_pairs_as_the_list() -> None:
    table = ref.bigram_table(TEXT, 7)
    pairs, counts = ref.count_ngrams(np.append(0, TEXT), 2)
    assert np.array_equal(table[pairs[:, 0], pairs[:, 1]], counts)
    assert table.sum() == len(TEXT) == counts.sum()


# ---- perplexity ------------------------------------------------------------------------------------------------------
def test_perplexity_is_a_branching_factor_and_the_exponential_of_the_cross_entropy() -> None:
    for sides in (2, 6, 10_000):
        assert ref.perplexity(np.full(5000, 1 / sides)) == pytest.approx(sides, rel=1e-12)
    rng = np.random.default_rng(1)
    logits, targets = rng.normal(size=(50, 9)), rng.integers(0, 9, size=50)
    log_p = torch.log_softmax(torch.tensor(logits), dim=1).numpy()[np.arange(50), targets]
    loss = functional.cross_entropy(torch.tensor(logits), torch.tensor(targets)).item()
    assert ref.perplexity(np.exp(log_p)) == pytest.approx(math.exp(loss), rel=1e-12)
    with np.errstate(all="raise"):
        assert ref.perplexity(np.array([0.5, 0.0])) == math.inf


# ---- smoothing -------------------------------------------------------------------------------------------------------
def tables() -> list[np.ndarray]:
    rng = np.random.default_rng(2)
    made = [rng.integers(0, 3, size=(n, n)) * rng.integers(1, 20, size=(n, n)) for n in (2, 3, 5, 8)]
    for table in made:
        table[0, 1] = 2
        table[1] = 0
    return [*made, ref.bigram_table(TEXT, 7)]


@pytest.mark.parametrize("table", tables(), ids=lambda t: f"{len(t)} words")
def test_smoothed_rows_sum_to_one(table: np.ndarray) -> None:
    with np.errstate(all="raise"):
        for k, weight in itertools.product((0.0, 0.1, 1.0), (0.0, 0.4, 1.0)):
            smoothed = ref.smoothed_bigrams(table, k, weight)
            np.testing.assert_allclose(smoothed.sum(axis=1), 1)
            assert smoothed.min() >= 0
        for discount in (0.1, 0.75, 1.0):
            np.testing.assert_allclose(ref.kneser_ney_bigrams(table, discount).sum(axis=1), 1)


def test_kneser_ney_bigrams_are_those_of_dictionaries() -> None:
    rng = np.random.default_rng(3)
    tokens = rng.integers(0, 5, size=80).tolist()
    pairs = Counter(itertools.pairwise(tokens))
    before, after = defaultdict(set), defaultdict(set)
    for v, w in pairs:
        before[w].add(v)
        after[v].add(w)
    counts = np.zeros((5, 5), dtype=int)
    for pair, count in pairs.items():
        counts[pair] = count
    table = ref.kneser_ney_bigrams(counts, 0.3)
    for v, w in itertools.product(range(5), repeat=2):
        total = sum(pairs[v, u] for u in range(5))
        company = len(before[w]) / len(pairs)
        expected = max(pairs[v, w] - 0.3, 0) / total + 0.3 * len(after[v]) / total * company
        assert table[v, w] == pytest.approx(expected)


def slow_kneser_ney(sentences: list[list[int]], order: int, size: int, modified: bool):  # type: ignore[no-untyped-def]
    """Interpolated Kneser–Ney with dictionaries and recursion: a second way to the same numbers."""
    raw: list[Counter[tuple[int, ...]]] = [Counter() for _ in range(order)]
    for sentence in sentences:
        padded = [size, *sentence]
        for i in range(1, len(padded)):
            for k in range(min(order, i + 1)):
                raw[k][tuple(padded[i - k : i + 1])] += 1
    levels = []
    for k in range(order):
        counts = raw[k]
        if k < order - 1:
            company: dict[tuple[int, ...], set[int]] = defaultdict(set)
            for gram in raw[k + 1]:
                company[gram[1:]].add(gram[0])
            counts = Counter({g: c if g[0] == size else len(company[g]) for g, c in raw[k].items()})
        having = [sum(c == n for c in counts.values()) for n in range(5)]
        discounts = [0.5, 1.0, 1.5] if modified else [0.5] * 3
        if not modified and having[1]:
            discounts = [having[1] / (having[1] + 2 * having[2])] * 3
        elif modified and all(having[1:5]):
            y = having[1] / (having[1] + 2 * having[2])
            found = [n - (n + 1) * y * having[n + 1] / having[n] for n in (1, 2, 3)]
            if all(0 <= d <= n for n, d in enumerate(found, 1)):
                discounts = found
        levels.append((counts, discounts))

    def probability(word: int, context: tuple[int, ...]) -> float:
        counts, discounts = levels[len(context)]
        lower = probability(word, context[1:]) if context else 1 / size
        after = {g: c for g, c in counts.items() if g[:-1] == context}
        if not after:
            return lower
        total = sum(after.values())
        taken = sum(discounts[min(c, 3) - 1] for c in after.values())
        own = after.get((*context, word), 0)
        return (max(own - discounts[min(own, 3) - 1], 0) if own else 0) / total + taken / total * lower

    return probability


@pytest.mark.parametrize(("order", "modified"), [*itertools.product((1, 2, 3, 4), (True, False))])
def test_kneser_ney_of_any_order_is_that_of_dictionaries(order: int, modified: bool) -> None:
    rng = np.random.default_rng(order)
    sentences = [[*rng.integers(1, 7, size=rng.integers(0, 9)).tolist(), 0] for _ in range(60)]
    model = ref.KneserNey(order, modified).fit(np.concatenate(sentences), 8)
    expected = slow_kneser_ney(sentences, order, 8, modified)
    fresh = [[1, 2, 3, 0], [0], [7, 1, 0], [6, 6, 6, 6, 0], [2]]
    slow = []
    for sentence in fresh:
        for i, word in enumerate(sentence):
            context = (8, *sentence[:i])[-(order - 1) :] if order > 1 else ()
            slow.append(math.log(expected(word, tuple(context))))
    np.testing.assert_allclose(model.log_probabilities(np.concatenate(fresh)), slow, rtol=1e-12)


@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_a_distribution_sums_to_one_and_agrees_with_the_scores(order: int) -> None:
    rng = np.random.default_rng(9)
    tokens = rng.integers(0, 9, size=400)
    model = ref.KneserNey(order).fit(tokens, 11)
    fresh = rng.integers(0, 11, size=60)
    scores = model.log_probabilities(fresh)
    for i in range(60):
        p = model.distribution(fresh[:i])
        assert p.shape == (11,)
        assert p.sum() == pytest.approx(1, abs=1e-12)
        assert p.min() > 0
        assert math.log(p[fresh[i]]) == pytest.approx(scores[i], abs=1e-12)
    # What stands before the last <eos> has no effect.
    assert np.array_equal(model.distribution(np.array([3, 4, 0, 5])), model.distribution(np.array([5])))


def test_discounts_of_a_large_text_are_estimated_and_of_a_small_one_agreed() -> None:
    counts = np.repeat([1, 2, 3, 4], [100, 40, 20, 12])
    y = 100 / 180
    expected = [0, 1 - 2 * y * 40 / 100, 2 - 3 * y * 20 / 40, 3 - 4 * y * 12 / 20]
    np.testing.assert_allclose(ref.KneserNey(2).discounts(counts), expected)
    np.testing.assert_allclose(ref.KneserNey(2, modified=False).discounts(counts), [0, y, y, y])
    assert ref.KneserNey(2).discounts(np.array([1, 1, 2])).tolist() == [0, 0.5, 1, 1.5]
    assert ref.KneserNey(2).discounts(np.repeat([1, 2, 3, 4], [10, 1, 9, 1])).tolist() == [0, 0.5, 1, 1.5]
    assert ref.KneserNey(2, modified=False).discounts(np.array([2, 2])).tolist() == [0, 0.5, 0.5, 0.5]


def test_wrong_texts_and_orders_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one word"):
        ref.KneserNey(0)
    for tokens in ([], [3, 9], [-1, 0]):
        with pytest.raises(ValueError, match="from 0 to 8"):
            ref.KneserNey(2).fit(np.array(tokens, dtype=np.int64), 9)


# ---- drawing ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_drawn_words_have_the_probabilities_of_the_model(temperature: float) -> None:
    logits = np.random.default_rng(4).normal(size=6)
    draws = (np.arange(100_000) + 0.5) / 100_000
    shares = np.bincount(ref.sample_words(logits, temperature, draws), minlength=6) / len(draws)
    expected = torch.softmax(torch.tensor(logits) / temperature, dim=0).numpy()
    np.testing.assert_allclose(shares, expected, atol=1.1e-5)


def test_temperature_zero_is_greedy_and_large_logits_do_no_harm() -> None:
    assert ref.sample_words(np.array([1.0, 3.0, 3.0]), 0, np.array([0.99, 0.0])).tolist() == [1, 1]
    with np.errstate(over="raise", invalid="raise"):
        assert ref.sample_words(np.array([1000.0, -1000.0, -np.inf]), 1.0, np.array([0.0, 1 - 2**-53])).tolist() == [
            0,
            0,
        ]
    with pytest.raises(ValueError, match="at least 0"):
        ref.sample_words(np.zeros(2), -0.1, np.zeros(1))


# ---- Bengio's network --------------------------------------------------------------------------------------------------
def drawn(words: int, places: int, features: int, hidden: int, direct: bool) -> dict[str, np.ndarray | None]:
    rng = np.random.default_rng(words)
    width = places * features
    sizes = {
        "embeddings": (words, features),
        "w1": (width, hidden),
        "b1": (hidden,),
        "w2": (hidden, words),
        "b2": (words,),
    }
    made: dict[str, np.ndarray | None] = {name: rng.normal(size=size) for name, size in sizes.items()}
    return {**made, "direct": rng.normal(size=(width, words)) if direct else None}


SIZES = [(5, 3, 2, 4, False), (7, 2, 3, 5, True), (4, 1, 2, 3, True), (6, 4, 1, 2, False)]


@pytest.mark.parametrize(("words", "places", "features", "hidden", "direct"), SIZES)
def test_gradients_equal_torch_and_differences(
    words: int, places: int, features: int, hidden: int, direct: bool
) -> None:
    rng = np.random.default_rng(5)
    parts = drawn(words, places, features, hidden, direct)
    contexts, targets = rng.integers(0, words, size=(9, places)), rng.integers(0, words, size=9)
    tensors = {k: None if p is None else torch.tensor(p, requires_grad=True) for k, p in parts.items()}
    e, w1, b1, w2, b2, d = tensors.values()
    assert e is not None
    assert w2 is not None
    x = functional.embedding(torch.tensor(contexts), e).reshape(9, -1)
    logits = torch.tanh(x @ w1 + b1) @ w2 + b2 + (0 if d is None else x @ d)  # type: ignore[operator]
    loss = functional.cross_entropy(logits, torch.tensor(targets))
    loss.backward()  # type: ignore[no-untyped-call]
    assert network.feedforward_loss(contexts, targets, **parts) == pytest.approx(loss.item(), rel=1e-12)  # type: ignore[arg-type]
    grads = network.feedforward_gradients(contexts, targets, **parts)  # type: ignore[arg-type]
    for name, mine, theirs in zip(parts, grads, tensors.values(), strict=True):
        if theirs is None:
            assert mine is None
        else:
            assert mine is not None
            assert theirs.grad is not None
            np.testing.assert_allclose(mine, theirs.grad.numpy(), rtol=1e-10, atol=1e-14, err_msg=name)
    given = {"contexts": contexts, "targets": targets, **parts}
    assert disagreement(network.feedforward_loss, given, tuple(parts), None, grads) == ""


def test_the_network_is_the_one_in_torch() -> None:
    parts = drawn(7, 3, 2, 4, True)
    model = FeedForwardLM(7, order=4, embedding=2, hidden=4, direct=True).double()
    e, w1, b1, w2, b2, d = (torch.tensor(part) for part in parts.values())
    with torch.no_grad():
        model.embedding.weight.copy_(e)
        model.hidden.weight.copy_(w1.T)
        model.hidden.bias.copy_(b1)
        model.output.weight.copy_(torch.cat([w2, d]).T)
        model.output.bias.copy_(b2)
        model.eval()
        before = torch.tensor(np.append(0, TEXT[:-1])[None])
        theirs = model.output(model(before)[0][0]).numpy()
    mine = network.feedforward_logits(network.context_windows(TEXT, 4), **parts)  # type: ignore[arg-type]
    np.testing.assert_allclose(mine, theirs, rtol=1e-12)


def test_an_embedding_gradient_equals_torch_with_repeated_words() -> None:
    rng = np.random.default_rng(6)
    table = torch.zeros(5, 3, requires_grad=True, dtype=torch.float64)
    contexts, grad_x = rng.integers(0, 5, size=(20, 4)), rng.normal(size=(20, 12))
    functional.embedding(torch.tensor(contexts), table).reshape(20, 12).backward(torch.tensor(grad_x))
    assert table.grad is not None
    np.testing.assert_allclose(network.embedding_gradient(grad_x, contexts, 5), table.grad.numpy(), rtol=1e-12)
    assert network.embedding_gradient(grad_x.astype(np.float32), contexts, 5).dtype == np.float32


@pytest.mark.parametrize("frozen", [False, True])
def test_an_epoch_equals_torch_sgd(frozen: bool) -> None:
    rng = np.random.default_rng(7)
    parts = drawn(6, 2, 3, 4, True)
    contexts, targets, order = rng.integers(0, 6, size=(11, 2)), rng.integers(0, 6, size=11), rng.permutation(11)
    tensors = [torch.tensor(part, requires_grad=True) for part in parts.values()]
    optimiser = torch.optim.SGD(tensors[frozen:], lr=0.3)
    for at in np.split(order, range(4, 11, 4)):
        e, w1, b1, w2, b2, d = tensors
        x = functional.embedding(torch.tensor(contexts[at]), e).reshape(len(at), -1)
        loss = functional.cross_entropy(torch.tanh(x @ w1 + b1) @ w2 + b2 + x @ d, torch.tensor(targets[at]))
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    learned = network.train_epoch(tuple(parts.values()), contexts, targets, order, 4, 0.3, frozen)  # type: ignore[arg-type]
    for mine, theirs in zip(learned, tensors, strict=True):
        assert mine is not None
        np.testing.assert_allclose(mine, theirs.detach().numpy(), rtol=1e-10)


def test_an_untrained_network_gives_all_words_the_same() -> None:
    parameters = network.initial_parameters(50, 4, 6, 5, np.random.default_rng(0), direct=True)
    contexts = network.context_windows(np.arange(50), 4)
    assert network.feedforward_loss(contexts, np.arange(50), *parameters) == pytest.approx(math.log(50), rel=1e-6)
    assert all(part is not None and part.dtype == np.float32 for part in parameters)
    assert network.initial_parameters(50, 4, 6, 5, np.random.default_rng(0))[5] is None


# ---- the worked example ------------------------------------------------------------------------------------------------
def test_every_number_of_the_worked_example() -> None:
    table = ref.bigram_table(TEXT, 7)
    assert (table > 0).sum() == 9
    assert along(table / table.sum(axis=1, keepdims=True)).round(4).tolist() == [0.6667, 0, 1, 1]
    one = along(ref.smoothed_bigrams(table, 1.0, 1.0))
    np.testing.assert_allclose(one, [3 / 10, 1 / 9, 2 / 8, 3 / 9])
    assert round(ref.perplexity(one), 3) == 4.356
    smooth = ref.kneser_ney_bigrams(table, 0.5)
    paper = [1.5 / 3 + 1 / 3 * 1 / 9, 1 / 4 * 1 / 9, 0.5 + 1 / 2 * 2 / 9, 1.5 / 2 + 1 / 4 * 2 / 9]
    np.testing.assert_allclose(along(smooth), paper)
    assert np.round(paper, 4).tolist() == [0.537, 0.0278, 0.6111, 0.8056]
    assert round(float(np.prod(paper)), 5) == 0.00734
    assert round(ref.perplexity(along(smooth)), 3) == 3.416
    assert smooth[1, [3, 5]].round(4).tolist() == [0.0556, 0.1111]
    assert np.bincount(TEXT)[[3, 5]].tolist() == [2, 2]
    assert (table > 0).sum(axis=0)[[3, 5]].tolist() == [1, 2]


def test_with_an_end_all_sentences_share_one_and_without_it_each_length_does() -> None:
    p = ref.smoothed_bigrams(ref.bigram_table(TEXT, 7), 1.0, 1.0)
    by_length = []
    for length in (1, 2, 3):
        total = 0.0
        for words in itertools.product(range(1, 7), repeat=length - 1):
            path = [0, *words, 0]
            total += float(np.prod(p[path[:-1], path[1:]]))
        by_length.append(total)
    assert sum(by_length[:1]) == pytest.approx(0.1)
    assert np.cumsum(by_length)[1] == pytest.approx(0.2403, abs=5e-5)
    assert sum(by_length) < 1
    inner = p[1:, 1:] / p[1:, 1:].sum(axis=1, keepdims=True)
    start = p[0, 1:] / p[0, 1:].sum()
    for power in (0, 1, 2):
        assert (start @ np.linalg.matrix_power(inner, power)).sum() == pytest.approx(1)


def test_deck_a_context_that_nothing_follows() -> None:
    inside = np.zeros((7, 7))
    np.add.at(inside, (TEXT[:-1], TEXT[1:]), 1)
    assert inside[0].sum() / np.bincount(TEXT, minlength=7)[0] == pytest.approx(2 / 3)


@pytest.mark.parametrize(("order", "modified", "expected"), [(3, True, 148.28), (5, True, 141.19), (3, False, 150.60)])
def test_deck_a_three_gram_on_the_penn_treebank(order: int, modified: bool, expected: float) -> None:
    """Printed: 178.0 for a 3-gram. KenLM gives 148.281 and 141.186 for three and five words."""
    try:
        corpus = corpora.load("penn_treebank", parts=("test",))
    except corpora.CorpusMissing as missing:
        pytest.skip(f"needs your own copy of the corpus: {missing}")
    assert len(corpus.test) == 82_430
    model = ref.KneserNey(order, modified).fit(corpus.train, len(corpus.vocabulary))
    assert np.exp(-model.log_probabilities(corpus.test).mean()) == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("order", [2, 3, 4])
def test_an_ngram_has_order_minus_one_words_of_context(order: int) -> None:
    windows = network.context_windows(TEXT, order)
    assert windows.shape == (len(TEXT), order - 1)
    padded = [0] * (order - 1) + TEXT.tolist()
    assert windows.tolist() == [padded[t : t + order - 1] for t in range(len(TEXT))]


def test_numbers_of_the_questions() -> None:
    model = FeedForwardLM(10_000, order=5, embedding=64, hidden=128)
    assert sum(p.numel() for p in model.parameters()) == 1_962_896
    assert round(math.log(10_000), 2) == 9.21
    assert np.prod(np.full(400, 0.1)) == 0


# ---- what the checks must not let through ----------------------------------------------------------------------------
@pytest.mark.parametrize("seed", range(10))
def test_an_order_that_is_undone_is_refused(seed: int) -> None:
    def undone(parameters, contexts, targets, order, batch, rate, frozen=False):  # type: ignore[no-untyped-def]
        return network.train_epoch(parameters, contexts, targets, np.argsort(order), batch, rate, frozen)

    assert not verdict_of(exercises.train_epoch.sheet(f"order {seed}"), undone).passed


@pytest.mark.parametrize("care", ["none", "clipped", "forced"])
def test_a_draw_behind_the_last_end_needs_care(care: str) -> None:
    def careless(logits, temperature, draws):  # type: ignore[no-untyped-def]
        if temperature < 0:
            raise ValueError("negative")
        if temperature == 0:
            return np.full(len(draws), np.argmax(logits))
        scores = np.exp((logits - logits.max()) / temperature)
        ends = np.cumsum(scores / scores.sum())
        if care == "forced":
            ends[-1] = 1.0
        found = np.searchsorted(ends, draws, side="right")
        return np.minimum(found, len(logits) - 1) if care == "clipped" else found

    assert not verdict_of(exercises.sample_words.sheet("care"), careless).passed


# ---- the chapter, run from top to bottom -----------------------------------------------------------------------------
@pytest.fixture(scope="module")
def printed() -> str:
    return run_solved("08_ngrams")[0]


@pytest.mark.parametrize(
    "line",
    [
        "853,234 words to train, 46,112 to test, 10,000 different",
        "in the beginning god created the heaven and the earth .",
        "[[3 5]\n [5 3]]\n[2 2]",
        "   the      ·     ·     ·     2     ·     ·     ·",
        "the dog sat <eos>: ['0.6667', '0.0000', '1.0000', '1.0000']",
        "1      10,000       16.2%             0.2                     0.0%",
        "2     129,775       56.2%             3.1                     8.6%",
        "3     368,196       73.8%            11.8                    32.8%",
        "5     707,327       90.8%            34.0                    77.6%",
        "a die of six sides: 6.0",
        "the dog sat, counted: inf",
        "add one: [0.3    0.1111 0.25   0.3333]  perplexity 4.3559",
        "ended within 1, 2, 4, 60 words: [0.1    0.2403 0.488  1.    ]",
        "the dog sat <eos>: [0.537  0.0278 0.6111 0.8056]  perplexity 3.416",
        "after a: cat 0.0556  sat 0.1111  rows sum to [1. 1. 1. 1. 1. 1. 1.]",
        "[0, 0.25), [0.25, 0.5) …: [0 1 3]",
        "T = 0.0: and the lord , and the lord , and the lord",
        "Kneser–Ney, n = 3: perplexity  47.04",
        "Kneser–Ney, n = 5: perplexity  41.15",
        "n = 3,    200 words: perplexity 13.02, 23.9% of the test is <unk>",
        "the same: True",
        "n = 4: ['<eos>', 'the', 'cat'] → sat: 3 words of context",
        "[[0. 0.]\n [4. 6.]\n [0. 0.]]",
        "product first: 0.0  logarithms: 10.0",
        "with +=: [3. 4.]  with np.add.at: [4. 6.]",
        "a context that peeks: 1.001",
        # Errata of the decks.
        "row <eos> as printed sums to 0.6667  with followed ones only: 1.0",
        "D, N = 3, has 3 words of context; P(w | w[t−N+1 … t−1]) has 2",
    ],
)
def test_the_chapter_prints(printed: str, line: str) -> None:
    assert line in printed


def test_every_measured_slope_is_the_gradient(printed: str) -> None:
    found = re.findall(r"along a random direction +(\S+), measured +(\S+)", printed)
    assert len(found) == 6
    for gradient, measured in found:
        assert float(gradient) == pytest.approx(float(measured), abs=2e-6)


def numbers(pattern: str, text: str) -> list[float]:
    found = re.search(pattern, text)
    assert found is not None, pattern
    return [float(part) for part in re.findall(r"[\d.]+", found[1])]


def test_trained_vectors_beat_frozen_ones_and_counting_beats_both_here(printed: str) -> None:
    trained = numbers(r"trained embeddings, perplexity after each epoch: \[(.*)\]", printed)
    frozen = numbers(r"frozen embeddings, perplexity after each epoch: \[(.*)\]", printed)
    [third] = numbers(r"n = 3, same words: (\S+)", printed)
    [second] = numbers(r"n = 2, same words: (\S+)", printed)
    assert trained == sorted(trained, reverse=True)
    assert trained[-1] < frozen[-1] - 2
    assert third < trained[-1] < second


def test_the_mixture_is_ahead_of_the_network_and_of_counting(printed: str) -> None:
    [alone] = numbers(r"1\.00 · network \+ 0\.00 · Kneser–Ney 5: perplexity (\S+)", printed)
    [half] = numbers(r"0\.50 · network \+ 0\.50 · Kneser–Ney 5: perplexity (\S+)", printed)
    [judged] = numbers(r"network: test perplexity (\S+)", printed)
    [counted] = numbers(r"0\.00 · network \+ 1\.00 · Kneser–Ney 5: perplexity (\S+)", printed)
    assert alone == pytest.approx(judged, rel=1e-3)
    assert counted == 41.15
    assert 47.04 < alone < 52
    assert half < counted - 3


def test_near_words_are_words_of_one_kind(printed: str) -> None:
    [near] = re.findall(r"three: (.*)", printed)
    digits = {"two", "four", "five", "six", "seven", "eight", "nine", "ten", "twelve", "twenty", "thirty", "forty"}
    assert len(digits & set(near.split(", "))) >= 3
