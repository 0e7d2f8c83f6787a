"""Exercises of chapter 04: losses with their gradients, pooling, convolution over words, a text classifier."""

import math
from collections.abc import Iterator

import numpy as np

from autograder.exercise import Case, case, exercise, explanation
from autograder.sandbox.wire import Seed
from solutions import losses as ref
from solutions import text_classification as text


# ---- log_softmax -----------------------------------------------------------------------------------------------------
@exercise(ref.log_softmax, points=2)
def log_softmax(rng: np.random.Generator) -> Iterator[Case]:
    """Turn rows of scores into logarithms of probabilities, whatever their size."""
    yield case("equal scores", logits=np.zeros((2, 4)))
    for batch, classes in [(1, 3), (5, 3), (3, 5), (4, 2)]:
        yield case(logits=2 * rng.normal(size=(batch, classes)))
    yield case("large scores", logits=np.array([[1000.0, 0.0, -1000.0], [-1000.0, -1001.0, -999.0]]))
    yield case("rows of very different size", logits=rng.normal(size=(3, 4)) + np.array([[1000.0], [0.0], [-1000.0]]))


@log_softmax.mistake(
    "The softmax is stable, but its logarithm is not: a probability that has been rounded to 0 has the logarithm −∞. Take the "
    "logarithm on paper first; which exp is then no longer needed?"
)
def logarithm_of_the_rounded_softmax(logits):
    with np.errstate(all="ignore"):
        e = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.log(e / e.sum(axis=1, keepdims=True))


@log_softmax.mistake(
    "The largest score is taken of the whole array, not of each row. A row that lies 2,000 below it becomes 0 everywhere, and "
    "log 0 is −∞."
)
def shift_of_the_whole_array(logits):
    with np.errstate(all="ignore"):
        shifted = logits - logits.max()
        return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


@log_softmax.mistake(
    "The columns add up to 1, not the rows. Each row is a sample, and its classes share the probability: along which axis?"
)
def over_the_batch(logits):
    shifted = logits - logits.max(axis=0, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=0, keepdims=True))


@log_softmax.mistake("These are the probabilities themselves. Their logarithm is asked for.")
def probabilities_themselves(logits):
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


@log_softmax.mistake(
    "The sum runs over the whole array: all rows together share the probability 1. Each row is a sample of its own, so exp of "
    "each row has to add up to 1."
)
def sum_of_the_whole_array(logits):
    shifted = logits - logits.max(axis=1, keepdims=True)
    with np.errstate(all="ignore"):
        return shifted - np.log(np.exp(shifted).sum())


@log_softmax.mistake(
    "The row's largest score was taken off inside the sum alone. log Σ exp(z − M) is smaller than log Σ exp(z) by M: take M off "
    "outside, too, or add it back to the logarithm."
)
def shift_inside_the_sum_only(logits):
    shifted = logits - logits.max(axis=1, keepdims=True)
    return logits - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


@log_softmax.variant
def with_logaddexp(logits):
    return logits - np.logaddexp.reduce(logits, axis=1)[:, None]


@log_softmax.variant
def row_by_row(logits):
    result = np.empty_like(logits)
    for i, row in enumerate(logits):
        top = max(row)
        total = math.log(sum(math.exp(z - top) for z in row))
        result[i] = [z - top - total for z in row]
    return result


@log_softmax.variant
def top_added_back(logits):
    top = np.max(logits, axis=-1)
    return logits - (top + np.log(np.sum(np.exp(logits.T - top), axis=0)))[:, np.newaxis]


# ---- sample_losses ---------------------------------------------------------------------------------------------------
@exercise(ref.sample_losses, points=3, returns=("losses", "slopes"))
def sample_losses(rng: np.random.Generator) -> Iterator[Case]:
    """Say of every sample how wrong the score is, and which way and how fast it gets worse."""
    target = np.array([1.0, -1.0, 1.0, -1.0, 1.0, -1.0, 1.0, -1.0])
    margin = np.array([2.5, 1.5, 1.0, 0.4, 0.0, -0.3, -1.0, -4.0])
    for name in ("hinge", "logistic", "exponential", "zero_one"):
        yield case("from right to wrong", name=name, score=target * margin, target=target)
        yield case(name=name, score=2 * rng.normal(size=7), target=rng.choice([-1.0, 1.0], size=7))
    for name in ("squared", "absolute"):
        yield case("any target", name=name, score=rng.normal(size=5), target=3 * rng.normal(size=5))
        yield case("exactly right", name=name, score=np.array([2.0, -1.0]), target=np.array([2.0, 1.0]))
    far = np.array([1000.0, -1000.0, 1000.0, -1000.0])
    for name in ("logistic", "hinge", "squared"):
        yield case("far away", name=name, score=far, target=np.array([1.0, 1.0, -1.0, -1.0]))
    yield case("an unknown name", name="cosine", score=np.ones(2), target=np.ones(2))


@sample_losses.mistake(
    "The logistic loss lacks its minus (deck A prints it so): log(1 + exp(m)) is small for a wrong answer and grows with a right "
    "one. The better the margin, the smaller the loss should be."
)
def logistic_without_the_minus(name, score, target):
    m = target * score
    s = 1 / (1 + np.exp(-np.clip(m, -700, 700)))
    if name == "logistic":
        return np.logaddexp(0.0, m), target * s
    if name == "zero_one":
        return (m <= 0).astype(float), np.zeros_like(score)
    if name == "absolute":
        return np.abs(score - target), np.sign(score - target)
    if name == "squared":
        return (score - target) ** 2, 2 * (score - target)
    if name == "hinge":
        return np.maximum(0.0, 1 - m), np.where(m < 1, -target, 0.0)
    if name == "exponential":
        return np.exp(-m), -target * np.exp(-m)
    raise ValueError(name)


@sample_losses.mistake(
    "The slopes are taken by the margin, not by the score. The score stands inside m = target · score, so the chain rule asks for "
    "one more factor. Look at a sample with target −1: when its score grows, does its loss?"
)
def slopes_by_the_margin(name, score, target):
    m = target * score
    if name == "zero_one":
        return (m <= 0).astype(float), np.zeros_like(score)
    if name == "absolute":
        return np.abs(score - target), np.sign(score - target)
    if name == "squared":
        return (score - target) ** 2, 2 * (score - target)
    if name == "hinge":
        return np.maximum(0.0, 1 - m), np.where(m < 1, -1.0, 0.0)
    if name == "logistic":
        return np.logaddexp(0.0, -m), -1 / (1 + np.exp(np.clip(m, -700, 700)))
    if name == "exponential":
        return np.exp(-m), -np.exp(-m)
    raise ValueError(name)


