"""A report as one HTML file that loads nothing: styles and histogram are inside, every text is escaped."""

from __future__ import annotations

import html
from statistics import mean, median

from autograder.grading.classroom import Result
from autograder.grading.report import BAR_PERCENT, Difficulty, Report, Written, histogram, late_text, score_text
from autograder.render import clean
from autograder.sandbox.isolation import LEVELS, describe_level

# The policy makes sure of what the rest promises: even a text that escaped us could load and run nothing.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_STYLE = """
:root { color-scheme: light dark; --ink: #1b1b1b; --paper: #ffffff; --faint: #5a5a5a; --line: #c9c9c9; --bar: #0072B2; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8e8e8; --paper: #16181b; --faint: #a8a8a8; --line: #45494f; --bar: #56B4E9; }
}
body { color: var(--ink); background: var(--paper); font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto;
  max-width: 72rem; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; min-width: 40rem; }
caption { text-align: left; color: var(--faint); padding-bottom: .4rem; }
th, td { text-align: left; vertical-align: top; padding: .3rem .9rem .3rem 0; border-bottom: 1px solid var(--line); }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
td, th[scope=row] { overflow-wrap: anywhere; }
svg { max-width: 100%; height: auto; } svg text { fill: var(--ink); font-size: 13px; }
svg rect { fill: var(--bar); } svg line { stroke: var(--ink); }
.faint { color: var(--faint); font-weight: normal; }
@media print { body { margin: 0; max-width: none; } }
"""


def as_html(report: Report) -> str:
    """The whole page."""
    title = f"{report.chapter}: report"
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en"><head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{_text(title)}</title><style>{_STYLE}</style></head><body><main>",
            f"<h1>{_text(title)}</h1>",
            _summary(report),
            "<h2>Scores</h2>",
            _histogram(report),
            "<h2>Exercises</h2>",
            _exercises(report.exercises),
            _written(report.written),
            "<h2>Students</h2>",
            _students(report.results, report.names),
            "<h2>How it was graded</h2>",
            _provenance(report),
            "</main></body></html>",
            "",
        ]
    )


def _summary(report: Report) -> str:
    if not report.results:
        return "<p>Nobody is enrolled and nobody has handed in yet.</p>"
    scores = report.scores
    waiting = sum(result.needs_manual for result in report.results)
    troubled = sum(bool(result.problem) for result in report.results)
    parts = [f"{len(scores)} of {_count(len(report.results), 'student')} graded"]
    if scores:
        parts.append(f"mean {mean(scores):.1f}, median {median(scores):.1f} of {report.max_score:g} points")
    parts.append(f"{_count(waiting, 'submission')} with answers to grade by hand")
    parts.append(f"{troubled} with a problem")
    return f"<p>{_text('; '.join(parts))}.</p>"


def _histogram(report: Report) -> str:
    bars = histogram(report.scores, report.max_score)
    highest = max(count for _, count in bars)
    if not highest:
        return "<p>No scores yet.</p>"
    step, wide, tall, left, top = 60, 48, 160, 10, 24
    ground = top + tall
    shapes, words = [], []
    for index, (low, count) in enumerate(bars):
        x, height = left + index * step, round(tall * count / highest, 1)
        middle = x + wide // 2
        shapes.append(f'<rect x="{x}" y="{ground - height:g}" width="{wide}" height="{height:g}"></rect>')
        if count:
            shapes.append(f'<text x="{middle}" y="{ground - height - 6:g}" text-anchor="middle">{count}</text>')
        shapes.append(f'<text x="{middle}" y="{ground + 18}" text-anchor="middle">{low}–{low + BAR_PERCENT}</text>')
        if count:
            words.append(f"{_count(count, 'student')} with {low} to {low + BAR_PERCENT} percent")
    width = left + len(bars) * step
    middle = width // 2
    return (
        f'<svg role="img" aria-labelledby="bars-title bars-text" viewBox="0 0 {width} {ground + 44}" width="{width}">'
        f'<title id="bars-title">Histogram of scores</title><desc id="bars-text">{"; ".join(words)}.</desc>'
        f"{''.join(shapes)}"
        f'<line x1="{left - 4}" y1="{ground}" x2="{width}" y2="{ground}"></line>'
        f'<text x="{middle}" y="{ground + 38}" text-anchor="middle">score in percent; above: students</text></svg>'
    )


def _exercises(exercises: tuple[Difficulty, ...]) -> str:
    if not exercises:
        return ""
    rows = "".join(
        "<tr>"
        f'<th scope="row"><code>{_text(made.name)}</code><br><span class="faint">{_text(made.promise)}</span></th>'
        f'<td class="number">{_share(made)}</td>'
        f"<td>{_times(made.finding, made.finding_count)}</td>"
        f"<td>{_times(made.misconception.replace('_', ' '), made.misconception_count)}"
        f'<br><span class="faint">{_text(made.sentence)}</span></td></tr>'
        for made in exercises
    )
    return _table(
        "Of the submissions that could be read.",
        ("Exercise", "Passed", "Most frequent finding", "Most frequent named mistake"),
        rows,
        {1},
    )


def _written(written: tuple[Written, ...]) -> str:
    if not written:
        return ""
    rows = "".join(
        f'<tr><th scope="row"><code>{_text(made.name)}</code></th>'
        f'<td class="number">{made.graded}</td><td class="number">{made.waiting}</td>'
        f'<td class="number">{"–" if made.average is None else f"{made.average:.1f}"} / {made.points:g}</td></tr>'
        for made in written
    )
    return _table(
        "Graded by a person.",
        ("Question", "Graded", "To grade", "Mean points"),
        rows,
        {1, 2, 3},
    )


def _students(results: tuple[Result, ...], names: dict[str, str]) -> str:
    if not results:
        return ""
    rows = "".join(
        f'<tr><th scope="row">{_text(result.student)}{_second_line(names.get(result.student, ""))}</th>'
        f'<td class="number">{_text(score_text(result))}</td>'
        f"<td>{_text(late_text(result))}</td>"
        f"<td>{'to do' if result.needs_manual else ''}</td>"
        f"<td>{'<br>'.join(_text(repair) for repair in result.repairs)}</td>"
        f"<td>{'<br>'.join(_text(flag) for flag in result.flags)}</td>"
        f"<td>{_text(result.problem)}</td></tr>"
        for result in results
    )
    return _table(
        "Scores are the gradebook's, penalties for lateness taken off.",
        ("Student", "Score", "Late, penalty", "Grading by hand", "Repairs at intake", "Flags", "Problem"),
        rows,
        {1},
    )


def _provenance(report: Report) -> str:
    if not report.isolation:
        return "<p>Nothing has been graded with this course's own executor yet.</p>"
    levels = ", ".join(f"{name} ({_count(count, 'submission')})" for name, count in report.isolation.items())
    meaning = "".join(f" {describe_level(name)}" for name in report.isolation if name in LEVELS)
    seeds = (
        f"The seed of the cases is recorded for {_count(report.seeds, 'submission')}, in the course's folder "
        f"verdicts/{report.chapter}: the same submission and seed give the same verdicts."
    )
    return f"<p>Isolation: {_text(levels)}.{_text(meaning)}</p><p>{_text(seeds)}</p>"


def _table(caption: str, headers: tuple[str, ...], rows: str, numbers: set[int]) -> str:
    heads = "".join(
        f'<th scope="col"{" class=number" if index in numbers else ""}>{_text(header)}</th>'
        for index, header in enumerate(headers)
    )
    return (
        f'<div class="wide"><table><caption>{_text(caption)}</caption><thead><tr>{heads}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _share(made: Difficulty) -> str:
    return "–" if made.share is None else f"{made.passed} of {made.answered} ({made.share:.0%})"


def _times(name: str, count: int) -> str:
    return f"{_text(name)} ({count}×)" if name else "–"


def _second_line(text: str) -> str:
    return f'<br><span class="faint">{_text(text)}</span>' if text else ""


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _text(text: str) -> str:
    return html.escape(clean(text), quote=True)
