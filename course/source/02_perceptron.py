# ---
# jupyter:
#   nnlm:
#     title: The perceptron
#     title_zh: 感知机
#     points: 17
# ---

# %% [markdown]
# # 2 · The perceptron (感知机)
#
# Chapter 1 gave you arrays that compute. Nothing in it **decides**, and nothing **learns**.
#
# Here is a decision that needs both. You are shown one verse of the Bible: Old Testament or New? A rule comes to mind: say "New" where
# the verse names Jesus. Guess how much better that is than always saying "Old", then run the second cell.

# %%
import re
from collections import Counter

import matplotlib.pyplot as plt
import numpy as np

from autograder import check
from course.kit.corpora import king_james
from course.kit.plotting import COLOURS, draw_decision

# %% tags=["long-run"]
verses = [verse for verse in king_james() if verse.text != "[]"]  # one row of the file is empty
books = list(dict.fromkeys(verse.book for verse in verses))
new_books = set(books[books.index("Matthew") :])
is_new = np.array([int(verse.book in new_books) for verse in verses])  # (verses,) 1: New Testament
words_of = [re.findall(r"[a-z']+", verse.text.lower()) for verse in verses]
names_jesus = np.array([int("jesus" in words) for words in words_of])
print(f"{len(verses)} verses; right when always saying Old: {np.mean(is_new == 0):.1%}")
print(f"right when saying New where Jesus is named:  {np.mean(is_new == names_jesus):.1%}")

# %% [markdown]
# Three points better. One word is not enough, and nobody wants to weigh two thousand words by hand. So let a machine find the weights.
# After this chapter you can
#
# * compute what a threshold unit decides, and choose its weights by hand for small tasks;
# * fold a bias into the weights;
# * derive the perceptron's learning rule and train with it;
# * prove how many mistakes it can make, and check the proof on data;
# * say what no single unit can learn, and why.

# %% [markdown]
# ## One unit decides
#
# A **perceptron** (感知机, in decks C and E 感知器) weighs its inputs, adds them up and fires if the sum is large enough.
#
# Deck A's example: go to a concert? Three inputs: is the hall closer than 20 km, is the ticket below 300 yuan, does your partner want to go?
# The **weights** (权重) say how much each counts. Deck A goes if the sum reaches a **threshold** (阈值) σ = 1:
#
# $$\sum_i x_i w_i \geq \sigma$$
#
# The hall of this evening lies on that border, 20 km away, which counts as "no"; the ticket costs 500 yuan; but your partner is keen:
# `x = (0, 0, 1)`.

# %%
equal, miser = np.array([1.0, 1.0, 1.0]), np.array([0.5, 2.0, 0.5])
discrete = np.array([0.0, 0.0, 1.0])  # near? cheap? wanted?
continuous = np.array([10 / 20, 150 / 500, 1.0])  # 10/km, 150/yuan: ½ at the borders
print("equal weights:          ", discrete @ equal)
print("a miser's weights:      ", discrete @ miser)
print("the miser, continuous:  ", continuous @ miser)

far = np.array([10 / 1000, 150 / 3000, 1.0])  # 1000 km, 3000 yuan
print("only keenness counts:   ", far @ np.array([0.0, 0.0, 10.0]), "  the miser, far:", far @ miser)

# %% [markdown]
# Equal weights reach 1 = σ: go. A miser scores 0.5: stay. With **discrete** (离散) inputs, 20 km and 2000 km are the same "no". Replace
# two of them by **continuous** (连续) inputs, 10/distance and 150/price: both are ½ at the old borders of 20 km and 300 yuan. Now the same
# miser scores 0.5·0.5 + 0.3·2 + 1·0.5 = 1.35: go.
#
# Weights are easily set wrong: with (0, 0, 10) you cross the country for 3000 yuan, score 10. The miser's 0.605 says stay.

