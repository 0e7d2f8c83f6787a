"""Chapter 08: Bengio's feed-forward language model, with every gradient by hand."""

from __future__ import annotations

import numpy as np

from solutions.losses import cross_entropy

#: embeddings (vocabulary, features), w1 (places · features, hidden), b1 (hidden,), w2 (hidden, vocabulary), b2 (vocabulary,),
#: and direct (places · features, vocabulary), or None where the network has no direct connections.
Parameters = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray | None]


def context_windows(tokens: np.ndarray, order: int, end: int = 0) -> np.ndarray:
    """List, for every word of a text, the order − 1 words before it.

    Args:
        tokens: (tokens,) int, word numbers; every sentence ends with `end`.
        order: length n of the n-grams: order − 1 words of context and the word that is predicted.
        end: number of the word that ends a sentence; it also stands where the text has not begun.

    Returns:
        (tokens, order − 1) int: row t holds the words t − order + 1 … t − 1, oldest first; tokens[t] is what they predict.
        At the start of a sentence they reach back into the sentence before, across its `end`.

    Source:
        Deck A, P(w_m | w_{m−n+1} … w_{m−1}).
    """
    padded = np.concatenate([np.full(order - 1, end, dtype=tokens.dtype), tokens])
    return np.lib.stride_tricks.sliding_window_view(padded, order)[:, :-1]


def initial_parameters(
    vocabulary: int, order: int, features: int, hidden: int, rng: np.random.Generator, direct: bool = False
) -> Parameters:
    """Draw the parameters of a network that begins with equal probabilities for all words.

    Args:
        vocabulary: how many words there are.
        order: n; the network reads n − 1 words.
        features: numbers a word.
        hidden: units of the hidden layer.
        rng: draws the embeddings and w1.
        direct: whether the embeddings also reach the output past the hidden layer.

    Returns:
        Parameters, float32. w2, b2 and direct are 0.

    Source:
        Bengio et al. 2003, section 4.1; Glorot and Bengio 2010 for w1.
    """
    width = (order - 1) * features
    embeddings = 0.1 * rng.standard_normal((vocabulary, features), dtype=np.float32)
    w1 = np.float32(np.sqrt(2 / (width + hidden))) * rng.standard_normal((width, hidden), dtype=np.float32)
    b1, w2, b2, past = (
        np.zeros(shape, dtype=np.float32)
        for shape in ((hidden,), (hidden, vocabulary), (vocabulary,), (width, vocabulary))
    )
    return embeddings, w1, b1, w2, b2, past if direct else None


def feedforward_logits(
    contexts: np.ndarray,
    embeddings: np.ndarray,
    w1: np.ndarray,
    b1: np.ndarray,
    w2: np.ndarray,
    b2: np.ndarray,
    direct: np.ndarray | None = None,
) -> np.ndarray:
    """Score every word as the next one after each context.

    x = the context words' embeddings side by side; h = tanh(x·w1 + b1); logits = h·w2 + b2, plus x·direct where there are
    direct connections.

    Args:
        contexts: (batch, places) int64, word numbers, oldest first.
        embeddings: (vocabulary, features) float64, a word a row.
        w1: (places · features, hidden) float64; b1: (hidden,) float64.
        w2: (hidden, vocabulary) float64; b2: (vocabulary,) float64.
        direct: (places · features, vocabulary) float64, or None for a network without direct connections.

    Returns:
        (batch, vocabulary) float64.

    Source:
        Bengio et al. 2003, y = b + Wx + U tanh(d + Hx), restated with rows as samples; deck A, tanh([e₀, e₁, e₂]H + d)U.
    """
    x = embeddings[contexts].reshape(len(contexts), -1)  # (batch, places · features)
    h = np.tanh(x @ w1 + b1)  # (batch, hidden)
    logits = h @ w2 + b2  # (batch, vocabulary)
    return logits if direct is None else logits + x @ direct


def feedforward_loss(
    contexts: np.ndarray,
    targets: np.ndarray,
    embeddings: np.ndarray,
    w1: np.ndarray,
    b1: np.ndarray,
    w2: np.ndarray,
    b2: np.ndarray,
    direct: np.ndarray | None = None,
) -> float:
    """Mean of −log P(target | context) over a batch, in nats.

    Args:
        contexts: (batch, places) int64, word numbers, oldest first.
        targets: (batch,) int64, the words that came.
        embeddings, w1, b1, w2, b2, direct: as for `feedforward_logits`.

    Returns:
        The cross-entropy; its exponential is the perplexity.
    """
    return cross_entropy(feedforward_logits(contexts, embeddings, w1, b1, w2, b2, direct), targets)[0]


