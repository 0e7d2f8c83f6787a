"""A language model that goes on learning from the text that it is judged by, always after it was judged."""

import copy
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F


def dynamic_log_probabilities(
    model: nn.Module, tokens: np.ndarray, rate: float, back: float = 0.0, piece: int = 20, end: int = 0
) -> np.ndarray:
    """ln P of each word, by a model that takes a step of gradient descent after each piece of the text.

    θ ← θ − η ∂L/∂θ + λ (θ₀ − θ), with L the mean surprise of the piece that has just been judged. A word is judged by what was
    learned from the pieces before its own.

    Args:
        model: as the training engine has it, `forward(tokens, state) -> (features, state)` and `output`; it stays as it is.
        tokens: (tokens,) integers, running text.
        rate: η; 0 learns nothing.
        back: λ, from 0 to 1, how far each step goes back to what the model was.
        piece: words between two steps.
        end: number of `<eos>`, the word before the first.

    Returns:
        (tokens,) float64.

    Source:
        Mikolov et al. 2010 (dynamic models); the way back: Krause et al. 2018, here with the same share for every parameter.
    """
    learner = copy.deepcopy(model).eval()
    output: Any = learner.output
    learned = [p for p in learner.parameters() if p.requires_grad]
    began = [p.detach().clone() for p in learned]
    words = torch.from_numpy(np.asarray(tokens).astype(np.int64)).to(learned[0].device)
    inputs = torch.cat([words.new_tensor([end]), words[:-1]])
    state, result = None, []
    for start in range(0, len(words), piece):
        features, state = learner(inputs[None, start : start + piece], _detached(state))
        surprise = F.cross_entropy(output(features[0]), words[start : start + piece], reduction="none")  # (piece,)
        result.append(-surprise.detach().double())
        grads = torch.autograd.grad(surprise.mean(), learned, allow_unused=True)
        with torch.no_grad():
            for p, grad, first in zip(learned, grads, began, strict=True):
                if grad is not None:
                    p.sub_(rate * grad).lerp_(first, back)
    return torch.cat(result).cpu().numpy()


def _detached(state: Any) -> Any:
    if state is None or isinstance(state, torch.Tensor):
        return state if state is None else state.detach()
    return tuple(_detached(part) for part in state)
