"""Taking in submissions: whatever was done to a notebook, the frame is the source's and the student's text survives."""

from __future__ import annotations

import contextlib
import errno
import gzip
import io
import json
import os
import shutil
import socket
import zipfile
from pathlib import Path
from typing import Any

import nbformat
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nbformat import NotebookNode
from nbgrader.nbgraderformat import MetadataValidator

from autograder.grading import demo, intake, opening, parsing
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
    monkeypatch.setattr(opening, "MAX_BYTES", 5)
    with pytest.raises(Unreadable, match="clear its outputs"):
        intake.read(real)


# ---- opening -----------------------------------------------------------------------------------------------------------
def handed_in(root: Path, text: str = '{"cells": []}') -> Path:
    """A submission where a class keeps it."""
    path = root / "submitted" / "ada" / ONE.name / f"{ONE.name}.ipynb"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    return path


def test_a_link_anywhere_below_the_class_is_refused(tmp_path: Path) -> None:
    path = handed_in(tmp_path / "real")
    assert intake.take_in(path) == b'{"cells": []}'
    (tmp_path / "class" / "submitted" / "bob").mkdir(parents=True)
    (tmp_path / "class" / "submitted" / "bob" / ONE.name).symlink_to(path.parent)
    (tmp_path / "class" / "submitted" / "eve").symlink_to(path.parent.parent)
    for student in ("bob", "eve"):
        folder = tmp_path / "class" / "submitted" / student / ONE.name
        with pytest.raises(Unreadable, match="lies behind one"):
            intake.take_in(folder / path.name)
        with pytest.raises(Unreadable, match="is a link"):
            intake.survey(folder)
    # The folder that holds the students' may be a link: it is the instructor's.
    (tmp_path / "elsewhere").symlink_to(tmp_path / "real" / "submitted")
    assert intake.take_in(tmp_path / "elsewhere" / "ada" / ONE.name / path.name) == b'{"cells": []}'
    with pytest.raises(Unreadable, match="lies behind one"):
        intake.take_in(tmp_path / "elsewhere" / "ada" / ONE.name / path.name, below=tmp_path)


def test_what_is_no_regular_file_is_refused_without_waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "folder.ipynb").mkdir()
    with pytest.raises(Unreadable, match="is a folder"):
        intake.take_in(tmp_path / "folder.ipynb")
    with pytest.raises(Unreadable, match=r"There is no missing\.ipynb"):
        intake.take_in(tmp_path / "missing.ipynb")
    with pytest.raises(Unreadable, match="not a regular file"):
        intake.take_in(Path("/dev/zero"))
    with socket.socket(socket.AF_UNIX) as listening:
        monkeypatch.chdir(tmp_path)  # the name of a socket may not be long
        listening.bind("s.ipynb")
        with pytest.raises(Unreadable, match="not a regular file"):
            intake.take_in(tmp_path / "s.ipynb")
        with pytest.raises(Unreadable, match="special file"):
            intake.survey(tmp_path)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_refused(tmp_path: Path) -> None:
    path = handed_in(tmp_path)
    path.chmod(0)
    with pytest.raises(Unreadable, match="may not be read"):
        intake.take_in(path)


