"""Grading a class: many grade, one writes, and whatever stops it loses nothing."""

import contextlib
import hashlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

import nbformat
import psutil
import pytest
from submissions import cell, hand_in, solved, with_mistake
from typer.testing import CliRunner

from autograder.cli import app
from autograder.grading import needed, records, work
from autograder.grading.classroom import Classroom, ClassroomError
from autograder.grading.crew import LocalCrew
from autograder.grading.records import Journal, Store
from autograder.grading.run import Run, Settings
from autograder.notebooks import exercises
from autograder.paths import chapter, chapters

CHAPTER = chapter("02")
CHECKED = [made.name for made in exercises(CHAPTER)]
FIRST, SECOND = CHECKED[:2]
LIMITS = {"cell_seconds": 6.0, "call_seconds": 3.0}
SLOW = "import time\ntime.sleep({seconds})\n"


# ---- a class ---------------------------------------------------------------------------------------------------------
def make_class(root: Path) -> Classroom:
    """Six submissions: right, wrong in two ways, unfinished, late, and one that is no notebook."""
    classroom = Classroom(root)
    classroom.release(CHAPTER, due=datetime(2026, 11, 1, 12))
    released = nbformat.read(classroom.root / "release" / CHAPTER.name / f"{CHAPTER.name}.ipynb", 4)
    hand_in(root, CHAPTER, "ada", solved(CHAPTER), "2026-11-01 11:59:00 UTC")
    hand_in(root, CHAPTER, "bob", with_mistake(CHAPTER, FIRST))
    hand_in(root, CHAPTER, "cyd", with_mistake(CHAPTER, SECOND))
    hand_in(root, CHAPTER, "dot", released)
    hand_in(root, CHAPTER, "eve", with_mistake(CHAPTER, FIRST), "2026-11-02 13:00:00 UTC")
    hand_in(root, CHAPTER, "fay", '{"cells": [')
    return classroom


@pytest.fixture(scope="module")
def released(tmp_path_factory) -> Path:
    """A class that nobody has graded."""
    return make_class(tmp_path_factory.mktemp("class") / "course").root


@pytest.fixture
def course(released, tmp_path) -> Classroom:
    """A copy of it."""
    root = tmp_path / "course"
    shutil.copytree(released, root)
    return Classroom(root)


@pytest.fixture(scope="module")
def graded(released, tmp_path_factory) -> Classroom:
    """The class, graded without a disturbance; not to be changed."""
    root = tmp_path_factory.mktemp("graded") / "course"
    shutil.copytree(released, root)
    classroom = Classroom(root)
    classroom.grade(CHAPTER, seed="secret", overrides=LIMITS, workers=2)
    return classroom


def slow_down(classroom: Classroom, seconds: float) -> None:
    """Give everyone's first cell something to wait for, so that there is time to kill the grader."""
    for path in (classroom.root / "submitted").glob("*/*/*.ipynb"):
        with contextlib.suppress(ValueError, nbformat.reader.NotJSONError):
            notebook = nbformat.read(path, 4)
            notebook.cells.insert(0, nbformat.v4.new_code_cell(SLOW.format(seconds=seconds)))
            nbformat.write(notebook, path)


def gradebook(classroom: Classroom) -> dict[str, list[tuple]]:
    """The gradebook row by row, without what is drawn at random (ids)."""
    queries = {
        "students": "select id from student",
        "submissions": """select a.name, s.student_id, s.timestamp, s.extension from submitted_assignment s
            join assignment a on a.id = s.assignment_id""",
        "notebooks": """select s.student_id, n.name, sn.late_submission_penalty from submitted_notebook sn
            join notebook n on n.id = sn.notebook_id join submitted_assignment s on s.id = sn.assignment_id""",
        "grades": """select s.student_id, c.name, g.auto_score, g.manual_score, g.extra_credit, g.needs_manual_grade
            from grade g join base_cell c on c.id = g.cell_id join submitted_notebook sn on sn.id = g.notebook_id
            join submitted_assignment s on s.id = sn.assignment_id""",
        "comments": """select s.student_id, c.name, k.auto_comment, k.manual_comment from comment k
            join base_cell c on c.id = k.cell_id join submitted_notebook sn on sn.id = k.notebook_id
            join submitted_assignment s on s.id = sn.assignment_id""",
    }
    with contextlib.closing(sqlite3.connect(classroom.root / "gradebook.db")) as book:
        return {name: sorted(book.execute(query).fetchall(), key=repr) for name, query in queries.items()}


