"""The names that the build writes into notebook cells and that everyone else reads there."""

from __future__ import annotations

#: Tag of a cell that trains for show: the grader and `nnlm check` leave it out.
LONG_RUN = "long-run"
#: nbclient's own tag: a cell that carries it is not executed, by stock nbgrader either.
SKIP = "skip-execution"
#: Grade id of an exercise's check cell, before the exercise's name.
CHECK_PREFIX = "check_"