def test_refusals_of_the_system_become_sentences(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = handed_in(tmp_path)

    for number, sentence in [(errno.EACCES, "may not be read"), (errno.EIO, "cannot be read"), (errno.ELOOP, "a link")]:

        def refuse(*args: object, number: int = number, **kwargs: object) -> int:
            raise OSError(number, os.strerror(number), str(path))

        monkeypatch.setattr(opening.os, "open", refuse)
        with pytest.raises(Unreadable, match=sentence):
            intake.take_in(path)


@pytest.mark.parametrize("change", ["grows", "shrinks", "is written anew"])
def test_a_file_that_changes_while_it_is_read_is_not_graded_half(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    path = handed_in(tmp_path)
    original = os.dup

    def meanwhile(fd: int) -> int:
        text = {"grows": '{"cells": [], "a": 1}', "shrinks": "{}", "is written anew": '{"cells": {}}'}[change]
        with path.open("r+") as file:
            file.truncate(0)
            file.write(text)
        os.utime(path, ns=(1, 1))
        return original(fd)

    monkeypatch.setattr(opening.os, "dup", meanwhile)
    with pytest.raises(Unreadable, match="changed while it was read"):
        intake.take_in(path)


def test_a_file_that_is_removed_while_it_is_read_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = handed_in(tmp_path)
    original = os.dup

    def meanwhile(fd: int) -> int:
        path.unlink()
        return original(fd)

    monkeypatch.setattr(opening.os, "dup", meanwhile)
    assert intake.take_in(path) == b'{"cells": []}'


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    if not Path("/proc/self/fd").is_dir():
        pytest.skip("counts descriptors in /proc")
    path = handed_in(tmp_path)
    link = path.with_name("link.ipynb")
    link.symlink_to(path)
    before = len(os.listdir("/proc/self/fd"))
    for candidate in [path, link, path.with_name("none.ipynb"), path.parent, Path("/dev/null")] * 5:
        with contextlib.suppress(Unreadable):
            intake.take_in(candidate)
    assert len(os.listdir("/proc/self/fd")) == before


# ---- the folder around it ----------------------------------------------------------------------------------------------
def test_an_ordinary_folder_is_surveyed_without_a_word(tmp_path: Path) -> None:
    path = handed_in(tmp_path)
    (path.parent / "data").mkdir()
    (path.parent / "data" / "my corpus [1]*?.txt").write_text("x")
    (path.parent / "-rf").write_text("x")
    (path.parent / "timestamp.txt").write_text("2026-11-01 11:59:00 UTC")
    assert intake.survey(path.parent, path.name) == []
    os.link(path, tmp_path / "another name")
    assert intake.survey(path.parent, path.name) == ["the notebook has 1 more names on the disk (hard links)"]


def test_links_and_special_files_beside_the_notebook_are_refused(tmp_path: Path) -> None:
    folder = handed_in(tmp_path).parent
    (folder / "deep").mkdir()
    for make, sentence in [
        (lambda place: place.symlink_to("/etc/passwd"), "holds a link"),
        (lambda place: place.symlink_to("/etc"), "holds a link"),
        (lambda place: place.symlink_to(place), "holds a link"),
        (lambda place: place.symlink_to("nowhere"), "holds a link"),
        (os.mkfifo, "special file"),
    ]:
        make(folder / "deep" / "odd")
        with pytest.raises(Unreadable, match=sentence):
            intake.survey(folder)
        (folder / "deep" / "odd").unlink()
    assert intake.survey(folder) == []


@pytest.mark.parametrize("name", ["a\nb", "\x1b[2J", "a\u202eb", b"\xff\xfe", "x" * 250 + "\t"])
def test_names_that_cannot_be_shown_are_refused_and_shown_escaped(tmp_path: Path, name: str | bytes) -> None:
    folder = handed_in(tmp_path).parent
    Path(os.fsdecode(os.path.join(os.fsencode(folder), os.fsencode(name)))).write_text("x")
    with pytest.raises(Unreadable, match="control characters in its name") as caught:
        intake.survey(folder)
    assert str(caught.value).isprintable()
    assert str(caught.value).encode()


def test_too_many_too_deep_and_too_large_folders_are_refused(tmp_path: Path) -> None:
    folder = handed_in(tmp_path).parent
    many = folder / "many"
    many.mkdir()
    for number in range(opening.MAX_FILES):
        (many / str(number)).touch()
    with pytest.raises(Unreadable, match="submit the notebook alone"):
        intake.survey(folder)
    shutil.rmtree(many)
    with (folder / "hole").open("wb") as file:  # takes no room on the disk
        file.truncate(opening.MAX_FOLDER_BYTES + 1)
    with pytest.raises(Unreadable, match="submit the notebook alone"):
        intake.survey(folder)
    (folder / "hole").unlink()
    folder.joinpath(*"d" * (opening.MAX_FOLDERS_DEEP + 1)).mkdir(parents=True)
    with pytest.raises(Unreadable, match="submit the notebook alone"):
        intake.survey(folder)


@pytest.mark.parametrize("name", ["a*", "[x]", "a?", "a\nb", "a\u202eb", " a", "", "..", "a\x1b[0m", "\udcff"])
def test_students_whose_folder_cannot_be_used_are_told(name: str) -> None:
    sentence = intake.name_trouble(name)
    assert "rename" in sentence
    assert sentence.isprintable()


@pytest.mark.parametrize("name", ["ada", "王芳", "José", "Jose\u0301", "-x", "o'neil", "a b", "ada@example.org", "..a"])
def test_ordinary_names_of_students_are_used(name: str) -> None:
    assert intake.name_trouble(name) == ""


# ---- parsing -----------------------------------------------------------------------------------------------------------
def zipped() -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("../../../evil.ipynb", "{}")
        made.writestr("bomb", bytes(10_000_000))
    return archive.getvalue()


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        (zipped(), "zip archive"),
        (gzip.compress(b"{}", mtime=0), "gzip archive"),
        (b"%PDF-1.7", "a PDF"),
        (b"<!DOCTYPE html>", "a web page"),
        (b" \n\t", "empty"),
        (bytes(4096), "empty"),
        (b'{"cells": {"0": {}}}', "not a notebook"),
        (b'{"cells": null}', "not a notebook"),
        (b'{"cells": [], "worksheets": [{"cells": [{"input": "x"}]}]}', "IPython 3 or older"),
        (b'{"cells": [' + b"[" * 150 + b"]" * 150 + b"]}", "nested too deeply"),
        (b'{"cells": [' + b"{}," * 1_000_000 + b"{}]}", "more than 1,000,000 values"),
        (b'{"cells": [] "x"}', r"not valid JSON \(line 1\)"),
        ('{"cells": []}'.encode("utf-16-le"), "not valid JSON"),
        ('{"cells": ["é"]}'.encode("latin-1"), "not text in UTF-8"),
        ('{"cells": ["感知机"]}'.encode("gbk"), "not text in UTF-8"),
        (b'{"cells": ["\xed\xa0\x80"]}', "not text in UTF-8"),
        (b'"' + b'\\"' * 1_000_000, "not valid JSON"),
    ],
)
def test_what_cannot_be_parsed_gets_a_sentence(raw: bytes, sentence: str) -> None:
    with pytest.raises(Unreadable, match=sentence) as caught:
        intake.parse(raw)
    assert str(caught.value).endswith(".")
    assert str(caught.value).isprintable()


