"""Grading a class: many grade, one writes, and whatever stops it loses nothing.

A submission goes through three steps, each on disk before the next: graded (the record and what waits for the gradebook),
written (nbgrader's gradebook), finished (the run's journal). A run that was stopped goes on where each of them stands.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from nbgrader.coursedir import CourseDirectory
from traitlets.config import Config

from autograder.grading import intake, records, work
from autograder.grading.classroom import Classroom, ClassroomError, Result
from autograder.grading.crew import Crew, LocalCrew, Reply
from autograder.grading.pool import default_workers
from autograder.grading.preprocessors import Judge
from autograder.grading.records import Journal, Pending, Record, Store
from autograder.grading.work import Outcome, Task
from autograder.grading.writer import GradebookTrouble, Locked, NotWritten, Writer
from autograder.paths import Chapter

#: How long a locked gradebook is waited for after the last submission is graded, in seconds.
PATIENCE = 60.0
#: How often a submission may change under the grader's eyes before it is left for later.
MOST_CHANGES = 3


@dataclass(frozen=True)
class Settings:
    """What a run is asked to do; kept, so that it can be resumed."""

    students: list[str] = field(default_factory=list)  # empty: everyone
    again: bool = False
    seed: str = ""
    exercise: str = ""
    overrides: dict[str, Any] = field(default_factory=dict)  # settings of Judge
    run: str = ""  # names the run


@dataclass(frozen=True)
class State:
    """How far a run is."""

    running: list[tuple[str, float]]  # who is being graded, and for how many seconds, the longest first
    done: int
    total: int
    seconds_left: float | None  # an estimate; None: nothing to go by yet
    note: str = ""  # what it waits for

    def sentence(self) -> str:
        """Who is being graded, in one line."""
        names = ", ".join(f"{name} ({seconds:.0f} s)" for name, seconds in self.running[:4])
        more = f" and {len(self.running) - 4} more" if len(self.running) > 4 else ""
        return self.note or f"{names}{more}" or "starting"


class Run:
    """One run over a chapter's submissions."""

    def __init__(
        self,
        classroom: Classroom,
        chapter: Chapter,
        settings: Settings,
        *,
        workers: int | None = None,
        cluster: str = "",
        watch: Callable[[State], None] | None = None,
        patience: float = PATIENCE,
        ready: LocalCrew | None = None,
    ) -> None:
        """Prepare.

        Args:
            classroom: the course.
            chapter: what to grade.
            settings: whom and how.
            workers: processes; by default as many as are worth it.
            cluster: address of a Dask scheduler; empty: this machine.
            watch: told how far it is, several times a second.
            patience: how long a locked gradebook is waited for, in seconds.
            ready: workers that were hired already; used where they fit.
        """
        self.ready = ready
        self.classroom, self.chapter, self.settings = classroom, chapter, settings
        self.workers, self.cluster, self.watch, self.patience = workers, cluster, watch, patience
        self.store, self.journal = Store(classroom.root), Journal(classroom.root, chapter.name)
        self.problems: dict[str, str] = {}
        self.seconds: dict[str, float] = {}
        self.queue: deque[str] = deque()  # to grade
        self.unwritten: deque[Pending] = deque()  # graded, not in the gradebook
        self.seeds: dict[str, tuple[str, int, str]] = {}  # seed, attempt and fingerprint of what is being graded
        self.changes: dict[str, int] = {}
        self.locked_since: float | None = None
        self.next_try = 0.0
        self.trouble = ""  # why the gradebook is not written any more in this run
        self.crew: Crew | None = None
        self.finished = 0

    def go(self, resume: bool = False) -> list[Result]:
        """Grade.

        Args:
            resume: go on with the interrupted run, with its settings.

        Raises:
            ClassroomError: it cannot begin, or the gradebook cannot be written; what is graded is kept.
        """
        self.template = self._template()
        with self.journal.alone() as alone:
            if not alone:
                raise ClassroomError(f"Another `nnlm grade` of {self.chapter.name} is running; wait until it ends.")
            try:
                return self._go(resume)
            except OSError as error:
                raise ClassroomError(
                    f"Cannot write {error.filename or self.store.folder} ({error.strerror}); mend it and run "
                    f"`nnlm grade {self.chapter.name} --resume`, nothing that is graded is lost."
                ) from error

    def _go(self, resume: bool) -> list[Result]:
        done = self._take_up() if resume else set()
        self.config = self.classroom.config()
        self.config.Judge.update(self.settings.overrides)
        self.judge = Judge(config=self.config)
        self.hidden = self._hidden()
        wanted = self._wanted()
        if not resume:
            self.settings = replace(self.settings, run=secrets.token_hex(8))
            self.journal.begin(asdict(self.settings))
        for student in wanted:
            if student not in done:
                self._plan(student, resume)
        self.total = len(self.queue) + len(self.unwritten)
        self.began = time.monotonic()
        self.writer = Writer(self._config_of_run(), self.chapter.name)
        try:
            self._work()
            if self.trouble:
                raise ClassroomError(self._unwritten_sentence())
            self.journal.end()
            return self._results(wanted)
        finally:
            self.writer.close()

    # ---- before ------------------------------------------------------------------------------------------------------
    def _template(self) -> bytes:
        try:
            path = self.classroom.root / "release" / self.chapter.name / f"{self.chapter.name}.ipynb"
            return path.read_bytes()
        except OSError:
            raise ClassroomError(
                f"{self.chapter.name} has not been released in {self.classroom.root}; "
                f"begin with `nnlm release {self.chapter.name}`."
            ) from None

    def _hidden(self) -> dict[str, str]:
        """Sources of locked cells that differ from the released ones: tests which an instructor hides from students."""
        path = self.classroom.root / "source" / self.chapter.name / f"{self.chapter.name}.ipynb"
        try:
            students, whole = work.released(self.template), work.released(path.read_bytes())
        except Exception:  # nbformat has its own kinds of error
            return {}  # released elsewhere: then there is nothing but what students have
        shown = {
            cell.metadata.nbgrader.grade_id: cell.source.strip()
            for cell in students.cells
            if "nbgrader" in cell.metadata
        }
        return {
            cell.metadata.nbgrader.grade_id: cell.source
            for cell in whole.cells
            if cell.metadata.get("nbgrader", {}).get("locked")
            and cell.source.strip() != shown.get(cell.metadata.nbgrader.grade_id, cell.source.strip())
        }

    def _take_up(self) -> set[str]:
        """Settings of the interrupted run, and whom it has finished."""
        data = self.journal.settings()
        if data is None:
            raise ClassroomError(
                f"There is no interrupted run of {self.chapter.name} to resume; run `nnlm grade {self.chapter.name}`."
            )
        self.settings = Settings(**data)
        return self.journal.done()

    def _wanted(self) -> list[str]:
        everyone = self.classroom.submissions(self.chapter)
        unknown = [name for name in self.settings.students if name not in everyone]
        submitted = self.classroom.root / "submitted"
        if unknown:
            raise ClassroomError(f"No submission of {unknown[0]} for {self.chapter.name} in {submitted}.")
        if self.settings.exercise and self.settings.exercise not in work.exercises_of(self.chapter.name):
            known = ", ".join(work.exercises_of(self.chapter.name))
            raise ClassroomError(f"{self.chapter.name} has no exercise '{self.settings.exercise}'; it has {known}.")
        if not everyone:
            where = submitted / "STUDENT" / self.chapter.name / f"{self.chapter.name}.ipynb"
            raise ClassroomError(f"Nobody has handed in {self.chapter.name}: put each notebook at {where}.")
        return list(dict.fromkeys(self.settings.students)) or everyone

    def _plan(self, student: str, resume: bool) -> None:
        """Decide what a student needs: grading, writing, or nothing."""
        problem = self._at_the_door(student)
        if problem:
            self.problems[student] = problem
            return
        record = self.store.load(self.chapter.name, student)
        pending = self.store.pending(self.chapter.name, student)
        present = records.fingerprint(self._notebook(student))
        if pending is not None and pending.record.submission == present:
            mine = pending.run == self.settings.run
            if mine or not (resume or self.settings.again or self.settings.exercise):
                self.unwritten.append(pending)
                return
            if self.settings.exercise:
                self.problems[student] = (
                    f"What is graded is not in the gradebook yet; run `nnlm grade {self.chapter.name}` first."
                )
                return
        if self.settings.exercise:
            self._plan_one_exercise(student, record, present)
        elif self.settings.again or self._is_new(student, record, present):
            self.queue.append(student)

    def _plan_one_exercise(self, student: str, record: Record | None, present: str) -> None:
        if record is None or not self._graded_notebook(student).is_file() or record.submission != present:
            again = "has not been graded yet" if record is None else "has changed since it was graded"
            self.problems[student] = f"The submission {again}; run `nnlm grade {self.chapter.name}` first."
        else:
            self.queue.append(student)

    def _is_new(self, student: str, record: Record | None, present: str) -> bool:
        graded = self._graded_notebook(student)
        if record is None or record.submission != present or not graded.exists():
            return True
        coursedir = CourseDirectory(config=self.config)
        try:
            new = coursedir.get_existing_timestamp(str(self._notebook(student).parent))
            old = coursedir.get_existing_timestamp(str(graded.parent))
        except Exception:  # a timestamp that cannot be read is nbgrader's to complain about
            return True
        return new is not None and old is not None and new > old

    def _at_the_door(self, student: str) -> str:
        """Why a submission is not even looked at, as a sentence; empty when it is."""
        if trouble := intake.name_trouble(student):
            return trouble
        folder = self._notebook(student).parent
        expected = self._notebook(student)
        if not expected.exists() and not expected.is_symlink():
            others = sorted(path.name for path in folder.glob("*.ipynb"))
            found = f"found {', '.join(others)}; rename it" if others else "the folder has no notebook"
            return f"There is no {expected.name}: {found}."
        try:
            intake.survey(folder, expected.name)
        except intake.Unreadable as error:
            return str(error)
        return ""

    def _notebook(self, student: str) -> Path:
        return self.classroom.root / "submitted" / student / self.chapter.name / f"{self.chapter.name}.ipynb"

    def _graded_notebook(self, student: str) -> Path:
        return self.classroom.root / "autograded" / student / self.chapter.name / f"{self.chapter.name}.ipynb"

    def _config_of_run(self) -> Config:
        config = Config(self.config)
        config.CourseDirectory.assignment_id = self.chapter.name
        return config

    # ---- the loop ----------------------------------------------------------------------------------------------------
    def _work(self) -> None:
        try:
            if self.queue:
                self.crew = self._hire()
            in_work = 0
            while self.queue or in_work or (self.unwritten and not self.trouble):
                while self.queue and self.crew is not None and self.crew.room() > 0:
                    in_work += self._give(self.queue.popleft())
                if in_work and self.crew is not None:
                    # With something to write there is no time to wait.
                    busy = bool(self.unwritten) and self.locked_since is None and not self.trouble
                    for reply in self.crew.replies(0.0 if busy else 0.2):
                        in_work -= 1
                        self._receive(reply)
                while self.queue and self.crew is not None and self.crew.room() > 0:
                    in_work += self._give(self.queue.popleft())
                if self.unwritten and not self.trouble:
                    self._write_next(waiting=bool(in_work or self.queue))
                self._tell()
        finally:
            if self.crew is not None:
                self.crew.close()

    def _hire(self) -> Crew:
        if self.cluster:
            from autograder.grading.cluster import ClusterCrew

            return ClusterCrew(self.cluster, f"{self.chapter.name}-{self.settings.run}")
        most_seconds = self.judge.total_seconds + 120.0  # the sandbox's time, and ours
        if self.ready is not None and self.ready.device == self.judge.device:
            self.ready.most_seconds = most_seconds
            return self.ready
        size = self.workers or default_workers(len(self.queue))
        size = max(1, min(size, len(self.queue)))
        return LocalCrew(size, self.judge.device, work.uses_torch(self.template), most_seconds)

    def _give(self, student: str) -> bool:
        """Hand a submission to a worker; False when it cannot even be read."""
        assert self.crew is not None
        raw, unreadable = b"", ""
        try:
            raw = intake.take_in(self._notebook(student))
        except intake.Unreadable as error:
            unreadable = str(error)
        fingerprint = (
            hashlib.sha256(raw).hexdigest() if not unreadable else records.fingerprint(self._notebook(student))
        )
        before = self.store.load(self.chapter.name, student)
        seed, attempt = records.next_seed(before, student, self.chapter.name, fingerprint, self.settings.seed)
        self.seeds[student] = (seed, attempt, fingerprint)
        task = Task(
            student=student,
            chapter=self.chapter.name,
            submission=raw,
            template=self.template,
            seed=seed,
            limits=self.judge.limits(),
            unreadable=unreadable,
            hidden=self.hidden,
            exercise=self.settings.exercise,
            device=self.judge.device,
            unsafe=self.judge.unsafe,
            everything=self.judge.everything,
            version=work.version() if self.cluster else "",
        )
        self.crew.give(student, task.to_bytes())
        return True

    def _receive(self, reply: Reply) -> None:
        """Put what a worker found out on disk."""
        student = reply.key
        outcome = Outcome.from_bytes(reply.data) if not reply.failed else Outcome(failed=reply.failed)
        if outcome.refused:
            raise ClassroomError(outcome.refused)
        self.seconds[student] = outcome.seconds
        if outcome.failed:
            self._finish(student, outcome.failed)
            return
        seed, attempt, fingerprint = self.seeds.pop(student)
        record = Record(
            student=student,
            chapter=self.chapter.name,
            seed=seed,
            isolation=outcome.isolation,
            submission=fingerprint,
            unreadable=outcome.unreadable,
            repairs=outcome.repairs,
            verdicts=outcome.verdicts,
            attempt=attempt,
        )
        if self.settings.exercise:
            before = self.store.load(self.chapter.name, student)
            assert before is not None  # _plan_one_exercise has looked
            for verdict in outcome.verdicts:
                record = before.with_verdict(verdict)
        pending = Pending(record, outcome.outputs, self.settings.run, self.settings.exercise, outcome.seconds)
        self.store.keep(pending)
        self.unwritten.append(pending)

    def _write_next(self, waiting: bool) -> None:
        """Write the next graded submission into the gradebook, or find out why not."""
        if self.locked_since is not None and time.monotonic() < self.next_try:
            time.sleep(0.0 if waiting else 0.1)
            return
        pending = self.unwritten.popleft()
        student = pending.record.student
        if records.fingerprint(self._notebook(student)) != pending.record.submission:
            self._changed_meanwhile(pending)
            return
        try:
            self.writer.write(pending)
        except Locked:
            self.unwritten.appendleft(pending)
            now = time.monotonic()
            self.locked_since, self.next_try = self.locked_since or now, now + 0.5
            if now - self.locked_since > self.patience and not waiting:
                self.trouble = "another program has kept it locked"
            return
        except GradebookTrouble as error:
            self.unwritten.appendleft(pending)
            self.trouble = str(error)
            return
        except NotWritten as error:
            self.store.written(pending)
            self._finish(student, str(error))
            return
        self.locked_since = None
        self._finish(student)
        self.store.written(pending)

    def _changed_meanwhile(self, pending: Pending) -> None:
        """A submission that was replaced after it was read is graded anew."""
        student = pending.record.student
        self.store.written(pending)
        self.changes[student] = self.changes.get(student, 0) + 1
        if self.changes[student] > MOST_CHANGES or self.crew is None or pending.exercise:
            self._finish(student, "The submission was replaced while it was graded; grade it again.")
        else:
            self.queue.append(student)

    def _finish(self, student: str, problem: str = "") -> None:
        if problem:
            self.problems[student] = problem
        self.finished += 1
        self.journal.finished(student)

    def _tell(self) -> None:
        if self.watch is None:
            return
        left = self.total - self.finished
        spent = time.monotonic() - self.began
        estimate = spent / self.finished * left if self.finished else None
        note = ""
        if self.locked_since is not None and not self.trouble:
            note = f"waiting for the gradebook, which another program has locked ({time.monotonic() - self.locked_since:.0f} s)"
        running = self.crew.running() if self.crew is not None else []
        self.watch(State(running, self.finished, self.total, estimate, note))

    # ---- after -------------------------------------------------------------------------------------------------------
    def _unwritten_sentence(self) -> str:
        count = len(self.unwritten)
        what = "1 graded submission is" if count == 1 else f"{count} graded submissions are"
        return (
            f"The gradebook cannot be written ({self.trouble}); {what} kept in {self.store.folder}. When it works again, "
            f"`nnlm grade {self.chapter.name} --resume` writes them."
        )

    def _results(self, wanted: list[str]) -> list[Result]:
        with self.classroom.gradebook() as book:
            return [
                self.classroom.read_result(
                    book, self.chapter, student, self.problems.get(student, ""), self.seconds.get(student, 0.0)
                )
                for student in wanted
            ]
