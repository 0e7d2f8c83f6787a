# ---
# jupyter:
#   nnlm:
#     title: Start here
#     title_zh: 从这里开始
#     points: 0
# ---

# %% [markdown]
# # 0 · Start here (从这里开始)
#
# This course begins with one unit that says yes or no and ends with a Transformer that writes text. You build every piece yourself, and
# your own code runs the experiment at the end of each chapter.
#
# This page takes ten minutes and gives no points. After it you can
#
# * run a notebook and choose CPU or GPU;
# * pass a check, fail one, and read what it says;
# * find hints, help, and your own work again tomorrow.
#
# Click on the next cell and press **Shift-Enter**. It runs, and the cell after it is selected.

# %%
import numpy as np

from autograder import check, progress
from course.kit.devices import pick_device

print("NumPy", np.__version__, "is ready.")

# %% [markdown]
# ## CPU or GPU
#
# Everything in the course runs on two CPU cores; the longest run takes about two minutes. With a CUDA **GPU** (显卡) the later chapters
# are faster, and not one line of your code changes: it asks for `device` instead of naming one.

# %%
device = pick_device()  # pick_device("cpu") leaves the GPU alone
device

# %% [markdown]
# ## How an exercise works
#
# An exercise has five parts, always in this order:
#
# 1. a line such as `●○○ · 5 min · needs: nothing`: difficulty, time, what must be done before;
# 2. one sentence of purpose, then **hints** that stay folded until you click on them; none contains the code;
# 3. a cell with a signature and a docstring. The docstring is the specification: shapes, types, errors. Replace
#    `raise NotImplementedError()` by your code and run the cell;
# 4. a locked cell `check(...)`. Run it as often as you like;
# 5. a cell that uses what you wrote.

# %% [markdown]
# ### Exercise 0.1 · Pass one
# ●○○ · 2 min · needs: nothing
#
# First run the next two cells as they are: the check says "Not yet". Then write the one line that the docstring describes, run the cell
# again, and check again.
#
# <details><summary>Hint 1: what to think about</summary>
#
# NumPy computes with whole arrays: `x * 3` multiplies every entry. And a function without `return` gives back `None`.
#
# </details>

# %%
# exercise: scale_and_shift

# %%
celsius = np.array([-40.0, 0.0, 37.0, 100.0])
print("Fahrenheit:", scale_and_shift(celsius, 1.8, 32.0))

# %% [markdown]
# ## Fail one on purpose
#
# Rows are samples, columns are features: that holds in every chapter. Here is a function that shall give the mean of every **row**,
# with a bug planted in it. Guess what the check will say, then run the cell.


# %% tags=["raises-exception"]
def hasty_row_means(x):
    """Average every row of x – or does it?"""
    return x.mean(axis=0)


check("row_means", hasty_row_means)

# %% [markdown]
# Read the panel from the top:
#
# | line | what it tells you |
# | --- | --- |
# | first sentence | the cause, when your answers are those of a known mistake |
# | First difference | where your answer and the right one part |
# | Called | the call, to paste into a cell of your own; arrays of more than 24 numbers are only described |
# | Returned, Expected | both answers, with shape and dtype |
# | where it differs | a small picture of the answer, wrong entries crossed out |
#
# Below the panel one line repeats the verdict, because a failed check is an error for Python: **Run All** stops there. When no known
# mistake fits, the first sentence names the difference itself. It may be an exception, a wrong shape or dtype, a value, or an input
# that your code has overwritten.

# %% [markdown]
# ### Exercise 0.2 · Mend it
# ●○○ · 2 min · needs: nothing
#
# Now write the function without the bug.
#
# <details><summary>Hint 1: what to think about</summary>
#
# The axis you name is the one that disappears. x has shape (samples, features); which of the two must be gone afterwards?
#
# </details>

# %%
# exercise: row_means

# %%
x = np.array([[1.0, 2.0, 6.0], [4.0, 4.0, 4.0]])  # (2, 3)
print("samples:", row_means(x), "  features:", hasty_row_means(x))

# %% [markdown]
# ## Progress and grading
#
# In a terminal, `python3 start.py check 02` runs all checks of chapter 2 at once, with the panels as text, and
# `python3 start.py progress` lists what you have passed so far. That list stays on your computer.
#
# The check tries a few fixed cases and teaches; it does not grade. If you take the course in a class, you hand in the notebook, and your
# code meets **new** cases of the same kind. So write what the docstring says, not what the examples show. Cells that train for show
# are skipped when grading; answers in words are read by a person, with a rubric.
#
# Keep the locked cells and do not delete the cell of an exercise. Add as many cells of your own as you like.

# %%
progress.show()

# %% [markdown]
# ## Help
#
# * Something does not start or import: `python3 start.py doctor` looks at the computer and says what to do.
# * A result looks impossible: **Kernel → Restart Kernel and Run All Cells**. Variables of deleted cells live on until then.
# * A cell never ends: the ■ button, or press I twice.
# * A check says something you cannot follow: call your function with the inputs under "Called" and print along the way.

# %% [markdown]
# ## Keep your work
#
# JupyterLab saves into the notebooks in the folder `course`. Press **Ctrl-S** before you close it.
#
# * **You cloned the repository.** Work on a branch of your own: `git switch -c mine` once, and after each session
#   `git commit -a -m "chapter 2"`. New chapters come with `git pull --rebase origin main`.
# * **You have a zip.** Unpack a new one into a new folder, and copy your notebooks into its `course`.
#
# To start a chapter afresh, keep your version under another name and take the original back with
# `git checkout main -- course/02_perceptron.ipynb`, or out of the zip.

# %% [markdown]
# ## The keyboard
#
# | key | what it does |
# | --- | --- |
# | Shift-Enter, Ctrl-Enter | run the cell and go on; run it and stay |
# | Enter, Esc | into the cell to edit; out of it again |
# | A, B (after Esc) | new cell above, below |
# | D D, Z (after Esc) | delete the cell, undo that |
# | I I (after Esc) | interrupt |
# | Tab, Shift-Tab | complete a name; show its documentation |
# | Ctrl-S | save |

# %% [markdown]
# ## Words and letters
#
# A term is **bold** (粗体) where it is defined, with its Chinese once; afterwards only the English is used. Five Chinese lecture decks are
# the course's sources, called A to E. Where they disagree, or a numerical check refutes them, the chapter says so under "Sources and
# errata".
#
# One notation holds throughout:
#
# | symbol | meaning | shape |
# | --- | --- | --- |
# | `x` | inputs; rows are samples | (batch, inputs) |
# | `W`, `b` | weights, bias | (inputs, outputs), (outputs,) |
# | `z = xW + b` | what a layer adds up | (batch, outputs) |
# | `h = f(z)` | what it passes on | as z |
# | `logits`, `y_hat`, `loss` | scores, predictions, mean over the batch | (batch, classes), same, a number |
# | `grad_W` | ∂loss/∂W, for every letter alike | as W |
# | `x` in sequences | with time | (batch, time, features) |
# | attention weights | who looks at whom | (batch, heads, queries, keys) |
# | V, t, k | size of the vocabulary, step, layer | numbers |

# %% [markdown]
# Both checks green? Then you know all there is to know about the machinery. Chapter 1 begins with the arrays that everything else is
# made of; if you are at home with NumPy's shapes and broadcasting, begin with chapter 2.