def test_a_zip_is_never_unpacked(tmp_path: Path) -> None:
    path = handed_in(tmp_path)
    path.write_bytes(zipped())
    with pytest.raises(Unreadable, match="zip archive"):
        intake.read(path)
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == [path]


def test_brackets_and_commas_in_texts_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parsing, "MAX_VALUES", 20)
    text = '[[[[{{,,,,"\\\\"\\' * 2_000
    assert intake.parse(json.dumps({"cells": [{"source": text}]}).encode())["cells"][0]["source"] == text
    with pytest.raises(Unreadable, match="more than 20 values"):
        intake.parse(json.dumps({"cells": [1] * 30}).encode())


@pytest.mark.parametrize(
    "number", ["9" * 1_000_000, "-" + "9" * 5_000, "0." + "1" * 1_000_000, "1e" + "9" * 5_000, "NaN", "-Infinity"]
)
def test_numbers_of_any_length_are_read(number: str) -> None:
    assert intake.parse(f'{{"cells": [], "metadata": {number}}}'.encode())["cells"] == []


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_file_with_a_mark_of_its_encoding_is_read(
    encoding: str, template: NotebookNode, solved: NotebookNode
) -> None:
    taken = rebuild(intake.parse(nbformat.writes(solved).encode(encoding)), template)
    assert [c.source for c in taken.notebook.cells] == [
        c.source for c in rebuild(plain(solved), template).notebook.cells
    ]
    assert any("instead of UTF-8" in text for text in taken.repairs) == (encoding != "utf-8-sig")


