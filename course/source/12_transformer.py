# ---
# jupyter:
#   nnlm:
#     title: Self-attention and the Transformer
#     title_zh: 自注意力与 Transformer
#     points: 30
# ---

# %% [markdown]
# # 12 · Self-attention and the Transformer language model (自注意力与 Transformer)
#
# ## Why
#
# A recurrent network reads word by word. A word reaches another n places on only through n steps, each of which shrinks its gradient
# (chapter 9), and each step waits for the one before it. What if every word could look at every other one directly?
#
# After this chapter you can
#
# * say what a query, a key and a value are, and send a gradient through attention;
# * keep a model from reading the future, and test that it does not;
# * build the Transformer's block, and train a language model with it;
# * let it write with a cache, and say what all this costs.

# %%
import math
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from autograder import check
from course.kit.widgets import AttentionExplorer, PositionalMap

HEADS = 2  # of the small language model at the end
Cache = tuple[Tensor, ...]  # keys and values of each layer, in PyTorch

# %% [markdown]
# ## Raw self-attention
#
# Begin with deck C's simplest form. Let x be the vectors of a text, (time, features). The **score** of two words is their dot product; a
# softmax over each row of scores gives weights α; each word becomes the mean of all words with these weights:
#
# $$y_i = \sum_j \alpha_{ij}\, x_j, \qquad \alpha_i = \mathrm{softmax}(x_i \cdot x_1, \dots, x_i \cdot x_n)$$
#
# That is **self-attention** (自注意力). Before you run the next cells, guess what happens to the outputs when the words change places.

# %%
# given: raw_self_attention

# %%
rng = np.random.default_rng(0)
x = rng.normal(size=(4, 8))
y, weights = raw_self_attention(x)
print("weights of each word for itself:", np.diagonal(weights).round(3))
order = [2, 0, 3, 1]
print("shuffled words, shuffled outputs:", np.allclose(raw_self_attention(x[order])[0], y[order]))
print("the score of two words is the same both ways:", np.allclose(x @ x.T, (x @ x.T).T))
longer = [np.diagonal(raw_self_attention(rng.normal(size=(20, d)))[1]).mean() for d in (2, 8, 32, 128)]
print("mean weight for itself, 2, 8, 32, 128 features:", np.round(longer, 3))

# %% [markdown]
# Deck C lists what this lacks:
#
# | defect | cure |
# | --- | --- |
# | order does not count | position vectors are added |
# | one vector plays three roles; each word mostly looks at itself | queries, keys, values |
# | what several words hand over arrives as one mean | several heads |
# | only pairs of words are related, and linearly | layers one upon another, each with a network for every place |
#
# Two more, and their cures, follow below: scores grow with the number of features, and a language model's word must not read its successor.
#
# ## Positions
#
# **Position encodings** (位置编码) give each place p a vector of d features, i = 0 … d − 1: sines and cosines of angles that turn at
# different speeds. They stay between −1 and 1 however long the text is.
#
# $$\mathrm{PE}(p, i) = \begin{cases} \sin\big(p / 10000^{i/d}\big) & i \text{ even} \\ \cos\big(p / 10000^{(i-1)/d}\big) & i \text{ odd}\end{cases}$$
#
# On paper, d = 4, p = 1: sin 1 = 0.8415, cos 1 = 0.5403, then at a hundredth of the speed sin 0.01 = 0.0100, cos 0.01 = 1.0000.
#
# **Position embeddings** (位置嵌入) are a table of vectors that are learned, like word vectors, and end where the table ends. Either is added to the
# word vectors.
#
# ### Exercise 12.1 · Encodings
# ●○○ · 10 min · needs: broadcasting (chapter 1)
#
# <details><summary>Hint: what to think about</summary>
#
# Make one row of exponents, `0 0 2 2 4 4 …` over d, and one column of positions. `np.where` chooses between sine and cosine.
#
# </details>

