"""Exercises of chapter 05: differences, symbolic derivatives, the quadratic form, and an engine for reverse mode."""

import math
from collections.abc import Iterator

import numpy as np

from autograder.exercise import Case, case, exercise, explanation
from solutions import gradients as ref
from solutions.gradients import Tensor


# ---- numerical_gradient ----------------------------------------------------------------------------------------------
@exercise(ref.numerical_gradient, points=2, returns=("gradient", "x_afterwards"), rtol=2e-8, atol=2e-8)
def numerical_gradient(rng: np.random.Generator) -> Iterator[Case]:
    """Find a gradient by moving one entry at a time, forwards and backwards, by a step that you choose."""
    yield case("three cubes", name="cubes", x=np.array([1.0, -2.0, 0.5]))
    yield case("the bottom of a steep valley", name="valley", x=np.array([0.0, 0.002, -0.001]))
    yield case("1,000 added", name="offset", x=rng.uniform(-1, 1, size=4))
    yield case("a matrix", name="waves", x=rng.uniform(-2, 2, size=(3, 2)))
    yield case("entries that depend on each other", name="chain", x=rng.uniform(0.5, 2, size=5))
    yield case("one number", name="waves", x=np.array(rng.uniform(0.2, 1)))


@numerical_gradient.probe
def with_a_function_of_that_name(student, name, x):
    functions = {
        "cubes": lambda t: np.sum(t**3),
        "valley": lambda t: 2e4 * np.sum(t**2) + 1e4 * np.sum(t) ** 2,
        "offset": lambda t: 1000.0 + np.sum(np.exp(t)),
        "waves": lambda t: np.sum(np.sin(t) * (1 + np.arange(t.size).reshape(t.shape))),
        "chain": lambda t: np.sum(t[1:] * t[:-1]) + np.log(np.sum(np.exp(t))),
    }
    return student(lambda t: float(functions[name](t)), x), x


@numerical_gradient.mistake(
    "This is a one-sided difference, [f(x + h) − f(x)]/h. At the bottom of a valley it is off by h·f″/2, while "
    "stepping to both sides cancels that term. Which term of Taylor's series is left then?"
)
def looks_ahead_only(f, x):
    grad, base, h = np.zeros_like(x), f(x), 1e-6
    for index in np.ndindex(x.shape):
        ahead = x.copy()
        ahead[index] += h
        grad[index] = (f(ahead) - base) / h
    return grad


@numerical_gradient.mistake(
    "Everything is twice too large: from x − h to x + h the way is 2h, and the quotient divides by h."
)
def divides_by_one_step(f, x):
    grad, h = np.zeros_like(x), 6e-6
    for index in np.ndindex(x.shape):
        ahead, behind = x.copy(), x.copy()
        ahead[index] += h
        behind[index] -= h
        grad[index] = (f(ahead) - f(behind)) / h
    return grad


@numerical_gradient.mistake(
    "The step is so small that the two values agree in nearly all their digits, and what is left is rounding noise, "
    "divided by a tiny number. Find the lowest point of the V in this chapter."
)
def step_far_too_small(f, x):
    grad, h = np.zeros_like(x), 1e-12
    for index in np.ndindex(x.shape):
        ahead, behind = x.copy(), x.copy()
        ahead[index] += h
        behind[index] -= h
        grad[index] = (f(ahead) - f(behind)) / (2 * h)
    return grad


@numerical_gradient.mistake(
    "All entries move at once, so every entry of the result is the same sum of slopes. One partial derivative moves "
    "one entry and leaves the others where they are."
)
def moves_all_entries(f, x):
    h = 6e-6
    return np.full_like(x, (f(x + h) - f(x - h)) / (2 * h))


@numerical_gradient.mistake(
    "x does not come back: each entry is moved in the caller's own array and stays moved, also while the next "
    "entries are measured. Look at x after the call."
)
def leaves_x_moved(f, x):
    grad, h = np.zeros_like(x), 6e-6
    for index in np.ndindex(x.shape):
        x[index] += h
        ahead = f(x)
        x[index] -= 2 * h
        grad[index] = (ahead - f(x)) / (2 * h)
    return grad


@numerical_gradient.variant
def in_place_and_put_back(f, x):
    h = 1e-5
    grad = np.empty(x.shape)
    steps = np.nditer(x, flags=["multi_index"])
    for _ in steps:
        at = steps.multi_index
        old = x[at]
        x[at] = old + h
        ahead = f(x)
        x[at] = old - h
        behind = f(x)
        x[at] = old
        grad[at] = (ahead - behind) / (2 * h)
    return grad


@numerical_gradient.variant
def with_unit_vectors(f, x):
    h = np.finfo(float).eps ** (1 / 3)
    units = np.eye(x.size).reshape(x.size, *x.shape)
    return np.array([(f(x + h * e) - f(x - h * e)) / (2 * h) for e in units]).reshape(x.shape)


@numerical_gradient.variant
def extrapolated(f, x):
    def central(e, h):
        return (f(x + h * e) - f(x - h * e)) / (2 * h)

    grad = np.zeros(x.size)
    for i in range(x.size):
        e = np.zeros(x.size)
        e[i] = 1
        e = e.reshape(x.shape)
        grad[i] = (4 * central(e, 1e-4) - central(e, 2e-4)) / 3
    return grad.reshape(x.shape)


# ---- differentiate ---------------------------------------------------------------------------------------------------
@exercise(ref.differentiate, points=3)
def differentiate(rng: np.random.Generator) -> Iterator[Case]:
    """Turn an expression into its derivative, another expression, by the rules of calculus."""
    n, m = float(rng.integers(2, 9)), float(rng.integers(2, 5))
    points = rng.uniform(0.5, 2, size=(4, 2))  # x, y
    swollen: str | tuple = "x"
    for _ in range(3):
        swollen = ("*", swollen, ("+", swollen, 1.0))
    for label, expression in [
        ("a product", ("*", ("+", "x", n), ("*", "x", "x"))),
        ("a quotient", ("/", ("+", "x", n), ("-", ("*", n, "x"), ("*", -m, "y")))),
        ("a power", ("^", ("+", ("*", m, "x"), "y"), 3.0)),
        ("exp of a product", ("exp", ("*", ("/", "x", n), "y"))),
        ("log of a square", ("log", ("+", ("*", "x", "x"), n))),
        ("a name that is a constant here", ("*", ("*", "y", "y"), "x")),
        ("deck A's fourth row", swollen),
        (
            "everything",
            ("log", ("+", ("exp", ("/", "x", "y")), ("/", ("^", "x", m), ("+", ("exp", ("-", 0.0, "x")), n)))),
        ),
    ]:
        yield case(label, expression=expression, variable="x", points=points)
    yield case("with respect to y", expression=("/", ("exp", "y"), ("*", "x", "y")), variable="y", points=points)
    yield case("no such operation", expression=("sinus", "x"), variable="x", points=points)


@differentiate.probe
def value_of_the_derivative(student, expression, variable, points):
    rules = {
        "+": lambda u, v: u + v,
        "-": lambda u, v: u - v,
        "*": lambda u, v: u * v,
        "/": lambda u, v: u / v,
        "^": lambda u, v: u**v,
        "exp": lambda u, _: math.exp(u),
        "log": lambda u, _: math.log(u),
    }

    def value(part, names):
        if isinstance(part, (int, float)):
            return float(part)
        if isinstance(part, str) and part in names:
            return names[part]
        if not isinstance(part, (tuple, list)) or not part or part[0] not in rules:
            raise TypeError(f"the result contains {part!r}, which is no number, no known name and no operation")
        return rules[part[0]](value(part[1], names), value(part[-1], names))

    derivative = student(expression, variable)
    return np.array([value(derivative, {"x": float(x), "y": float(y)}) for x, y in points])


