"""Which exercises pass, kept in a small file on this computer and nowhere else."""

from __future__ import annotations

import html
import json
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from autograder import frozen
from autograder.paths import ROOT, chapters

#: One JSON object: exercise → whether its last check passed.
FILE = ROOT / ".nnlm" / "progress.json"


@dataclass(frozen=True)
class ChapterProgress:
    """A chapter's exercises in their order: True passed, False tried, None not tried yet."""

    chapter: str
    exercises: dict[str, bool | None]

    @property
    def passed(self) -> int:
        """How many pass."""
        return sum(state is True for state in self.exercises.values())


def record(name: str, passed: bool, file: Path | None = None) -> None:
    """Remember the last result of a check; a folder that cannot be written is no reason to fail a check."""
    path = file or FILE
    with suppress(OSError):
        states = load(path)
        if states.get(name) == passed:
            return
        path.parent.mkdir(exist_ok=True)
        draft = path.with_suffix(f".{os.getpid()}.tmp")
        draft.write_text(json.dumps({**states, name: passed}, indent=1, sort_keys=True), encoding="utf-8")
        os.replace(draft, path)


def load(file: Path | None = None) -> dict[str, bool]:
    """What is remembered; nothing when the file is missing or damaged."""
    try:
        data = json.loads((file or FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {str(name): bool(state) for name, state in data.items()} if isinstance(data, dict) else {}


def overview(file: Path | None = None) -> list[ChapterProgress]:
    """Progress chapter by chapter."""
    states = load(file)
    return [
        ChapterProgress(one.name, {name: states.get(name) for name in frozen.names(one.frozen)})
        for one in chapters()
        if one.frozen.is_file()
    ]


class Panel:
    """The overview as a notebook shows it."""

    def __init__(self, rows: list[ChapterProgress]) -> None:
        self.rows = rows

    def __repr__(self) -> str:
        lines = []
        for row in self.rows:
            lines.append(f"{row.chapter}: {row.passed} of {len(row.exercises)}")
            lines += [f"  {_mark(state)} {name}" for name, state in row.exercises.items()]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        body = "".join(
            f'<tr><th scope="row" style="text-align:left">{html.escape(row.chapter)}</th>'
            f'<td style="text-align:left">{row.passed} of {len(row.exercises)}</td>'
            f'<td style="text-align:left">{" · ".join(f"{_mark(s)} {html.escape(n)}" for n, s in row.exercises.items())}</td></tr>'
            for row in self.rows
        )
        head = '<tr><th scope="col">chapter</th><th scope="col">passed</th><th scope="col">exercises</th></tr>'
        caption = "<caption>✓ passed, ✗ tried, ○ not tried yet</caption>"
        return f'<table aria-label="progress">{caption}<thead>{head}</thead><tbody>{body}</tbody></table>'


def show() -> Panel:
    """The panel of notebook 00 and of ``nnlm progress``."""
    return Panel(overview())


def _mark(state: bool | None) -> str:
    return {True: "✓", False: "✗", None: "○"}[state]
