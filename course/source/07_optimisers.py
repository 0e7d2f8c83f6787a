# ---
# jupyter:
#   nnlm:
#     title: Optimisers and the craft of training
#     title_zh: 优化器与训练技巧
#     points: 24
# ---

# %% [markdown]
# # 7 · Optimisers and the craft of training (优化器与训练技巧)
#
# ## Why
#
# Chapter 6 gave every gradient; its training was ragged all the same. Here is the reason in two weights: a valley with the
# loss ½(100·w₁² + w₂²), steep across and flat along. Descent with the **learning rate** (学习率) η multiplies w₁ by 1 − 100η and
# w₂ by 1 − η at each step. Guess the best η, then run.
#
# After this chapter you can
#
# * write momentum (with Nesterov's too), Adam, AdamW and AMSGrad, equal to PyTorch's, and read six more;
# * draw first weights that let a signal through ten layers;
# * shuffle, clip, drop out, stop early, and let late workers help;
# * compare optimisers fairly, on unseen text.

# %%
import math
from collections.abc import Callable, Iterator
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch

from autograder import check
from course.kit import plotting
from course.kit.corpora import king_james
from course.kit.training import fit, seeded

STEEP = np.array([100.0, 1.0])
for eta in (0.01, 0.0195, 0.0205):
    w = np.ones(2)
    for _ in range(100):
        w = w - eta * STEEP * w
    print(f"η = {eta}: loss after 100 steps {0.5 * np.sum(STEEP * w**2):.3g}")

# %% [markdown]
# Above η = 2/100 the steep direction explodes; just below, the flat one still crawls. One rate cannot suit both. This chapter
# mends the **step** first, then everything around it.
#
# ## Which gradient?
#
# **Batch** descent (批量梯度下降) takes the mean over all n samples, **stochastic** descent (SGD, 随机梯度下降) one sample,
# **mini-batch** descent (小批量梯度下降) the mean over m. All three point the same way on average. A mean of m random rows
# misses by σ/√m: four times the work halves the noise. So small batches give more steps for the same work.
#
# **Shuffling** (打乱): if the file ends with fifty equal sentences (deck E's example), an unshuffled epoch ends with
# fifty steps that all serve that one sentence.

# %%
rng = np.random.default_rng(0)
slopes = rng.normal(1.0, 2.0, size=10_000)  # each sample's own gradient at some w; the mean is 1
for m in (1, 4, 16, 64):
    noise = np.std([slopes[rng.integers(10_000, size=m)].mean() for _ in range(4000)])
    print(f"m = {m:2d}: the mini-batch gradient misses by {noise:.2f}; σ/√m = {slopes.std() / np.sqrt(m):.2f}")

# %% [markdown]
# ### Exercise 7.1 · Mini-batches
# ●○○ · 5 min · needs: nothing
#
# The iterator that feeds every training run from here on. `yield` hands out one batch and waits for the next request; `return`
# would end after the first.
#
# <details><summary>Hint 1: what to think about</summary>
#
# Which one array of row numbers can serve x and y?
#
# </details>
# <details><summary>Hint 2: almost there</summary>
#
# Draw the order once, then walk through it in slices of `size`; a slice that reaches beyond the end is shorter.
#
# </details>

# %%
# exercise: minibatches

# %%
letters = np.array(list("abcdefg"))
for epoch in range(2):
    print(
        [("".join(rows), answers.tolist()) for rows, answers in minibatches(letters, np.arange(7), 3, seeded(0, epoch))]
    )
w, sorted_y = 0.0, np.array([0.0] * 50 + [10.0] * 50)  # one number w for all: their mean, 5, is best
for y in sorted_y:
    w -= 0.1 * (w - y)  # the gradient of ½(w − y)² is w − y
mixed = 0.0
for _, y in minibatches(sorted_y, sorted_y, 1, np.random.default_rng(1)):
    mixed -= 0.1 * (mixed - y[0])
print(f"best constant 5; after one sorted epoch {w:.2f}, after a shuffled one {mixed:.2f}")

# %% [markdown]
# Sorted, the last fifty answers have the say. Shuffled, w is near 5, and still trembles: each step follows one answer.
#
# ## One frame for all optimisers
#
# An **optimiser** (优化器) keeps the parameters and, beside each, some memory. Only one method differs: `change` gives what to
# subtract from a parameter, and `step` subtracts it. The frame writes **into** the arrays (`w -= …`), so that the network, which
# holds the same arrays, sees the new values. Plain descent needs no memory; its **weight decay** (权重衰减) adds λw to the gradient,
# which pulls every weight towards 0.

# %%
# given: Optimiser

# %%
# given: SGD