@sample_losses.mistake(
    "The squared loss's slope has the wrong sign: (score − target)² grows when the score exceeds the target. Deck A prints target "
    "− score for the derivative, too; which way does a step against it go?"
)
def squared_slope_turned_round(name, score, target):
    m = target * score
    if name == "zero_one":
        return (m <= 0).astype(float), np.zeros_like(score)
    if name == "absolute":
        return np.abs(score - target), np.sign(score - target)
    if name == "squared":
        return (score - target) ** 2, 2 * (target - score)
    if name == "hinge":
        return np.maximum(0.0, 1 - m), np.where(m < 1, -target, 0.0)
    if name == "logistic":
        return np.logaddexp(0.0, -m), -target / (1 + np.exp(np.clip(m, -700, 700)))
    if name == "exponential":
        return np.exp(-m), -target * np.exp(-m)
    raise ValueError(name)


@sample_losses.mistake(
    "The squared loss is not squared: the root of a square is the distance itself, and that is the absolute loss (deck E prints "
    "its L2 loss so)."
)
def distance_without_the_square(name, score, target):
    m = target * score
    if name == "zero_one":
        return (m <= 0).astype(float), np.zeros_like(score)
    if name in ("absolute", "squared"):
        return np.abs(score - target), np.sign(score - target)
    if name == "hinge":
        return np.maximum(0.0, 1 - m), np.where(m < 1, -target, 0.0)
    if name == "logistic":
        return np.logaddexp(0.0, -m), -target / (1 + np.exp(np.clip(m, -700, 700)))
    if name == "exponential":
        return np.exp(-m), -target * np.exp(-m)
    raise ValueError(name)


@sample_losses.mistake(
    "The hinge begins at m = 0: a right answer costs nothing here, however close it was. The hinge loss asks for a margin of 1; "
    "without it this is the perceptron's loss."
)
def hinge_at_zero(name, score, target):
    m = target * score
    if name == "zero_one":
        return (m <= 0).astype(float), np.zeros_like(score)
    if name == "absolute":
        return np.abs(score - target), np.sign(score - target)
    if name == "squared":
        return (score - target) ** 2, 2 * (score - target)
    if name == "hinge":
        return np.maximum(0.0, -m), np.where(m < 0, -target, 0.0)
    if name == "logistic":
        return np.logaddexp(0.0, -m), -target / (1 + np.exp(np.clip(m, -700, 700)))
    if name == "exponential":
        return np.exp(-m), -target * np.exp(-m)
    raise ValueError(name)


@sample_losses.mistake(
    "The logistic slope has σ(m) where σ(−m) belongs: so it is steep for answers that are right by far, and flat for gross "
    "mistakes. Differentiate ln(1 + exp(−m)) by m once more: what stands above the fraction bar?"
)
def sigmoid_of_the_margin(name, score, target):
    m = target * score
    if name == "zero_one":
        return (m <= 0).astype(float), np.zeros_like(score)
    if name == "absolute":
        return np.abs(score - target), np.sign(score - target)
    if name == "squared":
        return (score - target) ** 2, 2 * (score - target)
    if name == "hinge":
        return np.maximum(0.0, 1 - m), np.where(m < 1, -target, 0.0)
    if name == "logistic":
        return np.logaddexp(0.0, -m), -target / (1 + np.exp(-np.clip(m, -700, 700)))
    if name == "exponential":
        return np.exp(-m), -target * np.exp(-m)
    raise ValueError(name)


@sample_losses.variant
def by_one_sample_at_a_time(name, score, target):
    def one(s, y):
        m = s * y
        if name == "zero_one":
            return (0.0 if m > 0 else 1.0), 0.0
        if name == "absolute":
            return abs(s - y), float(s > y) - float(s < y)
        if name == "squared":
            return (s - y) ** 2, 2 * s - 2 * y
        if name == "hinge":
            return (1 - m, -y) if m < 1 else (0.0, 0.0)
        if name == "logistic":
            t = math.exp(-abs(m))
            return max(-m, 0) + math.log1p(t), -y * (t if m >= 0 else 1.0) / (1 + t)
        if name == "exponential":
            return math.exp(-m), -y * math.exp(-m)
        raise ValueError(f"{name}?")

    pairs = [one(float(s), float(y)) for s, y in zip(score, target, strict=True)]
    return np.array([p[0] for p in pairs]), np.array([p[1] for p in pairs])


@sample_losses.variant
def with_a_dictionary(name, score, target):
    m, off = score * target, score - target
    half = 0.5 * (1 - np.tanh(m / 2))
    table = {
        "zero_one": lambda: (np.where(m > 0, 0.0, 1.0), 0 * score),
        "absolute": lambda: (np.sqrt(off**2), np.sign(off)),
        "squared": lambda: (np.square(off), off + off),
        "hinge": lambda: (np.clip(1 - m, 0, None), -target * (1 - m > 0)),
        "logistic": lambda: (np.maximum(-m, 0) + np.log1p(np.exp(-np.abs(m))), -target * half),
        "exponential": lambda: (1 / np.exp(m), -target / np.exp(m)),
    }
    if name not in table:
        raise ValueError(name)
    return table[name]()


@sample_losses.variant
def with_match(name, score, target):
    m = target * score
    match name:
        case "zero_one":
            return 1.0 * (m <= 0), np.zeros(score.shape)
        case "absolute":
            return np.abs(target - score), -np.sign(target - score)
        case "squared":
            return (target - score) ** 2, -2 * (target - score)
        case "hinge":
            rest = 1 - m
            return np.where(rest > 0, rest, 0.0), np.where(rest > 0, -target, 0.0)
        case "logistic":
            return -np.minimum(m, 0) + np.log1p(np.exp(-np.abs(m))), -target * np.exp(-np.logaddexp(0, m))
        case "exponential":
            loss = np.exp(-m)
            return loss, -target * loss
    raise ValueError(name)


# ---- cross_entropy ---------------------------------------------------------------------------------------------------
@exercise(ref.cross_entropy, points=3, returns=("loss", "grad_logits"))
def cross_entropy(rng: np.random.Generator) -> Iterator[Case]:
    """Measure how surprised a softmax is by the right classes, and which way each score should go."""
    yield case("one row", logits=np.array([[2.0, 1.0, 0.0]]), targets=np.array([1]))
    for batch, classes in [(4, 3), (5, 2), (3, 6)]:
        yield case(logits=2 * rng.normal(size=(batch, classes)), targets=rng.integers(0, classes, size=batch))
    far = np.array([[1000.0, 0.0, -1000.0], [-1000.0, 1000.0, 0.0]])
    yield case("sure and right, sure and wrong", logits=far, targets=np.array([0, 0]))
    yield case("one class several times", logits=rng.normal(size=(4, 3)), targets=np.array([2, 2, 2, 0]))


@cross_entropy.mistake(
    "The loss is a mean over the batch, but its gradient is that of the sum. What happens to a factor 1/N under a derivative?"
)
def gradient_of_the_sum(logits, targets):
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    grad = np.exp(log_p) - np.eye(logits.shape[1])[targets]
    return float(-log_p[np.arange(len(targets)), targets].mean()), grad