# %%
# exercise: sinusoidal_encodings

# %%
print(sinusoidal_encodings(np.array([1]), 4).round(4))
encodings = sinusoidal_encodings(np.arange(60), 32)
products = encodings @ encodings.T
print("products at distance 3:", products[0, 3].round(4), products[20, 23].round(4), products[50, 53].round(4))
PositionalMap()

# %% [markdown]
# The product of two encodings depends on their distance alone, for sin a sin b + cos a cos b = cos(a − b). It is largest for the place itself. In the
# map, move the position: the curve of products moves along and keeps its shape. Which features (the map calls them dimensions) tell positions 1
# and 2 apart, and which 1 and 30?
#
# <details><summary>Answer</summary>
#
# Neighbours differ in the first, fast features, and hardly in any other. Over a longer distance slower ones differ too; the slowest have hardly moved even then.
#
# </details>
#
# ## Queries, keys, values
#
# Three matrices give each word three vectors: a **query** (查询) q = xW_Q, what it looks for; a **key** (键) k = xW_K, what it can be found by; a
# **value** (值) v = xW_V, what it hands over. The score is q · k. If the components of both are independent, with mean 0 and variance 1, their
# product has variance d, the number of features of a query. The softmax of large scores is nearly one-hot: its gradient vanishes. So the
# scores are **scaled** (缩放) by 1/√d:
#
# $$Y = \mathrm{softmax}\Big(\frac{QK^\top}{\sqrt d} + M\Big) V$$
#
# M is 0 where a query may look and −∞ where not: the **mask** (掩码). exp(−∞) = 0, so that a masked key gets no weight. In code `mask` is
# bool, True where a query may look; `np.where(mask, scores, -np.inf)` is what adding M comes to.

# %%
rng = np.random.default_rng(1)
for d in (4, 64, 1024):
    q, k = rng.normal(size=(1000, 1, d)), rng.normal(size=(1000, 8, d))
    scores = (q @ k.mT)[:, 0]  # .mT swaps the last two axes
    for scale, name in ((1.0, "raw"), (d**-0.5, "scaled")):
        e = np.exp(scale * (scores - scores.max(axis=1, keepdims=True)))
        p = (e / e.sum(axis=1, keepdims=True)).max(axis=1)  # the largest of 8 weights; p(1 − p) is its slope
        print(
            f"d = {d:4}, {name:6}: variance {np.var(scale * scores):7.1f}, p = {p.mean():.2f}, p(1 − p) = {np.mean(p * (1 - p)):.3f}"
        )

# %% [markdown]
# ### On paper
#
# One query q = (2, 0), keys (1, 1), (0, 3), (2, 5), values 10, 20, 30, d = 2; the third key is masked.
#
# * scores 2/√2 = 1.4142, 0, −∞
# * exp: 4.1133, 1, 0, sum 5.1133
# * weights 0.8044, 0.1956, 0
# * y = 0.8044·10 + 0.1956·20 = 11.956
#
# ### Exercise 12.2 · Scaled dot-product attention
# ●●○ · 20 min · needs: chapter 4's softmax
#
# <details><summary>Hint 1: what to think about</summary>
#
# `k.mT` swaps the last two axes, whatever stands before them. Which scores count when you take the largest off?
#
# </details>
# <details><summary>Hint 2: almost there</summary>
#
# A query that sees nothing has −∞ for its largest score, and −∞ − (−∞) is NaN: take 0 off there. Its sum is 0: divide by 1.
#
# </details>

# %%
# exercise: attention

# %%
y, weights = attention(
    np.array([[2.0, 0.0]]),
    np.array([[1.0, 1.0], [0.0, 3.0], [2.0, 5.0]]),
    np.array([[10.0], [20.0], [30.0]]),
    np.array([[True, True, False]]),
)
print("weights", weights.round(4), "y", y.round(3))

