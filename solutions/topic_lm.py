"""A recurrent language model that also hears what the text is about: the context of the last words, as a mixture of topics."""

import numpy as np
import torch
from torch import Tensor, nn

from solutions.neural_lm import SharedDropout


class TopicLM(nn.Module):
    """Elman's network with a slow context: h_t = tanh(x_t U + h_{t−1} W + f_t F + b), and f_t G beside h_t at the output.

    f_t = softmax(s · c_t) weighs the topics; c_t = γ c_{t−1} + (1 − γ) ln P(topic | w_t) forgets slowly, and s is learned.

    Args:
        topics: (topics, vocabulary) float, how probable each word is in each topic.
        features: features of the state, and of a word's vector.
        dropout: share of the word vectors' and the states' features that is left out while it learns.
        memory: γ, how much of the context stays a word.

    Source:
        Mikolov and Zweig 2012; deck A's row RNN-LDA.
    """

    def __init__(self, topics: np.ndarray, features: int = 200, dropout: float = 0.0, memory: float = 0.95) -> None:
        super().__init__()
        kinds, vocabulary = topics.shape
        share = torch.as_tensor(topics, dtype=torch.float32).T  # (vocabulary, topics)
        about = (
            (share / share.sum(dim=1, keepdim=True)).clamp_min(1e-6).log()
        )  # ln P(topic | word), topics equally likely
        self.memory = memory
        self.about = nn.Embedding.from_pretrained(about, freeze=True)
        self.sharpness = nn.Parameter(torch.tensor(10.0))
        self.embedding = nn.Embedding(vocabulary, features)
        self.from_topics = nn.Linear(kinds, features, bias=False)
        self.to_output = nn.Linear(kinds, features, bias=False)
        self.recurrent = nn.RNN(features, features, batch_first=True)
        self.dropout = SharedDropout(dropout)
        self.output = nn.Linear(features, vocabulary)
        nn.init.normal_(self.embedding.weight, std=features**-0.5)
        self.output.weight = self.embedding.weight

    def slow_context(self, tokens: Tensor, before: Tensor) -> Tensor:
        """The slow context after each word: (batch, time), and (batch, topics) before them → (batch, time, topics)."""
        time = tokens.shape[1]
        steps = torch.arange(time, device=tokens.device)
        age = steps[:, None] - steps  # (time, time), how long ago word i stood before word t
        kept = (1 - self.memory) * torch.where(age >= 0, self.memory ** age.clamp_min(0).float(), 0.0)
        fading = self.memory ** (steps + 1).float()  # (time,)
        return kept @ self.about(tokens).float() + fading[:, None] * before[:, None]

    def forward(
        self, tokens: Tensor, state: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Go on reading.

        Args:
            tokens: (batch, time) int64, words.
            state: (1, batch, features) and (batch, topics), what an earlier call gave; None where the text begins.

        Returns:
            features: (batch, time, features), for `output`; state: after the last word.
        """
        kinds = self.about.embedding_dim
        hidden, before = (None, self.sharpness.new_zeros(len(tokens), kinds)) if state is None else state
        context = self.slow_context(tokens, before)  # (batch, time, topics)
        topics = torch.softmax(self.sharpness * context, dim=2)  # (batch, time, topics)
        x = self.dropout(self.embedding(tokens)) + self.from_topics(topics)  # (batch, time, features)
        states, hidden = self.recurrent(x, hidden)
        return self.dropout(states) + self.to_output(topics), (hidden, context[:, -1])
