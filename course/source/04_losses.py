# ---
# jupyter:
#   nnlm:
#     title: Losses and text classification
#     title_zh: 损失函数与文本分类
#     points: 25
# ---

# %% [markdown]
# # 4 · Losses and text classification (损失函数与文本分类)
#
# ## Why
#
# Is a film review friendly or not? Chapter 2's unit learns only from samples that a line can separate, and chapter 3's weights were
# made by hand or by luck. To improve weights step by step we must know **how** wrong they are. Counting mistakes is one measure.
# Predict, then run the cell: what does a small change of the bias do to the count?
#
# After this chapter you can
#
# * choose a loss and give its gradient;
# * compute softmax and cross-entropy for scores of any size;
# * turn texts of uneven length into vectors, and train these vectors;
# * compare your classifier fairly with a baseline.

# %%
import time

import matplotlib.pyplot as plt
import numpy as np
import torch

from autograder import check
from course.kit import plotting
from course.kit.corpora import movie_reviews
from course.kit.texts import PADDING, confusion_matrix, number_words, pad_texts, split_words

np.set_printoptions(precision=4, suppress=True)

x = np.array([-2.0, -1.2, -0.4, 0.3, 0.9, 2.1])  # six samples with one feature
y = np.array([-1.0, -1.0, 1.0, -1.0, 1.0, 1.0])
for b in (-0.5, -0.49, -0.48, -0.2):
    score = x + b  # answer times score, m for short, is positive where the sign is right
    print(
        f"b = {b:5.2f}: {np.mean(y * score <= 0):.3f} wrong, mean ln(1 + exp(−m)) = {np.log1p(np.exp(-y * score)).mean():.5f}"
    )

# %% [markdown]
# For three biases the share of mistakes stands still, then it jumps: its slope is 0, which says nothing about where to go. The other
# column moves with every change. It is the mean of a **loss** (损失函数): a number for each answer, smaller when the answer is
# better. To learn with, it needs a slope. The two columns need not agree: in the last row the loss falls although one mistake is added.
#
# ## One layer, three regressions
#
# All three are z = xW + b with x (batch, n), as in chapter 3; they differ in what is done with z.
#
# | | output | shape of W | answers |
# | --- | --- | --- | --- |
# | **linear regression** (线性回归) | z | (n, 1) | how much? |
# | **logistic regression** (逻辑回归) | σ(z) | (n, 1) | how probable is class 1? |
# | **softmax regression** (Softmax 回归) | softmax(z) | (n, K) | how probable is each of K classes? |

# %% [markdown]
# The entries of z are **logits** (对数几率): scores before they become probabilities. **Softmax** makes each positive and divides by
# their sum, row by row:
#
# $$\hat y_k = \frac{e^{z_k}}{\sum_j e^{z_j}}.$$
#
# Adding a constant c to all logits of a row changes nothing, since e^c cancels. So two classes need one score only:
#
# $$\operatorname{softmax}(0, z)_2 = \frac{e^z}{1 + e^z} = \frac{1}{1 + e^{-z}} = \sigma(z), \qquad
# \operatorname{softmax}(z_1, z_2)_2 = \sigma(z_2 - z_1).$$
#
# The sigmoid **is** the softmax of two classes. With chapter 3's `stable_sigmoid`, deck C's three rows confirm it to four digits.

# %%
# given: stable_sigmoid

# %%
logits = np.array([[0.5387, -0.4537], [0.2181, -0.3745], [0.3704, -0.8121]])  # (3, 2): deck C's
e = np.exp(logits)
print("softmax:", (e / e.sum(axis=1, keepdims=True)).round(4).tolist())
print("sigmoid of z2 − z1:", stable_sigmoid(logits[:, 1] - logits[:, 0]).round(4).tolist())

# %% [markdown]
# ## Losses of one score
#
# Let s be the score and y the answer. For a number, the distance s − y counts. For a class y = −1 or 1 it is the **margin** (间隔)
# m = y·s: positive when the sign is right, larger when it is more certain.
#
# | loss | formula | ∂loss/∂s | used for |
# | --- | --- | --- | --- |
# | **absolute** (绝对值) | \|s − y\| | sign(s − y) | regression with outliers |
# | **squared** (平方) | (s − y)² | 2(s − y) | regression |
# | **0-1** | 1 if m ≤ 0 else 0 | 0 | counting |
# | **hinge** (合页) | max(0, 1 − m) | −y if m < 1 else 0 | support vector machines |
# | **logistic** | ln(1 + e⁻ᵐ) | −y·σ(−m) | logistic regression |
# | **exponential** (指数) | e⁻ᵐ | −y·e⁻ᵐ | AdaBoost |

