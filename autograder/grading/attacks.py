"""The attack corpus: submissions that try to cheat or break the grader, and what has to come of each.

An attack in ``tests/attacks`` makes a submission; this module plays it against the sandbox and the judge and looks at what came
of it from the trusted side: scores, secrets that were planted, connections, processes and files left behind. The attacker
is told everything (where the secrets lie, on which port somebody listens), as a determined one would find out.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import json
import os
import re
import secrets
import shutil
import socket
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any

import nbformat
import psutil
from nbformat import NotebookNode

from autograder.bundle import importable_files
from autograder.exercise import Exercise
from autograder.grading import demo, judge, work
from autograder.grading.classroom import Classroom, Result
from autograder.grading.crew import Crew, Reply
from autograder.grading.run import Run, Settings, State
from autograder.notebooks import exercises, instructor_notebook, without_markers
from autograder.paths import ROOT, chapter
from autograder.render import as_html, as_text
from autograder.sandbox.isolation import Limits
from autograder.sandbox.session import Server

FOLDER = ROOT / "tests" / "attacks"
#: Required answers: their letters and what they mean.
ANSWERS = {
    "Z": "no points gained",
    "K": "stopped at the limit, cause named, everything else graded",
    "B": "blocked, nothing leaked",
    "R": "refused at intake with a sentence",
    "S": "shown harmless",
    "F": "flagged for the instructor, score unchanged",
}
CHAPTER = chapter("02")
#: The exercise that attackers have wrong, and a wrong solution: its unit never fires.
FIRST = "threshold_unit"
WRONG = "def threshold_unit(x, w, b):\n    return np.zeros(len(x), dtype=int)\n"
LIMITS = Limits(cell_seconds=3.0, call_seconds=2.0, total_seconds=60.0)


@dataclass(frozen=True)
class Attempt:
    """What an attacker hands in: the solved chapter with these changes.

    ``front`` is a cell before all others, ``back`` one after all; ``cells`` replaces the solutions of exercises, by name.
    ``costs`` names exercises beside ``cells`` that the attack may ruin for its own author.
    """

    front: str = ""
    cells: dict[str, str] = field(default_factory=lambda: {FIRST: WRONG})
    back: str = ""
    limits: Limits = LIMITS
    costs: tuple[str, ...] = ()
    seed: str = "attacked"
    causes: str = ""  # for K: what the verdict of every stopped exercise must say


@dataclass(frozen=True)
class HandIn:
    """One file that is handed in: a notebook, or a function that puts something at the path where a notebook is expected."""

    notebook: NotebookNode | None = None
    place: Callable[[Path], None] | None = None


@dataclass(frozen=True)
class Outcome:
    """What came of an attack: an answer's letter when it was held, otherwise what it achieved."""

    got: str
    detail: str = ""


@dataclass(frozen=True)
class Row:
    """One attack at one level."""

    id: int
    title: str
    level: str
    required: str
    got: str
    held: bool
    detail: str
    seconds: float

    def to_data(self) -> dict[str, Any]:
        """As the JSON of ``nnlm attack`` has it."""
        return dict(vars(self))


class Attack:
    """One attack; made by :func:`attack`."""

    def __init__(
        self,
        number: int,
        title: str,
        required: str,
        make: Callable[[Stage], Any],
        naive: str,
        unshown: str,
        whole: bool,
    ) -> None:
        self.id, self.title, self.required, self.make = number, title, required, make
        self.naive, self.unshown, self.in_class = naive, unshown, whole
        self._judge: Callable[[Stage, Any], Outcome] | None = None

    def judged_by(self, function: Callable[[Stage, Any], Outcome]) -> Callable[[Stage, Any], Outcome]:
        """Judge by ``function(stage, what make returned)`` instead of by the required answer's own rule."""
        self._judge = function
        return function

    def play(self, stage: Stage) -> Outcome:
        """Try it."""
        made = self.make(stage)
        return self._judge(stage, made) if self._judge else stage.attempt(made, self.required)

    def look(self, stage: Stage) -> Outcome:
        """Judge its part of a class that has been graded."""
        assert self._judge is not None
        return self._judge(stage, stage.results)


_CORPUS: dict[int, Attack] = {}