@cross_entropy.mistake(
    "Prediction and answer have changed places, as deck A prints it: −Σ ŷ log y takes the logarithm of a one-hot vector, and log 0 "
    "is −∞. The answer picks; the prediction is what the logarithm is taken of."
)
def prediction_and_answer_swapped(logits, targets):
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    y = np.eye(logits.shape[1])[targets]
    with np.errstate(all="ignore"):
        loss = -np.nansum(p * np.log(y), axis=1).mean()
    return float(loss), (p - y) / len(targets)


@cross_entropy.mistake(
    "log_p[:, targets] takes all the columns named for every row, (batch, batch) numbers. One entry of each row is wanted: its row "
    "number and its class go together."
)
def all_pairs_of_rows_and_targets(logits, targets):
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    grad = np.exp(log_p) - np.eye(logits.shape[1])[targets]
    return float(-log_p[:, targets].mean()), grad / len(targets)


@cross_entropy.mistake(
    "The gradient is ŷ alone: a step against it would push every score down, the right class's too. Which entry of each row has "
    "the 1 of the answer to come off?"
)
def answer_not_taken_off(logits, targets):
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return float(-log_p[np.arange(len(targets)), targets].mean()), np.exp(log_p) / len(targets)


@cross_entropy.mistake(
    "grad[:, targets] takes the 1 off whole columns, in every row. One entry of each row is meant: its row number and its class "
    "go together."
)
def one_taken_off_whole_columns(logits, targets):
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    grad = np.exp(log_p)
    grad[:, targets] -= 1
    return float(-log_p[np.arange(len(targets)), targets].mean()), grad / len(targets)


@cross_entropy.mistake(
    "A softmax is applied twice: probabilities went into the log-softmax. It expects the scores themselves."
)
def softmax_applied_twice(logits, targets):
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    log_p = p - np.log(np.exp(p).sum(axis=1, keepdims=True))
    return float(-log_p[np.arange(len(targets)), targets].mean()), (
        np.exp(log_p) - np.eye(logits.shape[1])[targets]
    ) / len(targets)


@cross_entropy.variant
def with_one_hot_rows(logits, targets):
    y = np.eye(logits.shape[1])[targets]
    log_p = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    return -np.sum(y * log_p) / len(targets), (np.exp(log_p) - y) / len(targets)


@cross_entropy.variant
def with_take_along_axis(logits, targets):
    shifted = logits - np.max(logits, axis=1)[:, None]
    e = np.exp(shifted)
    total = e.sum(axis=1)
    right = np.take_along_axis(shifted, targets[:, None], axis=1)[:, 0]
    grad = e / total[:, None]
    np.put_along_axis(grad, targets[:, None], np.take_along_axis(grad, targets[:, None], 1) - 1, axis=1)
    return np.mean(np.log(total) - right), grad / logits.shape[0]


@cross_entropy.variant
def row_after_row(logits, targets):
    loss, grad = 0.0, np.zeros_like(logits)
    for i, (row, c) in enumerate(zip(logits, targets, strict=True)):
        e = np.exp(row - row.max())
        loss += (math.log(e.sum()) + row.max() - row[c]) / len(targets)
        grad[i] = e / e.sum() / len(targets)
        grad[i, c] -= 1 / len(targets)
    return loss, grad


# ---- pool_words ------------------------------------------------------------------------------------------------------
@exercise(text.pool_words, points=3)
def pool_words(rng: np.random.Generator) -> Iterator[Case]:
    """Make one vector of each text from the vectors of its real words alone."""
    mask = np.array([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0], [1, 1, 1, 1, 0]], dtype=bool)  # the texts of deck E
    for how in ("mean", "max"):
        yield case("three texts of 5, 2 and 4 words", vectors=rng.normal(size=(3, 5, 2)), mask=mask, how=how)
        yield case("all values negative", vectors=-rng.uniform(1, 2, size=(3, 5, 4)), mask=mask, how=how)
        some = rng.random((4, 6)) < 0.5
        some[:, 2] = True
        yield case("words anywhere in the row", vectors=rng.normal(size=(4, 6, 3)), mask=some, how=how)
        none = np.array([[False, False, False], [True, True, False]])
        yield case("a text with no real word", vectors=1 + rng.random((2, 3, 2)), mask=none, how=how)
        odd = rng.normal(size=(2, 3, 2))
        odd[~np.array([[True, True, False], [True, False, False]])] = np.inf
        yield case(
            "what stands at padded places is arbitrary",
            vectors=odd,
            mask=np.array([[True, True, False], [True, False, False]]),
            how=how,
        )
    low = np.full((2, 3, 2), -1e12) * rng.uniform(1, 2, size=(2, 3, 2))
    yield case("values far below 0", vectors=low, mask=np.array([[True, True, False], [True, False, False]]), how="max")
    yield case("an unknown way", vectors=np.ones((1, 1, 1)), mask=np.ones((1, 1), dtype=bool), how="median")


@pool_words.mistake(
    "The padded places take part. The mask says which words are real; the others must neither be added nor counted."
)
def padding_takes_part(vectors, mask, how):
    if how not in ("mean", "max"):
        raise ValueError(how)
    return vectors.mean(axis=1) if how == "mean" else vectors.max(axis=1)


@pool_words.mistake(
    "The sum is right, but it is divided by the length of the row. A text of 2 words in a row of 5 has a mean over 2."
)
def divided_by_the_length_of_the_row(vectors, mask, how):
    if how not in ("mean", "max"):
        raise ValueError(how)
    real = mask[:, :, None]
    if how == "mean":
        return np.where(real, vectors, 0.0).mean(axis=1)
    largest = np.where(real, vectors, -np.inf).max(axis=1)
    return np.where(mask.any(axis=1)[:, None], largest, 0.0)


@pool_words.mistake(
    "Zeroed padding wins a maximum against negative values. What must stand at padded places so that it can never be the largest?"
)
def maximum_with_zeros(vectors, mask, how):
    if how not in ("mean", "max"):
        raise ValueError(how)
    zeroed = np.where(mask[:, :, None], vectors, 0.0)
    if how == "mean":
        return zeroed.sum(axis=1) / np.maximum(mask.sum(axis=1), 1)[:, None]
    return zeroed.max(axis=1)


@pool_words.mistake(
    "A text with no real word has no defined answer here: 0/0 is NaN, and the largest of nothing is −∞. The docstring "
    "asks for a row of zeros."
)
def nothing_divided_by_nothing(vectors, mask, how):
    if how not in ("mean", "max"):
        raise ValueError(how)
    real = mask[:, :, None]
    with np.errstate(all="ignore"):
        if how == "mean":
            return np.where(real, vectors, 0.0).sum(axis=1) / mask.sum(axis=1)[:, None]
    return np.where(real, vectors, -np.inf).max(axis=1)


