"""The build: percent script + solutions → instructor notebook → student notebook and frozen cases.

Both notebooks are the same to the byte on every machine: cell ids come from grade ids or from the source text, and the
student's version is made by nbgrader's own ``generate_assignment``.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import inspect
import json
import logging
import os
import pkgutil
import re
import sys
import tempfile
import textwrap
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import jupytext
import nbformat
from nbformat import NotebookNode
from traitlets.config import Config

from autograder import frozen
from autograder.cells import CHECK_PREFIX, LONG_RUN, SKIP
from autograder.exercise import Exercise, ExerciseError, Explanation, defined_in
from autograder.paths import COURSE, FROZEN, ROOT, SOURCES, Chapter, chapters

#: Hashes of the instructor's cells at the last build.
DIGESTS = SOURCES / "digests.json"
KERNEL = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
_DIRECTIVE = re.compile(r"^(?:# (exercise|given)|(explanation)): *(\S*) *$", re.MULTILINE)


class BuildError(Exception):
    """A chapter that cannot be built; the message names file and line."""


@dataclass(frozen=True)
class Built:
    """What the build makes of one chapter."""

    chapter: Chapter
    instructor: NotebookNode
    student: str  # the committed notebook's text
    cases: bytes | None  # the frozen cases; None when the chapter has no checked exercise


# ---- definitions -----------------------------------------------------------------------------------------------------
def definitions(chapter: Chapter) -> dict[str, Exercise | Explanation]:
    """Exercises and explanations of a chapter, by name, in the order of their definition.

    Raises:
        BuildError: the module is missing or does not import.
    """
    module_name = f"autograder.exercises.{chapter.slug}"
    try:
        importlib.import_module(module_name)
    except ExerciseError as error:
        raise BuildError(str(error)) from None
    except ModuleNotFoundError as error:
        if error.name != module_name:
            raise
        raise BuildError(
            f"autograder/exercises/{chapter.slug}.py:1: missing; chapter {chapter.name} needs its exercises."
        ) from None
    return defined_in(module_name)


def exercises(chapter: Chapter) -> list[Exercise]:
    """The checked exercises of a chapter, in order."""
    return [found for found in definitions(chapter).values() if isinstance(found, Exercise)]


def all_exercises() -> dict[str, Exercise]:
    """Every checked exercise of the course, by name.

    Raises:
        BuildError: two chapters use the same name.
    """
    found: dict[str, Exercise] = {}
    for chapter in chapters():
        for made in exercises(chapter):
            if made.name in found:
                raise BuildError(
                    f"{made.where}: '{made.name}' is already defined at {found[made.name].where}; names are unique."
                )
            found[made.name] = made
    return found


# ---- instructor notebook ---------------------------------------------------------------------------------------------
def instructor_notebook(chapter: Chapter) -> NotebookNode:
    """The chapter with solutions, checks and mark schemes: nbgrader's source notebook.

    Raises:
        BuildError: a directive, a definition or the points are wrong.
    """
    text = chapter.source.read_text(encoding="utf-8")
    script = jupytext.reads(text, fmt="py:percent")
    known = definitions(chapter)
    place = _Places(chapter.source, text)
    cells: list[NotebookNode] = []
    used: Counter[str] = Counter()
    for cell in script.cells:
        directives = _DIRECTIVE.findall(cell.source)
        if not directives:
            cells.append(_plain_cell(cell))
            continue
        code, prose, name = directives[0]
        kind = code or prose
        where = place.of(kind, name)
        if len(directives) > 1 or cell.source.strip() != cell.source.strip().splitlines()[0]:
            raise BuildError(f"{where}: '{kind}: {name}' must stand alone in its cell.")
        if (kind == "explanation") != (cell.cell_type == "markdown"):
            raise BuildError(f"{where}: '{kind}:' belongs in a {'markdown' if kind == 'explanation' else 'code'} cell.")
        if kind == "given":
            cells.append(_given_cell(name, where))
            continue
        used[name] += 1
        if used[name] > 1:
            raise BuildError(f"{where}: '{name}' stands twice in this chapter; grade ids are unique.")
        definition = known.get(name)
        if kind == "exercise" and isinstance(definition, Exercise):
            cells += _exercise_cells(definition)
        elif kind == "explanation" and isinstance(definition, Explanation):
            cells += _explanation_cells(definition)
        else:
            raise BuildError(f"{where}: {_unknown(kind, name, known)}")
    unplaced = [definition for name, definition in known.items() if not used[name]]
    if unplaced:
        raise BuildError(
            f"{unplaced[0].where}: '{unplaced[0].name}' is defined but chapter {chapter.name} never shows it."
        )
    _check_points(chapter, script, list(known.values()), place)
    notebook = nbformat.v4.new_notebook(cells=cells, metadata={**KERNEL, "nnlm": {"chapter": chapter.name}})
    _number_cells(notebook)
    return notebook


class _Places:
    """Where directives stand in a source, for messages."""

    def __init__(self, path: Path, text: str) -> None:
        self.path, self.lines = _short(path), text.splitlines()
        self.seen: Counter[str] = Counter()

    def of(self, kind: str, name: str) -> str:
        wanted = [i for i, line in enumerate(self.lines, 1) if re.search(rf"# {kind}: *{re.escape(name)} *$", line)]
        self.seen[f"{kind} {name}"] += 1
        index = min(self.seen[f"{kind} {name}"], len(wanted)) - 1
        return f"{self.path}:{wanted[index] if wanted else 1}"

    def containing(self, text: str) -> str:
        return f"{self.path}:{next((i for i, line in enumerate(self.lines, 1) if text in line), 1)}"


def _plain_cell(cell: NotebookNode) -> NotebookNode:
    metadata = dict(cell.metadata)
    if LONG_RUN in metadata.get("tags", []):
        metadata["tags"] = [*metadata["tags"], SKIP]
    new = nbformat.v4.new_code_cell if cell.cell_type == "code" else nbformat.v4.new_markdown_cell
    return new(cell.source, metadata=metadata)


def _exercise_cells(definition: Exercise) -> list[NotebookNode]:
    name = definition.name
    solution = nbformat.v4.new_code_cell(
        with_solution_regions(definition.reference), metadata={"nbgrader": _nbgrader(name, solution=True)}
    )
    check = nbformat.v4.new_code_cell(
        f'check("{name}", {name})',
        metadata={"nbgrader": _nbgrader(CHECK_PREFIX + name, grade=True, locked=True, points=definition.points)},
    )
    return [solution, check]


def _explanation_cells(definition: Explanation) -> list[NotebookNode]:
    noun = "point" if definition.points == 1 else "points"
    question = f"{definition.question}\n\n*A person grades this answer: {definition.points:g} {noun}.*"
    answer = f"### BEGIN SOLUTION\n{definition.answer}\n### END SOLUTION"
    return [
        nbformat.v4.new_markdown_cell(
            question, metadata={"nbgrader": _nbgrader(f"question_{definition.name}", locked=True)}
        ),
        nbformat.v4.new_markdown_cell(
            answer,
            metadata={"nbgrader": _nbgrader(definition.name, grade=True, solution=True, points=definition.points)},
        ),
    ]


def _given_cell(name: str, where: str) -> NotebookNode:
    found = [
        getattr(module, name)
        for module in _solution_modules()
        if getattr(getattr(module, name, None), "__module__", None) == module.__name__
    ]
    if len(found) != 1:
        count = "no module" if not found else "more than one module"
        raise BuildError(f"{where}: {count} of solutions/ defines '{name}'.")
    return nbformat.v4.new_code_cell(
        _without_markers(inspect.getsource(found[0])).rstrip() + "\n",
        metadata={"nbgrader": _nbgrader(f"given_{name}", locked=True)},
    )


def _solution_modules() -> Iterator[ModuleType]:
    import solutions

    for info in pkgutil.iter_modules(solutions.__path__):
        yield importlib.import_module(f"solutions.{info.name}")


def _nbgrader(
    grade_id: str, *, grade: bool = False, solution: bool = False, locked: bool = False, points: float | None = None
) -> dict[str, Any]:
    data: dict[str, Any] = {
        "grade": grade,
        "grade_id": grade_id,
        "locked": locked,
        "schema_version": 3,
        "solution": solution,
        "task": False,
    }
    if points is not None:
        data["points"] = int(points) if float(points).is_integer() else points
    return data


def _unknown(kind: str, name: str, known: dict[str, Exercise | Explanation]) -> str:
    import difflib

    wanted = Exercise if kind == "exercise" else Explanation
    names = [n for n, d in known.items() if isinstance(d, wanted)]
    close = difflib.get_close_matches(name, names, n=1)
    return f"there is no {kind} called '{name}'." + (
        f" Did you mean '{close[0]}'?" if close else f" Known: {', '.join(names)}."
    )


def _check_points(chapter: Chapter, script: NotebookNode, known: list[Exercise | Explanation], place: _Places) -> None:
    header = script.metadata.get("nnlm", {})
    for key in ("title", "title_zh", "points"):
        if key not in header:
            raise BuildError(f"{place.path}:1: the header lacks '{key}' under jupyter: nnlm:.")
    total = sum(definition.points for definition in known)
    if abs(float(header["points"]) - total) > 1e-9:
        where = place.containing("points:")
        raise BuildError(
            f"{where}: the header says {header['points']} points, the exercises of {chapter.name} add up to {total:g}."
        )


def _number_cells(notebook: NotebookNode) -> None:
    seen: Counter[str] = Counter()
    for cell in notebook.cells:
        grade_id = cell.metadata.get("nbgrader", {}).get("grade_id")
        base = grade_id or hashlib.sha256(f"{cell.cell_type}\n{cell.source}".encode()).hexdigest()[:12]
        seen[base] += 1
        cell.id = base if seen[base] == 1 else f"{base}-{seen[base]}"


# ---- solution regions ------------------------------------------------------------------------------------------------
def with_solution_regions(reference: Callable[..., Any]) -> str:
    """Source of a reference in which everything after a docstring is marked as solution, unless it has marks of its own.

    Raises:
        BuildError: a region would be empty, or a docstring is missing.
    """
    source = textwrap.dedent(inspect.getsource(reference))
    path, first = inspect.getsourcefile(reference), inspect.getsourcelines(reference)[1]
    where = f"{_short(Path(path or '?'))}:{first}"
    name = reference.__name__
    node = ast.parse(source).body[0]
    if not isinstance(node, (ast.FunctionDef, ast.ClassDef)) or not ast.get_docstring(node):
        raise BuildError(f"{where}: '{name}' needs a docstring; it is what the student reads.")
    if "BEGIN SOLUTION" in source:
        for region in re.findall(r"BEGIN SOLUTION[^\n]*\n(.*?)[^\n]*END SOLUTION", source, re.DOTALL) or [""]:
            if not _has_code(region):
                raise BuildError(f"{where}: a solution region of '{name}' is empty.")
        return source.rstrip() + "\n"
    lines = source.splitlines()
    functions = (
        [node] if isinstance(node, ast.FunctionDef) else [n for n in node.body if isinstance(n, ast.FunctionDef)]
    )
    for function in reversed(functions):
        body = function.body[1:] if ast.get_docstring(function) else function.body
        if not body or all(isinstance(part, ast.Pass) or _is_ellipsis(part) for part in body):
            raise BuildError(f"{where}: the solution region of '{name}' is empty.")
        start = (function.body[0].end_lineno or 0) if ast.get_docstring(function) else body[0].lineno - 1
        end = function.end_lineno or len(lines)
        indent = " " * body[0].col_offset
        lines[start:end] = [f"{indent}### BEGIN SOLUTION", *lines[start:end], f"{indent}### END SOLUTION"]
    return "\n".join(lines).rstrip() + "\n"


def _has_code(region: str) -> bool:
    return any(line.strip() and not line.strip().startswith("#") for line in region.splitlines())


def _is_ellipsis(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and node.value.value is ...


def _without_markers(source: str) -> str:
    lines = textwrap.dedent(source).splitlines()
    return (
        "\n".join(line for line in lines if "### BEGIN SOLUTION" not in line and "### END SOLUTION" not in line) + "\n"
    )


def without_markers(notebook: NotebookNode) -> NotebookNode:
    """A copy of an instructor notebook as a student who solved everything would have it."""
    copy: NotebookNode = nbformat.from_dict(notebook)
    for cell in copy.cells:
        cell.source = _without_markers(cell.source).rstrip("\n") if "### BEGIN SOLUTION" in cell.source else cell.source
    return copy


# ---- student notebook ------------------------------------------------------------------------------------------------
def student_notebooks(instructors: dict[str, NotebookNode]) -> dict[str, str]:
    """Student notebooks by chapter name, made by nbgrader's ``generate_assignment``.

    Raises:
        BuildError: nbgrader refuses a notebook.
    """
    scripts_on_path()
    with tempfile.TemporaryDirectory() as folder, quiet_nbgrader() as log:
        for name, notebook in instructors.items():
            target = Path(folder, "source", name, f"{name}.ipynb")
            target.parent.mkdir(parents=True)
            nbformat.write(notebook, target)
        made = {}
        for name in instructors:
            try:
                generate_assignment(Path(folder), name)
            except BaseException as error:
                if isinstance(error, KeyboardInterrupt):
                    raise
                raise BuildError(
                    f"course/source/{name}.py:1: nbgrader refuses the notebook: {str(log) or error}"
                ) from error
            made[name] = _tidy(Path(folder, "release", name, f"{name}.ipynb").read_text(encoding="utf-8"))
        return made


def generate_assignment(course: Path, name: str, settings: Config | None = None) -> None:
    """Run nbgrader's ``generate_assignment`` on ``course/source/NAME``, with a course's own settings or nbgrader's."""
    from nbgrader.converters import GenerateAssignment
    from nbgrader.coursedir import CourseDirectory

    config = Config()
    config.merge(settings or {})
    config.CourseDirectory.root = str(course)
    config.CourseDirectory.assignment_id = name
    coursedir = CourseDirectory(config=config)
    converter = GenerateAssignment(coursedir=coursedir, config=config)
    converter.force = True
    converter.start()


