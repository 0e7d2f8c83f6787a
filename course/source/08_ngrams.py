# ---
# jupyter:
#   nnlm:
#     title: n-gram and feed-forward language models
#     title_zh: n 元与前馈语言模型
#     points: 27
# ---

# %% [markdown]
# # 8 · n-gram and feed-forward language models (n 元与前馈语言模型)
#
# ## Why
#
# "The students opened their …" You know how this goes on; nobody labelled it for you. Every running text is full of such
# questions, with their answers. A **language model** (语言模型) gives each word a probability, given the words before it. Chapter 4
# sorted texts into two classes; here every word is a class, ten thousand of them, and the input is all that was said before.
#
# After this chapter you can
#
# * count, smooth and judge n-gram models, and say what they store;
# * compute perplexity, and tell when two perplexities may be compared;
# * train Bengio's network, with every gradient by hand, down to the word vectors;
# * let a model write.

# %%
import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # small products are fastest on one thread; said before NumPy starts
import time
from typing import Self

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import Tensor, nn

from autograder import check
from course.kit import corpora, plotting
from course.kit.language_models import generate, train
from course.kit.language_models import perplexity as judge

np.set_printoptions(precision=4, suppress=True)

bible = corpora.load("king_james")
print(f"{len(bible.train):,} words to train, {len(bible.test):,} to test, {len(bible.vocabulary):,} different")
print(" ".join(bible.vocabulary.decode(bible.train[:36])))

# %% [markdown]
# ## Chain and shortcut
#
# The **chain rule** (链式法则) takes a text apart, word by word:
#
# $$P(w_1 \dots w_m) = P(w_1)\,P(w_2|w_1)\,P(w_3|w_1w_2) \cdots P(w_m|w_1 \dots w_{m-1}).$$
#
# It is exact, and useless for counting: nearly every long beginning is new. The **Markov assumption** (马尔可夫假设) looks at the last
# n − 1 words only. A run of n words is an **n-gram** (n 元组); two make a *bigram*, three a *trigram*. With C(…) for how often a run
# occurs in the training text, counting gives
#
# $$P(w_m|w_{m-n+1} \dots w_{m-1}) = \frac{C(w_{m-n+1} \dots w_m)}{C(w_{m-n+1} \dots w_{m-1})}.$$
#
# An n-gram model is a look-up table: n − 1 words of **context** (上下文), and one word to predict.

# %% [markdown]
# ### Exercise 8.1 · Count
# ●○○ · 10 min · needs: nothing
#
# Words are numbers here, and a text is one row of them. Count every run of n neighbours; the runs overlap. A few cells below, your
# function counts most of a Bible.
#
# <details><summary>Hint 1: what to think about</summary>
#
# A text of 5 words holds 4 pairs and 3 triples. How many runs of n words begin in a text of m words?
#
# </details>
# <details><summary>Hint 2: which tool</summary>
#
# `np.lib.stride_tricks.sliding_window_view` makes all windows; `np.unique(…, axis=0, return_counts=True)` sorts and counts rows. A
# dictionary of tuples does it as well. Handle the text that is too short first.
#
# </details>

# %%
# exercise: count_ngrams

# %%
print(*count_ngrams(np.array([3, 5, 3, 5, 3]), 2), sep="\n")

# %% [markdown]
# ## Worked example: three sentences
#
# "the cat sat", "the cat ate", "a dog sat". Each ends with **`<eos>`** (end of sentence, 句末), which is a word like others: it is
# predicted, and the next sentence begins after it. The very first word has nothing before it; it counts as if an `<eos>` stood
# there.
#
# The table of pairs has a row for each context and a column for each next word. Fill the row "the" on paper first.

# %%
# given: bigram_table

# %%
words = ["<eos>", "a", "ate", "cat", "dog", "sat", "the"]
sentences = "the cat sat <eos> the cat ate <eos> a dog sat <eos>"
text = np.array([words.index(w) for w in sentences.split()])
table = bigram_table(text, 7)  # (7, 7)
print("       " + "".join(f"{w:>6}" for w in words))
for word, row in zip(words, table, strict=True):
    print(f"{word:>6} " + "".join(f"{count or '·':>6}" for count in row))
