"""Taking a submission in: whatever was done to the notebook, its locked cells, checks and ids are the source's again.

Student text survives in every case: in its solution cell when the cell can be recognised by its id or by the name it
defines, otherwise as an ordinary cell.
"""

from __future__ import annotations

import ast
import json
import os
import re
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

from autograder.cells import LONG_RUN, SKIP

MAX_BYTES = 20 * 2**20
MAX_CELLS = 2_000
MAX_CELL_CHARACTERS = 200_000
PICTURES = ("image/png", "image/jpeg", "image/gif")


class Unreadable(Exception):
    """A submission that is not a notebook; the message is a sentence for the student."""


@dataclass
class Intake:
    """A rebuilt notebook and what had to be repaired."""

    notebook: NotebookNode
    repairs: list[str] = field(default_factory=list)


def read(path: Path) -> dict[str, Any]:
    """Read a submitted notebook file as plain JSON.

    Raises:
        Unreadable: it is no regular file, too large, or not a notebook.
    """
    try:
        fd = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    except OSError:
        raise Unreadable("The submitted file is a link or cannot be opened; submit the notebook itself.") from None
    with os.fdopen(fd, "rb") as file:
        about = os.fstat(file.fileno())
        if not stat.S_ISREG(about.st_mode):
            raise Unreadable("The submitted file is not a regular file; submit the notebook itself.")
        if about.st_size > MAX_BYTES:
            raise Unreadable(
                f"The notebook has {about.st_size / 2**20:.0f} MB; clear its outputs, {MAX_BYTES >> 20} MB is the limit."
            )
        raw = file.read(MAX_BYTES + 1)
    try:
        data = json.loads(raw.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise Unreadable("The notebook is not text in UTF-8; save it again from JupyterLab.") from None
    except RecursionError:
        raise Unreadable("The notebook is nested too deeply; save it again from JupyterLab.") from None
    except ValueError as error:
        line = getattr(error, "lineno", "?")
        raise Unreadable(
            f"The notebook is not valid JSON (line {line}); it was cut off or edited by hand. Save it again from JupyterLab."
        ) from None
    if not isinstance(data, dict) or not isinstance(data.get("cells", data.get("worksheets")), list):
        raise Unreadable("The file is JSON, but not a notebook; submit the .ipynb file of the chapter.")
    if "worksheets" in data and "cells" not in data:
        raise Unreadable("The notebook has the format of IPython 3 or older; open it in JupyterLab and save it again.")
    return data


def rebuild(submitted: dict[str, Any], template: NotebookNode) -> Intake:
    """Put a student's cells into the released notebook's frame.

    Args:
        submitted: the student's notebook as plain JSON, nothing in it is trusted.
        template: the released student notebook.

    Returns:
        A valid notebook in which every cell with a grade id is the template's, except for the sources of
        solution cells and the pictures in written answers.
    """
    repairs: list[str] = []
    cells = [cell for raw in submitted.get("cells", [])[:MAX_CELLS] if (cell := _clean(raw))]
    if len(submitted.get("cells", [])) > MAX_CELLS:
        repairs.append(f"only the first {MAX_CELLS} cells were read")
    anchors = {cell.metadata.nbgrader.grade_id: cell for cell in template.cells if _grade_id(cell)}
    owners = _owners(cells, anchors, repairs)
    following: dict[str | None, list[NotebookNode]] = {None: []}
    answers: dict[str, dict[str, Any]] = {}
    current: str | None = None
    for index, cell in enumerate(cells):
        grade_id = owners.get(index)
        if grade_id is None:
            following.setdefault(current, []).append(_plain(cell))
            continue
        current = grade_id
        anchor = anchors[grade_id]
        if anchor.metadata.nbgrader.solution:
            answers[grade_id] = cell
        elif cell["source"].strip() != anchor.source.strip():
            repairs.append(f"`{grade_id}` was changed; its original was restored")
    present = set(owners.values())
    rebuilt: list[NotebookNode] = list(following[None])
    for grade_id, anchor in anchors.items():
        cell = nbformat.from_dict(anchor)
        if anchor.metadata.nbgrader.solution:
            answer = answers.get(grade_id, {"source": anchor.source, "pictures": {}})
            cell.source = answer["source"]
            if cell.cell_type == "markdown" and answer["pictures"]:
                cell.attachments = nbformat.from_dict(answer["pictures"])
        if grade_id not in present:
            repairs.append(f"`{grade_id}` was missing; its original was restored")
        rebuilt.append(cell)
        rebuilt += following.get(grade_id, [])
    if _kernel_name(submitted) not in ("", "python3"):
        repairs.append(f"the kernel was set to {_kernel_name(submitted)!r}; the course's is used")
    notebook = nbformat.v4.new_notebook(cells=rebuilt, metadata=nbformat.from_dict(template.metadata))
    _unique_ids(notebook)
    return Intake(notebook, repairs)


def _owners(cells: list[dict[str, Any]], anchors: dict[str, NotebookNode], repairs: list[str]) -> dict[int, str]:
    """Which submitted cell stands for which grade id."""
    claims: dict[str, list[int]] = {}
    for index, cell in enumerate(cells):
        if cell["grade_id"] in anchors:
            claims.setdefault(cell["grade_id"], []).append(index)
    owners: dict[int, str] = {}
    for grade_id, indices in claims.items():
        anchor = anchors[grade_id]
        # Of several copies the one that was worked on counts: the last whose text differs from the released one.
        worked = [i for i in indices if cells[i]["source"].strip() != anchor.source.strip()]
        chosen = (worked or indices)[-1] if anchor.metadata.nbgrader.solution else indices[0]
        owners[chosen] = grade_id
        if len(indices) > 1:
            repairs.append(f"`{grade_id}` stood {len(indices)} times; one counts")
            for index in indices:
                if index != chosen and not anchor.metadata.nbgrader.solution:
                    cells[index]["drop"] = True
    by_source = {
        anchor.source.strip(): grade_id for grade_id, anchor in anchors.items() if not anchor.metadata.nbgrader.solution
    }
    for index, cell in enumerate(cells):
        if index in owners or cell.get("drop"):
            continue
        known = by_source.get(cell["source"].strip())
        if known is not None and known not in owners.values():
            owners[index] = known
            repairs.append(f"`{known}` had lost its id; it was recognised by its text")
        elif known is not None:
            cell["drop"] = True  # a copy of a locked cell
    taken = set(owners.values())
    for grade_id, anchor in anchors.items():
        if grade_id in taken or not anchor.metadata.nbgrader.solution or anchor.cell_type != "code":
            continue
        defining = [
            i
            for i, c in enumerate(cells)
            if i not in owners and c["type"] == "code" and grade_id in _defined(c["source"])
        ]
        if defining:
            owners[defining[-1]] = grade_id
            repairs.append(f"the cell of `{grade_id}` had lost its id; it was recognised by what it defines")
    # Written answers whose id was changed: in order, as far as there are cells that claim to be a solution.
    lost = [
        g
        for g, a in anchors.items()
        if g not in set(owners.values()) and a.cell_type == "markdown" and a.metadata.nbgrader.solution
    ]
    stray = [i for i, c in enumerate(cells) if i not in owners and c["type"] == "markdown" and c["solution"]]
    for grade_id, index in zip(lost, stray, strict=False):
        owners[index] = grade_id
        repairs.append(f"the answer `{grade_id}` had another id; it was recognised by its place")
    for index in [i for i, c in enumerate(cells) if c.get("drop")]:
        cells[index]["source"] = ""
    return owners


def _clean(raw: Any) -> dict[str, Any] | None:
    """The few fields that are read of a submitted cell, each forced to its type."""
    if not isinstance(raw, dict):
        return None
    kind = raw.get("cell_type")
    source = raw.get("source", "")
    if isinstance(source, list):
        source = "".join(part for part in source if isinstance(part, str))
    if not isinstance(source, str):
        return None
    metadata = raw.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    own = metadata.get("nbgrader")
    own = own if isinstance(own, dict) else {}
    grade_id = own.get("grade_id")
    tags = metadata.get("tags")
    return {
        "type": kind if kind in ("code", "markdown", "raw") else "raw",
        "source": source[:MAX_CELL_CHARACTERS].encode("utf-8", "replace").decode("utf-8"),
        "grade_id": grade_id if isinstance(grade_id, str) else None,
        "solution": own.get("solution") is True,
        "long": isinstance(tags, list) and LONG_RUN in tags,
        "pictures": _pictures(raw.get("attachments")),
    }


def _pictures(attachments: Any) -> dict[str, dict[str, str]]:
    """Pictures pasted into a text cell; other things that an attachment can hold are left out."""
    kept = {}
    for name, bundle in attachments.items() if isinstance(attachments, dict) else ():
        data = {
            kind: bundle[kind] for kind in PICTURES if isinstance(bundle, dict) and isinstance(bundle.get(kind), str)
        }
        if data:
            kept[name] = data
    return kept


def _plain(cell: dict[str, Any]) -> NotebookNode:
    if cell["type"] == "code":
        # Of all tags only the course's own survives: it spares the student's show training, never a graded cell.
        return nbformat.v4.new_code_cell(cell["source"], metadata={"tags": [LONG_RUN, SKIP]} if cell["long"] else {})
    if cell["type"] == "raw":
        return nbformat.v4.new_raw_cell(cell["source"])
    pictures = {"attachments": cell["pictures"]} if cell["pictures"] else {}
    return nbformat.v4.new_markdown_cell(cell["source"], **pictures)


def _defined(source: str) -> set[str]:
    try:
        body = ast.parse(source).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return set(re.findall(r"^(?:def|class) +(\w+)", source, re.MULTILINE))
    return {node.name for node in body if isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.AsyncFunctionDef))}


def _kernel_name(submitted: dict[str, Any]) -> str:
    metadata = submitted.get("metadata")
    spec = metadata.get("kernelspec") if isinstance(metadata, dict) else None
    name = spec.get("name") if isinstance(spec, dict) else None
    return name[:40] if isinstance(name, str) else ""


def _grade_id(cell: NotebookNode) -> str | None:
    found = cell.metadata.get("nbgrader", {}).get("grade_id")
    return str(found) if found else None


def _unique_ids(notebook: NotebookNode) -> None:
    for number, cell in enumerate(notebook.cells):
        cell.id = _grade_id(cell) or f"cell-{number}"
