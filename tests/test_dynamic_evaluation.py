"""Dynamic evaluation: a rate of 0 is plain judging, a step is the step written out, no word helps to judge itself."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from small_language import small_corpus
from torch.nn import functional as F

from course.kit.language_models import evaluate, train
from solutions.dynamic_evaluation import dynamic_log_probabilities
from solutions.neural_lm import ElmanLM

CORPUS = small_corpus()


@pytest.fixture(scope="module")
def model() -> ElmanLM:
    torch.manual_seed(0)
    one = ElmanLM(60, features=16)
    train(one, CORPUS, epochs=1, batch=16, time=10, rate=1e-2, sampled=None, progress=False)
    return one


def test_without_a_rate_it_is_plain_judging_and_the_model_stays(model: ElmanLM) -> None:
    before = [p.detach().clone() for p in model.parameters()]
    said = dynamic_log_probabilities(model, CORPUS.test, rate=0.0, piece=13)
    assert len(said) == len(CORPUS.test)
    assert -said.mean() == pytest.approx(evaluate(model, CORPUS.test).loss, rel=1e-6)
    dynamic_log_probabilities(model, CORPUS.test[:100], rate=1.0)
    for p, was in zip(model.parameters(), before, strict=True):
        torch.testing.assert_close(p, was, rtol=0, atol=0)


def test_two_pieces_written_out(model: ElmanLM) -> None:
    """The second piece is judged by θ − η g + λ (θ₀ − (θ − η g)), with the state that the first left."""
    text = CORPUS.test[:8]
    said = dynamic_log_probabilities(model, text, rate=0.5, back=0.25, piece=4)
    one = ElmanLM(60, features=16)
    one.load_state_dict(model.state_dict())
    one.eval()
    words = torch.from_numpy(text.astype(np.int64))
    read = torch.cat([words.new_tensor([0]), words[:-1]])
    features, state = one(read[None, :4])
    F.cross_entropy(one.output(features[0]), words[:4]).backward()
    with torch.no_grad():
        for p in one.parameters():
            assert p.grad is not None
            p -= 0.75 * 0.5 * p.grad
        features, _ = one(read[None, 4:], state.detach())
        wanted = torch.log_softmax(one.output(features[0]), dim=1)[range(4), words[4:]]
    np.testing.assert_allclose(said[4:], wanted.numpy(), rtol=1e-5)


def test_a_word_does_not_help_to_judge_itself_or_what_came_before(model: ElmanLM) -> None:
    text = CORPUS.test[:60].copy()
    before = dynamic_log_probabilities(model, text, rate=0.3, piece=10)
    text[40:] = 7
    np.testing.assert_array_equal(dynamic_log_probabilities(model, text, rate=0.3, piece=10)[:40], before[:40])


def test_it_gets_used_to_another_text(model: ElmanLM) -> None:
    """On a text that says the same words again and again, it is less and less surprised."""
    text = np.tile(np.array([3, 50, 20, 41], dtype=np.int32), 50)
    still = dynamic_log_probabilities(model, text, rate=0.0)
    used = dynamic_log_probabilities(model, text, rate=0.5)
    assert used[-40:].mean() > still[-40:].mean() + 1
