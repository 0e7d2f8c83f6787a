# ---
# jupyter:
#   nnlm:
#     title: Optimisers and the craft of training
#     title_zh: 优化器与训练技巧
#     points: 24
# ---

# %%
import numpy as np

# %%
# given: Optimiser

# %%
# exercise: minibatches

# %%
# exercise: Momentum

# %%
# exercise: Adam

# %%
# exercise: initial_weights

# %%
# exercise: clip_by_global_norm

# %%
# exercise: Dropout

# %%
# exercise: EarlyStopping

# %%
# exercise: asynchronous_descent

# %% [markdown]
# explanation: what_adam_divides_by
