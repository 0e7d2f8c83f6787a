"""A recurrent highway network: several layers deep between two words, and each may let the state pass as it is."""

import torch
from torch import Tensor, nn

from solutions.neural_lm import SharedDropout


class HighwayLM(nn.Module):
    """Predict the next word from a state that goes through `depth` highway layers a word.

    s ← h ⊙ t + s ⊙ (1 − t) with h = tanh(s R_h + b_h) and t = σ(s R_t + b_t); the first layer also reads the word.

    Args:
        vocabulary: how many words there are.
        features: features of the state, and of a word's vector.
        depth: layers between two words, at least 1.
        dropout: share of the word vectors' and the states' features that is left out while it learns.
        inner: share of the state's features that the layers do not see, the same for all words of a piece.
        carry: first value of b_t; below 0 it lets the state pass.

    Raises:
        ValueError: there is no layer.

    Source:
        Zilly et al. 2017, with the carry gate 1 − t; dropout of Gal and Ghahramani 2016.
    """

    def __init__(
        self,
        vocabulary: int,
        features: int = 200,
        depth: int = 4,
        dropout: float = 0.0,
        inner: float = 0.0,
        carry: float = -2.0,
    ) -> None:
        super().__init__()
        if depth < 1:
            raise ValueError(f"a recurrent highway needs a layer: depth must be 1 or more, not {depth}")
        self.embedding = nn.Embedding(vocabulary, features)
        self.from_word = nn.Linear(features, 2 * features, bias=False)
        layers = [nn.Linear(features, 2 * features) for _ in range(depth)]
        self.layers = nn.ModuleList(layers)
        self.dropout, self.inner = SharedDropout(dropout), SharedDropout(inner)
        self.output = nn.Linear(features, vocabulary)
        nn.init.normal_(self.embedding.weight, std=features**-0.5)
        self.output.weight = self.embedding.weight
        with torch.no_grad():
            for layer in layers:
                layer.bias[features:] = carry

    def forward(self, tokens: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Go on reading.

        Args:
            tokens: (batch, time) int64, words.
            state: (batch, features), what an earlier call gave; None where the text begins.

        Returns:
            features: (batch, time, features), for `output`; state: (batch, features), after the last word.
        """
        x = self.from_word(self.dropout(self.embedding(tokens)))  # (batch, time, 2·features)
        s = x.new_zeros(len(tokens), self.output.in_features) if state is None else state
        seen = self.inner(torch.ones_like(s)[:, None])[:, 0]  # (batch, features), 0 where a feature is hidden
        states = []
        for word in x.unbind(dim=1):
            for depth, layer in enumerate(self.layers):
                both = layer(s * seen) + word if depth == 0 else layer(s * seen)  # (batch, 2·features)
                h, t = both.chunk(2, dim=1)
                t = torch.sigmoid(t)
                s = torch.tanh(h) * t + s * (1 - t)
            states.append(s)
        return self.dropout(torch.stack(states, dim=1)), s