counted = table / table.sum(axis=1, keepdims=True)
new = [words.index(w) for w in ("<eos>", "the", "dog", "sat", "<eos>")]
print("the dog sat <eos>:", [f"{p:.4f}" for p in counted[new[:-1], new[1:]]])

# %% [markdown]
# | | after | counts | P |
# | --- | --- | --- | --- |
# | the | `<eos>` | 2 of 3 | 0.6667 |
# | dog | the | 0 of 2 | **0** |
# | sat | dog | 1 of 1 | 1 |
# | `<eos>` | sat | 2 of 2 | 1 |
#
# "the dog sat" is a fine sentence, but the product of the four is 0, as if nobody could ever say it. Not seen does not mean
# impossible: any text shows only a part of its language. How large a part do the 850,000 training words show? Guess two numbers: what
# percentage of the pairs of words in *new* chapters never occurred in them, and what percentage of the runs of five?

# %% tags=["long-run"]
print("n   different   once only   MB as a table   never seen in new text")
for n in (1, 2, 3, 4, 5):
    seen, counts = count_ngrams(bible.train, n)
    fresh, fresh_counts = count_ngrams(bible.test, n)
    known = {row.tobytes() for row in seen}
    unseen = sum(int(c) for row, c in zip(fresh, fresh_counts, strict=True) if row.tobytes() not in known)
    once, size = np.mean(counts == 1), (seen.nbytes + counts.nbytes) / 1e6
    print(f"{n}   {len(seen):9,}   {once:9.1%}   {size:13.1f}   {unseen / fresh_counts.sum():22.1%}")

# %% [markdown]
# **Sparsity** (稀疏): 8.6 % of the pairs are new, and so are every third triple and more than three of four runs of five. **Storage**
# (存储): the runs of five fill 707,327 rows, for a text of 853,234 words. Longer contexts say more and are known less.
#
# Single words are never new here because of **`<unk>`** (unknown word, 未知词). The vocabulary has 10,000 entries: `<eos>`, `<unk>` and the
# most frequent training words; `<unk>` replaces all others, in both parts. Otherwise one new name would make a whole text impossible.
#
# `<eos>` is needed as well. Without it, the probabilities of all texts of one word sum to 1, those of all texts of two words sum to 1
# again, and so on. With it, all sentences, short and long, share a single 1. The cell after exercise 8.3 shows this.

# %% [markdown]
# ## Perplexity
#
# How good is a model? Ask what probability it gives to a text that it has not seen. This shrinks with the length m, so take the
# m-th root; its inverse is the **perplexity** (困惑度, deck A):
#
# $$\text{PPL} = P(w_1 \dots w_m)^{-1/m} = \exp\Big(-\frac1m \sum_t \ln P(w_t|\dots)\Big).$$
#
# It is a **branching factor** (分支数): on average the model is as uncertain about a word as about the throw of a fair die with so many
# sides. The exponent on the right is chapter 4's cross-entropy. Lower is better.
#
# ### Exercise 8.2 · Perplexity
# ●○○ · 5 min · needs: the formula
#
# You get the probabilities that a model gave to the words that came. Compute its perplexity.
#
# <details><summary>Hint</summary>
#
# A product of 5,000 probabilities is too small for a float64; a sum of 5,000 logarithms is an ordinary number. `np.log(0)` warns, so
# look for a 0 before you take logarithms.
#
# </details>

# %%
# exercise: perplexity

# %%
print("a die of six sides:", round(perplexity(np.full(100, 1 / 6)), 4))
print("the dog sat, counted:", perplexity(counted[new[:-1], new[1:]]))

# %% [markdown]
# Four words, each with its number of choices 1/p. Turn one up to 64: what does a single very improbable word do to the perplexity,
# and what would a plain mean of the choices say?

# %%
from course.kit.widgets import PerplexityBranching

PerplexityBranching(choices=[2.0, 9.0, 4.0, 3.0])

