"""Chapter 07: eleven ways to turn a gradient into a step, and the craft around them: batches, first weights, dropout, stopping."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np


class Optimiser:
    """What all optimisers share: parameters that `step` changes in place, and a memory beside each of them.

    A subclass names its memories in `slots` and says in `change` what to subtract from a parameter.

    Args:
        parameters: float64 arrays of any shapes; `step` writes into these very arrays.
        lr: learning rate η; may be set to another value at any time.

    `t` counts the steps, 1 during the first. `state` has for each parameter a dictionary, slot → array of the
    parameter's shape, zeros at first.
    """

    slots: tuple[str, ...] = ()

    def __init__(self, parameters: list[np.ndarray], lr: float) -> None:
        self.parameters, self.lr, self.t = list(parameters), lr, 0
        self.state = [{name: np.zeros_like(w) for name in self.slots} for w in self.parameters]

    def change(self, w: np.ndarray, grad: np.ndarray, state: dict[str, np.ndarray]) -> np.ndarray:
        """What to subtract from w, of w's shape; may put new arrays into `state`."""
        raise NotImplementedError(f"{type(self).__name__} has no `change` yet")

    def step(self, grads: list[np.ndarray]) -> None:
        """Change every parameter once, with one gradient a parameter, in the same order."""
        self.t += 1
        for w, grad, state in zip(self.parameters, grads, self.state, strict=True):
            w -= self.change(w, grad, state)

    def state_dict(self) -> dict[str, Any]:
        """All that a later step depends on besides the parameters."""
        return {"t": self.t, "lr": self.lr, "state": [dict(state) for state in self.state]}

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        self.t, self.lr = saved["t"], saved["lr"]
        self.state = [{name: array.copy() for name, array in state.items()} for state in saved["state"]]


class SGD(Optimiser):
    """Plain descent: η times the gradient of loss + ½·decay·‖w‖².

    Source:
        Robbins and Monro 1951; deck A, "gradient descent"; deck E, "standard SGD".
    """

    def __init__(self, parameters: list[np.ndarray], lr: float = 0.01, decay: float = 0.0) -> None:
        super().__init__(parameters, lr)
        self.decay = decay

    def change(self, w: np.ndarray, grad: np.ndarray, state: dict[str, np.ndarray]) -> np.ndarray:
        """η(g + λw)."""
        return self.lr * (grad + self.decay * w)


class Momentum(Optimiser):
    """Descent with a velocity, v ← μv + g, from v = 0.

    Plain: w ← w − ηv. Nesterov: w ← w − η(g + μv), with the new v. The rate η is outside v, so that a change of
    `lr` acts at once.

    Args:
        parameters: float64 arrays of any shapes; `step` writes into them.
        lr: learning rate η.
        momentum: μ, from 0 to below 1.
        nesterov: whether to look ahead.

    Source:
        Polyak 1964; Nesterov 1983 in the form of Sutskever et al. 2013; deck E, "SGD with momentum".
    """

    slots = ("velocity",)

    def __init__(
        self, parameters: list[np.ndarray], lr: float = 0.01, momentum: float = 0.9, nesterov: bool = False
    ) -> None:
        super().__init__(parameters, lr)
        self.momentum, self.nesterov = momentum, nesterov

    def change(self, w: np.ndarray, grad: np.ndarray, state: dict[str, np.ndarray]) -> np.ndarray:
        """What to subtract from w, of w's shape; puts the new velocity into `state`."""
        ### BEGIN SOLUTION
        v = state["velocity"] = self.momentum * state["velocity"] + grad
        return self.lr * (grad + self.momentum * v if self.nesterov else v)
        ### END SOLUTION


class Adagrad(Optimiser):
    """Descent with a rate for each weight that shrinks with all its squared gradients so far.

    Source:
        Duchi et al. 2011; deck E, "Adagrad", which prints ε inside the root.
    """

    slots = ("total",)

    def __init__(self, parameters: list[np.ndarray], lr: float = 0.01, eps: float = 1e-10) -> None:
        super().__init__(parameters, lr)
        self.eps = eps

    def change(self, w: np.ndarray, grad: np.ndarray, state: dict[str, np.ndarray]) -> np.ndarray:
        """ηg / (√Σg² + ε)."""
        total = state["total"] = state["total"] + grad**2
        return self.lr * grad / (np.sqrt(total) + self.eps)


