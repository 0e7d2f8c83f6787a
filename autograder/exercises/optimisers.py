"""Exercises of chapter 07: batches, momentum, Adam and two relatives, first weights, clipping, dropout, stopping, workers."""

import math
from collections.abc import Iterator

import numpy as np

from autograder.exercise import Case, Seed, case, exercise, explanation
from solutions import optimisers as ref
from solutions.optimisers import Optimiser


def some_seed(rng: np.random.Generator) -> Seed:
    """A seed for a generator that the student's code draws from."""
    return Seed(int(rng.integers(1 << 30)))


# ---- minibatches -----------------------------------------------------------------------------------------------------
@exercise(ref.minibatches, points=2)
def minibatches(rng: np.random.Generator) -> Iterator[Case]:
    """Go through all samples once, in a new order, some rows at a time."""
    for label, samples, size in [
        ("the last batch is smaller", 11, 4),
        ("batches that come out even", 6, 3),
        ("one row at a time", 5, 1),
        ("fewer samples than a batch holds", 3, 8),
    ]:
        x = rng.normal(size=(samples, 2))
        yield case(label, x=x, y=rng.integers(10, size=samples), size=size, rng=some_seed(rng))
    yield case("lengths differ", x=np.ones((4, 2)), y=np.ones(3), size=2, rng=Seed(1))


@minibatches.probe
def two_epochs(student, x, y, size, rng):
    first = [(rows, answers) for rows, answers in student(x, y, size, rng)]
    second = [(rows, answers) for rows, answers in student(x, y, size, rng)]
    return {"first epoch": first, "second epoch": second, "x afterwards": x, "y afterwards": y}