# %% [markdown]
# Now write the threshold as a **bias** (偏置) b = −σ and compare with 0:
#
# $$z = x_1w_1 + \dots + x_nw_n + b = xw + b$$
#
# Here x is a row, w a column and xw their dot product, `x @ w` in NumPy.
#
# ### On the line
#
# What if $z$ is exactly 0? Decks A and C fire at $z \geq 0$, deck D only at $z > 0$. **This course fires strictly above 0.** Deck D gives
# AND the weights (1, 1) with b = −1, and OR the weights (1, 1) with b = 0. Before you run the cell: what do these numbers compute under
# the other convention?

# %%
corners = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
for gate, b in [("AND", -1.0), ("OR", 0.0)]:
    z = corners @ np.array([1.0, 1.0]) + b  # (4,)
    print(f"deck D's {gate:3}  z = {z}   z > 0: {(z > 0).astype(int)}   z ≥ 0: {(z >= 0).astype(int)}")
print(
    "concert: z =", discrete @ equal - 1.0, "  with b = −0.75:", discrete @ equal - 0.75, "and", discrete @ miser - 0.75
)

# %% [markdown]
# Under ≥, deck D's AND is an OR, and its OR always fires. And under our >, deck A's first concert, z = 0, is missed.
#
# For inputs from a finite set nothing is lost: there is a gap below the threshold, and b may move into it. Below 1, the largest score any
# discrete evening can reach is 0 (equal weights) or 0.5 (miser). A threshold of 0.75 lies in both gaps, so b = −0.75 decides all eight
# evenings as deck A does. With continuous inputs only the points on the line itself change sides; if they matter,
# use $z \geq 0 \iff \text{not } (-z > 0)$.

# %%
fig, axes = plt.subplots(1, 3, figsize=(11, 3.4))
both, either = np.array([0, 0, 0, 1]), np.array([0, 1, 1, 1])
panels = [
    ("deck D's AND, b = −1", both, -1),
    ("AND with room, b = −1.5", both, -1.5),
    ("deck D's OR, b = 0", either, 0),
]
for ax, (title, labels, b) in zip(axes, panels, strict=True):
    draw_decision(ax, corners, labels, np.array([1.0, 1.0]), b)
    ax.set_title(title)
fig.tight_layout()
plt.show()

# %% [markdown]
# Where does each line run? Deck D's lines pass through corners; b = −1.5 keeps its distance from all four. Discs have label 1, squares
# label 0, and the unit fires on the hatched side.
#
# Now drag a line yourself. Deck D's OR touches a corner: how much room can you give it on both sides? And how many corners can you get
# right for XOR, "exactly one input is 1"?

# %%
from course.kit.widgets import DecisionLine

explorer = DecisionLine(gate="or", weights=[1.0, 1.0], bias=0.0)
explorer

# %% [markdown]
# With weights (1, 1), OR has most room at b = −0.5: 0.354 to the nearest corner. For XOR nobody gets more than three; the end of this
# chapter says why. `explorer.weights` and `explorer.bias` hold what you have dragged.
#
# ### Exercise 2.1 · Decide
# ●○○ · 3 min · needs: nothing
#
# The unit itself, for a whole batch at once. The score is written for you; turn it into decisions.
#
# <details><summary>Hint 1: what to think about</summary>
#
# A comparison of an array with a number gives an array of truth values. Which convention does this course use on the line, and which
# dtype does the docstring ask for?
#
# </details>

# %%
# exercise: threshold_unit

# %%
print(threshold_unit(corners, np.array([1.0, 1.0]), -1.5))
marks = np.array([[9, 9, 5, 5], [7, 7, 7, 7]])  # (candidates, marks)
weights = np.array([0.4, 0.3, 0.2, 0.1])
print("sums:", marks.sum(axis=1), "  weighted:", marks @ weights, "  hired:", threshold_unit(marks, weights, -7.5))

