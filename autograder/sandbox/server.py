"""The warm server: imports the heavy libraries once, then forks one jailed child a submission.

Run as ``python -m autograder.sandbox.server FD OPTIONS`` by :mod:`autograder.sandbox.session`, in a clean environment and with a
path that holds neither references nor exercises. How strongly children are held is settled here once, at the start; no
request can change it. A request is a JSON line; the answer to ``fork`` carries the child's socket.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import re
import shutil
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any

from autograder.sandbox.isolation import LEVELS, NO_MEMORY, NOT_LOCKED_IN, Limits, apply_limits, die_with_parent
from autograder.sandbox.jail import Jail, Slot, best
from autograder.sandbox.wire import send

#: A module that begins so would bring torch, and 1.5 s, to chapters that do without.
_IMPORTS_TORCH = re.compile(rb"^(import|from) torch\b", re.MULTILINE)


def warm(with_torch: bool = True) -> Any:
    """Import what notebooks use and make the shell that they run in, without starting a thread: none would survive the fork."""
    import matplotlib

    matplotlib.use("module://matplotlib_inline.backend_inline")
    import matplotlib.pyplot

    # What NumPy and matplotlib load on first use, and every chapter uses.
    for name in ("numpy.random", "numpy.polynomial", "numpy.fft", "contourpy"):
        importlib.import_module(name)

    from autograder.sandbox.child import Shell

    if with_torch:
        import torch

        torch.set_num_threads(1)
        parameter = torch.nn.Parameter(torch.zeros(2))
        parameter.sum().backward()  # the first backward and the first optimiser load hundreds of modules
        torch.optim.SGD([parameter], lr=0.1).step()
    for file in sorted(Path(os.environ["NNLM_SHADOW"], "course", "kit").glob("[a-z]*.py")):
        if with_torch or not _IMPORTS_TORCH.search(file.read_bytes()):
            importlib.import_module(f"course.kit.{file.stem}")
    importlib.import_module("autograder.checking")
    return Shell.warm()


class Server:
    """Children by their process number, as this server sees it."""

    def __init__(self, folder: Path, options: dict[str, Any]) -> None:
        shadow = Path(os.environ["NNLM_SHADOW"]).resolve()
        self.folder, self.shell = folder, None
        self.children: dict[int, Slot | None] = {}
        self.ending: set[int] = set()
        self.jail, self.level, self.why = best(folder, shadow, options, self._try)
        if self.jail is None or not self.jail.namespaces:
            with contextlib.suppress(OSError, AttributeError):
                from autograder.sandbox import linux

                linux.adopt_orphans()

    def _try(self, jail: Jail) -> None:
        """Lock a child in that does nothing else.

        Raises:
            OSError: it cannot be.
        """
        self.jail = jail
        folder = self.folder / "trial"
        folder.mkdir(exist_ok=True)
        reading, writing = os.pipe()
        pid, slot = self._fork(Limits(), folder, writing)
        os.close(writing)
        with open(reading, "rb") as answer:
            said = answer.read()
        self.children[pid] = slot
        self.reap(pid, 1.0)
        shutil.rmtree(folder, ignore_errors=True)
        if said != b"locked in":
            raise OSError(1, said.decode() or "the child ended")

    def _fork(self, limits: Limits, folder: Path, connection: int) -> tuple[int, Slot | None]:
        slot = self.jail.take(limits, folder) if self.jail else None
        pid = self.jail.fork() if self.jail else os.fork()
        if pid == 0:
            self._child(limits, folder, slot, connection)
        return pid, slot

    def open(self, limits: Limits, folder: Path, connection: int) -> int:
        """Fork a child that serves on a socket."""
        pid, slot = self._fork(limits, folder, connection)
        self.children[pid] = slot
        return pid

    def _child(self, limits: Limits, folder: Path, slot: Slot | None, connection: int) -> None:
        code = NOT_LOCKED_IN
        try:
            os.setsid()
            _close_all_but(connection)
            try:
                home = self._lock_in(limits, folder, slot)
            except OSError as error:
                if self.shell is None:
                    os.write(connection, str(error.strerror or error).encode())
                else:
                    with os.fdopen(connection, "wb") as writer:
                        send(writer, {"ready": False, "reason": str(error.strerror or error)})
                return
            if self.shell is None:
                os.write(connection, b"locked in")
            else:
                _serve(self.shell, connection, limits, *home)
            code = 0
        except MemoryError:
            code = NO_MEMORY
        finally:
            os._exit(code)

    def _lock_in(self, limits: Limits, folder: Path, slot: Slot | None) -> tuple[str, str, str]:
        devnull = os.open(os.devnull, os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(devnull, fd)
        os.close(devnull)
        if self.jail is None or slot is None:
            die_with_parent()
            apply_limits(limits)
            os.chdir(folder)
            return str(folder), os.environ.get("HOME", str(folder)), str(folder)
        home = self.jail.home(slot) if not self.jail.namespaces else None
        if not self.jail.namespaces:
            if slot.user is not None and home is not None:
                for path in home[1:]:
                    os.chown(path, slot.user, slot.user)
            os.chdir(folder)
        self.jail.enter(slot, limits)
        return home or self.jail.home(slot)

    def reap(self, pid: int, patience: float) -> dict[str, Any]:
        """Kill a child with everything it started, and say how it ended.

        Args:
            pid: the child.
            patience: how many seconds a child that is already ending may take: its own exit status says more than our kill.
        """
        if pid not in self.children:
            return {"status": -1}
        slot = self.children.pop(pid)
        self.ending.add(pid)
        deadline = time.monotonic() + patience
        done, status, used = os.wait4(pid, os.WNOHANG)
        while not done and time.monotonic() < deadline:
            time.sleep(0.002)
            done, status, used = os.wait4(pid, os.WNOHANG)
        if not done:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if self.jail is None or not self.jail.namespaces:
            self._kill_session(pid, slot)
        if not done:
            _, status, used = os.wait4(pid, 0)  # with namespaces: returns when all of the child's processes are gone
        self.ending.discard(pid)
        said: dict[str, Any] = {
            "status": os.waitstatus_to_exitcode(status),
            "cpu_seconds": used.ru_utime + used.ru_stime,
        }
        if slot is not None and self.jail is not None:
            if slot.group is not None:
                usage = slot.group.usage()
                said |= {
                    "out_of_memory": usage.out_of_memory,
                    "peak_mb": usage.peak_mb,
                    "too_many_processes": usage.too_many_processes,
                }
            self.jail.give_back(slot)
        return said

    def _kill_session(self, pid: int, slot: Slot | None) -> None:
        """Without a namespace of processes: what a child started, also what left its session."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)
        if slot is not None and slot.user is not None:
            _kill_all_of(slot.user)
        for _ in range(100):  # orphans come to this process, their own children after them
            strays = self._strays()
            if not strays:
                return
            for stray in strays:
                with contextlib.suppress(OSError):
                    os.kill(stray, signal.SIGKILL)
                    os.waitpid(stray, 0)

    def _strays(self) -> list[int]:
        """Processes that children started and left behind: without a namespace they come to this process."""
        return [child for child in _children_of(os.getpid()) if child not in self.children and child not in self.ending]

    def watch(self, pid: int) -> dict[str, Any]:
        """What a child and everything it started hold, where no control group counts it."""
        slot = self.children.get(pid)
        alone = self.jail is not None and self.jail.namespaces
        family = _family_of([pid] if alone else [pid, *self._strays()])
        share, whole = _memory_kb(os.getpid())
        # Of the pages that children have from this server, they carry what this server's own share leaves.
        memory = max(0, sum(_memory_kb(member)[0] for member in family) - (whole - share)) / 1024
        disk, files = _size_of(slot.folder) if slot is not None and not alone else (0, 0)
        return {"memory_mb": memory, "processes": len(family), "disk_mb": disk / 2**20, "files": files}

    def close(self) -> None:
        """End every child."""
        for pid in list(self.children):
            self.reap(pid, 0.0)
        if self.jail is not None:
            self.jail.close()