@minibatches.mistake(
    "The rows that are left over after the last full batch are dropped. Every sample should be seen once an epoch; a "
    "slice beyond the end is no error."
)
def drops_the_rest(x, y, size, rng):
    if len(x) != len(y):
        raise ValueError("lengths differ")
    order = rng.permutation(len(x))
    for k in range(len(x) // size):
        yield x[order[k * size : (k + 1) * size]], y[order[k * size : (k + 1) * size]]


@minibatches.mistake(
    "x and y are shuffled separately, so that inputs meet the answers of other samples. One order must serve both."
)
def two_orders(x, y, size, rng):
    if len(x) != len(y):
        raise ValueError("lengths differ")
    order, other = rng.permutation(len(x)), rng.permutation(len(x))
    for first in range(0, len(x), size):
        yield x[order[first : first + size]], y[other[first : first + size]]


@minibatches.mistake(
    "Nothing is shuffled: the batches come in the order of the data. Think of a file that is sorted by its answers."
)
def in_the_order_of_the_data(x, y, size, rng):
    if len(x) != len(y):
        raise ValueError("lengths differ")
    for first in range(0, len(x), size):
        yield x[first : first + size], y[first : first + size]


@minibatches.mistake(
    "Rows are drawn with replacement: some come twice, others never. An epoch should see each row exactly once; what "
    "gives every number from 0 to samples − 1 once?"
)
def with_replacement(x, y, size, rng):
    if len(x) != len(y):
        raise ValueError("lengths differ")
    order = rng.integers(len(x), size=len(x))
    for first in range(0, len(x), size):
        yield x[order[first : first + size]], y[order[first : first + size]]


@minibatches.mistake(
    "The order comes from a generator made inside, so every epoch has the same one. Draw from the `rng` that is handed in."
)
def a_generator_of_its_own(x, y, size, rng):
    if len(x) != len(y):
        raise ValueError("lengths differ")
    order = np.random.default_rng(0).permutation(len(x))
    for first in range(0, len(x), size):
        yield x[order[first : first + size]], y[order[first : first + size]]


@minibatches.variant
def as_a_list(x, y, size, rng):
    if len(x) != len(y):
        raise ValueError("lengths differ")
    order = rng.permutation(len(x))
    return [(x[order[i : i + size]], y[order[i : i + size]]) for i in range(0, len(order), size)]


@minibatches.variant
def shuffled_copies(x, y, size, rng):
    if len(x) != len(y):
        raise ValueError("lengths differ")
    order = rng.permutation(len(x))
    x, y, first = x[order], y[order], 0
    while first < len(x):
        yield x[first : first + size], y[first : first + size]
        first += size


@minibatches.variant
def split_by_numpy(x, y, size, rng):
    if len(x) != len(y):
        raise ValueError("lengths differ")
    order = rng.permutation(len(x))
    for rows in np.split(order, range(size, len(x), size)):
        yield x[rows], y[rows]


# ---- Momentum --------------------------------------------------------------------------------------------------------
def twenty_gradients(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Two parameters to start from, and twenty gradients for each."""
    return {
        "w": rng.normal(size=(2, 3)),
        "b": rng.normal(size=4),
        "grads_w": rng.normal(size=(20, 2, 3)),
        "grads_b": rng.normal(size=(20, 4)),
    }


@exercise(ref.Momentum, points=2, returns=("path of w", "path of b"))
def Momentum(rng: np.random.Generator) -> Iterator[Case]:
    """Descend with a velocity, plain or with Nesterov's look-ahead, for twenty steps."""
    for label, nesterov, momentum, later in [
        ("plain", False, 0.9, 0.1),
        ("Nesterov", True, 0.8, 0.1),
        ("the rate falls after ten steps", False, 0.9, 0.01),
        ("Nesterov, the rate falls", True, 0.5, 0.02),
        ("no momentum", False, 0.0, 0.1),
    ]:
        yield case(label, **twenty_gradients(rng), lr=0.1, later_lr=later, momentum=momentum, nesterov=nesterov)


@Momentum.probe
def path_of_twenty_steps(student, w, b, grads_w, grads_b, lr, later_lr, momentum, nesterov):
    parameters, path_w, path_b = [w, b], [], []
    optimiser = student(parameters, lr=lr, momentum=momentum, nesterov=nesterov)
    for step in range(20):
        if step == 10:
            optimiser.lr = later_lr
        optimiser.step([grads_w[step].copy(), grads_b[step].copy()])
        path_w.append(w.copy())
        path_b.append(b.copy())
    return np.stack(path_w), np.stack(path_b)


@Momentum.mistake(
    "The velocity is computed but never put back into `state`, so every step starts from rest. The first step is right; "
    "what does the second one remember?"
)
class forgets_the_velocity(Optimiser):
    slots = ("velocity",)

    def __init__(self, parameters, lr=0.01, momentum=0.9, nesterov=False):
        super().__init__(parameters, lr)
        self.momentum, self.nesterov = momentum, nesterov

    def change(self, w, grad, state):
        v = self.momentum * state["velocity"] + grad
        return self.lr * (grad + self.momentum * v if self.nesterov else v)


@Momentum.mistake(
    "The rate is inside the velocity. While η stays the same that gives the same path; when a schedule lowers η, the old "
    "velocity goes on at the old rate. Multiply by `lr` at the end."
)
class rate_inside_the_velocity(Optimiser):
    slots = ("velocity",)

    def __init__(self, parameters, lr=0.01, momentum=0.9, nesterov=False):
        super().__init__(parameters, lr)
        self.momentum, self.nesterov = momentum, nesterov

    def change(self, w, grad, state):
        v = state["velocity"] = self.momentum * state["velocity"] + self.lr * grad
        return self.lr * grad + self.momentum * v if self.nesterov else v


@Momentum.mistake(
    "The gradient enters with the factor 1 − μ: that is a rolling mean, and its steps are 1/(1 − μ) times too short. Here "
    "the velocity is a sum that fades."
)
class a_mean_instead_of_a_sum(Optimiser):
    slots = ("velocity",)

    def __init__(self, parameters, lr=0.01, momentum=0.9, nesterov=False):
        super().__init__(parameters, lr)
        self.momentum, self.nesterov = momentum, nesterov

    def change(self, w, grad, state):
        v = state["velocity"] = self.momentum * state["velocity"] + (1 - self.momentum) * grad
        return self.lr * (grad + self.momentum * v if self.nesterov else v)


@Momentum.mistake(
    "Right without Nesterov; with `nesterov=True` the step is still the plain one, −ηv. (So is g + μ times the **old** "
    "velocity: written out, that is the new one.)"
)
class nesterov_ignored(Optimiser):
    slots = ("velocity",)

    def __init__(self, parameters, lr=0.01, momentum=0.9, nesterov=False):
        super().__init__(parameters, lr)
        self.momentum = momentum

    def change(self, w, grad, state):
        state["velocity"] = self.momentum * state["velocity"] + grad
        return self.lr * state["velocity"]


@Momentum.mistake(
    "With Nesterov the gradient itself is missing: −ημv alone. One step of the look-ahead is g now, and μv on top."
)
class nesterov_without_the_gradient(Optimiser):
    slots = ("velocity",)

    def __init__(self, parameters, lr=0.01, momentum=0.9, nesterov=False):
        super().__init__(parameters, lr)
        self.momentum, self.nesterov = momentum, nesterov

    def change(self, w, grad, state):
        v = state["velocity"] = self.momentum * state["velocity"] + grad
        return self.lr * (self.momentum * v if self.nesterov else v)


@Momentum.mistake(
    "What comes back is the new w. `change` says what to **subtract** from w, and `step` subtracts it: w − (w − step) leaves "
    "only the step."
)
class gives_the_new_weights(Optimiser):
    slots = ("velocity",)

    def __init__(self, parameters, lr=0.01, momentum=0.9, nesterov=False):
        super().__init__(parameters, lr)
        self.momentum, self.nesterov = momentum, nesterov

    def change(self, w, grad, state):
        v = state["velocity"] = self.momentum * state["velocity"] + grad
        return w - self.lr * (grad + self.momentum * v if self.nesterov else v)


@Momentum.variant
class in_place(Optimiser):
    slots = ("velocity",)

    def __init__(self, parameters, lr=0.01, momentum=0.9, nesterov=False):
        super().__init__(parameters, lr)
        self.momentum, self.nesterov = momentum, nesterov

    def change(self, w, grad, state):
        state["velocity"] *= self.momentum
        state["velocity"] += grad
        step = state["velocity"]
        if self.nesterov:
            step = grad + self.momentum * step
        return self.lr * step


@Momentum.variant
class with_a_step_of_its_own(Optimiser):
    def __init__(self, parameters, lr=0.01, momentum=0.9, nesterov=False):
        super().__init__(parameters, lr)
        self.momentum, self.nesterov, self.v = momentum, nesterov, None

    def step(self, grads):
        self.v = grads if self.v is None else [self.momentum * v + g for v, g in zip(self.v, grads, strict=True)]
        for w, v, g in zip(self.parameters, self.v, grads, strict=True):
            w[...] = w - self.lr * (g + self.momentum * v if self.nesterov else v)


@Momentum.variant
class as_a_falling_velocity(Optimiser):
    slots = ("velocity",)

    def __init__(self, parameters, lr=0.01, momentum=0.9, nesterov=False):
        super().__init__(parameters, lr)
        self.momentum, self.nesterov = momentum, nesterov

    def change(self, w, grad, state):
        state["velocity"] = self.momentum * state["velocity"] - grad
        if not self.nesterov:
            return -self.lr * state["velocity"]
        return -self.lr * (self.momentum * state["velocity"] - grad)


# ---- Adam ------------------------------------------------------------------------------------------------------------
@exercise(ref.Adam, points=4, returns=("path of w", "path of b"))
def Adam(rng: np.random.Generator) -> Iterator[Case]:
    """Adam, AdamW and AMSGrad in one class, for twenty steps."""
    usual: dict[str, object] = {"lr": 0.1, "betas": (0.9, 0.999), "eps": 1e-8, "decay": 0.0, "amsgrad": False}
    fading = np.exp(-0.4 * np.arange(20.0))
    changed: list[tuple[str, bool, dict[str, object]]] = [
        ("usual settings", False, {}),
        ("a large ε", False, {"eps": 0.05, "lr": 0.3}),
        ("β of one half and of nine tenths", False, {"betas": (0.5, 0.9)}),
        ("AdamW", False, {"decay": 0.2, "betas": (0.8, 0.95)}),
        ("AMSGrad, large gradients first", True, {"amsgrad": True, "betas": (0.9, 0.8)}),
        ("fading gradients without AMSGrad", True, {"betas": (0.9, 0.8)}),
    ]
    for label, shrink, changes in changed:
        given = twenty_gradients(rng)
        if shrink:
            given["grads_w"] = given["grads_w"] * fading[:, None, None]
            given["grads_b"] = given["grads_b"] * fading[:, None]
        yield case(label, **given, settings={**usual, **changes})


@Adam.probe
def path_with_settings(student, w, b, grads_w, grads_b, settings):
    parameters, path_w, path_b = [w, b], [], []
    optimiser = student(parameters, **settings)
    for step in range(20):
        optimiser.step([grads_w[step].copy(), grads_b[step].copy()])
        path_w.append(w.copy())
        path_b.append(b.copy())
    return np.stack(path_w), np.stack(path_b)


@Adam.mistake(
    "m and v start at 0 and nothing makes up for it: the first step is 0.1/√0.001 ≈ 3.2 times as long as it should be. "
    "Divide m and v by 1 − βᵗ."
)
class without_correction(Optimiser):
    slots = ("m", "v", "v_max")

    def __init__(self, parameters, lr=0.001, betas=(0.9, 0.999), eps=1e-8, decay=0.0, amsgrad=False):
        super().__init__(parameters, lr)
        self.betas, self.eps, self.decay, self.amsgrad = betas, eps, decay, amsgrad

    def change(self, w, grad, state):
        beta1, beta2 = self.betas
        m = state["m"] = beta1 * state["m"] + (1 - beta1) * grad
        v = state["v"] = beta2 * state["v"] + (1 - beta2) * grad**2
        if self.amsgrad:
            v = state["v_max"] = np.maximum(state["v_max"], v)
        return self.lr * (m / (np.sqrt(v) + self.eps) + self.decay * w)


@Adam.mistake(
    "ε is inside the root, as deck E prints it. Kingma and Ba add it after the root: with ε = 0.05 the root's inside would "
    "count as 0.22."
)
class epsilon_inside_the_root(Optimiser):
    slots = ("m", "v", "v_max")

    def __init__(self, parameters, lr=0.001, betas=(0.9, 0.999), eps=1e-8, decay=0.0, amsgrad=False):
        super().__init__(parameters, lr)
        self.betas, self.eps, self.decay, self.amsgrad = betas, eps, decay, amsgrad

    def change(self, w, grad, state):
        beta1, beta2 = self.betas
        m = state["m"] = beta1 * state["m"] + (1 - beta1) * grad
        v = state["v"] = beta2 * state["v"] + (1 - beta2) * grad**2
        if self.amsgrad:
            v = state["v_max"] = np.maximum(state["v_max"], v)
        m_hat, v_hat = m / (1 - beta1**self.t), v / (1 - beta2**self.t)
        return self.lr * (m_hat / np.sqrt(v_hat + self.eps) + self.decay * w)


@Adam.mistake(
    "The corrected m̂ and v̂ are put back into `state`, so the next step corrects what is corrected already. Keep the raw "
    "m and v."
)
class corrected_values_kept(Optimiser):
    slots = ("m", "v", "v_max")

    def __init__(self, parameters, lr=0.001, betas=(0.9, 0.999), eps=1e-8, decay=0.0, amsgrad=False):
        super().__init__(parameters, lr)
        self.betas, self.eps, self.decay, self.amsgrad = betas, eps, decay, amsgrad

    def change(self, w, grad, state):
        beta1, beta2 = self.betas
        state["m"] = (beta1 * state["m"] + (1 - beta1) * grad) / (1 - beta1**self.t)
        state["v"] = (beta2 * state["v"] + (1 - beta2) * grad**2) / (1 - beta2**self.t)
        v = state["v"]
        if self.amsgrad:
            v = state["v_max"] = np.maximum(state["v_max"], v)
        return self.lr * (state["m"] / (np.sqrt(v) + self.eps) + self.decay * w)


@Adam.mistake(
    "The decay is added to the gradient. Then it goes through m and v and is divided by √v̂ like everything else; AdamW "
    "subtracts ηλw beside Adam's step."
)
class decay_in_the_gradient(Optimiser):
    slots = ("m", "v", "v_max")

    def __init__(self, parameters, lr=0.001, betas=(0.9, 0.999), eps=1e-8, decay=0.0, amsgrad=False):
        super().__init__(parameters, lr)
        self.betas, self.eps, self.decay, self.amsgrad = betas, eps, decay, amsgrad

    def change(self, w, grad, state):
        beta1, beta2 = self.betas
        grad = grad + self.decay * w
        m = state["m"] = beta1 * state["m"] + (1 - beta1) * grad
        v = state["v"] = beta2 * state["v"] + (1 - beta2) * grad**2
        if self.amsgrad:
            v = state["v_max"] = np.maximum(state["v_max"], v)
        return self.lr * m / (1 - beta1**self.t) / (np.sqrt(v / (1 - beta2**self.t)) + self.eps)


@Adam.mistake(
    "AMSGrad's maximum is taken of the corrected v̂. Early corrections are large and rest on few gradients, so they would stay "
    "for ever. Take the largest of the raw v, then correct it."
)
class largest_of_the_corrected(Optimiser):
    slots = ("m", "v", "v_max")

    def __init__(self, parameters, lr=0.001, betas=(0.9, 0.999), eps=1e-8, decay=0.0, amsgrad=False):
        super().__init__(parameters, lr)
        self.betas, self.eps, self.decay, self.amsgrad = betas, eps, decay, amsgrad

    def change(self, w, grad, state):
        beta1, beta2 = self.betas
        m = state["m"] = beta1 * state["m"] + (1 - beta1) * grad
        v = state["v"] = beta2 * state["v"] + (1 - beta2) * grad**2
        m_hat, v_hat = m / (1 - beta1**self.t), v / (1 - beta2**self.t)
        if self.amsgrad:
            v_hat = state["v_max"] = np.maximum(state["v_max"], v_hat)
        return self.lr * (m_hat / (np.sqrt(v_hat) + self.eps) + self.decay * w)


@Adam.mistake(
    "The decay is subtracted as λw, without η. AdamW subtracts ηλw: when a schedule lowers the rate, the decay falls with it."
)
class decay_without_the_rate(Optimiser):
    slots = ("m", "v", "v_max")

    def __init__(self, parameters, lr=0.001, betas=(0.9, 0.999), eps=1e-8, decay=0.0, amsgrad=False):
        super().__init__(parameters, lr)
        self.betas, self.eps, self.decay, self.amsgrad = betas, eps, decay, amsgrad

    def change(self, w, grad, state):
        beta1, beta2 = self.betas
        m = state["m"] = beta1 * state["m"] + (1 - beta1) * grad
        v = state["v"] = beta2 * state["v"] + (1 - beta2) * grad**2
        if self.amsgrad:
            v = state["v_max"] = np.maximum(state["v_max"], v)
        m_hat, v_hat = m / (1 - beta1**self.t), v / (1 - beta2**self.t)
        return self.lr * m_hat / (np.sqrt(v_hat) + self.eps) + self.decay * w


@Adam.variant
class corrections_in_the_rate(Optimiser):
    slots = ("m", "v", "v_max")

    def __init__(self, parameters, lr=0.001, betas=(0.9, 0.999), eps=1e-8, decay=0.0, amsgrad=False):
        super().__init__(parameters, lr)
        self.betas, self.eps, self.decay, self.amsgrad = betas, eps, decay, amsgrad

    def change(self, w, grad, state):
        beta1, beta2 = self.betas
        state["m"] += (1 - beta1) * (grad - state["m"])
        state["v"] += (1 - beta2) * (grad * grad - state["v"])
        state["v_max"] = np.where(state["v"] > state["v_max"], state["v"], state["v_max"])
        root = np.sqrt(state["v_max" if self.amsgrad else "v"]) / np.sqrt(1 - beta2**self.t) + self.eps
        return self.lr / (1 - beta1**self.t) * state["m"] / root + self.lr * self.decay * w


@Adam.variant
class decay_first_as_torch_does(Optimiser):
    slots = ("m", "v", "v_max")

    def __init__(self, parameters, lr=0.001, betas=(0.9, 0.999), eps=1e-8, decay=0.0, amsgrad=False):
        super().__init__(parameters, lr)
        self.betas, self.eps, self.decay, self.amsgrad = betas, eps, decay, amsgrad

    def change(self, w, grad, state):
        beta1, beta2 = self.betas
        w *= 1 - self.lr * self.decay
        state["m"] = beta1 * state["m"] + (1 - beta1) * grad
        state["v"] = beta2 * state["v"] + (1 - beta2) * np.square(grad)
        v = state["v"]
        if self.amsgrad:
            state["v_max"] = v = np.maximum(state["v_max"], v)
        return self.lr * state["m"] / (1 - beta1**self.t) / (np.sqrt(v / (1 - beta2**self.t)) + self.eps)


@Adam.variant
class with_lists_of_its_own(Optimiser):
    def __init__(self, parameters, lr=0.001, betas=(0.9, 0.999), eps=1e-8, decay=0.0, amsgrad=False):
        super().__init__(parameters, lr)
        self.betas, self.eps, self.decay, self.amsgrad = betas, eps, decay, amsgrad
        self.m, self.v, self.most = ([0.0 * w for w in parameters] for _ in range(3))

    def step(self, grads):
        self.t += 1
        beta1, beta2 = self.betas
        for i, (w, grad) in enumerate(zip(self.parameters, grads, strict=True)):
            self.m[i] = beta1 * self.m[i] + (1 - beta1) * grad
            self.v[i] = beta2 * self.v[i] + (1 - beta2) * grad**2
            self.most[i] = np.fmax(self.most[i], self.v[i])
            v = (self.most if self.amsgrad else self.v)[i] / (1 - beta2**self.t)
            w -= self.lr * (self.m[i] / (1 - beta1**self.t) / (v**0.5 + self.eps) + self.decay * w)


# ---- initial_weights -------------------------------------------------------------------------------------------------
@exercise(ref.initial_weights, points=2)
def initial_weights(rng: np.random.Generator) -> Iterator[Case]:
    """Draw the first weights of a layer, the same way for any size or after Glorot or He."""
    for inputs, outputs, rule in [(3, 5, "uniform"), (4, 2, "glorot"), (2, 9, "glorot"), (8, 3, "he"), (3, 7, "he")]:
        yield case(f"{rule}, {inputs} to {outputs}", rng=some_seed(rng), inputs=inputs, outputs=outputs, rule=rule)
    yield case("no such rule", rng=Seed(1), inputs=2, outputs=2, rule="zeros")


@initial_weights.mistake(
    "The bound is 6/(inputs + outputs) without its root, and He's deviation 2/inputs: these are the variances' scale, not "
    "that of the weights."
)
def without_the_root(rng, inputs, outputs, rule):
    if rule == "uniform":
        return rng.uniform(-0.01, 0.01, size=(inputs, outputs))
    if rule == "glorot":
        return rng.uniform(-6 / (inputs + outputs), 6 / (inputs + outputs), size=(inputs, outputs))
    if rule == "he":
        return rng.normal(0.0, 2 / inputs, size=(inputs, outputs))
    raise ValueError(rule)


@initial_weights.mistake(
    "He's numbers have the standard deviation 2/inputs. That is the variance; `rng.normal` wants its root."
)
def variance_as_deviation(rng, inputs, outputs, rule):
    if rule == "uniform":
        return rng.uniform(-0.01, 0.01, size=(inputs, outputs))
    if rule == "glorot":
        v = math.sqrt(6 / (inputs + outputs))
        return rng.uniform(-v, v, size=(inputs, outputs))
    if rule == "he":
        return rng.normal(0.0, 2 / inputs, size=(inputs, outputs))
    raise ValueError(rule)


@initial_weights.mistake(
    "The shape is (outputs, inputs), as PyTorch stores it. In x @ w the rows of w belong to the inputs."
)
def stored_as_torch_does(rng, inputs, outputs, rule):
    if rule == "uniform":
        return rng.uniform(-0.01, 0.01, size=(outputs, inputs))
    if rule == "glorot":
        v = math.sqrt(6 / (inputs + outputs))
        return rng.uniform(-v, v, size=(outputs, inputs))
    if rule == "he":
        return rng.normal(0.0, math.sqrt(2 / inputs), size=(outputs, inputs))
    raise ValueError(rule)


@initial_weights.mistake(
    "All weights are positive. A uniform draw starts at 0 unless it is told otherwise; it should reach from −v to v."
)
def only_positive(rng, inputs, outputs, rule):
    if rule == "uniform":
        return rng.uniform(0.0, 0.01, size=(inputs, outputs))
    if rule == "glorot":
        return rng.uniform(0.0, math.sqrt(6 / (inputs + outputs)), size=(inputs, outputs))
    if rule == "he":
        return np.abs(rng.normal(0.0, math.sqrt(2 / inputs), size=(inputs, outputs)))
    raise ValueError(rule)


@initial_weights.mistake(
    "He's deviation divides by the outputs. What grows with the number of terms in x @ w is the sum over the inputs."
)
def he_by_the_outputs(rng, inputs, outputs, rule):
    if rule == "uniform":
        return rng.uniform(-0.01, 0.01, size=(inputs, outputs))
    if rule == "glorot":
        v = math.sqrt(6 / (inputs + outputs))
        return rng.uniform(-v, v, size=(inputs, outputs))
    if rule == "he":
        return rng.normal(0.0, math.sqrt(2 / outputs), size=(inputs, outputs))
    raise ValueError(rule)


@initial_weights.mistake(
    "Glorot's bound has a 2 where a 6 belongs. A uniform number between −v and v has variance v²/3, so for the variance "
    "2/(inputs + outputs) v² must be three times that."
)
def deviation_as_bound(rng, inputs, outputs, rule):
    if rule == "uniform":
        return rng.uniform(-0.01, 0.01, size=(inputs, outputs))
    if rule == "glorot":
        v = math.sqrt(2 / (inputs + outputs))
        return rng.uniform(-v, v, size=(inputs, outputs))
    if rule == "he":
        return rng.normal(0.0, math.sqrt(2 / inputs), size=(inputs, outputs))
    raise ValueError(rule)


@initial_weights.variant
def scaled_afterwards(rng, inputs, outputs, rule):
    if rule == "he":
        return np.sqrt(2 / inputs) * rng.normal(size=(inputs, outputs))
    if rule not in ("uniform", "glorot"):
        raise ValueError("unknown rule")
    v = 0.01 if rule == "uniform" else np.sqrt(6.0 / (inputs + outputs))
    return v * rng.uniform(-1, 1, size=(inputs, outputs))


@initial_weights.variant
def from_a_table(rng, inputs, outputs, rule):
    bounds = {"uniform": 0.01, "glorot": (6 / (inputs + outputs)) ** 0.5}
    if rule in bounds:
        return rng.uniform(low=-bounds[rule], high=bounds[rule], size=(inputs, outputs))
    if rule != "he":
        raise ValueError(f"{rule} is not known")
    return rng.normal(scale=(2 / inputs) ** 0.5, size=(inputs, outputs))


@initial_weights.variant
def from_standard_numbers(rng, inputs, outputs, rule):
    shape = (inputs, outputs)
    if rule == "uniform":
        return 0.02 * rng.random(shape) - 0.01
    if rule == "glorot":
        return np.sqrt(6 / sum(shape)) * (2 * rng.random(shape) - 1)
    if rule == "he":
        return rng.standard_normal(shape) * np.sqrt(2) / np.sqrt(inputs)
    raise ValueError("unknown rule")


# ---- clip_by_global_norm ---------------------------------------------------------------------------------------------
@exercise(ref.clip_by_global_norm, points=2, returns=("clipped", "norm"))
def clip_by_global_norm(rng: np.random.Generator) -> Iterator[Case]:
    """Shorten all gradients by one factor, so that their common norm stays below a limit."""
    yield case("3, 4 and 12 on paper", grads=[np.array([3.0]), np.array([4.0]), np.array([[12.0]])], limit=6.5)
    grads = [rng.normal(size=(3, 4)), rng.normal(size=4), 50 * rng.normal(size=(4, 2))]
    yield case("one of them is large", grads=grads, limit=1.0)
    yield case("short enough already", grads=[0.01 * rng.normal(size=(2, 3)), 0.02 * rng.normal(size=3)], limit=5.0)
    yield case("nothing to shorten", grads=[np.zeros((2, 2)), np.zeros(3)], limit=1.0)
    yield case("a limit that is no limit", grads=[np.ones(2)], limit=0.0)


@clip_by_global_norm.mistake(
    "Each array is shortened by its own norm. That changes their proportions, and with them the direction; one norm of "
    "all entries gives one factor."
)
def each_by_its_own(grads, limit):
    if limit <= 0:
        raise ValueError(limit)
    norm = math.sqrt(sum(float((g**2).sum()) for g in grads))
    return [g * min(1.0, limit / max(np.linalg.norm(g), 1e-300)) for g in grads], norm


@clip_by_global_norm.mistake(
    "Entries are cut off one by one at ±limit. That turns the gradient aside, and many small entries may still be long "
    "together."
)
def entry_by_entry(grads, limit):
    if limit <= 0:
        raise ValueError(limit)
    norm = math.sqrt(sum(float((g**2).sum()) for g in grads))
    return [np.clip(g, -limit, limit) for g in grads], norm


@clip_by_global_norm.mistake(
    "Short gradients are stretched to the limit too. Clipping only shortens; what factor leaves a gradient as it is?"
)
def always_to_the_limit(grads, limit):
    if limit <= 0:
        raise ValueError(limit)
    norm = math.sqrt(sum(float((g**2).sum()) for g in grads))
    return [g * (limit / norm if norm > 0 else 1.0) for g in grads], norm


@clip_by_global_norm.mistake("The norm lacks its root: squares were added up, and the sum compared with the limit.")
def without_root(grads, limit):
    if limit <= 0:
        raise ValueError(limit)
    norm = sum(float((g**2).sum()) for g in grads)
    return [g * (limit / norm if norm > limit else 1.0) for g in grads], norm


@clip_by_global_norm.mistake(
    "The norms of the arrays are added up. Squares add up, norms do not: 3, 4 and 12 make 13 together, not 19."
)
def sum_of_norms(grads, limit):
    if limit <= 0:
        raise ValueError(limit)
    norm = sum(float(np.linalg.norm(g)) for g in grads)
    return [g * (limit / norm if norm > limit else 1.0) for g in grads], norm


@clip_by_global_norm.mistake(
    "The norm that comes back is that of the clipped gradients. It should be the one **before** clipping: only that tells "
    "how often, and by how much, the limit was passed."
)
def norm_afterwards(grads, limit):
    if limit <= 0:
        raise ValueError(limit)
    norm = math.sqrt(sum(float((g**2).sum()) for g in grads))
    clipped = [g * (limit / norm if norm > limit else 1.0) for g in grads]
    return clipped, math.sqrt(sum(float((g**2).sum()) for g in clipped))


@clip_by_global_norm.variant
def as_one_long_vector(grads, limit):
    if limit <= 0:
        raise ValueError("limit")
    norm = np.linalg.norm(np.concatenate([grad.ravel() for grad in grads]))
    return [grad * min(1.0, limit / norm) if norm > 0 else grad.copy() for grad in grads], float(norm)


@clip_by_global_norm.variant
def norm_of_norms(grads, limit):
    if not limit > 0:
        raise ValueError("limit")
    norm = math.hypot(*(float(np.linalg.norm(grad)) for grad in grads))
    clipped = [grad.copy() for grad in grads]
    if norm > limit:
        for grad in clipped:
            grad *= limit / norm
    return clipped, norm


@clip_by_global_norm.variant
def with_a_larger_divisor(grads, limit):
    if limit <= 0:
        raise ValueError("limit")
    total = 0.0
    for grad in grads:
        total += float(np.vdot(grad, grad))
    norm = total**0.5
    return [grad / max(1.0, norm / limit) for grad in grads], norm


# ---- Dropout ---------------------------------------------------------------------------------------------------------
@exercise(ref.Dropout, points=3, returns=("train", "grad in training", "train again", "test", "grad at test time"))
def Dropout(rng: np.random.Generator) -> Iterator[Case]:
    """Silence units at random while training, scale for it, and pass the gradient through the same mask."""
    for label, p, inverted in [
        ("inverted", 0.3, True),
        ("standard", 0.3, False),
        ("inverted, four of five silenced", 0.8, True),
        ("standard, four of five silenced", 0.8, False),
        ("p = 0", 0.0, True),
    ]:
        x, grad_h = rng.normal(size=(4, 6)), rng.normal(size=(4, 6))
        yield case(label, p=p, rng=some_seed(rng), inverted=inverted, x=x, grad_h=grad_h)
    yield case("p = −½", p=-0.5, rng=Seed(1), inverted=True, x=np.ones((2, 2)), grad_h=np.ones((2, 2)))
    yield case("p = 1", p=1.0, rng=Seed(1), inverted=True, x=np.ones((2, 2)), grad_h=np.ones((2, 2)))


@Dropout.probe
def there_and_back(student, p, rng, inverted, x, grad_h):
    layer = student(p, rng, inverted)
    trained = np.array(layer.forward(x, True))
    grad_trained = np.array(layer.backward(grad_h))
    again = np.array(layer.forward(x, True))
    tested = np.array(layer.forward(x, False))
    return trained, grad_trained, again, tested, layer.backward(grad_h)


@Dropout.mistake(
    "Nothing is scaled. While training fewer units speak than at test time, so the next layer meets sums of another size; "
    "one of the two times must make up for it."
)
class never_scaled:
    def __init__(self, p, rng, inverted=True):
        if not 0 <= p < 1:
            raise ValueError(p)
        self.p, self.rng = p, rng

    def forward(self, x, train):
        self.factor = self.rng.random(x.shape) >= self.p if train else np.ones(x.shape)
        return x * self.factor

    def backward(self, grad_h):
        return grad_h * self.factor


@Dropout.mistake(
    "What is kept is divided by p. The share that is kept is 1 − p, and that is what the scale has to make up for."
)
class divided_by_p:
    def __init__(self, p, rng, inverted=True):
        if not 0 <= p < 1:
            raise ValueError(p)
        self.p, self.rng, self.inverted = p, rng, inverted

    def forward(self, x, train):
        if train:
            kept = self.rng.random(x.shape) >= self.p
            self.factor = kept / (self.p if self.p > 0 else 1.0) if self.inverted else kept * 1.0
        else:
            self.factor = 1.0 if self.inverted else self.p if self.p > 0 else 1.0
        return x * self.factor

    def backward(self, grad_h):
        return grad_h * self.factor


@Dropout.mistake(
    "Units are silenced with probability 1 − p: the comparison is the wrong way round. An entry **below** p is silenced."
)
class kept_below_p:
    def __init__(self, p, rng, inverted=True):
        if not 0 <= p < 1:
            raise ValueError(p)
        self.p, self.rng, self.inverted = p, rng, inverted

    def forward(self, x, train):
        if train:
            kept = self.rng.random(x.shape) < self.p
            self.factor = kept / (1 - self.p) if self.inverted else kept * 1.0
        else:
            self.factor = 1.0 if self.inverted else 1 - self.p
        return x * self.factor

    def backward(self, grad_h):
        return grad_h * self.factor


@Dropout.mistake(
    "The way back draws a new mask. The gradient has to pass through the units that spoke in the last `forward`, and "
    "through no others: keep that mask."
)
class another_mask_on_the_way_back:
    def __init__(self, p, rng, inverted=True):
        if not 0 <= p < 1:
            raise ValueError(p)
        self.p, self.rng, self.inverted = p, rng, inverted

    def mask(self, shape):
        return (self.rng.random(shape) >= self.p) / (1 - self.p if self.inverted else 1.0)

    def forward(self, x, train):
        if train:
            return x * self.mask(x.shape)
        return x * (1.0 if self.inverted else 1 - self.p)

    def backward(self, grad_h):
        return grad_h * self.mask(grad_h.shape)


@Dropout.mistake(
    "After a test-time `forward` the gradient still goes through the mask of the training before. The way back follows the "
    "**last** `forward`, whichever kind it was: test time has a factor to keep as well."
)
class mask_of_the_last_training:
    def __init__(self, p, rng, inverted=True):
        if not 0 <= p < 1:
            raise ValueError(p)
        self.p, self.rng, self.inverted = p, rng, inverted
        self.factor = 1.0

    def forward(self, x, train):
        if not train:
            return x * (1.0 if self.inverted else 1 - self.p)
        self.factor = (self.rng.random(x.shape) >= self.p) / (1 - self.p if self.inverted else 1.0)
        return x * self.factor

    def backward(self, grad_h):
        return grad_h * self.factor


@Dropout.mistake("Units are silenced at test time as well. There, all of them speak, and nothing is drawn.")
class also_at_test_time:
    def __init__(self, p, rng, inverted=True):
        if not 0 <= p < 1:
            raise ValueError(p)
        self.p, self.rng, self.inverted = p, rng, inverted

    def forward(self, x, train):
        kept = self.rng.random(x.shape) >= self.p
        self.factor = kept / (1 - self.p) if self.inverted else kept * (1.0 if train else 1 - self.p)
        return x * self.factor

    def backward(self, grad_h):
        return grad_h * self.factor


@Dropout.variant
class with_where:
    def __init__(self, p, rng, inverted=True):
        if p < 0 or p >= 1:
            raise ValueError("p")
        self.p, self.rng, self.inverted, self.silenced, self.scale = p, rng, inverted, None, 1.0

    def forward(self, x, train):
        keep = 1 - self.p
        self.silenced = self.rng.random(size=x.shape) < self.p if train else np.zeros(x.shape, dtype=bool)
        self.scale = {(True, True): 1 / keep, (False, False): keep}.get((train, self.inverted), 1.0)
        return np.where(self.silenced, 0.0, x * self.scale)

    def backward(self, grad_h):
        return np.where(self.silenced, 0.0, grad_h * self.scale)


@Dropout.variant
class on_a_copy:
    def __init__(self, p, rng, inverted=True):
        if not 0 <= p < 1:
            raise ValueError("p")
        self.p, self.rng, self.inverted = p, rng, inverted

    def _pass(self, values):
        values = values.copy()
        values[self.off] = 0.0
        return values * self.scale

    def forward(self, x, train):
        if train:
            self.off = ~(self.rng.random(x.shape) >= self.p)
            self.scale = 1 / (1 - self.p) if self.inverted else 1.0
        else:
            self.off = np.zeros(x.shape, dtype=bool)
            self.scale = 1.0 if self.inverted else 1 - self.p
        return self._pass(x)

    def backward(self, grad_h):
        return self._pass(grad_h)


@Dropout.variant
class one_row_after_another:
    def __init__(self, p, rng, inverted=True):
        if not 0 <= p < 1:
            raise ValueError("p")
        self.p, self.rng, self.inverted = p, rng, inverted

    def forward(self, x, train):
        if not train:
            self.mask = np.ones_like(x) * (1 if self.inverted else 1 - self.p)
            return x * self.mask
        self.mask = np.stack([self.rng.random(x.shape[1]) >= self.p for _ in x]).astype(float)
        if self.inverted:
            self.mask /= 1 - self.p
        return x * self.mask

    def backward(self, grad_h):
        return np.multiply(grad_h, self.mask)


# ---- EarlyStopping ---------------------------------------------------------------------------------------------------
@exercise(ref.EarlyStopping, points=3, returns=("stop", "best", "best_epoch"))
def EarlyStopping(rng: np.random.Generator) -> Iterator[Case]:
    """Say when a held-out loss has not improved for some epochs in a row, and remember the best one."""
    curve = [2.0, 1.5, 1.6, 1.4, 1.45, 1.5, 1.42, 1.6]
    yield case("up and down", losses=curve, patience=3, min_delta=0.0)
    yield case("patience of one", losses=[3.0, 2.0, 2.5, 1.0, 1.0], patience=1, min_delta=0.0)
    yield case("the same loss again is no improvement", losses=[1.0, 1.0, 1.0, 0.5, 0.5], patience=2, min_delta=0.0)
    yield case("it creeps down", losses=[2.0, 1.875, 1.75, 1.625, 1.5, 1.375], patience=3, min_delta=0.25)
    yield case("exactly min_delta better", losses=[2.0, 1.75, 1.5, 1.25], patience=2, min_delta=0.25)
    yield case("within min_delta", losses=[2.0, 2.125, 1.5, 1.625, 1.75], patience=2, min_delta=0.25)
    yield case("NaN", losses=[math.nan, 2.0, math.nan, 1.0, math.nan, math.nan], patience=2, min_delta=0.0)
    yield case("nothing but NaN", losses=[math.nan] * 4, patience=3, min_delta=0.0)
    falling = np.linspace(4, 1, 12) + 0.5 * rng.normal(size=12)
    yield case("a noisy curve", losses=falling.tolist(), patience=4, min_delta=0.0)
    yield case("no patience", losses=[1.0], patience=0, min_delta=0.0)


@EarlyStopping.probe
def epoch_by_epoch(student, losses, patience, min_delta):
    stopper = student(patience, min_delta)
    stop, best, best_epoch = [], [], []
    for loss in losses:
        stop.append(stopper.update(loss))
        best.append(float(stopper.best))
        best_epoch.append(int(stopper.best_epoch))
    # Where nothing was returned, the list says "None"; an array would only say that it is no array of truth values.
    said = stop if any(value is None for value in stop) else np.array(stop)
    return said, np.array(best), np.array(best_epoch)


@EarlyStopping.mistake(
    "Bad epochs are counted over the whole run. Patience means epochs **in a row**: what happens to the count when an "
    "epoch improves?"
)
class never_forgives:
    def __init__(self, patience, min_delta=0.0):
        if patience < 1:
            raise ValueError(patience)
        self.patience, self.min_delta = patience, min_delta
        self.best, self.best_epoch, self.waited, self.epoch = math.inf, -1, 0, -1

    def update(self, loss):
        self.epoch += 1
        if loss < self.best - self.min_delta:
            self.best, self.best_epoch = loss, self.epoch
        else:
            self.waited += 1
        return self.waited >= self.patience


@EarlyStopping.mistake(
    "A loss is compared with the one of the epoch before. After a bad epoch, a slightly less bad one would count as "
    "progress; compare with the best so far."
)
class compares_with_the_last:
    def __init__(self, patience, min_delta=0.0):
        if patience < 1:
            raise ValueError(patience)
        self.patience, self.min_delta, self.last = patience, min_delta, math.inf
        self.best, self.best_epoch, self.waited, self.epoch = math.inf, -1, 0, -1

    def update(self, loss):
        self.epoch += 1
        if loss < self.last - self.min_delta:
            self.best, self.best_epoch, self.waited = loss, self.epoch, 0
        else:
            self.waited += 1
        self.last = loss
        return self.waited >= self.patience


@EarlyStopping.mistake(
    "It stops one epoch too late: after patience + 1 epochs without improvement instead of patience."
)
class one_too_late:
    def __init__(self, patience, min_delta=0.0):
        if patience < 1:
            raise ValueError(patience)
        self.patience, self.min_delta = patience, min_delta
        self.best, self.best_epoch, self.waited, self.epoch = math.inf, -1, 0, -1

    def update(self, loss):
        self.epoch += 1
        if loss < self.best - self.min_delta:
            self.best, self.best_epoch, self.waited = loss, self.epoch, 0
        else:
            self.waited += 1
        return self.waited > self.patience


@EarlyStopping.mistake(
    "NaN becomes the best loss: every comparison with it is false, so `not loss >= …` lets it in. Ask whether the loss "
    "**is** lower."
)
class lets_nan_in:
    def __init__(self, patience, min_delta=0.0):
        if patience < 1:
            raise ValueError(patience)
        self.patience, self.min_delta = patience, min_delta
        self.best, self.best_epoch, self.waited, self.epoch = math.inf, -1, 0, -1

    def update(self, loss):
        self.epoch += 1
        if loss >= self.best - self.min_delta:
            self.waited += 1
        else:
            self.best, self.best_epoch, self.waited = loss, self.epoch, 0
        return self.waited >= self.patience


@EarlyStopping.mistake(
    "`min_delta` is not used: any loss below the best counts. An epoch improves when it is below by **more** than min_delta."
)
class any_improvement_counts:
    def __init__(self, patience, min_delta=0.0):
        if patience < 1:
            raise ValueError(patience)
        self.patience, self.min_delta = patience, min_delta
        self.best, self.best_epoch, self.waited, self.epoch = math.inf, -1, 0, -1

    def update(self, loss):
        self.epoch += 1
        if loss < self.best:
            self.best, self.best_epoch, self.waited = loss, self.epoch, 0
        else:
            self.waited += 1
        return self.waited >= self.patience


@EarlyStopping.mistake(
    "A loss exactly min_delta below the best, or equal to it where min_delta is 0, counts as better. It must be below by "
    "**more** than min_delta: < instead of ≤."
)
class the_same_again_counts:
    def __init__(self, patience, min_delta=0.0):
        if patience < 1:
            raise ValueError(patience)
        self.patience, self.min_delta = patience, min_delta
        self.best, self.best_epoch, self.waited, self.epoch = math.inf, -1, 0, -1

    def update(self, loss):
        self.epoch += 1
        if loss <= self.best - self.min_delta:
            self.best, self.best_epoch, self.waited = loss, self.epoch, 0
        else:
            self.waited += 1
        return self.waited >= self.patience


@EarlyStopping.variant
class with_the_history:
    def __init__(self, patience, min_delta=0.0):
        if patience < 1:
            raise ValueError("patience")
        self.patience, self.min_delta, self.history = patience, min_delta, []
        self.best, self.best_epoch = float("inf"), -1

    def update(self, loss):
        self.history.append(loss)
        if self.best - loss > self.min_delta:
            self.best, self.best_epoch = loss, len(self.history) - 1
        return len(self.history) - 1 - self.best_epoch >= self.patience


@EarlyStopping.variant
class counts_down:
    def __init__(self, patience, min_delta=0.0):
        if patience < 1:
            raise ValueError("patience")
        self.patience, self.min_delta, self.left, self.epoch = patience, min_delta, patience, 0
        self.best, self.best_epoch = math.inf, -1

    def update(self, loss):
        self.left -= 1
        if loss + self.min_delta < self.best:
            self.best, self.best_epoch, self.left = loss, self.epoch, self.patience
        self.epoch += 1
        return self.left <= 0


@EarlyStopping.variant
class in_two_functions:
    def __init__(self, patience, min_delta=0.0):
        if patience <= 0:
            raise ValueError("patience")
        self.patience, self.min_delta = patience, min_delta
        self.best, self.best_epoch, self.epoch = math.inf, -1, -1

    def improves(self, loss):
        return not math.isnan(loss) and loss < self.best - self.min_delta

    def update(self, loss):
        self.epoch += 1
        if self.improves(loss):
            self.best, self.best_epoch = loss, self.epoch
        return self.epoch - self.best_epoch >= self.patience


# ---- asynchronous_descent --------------------------------------------------------------------------------------------
@exercise(ref.asynchronous_descent, points=3, returns=("path", "times", "staleness"))
def asynchronous_descent(rng: np.random.Generator) -> Iterator[Case]:
    """Simulate workers that never wait: each applies its gradient, taken where it last read, the moment it is ready."""
    for label, seconds, updates in [
        ("one worker", [1.5], 5),
        ("a fast one and a slow one", [1.0, 2.5], 9),
        ("always at the same moment", [1.0, 1.0, 1.0], 8),
        ("four of different speeds", [1.0, 2.0, 0.75, 5.0], 20),
        ("the slowest first", [3.0, 1.0], 7),
    ]:
        n = 3
        roots = rng.normal(size=(len(seconds), n, n))
        yield case(
            label,
            matrices=roots @ roots.transpose(0, 2, 1) + np.eye(n),
            targets=rng.normal(size=(len(seconds), n)),
            w=rng.normal(size=n),
            lr=0.05,
            seconds=seconds,
            updates=updates,
        )


@asynchronous_descent.probe
def on_bowls(student, matrices, targets, w, lr, seconds, updates):
    return student(lambda v, worker: matrices[worker] @ v - targets[worker], w, lr, seconds, updates)


@asynchronous_descent.mistake(
    "The gradient is taken at the newest w. That is a simulation without staleness: a worker computes at the w that it "
    "**read** when it began."
)
def always_fresh(gradient, w, lr, seconds, updates):
    ready, read_at = list(seconds), [0] * len(seconds)
    path, times, staleness = [w], [0.0], []
    for update in range(updates):
        worker = ready.index(min(ready))
        w = w - lr * gradient(w, worker)
        path.append(w)
        times.append(ready[worker])
        staleness.append(update - read_at[worker])
        read_at[worker] = update + 1
        ready[worker] += seconds[worker]
    return np.stack(path), np.array(times), np.array(staleness)


@asynchronous_descent.mistake(
    "The update starts from the old w that the worker had read, and so undoes what the others did meanwhile. Only the "
    "gradient is old; it is subtracted from the w of now."
)
def overwrites_the_others(gradient, w, lr, seconds, updates):
    ready, read_w, read_at = list(seconds), [w] * len(seconds), [0] * len(seconds)
    path, times, staleness = [w], [0.0], []
    for update in range(updates):
        worker = ready.index(min(ready))
        w = read_w[worker] - lr * gradient(read_w[worker], worker)
        path.append(w)
        times.append(ready[worker])
        staleness.append(update - read_at[worker])
        read_w[worker], read_at[worker] = w, update + 1
        ready[worker] += seconds[worker]
    return np.stack(path), np.array(times), np.array(staleness)


@asynchronous_descent.mistake(
    "After its update a worker goes on with the w from before it. It reads anew **after** writing, so its own update is in "
    "what it reads."
)
def reads_before_it_writes(gradient, w, lr, seconds, updates):
    ready, read_w, read_at = list(seconds), [w] * len(seconds), [0] * len(seconds)
    path, times, staleness = [w], [0.0], []
    for update in range(updates):
        worker = ready.index(min(ready))
        before = w
        w = w - lr * gradient(read_w[worker], worker)
        path.append(w)
        times.append(ready[worker])
        staleness.append(update - read_at[worker])
        read_w[worker], read_at[worker] = before, update + 1
        ready[worker] += seconds[worker]
    return np.stack(path), np.array(times), np.array(staleness)


@asynchronous_descent.mistake(
    "A worker's own last update is counted as staleness. Only what **others** wrote between its reading and its writing "
    "counts; a lone worker has staleness 0."
)
def counts_itself(gradient, w, lr, seconds, updates):
    ready, read_w, read_at = list(seconds), [w] * len(seconds), [0] * len(seconds)
    path, times, staleness = [w], [0.0], []
    for update in range(updates):
        worker = ready.index(min(ready))
        w = w - lr * gradient(read_w[worker], worker)
        path.append(w)
        times.append(ready[worker])
        staleness.append(update - read_at[worker])
        read_w[worker], read_at[worker] = w, update
        ready[worker] += seconds[worker]
    return np.stack(path), np.array(times), np.array(staleness)


@asynchronous_descent.mistake(
    "`w -= …` writes into one array, which is also what the workers have read and what `path` has stored. Make a new one: "
    "w = w − …"
)
def one_array_for_all(gradient, w, lr, seconds, updates):
    w = w.copy()
    ready, read_w, read_at = list(seconds), [w] * len(seconds), [0] * len(seconds)
    path, times, staleness = [w], [0.0], []
    for update in range(updates):
        worker = ready.index(min(ready))
        w -= lr * gradient(read_w[worker], worker)
        path.append(w)
        times.append(ready[worker])
        staleness.append(update - read_at[worker])
        read_w[worker], read_at[worker] = w, update + 1
        ready[worker] += seconds[worker]
    return np.stack(path), np.array(times), np.array(staleness)


@asynchronous_descent.mistake(
    "After each update all workers read anew and lose what they were computing. Only the worker that has just written "
    "reads; the others keep the w that they began with."
)
def everybody_reads(gradient, w, lr, seconds, updates):
    ready, path, times = list(seconds), [w], [0.0]
    for _ in range(updates):
        worker = ready.index(min(ready))
        w = w - lr * gradient(w, worker)
        path.append(w)
        times.append(ready[worker])
        ready[worker] += seconds[worker]
    return np.stack(path), np.array(times), np.zeros(updates, dtype=int)


@asynchronous_descent.variant
def with_a_queue(gradient, w, lr, seconds, updates):
    queue = [(time, worker, w, 0) for worker, time in enumerate(seconds)]
    path, times, staleness = [w], [0.0], []
    while len(staleness) < updates:
        queue.sort(key=lambda entry: entry[:2])
        time, worker, seen, at = queue.pop(0)
        w = w - lr * gradient(seen, worker)
        path.append(w)
        times.append(time)
        staleness.append(len(staleness) - at)
        queue.append((time + seconds[worker], worker, w, len(staleness)))
    return np.array(path), np.array(times), np.array(staleness)


@asynchronous_descent.variant
def from_a_timetable(gradient, w, lr, seconds, updates):
    table = sorted((k * time, worker) for worker, time in enumerate(seconds) for k in range(1, updates + 1))[:updates]
    path, last = np.empty((updates + 1, w.size)), dict.fromkeys(range(len(seconds)), 0)
    path[0], staleness = w, np.zeros(updates, dtype=int)
    for i, (_, worker) in enumerate(table):
        path[i + 1] = path[i] - lr * gradient(path[last[worker]].copy(), worker)
        staleness[i], last[worker] = i - last[worker], i + 1
    return path, np.array([0.0] + [time for time, _ in table]), staleness


@asynchronous_descent.variant
def counting_the_others(gradient, w, lr, seconds, updates):
    workers = [{"ready": float(s), "w": w.copy(), "others": 0} for s in seconds]
    path, times, staleness = [w.copy()], [0.0], []
    for _ in range(updates):
        number = min(range(len(workers)), key=lambda k: (workers[k]["ready"], k))
        mine = workers[number]
        path.append(path[-1] - lr * gradient(mine["w"], number))
        times.append(mine["ready"])
        staleness.append(mine["others"])
        for k, other in enumerate(workers):
            other["others"] += k != number
        mine.update(ready=mine["ready"] + seconds[number], w=path[-1].copy(), others=0)
    return np.stack(path), np.array(times), np.array(staleness)


# ---- graded by a person ----------------------------------------------------------------------------------------------
what_adam_divides_by = explanation(
    "what_adam_divides_by",
    points=3,
    question="""
    1. Write Adam's first step for a single weight, from m = v = 0, with and without bias correction (β₁ = 0.9, β₂ = 0.999,
       ε = 0). How does the length of each depend on the size of the gradient?
    2. Weight decay can be added to the gradient, g + λw, or subtracted beside the step, as AdamW does. Why are the two the
       same for plain SGD and not for Adam? Say which weights Adam with g + λw hardly decays.
    3. A report says that Adam beats SGD on held-out data: Adam's learning rate was chosen from twenty values, SGD's was
       0.01. What would you change before you believe it?
    """,
    rubric=(
        (
            1,
            "without: 0.1g/√(0.001g²) = 3.16·sign(g), with: g/√g² = sign(g), each times η; neither depends on |g|",
        ),
        (
            1,
            "SGD: η(g + λw) = ηg + ηλw, the same terms; Adam divides λw by √v̂ too, so weights with large gradients decay "
            "little",
        ),
        (
            1,
            "the same number of trials for both (rate, and schedule if there is one), chosen on a development set, then "
            "several seeds and one look at the test set (two of these are enough)",
        ),
    ),
    answer="""
    1. m = 0.1g and v = 0.001g². Without correction the step is η·0.1g/√(0.001g²) = 3.16·η·sign(g). With it m̂ = g and
       v̂ = g², and the step is η·sign(g). Both have a length that does not depend on |g|; the uncorrected one is 3.16 times
       too long.
    2. SGD subtracts η(g + λw) = ηg + ηλw: the decay is a term of its own either way. Adam divides all that is in the
       gradient by √v̂, the decay included. Weights whose gradients are large (large v̂) therefore hardly decay; AdamW
       decays all by the same factor 1 − ηλ.
    3. Give both the same number of trials over sensible ranges of the rate (and the same choice of schedules), choose on
       the development set, repeat with several seeds, and look at the test set once, at the end.
    """,
)
