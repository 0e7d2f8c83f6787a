"""Chapter 07: the craft around the steps: batches, schedules, first weights, dropout, stopping, workers that are late."""

import math
from collections.abc import Callable, Iterator

import numpy as np


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
            or "inverse root" (1/√ of the steps since the warm-up, counted in warm-ups).
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
        waited: epochs since.

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
