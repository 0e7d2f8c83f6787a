"""An LSTM language model in PyTorch with what keeps a large one from learning its text by heart, for the run on real text.

It has the interface of `solutions/neural_lm.py`: read words, hand on a vector a place and what has to be remembered.
"""

import torch
from torch import Tensor, nn
from torch.func import functional_call

from solutions.neural_lm import SharedDropout


class LstmLM(nn.Module):
    """Predict the next word from a state and a cell that each word changes through gates.

    Dropout acts between the layers and never on the way from step to step. A share of the recurrent weights W may be left out
    as well: the choice is made once for each piece of text, so every step of the piece works with the same W.

    Args:
        vocabulary: how many words there are.
        features: features of a word's vector, of the state and of the cell.
        layers: how many LSTM layers read one another.
        dropout: share of the features that is left out before each layer and before the output, while it learns.
        shared: whether a row leaves out the same features at all places of a piece (Gal and Ghahramani), or others at each
            place (Zaremba, Sutskever and Vinyals).
        drop_connect: share of the recurrent weights that is left out while it learns.
        forget_bias: where the forget gates' biases begin.
        tied: whether the output uses the words' own vectors as its weights.

    Source:
        Zaremba, Sutskever and Vinyals 2014; Gal and Ghahramani 2016; Press and Wolf 2017; Merity, Keskar and Socher 2018.
    """

    def __init__(
        self,
        vocabulary: int,
        features: int = 200,
        layers: int = 1,
        dropout: float = 0.0,
        shared: bool = True,
        drop_connect: float = 0.0,
        forget_bias: float = 1.0,
        tied: bool = True,
    ) -> None:
        super().__init__()
        if not 0 <= drop_connect < 1:
            raise ValueError(f"drop_connect must be at least 0 and below 1, not {drop_connect}")
        self.drop_connect = drop_connect
        self.embedding = nn.Embedding(vocabulary, features)
        self.layers = nn.ModuleList(nn.LSTM(features, features, batch_first=True) for _ in range(layers))
        self.dropout = SharedDropout(dropout) if shared else nn.Dropout(dropout)
        self.output = nn.Linear(features, vocabulary)
        nn.init.normal_(self.embedding.weight, std=features**-0.5)
        for layer in self.layers:
            for name, bias in layer.named_parameters():
                if name.startswith("bias"):  # PyTorch has two; their sum is what counts
                    nn.init.zeros_(bias)
                    nn.init.constant_(bias[features : 2 * features], forget_bias / 2)
        if tied:
            self.output.weight = self.embedding.weight

    def forward(self, tokens: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Go on reading.

        Args:
            tokens: (batch, time) int64, words.
            state: (2, layers, batch, features), states and cells, what an earlier call gave; None where the text begins.

        Returns:
            features: (batch, time, features), for `output`; state: (2, layers, batch, features), after the last word.
        """
        x, after = self.dropout(self.embedding(tokens)), []
        for k, layer in enumerate(self.layers):
            before = None if state is None else (state[0, k : k + 1], state[1, k : k + 1])
            hidden, pair = functional_call(layer, self.recurrent_weights(layer), (x, before))
            x = self.dropout(hidden)
            after.append(torch.cat(pair))  # (2, batch, features)
        return x, torch.stack(after, dim=1)

    def recurrent_weights(self, layer: nn.Module) -> dict[str, Tensor]:
        """What takes the place of a layer's W in this piece: nothing, or W with some of its numbers left out."""
        if not self.training or self.drop_connect == 0:
            return {}
        return {"weight_hh_l0": nn.functional.dropout(layer.get_parameter("weight_hh_l0"), self.drop_connect)}
