"""Exercises of chapter 03: collapsing layers, folding XOR, activations, the forward pass, stairs of sigmoids."""

import math
from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from autograder.exercise import Case, case, exercise, explanation
from solutions import hidden_layers as ref


# ---- collapse_layers -------------------------------------------------------------------------------------------------
@exercise(ref.collapse_layers, points=2, returns=("w", "b"))
def collapse_layers(rng: np.random.Generator) -> Iterator[Case]:
    """Fold a stack of affine layers into the one affine layer that does the same."""
    yield case(
        "the two layers of the XOR network",
        layers=[
            (np.array([[1.0, 1.0], [1.0, 1.0]]), np.array([0.0, -1.0])),
            (np.array([[1.0], [-2.0]]), np.array([0.0])),
        ],
    )
    for label, widths in [
        ("square", (3, 3, 3)),
        ("uneven", (2, 5, 3)),
        ("one layer", (4, 2)),
        ("four", (3, 2, 4, 1, 5)),
    ]:
        pairs = pairwise(widths)
        yield case(label, layers=[(rng.normal(size=(i, o)), rng.normal(size=o)) for i, o in pairs])


@collapse_layers.mistake(
    "The earlier bias passes through the next layer like any other signal, so the next weights act on it too. "
    "Send x = 0 through the stack on paper: what comes out?"
)
def adds_the_biases(layers):
    w, b = layers[0]
    for w_next, b_next in layers[1:]:
        w, b = w @ w_next, b + b_next
    return w, b


@collapse_layers.mistake(
    "Only the last layer's bias is left. What the first layers add does not vanish on its way. Send x = 0 through "
    "the stack: is the output really the last bias alone?"
)
def keeps_only_the_last_bias(layers):
    w, b = layers[0]
    for w_next, b_next in layers[1:]:
        w, b = w @ w_next, b_next
    return w, b


@collapse_layers.mistake(
    "The product is the wrong way round: W₂W₁ belongs to the convention of columns. Samples are rows here, so the "
    "first layer acts first from the left. Which order makes the inner dimensions meet?"
)
def multiplies_in_column_order(layers):
    w, b = layers[0]
    for w_next, b_next in layers[1:]:
        w, b = w_next @ w, b @ w_next + b_next
    return w, b


@collapse_layers.mistake(
    "The next layer's own bias is added after its weights have acted, so these weights must not multiply it."
)
def multiplies_both_biases(layers):
    w, b = layers[0]
    for w_next, b_next in layers[1:]:
        w, b = w @ w_next, (b @ w_next) + b_next * w_next.sum(axis=0)
    return w, b


@collapse_layers.mistake(
    "The bias meets the merged weights: w was overwritten before b was computed, so b passes through all layers so far "
    "instead of the next one alone. Which w does the earlier bias still have to pass?"
)
def bias_after_w_is_overwritten(layers):
    w, b = layers[0]
    for w_next, b_next in layers[1:]:
        w = w @ w_next
        b = b @ w + b_next
    return w, b


@collapse_layers.variant
def from_the_last_layer(layers):
    w, b = layers[-1]
    for w_before, b_before in reversed(layers[:-1]):
        b = b_before @ w + b
        w = np.einsum("ij,jk->ik", w_before, w)
    return w, b


@collapse_layers.variant
def by_asking_the_stack(layers):
    def stack(x):
        for w, b in layers:
            x = x @ w + b
        return x

    inputs = layers[0][0].shape[0]
    b = stack(np.zeros(inputs))
    return stack(np.eye(inputs)) - b, b


@collapse_layers.variant
def with_homogeneous_coordinates(layers):
    total = None
    for w, b in layers:
        block = np.zeros((w.shape[0] + 1, w.shape[1] + 1))
        block[:-1, :-1], block[-1, :-1], block[-1, -1] = w, b, 1.0
        total = block if total is None else np.dot(total, block)
    return total[:-1, :-1], total[-1, :-1]


# ---- xor_weights -----------------------------------------------------------------------------------------------------
@exercise(ref.xor_weights, points=2)
def xor_weights(rng: np.random.Generator) -> Iterator[Case]:
    """Choose weights for a 2-2-1 ReLU network that tells equal inputs (0) from different ones (1)."""
    yield case("false is 0, true is 1", low=0.0, high=1.0)
    yield case("false is −1, true is 1", low=-1.0, high=1.0)
    yield case("both above 0", low=2.0, high=5.0)
    yield case("far from 0", low=-1000.0, high=-990.0)
    for _ in range(2):
        low = float(rng.normal())
        yield case(low=low, high=low + float(rng.uniform(0.2, 4.0)))


@xor_weights.measure
def fill_in_the_truth_table(value, low, high):
    w1, b1, w2, b2 = (np.asarray(part, dtype=float) for part in value)
    shapes = [list(part.shape) for part in (w1, b1, w2, b2)]
    x = np.array([[low, low], [low, high], [high, low], [high, high]])
    if shapes != [[2, 2], [2], [2, 1], [1]]:
        return {"table": np.zeros(4), "shapes": shapes}
    return {"table": (np.maximum(0.0, x @ w1 + b1) @ w2 + b2)[:, 0], "shapes": shapes}


@xor_weights.criterion
def computes_xor(outputs, held):
    shapes = [list(shape) for shape in outputs["shapes"]]
    if shapes != [[2, 2], [2], [2, 1], [1]]:
        return f"w1, b1, w2, b2 have the shapes {shapes}; [[2, 2], [2], [2, 1], [1]] are needed: (inputs, outputs)."
    rows = ["(low, low)", "(low, high)", "(high, low)", "(high, high)"]
    for row, got, wanted in zip(rows, outputs["table"], [0.0, 1.0, 1.0, 0.0], strict=True):
        if not abs(got - wanted) <= 1e-6:
            return f"for inputs {row} the network says {got:.6g}; it should say {wanted:g}."
    return None


@xor_weights.mistake(
    "These weights do XOR for the inputs 0 and 1, and only for them. The square has moved and grown: what turns "
    "`low` into 0 and `high` into 1, and can the first layer do it?"
)
def only_for_zero_and_one(low, high):
    return np.ones((2, 2)), np.array([0.0, -1.0]), np.array([[1.0], [-2.0]]), np.zeros(1)


@xor_weights.mistake(
    "The inputs are stretched by `high` alone, as if `low` were 0. How long is a side of the square, and where "
    "does it begin?"
)
def stretched_but_not_shifted(low, high):
    return np.ones((2, 2)) / high, np.array([0.0, -1.0]), np.array([[1.0], [-2.0]]), np.zeros(1)