def attack(
    number: int, title: str, required: str, *, naive: str = "", unshown: str = "", whole: bool = False
) -> Callable[[Callable[[Stage], Any]], Attack]:
    """Add an attack to the corpus: a function of the stage that gives an :class:`Attempt`, or with ``whole`` hand-ins by student.

    Args:
        number: its number in the corpus.
        title: what it does.
        required: letter of the answer that it must get.
        naive: the grader without protection (in ``tests/attacks/naive.py``) on which a test shows that the attack works.
        unshown: why that cannot be shown.
        whole: it takes a class that is graded as a whole.
    """

    def add(make: Callable[[Stage], Any]) -> Attack:
        if number in _CORPUS:
            raise ValueError(f"there are two attacks {number}")
        assert required in ANSWERS
        _CORPUS[number] = Attack(number, title, required, make, naive, unshown, whole)
        return _CORPUS[number]

    return add


def corpus() -> list[Attack]:
    """All attacks, by number."""
    if not _CORPUS:
        for path in sorted(FOLDER.glob("*.py")):
            if path.stem != "naive":
                load(path.stem)
    return [_CORPUS[number] for number in sorted(_CORPUS)]


def load(stem: str) -> ModuleType:
    """A module of the corpus, by the name of its file."""
    name = f"nnlm_attacks_{stem}"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, FOLDER / f"{stem}.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


