"""Taking in submissions: whatever was done to a notebook, the frame is the source's and the student's text survives."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import nbformat
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nbformat import NotebookNode

from autograder.grading import demo, intake
from autograder.grading.intake import Unreadable, rebuild
from autograder.notebooks import instructor_notebook, without_markers
from autograder.paths import chapter

ONE = chapter("02")
FIRST, CHECK = "threshold_unit", "check_threshold_unit"


@pytest.fixture(scope="module")
def template() -> NotebookNode:
    return nbformat.read(ONE.notebook, as_version=4)


@pytest.fixture(scope="module")
def solved() -> NotebookNode:
    return without_markers(instructor_notebook(ONE))


def plain(notebook: NotebookNode) -> dict[str, Any]:
    return json.loads(nbformat.writes(notebook))


def frame(notebook: NotebookNode) -> list[tuple[str, Any, bool]]:
    return [
        (cell.metadata.nbgrader.grade_id, cell.metadata.nbgrader.get("points"), cell.metadata.nbgrader.locked)
        for cell in notebook.cells
        if "nbgrader" in cell.metadata
    ]


def test_an_honest_submission_passes_through_unchanged(template: NotebookNode, solved: NotebookNode) -> None:
    taken = rebuild(plain(solved), template)
    assert taken.repairs == []
    assert [c.source.strip() for c in taken.notebook.cells] == [c.source.strip() for c in solved.cells]
    assert frame(taken.notebook) == frame(template)


@pytest.mark.parametrize("name", ["duplicated-test", "deleted-test", "renamed-test", "edited-test", "wrong-kernel"])
def test_the_demo_s_tampering_is_undone(name: str, template: NotebookNode, tmp_path: Path) -> None:
    from autograder.grading.classroom import Classroom

    room = Classroom(tmp_path)
    target = tmp_path / "release" / ONE.name / f"{ONE.name}.ipynb"
    target.parent.mkdir(parents=True)
    nbformat.write(template, target)
    member = next(m for m in demo.make_class(ONE, room) if m.name == name)
    taken = rebuild(json.loads(member.text), template)
    assert len(taken.repairs) == 1, taken.repairs
    assert frame(taken.notebook) == frame(template)
    nbformat.validate(taken.notebook)


def test_points_locks_and_tags_come_from_the_source(template: NotebookNode, solved: NotebookNode) -> None:
    tricked = demo.copy(solved)
    for cell in tricked.cells:
        cell.metadata["tags"] = ["skip-execution", "raises-exception"]
        if "nbgrader" in cell.metadata:
            cell.metadata.nbgrader["points"] = 99
            cell.metadata.nbgrader["locked"] = False
    taken = rebuild(plain(tricked), template)
    assert frame(taken.notebook) == frame(template)
    assert not any(cell.metadata.get("tags") for cell in taken.notebook.cells)


def test_a_copied_solution_cell_counts_once_and_the_worked_one_wins(
    template: NotebookNode, solved: NotebookNode
) -> None:
    twice = demo.copy(solved)
    index = demo.position(twice, FIRST)
    stub = demo.copy_cell(template.cells[demo.position(template, FIRST)], "stub")
    twice.cells.insert(index + 1, stub)  # the untouched copy comes last
    taken = rebuild(plain(twice), template)
    assert demo.source(taken.notebook, FIRST) == demo.source(solved, FIRST)
    assert any("stood 2 times" in text for text in taken.repairs)


def test_a_notebook_without_any_metadata_is_recognised_by_its_text(
    template: NotebookNode, solved: NotebookNode
) -> None:
    """Some editors drop the metadata of cells when they save."""
    bare = plain(solved)
    for cell in bare["cells"]:
        cell["metadata"] = {}
    taken = rebuild(bare, template)
    for name in ("threshold_unit", "logic_gate", "train_perceptron"):
        assert demo.source(taken.notebook, name).strip() == demo.source(solved, name).strip()
    assert frame(taken.notebook) == frame(template)


def test_a_syntax_error_does_not_hide_what_a_cell_defines(template: NotebookNode, solved: NotebookNode) -> None:
    broken = demo.with_source(solved, FIRST, "def threshold_unit(x, w, b)\n    return 1\n")
    broken.cells[demo.position(broken, FIRST)].metadata = {}
    taken = rebuild(plain(broken), template)
    assert demo.source(taken.notebook, FIRST).startswith("def threshold_unit(x, w, b)\n")


def test_students_own_cells_stay_where_they_were(template: NotebookNode, solved: NotebookNode) -> None:
    own = demo.copy(solved)
    index = demo.position(own, CHECK)
    own.cells.insert(index + 1, nbformat.v4.new_code_cell("my_own = 1"))
    taken = rebuild(plain(own), template)
    assert taken.notebook.cells[demo.position(taken.notebook, CHECK) + 1].source == "my_own = 1"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "not valid JSON"),
        (b'{"cells": [', "not valid JSON"),
        (b"\xff\xfe\x00", "not text in UTF-8"),
        (b"[1, 2]", "not a notebook"),
        (b"{}", "not a notebook"),
        (b'{"worksheets": []}', "IPython 3 or older"),
        (b'{"cells": ' + b"[" * 100_000, "nested too deeply"),
    ],
)
def test_what_is_no_notebook_gets_a_sentence(tmp_path: Path, content: bytes, sentence: str) -> None:
    path = tmp_path / "x.ipynb"
    path.write_bytes(content)
    with pytest.raises(Unreadable, match=sentence):
        intake.read(path)


def test_a_byte_order_mark_and_windows_line_ends_are_read(tmp_path: Path, solved: NotebookNode) -> None:
    path = tmp_path / "x.ipynb"
    path.write_bytes(b"\xef\xbb\xbf" + nbformat.writes(solved).replace("\n", "\r\n").encode())
    assert len(intake.read(path)["cells"]) == len(solved.cells)


def test_links_special_and_huge_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = tmp_path / "real.ipynb"
    real.write_text('{"cells": []}')
    link = tmp_path / "link.ipynb"
    link.symlink_to(real)
    with pytest.raises(Unreadable, match="is a link"):
        intake.read(link)
    fifo = tmp_path / "fifo.ipynb"
    os.mkfifo(fifo)
    with pytest.raises(Unreadable, match="not a regular file"):
        intake.read(fifo)
    monkeypatch.setattr(intake, "MAX_BYTES", 5)
    with pytest.raises(Unreadable, match="clear its outputs"):
        intake.read(real)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
odd_cells = st.fixed_dictionaries(
    {},
    optional={
        "cell_type": st.sampled_from(["code", "markdown", "raw", "heading", 3, None]),
        "source": st.text(max_size=40) | st.lists(st.text(max_size=9) | st.integers(), max_size=3) | json_values,
        "metadata": json_values
        | st.fixed_dictionaries(
            {
                "nbgrader": json_values
                | st.fixed_dictionaries({"grade_id": st.sampled_from([FIRST, CHECK, "other", 7, None])})
            }
        ),
        "outputs": json_values,
        "id": json_values,
    },
)


@given(cells=st.lists(odd_cells | json_values, max_size=6), metadata=json_values)
@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
def test_odd_notebooks_become_valid_ones_with_the_whole_frame(
    cells: list[Any], metadata: Any, template: NotebookNode
) -> None:
    taken = rebuild({"cells": cells, "metadata": metadata}, template)
    nbformat.validate(taken.notebook)
    assert frame(taken.notebook) == frame(template)