# %% [markdown]
# The second example is deck C's interview, with our numbers: hired if the sum reaches t. Equal weights cannot tell 28 from 28; an experienced interviewer's can: 7.8 > 7.5 = t > 7.0.
#
# ### Exercise 2.2 · Gates by hand
# ●●○ · 10 min · needs: nothing
#
# Choose weights yourself before a machine does. AND is worked; the others have infinitely many right answers, except one name: it has none, so
# raise a `ValueError`. Deck D's own OR (b = 0) is refused: a corner lies on its line.
#
# <details><summary>Hint 1: what to think about</summary>
#
# With equal weights, z depends on the number of ones only. Between which two numbers of ones should the gate change its mind?
#
# </details>
# <details><summary>Hint 2: which identity</summary>
#
# A unit with −w and −b fires exactly where the old one has z < 0.
#
# </details>

# %%
# exercise: logic_gate

# %%
logic_gate("and")

# %% [markdown]
# ## The bias is a weight
#
# Deck D draws the bias as the weight of one more input that is **clamped** (固定) to 1:
#
# $$xw + b = x_1w_1 + \dots + x_nw_n + 1\cdot b = \tilde{x}\tilde{w}, \qquad \tilde{x} = (x, 1),\ \tilde{w} = (w, b)$$
#
# The line in the plane becomes a plane through the origin of one dimension more. What is proved for weights then holds for the bias too.
#
# ### Exercise 2.3 · Fold the bias in
# ●○○ · 5 min · needs: nothing
#
# Two small arrays that make the coming proof short.
#
# <details><summary>Hint 1: what to think about</summary>
#
# One more input for every sample is one more column. Which shape has a column of ones?
#
# </details>

# %%
# exercise: fold_bias

# %%
x_folded, w_folded = fold_bias(corners, np.array([1.0, 1.0]), -1.5)
print(x_folded, w_folded, "folded scores:", x_folded @ w_folded, sep="\n")

# %% [markdown]
# ## Learning from mistakes
#
# A sample x̃ with label y gets the decision ŷ. If ŷ = y, leave the weights alone. Otherwise move them so that this sample's score goes
# the right way. Which direction raises $\tilde{x}\tilde{w}$ fastest? That of x̃ itself: for steps of a given length the dot product with x̃ is
# largest along x̃. So add it if the unit was silent and should fire (y − ŷ = 1), subtract it in the other case (y − ŷ = −1):
#
# $$\tilde{w}_{\text{new}} = \tilde{w} + (y - \hat{y})\,\tilde{x}^\top$$
#
# Does it help? Put the new weights into the score:
#
# $$\tilde{x}\tilde{w}_{\text{new}} = \tilde{x}\tilde{w} + (y - \hat{y})\,\tilde{x}\tilde{x}^\top = z + (y - \hat{y})\,\lVert\tilde{x}\rVert^2$$
#
# The score moves by exactly ‖x̃‖² ≥ 1 towards the right side. One update may not suffice, and it may spoil other samples.

# %% [markdown]
# ### Exercise 2.4 · One update
# ●○○ · 8 min · needs: nothing
#
# The whole of the perceptron's learning, for one sample. Unfolded, the rule reads $w + (y-\hat{y})x^\top$ and $b + (y-\hat{y})$;
# NumPy's vectors with one axis need no transposition.
#
# <details><summary>Hint 1: what to think about</summary>
#
# What is y − ŷ in each of the four cases (y, ŷ)? With that number no `if` is needed.
#
# </details>
# <details><summary>Hint 2: arrays that belong to someone else</summary>
#
# `w = w + step` makes a new array. `w += step` writes into the caller's.
#
# </details>

# %%
# exercise: perceptron_update

# %%
x, w, b = np.array([1.0, 2.0]), np.array([0.5, -1.0]), 0.25
new_w, new_b = perceptron_update(x, 1, w, b)
print("score before:", x @ w + b, "  after:", x @ new_w + new_b, "  moved by ‖x̃‖² =", x @ x + 1)