@differentiate.mistake(
    "The derivative of a product is not the product of the derivatives: try x·x, whose slope is 2x and not 1. Each "
    "factor takes its turn while the other one waits."
)
def multiplies_the_derivatives(expression, variable):
    if isinstance(expression, (int, float)):
        return 0.0
    if isinstance(expression, str):
        return 1.0 if expression == variable else 0.0
    operation, u, v = expression[0], expression[1], expression[-1]
    du = multiplies_the_derivatives(u, variable)
    if operation == "^":
        return ("*", ("*", v, ("^", u, v - 1)), du)
    if operation == "exp":
        return ("*", expression, du)
    if operation == "log":
        return ("/", du, u)
    dv = multiplies_the_derivatives(v, variable)
    if operation in ("+", "-", "*"):
        return (operation, du, dv)
    if operation == "/":
        return ("/", ("-", ("*", du, v), ("*", u, dv)), ("*", v, v))
    raise ValueError(f"no rule for the operation {operation!r}")


@differentiate.mistake(
    "The chain rule stops half-way: exp, log and powers are differentiated as if x stood inside. What is inside has a "
    "derivative of its own, and it multiplies."
)
def forgets_the_inside(expression, variable):
    if isinstance(expression, (int, float)):
        return 0.0
    if isinstance(expression, str):
        return 1.0 if expression == variable else 0.0
    operation, u, v = expression[0], expression[1], expression[-1]
    if operation == "^":
        return ("*", v, ("^", u, v - 1))
    if operation == "exp":
        return expression
    if operation == "log":
        return ("/", 1.0, u)
    du, dv = forgets_the_inside(u, variable), forgets_the_inside(v, variable)
    if operation in ("+", "-"):
        return (operation, du, dv)
    if operation == "*":
        return ("+", ("*", du, v), ("*", u, dv))
    if operation == "/":
        return ("/", ("-", ("*", du, v), ("*", u, dv)), ("*", v, v))
    raise ValueError(f"no rule for the operation {operation!r}")


@differentiate.mistake(
    "The quotient rule has its two terms the wrong way round. For u/v with v constant the slope has the sign of u′: "
    "which term carries the minus then?"
)
def quotient_with_the_wrong_sign(expression, variable):
    if isinstance(expression, (int, float)):
        return 0.0
    if isinstance(expression, str):
        return 1.0 if expression == variable else 0.0
    operation, u, v = expression[0], expression[1], expression[-1]
    du = quotient_with_the_wrong_sign(u, variable)
    if operation == "^":
        return ("*", ("*", v, ("^", u, v - 1)), du)
    if operation == "exp":
        return ("*", expression, du)
    if operation == "log":
        return ("/", du, u)
    dv = quotient_with_the_wrong_sign(v, variable)
    if operation in ("+", "-"):
        return (operation, du, dv)
    if operation == "*":
        return ("+", ("*", du, v), ("*", u, dv))
    if operation == "/":
        return ("/", ("-", ("*", u, dv), ("*", du, v)), ("*", v, v))
    raise ValueError(f"no rule for the operation {operation!r}")


@differentiate.mistake(
    "The power comes down as a factor but keeps its old exponent. The slope of x³ at 2 is 12: what does your rule say?"
)
def keeps_the_exponent(expression, variable):
    if isinstance(expression, (int, float)):
        return 0.0
    if isinstance(expression, str):
        return 1.0 if expression == variable else 0.0
    operation, u, v = expression[0], expression[1], expression[-1]
    du = keeps_the_exponent(u, variable)
    if operation == "^":
        return ("*", ("*", v, ("^", u, v)), du)
    if operation == "exp":
        return ("*", expression, du)
    if operation == "log":
        return ("/", du, u)
    dv = keeps_the_exponent(v, variable)
    if operation in ("+", "-"):
        return (operation, du, dv)
    if operation == "*":
        return ("+", ("*", du, v), ("*", u, dv))
    if operation == "/":
        return ("/", ("-", ("*", du, v), ("*", u, dv)), ("*", v, v))
    raise ValueError(f"no rule for the operation {operation!r}")


@differentiate.mistake(
    "Every name is treated as the variable. By `variable` only one of them moves; the others are constants with "
    "derivative 0."
)
def every_name_is_the_variable(expression, variable):
    if isinstance(expression, (int, float)):
        return 0.0
    if isinstance(expression, str):
        return 1.0
    operation, u, v = expression[0], expression[1], expression[-1]
    du = every_name_is_the_variable(u, variable)
    if operation == "^":
        return ("*", ("*", v, ("^", u, v - 1)), du)
    if operation == "exp":
        return ("*", expression, du)
    if operation == "log":
        return ("/", du, u)
    dv = every_name_is_the_variable(v, variable)
    if operation in ("+", "-"):
        return (operation, du, dv)
    if operation == "*":
        return ("+", ("*", du, v), ("*", u, dv))
    if operation == "/":
        return ("/", ("-", ("*", du, v), ("*", u, dv)), ("*", v, v))
    raise ValueError(f"no rule for the operation {operation!r}")


@differentiate.variant
def by_matching_patterns(expression, variable):
    def d(part):
        match part:
            case int() | float():
                return 0
            case str():
                return int(part == variable)
            case ("+" | "-", u, v):
                return (part[0], d(u), d(v))
            case ("*", u, v):
                return ("+", ("*", u, d(v)), ("*", v, d(u)))
            case ("/", u, v):
                return ("-", ("/", d(u), v), ("*", part, ("/", d(v), v)))
            case ("^", u, n):
                return ("*", d(u), ("*", n, ("^", u, n - 1)))
            case ("exp", u):
                return ("*", d(u), part)
            case ("log", u):
                return ("/", d(u), u)
        raise ValueError(f"unknown: {part!r}")

    return d(expression)


@differentiate.variant
def simplified_on_the_way(expression, variable):
    def plus(u, v):
        return v if u == 0 else u if v == 0 else ("+", u, v)

    def times(u, v):
        if u == 0 or v == 0:
            return 0.0
        return v if u == 1 else u if v == 1 else ("*", u, v)

    def d(part):
        if isinstance(part, (int, float)):
            return 0.0
        if isinstance(part, str):
            return 1.0 if part == variable else 0.0
        operation, u, v = part[0], part[1], part[-1]
        if operation == "+":
            return plus(d(u), d(v))
        if operation == "-":
            return plus(d(u), times(-1.0, d(v)))
        if operation == "*":
            return plus(times(d(u), v), times(u, d(v)))
        if operation == "/":
            return d(("*", u, ("^", v, -1.0)))
        if operation == "^":
            return times(times(v, ("^", u, v - 1)), d(u))
        if operation == "exp":
            return times(part, d(u))
        if operation == "log":
            return times(("^", u, -1.0), d(u))
        raise ValueError("no such operation")

    return d(expression)