def _tidy(text: str) -> str:
    notebook = nbformat.reads(text, as_version=4)
    notebook.metadata = nbformat.from_dict({**KERNEL, "nnlm": dict(notebook.metadata.get("nnlm", {}))})
    return nbformat.writes(notebook) + "\n"


class _Errors(logging.Handler):
    """Remembers what went wrong: the end of the first traceback, or else the first error message."""

    first = ""
    cause = ""

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno < logging.ERROR:
            return
        lines = record.getMessage().strip().splitlines() or [""]
        if lines[0].startswith("Traceback"):
            self.cause = self.cause or lines[-1]
        self.first = self.first or lines[0]

    def __str__(self) -> str:
        return self.cause or self.first


@contextmanager
def quiet_nbgrader() -> Iterator[_Errors]:
    """Keep nbgrader's log out of the terminal, but remember its errors."""
    handler, logger = _Errors(), logging.getLogger("traitlets")
    before, propagate = list(logger.handlers), logger.propagate
    logger.handlers, logger.propagate = [handler], False
    alembic = logging.getLogger("alembic")
    level = alembic.level
    alembic.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            # nbgrader 0.9 under SQLAlchemy 2.1: harmless, and nothing an instructor could do about.
            warnings.filterwarnings("ignore", message="Object of type .* not in session")
            yield handler
    finally:
        logger.handlers, logger.propagate = before, propagate
        alembic.setLevel(level)


