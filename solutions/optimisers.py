"""Chapter 07: eleven ways to turn a gradient into a step, and the clip that goes before each of them."""

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