@pool_words.mistake(
    "Multiplying by the mask does not remove what is not finite: 0 times ∞ is NaN, not 0. Choose between two values "
    "instead of multiplying."
)
def multiplied_by_the_mask(vectors, mask, how):
    if how not in ("mean", "max"):
        raise ValueError(how)
    real = mask[:, :, None]
    with np.errstate(all="ignore"):
        if how == "mean":
            return (vectors * real).sum(axis=1) / np.maximum(mask.sum(axis=1), 1)[:, None]
        largest = (vectors * real + np.where(real, 0.0, -np.inf)).max(axis=1)
    return np.where(mask.any(axis=1)[:, None], largest, 0.0)


@pool_words.mistake(
    "A large negative number stands in for the padding, and here every real value lies below it. Only −∞ is never the largest."
)
def stand_in_that_can_win(vectors, mask, how):
    if how not in ("mean", "max"):
        raise ValueError(how)
    real = mask[:, :, None]
    if how == "mean":
        return np.where(real, vectors, 0.0).sum(axis=1) / np.maximum(mask.sum(axis=1), 1)[:, None]
    return np.where(mask.any(axis=1)[:, None], np.where(real, vectors, -1e9).max(axis=1), 0.0)


@pool_words.variant
def text_by_text(vectors, mask, how):
    if how not in ("mean", "max"):
        raise ValueError(how)
    pooled = np.zeros((vectors.shape[0], vectors.shape[2]))
    for i in range(len(vectors)):
        words = vectors[i][mask[i]]
        if len(words):
            pooled[i] = words.mean(axis=0) if how == "mean" else words.max(axis=0)
    return pooled


@pool_words.variant
def with_masked_reductions(vectors, mask, how):
    real = np.broadcast_to(mask[:, :, None], vectors.shape)
    if how == "mean":
        return np.sum(vectors, axis=1, where=real) / np.where(mask.any(axis=1), mask.sum(axis=1), 1)[:, None]
    if how == "max":
        found = np.max(vectors, axis=1, where=real, initial=-np.inf)
        found[~mask.any(axis=1)] = 0
        return found
    raise ValueError(how)


@pool_words.variant
def with_a_copy(vectors, mask, how):
    if how == "mean":
        copy = vectors.copy()
        copy[~mask] = 0
        count = mask.sum(axis=1).astype(float)
        count[count == 0] = 1
        return copy.sum(axis=1) / count.reshape(-1, 1)
    if how != "max":
        raise ValueError(how)
    copy = vectors.copy()
    copy[~mask] = -np.inf
    pooled = copy.max(axis=1)
    return np.where(np.isneginf(pooled), 0.0, pooled)


# ---- text_gradients --------------------------------------------------------------------------------------------------
@exercise(text.text_gradients, points=3, returns=("grad_embeddings", "grad_w", "grad_b"))
def text_gradients(rng: np.random.Generator) -> Iterator[Case]:
    """Send the loss of a text classifier back to its weights and to the vector of every word."""
    for label, batch, time, vocabulary, features, classes in [
        ("one text", 1, 3, 4, 2, 3),
        ("texts of uneven length", 4, 5, 7, 3, 2),
        ("words that occur again and again", 3, 6, 3, 4, 3),
    ]:
        mask = np.arange(time) < rng.integers(2, time + 1, size=(batch, 1))
        mask[0] = True
        words = rng.integers(0, vocabulary, size=(batch, time))
        words[0, :2] = 1  # one word twice in one text
        yield case(
            label,
            embeddings=rng.normal(size=(vocabulary, features)),
            w=rng.normal(size=(features, classes)),
            b=rng.normal(size=classes),
            words=words,
            mask=mask,
            targets=rng.integers(0, classes, size=batch),
        )


text_gradients.gradient_of(text.text_loss, wrt=("embeddings", "w", "b"))


@text_gradients.mistake(
    "A word that occurs twice gets one share instead of two: `array[indices] += …` writes a repeated index once, with the "
    "last value. NumPy has a function that adds every time."
)
def repeated_words_get_one_share(embeddings, w, b, words, mask, targets):
    count = mask.sum(axis=1, keepdims=True)
    pooled = np.where(mask[:, :, None], embeddings[words], 0.0).sum(axis=1) / count
    z = pooled @ w + b
    e = np.exp(z - z.max(axis=1, keepdims=True))
    grad_z = (e / e.sum(axis=1, keepdims=True) - np.eye(len(b))[targets]) / len(targets)
    grad = np.zeros_like(embeddings)
    grad[words[mask]] += (grad_z @ w.T / count)[np.nonzero(mask)[0]]
    return grad, pooled.T @ grad_z, grad_z.sum(axis=0)


@text_gradients.mistake(
    "Each word gets the whole gradient of the pooled vector. The pooled vector is a mean over n words, so each of them "
    "moves it by 1/n only."
)
def not_divided_by_the_words(embeddings, w, b, words, mask, targets):
    pooled = np.where(mask[:, :, None], embeddings[words], 0.0).sum(axis=1) / mask.sum(axis=1, keepdims=True)
    z = pooled @ w + b
    e = np.exp(z - z.max(axis=1, keepdims=True))
    grad_z = (e / e.sum(axis=1, keepdims=True) - np.eye(len(b))[targets]) / len(targets)
    grad = np.zeros_like(embeddings)
    np.add.at(grad, words[mask], (grad_z @ w.T)[np.nonzero(mask)[0]])
    return grad, pooled.T @ grad_z, grad_z.sum(axis=0)


@text_gradients.mistake(
    "Padded places get a gradient as well. They had no part in the loss, so whatever word number stands there must not move."
)
def padding_gets_a_gradient(embeddings, w, b, words, mask, targets):
    count = mask.sum(axis=1, keepdims=True)
    pooled = np.where(mask[:, :, None], embeddings[words], 0.0).sum(axis=1) / count
    z = pooled @ w + b
    e = np.exp(z - z.max(axis=1, keepdims=True))
    grad_z = (e / e.sum(axis=1, keepdims=True) - np.eye(len(b))[targets]) / len(targets)
    grad = np.zeros_like(embeddings)
    np.add.at(grad, words, np.repeat((grad_z @ w.T / count)[:, None], words.shape[1], axis=1))
    return grad, pooled.T @ grad_z, grad_z.sum(axis=0)


@text_gradients.mistake(
    "Each share is divided by the length of the row, not by the number of real words. What did the forward pass divide by?"
)
def divided_by_the_row(embeddings, w, b, words, mask, targets):
    pooled = np.where(mask[:, :, None], embeddings[words], 0.0).sum(axis=1) / mask.sum(axis=1, keepdims=True)
    z = pooled @ w + b
    e = np.exp(z - z.max(axis=1, keepdims=True))
    grad_z = (e / e.sum(axis=1, keepdims=True) - np.eye(len(b))[targets]) / len(targets)
    grad = np.zeros_like(embeddings)
    np.add.at(grad, words[mask], (grad_z @ w.T / words.shape[1])[np.nonzero(mask)[0]])
    return grad, pooled.T @ grad_z, grad_z.sum(axis=0)


