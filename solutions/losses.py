"""Chapter 04: how wrong an answer is, in numbers that a gradient can be taken of."""

import numpy as np

from solutions.hidden_layers import stable_sigmoid


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Turn every row of scores into logarithms of probabilities, without overflow and without log 0.

    Args:
        logits: (batch, classes) float64; entries may be as large as ±1000 and more.

    Returns:
        (batch, classes) float64: logits minus the row's log Σ exp(logits); exp of a row adds up to 1.

    Source:
        Decks A, C, D and E (softmax); the shift by the largest logit is the usual numerical practice.
    """
    shifted = logits - logits.max(axis=1, keepdims=True)  # (batch, classes), none above 0
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def sample_losses(name: str, score: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give the loss of every sample, by name, and its slope ∂loss/∂score.

    Args:
        name: "absolute" (|score − target|), "squared" ((score − target)²), and with the margin m = target · score:
            "zero_one" (1 where m ≤ 0, else 0), "hinge" (max(0, 1 − m)), "logistic" (ln(1 + exp(−m))) or
            "exponential" (exp(−m)).
        score: (batch,) float64, what the network says; |score| up to 1000, for "exponential" up to 50.
        target: (batch,) float64, what it should say; −1 or 1 where the loss uses the margin, else any number.

    Returns:
        losses: (batch,) float64, finite; slopes: (batch,) float64, finite. Agreed slopes: 0 everywhere for "zero_one", 0 for
        "absolute" at score = target, 0 for "hinge" at m = 1.

    Raises:
        ValueError: the name is none of these six.

    Source:
        Deck A, table of losses (its logistic loss put right).
    """
    margin = target * score  # (batch,)
    if name == "zero_one":
        return (margin <= 0).astype(float), np.zeros_like(score)
    if name == "absolute":
        return np.abs(score - target), np.sign(score - target)
    ### BEGIN SOLUTION
    if name == "squared":
        return (score - target) ** 2, 2 * (score - target)
    if name == "hinge":
        return np.maximum(0.0, 1 - margin), np.where(margin < 1, -target, 0.0)
    if name == "logistic":
        return np.logaddexp(0.0, -margin), -target * stable_sigmoid(-margin)
    if name == "exponential":
        return np.exp(-margin), -target * np.exp(-margin)
    ### END SOLUTION
    raise ValueError(f"no loss is called {name!r}")


def cross_entropy(logits: np.ndarray, targets: np.ndarray) -> tuple[float, np.ndarray]:
    """Give the mean negative log-likelihood of the right classes, and its gradient with respect to the logits.

    Args:
        logits: (batch, classes) float64; entries may be as large as ±1000.
        targets: (batch,) integers, the right class of each row, from 0.

    Returns:
        loss: in nats, −mean over the batch of log softmax(logits) at the targets; grad_logits: (batch, classes) float64.

    Source:
        Decks C (CE and NLL), D and E; the gradient is derived in the chapter.
    """
    ### BEGIN SOLUTION
    log_y_hat = log_softmax(logits)  # (batch, classes)
    rows = np.arange(len(targets))
    grad_logits = np.exp(log_y_hat)
    grad_logits[rows, targets] -= 1  # ŷ − y
    return float(-log_y_hat[rows, targets].mean()), grad_logits / len(targets)
    ### END SOLUTION