@differentiate.variant
def a_table_of_rules(expression, variable):
    rules = {
        "+": lambda u, v, du, dv: ("+", du, dv),
        "-": lambda u, v, du, dv: ("-", du, dv),
        "*": lambda u, v, du, dv: ("+", ("*", du, v), ("*", dv, u)),
        "/": lambda u, v, du, dv: ("/", ("-", ("*", du, v), ("*", dv, u)), ("*", v, v)),
        "^": lambda u, v, du, dv: ("*", ("*", ("^", u, ("-", v, 1)), v), du),
        "exp": lambda u, v, du, dv: ("*", du, ("exp", u)),
        "log": lambda u, v, du, dv: ("/", du, u),
    }
    if type(expression) is str:
        return float(expression == variable)
    if type(expression) is not tuple:
        return 0.0
    if expression[0] not in rules:
        raise ValueError(expression[0])
    u, v = expression[1], expression[-1]
    return rules[expression[0]](u, v, a_table_of_rules(u, variable), a_table_of_rules(v, variable))


# ---- quadratic_gradient ----------------------------------------------------------------------------------------------
@exercise(ref.quadratic_gradient, points=2, returns=("grad_x", "grad_a", "grad_b", "grad_c"))
def quadratic_gradient(rng: np.random.Generator) -> Iterator[Case]:
    """Send a gradient back through y = xᵀAx + b·x + c, for a batch of rows."""
    yield case(
        "the worked example",
        grad_y=np.array([-6.0]),
        x=np.array([[1.0, -2.0]]),
        a=np.array([[2.0, 1.0], [3.0, -1.0]]),
        b=np.array([3.0, 1.0]),
        c=5.0,
    )
    for batch, n in [(1, 5), (4, 3), (3, 3), (5, 1)]:
        yield case(
            grad_y=rng.normal(size=batch),
            x=rng.normal(size=(batch, n)),
            a=rng.normal(size=(n, n)),
            b=rng.normal(size=n),
            c=float(rng.normal()),
        )


quadratic_gradient.gradient_of(ref.quadratic_form, wrt=("x", "a", "b", "c"), upstream="grad_y")


@quadratic_gradient.mistake(
    "x stands on both sides of A, and only one of the two roads back is walked. Hold the left x fixed, then the right "
    "one: each gives a term, and they differ when A is not symmetric."
)
def one_road_only(grad_y, x, a, b, c):
    weighted = grad_y[:, None] * x
    return weighted @ a + grad_y[:, None] * b, x.T @ weighted, weighted.sum(axis=0), float(grad_y.sum())


@quadratic_gradient.mistake(
    "2Ax is the slope for a symmetric A only. This A is not: compare your grad_x with a difference quotient, then ask "
    "what A + Aᵀ becomes when A = Aᵀ."
)
def as_if_symmetric(grad_y, x, a, b, c):
    weighted = grad_y[:, None] * x
    return 2 * weighted @ a.T + grad_y[:, None] * b, x.T @ weighted, weighted.sum(axis=0), float(grad_y.sum())


@quadratic_gradient.mistake(
    "You walk the same road back twice: A is doubled where A and its transpose should be added. Write xᵀAx as a double sum and "
    "differentiate by one entry of x: in which places of A does it stand?"
)
def without_the_transpose(grad_y, x, a, b, c):
    weighted = grad_y[:, None] * x
    return weighted @ (a + a) + grad_y[:, None] * b, x.T @ weighted, weighted.sum(axis=0), float(grad_y.sum())


@quadratic_gradient.mistake(
    "∂loss/∂y is missing: these are the slopes of y, not of the loss. Each row's share has to be multiplied by that "
    "row's grad_y."
)
def without_the_upstream_gradient(grad_y, x, a, b, c):
    return x @ (a + a.T) + b, x.T @ x, x.sum(axis=0), float(len(x))


@quadratic_gradient.mistake(
    "A, b and c are shared by all rows, so their gradients add up over the batch; yours are averaged. The 1/batch, "
    "if there is one, has already come with grad_y."
)
def mean_over_the_batch(grad_y, x, a, b, c):
    weighted = grad_y[:, None] * x
    grad_x = weighted @ (a + a.T) + grad_y[:, None] * b
    return grad_x, x.T @ weighted / len(x), weighted.mean(axis=0), float(grad_y.mean())


@quadratic_gradient.mistake(
    "The sum node's gradient carries a factor x too many, as deck E prints it: what reaches the product xᵀAx is the "
    "single number ∂loss/∂y. Nudge that product by hand and see how the loss answers."
)
def a_factor_x_too_many(grad_y, x, a, b, c):
    weighted = grad_y[:, None] * x
    grad_x = weighted @ (a + a.T) + grad_y[:, None] * b
    return grad_x, x.T @ (weighted * x), (weighted * x).sum(axis=0), float(grad_y.sum())


@quadratic_gradient.variant
def row_by_row(grad_y, x, a, b, c):
    grad_x, grad_a, grad_b, grad_c = np.zeros_like(x), np.zeros_like(a), np.zeros_like(b), 0.0
    for i in range(len(x)):
        grad_x[i] = grad_y[i] * (a @ x[i] + a.T @ x[i] + b)
        grad_a += grad_y[i] * np.outer(x[i], x[i])
        grad_b += grad_y[i] * x[i]
        grad_c += grad_y[i]
    return grad_x, grad_a, grad_b, grad_c


@quadratic_gradient.variant
def with_einsum(grad_y, x, a, b, c):
    grad_x = np.einsum("r,ij,rj->ri", grad_y, a, x) + np.einsum("r,ij,ri->rj", grad_y, a, x) + np.outer(grad_y, b)
    return grad_x, np.einsum("r,ri,rj->ij", grad_y, x, x), grad_y @ x, np.sum(grad_y)


@quadratic_gradient.variant
def node_by_node(grad_y, x, a, b, c):
    u = x @ a  # u = xA, m = sum of u·x, n = sum of b·x, y = m + n + c
    grad_u = grad_y[:, None] * x
    grad_x = grad_y[:, None] * u + grad_u @ a.T + grad_y[:, None] * b[None, :]
    return grad_x, x.T @ grad_u, (grad_y[:, None] * x).sum(0), grad_y.sum()


# ---- unbroadcast -----------------------------------------------------------------------------------------------------
@exercise(ref.unbroadcast, points=2)
def unbroadcast(rng: np.random.Generator) -> Iterator[Case]:
    """Add up the gradients of all copies that broadcasting made, so that the old shape is back."""
    for label, grad, shape in [
        ("a bias: one row for a batch", (4, 3), (3,)),
        ("a column", (4, 3), (4, 1)),
        ("a row that keeps its axis", (4, 3), (1, 3)),
        ("nothing was broadcast", (2, 3), (2, 3)),
        ("a single number", (2, 3), ()),
        ("in front and in between", (2, 3, 4, 5), (3, 1, 5)),
        ("an axis of length 1 that was not stretched", (3, 1, 2), (1, 2)),
    ]:
        yield case(label, grad=rng.normal(size=grad), shape=shape)


@unbroadcast.mistake(
    "The copies are averaged. Each copy went its own way to the loss, and by the chain rule the ways add up: nudge the "
    "one original and all copies move."
)
def averages_the_copies(grad, shape):
    grad = grad.mean(axis=tuple(range(grad.ndim - len(shape))))
    return grad.mean(axis=tuple(i for i, n in enumerate(shape) if n == 1), keepdims=True)


@unbroadcast.mistake(
    "Only the axes in front are added up. An axis of length 1 is stretched too, as in a column beside a matrix; what "
    "should happen there?"
)
def only_the_axes_in_front(grad, shape):
    return grad.sum(axis=tuple(range(grad.ndim - len(shape))))


@unbroadcast.mistake(
    "Only the axes of length 1 are added up. Broadcasting also puts new axes in front, as for a bias of shape (3,) "
    "beside a batch (4, 3)."
)
def only_the_stretched_axes(grad, shape):
    axes = tuple(i - len(shape) for i, n in enumerate(shape) if n == 1)
    return grad.sum(axis=axes, keepdims=True)