# %% [markdown]
# ## Momentum (动量)
#
# A rolling ball keeps its velocity v. Pushes across the valley cancel in it, pushes along the valley add up.
#
# $$v \leftarrow \mu v + g, \qquad w \leftarrow w - \eta v.$$
#
# With g = 1 for ever and μ = 0.9: v = 1, 1.9, 2.71, …, towards 1/(1 − μ) = 10. **Nesterov** (涅斯捷罗夫) steps by g + μv, with the
# new v: what v would be next if g stayed. It looks one push ahead.
#
# Deck E writes v ← γv + ηg: the same path while η stays.
#
# ### Exercise 7.2 · Momentum
# ●○○ · 10 min · needs: the frame
#
# <details><summary>Hint 1: what to think about</summary>
#
# What has to be in `state["velocity"]` when the next step comes?
#
# </details>
# <details><summary>Hint 2: almost there</summary>
#
# Put the new velocity back, then return η times v, or η times (g + μv).
#
# </details>

# %%
# exercise: Momentum


# %%
def race(make, steps: int = 100) -> float:
    """The valley's loss after some steps from (1, 1)."""
    w = np.ones(2)
    optimiser = make([w])
    for _ in range(steps):
        optimiser.step([STEEP * w])
    return float(0.5 * np.sum(STEEP * w**2))


ball = Momentum([np.zeros(1)], lr=1.0, momentum=0.9)
for _ in range(3):
    ball.step([np.ones(1)])
    print("v =", ball.state[0]["velocity"].round(2), end="  ")
print(f"\nplain {race(lambda p: SGD(p, 0.0195)):.1e}", end="  ")
print(f"momentum {race(lambda p: Momentum(p, 0.01)):.1e}", end="  ")
print(f"Nesterov {race(lambda p: Momentum(p, 0.01, nesterov=True)):.1e}")

# %% [markdown]
# At half the rate, momentum gets a hundred times lower. But it is still one rate for all.
#
# ## A rate for each weight
#
# The embedding of a rare word gets a gradient once in a thousand steps, that of "the" in nearly every one. **Adagrad** divides each
# weight's step by the root of the sum of its squared gradients, G = Σg²: what seldom moved moves further. (Deck E calls G a
# variance; no mean is taken off.) But G only grows, so all rates fall for ever. **RMSprop** keeps a **rolling mean** (滑动平均)
# instead, s ← αs + (1 − α)g². **Adadelta** also replaces η by the size of its own recent steps; ε **inside** its roots gets it going.
#
# Read these three; they are your pattern for Adam.

# %%
# given: Adagrad

# %%
# given: RMSprop

# %%
# given: Adadelta

# %%
makers = {
    "Adagrad": lambda p: Adagrad(p, 0.1),
    "RMSprop": lambda p: RMSprop(p, 0.1, alpha=0.9),
    "Adadelta": lambda p: Adadelta(p, 1.0),
}
for name, make in makers.items():
    steps = []
    for g in (0.01, 1.0):
        w = np.zeros(1)
        optimiser = make([w])
        for _ in range(100):
            before = w.copy()
            optimiser.step([np.full(1, g)])
            steps.append(float(before[0] - w[0]))
    print(
        f"{name:>8}, g = 0.01: step 1 {steps[0]:.4f}, step 100 {steps[99]:.4f}; g = 1: {steps[100]:.4f}, {steps[199]:.4f}"
    )

# %% [markdown]
# A gradient a hundred times as large, nearly the same step. Adagrad's falls as 1/√t. RMSprop's first is 1/√0.1 = 3.2 times too
# long, since s starts at 0. Adam mends that.
#
# ## Adam, and its bias correction (偏差修正)
#
# A fraction: momentum above the bar, RMSprop below it. Both are rolling means, m of g and v of g², with β₁ and β₂ for α. Take g = 2
# for ever, β₁ = 0.9, β₂ = 0.999. Step 1: m = 0.1·2 = 0.2 and v = 0.001·4 = 0.004, although the means are 2 and 4. After t steps of
# a constant gradient
#
# $$m_t = (1-\beta_1)\sum_{k=0}^{t-1}\beta_1^k\, g = (1-\beta_1^t)\,g,$$
#
# so dividing by 1 − β₁ᵗ gives the mean: **m̂** = 0.2/0.1 = 2, **v̂** = 0.004/0.001 = 4. The step is
#
# $$w \leftarrow w - \eta\,\frac{\hat m}{\sqrt{\hat v}+\varepsilon}.$$

# %%
m = v = 0.0
for t in range(1, 1001):
    m, v = 0.9 * m + 0.1 * 2, 0.999 * v + 0.001 * 4
    if t in (1, 2, 10, 100, 1000):
        m_hat, v_hat = m / (1 - 0.9**t), v / (1 - 0.999**t)
        print(
            f"t = {t:4d}: m {m:.4f} v {v:.4f}  m̂ {m_hat:.1f} v̂ {v_hat:.1f}  step/η without {m / v**0.5:.3f}, with {m_hat / v_hat**0.5:.3f}"
        )

