"""Chapter 03: references against differences and torch, and every number the chapter prints or says."""

from __future__ import annotations

import math
import re
from itertools import pairwise

import numpy as np
import pytest
import torch
from solved_chapter import run_solved
from torch.nn import functional

from solutions import hidden_layers as ref

TORCH = {
    "step": lambda t: torch.heaviside(t, torch.zeros((), dtype=t.dtype)),
    "identity": lambda t: 1 * t,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "hard_tanh": functional.hardtanh,
    "gaussian": lambda t: torch.exp(-(t**2)),
    "relu": torch.relu,
    "leaky_relu": functional.leaky_relu,
    "elu": functional.elu,
    "softplus": functional.softplus,
    "swish": functional.silu,
    "gelu": functional.gelu,
}
CORNERS = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
XOR = [
    (np.array([[1.0, 1.0], [1.0, 1.0]]), np.array([0.0, -1.0])),
    (np.array([[1.0], [-2.0]]), np.array([0.0])),
]
EDGES = np.array([0.0, 1.0, -1.0, 19.0, -19.0, 709.0, -709.0, 750.0, -750.0, 1e4, -1e4])


def random_layers(rng: np.random.Generator, widths: list[int]) -> list[tuple[np.ndarray, np.ndarray]]:
    return [(rng.normal(size=(i, o)), rng.normal(size=o)) for i, o in pairwise(widths)]


