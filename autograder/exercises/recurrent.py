"""Exercises of chapter 09: a step, a sequence, through time, the masked loss, lags, sampling, both sides, a trained model."""

from collections.abc import Iterator

import numpy as np

from autograder.exercise import Case, Seed, case, exercise, explanation
from solutions import recurrent as ref
from solutions.optimisers import Adam, clip_by_global_norm
from solutions.recurrent import name_sentences, new_rnn_lm, rnn_lm_gradients


def layer(rng: np.random.Generator, inputs: int, features: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weights that keep tanh busy but not flat."""
    return (
        rng.normal(size=(inputs, features)) / np.sqrt(inputs),
        rng.normal(size=(features, features)) / np.sqrt(features),
        0.3 * rng.normal(size=features),
    )


def padding(*lengths: int) -> np.ndarray:
    """A mask for sequences of these lengths."""
    return np.arange(max(lengths)) < np.array(lengths)[:, None]


# ---- rnn_step_backward -----------------------------------------------------------------------------------------------
@exercise(ref.rnn_step_backward, points=3, returns=("grad_x", "grad_h", "grad_u", "grad_w", "grad_b"))
def rnn_step_backward(rng: np.random.Generator) -> Iterator[Case]:
    """Send a gradient backwards through one recurrent step."""
    for label, batch, inputs, features in [
        ("one row", 1, 2, 3),
        ("more inputs than features", 4, 5, 2),
        ("more features than inputs", 3, 2, 4),
        ("one feature", 5, 3, 1),
    ]:
        u, w, b = layer(rng, inputs, features)
        x, h = rng.normal(size=(batch, inputs)), np.tanh(rng.normal(size=(batch, features)))
        grad_next = rng.normal(size=(batch, features))
        yield case(label, grad_next=grad_next, x=x, h=h, h_next=ref.rnn_step(x, h, u, w, b), u=u, w=w, b=b)


rnn_step_backward.gradient_of(ref.rnn_step, wrt=("x", "h", "u", "w", "b"), upstream="grad_next")


@rnn_step_backward.mistake(
    "The slope of tanh is missing: the gradient passes as if the state were xU + hW + b itself. With h = tanh(z), what is "
    "∂h/∂z?"
)
def without_the_slope(grad_next, x, h, h_next, u, w, b):
    return grad_next @ u.T, grad_next @ w.T, x.T @ grad_next, h.T @ grad_next, grad_next.sum(axis=0)


@rnn_step_backward.mistake(
    "The slope is taken from the state before the step. 1 − tanh² wants the state that this tanh has made, `h_next`."
)
def slope_of_the_state_before(grad_next, x, h, h_next, u, w, b):
    g = grad_next * (1 - h**2)
    return g @ u.T, g @ w.T, x.T @ g, h.T @ g, g.sum(axis=0)


@rnn_step_backward.mistake("The square is missing in the slope: 1 − h is no derivative of tanh, 1 − h² is.")
def slope_without_the_square(grad_next, x, h, h_next, u, w, b):
    g = grad_next * (1 - h_next)
    return g @ u.T, g @ w.T, x.T @ g, h.T @ g, g.sum(axis=0)


@rnn_step_backward.mistake(
    "`grad_w` is made with the state after the step. W was multiplied by the state **before**: what W has read belongs there."
)
def weights_read_the_state_after(grad_next, x, h, h_next, u, w, b):
    g = grad_next * (1 - h_next**2)
    return g @ u.T, g @ w.T, x.T @ g, h_next.T @ g, g.sum(axis=0)


@rnn_step_backward.mistake(
    "The way back to h goes through W instead of W transposed. W is square, so no shape complains; write the sum over "
    "features out once: which index of W belongs to h?"
)
def through_w_the_wrong_way(grad_next, x, h, h_next, u, w, b):
    g = grad_next * (1 - h_next**2)
    return g @ u.T, g @ w, x.T @ g, h.T @ g, g.sum(axis=0)


@rnn_step_backward.mistake(
    "The bias' gradient is a mean over the batch. Every row has added the same b, so its gradient is the sum."
)
def bias_as_a_mean(grad_next, x, h, h_next, u, w, b):
    g = grad_next * (1 - h_next**2)
    return g @ u.T, g @ w.T, x.T @ g, h.T @ g, g.mean(axis=0)


@rnn_step_backward.variant
def with_einsum(grad_next, x, h, h_next, u, w, b):
    g = np.einsum("bf,bf->bf", grad_next, (1 - h_next) * (1 + h_next))
    return (
        np.einsum("bf,if->bi", g, u),
        np.einsum("bf,ef->be", g, w),
        np.einsum("bi,bf->if", x, g),
        np.einsum("be,bf->ef", h, g),
        np.einsum("bf->f", g),
    )


@rnn_step_backward.variant
def row_by_row(grad_next, x, h, h_next, u, w, b):
    grad_x, grad_h = np.empty_like(x), np.empty_like(h)
    grad_u, grad_w, grad_b = np.zeros_like(u), np.zeros_like(w), np.zeros_like(b)
    for n in range(len(x)):
        g = grad_next[n] * (1 - h_next[n] ** 2)
        grad_x[n], grad_h[n] = u @ g, w @ g
        grad_u += np.outer(x[n], g)
        grad_w += np.outer(h[n], g)
        grad_b += g
    return grad_x, grad_h, grad_u, grad_w, grad_b


@rnn_step_backward.variant
def from_z_again(grad_next, x, h, h_next, u, w, b):
    z = x @ u + h @ w + b
    g = grad_next / np.cosh(z) ** 2
    both = np.hstack([x, h])
    grad_both, grad_weights = g @ np.vstack([u, w]).T, both.T @ g
    i = x.shape[1]
    return grad_both[:, :i], grad_both[:, i:], grad_weights[:i], grad_weights[i:], np.ones(len(g)) @ g


# ---- rnn_forward -----------------------------------------------------------------------------------------------------
@exercise(ref.rnn_forward, points=2)
def rnn_forward(rng: np.random.Generator) -> Iterator[Case]:
    """Read padded sequences step by step and keep every state."""
    for label, inputs, features, mask in [
        ("one step", 2, 3, padding(1, 1)),
        ("no padding", 3, 2, padding(4, 4, 4)),
        ("uneven lengths", 2, 4, padding(3, 5, 1)),
        ("padding in front", 3, 3, padding(2, 4)[:, ::-1].copy()),
    ]:
        u, w, b = layer(rng, inputs, features)
        h0 = np.tanh(rng.normal(size=(len(mask), features)))
        yield case(label, x=rng.normal(size=(*mask.shape, inputs)), h0=h0, mask=mask, u=u, w=w, b=b)


@rnn_forward.mistake(
    "The mask is ignored: padding is read like words, and the last state is no longer that of the sequence's last word."
)
def reads_the_padding(x, h0, mask, u, w, b):
    h, states = h0, []
    for t in range(x.shape[1]):
        h = np.tanh(x[:, t] @ u + h @ w + b)
        states.append(h)
    return np.stack(states, axis=1)


@rnn_forward.mistake(
    "At a padded place the state becomes 0, and what the sequence had said is lost. It should stay as it was."
)
def padding_erases(x, h0, mask, u, w, b):
    h, states = h0, []
    for t in range(x.shape[1]):
        h = np.tanh(x[:, t] @ u + h @ w + b) * mask[:, t, None]
        states.append(h)
    return np.stack(states, axis=1)


@rnn_forward.mistake(
    "At padded places only the input is blanked out; the state still goes through hW + b and tanh. A padded place is no step."
)
def padding_blanks_the_input(x, h0, mask, u, w, b):
    h, states = h0, []
    for t in range(x.shape[1]):
        h = np.tanh((x[:, t] * mask[:, t, None]) @ u + h @ w + b)
        states.append(h)
    return np.stack(states, axis=1)


@rnn_forward.mistake("The first step begins with zeros; it should begin with the state handed in, `h0`.")
def begins_with_zeros(x, h0, mask, u, w, b):
    h, states = np.zeros_like(h0), []
    for t in range(x.shape[1]):
        h = np.where(mask[:, t, None], np.tanh(x[:, t] @ u + h @ w + b), h)
        states.append(h)
    return np.stack(states, axis=1)


@rnn_forward.mistake(
    "Every state stands one place too late: entry t holds the state **before** word t. Append after the step."
)
def states_from_before(x, h0, mask, u, w, b):
    h, states = h0, []
    for t in range(x.shape[1]):
        states.append(h)
        h = np.where(mask[:, t, None], np.tanh(x[:, t] @ u + h @ w + b), h)
    return np.stack(states, axis=1)


@rnn_forward.mistake(
    "Each step starts from `h0` again, so nothing is remembered from word to word. Which state does the next step need?"
)
def no_memory(x, h0, mask, u, w, b):
    h, states = h0, []
    for t in range(x.shape[1]):
        h_next = np.tanh(x[:, t] @ u + h0 @ w + b)
        h = np.where(mask[:, t, None], h_next, h)
        states.append(h)
    return np.stack(states, axis=1)


@rnn_forward.variant
def all_inputs_at_once(x, h0, mask, u, w, b):
    states = x @ u + b
    h = h0
    for t in range(x.shape[1]):
        new = np.tanh(states[:, t] + h @ w)
        keep = mask[:, t, None].astype(float)
        h = states[:, t] = keep * new + (1 - keep) * h
    return states


@rnn_forward.variant
def only_the_real_rows(x, h0, mask, u, w, b):
    states, h = np.empty((*mask.shape, len(b))), h0.copy()
    for t in range(mask.shape[1]):
        rows = np.flatnonzero(mask[:, t])
        h[rows] = np.tanh(np.hstack([x[rows, t], h[rows]]) @ np.vstack([u, w]) + b)
        states[:, t] = h
    return states


@rnn_forward.variant
def one_sequence_after_the_other(x, h0, mask, u, w, b):
    made = []
    for row, h, real in zip(x, h0, mask, strict=True):
        for x_t, here in zip(row, real, strict=True):
            if here:
                h = np.tanh(x_t @ u + h @ w + b)
            made.append(h)
    return np.array(made).reshape(*mask.shape, len(b))


# ---- rnn_backward ----------------------------------------------------------------------------------------------------
@exercise(ref.rnn_backward, points=4, returns=("grad_x", "grad_h0", "grad_u", "grad_w", "grad_b"))
def rnn_backward(rng: np.random.Generator) -> Iterator[Case]:
    """Back-propagate through time over padded sequences."""
    for label, inputs, features, mask in [
        ("two steps", 2, 3, padding(2, 2)),
        ("no padding", 4, 2, padding(5, 5, 5)),
        ("uneven lengths", 2, 3, padding(3, 5, 1, 4)),
        ("padding in front", 3, 2, padding(2, 4)[:, ::-1].copy()),
    ]:
        u, w, b = layer(rng, inputs, features)
        x, h0 = rng.normal(size=(*mask.shape, inputs)), np.tanh(rng.normal(size=(len(mask), features)))
        states = ref.rnn_forward(x, h0, mask, u, w, b)
        grad_states = rng.normal(size=states.shape)
        yield case(label, grad_states=grad_states, x=x, h0=h0, mask=mask, states=states, u=u, w=w, b=b)


rnn_backward.gradient_of(ref.rnn_forward, wrt=("x", "h0", "u", "w", "b"), upstream="grad_states")


@rnn_backward.mistake(
    "Nothing travels through time: each step gets only the gradient of its own place. What comes back from step t + 1 "
    "belongs to h_t as well."
)
def each_step_alone(grad_states, x, h0, mask, states, u, w, b):
    grad_x, grad_h = np.zeros_like(x), np.zeros_like(h0)
    grad_u, grad_w, grad_b = np.zeros_like(u), np.zeros_like(w), np.zeros_like(b)
    for t in reversed(range(x.shape[1])):
        h, real = states[:, t - 1] if t > 0 else h0, mask[:, t, None]
        g = grad_states[:, t] * real * (1 - states[:, t] ** 2)
        grad_x[:, t], grad_h = g @ u.T, np.where(real, g @ w.T, grad_states[:, t])
        grad_u, grad_w, grad_b = grad_u + x[:, t].T @ g, grad_w + h.T @ g, grad_b + g.sum(axis=0)
    return grad_x, grad_h, grad_u, grad_w, grad_b


@rnn_backward.mistake(
    "The parameters' gradients are those of one step, the last one computed. The same U, W and b served at every step: add "
    "all their shares up."
)
def parameters_of_one_step(grad_states, x, h0, mask, states, u, w, b):
    grad_x, grad_h = np.zeros_like(x), np.zeros_like(h0)
    for t in reversed(range(x.shape[1])):
        grad_h = grad_h + grad_states[:, t]
        h, real = states[:, t - 1] if t > 0 else h0, mask[:, t, None]
        g = grad_h * real * (1 - states[:, t] ** 2)
        grad_x[:, t], grad_h = g @ u.T, np.where(real, g @ w.T, grad_h)
        grad_u, grad_w, grad_b = x[:, t].T @ g, h.T @ g, g.sum(axis=0)
    return grad_x, grad_h, grad_u, grad_w, grad_b


@rnn_backward.mistake(
    "The state before the first step is read from `states[:, -1]`, the **last** state: an index of −1 counts from the end. "
    "Before step 0 the state was h0."
)
def index_minus_one(grad_states, x, h0, mask, states, u, w, b):
    grad_x, grad_h = np.zeros_like(x), np.zeros_like(h0)
    grad_u, grad_w, grad_b = np.zeros_like(u), np.zeros_like(w), np.zeros_like(b)
    for t in reversed(range(x.shape[1])):
        grad_h = grad_h + grad_states[:, t]
        real = mask[:, t, None]
        g = grad_h * real * (1 - states[:, t] ** 2)
        grad_x[:, t], grad_h = g @ u.T, np.where(real, g @ w.T, grad_h)
        grad_u, grad_w, grad_b = grad_u + x[:, t].T @ g, grad_w + states[:, t - 1].T @ g, grad_b + g.sum(axis=0)
    return grad_x, grad_h, grad_u, grad_w, grad_b


@rnn_backward.mistake(
    "The state before the first step is taken for zeros, so h0's share of `grad_w` is missing. It is zeros only at the "
    "start of a text; a later piece begins with the state in which the piece before ended."
)
def first_state_forgotten(grad_states, x, h0, mask, states, u, w, b):
    grad_x, grad_h = np.zeros_like(x), np.zeros_like(h0)
    grad_u, grad_w, grad_b = np.zeros_like(u), np.zeros_like(w), np.zeros_like(b)
    for t in reversed(range(x.shape[1])):
        grad_h = grad_h + grad_states[:, t]
        h, real = states[:, t - 1] if t > 0 else np.zeros_like(h0), mask[:, t, None]
        g = grad_h * real * (1 - states[:, t] ** 2)
        grad_x[:, t], grad_h = g @ u.T, np.where(real, g @ w.T, grad_h)
        grad_u, grad_w, grad_b = grad_u + x[:, t].T @ g, grad_w + h.T @ g, grad_b + g.sum(axis=0)
    return grad_x, grad_h, grad_u, grad_w, grad_b


@rnn_backward.mistake(
    "The mask is ignored on the way back: padded places pass the gradient through tanh and W and add to the parameters. "
    "Forwards the state was copied there."
)
def steps_at_padded_places(grad_states, x, h0, mask, states, u, w, b):
    grad_x, grad_h = np.zeros_like(x), np.zeros_like(h0)
    grad_u, grad_w, grad_b = np.zeros_like(u), np.zeros_like(w), np.zeros_like(b)
    for t in reversed(range(x.shape[1])):
        grad_h = grad_h + grad_states[:, t]
        h = states[:, t - 1] if t > 0 else h0
        g = grad_h * (1 - states[:, t] ** 2)
        grad_x[:, t], grad_h = g @ u.T, g @ w.T
        grad_u, grad_w, grad_b = grad_u + x[:, t].T @ g, grad_w + h.T @ g, grad_b + g.sum(axis=0)
    return grad_x, grad_h, grad_u, grad_w, grad_b


@rnn_backward.mistake(
    "The gradient is dropped at padded places. The state was copied there, h_t = h_{t−1}, and a copy hands its gradient on "
    "unchanged."
)
def padding_stops_the_gradient(grad_states, x, h0, mask, states, u, w, b):
    grad_x, grad_h = np.zeros_like(x), np.zeros_like(h0)
    grad_u, grad_w, grad_b = np.zeros_like(u), np.zeros_like(w), np.zeros_like(b)
    for t in reversed(range(x.shape[1])):
        grad_h = grad_h + grad_states[:, t]
        h = states[:, t - 1] if t > 0 else h0
        g = grad_h * mask[:, t, None] * (1 - states[:, t] ** 2)
        grad_x[:, t], grad_h = g @ u.T, g @ w.T
        grad_u, grad_w, grad_b = grad_u + x[:, t].T @ g, grad_w + h.T @ g, grad_b + g.sum(axis=0)
    return grad_x, grad_h, grad_u, grad_w, grad_b


@rnn_backward.variant
def weights_after_the_loop(grad_states, x, h0, mask, states, u, w, b):
    grad_z, carried = np.zeros_like(states), np.zeros_like(h0)
    for t in range(x.shape[1] - 1, -1, -1):
        total, real = carried + grad_states[:, t], mask[:, t, None]
        grad_z[:, t] = np.where(real, total * (1 - states[:, t] ** 2), 0.0)
        carried = np.where(real, grad_z[:, t] @ w.T, total)
    before = np.concatenate([h0[:, None], states[:, :-1]], axis=1)
    grad_u, grad_w = np.einsum("nti,ntf->if", x, grad_z), np.einsum("nte,ntf->ef", before, grad_z)
    return grad_z @ u.T, carried, grad_u, grad_w, grad_z.sum(axis=(0, 1))


@rnn_backward.variant
def by_recursion(grad_states, x, h0, mask, states, u, w, b):
    if x.shape[1] == 0:
        return np.zeros_like(x), np.zeros_like(h0), np.zeros_like(u), np.zeros_like(w), np.zeros_like(b)
    h = states[:, -2] if x.shape[1] > 1 else h0
    m = mask[:, -1:].astype(float)
    g = m * grad_states[:, -1] * (1 - states[:, -1] ** 2)
    back = g @ w.T + (1 - m) * grad_states[:, -1]
    if x.shape[1] == 1:
        return (g @ u.T)[:, None], back, x[:, -1].T @ g, h.T @ g, g.sum(axis=0)
    rest = grad_states[:, :-1].copy()
    rest[:, -1] += back
    dx, dh0, du, dw, db = by_recursion(rest, x[:, :-1], h0, mask[:, :-1], states[:, :-1], u, w, b)
    dx = np.concatenate([dx, (g @ u.T)[:, None]], axis=1)
    return dx, dh0, du + x[:, -1].T @ g, dw + h.T @ g, db + g.sum(axis=0)


@rnn_backward.variant
def sequence_by_sequence(grad_states, x, h0, mask, states, u, w, b):
    grad_x, grad_h0 = np.zeros_like(x), np.zeros_like(h0)
    grad_u, grad_w, grad_b = np.zeros_like(u), np.zeros_like(w), np.zeros_like(b)
    for n in range(len(x)):
        g = np.zeros(len(b))
        for t in range(x.shape[1])[::-1]:
            g = g + grad_states[n, t]
            if not mask[n, t]:
                continue
            grad_z = g * (1 - states[n, t] ** 2)
            grad_x[n, t] = u @ grad_z
            grad_u += np.outer(x[n, t], grad_z)
            grad_w += np.outer(states[n, t - 1] if t else h0[n], grad_z)
            grad_b += grad_z
            g = w @ grad_z
        grad_h0[n] = g
    return grad_x, grad_h0, grad_u, grad_w, grad_b


# ---- masked_lm_loss --------------------------------------------------------------------------------------------------
@exercise(ref.masked_lm_loss, points=3, returns=("loss", "grad_logits"))
def masked_lm_loss(rng: np.random.Generator) -> Iterator[Case]:
    """Average the cross-entropy over the real words of a padded batch."""
    for label, mask, vocabulary, size in [
        ("no padding", padding(3, 3), 4, 1.0),
        ("uneven lengths", padding(2, 5, 1), 3, 2.0),
        ("a sequence of padding alone", padding(0, 4), 5, 1.0),
        ("large scores", padding(3, 2), 4, 1000.0),
    ]:
        logits = rng.uniform(-size, size, size=(*mask.shape, vocabulary))
        if size == 1000:
            logits[0, 0], logits[1, 0] = [1000.0, -1000.0, 0.0, 999.0], [-1000.0, -999.5, -1000.0, -998.0]
        yield case(label, logits=logits, targets=rng.integers(vocabulary, size=mask.shape), mask=mask)
    yield case("nothing but padding", logits=np.zeros((1, 2, 3)), targets=np.zeros((1, 2), int), mask=padding(0, 2)[:1])


@masked_lm_loss.mistake(
    "The sum is divided by all places, padded ones included: the more padding a batch has, the smaller its loss looks. "
    "Divide by the number of real words."
)
def mean_over_all_places(logits, targets, mask):
    if not mask.any():
        raise ValueError("no word")
    shifted = logits - logits.max(axis=2, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=2, keepdims=True))
    y, weight = np.eye(logits.shape[2])[targets], mask[:, :, None] / mask.size
    return -float(np.sum(weight * y * log_p)), weight * (np.exp(log_p) - y)


@masked_lm_loss.mistake(
    "Each sequence is averaged by itself, then the sequences: a word of a short sequence counts more than one of a long. "
    "Take one mean over all real words of the batch."
)
def mean_of_means(logits, targets, mask):
    if not mask.any():
        raise ValueError("no word")
    shifted = logits - logits.max(axis=2, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=2, keepdims=True))
    y = np.eye(logits.shape[2])[targets]
    weight = (mask / np.maximum(mask.sum(axis=1, keepdims=True), 1) / len(mask))[:, :, None]
    return -float(np.sum(weight * y * log_p)), weight * (np.exp(log_p) - y)


@masked_lm_loss.mistake(
    "The padded places count as well, in the sum and in the number of words. The mask says which places ask for a real word; "
    "the others count in neither."
)
def mask_ignored(logits, targets, mask):
    if not mask.any():
        raise ValueError("no word")
    shifted = logits - logits.max(axis=2, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=2, keepdims=True))
    y = np.eye(logits.shape[2])[targets]
    return -float(np.sum(y * log_p)) / mask.size, (np.exp(log_p) - y) / mask.size


@masked_lm_loss.mistake(
    "The loss leaves the padding out, its gradient does not: padded places would still push the weights. What does not "
    "count has gradient 0."
)
def gradient_at_padded_places(logits, targets, mask):
    if not mask.any():
        raise ValueError("no word")
    shifted = logits - logits.max(axis=2, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=2, keepdims=True))
    y = np.eye(logits.shape[2])[targets]
    return -float(np.sum(mask[:, :, None] * y * log_p)) / mask.sum(), (np.exp(log_p) - y) / mask.sum()


@masked_lm_loss.mistake(
    "The loss is a mean, but its gradient is that of the sum: the 1/(number of real words) is missing."
)
def gradient_of_the_sum(logits, targets, mask):
    if not mask.any():
        raise ValueError("no word")
    shifted = logits - logits.max(axis=2, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=2, keepdims=True))
    y = np.eye(logits.shape[2])[targets]
    return -float(np.sum(mask[:, :, None] * y * log_p)) / mask.sum(), mask[:, :, None] * (np.exp(log_p) - y)


@masked_lm_loss.mistake(
    "exp overflows at scores of 1,000, and ∞/∞ is NaN. Take the largest score of each place off first; the probabilities "
    "stay the same."
)
def without_the_shift(logits, targets, mask):
    if not mask.any():
        raise ValueError("no word")
    e = np.exp(logits)
    p = e / e.sum(axis=2, keepdims=True)
    y, weight = np.eye(logits.shape[2])[targets], mask[:, :, None] / mask.sum()
    picked = np.take_along_axis(p, targets[:, :, None], axis=2)
    return -float(np.sum(weight * np.log(picked))), weight * (p - y)


@masked_lm_loss.variant
def only_the_real_places(logits, targets, mask):
    if not mask.any():
        raise ValueError("no word")
    z, answers = logits[mask], targets[mask]
    log_p = z - np.logaddexp.reduce(z, axis=1)[:, None]
    rows, grad = np.arange(len(z)), np.zeros_like(logits)
    p = np.exp(log_p)
    p[rows, answers] -= 1
    grad[mask] = p / len(z)
    return -log_p[rows, answers].mean(), grad


@masked_lm_loss.variant
def place_by_place(logits, targets, mask):
    places = np.argwhere(mask)
    if not len(places):
        raise ValueError("no word")
    loss, grad = 0.0, np.zeros_like(logits)
    for n, t in places:
        z = logits[n, t] - max(logits[n, t])
        e = np.exp(z)
        loss += np.log(e.sum()) - z[targets[n, t]]
        grad[n, t] = e / e.sum()
        grad[n, t, targets[n, t]] -= 1.0
    return loss / len(places), grad / len(places)


@masked_lm_loss.variant
def with_a_weight_a_place(logits, targets, mask):
    if mask.sum() == 0:
        raise ValueError("no word")
    weight = mask.astype(float) / np.count_nonzero(mask)
    top = logits.max(-1)
    log_total = top + np.log(np.exp(logits - top[..., None]).sum(-1))
    picked = np.take_along_axis(logits, targets[..., None], -1)[..., 0]
    grad = np.exp(logits - log_total[..., None]) * weight[..., None]
    n, t = np.indices(mask.shape)
    grad[n, t, targets] -= weight
    return float(((log_total - picked) * weight).sum()), grad


# ---- gradient_norms --------------------------------------------------------------------------------------------------
@exercise(ref.gradient_norms, points=2)
def gradient_norms(rng: np.random.Generator) -> Iterator[Case]:
    """Measure how long the gradient is, lag by lag."""
    for label, batch, time, features, radius in [
        ("one row", 1, 4, 3, 1.0),
        ("some rows", 3, 6, 2, 1.0),
        ("a small spectral radius", 2, 12, 4, 0.3),
        ("a large one, small states", 2, 10, 3, 2.0),
        ("one state", 2, 1, 3, 1.0),
    ]:
        w = ref.with_spectral_radius(rng.normal(size=(features, features)), radius)
        states = np.tanh((0.1 if radius > 1 else 0.7) * rng.normal(size=(batch, time, features)))
        yield case(label, grad_last=rng.normal(size=(batch, features)), states=states, w=w)


@gradient_norms.mistake(
    "The slopes are those of one step earlier. From h_t to h_{t−1} the gradient passes the tanh that **made** h_t."
)
def slopes_one_step_early(grad_last, states, w):
    g, norms = grad_last, [np.linalg.norm(grad_last)]
    for t in range(states.shape[1] - 1, 0, -1):
        g = g * (1 - states[:, t - 1] ** 2) @ w.T
        norms.append(np.linalg.norm(g))
    return np.array(norms)


@gradient_norms.mistake(
    "The norms stand in the order of time. Lag 0 is the last state, so the norm of grad_last comes first."
)
def in_the_order_of_time(grad_last, states, w):
    g, norms = grad_last, [np.linalg.norm(grad_last)]
    for t in range(states.shape[1] - 1, 0, -1):
        g = g * (1 - states[:, t] ** 2) @ w.T
        norms.append(np.linalg.norm(g))
    return np.array(norms[::-1])


@gradient_norms.mistake(
    "The way back goes through W. Forwards a row met W; on its way back the row ∂L/∂h meets W transposed."
)
def w_not_transposed(grad_last, states, w):
    g, norms = grad_last, [np.linalg.norm(grad_last)]
    for t in range(states.shape[1] - 1, 0, -1):
        g = g * (1 - states[:, t] ** 2) @ w
        norms.append(np.linalg.norm(g))
    return np.array(norms)


@gradient_norms.mistake(
    "The slopes of tanh are missing, so this is the gradient of a linear network. Each step also multiplies by 1 − h²."
)
def linear_network(grad_last, states, w):
    g, norms = grad_last, [np.linalg.norm(grad_last)]
    for _ in range(states.shape[1] - 1):
        g = g @ w.T
        norms.append(np.linalg.norm(g))
    return np.array(norms)


@gradient_norms.mistake("These are squared norms: the root of the sum of squares is missing.")
def squared_norms(grad_last, states, w):
    g, norms = grad_last, [np.sum(grad_last**2)]
    for t in range(states.shape[1] - 1, 0, -1):
        g = g * (1 - states[:, t] ** 2) @ w.T
        norms.append(np.sum(g**2))
    return np.array(norms)


@gradient_norms.mistake(
    "Slope and matrix are in the wrong order: backwards the gradient meets tanh first, then W. Forwards it was W first."
)
def matrix_before_slope(grad_last, states, w):
    g, norms = grad_last, [np.linalg.norm(grad_last)]
    for t in range(states.shape[1] - 1, 0, -1):
        g = (g @ w.T) * (1 - states[:, t] ** 2)
        norms.append(np.linalg.norm(g))
    return np.array(norms)


@gradient_norms.variant
def with_jacobians(grad_last, states, w):
    gs, norms = list(grad_last), []
    for t in reversed(range(states.shape[1])):
        norms.append(np.sqrt(sum(g @ g for g in gs)))
        gs = [(w * (1 - h**2)) @ g for g, h in zip(gs, states[:, t], strict=True)]
    return np.array(norms)


@gradient_norms.variant
def with_einsum_backwards(grad_last, states, w):
    gs = [grad_last]
    for h in np.moveaxis(states, 1, 0)[:0:-1]:
        gs.append(np.einsum("nf,nf,ef->ne", gs[-1], 1 - h * h, w))
    return np.sqrt((np.stack(gs) ** 2).sum(axis=(1, 2)))


@gradient_norms.variant
def into_an_array(grad_last, states, w):
    time = states.shape[1]
    norms, g = np.empty(time), grad_last.copy()
    for lag in range(time):
        norms[lag] = np.linalg.norm(g.ravel())
        g = ((1 - states[:, time - 1 - lag] ** 2) * g).dot(w.T)
    return norms


# ---- word_probabilities ----------------------------------------------------------------------------------------------
@exercise(ref.word_probabilities, points=3)
def word_probabilities(rng: np.random.Generator) -> Iterator[Case]:
    """Turn scores into the probabilities from which the next word is drawn."""
    settings: list[tuple[str, float, int | None, float | None]] = [
        ("as the model says", 1.0, None, None),
        ("greedy", 0.0, None, None),
        ("greedy, whatever else is asked", 0.0, 3, 0.5),
        ("bold", 2.5, None, None),
        ("careful", 0.4, None, None),
        ("top-k", 1.0, 3, None),
        ("top-k of one", 0.7, 1, None),
        ("more words than there are", 1.0, 50, None),
        ("nucleus", 1.0, None, 0.6),
        ("a small nucleus", 1.0, None, 0.01),
        ("the whole nucleus", 1.3, None, 1.0),
        ("all three", 1.6, 5, 0.7),
    ]
    for label, temperature, top_k, top_p in settings:
        yield case(label, logits=1.5 * rng.normal(size=8), temperature=temperature, top_k=top_k, top_p=top_p)
    # The nucleus counts what top-k has kept: 0.4 of 0.8 is half.
    kept = np.log([0.1, 0.4, 0.1, 0.25, 0.15])
    yield case("nucleus of what top-k keeps", logits=kept, temperature=1.0, top_k=3, top_p=0.45)
    # Quarters are exact in floating point, so two of them are the half that is asked for.
    yield case("a nucleus that is just full", logits=np.zeros(4), temperature=1.0, top_k=None, top_p=0.5)
    equal = np.array([0.0, 2.0, 1.0, 2.0, 1.0, 1.0])
    yield case("equal scores, top-k", logits=equal, temperature=1.0, top_k=4, top_p=None)
    yield case("equal scores, nucleus", logits=equal, temperature=1.0, top_k=None, top_p=0.7)
    yield case("equal scores, greedy", logits=equal, temperature=0.0, top_k=None, top_p=None)
    large = np.array([1000.0, 998.5, -1000.0, 999.0])
    yield case("large scores", logits=large, temperature=0.5, top_k=None, top_p=None)
    yield case("temperature below 0", logits=equal, temperature=-1.0, top_k=None, top_p=None)
    yield case("no word may stay", logits=equal, temperature=1.0, top_k=0, top_p=None)
    yield case("an empty nucleus", logits=equal, temperature=1.0, top_k=None, top_p=0.0)
    yield case("more than all", logits=equal, temperature=1.0, top_k=None, top_p=1.5)


@word_probabilities.mistake(
    "The scores are multiplied by the temperature. A high temperature should make the words **more** alike: divide."
)
def times_the_temperature(logits, temperature=1.0, top_k=None, top_p=None):
    if temperature < 0 or (top_k is not None and top_k < 1) or (top_p is not None and not 0 < top_p <= 1):
        raise ValueError("settings")
    if temperature == 0:
        return np.eye(len(logits))[logits.argmax()]
    z = (logits - logits.max()) * temperature
    p = np.exp(z) / np.exp(z).sum()
    order = np.argsort(-p, kind="stable")
    if top_k is not None:
        p[order[top_k:]] = 0.0
        p = p / p.sum()
    if top_p is not None:
        p[order[np.cumsum(p[order]) - p[order] >= top_p]] = 0.0
    return p / p.sum()


@word_probabilities.mistake(
    "What has been cut away is missing from the sum: the probabilities add up to less than 1. Divide by what is left."
)
def not_divided_again(logits, temperature=1.0, top_k=None, top_p=None):
    if temperature < 0 or (top_k is not None and top_k < 1) or (top_p is not None and not 0 < top_p <= 1):
        raise ValueError("settings")
    if temperature == 0:
        return np.eye(len(logits))[logits.argmax()]
    z = (logits - logits.max()) / temperature
    p = np.exp(z) / np.exp(z).sum()
    order = np.argsort(-p, kind="stable")
    if top_k is not None:
        p[order[top_k:]] = 0.0
    if top_p is not None:
        p[order[np.cumsum(p[order]) - p[order] >= top_p]] = 0.0
    return p


@word_probabilities.mistake(
    "The word that takes the nucleus over top_p is cut off, so the nucleus is too small, and empty where the first word "
    "alone is above top_p. That word still belongs to it."
)
def stops_before_the_crossing(logits, temperature=1.0, top_k=None, top_p=None):
    if temperature < 0 or (top_k is not None and top_k < 1) or (top_p is not None and not 0 < top_p <= 1):
        raise ValueError("settings")
    if temperature == 0:
        return np.eye(len(logits))[logits.argmax()]
    z = (logits - logits.max()) / temperature
    p = np.exp(z) / np.exp(z).sum()
    order = np.argsort(-p, kind="stable")
    if top_k is not None:
        p[order[top_k:]] = 0.0
        p = p / p.sum()
    if top_p is not None:
        p[order[np.cumsum(p[order]) > top_p + 1e-12]] = 0.0
        p[order[0]] = max(p[order[0]], 1e-300)
    return p / p.sum()


@word_probabilities.mistake(
    "The nucleus counts the probabilities from before top-k. After top-k, divide by the sum of what is left, and count "
    "those."
)
def nucleus_of_the_old_shares(logits, temperature=1.0, top_k=None, top_p=None):
    if temperature < 0 or (top_k is not None and top_k < 1) or (top_p is not None and not 0 < top_p <= 1):
        raise ValueError("settings")
    if temperature == 0:
        return np.eye(len(logits))[logits.argmax()]
    z = (logits - logits.max()) / temperature
    p = np.exp(z) / np.exp(z).sum()
    order = np.argsort(-p, kind="stable")
    if top_k is not None:
        p[order[top_k:]] = 0.0
    if top_p is not None:
        p[order[np.cumsum(p[order]) - p[order] >= top_p]] = 0.0
    return p / p.sum()


@word_probabilities.mistake(
    "Temperature 0 is divided by, and NaN comes out. Greedy is the limit: all probability for the word with the largest score."
)
def divides_by_zero(logits, temperature=1.0, top_k=None, top_p=None):
    if temperature < 0 or (top_k is not None and top_k < 1) or (top_p is not None and not 0 < top_p <= 1):
        raise ValueError("settings")
    z = (logits - logits.max()) / np.float64(temperature)
    p = np.exp(z) / np.exp(z).sum()
    order = np.argsort(-p, kind="stable")
    if top_k is not None:
        p[order[top_k:]] = 0.0
        p = p / p.sum()
    if top_p is not None:
        p[order[np.cumsum(p[order]) - p[order] >= top_p]] = 0.0
    return p / p.sum()


@word_probabilities.mistake(
    "exp overflows for scores near 1,000. Take the largest score off first; the probabilities stay the same."
)
def overflows(logits, temperature=1.0, top_k=None, top_p=None):
    if temperature < 0 or (top_k is not None and top_k < 1) or (top_p is not None and not 0 < top_p <= 1):
        raise ValueError("settings")
    if temperature == 0:
        return np.eye(len(logits))[logits.argmax()]
    z = logits / temperature
    p = np.exp(z) / np.exp(z).sum()
    order = np.argsort(-p, kind="stable")
    if top_k is not None:
        p[order[top_k:]] = 0.0
        p = p / p.sum()
    if top_p is not None:
        p[order[np.cumsum(p[order]) - p[order] >= top_p]] = 0.0
    return p / p.sum()


@word_probabilities.variant
def word_by_word(logits, temperature=1.0, top_k=None, top_p=None):
    if temperature < 0:
        raise ValueError("temperature")
    if top_k is not None and top_k < 1:
        raise ValueError("top_k")
    if top_p is not None and (top_p <= 0 or top_p > 1):
        raise ValueError("top_p")
    ranked = sorted(range(len(logits)), key=lambda i: (-logits[i], i))
    if temperature == 0:
        ranked, temperature, top_k, top_p = ranked[:1], 1.0, None, None
    ranked = ranked[:top_k]
    weights = {i: float(np.exp((logits[i] - logits[ranked[0]]) / temperature)) for i in ranked}
    total, have, kept = sum(weights.values()), 0.0, []
    for i in ranked:
        if top_p is not None and have >= top_p:
            break
        kept.append(i)
        have += weights[i] / total
    p = np.zeros(len(logits))
    p[kept] = [weights[i] for i in kept]
    return p / p.sum()


@word_probabilities.variant
def with_minus_infinity(logits, temperature=1.0, top_k=None, top_p=None):
    if temperature < 0 or (top_k is not None and top_k < 1) or (top_p is not None and not 0 < top_p <= 1):
        raise ValueError("settings")
    if temperature == 0:
        top_k, top_p, temperature = 1, None, 1.0
    z = logits / temperature
    order = np.lexsort((np.arange(len(z)), -z))
    if top_k is not None:
        z[order[top_k:]] = -np.inf
    log_p = z - np.logaddexp.reduce(z)
    if top_p is not None:
        ahead = np.concatenate([[0.0], np.cumsum(np.exp(log_p[order]))[:-1]])
        log_p[order[ahead >= top_p]] = -np.inf
    p = np.exp(log_p)
    return p / p.sum()


@word_probabilities.variant
def ranked_first(logits, temperature=1.0, top_k=None, top_p=None):
    if not (temperature >= 0 and (top_k is None or top_k >= 1) and (top_p is None or 0 < top_p <= 1)):
        raise ValueError("settings")
    order = np.argsort(-logits, kind="stable")
    if temperature == 0:
        temperature, top_k, top_p = 1.0, 1, None
    kept = order[:top_k]
    p = np.exp((logits[kept] - logits[kept[0]]) / temperature)
    p = p / p.sum()
    if top_p is not None:
        p = p[: np.searchsorted(np.cumsum(p), top_p) + 1]
    out = np.zeros(len(logits))
    out[order[: len(p)]] = p / p.sum()
    return out


# ---- bidirectional_rnn -----------------------------------------------------------------------------------------------
@exercise(ref.bidirectional_rnn, points=3)
def bidirectional_rnn(rng: np.random.Generator) -> Iterator[Case]:
    """Stack layers that read from both sides."""
    for label, mask, inputs, sizes in [
        ("one layer, no padding", padding(4, 4), 3, [(2, 2)]),
        ("one layer, uneven lengths", padding(2, 5, 1), 2, [(3, 2)]),
        ("two layers", padding(3, 4), 3, [(2, 3), (4, 1)]),
        ("three layers", padding(5, 2, 3), 2, [(2, 2), (3, 2), (2, 2)]),
    ]:
        layers, below = [], inputs
        for right, left in sizes:
            layers.append((layer(rng, below, right), layer(rng, below, left)))
            below = right + left
        yield case(label, x=rng.normal(size=(*mask.shape, inputs)), mask=mask, layers=layers)


@bidirectional_rnn.mistake(
    "The reading from the right begins with the padding of the short sequences, as if it were words. Turn the mask round "
    "together with the words."
)
def reads_padding_from_the_right(x, mask, layers):
    def read(x, mask, u, w, b):
        h, states = np.zeros((len(x), len(w))), []
        for t in range(x.shape[1]):
            h = np.where(mask[:, t, None], np.tanh(x[:, t] @ u + h @ w + b), h)
            states.append(h)
        return np.stack(states, axis=1)

    for left, right in layers:
        back = read(x[:, ::-1], np.ones_like(mask), *right)[:, ::-1]
        x = np.concatenate([read(x, mask, *left), back], axis=2) * mask[:, :, None]
    return x


@bidirectional_rnn.mistake(
    "The states read from the right are not turned back, so a place's two states belong to different words."
)
def not_turned_back(x, mask, layers):
    def read(x, mask, u, w, b):
        h, states = np.zeros((len(x), len(w))), []
        for t in range(x.shape[1]):
            h = np.where(mask[:, t, None], np.tanh(x[:, t] @ u + h @ w + b), h)
            states.append(h)
        return np.stack(states, axis=1)

    for left, right in layers:
        back = read(x[:, ::-1], mask[:, ::-1], *right)
        x = np.concatenate([read(x, mask, *left), back], axis=2) * mask[:, :, None]
    return x


@bidirectional_rnn.mistake(
    "The two halves are in the wrong order: first the reading from the left, then the one from the right."
)
def halves_exchanged(x, mask, layers):
    def read(x, mask, u, w, b):
        h, states = np.zeros((len(x), len(w))), []
        for t in range(x.shape[1]):
            h = np.where(mask[:, t, None], np.tanh(x[:, t] @ u + h @ w + b), h)
            states.append(h)
        return np.stack(states, axis=1)

    for left, right in layers:
        back = read(x[:, ::-1], mask[:, ::-1], *right)[:, ::-1]
        x = np.concatenate([back, read(x, mask, *left)], axis=2) * mask[:, :, None]
    return x


@bidirectional_rnn.mistake(
    "Padded places hold states: from the left the last state is copied on. What is returned should be 0 there."
)
def padding_keeps_states(x, mask, layers):
    def read(x, mask, u, w, b):
        h, states = np.zeros((len(x), len(w))), []
        for t in range(x.shape[1]):
            h = np.where(mask[:, t, None], np.tanh(x[:, t] @ u + h @ w + b), h)
            states.append(h)
        return np.stack(states, axis=1)

    for left, right in layers:
        x = np.concatenate([read(x, mask, *left), read(x[:, ::-1], mask[:, ::-1], *right)[:, ::-1]], axis=2)
    return x


@bidirectional_rnn.mistake(
    "The reading from the right is a second reading from the left with other weights: nothing is turned round."
)
def both_from_the_left(x, mask, layers):
    def read(x, mask, u, w, b):
        h, states = np.zeros((len(x), len(w))), []
        for t in range(x.shape[1]):
            h = np.where(mask[:, t, None], np.tanh(x[:, t] @ u + h @ w + b), h)
            states.append(h)
        return np.stack(states, axis=1)

    for left, right in layers:
        x = np.concatenate([read(x, mask, *left), read(x, mask, *right)], axis=2) * mask[:, :, None]
    return x


@bidirectional_rnn.mistake(
    "The layers form two separate towers, one for each direction, joined only at the top. Here every layer reads both "
    "directions of the layer below."
)
def two_towers(x, mask, layers):
    def read(x, mask, u, w, b):
        u, h, states = u[: x.shape[2]], np.zeros((len(x), len(w))), []
        for t in range(x.shape[1]):
            h = np.where(mask[:, t, None], np.tanh(x[:, t] @ u[:, :] + h @ w + b), h)
            states.append(h)
        return np.stack(states, axis=1)

    a = b = x
    for left, right in layers:
        a = read(a, mask, *left)
        b = read(b[:, ::-1], mask[:, ::-1], *right)[:, ::-1]
    return np.concatenate([a, b], axis=2) * mask[:, :, None]


@bidirectional_rnn.variant
def sequence_for_sequence(x, mask, layers):
    out = []
    for row, length in zip(x, mask.sum(axis=1), strict=True):
        made = row[:length]
        for pair in layers:
            halves = []
            for turned, (u, w, b) in enumerate(pair):
                h, states = np.zeros(len(b)), []
                for x_t in made[::-1] if turned else made:
                    h = np.tanh(x_t @ u + h @ w + b)
                    states.append(h)
                halves.append(np.array(states[::-1] if turned else states))
            made = np.hstack(halves)
        out.append(np.pad(made, ((0, len(row) - length), (0, 0))))
    return np.stack(out)


@bidirectional_rnn.variant
def with_indices_from_the_right(x, mask, layers):
    time = x.shape[1]
    for left, right in layers:
        halves = []
        for (u, w, b), places in ((left, range(time)), (right, range(time - 1, -1, -1))):
            h, states = np.zeros((len(x), len(w))), np.zeros((len(x), time, len(w)))
            for t in places:
                h = np.where(mask[:, t : t + 1], np.tanh(x[:, t] @ u + h @ w + b), h)
                states[:, t] = np.where(mask[:, t : t + 1], h, 0.0)
            halves.append(states)
        x = np.dstack(halves)
    return x


@bidirectional_rnn.variant
def turns_the_real_words_only(x, mask, layers):
    time, rows = x.shape[1], np.arange(len(x))[:, None]
    places, lengths = np.arange(time), mask.sum(axis=1, keepdims=True)
    turned = np.where(places < lengths, lengths - 1 - places, places)
    for from_left, from_right in layers:
        halves = []
        for source, (u, w, b) in ((x, from_left), (x[rows, turned], from_right)):
            h, states = np.zeros((len(x), len(b))), []
            for t in range(time):
                h = np.tanh(source[:, t] @ u + h @ w + b)
                states.append(h)
            halves.append(np.stack(states, axis=1))
        x = np.concatenate([halves[0], halves[1][rows, turned]], axis=2)
        x[~mask] = 0.0
    return x


# ---- train_rnn_lm ----------------------------------------------------------------------------------------------------
@exercise(ref.train_rnn_lm, points=4, costly=True, returns=("embeddings", "u", "w", "b", "v", "c"))
def train_rnn_lm(rng: np.random.Generator) -> Iterator[Case]:
    """Train a recurrent language model until it remembers a name across words that tell nothing."""
    for label, between, time in [("pieces of four words", 2, 4), ("longer pieces", 1, 7)]:
        streams, _ = name_sentences(rng, 32, 201, between)
        text, floor = name_sentences(rng, 40, 301, between)
        yield case(
            label, streams=streams, vocabulary=8, time=time, epochs=20, rng=Seed(int(rng.integers(1 << 30)))
        ).hold(text=text, floor=floor)


@train_rnn_lm.criterion
def predicts_new_text(outputs, held):
    parts = [np.asarray(outputs[name], dtype=float) for name in ("embeddings", "u", "w", "b", "v", "c")]
    embeddings, u, w, b, v, c = parts
    if [part.ndim for part in parts] != [2, 2, 2, 1, 2, 1]:
        return "embeddings, u, w, v need two axes, b and c one."
    inputs, features, words = embeddings.shape[1], len(b), 8
    shapes = [part.shape for part in parts]
    if shapes != [(words, inputs), (inputs, features), (features, features), (features,), (features, words), (words,)]:
        return f"embeddings, u, w, b, v, c have the shapes {shapes}, which do not fit together with 8 words."
    if max(inputs, features) > 500:
        return "more than 500 features are not judged; 24 are plenty for eight words."
    if not all(np.isfinite(part).all() for part in parts):
        return "some of the weights are not finite: the steps were too large and the training blew up."
    text, nats = held["text"], 0.0
    h = np.zeros((len(text), features))
    for t in range(text.shape[1] - 1):
        h = np.tanh(embeddings[text[:, t]] @ u + h @ w + b)
        logits = h @ v + c
        nats += float(np.sum(np.logaddexp.reduce(logits, axis=1) - logits[np.arange(len(text)), text[:, t + 1]]))
    perplexity = float(np.exp(min(nats / (len(text) * (text.shape[1] - 1)), 700.0)))
    if perplexity <= 1.2 * held["floor"]:
        return None
    return (
        f"the perplexity on new text is {perplexity:.3g}; at most {1.2 * held['floor']:.3g} is needed "
        f"(the lowest possible one is {held['floor']:.3g}, and 8 is knowing nothing)."
    )


@train_rnn_lm.mistake(
    "Every piece begins with a state of zeros, so the model never learns to keep a name beyond a piece. The state goes on "
    "from piece to piece; only the gradient stops."
)
def state_thrown_away(streams, vocabulary, time, epochs, rng):
    parameters = new_rnn_lm(rng, vocabulary, 24)
    optimiser = Adam(parameters, 0.01)
    for _ in range(epochs):
        for start in range(0, streams.shape[1] - 1, time):
            piece, h = streams[:, start : start + time + 1], np.zeros((len(streams), 24))
            every = np.ones_like(piece[:, 1:], dtype=bool)
            _, grads, h = rnn_lm_gradients(parameters, piece[:, :-1], piece[:, 1:], every, h)
            optimiser.step(clip_by_global_norm(grads, 1.0)[0])
    return parameters


@train_rnn_lm.mistake(
    "The targets are the words themselves: the model learns to repeat what it reads. The answer to each word is the word "
    "after it."
)
def repeats_what_it_reads(streams, vocabulary, time, epochs, rng):
    parameters, h = new_rnn_lm(rng, vocabulary, 24), np.zeros((len(streams), 24))
    optimiser = Adam(parameters, 0.01)
    for _ in range(epochs):
        for start in range(0, streams.shape[1], time):
            piece = streams[:, start : start + time]
            _, grads, h = rnn_lm_gradients(parameters, piece, piece, np.ones_like(piece, dtype=bool), h)
            optimiser.step(clip_by_global_norm(grads, 1.0)[0])
    return parameters


@train_rnn_lm.mistake(
    "The steps climb the loss: the gradient's sign was turned round before the optimiser subtracts it."
)
def climbs(streams, vocabulary, time, epochs, rng):
    parameters = new_rnn_lm(rng, vocabulary, 24)
    optimiser = Adam(parameters, 0.01)
    for _ in range(epochs):
        h = np.zeros((len(streams), 24))
        for start in range(0, streams.shape[1] - 1, time):
            piece = streams[:, start : start + time + 1]
            every = np.ones_like(piece[:, 1:], dtype=bool)
            _, grads, h = rnn_lm_gradients(parameters, piece[:, :-1], piece[:, 1:], every, h)
            optimiser.step([-grad for grad in clip_by_global_norm(grads, 1.0)[0]])
    return parameters


@train_rnn_lm.mistake(
    "Only the output layer learns; word vectors, U and W stay as they were drawn. Hand all six parameters to the optimiser."
)
def output_layer_alone(streams, vocabulary, time, epochs, rng):
    parameters = new_rnn_lm(rng, vocabulary, 24)
    optimiser = Adam(parameters[4:], 0.01)
    for _ in range(epochs):
        h = np.zeros((len(streams), 24))
        for start in range(0, streams.shape[1] - 1, time):
            piece = streams[:, start : start + time + 1]
            every = np.ones_like(piece[:, 1:], dtype=bool)
            _, grads, h = rnn_lm_gradients(parameters, piece[:, :-1], piece[:, 1:], every, h)
            optimiser.step(clip_by_global_norm(grads[4:], 1.0)[0])
    return parameters


@train_rnn_lm.mistake(
    "One word is skipped between two pieces: the last answer of a piece is never read, and the state goes on as if it had not "
    "been there. Move on by `time` words, though each piece shows one word more."
)
def skips_a_word(streams, vocabulary, time, epochs, rng):
    parameters = new_rnn_lm(rng, vocabulary, 24)
    optimiser = Adam(parameters, 0.01)
    for _ in range(epochs):
        h = np.zeros((len(streams), 24))
        for start in range(0, streams.shape[1] - 1, time + 1):
            piece = streams[:, start : start + time + 1]
            if piece.shape[1] > 1:
                every = np.ones_like(piece[:, 1:], dtype=bool)
                _, grads, h = rnn_lm_gradients(parameters, piece[:, :-1], piece[:, 1:], every, h)
                optimiser.step(clip_by_global_norm(grads, 1.0)[0])
    return parameters


@train_rnn_lm.mistake(
    "The text is read once. One reading teaches which words come where; to find out that a name comes back takes several."
)
def one_epoch_only(streams, vocabulary, time, epochs, rng):
    parameters, h = new_rnn_lm(rng, vocabulary, 24), np.zeros((len(streams), 24))
    optimiser = Adam(parameters, 0.01)
    for start in range(0, streams.shape[1] - 1, time):
        piece = streams[:, start : start + time + 1]
        every = np.ones_like(piece[:, 1:], dtype=bool)
        _, grads, h = rnn_lm_gradients(parameters, piece[:, :-1], piece[:, 1:], every, h)
        optimiser.step(clip_by_global_norm(grads, 1.0)[0])
    return parameters


@train_rnn_lm.variant
def without_clipping(streams, vocabulary, time, epochs, rng):
    parameters = new_rnn_lm(rng, vocabulary, 32)
    optimiser, h = Adam(parameters, 0.01), np.zeros((len(streams), 32))
    starts = list(range(0, streams.shape[1] - 1, time))
    for step in range(epochs * len(starts)):
        start = starts[step % len(starts)]
        words, targets = streams[:, start : start + time][:, : streams.shape[1] - 1 - start], streams[:, start + 1 :]
        targets = targets[:, :time]
        _, grads, h = rnn_lm_gradients(parameters, words, targets, np.full(words.shape, True), h)
        optimiser.lr = 0.01 * (1 - 0.9 * step / (epochs * len(starts)))
        optimiser.step(grads)
    return parameters


@train_rnn_lm.variant
def with_a_falling_rate(streams, vocabulary, time, epochs, rng):
    parameters = new_rnn_lm(rng, vocabulary, 20)
    optimiser = Adam(parameters, lr=0.01)
    for epoch in range(epochs):
        optimiser.lr, h, done = 0.012 * 0.9**epoch, np.zeros((len(streams), 20)), 0
        while done < streams.shape[1] - 1:
            piece = streams[:, done : done + time + 1]
            mask = np.ones((len(streams), piece.shape[1] - 1), dtype=bool)
            _, grads, h = rnn_lm_gradients(parameters, piece[:, :-1], piece[:, 1:], mask, h)
            optimiser.step(clip_by_global_norm(grads, 2.0)[0])
            done += time
    return tuple(parameters)


@train_rnn_lm.variant
def with_another_size_and_tighter_clipping(streams, vocabulary, time, epochs, rng):
    features = 28
    parameters = new_rnn_lm(rng, vocabulary, features)
    optimiser = Adam(parameters, 0.012)
    read, answers = streams[:, :-1], streams[:, 1:]
    cuts = range(time, read.shape[1], time)
    pieces = list(zip(np.split(read, cuts, axis=1), np.split(answers, cuts, axis=1), strict=True))
    for epoch in range(epochs):
        h = np.zeros((len(streams), features))
        if epoch >= epochs // 2:
            optimiser.lr = 0.003
        for words, targets in pieces:
            _, grads, h = rnn_lm_gradients(parameters, words, targets, np.full(words.shape, True), h)
            optimiser.step(clip_by_global_norm(grads, 0.5)[0])
    return parameters


# ---- graded by a person ----------------------------------------------------------------------------------------------
why_gradients_vanish = explanation(
    "why_gradients_vanish",
    points=3,
    question="""
    1. Write ∂L/∂h_t for a loss L at step T as a product, in our notation (rows, h_t = tanh(x_t U + h_{t−1} W + b)). Use it
       to show that each step back multiplies the norm by at most ‖W‖, the largest singular value of W.
    2. The spectral radius of W is 1.2. Must the gradient explode? Say what else counts, and what the network does when the
       states are far from 0.
    3. Clipping cures one of the two, vanishing or exploding. Which, and why not the other? Name something that helps
       against the other.
    """,
    rubric=(
        (
            1,
            "∂L/∂h_t = ∂L/∂h_T Π (diag(1 − h_k²) Wᵀ) over k = T … t + 1, in this order; each factor has norm at most ‖W‖, "
            "since 0 < 1 − h² ≤ 1",
        ),
        (
            1,
            "no: a radius above 1 suffices in the linear case, for long times; here the slopes 1 − h² count as well, which are "
            "below 1 and near 0 where tanh is saturated, and the product can vanish (for exploding, ‖W‖ > 1 is necessary, a "
            "radius above 1 is not)",
        ),
        (
            1,
            "exploding: a long gradient keeps its direction and is shortened; a vanished one has lost the distant part "
            "beside the near one, and no common factor brings it back. Helps: gates (LSTM), shortcuts, orthogonal or "
            "identity-like W (one of these)",
        ),
    ),
    answer="""
    1. Backwards through one step the row gradient is multiplied element by element by 1 − h_k² and then by Wᵀ, so
       ∂L/∂h_t = ∂L/∂h_T · diag(1 − h_T²) Wᵀ · diag(1 − h_{T−1}²) Wᵀ ⋯ diag(1 − h_{t+1}²) Wᵀ. All slopes lie between 0
       and 1, so the diagonal factor lengthens nothing, and Wᵀ lengthens by at most ‖W‖: T − t steps by at most ‖W‖^(T−t).
       With ‖W‖ < 1 that vanishes.
    2. No. 1.2 is what a linear network would multiply by in the long run. Each step also multiplies by 1 − h², which is
       small where the units are saturated; with large states the product of both is below 1 and the gradient vanishes.
    3. Exploding. A clipped gradient points where the long one pointed, only the step is shorter. When the gradient has
       vanished, the total gradient consists of near lags alone; multiplying it by a large factor enlarges those, and the
       distant part is lost in them. Gates as in the LSTM (or additive shortcuts, or an orthogonal W) keep the product
       near 1.
    """,
)
