"""Exercises of chapter 12: encodings, attention and its gradient, causal heads, norm, block, cache, a trained model."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from autograder.exercise import Case, Seed, case, exercise, explanation
from solutions import attention as ref
from solutions.attention import (
    echo_text,
    layer_norm,
    merge_heads,
    new_transformer_lm,
    position_wise,
    split_heads,
    transformer_lm_gradients,
)
from solutions.optimisers import Adam, clip_by_global_norm

#: What `new_transformer_lm` gives, by name.
PARAMETERS = (
    *("embeddings", "positions", "gain1", "bias1", "wq", "wk", "wv", "wo"),
    *("gain2", "bias2", "w1", "b1", "w2", "b2", "gain", "bias"),
)


def square(rng: np.random.Generator, features: int, count: int) -> list[np.ndarray]:
    """Matrices that keep the size of what they multiply."""
    return [rng.normal(size=(features, features)) / np.sqrt(features) for _ in range(count)]


def small_attention(rng: np.random.Generator, queries: int) -> Iterator[tuple[str, Any, Any, Any, Any]]:
    """Label, q, k, v and mask; the first with so many queries and a mask that hides nothing."""
    padding = np.arange(5) < np.array([5, 3])[:, None]
    blind = np.array([[True] * 4, [False] * 4, [False, True, True, False]])
    for label, lead, n, keys, features, values, mask in [
        ("nothing masked", (), queries, 3, 2, 4, np.ones((queries, 3), bool)),
        ("a causal mask", (2,), 4, 4, 3, 2, np.tri(4, dtype=bool)),
        ("heads and padding", (2, 3), 3, 5, 4, 2, padding[:, None, None]),
        ("a query that sees nothing", (2,), 3, 4, 3, 2, blind),
    ]:
        q, k, v = (rng.normal(size=(*lead, *of)) for of in ((n, features), (keys, features), (keys, values)))
        yield label, q, k, v, mask


# ---- sinusoidal_encodings --------------------------------------------------------------------------------------------
@exercise(ref.sinusoidal_encodings, points=2)
def sinusoidal_encodings(rng: np.random.Generator) -> Iterator[Case]:
    """Give every position a vector of sines and cosines."""
    yield case("the first places", positions=np.arange(4), features=6)
    yield case("far places", positions=rng.integers(100, 5000, size=3), features=8)
    yield case("an odd number of features", positions=rng.integers(1, 50, size=4), features=5)
    yield case("one feature", positions=np.array([0, 2, 7]), features=1)


@sinusoidal_encodings.mistake(
    "Sine and cosine of a pair turn at different speeds: a cosine has its own i in the exponent. Feature i and the sine before it "
    "share one angle; the exponent of an odd i is (i − 1)/features."
)
def own_speed_for_cosines(positions, features):
    i = np.arange(features)
    angles = positions[:, None] / 10000 ** (i / features)
    return np.where(i % 2 == 0, np.sin(angles), np.cos(angles))


@sinusoidal_encodings.mistake(
    "Sines and cosines have changed places: even features are sines, beginning with feature 0."
)
def cosines_first(positions, features):
    i = np.arange(features)
    angles = positions[:, None] / 10000 ** ((i - i % 2) / features)
    return np.where(i % 2 == 0, np.cos(angles), np.sin(angles))


@sinusoidal_encodings.mistake(
    "The exponent is twice too large. Where a paper writes 2i/d, its i counts pairs; yours counts features already."
)
def twice_the_exponent(positions, features):
    i = np.arange(features)
    angles = positions[:, None] / 10000 ** (2 * (i - i % 2) / features)
    return np.where(i % 2 == 0, np.sin(angles), np.cos(angles))


@sinusoidal_encodings.mistake(
    "All sines stand in front and all cosines behind. Here they alternate: sine, cosine, sine, cosine, …"
)
def halves(positions, features):
    pairs = (features + 1) // 2
    angles = positions[:, None] / 10000 ** (2 * np.arange(pairs) / features)
    return np.hstack([np.sin(angles), np.cos(angles)])[:, :features]


@sinusoidal_encodings.mistake(
    "The places are counted from 0 instead of read: p is what stands in `positions`, and that need not be 0, 1, 2, …"
)
def counted_from_zero(positions, features):
    i = np.arange(features)
    angles = np.arange(len(positions))[:, None] / 10000 ** ((i - i % 2) / features)
    return np.where(i % 2 == 0, np.sin(angles), np.cos(angles))


@sinusoidal_encodings.variant
def number_by_number(positions, features):
    made = np.zeros((len(positions), features))
    for row, p in enumerate(positions):
        for i in range(features):
            made[row, i] = (
                np.sin(p / 10000 ** (i / features)) if i % 2 == 0 else np.cos(p / 10000 ** ((i - 1) / features))
            )
    return made


@sinusoidal_encodings.variant
def into_every_second_column(positions, features):
    made = np.empty((len(positions), features))
    speeds = np.exp(-np.log(10000.0) * np.arange(0, features, 2) / features)
    made[:, 0::2] = np.sin(np.outer(positions, speeds))
    made[:, 1::2] = np.cos(np.outer(positions, speeds[: features // 2]))
    return made


@sinusoidal_encodings.variant
def cosine_as_a_shifted_sine(positions, features):
    i = np.arange(features)
    return np.sin(positions[:, None] * 10000.0 ** (-2 * (i // 2) / features) + (i % 2) * np.pi / 2)


# ---- attention -------------------------------------------------------------------------------------------------------
@exercise(ref.attention, points=4, returns=("y", "weights"))
def attention(rng: np.random.Generator) -> Iterator[Case]:
    """Take a softmax over the keys that may be seen, then a weighted mean of the values."""
    for label, q, k, v, mask in small_attention(rng, queries=1):
        yield case(label, q=q, k=k, v=v, mask=mask)
    k = np.array([[0.5, 0.0], [0.499, 0.3], [-0.5, 0.1]])
    q = np.array([[1990.0, 1.0], [-1990.0, 1.0]]) * np.sqrt(2)
    v = rng.normal(size=(3, 2))
    yield case("scores near 1,000", q=q, k=k, v=v, mask=np.ones((2, 3), bool))
    unseen = np.array([[False, True, True], [True, True, False]])
    yield case("large scores behind the mask", q=q, k=k, v=v, mask=unseen)


@attention.mistake(
    "The scores are not scaled. Divide q · k by the root of the number of features of a query: else the softmax saturates as the "
    "vectors get longer."
)
def not_scaled(q, k, v, mask):
    s = np.where(mask, q @ k.mT, -np.inf)
    top = s.max(axis=-1, keepdims=True)
    e = np.exp(s - np.where(np.isfinite(top), top, 0.0))
    weights = e / np.maximum(e.sum(axis=-1, keepdims=True), 1e-300)
    return weights @ v, weights


@attention.mistake(
    "The largest score is looked for among masked keys, too. Where it lies far above those that are seen, their exponentials are "
    "all 0, and the query gets no weights. Mask first, then take the largest."
)
def largest_of_all_keys(q, k, v, mask):
    s = q @ k.mT / np.sqrt(q.shape[-1])
    e = np.where(mask, np.exp(s - s.max(axis=-1, keepdims=True)), 0.0)
    total = e.sum(axis=-1, keepdims=True)
    weights = e / np.where(total > 0, total, 1.0)
    return weights @ v, weights


@attention.mistake(
    "The softmax runs over the queries. Each query shares out its own attention: every row of the weights adds up to 1, "
    "so the axis is the last one."
)
def softmax_over_queries(q, k, v, mask):
    s = np.where(mask, q @ k.mT / np.sqrt(q.shape[-1]), -np.inf)
    top = s.max(axis=-2, keepdims=True)
    e = np.exp(s - np.where(np.isfinite(top), top, 0.0))
    weights = e / np.maximum(e.sum(axis=-2, keepdims=True), 1e-300)
    return weights @ v, weights


@attention.mistake(
    "The mask comes after the softmax, so what masked keys took is lost and the rows add up to less than 1. Mask the scores, with "
    "−∞, before the softmax."
)
def masked_after_the_softmax(q, k, v, mask):
    s = q @ k.mT / np.sqrt(q.shape[-1])
    e = np.exp(s - s.max(axis=-1, keepdims=True))
    weights = e / e.sum(axis=-1, keepdims=True) * mask
    return weights @ v, weights


@attention.mistake(
    "Masked scores are set to 0, and a score of 0 still gets the weight e⁰ = 1 before the division. Only −∞ gives 0."
)
def masked_with_zeros(q, k, v, mask):
    s = np.where(mask, q @ k.mT / np.sqrt(q.shape[-1]), 0.0)
    e = np.exp(s - s.max(axis=-1, keepdims=True))
    weights = e / e.sum(axis=-1, keepdims=True)
    return weights @ v, weights


@attention.mistake(
    "A query that sees no key gets equal weights for all: a large negative number instead of −∞ makes all scores of its row alike. "
    "Its weights should be 0."
)
def equal_weights_for_nothing(q, k, v, mask):
    s = np.where(mask, q @ k.mT / np.sqrt(q.shape[-1]), -1e9)
    e = np.exp(s - s.max(axis=-1, keepdims=True))
    weights = e / e.sum(axis=-1, keepdims=True)
    return weights @ v, weights


@attention.variant
def query_by_query(q, k, v, mask):
    lead, (n, m) = q.shape[:-2], (q.shape[-2], k.shape[-2])
    mask = np.broadcast_to(mask, (*lead, n, m))
    y, weights = np.zeros((*lead, n, v.shape[-1])), np.zeros((*lead, n, m))
    for at in np.ndindex(*lead, n):
        seen = np.flatnonzero(mask[at])
        if len(seen):
            s = k[at[:-1]][seen] @ q[at] / len(q[at]) ** 0.5
            p = np.exp(s - s.max())
            weights[at][seen] = p / p.sum()
            y[at] = weights[at][seen] @ v[at[:-1]][seen]
    return y, weights


@attention.variant
def with_einsum_and_logsumexp(q, k, v, mask):
    s = np.einsum("...qf,...kf->...qk", q, k) / np.sqrt(k.shape[-1])
    s = np.where(mask, s, -1e30)
    log_p = s - np.logaddexp.reduce(s, axis=-1, keepdims=True)
    weights = np.where(mask, np.exp(log_p), 0.0)
    return np.einsum("...qk,...kv->...qv", weights, v), weights


@attention.variant
def scaled_queries_and_a_penalty(q, k, v, mask):
    s = (q * q.shape[-1] ** -0.5) @ np.swapaxes(k, -1, -2)
    low = np.finfo(float).min
    e = np.where(mask, np.exp(s - np.max(s, axis=-1, keepdims=True, where=mask, initial=low / 4)), 0.0)
    total = e.sum(-1)[..., None]
    weights = np.divide(e, total, out=np.zeros_like(e), where=total > 0)
    return weights @ v, weights


# ---- attention_backward ----------------------------------------------------------------------------------------------
@exercise(ref.attention_backward, points=4, returns=("grad_q", "grad_k", "grad_v"))
def attention_backward(rng: np.random.Generator) -> Iterator[Case]:
    """Send a gradient backwards through scaled dot-product attention."""
    for label, q, k, v, mask in small_attention(rng, queries=2):
        y, weights = ref.attention(q, k, v, mask)
        yield case(label, grad_y=rng.normal(size=y.shape), q=q, k=k, v=v, mask=mask, weights=weights)


attention_backward.gradient_of(ref.attended, wrt=("q", "k", "v"), upstream="grad_y")


@attention_backward.mistake(
    "The scale is missing on the way back: the scores were q · k/√d, so their gradient passes the same 1/√d to q and k."
)
def scale_forgotten(grad_y, q, k, v, mask, weights):
    g = grad_y @ v.mT
    g = weights * (g - (weights * g).sum(axis=-1, keepdims=True))
    return g @ k, g.mT @ q, weights.mT @ grad_y


@attention_backward.mistake(
    "The softmax is passed as if each weight hung on its own score alone. A row of weights shares a sum: raising one lowers the "
    "others, which takes the weighted mean of the gradient off."
)
def softmax_entry_by_entry(grad_y, q, k, v, mask, weights):
    g = weights * (grad_y @ v.mT) / np.sqrt(q.shape[-1])
    return g @ k, g.mT @ q, weights.mT @ grad_y


@attention_backward.mistake(
    "The softmax is passed with p(1 − p), the diagonal of its Jacobian. The other entries, −pᵢpⱼ, count as well: take off the "
    "weighted mean over the row."
)
def diagonal_alone(grad_y, q, k, v, mask, weights):
    g = weights * (1 - weights) * (grad_y @ v.mT) / np.sqrt(q.shape[-1])
    return g @ k, g.mT @ q, weights.mT @ grad_y


@attention_backward.mistake(
    "The weighted mean is added. Raising one weight of a row lowers the others, so the mean is taken off."
)
def mean_added(grad_y, q, k, v, mask, weights):
    g = grad_y @ v.mT
    g = weights * (g + (weights * g).sum(axis=-1, keepdims=True)) / np.sqrt(q.shape[-1])
    return g @ k, g.mT @ q, weights.mT @ grad_y


@attention_backward.mistake(
    "A plain mean is taken off instead of the weighted one. The mean over the row counts each entry by its attention weight."
)
def plain_mean(grad_y, q, k, v, mask, weights):
    g = grad_y @ v.mT
    g = weights * (g - g.mean(axis=-1, keepdims=True)) / np.sqrt(q.shape[-1])
    return g @ k, g.mT @ q, weights.mT @ grad_y


@attention_backward.mistake(
    "The gradients of q and k hold their own vectors: a score is q · k, so ∂score/∂q is k, and ∂score/∂k is q."
)
def their_own_vectors(grad_y, q, k, v, mask, weights):
    g = grad_y @ v.mT
    g = weights * (g - (weights * g).sum(axis=-1, keepdims=True)) / np.sqrt(q.shape[-1])
    return g.sum(axis=-1, keepdims=True) * q, g.sum(axis=-2)[..., None] * k, weights.mT @ grad_y


@attention_backward.variant
def with_the_whole_jacobian(grad_y, q, k, v, mask, weights):
    n = weights.shape[-1]
    jacobian = weights[..., :, None] * np.eye(n) - weights[..., :, None] * weights[..., None, :]
    grad_weights = np.einsum("...qv,...kv->...qk", grad_y, v)
    g = np.einsum("...qij,...qj->...qi", jacobian, grad_weights) * q.shape[-1] ** -0.5
    return (
        np.einsum("...qk,...kf->...qf", g, k),
        np.einsum("...qk,...qf->...kf", g, q),
        np.einsum("...qk,...qv->...kv", weights, grad_y),
    )


@attention_backward.variant
def mean_through_y(grad_y, q, k, v, mask, weights):
    mean = (grad_y * (weights @ v)).sum(axis=-1)[..., None]
    g = np.where(mask, weights * (grad_y @ np.swapaxes(v, -1, -2) - mean), 0.0)
    scale = np.sqrt(k.shape[-1])
    return g @ (k / scale), np.swapaxes(g, -1, -2) @ (q / scale), np.swapaxes(weights, -1, -2) @ grad_y


@attention_backward.variant
def one_query_at_a_time(grad_y, q, k, v, mask, weights):
    grad_q, grad_k, grad_v = np.zeros_like(q), np.zeros_like(k), np.zeros_like(v)
    for at in np.ndindex(*q.shape[:-1]):
        lead, p = at[:-1], weights[at]
        grad_p = v[lead] @ grad_y[at]
        grad_s = p * (grad_p - p @ grad_p) / np.sqrt(q.shape[-1])
        grad_q[at] = grad_s @ k[lead]
        grad_k[lead] += np.outer(grad_s, q[at])
        grad_v[lead] += np.outer(p, grad_y[at])
    return grad_q, grad_k, grad_v


# ---- causal_self_attention -------------------------------------------------------------------------------------------
def seeing(mask, x, wq, wk, wv, wo, heads):
    """Self-attention whose queries see what a mask says, whatever that is."""
    q, k, v = (split_heads(x @ w, heads) for w in (wq, wk, wv))
    return merge_heads(ref.attention(q, k, v, mask)[0]) @ wo


def astray(x, real, wq, wk, wv, wo, heads):
    """Answers that come of mixed-up axes, and those of padding that is read in another way."""
    earlier, keys, queries = np.tri(x.shape[1], dtype=bool), real[:, None, None], real[:, None, :, None]

    def cut_without_a_swap(z):
        return z.reshape(len(z), heads, x.shape[1], -1)

    def joined_without_a_swap(z):
        return z.reshape(x.shape)

    def mixed_up(split, merge):
        q, k, v = (split(x @ w) for w in (wq, wk, wv))
        return merge(ref.attention(q, k, v, seen)[0]) @ wo

    def answer(mask):
        return seeing(mask, x, wq, wk, wv, wo, heads)

    seen = earlier & keys
    axes = [
        mixed_up(lambda z: split_heads(z, heads), joined_without_a_swap),
        mixed_up(cut_without_a_swap, merge_heads),
        mixed_up(cut_without_a_swap, joined_without_a_swap),
    ]
    padding = [
        answer(earlier & queries),
        answer(seen & queries),
        answer(seen) * real[..., None],
        answer(earlier & (keys | np.eye(x.shape[1], dtype=bool))),
    ]
    return np.stack(axes), np.stack(padding)


@exercise(ref.causal_self_attention, points=4)
def causal_self_attention(rng: np.random.Generator) -> Iterator[Case]:
    """Let every place, a padded one too, look at the real places up to and including its own, with several heads side by side."""
    for label, features, heads, real, changed in [
        ("one head", 3, 1, np.ones((1, 4), bool), 2),
        ("two heads", 4, 2, np.ones((1, 3), bool), 2),
        ("padding in front", 4, 2, np.array([[False, True, True]]), 2),
        ("three heads, padding behind", 6, 3, np.arange(5) < np.array([5, 4])[:, None], 3),
        ("longer texts", 4, 2, np.arange(6)[::-1] < np.array([6, 3])[:, None], 5),
    ]:
        wq, wk, wv, wo = square(rng, features, 4)
        texts = rng.normal(size=(*real.shape, features))
        again = texts.copy()
        again[:, changed] = rng.normal(size=(len(real), features))
        # Each text stands there twice; the second time one token is another one.
        given: dict[str, Any] = {"x": np.concatenate([texts, again]), "real": np.concatenate([real, real])}
        given |= {"wq": wq, "wk": wk, "wv": wv, "wo": wo, "heads": heads}
        axes, padding = astray(**given)
        yield case(f"{label}; the second half of x is the first with another token {changed}", **given).hold(
            y=ref.causal_self_attention(**given), changed=changed, axes=axes, padding=padding
        )


@causal_self_attention.criterion
def looks_back_only(outputs, held):
    y, want, at = np.asarray(outputs["result"], dtype=float), held["y"], held["changed"]
    if y.shape != want.shape:
        return f"the result has shape {y.shape}; {want.shape} was expected."
    if not np.isfinite(y).all():
        return "the result holds NaN or infinite numbers: a place that sees no real word gives 0/0 in the softmax."

    def differs(other):
        return np.abs(y - other) > 1e-7 * np.abs(other) + 1e-9 * np.abs(other).max()

    wrong = differs(want)
    if not wrong.any():
        return None
    if any(not differs(other).any() for other in held["axes"]):
        return (
            "heads and places are mixed up. A reshape keeps the numbers in their order; so the axes of heads and time must be "
            "swapped after the features are cut, and swapped back before they are joined, as in split_heads and merge_heads."
        )
    if any(not differs(other).any() for other in held["padding"]):
        return (
            "padding is read in another way. `real` says which keys may be looked at, and nothing else: a padded place looks too, "
            "at the real places up to its own, and never at padding, itself included."
        )
    texts = len(y) // 2
    for t in range(at):
        moved = float(np.abs(y[texts:, t] - y[:texts, t]).max())
        if moved > 1e-9 * max(1.0, float(np.abs(y).max())):
            return (
                f"position {t} reads token {at}: another token {at} moved the output of position {t} by {moved:.3g} "
                f"(positions count from 0; text {texts} is text 0 with that token changed). A place may look at itself and at "
                "earlier places only."
            )
    n, t, f = (int(i) for i in np.argwhere(wrong)[0])
    return (
        f"the result is {y[n, t, f]:.6g} at {[n, t, f]}; {want[n, t, f]:.6g} was expected. "
        f"{int(wrong.sum())} of {wrong.size} entries differ."
    )


@causal_self_attention.mistake(
    "There is no causal mask: every position reads the whole text, the future too. Position t may look at positions 0 … t; np.tril "
    "of a matrix of ones says so."
)
def reads_the_future(x, real, wq, wk, wv, wo, heads):
    return seeing(real[:, None, None], x, wq, wk, wv, wo, heads)


@causal_self_attention.mistake(
    "The mask is the wrong way round: positions look at themselves and at **later** ones. Rows are queries; row t is True up to t."
)
def looks_forward(x, real, wq, wk, wv, wo, heads):
    return seeing(
        np.triu(np.ones((x.shape[1], x.shape[1]), dtype=bool)) & real[:, None, None], x, wq, wk, wv, wo, heads
    )


@causal_self_attention.mistake(
    "The mask leaves the diagonal out: a position does not see its own word, the first sees nothing. The word at t has been read "
    "when the next one is predicted."
)
def blind_for_itself(x, real, wq, wk, wv, wo, heads):
    return seeing(np.tri(x.shape[1], k=-1, dtype=bool) & real[:, None, None], x, wq, wk, wv, wo, heads)


@causal_self_attention.mistake(
    "Padding is looked at like words: only the causal mask is used. A key counts if it is earlier **and** real."
)
def looks_at_padding(x, real, wq, wk, wv, wo, heads):
    return seeing(np.tri(x.shape[1], dtype=bool), x, wq, wk, wv, wo, heads)


@causal_self_attention.mistake(
    "All features make one single head: nothing is split. Each head has its own scores, from its own features / heads features, "
    "and its own softmax."
)
def a_single_head(x, real, wq, wk, wv, wo, heads):
    q, k, v = x @ wq, x @ wk, x @ wv
    mask = np.tri(x.shape[1], dtype=bool) & real[:, None]
    s = np.where(mask, q @ k.mT / np.sqrt(q.shape[-1]), -1e9)
    e = np.exp(s - s.max(axis=-1, keepdims=True)) * mask
    return e / np.maximum(e.sum(axis=-1, keepdims=True), 1e-300) @ v @ wo


@causal_self_attention.mistake("The last product is missing: W_O mixes what the heads found.")
def without_the_last_product(x, real, wq, wk, wv, wo, heads):
    mask = np.tri(x.shape[1], dtype=bool) & real[:, None, None]
    return seeing(mask, x, wq, wk, wv, np.eye(x.shape[2]), heads)


@causal_self_attention.variant
def head_by_head(x, real, wq, wk, wv, wo, heads):
    width, y = x.shape[2] // heads, np.zeros_like(x)
    for h in range(heads):
        cut = slice(h * width, (h + 1) * width)
        q, k, v = x @ wq[:, cut], x @ wk[:, cut], x @ wv[:, cut]
        s = np.einsum("nqf,nkf->nqk", q, k) / np.sqrt(width)
        mask = np.tril(np.ones(s.shape[1:], dtype=bool))[None] & real[:, None, :]
        e = np.where(mask, np.exp(s - s.max(axis=2, keepdims=True)), 0.0)
        total = e.sum(axis=2, keepdims=True)
        y += np.where(total > 0, e / np.where(total > 0, total, 1), 0) @ v @ wo[cut]
    return y


@causal_self_attention.variant
def place_by_place(x, real, wq, wk, wv, wo, heads):
    batch, time, features = x.shape
    y = np.zeros((batch, time, heads, features // heads))
    for n in range(batch):
        for t in range(time):
            seen = [j for j in range(t + 1) if real[n, j]]
            if not seen:
                continue
            q = (x[n, t] @ wq).reshape(heads, -1)
            k, v = ((x[n, seen] @ w).reshape(len(seen), heads, -1) for w in (wk, wv))
            s = np.einsum("hf,khf->hk", q, k) / np.sqrt(q.shape[1])
            p = np.exp(s - s.max(axis=1, keepdims=True))
            y[n, t] = np.einsum("hk,khf->hf", p / p.sum(axis=1, keepdims=True), v)
    return y.reshape(batch, time, features) @ wo


@causal_self_attention.variant
def one_product_for_all_three(x, real, wq, wk, wv, wo, heads):
    batch, time, features = x.shape
    made = (x @ np.concatenate([wq, wk, wv], axis=1)).reshape(batch, time, 3, heads, features // heads)
    q, k, v = made.transpose(2, 0, 3, 1, 4)
    allowed = (np.arange(time)[:, None] >= np.arange(time)) & real[:, None, None, :]
    s = q @ k.swapaxes(2, 3) / np.sqrt(features // heads) + np.where(allowed, 0.0, -np.inf)
    top = s.max(axis=3, keepdims=True)
    e = np.exp(s - np.where(top == -np.inf, 0.0, top))
    y = e @ v / np.maximum(e.sum(axis=3, keepdims=True), np.finfo(float).tiny)
    return y.transpose(0, 2, 1, 3).reshape(batch, time, features) @ wo


# ---- layer_norm_backward ---------------------------------------------------------------------------------------------
@exercise(ref.layer_norm_backward, points=3, returns=("grad_x", "grad_gain", "grad_bias"))
def layer_norm_backward(rng: np.random.Generator) -> Iterator[Case]:
    """Send a gradient backwards through layer norm."""
    for label, shape, eps in [
        ("one row", (1, 4), 1e-5),
        ("some rows", (5, 3), 1e-5),
        ("batch and time", (2, 3, 4), 1e-5),
        ("a large eps", (4, 3), 0.5),
    ]:
        x = 2 * rng.normal(size=shape) + 1
        gain, bias = rng.normal(size=(2, shape[-1]))
        yield case(label, grad_y=rng.normal(size=shape), x=x, gain=gain, bias=bias, eps=eps)


layer_norm_backward.gradient_of(ref.layer_norm, wrt=("x", "gain", "bias"), upstream="grad_y")


@layer_norm_backward.mistake(
    "Mean and variance are treated as constants. Both were computed from x, so a gradient goes back through them: two more terms."
)
def constants(grad_y, x, gain, bias, eps=1e-5):
    root = np.sqrt(x.var(axis=-1, keepdims=True) + eps)
    x_hat, places = (x - x.mean(axis=-1, keepdims=True)) / root, tuple(range(x.ndim - 1))
    return grad_y * gain / root, (grad_y * x_hat).sum(axis=places), grad_y.sum(axis=places)


@layer_norm_backward.mistake("The road through the variance is missing: take off x̂ times the mean of grad · x̂, too.")
def without_the_variance(grad_y, x, gain, bias, eps=1e-5):
    root = np.sqrt(x.var(axis=-1, keepdims=True) + eps)
    x_hat, places = (x - x.mean(axis=-1, keepdims=True)) / root, tuple(range(x.ndim - 1))
    g = grad_y * gain
    return (g - g.mean(axis=-1, keepdims=True)) / root, (grad_y * x_hat).sum(axis=places), grad_y.sum(axis=places)


@layer_norm_backward.mistake(
    "The road through the mean is missing: take the mean of the gradient over the features off, too."
)
def without_the_mean(grad_y, x, gain, bias, eps=1e-5):
    root = np.sqrt(x.var(axis=-1, keepdims=True) + eps)
    x_hat, places = (x - x.mean(axis=-1, keepdims=True)) / root, tuple(range(x.ndim - 1))
    g = grad_y * gain
    grad_x = (g - x_hat * (g * x_hat).mean(axis=-1, keepdims=True)) / root
    return grad_x, (grad_y * x_hat).sum(axis=places), grad_y.sum(axis=places)


@layer_norm_backward.mistake(
    "The gain is missing on the way back to x: y = gain · x̂ + bias, so grad_y reaches x̂ times the gain."
)
def gain_left_out(grad_y, x, gain, bias, eps=1e-5):
    root = np.sqrt(x.var(axis=-1, keepdims=True) + eps)
    x_hat, places = (x - x.mean(axis=-1, keepdims=True)) / root, tuple(range(x.ndim - 1))
    g = grad_y
    grad_x = (g - g.mean(axis=-1, keepdims=True) - x_hat * (g * x_hat).mean(axis=-1, keepdims=True)) / root
    return grad_x, (grad_y * x_hat).sum(axis=places), grad_y.sum(axis=places)


@layer_norm_backward.mistake(
    "ε is missing on the way back: the norm divided by √(σ² + ε), so its gradient divides by the same root, and x̂ is made with it."
)
def eps_forgotten(grad_y, x, gain, bias, eps=1e-5):
    root = np.sqrt(x.var(axis=-1, keepdims=True))
    x_hat, places = (x - x.mean(axis=-1, keepdims=True)) / root, tuple(range(x.ndim - 1))
    g = grad_y * gain
    grad_x = (g - g.mean(axis=-1, keepdims=True) - x_hat * (g * x_hat).mean(axis=-1, keepdims=True)) / root
    return grad_x, (grad_y * x_hat).sum(axis=places), grad_y.sum(axis=places)


@layer_norm_backward.mistake("`grad_gain` is made with x. The gain multiplied the normed features, x̂.")
def gain_reads_x(grad_y, x, gain, bias, eps=1e-5):
    root = np.sqrt(x.var(axis=-1, keepdims=True) + eps)
    x_hat, places = (x - x.mean(axis=-1, keepdims=True)) / root, tuple(range(x.ndim - 1))
    g = grad_y * gain
    grad_x = (g - g.mean(axis=-1, keepdims=True) - x_hat * (g * x_hat).mean(axis=-1, keepdims=True)) / root
    return grad_x, (grad_y * x).sum(axis=places), grad_y.sum(axis=places)


@layer_norm_backward.variant
def with_the_whole_jacobian_of_a_row(grad_y, x, gain, bias, eps=1e-5):
    n, rows = x.shape[-1], x.reshape(-1, x.shape[-1])
    upstream, grad_x = grad_y.reshape(-1, n), np.zeros(rows.shape)
    grad_gain, grad_bias = np.zeros(n), np.zeros(n)
    for row, g, into in zip(rows, upstream, grad_x, strict=True):
        root = np.sqrt(np.mean((row - row.mean()) ** 2) + eps)
        hat = (row - row.mean()) / root
        jacobian = (np.eye(n) - 1 / n - np.outer(hat, hat) / n) / root
        into += jacobian @ (g * gain)
        grad_gain += g * hat
        grad_bias += g
    return grad_x.reshape(x.shape), grad_gain, grad_bias


@layer_norm_backward.variant
def step_by_step(grad_y, x, gain, bias, eps=1e-5):
    n = x.shape[-1]
    centred = x - x.mean(axis=-1, keepdims=True)
    inverse = ((centred**2).mean(axis=-1, keepdims=True) + eps) ** -0.5
    grad_hat = grad_y * gain
    grad_inverse = (grad_hat * centred).sum(axis=-1, keepdims=True)
    grad_centred = grad_hat * inverse - grad_inverse * inverse**3 * centred / n
    grad_x = grad_centred - grad_centred.sum(axis=-1, keepdims=True) / n
    flat = grad_y.reshape(-1, n)
    return grad_x, (flat * (centred * inverse).reshape(-1, n)).sum(axis=0), flat.sum(axis=0)


@layer_norm_backward.variant
def with_einsum(grad_y, x, gain, bias, eps=1e-5):
    n = x.shape[-1]
    inverse = 1 / np.sqrt(np.var(x, axis=-1) + eps)
    hat = (x - x.mean(axis=-1)[..., None]) * inverse[..., None]
    g = grad_y * gain
    inner = np.einsum("...f,...f->...", g, hat) / n
    grad_x = inverse[..., None] * (g - g.sum(axis=-1)[..., None] / n - inner[..., None] * hat)
    return (
        grad_x,
        np.einsum("pf,pf->f", grad_y.reshape(-1, n), hat.reshape(-1, n)),
        np.einsum("pf->f", grad_y.reshape(-1, n)),
    )


# ---- transformer_block -----------------------------------------------------------------------------------------------
#: The exercise, under a name that stays free.
CAUSAL = causal_self_attention

# From here on the name means the function: the block's mistakes call it, as they would in a notebook.
from solutions.attention import causal_self_attention  # type: ignore[assignment]  # noqa: E402


@exercise(ref.transformer_block, points=2)
def transformer_block(rng: np.random.Generator) -> Iterator[Case]:
    """Add attention to what was read, then a network for each place, each behind a norm."""
    for label, features, hidden, heads, real in [
        ("no padding", 4, 6, 2, np.ones((2, 3), bool)),
        ("uneven lengths", 3, 12, 1, np.arange(4) < np.array([4, 2, 3])[:, None]),
        ("three heads", 6, 5, 3, np.ones((1, 5), bool)),
    ]:
        norms = [rng.normal(size=features) for _ in range(4)]
        w1, w2 = rng.normal(size=(features, hidden)), rng.normal(size=(hidden, features))
        b1, b2 = rng.normal(size=hidden), rng.normal(size=features)
        block = [*norms[:2], *square(rng, features, 4), *norms[2:], w1, b1, w2, b2]
        yield case(label, x=2 * rng.normal(size=(*real.shape, features)), real=real, block=block, heads=heads)


@transformer_block.mistake(
    "The residuals are missing: each half replaces what it read. It should be added to it: a straight road for the gradient."
)
def without_residuals(x, real, block, heads):
    gain1, bias1, wq, wk, wv, wo, gain2, bias2, w1, b1, w2, b2 = block
    x = causal_self_attention(layer_norm(x, gain1, bias1), real, wq, wk, wv, wo, heads)
    return position_wise(layer_norm(x, gain2, bias2), w1, b1, w2, b2)


@transformer_block.mistake(
    "The residual around the attention is missing: its result replaces x. It should be added to x; the second half "
    "reads the sum."
)
def first_residual_missing(x, real, block, heads):
    gain1, bias1, wq, wk, wv, wo, gain2, bias2, w1, b1, w2, b2 = block
    x = causal_self_attention(layer_norm(x, gain1, bias1), real, wq, wk, wv, wo, heads)
    return x + position_wise(layer_norm(x, gain2, bias2), w1, b1, w2, b2)


@transformer_block.mistake(
    "The residual around the network is missing: what `position_wise` gives is the whole result. It should be added to what the "
    "first half has made."
)
def second_residual_missing(x, real, block, heads):
    gain1, bias1, wq, wk, wv, wo, gain2, bias2, w1, b1, w2, b2 = block
    x = x + causal_self_attention(layer_norm(x, gain1, bias1), real, wq, wk, wv, wo, heads)
    return position_wise(layer_norm(x, gain2, bias2), w1, b1, w2, b2)


@transformer_block.mistake(
    "The norms stand behind the sums: that is post-norm, the 2017 paper's order. Here each norm stands before its layer, and the "
    "residual goes around both."
)
def post_norm(x, real, block, heads):
    gain1, bias1, wq, wk, wv, wo, gain2, bias2, w1, b1, w2, b2 = block
    x = layer_norm(x + causal_self_attention(x, real, wq, wk, wv, wo, heads), gain1, bias1)
    return layer_norm(x + position_wise(x, w1, b1, w2, b2), gain2, bias2)


@transformer_block.mistake(
    "The residual begins behind the norm: the normed x is added. What is added must be x itself, past the norm."
)
def residual_from_the_normed(x, real, block, heads):
    gain1, bias1, wq, wk, wv, wo, gain2, bias2, w1, b1, w2, b2 = block
    x = layer_norm(x, gain1, bias1)
    x = x + causal_self_attention(x, real, wq, wk, wv, wo, heads)
    x = layer_norm(x, gain2, bias2)
    return x + position_wise(x, w1, b1, w2, b2)


@transformer_block.mistake(
    "Both halves read the block's input. The second one reads what the first has made, x plus attention."
)
def side_by_side(x, real, block, heads):
    gain1, bias1, wq, wk, wv, wo, gain2, bias2, w1, b1, w2, b2 = block
    first = causal_self_attention(layer_norm(x, gain1, bias1), real, wq, wk, wv, wo, heads)
    return x + first + position_wise(layer_norm(x, gain2, bias2), w1, b1, w2, b2)


@transformer_block.variant
def in_place(x, real, block, heads):
    y = x.copy()
    y += causal_self_attention(layer_norm(y, *block[:2]), real, *block[2:6], heads)
    y += position_wise(layer_norm(y, *block[6:8]), *block[8:])
    return y


@transformer_block.variant
def with_its_own_norm(x, real, block, heads):
    def norm(z, gain, bias):
        centred = z - np.mean(z, axis=2)[..., None]
        return centred * (np.mean(centred**2, axis=2)[..., None] + 1e-5) ** -0.5 * gain + bias

    first = x + causal_self_attention(norm(x, block[0], block[1]), real, block[2], block[3], block[4], block[5], heads)
    h = norm(first, block[6], block[7]) @ block[8] + block[9]
    return first + np.where(h > 0, h, 0) @ block[10] + block[11]


@transformer_block.variant
def as_a_loop_over_halves(x, real, block, heads):
    halves = (
        (block[:2], lambda z: causal_self_attention(z, real, *block[2:6], heads)),
        (block[6:8], lambda z: position_wise(z, *block[8:])),
    )
    for (gain, bias), half in halves:
        x = np.add(x, half(layer_norm(x, gain, bias)))
    return x


# ---- cached_self_attention -------------------------------------------------------------------------------------------
@exercise(ref.cached_self_attention, points=4, returns=("y", "keys", "values"))
def cached_self_attention(rng: np.random.Generator) -> Iterator[Case]:
    """Read on with the keys and values of earlier places kept."""
    for label, batch, past, new, features, heads in [
        ("one new place", 2, 3, 1, 4, 2),
        ("the first places", 1, 0, 3, 6, 3),
        ("several new places", 2, 2, 3, 4, 1),
        ("a long past", 1, 7, 2, 6, 2),
    ]:
        kept = rng.normal(size=(2, batch, heads, past, features // heads))
        wq, wk, wv, wo = square(rng, features, 4)
        x = rng.normal(size=(batch, new, features))
        yield case(label, x=x, keys=kept[0], values=kept[1], wq=wq, wk=wk, wv=wv, wo=wo, heads=heads)


@cached_self_attention.mistake(
    "The new places look at the past alone: their own keys and values enter the cache after the attention. Put them in first."
)
def own_keys_too_late(x, keys, values, wq, wk, wv, wo, heads):
    q, k, v = (split_heads(x @ w, heads) for w in (wq, wk, wv))
    y = np.zeros_like(q)
    if keys.shape[2]:
        s = q @ keys.mT / np.sqrt(q.shape[-1])
        e = np.exp(s - s.max(axis=-1, keepdims=True))
        y = e / e.sum(axis=-1, keepdims=True) @ values
    return merge_heads(y) @ wo, np.concatenate([keys, k], axis=2), np.concatenate([values, v], axis=2)


@cached_self_attention.mistake(
    "The cache is not used: the new places see each other, nothing of the past. Queries are new; keys and values are all there are."
)
def forgets_the_past(x, keys, values, wq, wk, wv, wo, heads):
    q, k, v = (split_heads(x @ w, heads) for w in (wq, wk, wv))
    mask = np.tri(x.shape[1], dtype=bool)
    s = np.where(mask, q @ k.mT / np.sqrt(q.shape[-1]), -1e9)
    e = np.exp(s - s.max(axis=-1, keepdims=True))
    y = e / e.sum(axis=-1, keepdims=True) @ v
    return merge_heads(y) @ wo, np.concatenate([keys, k], axis=2), np.concatenate([values, v], axis=2)


@cached_self_attention.mistake(
    "With several new places the earlier of them read the later ones: there is no mask, or its diagonal lies too far to the right. "
    "New place n sees the past and the new places up to n."
)
def no_mask_among_the_new(x, keys, values, wq, wk, wv, wo, heads):
    q, k, v = (split_heads(x @ w, heads) for w in (wq, wk, wv))
    keys, values = np.concatenate([keys, k], axis=2), np.concatenate([values, v], axis=2)
    s = q @ keys.mT / np.sqrt(q.shape[-1])
    e = np.exp(s - s.max(axis=-1, keepdims=True))
    return merge_heads(e / e.sum(axis=-1, keepdims=True) @ values) @ wo, keys, values


@cached_self_attention.mistake(
    "The mask is that of a text without a past: its diagonal must move right by the number of earlier places, or new place 0 sees "
    "only the very first word."
)
def diagonal_not_moved(x, keys, values, wq, wk, wv, wo, heads):
    q, k, v = (split_heads(x @ w, heads) for w in (wq, wk, wv))
    keys, values = np.concatenate([keys, k], axis=2), np.concatenate([values, v], axis=2)
    mask = np.tri(x.shape[1], keys.shape[2], dtype=bool)
    s = np.where(mask, q @ keys.mT / np.sqrt(q.shape[-1]), -1e9)
    e = np.exp(s - s.max(axis=-1, keepdims=True))
    return merge_heads(e / e.sum(axis=-1, keepdims=True) @ values) @ wo, keys, values


@cached_self_attention.mistake("The last product is missing: W_O mixes what the heads found, here as in 12.4.")
def last_product_missing(x, keys, values, wq, wk, wv, wo, heads):
    q, k, v = (split_heads(x @ w, heads) for w in (wq, wk, wv))
    mask = np.tri(x.shape[1], keys.shape[2] + x.shape[1], keys.shape[2], dtype=bool)
    keys, values = np.concatenate([keys, k], axis=2), np.concatenate([values, v], axis=2)
    s = np.where(mask, q @ keys.mT / np.sqrt(q.shape[-1]), -1e9)
    e = np.exp(s - s.max(axis=-1, keepdims=True))
    return merge_heads(e / e.sum(axis=-1, keepdims=True) @ values), keys, values


@cached_self_attention.variant
def new_place_by_new_place(x, keys, values, wq, wk, wv, wo, heads):
    made = []
    for t in range(x.shape[1]):
        row = x[:, t : t + 1]
        q, k, v = (split_heads(row @ w, heads) for w in (wq, wk, wv))
        keys, values = np.concatenate([keys, k], axis=2), np.concatenate([values, v], axis=2)
        s = q @ keys.mT / np.sqrt(q.shape[-1])
        p = np.exp(s - s.max(axis=-1, keepdims=True))
        made.append(merge_heads(p / p.sum(axis=-1, keepdims=True) @ values) @ wo)
    return np.concatenate(made, axis=1), keys, values


@cached_self_attention.variant
def into_larger_arrays(x, keys, values, wq, wk, wv, wo, heads):
    batch, new, features = x.shape
    past, width = keys.shape[2], features // heads
    all_keys, all_values = (np.empty((batch, heads, past + new, width)) for _ in range(2))
    all_keys[:, :, :past], all_values[:, :, :past] = keys, values
    all_keys[:, :, past:] = (x @ wk).reshape(batch, new, heads, width).transpose(0, 2, 1, 3)
    all_values[:, :, past:] = (x @ wv).reshape(batch, new, heads, width).transpose(0, 2, 1, 3)
    q = (x @ wq).reshape(batch, new, heads, width)
    s = np.einsum("nqhf,nhkf->nhqk", q, all_keys) / np.sqrt(width)
    s[:, :, np.arange(past + new) > past + np.arange(new)[:, None]] = -np.inf
    p = np.exp(s - s.max(axis=3, keepdims=True))
    p /= p.sum(axis=3, keepdims=True)
    return np.einsum("nhqk,nhkf->nqhf", p, all_values).reshape(batch, new, features) @ wo, all_keys, all_values


@cached_self_attention.variant
def past_and_new_scored_apart(x, keys, values, wq, wk, wv, wo, heads):
    q, k, v = (split_heads(x @ w, heads) for w in (wq / np.sqrt(x.shape[2] // heads), wk, wv))
    among = np.where(np.tri(x.shape[1], dtype=bool), q @ k.mT, -np.inf)
    s = np.concatenate([q @ keys.mT, among], axis=3)
    p = np.exp(s - np.logaddexp.reduce(s, axis=3)[..., None])
    keys, values = np.append(keys, k, axis=2), np.append(values, v, axis=2)
    return merge_heads(p @ values) @ wo, keys, values


# ---- train_transformer_lm --------------------------------------------------------------------------------------------
@exercise(ref.train_transformer_lm, points=4, costly=True, returns=PARAMETERS)
def train_transformer_lm(rng: np.random.Generator) -> Iterator[Case]:
    """Train a Transformer language model until it has found out where to look."""
    for label, back in [("each word comes back after three places", 3), ("after two places", 2)]:
        streams, floor = echo_text(rng, 32, 121, back)
        text, _ = echo_text(rng, 40, 201, back)
        seed = Seed(int(rng.integers(1 << 30)))
        yield case(label, streams=streams, vocabulary=8, context=8, epochs=10, rng=seed).hold(text=text, floor=floor)


@train_transformer_lm.criterion
def predicts_new_text(outputs, held):
    p = {name: np.asarray(value, dtype=float) for name, value in outputs.items()}
    if p["embeddings"].ndim != 2 or len(p["embeddings"]) != 8 or p["positions"].ndim != 2:
        return "embeddings must have the shape (8, features), positions (context, features)."
    f, hidden = p["embeddings"].shape[1], p["b1"].size
    shapes = {"positions": (8, f), "w1": (f, hidden), "b1": (hidden,), "w2": (hidden, f)}
    shapes |= {name: (f, f) for name in ("wq", "wk", "wv", "wo")}
    shapes |= {name: (f,) for name in ("gain1", "bias1", "gain2", "bias2", "b2", "gain", "bias")}
    for name, shape in shapes.items():
        if p[name].shape != shape:
            return f"{name} has shape {p[name].shape}; {shape} fits to the embeddings and a context of 8."
    if f % 2 or max(f, hidden) > 1000:
        return "the number of features must be even, for two heads, and at most 250."
    if not all(np.isfinite(value).all() for value in p.values()):
        return "some of the parameters are not finite: the steps were too large and the training blew up."

    def norm(z, gain, bias):
        z = z - z.mean(axis=-1, keepdims=True)
        return z / np.sqrt((z**2).mean(axis=-1, keepdims=True) + 1e-5) * gain + bias

    def logits_of(words, seen):
        x = p["embeddings"][words] + p["positions"]
        z = norm(x, p["gain1"], p["bias1"])
        q, k, v = ((z @ p[w]).reshape(*z.shape[:2], 2, f // 2).swapaxes(1, 2) for w in ("wq", "wk", "wv"))
        s = np.where(seen, q @ k.mT / np.sqrt(f // 2), -np.inf)
        e = np.exp(s - s.max(axis=-1, keepdims=True))
        y = (e / e.sum(axis=-1, keepdims=True)) @ v
        x = x + y.swapaxes(1, 2).reshape(x.shape) @ p["wo"]
        x = x + np.maximum(norm(x, p["gain2"], p["bias2"]) @ p["w1"] + p["b1"], 0) @ p["w2"] + p["b2"]
        return norm(x, p["gain"], p["bias"]) @ p["embeddings"].T

    def perplexity(words, places, seen):
        logits = logits_of(words, seen)[:, places]
        picked = np.take_along_axis(logits, answers[:, places, None], axis=2)[..., 0]
        return float(np.exp(min(np.mean(np.logaddexp.reduce(logits, axis=2) - picked), 700.0)))

    # Windows of eight words, four after four; the later four places are judged, so that each word is asked for once.
    starts = range(0, held["text"].shape[1] - 8, 4)
    words = np.concatenate([held["text"][:, start : start + 8] for start in starts])
    answers = np.concatenate([held["text"][:, start + 1 : start + 9] for start in starts])
    back = np.tri(8, dtype=bool)
    found, floor = perplexity(words, slice(4, 8), back), held["floor"]
    if found <= 1.3 * floor:
        return None
    said = f"the perplexity on new text is {found:.3g}; at most {1.3 * floor:.3g} is needed"
    # Why? The place before the last sees its answer if nothing is masked; and what does the last place make of the others?
    ahead = min(perplexity(words, slice(4, 7), seen) for seen in (back | True, back.T))
    if ahead < 0.9 * floor:  # by more than chance on this text
        return (
            f"{said}. With later words in view it would be {ahead:.3g}, less than the lowest possible {floor:.3g}: the model has "
            "learned to read its answers off the text. A mask is missing while it trains; look at 12.4 first."
        )
    # Is it everywhere, or where a window ends? Place 3 is the first that has surely seen enough to know its answer.
    places = [perplexity(words, slice(t, t + 1), back) for t in range(3, 8)]
    bad = next((i for i, one in enumerate(places) if one > 1.3 * floor), 0)
    if bad and min(places[bad:]) > 1.3 * floor and max(places[bad:]) > 2 * max(places[:bad]):
        which = "the last place" if bad == 4 else f"places {3 + bad} … 7"
        return (
            f"{said}. Up to place {2 + bad} of a window it is {max(places[:bad]):.3g} at most, at {which} {max(places[bad:]):.3g} "
            "(places count from 0). What has the model been taught there? The answer to a window's last word is the word after the "
            "window, and `context` words must be read at once, so that every position vector learns."
        )
    repeated = float(np.mean(logits_of(words, back)[:, 4:].argmax(axis=2) == words[:, 4:]))
    if repeated > 0.8:
        return (
            f"{said}, and {repeated:.0%} of the guesses are the very word that has just been read: the targets must be the "
            "words one place later."
        )
    if found > 100:
        return f"{said}, and guessing would give 8: the model is sure of wrong words. Do the steps go down the loss?"
    last = perplexity(words, slice(7, 8), back)
    other = np.concatenate([np.roll(words[:, :7], 1 + len(words) // 2, axis=0), words[:, 7:]], axis=1)
    if perplexity(other, slice(7, 8), back) < 1.15 * last:
        return (
            f"{said}, and with the earlier words of another text it is hardly worse: the model guesses from the last word "
            "alone, if at all. Does it read whole windows, and often enough?"
        )
    mixed = np.concatenate([words[:, [4, 0, 6, 2, 5, 1, 3]], words[:, 7:]], axis=1)
    if perplexity(mixed, slice(7, 8), back) < 1.02 * last:
        return (
            f"{said}, and with the earlier words in another order it is hardly worse: the model does not know where they stand. "
            "Do the position vectors learn?"
        )
    return f"{said} (the lowest possible one is {floor:.3g}, and 8 is knowing nothing)."


def train_with(streams, context, epochs, rng, *, size=None, shift=1, sign=1.0, ahead=False):
    """The training loop with one thing changed, named by the caller."""
    parameters = new_transformer_lm(rng, 8, context, 16)
    optimiser, size = Adam(parameters, 0.02), size or context
    for epoch in range(epochs):
        optimiser.lr = 0.02 * (1 - epoch / epochs)
        for start in range(0, streams.shape[1] - 1, context):
            piece = streams[:, start : start + size + 1]
            words, targets = piece[:, :-1], piece[:, shift : piece.shape[1] - 1 + shift]
            if ahead:  # whoever reads a text from its end has all later words in view
                words, targets = words[:, ::-1], targets[:, ::-1]
            _, grads = transformer_lm_gradients(parameters, words, targets, np.ones_like(words, dtype=bool))
            optimiser.step([sign * grad for grad in clip_by_global_norm(grads, 1.0)[0]])
    if ahead:
        parameters[1] = parameters[1][::-1].copy()
    return parameters


@train_transformer_lm.mistake(
    "The targets are the words themselves: the model learns to repeat what it reads. The answer to each word is the word after it."
)
def repeats_what_it_reads(streams, vocabulary, context, epochs, rng):
    return train_with(streams, context, epochs, rng, shift=0)


@train_transformer_lm.mistake(
    "The steps climb the loss: the gradient's sign was turned round before the optimiser subtracts it."
)
def climbs(streams, vocabulary, context, epochs, rng):
    return train_with(streams, context, epochs, rng, sign=-1.0)


@train_transformer_lm.mistake(
    "The text is read once. One reading shows which words there are; to find out where to look takes several."
)
def one_epoch_only(streams, vocabulary, context, epochs, rng):
    return train_with(streams, context, 1, rng)


@train_transformer_lm.mistake(
    "Each window holds one word and its answer: there is nothing earlier to look at, and positions after the first are never "
    "learned. Read `context` words at once."
)
def windows_of_one_word(streams, vocabulary, context, epochs, rng):
    return train_with(streams, context, epochs, rng, size=1)


@train_transformer_lm.mistake(
    "The model has trained with later words in view and reads its answers off the text. A place may look at itself and at earlier "
    "places only: mend 12.4, then train again."
)
def later_words_in_view(streams, vocabulary, context, epochs, rng):
    return train_with(streams, context, epochs, rng, ahead=True)


@train_transformer_lm.variant
def without_clipping(streams, vocabulary, context, epochs, rng):
    parameters = new_transformer_lm(rng, vocabulary, context, 14)
    optimiser, starts = Adam(parameters, 0.015), list(range(0, streams.shape[1] - 1, context))
    for step in range(epochs * len(starts)):
        piece = streams[:, starts[step % len(starts)] :][:, : context + 1]
        optimiser.lr = 0.015 * (1 - step / (epochs * len(starts)))
        real = np.full((len(piece), piece.shape[1] - 1), True)
        optimiser.step(transformer_lm_gradients(parameters, piece[:, :-1], piece[:, 1:], real)[1])
    return tuple(parameters)


@train_transformer_lm.variant
def with_a_warm_up(streams, vocabulary, context, epochs, rng):
    parameters = new_transformer_lm(rng, vocabulary, context, 18)
    optimiser, step = Adam(parameters, lr=0.02), 0
    read, answers = streams[:, :-1], streams[:, 1:]
    cuts = range(context, read.shape[1], context)
    pieces = list(zip(np.split(read, cuts, axis=1), np.split(answers, cuts, axis=1), strict=True))
    for _ in range(epochs):
        for words, targets in pieces:
            step += 1
            optimiser.lr = 0.02 * min(1, step / 20) * (1 - step / (1 + epochs * len(pieces)))
            _, grads = transformer_lm_gradients(parameters, words, targets, np.full(words.shape, True))
            optimiser.step(clip_by_global_norm(grads, 1.0)[0])
    return parameters


@train_transformer_lm.variant
def at_one_rate_from_windows_drawn_anywhere(streams, vocabulary, context, epochs, rng):
    parameters = new_transformer_lm(rng, vocabulary, context, 16)
    optimiser = Adam(parameters, 0.015)
    for _ in range(epochs * (streams.shape[1] // context)):
        start = int(rng.integers(streams.shape[1] - context))
        piece = streams[:, start : start + context + 1]
        mask = np.ones((len(streams), context), dtype=bool)
        _, grads = transformer_lm_gradients(parameters, piece[:, :-1], piece[:, 1:], mask)
        optimiser.step(clip_by_global_norm(grads, 2.0)[0])
    return parameters


# ---- graded by a person ----------------------------------------------------------------------------------------------
why_attention = explanation(
    "why_attention",
    points=3,
    question="""
    1. The components of q and k are independent, with mean 0 and variance 1, and there are d of them. What is the variance of
       q · k? What happens to the softmax and its gradient for large d if nothing is done, and why does 1/√d help?
    2. Compare a recurrent layer and a self-attention layer over n words with d features: the number of steps that must wait for one
       another, the length of the road between two words that are n apart, and how the work grows with n.
    3. Training predicts all n next words of a window at once. Why is the causal mask needed for that, and why can the keys and
       values of earlier words be kept when text is written word by word?
    """,
    rubric=(
        (
            1,
            "variance d; large scores saturate the softmax, its gradient p(δ − p) goes to 0; 1/√d makes the variance 1",
        ),
        (
            1,
            "recurrent: n steps in a row, road n, work n·d²; attention: 1 step, road 1, work n²·d for the scores (plus n·d²)",
        ),
        (
            1,
            "without it place t reads word t + 1, which is its answer, and the loss says nothing about writing; with it an earlier "
            "place never depends on later words, so its keys and values never change",
        ),
    ),
    answer="""
    1. Each product has mean 0 and variance 1, so the sum of d has variance d. Scores of size √d make one weight nearly 1 and the
       others nearly 0; the softmax's Jacobian, diag(p) − ppᵀ, is then nearly 0 and little is learned. Divided by √d the
       scores have variance 1 for every d.
    2. A recurrent layer takes n steps one after the other, a word reaches another through n of them, and the work is n·d². A
       self-attention layer computes all places at once, any two words are one step apart, and the scores cost n²·d (the
       projections n·d² as well).
    3. Place t predicts word t + 1, which stands in the same window. Without the mask it could look it up, and there is nothing
       to look up when writing. With the mask every layer's output at a place depends on earlier places alone; a word written
       later changes none of them, so their keys and values stay what they were.
    """,
)
