"""Exercises of chapter 06: backward passes of a layer, a bend, a loss, a network, a skip; and the decks' formulas."""

import math
from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from autograder.exercise import Case, case, exercise, explanation
from solutions import backpropagation as ref
from solutions.backpropagation import bend, printed_formula
from solutions.hidden_layers import stable_sigmoid


# ---- affine_backward -------------------------------------------------------------------------------------------------
@exercise(ref.affine_backward, points=2, returns=("grad_x", "grad_w", "grad_b"))
def affine_backward(rng: np.random.Generator) -> Iterator[Case]:
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


affine_backward.gradient_of(ref.affine_forward, wrt=("x", "w", "b"), upstream="grad_y")


@affine_backward.mistake(
    "The gradient of b keeps one row for each sample. All rows of the batch have added the same b: what happens to "
    "their wishes when they share one number?"
)
def bias_gradient_per_row(grad_y, x, w, b):
    return grad_y @ w.T, x.T @ grad_y, grad_y


@affine_backward.mistake(
    "The gradients of w and b are averaged over the batch. The 1/N belongs to the loss and is in grad_y already; "
    "what a shared parameter gets from its rows adds up."
)
def averages_over_the_batch(grad_y, x, w, b):
    return grad_y @ w.T, x.T @ grad_y / len(x), grad_y.mean(axis=0)


@affine_backward.mistake(
    "A transpose is missing: the way back goes through w from its outputs to its inputs. Write the shape under each "
    "factor; which inner dimensions should meet, and what shape should come out?"
)
def without_transposes(grad_y, x, w, b):
    return grad_y @ w, x @ grad_y, grad_y.sum(axis=0)


@affine_backward.mistake(
    "The gradient of w has the shape (outputs, inputs), as in the convention of columns. A gradient has the shape of its "
    "parameter, here (inputs, outputs): who is transposed, x or grad_y?"
)
def weight_gradient_for_columns(grad_y, x, w, b):
    return grad_y @ w.T, grad_y.T @ x, grad_y.sum(axis=0)


@affine_backward.mistake(
    "All signs are turned round. The gradient points uphill; the minus comes later, in the step w ← w − η·gradient. Is there "
    "one in here as well?"
)
def points_downhill(grad_y, x, w, b):
    return -grad_y @ w.T, -x.T @ grad_y, -grad_y.sum(axis=0)


@affine_backward.variant
def with_einsum(grad_y, x, w, b):
    return (
        np.einsum("no,io->ni", grad_y, w),
        np.einsum("ni,no->io", x, grad_y),
        np.einsum("no->o", grad_y),
    )


@affine_backward.variant
def sample_by_sample(grad_y, x, w, b):
    grad_x, grad_w, grad_b = np.zeros_like(x), np.zeros_like(w), np.zeros_like(b)
    for n in range(x.shape[0]):
        grad_x[n] = w @ grad_y[n]
        grad_w += np.outer(x[n], grad_y[n])
        grad_b += grad_y[n]
    return grad_x, grad_w, grad_b


@affine_backward.variant
def bias_as_a_weight_on_a_constant(grad_y, x, w, b):
    wide = np.hstack([x, np.ones((len(x), 1))])
    grad = (grad_y.T @ wide).T
    return np.dot(grad_y, np.transpose(w)), grad[:-1], grad[-1]


@affine_backward.variant
def number_by_number(grad_y, x, w, b):
    batch, inputs, outputs = len(x), len(w), len(b)
    grad_x = [[sum(grad_y[n, o] * w[i, o] for o in range(outputs)) for i in range(inputs)] for n in range(batch)]
    grad_w = [[sum(x[n, i] * grad_y[n, o] for n in range(batch)) for o in range(outputs)] for i in range(inputs)]
    return np.array(grad_x), np.array(grad_w), np.ones(batch) @ grad_y


# ---- activation_backward ---------------------------------------------------------------------------------------------
@exercise(ref.activation_backward, points=2)
def activation_backward(rng: np.random.Generator) -> Iterator[Case]:
    """Pass a gradient backwards through an activation, element by element."""
    for name in ("sigmoid", "tanh", "relu", "leaky_relu", "softplus"):
        yield case(grad_h=rng.normal(size=(3, 4)), z=2 * rng.normal(size=(3, 4)), name=name)
        edges = np.array([0.0, 1.0, -1.0, 40.0, -40.0, 1e4, -1e4])
        yield case("edges", grad_h=rng.uniform(0.5, 3, size=7) * rng.choice([-1, 1], size=7), z=edges, name=name)
    yield case(grad_h=rng.normal(size=(2, 3)), z=rng.normal(size=(2, 3)), name="identity")
    yield case("a name that nobody bears", grad_h=np.ones(2), z=np.zeros(2), name="wavelet")


activation_backward.gradient_of(bend, wrt=("z",), upstream="grad_h")


@activation_backward.mistake(
    "What comes back is the slope f′(z) alone; the gradient that arrived from above, grad_h, is lost. What does the chain "
    "rule do with the two?"
)
def forgets_what_arrived(grad_h, z, name):
    if name == "identity":
        return np.ones_like(z)
    if name == "sigmoid":
        return stable_sigmoid(z) * stable_sigmoid(-z)
    if name == "tanh":
        return 1 - np.tanh(z) ** 2
    if name == "relu":
        return (z > 0).astype(float)
    if name == "leaky_relu":
        return np.where(z > 0, 1.0, 0.01)
    if name == "softplus":
        return stable_sigmoid(z)
    raise ValueError(f"no activation is called {name!r}")


@activation_backward.mistake(
    "s(1 − s) and 1 − t² are written in the output, s = σ(z) and t = tanh(z); here they are computed from z itself. What is "
    "the sigmoid's slope at z = 0, and what comes out?"
)
def takes_z_for_the_output(grad_h, z, name):
    if name == "identity":
        return grad_h.copy()
    if name == "sigmoid":
        return grad_h * z * (1 - z)
    if name == "tanh":
        return grad_h * (1 - z**2)
    if name == "relu":
        return grad_h * (z > 0)
    if name == "leaky_relu":
        return grad_h * np.where(z > 0, 1.0, 0.01)
    if name == "softplus":
        return grad_h * stable_sigmoid(z)
    raise ValueError(f"no activation is called {name!r}")


@activation_backward.mistake(
    "The activation is applied a second time: the slope is taken at h = f(z) instead of at z. At which point did the forward "
    "pass bend the signal?"
)
def slope_at_the_output(grad_h, z, name):
    if name == "identity":
        return grad_h.copy()
    if name == "sigmoid":
        h = stable_sigmoid(z)
        return grad_h * stable_sigmoid(h) * (1 - stable_sigmoid(h))
    if name == "tanh":
        return grad_h * (1 - np.tanh(np.tanh(z)) ** 2)
    if name == "relu":
        return grad_h * (np.maximum(z, 0.0) > 0)
    if name == "leaky_relu":
        return grad_h * np.where(z > 0, 1.0, 0.01)
    if name == "softplus":
        return grad_h * stable_sigmoid(np.logaddexp(0.0, z))
    raise ValueError(f"no activation is called {name!r}")


