# ---
# jupyter:
#   nnlm:
#     title: Backpropagation by hand
#     title_zh: 反向传播
#     points: 24
# ---

# %% [markdown]
# # 6 · Backpropagation by hand (反向传播)
#
# ## Why
#
# In chapter 3 three hundred random hidden units guessed whether a vowel follows two letters, and only the output layer was fitted. How
# should a **hidden** weight change? Nudging each one and watching the loss (chapter 5) would answer it. Guess what that costs for a
# network of 48 hidden units, then run the cell.
#
# After this chapter you can
#
# * derive the gradient of every weight, with the shape of every factor, and say where the 1/N lives;
# * read three decks' notations as one recursion;
# * write the backward pass of K layers and of a skip, and train with it;
# * judge any printed gradient by a check that owes nothing to it.

# %%
import matplotlib.pyplot as plt
import numpy as np

from autograder import check
from course.kit import plotting
from course.kit.corpora import king_james


def differences(loss, at: np.ndarray, step: float = 1e-5) -> np.ndarray:
    """Central differences of loss(at), one entry at a time; same shape as at."""
    grad = np.zeros_like(at)
    for i in np.ndindex(at.shape):
        ahead, behind = at.copy(), at.copy()
        ahead[i] += step
        behind[i] -= step
        grad[i] = (loss(ahead) - loss(behind)) / (2 * step)
    return grad


shapes = [(2, 24), (24, 24), (24, 2)]  # (inputs, outputs) of each layer
weights, products = sum(n * m + m for n, m in shapes), sum(n * m for n, m in shapes)
print(f"{weights} weights and biases; differences need {2 * weights:,} forward passes for one gradient")
print(f"a row forward: {products} multiplications; there and back: {3 * products:,}")

# %% [markdown]
# All 722 gradients for the price of three forward passes, where differences need 1,444. That is **backpropagation** (反向传播): the
# chain rule, read from the loss backwards, so that no factor is computed twice.
#
# `differences` stays with us, as the judge. A **gradient check** (梯度检查) holds each formula of this chapter to it.
#
# ## The last layer first
#
# One layer has two stages, z = hW + b and then f(z); h is what the layer before said. Suppose we know grad_z = ∂loss/∂z, of z's shape (N,
# outputs). Three gradients follow.
#
# **W.** Entry W[i, o] acts on column o of z, in every row n with the factor h[n, i]. Rows add up:
#
# $$\text{grad\_W}[i, o] = \sum_n h[n, i]\,\text{grad\_z}[n, o], \qquad
# \underset{(in,\,out)}{\text{grad\_W}} = \underset{(in,\,N)}{h^T}\;\underset{(N,\,out)}{\text{grad\_z}}.$$
#
# **b.** The same with factor 1: the column sums of grad_z.
#
# **h.** Entry h[n, i] reaches all columns of row n, with the factors W[i, o]:
#
# $$\underset{(N,\,in)}{\text{grad\_h}} = \underset{(N,\,out)}{\text{grad\_z}}\;\underset{(out,\,in)}{W^T}.$$

# %% [markdown]
# ### Exercise 6.1 · Back through xW + b
# ●○○ · 5 min · needs: nothing
#
# Three gradients from one that arrives. One of the four arguments you will not need; which, and why?
#
# <details><summary>Hint 1: what to think about</summary>
#
# A gradient has the shape of its own variable. Only one product of the two factors has it.
#
# </details>
# <details><summary>Hint 2: which identity</summary>
#
# The three lines above, with x for h and grad_y for grad_z.
#
# </details>

# %%
# exercise: affine_backward

# %%
rng = np.random.default_rng(0)
x, w, b, grad_y = rng.normal(size=(4, 3)), rng.normal(size=(3, 5)), rng.normal(size=5), rng.normal(size=(4, 5))
grad_x, grad_w, grad_b = affine_backward(grad_y, x, w, b)
by_differences = differences(lambda w: np.sum(grad_y * (x @ w + b)), w)
print(f"grad_w {grad_w.shape}, largest difference {np.abs(grad_w - by_differences).max():.0e}")

# %% [markdown]
# The check took Σ grad_y · y as its loss, whose gradient by y is grad_y. With ones for grad_y it would not notice a lost
# upstream gradient.
#
# **The bend.** Element by element, h = f(z) passes a gradient on times its slope, taken at z, where the forward pass was:
#
# $$\text{grad\_z} = \text{grad\_h} \odot f'(z).$$
#
# With h at hand some slopes need no z: σ′ = h(1 − h), tanh′ = 1 − h².
#
# ### Exercise 6.2 · Back through a bend
# ●○○ · 10 min · needs: chapter 3's slopes
#
# Six activations by name; one is there as a pattern.
#
# <details><summary>Hint 1: what to think about</summary>
#
# What arrives, the slope, and where it is taken.
#
# </details>
# <details><summary>Hint 2: which identity</summary>
#
# Softplus has the sigmoid as its slope. Comparisons multiply like 0 and 1.
#
# </details>

# %%
# given: stable_sigmoid