# ---- activations -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", TORCH)
def test_values_equal_torch(name: str) -> None:
    z = np.concatenate([EDGES, np.random.default_rng(1).normal(scale=3, size=200)])
    assert np.allclose(ref.activation(name, z), TORCH[name](torch.from_numpy(z)).numpy(), rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("name", [name for name in TORCH if name != "step"])
def test_slopes_equal_autograd_also_at_the_corners(name: str) -> None:
    z = np.concatenate([EDGES, np.random.default_rng(2).normal(scale=3, size=200)])
    t = torch.from_numpy(z).requires_grad_()
    TORCH[name](t).sum().backward()
    assert t.grad is not None
    assert np.allclose(ref.activation_derivative(name, z), t.grad.numpy(), rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize("name", TORCH)
def test_slopes_equal_central_differences(name: str) -> None:
    z, step = np.linspace(-6.03, 6.03, 202), 1e-5  # no point within a step of a corner
    quotient = (ref.activation(name, z + step) - ref.activation(name, z - step)) / (2 * step)
    assert np.allclose(ref.activation_derivative(name, z), quotient, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("function", [ref.activation, ref.activation_derivative])
@pytest.mark.parametrize("name", TORCH)
def test_no_overflow_and_no_aliasing(function, name: str) -> None:
    z = EDGES.reshape(1, -1)
    before = z.copy()
    with np.errstate(over="raise", divide="raise", invalid="raise"):
        result = function(name, z)
    assert result.shape == z.shape
    assert result.dtype == np.float64
    assert np.isfinite(result).all()
    assert not np.shares_memory(result, z)
    assert np.array_equal(z, before)


@pytest.mark.parametrize("function", [ref.activation, ref.activation_derivative])
def test_unknown_name(function) -> None:
    with pytest.raises(ValueError, match="wavelet"):
        function("wavelet", np.zeros(2))


def test_conventions_at_the_corners() -> None:
    zero, ones = np.zeros(1), np.array([-1.0, 1.0])
    assert ref.activation("step", zero) == 0
    assert ref.activation_derivative("step", zero) == 0
    assert ref.activation_derivative("relu", zero) == 0
    assert ref.activation_derivative("leaky_relu", zero) == 0.01
    assert (ref.activation_derivative("hard_tanh", ones) == 0).all()


def test_sigmoid_and_normal_cdf() -> None:
    z = np.linspace(-40, 40, 401)
    assert np.allclose(ref.stable_sigmoid(z), 1 / (1 + np.exp(-z)), rtol=1e-14)
    assert np.allclose(ref.stable_sigmoid(z) + ref.stable_sigmoid(-z), 1)
    z = np.linspace(-30, 30, 401)
    expected = np.exp(torch.special.log_ndtr(torch.from_numpy(z)).numpy())
    assert np.allclose(ref.normal_cdf(z), expected, rtol=1e-9, atol=0)
    assert ref.activation_derivative("sigmoid", np.array([0.0, 6.0])).round(4).tolist() == [0.25, 0.0025]
    # The tables' identities.
    assert np.allclose(np.tanh(z), 2 * ref.stable_sigmoid(2 * z) - 1)


def test_tanh_form_of_gelu_is_off_by_less_than_half_a_thousandth() -> None:
    z = np.linspace(-5, 5, 100_001)
    other = functional.gelu(torch.from_numpy(z), approximate="tanh").numpy()
    assert 4e-4 < np.abs(other - ref.activation("gelu", z)).max() < 5e-4


def test_which_slopes_are_left_when_z_is_large() -> None:
    left, right = ({n: abs(ref.activation_derivative(n, np.array([z]))[0]) for n in TORCH} for z in (-30.0, 30.0))
    both = {name for name in TORCH if min(left[name], right[name]) > 1e-3}
    assert both == {"identity", "leaky_relu"}
    one = {name for name in TORCH if abs(right[name] - 1) < 1e-6} - both
    assert one == {"relu", "elu", "softplus", "swish", "gelu"}
    assert max(left[name] for name in one) < 1e-9
    assert all(max(left[n], right[n]) < 1e-9 for n in set(TORCH) - both - one)
    z = np.linspace(-6, 6, 1201)
    density = (ref.normal_cdf(z + 1e-5) - ref.normal_cdf(z - 1e-5)) / 2e-5
    assert np.allclose(density, np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi), atol=1e-9)  # φ is the slope of Φ


# ---- layers ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("widths", [[3, 4], [2, 5, 3], [3, 3, 3], [4, 1, 6, 2, 3]])
def test_collapsed_stack_is_the_stack(widths: list[int]) -> None:
    rng = np.random.default_rng(len(widths))
    layers = random_layers(rng, widths)
    x = rng.normal(size=(7, widths[0]))
    w, b = ref.collapse_layers(layers)
    assert w.shape == (widths[0], widths[-1])
    assert b.shape == (widths[-1],)
    assert np.allclose(x @ w + b, ref.feed_forward(x, layers, ["identity"] * len(layers))[-1])


def test_no_affine_unit_computes_xor() -> None:
    rng = np.random.default_rng(0)
    w, b = rng.normal(size=(2, 1000)), rng.normal(size=1000)
    f = CORNERS @ w + b
    assert np.allclose(f[0] + f[3], f[1] + f[2])


def test_every_number_of_the_worked_example() -> None:
    (w1, b1), _ = XOR
    assert (CORNERS @ w1 + b1).tolist() == [[0, -1], [1, 0], [1, 0], [2, 1]]
    x, h, y = ref.feed_forward(CORNERS, XOR, ["relu", "identity"])
    assert x is CORNERS
    assert h.tolist() == [[0, 0], [1, 0], [1, 0], [2, 1]]
    assert y.tolist() == [[0], [1], [1], [0]]
    assert ref.feed_forward(CORNERS, XOR, ["relu", "relu"])[-1].tolist() == y.tolist()  # figure 7.6 has a ReLU on top
    assert ((h @ np.array([1.0, -2.0]) - 0.5 > 0) == (y[:, 0] > 0)).all()  # the line h1 − 2 h2 = ½
    w, b = ref.collapse_layers(XOR)
    assert w.tolist() == [[-1], [-1]]
    assert b.tolist() == [2]
    assert (CORNERS @ w + b)[:, 0].tolist() == [2, 1, 1, 0]
    assert sum(part.size for layer in XOR for part in layer) == 9


@pytest.mark.parametrize(("low", "high"), [(0, 1), (-1, 1), (2, 5), (-1000, -990), (-0.3, 0.1)])
def test_xor_weights(low: float, high: float) -> None:
    w1, b1, w2, b2 = ref.xor_weights(low, high)
    x = low + (high - low) * CORNERS
    assert np.allclose(ref.feed_forward(x, [(w1, b1), (w2, b2)], ["relu", "identity"])[-1][:, 0], [0, 1, 1, 0])


def test_xor_weights_are_goodfellows_for_zero_and_one() -> None:
    for ours, printed in zip(ref.xor_weights(0, 1), [part for layer in XOR for part in layer], strict=True):
        assert np.array_equal(ours, printed)


def test_feed_forward_equals_torch() -> None:
    rng = np.random.default_rng(3)
    layers = random_layers(rng, [4, 6, 3, 2])
    x = rng.normal(size=(5, 4))
    modules: list[torch.nn.Module] = []
    for (w, b), bend in zip(layers, [torch.nn.Tanh(), torch.nn.GELU(), torch.nn.Identity()], strict=True):
        linear = torch.nn.Linear(*w.shape, dtype=torch.float64)
        linear.weight.data, linear.bias.data = torch.from_numpy(w.T.copy()), torch.from_numpy(b)
        modules += [linear, bend]
    with torch.no_grad():
        expected = torch.nn.Sequential(*modules)(torch.from_numpy(x)).numpy()
    outputs = ref.feed_forward(x, layers, ["tanh", "gelu", "identity"])
    assert [h.shape for h in outputs] == [(5, 4), (5, 6), (5, 3), (5, 2)]
    assert np.allclose(outputs[-1], expected)
    with pytest.raises(ValueError, match="activations"):
        ref.feed_forward(x, layers, ["tanh", "gelu"])


# ---- stairs ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("tolerance", [1.0, 0.01, 1e-6])
@pytest.mark.parametrize("seed", range(4))
def test_stairs_keep_their_promise(tolerance: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = np.cumsum(rng.uniform(0.01, 2, size=9)) - 5
    y = 10 * rng.normal(size=9)
    w1, b1, w2, b2 = ref.step_approximator(x, y, tolerance)
    assert [part.shape for part in (w1, b1, w2, b2)] == [(1, 8), (8,), (8, 1), (1,)]
    t = np.linspace(x[0] - 30, x[-1] + 30, 200_001)
    nearest = np.abs(t[:, None] - x).argmin(axis=1)
    middle, gap = (x[1:] + x[:-1]) / 2, np.diff(x)
    calm = (np.abs(t[:, None] - middle) >= gap / 4).all(axis=1)
    curve = ref.feed_forward(t[:, None], [(w1, b1), (w2, b2)], ["sigmoid", "identity"])[-1][:, 0]
    assert calm.mean() > 0.5
    assert np.abs(curve - y[nearest])[calm].max() <= tolerance


def test_stairs_of_one_height() -> None:
    w1, b1, w2, b2 = ref.step_approximator(np.array([0.0, 1.0, 3.0]), np.array([2.0, 2.0, 2.0]), 0.1)
    t = np.linspace(-1, 4, 11)[:, None]
    assert np.allclose(ref.feed_forward(t, [(w1, b1), (w2, b2)], ["sigmoid", "identity"])[-1], 2)


def test_a_sigmoid_misses_its_step_by_less_than_an_exponential() -> None:
    d = np.linspace(0.001, 30, 1000)
    assert (ref.stable_sigmoid(-d) < np.exp(-d)).all()
    assert np.allclose(ref.stable_sigmoid(np.array([-math.log(9), math.log(9)])), [0.1, 0.9])


# ---- the chapter, run from top to bottom -----------------------------------------------------------------------------
@pytest.fixture(scope="module")
def printed() -> str:
    return run_solved("03_hidden_layers")[0]


@pytest.mark.parametrize(
    "line",
    [
        "35,937 units; the best gets 3 of 4 corners right",
        "W' = [[-1.0], [-1.0]]  b' = [2.0]",
        "output for the four corners: [2. 1. 1. 0.]",
        "[0. 1. 1. 0.]",
        # Deck C's printed values of six sigmoids.
        "[[0.6315 0.3885]\n [0.5543 0.4075]\n [0.5916 0.3074]]",
        "[0.  0.5 1. ]",
        "with w = 100, 10 % to 90 % takes 0.0439; the two steps are only 0.02 apart",
        "steepness: [24. 12.]  jumps: [ 3. -1.]\n[2.    2.    2.007 4.993 5.    4.998 4.002 4.    4.   ]",
        "12,593 different words; the 100 most frequent cover 63.1 % of 791,451",
        "always 'consonant' 63.0% · table of all 676 pairs 77.3%",
        "one linear unit, but 26 inputs a letter: 76.7% right on new text",
        "tanh by its quotient: [0.76159416 1.                nan]",
        "W1 transposed, XOR still right: [0. 1. 1. 0.]",
        "h1 (4, 3) → layer 2: (4, 1)",
        "h2 (4, 1) → layer 1: shapes do not fit",
        "jump at 0, w = 100: error 0.500",
        "jump at 0, w = 10000: error 0.500",
        "tanh(10,000) = 1; hard tanh differs from tanh by up to 0.2384",
    ],
)
def test_the_chapter_prints(printed: str, line: str) -> None:
    assert line in printed


def test_differences_confirm_every_slope(printed: str) -> None:
    found = re.findall(r"largest difference (\S+)", printed)
    assert len(found) == 12
    assert max(map(float, found)) < 1e-9


def test_the_bump_of_deck_a() -> None:
    t = np.linspace(-0.15, 0.25, 4001)[:, None]
    tops = []
    for weight in (100.0, 1000.0):
        layers = [(np.full((1, 2), weight), -weight * np.array([0.04, 0.06])), (np.array([[0.7], [-0.7]]), np.zeros(1))]
        tops.append(round(float(ref.feed_forward(t, layers, ["sigmoid", "identity"])[-1].max()), 4))
    assert tops == [0.3235, 0.6999]
    assert round(0.7 * math.tanh(0.5), 4) == 0.3235  # 0.7 (σ(1) − σ(−1))


def test_doubling_the_units_halves_the_error(printed: str) -> None:
    errors = [float(e) for e in re.findall(r"largest error +(\S+) percentage", printed)]
    assert errors == [13.39, 6.97, 3.54, 1.91, 0.86, 0.48]


def test_random_relus_approach_the_table_and_identities_do_not(printed: str) -> None:
    found = re.findall(r"(\d+) +(identity|relu) units: ([\d.]+)% right", printed)
    right = {(int(hidden), name): float(share) for hidden, name, share in found}
    assert {right[hidden, "identity"] for hidden in (3, 10, 30, 100, 300)} == {63.0}
    climb = [right[hidden, "relu"] for hidden in (3, 10, 30, 100, 300)]
    assert climb == sorted(climb)
    assert climb == pytest.approx([63.1, 66.0, 68.6, 73.2, 76.7], abs=0.2)


def test_squares_stay_a_parabola(printed: str) -> None:
    found = re.findall(r"(\d+) units of +(\S+): rank +(\d+), error ([\d.]+)", printed)
    by_name = {(int(units), name): (int(rank), float(error)) for units, name, rank, error in found}
    assert by_name[3, "z²"] == by_name[50, "z²"] == (3, 1.134)
    assert by_name[50, "ReLU"][0] > 30
    assert by_name[50, "ReLU"][1] < 0.2