@xor_weights.mistake(
    "This is OR: with both inputs true, the second hidden unit only takes back half of what it should. How much "
    "does the first unit say at (high, high), and what must cancel it?"
)
def computes_or(low, high):
    side = high - low
    b1 = np.array([-2 * low / side, -2 * low / side - 1])
    return np.ones((2, 2)) / side, b1, np.array([[1.0], [-1.0]]), np.zeros(1)


@xor_weights.mistake(
    "Both hidden units have the same bias, so both bend along the same line and together they are one unit. What "
    "differs between the two hidden units of the worked example?"
)
def both_units_bend_at_one_line(low, high):
    side = high - low
    return np.ones((2, 2)) / side, np.full(2, -2 * low / side), np.array([[1.0], [-2.0]]), np.zeros(1)


@xor_weights.mistake(
    "w2 stands in the convention of columns, (outputs, inputs). Here samples are rows: its shape is (2, 1), "
    "hidden units first."
)
def output_weights_as_a_row(low, high):
    side = high - low
    b1 = np.array([-2 * low / side, -2 * low / side - 1])
    return np.ones((2, 2)) / side, b1, np.array([[1.0, -2.0]]), np.zeros(1)


@xor_weights.variant
def distance_between_the_inputs(low, high):
    w1 = np.array([[1.0, -1.0], [-1.0, 1.0]])
    return w1, np.zeros(2), np.full((2, 1), 1 / (high - low)), np.zeros(1)


@xor_weights.variant
def one_minus_distance_from_the_middle(low, high):
    w1 = np.array([[1.0, -1.0], [1.0, -1.0]])
    total = low + high
    return w1, np.array([-total, total]), np.full((2, 1), -1 / (high - low)), np.ones(1)


@xor_weights.variant
def two_corner_detectors(low, high):
    return (
        np.array([[2.0, -2.0], [-2.0, 2.0]]),
        np.array([low - high, low - high]),
        np.full((2, 1), 1 / (high - low)),
        np.zeros(1),
    )


# ---- stable_sigmoid --------------------------------------------------------------------------------------------------
@exercise(ref.stable_sigmoid, points=1, returns=("values", "numeric_warning", "input_changed"))
def stable_sigmoid(rng: np.random.Generator) -> Iterator[Case]:
    """Squash every number into [0, 1] without overflow."""
    yield case("zero and small numbers", z=np.array([0.0, 1.0, -1.0, 4.0, -4.0]))
    yield case(z=3 * rng.normal(size=(3, 5)))
    yield case("very large", z=np.array([1e4, 1000.0, 710.0, 40.0]))
    yield case("very negative", z=np.array([[1.0, -40.0, -710.0], [-2.0, -1000.0, -1e4]]))


@stable_sigmoid.probe
def sigmoid_while_listening(student, z):
    heard = []
    with np.errstate(over="call", divide="call", invalid="call", call=lambda kind, flag: heard.append(kind)):
        values = student(z)
    return values, len(heard) > 0, z


@stable_sigmoid.measure
def whether_z_is_as_it_was(value, z):
    values, heard, after = value
    return values, heard, not np.array_equal(z, after)


@stable_sigmoid.mistake(
    "The values are right, but for very negative z the exponential of a huge number overflows on the way. "
    "Which number could you hand to exp that is never positive?"
)
def overflows_for_very_negative(z):
    return 1 / (1 + np.exp(-z))


@stable_sigmoid.mistake(
    "Two forms, one for each sign, is the right idea and the values are right; but np.where computes both branches "
    "everywhere, and each overflows where the other is used. What could both share that is safe for every z?"
)
def where_computes_both_branches(z):
    return np.where(z >= 0, 1 / (1 + np.exp(-z)), np.exp(z) / (1 + np.exp(z)))


@stable_sigmoid.mistake(
    "For large z this is ∞ / ∞, which is NaN. The form with exp(z) above and below only suits negative z. Which "
    "form suits positive z?"
)
def infinity_over_infinity(z):
    return np.exp(z) / (1 + np.exp(z))


@stable_sigmoid.mistake(
    "The curve falls where it should rise: the sign in the exponent is turned round. What should come out for z = 4?"
)
def mirrored(z):
    return 0.5 * (1 - np.tanh(z / 2))


@stable_sigmoid.mistake(
    "Half of the numbers are mirrored: exp(−|z|) is right for both signs, but the fraction to put it in is not "
    "the same for both. What should the sigmoid of −4 be, near 0 or near 1?"
)
def forgets_the_sign(z):
    return 1 / (1 + np.exp(-np.abs(z)))


@stable_sigmoid.variant
def through_tanh(z):
    return 0.5 * (1.0 + np.tanh(0.5 * z))


@stable_sigmoid.variant
def with_masks(z):
    result = np.empty_like(z)
    positive = z >= 0
    result[positive] = 1 / (1 + np.exp(-z[positive]))
    e = np.exp(z[~positive])
    result[~positive] = e / (1 + e)
    return result


@stable_sigmoid.variant
def one_number_at_a_time(z):
    def squash(value):
        if value >= 0:
            return 1 / (1 + math.exp(-value))
        return math.exp(value) / (1 + math.exp(value))

    return np.array([squash(value) for value in z.ravel()]).reshape(z.shape)


@stable_sigmoid.variant
def exp_of_minus_softplus(z):
    return np.exp(-np.logaddexp(0, -z))


# ---- activation ------------------------------------------------------------------------------------------------------
@exercise(ref.activation, points=3, returns=("values", "numeric_warning", "input_changed"))
def activation(rng: np.random.Generator) -> Iterator[Case]:
    """Apply any of twelve activation functions, by name, to every element."""
    edges = [0.0, 1.0, -1.0, 50.0, -50.0, 1e4, -1e4]
    for name in ("sigmoid", "tanh", "relu", "leaky_relu", "elu", "softplus", "swish", "gelu"):
        yield case(name=name, z=2 * rng.normal(size=(2, 3)))
        yield case("edges", name=name, z=np.array(edges))
    for name in ("step", "identity", "hard_tanh", "gaussian"):
        yield case(name=name, z=np.concatenate([edges, rng.normal(size=3)]))
    yield case("a name that nobody bears", name="wavelet", z=np.zeros(2))


@activation.probe
def activate_while_listening(student, name, z):
    heard = []
    with np.errstate(over="call", divide="call", invalid="call", call=lambda kind, flag: heard.append(kind)):
        values = student(name, z)
    return values, len(heard) > 0, z


@activation.measure
def whether_the_input_is_as_it_was(value, name, z):
    values, heard, after = value
    return values, heard, not np.array_equal(z, after)


