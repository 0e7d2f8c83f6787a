"""Feedback without what only the grader may see: hidden tests, mark schemes, and the names of folders on the grader's machine.

Our own checks hold nothing hidden. An instructor's cells may: nbgrader puts the regions between ``BEGIN HIDDEN TESTS`` and
``END HIDDEN TESTS`` back before it grades and leaves them, with tracebacks that quote them, in the feedback. Hidden tests run
where the student's code runs, so code that is bent on it can carry them out in disguise; what is quoted as it stands does not
get through.
"""

from __future__ import annotations

import html
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

from nbformat import NotebookNode
from nbgrader.preprocessors import ClearHiddenTests, ClearMarkScheme, NbGraderPreprocessor

from autograder.cells import CHECK_PREFIX
from autograder.paths import ROOT

LEFT_OUT = "(a line of a hidden test is left out here)"
FAILED = "A hidden test did not pass"
SILENT = "(What this cell printed is left out, because it holds hidden tests.)\n"
#: Shorter lines, such as a bracket, say nothing and stand everywhere.
_TELLING = 6
_ANSI = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")
_ARROW = re.compile(r"^-+> *\d+ ?(.*)$", re.MULTILINE)
_HOME = re.compile(r"""(?:/home/|/Users/|[A-Za-z]:\\+Users\\+)[^/\\\s"'<>:|]+""")
_PACKAGES = re.compile(r"""(?:[A-Za-z]:)?[/\\][^\s"'<>|:]*[/\\]((?:site|dist)-packages[/\\])""")


class HideTests(NbGraderPreprocessor):
    """Takes hidden regions out of the cells of a graded notebook, and their lines and private paths out of all outputs."""

    def preprocess(self, nb: NotebookNode, resources: dict[str, Any]) -> tuple[NotebookNode, dict[str, Any]]:
        """Make the copy of the notebook that becomes feedback; the graded notebook stays as it is."""
        tests, scheme = ClearHiddenTests(parent=self), ClearMarkScheme(parent=self)
        marks = [
            (tests.begin_test_delimeter, tests.end_test_delimeter),
            (scheme.begin_mark_scheme_delimeter, scheme.end_mark_scheme_delimeter),
        ]
        secret: set[str] = set()
        for cell in nb.cells:
            meta = cell.metadata.get("nbgrader", {})
            # The same words in a student's own cell are the student's text.
            if not (meta.get("locked") or meta.get("grade") or meta.get("task")):
                continue
            kept, hidden = split(cell.source, marks)
            if not hidden:
                continue
            cell.source = "\n".join(kept)
            secret.update(line.strip() for line in hidden if len(line.strip()) >= _TELLING)
            if cell.cell_type == "code" and not str(meta.get("grade_id", "")).startswith(CHECK_PREFIX):
                cell.outputs = _told(cell.outputs, kept, hidden)
        private = private_folders(Path(self.config.CourseDirectory.get("root") or "."))
        for cell in nb.cells:
            for output in cell.get("outputs", []):
                _redact(output, secret, private)
        return nb, resources


def split(source: str, marks: list[tuple[str, str]]) -> tuple[list[str], list[str]]:
    """The lines of a cell outside and inside of regions; a region that does not end reaches to the end of the cell."""
    kept: list[str] = []
    hidden: list[str] = []
    end = ""
    for line in source.split("\n"):
        if end:
            hidden.append(line)
            end = "" if end in line else end
            continue
        end = next((closing for opening, closing in marks if opening in line), "")
        (hidden if end else kept).append(line)
    return kept, hidden


def private_folders(course: Path) -> re.Pattern[str]:
    """A pattern for the folders of this machine that a traceback may name."""
    found = {str(ROOT), str(course.resolve()), sys.prefix, sys.base_prefix, str(Path.home()), tempfile.gettempdir()}
    # What every machine has says nothing of this one.
    telling = found - {"/", "/usr", "/usr/local", "/opt", "/tmp", "/var/tmp", "."}
    names = "|".join(re.escape(name) for name in sorted(telling, key=len, reverse=True))
    return re.compile(rf"(?:{names})(?![\w.-])" if names else r"(?!)")


def _told(outputs: list[NotebookNode], kept: list[str], hidden: list[str]) -> list[NotebookNode]:
    """What a student may know of a cell with hidden tests: that one failed, and all about a test that is shown."""
    told: list[NotebookNode] = []
    printed = False
    inside = {line.strip() for line in hidden}
    outside = {line.strip() for line in kept} - inside
    for output in outputs:
        if output.output_type != "error":
            printed = True
            continue
        first = _ARROW.search(_ANSI.sub("", "\n".join(output.traceback)))
        line = first.group(1).strip() if first else ""
        name = re.sub(r"\W", "", str(output.ename))[:60]
        if line and line in outside:
            traceback = [f"----> {line}", f"{output.ename}: {output.evalue}"]
            told.append(NotebookNode(output, traceback=traceback))
        else:
            sentence = f"{FAILED} ({name})."
            told.append(NotebookNode(output_type="error", ename=name, evalue=sentence, traceback=[sentence]))
    if printed:
        told.append(NotebookNode(output_type="stream", name="stdout", text=SILENT))
    return told


def _redact(output: NotebookNode, secret: set[str], private: re.Pattern[str]) -> None:
    def cleaned(text: str) -> str:
        lines = [LEFT_OUT if secret and _quotes(line, secret) else line for line in text.split("\n")]
        return _nameless("\n".join(lines), private)

    if "text" in output:
        output.text = cleaned(output.text)
    if "traceback" in output:
        output.traceback = [cleaned(line) for line in output.traceback]
        output.evalue = cleaned(output.evalue)
    for kind, value in output.get("data", {}).items():
        if kind == "text/html" and isinstance(value, str):  # a check's panel, all in one line
            for words in secret:
                value = value.replace(html.escape(words), html.escape(LEFT_OUT))
            output.data[kind] = _nameless(value, private)
        elif kind.startswith("text/") and isinstance(value, str):
            output.data[kind] = cleaned(value)


def _nameless(text: str, private: re.Pattern[str]) -> str:
    return _HOME.sub("~", private.sub("…", _PACKAGES.sub(r"…/\1", text)))


def _quotes(line: str, secret: set[str]) -> bool:
    plain = _ANSI.sub("", line)
    return any(words in plain for words in secret)
