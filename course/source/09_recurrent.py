# ---
# jupyter:
#   nnlm:
#     title: Recurrent language models
#     title_zh: 循环神经网络
#     points: 27
# ---

# %% [markdown]
# # 9 · Recurrent language models (循环神经网络)
#
# ## Why
#
# Here is a language of eight words: four names, three words about anything, and "said". A sentence is a name, two words about
# anything, "said", and the same name again. To know the name after "said", a model must look four words back; a trigram looks back
# two. Guess the trigram's perplexity, then run the cells below.
#
# After this chapter you can
#
# * build a network whose context has no fixed length, and send its gradient back **through time**;
# * say why that gradient vanishes or explodes, and measure it;
# * batch texts of different lengths, stack layers, read from both sides;
# * choose words boldly or carefully, and train a language model by hand and in PyTorch.

# %%
import math
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import Tensor, nn

from autograder import check
from course.kit import plotting

# %%
# given: name_sentences

# %%
text, floor = name_sentences(np.random.default_rng(0), 400, 301, between=2)
print("a text:", *text[0, :15], "…")
train, test = text[:300], text[300:]
for n in (1, 2, 3, 4, 5):
    counts = np.full((8,) * n, 1e-3)  # one cell for every n-gram
    for t in range(301 - n + 1):
        np.add.at(counts, tuple(train[:, t : t + n].T), 1)
    p = counts / counts.sum(axis=-1, keepdims=True)
    nats = [np.log(p[tuple(test[:, t : t + n].T)]) for t in range(301 - n + 1)]
    print(f"{n}-gram: a table of {counts.size:6,} numbers, perplexity {np.exp(-np.mean(nats)):.3f}")
print(f"nobody can do better than {floor:.3f}")

# %% [markdown]
# Orders 3 and 4 do equally well: all that escapes them is the name after "said", one guess among four. Order 5 sees it, and pays with
# 32,768 numbers for eight words. With 10,000 words its table would have 10²⁰, and one more word in between would call for order 6.
#
# ## A state
#
# Read word by word, and keep a **state** (状态) h that each word changes:
#
# $$h_t = \tanh(x_t U + h_{t-1} W + b)$$
#
# x_t is the vector of the word read at step t, its embedding from chapter 8: (batch, inputs). U: (inputs, features), W: (features,
# features), b: (features,), h_t: (batch, features). Every step uses the same U, W and b: **parameter sharing** (参数共享). So h_t
# depends on all the words so far, however many they are, and the number of parameters stays the same.

# %%
# given: rnn_step

# %% [markdown]
# The decks print the same step in other letters:
#
# | deck | printed | ours |
# | --- | --- | --- |
# | A | TanH(x_t U + h_{t−1} W) | the same, b = 0 |
# | B | f(W_h h_{t−1} + W_x x_t + b), columns | U = W_xᵀ, W = W_hᵀ |
# | C | tanh(W^{xh} x_t + b^{xh} + W^{hh} h_{t−1} + b^{hh}) | b = b^{xh} + b^{hh}: two biases do the work of one |
#
# ### On paper
#
# One input, one feature: u = 0.5, w = 2, b = −0.5, h₀ = 0.25. Read x = 1, then x = 2:
#
# * z₁ = 1·0.5 + 0.25·2 − 0.5 = 0.5, h₁ = tanh 0.5 = 0.4621
# * z₂ = 2·0.5 + 0.4621·2 − 0.5 = 1.4242, h₂ = tanh 1.4242 = 0.8905
#
# Say that h₁ should be 1 and h₂ should be 0: loss = ½(h₁ − 1)² + ½h₂² = 0.1447 + 0.3965 = 0.5411.

# %%
u, w, b = np.array([[0.5]]), np.array([[2.0]]), np.array([-0.5])
h0, x1, x2 = np.array([[0.25]]), np.array([[1.0]]), np.array([[2.0]])
h1 = rnn_step(x1, h0, u, w, b)
h2 = rnn_step(x2, h1, u, w, b)
print(f"h1 {h1[0, 0]:.4f}, h2 {h2[0, 0]:.4f}, loss {0.5 * (h1[0, 0] - 1) ** 2 + 0.5 * h2[0, 0] ** 2:.4f}")