# %% [markdown]
# The logistic slope in steps. By m, ln(1 + e⁻ᵐ) has the slope −e⁻ᵐ/(1 + e⁻ᵐ) = −σ(−m). The score stands inside m = y·s, so by the
# chain rule ∂m/∂s = y is one more factor: −y·σ(−m). Hinge and exponential get their y in the same way; the 0-1 loss is flat on both
# sides of its jump.
#
# Which losses punish an answer that is right by far? Which punish a gross mistake most? Move the margin and look at the slopes.

# %%
from course.kit.widgets import LossShapes

LossShapes(loss="logistic", beside="hinge", margin=-1.0)

# %% [markdown]
# For y = ±1 the squared loss is (1 − m)²: it punishes m > 1 although the answer is right. Gross mistakes, below m ≈ −2.5, cost most by
# the exponential loss. Hinge goes silent at m = 1; the logistic loss never quite does.
#
# ### Exercise 4.1 · Losses and slopes
# ●●○ · 10 min · needs: stable_sigmoid, the table
#
# Two losses are there as a pattern; four are yours. One sample's loss and slope do not depend on the others.
#
# <details><summary>Hint 1: what to think about</summary>
#
# Which formulas see s − y, and which m? For those with m: does the slope carry y?
#
# </details>
# <details><summary>Hint 2: which identity</summary>
#
# ln(1 + e⁻ᵐ) = ln(e⁰ + e⁻ᵐ), and `np.logaddexp(a, b)` is ln(eᵃ + eᵇ) without overflow.
#
# </details>

# %%
# exercise: sample_losses

# %%
score, target = np.array([2.0, 0.5, -1.0]), np.array([1.0, 1.0, 1.0])
for name in ("zero_one", "hinge", "logistic", "squared", "exponential", "absolute"):
    losses, slopes = sample_losses(name, score, target)
    ahead, behind = sample_losses(name, score + 1e-6, target)[0], sample_losses(name, score - 1e-6, target)[0]
    measured = (ahead - behind) / 2e-6
    print(f"{name:>12}: {losses.round(4)}, slopes {slopes.round(4)}, measured {measured.round(4)}")

# %% [markdown]
# ## Log-softmax
#
# With K classes, probabilities are small, and their logarithms are what losses use. Predict what the cell prints for three
# ordinary scores that are just large.

# %%
big = np.array([[1000.0, 999.0, -1000.0]])
with np.errstate(all="ignore"):
    print("naive: ", np.log(np.exp(big) / np.exp(big).sum(axis=1, keepdims=True)))
e = np.exp(big - big.max())
with np.errstate(all="ignore"):
    print("stable softmax, then log:", np.log(e / e.sum()))

# %% [markdown]
# ∞/∞ is NaN; and even a softmax that does not overflow rounds the third probability to 0, whose logarithm is −∞. The true value
# is −2000.31, an ordinary number. Take the logarithm on paper first, with the row's largest logit M:
#
# $$\log \hat y_k = z_k - \log\sum_j e^{z_j} = (z_k - M) - \log\sum_j e^{z_j - M}.$$
#
# Now no exponent is above 0, and the sum is at least 1.
#
# ### Exercise 4.2 · Log-softmax
# ●○○ · 5 min · needs: nothing
#
# <details><summary>Hint: shapes</summary>
#
# M and the sum have one value a row. `keepdims=True` keeps them (batch, 1), so that they meet (batch, classes).
#
# </details>

# %%
# exercise: log_softmax

# %%
print(log_softmax(big), np.exp(log_softmax(np.array([[2.0, 1.0, 0.0]]))))

# %% [markdown]
# Dividing the logits by a **temperature** (温度) T before the softmax sharpens or flattens it. What is left of four scores when T is
# near 0, and when T is large? Does the order of the classes ever change?

# %%
from course.kit.widgets import SoftmaxTemperature

SoftmaxTemperature(logits=[2.0, 1.0, 0.0, -1.0], temperature=1.0)