def run(
    level: str = "full",
    only: list[int] | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> list[Row]:
    """Play the corpus, or some of it, at a level of isolation (or at the best below it that this machine offers)."""
    chosen = [one for one in corpus() if not only or one.id in only]
    rows: list[Row] = []
    with Stage(level) as stage:
        stage.grade_class([one for one in chosen if one.in_class], progress)
        for done, one in enumerate(chosen):
            if progress:
                progress(f"{one.id} {one.title}", done, len(chosen))
            rows.append(stage.row(one))
    return rows


class Stage:
    """A course with secrets in it, listeners, a warm server: where attacks are played, one after the other."""

    def __init__(self, level: str = "full") -> None:
        self.asked = level
        self.mark = f"nnlmattack{secrets.token_hex(6)}"
        self.folder = Path(tempfile.mkdtemp(prefix="nnlm-attack-"))
        self.known = {made.name: made for made in exercises(CHAPTER)}
        self.solved = essential(without_markers(instructor_notebook(CHAPTER)))
        self.results: dict[str, Result] = {}
        self.class_seconds = 0.0
        self._environment: dict[str, str | None] = {}

    # ---- the scene -----------------------------------------------------------------------------------------------
    def __enter__(self) -> Stage:
        self.course = self.folder / "course"
        self.home = self.folder / "home"
        self.home.mkdir()
        self.folder.chmod(0o755)  # the jail has to hold, not the permissions of a folder
        self.outside = self.folder / "outside"
        self.outside.mkdir()
        self.outside.chmod(0o777)
        self.classroom = Classroom(self.course)
        self.classroom.release(CHAPTER)
        self.tokens = {
            name: f"canary-{name}-{secrets.token_hex(12)}"
            for name in ("course", "home", "environment", "gradebook", "submission", "source", "descriptor", "sibling")
        }
        (self.course / "secret.txt").write_text(self.tokens["course"])
        (self.home / "secret.txt").write_text(self.tokens["home"])
        (self.course / "source" / "notes.txt").write_text(self.tokens["source"])
        self._neighbours()
        with self.classroom.gradebook() as book:
            book.update_or_create_student("ada", first_name=self.tokens["gradebook"])
        self.descriptor = (self.folder / self.tokens["descriptor"]).open("w")
        self._set("NNLM_SECRET", self.tokens["environment"])
        self._set("HOME", str(self.home))
        self.ears = Ears(self.folder)
        judge.close_server()
        self.server = make_server(self.asked)
        judge._server = self.server
        self.level = self.server.level
        self._alive = set(self.processes())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        judge.close_server()
        self.ears.close()
        self.descriptor.close()
        for name, value in self._environment.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        shutil.rmtree(self.folder, ignore_errors=True)

    def _set(self, name: str, value: str) -> None:
        self._environment[name] = os.environ.get(name)
        os.environ[name] = value

    def _neighbours(self) -> None:
        """Two honest students, one with a secret in the notebook."""
        for name in ("ada", "bob"):
            notebook = demo.copy(self.solved)
            if name == "ada":
                notebook.cells.append(nbformat.v4.new_markdown_cell(self.tokens["submission"]))
            hand_in(self.course, name, HandIn(notebook))

    # ---- what attacks use ----------------------------------------------------------------------------------------
    def fill(self, text: str) -> str:
        """Attack code with what the attacker knows put in for ``@NAME@``."""
        known = {
            "MARK": self.mark,
            "COURSE": str(self.course),
            "HOME": str(self.home),
            "ROOT": str(ROOT),
            "OUTSIDE": str(self.outside),
            "SECRETS": repr(self.secret_files()),
            "PARENT": str(os.getpid()),
            "FOLDER": str(self.folder),
            "SERVER": str(self.server.folder),
            "SEGMENT": str(SEGMENT),
            **{name: str(value) for name, value in self.ears.addresses.items()},
        }
        return re.sub(r"@([A-Z]+)@", lambda found: known[found[1]], textwrap.dedent(text).lstrip("\n"))

    def secret_files(self) -> list[str]:
        """Files with a planted secret."""
        submitted = self.course / "submitted" / "ada" / CHAPTER.name / f"{CHAPTER.name}.ipynb"
        return [
            str(path)
            for path in (
                self.course / "secret.txt",
                self.home / "secret.txt",
                self.course / "source" / "notes.txt",
                self.course / "gradebook.db",
                submitted,
            )
        ]

    def notebook(self, attempt: Attempt) -> NotebookNode:
        """The solved chapter with an attempt's changes."""
        made = demo.copy(self.solved)
        for name, text in attempt.cells.items():
            made.cells[demo.position(made, name)].source = self.fill(text)
        if attempt.front:
            made.cells.insert(0, nbformat.v4.new_code_cell(self.fill(attempt.front), id="front"))
        if attempt.back:
            made.cells.append(nbformat.v4.new_code_cell(self.fill(attempt.back), id="back"))
        return made

    def grade(self, attempt: Attempt) -> judge.Graded:
        """Run and judge an attempt."""
        return self.grade_notebook(self.notebook(attempt), attempt.seed, attempt.limits)

    def grade_notebook(
        self, notebook: NotebookNode, seed: str, limits: Limits = LIMITS, known: dict[str, Exercise] | None = None
    ) -> judge.Graded:
        """Run and judge a notebook."""
        return judge.grade(notebook, known or self.known, seed, limits)

    # ---- what came of it -----------------------------------------------------------------------------------------
    def attempt(self, attempt: Attempt, required: str) -> Outcome:
        """Play an attempt and judge it by its required answer."""
        with self.watched() as seen:
            graded = self.grade(attempt)
            seen.text = everything(graded)
        return self.outcome(attempt, graded, required, seen)

    def outcome(self, attempt: Attempt, graded: judge.Graded, required: str, seen: Seen) -> Outcome:
        """Judge what came of an attempt."""
        wrong = list(seen.troubles)
        gained = [name for name in attempt.cells if graded.verdicts[name].passed and required != "F"]
        if gained:
            wrong.append(f"points gained ({', '.join(gained)})")
        lost = [name for name in self.others(attempt) if not graded.verdicts[name].passed]
        if lost:
            wrong.append(f"honest questions lost ({', '.join(lost)})")
        if required == "K":
            for name in attempt.cells:
                verdict = graded.verdicts[name]
                if verdict.kind not in STOPPED:
                    wrong.append(f"{name} was not stopped")
                elif f"exit status {BOUND}." in verdict.headline:
                    wrong.append(f"{name} was not stopped before it had what it wanted")
                elif not re.search(attempt.causes, verdict.headline):
                    wrong.append(f"{name} does not name the cause: {verdict.headline[:120]}")
        first = graded.verdicts[next(iter(attempt.cells))]
        said = "; ".join(first.flags) if required == "F" else first.headline
        return Outcome("; ".join(wrong), said) if wrong else Outcome(required, said)

    def others(self, attempt: Attempt) -> list[str]:
        """Exercises that an attempt leaves honest."""
        return [name for name in self.known if name not in attempt.cells and name not in attempt.costs]

    @contextlib.contextmanager
    def watched(self) -> Iterator[Seen]:
        """Notice what an attack leaves behind: read secrets, changed files, connections, processes, files with its mark."""
        seen = Seen()
        before = self.tree()
        self.ears.heard.clear()
        yield seen
        leaked = [name for name, token in self.tokens.items() if token in seen.text]
        if leaked:
            seen.troubles.append(f"leaked ({', '.join(leaked)})")
        after = self.tree()
        changed = sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))
        self.restore(before, changed)
        if changed:
            seen.troubles.append(f"files changed ({', '.join(path.name for path in changed[:3])})")
        if self.ears.heard:
            seen.troubles.append(f"connected ({', '.join(sorted(self.ears.heard))})")
        left = self.survivors()
        if left:
            seen.troubles.append(f"{len(left)} processes survived")
        files = self.marked_files()
        if files:
            seen.troubles.append(f"files left ({', '.join(str(path) for path in files[:3])})")
        self.sweep(left, files)

    def tree(self) -> dict[Path, bytes]:
        """Every file that attacks must not change: the course, the home folder, what student code imports."""
        roots = (self.course, self.home, self.outside, getattr(self.server, "shadow", self.outside))
        skipped = ("gradebook.db-journal", "__pycache__")
        return {
            path: path.read_bytes()
            for root in roots
            for path in sorted(root.rglob("*"))
            if path.is_file() and not path.is_symlink() and not any(part in skipped for part in path.parts)
        }

    def restore(self, before: dict[Path, bytes], changed: list[Path]) -> None:
        """Undo what an attack did to files."""
        for path in changed:
            with contextlib.suppress(OSError):
                if path in before:
                    path.write_bytes(before[path])
                else:
                    path.unlink()

    def processes(self) -> list[psutil.Process]:
        """Live processes of this stage's server, found by its folder or by the mark in what they were started with."""
        found = []
        signs = (str(self.server.folder), self.mark)
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                if process.status() == psutil.STATUS_ZOMBIE or process.pid == os.getpid():
                    continue
                text = " ".join([*process.cmdline(), *process.environ().values()])
                if any(sign in text for sign in signs):
                    found.append(process)
        return found

    def survivors(self) -> list[psutil.Process]:
        """What is still alive a moment after a submission has been graded, beside the warm server."""
        deadline = time.monotonic() + 1.0
        while True:
            left = [process for process in self.processes() if process not in self._alive]
            if not left or time.monotonic() > deadline:
                return left
            time.sleep(0.05)

    def marked_files(self) -> list[Path]:
        """Files that carry the attacks' mark in places that outlive a submission."""
        places = [
            Path(tempfile.gettempdir()),
            Path("/dev/shm"),
            Path("/var/tmp"),
            Path.home(),
            Path.cwd(),
            ROOT,
            self.folder,
        ]
        places += [Path(entry) for entry in sys.path if "site-packages" in entry]
        found: set[Path] = set()
        for place in places:
            with contextlib.suppress(OSError):
                found |= {path for path in place.iterdir() if self.mark in path.name}
        return sorted(found)

    def sweep(self, processes: list[psutil.Process], files: list[Path]) -> None:
        """Remove what an attack left behind, so that the next one starts clean."""
        for process in processes:
            with contextlib.suppress(psutil.Error):
                process.kill()
        for path in files:
            with contextlib.suppress(OSError):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        if sys.platform == "linux":
            libc = ctypes.CDLL(None)
            segment = libc.shmget(SEGMENT, 0, 0)
            if segment >= 0:
                libc.shmctl(segment, 0, None)  # IPC_RMID

    def row(self, one: Attack) -> Row:
        """Play one attack; whatever it does to this side is what it achieved."""
        started = time.monotonic()
        try:
            outcome = one.look(self) if one.in_class else one.play(self)
        except Exception as error:
            outcome = Outcome(f"the grader failed ({type(error).__name__})", str(error)[:300])
        if self.server.forks and self.server.process.poll() is not None:
            outcome = Outcome("the warm server ended", outcome.detail)
            judge.close_server()
            self.server = judge._server = make_server(self.asked)
        seconds = round(time.monotonic() - started, 2)
        return Row(
            one.id,
            one.title,
            self.level,
            one.required,
            outcome.got,
            outcome.got == one.required,
            outcome.detail,
            seconds,
        )

    # ---- a class -------------------------------------------------------------------------------------------------
    def grade_class(self, chosen: list[Attack], progress: Callable[[str, int, int], None] | None = None) -> None:
        """Hand in what the attacks make, beside two honest students, and grade everyone as a class."""
        if not chosen:
            return
        for one in chosen:
            for name, handed in one.make(self).items():
                hand_in(self.course, name, handed)
        started = time.monotonic()
        with self.watched_class() as seen:
            self.results = {result.student: result for result in self.grade_students(progress=progress)}
            self.classroom.feedback(CHAPTER, workers=1)
            seen.text = self.written()
        self.class_troubles = seen.troubles
        self.class_seconds = time.monotonic() - started

    def grade_students(
        self, students: list[str] | None = None, progress: Callable[[str, int, int], None] | None = None
    ) -> list[Result]:
        """Grade hand-ins as ``nnlm grade`` does, by this stage's own server."""

        def tell(state: State) -> None:
            if progress is not None:
                progress(state.sentence(), state.done, state.total)

        limits = {name: getattr(LIMITS, name) for name in ("cell_seconds", "call_seconds", "total_seconds")}
        settings = Settings(list(students or []), overrides={**limits, "unsafe": True})
        return RunHere(self.classroom, CHAPTER, settings, watch=tell).go()

    @contextlib.contextmanager
    def watched_class(self) -> Iterator[Seen]:
        """As :meth:`watched`, for a run that writes into the course itself."""
        seen = Seen()
        self.ears.heard.clear()
        yield seen
        leaked = [name for name in ("home", "environment", "gradebook", "source") if self.tokens[name] in seen.text]
        seen.troubles += [f"leaked ({', '.join(leaked)})"] if leaked else []
        seen.troubles += [f"connected ({', '.join(sorted(self.ears.heard))})"] if self.ears.heard else []
        left, files = self.survivors(), self.marked_files()
        seen.troubles += [f"{len(left)} processes survived"] if left else []
        seen.troubles += [f"files left ({', '.join(map(str, files[:3]))})"] if files else []
        self.sweep(left, files)

    def written(self, *students: str) -> str:
        """What grading wrote about students (everyone by default): graded notebooks, feedback, records."""
        folders = [self.course / kind for kind in ("autograded", "feedback")]
        paths = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
        paths += list((self.course / "verdicts").rglob("*.json"))
        return "\n".join(
            path.read_text(encoding="utf-8", errors="replace")
            for path in paths
            if not students or any(name in (*path.parts, path.stem) for name in students)
        )

    def class_outcome(
        self, required: str, expected: dict[str, float | None], detail: str = "", extra: str = ""
    ) -> Outcome:
        """Judge a class: scores as expected (None: refused with a sentence or worth nothing), neighbours untouched.

        A refused hand-in has no points and a sentence; a written answer waits for a person and counts as given here.
        """
        wrong = list(self.class_troubles)
        for name in ("ada", "bob"):
            result = self.results.get(name)
            if result is None or result.score != self.automatic:
                wrong.append(f"{name}, who is honest, got {result and result.score}")
        for name, points in expected.items():
            result = self.results.get(name)
            if result is None:
                wrong.append(f"{name} has no result")
            elif points is None and (result.score or not result.problem):
                wrong.append(f"{name} was not refused ({result.score}, {result.problem!r})")
            elif points is not None and result.score != points:
                wrong.append(f"{name} got {result.score}, not {points:g}")
        if extra:
            wrong.append(extra)
        said = detail or "; ".join(
            text for name in expected if (r := self.results.get(name)) for text in (r.problem, *r.repairs[:1]) if text
        )
        return Outcome("; ".join(wrong), said) if wrong else Outcome(required, said)

    @property
    def automatic(self) -> float:
        """Points that the solved chapter gets before a person reads its written answers."""
        return sum(made.points for made in self.known.values())


