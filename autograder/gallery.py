"""The feedback gallery: what the checks really say to every known mistake, as a page that the build keeps in step."""

from __future__ import annotations

from autograder.checking import verdict_of
from autograder.exercise import Exercise
from autograder.notebooks import exercises
from autograder.paths import ROOT, chapters
from autograder.render import clean
from autograder.verdict import Verdict

PAGE = ROOT / "docs" / "feedback_gallery.md"
_INTRODUCTION = """# Feedback gallery

What the checks say to wrong solutions. Every entry is an actual message, made by running the known mistake through the check of its
exercise; the build keeps this page in step. With the bank of known mistakes switched off, the last line shows what algebra on
the arrays alone would have said.
"""


def page() -> str:
    """The gallery as Markdown."""
    parts = [_INTRODUCTION]
    for chapter in chapters():
        made = [one for one in exercises(chapter) if one.mistakes]
        if made:
            parts.append(f"## {chapter.name}\n")
            parts += [_exercise(one) for one in made]
    return "\n".join(parts)


def _exercise(made: Exercise) -> str:
    sheet = made.sheet(f"frozen:{made.name}")
    rows = [f"### `{made.name}`\n", f"{made.promise.splitlines()[0]}\n"]
    for mistake in made.mistakes:
        verdict = verdict_of(sheet, mistake.implementation)
        alone = verdict_of(sheet, mistake.implementation, bank=False)
        rows.append(f"**{mistake.name.replace('_', ' ')}**\n\n> ✗ {_text(verdict.headline)}\n>\n> {_found(verdict)}\n")
        rows.append(f"*Algebra alone:* {_text(alone.headline)}\n")
    return "\n".join(rows)


def _found(verdict: Verdict) -> str:
    said = dict(verdict.evidence).get("found", "")
    return (
        f"First difference, case {verdict.case} of {verdict.cases}: {_text(said)}"
        if said
        else f"Case {verdict.case} of {verdict.cases}."
    )


def _text(text: str) -> str:
    return clean(text).replace("\n", " ").replace("<", "&lt;").replace("*", "\\*")
