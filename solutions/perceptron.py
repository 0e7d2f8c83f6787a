"""Chapter 02, the perceptron: a unit that decides, a rule that learns, a bound on its mistakes."""

from __future__ import annotations

import numpy as np


def threshold_unit(x: np.ndarray, w: np.ndarray, b: float) -> np.ndarray:
    """Decide 0 or 1 for every row of x: fire where x·w + b is strictly above 0.

    Args:
        x: inputs, shape (samples, features), float or int.
        w: weights, shape (features,), float.
        b: bias, the threshold with its sign turned.

    Returns:
        Decisions, shape (samples,), int: 1 above the line, 0 below it and exactly on it.

    Source:
        Rosenblatt 1958; decks A, C and D (D's strict inequality).
    """
    z = x @ w + b  # (samples,)
    ### BEGIN SOLUTION
    return (z > 0).astype(int)  # (samples,)
    ### END SOLUTION


def logic_gate(name: str) -> tuple[np.ndarray, float]:
    """Weights and bias of one threshold unit that computes a named gate.

    The inputs are 0 or 1. No corner may lie on the line: the gate must give the same
    answers whether the unit fires at z > 0 or at z ≥ 0.

    Args:
        name: "and", "or", "nand" (two inputs) or "two of three" (three inputs, fires when
            at least two of them are 1).

    Returns:
        w: weights, shape (2,) or (3,), float.
        b: bias.

    Raises:
        ValueError: no threshold unit computes the gate, as for "xor".

    Source:
        Deck D, figure 7.4 (AND and OR); McCulloch & Pitts 1943.
    """
    if name == "and":
        return np.array([1.0, 1.0]), -1.5  # z at (0,0), (0,1), (1,0), (1,1): −1.5, −0.5, −0.5, 0.5
    ### BEGIN SOLUTION
    if name == "or":
        return np.array([1.0, 1.0]), -0.5
    if name == "nand":
        return np.array([-1.0, -1.0]), 1.5
    if name == "two of three":
        return np.array([1.0, 1.0, 1.0]), -1.5
    raise ValueError(f"no threshold unit computes {name!r}")
    ### END SOLUTION


def fold_bias(x: np.ndarray, w: np.ndarray, b: float) -> tuple[np.ndarray, np.ndarray]:
    """Turn the bias into the weight of one more input that is clamped to 1.

    Args:
        x: inputs, shape (samples, features), float or int.
        w: weights, shape (features,), float.
        b: bias.

    Returns:
        x_folded: inputs with a last column of ones, shape (samples, features + 1), float.
        w_folded: weights with b as last entry, shape (features + 1,), float.

    Source:
        Deck D, figures 7.2 and 7.9 (there the clamped input stands first).
    """
    ones = np.ones((len(x), 1))
    x_folded = np.hstack([x, ones])  # (samples, features + 1)
    w_folded = np.append(w, b)  # (features + 1,)
    return x_folded, w_folded


def perceptron_update(x: np.ndarray, y: int, w: np.ndarray, b: float) -> tuple[np.ndarray, float]:
    """Show the unit one sample and correct its weights if it decided wrongly.

    With ŷ = 1 where x·w + b > 0 and 0 elsewhere, w grows by (y − ŷ)x and b by (y − ŷ).

    Args:
        x: one sample, shape (features,), float or int.
        y: its label, int, 0 or 1.
        w: weights, shape (features,), float; left as it is.
        b: bias.

    Returns:
        new_w: weights after the sample, shape (features,), float; a new array.
        new_b: bias after the sample.

    Source:
        Rosenblatt 1958.
    """
    y_hat = int(x @ w + b > 0)
    step = int(y) - y_hat  # −1, 0 or 1
    return w + step * x, b + step


def geometric_margin(x: np.ndarray, y: np.ndarray, w: np.ndarray, b: float) -> float:
    """Distance from the line to the nearest sample, negative if a sample lies on the wrong side.

    Args:
        x: inputs, shape (samples, features), float.
        y: labels, shape (samples,), int, 0 or 1.
        w: weights, shape (features,), float.
        b: bias.

    Returns:
        Smallest signed distance, in the units of x.

    Raises:
        ValueError: all weights are 0, so there is no line.

    Source:
        Novikoff 1962 (the distance to a hyperplane).
    """
    norm = np.linalg.norm(w)
    if norm == 0:
        raise ValueError("all weights are 0: no line, no distance")
    sign = 2 * y - 1  # (samples,)
    return float(np.min(sign * (x @ w + b)) / norm)


def mistake_bound(x: np.ndarray, y: np.ndarray, w: np.ndarray, b: float) -> float:
    """Novikoff's bound (R/γ)² on the mistakes of a perceptron that starts from zero.

    Both R, the length of the longest sample, and γ, the margin of (w, b), are measured with the
    bias folded in, where the line runs through the origin.

    Args:
        x: inputs, shape (samples, features), float.
        y: labels, shape (samples,), int, 0 or 1.
        w: weights of any line that separates the samples, shape (features,), float.
        b: its bias.

    Returns:
        The bound, a float ≥ 1.

    Raises:
        ValueError: the margin is not above 0, so (w, b) proves nothing.

    Source:
        Novikoff 1962.
    """
    x_folded, w_folded = fold_bias(x, w, b)
    gamma = geometric_margin(x_folded, y, w_folded, 0.0)
    if gamma <= 0:
        raise ValueError("(w, b) does not separate the samples with a margin")
    radius = np.linalg.norm(x_folded, axis=1).max()
    return float((radius / gamma) ** 2)


def train_perceptron(
    x: np.ndarray, y: np.ndarray, w: np.ndarray, b: float, max_epochs: int
) -> tuple[np.ndarray, float, np.ndarray]:
    """Train a perceptron on samples in the order given, until an epoch has no mistake.

    An epoch shows every row of x once, from the first to the last, and updates after each row.

    Args:
        x: inputs, shape (samples, features), float or int.
        y: labels, shape (samples,), int, 0 or 1.
        w: weights to start from, shape (features,), float; left as it is.
        b: bias to start from.
        max_epochs: stop after this many epochs at the latest; at least 1.

    Returns:
        w: trained weights, shape (features,), float.
        b: trained bias.
        mistakes: number of mistakes in each epoch that was run, shape (epochs,), int; the last
            is 0 if and only if training stopped because nothing was left to correct.

    Source:
        Rosenblatt 1958.
    """
    mistakes: list[int] = []
    for _ in range(max_epochs):
        wrong = 0
        for row, label in zip(x, y, strict=True):  # row: (features,)
            if int(row @ w + b > 0) != label:
                w, b = perceptron_update(row, label, w, b)
                wrong += 1
        mistakes.append(wrong)
        if wrong == 0:
            break
    return w, b, np.array(mistakes)
