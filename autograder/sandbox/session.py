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
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

from autograder.sandbox.calling import Answer
from autograder.sandbox.isolation import Limits
from autograder.sandbox.wire import WireError, receive, send

_SIGNALS = {
    -9: "it was killed, most likely for using too much memory",
    -11: "it crashed (segmentation fault)",
    -24: "it used up its processor time",
    -25: "it wrote too large a file",
}


class SandboxError(Exception):
    """The sandbox itself does not work here; the message says what to do."""


@dataclass(frozen=True)
class Stopped(Exception):
    """A child that no longer answers. ``status`` is ``"timeout"`` or ``"died"``; ``reason`` is a sentence for the student."""

    status: str
    reason: str


class Server:
    """A warm server, or where there is no fork, a maker of cold children."""

    def __init__(self, files: list[Path], root: Path) -> None:
        """Start it.

        Args:
            files: what student code may import of this project, as paths below ``root``.
            root: where those files lie.

        Raises:
            SandboxError: it did not start.
        """
        self.folder = Path(tempfile.mkdtemp(prefix="nnlm-"))
        self.shadow = self.folder / "shadow"
        for file in files:
            target = self.shadow / file.relative_to(root)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, target)
        self.started = 0
        self.forks = sys.platform == "linux"
        if self.forks:
            self._start()

    def _start(self) -> None:
        self.socket, theirs = socket.socketpair()
        log = (self.folder / "server.log").open("wb")
        self.process = subprocess.Popen(
            [sys.executable, "-c", _BOOT, "autograder.sandbox.server", str(theirs.fileno())],
            env=self._environment(),
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=self.folder,
        )
        theirs.close()
        log.close()
        self.lines = self.socket.makefile("rb")
        if not self.lines.readline():
            tail = (self.folder / "server.log").read_text(errors="replace").strip().splitlines()[-1:]
            raise SandboxError(
                f"The grading sandbox did not start ({' '.join(tail) or 'no message'}); run `python3 start.py doctor`."
            )

    def _environment(self) -> dict[str, str]:
        kept = {
            name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL", "SYSTEMROOT", "TMPDIR") if name in os.environ
        }
        home = self.folder / "home"
        home.mkdir(exist_ok=True)
        threads = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
        return {
            **kept,
            **threads,
            "HOME": str(home),
            "IPYTHONDIR": str(home / "ipython"),
            "MPLCONFIGDIR": str(home / "matplotlib"),
            "MPLBACKEND": "module://matplotlib_inline.backend_inline",
            "NNLM_SHADOW": str(self.shadow),
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def open(self, limits: Limits) -> Session:
        """A fresh child with a fresh folder."""
        self.started += 1
        workspace = self.folder / f"work-{self.started}"
        workspace.mkdir()
        if not self.forks:
            return self._open_cold(limits, workspace)
        request = {"op": "fork", "limits": asdict(limits), "folder": str(workspace)}
        self.socket.sendall(json.dumps(request).encode() + b"\n")
        data, fds, _, _ = socket.recv_fds(self.socket, 4096, 1)
        if not fds:
            raise SandboxError("The grading sandbox stopped; start the command again.")
        connection = socket.socket(fileno=fds[0])
        return Session(limits, workspace, connection, self, json.loads(data)["pid"], None)

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
        """End a child with its whole session; returns its exit status (negative: a signal)."""
        self.socket.sendall(json.dumps({"op": "reap", "pid": pid, "patience": patience}).encode() + b"\n")
        line = self.lines.readline()
        return int(json.loads(line)["status"]) if line else -1

    def close(self) -> None:
        """End the server and remove its folder."""
        if self.forks:
            self.lines.close()
            self.socket.close()
            try:
                self.process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

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
    ) -> None:
        self.limits, self.workspace, self.connection, self.server, self.pid = limits, workspace, connection, server, pid
        self.process = process
        self.reader: BinaryIO = connection.makefile("rb")
        self.writer: BinaryIO = connection.makefile("wb")
        self.deadline = time.monotonic() + limits.total_seconds
        self.open = True

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
        reply = self._ask(
            {"op": "call", "name": name, "inputs": inputs, "probe": probe}, self.limits.call_seconds, "The call"
        )
        try:
            answer = Answer.from_data(reply)
        except ValueError:
            raise self._stop("died", "The call sent back something that is not an answer.") from None
        if answer.status == "missing":
            reason = f"`{name}` is not defined as a function: its cell is missing, was renamed, failed, or the name was used again."
            return Answer("missing", reason=reason)
        return answer

    def _ask(self, request: dict[str, Any], seconds: float, what: str) -> Any:
        left = min(seconds, self.deadline - time.monotonic())
        if left <= 0:
            raise self._stop("timeout", f"The notebook used up its {self.limits.total_seconds:g} s.")
        self.connection.settimeout(left)
        try:
            send(self.writer, request)
            return receive(self.reader, budget=int(self.limits.output_mb * 2**20) + 64 * 2**20)
        except TimeoutError:
            raise self._stop(
                "timeout", f"{what} did not end within {left:.0f} s; look for a loop that never ends."
            ) from None
        except WireError as error:
            raise self._stop("died", f"{what} sent back {error}.") from None
        except (EOFError, OSError):
            raise self._stop("died", f"{what} ended the process that ran it: ") from None

    def _stop(self, status: str, reason: str) -> Stopped:
        code = self.close(patience=2.0 if status == "died" else 0.0)
        if reason.endswith(": "):
            reason += _SIGNALS.get(code, f"exit status {code}") + "."
        return Stopped(status, reason)

    def close(self, patience: float = 0.0) -> int:
        """End the child and remove its folder; returns its exit status."""
        if not self.open:
            return 0
        self.open = False
        for stream in (self.reader, self.writer, self.connection):
            with contextlib.suppress(OSError):
                stream.close()
        if self.process is not None:
            self.process.kill()
            code = self.process.wait()
        else:
            code = self.server.reap(self.pid, patience)
        shutil.rmtree(self.workspace, ignore_errors=True)
        return code

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


# Before anything of this project is imported, the import path must show the allowed files only.
_BOOT = (
    "import os, runpy, sys; "
    "sys.meta_path = [f for f in sys.meta_path if '__editable__' not in repr(f) + str(getattr(f, '__module__', ''))]; "
    "sys.path[:] = [os.environ['NNLM_SHADOW']] + [p for p in sys.path if 'site-packages' in p or p.startswith(sys.base_prefix)]; "
    "name = sys.argv[1]; sys.argv[:] = sys.argv[1:]; runpy.run_module(name, run_name='__main__')"
)
