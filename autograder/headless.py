"""``nnlm check``: every check of a notebook, run outside JupyterLab, as the student would see it.

The notebook runs in the sandbox, where a cell that hangs or ends its process costs only itself. Verdicts are those that
``check`` publishes in the notebook; they teach, they do not grade.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from autograder.bundle import importable_files
from autograder.cells import LONG_RUN
from autograder.paths import ROOT, ChapterError, chapter
from autograder.render import clean
from autograder.sandbox.isolation import Limits
from autograder.sandbox.replay import Replay
from autograder.sandbox.session import Server, Stopped
from autograder.verdict import OutputCheck, Verdict

VERDICT_TYPE = "application/x-nnlm-verdict+json"
#: What is going on, how many are done, how many there are.
Progress = Callable[[str, int, int], None]
SHORT = Limits()
#: With ``--all``, for cells that train for show.
LONG = Limits(cell_seconds=1800.0, total_seconds=7200.0, cpu_seconds=50_000.0, memory_mb=16384)


_MAGIC = re.compile(r"^([ \t]*)[%!].*$", re.MULTILINE)  # lines that are IPython's, not Python's
_IPYTHON_FILE = re.compile(r"<ipython-input-[^>]*>, ")


class NotANotebook(Exception):
    """What was named cannot be checked; the message says why."""


@dataclass(frozen=True)
class Cell:
    """A code cell: its number among all cells, from 1, and what a reader recognises it by."""

    number: int
    source: str
    long: bool

    @property
    def name(self) -> str:
        """``cell 7 (`x = np.zeros(3)`)``."""
        line = next((text.strip() for text in self.source.splitlines() if text.strip()), "")
        if line.startswith(("def ", "class ")):
            line = line.split("(")[0]
        return f"cell {self.number} (`{line if len(line) <= 60 else line[:59] + '…'}`)"


@dataclass
class Report:
    """What came of a notebook's checks, in their order."""

    notebook: str
    checks: list[Verdict] = field(default_factory=list)
    unreached: set[str] = field(default_factory=set)  # exercises in ``checks`` without a verdict: the headline says why
    left_out: list[str] = field(default_factory=list)  # sentences about cells that hung or ended their process
    skipped: int = 0  # long runs

    def add(self, verdict: Verdict, *, reached: bool = True) -> None:
        """Add a verdict; an exercise that is checked again counts as it was checked last."""
        name = verdict.exercise
        self.checks = [*(earlier for earlier in self.checks if earlier.exercise != name), verdict]
        self.unreached = self.unreached - {name} if reached else self.unreached | {name}

    @property
    def not_reached(self) -> int:
        """How many checks gave no verdict."""
        return len(self.unreached)

    @property
    def passed(self) -> int:
        """How many checks passed."""
        return sum(verdict.passed for verdict in self.checks)

    @property
    def failed(self) -> int:
        """How many gave another verdict."""
        return len(self.checks) - self.passed - self.not_reached

    @property
    def good(self) -> bool:
        """Whether there are checks and all of them passed."""
        return 0 < self.passed == len(self.checks)

    def summary(self) -> str:
        """One line: how many checks passed, and what was not run."""
        total = len(self.checks)
        if not total:
            return f"{self.notebook} has no checks."
        text = f"{self.passed} of {total} checks passed in {self.notebook}."
        if self.skipped:
            noun = "long run was" if self.skipped == 1 else "long runs were"
            text += f" {self.skipped} {noun} skipped; --all includes them."
        return text

    def to_data(self) -> dict[str, Any]:
        """As plain data; a check that was not reached is among ``checks`` too, and says why."""
        return {
            "notebook": self.notebook,
            "passed": self.passed,
            "failed": self.failed,
            "not_reached": self.not_reached,
            "checks": [verdict.to_data() for verdict in self.checks],
            "left_out": self.left_out,
            "skipped_long_runs": self.skipped,
        }


def find_notebook(key: str) -> Path:
    """The notebook that a path or a chapter's key names.

    Raises:
        NotANotebook: there is none.
    """
    path = Path(key)
    if path.is_file():
        return path
    if path.suffix == ".ipynb" and path.name != key:
        raise NotANotebook(f"There is no file {key}.")
    try:
        found = chapter(key).notebook
    except ChapterError as error:
        raise NotANotebook(str(error)) from None
    if not found.is_file():
        raise NotANotebook(f"There is no file {found}; run `python3 start.py build`, or download the course again.")
    return found