# %% [markdown]
# ## One step back
#
# Write z = xU + hW + b. The state after the step is h_next = tanh z, and the slope of tanh is 1 − h_next². So
#
# $$\text{grad\_z} = \text{grad\_next} \odot (1 - h_{\text{next}}^2).$$
#
# From there on it is chapter 6's affine layer, twice: one that read x through U, one that read h through W.
#
# ### Exercise 9.1 · A step back
# ●○○ · 10 min · needs: chapter 6's `affine_backward`
#
# <details><summary>Hint 1: what to think about</summary>
#
# For y = xW, the gradients are grad_y Wᵀ (of x) and xᵀ grad_y (of W). Here two such products are added up into one z.
#
# </details>
# <details><summary>Hint 2: almost there</summary>
#
# Compute grad_z first; all five answers are one product or one sum of it.
#
# </details>

# %%
# exercise: rnn_step_backward

# %%
# ½(h2 − 0)² sends h2 − 0 back into the second step.
_, grad_h1, grad_u2, grad_w2, grad_b2 = rnn_step_backward(h2 - 0, x2, h1, h2, u, w, b)
print(f"the second step alone: grad_h1 {grad_h1[0, 0]:.4f}, grad_u {grad_u2[0, 0]:.4f}, grad_w {grad_w2[0, 0]:.4f}")
eps = 1e-6
moved = [0.5 * rnn_step(x2, h1 + side, u, w, b)[0, 0] ** 2 for side in (eps, -eps)]
print(f"by differences: grad_h1 {(moved[0] - moved[1]) / (2 * eps):.4f}")

# %% [markdown]
# ## A sequence, and padding
#
# Drawn side by side, the steps are a deep network whose layers share their weights: the **unrolled** network (展开).
#
# Texts of different lengths share a batch when the short ones are **padded** (填充); a mask, (batch, time), is True where a real word
# stands. A padded place must not change the state: h_t = h_{t−1} there. Then `states[:, -1]` holds the last state of every text, long
# or short.
#
# ### Exercise 9.2 · Read a sequence
# ●○○ · 10 min · needs: `rnn_step`
#
# <details><summary>Hint: what to think about</summary>
#
# `np.where(condition, a, b)` takes a where the condition holds, else b; give the condition the shape (batch, 1).
#
# </details>

# %%
# exercise: rnn_forward

# %%
rng = np.random.default_rng(1)
weights = rng.normal(size=(2, 3)), 0.8 * rng.normal(size=(3, 3)), np.zeros(3)
x = rng.normal(size=(2, 4, 2))  # two texts
mask = np.array([[True, True, True, True], [True, True, False, False]])
states = rnn_forward(x, np.zeros((2, 3)), mask, *weights)
print("text 2, places 2 to 4:", *(states[1, t].round(3) for t in (1, 2, 3)))
changed = x.copy()
changed[0, 0] += 1.0  # another first word
moves = np.abs(rnn_forward(changed, np.zeros((2, 3)), mask, *weights) - states)[0].max(axis=1)
print("another first word changes h1 … h4 by", *(f"{move:.3f}" for move in moves))

# %% [markdown]
# Deck A draws such a row of steps and writes P(w₂) under the first, P(w₃|w₂) under the second, and so on. But the first step has read
# w₁, and you have just seen w₁ change every state that follows. What stands there is P(w₂|w₁), P(w₃|w₁w₂), …, as the deck's own
# sentence above the drawing says.
#
# ## Back-propagation through time (随时间反向传播, BPTT)
#
# The state h₁ has two roads to the loss: its own place, and h₂. Where roads part, gradients add up. Backwards on paper, from
# grad_h₂ = h₂ − 0 = 0.8905:
#
# * grad_z₂ = 0.8905·(1 − 0.8905²) = 0.1844
# * grad_h₁ = (0.4621 − 1) + 0.1844·2 = −0.5379 + 0.3687 = −0.1691
# * grad_z₁ = −0.1691·(1 − 0.4621²) = −0.1330

