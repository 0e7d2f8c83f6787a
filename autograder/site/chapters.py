"""A chapter as a page: exercises show what a student starts from, solutions are folded, widgets live without a kernel."""

from __future__ import annotations

import html
import json
import re
from typing import Any

import nbformat
from nbformat import NotebookNode

from autograder.exercise import Explanation
from autograder.headless import VERDICT_TYPE
from autograder.notebooks import BuildError, definitions
from autograder.paths import Chapter
from autograder.site import widgets

WIDGET_STATE = "application/vnd.jupyter.widget-state+json"
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"


def stub(chapter: Chapter) -> dict[str, str]:
    """What students start from, by grade id: the cells of the committed notebook, which the build keeps in step.

    Raises:
        BuildError: the committed notebook lacks an exercise.
    """
    cells = nbformat.read(chapter.notebook, as_version=4).cells if chapter.notebook.is_file() else []
    tagged = [(cell.metadata.get("nbgrader", {}), cell.source) for cell in cells]
    found = {data["grade_id"]: source for data, source in tagged if data.get("solution")}
    if missing := [name for name in definitions(chapter) if name not in found]:
        raise BuildError(f"{chapter.notebook.name} lacks '{missing[0]}'; run `python3 start.py build` first.")
    return found


def page(chapter: Chapter, ran: NotebookNode, starts: dict[str, str]) -> NotebookNode:
    """The page of a chapter.

    Args:
        chapter: which.
        ran: its solved notebook with outputs.
        starts: grade id → what a student starts from.

    Returns:
        A notebook that myst-nb shows without running it.
    """
    states = ran.metadata.get("widgets", {}).get(WIDGET_STATE, {}).get("state", {})
    known = definitions(chapter)
    cells: list[NotebookNode] = []
    for cell in ran.cells:
        name = cell.metadata.get("nbgrader", {}).get("grade_id", "")
        if cell.metadata.get("nbgrader", {}).get("solution") and isinstance(known.get(name), Explanation):
            cells.append(_prose(cell.id, _folded("What a good answer says", cell.source)))
            continue
        if cell.cell_type == "markdown":
            cells.append(_prose(cell.id, cell.source))
            continue
        if name in starts:
            cells.append(_prose(f"{cell.id}-start", f"```python\n{starts[name].rstrip()}\n```"))
        cells.append(_code(cell, folded=name in starts or name.startswith("given_"), states=states))
    metadata = {"kernelspec": dict(ran.metadata.kernelspec), "language_info": {"name": "python"}}
    return nbformat.v4.new_notebook(cells=cells, metadata=metadata)


def _prose(cell_id: str, source: str) -> NotebookNode:
    cell = nbformat.v4.new_markdown_cell(_blank_lines_in_details(source))
    cell.id = cell_id[:64]
    return cell


def _folded(summary: str, source: str) -> str:
    return f"<details><summary>{html.escape(summary)}</summary>\n\n{source.strip()}\n\n</details>"


def _blank_lines_in_details(source: str) -> str:
    """Two folded hints that follow each other without a blank line would be one block of HTML."""
    return re.sub(r"^</details>\n(?=<details>)", "</details>\n\n", source, flags=re.MULTILINE)


def _code(cell: NotebookNode, folded: bool, states: dict[str, Any]) -> NotebookNode:
    outputs = [_without_kernel(output, states) for output in cell.outputs]
    metadata: dict[str, Any] = {"tags": list(cell.metadata.get("tags", []))}
    settings: dict[str, Any] = {}
    if folded:
        metadata["tags"].append("hide-input")
        given = cell.metadata.nbgrader.grade_id.startswith("given_")
        what = "the code that is given" if given else "a solution"
        settings |= {"code_prompt_show": f"Show {what}", "code_prompt_hide": f"Hide {what}"}
    alts = [output.get("metadata", {}).get("alt") for output in outputs]
    if alt := " ".join(dict.fromkeys(one for one in alts if one)):
        settings["image"] = {"alt": alt}
    if settings:
        metadata["mystnb"] = settings
    made = nbformat.v4.new_code_cell(cell.source, outputs=outputs, metadata=metadata)
    made.execution_count, made.id = cell.execution_count, cell.id
    return made


def _without_kernel(output: NotebookNode, states: dict[str, Any]) -> NotebookNode:
    """A widget's view needs a kernel's page; put the place where the site's own script starts it."""
    data = output.get("data", {})
    if VERDICT_TYPE in data:  # for programs
        return nbformat.from_dict({**output, "data": {key: data[key] for key in data if key != VERDICT_TYPE}})
    view = data.get(WIDGET_VIEW)
    if view is None:
        return output
    state = states.get(view["model_id"], {}).get("state", {})
    name = widgets.name_of(state)
    if name is None:
        return output  # someone else's widget: its text remains
    traits = {key: value for key, value in state.items() if not key.startswith("_") and key not in widgets.NOT_TRAITS}
    made: NotebookNode = nbformat.from_dict(dict(output))
    made["data"] = {"text/html": widgets.place(name, json.loads(json.dumps(traits)))}
    return made