@activation.mistake(
    "tanh: with both exponentials written out, a large |z| gives ∞ / ∞, which is NaN. The function itself never "
    "leaves [−1, 1]. Which ready-made NumPy function, or which identity with the sigmoid, avoids the quotient?"
)
def tanh_from_exponentials(name, z):
    def sigma(v):
        return 0.5 * (1 + np.tanh(v / 2))

    phi = np.vectorize(lambda v: 0.5 * math.erfc(-v / math.sqrt(2)), otypes=[float])
    rules = {
        "step": lambda: (z > 0).astype(float),
        "identity": lambda: z.copy(),
        "hard_tanh": lambda: np.clip(z, -1.0, 1.0),
        "gaussian": lambda: np.exp(-(z**2)),
        "sigmoid": lambda: sigma(z),
        "tanh": lambda: (np.exp(z) - np.exp(-z)) / (np.exp(z) + np.exp(-z)),
        "relu": lambda: np.maximum(z, 0.0),
        "leaky_relu": lambda: np.where(z > 0, z, 0.01 * z),
        "elu": lambda: np.where(z > 0, z, np.expm1(np.minimum(z, 0.0))),
        "softplus": lambda: np.logaddexp(0.0, z),
        "swish": lambda: z * sigma(z),
        "gelu": lambda: z * phi(z),
    }
    if name not in rules:
        raise ValueError(f"no activation is called {name!r}")
    return rules[name]()


@activation.mistake(
    "leaky_relu: the small slope is on the wrong side. Positive numbers should pass unchanged; which ones only "
    "leak through?"
)
def leaks_on_the_wrong_side(name, z):
    def sigma(v):
        return 0.5 * (1 + np.tanh(v / 2))

    phi = np.vectorize(lambda v: 0.5 * math.erfc(-v / math.sqrt(2)), otypes=[float])
    rules = {
        "step": lambda: (z > 0).astype(float),
        "identity": lambda: z.copy(),
        "hard_tanh": lambda: np.clip(z, -1.0, 1.0),
        "gaussian": lambda: np.exp(-(z**2)),
        "sigmoid": lambda: sigma(z),
        "tanh": lambda: np.tanh(z),
        "relu": lambda: np.maximum(z, 0.0),
        "leaky_relu": lambda: np.where(z > 0, 0.01 * z, z),
        "elu": lambda: np.where(z > 0, z, np.expm1(np.minimum(z, 0.0))),
        "softplus": lambda: np.logaddexp(0.0, z),
        "swish": lambda: z * sigma(z),
        "gelu": lambda: z * phi(z),
    }
    if name not in rules:
        raise ValueError(f"no activation is called {name!r}")
    return rules[name]()


@activation.mistake(
    "softplus: exp(z) overflows for large z and its logarithm is ∞, although softplus is almost z there. Take "
    "max(z, 0) out of the logarithm first: which exponential is left inside?"
)
def softplus_overflows(name, z):
    def sigma(v):
        return 0.5 * (1 + np.tanh(v / 2))

    phi = np.vectorize(lambda v: 0.5 * math.erfc(-v / math.sqrt(2)), otypes=[float])
    rules = {
        "step": lambda: (z > 0).astype(float),
        "identity": lambda: z.copy(),
        "hard_tanh": lambda: np.clip(z, -1.0, 1.0),
        "gaussian": lambda: np.exp(-(z**2)),
        "sigmoid": lambda: sigma(z),
        "tanh": lambda: np.tanh(z),
        "relu": lambda: np.maximum(z, 0.0),
        "leaky_relu": lambda: np.where(z > 0, z, 0.01 * z),
        "elu": lambda: np.where(z > 0, z, np.expm1(np.minimum(z, 0.0))),
        "softplus": lambda: np.log(1 + np.exp(z)),
        "swish": lambda: z * sigma(z),
        "gelu": lambda: z * phi(z),
    }
    if name not in rules:
        raise ValueError(f"no activation is called {name!r}")
    return rules[name]()


@activation.mistake(
    "elu: the values are right, but exp was also computed for the large positive numbers, and np.where threw the "
    "overflow away. What can you do to z before exp so that no positive number reaches it?"
)
def elu_computes_both_branches(name, z):
    def sigma(v):
        return 0.5 * (1 + np.tanh(v / 2))

    phi = np.vectorize(lambda v: 0.5 * math.erfc(-v / math.sqrt(2)), otypes=[float])
    rules = {
        "step": lambda: (z > 0).astype(float),
        "identity": lambda: z.copy(),
        "hard_tanh": lambda: np.clip(z, -1.0, 1.0),
        "gaussian": lambda: np.exp(-(z**2)),
        "sigmoid": lambda: sigma(z),
        "tanh": lambda: np.tanh(z),
        "relu": lambda: np.maximum(z, 0.0),
        "leaky_relu": lambda: np.where(z > 0, z, 0.01 * z),
        "elu": lambda: np.where(z > 0, z, np.exp(z) - 1),
        "softplus": lambda: np.logaddexp(0.0, z),
        "swish": lambda: z * sigma(z),
        "gelu": lambda: z * phi(z),
    }
    if name not in rules:
        raise ValueError(f"no activation is called {name!r}")
    return rules[name]()


@activation.mistake(
    "gelu: this is the approximation with tanh, off by up to 0.0005. The docstring asks for the exact form, with "
    "the normal distribution function that stands ready above."
)
def gelu_by_its_tanh_form(name, z):
    def sigma(v):
        return 0.5 * (1 + np.tanh(v / 2))

    rules = {
        "step": lambda: (z > 0).astype(float),
        "identity": lambda: z.copy(),
        "hard_tanh": lambda: np.clip(z, -1.0, 1.0),
        "gaussian": lambda: np.exp(-(z**2)),
        "sigmoid": lambda: sigma(z),
        "tanh": lambda: np.tanh(z),
        "relu": lambda: np.maximum(z, 0.0),
        "leaky_relu": lambda: np.where(z > 0, z, 0.01 * z),
        "elu": lambda: np.where(z > 0, z, np.expm1(np.minimum(z, 0.0))),
        "softplus": lambda: np.logaddexp(0.0, z),
        "swish": lambda: z * sigma(z),
        "gelu": lambda: z * sigma(2 * math.sqrt(2 / math.pi) * (z + 0.044715 * z**3)),
    }
    if name not in rules:
        raise ValueError(f"no activation is called {name!r}")
    return rules[name]()