class RMSprop(Optimiser):
    """Adagrad with a memory that fades: a rolling mean of the squares instead of their sum.

    Source:
        Tieleman and Hinton 2012, lecture 6e.
    """

    slots = ("square",)

    def __init__(self, parameters: list[np.ndarray], lr: float = 0.01, alpha: float = 0.99, eps: float = 1e-8) -> None:
        super().__init__(parameters, lr)
        self.alpha, self.eps = alpha, eps

    def change(self, w: np.ndarray, grad: np.ndarray, state: dict[str, np.ndarray]) -> np.ndarray:
        """ηg / (√s + ε) with s ← αs + (1 − α)g²."""
        square = state["square"] = self.alpha * state["square"] + (1 - self.alpha) * grad**2
        return self.lr * grad / (np.sqrt(square) + self.eps)


class Adadelta(Optimiser):
    """RMSprop whose rate is the size of its own last steps; here ε is inside both roots, and starts them off.

    Source:
        Zeiler 2012.
    """

    slots = ("square", "step_square")

    def __init__(self, parameters: list[np.ndarray], lr: float = 1.0, rho: float = 0.9, eps: float = 1e-6) -> None:
        super().__init__(parameters, lr)
        self.rho, self.eps = rho, eps

    def change(self, w: np.ndarray, grad: np.ndarray, state: dict[str, np.ndarray]) -> np.ndarray:
        """ηΔ with Δ = g·√(d + ε) / √(s + ε), where d is the rolling mean of Δ²."""
        square = state["square"] = self.rho * state["square"] + (1 - self.rho) * grad**2
        step = grad * np.sqrt(state["step_square"] + self.eps) / np.sqrt(square + self.eps)
        state["step_square"] = self.rho * state["step_square"] + (1 - self.rho) * step**2
        return self.lr * step


class Adam(Optimiser):
    """Rolling means of the gradient (m) and of its square (v), both freed from their start at 0.

    m ← β₁m + (1 − β₁)g and v ← β₂v + (1 − β₂)g², from 0; m̂ = m/(1 − β₁ᵗ), v̂ = v/(1 − β₂ᵗ);
    w ← w − η·m̂/(√v̂ + ε). With `decay` λ > 0 (AdamW) also w ← w − ηλw, with the old w on the right of both. With
    `amsgrad` v̂ = v_max/(1 − β₂ᵗ), where v_max is the largest v so far, entry by entry.

    Args:
        parameters: float64 arrays of any shapes; `step` writes into them.
        lr: learning rate η.
        betas: β₁ and β₂, from 0 to below 1.
        eps: ε, outside the root.
        decay: λ of the decoupled weight decay.
        amsgrad: whether to divide by the largest v so far.

    Source:
        Kingma and Ba 2015; Reddi et al. 2018 (AMSGrad); Loshchilov and Hutter 2019 (AdamW); deck E, "Adam".
    """

    slots = ("m", "v", "v_max")

    def __init__(
        self,
        parameters: list[np.ndarray],
        lr: float = 0.001,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        decay: float = 0.0,
        amsgrad: bool = False,
    ) -> None:
        super().__init__(parameters, lr)
        self.betas, self.eps, self.decay, self.amsgrad = betas, eps, decay, amsgrad

    def change(self, w: np.ndarray, grad: np.ndarray, state: dict[str, np.ndarray]) -> np.ndarray:
        """What to subtract from w, of w's shape; puts the new memories into `state`. `self.t` is 1 at the first step."""
        beta1, beta2 = self.betas
        ### BEGIN SOLUTION
        m = state["m"] = beta1 * state["m"] + (1 - beta1) * grad
        v = state["v"] = beta2 * state["v"] + (1 - beta2) * grad**2
        if self.amsgrad:
            v = state["v_max"] = np.maximum(state["v_max"], v)
        m_hat, v_hat = m / (1 - beta1**self.t), v / (1 - beta2**self.t)
        return self.lr * (m_hat / (np.sqrt(v_hat) + self.eps) + self.decay * w)
        ### END SOLUTION


