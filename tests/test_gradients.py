"""The numerical oracle: as accurate as its bounds say, silent about corners, loud about wrong gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from autograder.gradients import (
    agrees,
    central_difference,
    complex_step,
    directional,
    directions_agree,
    numerical_gradient,
    of_module,
    of_torch,
    tolerance,
)
from autograder.notebooks import all_exercises

RNG = np.random.default_rng(0)
SMOOTH: list[tuple[str, Callable[[Any], Any], Callable[[Any], Any]]] = [
    ("sin", np.sin, np.cos),
    ("exp", np.exp, np.exp),
    ("cube", lambda x: x**3, lambda x: 3 * x**2),
    ("tanh", np.tanh, lambda x: 1 - np.tanh(x) ** 2),
    ("square", np.square, lambda x: 2 * x),
    ("linear", lambda x: 3 * x, lambda x: 3 * np.ones_like(x)),
]


@pytest.mark.parametrize(("name", "f", "slope"), SMOOTH, ids=[n for n, _, _ in SMOOTH])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 10.0])
def test_the_error_stays_within_its_own_bound(name: str, f: Any, slope: Any, scale: float) -> None:
    x = scale * RNG.normal(size=(3, 4))
    estimate = central_difference(lambda at: float(np.sum(f(at))), x)
    assert not estimate.corner.any()
    truth = slope(x)
    assert (np.abs(estimate.value - truth) <= 10 * estimate.error + 1e-15 * np.abs(truth)).all()
    assert np.max(np.abs(estimate.value - truth)) <= 1e-8 * np.max(np.abs(truth))


def test_smooth_functions_of_order_one_are_right_to_ten_digits() -> None:
    w = RNG.normal(size=(4, 5))
    estimate = central_difference(lambda x: float(np.sum(np.tanh(x @ w) ** 2)), x := RNG.normal(size=(3, 4)))
    t = np.tanh(x @ w)
    np.testing.assert_allclose(estimate.value, (2 * t * (1 - t**2)) @ w.T, atol=2e-11)


@pytest.mark.parametrize("distance", [0.0, 1e-12, 1e-9, 1e-6, 1e-4, 5e-4, 1e-3, 1e-2])
@pytest.mark.parametrize("f", [lambda x: np.maximum(x, 0), np.abs, lambda x: np.clip(x, -5, 0) + np.sin(x)])
def test_a_corner_is_never_a_false_alarm(f: Any, distance: float) -> None:
    """Wherever the corner is: either the entry is marked, or the slope is that of its own side."""
    for sign in (-1.0, 1.0):
        x = np.array([sign * distance, 2.0, -3.0])
        estimate = central_difference(lambda at: float(np.sum(f(at))), x)
        assert not estimate.corner[1:].any()
        if distance == 0.0:
            assert estimate.corner[0]
        elif not estimate.corner[0]:
            side = (f(x[0] * (1 + 1e-7)) - f(x[0])) / (x[0] * 1e-7)
            assert abs(estimate.value[0] - side) < 1e-4
        if distance >= 1e-6:
            assert not estimate.corner[0]


def test_maximum_of_equal_entries_is_a_corner_and_of_distinct_ones_is_not() -> None:
    assert central_difference(lambda x: float(np.max(x)), np.array([1.0, 1.0])).corner.any()
    estimate = central_difference(lambda x: float(np.max(x)), np.array([1.0, 2.0, -1.0]))
    assert not estimate.corner.any()
    np.testing.assert_allclose(estimate.value, [0, 1, 0], atol=1e-12)


def test_complex_step_is_exact_or_declines() -> None:
    x = RNG.normal(size=6)
    exact = complex_step(lambda at: np.sum(np.exp(at) * np.sin(at)), x)
    assert exact is not None
    np.testing.assert_allclose(exact, np.exp(x) * (np.sin(x) + np.cos(x)), rtol=1e-14)
    assert complex_step(lambda at: np.sum(np.abs(at)), x) is None
    assert complex_step(lambda at: float(np.sum(at.real**2)), x) is None
    assert complex_step(lambda at: float(np.sum(at)), x) is None


def affine(x: np.ndarray, w: np.ndarray, b: np.ndarray) -> np.ndarray:
    return x @ w + b


def test_several_arguments_upstream_and_wrong_formulas() -> None:
    x, w, b = RNG.normal(size=(4, 3)), RNG.normal(size=(3, 5)), RNG.normal(size=5)
    grad_y = RNG.normal(size=(4, 5))
    found = numerical_gradient(affine, {"x": x, "w": w, "b": b}, ("x", "w", "b"), grad_y)
    truth = {"x": grad_y @ w.T, "w": x.T @ grad_y, "b": grad_y.sum(axis=0)}
    for name, gradient in truth.items():
        assert agrees(gradient, found[name]).all()
        for wrong in (-gradient, gradient / 4, gradient * (1 + 1e-4), gradient + 1e-4 * np.abs(gradient).max()):
            assert not agrees(wrong, found[name]).all()


def test_structures_integers_and_several_outputs() -> None:
    def forward(
        params: list[tuple[np.ndarray, np.ndarray]], rows: np.ndarray, name: str
    ) -> tuple[np.ndarray, np.ndarray]:
        h = params[0][0][rows]
        return np.tanh(h @ params[1][0]) + params[1][1], h.sum(axis=0)

    params = [(RNG.normal(size=(6, 3)), np.zeros(0)), (RNG.normal(size=(3, 2)), RNG.normal(size=2))]
    rows = np.array([1, 1, 4])
    upstream = (RNG.normal(size=(3, 2)), RNG.normal(size=3))
    found = numerical_gradient(forward, {"params": params, "rows": rows, "name": "x"}, ("params", "rows"), upstream)
    assert found["rows"] is None
    h = params[0][0][rows]
    grad_z = upstream[0] * (1 - np.tanh(h @ params[1][0]) ** 2)
    table = np.zeros((6, 3))
    np.add.at(table, rows, grad_z @ params[1][0].T + upstream[1])
    assert agrees(table, found["params"][0][0]).all()
    assert agrees(h.T @ grad_z, found["params"][1][0]).all()
    assert agrees(upstream[0].sum(axis=0), found["params"][1][1]).all()
    with pytest.raises(ValueError, match="no upstream gradient"):
        numerical_gradient(affine, {"x": np.ones((2, 2)), "w": np.ones((2, 2)), "b": np.ones(2)}, ("x",))
    with pytest.raises(ValueError, match=r"shape \(2, 2\), the upstream gradient \(2, 3\)"):
        numerical_gradient(
            affine, {"x": np.ones((2, 2)), "w": np.ones((2, 2)), "b": np.ones(2)}, ("x",), np.ones((2, 3))
        )


def test_torch_functions_and_modules() -> None:
    x, target = torch.randn(5, 3, dtype=torch.float64, requires_grad=True), torch.tensor([0, 2, 1, 1, 0])
    torch.nn.functional.cross_entropy(x, target).backward()
    forward = of_torch(lambda x, target: torch.nn.functional.cross_entropy(x, target))
    found = numerical_gradient(forward, {"x": x.detach().numpy(), "target": target.numpy()}, ("x",))
    assert x.grad is not None
    assert agrees(x.grad, found["x"]).all()

    module = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 2)).float()
    run, parameters = of_module(module)
    batch, upstream = RNG.normal(size=(5, 3)), RNG.normal(size=(5, 2))
    estimates = numerical_gradient(run, {"x": batch, **parameters}, tuple(parameters), upstream)
    (module(torch.tensor(batch, dtype=torch.float32)) * torch.tensor(upstream, dtype=torch.float32)).sum().backward()
    for name, parameter in module.named_parameters():
        estimate = estimates[name.replace(".", "__")]
        assert parameter.grad is not None
        difference = np.abs(parameter.grad.double().numpy() - estimate.value).max()
        assert difference <= tolerance("float32", terms=5 * 4, condition=10) * np.abs(estimate.value).max()


def test_random_directions_catch_small_and_single_errors() -> None:
    w = RNG.normal(size=(60, 50))

    def f(x: np.ndarray) -> float:
        return float(np.sum(np.tanh(x) * w))

    x = RNG.normal(size=(60, 50))
    truth = (1 - np.tanh(x) ** 2) * w
    for trial in range(20):
        rng = np.random.default_rng(trial)
        assert directions_agree(f, x, truth, rng)
        assert not directions_agree(f, x, truth * 1.001, rng)
        assert not directions_agree(f, x, -truth, rng)
        single = truth.copy()
        single[3, 4] += 0.1
        assert not directions_agree(f, x, single, rng)


def test_a_direction_through_a_corner_is_drawn_anew() -> None:
    x = np.zeros(3)
    _, _, corner = directional(lambda at: float(np.sum(np.maximum(at, 0))), x, np.array([1.0, 0.5, 0.2]))
    assert corner


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("terms", [16, 1024])
def test_tolerances_cover_honest_sums_and_not_a_missing_factor(dtype: str, terms: int) -> None:
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(200, terms)), rng.normal(size=(200, terms))
    kind = getattr(torch, dtype)
    got = (torch.tensor(a).to(kind) * torch.tensor(b).to(kind)).sum(dim=1).double().numpy()
    exact = (a * b).sum(axis=1)
    for value, truth, row in zip(got, exact, a * b, strict=True):
        allowed = tolerance(dtype, terms, condition=float(np.abs(row).sum() / abs(truth))) * abs(truth)
        assert abs(value - truth) <= allowed
    assert tolerance("float32", 1024) < 1e-4
    assert tolerance("float64", 1024) < 1e-12


def test_a_wrong_reference_is_refused_with_the_place_of_the_error() -> None:
    from autograder.exercise import Exercise, ExerciseError, case, exercise

    def scale_backward(grad_y: np.ndarray, x: np.ndarray, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Gradients of x * w, the second one forgets the batch."""
        return grad_y * w, grad_y[0] * x[0]

    def cases(rng):  # type: ignore[no-untyped-def]
        """Pass the gradient through a product."""
        yield case(grad_y=rng.normal(size=(4, 3)), x=rng.normal(size=(4, 3)), w=rng.normal(size=3))

    cases.__name__ = "scale_backward"
    made: Exercise = exercise(scale_backward, points=1)(cases)
    made.gradient_of(lambda x, w: x * w, wrt=("x", "w"), upstream="grad_y")
    with pytest.raises(
        ExerciseError, match=r"the reference's gradient of w is .* at \[0\]; numerical differentiation gives"
    ):
        made.verify("seed")


