"""Chapter 06: gradients of every weight by hand, from the last layer back to the first."""

import numpy as np

from solutions.hidden_layers import stable_sigmoid


# ---- forward -------------------------------------------------------------------------------------------------------
def affine_forward(x: np.ndarray, w: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Weigh the inputs of every row and add the bias: x @ w + b.

    Args:
        x: (batch, inputs) float64, one sample a row.
        w: (inputs, outputs) float64.
        b: (outputs,) float64.

    Returns:
        (batch, outputs) float64.

    Source:
        Deck A, s = h·w; deck B, z = wa + b, restated with rows as samples.
    """
    return x @ w + b


def bend(z: np.ndarray, name: str) -> np.ndarray:
    """Apply one of six activation functions to every element.

    Args:
        z: float64, any shape.
        name: "identity", "sigmoid", "tanh", "relu", "leaky_relu" (slope 0.01 for z ≤ 0) or "softplus".

    Returns:
        float64, same shape as z.

    Raises:
        ValueError: the name is none of the six.

    Source:
        Chapter 3.
    """
    if name == "identity":
        return z.copy()
    if name == "sigmoid":
        return stable_sigmoid(z)
    if name == "tanh":
        return np.tanh(z)
    if name == "relu":
        return np.maximum(z, 0.0)
    if name == "leaky_relu":
        return np.where(z > 0, z, 0.01 * z)
    if name == "softplus":
        return np.logaddexp(0.0, z)
    raise ValueError(f"no activation is called {name!r}")


def mlp_forward(
    x: np.ndarray, layers: list[tuple[np.ndarray, np.ndarray]], activations: list[str]
) -> tuple[np.ndarray, list[tuple[np.ndarray, np.ndarray]]]:
    """Run a batch through K layers and store what the way back will need.

    Args:
        x: (batch, inputs) float64.
        layers: K pairs (w, b), first layer first; w (inputs, outputs) float64, b (outputs,) float64.
        activations: K names that `bend` knows.

    Returns:
        h: (batch, outputs of the last layer) float64, the network's output.
        stored: K pairs (what the layer read, its z before the activation), first layer first.

    Source:
        Chapter 3; deck B, "forward propagation".
    """
    h, stored = x, []
    for (w, b), name in zip(layers, activations, strict=True):
        z = h @ w + b  # (batch, outputs of this layer)
        stored.append((h, z))
        h = bend(z, name)
    return h, stored


def batch_cross_entropy(logits: np.ndarray, targets: np.ndarray) -> float:
    """Average, over the batch, how surprised softmax(logits) is by the right classes.

    Args:
        logits: (batch, classes) float64, any size.
        targets: (batch,) int64, the right class of each row.

    Returns:
        The mean of −log softmax(logits)[row, target], in nats.

    Source:
        Deck D, cross-entropy loss; deck E, −log P(y = y*|x).
    """
    shifted = logits - logits.max(axis=1, keepdims=True)  # (batch, classes), never above 0
    log_sum = np.log(np.exp(shifted).sum(axis=1))  # (batch,)
    return float(np.mean(log_sum - shifted[np.arange(len(targets)), targets]))


def residual_forward(x: np.ndarray, w1: np.ndarray, w2: np.ndarray, w4: np.ndarray) -> np.ndarray:
    """Run a batch through deck A's four-layer network with a skip, up to the logits.

    Args:
        x: (batch, inputs) float64.
        w1: (inputs, units) float64; w2: (units, units) float64; w4: (units, classes) float64.

    Returns:
        (batch, classes) float64: the logits that the softmax of layer 4 will read.

    Source:
        Deck A, "implementing back-propagation": h1 = relu(x w1), h2 = relu(h1 w2), h3 = h2 + h1, h4 = softmax(h3 w4).
    """
    h1 = np.maximum(x @ w1, 0.0)  # (batch, units)
    h2 = np.maximum(h1 @ w2, 0.0)  # (batch, units)
    h3 = h2 + h1  # (batch, units): the skip
    return h3 @ w4  # (batch, classes)


# ---- backward ------------------------------------------------------------------------------------------------------
def affine_backward(
    grad_y: np.ndarray, x: np.ndarray, w: np.ndarray, b: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pass a gradient backwards through y = x @ w + b.

    Args:
        grad_y: (batch, outputs) float64, ∂loss/∂y.
        x: (batch, inputs) float64, what the layer read.
        w: (inputs, outputs) float64.
        b: (outputs,) float64.

    Returns:
        grad_x: (batch, inputs) float64; grad_w: (inputs, outputs) float64; grad_b: (outputs,) float64.
        Each is ∂loss/∂(its name), summed over the batch where the batch shares the parameter.

    Source:
        Deck A, ∂L/∂w = [h]ᵀπ and ∂L/∂h = π[w]ᵀ; deck B for the bias.
    """
    grad_x = grad_y @ w.T  # (batch, outputs) · (outputs, inputs)
    grad_w = x.T @ grad_y  # (inputs, batch) · (batch, outputs)
    grad_b = grad_y.sum(axis=0)  # (outputs,): every row has added the same b
    return grad_x, grad_w, grad_b


def activation_backward(grad_h: np.ndarray, z: np.ndarray, name: str) -> np.ndarray:
    """Pass a gradient backwards through h = f(z), element by element.

    At its corner, z = 0, "relu" has slope 0 and "leaky_relu" slope 0.01.

    Args:
        grad_h: float64, any shape, ∂loss/∂h.
        z: float64, same shape, what the activation read; |z| up to 10,000.
        name: "identity", "sigmoid", "tanh", "relu", "leaky_relu" (slope 0.01 for z ≤ 0) or "softplus".

    Returns:
        float64, same shape: ∂loss/∂z = grad_h times f′(z).

    Raises:
        ValueError: the name is none of the six.

    Source:
        Deck A, π = ∂L/∂h · ∂f(s)/∂s; deck B, δ = ∇ₐJ ⊙ f′(z).
    """
    if name == "identity":
        return grad_h.copy()
    ### BEGIN SOLUTION
    if name == "sigmoid":
        h = stable_sigmoid(z)
        return grad_h * h * (1 - h)
    if name == "tanh":
        return grad_h * (1 - np.tanh(z) ** 2)
    if name == "relu":
        return grad_h * (z > 0)
    if name == "leaky_relu":
        return grad_h * np.where(z > 0, 1.0, 0.01)
    if name == "softplus":
        return grad_h * stable_sigmoid(z)
    ### END SOLUTION
    raise ValueError(f"no activation is called {name!r}")


def softmax_cross_entropy_backward(logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Give the gradient of the mean cross-entropy of softmax(logits) by the logits.

    Args:
        logits: (batch, classes) float64, from −1,000 to 1,000.
        targets: (batch,) int64, the right class of each row.

    Returns:
        (batch, classes) float64, finite: ∂loss/∂logits, where the loss is the mean over the batch.

    Source:
        Decks B and D: softmax with cross-entropy collapses to ŷ − y; the mean brings the 1/N.
    """
    e = np.exp(logits - logits.max(axis=1, keepdims=True))  # (batch, classes), never above 1
    y_hat = e / e.sum(axis=1, keepdims=True)  # (batch, classes)
    y = np.eye(logits.shape[1])[targets]  # (batch, classes): one-hot
    return (y_hat - y) / len(targets)


def worked_example(
    weights: dict[str, float], x: tuple[float, float], target: float, name: str, rate: float
) -> tuple[np.ndarray, float, np.ndarray, dict[str, float]]:
    """Take one learning step of a 2-2-1 network unit by unit, as on paper.

    Units 1 and 2 are the inputs, 3 and 4 the hidden units, 5 the output; unit 0 always says 1, so its weights are the
    biases. All three units use the same activation g; the loss is ½(target − u₅)².

    Args:
        weights: nine numbers; "w13" leads from unit 1 to unit 3, "w05" is the bias of unit 5, and so on.
        x: what units 1 and 2 say.
        target: what unit 5 should say.
        name: "relu" (slope 0 at 0) or "sigmoid".
        rate: learning rate η.

    Returns:
        u: (3,) float64, what units 3, 4, 5 say.
        loss: ½(target − u₅)².
        delta: (3,) float64, ∂loss/∂net of units 3, 4, 5.
        change: Δw = −η·∂loss/∂w by the keys of `weights`, for the weights as they were before the step.

    Source:
        Deck E, "in-class practice: MLP/BP", whose numbers are w03=1, w04=−6, w05=−4, w13=3, w14=6, w23=4, w24=5, w35=2,
        w45=4, x=(1, 0), target 1, η=1.
    """

    def g(net: float) -> float:
        return float(max(net, 0.0) if name == "relu" else 1 / (1 + np.exp(-net)))

    def slope(net: float) -> float:
        return float(net > 0) if name == "relu" else g(net) * (1 - g(net))

    w, (x1, x2) = weights, x
    net3 = w["w03"] + w["w13"] * x1 + w["w23"] * x2
    net4 = w["w04"] + w["w14"] * x1 + w["w24"] * x2
    u3, u4 = g(net3), g(net4)
    net5 = w["w05"] + w["w35"] * u3 + w["w45"] * u4
    u5 = g(net5)
    loss = 0.5 * (target - u5) ** 2
    ### BEGIN SOLUTION
    delta5 = -(target - u5) * slope(net5)
    delta3 = delta5 * w["w35"] * slope(net3)
    delta4 = delta5 * w["w45"] * slope(net4)
    says = {"0": 1.0, "1": x1, "2": x2, "3": u3, "4": u4}  # what the unit a weight comes from says
    delta = {"3": delta3, "4": delta4, "5": delta5}  # the signal at the unit a weight leads to
    change = {key: -rate * delta[key[2]] * says[key[1]] for key in w}
    ### END SOLUTION
    return np.array([u3, u4, u5]), loss, np.array([delta3, delta4, delta5]), change


def mlp_backward(
    grad_y: np.ndarray,
    stored: list[tuple[np.ndarray, np.ndarray]],
    layers: list[tuple[np.ndarray, np.ndarray]],
    activations: list[str],
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Send a gradient backwards through K layers and collect the gradients of all parameters.

    Args:
        grad_y: (batch, outputs of the last layer) float64, ∂loss/∂(output of the network).
        stored: K pairs (h_before, z) as `mlp_forward` returns them: what layer k read, (batch, inputs) float64, and
            its sum before the activation, (batch, outputs) float64.
        layers: the K pairs (w, b) of the forward pass.
        activations: their K names.

    Returns:
        K pairs (grad_w, grad_b), first layer first, each of its parameter's shape.

    Source:
        Deck B, "training a network with back-propagation"; deck A, πᵏ.
    """
    grad_h, grads = grad_y, []
    ### BEGIN SOLUTION
    for (h_before, z), (w, b), name in zip(stored[::-1], layers[::-1], activations[::-1], strict=True):
        grad_z = activation_backward(grad_h, z, name)  # (batch, outputs of this layer)
        grad_h, grad_w, grad_b = affine_backward(grad_z, h_before, w, b)  # grad_h is now that of the layer before
        grads.append((grad_w, grad_b))
    ### END SOLUTION
    return grads[::-1]


def residual_backward(
    grad_logits: np.ndarray, x: np.ndarray, w1: np.ndarray, w2: np.ndarray, w4: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Send a gradient backwards through deck A's network, h3 = h2 + h1 included; ReLU has slope 0 at 0.

    Args:
        grad_logits: (batch, classes) float64, ∂loss/∂(h3 @ w4).
        x: (batch, inputs) float64.
        w1: (inputs, units) float64; w2: (units, units) float64; w4: (units, classes) float64.

    Returns:
        grad_x: (batch, inputs) float64, and grad_w1, grad_w2, grad_w4 float64, each of its parameter's shape.

    Source:
        Deck A, "implementing back-propagation" (layer 4's softmax and the loss are in grad_logits).
    """
    s1 = x @ w1  # (batch, units)
    h1 = np.maximum(s1, 0.0)
    s2 = h1 @ w2  # (batch, units)
    h2 = np.maximum(s2, 0.0)
    h3 = h2 + h1
    ### BEGIN SOLUTION
    grad_h3 = grad_logits @ w4.T  # (batch, units)
    grad_s2 = grad_h3 * (s2 > 0)  # h2 gets all of grad_h3
    grad_h1 = grad_s2 @ w2.T + grad_h3  # two roads lead from h1 to the loss
    grad_s1 = grad_h1 * (s1 > 0)
    grad_x, grad_w1, grad_w2, grad_w4 = grad_s1 @ w1.T, x.T @ grad_s1, h1.T @ grad_s2, h3.T @ grad_logits
    ### END SOLUTION
    return grad_x, grad_w1, grad_w2, grad_w4


# ---- formulas as the decks print them ------------------------------------------------------------------------------
def slide_examples(rng: np.random.Generator) -> dict[str, tuple[np.ndarray, dict[str, np.ndarray]]]:
    """Draw numbers to try the decks' fifteen formulas on.

    Args:
        rng: where they are drawn from.

    Returns:
        Name of the formula → (at, given): what the loss is differentiated by, float64, and everything else that the
        formula needs, float64 arrays by name; a single number has the shape (1,).

    Source:
        The shapes are ours; the formulas are those of decks A, B, D and E.
    """
    n = rng.normal
    h, w, x = n(size=(5, 3)), n(size=(3, 2)), n(size=3)
    p, q = 0.8 * rng.dirichlet(np.ones(4), size=(2, 3)) + 0.05  # rows that add up to 1, none near 0
    yes, quadratic = np.array([0.0, 1.0, 1.0, 0.0]), {"x": x, "rest": n(size=1), "answer": n(size=1)}
    return {
        "A squared": (n(size=(3, 2)), {"answer": n(size=(3, 2))}),
        "A logistic": (rng.uniform(0.2, 0.9, size=5), {"answer": rng.choice([-1.0, 1.0], size=5)}),
        "A cross-entropy": (p, {"answer": q}),
        "A output weights": (w, {"h": h, "grad_s": n(size=(5, 2))}),
        "A hidden weights": (w, {"h": h, "grad_h": n(size=(5, 2))}),
        "A residual": (np.maximum(n(size=(4, 3)), 0.0), {"w2": n(size=(3, 3)), "grad_h3": n(size=(4, 3))}),
        "B cross-entropy": (rng.uniform(0.1, 0.9, size=4), {"answer": yes}),
        "B weights": (w, {"a": h, "delta": n(size=(5, 2))}),
        "D weights": (n(size=(3, 4)), {"x": h, "answer": np.eye(4)[rng.integers(4, size=5)]}),
        "D output": (2 * n(size=4), {"answer": yes}),
        "E norm": (n(size=3), {"answer": n(size=3)}),
        "E node": (n(size=1), quadratic),
        "E matrix": (n(size=(3, 3)), quadratic),
        "E hidden unit": (n(size=4), {"w45": n(size=1), "net5": n(size=4), "delta5": n(size=4)}),
        "E weight": (n(size=1), {"x1": n(size=1), "delta3": n(size=1)}),
    }


def printed_formula(name: str, at: np.ndarray, given: dict[str, np.ndarray]) -> np.ndarray:
    """Compute a gradient the way a deck prints it, right or wrong; f and g are the sigmoid.

    Where a deck prints a loss and no gradient, this is the gradient of the loss as printed.

    Args:
        name: one of the fifteen names of the chapter's list.
        at: float64, what the loss is differentiated by.
        given: everything else that the formula needs, float64 arrays by name; a single number has the shape (1,).

    Returns:
        float64: the gradient according to the deck.

    Source:
        Decks A, B, D and E, restated with rows as samples.
    """
    p, s = given, stable_sigmoid
    printed = {
        "A squared": lambda: p["answer"] - at,
        "A logistic": lambda: p["answer"] / (1 + p["answer"] * at),
        "A cross-entropy": lambda: -np.log(p["answer"]),
        "A output weights": lambda: p["h"].T @ p["grad_s"],
        "A hidden weights": lambda: p["h"].T @ p["grad_h"],
        "A residual": lambda: p["grad_h3"],
        "B cross-entropy": lambda: -p["answer"] / at - (1 - p["answer"]) / (1 - at),
        "B weights": lambda: p["a"].T @ (p["delta"] * s(p["a"] @ at) * s(-p["a"] @ at)),
        "D weights": lambda: -p["x"].T @ (p["answer"] * np.exp(p["x"] @ at) / np.exp(p["x"] @ at).sum(1)[:, None]),
        "D output": lambda: s(at) - p["answer"],
        "E norm": lambda: (at - p["answer"]) / np.linalg.norm(at - p["answer"]),
        "E node": lambda: 2 * (at + p["rest"] - p["answer"]) * p["x"],
        "E matrix": lambda: 2 * (p["x"] @ at @ p["x"] + p["rest"] - p["answer"]) * np.outer(p["x"], p["x"]),
        "E hidden unit": lambda: p["delta5"] * p["w45"] * s(p["net5"]) * s(-p["net5"]),
        "E weight": lambda: -p["delta3"] * p["x1"],
    }
    return np.asarray(printed[name]())


def meant_loss(name: str, at: np.ndarray, given: dict[str, np.ndarray]) -> float:
    """Compute the loss that a deck's formula is about, as it is meant; f and g are the sigmoid.

    Where a deck starts from a known signal (π, δ), the loss is the sum of signal times output: its gradient by the
    output is that signal.

    Args:
        name: one of the fifteen names of the chapter's list.
        at: float64, what the loss is differentiated by.
        given: everything else, float64 arrays by name; a single number has the shape (1,).

    Returns:
        The loss, summed over all elements.

    Source:
        Decks A, B, D and E, put right where the chapter's list of errata says so.
    """
    p, s = given, stable_sigmoid
    meant = {
        "A squared": lambda: 0.5 * (p["answer"] - at) ** 2,
        "A logistic": lambda: np.logaddexp(0.0, -p["answer"] * at),
        "A cross-entropy": lambda: -p["answer"] * np.log(at),
        "A output weights": lambda: p["grad_s"] * (p["h"] @ at),
        "A hidden weights": lambda: p["grad_h"] * s(p["h"] @ at),
        "A residual": lambda: p["grad_h3"] * (np.maximum(at @ p["w2"], 0.0) + at),
        "B cross-entropy": lambda: -(p["answer"] * np.log(at) + (1 - p["answer"]) * np.log(1 - at)),
        "B weights": lambda: p["delta"] * (p["a"] @ at),
        "D weights": lambda: p["answer"] * (np.logaddexp.reduce(p["x"] @ at, axis=1)[:, None] - p["x"] @ at),
        "D output": lambda: np.logaddexp(0.0, at) - p["answer"] * at,
        "E norm": lambda: (at - p["answer"]) ** 2,
        "E node": lambda: (at + p["rest"] - p["answer"]) ** 2,
        "E matrix": lambda: (p["x"] @ at @ p["x"] + p["rest"] - p["answer"]) ** 2,
        "E hidden unit": lambda: p["delta5"] * p["w45"] * s(at),
        "E weight": lambda: p["delta3"] * p["x1"] * at,
    }
    return float(np.sum(meant[name]()))


def find_the_slide_bugs(name: str, at: np.ndarray, given: dict[str, np.ndarray]) -> np.ndarray:
    """Give the right gradient of `meant_loss` by `at`: the printed one where it is right, your own where it is not.

    Args:
        name: one of the fifteen names of the chapter's list.
        at: float64, what the loss is differentiated by; in "A logistic" up to 1,000 either way.
        given: everything else, float64 arrays by name, as the list says; a single number has the shape (1,).

    Returns:
        float64, same shape as `at`, finite: ∂(meant_loss)/∂at.

    Source:
        Decks A, B, D and E; each formula is held to differences in the chapter.
    """
    p, s = given, stable_sigmoid
    ### BEGIN SOLUTION
    if name == "A squared":
        return at - p["answer"]
    if name == "A logistic":
        return -p["answer"] * s(-p["answer"] * at)
    if name == "A cross-entropy":
        return -p["answer"] / at
    if name == "A hidden weights":
        return p["h"].T @ activation_backward(p["grad_h"], p["h"] @ at, "sigmoid")
    if name == "A residual":
        return activation_backward(p["grad_h3"], at @ p["w2"], "relu") @ p["w2"].T + p["grad_h3"]
    if name == "B cross-entropy":
        return -p["answer"] / at + (1 - p["answer"]) / (1 - at)
    if name == "B weights":
        return p["a"].T @ p["delta"]
    if name == "D weights":
        e = np.exp(p["x"] @ at)
        return p["x"].T @ (e / e.sum(axis=1, keepdims=True) - p["answer"])
    if name == "E norm":
        return 2 * (at - p["answer"])
    if name == "E node":
        return 2 * (at + p["rest"] - p["answer"])
    if name == "E hidden unit":
        return p["delta5"] * p["w45"] * s(at) * s(-at)
    if name == "E weight":
        return p["delta3"] * p["x1"]
    ### END SOLUTION
    return printed_formula(name, at, given)