def records_of(classroom: Classroom) -> dict[str, bytes]:
    """Every record's bytes, by student."""
    folder = classroom.root / "verdicts" / CHAPTER.name
    return {path.stem: path.read_bytes() for path in sorted(folder.glob("*.json"))}


def scores(classroom: Classroom) -> dict[str, float | None]:
    return {s: classroom.result(CHAPTER, s).score for s in classroom.submissions(CHAPTER)}


def command(classroom: Classroom, *more: str) -> list[str]:
    return [sys.executable, "-m", "autograder.cli", "grade", "02", "--course-dir", str(classroom.root), *more]


def started(classroom: Classroom, *more: str) -> subprocess.Popen:
    """``nnlm grade`` in a process and a session of its own."""
    return subprocess.Popen(
        command(classroom, *more),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def until(true, seconds: float = 60.0) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.01)


def resumed(classroom: Classroom) -> subprocess.CompletedProcess:
    return subprocess.run(command(classroom, "--resume"), capture_output=True, text=True, timeout=120)


# ---- work is a function of data --------------------------------------------------------------------------------------
def task(course: Classroom, student: str, **more) -> work.Task:
    path = course.root / "submitted" / student / CHAPTER.name / f"{CHAPTER.name}.ipynb"
    template = course.root / "release" / CHAPTER.name / f"{CHAPTER.name}.ipynb"
    return work.Task(student, CHAPTER.name, path.read_bytes(), template.read_bytes(), "seed", **more)


def test_a_task_and_its_outcome_survive_the_way_as_bytes(course):
    asked = task(course, "bob", exercise=FIRST)
    assert work.Task.from_bytes(asked.to_bytes()) == asked
    outcome = work.Outcome.from_bytes(work.answer(asked.to_bytes()))
    assert [verdict["exercise"] for verdict in outcome.verdicts] == [FIRST]
    assert not outcome.verdicts[0]["passed"]
    assert work.Outcome.from_bytes(outcome.to_bytes()) == outcome


def test_another_process_grades_alike(course):
    tasks = {student: task(course, student) for student in ("ada", "bob", "fay")}
    here = {student: work.grade(one) for student, one in tasks.items()}
    there = {}
    with LocalCrew(2) as crew:
        for student, one in tasks.items():
            crew.give(student, one.to_bytes())
        while len(there) < len(tasks):
            there.update({reply.key: work.Outcome.from_bytes(reply.data) for reply in crew.replies(1.0)})
    for student, outcome in here.items():
        assert outcome.verdicts == there[student].verdicts
        assert outcome.outputs == there[student].outputs
        assert (outcome.repairs, outcome.unreadable) == (there[student].repairs, there[student].unreadable)
    assert "not valid JSON" in here["fay"].unreadable


def test_a_worker_that_is_killed_is_replaced_and_its_task_done(course):
    with LocalCrew(1) as crew:
        crew.give("ada", task(course, "ada").to_bytes())
        until(lambda: crew.running()[0][1] > 0.2)
        crew._workers[0].process.kill()
        replies = []
        deadline = time.monotonic() + 90
        while not replies and time.monotonic() < deadline:
            replies = crew.replies(1.0)
    assert [reply.key for reply in replies] == ["ada"]
    assert all(verdict["passed"] for verdict in work.Outcome.from_bytes(replies[0].data).verdicts)


def test_a_task_that_ends_every_worker_is_given_up(monkeypatch):
    with LocalCrew(1) as crew:
        replies = []
        crew.give("mallory", b"this is no task: the worker ends")
        deadline = time.monotonic() + 120
        while not replies and time.monotonic() < deadline:
            replies = crew.replies(1.0)
        assert [(reply.key, reply.data) for reply in replies] == [("mallory", b"")]
        assert "ended the grading process 2 times" in replies[0].failed