@unbroadcast.mistake(
    "One copy's gradient is picked and the others are dropped. The original fed all of them, so all of them send "
    "something back."
)
def picks_one_copy(grad, shape):
    grad = grad[(0,) * (grad.ndim - len(shape))]
    for axis, n in enumerate(shape):
        if n == 1:
            grad = np.take(grad, [0], axis=axis)
    return grad


@unbroadcast.mistake(
    "The sums are right, but an axis of length 1 has vanished with them. It must stay, with length 1: compare the shape "
    "of your result with `shape`."
)
def loses_the_axis(grad, shape):
    grad = grad.sum(axis=tuple(range(grad.ndim - len(shape))))
    return grad.sum(axis=tuple(i for i, n in enumerate(shape) if n == 1))


@unbroadcast.variant
def axis_by_axis(grad, shape):
    while grad.ndim > len(shape):
        grad = grad.sum(axis=0)
    for axis in range(grad.ndim):
        if shape[axis] == 1 and grad.shape[axis] != 1:
            grad = grad.sum(axis=axis, keepdims=True)
    return grad


@unbroadcast.variant
def scatter_to_the_sources(grad, shape):
    size = math.prod(shape)
    source = np.broadcast_to(np.arange(size).reshape(shape), grad.shape)
    return np.bincount(source.ravel(), weights=grad.ravel(), minlength=size).reshape(shape)


@unbroadcast.variant
def all_axes_in_one_sum(grad, shape):
    padded = (1,) * (grad.ndim - len(shape)) + tuple(shape)
    axes = tuple(i for i in range(grad.ndim) if padded[i] != grad.shape[i])
    return np.sum(grad, axis=axes, keepdims=True).reshape(shape)


# ---- binary ----------------------------------------------------------------------------------------------------------
@exercise(ref.binary, points=3, returns=("result", "grad_a", "grad_b", "parents_are_a_and_b"))
def binary(rng: np.random.Generator) -> Iterator[Case]:
    """Build the nodes of +, −, ·, / and @ with the way back to both operands."""
    for name, a, b in [
        ("add", (4, 3), (3,)),
        ("subtract", (2, 3), (2, 3)),
        ("subtract", (3,), (4, 3)),
        ("multiply", (2, 3), (2, 3)),
        ("multiply", (4, 1), (4, 3)),
        ("divide", (2, 3), (2, 3)),
        ("divide", (3, 1), (2, 3, 4)),
        ("divide", (), (5,)),
        ("matmul", (4, 3), (3, 2)),
        ("matmul", (3, 3), (3, 3)),
        ("matmul", (1, 4), (4, 1)),
    ]:
        left = rng.uniform(0.5, 2, size=a) * rng.choice([-1.0, 1.0], size=a)
        right = rng.uniform(0.5, 2, size=b) * rng.choice([-1.0, 1.0], size=b)
        shape = (a[0], b[1]) if name == "matmul" else np.broadcast_shapes(a, b)
        yield case(f"{name} {a} and {b}", name=name, a=left, b=right, grad=rng.normal(size=shape))
    yield case("no such operation", name="modulo", a=np.ones(2), b=np.ones(2), grad=np.ones(2))


@binary.probe
def forward_and_back_to_both(student, name, a, b, grad):
    node = student.__globals__["Tensor"]
    left, right = node(a), node(b)
    made = student(name, left, right)
    if not isinstance(made, node):
        raise TypeError(f"it returned {type(made).__name__}; a Tensor is needed")
    if made.backward is None:
        raise TypeError("the new Tensor has no `backward`")
    ways = made.backward(grad)
    if not isinstance(ways, (tuple, list)) or len(ways) != 2:
        raise TypeError("`backward` should return two arrays, one for a and one for b")
    parents = len(made.parents) == 2 and made.parents[0] is left and made.parents[1] is right
    return made.data, ways[0], ways[1], parents


@binary.mistake(
    "Broadcasting is not undone: the gradient keeps the shape of the result, not of the operand. Which function above "
    "brings it back?"
)
def forgets_to_unbroadcast(name, a, b):
    if name == "add":
        return Tensor(a.data + b.data, (a, b), lambda grad: (grad, grad))
    if name == "subtract":
        return Tensor(a.data - b.data, (a, b), lambda grad: (grad, -grad))
    if name == "multiply":
        return Tensor(a.data * b.data, (a, b), lambda grad: (grad * b.data, grad * a.data))
    if name == "divide":
        return Tensor(a.data / b.data, (a, b), lambda grad: (grad / b.data, -grad * a.data / b.data**2))
    if name == "matmul":
        return Tensor(a.data @ b.data, (a, b), lambda grad: (grad @ b.data.T, a.data.T @ grad))
    raise ValueError(f"no operation is called {name!r}")


@binary.mistake(
    "In a product each operand's slope is the *other* operand: nudge a by 1 and a·b grows by b. Yours are exchanged."
)
def product_with_its_own_factor(name, a, b):
    def back(grad, shape):
        grad = grad.sum(axis=tuple(range(grad.ndim - len(shape))))
        return grad.sum(axis=tuple(i for i, n in enumerate(shape) if n == 1), keepdims=True)

    p, q = a.data, b.data
    if name == "add":
        return Tensor(p + q, (a, b), lambda grad: (back(grad, p.shape), back(grad, q.shape)))
    if name == "subtract":
        return Tensor(p - q, (a, b), lambda grad: (back(grad, p.shape), back(-grad, q.shape)))
    if name == "multiply":
        return Tensor(p * q, (a, b), lambda grad: (back(grad * p, p.shape), back(grad * q, q.shape)))
    if name == "divide":
        return Tensor(p / q, (a, b), lambda grad: (back(grad / q, p.shape), back(-grad * p / q**2, q.shape)))
    if name == "matmul":
        return Tensor(p @ q, (a, b), lambda grad: (grad @ q.T, p.T @ grad))
    raise ValueError(f"no operation is called {name!r}")


@binary.mistake(
    "In a matrix product a transpose is missing. Write the shapes on paper: grad is (n, k), and ∂loss/∂a must come out "
    "as (n, m). In which order, and how turned, do grad and b fit?"
)
def matmul_without_transposes(name, a, b):
    def back(grad, shape):
        grad = grad.sum(axis=tuple(range(grad.ndim - len(shape))))
        return grad.sum(axis=tuple(i for i, n in enumerate(shape) if n == 1), keepdims=True)

    p, q = a.data, b.data
    if name == "add":
        return Tensor(p + q, (a, b), lambda grad: (back(grad, p.shape), back(grad, q.shape)))
    if name == "subtract":
        return Tensor(p - q, (a, b), lambda grad: (back(grad, p.shape), back(-grad, q.shape)))
    if name == "multiply":
        return Tensor(p * q, (a, b), lambda grad: (back(grad * q, p.shape), back(grad * p, q.shape)))
    if name == "divide":
        return Tensor(p / q, (a, b), lambda grad: (back(grad / q, p.shape), back(-grad * p / q**2, q.shape)))
    if name == "matmul":
        return Tensor(p @ q, (a, b), lambda grad: (grad @ q, p @ grad))
    raise ValueError(f"no operation is called {name!r}")


