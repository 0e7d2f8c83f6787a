"""The course's nbgrader settings. A course's own ``nbgrader_config.py`` calls :func:`configure` and may go on from there."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

#: Written into a new course.
TEMPLATE = '''"""Settings of this course; every option of nbgrader may follow below."""

from pathlib import Path

from autograder.nbgrader_config import configure

c = get_config()  # noqa: F821
configure(c, Path(__file__).parent)

# The gradebook is SQLite, in this folder. For PostgreSQL (pip install "nnlm-course[postgres]"):
# c.CourseDirectory.db_url = "postgresql+psycopg2://USER:PASSWORD@HOST/DATABASE"

# What lateness costs: a share of the score for each day begun.
# c.LateByDay.percent_per_day = 10
# c.LateByDay.grace_minutes = 15

# Time and memory of a submission.
# c.Judge.cell_seconds = 30
# c.Judge.memory_mb = 4096
'''


def configure(c: Any, course: Path) -> None:
    """Put the course's plug-ins into nbgrader's plug points.

    Args:
        c: nbgrader's configuration object.
        course: the course's folder; ``NNLM_DB_URL`` in the environment is the gradebook's address,
            unless the file goes on to name another.
    """
    from nbgrader import preprocessors as stock

    from autograder.grading.late import LateByDay
    from autograder.grading.preprocessors import Judge, ShowIntake, SubmissionExporter
    from autograder.grading.showing import safe_markdown

    c.CourseDirectory.root = str(course.resolve())
    c.CourseDirectory.course_id = "nnlm"
    if os.environ.get("NNLM_DB_URL"):
        c.CourseDirectory.db_url = os.environ["NNLM_DB_URL"]
    c.Autograde.exporter_class = SubmissionExporter
    # The exporter has rebuilt every locked cell before the first of these sees the notebook.
    c.Autograde.sanitize_preprocessors = [
        stock.ClearOutput,
        stock.DeduplicateIds,
        stock.OverwriteKernelspec,
        stock.OverwriteCells,
        stock.CheckCellMetadata,
    ]
    c.Autograde.autograde_preprocessors = [
        Judge,
        stock.IgnorePattern,
        stock.LimitOutput,
        stock.SaveAutoGrades,
        stock.AssignLatePenalties,
        stock.CheckCellMetadata,
        ShowIntake,
    ]
    c.AssignLatePenalties.plugin_class = LateByDay
    # The formgrader and feedback show what students wrote; none of it may run there.
    c.HTMLExporter.filters = {"markdown2html": safe_markdown}