# %% [markdown]
# U, W and b were used twice, so their gradients are sums over the steps:
#
# * grad_w = 0.1844·h₁ + (−0.1330)·h₀ = 0.0852 − 0.0333 = 0.0519
# * grad_u = 0.1844·2 − 0.1330·1 = 0.2357
# * grad_b = 0.1844 − 0.1330 = 0.0514
# * grad_h₀ = −0.1330·2 = −0.2660
#
# The widget goes through these numbers one by one. Predict each before you click.

# %%
from course.kit.widgets import UnrolledNetwork

UnrolledNetwork()

# %% [markdown]
# ### Exercise 9.3 · Through time
# ●●● · 25 min · needs: 9.1, 9.2
#
# <details><summary>Hint 1: what to think about</summary>
#
# Walk from the last place to the first and carry one array: what h_t gets from everything later.
#
# </details>
# <details><summary>Hint 2: which identity</summary>
#
# Where a state was copied, h_t = h_{t−1}, the gradient is copied too, and nothing reaches x or the parameters.
#
# </details>
# <details><summary>Hint 3: almost there</summary>
#
# At each place, add its own gradient to the array you carry. Call `rnn_step_backward` with that, set to 0 in padded rows. Carry on what
# comes back for h where the word is real, and the array as it was where it is not. Add up the three parameters' shares. The state before
# place 0 was h0; `states[:, -1]` is the **last** one.
#
# </details>

# %%
# exercise: rnn_backward

# %%
two = np.array([[[1.0], [2.0]]])  # (1 text, 2 steps, 1 input)
every = np.ones((1, 2), dtype=bool)
states = rnn_forward(two, h0, every, u, w, b)
own = states - np.array([[[1.0], [0.0]]])
names = ("grad_x", "grad_h0", "grad_u", "grad_w", "grad_b")
for name, grad in zip(names, rnn_backward(own, two, h0, every, states, u, w, b), strict=True):
    print(name, grad.round(4).ravel())


def loss_at(w_now: float) -> float:
    """The paper example's loss for another w."""
    return 0.5 * float(np.sum((rnn_forward(two, h0, every, u, np.array([[w_now]]), b) - [[[1.0], [0.0]]]) ** 2))


print(f"grad_w by differences: {(loss_at(2 + eps) - loss_at(2 - eps)) / (2 * eps):.4f}")

# %% [markdown]
# ## A language model's loss
#
# At every place the state predicts the next word: logits_t = h_t V + c, with V: (features, vocabulary), then softmax and cross-entropy.
# One reading of a text gives a loss at every place that has a next word. The loss of a batch is their mean over **all its real words**,
# not the mean of the texts' means, where a word of a short text would weigh more.
#
# Deck B takes 1/T Σ −log ŷ^t of x_{t+1} over t = 1 … T. But a text of T words has no word T + 1: there are T − 1 answers, or T if the
# end counts as a word, `<eos>`.

# %% [markdown]
# ### Exercise 9.4 · A loss that knows padding
# ●●○ · 15 min · needs: chapter 4's softmax and cross-entropy
#
# <details><summary>Hint 1: what to think about</summary>
#
# A weight for each place, 1/(number of real words) or 0, multiplies the loss **and** its gradient.
#
# </details>
# <details><summary>Hint 2: almost there</summary>
#
# log ŷ as in chapter 4's `log_softmax`, with each place's largest logit taken off first. The gradient of one place's loss is ŷ − y, with y
# one-hot.
#
# </details>

# %%
# exercise: masked_lm_loss

# %%
logits = np.zeros((2, 4, 8))
logits[0, :, 3] = 4.0  # sure of word 3 in the long text, no idea in the short one
targets, mask = np.full((2, 4), 3), np.array([[True] * 4, [True] + [False] * 3])
loss, grad = masked_lm_loss(logits, targets, mask)
long, short = np.log(1 + 7 * np.exp(-4.0)), np.log(8.0)
print(f"loss {loss:.4f} = (4·{long:.4f} + 1·{short:.4f})/5; mean of the texts' means: {(long + short) / 2:.4f}")
print("gradient at the padded places:", np.abs(grad[1, 1:]).max())

