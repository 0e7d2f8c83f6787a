"""``nnlm train``: which models there are, how each is trained, and what a run reports."""

from __future__ import annotations

import importlib.metadata
import math
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np

from autograder import beside
from autograder.paths import ROOT

if TYPE_CHECKING:
    from torch import nn

    from course.kit.corpora import Corpus


class TrainingError(RuntimeError):
    """A run that cannot be; the message is one sentence. ``code`` is 2 where the command was called wrongly."""

    def __init__(self, sentence: str, code: int = 1) -> None:
        super().__init__(sentence)
        self.code = code


@dataclass(frozen=True)
class Recipe:
    """A neural model and how it is trained.

    Attributes:
        about: one line.
        build: takes the corpus and the model's settings, gives the model.
        model: the model's settings.
        training: settings of ``course.kit.language_models.train``.
    """

    about: str
    build: Callable[..., nn.Module]
    model: Mapping[str, Any]
    training: Mapping[str, Any]

    def with_settings(self, changes: Mapping[str, Any]) -> Recipe:
        """The same with other settings, each known by its name."""
        known = {**self.model, **self.training}
        for name in changes:
            if name not in known:
                raise TrainingError(f"There is no setting '{name}'; there are {', '.join(known)}.", 2)
        model, training = (
            {name: changes.get(name, value) for name, value in mine.items()} for mine in (self.model, self.training)
        )
        return Recipe(self.about, self.build, model, training)


def _feed_forward(corpus: Corpus, **settings: Any) -> nn.Module:
    from solutions.neural_lm import FeedForwardLM

    return FeedForwardLM(len(corpus.vocabulary), end=corpus.vocabulary.end, **settings)


def _recurrent(corpus: Corpus, **settings: Any) -> nn.Module:
    from solutions.neural_lm import ElmanLM

    return ElmanLM(len(corpus.vocabulary), **settings)


