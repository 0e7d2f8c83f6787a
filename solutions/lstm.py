"""Chapter 10: gates by hand. The LSTM and its gradient through time, the GRU, a highway step, a model with tied weights."""

import numpy as np

from solutions.optimisers import Adam, clip_by_global_norm
from solutions.recurrent import masked_lm_loss, softmax_loss_in_place, sums_by_word


# ---- one step of an LSTM ---------------------------------------------------------------------------------------------
def sigmoid(z: np.ndarray) -> np.ndarray:
    """Squash every number into [0, 1]: 1/(1 + e^−z) = ½ + ½ tanh(z/2), which overflows for no z.

    Args:
        z: float64, any shape.

    Returns:
        float64, same shape as z.
    """
    return 0.5 + 0.5 * np.tanh(0.5 * z)


def lstm_step(
    x: np.ndarray, h: np.ndarray, c: np.ndarray, u: np.ndarray, w: np.ndarray, b: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Read one word: z = xU + hW + b in four blocks gives gates and candidate; c_next = f⊙c + i⊙g; h_next = o⊙tanh(c_next).

    The blocks of z stand side by side, `features` columns each, in PyTorch's order: input gate i, forget gate f, candidate g,
    output gate o. i, f and o are sigmoids, g is a tanh.

    Args:
        x: (batch, inputs) float64, what is read now; up to ±1,000.
        h: (batch, features) float64, the state before.
        c: (batch, features) float64, the cell before; up to ±1,000.
        u: (inputs, 4·features) float64.
        w: (features, 4·features) float64.
        b: (4·features,) float64.

    Returns:
        h_next (batch, features), c_next (batch, features), and gates (batch, 4·features): i, f, g, o side by side, after
        sigmoid or tanh, as the way back wants them. All float64.

    Source:
        Hochreiter and Schmidhuber 1997; the forget gate: Gers, Schmidhuber and Cummins 2000; decks B and C.
    """
    ### BEGIN SOLUTION
    i, f, g, o = np.split(x @ u + h @ w + b, 4, axis=1)  # (batch, features) each
    i, f, g, o = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)
    c_next = f * c + i * g
    return o * np.tanh(c_next), c_next, np.concatenate([i, f, g, o], axis=1)
    ### END SOLUTION


def lstm_step_backward(
    grad_h_next: np.ndarray,
    grad_c_next: np.ndarray,
    x: np.ndarray,
    h: np.ndarray,
    c: np.ndarray,
    gates: np.ndarray,
    u: np.ndarray,
    w: np.ndarray,
    b: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Send gradients backwards through one LSTM step.

    Args:
        grad_h_next: (batch, features) float64, ∂loss/∂h_next.
        grad_c_next: (batch, features) float64, what c_next gets from later steps; its road through h_next is not in it.
        x: (batch, inputs) float64, what the step read.
        h: (batch, features) float64, the state before it.
        c: (batch, features) float64, the cell before it.
        gates: (batch, 4·features) float64, from `lstm_step`: i, f, g, o after sigmoid or tanh.
        u: (inputs, 4·features) float64.
        w: (features, 4·features) float64.
        b: (4·features,) float64; not needed, here so that the call is like the step's.

    Returns:
        grad_x (batch, inputs), grad_h (batch, features), grad_c (batch, features), grad_u (inputs, 4·features), grad_w
        (features, 4·features), grad_b (4·features,), all float64; the parameters' are summed over the batch.

    Source:
        Gers, Schmidhuber and Cummins 2000, without their truncation; Graves and Schmidhuber 2005.
    """
    ### BEGIN SOLUTION
    i, f, g, o = np.split(gates, 4, axis=1)
    tanh_c = np.tanh(f * c + i * g)
    grad_c = grad_c_next + grad_h_next * o * (1 - tanh_c**2)  # from later, and through h_next
    grad_i, grad_f, grad_g, grad_o = grad_c * g, grad_c * c, grad_c * i, grad_h_next * tanh_c
    grad_z = np.concatenate(
        [grad_i * i * (1 - i), grad_f * f * (1 - f), grad_g * (1 - g**2), grad_o * o * (1 - o)], axis=1
    )  # (batch, 4·features)
    return grad_z @ u.T, grad_z @ w.T, grad_c * f, x.T @ grad_z, h.T @ grad_z, grad_z.sum(axis=0)
    ### END SOLUTION


# ---- a sequence ------------------------------------------------------------------------------------------------------
def lstm_forward(
    x: np.ndarray, h0: np.ndarray, c0: np.ndarray, mask: np.ndarray, u: np.ndarray, w: np.ndarray, b: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Read sequences step by step and keep every state and cell; a padded place leaves both as they were.

    Args:
        x: (batch, time, inputs) float64; time is at least 1.
        h0: (batch, features) float64, the state before the first step.
        c0: (batch, features) float64, the cell before the first step.
        mask: (batch, time) bool, True where a real word stands.
        u: (inputs, 4·features) float64.
        w: (features, 4·features) float64.
        b: (4·features,) float64.

    Returns:
        hidden and cells, (batch, time, features) float64 each: entry [n, t] is what sequence n has after place t.
    """
    h, c, hidden, cells = h0, c0, [], []
    for t in range(x.shape[1]):
        h_next, c_next, _ = lstm_step(x[:, t], h, c, u, w, b)
        padded = ~mask[:, t, None]  # (batch, 1)
        h, c = np.where(padded, h, h_next), np.where(padded, c, c_next)
        hidden.append(h)
        cells.append(c)
    return np.stack(hidden, axis=1), np.stack(cells, axis=1)


def lstm_backward(
    grad_hidden: np.ndarray,
    x: np.ndarray,
    h0: np.ndarray,
    c0: np.ndarray,
    mask: np.ndarray,
    hidden: np.ndarray,
    cells: np.ndarray,
    u: np.ndarray,
    w: np.ndarray,
    b: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Back-propagate through time: two arrays travel from step to step, the gradient of the state and that of the cell.

    The gates were not kept: `lstm_step` gives them again. The last cell feeds nothing but the last state.

    Args:
        grad_hidden: (batch, time, features) float64, what each state gets from the loss at its own place alone.
        x: (batch, time, inputs) float64.
        h0: (batch, features) float64.
        c0: (batch, features) float64.
        mask: (batch, time) bool, True where a real word stands; elsewhere state and cell were copied.
        hidden: (batch, time, features) float64, from `lstm_forward`.
        cells: (batch, time, features) float64, from `lstm_forward`.
        u: (inputs, 4·features) float64.
        w: (features, 4·features) float64.
        b: (4·features,) float64.

    Returns:
        grad_x (batch, time, inputs), grad_h0 and grad_c0 (batch, features), grad_u (inputs, 4·features), grad_w (features,
        4·features), grad_b (4·features,), all float64; grad_x is 0 at padded places.

    Source:
        Werbos 1990; Graves and Schmidhuber 2005.
    """
    grad_x, grad_h, grad_c = np.zeros_like(x), np.zeros_like(h0), np.zeros_like(c0)
    grad_u, grad_w, grad_b = np.zeros_like(u), np.zeros_like(w), np.zeros_like(b)
    ### BEGIN SOLUTION
    for t in reversed(range(x.shape[1])):
        grad_h = grad_h + grad_hidden[:, t]  # what comes from later, and what comes from this place
        h, c = (hidden[:, t - 1], cells[:, t - 1]) if t > 0 else (h0, c0)
        real = mask[:, t, None]  # (batch, 1)
        gates = lstm_step(x[:, t], h, c, u, w, b)[2]
        grad_x[:, t], back_h, back_c, du, dw, db = lstm_step_backward(
            grad_h * real, grad_c * real, x[:, t], h, c, gates, u, w, b
        )
        grad_h, grad_c = np.where(real, back_h, grad_h), np.where(real, back_c, grad_c)  # copies pass it on as it is
        grad_u, grad_w, grad_b = grad_u + du, grad_w + dw, grad_b + db
    ### END SOLUTION
    return grad_x, grad_h, grad_c, grad_u, grad_w, grad_b


def lstm_gradient_norms(
    grad_last: np.ndarray, x: np.ndarray, u: np.ndarray, w: np.ndarray, b: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Measure how long the cell's gradient is at each lag, when only the last state feeds the loss; states begin at 0.

    Args:
        grad_last: (batch, features) float64, ∂loss/∂h of the last state.
        x: (batch, time, inputs) float64.
        u: (inputs, 4·features) float64.
        w: (features, 4·features) float64.
        b: (4·features,) float64.

    Returns:
        Two (time,) float64 arrays. whole: entry k is the norm of ∂loss/∂c k steps before the last, along all roads. direct:
        the same along the one road that runs from cell to cell, where each step multiplies by its forget gate.
    """
    zero = np.zeros_like(grad_last)
    hidden, cells = lstm_forward(x, zero, zero, np.ones(x.shape[:2], dtype=bool), u, w, b)
    grad_h, later, direct, whole, road = grad_last, zero, zero, [], []
    for t in range(x.shape[1] - 1, -1, -1):
        h, c = (hidden[:, t - 1], cells[:, t - 1]) if t > 0 else (zero, zero)
        _, c_next, gates = lstm_step(x[:, t], h, c, u, w, b)
        _, forget, _, output = np.split(gates, 4, axis=1)
        at_cell = later + grad_h * output * (1 - np.tanh(c_next) ** 2)  # ∂loss/∂c of this step
        direct = at_cell if t == x.shape[1] - 1 else direct
        whole.append(np.linalg.norm(at_cell))
        road.append(np.linalg.norm(direct))
        _, grad_h, later, *_ = lstm_step_backward(grad_h, later, x[:, t], h, c, gates, u, w, b)
        direct = direct * forget
    return np.array(whole), np.array(road)


# ---- relatives -------------------------------------------------------------------------------------------------------
def gru_step(
    x: np.ndarray, h: np.ndarray, u: np.ndarray, w: np.ndarray, b: np.ndarray, d: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Read one word with a gated recurrent unit: h_next = (1 − z)⊙n + z⊙h.

    The columns of U, W and b are three blocks, `features` each, in PyTorch's order: reset gate r, update gate z, candidate n.
    r and z are sigmoids of xU + hW + b, block by block; n = tanh(xU_n + b_n + r⊙(hW_n + d)): the reset gate acts on the
    product with W, as in PyTorch, not on h before it.

    Args:
        x: (batch, inputs) float64, what is read now; up to ±1,000.
        h: (batch, features) float64, the state before.
        u: (inputs, 3·features) float64.
        w: (features, 3·features) float64.
        b: (3·features,) float64.
        d: (features,) float64, the bias inside the reset gate's bracket.

    Returns:
        h_next (batch, features), and gates (batch, 3·features): r, z, n side by side, after sigmoid or tanh; float64.

    Source:
        Cho et al. 2014, with r⊙h before the product, as in deck B; after it: PyTorch's GRU.
    """
    ### BEGIN SOLUTION
    features = h.shape[1]
    of_x, of_h = x @ u + b, h @ w  # (batch, 3·features)
    r, z = np.split(sigmoid(of_x + of_h)[:, : 2 * features], 2, axis=1)
    n = np.tanh(of_x[:, 2 * features :] + r * (of_h[:, 2 * features :] + d))
    return (1 - z) * n + z * h, np.concatenate([r, z, n], axis=1)
    ### END SOLUTION


def gru_step_backward(
    grad_next: np.ndarray,
    x: np.ndarray,
    h: np.ndarray,
    gates: np.ndarray,
    u: np.ndarray,
    w: np.ndarray,
    b: np.ndarray,
    d: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Send a gradient backwards through one GRU step.

    Args:
        grad_next: (batch, features) float64, ∂loss/∂h_next.
        x: (batch, inputs) float64, what the step read.
        h: (batch, features) float64, the state before it.
        gates: (batch, 3·features) float64, from `gru_step`: r, z, n after sigmoid or tanh.
        u: (inputs, 3·features) float64.
        w: (features, 3·features) float64.
        b: (3·features,) float64; not needed, here so that the call is like the step's.
        d: (features,) float64.

    Returns:
        grad_x (batch, inputs), grad_h (batch, features), grad_u (inputs, 3·features), grad_w (features, 3·features), grad_b
        (3·features,), grad_d (features,), all float64; the parameters' are summed over the batch.

    Source:
        Cho et al. 2014; PyTorch's GRU.
    """
    ### BEGIN SOLUTION
    r, z, n = np.split(gates, 3, axis=1)
    bracket = h @ w[:, -n.shape[1] :] + d  # (batch, features): what r multiplied
    grad_n = grad_next * (1 - z) * (1 - n**2)
    grad_z = grad_next * (h - n) * z * (1 - z)
    grad_r = grad_n * bracket * r * (1 - r)
    at_x = np.concatenate([grad_r, grad_z, grad_n], axis=1)  # (batch, 3·features): what xU + b gets
    at_h = np.concatenate([grad_r, grad_z, grad_n * r], axis=1)  # what hW gets
    grad_h = grad_next * z + at_h @ w.T
    return at_x @ u.T, grad_h, x.T @ at_x, h.T @ at_h, at_x.sum(axis=0), (grad_n * r).sum(axis=0)
    ### END SOLUTION


def highway_step(
    x: np.ndarray, h: np.ndarray, u: np.ndarray, layers: list[tuple[np.ndarray, np.ndarray]]
) -> np.ndarray:
    """Read one word and think about it for some layers, each with a road past it: h ← t⊙n + (1 − t)⊙h.

    In each layer n = tanh and t = sigmoid of the two halves of hW + b, `features` columns each, n's first; in the first
    layer xU is added to the sum. Each layer has its own W and b, the same at every word.

    Args:
        x: (batch, inputs) float64, what is read now; up to ±1,000.
        h: (batch, features) float64, the state before.
        u: (inputs, 2·features) float64.
        layers: for each layer w (features, 2·features) and b (2·features,), float64; at least one.

    Returns:
        (batch, features) float64, the state after.

    Source:
        Zilly et al. 2017, equations 6 to 9 with their coupled gates; Srivastava, Greff and Schmidhuber 2015.
    """
    ### BEGIN SOLUTION
    for k, (w, b) in enumerate(layers):
        n, t = np.split(h @ w + b + (x @ u if k == 0 else 0), 2, axis=1)  # (batch, features) each
        t = sigmoid(t)
        h = t * np.tanh(n) + (1 - t) * h
    return h
    ### END SOLUTION


# ---- a language model with tied weights ------------------------------------------------------------------------------
def new_lstm_lm(rng: np.random.Generator, vocabulary: int, features: int, forget_bias: float = 1.0) -> list[np.ndarray]:
    """Draw a language model with one table of word vectors, at its entrance and at its exit.

    Args:
        rng: where the numbers come from.
        vocabulary: how many word numbers there are.
        features: size of a word vector, of the state and of the cell.
        forget_bias: where the forget gates' biases begin; all others begin at 0.

    Returns:
        embeddings (vocabulary, features), u (features, 4·features), w (features, 4·features), b (4·features,), bias
        (vocabulary,), float64. U and W are uniform with Glorot's limit for one block.
    """
    limit = np.sqrt(3 / features)
    embeddings = 0.5 * rng.normal(size=(vocabulary, features))
    u, w = (rng.uniform(-limit, limit, size=(features, 4 * features)) for _ in range(2))
    b = np.zeros(4 * features)
    b[features : 2 * features] = forget_bias
    return [embeddings, u, w, b, np.zeros(vocabulary)]


def tied_lm_gradients(
    parameters: list[np.ndarray],
    words: np.ndarray,
    targets: np.ndarray,
    mask: np.ndarray,
    state: tuple[np.ndarray, np.ndarray],
) -> tuple[float, list[np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Read a piece of text with an LSTM, score every next word by the word vectors' own table, and send the gradient back.

    A word's vector is a row of E, x_t = E[word]; the logits are h_t Eᵀ + bias. So E is used twice, and has two gradients.

    Args:
        parameters: embeddings, u, w, b, bias as `new_lstm_lm` gives them.
        words: (batch, time) integers, what is read.
        targets: (batch, time) integers, the word after each of them.
        mask: (batch, time) bool, True where a real word stands and its next one is asked for; elsewhere state and cell stay as
            they were.
        state: h and c, (batch, features) float64 each, from the end of the piece before; no gradient goes back into it.

    Returns:
        loss: nats a real word, a float; grads: a list of float64 arrays, one a parameter, in the same order; state: h and c
        after the last place.

    Source:
        Press and Wolf 2017; Inan, Khosravi and Socher 2017.
    """
    embeddings, u, w, b, bias = parameters
    ### BEGIN SOLUTION
    x = embeddings[words]  # (batch, time, features)
    hidden, cells = lstm_forward(x, *state, mask, u, w, b)
    loss, grad_logits = masked_lm_loss(hidden @ embeddings.T + bias, targets, mask)
    grad_hidden = grad_logits @ embeddings  # (batch, time, features)
    grad_x, _, _, grad_u, grad_w, grad_b = lstm_backward(grad_hidden, x, *state, mask, hidden, cells, u, w, b)
    grad_embeddings = np.einsum("ntv,ntf->vf", grad_logits, hidden)  # as the output's weights
    np.add.at(grad_embeddings, words, grad_x)  # and as word vectors
    grads = [grad_embeddings, grad_u, grad_w, grad_b, grad_logits.sum(axis=(0, 1))]
    return loss, grads, (hidden[:, -1], cells[:, -1])
    ### END SOLUTION


def train_lstm_lm(
    streams: np.ndarray, vocabulary: int, time: int, epochs: int, rng: np.random.Generator
) -> list[np.ndarray]:
    """Train an LSTM language model with tied weights on running text by truncated back-propagation through time.

    Each row is one text. It is read in pieces of `time` words; state and cell go on from piece to piece, the gradient does
    not. Epochs begin with zeros.

    Args:
        streams: (batch, words) integers from 0 to vocabulary − 1, without padding.
        vocabulary: how many word numbers there are.
        time: words a piece; the last piece may be shorter.
        epochs: how often the whole text may be read.
        rng: where all random numbers come from.

    Returns:
        embeddings, u, w, b, bias as `new_lstm_lm` describes them, with any number of features; finite. On new text of the
        same kind, read from zeros, the perplexity must be at most 1.06 times the lowest possible one.

    Source:
        Zaremba, Sutskever and Vinyals 2014, without dropout.
    """
    ### BEGIN SOLUTION
    features, lr, limit = 24, 0.03, 1.0
    parameters = new_lstm_lm(rng, vocabulary, features)
    optimiser = Adam(parameters, lr)
    for epoch in range(epochs):
        optimiser.lr = lr * (1 - epoch / epochs)  # shorter steps towards the end
        state = np.zeros((len(streams), features)), np.zeros((len(streams), features))
        for start in range(0, streams.shape[1] - 1, time):
            piece = streams[:, start : start + time + 1]  # one word more, the last answer
            words, targets = piece[:, :-1], piece[:, 1:]
            _, grads, state = tied_lm_gradients(parameters, words, targets, np.ones_like(words, dtype=bool), state)
            optimiser.step(clip_by_global_norm(grads, limit)[0])
    return parameters
    ### END SOLUTION


# ---- the same, fast --------------------------------------------------------------------------------------------------
class Room:
    """Memory that is used again: arrays by name, made when a shape is first asked for.

    A step that asks for new arrays each time waits for the operating system, which hands out fresh memory page by page; for a
    small model that took a fifth of the step.
    """

    def __init__(self) -> None:
        self.arrays: dict[str, np.ndarray] = {}

    def __call__(self, name: str, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        """The array of that name, with whatever it held before; a new one where shape or dtype changed."""
        found = self.arrays.get(name)
        if found is None or found.shape != shape or found.dtype != dtype:
            found = self.arrays[name] = np.empty(shape, dtype=dtype)
        return found


def fused_lstm_forward(
    x: np.ndarray,
    h0: np.ndarray,
    c0: np.ndarray,
    real: np.ndarray | None,
    u: np.ndarray,
    w: np.ndarray,
    b: np.ndarray,
    room: Room | None = None,
) -> dict[str, np.ndarray]:
    """Read sequences as `lstm_forward` does, with as few and as large operations as the recurrence allows; any float dtype.

    Steps come first, so that each step's rows lie together. One product gives all four blocks of all inputs, one the four blocks of
    a step, and one tanh serves all four: σ(z) = ½ + ½ tanh(z/2), with the ½ inside put into the weights.

    Args:
        x: (time, batch, inputs), U, W and b as `lstm_forward` has them, h0 and c0 (batch, features); one float dtype.
        real: (time, batch, 1) bool, True where a real word stands; None if no place is padded.
        room: where to keep arrays from call to call; what an earlier call gave is then written over. None makes new ones.

    Returns:
        All that the way back needs, by name: x, real; hidden, cells (time + 1, batch, features), the first states in front;
        gates (time, batch, 4, features), i, f, g, o; shown (time, batch, features), tanh of the cells.
    """
    (time, batch, inputs), features = x.shape, len(w)
    half = np.repeat(np.array([0.5, 0.5, 1.0, 0.5], dtype=w.dtype), features)
    into_x, into_h, bias = half * u, half * w, half * b
    room = room or Room()
    gates = room("gates", (time, batch, 4, features), w.dtype)
    side_by_side = gates.reshape(time, batch, 4 * features)
    np.matmul(x.reshape(time * batch, inputs), into_x, out=side_by_side.reshape(time * batch, 4 * features))
    side_by_side += bias
    hidden, cells = (room(name, (time + 1, batch, features), w.dtype) for name in ("hidden", "cells"))
    hidden[0], cells[0] = h0, c0
    shown = room("shown", (time, batch, features), w.dtype)
    product, written = np.empty_like(side_by_side[0]), np.empty_like(cells[0])
    for t in range(time):
        z, gate, c = side_by_side[t], gates[t], cells[t + 1]
        np.matmul(hidden[t], into_h, out=product)
        z += product
        np.tanh(z, out=z)
        for sigmoids in (z[:, : 2 * features], z[:, 3 * features :]):
            sigmoids *= 0.5
            sigmoids += 0.5
        np.multiply(gate[:, 1], cells[t], out=c)
        np.multiply(gate[:, 0], gate[:, 2], out=written)
        c += written
        if real is not None:
            np.copyto(c, cells[t], where=~real[t])
        np.tanh(c, out=shown[t])
        np.multiply(gate[:, 3], shown[t], out=hidden[t + 1])
        if real is not None:
            np.copyto(hidden[t + 1], hidden[t], where=~real[t])
    kept = {"x": x, "hidden": hidden, "cells": cells, "gates": gates, "shown": shown}
    return kept if real is None else {**kept, "real": real}


def fused_lstm_backward(
    grad_hidden: np.ndarray, kept: dict[str, np.ndarray], u: np.ndarray, w: np.ndarray, room: Room | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Back-propagate through time as `lstm_backward` does.

    The slopes of all steps are taken at once before the loop, the weights' gradients by one product each after it.

    Args:
        grad_hidden: (time, batch, features), what each state gets from the loss at its own place alone; it is written over.
        kept: from `fused_lstm_forward`.
        u, w: the weights.
        room: as in `fused_lstm_forward`; grad_x is kept there, too.

    Returns:
        grad_x (time, batch, inputs), grad_h0, grad_c0, grad_u, grad_w, grad_b, of the weights' dtype.
    """
    hidden, cells, gates, shown = (kept[name] for name in ("hidden", "cells", "gates", "shown"))
    real = kept.get("real")  # it is not there when no place is padded
    time, batch, _, features = gates.shape
    i, f, g, o = (gates[:, :, k] for k in range(4))
    room = room or Room()
    # What each block's gradient is multiplied by.
    slopes = np.multiply(gates, gates, out=room("slopes", gates.shape, w.dtype))
    for sigmoids in (slice(0, 2), slice(3, 4)):
        np.subtract(gates[:, :, sigmoids], slopes[:, :, sigmoids], out=slopes[:, :, sigmoids])  # s − s²
    np.subtract(1, slopes[:, :, 2], out=slopes[:, :, 2])  # 1 − g²
    slopes[:, :, 0] *= g
    slopes[:, :, 1] *= cells[:-1]
    slopes[:, :, 2] *= i
    slopes[:, :, 3] *= shown
    to_cell = np.multiply(shown, shown, out=room("to cell", shown.shape, w.dtype))  # from h to its cell: o(1 − tanh²)
    np.subtract(1, to_cell, out=to_cell)
    to_cell *= o
    if real is not None:
        slopes *= real[..., None]
        to_cell *= real
        f = np.where(real, f, 1)
    back = np.ascontiguousarray(w.T)  # (4·features, features)
    grad_z = slopes  # the gradient takes the slopes' place
    grad_h, grad_c, passed = np.zeros_like(hidden[0]), np.zeros_like(cells[0]), np.empty_like(cells[0])
    for t in reversed(range(time)):
        grad_h += grad_hidden[t]
        np.multiply(grad_h, to_cell[t], out=passed)
        grad_c += passed
        z = grad_z[t]
        z[:, :3] *= grad_c[:, None]
        z[:, 3] *= grad_h
        grad_c *= f[t]
        if real is None:
            np.matmul(z.reshape(batch, -1), back, out=grad_h)
        else:
            grad_h *= ~real[t]
            grad_h += z.reshape(batch, -1) @ back
    flat = grad_z.reshape(time * batch, 4 * features)
    grad_x = np.matmul(flat, u.T, out=room("grad_x", (time * batch, len(u)), w.dtype))
    grad_u = kept["x"].reshape(time * batch, -1).T @ flat
    grad_w = hidden[:-1].reshape(time * batch, features).T @ flat
    return grad_x.reshape(kept["x"].shape), grad_h, grad_c, grad_u, grad_w, flat.sum(axis=0)


def fused_tied_lm_gradients(
    parameters: list[np.ndarray],
    words: np.ndarray,
    targets: np.ndarray,
    mask: np.ndarray | None,
    state: tuple[np.ndarray, np.ndarray],
    room: Room | None = None,
) -> tuple[float, list[np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Give what `tied_lm_gradients` gives, with as few and as large operations as the recurrence allows; any float dtype.

    Args:
        parameters: embeddings, u, w, b, bias, all float32 or all float64.
        words: (batch, time) integers.
        targets: (batch, time) integers.
        mask: (batch, time) bool; None if no place is padded.
        state: h and c, (batch, features) of the parameters' dtype.
        room: as in `fused_lstm_forward`, for all that is large and not handed out.

    Returns:
        loss, a float; grads, arrays of the parameters' shapes and dtype; state, h and c after the last place.
    """
    embeddings, u, w, b, bias = parameters
    room = room or Room()
    batch, time = words.shape
    read, wanted = words.T.ravel(), targets.T.ravel()  # (time·batch,), the first step's rows first
    real = None if mask is None else mask.T[:, :, None]  # (time, batch, 1)
    x = embeddings[read]
    kept = fused_lstm_forward(x.reshape(time, batch, -1), *state, real, u, w, b, room)
    hidden = kept["hidden"][1:].reshape(time * batch, -1)

    logits = np.matmul(hidden, embeddings.T, out=room("logits", (time * batch, len(embeddings)), w.dtype))
    logits += bias
    loss, grad_logits = softmax_loss_in_place(logits, wanted, None if real is None else real.ravel())

    grad_hidden = np.matmul(grad_logits, embeddings, out=room("grad_hidden", hidden.shape, w.dtype))
    grad_x, _, _, grad_u, grad_w, grad_b = fused_lstm_backward(grad_hidden.reshape(time, batch, -1), kept, u, w, room)
    grad_embeddings = grad_logits.T @ hidden
    seen, sums = sums_by_word(read, grad_x.reshape(time * batch, -1))
    grad_embeddings[seen] += sums
    grads = [grad_embeddings, grad_u, grad_w, grad_b, grad_logits.sum(axis=0)]
    return loss, grads, (kept["hidden"][-1].copy(), kept["cells"][-1].copy())