def scripts_on_path() -> None:
    """Put this interpreter's scripts first on PATH, once: nbgrader calls ``alembic`` by name."""
    folder = str(Path(sys.executable).parent)
    path = os.environ.get("PATH", "")
    if path.split(os.pathsep)[0] != folder:
        os.environ["PATH"] = f"{folder}{os.pathsep}{path}"


# ---- all of it -------------------------------------------------------------------------------------------------------
def build(wanted: list[Chapter]) -> list[Built]:
    """Build chapters in memory.

    Raises:
        BuildError: a chapter cannot be built.
    """
    all_exercises()  # names are unique over the whole course
    instructors = {chapter.name: instructor_notebook(chapter) for chapter in wanted}
    students = student_notebooks(instructors)
    built = []
    for chapter in wanted:
        made = exercises(chapter)
        try:
            cases = frozen.freeze(made) if made else None
        except ExerciseError as error:
            raise BuildError(str(error)) from None
        built.append(Built(chapter, instructors[chapter.name], students[chapter.name], cases))
    return built


def digests(built: list[Built]) -> dict[str, dict[str, str]]:
    """A short hash of the text and of every solution: what the student's notebook does not show is in step too."""
    found: dict[str, dict[str, str]] = {}
    for made in built:
        known = definitions(made.chapter)
        prose = hashlib.sha256()
        parts: dict[str, str] = {}
        for cell in made.instructor.cells:
            meta = cell.metadata.get("nbgrader", {})
            if meta.get("solution"):
                name, definition = meta["grade_id"], known[meta["grade_id"]]
                module = definition.reference.__module__ if isinstance(definition, Exercise) else definition.module
                file = module.replace(".", "/") + ".py"
                parts[f"{file}: {name}"] = hashlib.sha256(cell.source.encode()).hexdigest()[:16]
            else:
                prose.update(f"{cell.cell_type}\n{cell.source}\n".encode())
        found[made.chapter.name] = {f"course/source/{made.chapter.name}.py": prose.hexdigest()[:16], **parts}
    return found