# %%
# given: bend

# %%
# exercise: activation_backward

# %%
z, grad_h = rng.normal(size=(3, 4)), rng.normal(size=(3, 4))
for name in ("sigmoid", "tanh", "relu", "leaky_relu", "softplus"):
    gap = activation_backward(grad_h, z, name) - differences(lambda z, name=name: np.sum(grad_h * bend(z, name)), z)
    print(f"{name:>10}  largest difference {np.abs(gap).max():.0e}")

# %% [markdown]
# ## Softmax and cross-entropy collapse
#
# For one row with logits z and right class c, ŷ = softmax(z):
#
# $$\text{loss} = -\log \hat y_c = -z_c + \log \sum_j e^{z_j}, \qquad
# \frac{\partial\,\text{loss}}{\partial z_k} = -[k = c] + \frac{e^{z_k}}{\sum_j e^{z_j}} = \hat y_k - y_k.$$
#
# The logarithm is gone, and no slope of softmax is left: prediction minus answer. On paper, z = (2, 1, 0) and c the second class: ŷ = (0.6652, 0.2447,
# 0.0900), gradient (0.6652, −0.7553, 0.0900). Its entries add up to 0.
#
# **Where the 1/N lives.** The loss of a batch is the **mean** over its N rows, so each row's gradient is divided by N *there*, once. After
# that, layers only add rows up. Sum the losses instead, and every gradient is N times as long.

# %% [markdown]
# ### Exercise 6.3 · Back through the loss
# ●●○ · 10 min · needs: the collapse
#
# The first gradient of every backward pass in this course. Logits of ±1,000 must not overflow.
#
# <details><summary>Hint 1: what to think about</summary>
#
# Softmax does not change when all logits of a row move by the same amount. Which amount is safe, and is it the same for all rows?
#
# </details>
# <details><summary>Hint 2: almost there</summary>
#
# ŷ − y: compute ŷ for all rows, take 1 off at each row's target, then think of the mean.
#
# </details>

# %%
# given: batch_cross_entropy

# %%
# exercise: softmax_cross_entropy_backward

# %%
print(softmax_cross_entropy_backward(np.array([[2.0, 1.0, 0.0]]), np.array([1])).round(4))
print(softmax_cross_entropy_backward(np.array([[1000.0, 0.0], [-1000.0, 1000.0]]), np.array([0, 0])))

# %% [markdown]
# ## The recursion
#
# grad_h of a layer is what arrives at the one below. With grad_zᵏ for layer k = 1 … K:
#
# $$\text{grad\_z}^K = \text{grad\_h}^K \odot f'(z^K), \qquad
# \underset{(N,\,n_k)}{\text{grad\_z}^k} = \big(\underset{(N,\,n_{k+1})}{\text{grad\_z}^{k+1}}\;
# \underset{(n_{k+1},\,n_k)}{(W^{k+1})^T}\big) \odot f'(z^k),$$
#
# $$\text{grad\_W}^k = (h^{k-1})^T\,\text{grad\_z}^k, \qquad \text{grad\_b}^k = \text{column sums of grad\_z}^k.$$
#
# A writes πᵏ, B δˡ, E δⱼ. Are they one?
#
# | here, rows | A, rows, no bias | B, columns | E, single units |
# | --- | --- | --- | --- |
# | zᵏ = hᵏ⁻¹Wᵏ + bᵏ | sᵏ = hᵏ⁻¹wᵏ | zˡ = wˡaˡ⁻¹ + bˡ | net_j = Σ w_ji x_i |
# | grad_zᵏ | πᵏ (once ∂L/∂hᵏ) | δˡ, our row upright | δ_j = **−**∂J/∂net_j (appendix), +∂L/∂net_j (example) |
# | grad_zᴷ | ∂L/∂hᴷ · ∂f/∂s | ∇ₐJ ⊙ f′(zᴸ) | (t_k − z_k) g′(net_k) |
# | (grad_zᵏ⁺¹ Wᵀ) ⊙ f′ | π[w]ᵀ, then f′ | (wˡ⁺¹)ᵀδˡ⁺¹ ⊙ f′(zˡ) | g′(net_j) Σ w_kj δ_k |
# | grad_Wᵏ | [hᵏ⁻¹]ᵀπᵏ | δˡ(aˡ⁻¹)ᵀ | −δ_j x_i (appendix) |
# | W − η grad_W | w − α ∂J/∂w | wˡ − αδˡ(aˡ⁻¹)ᵀ | w + ηδ_j x_i (appendix), w − ηδu (example) |
#
# E's w_ji leads from i to j, its w₁₃ from 1 to 3.

