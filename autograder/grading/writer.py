"""The only one who writes the gradebook: nbgrader's own Autograde with our plug-ins, one submission after the other.

nbgrader opens its gradebook nine times a notebook and commits after every cell. Here its classes are lent one that stays open, and
a submission is one transaction: it is in the gradebook, or it is not.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nbformat
import sqlalchemy
import sqlalchemy.exc
from nbgrader import utils
from nbgrader.api import BaseCell, Comment, Grade, Gradebook
from nbgrader.converters import Autograde
from nbgrader.converters import autograde as nbgrader_autograde
from nbgrader.coursedir import CourseDirectory
from nbgrader.nbgraderformat import MetadataValidator
from nbgrader.nbgraderformat.common import BaseMetadataValidator
from nbgrader.preprocessors import (
    AssignLatePenalties,
    CheckCellMetadata,
    latesubmissions,
    overwritecells,
    overwritekernelspec,
    saveautogrades,
)
from sqlalchemy import event
from traitlets.config import Config

from autograder.cells import CHECK_PREFIX
from autograder.grading.preprocessors import Judge, SubmissionExporter
from autograder.grading.records import Pending
from autograder.notebooks import quiet_nbgrader

_WHERE_NBGRADER_OPENS_IT = (
    nbgrader_autograde,
    latesubmissions,
    overwritecells,
    overwritekernelspec,
    saveautogrades,
)
#: How long SQLite itself waits for another process's lock, in milliseconds; whoever calls tries again.
_BUSY_MS = 200


class Locked(Exception):
    """Another process is writing the gradebook; try again."""


class GradebookTrouble(Exception):
    """The gradebook cannot be used; the message says why, without a full stop."""


class NotWritten(Exception):
    """nbgrader refuses this one submission; the message is a sentence."""


class Writer:
    """Writes graded submissions of one chapter into the gradebook."""

    def __init__(self, config: Config, chapter: str) -> None:
        self.config, self.chapter = config, chapter
        self.coursedir = CourseDirectory(config=config)
        self._book: _OpenGradebook | None = None
        self._converter: _Converter | None = None

    @property
    def book(self) -> Gradebook:
        """The gradebook, opened on first use.

        Raises:
            Locked: another process is writing it.
            GradebookTrouble: it cannot be opened, or does not know the chapter.
        """
        if self._book is None:
            path = _sqlite_file(self.coursedir.db_url)
            if path is not None and not path.is_file():
                raise GradebookTrouble(f"there is no {path}")
            if path is not None:
                _see_whether_locked(path)
            with _told_apart():
                book = _OpenGradebook(self.coursedir.db_url, self.coursedir.course_id)
            try:
                with _told_apart():
                    known = any(assignment.name == self.chapter for assignment in book.assignments)
                    book.db.rollback()
                if not known:
                    raise GradebookTrouble(f"it does not know {self.chapter}; was it replaced by another one?")
            except BaseException:
                book.really_close()
                raise
            self._book = book
        return self._book

    def write(self, pending: Pending) -> None:
        """Write one submission, wholly or not at all.

        Raises:
            Locked: another process is writing the gradebook; nothing was changed.
            GradebookTrouble: the gradebook cannot be written; nothing in it was changed.
            NotWritten: nbgrader refuses the submission.
        """
        book = self.book
        assert isinstance(book, _OpenGradebook)
        try:
            with _told_apart(), book.lent(), quiet_nbgrader() as log:
                book.begin()
                if pending.exercise:
                    self._write_one_exercise(book, pending)
                else:
                    self._write_all(pending, log)
                book.commit()
        except (Locked, GradebookTrouble):
            self.close()  # whatever the connection was in, the next try begins afresh
            raise
        except BaseException:
            book.db.rollback()
            raise

    def close(self) -> None:
        """Close the gradebook."""
        if self._book is not None:
            self._book.really_close()
            self._book = None

    def _write_all(self, pending: Pending, log: Any) -> None:
        student = pending.record.student
        if self._converter is None:
            config = Config(self.config)
            config.CourseDirectory.assignment_id = self.chapter
            self._converter = _Converter(coursedir=CourseDirectory(config=config), config=config)
            self._converter.force = True
        converter = self._converter
        converter.coursedir.student_id = student
        converter.trouble = None
        Judge.handed = pending
        try:
            converter.start()
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            database = _operational(converter.trouble)
            if database is not None:
                raise database from None
            raise NotWritten(f"nbgrader could not grade it: {str(log) or error}") from error
        finally:
            Judge.handed = None

    def _write_one_exercise(self, book: Gradebook, pending: Pending) -> None:
        """Only this exercise's output and score change, and what depends on the score."""
        student = pending.record.student
        path = Path(self.coursedir.format_path(self.coursedir.autograded_directory, student, self.chapter))
        path = path / f"{self.chapter}.ipynb"
        try:
            notebook = nbformat.read(path, as_version=4)
        except (OSError, ValueError):
            raise NotWritten(f"Its graded notebook {path} is gone; grade it again with --again.") from None
        grade_id = CHECK_PREFIX + pending.exercise
        for cell in notebook.cells:
            if cell.metadata.get("nbgrader", {}).get("grade_id") == grade_id:
                cell.outputs = [nbformat.from_dict(output) for output in pending.outputs.get(grade_id, [])]
                score, _ = utils.determine_grade(cell)
                grade = book.find_grade(grade_id, self.chapter, self.chapter, student)
                grade.auto_score = score
                grade.needs_manual_grade = grade.manual_score is not None or score is None
                break
        else:
            raise NotWritten(f"Its graded notebook has no check of {pending.exercise}; grade it again with --again.")
        about = {"notebook": self.chapter, "assignment": self.chapter, "student": student}
        resources = {"nbgrader": {**about, "db_url": self.coursedir.db_url}}
        AssignLatePenalties(config=self.config).preprocess(nbformat.v4.new_notebook(), resources)
        draft = path.with_name(f".{path.name}.tmp")
        nbformat.write(notebook, draft)
        draft.chmod(path.stat().st_mode)
        os.replace(draft, path)