@binary.mistake(
    "In a difference the second operand pulls the other way: when b grows, a − b shrinks. A sign is missing on its way "
    "back."
)
def subtracts_without_a_minus(name, a, b):
    def back(grad, shape):
        grad = grad.sum(axis=tuple(range(grad.ndim - len(shape))))
        return grad.sum(axis=tuple(i for i, n in enumerate(shape) if n == 1), keepdims=True)

    p, q = a.data, b.data
    if name == "add":
        return Tensor(p + q, (a, b), lambda grad: (back(grad, p.shape), back(grad, q.shape)))
    if name == "subtract":
        return Tensor(p - q, (a, b), lambda grad: (back(grad, p.shape), back(grad, q.shape)))
    if name == "multiply":
        return Tensor(p * q, (a, b), lambda grad: (back(grad * q, p.shape), back(grad * p, q.shape)))
    if name == "divide":
        return Tensor(p / q, (a, b), lambda grad: (back(grad / q, p.shape), back(-grad * p / q**2, q.shape)))
    if name == "matmul":
        return Tensor(p @ q, (a, b), lambda grad: (grad @ q.T, p.T @ grad))
    raise ValueError(f"no operation is called {name!r}")


@binary.mistake(
    "The new node does not know its parents, so no gradient will ever find the way back to a and b. What belongs in the "
    "second place of Tensor(…)?"
)
def without_parents(name, a, b):
    def back(grad, shape):
        grad = grad.sum(axis=tuple(range(grad.ndim - len(shape))))
        return grad.sum(axis=tuple(i for i, n in enumerate(shape) if n == 1), keepdims=True)

    p, q = a.data, b.data
    if name == "add":
        return Tensor(p + q, (a, b), lambda grad: (back(grad, p.shape), back(grad, q.shape)))
    if name == "subtract":
        return Tensor(p - q, backward=lambda grad: (back(grad, p.shape), back(-grad, q.shape)))
    if name == "multiply":
        return Tensor(p * q, backward=lambda grad: (back(grad * q, p.shape), back(grad * p, q.shape)))
    if name == "divide":
        return Tensor(p / q, backward=lambda grad: (back(grad / q, p.shape), back(-grad * p / q**2, q.shape)))
    if name == "matmul":
        return Tensor(p @ q, backward=lambda grad: (grad @ q.T, p.T @ grad))
    raise ValueError(f"no operation is called {name!r}")


@binary.variant
def slopes_in_a_table(name, a, b):
    def back(grad, shape):
        padded = (1,) * (grad.ndim - len(shape)) + shape
        axes = tuple(i for i in range(grad.ndim) if padded[i] != grad.shape[i])
        return grad.sum(axis=axes).reshape(shape)

    x, y = a.data, b.data
    if name == "matmul":
        return Tensor(
            np.einsum("nm,mk->nk", x, y),
            (a, b),
            lambda grad: (np.einsum("nk,mk->nm", grad, y), np.einsum("nm,nk->mk", x, grad)),
        )
    table = {
        "add": (lambda: x + y, lambda: (1.0, 1.0)),
        "subtract": (lambda: x - y, lambda: (1.0, -1.0)),
        "multiply": (lambda: x * y, lambda: (y, x)),
        "divide": (lambda: x / y, lambda: (1 / y, -x / y**2)),
    }
    if name not in table:
        raise ValueError(name)
    value, slopes = table[name]

    def backward(grad):
        slope_a, slope_b = slopes()
        return back(grad * slope_a, x.shape), back(grad * slope_b, y.shape)

    return Tensor(value(), [a, b], backward)


@binary.variant
def difference_and_quotient_from_the_others(name, a, b):
    def back(grad, shape):
        while grad.ndim > len(shape):
            grad = grad.sum(axis=0)
        for axis, n in enumerate(shape):
            if n == 1:
                grad = grad.sum(axis=axis, keepdims=True)
        return grad

    x, y = a.data, b.data
    if name == "add":
        result, slope_a, slope_b = x + y, 1.0, 1.0
    elif name == "subtract":
        result, slope_a, slope_b = x + (-y), 1.0, -1.0
    elif name == "multiply":
        result, slope_a, slope_b = x * y, y, x
    elif name == "divide":
        result = x * (1 / y)
        slope_a, slope_b = 1 / y, -result / y
    elif name == "matmul":
        return Tensor(np.dot(x, y), (a, b), lambda g: (np.dot(g, y.T), np.dot(g.T, x).T))
    else:
        raise ValueError(f"{name}?")
    return Tensor(result, (a, b), lambda g: [back(g * slope_a, x.shape), back(g * slope_b, y.shape)])


@binary.variant
def scattered_back(name, a, b):
    def back(grad, like):
        source = np.broadcast_to(np.arange(like.size).reshape(like.shape), grad.shape)
        return np.bincount(source.ravel(), grad.ravel(), like.size).reshape(like.shape)

    made = Tensor(0.0, (a, b))
    match name:
        case "add":
            made.data = np.add(a.data, b.data)
            made.backward = lambda grad: (back(grad, a.data), back(grad, b.data))
        case "subtract":
            made.data = np.subtract(a.data, b.data)
            made.backward = lambda grad: (back(grad, a.data), back(0 - grad, b.data))
        case "multiply":
            made.data = np.multiply(a.data, b.data)
            made.backward = lambda grad: (back(b.data * grad, a.data), back(a.data * grad, b.data))
        case "divide":
            made.data = np.divide(a.data, b.data)
            made.backward = lambda grad: (back(grad / b.data, a.data), back(-grad * made.data / b.data, b.data))
        case "matmul":
            made.data = np.matmul(a.data, b.data)
            made.backward = lambda grad: (np.matmul(grad, np.transpose(b.data)), np.matmul(np.transpose(a.data), grad))
        case _:
            raise ValueError(name)
    made.grad = np.zeros_like(made.data)
    return made


# ---- elementwise -----------------------------------------------------------------------------------------------------
@exercise(ref.elementwise, points=2, returns=("result", "grad_a", "parent_is_a"))
def elementwise(rng: np.random.Generator) -> Iterator[Case]:
    """Build the nodes of exp, log, tanh and ReLU with the way back to the operand."""
    for name, shape in [("exp", (3,)), ("log", (2, 3)), ("tanh", (3, 2)), ("relu", (2, 4))]:
        a = rng.uniform(0.2, 3, size=shape) if name == "log" else rng.normal(size=shape)
        yield case(f"{name} of shape {shape}", name=name, a=a, grad=rng.normal(size=shape))
    yield case("one number", name="tanh", a=np.array(0.5), grad=np.array(-2.0))
    yield case("ReLU at and around 0", name="relu", a=np.array([-1e4, -1.0, 0.0, 1.0, 1e4]), grad=rng.normal(size=5))
    yield case("tanh far out", name="tanh", a=np.array([-1000.0, -2.0, 0.0, 2.0, 1000.0]), grad=rng.normal(size=5))
    yield case("no such function", name="sinus", a=np.ones(2), grad=np.ones(2))


@elementwise.probe
def forward_and_back(student, name, a, grad):
    node = student.__globals__["Tensor"]
    operand = node(a)
    made = student(name, operand)
    if not isinstance(made, node):
        raise TypeError(f"it returned {type(made).__name__}; a Tensor is needed")
    if made.backward is None:
        raise TypeError("the new Tensor has no `backward`")
    ways = made.backward(grad)
    if not isinstance(ways, (tuple, list)) or len(ways) != 1:
        raise TypeError("`backward` should return a tuple with one array; a tuple of one needs its comma: (g,)")
    return made.data, ways[0], len(made.parents) == 1 and made.parents[0] is operand