# %% [markdown]
# Without the correction the first step is 3.162 times too long, the tenth 6.5 times.
#
# **AMSGrad** divides by the root of the largest v so far: a rate once lowered stays low. **AdamW** puts weight decay **beside** the
# step, w ← w − ηλw, and not into g, where √v̂ would divide it away.
#
# ### Exercise 7.3 · Adam, AdamW, AMSGrad
# ●●○ · 20 min · needs: 7.2, RMSprop
#
# One class for all three. With `decay=0` and `amsgrad=False` it is Adam.
#
# <details><summary>Hint 1: what to think about</summary>
#
# Which quantities must the next step find in `state`: corrected ones or raw ones?
#
# </details>
# <details><summary>Hint 2: which identity</summary>
#
# The frame counts t for you: `self.t`. AMSGrad: `np.maximum` of the stored `v_max` and the new v, then the same correction.
#
# </details>
# <details><summary>Hint 3: almost there</summary>
#
# m, v, (v_max), m̂, v̂; then η times (quotient + λw).
#
# </details>

# %%
# exercise: Adam


# %%
yours, theirs = np.zeros(1), torch.zeros(1, dtype=torch.float64, requires_grad=True)
ours, adam = Adam([yours], lr=0.1, eps=1e-3), torch.optim.Adam([theirs], lr=0.1, eps=1e-3)
w = m = v = 0.0
for t in range(1, 21):
    ours.step([np.array([0.01])])
    theirs.grad = torch.tensor([0.01], dtype=torch.float64)
    adam.step()
    m, v = 0.9 * m + 0.1 * 0.01, 0.999 * v + 0.001 * 0.01**2
    w -= 0.1 * m / (1 - 0.9**t) / math.sqrt(v / (1 - 0.999**t) + 1e-3)  # ε inside the root, as deck E prints it
print(f"g = 0.01, ε = 0.001, 20 steps: yours {yours[0]:.4f}, PyTorch's {theirs.item():.4f}, deck E's {w:.4f}")
for label, lam, decay in [("λw in the gradient", 0.1, 0.0), ("AdamW", 0.0, 0.1)]:
    w = np.ones((2, 400))
    optimiser, rng = Adam([w], lr=0.01, decay=decay), np.random.default_rng(0)
    for _ in range(500):
        optimiser.step([rng.normal(size=(2, 400)) * [[10.0], [0.001]] + lam * w])
    print(f"{label}: 1 became on average {w[0].mean():.2f} under large gradients, {w[1].mean():.2f} under small ones")

# %% [markdown]
# Where gradients are small, ε counts: inside the root as √ε ≈ 0.03, more than g. The gradients of the second test are noise around
# 0, so only the decay should matter, by (1 − ηλ)⁵⁰⁰ = (1 − 0.001)⁵⁰⁰ ≈ 0.606. In the gradient, it is nearly lost where gradients
# are large, and takes away everything where they are small.
#
# **AdaMax** replaces the root by the largest gradient of late, **Nadam** gives m̂ Nesterov's look-ahead. Now all eleven run through the
# valley. The widget then turns it by 45°; guess who loses most by that. Then choose its **saddle** (鞍点), which is flat in the middle,
# rises along w₁ and falls along w₂: who lingers there?

# %%
# given: AdaMax

# %%
# given: Nadam

# %%
every = {
    "SGD": lambda p: SGD(p, 0.0195),
    "momentum": lambda p: Momentum(p, 0.01),
    "Nesterov": lambda p: Momentum(p, 0.01, nesterov=True),
    "Adagrad": lambda p: Adagrad(p, 0.5),
    "Adadelta": lambda p: Adadelta(p, 1.0),
    "RMSprop": lambda p: RMSprop(p, 0.05, alpha=0.9),
    "Adam": lambda p: Adam(p, 0.1),
    "AdaMax": lambda p: AdaMax(p, 0.1),
    "Nadam": lambda p: Nadam(p, 0.1),
    "AMSGrad": lambda p: Adam(p, 0.1, amsgrad=True),
    "AdamW": lambda p: Adam(p, 0.1, decay=0.1),
}
for name, make in every.items():
    print(f"{name:>8}: loss after 100 steps {race(make):.1e}")

from course.kit.widgets import OptimiserRace

OptimiserRace(landscape="turned")

# %% [markdown]
# No ranking: the straight valley flatters whoever has a rate per weight. Adadelta, whose first steps are 0.003 long, is still on
# its way; RMSprop's never shrink, and it hops across the bottom. From the widget's start, after 100 steps, Adagrad falls
# back from 6·10⁻³⁴ to 0.065 when the valley is turned (no rate per weight stretches a direction between two weights); Nesterov
# keeps 10⁻⁷. At the saddle SGD lingers at −0.007; most have reached the bottom, −0.25.
#
# ## Schedules (学习率调度)
#
# Far away long steps help; near the bottom they jump around it. So the rate falls: in **steps**, in a **line**, along a **cosine**, or
# when the held-out loss stands still (a **plateau**, 平台; exercise 7.7). At the very start Adam's v rests on a few gradients, so a
# **warm-up** (预热) begins with small steps.

