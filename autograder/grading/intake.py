"""Taking a submission in: whatever was done to the notebook, its locked cells, checks and ids are the source's again.

Student text survives in every case: in its solution cell when the cell can be recognised by its id, by the name it
defines or by its place, otherwise as an ordinary cell. What could not be kept is said in the repairs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

from autograder.cells import LONG_RUN, SKIP
from autograder.grading.matching import Cell, grade_id_of, owners_of
from autograder.grading.opening import Unreadable, name_trouble, survey, take_in
from autograder.grading.parsing import Submitted, parse

__all__ = [
    "Intake",
    "Submitted",
    "Unreadable",
    "name_trouble",
    "parse",
    "read",
    "rebuild",
    "survey",
    "take_in",
]

MAX_CELLS = 2_000
MAX_CELL_CHARACTERS = 200_000
MAX_PICTURES = 200
#: The minor version of the format since which cells have ids.
CELL_IDS = 5
#: Pictures pasted into a written answer: kinds that cannot carry a script, in base64 that cannot leave its attribute.
PICTURES = ("image/png", "image/jpeg", "image/gif")
_BASE64 = re.compile(r"[A-Za-z0-9+/=\s]*", re.ASCII)
_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}", re.ASCII)


@dataclass
class Intake:
    """A rebuilt notebook and what had to be repaired."""

    notebook: NotebookNode
    repairs: list[str] = field(default_factory=list)


def read(path: Path) -> Submitted:
    """Read a submitted notebook file as plain JSON.

    Raises:
        Unreadable: it is no regular file, too large, or not a notebook.
    """
    return parse(take_in(path))


def rebuild(submitted: dict[str, Any], template: NotebookNode) -> Intake:
    """Put a student's cells into the released notebook's frame.

    Args:
        submitted: the student's notebook as plain JSON, nothing in it is trusted.
        template: the released student notebook.

    Returns:
        A valid notebook in which every cell with a grade id is the template's, except for the sources of
        solution cells and the pictures in written answers.
    """
    repairs: list[str] = list(getattr(submitted, "notes", []))
    cells = _cells(submitted.get("cells"), repairs)
    anchors = {grade_id: cell for cell in template.cells if (grade_id := grade_id_of(cell))}
    given = {_text(cell.source).strip() for cell in template.cells}
    owners = owners_of(cells, anchors, given, repairs)
    following: dict[str | None, list[NotebookNode]] = {None: []}
    answers: dict[str, Cell] = {}
    current: str | None = None
    for index, cell in enumerate(cells):
        grade_id = owners.get(index)
        if grade_id is None:
            if not cell.dropped:
                following.setdefault(current, []).append(_plain(cell))
            continue
        current = grade_id
        anchor = anchors[grade_id]
        if anchor.metadata.nbgrader.solution:
            answers[grade_id] = cell
        elif cell.source.strip() != _text(anchor.source).strip():
            repairs.append(f"`{grade_id}` was changed; its original was restored")
    rebuilt: list[NotebookNode] = list(following[None])
    present = set(owners.values())
    for grade_id, anchor in anchors.items():
        rebuilt.append(_answered(anchor, answers.get(grade_id)))
        if grade_id not in present:
            repairs.append(f"`{grade_id}` was missing; its original was restored")
        rebuilt += following.get(grade_id, [])
    if _kernel_name(submitted) not in ("", "python3"):
        repairs.append(f"the kernel was set to {_kernel_name(submitted)!r}; the course's is used")
    # Put together without nbformat's validation, which here would take as long as all the rest.
    notebook = NotebookNode(
        cells=rebuilt, metadata=nbformat.from_dict(template.metadata), nbformat=4, nbformat_minor=CELL_IDS
    )
    _unique_ids(notebook)
    return Intake(notebook, repairs)


def _cells(raw: Any, repairs: list[str]) -> list[Cell]:
    """The submitted cells, as many and as long as are taken in; what is left out is said."""
    found = raw if isinstance(raw, list) else []
    kept = [cell for entry in found[:MAX_CELLS] if isinstance(entry, dict) and (cell := _cell(entry))]
    if len(found) > MAX_CELLS:
        repairs.append(f"only the first {MAX_CELLS} cells of {len(found)} were read")
    no_cells = min(len(found), MAX_CELLS) - len(kept)
    if no_cells:
        repairs.append(f"{no_cells} of the notebook's cells held nothing that is a cell and were left out")
    lost = [cell for cell in kept if cell.lost]
    if lost:
        repairs.append(f"the text of {len(lost)} cells held something other than text, which was left out")
    long = [cell for cell in kept if len(cell.source) > MAX_CELL_CHARACTERS]
    for cell in long:
        cell.source = cell.source[:MAX_CELL_CHARACTERS]
    if long:
        repairs.append(f"{len(long)} cells were cut to their first {MAX_CELL_CHARACTERS:,} characters")
    if any(cell.pictures_lost for cell in kept):
        repairs.append("attachments that are no PNG, JPEG or GIF were left out")
    pictures = 0
    for cell in kept:
        pictures += len(cell.pictures)
        if pictures > MAX_PICTURES:
            cell.pictures = {}
    if pictures > MAX_PICTURES:
        repairs.append(f"of {pictures} attached pictures only the first {MAX_PICTURES} at most were kept")
    return kept


def _cell(raw: dict[str, Any]) -> Cell | None:
    """The few fields that are read of a submitted cell, each forced to its type."""
    kind = raw.get("cell_type")
    # IPython 3 called a code cell's text its input.
    source, lost = _joined(raw["source"] if "source" in raw else raw.get("input"))
    if not source and "source" not in raw and kind not in ("code", "markdown", "raw"):
        return None
    metadata = raw.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    own = metadata.get("nbgrader")
    own = own if isinstance(own, dict) else {}
    grade_id, cell_id, tags = own.get("grade_id"), raw.get("id"), metadata.get("tags")
    pictures, pictures_lost = _pictures(raw.get("attachments"))
    return Cell(
        kind=kind if kind in ("code", "markdown", "raw") else "raw",
        source=_text(source),
        grade_id=grade_id if isinstance(grade_id, str) else None,
        cell_id=cell_id if isinstance(cell_id, str) else None,
        claims_solution=own.get("solution") is True,
        long_run=isinstance(tags, list) and LONG_RUN in tags,
        pictures=pictures,
        lost=lost,
        pictures_lost=pictures_lost,
    )


def _joined(source: Any) -> tuple[str, bool]:
    """All text in a cell's source, which is a string or a list of strings; and whether it held anything else."""
    parts: list[str] = []
    lost = False
    waiting = [source]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            parts.append(value)
        elif isinstance(value, list):
            waiting += reversed(value)
        elif value is not None:
            lost = True
    return "".join(parts), lost


