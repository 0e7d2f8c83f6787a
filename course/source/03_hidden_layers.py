# ---
# jupyter:
#   nnlm:
#     title: Hidden layers and XOR
#     title_zh: 隐层与异或
#     points: 20
# ---

# %% [markdown]
# # 3 · Hidden layers and XOR (隐层与异或)
#
# ## Why
#
# One threshold unit draws one line. "Exactly one of two inputs is on", **exclusive or** or **XOR** (异或), needs
# more: in chapter 2 no unit got more than three of the four corners right. The cell repeats that for a finer grid of
# weights. How little has to be added to get the fourth?
#
# After this chapter you can
#
# * say why stacked linear layers are one layer, and merge them;
# * fold the plane so that a line solves XOR;
# * compute twelve activation functions and their slopes without overflow;
# * run a network of K layers forward;
# * draw a given curve with a hidden layer, to a given error, without training.

# %%
import math

import matplotlib.pyplot as plt
import numpy as np

from autograder import check
from course.kit import plotting
from course.kit.corpora import king_james

x = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])  # (4, 2): the corners of a square
y = np.array([0, 1, 1, 0])  # (4,): XOR

grid = np.linspace(-2, 2, 33)
w_first, w_second, b = np.meshgrid(grid, grid, grid, indexing="ij")  # (33, 33, 33): 35,937 units
fires = x[:, 0, None, None, None] * w_first + x[:, 1, None, None, None] * w_second + b > 0  # (4, 33, 33, 33)
right = (fires == y[:, None, None, None]).sum(axis=0)
print(f"{right.size:,} units; the best gets {right.max()} of 4 corners right")

# %% [markdown]
# ## Units side by side
#
# Give one input to several units and you have a **layer** (层). Unit j has a column of weights and a bias; the columns
# make a matrix:
#
# $$h = f(xW + b), \qquad x\ (\text{batch}, n), \quad W\ (n, m), \quad b\ (m,), \quad h\ (\text{batch}, m).$$
#
# xW + b is **affine** (仿射): linear plus a bias. f, the **activation function** (激活函数), acts on every number by
# itself. A layer whose output only feeds the next is a **hidden layer** (隐层). Do two layers do more than one? Leave f
# out at first:
#
# $$(xW_1 + b_1)W_2 + b_2 = x\,(W_1W_2) + (b_1W_2 + b_2) = xW' + b'.$$
#
# W₁W₂ is (n, k), b₁W₂ + b₂ is (k,): **one** layer. The stack **collapses** (坍缩).

# %% [markdown]
# ### Exercise 3.1 · Collapse
# ●○○ · 5 min · needs: nothing
#
# Merge a stack of layers with nothing between them. One line is missing.
#
# <details><summary>Hint 1: what to think about</summary>
#
# After each round, (w, b) should do what all layers so far do together.
#
# </details>
# <details><summary>Hint 2: which identity</summary>
#
# The line above with x(W₁W₂): which part multiplies x, and which part is there when x = 0?
#
# </details>

# %%
# exercise: collapse_layers

# %%
w1, b1 = np.array([[1.0, 1.0], [1.0, 1.0]]), np.array([0.0, -1.0])  # (2, 2), (2,)
w2, b2 = np.array([[1.0], [-2.0]]), np.array([0.0])  # (2, 1), (1,)
w, b = collapse_layers([(w1, b1), (w2, b2)])
print("W' =", w.tolist(), " b' =", b.tolist())
print("output for the four corners:", (x @ w + b)[:, 0])

# %% [markdown]
# These are the weights of the network that solves XOR below. Without a non-linearity (a **bend**) they give 2, 1, 1, 0:
# that is 2 − (x₁ + x₂). No single threshold separates the two 1s from both 2 and 0. The reason is general: for every
# affine g, g(0,0) + g(1,1) = g(0,1) + g(1,0). XOR wants both terms on the right above the threshold and both on the left
# not above it; then the right sum would be greater than the left one, and it is not.

# %% [markdown]
# ## Worked example: fold the square
#
# Now put a bend between the two layers, the **rectifier** (修正线性单元) ReLU(z) = max(0, z), and keep every weight
# (Goodfellow et al.; deck D, figure 7.6). Work out the last row on paper. Where do the corners go, so that a line is
# enough?

