"""A chapter with its solutions filled in, run from top to bottom: what it prints, and what it leaves behind."""

from __future__ import annotations

import contextlib
import io
import warnings
from typing import Any

import matplotlib
import numpy as np
import torch

from autograder import notebooks
from autograder.paths import chapter


def run_solved(name: str) -> tuple[str, dict[str, Any]]:
    """Run every code cell but the checks; a warning is an error.

    Args:
        name: the chapter's file name without its ending.

    Returns:
        What was printed, and the names that are defined in the end.
    """
    matplotlib.use("Agg", force=True)
    import matplotlib.pyplot as plt

    solved = notebooks.without_markers(notebooks.instructor_notebook(chapter(name)))
    space: dict[str, Any] = {"__name__": "__main__"}
    heard = io.StringIO()
    options, threads = np.get_printoptions(), torch.get_num_threads()
    try:
        with contextlib.redirect_stdout(heard), warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.filterwarnings("ignore", message=".*non-interactive.*")
            for cell in solved.cells:
                if cell.cell_type == "code" and not cell.source.startswith("check("):
                    exec(compile(cell.source, cell.id, "exec"), space)
    finally:
        plt.close("all")
        np.set_printoptions(**options)
        torch.set_num_threads(threads)
    return heard.getvalue(), space