@activation_backward.mistake(
    "At z = 0 exactly the rectifiers count as awake. The corner has no slope of its own; which one does the docstring "
    "agree on?"
)
def awake_at_zero(grad_h, z, name):
    if name == "identity":
        return grad_h.copy()
    if name == "sigmoid":
        return grad_h * stable_sigmoid(z) * stable_sigmoid(-z)
    if name == "tanh":
        return grad_h * (1 - np.tanh(z) ** 2)
    if name == "relu":
        return grad_h * (z >= 0)
    if name == "leaky_relu":
        return grad_h * np.where(z >= 0, 1.0, 0.01)
    if name == "softplus":
        return grad_h * stable_sigmoid(z)
    raise ValueError(f"no activation is called {name!r}")


@activation_backward.mistake(
    "The gradient is multiplied by the value f(z), as if the way back were the way forward once more. Backwards, each element "
    "asks: how much does h move when z moves a little?"
)
def value_instead_of_slope(grad_h, z, name):
    if name not in ("identity", "sigmoid", "tanh", "relu", "leaky_relu", "softplus"):
        raise ValueError(f"no activation is called {name!r}")
    return grad_h.copy() if name == "identity" else grad_h * bend(z, name)


@activation_backward.variant
def from_the_outputs(grad_h, z, name):
    h = bend(z, name)  # raises for an unknown name
    slopes = {
        "identity": lambda: 1.0,
        "sigmoid": lambda: h - h**2,
        "tanh": lambda: (1 + h) * (1 - h),
        "relu": lambda: np.sign(h),
        "leaky_relu": lambda: np.where(h > 0, 1.0, 0.01),
        "softplus": lambda: -np.expm1(-h),
    }
    return grad_h * slopes[name]()


@activation_backward.variant
def by_match(grad_h, z, name):
    match name:
        case "identity":
            return np.array(grad_h)
        case "sigmoid":
            return grad_h * 0.25 / np.cosh(np.clip(z / 2, -300, 300)) ** 2
        case "tanh":
            return grad_h / np.cosh(np.clip(z, -300, 300)) ** 2
        case "relu":
            return np.where(z > 0, grad_h, 0.0)
        case "leaky_relu":
            result = grad_h.copy()
            result[z <= 0] *= 0.01
            return result
        case "softplus":
            return 0.5 * grad_h * (1 + np.tanh(z / 2))
    raise ValueError(name)


@activation_backward.variant
def element_by_element(grad_h, z, name):
    def slope(v):
        if name in ("sigmoid", "softplus"):
            s = 1 / (1 + math.exp(-v)) if v >= 0 else math.exp(v) / (1 + math.exp(v))
            return s * (1 - s) if name == "sigmoid" else s
        if name == "tanh":
            return 1 - math.tanh(v) ** 2
        if name == "identity" or v > 0:
            return 1.0
        return {"relu": 0.0, "leaky_relu": 0.01}[name]

    if name == "wavelet":
        raise ValueError("a wavelet is no activation")
    return np.array([g * slope(v) for g, v in zip(grad_h.ravel(), z.ravel(), strict=True)]).reshape(z.shape)


# ---- softmax_cross_entropy_backward ----------------------------------------------------------------------------------
@exercise(ref.softmax_cross_entropy_backward, points=2)
def softmax_cross_entropy_backward(rng: np.random.Generator) -> Iterator[Case]:
    """Give the gradient of the mean cross-entropy by the logits."""
    yield case("one row", logits=np.array([[1.0, 2.0, 0.0, -1.0]]), targets=np.array([2]))
    for batch, classes in [(5, 3), (3, 6)]:
        yield case(logits=2 * rng.normal(size=(batch, classes)), targets=rng.integers(classes, size=batch))
    yield case(
        "logits up to ±1,000",
        logits=np.concatenate([[[1000.0, 999.0, -1000.0, 998.0]], rng.uniform(-1000, 1000, size=(3, 4))]),
        targets=rng.integers(4, size=4),
    )
    yield case(
        "rows far apart",
        logits=np.array([[1000.0], [-1000.0], [0.0]]) + rng.normal(size=(3, 4)),
        targets=rng.integers(4, size=3),
    )


softmax_cross_entropy_backward.gradient_of(ref.batch_cross_entropy, wrt=("logits",))


@softmax_cross_entropy_backward.mistake(
    "Each row's gradient is right for that row, but the loss is the mean over the batch. How much of the loss belongs to one "
    "of N rows?"
)
def sum_instead_of_mean(logits, targets):
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    grad = e / e.sum(axis=1, keepdims=True)
    grad[np.arange(len(targets)), targets] -= 1
    return grad


@softmax_cross_entropy_backward.mistake(
    "The sign is turned round. If the right class gets too little, the gradient of its logit should be negative, so that a "
    "step against the gradient raises it. Which way does yours go?"
)
def answer_minus_prediction(logits, targets):
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (np.eye(logits.shape[1])[targets] - e / e.sum(axis=1, keepdims=True)) / len(targets)


@softmax_cross_entropy_backward.mistake(
    "For logits of 1,000 the exponential overflows and ∞/∞ is NaN. Softmax does not change when you take the same number from "
    "all logits of a row: which number makes the largest exponent 0?"
)
def exponentials_overflow(logits, targets):
    e = np.exp(logits)
    grad = e / e.sum(axis=1, keepdims=True)
    grad[np.arange(len(targets)), targets] -= 1
    return grad / len(targets)


@softmax_cross_entropy_backward.mistake(
    "The largest logit of the whole batch is taken from every row. A row that lies 1,000 below it gets only zeros, and 0/0 is "
    "NaN. Each row is a softmax of its own: whose maximum does it need?"
)
def one_maximum_for_all_rows(logits, targets):
    e = np.exp(logits - logits.max())
    grad = e / e.sum(axis=1, keepdims=True)
    grad[np.arange(len(targets)), targets] -= 1
    return grad / len(targets)


@softmax_cross_entropy_backward.mistake(
    "This is the prediction alone, divided by N. A perfect prediction should leave no gradient at all: what has to be taken "
    "off, and in which column of each row?"
)
def forgets_the_answer(logits, targets):
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True) / len(targets)


@softmax_cross_entropy_backward.variant
def subtract_at_the_targets(logits, targets):
    e = np.exp(logits - np.max(logits, axis=-1)[:, None])
    grad = e / np.sum(e, axis=-1)[:, None]
    grad[range(len(targets)), targets] -= 1.0
    grad /= logits.shape[0]
    return grad


@softmax_cross_entropy_backward.variant
def through_log_softmax(logits, targets):
    log_p = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    y = np.zeros_like(logits)
    np.put_along_axis(y, targets[:, None], 1.0, axis=1)
    return np.mean([1.0]) * (np.exp(log_p) - y) / logits.shape[0]


@softmax_cross_entropy_backward.variant
def row_by_row(logits, targets):
    rows = []
    for row, target in zip(logits, targets, strict=True):
        e = [math.exp(v - max(row)) for v in row]
        rows.append([(v / sum(e) - (k == target)) / len(targets) for k, v in enumerate(e)])
    return np.array(rows)


