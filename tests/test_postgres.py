"""The gradebook in PostgreSQL through one setting, on a temporary server of the test's own."""

import importlib.util
import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

import nbformat
import pytest
from submissions import hand_in, scores, solved, with_mistake
from typer.testing import CliRunner

from autograder.cli import app
from autograder.grading import report as reporting
from autograder.grading.classroom import Classroom
from autograder.paths import chapter

CHAPTER = chapter("02")
PASSWORD = "only-for-the-test"


def binaries() -> Path | None:
    """Where PostgreSQL's programs are; Debian keeps them off PATH."""
    found = shutil.which("initdb")
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    return Path(found).parent if found else versions[-1].parent if versions else None


def why_not() -> str:
    """What this machine lacks; empty when the tests can run."""
    if importlib.util.find_spec("psycopg2") is None:
        return "psycopg2 is not installed"
    if os.name == "nt" or binaries() is None:
        return "no PostgreSQL server programs on this machine"
    if os.geteuid() == 0:  # PostgreSQL refuses root
        import pwd

        try:
            pwd.getpwnam("postgres")
        except KeyError:
            return "run by root, and there is no user postgres to run the server"
    return ""


@pytest.fixture(scope="module")
def address():
    """A server's address on the loopback; it is gone afterwards."""
    if reason := why_not():
        pytest.skip(reason)
    folder = Path(tempfile.mkdtemp(prefix="nnlm-pg-"))
    user = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}
    (folder / "password").write_text(PASSWORD)
    if user:
        for path in (folder, folder / "password"):
            shutil.chown(path, "postgres", "postgres")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    def postgres(program: str, *arguments: str) -> None:
        command = [str(binaries() / program), "-D", str(folder / "data"), *arguments]
        done = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, timeout=60, **user)
        assert done.returncode == 0, done.stderr.decode()

    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync=off"
    try:
        postgres("initdb", "-U", "nnlm", "-E", "UTF8", "-A", "scram-sha-256", "-N", f"--pwfile={folder / 'password'}")
        postgres("pg_ctl", "-w", "-l", str(folder / "log"), "-o", options, "start")
        try:
            yield f"postgresql+psycopg2://nnlm:{PASSWORD}@127.0.0.1:{port}/postgres"
        finally:
            postgres("pg_ctl", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def a_class(root: Path) -> Classroom:
    """Three submissions, graded from the same secret."""
    classroom = Classroom(root)
    classroom.release(CHAPTER)
    hand_in(root, CHAPTER, "solved", solved(CHAPTER), "2026-11-01 11:59:00 UTC")
    hand_in(root, CHAPTER, "no-bias", with_mistake(CHAPTER, "threshold_unit", 4))
    hand_in(root, CHAPTER, "王芳", nbformat.read(root / "release" / CHAPTER.name / f"{CHAPTER.name}.ipynb", 4))
    classroom.grade(CHAPTER, seed="secret")
    return classroom


def test_postgresql_and_sqlite_keep_the_same_books(address, tmp_path, monkeypatch):
    books = {}
    for kind in ("sqlite", "postgresql"):
        if kind == "postgresql":
            monkeypatch.setenv("NNLM_DB_URL", address)
        classroom = a_class(tmp_path / kind)
        with classroom.gradebook() as book:
            assert book.engine.dialect.name == kind
            grade = book.find_grade("xor_no_line", CHAPTER.name, CHAPTER.name, "no-bias")
            grade.manual_score, grade.needs_manual_grade = 2.5, False
            book.db.commit()
        assert (tmp_path / kind / "gradebook.db").exists() == (kind == "sqlite")
        assert len(classroom.feedback(CHAPTER)) == 3
        report = reporting.collect(classroom, CHAPTER).to_data()
        for student in report["students"]:
            student.pop("seconds")
        books[kind] = (scores(classroom, CHAPTER), report)
    assert books["sqlite"] == books["postgresql"]
    assert books["sqlite"][0]["solved"] > books["sqlite"][0]["no-bias"] > books["sqlite"][0]["王芳"] == 0


def test_the_address_may_stand_in_the_courses_settings(address, tmp_path):
    classroom = Classroom(tmp_path)
    classroom.create()
    with (tmp_path / "nbgrader_config.py").open("a") as settings:
        settings.write(f'\nc.CourseDirectory.db_url = "{address}"\n')
    with classroom.gradebook() as book:
        book.update_or_create_student("from-settings")
    with classroom.gradebook() as book:
        assert book.engine.dialect.name == "postgresql"
        assert book.find_student("from-settings").id == "from-settings"


@pytest.mark.parametrize(
    "url",
    [f"postgresql+psycopg2://nnlm:{PASSWORD}@127.0.0.1:1/course", "postgresql+nothing://x", "not an address"],
    ids=["nobody answers", "no such driver", "no address"],
)
@pytest.mark.parametrize("command", ["release", "grade", "report", "feedback", "formgrader"])
def test_a_gradebook_out_of_reach_is_one_sentence(command, url, tmp_path, monkeypatch):
    if "psycopg2" in url and importlib.util.find_spec("psycopg2") is None:
        pytest.skip("psycopg2 is not installed")
    classroom = Classroom(tmp_path)
    classroom.create()
    (tmp_path / "release" / CHAPTER.name).mkdir(parents=True)
    for folder in ("release", "submitted/ada", "autograded/ada"):
        target = tmp_path / folder / CHAPTER.name / f"{CHAPTER.name}.ipynb"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text("{}")
    monkeypatch.setenv("NNLM_DB_URL", url)
    names = [] if command == "formgrader" else ["02"]
    done = CliRunner().invoke(app, [command, *names, "--course-dir", str(tmp_path)])
    assert done.exit_code == 1, done.output
    assert done.stderr.startswith("The gradebook cannot be opened (")
    assert done.stderr.count("\n") == 1
    assert PASSWORD not in done.output
