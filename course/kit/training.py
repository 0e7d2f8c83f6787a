"""A training loop for any learner: progress with loss and time left, checkpoints, resuming to the bit, early stopping.

A *learner* is anything with three methods, see :class:`Learner`; NumPy and torch models both fit in, the latter through
:class:`TorchLearner`. The data come from a function of the epoch's number, so that a run can be taken up again where it broke
off and then gives the same bits as one that never did.

>>> history = fit(learner, lambda epoch: batches(epoch), epochs=20, evaluate=held_out_loss, patience=3,
...               checkpoint="model.ckpt")  # doctest: +SKIP
"""

from __future__ import annotations

import contextlib
import copy
import io
import json
import math
import os
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sized
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Protocol, TextIO

import numpy as np

__all__ = ["CheckpointError", "History", "Learner", "Progress", "TorchLearner", "fit", "load", "save", "seeded"]


class Learner(Protocol):
    """What :func:`fit` trains."""

    def step(self, batch: Any) -> float:
        """Learn from one batch; gives its loss before the step."""

    def state_dict(self) -> Mapping[str, Any]:
        """All that later steps depend on: parameters, the optimiser's memory, and any generator's state (dropout)."""

    def load_state_dict(self, state: Any) -> None:
        """Go on from what ``state_dict`` gave."""


@dataclass
class History:
    """What a run has come to.

    Attributes:
        train: mean loss over each finished epoch's batches, in the order of the epochs.
        held_out: what ``evaluate`` gave after each finished epoch; empty without ``evaluate``.
        best_epoch: epoch of the lowest held-out loss, counted from 0; −1 when there is none.
        stopped: why it ended: ``"finished"``, ``"early"`` (out of patience) or ``"interrupted"`` (by the person, or by an
            exhausted time limit that raises KeyboardInterrupt).
        seconds: time spent, that of resumed runs added up.
    """

    train: list[float] = field(default_factory=list)
    held_out: list[float] = field(default_factory=list)
    best_epoch: int = -1
    stopped: str = "finished"
    seconds: float = 0.0

    @property
    def best(self) -> float:
        """The lowest held-out loss; infinity when there is none."""
        return self.held_out[self.best_epoch] if self.best_epoch >= 0 else math.inf


def fit(
    learner: Learner,
    batches: Callable[[int], Iterable[Any]],
    *,
    epochs: int,
    evaluate: Callable[[], float] | None = None,
    patience: int | None = None,
    min_delta: float = 0.0,
    checkpoint: str | Path | None = None,
    every: int | None = None,
    resume: bool = True,
    progress: bool | Progress = True,
    judge_interrupted: bool = False,
    write: bool = True,
) -> History:
    """Train a learner, epoch by epoch, and leave it as it was after its best epoch (as it began, if there is none).

    Args:
        learner: see :class:`Learner`.
        batches: takes the epoch's number, from 0, and gives that epoch's batches. The same number must give the same batches,
            so draw their order from a generator made from the number: ``seeded(seed, epoch)``.
        epochs: how many epochs at most.
        evaluate: gives the held-out loss after an epoch, lower is better; without it the last epoch counts as the best.
        patience: stop after so many epochs in a row whose held-out loss is not below the best by more than ``min_delta``.
        min_delta: see ``patience``; not in force for what counts as best when there is no patience.
        checkpoint: a file that is written after each epoch, whole or not at all. If it exists, the run goes on from it.
        every: write it also after each so many batches, for long epochs.
        resume: False begins anew and overwrites the file.
        progress: whether to show a line with loss and time left (standard output), or what shows it.
        judge_interrupted: whether an epoch that is interrupted is evaluated too, and kept when it is the best so far. It is
            not booked: the file goes on from where it was.
        write: False reads the file and never writes it, for all but one of several processes that train together.

    Returns:
        The run's history. A run that is interrupted (Ctrl-C, the stop button) returns as well, with its best epoch.

    Raises:
        ValueError: patience without ``evaluate``, or a number that makes no sense.
        CheckpointError: the file is no checkpoint, or belongs to another kind of run.
    """
    if patience is not None and evaluate is None:
        raise ValueError("patience needs `evaluate`: what should be waited for?")
    if epochs < 0 or (patience is not None and patience < 1) or (every is not None and every < 1):
        raise ValueError("epochs must be 0 or more, patience and every 1 or more")
    path = Path(checkpoint) if checkpoint is not None else None
    run = _Run(learner, evaluate is not None, patience, min_delta if patience is not None else 0.0)
    if path is not None and resume and path.exists():
        run.restore(load(path))
    began, before = time.monotonic(), run.history.seconds
    shown = progress if isinstance(progress, Progress) else Progress(epochs) if progress else None
    try:
        while run.epoch < epochs and not run.patience_is_over():
            made = batches(run.epoch)
            count = len(made) if isinstance(made, Sized) else run.batches_per_epoch
            for batch in islice(iter(made), run.batch, None):
                loss = float(learner.step(batch))
                run.batch, run.total = run.batch + 1, run.total + loss
                if shown:
                    shown.show(run.epoch, run.batch, count, run.total / run.batch, run.history)
                if path is not None and every and run.batch % every == 0:
                    run.history.seconds = before + time.monotonic() - began
                    run.keep(path, write)
            run.finish_epoch(evaluate() if evaluate else None)
            run.history.seconds = before + time.monotonic() - began
            if path is not None:
                run.keep(path, write)
            if shown:
                shown.epoch_done(run.history)
        run.history.stopped = "early" if run.patience_is_over() else "finished"
    except KeyboardInterrupt:
        run.history.stopped = "interrupted"
        if judge_interrupted and run.batch:
            with contextlib.suppress(KeyboardInterrupt):  # a second Ctrl-C: the person will not wait for that
                run.judge_half_an_epoch(evaluate() if evaluate else None)
        run.history.seconds = before + time.monotonic() - began
    if shown:
        shown.close(run.history)
    learner.load_state_dict(copy.deepcopy(run.best))
    return run.history


