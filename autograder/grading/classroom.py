"""An instructor's course: release a chapter, grade what was handed in, write feedback. nbgrader keeps the books."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
from nbgrader.api import Gradebook, MissingEntry
from nbgrader.coursedir import CourseDirectory
from traitlets.config import Config, PyFileConfigLoader

from autograder import bundle
from autograder.grading.late import settle
from autograder.grading.pool import default_workers, each
from autograder.grading.records import Store
from autograder.nbgrader_config import TEMPLATE
from autograder.notebooks import generate_assignment, instructor_notebook, quiet_nbgrader, scripts_on_path
from autograder.paths import Chapter

if TYPE_CHECKING:
    from autograder.grading.crew import LocalCrew
    from autograder.grading.run import State


class ClassroomError(Exception):
    """Something the instructor can mend; the message says how."""


@dataclass(frozen=True)
class Result:
    """One student's result in one chapter."""

    student: str
    score: float | None
    max_score: float
    needs_manual: bool
    late_seconds: float
    penalty: float
    problem: str
    repairs: tuple[str, ...]
    seconds: float
    flags: tuple[str, ...] = ()  # hints for the instructor on how answers came about; they cost nothing

    def to_data(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)


class Classroom:
    """A nbgrader course directory with our plug-ins."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        scripts_on_path()

    # ---- settings ------------------------------------------------------------------------------------------------
    def create(self) -> None:
        """Make the folder and its configuration when they do not exist."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            settings = self.root / "nbgrader_config.py"
            if not settings.exists():
                settings.write_text(TEMPLATE, encoding="utf-8")
        except OSError as error:
            raise ClassroomError(
                f"Cannot write to {self.root} ({error.strerror}); choose another folder with --course-dir."
            ) from None

    def config(self) -> Config:
        """The course's own settings.

        Raises:
            ClassroomError: there is no course yet, or its settings fail.
        """
        settings = self.root / "nbgrader_config.py"
        if not settings.exists():
            raise ClassroomError(f"There is no course in {self.root}; begin with `nnlm release CHAPTER`.")
        try:
            return PyFileConfigLoader(settings.name, path=str(self.root)).load_config()
        except Exception as error:
            raise ClassroomError(f"{settings} fails: {type(error).__name__}: {error}") from None

    def coursedir(self, config: Config | None = None) -> CourseDirectory:
        """nbgrader's view of the course."""
        return CourseDirectory(config=config or self.config())

    @contextmanager
    def gradebook(self) -> Iterator[Gradebook]:
        """The open gradebook.

        Raises:
            ClassroomError: it cannot be opened.
        """
        import sqlalchemy.exc

        coursedir = self.coursedir()
        try:
            book = Gradebook(coursedir.db_url, coursedir.course_id)
        except (sqlalchemy.exc.SQLAlchemyError, ImportError) as error:
            reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
            raise ClassroomError(
                f"The gradebook cannot be opened ({reason}); check `CourseDirectory.db_url`."
            ) from None
        with book:
            yield book

    # ---- release -------------------------------------------------------------------------------------------------
    def release(self, chapter: Chapter, due: datetime | None = None) -> tuple[Path, list[str]]:
        """Generate the chapter's assignment and its student bundle.

        Returns:
            Path of the zip, and the names of the files in it.
        """
        self.create()
        source = self.root / "source" / chapter.name / f"{chapter.name}.ipynb"
        source.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(instructor_notebook(chapter), source)
        with self.gradebook():
            pass  # a gradebook that cannot be opened is said in a sentence before nbgrader meets it
        with quiet_nbgrader() as log:
            try:
                generate_assignment(self.root, chapter.name, self.config())
            except BaseException as error:
                if isinstance(error, KeyboardInterrupt):
                    raise
                raise ClassroomError(f"nbgrader refuses {chapter.name}: {str(log) or error}") from error
        if due is not None:
            with self.gradebook() as book:
                book.update_or_create_assignment(chapter.name, duedate=due.isoformat(" ", "seconds"))
        target = self.root / "bundles" / f"{chapter.name}.zip"
        names = bundle.write_zip(_with_start(chapter), target, _bundle_readme(chapter))
        return target, names

    # ---- grade ---------------------------------------------------------------------------------------------------
    def submissions(self, chapter: Chapter) -> list[str]:
        """Who handed in something for a chapter."""
        return sorted(p.parent.name for p in (self.root / "submitted").glob(f"*/{chapter.name}") if p.is_dir())

    def grade(
        self,
        chapter: Chapter,
        students: list[str] | None = None,
        again: bool = False,
        seed: str = "",
        overrides: dict[str, Any] | None = None,
        progress: Callable[[str, int, int], None] | None = None,
        workers: int | None = None,
        *,
        exercise: str = "",
        resume: bool = False,
        cluster: str = "",
        watch: Callable[[State], None] | None = None,
        ready: LocalCrew | None = None,
    ) -> list[Result]:
        """Grade submissions of a chapter; a student's trouble stays that student's.

        Args:
            chapter: what to grade.
            students: whose; everyone's by default.
            again: also those that are graded already and have not changed.
            seed: secret for fresh cases; by default a submission keeps its seed until it changes.
            overrides: settings of ``Judge``.
            progress: called with who is being graded, how many are done, how many there are.
            workers: processes; by default as many as are worth it.
            exercise: grade only this exercise anew; every other verdict and score stays.
            resume: go on with a run that was stopped, with its own students, seed and exercise.
            cluster: address of a Dask scheduler whose workers grade; empty: this machine.
            watch: as ``progress``, with everything there is to tell.
            ready: workers that were hired already; they are closed in the end, used or not.

        Raises:
            ClassroomError: it cannot begin, or the gradebook cannot be written; what is graded is kept.
        """
        from autograder.grading.run import Run, Settings

        def tell(state: State) -> None:
            if progress is not None:
                progress(state.sentence(), state.done, state.total)
            if watch is not None:
                watch(state)

        settings = Settings(list(students or []), again, seed, exercise, dict(overrides or {}))
        run = Run(self, chapter, settings, workers=workers, cluster=cluster, watch=tell, ready=ready)
        try:
            return run.go(resume)
        finally:
            if ready is not None:
                ready.close()

    def result(self, chapter: Chapter, student: str, problem: str = "", seconds: float = 0.0) -> Result:
        """What the gradebook and the record say of one student."""
        with self.gradebook() as book:
            return self.read_result(book, chapter, student, problem, seconds)

    def read_result(
        self, book: Gradebook, chapter: Chapter, student: str, problem: str = "", seconds: float = 0.0
    ) -> Result:
        """The same from a gradebook that is open already."""
        record = Store(self.root).load(chapter.name, student)
        repairs = tuple(record.repairs) if record else ()
        flags = tuple(
            f"{v.get('exercise')}: {text}" for v in (record.verdicts if record else ()) for text in v.get("flags", ())
        )
        trouble = problem or (record.unreadable if record else "")
        top = float(book.find_assignment(chapter.name).max_score)
        try:
            submission = book.find_submission(chapter.name, student)
        except MissingEntry:
            return Result(student, None, top, False, 0.0, 0.0, trouble, repairs, seconds)
        late = float(submission.total_seconds_late)
        penalty = float(submission.late_submission_penalty or 0.0)
        grades = [grade for notebook in submission.notebooks for grade in notebook.grades]
        # A submission that nbgrader took in but could not grade has no score yet, rather than 0.
        graded = record is not None or any(g.auto_score is not None or g.manual_score is not None for g in grades)
        # The penalty may be older than a manual score that was lowered since.
        score = max(0.0, float(submission.score) - penalty) if graded else None
        needs_manual = graded and bool(submission.needs_manual_grade)
        return Result(student, score, top, needs_manual, late, penalty, trouble, repairs, seconds, flags)

    def settle_late(self, chapter: Chapter) -> None:
        """Bring penalties for lateness into step with the gradebook.

        nbgrader takes a penalty off when it autogrades; points given by hand and extensions come later.
        """
        with self.gradebook() as book:
            try:
                submissions = book.find_assignment(chapter.name).submissions
            except MissingEntry:
                return
            late = [s.student.id for s in submissions if s.total_seconds_late or s.late_submission_penalty]
        if late:
            config = self.config()
            with quiet_nbgrader():
                settle(config, self.coursedir(config).db_url, chapter.name, late)

    # ---- feedback ------------------------------------------------------------------------------------------------
    def feedback(self, chapter: Chapter, students: list[str] | None = None, workers: int | None = None) -> list[Path]:
        """Write each graded student's feedback as HTML; returns the files.

        Raises:
            ClassroomError: nothing is graded yet, or nbgrader cannot write it.
        """
        graded = sorted(p.parent.name for p in (self.root / "autograded").glob(f"*/{chapter.name}"))
        wanted = [name for name in graded if not students or name in students]
        if not wanted:
            raise ClassroomError(f"Nothing of {chapter.name} is graded yet; run `nnlm grade {chapter.name}` first.")
        self.settle_late(chapter)
        rows: list[tuple[object, ...]] = [(self.root, chapter, who) for who in wanted]
        written = each(_write_feedback, rows, workers or default_workers(len(wanted)))
        return [page for pages in written for page in pages]

    def feedback_of(self, chapter: Chapter, student: str) -> list[Path]:
        """Write one student's feedback; returns its files."""
        from nbgrader.converters import GenerateFeedback

        config = self.config()
        config.CourseDirectory.assignment_id = chapter.name
        config.CourseDirectory.student_id = student
        with quiet_nbgrader() as log:
            converter = GenerateFeedback(coursedir=CourseDirectory(config=config), config=config)
            converter.force = True
            try:
                converter.start()
            except KeyboardInterrupt:
                raise
            except BaseException as error:
                raise ClassroomError(
                    f"nbgrader could not write the feedback of {student}: {str(log) or error}"
                ) from error
        return sorted((self.root / "feedback" / student / chapter.name).glob("*.html"))


def _write_feedback(root: Path, chapter: Chapter, student: str) -> list[Path]:
    return Classroom(root).feedback_of(chapter, student)


def _with_start(chapter: Chapter) -> list[Chapter]:
    """Every bundle brings the orientation along."""
    from autograder.paths import chapters

    return [c for c in chapters() if c.number == "00" or c == chapter]


def _bundle_readme(chapter: Chapter) -> str:
    return (
        f"# {chapter.name}\n\n"
        "Needs Python 3.11 or newer. In this folder:\n\n"
        "    python3 start.py\n\n"
        f"sets everything up and opens the course; work through `course/{chapter.name}.ipynb` and run its checks.\n"
        f"`python3 start.py check {chapter.name}` runs them all. Hand in that one notebook.\n"
    )