# %% [markdown]
# Near 0 the largest takes all; for large T all become equal. The order stays. At T = 1 neighbours here differ by a factor e.
#
# ## Cross-entropy
#
# The answer is a one-hot row y (1 at the right class c). **Cross-entropy** (交叉熵) is
#
# $$L = -\sum_k y_k \log \hat y_k = -\log \hat y_c .$$
#
# Only one term is left, the **negative log-likelihood** (负对数似然, NLL) of the right class. A batch takes the mean. For the gradient,
# write L = −z_c + log Σⱼ exp(zⱼ) and differentiate by z_k: the first part gives −1 where k = c, the second ŷ_k. So
#
# $$\frac{\partial L}{\partial z_k} = \hat y_k - y_k, \qquad \text{and } (\hat y - y)/N \text{ for the mean of } N \text{ rows}.$$

# %% [markdown]
# ## Worked example
#
# On paper: z = (2, 1, 0), and the second class is right.
#
# | | class 1 | class 2 | class 3 |
# | --- | --- | --- | --- |
# | z | 2 | 1 | 0 |
# | eᶻ | 7.3891 | 2.7183 | 1 |
# | ŷ = eᶻ / 11.1073 | 0.6652 | 0.2447 | 0.0900 |
# | y | 0 | 1 | 0 |
# | ∂L/∂z = ŷ − y | 0.6652 | −0.7553 | 0.0900 |
#
# L = −ln 0.2447 = 1.4076. The gradients of a row add up to 0: a step against them lifts the right score by as much as it lowers the
# others together.
#
# ### Exercise 4.3 · Cross-entropy and its gradient
# ●●○ · 10 min · needs: log_softmax
#
# <details><summary>Hint 1: one entry a row</summary>
#
# `array[np.arange(n), targets]` takes entry targets[i] of row i; it can also be assigned to.
#
# </details>
# <details><summary>Hint 2: almost there</summary>
#
# exp of the log-softmax is ŷ. Where does a 1 come off, and what is all divided by?
#
# </details>

# %%
# exercise: cross_entropy

# %%
z, right = np.array([[2.0, 1.0, 0.0]]), np.array([1])
loss, grad = cross_entropy(z, right)
print(f"loss {loss:.4f}, gradient {grad[0].round(4)}")
measured = [(cross_entropy(z + h, right)[0] - cross_entropy(z - h, right)[0]) / 2e-6 for h in 1e-6 * np.eye(3)]
print(
    "measured:",
    np.array(measured).round(4),
    " PyTorch:",
    torch.nn.functional.cross_entropy(torch.tensor(z), torch.tensor(right)).item(),
)

# %% [markdown]
# ## Real text
#
# 24,904 film reviews, each with a label: 1 for praise, 0 for blame. 4,000 are set aside to test. Three helpers of the course split
# a text into words, number the words, and write texts as rows of one length, with 0 as **padding** (填充) and a **mask** (掩码) that
# says where real words are.

# %%
small = [split_words("Great movie!"), split_words("This movie is not great")]
words, mask = pad_texts(small, number_words(small, 20), 6)
print(number_words(small, 20))
print(words, mask.astype(int), sep="\n")

# %% tags=["long-run"]
reviews = movie_reviews()
order = np.random.default_rng(4).permutation(len(reviews))
texts = [split_words(reviews[i].text) for i in order]
labels = np.array([reviews[i].label for i in order])
test, train = slice(0, 4000), slice(4000, None)
numbers = number_words(texts[train], 10_000)  # the test texts have no say in the vocabulary
words, mask = pad_texts(texts, numbers, 300)
print(
    f"{len(texts):,} reviews, {np.mean([len(t) for t in texts]):.0f} words each; {labels[test].mean():.1%} of the test ones praise"
)
print("the most frequent words:", list(numbers)[:12])

# %% [markdown]
# ### By hand
#
# The old way: a person invents features (手工特征). Deck D counts words, words of praise, words of blame, and looks for "no". Write
# five more in your head: would they help? A softmax regression on them learns from your `cross_entropy`: 300 small steps against
# the gradient. How that passes from the logits on to w and b is derived below.

# %% tags=["long-run"]
praise = set(split_words("good great best love loved excellent wonderful fun perfect amazing enjoyed brilliant"))
blame = set(split_words("bad worst boring awful poor stupid terrible waste dull worse horrible annoying"))


def features_by_hand(text: list[str]) -> list[float]:
    """Length in hundreds of words, words of praise and of blame, whether "no" occurs, exclamation marks."""
    return [
        len(text) / 100,
        sum(w in praise for w in text),
        sum(w in blame for w in text),
        "no" in text,
        text.count("!"),
    ]


hand = np.array([features_by_hand(text) for text in texts], dtype=float)  # (texts, 5)
w, b = np.zeros((5, 2)), np.zeros(2)
for _ in range(300):
    loss, grad_logits = cross_entropy(hand[train] @ w + b, labels[train])
    w -= 0.1 * hand[train].T @ grad_logits
    b -= 0.1 * grad_logits.sum(axis=0)