@text_gradients.mistake(
    "The bias's gradient is a mean over the batch. The 1/N is already in grad_logits; the bias serves every row, so its "
    "shares add up."
)
def bias_gradient_is_a_mean(embeddings, w, b, words, mask, targets):
    count = mask.sum(axis=1, keepdims=True)
    pooled = np.where(mask[:, :, None], embeddings[words], 0.0).sum(axis=1) / count
    z = pooled @ w + b
    e = np.exp(z - z.max(axis=1, keepdims=True))
    grad_z = (e / e.sum(axis=1, keepdims=True) - np.eye(len(b))[targets]) / len(targets)
    grad = np.zeros_like(embeddings)
    np.add.at(grad, words[mask], (grad_z @ w.T / count)[np.nonzero(mask)[0]])
    return grad, pooled.T @ grad_z, grad_z.mean(axis=0)


@text_gradients.variant
def through_bags_of_words(embeddings, w, b, words, mask, targets):
    bag = np.zeros((len(words), len(embeddings)))
    for i, row in enumerate(words):
        for word in row[mask[i]]:
            bag[i, word] += 1 / mask[i].sum()
    z = bag @ embeddings @ w + b
    e = np.exp(z - z.max(axis=1, keepdims=True))
    grad_z = (e / e.sum(axis=1, keepdims=True) - np.eye(len(b))[targets]) / len(targets)
    return bag.T @ grad_z @ w.T, (bag @ embeddings).T @ grad_z, grad_z.sum(axis=0)


@text_gradients.variant
def word_for_word(embeddings, w, b, words, mask, targets):
    grads = np.zeros_like(embeddings), np.zeros_like(w), np.zeros_like(b)
    for row, real, target in zip(words, mask, targets, strict=True):
        kept = row[real]
        pooled = embeddings[kept].mean(axis=0)
        z = pooled @ w + b
        p = np.exp(z - z.max())
        p /= p.sum()
        p[target] -= 1
        p /= len(words)
        grads[1][:] += np.outer(pooled, p)
        grads[2][:] += p
        for word in kept:
            grads[0][word] += w @ p / len(kept)
    return grads


@text_gradients.variant
def every_place_with_a_weight(embeddings, w, b, words, mask, targets):
    weight = mask / mask.sum(axis=1, keepdims=True)
    pooled = np.einsum("nt,ntf->nf", weight, embeddings[words])
    z = pooled @ w + b
    e = np.exp(z - z.max(axis=1, keepdims=True))
    grad_z = (e / e.sum(axis=1, keepdims=True) - np.eye(len(b))[targets]) / len(targets)
    grad = np.zeros_like(embeddings)
    np.add.at(grad, words, weight[:, :, None] * (grad_z @ w.T)[:, None, :])
    return grad, np.einsum("nf,nc->fc", pooled, grad_z), np.ones(len(z)) @ grad_z


# ---- train_text_classifier -------------------------------------------------------------------------------------------
def _texts(rng, count, classes, vocabulary, per_class, time):
    """Texts whose words hint at their class: a word is a hint with probability 0.5, else any word.

    What stands at padded places hints at another class.
    """
    targets = rng.integers(0, classes, size=count)
    mask = np.arange(time) < rng.integers(5, time + 1, size=(count, 1))
    hint = rng.integers(0, per_class, size=(count, time))
    words = np.where(
        rng.random((count, time)) < 0.5,
        targets[:, None] * per_class + hint,
        rng.integers(0, vocabulary, size=(count, time)),
    )
    other = (targets[:, None] + 1) % classes * per_class + hint
    return np.where(mask, words, other), mask, targets


@exercise(text.train_text_classifier, points=3, costly=True, returns=("embeddings", "w", "b"))
def train_text_classifier(rng: np.random.Generator) -> Iterator[Case]:
    """Learn to sort texts, to 85 % on texts that your function has never seen."""
    for label, classes, vocabulary, per_class in [("two classes", 2, 40, 6), ("three classes", 3, 60, 6)]:
        words, mask, targets = _texts(rng, 400, classes, vocabulary, per_class, 12)
        new_words, new_mask, new_targets = _texts(rng, 300, classes, vocabulary, per_class, 12)
        yield case(
            label,
            words=words,
            mask=mask,
            targets=targets,
            vocabulary=vocabulary,
            classes=classes,
            epochs=20,
            rng=Seed(int(rng.integers(1 << 30))),
        ).hold(words=new_words, mask=new_mask, targets=new_targets, vocabulary=vocabulary, classes=classes)


@train_text_classifier.criterion
def right_on_new_texts(outputs, held):
    embeddings, w, b = (np.asarray(outputs[name], dtype=float) for name in ("embeddings", "w", "b"))
    vocabulary, classes = held["vocabulary"], held["classes"]
    features = embeddings.shape[1] if embeddings.ndim == 2 else 0
    shapes = [list(part.shape) for part in (embeddings, w, b)]
    if features == 0 or shapes != [[vocabulary, features], [features, classes], [classes]]:
        return f"embeddings, w, b have the shapes {shapes}; (vocabulary, features), (features, classes), (classes,) are needed."
    if not all(np.isfinite(part).all() for part in (embeddings, w, b)):
        return "some of the weights are not finite: the steps were too large and the training blew up."
    weight = held["mask"] / held["mask"].sum(axis=1, keepdims=True)
    # Mean first, then words: however many features come back, nothing grows beyond (texts, vocabulary).
    shares = np.zeros((len(weight), vocabulary))
    np.add.at(shares, (np.arange(len(weight))[:, None], held["words"]), weight)
    logits = shares @ (embeddings @ w) + b
    right = float(np.mean(np.argmax(logits, axis=1) == held["targets"]))
    log_y_hat = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    loss = float(-log_y_hat[np.arange(len(logits)), held["targets"]].mean())
    if right >= 0.85 and loss < math.log(classes):
        return None
    if right >= 0.85:
        blind = f"ln {classes} = {math.log(classes):.3g} of a blind guess"
        return f"{right:.1%} of new texts are right, but their loss is {loss:.3g}, above the {blind}: does every step go down?"
    if len(set(np.argmax(logits, axis=1).tolist())) == 1:
        return f"each new text gets the same class ({right:.1%} right): the words have no say. Do w and embeddings both start at 0?"
    if right < 0.5 / classes:
        return (
            f"{right:.1%} of new texts are right, far fewer than by guessing: does every step go against the gradient?"
        )
    guess = float(np.bincount(held["targets"]).max() / len(held["targets"]))
    return f"{right:.1%} of new texts are right; at least 85 % are needed (naming the most frequent class gives {guess:.1%})."


