"""Train, judge and run language models written in PyTorch, on the CPU, a GPU, or several processes.

A *model* is an ``nn.Module`` that reads words and hands on features and a state, with a layer that turns features into logits::

    features, state = model(tokens, state)   # (batch, time) int64, None or what it gave → (batch, time, features), any state
    model.output                             # nn.Linear(features, vocabulary)

A state is None, a tensor, or a tuple of tensors; an integer tensor in it holds words. A model that can only read so many words
at once says how many in ``model.context``: it is trained on windows, judged on overlapping windows, and begins a new window
where the old one is full while it writes. More is not asked of a model, so a feed-forward, a recurrent and an attention model are
trained, judged and run by the same functions.

>>> history = train(model, corpus, minutes=2, checkpoint="model.ckpt")  # doctest: +SKIP
>>> perplexity(model, corpus.test)  # doctest: +SKIP
>>> " ".join(generate(model, corpus.vocabulary, ["in", "the"], temperature=0.8))  # doctest: +SKIP
"""

from __future__ import annotations

import copy
import math
import time as clock
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import functional as F

from course.kit.corpora import Corpus, Vocabulary
from course.kit.count_vectors import count_vectors
from course.kit.descent import RowAdam, RowDescent, RunningMean, dense_optimiser
from course.kit.training import CheckpointError, History, Progress, _duration, fit, load, seeded

__all__ = [
    "Judged",
    "Run",
    "candidates",
    "choose",
    "evaluate",
    "generate",
    "log_inclusion",
    "perplexity",
    "read",
    "train",
]


# ---- judging -----------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Judged:
    """What a model makes of a text.

    Attributes:
        nats: −Σ ln P(word | all words before it).
        tokens: how many words that sum is over: all of them.
    """

    nats: float
    tokens: int

    @property
    def loss(self) -> float:
        """Nats a word."""
        return self.nats / self.tokens

    @property
    def perplexity(self) -> float:
        """exp of the loss."""
        return math.exp(self.loss) if self.loss < 700 else math.inf


def evaluate(model: nn.Module, tokens: np.ndarray, *, end: int = 0, piece: int = 256) -> Judged:
    """Judge a model by every word of a text: full softmax, float32, the state carried from the first word to the last.

    A model with a context reads windows of that length instead. Each begins a quarter of a window after the one before, and
    only the words that were in no earlier window count, so that every word is judged once, from at least three quarters of a
    window of earlier words, or from all there are.

    Args:
        model: see the module; it is judged where its parameters are, without dropout, and left in its mode.
        tokens: (tokens,) integers, running text; the word before the first is taken to be ``<eos>``.
        end: number of ``<eos>``.
        piece: how many words are read at once by a model without a context; the result does not depend on it.

    Returns:
        The sum of −ln P, and over how many words it is.

    Raises:
        ValueError: there is no word, or the model did not answer for each.
    """
    nats, judged = 0.0, 0
    for features, logits, wanted in _read(model, tokens, end, piece):
        nats += float(F.cross_entropy(logits, wanted, reduction="sum"))
        judged += len(features)
    if judged != len(tokens):
        raise ValueError(f"{judged} of {len(tokens)} words were judged")
    return Judged(nats, judged)


def read(model: nn.Module, tokens: np.ndarray, *, end: int = 0, piece: int = 256) -> tuple[np.ndarray, np.ndarray]:
    """What a model says of every word of a text, and the features it says it with; judged as by :func:`evaluate`.

    Returns:
        features: (tokens, features) float32, what `output` got; log_probabilities: (tokens,) float64, ln P(word | words before).
    """
    features, said = [], []
    for x, logits, wanted in _read(model, tokens, end, piece):
        features.append(x.cpu().numpy())
        said.append(-F.cross_entropy(logits, wanted, reduction="none").double().cpu().numpy())
    return np.concatenate(features), np.concatenate(said)


