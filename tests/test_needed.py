"""Leaving out the course's own cells that nothing depends on changes no verdict, in any chapter."""

from __future__ import annotations

import pytest
from nbformat import NotebookNode
from submissions import solved

from autograder.grading import demo, judge, work
from autograder.notebooks import exercises
from autograder.paths import Chapter, chapters
from autograder.sandbox.isolation import Limits

CHAPTERS = [chapter for chapter in chapters() if exercises(chapter)]


def verdicts(chapter: Chapter, notebook: NotebookNode, everything: bool) -> list[dict[str, object]]:
    given = None if everything else work.released(chapter.notebook.read_bytes())
    graded = judge.grade(notebook, work.exercises_of(chapter.name), "needed", Limits(), given=given)
    # Not the sentences: a KeyError may name an address.
    return [
        {"exercise": v.exercise, "passed": v.passed, "kind": v.kind, "mistake": v.misconception, "right": v.cases_right}
        for v in graded.verdicts.values()
    ]


def submissions(chapter: Chapter, most: int) -> list[NotebookNode]:
    """The chapter solved, and with its known mistakes: one an exercise in turn, then the next ones."""
    right = solved(chapter)
    made = [
        (number, exercise, mistake)
        for exercise in exercises(chapter)
        for number, mistake in enumerate(exercise.mistakes)
    ]
    made.sort(key=lambda entry: entry[0])
    wrong = [
        demo.with_source(right, exercise.name, demo.as_submission(mistake, exercise.name))
        for _, exercise, mistake in made[:most]
    ]
    return [right, *wrong]


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.name)
def test_verdicts_are_the_same_with_and_without(chapter: Chapter) -> None:
    for notebook in submissions(chapter, 2):
        assert verdicts(chapter, notebook, False) == verdicts(chapter, notebook, True)


@pytest.mark.full
@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.name)
def test_verdicts_are_the_same_for_every_known_mistake(chapter: Chapter) -> None:
    for notebook in submissions(chapter, 1000):
        assert verdicts(chapter, notebook, False) == verdicts(chapter, notebook, True)
