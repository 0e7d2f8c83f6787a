"""Call one function with given inputs and turn whatever happens into an :class:`Answer`.

The same code runs in the student's kernel (``check``) and in the sandbox (grading), so both see the same thing.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import io
import linecache
import math
import signal
import site
import sysconfig
import threading
import traceback
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from types import CodeType
from typing import Any

import numpy as np

from autograder.sandbox.wire import Opaque, Seed, Tensor, decode, encode

PRINTED_LIMIT = 2_000
_OURS = str(Path(__file__).resolve().parent.parent)
_LIBRARIES = tuple(
    {
        str(Path(p).resolve())
        for p in (*site.getsitepackages(), sysconfig.get_path("stdlib"), site.getusersitepackages())
    }
)


@dataclass(frozen=True)
class Raised:
    """An exception that left the student's code."""

    type_name: str
    message: str
    line_number: int | None = None  # in the student's own cell
    line: str = ""


@dataclass(frozen=True)
class Answer:
    """What came of one call.

    ``status`` is ``"returned"``, ``"raised"``, ``"missing"`` (nothing of that name is defined), ``"timeout"`` or ``"died"``.
    """

    status: str
    value: Any = None
    raised: Raised | None = None
    changed_inputs: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    printed: str = ""
    reason: str = ""  # for "timeout" and "died": what stopped it

    def to_data(self) -> dict[str, Any]:
        """As plain data for the wire."""
        return {
            "status": self.status,
            "value": self.value,
            "raised": asdict(self.raised) if self.raised else None,
            "changed_inputs": list(self.changed_inputs),
            "warnings": list(self.warnings),
            "printed": self.printed,
        }

    @classmethod
    def from_data(cls, data: Any) -> Answer:
        """From plain data that the untrusted side sent: every field is forced to its type."""
        if type(data) is not dict:
            raise ValueError("an answer is a dictionary")
        raised = data.get("raised")
        if type(raised) is dict:
            number = raised.get("line_number")
            raised = Raised(
                _text(raised.get("type_name"), 100),
                _text(raised.get("message"), PRINTED_LIMIT),
                number if type(number) is int else None,
                _text(raised.get("line"), 300),
            )
        else:
            raised = None
        status = data.get("status")
        return cls(
            status=status if status in ("returned", "raised", "missing") else "died",
            value=data.get("value"),
            raised=raised,
            changed_inputs=_texts(data.get("changed_inputs")),
            warnings=_texts(data.get("warnings")),
            printed=_text(data.get("printed"), PRINTED_LIMIT),
        )


def _text(value: Any, limit: int) -> str:
    """Text and nothing else: turning whatever was sent into text could take long."""
    return value[:limit] if type(value) is str else ""


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(_text(entry, 300) for entry in value[:20]) if isinstance(value, (list, tuple)) else ()


@functools.lru_cache(maxsize=256)
def _compiled(source: str, filename: str) -> CodeType:
    return compile(source, filename, "exec")


def load_source(source: str, filename: str = "<probe>") -> Callable[..., Any]:
    """Define the one function or class in ``source`` in a namespace that has ``np``, ``math`` and, when used, ``torch``."""
    namespace: dict[str, Any] = {"np": np, "math": math, "__name__": filename}
    if "torch" in source:
        import torch

        namespace["torch"] = torch
    before = set(namespace)
    exec(_compiled(source, filename), namespace)
    names = [name for name in namespace if name not in before and name != "__builtins__"]
    function = namespace[names[-1]]
    assert callable(function)
    return function


def call(function: Any, inputs: dict[str, Any], probe: str | None = None, *, catch_interrupt: bool = False) -> Answer:
    """Call ``function`` (through ``probe`` when there is one) with its own copies of ``inputs``.

    Args:
        function: the student's function or class.
        inputs: name → value as the wire carries them (:class:`Seed`, :class:`Tensor` included).
        probe: source of a function ``probe(student, **inputs)``.
        catch_interrupt: report KeyboardInterrupt as raised instead of letting it pass (in the sandbox).
    """
    given = {name: materialise(value) for name, value in inputs.items()}
    ask = load_source(probe) if probe else None
    printed = _Clipped(PRINTED_LIMIT)
    with warnings.catch_warnings(record=True) as caught, contextlib.redirect_stdout(printed):
        warnings.simplefilter("always")
        try:
            value = ask(function, **given) if ask else function(**given)
            answer = Answer("returned", value=_plain(value))
        except KeyboardInterrupt as error:
            if not catch_interrupt:
                raise
            answer = Answer("raised", raised=describe_exception(error))
        except BaseException as error:
            answer = Answer("raised", raised=describe_exception(error))
    changed = tuple(name for name, value in inputs.items() if ask is None and not _same(value, given[name]))
    notes = tuple(dict.fromkeys(f"{w.category.__name__}: {w.message}"[:300] for w in caught))[:20]
    return Answer(answer.status, answer.value, answer.raised, changed, notes, printed.text())