# ---- what need not run -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("one", chapters(), ids=lambda c: c.name)
def test_cells_for_show_are_left_out_and_nothing_that_defines(one):
    released = nbformat.read(one.notebook, 4)
    notebook = solved(one)
    left_out = needed.unneeded(notebook, released, work.exercises_of(one.name))
    assert left_out
    assert not [p for p in left_out if notebook.cells[p].metadata.get("nbgrader", {}).get("grade_id")]
    first = next(p for p, c in enumerate(notebook.cells) if c.cell_type == "code")
    assert first not in left_out  # the imports


def test_leaving_out_cells_changes_no_verdict(course):
    for student in ("ada", "bob"):
        some = work.grade(task(course, student))
        every = work.grade(task(course, student, everything=True))
        assert some.verdicts == every.verdicts
        assert len(some.outputs) < len(every.outputs)


@pytest.mark.parametrize(
    ("source", "runs"),
    [
        ("figure = 1", False),  # as the course has it
        ("figure = 2", True),  # changed
    ],
)
def test_what_a_student_changed_runs(source, runs):
    def code(text):
        return nbformat.v4.new_code_cell(text)

    template = nbformat.v4.new_notebook(cells=[code("figure = 1")])
    notebook = nbformat.v4.new_notebook(cells=[code(source)])
    assert needed.unneeded(notebook, template, ["f"]) == (set() if runs else {0})


def test_dependencies_between_cells():
    sources = [
        "import numpy as np",
        "x = np.ones(3)",  # needed by the student's last cell
        "y = x + 1",  # bound again before anyone reads it
        "for y in range(3):\n    print(y)",
        "parts = []",
        "parts.append(1)",  # changes what the last cell reads
        "def helper():\n    return scale",
        "scale = 2",  # read when helper is called
        "print(x)",
    ]
    template = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(text) for text in sources])
    mine = nbformat.v4.new_code_cell("total = helper() + x.sum() + len(parts)")
    notebook = nbformat.v4.new_notebook(cells=[*template.cells, mine])
    assert needed.unneeded(notebook, template, []) == {2, 3, 8}
    sneaky = nbformat.v4.new_notebook(cells=[*template.cells, nbformat.v4.new_code_cell("globals()['y']")])
    assert needed.unneeded(sneaky, template, []) == set()
    magic = nbformat.v4.new_notebook(cells=[*template.cells, nbformat.v4.new_code_cell("%who")])
    assert needed.unneeded(magic, template, []) == set()


# ---- seeds -----------------------------------------------------------------------------------------------------------
def test_same_seed_same_bytes(course, graded):
    course.grade(CHAPTER, seed="secret", overrides=LIMITS, workers=1)
    assert records_of(course) == records_of(graded)
    assert gradebook(course) == gradebook(graded)


def test_an_unchanged_submission_keeps_its_seed_and_a_changed_one_gets_another(course):
    course.grade(CHAPTER, ["ada", "bob"], workers=1)
    first = {student: Store(course.root).load(CHAPTER.name, student) for student in ("ada", "bob")}
    hand_in(course.root, CHAPTER, "bob", solved(CHAPTER))
    course.grade(CHAPTER, ["ada", "bob"], again=True, workers=1)
    second = {student: Store(course.root).load(CHAPTER.name, student) for student in ("ada", "bob")}
    assert second["ada"] == first["ada"]
    assert second["bob"].seed != first["bob"].seed
    assert (first["bob"].attempt, second["bob"].attempt, second["ada"].attempt) == (1, 2, 1)
    assert course.result(CHAPTER, "bob").score == course.result(CHAPTER, "ada").score


def test_seeds_of_attempts_differ_also_from_one_secret():
    before = records.Record("ada", "02", "old", "full", "one")
    assert records.next_seed(None, "ada", "02", "one", "s") == (records.derived_seed("s", "ada", "02"), 1)
    assert records.next_seed(before, "ada", "02", "one") == ("old", 1)
    again, attempt = records.next_seed(before, "ada", "02", "two", "s")
    assert (again != records.derived_seed("s", "ada", "02"), attempt) == (True, 2)
    assert records.next_seed(before, "ada", "02", "two")[0] not in ("old", "")


