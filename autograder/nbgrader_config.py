"""The course's nbgrader settings. A course's own ``nbgrader_config.py`` calls :func:`configure` and may go on from there."""

from __future__ import annotations

import os
from functools import partial
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

# What a submission may use: wall time of a cell, of a call in a check, of the notebook; processor time; memory; …
# c.Judge.cell_seconds = 30
# c.Judge.call_seconds = 10
# c.Judge.total_seconds = 300
# c.Judge.cpu_seconds = 600
# c.Judge.memory_mb = 4096
# c.Judge.processes = 128
# c.Judge.disk_mb = 256
# c.Judge.output_mb = 1
'''


def _set_aside(course: Path, notebooks: list[str], **_: Any) -> None:
    """Before nbgrader copies a submission's files: links and special files go to the folder ``refused``."""
    from autograder.grading.opening import set_aside

    for folder in {Path(notebook).parent for notebook in notebooks}:
        set_aside(folder, course / "refused" / folder.parent.name / folder.name, f"{folder.name}.ipynb")


def configure(c: Any, course: Path) -> None:
    """Put the course's plug-ins into nbgrader's plug points.

    Args:
        c: nbgrader's configuration object.
        course: the course's folder; ``NNLM_DB_URL`` in the environment is the gradebook's address,
            unless the file goes on to name another.
    """
    from nbconvert.preprocessors import CSSHTMLHeaderPreprocessor
    from nbgrader import preprocessors as stock

    from autograder.grading.hiding import HideTests
    from autograder.grading.late import LateByDay
    from autograder.grading.preprocessors import Judge, ShowIntake, SubmissionExporter
    from autograder.grading.showing import Harmless, safe_code, safe_markdown, same

    c.CourseDirectory.root = str(course.resolve())
    c.CourseDirectory.course_id = "nnlm"
    if os.environ.get("NNLM_DB_URL"):
        c.CourseDirectory.db_url = os.environ["NNLM_DB_URL"]
    c.Autograde.exporter_class = SubmissionExporter
    c.Autograde.pre_convert_hook = partial(_set_aside, course.resolve())
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
    c.HTMLExporter.filters = {"markdown2html": safe_markdown, "highlight_code": safe_code, "strip_files_prefix": same}
    c.HTMLExporter.preprocessors = [Harmless]
    c.GenerateFeedback.preprocessors = [HideTests, stock.GetGrades, CSSHTMLHeaderPreprocessor]
