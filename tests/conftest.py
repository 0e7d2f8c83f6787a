"""What all tests share."""

from __future__ import annotations

from pathlib import Path

import pytest

from autograder import progress


@pytest.fixture(autouse=True)
def _own_progress_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A test's checks do not count as the user's progress."""
    monkeypatch.setattr(progress, "FILE", tmp_path / ".nnlm" / "progress.json")