def test_of_a_doubled_key_nothing_is_lost(template: NotebookNode) -> None:
    raw = (
        b'{"cells": [{"cell_type": "code", "source": "one = 1", "source": ["two = ", "2"]}],'
        b' "cells": [{"cell_type": "code", "source": "three = 3", "source": "three = 3"}]}'
    )
    taken = rebuild(intake.parse(raw), template)
    texts = [cell.source for cell in taken.notebook.cells]
    assert "one = 1\ntwo = 2" in texts
    assert "three = 3" in texts
    assert any("`cells` stood twice" in text for text in taken.repairs)
    assert any("`source` stood twice in 2 places" in text for text in taken.repairs)


# ---- rebuilding --------------------------------------------------------------------------------------------------------
ANSWER = "xor_no_line"
WRITTEN = "No line: add the four conditions, and 0 > 0 remains."


def answered(solved: NotebookNode) -> dict[str, Any]:
    """The chapter solved, with a written answer."""
    notebook = demo.copy(solved)
    notebook.cells[demo.position(notebook, ANSWER)].source = WRITTEN
    return plain(notebook)


def everything_in_place(taken: intake.Intake, template: NotebookNode, solved: NotebookNode) -> None:
    nbformat.validate(taken.notebook)
    MetadataValidator().validate_nb(taken.notebook)
    assert frame(taken.notebook) == frame(template)
    for cell in template.cells:
        own = cell.metadata.get("nbgrader", {})
        if own.get("solution"):
            wanted = WRITTEN if own.grade_id == ANSWER else demo.source(solved, own.grade_id)
            assert demo.source(taken.notebook, own.grade_id).strip() == wanted.strip()


@pytest.mark.parametrize(
    "shape", [[], [1], 7, "x", None, True, {}, {"grade_id": []}, {"grade_id": {"a": 1}, "points": "1e9"}]
)
def test_answers_keep_their_place_whatever_became_of_nbgraders_metadata(
    template: NotebookNode, solved: NotebookNode, shape: Any
) -> None:
    spoilt = answered(solved)
    for cell in spoilt["cells"]:
        if "nbgrader" in cell["metadata"]:
            cell["metadata"]["nbgrader"] = shape
    everything_in_place(rebuild(spoilt, template), template, solved)


@pytest.mark.parametrize("keep", ["ids", "metadata", "nothing"])
def test_answers_keep_their_place_when_metadata_or_ids_are_gone(
    template: NotebookNode, solved: NotebookNode, keep: str
) -> None:
    spoilt = answered(solved)
    for cell in spoilt["cells"]:
        if keep != "metadata":
            cell["metadata"] = {}
        if keep != "ids":
            del cell["id"]
    taken = rebuild(spoilt, template)
    everything_in_place(taken, template, solved)
    assert bool(taken.repairs) == (keep != "metadata")


def test_swapped_ids_of_two_exercises_are_seen(template: NotebookNode, solved: NotebookNode) -> None:
    spoilt = answered(solved)
    one, two = (next(c for c in spoilt["cells"] if c["id"] == name) for name in (FIRST, "fold_bias"))
    one["metadata"], two["metadata"] = two["metadata"], one["metadata"]
    everything_in_place(rebuild(spoilt, template), template, solved)


def test_an_unfinished_copy_below_the_worked_cell_defines_nothing_anew(
    template: NotebookNode, solved: NotebookNode
) -> None:
    twice = demo.copy(solved)
    twice.cells.insert(
        demo.position(twice, FIRST) + 1, demo.copy_cell(template.cells[demo.position(template, FIRST)], "stub")
    )
    taken = rebuild(plain(twice), template)
    defining = [cell.source for cell in taken.notebook.cells if f"def {FIRST}" in cell.source]
    assert defining == [demo.source(solved, FIRST)]


def test_what_was_written_into_a_copy_of_a_locked_cell_is_kept(template: NotebookNode, solved: NotebookNode) -> None:
    spoilt = answered(solved)
    at = next(i for i, c in enumerate(spoilt["cells"]) if c["id"] == CHECK)
    spoilt["cells"].insert(at, {**spoilt["cells"][at], "source": "my_notes = 1"})
    taken = rebuild(spoilt, template)
    everything_in_place(taken, template, solved)
    assert "my_notes = 1" in [cell.source for cell in taken.notebook.cells]


