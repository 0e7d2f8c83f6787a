"""What an exercise is: one definition that every front reads.

An exercise is a decorated generator in ``autograder/exercises/``. Its docstring is its promise to the student; it yields input
cases from the random generator it is given; expected values come from the reference in ``solutions``. See :func:`exercise`.

A definition becomes a :class:`Sheet`: questions with everything needed to ask and to judge them, and no reference. Frozen
sheets serve the notebook; fresh ones, from a secret seed, serve grading.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import inspect
import textwrap
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeVar

import numpy as np

from autograder.gradients import disagreement
from autograder.sandbox.calling import Answer, Raised, call, load_source, materialise
from autograder.sandbox.wire import Seed, decode, encode

__all__ = [
    "Case",
    "Exercise",
    "ExerciseError",
    "Explanation",
    "Gradient",
    "Misconception",
    "Question",
    "Seed",
    "Sheet",
    "case",
    "exercise",
    "explanation",
]

F = TypeVar("F", bound=Callable[..., Any])


class ExerciseError(Exception):
    """A definition that cannot work; the message names the file and the line."""


@dataclass(frozen=True)
class Case:
    """Inputs of one call, with the data that the trusted side holds back for a criterion."""

    inputs: dict[str, Any]
    label: str = ""
    held: dict[str, Any] = field(default_factory=dict)

    def hold(self, **held: Any) -> Case:
        """Keep data that never reach the student; a criterion receives them."""
        return replace(self, held=held)


def case(label: str = "", /, **inputs: Any) -> Case:
    """One call's inputs by name, with an optional label that the student reads."""
    return Case(inputs, label)


@dataclass(frozen=True)
class Gradient:
    """Names the function whose gradient an exercise computes, so that numerical differentiation can judge it.

    ``upstream`` is the input that carries ∂loss/∂output; without one the forward must return a scalar.
    """

    forward: Callable[..., Any]
    wrt: tuple[str, ...]
    upstream: str | None


@dataclass(frozen=True)
class Misconception:
    """A typical wrong implementation and the sentence that names its cause."""

    name: str
    sentence: str
    implementation: Callable[..., Any]

    @property
    def source(self) -> str:
        """Source of the wrong implementation, without its decorator."""
        return source_of(self.implementation)


@dataclass(frozen=True)
class Question:
    """One case, ready to ask and to judge. ``mistakes`` has the answers of the known mistakes.

    ``reference`` is the reference's answer, or what computes it: where a criterion judges, it is only needed to be shown.
    """

    inputs: dict[str, Any]
    reference: Answer | Callable[[], Answer]
    label: str = ""
    held: dict[str, Any] = field(default_factory=dict)
    mistakes: Mapping[str, Answer] = field(default_factory=dict)
    terms: Mapping[str, Any] = field(default_factory=dict)  # the parts of a sum by name, each shaped like the answer

    @cached_property
    def expected(self) -> Answer:
        """The reference's answer."""
        return self.reference() if callable(self.reference) else self.reference

    @property
    def promised(self) -> Raised | None:
        """The error that these inputs should raise, or None. A reference that is yet to be asked raises none."""
        return None if callable(self.reference) else self.reference.raised


class OnDemand(Mapping[str, Any]):
    """Values that are computed when they are first asked for; a right answer never asks for those of the mistakes."""

    def __init__(self, makers: dict[str, Callable[[], Any]]) -> None:
        self._makers = makers
        self._made: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._made:
            self._made[name] = self._makers[name]()
        return self._made[name]

    def __contains__(self, name: object) -> bool:
        return name in self._makers

    def __iter__(self) -> Iterator[str]:
        return iter(self._makers)

    def __len__(self) -> int:
        return len(self._makers)


@dataclass(frozen=True)
class Sheet:
    """Everything needed to ask and to judge one exercise, without its reference."""

    name: str
    promise: str
    points: float
    returns: tuple[str, ...]
    rtol: float | None
    atol: float | None
    probe: str | None
    criterion: str | None
    sentences: dict[str, str]  # misconception → what the student reads
    questions: tuple[Question, ...]
    seed: str
    wrt: tuple[str, ...] = ()  # for a gradient: the inputs it is taken by, in the order of the answer
    upstream: str | None = None  # and the input that carries ∂loss/∂output
    measure: str | None = None  # source of what turns a returned value into what is judged, on the trusted side

    def measured(self, inputs: dict[str, Any], answer: Answer) -> Answer:
        """An answer with what is judged in the place of what came back; :meth:`Exercise.measure` says what that is."""
        return _measured(self.measure, inputs, answer)