by_hand = np.mean((hand[test] @ w + b).argmax(axis=1) == labels[test])
print(
    f"loss {loss:.3f}; {by_hand:.1%} of the test reviews right; weights for praise minus blame: {(w[:, 1] - w[:, 0]).round(2)}"
)

# %% [markdown]
# Two dozen words already do much. But nobody can list all of them, with their strengths.
#
# ## Pooled embeddings
#
# The new way: give each word a vector, its **embedding** (词嵌入), and let training choose it. Texts differ in length; **pooling** (池化) makes
# one vector of many, feature by feature: the mean of the words' values, or the largest one. Padding must not count. Deck E's recipe
# for the mean: zero the pads, sum, divide by the number of real words. With no real word that is 0/0; we agree on a row of zeros.
# For a maximum, zero is the wrong stand-in: it beats every negative value.
#
# ### Exercise 4.4 · Pool
# ●●○ · 10 min · needs: nothing
#
# <details><summary>Hint 1: what to think about</summary>
#
# Which number never changes a sum? Which one can never be the largest? `np.where(mask[:, :, None], vectors, …)` puts it there; a
# product with the mask would keep ∞ · 0 = NaN.
#
# </details>
# <details><summary>Hint 2: the empty text</summary>
#
# For the mean, divide by at least 1. For the maximum, ask `mask.any(axis=1)` and choose between the maximum and 0.
#
# </details>

# %%
# exercise: pool_words

# %%
vectors = np.array([[[3.0, -1.0], [1.0, -5.0], [9.0, 9.0]]])  # (1, 3, 2); the third place is padding
real = np.array([[True, True, False]])
zeroed = np.where(real[:, :, None], vectors, 0.0)
print("mean", pool_words(vectors, real, "mean"), " divided by the row's length:", zeroed.mean(axis=1))
print("max", pool_words(vectors, real, "max"), " with zeroed padding:", zeroed.max(axis=1))

# %% [markdown]
# ## The gradient reaches the words
#
# pooled = mean of the real words' rows of `embeddings`; logits = pooled·w + b. With g = ∂L/∂logits, (N, K), from `cross_entropy`:
#
# * logits_k = Σ_f pooled_f w_fk + b_k, so w_fk meets pooled_f in every row: grad_w = pooledᵀ g, (features, K); b is added to
#   every row: grad_b = Σ g over the rows;
# * pooled_f meets w_fk in every class k: ∂L/∂pooled = g wᵀ, (N, features);
# * pooled = (1/n) Σ word vectors: each of the n real words of a text gets **1/n** of its row of g wᵀ. A word that stands
#   there twice, or in several texts, collects all its shares.
#
# `array[i] += s` with a repeated index adds only once. `np.add.at(array, i, s)` adds every time.

# %% [markdown]
# ### Exercise 4.5 · Gradients of a text classifier
# ●●● · 15 min · needs: cross_entropy, pool_words
#
# <details><summary>Hint 1: what to think about</summary>
#
# For each real word two things are needed: which word it is, and in which text. `words[mask]` lists the first.
#
# </details>
# <details><summary>Hint 2: almost there</summary>
#
# `np.nonzero(mask)[0]` lists the text of each real word in the same order; with it, pick the shares' rows.
#
# </details>

# %%
# exercise: text_gradients


# %%
def text_loss(embeddings, w, b, words, mask, targets):
    """What `text_gradients` gives the gradient of."""
    return cross_entropy(pool_words(embeddings[words], mask, "mean") @ w + b, targets)[0]


rng = np.random.default_rng(1)
toy = {"embeddings": rng.normal(size=(5, 2)), "w": rng.normal(size=(2, 2)), "b": np.zeros(2)}
texts_toy = {
    "words": np.array([[1, 2, 1], [3, 1, 0]]),
    "mask": np.array([[True, True, True], [True, True, False]]),
    "targets": np.array([1, 0]),
}
grads = text_gradients(**toy, **texts_toy)
step = 1e-6 * (np.arange(10) == 2).reshape(5, 2)  # the first feature of word 1
ahead = text_loss(**{**toy, "embeddings": toy["embeddings"] + step}, **texts_toy)
behind = text_loss(**{**toy, "embeddings": toy["embeddings"] - step}, **texts_toy)
print(
    f"word 1: {grads[0][1, 0]:.6f}, measured {(ahead - behind) / 2e-6:.6f}; words 0 and 4 never occur: {grads[0][[0, 4]].tolist()}"
)