@activation.variant
def from_torch(name, z):
    import torch
    from torch.nn import functional

    t = torch.from_numpy(z.copy())
    rules = {
        "step": lambda: torch.heaviside(t, torch.zeros((), dtype=t.dtype)),
        "identity": lambda: t,
        "hard_tanh": lambda: functional.hardtanh(t),
        "gaussian": lambda: torch.exp(-(t**2)),
        "sigmoid": lambda: torch.sigmoid(t),
        "tanh": lambda: torch.tanh(t),
        "relu": lambda: torch.relu(t),
        "leaky_relu": lambda: functional.leaky_relu(t),
        "elu": lambda: functional.elu(t),
        "softplus": lambda: (
            functional.softplus(t, threshold=1e9) if bool((t.abs() < 500).all()) else torch.logaddexp(t, 0 * t)
        ),
        "swish": lambda: functional.silu(t),
        "gelu": lambda: functional.gelu(t),
    }
    if name not in rules:
        raise ValueError("unknown")
    return rules[name]().numpy()


@activation.variant
def number_by_number(name, z):
    def sigma(v):
        return 1 / (1 + math.exp(-v)) if v > -700 else 0.0

    def value(v):
        if name == "step":
            return 1.0 if v > 0 else 0.0
        if name == "identity":
            return v
        if name == "hard_tanh":
            return max(-1.0, min(1.0, v))
        if name == "gaussian":
            return math.exp(-v * v)
        if name == "sigmoid":
            return sigma(v)
        if name == "tanh":
            return math.tanh(v)
        if name == "relu":
            return v if v > 0 else 0.0
        if name == "leaky_relu":
            return v if v > 0 else v / 100
        if name == "elu":
            return v if v > 0 else math.exp(v) - 1
        if name == "softplus":
            return v if v > 700 else math.log1p(math.exp(v))
        if name == "swish":
            return v * sigma(v)
        if name == "gelu":
            return v * (1 + math.erf(v / math.sqrt(2))) / 2
        raise ValueError(name)

    return np.array([value(float(v)) for v in z.ravel()]).reshape(z.shape)


@activation.variant
def with_clipped_exponentials(name, z):
    down = np.exp(-np.abs(z))  # in (0, 1]
    up = (z > 0).astype(float)
    sigma = (up + (1 - up) * down) / (1 + down)
    match name:
        case "step":
            return up
        case "identity":
            return 1.0 * z
        case "hard_tanh":
            return np.maximum(np.minimum(z, 1), -1)
        case "gaussian":
            return down ** np.abs(z)
        case "sigmoid":
            return sigma
        case "tanh":
            return np.sign(z) * (1 - down**2) / (1 + down**2)
        case "relu":
            return z * up
        case "leaky_relu":
            return z * (0.01 + 0.99 * up)
        case "elu":
            return z * up + (1 - up) * (down - 1)
        case "softplus":
            return z * up + np.log1p(down)
        case "swish":
            return z * sigma
        case "gelu":
            return z * 0.5 * (1 + np.array([math.erf(v) for v in z.ravel() / 2**0.5]).reshape(z.shape))
    raise ValueError(f"what is {name}?")


# ---- activation_derivative -------------------------------------------------------------------------------------------
@exercise(ref.activation_derivative, points=3, returns=("slopes", "numeric_warning", "input_changed"))
def activation_derivative(rng: np.random.Generator) -> Iterator[Case]:
    """Give the slope of any of the twelve activation functions at every element."""
    edges = [0.0, 1.0, -1.0, 50.0, -50.0, 1e4, -1e4]
    for name in ("sigmoid", "tanh", "hard_tanh", "relu", "leaky_relu", "elu", "softplus", "swish", "gelu"):
        yield case(name=name, z=2 * rng.normal(size=(2, 3)))
        yield case("edges", name=name, z=np.array(edges))
    for name in ("step", "identity", "gaussian"):
        yield case(name=name, z=np.concatenate([edges, rng.normal(size=3)]))
    yield case("a name that nobody bears", name="wavelet", z=np.zeros(2))


@activation_derivative.probe
def slopes_while_listening(student, name, z):
    heard = []
    with np.errstate(over="call", divide="call", invalid="call", call=lambda kind, flag: heard.append(kind)):
        values = student(name, z)
    return values, len(heard) > 0, z


@activation_derivative.measure
def whether_its_z_is_as_it_was(value, name, z):
    values, heard, after = value
    return values, heard, not np.array_equal(z, after)


@activation_derivative.mistake(
    "sigmoid: the slope is s(1 − s), where s is the sigmoid's value. Here z itself stands in its place. What is "
    "the slope at z = 0?"
)
def sigmoid_slope_from_z(name, z):
    sigma = 0.5 * (1 + np.tanh(z / 2))
    phi = np.vectorize(lambda v: 0.5 * math.erfc(-v / math.sqrt(2)), otypes=[float])
    rules = {
        "step": lambda: np.zeros_like(z),
        "identity": lambda: np.ones_like(z),
        "gaussian": lambda: -2 * z * np.exp(-(z**2)),
        "sigmoid": lambda: z * (1 - z),
        "tanh": lambda: 1 - np.tanh(z) ** 2,
        "hard_tanh": lambda: (np.abs(z) < 1).astype(float),
        "relu": lambda: (z > 0).astype(float),
        "leaky_relu": lambda: np.where(z > 0, 1.0, 0.01),
        "elu": lambda: np.exp(np.minimum(z, 0.0)),
        "softplus": lambda: sigma,
        "swish": lambda: sigma + z * sigma * (1 - sigma),
        "gelu": lambda: phi(z) + z * np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi),
    }
    if name not in rules:
        raise ValueError(f"no activation is called {name!r}")
    return rules[name]()


@activation_derivative.mistake(
    "tanh: the square is missing. A slope of an odd function is the same at z and at −z; is yours?"
)
def tanh_slope_without_the_square(name, z):
    sigma = 0.5 * (1 + np.tanh(z / 2))
    phi = np.vectorize(lambda v: 0.5 * math.erfc(-v / math.sqrt(2)), otypes=[float])
    rules = {
        "step": lambda: np.zeros_like(z),
        "identity": lambda: np.ones_like(z),
        "gaussian": lambda: -2 * z * np.exp(-(z**2)),
        "sigmoid": lambda: sigma * (1 - sigma),
        "tanh": lambda: 1 - np.tanh(z),
        "hard_tanh": lambda: (np.abs(z) < 1).astype(float),
        "relu": lambda: (z > 0).astype(float),
        "leaky_relu": lambda: np.where(z > 0, 1.0, 0.01),
        "elu": lambda: np.exp(np.minimum(z, 0.0)),
        "softplus": lambda: sigma,
        "swish": lambda: sigma + z * sigma * (1 - sigma),
        "gelu": lambda: phi(z) + z * np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi),
    }
    if name not in rules:
        raise ValueError(f"no activation is called {name!r}")
    return rules[name]()