# %% [markdown]
# ## A worked example
#
# Learn OR from zero, rows in the order (0,0), (0,1), (1,0), (1,1). Take a sheet of paper; the mistakes are:
#
# | epoch | row | z | ŷ | y | w after | b after |
# | --- | --- | --- | --- | --- | --- | --- |
# | 1 | (0,1) | 0 | 0 | 1 | (0, 1) | 1 |
# | 2 | (0,0) | 1 | 1 | 0 | (0, 1) | 0 |
# | 2 | (1,0) | 0 | 0 | 1 | (1, 1) | 1 |
# | 3 | (0,0) | 1 | 1 | 0 | (1, 1) | 0 |
#
# Epoch 4 has none. Four mistakes, and the machine has found deck D's OR, digit for digit. Step through it, then try AND and XOR: how
# many mistakes does each take? The cell below the stepper computes the table.

# %%
from course.kit.widgets import PerceptronRule

PerceptronRule(gate="or")

# %%
w, b = np.zeros(2), 0.0
for epoch in range(1, 5):
    for row, label in zip(corners, either, strict=True):
        z = row @ w + b
        new_w, new_b = perceptron_update(row, label, w, b)
        if new_b != b:
            print(f"epoch {epoch}  row {row}  z = {z:2.0f}  y = {label}  →  w = {new_w}, b = {new_b:g}")
        w, b = new_w, new_b

# %% [markdown]
# ## How many mistakes?
#
# That looked like luck: every update may undo an earlier one. It is not luck, and the reason is the **margin** (间隔): the margin of
# a line is its distance to the nearest sample. One unit of length along w raises the score by ‖w‖, so a score of z lies z/‖w‖ away from
# the line. The signed distance of a sample is
#
# $$\frac{s\,(xw + b)}{\lVert w\rVert}, \qquad s = 2y - 1 = \pm 1$$
#
# The sign s makes it positive on the right side and negative on the wrong one. Scaling w and b leaves the line and the distance alone.
#
# ### Exercise 2.5 · The margin
# ●●○ · 8 min · needs: nothing
#
# Measure how much room a line leaves to the samples; the coming proof rests on this number.
#
# <details><summary>Hint 1: what to think about</summary>
#
# Four things in this order: score, sign, nearest, length. Which of them involves b, and which does not?
#
# </details>

# %%
# exercise: geometric_margin

# %%
print("AND, b = −1.5:", geometric_margin(corners, both, np.array([1.0, 1.0]), -1.5), "= 0.5/√2")

# %% [markdown]
# ### The mistake bound
#
# Fold the bias in, and flip the sign of the samples with label 0: $a_i = s_i\tilde{x}_i$. A mistake means $a\tilde{w} \leq 0$, and the update
# then is $\tilde{w} \leftarrow \tilde{w} + a^\top$ in both cases (because y − ŷ = s at a mistake). Suppose some $u$ of length 1
# separates: $a_iu \geq \gamma > 0$ for all i. Let R be the longest $\lVert a_i\rVert$. After k mistakes:
#
# 1. Starting from 0, each update adds $au \geq \gamma$ to $\tilde{w}\cdot u$. So $\tilde{w}\cdot u \geq k\gamma$.
# 2. $\lVert\tilde{w} + a^\top\rVert^2 = \lVert\tilde{w}\rVert^2 + 2a\tilde{w} + \lVert a\rVert^2 \leq \lVert\tilde{w}\rVert^2 + R^2$, as
#    $a\tilde{w} \leq 0$. So $\lVert\tilde{w}\rVert \leq \sqrt{k}\,R$.
# 3. u has length 1, so $\tilde{w}\cdot u \leq \lVert\tilde{w}\rVert$ (Cauchy and Schwarz). Together $k\gamma \leq \sqrt{k}\,R$, that is
#
# $$k \leq (R/\gamma)^2$$
#
# Neither the number of samples nor the number of features occurs in it. Novikoff proved it in 1962. Nothing rests on authority, so follow
# one training run, mistake by mistake: does the alignment stay above kγ and the length below √k·R?

# %%
rng = np.random.default_rng(2)
cloud = rng.uniform(-1, 1, size=(200, 2))
line_w, line_b = np.array([1.0, 2.0]), -0.5
distance = (cloud @ line_w + line_b) / np.linalg.norm(line_w)
cloud = cloud[np.abs(distance) > 0.1]  # leave a street along the line empty
side = threshold_unit(cloud, line_w, line_b)

