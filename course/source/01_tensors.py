# ---
# jupyter:
#   nnlm:
#     title: Tensors
#     title_zh: 张量
#     points: 22
# ---

# %% [markdown]
# # 1 · Tensors (张量)
#
# ## Why
#
# A network's inputs, weights and outputs are tables of numbers, and most errors of a beginner are about their shape. Shapes cost time
# too. Below, a matrix of 16 million numbers is transposed, then flattened. Guess which of the two takes longer, and by how much.
#
# After this chapter you can
#
# * compute where an element lies in memory, and say which operations move no number at all;
# * predict what broadcasting does before it surprises you;
# * write loops over products as one line, and measure what that buys;
# * mirror, turn, shift and project points by a matrix, and say which of these are linear;
# * say what a tensor is when the axes turn.

# %%
import math
import time

import matplotlib.pyplot as plt
import numpy as np
import torch

from autograder import check
from course.kit import plotting
from course.kit.corpora import king_james
from course.kit.devices import pick_device


def seconds(job, times: int = 3) -> float:
    """The shortest of several runs, in seconds."""
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        job()
        taken.append(time.perf_counter() - start)
    return min(taken)


big = np.ones((4000, 4000))
print(f"transpose {seconds(lambda: big.T):.7f} s, then flatten {seconds(lambda: big.T.reshape(-1)):.3f} s")

# %% [markdown]
# Transposing is free; flattening afterwards is not. The rest of this part explains why.
#
# A **tensor** (张量) is, in a program, an array with any number of axes. The number of axes is its **rank** or order (阶),
# `ndim` in NumPy. Their sizes, in a tuple, are its **shape** (形状).
#
# | | rank | shape | example |
# | --- | --- | --- | --- |
# | **scalar** (标量) | 0 | () | a loss |
# | **vector** (向量) | 1 | (3,) | a bias |
# | **matrix** (矩阵) | 2 | (4, 2) | weights; a batch of rows |
# | rank-3 tensor | 3 | (4, 4, 4) | batch × time × features |
#
# Two words mislead. A "300-dimensional" vector has one axis, of 300 numbers. And the rank of a *matrix* in linear algebra (independent rows) is
# something else: `np.linalg.matrix_rank`.

# %% [markdown]
# ## Where the numbers lie
#
# Memory is one long row. A tensor adds a rule that turns an index into a place: one **stride** (步长) for each axis, and
#
# $$\text{place} = \sum_k \text{index}_k \cdot \text{stride}_k .$$
#
# In **order C** (行优先) the last index runs fastest, in **order F** (列优先, F for Fortran) the first. Worked example: shape (2, 2, 3), order C. A step
# along the last axis is 1 element, along the middle one 3 (a row), along the first 2 · 3 = 6 (a matrix). So element [1, 0, 2] lies at
# 1·6 + 0·3 + 2·1 = 8.
#
# Deck A stores the numbers 1 to 12 as T(1:2, 1:2, 1:3), the bounds of three indices, and calls the size 3 × 2 × 2. Can both describe one storage?
# And which number is at [1, 0, 2]?

