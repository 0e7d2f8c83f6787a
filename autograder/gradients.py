"""Numerical differentiation: the oracle that owes nothing to the reference solutions.

The scalar that is differentiated is ``Σ upstream·output``; with unit roundoff u, a step h and derivatives f⁽ᵏ⁾,

* a central difference errs by ``h²|f‴|/6`` (truncation) plus ``u·|f|/h`` (round-off);
* its Richardson extrapolation from steps h and 2h by ``h⁴|f⁽⁵⁾|/30`` plus ``1.5·u·|f|/h``, smallest near ``h = u^(1/5)``;
* a complex step by ``h²|f‴|/6`` alone, which vanishes below round-off, where f is analytic and takes complex numbers.

Sources: Press et al., *Numerical Recipes*, 3rd ed., §5.7; Squire & Trapp, *SIAM Review* 40 (1998) 110; Higham, *Accuracy and
Stability of Numerical Algorithms*, 2nd ed., ch. 3. Every estimate carries its own error bound, measured and not guessed: the
difference between step sizes bounds the truncation, u·|f|/h the round-off. Where a bound does not shrink with the step, the
function has a corner there, and the entry is marked instead of being reported as a wrong gradient.
"""

from __future__ import annotations

import inspect
import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from autograder.comparison import ROUNDOFF
from autograder.sandbox.wire import Tensor

#: Unit roundoff of float64.
UNIT = 2.0**-53
#: First step for an entry of size 1: u^(1/5), where the extrapolated difference errs least.
STEP = UNIT**0.2
#: How often a step is divided by 8 when the interval may hold a corner.
REFINEMENTS = 4
#: A difference of one-sided slopes beyond this share of the gradient's size is a corner.
CORNER = 1e-4
#: From how many entries on three random directions stand in for single entries.
LARGE = 400

Scalar = Callable[[np.ndarray], float]


@dataclass(frozen=True)
class Estimate:
    """A numerical gradient.

    ``value``, ``error`` (a bound on the absolute error) and ``corner`` (whether the function bends at this entry) have the
    shape of the parameter, float64 and bool.
    """

    value: np.ndarray
    error: np.ndarray
    corner: np.ndarray


def central_difference(f: Scalar, x: np.ndarray) -> Estimate:
    """Gradient of a scalar function by extrapolated central differences, entry by entry.

    Args:
        f: takes an array of x's shape, float64, returns a float.
        x: where, float64, any shape.

    Returns:
        The estimate; at a smooth point of a function with values and derivatives of order 1 its error is about 1e-13.
    """
    x = np.array(x, dtype=np.float64)
    value, error = np.zeros(x.shape), np.zeros(x.shape)
    corner = np.zeros(x.shape, dtype=bool)
    centre = f(x)
    for index in np.ndindex(x.shape):

        def along(step: float, index: tuple[int, ...] = index) -> float:
            moved = x.copy()
            moved[index] += step
            return f(moved)

        value[index], error[index], corner[index] = _derivative(along, centre, float(abs(x[index])))
    return Estimate(value, error, corner)


def directional(f: Scalar, x: np.ndarray, direction: np.ndarray) -> tuple[float, float, bool]:
    """Derivative of f at x along a direction: value, error bound, and whether a corner lies there."""
    scale = float(np.max(np.abs(x), initial=0.0)) / max(float(np.max(np.abs(direction), initial=0.0)), 1e-300)
    return _derivative(lambda step: f(x + step * direction), f(x), scale)


def _derivative(along: Callable[[float], float], centre: float, size: float) -> tuple[float, float, bool]:
    """Extrapolated central difference of ``along`` at 0, with smaller steps while a corner may be in reach."""
    step = STEP * max(1.0, size)
    best: tuple[float, float, bool] | None = None
    for _ in range(REFINEMENTS + 1):
        h = (1.0 + step) - 1.0  # a step that the computer's numbers hold exactly near 1
        ahead, behind, far_ahead, far_behind = along(h), along(-h), along(2 * h), along(-2 * h)
        near, far = (ahead - behind) / (2 * h), (far_ahead - far_behind) / (4 * h)
        value = near + (near - far) / 3
        magnitude = max(map(abs, (centre, ahead, behind, far_ahead, far_behind)))
        roundoff = 3 * UNIT * magnitude / h
        # What the extrapolation removed bounds what it left: the next term of the series is smaller by h² once more.
        error = abs(near - far) / 15 + roundoff
        slope = max(abs(value), abs(near), magnitude * 1e-6, 1e-12)
        # Second differences of a smooth function shrink like h², at a corner like h; and a corner further off, between
        # h and 2h, makes the two central differences disagree.
        bend, far_bend = abs(ahead - 2 * centre + behind), abs(far_ahead - 2 * centre + far_behind)
        at_corner = bend > 16 * UNIT * magnitude and far_bend < 3 * bend and bend / h > CORNER * slope
        corner = bool(at_corner or abs(near - far) > CORNER * slope + 4 * roundoff)
        if not corner:
            return value, error, False
        if best is None or error < best[1]:
            best = (value, error, True)
        step /= 8
    assert best is not None
    return best