@activation_derivative.mistake(
    "relu: at the corner z = 0 there is no slope, so one is agreed upon. The docstring says which; yours takes "
    "the other side's."
)
def relu_slope_one_at_the_corner(name, z):
    sigma = 0.5 * (1 + np.tanh(z / 2))
    phi = np.vectorize(lambda v: 0.5 * math.erfc(-v / math.sqrt(2)), otypes=[float])
    rules = {
        "step": lambda: np.zeros_like(z),
        "identity": lambda: np.ones_like(z),
        "gaussian": lambda: -2 * z * np.exp(-(z**2)),
        "sigmoid": lambda: sigma * (1 - sigma),
        "tanh": lambda: 1 - np.tanh(z) ** 2,
        "hard_tanh": lambda: (np.abs(z) < 1).astype(float),
        "relu": lambda: (z >= 0).astype(float),
        "leaky_relu": lambda: np.where(z > 0, 1.0, 0.01),
        "elu": lambda: np.exp(np.minimum(z, 0.0)),
        "softplus": lambda: sigma,
        "swish": lambda: sigma + z * sigma * (1 - sigma),
        "gelu": lambda: phi(z) + z * np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi),
    }
    if name not in rules:
        raise ValueError(f"no activation is called {name!r}")
    return rules[name]()


@activation_derivative.mistake(
    "swish: z times sigmoid is a product, and a product's derivative has two terms; one is missing. Compare with "
    "(f(z + ε) − f(z − ε)) / 2ε at z = 1."
)
def swish_loses_a_term(name, z):
    sigma = 0.5 * (1 + np.tanh(z / 2))
    phi = np.vectorize(lambda v: 0.5 * math.erfc(-v / math.sqrt(2)), otypes=[float])
    rules = {
        "step": lambda: np.zeros_like(z),
        "identity": lambda: np.ones_like(z),
        "gaussian": lambda: -2 * z * np.exp(-(z**2)),
        "sigmoid": lambda: sigma * (1 - sigma),
        "tanh": lambda: 1 - np.tanh(z) ** 2,
        "hard_tanh": lambda: (np.abs(z) < 1).astype(float),
        "relu": lambda: (z > 0).astype(float),
        "leaky_relu": lambda: np.where(z > 0, 1.0, 0.01),
        "elu": lambda: np.exp(np.minimum(z, 0.0)),
        "softplus": lambda: sigma,
        "swish": lambda: z * sigma * (1 - sigma),
        "gelu": lambda: phi(z) + z * np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi),
    }
    if name not in rules:
        raise ValueError(f"no activation is called {name!r}")
    return rules[name]()


@activation_derivative.mistake(
    "elu: the slopes are right, but exp also met the large positive numbers and overflowed; np.where computes "
    "both branches. Keep positive numbers away from exp."
)
def elu_slope_computes_both_branches(name, z):
    sigma = 0.5 * (1 + np.tanh(z / 2))
    phi = np.vectorize(lambda v: 0.5 * math.erfc(-v / math.sqrt(2)), otypes=[float])
    rules = {
        "step": lambda: np.zeros_like(z),
        "identity": lambda: np.ones_like(z),
        "gaussian": lambda: -2 * z * np.exp(-(z**2)),
        "sigmoid": lambda: sigma * (1 - sigma),
        "tanh": lambda: 1 - np.tanh(z) ** 2,
        "hard_tanh": lambda: (np.abs(z) < 1).astype(float),
        "relu": lambda: (z > 0).astype(float),
        "leaky_relu": lambda: np.where(z > 0, 1.0, 0.01),
        "elu": lambda: np.where(z > 0, 1.0, np.exp(z)),
        "softplus": lambda: sigma,
        "swish": lambda: sigma + z * sigma * (1 - sigma),
        "gelu": lambda: phi(z) + z * np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi),
    }
    if name not in rules:
        raise ValueError(f"no activation is called {name!r}")
    return rules[name]()


@activation_derivative.mistake(
    "gelu: z·Φ(z) is a product, and a product's derivative has two terms; the one with the density φ is missing. What is "
    "the slope of Φ, and what is it multiplied by?"
)
def gelu_loses_a_term(name, z):
    sigma = 0.5 * (1 + np.tanh(z / 2))
    phi = np.vectorize(lambda v: 0.5 * math.erfc(-v / math.sqrt(2)), otypes=[float])
    rules = {
        "step": lambda: np.zeros_like(z),
        "identity": lambda: np.ones_like(z),
        "gaussian": lambda: -2 * z * np.exp(-(z**2)),
        "sigmoid": lambda: sigma * (1 - sigma),
        "tanh": lambda: 1 - np.tanh(z) ** 2,
        "hard_tanh": lambda: (np.abs(z) < 1).astype(float),
        "relu": lambda: (z > 0).astype(float),
        "leaky_relu": lambda: np.where(z > 0, 1.0, 0.01),
        "elu": lambda: np.exp(np.minimum(z, 0.0)),
        "softplus": lambda: sigma,
        "swish": lambda: sigma + z * sigma * (1 - sigma),
        "gelu": lambda: phi(z),
    }
    if name not in rules:
        raise ValueError(f"no activation is called {name!r}")
    return rules[name]()


@activation_derivative.variant
def by_autograd(name, z):
    import torch
    from torch.nn import functional

    t = torch.from_numpy(z.copy()).requires_grad_()
    rules = {
        "step": lambda: 0 * t,
        "identity": lambda: 1 * t,
        "gaussian": lambda: torch.exp(-(t**2)),
        "sigmoid": lambda: torch.sigmoid(t),
        "tanh": lambda: torch.tanh(t),
        "hard_tanh": lambda: functional.hardtanh(t),
        "relu": lambda: torch.relu(t),
        "leaky_relu": lambda: functional.leaky_relu(t),
        "elu": lambda: functional.elu(t),
        "softplus": lambda: torch.logaddexp(t, torch.zeros_like(t)),
        "swish": lambda: functional.silu(t),
        "gelu": lambda: functional.gelu(t),
    }
    if name not in rules:
        raise ValueError("unknown")
    rules[name]().sum().backward()
    return t.grad.numpy()


@activation_derivative.variant
def slope_by_slope(name, z):
    def sigma(v):
        return 1 / (1 + math.exp(-v)) if v > -700 else 0.0

    def slope(v):
        if name == "step":
            return 0.0
        if name == "identity":
            return 1.0
        if name == "gaussian":
            return -2 * v * math.exp(-v * v)
        if name == "sigmoid":
            return sigma(v) * (1 - sigma(v))
        if name == "tanh":
            return 1 - math.tanh(v) ** 2
        if name == "hard_tanh":
            return 1.0 if -1 < v < 1 else 0.0
        if name == "relu":
            return 1.0 if v > 0 else 0.0
        if name == "leaky_relu":
            return 1.0 if v > 0 else 0.01
        if name == "elu":
            return 1.0 if v > 0 else math.exp(v)
        if name == "softplus":
            return sigma(v)
        if name == "swish":
            return sigma(v) * (1 + v * (1 - sigma(v)))
        if name == "gelu":
            density = math.exp(-v * v / 2) / math.sqrt(2 * math.pi)
            return (1 + math.erf(v / math.sqrt(2))) / 2 + v * density
        raise ValueError(name)

    return np.array([slope(float(v)) for v in z.ravel()]).reshape(z.shape)