class Exercise:
    """One exercise, made by :func:`exercise`."""

    def __init__(
        self,
        cases: Callable[[np.random.Generator], Iterator[Case]],
        reference: Callable[..., Any],
        points: float,
        returns: tuple[str, ...],
        rtol: float | None,
        atol: float | None,
        costly: bool = False,
    ) -> None:
        self.costly = costly
        self.cases, self.reference, self.points, self.returns = cases, reference, points, returns
        self.rtol, self.atol = rtol, atol
        self.name: str = getattr(cases, "__name__", "?")
        self.module: str = cases.__module__
        self.where = _where(cases)
        self.promise = inspect.getdoc(cases) or ""
        self.mistakes: list[Misconception] = []
        self.variants: list[Callable[..., Any]] = []
        self.terms: dict[str, Callable[..., Any]] = {}
        self.gradient: Gradient | None = None
        self._probe: Callable[..., Any] | None = None
        self._criterion: Callable[..., Any] | None = None
        self._measure: Callable[..., Any] | None = None
        self.without: tuple[str, ...] | None = None
        if not self.promise:
            raise ExerciseError(
                f"{self.where}: exercise '{self.name}' has no docstring; write its promise to the student."
            )
        if getattr(reference, "__name__", None) != self.name:
            raise ExerciseError(
                f"{self.where}: exercise '{self.name}' must carry the name of its reference, "
                f"'{getattr(reference, '__name__', reference)}'."
            )
        if points < 0:
            raise ExerciseError(f"{self.where}: exercise '{self.name}' has negative points.")

    # ---- the definition's own vocabulary -------------------------------------------------------------------------
    def mistake(self, sentence: str) -> Callable[[F], F]:
        """Add a typical wrong implementation with the sentence that names its cause (60 words at most)."""

        def add(function: F) -> F:
            name = function.__name__
            if any(m.name == name for m in self.mistakes):
                raise ExerciseError(f"{_where(function)}: exercise '{self.name}' has two mistakes called '{name}'.")
            if not sentence or len(sentence.split()) > 60:
                raise ExerciseError(f"{_where(function)}: the sentence of '{name}' must have 1 to 60 words.")
            self.mistakes.append(Misconception(name, sentence, function))
            return function

        return add

    def variant(self, function: F) -> F:
        """Add an honest implementation in another style; it must pass."""
        self.variants.append(function)
        return function

    def term(self, name: str) -> Callable[[F], F]:
        """Name one term of the sum that makes the answer: a function of the inputs with the answer's own structure.

        When a student's answer lacks exactly this term, or has it twice, the feedback says so by its name.
        """

        def add(function: F) -> F:
            self.terms[name] = function
            return function

        return add

    def probe(self, function: F) -> F:
        """Give the code that runs next to the student's object and turns inputs into arrays: ``probe(student, **inputs)``."""
        self._probe = function
        return function

    def measure(self, function: F) -> F:
        """Judge ``measure(value, **inputs)`` instead of the value that came back; the trusted side computes it.

        So student code hands over what it made, weights say, and has no part in what is computed with them.
        """
        self._measure = function
        return function

    def criterion(self, function: F) -> F:
        """Judge by ``criterion(outputs, held)`` → None or a sentence, instead of by equality with the reference."""
        self._criterion = function
        return function

    def gradient_of(self, forward: Callable[..., Any], wrt: tuple[str, ...], upstream: str | None = None) -> None:
        """Declare that the exercise returns the gradients of ``forward`` with respect to ``wrt``, in that order."""
        self.gradient = Gradient(forward, wrt, upstream)

    def does_without(self, *modules: str) -> None:
        """Name the modules whose use is flagged in a submission; by default it follows from the reference."""
        self.without = modules

    # ---- what the fronts read ------------------------------------------------------------------------------------
    @property
    def probe_source(self) -> str | None:
        """Source of the probe, or None when the student's function is called directly."""
        return source_of(self._probe) if self._probe else None

    @property
    def criterion_source(self) -> str | None:
        """Source of the criterion, or None when answers are compared with the reference's."""
        return source_of(self._criterion) if self._criterion else None

    @property
    def measure_source(self) -> str | None:
        """Source of the measure, or None when what came back is judged as it is."""
        return source_of(self._measure) if self._measure else None

    def generate(self, seed: str) -> list[Case]:
        """The cases of one seed; the same seed gives the same cases.

        Raises:
            ExerciseError: there are no cases, or a case's inputs do not fit the reference's parameters.
        """
        digest = hashlib.sha256(f"{seed}:{self.name}".encode()).digest()
        cases = list(self.cases(np.random.default_rng(int.from_bytes(digest[:16], "little"))))
        if not cases:
            raise ExerciseError(f"{self.where}: exercise '{self.name}' yields no case.")
        if self._probe is None:
            signature = inspect.signature(self.reference)
            for entry in cases:
                try:
                    signature.bind(**entry.inputs)
                except TypeError as error:
                    raise ExerciseError(
                        f"{self.where}: a case of '{self.name}' does not fit its reference: {error}."
                    ) from None
        return cases

    def sheet(self, seed: str, *, mistakes: bool = True) -> Sheet:
        """Questions of one seed with the answers of the reference and (unless told otherwise) of every known mistake."""
        questions = []
        for entry in self.generate(seed):
            later = functools.partial(self._expected, entry)
            reference = later if self.costly and self._criterion else later()
            wrong, terms = self._mistaken(entry), self._terms_of(entry)
            if not mistakes:
                wrong = terms = OnDemand({})
            questions.append(Question(entry.inputs, reference, entry.label, entry.held, wrong, terms))
        return Sheet(
            name=self.name,
            promise=self.promise.splitlines()[0],
            points=self.points,
            returns=self.returns,
            rtol=self.rtol,
            atol=self.atol,
            probe=self.probe_source,
            criterion=self.criterion_source,
            sentences={m.name: m.sentence for m in self.mistakes},
            questions=tuple(questions),
            seed=seed,
            wrt=self.gradient.wrt if self.gradient else (),
            upstream=self.gradient.upstream if self.gradient else None,
            measure=self.measure_source,
        )

    def _expected(self, entry: Case) -> Answer:
        expected = _measured(self.measure_source, entry.inputs, call(self.reference, entry.inputs, self.probe_source))
        if expected.status == "raised" and (self.costly or not self._may_raise(expected)):
            raised = expected.raised
            raise ExerciseError(f"{self.where}: the reference of '{self.name}' fails: {raised and raised.message}")
        return expected

    def _mistaken(self, entry: Case) -> OnDemand:
        probe, measure = self.probe_source, self.measure_source

        def answer(implementation: Callable[..., Any]) -> Answer:
            return _measured(measure, entry.inputs, call(implementation, entry.inputs, probe))

        return OnDemand({m.name: functools.partial(answer, m.implementation) for m in self.mistakes})

    def _terms_of(self, entry: Case) -> OnDemand:
        def value(function: Callable[..., Any]) -> Any:
            return call(function, entry.inputs).value

        return OnDemand({name: functools.partial(value, function) for name, function in self.terms.items()})

    def verify(self, seed: str) -> None:
        """Hold the reference to numerical differentiation on the cases of a seed; the two oracles must not disagree.

        Raises:
            ExerciseError: they do.
        """
        assert self.gradient is not None
        for number, entry in enumerate(self.generate(seed), 1):
            answer = call(self.reference, entry.inputs, self.probe_source)
            answer = _measured(self.measure_source, entry.inputs, answer)
            if answer.status == "raised":
                continue  # a case about bad input
            value = answer.value if len(self.gradient.wrt) > 1 else (answer.value,)
            given = {name: materialise(item) for name, item in entry.inputs.items()}
            wrong = disagreement(self.gradient.forward, given, self.gradient.wrt, self.gradient.upstream, value)
            if wrong:
                raise ExerciseError(f"{self.where}: case {number} of '{self.name}': the reference's {wrong}.")

    @staticmethod
    def _may_raise(answer: Answer) -> bool:
        # A promise about bad input: the reference says ValueError or TypeError, and so must the student.
        return answer.raised is not None and answer.raised.type_name in ("ValueError", "TypeError")

    def __repr__(self) -> str:
        return f"<exercise {self.name}, {self.points:g} points>"