# %%
z1 = x @ w1 + b1  # (4, 2)
h = np.maximum(0.0, z1)  # (4, 2)
output = h @ w2 + b2  # (4, 1)
print("   x           z1           h          output")
for row in range(4):
    print(f"{x[row]}   {z1[row]!s:>9}   {h[row]!s:>8}   {output[row, 0]:6.0f}")

figure = plotting.draw_fold(x, h, y, w=w2[:, 0], b=-0.5)
plt.show()

# %% [markdown]
# | x | z₁ = xW₁ + b₁ | h = max(0, z₁) | hW₂ + b₂ |
# | --- | --- | --- | --- |
# | (0, 0) | (0, −1) | (0, 0) | 0 − 0 = **0** |
# | (0, 1) | (1, 0) | (1, 0) | 1 − 0 = **1** |
# | (1, 0) | (1, 0) | (1, 0) | 1 − 0 = **1** |
# | (1, 1) | (2, 1) | (2, 1) | 2 − 2 = **0** |
#
# Both hidden units add the inputs, so (0, 1) and (1, 0) fall on one point; the second unit sleeps until the sum exceeds 1
# and lifts (1, 1) off the line through the others. The square has been folded, and h₁ − 2h₂ = ½ separates discs
# from squares. The output weights (1, −2) are the line's normal.
#
# Drag the two hidden lines and the output's. Does XOR need the two hidden lines to be parallel? And what becomes of the
# hatched band when you take the bend away?

# %%
from course.kit.widgets import XorFolding

XorFolding()

# %% [markdown]
# No: turn a hidden line a little and all four stay right. Without the bend the band becomes a half-plane, and at most three
# corners are right.
#
# ### Exercise 3.2 · XOR for any two numbers
# ●●○ · 10 min · needs: the worked example
#
# "False" and "true" need not be 0 and 1; they may be −1 and 1, or 2 and 5. Choose the weights of a 2-2-1 ReLU network for
# any `low` < `high`. Several answers are right; the truth table decides.
#
# <details><summary>Hint 1: what to think about</summary>
#
# On paper, draw the square with corners at `low` and `high`. Where should each hidden unit begin to rise?
#
# </details>
# <details><summary>Hint 2: which identity</summary>
#
# Which affine map sends `low` to 0 and `high` to 1? The first layer is affine too, so it can swallow that map.
#
# </details>
# <details><summary>Hint 3: another road</summary>
#
# XOR is also the distance between the inputs, in units of the side. |a − b| is the sum of two ReLUs.
#
# </details>

# %%
# exercise: xor_weights

# %%
corners = np.array([[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]])  # (4, 2)
v1, c1, v2, c2 = xor_weights(-1.0, 1.0)
print((np.maximum(0.0, corners @ v1 + c1) @ v2 + c2)[:, 0])

# %% [markdown]
# ## Twelve bends
#
# What a layer can do depends on f; what can be trained depends on its slope f′ (chapter 6). Below, s = σ(z) is the sigmoid
# (from here on σ is no longer the threshold). φ(z) = exp(−z²/2)/√(2π) is the density of the normal distribution with mean 0
# and variance 1, and Φ(z) is the share of that distribution below z.

# %% [markdown]
# | f(z) | f′(z) | use |
# | --- | --- | --- |
# | **step** 1 if z > 0 else 0 | 0 | decisions; no slope to train by |
# | **identity** z | 1 | output of a regression |
# | **sigmoid** 1/(1 + e⁻ᶻ) | s(1 − s) | probabilities, gates |
# | **tanh** 2σ(2z) − 1 | 1 − tanh²z | recurrent state, centred on 0 |
# | **hard tanh** cut off at ±1 | 1 inside, else 0 | a cheap tanh |
# | **Gaussian** exp(−z²) | −2z·exp(−z²) | "near this value" |

# %% [markdown]
# | f(z) | f′(z) | use |
# | --- | --- | --- |
# | **ReLU** max(0, z) | 1 if z > 0 else 0 | hidden layers, the default |
# | **leaky ReLU** z, or 0.01z if z ≤ 0 | 1, or 0.01 | when units go silent for good |
# | **ELU** z, or eᶻ − 1 if z ≤ 0 | 1, or eᶻ | the same, smooth |
# | **softplus** ln(1 + eᶻ) | s | a positive quantity |
# | **Swish** z·s | s + z·s(1 − s) | deep networks |
# | **GELU** z·Φ(z) | Φ(z) + z·φ(z) | Transformers |
#
# GELU is the exact form here, not its tanh approximation. The sigmoid's slope in one line: with s = 1/(1 + e⁻ᶻ),
# s′ = e⁻ᶻ/(1 + e⁻ᶻ)² = s · e⁻ᶻ/(1 + e⁻ᶻ) = s(1 − s). At a corner the slope is agreed upon: 0 for ReLU at 0.