# %% [markdown]
# The perplexity is the geometric mean of the choices, the m-th root of their product. 64 choices instead of 3 at the last word make it
# about twice as large, and the plain mean more than four times. One probability of 0 makes the perplexity infinite.
#
# ## Smoothing
#
# **Smoothing** (平滑) takes a little from what was seen and gives it to what was not. **Add-k** (加 k 平滑) counts every pair k times more
# (k = 1: *add-one*), and **interpolation** (插值) mixes with a shorter context, here with none at all, the frequency of w:
#
# $$P(w|v) = \lambda\,\frac{C(v, w) + k}{C(v) + kV} + (1 - \lambda)\,\frac{C(w)}{N}.$$
#
# N is the number of all pairs, λ the argument `weight`. Each of the V words gets k, so the denominator grows by kV.
#
# ### Exercise 8.3 · Add and mix
# ●●○ · 10 min · needs: the formula
#
# Turn the whole table of counts into probabilities.
#
# <details><summary>Hint: shapes, and 0/0</summary>
#
# C(v) sums row v, (V, 1) with `keepdims=True`; C(w) sums column w, (V,). Where the denominator C(v) + kV is 0, divide by 1 instead, and
# choose the right row afterwards with `np.where`. It computes both branches, so alone it does not prevent 0/0.
#
# </details>

# %%
# exercise: smoothed_bigrams

# %%
one_added = smoothed_bigrams(table, 1.0, 1.0)
print("add one:", one_added[new[:-1], new[1:]], " perplexity", round(perplexity(one_added[new[:-1], new[1:]]), 4))
alive, ended = one_added[0].copy(), []
for _ in range(60):  # all sentences at once: the share that has ended after 1, 2, 3 … words
    ended.append(alive[0])
    alive = np.where(np.arange(7) == 0, 0.0, alive) @ one_added
print("ended within 1, 2, 4, 60 words:", np.cumsum(ended)[[0, 1, 3, 59]])

# %% [markdown]
# Add-one allows "the dog sat", at a price: "the" at the beginning falls from 0.6667 to 0.3. And with all sentences of up to 60 words
# the sum has reached 1 (to four digits).
#
# ## Kneser–Ney: who keeps company?
#
# What should an unseen pair fall back on? Frequency treats "cat" and "sat" alike, for each occurs twice. But "cat" came after one
# word only, "sat" after two different ones: it *combines*, and is likelier in a new place. **Kneser–Ney** falls back on company, not
# on frequency:
#
# $$P(w|v) = \frac{\max(C(v,w) - D, 0)}{C(v)} + \frac{D \cdot N(v\,\cdot)}{C(v)} \cdot \frac{N(\cdot\, w)}{N(\cdot\,\cdot)}.$$
#
# A **discount** (折扣) D comes off every pair that was seen. Here N counts *different* things: N(v·) the words that follow v, N(·w)
# the words that precede w, N(··) the pairs. What the discounts free, D·N(v·)/C(v), is exactly the weight of the second part, so each
# row sums to 1.

# %% [markdown]
# On paper, with D = ½ and the 9 different pairs of the table:
#
# | | kept | freed × company | P |
# | --- | --- | --- | --- |
# | the after `<eos>` | 1.5/3 | 1/3 · 1/9 | 0.5370 |
# | dog after the | 0 | 1/4 · 1/9 | 0.0278 |
# | sat after dog | 0.5/1 | 1/2 · 2/9 | 0.6111 |
# | `<eos>` after sat | 1.5/2 | 1/4 · 2/9 | 0.8056 |
#
# The product is 0.00734, the perplexity 3.416; add-one has 4.356. And after "a", where neither was seen, P(cat) = 0.0556 and
# P(sat) = 0.1111.
#
# ### Exercise 8.4 · Kneser–Ney
# ●●● · 15 min · needs: the table above
#
# Do for every pair what was done here for four.
#
# <details><summary>Hint 1: what to think about</summary>
#
# `counts > 0` says which pairs were seen at all. All three N are sums over it: along rows, along columns, over everything.
#
# </details>
# <details><summary>Hint 2: a context that was never seen</summary>
#
# There C(v) = 0. Nothing is kept, so the weight of the company is 1. Divide by at least 1, and choose with `np.where`.
#
# </details>

# %%
# exercise: kneser_ney_bigrams

