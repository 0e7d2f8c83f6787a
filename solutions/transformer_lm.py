"""A decoder-only Transformer in PyTorch: a language model for the chapters' runs, which also takes weights in GPT-2's layout."""

import math
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from solutions.attention import sinusoidal_encodings

#: Keys and values of each layer so far, (batch, heads, past, features / heads), one layer's pair after the other's.
Cache = tuple[Tensor, ...]


class CausalSelfAttention(nn.Module):
    """Several heads that look at their own place and at earlier ones.

    Args:
        features: size of a place's vector.
        heads: how many; divides features.
    """

    def __init__(self, features: int, heads: int) -> None:
        super().__init__()
        if features % heads:
            raise ValueError(f"{features} features cannot be shared by {heads} heads")
        self.heads = heads
        self.qkv, self.out = nn.Linear(features, 3 * features), nn.Linear(features, features)

    def forward(self, x: Tensor, past: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Attend.

        Args:
            x: (batch, time, features).
            past: keys and values of the places before, (batch, heads, past, features / heads); None where there are none.

        Returns:
            y: (batch, time, features); keys and values of all places so far.
        """
        split = (*x.shape[:2], 3, self.heads, x.shape[2] // self.heads)
        q, k, v = self.qkv(x).view(split).permute(2, 0, 3, 1, 4)  # each (batch, heads, time, features / heads)
        if past is not None:
            k, v = torch.cat([past[0], k], dim=2), torch.cat([past[1], v], dim=2)
        before = k.shape[2] - x.shape[1]
        mask = (
            None if before == 0 else torch.ones(x.shape[1], k.shape[2], dtype=torch.bool, device=x.device).tril(before)
        )
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=mask is None)
        return self.out(y.transpose(1, 2).reshape(x.shape)), (k, v)


class Block(nn.Module):
    """A pre-norm block: attention, then a network for each place, each behind a norm and with a residual around it.

    Args:
        features: size of a place's vector.
        heads: heads of the attention.
        dropout: share of what each of the two adds that is left out while it learns.
    """

    def __init__(self, features: int, heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(features), nn.LayerNorm(features)
        self.attention = CausalSelfAttention(features, heads)
        self.wide, self.narrow = nn.Linear(features, 4 * features), nn.Linear(4 * features, features)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, past: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """(batch, time, features) → the same shape, and keys and values of all places so far."""
        y, kept = self.attention(self.norm1(x), past)
        x = x + self.dropout(y)
        return x + self.dropout(self.narrow(F.gelu(self.wide(self.norm2(x)), approximate="tanh"))), kept


class TransformerLM(nn.Module):
    """Predict the next word from all words of a window at once.

    Args:
        vocabulary: how many words there are.
        context: most words it can read at once; an engine that judges or runs it must keep to this.
        features: size of a word's vector and of a place's.
        heads: heads a layer.
        layers: how many blocks follow one another.
        dropout: share of features left out while it learns: of the input, and of what each half of a block adds.
        tied: whether the output uses the words' own vectors as its weights.
        sinusoidal: whether positions are sines and cosines instead of vectors that are learned.

    Source:
        Vaswani et al. 2017; Radford et al. 2019. Tied weights: Press and Wolf 2017.
    """

    def __init__(
        self,
        vocabulary: int,
        context: int = 64,
        features: int = 160,
        heads: int = 4,
        layers: int = 2,
        dropout: float = 0.1,
        tied: bool = True,
        sinusoidal: bool = False,
    ) -> None:
        super().__init__()
        self.context = context
        self.embedding = nn.Embedding(vocabulary, features)
        # Not an nn.Embedding: its rows are places, not words.
        positions = torch.from_numpy(sinusoidal_encodings(np.arange(context), features)).float()
        self.positions = nn.Parameter(positions * 0.02 if sinusoidal else 0.02 * torch.randn(context, features))
        self.positions.requires_grad_(not sinusoidal)
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(Block(features, heads, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(features)
        self.output = nn.Linear(features, vocabulary)
        nn.init.normal_(self.embedding.weight, std=0.02)
        for name, p in self.named_parameters():
            if p.ndim == 2 and name.startswith("blocks"):
                # What 2 · layers branches add should together be as large as what one adds.
                last = name.endswith(("out.weight", "narrow.weight"))
                nn.init.normal_(p, std=0.02 / math.sqrt(2 * layers) if last else features**-0.5 * 0.5)
            elif name.startswith("blocks") and name.endswith("bias"):
                nn.init.zeros_(p)
        if tied:
            self.output.weight = self.embedding.weight

    def forward(self, tokens: Tensor, state: Cache | None = None) -> tuple[Tensor, Cache | None]:
        """Go on reading.

        Args:
            tokens: (batch, time) int64, words.
            state: the cache that an earlier call gave; None where a window begins.

        Returns:
            features: (batch, time, features), for `output`; the cache after these words, or None while it learns, when every
            piece is a window of its own.

        Raises:
            ValueError: the window would be longer than the context.
        """
        past = 0 if state is None else state[0].shape[2]
        if past + tokens.shape[1] > self.context:
            raise ValueError(f"{past + tokens.shape[1]} words do not fit into a context of {self.context}")
        x = self.dropout(self.embedding(tokens) + self.positions[past : past + tokens.shape[1]])
        cache: list[Tensor] = []
        for n, block in enumerate(self.blocks):
            x, kept = block(x, None if state is None else (state[2 * n], state[2 * n + 1]))
            cache += kept
        return self.norm(x), None if self.training else tuple(cache)


# ---- GPT-2's layout --------------------------------------------------------------------------------------------------
#: Our names of a block's parameters → those of GPT-2's files.
_BLOCK = {
    "norm1": "ln_1",
    "attention.qkv": "attn.c_attn",
    "attention.out": "attn.c_proj",
    "norm2": "ln_2",
    "wide": "mlp.c_fc",
    "narrow": "mlp.c_proj",
}


def gpt2_names(layers: int) -> dict[str, tuple[str, bool]]:
    """Our parameters' names → their names in GPT-2's layout, and whether they lie transposed there, as (inputs, outputs)."""
    names = {"embedding.weight": ("wte.weight", False), "positions": ("wpe.weight", False)}
    for kind in ("weight", "bias"):
        names[f"norm.{kind}"] = f"ln_f.{kind}", False
        for n in range(layers):
            for ours, theirs in _BLOCK.items():
                names[f"blocks.{n}.{ours}.{kind}"] = (
                    f"h.{n}.{theirs}.{kind}",
                    kind == "weight" and "norm" not in ours,
                )
    return names


def load_gpt2(path: str | Path, heads: int) -> TransformerLM:
    """Make a model from a safetensors file in the layout in which GPT-2 was published.

    Sizes are read off the arrays; only the number of heads cannot be. Names may begin with ``transformer.``; masks that some
    files carry are not needed. The output is tied and has no bias.

    Args:
        path: the file.
        heads: heads a layer: 12 for the smallest GPT-2.

    Returns:
        The model, judging (no dropout).

    Raises:
        ValueError: an array is missing, or has another shape.

    Source:
        Radford et al. 2019; the file's layout: its weights are stored as (inputs, outputs), queries, keys and values in one.
    """
    from safetensors.torch import load_file

    arrays = {name.removeprefix("transformer."): array for name, array in load_file(path).items()}
    layers = 1 + max((int(name.split(".")[1]) for name in arrays if name.startswith("h.")), default=-1)
    if not layers or not {"wte.weight", "wpe.weight"} <= set(arrays):
        raise ValueError(f"{path} is not in GPT-2's layout: it lacks wte.weight, wpe.weight or h.0")
    (vocabulary, features), context = arrays["wte.weight"].shape, len(arrays["wpe.weight"])
    model = TransformerLM(vocabulary, context, features, heads, layers, dropout=0.0)
    named = dict(model.named_parameters())
    with torch.no_grad():
        model.output.bias.zero_()
        for ours, (theirs, transposed) in gpt2_names(layers).items():
            if theirs not in arrays:
                raise ValueError(f"{path} lacks {theirs}")
            array = arrays[theirs].t() if transposed else arrays[theirs]
            if array.shape != named[ours].shape:
                raise ValueError(f"{theirs} has shape {tuple(array.shape)} instead of {tuple(named[ours].shape)}")
            named[ours].copy_(array)
    return model.eval()