@activation_derivative.variant
def with_masks_and_outputs(name, z):
    on = np.where(z > 0, 1.0, 0.0)
    down = np.exp(-np.abs(z))  # in (0, 1]
    sigma = np.where(z > 0, 1, down) / (1 + down)
    match name:
        case "step":
            return 0 * on
        case "identity":
            return on + (1 - on)
        case "gaussian":
            return -2 * z * np.exp(-np.square(z))
        case "sigmoid":
            return down / (1 + down) ** 2
        case "tanh":
            return (2 * np.exp(-np.abs(z)) / (1 + down**2)) ** 2
        case "hard_tanh":
            return np.where((z > -1) & (z < 1), 1.0, 0.0)
        case "relu":
            return on
        case "leaky_relu":
            return 0.99 * on + 0.01
        case "elu":
            return on + (1 - on) * down
        case "softplus":
            return sigma
        case "swish":
            swish = z * sigma
            return swish + sigma * (1 - swish)
        case "gelu":
            phi = np.array([math.erf(v) for v in z.ravel() / 2**0.5]).reshape(z.shape) / 2 + 0.5
            return phi + z * np.exp(-np.square(z) / 2) / (2 * np.pi) ** 0.5
    raise ValueError(f"what is {name}?")


# ---- feed_forward ----------------------------------------------------------------------------------------------------
@exercise(ref.feed_forward, points=2)
def feed_forward(rng: np.random.Generator) -> Iterator[Case]:
    """Run a batch through K layers and keep the output of every layer."""
    yield case(
        "the XOR network",
        x=np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]),
        layers=[
            (np.array([[1.0, 1.0], [1.0, 1.0]]), np.array([0.0, -1.0])),
            (np.array([[1.0], [-2.0]]), np.array([0.0])),
        ],
        activations=["relu", "identity"],
    )
    for batch, widths, names in [
        (1, (3, 3), ["sigmoid"]),
        (4, (3, 5, 2), ["tanh", "sigmoid"]),
        (5, (2, 2, 2, 2), ["relu", "tanh", "identity"]),
        (3, (4, 6, 3, 5, 1), ["tanh", "relu", "sigmoid", "identity"]),
    ]:
        pairs = pairwise(widths)
        layers = [(rng.normal(size=(i, o)), rng.normal(size=o)) for i, o in pairs]
        yield case(x=rng.normal(size=(batch, widths[0])), layers=layers, activations=names)
    yield case(
        "one activation too few",
        x=np.ones((1, 2)),
        layers=[(np.eye(2), np.zeros(2)), (np.eye(2), np.zeros(2))],
        activations=["relu"],
    )


@feed_forward.mistake(
    "The biases are left out. Every layer adds its own b after x @ w; what should a zero input give after the "
    "first layer?"
)
def without_biases(x, layers, activations):
    if len(layers) != len(activations):
        raise ValueError(f"{len(layers)} layers need {len(layers)} activations, not {len(activations)}")
    rules = {
        "identity": lambda z: z,
        "relu": lambda z: np.maximum(z, 0.0),
        "tanh": np.tanh,
        "sigmoid": lambda z: 0.5 * (1 + np.tanh(z / 2)),
    }
    outputs = [x]
    for (w, _), name in zip(layers, activations, strict=True):
        outputs.append(rules[name](outputs[-1] @ w))
    return outputs


@feed_forward.mistake(
    "Every layer uses the first layer's activation. Each layer has its own; the last one is often the identity, "
    "and bending its output changes the answer."
)
def one_activation_for_all(x, layers, activations):
    if len(layers) != len(activations):
        raise ValueError(f"{len(layers)} layers need {len(layers)} activations, not {len(activations)}")
    rules = {
        "identity": lambda z: z,
        "relu": lambda z: np.maximum(z, 0.0),
        "tanh": np.tanh,
        "sigmoid": lambda z: 0.5 * (1 + np.tanh(z / 2)),
    }
    outputs = [x]
    for w, b in layers:
        outputs.append(rules[activations[0]](outputs[-1] @ w + b))
    return outputs


@feed_forward.mistake(
    "What is kept is z, the sum before the activation. The next layer was fed correctly, but the list should hold "
    "what each layer says, h = f(z)."
)
def keeps_the_sums(x, layers, activations):
    if len(layers) != len(activations):
        raise ValueError(f"{len(layers)} layers need {len(layers)} activations, not {len(activations)}")
    rules = {
        "identity": lambda z: z,
        "relu": lambda z: np.maximum(z, 0.0),
        "tanh": np.tanh,
        "sigmoid": lambda z: 0.5 * (1 + np.tanh(z / 2)),
    }
    outputs, h = [x], x
    for (w, b), name in zip(layers, activations, strict=True):
        outputs.append(h @ w + b)
        h = rules[name](outputs[-1])
    return outputs


@feed_forward.mistake(
    "The list begins with the first layer's output; element 0 should be the input x itself, so that element k "
    "belongs to layer k."
)
def without_the_input(x, layers, activations):
    if len(layers) != len(activations):
        raise ValueError(f"{len(layers)} layers need {len(layers)} activations, not {len(activations)}")
    rules = {
        "identity": lambda z: z,
        "relu": lambda z: np.maximum(z, 0.0),
        "tanh": np.tanh,
        "sigmoid": lambda z: 0.5 * (1 + np.tanh(z / 2)),
    }
    outputs = [x]
    for (w, b), name in zip(layers, activations, strict=True):
        outputs.append(rules[name](outputs[-1] @ w + b))
    return outputs[1:]


@feed_forward.mistake(
    "The activation is applied to what enters a layer, before its weights. The order is weights, bias, then the "
    "bend: h = f(xW + b)."
)
def bends_before_the_weights(x, layers, activations):
    if len(layers) != len(activations):
        raise ValueError(f"{len(layers)} layers need {len(layers)} activations, not {len(activations)}")
    rules = {
        "identity": lambda z: z,
        "relu": lambda z: np.maximum(z, 0.0),
        "tanh": np.tanh,
        "sigmoid": lambda z: 0.5 * (1 + np.tanh(z / 2)),
    }
    outputs = [x]
    for (w, b), name in zip(layers, activations, strict=True):
        outputs.append(rules[name](outputs[-1]) @ w + b)
    return outputs