def _with_topics(corpus: Corpus, topics: int, **settings: Any) -> nn.Module:
    from solutions.topic_lm import TopicLM
    from solutions.topics import lda_topics

    ends = np.concatenate([[0], np.cumsum(corpus.train == corpus.vocabulary.end)[:-1]])  # sentences before each word
    found = lda_topics(ends // 10, corpus.train.astype(np.int64), len(corpus.vocabulary), topics)
    return TopicLM(found, **settings)


def _highway(corpus: Corpus, **settings: Any) -> nn.Module:
    from solutions.highway_lm import HighwayLM

    return HighwayLM(len(corpus.vocabulary), **settings)


def _gated(corpus: Corpus, **settings: Any) -> nn.Module:
    from solutions.gated_lm import LstmLM

    return LstmLM(len(corpus.vocabulary), **settings)


def _transformer(corpus: Corpus, **settings: Any) -> nn.Module:
    from solutions.transformer_lm import TransformerLM

    return TransformerLM(len(corpus.vocabulary), **settings)


#: What the recipes have in common, unless they say otherwise.
_COMMON = {
    "clip": 0.5,
    "draws": 512,
    "decay": 0.0,
    "optimiser": "adam",
    "averaged": 0.0,
    "counted": True,
    "every": 1000,
}


#: Order of each n-gram model.
NGRAMS = {"kn3": 3, "kn5": 5}
RECIPES = {
    "fnn": Recipe(
        "feed-forward network of Bengio et al. 2003",
        _feed_forward,
        {"order": 7, "embedding": 200, "hidden": 200, "dropout": 0.1, "direct": False, "tied": True},
        {**_COMMON, "batch": 64, "time": 8, "rate": 2e-3},
    ),
    "rnn": Recipe(
        "recurrent network of Elman 1990",
        _recurrent,
        {"features": 300, "layers": 1, "dropout": 0.15, "tied": True},
        {**_COMMON, "batch": 16, "time": 20, "rate": 2e-3},
    ),
    "rnn_lda": Recipe(
        "recurrent network that hears topics, Mikolov and Zweig 2012",
        _with_topics,
        {"features": 300, "dropout": 0.15, "topics": 40, "memory": 0.95},
        {**_COMMON, "batch": 16, "time": 20, "rate": 2e-3},
    ),
    "lstm": Recipe(
        "LSTM with tied weights and dropout between its layers, Zaremba et al. 2014",
        _gated,
        {"features": 300, "layers": 1, "dropout": 0.25, "shared": True, "drop_connect": 0.0, "tied": True},
        {**_COMMON, "batch": 16, "time": 35, "rate": 3e-3},
    ),
    "awd_lstm": Recipe(
        "LSTM that also leaves out recurrent weights, Merity et al. 2018",
        _gated,
        {"features": 300, "layers": 2, "dropout": 0.25, "shared": True, "drop_connect": 0.3, "tied": True},
        {**_COMMON, "batch": 16, "time": 35, "rate": 3e-3, "averaged": 0.3},
    ),
    "rhn": Recipe(
        "recurrent highway network of Zilly et al. 2017",
        _highway,
        {"features": 400, "depth": 3, "dropout": 0.3, "inner": 0.1, "carry": -2.0},
        {**_COMMON, "batch": 16, "time": 25, "rate": 2e-3},
    ),
    "transformer": Recipe(
        "decoder-only Transformer of Vaswani et al. 2017, pre-norm",
        _transformer,
        {"context": 64, "features": 160, "heads": 4, "layers": 2, "dropout": 0.1, "tied": True, "sinusoidal": False},
        {**_COMMON, "batch": 16, "time": 64, "rate": 3e-3},
    ),
}
MODELS = (*NGRAMS, *RECIPES)


@dataclass(frozen=True)
class Request:
    """What ``nnlm train`` was asked for; see its help."""

    model: str
    data: str
    data_dir: str | None = None
    device: str = "cpu"
    minutes: float | None = None
    epochs: float | None = None
    cpu_seconds: float | None = None
    threads: int | None = None
    seed: int = 0
    checkpoint: str | None = None
    resume: bool = True
    softmax: str = "sampled"
    precision: str = "float32"
    deterministic: bool = False
    patience: int | None = None
    text: int = 0
    also: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)

    def check(self) -> None:
        """Say what makes no sense.

        Raises:
            TrainingError: with one sentence.
        """
        if self.model not in MODELS:
            raise TrainingError(f"There is no model '{self.model}'; choose one of {', '.join(MODELS)}.", 2)
        for name, value, known in (
            ("--softmax", self.softmax, ("full", "sampled")),
            ("--precision", self.precision, ("float32", "bf16", "auto")),
            ("--device", self.device, ("cpu", "cuda")),
        ):
            if value not in known:
                raise TrainingError(f"{name} is {' or '.join(known)}, not '{value}'.", 2)
        limits = ("--minutes", self.minutes), ("--epochs", self.epochs), ("--cpu-seconds", self.cpu_seconds)
        for name, limit in limits:
            if limit is not None and not 0 < limit < math.inf:
                raise TrainingError(f"{name} must be above 0.", 2)
        for name, number in (("--threads", self.threads), ("--patience", self.patience)):
            if number is not None and number < 1:
                raise TrainingError(f"{name} must be 1 or more.", 2)
        for way in self.also:
            if way not in beside.WAYS:
                raise TrainingError(f"--also is one of {', '.join(beside.WAYS)}, not '{way}'.", 2)
        if self.also and self.model in NGRAMS:
            raise TrainingError("--also goes with a neural model.", 2)
        if self.model in RECIPES:
            RECIPES[self.model].with_settings(self.settings)
        elif self.settings:
            raise TrainingError("An n-gram model has no settings.", 2)


def corpus_of(request: Request) -> Corpus:
    """The corpus that was asked for."""
    from course.kit import corpora

    try:
        return corpora.load(request.data, **({"data_dir": request.data_dir} if request.data_dir else {}))
    except ValueError as error:
        raise TrainingError(_sentence(error), 2) from None
    except corpora.CorpusMissing as error:
        raise TrainingError(_sentence(error)) from None