x1, u = fold_bias(cloud, line_w, line_b)
u = u / np.linalg.norm(u)
gamma, radius = geometric_margin(x1, side, u, 0.0), np.linalg.norm(x1, axis=1).max()
w, b, aligned, length = np.zeros(2), 0.0, [], []
for _ in range(10):
    for row, label in zip(cloud, side, strict=True):
        new_w, new_b = perceptron_update(row, label, w, b)
        if new_b != b:
            aligned.append(np.append(new_w, new_b) @ u)
            length.append(np.linalg.norm(np.append(new_w, new_b)))
        w, b = new_w, new_b
print(f"{len(aligned)} mistakes, the bound allows {(radius / gamma) ** 2:.0f}")

# %%
k = np.arange(1, len(aligned) + 1)
every = np.arange(1, (radius / gamma) ** 2 * 1.3)
fig, ax = plt.subplots(figsize=(6.5, 3.8))
ax.loglog(every, np.sqrt(every) * radius, "--", color=COLOURS["vermilion"], label="√k·R")
ax.loglog(k, length, "s", ms=5, color=COLOURS["vermilion"], label="length ‖w̃‖")
ax.loglog(k, aligned, "o", ms=5, color=COLOURS["blue"], label="alignment w̃·u")
ax.loglog(every, every * gamma, "-", color=COLOURS["blue"], label="kγ")
ax.axvline((radius / gamma) ** 2, color=COLOURS["black"], lw=1, label="(R/γ)²")
ax.set(xlabel="mistakes k", title="Two lines squeeze the weights until no mistake is left")
ax.legend()
plt.show()
print(np.all(np.array(aligned) >= k * gamma), np.all(np.array(length) <= np.sqrt(k) * radius))

# %% [markdown]
# Both hold at every mistake. The lines cross at (R/γ)²: beyond it there is no room for another mistake.
#
# ### Exercise 2.6 · The bound
# ●●○ · 8 min · needs: fold_bias, geometric_margin
#
# How many mistakes may a perceptron make on these samples? Any separating line gives a bound; the line with the largest margin gives
# the smallest.
#
# <details><summary>Hint 1: what to think about</summary>
#
# In the folded space the line has no bias left. What do you pass to `geometric_margin` in its place?
#
# </details>
# <details><summary>Hint 2: when it proves nothing</summary>
#
# Step 1 of the proof divides the world into γ > 0 and the rest.
#
# </details>

# %%
# exercise: mistake_bound

# %%
for gate, labels, b in [("AND", both, -3.0), ("OR", either, -1.0)]:
    print(gate, "at most", round(mistake_bound(corners, labels, np.array([2.0, 2.0]), b)), "mistakes")

# %% [markdown]
# ### Exercise 2.7 · Train
# ●●● · 15 min · needs: perceptron_update
#
# Everything together: rows in the order given, epoch after epoch, until one epoch is clean. This function will read the Bible in a
# moment, so loop over the rows, but not over the features inside a row.
#
# <details><summary>Hint 1: what to think about</summary>
#
# Two loops. What has to be reset at the start of each epoch, and what must not?
#
# </details>
# <details><summary>Hint 2: when to stop</summary>
#
# A clean epoch counts: its 0 is the last entry of `mistakes`. Note the count down first, then decide whether to go on.
#
# </details>

# %%
# exercise: train_perceptron

# %%
w_and, b_and, mistakes = train_perceptron(corners, both, np.zeros(2), 0.0, 100)
print(f"AND: w = {w_and}, b = {b_and:g}, mistakes {mistakes}, {mistakes.sum()} in all (bound 51)")
print("z at the corners:", corners @ w_and + b_and)

# %% [markdown]
# Ten mistakes where 51 are allowed. Look at the third score: (1, 0) lies exactly on the line. Training stops when no decision is wrong;
# the theorem promises few mistakes, not a margin.
#
# ## A real run: which Testament?
#
# Back to the verses. Each becomes a **bag of words** (词袋): how often it contains each of the 2,000 most frequent words. Verses of
# chapters 5, 10, 15, … are held out, so that no neighbour of a test verse is trained on.
#
# Then your function trains one epoch a call, and you look at the held-out verses in between. The **average** of the weights after
# each epoch is kept too, a cheap form of Freund and Schapire's averaged perceptron (1999).