# %% [markdown]
# ## What becomes of the gradient
#
# Let only the last state feed the loss. Each step back multiplies the row ∂L/∂h by the slopes, entry by entry, then by Wᵀ:
#
# $$\frac{\partial L}{\partial h_t} = \frac{\partial L}{\partial h_T}\; D_T W^\top\; D_{T-1} W^\top \cdots D_{t+1} W^\top, \qquad D_k = \mathrm{diag}(1 - h_k^2).$$
#
# Deck B prints the factors ∂h_{k+1}/∂h_k with the earliest first. That order is right for columns and transposed Jacobians; otherwise the
# latest comes first. Matrices do not commute, as the second cell after exercise 9.5 shows.
#
# No slope is above 1. So one step back lengthens the gradient at most by the factor ‖W‖, W's largest singular value: the most by which W
# lengthens any vector. For many steps with all slopes 1, what counts is the **spectral radius** (谱半径) ρ, the largest |eigenvalue|: in
# the long run each step multiplies the length by about ρ.

# %%
# given: with_spectral_radius

# %% [markdown]
# ### Exercise 9.5 · How much arrives
# ●●○ · 10 min · needs: 9.1
#
# <details><summary>Hint: what to think about</summary>
#
# The step from h_t to h_{t−1} passes the tanh that made h_t. How many steps lie between `time` states?
#
# </details>

# %%
# exercise: gradient_norms

# %%
rng, one = np.random.default_rng(0), np.ones((1, 40)) / np.sqrt(40)  # a gradient of length 1
draw, inputs = rng.normal(size=(40, 40)), rng.normal(size=(1, 301, 40))
figure, axes = plt.subplots(figsize=(7, 3), layout="constrained")
for radius, style in [(0.8, ":"), (1.0, "-"), (1.2, "--")]:
    w40 = with_spectral_radius(draw, radius)
    for size, colour in [(0.0, "blue"), (0.5, "vermilion")]:  # without words the states stay 0, and all slopes are 1
        h = rnn_forward(size * inputs, np.zeros((1, 40)), np.ones((1, 301), bool), np.eye(40), w40, np.zeros(40))
        norms = gradient_norms(one, h, w40)
        factor = (norms[300] / norms[100]) ** (1 / 200)
        label = f"ρ = {radius}, {'with words' if size else 'all states 0'}"
        print(f"{label}: lag 10 {norms[10]:.2g}, lag 50 {norms[50]:.2g}; a step of the long run × {factor:.3f}")
        axes.semilogy(norms[:101], ls=style, color=plotting.COLOURS[colour], label=label)
axes.set(xlabel="lag", ylabel="length of ∂L/∂h", ylim=(1e-16, 1e9))
axes.legend(fontsize=7)
plt.show()

# %% [markdown]
# With all states 0 every slope is 1, and in the long run a step multiplies by ρ: with 0.8 the gradient **vanishes** (梯度消失), with 1.2 it
# **explodes** (梯度爆炸). With words the slopes are smaller, and even with ρ = 1.2 it vanishes. Nor does ρ < 1 promise anything about
# the first steps:

# %%
shear = np.array([[0.5, 4.0], [0.0, 0.5]])  # both eigenvalues are ½
print("ρ = 0.5, ‖W‖ =", np.linalg.norm(shear, 2).round(2), "lengths:", end=" ")
print(*gradient_norms(np.ones((1, 2)), np.zeros((1, 12, 2)), shear).round(2))
rng = np.random.default_rng(2)
h = np.tanh(rng.normal(size=(3, 4)))  # three steps' states
jacobians = [np.diag(1 - row**2) @ rng.normal(size=(4, 4)) for row in h]  # ∂h_k+1/∂h_k, one row an output
last = rng.normal(size=4)
right = last @ jacobians[2] @ jacobians[1] @ jacobians[0]
print(
    "latest factor first:",
    right.round(3),
    " earliest first:",
    (last @ jacobians[0] @ jacobians[1] @ jacobians[2]).round(3),
)