def _measured(measure: str | None, inputs: dict[str, Any], answer: Answer) -> Answer:
    if measure is None or answer.status != "returned":
        return answer
    function: Callable[..., Any] = load_source(measure, "<measure>")
    given = {name: materialise(value) for name, value in inputs.items()}
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return replace(answer, value=decode(*encode(function(answer.value, **given))))
    except Exception as error:  # what came back has another form
        return replace(answer, status="raised", value=None, raised=Raised(type(error).__name__, str(error)[:300]))


def exercise(
    reference: Callable[..., Any],
    *,
    points: float,
    returns: tuple[str, ...] = (),
    rtol: float | None = None,
    atol: float | None = None,
    costly: bool = False,
) -> Callable[[Callable[[np.random.Generator], Iterator[Case]]], Exercise]:
    """Define an exercise by decorating the generator of its cases.

    Args:
        reference: the solution; its name is the exercise's name.
        points: what it is worth.
        returns: names for the elements of a returned tuple, as the student will read them.
        rtol: relative tolerance; by default derived from the dtype of the expected value.
        atol: absolute tolerance; by default derived from the dtype and the largest expected entry.
        costly: the reference takes long, raises for no case, and a criterion judges: it is asked only where its answer is shown.
    """

    def define(cases: Callable[[np.random.Generator], Iterator[Case]]) -> Exercise:
        made = Exercise(cases, reference, float(points), tuple(returns), rtol, atol, costly)
        _register(made)
        return made

    return define