# %% tags=["long-run"]
held_out = np.array([verse.chapter % 5 == 0 for verse in verses])
train_rows = np.random.default_rng(0).permutation(np.flatnonzero(~held_out))[:12_000]
test_rows = np.flatnonzero(held_out)
counts = Counter(word for i in train_rows for word in words_of[i])
vocabulary = {word: j for j, (word, _) in enumerate(counts.most_common(2_000))}


def bags(rows):
    """Count words: (verses, words), float32."""
    x = np.zeros((len(rows), len(vocabulary)), dtype=np.float32)
    for k, i in enumerate(rows):
        for word in words_of[i]:
            if word in vocabulary:
                x[k, vocabulary[word]] += 1
    return x


x_train, y_train, x_test, y_test = bags(train_rows), is_new[train_rows], bags(test_rows), is_new[test_rows]
print("training", x_train.shape, "  held out", x_test.shape, f"  always 'Old' is right for {np.mean(y_test == 0):.1%}")

# %% tags=["long-run"]
w, b = np.zeros(len(vocabulary)), 0.0
path, last, averaged, wrong = [], [], [], []
for epoch in range(1, 21):
    w, b, mistakes = train_perceptron(x_train, y_train, w, b, 1)
    path.append(np.append(w, b))
    mean = np.mean(path, axis=0)
    wrong.append(mistakes[0] / len(y_train))
    last.append(np.mean(threshold_unit(x_test, w, b) == y_test))
    averaged.append(np.mean(threshold_unit(x_test, mean[:-1], mean[-1]) == y_test))
    if epoch in (1, 2, 5, 10, 20):
        print(f"epoch {epoch:2}  mistakes {mistakes[0]:4}  held out: last {last[-1]:.1%}  averaged {averaged[-1]:.1%}")

# %% tags=["long-run"]
fig, ax = plt.subplots(figsize=(6.5, 3.8))
epochs = np.arange(1, len(last) + 1)
ax.plot(epochs, 1 - np.array(wrong), ":", color=COLOURS["black"], label="training, while learning")
ax.plot(epochs, averaged, "-o", ms=4, color=COLOURS["blue"], label="held out, averaged weights")
ax.plot(epochs, last, "--s", ms=4, color=COLOURS["vermilion"], label="held out, last weights")
ax.axhline(np.mean(y_test == 0), color=COLOURS["green"], ls="-.", label="always 'Old'")
ax.set(xlabel="epoch", ylabel="share decided rightly", xticks=epochs[::2])
ax.legend()
plt.show()

order = np.argsort(mean[:-1])
words = np.array(list(vocabulary))
print("Old:", *words[order[:14]], "\nNew:", *words[order[::-1][:14]])

# %% [markdown]
# What did it learn? In seconds, from 75 % to about 87 % right on chapters it never saw, with words nobody told it about. The last
# weights jump from epoch to epoch, because every mistake pulls on them; their average does not. After epoch 20 the last weights happen to
# be ahead, 88.1 % against 87.4 %; two epochs earlier they had 86.0 % and the average 87.3 %. Who must stop at some epoch is safer with
# the average. Training accuracy goes on rising while
# the held-out curve has settled: it begins to learn these verses rather than the language.
#
# Write a sentence of your own:

# %% tags=["long-run"]
sentence = "The disciples were in the ship, and he spake unto them a parable."
bag = np.zeros(len(vocabulary))
for word in re.findall(r"[a-z']+", sentence.lower()):
    if word in vocabulary:
        bag[vocabulary[word]] += 1
print(f"z = {bag @ mean[:-1] + mean[-1]:+.1f} →", "New" if bag @ mean[:-1] + mean[-1] > 0 else "Old")

