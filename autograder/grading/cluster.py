"""Grading on more than one machine, through a Dask scheduler.

What crosses the network are the bytes of a :class:`~autograder.grading.work.Task` and of its outcome. Dask itself carries the
name of one function of ours; nothing of a student's is ever unpickled. A task whose worker dies goes to another one; the scheduler
gives up when it has ended several (its setting ``allowed-failures``, 3 by default).
"""

from __future__ import annotations

import contextlib
import time
from typing import Any

from autograder.grading import work
from autograder.grading.classroom import ClassroomError
from autograder.grading.crew import Reply

#: How long a scheduler, and then its first worker, is waited for, in seconds.
PATIENCE = 20.0
#: Tasks a worker has beside the one it is at: it need not wait for the next, and little is repeated when it dies.
AHEAD = 1


class ClusterCrew:
    """The workers of a Dask scheduler; see :class:`~autograder.grading.crew.Crew`."""

    def __init__(self, address: str, run: str, patience: float = PATIENCE) -> None:
        """Connect.

        Args:
            address: the scheduler, as ``tcp://HOST:PORT``.
            run: prefix of the tasks' names, different for every run.
            patience: how long the scheduler and a first worker are waited for, in seconds.

        Raises:
            ClassroomError: Dask is not installed, nobody answers, or a worker has another version of the course.
        """
        try:
            from distributed import Client
        except ImportError:
            raise ClassroomError(
                "Grading on a cluster needs Dask; install it with `pip install -e '.[cluster]'`, here and on every worker."
            ) from None
        self.address, self.run = address, run
        self._futures: dict[str, Any] = {}
        self._since: dict[str, float] = {}
        self._tries = 0
        self._workers, self._counted = 0, float("-inf")
        try:
            self.client = Client(address, timeout=patience, set_as_default=False)
        except (OSError, TimeoutError, ValueError) as error:
            raise ClassroomError(
                f"No Dask scheduler answers at {address} ({_first_line(error)}); start one, or check the address."
            ) from None
        try:
            self.client.wait_for_workers(1, timeout=patience)
            self._check_versions()
        except TimeoutError:
            self.close()
            raise ClassroomError(
                f"The scheduler at {address} has no workers; start some, docs/cluster.md says how."
            ) from None
        except BaseException:
            self.close()
            raise

    def _check_versions(self) -> None:
        mine = work.version()
        for worker, theirs in self.client.run(work.version, on_error="return").items():
            if theirs != mine:
                said = "does not have the course" if isinstance(theirs, BaseException) else "has another version of it"
                raise ClassroomError(
                    f"Every worker needs the same version of the course as this machine, and {worker} {said}; "
                    "install this one there and start its workers again."
                )

    def room(self) -> int:
        """How many more tasks can be given now."""
        now = time.monotonic()
        if now - self._counted > 1.0:  # workers come and go
            with contextlib.suppress(OSError):
                self._workers, self._counted = len(self.client.nthreads()), now
        return max(0, self._workers * (1 + AHEAD) - len(self._futures))

    def give(self, key: str, request: bytes) -> None:
        """Give a task to the cluster."""
        self._tries += 1
        name = f"{self.run}-{self._tries}-{key}"
        self._futures[key] = self.client.submit(work.answer, request, key=name, pure=False, retries=0)
        self._since[key] = time.monotonic()

    def replies(self, seconds: float) -> list[Reply]:
        """What is done; waits at most some seconds for the first."""
        deadline = time.monotonic() + seconds
        while True:
            done = [key for key, future in self._futures.items() if future.status != "pending"]
            if done or time.monotonic() >= deadline:
                break
            if self.client.status not in ("running", "connecting"):
                raise ClassroomError(
                    f"The scheduler at {self.address} is gone; what is graded is kept. Start it again, then use --resume."
                )
            time.sleep(0.02)
        return [self._reply(key) for key in done]

    def _reply(self, key: str) -> Reply:
        future = self._futures.pop(key)
        self._since.pop(key, None)
        try:
            if future.status == "finished":
                return Reply(key, bytes(future.result(timeout=PATIENCE)))
            error = future.exception(timeout=PATIENCE) if future.status == "error" else future.status
        except Exception as trouble:
            error = trouble
        finally:
            with contextlib.suppress(Exception):
                future.release()
        if type(error).__name__ == "KilledWorker":
            return Reply(key, failed="Grading it ended several workers of the cluster; grade it again alone.")
        return Reply(key, failed=f"The cluster could not grade it ({_first_line(error)}); grade it again.")

    def running(self) -> list[tuple[str, float]]:
        """Tasks at the cluster with the seconds since they were given, the longest first."""
        now = time.monotonic()
        return sorted(((key, now - since) for key, since in self._since.items()), key=lambda row: -row[1])

    def close(self) -> None:
        """Leave the cluster; what is still in work there is cancelled."""
        with contextlib.suppress(Exception):
            self.client.cancel(list(self._futures.values()), force=True)
        with contextlib.suppress(Exception):
            self.client.close(timeout=5)


def _first_line(error: Any) -> str:
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__)[:200].rstrip(".")