@elementwise.mistake(
    "The slope is sent back without the gradient that came in. By the chain rule each entry's slope is multiplied by "
    "∂loss/∂result."
)
def slope_without_the_incoming_gradient(name, a):
    if name == "exp":
        result = np.exp(a.data)
        return Tensor(result, (a,), lambda grad: (grad * result,))
    if name == "log":
        return Tensor(np.log(a.data), (a,), lambda grad: (1 / a.data,))
    if name == "tanh":
        return Tensor(np.tanh(a.data), (a,), lambda grad: (1 - np.tanh(a.data) ** 2,))
    if name == "relu":
        return Tensor(np.maximum(a.data, 0), (a,), lambda grad: ((a.data > 0) * 1.0,))
    raise ValueError(f"no function is called {name!r}")


@elementwise.mistake("tanh is applied twice on the way back: 1 − h² wants h, the output, and h is already tanh(a).")
def tanh_of_the_output(name, a):
    if name == "exp":
        result = np.exp(a.data)
        return Tensor(result, (a,), lambda grad: (grad * result,))
    if name == "log":
        return Tensor(np.log(a.data), (a,), lambda grad: (grad / a.data,))
    if name == "tanh":
        h = np.tanh(a.data)
        return Tensor(h, (a,), lambda grad: (grad * (1 - np.tanh(h) ** 2),))
    if name == "relu":
        return Tensor(np.maximum(a.data, 0), (a,), lambda grad: (grad * (a.data > 0),))
    raise ValueError(f"no function is called {name!r}")


@elementwise.mistake(
    "ReLU's gate looks at the incoming gradient. What decides is whether the *input* was positive on the way forward; "
    "a negative gradient may well pass."
)
def gate_on_the_gradient(name, a):
    if name == "exp":
        result = np.exp(a.data)
        return Tensor(result, (a,), lambda grad: (grad * result,))
    if name == "log":
        return Tensor(np.log(a.data), (a,), lambda grad: (grad / a.data,))
    if name == "tanh":
        return Tensor(np.tanh(a.data), (a,), lambda grad: (grad * (1 - np.tanh(a.data) ** 2),))
    if name == "relu":
        return Tensor(np.maximum(a.data, 0), (a,), lambda grad: (np.maximum(grad, 0),))
    raise ValueError(f"no function is called {name!r}")


@elementwise.mistake("At exactly 0 your ReLU lets the gradient through; the slope agreed upon there is 0.")
def relu_open_at_zero(name, a):
    if name == "exp":
        result = np.exp(a.data)
        return Tensor(result, (a,), lambda grad: (grad * result,))
    if name == "log":
        return Tensor(np.log(a.data), (a,), lambda grad: (grad / a.data,))
    if name == "tanh":
        return Tensor(np.tanh(a.data), (a,), lambda grad: (grad * (1 - np.tanh(a.data) ** 2),))
    if name == "relu":
        return Tensor(np.maximum(a.data, 0), (a,), lambda grad: (grad * (a.data >= 0),))
    raise ValueError(f"no function is called {name!r}")


@elementwise.mistake(
    "log's slope is taken at the output, as 1/log(a); it belongs to the input. Where is the curve of log as steep as 1, and "
    "what is a there?"
)
def log_slope_at_the_output(name, a):
    if name == "exp":
        result = np.exp(a.data)
        return Tensor(result, (a,), lambda grad: (grad * result,))
    if name == "log":
        result = np.log(a.data)
        return Tensor(result, (a,), lambda grad: (grad / result,))
    if name == "tanh":
        return Tensor(np.tanh(a.data), (a,), lambda grad: (grad * (1 - np.tanh(a.data) ** 2),))
    if name == "relu":
        return Tensor(np.maximum(a.data, 0), (a,), lambda grad: (grad * (a.data > 0),))
    raise ValueError(f"no function is called {name!r}")


@elementwise.variant
def value_and_slope_first(name, a):
    x = a.data
    if name == "exp":
        value = slope = np.exp(x)
    elif name == "log":
        value, slope = np.log(x), np.reciprocal(x)
    elif name == "tanh":
        value = np.tanh(x)
        slope = (1 - value) * (1 + value)
    elif name == "relu":
        slope = np.where(x > 0, 1.0, 0.0)
        value = x * slope
    else:
        raise ValueError(name)
    return Tensor(value, (a,), lambda grad: (slope * grad,))


@elementwise.variant
def from_the_output_where_possible(name, a):
    rules = {
        "exp": (np.exp, lambda grad, x, y: grad * y),
        "log": (np.log, lambda grad, x, y: grad * np.exp(-y)),
        "tanh": (np.tanh, lambda grad, x, y: grad - grad * y * y),
        "relu": (lambda x: np.where(x > 0, x, 0.0), lambda grad, x, y: np.where(y > 0, grad, 0.0)),
    }
    if name not in rules:
        raise ValueError("unknown")
    forward, back = rules[name]
    made = Tensor(forward(a.data), (a,))
    made.backward = lambda grad: [back(grad, a.data, made.data)]
    return made


@elementwise.variant
def entry_by_entry(name, a):
    value = {
        "exp": math.exp,
        "log": math.log,
        "tanh": math.tanh,
        "relu": lambda t: max(t, 0.0),
    }
    slope = {
        "exp": math.exp,
        "log": lambda t: 1 / t,
        "tanh": lambda t: 1 - math.tanh(t) ** 2,
        "relu": lambda t: 1.0 if t > 0 else 0.0,
    }
    if name not in value:
        raise ValueError(name)
    shape, flat = a.data.shape, a.data.reshape(-1)
    made = np.array([value[name](t) for t in flat]).reshape(shape)
    slopes = np.array([slope[name](t) for t in flat]).reshape(shape)
    return Tensor(made, (a,), lambda grad: (grad * slopes,))


# ---- topological_order -----------------------------------------------------------------------------------------------
@exercise(ref.topological_order, points=2)
def topological_order(rng: np.random.Generator) -> Iterator[Case]:
    """Put the nodes of a graph in a row, each once, parents before children."""
    drawn: list[list[int]] = [[], []]
    for i in range(2, 9):
        drawn.append(
            sorted({int(j) for j in rng.integers(0, i, size=2)}, key=lambda j: int(rng.integers(10)) + j / 100)
        )
    for label, parents in [
        ("a leaf", [[]]),
        ("a chain", [[], [0], [1], [2]]),
        ("one node used twice", [[], [0, 0]]),
        ("a diamond", [[], [0], [0], [1, 2]]),
        ("a short way beside a long way", [[], [0], [1], [2, 0]]),
        ("a short way beside a long way, the other way round", [[], [0], [1], [0, 2]]),
        ("three diamonds in a row", [[], [0], [0], [1, 2], [3], [3], [4, 5], [6], [6], [7, 8]]),
        ("nodes that the last one does not need", [[], [], [0], [1], [2, 0]]),
        ("a drawn graph", drawn),
    ]:
        yield case(label, parents=parents).hold(parents=parents)


@topological_order.probe
def numbers_of_the_nodes(student, parents):
    node = student.__globals__["Tensor"]
    nodes = []
    for mine in parents:
        nodes.append(node(1.0, tuple(nodes[j] for j in mine), lambda grad: ()))  # all with equal data
    number = {id(n): i for i, n in enumerate(nodes)}
    return np.array([number.get(id(n), -1) for n in student(nodes[-1])], dtype=int)


