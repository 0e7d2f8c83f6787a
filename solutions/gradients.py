"""Chapter 05: three ways to a gradient (differences, formulas, a graph) and a reverse-mode engine for arrays."""

from collections.abc import Callable

import numpy as np


# ---- by differences --------------------------------------------------------------------------------------------------
def numerical_gradient(f: Callable[[np.ndarray], float], x: np.ndarray) -> np.ndarray:
    """Give the gradient of f at x by central differences, one entry of x at a time.

    Choose the step yourself. Where f and its derivatives are of moderate size, the result must be right to one part in
    a million, also where f adds 1,000 to everything, and at the bottom of a steep valley.

    Args:
        f: takes a float64 array of the shape of x and returns one number.
        x: float64, any shape; it must be unchanged when the function returns.

    Returns:
        float64, same shape as x: entry i is ∂f/∂x_i.

    Source:
        Deck A, "numerical differentiation"; Press et al., Numerical Recipes, section 5.7.
    """
    h = 6e-6  # near the cube root of three units of roundoff
    grad = np.zeros_like(x)
    for index in np.ndindex(x.shape):
        ahead, behind = x.copy(), x.copy()
        ahead[index] += h
        behind[index] -= h
        grad[index] = (f(ahead) - f(behind)) / (ahead[index] - behind[index])
    return grad


# ---- by formulas -----------------------------------------------------------------------------------------------------
def differentiate(expression: float | str | tuple, variable: str) -> float | str | tuple:
    """Give the derivative of an expression as another expression, rule by rule.

    An expression is a number, a name such as "x", or a tuple: ("+", u, v), ("-", u, v), ("*", u, v), ("/", u, v),
    ("^", u, n) with a number n, ("exp", u) or ("log", u), where u and v are expressions. Nothing has to be simplified.

    Args:
        expression: what to differentiate.
        variable: the name to differentiate by; every other name is a constant.

    Returns:
        An expression whose value is the derivative wherever the given one has a derivative.

    Raises:
        ValueError: an operation is none of the seven.

    Source:
        Deck A, "symbolic differentiation"; the rules of calculus.
    """
    if isinstance(expression, (int, float)):
        return 0.0
    if isinstance(expression, str):
        return 1.0 if expression == variable else 0.0
    operation, u, v = expression[0], expression[1], expression[-1]  # with one operand u and v are the same
    if operation in ("+", "-"):
        return (operation, differentiate(u, variable), differentiate(v, variable))
    ### BEGIN SOLUTION
    if operation == "*":
        return ("+", ("*", differentiate(u, variable), v), ("*", u, differentiate(v, variable)))
    if operation == "/":
        upper = ("-", ("*", differentiate(u, variable), v), ("*", u, differentiate(v, variable)))
        return ("/", upper, ("^", v, 2))
    if operation == "^":
        return ("*", ("*", v, ("^", u, v - 1)), differentiate(u, variable))
    if operation == "exp":
        return ("*", expression, differentiate(u, variable))
    if operation == "log":
        return ("/", differentiate(u, variable), u)
    ### END SOLUTION
    raise ValueError(f"no rule for the operation {operation!r}")


def evaluate(expression: float | str | tuple, values: dict[str, float]) -> float:
    """Give the value of an expression.

    Args:
        expression: a number, a name, or a tuple as in `differentiate`.
        values: a number for every name that occurs.

    Returns:
        A number.

    Raises:
        ValueError: an operation is none of the seven.

    Source:
        Our own; one line an operation.
    """
    if isinstance(expression, (int, float)):
        return expression
    if isinstance(expression, str):
        return values[expression]
    operation, *operands = expression
    u, v = evaluate(operands[0], values), evaluate(operands[-1], values)
    rules: dict[str, Callable[[], float]] = {
        "+": lambda: u + v,
        "-": lambda: u - v,
        "*": lambda: u * v,
        "/": lambda: u / v,
        "^": lambda: u**v,
        "exp": lambda: float(np.exp(u)),
        "log": lambda: float(np.log(u)),
    }
    if operation not in rules:
        raise ValueError(f"no value for the operation {operation!r}")
    return rules[operation]()


def count_nodes(expression: float | str | tuple) -> tuple[int, int]:
    """Count the nodes of an expression, written out as a tree and with equal parts stored once.

    Args:
        expression: a number, a name, or a tuple as in `differentiate`.

    Returns:
        written: nodes of the tree, numbers and names included. shared: different ones among them.

    Source:
        Our own; deck A shows the swell of the tree, a graph stores equal parts once.
    """
    numbers: dict[tuple, int] = {}  # (operation, numbers of the operands) → number of that part
    known: dict[int, tuple[int, int]] = {}  # id of a part → its number and how many nodes it has, written out

    def visit(part: float | str | tuple) -> tuple[int, int]:
        if id(part) not in known:
            below = [visit(operand) for operand in part[1:]] if isinstance(part, tuple) else []
            key = (part[0] if isinstance(part, tuple) else part, *(number for number, _ in below))
            known[id(part)] = numbers.setdefault(key, len(numbers)), 1 + sum(size for _, size in below)
        return known[id(part)]

    _, written = visit(expression)
    return written, len(numbers)