from course.kit.widgets import GradientThroughTime

GradientThroughTime()

# %% [markdown]
# Although ρ = 0.5, the gradient first trebles, for ‖W‖ is 4.06. In the widget, set Words to 0: at ρ = 0.95 lag 40 keeps 5 % of the
# gradient, at 1 it keeps 41 %, at 1.05 it has nearly trebled. Then make the words larger.
#
# **Clipping** (梯度裁剪) shortens a long gradient; a vanished one it leaves as it is. Vanishing means that **near** lags drown the far
# ones: a plain recurrent network reads texts of any length, and learns to use only the last words. (Deck A's "memory of any length" is
# what h can depend on.) What helps is to keep each step's factor near 1: with a W that starts out orthogonal, or near the identity; or with
# a road around the tanh, as in chapter 6's skip and chapter 10's LSTM.

# %% [markdown]
# ## Deeper, and from both sides
#
# The states of one recurrent layer can be what another reads: **stacked** layers (堆叠). And where the whole text is known, one layer can
# read it from the left and another from the right: **bidirectional** (双向). Each place then has two states, side by side.
#
# ### Exercise 9.6 · From both sides
# ●●○ · 15 min · needs: 9.2
#
# <details><summary>Hint 1: what to think about</summary>
#
# `x[:, ::-1]` turns the places round. The padding then stands in front; what does your `rnn_forward` do there?
#
# </details>
# <details><summary>Hint 2: almost there</summary>
#
# Turn words **and** mask, read, turn the states back. Put both halves together, set padded places to 0, and that is the next layer's x.
#
# </details>

# %%
# exercise: bidirectional_rnn

# %%
rng = np.random.default_rng(3)


def triple(inputs: int) -> tuple:
    """A small layer."""
    return rng.normal(size=(inputs, 2)), 0.5 * rng.normal(size=(2, 2)), np.zeros(2)


layers = [(triple(3), triple(3)), (triple(4), triple(4))]
x, mask = rng.normal(size=(1, 5, 3)), np.ones((1, 5), dtype=bool)
later = x.copy()
later[0, 4] += 1.0  # another **last** word
moves = np.abs(bidirectional_rnn(later, mask, layers) - bidirectional_rnn(x, mask, layers))[0].max(axis=1)
print("another last word changes places 1 … 5 by", *(f"{move:.4f}" for move in moves))

# %% [markdown]
# The last word has reached every place, even the first, though little of it arrives there. That is welcome where words are labelled, and
# cheating in a language model, which would find the answer in its input.
#
# ## Choosing the next word
#
# A model gives probabilities; something must choose. **Greedy** (贪心): always the most probable word. **Temperature** (温度) T: divide the
# logits by T; a small T is careful, a large one bold. **Top-k**: only the k most probable words. **Nucleus** (核采样, top-p): only the most
# probable words, as few as add up to p or more, so that the set is small where the model is sure and large where it is not.
#
# On paper, with 0.5, 0.2, 0.15, 0.1, 0.05: top-3 keeps 0.85 and divides by it, 0.588, 0.235, 0.176. The nucleus of 0.6 keeps two words, for
# the first alone is too little: 0.714, 0.286.

# %% [markdown]
# ### Exercise 9.7 · Careful or bold
# ●●○ · 20 min · needs: chapter 4's softmax
#
# <details><summary>Hint 1: what to think about</summary>
#
# `np.argsort(-p, kind="stable")` lists the words, most probable first, equal ones by number.
#
# </details>
# <details><summary>Hint 2: which identity</summary>
#
# A word belongs to the nucleus if the words **before** it in that list add up to less than top_p.
#
# </details>
# <details><summary>Hint 3: almost there</summary>
#
# Deal with temperature 0 first, and return. Then softmax of (logits − largest)/temperature; zeros where top_k cuts, divide by the sum; the
# same for the nucleus.
#
# </details>

