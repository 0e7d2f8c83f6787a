"""Every chapter runs from top to bottom with the solutions filled in, its long runs included, without an error or a warning.

Most chapters have a test file that runs them so and looks at what they print; those run here, in the grader's jail, only in the
full test.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from autograder.bundle import importable_files
from autograder.notebooks import instructor_notebook, without_markers
from autograder.paths import ROOT, Chapter, chapters
from autograder.sandbox.isolation import Limits
from autograder.sandbox.session import Server

#: A guard against hanging, far above what a chapter takes.
MOST_SECONDS = 240.0


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server(importable_files(), ROOT) as made:
        yield made


def named(one: Chapter) -> Any:
    """A chapter as a test's parameter."""
    elsewhere = any(
        f'run_solved("{one.name}")' in path.read_text("utf-8") for path in Path(__file__).parent.glob("test_*.py")
    )
    return pytest.param(one, id=one.name, marks=[pytest.mark.full] if elsewhere else [])


@pytest.mark.parametrize("one", [named(one) for one in chapters()])
def test_a_solved_chapter_runs_to_the_end(one: Chapter, server: Server) -> None:
    limits = Limits(cell_seconds=MOST_SECONDS, total_seconds=MOST_SECONDS)
    with server.open(limits) as session:
        for cell in without_markers(instructor_notebook(one)).cells:
            if cell.cell_type != "code":
                continue
            result = session.run_cell(cell.source)
            expected = "raises-exception" in cell.metadata.get("tags", [])
            assert result["failed"] == expected, (cell.source[:300], result["outputs"][-1:])
            noise = [o for o in result["outputs"] if o["output_type"] == "stream" and o["name"] == "stderr"]
            assert noise == [], cell.source[:300]
            if cell.source.startswith("check("):
                assert "Passed" in str(result["outputs"]), cell.source
