"""Writing a report: a page to read and a spreadsheet to work with."""

from __future__ import annotations

from pathlib import Path

from autograder.grading import report_page, spreadsheet
from autograder.grading.classroom import ClassroomError
from autograder.grading.report import Report


def write(report: Report, html: Path, csv: Path) -> None:
    """Write the page and the spreadsheet.

    Raises:
        ClassroomError: a file cannot be written.
    """
    contents = {html: report_page.as_html(report).encode("utf-8"), csv: spreadsheet.as_csv(report)}
    for path, content in contents.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        except OSError as error:
            raise ClassroomError(f"Cannot write {path} ({error.strerror}); name another file.") from None