# %% [markdown]
# ## Back through attention
#
# Write S = QKᵀ/√d + M, P = softmax(S), Y = PV. As in chapter 6: grad_V = Pᵀ grad_Y, and grad_P = grad_Y Vᵀ. Now a softmax alone, one row s.
# From p_m = exp(s_m)/Σ exp, raising s_j lifts p_j and lowers all others:
#
# $$\frac{\partial p_m}{\partial s_j} = p_m\,(1[m = j] - p_j).$$
#
# Every p_m hands its share back to s_j, and the shares add up:
#
# $$\text{grad\_s}_j = \sum_m \text{grad\_p}_m\, p_m\,(1[m = j] - p_j) = p_j \Big(\text{grad\_p}_j - \sum_m p_m\, \text{grad\_p}_m\Big).$$
#
# A masked key has p = 0, hence gradient 0: no mask is needed on the way back. S has the factor 1/√d, so grad_Q = grad_S K/√d and grad_K = grad_Sᵀ Q/√d.
#
# On paper, the same example with grad_y = 1: grad_p = 1 · v = (10, 20, 30), its weighted mean 11.956. grad_s = (0.8044·(10 − 11.956),
# 0.1956·(20 − 11.956), 0) = (−1.573, 1.573, 0), which adds up to 0.
#
# ### Exercise 12.3 · The gradient of attention
# ●●● · 20 min · needs: 12.2
#
# <details><summary>Hint: almost there</summary>
#
# Six lines: grad_P; its weighted mean over the last axis, with `keepdims=True`; grad_S, at once divided by √d; then three products.
#
# </details>

# %%
# given: attended

# %%
# exercise: attention_backward

# %%
rng = np.random.default_rng(2)
q, k, v, up = (rng.normal(size=(3, 4)) for _ in range(4))
mask = np.tri(3, dtype=bool)
grad_q, grad_k, grad_v = attention_backward(up, q, k, v, mask, attention(q, k, v, mask)[1])
step = np.zeros((3, 4))
step[0, 1] = 1e-6
moved = [np.sum(up * attended(q, k + side * step, v, mask)) for side in (1, -1)]
print(f"grad_k[0, 1]: {grad_k[0, 1]:.6f}, by differences {(moved[0] - moved[1]) / 2e-6:.6f}")
print("the first word sees itself alone, its weight is 1 whatever its query:", np.abs(grad_q[0]).max() < 1e-12)

# %% [markdown]
# ## Heads, and no look into the future
#
# **Multi-head attention** (多头注意力) cuts the features of xW_Q, xW_K and xW_V into h parts. A model of d features so has heads whose queries, keys
# and values have d/h features: each scales its scores by 1/√(d/h), and has its own softmax. So one may look at the last verb while another looks
# at the last name. What they find is put side by side and mixed by W_O.
#
# A language model predicts word t + 1 at place t, at all places of a window in one pass. The answer to place t is the next word **in the same
# window**. So place t may look at places 0 … t only: the **causal mask** (因果掩码), a lower triangle. Padding is masked as well.

# %%
# given: split_heads

# %%
# given: merge_heads

# %% [markdown]
# ### Exercise 12.4 · Causal heads
# ●●○ · 20 min · needs: 12.2
#
# The check changes a later token and looks whether an earlier output moves. If it does, it says which position (place) has read which token (word).
#
# <details><summary>Hint: what to think about</summary>
#
# The scores have the shape (batch, heads, queries, keys). Which shape must `real`, (batch, time), get to say something about keys?
#
# </details>

# %%
# exercise: causal_self_attention

# %%
rng = np.random.default_rng(3)
x, matrices = rng.normal(size=(1, 6, 8)), [rng.normal(size=(8, 8)) / 3 for _ in range(4)]
every = np.ones((1, 6), dtype=bool)
changed = x.copy()
changed[0, 3] += 1.0
before, after = (causal_self_attention(z, every, *matrices, heads=2) for z in (x, changed))
print("another token 3 moves positions 0 … 5 by", np.abs(after - before).max(axis=2)[0].round(3))
AttentionExplorer()