class _Run:
    """Where a run is: what a checkpoint holds."""

    def __init__(self, learner: Learner, judged: bool, patience: int | None, min_delta: float) -> None:
        self.learner, self.judged, self.patience, self.min_delta = learner, judged, patience, min_delta
        self.epoch, self.batch, self.total, self.waited, self.batches_per_epoch = 0, 0, 0.0, 0, 0
        self.history, self.best = History(), _copy(learner)

    def patience_is_over(self) -> bool:
        return self.patience is not None and self.waited >= self.patience

    def finish_epoch(self, held_out: float | None) -> None:
        """Book an epoch. A NaN is never the best."""
        history = self.history
        history.train.append(self.total / self.batch if self.batch else math.nan)
        if held_out is None:
            self.best, history.best_epoch = _copy(self.learner), -1
        else:
            better = float(held_out) < history.best - self.min_delta
            history.held_out.append(float(held_out))
            self.waited = 0 if better else self.waited + 1
            if better:
                self.best, history.best_epoch = _copy(self.learner), self.epoch
        self.batches_per_epoch = self.batch
        self.epoch, self.batch, self.total = self.epoch + 1, 0, 0.0

    def judge_half_an_epoch(self, held_out: float | None) -> None:
        """Keep what an interrupted epoch has come to, when it is the best."""
        if held_out is None or held_out < self.history.best:
            self.best = _copy(self.learner)
        if held_out is not None and held_out < self.history.best:
            self.history.train.append(self.total / self.batch)
            self.history.held_out.append(float(held_out))
            self.history.best_epoch = self.epoch

    def keep(self, path: Path, write: bool) -> None:
        """Save the run. Every process of several takes part in the snapshot, whoever writes it."""
        taken = self.snapshot()
        if write:
            save(path, taken)

    def snapshot(self) -> dict[str, Any]:
        history = self.history
        return {
            "judged": self.judged,
            "learner": dict(self.learner.state_dict()),
            "best": self.best,
            "place": [self.epoch, self.batch, self.total, self.waited, self.batches_per_epoch],
            "history": [history.train, history.held_out, history.best_epoch, history.seconds],
        }

    def restore(self, saved: Any) -> None:
        if not isinstance(saved, dict) or set(saved) != {"judged", "learner", "best", "place", "history"}:
            raise CheckpointError("The file holds no run of `fit`; give another name, or resume=False to begin anew.")
        if saved["judged"] != self.judged:
            raise CheckpointError("The file's run was made with another choice of `evaluate`; use resume=False.")
        self.learner.load_state_dict(saved["learner"])
        self.best = saved["best"]
        self.epoch, self.batch, self.total, self.waited, self.batches_per_epoch = saved["place"]
        train, held_out, best_epoch, seconds = saved["history"]
        self.history = History(train, held_out, best_epoch, "finished", seconds)


def _copy(learner: Learner) -> dict[str, Any]:
    return copy.deepcopy(dict(learner.state_dict()))