# %%
numbers = np.arange(1, 13)
slowest_first = numbers.reshape(2, 2, 3)  # order C
fastest_first = numbers.reshape(3, 2, 2, order="F")  # the same storage, sizes listed the other way round
print(slowest_first.tolist())
print("C, (2, 2, 3): strides", [s // 8 for s in slowest_first.strides], " [1, 0, 2] →", slowest_first[1, 0, 2])
print("F, (3, 2, 2): strides", [s // 8 for s in fastest_first.strides], " [2, 0, 1] →", fastest_first[2, 0, 1])
print("one storage:", np.shares_memory(numbers, slowest_first), np.shares_memory(numbers, fastest_first))
print(
    "axes:", slowest_first.ndim, " linear algebra's rank of a (4, 4) of ones:", np.linalg.matrix_rank(np.ones((4, 4)))
)

# %% [markdown]
# Number 9 at place 8, both ways: T(1:2, 1:2, 1:3) lists the slowest axis first, "3 × 2 × 2" the fastest. Each is a convention; the deck uses both. NumPy,
# PyTorch and this course list the slowest first. (NumPy counts strides in bytes: 8 for each float64.)
#
# Play with the strides. What happens to them when you transpose, and which number of the storage moves? Which elements have the same place in order C
# and in order F?

# %%
from course.kit.widgets import TensorExplorer

TensorExplorer()

# %% [markdown]
# Transposing swaps shape and strides; not one number moves. The first and the last element have the same place in
# both orders, others seldom.
#
# ### Exercise 1.1 · Find the place
# ●○○ · 10 min · needs: the worked example
#
# <details><summary>Hint 1: what to think about</summary>
#
# Which axis has stride 1? How many elements does one step along the next slower axis jump over, and along the one after that?
#
# </details>
# <details><summary>Hint 2: almost there</summary>
#
# Walk over the axes from the fastest to the slowest and keep a running product of the sizes you have passed. `axes` is there already; in which
# direction do you read it?
#
# </details>

# %%
# exercise: locate

# %% [markdown]
# ## Views and copies
#
# An array that uses another one's storage is a **view** (视图): writing into one changes both. A **copy** (副本) has storage of its own. Slices and
# transposes are views. Lists of indices and arithmetic copy. `reshape` gives a view if it can. Predict which lines change `a`.

# %%
for name, make in {
    "transpose": lambda a: a.T,
    "every second column": lambda a: a[:, ::2],
    "list of columns": lambda a: a[:, [0, 2]],
    "a + 0": lambda a: a + 0,
    "reshape": lambda a: a.reshape(2, 6),
    "transpose, reshape": lambda a: a.T.reshape(2, 6),
}.items():
    a = np.arange(12).reshape(3, 4)
    made = make(a)
    made[0, 0] = 99
    strides = [s // 8 for s in made.strides]
    print(f"{name:>20}: strides {strides!s:>8}, a[0, 0] is now {a[0, 0]:2d}, {'view' if a[0, 0] == 99 else 'copy'}")
print("row by row, the transpose reads places", [locate((3, 4), (j, i), "C")[1] for i in range(4) for j in range(3)])

# %% [markdown]
# Two views of one matrix, and yet the last line copies. Why? Flattened, the transpose reads places 0, 4, 8, 1, 5, …: steps of 4, 4, then −7. No stride
# does that.
#
# **The rule.** Two neighbouring axes form one *run* if a step of the outer one equals a whole walk along the inner one:
#
# $$\text{stride}_{outer} = \text{size}_{inner} \cdot \text{stride}_{inner}.$$
#
# Otherwise there is a **break** between them, after as many elements as the product of all sizes up to and including the outer axis. A reshape is a
# view exactly if the new shape has a **cut** at every break: the product of some of its leading sizes is that number. Axes of size 1 never move;
# leave them out.

# %% [markdown]
# On paper: the transpose above has shape (4, 3), strides (1, 4). 1 ≠ 3 · 4: a break after 4 elements. New shape (2, 2, 3) has the leading products 2 and
# **4**: a view. (2, 6) has only 2: a copy.
#
# ### Exercise 1.2 · View or copy?
# ●●● · 20 min · needs: the rule
#
# Know before you reshape whether you will share the storage.
#
# <details><summary>Hint 1: what to think about</summary>
#
# First a list of the axes with more than one element. Then look at each pair of neighbours in that list.
#
# </details>
# <details><summary>Hint 2: which identity</summary>
#
# Keep a running product of the old sizes. The cuts are the products of new_shape[:1], new_shape[:2], …; `math.prod` multiplies a tuple.
#
# </details>
# <details><summary>Hint 3: almost there</summary>
#
# Return False at the first break whose product is not among the cuts. If you reach the end, it is a view.
#
# </details>

# %%
# exercise: reshape_is_view

# %%
x = torch.arange(24).reshape(2, 3, 4).transpose(1, 2)  # (2, 4, 3), strides (12, 1, 4)
for new in [(8, 3), (2, 12), (2, 2, 2, 3), (24,)]:
    try:
        x.view(new)
        said = "view"
    except RuntimeError:
        said = "refused"
    print(new, reshape_is_view(tuple(x.shape), x.stride(), new), "· torch's view:", said)

# %% [markdown]
# PyTorch's `view` refuses where a copy would be needed; `reshape` copies silently, as NumPy's does.
#
# ## Element by element, and broadcasting
#
# +, −, ·, / and functions such as ReLU act on each number by itself: **element-wise** (单元操作). Shapes need not be equal. **Broadcasting** (广播) lines
# them up **from the right**; a missing axis counts as 1; sizes must be equal, or one of them 1, which is repeated:
#
# | left (5, 1, 4) | 5 | 1 | 4 |
# | --- | --- | --- | --- |
# | right (3, 1) | – | 3 | 1 |
# | sum (5, 3, 4) | 5 | 3 | 4 |
#
# Nothing is copied for that: the repeated axis gets **stride 0**. Guess each result before you run the cell; one of them fails, and one succeeds though it should not.

# %%
s = np.array([[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]])  # deck A's
print("s + b\n", s + np.ones(4))
print("strides of b, broadcast:", [step // 8 for step in np.broadcast_to(np.ones(4), (2, 4)).strides])
for left, right in [((2, 4), (2,)), ((2, 4), (2, 1)), ((3, 1), (4,)), ((5, 1, 4), (3, 1)), ((4, 1), (4,))]:
    try:
        print(left, "+", right, "→", (np.ones(left) + np.ones(right)).shape)
    except ValueError:
        print(left, "+", right, "→ does not fit")

# %% [markdown]
# The last is the classic: predictions as a column (4, 1) minus answers (4,) give a (4, 4) table, no error, and a loss that is wrong.
#
# Now set both shapes in the widget. When does a size of 1 repeat, and which shapes clash?

# %%
TensorExplorer(mode="broadcast")

# %% [markdown]
# A 1 repeats, whichever side it is on; 2 and 3 clash, and no order of the operands helps.
#
# ### Exercise 1.3 · A bias along any axis
# ●○○ · 10 min · needs: broadcasting
#
# s + b adds along the last axis only. Channels of an image, say, lie on another one.
#
# <details><summary>Hint 1: what to think about</summary>
#
# Which shape must b have so that its numbers line up with `axis` and everything else is repeated?
#
# </details>
# <details><summary>Hint 2: almost there</summary>
#
# A list of ones, as long as s has axes, with b's size at the place `axis`. Negative positions work in lists as they do in NumPy.
#
# </details>

# %%
# exercise: add_bias

# %% [markdown]
# ## Vectorisation, measured
#
# To write such an operation for the whole array instead of a loop is **vectorisation** (向量化). The numbers are the same. The time is not: guess the
# factor for a million numbers.

# %%
images = np.zeros((2, 3, 4, 4))  # images × channels × height × width
print("a bias a channel:", add_bias(images, np.array([1.0, 2.0, 3.0]), axis=1)[0, :, 0, 0])
z = np.random.default_rng(0).normal(size=1_000_000)


def relu_in_a_loop(z: np.ndarray) -> np.ndarray:
    """max(0, z), one number at a time."""
    result = np.empty_like(z)
    for i in range(len(z)):
        result[i] = z[i] if z[i] > 0 else 0.0
    return result


slow, fast = seconds(lambda: relu_in_a_loop(z), times=1), seconds(lambda: np.maximum(z, 0.0), times=10)
print("equal:", np.array_equal(relu_in_a_loop(z), np.maximum(z, 0.0)), "· ReLU(2, −0.3) =", np.maximum([2, -0.3], 0))
print(f"loop {slow:.3f} s, vectorised {fast:.5f} s: {slow / fast:.0f} times as fast")

# %% [markdown]
# Tens to hundreds of times: Python handles each number as an object of its own; NumPy runs one compiled loop over the storage.
#
# ## The matrix product
#
# $$c_{pq} = \sum_i a_{pi}\, b_{iq}, \qquad \underset{(n,\,k)}{a}\ \underset{(k,\,m)}{b} = \underset{(n,\,m)}{c}.$$
#
# The **last** axis of a meets the **first** of b. With more axes on a, all but the last pass through: (…, k) × (k, m) → (…, m). Worked example, deck A:
# every row of x, (4, 4, 4), has the form (n, n+1, n+2, n+3); the columns of w, (4, 2), are (−1, 0, 1, 0) and (0, −1, 1, 0). A row gives −n + (n+2) = 2
# and −(n+1) + (n+2) = 1, whatever n is. So all sixteen rows of the result are (2, 1).

# %%
x = np.add.outer(np.arange(4), np.arange(1, 17).reshape(4, 4)).astype(float)  # (4, 4, 4)
w = np.array([[-1.0, 0.0], [0.0, -1.0], [1.0, 1.0], [0.0, 0.0]])  # (4, 2)
print("last matrix of x:", x[3].tolist())
by_loops = np.zeros((4, 4, 2))
for g in range(4):
    for t in range(4):
        for q in range(2):
            for i in range(4):
                by_loops[g, t, q] += x[g, t, i] * w[i, q]
folded = (x.reshape(16, 4) @ w).reshape(4, 4, 2)  # fold the leading axes, one product, unfold
for name, result in {"@": x @ w, "folded": folded, "torch": (torch.tensor(x) @ torch.tensor(w)).numpy()}.items():
    print(f"{name:>7}: {result.shape}, as the loops: {np.array_equal(result, by_loops)}")
print("rows of the result:", np.unique(by_loops.reshape(-1, 2), axis=0).tolist())
# einsum is explained below the cell:
print("einsum: row sums of w", np.einsum("km->k", w), " diagonal of x[0]", np.einsum("kk->k", x[0]))
print("dot product of w's columns:", np.einsum("k,k->", w[:, 0], w[:, 1]))
print("(5, 3, 3) × (3, 1):", (np.ones((5, 3, 3)) @ np.ones((3, 1))).shape, end=", ")
print("× (3, 2):", (np.ones((5, 3, 3)) @ np.ones((3, 2))).shape)

# %% [markdown]
# Deck A says that w meets the "first dimension" of x. There it counts from the fastest axis, which is our last.
#
# **Einsum** (爱因斯坦求和) takes the formula itself: a letter for each index, a comma between the operands, the result's letters after the arrow. Letters
# that are missing there are summed over. The cell has three: r_k = Σ_m a_km is "km->k", d_k = a_kk is "kk->k", s = Σ_k u_k v_k is "k,k->".
#
# ### Exercise 1.4 · Seven recipes
# ●●○ · 15 min · needs: the three examples
#
# One string for each formula of the docstring; put them into the dictionary `recipes`, where the first one is.
#
# <details><summary>Hint</summary>
#
# Copy the indices of each operand in order; then those left of the =. A letter under a Σ must not stand after the arrow; a single number has no letter
# there.
#
# </details>

# %%
# exercise: einsum_recipe

# %%
print("your recipe gives x @ w:", np.array_equal(np.einsum(einsum_recipe("tensor times matrix"), x, w), x @ w))
a, b = np.random.default_rng(0).normal(size=(2, 120, 120))


def product_in_loops(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """c_pq = Σ_i a_pi b_iq, one number at a time."""
    c = np.zeros((len(a), b.shape[1]))
    for p in range(c.shape[0]):
        for q in range(c.shape[1]):
            for i in range(len(b)):
                c[p, q] += a[p, i] * b[i, q]
    return c


slow, fast = seconds(lambda: product_in_loops(a, b), times=1), seconds(lambda: a @ b, times=100)
print(f"three loops {slow:.3f} s, a @ b {fast:.6f} s: {slow / fast:,.0f} times as fast")

# %% [markdown]
# Thousands of times: the product runs compiled, and it uses each number that it fetches from memory many times.
#
# ## Identity, transpose, inverse
#
# The **identity** (单位矩阵) I has ones on its diagonal: aI = a. The **transpose** (转置) swaps the two axes. The **inverse** (逆矩阵) of a square a undoes
# it: a a⁻¹ = I. Deck A's system 5x₁ + 2x₂ = y₁, 3x₁ + x₂ = y₂ is x aᵀ = y in rows; y = (9, 5) gives x = (1, 2). On paper: det a = 5·1 − 2·3 = −1, so a⁻¹ is
#
# $$\frac{1}{-1}\begin{pmatrix} 1 & -2 \\ -3 & 5\end{pmatrix} = \begin{pmatrix} -1 & 2 \\ 3 & -5\end{pmatrix}.$$
#
# The order of a product turns round under transposition: (ab)ᵀ = bᵀaᵀ. And a*b is element-wise, not a product of matrices.

# %%
a = np.array([[5.0, 2.0], [3.0, 1.0]])
print("inverse", np.linalg.inv(a).round(12).tolist(), " a a⁻¹ = I:", np.allclose(a @ np.linalg.inv(a), np.eye(2)))
y = np.array([[9.0, 5.0]])  # (1, 2): one system, a row
print("x =", np.linalg.solve(a, y.T).T, " check x aᵀ =", np.linalg.solve(a, y.T).T @ a.T)
print("a*a", (a * a).tolist(), " a@a", (a @ a).tolist(), " (aw)ᵀ = wᵀaᵀ:", np.allclose((a @ w.T).T, w @ a.T))

# %% [markdown]
# ## Reduce, concatenate, merge, split
#
# Deck A's list of functions beside ours. A **reduction** (规约) along axis d makes d disappear (`keepdims=True` keeps it, with size 1).
#
# | deck A | NumPy | PyTorch |
# | --- | --- | --- |
# | ReduceSum(a, d) | a.sum(axis=d) | a.sum(dim=d) |
# | ReduceMax(a, d) | a.max(axis=d) | a.amax(dim=d) |
# | Concatenate(a, b, d) | np.concatenate([a, b], axis=d) | torch.cat([a, b], dim=d) |
# | Split(a, d, n) | np.split(a, n, axis=d) | a.chunk(n, dim=d) |
# | Merge(a, d) | np.concatenate(parts, axis=d) | torch.cat(parts, dim=d) |
# | Reshape | a.reshape(shape) | a.reshape(shape) |
#
# Concatenation uses an axis that is there; `stack` makes a new one.

# %%
a = np.arange(12.0).reshape(2, 6)
t = torch.tensor(a)
print("sum over axis 0:", a.sum(axis=0).shape, " max over axis 1:", a.max(axis=1), t.amax(dim=1).numpy())
print("kept:", a.sum(axis=1, keepdims=True).shape, "so a / sum fits:", (a / a.sum(axis=1, keepdims=True)).shape)
parts = np.split(a, 3, axis=1)
print("split:", [part.shape for part in parts], " views:", all(np.shares_memory(part, a) for part in parts))
print("merged again:", np.array_equal(np.concatenate(parts, axis=1), a), " concatenated, axis 0:", end=" ")
print(np.concatenate(parts, axis=0).shape, " stacked:", np.stack(parts).shape)
print("torch the same:", all(np.array_equal(p, q) for p, q in zip(parts, t.chunk(3, dim=1), strict=True)))

# %% [markdown]
# ## Norms
#
# How long is a vector? The **p-norm** (范数) is ‖x‖ₚ = (Σ|xᵢ|ᵖ)^(1/p). For (3, −4): p = 1 gives 7, p = 2 gives 5. As p grows, the norm approaches the largest
# |xᵢ|, here 4, which is called ‖x‖_∞.
#
# The formula has a trap: (10²⁰⁰)² = 10⁴⁰⁰ is more than a float64 can hold. It overflows to ∞. Divide by m = max|xᵢ| first:
#
# $$\|x\|_p = m \cdot \left\|x / m\right\|_p, \qquad \text{since}\quad \Big(\sum_i |x_i|^p\Big)^{1/p} = m\Big(\sum_i |x_i/m|^p\Big)^{1/p}.$$
#
# Deck A gives the same formula for matrices. NumPy's `norm(a, 2)` of a *matrix* is something else: the most that a stretches a vector.

# %%
v = np.array([3.0, -4.0])
print([f"p = {p}: {np.linalg.norm(v, p):.4f}" for p in (1, 2, 10, np.inf)])
a = np.array([[1.0, 2.0], [3.0, 4.0]])
print("entries of a matrix:", np.linalg.norm(a.ravel(), 2).round(4), " norm(a, 2):", np.linalg.norm(a, 2).round(4))
print("norm(a, 1):", np.linalg.norm(a, 1), "the largest column sum; entries:", np.abs(a).sum())
with np.errstate(over="ignore"):
    print("as it stands:", np.sum(np.abs(1e200 * v) ** 2) ** 0.5)

# %% [markdown]
# ### Exercise 1.5 · A norm that never overflows
# ●●○ · 15 min · needs: norms, broadcasting
#
# One norm for each row. The real run measures words with it.
#
# <details><summary>Hint 1: what to think about</summary>
#
# The largest |x| of each *row*: which axis is that, and which shape must it have to divide the rows?
#
# </details>
# <details><summary>Hint 2: which identity</summary>
#
# The line above with m. `largest[:, None]` makes a column of it.
#
# </details>
# <details><summary>Hint 3: almost there</summary>
#
# A row of zeros has m = 0. Put a harmless number in its place before you divide, with np.where; around the division it would be too late, as
# np.where gets both its arguments computed. See that 0 comes out. p = ∞ needs no power at all.
#
# </details>

# %%
# exercise: p_norm

# %% [markdown]
# ## What a matrix does to points
#
# A map f is **linear** (线性) if it respects sums and multiples, whatever the vectors:
#
# $$f(x + y) = f(x) + f(y) \ \ \text{(additivity, 可加性)}, \qquad f(cx) = c\,f(x)\ \ \text{(homogeneity, 齐次性)}.$$
#
# x ↦ xW has both. **Row k of W is where basis vector k goes**, so you can write W down by looking: a **rotation** (旋转) by θ sends (1, 0) to (cos θ, sin θ)
# and (0, 1) to (−sin θ, cos θ). det W is the factor by which areas grow; negative means mirrored.
#
# Below are deck A's three pictures and a real turn. Predict what happens to the F.

# %%
turn = np.array([[math.cos(0.7), math.sin(0.7)], [-math.sin(0.7), math.cos(0.7)]])
maps = {
    "deck A's 'rotation'": lambda x: x @ np.diag([1.0, -1.0]),
    "a turn by 0.7": lambda x: x @ turn,
    "a shift": lambda x: x + np.array([0.5, 0.0]),
    "a projection": lambda x: x @ np.diag([1.0, 0.0]),
}
u, v = np.array([0.3, 0.8]), np.array([-0.5, 0.1])
for name, f in maps.items():
    print(f"{name:>20}: f(u+v) − f(u) − f(v) = {(f(u + v) - f(u) - f(v)).round(12) + 0.0}", end="  ")
    print(f"f(2u) − 2f(u) = {(f(2 * u) - 2 * f(u)).round(12) + 0.0}")
print("determinants:", np.linalg.det(np.diag([1.0, -1.0])), np.linalg.det(turn).round(12))
printed = np.array([[0.5, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]])  # deck A's b for its shift
print("added to three points, it moves them by", (np.ones((3, 3)) + printed - np.ones((3, 3)))[:, 0])
figure = plotting.draw_outlines(plotting.LETTER_F, {name: f(plotting.LETTER_F) for name, f in maps.items()})
plt.show()

# %% [markdown]
# Deck A's diag(1, −1, 1), here without the third axis, turns nothing: its determinant is −1, it **mirrors** (镜像). And of the four only the **shift** (平移)
# is not linear: it is **affine** (仿射), xW + b. (The b that the deck prints moves one of three points.)
#
# Give each point a 1 at its end, **homogeneous coordinates** (齐次坐标), and b is the last row:
#
# $$(x,\ y,\ 1)\begin{pmatrix} w_{11} & w_{12} & 0\\ w_{21} & w_{22} & 0\\ b_1 & b_2 & 1\end{pmatrix} = (xW + b,\ 1).$$
#
# Rows read from the left: first A, then B is x A B.
#
# In the explorer, drag the two basis vectors and the origin. Which determinant has a mirrored F, and which has a projection? When is f(u+v) − f(u) − f(v)
# not zero?

# %%
from course.kit.widgets import LinearMapExplorer

LinearMapExplorer()

# %% [markdown]
# A negative one mirrors; a projection has 0, because the plane becomes a line. The difference is minus the shift, so it is not 0 once the origin moves.
#
# ### Exercise 1.6 · A camera in one matrix
# ●●● · 20 min · needs: homogeneous coordinates
#
# In space: mirror, turn, shift, and a **projection** (投影) that drops the depth.
#
# <details><summary>Hint 1: what to think about</summary>
#
# Two matrices are missing, for the turn and the shift; both begin as np.eye(4). Row k is where basis vector k goes.
#
# </details>
# <details><summary>Hint 2: which identity</summary>
#
# The docstring says where (1, 0, 0) and (0, 0, 1) go. The shift belongs in the row that the 1 picks.
#
# </details>
# <details><summary>Hint 3: almost there</summary>
#
# mirrored @ … @ …, in the order in which they act. Dropping coordinates is keeping columns.
#
# </details>

# %%
# exercise: picture_matrix

# %%
cube = np.array([[x, y, z, 1.0] for x in (0, 1) for y in (0, 1) for z in (0, 1)])  # (8, 4)
motion, picture = picture_matrix(False, math.pi / 6, np.array([0.0, 0.5, 0.0]))
print("corner (1, 1, 0) goes to", (cube[6] @ motion).round(4), "and is drawn at", (cube[6] @ picture).round(4))
print("all eight at once:", (cube @ picture).shape)

# %% [markdown]
# The corner: (cos 30°, 1 + 0.5, sin 30°) = (0.8660, 1.5, 0.5), drawn at (0.8660, 1.5).
#
# ## A tensor is more than a table
#
# To a physicist, a tensor is a **multilinear map** (多重线性映射): a function of several vectors, linear in each alone. The **stress tensor** (应力张量) inside a
# loaded beam takes two directions and gives a number: for unit vectors, the force along u on one unit of area of a cut across v. For rows v, u:
#
# $$T(v, u) = v\,[T]\,u^{\mathsf T} = \sum_{ij} v_i\, T_{ij}\, u_j .$$
#
# The table [T] holds its values at pairs of basis vectors. Turn the axes, and the components of v, of u and of [T] all change. The number T(v, u) must not: the beam does not
# know your axes.

# %%
rng = np.random.default_rng(1)
stress = np.array([[2.0, 0.5, 0.0], [0.5, 1.0, -0.3], [0.0, -0.3, 0.0]])
v, w1, u, c = rng.normal(size=3), rng.normal(size=3), rng.normal(size=3), 2.5
half = np.tensordot(v, stress, axes=(0, 0))  # (3,): v is in its place, that of u is still open
print("one vector after the other:", np.isclose(half @ u, v @ stress @ u))
print("linear in v:", np.isclose((v + c * w1) @ stress @ u, v @ stress @ u + c * (w1 @ stress @ u)))
print(
    "linear in both at once:",
    np.isclose((c * v) @ stress @ (c * u), c * (v @ stress @ u)),
    "· it is c² times:",
    end=" ",
)
print(np.isclose((c * v) @ stress @ (c * u), c**2 * (v @ stress @ u)))

# %% [markdown]
# New axes are the rows of a matrix A: **row a, A_a, is the new basis vector a**. If they are at right angles and of length 1, the component of v along
# A_a is their dot product, so v becomes v′ = vAᵀ. And in any basis the table's new entry is the tensor's value at two new basis vectors:
#
# $$T'_{ab} = T(A_a, A_b) = \sum_{ij} A_{ai}\, A_{bj}\, T_{ij}.$$
#
# Worked example: a pull along x, [T] = diag(2, 0), axes turned by 45°: A₀ = (1, 1)/√2, A₁ = (−1, 1)/√2. T′₀₀ = 2·½ = 1, T′₀₁ = −1, T′₁₁ = 1: seen from there, the
# same pull shears.

# %% [markdown]
# ### Exercise 1.7 · The same tensor in other axes
# ●●● · 20 min · needs: einsum or tensordot
#
# For any rank: one factor A for each axis of the table. np.tensordot(a, b, axes=(i, k)) sums axis i of a with axis k of b; what is left of a comes first,
# then what is left of b.
#
# <details><summary>Hint 1: what to think about</summary>
#
# Do it for a vector, then for a matrix. What does one axis of the table need, whatever the others do?
#
# </details>
# <details><summary>Hint 2: which identity</summary>
#
# Axis 1 of `axes` meets axis k of the table. Where in the result does the new axis stand?
#
# </details>
# <details><summary>Hint 3: almost there</summary>
#
# A loop over k; np.moveaxis puts the new axis back to its place. With einsum you can build the subscripts letter by letter instead.
#
# </details>

# %%
# exercise: turned_components

# %%
axes = np.linalg.qr(rng.normal(size=(3, 3)))[0]  # orthonormal rows
turned = turned_components(stress, axes)
v_new, u_new = turned_components(v, axes), turned_components(u, axes)
print("components change:", np.abs(turned - stress).max().round(3), " T(v, u):", (v @ stress @ u).round(6), end=" ")
print("in the new axes", (v_new @ turned @ u_new).round(6))
print(
    "the pull:",
    turned_components(np.diag([2.0, 0.0]), np.array([[1.0, 1.0], [-1.0, 1.0]]) / math.sqrt(2)).round(6).tolist(),
)

# %% [markdown]
# From here on, a tensor is an array.
#
# ## Derivatives have shapes
#
# The derivative of a number by a matrix, or of a matrix by a number, has one entry for each entry of the matrix (deck A). So a gradient has the shape
# of its variable. That of a vector by a vector has two **layouts** (布局). For y = xW, x of n and y of m numbers:
#
# | **numerator layout** (分子布局) | ∂y/∂x has shape (m, n): row j is y_j by all x; here Wᵀ |
# | --- | --- |
# | **denominator layout** (分母布局) | ∂y/∂x has shape (n, m): row i is all y by x_i; here W |
#
# Each is the transpose of the other. PyTorch's `jacobian` uses the first; this course avoids the question, as its gradients are those of one number,
# the loss.

# %%
w = torch.tensor(np.random.default_rng(0).normal(size=(3, 2)))
at = torch.ones(3, dtype=torch.float64)
jacobian = torch.autograd.functional.jacobian(lambda x: x @ w, at)
print("y = xW, torch's layout:", tuple(jacobian.shape), " equals Wᵀ:", torch.equal(jacobian, w.T))
grad_w = torch.autograd.functional.jacobian(lambda w: (at @ w).square().sum(), w)
print("a scalar by W:", tuple(grad_w.shape), " the shape of W:", grad_w.shape == w.shape)

# %% [markdown]
# ## NumPy, PyTorch, a device
#
# | | shares storage | makes a copy |
# | --- | --- | --- |
# | NumPy → PyTorch | torch.from_numpy(a) | torch.tensor(a) |
# | PyTorch → NumPy | t.numpy(), on the CPU | t.numpy().copy() |
# | to a **device** (设备) | t.to(d), if it is there already | t.to(d), if not; t.clone() always |
#
# torch.Tensor([…]), as deck E writes it, makes float32; torch.tensor keeps NumPy's float64. One line in another dtype is the commonest clash between the two.

# %%
a = np.zeros(3)
shared, copied = torch.from_numpy(a), torch.tensor(a)
a[0] = 7
print("shared:", shared.tolist(), " copied:", copied.tolist(), " dtypes:", copied.dtype, torch.Tensor(a.tolist()).dtype)
device = pick_device()
there = shared.to(device)
print("same storage after .to:", there.data_ptr() == shared.data_ptr(), " back:", there.cpu().numpy())

# %% [markdown]
# On the CPU `.to` has nothing to do and returns the same tensor; on a GPU it copies. So never rely on either.
#
# ## Real run: a map of the King James Bible
#
# "You shall know a word by the company it keeps" (Firth 1957). For each of the 700 most frequent words, count how often each of the 500 most frequent
# stands within two places of it: a matrix, one row a word. Everything up to the map is this chapter: strided views, broadcasting, your `p_norm`, einsum.
# Which words will be neighbours of "gold"?
#
# 500 numbers a word cannot be drawn, three can: your `picture_matrix` then walks around the cloud of words. Nobody tells the program what a number or a
# relative is.

# %% tags=["long-run"]
tokens = "".join(c if c.isalpha() else " " for verse in king_james() for c in verse.text.lower() + " ").split()
names, number = np.unique(tokens, return_inverse=True)
order = np.argsort(-np.bincount(number), kind="stable")  # most frequent first
rank = np.argsort(order)[number]  # (tokens,): 0 for the most frequent word
names = [str(word) for word in names[order][:700]]
windows = np.lib.stride_tricks.sliding_window_view(rank, 5)  # (tokens − 4, 5): a view, strides (1, 1)
print(windows.shape, [s // 8 for s in windows.strides], "shares memory:", np.shares_memory(windows, rank))

counts = np.zeros((700, 500))  # (words, contexts)
for k in (0, 1, 3, 4):
    keep = (windows[:, 2] < 700) & (windows[:, k] < 500)
    np.add.at(counts, (windows[keep, 2], windows[keep, k]), 1)
expected = counts.sum(axis=1, keepdims=True) * counts.sum(axis=0) / counts.sum()  # (700, 1) · (500,) → (700, 500)
x = np.log(np.maximum(counts / expected, 1.0))  # more often than by chance
x = x / p_norm(x, 2.0)[:, None]  # each row of length 1
likeness = np.einsum("ik,jk->ij", x, x)  # (700, 700): dot products of all pairs
for word in ("gold", "eat", "seven", "brother", "hand", "david", "water"):
    near = np.argsort(-likeness[names.index(word)])[1:7]
    print(f"{word:>8}: {', '.join(names[i] for i in near)}")
slow = seconds(lambda: product_in_loops(x[:50], x[:50].T), times=1) * (700 / 50) ** 2
fast = seconds(lambda: np.einsum("ik,jk->ij", x, x))
print(f"all 490,000 dot products: {fast:.2f} s; in three loops they would take about {slow:.0f} s")

# %% tags=["long-run"]
# The three directions in which the cloud of words is widest (singular vectors, chapter 13).
centred = x - x.mean(axis=0)  # (700, 500)
directions = np.linalg.svd(centred, full_matrices=False)[2][:3]  # (3, 500)
directions *= np.sign(directions @ centred[names.index("father")])[:, None]  # their signs are free: agree on some
cloud = np.hstack([centred @ directions.T, np.ones((700, 1))])  # (700, 4): homogeneous
lists = {
    "numbers": "two three four five six seven ten twenty forty fifty hundred thousand",
    "family": "father mother son daughter brother sister wife servant",
    "body": "hand hands eyes mouth heart head face feet",
    "kings and prophets": "david saul solomon moses samuel joab joshua abraham",
}
groups = {name: words.split() for name, words in lists.items()}
views = {}
for degrees in (0, 90, 135):
    _, picture = picture_matrix(False, math.radians(degrees), np.zeros(3))
    views[f"turned by {degrees}°"] = cloud @ picture
figure = plotting.draw_words(views, names, groups)
plt.show()
for name, words in groups.items():
    places = [names.index(word) for word in words if word in names]
    inside = likeness[np.ix_(places, places)]
    print(f"{name:>18}: mean likeness inside {inside[~np.eye(len(places), dtype=bool)].mean():.2f}", end=", ")
    print(f"to all words {likeness[places].mean():.2f}")

# %% [markdown]
# From the front, numbers form an arm, and the family stands in the crowd. From the side (90°) the family stands apart. At 135° the numbers vanish in the
# crowd: what one projection drops, a turn brings back.
#
# ## Where it goes wrong
#
# | mistake | symptom |
# | --- | --- |
# | (n, 1) minus (n,) | no error; an (n, n) table, a wrong loss |
# | W transposed | shape error; **silent** if W is square |
# | a*b for a@b | shape error; **silent** where the shapes broadcast |
# | wrong axis reduced | shape error later, or silent |
# | writing into a view | another variable changes |
# | one array appended again and again | all entries equal the last |
# | float32 meets float64 | torch refuses |
# | shift before the turn | the picture swings away |
#
# Guess what each line prints.

# %%
y_hat, y = np.array([[1.0], [2.0], [3.0]]), np.array([1.0, 2.0, 3.0])
print("perfect predictions, 'loss':", np.mean((y_hat - y) ** 2).round(4), " shape:", (y_hat - y).shape)
square = np.array([[0.0, 1.0], [0.0, 0.0]])
print("x W and x Wᵀ:", np.array([1.0, 2.0]) @ square, np.array([1.0, 2.0]) @ square.T)
state, kept = np.zeros(2), []
for _ in range(3):
    state += 1
    kept.append(state)  # the same storage, three times
print("three states:", [entry.tolist() for entry in kept])
try:
    torch.zeros(2, 3) @ torch.zeros(3, 2, dtype=torch.float64)
except RuntimeError as error:
    print("torch:", str(error).splitlines()[0])

# %% [markdown]
# ## Check yourself
#
# <details><summary>Shape (6, 4), strides (1, 6). How was it made, and is its first row contiguous?</summary>
#
# A dense (4, 6) matrix, transposed. No: its row reads places 0, 6, 12, 18.
#
# </details>
# <details><summary>(8, 1, 6) + (7, 1): which shape?</summary>
#
# (8, 7, 6). From the right: 6 with 1, 1 with 7, 8 with nothing.
#
# </details>
# <details><summary>Why is a large batch faster than many small ones? (After deck E)</summary>
#
# One product of a (batch, n) matrix replaces many calls on single rows; the loop over rows runs in compiled code, and the weights are read once.
#
# </details>
# <details><summary>Is the mean of a vector a linear map? The norm?</summary>
#
# The mean is: x @ (1/n, …, 1/n). A norm is not: ‖−x‖ = ‖x‖, which is not −‖x‖.
#
# </details>

# %% [markdown]
# explanation: what_is_linear

# %% [markdown]
# ## Sources and errata
#
# Deck A (linear algebra, tensors, NiuTensor), deck E (tensors, batches); Harris et al. 2020 (NumPy); Firth 1957. Our text of deck A lacks its drawings.
#
# | deck | says | better | shown in |
# | --- | --- | --- | --- |
# | A | diag(1, −1, 1) is a rotation | a mirror, det −1 | the F |
# | A | a shift is a "linear transformation" | affine | the F |
# | A | shift by a 3 × 3 b, 0.5 in one corner | moves one point of three; one row for all | the F |
# | A | 3-D to a plane: (5, 3, 3) × (3, 1) | that is a line; a plane needs (3, 2) | matrix product |
# | A | T(v₀, …, v_r) takes r vectors | r + 1 of them | stress |

# %% [markdown]
# | deck | says | better | shown in |
# | --- | --- | --- | --- |
# | A | T(1:2, 1:3) is 3 × 2, but w(1:4, 1:2) has 4 rows | one convention | storage |
# | A | "first dimension" of a shape … × n | last axis | matrix product |
# | A | * is element-wise, later a matrix product | MMul, @ | inverse |
# | A | a list gets &r three times | three storages | goes wrong |
# | A | one norm for vectors and matrices | say which | norms |
#
# | here | A | E |
# | --- | --- | --- |
# | shape, slowest axis first | both ways | the same |
# | rank, ndim | 阶, order | N |
# | axis | 方向, direction | – |
# | x @ w | x · w, x × w, MMul | torch.matmul |
#
# Next: chapter 2 puts one row of weights to work.
