"""What all tests share."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from autograder import progress

# Where tests run in the background, Ctrl-C may be ignored, and all that they start would inherit that and not hear it either.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _own_progress_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A test's checks do not count as the user's progress."""
    monkeypatch.setattr(progress, "FILE", tmp_path / ".nnlm" / "progress.json")