# %%
# exercise: word_probabilities

# %%
scores = np.log([0.5, 0.2, 0.15, 0.1, 0.05])
for settings in ({}, {"temperature": 0.5}, {"temperature": 2.0}, {"top_k": 3}, {"top_p": 0.6}, {"temperature": 0.0}):
    print(f"{settings!s:20}", word_probabilities(scores, **settings).round(3))

from course.kit.widgets import WordSampler

WordSampler()

# %% [markdown]
# ## Training: truncated BPTT (截断的 BPTT)
#
# Running text may go on for a million words, too many to send a gradient back through. So it is read in **pieces**: the state goes on from
# piece to piece, the gradient stops at the border. Then a step of training costs the same, however long the text.
#
# You have all the parts. `rnn_lm_gradients` puts **your** functions together: word vectors, states, loss, and the way back. Adam and
# clipping come from chapter 7.

# %%
# given: Optimiser

# %%
# given: Adam

# %%
# given: clip_by_global_norm

# %%
# given: new_rnn_lm

# %%
# given: rnn_lm_gradients

# %% [markdown]
# ### Exercise 9.8 · A model that remembers
# ●●● · 25 min · needs: 9.2–9.4
#
# Train on the language of names. On new text the perplexity must be at most 1.2 times the lowest possible one; a model that never learns
# the name stays at 1.32 times. Some 24 features, Adam with a rate that falls from 0.01 to 0 (set `optimiser.lr` before each step), and
# gradients clipped to a norm of 1 do it in a second or two. No place is padded: the mask is True everywhere.
#
# <details><summary>Hint 1: what to think about</summary>
#
# To read `time` words and have an answer for each, cut out `time` + 1 words. Where does the next piece begin?
#
# </details>
# <details><summary>Hint 2: almost there</summary>
#
# Before the loops: `new_rnn_lm`, and one `Adam` for all six arrays. Zeros for h at the start of an epoch; in the inner loop `_, grads, h =
# rnn_lm_gradients(…)`, clip (a pair comes back: the gradients, and the norm), step.
#
# </details>

# %%
# exercise: train_rnn_lm


# %%
def judge(parameters: list, text: np.ndarray) -> float:
    """Perplexity on text, read from a state of zeros."""
    every = np.ones_like(text[:, 1:], dtype=bool)
    h = np.zeros((len(text), len(parameters[2])))
    return math.exp(rnn_lm_gradients(parameters, text[:, :-1], text[:, 1:], every, h)[0])


trained = train_rnn_lm(text[:32, :201], 8, 4, 20, np.random.default_rng(0))
print(f"lowest possible {floor:.3f}, blind for names {floor * 4 ** (1 / 5):.3f}, yours {judge(trained, test):.3f}")
longer, lowest = name_sentences(np.random.default_rng(1), 64, 201, between=3)
print(f"three words between: lowest {lowest:.3f}, blind {4 ** (1 / 6):.2f} times that")
for time in (2, 4, 12):
    result = judge(train_rnn_lm(longer[:32], 8, time, 20, np.random.default_rng(0)), longer[32:])
    print(f"pieces of {time:2}: {result / lowest:.2f} times")

# %% [markdown]
# In exercise 9.8 a piece of 4 can just hold a name and its "said". With three words between, no piece of 2 or 4 holds both. The state still carries a
# trace of the name across the border, but the gradient never reaches the step that read it: pieces of 2 stay blind, pieces of 4 learn to use
# some of the trace, pieces of 12 learn nearly all. **Truncation limits what is learned, not what is remembered.**
#
# Now let your model speak, with your sampler.


# %%
def speak(parameters: list, length: int, seed: int, **settings: Any) -> list[int]:
    """Draw words one by one; each is read before the next is drawn."""
    embeddings, u, w, b, v, c = parameters
    rng, h, words = np.random.default_rng(seed), np.zeros((1, len(b))), [1]
    for _ in range(length):
        h = rnn_step(embeddings[words[-1:]], h, u, w, b)
        words.append(int(rng.choice(8, p=word_probabilities((h @ v + c)[0], **settings))))
    return words