# %% [markdown]
# ## Train it
#
# **Gradient descent** (梯度下降): take a small batch of texts, go a step *against* the gradient, take the next batch. When all texts had
# their turn, an **epoch** (轮) is over; shuffle and begin again. Starting points are random: with w = 0 and embeddings = 0 the
# gradients of both vanish for good.
#
# How long a step? A text of 200 words gives each word 1/200 of a gradient, and a rare word only now and then, while w gets its
# gradient from every text. So the embeddings can take, and need, far longer steps than w and b: 20 beside 0.2 works well here, with
# 32 texts a batch and steps that shrink evenly to 0.

# %% [markdown]
# ### Exercise 4.6 · A text classifier
# ●●● · 20 min · needs: text_gradients
#
# The real run uses your function. The check trains it on 400 invented texts and asks for 85 % on 300 others, with a loss below ln K.
# The number of features and how you train are up to you; the text quotes what 16 features and the steps above give.
#
# <details><summary>Hint 1: a batch</summary>
#
# `rng.permutation(len(words))` is a new order. Slices of it are batches: the same rows of words, mask and targets.
#
# </details>
# <details><summary>Hint 2: if it learns nothing</summary>
#
# Print text_loss on all texts after each epoch. At ln 2 = 0.693 it knows nothing of two classes: if it stays there, the embeddings'
# steps are too short. A loss that jumps up and down says that the steps are too long.
#
# </details>
# <details><summary>Hint 3: almost there</summary>
#
# Two loops: over epochs, and over batches. In each, three updates. Draw embeddings a tenth as large as w, w about 1, b = 0.
#
# </details>

# %%
# exercise: train_text_classifier

# %% [markdown]
# ## The baseline
#
# A number means little alone. **Naive Bayes** (朴素贝叶斯) counts how often each class uses each word, one added, and multiplies
# P(word | class) over the words as if they were independent. In logarithms the product is a sum of log P over the words, plus log P(class). So it is a
# linear classifier whose weights are counted, not trained. A **confusion matrix** (混淆矩阵) shows what was taken for what.

# %%
# given: naive_bayes

# %%
# given: naive_bayes_scores

# %% tags=["long-run"]
started = time.perf_counter()
bayes = naive_bayes(words[train], mask[train], labels[train], 10_000, 2)
counted = naive_bayes_scores(words[test], mask[test], *bayes).argmax(axis=1)
bayes_seconds = time.perf_counter() - started
started = time.perf_counter()
embeddings, w, b = train_text_classifier(
    words[train], mask[train], labels[train], 10_000, 2, 10, np.random.default_rng(0)
)
pooled = pool_words(embeddings[words[test]], mask[test], "mean")
trained = (pooled @ w + b).argmax(axis=1)
print(f"features by hand    {by_hand:.1%}")
print(f"naive Bayes         {np.mean(counted == labels[test]):.1%} in {bayes_seconds:.0f} s")
print(f"pooled embeddings   {np.mean(trained == labels[test]):.1%} in {time.perf_counter() - started:.0f} s")
for name, said in (("naive Bayes", counted), ("pooled embeddings", trained)):
    print(f"{name}, row = truth, column = said:", confusion_matrix(said, labels[test], 2).tolist())
direction = embeddings @ (w[:, 1] - w[:, 0])  # (vocabulary,)
vocabulary = ["", "?", *numbers]
ranked = direction.argsort()
print("blame: ", " ".join(vocabulary[i] for i in ranked[:14]))
print("praise:", " ".join(vocabulary[i] for i in ranked[::-1][:14]))
for line in ("a great film", "not a great film", "great is not this film"):
    row, real = pad_texts([split_words(line)], numbers, 6)
    z = pool_words(embeddings[row], real, "mean") @ w + b
    print(f"{line!r}: P(praise) = {np.exp(log_softmax(z))[0, 1]:.2f}")

# %% [markdown]
# Your classifier is ahead (86.8 % with the hints' steps), with the same words and no list of any kind. If yours is behind, its embeddings
# may need longer steps: the check's texts are far easier. The matrix tells more than one number: naive Bayes overlooks praise more often
# than it invents it. The words at both ends are those that a person would list, and some that nobody would: "today", "8". But one word
# of praise decides a short text, whatever "not" says.
#
# ### How much text is enough?
#
# A **learning curve** (学习曲线) trains on more and more texts. Guess first: where is naive Bayes ahead? And what does the gap between training and
# test accuracy tell?