@dataclass(frozen=True)
class Explanation:
    """A question that a person grades, with its rubric and a model answer (Markdown)."""

    name: str
    points: float
    question: str
    rubric: tuple[tuple[float, str], ...]
    answer: str
    module: str
    where: str

    @cached_property
    def rubric_markdown(self) -> str:
        """The rubric as a Markdown list."""
        return "\n".join(f"* **{points:g}** – {text}" for points, text in self.rubric)


def explanation(
    name: str, *, points: float, question: str, rubric: Iterable[tuple[float, str]], answer: str
) -> Explanation:
    """Define a manually graded question.

    Raises:
        ExerciseError: the rubric's points do not add up, or a text is empty.
    """
    caller = inspect.stack()[1]
    where = f"{_relative(caller.filename)}:{caller.lineno}"
    rows = tuple((float(p), text) for p, text in rubric)
    if abs(sum(p for p, _ in rows) - points) > 1e-9:
        total = sum(p for p, _ in rows)
        raise ExerciseError(f"{where}: the rubric of '{name}' adds up to {total:g} points, not {points:g}.")
    if not question.strip() or not answer.strip():
        raise ExerciseError(f"{where}: explanation '{name}' needs a question and a model answer.")
    module = caller.frame.f_globals["__name__"]
    made = Explanation(
        name, float(points), textwrap.dedent(question).strip(), rows, textwrap.dedent(answer).strip(), module, where
    )
    _register(made)
    return made


@functools.cache
def source_of(function: Callable[..., Any]) -> str:
    """Source of a function or class without decorators, dedented: how mistakes, probes and criteria travel."""
    text = textwrap.dedent(inspect.getsource(function))
    node = ast.parse(text).body[0]
    assert isinstance(node, (ast.FunctionDef, ast.ClassDef))
    return "\n".join(text.splitlines()[node.lineno - 1 : node.end_lineno]) + "\n"


_DEFINED: dict[tuple[str, str], Exercise | Explanation] = {}


def _register(made: Exercise | Explanation) -> None:
    before = _DEFINED.get((made.module, made.name))
    if before is not None and before.where != made.where:
        raise ExerciseError(
            f"{made.where}: '{made.name}' is already defined at {before.where}; give one of them another name."
        )
    _DEFINED[made.module, made.name] = made


def defined_in(module: str) -> dict[str, Exercise | Explanation]:
    """What an imported module has defined, by name, in order."""
    return {name: made for (where, name), made in _DEFINED.items() if where == module}


def _where(function: Callable[..., Any]) -> str:
    code = getattr(function, "__code__", None)
    return f"{_relative(code.co_filename)}:{code.co_firstlineno}" if code else getattr(function, "__module__", "?")


def _relative(filename: str) -> str:
    from pathlib import Path

    root = Path(__file__).resolve().parent.parent
    path = Path(filename)
    return str(path.relative_to(root)) if path.is_relative_to(root) else filename
