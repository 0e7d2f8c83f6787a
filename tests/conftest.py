"""What all tests share."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

# Test processes side by side share the cores: with a thread for each core in each of them, they would wait for one another.
# NumPy and PyTorch read this when they are first imported, and what a test starts inherits it.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

from autograder import progress

# Where tests run in the background, Ctrl-C may be ignored, and all that they start would inherit that and not hear it either.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _own_progress_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A test's checks do not count as the user's progress."""
    monkeypatch.setattr(progress, "FILE", tmp_path / ".nnlm" / "progress.json")
