"""``nnlm test``: everything that has to be clean, pytest last, so that its summary ends the output."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Callable

from autograder.paths import ROOT

#: Name and arguments of what runs before pytest, each as ``python -m ...``.
BEFORE = (
    ("ruff check", ("ruff", "check", "--quiet", ".")),
    ("ruff format --check", ("ruff", "format", "--check", "--quiet", ".")),
    ("mypy", ("mypy",)),
    ("build --check", ("autograder.cli", "build", "--check")),
)
NEEDED = ("ruff", "mypy", "pytest", "xdist")


def missing_tools() -> list[str]:
    """Tools that the tests need and that are not installed."""
    return [name for name in NEEDED if importlib.util.find_spec(name) is None]


def pytest_arguments(full: bool, more: list[str]) -> list[str]:
    """Pytest's arguments: two processes, without the tests marked ``full``, unless they are asked for.

    A file's tests run in one process, so what a file sets up is set up once.
    """
    return ["-n", "2", "--dist", "loadfile", *([] if full else ["-m", "not full"]), *more]


def run(full: bool, more: list[str], tell: Callable[[str], None]) -> int:
    """Run everything, also after a failure; returns 0 when all of it is clean, else pytest's exit status or 1."""
    failed = []
    for name, arguments in BEFORE:
        done = subprocess.run(
            [sys.executable, "-m", *arguments],
            cwd=ROOT,
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
        )
        tell(f"{'✗' if done.returncode else '✓'} {name}")
        if done.returncode:
            failed.append(name)
            tell((done.stdout + done.stderr).rstrip())
    if failed:
        tell(f"Not clean: {', '.join(failed)}.")
    status = subprocess.run([sys.executable, "-m", "pytest", *pytest_arguments(full, more)], cwd=ROOT).returncode
    return status or int(bool(failed))