# %%
# given: learning_rate

# %%
figure, axes = plt.subplots(figsize=(7, 2.6), layout="constrained")
styles = {"constant": "-", "linear": "--", "cosine": "-.", "steps": ":", "inverse root": (0, (5, 1, 1, 1, 1, 1))}
for (name, style), colour in zip(styles.items(), ("black", "blue", "vermilion", "green", "purple"), strict=True):
    factors = [learning_rate(name, step, 200, warm_up=20) for step in range(200)]
    axes.plot(factors, ls=style, color=plotting.COLOURS[colour], label=name)
axes.set(xlabel="step", ylabel="factor of η")
axes.legend(fontsize=8)
plt.show()
w, rng = np.zeros(2), np.random.default_rng(0)
for step in range(2000):  # ½w² with a noisy gradient; column 0 keeps its rate, column 1 follows the cosine
    w -= np.array([0.3, 0.3 * learning_rate("cosine", step, 2000)]) * (w + rng.normal(size=2))
print("a noisy bowl, |w| at the end: constant rate", abs(w[0]).round(3), " cosine", abs(w[1]).round(3))

# %% [markdown]
# ## First weights (参数初始化)
#
# A unit adds up n inputs. If their squares are s² on average, and its weights independent, with mean 0 and variance a², the sum has
# variance n·a²·s². Layer after layer: with n·a² below 1 the signal dies, above 1 it swells; a² = 1/n keeps it. On the way back the
# sums run over the outputs. **Glorot** takes the middle, a² = 2/(inputs + outputs). A uniform number between −v and v has variance
# v²/3, so v = √(6/(inputs + outputs)). ReLU halves the squares, so **He** doubles: a² = 2/inputs. One fixed range (deck E's ±0.01)
# knows nothing of n.
#
# ### Exercise 7.4 · Draw them
# ●○○ · 5 min · needs: the paragraph above
#
# <details><summary>Hint: what to think about</summary>
#
# `rng.uniform` wants both ends, `rng.normal` wants a standard deviation, not a variance.
#
# </details>

# %%
# exercise: initial_weights

# %%
names = {"uniform": np.tanh, "glorot": np.tanh, "he": lambda z: np.maximum(z, 0.0)}
for rule, bend in names.items():
    rng = np.random.default_rng(0)
    h, sizes = rng.normal(size=(200, 100)), []
    for _ in range(10):
        h = bend(h @ initial_weights(rng, 100, 100, rule))
        sizes.append(h.std())
    print(f"{rule:>7}: size of h after layers 1, 5, 10:", *(f"{sizes[k]:.2g}" for k in (0, 4, 9)))
h = np.random.default_rng(0).normal(size=(200, 100))
for _ in range(10):
    h = np.maximum(h @ initial_weights(rng, 100, 100, "glorot"), 0.0)
print(f"Glorot under ReLU: {h.std():.2g} after ten layers")

from course.kit.widgets import InitialisationDepth

InitialisationDepth(rule="glorot", activation="tanh", depth=10)

# %% [markdown]
# Glorot keeps tanh's signal alive, He ReLU's; the fixed range loses both. (The widget shows the way back too. Set its depth to 20.)
#
# Weights are only half of the product. **Input normalisation** (输入标准化) brings each input column to mean 0 and deviation 1, with the **training** set's
# numbers, for new data as well. Otherwise a column in thousands makes a valley like the first cell's.

# %%
rng = np.random.default_rng(0)
x = rng.normal(size=(500, 2)) * [1.0, 30.0] + [0.0, 100.0]
y = x @ [2.0, 0.05]
for label, data in [("raw", x), ("standardised", (x - x.mean(axis=0)) / x.std(axis=0))]:
    inputs = np.hstack([data, np.ones((500, 1))])
    steep = np.linalg.eigvalsh(inputs.T @ inputs / 500)  # the valley's 1 and 100: eigenvalues, the flattest first
    w = np.zeros(3)
    for _ in range(200):
        w -= 0.95 / steep[-1] * inputs.T @ (inputs @ w - y) / 500
    print(f"{label}: steepest/flattest {steep[-1] / steep[0]:.3g}, error {np.mean((inputs @ w - y) ** 2):.2g}")

