"""What grading found out, one JSON file a student and chapter, beside nbgrader's gradebook."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Record:
    """Verdicts with the seed of their cases: the same submission and seed give the same bytes."""

    student: str
    chapter: str
    seed: str
    isolation: str
    submission: str = ""  # SHA-256 of the file that was graded
    unreadable: str = ""
    repairs: list[str] = field(default_factory=list)
    verdicts: list[dict[str, Any]] = field(default_factory=list)

    def to_json(self) -> str:
        """As text with sorted keys."""
        return json.dumps(asdict(self), ensure_ascii=False, sort_keys=True, indent=1) + "\n"


def fingerprint(path: Path) -> str:
    """SHA-256 of a file, or an empty string when it cannot be read: whether a submission changed, whatever its date says."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""


class Store:
    """The folder ``verdicts/`` of a course."""

    def __init__(self, course: Path) -> None:
        self.folder = course / "verdicts"

    def path(self, chapter: str, student: str) -> Path:
        """File of one student and chapter."""
        return self.folder / chapter / f"{student}.json"

    def load(self, chapter: str, student: str) -> Record | None:
        """The record, or None when there is none that can be read."""
        try:
            return Record(**json.loads(self.path(chapter, student).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def save(self, record: Record) -> None:
        """Write a record so that a crash leaves the old one or the new one, never half."""
        path = self.path(record.chapter, record.student)
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(f".{os.getpid()}.tmp")
        draft.write_text(record.to_json(), encoding="utf-8", newline="\n")
        os.replace(draft, path)

    def all(self, chapter: str) -> list[Record]:
        """Every record of a chapter, by student."""
        names = sorted(path.stem for path in (self.folder / chapter).glob("*.json"))
        return [record for name in names if (record := self.load(chapter, name))]
