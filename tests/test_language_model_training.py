"""The training engine of language models: its softmax, its judging, its text, and runs that are killed, shared or refused."""

from __future__ import annotations

import io
import itertools
import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from small_language import WORDS, small_corpus
from torch import nn
from typer.testing import CliRunner

from autograder import cli, language_models
from course.kit import descent
from course.kit import language_models as engine
from course.kit.corpora import Corpus
from course.kit.count_vectors import count_vectors
from course.kit.language_models import candidates, choose, evaluate, generate, log_inclusion, perplexity, train
from course.kit.training import CheckpointError, History, load
from solutions.feedforward_lm import context_windows, feedforward_loss
from solutions.neural_lm import ElmanLM, FeedForwardLM

ROOT = Path(__file__).parents[1]
CORPUS = small_corpus()
SETTINGS = {
    "corpus": 0, "model": 0, "limits": 0, "batch": 8, "time": 5, "rate": 1e-2, "clip": 0.5, "sampled": 10,
    "decay": 0.0, "optimiser": "adam", "averaged": 0.0, "counted": False, "precision": "float32", "seed": 0, "processes": 1,
}  # fmt: skip


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    """Two threads wait for each other longer than such small models compute, and may add in another order."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def elman(dropout: float = 0.0, **more: Any) -> ElmanLM:
    torch.manual_seed(1)
    return ElmanLM(WORDS, 16, dropout, **more)


def feed_forward(dropout: float = 0.0, **more: Any) -> FeedForwardLM:
    torch.manual_seed(1)
    return FeedForwardLM(WORDS, **{"order": 4, "embedding": 8, "hidden": 16, "dropout": dropout, **more})


MODELS = {
    "elman": elman,
    "elman of two layers, untied": lambda dropout=0.0: elman(dropout, tied=False, layers=2),
    "feed-forward": feed_forward,
    "direct": lambda dropout=0.0: feed_forward(dropout, direct=True),
    "tied": lambda dropout=0.0: feed_forward(dropout, tied=True, embedding=16),
}
each_model = pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)


def learner(model: nn.Module, corpus: Corpus = CORPUS, **changes: Any) -> Any:
    made = engine._WordLearner(model, corpus, {**SETTINGS, **changes})
    made.plan = [0, 1000]
    made.begin_at_unigram()
    return made


# ---- the sampled softmax -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("draws", "certain"), [(1, []), (2, [0]), (3, [1, 3]), (3, [])])
def test_the_sampled_denominator_is_the_full_one_on_average(draws: int, certain: list[int]) -> None:
    """Every sequence of draws there is, with its probability: the expectation is exact."""
    q = np.array([0.5, 0.25, 0.15, 0.1])
    logits = torch.tensor([1.5, -2.0, 0.3, 2.0], dtype=torch.float64)
    held = torch.zeros(4, dtype=torch.bool)
    held[certain] = True
    corrections = torch.from_numpy(log_inclusion(q, draws))
    expected, there = 0.0, np.zeros(4)
    for drawn in itertools.product(range(4), repeat=draws):
        words, correction = candidates(held, torch.tensor(drawn), corrections)
        probability = float(np.prod(q[list(drawn)]))
        expected += probability * float(torch.exp(logits[words] - correction).sum())
        there[words.numpy()] += probability
    assert math.isclose(expected, float(torch.exp(logits).sum()), rel_tol=1e-13)
    assert np.allclose(there, np.where(held, 1.0, np.exp(log_inclusion(q, draws))), rtol=1e-13)


def test_the_gradient_of_the_denominator_is_unbiased_too() -> None:
    q, draws = np.array([0.6, 0.3, 0.1]), 2
    logits = torch.tensor([0.5, -1.0, 1.0], dtype=torch.float64, requires_grad=True)
    mean = torch.zeros(3, dtype=torch.float64)
    for drawn in itertools.product(range(3), repeat=draws):
        words, correction = candidates(
            torch.tensor([True, False, False]), torch.tensor(drawn), torch.from_numpy(log_inclusion(q, draws))
        )
        [grad] = torch.autograd.grad(torch.exp(logits[words] - correction).sum(), logits)
        mean += float(np.prod(q[list(drawn)])) * grad
    assert torch.allclose(mean, torch.exp(logits.detach()), rtol=1e-12)


def test_how_probably_a_word_is_drawn_keeps_its_digits_for_rare_words() -> None:
    q = np.array([1e-12, 1 - 1e-12])
    assert math.isclose(log_inclusion(q, 1000)[0], math.log(1e-9), rel_tol=1e-9)
    assert log_inclusion(np.array([0.0, 1.0]), 5).tolist() == [-math.inf, 0.0]


def test_what_is_drawn_follows_the_frequencies_to_the_power_three_quarters() -> None:
    made = learner(elman(), sampled=10)
    counts = np.bincount(CORPUS.train, minlength=WORDS) ** 0.75
    assert np.allclose(np.diff(made.cumulative, prepend=0), counts / counts.sum())
    seen = np.zeros(WORDS)
    nothing = torch.zeros((1, 0), dtype=torch.int64)
    for step in range(3000):
        words, _ = made.draw(step, nothing, nothing, None)
        seen[words.numpy()] += 1
    share = np.exp(log_inclusion(counts / counts.sum(), 10))
    share[0] = 1.0  # <eos> is always there
    assert np.abs(seen / 3000 - share).max() < 4 * 0.5 / math.sqrt(3000)


@each_model
def test_a_step_with_all_words_for_candidates_is_a_step_with_the_full_softmax(make: Any) -> None:
    sampled, full = learner(make(), sampled=20_000), learner(make(), sampled=None)
    for step in range(4):
        words, correction = sampled.draw(step, *sampled.words(0, step), None)
        assert len(words) == len(torch.unique(CORPUS_TENSOR))
        assert float(correction.abs().max()) < 1e-6
        assert math.isclose(sampled.step(step), full.step(step), rel_tol=1e-5)


CORPUS_TENSOR = torch.from_numpy(CORPUS.train)


@each_model
def test_words_that_are_no_candidates_stay_as_they_are(make: Any) -> None:
    made = learner(make(), sampled=3, batch=2, time=2)
    before = {name: table.detach().clone() for name, table in made.tables.items()}
    words, _ = made.draw(0, *made.words(0, 0), None)
    made.step(0)
    others = torch.ones(WORDS, dtype=torch.bool)
    others[words] = False
    assert others.any()
    for name, table in made.tables.items():
        assert torch.equal(table[others], before[name][others])
        assert not torch.equal(table[words], before[name][words])


def test_rows_are_changed_as_adam_changes_them() -> None:
    torch.manual_seed(0)
    mine, theirs = nn.Parameter(torch.randn(5, 3)), None
    theirs = nn.Parameter(mine.detach().clone())
    rows, adam = descent.RowAdam([mine]), torch.optim.Adam([theirs], lr=0.01)
    some = torch.tensor([0, 2, 3])
    for _ in range(30):
        grad = torch.randn(5, 3)
        rows.step([grad[some]], some, 0.01)
        theirs.grad = grad
        adam.step()
    assert torch.allclose(mine[some], theirs[some], atol=1e-6)
    rows.step([torch.randn(5, 3)], None, 0.01)
    # A row's first step is as large as the rate, whatever the others have done before.
    assert not torch.allclose(mine[[1, 4]], theirs[[1, 4]])


def test_a_rows_first_step_is_as_large_as_the_rate() -> None:
    table = nn.Parameter(torch.zeros(3, 2))
    rows = descent.RowAdam([table])
    for _ in range(50):
        rows.step([torch.randn(1, 2)], torch.tensor([0]), 0.01)
    rows.step([torch.tensor([[5.0, -0.001]])], torch.tensor([2]), 0.01)
    assert torch.allclose(table[2], torch.tensor([-0.01, 0.01]), rtol=1e-4)
    assert torch.equal(table[1], torch.zeros(2))


# ---- what is read ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("batch", "time"), [(8, 5), (6, 7), (1, 40), (40, 3)])
def test_an_epoch_has_every_word_once_as_a_target_after_the_word_before_it(batch: int, time: int) -> None:
    corpus = Corpus("numbers", CORPUS.vocabulary, np.arange(240, dtype=np.int32), CORPUS.valid, CORPUS.test)
    made = engine._WordLearner.__new__(engine._WordLearner)
    made.settings, made.batch, made.time = {"seed": 4}, batch, time
    made.rows, made.per_epoch = engine._rows(240, batch, time)
    made.text, made.where = torch.from_numpy(corpus.train.astype(np.int64)), torch.device("cpu")
    starts = set()
    for epoch in range(3):
        pieces = [made.words(epoch, place) for place in range(made.per_epoch)]
        targets = torch.cat([target for _, target in pieces], dim=1)
        inputs = torch.cat([given_ for given_, _ in pieces], dim=1)
        assert sorted(targets.flatten().tolist()) == list(range(240))
        assert torch.equal(inputs, (targets - 1) % 240)
        assert torch.equal(inputs[:, 1:], targets[:, :-1])
        assert made.tokens_until(made.per_epoch) == 240
        starts.add(int(targets[0, 0]))
    assert len(starts) == 3


class Watched(nn.Module):
    """Counts what it has read, in its state; says so in its features."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(WORDS, 4)
        self.output = nn.Linear(4, WORDS)
        self.heard: list[Any] = []

    def forward(self, tokens: torch.Tensor, state: Any = None) -> tuple[torch.Tensor, Any]:
        self.heard.append(state)
        count = torch.zeros(len(tokens)) if state is None else state[0]
        last = (tokens if state is None else torch.cat([state[1][0], tokens], dim=1))[:, -2:]
        x = self.embedding(tokens)
        return x, (count + tokens.shape[1] + 0 * x.sum(), (last,))