for settings in ({}, {"temperature": 3.0}, {"temperature": 0.0}):
    print(f"{settings!s:20}", *speak(trained, 24, 0, **settings))

# %% [markdown]
# At temperature 1 the name after each 0 ("said") is the one its sentence began with. At 3 the grammar breaks. Greedy throws no dice:
# whatever the seed, it writes this same text.
#
# ### Break it: no clipping
#
# Plain descent at a high rate, from a W of radius 2. A model that knows nothing has a loss of ln 8 = 2.08, the best possible one has
# ln 2.048 = 0.72. The lengths are taken before clipping. Guess which run comes near 0.72.

# %%
for limit in (math.inf, 1.0):
    parameters = new_rnn_lm(np.random.default_rng(1), 8, 24)
    parameters[2] *= 2.0
    losses, longest = [], 0.0
    for step in range(150):
        piece = text[:32, 20 * step % 260 :][:, :21]
        every = np.ones_like(piece[:, 1:], dtype=bool)
        loss, grads, _ = rnn_lm_gradients(parameters, piece[:, :-1], piece[:, 1:], every, np.zeros((32, 24)))
        clipped, norm = clip_by_global_norm(grads, limit)
        longest = max(longest, norm)
        for parameter, grad in zip(parameters, clipped, strict=True):
            parameter -= 3.0 * grad
        losses.append(loss)
    last = losses[-50:]
    print(
        f"limit {limit}: longest gradient {longest:.1f}; last 50 losses {np.mean(last):.2f} on average, up to {max(last):.2f}"
    )

# %% [markdown]
# Without clipping, a few long gradients at the start throw the weights far off: the loss jumps up, and is still high at the end.
#
# ## Real run: the King James text
#
# Now chapter 8's text: 853,000 words to learn from, 10,000 different ones, whole chapters held out. The network is the same, in PyTorch:
# `nn.RNN` is your 9.2, with Elman's formula and **two** biases. Its weights are **tied** (权重绑定): the output layer uses the table of
# word vectors, transposed, as its V.
#
# `train` reads 16 rows side by side in pieces of 20, as you did. With 10,000 words the softmax would be most of the work, so while it
# learns, each step compares the right words with 256 drawn ones (**sampled softmax**, 采样 softmax); `perplexity` uses all. For
# comparison, the cell also judges a mixture of counts: 0.7 times bigrams, 0.3 times single words.

# %%
# given: SharedDropout

# %%
# given: ElmanLM

# %% tags=["long-run"]
from course.kit.corpora import load
from course.kit.language_models import perplexity
from course.kit.language_models import train as train_model

torch.set_num_threads(1)  # products this small are done before a second thread has woken up
corpus = load("king_james")
torch.manual_seed(0)
model = ElmanLM(len(corpus.vocabulary), features=160)
run = train_model(model, corpus, epochs=1.5, rate=4e-3, batch=16, time=20, sampled=256)

words = corpus.train  # below, the pair of words a, b is the number 10,000·a + b
pairs, singles = np.unique(words[:-1].astype(np.int64) * 10_000 + words[1:], return_counts=True), np.bincount(words)
held = corpus.test.astype(np.int64)
asked = held[:-1] * 10_000 + held[1:]
place = np.minimum(np.searchsorted(pairs[0], asked), len(pairs[0]) - 1)
# Count of each pair asked for, 0 where it never occurred, divided by the count of its first word.
seen = np.where(pairs[0][place] == asked, pairs[1][place], 0) / np.maximum(singles[held[:-1]], 1)
mixed = 0.7 * seen + 0.3 * (singles[held[1:]] + 1) / (len(words) + 10_000)
print(f"mixed bigrams {np.exp(-np.log(mixed).mean()):.1f}; yours {perplexity(model, corpus.test):.1f}")