# %%
h, w_next, z = rng.normal(size=(6, 3)), rng.normal(size=(4, 2)), rng.normal(size=(6, 4))
above = rng.normal(size=(6, 2))  # grad_z of the layer above
ours = (above @ w_next.T) * (1 - np.tanh(z) ** 2)  # (6, 4)
columns = [w_next @ above[n][:, None] * (1 - np.tanh(z[n])[:, None] ** 2) for n in range(6)]  # B: (4, 1) each
units = [[-(1 - np.tanh(z[n, j]) ** 2) * sum(w_next[j] * -above[n]) for j in range(4)] for n in range(6)]  # E
print("rows against columns:", np.abs(ours - np.hstack(columns).T).max() < 1e-14)
print("rows against units:  ", np.abs(ours - np.array(units)).max() < 1e-14)
outer = sum(delta @ h[n][None, :] for n, delta in enumerate(columns))  # B: (outputs, inputs)
print("grad_W, B transposed:", np.abs(h.T @ ours - outer.T).max() < 1e-14)

# %% [markdown]
# ## Worked example: one step on paper
#
# Deck E: two inputs, two hidden units (3, 4), one output (5), all with the same g; unit 0 says 1, so w₀ⱼ is a bias. L = ½(t − u₅)², x = (1, 0), t
# = 1, η = 1. With ReLU:
#
# | unit | net | u | g′(net) | δ = ∂L/∂net |
# | --- | --- | --- | --- | --- |
# | 3 | 1 + 1·3 + 0·4 = 4 | 4 | 1 | δ₅·w₃₅·1 = 3·2 = **6** |
# | 4 | −6 + 1·6 + 0·5 = 0 | 0 | 0, by convention | δ₅·w₄₅·0 = **0** |
# | 5 | −4 + 4·2 + 0·4 = 4 | 4 | 1 | −(1 − 4)·1 = **3** |
#
# L = ½·9 = 4.5. Each change is −η · δ where the weight ends · u where it begins: Δw₀₅ = −3, Δw₃₅ = −3·4 = −12, Δw₄₅ = 0, Δw₀₃ = Δw₁₃ = −6, Δw₂₃ = 0
# (x₂ = 0), and nothing for unit 4.

# %% [markdown]
# ### Exercise 6.4 · The same, for any numbers
# ●●○ · 15 min · needs: the table
#
# The forward pass is there. Find δ₅, δ₃, δ₄ and the nine changes; then predict δ₅ and δ₄ for the **sigmoid** on paper.
#
# <details><summary>Hint 1: what to think about</summary>
#
# δ₅ first. The hidden signals use the weights that made the prediction, not changed ones.
#
# </details>
# <details><summary>Hint 2: which identity</summary>
#
# δ of a hidden unit: δ₅, times the weight that leads up, times the slope at the hidden unit's own net.
#
# </details>
# <details><summary>Hint 3: almost there</summary>
#
# The key "w13" names both ends: what begins at key[1] speaks, what ends at key[2] has the signal. One line can make all nine.
#
# </details>

# %%
# exercise: worked_example

# %%
start = {"w03": 1.0, "w04": -6.0, "w05": -4.0, "w13": 3.0, "w14": 6.0, "w23": 4.0, "w24": 5.0, "w35": 2.0, "w45": 4.0}
panels = {}
for name in ("relu", "sigmoid"):
    u, loss, delta, change = worked_example(start, (1.0, 0.0), 1.0, name, 1.0)
    panels[name] = (u, delta)
    print(f"{name}: u3, u4, u5 = {u.round(6)}  loss {loss:.6f}  δ3, δ4, δ5 = {(delta + 0.0).round(6)}")
    print("  ", "  ".join(f"Δ{key} {value + 0.0:.6f}" for key, value in change.items()))
    u, loss, delta, _ = worked_example({key: start[key] + change[key] for key in start}, (1.0, 0.0), 1.0, name, 1.0)
    print(f"   after the step: loss {loss:.6f}, u5 = {u[2]:.4f}, largest |δ| {np.abs(delta).max():.6f}")
figure = plotting.draw_two_two_one(start, panels)
plt.show()

# %% [markdown]
# | sigmoid | 3 | 4 | 5 |
# | --- | --- | --- | --- |
# | u | 0.982014 | 0.5 | 0.491008 |
# | δ | −0.004494 | −0.127207 | −0.127207 |
# | Δw₀ⱼ | 0.004494 | 0.127207 | 0.127207 |
# | Δw₁ⱼ | 0.004494 | 0.127207 | – |
# | Δw₂ⱼ | 0 | 0 | – |
# | Δw₃₅, Δw₄₅ | – | – | 0.124919, 0.063603 |
#
# L = 0.129536. δ₄ = δ₅ because 4 · ¼ = 1. Where does the signal pass? With ReLU only through unit 3; with the sigmoid mostly through unit
# 4, since unit 3 is saturated. And the ReLU step is too long: all three units die, every δ is 0, the loss stays at 0.5 for ever. The sigmoid's
# loss falls from 0.1295 to 0.0710.
#
# Step through both, node by node. At which node does ReLU's gradient stop, and how small must η be for the network to survive its first
# step?

# %%
from course.kit.widgets import GraphStepper

GraphStepper(bend="relu")