def complex_step(f: Callable[[np.ndarray], Any], x: np.ndarray) -> np.ndarray | None:
    """Gradient of an analytic scalar function, exact to rounding; None when f does not take complex numbers.

    A function that silently drops the imaginary part (``abs``, ``max``, a cast to float) is found out by a warning or by a
    derivative along the imaginary axis that is not that of an analytic function, and None is returned.
    """
    x = np.asarray(x, dtype=np.float64)
    tiny = 1e-30
    gradient = np.zeros(x.shape)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("error")
        for index in np.ndindex(x.shape):
            moved = x.astype(np.complex128)
            moved[index] += 1j * tiny
            try:
                result = complex(f(moved))
            except Exception:  # whatever the function does with complex numbers, it does not support them
                return None
            gradient[index] = result.imag / tiny
    rng = np.random.default_rng(0)
    direction = rng.normal(size=x.shape)
    slope, error, corner = directional(lambda at: float(np.real(f(at))), x, direction)
    if corner or not np.isfinite(gradient).all():
        return None
    size = float(np.sum(np.abs(gradient * direction)))
    agrees = abs(float(np.sum(gradient * direction)) - slope) <= 10 * error + 1e-6 * size
    return gradient if agrees else None


# ---- functions of several arguments ------------------------------------------------------------------------------------
def numerical_gradient(
    forward: Callable[..., Any], inputs: Mapping[str, Any], wrt: tuple[str, ...], upstream: Any = None
) -> dict[str, Any]:
    """Numerical gradients of ``Σ upstream·forward(**inputs)`` for the named inputs.

    Args:
        forward: returns an array, a number, a torch tensor, or a tuple or list of them.
        inputs: all arguments by name; integers, strings and lists of them pass through unchanged. An input named in
            ``wrt`` is an array, a number, a torch tensor, or a list, tuple or dictionary of these (float64 is best).
        wrt: names of the inputs to differentiate by.
        upstream: ∂loss/∂output, shaped like the output; None when the forward returns one scalar.

    Returns:
        For each name an :class:`Estimate`, or the input's own structure of them (None where an entry is no float).

    Raises:
        ValueError: the forward returns no scalar and no upstream gradient is given, or their shapes differ.
    """
    found: dict[str, Any] = {}
    for name in wrt:
        leaves = _leaves(inputs[name])
        estimates: dict[tuple[Any, ...], Estimate | None] = {}
        for path, leaf in leaves.items():
            if not _is_float(leaf):
                estimates[path] = None
                continue

            estimates[path] = _estimate(_loss_by(forward, inputs, name, path, upstream), _float64(leaf))
        found[name] = _rebuilt(inputs[name], estimates)
    return found


def _loss_by(
    forward: Callable[..., Any], inputs: Mapping[str, Any], name: str, path: tuple[Any, ...], upstream: Any
) -> Callable[[np.ndarray], Any]:
    """The scalar ``Σ upstream·forward`` as a function of one array among the inputs."""

    def loss(at: np.ndarray) -> Any:
        return _loss(forward(**{**_copied(inputs), name: _replaced(inputs[name], path, at)}), upstream)

    return loss


def _estimate(loss: Callable[[np.ndarray], Any], x: np.ndarray) -> Estimate:
    """By complex step where the function allows it, by central differences otherwise."""
    exact = complex_step(loss, x)
    if exact is None:
        return central_difference(loss, x)
    rounding = 64 * UNIT * (np.abs(exact) + float(np.max(np.abs(exact), initial=0.0)))
    return Estimate(exact, rounding, np.zeros(x.shape, dtype=bool))


def agrees(analytic: Any, estimate: Estimate, rtol: float = 1e-6) -> np.ndarray:
    """Entry by entry, whether an analytic gradient lies within the estimate's own bound; corners count as agreeing.

    ``rtol`` is a share of the largest entry of the gradient: below it a difference says nothing about the formula.
    """
    have = _float64(analytic)
    scale = float(np.max(np.abs(estimate.value), initial=0.0))
    allowed = 10 * estimate.error + rtol * scale + 1e-12
    return np.asarray(estimate.corner | (np.abs(have - estimate.value) <= allowed))