def embedding_gradient(grad_x: np.ndarray, contexts: np.ndarray, vocabulary: int) -> np.ndarray:
    """Send the gradient of looked-up word vectors back to the table they were looked up in.

    The way there was x = embeddings[contexts].reshape(batch, places · features).

    Args:
        grad_x: (batch, places · features) float64, ∂loss/∂x.
        contexts: (batch, places) int64, word numbers; a word may stand there many times.
        vocabulary: how many words the table has.

    Returns:
        (vocabulary, features) float64, ∂loss/∂embeddings; 0 for words that do not occur.

    Source:
        Deck D, figure 7.18: one table for all places of the context.
    """
    batch, places = contexts.shape
    grad = np.zeros((vocabulary, grad_x.shape[1] // places), dtype=grad_x.dtype)
    np.add.at(grad, contexts, grad_x.reshape(batch, places, -1))
    return grad


def feedforward_gradients(
    contexts: np.ndarray,
    targets: np.ndarray,
    embeddings: np.ndarray,
    w1: np.ndarray,
    b1: np.ndarray,
    w2: np.ndarray,
    b2: np.ndarray,
    direct: np.ndarray | None = None,
) -> Parameters:
    """Differentiate the mean cross-entropy of Bengio's network by all its parameters.

    Args:
        contexts: (batch, places) int64, word numbers, oldest first.
        targets: (batch,) int64, the words that came.
        embeddings: (vocabulary, features) float64, a word a row.
        w1: (places · features, hidden) float64; b1: (hidden,) float64.
        w2: (hidden, vocabulary) float64; b2: (vocabulary,) float64.
        direct: (places · features, vocabulary) float64, or None for a network without direct connections.

    Returns:
        grad_embeddings, grad_w1, grad_b1, grad_w2, grad_b2, grad_direct: each with the shape of its parameter;
        grad_direct is None where direct is.

    Source:
        Bengio et al. 2003, section 3.2, restated with rows as samples and a mean over the batch.
    """
    x = embeddings[contexts].reshape(len(contexts), -1)  # (batch, places · features)
    h = np.tanh(x @ w1 + b1)  # (batch, hidden)
    logits = h @ w2 + b2 + (0 if direct is None else x @ direct)  # (batch, vocabulary)
    ### BEGIN SOLUTION
    grad_logits = cross_entropy(logits, targets)[1]  # (batch, vocabulary), divided by batch
    grad_z = (grad_logits @ w2.T) * (1 - h**2)  # (batch, hidden)
    grad_x = grad_z @ w1.T  # (batch, places · features)
    grad_direct = None
    if direct is not None:
        grad_direct = x.T @ grad_logits
        grad_x = grad_x + grad_logits @ direct.T
    grad_embeddings = embedding_gradient(grad_x, contexts, len(embeddings))
    return grad_embeddings, x.T @ grad_z, grad_z.sum(axis=0), h.T @ grad_logits, grad_logits.sum(axis=0), grad_direct
    ### END SOLUTION


def train_epoch(
    parameters: Parameters,
    contexts: np.ndarray,
    targets: np.ndarray,
    order: np.ndarray,
    batch: int,
    rate: float,
    frozen: bool = False,
) -> Parameters:
    """Go once through a text in mini-batches, with one step of gradient descent a batch.

    Args:
        parameters: embeddings, w1, b1, w2, b2, direct as for `feedforward_gradients`; the caller's arrays stay as they are.
        contexts: (tokens, places) int64, word numbers.
        targets: (tokens,) int64, the words that came.
        order: (tokens,) int64, a permutation: the first batch is what its first `batch` entries name, and so on.
        batch: how many contexts a step reads, at least 1; the last batch may be smaller.
        rate: learning rate η, above 0.
        frozen: whether the embeddings keep their values while all other parameters learn.

    Returns:
        The new parameters, in the same order; direct is None where it was.

    Source:
        Deck D, "the typical course of training" and "freezing the embedding layer", with mini-batches.
    """
    for start in range(0, len(order), batch):
        ### BEGIN SOLUTION
        rows = order[start : start + batch]  # (batch,), the last one shorter
        gradients = feedforward_gradients(contexts[rows], targets[rows], *parameters)
        stepped = tuple(
            part if part is None else part - rate * gradient  # type: ignore[operator]
            for part, gradient in zip(parameters, gradients, strict=True)
        )
        parameters = (parameters[0], *stepped[1:]) if frozen else stepped  # type: ignore[assignment]
        ### END SOLUTION
    return parameters