def test_the_state_is_carried_from_step_to_step_and_not_from_epoch_to_epoch() -> None:
    model = Watched()
    made = learner(model, sampled=10)
    for step in range(3):
        made.step(step)
    assert model.heard[0] is None
    for step, (count, _) in enumerate(model.heard[1:], 1):
        assert count.tolist() == [5.0 * step] * 8
        assert not count.requires_grad
    # Words in a state keep their meaning, although a step knows its candidates by other numbers.
    assert torch.equal(made.state[1][0], made.words(0, 2)[0][:, -2:])
    made.step(made.per_epoch)
    assert model.heard[-1] is None


# ---- judging -----------------------------------------------------------------------------------------------------------
def test_a_recurrent_models_perplexity_is_that_of_a_computation_by_hand() -> None:
    model, text = elman(0.5).double(), CORPUS.test[:83]
    w, r = {name: p.detach().numpy() for name, p in model.named_parameters()}, "recurrent."
    h, nats = np.zeros(16), 0.0
    for before, word in zip([0, *text[:-1]], text, strict=True):
        x = w["embedding.weight"][before]
        h = np.tanh(w[r + "weight_ih_l0"] @ x + w[r + "weight_hh_l0"] @ h + w[r + "bias_ih_l0"] + w[r + "bias_hh_l0"])
        logits = w["embedding.weight"] @ h + w["output.bias"]
        nats -= logits[word] - np.log(np.exp(logits).sum())
    judged = evaluate(model.float(), text)
    assert judged.tokens == 83
    assert math.isclose(judged.perplexity, math.exp(nats / 83), rel_tol=1e-5)


