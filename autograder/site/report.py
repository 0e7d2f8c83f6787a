"""Building and measuring the site: what ``nnlm site --json`` prints."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from autograder.site.browsing import Seen, axe, look, why_not
from autograder.site.building import Built
from autograder.site.links import Found, follow

#: How many of a kind are told one by one.
_SHOWN = 20


def measure(built: Built, tell: Callable[[str], None]) -> tuple[dict[str, Any], list[str]]:
    """Measure a built site.

    Args:
        built: the site.
        tell: is told what is being done.

    Returns:
        data: "pages", "widgets", "outside_requests", "broken_links", "axe_violations", "console_errors", "megabytes",
            "seconds"; null where nothing could be measured.
        notes: what was found, a sentence each, and why something could not be measured.
    """
    found = follow(built.folder)
    lacking = why_not()
    seen = None if lacking else look(built.folder, tell)
    size = sum(path.stat().st_size for path in built.folder.rglob("*") if path.is_file())
    data = {
        "pages": found.pages,
        "widgets": found.widgets,
        # What a browser asked for; an address that it would ask for only later counts too.
        "outside_requests": None if seen is None else len({*seen.outside, *found.outside}),
        "broken_links": len(found.broken),
        "axe_violations": None if seen is None or seen.violations is None else len(seen.violations),
        "console_errors": None if seen is None else len(seen.complaints),
        "megabytes": round(size / 1e6, 1),
        "seconds": round(built.seconds, 1),
    }
    return data, _notes(built, found, seen, lacking)


def _notes(built: Built, found: Found, seen: Seen | None, lacking: str) -> list[str]:
    notes = [f"Sphinx: {line}" for line in built.warnings[:_SHOWN]]
    notes += [f"broken link: {line}" for line in found.broken[:_SHOWN]]
    notes += [f"outside: {line}" for line in found.outside[:_SHOWN]]
    if seen is None:
        return [*notes, f"Not looked at in a browser, as {lacking}."]
    notes += [f"outside request: {line}" for line in seen.outside[:_SHOWN]]
    notes += [f"console: {line}" for line in seen.complaints[:_SHOWN]]
    notes += [f"axe: {line}" for line in (seen.violations or [])[:_SHOWN]]
    if axe() is None:
        notes.append("Accessibility was not measured, as axe-playwright-python is not installed.")
    notes.append(f"The first page was usable after {seen.first_page:.1f} s.")
    return notes


def good(data: dict[str, Any]) -> bool:
    """Whether zeros stand where zeros belong; what could not be measured is no fault of the site."""
    return not any(data[key] for key in ("outside_requests", "broken_links", "axe_violations", "console_errors"))


def address_of(folder: Path) -> str:
    """The first page, for a browser."""
    return (folder / "index.html").as_uri()