@train_text_classifier.mistake(
    "The steps go with the gradient, up the loss. Against it the loss falls: which sign does the update need?"
)
def climbs_the_loss(words, mask, targets, vocabulary, classes, epochs, rng):
    embeddings, w, b = 0.1 * rng.normal(size=(vocabulary, 16)), rng.normal(size=(16, classes)), np.zeros(classes)
    weight = mask / mask.sum(axis=1, keepdims=True)
    for _ in range(epochs):
        for at in np.split(rng.permutation(len(words)), range(32, len(words), 32)):
            pooled = np.einsum("nt,ntf->nf", weight[at], embeddings[words[at]])
            z = pooled @ w + b
            e = np.exp(z - z.max(axis=1, keepdims=True))
            g = (e / e.sum(axis=1, keepdims=True) - np.eye(classes)[targets[at]]) / len(at)
            grad = np.zeros_like(embeddings)
            np.add.at(grad, words[at], weight[at][:, :, None] * (g @ w.T)[:, None, :])
            embeddings += grad
            w += 0.1 * pooled.T @ g
            b += 0.1 * g.sum(axis=0)
    return embeddings, w, b


@train_text_classifier.mistake(
    "The word vectors stay as they were drawn; only the layer on top learns. Sixteen random numbers a word say too little about "
    "its meaning: let the gradient reach the embeddings as well."
)
def embeddings_stay_random(words, mask, targets, vocabulary, classes, epochs, rng):
    embeddings, w, b = 0.1 * rng.normal(size=(vocabulary, 4)), np.zeros((4, classes)), np.zeros(classes)
    weight = mask / mask.sum(axis=1, keepdims=True)
    pooled = np.einsum("nt,ntf->nf", weight, embeddings[words])
    for _ in range(epochs):
        for at in np.split(rng.permutation(len(words)), range(32, len(words), 32)):
            z = pooled[at] @ w + b
            e = np.exp(z - z.max(axis=1, keepdims=True))
            g = (e / e.sum(axis=1, keepdims=True) - np.eye(classes)[targets[at]]) / len(at)
            w -= 0.1 * pooled[at].T @ g
            b -= 0.1 * g.sum(axis=0)
    return embeddings, w, b


@train_text_classifier.mistake(
    "Everything starts from 0 and nothing moves but the biases: with w = 0 no gradient reaches the embeddings, and with "
    "embeddings = 0 none reaches w. Draw the first values at random."
)
def everything_starts_at_zero(words, mask, targets, vocabulary, classes, epochs, rng):
    b = np.zeros(classes)
    for _ in range(epochs):
        for at in np.split(rng.permutation(len(words)), range(32, len(words), 32)):
            e = np.exp(b - b.max())
            g = np.tile(e / e.sum(), (len(at), 1)) - np.eye(classes)[targets[at]]
            b -= 0.2 * g.mean(axis=0)
    return np.zeros((vocabulary, 16)), np.zeros((16, classes)), b


@train_text_classifier.mistake(
    "The padded places were read as words. The mask has to go along into every batch, with the rows that were chosen."
)
def reads_the_padding(words, mask, targets, vocabulary, classes, epochs, rng):
    embeddings, w, b = 0.1 * rng.normal(size=(vocabulary, 16)), rng.normal(size=(16, classes)), np.zeros(classes)
    weight = np.full(words.shape, 1 / words.shape[1])
    for _ in range(epochs):
        for at in np.split(rng.permutation(len(words)), range(32, len(words), 32)):
            pooled = np.einsum("nt,ntf->nf", weight[at], embeddings[words[at]])
            z = pooled @ w + b
            e = np.exp(z - z.max(axis=1, keepdims=True))
            g = (e / e.sum(axis=1, keepdims=True) - np.eye(classes)[targets[at]]) / len(at)
            grad = np.zeros_like(embeddings)
            np.add.at(grad, words[at], weight[at][:, :, None] * (g @ w.T)[:, None, :])
            embeddings -= 20 * grad
            w -= 0.2 * pooled.T @ g
            b -= 0.2 * g.sum(axis=0)
    return embeddings, w, b


@train_text_classifier.mistake(
    "The texts are shuffled, but their classes are not: after the first permutation each text learns another one's class. "
    "Index words, mask and targets with the same rows."
)
def targets_are_not_shuffled(words, mask, targets, vocabulary, classes, epochs, rng):
    embeddings, w, b = 0.1 * rng.normal(size=(vocabulary, 16)), rng.normal(size=(16, classes)), np.zeros(classes)
    weight = mask / mask.sum(axis=1, keepdims=True)
    for _ in range(epochs):
        order = rng.permutation(len(words))
        for start in range(0, len(words), 32):
            at = order[start : start + 32]
            pooled = np.einsum("nt,ntf->nf", weight[at], embeddings[words[at]])
            z = pooled @ w + b
            e = np.exp(z - z.max(axis=1, keepdims=True))
            g = (e / e.sum(axis=1, keepdims=True) - np.eye(classes)[targets[start : start + 32]]) / len(at)
            grad = np.zeros_like(embeddings)
            np.add.at(grad, words[at], weight[at][:, :, None] * (g @ w.T)[:, None, :])
            embeddings -= 20 * grad
            w -= 0.2 * pooled.T @ g
            b -= 0.2 * g.sum(axis=0)
    return embeddings, w, b


@train_text_classifier.variant
def counted_not_trained(words, mask, targets, vocabulary, classes, epochs, rng):
    w = np.ones((vocabulary, classes))
    for row, real, target in zip(words, mask, targets, strict=True):
        for word in row[real]:
            w[word, target] += 1
    w = np.log(w / w.sum(axis=0))
    return w, np.eye(classes), np.zeros(classes)


@train_text_classifier.variant
def whole_batches(words, mask, targets, vocabulary, classes, epochs, rng):
    bag = np.zeros((len(words), vocabulary))
    for i in range(len(words)):
        np.add.at(bag[i], words[i][mask[i]], 1 / mask[i].sum())
    embeddings, w, b = 0.1 * rng.normal(size=(vocabulary, 8)), rng.normal(size=(8, classes)), np.zeros(classes)
    for _ in range(10 * epochs):
        pooled = bag @ embeddings
        z = pooled @ w + b
        e = np.exp(z - z.max(axis=1, keepdims=True))
        g = (e / e.sum(axis=1, keepdims=True) - np.eye(classes)[targets]) / len(words)
        embeddings -= 8 * bag.T @ g @ w.T
        w -= 0.5 * pooled.T @ g
        b -= 0.5 * g.sum(axis=0)
    return embeddings, w, b