def _read(model: nn.Module, tokens: np.ndarray, end: int, piece: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Read a text piece by piece: features, logits and the words that come, (time, …) each; the model is left in its mode."""
    tokens = np.asarray(tokens)
    if tokens.ndim != 1 or not len(tokens):
        raise ValueError(f"a text is one row of word numbers, at least one; this has shape {tokens.shape}")
    where = next(model.parameters()).device
    targets = torch.from_numpy(tokens.astype(np.int64)).to(where)
    inputs = torch.cat([targets.new_tensor([end]), targets[:-1]])
    context, state, was_training = _context_of(model), None, model.training
    output: Any = model.output
    model.eval()
    try:
        with torch.no_grad(), torch.autocast(where.type, enabled=False):
            for begin, start, stop in _pieces(len(tokens), piece, context):
                features, state = model(inputs[None, begin:stop], state if context is None else None)
                if features.shape[:2] != (1, stop - begin):
                    raise ValueError(
                        f"the model answered for {tuple(features.shape[:2])} words instead of {(1, stop - begin)}"
                    )
                x = features[0, start - begin :].float()  # (time, features)
                yield x, output(x), targets[start:stop]
    finally:
        model.train(was_training)


def _context_of(model: nn.Module) -> int | None:
    """Most words the model can read at once; None where there is no such limit."""
    context = getattr(model, "context", None)
    return None if context is None else int(context)


def _pieces(tokens: int, piece: int, context: int | None) -> Iterator[tuple[int, int, int]]:
    """How a text is read: words begin … stop − 1 at once, of which start … stop − 1 are judged."""
    if context is None:
        yield from ((start, start, min(start + piece, tokens)) for start in range(0, tokens, piece))
        return
    start, stop = 0, min(context, tokens)
    while start < tokens:
        yield max(0, stop - context), start, stop
        start, stop = stop, min(stop + max(1, context // 4), tokens)


def perplexity(model: nn.Module, tokens: np.ndarray, *, device: Any = None, end: int = 0) -> float:
    """Perplexity over every word of a text: full softmax, float32, state carried; see :func:`evaluate`.

    Args:
        model: see the module.
        tokens: (tokens,) integers.
        device: where to compute; the model is moved there. By default where it is.
        end: number of ``<eos>``.
    """
    return evaluate(model if device is None else model.to(device), tokens, end=end).perplexity


# ---- text --------------------------------------------------------------------------------------------------------------
def choose(
    probabilities: np.ndarray, temperature: float = 1.0, top_k: int | None = None, top_p: float | None = None
) -> np.ndarray:
    """Reshape a distribution before a word is drawn from it.

    Args:
        probabilities: (vocabulary,) at least 0, with a sum of 1.
        temperature: each probability is raised to 1/temperature; 0 leaves only the most probable word.
        top_k: only the k most probable words stay (of equals, the lower numbers).
        top_p: only the fewest most probable words stay whose probabilities, after temperature and top_k, add up to top_p.

    Returns:
        (vocabulary,) float64, with a sum of 1.

    Raises:
        ValueError: a setting that leaves no word or has no meaning.

    Source:
        Fan et al. 2018 (top-k); Holtzman et al. 2020 (nucleus).
    """
    if temperature < 0 or (top_k is not None and top_k < 1) or (top_p is not None and not 0 < top_p <= 1):
        raise ValueError("temperature must be 0 or more, top_k 1 or more, top_p above 0 and at most 1")
    p = np.asarray(probabilities, dtype=np.float64)
    order = np.argsort(-p, kind="stable")
    if temperature == 0:
        top_k, temperature = 1, 1.0
    with np.errstate(divide="ignore"):
        logits = np.log(p[order]) / temperature
    kept = np.exp(logits - logits[0])
    if top_k is not None:
        kept[top_k:] = 0
    kept /= kept.sum()
    if top_p is not None:
        before = np.cumsum(kept) - kept
        kept[before >= top_p - 1e-12] = 0
        kept /= kept.sum()
    result = np.zeros_like(p)
    result[order] = kept
    return result


def generate(
    model: nn.Module,
    vocabulary: Vocabulary,
    prompt: Sequence[str] = (),
    length: int = 50,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    seed: int = 0,
    *,
    unknown: bool = True,
) -> list[str]:
    """Let a model write.

    Args:
        model: see the module.
        vocabulary: its words.
        prompt: words to go on from, behind an ``<eos>``; one that is not in the vocabulary is read as ``<unk>``.
        length: how many words to write.
        temperature, top_k, top_p: see :func:`choose`.
        seed: the same seed gives the same words.
        unknown: whether ``<unk>`` may be written.

    Returns:
        The written words, without the prompt.
    """
    if isinstance(prompt, str):
        raise ValueError("a prompt is a list of words, not one string")
    if length < 0:
        raise ValueError(f"length must be 0 or more, not {length}")
    rng, where, was_training = np.random.default_rng(seed), next(model.parameters()).device, model.training
    read = torch.tensor([[vocabulary.end, *vocabulary.encode(prompt).tolist()]], device=where)
    output: Any = model.output
    context, state, written, window = _context_of(model), None, [], 0
    said = read[0].tolist()
    model.eval()
    with torch.no_grad():
        for _ in range(length):
            if context is not None and window + read.shape[1] > context:  # full: a new window, with half of the old one
                state, window, read = None, 0, read.new_tensor([said[-max(1, context // 2) :]])
            features, state = model(read, state)
            window += read.shape[1]
            p = torch.softmax(output(features[0, -1]).double(), dim=0).cpu().numpy()
            if not unknown:
                p[vocabulary.unknown] = 0
            p = choose(p / p.sum(), temperature, top_k, top_p)
            word = min(int(np.searchsorted(np.cumsum(p), rng.random(), side="right")), int(np.flatnonzero(p)[-1]))
            written.append(word)
            said.append(word)
            read = read.new_tensor([[word]])
    model.train(was_training)
    return vocabulary.decode(written)


# ---- sampled softmax ---------------------------------------------------------------------------------------------------
def log_inclusion(probabilities: np.ndarray, draws: int) -> np.ndarray:
    """Logarithm of how probably each word is among `draws` words drawn with replacement: ln(1 − (1 − q)ᴷ).

    Args:
        probabilities: (vocabulary,) float64, q, with a sum of 1.
        draws: K.

    Returns:
        (vocabulary,) float64; −∞ for a word that is never drawn.
    """
    with np.errstate(divide="ignore"):
        return np.log(-np.expm1(draws * np.log1p(-np.asarray(probabilities, dtype=np.float64))))


def candidates(certain: Tensor, drawn: Tensor, log_inclusion: Tensor) -> tuple[Tensor, Tensor]:
    """Make one set of words for a batch: those it holds, and those that were drawn, each with what corrects its logit.

    A logit less the logarithm of its word's probability of being there makes Σ exp over the set an unbiased estimate of the
    softmax's denominator over the whole vocabulary (Horvitz and Thompson 1952). Words of the batch are there for certain.

    Args:
        certain: (vocabulary,) bool, words that are in the set in any case.
        drawn: (draws,) int64, words drawn with replacement.
        log_inclusion: (vocabulary,) from :func:`log_inclusion`.

    Returns:
        words: (candidates,) int64, ascending; correction: (candidates,), to be subtracted from the logits.
    """
    present = certain.clone()
    present[drawn] = True
    words = present.nonzero()[:, 0]
    return words, torch.where(certain[words], 0.0, log_inclusion[words])


class _SoftmaxLoss(torch.autograd.Function):
    """Mean of −log softmax(x wᵀ + b) at the targets.

    Autograd would pass over the (words, candidates) logits ten times; here the gradient ŷ − y takes the logits' own place, a
    few rows at a time, which stay in the cache. Products are taken in x's precision, all else in float32.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, w: Tensor, bias: Tensor, targets: Tensor) -> Tensor:
        low = w.to(x.dtype)
        logits = x @ low.t()  # (words, candidates)
        rows = max(1, 250_000 // len(w)) if x.device.type == "cpu" else len(x)
        nats, grad_bias = x.new_zeros((), dtype=torch.float32), torch.zeros_like(bias.expand(len(w)))
        for part, wanted in zip(logits.split(rows), targets.split(rows), strict=True):
            y = part.float().add_(bias)
            top = y.amax(dim=1, keepdim=True)
            at_target = y.gather(1, wanted[:, None])
            total = y.sub_(top).exp_().sum(dim=1, keepdim=True)
            nats += (total.log() + top - at_target).sum()
            y.mul_(1 / (total * len(x))).scatter_add_(1, wanted[:, None], torch.full_like(total, -1 / len(x)))
            grad_bias += y.sum(dim=0)
            part.copy_(y)
        ctx.save_for_backward(x, low, logits, grad_bias)
        return nats / len(x)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        x, low, grad_logits, grad_bias = ctx.saved_tensors
        return (
            (grad_logits @ low) * grads[0].to(x.dtype),
            (grad_logits.t() @ x).float() * grads[0],
            grad_bias * grads[0],
            None,
        )


# ---- training ----------------------------------------------------------------------------------------------------------
@dataclass
class Run(History):
    """What a run has come to; the losses are in nats a word.

    Attributes:
        steps: steps of the schedule that are done.
        planned: steps of the whole schedule.
        tokens: words learned from, repetitions counted.
        epochs: how often the training text was read.
        cpu_seconds: CPU time of this process, that of resumed runs added up.
        at: the step after which each held-out loss was taken.
    """

    steps: int = 0
    planned: int = 0
    tokens: int = 0
    epochs: float = 0.0
    cpu_seconds: float = 0.0
    at: list[int] = field(default_factory=list)

    @property
    def perplexity(self) -> float:
        """The lowest held-out perplexity."""
        return math.exp(self.best) if self.best < 700 else math.inf


def train(
    model: nn.Module,
    corpus: Corpus,
    *,
    minutes: float | None = None,
    epochs: float | None = None,
    cpu_seconds: float | None = None,
    batch: int = 32,
    time: int = 20,
    rate: float = 1e-3,
    clip: float | None = 0.5,
    sampled: int | None = 1024,
    decay: float = 0.0,
    optimiser: str = "adam",
    averaged: float = 0.0,
    counted: bool = False,
    device: Any = "cpu",
    precision: str = "float32",
    seed: int = 0,
    checkpoint: str | Path | None = None,
    resume: bool = True,
    every: int = 1000,
    patience: int | None = None,
    progress: bool | TextIO = True,
    sample: int = 0,
) -> Run:
    """Train a language model, and leave it as it was when it judged the validation text best.

    The text is cut into ``batch`` rows that are read side by side, ``time`` words a step, each row's state carried from step to
    step; every epoch begins elsewhere in the text. The rate rises over the first hundredth of the steps, then falls along a cosine
    to a hundredth of itself, or stays as it is where parameters are averaged. How many steps there will be is settled at the start,
    from the measured speed where a time is given, and stored in the checkpoint, so that a run that is taken up again follows the
    same schedule.

    Under ``torchrun`` every process reads its share of the rows (the first process the first ``batch / processes`` of them, and so
    on), all use one set of candidates, and gradients are averaged before each step: the same steps as one process takes with the
    same batch, up to rounding and the draws of dropout.

    Args:
        model: see the module.
        corpus: text and vocabulary.
        minutes: stop after about so much time.
        epochs: stop after reading the training text so often; may be a fraction.
        cpu_seconds: stop after about so much CPU time of this process. At least one of the three is needed; CPU time counts
            before minutes, and epochs where they are shorter.
        batch: rows, over all processes.
        time: words of a row in a step; gradients reach no further back.
        rate: highest learning rate.
        clip: greatest norm of all gradients, or None.
        sampled: how many words are drawn for a step's sampled softmax, from the training text's frequencies to the power 0.75;
            None takes the full softmax.
        decay: weight decay of all that is not a table of words.
        optimiser: "adam", or "sgd" for plain descent, whose rate is far larger.
        averaged: from which point on the parameters' mean takes their place in judging and in the end, as the share of the steps
            that come after it; 0 takes the parameters as they are.
        counted: whether the words' vectors begin as what counting their neighbours in the training text gives, see
            :mod:`course.kit.count_vectors`, instead of as they are. The time it takes is part of the run's.
        device: "cpu" or "cuda".
        precision: "float32", or "bf16" for products in bfloat16; judging is always float32.
        seed: of the rows' beginnings, the candidates and dropout.
        checkpoint: a file to write every so many steps (``every``) and after each judging, and to go on from when it exists.
        resume: False begins anew and overwrites the file.
        patience: stop after so many judgings in a row that were no better.
        progress: whether to show a line with speed, loss, perplexity and time left, or the stream to show it on.
        sample: how many words of text to show after each judging.

    Returns:
        What it has come to. An interrupted run (Ctrl-C, the stop button) judges what it has, and returns with the best.

    Raises:
        ValueError: a setting that has no meaning.
        CheckpointError: the file is no checkpoint, or one of another run.

    Source:
        Polyak and Juditsky 1992 (averaging); Merity, Keskar and Socher 2018 (for language models; they begin to average when the
        validation text no longer gets easier, here the length of the run is known, and with it the point).
    """
    if minutes is None and epochs is None and cpu_seconds is None:
        raise ValueError("say how long to train: minutes, epochs or cpu_seconds")
    if any(limit is not None and not 0 < limit < math.inf for limit in (minutes, epochs, cpu_seconds)):
        raise ValueError("minutes, epochs and cpu_seconds must be above 0")
    if min(batch, time, every) < 1 or (sampled is not None and sampled < 1) or not 0 < rate < math.inf:
        raise ValueError("batch, time, every and sampled must be 1 or more, the rate above 0")
    if precision not in ("float32", "bf16"):
        raise ValueError(f'precision is "float32" or "bf16", not {precision!r}')
    if optimiser not in ("adam", "sgd"):
        raise ValueError(f'optimiser is "adam" or "sgd", not {optimiser!r}')
    if not 0 <= averaged <= 1:
        raise ValueError(f"averaged is a share of the steps, from 0 to 1, not {averaged}")
    context = _context_of(model)
    if context is not None and time > context:
        raise ValueError(f"the model reads at most {context} words at once; time is {time}")
    if batch % _processes():
        raise ValueError(f"{batch} rows cannot be shared by {_processes()} processes; make batch a multiple of it")
    if len(corpus.train) < 2 * batch:
        raise ValueError(f"{len(corpus.train)} words are too few for {batch} rows")
    cpu_began = clock.process_time()
    path = Path(checkpoint) if checkpoint is not None else None
    settings = {
        "corpus": [corpus.name, len(corpus.train), len(corpus.vocabulary)],
        "model": [type(model).__name__, *([name, *p.shape] for name, p in model.named_parameters())],
        "limits": [minutes, epochs, cpu_seconds],
        **{"batch": batch, "time": time, "rate": rate, "clip": clip, "sampled": sampled, "decay": decay},
        **{"optimiser": optimiser, "averaged": averaged, "counted": counted},
        **{"precision": precision, "seed": seed, "processes": _processes()},
    }
    learner = _WordLearner(model.to(device), corpus, settings)
    saved = load(path) if path is not None and resume and path.exists() else None
    if saved is not None:
        learner.plan = _stored_plan(saved, settings)
    else:
        _agree_on_parameters(model)
        learner.begin_at_unigram()
        if counted:
            learner.begin_at_counts()
        limits = _Limits(minutes, epochs, cpu_seconds, clock.monotonic(), cpu_began)
        learner.plan = _shared(learner.make_plan(limits))
    plan = learner.plan
    stream = None if isinstance(progress, bool) else progress
    glue = "" if corpus.unit == "character" else " "
    shown = (
        progress is not False
        and _rank() == 0
        and _WordProgress(learner, corpus.vocabulary, sample, glue, stream=stream)
    )
    history = fit(
        learner,
        lambda leg: range(plan[leg], plan[leg + 1]),
        epochs=len(plan) - 1,
        evaluate=learner.held_out,
        patience=patience,
        checkpoint=path,
        every=every,
        resume=resume,
        progress=shown,
        judge_interrupted=_processes() == 1,
        write=_rank() == 0,
    )
    learner.settle()
    at = [plan[leg + 1] for leg in range(len(history.held_out))]
    if history.stopped == "interrupted" and at and learner.furthest < at[-1]:
        at[-1] = learner.furthest
    return Run(
        **vars(history),
        steps=learner.furthest,
        planned=plan[-1],
        tokens=learner.tokens_until(learner.furthest),
        epochs=learner.furthest / learner.per_epoch,
        cpu_seconds=learner.cpu_seconds(),
        at=at,
    )


@dataclass(frozen=True)
class _Limits:
    """How long a run may take, and when it began."""

    minutes: float | None
    epochs: float | None
    cpu_seconds: float | None
    began: float
    cpu_began: float

    def left(self) -> tuple[float, Callable[[], float]] | None:
        """The time that counts, CPU time before the clock on the wall: seconds left, and what tells them."""
        if self.cpu_seconds is not None:
            return self.cpu_seconds - (clock.process_time() - self.cpu_began), clock.process_time
        if self.minutes is not None:
            return self.minutes * 60 - (clock.monotonic() - self.began), clock.monotonic
        return None


#: Parameters are added to their mean once in so many steps: a table of 10,000 words is large.
_MEAN_EVERY = 10


class _WordLearner:
    """A language model that learns from a corpus; a batch is the number of a step."""

    def __init__(self, model: nn.Module, corpus: Corpus, settings: dict[str, Any]) -> None:
        self.model, self.corpus, self.settings = model, corpus, settings
        self.batch, self.time, self.sampled = settings["batch"], settings["time"], settings["sampled"]
        self.rows, self.per_epoch = _rows(len(corpus.train), self.batch, self.time)
        self.plan: list[int] = []  # steps at which the run is judged; the first is 0
        self.state: Any = None
        self.reached, self.furthest = 0, 0  # steps behind these parameters, and behind the run
        self.recent, self.spent, self.cpu_began = math.nan, 0.0, clock.process_time()
        self.where = next(model.parameters()).device
        self.text = torch.from_numpy(corpus.train.astype(np.int64))
        size = len(corpus.vocabulary)
        named = dict(model.named_parameters(remove_duplicate=False))
        words = {f"{name}.weight" for name, layer in model.named_modules() if isinstance(layer, nn.Embedding)}
        names = sorted(
            name for name in words | {"output.weight", "output.bias"} if name in named and len(named[name]) == size
        )
        if "output.weight" not in names:
            raise ValueError("a language model has a layer `output` with a logit for each word of the vocabulary")
        self.words_read = sorted(words & set(names))
        self.tables = {name: named[name] for name in names}  # tied ones are the same object twice
        unique = list({id(p): p for p in self.tables.values()}.values())
        self.dense = [p for p in model.parameters() if all(p is not table for table in unique)]
        self.table_steps = RowAdam(unique) if settings["optimiser"] == "adam" else RowDescent(unique)
        self.dense_steps = dense_optimiser(self.dense, settings["optimiser"], settings["decay"]) if self.dense else None
        self.mean = RunningMean(list(model.parameters()))
        counts = np.bincount(corpus.train, minlength=size)
        q = counts**0.75 / (counts**0.75).sum()
        self.cumulative = np.cumsum(q)
        self.log_inclusion = torch.from_numpy(log_inclusion(q, self.sampled or 1).astype(np.float32)).to(self.where)
        self.unigram = torch.from_numpy(np.log((counts + 1) / (counts + 1).sum()).astype(np.float32))

    def begin_at_unigram(self) -> None:
        """Let the output's bias say what the words' frequencies say."""
        with torch.no_grad():
            if "output.bias" in self.tables:
                self.tables["output.bias"].copy_(self.unigram)

    def begin_at_counts(self) -> None:
        """Let the tables of words hold what counting says, as long on average as what was there."""
        for name in self.words_read:
            table = self.tables[name]
            vocabulary, features = table.shape
            made = count_vectors(self.corpus.train, vocabulary, features, seed=self.settings["seed"])
            with torch.no_grad():
                table.copy_(made * table.norm(dim=1).mean().cpu())

    # ---- one step
    def step(self, number: int) -> float:
        """Learn from the words of one step."""
        self.model.train()
        _seed_torch(self.settings["seed"], number, _rank())
        epoch, place = divmod(number, self.per_epoch)
        inputs, targets = self.words(epoch, place)
        state = None if place == 0 else self.state
        chosen: Tensor | None = None
        correction: Tensor | float = 0.0
        tables: dict[str, Tensor] = dict(self.tables)
        if self.sampled is not None:
            chosen, correction = self.draw(number, inputs, targets, state)
            short = torch.empty(len(self.corpus.vocabulary), dtype=torch.int64, device=self.where)
            short[chosen] = torch.arange(len(chosen), device=self.where)
            inputs, targets, state = short[inputs], short[targets], _map_words(state, short)
            rows = {
                id(p): p.detach().index_select(0, chosen).requires_grad_(p.requires_grad) for p in self.tables.values()
            }
            tables = {name: rows[id(p)] for name, p in self.tables.items()}
        with torch.autocast(self.where.type, torch.bfloat16, enabled=self.settings["precision"] == "bf16"):
            features, state = torch.func.functional_call(self.model, tables, (inputs, state))
        bias = tables.get("output.bias", features.new_zeros(1)) - correction
        loss = _SoftmaxLoss.apply(features.flatten(0, 1), tables["output.weight"], bias, targets.flatten())
        loss.backward()
        used = list({id(p): p for p in tables.values()}.values())
        self.update([*self.dense, *used], used, chosen, number)
        self.state = _detached(state if chosen is None else _map_words(state, chosen))
        self.reached = self.furthest = number + 1
        value = _mean_over_processes(float(loss.detach()))
        self.recent = value if math.isnan(self.recent) else self.recent + 0.02 * (value - self.recent)
        return value

    def update(self, learned: list[Tensor], used: list[Tensor], chosen: Tensor | None, number: int) -> None:
        """Average over processes, clip, and change the parameters."""
        _average_gradients(learned)
        if self.settings["clip"] is not None:
            torch.nn.utils.clip_grad_norm_(learned, self.settings["clip"])
        share = self.settings["averaged"]
        rate = self.settings["rate"] * _schedule(number, self.plan[-1], falls=not share)
        self.table_steps.step([p.grad for p in used], chosen, rate)
        if self.dense_steps is not None:
            self.dense_steps.param_groups[0]["lr"] = rate
            self.dense_steps.step()
        for p in learned:
            p.grad = None
        if number >= (1 - share) * self.plan[-1] and number % _MEAN_EVERY == 0:
            self.mean.add()

    def words(self, epoch: int, place: int) -> tuple[Tensor, Tensor]:
        """This process's share of a step: inputs and targets, (batch / processes, time) int64 each."""
        begin = int(seeded(self.settings["seed"], epoch).integers(len(self.text)))
        share = self.batch // _processes()
        rows = torch.arange(_rank() * share, (_rank() + 1) * share)[:, None] * self.rows
        places = (begin + rows + torch.arange(place * self.time, min((place + 1) * self.time, self.rows))) % len(
            self.text
        )
        return self.text[places - 1].to(self.where), self.text[places].to(self.where)

    def draw(self, number: int, inputs: Tensor, targets: Tensor, state: Any) -> tuple[Tensor, Tensor]:
        """The step's candidates, the same on every process: the words of all of them, and words drawn from a common seed."""
        certain = torch.zeros(len(self.corpus.vocabulary), dtype=torch.bool, device=self.where)
        for held in (inputs, targets, *_words_in(state)):
            certain[held.flatten()] = True
        certain[self.corpus.vocabulary.end] = True  # stands before the text
        if _processes() > 1:
            marks = certain.to(torch.uint8)
            dist.all_reduce(marks, dist.ReduceOp.MAX)
            certain = marks.bool()
        uniform = np.random.default_rng([self.settings["seed"], number, 1]).random(self.sampled)
        drawn = np.minimum(np.searchsorted(self.cumulative, uniform, side="right"), len(self.cumulative) - 1)
        return candidates(certain, torch.from_numpy(drawn).to(self.where), self.log_inclusion)

    # ---- judging, planning
    def held_out(self) -> float:
        """Nats a word on the validation text; the first process judges, all hear it."""
        end = self.corpus.vocabulary.end
        with self.mean.in_place():
            return float(_shared(evaluate(self.model, self.corpus.valid, end=end).loss if _rank() == 0 else 0.0))

    def settle(self) -> None:
        """Leave the model with the parameters it was judged with."""
        self.mean.exchange()

    def make_plan(self, limits: _Limits) -> list[int]:
        """Steps at which to judge, from 0 to the end of the run: each epoch, or as often as costs 5 % of the time."""
        steps = math.inf if limits.epochs is None else max(1, round(limits.epochs * self.per_epoch))
        judgings = math.inf
        if limits.left() is not None:
            a_step, a_judging = self.measured(limits)
            left, _ = limits.left() or (0.0, clock.monotonic)
            judgings = max(1, int(0.05 * left / a_judging))
            steps = min(steps, max(1, int((left - a_judging) / a_step)))
            judgings = max(1, min(judgings, math.ceil(steps / self.per_epoch)))
            steps = min(steps, max(1, int((left - judgings * a_judging) / a_step)))
        if math.isinf(judgings):
            return [*range(0, int(steps), self.per_epoch), int(steps)]
        return [0, *(round(steps * k / judgings) for k in range(1, int(judgings) + 1))]

    def measured(self, limits: _Limits) -> tuple[float, float]:
        """Seconds a step, and seconds a judging, measured on steps that are then forgotten."""
        budget, now = limits.left() or (0.0, clock.monotonic)
        before = copy.deepcopy(self.state_dict())
        self.plan = [0, 10**9]
        for number in range(5):  # the first steps fetch code and memory
            self.step(number)
        taken: list[float] = []
        began = now()
        while len(taken) < 10 or (now() - began < 0.03 * budget and len(taken) < self.per_epoch - 5):
            start = now()
            self.step(5 + len(taken))
            taken.append(now() - start)
        a_step = float(np.median(taken))
        few = self.corpus.valid[: 2000 + len(self.corpus.valid) // 100]
        began = now()
        evaluate(self.model, few, end=self.corpus.vocabulary.end)
        a_judging = (now() - began) * len(self.corpus.valid) / len(few)
        self.load_state_dict(before)
        self.furthest = 0
        return a_step, a_judging

    def tokens_until(self, steps: int) -> int:
        """Words learned from after so many steps."""
        epochs, places = divmod(steps, self.per_epoch)
        return self.batch * (epochs * self.rows + min(places * self.time, self.rows))

    def cpu_seconds(self) -> float:
        """CPU time of this run."""
        return self.spent + clock.process_time() - self.cpu_began

    # ---- to and from a file
    def state_dict(self) -> dict[str, Any]:
        """All that later steps depend on; generators are made anew for each step."""
        return {
            "model": dict(self.model.state_dict()),
            "tables": self.table_steps.state_dict(),
            "dense": self.dense_steps.state_dict() if self.dense_steps is not None else None,
            "mean": self.mean.state_dict(),
            "carried": _gathered(_on_cpu(self.state)),
            "run": {"settings": self.settings, "plan": self.plan, "reached": self.reached, "recent": self.recent},
            "cpu_seconds": self.cpu_seconds(),
        }

    def load_state_dict(self, saved: Any) -> None:
        """Go on from what ``state_dict`` gave."""
        self.model.load_state_dict(saved["model"])
        self.table_steps.load_state_dict(saved["tables"])
        if self.dense_steps is not None:
            self.dense_steps.load_state_dict(saved["dense"])
        self.mean.load_state_dict(saved["mean"])
        self.state = _map_tensors(saved["carried"][_rank()], lambda t: t.to(self.where))
        self.plan, self.reached, self.recent = (saved["run"][key] for key in ("plan", "reached", "recent"))
        self.furthest = max(self.furthest, self.reached)
        if self.spent == 0.0:
            self.spent = saved["cpu_seconds"]


def _rows(tokens: int, batch: int, time: int) -> tuple[int, int]:
    """Words a row, and steps an epoch; fewer than `batch` words are left out of an epoch, others in each."""
    length = tokens // batch
    return length, math.ceil(length / time)


def _schedule(step: int, steps: int, falls: bool = True) -> float:
    """Factor of the rate: up over the first hundredth, then along a cosine down to a hundredth, where it falls."""
    warm = max(1, steps // 100)
    cosine = 0.01 + 0.99 * (1 + math.cos(math.pi * step / steps)) / 2
    return min(1.0, (step + 1) / warm) * (cosine if falls else 1.0)


def _stored_plan(saved: Any, settings: dict[str, Any]) -> list[int]:
    """The plan of a checkpoint that belongs to this run."""
    try:
        run = saved["learner"]["run"]
        found, plan = run["settings"], run["plan"]
    except (KeyError, TypeError, IndexError):
        raise CheckpointError("The file holds no run of a language model; give another name, or begin anew.") from None
    for name, wanted in settings.items():
        if found.get(name) != wanted:
            what = {"model": "another model", "corpus": "another corpus", "limits": "another length"}
            told = what.get(name, f"{name}={found.get(name)!r} instead of {wanted!r}")
            raise CheckpointError(
                f"The file's run was made with {told}; use the same again, or begin anew (no resume)."
            )
    return list(plan)


# ---- states ------------------------------------------------------------------------------------------------------------
def _map_tensors(state: Any, change: Callable[[Tensor], Tensor]) -> Any:
    if state is None:
        return None
    if isinstance(state, Tensor):
        return change(state)
    return tuple(_map_tensors(part, change) for part in state)


def _map_words(state: Any, numbers: Tensor) -> Any:
    """Give the words that a state holds other numbers."""
    return _map_tensors(state, lambda t: t if t.is_floating_point() else numbers[t])


def _detached(state: Any) -> Any:
    return _map_tensors(state, lambda t: t.detach())


def _on_cpu(state: Any) -> Any:
    return _map_tensors(state, lambda t: t.cpu().contiguous())


def _words_in(state: Any) -> Iterator[Tensor]:
    if isinstance(state, Tensor):
        if not state.is_floating_point():
            yield state
    elif state is not None:
        for part in state:
            yield from _words_in(part)


# ---- several processes -------------------------------------------------------------------------------------------------
def _processes() -> int:
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def _rank() -> int:
    return dist.get_rank() if _processes() > 1 else 0


def _shared(value: Any) -> Any:
    """What the first process has."""
    if _processes() == 1:
        return value
    box = [value]
    dist.broadcast_object_list(box)
    return box[0]


def _gathered(value: Any) -> list[Any]:
    """What every process has, in order."""
    if _processes() == 1:
        return [value]
    box: list[Any] = [None] * _processes()
    dist.all_gather_object(box, value)
    return box


def _agree_on_parameters(model: nn.Module) -> None:
    """Let all begin with the first process's parameters."""
    if _processes() > 1:
        for p in model.parameters():
            dist.broadcast(p.data, 0)


def _average_gradients(learned: list[Tensor]) -> None:
    if _processes() > 1:
        grads = [p.grad for p in learned if p.grad is not None]
        flat = torch.cat([grad.flatten() for grad in grads])
        dist.all_reduce(flat)
        for grad, mean in zip(grads, (flat / _processes()).split([grad.numel() for grad in grads]), strict=True):
            grad.copy_(mean.view_as(grad))


def _mean_over_processes(value: float) -> float:
    if _processes() == 1:
        return value
    total = torch.tensor(value, dtype=torch.float64)
    if dist.get_backend() == "nccl":
        total = total.cuda()
    dist.all_reduce(total)
    return float(total) / _processes()


def _seed_torch(seed: int, step: int, rank: int) -> None:
    """Dropout of one step on one process, whatever came before."""
    torch.manual_seed(int(np.random.SeedSequence([seed, step, rank]).generate_state(1)[0]))


# ---- progress ----------------------------------------------------------------------------------------------------------
class _WordProgress(Progress):
    """The line of a language model's run: epochs, loss, perplexity, speed, time left."""

    def __init__(self, learner: _WordLearner, vocabulary: Vocabulary, sample: int, glue: str, **more: Any) -> None:
        super().__init__(len(learner.plan) - 1, **more)
        self.learner, self.vocabulary, self.sample, self.glue = learner, vocabulary, sample, glue
        self.began: tuple[float, int] | None = None

    def line(self, epoch: int, batch: int, count: int, loss: float, history: History) -> str:
        """The line for one moment."""
        learner = self.learner
        done, total = learner.reached, learner.plan[-1]
        bar = "█" * int(20 * done / total) + "░" * (20 - int(20 * done / total))
        began, first = self.began or (self.clock(), done)
        passed, steps = self.clock() - began, done - first
        left = passed / steps * (total - done) if steps else math.nan
        words = learner.tokens_until(done) - learner.tokens_until(first)
        speed = f" · {words / passed:,.0f} words/s" if steps and passed > 0 else ""
        return f"{bar} {self.summary(history)}{speed} · {_duration(left)} left"

    def summary(self, history: History) -> str:
        """Epochs, loss and perplexities."""
        learner = self.learner
        held_out = f" · held out {_exp(history.held_out[-1]):.1f}" if history.held_out else ""
        return (
            f"epoch {learner.reached / learner.per_epoch:.1f}/{learner.plan[-1] / learner.per_epoch:.1f} · "
            f"loss {learner.recent:.3f} · perplexity {_exp(learner.recent):.1f}{held_out}"
        )

    def show(self, epoch: int, batch: int, count: int, loss: float, history: History) -> None:
        """See the base class; time spent on judging counts as well."""
        if self.began is None:
            self.began = self.clock(), self.learner.reached
        super().show(epoch, batch, count, loss, history)

    def epoch_done(self, history: History) -> None:
        """A judging is over."""
        if not (self.terminal or self.display):
            print(self.summary(history), file=self.stream, flush=True)
        if self.sample:
            written = generate(self.learner.model, self.vocabulary, length=self.sample, unknown=False)
            text = self.glue.join(written)
            if self.terminal:
                self.stream.write("\r" + " " * self.width + "\r")
            print(f"  {text}", file=self.stream, flush=True)

    def close(self, history: History) -> None:
        """The run is over: one line that stays."""
        words = {"finished": "finished", "early": "stopped early", "interrupted": "interrupted"}[history.stopped]
        best = f" · best held-out perplexity {_exp(history.best):.2f}" if history.best_epoch >= 0 else ""
        epochs = self.learner.reached / self.learner.per_epoch
        text = f"{words} after {epochs:.1f} epochs{best} · {_duration(history.seconds)}"
        if self.terminal or self.display:
            self._rewrite(text)
        else:
            print(text, file=self.stream, flush=True)
        if self.terminal:
            self.stream.write("\n")


def _exp(loss: float) -> float:
    return math.exp(loss) if loss < 700 else math.inf