@feed_forward.mistake(
    "Every layer reads the input x. Only the first one should: the others read what the layer before them says. Where "
    "have you just put that?"
)
def every_layer_reads_x(x, layers, activations):
    if len(layers) != len(activations):
        raise ValueError(f"{len(layers)} layers need {len(layers)} activations, not {len(activations)}")
    rules = {
        "identity": lambda z: z,
        "relu": lambda z: np.maximum(z, 0.0),
        "tanh": np.tanh,
        "sigmoid": lambda z: 0.5 * (1 + np.tanh(z / 2)),
    }
    outputs = [x]
    for (w, b), name in zip(layers, activations, strict=True):
        outputs.append(rules[name](x @ w + b))
    return outputs


@feed_forward.variant
def by_index(x, layers, activations):
    if len(layers) != len(activations):
        raise ValueError("one activation a layer")
    outputs = [x] + [None] * len(layers)
    for k in range(len(layers)):
        w, b = layers[k]
        z = np.einsum("bi,io->bo", outputs[k], w) + b
        if activations[k] == "relu":
            z = np.where(z > 0, z, 0.0)
        elif activations[k] == "tanh":
            z = np.tanh(z)
        elif activations[k] == "sigmoid":
            z = 1 / (1 + np.exp(-z))
        outputs[k + 1] = z
    return outputs


@feed_forward.variant
def by_recursion(x, layers, activations):
    if len(layers) != len(activations):
        raise ValueError("one activation a layer")
    if not layers:
        return [x]
    rules = {
        "identity": lambda z: z,
        "relu": lambda z: (z + np.abs(z)) / 2,
        "tanh": np.tanh,
        "sigmoid": lambda z: 0.5 * (1 + np.tanh(z / 2)),
    }
    w, b = layers[0]
    h = rules[activations[0]](np.dot(x, w) + b)
    return [x, *by_recursion(h, layers[1:], activations[1:])]


@feed_forward.variant
def unit_by_unit(x, layers, activations):
    if len(layers) != len(activations):
        raise ValueError("one activation a layer")
    rules = {
        "identity": lambda z: z,
        "relu": lambda z: max(z, 0.0),
        "tanh": math.tanh,
        "sigmoid": lambda z: 1 / (1 + math.exp(-z)),
    }
    outputs = [x]
    for (w, b), name in zip(layers, activations, strict=True):
        h = np.zeros((x.shape[0], w.shape[1]))
        for row in range(h.shape[0]):
            for unit in range(h.shape[1]):
                total = b[unit]
                for feature in range(w.shape[0]):
                    total += outputs[-1][row, feature] * w[feature, unit]
                h[row, unit] = rules[name](total)
        outputs.append(h)
    return outputs


# ---- step_approximator -----------------------------------------------------------------------------------------------
@exercise(ref.step_approximator, points=4)
def step_approximator(rng: np.random.Generator) -> Iterator[Case]:
    """Draw stairs through given points with a hidden layer of steep sigmoids, to a given error, without training."""
    yield case("one step", x=np.array([1.0, 3.0]), y=np.array([2.0, 5.0]), tolerance=0.01).hold(tolerance=0.01)
    for label, points, scale, tolerance in [
        ("narrow steps", 6, 0.1, 0.01),
        ("wide steps", 5, 40.0, 0.05),
        ("a small error allowed", 8, 1.0, 0.0025),
    ]:
        gaps = scale * rng.uniform(0.7, 1.3, size=points)
        jumps = rng.integers(1, 4, size=points) * rng.choice([-1, 1], size=points)
        x, y = np.cumsum(gaps), 10.0 + np.cumsum(jumps).astype(float)
        yield case(label, x=x, y=y, tolerance=tolerance).hold(tolerance=tolerance)
    yield case(
        "left and right of zero",
        x=np.array([-2.5, -1.0, 0.5, 2.0]),
        y=np.array([3.0, -1.0, -1.0, 4.0]),
        tolerance=0.005,
    ).hold(tolerance=0.005)
    level, x = np.full(3, 2.0), np.array([0.0, 1.0, 3.0])
    yield case("all heights equal", x=x, y=level, tolerance=0.1).hold(tolerance=0.1)
    yield case("a tolerance above all jumps together", x=x, y=np.array([1.0, 2.0, 4.0]), tolerance=8.0).hold(
        tolerance=8.0
    )
    x, mountain = np.arange(7.0), np.array([0.0, 1.0, 2.0, 3.0, 2.0, 1.0, 0.0])
    valley = np.array([5.0, 4.0, 3.0, 2.0, 1.0, 0.0, 1.0, 2.0, 3.0, 4.0])  # the smallest gap before the lowest point
    wide = np.cumsum(np.concatenate([[0.0], 8.0 ** np.abs(np.arange(-4, 5))]))
    yield case("near a small gap all misses add up", x=wide, y=valley, tolerance=1.0).hold(tolerance=1.0)
    yield case("small jumps that add up", x=x, y=mountain, tolerance=0.75).hold(tolerance=0.75)


@step_approximator.measure
def walk_up_the_stairs(value, x, y, tolerance):
    gap = np.diff(x)
    parts = [(x, y), (np.array([x[0] - 9 * gap[0], x[-1] + 9 * gap[-1]]), y[[0, -1]])]
    for share in (0.2, 0.25):  # of the gap, to the right of its left point and to the left of its right point
        parts += [(x[:-1] + share * gap, y[:-1]), (x[1:] - share * gap, y[1:])]
    t, height = np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])
    w1, b1, w2, b2 = (np.asarray(part, dtype=float) for part in value)
    hidden = b1.size
    shapes = [list(part.shape) for part in (w1, b1, w2, b2)]
    if shapes != [[1, hidden], [hidden], [hidden, 1], [1]]:
        return {"t": t, "off": np.zeros(t.shape), "shapes": shapes}
    if hidden > 1000 * x.size:
        raise ValueError(f"{hidden:,} hidden units for {x.size} points")
    curve = (0.5 * (1 + np.tanh((t[:, None] @ w1 + b1) / 2)) @ w2 + b2)[:, 0]
    # Counted in units of twice the tolerance and rounded: 0 means near enough.
    return {"t": t, "off": np.round((curve - height) / (2 * tolerance)), "shapes": shapes}


@step_approximator.criterion
def near_enough(outputs, held):
    shapes = [list(shape) for shape in outputs["shapes"]]
    hidden = shapes[1][0] if shapes[1] else 0
    if shapes != [[1, hidden], [hidden], [hidden, 1], [1]]:
        return f"w1, b1, w2, b2 have the shapes {shapes}; (1, hidden), (hidden,), (hidden, 1), (1,) are needed."
    wrong = np.nan_to_num(np.abs(outputs["off"]), nan=np.inf)
    if not wrong.any():
        return None
    worst = int(np.argmax(wrong))
    error, allowed = 2 * held["tolerance"] * wrong[worst], held["tolerance"]
    where = f"{int((wrong > 0).sum())} of {wrong.size} places are off, worst at t = {outputs['t'][worst]:.6g}"
    return f"{where}: by about {error:.4g}, where {allowed:g} is allowed."