# %% [markdown]
# ## Clipping and residuals
#
# At a cliff of the loss one gradient can be a thousand times the usual one and throw the weights far away. **Gradient clipping**
# (梯度裁剪) shortens the **whole** gradient, all arrays as one vector, to a limit; its direction stays. On paper: entries 3, 4 and 12
# have norm √(9 + 16 + 144) = 13; with the limit 6.5 everything is halved.
#
# ### Exercise 7.5 · Clip
# ●○○ · 10 min · needs: nothing
#
# <details><summary>Hint 1: what to think about</summary>
#
# Squares add up across arrays; norms do not.
#
# </details>
# <details><summary>Hint 2: almost there</summary>
#
# One factor for all: limit/norm where the norm is above the limit, else 1. What does 0/0 do where all is zero?
#
# </details>

# %%
# exercise: clip_by_global_norm

# %%
print(clip_by_global_norm([np.array([3.0]), np.array([4.0]), np.array([[12.0]])], 6.5))
rng = np.random.default_rng(0)
layers = [rng.normal(size=(20, 20)) * 0.7 / np.sqrt(20) for _ in range(20)]
for skip in (0.0, 1.0):  # h = tanh(hW) + skip·h
    h, kept = rng.normal(size=(50, 20)), []
    for w in layers:
        bent = np.tanh(h @ w)
        kept.append(bent)
        h = bent + skip * h
    grad = first = np.ones((50, 20))
    for w, bent in zip(layers[::-1], kept[::-1], strict=True):
        grad = (grad * (1 - bent**2)) @ w.T + skip * grad
    print(f"{'with' if skip else 'without'} residuals: mean |gradient| after 20 layers back {np.abs(grad).mean():.2g}")

# %% [markdown]
# Clipping only shortens. Against gradients that vanish, 0.0007 of 1 here, **residual connections** (残差连接, chapter 6) help.
#
# ## Against learning by heart
#
# **Dropout** (随机失活) silences each unit with probability p while training, so that no unit can rely on another. The next sums
# shrink to 1 − p on average. **Standard** dropout multiplies by 1 − p at test time; **inverted** divides by 1 − p in training and leaves
# testing alone. **DropConnect** silences single **weights**, not units. (Deck E has it "instead of zeroing weights".)
#
# ### Exercise 7.6 · Dropout, there and back
# ●●○ · 15 min · needs: chapter 6's idea of a slope
#
# <details><summary>Hint 1: what to think about</summary>
#
# In each of the four situations (train or test, inverted or standard) the output is x times a factor. Which?
#
# </details>
# <details><summary>Hint 2: almost there</summary>
#
# `forward` keeps its factor in `self`; `backward` multiplies by it and draws nothing.
#
# </details>

# %%
# exercise: Dropout


# %%
def drop_connect(x, w, p, rng):
    """x @ w with each weight silenced with probability p, inverted."""
    return x @ (w * (rng.random(w.shape) >= p)) / (1 - p)


rng = np.random.default_rng(0)
x, w = rng.normal(1.0, 1.0, size=(2000, 50)), rng.normal(size=(50, 1))
for inverted in (True, False):
    layer = Dropout(0.5, np.random.default_rng(1), inverted)
    train, test = (layer.forward(x, mode) @ w for mode in (True, False))
    print(
        f"{'inverted' if inverted else 'standard'}: mean of the next sum {train.mean():.2f} in training, {test.mean():.2f} at test"
    )
print(f"DropConnect: {np.mean([drop_connect(x[:200], w, 0.5, rng).mean() for _ in range(400)]):.2f}")
from course.kit.widgets import DropoutViewer

DropoutViewer(p=0.5)

# %% [markdown]
# Training and test agree but for the draw. In which two of the widget's four pictures is what the units say scaled? (Inverted in
# training, standard at test time.)
#
# **Early stopping** (早停). The training loss falls on while the **held-out** loss turns up: from there the network learns the
# samples, not the task. Since that curve is noisy, stop only after some epochs in a row without a new best: **patience** (耐心).
#
# ### Exercise 7.7 · Stop in time
# ●●○ · 10 min · needs: nothing
#
# <details><summary>Hint 1: what to think about</summary>
#
# Two outcomes: the epoch improves (three things to note), or it does not (one).
#
# </details>
# <details><summary>Hint 2: almost there</summary>
#
# A comparison with NaN is always false: ask it so that false means "no improvement".
#
# </details>

# %%
# exercise: EarlyStopping

# %%
stopper = EarlyStopping(patience=3)
for loss in (2.0, 1.5, 1.6, 1.4, 1.45, math.nan, 1.42):
    print(f"loss {loss}: stop {stopper.update(loss)}, best {stopper.best} of epoch {stopper.best_epoch}")

rate, watch = 0.1, EarlyStopping(patience=2)
for loss in (2.0, 1.5, 1.6, 1.7, 1.4, 1.4, 1.4, 1.3):  # decay on plateau: out of patience, halve the rate and wait anew
    if watch.update(loss):
        rate, watch.waited = rate / 2, 0
    print(rate, end=" ")