# %% [markdown]
# At unit 4, whose net is exactly 0. Up to η = 0.06 unit 5 stays awake; with 0.04 the loss falls from 4.5 to 0.0265.
#
# ## K layers
#
# Forward stores, for each layer, what it read and its z. Backward walks the same list from its end.
#
# ### Exercise 6.5 · Backward
# ●●● · 20 min · needs: 6.1, 6.2
#
# The piece that trains the network of the real run. One loop is missing. The cell after the check also sends a signal through eight
# layers: guess how much of it a sigmoid (slope at most ¼) leaves for the first.
#
# <details><summary>Hint 1: what to think about</summary>
#
# One round per layer: which two functions of yours does it call, and which result does the next round need?
#
# </details>
# <details><summary>Hint 2: almost there</summary>
#
# All three lists run from their ends. Bend first, then affine.
#
# </details>

# %%
# given: mlp_forward

# %%
# exercise: mlp_backward

# %%
rng, names = np.random.default_rng(1), ["relu", "tanh", "identity"]
layers = [(rng.normal(size=(n, m)), rng.normal(size=m)) for n, m in [(3, 5), (5, 4), (4, 3)]]
x, targets = rng.normal(size=(6, 3)), rng.integers(3, size=6)
logits, stored = mlp_forward(x, layers, names)
grads = mlp_backward(softmax_cross_entropy_backward(logits, targets), stored, layers, names)
for k, (w, b) in enumerate(layers):

    def loss(w, k=k, b=b):
        return batch_cross_entropy(mlp_forward(x, [*layers[:k], (w, b), *layers[k + 1 :]], names)[0], targets)

    print(
        f"layer {k + 1}: grad_w {grads[k][0].shape}, largest difference {np.abs(grads[k][0] - differences(loss, w)).max():.0e}"
    )

for name, scale in [("sigmoid", 1), ("tanh", 1), ("relu", 2)]:
    rng = np.random.default_rng(1)  # scale 2: half of a ReLU's sums are cut off, so its weights are drawn √2 larger
    deep = [(rng.normal(size=(20, 20)) * np.sqrt(scale / 20), np.zeros(20)) for _ in range(8)]
    logits, stored = mlp_forward(rng.normal(size=(100, 20)), deep, [name] * 8)
    sizes = [np.abs(grad_w).mean() for grad_w, _ in mlp_backward(rng.normal(size=(100, 20)), stored, deep, [name] * 8)]
    print(f"{name:>8}: mean |grad_W|, layer 8 {sizes[7]:.2g}, layer 4 {sizes[3]:.2g}, layer 1 {sizes[0]:.2g}")

# %% [markdown]
# The sigmoid's first layer gets less than a ten-thousandth of what its last gets: the gradient **vanishes** (梯度消失). Tanh and ReLU roughly keep its
# size here. Is that the function or the weights? How large must they be for the sigmoid's signal to survive eight layers, and what do
# the same weights do to ReLU's?

# %%
from course.kit.widgets import ErrorFlow

ErrorFlow(activation="sigmoid", depth=8, scale=1.0)

# %% [markdown]
# Both. With weights three times as large the sigmoid still loses half at each layer, while ReLU's signal doubles: it **explodes** (梯度爆炸).
# ReLU keeps it near √2, where the cell above drew. A sure way past a layer is a road around it.
#
# ## A skip
#
# Deck A's network, four layers without biases: h¹ = ReLU(xw¹), h² = ReLU(h¹w²), **h³ = h² + h¹**, h⁴ = softmax(h³w⁴). The sum is a **residual
# connection** (残差连接): h¹ is read twice. A value with two readers gets both their gradients, **added**:
#
# $$\text{grad\_h}^1 = \underbrace{\text{grad\_z}^2\,(w^2)^T}_{\text{through layer 2}} + \underbrace{\text{grad\_h}^3}_{\text{the skip}}.$$

# %% [markdown]
# ### Exercise 6.6 · Back through the skip
# ●●○ · 15 min · needs: 6.1, 6.2
#
# Forward is there. Which of h³'s two summands meets which ReLU on its way back?
#
# <details><summary>Hint 1: what to think about</summary>
#
# Draw the network and run the arrows backwards. Where do two arrows meet, above or below a bend?
#
# </details>
# <details><summary>Hint 2: which identity</summary>
#
# A sum hands its gradient unchanged to each summand: grad_h2 = grad_h3, and h1's share from the skip is grad_h3 too.
#
# </details>

# %%
# exercise: residual_backward


# %%
def residual_logits(x, w1, w2, w4):
    """Deck A's network, forward."""
    h1 = np.maximum(x @ w1, 0.0)
    return (np.maximum(h1 @ w2, 0.0) + h1) @ w4


rng = np.random.default_rng(2)
parts = [rng.normal(size=s) for s in [(5, 3), (3, 4), (4, 4), (4, 2)]]  # x, w1, w2, w4
targets = rng.integers(2, size=5)
found = residual_backward(softmax_cross_entropy_backward(residual_logits(*parts), targets), *parts)
for i, name in enumerate(["x", "w1", "w2", "w4"]):

    def loss(part, i=i):
        return batch_cross_entropy(residual_logits(*parts[:i], part, *parts[i + 1 :]), targets)

    print(
        f"grad_{name:<2} {found[i].shape}, largest difference {np.abs(found[i] - differences(loss, parts[i])).max():.0e}"
    )