@pytest.mark.parametrize("direct", [False, True])
@pytest.mark.parametrize("order", [2, 3, 6])
def test_a_feed_forward_models_perplexity_is_that_of_chapter_08(order: int, direct: bool) -> None:
    model, text = feed_forward(0.5, order=order, direct=direct), CORPUS.test[:200]
    w = {name: p.detach().double().numpy() for name, p in model.named_parameters()}
    output = w["output.weight"].T
    contexts = context_windows(text.astype(np.int64), order)
    loss = feedforward_loss(
        contexts, text, w["embedding.weight"], w["hidden.weight"].T, w["hidden.bias"], output[:16], w["output.bias"],
        output[16:] if direct else None,
    )  # fmt: skip
    assert math.isclose(perplexity(model, text), math.exp(loss), rel_tol=1e-5)


@each_model
@pytest.mark.parametrize("piece", [1, 7, 5000])
def test_judging_does_not_depend_on_the_pieces(make: Any, piece: int) -> None:
    model = make(0.3).train()
    whole = evaluate(model, CORPUS.test[:300])
    found = evaluate(model, CORPUS.test[:300], piece=piece)
    assert math.isclose(found.nats, whole.nats, rel_tol=1e-6)
    assert (found.tokens, model.training) == (300, True)


def test_judging_skips_no_word() -> None:
    class Short(Watched):
        def forward(self, tokens: torch.Tensor, state: Any = None) -> tuple[torch.Tensor, Any]:
            features, state = super().forward(tokens, state)
            return features[:, 1:], None

    with pytest.raises(ValueError, match="instead of"):
        evaluate(Short(), CORPUS.test)
    for text in (CORPUS.test[:0], CORPUS.test[None]):
        with pytest.raises(ValueError, match="at least one"):
            evaluate(elman(), text)


def test_a_model_that_knows_nothing_has_the_vocabulary_for_a_perplexity() -> None:
    model = feed_forward()
    nn.init.zeros_(model.output.weight)
    nn.init.zeros_(model.output.bias)
    assert math.isclose(perplexity(model, CORPUS.test), WORDS, rel_tol=1e-5)
    assert engine.Judged(1e6, 1).perplexity == math.inf


# ---- text --------------------------------------------------------------------------------------------------------------
weights = hnp.arrays(np.float64, st.integers(1, 12), elements=st.integers(0, 6)).filter(lambda w: w.sum() > 0)


@settings(max_examples=150, deadline=None)
@given(weights, st.integers(1, 14), st.floats(0.05, 1.0), st.floats(0.2, 4.0))
def test_what_stays_is_what_the_definitions_say(w: np.ndarray, k: int, p: float, temperature: float) -> None:
    probabilities = w / w.sum()
    heated = probabilities ** (1 / temperature) / (probabilities ** (1 / temperature)).sum()
    ranked = sorted(range(len(w)), key=lambda word: (-probabilities[word], word))
    kept = ranked[:k]
    inside, total = [], 0.0
    for word in kept:
        if inside and total >= p - 1e-12:
            break
        inside.append(word)
        total += heated[word] / heated[kept].sum()
    expected = np.zeros(len(w))
    expected[inside] = heated[inside] / heated[inside].sum()
    assert np.allclose(choose(probabilities, temperature, k, p), expected, atol=1e-9)


def test_choosing_by_example() -> None:
    p = np.array([0.1, 0.4, 0.2, 0.3])
    assert np.allclose(choose(p), p)
    assert choose(p, 0).tolist() == [0, 1, 0, 0]
    assert np.allclose(choose(p, top_k=2), [0, 4 / 7, 0, 3 / 7])
    assert np.allclose(choose(p, top_p=0.7), [0, 4 / 7, 0, 3 / 7])
    assert np.allclose(choose(p, top_p=0.71), [0, 4 / 9, 2 / 9, 3 / 9])
    assert np.allclose(choose(p, 0.5), p**2 / (p**2).sum())
    for wrong in ({"temperature": -1}, {"top_k": 0}, {"top_p": 0.0}, {"top_p": 1.5}):
        with pytest.raises(ValueError, match="must be"):
            choose(p, **wrong)


def test_written_words_follow_the_models_own_probabilities() -> None:
    """A greedy text by hand; and a million words of one that has no memory."""
    model = elman()
    h, word, expected = None, 0, []
    with torch.no_grad():
        for _ in range(12):
            features, h = model(torch.tensor([[word]]), h)
            word = int(model.output(features[0, 0]).argmax())
            expected.append(CORPUS.vocabulary.words[word])
    model.train()
    assert generate(model, CORPUS.vocabulary, length=12, temperature=0) == expected
    assert model.training
    nn.init.zeros_(model.output.weight)
    written = CORPUS.vocabulary.encode(generate(model, CORPUS.vocabulary, length=4000, seed=5))
    shares = torch.softmax(model.output.bias, 0).detach().numpy()
    assert np.abs(np.bincount(written, minlength=WORDS) / 4000 - shares).max() < 4 * 0.5 / math.sqrt(4000)