# %% [markdown]
# Positions 0 to 2 have not moved at all.
#
# In the explorer four heads read one sentence. They were made by hand, to be readable; no model has learned them. Whom does "it" look at? Switch the
# causal mask on: which words lose what they looked at, and why does "it" lose next to nothing? Then take the scaling away and widen the head to 256: what is left of the second-best word?
#
# <details><summary>Answer</summary>
#
# "it" looks at "dog". With the mask, words that find what they look for behind them lose it: "dog" loses "tired", the first "a" loses "ball". "it" has
# only two words behind it, and gave them next to nothing. Without scaling, at 256 features, "dog" has all of it and the second-best word nothing.
#
# </details>
#
# ## Norm, residual, network
#
# **Layer norm** (层归一化) brings the features of each place to mean 0 and variance 1, so that no layer has to cope with ever larger numbers. A gain and a
# bias, learned, follow:
#
# $$\hat x = \frac{x - \mu}{\sqrt{\sigma^2 + \varepsilon}}, \qquad y = \text{gain} \odot \hat x + \text{bias}$$
#
# Every feature moves μ and σ too, so gradients return by three roads. Let g = grad_y ⊙ gain be what arrives at x̂, and a bar the mean over the
# place's n features:
#
# * straight on: g
# * through μ, in which each feature counts 1/n: −ḡ
# * through σ, in which feature i counts x̂_i/n: −x̂ times the mean of g ⊙ x̂
#
# $$\text{grad\_x} = \frac{1}{\sqrt{\sigma^2 + \varepsilon}}\Big(g - \overline{g} - \hat x\; \overline{g \odot \hat x}\Big)$$
#
# y = gain ⊙ x̂ + bias itself gives grad_gain = Σ grad_y ⊙ x̂ and grad_bias = Σ grad_y, summed over all places.
#
# On paper, without ε: x = (0, 0, 3): μ = 1, σ² = 2, x̂ = (−0.7071, −0.7071, 1.4142). With grad_y = (1, 0, 0) and gain 1: ḡ = 0.3333, the mean of
# g ⊙ x̂ is −0.2357, and grad_x = (0.3536, −0.3536, 0), which adds up to 0.

# %%
# given: layer_norm

# %% [markdown]
# ### Exercise 12.5 · Back through the norm
# ●●○ · 15 min · needs: chapter 6
#
# <details><summary>Hint: what to think about</summary>
#
# gain and bias serve at every place: their gradients are sums over all axes but the last.
#
# </details>

# %%
# exercise: layer_norm_backward

# %%
rng = np.random.default_rng(4)
x, up = rng.normal(size=(2, 5)), rng.normal(size=(2, 5))
grad_x, _, _ = layer_norm_backward(up, x, np.ones(5), np.zeros(5))
print("sum of grad_x in each row:", np.abs(grad_x.sum(axis=1)).max() < 1e-12)
print("along x̂:", np.abs((grad_x * layer_norm(x, np.ones(5), np.zeros(5))).sum(axis=1)).max() < 1e-4)

# %% [markdown]
# Shifting all features of a place, or scaling them, does not change what the norm gives. So no gradient points that way, as the cell shows (along x̂ only
# nearly, because of ε).
#
# Attention is a mean, linear in the values. A **feed-forward network** (前馈网络) of two layers, the same at every place, adds what is not linear. And each
# half of the **block** (块) only adds to what it reads, the **residual** (残差连接) of chapter 6:
#
# * x ← x + attention(norm₁(x))
# * x ← x + network(norm₂(x))
#
# This is **pre-norm**. The 2017 paper put the norms behind the sums, **post-norm**: then no straight road leads from the loss to the first layer, and deep
# stacks need a careful warm-up of the rate.

