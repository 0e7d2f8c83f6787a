"""Chapter 05: the engine against torch and differences, and every number the chapter prints or says."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from solved_chapter import run_solved

from autograder import notebooks
from autograder.checking import verdict_of
from autograder.exercise import Exercise
from autograder.gradients import complex_step
from autograder.paths import chapter
from solutions import gradients as ref
from solutions.gradients import Tensor

EXERCISES = [made for made in notebooks.exercises(chapter("05_gradients")) if isinstance(made, Exercise)]


# ---- by differences --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("shape", [(), (1,), (5,), (2, 3)])
def test_numerical_gradient(shape: tuple[int, ...]) -> None:
    x = np.random.default_rng(len(shape)).normal(size=shape)
    before = x.copy()
    found = ref.numerical_gradient(lambda at: float(np.sum(np.sin(at) * np.exp(at))), x)
    assert found.shape == shape
    np.testing.assert_allclose(found, np.exp(x) * (np.sin(x) + np.cos(x)), rtol=1e-9, atol=1e-9)
    assert np.array_equal(x, before)


def test_best_steps_of_the_text() -> None:
    u, u_single = 2.0**-53, 2.0**-24
    assert (3 * u) ** (1 / 3) == pytest.approx(6.9e-6, rel=0.01)
    assert 2 * u**0.5 == pytest.approx(2.1e-8, rel=0.01)
    h = (3 * u_single) ** (1 / 3)
    assert h == pytest.approx(0.0056, rel=0.01)
    assert h**2 / 6 + u_single / h == pytest.approx(1.6e-5, rel=0.01)
    steps = np.logspace(-8, -3, 20_001)
    assert steps[np.argmin(steps**2 / 6 + u / steps)] == pytest.approx((3 * u) ** (1 / 3), rel=1e-3)
    assert steps[np.argmin(steps / 2 + 2 * u / steps)] == pytest.approx(2 * u**0.5, rel=1e-3)


def test_random_directions_are_off_by_the_root_of_n_over_k() -> None:
    rng, n, k = np.random.default_rng(0), 65, 130
    g = rng.normal(size=n)
    squares = []
    for _ in range(400):
        v = rng.choice([-1.0, 1.0], size=(k, n))
        squares.append(np.sum((v.T @ (v @ g) / k - g) ** 2) / np.sum(g**2))
    assert np.sqrt(np.mean(squares)) == pytest.approx(np.sqrt((n - 1) / k), rel=0.05)


# ---- by formulas -----------------------------------------------------------------------------------------------------
EXPRESSIONS: list[str | tuple] = [
    "x",
    "y",
    ("*", ("+", "x", 3), ("*", "x", "x")),
    ("/", ("-", "x", "y"), ("+", ("*", "x", "x"), 1.0)),
    ("^", ("+", ("*", 2, "x"), "y"), 3),
    ("^", "x", -2),
    ("exp", ("*", "x", "y")),
    ("log", ("+", ("exp", "x"), ("^", "y", 2))),
]


@pytest.mark.parametrize("variable", ["x", "y"])
@pytest.mark.parametrize("expression", EXPRESSIONS, ids=str)
def test_derivatives_equal_autograd_and_differences(expression: str | tuple, variable: str) -> None:
    def in_torch(part, values):  # type: ignore[no-untyped-def]
        if isinstance(part, (int, float)):
            return torch.tensor(float(part), dtype=torch.float64)
        if isinstance(part, str):
            return values[part]
        u, v = in_torch(part[1], values), in_torch(part[-1], values)
        return {
            "+": lambda: u + v,
            "-": lambda: u - v,
            "*": lambda: u * v,
            "/": lambda: u / v,
            "^": lambda: u**v,
            "exp": lambda: torch.exp(u),
            "log": lambda: torch.log(u),
        }[part[0]]()

    at = {"x": 0.7, "y": 1.3}
    values = {name: torch.tensor(value, dtype=torch.float64, requires_grad=True) for name, value in at.items()}
    result = in_torch(expression, values)
    result.backward()
    grad = values[variable].grad
    wanted = 0.0 if grad is None else grad.item()
    found = ref.evaluate(ref.differentiate(expression, variable), at)
    assert found == pytest.approx(wanted, rel=1e-12, abs=1e-14)
    assert ref.evaluate(expression, at) == pytest.approx(result.item(), rel=1e-14)
    moved = [ref.evaluate(expression, {**at, variable: at[variable] + h}) for h in (6e-6, -6e-6)]
    assert found == pytest.approx((moved[0] - moved[1]) / 1.2e-5, rel=1e-7, abs=1e-8)


def test_unknown_operations() -> None:
    with pytest.raises(ValueError, match="sinus"):
        ref.differentiate(("sinus", "x"), "x")
    with pytest.raises(ValueError, match="sinus"):
        ref.evaluate(("sinus", "x"), {"x": 1.0})


def deck_a_row(row: int) -> str | tuple:
    f: str | tuple = "x"
    for _ in range(row - 1):
        f = ("*", f, ("+", f, 1))
    return f


def test_deck_a_table_of_swell() -> None:
    printed = [[1], [1, 2], [1, 4, 6, 4], [1, 6, 18, 36, 50, 48, 28, 8]]  # lowest power first
    factor = np.polynomial.Polynomial([0, 1])
    for row in range(1, 7):
        slope = ref.differentiate(deck_a_row(row), "x")
        if row <= 4:
            assert factor.deriv().coef.tolist() == printed[row - 1]
        assert factor.deriv().coef.size == 2 ** (row - 1)
        assert (factor.deriv().coef > 0).all()
        assert ref.evaluate(slope, {"x": 0.3}) == pytest.approx(factor.deriv()(0.3), rel=1e-12)
        factor = factor * (factor + 1)
    # The deck's own third factor of row 4, x⁴ + 2x³ + 2x² + x + 1, is f₃ + 1.
    third = np.polynomial.Polynomial([0, 1, 1]) * np.polynomial.Polynomial([1, 1, 1]) + 1
    assert third.coef.tolist() == [1, 1, 2, 2, 1]


def test_counts_of_the_swell_table() -> None:
    counts = [ref.count_nodes(ref.differentiate(deck_a_row(row), "x")) for row in range(1, 11)]
    assert [written for written, _ in counts] == [1, 11, 39, 111, 287, 703, 1663, 3839, 8703, 19455]
    assert [shared for _, shared in counts] == [1, 8, *(6 * row - 4 for row in range(3, 11))]
    assert [ref.count_nodes(deck_a_row(row))[0] for row in range(1, 11)] == [2 ** (row + 1) - 3 for row in range(1, 11)]
    assert ref.count_nodes(("+", ("*", "x", "x"), ("*", "x", "x"))) == (7, 3)


def test_deck_a_symbolic_example() -> None:
    slope = ref.differentiate(("+", ("*", "x", "w"), ("*", 2, ("^", "w", 2))), "w")
    assert [ref.evaluate(slope, {"x": x, "w": w}) for x, w in [(2, -1), (-3, 1)]] == [-2, 1]
    x = np.array([2.0, -3.0])
    found = ref.numerical_gradient(lambda w: float(x @ w + 2 * w @ w), np.array([-1.0, 1.0]))
    np.testing.assert_allclose(found, [-2, 1], rtol=1e-8)


# ---- the quadratic form ----------------------------------------------------------------------------------------------
def test_quadratic_gradient_equals_autograd() -> None:
    rng = np.random.default_rng(1)
    grad_y, x, a, b, c = rng.normal(size=6), rng.normal(size=(6, 4)), rng.normal(size=(4, 4)), rng.normal(size=4), 0.7
    tensors = [torch.tensor(value, dtype=torch.float64, requires_grad=True) for value in (x, a, b, c)]
    y = torch.einsum("ri,ij,rj->r", tensors[0], tensors[1], tensors[0]) + tensors[0] @ tensors[2] + tensors[3]
    np.testing.assert_allclose(ref.quadratic_form(x, a, b, c), y.detach().numpy(), rtol=1e-12)
    y.backward(torch.tensor(grad_y))
    for found, tensor in zip(ref.quadratic_gradient(grad_y, x, a, b, c), tensors, strict=True):
        assert tensor.grad is not None
        np.testing.assert_allclose(found, tensor.grad.numpy(), rtol=1e-12, atol=1e-13)


def test_the_worked_example_and_its_slopes_forwards() -> None:
    x, a, b, c = np.array([[1.0, -2.0]]), np.array([[2.0, 1.0], [3.0, -1.0]]), np.array([3.0, 1.0]), 5.0
    assert ref.quadratic_form(x, a, b, c).tolist() == [-4]
    grad_x, grad_a, grad_b, grad_c = ref.quadratic_gradient(np.array([-6.0]), x, a, b, c)
    assert grad_x.tolist() == [[6, -54]]
    assert grad_a.tolist() == [[-6, 12], [12, -24]]
    assert grad_b.tolist() == [-6, 12]
    assert grad_c == -6
    u, h = x @ a, 1e-6
    shares = [-6 * u, (-6 * x) @ a.T, -6 * b[None, :]]
    assert [share[0].tolist() for share in shares] == [[24, -18], [0, -30], [-18, -6]]
    forward = [(np.array([[1 + s * h, -2.0]])) for s in (1, -1)]
    assert np.allclose((forward[0] @ a - forward[1] @ a) / (2 * h), [2, 1])
    slopes = [
        lambda x: ((x @ a) * x).sum(),
        lambda x: (x @ b).sum(),
        lambda x: ref.quadratic_form(x, a, b, c).item(),
        lambda x: (ref.quadratic_form(x, a, b, c).item() + 1) ** 2,
    ]
    assert [round((f(forward[0]) - f(forward[1])) / (2 * h), 6) for f in slopes] == [-4, 3, -1, 6]


def test_deck_e_erratum() -> None:
    """∂L/∂x₁ = ∂L/∂x₂ = 2(y − y*): a factor x changes the shape and, where it fits, the value."""
    m, n, c, h = -10.0, 1.0, 5.0, 1e-6
    by_m = ((m + h + n + c + 1) ** 2 - (m - h + n + c + 1) ** 2) / (2 * h)
    by_c = ((m + n + c + h + 1) ** 2 - (m + n + c - h + 1) ** 2) / (2 * h)
    assert by_m == pytest.approx(-6, rel=1e-8)
    assert by_m == pytest.approx(by_c, rel=1e-8)
    # The deck's run: loss 34.0528 for target 1, c.grad = 2(y − y*), and A.grad = g·xxᵀ with b.grad = g·x.
    assert 2 * np.sqrt(34.0528) == pytest.approx(11.6710, abs=1e-4)


# ---- the engine ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("grad", "shape"),
    [((4, 3), (3,)), ((4, 3), (4, 1)), ((4, 3), (1, 1)), ((4, 3), ()), ((2, 4, 3), (4, 1)), ((2, 3), (2, 3))],
)
def test_unbroadcast_is_autograd_of_expand(grad: tuple[int, ...], shape: tuple[int, ...]) -> None:
    g = np.random.default_rng(0).normal(size=grad)
    small = torch.zeros(shape, dtype=torch.float64, requires_grad=True)
    small.expand(grad).backward(torch.tensor(g))
    assert small.grad is not None
    found = np.asarray(ref.unbroadcast(g, shape))
    assert found.shape == shape
    np.testing.assert_allclose(found, small.grad.numpy(), rtol=1e-12)


TORCH = {
    "add": torch.add,
    "subtract": torch.subtract,
    "multiply": torch.multiply,
    "divide": torch.divide,
    "matmul": torch.matmul,
    "exp": torch.exp,
    "log": torch.log,
    "tanh": torch.tanh,
    "relu": torch.relu,
}


@pytest.mark.parametrize(
    ("name", "a", "b"),
    [
        *(
            (name, a, b)
            for name in ("add", "subtract", "multiply", "divide")
            for a, b in [((4, 3), (3,)), ((), (2, 1))]
        ),
        ("matmul", (4, 3), (3, 2)),
        ("matmul", (1, 3), (3, 1)),
    ],
)
def test_binary_equals_autograd(name: str, a: tuple[int, ...], b: tuple[int, ...]) -> None:
    rng = np.random.default_rng(2)
    left, right = rng.uniform(0.5, 2, size=a), -rng.uniform(0.5, 2, size=b)
    made = ref.binary(name, Tensor(left), Tensor(right))
    tensors = [torch.tensor(left, requires_grad=True), torch.tensor(right, requires_grad=True)]
    wanted = TORCH[name](*tensors)
    np.testing.assert_allclose(made.data, wanted.detach().numpy(), rtol=1e-14)
    grad = rng.normal(size=made.data.shape)
    wanted.backward(torch.tensor(grad))
    assert made.backward is not None
    for found, tensor in zip(made.backward(grad), tensors, strict=True):
        assert tensor.grad is not None
        assert np.shape(found) == tuple(tensor.shape)
        np.testing.assert_allclose(found, tensor.grad.numpy(), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("name", ["exp", "log", "tanh", "relu"])
def test_elementwise_equals_autograd_differences_and_complex_steps(name: str) -> None:
    rng = np.random.default_rng(3)
    x = rng.uniform(0.1, 2, size=(3, 4)) * (1 if name == "log" else rng.choice([-1, 1], size=(3, 4)))
    grad = rng.normal(size=x.shape)
    made = ref.elementwise(name, Tensor(x))
    t = torch.tensor(x, requires_grad=True)
    TORCH[name](t).backward(torch.tensor(grad))
    assert made.backward is not None
    assert t.grad is not None
    (found,) = made.backward(grad)
    np.testing.assert_allclose(found, t.grad.numpy(), rtol=1e-12, atol=1e-14)
    measured = ref.numerical_gradient(lambda x: float(np.sum(ref.elementwise(name, Tensor(x)).data * grad)), x)
    np.testing.assert_allclose(found, measured, rtol=1e-7, atol=1e-8)
    if name != "relu":
        exact = complex_step(lambda x: np.sum(getattr(np, name)(x) * grad), x)
        assert exact is not None
        np.testing.assert_allclose(found, exact, rtol=1e-12, atol=1e-14)


def test_relu_at_zero_and_unknown_names() -> None:
    made = ref.elementwise("relu", Tensor([0.0]))
    assert made.backward is not None
    assert made.backward(np.ones(1))[0].tolist() == [0]
    with pytest.raises(ValueError, match="sinus"):
        ref.elementwise("sinus", Tensor(1.0))
    with pytest.raises(ValueError, match="modulo"):
        ref.binary("modulo", Tensor(1.0), Tensor(1.0))


def test_operators_take_numbers_and_arrays_on_both_sides() -> None:
    t = Tensor([1.0, 2.0])
    assert (2 * t + 1).data.tolist() == [3, 5]
    assert (np.ones(2) + t).data.tolist() == [2, 3]
    assert (t / 2 - t).data.tolist() == [-0.5, -1]


def test_the_order_is_topological_and_complete() -> None:
    rng = np.random.default_rng(4)
    for _ in range(50):
        nodes = [Tensor(1.0)]
        for _ in range(12):
            picked = rng.integers(0, len(nodes), size=2)
            nodes.append(Tensor(1.0, tuple(nodes[i] for i in picked)))
        order = ref.topological_order(nodes[-1])
        place = {id(node): i for i, node in enumerate(order)}
        assert len(place) == len(order)
        assert order[-1] is nodes[-1]
        for node in order:
            assert all(place[id(parent)] < place[id(node)] for parent in node.parents)


def test_the_engine_equals_torch_to_twelve_digits() -> None:
    for seed in range(20):
        rng = np.random.default_rng(seed)
        parts = {
            "x": rng.normal(size=(7, 4)),
            "w": rng.normal(size=(4, 5)),
            "b": rng.normal(size=5),
            "v": rng.normal(size=(5, 1)),
            "s": rng.normal(size=(7, 1)),
        }
        t = {name: torch.tensor(value, requires_grad=True) for name, value in parts.items()}
        n = {name: Tensor(value) for name, value in parts.items()}
        k = torch.tanh(t["x"] @ t["w"] + t["b"])
        y = (torch.relu(k) - k * k / 3.0) @ t["v"]
        wanted = (torch.log(torch.exp(y) + 1.0) / (k * k + 1.0) + t["b"] * t["s"] * t["b"]).sum() * 0.1
        wanted.backward()
        h = ref.elementwise("tanh", n["x"] @ n["w"] + n["b"])
        z = (ref.elementwise("relu", h) - h * h / 3.0) @ n["v"]
        upper = ref.elementwise("log", ref.elementwise("exp", z) + 1.0)
        loss = ref.total(upper / (h * h + 1.0) + n["b"] * n["s"] * n["b"]) * 0.1
        ref.backpropagate(loss)
        assert loss.data == pytest.approx(wanted.item(), rel=1e-13)
        for name in parts:
            expected = t[name].grad
            assert expected is not None
            np.testing.assert_allclose(n[name].grad, expected.numpy(), rtol=1e-12, atol=1e-12)


def test_reuse_and_repeated_calls_accumulate() -> None:
    x = Tensor(3.0)
    y = x * x + x
    ref.backpropagate(y)
    assert x.grad == 7
    assert y.grad == 1
    ref.backpropagate(y)
    assert x.grad == 14
    assert y.grad == 2
    p = Tensor(3.0) * Tensor(3.0)
    ref.backpropagate(p + p * p)
    assert p.grad == 19
    assert [parent.grad.item() for parent in p.parents] == [57, 57]


def test_shared_messages_are_not_changed_in_place() -> None:
    a, b = Tensor([1.0, 2.0]), Tensor([3.0, 4.0])
    ref.backpropagate(ref.total((a + b) + a))
    assert a.grad.tolist() == [2, 2]
    assert b.grad.tolist() == [1, 1]


def test_only_a_single_number_is_backpropagated() -> None:
    with pytest.raises(ValueError, match="shape"):
        ref.backpropagate(Tensor([1.0]))


# ---- the exercises ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("made", EXERCISES, ids=lambda made: made.name)
def test_mistakes_are_named_and_variants_pass(made: Exercise) -> None:
    for seed in ("one", "two", "three"):
        sheet = made.sheet(seed)
        assert verdict_of(sheet, made.reference).passed
        for mistake in made.mistakes:
            verdict = verdict_of(sheet, mistake.implementation)
            assert not verdict.passed
            assert verdict.misconception == mistake.name
        for variant in made.variants:
            verdict = verdict_of(sheet, variant)
            assert verdict.passed, (variant.__name__, verdict.headline)
    assert 2 <= len(made.mistakes) <= 6
    assert len(made.variants) >= 3


# ---- the chapter, run from top to bottom -----------------------------------------------------------------------------
@pytest.fixture(scope="module")
def printed() -> str:
    return run_solved("05_gradients")[0]


@pytest.mark.parametrize(
    "line",
    [
        "2461 psalm verses, as many others; 4070 to learn from",
        "one-sided: lowest 2e-08 at h = 1e-08; theory says h* = 2.1e-08",
        "at x = (2, −3), w = (−1, 1): [-2.0, 1.0]",
        "  4          29          111          20   [8, 28, 48, 50, 36, 18, 6, 1]",
        " 10        2045        19455          56   512 terms",
        "u [[-4.  3.]]  m -10.0  n 1.0  y -4.0  loss 9.0",
        "∂loss/∂m = -6.0000;  2(y + 1) = -6.0,  2(y + 1)x = [-6. 12.]",
        "∂loss/∂n = -6.0000;  2(y + 1) = -6.0,  2(y + 1)x = [-6. 12.]",
        "∂loss/∂c = -6.0000;  2(y + 1) = -6.0,  2(y + 1)x = [-6. 12.]",
        "deck E's own printed gradients agree with a single number g to 0.0002",
        "[[  6. -54.]] [[-6.0, 12.0], [12.0, -24.0]] [-6. 12.] -6.0",
        "measured: [[  6. -54.]]   as if A were symmetric: [[-18. -66.]]",
        "   x  value [[1.0, -2.0]]  grad [[6.0, -54.0]]",
        "   y  value -4.0  grad -6.0",
        "reverse: 50 passes; forward: 1 pass, 50 slopes at once",
        "define-by-run at  2.0: value 4.0, slope 4.0, 2 nodes",
        "define-by-run at -2.0: value 2.0, slope -1.0, 3 nodes",
        "recorded at 2, run at -2.0: value 4.0 instead of 2.0",
        "x·x + x at 3, overwriting: 3.0 instead of 7",
        "p + p·p with p = x·x, level by level: 6.0 instead of 114",
        "the bias has become (6, 3)",
        "on four new rows: operands could not be broadcast together",
    ],
)
def test_the_chapter_prints(printed: str, line: str) -> None:
    assert line in printed


def numbers(pattern: str, printed: str) -> list[float]:
    """The numbers of the groups of one match."""
    found = re.search(pattern, printed)
    assert found is not None, pattern
    return [float(group) for group in found.groups()]


def test_the_v_has_its_lowest_point_where_theory_says(printed: str) -> None:
    error, h, best = numbers(r"central: lowest (\S+) at h = (\S+); theory says h\* = (\S+)", printed)
    assert error < 1e-10
    assert best / 4 < h < 4 * best


def test_the_errors_of_the_variants(printed: str) -> None:
    assert numbers(r"one-sided, h = 2e-8: relative error (\S+)", printed)[0] == pytest.approx(5e-8, rel=1)
    assert numbers(r"central: relative error (\S+)", printed)[0] < 3e-10
    assert numbers(r"complex step, h = 1e-200: relative error (\S+)", printed)[0] < 1e-15
    assert numbers(r" 65 random directions: relative error (\S+)", printed)[0] == pytest.approx(1.0, rel=0.4)
    assert numbers(r"6500 random directions: relative error (\S+)", printed)[0] == pytest.approx(0.1, rel=0.3)


def test_the_engine_agrees_with_its_judges(printed: str) -> None:
    assert max(map(float, re.findall(r"differs from PyTorch by (\S+)", printed))) <= 1e-12
    assert max(map(float, re.findall(r"differs from the measured slope by (\S+)", printed))) <= 1e-8
    assert numbers(r"against PyTorch: +(\S+)", printed)[0] <= 1e-12
    assert numbers(r"against 130 evaluations: +(\S+)", printed)[0] <= 1e-9
    assert numbers(r"against one random direction: +(\S+)", printed)[0] <= 1e-8


def test_reverse_mode_is_faster_for_many_inputs(printed: str) -> None:
    forward, backward = numbers(r"1024 +1024 passes +(\S+) ms +1 pass +(\S+) ms", printed)
    assert forward > 3 * backward


def test_groping_against_descending(printed: str) -> None:
    start, after_40, after_400 = numbers(r"loss (\S+), after 40 tries (\S+), after 400 (\d\.\d+);", printed)
    six, forty = numbers(r"after 6 steps (\S+), after 40 (\S+)", printed)
    assert (start, after_40, after_400) == pytest.approx((0.715, 0.577, 0.547), abs=2e-3)
    assert (six, forty) == pytest.approx((0.576, 0.557), abs=2e-3)
    assert six <= after_40


def test_the_real_run(printed: str) -> None:
    wanted = {"linear unit": (0.693, 0.575, 0.589, 70.9), "16 tanh units": (0.715, 0.537, 0.545, 72.5)}
    for name, (first, last, held_out, right) in wanted.items():
        found = numbers(name + r": loss (\S+) → (\S+); held out: loss (\S+), (\S+)% right", printed)
        assert found[:3] == pytest.approx((first, last, held_out), abs=2e-3)
        assert found[3] == pytest.approx(right, abs=0.3)


def test_too_small_a_step_is_noise(printed: str) -> None:
    assert numbers(r"h = 6e-06: relative error (\S+)", printed)[0] < 1e-9
    assert numbers(r"h = 1e-13: relative error (\S+)", printed)[0] > 1e-4