# %% [markdown]
# ### Exercise 3.3 · A sigmoid that never overflows
# ●○○ · 5 min · needs: nothing
#
# The formula as it stands computes exp(10,000) for z = −10,000. Write a form that stays calm for every z, without a
# warning on the way.
#
# <details><summary>Hint 1: what to think about</summary>
#
# exp of a negative number lies in (0, 1] and cannot overflow. For which z is −z negative, and for which is z?
#
# </details>
# <details><summary>Hint 2: which identity</summary>
#
# Multiply 1/(1 + e⁻ᶻ) above and below by eᶻ. Each form is safe on one side. exp(−|z|) serves both.
#
# </details>

# %%
# exercise: stable_sigmoid

# %%
print(stable_sigmoid(np.array([[0.5387, -0.4537], [0.2181, -0.3745], [0.3704, -0.8121]])).round(4))  # six of deck C's
print(stable_sigmoid(np.array([-1e4, 0.0, 1e4])))

# %% [markdown]
# ### Exercise 3.4 · The zoo
# ●●○ · 15 min · needs: stable_sigmoid
#
# One function for all twelve, by name. Four are there as a pattern; eight are yours. Φ is given in the next cell.
#
# <details><summary>Hint 1: what to think about</summary>
#
# For each one, ask what its formula does at z = 10,000 and at −10,000. Two need care, and NumPy knows a third by name.
#
# </details>
# <details><summary>Hint 2: which identity</summary>
#
# ln(1 + eᶻ) = max(z, 0) + ln(1 + exp(−|z|)). And np.where computes both branches before it chooses, so what enters exp
# must be harmless in both.
#
# </details>

# %%
# given: normal_cdf

# %%
# exercise: activation

# %%
for name in ("relu", "leaky_relu", "elu", "softplus", "swish", "gelu"):
    print(f"{name:>10}", *(f"{value:12.4f}" for value in activation(name, np.array([-1e4, -1.0, 0.0, 1.0, 1e4]))))

# %% [markdown]
# ### Exercise 3.5 · Their slopes
# ●●○ · 15 min · needs: stable_sigmoid, the tables
#
# Chapter 6 sends errors backwards through these slopes. The cell after the check compares yours with the quotient
# (f(z + ε) − f(z − ε)) / 2ε, so nothing rests on the tables, and draws them: which still have a slope when |z| is large?
#
# <details><summary>Hint 1: what to think about</summary>
#
# Several slopes are made of the function's own value. Which ones are switches, 0 or 1, and what does the docstring say
# at the corner?
#
# </details>
# <details><summary>Hint 2: which identity</summary>
#
# Swish and GELU are products: (uv)′ = u′v + uv′. Softplus has the sigmoid as its slope.
#
# </details>

# %%
# exercise: activation_derivative

# %%
names = ["step", "identity", "sigmoid", "tanh", "hard_tanh", "gaussian"]
names += ["relu", "leaky_relu", "elu", "softplus", "swish", "gelu"]
z, epsilon = np.linspace(-3.03, 3.03, 102), 1e-5  # no point on a corner
for name in names:
    quotient = (activation(name, z + epsilon) - activation(name, z - epsilon)) / (2 * epsilon)
    print(f"{name:>10}  largest difference {np.abs(quotient - activation_derivative(name, z)).max():.0e}")

figure = plotting.draw_activations(names, activation, activation_derivative)
plt.show()

# %% [markdown]
# On both sides only the identity (slope 1) and leaky ReLU (1 and 0.01) still have a slope when |z| is large. ReLU, ELU,
# softplus, Swish and GELU have one on the right side only, equal or close to 1; on the left it is 0 or falls to 0. The
# other five are flat on both sides. The sigmoid's slope is 0.25 at best and 0.0025 at z = 6: a unit that **saturates**
# (饱和) hardly learns.
#
# Chapter 6 multiplies such slopes, one a layer. What do five sigmoids in a row leave of a signal at best, and at z = 2? Which
# functions ever have a slope above 1?

