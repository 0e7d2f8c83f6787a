"""Misprints of the decks in formulas whose chapters come later; those of chapters 02 to 06 are tested beside their chapters."""

from __future__ import annotations

import numpy as np
import torch

from solutions.attention import attention

RNG = np.random.default_rng(0)


def test_deck_c_softmax_regression_must_sum_over_the_index_of_x() -> None:
    """Printed: z_i = Σ_j w_ij x_k + b. True: z_i = Σ_j w_ij x_j + b_i."""
    layer = torch.nn.Linear(4, 3, dtype=torch.float64)
    w, b, x = layer.weight.detach().numpy(), layer.bias.detach().numpy(), RNG.normal(size=4)
    wanted = layer(torch.tensor(x)).detach().numpy()
    np.testing.assert_allclose([sum(w[i, j] * x[j] for j in range(4)) + b[i] for i in range(3)], wanted, rtol=1e-12)
    for k in range(4):
        assert not np.allclose([sum(w[i, j] * x[k] for j in range(4)) + b[i] for i in range(3)], wanted)


def test_deck_b_gru_has_one_update_gate_under_two_names() -> None:
    """Printed: h_t = (1 − u_t)h_{t−1} + z_t h̃_t. With u = z it is a GRU; with two gates a constant state would not stay."""
    cell = torch.nn.GRUCell(2, 3, dtype=torch.float64)
    x, h = torch.tensor(RNG.normal(size=(1, 2))), torch.tensor(RNG.normal(size=(1, 3)))
    reset_x, update_x, new_x = (x @ cell.weight_ih.T + cell.bias_ih).chunk(3, dim=1)
    reset_h, update_h, new_h = (h @ cell.weight_hh.T + cell.bias_hh).chunk(3, dim=1)
    candidate = torch.tanh(new_x + torch.sigmoid(reset_x + reset_h) * new_h)
    update = 1 - torch.sigmoid(update_x + update_h)  # torch's gate keeps, the deck's renews
    torch.testing.assert_close((1 - update) * h + update * candidate, cell(x, h), rtol=1e-12, atol=1e-14)
    other = torch.sigmoid(torch.tensor(RNG.normal(size=(1, 3))))
    assert not torch.allclose((1 - update) * h + other * candidate, cell(x, h))
    assert not torch.allclose(
        (1 - update) * torch.ones(1, 3) + other * torch.ones(1, 3), torch.ones(1, 3, dtype=torch.float64)
    )


def adam(gradients: np.ndarray, inside: bool, lr: float = 0.1, eps: float = 1e-3) -> np.ndarray:
    """Adam's path from zero, with ε inside the root (deck E) or outside it (Kingma & Ba)."""
    w, m, v, path = np.zeros(3), np.zeros(3), np.zeros(3), []
    for t, grad in enumerate(gradients, 1):
        m, v = 0.9 * m + 0.1 * grad, 0.999 * v + 0.001 * grad**2
        m_hat, v_hat = m / (1 - 0.9**t), v / (1 - 0.999**t)
        w = w - lr * m_hat / (np.sqrt(v_hat + eps) if inside else np.sqrt(v_hat) + eps)
        path.append(w)
    return np.array(path)


def test_deck_e_adam_has_its_epsilon_outside_the_root() -> None:
    gradients = RNG.normal(size=(20, 3)) * 0.01
    parameter = torch.nn.Parameter(torch.zeros(3, dtype=torch.float64))
    optimiser, path = torch.optim.Adam([parameter], lr=0.1, eps=1e-3), []
    for grad in gradients:
        parameter.grad = torch.tensor(grad)
        optimiser.step()
        path.append(parameter.detach().numpy().copy())
    np.testing.assert_allclose(adam(gradients, inside=False), np.array(path), rtol=1e-10)
    assert np.abs(adam(gradients, inside=True) - np.array(path)).max() > 0.01


def test_deck_a_attention_is_one_softmax_over_all_places() -> None:
    """Printed: hᵢ = SelfAtt(eᵢ, e₃) for each i, then FNN([h₀, h₁, h₂, e₃]). True: one mean of all, and a network of it."""
    e, other = torch.tensor(RNG.normal(size=(4, 6))), torch.tensor(RNG.normal(size=6))
    attend = torch.nn.functional.scaled_dot_product_attention
    for key in e:
        for query in (e[3], other):  # one key: the softmax is 1, and who asks makes no difference
            torch.testing.assert_close(attend(query[None], key[None], key[None]), key[None])
    layer = torch.nn.TransformerEncoderLayer(6, 2, 8, dropout=0.0, batch_first=True, dtype=torch.float64)
    assert layer.linear1.in_features == 6  # one place wide, however many there are
    assert [torch.cat(list(e[:t])).numel() for t in (2, 3, 4)] == [12, 18, 24]
    weights = torch.softmax(e @ e[3] / 6**0.5, dim=0)
    torch.testing.assert_close(attend(e[3:], e, e)[0], weights @ e, rtol=1e-12, atol=1e-13)


def test_deck_a_queries_and_keys_that_are_the_same_give_symmetric_scores() -> None:
    """Said: Q, K and V are all the same. Then "it" looks at "dog" exactly as "dog" looks at "it"; with W_Q and W_K it need not."""
    x, w_q, w_k = RNG.normal(size=(5, 4)), RNG.normal(size=(4, 4)), RNG.normal(size=(4, 4))
    same, apart = x @ x.T, (x @ w_q) @ (x @ w_k).T
    np.testing.assert_allclose(same, same.T)
    assert np.abs(apart - apart.T).max() > 1


def test_deck_c_one_softmax_attends_to_two_words_and_mixes_them() -> None:
    """Said: it cannot attend to several inputs at once. It can; but which of them had which value cannot be seen any more."""
    query, keys = np.array([[2.0, 2.0]]), np.array([[3.0, 0.0], [0.0, 3.0], [-3.0, -3.0]])
    values, every = np.array([[1.0, 0.0], [0.0, 1.0], [5.0, 5.0]]), np.ones((1, 3), dtype=bool)
    y, weights = attention(query, keys, values, every)
    np.testing.assert_allclose(weights, [[0.5, 0.5, 0.0]], atol=1e-3)
    np.testing.assert_allclose(attention(query, keys, values[[1, 0, 2]], every)[0], y, rtol=1e-12)
    apart = [
        attention(query * head, keys, values, every)[0] for head in ([[1, 0]], [[0, 1]])
    ]  # two heads tell them apart
    np.testing.assert_allclose(np.concatenate(apart), values[:2], atol=0.1)