class AdaMax(Optimiser):
    """Adam with the largest gradient of late (it fades by β₂ a step) in place of the root of the mean square.

    Source:
        Kingma and Ba 2015, section 7.1.
    """

    slots = ("m", "largest")

    def __init__(
        self,
        parameters: list[np.ndarray],
        lr: float = 0.002,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
    ) -> None:
        super().__init__(parameters, lr)
        self.betas, self.eps = betas, eps

    def change(self, w: np.ndarray, grad: np.ndarray, state: dict[str, np.ndarray]) -> np.ndarray:
        """η·m̂/u with u ← max(β₂u, |g| + ε); u needs no correction."""
        beta1, beta2 = self.betas
        m = state["m"] = beta1 * state["m"] + (1 - beta1) * grad
        u = state["largest"] = np.maximum(beta2 * state["largest"], np.abs(grad) + self.eps)
        return self.lr * m / (1 - beta1**self.t) / u


class Nadam(Optimiser):
    """Adam with Nesterov's look-ahead in m; μ warms up, μ_t = β₁(1 − ½·0.96^(0.004 t)).

    Source:
        Dozat 2016, in the form of `torch.optim.NAdam`.
    """

    slots = ("m", "v", "product")

    def __init__(
        self,
        parameters: list[np.ndarray],
        lr: float = 0.002,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        warm_up: float = 0.004,
    ) -> None:
        super().__init__(parameters, lr)
        self.betas, self.eps, self.warm_up = betas, eps, warm_up

    def change(self, w: np.ndarray, grad: np.ndarray, state: dict[str, np.ndarray]) -> np.ndarray:
        """η·m̂/(√v̂ + ε), where m̂ already contains a part of the next m."""
        beta1, beta2 = self.betas
        now, following = (beta1 * (1 - 0.5 * 0.96 ** (t * self.warm_up)) for t in (self.t, self.t + 1))
        m = state["m"] = beta1 * state["m"] + (1 - beta1) * grad
        v = state["v"] = beta2 * state["v"] + (1 - beta2) * grad**2
        # The product of all μ so far; kept as an array beside m, so that it is saved with it.
        product = state["product"] = (state["product"] if self.t > 1 else 1.0) * np.full_like(w, now)
        m_hat = (1 - now) * grad / (1 - product) + following * m / (1 - product * following)
        return self.lr * m_hat / (np.sqrt(v / (1 - beta2**self.t)) + self.eps)


def clip_by_global_norm(grads: list[np.ndarray], limit: float) -> tuple[list[np.ndarray], float]:
    """Shorten all gradients by one factor, so that their common norm is at most `limit`.

    The norm is that of one long vector with the entries of all arrays. Gradients that are short enough stay as they
    are, all-zero ones included; the direction never changes.

    Args:
        grads: float64 arrays of any shapes; they stay unchanged.
        limit: the greatest norm allowed, positive.

    Returns:
        clipped: new float64 arrays of the same shapes, and norm: the norm **before** clipping, a float.

    Raises:
        ValueError: limit is not positive.

    Source:
        Pascanu, Mikolov and Bengio 2013; decks A and B, "gradient clipping".
    """
    if limit <= 0:
        raise ValueError(f"the limit must be positive, not {limit}")
    ### BEGIN SOLUTION
    norm = float(np.sqrt(sum(np.sum(grad**2) for grad in grads)))
    factor = limit / norm if norm > limit else 1.0
    return [factor * grad for grad in grads], norm
    ### END SOLUTION