def disagreement(
    forward: Callable[..., Any], inputs: Mapping[str, Any], wrt: tuple[str, ...], upstream: str | None, gradients: Any
) -> str:
    """Compare analytic gradients with numerical ones; returns what differs first, or an empty string.

    Args:
        forward: the function that is differentiated; it gets those inputs that it has parameters for.
        inputs: of one case, the upstream gradient included.
        wrt: names of the inputs to differentiate by.
        upstream: name of the input that carries ∂loss/∂output, or None for a scalar forward.
        gradients: the analytic gradients, one for each name, each with the structure of its input.
    """
    known = inspect.signature(forward).parameters
    arguments = {name: value for name, value in inputs.items() if name in known}
    weights = inputs[upstream] if upstream else None
    for name, analytic in zip(wrt, gradients, strict=True):
        have = _leaves(analytic)
        for path, leaf in _leaves(arguments[name]).items():
            if not _is_float(leaf):
                continue
            where = name + "".join(f"[{key!r}]" for key in path)
            if path not in have:
                return f"gradient of {where} is missing"
            mine, x = _float64(have[path]), _float64(leaf)
            if mine.shape != x.shape:
                return f"gradient of {where} has shape {mine.shape}, its input {x.shape}"
            loss = _loss_by(forward, arguments, name, path, weights)
            if x.size > LARGE:
                if not directions_agree(loss, x, mine, np.random.default_rng(0)):
                    return f"gradient of {where} disagrees with numerical differentiation along a random direction"
                continue
            estimate = _estimate(loss, x)
            right = agrees(mine, estimate)
            if not right.all():
                at = tuple(int(i) for i in np.argwhere(~right)[0])
                place = f" at {list(at)}" if at else ""
                return f"gradient of {where} is {mine[at]:.6g}{place}; numerical differentiation gives {estimate.value[at]:.6g}"
    return ""


def directions_agree(
    f: Scalar, x: np.ndarray, gradient: np.ndarray, rng: np.random.Generator, count: int = 3, rtol: float = 1e-6
) -> bool:
    """Test a large gradient along a few random directions: a wrong one escapes with probability about ``rtol^count``.

    Args:
        f: the scalar function.
        x: where, float64.
        gradient: the analytic gradient, shape of x.
        rng: draws the directions.
        count: how many directions have to agree.
        rtol: relative to the norm of the gradient, which a random unit direction meets with a component of about norm/√n.
    """
    size = float(np.linalg.norm(gradient))
    asked = 0
    for _ in range(4 * count):
        direction = rng.choice([-1.0, 1.0], size=x.shape) / math.sqrt(max(1, x.size))
        slope, error, corner = directional(f, x, direction)
        if corner:
            continue  # drawn anew: this line leads through a corner
        asked += 1
        if (
            abs(float(np.sum(gradient * direction)) - slope)
            > 10 * error + rtol * size / math.sqrt(max(1, x.size)) + 1e-12
        ):
            return False
        if asked == count:
            return True
    return asked > 0