def _serve(shell: Any, connection: int, limits: Limits, work: str, home: str, temporary: str) -> None:
    import random
    import tempfile

    import numpy

    from autograder.sandbox.child import serve

    os.environ.update(
        HOME=home, TMPDIR=temporary, IPYTHONDIR=f"{home}/.ipython", USER="student", LOGNAME="student", PWD=work
    )
    os.environ.pop("MPLCONFIGDIR", None)
    tempfile.tempdir = None
    random.seed()
    numpy.random.seed()
    with os.fdopen(connection, "rb", closefd=False) as reader, os.fdopen(connection, "wb") as writer:
        send(writer, {"ready": True})
        serve(reader, writer, int(limits.output_mb * 2**20), shell)


def _close_all_but(kept: int) -> None:
    """Close what the child inherited, above all this server's own control connection."""
    os.closerange(3, kept)
    os.closerange(kept + 1, 65_536)


def _kill_all_of(user: int) -> None:
    """Kill every process of a user, in one call that no fork can outrun."""
    pid = os.fork()
    if pid == 0:
        with contextlib.suppress(BaseException):
            os.setresuid(user, user, user)
            os.kill(-1, signal.SIGKILL)
        os._exit(0)
    os.waitpid(pid, 0)


def _children_of(pid: int) -> list[int]:
    found: list[int] = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError, ValueError):
            found += map(int, path.read_text().split())
    return found