def read_cells(path: Path) -> list[Cell]:
    """The code cells of a notebook file.

    Raises:
        NotANotebook: the file is none, or cannot be read.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8-sig"))
        cells = data["cells"]
        found = [
            Cell(number, _joined(cell.get("source", "")), LONG_RUN in (cell.get("metadata") or {}).get("tags", []))
            for number, cell in enumerate(cells, 1)
            if cell["cell_type"] == "code"
        ]
    except OSError as error:
        raise NotANotebook(f"{path} cannot be read ({error.strerror}).") from None
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        raise NotANotebook(f"{path} is not a notebook; give the .ipynb file that JupyterLab saves.") from None
    return [cell for cell in found if cell.source.strip()]


def check_notebook(
    path: Path, *, everything: bool = False, progress: Progress = lambda what, done, total: None
) -> Report:
    """Run a notebook's cells in their order and collect its verdicts.

    Args:
        path: the notebook.
        everything: also the cells that train for show.
        progress: called before each cell with its name, how many are done, and how many there are.

    Raises:
        NotANotebook: the file is none.
        SandboxError: the sandbox does not start.
    """
    cells, report = read_cells(path), Report(str(path))
    failures: dict[str, str] = {}  # name → why the cell that should define it failed
    progress("starting", 0, len(cells))
    with Server(importable_files(), ROOT) as server, Replay(server, LONG if everything else SHORT) as replay:
        for done, cell in enumerate(cells):
            if cell.long and not everything:
                report.skipped += 1
                continue
            progress(f"cell {cell.number}", done, len(cells))
            _run(cell, replay, report, failures)
        for cell in cells:  # at the end: a cell may run once and kill the process when it is run again
            if cell.number in replay.stopped and not checked_names(cell.source):
                report.left_out.append(_sentence(f"{cell.name} was left out. {replay.stopped[cell.number].reason}"))
    return report


def _run(cell: Cell, replay: Replay, report: Report, failures: dict[str, str]) -> None:
    wanted, outputs = checked_names(cell.source), []
    try:
        outputs = replay.run(cell.number, cell.source, again=not _only_checks(cell.source))
    except Stopped as stopped:
        status, reason = stopped.status, f"{cell.name}: {stopped.reason}"
    else:
        status, reason = "missing", error_of(outputs)
    for name in defined_names(cell.source):
        failures[name] = reason
    verdicts = [verdict for output in outputs if (verdict := verdict_of(output))]
    for verdict in verdicts:
        report.add(verdict)
    for name in wanted:
        if name not in [verdict.exercise for verdict in verdicts]:
            cause = failures.get(name) or reason or "its cell showed no verdict."
            report.add(_unreached(name, status, cause), reached=False)


def checked_names(source: str) -> list[str]:
    """Exercises that a cell checks: the first arguments of its calls of ``check``."""
    return [name for node in _parsed(source) for part in ast.walk(node) if (name := _checked(part))]


def _only_checks(source: str) -> bool:
    body = _parsed(source)
    return bool(body) and all(isinstance(node, ast.Expr) and _checked(node.value) for node in body)


def _checked(node: ast.AST) -> str:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "check" and node.args:
        first = node.args[0]
        return first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else ""
    return ""


def _parsed(source: str) -> list[ast.stmt]:
    try:
        return ast.parse(_MAGIC.sub(r"\1pass", source)).body
    except (SyntaxError, ValueError, RecursionError):
        return []


def defined_names(source: str) -> list[str]:
    """Functions and classes that a cell defines, also when it does not parse."""
    lines = [line.split() for line in source.splitlines() if line.startswith(("def ", "class "))]
    return [words[1].split("(")[0].rstrip(":") for words in lines if len(words) > 1]


def error_of(outputs: list[Any]) -> str:
    """Name and message of the error a cell ended with, or nothing."""
    for output in outputs:
        if isinstance(output, dict) and output.get("output_type") == "error":
            text = clean(f"{output.get('ename')}: {output.get('evalue')}")[:300]
            return _IPYTHON_FILE.sub("", text)
    return ""


def verdict_of(output: Any) -> Verdict | None:
    """The verdict in one output, every field forced to its type; None when it carries none."""
    data = output.get("data") if isinstance(output, dict) else None
    found = data.get(VERDICT_TYPE) if isinstance(data, dict) else None
    if not isinstance(found, dict):
        return None
    values: dict[str, Any] = {f.name: _forced(f.type, found.get(f.name)) for f in fields(Verdict) if f.type in _FORCE}
    values["evidence"] = tuple((str(row[0]), str(row[1])) for row in _rows(found.get("evidence")) if len(row) == 2)
    values["notes"] = tuple(str(note) for note in _listed(found.get("notes")))
    values["outputs"] = tuple(made for item in _listed(found.get("outputs")) if (made := _output_check(item)))
    return Verdict(**values)


def _output_check(item: Any) -> OutputCheck | None:
    if not isinstance(item, dict):
        return None
    worst = item.get("worst")
    return OutputCheck(
        name=_forced("str", item.get("name")),
        shape=tuple(_forced("int", size) for size in _listed(item.get("shape"))),
        right=_forced("bool", item.get("right")),
        worst=None if worst is None else _forced("float", worst),
        wrong=_forced("int", item.get("wrong")),
        size=_forced("int", item.get("size")),
        grid=tuple(tuple(_forced("float", share) for share in row) for row in _rows(item.get("grid"))),
    )


def _unreached(name: str, status: str, cause: str) -> Verdict:
    return Verdict(exercise=name, promise="", passed=False, kind=status, headline=f"Not reached. {_sentence(cause)}")


def _sentence(text: str) -> str:
    text = clean(text)
    return text[:1].upper() + text[1:]


def _joined(source: Any) -> str:
    return source if isinstance(source, str) else "".join(source)


#: Annotation → how a value that nothing is known of becomes one of that type.
_FORCE: dict[Any, Callable[[Any], Any]] = {
    "str": lambda value: str(value) if value is not None else "",
    "bool": lambda value: value is True,
    "int": lambda value: value if type(value) is int else 0,
    "float": lambda value: float(value) if type(value) in (int, float) else 0.0,
}


def _forced(kind: Any, value: Any) -> Any:
    return _FORCE[kind](value)


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else []


def _rows(value: Any) -> list[list[Any]]:
    return [_listed(row) for row in _listed(value)]