def run(request: Request, command: str, stream: TextIO | None = None) -> dict[str, Any]:
    """Train a model, judge it by every word of the test text, and say what came of it.

    Args:
        request: what to do.
        command: how it was asked for, for the record.
        stream: where progress and text go; None keeps quiet.

    Returns:
        The result, ready for JSON; {} on all but the first of several processes.

    Raises:
        TrainingError: it cannot be done.
    """
    request.check()
    made_by = version()  # now: by the end the files may be others
    corpus = corpus_of(request)
    result: dict[str, Any] = {"model": request.model, "data": corpus.name}
    if request.model in NGRAMS:
        result |= _count(NGRAMS[request.model], corpus)
    else:
        result |= _learn(request, corpus, stream)
        if "test_ppl" not in result:
            return {}
    if corpus.entropy is not None:
        result["limit_ppl"] = math.exp(corpus.entropy)
    return result | {"seed": request.seed, "command": command, "version": made_by}


def _count(order: int, corpus: Corpus) -> dict[str, Any]:
    from solutions.ngrams import KneserNey

    began, cpu_began = time.monotonic(), time.process_time()
    model = KneserNey(order).fit(corpus.train, len(corpus.vocabulary), end=corpus.vocabulary.end)
    seconds, cpu_seconds = time.monotonic() - began, time.process_time() - cpu_began
    valid, test = (model.log_probabilities(part) for part in (corpus.valid, corpus.test))
    return {
        "test_ppl": float(np.exp(-test.mean())),
        "valid_ppl": float(np.exp(-valid.mean())),
        "tokens": len(test),
        "valid_tokens": len(valid),
        "parameters": model.parameters,
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "device": "cpu",
    }


def _learn(request: Request, corpus: Corpus, stream: TextIO | None) -> dict[str, Any]:
    import torch

    from course.kit.devices import computes_bfloat16
    from course.kit.language_models import evaluate, train
    from course.kit.training import CheckpointError

    began = time.monotonic()
    recipe = RECIPES[request.model].with_settings(request.settings)
    if request.threads is not None:
        torch.set_num_threads(request.threads)
    limits: dict[str, Any] = {"minutes": request.minutes, "epochs": request.epochs, "cpu_seconds": request.cpu_seconds}
    if not any(limits.values()):
        limits["minutes"] = 2.0
    training = dict(recipe.training)
    draws = training.pop("draws")
    precision = request.precision
    if precision == "auto":
        precision = "bf16" if computes_bfloat16(request.device) else "float32"
    with _processes(request.device) as (first, device), _determined(request.deterministic):
        torch.manual_seed(request.seed)
        try:
            model = recipe.build(corpus, **recipe.model)
            history = train(
                model,
                corpus,
                **limits,
                **training,
                sampled=min(draws, len(corpus.vocabulary)) if request.softmax == "sampled" else None,
                device=device,
                precision=precision,
                seed=request.seed,
                checkpoint=request.checkpoint,
                resume=request.resume,
                patience=request.patience,
                progress=stream if stream is not None else False,
                sample=request.text,
            )
        except CheckpointError as error:
            raise TrainingError(_sentence(error)) from None
        except (ValueError, TypeError) as error:
            raise TrainingError(_sentence(error), 2) from None
        if not first:
            return {}
        valid, test = (evaluate(model, part, end=corpus.vocabulary.end) for part in (corpus.valid, corpus.test))
        together = beside.judge(model, corpus, request.also) if request.also else {}
    return {
        "test_ppl": test.perplexity,
        "valid_ppl": valid.perplexity,
        "tokens": test.tokens,
        "valid_tokens": valid.tokens,
        "parameters": sum(p.numel() for p in model.parameters()),
        "seconds": history.seconds,
        "cpu_seconds": history.cpu_seconds,
        "process_cpu_seconds": time.process_time(),
        "seconds_in_all": time.monotonic() - began,
        "device": "cpu" if device == "cpu" else torch.cuda.get_device_name(),
        "threads": torch.get_num_threads(),
        "processes": int(os.environ.get("WORLD_SIZE", "1")),
        "softmax": request.softmax,
        "precision": precision,
        "stopped": history.stopped,
        "epochs": history.epochs,
        "steps": history.steps,
        "planned_steps": history.planned,
        "settings": {**recipe.model, **recipe.training},
        **together,
        **({"text": _text(model, corpus, request)} if request.text else {}),
    }