# %% [markdown]
# ## Break it
#
# **In the order of the book.** Nothing else changes: the same verses, sorted from Genesis to Revelation. What will the trained unit say
# to the held-out verses?

# %% tags=["long-run"]
by_book = np.argsort(train_rows)
w, b, mistakes = train_perceptron(x_train[by_book], y_train[by_book], np.zeros(len(vocabulary)), 0.0, 5)
decisions = threshold_unit(x_test, w, b)
print("mistakes per epoch:", mistakes)
print(f"held out: {np.mean(decisions == y_test):.1%} right, {decisions.mean():.1%} called New")

# %% [markdown]
# One mistake in the whole first epoch, and everything is called New. Zero weights are silent, which is right all through the Old
# Testament; the first verse of the New makes them fire at almost anything, which is correct for the rest of the epoch. Five epochs do not
# help: each ends with 3,120 verses in a row that all want "New", and a few mistakes
# at the turn are enough for it to fire at all of them. **Few mistakes while learning say nothing unless the order is random.**

# %% [markdown]
# **One feature in other units.** Multiply the second coordinate of the cloud by 10 and by 100, as if metres became centimetres. The line
# moves with it, the data stay separable. What happens to the number of mistakes?

# %%
for scale in [1, 10, 100]:
    stretched = cloud * np.array([1, scale])
    _, _, mistakes = train_perceptron(stretched, side, np.zeros(2), 0.0, 2_000)
    bound = mistake_bound(stretched, side, line_w / np.array([1, scale]), line_b)
    print(f"× {scale:3}:  {mistakes.sum():6} mistakes in {len(mistakes):4} epochs, bound {bound:,.0f}")

# %% [markdown]
# γ of our line only about doubles, while R grows with the scale once the stretched coordinate dominates it. From there on the bound grows
# nearly with the square of the scale, and in the end the mistakes follow. Bring features to one scale first.
#
# **XOR.** Its label is 1 where exactly one input is 1. Both labels appear twice. How does training end?

# %%
exactly_one = np.array([0, 1, 1, 0])
w, b = np.zeros(2), 0.0
for epoch in range(1, 8):
    w, b, mistakes = train_perceptron(corners, exactly_one, w, b, 1)
    print(f"epoch {epoch}: {mistakes[0]} mistakes, then w = {w}, b = {b:g}")


grid = np.arange(-20, 21) / 4  # −5, −4.75, …, 5
w1, w2, b = np.meshgrid(grid, grid, grid)
fires = np.stack([x @ np.stack([w1.ravel(), w2.ravel()]) + b.ravel() > 0 for x in corners])  # (4, units)
right = (fires == exactly_one[:, None].astype(bool)).sum(axis=0)
print(f"{right.size:,} other units tried; corners right: at most {right.max()} of 4")
fig, ax = plt.subplots(figsize=(3.2, 3.2))
draw_decision(ax, corners, exactly_one)
ax.set_title("XOR: where would you cut?")
plt.show()

# %% [markdown]
# It never ends. After epoch 2 each round leads back to the same weights, and on the way all four corners are decided wrongly. Nor does
# any of 68,921 other units decide more than three corners rightly. No line does: each corner puts one inequality on $w_1, w_2, b$:
#
# * (0,0) must be silent: $b \leq 0$
# * (0,1) must fire: $w_2 + b > 0$
# * (1,0) must fire: …
# * (1,1) must be silent: …
#
# The four together have no solution; you will prove it below. Minsky and Papert's book of 1969 made such limits famous. The way out is
# a second layer of units, and that is chapter 3.

# %% [markdown]
# ## Where it goes wrong
#
# | symptom | cause |
# | --- | --- |
# | all corners decided alike, or OR where AND was meant | b = +σ instead of −σ; ≥ for > |
# | mistakes never become fewer | ŷ − y instead of y − ŷ |
# | lines only through the origin | bias left out of the update |
# | earlier weights change behind your back | `+=` on the caller's array |
# | training never stops | labels −1/+1 where 0/1 is meant, or no line exists |
# | good in training, useless after | rows sorted by label |