#: Key of the System V segment that one attack leaves for the next.
SEGMENT = 0x6E6E6C
#: Exit status of an attack on memory, processes or the disk that nobody stopped before its own harmless bound.
BOUND = 77
#: Kinds of verdict of an exercise whose code was stopped or ran into a limit.
STOPPED = ("timeout", "died", "missing", "exception")


@dataclass
class Seen:
    """What an attack's outputs and verdicts say, and what was noticed."""

    text: str = ""
    troubles: list[str] = field(default_factory=list)


def everything(graded: judge.Graded) -> str:
    """All that a student or an instructor will see of a graded submission, as one text."""
    parts = [json.dumps(graded.outputs, ensure_ascii=False)]
    for verdict in graded.verdicts.values():
        parts += [as_text(verdict), as_html(verdict), json.dumps(verdict.to_data(), ensure_ascii=False)]
    return "\n".join(parts)


def essential(notebook: NotebookNode) -> NotebookNode:
    """A chapter without the cells that only show something: its imports, its exercises, their checks, written answers."""
    made = demo.copy(notebook)
    made.cells = [
        cell
        for cell in made.cells
        if "nbgrader" in cell.metadata or (cell.cell_type == "code" and cell.source.startswith(("import ", "from ")))
    ]
    return made


def make_server(level: str) -> Server:
    """A warm server at a level, or at the best below it that this machine offers."""
    return Server(importable_files(), ROOT, at_most=level)


