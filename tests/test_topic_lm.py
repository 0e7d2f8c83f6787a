"""Topics are found where text has topics, and the network that hears them carries them from piece to piece."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from small_language import small_corpus

from course.kit.language_models import evaluate, train
from solutions.topic_lm import TopicLM
from solutions.topics import lda_topics


def two_topics(documents: int = 60, length: int = 40) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Documents about words 0–4 or about words 5–9, and word 10 in both."""
    rng = np.random.default_rng(0)
    about = rng.integers(0, 2, size=documents)
    words = np.where(rng.random((documents, length)) < 0.2, 10, rng.integers(0, 5, size=(documents, length)))
    words = np.where(words == 10, 10, words + 5 * about[:, None])
    return np.repeat(np.arange(documents), length), words.ravel(), about


def test_topics_are_those_the_text_was_made_of() -> None:
    documents, words, _ = two_topics()
    found = lda_topics(documents, words, vocabulary=12, topics=2, seed=1)
    assert found.shape == (2, 12)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)
    first, second = sorted(found, key=lambda topic: -topic[:5].sum())
    assert first[:5].sum() > 0.75
    assert first[5:10].sum() < 0.01
    assert second[5:10].sum() > 0.75
    assert second[:5].sum() < 0.01
    assert (found[:, 11] > 0).all()  # a word that never came


def test_a_round_raises_what_the_topics_make_of_the_text() -> None:
    """The bound of variational inference, up to what does not depend on it: ln P(word | mixture) rises."""
    documents, words, _ = two_topics()

    def nats(rounds: int) -> float:
        topics = lda_topics(documents, words, vocabulary=11, topics=2, rounds=rounds, seed=3)
        mix = np.zeros((60, 2))
        np.add.at(mix, documents, topics[:, words].T / topics[:, words].T.sum(axis=1, keepdims=True))
        mix /= mix.sum(axis=1, keepdims=True)
        return float(np.log(np.einsum("nk,kn->n", mix[documents], topics[:, words])).mean())

    assert nats(2) < nats(8) < nats(30) + 1e-9


def model(memory: float = 0.9) -> TopicLM:
    torch.manual_seed(0)
    topics = np.random.default_rng(0).dirichlet(np.full(60, 0.3), size=5).astype(np.float32)
    return TopicLM(topics, features=12, memory=memory).eval()


def test_the_context_is_the_fading_sum_written_out() -> None:
    one, rng = model(), np.random.default_rng(1)
    tokens = torch.from_numpy(rng.integers(0, 60, size=(3, 7)))
    before = torch.randn(3, 5, generator=torch.Generator().manual_seed(1))
    context, wanted = before, []
    for word in tokens.T:
        context = 0.9 * context + 0.1 * one.about(word)
        wanted.append(context)
    torch.testing.assert_close(one.slow_context(tokens, before), torch.stack(wanted, dim=1), rtol=1e-5, atol=1e-6)


def test_a_text_in_pieces_is_the_text_as_a_whole() -> None:
    one = model()
    tokens = torch.from_numpy(np.random.default_rng(2).integers(0, 60, size=(2, 11)))
    whole, _ = one(tokens)
    first, state = one(tokens[:, :4])
    second, _ = one(tokens[:, 4:], state)
    torch.testing.assert_close(torch.cat([first, second], dim=1), whole, rtol=1e-5, atol=1e-5)


def test_no_word_is_read_before_it_comes() -> None:
    one = model()
    tokens = torch.from_numpy(np.random.default_rng(3).integers(0, 60, size=(2, 9)))
    changed = tokens.clone()
    changed[:, 5:] = 1
    torch.testing.assert_close(one(changed)[0][:, :5], one(tokens)[0][:, :5], rtol=0, atol=0)


@pytest.mark.parametrize("sampled", [None, 20])
def test_it_learns_with_all_words_or_some_in_the_softmax_and_its_topics_stay(sampled: int | None) -> None:
    corpus, one = small_corpus(), model()
    about = one.about.weight.clone()
    before = evaluate(one, corpus.test, end=0).perplexity
    train(one, corpus, epochs=8, batch=8, time=10, rate=2e-2, sampled=sampled, progress=False)
    assert evaluate(one, corpus.test, end=0).perplexity < 0.6 * before
    torch.testing.assert_close(one.about.weight, about, rtol=0, atol=0)


def test_no_word_and_no_topic_are_refused() -> None:
    with pytest.raises(ValueError, match="topics need a word"):
        lda_topics(np.array([], dtype=int), np.array([], dtype=int), 5)
    with pytest.raises(ValueError, match="topics need a word"):
        lda_topics(np.zeros(2, dtype=int), np.zeros(2, dtype=int), 5, topics=0)