# %% [markdown]
# ## Check yourself
#
# <details><summary>1. From zero, every update is multiplied by a learning rate of 0.1. What changes?</summary>
#
# All weights and b are a tenth of what they were, so every z keeps its sign. Decisions and mistakes are the same. (Not so from other
# starting weights.)
#
# </details>
# <details><summary>2. You leave the bias out. Why can NAND never be learned?</summary>
#
# At (0,0) every z is 0, so the unit is silent, and NAND wants 1. The update adds x = (0,0), which changes nothing.
#
# </details>
# <details><summary>3. You double the training set by copying it. What happens to the mistake bound?</summary>
#
# Nothing: R and γ are the same. The bound counts mistakes, not samples.
#
# </details>
# <details><summary>4. Interview question: why not train the unit by gradient descent on its number of mistakes?</summary>
#
# The step function is flat: a small change of the weights changes no decision, so the gradient is 0 almost everywhere. Smooth
# activations (chapter 3) and losses (chapter 4) solve that.
#
# </details>

# %% [markdown]
# explanation: xor_no_line

# %% [markdown]
# ## From 1943 to 2018
#
# | year | who | what |
# | --- | --- | --- |
# | 1943 | McCulloch, Pitts | threshold units compute logic; nothing learns |
# | 1958 | Rosenblatt | the perceptron learns from mistakes |
# | 1962 | Novikoff | the mistake bound |
# | 1969 | Minsky, Papert | what one unit cannot do |
# | 1986 | Rumelhart, Hinton, Williams | back-propagation (chapter 6) |
# | 1997 | Hochreiter, Schmidhuber | LSTM (10) |
# | 2003 | Bengio et al. | a neural language model (8) |
# | 2012 | Krizhevsky, Sutskever, Hinton | AlexNet: deep networks win at images |
# | 2014 | Bahdanau, Cho, Bengio | attention (11) |
# | 2017 | Vaswani et al. | the Transformer (12) |
# | 2018 | Radford et al.; Devlin et al. | GPT and BERT (13) |

# %% [markdown]
# ## Sources and errata
#
# Rosenblatt 1958 (*Psychological Review* 65); Novikoff 1962 (*Symposium on the Mathematical Theory of Automata*); Minsky & Papert 1969
# (*Perceptrons*); Freund & Schapire 1999 (*Machine Learning* 37). Concert: deck A; interview: C; gates, clamped input: D.
#
# * A and C fire at ≥, D at >: each is right by itself, but their weights do not mix (cell above: D's AND under ≥ is OR).
# * D calls what the sum is compared with a "threshold (bias)". The threshold is −b.
# * A sets $w_0, w_1$ to 0 and "$w_3 > 0$"; its weights are $w_0, w_1, w_2$, and its figure gives $w_2 = 10$.
# * C calls the perceptron the earliest model of machine learning; Fisher fitted lines to labelled samples in 1936.

# %%
s = corners.sum(axis=1)  # deck D's AND: w = (1, 1), b = −1
print("compared with b: ", (s > -1).astype(int), "  compared with −b: ", (s > 1).astype(int))
w = np.zeros(3)  # deck A's weights: w[0], w[1], w[2]
print("is there a w[3]?", len(w) > 3, "  score with w[2] = 10:", far @ np.array([0, 0, 10.0]))

# %% [markdown]
# ### Notation
#
# | here | A | C | D |
# | --- | --- | --- | --- |
# | $xw + b$, rows are samples | $x \cdot w - \sigma$ | $\sum_i w_ix_i + b$ | $w \cdot x + b$ |
# | bias $b$ | $-\sigma$ | $-t$ | $b$, weight of an input clamped at +1 |
# | fires at $z > 0$ | $z \geq 0$ | $z \geq 0$ | $z > 0$ |
# | $\tilde{x} = (x, 1)$ | – | – | $a_0 = 1$, in front |
# | inputs counted from 1 | from 0 | from 1 | from 1 |
#
# Deck E names the perceptron as a linear discriminative model; deck B starts with networks.
#
# **Next:** two layers, and XOR gives in.
