"""A large class with hostile submissions, graded twice: once in peace, once killed five times at random moments and resumed.

Shows that every honest score is right, that both gradebooks and all verdicts are the same, that the grader's memory stays flat,
and that no process, mount, control group or file is left behind. Run it with ``python3 start.py bench hostile_class``;
``--students 200 --chapter 02 --kills 5 --json``. Exits with 1 when one of these does not hold.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat
import psutil

from autograder.exercise import Exercise, Explanation
from autograder.grading import demo
from autograder.grading.classroom import Classroom
from autograder.notebooks import definitions, instructor_notebook, without_markers
from autograder.paths import ROOT, Chapter, chapter

NAP = 3000 + os.getpid() / 1e7  # seconds that daemons of ours sleep
#: Every tenth submission begins with one of these.
HOSTILE = {
    "endless cell": "while True: pass",
    "ends the process": "import os\nos._exit(0)",
    "memory": "x = []\nwhile True: x.append(bytearray(2**24))",
    "memory of many": "import os\nfor _ in range(6): os.fork()\nx = bytearray(2**28)\nimport time\ntime.sleep(60)",
    "memory without a name": (
        "import os\nfds = []\nwhile True:\n    fds.append(os.memfd_create('x'))\n    os.write(fds[-1], bytes(2**25))"
    ),
    "forks": "import os\nwhile True: os.fork()",
    "threads": "import threading, time\nwhile True: threading.Thread(target=time.sleep, args=(60,)).start()",
    "output": "while True: print('x' * 10_000)",
    "disk": "i = 0\nwhile True:\n    i += 1\n    open(f'f{i}', 'wb').write(bytes(2**20))",
    "inodes": "i = 0\nwhile True:\n    i += 1\n    open(f'f{i}', 'w').close()",
    "a daemon": "import subprocess\nsubprocess.Popen(['sleep', 'NAP'], start_new_session=True)".replace(
        "NAP", str(NAP)
    ),
    "deaf": "import signal, time\nfor s in (1, 2, 3, 15): signal.signal(s, signal.SIG_IGN)\nwhile True: time.sleep(1)",
    "segmentation fault": "import ctypes\nctypes.string_at(0)",
    "forged frames": (
        "import os\nfor fd in range(3, 64):\n    try: os.write(fd, b'{\"returned\": 1}' * 100)\n    except OSError: pass"
    ),
    "kills everything": "import os, signal\nos.kill(-1, signal.SIGKILL)\nos.kill(os.getppid() or 1, signal.SIGKILL)",
    "deletes everything": "import shutil\nshutil.rmtree('/', ignore_errors=True)",
    "patches": "import numpy as np\nnp.allclose = np.array_equal = lambda *a, **k: True",
    "closes its socket": "import os\nos.closerange(3, 1000)",
    "a broken shell": "get_ipython().run_cell = get_ipython().input_transformers_post = None",
    "deep recursion": "import sys\nsys.setrecursionlimit(10**9)\ndef f(): f()\nf()",
}
LIMITS = {"cell_seconds": 4.0, "call_seconds": 2.0, "memory_mb": 512}


@dataclass
class Watch:
    """Looks at a process while it runs: its memory, and how much memory all of its descendants hold together."""

    pid: int
    own_mb: list[float] = field(default_factory=list)
    processes: int = 0

    def __post_init__(self) -> None:
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(self.pid)
            while not self._end.wait(0.5):
                self.own_mb.append(process.memory_info().rss / 2**20)
                self.processes = max(self.processes, len(process.children(recursive=True)))

    def stop(self) -> None:
        """Stop looking."""
        self._end.set()
        self._thread.join()


def make_class(root: Path, which: Chapter, students: int) -> dict[str, float | None]:
    """Hand in for everybody; returns what each should get by automatic checks, None where the attack may cost its author."""
    classroom = Classroom(root)
    classroom.release(which)
    config = (root / "nbgrader_config.py").read_text()
    limits = "".join(f"c.Judge.{name} = {value}\n" for name, value in LIMITS.items())
    (root / "nbgrader_config.py").write_text(config + "\n" + limits)
    known = definitions(which)
    checked = [made for made in known.values() if isinstance(made, Exercise)]
    written = sum(made.points for made in known.values() if isinstance(made, Explanation))
    right = without_markers(instructor_notebook(which))
    released = nbformat.read(root / "release" / which.name / f"{which.name}.ipynb", as_version=4)
    top = sum(made.points for made in known.values()) - written
    rng, expected = random.Random(0), {}
    wrong = [(made, mistake) for made in checked for mistake in made.mistakes]
    for number in range(students):
        name = f"student-{number:03d}"
        if number % 10 == 5:
            notebook = demo.copy(right)
            trick = list(HOSTILE.values())[number // 10 % len(HOSTILE)]
            notebook.cells.insert(0, nbformat.v4.new_code_cell(trick))
            expected[name] = None
        elif number % 7 == 3:
            notebook, expected[name] = released, 0.0
        elif number % 2:
            made, mistake = rng.choice(wrong)
            notebook = demo.with_source(right, made.name, demo.as_submission(mistake, made.name))
            expected[name] = demo.points_by_frozen_checks(notebook, known)
        else:
            notebook, expected[name] = right, top
        target = root / "submitted" / name / which.name / f"{which.name}.ipynb"
        target.parent.mkdir(parents=True)
        nbformat.write(notebook, target)
    return expected


def command(root: Path, which: Chapter, *more: str) -> list[str]:
    arguments = ["grade", which.name, "--course-dir", str(root), "--json", *more]
    return [sys.executable, "-P", "-m", "autograder.cli", *arguments]


def grade(
    root: Path, which: Chapter, temporary: Path, *more: str, kill_after: float | None = None
) -> tuple[int, str, Watch, float]:
    """Run ``nnlm grade``, perhaps for some seconds only; returns its status, what it said, what was seen, how long it took."""
    started = time.perf_counter()
    process = subprocess.Popen(
        command(root, which, *more),
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    watch = Watch(process.pid)
    try:
        said, _ = process.communicate(timeout=kill_after)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        said, _ = process.communicate()
    watch.stop()
    return process.returncode, said, watch, time.perf_counter() - started


def books(root: Path, which: Chapter) -> tuple[list[Any], dict[str, bytes]]:
    """The gradebook's scores, and every verdict's bytes."""
    query = """select s.student_id, c.name, g.auto_score, g.manual_score, g.needs_manual_grade from grade g
        join base_cell c on c.id = g.cell_id join submitted_notebook n on n.id = g.notebook_id
        join submitted_assignment s on s.id = n.assignment_id order by 1, 2"""
    with contextlib.closing(sqlite3.connect(root / "gradebook.db")) as book:
        rows = book.execute(query).fetchall()
    return rows, {path.stem: path.read_bytes() for path in (root / "verdicts" / which.name).glob("*.json")}


def abandoned_groups() -> list[str]:
    """Control groups of graders that are gone, in whatever group they ran."""
    found = []
    if Path("/sys/fs/cgroup").is_dir():
        for path in Path("/sys/fs/cgroup").rglob("nnlm-*"):
            pid = path.name.removeprefix("nnlm-")
            if pid.isdigit() and not psutil.pid_exists(int(pid)):
                found.append(str(path))
    return found


def left_behind(temporary: Path, groups_before: list[str]) -> dict[str, list[str]]:
    """What is left of graders whose folder for temporary files is ``temporary``: others may be at work on this machine."""
    groups = [group for group in abandoned_groups() if group not in groups_before]
    mounts = []
    with contextlib.suppress(OSError):
        mounts = [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if str(temporary) in line]
    files = sorted(str(path) for path in temporary.iterdir())
    running = []
    for process in psutil.process_iter(["pid", "cmdline"]):
        with contextlib.suppress(psutil.Error):
            line = " ".join(process.info["cmdline"] or [])
            ours = str(temporary) in line or process.environ().get("TMPDIR") == str(temporary)
            if ours or f"sleep {NAP}" in line:
                running.append(f"{process.info['pid']} {line[:100]}")
    return {"processes": running, "mounts": mounts, "groups": groups, "files": files}


def main() -> int:
    """Print what was found; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--students", type=int, default=200)
    parser.add_argument("--chapter", default="02")
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1, help="of the moments at which the grader is killed")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    which, rng, groups_before = chapter(options.chapter), random.Random(options.seed), abandoned_groups()
    with tempfile.TemporaryDirectory(prefix="nnlm-class-") as folder:
        temporary = Path(folder, "tmp")
        temporary.mkdir()
        calm, disturbed = Path(folder, "calm"), Path(folder, "disturbed")
        expected = make_class(calm, which, options.students)
        shutil.copytree(calm, disturbed)
        text = (disturbed / "nbgrader_config.py").read_text().replace(str(calm), str(disturbed))
        (disturbed / "nbgrader_config.py").write_text(text)
        status, said, watch, seconds = grade(calm, which, temporary, "--seed", "class")
        rows, verdicts = books(calm, which)
        kills = []
        arguments: tuple[str, ...] = ("--seed", "class")
        for _ in range(options.kills):
            moment = rng.uniform(3.0, max(4.0, 0.3 * seconds))
            code, _, _, lasted = grade(disturbed, which, temporary, *arguments, kill_after=moment)
            done = len(list((disturbed / "verdicts" / which.name).glob("*.json")))
            kills.append({"after_s": round(lasted, 2), "killed": code == -signal.SIGKILL, "verdicts": done})
            if (disturbed / "verdicts" / ".run" / f"{which.name}.json").exists():  # it had begun
                arguments = ("--resume",)
        last, said_last, _, _ = grade(disturbed, which, temporary, *arguments)
        rows_again, verdicts_again = books(disturbed, which)
        deadline = time.monotonic() + 30  # servers that lost their grader need a moment
        while any((left := left_behind(temporary, groups_before)).values()) and time.monotonic() < deadline:
            time.sleep(0.5)

    def honest(found: list[Any]) -> list[Any]:
        """Whether a hostile one is stopped by memory or by time may differ from run to run."""
        return [row for row in found if expected[row[0]] is not None]

    scores: dict[str, float] = {}
    for student, _, auto, *_ in rows:
        scores[student] = scores.get(student, 0.0) + (auto or 0.0)
    wrong = {
        name: {"expected": want, "score": scores.get(name)}
        for name, want in expected.items()
        if want is not None and abs(scores.get(name, -1.0) - want) > 1e-9
    }
    memory = [size for size in watch.own_mb if size] or [0.0]
    early = max(memory[: max(1, len(memory) // 4)])
    found = {
        "students": options.students,
        "exercises": sum(isinstance(made, Exercise) for made in definitions(which).values()),
        "hostile": sum(want is None for want in expected.values()),
        "seconds": round(seconds, 1),
        "honest_scores_wrong": wrong,
        "grader_mb_early": round(early, 1),
        "grader_mb_end": round(memory[-1], 1),
        "most_processes": watch.processes,
        "kills": kills,
        "gradebooks_equal": honest(rows) == honest(rows_again) and {r[:2] for r in rows} == {r[:2] for r in rows_again},
        "verdicts_equal": {k: v for k, v in verdicts.items() if expected[k] is not None}
        == {k: v for k, v in verdicts_again.items() if expected[k] is not None},
        "left_behind": left,
    }
    good = not wrong and found["gradebooks_equal"] and found["verdicts_equal"] and len(scores) == options.students
    good = good and not any(left.values()) and memory[-1] < 1.3 * early + 20
    if options.json:
        print(json.dumps({**found, "good": good}, indent=1))
    else:
        for name, value in found.items():
            print(f"{name:<36}{value}")
        print("All of it holds." if good else "NOT all of it holds.")
    if not good:
        print(said[-2000:], said_last[-2000:], f"exit status {status}, {last}", file=sys.stderr)
    return 0 if good else 1


if __name__ == "__main__":
    os.environ.setdefault("PYTHONWARNINGS", "ignore")
    sys.exit(main())
