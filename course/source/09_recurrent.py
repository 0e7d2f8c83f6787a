# ---
# jupyter:
#   nnlm:
#     title: Recurrent language models
#     title_zh: 循环神经网络
#     points: 27
# ---

# %% [markdown]
# # 9

# %%
# exercise: rnn_step_backward

# %%
# exercise: rnn_forward

# %%
# exercise: rnn_backward

# %%
# exercise: masked_lm_loss

# %%
# exercise: gradient_norms

# %%
# exercise: word_probabilities

# %%
# exercise: bidirectional_rnn

# %%
# exercise: train_rnn_lm

# %% [markdown]
# explanation: why_gradients_vanish