def test_a_prompt_is_read_and_the_seed_decides() -> None:
    model, vocabulary = elman(), CORPUS.vocabulary
    nn.init.normal_(model.output.weight)
    said = generate(model, vocabulary, ["w3", "w4"], 30, seed=1)
    assert len(said) == 30
    assert said == generate(model, vocabulary, ["w3", "w4"], 30, seed=1)
    assert said != generate(model, vocabulary, ["w3", "w4"], 30, seed=2)
    greedy = generate(model, vocabulary, ["w3"], 6, temperature=0)
    assert generate(model, vocabulary, ["w3", *greedy[:2]], 4, temperature=0) == greedy[2:]
    assert generate(model, vocabulary, ["nowhere"], 3, seed=1) == generate(model, vocabulary, ["<unk>"], 3, seed=1)
    with torch.no_grad():
        model.output.bias[1] = 30.0
    assert "<unk>" in generate(model, vocabulary, length=5)
    assert "<unk>" not in generate(model, vocabulary, length=50, unknown=False)
    assert generate(model, vocabulary, length=0) == []
    with pytest.raises(ValueError, match="list of words"):
        generate(model, vocabulary, "in the beginning")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="0 or more"):
        generate(model, vocabulary, length=-1)


# ---- training ----------------------------------------------------------------------------------------------------------
@each_model
@pytest.mark.parametrize("sampled", [20, None])
def test_every_model_learns(make: Any, sampled: int | None) -> None:
    model = make(0.1)
    before = perplexity(model, CORPUS.test)
    run = train(model, CORPUS, epochs=2, rate=2e-2, batch=8, time=10, sampled=sampled, progress=False)
    after = perplexity(model, CORPUS.valid)
    assert after < 0.6 * min(before, WORDS)
    assert math.isclose(run.perplexity, after, rel_tol=1e-6)
    assert (run.steps, run.planned, run.tokens, run.epochs, run.stopped) == (150, 150, 12_000, 2.0, "finished")
    assert run.at == [75, 150]
    assert run.cpu_seconds > 0


def test_the_same_seed_gives_the_same_bits_whatever_came_before() -> None:
    def trained(seed: int, noise: int) -> torch.Tensor:
        model = elman(0.3)
        torch.manual_seed(noise)
        train(model, CORPUS, epochs=0.3, batch=8, time=10, sampled=10, seed=seed, progress=False)
        return model.embedding.weight.detach()

    assert torch.equal(trained(1, 7), trained(1, 8))
    assert not torch.equal(trained(1, 7), trained(2, 7))


def test_products_in_bfloat16_learn_as_well() -> None:
    exact, rough = (elman() for _ in range(2))
    for model, precision in ((exact, "float32"), (rough, "bf16")):
        train(model, CORPUS, epochs=1, rate=2e-2, batch=8, time=10, precision=precision, progress=False)
    assert {p.dtype for p in rough.parameters()} == {torch.float32}
    assert not torch.equal(exact.embedding.weight, rough.embedding.weight)
    assert math.isclose(perplexity(exact, CORPUS.test), perplexity(rough, CORPUS.test), rel_tol=0.05)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU")
@each_model
@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_on_a_gpu_it_is_the_same(make: Any, precision: str) -> None:
    here, there = make(), make()
    for model, device in ((here, "cpu"), (there, "cuda")):
        train(model, CORPUS, epochs=1, rate=2e-2, batch=8, time=10, device=device, precision=precision, progress=False)
    assert there.output.weight.device.type == "cuda"
    close = 1e-3 if precision == "float32" else 0.05
    assert math.isclose(perplexity(here, CORPUS.test), perplexity(there, CORPUS.test), rel_tol=close)
    assert len(generate(there, CORPUS.vocabulary, length=5)) == 5


def test_the_rate_rises_falls_and_ends_small() -> None:
    factors = [engine._schedule(step, 1000) for step in range(1000)]
    assert factors[0] == pytest.approx(0.1, rel=1e-3)
    assert max(factors) == pytest.approx(1.0, rel=1e-3)
    assert factors.index(max(factors)) == 9
    assert factors[500] == pytest.approx(0.505)
    assert factors[-1] == pytest.approx(0.01, rel=1e-3)


def test_the_rate_stays_where_parameters_are_averaged() -> None:
    factors = [engine._schedule(step, 1000, falls=False) for step in range(1000)]
    assert factors[0] == pytest.approx(0.1)
    assert factors[9:] == [1.0] * 991


@pytest.mark.parametrize("sampled", [10, None])
def test_plain_descent_is_torchs_own(sampled: int | None) -> None:
    made = learner(feed_forward(), optimiser="sgd", sampled=sampled, rate=2.0, clip=None)
    theirs = {name: p.detach().clone() for name, p in made.model.named_parameters()}
    taken: dict[str, torch.Tensor] = {}

    def keep(learned: Any, used: Any, chosen: Any, number: int) -> None:
        for name, p in made.model.named_parameters():
            if p.grad is not None:
                taken[name] = p.grad.clone()
        for name, part in zip(made.tables, used, strict=True):
            rows = slice(None) if chosen is None else chosen
            taken[name] = torch.zeros_like(theirs[name]).index_put_((torch.arange(WORDS)[rows],), part.grad)
        engine._WordLearner.update(made, learned, used, chosen, number)

    made.update = keep
    made.step(20)  # the rate has risen by then
    for name, p in made.model.named_parameters():
        assert torch.allclose(p, theirs[name] - 2.0 * engine._schedule(20, 1000) * taken[name], atol=1e-6), name
        assert not torch.equal(p, theirs[name]), name