def of_torch(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make a torch function take and return float64 arrays, for :func:`numerical_gradient`."""
    import torch

    def forward(**inputs: Any) -> Any:
        with torch.no_grad():
            return _mapped(function(**{name: _mapped(value, _to_torch) for name, value in inputs.items()}), _to_numpy)

    return forward


def of_module(module: Any) -> tuple[Callable[..., Any], dict[str, np.ndarray]]:
    """A torch module as a function of its parameters: ``(forward(x=…, **parameters), parameters)`` in float64 on the CPU.

    Dots in parameter names become double underscores, so that they can be keyword arguments.
    """
    import copy

    import torch

    double = copy.deepcopy(module).to("cpu", torch.float64)
    names = {name.replace(".", "__"): name for name, _ in double.named_parameters()}
    parameters = {short: dict(double.named_parameters())[name].detach().numpy().copy() for short, name in names.items()}

    def forward(x: Any, **given: Any) -> Any:
        state = {names[short]: _to_torch(value) for short, value in given.items()}
        with torch.no_grad():
            return _mapped(torch.func.functional_call(double, state, (_mapped(x, _to_torch),)), _to_numpy)

    return forward, parameters


def tolerance(dtype: str, terms: int, condition: float = 1.0) -> float:
    """Allowed relative error of a result that is a sum of ``terms`` products in a float type.

    Args:
        dtype: "float64", "float32", "float16" or "bfloat16".
        terms: length of the longest sum behind one entry.
        condition: Σ|products| / |Σ products|, how much of the sum cancels.

    Returns:
        ``8·√terms·u·condition``: independent roundings grow like the root of their number (Higham, §2.8); the factor covers
        several such sums in a row, and half a unit for the storing of the operands.
    """
    return 8 * math.sqrt(max(terms, 1)) * ROUNDOFF[dtype] * max(condition, 1.0)


# ---- structures ------------------------------------------------------------------------------------------------------
def _loss(output: Any, upstream: Any) -> Any:
    """``Σ upstream·output``: a float, or a complex number while a complex step is taken."""
    outputs, weights = _leaves(output), _leaves(upstream) if upstream is not None else None
    if weights is None:
        values = [_wide(leaf) for leaf in outputs.values()]
        if len(values) != 1 or values[0].size != 1:
            raise ValueError("the forward does not return one scalar, and there is no upstream gradient")
        return values[0].reshape(()).item()
    if len(outputs) != len(weights):
        raise ValueError(f"the forward returns {len(outputs)} arrays, the upstream gradient has {len(weights)}")
    total: Any = 0.0
    for value, weight in zip(outputs.values(), weights.values(), strict=True):
        have, want = _wide(value), _float64(weight)
        if have.shape != want.shape:
            raise ValueError(f"the output has shape {have.shape}, the upstream gradient {want.shape}")
        total += np.sum(have * want).item()
    return total


def _leaves(value: Any, path: tuple[Any, ...] = ()) -> dict[tuple[Any, ...], Any]:
    if isinstance(value, (list, tuple)):
        return {p: leaf for i, entry in enumerate(value) for p, leaf in _leaves(entry, (*path, i)).items()}
    if isinstance(value, dict):
        return {p: leaf for key, entry in value.items() for p, leaf in _leaves(entry, (*path, key)).items()}
    return {path: value}


def _mapped(value: Any, change: Callable[[Any], Any]) -> Any:
    if isinstance(value, (list, tuple)):
        return type(value)(_mapped(entry, change) for entry in value)
    if isinstance(value, dict):
        return {key: _mapped(entry, change) for key, entry in value.items()}
    return change(value)


def _replaced(value: Any, path: tuple[Any, ...], leaf: np.ndarray) -> Any:
    if not path:
        return _like(value, leaf)
    key, rest = path[0], path[1:]
    if isinstance(value, dict):
        return {k: _replaced(v, rest, leaf) if k == key else _copy(v) for k, v in value.items()}
    return type(value)(_replaced(v, rest, leaf) if i == key else _copy(v) for i, v in enumerate(value))


def _rebuilt(value: Any, estimates: dict[tuple[Any, ...], Estimate | None], path: tuple[Any, ...] = ()) -> Any:
    if isinstance(value, (list, tuple)):
        return type(value)(_rebuilt(entry, estimates, (*path, i)) for i, entry in enumerate(value))
    if isinstance(value, dict):
        return {key: _rebuilt(entry, estimates, (*path, key)) for key, entry in value.items()}
    return estimates[path]


def _copied(inputs: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _mapped(value, _copy) for name, value in inputs.items()}


def _copy(value: Any) -> Any:
    return (
        _mapped(value, _copy)
        if isinstance(value, (list, tuple, dict))
        else (value.copy() if isinstance(value, np.ndarray) else value)
    )


def _like(value: Any, array: np.ndarray) -> Any:
    if isinstance(value, (float, np.floating)):
        return array.item()
    return array if isinstance(value, (np.ndarray, Tensor)) else _to_torch(array)


def _is_float(value: Any) -> bool:
    if isinstance(value, (float, np.floating)):
        return True
    if isinstance(value, np.ndarray):
        return value.dtype.kind == "f"
    if isinstance(value, Tensor):
        return value.array.dtype.kind == "f"
    return bool(getattr(getattr(value, "dtype", None), "is_floating_point", False))


def _float64(value: Any) -> np.ndarray:
    plain = (
        value.array
        if isinstance(value, Tensor)
        else value.detach().cpu().numpy()
        if hasattr(value, "detach")
        else value
    )
    return np.asarray(plain, dtype=np.float64)


def _wide(value: Any) -> np.ndarray:
    """As float64, or complex128 while a complex step is taken."""
    plain = (
        value.array
        if isinstance(value, Tensor)
        else value.detach().cpu().numpy()
        if hasattr(value, "detach")
        else value
    )
    array = np.asarray(plain)
    return array.astype(np.complex128 if array.dtype.kind == "c" else np.float64)


def _to_torch(value: Any) -> Any:
    import torch

    if isinstance(value, Tensor):
        value = value.array
    if isinstance(value, np.ndarray):
        return torch.tensor(value, dtype=torch.float64 if value.dtype.kind == "f" else None)
    return value


def _to_numpy(value: Any) -> Any:
    return value.detach().cpu().numpy() if hasattr(value, "detach") else value