class _Converter(Autograde):
    """nbgrader's Autograde in one pass: nothing is exported, written, and read again in between."""

    trouble: BaseException | None = None

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self._made: list[Any] = []

    def init_assignment(self, assignment_id: str, student_id: str) -> None:
        with self._remembered():
            super().init_assignment(assignment_id, student_id)

    def convert_single_notebook(self, notebook_filename: str) -> None:
        with self._remembered():
            if not isinstance(self.exporter, SubmissionExporter):  # the course's settings name another
                super().convert_single_notebook(notebook_filename)
                return
            resources = self.exporter._init_resources(self.init_single_notebook_resources(notebook_filename))
            resources["metadata"]["name"] = resources["nbgrader"]["notebook"]
            notebook = self.exporter.rebuilt(notebook_filename, resources)
            for preprocessor in self._both_lists():
                notebook, resources = preprocessor(notebook, resources)
            self.write_single_notebook(nbformat.v4.writes(notebook) + "\n", resources)

    def _both_lists(self) -> list[Any]:
        """What sanitises and what grades, made once: they keep nothing from one notebook to the next."""
        if not self._made:
            for self._sanitizing in (False, True):  # True is how nbgrader leaves it
                self._init_preprocessors()
                self._made[:0] = [
                    _CheckCellMetadata(parent=self.exporter) if type(step) is CheckCellMetadata else step
                    for step in self.exporter._preprocessors
                ]
        return self._made

    @contextlib.contextmanager
    def _remembered(self) -> Iterator[None]:
        """nbgrader turns errors into text; whoever calls needs to know what they were."""
        try:
            yield
        except BaseException as error:
            self.trouble = error
            raise