@topological_order.criterion
def parents_come_first(outputs, held):
    order, parents = [int(i) for i in outputs["result"]], held["parents"]
    wanted = {len(parents) - 1}
    for i in reversed(range(len(parents))):
        if i in wanted:
            wanted.update(parents[i])
    if -1 in order:
        return "the list contains something that is no node of the graph."
    shown = order if len(order) <= 40 else "the list"
    place = {node: position for position, node in enumerate(order)}
    if len(place) < len(order):
        twice = next(node for position, node in enumerate(order) if place[node] != position)
        return f"node {twice} stands {order.count(twice)} times in {shown}; each node is listed once."
    lost = sorted(wanted - set(order))
    if lost:
        return f"node {lost[0]} is missing in {shown}; node {len(parents) - 1} depends on it."
    if set(place) - wanted:
        return f"node {min(set(place) - wanted)} is listed, but node {len(parents) - 1} does not depend on it."
    for i in order:
        for j in parents[i]:
            if place[j] > place[i]:
                return f"in {shown} node {i} stands before its parent {j}."
    return None


@topological_order.mistake(
    "A node that is used twice is listed twice, and with every further diamond twice as often again. How do you know "
    "that you have been at a node before?"
)
def once_for_every_way(node):
    order = []

    def visit(n):
        for parent in n.parents:
            visit(parent)
        order.append(n)

    visit(node)
    return order


@topological_order.mistake(
    "Children stand before their parents. A node may be written down only when all its parents have been: before or "
    "after the visits?"
)
def written_down_before_the_visits(node):
    order, seen = [], set()

    def visit(n):
        if id(n) not in seen:
            seen.add(id(n))
            order.append(n)
            for parent in n.parents:
                visit(parent)

    visit(node)
    return order


@topological_order.mistake(
    "Sorted by the number of steps from the last node, turned round. When a short way runs beside a long one, the node "
    "at their far end is met too early: draw a − b − c − d with an extra arrow from a to d."
)
def level_by_level(node):
    order, seen, waiting = [], {id(node)}, [node]
    while waiting:
        n = waiting.pop(0)
        order.append(n)
        for parent in n.parents:
            if id(parent) not in seen:
                seen.add(id(parent))
                waiting.append(parent)
    return order[::-1]


@topological_order.mistake(
    "The leaves are missing: nodes without parents are the inputs and the parameters, the very ones whose gradient is "
    "wanted."
)
def without_the_leaves(node):
    order, seen = [], set()

    def visit(n):
        if id(n) not in seen and n.parents:
            seen.add(id(n))
            for parent in n.parents:
                visit(parent)
            order.append(n)

    visit(node)
    return order


@topological_order.mistake(
    "Nodes with equal data are taken for one node. Two parameters may both be 1.0 and still need a gradient each; what "
    "tells objects apart in Python?"
)
def equal_data_is_one_node(node):
    order, seen = [], set()

    def visit(n):
        if float(n.data) not in seen:
            seen.add(float(n.data))
            for parent in n.parents:
                visit(parent)
            order.append(n)

    visit(node)
    return order


@topological_order.variant
def with_a_stack(node):
    order, done, stack = [], set(), [(node, False)]
    while stack:
        n, ready = stack.pop()
        if ready:
            order.append(n)
        elif id(n) not in done:
            done.add(id(n))
            stack.append((n, True))
            stack.extend((parent, False) for parent in n.parents)
    return order


@topological_order.variant
def by_counting_children(node):
    found, waiting = {id(node): node}, [node]
    children = {id(node): 0}
    while waiting:
        for parent in waiting.pop().parents:
            if id(parent) not in found:
                found[id(parent)] = parent
                children[id(parent)] = 0
                waiting.append(parent)
            children[id(parent)] += 1
    order, free = [], [node]
    while free:
        n = free.pop(0)
        order.append(n)
        for parent in n.parents:
            children[id(parent)] -= 1
            if children[id(parent)] == 0:
                free.append(parent)
    return order[::-1]


@topological_order.variant
def by_longest_distance(node):
    depth = {}

    def longest(n):
        if n not in depth:
            depth[n] = max((longest(parent) + 1 for parent in n.parents), default=0)
        return depth[n]

    longest(node)
    return sorted(depth, key=depth.get)


# ---- backpropagate ---------------------------------------------------------------------------------------------------
@exercise(ref.backpropagate, points=3)
def backpropagate(rng: np.random.Generator) -> Iterator[Case]:
    """Walk the graph backwards once and add to every node's grad what the last node owes it."""
    x = rng.uniform(0.5, 2, size=3)
    pair = [x, rng.uniform(0.5, 2, size=3)]
    for label, leaves, steps, calls in [
        ("a leaf alone", [np.array(2.0)], [], 1),
        ("a chain", [x], [("double", 0), ("square", 1), ("sum", 2)], 1),
        ("one node used twice by one child", [x], [("multiply", 0, 0), ("sum", 1)], 1),
        ("one node used by two children", pair, [("multiply", 0, 1), ("add", 2, 0), ("sum", 3)], 1),
        (
            "a short way beside a long way",
            [x],
            [("square", 0), ("double", 1), ("multiply", 2, 0), ("add", 3, 1), ("sum", 4)],
            1,
        ),
        (
            "the same, operands exchanged",
            [x],
            [("square", 0), ("double", 1), ("multiply", 0, 2), ("add", 1, 3), ("sum", 4)],
            1,
        ),
        ("a sum of two nodes, one of them used again", pair, [("add", 0, 1), ("add", 2, 0), ("sum", 3)], 1),
        ("called twice", pair, [("multiply", 0, 1), ("square", 2), ("sum", 3)], 2),
        ("called three times", [x], [("square", 0), ("add", 1, 0), ("sum", 2)], 3),
        ("not a single number", [x], [("square", 0)], 1),
    ]:
        yield case(label, leaves=leaves, steps=steps, calls=calls)


@backpropagate.probe
def gradients_of_all_nodes(student, leaves, steps, calls):
    node = student.__globals__["Tensor"]
    nodes = [node(leaf) for leaf in leaves]
    for step in steps:
        a, b = nodes[step[1]], nodes[step[-1]]
        if step[0] == "add":
            made = node(a.data + b.data, (a, b), lambda grad: (grad, grad))
        elif step[0] == "multiply":
            made = node(a.data * b.data, (a, b), lambda grad, a=a, b=b: (grad * b.data, grad * a.data))
        elif step[0] == "double":
            made = node(2 * a.data, (a,), lambda grad: (2 * grad,))
        elif step[0] == "square":
            made = node(a.data**2, (a,), lambda grad, a=a: (2 * grad * a.data,))
        else:
            made = node(a.data.sum(), (a,), lambda grad, a=a: (np.full(a.data.shape, grad),))
        nodes.append(made)
    for _ in range(calls):
        student(nodes[-1])
    return [np.asarray(n.grad) for n in nodes]


@backpropagate.mistake(
    "A node that is used twice keeps only the last share it was sent. Both uses reach the loss, and by the chain rule "
    "the shares add up. Try x·x at 3: is the slope 3 or 6?"
)
def overwrites(node):
    if node.data.shape != ():
        raise ValueError(f"only a single number can be backpropagated, not an array of shape {node.data.shape}")
    order, seen = [], set()

    def visit(n):
        if id(n) not in seen:
            seen.add(id(n))
            for parent in n.parents:
                visit(parent)
            order.append(n)

    visit(node)
    arrived = {id(node): np.ones(())}
    for n in reversed(order):
        n.grad = n.grad + arrived[id(n)]
        if n.backward is not None:
            for parent, share in zip(n.parents, n.backward(arrived[id(n)]), strict=True):
                arrived[id(parent)] = share