# %% [markdown]
# ## Many workers
#
# **Synchronous** (同步): each worker takes its share of the data at the same w, all wait for the slowest, the mean of their gradients
# makes one update. **Asynchronous** (异步): each applies its own gradient when ready and reads w again. Nobody waits, but a gradient is
# taken at an old w: its **staleness** (陈旧度) is how many updates others made meanwhile.
#
# On paper, workers of 1 s and 2.5 s: updates at 1 (worker 0), 2 (0), 2.5 (1), 3 (0). Worker 1 read at 0 and writes third: staleness 2.
# The update at 3 is by worker 0, who read at 2; one update came between: staleness 1.

# %% [markdown]
# ### Exercise 7.8 · Workers that are late
# ●●● · 25 min · needs: the timetable above
#
# A whole data centre in a dozen lines.
#
# <details><summary>Hint 1: what to think about</summary>
#
# For each worker keep three things: when it is ready, which w it read, and after how many updates it read.
#
# </details>
# <details><summary>Hint 2: which identity</summary>
#
# Next is the worker with the smallest time; `np.argmin` gives the first of several.
#
# </details>
# <details><summary>Hint 3: almost there</summary>
#
# Subtract from the w of now, with the gradient of the w that was read. Note staleness; then let it read, and add its seconds.
#
# </details>

# %%
# exercise: asynchronous_descent

# %%
goals = np.array([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0], [2.0, 2.0]])  # each worker's data pull elsewhere; (1, 1) is best


def pull(w, worker):
    """The gradient of ½‖w − the worker's goal‖²."""
    return w - goals[worker]


def synchronous_descent(gradient, w, lr, seconds, updates):
    """All gradients at the same w; their mean makes one update, when the slowest is ready."""
    path = [w]
    for _ in range(updates):
        path.append(path[-1] - lr * np.mean([gradient(path[-1], k) for k in range(len(seconds))], axis=0))
    return np.stack(path), max(seconds) * np.arange(updates + 1.0)


print(asynchronous_descent(pull, np.zeros(2), 0.1, [1.0, 2.5], 4)[1:])
for lr in (0.1, 0.5, 1.2):
    for label, run in [("synchronous", synchronous_descent), ("asynchronous", asynchronous_descent)]:
        path, times, *stale = run(pull, np.full(2, 5.0), lr, [1.0, 1.0, 1.0, 4.0], 400)
        before = np.searchsorted(times, 40.0, side="right")
        late = f", staleness up to {stale[0].max()}" if stale else ""
        print(f"η = {lr}, 40 s, {label}: {before - 1} updates, off by {np.linalg.norm(path[before - 1] - 1):.2g}{late}")

# %% [markdown]
# In 40 seconds asynchronous descent makes 130 updates, the synchronous one ten. At η = 0.1 that wins. But its fast workers count
# more often, so its end is pulled to their data, and at η = 1.2 old gradients blow it up, where the synchronous one still converges.
#
# ## Choosing settings (超参数搜索)
#
# Two settings, 16 trials. A **grid** (网格) tries 4 values of each, 16 **random** points (随机搜索) try 16 of each. If only one of the two
# matters (often the rate), does random search come four times as close to its best value?

# %%
found = {"grid": [], "random": []}
for seed in range(500):
    rng = np.random.default_rng(seed)
    best = rng.random()  # where the one setting that matters is best
    tried = {"grid": (np.arange(4) + 0.5) / 4, "random": rng.random(16)}  # values of that setting among 16 trials
    for kind, gaps in found.items():
        gaps.append(np.abs(tried[kind] - best).min())
print({kind: f"misses the best value by {np.mean(gaps):.3f}" for kind, gaps in found.items()})

# %% [markdown]
# Twice as close: four even values leave no large gap, sixteen random ones do here and there.
#
# ## Real run: the next letter
#
# Four letters of the King James text, one-hot, 108 inputs; 64 tanh units; 27 answers, a to z and the space. Genesis trains, the Psalms
# choose the settings (**development set**, 开发集), the Gospels test, once, at the end. The race is fair: eight random rates for each
# optimiser, spread over powers of ten, two epochs each.
#
# The loop is `fit` of the course's kit: it shows progress, stops early, writes checkpoints and resumes from them. It trains whatever has `step`,
# `state_dict` and `load_state_dict`.

# %% tags=["long-run"]
text = " ".join("".join(c if "a" <= c <= "z" else " " for v in king_james() for c in v.text.lower() + " ").split())
codes = np.frombuffer(text.encode(), dtype=np.uint8).astype(int) - 96
codes[codes < 0] = 0  # the space is 0, a … z are 1 … 26


