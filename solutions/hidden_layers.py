"""Chapter 03: layers of units, why they need a bend between them, and what they can then draw."""

import math

import numpy as np


def collapse_layers(layers: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """Replace a stack of affine layers, with nothing between them, by one affine layer.

    Args:
        layers: at least one pair (w, b), first layer first; w (inputs, outputs) float64, b (outputs,) float64;
            the outputs of one layer are the inputs of the next.

    Returns:
        w: (first inputs, last outputs) float64 and b: (last outputs,) float64 of one layer such that
        x @ w + b equals the stack's output for every x.

    Source:
        Deck D, "why a non-linear activation is needed", restated with rows as samples.
    """
    w, b = layers[0]
    for w_next, b_next in layers[1:]:
        ### BEGIN SOLUTION
        w, b = w @ w_next, b @ w_next + b_next  # (first inputs, outputs), (outputs,)
        ### END SOLUTION
    return w, b


def xor_weights(low: float, high: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Choose, by hand, the weights of a 2-2-1 ReLU network that computes XOR of two-valued inputs.

    The network is y = max(0, x @ w1 + b1) @ w2 + b2. Each input is either `low` or `high`; y must be 0 where the
    two inputs are equal and 1 where they differ. Many answers are right.

    Args:
        low: the number that stands for "false".
        high: the number that stands for "true", greater than low.

    Returns:
        w1: (2, 2) float64, inputs to hidden units; b1: (2,) float64; w2: (2, 1) float64; b2: (1,) float64.

    Source:
        Goodfellow, Bengio and Courville 2016, section 6.1 (for low = 0, high = 1); deck D after SLP3 figure 7.6.
    """
    side = high - low
    w1 = np.ones((2, 2)) / side  # (inputs, hidden): both hidden units add the two inputs
    b1 = np.array([-2 * low / side, -2 * low / side - 1])  # (hidden,)
    w2 = np.array([[1.0], [-2.0]])  # (hidden, outputs)
    b2 = np.zeros(1)  # (outputs,)
    return w1, b1, w2, b2


def stable_sigmoid(z: np.ndarray) -> np.ndarray:
    """Squash every number into [0, 1] with 1 / (1 + exp(-z)), without overflow for any z.

    Args:
        z: float64, any shape; |z| may be 10,000 and more.

    Returns:
        float64, same shape as z: the sigmoid of each element, computed without a floating-point warning.

    Source:
        Decks A to E; the split by sign is the usual numerical practice.
    """
    e = np.exp(-np.abs(z))  # never above 1
    return np.where(z >= 0, 1 / (1 + e), e / (1 + e))


def normal_cdf(z: np.ndarray) -> np.ndarray:
    """Give the probability that a standard normal variable is below z: the Φ of GELU.

    Args:
        z: float64, any shape.

    Returns:
        float64, same shape as z, from 0 to 1.

    Source:
        Φ(z) = erfc(−z / √2) / 2; NumPy has no error function, so Python's own is applied to each element.
    """
    return np.vectorize(lambda value: 0.5 * math.erfc(-value / math.sqrt(2)), otypes=[float])(z)


def activation(name: str, z: np.ndarray) -> np.ndarray:
    """Apply an activation function, given by name, to every element.

    Args:
        name: "step" (1 where z > 0, else 0), "identity", "hard_tanh" (z cut off at −1 and 1), "gaussian" (exp(−z²)),
            "sigmoid", "tanh", "relu", "leaky_relu" (slope 0.01 for z ≤ 0), "elu" (α = 1), "softplus",
            "swish" (z times sigmoid of z) or "gelu" (z·Φ(z), the exact form).
        z: float64, any shape; |z| up to 10,000.

    Returns:
        float64, same shape as z, finite and without a floating-point warning.

    Raises:
        ValueError: the name is none of these twelve.

    Source:
        Deck A (softplus, sigmoid, tanh, ReLU, Gaussian, identity, hard tanh); deck E (leaky ReLU, ELU, Swish, GELU);
        Hendrycks and Gimpel 2016 (GELU); Ramachandran et al. 2017 (Swish).
    """
    if name == "step":
        return (z > 0).astype(float)
    if name == "identity":
        return z.copy()
    if name == "hard_tanh":
        return np.clip(z, -1.0, 1.0)
    if name == "gaussian":
        return np.exp(-(z**2))
    ### BEGIN SOLUTION
    if name == "sigmoid":
        return stable_sigmoid(z)
    if name == "tanh":
        return np.tanh(z)
    if name == "relu":
        return np.maximum(z, 0.0)
    if name == "leaky_relu":
        return np.where(z > 0, z, 0.01 * z)
    if name == "elu":
        return np.where(z > 0, z, np.expm1(np.minimum(z, 0.0)))
    if name == "softplus":
        return np.maximum(z, 0.0) + np.log1p(np.exp(-np.abs(z)))
    if name == "swish":
        return z * stable_sigmoid(z)
    if name == "gelu":
        return z * normal_cdf(z)
    ### END SOLUTION
    raise ValueError(f"no activation is called {name!r}")


def activation_derivative(name: str, z: np.ndarray) -> np.ndarray:
    """Give the slope f′(z) of an activation function, given by name, at every element.

    At a corner the slope is a convention: "step" has slope 0 everywhere, also at 0; "relu" has slope 0 at 0;
    "leaky_relu" has slope 0.01 at 0; "hard_tanh" has slope 0 at −1 and at 1.

    Args:
        name: one of the twelve names of `activation`.
        z: float64, any shape, the input of the activation (not its output); |z| up to 10,000.

    Returns:
        float64, same shape as z, finite and without a floating-point warning.

    Raises:
        ValueError: the name is none of the twelve.

    Source:
        Deck D (sigmoid, tanh, ReLU); the others derived in the chapter.
    """
    if name == "step":
        return np.zeros_like(z)
    if name == "identity":
        return np.ones_like(z)
    if name == "gaussian":
        return -2 * z * np.exp(-(z**2))
    ### BEGIN SOLUTION
    if name == "sigmoid":
        return stable_sigmoid(z) * stable_sigmoid(-z)  # 1 − σ(z) = σ(−z), without cancellation
    if name == "tanh":
        return 1 - np.tanh(z) ** 2
    if name == "hard_tanh":
        return (np.abs(z) < 1).astype(float)
    if name == "relu":
        return (z > 0).astype(float)
    if name == "leaky_relu":
        return np.where(z > 0, 1.0, 0.01)
    if name == "elu":
        return np.exp(np.minimum(z, 0.0))
    if name == "softplus":
        return stable_sigmoid(z)
    if name == "swish":
        s = stable_sigmoid(z)
        return s + z * s * (1 - s)
    if name == "gelu":
        return normal_cdf(z) + z * np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    ### END SOLUTION
    raise ValueError(f"no activation is called {name!r}")


def feed_forward(
    x: np.ndarray, layers: list[tuple[np.ndarray, np.ndarray]], activations: list[str]
) -> list[np.ndarray]:
    """Run a batch through K layers, h = f(h_before @ w + b), and keep what every layer says.

    Args:
        x: (batch, inputs) float64, one sample a row.
        layers: K pairs (w, b), first layer first; w (inputs, outputs) float64, b (outputs,) float64.
        activations: K names that `activation` knows, one a layer, the output layer's included.

    Returns:
        K + 1 arrays, element k (batch, outputs of layer k) float64; element 0 is x itself,
        element K the output of the network.

    Raises:
        ValueError: there are not as many activations as layers.

    Source:
        Deck D, "computation of a multi-layer network", a[i] = g[i](W[i] a[i−1] + b[i]), restated with rows as samples.
    """
    if len(layers) != len(activations):
        raise ValueError(f"{len(layers)} layers need {len(layers)} activations, not {len(activations)}")
    ### BEGIN SOLUTION
    outputs = [x]
    for (w, b), name in zip(layers, activations, strict=True):
        outputs.append(activation(name, outputs[-1] @ w + b))  # (batch, outputs of this layer)
    return outputs
    ### END SOLUTION


def step_approximator(
    x: np.ndarray, y: np.ndarray, tolerance: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Build, without training, a one-hidden-layer network of steep sigmoids that draws stairs through given points.

    The network is y = sigmoid(t @ w1 + b1) @ w2 + b2. Jump j is at the midpoint of gap j, between the neighbours x[j]
    and x[j+1]. The network is within `tolerance` of the nearest point's y at every t that is at least a quarter of
    gap j away from jump j, for every j.

    Args:
        x: (points,) float64, at least two, strictly ascending.
        y: (points,) float64, the heights wanted at x.
        tolerance: greatest error allowed away from the jumps, positive, in the units of y.

    Returns:
        w1: (1, hidden) float64; b1: (hidden,) float64; w2: (hidden, 1) float64; b2: (1,) float64;
        points − 1 hidden units are enough.

    Source:
        Deck A, "a multi-layer network can approximate any function"; Cybenko 1989.
    """
    gap, middle, jump = np.diff(x), (x[1:] + x[:-1]) / 2, np.diff(y)  # (points − 1,) each
    # A quarter gap from its middle a step of steepness k is off by less than |jump|·exp(−k·gap/4).
    steepness = np.log1p(np.abs(jump).sum() / tolerance) * 4 / gap
    return steepness[None, :], -steepness * middle, jump[:, None], y[:1].copy()