# %%
smooth = kneser_ney_bigrams(table, 0.5)
print("the dog sat <eos>:", smooth[new[:-1], new[1:]], " perplexity", round(perplexity(smooth[new[:-1], new[1:]]), 4))
print("after a: cat", smooth[1, 3].round(4), " sat", smooth[1, 5].round(4), " rows sum to", smooth.sum(axis=1))

# %% [markdown]
# ## Let it write
#
# To write, draw a word from P(·|context), append it, repeat. Lay the probabilities side by side on [0, 1): a random number falls on
# one of the pieces. A **temperature** (温度) T divides the logits first (chapter 4); ln P can serve as logits, since softmax(ln P) = P.
# Towards T = 0 this becomes **greedy** (贪心): always the most probable word.
#
# ### Exercise 8.5 · Draw words
# ●●○ · 10 min · needs: chapter 4's softmax
#
# The random numbers (`draws`) are given, so that the answer is fixed.
#
# <details><summary>Hint: where pieces end</summary>
#
# `np.cumsum` of the probabilities gives the right ends. The word wanted is the first whose end is *above* the draw:
# `np.searchsorted(ends, draws, side="right")`. Rounding may leave the last end a little below 1, and a draw above it would find no
# word. Divide the ends by the last one: then it is exactly 1, and impossible words at the end stay impossible.
#
# </details>

# %%
# exercise: sample_words

# %%
print("pieces [0, 0.25), [0.25, 0.5) …:", sample_words(np.zeros(4), 1.0, np.array([0.1, 0.25, 0.99])))
few = np.where(bible.train < 2000, bible.train, bible.vocabulary.unknown)  # the 2,000 most frequent words
pairs = np.log(kneser_ney_bigrams(bigram_table(few, 2000), 0.75))
pairs[:, bible.vocabulary.unknown] = -np.inf  # never write <unk>
for temperature in (0.0, 0.7, 1.0):
    rng, word, line = np.random.default_rng(8), 0, []
    for _ in range(16):
        word = int(sample_words(pairs[word], temperature, rng.random(1))[0])
        line.append(word)
    print(f"T = {temperature}:", " ".join(bible.vocabulary.decode(line)))

# %% [markdown]
# Greedy goes in circles; T = 1 is free, and most pairs of neighbours sound right. What is missing is a memory: each word knows only
# the one before it.
#
# ## Any order
#
# Kneser–Ney for n words is your function applied again and again: order n falls back on order n − 1, and every *lower* order counts
# company. The *modified* form takes three discounts, for counts 1, 2 and more. The class below works with whole arrays instead of
# loops, and you need not read it to go on: `fit` counts a text, `log_probabilities` judges one, `distribution` gives the
# probabilities of all next words.

# %%
# given: KneserNey

# %% tags=["long-run"]
started, models = time.process_time(), {}
for n in (1, 2, 3, 4, 5):
    models[n] = KneserNey(n).fit(bible.train, len(bible.vocabulary))
    print(f"Kneser–Ney, n = {n}: perplexity {np.exp(-models[n].log_probabilities(bible.test).mean()):6.2f}")
print(f"all five built and judged in {time.process_time() - started:.1f} s")
for size in (200, 1000, 10_000):
    train_part, test_part = (np.where(t < size, t, bible.vocabulary.unknown) for t in (bible.train, bible.test))
    value = np.exp(-KneserNey(3).fit(train_part, size).log_probabilities(test_part).mean())
    print(
        f"n = 3, {size:6,} words: perplexity {value:5.2f}, {np.mean(test_part == bible.vocabulary.unknown):.1%} of the test is <unk>"
    )
rng, line = np.random.default_rng(3), [0]
while len(line) < 45:
    line.append(int(sample_words(np.log(models[5].distribution(np.array(line))), 0.8, rng.random(1))[0]))
print(" ".join(bible.vocabulary.decode(line[1:])))

# %% [markdown]
# Longer contexts help, less and less. And a trap: with a vocabulary of 200 words the perplexity is 13, not because the model is better
# but because nearly a quarter of the test text became one easy word, `<unk>`. **Compare perplexities only over the same text, cut into
# the same words, with the same vocabulary.**
#
# ## Words as vectors
#
# Counts cannot know that "cat" and "dog" are alike: what was learned of one is lost on the other. Bengio et al. (2003) give each word
# a vector, its **embedding** (词嵌入): row w of a matrix C, (V, features). (Their letter; it has nothing to do with the counts.) Formulas
# write a word as a **one-hot** (独热) row, 1 at its number and 0 elsewhere, and multiply it by C. What does the product do?