# %% [markdown]
# ## Why not start from zero?
#
# Equal units get equal gradients and stay equal: a **symmetry** (对称性) that descent cannot break. With zeros it is worse: h = 0
# and W² = 0 leave both weight matrices and b¹ without a gradient; only b² can move, and on XOR, with equal classes, not even that. How many different hidden units, of eight, does each start keep on XOR?

# %%
corners, xor = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]), np.array([0, 1, 1, 0])


def descend(layers, x, y, names, rate, steps):
    """Plain gradient descent on the whole of x, y."""
    for _ in range(steps):
        logits, stored = mlp_forward(x, layers, names)
        grads = mlp_backward(softmax_cross_entropy_backward(logits, y), stored, layers, names)
        layers = [
            (w - rate * grad_w, b - rate * grad_b) for (w, b), (grad_w, grad_b) in zip(layers, grads, strict=True)
        ]
    return layers


rng = np.random.default_rng(0)
draws = {"zeros": np.zeros, "all ½": lambda s: np.full(s, 0.5), "random": lambda s: rng.normal(size=s)}
for label, draw in draws.items():
    layers, names = [(draw((2, 8)), draw(8)), (draw((8, 2)), draw(2))], ["tanh", "identity"]
    layers = descend(layers, corners, xor, names, rate=0.5, steps=1000)
    logits, units = mlp_forward(corners, layers, names)[0], np.unique(np.vstack(layers[0]).round(9), axis=1)
    right = np.mean(logits.argmax(axis=1) == xor)
    print(f"{label}: {units.shape[1]} different units, loss {batch_cross_entropy(logits, xor):.4f}, {right:.0%} right")

# %% [markdown]
# One, one, eight. Zeros stay at ln 2 = 0.6931; eight equal units are one unit. Weights start at random, biases may start at 0.
#
# ## One row at a time, or all at once
#
# Deck E gives two algorithms. **Stochastic** (随机), algorithm 1: draw one pattern, go back, change the weights at once. **Batch**
# (批量), algorithm 2: add up ηδx over all n patterns, then change the weights once. Note "add up": no 1/N. Deck A's cost is a mean. Predict:
# 2,000 letter pairs, η = 0.1, five passes over the data each; who is ahead?

# %% tags=["long-run"]
text = "".join(c for verse in king_james() for c in verse.text.lower() if "a" <= c <= "z")
letters = np.frombuffer(text.encode(), dtype=np.uint8).astype(int) - ord("a")  # 0 … 25
is_vowel = np.isin(letters, [ord(c) - ord("a") for c in "aeiou"]).astype(int)