# %%
# given: position_wise

# %% [markdown]
# ### Exercise 12.6 · The block
# ●○○ · 10 min · needs: 12.4
#
# <details><summary>Hint: what to think about</summary>
#
# Take the twelve arrays apart in one line. What does the second half read?
#
# </details>
#
# The way back is given below. Its first half puts your 12.3 between attention's four products, its second half lets your 12.5 pass the norms.

# %%
# exercise: transformer_block

# %%
# given: causal_self_attention_backward

# %%
# given: transformer_block_backward

# %% [markdown]
# ## What it costs
#
# For n words with d features:
#
# | | steps in a row | road between two words | work |
# | --- | --- | --- | --- |
# | recurrent | n | up to n | O(n d²) |
# | self-attention | 1 | 1 | O(n² d), and O(n d²) for Q, K, V |
#
# Twice the window, four times the scores. Deck C writes "faster than an RNN": in training, yes, for all places are computed at once. The work is of the same
# order as long as n is not much larger than d: a recurrent layer's two products are about 2nd², attention's four and its scores 4nd² + 2n²d.
#
# ## Reading on: the cache
#
# To write a word, the model needs the last place's output alone. Its query is new, but keys and values of earlier places are what they were: with the causal
# mask no later word can change them. So they are kept, the **KV cache** (键值缓存), and a new word costs n scores instead of n². The price is memory:
# 2nd numbers for each layer and each text.
#
# ### Exercise 12.7 · With a cache
# ●●○ · 15 min · needs: 12.4
#
# <details><summary>Hint: what to think about</summary>
#
# New place 0 sees all the past and itself. `np.tri(rows, columns, shift)` is a triangle whose diagonal has moved to the right.
#
# </details>

# %%
# exercise: cached_self_attention

# %%
x = np.random.default_rng(5).normal(size=(1, 6, 8))
keys = values = np.zeros((1, 2, 0, 4))
made = []
for t in range(6):
    y, keys, values = cached_self_attention(x[:, t : t + 1], keys, values, *matrices, heads=2)
    made.append(y)
whole = causal_self_attention(x, np.ones((1, 6), dtype=bool), *matrices, heads=2)
print("word by word with the cache equals all at once:", np.allclose(np.concatenate(made, axis=1), whole))
print(f"numbers in the cache: {keys.size + values.size} = 2 · {x.shape[1]} places · {x.shape[2]} features")

# %% [markdown]
# ## A language model
#
# Word vectors plus position vectors, a block, a last norm, and the word vectors again as the output layer: **tied** weights. The loss is chapter 9's, the targets are
# the words shifted by one. No state goes on from window to window; all that the model knows of the past stands in the window.
#
# Which text shows whether a model knows where to look? A tune made of eight different tones: nine times in ten the tone of three places back comes
# again, else it is any tone. The last tone alone says nothing about the next one. Nobody tells the model the distance; its heads must find it.

# %%
# given: echo_text

# %%
TONES = ["do", "re", "mi", "fa", "so", "la", "ti", "oh"]
text, floor = echo_text(np.random.default_rng(0), 72, 201, back=3)
train, test = text[:32, :121], text[32:]
print("a tune:", " ".join(TONES[tone] for tone in train[4, :24]))
again, last = (np.mean(train[:, lag:] == train[:, :-lag]) for lag in (3, 1))
print(f"the tone of three places back comes again {again:.0%} of the time, the last one {last:.0%}")

# %%
# given: masked_lm_loss

# %%
# given: new_transformer_lm

# %%
# given: transformer_lm_logits

# %%
# given: transformer_lm_gradients

# %%
# given: Optimiser

# %%
# given: Adam

# %%
# given: clip_by_global_norm