def hand_in(course: Path, student: str, handed: HandIn) -> None:
    """Put a hand-in where a student's notebook is expected."""
    folder = course / "submitted" / student / CHAPTER.name
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{CHAPTER.name}.ipynb"
    if handed.notebook is not None:
        path.write_text(nbformat.writes(handed.notebook), encoding="utf-8")
    if handed.place is not None:
        handed.place(path)


class RunHere(Run):
    """A run over a class whose submissions are graded in this process, whose server has the level that was asked for."""

    def _hire(self) -> Crew:
        return Hermit()


class Hermit:
    """A crew of one: this process."""

    def __init__(self) -> None:
        self._done: list[Reply] = []

    def room(self) -> int:
        """One at a time."""
        return 0 if self._done else 1

    def give(self, key: str, request: bytes) -> None:
        """Do it at once."""
        self._done.append(Reply(key, work.answer(request)))

    def replies(self, seconds: float) -> list[Reply]:
        """What is done."""
        done, self._done = self._done, []
        return done

    def running(self) -> list[tuple[str, float]]:
        """Nobody: work is done when it is given."""
        return []

    def close(self) -> None:
        """Nothing to stop."""


class Ears:
    """Listeners that hear it when submitted code gets out: TCP, UDP and unix sockets on this machine."""

    def __init__(self, folder: Path) -> None:
        self.heard: set[str] = set()
        self._open = True
        self._sockets: dict[str, socket.socket] = {}
        tcp = socket.create_server(("127.0.0.1", 0))
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.bind(("127.0.0.1", 0))
        self._sockets = {"tcp": tcp, "udp": udp}
        self.addresses: dict[str, Any] = {"TCP": tcp.getsockname()[1], "UDP": udp.getsockname()[1]}
        self.addresses |= {"UNIX": folder / "ear.sock", "ABSTRACT": f"nnlm-{secrets.token_hex(6)}"}
        if hasattr(socket, "AF_UNIX"):
            names = {"unix": str(self.addresses["UNIX"])}
            if sys.platform == "linux":
                names["abstract"] = "\0" + self.addresses["ABSTRACT"]
            for kind, name in names.items():
                self._sockets[kind] = socket.socket(socket.AF_UNIX)
                self._sockets[kind].bind(name)
                self._sockets[kind].listen()
        self._threads = [
            threading.Thread(target=self._listen, args=item, daemon=True) for item in self._sockets.items()
        ]
        for thread in self._threads:
            thread.start()

    def _listen(self, kind: str, ear: socket.socket) -> None:
        ear.settimeout(0.1)
        while self._open:
            with contextlib.suppress(TimeoutError, OSError):
                if kind == "udp":
                    ear.recv(2048)
                else:
                    ear.accept()[0].close()
                self.heard.add(kind)

    def close(self) -> None:
        """Stop listening."""
        self._open = False
        for thread in self._threads:
            thread.join()
        for ear in self._sockets.values():
            ear.close()
