"""Grading one submission as a function of data: bytes in, bytes out, no gradebook and no course folder.

So it can run in any process: a worker beside the gradebook, a worker on another machine. Arguments and results are JSON.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import importlib
import json
import re
import threading
import time
from dataclasses import asdict, dataclass, field
from typing import Any

import nbformat

from autograder.exercise import Exercise, defined_in
from autograder.grading import intake, judge
from autograder.paths import ROOT, Chapter
from autograder.sandbox import isolation
from autograder.sandbox.isolation import Limits

#: A process has one sandbox, which is asked one thing at a time.
_ONE_AT_A_TIME = threading.Lock()


@dataclass(frozen=True)
class Task:
    """One submission to grade."""

    student: str
    chapter: str
    submission: bytes
    template: bytes  # the released notebook
    seed: str
    limits: Limits = field(default_factory=Limits)
    unreadable: str = ""  # why there are no bytes, when there are none
    hidden: dict[str, str] = field(
        default_factory=dict
    )  # grade id → source of an instructor's own tests, with what students lack
    exercise: str = ""  # the only exercise to judge; empty: all
    device: str = "cpu"
    unsafe: bool = False  # run it although the sandbox is no jail here
    everything: bool = False  # also the course's own cells that nothing depends on
    version: str = ""  # the course's, see :func:`version`; empty: whatever it is

    def to_bytes(self) -> bytes:
        """As JSON."""
        data = {name: getattr(self, name) for name in self.__dataclass_fields__}
        data["limits"] = asdict(self.limits)
        for name in ("submission", "template"):
            data[name] = base64.b64encode(data[name]).decode()
        return json.dumps(data, ensure_ascii=False).encode("utf-8", "surrogatepass")

    @classmethod
    def from_bytes(cls, raw: bytes) -> Task:
        """From :meth:`to_bytes`."""
        data = json.loads(raw.decode("utf-8", "surrogatepass"))
        data["limits"] = Limits(**data["limits"])
        for name in ("submission", "template"):
            data[name] = base64.b64decode(data[name])
        return cls(**data)


@dataclass(frozen=True)
class Outcome:
    """What grading found out; plain data, enough to write the gradebook without executing again."""

    verdicts: list[dict[str, Any]] = field(default_factory=list)
    outputs: dict[str, list[dict[str, Any]]] = field(default_factory=dict)  # cell id → outputs
    repairs: list[str] = field(default_factory=list)
    unreadable: str = ""
    isolation: str = ""
    seconds: float = 0.0
    refused: str = ""  # a sentence: nothing was run
    failed: str = ""  # a sentence: it could not be graded

    def to_bytes(self) -> bytes:
        """As JSON."""
        return json.dumps(asdict(self), ensure_ascii=False).encode("utf-8", "surrogatepass")

    @classmethod
    def from_bytes(cls, raw: bytes) -> Outcome:
        """From :meth:`to_bytes`."""
        return cls(**json.loads(raw.decode("utf-8", "surrogatepass")))


def answer(request: bytes) -> bytes:
    """Grade the submission of a :class:`Task`, given and answered as bytes. Whatever goes wrong is an answer, too."""
    with _ONE_AT_A_TIME:
        return grade(Task.from_bytes(request)).to_bytes()


def grade(task: Task) -> Outcome:
    """Take a submission in, run it, judge it."""
    started = time.perf_counter()
    if task.version and task.version != version():
        return Outcome(
            refused="A worker has another version of the course than this machine; install the same one there."
        )
    try:
        sandbox = judge.server(task.device, uses_torch(task.template))
    except Exception as error:
        return Outcome(refused=str(error))
    if not task.unsafe and not isolation.safe(sandbox.level):
        return Outcome(refused=too_weak(sandbox.level, sandbox.why), isolation=sandbox.level)
    try:
        template = released(task.template)
        taken, unreadable = take_in(task.submission, template, task.unreadable)
        for cell in taken.notebook.cells:
            cell.source = task.hidden.get(cell.metadata.get("nbgrader", {}).get("grade_id"), cell.source)
        graded = judge.grade(
            taken.notebook,
            exercises_of(task.chapter),
            task.seed,
            task.limits,
            only=task.exercise,
            given=None if task.everything else template,
            sandbox=sandbox,
        )
    except Exception as error:
        return Outcome(failed=f"It could not be graded ({type(error).__name__}: {str(error)[:300]}).")
    return Outcome(
        verdicts=json.loads(json.dumps([verdict.to_data() for verdict in graded.verdicts.values()])),
        outputs=graded.outputs,
        repairs=list(taken.repairs),
        unreadable=unreadable,
        isolation=sandbox.level,
        seconds=time.perf_counter() - started,
    )


def take_in(raw: bytes, template: nbformat.NotebookNode, unreadable: str = "") -> tuple[intake.Intake, str]:
    """A submission in the released notebook's frame, and why it cannot be read; then the frame is empty."""
    if not unreadable:
        try:
            return intake.rebuild(intake.parse(raw), template), ""
        except intake.Unreadable as error:
            unreadable = str(error)
    return intake.Intake(nbformat.from_dict(template)), unreadable


@functools.lru_cache(maxsize=4)
def released(raw: bytes) -> nbformat.NotebookNode:
    """The released notebook; not to be changed."""
    return nbformat.reads(raw.decode("utf-8"), as_version=4)


def uses_torch(template: bytes) -> bool:
    """Whether a released notebook imports torch."""
    return re.search(rb"(import|from) torch\b", template) is not None


def exercises_of(chapter: str) -> dict[str, Exercise]:
    """The checked exercises of a chapter, by name."""
    module = f"autograder.exercises.{Chapter(chapter).slug}"
    importlib.import_module(module)
    return {name: made for name, made in defined_in(module).items() if isinstance(made, Exercise)}


def too_weak(level: str, why: str) -> str:
    """Why unattended grading does not begin at a level, and what to do."""
    return (
        f"Student code is not locked in on this machine (isolation '{level}': {why or 'no jail'}), so nothing was run; "
        "grade on Linux with Landlock (kernel 5.13 or newer), or add --unsafe if you trust everyone who handed in."
    )


@functools.cache
def version() -> str:
    """Fingerprint of the code that decides verdicts: two machines with the same one grade alike."""
    digest = hashlib.sha256()
    for pattern in ("autograder/**/*.py", "solutions/*.py", "course/kit/*.py"):
        for path in sorted(ROOT.glob(pattern)):
            digest.update(path.relative_to(ROOT).as_posix().encode() + b"\0")
            digest.update(path.read_bytes().replace(b"\r\n", b"\n") + b"\0")
    return digest.hexdigest()[:16]
