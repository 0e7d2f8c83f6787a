"""What holds student code back, and how strongly: the level is reported with every run."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass

#: From the strongest to none; :mod:`autograder.sandbox.jail` says what each consists of.
LEVELS = ("full", "no-cgroup", "landlock", "none")
#: Below this one, code of people one does not know should not be run unattended.
WEAKEST_SAFE = "landlock"
#: Exit status of a child that could not be locked in, and of one that had no memory left to answer with.
NOT_LOCKED_IN, NO_MEMORY = 97, 98

_MEANINGS = {
    "full": (
        "each submission runs in a jail: its own file system, network and processes, a control group for memory, Landlock, "
        "and a filter on system calls."
    ),
    "no-cgroup": (
        "each submission runs in a jail: its own file system, network and processes, Landlock, and a filter on system calls; "
        "memory is watched by the grader, as there is no control group here."
    ),
    "landlock": (
        "Landlock and a filter on system calls keep each submission from other files, processes and the network; "
        "there are no namespaces here, and memory and disk are watched by the grader."
    ),
    "none": (
        "NOT SANDBOXED: processes of their own with limits on time, memory and output; "
        "this is no jail, so grade only submissions of people you trust."
    ),
}


@dataclass(frozen=True)
class Limits:
    """Budgets of one submission.

    Seconds are wall time, but for ``cpu_seconds``, the processor time of each process; megabytes are 2²⁰ bytes. ``memory_mb``
    bounds what a child and all that it starts hold together (without a jail: each process's data), ``processes`` their number
    with threads, ``disk_mb`` and ``files`` what it may write, ``file_mb`` one file, ``output_mb`` what a cell may print.
    """

    cell_seconds: float = 30.0
    call_seconds: float = 10.0
    total_seconds: float = 300.0
    cpu_seconds: float = 600.0
    memory_mb: int = 4096
    output_mb: float = 1.0
    file_mb: int = 64
    processes: int = 128
    disk_mb: int = 256
    files: int = 10_000


def safe(level: str) -> bool:
    """Whether code of people one does not know may run at a level."""
    return LEVELS.index(level) <= LEVELS.index(WEAKEST_SAFE)


def level() -> str:
    """Name of the isolation that this machine's runs get."""
    return _tried()[0]


def describe_level(name: str = "", why: str = "") -> str:
    """One sentence about a level (by default this machine's), for reports."""
    if not name:
        name, why = _tried()
    reason = f" A stronger level does not work here ({why})." if why and name != "full" else ""
    return f"{name}: {_MEANINGS.get(name, 'an earlier version of this program ran it.')}{reason}"


@functools.cache
def _tried() -> tuple[str, str]:
    """The level and why it is no stronger, found out by a short-lived process of its own."""
    if sys.platform != "linux":
        return "none", "jails need Linux"
    command = [sys.executable, "-P", "-m", "autograder.sandbox.server", "--level"]
    try:
        with tempfile.TemporaryDirectory(prefix="nnlm-level-") as folder:
            done = subprocess.run(
                [*command, folder], capture_output=True, timeout=60, check=True, stdin=subprocess.DEVNULL
            )
        found = json.loads(done.stdout)
        return found["level"], found["why"]
    except (OSError, subprocess.SubprocessError, ValueError, KeyError) as error:
        return "none", f"the sandbox could not be tried: {error}"


def apply_limits(limits: Limits, processes: int | None = None, data: bool = True) -> None:
    """Apply what the operating system enforces on the calling process and its children.

    Args:
        limits: the budgets.
        processes: most processes and threads of the user; not limited when None.
        data: whether to bound each process's data (CUDA reserves far more than it uses).
    """
    if sys.platform == "win32":
        return
    import resource

    megabyte = 2**20
    wanted = [
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, limits.file_mb * megabyte),
        (resource.RLIMIT_NOFILE, 1024),
        # Spinning threads end even when the trusted side is gone. A cold child has used some time for its imports.
        (resource.RLIMIT_CPU, int(limits.cpu_seconds + sum(os.times()[:2])) + 1),
    ]
    if processes is not None:
        wanted.append((resource.RLIMIT_NPROC, processes))
    if sys.platform == "linux" and data:
        # What the libraries hold already does not count: a forked child shares it with its server.
        wanted.append((resource.RLIMIT_DATA, _own_data() + limits.memory_mb * megabyte))
    for what, value in wanted:
        with contextlib.suppress(ValueError, OSError):  # a hard limit below ours is stricter still
            resource.setrlimit(what, (value, value))


def _own_data() -> int:
    with contextlib.suppress(OSError, ValueError), open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmData:"))
    return 0


def die_with_parent() -> None:
    """Ask Linux to kill this process when its parent ends."""
    if sys.platform != "linux":
        return
    import ctypes
    import signal

    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGKILL, 0, 0, 0)  # PR_SET_PDEATHSIG