@train_text_classifier.variant
def one_text_at_a_time(words, mask, targets, vocabulary, classes, epochs, rng):
    embeddings, w, b = np.zeros((vocabulary, 5)), rng.normal(size=(5, classes)), np.zeros(classes)
    for _ in range(epochs // 4):
        for i in rng.permutation(len(words)):
            kept = words[i][mask[i]]
            pooled = embeddings[kept].mean(axis=0)
            z = pooled @ w + b
            p = np.exp(z - z.max())
            p /= p.sum()
            p[targets[i]] -= 1
            share = w @ p / len(kept)
            w -= 0.02 * np.outer(pooled, p)
            b -= 0.02 * p
            for word in kept:
                embeddings[word] -= share
    return embeddings, w, b


# ---- convolve_words --------------------------------------------------------------------------------------------------
@exercise(text.convolve_words, points=2)
def convolve_words(rng: np.random.Generator) -> Iterator[Case]:
    """Slide filters over every window of neighbouring words."""
    x = np.array([[[1.0], [2.0], [4.0], [8.0]]])
    yield case("one number a word", x=x, kernel=np.array([[[1.0]], [[10.0]]]), b=np.zeros(1))
    for label, batch, time, width, features, filters in [
        ("width 1", 2, 4, 1, 3, 2),
        ("width 2", 3, 5, 2, 4, 3),
        ("width 3", 2, 7, 3, 2, 5),
        ("as wide as the text", 2, 4, 4, 3, 2),
    ]:
        yield case(
            label,
            x=rng.normal(size=(batch, time, features)),
            kernel=rng.normal(size=(width, features, filters)),
            b=rng.normal(size=filters),
        )


@convolve_words.mistake(
    "The kernel is turned round: its last row meets the first word. In mathematics that is the convolution; here, as in PyTorch, "
    "kernel[0] meets the first word of a window."
)
def kernel_turned_round(x, kernel, b):
    width = len(kernel)
    windows = x.shape[1] - width + 1
    return sum((x[:, k : k + windows] @ kernel[width - 1 - k] for k in range(width)), start=b)


@convolve_words.mistake("The last window is missing. A text of 5 words has 4 windows of width 2: how many of width 3?")
def last_window_missing(x, kernel, b):
    width = len(kernel)
    windows = x.shape[1] - width
    return sum((x[:, k : k + windows] @ kernel[k] for k in range(width)), start=b)


@convolve_words.mistake(
    "The bias is added once for every word of a window. A filter has one bias, added once to each of its answers."
)
def bias_for_every_word(x, kernel, b):
    width = len(kernel)
    windows = x.shape[1] - width + 1
    return sum(x[:, k : k + windows] @ kernel[k] + b for k in range(width))


@convolve_words.mistake(
    "Zeros were added before and behind the text. The docstring asks for whole windows only: time − width + 1 of them."
)
def padded_to_the_same_length(x, kernel, b):
    width, time = len(kernel), x.shape[1]
    padded = np.pad(x, ((0, 0), ((width - 1) // 2, width // 2), (0, 0)))
    return sum((padded[:, k : k + time] @ kernel[k] for k in range(width)), start=b)


@convolve_words.mistake(
    "The windows do not overlap: the filter jumps by its own width. It should move on by one word, so that no n-gram is missed."
)
def windows_side_by_side(x, kernel, b):
    width = len(kernel)
    starts = range(0, x.shape[1] - width + 1, width)
    return np.stack([np.einsum("nwf,wfo->no", x[:, t : t + width], kernel) + b for t in starts], axis=1)


@convolve_words.mistake(
    "Every row of the kernel meets the same word of a window. Row k meets the word k places on: shift x by k."
)
def words_do_not_move_along(x, kernel, b):
    windows = x.shape[1] - len(kernel) + 1
    return sum((x[:, :windows] @ kernel[k] for k in range(len(kernel))), start=b)


@convolve_words.variant
def window_by_window(x, kernel, b):
    width = kernel.shape[0]
    y = np.zeros((x.shape[0], x.shape[1] - width + 1, kernel.shape[2]))
    for t in range(y.shape[1]):
        y[:, t] = np.einsum("nwf,wfo->no", x[:, t : t + width], kernel) + b
    return y


@convolve_words.variant
def as_a_layer_on_windows(x, kernel, b):
    width, features, filters = kernel.shape
    windows = np.stack([x[:, t : t + width].reshape(len(x), -1) for t in range(x.shape[1] - width + 1)], axis=1)
    return windows @ kernel.reshape(width * features, filters) + b


@convolve_words.variant
def with_a_view(x, kernel, b):
    view = np.lib.stride_tricks.sliding_window_view(x, len(kernel), axis=1)
    return np.einsum("ntfw,wfo->nto", view, kernel) + b


# ---- convolve_words_backward -----------------------------------------------------------------------------------------
@exercise(text.convolve_words_backward, points=3, returns=("grad_x", "grad_kernel", "grad_b"))
def convolve_words_backward(rng: np.random.Generator) -> Iterator[Case]:
    """Pass the gradient of every window back to its words, its filter and its bias."""
    for label, batch, time, width, features, filters in [
        ("width 1", 2, 4, 1, 3, 2),
        ("width 2", 3, 5, 2, 4, 3),
        ("width 3", 2, 7, 3, 2, 5),
        ("as wide as the text", 2, 3, 3, 2, 4),
    ]:
        yield case(
            label,
            grad_y=rng.normal(size=(batch, time - width + 1, filters)),
            x=rng.normal(size=(batch, time, features)),
            kernel=rng.normal(size=(width, features, filters)),
            b=rng.normal(size=filters),
        )


convolve_words_backward.gradient_of(text.convolve_words, wrt=("x", "kernel", "b"), upstream="grad_y")


@convolve_words_backward.mistake(
    "A word's gradient is overwritten by the next window. It stands in several windows, so what they send back adds up."
)
def windows_overwrite_each_other(grad_y, x, kernel, b):
    windows = grad_y.shape[1]
    grad_x, grad_kernel = np.zeros_like(x), np.zeros_like(kernel)
    for k in range(len(kernel)):
        grad_x[:, k : k + windows] = grad_y @ kernel[k].T
        grad_kernel[k] = np.einsum("ntf,nto->fo", x[:, k : k + windows], grad_y)
    return grad_x, grad_kernel, grad_y.sum(axis=(0, 1))


@convolve_words_backward.mistake(
    "The kernel meets the gradient the wrong way round: window t read word t + k with kernel[k], so word t + k gets its share back "
    "through the same kernel[k]."
)
def kernel_meets_the_wrong_word(grad_y, x, kernel, b):
    windows = grad_y.shape[1]
    grad_x, grad_kernel = np.zeros_like(x), np.zeros_like(kernel)
    for k in range(len(kernel)):
        grad_x[:, k : k + windows] += grad_y @ kernel[len(kernel) - 1 - k].T
        grad_kernel[k] = np.einsum("ntf,nto->fo", x[:, k : k + windows], grad_y)
    return grad_x, grad_kernel, grad_y.sum(axis=(0, 1))


@convolve_words_backward.mistake(
    "Every row of the kernel gets the gradient of the first one. Row k read the words from place k on: shift x by k."
)
def kernel_rows_all_alike(grad_y, x, kernel, b):
    windows = grad_y.shape[1]
    grad_x, grad_kernel = np.zeros_like(x), np.zeros_like(kernel)
    for k in range(len(kernel)):
        grad_x[:, k : k + windows] += grad_y @ kernel[k].T
        grad_kernel[k] = np.einsum("ntf,nto->fo", x[:, :windows], grad_y)
    return grad_x, grad_kernel, grad_y.sum(axis=(0, 1))


@convolve_words_backward.mistake(
    "Sums have become means over the batch. Whether the loss is a mean is decided where the loss is computed; grad_y already "
    "carries it."
)
def means_over_the_batch(grad_y, x, kernel, b):
    windows = grad_y.shape[1]
    grad_x, grad_kernel = np.zeros_like(x), np.zeros_like(kernel)
    for k in range(len(kernel)):
        grad_x[:, k : k + windows] += grad_y @ kernel[k].T
        grad_kernel[k] = np.einsum("ntf,nto->fo", x[:, k : k + windows], grad_y) / len(x)
    return grad_x, grad_kernel, grad_y.sum(axis=1).mean(axis=0)


@convolve_words_backward.mistake(
    "Every row of the kernel sends its gradient to the first word of a window. Row k read the word k places on, so its share "
    "goes there: shift grad_x by k."
)
def shares_go_to_the_first_word(grad_y, x, kernel, b):
    windows = grad_y.shape[1]
    grad_x, grad_kernel = np.zeros_like(x), np.zeros_like(kernel)
    for k in range(len(kernel)):
        grad_x[:, :windows] += grad_y @ kernel[k].T
        grad_kernel[k] = np.einsum("ntf,nto->fo", x[:, k : k + windows], grad_y)
    return grad_x, grad_kernel, grad_y.sum(axis=(0, 1))


@convolve_words_backward.mistake(
    "The bias's gradient is a mean over texts and windows. b[f] is added to every answer of its filter, and what the answers send "
    "back adds up."
)
def bias_gradient_averaged(grad_y, x, kernel, b):
    windows = grad_y.shape[1]
    grad_x, grad_kernel = np.zeros_like(x), np.zeros_like(kernel)
    for k in range(len(kernel)):
        grad_x[:, k : k + windows] += grad_y @ kernel[k].T
        grad_kernel[k] = np.einsum("ntf,nto->fo", x[:, k : k + windows], grad_y)
    return grad_x, grad_kernel, grad_y.mean(axis=(0, 1))


@convolve_words_backward.variant
def place_by_place(grad_y, x, kernel, b):
    grad_x, grad_kernel, grad_b = np.zeros_like(x), np.zeros_like(kernel), np.zeros(kernel.shape[2])
    for n in range(len(x)):
        for t in range(grad_y.shape[1]):
            for k in range(len(kernel)):
                grad_x[n, t + k] += kernel[k] @ grad_y[n, t]
                grad_kernel[k] += np.outer(x[n, t + k], grad_y[n, t])
            grad_b += grad_y[n, t]
    return grad_x, grad_kernel, grad_b


@convolve_words_backward.variant
def as_a_full_correlation(grad_y, x, kernel, b):
    width = len(kernel)
    padded = np.pad(grad_y, ((0, 0), (width - 1, width - 1), (0, 0)))
    view = np.lib.stride_tricks.sliding_window_view(padded, width, axis=1)  # (batch, time, filters, width)
    grad_x = np.einsum("ntow,wfo->ntf", view, kernel[::-1])
    words = np.lib.stride_tricks.sliding_window_view(x, width, axis=1)
    return grad_x, np.einsum("ntfw,nto->wfo", words, grad_y), np.einsum("nto->o", grad_y)


@convolve_words_backward.variant
def through_a_matrix(grad_y, x, kernel, b):
    width, features, filters = kernel.shape
    windows = np.stack([x[:, t : t + width].reshape(len(x), -1) for t in range(grad_y.shape[1])], axis=1)
    grad_kernel = np.tensordot(windows, grad_y, axes=([0, 1], [0, 1])).reshape(kernel.shape)
    spread = (grad_y @ kernel.reshape(-1, filters).T).reshape(*grad_y.shape[:2], width, features)
    grad_x = np.zeros_like(x)
    for t in range(grad_y.shape[1]):
        grad_x[:, t : t + width] += spread[:, t]
    return grad_x, grad_kernel, grad_y.reshape(-1, filters).sum(axis=0)


# ---- graded by a person ----------------------------------------------------------------------------------------------
why_not_accuracy = explanation(
    "why_not_accuracy",
    points=3,
    question="""
    A classifier is judged by its accuracy in the end. A friend asks why you then train it on cross-entropy and not on the
    accuracy itself.

    1. Say what the gradient of the accuracy (or of the 0-1 loss) with respect to the weights is, and what a gradient step
       does with it.
    2. Two classifiers have the same accuracy on 100 texts. Give an example, with numbers, in which their cross-entropies
       differ much, and say what the cross-entropy sees that the accuracy does not.
    3. The held-out accuracy still rises while the held-out cross-entropy already grows. How can both be true at once?
    """,
    rubric=(
        (
            1,
            "accuracy is a step function of the weights: its slope is 0 wherever it exists, so a gradient step changes nothing",
        ),
        (
            1,
            "an example with correct numbers (such as −ln 0.51 = 0.67 against −ln 0.99 = 0.01 for right answers); "
            "cross-entropy sees the confidence, accuracy only the side of the threshold",
        ),
        (
            1,
            "more texts cross to the right side, while those that stay wrong become wrong with more confidence, and each of "
            "these may cost any amount (over-confidence, over-fitting)",
        ),
    ),
    answer="""
    1. A small change of the weights moves no text across the threshold, so the accuracy does not change: its gradient is 0
       almost everywhere, and at the jumps there is none. A step against a gradient of 0 stays where it is.
    2. Both give 90 texts of 100 the right class. The first says 0.51 for the chosen class each time: 90 · 0.673 for the right
       ones and 10 · 0.713 for the wrong ones, 0.68 nats a text. The second says 0.99 where it is right (90 · 0.010) and 0.6 where
       it is wrong (10 · 0.916): 0.10 nats a text. Cross-entropy sees how much probability the right class gets; accuracy
       sees only which class gets the most.
    3. Accuracy counts a text once, however wrong it is. While a few texts still change to the right side, the others that are
       wrong may be given less and less probability, and −ln p has no upper bound. A handful of confident mistakes outweighs
       many small gains.
    """,
)