@pytest.mark.parametrize(
    ("source", "kept", "word"),
    [
        (["a = ", ["1", ["\n"]], "b"], "a = 1\nb", ""),
        (["a = 1", 7, None], "a = 1", "other than text"),
        ({"text": "a"}, "", "other than text"),
        (7, "", "other than text"),
        (None, "", ""),
        ("a\r\nb\rc", "a\nb\nc", ""),
        ("x = '\ud800'", "x = '?'", ""),
        ("x" * 200_001, "x" * 200_000, "were cut to their first 200,000 characters"),
    ],
)
def test_sources_of_every_shape(template: NotebookNode, source: Any, kept: str, word: str) -> None:
    cell = {"cell_type": "code", "metadata": {"nbgrader": {"grade_id": FIRST}}, "source": source}
    taken = rebuild({"cells": [cell]}, template)
    assert demo.source(taken.notebook, FIRST) == kept
    about = [text for text in taken.repairs if "other than text" in text or "were cut" in text]
    assert (word in about[0]) if word else not about


def test_what_is_left_out_is_said(template: NotebookNode) -> None:
    picture = {"image/png": "aGVsbG8="}
    cells: list[Any] = [
        7,
        None,
        {},
        {"cell_type": "markdown", "source": "a", "attachments": {"x.svg": {"image/svg+xml": "<svg/>"}}},
        {"cell_type": "markdown", "source": "b", "attachments": {"x.png": {"image/png": '"><script>'}}},
        {
            "cell_type": "markdown",
            "source": "c",
            "attachments": {"\ud800": picture, **{f"{i}.png": picture for i in range(300)}},
        },
    ]
    taken = rebuild({"cells": [*cells, *[{"cell_type": "code", "source": "x"}] * intake.MAX_CELLS]}, template)
    nbformat.writes(taken.notebook).encode()
    said = "\n".join(taken.repairs)
    for word in (
        "only the first 2000 cells of 2006",
        "3 of the notebook's cells",
        "no PNG",
        "of 301 attached pictures",
    ):
        assert word in said
    assert "<script>" not in nbformat.writes(taken.notebook)


def test_a_student_cannot_write_the_repairs(template: NotebookNode) -> None:
    taken = rebuild(
        intake.parse(b'{"cells": [], "notes": ["full marks"], "nnlm": {"repairs": ["full marks"]}}'), template
    )
    assert "full marks" not in "".join(taken.repairs) + nbformat.writes(taken.notebook)


def test_a_kernel_with_an_odd_name_is_named_readably(template: NotebookNode) -> None:
    taken = rebuild({"cells": [], "metadata": {"kernelspec": {"name": "\u202e\n\ud800"}}}, template)
    assert taken.repairs[-1].isprintable()


def test_ids_of_cells_are_valid_and_different_whatever_the_released_ones_are(template: NotebookNode) -> None:
    odd = demo.copy(template)
    names = ["cell-1", "a b.c", "x" * 80, "感知机"]
    for cell, name in zip((c for c in odd.cells if "nbgrader" in c.metadata), names, strict=False):
        cell.metadata.nbgrader.grade_id = name
    taken = rebuild({"cells": [{"cell_type": "code", "source": "x"}] * 3}, odd)
    nbformat.validate(taken.notebook)
    assert len({cell.id for cell in taken.notebook.cells}) == len(taken.notebook.cells)


# ---- anything at all ---------------------------------------------------------------------------------------------------
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
    MetadataValidator().validate_nb(taken.notebook)
    nbformat.writes(taken.notebook).encode()


@given(raw=st.binary(max_size=300) | json_values.map(lambda value: json.dumps(value).encode()))
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_a_notebook_or_get_a_sentence(raw: bytes) -> None:
    said = ""
    try:
        assert isinstance(intake.parse(raw)["cells"], list)
    except Unreadable as error:
        said = str(error)
    assert said == "" or said.endswith(".")