# ---- one exercise ----------------------------------------------------------------------------------------------------
def test_one_exercise_is_graded_anew_and_nothing_else_changes(course):
    course.grade(CHAPTER, seed="secret", overrides=LIMITS, workers=2)
    with course.gradebook() as book:  # a person has looked at everything
        for submission in book.assignment_submissions(CHAPTER.name):
            for grade in submission.notebooks[0].grades:
                if grade.needs_manual_grade:
                    grade.manual_score, grade.needs_manual_grade = 2.0, False
        wrong = book.find_grade(f"check_{FIRST}", CHAPTER.name, CHAPTER.name, "ada")
        wrong.auto_score = 0.0  # and something has spoilt this one
        book.db.commit()
    before, old = gradebook(course), records_of(course)
    course.grade(CHAPTER, seed="another", exercise=FIRST, overrides=LIMITS)
    after, new = gradebook(course), records_of(course)
    changed = set(after["grades"]) ^ set(before["grades"])
    assert {row[:2] for row in changed} == {("ada", f"check_{FIRST}")}
    assert after["comments"] == before["comments"]
    for student in old:
        first, second = json.loads(old[student]), json.loads(new[student])
        assert first.pop("verdicts")[1:] == second["verdicts"][1:]
        assert second["seed"] == first["seed"]
        verdicts = second.pop("verdicts")
        assert first == second
        assert verdicts[0]["exercise"] == FIRST
        assert verdicts[0]["seed"] != verdicts[1]["seed"]
    notebook = nbformat.read(course.root / "autograded" / "ada" / CHAPTER.name / f"{CHAPTER.name}.ipynb", 4)
    assert "Right in all" in cell(notebook, f"check_{FIRST}").outputs[0].data["text/html"]


def test_one_exercise_needs_a_graded_submission(course):
    (result,) = course.grade(CHAPTER, ["ada"], exercise=FIRST)
    assert "has not been graded yet" in result.problem
    with pytest.raises(ClassroomError, match="has no exercise 'nothing'; it has threshold_unit, "):
        course.grade(CHAPTER, exercise="nothing")


# ---- stopped and resumed ---------------------------------------------------------------------------------------------
def family(pid: int) -> list[psutil.Process]:
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).children(recursive=True)
    return []


def kill_when(course: Classroom, true, *more: str, how: int = signal.SIGKILL) -> subprocess.Popen:
    """Start grading, kill it when something holds, and see that no process is left."""
    running = started(course, *more)
    try:
        until(lambda: true() or running.poll() is not None)
        mine = family(running.pid)
    finally:
        running.send_signal(how)
        running.wait(timeout=60)
    until(lambda: not [p for p in mine if p.is_running() and p.status() != psutil.STATUS_ZOMBIE], 30)
    return running


@pytest.mark.skipif(os.name == "nt", reason="kills as Unix does")
def test_killed_again_and_again_and_resumed_it_is_as_if_nothing_had_happened(course, graded):
    store, journal = Store(course.root), Journal(course.root, CHAPTER.name)
    options = ("--seed", "secret", "--workers", "2")
    kill_when(course, lambda: journal.settings_path.exists(), *options)  # nothing is graded yet
    kill_when(course, lambda: len(records_of(course)) >= 1, "--resume")
    kill_when(course, lambda: len(journal.done()) >= 2, "--resume")
    kill_when(course, lambda: len(records_of(course)) >= 5, "--resume")
    graded_before = records_of(course)
    done = resumed(course)
    assert done.returncode == 0, done.stderr
    assert gradebook(course) == gradebook(graded)
    assert records_of(course) == records_of(graded)
    assert graded_before.items() <= records_of(course).items()
    assert not list((store.folder / ".unwritten").rglob("*.json"))
    again = resumed(course)
    assert again.returncode == 1
    assert (
        again.stderr == f"There is no interrupted run of {CHAPTER.name} to resume; run `nnlm grade {CHAPTER.name}`.\n"
    )


