"""Workers of this machine: processes that grade one submission after the other, each with its own warm sandbox.

They are spawned, never forked: this process holds threads and database connections. A worker that ends is replaced, and
what it was at is given to another once more. A worker whose parent is gone ends by itself, whatever it is doing.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import re
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Protocol

from autograder.grading.pool import WORTH_IT, default_workers

#: How often a task is given to a worker; one that ends its worker every time is given up.
MOST_TRIES = 2


@dataclass
class Reply:
    """What came of a task: bytes, or a sentence why nothing did."""

    key: str
    data: bytes = b""
    failed: str = ""


class Crew(Protocol):
    """Who does the work: processes of this machine, or a cluster."""

    def room(self) -> int:
        """How many more tasks can be given now."""

    def give(self, key: str, request: bytes) -> None:
        """Give a task."""

    def replies(self, seconds: float) -> list[Reply]:
        """What is done; waits at most some seconds for the first."""

    def running(self) -> list[tuple[str, float]]:
        """Tasks in work with the seconds since they began, the longest first."""

    def close(self) -> None:
        """Stop everybody, whatever they are doing."""


@dataclass
class _Worker:
    process: Any
    connection: Connection
    key: str = ""
    request: bytes = b""
    since: float = 0.0


@dataclass
class LocalCrew:
    """Processes of this machine."""

    size: int
    device: str = "cpu"
    torch: bool = True  # whether the chapter uses it
    most_seconds: float = 1_800.0  # a worker that takes longer over a submission is stuck, wherever
    _workers: list[_Worker] = field(default_factory=list)
    _tries: dict[str, int] = field(default_factory=dict)
    _waiting: list[tuple[str, bytes]] = field(default_factory=list)
    _context: Any = field(default_factory=lambda: multiprocessing.get_context("spawn"))

    def __post_init__(self) -> None:
        for _ in range(self.size):
            self._hire()

    def room(self) -> int:
        """How many workers have nothing to do."""
        return sum(not worker.key for worker in self._workers) - len(self._waiting)

    def give(self, key: str, request: bytes) -> None:
        """Give a task to an idle worker."""
        worker = next((worker for worker in self._workers if not worker.key), None)
        if worker is None:
            self._waiting.append((key, request))
            return
        self._tries[key] = self._tries.get(key, 0) + 1
        worker.key, worker.request, worker.since = key, request, time.monotonic()
        with contextlib.suppress(OSError):  # a worker that has just ended is noticed in replies()
            worker.connection.send_bytes(request)

    def replies(self, seconds: float) -> list[Reply]:
        """What is done; waits at most some seconds for the first."""
        found: list[Reply] = self._give_up()
        by_connection = {worker.connection: worker for worker in self._workers}
        for connection in wait(list(by_connection), seconds):
            worker = by_connection[connection]  # type: ignore[index]
            try:
                data = worker.connection.recv_bytes()
            except (EOFError, OSError):
                found += self._replace(worker)
                continue
            found.append(Reply(worker.key, data))
            worker.key, worker.request = "", b""
        while self._waiting and any(not worker.key for worker in self._workers):
            self.give(*self._waiting.pop(0))
        return found

    def _give_up(self) -> list[Reply]:
        """End workers that are stuck: comparing what a submission answered can be made to take for ever."""
        found: list[Reply] = []
        for worker in list(self._workers):
            if worker.key and time.monotonic() - worker.since > self.most_seconds:
                worker.process.kill()
                key, worker.key = worker.key, ""
                found.append(
                    Reply(key, failed=f"Grading it took more than {self.most_seconds:.0f} s; look at what it returns.")
                )
                list(self._replace(worker))
        return found

    def running(self) -> list[tuple[str, float]]:
        """Tasks in work with the seconds since they began, the longest first."""
        now = time.monotonic()
        rows = [(worker.key, now - worker.since) for worker in self._workers if worker.key]
        return sorted(rows, key=lambda row: -row[1])

    def close(self) -> None:
        """Stop everybody, whatever they are doing."""
        for worker in self._workers:
            worker.connection.close()
            if worker.key:  # the others notice that the connection is closed
                worker.process.terminate()
        deadline = time.monotonic() + 15
        for worker in self._workers:
            worker.process.join(max(0.1, deadline - time.monotonic()))
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
        self._workers = []

    def __enter__(self) -> LocalCrew:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _hire(self) -> None:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_serve, args=(theirs, self.device, self.torch), daemon=True)
        with _no_main_module():
            process.start()
        theirs.close()
        self._workers.append(_Worker(process, ours))

    def _replace(self, worker: _Worker) -> Iterator[Reply]:
        """Someone else for a worker that ended, and another try for what it was at."""
        worker.connection.close()
        worker.process.join()
        self._workers.remove(worker)
        self._hire()
        if not worker.key:
            return
        if self._tries[worker.key] < MOST_TRIES:
            self._waiting.append((worker.key, worker.request))
            return
        yield Reply(
            worker.key, failed=f"Grading it ended the grading process {MOST_TRIES} times; grade it again alone."
        )


def early(
    course: Path, chapter: str, students: list[str], again: bool, workers: int | None, device: str
) -> LocalCrew | None:
    """Workers that get ready while the one who calls is still loading nbgrader; None where little seems to wait.

    What there is to do is only guessed here, from the names of files; whoever gets the workers need not use them.

    Args:
        course: the course's folder.
        chapter: the chapter's name.
        students: whose submissions; empty: everyone's.
        again: whether also those are graded that are graded already.
        workers: how many; None: as many as are worth it.
        device: where student code computes.
    """
    release = course / "release" / chapter / f"{chapter}.ipynb"
    waiting = [
        folder.parent.name
        for folder in course.glob(f"submitted/*/{chapter}")
        if (not students or folder.parent.name in students)
        and (again or not (course / "verdicts" / chapter / f"{folder.parent.name}.json").exists())
    ]
    if len(waiting) < WORTH_IT or not release.is_file():
        return None
    size = workers or default_workers(len(waiting))
    return LocalCrew(
        min(size, len(waiting)), device, re.search(rb"(import|from) torch\b", release.read_bytes()) is not None
    )


@contextlib.contextmanager
def _no_main_module() -> Iterator[None]:
    """Spawned processes import the parent's main module again; ours need nothing of it, whatever it is."""
    import sys

    main = sys.modules["__main__"]
    kept = {name: getattr(main, name) for name in ("__file__", "__spec__") if hasattr(main, name)}
    for name in kept:
        setattr(main, name, None)
    try:
        yield
    finally:
        for name, value in kept.items():
            setattr(main, name, value)


def _serve(connection: Connection, device: str, torch: bool) -> None:
    """A worker: answer requests until the parent closes the connection, is gone, or says stop."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to act upon
    signal.signal(signal.SIGTERM, _stop)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    from autograder.grading import judge, work

    try:
        with contextlib.suppress(Exception):  # said in the first answer
            judge.server(device, torch, spares=True)
        while True:
            try:
                request = connection.recv_bytes()
            except (EOFError, OSError):
                return
            connection.send_bytes(work.answer(request))
    finally:
        judge.close_server()


def _stop(*_: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise SystemExit(1)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    parent.join()
    if hasattr(signal, "pthread_kill"):  # the main thread stops where it is, and tidies up
        with contextlib.suppress(OSError, ProcessLookupError):
            os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(20)
    os._exit(1)