# ---- torch -------------------------------------------------------------------------------------------------------------
class TorchLearner:
    """A torch model with its optimiser as a :class:`Learner`, on any device.

    Args:
        model: an ``nn.Module``.
        optimiser: a ``torch.optim.Optimizer`` over its parameters.
        loss: takes the model and a batch, gives a scalar tensor.
        clip: greatest global norm of the gradients, or None.
        scheduler: called once a step, or None.
    """

    def __init__(
        self,
        model: Any,
        optimiser: Any,
        loss: Callable[[Any, Any], Any],
        clip: float | None = None,
        scheduler: Any = None,
    ) -> None:
        self.model, self.optimiser, self.loss, self.clip, self.scheduler = model, optimiser, loss, clip, scheduler

    def step(self, batch: Any) -> float:
        """Forward, backward, clip, update."""
        import torch

        self.model.train()
        self.optimiser.zero_grad(set_to_none=True)
        loss = self.loss(self.model, batch)
        loss.backward()
        if self.clip is not None:
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.clip)
        self.optimiser.step()
        if self.scheduler is not None:
            self.scheduler.step()
        return float(loss.detach())

    def state_dict(self) -> dict[str, Any]:
        """Model, optimiser, schedule, and the generators that dropout draws from."""
        import torch

        state = {"model": dict(self.model.state_dict()), "optimiser": self.optimiser.state_dict()}
        state["random"] = [
            torch.get_rng_state(),
            *(torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []),
        ]
        if self.scheduler is not None:
            state["scheduler"] = self.scheduler.state_dict()
        return state

    def load_state_dict(self, state: Any) -> None:
        """Go on from what ``state_dict`` gave."""
        import torch

        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        torch.set_rng_state(state["random"][0])
        if torch.cuda.is_available() and len(state["random"]) > 1:
            torch.cuda.set_rng_state_all(state["random"][1:])
        if self.scheduler is not None:
            self.scheduler.load_state_dict(state["scheduler"])


# ---- files -------------------------------------------------------------------------------------------------------------
class CheckpointError(RuntimeError):
    """A file that is no checkpoint, or not this run's, or a value that a checkpoint cannot hold."""


def save(path: str | Path, value: Any) -> None:
    """Write a nested value to a file, whole or not at all.

    The text is JSON, the arrays NumPy's own format, in one zip: nothing in it is code, and loading runs none.

    Args:
        path: the file; an older one is replaced at the last moment.
        value: dictionaries, lists, tuples, numbers, strings, None, NumPy arrays and torch tensors, nested.

    Raises:
        CheckpointError: something else is inside.
    """
    path = Path(path)
    arrays: list[np.ndarray] = []
    text = json.dumps(_to_plain(value, arrays))
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            with zipfile.ZipFile(file, "w") as packed:
                packed.writestr("value.json", text)
                for number, array in enumerate(arrays):
                    buffer = io.BytesIO()
                    np.save(buffer, array, allow_pickle=False)
                    packed.writestr(f"{number}.npy", buffer.getvalue())
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise


def load(path: str | Path) -> Any:
    """Read what :func:`save` wrote, bit by bit the same; tensors come back on the CPU.

    Raises:
        CheckpointError: the file is damaged, or none of ours.
        FileNotFoundError: there is none.
    """
    try:
        with zipfile.ZipFile(path) as packed:

            def array(number: int) -> np.ndarray:
                loaded: np.ndarray = np.load(io.BytesIO(packed.read(f"{number}.npy")), allow_pickle=False)
                return loaded

            return _from_plain(json.loads(packed.read("value.json")), array)
    except (zipfile.BadZipFile, KeyError, ValueError, EOFError, TypeError) as error:
        raise CheckpointError(
            f"{path} is no checkpoint, or a damaged one ({error}); delete it to begin anew."
        ) from None


def _to_plain(value: Any, arrays: list[np.ndarray]) -> Any:
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, Mapping):
        return {"dict": [[_to_plain(key, arrays), _to_plain(inner, arrays)] for key, inner in value.items()]}
    if isinstance(value, tuple):
        return {"tuple": [_to_plain(inner, arrays) for inner in value]}
    if isinstance(value, list):
        return [_to_plain(inner, arrays) for inner in value]
    if isinstance(value, np.ndarray | np.generic) and not value.dtype.hasobject:
        arrays.append(np.asarray(value))
        return {"array" if isinstance(value, np.ndarray) else "scalar": len(arrays) - 1}
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Tensor):
        tensor = value.detach().cpu().contiguous()
        arrays.append(tensor.reshape(-1).view(torch.uint8).numpy() if tensor.numel() else np.zeros(0, np.uint8))
        return {"tensor": [len(arrays) - 1, str(tensor.dtype).removeprefix("torch."), list(tensor.shape)]}
    raise CheckpointError(f"a checkpoint cannot hold a {type(value).__name__}: {str(value)[:60]}")


