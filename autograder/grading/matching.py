"""Which cell of a submission is which cell of the released notebook, after ids were lost, doubled, swapped or made up."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from nbformat import NotebookNode

# A pattern, not a parse: it takes linear time on whatever stands there, and a syntax error hides nothing.
_DEFINES = re.compile(r"^(?:async[ \t]+)?(?:def|class)[ \t]+(\w+)", re.MULTILINE)


@dataclass
class Cell:
    """What is read of a submitted cell."""

    kind: str
    source: str
    grade_id: str | None = None
    cell_id: str | None = None
    claims_solution: bool = False
    long_run: bool = False
    pictures: dict[str, dict[str, str]] = field(default_factory=dict)
    lost: bool = False  # part of the text was no text
    pictures_lost: bool = False
    dropped: bool = False  # a copy of something released, with nothing of the student's in it

    def __post_init__(self) -> None:
        self.defines = frozenset(_DEFINES.findall(self.source)) if self.kind != "markdown" else frozenset()


def grade_id_of(cell: NotebookNode) -> str | None:
    """A released cell's grade id."""
    found = cell.metadata.get("nbgrader", {}).get("grade_id")
    return str(found) if found else None


def owners_of(
    cells: list[Cell], anchors: dict[str, NotebookNode], given: set[str], repairs: list[str]
) -> dict[int, str]:
    """Which submitted cell, by index, stands for which grade id.

    Args:
        cells: the submission's; a mere copy of a released cell is marked as dropped.
        anchors: the released cells with a grade id, in their order.
        given: texts of all released cells, stripped.
        repairs: gets a phrase for everything that had to be decided.
    """
    owners: dict[int, str] = {}
    _by_claim(cells, anchors, owners, repairs)
    _by_text(cells, anchors, owners, repairs)
    _by_definition(cells, anchors, owners, repairs)
    _by_cell_id(cells, anchors, owners, repairs)
    _by_place(cells, anchors, given, owners, repairs)
    for index, cell in enumerate(cells):
        # An unfinished copy below the worked one would define the exercise anew.
        anchor = anchors.get(cell.grade_id or "")
        if index not in owners and anchor is not None and cell.source.strip() == anchor.source.strip():
            cell.dropped = True
    return owners


def _by_claim(cells: list[Cell], anchors: dict[str, NotebookNode], owners: dict[int, str], repairs: list[str]) -> None:
    claims: dict[str, list[int]] = {}
    for index, cell in enumerate(cells):
        if cell.grade_id in anchors:
            claims.setdefault(cell.grade_id, []).append(index)
    for grade_id, indices in claims.items():
        anchor = anchors[grade_id]
        if anchor.metadata.nbgrader.solution:
            # Of several copies the one that was worked on counts: the last whose text differs from the released one.
            worked = [i for i in indices if cells[i].source.strip() not in ("", anchor.source.strip())]
            fitting = [i for i in worked if grade_id in cells[i].defines]
            chosen = (fitting or worked or indices)[-1]
            if not fitting and _swapped(grade_id, cells[chosen], cells, anchors):
                continue  # it holds another exercise's function, and this one's is elsewhere
        else:
            same = [i for i in indices if cells[i].source.strip() == anchor.source.strip()]
            chosen = (same or indices)[0]
        owners[chosen] = grade_id
        if len(indices) > 1:
            repairs.append(f"`{grade_id}` stood {len(indices)} times; one counts")


def _swapped(grade_id: str, claimant: Cell, cells: list[Cell], anchors: dict[str, NotebookNode]) -> bool:
    """Whether a cell that claims to be one exercise defines only others, while that exercise is defined elsewhere."""
    if grade_id in claimant.defines or not any(name in anchors for name in claimant.defines):
        return False
    return any(grade_id in cell.defines and cell.grade_id != grade_id for cell in cells)


def _by_text(cells: list[Cell], anchors: dict[str, NotebookNode], owners: dict[int, str], repairs: list[str]) -> None:
    """Locked cells are known by heart."""
    known = {a.source.strip(): g for g, a in anchors.items() if not a.metadata.nbgrader.solution}
    present = set(owners.values())
    for index, cell in enumerate(cells):
        grade_id = known.get(cell.source.strip()) if index not in owners else None
        if grade_id is None:
            continue
        if grade_id in present:
            cell.dropped = True
            continue
        owners[index] = grade_id
        present.add(grade_id)
        repairs.append(f"`{grade_id}` had lost its id; it was recognised by its text")


def _by_definition(
    cells: list[Cell], anchors: dict[str, NotebookNode], owners: dict[int, str], repairs: list[str]
) -> None:
    present = set(owners.values())
    defining: dict[str, list[int]] = {}
    for index, cell in enumerate(cells):
        if index not in owners and not cell.dropped:
            for name in cell.defines & anchors.keys() - present:
                defining.setdefault(name, []).append(index)
    for grade_id, anchor in anchors.items():
        if not anchor.metadata.nbgrader.solution or anchor.cell_type != "code":
            continue
        free = [i for i in defining.get(grade_id, []) if i not in owners]
        worked = [i for i in free if cells[i].source.strip() != anchor.source.strip()]
        if free:
            owners[(worked or free)[-1]] = grade_id
            repairs.append(f"the cell of `{grade_id}` had lost its id; it was recognised by what it defines")


def _by_cell_id(
    cells: list[Cell], anchors: dict[str, NotebookNode], owners: dict[int, str], repairs: list[str]
) -> None:
    """The notebook's own ids of cells survive where nbgrader's metadata was dropped."""
    present = set(owners.values())
    released = {anchor.get("id"): grade_id for grade_id, anchor in anchors.items() if anchor.get("id")}
    for index, cell in enumerate(cells):
        grade_id = released.get(cell.cell_id) if index not in owners and not cell.dropped else None
        if grade_id is not None and grade_id not in present and anchors[grade_id].metadata.nbgrader.solution:
            owners[index] = grade_id
            present.add(grade_id)
            repairs.append(f"`{grade_id}` had lost its id; it was recognised by its cell's")


def _by_place(
    cells: list[Cell],
    anchors: dict[str, NotebookNode],
    given: set[str],
    owners: dict[int, str],
    repairs: list[str],
) -> None:
    """Written answers: a text of the student's own between the cells that stand before and after the answer."""
    order = list(anchors)
    for number, grade_id in enumerate(order):
        anchor = anchors[grade_id]
        places = {name: index for index, name in owners.items()}
        if grade_id in places or anchor.cell_type != "markdown" or not anchor.metadata.nbgrader.solution:
            continue
        first = next((places[name] + 1 for name in reversed(order[:number]) if name in places), 0)
        last = next((places[name] for name in order[number + 1 :] if name in places), len(cells))
        near = [
            index
            for index in range(first, max(first, last))
            if index not in owners
            and cells[index].kind == "markdown"
            and (cells[index].source.strip() not in given or cells[index].source.strip() == anchor.source.strip())
        ]
        # A cell that still says it is an answer is one, wherever it stands.
        saying = [i for i, c in enumerate(cells) if i not in owners and c.kind == "markdown" and c.claims_solution]
        found = next(iter([i for i in near if i in saying] or near or saying), None)
        if found is not None:
            owners[found] = grade_id
            repairs.append(f"the answer `{grade_id}` had another id; it was recognised by its place")
