"""The trusted side of the sandbox: start children, ask them, notice when they hang or die."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from autograder.sandbox.calling import Answer
from autograder.sandbox.isolation import LEVELS, NO_MEMORY, Limits
from autograder.sandbox.wire import WireError, packed, receive

_SIGNALS = {
    -4: "it crashed (illegal instruction)",
    -6: "it was aborted",
    -9: "it was killed",
    -11: "it crashed (segmentation fault)",
    -24: "it used up its processor time",
    -25: "it wrote too large a file",
}
_PREFIX = "nnlm-sandbox-"
#: Settings that choose a processor's kernels; without them old libraries may compute wrongly on new processors.
_PROCESSOR = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
#: Bytes of structure that an answer may have beside its numbers and what it prints.
_TREE = 4 * 2**20
#: Bytes of questions that are sent before their answers are read; less than what the system keeps for a connection.
_TOGETHER = 32 * 2**10
#: How often a child is looked at where no control group counts its memory, in seconds.
_WATCH = 0.15


class SandboxError(Exception):
    """The sandbox itself does not work here; the message says what to do."""


@dataclass(frozen=True)
class Stopped(Exception):
    """A child that no longer answers. ``status`` is ``"timeout"`` or ``"died"``; ``reason`` is a sentence for the student."""

    status: str
    reason: str


class Server:
    """A warm server, or where there is no fork, a maker of cold children.

    ``level`` is the isolation that its children get, ``why`` says why it is no stronger one.
    """

    def __init__(
        self,
        files: list[Path],
        root: Path,
        at_most: str = LEVELS[0],
        device: str = "cpu",
        torch: bool = True,
        spares: bool = False,
    ) -> None:
        """Start it.

        Args:
            files: what student code may import of this project, as paths below ``root``.
            root: where those files lie.
            at_most: the strongest level of isolation to use.
            device: ``"cuda"`` lets children use NVIDIA devices.
            torch: have torch loaded, which takes seconds; without, a child that wants it loads it.
            spares: keep one child ready beside the one that is at work: locking one in is mostly waiting.

        Raises:
            SandboxError: it did not start.
        """
        self.folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
        self.folder.chmod(0o711)  # where children have users of their own they must reach their folders
        self.shadow = self.folder / "shadow"
        self.device, self.torch = device, torch
        self.hidden = [str(root.resolve()), os.getcwd()]  # in case they lie where Python is read from
        for file in files:
            target = self.shadow / file.relative_to(root)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)
        self.started, self.spares = 0, spares
        self._spare: Session | None = None
        self.usage: dict[str, Any] = {}  # what the last child that ended had used
        self.level, self.why = LEVELS[-1], "jails need Linux"
        self.forks = sys.platform == "linux"
        if self.forks:
            self._start(at_most)

    def _start(self, at_most: str) -> None:
        self._hold = _hold(self.folder)
        _sweep()
        self.socket, theirs = socket.socketpair()
        log = os.open(self.folder / "server.log", os.O_WRONLY | os.O_CREAT, 0o600)
        options = {
            "folder": str(self.folder),
            "at_most": at_most,
            "device": self.device,
            "hidden": self.hidden,
            "torch": self.torch,
        }
        self.process = subprocess.Popen(
            [sys.executable, "-c", _BOOT, "autograder.sandbox.server", str(theirs.fileno()), json.dumps(options)],
            env=self._environment(),
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=self.folder,
        )
        theirs.close()
        os.close(log)
        self.lines = self.socket.makefile("rb")
        line = self.lines.readline()
        if not line:
            tail = (self.folder / "server.log").read_text(errors="replace").strip().splitlines()[-1:]
            self.close()
            raise SandboxError(
                f"The grading sandbox did not start ({' '.join(tail) or 'no message'}); run `python3 start.py doctor`."
            )
        ready = json.loads(line)
        self.level, self.why, self.pid = ready["level"], ready["why"], ready["pid"]

    def _environment(self) -> dict[str, str]:
        kept = {
            name: os.environ[name]
            for name in ("PATH", "LANG", "LC_ALL", "SYSTEMROOT", "TMPDIR", *_PROCESSOR)
            if name in os.environ
        }
        if self.device == "cuda":
            cuda = {"PYTORCH_NVML_BASED_CUDA_CHECK": "1"}  # asking for devices must not start CUDA before the fork
            names = ("CUDA_VISIBLE_DEVICES", "LD_LIBRARY_PATH", "CUDA_HOME")
            cuda |= {name: os.environ[name] for name in names if name in os.environ}
        else:
            cuda = {"CUDA_VISIBLE_DEVICES": ""}
        home = self.folder / "home"
        home.mkdir(exist_ok=True)
        threads = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
        return {
            **kept,
            **threads,
            **cuda,
            "HOME": str(home),
            "IPYTHONDIR": str(home / "ipython"),
            "MPLCONFIGDIR": str(home / "matplotlib"),
            "MPLBACKEND": "module://matplotlib_inline.backend_inline",
            "NNLM_SHADOW": str(self.shadow),
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def open(self, limits: Limits) -> Session:
        """A fresh child with a fresh folder. Where spares are kept, the one after it is made ready meanwhile."""
        if not self.spares or not self.forks:
            session = self._open(limits)
            session.wait_until_ready()
            return session
        if self._spare is not None and not self._spare.fits(limits):
            self._spare.close()
            self._spare = None
        session, self._spare = self._spare or self._open(limits), None
        session.wait_until_ready()
        self._spare = self._open(session.limits)
        session.begin(limits)
        return session

    def _open(self, limits: Limits) -> Session:
        """A child that may still be locking itself in."""
        self.started += 1
        workspace = self.folder / f"work-{self.started}"
        workspace.mkdir()
        if not self.forks:
            return self._open_cold(limits, workspace)
        request = {"op": "fork", "limits": asdict(limits), "folder": str(workspace)}
        try:
            self.socket.sendall(json.dumps(request).encode() + b"\n")
            data, fds, _, _ = socket.recv_fds(self.socket, 4096, 1)
        except OSError:
            data, fds = b"", []
        if not fds:
            raise SandboxError("The grading sandbox stopped; start the command again.")
        said = json.loads(data)
        return Session(limits, workspace, socket.socket(fileno=fds[0]), self, said["pid"], None, said.get("reason", ""))

    def _open_cold(self, limits: Limits, workspace: Path) -> Session:
        listener = socket.create_server(("127.0.0.1", 0))
        token = os.urandom(16).hex()
        process = subprocess.Popen(
            [
                sys.executable,
                "-c",
                _BOOT,
                "autograder.sandbox.cold",
                str(listener.getsockname()[1]),
                json.dumps(asdict(limits)),
            ],
            env={**self._environment(), "NNLM_TOKEN": token},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=workspace,
        )
        listener.settimeout(60)
        try:
            while True:
                connection, _ = listener.accept()
                if connection.recv(32) == token.encode():
                    break
                connection.close()
        except OSError as error:
            process.kill()
            raise SandboxError("A grading process did not start within 60 s; run `python3 start.py doctor`.") from error
        finally:
            listener.close()
        return Session(limits, workspace, connection, self, process.pid, process)

    def reap(self, pid: int, patience: float) -> int:
        """End a child with everything it started; returns its exit status (negative: a signal). ``usage`` says more."""
        self.usage = self._request({"op": "reap", "pid": pid, "patience": patience})
        return int(self.usage.get("status", -1))

    @property
    def alive(self) -> bool:
        """Whether it can still open children."""
        return not self.forks or self.process.poll() is None

    def watch(self, pid: int) -> dict[str, Any]:
        """What a child holds now: ``memory_mb``, ``processes``, ``disk_mb``; empty when the server is gone."""
        return self._request({"op": "watch", "pid": pid})

    def _request(self, request: dict[str, Any]) -> dict[str, Any]:
        try:
            self.socket.sendall(json.dumps(request).encode() + b"\n")
            line = self.lines.readline()
        except (OSError, ValueError):
            line = b""
        return dict(json.loads(line)) if line else {}

    def close(self) -> None:
        """End the server and remove what is left of it."""
        if self._spare is not None:
            self._spare.connection.close()  # the child ends with the server
            self._spare = None
        if self.forks:
            self.lines.close()
            self.socket.close()
            try:
                self.process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            if hasattr(self, "pid"):
                from autograder.sandbox import cgroups

                cgroups.remove_of(self.pid)
            os.close(self._hold)
        _remove(self.folder)

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Session:
    """One child."""

    def __init__(
        self,
        limits: Limits,
        workspace: Path,
        connection: socket.socket,
        server: Server,
        pid: int,
        process: subprocess.Popen[bytes] | None,
        trouble: str = "",
    ) -> None:
        self.limits, self.workspace, self.connection, self.server, self.pid = limits, workspace, connection, server, pid
        self.process, self.trouble, self.ready = process, trouble, process is not None
        self.reader: Any = _Reader(self)
        self.watched = process is None and server.level != "full"
        self.open = True
        self.begin(limits)

    def begin(self, limits: Limits) -> None:
        """Its time begins now."""
        self.limits = limits
        self.looked = time.monotonic()
        self.deadline = self.until = self.looked + limits.total_seconds

    def fits(self, limits: Limits) -> bool:
        """Whether it is as good as one opened with these limits; the total of seconds is counted on this side."""
        return replace(self.limits, total_seconds=limits.total_seconds) == limits

    def wait_until_ready(self) -> None:
        """Wait until the child is locked in.

        Raises:
            SandboxError: it cannot be; nothing was run.
        """
        if self.ready:
            return
        said: Any = None
        self.until = time.monotonic() + 60
        with contextlib.suppress(OSError, EOFError, WireError):
            said = None if self.trouble else receive(self.reader, budget=4096)
        if type(said) is dict and said.get("ready") is True:
            self.ready, self.until = True, self.deadline
            return
        reason = self.trouble or (str(said.get("reason", ""))[:200] if type(said) is dict else "")
        self.close()
        raise SandboxError(
            f"A submission could not be locked in ({reason or 'no message'}); run `python3 start.py doctor`."
        )

    def look(self) -> None:
        """Compare what the child holds with its limits, where nothing else does.

        Raises:
            _TooMuch: it holds more.
        """
        if not self.watched:
            return
        held = self.server.watch(self.pid)
        for name, limit, words in (
            ("memory_mb", self.limits.memory_mb, "it used more than {} MB of memory"),
            ("disk_mb", self.limits.disk_mb, "it wrote more than {} MB of files"),
            ("files", self.limits.files, "it made more than {} files"),
            ("processes", self.limits.processes, "it started more than {} processes"),
        ):
            if float(held.get(name, 0.0)) > limit:
                raise _TooMuch(words.format(f"{limit:,}"))

    def run_cell(self, source: str) -> dict[str, Any]:
        """Run a cell: ``{"outputs": [...], "failed": bool}``.

        Raises:
            Stopped: the child hung or died.
        """
        what = "The cell"
        reply = self._ask({"op": "run", "source": source}, self.limits.cell_seconds, what)
        if type(reply) is not dict or type(reply.get("outputs")) is not list:
            raise self._stop("died", f"{what} sent back something that is not an answer.")
        return {"outputs": reply["outputs"], "failed": bool(reply.get("failed"))}

    def call(self, name: str, inputs: dict[str, Any], probe: str | None) -> Answer:
        """Call the student's function.

        Raises:
            Stopped: the child hung or died.
        """
        return next(self.calls(name, [inputs], probe))

    def calls(self, name: str, questions: Iterable[dict[str, Any]], probe: str | None) -> Iterator[Answer]:
        """Call the student's function once a question.

        After the first, small questions are sent several at a time, so that both sides work at once; each call still has
        its own time. Whoever takes only some of the answers must close the session: the others would come later.

        Raises:
            Stopped: the child hung or died.
        """
        messages = ({"op": "call", "name": name, "inputs": inputs, "probe": probe} for inputs in questions)
        frames = map(packed, messages)
        room = 0  # nothing is sent beside the first question, after which many a notebook is done
        frame = next(frames, None)
        while frame is not None:
            together = [frame]
            room -= len(frame)
            while (frame := next(frames, None)) is not None and len(frame) <= room:
                together.append(frame)
                room -= len(frame)
            for number in range(len(together)):
                sent = b"".join(together) if number == 0 else b""
                yield self._answer(name, self._exchange(sent, self.limits.call_seconds, "The call"))
            room = _TOGETHER

    def _answer(self, name: str, reply: Any) -> Answer:
        try:
            answer = Answer.from_data(reply)
        except ValueError:
            raise self._stop("died", "The call sent back something that is not an answer.") from None
        if answer.status == "missing":
            reason = f"`{name}` is not defined as a function: its cell is missing, was renamed, failed, or the name was used again."
            return Answer("missing", reason=reason)
        return answer

    def _ask(self, request: dict[str, Any], seconds: float, what: str) -> Any:
        return self._exchange(packed(request), seconds, what)

    def _exchange(self, frames: bytes, seconds: float, what: str) -> Any:
        """Send, and receive one message."""
        left = min(seconds, self.deadline - time.monotonic())
        if left <= 0:
            raise self._stop("timeout", "The notebook used up its time.")
        self.until = time.monotonic() + left
        self.connection.settimeout(left)
        try:
            self.connection.sendall(frames)
            return receive(self.reader, budget=64 * 2**20, tree=_TREE + 2 * int(self.limits.output_mb * 2**20))
        except TimeoutError:
            raise self._stop(
                "timeout", f"{what} did not end within {left:.0f} s; look for a loop that never ends."
            ) from None
        except _TooMuch as held:
            raise self._stop("died", f"{what} ended the process that ran it: {held}.") from None
        except WireError as error:
            raise self._stop("died", f"{what} sent back {error}.") from None
        except (EOFError, OSError):
            raise self._stop("died", f"{what} ended the process that ran it: ") from None

    def _stop(self, status: str, reason: str) -> Stopped:
        code = self.close(patience=2.0 if reason.endswith(": ") else 0.0)
        if self.process is None and (self.server.usage.get("out_of_memory") or code == NO_MEMORY):
            what = reason.partition(" ended ")[0].partition(" did not ")[0]
            return Stopped("died", f"{what} used more than {self.limits.memory_mb:,} MB of memory and was ended.")
        used_up = self.process is None and self.server.usage.get("cpu_seconds", 0.0) >= self.limits.cpu_seconds
        if reason.endswith(": ") and code in (-9, -24) and used_up:
            reason += f"it used up its {self.limits.cpu_seconds:g} s of processor time."
        elif reason.endswith(": "):
            reason += _SIGNALS.get(code, f"exit status {code}") + "."
        return Stopped(status, reason)

    def close(self, patience: float = 0.0) -> int:
        """End the child and remove its folder; returns its exit status."""
        if not self.open:
            return 0
        self.open = False
        with contextlib.suppress(OSError):
            self.connection.close()
        if self.process is not None:
            self.process.kill()
            code = self.process.wait()
        else:
            code = self.server.reap(self.pid, patience)
        _remove(self.workspace)
        return code

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _remove(folder: Path) -> None:
    """Remove a folder that student code has written to; it may be nested too deeply for a recursive removal."""
    with contextlib.suppress(RecursionError):
        shutil.rmtree(folder, ignore_errors=True)
    if folder.exists() and sys.platform != "win32":
        subprocess.run(["rm", "-rf", "--", str(folder)], stderr=subprocess.DEVNULL, check=False)


class _TooMuch(Exception):
    """A child holds more than it may; the message says of what."""


class _Reader:
    """Reads from a child until the session's deadline, however slowly the bytes come, and looks after it meanwhile."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def read(self, count: int) -> bytes:
        """At least one byte, at most ``count``; none when the other side has closed.

        Raises:
            TimeoutError: the deadline has passed.
            _TooMuch: the child holds more than it may.
        """
        connection = self.session.connection
        while True:
            left = self.session.until - time.monotonic()
            if left <= 0:
                raise TimeoutError
            connection.settimeout(min(left, _WATCH) if self.session.watched else left)
            if time.monotonic() - self.session.looked > _WATCH:  # also while bytes drip in
                self.session.look()
                self.session.looked = time.monotonic()
            with contextlib.suppress(TimeoutError):
                return connection.recv(count)


def _hold(folder: Path) -> int:
    """Mark a folder as in use for as long as this process lives."""
    import fcntl

    fd = os.open(folder / "in-use", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return fd


def _sweep() -> None:
    """Remove folders whose process was killed before it could do so."""
    import fcntl

    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        try:
            fd = os.open(folder / "in-use", os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            if os.fstat(fd).st_uid == os.geteuid():
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove(folder)
        except OSError:
            pass  # in use
        finally:
            os.close(fd)


# Before anything of this project is imported, the import path must show the allowed files only.
_BOOT = (
    "import os, runpy, sys; "
    "sys.meta_path = [f for f in sys.meta_path if '__editable__' not in repr(f) + str(getattr(f, '__module__', ''))]; "
    "sys.path[:] = [os.environ['NNLM_SHADOW']] + [p for p in sys.path if 'site-packages' in p or p.startswith(sys.base_prefix)]; "
    "name = sys.argv[1]; sys.argv[:] = sys.argv[1:]; runpy.run_module(name, run_name='__main__')"
)