@softmax_cross_entropy_backward.variant
def by_torch(logits, targets):
    import torch

    leaf = torch.from_numpy(logits).requires_grad_()
    torch.nn.functional.cross_entropy(leaf, torch.from_numpy(targets)).backward()
    return leaf.grad.numpy()


# ---- worked_example --------------------------------------------------------------------------------------------------
@exercise(ref.worked_example, points=3, returns=("u", "loss", "delta", "change"))
def worked_example(rng: np.random.Generator) -> Iterator[Case]:
    """Take one learning step of a 2-2-1 network unit by unit."""
    names = ("w03", "w04", "w05", "w13", "w14", "w23", "w24", "w35", "w45")
    deck = dict(zip(names, (1.0, -6.0, -4.0, 3.0, 6.0, 4.0, 5.0, 2.0, 4.0), strict=True))
    yield case("deck E, ReLU", weights=dict(deck), x=(1.0, 0.0), target=1.0, name="relu", rate=1.0)
    yield case("deck E, sigmoid", weights=dict(deck), x=(1.0, 0.0), target=1.0, name="sigmoid", rate=1.0)
    for name, rate in [("sigmoid", 0.5), ("relu", 0.1), ("sigmoid", 2.0), ("relu", 1.0)]:
        weights = {key: float(rng.normal()) for key in names}
        x = (float(rng.normal()), float(rng.normal()))
        yield case(weights=weights, x=x, target=float(rng.uniform(-1, 2)), name=name, rate=rate)


@worked_example.mistake(
    "delta has the sign of deck E's appendix, −∂J/∂net. Here, as in its worked example, δ = +∂loss/∂net. If unit 5 says too "
    "much, should ∂loss/∂net₅ be positive or negative?"
)
def delta_with_the_appendix_sign(weights, x, target, name, rate):
    def g(net):
        return float(max(net, 0.0) if name == "relu" else 1 / (1 + np.exp(-net)))

    def slope(net):
        return float(net > 0) if name == "relu" else g(net) * (1 - g(net))

    w, (x1, x2) = weights, x
    net3, net4 = w["w03"] + w["w13"] * x1 + w["w23"] * x2, w["w04"] + w["w14"] * x1 + w["w24"] * x2
    u3, u4 = g(net3), g(net4)
    net5 = w["w05"] + w["w35"] * u3 + w["w45"] * u4
    d5 = (target - g(net5)) * slope(net5)
    d3, d4 = d5 * w["w35"] * slope(net3), d5 * w["w45"] * slope(net4)
    says, delta = {"0": 1.0, "1": x1, "2": x2, "3": u3, "4": u4}, {"3": d3, "4": d4, "5": d5}
    change = {key: rate * delta[key[2]] * says[key[1]] for key in w}
    return np.array([u3, u4, g(net5)]), 0.5 * (target - g(net5)) ** 2, np.array([d3, d4, d5]), change


@worked_example.mistake(
    "δ is right, but the weights walk uphill: each change has the sign of the gradient. Apply yours and compute the loss "
    "again: is it smaller?"
)
def climbs_instead_of_descending(weights, x, target, name, rate):
    def g(net):
        return float(max(net, 0.0) if name == "relu" else 1 / (1 + np.exp(-net)))

    def slope(net):
        return float(net > 0) if name == "relu" else g(net) * (1 - g(net))

    w, (x1, x2) = weights, x
    net3, net4 = w["w03"] + w["w13"] * x1 + w["w23"] * x2, w["w04"] + w["w14"] * x1 + w["w24"] * x2
    u3, u4 = g(net3), g(net4)
    net5 = w["w05"] + w["w35"] * u3 + w["w45"] * u4
    d5 = -(target - g(net5)) * slope(net5)
    d3, d4 = d5 * w["w35"] * slope(net3), d5 * w["w45"] * slope(net4)
    says, delta = {"0": 1.0, "1": x1, "2": x2, "3": u3, "4": u4}, {"3": d3, "4": d4, "5": d5}
    change = {key: rate * delta[key[2]] * says[key[1]] for key in w}
    return np.array([u3, u4, g(net5)]), 0.5 * (target - g(net5)) ** 2, np.array([d3, d4, d5]), change


@worked_example.mistake(
    "δ₄ (or δ₃) uses the slope at net₅, as deck E prints it. On its way back into a hidden unit the signal passes that unit's "
    "own bend: at which net?"
)
def hidden_slope_at_net5(weights, x, target, name, rate):
    def g(net):
        return float(max(net, 0.0) if name == "relu" else 1 / (1 + np.exp(-net)))

    def slope(net):
        return float(net > 0) if name == "relu" else g(net) * (1 - g(net))

    w, (x1, x2) = weights, x
    net3, net4 = w["w03"] + w["w13"] * x1 + w["w23"] * x2, w["w04"] + w["w14"] * x1 + w["w24"] * x2
    u3, u4 = g(net3), g(net4)
    net5 = w["w05"] + w["w35"] * u3 + w["w45"] * u4
    d5 = -(target - g(net5)) * slope(net5)
    d3, d4 = d5 * w["w35"] * slope(net3), d5 * w["w45"] * slope(net5)
    says, delta = {"0": 1.0, "1": x1, "2": x2, "3": u3, "4": u4}, {"3": d3, "4": d4, "5": d5}
    change = {key: -rate * delta[key[2]] * says[key[1]] for key in w}
    return np.array([u3, u4, g(net5)]), 0.5 * (target - g(net5)) ** 2, np.array([d3, d4, d5]), change


@worked_example.mistake(
    "The output weights were changed first, and the hidden signals then went back through the new ones. The gradient belongs to "
    "the weights that made the prediction: when may the old ones be overwritten?"
)
def goes_back_through_changed_weights(weights, x, target, name, rate):
    def g(net):
        return float(max(net, 0.0) if name == "relu" else 1 / (1 + np.exp(-net)))

    def slope(net):
        return float(net > 0) if name == "relu" else g(net) * (1 - g(net))

    w, (x1, x2) = weights, x
    net3, net4 = w["w03"] + w["w13"] * x1 + w["w23"] * x2, w["w04"] + w["w14"] * x1 + w["w24"] * x2
    u3, u4 = g(net3), g(net4)
    net5 = w["w05"] + w["w35"] * u3 + w["w45"] * u4
    d5 = -(target - g(net5)) * slope(net5)
    d3, d4 = d5 * (w["w35"] - rate * d5 * u3) * slope(net3), d5 * (w["w45"] - rate * d5 * u4) * slope(net4)
    says, delta = {"0": 1.0, "1": x1, "2": x2, "3": u3, "4": u4}, {"3": d3, "4": d4, "5": d5}
    change = {key: -rate * delta[key[2]] * says[key[1]] for key in w}
    return np.array([u3, u4, g(net5)]), 0.5 * (target - g(net5)) ** 2, np.array([d3, d4, d5]), change


