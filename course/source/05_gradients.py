# ---
# jupyter:
#   nnlm:
#     title: Three ways to a gradient
#     title_zh: 数值·符号·自动微分
#     points: 22
# ---

# %% [markdown]
# # 5 · Three ways to a gradient (数值·符号·自动微分)
#
# ## Why
#
# Is this verse from the Psalms? You see two numbers: how many words it has, and how many punctuation marks. A network with
# 16 hidden units has 65 numbers to set, and chapter 3 left the hidden ones to chance. First idea: change all 65 a little
# at random, keep what lowers the loss. Guess how far 40 tries get from 0.715, and 400.
#
# After this chapter you can
#
# * measure a gradient by differences and choose the step;
# * differentiate formulas by program, and say why they swell;
# * follow values forwards and gradients backwards through a graph;
# * build an engine that does so for arrays, and train a network with it.

# %%
import re
import time
from collections.abc import Callable

import matplotlib.pyplot as plt
import numpy as np
import torch

from autograder import check
from course.kit import plotting
from course.kit.corpora import king_james

# %% tags=["long-run"]
verses = [verse for verse in king_james() if verse.text != "[]"]
psalms = [verse for verse in verses if verse.book == "Psalms"]
others = [verse for verse in verses if verse.book != "Psalms"]
others = [others[i] for i in np.random.default_rng(0).permutation(len(others))[: len(psalms)]]
words = [len(re.findall(r"[a-z']+", verse.text.lower())) for verse in psalms + others]
marks = [sum(verse.text.count(c) for c in ",;:.?!") for verse in psalms + others]
features = np.stack([np.log2(words), marks], axis=1)  # (verses, 2)
is_psalm = np.repeat([1.0, -1.0], len(psalms))  # (verses,)
fifth = np.array([verse.chapter % 5 for verse in psalms + others])


