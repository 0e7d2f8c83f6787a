"""Exercises of chapter 00, start here: worth no points, there to be passed and failed."""

from collections.abc import Iterator

import numpy as np

from autograder.exercise import Case, case, exercise
from solutions import start_here as ref


# ---- 0.1 -------------------------------------------------------------------------------------------------------------
@exercise(ref.scale_and_shift, points=0)
def scale_and_shift(rng: np.random.Generator) -> Iterator[Case]:
    """Multiply every entry by a factor, then add a shift."""
    yield case("three numbers", x=np.array([1.0, 2.0, 3.0]), factor=2.0, shift=0.5)
    yield case("a factor of 0 leaves the shift", x=np.array([4.0, -1.0]), factor=0.0, shift=7.0)
    for shape in [(2, 3), (4, 1), (2, 2, 3)]:
        factor, shift = rng.uniform(1.5, 3.0, size=2)
        yield case(x=rng.normal(size=shape), factor=float(factor), shift=float(shift))


@scale_and_shift.mistake(
    "The shift was scaled too: you add first and multiply afterwards. Which of the two does y = factor · x + shift "
    "do first?"
)
def shifts_first(x, factor, shift):
    return factor * (x + shift)


@scale_and_shift.mistake("The factor and the shift have changed places. Which of them multiplies x?")
def roles_swapped(x, factor, shift):
    return shift * x + factor


@scale_and_shift.mistake("The shift is missing. What should come out where x is 0?")
def no_shift(x, factor, shift):
    return factor * x


@scale_and_shift.variant
def scale_in_a_loop(x, factor, shift):
    y = np.zeros_like(x)
    for index in np.ndindex(x.shape):
        y[index] = x[index] * factor + shift
    return y


@scale_and_shift.variant
def scale_with_functions(x, factor, shift):
    return np.add(shift, np.multiply(x, factor))


@scale_and_shift.variant
def scale_a_copy(x, factor, shift):
    y = x.copy()
    y *= factor
    y += shift
    return y


# ---- 0.2 -------------------------------------------------------------------------------------------------------------
@exercise(ref.row_means, points=0)
def row_means(rng: np.random.Generator) -> Iterator[Case]:
    """Average the features of every sample."""
    yield case("as many samples as features", x=np.array([[1.0, 2.0, 6.0], [4.0, 4.0, 4.0], [0.0, 5.0, 10.0]]))
    for samples, features in [(4, 2), (1, 5), (6, 1), (3, 7)]:
        yield case(x=rng.normal(size=(samples, features)))


@row_means.mistake(
    "You averaged down the columns: one number a feature. Rows are samples, and one number a sample is wanted. "
    "Along which axis do you walk when you stay in one row?"
)
def column_means(x):
    return x.mean(axis=0)


@row_means.mistake(
    "You averaged everything into a single number. Every sample, that is every row, has a mean of its own."
)
def one_mean_for_all(x):
    return x.mean()


@row_means.mistake("These are the sums of the rows. What is missing between a sum and a mean?")
def row_sums(x):
    return x.sum(axis=1)


@row_means.mistake("The sums are right, but divided by the number of samples. How many numbers went into each sum?")
def divided_by_samples(x):
    return x.sum(axis=1) / len(x)


@row_means.variant
def means_in_a_loop(x):
    return np.array([sum(row) / len(row) for row in x])


@row_means.variant
def means_by_matmul(x):
    features = x.shape[1]
    return x @ np.full(features, 1 / features)


@row_means.variant
def means_of_the_transpose(x):
    return np.average(x.T, axis=0)
