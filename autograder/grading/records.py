"""What grading found out, one JSON file a student and chapter, beside nbgrader's gradebook.

A verdict reaches the disk before it reaches the gradebook. Until it is there, it waits as a :class:`Pending` with everything
that a write needs, so that nothing has to be executed twice, whatever stops a run and when.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
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
    attempt: int = 1  # how many different submissions of this student have been graded

    def to_json(self) -> str:
        """As text with sorted keys."""
        return json.dumps(asdict(self), ensure_ascii=False, sort_keys=True, indent=1) + "\n"

    def with_verdict(self, verdict: dict[str, Any]) -> Record:
        """The same with another verdict about one exercise."""
        old = [entry.get("exercise") for entry in self.verdicts]
        name = verdict["exercise"]
        kept = [verdict if entry.get("exercise") == name else entry for entry in self.verdicts]
        return replace(self, verdicts=kept if name in old else [*kept, verdict])


@dataclass(frozen=True)
class Pending:
    """A graded submission that is not in the gradebook yet."""

    record: Record
    outputs: dict[str, list[dict[str, Any]]]  # cell id → what the cell printed and displayed
    run: str  # the run that graded it
    exercise: str = ""  # the only exercise that was graded; empty: all
    seconds: float = 0.0


def next_seed(before: Record | None, student: str, chapter: str, submission: str, secret: str = "") -> tuple[str, int]:
    """Seed of the cases for a submission, and the number of the attempt.

    An unchanged submission keeps its seed, so that a regrade asks the same questions. A changed one gets a fresh seed: who
    hands in again learns from the first verdict nothing about the second one's cases.

    Args:
        before: what is known of the student.
        student: who handed in.
        chapter: for what.
        submission: fingerprint of the file.
        secret: from which seeds are drawn; by default each is a new random one.
    """
    same = before is not None and before.submission == submission
    attempt = 1 if before is None else before.attempt + (not same)
    if secret:
        return derived_seed(secret, student, chapter, *([str(attempt)] if attempt > 1 else [])), attempt
    return (before.seed if before is not None and same and before.seed else secrets.token_hex(16)), attempt


def derived_seed(secret: str, *parts: str) -> str:
    """A seed for one student and chapter from the secret of a run."""
    return hashlib.sha256("\x00".join((secret, *parts)).encode("utf-8", "surrogatepass")).hexdigest()[:32]


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
        write_whole(self.path(record.chapter, record.student), record.to_json())

    def all(self, chapter: str) -> list[Record]:
        """Every record of a chapter, by student."""
        names = sorted(path.stem for path in (self.folder / chapter).glob("*.json"))
        return [record for name in names if (record := self.load(chapter, name))]

    # ---- not in the gradebook yet ------------------------------------------------------------------------------------
    def pending_path(self, chapter: str, student: str) -> Path:
        """File of what waits for the gradebook."""
        return self.folder / ".unwritten" / chapter / f"{student}.json"

    def keep(self, pending: Pending) -> None:
        """Put a graded submission on disk: from here on it is graded, and waits for the gradebook."""
        record = pending.record
        text = json.dumps(asdict(pending), ensure_ascii=False)
        write_whole(self.pending_path(record.chapter, record.student), text)
        self.save(record)

    def pending(self, chapter: str, student: str) -> Pending | None:
        """What waits for the gradebook, or None."""
        try:
            data = json.loads(self.pending_path(chapter, student).read_text(encoding="utf-8"))
            found = Pending(**{**data, "record": Record(**data["record"])})
        except (OSError, ValueError, TypeError, KeyError):
            return None
        if self.load(chapter, student) != found.record:
            self.save(found.record)  # it was killed between the two files
        return found

    def written(self, pending: Pending) -> None:
        """Forget what waited: it is in the gradebook now."""
        with contextlib.suppress(FileNotFoundError):
            self.pending_path(pending.record.chapter, pending.record.student).unlink()


class Journal:
    """What a run was asked to do and whom it has finished, so that another process can go on from there."""

    def __init__(self, course: Path, chapter: str) -> None:
        folder = course / "verdicts" / ".run"
        self.settings_path, self.done_path = folder / f"{chapter}.json", folder / f"{chapter}.done"
        self.lock_path = folder / f"{chapter}.lock"

    def begin(self, settings: dict[str, Any]) -> None:
        """Start a new run; an interrupted one is forgotten."""
        with contextlib.suppress(FileNotFoundError):
            self.settings_path.unlink()
        write_whole(self.done_path, "")
        write_whole(self.settings_path, json.dumps(settings, ensure_ascii=False))

    def settings(self) -> dict[str, Any] | None:
        """Settings of the run that was interrupted, or None."""
        try:
            data = json.loads(self.settings_path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return data if isinstance(data, dict) else None

    def done(self) -> set[str]:
        """Students whom the run has finished."""
        names = set()
        with contextlib.suppress(OSError):
            for line in self.done_path.read_text(encoding="utf-8").splitlines():
                with contextlib.suppress(ValueError):  # half a line, by a kill
                    names.add(str(json.loads(line)))
        return names

    def finished(self, student: str) -> None:
        """Note that a student is done."""
        with self.done_path.open("a", encoding="utf-8") as file:
            file.write(f"\n{json.dumps(student)}\n")  # on a line of its own, also after half a line

    def end(self) -> None:
        """The run is complete."""
        for path in (self.settings_path, self.done_path):
            with contextlib.suppress(FileNotFoundError):
                path.unlink()

    @contextlib.contextmanager
    def alone(self) -> Iterator[bool]:
        """Whether this is the only run of the chapter; the system gives the lock back however the process ends."""
        try:
            import fcntl
        except ImportError:  # Windows
            yield True
            return
        self.lock_path.parent.mkdir(parents=True, exist_ok=True)
        with self.lock_path.open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                yield False
                return
            yield True


def write_whole(path: Path, text: str) -> None:
    """Write a file so that a crash leaves the old one or the new one, never half."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    draft.write_text(text, encoding="utf-8", newline="\n")
    os.replace(draft, path)