# %% tags=["long-run"]
sizes, curves = [500, 2000, 8000, 20_904], {"naive Bayes, test": [], "pooled, test": [], "pooled, training": []}
for size in sizes:
    few = slice(4000, 4000 + size)
    bayes = naive_bayes(words[few], mask[few], labels[few], 10_000, 2)
    said = naive_bayes_scores(words[test], mask[test], *bayes).argmax(axis=1)
    curves["naive Bayes, test"].append(np.mean(said == labels[test]))
    rng = np.random.default_rng(0)
    known = (embeddings, w, b) if size == 20_904 else None  # trained above
    e1, w1, b1 = known or train_text_classifier(words[few], mask[few], labels[few], 10_000, 2, 10, rng)
    for name, rows in (("pooled, test", test), ("pooled, training", few)):
        said = [
            (pool_words(e1[words[rows][i : i + 500]], mask[rows][i : i + 500], "mean") @ w1 + b1).argmax(axis=1)
            for i in range(0, len(words[rows]), 500)
        ]
        curves[name].append(np.mean(np.concatenate(said) == labels[rows]))
    print(f"{size:6,} texts: " + " · ".join(f"{name} {values[-1]:.1%}" for name, values in curves.items()))
figure, axes = plt.subplots(figsize=(7, 3.4), layout="constrained")
for (name, values), colour, style in zip(
    curves.items(), ("black", "blue", "vermilion"), ("s:", "o-", "^--"), strict=True
):
    axes.semilogx(sizes, 100 * np.array(values), style, color=plotting.COLOURS[colour], label=name)
axes.set(xlabel="training texts", ylabel="% right")
axes.legend()
plt.show()

# %% [markdown]
# With few texts the counts of naive Bayes are the better guess, and the trained vectors know their own texts far better than new ones:
# they **overfit** (过拟合). At 8,000 texts they are ahead; their gap shrinks, and more text still helps them.
#
# ## Words in a row
#
# A mean forgets the order: "not a great film" and "great is not this film" share most words. A **convolution** (卷积) slides a small
# layer, the **filter** (滤波器), over all windows of neighbouring words (n-grams):
#
# $$y_{t,f} = b_f + \sum_{k=0}^{\text{width}-1} x_{t+k} \cdot K_{k,:,f}$$
#
# x is (batch, time, features), K (width, features, filters), y (batch, time − width + 1, filters). The same filter looks everywhere, so it finds
# its n-gram wherever it stands; max pooling then asks whether it was found at all.
#
# Move the window. Which word pair answers strongest to the filter "not + praise", and what would the mean of the same words say?

# %%
from course.kit.widgets import FilterViewer

FilterViewer(text="negated", filter="not_good", place=1)

# %% [markdown]
# "not great" does, and nothing else passes 0. In "not a great film" no window of two words holds both: a wider filter is needed. The
# mean gives that text and "great, is it not" one and the same answer.
#
# On paper, with one number a word and width 2: x = 1, 2, 4, 8 and K = (1, 10) gives 1 + 20, 2 + 40, 4 + 80.
#
# ### Exercise 4.7 · Convolve
# ●●○ · 10 min · needs: the formula
#
# <details><summary>Hint 1: what to think about</summary>
#
# How many windows are there? For one fixed k, which words does K[k] meet over all windows? They lie side by side.
#
# </details>
# <details><summary>Hint 2: almost there</summary>
#
# x[:, k : k + windows] is (batch, windows, features). Its product with K[k] has the answer's shape; add width of them, and b once.
#
# </details>

# %%
# exercise: convolve_words

# %%
line = np.array([[[1.0], [2.0], [4.0], [8.0]]])  # (1, 4, 1)
print(convolve_words(line, np.array([[[1.0]], [[10.0]]]), np.zeros(1))[0, :, 0])
rng = np.random.default_rng(0)
some, kernel, bias = rng.normal(size=(2, 7, 3)), rng.normal(size=(3, 3, 4)), rng.normal(size=4)
theirs = torch.nn.functional.conv1d(torch.tensor(some).mT, torch.tensor(kernel).permute(2, 1, 0), torch.tensor(bias)).mT
print("differs from PyTorch by", f"{np.abs(convolve_words(some, kernel, bias) - theirs.numpy()).max():.0e}")

