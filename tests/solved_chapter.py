"""A chapter with its solutions filled in, run from top to bottom: what it prints, and what it leaves behind."""

from __future__ import annotations

import contextlib
import io
import tempfile
import warnings
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
import torch

from autograder import notebooks, progress
from autograder.paths import chapter


def run_solved(name: str) -> tuple[str, dict[str, Any]]:
    """Run every code cell, the checks too; a warning is an error, and so is a check that does not pass.

    Args:
        name: the chapter's file name without its ending.

    Returns:
        What was printed, and the names that are defined in the end.
    """
    matplotlib.use("Agg", force=True)
    import matplotlib.pyplot as plt

    solved = notebooks.without_markers(notebooks.instructor_notebook(chapter(name)))
    space: dict[str, Any] = {"__name__": "__main__"}
    heard, complaints = io.StringIO(), io.StringIO()
    options, threads = np.get_printoptions(), torch.get_num_threads()
    try:
        with (
            tempfile.TemporaryDirectory() as folder,
            pytest.MonkeyPatch.context() as patch,
            contextlib.redirect_stdout(heard),
            contextlib.redirect_stderr(complaints),
            warnings.catch_warnings(),
        ):
            patch.setattr(progress, "FILE", Path(folder) / "progress.json")  # it is no user who passes these checks
            warnings.simplefilter("error")
            warnings.filterwarnings("ignore", message=".*non-interactive.*")
            for cell in solved.cells:
                if cell.cell_type == "code":
                    exec(compile(cell.source, cell.id, "exec", dont_inherit=True), space)
    finally:
        plt.close("all")
        np.set_printoptions(**options)
        torch.set_num_threads(threads)
    assert complaints.getvalue() == ""
    return heard.getvalue(), space