@backpropagate.mistake(
    "Some node sends its gradient on before all its children have reported, and what comes later never gets through. In "
    "which order is every gradient complete when its turn comes?"
)
def sends_too_early(node):
    if node.data.shape != ():
        raise ValueError(f"only a single number can be backpropagated, not an array of shape {node.data.shape}")
    order, seen, waiting = [], {id(node)}, [node]
    while waiting:
        n = waiting.pop(0)
        order.append(n)
        for parent in n.parents:
            if id(parent) not in seen:
                seen.add(id(parent))
                waiting.append(parent)
    arrived = {id(n): np.zeros_like(n.data) for n in order}
    arrived[id(node)] = np.ones(())
    for n in order:
        if n.backward is not None:
            for parent, share in zip(n.parents, n.backward(arrived[id(n)]), strict=True):
                arrived[id(parent)] = arrived[id(parent)] + share
    for n in order:
        n.grad = n.grad + arrived[id(n)]


@backpropagate.mistake(
    "The first call is right; the second sends on what is still lying in `grad` from the first, so nodes far from the "
    "end get too much. Keep what this call brings apart from what was there."
)
def sends_old_gradients_again(node):
    if node.data.shape != ():
        raise ValueError(f"only a single number can be backpropagated, not an array of shape {node.data.shape}")
    order, seen = [], set()

    def visit(n):
        if id(n) not in seen:
            seen.add(id(n))
            for parent in n.parents:
                visit(parent)
            order.append(n)

    visit(node)
    node.grad = node.grad + 1.0
    for n in reversed(order):
        if n.backward is not None:
            for parent, share in zip(n.parents, n.backward(n.grad), strict=True):
                parent.grad = parent.grad + share


@backpropagate.mistake(
    "A sum sends the same array to both operands, and += changes it in place: what is added for one node appears at the "
    "other. Which statement makes a new array instead?"
)
def adds_into_a_shared_array(node):
    if node.data.shape != ():
        raise ValueError(f"only a single number can be backpropagated, not an array of shape {node.data.shape}")
    order, seen = [], set()

    def visit(n):
        if id(n) not in seen:
            seen.add(id(n))
            for parent in n.parents:
                visit(parent)
            order.append(n)

    visit(node)
    arrived = {id(node): np.ones(())}
    for n in reversed(order):
        n.grad = n.grad + arrived[id(n)]
        if n.backward is not None:
            for parent, share in zip(n.parents, n.backward(arrived[id(n)]), strict=True):
                if id(parent) in arrived:
                    arrived[id(parent)] += share
                else:
                    arrived[id(parent)] = share


@backpropagate.mistake(
    "Each call starts from empty gradients and throws the earlier ones away. Here a call adds to what is there; emptying "
    "is the caller's decision."
)
def starts_afresh(node):
    if node.data.shape != ():
        raise ValueError(f"only a single number can be backpropagated, not an array of shape {node.data.shape}")
    order, seen = [], set()

    def visit(n):
        if id(n) not in seen:
            seen.add(id(n))
            for parent in n.parents:
                visit(parent)
            order.append(n)

    visit(node)
    for n in order:
        n.grad = np.zeros_like(n.data)
    node.grad = np.ones(())
    for n in reversed(order):
        if n.backward is not None:
            for parent, share in zip(n.parents, n.backward(n.grad), strict=True):
                parent.grad = parent.grad + share


@backpropagate.variant
def way_by_way(node):
    # Every path from the end to a node brings its own share; right, but slow on graphs with many diamonds.
    if node.data.shape != ():
        raise ValueError("a single number, please")

    def send(n, grad):
        n.grad = n.grad + grad
        if n.backward is not None:
            for parent, share in zip(n.parents, n.backward(grad), strict=True):
                send(parent, share)

    send(node, np.ones(()))


@backpropagate.variant
def puts_old_gradients_aside(node):
    if node.data.size != 1 or node.data.ndim:
        raise ValueError("shape () is needed")
    order, seen, stack = [], set(), [(node, False)]
    while stack:
        n, ready = stack.pop()
        if ready:
            order.append(n)
        elif id(n) not in seen:
            seen.add(id(n))
            stack.append((n, True))
            stack.extend((parent, False) for parent in n.parents)
    before = [n.grad for n in order]
    for n in order:
        n.grad = np.zeros(n.data.shape)
    node.grad = np.array(1.0)
    for n in order[::-1]:
        if n.parents:
            shares = n.backward(n.grad)
            for k in range(len(n.parents)):
                n.parents[k].grad = n.parents[k].grad + shares[k]
    for n, old in zip(order, before, strict=True):
        n.grad = n.grad + old


@backpropagate.variant
def when_all_children_have_reported(node):
    if node.data.shape:
        raise ValueError("not a number")
    missing, waiting, found = {}, [node], {id(node)}
    while waiting:
        for parent in waiting.pop().parents:
            missing[id(parent)] = missing.get(id(parent), 0) + 1
            if id(parent) not in found:
                found.add(id(parent))
                waiting.append(parent)
    arrived, free = {id(node): [np.ones(())]}, [node]
    while free:
        n = free.pop()
        grad = sum(arrived[id(n)])
        n.grad = n.grad + grad
        for parent, share in zip(n.parents, n.backward(grad) if n.parents else (), strict=True):
            arrived.setdefault(id(parent), []).append(share)
            missing[id(parent)] -= 1
            if missing[id(parent)] == 0:
                free.append(parent)


# ---- graded by a person ----------------------------------------------------------------------------------------------
explanation(
    "why_reverse_mode",
    points=3,
    question="""
    A model has 50 million parameters and one loss. Evaluating the loss once takes one second.

    1. About how long would a gradient take by central differences, by forward mode, and by reverse mode? Say where each
       number comes from.
    2. A node is used by two later nodes. Explain with the chain rule why its gradient is a **sum**, and why reverse
       mode has to visit the nodes in reverse topological order.
    3. What does reverse mode pay for its speed, and for which kind of function would you choose forward mode instead?
    """,
    rubric=(
        (
            1,
            "two evaluations per parameter (10⁸ s, about three years), one pass per input (at least 5·10⁷ s), and one "
            "backward pass that costs a small multiple (about 2 to 4) of the forward pass: seconds",
        ),
        (
            1,
            "∂L/∂u = Σ over children of ∂L/∂v · ∂v/∂u, since a change of u reaches L through both; a node may send on "
            "only when all its children have sent, which the reverse topological order ensures",
        ),
        (
            1,
            "it keeps the intermediate values of the forward pass in memory until the way back; forward mode for few "
            "inputs and many outputs, such as the derivative of a whole curve by one parameter",
        ),
    ),
    answer="""
    1. Central differences evaluate the loss twice a parameter: 10⁸ seconds, more than three years. Forward mode carries
       one direction a pass, so it needs 5·10⁷ passes, each somewhat dearer than an evaluation: years again. Reverse
       mode walks back once from the one output; each node's way back costs about as much as one or two of its way
       forward, so the whole gradient takes a few seconds.
    2. Let v and w be computed from u. Nudging u by ε changes v by ε·∂v/∂u and w by ε·∂w/∂u, and to first order L by the
       sum of what both changes do: ∂L/∂u = ∂L/∂v·∂v/∂u + ∂L/∂w·∂w/∂u. A node that sends on before the second share
       has come passes on too little; in reverse topological order every child is visited before its parents, so each
       gradient is complete when its turn comes.
    3. Memory: the values of the forward pass are kept until they are used on the way back. Forward mode keeps nothing
       and is the better choice when there are fewer inputs than outputs, for example one parameter and a whole curve.
    """,
)