# %% [markdown]
# ### Exercise 12.8 · Train it
# ●●● · 20 min · needs: 12.2–12.6, chapter 9's training loop
#
# On new tunes the perplexity must be at most 1.3 times the lowest possible one, 1.595; whoever knows nothing has 8. 16 features, Adam with a rate that falls from 0.02
# to 0, and gradients clipped to a norm of 1 do it in a few seconds. The check trains twice, with echoes from three and from two places back.
#
# <details><summary>Hint 1: what to think about</summary>
#
# Which three given functions make one step, and in which order? What becomes smaller from epoch to epoch?
#
# </details>
# <details><summary>Hint 2: almost there</summary>
#
# As in exercise 9.8, without a state: cut out `context` + 1 words, the first `context` are read, the last `context` are the answers. The next window begins
# `context` words later.
#
# </details>

# %%
# exercise: train_transformer_lm

# %%
trained = train_transformer_lm(train, 8, 8, 10, np.random.default_rng(0))
starts = range(0, test.shape[1] - 8, 4)  # windows of eight, four after four; the later four places are judged
words = np.concatenate([test[:, start : start + 8] for start in starts])
answers = np.concatenate([test[:, start + 1 : start + 9] for start in starts])
every = np.ones_like(words, dtype=bool)
logits = transformer_lm_logits(trained, words, every)
nats, _ = masked_lm_loss(logits[:, 4:], answers[:, 4:], every[:, 4:])
print(f"lowest possible {floor:.3f}, knowing nothing 8, yours {np.exp(nats):.3f}")

# %% [markdown]
# Where do its heads look? The tone to come is an echo of the one three places before it. Seen from the place that predicts, how many places back is that? Guess, then run the cell.

# %%
embeddings, positions, gain1, bias1, wq, wk, *_ = trained
normed = layer_norm(embeddings[words] + positions, gain1, bias1)
q, k = (split_heads(normed @ w, HEADS) for w in (wq, wk))
_, weights = attention(q, k, k, np.tri(8, dtype=bool))  # only the weights are wanted
figure, axes = plt.subplots(1, HEADS, figsize=(7, 3.5), layout="constrained")
for head in range(HEADS):
    back = weights[:, head, -1, ::-1].mean(axis=0)  # the last query's row, read backwards
    print(f"head {head}, last place, weight on 0 … 7 places back:", back.round(2))
    axes[head].imshow(weights[:, head].mean(axis=0), cmap="Greys", vmin=0, vmax=1)
    axes[head].set(title=f"head {head}", xlabel="place looked at", ylabel="place that looks")
plt.show()
tune = [0, 2, 4]
while len(tune) < 27:
    read = np.array([tune[-8:]])
    tune.append(int(transformer_lm_logits(trained, read, np.ones_like(read, dtype=bool))[0, -1].argmax()))
print("do mi so, and on:", " ".join(TONES[tone] for tone in tune))

# %% [markdown]
# Two places back from the last tone, and three from the tone to come, stands the one that is heard again. A head that looks five places back has found the echo before it, which
# is mostly the same tone. In the pictures nearly all weight lies two or five places
# back, from the fourth row on. Nobody has told them the distance; the loss has. Had you guessed 3?
#
# ## Real run: the King James text
#
# The same model in PyTorch, with biases, and with a GELU (chapter 3, here in its tanh form) instead of ReLU: one block with four heads, on the text
# of chapters 8 and 9. `perplexity` reads it in overlapping windows, so that each word is judged once, and from at least three quarters of a window. `generate` uses the cache, and begins a new window when the old one is full. (The whole class is in
# `solutions/transformer_lm.py`; the same file reads weights in GPT-2's published layout.)

# %%
# given: CausalSelfAttention

# %%
# given: Block

# %%
# given: TransformerLM

# %% tags=["long-run"]
from course.kit.corpora import load
from course.kit.language_models import generate, perplexity
from course.kit.language_models import train as train_model