# %%
from course.kit.widgets import ActivationZoo

ActivationZoo(name="sigmoid", z=2.0)

# %% [markdown]
# At best 0.25⁵ ≈ 0.001, at z = 2 a hundred-thousandth. Only Swish and GELU exceed 1, by little: 1.10 and 1.13 at most.
#
# ## K layers
#
# A **feed-forward network** (前馈网络) repeats the layer. With h⁰ = x, for k = 1 … K
# (k is an index, not a power):
#
# $$z^k = h^{k-1}W^k + b^k, \qquad h^k = f^k(z^k).$$
#
# Each output goes to the **next** layer. Inputs are not counted: the XOR network has two layers.
#
# ### Exercise 3.6 · Forward
# ●●○ · 10 min · needs: activation
#
# Run a batch through K layers and keep every output; backpropagation will want them.
#
# <details><summary>Hint 1: what to think about</summary>
#
# What does layer k read? Where have you just put it?
#
# </details>
# <details><summary>Hint 2: almost there</summary>
#
# Begin the list with x. Then each round reads the last element and appends one.
#
# </details>

# %%
# exercise: feed_forward

# %%
for k, h in enumerate(feed_forward(x, [(w1, b1), (w2, b2)], ["relu", "identity"])):
    print(f"h^{k} {h.shape}: {h.tolist()}")

# %% [markdown]
# ## Stairs of sigmoids
#
# What can one hidden layer draw? With one input t, the unit σ(wt + b) passes ½ at t = −b/w; so the weight moves the step too,
# not the bias alone. At a distance d it misses 0 or 1 by less than e^(−wd). Steep enough, it is a **step** (阶跃), as high as
# its output weight.
#
# Up and down make a bump; stairs follow a curve. Deck A draws w = 1, 10, 100, then a bump with w = 100, b = −4 and −6, and
# output weights ±0.7. Predict: how high is it?

# %%
t = np.linspace(-0.15, 0.25, 401)[:, None]  # (401, 1)
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3), layout="constrained")
for weight, style in [(1.0, ":"), (10.0, "--"), (100.0, "-")]:
    left.plot(t, activation("sigmoid", weight * t), style, color=plotting.COLOURS["blue"], label=f"w = {weight:g}")
for weight, style in [(100.0, "-"), (1000.0, "--")]:
    layers = [
        (np.full((1, 2), weight), weight / 100 * np.array([-4.0, -6.0])),
        (np.array([[0.7], [-0.7]]), np.zeros(1)),
    ]
    bump = feed_forward(t, layers, ["sigmoid", "identity"])[-1]
    right.plot(t, bump, style, color=plotting.COLOURS["vermilion"], label=f"w = {weight:g}, top {bump.max():.4f}")
for axes in (left, right):
    axes.set(xlabel="t", ylim=(-0.05, 1.45))  # room for the legend above the curves
    axes.legend(loc="upper left")
plt.show()
print(f"with w = 100, 10 % to 90 % takes {2 * math.log(9) / 100:.4f}; the two steps are only {0.06 - 0.04:.2f} apart")

# %% [markdown]
# The bump is 0.3235 high, not 0.7: "steep" means steep beside the distance between steps. With w = 1000 and the same places it
# reaches 0.6999.

# %% [markdown]
# ### Exercise 3.7 · Draw a curve without training
# ●●● · 25 min · needs: stairs
#
# Points (x, y) are given. Build a network whose output is flat and right near each point and jumps half-way between
# neighbours. Promise an error: at most the tolerance at every t that is at least a quarter of gap j away from jump j, for
# every j. The real run uses it.

# %% [markdown]
# <details><summary>Hint 1: what to think about</summary>
#
# Which units are on at x[2]? Their output weights add up with b2. So what is the height of one step, and what is b2?
#
# </details>
# <details><summary>Hint 2: which identity</summary>
#
# The step stands where wt + b = 0; you know t and w, so b follows. A quarter gap away, a step of height J misses by less than
# |J|·exp(−w·gap/4); the misses of all steps add up at worst.
#
# </details>
# <details><summary>Hint 3: almost there</summary>
#
# Ask that Σ|J| times that exponential be at most the tolerance, and solve for w, one gap at a time. What if all y are
# equal? Then Σ|J| is 0, and its logarithm −∞. Put a number into the logarithm that is never smaller than Σ|J| over the
# tolerance and never below 1.
#
# </details>

