"""Misprints of the decks in formulas whose chapters come later; those of chapters 02 to 06 are tested beside their chapters."""

from __future__ import annotations

import numpy as np
import torch

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
