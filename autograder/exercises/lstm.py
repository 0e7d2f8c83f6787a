"""Exercises of chapter 10: an LSTM's step and its gradient through time, the GRU, a highway step, tied weights, a trained model."""

from collections.abc import Iterator

import numpy as np

from autograder.exercise import Case, Seed, case, exercise, explanation
from solutions import lstm as ref
from solutions.lstm import lstm_backward as backward
from solutions.lstm import lstm_forward, new_lstm_lm, sigmoid
from solutions.lstm import lstm_step as step
from solutions.lstm import lstm_step_backward as step_backward
from solutions.lstm import tied_lm_gradients as model_gradients
from solutions.optimisers import Adam, clip_by_global_norm
from solutions.recurrent import masked_lm_loss, name_sentences


def layer(rng: np.random.Generator, inputs: int, features: int, blocks: int) -> tuple[np.ndarray, ...]:
    """Weights that keep the gates busy but not shut."""
    return (
        rng.normal(size=(inputs, blocks * features)) / np.sqrt(inputs),
        rng.normal(size=(features, blocks * features)) / np.sqrt(features),
        0.5 * rng.normal(size=blocks * features),
    )


def large_inputs(rng: np.random.Generator, u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Five rows of two inputs up to ±1,000, and U widened so that every sum is beyond +900 in one row and beyond −900 in another.

    The first four rows have all pairs of signs, so one of them fits the signs of each column of U, and one their opposites.
    """
    signs = np.array([[1, 1], [-1, -1], [1, -1], [-1, 1], [0, 0]])
    x = np.where(signs == 0, rng.uniform(-1000, 1000, size=(5, 2)), signs * rng.uniform(950, 1000, size=(5, 2)))
    return x, u / np.minimum(1, np.abs(u).sum(axis=0))


def padding(*lengths: int) -> np.ndarray:
    """A mask for sequences of these lengths."""
    return np.arange(max(lengths)) < np.array(lengths)[:, None]


def hidden_states(x, h0, c0, mask, u, w, b):
    """All states of a sequence, without the cells."""
    return lstm_forward(x, h0, c0, mask, u, w, b)[0]


# ---- lstm_step -------------------------------------------------------------------------------------------------------
@exercise(ref.lstm_step, points=3, returns=("h_next", "c_next", "gates"))
def lstm_step(rng: np.random.Generator) -> Iterator[Case]:
    """Read one word with an LSTM."""
    for label, batch, inputs, features, size in [
        ("one row", 1, 3, 2, 1.0),
        ("more features than inputs", 4, 2, 5, 1.0),
        ("one feature", 3, 2, 1, 1.0),
        ("inputs and cells up to 1,000", 5, 2, 3, 1000.0),
    ]:
        u, w, b = layer(rng, inputs, features, 4)
        x, c = rng.uniform(-size, size, size=(batch, inputs)), rng.uniform(-2 * size, 2 * size, size=(batch, features))
        h = np.tanh(rng.normal(size=(batch, features)))
        if size > 1:
            x, u = large_inputs(rng, u)
        yield case(label, x=x, h=h, c=np.clip(c, -1000, 1000), u=u, w=w, b=b)


@lstm_step.mistake(
    "z is cut in the order i, f, o, g. The weights' blocks stand as i, f, g, o: the third is the candidate, the fourth the output "
    "gate."
)
def blocks_in_another_order(x, h, c, u, w, b):
    i, f, o, g = np.split(x @ u + h @ w + b, 4, axis=1)
    i, f, g, o = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)
    c = f * c + i * g
    return o * np.tanh(c), c, np.hstack([i, f, g, o])


@lstm_step.mistake(
    "h_next and c_next are right, but `gates` holds the sums z. Hand out what sigmoid and tanh have made of them: the way back "
    "needs i, f, g, o themselves."
)
def gates_before_squashing(x, h, c, u, w, b):
    z = x @ u + h @ w + b
    i, f, g, o = np.split(z, 4, axis=1)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c, z


@lstm_step.mistake(
    "The candidate goes through a sigmoid. It is what gets written, may be negative, and is a tanh; only the three gates are "
    "sigmoids."
)
def candidate_through_a_sigmoid(x, h, c, u, w, b):
    i, f, g, o = np.split(sigmoid(x @ u + h @ w + b), 4, axis=1)
    c = f * c + i * g
    return o * np.tanh(c), c, np.hstack([i, f, g, o])


@lstm_step.mistake(
    "The state shows the cell without its tanh: h_next is o·tanh(c_next). The cell has no bound, the state must have one."
)
def cell_shown_without_tanh(x, h, c, u, w, b):
    i, f, g, o = np.split(x @ u + h @ w + b, 4, axis=1)
    i, f, g, o = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)
    c = f * c + i * g
    return o * c, c, np.hstack([i, f, g, o])


@lstm_step.mistake(
    "The state shows the cell from **before** the step. First the cell is renewed, then the output gate shows the new one."
)
def shows_the_cell_before(x, h, c, u, w, b):
    i, f, g, o = np.split(x @ u + h @ w + b, 4, axis=1)
    i, f, g, o = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)
    return o * np.tanh(c), f * c + i * g, np.hstack([i, f, g, o])


@lstm_step.mistake(
    "Input and forget gate have changed places: i multiplies the old cell and f the candidate. f says what stays, i what comes."
)
def forget_and_input_exchanged(x, h, c, u, w, b):
    i, f, g, o = np.split(x @ u + h @ w + b, 4, axis=1)
    i, f, g, o = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)
    c = i * c + f * g
    return o * np.tanh(c), c, np.hstack([i, f, g, o])


@lstm_step.variant
def gate_by_gate(x, h, c, u, w, b):
    n = h.shape[1]
    z = [x @ u[:, k * n : (k + 1) * n] + h @ w[:, k * n : (k + 1) * n] + b[k * n : (k + 1) * n] for k in range(4)]
    gates = np.empty((len(h), 4 * n))
    for k in (0, 1, 3):
        e = np.exp(-np.abs(z[k]))
        gates[:, k * n : (k + 1) * n] = np.where(z[k] >= 0, 1 / (1 + e), e / (1 + e))
    gates[:, 2 * n : 3 * n] = np.tanh(z[2])
    c_next = gates[:, n : 2 * n] * c + gates[:, :n] * gates[:, 2 * n : 3 * n]
    return np.tanh(c_next) * gates[:, 3 * n :], c_next, gates


@lstm_step.variant
def one_product_for_both(x, h, c, u, w, b):
    z = np.hstack([x, h]) @ np.vstack([u, w]) + b
    z = z.reshape(len(h), 4, -1)
    is_gate = np.array([True, True, False, True])[:, None]
    t = np.tanh(np.where(is_gate, z / 2, z))
    a = np.where(is_gate, (t + 1) / 2, t)
    c_next = a[:, 1] * c + a[:, 0] * a[:, 2]
    return a[:, 3] * np.tanh(c_next), c_next, a.reshape(len(h), -1)


@lstm_step.variant
def with_torch(x, h, c, u, w, b):
    import torch

    tx, th, tc, tu, tw, tb = (torch.from_numpy(np.ascontiguousarray(a)) for a in (x, h, c, u, w, b))
    i, f, g, o = (tx @ tu + th @ tw + tb).chunk(4, dim=1)
    i, f, g, o = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()
    c_next = f * tc + i * g
    return (o * c_next.tanh()).numpy(), c_next.numpy(), torch.cat([i, f, g, o], dim=1).numpy()


# ---- lstm_step_backward ----------------------------------------------------------------------------------------------
def loss_of_both(x, h, c, u, w, b, grad_h_next, grad_c_next):
    """A loss that has these gradients at h_next and c_next."""
    h_next, c_next, _ = step(x, h, c, u, w, b)
    return float(np.sum(grad_h_next * h_next) + np.sum(grad_c_next * c_next))


@exercise(ref.lstm_step_backward, points=4, returns=("grad_x", "grad_h", "grad_c", "grad_u", "grad_w", "grad_b"))
def lstm_step_backward(rng: np.random.Generator) -> Iterator[Case]:
    """Send gradients backwards through one LSTM step."""
    for label, batch, inputs, features in [
        ("one row", 1, 3, 2),
        ("more inputs than features", 4, 5, 2),
        ("more features than inputs", 3, 2, 4),
        ("one feature", 5, 3, 1),
    ]:
        u, w, b = layer(rng, inputs, features, 4)
        x, h = rng.normal(size=(batch, inputs)), np.tanh(rng.normal(size=(batch, features)))
        c, up = rng.normal(size=(batch, features)), rng.normal(size=(2, batch, features))
        gates = step(x, h, c, u, w, b)[2]
        yield case(label, grad_h_next=up[0], grad_c_next=up[1], x=x, h=h, c=c, gates=gates, u=u, w=w, b=b)


lstm_step_backward.gradient_of(loss_of_both, wrt=("x", "h", "c", "u", "w", "b"))


def from_block_gradients(grad_i, grad_f, grad_g, grad_o, grad_c_before, x, h, gates, u, w):
    """What is left once the gradients of the four gates are known."""
    i, f, g, o = np.split(gates, 4, axis=1)
    grad_z = np.hstack([grad_i * i * (1 - i), grad_f * f * (1 - f), grad_g * (1 - g**2), grad_o * o * (1 - o)])
    return grad_z @ u.T, grad_z @ w.T, grad_c_before, x.T @ grad_z, h.T @ grad_z, grad_z.sum(axis=0)


@lstm_step_backward.mistake(
    "grad_c_next is dropped: the cell gets only what comes through h_next. What later steps send back to the cell is the LSTM's "
    "long memory; add it."
)
def without_the_later_cells(grad_h_next, grad_c_next, x, h, c, gates, u, w, b):
    i, f, g, o = np.split(gates, 4, axis=1)
    t = np.tanh(f * c + i * g)
    grad_c = grad_h_next * o * (1 - t**2)
    return from_block_gradients(grad_c * g, grad_c * c, grad_c * i, grad_h_next * t, grad_c * f, x, h, gates, u, w)


@lstm_step_backward.mistake(
    "grad_c is grad_c_next·f: what comes through h_next does not reach the cell before. Both roads meet at the new cell; "
    "their sum at_c is multiplied by f."
)
def cell_gradient_past_the_step(grad_h_next, grad_c_next, x, h, c, gates, u, w, b):
    i, f, g, o = np.split(gates, 4, axis=1)
    t = np.tanh(f * c + i * g)
    at_c = grad_c_next + grad_h_next * o * (1 - t**2)
    return from_block_gradients(at_c * g, at_c * c, at_c * i, grad_h_next * t, grad_c_next * f, x, h, gates, u, w)


@lstm_step_backward.mistake(
    "The gates' own slopes are missing. The products are the gradients at i, f, g and o; times s(1 − s), for g times 1 − g², they "
    "become those at z, and only these go on to x, h, U, W and b."
)
def without_the_gates_slopes(grad_h_next, grad_c_next, x, h, c, gates, u, w, b):
    i, f, g, o = np.split(gates, 4, axis=1)
    t = np.tanh(f * c + i * g)
    at_c = grad_c_next + grad_h_next * o * (1 - t**2)
    grad_z = np.hstack([at_c * g, at_c * c, at_c * i, grad_h_next * t])
    return grad_z @ u.T, grad_z @ w.T, at_c * f, x.T @ grad_z, h.T @ grad_z, grad_z.sum(axis=0)


@lstm_step_backward.mistake(
    "The slope of tanh is missing between h_next and the cell: grad_h_next·o arrives at tanh(c_next), and 1 − tanh² takes it to "
    "c_next."
)
def cell_without_the_slope(grad_h_next, grad_c_next, x, h, c, gates, u, w, b):
    i, f, g, o = np.split(gates, 4, axis=1)
    grad_c = grad_c_next + grad_h_next * o
    grad_o = grad_h_next * np.tanh(f * c + i * g)
    return from_block_gradients(grad_c * g, grad_c * c, grad_c * i, grad_o, grad_c * f, x, h, gates, u, w)


@lstm_step_backward.mistake(
    "All four blocks have the slope of a sigmoid. The candidate g is a tanh: its slope is 1 − g², not g(1 − g)."
)
def sigmoid_slope_for_the_candidate(grad_h_next, grad_c_next, x, h, c, gates, u, w, b):
    i, f, g, o = np.split(gates, 4, axis=1)
    t = np.tanh(f * c + i * g)
    grad_c = grad_c_next + grad_h_next * o * (1 - t**2)
    grad_z = np.hstack([grad_c * g, grad_c * c, grad_c * i, grad_h_next * t]) * gates * (1 - gates)
    return grad_z @ u.T, grad_z @ w.T, grad_c * f, x.T @ grad_z, h.T @ grad_z, grad_z.sum(axis=0)


@lstm_step_backward.mistake(
    "`grad_c` is the gradient at the new cell; on its way to the cell **before** the step it passes the forget gate: multiply by f."
)
def cell_gradient_without_the_forget_gate(grad_h_next, grad_c_next, x, h, c, gates, u, w, b):
    i, f, g, o = np.split(gates, 4, axis=1)
    t = np.tanh(f * c + i * g)
    grad_c = grad_c_next + grad_h_next * o * (1 - t**2)
    return from_block_gradients(grad_c * g, grad_c * c, grad_c * i, grad_h_next * t, grad_c, x, h, gates, u, w)


@lstm_step_backward.variant
def block_by_block(grad_h_next, grad_c_next, x, h, c, gates, u, w, b):
    n = h.shape[1]
    i, f, g, o = (gates[:, k * n : (k + 1) * n] for k in range(4))
    shown = np.tanh(f * c + i * g)
    at_cell = grad_c_next + grad_h_next * o * (1 + shown) * (1 - shown)
    blocks = (
        at_cell * g * (i - i**2),
        at_cell * c * (f - f**2),
        at_cell * i * (1 - g * g),
        grad_h_next * shown * (o - o**2),
    )
    grad_x, grad_h = np.zeros_like(x), np.zeros_like(h)
    grad_u, grad_w, grad_b = np.empty_like(u), np.empty_like(w), np.empty_like(b)
    for k, block in enumerate(blocks):
        at = slice(k * n, (k + 1) * n)
        grad_x += block @ u[:, at].T
        grad_h += block @ w[:, at].T
        grad_u[:, at], grad_w[:, at], grad_b[at] = x.T @ block, h.T @ block, block.sum(axis=0)
    return grad_x, grad_h, at_cell * f, grad_u, grad_w, grad_b


@lstm_step_backward.variant
def row_by_row(grad_h_next, grad_c_next, x, h, c, gates, u, w, b):
    grad_x, grad_h, grad_c = np.empty_like(x), np.empty_like(h), np.empty_like(c)
    grad_u, grad_w, grad_b = np.zeros_like(u), np.zeros_like(w), np.zeros_like(b)
    for r in range(len(x)):
        i, f, g, o = gates[r].reshape(4, -1)
        t = np.tanh(f * c[r] + i * g)
        at_cell = grad_c_next[r] + grad_h_next[r] * o / np.cosh(f * c[r] + i * g) ** 2
        grad_z = np.concatenate(
            [
                at_cell * g * i * (1 - i),
                at_cell * c[r] * f * (1 - f),
                at_cell * i * (1 - g**2),
                grad_h_next[r] * t * o * (1 - o),
            ]
        )
        grad_x[r], grad_h[r], grad_c[r] = u @ grad_z, w @ grad_z, at_cell * f
        grad_u += np.outer(x[r], grad_z)
        grad_w += np.outer(h[r], grad_z)
        grad_b += grad_z
    return grad_x, grad_h, grad_c, grad_u, grad_w, grad_b


@lstm_step_backward.variant
def by_autograd(grad_h_next, grad_c_next, x, h, c, gates, u, w, b):
    import torch

    leaves = [torch.tensor(a, requires_grad=True) for a in (x, h, c, u, w, b)]
    tx, th, tc, tu, tw, tb = leaves
    i, f, g, o = (tx @ tu + th @ tw + tb).chunk(4, dim=1)
    c_next = f.sigmoid() * tc + i.sigmoid() * g.tanh()
    h_next = o.sigmoid() * c_next.tanh()
    loss = (h_next * torch.tensor(grad_h_next)).sum() + (c_next * torch.tensor(grad_c_next)).sum()
    return tuple(grad.numpy() for grad in torch.autograd.grad(loss, leaves))


# ---- lstm_backward ---------------------------------------------------------------------------------------------------
@exercise(ref.lstm_backward, points=4, returns=("grad_x", "grad_h0", "grad_c0", "grad_u", "grad_w", "grad_b"))
def lstm_backward(rng: np.random.Generator) -> Iterator[Case]:
    """Back-propagate through time over padded sequences with an LSTM."""
    for label, inputs, features, mask in [
        ("two steps", 3, 2, padding(2, 2)),
        ("no padding", 2, 4, padding(5, 5, 5)),
        ("uneven lengths", 2, 3, padding(3, 5, 1, 4)),
        ("padding in front", 3, 2, padding(2, 4)[:, ::-1].copy()),
    ]:
        u, w, b = layer(rng, inputs, features, 4)
        x, h0 = rng.normal(size=(*mask.shape, inputs)), np.tanh(rng.normal(size=(len(mask), features)))
        c0 = rng.normal(size=(len(mask), features))
        hidden, cells = lstm_forward(x, h0, c0, mask, u, w, b)
        grad = rng.normal(size=hidden.shape)
        yield case(label, grad_hidden=grad, x=x, h0=h0, c0=c0, mask=mask, hidden=hidden, cells=cells, u=u, w=w, b=b)


lstm_backward.gradient_of(hidden_states, wrt=("x", "h0", "c0", "u", "w", "b"), upstream="grad_hidden")


@lstm_backward.mistake(
    "The cell's gradient does not travel: grad_c stays 0 from step to step, and the road from cell to cell is cut. What comes back "
    "for the cell is carried on just as grad_h is."
)
def cell_gradient_dropped(grad_hidden, x, h0, c0, mask, hidden, cells, u, w, b):
    grad_x, grad_h, grad_c = np.zeros_like(x), np.zeros_like(h0), np.zeros_like(c0)
    grad_u, grad_w, grad_b = np.zeros_like(u), np.zeros_like(w), np.zeros_like(b)
    for t in reversed(range(x.shape[1])):
        grad_h = grad_h + grad_hidden[:, t]
        h, c = (hidden[:, t - 1], cells[:, t - 1]) if t > 0 else (h0, c0)
        real, gates = mask[:, t, None], step(x[:, t], h, c, u, w, b)[2]
        back = step_backward(grad_h * real, grad_c, x[:, t], h, c, gates, u, w, b)
        grad_x[:, t], grad_h = back[0], np.where(real, back[1], grad_h)
        grad_u, grad_w, grad_b = grad_u + back[3], grad_w + back[4], grad_b + back[5]
    return grad_x, grad_h, grad_c, grad_u, grad_w, grad_b


@lstm_backward.mistake(
    "The state's gradient does not travel: each step gets only its own place's. h_t also fed the gates of step t + 1; what came "
    "back from there belongs to it."
)
def state_gradient_dropped(grad_hidden, x, h0, c0, mask, hidden, cells, u, w, b):
    grad_x, grad_h, grad_c = np.zeros_like(x), np.zeros_like(h0), np.zeros_like(c0)
    grad_u, grad_w, grad_b = np.zeros_like(u), np.zeros_like(w), np.zeros_like(b)
    for t in reversed(range(x.shape[1])):
        own = grad_hidden[:, t]
        h, c = (hidden[:, t - 1], cells[:, t - 1]) if t > 0 else (h0, c0)
        real, gates = mask[:, t, None], step(x[:, t], h, c, u, w, b)[2]
        back = step_backward(own * real, grad_c * real, x[:, t], h, c, gates, u, w, b)
        grad_x[:, t], grad_h, grad_c = back[0], np.where(real, back[1], own), np.where(real, back[2], grad_c)
        grad_u, grad_w, grad_b = grad_u + back[3], grad_w + back[4], grad_b + back[5]
    return grad_x, grad_h, grad_c, grad_u, grad_w, grad_b


@lstm_backward.mistake(
    "The parameters' gradients are those of one step, the last one computed. The same U, W and b served at every step: add "
    "all their shares up."
)
def parameters_of_one_step(grad_hidden, x, h0, c0, mask, hidden, cells, u, w, b):
    grad_x, grad_h, grad_c = np.zeros_like(x), np.zeros_like(h0), np.zeros_like(c0)
    for t in reversed(range(x.shape[1])):
        grad_h = grad_h + grad_hidden[:, t]
        h, c = (hidden[:, t - 1], cells[:, t - 1]) if t > 0 else (h0, c0)
        real, gates = mask[:, t, None], step(x[:, t], h, c, u, w, b)[2]
        back = step_backward(grad_h * real, grad_c * real, x[:, t], h, c, gates, u, w, b)
        grad_x[:, t], grad_h, grad_c = back[0], np.where(real, back[1], grad_h), np.where(real, back[2], grad_c)
        grad_u, grad_w, grad_b = back[3:]
    return grad_x, grad_h, grad_c, grad_u, grad_w, grad_b


@lstm_backward.mistake(
    "State and cell before the first step are read from `[:, -1]`, the **last** place: an index of −1 counts from the end. Before "
    "step 0 they were h0 and c0."
)
def index_minus_one(grad_hidden, x, h0, c0, mask, hidden, cells, u, w, b):
    grad_x, grad_h, grad_c = np.zeros_like(x), np.zeros_like(h0), np.zeros_like(c0)
    grad_u, grad_w, grad_b = np.zeros_like(u), np.zeros_like(w), np.zeros_like(b)
    for t in reversed(range(x.shape[1])):
        grad_h = grad_h + grad_hidden[:, t]
        h, c = hidden[:, t - 1], cells[:, t - 1]
        real, gates = mask[:, t, None], step(x[:, t], h, c, u, w, b)[2]
        back = step_backward(grad_h * real, grad_c * real, x[:, t], h, c, gates, u, w, b)
        grad_x[:, t], grad_h, grad_c = back[0], np.where(real, back[1], grad_h), np.where(real, back[2], grad_c)
        grad_u, grad_w, grad_b = grad_u + back[3], grad_w + back[4], grad_b + back[5]
    return grad_x, grad_h, grad_c, grad_u, grad_w, grad_b


@lstm_backward.mistake(
    "The mask is ignored on the way back: padded places pass the gradients through the gates and add to the parameters. "
    "Forwards state and cell were copied there."
)
def steps_at_padded_places(grad_hidden, x, h0, c0, mask, hidden, cells, u, w, b):
    grad_x, grad_h, grad_c = np.zeros_like(x), np.zeros_like(h0), np.zeros_like(c0)
    grad_u, grad_w, grad_b = np.zeros_like(u), np.zeros_like(w), np.zeros_like(b)
    for t in reversed(range(x.shape[1])):
        grad_h = grad_h + grad_hidden[:, t]
        h, c = (hidden[:, t - 1], cells[:, t - 1]) if t > 0 else (h0, c0)
        gates = step(x[:, t], h, c, u, w, b)[2]
        grad_x[:, t], grad_h, grad_c, du, dw, db = step_backward(grad_h, grad_c, x[:, t], h, c, gates, u, w, b)
        grad_u, grad_w, grad_b = grad_u + du, grad_w + dw, grad_b + db
    return grad_x, grad_h, grad_c, grad_u, grad_w, grad_b


@lstm_backward.mistake(
    "The gradients are dropped at padded places. State and cell were copied there, and a copy hands its gradient on unchanged."
)
def padding_stops_the_gradient(grad_hidden, x, h0, c0, mask, hidden, cells, u, w, b):
    grad_x, grad_h, grad_c = np.zeros_like(x), np.zeros_like(h0), np.zeros_like(c0)
    grad_u, grad_w, grad_b = np.zeros_like(u), np.zeros_like(w), np.zeros_like(b)
    for t in reversed(range(x.shape[1])):
        grad_h = grad_h + grad_hidden[:, t]
        h, c = (hidden[:, t - 1], cells[:, t - 1]) if t > 0 else (h0, c0)
        real, gates = mask[:, t, None], step(x[:, t], h, c, u, w, b)[2]
        grad_x[:, t], grad_h, grad_c, du, dw, db = step_backward(
            grad_h * real, grad_c * real, x[:, t], h, c, gates, u, w, b
        )
        grad_u, grad_w, grad_b = grad_u + du, grad_w + dw, grad_b + db
    return grad_x, grad_h, grad_c, grad_u, grad_w, grad_b


@lstm_backward.variant
def weights_after_the_loop(grad_hidden, x, h0, c0, mask, hidden, cells, u, w, b):
    before_h = np.concatenate([h0[:, None], hidden[:, :-1]], axis=1)
    before_c = np.concatenate([c0[:, None], cells[:, :-1]], axis=1)
    i, f, g, o = np.split(x @ u + before_h @ w + b, 4, axis=2)
    i, f, g, o = (1 + np.tanh(i / 2)) / 2, (1 + np.tanh(f / 2)) / 2, np.tanh(g), (1 + np.tanh(o / 2)) / 2
    grad_z, gh, gc = np.zeros((*mask.shape, len(b))), np.zeros_like(h0), np.zeros_like(c0)
    for t in range(x.shape[1] - 1, -1, -1):
        gh, real, shown = gh + grad_hidden[:, t], mask[:, t, None], np.tanh(cells[:, t])
        at = gc + gh * o[:, t] * (1 - shown**2)
        made = np.concatenate(
            [
                at * g[:, t] * i[:, t] * (1 - i[:, t]),
                at * before_c[:, t] * f[:, t] * (1 - f[:, t]),
                at * i[:, t] * (1 - g[:, t] ** 2),
                gh * shown * o[:, t] * (1 - o[:, t]),
            ],
            axis=1,
        )
        grad_z[:, t] = np.where(real, made, 0.0)
        gh, gc = np.where(real, made @ w.T, gh), np.where(real, at * f[:, t], gc)
    grad_u, grad_w = np.einsum("nti,ntf->if", x, grad_z), np.einsum("nte,ntf->ef", before_h, grad_z)
    return grad_z @ u.T, gh, gc, grad_u, grad_w, grad_z.sum(axis=(0, 1))


@lstm_backward.variant
def sequence_by_sequence(grad_hidden, x, h0, c0, mask, hidden, cells, u, w, b):
    grad_x, grad_h0, grad_c0 = np.zeros_like(x), np.zeros_like(h0), np.zeros_like(c0)
    grad_u, grad_w, grad_b = np.zeros_like(u), np.zeros_like(w), np.zeros_like(b)
    for n in range(len(x)):
        gh, gc = np.zeros((1, h0.shape[1])), np.zeros((1, h0.shape[1]))
        for t in range(x.shape[1])[::-1]:
            gh = gh + grad_hidden[n, t]
            if not mask[n, t]:
                continue
            h, c = (hidden[n : n + 1, t - 1], cells[n : n + 1, t - 1]) if t else (h0[n : n + 1], c0[n : n + 1])
            gates = step(x[n : n + 1, t], h, c, u, w, b)[2]
            gx, gh, gc, du, dw, db = step_backward(gh, gc, x[n : n + 1, t], h, c, gates, u, w, b)
            grad_x[n, t] = gx[0]
            grad_u += du
            grad_w += dw
            grad_b += db
        grad_h0[n], grad_c0[n] = gh[0], gc[0]
    return grad_x, grad_h0, grad_c0, grad_u, grad_w, grad_b


@lstm_backward.variant
def with_torch_autograd(grad_hidden, x, h0, c0, mask, hidden, cells, u, w, b):
    import torch

    leaves = [torch.tensor(a, requires_grad=True) for a in (x, h0, c0, u, w, b)]
    tx, h, c, tu, tw, tb = leaves
    loss = torch.zeros((), dtype=torch.float64)
    for t in range(x.shape[1]):
        i, f, g, o = (tx[:, t] @ tu + h @ tw + tb).chunk(4, dim=1)
        c_next = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h_next, real = o.sigmoid() * c_next.tanh(), torch.tensor(mask[:, t, None])
        h, c = torch.where(real, h_next, h), torch.where(real, c_next, c)
        loss = loss + (h * torch.tensor(grad_hidden[:, t])).sum()
    return tuple(grad.numpy() for grad in torch.autograd.grad(loss, leaves))


# ---- gru_step --------------------------------------------------------------------------------------------------------
@exercise(ref.gru_step, points=2, returns=("h_next", "gates"))
def gru_step(rng: np.random.Generator) -> Iterator[Case]:
    """Read one word with a gated recurrent unit."""
    for label, batch, inputs, features, size in [
        ("one row", 1, 3, 2, 1.0),
        ("more features than inputs", 4, 2, 5, 1.0),
        ("one feature", 3, 2, 1, 1.0),
        ("inputs up to 1,000", 5, 2, 3, 1000.0),
    ]:
        u, w, b = layer(rng, inputs, features, 3)
        x, h = rng.uniform(-size, size, size=(batch, inputs)), np.tanh(rng.normal(size=(batch, features)))
        if size > 1:
            x, u = large_inputs(rng, u)
        yield case(label, x=x, h=h, u=u, w=w, b=b, d=rng.normal(size=features))


def gru_parts(x, h, u, w, b):
    """The six sums of a GRU: those of x, then those of h, for r, z, n."""
    return *np.split(x @ u + b, 3, axis=1), *np.split(h @ w, 3, axis=1)


@gru_step.mistake(
    "The update gate works the other way round. Here z says how much of the old state **stays**: h_next = (1 − z)·n + z·h, as in "
    "PyTorch; decks and papers differ."
)
def update_gate_turned_round(x, h, u, w, b, d):
    xr, xz, xn, hr, hz, hn = gru_parts(x, h, u, w, b)
    r, z = sigmoid(xr + hr), sigmoid(xz + hz)
    n = np.tanh(xn + r * (hn + d))
    return z * n + (1 - z) * h, np.hstack([r, z, n])


@gru_step.mistake(
    "The reset gate acts on h before the product, (r·h)W_n. Here it acts on the product, r·(hW_n + d): with more than one feature "
    "the two differ."
)
def reset_before_the_product(x, h, u, w, b, d):
    xr, xz, xn, hr, hz, _ = gru_parts(x, h, u, w, b)
    r, z = sigmoid(xr + hr), sigmoid(xz + hz)
    n = np.tanh(xn + (r * h) @ w[:, 2 * h.shape[1] :] + d)
    return (1 - z) * n + z * h, np.hstack([r, z, n])


@gru_step.mistake("The bias d stands outside the reset gate's bracket. r multiplies hW_n **and** d.")
def bias_outside_the_bracket(x, h, u, w, b, d):
    xr, xz, xn, hr, hz, hn = gru_parts(x, h, u, w, b)
    r, z = sigmoid(xr + hr), sigmoid(xz + hz)
    n = np.tanh(xn + r * hn + d)
    return (1 - z) * n + z * h, np.hstack([r, z, n])


@gru_step.mistake("The bias d is not used. It stands beside hW_n inside the reset gate's bracket: r·(hW_n + d).")
def without_the_second_bias(x, h, u, w, b, d):
    xr, xz, xn, hr, hz, hn = gru_parts(x, h, u, w, b)
    r, z = sigmoid(xr + hr), sigmoid(xz + hz)
    n = np.tanh(xn + r * hn)
    return (1 - z) * n + z * h, np.hstack([r, z, n])


@gru_step.mistake(
    "The reset gate is computed and not used: the candidate reads the whole state. Multiply hW_n + d by r before xU_n + b_n is "
    "added."
)
def reset_gate_unused(x, h, u, w, b, d):
    xr, xz, xn, hr, hz, hn = gru_parts(x, h, u, w, b)
    r, z = sigmoid(xr + hr), sigmoid(xz + hz)
    n = np.tanh(xn + hn + d)
    return (1 - z) * n + z * h, np.hstack([r, z, n])


@gru_step.mistake("Reset and update gate have changed places. The blocks stand as r, z, n.")
def reset_and_update_exchanged(x, h, u, w, b, d):
    xz, xr, xn, hz, hr, hn = gru_parts(x, h, u, w, b)
    r, z = sigmoid(xr + hr), sigmoid(xz + hz)
    n = np.tanh(xn + r * (hn + d))
    return (1 - z) * n + z * h, np.hstack([z, r, n])


@gru_step.variant
def gru_with_torch(x, h, u, w, b, d):
    import torch

    cell = torch.nn.GRUCell(x.shape[1], h.shape[1], dtype=torch.float64)
    with torch.no_grad():
        cell.weight_ih.copy_(torch.tensor(u.T.copy()))
        cell.weight_hh.copy_(torch.tensor(w.T.copy()))
        cell.bias_ih.copy_(torch.tensor(b))
        cell.bias_hh.zero_()
        cell.bias_hh[-len(d) :] = torch.tensor(d)
        h_next = cell(torch.tensor(x), torch.tensor(h)).numpy()
    two = 2 * len(d)
    rz = 1 / (1 + np.exp(-np.clip((x @ u + b + h @ w)[:, :two], -700, 700)))
    n = np.tanh((x @ u + b)[:, two:] + rz[:, : len(d)] * ((h @ w)[:, two:] + d))
    return h_next, np.hstack([rz, n])


@gru_step.variant
def gru_block_by_block(x, h, u, w, b, d):
    k = len(d)
    r = sigmoid(x @ u[:, :k] + h @ w[:, :k] + b[:k])
    z = sigmoid(x @ u[:, k : 2 * k] + h @ w[:, k : 2 * k] + b[k : 2 * k])
    n = np.tanh(x @ u[:, 2 * k :] + b[2 * k :] + r * (h @ w[:, 2 * k :]) + r * d)
    return n + z * (h - n), np.concatenate([r, z, n], axis=1)


@gru_step.variant
def gru_row_by_row(x, h, u, w, b, d):
    states, kept = np.empty_like(h), np.empty((len(h), 3 * len(d)))
    for row in range(len(x)):
        of_x, of_h = (x[row] @ u + b).reshape(3, -1), (h[row] @ w).reshape(3, -1)
        both = np.clip(of_x + of_h, -700, 700)
        r, z = 1 / (1 + np.exp(-both[0])), 1 / (1 + np.exp(-both[1]))
        n = np.tanh(of_x[2] + r * (of_h[2] + d))
        states[row], kept[row] = (1 - z) * n + z * h[row], np.concatenate([r, z, n])
    return states, kept


# ---- gru_step_backward -----------------------------------------------------------------------------------------------
def gru_state(x, h, u, w, b, d):
    """The state after a step, without the gates."""
    return ref.gru_step(x, h, u, w, b, d)[0]


@exercise(ref.gru_step_backward, points=4, returns=("grad_x", "grad_h", "grad_u", "grad_w", "grad_b", "grad_d"))
def gru_step_backward(rng: np.random.Generator) -> Iterator[Case]:
    """Send a gradient backwards through one GRU step."""
    for label, batch, inputs, features in [
        ("one row", 1, 3, 2),
        ("more inputs than features", 4, 5, 2),
        ("more features than inputs", 3, 2, 4),
        ("one feature", 5, 3, 1),
    ]:
        u, w, b = layer(rng, inputs, features, 3)
        x, h = rng.normal(size=(batch, inputs)), np.tanh(rng.normal(size=(batch, features)))
        d, grad_next = rng.normal(size=features), rng.normal(size=(batch, features))
        gates = ref.gru_step(x, h, u, w, b, d)[1]
        yield case(label, grad_next=grad_next, x=x, h=h, gates=gates, u=u, w=w, b=b, d=d)


gru_step_backward.gradient_of(gru_state, wrt=("x", "h", "u", "w", "b", "d"), upstream="grad_next")


def gru_from_blocks(grad_r, grad_z, grad_n, past, x, h, r, u, w):
    """What is left once the gradients of the three sums are known, and what h gets past them."""
    at_x, at_h = np.hstack([grad_r, grad_z, grad_n]), np.hstack([grad_r, grad_z, grad_n * r])
    return at_x @ u.T, past + at_h @ w.T, x.T @ at_x, h.T @ at_h, at_x.sum(axis=0), (grad_n * r).sum(axis=0)


@gru_step_backward.mistake(
    "h's direct road is missing: h_next = … + z·h, so grad_h also gets grad_next·z, past all matrices."
)
def without_the_direct_road(grad_next, x, h, gates, u, w, b, d):
    r, z, n = np.split(gates, 3, axis=1)
    grad_n = grad_next * (1 - z) * (1 - n**2)
    grad_r = grad_n * (h @ w[:, -n.shape[1] :] + d) * r * (1 - r)
    return gru_from_blocks(grad_r, grad_next * (h - n) * z * (1 - z), grad_n, 0.0, x, h, r, u, w)


@gru_step_backward.mistake(
    "What hW_n gets lacks the reset gate. The candidate read r·(hW_n + d): on the way back to h, W_n and d multiply by r; xU_n "
    "goes without."
)
def without_the_reset_gate(grad_next, x, h, gates, u, w, b, d):
    r, z, n = np.split(gates, 3, axis=1)
    grad_n = grad_next * (1 - z) * (1 - n**2)
    grad_r = grad_n * (h @ w[:, -n.shape[1] :] + d) * r * (1 - r)
    return gru_from_blocks(
        grad_r, grad_next * (h - n) * z * (1 - z), grad_n, grad_next * z, x, h, np.ones_like(r), u, w
    )


@gru_step_backward.mistake(
    "What xU_n + b_n gets is multiplied by r as well. r stood before the bracket hW_n + d alone: two arrays are needed, one for "
    "xU + b and one for hW, and only the second has r in its third block."
)
def reset_gate_towards_the_word(grad_next, x, h, gates, u, w, b, d):
    r, z, n = np.split(gates, 3, axis=1)
    grad_n = grad_next * (1 - z) * (1 - n**2)
    grad_r = grad_n * (h @ w[:, -n.shape[1] :] + d) * r * (1 - r)
    grad_z = grad_next * (h - n) * z * (1 - z)
    return gru_from_blocks(grad_r, grad_z, grad_n * r, grad_next * z, x, h, np.ones_like(r), u, w)


@gru_step_backward.mistake(
    "The candidate gets grad_next whole. h_next holds only (1 − z)·n of it: its gradient is multiplied by 1 − z first, then by the "
    "slope 1 − n²."
)
def candidate_without_its_share(grad_next, x, h, gates, u, w, b, d):
    r, z, n = np.split(gates, 3, axis=1)
    grad_n = grad_next * (1 - n**2)
    grad_r = grad_n * (h @ w[:, -n.shape[1] :] + d) * r * (1 - r)
    return gru_from_blocks(grad_r, grad_next * (h - n) * z * (1 - z), grad_n, grad_next * z, x, h, r, u, w)


@gru_step_backward.mistake(
    "The update gate's gradient has the wrong sign: h_next = (1 − z)n + zh grows by h − n when z grows by 1, not by n − h."
)
def update_gate_sign(grad_next, x, h, gates, u, w, b, d):
    r, z, n = np.split(gates, 3, axis=1)
    grad_n = grad_next * (1 - z) * (1 - n**2)
    grad_r = grad_n * (h @ w[:, -n.shape[1] :] + d) * r * (1 - r)
    return gru_from_blocks(grad_r, grad_next * (n - h) * z * (1 - z), grad_n, grad_next * z, x, h, r, u, w)


@gru_step_backward.mistake(
    "The reset gate's gradient lacks the bias d: r multiplied hW_n + d, the whole bracket, so its slope is the whole bracket."
)
def bracket_without_the_bias(grad_next, x, h, gates, u, w, b, d):
    r, z, n = np.split(gates, 3, axis=1)
    grad_n = grad_next * (1 - z) * (1 - n**2)
    grad_r = grad_n * (h @ w[:, -n.shape[1] :]) * r * (1 - r)
    return gru_from_blocks(grad_r, grad_next * (h - n) * z * (1 - z), grad_n, grad_next * z, x, h, r, u, w)


@gru_step_backward.variant
def gru_by_autograd(grad_next, x, h, gates, u, w, b, d):
    import torch

    leaves = [torch.tensor(a, requires_grad=True) for a in (x, h, u, w, b, d)]
    tx, th, tu, tw, tb, td = leaves
    of_x, of_h = (tx @ tu + tb).chunk(3, dim=1), (th @ tw).chunk(3, dim=1)
    r, z = torch.sigmoid(of_x[0] + of_h[0]), torch.sigmoid(of_x[1] + of_h[1])
    n = torch.tanh(of_x[2] + r * (of_h[2] + td))
    loss = (((1 - z) * n + z * th) * torch.tensor(grad_next)).sum()
    return tuple(grad.numpy() for grad in torch.autograd.grad(loss, leaves))


@gru_step_backward.variant
def gru_backward_block_by_block(grad_next, x, h, gates, u, w, b, d):
    k = len(d)
    r, z, n = gates[:, :k], gates[:, k : 2 * k], gates[:, 2 * k :]
    gn = grad_next * (1 - z) * (1 - n) * (1 + n)
    gs = gn * r
    gr, gz = gs * (1 - r) * (h @ w[:, 2 * k :] + d), grad_next * (z - z**2) * (h - n)
    grad_x = gr @ u[:, :k].T + gz @ u[:, k : 2 * k].T + gn @ u[:, 2 * k :].T
    grad_h = z * grad_next + gr @ w[:, :k].T + gz @ w[:, k : 2 * k].T + gs @ w[:, 2 * k :].T
    grad_u, grad_w = np.hstack([x.T @ gr, x.T @ gz, x.T @ gn]), np.hstack([h.T @ gr, h.T @ gz, h.T @ gs])
    return grad_x, grad_h, grad_u, grad_w, np.hstack([gr, gz, gn]).sum(axis=0), gs.sum(axis=0)


@gru_step_backward.variant
def gru_backward_row_by_row(grad_next, x, h, gates, u, w, b, d):
    made = [np.zeros_like(a) for a in (x, h, u, w, b, d)]
    for row in range(len(x)):
        r, z, n = gates[row].reshape(3, -1)
        gn = grad_next[row] * (1 - z) * (1 - n**2)
        gr = gn * (h[row] @ w[:, 2 * len(d) :] + d) * r * (1 - r)
        gz = grad_next[row] * (h[row] - n) * z * (1 - z)
        at_x, at_h = np.concatenate([gr, gz, gn]), np.concatenate([gr, gz, gn * r])
        made[0][row], made[1][row] = u @ at_x, w @ at_h + grad_next[row] * z
        made[2] += np.outer(x[row], at_x)
        made[3] += np.outer(h[row], at_h)
        made[4] += at_x
        made[5] += gn * r
    return tuple(made)


# ---- highway_step ----------------------------------------------------------------------------------------------------
@exercise(ref.highway_step, points=2)
def highway_step(rng: np.random.Generator) -> Iterator[Case]:
    """Read one word and let it pass some layers with a road past each."""
    for label, batch, inputs, features, depth, size in [
        ("one layer", 2, 3, 2, 1, 1.0),
        ("two layers", 1, 2, 3, 2, 1.0),
        ("four layers, one feature", 4, 4, 1, 4, 1.0),
        ("inputs up to 1,000", 5, 2, 3, 3, 1000.0),
    ]:
        u = rng.normal(size=(inputs, 2 * features)) / np.sqrt(inputs)
        layers = [layer(rng, 1, features, 2)[1:] for _ in range(depth)]
        x, h = rng.uniform(-size, size, size=(batch, inputs)), np.tanh(rng.normal(size=(batch, features)))
        if size > 1:
            x, u = large_inputs(rng, u)
        yield case(label, x=x, h=h, u=u, layers=layers)


@highway_step.mistake(
    "The word is read again in every layer. xU belongs to the first layer alone; the others work on what they are handed."
)
def reads_in_every_layer(x, h, u, layers):
    for w, b in layers:
        n, t = np.split(h @ w + b + x @ u, 2, axis=1)
        h = sigmoid(t) * np.tanh(n) + (1 - sigmoid(t)) * h
    return h


@highway_step.mistake(
    "The road past each layer starts from the state at the beginning. Each layer mixes its n with **its own** input, what the "
    "layer before made."
)
def road_from_the_start(x, h, u, layers):
    first = h
    for k, (w, b) in enumerate(layers):
        n, t = np.split(h @ w + b + (x @ u if k == 0 else 0), 2, axis=1)
        h = sigmoid(t) * np.tanh(n) + (1 - sigmoid(t)) * first
    return h


@highway_step.mistake("The gate works the other way round: t goes with the new n, and 1 − t with what is carried past.")
def highway_gate_turned_round(x, h, u, layers):
    for k, (w, b) in enumerate(layers):
        n, t = np.split(h @ w + b + (x @ u if k == 0 else 0), 2, axis=1)
        h = (1 - sigmoid(t)) * np.tanh(n) + sigmoid(t) * h
    return h


@highway_step.mistake(
    "The road past the layer has no gate: h is added whole, so the state can grow without bound. Multiply it by 1 − t."
)
def road_without_a_gate(x, h, u, layers):
    for k, (w, b) in enumerate(layers):
        n, t = np.split(h @ w + b + (x @ u if k == 0 else 0), 2, axis=1)
        h = sigmoid(t) * np.tanh(n) + h
    return h


@highway_step.mistake("The halves are exchanged: the first half of the columns is n (tanh), the second is t (sigmoid).")
def halves_exchanged(x, h, u, layers):
    for k, (w, b) in enumerate(layers):
        t, n = np.split(h @ w + b + (x @ u if k == 0 else 0), 2, axis=1)
        h = sigmoid(t) * np.tanh(n) + (1 - sigmoid(t)) * h
    return h


@highway_step.variant
def first_layer_by_itself(x, h, u, layers):
    def mix(z, h):
        half = z.shape[1] // 2
        t = 1 / (1 + np.exp(-np.clip(z[:, half:], -700, 700)))
        return h + t * (np.tanh(z[:, :half]) - h)

    (w, b), *rest = layers
    h = mix(x @ u + h @ w + b, h)
    for w, b in rest:
        h = mix(h @ w + b, h)
    return h


@highway_step.variant
def highway_row_by_row(x, h, u, layers):
    made = []
    for word, state in zip(x, h, strict=True):
        extra = word @ u
        for w, b in layers:
            n, t = (extra + state @ w + b).reshape(2, -1)
            t = (1 + np.tanh(t / 2)) / 2
            state, extra = np.tanh(n) * t + state * (1 - t), 0 * extra
        made.append(state)
    return np.array(made)


@highway_step.variant
def highway_with_torch(x, h, u, layers):
    import torch

    extra, state = torch.tensor(x) @ torch.tensor(u), torch.tensor(h)
    for w, b in layers:
        n, t = (extra + state @ torch.tensor(w) + torch.tensor(b)).chunk(2, dim=1)
        state = torch.lerp(state, torch.tanh(n), torch.sigmoid(t))
        extra = torch.zeros_like(extra)
    return state.numpy()


# ---- tied_lm_gradients -----------------------------------------------------------------------------------------------
@exercise(ref.tied_lm_gradients, points=3, returns=("loss", "grads", "state"))
def tied_lm_gradients(rng: np.random.Generator) -> Iterator[Case]:
    """Send a language model's loss back to one table of word vectors that is used twice."""
    for label, vocabulary, features, mask in [
        ("two words", 4, 2, padding(2)),
        ("words that come again", 5, 3, padding(6, 6)),
        ("uneven lengths", 6, 3, padding(2, 4, 1)),
    ]:
        parameters = [p + 0.2 * rng.normal(size=p.shape) for p in new_lstm_lm(rng, vocabulary, features)]
        words, targets = rng.integers(vocabulary, size=(2, *mask.shape))
        state = (np.tanh(rng.normal(size=(len(mask), features))), rng.normal(size=(len(mask), features)))
        yield case(label, parameters=parameters, words=words, targets=targets, mask=mask, state=state)


def tied_parts(parameters, words, targets, mask, state):
    """Everything but the table's gradient: loss, the table's two shares, the others' gradients, the last state."""
    embeddings, u, w, b, bias = parameters
    x = embeddings[words]
    hidden, cells = lstm_forward(x, *state, mask, u, w, b)
    loss, grad_logits = masked_lm_loss(hidden @ embeddings.T + bias, targets, mask)
    grad_x, _, _, *others = backward(grad_logits @ embeddings, x, *state, mask, hidden, cells, u, w, b)
    others.append(grad_logits.sum(axis=(0, 1)))
    at_output = np.einsum("ntv,ntf->vf", grad_logits, hidden)
    return loss, at_output, grad_x, others, (hidden[:, -1], cells[:, -1])


@tied_lm_gradients.mistake(
    "The table gets only its gradient as word vectors. It was used a second time, as the output's weights: "
    "add Σ grad_logitsᵀ·hidden."
)
def as_word_vectors_only(parameters, words, targets, mask, state):
    loss, at_output, grad_x, others, last = tied_parts(parameters, words, targets, mask, state)
    grad = np.zeros_like(at_output)
    np.add.at(grad, words, grad_x)
    return loss, [grad, *others], last


@tied_lm_gradients.mistake(
    "The table gets only its gradient as the output's weights. It was used a second time, to look words up: add each place's "
    "grad_x to the row of its word."
)
def as_output_weights_only(parameters, words, targets, mask, state):
    loss, at_output, _, others, last = tied_parts(parameters, words, targets, mask, state)
    return loss, [at_output, *others], last


@tied_lm_gradients.mistake(
    "Where a word stands twice only its last place counts: `grad[words] += …` writes each row once. `np.add.at` adds up repeated "
    "indices."
)
def repeated_words_lost(parameters, words, targets, mask, state):
    loss, at_output, grad_x, others, last = tied_parts(parameters, words, targets, mask, state)
    at_output[words] += grad_x
    return loss, [at_output, *others], last


@tied_lm_gradients.mistake(
    "grad_x is added to the rows of the **targets**. What came back at a place belongs to the word that was read there."
)
def rows_of_the_targets(parameters, words, targets, mask, state):
    loss, at_output, grad_x, others, last = tied_parts(parameters, words, targets, mask, state)
    np.add.at(at_output, targets, grad_x)
    return loss, [at_output, *others], last


@tied_lm_gradients.mistake(
    "The piece begins with zeros instead of the state handed in: what was read before is forgotten at every border."
)
def tied_begins_with_zeros(parameters, words, targets, mask, state):
    zero = tuple(np.zeros_like(part) for part in state)
    return model_gradients(parameters, words, targets, mask, zero)


@tied_lm_gradients.mistake(
    "Padded places are read like words: the mask is used for the loss only. Hand it to lstm_forward and lstm_backward as well; "
    "there state and cell stay as they were."
)
def padding_is_read(parameters, words, targets, mask, state):
    embeddings, u, w, b, bias = parameters
    x, every = embeddings[words], np.ones_like(mask)
    hidden, cells = lstm_forward(x, *state, every, u, w, b)
    loss, grad_logits = masked_lm_loss(hidden @ embeddings.T + bias, targets, mask)
    grad_x, _, _, *others = backward(grad_logits @ embeddings, x, *state, every, hidden, cells, u, w, b)
    grad = np.einsum("ntv,ntf->vf", grad_logits, hidden)
    np.add.at(grad, words, grad_x)
    return loss, [grad, *others, grad_logits.sum(axis=(0, 1))], (hidden[:, -1], cells[:, -1])


@tied_lm_gradients.variant
def with_one_hot_words(parameters, words, targets, mask, state):
    embeddings, u, w, b, bias = parameters
    one_hot = np.eye(len(embeddings))[words]
    x = one_hot @ embeddings
    hidden, cells = lstm_forward(x, *state, mask, u, w, b)
    loss, grad_logits = masked_lm_loss(hidden @ embeddings.T + bias, targets, mask)
    back = backward(grad_logits @ embeddings, x, *state, mask, hidden, cells, u, w, b)
    grad = np.tensordot(grad_logits, hidden, ([0, 1], [0, 1])) + np.tensordot(one_hot, back[0], ([0, 1], [0, 1]))
    return loss, (grad, *back[3:], grad_logits.sum(axis=(0, 1))), (hidden[:, -1], cells[:, -1])


@tied_lm_gradients.variant
def word_by_word(parameters, words, targets, mask, state):
    loss, at_output, grad_x, others, last = tied_parts(parameters, words, targets, mask, state)
    grad = at_output.copy()
    for n, t in np.ndindex(words.shape):
        grad[words[n, t]] = grad[words[n, t]] + grad_x[n, t]
    return loss, [grad, *others], last


@tied_lm_gradients.variant
def tied_by_autograd(parameters, words, targets, mask, state):
    import torch

    leaves = [torch.tensor(p, requires_grad=True) for p in parameters]
    table, u, w, b, bias = leaves
    h, c = (torch.tensor(part) for part in state)
    nats = torch.zeros((), dtype=torch.float64)
    for t in range(words.shape[1]):
        i, f, g, o = (table[torch.tensor(words[:, t])] @ u + h @ w + b).chunk(4, dim=1)
        c_next, real = f.sigmoid() * c + i.sigmoid() * g.tanh(), torch.tensor(mask[:, t, None])
        h, c = torch.where(real, o.sigmoid() * c_next.tanh(), h), torch.where(real, c_next, c)
        log_p = torch.log_softmax(h @ table.T + bias, dim=1)
        nats = nats - (log_p[range(len(words)), targets[:, t]] * real[:, 0]).sum()
    loss = nats / int(mask.sum())
    grads = torch.autograd.grad(loss, leaves)
    return loss.item(), [grad.numpy() for grad in grads], (h.detach().numpy(), c.detach().numpy())


# ---- train_lstm_lm ---------------------------------------------------------------------------------------------------
@exercise(ref.train_lstm_lm, points=4, costly=True, returns=("embeddings", "u", "w", "b", "bias"))
def train_lstm_lm(rng: np.random.Generator) -> Iterator[Case]:
    """Train an LSTM language model until it carries a name across words that tell nothing."""
    for label, between, time in [("three words between", 3, 6), ("two words between", 2, 5)]:
        streams, _ = name_sentences(rng, 32, 161, between)
        text, floor = name_sentences(rng, 40, 301, between)
        yield case(
            label, streams=streams, vocabulary=8, time=time, epochs=15, rng=Seed(int(rng.integers(1 << 30)))
        ).hold(text=text, floor=floor, time=time)


@train_lstm_lm.criterion
def predicts_new_text(outputs, held):
    parts = [np.asarray(outputs[name], dtype=float) for name in ("embeddings", "u", "w", "b", "bias")]
    embeddings, u, w, b, bias = parts
    if [part.ndim for part in parts] != [2, 2, 2, 1, 1]:
        return "embeddings, u and w need two axes, b and bias one."
    features, shapes = embeddings.shape[1], [part.shape for part in parts]
    if shapes != [(8, features), (features, 4 * features), (features, 4 * features), (4 * features,), (8,)]:
        return f"embeddings, u, w, b, bias have the shapes {shapes}, which do not fit together with 8 words."
    if features > 200:
        return "more than 200 features are not judged; 24 are plenty for eight words."
    if not all(np.isfinite(part).all() for part in parts):
        return "some of the weights are not finite: the steps were too large and the training blew up."
    text, time = held["text"], held["time"]

    def perplexity(begin_anew=""):
        nats, h, c = 0.0, np.zeros((len(text), features)), np.zeros((len(text), features))
        for t in range(text.shape[1] - 1):
            if t % time == 0:
                h, c = h * ("state" not in begin_anew), c * ("cell" not in begin_anew)
            i, f, g, o = np.split(embeddings[text[:, t]] @ u + h @ w + b, 4, axis=1)
            i, f, g, o = 0.5 + 0.5 * np.tanh(i / 2), 0.5 + 0.5 * np.tanh(f / 2), np.tanh(g), 0.5 + 0.5 * np.tanh(o / 2)
            c = f * c + i * g
            h = o * np.tanh(c)
            logits = h @ embeddings.T + bias
            nats += float(np.sum(np.logaddexp.reduce(logits, axis=1) - logits[np.arange(len(text)), text[:, t + 1]]))
        return float(np.exp(min(nats / (len(text) * (text.shape[1] - 1)), 700.0)))

    reached, limit = perplexity(), 1.06 * held["floor"]
    if reached <= limit:
        return None
    sentence = (
        f"the perplexity on new text is {reached:.3g}; at most {limit:.3g} is needed "
        f"(the lowest possible one is {held['floor']:.3g}, and 8 is knowing nothing)."
    )
    # Which of them was not carried on in training? The first that does about as well as any.
    anew = {what: perplexity(what) for what in ("the cell", "the state", "state and cell")}
    what = next((what for what in anew if anew[what] <= 1.02 * min(anew.values())), "state and cell")
    if not anew[what] <= limit:
        return sentence
    return (
        f"{sentence} With {what} set to 0 before every {time} words it is {anew[what]:.3g}, so it was trained that way."
    )


def train_with(
    streams, time, epochs, rng, *, forget=1.0, carry=True, sign=1.0, chosen=slice(None), shift=1, last=1, lr=0.03
):
    """The training loop with one thing wrong, named by the caller."""
    parameters = new_lstm_lm(rng, 8, 24, forget)
    optimiser = Adam(parameters[chosen], lr)
    zero = np.zeros((len(streams), 24)), np.zeros((len(streams), 24))
    for epoch in range(epochs):
        optimiser.lr, state = lr * (1 - epoch / epochs), zero
        for start in range(0, streams.shape[1] - 1, time):
            piece = streams[:, start : start + time + last]
            words, targets = piece[:, :-1], piece[:, shift : piece.shape[1] - 1 + shift]
            if words.shape[1]:
                every = np.ones_like(words, dtype=bool)
                _, grads, after = model_gradients(parameters, words, targets, every, state)
                state = after if carry else zero
                optimiser.step([sign * grad for grad in clip_by_global_norm(grads[chosen], 1.0)[0]])
    return parameters


@train_lstm_lm.mistake(
    "Every piece begins with zeros, so the model never meets the states that running text gives it, and is lost there. State "
    "**and** cell go on from piece to piece; only the gradient stops."
)
def state_thrown_away(streams, vocabulary, time, epochs, rng):
    return train_with(streams, time, epochs, rng, carry=False)


@train_lstm_lm.mistake(
    "A piece holds `time` words with its last answer among them, so the word after every piece is never asked for. Cut `time` + 1 "
    "words: piece[:, :-1] is read, piece[:, 1:] is the answer."
)
def last_answers_never_learned(streams, vocabulary, time, epochs, rng):
    return train_with(streams, time, epochs, rng, last=0)


@train_lstm_lm.mistake(
    "The targets are the words themselves: the model learns to repeat what it reads. The answer to each word is the word "
    "after it."
)
def repeats_what_it_reads(streams, vocabulary, time, epochs, rng):
    return train_with(streams, time, epochs, rng, shift=0)


@train_lstm_lm.mistake(
    "The steps climb the loss: the gradient's sign was turned round before the optimiser subtracts it."
)
def climbs(streams, vocabulary, time, epochs, rng):
    return train_with(streams, time, epochs, rng, sign=-1.0)


@train_lstm_lm.mistake(
    "Only the table and the bias of the output learn; U, W and b of the gates stay as they were drawn. Hand all five parameters to "
    "the optimiser."
)
def gates_do_not_learn(streams, vocabulary, time, epochs, rng):
    return train_with(streams, time, epochs, rng, chosen=slice(None, None, 4))


@train_lstm_lm.mistake(
    "The text is read once. One reading teaches which words come where; to find out that a name comes back takes several."
)
def one_epoch_only(streams, vocabulary, time, epochs, rng):
    return train_with(streams, time, 1, rng)


@train_lstm_lm.variant
def without_clipping(streams, vocabulary, time, epochs, rng):
    parameters = new_lstm_lm(rng, vocabulary, 24)
    optimiser = Adam(parameters, 0.03)
    starts = list(range(0, streams.shape[1] - 1, time))
    for count in range(epochs * len(starts)):
        start = starts[count % len(starts)]
        if start == 0:
            state = np.zeros((2, len(streams), 24))
        words, targets = streams[:, start : start + time], streams[:, start + 1 : start + time + 1]
        words = words[:, : targets.shape[1]]
        optimiser.lr = 0.03 * (1 - 0.9 * count / (epochs * len(starts)))
        _, grads, state = model_gradients(parameters, words, targets, np.full(words.shape, True), state)
        optimiser.step(grads)
    return tuple(parameters)


@train_lstm_lm.variant
def with_a_falling_rate(streams, vocabulary, time, epochs, rng):
    parameters = new_lstm_lm(rng, vocabulary, 28)
    optimiser = Adam(parameters, lr=0.03)
    for epoch in range(epochs):
        optimiser.lr, done = 0.03 * 0.85**epoch, 0
        state = np.zeros((len(streams), 28)), np.zeros((len(streams), 28))
        while done < streams.shape[1] - 1:
            piece = streams[:, done : done + time + 1]
            mask = np.ones((len(streams), piece.shape[1] - 1), dtype=bool)
            _, grads, state = model_gradients(parameters, piece[:, :-1], piece[:, 1:], mask, state)
            optimiser.step(clip_by_global_norm(grads, 2.0)[0])
            done += time
    return parameters


@train_lstm_lm.variant
def with_wider_gates(streams, vocabulary, time, epochs, rng):
    parameters = new_lstm_lm(rng, vocabulary, 24, forget_bias=2.0)
    optimiser = Adam(parameters, 0.04)
    read, answers = streams[:, :-1], streams[:, 1:]
    cuts = range(time, read.shape[1], time)
    pieces = list(zip(np.split(read, cuts, axis=1), np.split(answers, cuts, axis=1), strict=True))
    for epoch in range(epochs):
        state = np.zeros((len(streams), 24)), np.zeros((len(streams), 24))
        if epoch >= epochs // 2:
            optimiser.lr = 0.01
        for words, targets in pieces:
            _, grads, state = model_gradients(parameters, words, targets, np.full(words.shape, True), state)
            optimiser.step(clip_by_global_norm(grads, 0.5)[0])
    return parameters


# ---- graded by a person ----------------------------------------------------------------------------------------------
why_forget_gates_start_open = explanation(
    "why_forget_gates_start_open",
    points=3,
    question="""
    1. Follow only the road from cell to cell. Write ∂c_T/∂c_t along it as a product, and say what it is for a lag of 20 if every
       forget gate stands at ½, and if every one stands at σ(1) = 0.731.
    2. At the start of training all weights are small, so the gates stand where their biases put them. Why does the forget
       gate's bias start at 1 (or more) and not at 0? What would a model with closed forget gates be unable to find out?
    3. A forget gate at exactly 1 for ever would keep the gradient whole. Why is it not left at 1, that is, why was the gate
       added to the LSTM of 1997, which had none?
    """,
    rubric=(
        (
            1,
            "the product of the forget gates f_{t+1} ⊙ … ⊙ f_T, element by element; ½²⁰ ≈ 10⁻⁶, 0.731²⁰ ≈ 0.002",
        ),
        (
            1,
            "at bias 0 the gates stand at ½ and the gradient over long lags is too small beside the near ones for the network to "
            "notice what it should have kept; to learn to open the gate it would need just that gradient",
        ),
        (
            1,
            "without forgetting the cell only adds up: it grows over a long text, tanh saturates, old things never make room "
            "for new ones; the gate lets it empty itself, for example when a sentence ends",
        ),
    ),
    answer="""
    1. From c_k = f_k ⊙ c_{k−1} + i_k ⊙ g_k each step contributes the factor f_k, so along this road ∂c_T/∂c_t is the
       element-wise product f_T ⊙ f_{T−1} ⊙ … ⊙ f_{t+1}. Twenty steps give 0.5²⁰ ≈ 0.000001 and 0.731²⁰ ≈ 0.0019.
    2. With small weights, f ≈ σ(bias). With 0 half of everything is lost at each step, forwards and backwards, and after
       twenty steps a millionth arrives. That something old would have been useful can then hardly be seen in the gradient,
       and it is this gradient that would have to open the gate. Begun at 1, the network remembers first and learns what to
       forget, for which the gradient is there.
    3. A cell that never forgets is a sum over the whole text. It grows, its tanh sits at ±1 and passes no gradient, and what
       belongs to an earlier sentence disturbs the present one. The forget gate lets the network empty the cell where
       something new begins.
    """,
)
