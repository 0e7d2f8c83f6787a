"""docs/attacks.md: which attack holds at which level, written from a run and read back by those who compare."""

from __future__ import annotations

import re

from autograder.grading.attacks import ANSWERS, Attack, Row, corpus
from autograder.paths import ROOT
from autograder.sandbox.isolation import LEVELS

PAGE = ROOT / "docs" / "attacks.md"
HELD = "✓"
_ROW = re.compile(r"^\| (\d+) \|(.*)\|$", re.MULTILINE)

_INTRODUCTION = """# Sixty attacks, and what comes of them

`python3 start.py attack` hands in sixty submissions that try to cheat or break the grader, grades them, and looks at what came of
each from the trusted side: points, planted secrets that turn up in any output, connections to listeners, changed files, processes
and files left behind, honest students of the same class. The attackers are told everything: where the secrets lie, on which port
somebody listens, what the grader's own modules are called. `--level` plays them at a weaker isolation, `--only 8,14` some of them,
`--json` gives rows; `--write-docs` plays all of them at every level and writes this page; the tests compare it with what happens.

Required answers:

{answers}

✓ means that the required answer was given. Anything else says what the attack achieved; level `none` (macOS, Windows, or no jail)
is for people you trust. Attacks on memory, processes and the disk end by themselves at a bound where nothing stops them.

The last column names the grader without protection (`tests/attacks/naive.py`) on which the same attack succeeds, so that no attack
is a dummy. Attacks that must be stopped (K), refused (R) or shown harmless (S) need none: a dummy would not be stopped.

| # | attack | required | {levels} | succeeds on |
| --- | --- | --- | {dashes} | --- |
"""
_END = """
What this corpus cannot show: two students who share a right solution, an attack that nobody has thought of, a hole in the
kernel. The [threat model](threat_model.md) says what is protected and what is not.
"""


def page(rows: list[Row]) -> str:
    """The page from a run at every level."""
    got = {(row.id, row.level): row for row in rows}
    answers = "\n".join(f"* **{letter}** – {text}" for letter, text in ANSWERS.items())
    head = _INTRODUCTION.format(
        answers=answers, levels=" | ".join(f"`{level}`" for level in LEVELS), dashes=" | ".join("---" for _ in LEVELS)
    )
    lines = [_line(one, [got.get((one.id, level)) for level in LEVELS]) for one in corpus()]
    return head + "\n".join(lines) + "\n" + _END


def _line(one: Attack, found: list[Row | None]) -> str:
    cells = [HELD if row and row.held else _achieved(row.got) if row else "not run" for row in found]
    shown = f"`{one.naive}`" if one.naive else one.unshown or "–"
    return f"| {one.id} | {one.title.replace('|', '/')} | {one.required} | {' | '.join(cells)} | {shown} |"


def _achieved(got: str) -> str:
    """What an attack achieved, without what differs from run to run."""
    parts = [re.sub(r" \(.*", "", part.strip()) for part in re.sub(r"\([^()]*\)", "", got).split(";")]
    parts = [re.sub(r"^\w+ was not stopped.*", "not stopped", part.split(":")[0].strip()) for part in parts]
    return "; ".join(dict.fromkeys(parts))


def write(rows: list[Row]) -> None:
    """Write the page.

    Raises:
        ValueError: this machine does not offer every level.
    """
    missing = [level for level in LEVELS if level not in {row.level for row in rows}]
    if missing:
        raise ValueError(f"this machine does not offer the level {missing[0]}")
    PAGE.write_text(page(rows), encoding="utf-8", newline="\n")


def documented() -> dict[tuple[int, str], bool]:
    """Number and level → whether the page says that the attack is held."""
    try:
        text = PAGE.read_text(encoding="utf-8")
    except OSError:
        return {}
    found = {}
    for number, rest in _ROW.findall(text):
        cells = [cell.strip() for cell in rest.split(" | ")]
        for level, cell in zip(LEVELS, cells[2 : 2 + len(LEVELS)], strict=True):
            found[int(number), level] = cell == HELD
    return found


def surprises(rows: list[Row]) -> list[Row]:
    """Rows that are not as the page says; where it says nothing, rows that are not held."""
    known = documented()
    return [row for row in rows if row.held != known.get((row.id, row.level), True)]
