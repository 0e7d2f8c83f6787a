"""A model beside a cache and an n-gram model: what is reported is the mixture written out, chosen on the validation text."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from small_language import WORDS, small_corpus

from autograder import beside, language_models
from autograder.language_models import Request, TrainingError
from course.kit import corpora
from course.kit.language_models import evaluate, read, train
from solutions.neural_cache import cache_probabilities
from solutions.neural_lm import ElmanLM
from solutions.ngrams import KneserNey

CORPUS = small_corpus()


@pytest.fixture(scope="module")
def model() -> ElmanLM:
    torch.manual_seed(0)
    one = ElmanLM(WORDS, features=16)
    train(one, CORPUS, epochs=2, batch=16, time=10, rate=1e-2, sampled=None, progress=False)
    return one


@pytest.mark.parametrize("piece", [7, 256, 5000])
def test_what_is_read_is_what_is_judged(model: ElmanLM, piece: int) -> None:
    features, said = read(model, CORPUS.test, piece=piece)
    assert features.shape == (len(CORPUS.test), 16)
    assert -said.mean() == pytest.approx(evaluate(model, CORPUS.test).loss, rel=1e-6)
    logits = features @ model.output.weight.detach().numpy().T + model.output.bias.detach().numpy()
    logits -= np.log(np.exp(logits - logits.max(axis=1, keepdims=True)).sum(axis=1, keepdims=True)) + logits.max(
        axis=1, keepdims=True
    )
    np.testing.assert_allclose(said, logits[np.arange(len(said)), CORPUS.test], rtol=1e-4)


def test_every_way_is_what_it_says(model: ElmanLM) -> None:
    found = beside.judge(model, CORPUS, ("kn5", "cache", "dynamic"))
    features, said = read(model, CORPUS.test)
    p = np.exp(said)
    window, theta = found["chosen"]["cache"]
    cached = cache_probabilities(features, CORPUS.test, window, theta)
    counted = np.exp(KneserNey(5).fit(CORPUS.train, WORDS).log_probabilities(CORPUS.test))
    for label, parts in {"cache": [p, cached], "kn5": [p, counted], "cache_kn5": [p, cached, counted]}.items():
        shares = np.array(found["chosen"][f"shares_{label}"])
        assert shares.sum() == pytest.approx(1, abs=1e-3)
        mixed = np.exp(-np.log(shares @ np.stack(parts)).mean())
        assert found[f"test_ppl_{label}"] == pytest.approx(mixed, rel=1e-3)
    assert found["test_ppl_kn5"] < np.exp(-said.mean())
    assert found["test_ppl_cache_kn5"] <= found["test_ppl_cache"] * 1.01
    assert found["test_ppl_dynamic"] != pytest.approx(np.exp(-said.mean()), rel=1e-9)


def test_nothing_is_chosen_on_the_test_text(model: ElmanLM) -> None:
    other = corpora.Corpus("small", CORPUS.vocabulary, CORPUS.train, CORPUS.valid, CORPUS.test[::-1].copy())
    one, two = (beside.judge(model, corpus, ("cache", "kn5"))["chosen"] for corpus in (CORPUS, other))
    assert one == two


@pytest.mark.parametrize("name", ["rnn_lda", "rhn"])
def test_the_further_models_are_trained_by_the_same_command(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpora, "load", lambda *_, **__: CORPUS)
    settings = {"features": 12, "rate": 2e-2, "batch": 8, "time": 10, "dropout": 0.0}
    if name == "rnn_lda":
        settings["topics"] = 4
    result = language_models.run(Request(name, "small", epochs=4, threads=1, settings=settings, also=("kn5",)), "test")
    assert result["test_ppl_kn5"] < result["test_ppl"] < 0.75 * WORDS
    assert result["tokens"] == len(CORPUS.test)
    assert result["seconds_in_all"] >= result["seconds"]
    lines = language_models.to_lines(result)
    assert any("mixed with a Kneser–Ney 5-gram model: test perplexity" in line for line in lines)


def test_what_there_is_not_is_refused() -> None:
    with pytest.raises(TrainingError, match="--also is one of kn5, cache, dynamic, not 'luck'"):
        Request("rnn", "king_james", also=("luck",)).check()
    with pytest.raises(TrainingError, match="goes with a neural model"):
        Request("kn5", "king_james", also=("cache",)).check()