def out_of_step(built: list[Built]) -> list[str]:
    """What differs from the committed build: files by path, solutions by name."""
    stale = [_short(path) for path in _stale_files(built)]
    committed = _committed_digests()
    for name, parts in digests(built).items():
        before = committed.get(name, {})
        stale += [part for part in {**parts, **before} if parts.get(part) != before.get(part)]
    return list(dict.fromkeys(stale))


def _committed_digests() -> dict[str, dict[str, str]]:
    try:
        data = json.loads(DIGESTS.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}


def _stale_files(built: list[Built]) -> list[Path]:
    stale = []
    for made in built:
        if not made.chapter.notebook.is_file() or made.chapter.notebook.read_text(encoding="utf-8") != made.student:
            stale.append(made.chapter.notebook)
        path = made.chapter.frozen
        if made.cases is None:
            stale += [path] if path.exists() else []
        elif not path.is_file() or not frozen.says_the_same(path.read_bytes(), made.cases):
            stale.append(path)
    names = {chapter.name for chapter in chapters()}
    orphans = [p for p in (*COURSE.glob("[0-9][0-9]_*.ipynb"), *FROZEN.glob("*.cases")) if p.stem not in names]
    return stale + orphans


def write(built: list[Built]) -> list[str]:
    """Bring committed files into step; returns what changed."""
    changed = out_of_step(built)
    stale = _stale_files(built)
    for made in built:
        if made.chapter.notebook in stale:
            made.chapter.notebook.write_text(made.student, encoding="utf-8", newline="\n")
            stale.remove(made.chapter.notebook)
        if made.chapter.frozen in stale and made.cases is not None:
            made.chapter.frozen.parent.mkdir(exist_ok=True)
            made.chapter.frozen.write_bytes(made.cases)
            stale.remove(made.chapter.frozen)
    for orphan in stale:
        orphan.unlink(missing_ok=True)
    kept = {name: cells for name, cells in _committed_digests().items() if name in {c.name for c in chapters()}}
    text = json.dumps({**kept, **digests(built)}, indent=1, sort_keys=True) + "\n"
    DIGESTS.write_text(text, encoding="utf-8", newline="\n")
    return changed


def _short(path: Path) -> str:
    resolved = path.resolve()
    return resolved.relative_to(ROOT).as_posix() if resolved.is_relative_to(ROOT) else str(path)