@worked_example.mistake(
    "The output signal lacks g′(net₅): the error target − u₅ is sent back as it is. The loss depends on net₅ through u₅ = "
    "g(net₅); which factor does the chain rule put between them?"
)
def output_signal_without_slope(weights, x, target, name, rate):
    def g(net):
        return float(max(net, 0.0) if name == "relu" else 1 / (1 + np.exp(-net)))

    def slope(net):
        return float(net > 0) if name == "relu" else g(net) * (1 - g(net))

    w, (x1, x2) = weights, x
    net3, net4 = w["w03"] + w["w13"] * x1 + w["w23"] * x2, w["w04"] + w["w14"] * x1 + w["w24"] * x2
    u3, u4 = g(net3), g(net4)
    net5 = w["w05"] + w["w35"] * u3 + w["w45"] * u4
    d5 = -(target - g(net5))
    d3, d4 = d5 * w["w35"] * slope(net3), d5 * w["w45"] * slope(net4)
    says, delta = {"0": 1.0, "1": x1, "2": x2, "3": u3, "4": u4}, {"3": d3, "4": d4, "5": d5}
    change = {key: -rate * delta[key[2]] * says[key[1]] for key in w}
    return np.array([u3, u4, g(net5)]), 0.5 * (target - g(net5)) ** 2, np.array([d3, d4, d5]), change


@worked_example.variant
def with_matrices(weights, x, target, name, rate):
    w = weights
    w1, b1 = np.array([[w["w13"], w["w14"]], [w["w23"], w["w24"]]]), np.array([w["w03"], w["w04"]])
    w2, b2 = np.array([[w["w35"]], [w["w45"]]]), np.array([w["w05"]])
    row = np.array([x])
    z1 = row @ w1 + b1
    h = bend(z1, name)
    z2 = h @ w2 + b2
    y = bend(z2, name)
    slopes = [(z > 0) if name == "relu" else bend(z, name) * (1 - bend(z, name)) for z in (z1, z2)]
    grad_z2 = (y - target) * slopes[1]
    grad_z1 = (grad_z2 @ w2.T) * slopes[0]
    grad_w1, grad_w2 = row.T @ grad_z1, h.T @ grad_z2
    grads = [*grad_z1[0], grad_z2[0, 0], grad_w1[0, 0], grad_w1[0, 1], grad_w1[1, 0], grad_w1[1, 1], *grad_w2[:, 0]]
    keys = ["w03", "w04", "w05", "w13", "w14", "w23", "w24", "w35", "w45"]
    change = {key: -rate * float(grad) for key, grad in zip(keys, grads, strict=True)}
    u, delta = np.concatenate([h[0], y[0]]), np.concatenate([grad_z1[0], grad_z2[0]])
    return u, float((target - y[0, 0]) ** 2 / 2), delta, change


@worked_example.variant
def each_change_written_out(weights, x, target, name, rate):
    w = weights
    net = {3: w["w03"] + w["w13"] * x[0] + w["w23"] * x[1], 4: w["w04"] + w["w14"] * x[0] + w["w24"] * x[1]}
    u = {0: 1.0, 1: x[0], 2: x[1], 3: 0.0, 4: 0.0, 5: 0.0}
    slope = {}
    for unit in (3, 4, 5):
        if unit == 5:
            net[5] = w["w05"] + w["w35"] * u[3] + w["w45"] * u[4]
        if name == "relu":
            u[unit], slope[unit] = max(0.0, net[unit]), 1.0 if net[unit] > 0 else 0.0
        else:
            u[unit] = 1 / (1 + math.exp(-net[unit]))
            slope[unit] = u[unit] - u[unit] ** 2
    delta = {5: (u[5] - target) * slope[5]}
    for unit in (3, 4):
        delta[unit] = slope[unit] * w[f"w{unit}5"] * delta[5]
    change = {}
    for key in w:
        start, end = int(key[1]), int(key[2])
        change[key] = -(rate * delta[end] * u[start])
    return np.array([u[3], u[4], u[5]]), 0.5 * (u[5] - target) ** 2, np.array([delta[3], delta[4], delta[5]]), change


@worked_example.variant
def derivatives_by_torch(weights, x, target, name, rate):
    import torch

    w = {key: torch.tensor(value, dtype=torch.float64, requires_grad=True) for key, value in weights.items()}
    g = torch.relu if name == "relu" else torch.sigmoid
    net3 = w["w03"] + w["w13"] * x[0] + w["w23"] * x[1]
    net4 = w["w04"] + w["w14"] * x[0] + w["w24"] * x[1]
    net5 = w["w05"] + w["w35"] * g(net3) + w["w45"] * g(net4)
    for net in (net3, net4, net5):
        net.retain_grad()
    loss = 0.5 * (target - g(net5)) ** 2
    loss.backward()
    u = np.array([g(net).item() for net in (net3, net4, net5)])
    delta = np.array([net.grad.item() for net in (net3, net4, net5)])
    return u, loss.item(), delta, {key: -rate * value.grad.item() for key, value in w.items()}


# ---- mlp_backward ----------------------------------------------------------------------------------------------------
@exercise(ref.mlp_backward, points=4)
def mlp_backward(rng: np.random.Generator) -> Iterator[Case]:
    """Send a gradient backwards through K layers and collect the gradients of all parameters."""
    for label, batch, widths, names in [
        ("one layer", 3, (2, 4), ["tanh"]),
        ("all sizes equal", 3, (3, 3, 3), ["sigmoid", "identity"]),
        ("two uneven layers", 5, (2, 4, 3), ["relu", "identity"]),
        ("four layers, one row", 1, (3, 5, 2, 4, 1), ["tanh", "relu", "sigmoid", "identity"]),
        ("four layers", 6, (3, 4, 5, 2, 3), ["relu", "tanh", "tanh", "sigmoid"]),
    ]:
        layers = [(rng.normal(size=(i, o)), rng.normal(size=o)) for i, o in pairwise(widths)]
        _, stored = ref.mlp_forward(rng.normal(size=(batch, widths[0])), layers, names)
        grad_y = rng.normal(size=(batch, widths[-1]))
        yield case(label, grad_y=grad_y, stored=stored, layers=layers, activations=names)


def from_the_stored_input(
    stored: list[tuple[np.ndarray, np.ndarray]],
    layers: list[tuple[np.ndarray, np.ndarray]],
    activations: list[str],
) -> np.ndarray:
    """The network's output for the input that was stored."""
    return ref.mlp_forward(stored[0][0], layers, activations)[0]


mlp_backward.gradient_of(from_the_stored_input, wrt=("layers",), upstream="grad_y")


@mlp_backward.mistake(
    "The bends are missing on the way back: the signal passes from layer to layer through the weights alone. Each h was made "
    "from its z by an activation; what does that do to the signal?"
)
def without_the_slopes(grad_y, stored, layers, activations):
    grad, grads = grad_y, []
    for (h_before, _), (w, _) in zip(stored[::-1], layers[::-1], strict=True):
        grads.append((h_before.T @ grad, grad.sum(axis=0)))
        grad = grad @ w.T
    return grads[::-1]


@mlp_backward.mistake(
    "The pairs come in the order in which you met them, last layer first. The caller lays them beside `layers`: which "
    "order does it expect?"
)
def last_layer_first(grad_y, stored, layers, activations):
    slopes = {
        "identity": lambda z: 1.0,
        "sigmoid": lambda z: stable_sigmoid(z) * stable_sigmoid(-z),
        "tanh": lambda z: 1 - np.tanh(z) ** 2,
        "relu": lambda z: z > 0,
    }
    grad, grads = grad_y, []
    for (h_before, z), (w, _), name in zip(stored[::-1], layers[::-1], activations[::-1], strict=True):
        grad_z = grad * slopes[name](z)
        grads.append((h_before.T @ grad_z, grad_z.sum(axis=0)))
        grad = grad_z @ w.T
    return grads


