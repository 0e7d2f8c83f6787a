"""Grading through a real Dask scheduler with two workers on the loopback, one of which is killed."""

import contextlib
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import psutil
import pytest
from submissions import hand_in, solved, with_mistake
from typer.testing import CliRunner

from autograder.cli import app
from autograder.grading.classroom import Classroom, ClassroomError
from autograder.grading.records import Store
from autograder.grading.run import Run, Settings
from autograder.notebooks import exercises
from autograder.paths import ROOT, chapter

CHAPTER = chapter("02")
HERE = "127.0.0.1"
dask_needed = pytest.mark.skipif(importlib.util.find_spec("distributed") is None, reason="Dask is not installed")


def free_port() -> int:
    with socket.socket() as free:
        free.bind((HERE, 0))
        return int(free.getsockname()[1])


@contextlib.contextmanager
def dask(*arguments: str, **environment: str):
    """One of Dask's programs, ended with everything it started."""
    process = subprocess.Popen(
        [sys.executable, "-m", *arguments],
        cwd=environment.get("PYTHONPATH", ROOT),
        env={**os.environ, "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "10s", **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=10)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def a_worker(address: str, folder: Path, **environment: str):
    return dask(
        *("distributed.cli.dask_worker", address, "--nworkers", "1", "--nthreads", "1", "--no-nanny", "--no-dashboard"),
        *("--host", HERE, "--local-directory", str(folder)),
        **environment,
    )


@pytest.fixture(scope="module")
def scheduler():
    """A scheduler's address."""
    pytest.importorskip("distributed")
    port = free_port()
    command = ("distributed.cli.dask_scheduler", "--host", HERE, "--port", str(port), "--no-dashboard", "--no-show")
    with dask(*command) as process:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            assert process.poll() is None, "the scheduler ended"
            with contextlib.suppress(OSError), socket.create_connection((HERE, port), timeout=1):
                break
            time.sleep(0.1)
        yield f"tcp://{HERE}:{port}"


def make_class(root: Path, slow: float = 0.0) -> Classroom:
    classroom = Classroom(root)
    classroom.release(CHAPTER)
    checked = [made.name for made in exercises(CHAPTER)]
    for number in range(8):
        notebook = with_mistake(CHAPTER, checked[number % len(checked)]) if number % 2 else solved(CHAPTER)
        if slow:
            notebook.cells.insert(0, nbformat.v4.new_code_cell(f"import time\ntime.sleep({slow})"))
        hand_in(root, CHAPTER, f"s{number}", notebook)
    return classroom


def verdicts(classroom: Classroom) -> dict[str, list]:
    return {record.student: record.verdicts for record in Store(classroom.root).all(CHAPTER.name)}


@dask_needed
@pytest.mark.skipif(os.name == "nt", reason="kills as Unix does")
def test_a_class_on_two_workers_one_of_which_is_killed(scheduler, tmp_path):
    here, there = make_class(tmp_path / "here", 0.5), make_class(tmp_path / "there", 0.5)
    here.grade(CHAPTER, seed="secret", workers=2)
    killed, given = [], []
    with a_worker(scheduler, tmp_path / "w1") as first, a_worker(scheduler, tmp_path / "w2") as second:

        def watch(state):
            # In the middle of its work: something is done, and its sandbox has a child.
            if not killed and state.done >= 2 and len(psutil.Process(first.pid).children(recursive=True)) > 1:
                killed.append(state.done)
                first.kill()
                first.wait()

        run = Run(there, CHAPTER, Settings(seed="secret"), cluster=scheduler, watch=watch)
        keep = run.store.keep
        run.store.keep = lambda pending: given.append(pending.record.student) or keep(pending)
        results = run.go()
        assert second.poll() is None
    assert killed
    assert killed[0] < 8
    assert sorted(given) == [f"s{number}" for number in range(8)]  # nothing lost, nothing graded twice
    assert verdicts(there) == verdicts(here)
    assert [result.score for result in results] == [here.result(CHAPTER, r.student).score for r in results]
    assert not list((there.root / "verdicts" / ".unwritten").rglob("*.json"))


@dask_needed
def test_a_scheduler_without_workers_and_one_that_is_not_there(scheduler, tmp_path, monkeypatch):
    monkeypatch.setattr("autograder.grading.cluster.PATIENCE", 2.0)
    from autograder.grading.cluster import ClusterCrew

    with pytest.raises(ClassroomError, match="has no workers; start some"):
        ClusterCrew(scheduler, "run", patience=2.0)
    address = f"tcp://{HERE}:{free_port()}"
    with pytest.raises(ClassroomError, match=f"No Dask scheduler answers at {address}"):
        ClusterCrew(address, "run", patience=2.0)


@dask_needed
def test_workers_with_another_version_are_refused(scheduler, tmp_path):
    from autograder.grading.cluster import ClusterCrew

    other = tmp_path / "other"
    for folder in ("autograder", "solutions", "course"):
        shutil.copytree(ROOT / folder, other / folder)
    with (other / "solutions" / "perceptron.py").open("a") as file:
        file.write("# another version\n")
    refused = pytest.raises(ClassroomError, match=r"same version of the course .* has another version of it")
    with a_worker(scheduler, tmp_path / "w", PYTHONPATH=str(other)), refused:
        ClusterCrew(scheduler, "run")


def test_without_dask_a_sentence_says_what_to_install(tmp_path, monkeypatch):
    classroom = make_class(tmp_path / "course")
    monkeypatch.setitem(sys.modules, "distributed", None)
    done = CliRunner().invoke(
        app, ["grade", "02", "--cluster", "tcp://127.0.0.1:1", "--course-dir", str(classroom.root)]
    )
    assert done.exit_code == 1
    assert done.stderr == (
        "Grading on a cluster needs Dask; install it with `pip install -e '.[cluster]'`, here and on every worker.\n"
    )
