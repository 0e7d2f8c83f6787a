"""How a language model's parameters change: Adam and plain descent for tables of words, the same for the rest, and a mean."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

_BETAS = (0.9, 0.999)


class RowAdam:
    """Adam for tables whose rows are words: only rows that a step touched change, and every row counts its own steps."""

    def __init__(self, tables: list[nn.Parameter], betas: tuple[float, float] = _BETAS, eps: float = 1e-8) -> None:
        self.tables, self.betas, self.eps = tables, betas, eps
        self.memory = [(torch.zeros_like(p), torch.zeros_like(p), torch.zeros(len(p), device=p.device)) for p in tables]

    @torch.no_grad()
    def step(self, grads: Sequence[Tensor | None], rows: Tensor | None, rate: float) -> None:
        """Change each table with the gradient of its rows; `rows` None stands for all of them."""
        first, second = self.betas
        for table, grad, (mean, square, count) in zip(self.tables, grads, self.memory, strict=True):
            if grad is None:
                continue
            m, v, t = (part if rows is None else part.index_select(0, rows) for part in (mean, square, count))
            t.add_(1)
            m.lerp_(grad, 1 - first)
            v.mul_(second).addcmul_(grad, grad, value=1 - second)
            by_row = (-1, *[1] * (table.ndim - 1))
            spread = v.sqrt().mul_((1 - second**t).rsqrt_().view(by_row)).add_(self.eps)
            change = torch.div(m, spread, out=spread).mul_((-rate / (1 - first**t)).view(by_row))
            if rows is None:
                table.add_(change)
            else:
                for part, value in ((mean, m), (square, v), (count, t)):
                    part.index_copy_(0, rows, value)
                table.index_add_(0, rows, change)

    def state_dict(self) -> list[Any]:
        """The memory."""
        return [list(entry) for entry in self.memory]

    def load_state_dict(self, saved: list[Any]) -> None:
        """Go on from what ``state_dict`` gave."""
        for entry, kept in zip(self.memory, saved, strict=True):
            for tensor, value in zip(entry, kept, strict=True):
                tensor.copy_(value)


class RowDescent:
    """Plain descent for tables whose rows are words; it remembers nothing."""

    def __init__(self, tables: list[nn.Parameter]) -> None:
        self.tables = tables

    @torch.no_grad()
    def step(self, grads: Sequence[Tensor | None], rows: Tensor | None, rate: float) -> None:
        """Change each table with the gradient of its rows; `rows` None stands for all of them."""
        for table, grad in zip(self.tables, grads, strict=True):
            if grad is None:
                continue
            if rows is None:
                table.add_(grad, alpha=-rate)
            else:
                table.index_add_(0, rows, grad, alpha=-rate)

    def state_dict(self) -> list[Any]:
        """Nothing."""
        return []

    def load_state_dict(self, saved: list[Any]) -> None:
        """Nothing to go on from."""


def dense_optimiser(parameters: list[nn.Parameter], name: str, decay: float) -> torch.optim.Optimizer:
    """What changes all that is no table of words; the rate is set before each step."""
    if name == "sgd":
        return torch.optim.SGD(parameters, weight_decay=decay)
    return torch.optim.AdamW(parameters, weight_decay=decay, betas=_BETAS)


class RunningMean:
    """The mean of parameters over all moments at which they were added."""

    def __init__(self, parameters: list[nn.Parameter]) -> None:
        self.parameters = parameters
        self.count = 0
        self.values: list[Tensor] = []

    @torch.no_grad()
    def add(self) -> None:
        """Add what the parameters are now."""
        self.count += 1
        if not self.values:
            self.values = [p.detach().clone() for p in self.parameters]
        for value, p in zip(self.values, self.parameters, strict=True):
            value.lerp_(p, 1 / self.count)

    @torch.no_grad()
    def exchange(self) -> None:
        """Let the parameters be their mean, and the mean what they were; a second time undoes it."""
        if not self.count:
            return
        for p, value in zip(self.parameters, self.values, strict=True):
            kept = p.clone()
            p.copy_(value)
            value.copy_(kept)

    @contextlib.contextmanager
    def in_place(self) -> Iterator[None]:
        """Within it the parameters are their mean, if anything was added."""
        self.exchange()
        try:
            yield
        finally:
            self.exchange()

    def state_dict(self) -> list[Any]:
        """Count and mean."""
        return [self.count, self.values]

    def load_state_dict(self, saved: list[Any]) -> None:
        """Go on from what ``state_dict`` gave."""
        self.count, values = saved
        self.values = [value.to(self.parameters[0].device, copy=True) for value in values]