@mlp_backward.mistake(
    "The gradients are divided by the batch size here as well. Whether the loss is a mean or a sum is settled where the loss is "
    "computed; grad_y carries that factor already."
)
def divides_by_the_batch_again(grad_y, stored, layers, activations):
    slopes = {
        "identity": lambda z: 1.0,
        "sigmoid": lambda z: stable_sigmoid(z) * stable_sigmoid(-z),
        "tanh": lambda z: 1 - np.tanh(z) ** 2,
        "relu": lambda z: z > 0,
    }
    grad, grads = grad_y, []
    for (h_before, z), (w, _), name in zip(stored[::-1], layers[::-1], activations[::-1], strict=True):
        grad_z = grad * slopes[name](z)
        grads.append((h_before.T @ grad_z / len(grad_z), grad_z.mean(axis=0)))
        grad = grad_z @ w.T
    return grads[::-1]


@mlp_backward.mistake(
    "The layers are walked backwards but the names of the activations forwards, so a layer is given another layer's bend. "
    "Which three lists must turn round together?"
)
def names_in_forward_order(grad_y, stored, layers, activations):
    slopes = {
        "identity": lambda z: 1.0,
        "sigmoid": lambda z: stable_sigmoid(z) * stable_sigmoid(-z),
        "tanh": lambda z: 1 - np.tanh(z) ** 2,
        "relu": lambda z: z > 0,
    }
    grad, grads = grad_y, []
    for (h_before, z), (w, _), name in zip(stored[::-1], layers[::-1], activations, strict=True):
        grad_z = grad * slopes[name](z)
        grads.append((h_before.T @ grad_z, grad_z.sum(axis=0)))
        grad = grad_z @ w.T
    return grads[::-1]


@mlp_backward.mistake(
    "The layer's own gradients are right, but what goes on to the layer below is grad_h·Wᵀ, from before the bend. Which "
    "gradient stands directly above z = hW + b, that of h or that of z?"
)
def hands_on_the_gradient_before_the_bend(grad_y, stored, layers, activations):
    slopes = {
        "identity": lambda z: 1.0,
        "sigmoid": lambda z: stable_sigmoid(z) * stable_sigmoid(-z),
        "tanh": lambda z: 1 - np.tanh(z) ** 2,
        "relu": lambda z: z > 0,
    }
    grad, grads = grad_y, []
    for (h_before, z), (w, _), name in zip(stored[::-1], layers[::-1], activations[::-1], strict=True):
        grad_z = grad * slopes[name](z)
        grads.append((h_before.T @ grad_z, grad_z.sum(axis=0)))
        grad = grad @ w.T
    return grads[::-1]


@mlp_backward.variant
def by_index(grad_y, stored, layers, activations):
    grads = [None] * len(layers)
    signal = grad_y
    for k in range(len(layers) - 1, -1, -1):
        h_before, z = stored[k]
        if activations[k] == "relu":
            signal = np.where(z > 0, signal, 0.0)
        elif activations[k] == "tanh":
            signal = signal * (1 - np.tanh(z) ** 2)
        elif activations[k] == "sigmoid":
            signal = signal * bend(z, "sigmoid") * (1 - bend(z, "sigmoid"))
        grads[k] = (np.einsum("ni,no->io", h_before, signal), np.einsum("no->o", signal))
        signal = np.einsum("no,io->ni", signal, layers[k][0])
    return grads


@mlp_backward.variant
def by_recursion(grad_y, stored, layers, activations):
    if not layers:
        return []
    (h_before, z), (w, _) = stored[-1], layers[-1]
    h = bend(z, activations[-1])
    slope = {"identity": np.ones_like(z), "relu": np.sign(h), "tanh": 1 - h**2, "sigmoid": h - h**2}[activations[-1]]
    grad_z = grad_y * slope
    before = by_recursion(grad_z @ w.T, stored[:-1], layers[:-1], activations[:-1])
    return [*before, ((grad_z.T @ h_before).T, np.ones(len(z)) @ grad_z)]


@mlp_backward.variant
def deck_b_sample_by_sample_in_columns(grad_y, stored, layers, activations):
    grads = [(np.zeros_like(w), np.zeros_like(b)) for w, b in layers]
    for n in range(len(grad_y)):
        a_grad = grad_y[n][:, None]
        for k in reversed(range(len(layers))):
            z = stored[k][1][n][:, None]
            if activations[k] == "sigmoid":
                delta = a_grad / (2 + np.exp(z) + np.exp(-z))
            elif activations[k] == "tanh":
                delta = a_grad / np.cosh(z) ** 2
            elif activations[k] == "relu":
                delta = a_grad * np.heaviside(z, 0.0)
            else:
                delta = a_grad
            grads[k][0][...] += (delta @ stored[k][0][n][None, :]).T
            grads[k][1][...] += delta[:, 0]
            a_grad = layers[k][0] @ delta
    return grads


@mlp_backward.variant
def asking_torch(grad_y, stored, layers, activations):
    import torch

    pairs = [(torch.tensor(w, requires_grad=True), torch.tensor(b, requires_grad=True)) for w, b in layers]
    h = torch.tensor(stored[0][0])
    for (w, b), name in zip(pairs, activations, strict=True):
        z = h @ w + b
        h = z if name == "identity" else getattr(torch, name)(z)
    h.backward(torch.tensor(grad_y))
    return [(w.grad.numpy(), b.grad.numpy()) for w, b in pairs]


# ---- residual_backward -----------------------------------------------------------------------------------------------
@exercise(ref.residual_backward, points=3, returns=("grad_x", "grad_w1", "grad_w2", "grad_w4"))
def residual_backward(rng: np.random.Generator) -> Iterator[Case]:
    """Send a gradient backwards through a network whose third layer adds the first to the second."""
    for label, batch, inputs, units, classes in [
        ("all sizes equal", 4, 4, 4, 4),
        ("uneven", 5, 3, 4, 2),
        ("one row", 1, 2, 6, 3),
        ("more rows than units", 7, 2, 3, 5),
    ]:
        yield case(
            label,
            grad_logits=rng.normal(size=(batch, classes)),
            x=rng.normal(size=(batch, inputs)),
            w1=rng.normal(size=(inputs, units)),
            w2=rng.normal(size=(units, units)),
            w4=rng.normal(size=(units, classes)),
        )
    x, w2 = rng.normal(size=(3, 2)), rng.normal(size=(3, 3))
    x[0], w2[:, 0] = 0.0, 0.0
    yield case(
        "units that stand at 0 exactly",
        grad_logits=rng.normal(size=(3, 2)),
        x=x,
        w1=rng.normal(size=(2, 3)),
        w2=w2,
        w4=rng.normal(size=(3, 2)),
    )


residual_backward.gradient_of(ref.residual_forward, wrt=("x", "w1", "w2", "w4"), upstream="grad_logits")