# %%
# exercise: step_approximator

# %%
stairs = step_approximator(np.array([0.0, 1.0, 3.0]), np.array([2.0, 5.0, 4.0]), tolerance=0.01)
places = np.array([-1.0, 0.0, 0.25, 0.75, 1.0, 1.5, 2.5, 3.0, 4.0])[:, None]  # (9, 1)
print("steepness:", stairs[0][0].round(1), " jumps:", stairs[2][:, 0])
print(feed_forward(places, [stairs[:2], stairs[2:]], ["sigmoid", "identity"])[-1][:, 0].round(3))

# %% [markdown]
# Flat at 2, 5 and 4, within 0.01 at a quarter gap from each jump. The wider gap needs a step only half as steep.
#
# What do more units buy? Double them for the wave, then for the jump at ½: which error falls, and how fast?

# %%
from course.kit.widgets import StepApproximator

StepApproximator(curve="wave", units=8)

# %% [markdown]
# The wave's halves with each doubling, from two units on. The jump's never falls below ½: at t = ½ itself a sigmoid is half-way
# up.
#
# ## Real run 1: a curve from the Bible
#
# How much of the King James Bible do its most frequent words cover? The curve over the logarithm of the rank is
# smooth. How fast does the error fall when you double the hidden units?

# %% tags=["long-run"]
words = "".join(c if c.isalpha() else " " for verse in king_james() for c in verse.text.lower() + " ").split()
counts = np.sort(np.unique(words, return_counts=True)[1])[::-1]  # (types,)
rank, covered = np.log10(np.arange(1, counts.size + 1)), 100 * np.cumsum(counts) / counts.sum()
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.4), layout="constrained")
left.plot(rank, covered, color=plotting.COLOURS["black"], label="text")
sizes, errors = [4, 8, 16, 32, 64, 128], []
for hidden in sizes:
    knots = np.linspace(rank[0], rank[-1], hidden + 1)
    v1, c1, v2, c2 = step_approximator(knots, np.interp(knots, rank, covered), tolerance=0.01)
    drawn = feed_forward(rank[:, None], [(v1, c1), (v2, c2)], ["sigmoid", "identity"])[-1][:, 0]
    errors.append(np.abs(drawn - covered).max())
    if hidden in (8, 32):
        style, colour = ("--", "orange") if hidden == 8 else ("-", "blue")
        left.plot(rank, drawn, style, color=plotting.COLOURS[colour], label=f"{hidden} hidden units")
    print(f"{hidden:4d} hidden units: largest error {errors[-1]:6.2f} percentage points")
left.set(xlabel="log₁₀ rank", ylabel="% of the text covered")
left.legend()
right.loglog(sizes, errors, "o-", color=plotting.COLOURS["vermilion"], base=2)
right.set(xlabel="hidden units", ylabel="largest error")
plt.show()
print(f"{counts.size:,} different words; the 100 most frequent cover {covered[99]:.1f} % of {counts.sum():,}")

# %% [markdown]
# Doubling the units halves the error, roughly: half a stair's height is what remains. **Universal approximation**
# (通用近似) says no more than this: on a bounded interval *some* network comes as near as you like to a continuous curve. It does
# not say how to find it, nor how it behaves outside.
#
# ## Real run 2: a hidden layer that nobody trained
#
# You see two letters of running text (spaces removed). Is the third one a vowel? The two inputs are places in the alphabet,
# from −1 to 1. A hidden layer with **random** weights bends them; least squares fits the output layer alone. Genesis
# trains, the end of Revelation tests.

# %% tags=["long-run"]
text = "".join(c for verse in king_james() for c in verse.text.lower() if "a" <= c <= "z")
letters = np.frombuffer(text.encode(), dtype=np.uint8).astype(int) - ord("a")  # 0 … 25
vowel = np.isin(letters, [ord(c) - ord("a") for c in "aeiou"])


