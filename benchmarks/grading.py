"""One class, graded by stock nbgrader and by us: seconds a submission, scores, memory.

``python3 start.py bench grading --json``; ``--students N`` (60 by default), ``--chapter 03``, ``--workers N`` (as many as there
are processors), ``--stock N`` (stock nbgrader grades the first N only; by default all).

Both get the same files. Stock is nbgrader's own ``autograde`` command with its own settings, as an instructor runs it, and ours
is ``nnlm grade``; both are timed from the start of the process to its end. Stock is run in two halves around ours, so that a
machine that gets slower or faster meanwhile does not favour either. The course's own cells that a student left unchanged and
that nothing depends on are not run again by ours; ``ratio_running_every_cell`` is the figure with ``c.Judge.everything = True``.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nbformat

from autograder.grading import demo, judge
from autograder.grading.classroom import Classroom
from autograder.grading.records import Store
from autograder.notebooks import exercises, instructor_notebook, without_markers
from autograder.paths import Chapter, chapter
from autograder.sandbox.isolation import Limits

STOCK_SETTINGS = """from pathlib import Path

c = get_config()
c.CourseDirectory.root = str(Path(__file__).parent)
c.CourseDirectory.course_id = "stock"
"""


def make_class(one: Chapter, students: int) -> dict[str, str]:
    """Notebooks by student: of four, two are solved, one has a known mistake, one is not finished."""
    solved = without_markers(instructor_notebook(one))
    released = nbformat.read(one.notebook, as_version=4)
    checked = [made for made in exercises(one) if made.mistakes]
    made = {}
    for number in range(students):
        kind = number % 4
        notebook = solved
        if kind == 1:
            wrong = checked[number // 4 % len(checked)]
            mistake = wrong.mistakes[number // 4 % len(wrong.mistakes)]
            notebook = demo.with_source(solved, wrong.name, demo.as_submission(mistake, wrong.name))
        elif kind == 3:  # the second half of the exercises is as it was released
            for unfinished in checked[len(checked) // 2 :]:
                notebook = demo.with_source(notebook, unfinished.name, demo.source(released, unfinished.name))
        made[f"s{number:03d}"] = nbformat.writes(notebook)
    return made


def hand_in(root: Path, one: Chapter, notebooks: dict[str, str]) -> None:
    for student, text in notebooks.items():
        folder = root / "submitted" / student / one.name
        folder.mkdir(parents=True)
        (folder / f"{one.name}.ipynb").write_text(text, encoding="utf-8")


def timed(command: list[str], root: Path) -> float:
    """Seconds that a command takes from its start to its end."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    started = time.perf_counter()
    done = subprocess.run(command, cwd=root, env={**os.environ, "PATH": path}, capture_output=True, text=True)
    seconds = time.perf_counter() - started
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr}")
    return seconds


def stock_course(root: Path, one: Chapter) -> None:
    """A course that knows nothing of ours."""
    root.mkdir()
    (root / "nbgrader_config.py").write_text(STOCK_SETTINGS, encoding="utf-8")
    source = root / "source" / one.name / f"{one.name}.ipynb"
    source.parent.mkdir(parents=True)
    nbformat.write(instructor_notebook(one), source)
    timed([sys.executable, "-m", "nbgrader", "generate_assignment", one.name], root)


def stock_seconds(root: Path, one: Chapter, notebooks: dict[str, str]) -> float:
    """Hand in and grade with nbgrader's own command."""
    hand_in(root, one, notebooks)
    return timed([sys.executable, "-m", "nbgrader", "autograde", one.name], root)


def our_seconds(root: Path, one: Chapter, workers: int) -> float:
    """Grade with ``nnlm grade``."""
    command = [sys.executable, "-m", "autograder.cli", "grade", one.name, "--course-dir", str(root)]
    return timed([*command, "--workers", str(workers), "--json"], root)


def automatic_scores(root: Path) -> dict[str, float]:
    """Automatic points by student, from the gradebook."""
    query = """select s.student_id, sum(coalesce(g.auto_score, 0)) from grade g
        join submitted_notebook n on n.id = g.notebook_id join submitted_assignment s on s.id = n.assignment_id
        group by s.student_id"""
    with contextlib.closing(sqlite3.connect(root / "gradebook.db")) as book:
        return dict(book.execute(query))


