"""Chapter 12: self-attention by hand, from one weighted mean to a Transformer language model, with every gradient."""

import numpy as np

from solutions.optimisers import Adam, clip_by_global_norm
from solutions.recurrent import masked_lm_loss

#: Heads of the small language model.
HEADS = 2


# ---- positions -------------------------------------------------------------------------------------------------------
def sinusoidal_encodings(positions: np.ndarray, features: int) -> np.ndarray:
    """Give every position a vector of sines and cosines.

    Feature i of position p is sin(p / 10000^(i/features)) for even i, and cos(p / 10000^((i−1)/features)) for odd i.

    Args:
        positions: (places,) integers, 0 or more.
        features: how many numbers a vector has; odd ones too.

    Returns:
        (places, features) float64.

    Source:
        Vaswani et al. 2017, section 3.5; deck C, PosEnc(p, i).
    """
    ### BEGIN SOLUTION
    i = np.arange(features)  # (features,)
    even = i - i % 2  # 0 0 2 2 4 4 …: sine and cosine of a pair turn equally fast
    angles = positions[:, None] / 10000 ** (even / features)  # (places, features)
    return np.where(i % 2 == 0, np.sin(angles), np.cos(angles))
    ### END SOLUTION


# ---- scaled dot-product attention ------------------------------------------------------------------------------------
def raw_self_attention(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Let every word of a sequence become a mean of all words, weighted by how alike they are.

    Args:
        x: (time, features) float64.

    Returns:
        y: (time, features) and weights: (time, time), float64; each row of the weights adds up to 1.

    Source:
        Deck C, y_i = Σ_j α_ij x_j, with α the softmax of x_i · x_j.
    """
    scores = x @ x.T  # (time, time)
    e = np.exp(scores - scores.max(axis=1, keepdims=True))
    weights = e / e.sum(axis=1, keepdims=True)
    return weights @ x, weights


def attention(q: np.ndarray, k: np.ndarray, v: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scaled dot-product attention: a softmax over the keys that may be seen, then a weighted mean of the values.

    Args:
        q: (…, queries, features) float64, any leading axes.
        k: (…, keys, features) float64.
        v: (…, keys, values) float64.
        mask: (…, queries, keys) bool, or what broadcasts to it; True where the query may look at the key.

    Returns:
        y: (…, queries, values) and weights: (…, queries, keys), float64 and finite for scores from −1,000 to 1,000. A weight
        is 0 where the mask is False; the weights of a query that sees a key add up to 1, those of one that sees none are 0.

    Source:
        Vaswani et al. 2017, equation 1; deck A, softmax(QKᵀ/√d_k)V; deck C, qᵀk/√d.
    """
    ### BEGIN SOLUTION
    scores = np.where(mask, q @ k.mT / np.sqrt(q.shape[-1]), -np.inf)  # (…, queries, keys)
    largest = scores.max(axis=-1, keepdims=True)  # among the keys that are seen
    e = np.exp(scores - np.where(np.isfinite(largest), largest, 0.0))
    total = e.sum(axis=-1, keepdims=True)
    weights = e / np.where(total > 0, total, 1.0)  # nothing to see: zeros instead of 0/0
    return weights @ v, weights
    ### END SOLUTION


def attended(q: np.ndarray, k: np.ndarray, v: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """What `attention` gives, without the weights: the function that `attention_backward` differentiates."""
    return attention(q, k, v, mask)[0]


def attention_backward(
    grad_y: np.ndarray, q: np.ndarray, k: np.ndarray, v: np.ndarray, mask: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Send a gradient backwards through scaled dot-product attention.

    Args:
        grad_y: (…, queries, values) float64, ∂loss/∂y.
        q: (…, queries, features) float64.
        k: (…, keys, features) float64.
        v: (…, keys, values) float64.
        mask: (…, queries, keys) bool, as it was forwards.
        weights: (…, queries, keys) float64, from `attention`; 0 where the mask was False.

    Returns:
        grad_q (…, queries, features), grad_k (…, keys, features), grad_v (…, keys, values), float64.

    Source:
        The softmax's Jacobian, ∂p_m/∂s_j = p_m(1[m = j] − p_j); Vaswani et al. 2017, equation 1.
    """
    ### BEGIN SOLUTION
    grad_weights = grad_y @ v.mT  # (…, queries, keys)
    mean = (weights * grad_weights).sum(axis=-1, keepdims=True)  # (…, queries, 1)
    grad_scores = weights * (grad_weights - mean) / np.sqrt(q.shape[-1])  # (…, queries, keys)
    return grad_scores @ k, grad_scores.mT @ q, weights.mT @ grad_y
    ### END SOLUTION


# ---- heads -----------------------------------------------------------------------------------------------------------
def split_heads(x: np.ndarray, heads: int) -> np.ndarray:
    """Cut the features into heads: (batch, time, features) → (batch, heads, time, features / heads)."""
    batch, time, features = x.shape
    return x.reshape(batch, time, heads, features // heads).swapaxes(1, 2)


def merge_heads(x: np.ndarray) -> np.ndarray:
    """Put the heads side by side again: (batch, heads, time, width) → (batch, time, heads · width)."""
    batch, heads, time, width = x.shape
    return x.swapaxes(1, 2).reshape(batch, time, heads * width)


def causal_self_attention(
    x: np.ndarray, real: np.ndarray, wq: np.ndarray, wk: np.ndarray, wv: np.ndarray, wo: np.ndarray, heads: int
) -> np.ndarray:
    """Let every place, a padded one too, look at the real places up to and including its own, with several heads side by side.

    Args:
        x: (batch, time, features) float64.
        real: (batch, time) bool, True where a real word stands; padding is never looked at, but it looks.
        wq: (features, features) float64, makes queries; its first features/heads columns belong to head 0, and so on.
        wk: (features, features) float64, makes keys.
        wv: (features, features) float64, makes values.
        wo: (features, features) float64, mixes what the heads found.
        heads: how many; divides features.

    Returns:
        (batch, time, features) float64; 0 at a place up to which nothing real stands. What padded places get is never used later.

    Source:
        Vaswani et al. 2017, section 3.2.2; deck A, MultiHead(Q, K, V) = Concat(head₁, …)Wᴼ, without a mask.
    """
    ### BEGIN SOLUTION
    q, k, v = (split_heads(x @ w, heads) for w in (wq, wk, wv))  # (batch, heads, time, features / heads)
    time = x.shape[1]
    earlier = np.tril(np.ones((time, time), dtype=bool))  # (queries, keys): the diagonal is the place itself
    y, _ = attention(q, k, v, earlier & real[:, None, None])  # mask: (batch, 1, queries, keys)
    return merge_heads(y) @ wo
    ### END SOLUTION


def causal_self_attention_backward(
    grad_y: np.ndarray,
    x: np.ndarray,
    real: np.ndarray,
    wq: np.ndarray,
    wk: np.ndarray,
    wv: np.ndarray,
    wo: np.ndarray,
    heads: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Send a gradient backwards through `causal_self_attention`.

    Args:
        grad_y: (batch, time, features) float64; the other arguments as they were forwards.

    Returns:
        grad_x (batch, time, features), grad_wq, grad_wk, grad_wv, grad_wo (features, features), float64.
    """
    q, k, v = (split_heads(x @ w, heads) for w in (wq, wk, wv))
    earlier = np.tril(np.ones((x.shape[1], x.shape[1]), dtype=bool))
    mask = earlier & real[:, None, None]  # (batch, 1, queries, keys)
    y, weights = attention(q, k, v, mask)
    merged = merge_heads(y)
    grads = attention_backward(split_heads(grad_y @ wo.T, heads), q, k, v, mask, weights)
    grad_q, grad_k, grad_v = (merge_heads(grad) for grad in grads)  # (batch, time, features)
    grad_x = grad_q @ wq.T + grad_k @ wk.T + grad_v @ wv.T  # three roads lead from x
    rows = x.reshape(-1, x.shape[2]).T  # (features, batch · time)
    grad_wq, grad_wk, grad_wv = (rows @ grad.reshape(-1, grad.shape[2]) for grad in (grad_q, grad_k, grad_v))
    grad_wo = merged.reshape(-1, merged.shape[2]).T @ grad_y.reshape(-1, grad_y.shape[2])
    return grad_x, grad_wq, grad_wk, grad_wv, grad_wo


def cached_self_attention(
    x: np.ndarray,
    keys: np.ndarray,
    values: np.ndarray,
    wq: np.ndarray,
    wk: np.ndarray,
    wv: np.ndarray,
    wo: np.ndarray,
    heads: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Read on: what `causal_self_attention` gives for new places, without computing the earlier ones again.

    Args:
        x: (batch, new, features) float64, the new places; 1 or more, without padding.
        keys: (batch, heads, past, features / heads) float64, those of all earlier places; past may be 0.
        values: (batch, heads, past, features / heads) float64.
        wq: (features, features) float64.
        wk: (features, features) float64.
        wv: (features, features) float64.
        wo: (features, features) float64.
        heads: how many; divides features.

    Returns:
        y: (batch, new, features); keys and values with the new places' behind the earlier ones: (batch, heads, past + new,
        features / heads), float64.

    Source:
        Shazeer 2019, section 2.4 (incremental inference).
    """
    ### BEGIN SOLUTION
    q, k, v = (split_heads(x @ w, heads) for w in (wq, wk, wv))  # (batch, heads, new, features / heads)
    past = keys.shape[2]
    keys, values = np.concatenate([keys, k], axis=2), np.concatenate([values, v], axis=2)
    mask = np.tri(
        x.shape[1], keys.shape[2], past, dtype=bool
    )  # (new, past + new): new place n sees past + n + 1 places
    y, _ = attention(q, keys, values, mask)
    return merge_heads(y) @ wo, keys, values
    ### END SOLUTION


# ---- the block -------------------------------------------------------------------------------------------------------
def layer_norm(x: np.ndarray, gain: np.ndarray, bias: np.ndarray, eps: float = 1e-5) -> np.ndarray:
    """Shift and scale each place's features to mean 0 and variance 1, then by a gain and a bias that are learned.

    Args:
        x: (…, features) float64.
        gain: (features,) float64.
        bias: (features,) float64.
        eps: added to the variance, so that equal features do not divide by 0.

    Returns:
        (…, features) float64.

    Source:
        Ba, Kiros and Hinton 2016; the variance is the mean square, divided by features, not by features − 1.
    """
    x_hat = (x - x.mean(axis=-1, keepdims=True)) / np.sqrt(x.var(axis=-1, keepdims=True) + eps)
    return gain * x_hat + bias


def layer_norm_backward(
    grad_y: np.ndarray, x: np.ndarray, gain: np.ndarray, bias: np.ndarray, eps: float = 1e-5
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Send a gradient backwards through `layer_norm`.

    Args:
        grad_y: (…, features) float64, ∂loss/∂y, with any leading axes.
        x: (…, features) float64.
        gain: (features,) float64.
        bias: (features,) float64.
        eps: as it was forwards.

    Returns:
        grad_x (…, features), grad_gain (features,), grad_bias (features,), float64; the last two are summed over all leading axes.

    Source:
        Ba, Kiros and Hinton 2016.
    """
    ### BEGIN SOLUTION
    root = np.sqrt(x.var(axis=-1, keepdims=True) + eps)  # (…, 1)
    x_hat = (x - x.mean(axis=-1, keepdims=True)) / root
    grad_hat = grad_y * gain  # (…, features)
    # Mean and variance were made of all features of the place: what goes back to them is taken off.
    along = (grad_hat * x_hat).mean(axis=-1, keepdims=True)
    grad_x = (grad_hat - grad_hat.mean(axis=-1, keepdims=True) - x_hat * along) / root
    places = tuple(range(x.ndim - 1))
    return grad_x, (grad_y * x_hat).sum(axis=places), grad_y.sum(axis=places)
    ### END SOLUTION


def position_wise(x: np.ndarray, w1: np.ndarray, b1: np.ndarray, w2: np.ndarray, b2: np.ndarray) -> np.ndarray:
    """Send every place by itself through two layers: max(0, xW₁ + b₁)W₂ + b₂.

    Args:
        x: (batch, time, features) float64.
        w1: (features, hidden) float64; hidden is mostly 4 · features.
        b1: (hidden,) float64.
        w2: (hidden, features) float64.
        b2: (features,) float64.

    Returns:
        (batch, time, features) float64.

    Source:
        Vaswani et al. 2017, equation 2; deck A, "two fully connected layers with ReLU".
    """
    return np.maximum(x @ w1 + b1, 0) @ w2 + b2


def transformer_block(x: np.ndarray, real: np.ndarray, block: list[np.ndarray], heads: int) -> np.ndarray:
    """Two steps, each added to what it read (a residual): attention, then `position_wise`, each behind a layer norm.

    Pre-norm: x + attention(norm₁(x)), and that plus position_wise(norm₂ of it).

    Args:
        x: (batch, time, features) float64.
        real: (batch, time) bool, True where a real word stands.
        block: gain1, bias1 (features,) for the first norm; wq, wk, wv, wo (features, features); gain2, bias2 (features,) for
            the second; w1 (features, hidden), b1 (hidden,), w2 (hidden, features), b2 (features,), float64.
        heads: how many; divides features.

    Returns:
        (batch, time, features) float64.

    Source:
        Vaswani et al. 2017, whose norms stand behind the sums (post-norm); pre-norm as in Radford et al. 2019 and Xiong et
        al. 2020; deck C, "residual connections", "layer normalisation".
    """
    ### BEGIN SOLUTION
    gain1, bias1, wq, wk, wv, wo, gain2, bias2, w1, b1, w2, b2 = block
    x = x + causal_self_attention(layer_norm(x, gain1, bias1), real, wq, wk, wv, wo, heads)
    return x + position_wise(layer_norm(x, gain2, bias2), w1, b1, w2, b2)
    ### END SOLUTION


def transformer_block_backward(
    grad_y: np.ndarray, x: np.ndarray, real: np.ndarray, block: list[np.ndarray], heads: int
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Send a gradient backwards through `transformer_block`.

    Args:
        grad_y: (batch, time, features) float64; the other arguments as they were forwards.

    Returns:
        grad_x (batch, time, features), and one gradient for each array of the block, in its order, float64.
    """
    gain1, bias1, wq, wk, wv, wo, gain2, bias2, w1, b1, w2, _ = block
    normed1 = layer_norm(x, gain1, bias1)
    middle = x + causal_self_attention(normed1, real, wq, wk, wv, wo, heads)
    normed2 = layer_norm(middle, gain2, bias2)
    h = np.maximum(normed2 @ w1 + b1, 0)  # (batch, time, hidden)
    flat = grad_y.reshape(-1, grad_y.shape[2])  # (batch · time, features)
    grad_z = (grad_y @ w2.T) * (h > 0)
    grad_w2, grad_b2 = h.reshape(-1, h.shape[2]).T @ flat, flat.sum(axis=0)
    grad_w1 = normed2.reshape(-1, x.shape[2]).T @ grad_z.reshape(-1, h.shape[2])
    grad_b1 = grad_z.sum(axis=(0, 1))
    through, grad_gain2, grad_bias2 = layer_norm_backward(grad_z @ w1.T, middle, gain2, bias2)
    grad_middle = grad_y + through  # past the layers, and through them
    grad_normed1, *grads = causal_self_attention_backward(grad_middle, normed1, real, wq, wk, wv, wo, heads)
    through, grad_gain1, grad_bias1 = layer_norm_backward(grad_normed1, x, gain1, bias1)
    return grad_middle + through, [
        *(grad_gain1, grad_bias1, *grads, grad_gain2, grad_bias2),
        *(grad_w1, grad_b1, grad_w2, grad_b2),
    ]


# ---- a language model ------------------------------------------------------------------------------------------------
def new_transformer_lm(rng: np.random.Generator, vocabulary: int, context: int, features: int) -> list[np.ndarray]:
    """Draw a language model of one block: word vectors, position vectors, the block, a last norm. The output is tied.

    Args:
        rng: where the numbers come from.
        vocabulary: how many word numbers there are.
        context: most places it can read at once.
        features: size of all vectors; even.

    Returns:
        embeddings (vocabulary, features), positions (context, features), the block's twelve arrays as `transformer_block`
        describes them, with hidden = 4 · features, and gain, bias (features,) of the last norm, float64.
    """

    def drawn(inputs: int, outputs: int) -> np.ndarray:
        return rng.normal(size=(inputs, outputs)) / np.sqrt(inputs)

    ones, zeros, hidden = np.ones(features), np.zeros(features), 4 * features
    return [
        *(rng.normal(size=(rows, features)) / np.sqrt(features) for rows in (vocabulary, context)),
        *(ones.copy(), zeros.copy(), *(drawn(features, features) for _ in range(4))),
        *(ones.copy(), zeros.copy(), drawn(features, hidden), np.zeros(hidden), drawn(hidden, features), zeros.copy()),
        *(ones.copy(), zeros.copy()),
    ]


def transformer_lm_logits(parameters: list[np.ndarray], words: np.ndarray, real: np.ndarray) -> np.ndarray:
    """Score every next word: word vectors plus position vectors, the block, a norm, and the word vectors again.

    Args:
        parameters: as `new_transformer_lm` gives them.
        words: (batch, time) integers; time is at most the context.
        real: (batch, time) bool, True where a real word stands.

    Returns:
        (batch, time, vocabulary) float64.
    """
    embeddings, positions, *block, gain, bias = parameters
    x = embeddings[words] + positions[: words.shape[1]]  # (batch, time, features)
    return layer_norm(transformer_block(x, real, block, HEADS), gain, bias) @ embeddings.T


def transformer_lm_gradients(
    parameters: list[np.ndarray], words: np.ndarray, targets: np.ndarray, real: np.ndarray
) -> tuple[float, list[np.ndarray]]:
    """Read pieces of text, predict every next word, and send the loss back to all parameters.

    Args:
        parameters: as `new_transformer_lm` gives them.
        words: (batch, time) integers, what is read; time is at most the context.
        targets: (batch, time) integers, the word after each of them.
        real: (batch, time) bool, True where a real word is read and asked for.

    Returns:
        loss: nats a real word, a float; grads: one float64 array a parameter.
    """
    embeddings, positions, *block, gain, bias = parameters
    x = embeddings[words] + positions[: words.shape[1]]  # (batch, time, features)
    y = transformer_block(x, real, block, HEADS)
    normed = layer_norm(y, gain, bias)
    loss, grad_logits = masked_lm_loss(normed @ embeddings.T, targets, real)
    grad_y, grad_gain, grad_bias = layer_norm_backward(grad_logits @ embeddings, y, gain, bias)
    grad_x, grad_block = transformer_block_backward(grad_y, x, real, block, HEADS)
    # Word vectors serve twice, at the output and at the input; both gradients add up.
    grad_embeddings = np.einsum("ntv,ntf->vf", grad_logits, normed)
    np.add.at(grad_embeddings, words, grad_x)
    grad_positions = np.zeros_like(positions)
    grad_positions[: words.shape[1]] = grad_x.sum(axis=0)
    return loss, [grad_embeddings, grad_positions, *grad_block, grad_gain, grad_bias]


def echo_text(rng: np.random.Generator, rows: int, words: int, back: int) -> tuple[np.ndarray, float]:
    """Draw text that repeats itself: each word is the one `back` places earlier, nine times in ten; else any of the eight.

    Args:
        rng: where it is drawn.
        rows: how many texts.
        words: words a text.
        back: the distance of the echo; the first `back` words are any words.

    Returns:
        text: (rows, words) int64 from 0 to 7, and floor: the perplexity that no model can beat on long text, a float.
    """
    text, echoed = rng.integers(8, size=(rows, words)), rng.random((rows, words)) < 0.9
    for t in range(back, words):
        text[:, t] = np.where(echoed[:, t], text[:, t - back], text[:, t])
    other = 0.1 / 8  # a word that is drawn anew may be the old one, too
    same = 0.9 + other
    return text, float(np.exp(-same * np.log(same) - 7 * other * np.log(other)))


def train_transformer_lm(
    streams: np.ndarray, vocabulary: int, context: int, epochs: int, rng: np.random.Generator
) -> list[np.ndarray]:
    """Train a Transformer language model on running text, a window of `context` words at a time.

    Args:
        streams: (batch, words) integers from 0 to vocabulary − 1, without padding; each row is one text.
        vocabulary: how many word numbers there are.
        context: words a window, at most.
        epochs: how often the whole text may be read.
        rng: where all random numbers come from.

    Returns:
        The parameters as `new_transformer_lm` describes them, with any even number of features; finite. On new text of the same
        kind, each word predicted from at least half a window of earlier words, the perplexity must be at most 1.3 times the
        lowest possible one.

    Source:
        Radford et al. 2018; deck A, "Transformer language model".
    """
    ### BEGIN SOLUTION
    features, lr, limit = 16, 0.02, 1.0
    parameters = new_transformer_lm(rng, vocabulary, context, features)
    optimiser = Adam(parameters, lr)
    for epoch in range(epochs):
        optimiser.lr = lr * (1 - epoch / epochs)  # shorter steps towards the end
        for start in range(0, streams.shape[1] - 1, context):
            piece = streams[:, start : start + context + 1]  # one word more, the last answer
            words, targets = piece[:, :-1], piece[:, 1:]
            _, grads = transformer_lm_gradients(parameters, words, targets, np.ones_like(words, dtype=bool))
            optimiser.step(clip_by_global_norm(grads, limit)[0])
    return parameters
    ### END SOLUTION


# ---- the same, fast --------------------------------------------------------------------------------------------------
def fused_causal_attention(x: np.ndarray, w_qkv: np.ndarray, wo: np.ndarray, heads: int) -> tuple[np.ndarray, tuple]:
    """Give what `causal_self_attention` gives without padding, with few and large operations; any float dtype.

    Queries, keys and values come from one product; the softmax is taken in place, on the scores' own memory.

    Args:
        x: (batch, time, features).
        w_qkv: (features, 3 · features), wq, wk and wv side by side.
        wo: (features, features).
        heads: how many; divides features.

    Returns:
        y: (batch, time, features) of x's dtype, and what `fused_causal_attention_backward` needs.
    """
    batch, time, features = x.shape
    width = features // heads
    made = (x.reshape(-1, features) @ w_qkv).reshape(batch, time, 3, heads, width)
    q, k, v = np.ascontiguousarray(made.transpose(2, 0, 3, 1, 4))  # each (batch, heads, time, width)
    q *= 1 / np.sqrt(width).astype(x.dtype)
    weights = q @ k.mT  # (batch, heads, queries, keys)
    weights += np.triu(np.full((time, time), -np.inf, dtype=x.dtype), 1)
    weights -= weights.max(axis=-1, keepdims=True)
    np.exp(weights, out=weights)
    weights *= 1 / weights.sum(axis=-1, keepdims=True)
    merged = (weights @ v).swapaxes(1, 2).reshape(-1, features)  # (batch · time, features)
    return (merged @ wo).reshape(x.shape), (x, w_qkv, wo, q, k, v, weights, merged)


def fused_causal_attention_backward(grad_y: np.ndarray, kept: tuple) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Send a gradient backwards through `fused_causal_attention`.

    Args:
        grad_y: (batch, time, features).
        kept: what the forward pass handed on.

    Returns:
        grad_x (batch, time, features), grad_w_qkv (features, 3 · features), grad_wo (features, features).
    """
    x, w_qkv, wo, q, k, v, weights, merged = kept
    batch, time, features = x.shape
    heads, width = weights.shape[1], features // weights.shape[1]
    flat = grad_y.reshape(-1, features)
    grad_out = np.ascontiguousarray((flat @ wo.T).reshape(batch, time, heads, width).swapaxes(1, 2))
    grad_made = np.empty((batch, time, 3, heads, width), dtype=x.dtype)
    grad_q, grad_k, grad_v = grad_made.transpose(2, 0, 3, 1, 4)  # views: (batch, heads, time, width)
    grad_v[...] = weights.mT @ grad_out
    scores = grad_out @ v.mT
    scores -= np.einsum("bhqk,bhqk->bhq", weights, scores)[..., None]
    scores *= weights
    grad_k[...] = scores.mT @ q  # q is scaled already
    grad_q[...] = scores @ k
    grad_q *= 1 / np.sqrt(width).astype(x.dtype)
    grad_rows = grad_made.reshape(-1, 3 * features)
    return (
        (grad_rows @ w_qkv.T).reshape(x.shape),
        x.reshape(-1, features).T @ grad_rows,
        merged.T @ flat,
    )