@residual_backward.mistake(
    "The skip is forgotten: h1 is read twice, by layer 2 and by the sum h3 = h2 + h1. How many roads lead from h1 to the "
    "loss, and what does a value with two readers get?"
)
def forgets_the_skip(grad_logits, x, w1, w2, w4):
    s1 = x @ w1
    h1 = np.maximum(s1, 0.0)
    s2 = h1 @ w2
    h3 = np.maximum(s2, 0.0) + h1
    grad_s2 = (grad_logits @ w4.T) * (s2 > 0)
    grad_s1 = (grad_s2 @ w2.T) * (s1 > 0)
    return grad_s1 @ w1.T, x.T @ grad_s1, h1.T @ grad_s2, h3.T @ grad_logits


@residual_backward.mistake(
    "Only the skip's share reaches h1; what came through layer 2 was overwritten (or went to another name, as on deck A's "
    "slide). Two contributions to one value: is the second assigned, or added?"
)
def overwrites_instead_of_adding(grad_logits, x, w1, w2, w4):
    s1 = x @ w1
    h1 = np.maximum(s1, 0.0)
    s2 = h1 @ w2
    h3 = np.maximum(s2, 0.0) + h1
    grad_h3 = grad_logits @ w4.T
    grad_s2 = grad_h3 * (s2 > 0)
    grad_s1 = grad_h3 * (s1 > 0)
    return grad_s1 @ w1.T, x.T @ grad_s1, h1.T @ grad_s2, h3.T @ grad_logits


@residual_backward.mistake(
    "The skip's share is added below the first bend, to the gradient of s1. The skip starts at h1, above that bend: which "
    "units of layer 1 should get nothing at all?"
)
def skip_joins_below_the_bend(grad_logits, x, w1, w2, w4):
    s1 = x @ w1
    h1 = np.maximum(s1, 0.0)
    s2 = h1 @ w2
    h3 = np.maximum(s2, 0.0) + h1
    grad_h3 = grad_logits @ w4.T
    grad_s2 = grad_h3 * (s2 > 0)
    grad_s1 = (grad_s2 @ w2.T) * (s1 > 0) + grad_h3
    return grad_s1 @ w1.T, x.T @ grad_s1, h1.T @ grad_s2, h3.T @ grad_logits


@residual_backward.mistake(
    "The skip's share went through the bend of layer 2 first. The skip leads around layer 2: does the forward signal on it "
    "meet that ReLU?"
)
def skip_through_the_second_bend(grad_logits, x, w1, w2, w4):
    s1 = x @ w1
    h1 = np.maximum(s1, 0.0)
    s2 = h1 @ w2
    h3 = np.maximum(s2, 0.0) + h1
    grad_s2 = (grad_logits @ w4.T) * (s2 > 0)
    grad_s1 = (grad_s2 @ w2.T + grad_s2) * (s1 > 0)
    return grad_s1 @ w1.T, x.T @ grad_s1, h1.T @ grad_s2, h3.T @ grad_logits


@residual_backward.mistake(
    "The road back through layer 2 uses w2 as it stands. It is square, so nothing complains: write the shapes as (units, "
    "units of the next layer) and see which way a gradient has to cross it."
)
def without_the_transpose_of_w2(grad_logits, x, w1, w2, w4):
    s1 = x @ w1
    h1 = np.maximum(s1, 0.0)
    s2 = h1 @ w2
    h3 = np.maximum(s2, 0.0) + h1
    grad_h3 = grad_logits @ w4.T
    grad_s2 = grad_h3 * (s2 > 0)
    grad_s1 = (grad_s2 @ w2 + grad_h3) * (s1 > 0)
    return grad_s1 @ w1.T, x.T @ grad_s1, h1.T @ grad_s2, h3.T @ grad_logits


@residual_backward.mistake(
    "Whether the ReLU of layer 2 is awake was read off h3. But h3 = h2 + h1 is positive whenever h1 is. Which number did that "
    "ReLU itself look at?"
)
def asks_h3_whether_layer_2_is_awake(grad_logits, x, w1, w2, w4):
    s1 = x @ w1
    h1 = np.maximum(s1, 0.0)
    s2 = h1 @ w2
    h3 = np.maximum(s2, 0.0) + h1
    grad_h3 = grad_logits @ w4.T
    grad_s2 = grad_h3 * (h3 > 0)
    grad_s1 = (grad_s2 @ w2.T + grad_h3) * (s1 > 0)
    return grad_s1 @ w1.T, x.T @ grad_s1, h1.T @ grad_s2, h3.T @ grad_logits


@residual_backward.variant
def one_road_after_the_other(grad_logits, x, w1, w2, w4):
    h1 = np.maximum(x @ w1, 0.0)
    h2 = np.maximum(h1 @ w2, 0.0)
    signal = np.dot(grad_logits, w4.T)
    total = signal.copy()  # the skip
    total += np.where(h2 > 0, signal, 0.0) @ w2.T  # through layer 2
    total[h1 == 0] = 0.0
    grad_w2 = h1.T @ np.where(h2 > 0, signal, 0.0)
    return total @ w1.T, x.T @ total, grad_w2, (h2 + h1).T @ grad_logits


@residual_backward.variant
def with_einsum_row_by_row(grad_logits, x, w1, w2, w4):
    grads = [np.zeros_like(part) for part in (x, w1, w2, w4)]
    for n in range(len(x)):
        on1 = np.diag((x[n] @ w1 > 0).astype(float))
        h1 = x[n] @ w1 @ on1
        on2 = np.diag((h1 @ w2 > 0).astype(float))
        h3 = h1 @ w2 @ on2 + h1
        g3 = w4 @ grad_logits[n]
        g2 = on2 @ g3
        g1 = on1 @ (np.eye(len(g2)) + w2 @ on2) @ g3
        grads[0][n] = w1 @ g1
        grads[1] += np.einsum("i,o->io", x[n], g1)
        grads[2] += np.einsum("i,o->io", h1, g2)
        grads[3] += np.einsum("i,o->io", h3, grad_logits[n])
    return tuple(grads)


@residual_backward.variant
def asking_torch_for_the_skip(grad_logits, x, w1, w2, w4):
    import torch

    leaves = [torch.tensor(part, requires_grad=True) for part in (x, w1, w2, w4)]
    h1 = torch.relu(leaves[0] @ leaves[1])
    logits = (torch.relu(h1 @ leaves[2]) + h1) @ leaves[3]
    logits.backward(torch.tensor(grad_logits))
    return tuple(leaf.grad.numpy() for leaf in leaves)


# ---- find_the_slide_bugs ---------------------------------------------------------------------------------------------
@exercise(ref.find_the_slide_bugs, points=5, rtol=1e-11, atol=1e-13)
def find_the_slide_bugs(rng: np.random.Generator) -> Iterator[Case]:
    """Give the right gradient for fifteen formulas of the decks: the printed one where it is right, else your own."""
    for name, (at, given) in ref.slide_examples(rng).items():
        yield case(name=name, at=at.copy(), given={key: value.copy() for key, value in given.items()})
    far = np.array([1000.0, -1000.0, 800.0, -800.0])
    yield case("far out", name="A logistic", at=far, given={"answer": np.array([1.0, 1.0, -1.0, -1.0])})