# %%
rng = np.random.default_rng(0)
C = rng.normal(size=(7, 3))
one_hot = np.eye(7)[5]
print("one-hot · C =", one_hot @ C, "  row 5 of C =", C[5], "  the same:", np.array_equal(one_hot @ C, C[5]))

# %% [markdown]
# It looks up a row. So nobody multiplies; `C[contexts]` reads the rows of a whole batch, (batch, n − 1, features). The network puts the
# vectors of the n − 1 context words side by side:
#
# $$x = [C_{w_{t-n+1}}, \dots, C_{w_{t-1}}] \quad (\text{batch}, (n-1)\cdot\text{features}),$$
# $$h = \tanh(xW_1 + b_1) \quad (\text{batch}, \text{hidden}),$$
# $$\text{logits} = hW_2 + b_2 + xW_{\text{direct}} \quad (\text{batch}, V).$$
#
# The softmax of the logits is P(w | context). The last term, the **direct connections** (直连), is optional: a short cut past the tanh.

# %%
# given: context_windows

# %%
Parameters = tuple  # embeddings, w1, b1, w2, b2, direct; direct is None where there are no direct connections
for order in (2, 3, 4):
    row = context_windows(text, order)[2]
    print(f"n = {order}: {[words[w] for w in row]} → {words[text[2]]}: {len(row)} words of context")

# %%
# given: feedforward_logits

# %% [markdown]
# ## Backwards, down to the words
#
# x came out of the table by `embeddings[contexts].reshape(batch, -1)`. Backwards, every piece of grad_x (that is ∂loss/∂x) returns to
# the row that it was read from. A word that was read several times collects **all** its shares: one table serves all places (deck D,
# figure 7.18).
#
# On paper: the context is (1, 1), two features each, grad_x = (1, 2, 3, 4). Then row 1 receives (1, 2) + (3, 4) = (4, 6).
#
# ### Exercise 8.6 · Scatter and add
# ●●○ · 10 min · needs: nothing
#
# <details><summary>Hint</summary>
#
# Reshape grad_x to (batch, places, features): `features` numbers for each word of `contexts`. `grad[contexts] += …` would keep only one
# share of each word; `np.add.at(grad, contexts, …)` adds every time.
#
# </details>

# %%
# exercise: embedding_gradient

# %%
print(embedding_gradient(np.array([[1.0, 2.0, 3.0, 4.0]]), np.array([[1, 1]]), 3))

# %% [markdown]
# The rest is chapter 6, backwards through each line. The two finished functions of chapter 4 are given below; `cross_entropy` returns the
# loss and g.
#
# * g = ∂loss/∂logits = (ŷ − y)/batch, (batch, V);
# * logits = hW₂ + …: grad_W₂ = hᵀg, grad_b₂ = Σ rows of g, grad_h = gW₂ᵀ;
# * h = tanh z: grad_z = grad_h ⊙ (1 − h²), ⊙ element by element;
# * z = xW₁ + b₁: grad_W₁ = xᵀgrad_z, grad_b₁ = Σ rows of grad_z, and x gets grad_z W₁ᵀ;
# * logits = … + xW_direct: grad_W_direct = xᵀg, and x gets g W_directᵀ **as well**: two roads, two shares.

# %%
# given: log_softmax

# %%
# given: cross_entropy

# %% [markdown]
# ### Exercise 8.7 · Bengio's gradients
# ●●● · 25 min · needs: embedding_gradient, cross_entropy
#
# The forward pass is there; write the way back. The cell after the check compares every gradient with a measured slope.
#
# <details><summary>Hint 1: what to think about</summary>
#
# Write the shapes of g, h and x on paper. A gradient has the shape of its parameter: of hᵀg and gᵀh, only one has the shape of w2.
#
# </details>
# <details><summary>Hint 2: the direct connections</summary>
#
# With `direct` None there is one road to x, else there are two. Collect grad_x completely before it goes to embedding_gradient.
#
# </details>

