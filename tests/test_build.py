"""The build: in step, the same to the byte, and every mistake of an author is said with file and line."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import nbformat
import numpy as np
import pytest

from autograder import bundle, frozen, notebooks
from autograder.exercise import Exercise, Explanation
from autograder.notebooks import BuildError, definitions, instructor_notebook, with_solution_regions
from autograder.paths import ROOT, Chapter, ChapterError, chapter, chapters

EVERY = chapters()


@pytest.fixture(scope="module")
def built() -> list[notebooks.Built]:
    return notebooks.build(EVERY)


def test_committed_files_are_in_step(built: list[notebooks.Built]) -> None:
    assert notebooks.out_of_step(built) == []


@pytest.mark.full  # the committed files were built by another run, and a build has just been compared with them
def test_two_builds_are_the_same_to_the_byte(built: list[notebooks.Built]) -> None:
    again = notebooks.build(EVERY)
    for first, second in zip(built, again, strict=True):
        assert first.student == second.student
        assert first.cases == second.cases
        assert nbformat.writes(first.instructor) == nbformat.writes(second.instructor)


@pytest.mark.parametrize("one", EVERY, ids=lambda c: c.name)
def test_a_student_notebook_is_valid_and_shows_no_solution(one: Chapter, built: list[notebooks.Built]) -> None:
    made = next(b for b in built if b.chapter == one)
    student = nbformat.reads(made.student, as_version=4)
    nbformat.validate(student)
    assert student.metadata.kernelspec.name == "python3"
    assert len({cell.id for cell in student.cells}) == len(student.cells)
    # A line that is shown on purpose as a pattern may be the answer elsewhere too (a step and the slope of a ReLU).
    sources = [with_solution_regions(d.reference) for d in definitions(one).values() if isinstance(d, Exercise)]
    shown = "\n".join(
        re.sub(r"### BEGIN SOLUTION\n.*?### END SOLUTION", "", source, flags=re.DOTALL) for source in sources
    )
    for name, definition in definitions(one).items():
        cell = next(c for c in student.cells if c.metadata.get("nbgrader", {}).get("grade_id") == name)
        if isinstance(definition, Exercise):
            assert "raise NotImplementedError()" in cell.source
            hidden = re.findall(
                r"### BEGIN SOLUTION\n(.*?)### END SOLUTION", with_solution_regions(definition.reference), re.DOTALL
            )
            assert hidden
            telling = [line.strip() for part in hidden for line in part.splitlines() if len(line.strip()) > 25]
            assert not [line for line in telling if line in made.student and line not in shown]
        else:
            assert cell.source == "YOUR ANSWER HERE"
            assert definition.answer[:60] not in made.student
    assert not any("BEGIN SOLUTION" in cell.source for cell in student.cells)


@pytest.mark.parametrize("one", EVERY, ids=lambda c: c.name)
def test_points_of_the_checks_are_those_of_the_definitions(one: Chapter) -> None:
    cells = [c.metadata.nbgrader for c in instructor_notebook(one).cells if c.metadata.get("nbgrader", {}).get("grade")]
    assert sum(c["points"] for c in cells) == sum(d.points for d in definitions(one).values())


@pytest.mark.parametrize("one", EVERY, ids=lambda c: c.name)
def test_a_chapter_keeps_to_the_lengths_that_readers_finish(one: Chapter) -> None:
    cells = notebooks.jupytext.read(one.source).cells
    words = [len(re.findall(r"\w+", cell.source)) for cell in cells if cell.cell_type == "markdown"]
    assert sum(words) <= 4_000
    assert len(cells) <= 62
    long = [c.source.splitlines()[0] for c in cells if c.cell_type == "code" and len(c.source.splitlines()) > 32]
    assert long == []


def test_every_exercise_has_mistakes_and_honest_variants() -> None:
    for name, made in notebooks.all_exercises().items():
        if made.points == 0:
            continue  # the orientation
        assert 2 <= len(made.mistakes) <= 6, name
        assert len(made.variants) >= 3, name


# ---- what an author gets wrong -----------------------------------------------------------------------------------------
HEADER = "# ---\n# jupyter:\n#   nnlm:\n#     title: T\n#     title_zh: T\n#     points: {points}\n# ---\n\n"


@pytest.fixture
def workshop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A tiny chapter 90_tiny outside the repository."""
    source = tmp_path / "source"
    source.mkdir()
    monkeypatch.setattr("autograder.paths.SOURCES", source)
    (tmp_path / "tiny_solutions.py").write_text(
        'def double(x: float) -> float:\n    """Twice x."""\n    return 2 * x\n'
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    for name in ("tiny_solutions", "autograder.exercises.tiny"):
        sys.modules.pop(name, None)
    from autograder import exercise

    for key in [key for key in exercise._DEFINED if key[0] == "autograder.exercises.tiny"]:
        del exercise._DEFINED[key]


EXERCISES = '''
import tiny_solutions as ref
from autograder.exercise import case, exercise

@exercise(ref.double, points=2)
def double(rng):
    """Double it."""
    yield case(x=1.5)
'''


def tiny(workshop: Path, script: str, exercises: str = EXERCISES) -> Chapter:
    import types

    path = workshop / "tiny.py"
    path.write_text(exercises)
    module = types.ModuleType("autograder.exercises.tiny")
    module.__file__ = str(path)
    sys.modules["autograder.exercises.tiny"] = module
    exec(compile(exercises, str(path), "exec"), vars(module))
    (workshop / "source" / "90_tiny.py").write_text(script)
    return Chapter("90_tiny")


GOOD = HEADER.format(points=2) + "# %%\n# exercise: double\n"


def test_a_tiny_chapter_builds(workshop: Path) -> None:
    cells = instructor_notebook(tiny(workshop, GOOD)).cells
    assert [cell.id for cell in cells] == ["double", "check_double"]
    assert cells[0].source == (
        'def double(x: float) -> float:\n    """Twice x."""\n    ### BEGIN SOLUTION\n    return 2 * x\n    ### END SOLUTION\n'
    )


@pytest.mark.parametrize(
    ("script", "sentence"),
    [
        (
            GOOD.replace("exercise: double", "exercise: duoble"),
            r"90_tiny\.py:10: there is no exercise called 'duoble'. Did you mean 'double'",
        ),
        (GOOD + "\n# %%\n# exercise: double\n", r"90_tiny\.py:13: 'double' stands twice in this chapter"),
        (
            GOOD.replace("points: 2", "points: 3"),
            r"90_tiny\.py:6: the header says 3 points, the exercises of 90_tiny add up to 2",
        ),
        (
            HEADER.format(points=2) + "# %%\nx = 1\n",
            r"tiny\.py:\d+: 'double' is defined but chapter 90_tiny never shows it",
        ),
        (GOOD + "y = 2\n", r"90_tiny\.py:10: 'exercise: double' must stand alone"),
        (
            GOOD + "\n# %%\n# given: nothing_at_all\n",
            r"90_tiny\.py:13: no module of solutions/ defines 'nothing_at_all'",
        ),
        (GOOD.replace("#     title_zh: T\n", ""), r"90_tiny\.py:1: the header lacks 'title_zh'"),
        (GOOD + "\n# %% [markdown]\n# explanation: why\n", r"90_tiny\.py:13: there is no explanation called 'why'"),
        (GOOD + "\n# %% [markdown]\n# # exercise: double\n", r"belongs in a code cell"),
    ],
)
def test_an_author_s_mistake_is_said_with_file_and_line(workshop: Path, script: str, sentence: str) -> None:
    with pytest.raises(BuildError, match=sentence):
        instructor_notebook(tiny(workshop, script))


@pytest.mark.parametrize("body", ["pass", "...", "### BEGIN SOLUTION\n    ### END SOLUTION\n    return 1"])
def test_an_empty_solution_region_is_refused(workshop: Path, body: str) -> None:
    (workshop / "tiny_solutions.py").write_text(f'def double(x: float) -> float:\n    """Twice x."""\n    {body}\n')
    with pytest.raises(BuildError, match=r"tiny_solutions\.py:1: .*solution region of 'double' is empty"):
        instructor_notebook(tiny(workshop, GOOD, EXERCISES.replace("yield case(x=1.5)", "yield case(x=1)")))


def test_a_class_hides_the_body_of_every_method() -> None:
    class Counter:
        """Counts."""

        def __init__(self, start: int) -> None:
            """Begin."""
            self.value = start

        def step(self) -> int:
            """One more."""
            self.value += 1
            return self.value

    source = with_solution_regions(Counter)
    assert source.count("### BEGIN SOLUTION") == 2
    assert source.index('"""Begin."""') < source.index("### BEGIN SOLUTION") < source.index("self.value = start")


def test_one_letter_of_a_solution_is_noticed_by_name(tmp_path: Path) -> None:
    """In a copy of the tree: a change that no visible file shows makes ``build --check`` fail and name the solution."""
    import shutil

    copy = tmp_path / "course"
    ignored = shutil.ignore_patterns(
        ".venv", ".git", "__pycache__", ".*_cache", "classroom", "*.egg-info", ".hypothesis"
    )
    shutil.copytree(ROOT, copy, ignore=ignored)
    path = copy / "solutions" / "perceptron.py"
    text = path.read_text()
    assert text.count("    step = int(y) - y_hat") == 1
    path.write_text(text.replace("    step = int(y) - y_hat", "    step = int(y)  - y_hat"))
    command = [
        sys.executable,
        "-P",
        "-c",
        "import sys; sys.path.insert(0, '.'); from autograder.cli import main; main()",
    ]
    run = subprocess.run([*command, "build", "02", "--check"], cwd=copy, capture_output=True, text=True)
    assert run.returncode == 1
    assert run.stdout == ""
    assert "solutions/perceptron.py: perceptron_update: out of step" in run.stderr
    path.write_text(text)
    run = subprocess.run([*command, "build", "02", "--check"], cwd=copy, capture_output=True, text=True)
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")


# ---- frozen cases and the bundle ---------------------------------------------------------------------------------------
def test_rounding_of_another_processor_is_in_step_and_a_change_is_not() -> None:
    """Trained numbers differ between processors by up to 1e-9 of the largest; what a check would notice is far larger."""
    numbers = np.random.default_rng(0).normal(size=(3, 4))
    largest = np.abs(numbers).max()
    assert frozen._alike(numbers, numbers + 1e-9 * largest)
    assert not frozen._alike(numbers, numbers + 1e-7 * largest)


def test_frozen_cases_hold_no_reference() -> None:
    for path in sorted((ROOT / "autograder" / "frozen").glob("*.cases")):
        sheets = frozen.thaw(path.read_bytes())
        assert sheets
        for sheet in sheets.values():
            for source in (sheet.probe, sheet.criterion):
                assert not source or "solutions" not in source


def test_a_bundle_holds_what_a_student_needs_and_nothing_that_gives_the_answers_away(tmp_path: Path) -> None:
    one = chapter("02")
    names = bundle.write_zip([one], tmp_path / "b.zip", "read me")
    assert bundle.write_zip([one], tmp_path / "c.zip", "read me") == names
    assert (tmp_path / "b.zip").read_bytes() == (tmp_path / "c.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "b.zip") as archive:
        archive.extractall(tmp_path / "out")
    root = tmp_path / "out" / "nnlm-course"
    assert {"start.py", "pyproject.toml", "constraints.txt", "course/02_perceptron.ipynb"} <= set(names)
    assert not [
        n
        for n in names
        if n.startswith(("solutions/", "tests/", "autograder/exercises/", "autograder/grading/", "course/source/"))
    ]
    text = "\n".join(
        p.read_text(encoding="utf-8") for p in root.rglob("*") if p.is_file() and p.suffix not in (".cases", ".png")
    )
    for made in definitions(one).values():
        if isinstance(made, Explanation):
            assert made.answer[:80] not in text
            continue
        for mistake in made.mistakes:
            assert mistake.source not in text
        hidden = re.findall(
            r"### BEGIN SOLUTION\n(.*?)### END SOLUTION", with_solution_regions(made.reference), re.DOTALL
        )
        for part in hidden:
            assert part.strip() not in text
    # And it works there: a check in a fresh interpreter that sees the bundle alone.
    code = (
        "import sys; sys.meta_path = [f for f in sys.meta_path if '__editable__' not in repr(f)]; sys.path.insert(0, '.')\n"
        "import numpy as np\nfrom autograder import check\nimport autograder; print(autograder.__file__)\n"
        "check('threshold_unit', lambda x, w, b: (x @ w + b > 0).astype(int))\n"
        "try:\n    import solutions\nexcept ImportError:\n    print('no solutions')\n"
    )
    run = subprocess.run([sys.executable, "-P", "-c", code], cwd=root, capture_output=True, text=True)
    assert str(root.resolve()) in run.stdout, run.stderr
    assert "✓ threshold_unit" in run.stdout
    assert "no solutions" in run.stdout


def test_chapters_are_found_by_number_slug_name_and_path() -> None:
    for key in ("2", "02", "perceptron", "02_perceptron", "course/02_perceptron.ipynb"):
        assert chapter(key).name == "02_perceptron"
    with pytest.raises(ChapterError, match="There is no chapter 'x'"):
        chapter("x")


def test_digests_are_json_with_a_line_for_every_solution() -> None:
    data = json.loads(notebooks.DIGESTS.read_text())
    assert set(data) == {c.name for c in EVERY}
    for one in EVERY:
        lines = set(data[one.name]) - {f"course/source/{one.name}.py"}
        assert {line.partition(": ")[2] for line in lines} == set(definitions(one))
        for line in lines:  # each names the file in which its function stands
            file, _, name = line.partition(": ")
            stands = rf'^(def {name}\(|class {name}\b)|explanation\(\s*"{name}"'
            assert re.search(stands, (ROOT / file).read_text(encoding="utf-8"), re.M), line