@step_approximator.mistake(
    "The output weights are the heights themselves. All the steps to the left of a point stay switched on there "
    "and add up, so what should each step contribute?"
)
def heights_instead_of_jumps(x, y, tolerance):
    gap, middle = np.diff(x), (x[1:] + x[:-1]) / 2
    k = 200 / gap
    return k[None, :], -k * middle, y[1:, None], y[:1].copy()


@step_approximator.mistake(
    "The bias is the place of the step with a minus, whatever the steepness. A sigmoid of w·t + b passes one half "
    "where w·t + b = 0: solve that for t, then for b."
)
def bias_without_the_steepness(x, y, tolerance):
    gap, middle, jump = np.diff(x), (x[1:] + x[:-1]) / 2, np.diff(y)
    return (200 / gap)[None, :], -middle, jump[:, None], y[:1].copy()


@step_approximator.mistake(
    "Right wherever there is a jump. But what if all y are equal? Then Σ|J| is 0, its logarithm −∞, and infinite weights "
    "give NaN. Which number inside the logarithm would keep the promise and never fall below 1?"
)
def logarithm_of_nothing(x, y, tolerance):
    gap, middle, jump = np.diff(x), (x[1:] + x[:-1]) / 2, np.diff(y)
    with np.errstate(divide="ignore", invalid="ignore"):
        k = np.log(np.abs(jump).sum() / tolerance) * 4 / gap
        return k[None, :], -k * middle, jump[:, None], y[:1].copy()


@step_approximator.mistake(
    "Each step alone is steep enough, but the misses of all steps add up: with many jumps the sum exceeds the tolerance. "
    "Which number has to stand in place of the largest jump?"
)
def largest_jump_alone(x, y, tolerance):
    gap, middle, jump = np.diff(x), (x[1:] + x[:-1]) / 2, np.diff(y)
    k = np.log1p(np.abs(jump).max() / tolerance) * 4 / gap
    return k[None, :], -k * middle, jump[:, None], y[:1].copy()


@step_approximator.mistake(
    "To the left of all steps every hidden unit is silent and only b2 speaks. Which height is wanted there?"
)
def starts_from_zero(x, y, tolerance):
    gap, middle, jump = np.diff(x), (x[1:] + x[:-1]) / 2, np.diff(y)
    k = 200 / gap
    return k[None, :], -k * middle, jump[:, None], np.zeros(1)


@step_approximator.mistake(
    "A steepness of 100 is steep only beside a gap that is wide enough; points a tenth apart blur into a ramp. "
    "How must the steepness change when the gap is halved, or when the tolerance is?"
)
def always_a_hundred(x, y, tolerance):
    middle, jump = (x[1:] + x[:-1]) / 2, np.diff(y)
    return np.full((1, jump.size), 100.0), -100.0 * middle, jump[:, None], y[:1].copy()


@step_approximator.variant
def much_too_steep(x, y, tolerance):
    w1 = np.full((1, len(x) - 1), 1e4 / np.diff(x).min())
    return w1, -w1[0] * (x[1:] + x[:-1]) / 2, np.diff(y).reshape(-1, 1), y[:1].copy()


@step_approximator.variant
def falling_steps_from_the_right(x, y, tolerance):
    w1, b1, w2 = [], [], []
    for j in range(len(x) - 1):
        gap = x[j + 1] - x[j]
        k = -(4 / gap) * math.log(1 + 10 * np.abs(np.diff(y)).sum() / tolerance)
        w1.append(k)
        b1.append(-k * (x[j] + x[j + 1]) / 2)
        w2.append([y[j] - y[j + 1]])
    return np.array([w1]), np.array(b1), np.array(w2), np.array([y[-1]])


@step_approximator.variant
def with_a_unit_that_is_always_on(x, y, tolerance):
    k = 300 / np.diff(x)
    w1 = np.concatenate([[0.0], k])[None, :]
    b1 = np.concatenate([[100.0], -k * (x[1:] + x[:-1]) / 2])
    return w1, b1, np.concatenate([y[:1], np.diff(y)])[:, None], np.zeros(1)


# ---- graded by a person ----------------------------------------------------------------------------------------------
why_a_bend_between_layers = explanation(
    "why_a_bend_between_layers",
    points=3,
    question="""
    Someone builds a network of five layers of 100 units each and, to make it faster, leaves out the activation
    functions. At its best it is exactly as good as a single linear layer.

    1. Write the output of **two** such layers as one layer, with the shape of every factor, and say why five fare
       no better.
    2. Why can no choice of their weights compute XOR (fires where the output is above a threshold)?
    3. Say in two or three sentences what the ReLUs of the 2-2-1 network do to the four points that makes a line enough
       afterwards.
    """,
    rubric=(
        (
            1,
            "(xW₁ + b₁)W₂ + b₂ = x(W₁W₂) + (b₁W₂ + b₂) with the shapes, and the same again for every further layer",
        ),
        (
            1,
            "the collapsed network is one affine unit g, so g(0,0) + g(1,1) = g(0,1) + g(1,0); XOR wants the terms of "
            "one side above the threshold and those of the other not: a contradiction (or an equivalent argument)",
        ),
        (
            1,
            "the hidden layer sends (0,1) and (1,0) to one point and, by the bend, moves (1,1) off the line on which "
            "the others lie, so that one line separates them; an affine map would keep the parallelogram",
        ),
    ),
    answer="""
    1. With x (batch, n), W₁ (n, m), b₁ (m,), W₂ (m, k), b₂ (k,):
       (xW₁ + b₁)W₂ + b₂ = x(W₁W₂) + (b₁W₂ + b₂), where W₁W₂ is (n, k) and b₁W₂ + b₂ is (k,). That is one layer.
       It merges with the third layer in the same way, and so on: any number of affine layers is one affine layer.
    2. For one affine unit g, g(0,0) + g(1,1) = g(0,1) + g(1,0), since both sides are w₁ + w₂ + 2b. XOR wants both
       terms on the right above the threshold and both on the left not above it. Then the right sum is the
       greater one: a contradiction.
    3. Both hidden units look at the sum of the inputs. (0,1) and (1,0) have the same sum and fall on one point; the
       unit with bias −1 is silent for them and for (0,0) and wakes only at (1,1), which lifts that corner off the
       line on which the others lie. Now one line has the merged point on one side and the other two on the other.
    """,
)