def windows(mark: str, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Four letters one-hot, (count, 108), and the letter that follows, (count,), from the first place with these words."""
    i = text.index(mark) + np.arange(count)
    x = np.zeros((count, 4 * 27))
    for k in range(4):
        x[np.arange(count), 27 * k + codes[i + k]] = 1
    return x, codes[i + 4]


train = windows("in the beginning god created", 30_000)
dev = windows("blessed is the man that walketh", 10_000)
test = windows("the book of the generation of jesus", 10_000)
counts = np.bincount(train[1], minlength=27) / 30_000
print(
    f"letter frequencies alone: {-np.mean(np.log(counts[dev[1]] + 1e-9)):.4f} nats on the Psalms; no idea: {np.log(27):.4f}"
)


# %% tags=["long-run"]
def forward(parameters, x):
    """Hidden units (batch, 64) and log-probabilities (batch, 27)."""
    w1, b1, w2, b2 = parameters
    h = np.tanh(x @ w1 + b1)
    z = h @ w2 + b2
    z = z - z.max(axis=1, keepdims=True)
    return h, z - np.log(np.exp(z).sum(axis=1, keepdims=True))


def loss_and_grads(parameters, x, y):
    """Mean cross-entropy, and the gradients of w1, b1, w2, b2."""
    h, log_p = forward(parameters, x)
    rows = np.arange(len(y))
    grad_z = np.exp(log_p)
    grad_z[rows, y] -= 1
    grad_z /= len(y)
    grad_h = grad_z @ parameters[2].T * (1 - h**2)
    return -log_p[rows, y].mean(), [x.T @ grad_h, grad_h.sum(axis=0), h.T @ grad_z, grad_z.sum(axis=0)]


def fresh(seed: int) -> list[np.ndarray]:
    """Glorot's weights, biases 0."""
    rng = np.random.default_rng(seed)
    return [initial_weights(rng, 108, 64, "glorot"), np.zeros(64), initial_weights(rng, 64, 27, "glorot"), np.zeros(27)]


# %% tags=["long-run"]
class LetterModel:
    """What `fit` trains: step, state_dict, load_state_dict."""

    def __init__(self, seed, make):
        self.parameters = fresh(seed)
        self.optimiser = make(self.parameters)

    def step(self, batch):
        loss, grads = loss_and_grads(self.parameters, *batch)
        self.optimiser.step(clip_by_global_norm(grads, 5.0)[0])
        return loss

    def state_dict(self):
        return {"parameters": self.parameters, "optimiser": self.optimiser.state_dict()}

    def load_state_dict(self, state):
        for w, saved in zip(self.parameters, state["parameters"], strict=True):
            w[...] = saved
        self.optimiser.load_state_dict(state["optimiser"])

    def loss(self, data):
        return -forward(self.parameters, data[0])[1][np.arange(len(data[1])), data[1]].mean()


# %% tags=["long-run"]
contest = {
    "SGD": (lambda p, lr: SGD(p, lr), 0.003, 3.0),
    "momentum": (lambda p, lr: Momentum(p, lr), 0.0003, 0.3),
    "Adam": (lambda p, lr: Adam(p, lr), 0.00003, 0.03),
}
chosen = {}


def batches(epoch: int):
    """An epoch's mini-batches, the same whenever it is begun."""
    return minibatches(*train, 50, seeded(0, epoch))


for name, (make, low, high) in contest.items():
    trials = []
    for u in np.random.default_rng(0).random(8):
        lr = low * (high / low) ** u
        model = LetterModel(0, lambda p, lr=lr, make=make: make(p, lr))
        fit(model, batches, epochs=2, progress=False)
        trials.append((model.loss(dev), lr))
    chosen[name] = min(trials)[1]
    print(f"{name:>8}: best η {chosen[name]:.4f}, losses on the Psalms", *(f"{loss:.2f}" for loss, _ in sorted(trials)))

# %% tags=["long-run"]
curves, results = {}, {name: [] for name in contest}
for name, (make, _, _) in contest.items():
    for seed in range(2):
        model = LetterModel(seed, lambda p, make=make, name=name: make(p, chosen[name]))
        history = fit(
            model, batches, epochs=12, evaluate=lambda model=model: model.loss(dev), patience=3, progress=False
        )
        results[name].append(
            (len(history.train), history.best_epoch + 1, history.train[-1], history.best, model.loss(test))
        )
    curves[name] = history
for name, rows in results.items():
    for epochs, best, train_loss, dev_loss, test_loss in rows:
        print(
            f"{name:>8}: {epochs} epochs, best {best}; train {train_loss:.3f}, Psalms {dev_loss:.3f}, Gospels {test_loss:.3f}"
        )
figure, axes = plt.subplots(figsize=(7, 3), layout="constrained")
for (name, history), colour, style in zip(
    curves.items(), ("blue", "green", "vermilion"), ("-", "-.", "--"), strict=True
):
    axes.plot(history.train, ls=style, lw=1, color=plotting.COLOURS[colour], label=f"{name}, Genesis")
    axes.plot(history.held_out, ls=style, lw=2.2, color=plotting.COLOURS[colour], label=f"{name}, Psalms")
axes.set(xlabel="epoch", ylabel="loss (nats)")
axes.legend(fontsize=8)
plt.show()

# %% tags=["long-run"]
import tempfile
from pathlib import Path

path = Path(tempfile.mkdtemp(), "letters.ckpt")
final = LetterModel(0, lambda p: Adam(p, chosen["Adam"]))
fit(final, batches, epochs=1, evaluate=lambda: final.loss(dev), checkpoint=path)
resumed = LetterModel(9, lambda p: Adam(p, chosen["Adam"]))  # other weights: the file replaces them
fit(resumed, batches, epochs=3, evaluate=lambda: resumed.loss(dev), checkpoint=path, progress=False)
whole = LetterModel(0, lambda p: Adam(p, chosen["Adam"]))
fit(whole, batches, epochs=3, evaluate=lambda: whole.loss(dev), progress=False)
same = all(np.array_equal(a, b) for a, b in zip(resumed.parameters, whole.parameters, strict=True))
print("stopped, resumed, finished; the same bits as in one go:", same)
rng, said = np.random.default_rng(0), "and the"
for _ in range(120):
    x = np.zeros((1, 108))
    for k, letter in enumerate(said[-4:]):
        x[0, 27 * k + " abcdefghijklmnopqrstuvwxyz".index(letter)] = 1
    said += " abcdefghijklmnopqrstuvwxyz"[rng.choice(27, p=np.exp(forward(whole.parameters, x)[1][0]))]
print(said)

# %% [markdown]
# Adam falls fastest on Genesis. On new text the three are close, and momentum, slowest on Genesis, is ahead: its effective rate
# η/(1 − μ) ≈ 0.24 was below SGD's 0.83. And the rates were chosen after two epochs; twelve might choose others. Deck E cites both sides
# (Wilson et al. 2017 for SGD, Denkowski & Neubig 2017 for Adam with decay), so measure. (Last digits differ between machines.)
#
# ## Where it goes wrong
#
# | mistake | symptom |
# | --- | --- |
# | `w = w − …` | loss stands still: the network keeps the old array |
# | no shuffling | the end of the file wins |
# | no bias correction | first steps too long |
# | one fixed range of weights | signal dies with depth |
# | dropout left on at test time | answers change from call to call |
# | clipped array by array | direction changes |
# | test set used for choosing | nobody repeats the result |

# %%
w = np.ones(2)
seen_by_the_network = w
w = w - 0.1 * w  # a new array
print("rebound:", seen_by_the_network, end="  ")
w = seen_by_the_network
w -= 0.1 * w  # the same array
print("written into:", seen_by_the_network)
noisy = Dropout(0.5, np.random.default_rng(0))
print("dropout left on:", *(noisy.forward(np.ones((1, 8)), True).mean() for _ in range(4)))
grads = [np.array([3.0, 4.0]), np.array([30.0, 40.0])]
each = [clip_by_global_norm([grad], 5.0)[0][0] for grad in grads]
print("5 to 50 became", *(np.linalg.norm(grad) for grad in each), "array by array, and", end=" ")
print(*(np.linalg.norm(grad).round(3) for grad in clip_by_global_norm(grads, 5.0)[0]), "together")

# %% [markdown]
# ## Check yourself
#
# <details><summary>Why is the first step of Adam as long for a tiny gradient as for a large one?</summary>
#
# m̂ = g and v̂ = g², so the step is η·g/|g|.
#
# </details>
# <details><summary>Which weights does Adagrad move most, and what ends it?</summary>
#
# Those with small or rare gradients; G only grows, so in the end nothing moves.
#
# </details>
# <details><summary>You double the batch. What becomes of the noise?</summary>
#
# It is divided by √2, and an epoch has half as many steps.
#
# </details>
# <details><summary>Why must the network's data order be a function of the epoch's number for a run that resumes?</summary>
#
# Otherwise the epoch after the break sees other batches than it would have without one, and other weights come out.
#
# </details>

# %% [markdown]
# explanation: what_adam_divides_by

# %% [markdown]
# ## Sources and errata
#
# Papers: in the docstrings. Decks: A, B, D, E. E reached us as a transcription.
#
# | deck | printed | true | shown by |
# | --- | --- | --- | --- |
# | E | Adam's ε inside the root | outside, as in PyTorch: −1.8182, not −0.6030, after 20 steps | cell after 7.3 |
# | E | Adagrad's ε inside the root | outside in PyTorch | test |
# | E | G, v called a variance | a sum (G) or a mean (v) of squares, no mean taken off | Adagrad |
# | E | "DropConnect instead of zeroing weights" | it zeroes weights, dropout zeroes units | 7.6 |
# | A | SGD converges slowly | per step; per sample it was ahead (chapter 6) | chapter 6 |
#
# Next: chapter 8 trains language models with `fit` and your Adam.