find_the_slide_bugs.gradient_of(ref.meant_loss, wrt=("at",))


@find_the_slide_bugs.mistake(
    "Every formula is taken as printed. Move one entry of `at` by 0.00001 either way, watch what meant_loss does, and compare: "
    "only three of the fifteen survive."
)
def trusts_the_slides(name, at, given):
    return printed_formula(name, at, given)


@find_the_slide_bugs.mistake(
    '"A squared" is as printed, answer − output; all others are right. At an output above its answer, does the loss rise or '
    "fall with the output?"
)
def answer_minus_output(name, at, given):
    p, s = given, stable_sigmoid
    right = {
        "A logistic": lambda: -p["answer"] * s(-p["answer"] * at),
        "A cross-entropy": lambda: -p["answer"] / at,
        "A hidden weights": lambda: p["h"].T @ (p["grad_h"] * s(p["h"] @ at) * s(-p["h"] @ at)),
        "A residual": lambda: (p["grad_h3"] * (at @ p["w2"] > 0)) @ p["w2"].T + p["grad_h3"],
        "B cross-entropy": lambda: -p["answer"] / at + (1 - p["answer"]) / (1 - at),
        "B weights": lambda: p["a"].T @ p["delta"],
        "D weights": lambda: p["x"].T @ (np.exp(p["x"] @ at) / np.exp(p["x"] @ at).sum(1)[:, None] - p["answer"]),
        "E norm": lambda: 2 * (at - p["answer"]),
        "E node": lambda: 2 * (at + p["rest"] - p["answer"]),
        "E hidden unit": lambda: p["delta5"] * p["w45"] * s(at) * s(-at),
        "E weight": lambda: p["delta3"] * p["x1"],
    }
    return right[name]() if name in right else printed_formula(name, at, given)


@find_the_slide_bugs.mistake(
    '"A residual" has the road through layer 2 but no longer the skip; all others are right. h3 = h2 + h1 reads h1 directly as '
    "well: what does that road carry?"
)
def mends_one_road_and_loses_the_other(name, at, given):
    p, s = given, stable_sigmoid
    right = {
        "A squared": lambda: at - p["answer"],
        "A logistic": lambda: -p["answer"] * s(-p["answer"] * at),
        "A cross-entropy": lambda: -p["answer"] / at,
        "A hidden weights": lambda: p["h"].T @ (p["grad_h"] * s(p["h"] @ at) * s(-p["h"] @ at)),
        "A residual": lambda: (p["grad_h3"] * (at @ p["w2"] > 0)) @ p["w2"].T,
        "B cross-entropy": lambda: -p["answer"] / at + (1 - p["answer"]) / (1 - at),
        "B weights": lambda: p["a"].T @ p["delta"],
        "D weights": lambda: p["x"].T @ (np.exp(p["x"] @ at) / np.exp(p["x"] @ at).sum(1)[:, None] - p["answer"]),
        "E norm": lambda: 2 * (at - p["answer"]),
        "E node": lambda: 2 * (at + p["rest"] - p["answer"]),
        "E hidden unit": lambda: p["delta5"] * p["w45"] * s(at) * s(-at),
        "E weight": lambda: p["delta3"] * p["x1"],
    }
    return right[name]() if name in right else printed_formula(name, at, given)


@find_the_slide_bugs.mistake(
    '"A logistic" is right near 0 and NaN far out: with the exponential above and below, ∞/∞ comes out. Divide both by it, or '
    "recognise the sigmoid; all others are right."
)
def logistic_overflows(name, at, given):
    p, s = given, stable_sigmoid
    right = {
        "A squared": lambda: at - p["answer"],
        "A logistic": lambda: -p["answer"] * np.exp(-p["answer"] * at) / (1 + np.exp(-p["answer"] * at)),
        "A cross-entropy": lambda: -p["answer"] / at,
        "A hidden weights": lambda: p["h"].T @ (p["grad_h"] * s(p["h"] @ at) * s(-p["h"] @ at)),
        "A residual": lambda: (p["grad_h3"] * (at @ p["w2"] > 0)) @ p["w2"].T + p["grad_h3"],
        "B cross-entropy": lambda: -p["answer"] / at + (1 - p["answer"]) / (1 - at),
        "B weights": lambda: p["a"].T @ p["delta"],
        "D weights": lambda: p["x"].T @ (np.exp(p["x"] @ at) / np.exp(p["x"] @ at).sum(1)[:, None] - p["answer"]),
        "E norm": lambda: 2 * (at - p["answer"]),
        "E node": lambda: 2 * (at + p["rest"] - p["answer"]),
        "E hidden unit": lambda: p["delta5"] * p["w45"] * s(at) * s(-at),
        "E weight": lambda: p["delta3"] * p["x1"],
    }
    return right[name]() if name in right else printed_formula(name, at, given)


@find_the_slide_bugs.mistake(
    '"D weights" and "E weight" still point the wrong way: their signs belong to the step, not to the gradient; all others are '
    "right. If the right class gets too little, should its weights' gradient be positive?"
)
def steps_taken_for_gradients(name, at, given):
    p, s = given, stable_sigmoid
    right = {
        "A squared": lambda: at - p["answer"],
        "A logistic": lambda: -p["answer"] * s(-p["answer"] * at),
        "A cross-entropy": lambda: -p["answer"] / at,
        "A hidden weights": lambda: p["h"].T @ (p["grad_h"] * s(p["h"] @ at) * s(-p["h"] @ at)),
        "A residual": lambda: (p["grad_h3"] * (at @ p["w2"] > 0)) @ p["w2"].T + p["grad_h3"],
        "B cross-entropy": lambda: -p["answer"] / at + (1 - p["answer"]) / (1 - at),
        "B weights": lambda: p["a"].T @ p["delta"],
        "D weights": lambda: p["x"].T @ (p["answer"] - np.exp(p["x"] @ at) / np.exp(p["x"] @ at).sum(1)[:, None]),
        "E norm": lambda: 2 * (at - p["answer"]),
        "E node": lambda: 2 * (at + p["rest"] - p["answer"]),
        "E hidden unit": lambda: p["delta5"] * p["w45"] * s(at) * s(-at),
        "E weight": lambda: -p["delta3"] * p["x1"],
    }
    return right[name]() if name in right else printed_formula(name, at, given)