def _from_plain(value: Any, array: Callable[[int], np.ndarray]) -> Any:
    if isinstance(value, list):
        return [_from_plain(inner, array) for inner in value]
    if not isinstance(value, dict):
        return value
    [(kind, inner)] = value.items()
    if kind == "dict":
        return {_from_plain(key, array): _from_plain(entry, array) for key, entry in inner}
    if kind == "tuple":
        return tuple(_from_plain(entry, array) for entry in inner)
    if kind == "array":
        return array(inner)
    if kind == "scalar":
        return array(inner)[()]
    if kind != "tensor":
        raise ValueError(f"unknown entry {kind!r}")
    import torch

    number, dtype, shape = inner
    made = torch.from_numpy(array(number).copy())
    return (made.view(getattr(torch, dtype)) if made.numel() else made.to(getattr(torch, dtype))).reshape(shape)


# ---- progress ----------------------------------------------------------------------------------------------------------
class Progress:
    """One line that says where a run is: rewritten in a terminal and in a notebook, else one line an epoch.

    Args:
        epochs: how many there will be.
        stream: where to write; standard output by default.
        clock: seconds; for tests.
    """

    def __init__(self, epochs: int, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self.epochs, self.stream, self.clock = epochs, stream or sys.stdout, clock
        self.drawn, self.width = -math.inf, 0
        self.first: tuple[float, int, int] | None = None  # second, epoch and batch of the first call: this run's speed
        self.display = _notebook_display() if stream is None else None
        self.terminal = self.display is None and self.stream.isatty()

    def show(self, epoch: int, batch: int, count: int, loss: float, history: History) -> None:
        """Say that ``batch`` batches of an epoch are done; ``count`` is how many it has, 0 when nobody knows."""
        now = self.clock()
        if self.first is None:
            self.first = now, epoch, batch
        if (self.terminal or self.display) and now - self.drawn >= 0.2:
            self.drawn = now
            self._rewrite(self.line(epoch, batch, count, loss, history))

    def line(self, epoch: int, batch: int, count: int, loss: float, history: History) -> str:
        """The line for one moment."""
        held_out = f" · held out {history.held_out[-1]:.4f}" if history.held_out else ""
        text = f"epoch {epoch + 1}/{self.epochs} · loss {loss:.4f}{held_out}"
        if not count:
            return f"{text} · batch {batch}"
        done, total = epoch * count + batch, self.epochs * count
        bar = "█" * int(20 * done / total) + "░" * (20 - int(20 * done / total))
        began, first_epoch, first_batch = self.first or (self.clock(), epoch, batch)
        here = done - (first_epoch * count + first_batch)
        left = (self.clock() - began) / here * (total - done) if here > 0 else math.nan
        return f"{bar} {text} · {_duration(left)} left"

    def epoch_done(self, history: History) -> None:
        """An epoch is over: where lines cannot be rewritten, now is the time for one."""
        if not (self.terminal or self.display):
            held_out = f" · held out {history.held_out[-1]:.4f}" if history.held_out else ""
            text = f"epoch {len(history.train)}/{self.epochs} · loss {history.train[-1]:.4f}{held_out}"
            print(text, file=self.stream, flush=True)

    def close(self, history: History) -> None:
        """The run is over: one line that stays."""
        words = {"finished": "finished", "early": "stopped early", "interrupted": "interrupted"}[history.stopped]
        best = f" · best held out {history.best:.4f}, epoch {history.best_epoch + 1}" if history.best_epoch >= 0 else ""
        text = f"{words} after {len(history.train)} epochs{best}"
        if self.terminal or self.display:
            self._rewrite(f"{text} · {_duration(history.seconds)}")
        else:
            print(text, file=self.stream)
        if self.terminal:
            self.stream.write("\n")

    def _rewrite(self, text: str) -> None:
        if self.display is not None:
            self.display.update({"text/plain": text}, raw=True)
            return
        self.stream.write("\r" + text.ljust(self.width))
        self.stream.flush()
        self.width = len(text)


def _notebook_display() -> Any:
    """A place in the notebook that can be written again, or None outside a notebook."""
    if "ipykernel" not in sys.modules:
        return None
    from IPython import get_ipython
    from IPython.display import display

    if get_ipython() is None:
        return None
    return display({"text/plain": "…"}, raw=True, display_id=True)


def _duration(seconds: float) -> str:
    if not math.isfinite(seconds):
        return "? s"
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def seeded(seed: int, epoch: int) -> np.random.Generator:
    """A generator for one epoch of one run: the same numbers whenever the epoch is begun."""
    return np.random.default_rng([seed, epoch])