def test_what_is_graded_and_not_written_is_written_without_executing(course, graded, monkeypatch):
    monkeypatch.setattr("autograder.grading.run.Run._write_next", stop_at_once)
    with pytest.raises(KeyboardInterrupt):
        course.grade(CHAPTER, seed="secret", overrides=LIMITS, workers=2)
    monkeypatch.undo()
    waiting = list((course.root / "verdicts" / ".unwritten").rglob("*.json"))
    assert waiting
    written = {path.stem for path in waiting}
    asked = []
    give = LocalCrew.give
    monkeypatch.setattr(LocalCrew, "give", lambda crew, key, data: asked.append(key) or give(crew, key, data))
    course.grade(CHAPTER, resume=True)
    assert not written & set(asked)
    assert len(asked) == len(set(asked)) == 6 - len(written)
    assert gradebook(course) == gradebook(graded)


def stop_at_once(*_, **__):
    raise KeyboardInterrupt


def test_a_half_written_submission_is_written_again(course, graded, monkeypatch):
    from autograder.grading import writer

    monkeypatch.setattr(writer._OpenGradebook, "commit", stop_at_once)
    with pytest.raises(KeyboardInterrupt):
        course.grade(CHAPTER, seed="secret", overrides=LIMITS, workers=1)
    monkeypatch.undo()
    assert (course.root / "autograded").exists()  # the notebook is there, the scores are not
    assert gradebook(course)["grades"] == []
    course.grade(CHAPTER, resume=True)
    assert gradebook(course) == gradebook(graded)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for another process")
def test_ctrl_c_says_how_to_go_on_and_leaves_no_process(course, graded):
    running = kill_when(
        course, lambda: len(records_of(course)) >= 1, "--seed", "secret", "--workers", "2", how=signal.SIGINT
    )
    said = running.stderr.read()
    if running.returncode != 0:  # it was not done before the signal came
        assert running.returncode == 130
        assert said == f"Stopped; nothing that is graded is lost. `nnlm grade {CHAPTER.name} --resume` goes on.\n"
        assert resumed(course).returncode == 0
    assert gradebook(course) == gradebook(graded)


def test_a_run_is_resumed_with_its_own_settings_only(course):
    done = CliRunner().invoke(app, ["grade", "02", "--resume", "--again", "--course-dir", str(course.root)])
    assert done.exit_code == 2
    assert "with its own settings" in done.output


def test_two_runs_of_a_chapter_at_a_time(course):
    if sys.platform == "win32":
        pytest.skip("no flock")
    with Journal(course.root, CHAPTER.name).alone() as alone:
        assert alone
        with pytest.raises(ClassroomError, match="Another `nnlm grade` of 02_perceptron is running"):
            course.grade(CHAPTER)


# ---- the gradebook ---------------------------------------------------------------------------------------------------
def lock(course: Classroom) -> sqlite3.Connection:
    connection = sqlite3.connect(course.root / "gradebook.db", isolation_level=None, check_same_thread=False)
    connection.execute("begin exclusive")
    return connection


def run_of(course: Classroom, **more) -> Run:
    return Run(course, CHAPTER, Settings(seed="secret", overrides=LIMITS), workers=2, **more)


def test_a_locked_gradebook_is_waited_for(course, graded):
    notes = []
    lock_held = lock(course)

    def watch(state):
        notes.append(state.note)
        if len(records_of(course)) == 6 and "waiting for the gradebook" in state.note:
            lock_held.close()

    results = run_of(course, watch=watch).go()
    assert all(result.score is not None for result in results)
    assert any("which another program has locked" in note for note in notes)
    assert gradebook(course) == gradebook(graded)


def test_a_gradebook_that_stays_locked_costs_no_verdict(course, graded):
    with contextlib.closing(lock(course)), pytest.raises(ClassroomError) as caught:
        run_of(course, patience=0.5).go()
    assert "another program has kept it locked" in str(caught.value)
    assert "6 graded submissions are kept" in str(caught.value)
    assert "`nnlm grade 02_perceptron --resume` writes them" in str(caught.value)
    assert records_of(course) == records_of(graded)
    course.grade(CHAPTER, resume=True)
    assert gradebook(course) == gradebook(graded)