def _text(model: nn.Module, corpus: Corpus, request: Request) -> str:
    from course.kit.language_models import generate

    glue = "" if corpus.unit == "character" else " "
    words = generate(model, corpus.vocabulary, length=request.text, temperature=0.8, seed=request.seed, unknown=False)
    return glue.join(words)


@contextmanager
def _processes(device: str) -> Iterator[tuple[bool, str]]:
    """Join the other processes that torchrun started, if it did: whether this is the first, and its device."""
    import torch
    import torch.distributed as dist

    if device == "cuda" and not torch.cuda.is_available():
        raise TrainingError("PyTorch sees no CUDA GPU here; leave out --device to compute on the CPU.")
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield True, device
        return
    if device == "cuda":
        device = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device != "cpu" else "gloo")
    try:
        yield dist.get_rank() == 0, device
    finally:
        dist.destroy_process_group()


@contextmanager
def _determined(wanted: bool) -> Iterator[None]:
    """Use only algorithms that give the same bits each time."""
    import torch

    if not wanted:
        yield
        return
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS reads it when it is first used
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)


def setting(text: str) -> tuple[str, Any]:
    """Read NAME=VALUE; a value is a number, true, false, or a word.

    Raises:
        TrainingError: there is no "=".
    """
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise TrainingError(f"A setting is NAME=VALUE, not '{text}'.", 2)
    if value in ("true", "false"):
        return name, value == "true"
    for kind in (int, float):
        try:
            return name, kind(value)
        except ValueError:
            continue
    return name, value


#: Files that say what runs gave: writing one does not make the code another.
RESULTS = (
    "assets/leaderboard.json",
    "assets/figures/leaderboard.svg",
    "docs/leaderboard.md",
    "docs/language_models.md",
)


def version() -> str:
    """Version of the course, with the commit where git knows one, and "dirty" where the code has been changed since."""
    number = importlib.metadata.version("nnlm-course")
    commit = _git("describe", "--always")
    if not commit:
        return number
    changed = _git(
        "status", "--porcelain", "--untracked-files=no", "--", ".", *(f":(exclude){name}" for name in RESULTS)
    )
    return f"{number}+{commit}{'-dirty' if changed else ''}"


def _git(*arguments: str) -> str:
    """What git says; nothing where it is not there or knows nothing of this folder."""
    try:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def to_lines(result: Mapping[str, Any]) -> list[str]:
    """A result in words."""
    spent = f"{result['cpu_seconds']:.1f} CPU seconds" if result["device"] == "cpu" else f"{result['seconds']:.0f} s"
    lines = [
        f"{result['model']} on {result['data']}: test perplexity {result['test_ppl']:.2f} over all {result['tokens']:,} tokens, "
        f"validation {result['valid_ppl']:.2f}; {result['parameters']:,} parameters, {spent} on {result['device']}"
    ]
    for name, words in (*beside.WAYS.items(), ("cache_kn5", "mixed with both")):
        if f"test_ppl_{name}" in result:
            lines.append(f"{words}: test perplexity {result[f'test_ppl_{name}']:.2f}")
    if "limit_ppl" in result:
        lines.append(f"No model can go below {result['limit_ppl']:.3f} on average: that is the source's own.")
    if result.get("stopped") == "interrupted":
        lines.append("It was interrupted; this is the best it had.")
    if "text" in result:
        lines += ["", result["text"]]
    return lines


def _sentence(error: Exception) -> str:
    text = str(error)
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "?")) else ".")
