"""Exercises of chapter 06: backward passes of a layer, a bend, a loss, a network, a skip; and the decks' formulas."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from autograder.exercise import Case, case, exercise, explanation
from solutions import backpropagation as ref
from solutions.backpropagation import activation_backward, affine_backward, bend, printed_formula
from solutions.hidden_layers import stable_sigmoid


# ---- affine_backward -------------------------------------------------------------------------------------------------
@exercise(ref.affine_backward, points=2, returns=("grad_x", "grad_w", "grad_b"))
def affine_backward_cases(rng: np.random.Generator) -> Iterator[Case]:
    """Pass a gradient backwards through y = xW + b, to x, W and b."""
    for label, batch, inputs, outputs in [
        ("one row", 1, 2, 3),
        ("all sizes equal", 3, 3, 3),
        ("uneven", 4, 3, 5),
        ("more rows than units", 7, 5, 2),
    ]:
        yield case(
            label,
            grad_y=rng.normal(size=(batch, outputs)),
            x=rng.normal(size=(batch, inputs)),
            w=rng.normal(size=(inputs, outputs)),
            b=rng.normal(size=outputs),
        )
