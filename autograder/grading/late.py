"""What lateness costs."""

from __future__ import annotations

import math

from nbgrader.plugins import BasePlugin
from traitlets import Float


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
