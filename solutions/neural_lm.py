"""Language models in PyTorch: Bengio's feed-forward network and Elman's recurrent one, for the chapters' runs on real text.

Each reads words and hands on a vector a place, and what it has to remember; `output` turns the vector into one logit a word. So a
training loop may take the logits of all words or of a few, and knows nothing else of the model.
"""

import torch
from torch import Tensor, nn


class SharedDropout(nn.Module):
    """Dropout whose choice holds for all places of a row: a feature is left out at each of them or at none.

    Args:
        share: probability that a feature of a row is left out; the others are divided by 1 − share.

    Source:
        Gal and Ghahramani 2016. One choice a row instead of one a place also takes fewer random numbers.
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        if not 0 <= share < 1:
            raise ValueError(f"dropout must be at least 0 and below 1, not {share}")
        self.share = share

    def forward(self, x: Tensor) -> Tensor:
        """Leave features out of x (batch, time, features) while training; gives the same shape."""
        if not self.training or self.share == 0:
            return x
        kept = torch.rand(x.shape[0], 1, x.shape[2], device=x.device) >= self.share  # (batch, 1, features)
        return x * (kept.to(x.dtype) / (1 - self.share))


class FeedForwardLM(nn.Module):
    """Predict the next word from the vectors of the last order − 1 words: b + U tanh(H x + d), and W x where it is direct.

    Args:
        vocabulary: how many words there are.
        order: n of the n-gram it sees; n − 1 words of context, at least 1.
        embedding: features of a word's vector.
        hidden: tanh units.
        dropout: share of the word vectors' features and of the tanh units that is left out while it learns.
        direct: whether the word vectors also reach the output past the hidden layer.
        tied: whether the output uses the words' own vectors as its weights; the hidden layer is then as wide as a word's
            vector, and nothing is direct.
        end: number of `<eos>`, which stands for all words before the text begins.

    Raises:
        ValueError: a tied model whose sizes do not fit, or an order below 2.

    Source:
        Bengio et al. 2003, equation 1; decks A and D. Tied weights: Press and Wolf 2017.
    """

    def __init__(
        self,
        vocabulary: int,
        order: int = 5,
        embedding: int = 100,
        hidden: int = 200,
        dropout: float = 0.0,
        direct: bool = False,
        tied: bool = False,
        end: int = 0,
    ) -> None:
        super().__init__()
        if order < 2:
            raise ValueError(f"a context needs a word: order must be 2 or more, not {order}")
        if tied and (direct or hidden != embedding):
            raise ValueError("a tied output needs hidden = embedding, and no direct connections")
        self.order, self.direct, self.end = order, direct, end
        self.embedding = nn.Embedding(vocabulary, embedding)
        self.hidden = nn.Linear((order - 1) * embedding, hidden)
        self.dropout = SharedDropout(dropout)
        self.output = nn.Linear(hidden + (order - 1) * embedding * direct, vocabulary)
        nn.init.normal_(self.embedding.weight, std=embedding**-0.5)
        if tied:
            self.output.weight = self.embedding.weight

    def forward(self, tokens: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Go on reading.

        Args:
            tokens: (batch, time) int64, words.
            state: (batch, order − 2) int64, the words before them; None where the text begins.

        Returns:
            features: (batch, time, features), for `output`; state: (batch, order − 2) int64, the last words read.
        """
        batch, time = tokens.shape
        before = tokens.new_full((batch, self.order - 2), self.end) if state is None else state
        seen = torch.cat([before, tokens], dim=1)  # (batch, order − 2 + time)
        vectors = self.dropout(self.embedding(seen))  # (batch, order − 2 + time, embedding)
        x = torch.cat(
            [vectors[:, k : k + time] for k in range(self.order - 1)], dim=2
        )  # (batch, time, (order − 1)·embedding)
        features = self.dropout(torch.tanh(self.hidden(x)))  # (batch, time, hidden)
        return torch.cat([features, x], dim=2) if self.direct else features, seen[:, time:]


class ElmanLM(nn.Module):
    """Predict the next word from a state that each word changes: h_t = tanh(x_t U + h_{t−1} W + b).

    Args:
        vocabulary: how many words there are.
        features: features of the state, and of a word's vector.
        dropout: share of the word vectors' and the states' features that is left out while it learns.
        tied: whether the output uses the words' own vectors as its weights.
        layers: how many such layers read one another.

    Source:
        Elman 1990; Mikolov et al. 2010; decks A, B and C. Tied weights: Press and Wolf 2017.
    """

    def __init__(
        self, vocabulary: int, features: int = 200, dropout: float = 0.0, tied: bool = True, layers: int = 1
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, features)
        self.recurrent = nn.RNN(features, features, layers, batch_first=True, dropout=dropout if layers > 1 else 0.0)
        self.dropout = SharedDropout(dropout)
        self.output = nn.Linear(features, vocabulary)
        nn.init.normal_(self.embedding.weight, std=features**-0.5)
        if tied:
            self.output.weight = self.embedding.weight

    def forward(self, tokens: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Go on reading.

        Args:
            tokens: (batch, time) int64, words.
            state: (layers, batch, features), what an earlier call gave; None where the text begins.

        Returns:
            features: (batch, time, features), for `output`; state: (layers, batch, features), after the last word.
        """
        hidden, state = self.recurrent(self.dropout(self.embedding(tokens)), state)
        return self.dropout(hidden), state