# %%
# exercise: feedforward_gradients


# %%
def loss_of(contexts, targets, *parameters):
    """Mean cross-entropy of the network."""
    return cross_entropy(feedforward_logits(contexts, *parameters), targets)[0]


rng = np.random.default_rng(1)
toy = [rng.normal(size=s) for s in ((7, 2), (4, 3), (3,), (3, 7), (7,), (4, 7))]
contexts, targets = context_windows(text, 3), text
for name, part, grad in zip(
    ("embeddings", "w1", "b1", "w2", "b2", "direct"), toy, feedforward_gradients(contexts, targets, *toy), strict=True
):
    direction, h = rng.normal(size=part.shape), 1e-6
    ahead, behind = (
        loss_of(contexts, targets, *[p + s * h * direction if p is part else p for p in toy]) for s in (1, -1)
    )
    print(
        f"{name:>10}: along a random direction {np.sum(grad * direction):9.6f}, measured {(ahead - behind) / 2 / h:9.6f}"
    )

# %% [markdown]
# ### Exercise 8.8 · One epoch
# ●●○ · 10 min · needs: feedforward_gradients
#
# The loop is deck D's "typical course of training", in mini-batches; the real run calls it. After each batch, every part p becomes
# p − η · its gradient; only a `direct` that is None stays None. With `frozen` the embeddings stay as they are, too: deck D's other
# option.
#
# <details><summary>Hint 1: a batch</summary>
#
# A slice of `order` names rows. The same rows of contexts and targets make a batch; a slice beyond the end is shorter, and no error.
#
# </details>
# <details><summary>Hint 2: almost there</summary>
#
# `feedforward_gradients(…, …, *parameters)` gives six gradients in the order of the six parts; `zip` pairs them. Collect the new parts in a
# tuple: the next batch starts from it.
#
# </details>

# %%
# exercise: train_epoch

# %% [markdown]
# ## Real run
#
# First your own code: the first 200,000 words, a vocabulary of 1,000, three words of context (n = 4). Is it worth training the word
# vectors, or are frozen random ones enough? And which of the three counts below will the network beat: n = 2, 3 or 4?

# %% tags=["long-run"]
size, started = 1000, time.perf_counter()
part = np.where(bible.train[:200_000] < size, bible.train[:200_000], bible.vocabulary.unknown)
held_out = np.where(bible.test < size, bible.test, bible.vocabulary.unknown)[:20_000]
contexts, new_contexts = context_windows(part, 4), context_windows(held_out, 4)
for frozen in (False, True):
    rng = np.random.default_rng(0)
    scale = 1.0 if frozen else 0.1  # frozen vectors cannot grow, so they begin larger
    drawn = (scale * rng.normal(size=(size, 40)), 0.1 * rng.normal(size=(120, 80)))  # embeddings, w1
    zeros = (np.zeros(80), np.zeros((80, size)), np.zeros(size))  # b1, w2, b2: all words begin equally probable
    parameters = (*(part.astype(np.float32) for part in (*drawn, *zeros)), None)  # no direct connections
    curve = []
    for epoch in range(2):
        order = rng.permutation(len(part))
        parameters = train_epoch(parameters, contexts, part, order, 64, 0.5 * (1 - epoch / 2), frozen)
        curve.append(float(np.exp(loss_of(new_contexts, held_out, *parameters))))
    print(f"{'frozen' if frozen else 'trained'} embeddings, perplexity after each epoch:", np.round(curve, 1))
for n in (2, 3, 4):
    level = np.exp(-KneserNey(n).fit(part, size).log_probabilities(held_out).mean())
    print(f"Kneser–Ney, n = {n}, same words: {level:.1f}")
print(f"{time.perf_counter() - started:.0f} s")

# %% [markdown]
# Trained vectors are well ahead of frozen random ones. After a few seconds on little text, the network beats counting with n = 2;
# n = 3 is still ahead of it.
#
# So now the whole text and all 10,000 words, with chapter 7's Adam and an engine that looks at a sample of the vocabulary at each step
# (chapter 14). The model is the same network in PyTorch; find your lines in its `forward`, and pass over `tied` and `state`.
#
# At the end the network's probabilities are mixed with those of counting, as in exercise 8.3. Guess: is a mixture better than both?