def pairs(first: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Two neighbouring letters as places from −1 to 1, (count, 2), and whether a vowel follows, (count,)."""
    i = np.arange(first, first + count)
    return np.stack([letters[i], letters[i + 1]], axis=1) / 12.5 - 1, is_vowel[i + 2]


def fresh(seed: int, units: list[int]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Random weights; those of layer 1 are larger, so that its units bend inside the alphabet and not far outside."""
    rng = np.random.default_rng(seed)
    layers = [(3.5 * rng.normal(size=(units[0], units[1])), rng.uniform(-5, 5, size=units[1]))]
    for k in range(1, len(units) - 1):
        layers.append((rng.normal(size=(units[k], units[k + 1])) / np.sqrt(units[k]), np.zeros(units[k + 1])))
    return layers


# %% tags=["long-run"]
few, follows = pairs(0, 2_000)
for label, size, eta in [
    ("algorithm 1, η = 0.1", 1, 0.1),
    ("algorithm 2, η = 0.1", 2000, 0.1 * 2000),  # our gradient is a mean: times N makes E's sum
    ("algorithm 2, η = 0.1/N", 2000, 0.1),
]:
    layers, names, rng, losses = fresh(0, [2, 8, 2]), ["tanh", "identity"], np.random.default_rng(1), []
    for _ in range(5):
        losses.append(batch_cross_entropy(mlp_forward(few, layers, names)[0], follows))
        for _ in range(2000 // size):
            rows = rng.integers(2000, size=1) if size == 1 else slice(None)
            layers = descend(layers, few[rows], follows[rows], names, eta, steps=1)
    losses.append(batch_cross_entropy(mlp_forward(few, layers, names)[0], follows))
    print(f"{label:>22}: loss after 0 … 5 passes", *(f"{value:8.4f}" for value in losses))

# %% [markdown]
# With one η for both, adding up makes each batch step 2,000 times as long, and the loss explodes. Divided by N it falls smoothly and slowly:
# five steps in five passes. One row at a time has made 10,000 noisy steps, one of its passes even upwards, and is ahead. **Mini-batches** (小批量) stand between; we
# take 20 rows below.
#
# Both algorithms stop "until ∇J(w) < θ". A vector is not less than a number: a norm is meant; and algorithm 1 never sees ∇J at
# all, only one row's share.

# %% [markdown]
# ## Find the slide bugs
#
# Fifteen formulas as the decks print them, put into our rows. Three are right. Differences need no trust: they compare each with the loss
# that is meant. f and g are the sigmoid.
#
# | name | loss, meant | printed gradient by **at** |
# | --- | --- | --- |
# | A squared | ½‖answer − at‖² | answer − at |
# | A logistic | log(1 + exp(−answer·at)) | gradient of log(1 + answer·at) |
# | A cross-entropy | −Σ answer·log at | of −Σ at·log answer |
# | A output weights | π = grad_s known, s = h·at | hᵀπ |
# | A hidden weights | π = grad_h known, output f(h·at) | hᵀπ |
# | A residual | grad_h3 known, h³ = ReLU(at·w2) + at | grad_h3 |

# %% [markdown]
# | name | loss, meant | printed gradient by **at** |
# | --- | --- | --- |
# | B cross-entropy | −y log at − (1 − y) log(1 − at) | of −y log at + (1 − y) log(1 − at) |
# | B weights | δ known, z = a·at | aᵀ(δ ⊙ f′(z)) |
# | D weights | cross-entropy of softmax(x·at) | −xᵀ(y ⊙ ŷ) |
# | D output | cross-entropy of σ(at) | σ(at) − y |
# | E norm | squared error Σ(at − y)² | of ‖at − y‖ |
# | E node | (at + rest − y)², at = xᵀAx | 2(at + rest − y)·x |
# | E matrix | (xᵀ·at·x + rest − y)² | 2(… − y)·xxᵀ |
# | E hidden unit | δ₅ known, net₅ = … + w₄₅g(at) | δ₅·w₄₅·g′(net₅) |
# | E weight | δ₃ known, net₃ = … + x₁·at | −δ₃x₁ (from the printed Δw₁₃) |
#
# y stands for "answer" in `given`.

# %%
# given: slide_examples

# %%
# given: printed_formula

# %%
# given: meant_loss

# %%
at, given = slide_examples(np.random.default_rng(0))["A squared"]
print("printed    ", printed_formula("A squared", at, given)[0])
print("differences", differences(lambda at: meant_loss("A squared", at, given), at)[0])

# %% [markdown]
# ### Exercise 6.7 · Detective
# ●●● · 45 min · needs: everything above
#
# Do for all fifteen what the cell above does for one. Then return the printed gradient where it survives, and your own where it does not.
#
# <details><summary>Hint 1: what to think about</summary>
#
# Loop over `slide_examples`. Compare shapes first, then signs, then values. Twelve should differ.
#
# </details>
# <details><summary>Hint 2: which identity</summary>
#
# "A hidden weights" and "A residual" are exercises 6.2 and 6.6 again. "A logistic" is −answer·σ(−answer·at): differentiate log(1 + e^(−m)).
#
# </details>
# <details><summary>Hint 3: almost there</summary>
#
# "D weights" is the collapse, ŷ − y, pulled through x·at. "E hidden unit" has a slope at the wrong net. "B weights" has one slope too many.
#
# </details>

# %%
# exercise: find_the_slide_bugs

# %%
print(f"{'':>18} printed − differences   yours − differences")
for name, (at, given) in slide_examples(np.random.default_rng(0)).items():
    truth = differences(lambda at, name=name, given=given: meant_loss(name, at, given), at)
    printed, mine = printed_formula(name, at, given), find_the_slide_bugs(name, at, given)
    gap = (
        f"{np.abs(printed - truth).max():10.1e}"
        if printed.shape == truth.shape
        else f"shape {printed.shape}, not {truth.shape}"
    )
    print(f"{name:>18} {gap:>22} {np.abs(mine - truth).max():21.1e}")
print(f"E's δ5 from its own rounded numbers: {-(1 - 0.491) * 0.2499:.4f}; but 0.51 × 0.25 = {0.51 * 0.25:.4f}")
print(
    f"E's u5 with its exponent as printed: {1 / (1 + np.exp(-0.04)):.4f}; with the sign put right: {1 / (1 + np.exp(0.04)):.4f}"
)

# %% [markdown]
# Three survive: "A output weights", "D output", "E matrix". Differences refute a gradient, not a *loss*; four entries (A logistic, A
# cross-entropy, B cross-entropy, E norm) are losses, refuted by their meaning. B's rewards ŷ → 1 where the answer is 0, without limit.
#
# ## Real run: a hidden layer that learns
#
# The task of chapter 3: two letters as places in the alphabet; does a vowel follow? Genesis trains, the end of Revelation tests. There, 300
# random ReLUs under a fitted output layer were right for 76.7 % of new text, counting all 676 pairs for 77.3 %. Here are two layers of 24 tanh
# units. First as they are born, with only the output fitted; then trained by your `mlp_backward`.

# %% tags=["long-run"]
pair, follows = pairs(0, 20_000)
pair_new, follows_new = pairs(len(letters) - 10_002, 10_000)
names = ["tanh", "tanh", "identity"]


def right(layers) -> float:
    """Share of the new text that is answered right."""
    return float(np.mean(mlp_forward(pair_new, layers, names)[0].argmax(axis=1) == follows_new))


born = []
for seed in range(3):
    hidden = fresh(seed, [2, 24, 24])
    h = np.hstack([mlp_forward(pair, hidden, names[:2])[0], np.ones((len(pair), 1))])
    w = np.linalg.lstsq(h, 2.0 * follows - 1, rcond=None)[0]  # (25,)
    born.append(right([*hidden, (np.outer(w[:-1], [-1, 1]), w[-1] * np.array([-1, 1]))]))
print(f"always 'consonant' {np.mean(follows_new == 0):.1%} · 48 random units", *(f"{share:.1%}" for share in born))


# %% tags=["long-run"]
def train(seed: int, epochs: int = 150, batch: int = 20) -> tuple[list, np.ndarray]:
    """Stochastic descent on mini-batches; the last fifth of the epochs takes steps a tenth as long."""
    layers, rng, history = fresh(seed, [2, 24, 24, 2]), np.random.default_rng(seed), []
    for epoch in range(epochs):
        eta, order = 0.3 if epoch < 0.8 * epochs else 0.03, rng.permutation(len(pair))
        for first in range(0, len(pair), batch):
            rows = order[first : first + batch]
            layers = descend(layers, pair[rows], follows[rows], names, eta, steps=1)
        history.append((batch_cross_entropy(mlp_forward(pair, layers, names)[0], follows), right(layers)))
        if epoch % 50 == 49:
            print(
                f"start {seed}, epoch {epoch + 1:3d}: loss {history[-1][0]:.4f}, {history[-1][1]:.1%} right on new text"
            )
    return layers, np.array(history)


runs = [train(seed) for seed in range(3)]
levels = {"300 random ReLUs": 0.767, "always 'consonant'": float(np.mean(follows_new == 0))}
figure = plotting.draw_training({f"start {seed}": history for seed, (_, history) in enumerate(runs)}, levels)
plt.show()

# %% tags=["long-run"]
every = np.stack(np.divmod(np.arange(676), 26), axis=1) / 12.5 - 1  # (676, 2): all pairs
networks = {"untrained": fresh(0, [2, 24, 24, 2]), "trained": runs[0][0]}
count = np.zeros((26, 26))
np.add.at(count, tuple(((pair + 1) * 12.5).round().astype(int).T), 2 * follows - 1)  # vowels minus consonants
maps = {
    title: (mlp_forward(every, layers, names)[0] @ [-1.0, 1.0] > 0).reshape(26, 26)
    for title, layers in networks.items()
}
figure = plotting.draw_letter_maps(maps | {"counted in Genesis": count > 0})
plt.show()

# %% [markdown]
# The 48 units that stood at 67 to 70 % by chance reach about 75 to 77 %, what took 300 random ones. The maps show how: no
# stripes at birth, stripes after training. To be fair: the curve is ragged until the steps shrink; the three starts end two points
# apart; two letters say no more than the table of pairs, 77.3 %; and one-hot inputs (chapter 3) gave one linear unit 76.7 % at once. Chapter
# 7 is about the raggedness. (Rounding differs between machines, and with it the last digits here.)
#
# ## Where it goes wrong
#
# Five wrong backward passes beside a right one, trained for ten epochs on 4,000 pairs. Guess which a falling loss would **not** betray.


# %% tags=["long-run"]
def wrong_step(bug, layers, x, y):
    """One step of size 0.3 with a backward pass that is wrong in one way."""
    logits, stored = mlp_forward(x, layers, names)
    first = softmax_cross_entropy_backward(logits, y) * {"no 1/N": len(y), "sign": -1}.get(bug, 1)
    if bug == "slope at h":
        stored = [(h, bend(z, name)) for (h, z), name in zip(stored, names, strict=True)]
    grads = mlp_backward(first, stored, layers, ["identity"] * 3 if bug == "no slopes" else names)
    if bug == "last layer only":
        grads[:2] = [(0 * w, 0 * b) for w, b in layers[:2]]
    return [(w - 0.3 * grad_w, b - 0.3 * grad_b) for (w, b), (grad_w, grad_b) in zip(layers, grads, strict=True)]


for bug in ("none", "slope at h", "last layer only", "no slopes", "no 1/N", "sign"):
    layers, rng = fresh(0, [2, 24, 24, 2]), np.random.default_rng(1)
    for _ in range(10):
        for rows in rng.permutation(4000).reshape(-1, 20):
            layers = wrong_step(bug, layers, pair[rows], follows[rows])
    loss = batch_cross_entropy(mlp_forward(pair[:4000], layers, names)[0], follows[:4000])
    print(f"{bug:>16}: loss {loss:,.4f}")

# %% [markdown]
# | mistake | symptom |
# | --- | --- |
# | sign | loss climbs at once |
# | 1/N missing | explodes, or only at large batches |
# | transpose missing | shape error; **silent** if all sizes are equal |
# | slope at h, slopes left out, a layer cut off | loss **falls**, a little worse: only a gradient check tells |
# | no maximum subtracted | NaN once a logit passes 709 |
# | grad_b per row | runs, until the last batch has another size |
# | skip forgotten, or overwritten | only a part of the gradient below it: the check again |
# | W changed before grad_h | nearly right while η is small |
# | all weights equal | hidden units stay one unit |
#
# The cell shows two more symptoms.

# %%
with np.errstate(all="ignore"):
    print("softmax without the maximum:", np.exp([710.0, 0.0]) / np.exp([710.0, 0.0]).sum())
b, grad_y = np.zeros(3), np.ones((20, 3))
b = b - 0.1 * grad_y  # the bias gradient, one row a sample
print("a bias of shape", b.shape, "after one step; adding it to 20 rows works,", end=" ")
try:
    np.zeros((7, 3)) + b
except ValueError:
    print("to a last batch of 7 rows it does not")

# %% [markdown]
# ## Check yourself
#
# <details><summary>What is an activation function's core task, seen from the way back? (After an interview question of deck E)</summary>
#
# Forward it bends; backward it scales each element by its slope. Where the slope is 0 (saturated sigmoid, sleeping ReLU) the unit's weights
# learn nothing from that row.
#
# </details>
# <details><summary>Why does the gradient of b have no factor x?</summary>
#
# b is the weight on an input that always says 1.
#
# </details>
# <details><summary>You double the batch by repeating every row. What happens to the gradient of the mean loss, and of the sum?</summary>
#
# The mean's stays; the sum's doubles.
#
# </details>
# <details><summary>A gradient check of a ReLU network fails at one entry by a lot. Must the formula be wrong?</summary>
#
# No: a z within a step of 0 lies on a corner, where the difference averages two slopes. Move x and check again.
#
# </details>

# %% [markdown]
# explanation: why_errors_travel_backwards

# %% [markdown]
# ## Sources and errata
#
# Rumelhart, Hinton & Williams 1986; He et al. 2015 (residual networks); deck A (π, residual network), B (δˡ), D (training, after SLP3), E (2-2-1 example, both
# algorithms, appendix). "6.7" means the exercise's table of differences.
#
# | deck | printed | true | shown by |
# | --- | --- | --- | --- |
# | A | ∂L/∂h = ỹ − h | h − ỹ | 6.7 A squared |
# | A | logistic log(1 + ỹy), also in its code column | log(1 + exp(−ỹy)) | 6.7 A logistic |
# | A | cross-entropy −Σ y log ỹ, ỹ the answer | −Σ ỹ log y | 6.7 A cross-entropy |
# | A | πᵏ = ∂L/∂sᵏ, then ∂L/∂hᵏ | ∂L/∂sᵏ | 6.7 A hidden weights |
# | A | code: layer 2's share goes to dh[2]; then dh[1] = dh[1] + dh[3] | that share belongs in dh[1] | 6.7 A residual |

# %% [markdown]
# | deck | printed | true | shown by |
# | --- | --- | --- | --- |
# | B | −y log ŷ + (1 − y) log(1 − ŷ), twice | both terms negative | 6.7 B cross-entropy |
# | B | ∂J/∂w = δ·∂f(wa + b)/∂w (and for b) | δ·∂(wa + b)/∂w; its last line is right | 6.7 B weights |
# | D | −(y_k ŷ_k)x_i | −(y_k − ŷ_k)x_i; **our text of the deck may have lost the minus** | 6.7 D weights |
# | E | L2 ‖f(x) − y*‖₂, "mean squared error" | its square | 6.7 E norm |
# | E | ∂L/∂x₁ = ∂L/∂x₂ = 2(y − y*)x | 2(y − y*): x₁, x₂ are numbers | 6.7 E node |
# | E | δ₄ = δ₅w₄₅g′(net₅) | g′(net₄), with ReLU′(0) = 0 agreed | 6.7 E hidden unit, 6.4 |
# | E | Δw₁₃ = −0.0045 | +0.0045, like its Δw₀₃ | 6.7 E weight, 6.4 |

# %% [markdown]
# | deck | printed | true | shown by |
# | --- | --- | --- | --- |
# | E | δ₅ ≈ −0.1275; with it Δw₀₅ 0.1275, Δw₃₅ 0.1252, Δw₄₅ 0.0638, δ₄ −0.1275, Δw₀₄ = Δw₁₄ = 0.1275 | −0.1272; 0.1272, 0.1249, 0.0636, −0.1272, 0.1272 | 6.4, 6.7 |
# | E | u₅ = 1/(1 + e^(−0.04)) | e^(+0.04), as net₅ is negative; its value 0.491 is right | 6.7 |
# | E | δ = −∂J/∂net, then +∂L/∂net | either, but one | the recursion |
# | E | stop when ∇J < θ | ‖∇J‖ < θ | algorithms |
#
# B, D and E reached us as transcriptions, so a lost minus (B's second term, D's, E's exponent and its Δw₁₃) may be the transcriber's; A's text is the slides' own.
#
# Next: chapter 7 makes the steps better than plain descent. Keep `mlp_backward`: every network of the course is these few lines with other
# layers between them.