torch.set_num_threads(1)  # products this small are done before a second thread has woken up
corpus = load("king_james")
torch.manual_seed(0)
model = TransformerLM(len(corpus.vocabulary), context=64, features=128, heads=4, layers=1, dropout=0.0)
run = train_model(model, corpus, epochs=1.0, rate=4e-3, batch=16, time=64, sampled=256)
print(f"perplexity {perplexity(model, corpus.test):.1f}")

for settings in ({"temperature": 0.7, "top_k": 40}, {"top_p": 0.9}, {}):
    said = generate(
        model, corpus.vocabulary, ["and", "the", "king", "said", "unto"], 40, seed=3, unknown=False, **settings
    )
    text = "and the king said unto " + " ".join(said).replace("<eos>", "/")
    print(f"{settings!s:34}", text.replace(" ,", ",").replace(" .", ".").replace(" ;", ";"), "\n")

# %% [markdown]
# In a minute or two the perplexity comes to about 52. Read once, the text brings this small Transformer past chapter 8's Kneser–Ney bigrams, 65.98, but not
# quite to chapter 9's recurrent network, 49.0, which read it one and a half times.
# Attention assumes nothing about order or nearness and has to learn both from data. Try `layers=2, dropout=0.05`: in twice the time it comes to 55.5 only, worse than one block, for a
# second one needs more text or more readings than one. Its greatest strength does not show on so small a machine: all places of a window are learned from at once, which keeps a large
# one busy. (Last digits differ between machines.)
#
# ## Where it goes wrong
#
# | mistake | symptom |
# | --- | --- |
# | no causal mask | loss near 0 while training, but at the window's last place; with the mask on, a text's first places are worse than guessing |
# | mask after the softmax | rows add up to less than 1 |
# | masked with a large negative number | a query that sees nothing looks at everything |
# | largest score taken over masked keys | weights underflow to 0, then 0/0, or weights of 0 if that is guarded |
# | no 1/√d | one weight near 1, the gradient gone |
# | post-norm, no warm-up | deep stacks do not begin to learn |
# | diagonal not moved in the cache | written words ignore nearly all of the past |
# | longer text than positions | an index error, or vectors that were never trained |

# %% [markdown]
# ## Check yourself
#
# <details><summary>Why do queries and keys have matrices of their own?</summary>
#
# With x · x the scores are symmetric, and each word mostly looks at itself. With two matrices "it" can look for a noun without being looked for by it.
#
# </details>
# <details><summary>The gradient of the first place's query is 0 under a causal mask. Why?</summary>
#
# It sees one key; its weight is 1 whatever the score.
#
# </details>
# <details><summary>What does twice the window cost?</summary>
#
# Four times the scores, twice everything else.
#
# </details>
# <details><summary>Why may keys and values be kept?</summary>
#
# With the causal mask nothing later changes them.
#
# </details>

# %% [markdown]
# explanation: why_attention

# %% [markdown]
# ## Sources and errata
#
# Papers: in the docstrings. Decks: A, C. Deck C writes columns, q = W^q x; ours are rows, q = xW_Q with W_Q = (W^q)ᵀ.
#
# | deck | printed | true | shown by |
# | --- | --- | --- | --- |
# | A | h₀ = SelfAtt(e₀, e₃), h₁ = SelfAtt(e₁, e₃), h₂ = SelfAtt(e₂, e₃), f₃ = FNN([h₀, h₁, h₂, e₃]) | one softmax over all four, and f₃ = FNN(h₃): over a single key it is 1 whatever the score | test |
# | A | Q, K, V are all the same | one text, but three matrices: with Q = K all scores are symmetric | "Raw self-attention", test |
# | A | softmax(QKᵀ/√d_k)V for a language model | with the causal mask, which the drawing calls optional | 12.4 |
# | C | one self-attention cannot attend to several words | it can, but hands over one mean, in which they are mixed | test |
#
# Next: chapter 13 looks at what the word vectors have learned, and at pre-training.
