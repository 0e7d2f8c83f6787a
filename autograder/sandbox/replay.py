"""A notebook's cells in a child that is started again when one of them hangs or kills it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from autograder.sandbox.calling import Answer
from autograder.sandbox.isolation import Limits
from autograder.sandbox.session import Server, Session, Stopped

#: How often a child may be started for one notebook.
MAX_STARTS = 13


class Replay:
    """Cells by position. What stops the child costs only itself: a fresh child runs the earlier cells again.

    ``stopped`` holds the cells that were left out, with the reason; a cell may get there late, when it ran once and
    kills the child on the second time.
    """

    def __init__(self, server: Server, limits: Limits) -> None:
        self.server, self.limits = server, limits
        self.stopped: dict[int, Stopped] = {}
        self.starts = 0
        self.deadline = time.monotonic() + limits.total_seconds  # of all children together
        self._session: Session | None = None
        self._done: dict[int, str] = {}  # position → source of what ran, in order

    def run(self, position: int, source: str, *, again: bool = True) -> list[Any]:
        """Run a cell and return its outputs, nothing in them is trusted.

        Args:
            position: the cell's number, for ``stopped``.
            source: its code.
            again: whether a fresh child has to run it again; a cell that defines nothing need not be.

        Raises:
            Stopped: the cell hung or ended the child; it is left out from now on.
        """
        try:
            outputs = self._live().run_cell(source)["outputs"]
        except Stopped as stopped:
            self._leave_out(position, stopped)
            raise
        if again:
            self._done[position] = source
        return list(outputs)

    def call(self, name: str, inputs: dict[str, Any], probe: str | None) -> Answer:
        """Call what the cells left under ``name``; a call that hangs or kills the child is an answer too."""
        try:
            return self._live().call(name, inputs, probe)
        except Stopped as stopped:
            self._session = None
            return Answer(stopped.status, reason=stopped.reason)

    def calls(
        self, name: str, questions: list[dict[str, Any]], probe: str | None, last: Callable[[Answer], bool]
    ) -> list[Answer]:
        """Call once a question; stops after an answer of which ``last`` is true, or when the child hangs or dies."""
        answers: list[Answer] = []
        try:
            for answer in self._live().calls(name, questions, probe):
                answers.append(answer)
                if last(answer):
                    if len(answers) not in (1, len(questions)):  # others may have been sent
                        self.close()
                    break
        except Stopped as stopped:
            self._session = None
            answers.append(Answer(stopped.status, reason=stopped.reason))
        return answers

    def close(self) -> None:
        """End the child."""
        if self._session is not None:
            self._session.close()
            self._session = None

    def __enter__(self) -> Replay:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _live(self) -> Session:
        """The child, started and brought up to date when there is none."""
        while self._session is None:
            if self.starts >= MAX_STARTS:
                reason = f"The notebook ended its process more than {MAX_STARTS - 1} times; nothing more was run."
                raise Stopped("died", reason)
            self.starts += 1
            left = self.deadline - time.monotonic()
            if left <= 0:
                raise Stopped(
                    "timeout", f"The notebook used up its {self.limits.total_seconds:g} s; nothing more was run."
                )
            self._session = self.server.open(replace(self.limits, total_seconds=left))
            for position, source in list(self._done.items()):
                try:
                    self._session.run_cell(source)
                except Stopped as stopped:  # it ran before and kills now
                    del self._done[position]
                    self._leave_out(position, stopped)
                    break
        return self._session

    def _leave_out(self, position: int, stopped: Stopped) -> None:
        self._session = None
        self.stopped[position] = stopped