# ---- the quadratic form ----------------------------------------------------------------------------------------------
def quadratic_form(x: np.ndarray, a: np.ndarray, b: np.ndarray, c: float) -> np.ndarray:
    """Compute xᵀAx + b·x + c for every row of x.

    Args:
        x: (batch, n) float64, one vector a row.
        a: (n, n) float64, any matrix.
        b: (n,) float64.
        c: a number.

    Returns:
        (batch,) float64.

    Source:
        Deck E, "graph representation", restated with rows as samples.
    """
    return ((x @ a) * x).sum(axis=1) + x @ b + c


def quadratic_gradient(
    grad_y: np.ndarray, x: np.ndarray, a: np.ndarray, b: np.ndarray, c: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Pass the gradient of a loss through y = xᵀAx + b·x + c, one y for every row of x.

    With r a row of x: y = r·(Ar) + b·r + c.

    Args:
        grad_y: (batch,) float64, ∂loss/∂y.
        x: (batch, n) float64, one vector a row.
        a: (n, n) float64, any matrix; it need not be symmetric.
        b: (n,) float64.
        c: a number.

    Returns:
        grad_x: (batch, n) float64. grad_a: (n, n) float64. grad_b: (n,) float64. grad_c: a number.

    Source:
        Deck E, "back propagation", its factor x too many taken out; see the errata of this chapter.
    """
    weighted = grad_y[:, None] * x  # (batch, n)
    grad_x = weighted @ (a + a.T) + grad_y[:, None] * b  # (batch, n)
    return grad_x, x.T @ weighted, weighted.sum(axis=0), float(grad_y.sum())


# ---- the engine ------------------------------------------------------------------------------------------------------
class Tensor:
    """A node of a computation graph: an array, the nodes it was made from, and the way back to them.

    Args:
        data: numbers of any shape; kept as a float64 array.
        parents: the nodes that `data` was computed from; none for a leaf, that is an input or a parameter.
        backward: takes ∂loss/∂data, of the shape of `data`, and returns one array a parent, ∂loss/∂parent,
            of the shape of that parent's data.

    `grad` starts as zeros of the shape of `data`; `backpropagate` adds to it.
    """

    __array_ufunc__ = None  # so that array + Tensor asks the Tensor

    def __init__(
        self,
        data: np.ndarray | float | list,
        parents: tuple["Tensor", ...] = (),
        backward: Callable[[np.ndarray], tuple[np.ndarray, ...]] | None = None,
    ) -> None:
        self.data = np.asarray(data, dtype=np.float64)
        self.grad = np.zeros_like(self.data)
        self.parents = tuple(parents)
        self.backward = backward

    def __add__(self, other: "Tensor | np.ndarray | float") -> "Tensor":
        return binary("add", self, other if isinstance(other, Tensor) else Tensor(other))

    def __sub__(self, other: "Tensor | np.ndarray | float") -> "Tensor":
        return binary("subtract", self, other if isinstance(other, Tensor) else Tensor(other))

    def __mul__(self, other: "Tensor | np.ndarray | float") -> "Tensor":
        return binary("multiply", self, other if isinstance(other, Tensor) else Tensor(other))

    def __truediv__(self, other: "Tensor | np.ndarray | float") -> "Tensor":
        return binary("divide", self, other if isinstance(other, Tensor) else Tensor(other))

    def __matmul__(self, other: "Tensor | np.ndarray") -> "Tensor":
        return binary("matmul", self, other if isinstance(other, Tensor) else Tensor(other))

    __radd__, __rmul__ = __add__, __mul__  # 2 + t, 2 * t


def total(a: Tensor) -> Tensor:
    """Add up all entries of a tensor.

    Args:
        a: any shape.

    Returns:
        A node of shape () with parent a; every entry of a counts once, so its gradient is copied to all of them.

    Source:
        Our own; the pattern for every operation of the engine.
    """
    return Tensor(a.data.sum(), (a,), lambda grad: (np.full(a.data.shape, grad),))


def unbroadcast(grad: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Bring the gradient of a broadcast array back to the shape the array had before.

    Args:
        grad: float64, of a shape that `shape` broadcasts to.
        shape: the shape before broadcasting.

    Returns:
        float64 of shape `shape`: each entry collects the gradient of all its copies.

    Source:
        NumPy's broadcasting rules, read backwards.
    """
    grad = grad.sum(axis=tuple(range(grad.ndim - len(shape))))  # axes that broadcasting put in front
    stretched = tuple(axis for axis, size in enumerate(shape) if size == 1)
    return grad.sum(axis=stretched, keepdims=True)


def binary(name: str, a: Tensor, b: Tensor) -> Tensor:
    """Join two nodes by an operation and say how a gradient goes back to both.

    Args:
        name: "add", "subtract", "multiply" or "divide", element by element with NumPy's broadcasting;
            "matmul" for the matrix product of a (n, m) and b (m, k).
        a: left operand.
        b: right operand.

    Returns:
        A new node with the result, the parents (a, b), and a `backward` that takes ∂loss/∂result and returns
        (∂loss/∂a, ∂loss/∂b), each of the shape of its operand's data.

    Raises:
        ValueError: the name is none of the five.

    Source:
        The rules of calculus; deck E, "graph representation", for nodes that are functions of other nodes.
    """
    if name == "add":
        return Tensor(
            a.data + b.data,
            (a, b),
            lambda grad: (unbroadcast(grad, a.data.shape), unbroadcast(grad, b.data.shape)),
        )
    ### BEGIN SOLUTION
    if name == "subtract":
        return Tensor(
            a.data - b.data,
            (a, b),
            lambda grad: (unbroadcast(grad, a.data.shape), unbroadcast(-grad, b.data.shape)),
        )
    if name == "multiply":
        return Tensor(
            a.data * b.data,
            (a, b),
            lambda grad: (unbroadcast(grad * b.data, a.data.shape), unbroadcast(grad * a.data, b.data.shape)),
        )
    if name == "divide":
        return Tensor(
            a.data / b.data,
            (a, b),
            lambda grad: (
                unbroadcast(grad / b.data, a.data.shape),
                unbroadcast(-grad * a.data / b.data**2, b.data.shape),
            ),
        )
    if name == "matmul":
        return Tensor(a.data @ b.data, (a, b), lambda grad: (grad @ b.data.T, a.data.T @ grad))  # (n, m), (m, k)
    ### END SOLUTION
    raise ValueError(f"no operation is called {name!r}")


def elementwise(name: str, a: Tensor) -> Tensor:
    """Apply a function to every entry of a node and say how a gradient goes back.

    Args:
        name: "exp", "log", "tanh" or "relu" (slope 0 at 0).
        a: any shape; entries positive for "log".

    Returns:
        A new node with the result, the parents (a,), and a `backward` that takes ∂loss/∂result and returns the
        one-element tuple (∂loss/∂a,), of the shape of a's data.

    Raises:
        ValueError: the name is none of the four.

    Source:
        Chapter 3's table of slopes.
    """
    if name == "exp":
        result = np.exp(a.data)
        return Tensor(result, (a,), lambda grad: (grad * result,))
    ### BEGIN SOLUTION
    if name == "log":
        return Tensor(np.log(a.data), (a,), lambda grad: (grad / a.data,))
    if name == "tanh":
        h = np.tanh(a.data)
        return Tensor(h, (a,), lambda grad: (grad * (1 - h**2),))
    if name == "relu":
        return Tensor(np.maximum(a.data, 0.0), (a,), lambda grad: (grad * (a.data > 0),))
    ### END SOLUTION
    raise ValueError(f"no function is called {name!r}")


def topological_order(node: Tensor) -> list[Tensor]:
    """List a node and everything it was computed from, parents before children.

    Args:
        node: the last node of a graph.

    Returns:
        Every node that `node` depends on, directly or not, and `node` itself: each exactly once (two nodes with equal
        data are still two), every parent before all of its children, so that `node` comes last.
        Several orders may be right.

    Source:
        Depth-first search; deck E notes that computation graphs are directed and without cycles.
    """
    order: list[Tensor] = []
    seen: set[int] = set()

    def visit(n: Tensor) -> None:
        if id(n) not in seen:
            seen.add(id(n))
            for parent in n.parents:
                visit(parent)
            order.append(n)

    visit(node)
    return order


def backpropagate(node: Tensor) -> None:
    """Add ∂node/∂n to the `grad` of every node n that `node` was computed from, and 1 to its own.

    A call adds to what `grad` holds from earlier calls, and nothing else about the nodes changes: calling twice on
    the same graph gives twice the gradient, everywhere.

    Args:
        node: a node of shape ().

    Raises:
        ValueError: the node is not of shape ().

    Source:
        Reverse mode: Linnainmaa 1970; deck A, "automatic differentiation", step 2.
    """
    if node.data.shape != ():
        raise ValueError(f"only a single number can be backpropagated, not an array of shape {node.data.shape}")
    ### BEGIN SOLUTION
    arrived: dict[int, np.ndarray] = {id(node): np.ones(())}  # what this call has brought to each node
    for n in reversed(topological_order(node)):
        grad = arrived[id(n)]  # complete: all children have sent
        n.grad = n.grad + grad
        if n.backward is not None:
            for parent, share in zip(n.parents, n.backward(grad), strict=True):
                arrived[id(parent)] = arrived[id(parent)] + share if id(parent) in arrived else share
    ### END SOLUTION