# %% [markdown]
# ### Exercise 4.8 · Backwards (a challenge)
# ●●● · 20 min · needs: convolve_words
#
# Given g = ∂L/∂y. Window t met word t + k through K[k], for every k. Turn each meeting round:
#
# * word t + k gets g_t K[k]ᵀ from window t; a word stands in several windows, so its shares **add up**;
# * K[k] gets x_{t+k}ᵀ g_t from every window of every text;
# * b got into every answer, so it gets the sum of them all.
#
# <details><summary>Hint: almost there</summary>
#
# The same slice as in the forward pass: grad_x[:, k : k + windows] += …, one round for each k. For K[k],
# `np.einsum("ntd,ntf->df", …, grad_y)` sums over texts n and windows t; d is a feature, f a filter.
#
# </details>

# %%
# exercise: convolve_words_backward

# %% [markdown]
# ## Real run: filters that read reviews
#
# Thirty-two filters of width 3 on your own word vectors, max pooling, one layer on top. PyTorch does the differentiating (chapter 5) and
# Adam the steps (chapter 7); it takes a minute or two. Which trigrams make the filters fire?

# %% tags=["long-run"]
torch.manual_seed(0)
start = embeddings / embeddings.std()
start[PADDING] = 0.0  # and it stays so: padding answers like a word of which nothing is known
word_vectors = torch.nn.Embedding.from_pretrained(torch.tensor(start).float(), freeze=False, padding_idx=PADDING)
filters, top, drop = torch.nn.Conv1d(start.shape[1], 32, 3), torch.nn.Linear(32, 2), torch.nn.Dropout(0.3)
optimiser = torch.optim.Adam([*word_vectors.parameters(), *filters.parameters(), *top.parameters()], lr=8e-3)
numbered, answers = torch.tensor(words), torch.tensor(labels)


def windows(rows: torch.Tensor) -> torch.Tensor:
    """What every filter says of every window, shape (batch, filters, time − 2)."""
    return torch.relu(filters(word_vectors(rows).mT))


started = time.perf_counter()
for epoch in range(4):
    for chosen in torch.tensor(4000 + np.random.default_rng(epoch).permutation(len(texts) - 4000)).split(128):
        loss = torch.nn.functional.cross_entropy(top(drop(windows(numbered[chosen]).amax(dim=2))), answers[chosen])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
with torch.no_grad():
    said = torch.cat([top(windows(rows).amax(dim=2)) for rows in numbered[test].split(500)]).argmax(dim=1).numpy()
print(
    f"filters of width 3   {np.mean(said == labels[test]):.1%} in {time.perf_counter() - started:.0f} s;",
    confusion_matrix(said, labels[test], 2).tolist(),
)

# %% tags=["long-run"]
with torch.no_grad():
    response = windows(numbered[:2000])  # (2000, 32, 298)
    leaning = (top.weight[1] - top.weight[0]).numpy()
for f in (*leaning.argsort()[:3], *leaning.argsort()[-3:]):
    best = response[:, f].flatten().topk(60).indices.numpy()
    grams = [" ".join(vocabulary[n] for n in words[i, t : t + 3]) for i, t in zip(*np.divmod(best, 298), strict=True)]
    print(f"filter {f:2d} ({'praise' if leaning[f] > 0 else 'blame'}):", " | ".join(list(dict.fromkeys(grams))[:4]))

# %% [markdown]
# The filters are ahead of naive Bayes too, but not of the mean. One reason: a maximum keeps a single strongest trigram a filter, while a long
# review gives its opinion many times over, and a mean hears all of them.
#
# ## Where it goes wrong
#
# Four ways to go astray: answer and prediction swapped, softmax applied twice, a mean without its mask, `grad[words] += …` where a word
# stands twice. Guess each symptom before you run.

# %%
logits, target = np.array([[2.0, 1.0, 0.0]]), np.array([1])
y = np.eye(3)[target]
probabilities = np.exp(log_softmax(logits))
with np.errstate(all="ignore"):
    print("answer and prediction swapped:", -(probabilities * np.log(y)).sum())
print(
    "cross-entropy fed with probabilities instead of logits:",
    round(cross_entropy(probabilities, target)[0], 4),
    "instead of",
    round(cross_entropy(logits, target)[0], 4),
)
print(
    "sure and right, softmax applied twice:",
    round(cross_entropy(np.array([[1.0, 0.0, 0.0]]), np.array([0]))[0], 4),
    "is the least it can say",
)
words_toy, mask_toy = np.array([[[4.0]], [[4.0]]]).repeat(3, axis=1), np.array([[True] * 3, [True, False, False]])
words_toy[1, 1:] = 0.0
print(
    "mean without the mask: two texts of equal words get",
    words_toy.mean(axis=1)[:, 0],
    " with it:",
    pool_words(words_toy, mask_toy, "mean")[:, 0],
)
written, added = np.zeros(3), np.zeros(3)
written[[1, 1, 2]] += 0.5
np.add.at(added, [1, 1, 2], 0.5)
print("shares of ½ for words 1, 1, 2, written with +=:", written, " with np.add.at:", added)