# %%
# given: SharedDropout

# %%
# given: FeedForwardLM

# %% tags=["long-run"]
torch.manual_seed(0)
torch.set_num_threads(1)  # the network is small: two threads would mostly wait for each other
network = FeedForwardLM(len(bible.vocabulary), order=5, embedding=64, hidden=128, dropout=0.1)
started = time.perf_counter()
history = train(network, bible, epochs=3, batch=64, time=16, rate=4e-3, sampled=512)
print(f"network: test perplexity {judge(network, bible.test):.2f} after {time.perf_counter() - started:.0f} s")
with torch.no_grad():
    rows = torch.tensor(bible.test[None].astype(np.int64))
    before = torch.cat([rows.new_zeros(1, 1), rows[:, :-1]], dim=1)
    network.eval()
    features = network(before)[0][0]
    mine = torch.cat(
        [
            torch.log_softmax(network.output(f), dim=1)[torch.arange(len(f)), w]
            for f, w in zip(features.split(2000), rows[0].split(2000), strict=True)
        ]
    ).numpy()  # (tokens,)
five_words, shares, mixtures = models[5].log_probabilities(bible.test), np.linspace(0, 1, 5), []
for share in shares:
    mixed = np.logaddexp(np.log(share + 1e-300) + mine, np.log(1 - share + 1e-300) + five_words)
    mixtures.append(np.exp(-mixed.mean()))
    print(f"{share:.2f} · network + {1 - share:.2f} · Kneser–Ney 5: perplexity {mixtures[-1]:.2f}")
figure, axes = plt.subplots(figsize=(5, 2.6), layout="constrained")
axes.plot(shares, mixtures, "o-", color=plotting.COLOURS["blue"])
axes.set(xlabel="share of the network", ylabel="perplexity")
plt.show()

# %% tags=["long-run"]
vectors = nn.functional.normalize(network.embedding.weight.detach(), dim=1)  # (V, 64), each of length 1
for word in ("king", "three", "said", "egypt", "he", "daughter"):
    near = (vectors @ vectors[bible.vocabulary.numbers[word]]).topk(6).indices.tolist()[1:]
    print(f"{word:>9}:", ", ".join(bible.vocabulary.decode(near)))
for seed, prompt in enumerate(("in the beginning", "and the lord said unto", "blessed is the man")):
    said = generate(network, bible.vocabulary, prompt.split(), 30, temperature=0.8, seed=seed, unknown=False)
    print(prompt.upper(), *said)

# %% [markdown]
# In less than a minute the network comes near counting with n = 3 (47.04) and stays behind n = 5 (41.15). Yet the half-and-half mixture is
# well ahead of both: counting knows what was said, the network what could be said as well. Its neighbours are words of one kind, for
# words that are used alike receive similar gradients. (Last digits differ between machines.)
#
# Below, four models of the first three chapters of Genesis. Which word comes after "the"? Where does the trigram know nothing, and what
# do Kneser–Ney and the network say there? Turn the temperature, keep the k best words only (**top-k**), or the fewest that make up a
# share p (**nucleus**, 核采样): which of the three cuts the long tail?

# %%
from course.kit.widgets import NextWord

NextWord(model="network", beside="kneser_ney")

# %% [markdown]
# Temperature keeps every word possible; top-k and nucleus cut the tail off. Chapter 9 has them as exercises.
#
# ## Where it goes wrong
#
# Four classics: a product of 400 probabilities; a test on the training text; `+=` with a word that stands there twice; a context that
# holds the answer. Guess what each prints, then run. The last two lines belong to errata 3 and 2 below.