# ---- the craft around the steps --------------------------------------------------------------------------------------
def minibatches(
    x: np.ndarray, y: np.ndarray, size: int, rng: np.random.Generator
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Go through all samples once, in a new random order, some rows at a time.

    The order is `rng.permutation(len(x))`, drawn once per call. The last batch has the rows that are left and may
    be smaller.

    Args:
        x: (samples, …) inputs, any dtype; stays unchanged.
        y: (samples, …) answers, any dtype; stays unchanged.
        size: rows per batch, at least 1.
        rng: where the order is drawn.

    Yields:
        Pairs (rows of x, the same rows of y), `size` rows each, the last pair perhaps fewer.

    Raises:
        ValueError: x and y differ in length; raised when the first batch is asked for.

    Source:
        Deck A, "mini-batch gradient descent"; deck E, "shuffling the training data".
    """
    if len(x) != len(y):
        raise ValueError(f"{len(x)} rows of x, but {len(y)} of y")
    ### BEGIN SOLUTION
    order = rng.permutation(len(x))  # (samples,)
    for first in range(0, len(x), size):
        rows = order[first : first + size]
        yield x[rows], y[rows]
    ### END SOLUTION


def learning_rate(schedule: str, step: int, total: int, warm_up: int = 0) -> float:
    """Give the factor by which a schedule multiplies the highest learning rate at one step.

    Args:
        schedule: "constant", "linear" (to 0 at `total`), "cosine" (to 0 at `total`), "steps" (a tenth after each third)
            or "inverse root" (√(warm_up/(step + 1)), with a `warm_up` of at least 1).
        step: which step, counted from 0.
        total: steps of the whole run.
        warm_up: during so many first steps the factor rises in a line, (step + 1)/warm_up.

    Returns:
        A factor from 0 to 1.

    Raises:
        ValueError: no such schedule.

    Source:
        Goyal et al. 2017 (warm-up); Loshchilov and Hutter 2017 (cosine); Vaswani et al. 2017 (inverse root); deck E,
        "learning decay".
    """
    if step < warm_up:
        return (step + 1) / warm_up
    done = (step - warm_up) / max(1, total - warm_up)  # from 0 to 1
    if schedule == "constant":
        return 1.0
    if schedule == "linear":
        return 1 - done
    if schedule == "cosine":
        return (1 + math.cos(math.pi * done)) / 2
    if schedule == "steps":
        return 0.1 ** int(3 * done)
    if schedule == "inverse root":
        return math.sqrt(max(1, warm_up) / max(1, step + 1))
    raise ValueError(f"no schedule is called {schedule!r}")


def initial_weights(rng: np.random.Generator, inputs: int, outputs: int, rule: str) -> np.ndarray:
    """Draw the first weights of a layer.

    * "uniform": between −0.01 and 0.01, whatever the size of the layer;
    * "glorot": uniform between −v and v, v = √(6/(inputs + outputs));
    * "he": normal with mean 0 and standard deviation √(2/inputs).

    Args:
        rng: where they are drawn, with one call of `rng.uniform` or `rng.normal`.
        inputs: units that the layer reads.
        outputs: units of the layer.
        rule: one of the three names.

    Returns:
        (inputs, outputs) float64.

    Raises:
        ValueError: no such rule.

    Source:
        Glorot and Bengio 2010; He et al. 2015; deck E, "initialising parameters".
    """
    ### BEGIN SOLUTION
    if rule == "uniform":
        return rng.uniform(-0.01, 0.01, size=(inputs, outputs))
    if rule == "glorot":
        v = math.sqrt(6 / (inputs + outputs))
        return rng.uniform(-v, v, size=(inputs, outputs))
    if rule == "he":
        return rng.normal(0.0, math.sqrt(2 / inputs), size=(inputs, outputs))
    ### END SOLUTION
    raise ValueError(f"no rule is called {rule!r}")


class Dropout:
    """Silence each unit with probability p while training, and make up for it.

    Inverted (usual): while training, what is kept is divided by 1 − p; at test time nothing is done. Standard: while
    training, what is kept stays as it is; at test time everything is multiplied by 1 − p.

    Args:
        p: probability of being silenced, from 0 to below 1.
        rng: where it is drawn: `rng.random(x.shape)`, once per training `forward`; an entry below p is silenced.
        inverted: which of the two kinds.

    Raises:
        ValueError: p is below 0, or 1 or more.

    Source:
        Hinton et al. 2012; Srivastava et al. 2014; decks D and E, "dropout".
    """

    def __init__(self, p: float, rng: np.random.Generator, inverted: bool = True) -> None:
        if not 0 <= p < 1:
            raise ValueError(f"p must be from 0 to below 1, not {p}")
        self.p, self.rng, self.inverted = p, rng, inverted

    def forward(self, x: np.ndarray, train: bool) -> np.ndarray:
        """Pass on x, (batch, units) float64, silenced and scaled as the kind and `train` ask for; x stays unchanged."""
        ### BEGIN SOLUTION
        if train:
            kept = self.rng.random(x.shape) >= self.p  # (batch, units) bool
            self.factor = kept / (1 - self.p) if self.inverted else kept
        else:
            self.factor = np.array(1.0 if self.inverted else 1 - self.p)
        return x * self.factor
        ### END SOLUTION

    def backward(self, grad_h: np.ndarray) -> np.ndarray:
        """∂loss/∂x from ∂loss/∂(output of the last `forward`), both (batch, units) float64."""
        ### BEGIN SOLUTION
        return grad_h * self.factor
        ### END SOLUTION


class EarlyStopping:
    """Say when a held-out loss has not improved for `patience` epochs in a row.

    An epoch improves when its loss is below the best one by more than `min_delta`; then it becomes the best. A NaN
    never improves.

    Args:
        patience: epochs without improvement, in a row, after which to stop; at least 1.
        min_delta: how much better is better, 0 or more.

    Attributes:
        best: the best loss, infinity before there is one.
        best_epoch: its epoch, counted from 0; −1 before there is one.
        waited: epochs without improvement since then.

    Raises:
        ValueError: patience is below 1.

    Source:
        Prechelt 1998; deck E, "early stopping" and "patience".
    """

    def __init__(self, patience: int, min_delta: float = 0.0) -> None:
        if patience < 1:
            raise ValueError(f"patience must be at least 1, not {patience}")
        self.patience, self.min_delta = patience, min_delta
        self.best, self.best_epoch, self.waited, self.epoch = math.inf, -1, 0, -1

    def update(self, loss: float) -> bool:
        """Report the next epoch's held-out loss; True when it is time to stop."""
        self.epoch += 1
        ### BEGIN SOLUTION
        if loss < self.best - self.min_delta:
            self.best, self.best_epoch, self.waited = loss, self.epoch, 0
        else:
            self.waited += 1
        return self.waited >= self.patience
        ### END SOLUTION


def asynchronous_descent(
    gradient: Callable[[np.ndarray, int], np.ndarray], w: np.ndarray, lr: float, seconds: list[float], updates: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Simulate workers that wait for nobody: each one's gradient is applied the moment it is ready.

    At second 0 every worker reads w. Worker k is ready seconds[k] after it has read; then w ← w − lr · gradient(the w
    that it had read, k), and at once it reads the new w and begins again. Of workers that are ready at the same moment the
    one with the lower number comes first.

    Args:
        gradient: takes w (n,) and a worker's number, gives (n,); it does not keep or change what it gets.
        w: (n,) float64, where to start; stays unchanged.
        lr: learning rate.
        seconds: how long each worker needs for a gradient, positive; multiples of ¼.
        updates: how many updates to make, at least 1.

    Returns:
        path: (updates + 1, n) float64, w at first and after every update;
        times: (updates + 1,) float64, when, from 0;
        staleness: (updates,) int64, how many updates others made between an update's reading and its writing.

    Source:
        Niu et al. 2011; Dean et al. 2012; deck A, "asynchronous update".
    """
    ### BEGIN SOLUTION
    ready = np.array(seconds, dtype=float)  # (workers,) when each one's gradient is ready
    read_w, read_at = [w] * len(seconds), [0] * len(seconds)  # what each one read, after how many updates
    path, times, staleness = [w], [0.0], []
    for update in range(updates):
        worker = int(np.argmin(ready))  # the first of several
        w = w - lr * gradient(read_w[worker], worker)
        path.append(w)
        times.append(ready[worker])
        staleness.append(update - read_at[worker])
        read_w[worker], read_at[worker] = w, update + 1
        ready[worker] += seconds[worker]
    return np.stack(path), np.array(times), np.array(staleness)
    ### END SOLUTION
