"""What holds student code back, and how strongly: the level is reported with every run."""

from __future__ import annotations

import contextlib
import os
import sys
from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Budgets of one submission.

    Seconds are wall time; megabytes are 2²⁰ bytes. ``memory_mb`` bounds the data segment of each process, ``output_mb`` what a
    cell may print, ``file_mb`` the size of a file it writes.
    """

    cell_seconds: float = 30.0
    call_seconds: float = 10.0
    total_seconds: float = 300.0
    memory_mb: int = 4096
    output_mb: float = 1.0
    file_mb: int = 64


def level() -> str:
    """Name of the isolation that this machine's runs get.

    ``"process"`` is a separate process with resource limits, a clean environment and a folder of its own; it keeps honest
    accidents apart and the references out of reach of an import, but it is no jail: hostile code can read the user's files.
    """
    return "process"


def describe_level() -> str:
    """One sentence about the level, for reports."""
    return (
        "process: student code runs in processes of its own with limits on time, memory and output; "
        "this is no jail, so grade only submissions of people you trust."
    )


def apply_limits(limits: Limits) -> None:
    """Apply what the operating system enforces on the calling process and its children."""
    if sys.platform == "win32":
        return
    import resource

    megabyte = 2**20
    wanted = [
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, limits.file_mb * megabyte),
        # Spinning threads end even when the trusted side is gone.
        (resource.RLIMIT_CPU, int(limits.total_seconds * max(1, os.cpu_count() or 1)) + 5),
    ]
    if sys.platform == "linux":
        wanted.append((resource.RLIMIT_DATA, limits.memory_mb * megabyte))
    for what, value in wanted:
        with contextlib.suppress(ValueError, OSError):  # a hard limit below ours is stricter still
            resource.setrlimit(what, (value, value))


def die_with_parent() -> None:
    """Ask Linux to kill this process when its parent ends."""
    if sys.platform != "linux":
        return
    import ctypes
    import signal

    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGKILL, 0, 0, 0)  # PR_SET_PDEATHSIG