class _CheckCellMetadata(CheckCellMetadata):
    """nbgrader's check, which for every cell first checks that nbgrader's own schema is a schema; here that is done once."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self._validator = _Validator()

    def preprocess(self, nb: Any, resources: Any) -> Any:
        self._validator.validate_nb(nb)
        return nb, resources


class _QuickBase(BaseMetadataValidator):
    def validate_cell(self, cell: Any) -> None:
        meta = cell.metadata.get("nbgrader")
        if meta is None or meta in self.seen:
            return
        super().validate_cell(cell)
        self.seen.append(dict(meta))  # a course has a few dozen, and every submission has the same


class _Validator(MetadataValidator, _QuickBase):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[dict[str, Any]] = []


class _OpenGradebook(Gradebook):
    """A gradebook that stays open while nbgrader's classes believe they open and close it, and commit."""

    def __init__(self, db_url: str, course_id: str) -> None:
        super().__init__(db_url, course_id)
        if self.engine.dialect.name == "sqlite":
            self.db.remove()
            self.engine.dispose()
            event.listen(self.engine, "connect", _short_patience)
        self._session: Any = self.db
        self.db: Any = _Deferred(self._session)
        self._checked = {course_id}
        self._known: dict[tuple[str, ...], Any] = {}  # what was released
        self._rows: dict[tuple[str, ...], dict[str, Any]] = {}  # the present submission's grades and comments

    # What was released does not change while a run writes, and everyone has the same.
    def find_source_cell(self, name: str, notebook: str, assignment: str) -> Any:
        key = ("source", name, notebook, assignment)
        if key not in self._known:
            self._known[key] = _plain_copy(super().find_source_cell(name, notebook, assignment))
        return self._known[key]

    def find_graded_cell(self, name: str, notebook: str, assignment: str) -> Any:
        key = ("graded", name, notebook, assignment)
        if key not in self._known:
            self._known[key] = _plain_copy(super().find_graded_cell(name, notebook, assignment))
        return self._known[key]

    # A submission's grades and comments come in one query each, instead of one query a cell.
    def find_grade(self, grade_cell: str, notebook: str, assignment: str, student: str) -> Any:
        found = self._all(Grade, notebook, assignment, student).get(grade_cell)
        return super().find_grade(grade_cell, notebook, assignment, student) if found is None else found

    def find_comment(self, solution_cell: str, notebook: str, assignment: str, student: str) -> Any:
        found = self._all(Comment, notebook, assignment, student).get(solution_cell)
        return super().find_comment(solution_cell, notebook, assignment, student) if found is None else found

    def _all(self, table: Any, notebook: str, assignment: str, student: str) -> dict[str, Any]:
        key = (table.__name__, notebook, assignment, student)
        if key not in self._rows:
            whole = self.find_submission_notebook(notebook, assignment, student)
            query = self.db.query(BaseCell.name, table).join(table, table.cell_id == BaseCell.id)
            self._rows[key] = {name: row for name, row in query.filter(table.notebook_id == whole.id)}
        return self._rows[key]

    def begin(self) -> None:
        """Start a submission's transaction; where the system can, take the lock before anything is touched."""
        self._rows = {}
        self.db.rollback()
        if self.engine.dialect.name == "sqlite":
            self._session.connection().exec_driver_sql("BEGIN IMMEDIATE")
        self._session.connection().exec_driver_sql("UPDATE course SET id = id WHERE 1 = 0")  # may it be written at all?

    def commit(self) -> None:
        """Make it so."""
        self._session.commit()

    def close(self) -> None:
        pass

    def really_close(self) -> None:
        """Close it."""
        with contextlib.suppress(sqlalchemy.exc.SQLAlchemyError):
            self._session.remove()
        self.engine.dispose()

    @contextlib.contextmanager
    def lent(self) -> Iterator[None]:
        """Let nbgrader's classes open this one."""
        before = [module.Gradebook for module in _WHERE_NBGRADER_OPENS_IT]

        def opened(db_url: str, course_id: str = "default_course", authenticator: Any = None) -> Gradebook:
            if course_id not in self._checked:
                self.check_course(course_id)
                self._checked.add(course_id)
            return self

        for module in _WHERE_NBGRADER_OPENS_IT:
            module.Gradebook = opened
        try:
            yield
        finally:
            for module, original in zip(_WHERE_NBGRADER_OPENS_IT, before, strict=True):
                module.Gradebook = original


class _Deferred:
    """A session whose commits only flush: a submission is committed as a whole."""

    def __init__(self, session: Any) -> None:
        self._session = session

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def commit(self) -> None:
        self._session.flush()

    def remove(self) -> None:
        pass


def _operational(error: BaseException | None) -> sqlalchemy.exc.OperationalError | None:
    """The failure of the database behind an error, if there is one; nbgrader wraps some of them."""
    while error is not None and not isinstance(error, sqlalchemy.exc.OperationalError):
        error = error.__cause__ or error.__context__
    return error


def _plain_copy(row: Any) -> SimpleNamespace:
    """A row's columns, without its tie to the session."""
    return SimpleNamespace(
        **{column.key: getattr(row, column.key) for column in sqlalchemy.inspect(row).mapper.column_attrs}
    )


def _short_patience(connection: Any, _: Any) -> None:
    connection.execute(f"PRAGMA busy_timeout = {_BUSY_MS}")


@contextlib.contextmanager
def _told_apart() -> Iterator[None]:
    """Database errors as ours: those that pass, and those that do not."""
    try:
        yield
    except (sqlalchemy.exc.DBAPIError, sqlalchemy.exc.ArgumentError, ImportError) as error:
        reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0].rstrip(".")
        if "locked" in reason or "could not obtain lock" in reason:
            raise Locked(reason) from None
        raise GradebookTrouble(reason) from None


def _see_whether_locked(path: Path) -> None:
    """nbgrader would wait five seconds for a lock when it opens a gradebook, and everyone else with it."""
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=_BUSY_MS / 1000)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.rollback()
    except sqlite3.Error as error:
        if "locked" in str(error):
            raise Locked(str(error)) from None
        raise GradebookTrouble(str(error)) from None


def _sqlite_file(db_url: str) -> Path | None:
    try:
        url = sqlalchemy.engine.make_url(db_url)
    except sqlalchemy.exc.ArgumentError:
        return None
    memory = not url.database or url.database == ":memory:" or "uri" in url.query
    return None if url.get_backend_name() != "sqlite" or memory else Path(str(url.database))
