"""Chapter 00, start here: two small functions to try the checks on."""

from __future__ import annotations

import numpy as np


def scale_and_shift(x: np.ndarray, factor: float, shift: float) -> np.ndarray:
    """Multiply every entry by a factor, then add a shift.

    Args:
        x: numbers, any shape, float.
        factor: what to multiply by.
        shift: what to add afterwards.

    Returns:
        factor · x + shift, same shape as x, float.

    Source:
        The smallest step of every chapter to come: y = xW + b with one input and one output.
    """
    return factor * x + shift  # same shape as x


def row_means(x: np.ndarray) -> np.ndarray:
    """Average the features of every sample.

    Args:
        x: samples, shape (samples, features), float; at least one feature.

    Returns:
        One mean a sample, shape (samples,), float.

    Source:
        The course's convention: rows are samples, so an answer per sample is an answer per row.
    """
    return x.mean(axis=1)  # (samples,)