def child_memory_mb(one: Chapter) -> float:
    """Memory that a child has for itself after it has run the solved chapter (USS, in MB of 2²⁰ bytes)."""
    import psutil

    server = judge.server()
    with server.open(Limits()) as session:
        for cell in without_markers(instructor_notebook(one)).cells:
            if (
                cell.cell_type == "code"
                and judge.check_of(cell) is None
                and "long-run" not in cell.metadata.get("tags", [])
            ):
                session.run_cell(cell.source)
        family = [process for process in psutil.Process(server.process.pid).children(recursive=True)]
        memory = sum(process.memory_full_info().uss for process in family if process.is_running())
    judge.close_server()
    return memory / 2**20


def main() -> None:
    """Grade, compare, print; exit 1 when a score differs."""
    parser = argparse.ArgumentParser(prog="bench grading", description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--students", type=int, default=120)
    parser.add_argument("--chapter", default="03")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--stock", type=int, default=0, help="how many of them stock nbgrader grades; 0: all")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    one = chapter(asked.chapter)
    notebooks = make_class(one, asked.students)
    names = list(notebooks)[: asked.stock or asked.students]
    halves = [names[: len(names) // 2], names[len(names) // 2 :]]
    with tempfile.TemporaryDirectory() as folder:
        roots = {name: Path(folder, name) for name in ("stock", "stock-2", "ours", "one", "everything")}
        stock, ours = 0.0, {}
        for which, half in zip(("stock", "stock-2"), halves, strict=True):
            if which == "stock-2":
                for name, workers in (("ours", asked.workers), ("one", 1), ("everything", asked.workers)):
                    classroom = Classroom(roots[name])
                    classroom.release(one)
                    if name == "everything":
                        with (roots[name] / "nbgrader_config.py").open("a", encoding="utf-8") as settings:
                            settings.write("\nc.Judge.everything = True\n")
                    hand_in(roots[name], one, notebooks)
                    ours[name] = our_seconds(roots[name], one, workers)
            if half:
                stock_course(roots[which], one)
                stock += stock_seconds(roots[which], one, {student: notebooks[student] for student in half})
        theirs = {
            s: p
            for name in ("stock", "stock-2")
            if roots[name].exists()
            for s, p in automatic_scores(roots[name]).items()
        }
        points = automatic_scores(roots["ours"])
        again, whole = automatic_scores(roots["one"]), automatic_scores(roots["everything"])
        levels = sorted({record.isolation for record in Store(roots["ours"]).all(one.name)})
        few = {student: notebooks[student] for student in list(notebooks)[:1]}
        start_up = start_up_seconds(Path(folder, "few"), one, few, asked.workers)
    differing = {
        s: [theirs[s], points.get(s), again.get(s), whole.get(s)]
        for s in theirs
        if not theirs[s] == points.get(s) == again.get(s) == whole.get(s)
    }
    a_stock, a_ours, a_one = stock / len(names), ours["ours"] / asked.students, ours["one"] / asked.students
    result = {
        "chapter": one.name,
        "students": asked.students,
        "workers": asked.workers,
        "processors": os.cpu_count(),
        "isolation": ", ".join(levels),
        "stock_students": len(names),
        "stock_s_per_submission": round(a_stock, 4),
        "ours_s_per_submission": round(a_ours, 4),
        "ours_one_worker_s_per_submission": round(a_one, 4),
        "ratio": round(a_stock / a_ours, 2),
        "ratio_one_worker": round(a_stock / a_one, 2),
        "ratio_running_every_cell": round(a_stock * asked.students / ours["everything"], 2),
        "start_up_s": round(start_up, 3),
        "ours_s_per_submission_without_start_up": round((ours["ours"] - start_up) / max(1, asked.students - 1), 4),
        "memory_mb_per_child": round(child_memory_mb(one), 1),
        "scores_equal": not differing,
        "differing": differing,
    }
    if asked.json:
        print(json.dumps(result, indent=1))
    else:
        for key, value in result.items():
            print(f"{key:<42}{value}")
    raise SystemExit(1 if differing else 0)


def start_up_seconds(root: Path, one: Chapter, notebooks: dict[str, str], workers: int) -> float:
    """Seconds for a class of one: what does not grow with the class, and one submission."""
    Classroom(root).release(one)
    hand_in(root, one, notebooks)
    return our_seconds(root, one, workers)


if __name__ == "__main__":
    main()
