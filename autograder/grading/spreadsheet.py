"""A report as CSV that a spreadsheet opens as text, whatever students are called."""

from __future__ import annotations

import csv
import io
import re

from autograder.grading.report import Report
from autograder.render import clean

#: A cell that begins with one of these (full-width ones too) is a formula to some spreadsheet.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_AFTER_SEPARATOR = re.compile(r"([;,\t]\s*)([=+@＝＋＠-])")


def plain(text: str) -> str:
    """Text that no spreadsheet takes for a formula: an apostrophe goes in front of what could be one."""
    line = " ".join(clean(text).splitlines())
    line = _AFTER_SEPARATOR.sub(r"\1'\2", line)  # some spreadsheets begin a new cell there
    return f"'{line}" if text.startswith(_FORMULA) or line.lstrip().startswith(_FORMULA) else line


def as_csv(report: Report) -> bytes:
    """A row a student, a column an exercise; UTF-8 with a byte order mark, by which spreadsheets know it."""
    exercises = [made.name for made in report.exercises] + [made.name for made in report.written]
    out = io.StringIO()
    write = csv.writer(out, lineterminator="\r\n", quoting=csv.QUOTE_ALL).writerow
    write(
        ["student", "name", "score", "max_score", "penalty", "seconds_late", "needs_manual_grading"]
        + [plain(name) for name in exercises]
        + ["repairs", "flags", "problem"]
    )
    for result in report.results:
        cells = report.cells.get(result.student, {})
        write(
            [
                plain(result.student),
                plain(report.names.get(result.student, "")),
                _number(result.score),
                _number(result.max_score),
                _number(result.penalty),
                _number(result.late_seconds),
                "yes" if result.needs_manual else "no",
                *(_number(cells.get(name)) for name in exercises),
                plain("; ".join(result.repairs)),
                plain("; ".join(result.flags)),
                plain(result.problem),
            ]
        )
    return out.getvalue().encode("utf-8-sig")


def _number(value: float | None) -> str:
    if value is None:
        return ""
    rounded = round(value, 4)
    return str(int(rounded) if rounded == int(rounded) else rounded)