def test_a_gradebook_that_is_gone_or_cannot_be_written(course, graded):
    book = course.root / "gradebook.db"
    book.rename(course.root / "elsewhere.db")
    with pytest.raises(ClassroomError, match=r"there is no .*gradebook\.db"):
        run_of(course).go()
    assert not book.exists()
    assert len(records_of(course)) == 6
    book.mkdir()
    with pytest.raises(ClassroomError, match="The gradebook cannot be written"):
        course.grade(CHAPTER, resume=True)
    book.rmdir()
    Classroom(course.root.parent / "other").create()
    sqlite3.connect(book).close()  # empty: another course's, as far as anybody knows
    with pytest.raises(ClassroomError, match="it does not know 02_perceptron"):
        course.grade(CHAPTER, resume=True)
    book.unlink()
    (course.root / "elsewhere.db").rename(book)
    course.grade(CHAPTER, resume=True)
    assert gradebook(course) == gradebook(graded)


def test_a_read_only_gradebook(course, graded):
    (course.root / "nbgrader_config.py").open("a").write(
        f'\nc.CourseDirectory.db_url = "sqlite:///file:{course.root}/gradebook.db?mode=ro&uri=true"\n'
    )
    with pytest.raises(ClassroomError, match="attempt to write a readonly database"):
        run_of(course).go()
    assert records_of(course) == records_of(graded)


# ---- level, device, what changes while it is graded ------------------------------------------------------------------
def test_unattended_grading_refuses_where_nothing_locks_student_code_in(course, monkeypatch):
    class Weak:
        level, why, device = "none", "jails need Linux", "cpu"

    monkeypatch.setattr("autograder.grading.judge.server", lambda *_: Weak())
    outcome = work.grade(task(course, "ada"))
    assert outcome.verdicts == []
    assert "Student code is not locked in on this machine (isolation 'none': jails need Linux)" in outcome.refused
    assert "--unsafe" in outcome.refused


def test_a_worker_with_another_version_refuses(course):
    outcome = work.grade(task(course, "ada", version="another"))
    assert "another version of the course" in outcome.refused
    assert work.grade(task(course, "ada", version=work.version())).refused == ""


def test_a_submission_that_is_replaced_meanwhile_is_graded_as_it_is_now(course):
    seen = []

    def watch(state):
        if not seen and state.running and state.running[0][0] == "bob":
            seen.append(hand_in(course.root, CHAPTER, "bob", solved(CHAPTER)))

    run = Run(course, CHAPTER, Settings(["bob"], overrides=LIMITS), workers=1, watch=watch)
    (result,) = run.go()
    assert seen
    assert result.score == course.grade(CHAPTER, ["ada"])[0].score
    record = Store(course.root).load(CHAPTER.name, "bob")
    assert record.submission == hashlib.sha256(seen[0].read_bytes()).hexdigest()


def test_progress_says_who_how_long_and_how_many(course):
    states = []
    slow_down(course, 0.4)
    Run(course, CHAPTER, Settings(["ada", "bob", "cyd"]), workers=2, watch=states.append).go()
    assert {student for state in states for student, _ in state.running} == {"ada", "bob", "cyd"}
    assert states[-1].done == states[-1].total == 3
    assert any(state.seconds_left for state in states)
    assert any("s)" in state.sentence() for state in states)


def test_a_slow_submission_holds_nobody_up(course):
    notebook = solved(CHAPTER)
    cell(notebook, FIRST).source = "while True: pass"
    hand_in(course.root, CHAPTER, "aaa", notebook)

    def watch(state):
        if state.done == 6 and "aaa" in dict(state.running):
            raise KeyboardInterrupt  # everyone else is done: nobody waits for the limit

    limits = {"cell_seconds": 300.0}
    with pytest.raises(KeyboardInterrupt):
        Run(course, CHAPTER, Settings(overrides=limits), workers=2, watch=watch).go()