def pairs(first: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Two neighbouring letters, shape (count, 2), and whether a vowel follows, shape (count,)."""
    i = np.arange(first, first + count)
    return np.stack([letters[i], letters[i + 1]], axis=1), vowel[i + 2]


def fit_output(h: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Least squares for the last layer alone: targets 1 for a vowel, −1 for a consonant."""
    with_bias = np.hstack([h, np.ones((len(h), 1))])  # (count, hidden + 1)
    weights = np.linalg.lstsq(with_bias, 2.0 * wanted - 1, rcond=None)[0]
    return weights[:-1, None], weights[-1:]


pair, follows = pairs(0, 20_000)
pair_new, follows_new = pairs(len(letters) - 10_002, 10_000)
print(text[:60], "…", text[-30:])

# %% tags=["long-run"]
count = np.zeros((26, 26))
np.add.at(count, tuple(pair.T), np.where(follows, 1, -1))  # vowels minus consonants after each pair
table = (count[tuple(pair_new.T)] > 0) == follows_new
print(f"always 'consonant' {np.mean(~follows_new):.1%} · table of all 676 pairs {table.mean():.1%}")
for hidden in (3, 10, 30, 100, 300):
    for name in ("identity", "relu"):
        rng = np.random.default_rng(1)
        layers = [(rng.normal(size=(2, hidden)), rng.uniform(-1, 1, size=hidden))]
        layers += [fit_output(feed_forward(pair / 12.5 - 1, layers, [name])[-1], follows)]
        answer = feed_forward(pair_new / 12.5 - 1, layers, [name, "identity"])[-1][:, 0] > 0
        print(f"{hidden:4d} {name:>8} units: {np.mean(answer == follows_new):.1%} right on new text")

# %% [markdown]
# With identity units, 300 are worth no more than saying "consonant" each time: they collapse. Random ReLUs climb from there
# to within a point of the table. The maps below answer for every pair of letters: what does the line miss?

# %% tags=["long-run"]
every = np.stack(np.divmod(np.arange(676), 26), axis=1)  # (676, 2): all pairs
line = [fit_output(pair / 12.5 - 1, follows)]
maps = {
    "one linear unit": feed_forward(every / 12.5 - 1, line, ["identity"])[-1],
    "300 random ReLUs": feed_forward(every / 12.5 - 1, layers, ["relu", "identity"])[-1],
    "counted in Genesis": count.reshape(-1, 1),
}
figure = plotting.draw_letter_maps({title: (score > 0).reshape(26, 26) for title, score in maps.items()})
plt.show()


def one_hot(pair: np.ndarray) -> np.ndarray:
    """A unit vector of length 26 for each of the two letters, side by side: shape (count, 52)."""
    return np.eye(26)[pair].reshape(len(pair), 52)


answer = feed_forward(one_hot(pair_new), [fit_output(one_hot(pair), follows)], ["identity"])[-1][:, 0] > 0
print(f"one linear unit, but 26 inputs a letter: {np.mean(answer == follows_new):.1%} right on new text")

# %% [markdown]
# Stripes: after a, e, i, o, u a consonant follows, after many letters between them a vowel. A line cannot alternate; 300 folds
# can. To be fair: with one input per letter (one-hot, chapter 8) a single linear unit reaches the same 76.7 %. The hidden layer
# repairs a poor representation, here by chance; chapter 6 learns it.
#
# ## Where it goes wrong
#
# Three ways to break a hidden layer. Guess each symptom first: tanh as a quotient of exponentials; z² as activation; a
# weight matrix laid the other way round.

# %%
with np.errstate(all="ignore"):
    big = np.array([1.0, 400.0, 1e4])
    print(
        "tanh by its quotient:", (np.exp(big) - np.exp(-big)) / (np.exp(big) + np.exp(-big)), " np.tanh:", np.tanh(big)
    )
rng, t = np.random.default_rng(0), np.linspace(-1, 1, 201)[:, None]
for units in (3, 50):
    w, b = 3 * rng.normal(size=(1, units)), rng.normal(size=units)
    for name, bend in [("z²", np.square), ("ReLU", lambda z: activation("relu", z))]:
        h = np.hstack([bend(t @ w + b), np.ones_like(t)])
        drawn = h @ np.linalg.lstsq(h, np.sin(6 * t), rcond=None)[0]
        print(
            f"{units:3d} units of {name:>4}: rank {np.linalg.matrix_rank(h):2d}, error {np.abs(drawn - np.sin(6 * t)).max():.3f}"
        )
print("W1 transposed, XOR still right:", (np.maximum(0.0, x @ w1.T + b1) @ w2 + b2)[:, 0])

# %% [markdown]
# * The quotient is ∞/∞ = NaN; the function is not to blame.
# * Fifty squares are one parabola: rank 3, and the error stays. An activation must not be a polynomial.
# * The XOR weights are symmetric, so they cannot reveal a transposed W. Test with uneven shapes.
#
# Other classics: a bias that skips W₂ in the collapse; an activation left on an output that should be any number; s(1 − s)
# computed from z instead of s; the leak on the positive side; a ReLU whose sum is negative for every sample, which is
# silent, has slope 0 and stays so.

# %% [markdown]
# ## Check yourself
#
# <details><summary>What is the core task of an activation function? Name three, with their place, strength and weakness.
# (Interview question, deck E)</summary>
#
# It bends what would else collapse into one linear map, so that layers can represent more than a line. *Sigmoid*: output
# probabilities and gates; bounded, but flat far out (slope 0.25 at best) and never negative. *Tanh*: recurrent states;
# centred on 0, slope 1 at 0, but flat far out too. *ReLU*: hidden layers; cheap, slope 1 for every positive z, but 0 for
# negative z, so a unit can die.
#
# </details>
# <details><summary>Why does a layer need a bias? (Deck B)</summary>
#
# Without it every unit's line passes through the origin, and x = 0 always gives f(0). For a step at t = −b/w, no bias means no
# choice of place.
#
# </details>

# %% [markdown]
# <details><summary>How many layers has the 2-2-1 network, and how many numbers does it learn?</summary>
#
# Two layers (inputs are not counted); 2·2 + 2 + 2·1 + 1 = 9 numbers.
#
# </details>
# <details><summary>Your network of steep sigmoids follows a curve on [0, 1]. What does it say at t = 5?</summary>
#
# Its last stair, for ever: all units are saturated. The theorem promises nothing outside the interval.
#
# </details>

# %% [markdown]
# explanation: why_a_bend_between_layers

# %% [markdown]
# ## Sources and errata
#
# Decks A (layers, stairs), B (why bend, why bias), C (six sigmoids, all right), D (XOR, collapse), E (leaky ReLU to GELU);
# Goodfellow et al. 2016 §6.1; Cybenko 1989; Leshno et al. 1993; Hendrycks & Gimpel 2016; Ramachandran et al. 2017.
#
# 1. D sends each layer's output "to the previous layer". It goes to the next; the cell tries both.
# 2. A, D: one hidden layer approximates *any* function. Any *continuous* one, on a bounded set; at a jump of 1 the error
#    stays ½.
# 3. A takes hard tanh because "tanh overflows". The quotient does; tanh does not, and hard tanh differs.
# 4. A's bump is 0.3235 high, not 0.7 (our text lacks its drawing).

# %%
layers = [(np.ones((2, 3)), np.zeros(3)), (np.ones((3, 1)), np.zeros(1))]
h1, h2 = feed_forward(x, layers, ["relu", "relu"])[1:]
print("h1", h1.shape, "→ layer 2:", (h1 @ layers[1][0]).shape)
try:
    h2 @ layers[0][0]
except ValueError:
    print("h2", h2.shape, "→ layer 1: shapes do not fit")
near = np.linspace(-1, 1, 200_001)
for weight in (1e2, 1e4):
    print(f"jump at 0, w = {weight:g}: error {np.abs(activation('sigmoid', weight * near) - (near > 0)).max():.3f}")
gap = np.abs(activation("hard_tanh", near) - np.tanh(near)).max()
print(f"tanh(10,000) = {np.tanh(1e4):g}; hard tanh differs from tanh by up to {gap:.4f}")

# %% [markdown]
# | here | A | B | C | D |
# | --- | --- | --- | --- | --- |
# | rows are samples, z = xW + b | x·w + b, rows | zˡ = wˡaˡ⁻¹ + bˡ, columns | Wx + b, columns | z[i] = W[i]a[i−1] + b[i], columns |
# | W (inputs, outputs) | w, the same | w transposed | W transposed | W transposed |
# | hᵏ, layer k | hᵏ | aˡ | – | a[i] |
# | f | f | f | – | g[i], also σ for any f |
# | W₁W₂, b₁W₂ + b₂ | – | – | – | W⁽²⁾W⁽¹⁾, W⁽²⁾b⁽¹⁾ + b⁽²⁾ |
#
# E writes single units, net_j = Σ wᵢⱼxᵢ. In chapter 4 you choose a loss, and in chapter 6 the hidden layer learns
# too. Here least squares fitted the output layer, and the hidden layer was luck.
