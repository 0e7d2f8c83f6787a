"""Chapter 09: a recurrent network by hand, from one step to a language model, its gradient through time, and how to sample."""

import numpy as np

from solutions.optimisers import Adam, clip_by_global_norm


# ---- one step --------------------------------------------------------------------------------------------------------
def rnn_step(x: np.ndarray, h: np.ndarray, u: np.ndarray, w: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Read one word: h_next = tanh(xU + hW + b).

    Args:
        x: (batch, inputs) float64, what is read now.
        h: (batch, features) float64, the state before.
        u: (inputs, features) float64.
        w: (features, features) float64.
        b: (features,) float64.

    Returns:
        (batch, features) float64, the state after.

    Source:
        Elman 1990; deck A, h_t = TanH(x_t U + h_{t−1} W), which has no bias; decks B and C with one and two biases.
    """
    return np.tanh(x @ u + h @ w + b)  # (batch, features)


def rnn_step_backward(
    grad_next: np.ndarray,
    x: np.ndarray,
    h: np.ndarray,
    h_next: np.ndarray,
    u: np.ndarray,
    w: np.ndarray,
    b: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Send a gradient backwards through one step, h_next = tanh(xU + hW + b).

    Args:
        grad_next: (batch, features) float64, ∂loss/∂h_next.
        x: (batch, inputs) float64, what the step read.
        h: (batch, features) float64, the state before it.
        h_next: (batch, features) float64, the state after it.
        u: (inputs, features) float64.
        w: (features, features) float64.
        b: (features,) float64.

    Returns:
        grad_x (batch, inputs), grad_h (batch, features), grad_u (inputs, features), grad_w (features, features),
        grad_b (features,), all float64: ∂loss/∂ of each, the parameters' summed over the batch.

    Source:
        Werbos 1990; Goodfellow, Bengio and Courville 2016, section 10.2.2.
    """
    ### BEGIN SOLUTION
    grad_z = grad_next * (1 - h_next**2)  # (batch, features): tanh′ is 1 − tanh²
    return grad_z @ u.T, grad_z @ w.T, x.T @ grad_z, h.T @ grad_z, grad_z.sum(axis=0)
    ### END SOLUTION


# ---- a sequence ------------------------------------------------------------------------------------------------------
def rnn_forward(
    x: np.ndarray, h0: np.ndarray, mask: np.ndarray, u: np.ndarray, w: np.ndarray, b: np.ndarray
) -> np.ndarray:
    """Read sequences step by step and keep every state; a padded place leaves the state as it was.

    Args:
        x: (batch, time, inputs) float64; time is at least 1.
        h0: (batch, features) float64, the state before the first step.
        mask: (batch, time) bool, True where a real word stands.
        u: (inputs, features) float64.
        w: (features, features) float64.
        b: (features,) float64.

    Returns:
        (batch, time, features) float64: entry [n, t] is the state of sequence n after place t.

    Source:
        Decks A and C: the same parameters at every step; deck B, h_t = f(W_h h_{t−1} + W_x x_t + b).
    """
    ### BEGIN SOLUTION
    h, states = h0, []
    for t in range(x.shape[1]):
        h = np.where(mask[:, t, None], rnn_step(x[:, t], h, u, w, b), h)  # (batch, features)
        states.append(h)
    return np.stack(states, axis=1)
    ### END SOLUTION


def rnn_backward(
    grad_states: np.ndarray,
    x: np.ndarray,
    h0: np.ndarray,
    mask: np.ndarray,
    states: np.ndarray,
    u: np.ndarray,
    w: np.ndarray,
    b: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Back-propagate through time: from the gradients at all states to those of the inputs, the first state, the parameters.

    Args:
        grad_states: (batch, time, features) float64, what each state gets from the loss at its own place alone.
        x: (batch, time, inputs) float64.
        h0: (batch, features) float64.
        mask: (batch, time) bool, True where a real word stands; elsewhere the state was copied.
        states: (batch, time, features) float64, from `rnn_forward`.
        u: (inputs, features) float64.
        w: (features, features) float64.
        b: (features,) float64.

    Returns:
        grad_x (batch, time, inputs), grad_h0 (batch, features), grad_u (inputs, features), grad_w (features, features),
        grad_b (features,), all float64; grad_x is 0 at padded places.

    Source:
        Werbos 1990; deck B, ∂J⁴/∂h¹ as a product of the ∂h_{k+1}/∂h_k.
    """
    grad_x, grad_h = np.zeros_like(x), np.zeros_like(h0)
    grad_u, grad_w, grad_b = np.zeros_like(u), np.zeros_like(w), np.zeros_like(b)
    ### BEGIN SOLUTION
    for t in reversed(range(x.shape[1])):
        grad_h = grad_h + grad_states[:, t]  # what comes from later, and what comes from this place
        h = states[:, t - 1] if t > 0 else h0
        real = mask[:, t, None]  # (batch, 1)
        grad_x[:, t], through, du, dw, db = rnn_step_backward(grad_h * real, x[:, t], h, states[:, t], u, w, b)
        grad_h = np.where(real, through, grad_h)  # a copied state hands its gradient on as it is
        grad_u, grad_w, grad_b = grad_u + du, grad_w + dw, grad_b + db
    ### END SOLUTION
    return grad_x, grad_h, grad_u, grad_w, grad_b


def masked_lm_loss(logits: np.ndarray, targets: np.ndarray, mask: np.ndarray) -> tuple[float, np.ndarray]:
    """Give the mean cross-entropy over the real words of a padded batch, and its gradient with respect to the logits.

    Args:
        logits: (batch, time, vocabulary) float64, from −1,000 to 1,000.
        targets: (batch, time) integers, the word that follows each place; at padded places any number of the vocabulary.
        mask: (batch, time) bool, True where a real word is asked for.

    Returns:
        loss: nats a real word, a float: the sum over real words divided by how many there are in the whole batch.
        grad_logits: (batch, time, vocabulary) float64, finite, 0 at padded places.

    Raises:
        ValueError: no place is real.

    Source:
        Deck B, J(θ) = 1/T Σ_t −log ŷ^t_{x_{t+1}}, for one text without padding.
    """
    if not mask.any():
        raise ValueError("every place is padded: there is no word to predict")
    ### BEGIN SOLUTION
    shifted = logits - logits.max(axis=2, keepdims=True)
    log_y_hat = shifted - np.log(np.exp(shifted).sum(axis=2, keepdims=True))  # (batch, time, vocabulary)
    y = np.eye(logits.shape[2])[targets]  # (batch, time, vocabulary): one-hot
    weight = mask[:, :, None] / mask.sum()  # every real word counts the same
    return -float(np.sum(weight * y * log_y_hat)), weight * (np.exp(log_y_hat) - y)
    ### END SOLUTION


# ---- the gradient through time ---------------------------------------------------------------------------------------
def gradient_norms(grad_last: np.ndarray, states: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Measure how long the gradient is at each lag, when only the last state feeds the loss.

    Args:
        grad_last: (batch, features) float64, ∂loss/∂h of the last state.
        states: (batch, time, features) float64, from `rnn_forward` without padding.
        w: (features, features) float64.

    Returns:
        (time,) float64: entry k is the norm of ∂loss/∂h, over batch and features together, k steps before the last state;
        entry 0 is the norm of grad_last.

    Source:
        Bengio, Simard and Frasconi 1994; Pascanu, Mikolov and Bengio 2013; deck B, "exploding and vanishing gradients".
    """
    ### BEGIN SOLUTION
    grad_h, norms = grad_last, [np.linalg.norm(grad_last)]
    for t in range(states.shape[1] - 1, 0, -1):
        grad_h = grad_h * (1 - states[:, t] ** 2) @ w.T  # from h_t to h_{t−1}
        norms.append(np.linalg.norm(grad_h))
    return np.array(norms)
    ### END SOLUTION


def with_spectral_radius(w: np.ndarray, radius: float) -> np.ndarray:
    """Scale a square matrix so that the largest |eigenvalue| is as given.

    Args:
        w: (features, features) float64, not nilpotent.
        radius: the spectral radius wanted.

    Returns:
        (features, features) float64.
    """
    return w * (radius / np.abs(np.linalg.eigvals(w)).max())


def two_step_example(
    u: float, w: float, b: float, h0: float, x: tuple[float, float], y: tuple[float, float]
) -> dict[str, float]:
    """Unroll one unit over two steps with the loss ½(h1 − y1)² + ½(h2 − y2)², forwards and backwards, as on paper.

    Args:
        u: weight of the input.
        w: weight of the state before.
        b: bias.
        h0: the state before the first step.
        x: what is read, two numbers.
        y: what the two states should be.

    Returns:
        Every number on the way by name: z1, h1, z2, h2, loss; own1 and own2, what a state gets from its own place;
        grad_h2, grad_z2, back1 (what comes back to h1 through W), grad_h1, grad_z1, grad_u, grad_w, grad_b, grad_h0.
    """
    z1 = x[0] * u + h0 * w + b
    h1 = float(np.tanh(z1))
    z2 = x[1] * u + h1 * w + b
    h2 = float(np.tanh(z2))
    own1, own2 = h1 - y[0], h2 - y[1]
    grad_h2 = own2
    grad_z2 = grad_h2 * (1 - h2**2)
    back1 = grad_z2 * w
    grad_h1 = own1 + back1  # two roads lead from h1 to the loss
    grad_z1 = grad_h1 * (1 - h1**2)
    return {
        **{"z1": z1, "h1": h1, "z2": z2, "h2": h2, "loss": 0.5 * own1**2 + 0.5 * own2**2},
        **{"own1": own1, "own2": own2, "grad_h2": grad_h2, "grad_z2": grad_z2, "back1": back1},
        **{"grad_h1": grad_h1, "grad_z1": grad_z1},
        # One u, one w and one b were used twice: their gradients are sums over the steps.
        **{"grad_u": grad_z2 * x[1] + grad_z1 * x[0], "grad_w": grad_z2 * h1 + grad_z1 * h0},
        **{"grad_b": grad_z2 + grad_z1, "grad_h0": grad_z1 * w},
    }


# ---- choosing the next word ------------------------------------------------------------------------------------------
def word_probabilities(
    logits: np.ndarray, temperature: float = 1.0, top_k: int | None = None, top_p: float | None = None
) -> np.ndarray:
    """Turn the scores of the next word into the probabilities from which it is drawn.

    In this order: divide by the temperature, keep the top_k most probable words, keep the nucleus. The nucleus is the
    smallest set of most probable words whose probabilities, among what top_k has kept, add up to top_p or more. What is
    not kept gets 0, the rest is divided by its sum. Of equally probable words the one with the smaller number goes first.

    Args:
        logits: (vocabulary,) float64, from −1,000 to 1,000.
        temperature: 0 or more; 0 is greedy: probability 1 for the word with the largest score.
        top_k: how many words stay, at least 1; None keeps all.
        top_p: from above 0 to 1; None keeps all.

    Returns:
        (vocabulary,) float64, from 0 to 1, with sum 1.

    Raises:
        ValueError: temperature is below 0, top_k is below 1, or top_p is not above 0 and at most 1.

    Source:
        Fan, Lewis and Dauphin 2018 (top-k); Holtzman et al. 2020 (nucleus); deck B, "generating text with an RNN-LM".
    """
    if temperature < 0 or (top_k is not None and top_k < 1) or (top_p is not None and not 0 < top_p <= 1):
        raise ValueError(f"no such settings: temperature {temperature}, top_k {top_k}, top_p {top_p}")
    ### BEGIN SOLUTION
    if temperature == 0:
        return np.eye(len(logits))[logits.argmax()]
    scores = (logits - logits.max()) / temperature  # the largest is 0, so that no exp overflows
    p = np.exp(scores) / np.exp(scores).sum()
    order = np.argsort(-p, kind="stable")  # most probable first, ties by number
    if top_k is not None:
        p[order[top_k:]] = 0.0
        p = p / p.sum()
    if top_p is not None:
        before = np.cumsum(p[order]) - p[order]  # what the words ahead already add up to
        p[order[before >= top_p]] = 0.0
    return p / p.sum()
    ### END SOLUTION


# ---- deeper, and from both sides -------------------------------------------------------------------------------------
def bidirectional_rnn(
    x: np.ndarray, mask: np.ndarray, layers: list[tuple[tuple[np.ndarray, ...], tuple[np.ndarray, ...]]]
) -> np.ndarray:
    """Stack layers that each read their input from left to right and from right to left, from zero states.

    The next layer reads, at each place, the two states of that place side by side: first that of the reading from the
    left, then that of the reading from the right. The reading from the right begins at a sequence's last real word.

    Args:
        x: (batch, time, inputs) float64, padded at the end.
        mask: (batch, time) bool, True where a real word stands.
        layers: for each layer two triples (u, w, b), from the left and from the right: u (inputs of that layer,
            features), w (features, features), b (features,), float64. From the second layer on the inputs are the
            features of both directions together.

    Returns:
        (batch, time, features of both directions) float64, the last layer's states, 0 at padded places.

    Source:
        Schuster and Paliwal 1997; decks B and C, "bidirectional" and "stacked" recurrent networks.
    """
    ### BEGIN SOLUTION
    for from_left, from_right in layers:
        right_zero, left_zero = (np.zeros((len(x), len(w))) for _, w, _ in (from_left, from_right))
        right = rnn_forward(x, right_zero, mask, *from_left)  # (batch, time, features)
        # Turned round, the padding comes first and leaves the state at zero.
        left = rnn_forward(x[:, ::-1], left_zero, mask[:, ::-1], *from_right)[:, ::-1]
        x = np.concatenate([right, left], axis=2) * mask[:, :, None]
    return x
    ### END SOLUTION


# ---- a language model ------------------------------------------------------------------------------------------------
def new_rnn_lm(rng: np.random.Generator, vocabulary: int, features: int) -> list[np.ndarray]:
    """Draw a language model: word vectors, a recurrent layer, an output layer.

    Args:
        rng: where the numbers come from.
        vocabulary: how many word numbers there are.
        features: size of a word vector and of the state.

    Returns:
        embeddings (vocabulary, features), u (features, features), w (features, features), b (features,), v (features,
        vocabulary), c (vocabulary,), float64. Glorot's weights; W is scaled to spectral radius 1.
    """
    limit = np.sqrt(3 / features)
    embeddings = rng.uniform(-limit, limit, size=(vocabulary, features))
    u = rng.uniform(-limit, limit, size=(features, features))
    w = with_spectral_radius(rng.normal(size=(features, features)), 1.0)
    v = rng.uniform(-1, 1, size=(features, vocabulary)) * np.sqrt(6 / (features + vocabulary))
    return [embeddings, u, w, np.zeros(features), v, np.zeros(vocabulary)]


def rnn_lm_gradients(
    parameters: list[np.ndarray], words: np.ndarray, targets: np.ndarray, mask: np.ndarray, h0: np.ndarray
) -> tuple[float, list[np.ndarray], np.ndarray]:
    """Read a piece of text, predict every next word, and back-propagate through this piece.

    Args:
        parameters: embeddings, u, w, b, v, c as `new_rnn_lm` gives them.
        words: (batch, time) integers, what is read.
        targets: (batch, time) integers, the word after each of them.
        mask: (batch, time) bool, True where a real word is asked for.
        h0: (batch, features) float64, the state at the end of the piece before; no gradient goes back into it.

    Returns:
        loss: nats a real word; grads: one float64 array a parameter; the last state, (batch, features) float64.
    """
    embeddings, u, w, b, v, c = parameters
    x = embeddings[words]  # (batch, time, features)
    states = rnn_forward(x, h0, mask, u, w, b)  # (batch, time, features)
    loss, grad_logits = masked_lm_loss(states @ v + c, targets, mask)
    grad_x, _, grad_u, grad_w, grad_b = rnn_backward(grad_logits @ v.T, x, h0, mask, states, u, w, b)
    grad_embeddings = np.zeros_like(embeddings)
    np.add.at(grad_embeddings, words, grad_x)  # a word that occurs twice adds up both
    grad_v = np.einsum("ntf,ntv->fv", states, grad_logits)
    return loss, [grad_embeddings, grad_u, grad_w, grad_b, grad_v, grad_logits.sum(axis=(0, 1))], states[:, -1]


def name_sentences(rng: np.random.Generator, rows: int, words: int, between: int) -> tuple[np.ndarray, float]:
    """Draw text that only memory can predict: a name, some words about anything, "said", and the name again.

    The words are numbers: 0 is "said", 1 to 4 are names, 5 to 7 anything; all names are equally probable, and so are the others.

    Args:
        rng: where they are drawn.
        rows: how many texts.
        words: words a text; the last sentence may be cut off.
        between: words about anything in each sentence.

    Returns:
        text: (rows, words) int64, and floor: the perplexity that no model can beat on long text, a float.
    """
    count = words // (between + 3) + 1
    names, others = rng.integers(1, 5, size=(rows, count, 1)), rng.integers(5, 8, size=(rows, count, between))
    said = np.zeros_like(names)
    text = np.concatenate([names, others, said, names], axis=2).reshape(rows, -1)[:, :words]
    # A sentence holds one choice among four names and `between` choices among three words; the rest is certain.
    return text, float(np.exp((np.log(4) + between * np.log(3)) / (between + 3)))


def train_rnn_lm(
    streams: np.ndarray, vocabulary: int, time: int, epochs: int, rng: np.random.Generator
) -> list[np.ndarray]:
    """Train a recurrent language model on running text by truncated back-propagation through time.

    Each row is one text. It is read in pieces of `time` words; the state goes on from piece to piece, the gradient does
    not. Epochs begin with states of zeros.

    Args:
        streams: (batch, words) integers from 0 to vocabulary − 1, without padding.
        vocabulary: how many word numbers there are.
        time: words a piece; the last piece may be shorter.
        epochs: how often the whole text may be read.
        rng: where all random numbers come from.

    Returns:
        embeddings, u, w, b, v, c as `new_rnn_lm` describes them, with any number of features; finite. On new text of the
        same kind, read from a state of zeros, the perplexity must be at most 1.2 times the lowest possible one.

    Source:
        Mikolov et al. 2010; Williams and Peng 1990 (truncation); deck B, "training an RNN-LM".
    """
    ### BEGIN SOLUTION
    features, lr, limit = 24, 0.01, 1.0
    parameters = new_rnn_lm(rng, vocabulary, features)
    optimiser = Adam(parameters, lr)
    for epoch in range(epochs):
        optimiser.lr = lr * (1 - epoch / epochs)  # shorter steps towards the end
        h = np.zeros((len(streams), features))
        for start in range(0, streams.shape[1] - 1, time):
            piece = streams[:, start : start + time + 1]  # one word more, the last answer
            words, targets = piece[:, :-1], piece[:, 1:]
            _, grads, h = rnn_lm_gradients(parameters, words, targets, np.ones_like(words, dtype=bool), h)
            optimiser.step(clip_by_global_norm(grads, limit)[0])
    return parameters
    ### END SOLUTION


# ---- the same, fast --------------------------------------------------------------------------------------------------
def summed_by_word(words: np.ndarray, grad_x: np.ndarray, vocabulary: int) -> np.ndarray:
    """Add up the gradients of equal words: sorted, then one sum a word.

    Args:
        words: (places,) integers from 0 to vocabulary − 1, at least one.
        grad_x: (places, features) float, a gradient for each.
        vocabulary: how many rows there are.

    Returns:
        (vocabulary, features) of grad_x's dtype; 0 for words that do not occur.
    """
    grad = np.zeros((vocabulary, grad_x.shape[1]), dtype=grad_x.dtype)
    seen, sums = sums_by_word(words, grad_x)
    grad[seen] = sums
    return grad


def sums_by_word(words: np.ndarray, grad_x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The words that occur, ascending, and the sum of each one's gradients: sorted, then one sum a word."""
    order = np.argsort(words, kind="stable")
    ranked = words[order]
    first = np.flatnonzero(np.diff(ranked, prepend=-1))  # where a new word begins
    return ranked[first], np.add.reduceat(grad_x[order], first, axis=0)


#: So many numbers are worked on at a time: they stay in the processor's cache while several operations pass over them.
IN_CACHE = 1 << 16


def softmax_loss_in_place(logits: np.ndarray, wanted: np.ndarray, real: np.ndarray | None) -> tuple[float, np.ndarray]:
    """Cross-entropy of rows of logits, and its gradient in the logits' own memory; any float dtype.

    Args:
        logits: (rows, vocabulary); they are written over.
        wanted: (rows,) integers.
        real: (rows,) bool, which rows count; None if all do.

    Returns:
        loss: nats a row that counts, a float; grad_logits: (rows, vocabulary), the same array.
    """
    counts = np.ones(len(logits)) if real is None else real
    weight = (counts / counts.sum()).astype(logits.dtype)
    rows, loss = max(1, IN_CACHE // logits.shape[1]), 0.0
    for first in range(0, len(logits), rows):
        part, share = logits[first : first + rows], weight[first : first + rows]
        answers = np.arange(len(part)), wanted[first : first + rows]
        part -= part.max(axis=1, keepdims=True)
        score = part[answers]
        np.exp(part, out=part)
        total = part.sum(axis=1)
        loss += float(np.sum(share * (np.log(total) - score), dtype=np.float64))
        part *= (share / total)[:, None]
        part[answers] -= share
    return loss, logits


def fused_rnn_lm_gradients(
    parameters: list[np.ndarray], words: np.ndarray, targets: np.ndarray, mask: np.ndarray | None, h0: np.ndarray
) -> tuple[float, list[np.ndarray], np.ndarray]:
    """Give what `rnn_lm_gradients` gives, with as few and as large operations as the recurrence allows; any float dtype.

    What does not wait for the state is done for all steps at once: one product for all inputs, one for all logits, one for
    each weight's gradient after the loop, and the slopes 1 − h². Only h_{t−1}W and its way back stay inside the loops,
    which write into arrays that exist already. Steps come first, so that every step's rows lie together.

    Args:
        parameters: embeddings, u, w, b, v, c, all float32 or all float64.
        words: (batch, time) integers.
        targets: (batch, time) integers.
        mask: (batch, time) bool; None if no place is padded.
        h0: (batch, features) of the parameters' dtype.

    Returns:
        loss, a float; grads, arrays of the parameters' shapes and dtype; the last state, (batch, features).
    """
    embeddings, u, w, b, v, c = parameters
    (batch, time), features = words.shape, len(w)
    read, wanted = words.T.ravel(), targets.T.ravel()  # (time·batch,), the first step's rows first
    x = embeddings[read]  # (time·batch, inputs)
    states = np.empty((time + 1, batch, features), dtype=w.dtype)
    states[0] = h0
    np.matmul(x, u, out=states[1:].reshape(time * batch, features))
    states[1:] += b
    real = None if mask is None else mask.T[:, :, None]  # (time, batch, 1)
    product = np.empty_like(h0)
    for t in range(time):
        h = states[t + 1]
        np.matmul(states[t], w, out=product)
        h += product
        np.tanh(h, out=h)
        if real is not None:
            np.copyto(h, states[t], where=~real[t])
    after = states[1:].reshape(time * batch, features)

    logits = after @ v  # (time·batch, vocabulary)
    logits += c
    loss, grad_logits = softmax_loss_in_place(logits, wanted, None if real is None else real.ravel())

    grad_z = (grad_logits @ v.T).reshape(time, batch, features)  # what each place gets from its own loss
    slopes = 1 - states[1:] ** 2
    back = np.ascontiguousarray(w.T)
    carried = np.zeros_like(h0)
    for t in reversed(range(time)):
        g = grad_z[t]
        g += carried
        if real is None:
            g *= slopes[t]
            np.matmul(g, back, out=carried)
        else:
            kept = g * ~real[t]
            g *= slopes[t] * real[t]
            np.matmul(g, back, out=carried)
            carried += kept
    flat = grad_z.reshape(time * batch, features)
    grads = [
        summed_by_word(read, flat @ u.T, len(embeddings)),
        x.T @ flat,
        states[:-1].reshape(time * batch, features).T @ flat,
        flat.sum(axis=0),
        after.T @ grad_logits,
        grad_logits.sum(axis=0),
    ]
    return loss, grads, states[-1].copy()