@find_the_slide_bugs.variant
def all_fifteen_derived(name, at, given):
    p, s = given, stable_sigmoid
    right = {
        "A squared": lambda: -(p["answer"] - at),
        "A logistic": lambda: -p["answer"] * 0.5 * (1 - np.tanh(p["answer"] * at / 2)),
        "A cross-entropy": lambda: -np.divide(p["answer"], at),
        "A output weights": lambda: np.einsum("ni,no->io", p["h"], p["grad_s"]),
        "A hidden weights": lambda: p["h"].T @ (p["grad_h"] * s(p["h"] @ at) * (1 - s(p["h"] @ at))),
        "A residual": lambda: p["grad_h3"] + np.where(at @ p["w2"] > 0, p["grad_h3"], 0.0) @ p["w2"].T,
        "B cross-entropy": lambda: (at - p["answer"]) / (at * (1 - at)),
        "B weights": lambda: (p["delta"].T @ p["a"]).T,
        "D weights": lambda: (
            p["x"].T @ (np.exp(p["x"] @ at - np.logaddexp.reduce(p["x"] @ at, axis=1, keepdims=True)) - p["answer"])
        ),
        "D output": lambda: 0.5 * (1 + np.tanh(at / 2)) - p["answer"],
        "E norm": lambda: 2 * at - 2 * p["answer"],
        "E node": lambda: -2 * (p["answer"] - at - p["rest"]),
        "E matrix": lambda: 2 * (p["x"] @ at @ p["x"] + p["rest"] - p["answer"]) * p["x"][:, None] * p["x"][None, :],
        "E hidden unit": lambda: p["delta5"] * p["w45"] * (s(at) - s(at) ** 2),
        "E weight": lambda: p["x1"] * p["delta3"],
    }
    return right[name]()


@find_the_slide_bugs.variant
def by_deck(name, at, given):
    deck, _, topic = name.partition(" ")
    answer = given.get("answer")
    if topic in ("squared", "norm"):
        return (at - answer) * (1 if deck == "A" else 2)
    if topic == "logistic":
        margin = answer * at
        return -answer * np.where(margin < 0, 1.0, np.exp(-np.abs(margin))) / (1 + np.exp(-np.abs(margin)))
    if topic == "cross-entropy":
        return -answer / at + (0 if deck == "A" else (1 - answer) / (1 - at))
    if topic == "hidden weights":
        f = bend(given["h"] @ at, "sigmoid")
        return given["h"].T @ (given["grad_h"] * (f - f * f))
    if topic == "residual":
        awake = np.sign(np.maximum(at @ given["w2"], 0.0))
        return np.einsum("no,io->ni", given["grad_h3"] * awake, given["w2"]) + given["grad_h3"]
    if topic == "weights" and deck == "B":
        return np.einsum("ni,no->io", given["a"], given["delta"])
    if topic == "weights" and deck == "D":
        e = np.exp(given["x"] @ at)
        return given["x"].T @ (e / e.sum(axis=1)[:, None] - answer)
    if topic == "node":
        return 2 * (at + given["rest"] - answer)
    if topic == "hidden unit":
        return given["delta5"] * given["w45"] / (2 + np.exp(at) + np.exp(-at))
    if topic == "weight":
        return given["delta3"] * given["x1"]
    return printed_formula(name, at, given)


@find_the_slide_bugs.variant
def asking_torch_for_each(name, at, given):
    import torch

    leaf = torch.tensor(at, requires_grad=True)
    p = {key: torch.tensor(value) for key, value in given.items()}
    s, f = torch.sigmoid, torch.nn.functional
    losses = {
        "A squared": lambda: 0.5 * f.mse_loss(leaf, p["answer"], reduction="sum"),
        "A logistic": lambda: -f.logsigmoid(p["answer"] * leaf),
        "A cross-entropy": lambda: -p["answer"] * leaf.log(),
        "A output weights": lambda: p["grad_s"] * (p["h"] @ leaf),
        "A hidden weights": lambda: p["grad_h"] * s(p["h"] @ leaf),
        "A residual": lambda: p["grad_h3"] * (torch.relu(leaf @ p["w2"]) + leaf),
        "B cross-entropy": lambda: f.binary_cross_entropy(leaf, p["answer"], reduction="sum"),
        "B weights": lambda: p["delta"] * (p["a"] @ leaf),
        "D weights": lambda: f.cross_entropy(p["x"] @ leaf, p["answer"], reduction="sum"),
        "D output": lambda: f.binary_cross_entropy_with_logits(leaf, p["answer"], reduction="sum"),
        "E norm": lambda: f.mse_loss(leaf, p["answer"], reduction="sum"),
        "E node": lambda: (leaf + p["rest"] - p["answer"]) ** 2,
        "E matrix": lambda: (p["x"] @ leaf @ p["x"] + p["rest"] - p["answer"]) ** 2,
        "E hidden unit": lambda: p["delta5"] * p["w45"] * s(leaf),
        "E weight": lambda: p["delta3"] * p["x1"] * leaf,
    }
    losses[name]().sum().backward()
    return leaf.grad.numpy()


# ---- graded by a person ----------------------------------------------------------------------------------------------
explanation(
    "why_errors_travel_backwards",
    points=3,
    question="""
    A network has two layers, h = tanh(xW₁ + b₁) and logits = hW₂ + b₂, with softmax and the mean cross-entropy over a
    batch of N rows.

    1. Derive ∂loss/∂W₁ from the loss backwards, one factor at a time, with the shape of every factor. Where is the 1/N?
    2. "What is the core principle of back-propagation, and what does the chain rule do in it?" (an interview question of
       deck E). Say in your answer why all gradients together cost about as much as two more forward passes and not two
       forward passes for each weight.
    3. All weights and biases start at 0. Which gradients are 0, which are not, and why does training never get
       beyond predicting the same distribution for every x?
    """,
    rubric=(
        (
            1,
            "grad_logits = (ŷ − y)/N with (N, classes), grad_h = grad_logits·W₂ᵀ, grad_z = grad_h ⊙ (1 − h²), "
            "grad_W₁ = xᵀ·grad_z, with shapes; the 1/N comes once, from the mean in the loss",
        ),
        (
            1,
            "the chain rule writes the gradient as a product of local factors; going from the loss backwards each layer's "
            "grad_z is computed once and used for its weights and for everything below (two matrix products a layer), "
            "while differences repeat the whole forward pass for every weight",
        ),
        (
            1,
            "h = 0 and W₂ = 0, so grad_W₂ = hᵀ·grad_logits = 0 and grad_h = 0, hence W₁ and b₁ get 0 too; only b₂ gets a "
            "gradient, and it learns the shares of the classes, the same for every x",
        ),
    ),
    answer="""
    1. With N rows, n inputs, m hidden units, k classes: grad_logits = (ŷ − y)/N, (N, k), the 1/N from the mean; grad_h =
       grad_logits·W₂ᵀ, (N, k)·(k, m) = (N, m); grad_z₁ = grad_h ⊙ (1 − h²), (N, m), since tanh′ = 1 − tanh²;
       grad_W₁ = xᵀ·grad_z₁, (n, N)·(N, m) = (n, m). No further 1/N: the product adds the rows up.
    2. The loss is a chain of simple functions, and the chain rule makes its derivative a product of their derivatives.
       Taken from the loss backwards, the product so far, grad_z of a layer, is one array of the size of that layer; it gives
       the layer's own gradients and the signal for the layer below, and no factor is computed twice. That is two matrix
       products a layer where the forward pass has one. Differences would repeat two forward passes for each single weight.
    3. h = tanh(0) = 0, so grad_W₂ = hᵀ·grad_logits = 0. W₂ = 0, so grad_h = 0, and with it grad_W₁ and grad_b₁. Only
       grad_b₂ = the column sums of grad_logits is not 0. After the step h and W₂ are still 0, so this repeats: b₂ learns the
       logarithms of the class shares, and every x gets the same prediction.
    """,
)