def _family_of(roots: list[int]) -> list[int]:
    family: list[int] = []
    waiting = list(roots)
    while waiting and len(family) < 10_000:
        member = waiting.pop()
        family.append(member)
        waiting += _children_of(member)
    return family


def _memory_kb(pid: int) -> tuple[int, int]:
    """Memory that is not a file's, of a process: its fair share of what it shares with others, and all of it."""
    share = whole = 0
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith(("Pss_Anon:", "Pss_Shmem:")):
                share += int(line.split()[1])
            elif line.startswith("Anonymous:"):
                whole += int(line.split()[1])
    return share, whole


def _size_of(folder: Path) -> tuple[int, int]:
    """Bytes on disk and number of the files below a folder; stops counting where there are very many."""
    size = count = 0
    waiting = [str(folder)]
    while waiting and count < 20_000:  # no recursion: folders may be nested a thousand deep
        with contextlib.suppress(OSError), os.scandir(waiting.pop()) as entries:
            for entry in entries:
                count += 1
                if count > 20_000:
                    break
                with contextlib.suppress(OSError):
                    size += entry.stat(follow_symlinks=False).st_blocks * 512
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
    return size, count


def main(fd: int, options: dict[str, Any]) -> None:
    """Serve until the other side closes; it may be gone without a word."""
    os.umask(0o022)
    connection = socket.socket(fileno=fd)
    server = Server(Path(options["folder"]), options)
    try:
        server.shell = warm(options["torch"])
        gc.collect()
        gc.freeze()  # the collector of a child leaves our pages shared
        ready = {"ready": True, "level": server.level, "why": server.why, "pid": os.getpid()}
        connection.sendall(json.dumps(ready).encode() + b"\n")
        for line in connection.makefile("rb"):
            _answer(server, connection, json.loads(line))
    except OSError:
        pass  # the other side is gone
    finally:
        server.close()


def _answer(server: Server, connection: socket.socket, request: dict[str, Any]) -> None:
    if request["op"] == "fork":
        ours, theirs = socket.socketpair()
        try:
            pid = server.open(Limits(**request["limits"]), Path(request["folder"]), theirs.fileno())
            said: dict[str, Any] = {"pid": pid}
        except OSError as error:
            said = {"pid": -1, "reason": str(error.strerror or error)}
        theirs.close()
        socket.send_fds(connection, [json.dumps(said).encode() + b"\n"], [ours.fileno()])
        ours.close()
        return
    try:
        if request["op"] == "reap":
            said = server.reap(int(request["pid"]), float(request["patience"]))
        else:
            said = server.watch(int(request["pid"]))
    except Exception as error:  # one child's trouble is not the next one's
        print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
        said = {"trouble": type(error).__name__}
    connection.sendall(json.dumps(said).encode() + b"\n")


def _say_level(folder: Path) -> None:
    """Find out the level, print it, and end; ``folder`` is removed by the one who asks, as mounts of ours lie on it."""
    os.environ["NNLM_SHADOW"] = str(folder)
    server = Server(folder, {"device": "cpu", "at_most": LEVELS[0], "hidden": []})
    server.close()
    print(json.dumps({"level": server.level, "why": server.why}), flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "--level":
        _say_level(Path(sys.argv[2]))
    else:
        main(int(sys.argv[1]), json.loads(sys.argv[2]))