def split(k: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Standardised features and labels without one fifth of the chapters, then those of that fifth."""
    mean, spread = features[fifth != k].mean(axis=0), features[fifth != k].std(axis=0)
    z = (features - mean) / spread
    return z[fifth != k], is_psalm[fifth != k], z[fifth == k], is_psalm[fifth == k]


x_train, y_train, x_held, y_held = split(0)
print(psalms[0].text, "\n", f"{len(psalms)} psalm verses, as many others; {len(x_train)} to learn from")


# %% tags=["long-run"]
def psalm_loss(theta: np.ndarray) -> float:
    """Mean of log(1 + exp(−y·z)) over the training verses; theta holds all 65 numbers."""
    w1, b1, w2, b2 = theta[:32].reshape(2, 16), theta[32:48], theta[48:64], theta[64]
    z = np.tanh(x_train @ w1 + b1) @ w2 + b2  # (verses,)
    return float(np.logaddexp(0, -y_train * z).mean())


rng = np.random.default_rng(1)
start = np.concatenate([rng.normal(size=48), rng.normal(size=16) / 4, [0.0]])  # (65,)
theta, groped = start, [psalm_loss(start)]
for _ in range(400):
    tried = theta + 0.05 * rng.normal(size=65)
    groped.append(min(groped[-1], loss := psalm_loss(tried)))
    theta = tried if loss == groped[-1] else theta
print(f"loss {groped[0]:.3f}, after 40 tries {groped[40]:.3f}, after 400 {groped[400]:.3f}; ", end="")
print(f"always saying fifty-fifty: {np.log(2):.3f}")

# %% [markdown]
# It gropes: one direction is steepest, and a random one of 65 is nearly at right angles to it, the more so the more numbers there
# are. The **gradient** (梯度) names the steepest direction: 65 slopes, one a number. Six steps against it will do what 40 tries did.
# How do you get it?
#
# ## By differences
#
# Nudge x and look. **Numerical differentiation** (数值微分) needs nothing but values of f. By Taylor,
#
# $$f(x \pm h) = f(x) \pm h f'(x) + \tfrac{h^2}{2} f''(x) \pm \tfrac{h^3}{6} f'''(x) + \dots$$
#
# Subtract the two: f and f″ cancel, and divided by 2h there remains the **central difference** (中心差分)
#
# $$\frac{f(x+h) - f(x-h)}{2h} = f'(x) + \tfrac{h^2}{6} f'''(x) + \dots$$
#
# The h² term is the **truncation error** (截断误差). But f itself is stored with a relative error of up to
# u = 2⁻⁵³ ≈ 1.1·10⁻¹⁶; divided by the step, that is a **round-off error** (舍入误差) of up to u|f|/h. One falls with h, the
# other grows:
#
# $$E(h) = \tfrac{h^2}{6}|f'''| + \tfrac{u}{h}|f|, \qquad E'(h) = 0 \;\Rightarrow\; h^* = \sqrt[3]{3u\,|f|/|f'''|}.$$
#
# Looking ahead only, [f(x + h) − f(x)]/h, leaves h·f″/2 and 2u|f|/h, so h* = 2√(u|f|/|f″|). Where is each lowest for
# f = exp, and how low? Put down two powers of ten, then run.

# %%
u = 2.0**-53
at = np.linspace(0.5, 1.5, 400)  # (points,): errors are averaged over them
steps = 10.0 ** -np.arange(0, 15.01, 0.25)
one_sided = np.array([np.abs((np.exp(at + h) - np.exp(at)) / h - np.exp(at)).mean() for h in steps])
central = np.array([np.abs((np.exp(at + h) - np.exp(at - h)) / (2 * h) - np.exp(at)).mean() for h in steps])
size = np.exp(at).mean()
expected = {"one-sided": size * (steps / 2 + 2 * u / steps), "central": size * (steps**2 / 6 + u / steps)}
figure = plotting.draw_step_sizes(steps, {"one-sided": one_sided, "central": central}, expected)
plt.show()
for name, error, best in [("one-sided", one_sided, 2 * u**0.5), ("central", central, (3 * u) ** (1 / 3))]:
    i = int(error.argmin())
    print(f"{name:>9}: lowest {error[i]:.0e} at h = {steps[i]:.0e}; theory says h* = {best:.1e}")

# %% [markdown]
# Two Vs: ten digits at h near 10⁻⁵ for the central one, eight near 10⁻⁸ for the other. To the right of the lowest point
# "smaller is better" turns into noise; the lines are worst cases, the points lie somewhat below.
#
# Move the step. Where is the lowest point when f adds 1,000 to everything, and where when it swings ten times as fast?

# %%
from course.kit.widgets import StepSize

StepSize(function="exp", method="central")

# %% [markdown]
# Round-off grows with |f|: for exp(x) + 1000 h* moves right, to 5·10⁻⁵. Truncation grows with |f‴|: for sin(10x) it moves left, to
# 7·10⁻⁷. The complex step, whose curve has no left branch, follows below.
#
# ### Exercise 5.1 · Nudge
# ●○○ · 8 min · needs: nothing
#
# The gradient of any function of any array. It will check everything you build later.
#
# <details><summary>Hint 1: what to think about</summary>
#
# `np.ndindex(x.shape)` walks through the places of an array of any shape. What must be true of x after each place?
#
# </details>
# <details><summary>Hint 2: which step</summary>
#
# The figure: which h is near the lowest point when |f| and |f‴| are of like size?
#
# </details>

# %%
# exercise: numerical_gradient

# %%
print(numerical_gradient(lambda x: float(np.sum(x**3)), np.array([1.0, -2.0, 0.5])))

# %% [markdown]
# Two relatives. The **complex step** (复数步): f(x + ih) = f(x) + ih·f′(x) − …, so Im f(x + ih)/h is the slope *without a
# subtraction*; nothing cancels, and h may be 10⁻²⁰⁰. It needs an f that is analytic and takes complex numbers.
#
# **Random directions** (随机方向): for v of random signs, [f(x + hv) − f(x − hv)]/2h = v·∇f, two evaluations whatever the size
# of x. As a *test* of a claimed gradient one v is nearly enough. As an *estimate*, averaging v·(v·∇f) over k directions is
# off by √((n − 1)/k), relative. For n = 65 and k = 65, is that useful?


# %%
def waves(x):
    """A smooth function of 65 numbers that also takes complex ones."""
    return np.sum(np.sin(x) * np.exp(x / 3))


rng = np.random.default_rng(0)
x = rng.normal(size=65)
truth = np.exp(x / 3) * (np.cos(x) + np.sin(x) / 3)
places = np.eye(65)
ways = {
    "one-sided, h = 2e-8": np.array([(waves(x + 2e-8 * e) - waves(x)) / 2e-8 for e in places]),
    "central": numerical_gradient(waves, x),
    "complex step, h = 1e-200": np.array([waves(x + 1e-200j * e).imag / 1e-200 for e in places]),
}
for k in (65, 6500):
    signs = rng.choice([-1.0, 1.0], size=(k, 65))
    slopes = np.array([(waves(x + 6e-6 * v) - waves(x - 6e-6 * v)) / 1.2e-5 for v in signs])
    ways[f"{k} random directions"] = signs.T @ slopes / k
for name, found in ways.items():
    print(f"{name:>25}: relative error {np.linalg.norm(found - truth) / np.linalg.norm(truth):.1e}")

# %% [markdown]
# No: about 100 % off. The central difference has ten digits, the complex step sixteen. But all of them evaluate f at least
# once for **every** number: 65 is fine, a million is not.
#
# ## By formulas
#
# **Symbolic differentiation** (符号微分) writes the formula down once. An expression is a tree: ("*", "x", ("+", "x", 1)).
# Each operation has its rule, and the derivative is a tree again.
#
# ### Exercise 5.2 · Differentiate
# ●●○ · 15 min · needs: nothing
#
# Numbers, names, sums and differences are done; five rules are yours (^ has a number as exponent).
#
# <details><summary>Hint 1: what to think about</summary>
#
# The function calls itself on u and v. What is the derivative of u·v in terms of u, v and these two results?
#
# </details>
# <details><summary>Hint 2: which identity</summary>
#
# (u/v)′ = (u′v − uv′)/v². For exp, log and powers: the outer slope times u′, also when u is a whole expression.
#
# </details>

# %%
# exercise: differentiate

# %%
# given: evaluate

# %%
deck_a = ("+", ("*", "x", "w"), ("*", 2, ("^", "w", 2)))  # deck A: L(w) = x·w + 2w², slope x + 4w
slope = differentiate(deck_a, "w")
print("dL/dw =", slope)
print("at x = (2, −3), w = (−1, 1):", [evaluate(slope, {"x": x, "w": w}) for x, w in [(2, -1), (-3, 1)]])

# %% [markdown]
# Deck A's result, (−2, 1). Correct, but not pretty: the rules leave 0s and 1s behind. Deck A shows worse, **expression swell**
# (表达式膨胀). Its four functions follow one rule, fₙ₊₁ = fₙ(fₙ + 1), from f₁ = x. Below, "written" counts every symbol;
# "shared" stores equal parts once (the counts are those of the plain rules). How do both grow from row to row?

# %%
# given: count_nodes

# %%
f, polynomial = "x", np.polynomial.Polynomial([0, 1])
print("row   f written   f′ written   f′ shared   f′ expanded: coefficients, highest power first")
for row in range(1, 11):
    slope = differentiate(f, "x")
    (written_f, _), (written, shared) = count_nodes(f), count_nodes(slope)
    shown = polynomial.deriv().coef[::-1].astype(int).tolist() if row <= 4 else f"{2 ** (row - 1)} terms"
    print(f"{row:3}{written_f:12}{written:13}{shared:12}   {shown}")
    f, polynomial = ("*", f, ("+", f, 1)), polynomial * (polynomial + 1) if row < 4 else polynomial

# %% [markdown]
# Rows 1 to 4 are deck A's, 8x⁷ + 28x⁶ + 48x⁵ + 50x⁴ + 36x³ + 18x² + 6x + 1 included. Written out, the derivative more than doubles
# with each row, and expanding does not help. **Shared, it grows by six nodes a row** (from row 2 on). The swell lies in writing a
# tree. Keep equal parts once, and the tree becomes a graph: that is the third way.
#
# ## By a graph
#
# A **computation graph** (计算图) has a node for every value; edges say what it was computed from, and there are no cycles.
# Deck E grows y = xᵀAx + b·x + c. With rows, node by node:

# %%
x, a, b, c = np.array([[1.0, -2.0]]), np.array([[2.0, 1.0], [3.0, -1.0]]), np.array([3.0, 1.0]), 5.0
u = x @ a  # (1, 2)
m = (u * x).sum()  # xᵀAx
n = (b * x).sum()  # b·x
y = m + n + c
loss = (y - (-1.0)) ** 2  # the answer wanted is −1
print("u", u, " m", m, " n", n, " y", y, " loss", loss)

# %% [markdown]
# | node | value | forwards: slope by x₁ | backwards: ∂loss/∂node |
# | --- | --- | --- | --- |
# | x | (1, −2) | (1, 0) | −6u + (−6x)Aᵀ − 6b = **(6, −54)** |
# | u = xA | (−4, 3) | (2, 1) | −6x = (−6, 12) |
# | m = u·x | −10 | (2, 1)·(1, −2) + (−4, 3)·(1, 0) = −4 | −6 |
# | n = b·x | 1 | 3 | −6 |
# | c | 5 | 0 | −6 |
# | y = m + n + c | −4 | −1 | 2(y + 1) = −6 |
# | loss = (y + 1)² | 9 | −6·(−1) = **6** | 1 |
#
# **Forward mode** (前向模式) starts at one input and asks each node: how fast do you move with it? **Reverse mode** (反向模式) starts
# at the loss and asks: how fast does it move with you?

# %%
names = {"x": (0, 1), "A": (0, 2.6), "b": (0, -0.6), "u": (1.5, 2), "m": (3, 1.5), "n": (3, 0), "c": (3, -1.2)}
names |= {"y": (4.5, 0.8), "loss": (6, 0.8)}
edges = [("x", "u"), ("A", "u"), ("u", "m"), ("x", "m"), ("x", "n"), ("b", "n"), ("m", "y"), ("n", "y"), ("c", "y")]
values = {"x": "(1, −2)", "b": "(3, 1)", "u": "(−4, 3)", "m": "−10", "n": "1", "c": "5", "y": "−4", "loss": "9"}
grads = {"x": "(6, −54)", "b": "(−6, 12)", "u": "(−6, 12)", "m": "−6", "n": "−6", "c": "−6", "y": "−6", "loss": "1"}
figure = plotting.draw_graph(names, [*edges, ("y", "loss")], values, grads)
plt.show()

# %% [markdown]
# Values stand above the nodes, gradients below. Both columns meet in ∂loss/∂x₁ = 6, but the backward one has found the slopes
# by x₂, A, b and c on the way. Three arrows leave x, so **three shares arrive, and they add up**: (24, −18), (0, −30) and
# (−18, −6).
#
# A sum hands its gradient on unchanged, a product multiplies it by the other factor. So −6 reaches m, n and c alike. Deck E prints
# ∂L/∂x₁ = ∂L/∂x₂ = 2(y − y\*)**x** (its x₁, x₂ are our m, n), yet ∂L/∂c = 2(y − y\*). Which is right? Nudge m and n.

# %%
for name, (dm, dn, dc) in {"m": (1, 0, 0), "n": (0, 1, 0), "c": (0, 0, 1)}.items():
    nudged = [(m + h * dm + n + h * dn + c + h * dc + 1) ** 2 for h in (1e-5, -1e-5)]
    print(
        f"∂loss/∂{name} = {(nudged[0] - nudged[1]) / 2e-5:.4f};  2(y + 1) = {2 * (y + 1)},  2(y + 1)x = {2 * (y + 1) * x[0]}"
    )

deck_e_a = [[-0.0313, -0.0386, -0.8571, 0.7265, 0.9405], [-0.0386, -0.0476, -1.0572, 0.8961, 1.1601]]
deck_e_a += [[-0.8571, -1.0572, -23.4711, 19.8953, 25.7557], [0.7265, 0.8961, 19.8953, -16.8643, -21.8319]]
deck_e_a += [[0.9405, 1.1601, 25.7557, -21.8319, -28.2627]]
deck_e_b, deck_e_c = np.array([0.6044, 0.7455, 16.5508, -14.0294, -18.1619]), -11.6710
gap = np.abs(np.outer(deck_e_b, deck_e_b) / deck_e_c - deck_e_a).max()  # if c.grad = g, b.grad = g·x, A.grad = g·xxᵀ
print(f"deck E's own printed gradients agree with a single number g to {gap:.4f}")

# %% [markdown]
# Single numbers: the factor x is too many, and the gradients that deck E prints from PyTorch say so too.
#
# ### Exercise 5.3 · The quadratic form
# ●●○ · 20 min · needs: the worked example
#
# For a batch: one y for each row of x, and ∂loss/∂y comes from outside. A need not be symmetric.
#
# <details><summary>Hint 1: what to think about</summary>
#
# Do one row on paper, as in the table. Then ask of each of x, A, b, c: one for every row, or shared by all?
#
# </details>
# <details><summary>Hint 2: which identity</summary>
#
# x stands on both sides of A: the product rule gives two terms. For one row, ∂y/∂Aᵢⱼ = xᵢxⱼ; what is shared collects from all rows.
#
# </details>

# %%
# exercise: quadratic_gradient

# %%
grad_x, grad_a, grad_b, grad_c = quadratic_gradient(np.array([-6.0]), x, a, b, c)
print(grad_x, grad_a.tolist(), grad_b, grad_c)
measured = numerical_gradient(lambda x: float((np.sum((x @ a) * x) + np.sum(b * x) + c + 1) ** 2), x)
print("measured:", measured, "  as if A were symmetric:", -6 * (2 * x @ a.T + b))

# %% [markdown]
# ## Build the engine
#
# **Automatic differentiation** (自动微分) lets a program do that table: exact slopes of single steps, numbers instead of
# formulas. Each node keeps its value, its parents, and one function, `backward`: given ∂loss/∂node, it returns ∂loss/∂parent for
# each parent. The operators + − * / @ only call the functions you are about to write.
#
# After it, one operation in full: a sum of all entries moves one for one with each, so its gradient is copied to all.

# %%
# given: Tensor

# %%
# given: total

# %% [markdown]
# ### Exercise 5.4 · Un-broadcast
# ●●○ · 10 min · needs: nothing
#
# A bias of shape (3,) beside a batch (4, 3) is used four times, without a word. On the way back the four shares must meet in three
# numbers.
#
# <details><summary>Hint 1: what to think about</summary>
#
# Broadcasting does two things: new axes in front, and axes of length 1 stretched. Undo each.
#
# </details>
# <details><summary>Hint 2: almost there</summary>
#
# `sum` takes a tuple of axes, and `keepdims=True` leaves a 1 where an axis was. An empty tuple sums over nothing.
#
# </details>

# %%
# exercise: unbroadcast

# %%
print(unbroadcast(np.ones((4, 3)), (3,)), unbroadcast(np.ones((4, 3)), (4, 1)).tolist())

# %% [markdown]
# ### Exercise 5.5 · Two operands
# ●●○ · 15 min · needs: unbroadcast
#
# The sum is there as a pattern. For Z = XW with G = ∂loss/∂Z: nudging Xₙₘ moves Zₙₖ by Wₘₖ, for every k, so
# ∂loss/∂Xₙₘ = Σₖ Gₙₖ Wₘₖ. That is GWᵀ; the shapes (n, k)·(k, m) leave no other choice.
#
# <details><summary>Hint 1: what to think about</summary>
#
# For each operation: nudge a by 1, how does the result move? Then multiply by grad and bring the shape back.
#
# </details>
# <details><summary>Hint 2: which identity</summary>
#
# a/b = a·b⁻¹, and the slope of b⁻¹ is −b⁻². For W in the matrix product, sum over n instead of k.
#
# </details>

# %%
# exercise: binary

# %% [markdown]
# ### Exercise 5.6 · One operand
# ●○○ · 8 min · needs: chapter 3's slopes
#
# Compute on the way forward what the way back can use again.
#
# <details><summary>Hint 1: what to think about</summary>
#
# Slope times what comes in. At which of the two, input or output, is each slope easiest?
#
# </details>
# <details><summary>Hint 2: the slopes</summary>
#
# exp: the output. log: 1/input. tanh: 1 − output². ReLU: 1 where the input is above 0, else 0.
#
# </details>

# %%
# exercise: elementwise

# %%
x, slope_in = np.array([0.5, 2.0]), np.array([1.0, -1.0])
for name in ("exp", "log", "tanh", "relu"):
    back = elementwise(name, Tensor(x)).backward(slope_in)[0]
    measured = numerical_gradient(lambda x, name=name: float(elementwise(name, Tensor(x)).data @ slope_in), x)
    print(f"{name:>5} {back}  differs from the measured slope by {np.abs(back - measured).max():.0e}")

# %% [markdown]
# ### Exercise 5.7 · In which order?
# ●●○ · 10 min · needs: Tensor
#
# A node may hand its gradient on only when it is complete: when **all** its children have sent. A **topological order** (拓扑序)
# lists parents before children; walked from the back, it does the trick.
#
# <details><summary>Hint 1: what to think about</summary>
#
# To write a node down, its parents must have been written down. And theirs. Which kind of function calls itself?
#
# </details>
# <details><summary>Hint 2: almost there</summary>
#
# A set of `id(node)` tells where you have been. Visit the parents first, then append the node itself.
#
# </details>

# %%
# exercise: topological_order

# %%
one, two = Tensor(1.0), Tensor(2.0)
short = one + two
print([float(node.data) for node in topological_order(short * one + short)])

# %% [markdown]
# ### Exercise 5.8 · Backpropagate
# ●●● · 20 min · needs: topological_order
#
# The last piece. Start with ∂node/∂node = 1, walk backwards, add up what arrives. `grad` keeps what earlier calls left, as in PyTorch; what
# *this* call sends around must not be mixed with it.
#
# <details><summary>Hint 1: what to think about</summary>
#
# Keep a dictionary for this call: `id` of a node → what has arrived so far. When is an entry complete?
#
# </details>
# <details><summary>Hint 2: two traps</summary>
#
# A second share is added, not put in place of the first. And += on an array changes everyone who holds it: a sum sends the same array
# to both sides.
#
# </details>
# <details><summary>Hint 3: almost there</summary>
#
# For each node from the back: take what arrived, add it to its grad, pass it through `backward`, and book each share with its parent.
#
# </details>

# %%
# exercise: backpropagate

# %% [markdown]
# Deck E's graph, built by your engine: do the numbers of the table come out? Then a network with everything in it,
# broadcasting, reuse, all kinds of nodes, beside PyTorch.

# %%
x, a, b, c = Tensor([[1.0, -2.0]]), Tensor([[2.0, 1.0], [3.0, -1.0]]), Tensor([3.0, 1.0]), Tensor(5.0)
y = total((x @ a) * x) + total(b * x) + c
loss = (y + 1.0) * (y + 1.0)
backpropagate(loss)
for name, node in {"x": x, "A": a, "b": b, "c": c, "y": y, "loss": loss}.items():
    print(f"{name:>4}  value {node.data.tolist()}  grad {node.grad.tolist()}")

rng = np.random.default_rng(3)
parts = {
    "x": rng.normal(size=(7, 4)),
    "w": rng.normal(size=(4, 5)),
    "b": rng.normal(size=5),
    "v": rng.normal(size=(5, 1)),
}
ours = {name: Tensor(value) for name, value in parts.items()}
theirs = {name: torch.tensor(value, requires_grad=True) for name, value in parts.items()}
h = elementwise("tanh", ours["x"] @ ours["w"] + ours["b"])
z = (elementwise("relu", h) - h * h / 3.0) @ ours["v"]
backpropagate(total(elementwise("log", elementwise("exp", z) + 1.0)))
k = torch.tanh(theirs["x"] @ theirs["w"] + theirs["b"])
torch.log(torch.exp((torch.relu(k) - k * k / 3.0) @ theirs["v"]) + 1.0).sum().backward()
for name in parts:
    print(f"{name}: differs from PyTorch by {np.abs(ours[name].grad - theirs[name].grad.numpy()).max():.0e}")

# %% [markdown]
# ## What does it cost?
#
# Forward mode needs one pass for each input, reverse mode one for each output. (Differences: two evaluations for each input.) The same
# network below, from n inputs to one output. Guess: by which factor does each column grow when n grows sixteenfold? Its last
# lines turn the roles round: one input, 50 outputs.

# %% tags=["long-run"]
rng = np.random.default_rng(0)
print("inputs   forward mode                reverse mode        differ by")
for n in (16, 64, 256, 1024):
    x, w1, w2 = rng.normal(size=(1, n)), rng.normal(size=(n, 64)) / n**0.5, rng.normal(size=(64, 1))
    begin, slopes = time.perf_counter(), np.zeros((1, n))
    for i, direction in enumerate(np.eye(n)[:, None]):  # each (1, n)
        h = np.tanh(x @ w1)
        moved = (1 - h**2) * (direction @ w1)  # how fast h moves
        slopes[0, i] = (moved @ w2).item()
    middle, node = time.perf_counter(), Tensor(x)
    backpropagate(total(elementwise("tanh", node @ Tensor(w1)) @ Tensor(w2)))
    end, gap = time.perf_counter(), np.abs(node.grad - slopes).max()
    print(
        f"{n:6} {n:6} passes {1e3 * (middle - begin):8.2f} ms       1 pass {1e3 * (end - middle):6.2f} ms    {gap:.0e}"
    )

t, curve = Tensor(np.array([[0.3]])), np.linspace(-1, 1, 50)[None, :]  # one input, 50 outputs tanh(t·wⱼ)
outputs = elementwise("tanh", t @ Tensor(curve))
for j in range(50):  # reverse mode: a pass for each output
    t.grad = np.zeros_like(t.data)
    backpropagate(total(outputs * np.eye(50)[j]))
    assert np.isclose(t.grad, (1 - np.tanh(0.3 * curve[0, j]) ** 2) * curve[0, j]).all()
print("reverse: 50 passes; forward: 1 pass,", ((1 - np.tanh(0.3 * curve) ** 2) * curve).shape[1], "slopes at once")

# %% [markdown]
# Forward mode: the passes grow with n, and each is dearer. Reverse mode: one pass, always. For one loss and a million parameters there
# is no choice. Its price is memory: every value waits for its way back.
#
# ## Define by run, or once and for all
#
# Your engine builds the graph *while* it computes: **define-by-run** (动态图), as in PyTorch. Loops and branches are plain Python. A
# **static graph** (静态图) is recorded first and then run again and again; it can be optimised as a whole (equal parts stored once,
# as in the swell table), but a branch taken while recording stays taken. What does the recording below say at x = −2?


# %%
def branchy(x):
    """Slope 2x on the right of 0, −1 on the left."""
    return x * x if x.data > 0 else x * -1.0


for value in (2.0, -2.0):
    x = Tensor(value)
    y = branchy(x)
    backpropagate(y)
    print(f"define-by-run at {value:4}: value {y.data}, slope {x.grad}, {len(topological_order(y))} nodes")


def run_plan(plan, slots):
    """Run a recorded list of steps: (result, operation, operands)."""
    for result, operation, *operands in plan:
        slots[result] = operation(*(slots[name] for name in operands))
    return slots["y"]


recorded = [("y", np.multiply, "x", "x")]  # what branchy did at x = 2
print("recorded at 2, run at -2.0: value", run_plan(recorded, {"x": -2.0}), "instead of 2.0")

# %% [markdown]
# It squares, because it never asks again. Deck A lists TensorFlow as static; that was version 1, and 2.0 (2019) runs eagerly.
#
# ## Real run: psalm or not?
#
# Back to the 65 numbers, now with your engine and plain **gradient descent** (梯度下降): step against the gradient, 400 times. A linear
# unit runs beside it. First, trust: the engine's gradient of the real loss before three judges. Then all five fifths of the chapters
# are held out in turn.


# %% tags=["long-run"]
def score(parameters: list, x: Tensor) -> Tensor:
    """Scores of verses, (verses, 1): a linear unit for two parameters, a tanh network for four."""
    if len(parameters) == 2:
        return x @ parameters[0] + parameters[1]
    w1, b1, w2, b2 = parameters
    return elementwise("tanh", x @ w1 + b1) @ w2 + b2


def train_psalms(parameters: list, x: np.ndarray, y: np.ndarray, updates: int) -> list:
    """Gradient descent with step 1 on the mean of log(1 + exp(−y·score)); returns the losses."""
    losses = []
    for _ in range(updates):
        margin = score(parameters, Tensor(x)) * y[:, None]
        loss = total(elementwise("log", elementwise("exp", margin * -1.0) + 1.0)) / float(len(x))
        backpropagate(loss)
        for parameter in parameters:
            parameter.data = parameter.data - parameter.grad
            parameter.grad = np.zeros_like(parameter.data)  # empty for the next step
        losses.append(float(loss.data))
    return losses


def unpack(theta: np.ndarray) -> list:
    """65 numbers as the four parameters of the network."""
    return [Tensor(theta[:32].reshape(2, 16)), Tensor(theta[32:48]), Tensor(theta[48:64, None]), Tensor(theta[64:])]


# %% tags=["long-run"]
parameters = unpack(start)
margin = score(parameters, Tensor(x_train)) * y_train[:, None]
backpropagate(total(elementwise("log", elementwise("exp", margin * -1.0) + 1.0)) / float(len(x_train)))
ours = np.concatenate([parameter.grad.ravel() for parameter in parameters])  # (65,)
tensor = torch.tensor(start, requires_grad=True)
hidden = torch.tanh(torch.tensor(x_train) @ tensor[:32].reshape(2, 16) + tensor[32:48])
z = hidden @ tensor[48:64] + tensor[64]
torch.log(torch.exp(-torch.tensor(y_train) * z) + 1.0).mean().backward()
direction = np.random.default_rng(5).choice([-1.0, 1.0], size=65)
along = (psalm_loss(start + 6e-6 * direction) - psalm_loss(start - 6e-6 * direction)) / 1.2e-5
print(f"against PyTorch:              {np.abs(ours - tensor.grad.numpy()).max():.0e}")
print(f"against 130 evaluations:      {np.abs(ours - numerical_gradient(psalm_loss, start)).max():.0e}")
print(f"against one random direction: {abs(ours @ direction - along):.0e}")

# %% tags=["long-run"]
right, new_loss, curves, trained = {}, {}, {}, {}
for name, fresh in {
    "linear unit": lambda: [Tensor(np.zeros((2, 1))), Tensor(np.zeros(1))],
    "16 tanh units": lambda: unpack(start),
}.items():
    right[name], new_loss[name] = [], []
    for k in range(5):
        x, y, x_new, y_new = split(k)
        parameters = fresh()
        losses = train_psalms(parameters, x, y, 400)
        z = score(parameters, Tensor(x_new)).data[:, 0]
        right[name].extend((z > 0) == (y_new > 0))
        new_loss[name].extend(np.logaddexp(0, -y_new * z))
        if k == 0:
            curves[name], trained[name] = losses, parameters
    print(f"{name:>14}: loss {curves[name][0]:.3f} → {curves[name][-1]:.3f}; ", end="")
    print(f"held out: loss {np.mean(new_loss[name]):.3f}, {np.mean(right[name]):.1%} right of {len(right[name])}")

# %% tags=["long-run"]
figure, axes = plt.subplots(figsize=(7, 3.2), layout="constrained")
for (name, losses), (colour, style) in zip(curves.items(), [("vermilion", "--"), ("blue", "-")], strict=True):
    axes.plot(losses, style, color=plotting.COLOURS[colour], label=name)
axes.plot(groped, ":", color=plotting.COLOURS["black"], label="random tries, 16 tanh units")
axes.set(xlabel="step, or try", ylabel="loss (nats)")
axes.legend()
plt.show()
print(f"16 tanh units, after 6 steps {curves['16 tanh units'][6]:.3f}, after 40 {curves['16 tanh units'][40]:.3f}")
regions = {
    name: lambda points, parameters=parameters: score(parameters, Tensor(points)).data[:, 0]
    for name, parameters in trained.items()
}
labels = ("words (log, standardised)", "punctuation marks (standardised)")
figure = plotting.draw_regions(x_held, y_held, regions, labels)
plt.show()

# %% [markdown]
# Six steps do what 40 tries did; 400 steps end lowest. On new chapters the network is right 72.5 times in 100, the line 70.9 times, and
# its held-out loss is 0.545 against 0.589. The maps say why (hatched: psalm; discs are psalms): psalm verses are neither short nor long,
# and a line cannot say "in between". Two numbers do not make a psalm, but the hidden layer has found its bend, with your engine.
#
# ## Break it
#
# Four classics, one symptom each. Guess before you run: x·x + x at 3 with overwriting; a graph walked level by level; a bias without
# un-broadcasting; a step of 10⁻¹³.


# %%
def careless(node, order, overwrite):
    """Reverse mode in a given order; overwrites instead of adding, if told so."""
    arrived = {id(n): np.zeros_like(n.data) for n in order} | {id(node): np.ones(())}
    for n in order:
        n.grad = arrived[id(n)]
        for parent, share in zip(n.parents, n.backward(n.grad) if n.backward else (), strict=True):
            arrived[id(parent)] = share if overwrite else arrived[id(parent)] + share


def level_order(node):
    """The node, its parents, their parents, …: each where it is first met."""
    found = [node]
    for n in found:
        found += [parent for parent in dict.fromkeys(n.parents) if all(parent is not f for f in found)]
    return found


x = Tensor(3.0)
y = x * x + x
careless(y, topological_order(y)[::-1], overwrite=True)
print("x·x + x at 3, overwriting:", x.grad, "instead of 7")
x = Tensor(3.0)
p = x * x
careless(y := p + p * p, level_order(y), overwrite=False)  # p is one step from y, and two steps as well
print("p + p·p with p = x·x, level by level:", x.grad, "instead of", 2 * 3 + 4 * 3**3)

# %%
rng = np.random.default_rng(0)
x, w, b = rng.normal(size=(6, 2)), rng.normal(size=(2, 3)), np.zeros(3)
grad = np.ones((6, 3))  # ∂loss/∂(xw + b)
b = b - 0.1 * grad  # un-broadcasting forgotten: NumPy does not complain
print("the bias has become", b.shape, "and on the same six rows all goes on:", (x @ w + b).shape)
try:
    rng.normal(size=(4, 2)) @ w + b
except ValueError as error:
    print("on four new rows:", error)

f, x = (lambda x: float(np.sum(np.exp(x)))), rng.normal(size=4)
for h in (6e-6, 1e-13):
    found = np.array([(f(x + h * e) - f(x - h * e)) / (2 * h) for e in np.eye(4)])
    print(f"h = {h:.0e}: relative error {np.abs(found / np.exp(x) - 1).max():.0e}")

# %% [markdown]
# * Overwriting keeps the last share. Level by level, p speaks before p·p has, and the late share is lost.
# * A bias without un-broadcasting learns one bias for each *training row*; the loss even falls, and new data do not fit.
# * Too small a step is noise, not accuracy.
#
# Other classics: grads not emptied between steps, so that old ones pull along; `data` changed in place between forward and backward, so that
# slopes belong to other values; exp(−y·z) overflowing in the loss (chapter 4 has the stable form); and recursion, which Python stops at about 1,000
# nodes in a chain: long graphs need an explicit stack.
#
# ## Check yourself
#
# <details><summary>Explain the core idea of backpropagation, and the chain rule's part in it. (Interview question, deck E)</summary>
#
# Compute forwards and keep the values. Then start from ∂loss/∂loss = 1 and visit the nodes in reverse topological order; each multiplies
# what arrived by its own local slopes and sends the products to its parents, where shares from several children add up. The chain rule says that
# slopes along a path multiply and that paths add. One backward pass gives all gradients.
#
# </details>
# <details><summary>float32 has u = 2⁻²⁴. Which step, and how many digits, for a central difference?</summary>
#
# (3·2⁻²⁴)^(1/3) ≈ 0.0056; the error there is h²/6 + u/h ≈ 1.6·10⁻⁵: not quite five digits. Check gradients in float64.
#
# </details>
# <details><summary>Why does the gradient of a symmetric-looking 2Ax go wrong for a general A?</summary>
#
# x occurs twice; the left and the right x bring xAᵀ and xA. They are equal only if A = Aᵀ.
#
# </details>
# <details><summary>Is automatic differentiation an approximation?</summary>
#
# No. It applies exact rules to numbers; only rounding is left, as in the function itself.
#
# </details>

# %% [markdown]
# explanation: why_reverse_mode

# %% [markdown]
# ## Sources and errata
#
# Decks A (three ways, swell table, dynamic and static), E (graph, quadratic form), D (graph for a two-layer network); Linnainmaa 1970 (reverse mode);
# Squire & Trapp 1998 (complex step); Spall 1992 (random signs); Griewank & Walther 2008; Baydin et al. 2018 (survey); Laue 2019 (swell is a matter of
# sharing).
#
# 1. E: ∂L/∂x₁ and ∂L/∂x₂ carry a factor x too many (cell above; its next lines ∂L/∂M, ∂L/∂b are right, and its printed PyTorch gradients agree).
# 2. A names slowness as the drawback of differences. Accuracy is the other: the V.
# 3. A blames the swell on symbolic differentiation; stored as a graph, the derivative of row 10 has 56 nodes instead of 19,455.
# 4. A: TensorFlow as the static one: true of version 1.
#
# | here | A | B | D | E |
# | --- | --- | --- | --- | --- |
# | loss, a number | L(w) | J | L | L |
# | `node.grad` = ∂loss/∂node | ∂L/∂hⁱ, later π | δ, for z | ∂L/∂z | ∂L/∂… for each node |
# | step h | Δw | – | – | – |
# | row x: xAxᵀ = m, b·x = n | – | – | – | column x: xᵀAx = x₁, b·x = x₂ |
# | entries of x: x₁, x₂ | – | – | – | x₁, x₂ are nodes there |
# | samples | rows | columns | columns | one column |
#
# In chapter 6 you do by hand what the engine does, for whole layers at once, and see why it is fast.