class _OutOfTime(BaseException):
    """Raised inside a call that takes too long; no ``except Exception`` of the student's catches it."""


def call_in_time(function: Any, inputs: dict[str, Any], probe: str | None, seconds: float) -> Answer:
    """As :func:`call`, but interrupt it after some seconds, where the system has alarms and this is the main thread."""
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        return call(function, inputs, probe)

    def ring(*_: object) -> None:
        raise _OutOfTime

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        answer = call(function, inputs, probe)
    except _OutOfTime:  # it rang between the student's code and ours
        answer = Answer("timeout")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    rang = answer.raised is not None and answer.raised.type_name == _OutOfTime.__name__
    if not rang and answer.status != "timeout":
        return answer
    line = (
        f" It was at line {answer.raised.line_number}: {answer.raised.line}"
        if rang and answer.raised and answer.raised.line_number
        else ""
    )
    return Answer(
        "timeout", reason=f"The call was still running after {seconds:g} s; look for a loop that never ends.{line}"
    )


def materialise(value: Any) -> Any:
    """The student's own copy of an input: seeds become generators, :class:`Tensor` becomes a torch tensor."""
    if isinstance(value, Seed):
        return np.random.default_rng(value.value)
    if isinstance(value, Tensor):
        import torch

        return torch.from_numpy(np.array(value.array)).to(getattr(torch, value.dtype))
    if isinstance(value, np.ndarray):
        return value.copy()
    if isinstance(value, list):
        return [materialise(entry) for entry in value]
    if isinstance(value, tuple):
        return tuple(materialise(entry) for entry in value)
    if isinstance(value, dict):
        return {key: materialise(entry) for key, entry in value.items()}
    return copy.deepcopy(value)


def describe_exception(error: BaseException) -> Raised:
    """Name an exception and the line of the student's own code that it came through last."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if _is_students(f.filename)]
    try:
        message = str(error)
    except BaseException:  # a student's __str__ may do anything
        message = ""
    if isinstance(error, SyntaxError) and error.text:
        return Raised(type(error).__name__, message[:PRINTED_LIMIT], error.lineno, error.text.strip())
    if not own:
        return Raised(type(error).__name__, message[:PRINTED_LIMIT])
    last = own[-1]
    line = last.line or linecache.getline(last.filename, last.lineno or 0).strip()
    return Raised(type(error).__name__, message[:PRINTED_LIMIT], last.lineno, line)


def _is_students(filename: str) -> bool:
    if filename.startswith("<") and not filename.startswith("<ipython"):
        return filename in ("<string>", "<cell>")
    path = str(Path(filename).resolve()) if not filename.startswith("<") else filename
    return not path.startswith((_OURS, *_LIBRARIES)) and "site-packages" not in path


def _plain(value: Any) -> Any:
    """What the wire would make of a value: in the kernel and in the sandbox the judge sees the same."""
    return decode(*encode(value))


def _same(before: Any, after: Any) -> bool:
    if isinstance(before, Seed):
        return True
    first, second = encode(before), encode(after)
    return first == second or isinstance(_plain(after), Opaque)


class _Clipped(io.TextIOBase):
    """A stream that keeps the first characters only."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._parts: list[str] = []
        self._length = 0

    def write(self, text: str) -> int:
        if self._length < self._limit:
            self._parts.append(text[: self._limit - self._length])
        self._length += len(text)
        return len(text)

    def writable(self) -> bool:
        return True

    def text(self) -> str:
        return "".join(self._parts) + ("…" if self._length > self._limit else "")