def test_plain_descent_learns() -> None:
    model = elman(0.1)
    before = perplexity(model, CORPUS.test)
    how = {"epochs": 2, "rate": 3.0, "clip": 0.25, "batch": 8, "time": 10, "sampled": 20}
    train(model, CORPUS, optimiser="sgd", averaged=0.5, progress=False, **how)
    assert perplexity(model, CORPUS.valid) < 0.6 * min(before, WORDS)


@pytest.mark.parametrize("optimiser", ["adam", "sgd"])
def test_what_is_left_is_the_mean_of_the_parameters(optimiser: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every tenth step of the last share is in it, and no other; what is judged is the mean, what goes on learning is not."""
    how = {
        "epochs": 1.6,
        "batch": 8,
        "time": 10,
        "sampled": 10,
        "rate": 0.02,
        "progress": False,
        "optimiser": optimiser,
    }
    at, judged = [], []
    step, held_out = engine._WordLearner.step, engine._WordLearner.held_out

    def watched(self: Any, number: int) -> float:
        loss = float(step(self, number))
        at.append([p.detach().clone() for p in self.model.parameters()])
        return loss

    def judging(self: Any) -> float:
        before = [p.detach().clone() for p in self.model.parameters()]
        nats = float(held_out(self))
        judged.append((nats, all(map(torch.equal, before, self.model.parameters()))))
        return nats

    monkeypatch.setattr(engine._WordLearner, "step", watched)
    monkeypatch.setattr(engine._WordLearner, "held_out", judging)
    model = elman(0.2)
    run = train(model, CORPUS, averaged=0.5, **how)
    assert (run.planned, run.at) == (120, [75, 120])
    assert all(kept for _, kept in judged)
    for k, p in enumerate(model.parameters()):
        assert torch.allclose(
            p, torch.stack([at[number][k] for number in (60, 70, 80, 90, 100, 110)]).mean(dim=0), atol=1e-6
        )
    assert perplexity(model, CORPUS.valid) == pytest.approx(math.exp(judged[-1][0]), rel=1e-6)

    at.clear()
    last = elman(0.2)
    train(last, CORPUS, averaged=0.0, **how)
    assert all(map(torch.equal, at[-1], last.parameters()))


def test_gradients_are_clipped_all_together() -> None:
    made = learner(elman(), clip=1e-3)
    norms = []
    original = descent.RowAdam.step

    def step(self: Any, grads: Any, rows: Any, rate: float) -> None:
        every = [*(g for g in grads if g is not None), *(p.grad for p in made.dense)]
        norms.append(float(torch.sqrt(sum((g**2).sum() for g in every))))
        original(self, grads, rows, rate)

    made.table_steps.step = step.__get__(made.table_steps)
    for k in range(3):
        made.step(k)
    assert norms == pytest.approx([1e-3] * 3, rel=1e-3)


def test_it_begins_with_the_words_frequencies() -> None:
    model = feed_forward()
    nn.init.zeros_(model.output.weight)
    learner(model)
    counts = np.bincount(CORPUS.train, minlength=WORDS) + 1
    assert math.isclose(
        perplexity(model, CORPUS.test), math.exp(-np.log(counts / counts.sum())[CORPUS.test].mean()), rel_tol=1e-5
    )


@each_model
def test_word_vectors_can_begin_as_counting_has_them(make: Any) -> None:
    model, plain = make(), make()
    made = learner(model)
    length = float(model.embedding.weight.detach().norm(dim=1).mean())
    made.begin_at_counts()
    wanted = count_vectors(CORPUS.train, *model.embedding.weight.shape)
    assert torch.allclose(model.embedding.weight, wanted * length, atol=1e-6)
    assert float(model.embedding.weight.detach().norm(dim=1).mean()) == pytest.approx(length, rel=1e-5)
    for (name, p), other in zip(model.named_parameters(), plain.parameters(), strict=True):
        if not name.startswith("embedding") and name != "output.bias":
            assert torch.equal(p, other), name

    how = {"epochs": 0.2, "batch": 8, "time": 10, "sampled": 10, "progress": False}
    first, second, without = make(), make(), make()
    for one, counted in ((first, True), (second, True), (without, False)):
        train(one, CORPUS, counted=counted, **how)
    assert torch.equal(first.embedding.weight, second.embedding.weight)
    assert not torch.equal(first.embedding.weight, without.embedding.weight)


class Pulled(Exception):
    """The plug is pulled."""


def pulled(monkeypatch: pytest.MonkeyPatch, after: int, error: type[BaseException]) -> None:
    original, done = engine._WordLearner.step, itertools.count()

    def step(self: Any, number: int) -> float:
        if next(done) == after:
            raise error
        return float(original(self, number))

    monkeypatch.setattr(engine._WordLearner, "step", step)


@each_model
@pytest.mark.parametrize(
    ("steps", "more"),
    [(1, {}), (40, {}), (75, {}), (100, {}), (100, {"averaged": 0.7}), (90, {"optimiser": "sgd", "averaged": 0.3})],
)
def test_a_run_that_broke_off_ends_in_the_same_bits(
    make: Any, steps: int, more: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    how = {"epochs": 1.5, "batch": 8, "time": 10, "sampled": 10, "progress": False, **more}
    whole, second = make(0.3), make(0.3)
    train(whole, CORPUS, **how)
    with monkeypatch.context() as patch:
        pulled(patch, steps, Pulled)
        with pytest.raises(Pulled):
            train(make(0.3), CORPUS, **how, checkpoint=tmp_path / "a", every=7)
    assert (tmp_path / "a").exists() == (steps >= 7)
    run = train(second, CORPUS, **how, checkpoint=tmp_path / "a", every=7)
    assert (run.steps, run.stopped) == (112, "finished")
    for (name, mine), theirs in zip(whole.named_parameters(), second.parameters(), strict=True):
        assert torch.equal(mine, theirs), name


def test_a_run_of_so_many_seconds_keeps_its_schedule(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    how = {"cpu_seconds": 1.0, "batch": 8, "time": 10, "sampled": 10, "progress": False}
    with monkeypatch.context() as patch:
        pulled(patch, 60, Pulled)
        with pytest.raises(Pulled):
            train(elman(), CORPUS, **how, checkpoint=tmp_path / "a", every=5)
    plan = load(tmp_path / "a")["learner"]["run"]["plan"]
    monkeypatch.setattr(engine._WordLearner, "measured", lambda *_: pytest.fail("the speed was measured again"))
    run = train(elman(), CORPUS, **how, checkpoint=tmp_path / "a")
    assert (run.steps, run.planned) == (plan[-1], plan[-1])


def test_the_plan_fits_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    made = learner(elman(), batch=8, time=10)  # 75 steps an epoch
    monkeypatch.setattr(engine._WordLearner, "measured", lambda *_: (0.5, 2.0))  # seconds a step, a judging
    now = engine.clock.monotonic()

    def plan(minutes: float | None, epochs: float | None) -> list[int]:
        return made.make_plan(engine._Limits(minutes, epochs, None, now, 0.0))

    assert plan(None, 2.5) == [0, 75, 150, 188]
    assert plan(2, 1) == [0, 75]
    steps = plan(2, None)  # judging may cost 6 s of 120: three times would do, and fewer than four epochs are begun
    assert len(steps) == 1 + 2
    spent = 0.5 * steps[-1] + 2.0 * (len(steps) - 1)
    assert 119 <= spent <= 120
    assert plan(0.001, None)[-1] == 1


@pytest.mark.parametrize("limit", [{"cpu_seconds": 10.0}, {"minutes": 10 / 60}])
def test_as_many_steps_as_the_time_holds(limit: dict[str, float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine._WordLearner, "measured", lambda *_: (0.1, 0.5))  # seconds a step, a judging
    run = train(elman(), CORPUS, **limit, batch=8, time=10, progress=False)
    assert run.steps == run.planned
    assert 20 < run.steps <= 95  # what passed before the plan was made is taken off


def test_an_interrupted_run_judges_what_it_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    how = {"epochs": 1.0, "batch": 8, "time": 10, "rate": 2e-2, "progress": False}
    model = elman()
    with monkeypatch.context() as patch:
        pulled(patch, 60, KeyboardInterrupt)
        run = train(model, CORPUS, **how, checkpoint=tmp_path / "a", every=20)
    assert (run.stopped, run.steps, run.planned, run.at) == ("interrupted", 60, 75, [60])
    assert math.isclose(run.perplexity, perplexity(model, CORPUS.valid), rel_tol=1e-6)
    assert run.perplexity < 0.6 * WORDS
    again, whole = elman(), elman()
    assert train(again, CORPUS, **how, checkpoint=tmp_path / "a").stopped == "finished"
    train(whole, CORPUS, **how)
    assert torch.equal(again.embedding.weight, whole.embedding.weight)


def test_it_stops_when_nothing_gets_better(monkeypatch: pytest.MonkeyPatch) -> None:
    told = iter([3.0, 2.0, 2.5, 2.5, 9.0])
    monkeypatch.setattr(engine._WordLearner, "held_out", lambda self: next(told))
    run = train(elman(), CORPUS, epochs=5, batch=8, time=10, patience=2, progress=False)
    assert (run.stopped, run.held_out, run.best_epoch, run.steps) == ("early", [3.0, 2.0, 2.5, 2.5], 1, 300)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({}, "how long"),
        ({"epochs": 0}, "above 0"),
        ({"minutes": -1.0}, "above 0"),
        ({"epochs": math.nan}, "above 0"),
        ({"epochs": 1, "batch": 0}, "1 or more"),
        ({"epochs": 1, "sampled": 0}, "1 or more"),
        ({"epochs": 1, "rate": 0.0}, "above 0"),
        ({"epochs": 1, "precision": "fp8"}, "bf16"),
        ({"epochs": 1, "optimiser": "lion"}, "adam"),
        ({"epochs": 1, "averaged": 1.5}, "from 0 to 1"),
        ({"epochs": 1, "batch": 5000}, "too few"),
    ],
)
def test_wrong_settings_are_told(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        train(elman(), CORPUS, progress=False, **wrong)


def test_a_model_without_an_output_is_refused() -> None:
    model = elman(tied=False)
    model.output = nn.Linear(16, WORDS + 1)
    with pytest.raises(ValueError, match="logit for each word"):
        train(model, CORPUS, epochs=1, progress=False)
    with pytest.raises(ValueError, match="2 or more"):
        feed_forward(order=1)
    with pytest.raises(ValueError, match="hidden = embedding"):
        feed_forward(tied=True)


def test_a_checkpoint_of_another_run_is_refused(tmp_path: Path) -> None:
    how = {"epochs": 0.2, "batch": 8, "time": 10, "progress": False, "checkpoint": tmp_path / "a"}
    train(elman(), CORPUS, **how)
    for changes, said in (
        ({"rate": 0.5}, "rate=0.001 instead of 0.5"),
        ({"seed": 3}, "seed=0"),
        ({"epochs": 2}, "another length"),
        ({"sampled": None}, "sampled=1024"),
    ):
        with pytest.raises(CheckpointError, match=said):
            train(elman(), CORPUS, **{**how, **changes})
    with pytest.raises(CheckpointError, match="another model"):
        train(elman(tied=False), CORPUS, **how)
    assert train(elman(), CORPUS, **{**how, "rate": 0.5}, resume=False).steps == 15
    (tmp_path / "a").write_bytes(b"")
    with pytest.raises(CheckpointError, match="no checkpoint"):
        train(elman(), CORPUS, **how)
    engine_file = tmp_path / "b"
    from course.kit.training import save

    save(engine_file, {"learner": {}})
    with pytest.raises(CheckpointError, match="no run of a language model"):
        train(elman(), CORPUS, **{**how, "checkpoint": engine_file})


# ---- progress ----------------------------------------------------------------------------------------------------------
class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_line_says_speed_loss_perplexity_and_time_left() -> None:
    made, now, stream = learner(elman()), 0.0, Terminal()  # 150 steps of 40 words an epoch
    line = engine._WordProgress(made, CORPUS.vocabulary, 0, " ", stream=stream, clock=lambda: now)
    made.recent = math.log(50)
    history = History()
    for made.reached in (1, 101):
        line.show(0, made.reached, 1000, 0.0, history)
        now += 20.0
    assert stream.getvalue().split("\r")[-1] == (
        "██░░░░░░░░░░░░░░░░░░ epoch 0.7/6.7 · loss 3.912 · perplexity 50.0 · 200 words/s · 3 min left"
    )
    history.held_out, history.best_epoch, history.seconds = [math.log(40)], 0, 50.0
    line.close(history)
    assert stream.getvalue().split("\r")[-1].rstrip() == (
        "finished after 0.7 epochs · best held-out perplexity 40.00 · 50 s"
    )
    assert stream.getvalue().endswith("\n")


def test_text_is_shown_after_each_judging(capsys: pytest.CaptureFixture[str]) -> None:
    train(elman(), CORPUS, epochs=2, batch=8, time=10, sample=7)
    heard = capsys.readouterr()
    lines = heard.out.splitlines()
    assert [line.partition(" · ")[0] for line in lines[::2]] == [
        "epoch 1.0/2.0",
        "epoch 2.0/2.0",
        "finished after 2.0 epochs",
    ]
    assert [len(line.split()) for line in lines[1::2]] == [7, 7]
    assert heard.err == ""


# ---- the command -------------------------------------------------------------------------------------------------------
RUNNER = CliRunner()


@pytest.fixture
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("course.kit.corpora.load", lambda name, data_dir=None: CORPUS)


FAST = ("--set", "batch=8", "--set", "time=10", "--threads", "1")


@pytest.mark.usefixtures("_small")
@pytest.mark.parametrize("model", language_models.MODELS)
def test_one_command_trains_and_judges(model: str) -> None:
    more = ("--epochs", "0.5", "--text", "5", *FAST) if model in language_models.RECIPES else ()
    if more and "features" in language_models.RECIPES[model].model:
        more = (*more, "--set", "features=32")
    before = torch.get_num_threads()
    done = RUNNER.invoke(cli.app, ["train", model, "--data", "small", "--seed", "2", "--json", *more])
    torch.set_num_threads(before)
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout)
    assert result["tokens"] == len(CORPUS.test)
    assert result["valid_tokens"] == len(CORPUS.valid)
    assert (result["model"], result["data"], result["seed"], result["device"]) == (model, "small", 2, "cpu")
    assert 1 < result["test_ppl"] < WORDS
    assert {"valid_ppl", "parameters", "seconds", "cpu_seconds", "command", "version"} <= set(result)
    if more:
        assert len(result["text"].split()) == 5
        assert result["steps"] == result["planned_steps"] == 38


@pytest.mark.parametrize(("has", "taken"), [(True, "bf16"), (False, "float32")])
def test_bfloat16_is_taken_where_the_machine_has_it(has: bool, taken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("course.kit.devices.computes_bfloat16", lambda device: has)
    monkeypatch.setattr("course.kit.corpora.load", lambda *_, **__: CORPUS)
    request = language_models.Request("rnn", "small", epochs=0.2, precision="auto", threads=1, settings={"features": 8})
    assert language_models.run(request, "test")["precision"] == taken


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["gpt9"], 2, "choose one of kn3, kn5, fnn, rnn"),
        (["rnn", "--data", "nowhere"], 2, "nowhere"),
        (["rnn", "--softmax", "hard"], 2, "full or sampled"),
        (["rnn", "--precision", "fp8"], 2, "float32 or bf16 or auto"),
        (["rnn", "--device", "tpu"], 2, "cpu or cuda"),
        (["rnn", "--minutes", "0"], 2, "above 0"),
        (["rnn", "--epochs", "nan"], 2, "above 0"),
        (["rnn", "--threads", "0"], 2, "1 or more"),
        (["rnn", "--set", "dropout"], 2, "NAME=VALUE"),
        (["rnn", "--set", "colour=3"], 2, "no setting 'colour'"),
        (["kn3", "--set", "order=3"], 2, "no settings"),
        (["fnn", "--set", "order=1"], 2, "2 or more"),
        (["fnn", "--set", "order=three"], 2, "."),
        (["rnn", "--epochs", "1", "--checkpoint", __file__], 1, "no checkpoint"),
    ],
)
def test_bad_input_is_told_in_one_sentence(arguments: list[str], code: int, said: str) -> None:
    done = RUNNER.invoke(cli.app, ["train", *arguments])
    assert done.exit_code == code, done.output
    assert said in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert done.stdout == ""


def test_a_gpu_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    done = RUNNER.invoke(cli.app, ["train", "rnn", "--device", "cuda"])
    assert (done.exit_code, done.stderr.count(".")) == (1, 1)


def test_the_result_in_words() -> None:
    result = {
        "model": "rnn", "data": "small", "test_ppl": 12.345, "valid_ppl": 12.0, "tokens": 1000, "parameters": 5000,
        "cpu_seconds": 3.21, "seconds": 4.0, "device": "cpu", "limit_ppl": 10.0, "stopped": "interrupted", "text": "a b",
    }  # fmt: skip
    lines = language_models.to_lines(result)
    assert lines[0].startswith("rnn on small: test perplexity 12.35 over all 1,000 tokens")
    assert "3.2 CPU seconds" in lines[0]
    assert "10.000" in lines[1]
    assert "interrupted" in lines[2]
    assert lines[-1] == "a b"


# ---- how far from the limit --------------------------------------------------------------------------------------------
def test_no_model_goes_below_the_limit_of_a_source_and_the_best_is_near() -> None:
    arguments = {
        "kn3": (),
        "kn5": (),
        "rnn": ("--epochs", "1", "--threads", "1", "--set", "features=32", "--set", "dropout=0", "--set", "rate=5e-3"),
    }
    results = [here(model, "--data", "markov", *more) for model, more in arguments.items()]
    limit = results[0]["limit_ppl"]
    found = [result["test_ppl"] for result in results]
    assert all(ppl > limit for ppl in found)
    assert min(found) < 1.03 * limit


# ---- processes ---------------------------------------------------------------------------------------------------------
def started(*arguments: str, processes: int = 1) -> subprocess.Popen[str]:
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes))
    return subprocess.Popen(
        [
            sys.executable,
            *(torchrun if processes > 1 else ()),
            str(ROOT / "tests/small_language.py"),
            "train",
            *arguments,
        ],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def here(*arguments: str) -> dict[str, Any]:
    """The same command in this process."""
    done = RUNNER.invoke(cli.app, ["train", *arguments, "--json"])
    assert done.exit_code == 0, done.output
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def finished(*arguments: str, processes: int = 1) -> dict[str, Any]:
    process = started(*arguments, "--json", processes=processes)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    result: dict[str, Any] = json.loads(out)
    return result


@pytest.mark.usefixtures("_small")
@pytest.mark.parametrize("model", ["fnn", "rnn"])
def test_a_killed_run_goes_on_to_the_same_perplexity(model: str, tmp_path: Path) -> None:
    file = tmp_path / "run.ckpt"
    arguments = (model, "--epochs", "4", "--seed", "3", *FAST, "--set", "every=3")
    process = started(*arguments, "--checkpoint", str(file))
    until, seen = time.monotonic() + 120, set()
    while len(seen) < 4 and time.monotonic() < until and process.poll() is None:
        if file.exists():
            seen.add(file.stat().st_mtime_ns)
        time.sleep(0.002)
    process.kill()  # SIGKILL: nothing can be caught, nothing is saved
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    reached = load(file)["learner"]["run"]["reached"]
    assert 0 < reached < 300
    resumed, whole = finished(*arguments, "--checkpoint", str(file)), here(*arguments)
    assert (resumed["steps"], whole["steps"]) == (300, 300)
    assert abs(resumed["test_ppl"] - whole["test_ppl"]) < 1e-6
    assert abs(resumed["valid_ppl"] - whole["valid_ppl"]) < 1e-6


@pytest.mark.usefixtures("_small")
@pytest.mark.parametrize("model", ["fnn", "rnn"])
def test_two_processes_do_what_one_does_with_the_same_batch(model: str, tmp_path: Path) -> None:
    arguments = (model, "--epochs", "1", *FAST, "--set", "dropout=0", "--set", "every=20", "--checkpoint")
    one = here(*arguments, str(tmp_path / "one"))
    two = finished(*arguments, str(tmp_path / "two"), processes=2)
    assert (one["processes"], two["processes"], one["steps"], two["steps"]) == (1, 2, 75, 75)
    assert math.isclose(one["test_ppl"], two["test_ppl"], rel_tol=1e-4)
    first, second = (load(tmp_path / name)["learner"] for name in ("one", "two"))
    for name, p in first["model"].items():
        assert torch.allclose(p, second["model"][name], atol=2e-4), name
    assert len(second["carried"]) == 2
    if model == "rnn":  # nothing is left to do: the file alone gives the result
        assert finished(*arguments, str(tmp_path / "two"), processes=2)["test_ppl"] == two["test_ppl"]


def test_a_batch_that_cannot_be_shared_is_refused() -> None:
    process = started("rnn", "--epochs", "1", "--set", "batch=7", processes=2)
    _, err = process.communicate(timeout=300)
    assert process.returncode != 0
    assert "7 rows cannot be shared by 2 processes" in err