# %% [markdown]
# * Swapped, it is ∞ at once.
# * Softmax applied twice (a network that ends in a softmax, and a loss that takes logits): no error, but with three classes the loss never
#   falls below 0.5514, and learning crawls.
# * A mean without its mask measures length.
# * `grad[words] += …` loses repeated words: training still works, only worse. Nothing reports a bug that merely costs accuracy; a gradient
#   check finds it.
#
# Other classics: log(ŷ + 10⁻¹²), which caps the loss at 27.6; a vocabulary counted on the test texts; accuracy given without a baseline.

# %% [markdown]
# ## Check yourself
#
# <details><summary>Why is accuracy not the training objective? (Deck C asks it)</summary>
#
# It is a step function: its gradient is 0 almost everywhere. Losses stand in for it with a slope.
#
# </details>
# <details><summary>How do you pool a padded batch by its mean? (Interview question, deck E)</summary>
#
# Zero the padded vectors, sum over time, divide by the number of real words of each text; agree on a value for a text with none.
#
# </details>
# <details><summary>What is the loss of a classifier with K classes that knows nothing?</summary>
#
# All probabilities 1/K: ln K nats, 0.693 for two classes. A first loss far above it points to a bug, or to weights that are too large.
#
# </details>

# %% [markdown]
# explanation: why_not_accuracy

# %% [markdown]
# ## Sources and errata
#
# Decks A (table of losses), B (mean pooling), C (regressions, convolution, NLL), D (features, pooling, two-class softmax), E (masks, losses); Maas
# et al. 2011 (reviews); Kim 2014; Joulin et al. 2017.
#
# 1. A: logistic loss log(1 + ỹy). It needs exp(−ỹy).
# 2. A: cross-entropy −Σ y log ỹ, though ỹ is the answer.
# 3. A: ∂L/∂h = ỹ − h for L = ½‖ỹ − h‖². It is h − ỹ.
# 4. B: −y log ŷ + (1 − y) log(1 − ŷ). Both terms need a minus.
# 5. C: z_i = Σ_j w_ij x_k + b. It is w_ij x_j, and b_i.
# 6. E: L2 loss ‖f(x) − y*‖₂, called mean squared error. It lacks the square.

# %%
m = np.array([-3.0, 0.0, 3.0])
with np.errstate(invalid="ignore"):
    print("A as printed, log(1 + m):", np.log(1 + m), " put right:", np.logaddexp(0, -m).round(4))
h, truth = np.array([3.0]), 1.0
print(
    "A, ½(ỹ − h)² at h = 3, ỹ = 1: measured",
    ((0.5 * (truth - h - 1e-6) ** 2 - 0.5 * (truth - h + 1e-6) ** 2) / 2e-6).round(4),
    " h − ỹ =",
    h - truth,
)
for y_hat in (0.1, 0.9, 0.999):
    print(f"B for y = 0, ŷ = {y_hat}: printed {np.log(1 - y_hat):.4f}, put right {-np.log(1 - y_hat):.4f}")
weights, features = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([10.0, 1.0])  # deck C: w[i, j], columns
print(
    "C with x_k, k = 1:",
    weights.sum(axis=1) * features[0],
    " with x_j:",
    weights @ features,
    " as rows, xW:",
    features @ weights.T,
)
off = np.array([3.0, 4.0])
print("E: norm", np.linalg.norm(off), " sum of squares", (off**2).sum(), " mean squared error", (off**2).mean())

# %% [markdown]
# | here | A | B | C | D | E |
# | --- | --- | --- | --- | --- | --- |
# | answer y, prediction ŷ | ỹ, y | y, ŷ | y, ŷ | y, ŷ | y*, y |
# | z = xW + b, rows | rows | Wx + b | Wx + b | Wx + b | f(x) |
# | cross-entropy, mean over N | sum over k | one sample | mean over m | one sample | one sample |
# | pooled | – | x = Σ vᵢ/n | – | x_mean | mask recipe |
#
# In chapter 5 you compute gradients without deriving them, and in chapter 6 through any number of layers.
