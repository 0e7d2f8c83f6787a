"""What lateness costs."""

from __future__ import annotations

import math

import nbformat
from nbgrader.plugins import BasePlugin
from nbgrader.preprocessors import AssignLatePenalties
from traitlets import Float
from traitlets.config import Config


class LateByDay(BasePlugin):
    """Takes a share of the score for every day begun after the due date."""

    percent_per_day = Float(10.0, help="Percent of the score taken for each day begun.").tag(config=True)
    grace_minutes = Float(15.0, help="Minutes after the due date that cost nothing.").tag(config=True)
    most_percent = Float(50.0, help="The most that lateness can take, in percent of the score.").tag(config=True)

    def late_submission_penalty(self, student_id: str, score: float, total_seconds_late: float) -> float | None:
        """Points to take off, or None when the submission counts as in time.

        Args:
            student_id: whose submission it is.
            score: points before the penalty.
            total_seconds_late: seconds after the due date.
        """
        late = total_seconds_late - 60 * self.grace_minutes
        if late <= 0:
            return None
        percent = min(self.most_percent, self.percent_per_day * math.ceil(late / 86_400))
        return score * percent / 100


def settle(config: Config, db_url: str, assignment: str, students: list[str]) -> None:
    """Compute the penalties of students anew, as nbgrader does when it autogrades, from their present scores.

    Args:
        config: the course's settings, with its late policy.
        db_url: the gradebook.
        assignment: the chapter, whose notebook has the same name.
        students: whose submissions.
    """
    assign = AssignLatePenalties(config=config)
    for student in students:
        about = {"notebook": assignment, "assignment": assignment, "student": student, "db_url": db_url}
        assign.preprocess(nbformat.v4.new_notebook(), {"nbgrader": about})