def _text(source: str) -> str:
    """Text that can be written in UTF-8, with the line ends of the course."""
    return source.replace("\r\n", "\n").replace("\r", "\n").encode("utf-8", "replace").decode("utf-8")


def _pictures(attachments: Any) -> tuple[dict[str, dict[str, str]], bool]:
    """Pictures pasted into a text cell, and whether there was anything else, which is left out."""
    kept: dict[str, dict[str, str]] = {}
    if not isinstance(attachments, dict):
        return kept, bool(attachments)
    lost = False
    for name, found in attachments.items():
        bundle = found if isinstance(found, dict) else {"": found}
        data = {
            kind: value
            for kind, value in bundle.items()
            if kind in PICTURES and isinstance(value, str) and _BASE64.fullmatch(value)
        }
        lost |= len(data) < len(bundle)
        if data:
            kept[_text(name)] = data
    return kept, lost


def _plain(cell: Cell) -> NotebookNode:
    """A cell of the student's own."""
    if cell.kind == "code":
        # Of all tags only the course's own survives: it spares the student's show training, never a graded cell.
        tags = {"tags": [LONG_RUN, SKIP]} if cell.long_run else {}
        return _cell_of("code", cell.source, tags, execution_count=None, outputs=[])
    if cell.kind == "raw":
        # Pages show a raw cell's text as it is, markup and scripts included, unless it says that it is something else.
        return _cell_of("raw", cell.source, {"raw_mimetype": "text/plain"})
    pictures = {"attachments": nbformat.from_dict(cell.pictures)} if cell.pictures else {}
    return _cell_of("markdown", cell.source, {}, **pictures)


def _cell_of(kind: str, source: str, metadata: dict[str, Any], **more: Any) -> NotebookNode:
    """As nbformat's ``new_…_cell``, which validates each cell for as long as running it takes."""
    made: NotebookNode = nbformat.from_dict(
        {"cell_type": kind, "id": "", "metadata": metadata, "source": source, **more}
    )
    return made


def _answered(anchor: NotebookNode, answer: Cell | None) -> NotebookNode:
    """A cell of the template, with the student's answer in it."""
    cell = nbformat.from_dict(anchor)
    if answer is not None:
        cell.source = answer.source
        if cell.cell_type == "markdown" and answer.pictures:
            cell.attachments = nbformat.from_dict(answer.pictures)
    return cell


def _kernel_name(submitted: dict[str, Any]) -> str:
    metadata = submitted.get("metadata")
    spec = metadata.get("kernelspec") if isinstance(metadata, dict) else None
    name = spec.get("name") if isinstance(spec, dict) else None
    return name[:40] if isinstance(name, str) else ""


def _unique_ids(notebook: NotebookNode) -> None:
    """Give every cell an id that nbformat accepts and no other cell has."""
    taken: set[str] = set()
    for number, cell in enumerate(notebook.cells):
        wanted = grade_id_of(cell) or ""
        if not _ID.fullmatch(wanted) or wanted in taken:
            wanted = f"cell-{number}"
        while wanted in taken:
            wanted += "-"
        taken.add(wanted)
        cell.id = wanted
