"""Progress is kept on this computer, survives damage, and is shown chapter by chapter."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from autograder import frozen, progress
from autograder.checking import CheckFailed, check


def right(x, w, b):  # type: ignore[no-untyped-def]
    return (x @ w + b > 0).astype(int)


def states(chapter: str) -> dict[str, bool | None]:
    return next(row.exercises for row in progress.overview() if row.chapter == chapter)


def test_checks_are_remembered_and_a_later_failure_counts() -> None:
    assert states("02_perceptron")["threshold_unit"] is None
    with pytest.raises(CheckFailed):
        check("threshold_unit", lambda x, w, b: None)
    assert states("02_perceptron")["threshold_unit"] is False
    check("threshold_unit", right)
    assert states("02_perceptron")["threshold_unit"] is True
    assert states("02_perceptron")["fold_bias"] is None


def test_every_chapter_with_checks_is_shown_in_order() -> None:
    rows = progress.overview()
    assert [row.chapter for row in rows] == sorted(row.chapter for row in rows)
    for row in rows:
        assert list(row.exercises) == frozen.names(frozen.FOLDER / f"{row.chapter}.cases")
    check("threshold_unit", right)
    panel = progress.show()
    assert "✓ threshold_unit" in repr(panel)
    assert "○ fold_bias" in panel._repr_html_()


def test_a_damaged_or_unwritable_file_never_fails_a_check(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    progress.FILE.parent.mkdir()
    progress.FILE.write_text("{ not json")
    check("threshold_unit", right)
    assert progress.load() == {"threshold_unit": True}
    blocked = tmp_path / "a file"
    blocked.write_text("")
    monkeypatch.setattr(progress, "FILE", blocked / "progress.json")
    with contextlib.suppress(CheckFailed):
        check("threshold_unit", right)
    assert progress.load() == {}
