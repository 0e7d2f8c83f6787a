"""Chapter 00: its two exercises, the bug that is planted in it, and the choice of a device."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from autograder import notebooks
from autograder.cells import CHECK_PREFIX
from autograder.checking import verdict_of
from autograder.exercises import start_here
from autograder.headless import check_notebook
from autograder.paths import chapter
from course.kit import devices
from solutions.start_here import row_means, scale_and_shift

EXERCISES = [start_here.scale_and_shift, start_here.row_means]
CHAPTER = chapter("00")


def nested_means(x):
    return [sum(map(float, row)) / len(row) for row in x]


@pytest.mark.parametrize("seed", range(5))
def test_references_against_plain_python(seed):
    rng = np.random.default_rng(seed)
    x, (factor, shift) = rng.normal(size=(5, 3)), rng.normal(size=2)
    np.testing.assert_allclose(row_means(x), nested_means(x), rtol=1e-14)
    expected = [[factor * value + shift for value in row] for row in x]
    np.testing.assert_allclose(scale_and_shift(x, factor, shift), expected, rtol=1e-14)


def test_numbers_of_the_text():
    celsius = np.array([-40.0, 0.0, 37.0, 100.0])
    np.testing.assert_allclose(scale_and_shift(celsius, 1.8, 32.0), [-40.0, 32.0, 98.6, 212.0])
    np.testing.assert_array_equal(row_means(np.array([[1.0, 2.0, 6.0], [4.0, 4.0, 4.0]])), [3.0, 4.0])


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda e: e.name)
def test_variants_pass_and_mistakes_are_named(exercise):
    sheet = exercise.sheet("a fresh seed")
    for honest in (exercise.reference, *exercise.variants):
        assert verdict_of(sheet, honest).passed, honest.__name__
    for mistake in exercise.mistakes:
        verdict = verdict_of(sheet, mistake.implementation)
        assert (verdict.passed, verdict.misconception) == (False, mistake.name)


def test_nothing_here_counts():
    assert sum(exercise.points for exercise in EXERCISES) == 0


def test_the_planted_bug_is_recognised_and_named():
    def hasty_row_means(x):
        return x.mean(axis=0)

    verdict = verdict_of(start_here.row_means.sheet("frozen:row_means"), hasty_row_means)
    assert verdict.misconception == "column_means"
    assert [label for label, _ in verdict.evidence] == ["found", "called", "returned", "expected"]  # as the table says


def test_the_planted_cell_lets_run_all_go_on():
    cells = notebooks.instructor_notebook(CHAPTER).cells
    (planted,) = [cell for cell in cells if "def hasty_row_means" in cell.source]
    assert planted.metadata.tags == ["raises-exception"]
    after = [cell.metadata.get("nbgrader", {}).get("grade_id") for cell in cells[cells.index(planted) :]]
    assert CHECK_PREFIX + "row_means" in after  # the last check of a name counts


def test_the_solved_chapter_passes_headless(tmp_path):
    import nbformat

    path = tmp_path / "solved.ipynb"
    nbformat.write(notebooks.without_markers(notebooks.instructor_notebook(CHAPTER)), path)
    report = check_notebook(path)
    assert (report.passed, report.failed, report.not_reached, report.left_out) == (2, 0, 0, [])


# ---- devices ---------------------------------------------------------------------------------------------------------
def test_cpu_on_request(capsys):
    assert devices.pick_device("cpu") == torch.device("cpu")
    assert capsys.readouterr().out == "Computing on the CPU (as you wish).\n"


def test_cpu_where_there_is_no_gpu(monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert devices.pick_device() == devices.pick_device("cuda") == torch.device("cpu")
    assert "PyTorch sees no CUDA GPU" in capsys.readouterr().out


def test_gpu_where_there_is_one(monkeypatch, capsys):
    monkeypatch.setattr(devices, "_no_gpu", lambda: "")
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: "Some GPU")
    assert devices.pick_device() == torch.device("cuda")
    assert capsys.readouterr().out == "Computing on the GPU, Some GPU.\n"


def test_a_gpu_that_does_not_work_is_left_alone(monkeypatch, capsys):
    def broken(*_, **__):
        raise RuntimeError("CUDA error: no kernel image is available\nmore")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch, "ones", broken)
    assert devices.pick_device() == torch.device("cpu")
    assert "no kernel image is available)" in capsys.readouterr().out


def test_other_names_are_refused():
    with pytest.raises(ValueError, match="tpu"):
        devices.pick_device("tpu")