# ---- every gradient of the course --------------------------------------------------------------------------------------
GRADIENTS = {name: made for name, made in all_exercises().items() if made.gradient}


@pytest.mark.parametrize("name", GRADIENTS)
@pytest.mark.parametrize("seed", ["first", "second", "third"])
def test_every_reference_agrees_with_numerical_gradients(name: str, seed: str) -> None:
    GRADIENTS[name].verify(seed)


def test_the_most_accurate_method_is_chosen_for_each_function() -> None:
    x = RNG.normal(size=(3, 4))
    analytic = numerical_gradient(lambda x: np.exp(x) * np.sin(x), {"x": x}, ("x",), np.ones((3, 4)))["x"]
    np.testing.assert_allclose(analytic.value, np.exp(x) * (np.sin(x) + np.cos(x)), rtol=1e-14)
    assert analytic.error.max() < 1e-12  # a complex step
    bent = numerical_gradient(lambda x: np.abs(x) * x, {"x": x}, ("x",), np.ones((3, 4)))["x"]
    np.testing.assert_allclose(bent.value, 2 * np.abs(x), rtol=1e-7)
    assert bent.error.max() > 1e-13  # differences


def test_a_large_parameter_is_tested_along_random_directions() -> None:
    from autograder.gradients import LARGE, disagreement

    w = RNG.normal(size=(50, 40))
    assert w.size > LARGE
    x, grad_y = RNG.normal(size=(6, 50)), RNG.normal(size=(6, 40))
    calls = 0

    def forward(x: np.ndarray, w: np.ndarray) -> np.ndarray:
        nonlocal calls
        calls += 1
        return np.tanh(x @ w)

    grad_z = grad_y * (1 - np.tanh(x @ w) ** 2)
    given = {"x": x, "w": w, "grad_y": grad_y}
    assert disagreement(forward, given, ("w",), "grad_y", (x.T @ grad_z,)) == ""
    assert calls < 100
    wrong = disagreement(forward, given, ("w",), "grad_y", (x.T @ grad_z * 1.001,))
    assert "along a random direction" in wrong