# %%
p = np.full(400, 0.1)
print("product first:", np.prod(p), " logarithms:", round(perplexity(p), 4))
its_own = kneser_ney_bigrams(bigram_table(text, 7), 0.5)[np.append(0, text[:-1]), text]
print("test text in training:", round(perplexity(its_own), 3))
grad, shares = np.zeros((3, 2)), np.array([[1.0, 2.0, 3.0, 4.0]])
grad[np.array([1, 1])] += shares.reshape(2, 2)
added = embedding_gradient(shares, np.array([[1, 1]]), 3)
print("one word twice, with +=:", grad[1], " with np.add.at:", added[1])
peek = np.stack([text, np.append(0, text[:-1])], axis=1)  # a "context" that holds the word to be predicted
knows = [np.eye(7), 4 * np.eye(14)[:, :7], np.zeros(7), 9 * np.eye(7), np.zeros(7), None]
print("a context that peeks:", round(float(np.exp(loss_of(peek, text, *knows))), 3))
alone = np.bincount(text, minlength=7)  # C(v) as printed: every occurrence, also the last one
inside = np.zeros((7, 7))
np.add.at(inside, (text[:-1], text[1:]), 1)
printed, followed = (inside[0] / alone[0]).sum().round(4), (inside[0] / inside[0].sum()).sum()
print("row <eos> as printed sums to", printed, " with followed ones only:", followed)
wide, narrow = context_windows(text, 4).shape[1], context_windows(text, 3).shape[1]
print(f"D, N = 3, has {wide} words of context; P(w | w[t−N+1 … t−1]) has {narrow}")

# %% [markdown]
# * The product of 400 probabilities of 0.1 is 0 in float64; the logarithms are no trouble.
# * Judged on its own training text, a model flatters itself.
# * `+=` with a repeated index keeps one share and loses the others. Training still runs, only worse.
# * A window that is shifted by one contains the answer. A perplexity near 1 is no triumph but a bug.
#
# Others: comparing perplexities over different vocabularies; taking the discount off zeros as well; a lower order that counts
# frequency instead of company; forgetting `<eos>`. And a full softmax over 10,000 words is where most of the time would go.

# %% [markdown]
# ## Check yourself
#
# <details><summary>Why is perplexity infinite for counts without smoothing?</summary>
#
# One n-gram of the test text that was never seen makes the product 0, and 0^(−1/m) is infinite.
#
# </details>
# <details><summary>How many numbers does the network learn, with V = 10,000, n = 5, 64 features, 128 units, no direct connections?</summary>
#
# 640,000 (C) + 256·128 + 128 + 128·10,000 + 10,000 = 1,962,896. The 5-gram table has 707,327 rows of five words and a count. One more
# word of context costs the network only 64·128 numbers.
#
# </details>
# <details><summary>What do direct connections add?</summary>
#
# A linear road from word vectors to logits past the tanh: with h alone, all V logits are mixtures of 128 units.
#
# </details>
# <details><summary>What is the loss of an untrained network that gives 10,000 words the same probability?</summary>
#
# ln 10,000 = 9.21, a perplexity of 10,000.
#
# </details>

# %% [markdown]
# explanation: why_word_vectors_help

# %% [markdown]
# ## Sources and errata
#
# Decks A (chain rule, table, network, perplexity), B (sparsity, storage), D (training, frozen embeddings); Kneser & Ney 1995; Chen & Goodman 1999; Bengio et al. 2003; Heafield et al. 2013.
#
# 1. A's table of perplexities on the Penn Treebank compares unlike things: its 3-gram has 178.0, an interpolated Kneser–Ney 3-gram 148.3 (5-gram 141.2; `nnlm bench ngrams` with your own copy). 92.0 includes a cache, 35.7 uses outside data.
# 2. D: "N = 3" with three context words; its own definition has N − 1. B's "4-gram" network reads four. n-grams have n − 1 words of context.
# 3. A divides by the count of the context. The text's last words are a context that nothing follows: then the row sums to less than 1.
#
# | here | A | B | D |
# | --- | --- | --- | --- |
# | embeddings C (V, features), rows | e = wC | e, columns | E (d, V), columns |
# | x, side by side | [e₀, e₁, e₂] | e | **e**, Nd |
# | h = tanh(xW₁ + b₁) | tanh([…]H + d) | f(We + b₁) | σ(We + b) |
# | hW₂ + b₂ | h₀U, no bias | Uh + b₂ | Uh, no bias |
# | xW_direct | arrow "optional" | – | – |
# | n − 1 words | n − 1 | four for "4-gram" | N − 1 and N |
#
# The window is the wall that both models share: what stands before it does not exist. Chapter 9 takes the wall away.