# %% tags=["long-run"]
def write(prompt: str, length: int, seed: int, **settings: Any) -> str:
    """Let the model go on from a prompt, with your sampler."""
    rng, state = np.random.default_rng(seed), None
    said, read = prompt.split(), [corpus.vocabulary.end, *corpus.vocabulary.encode(prompt.split())]
    model.eval()
    with torch.no_grad():
        for _ in range(length):
            features, state = model(torch.tensor([read]), state)
            scores = model.output(features[0, -1]).double().numpy()
            scores[corpus.vocabulary.unknown] = -1000.0
            read = [int(rng.choice(len(scores), p=word_probabilities(scores, **settings)))]
            said.append(corpus.vocabulary.words[read[0]])
    return " ".join(said).replace("<eos>", "/").replace(" ,", ",").replace(" .", ".").replace(" ;", ";")


for settings in ({"temperature": 0.0}, {"top_p": 0.9}, {"temperature": 0.7, "top_k": 40}, {}):
    print(f"{settings!s:34}", write("and the king said unto", 40, 3, **settings), "\n")

# %% [markdown]
# In under a minute the network has left the mixed bigrams behind, and chapter 8's Kneser–Ney bigrams, 65.98, as well. Kneser–Ney with three
# words is at 47.04, with five at 41.15: counting remembers exactly, the network generalises. More epochs, features and dropout help the network;
# chapter 10 lets it remember longer. Greedy text turns in a circle. (Last digits differ between machines.)
#
# By hand, but fast: `solutions/recurrent.py` ends with a fused version of 9.2 and 9.3, one product for all inputs and one for each weight;
# `nnlm bench numpy_layers` races it against PyTorch.

# %% [markdown]
# ## Where it goes wrong
#
# | mistake | symptom |
# | --- | --- |
# | gradient of one step instead of the sum | learns slowly, near lags only |
# | `states[:, t - 1]` at t = 0 | the last state stands in for h0: grad_w alone is wrong |
# | state thrown away between pieces | nothing longer than a piece is remembered |
# | mean over padded places | loss falls with more padding |
# | reading the padding | the last state of a short text has read padding, too |
# | both sides in a language model | perplexity near 1: it has seen the answer |
# | no clipping | a step off the cliff, loss jumps |
# | words drawn without being read | the same distribution again and again |

# %% [markdown]
# ## Check yourself
#
# <details><summary>Why does a recurrent network need no larger table for a longer context?</summary>
#
# The same U, W and b serve at every step; the context is folded into a state of fixed size.
#
# </details>
# <details><summary>PyTorch's nn.RNN has two biases. What are their gradients?</summary>
#
# Equal: only their sum enters z.
#
# </details>
# <details><summary>ρ = 1.2. Does the gradient explode?</summary>
#
# Not if the slopes 1 − h² outweigh it, as with words after 9.5.
#
# </details>
# <details><summary>What does temperature 0.5 make of the probabilities 0.5, 0.2, 0.15, 0.1, 0.05?</summary>
#
# Their squares, divided by the sum of the squares: 0.769, 0.123, 0.069, 0.031, 0.008.
#
# </details>

# %% [markdown]
# explanation: why_gradients_vanish

# %% [markdown]
# ## Sources and errata
#
# Papers: in the docstrings. Decks: A, B, C.
#
# | deck | printed | true | shown by |
# | --- | --- | --- | --- |
# | A | P(w₂), P(w₃\|w₂), … under cells that have read w₁ | P(w₂\|w₁), P(w₃\|w₁w₂), … | cell after 9.2 |
# | B | ŷ = softmax(Uh + b₂), no step | h_t, one at each step | 9.4 |
# | B | 1/T over t = 1 … T of x_{t+1} | T words have T − 1 answers, or an `<eos>` | 9.4 |
# | B | ∂h²/∂h¹ × ∂h³/∂h² × … × ∂J/∂h⁴ | that order for transposed Jacobians only | second cell after 9.5 |
# | A | remembers a history of any length | can depend on it; training finds the near part | 9.5, 9.8 |
# | C | two biases | one suffices; their gradients are equal | test |
#
# Next: chapter 10 gives the state a road without slopes, the LSTM.
