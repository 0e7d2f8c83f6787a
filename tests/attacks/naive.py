"""Graders without protection: what an attack is worth where student code and tests share a process, a folder, a machine.

Each is written as graders commonly are. A test shows on them that an attack of the corpus does what it says, in a throw-away
process of its own. Run as a script: jobs as JSON on standard input, a line of JSON for each on standard output.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
import unittest
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

X = np.array([[1.0, 2.0], [0.5, -1.0], [-2.0, 0.25], [3.0, 1.0], [-1.0, -1.0]])
W, B = np.array([1.0, 0.5]), -0.5
FIRST = "threshold_unit"


def reference(x: np.ndarray, w: np.ndarray, b: float) -> np.ndarray:
    """The right answer."""
    return np.asarray(x @ w + b > 0).astype(int)


class ThresholdTests(unittest.TestCase):
    """Here before any student code runs, as a grader's own classes are."""

    student: Any = None

    def test_threshold_unit(self) -> None:
        """One case."""
        self.assertEqual(list(type(self).student(X.copy(), W.copy(), B)), list(reference(X, W, B)))  # noqa: PT009


class Notebook:
    """Student cells in a shell of this process."""

    def __init__(self, job: dict[str, Any]) -> None:
        from IPython.core.interactiveshell import InteractiveShell

        self.job, self.shell = job, InteractiveShell.instance()
        self.shell.user_ns["np"] = np
        if job["mode"] == "global":
            self.shell.user_ns["expected"] = reference(X, W, B)
        self.run(job["front"])
        self.run(job["cell"])

    def run(self, source: str) -> bool:
        """Whether a cell succeeded, as the shell says."""
        return not source or bool(self.shell.run_cell(source).success)

    @property
    def student(self) -> Any:
        """The student's function."""
        return self.shell.user_ns.get(FIRST)

    def cell(self, source: str) -> bool:
        """Whether a check passes in the notebook's own names."""
        names = {"X": X.copy(), "W": W.copy(), "B": B, "E": reference(X, W, B)}
        self.shell.user_ns.update(names)
        try:
            exec(compile(source, "<check>", "exec"), self.shell.user_ns)
        except BaseException as error:
            print("check failed:", type(error).__name__, str(error)[:200])
            return False
        return True


GOT = f"got = {FIRST}(X, W, B)\n"
CELLS = {
    "allclose": (
        f"{GOT}from numpy import testing\ntesting.assert_allclose(got, E)",
        f"{GOT}assert np.allclose(got, E)",
        f"{GOT}assert np.array_equal(got, E)",
    ),
    "equal": (f"{GOT}assert got == E.tolist()", f"{GOT}assert (got == E).all()"),
    "torch": (f"{GOT}import torch\nassert torch.allclose(got, torch.as_tensor(E))",),
    "shape": (f"{GOT}assert got.shape == E.shape\nassert got.dtype == E.dtype\nassert (got == E).all()",),
    "builtins": (f"{GOT}assert all(abs(a - b) < 1e-9 for a, b in zip(got, E))",),
    "tolerance": (f"{GOT}assert not (np.abs(got - E) > 1e-6).any()",),
    "global": (f"{GOT}assert (got == E).all()",),
    "reads": (f"{GOT}assert (got == E).all()",),
    "clock": (
        f"import time\nstart = time.perf_counter()\n{GOT}assert time.perf_counter() - start < 0.2\nassert (got == E).all()",
    ),
}


def in_the_shell(notebook: Notebook) -> bool:
    """nbgrader's way: the check is a cell like any other."""
    return notebook.run(f"assert list({FIRST}(np.ones((2, 2)), np.ones(2), 0.0)) == [1, 1]")


def by_unittest(notebook: Notebook) -> bool:
    """A test suite, or doctest, in the same process."""
    import doctest

    ThresholdTests.student = staticmethod(notebook.student)
    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(ThresholdTests).run(result)
    test = doctest.DocTestParser().get_doctest(">>> int(f())\n1\n", {"f": lambda: 0}, "t", None, 0)
    return result.wasSuccessful() and doctest.DocTestRunner().run(test).failed == 0


def by_methods(notebook: Notebook) -> bool:
    """The methods of a test class, called one by one."""
    ThresholdTests.student = staticmethod(notebook.student)
    try:
        ThresholdTests("test_threshold_unit").test_threshold_unit()
    except AssertionError:
        return False
    return True


def from_a_function(notebook: Notebook) -> bool:
    """Expected values lie in the frames around the call."""
    expected = reference(X, W, B)
    table = {"expected": [expected], "token": notebook.job["token"]}
    got = notebook.student(X.copy(), W.copy(), B)
    return bool(np.array_equal(got, table["expected"][0]))


def with_a_live_reference(notebook: Notebook) -> bool:
    """The reference runs beside the student's function."""
    right = False
    for x in (X, X[::-1]):
        for _ in range(2):
            expected = reference(x, W, B)
            right = bool(np.array_equal(notebook.student(x.copy(), W.copy(), B), expected))
    return right


def on_shared_inputs(notebook: Notebook) -> bool:
    """The reference is asked after the student, with the same arrays."""
    x, w = X.copy(), W.copy()
    got = notebook.student(x, w, B)
    return bool(np.array_equal(got, reference(x, w, B)))


def on_a_table(notebook: Notebook) -> bool:
    """Inputs and expected values lie in one table."""
    table = np.concatenate([X.ravel(), reference(X, W, B)])
    got = notebook.student(table[: X.size].reshape(X.shape), W.copy(), B)
    return bool(np.array_equal(np.array(got), reference(X, W, B)))


def with_drawn_cases(notebook: Notebook) -> bool:
    """Cases are drawn in the student's process."""
    rng = np.random.default_rng()
    x, w = rng.normal(size=(6, 3)), rng.normal(size=3)
    return bool(np.array_equal(notebook.student(x, w, -0.25), reference(x, w, -0.25)))


def once(notebook: Notebook) -> bool:
    """One case, one process."""
    return bool(np.array_equal(notebook.student(X.copy(), W.copy(), B), reference(X, W, B)))


def on_visible_cases(notebook: Notebook) -> bool:
    """The cases that students can see."""
    from autograder import frozen
    from autograder.checking import verdict_of

    return verdict_of(frozen.find(FIRST), notebook.student).passed


def nothing(notebook: Notebook) -> bool:
    """Runs the notebook and looks at nothing; what gets out is looked at from outside."""
    notebook.run(notebook.job["back"])
    return False


def hidden(notebook: Notebook) -> bool:
    """A hidden value lies in the frame around the call."""
    secret = notebook.job["token"]
    with contextlib.suppress(Exception):
        notebook.student(X.copy(), W.copy(), B)
    notebook.run(notebook.job["back"])
    return not secret


IN_PROCESS: dict[str, Callable[[Notebook], bool]] = {
    "shell": in_the_shell,
    "unittest": by_unittest,
    "testclass": by_methods,
    "frames": from_a_function,
    "traced": with_a_live_reference,
    "mutated": on_shared_inputs,
    "buffer": on_a_table,
    "seeded": with_drawn_cases,
    "once": once,
    "visible": on_visible_cases,
    "hidden": hidden,
    **{
        name: nothing
        for name in ("environment", "siblings", "secrets", "descriptors", "network", "twice", "script", "artifact")
    },
}


def child(job: dict[str, Any]) -> int:
    """Grade in this process; the exit status is 0 for a pass."""
    mode = job["mode"]
    if mode == "exits":  # a script whose exit status is the grade
        space: dict[str, Any] = {"np": np}
        try:
            exec(job["cell"], space)
            return 0 if np.array_equal(space[FIRST](X.copy(), W.copy(), B), reference(X, W, B)) else 1
        except SystemExit as error:
            return int(error.code or 0)
    notebook = Notebook(job)
    if mode in CELLS:
        return 0 if True in [notebook.cell(source) for source in CELLS[mode]] else 1  # its own any() may be patched
    if mode in IN_PROCESS:
        return 0 if IN_PROCESS[mode](notebook) else 1
    right = bool(np.array_equal(notebook.student(X.copy(), W.copy(), B), reference(X, W, B)))
    score = {"score": float(right)}
    if mode == "stdout":
        print("RESULT " + json.dumps(score), flush=True)
    elif mode == "pickle":
        Path("result.pkl").write_bytes(pickle.dumps(notebook.student(X.copy(), W.copy(), B)))
    elif mode != "first" or not Path("results.json").exists():
        Path("results.json").write_text(json.dumps(score))
    time.sleep(0.1)
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    return 0


def read_result(job: dict[str, Any], status: int, text: str) -> bool:
    """What the trusted half of such a grader would believe."""
    mode = job["mode"]
    if mode in ("file", "first", "later"):
        time.sleep(0.3 if mode == "later" else 0.0)
        return float(json.loads(Path("results.json").read_text())["score"]) > 0
    if mode == "stdout":
        first = next(line for line in text.splitlines() if line.startswith("RESULT "))
        return float(json.loads(first.removeprefix("RESULT "))["score"]) > 0
    if mode == "pickle":
        pickle.loads(Path("result.pkl").read_bytes())
        return Path(job["outside"], "ran").exists()
    if mode == "artifact":
        for path in Path().iterdir():
            for load in (np.load, pickle.load):
                try:
                    load(path, allow_pickle=True) if load is np.load else load(path.open("rb"))  # type: ignore[operator]
                except Exception:
                    continue
        return any(Path(job["outside"]).glob("ran-*"))
    if mode == "script":
        Path("student.py").write_text(f"import numpy as np\n{job['cell']}")
        Path("test_it.py").write_text(
            "import numpy as np\nfrom student import threshold_unit\n"
            "assert np.allclose(threshold_unit(np.ones((2, 2)), np.ones(2), 0.5), np.array([1, 1]))\n"
        )
        done = subprocess.run(
            [sys.executable, "test_it.py"], env={**os.environ, "PYTHONPATH": "."}, capture_output=True
        )
        return done.returncode == 0
    if mode == "twice":
        return "FOUND [" in text and text.count("FOUND []") < text.count("FOUND [")
    if mode in ("environment", "siblings", "secrets", "descriptors", "hidden", "network"):
        return any(token in text for token in job["tokens"])
    return os.waitstatus_to_exitcode(status) == 0


def grade(job: dict[str, Any], seconds: float = 15.0) -> tuple[bool, str]:
    """Whether the naive grader gives the point, or lets the secret out; and the end of what was printed."""
    os.chdir(job["folder"])
    out = Path("printed.txt")
    for _ in range(2 if job["mode"] == "twice" else 1):
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                os.setsid()
                fd = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
                os.dup2(fd, 1)
                os.dup2(fd, 2)
                sys.stdout = sys.stderr = os.fdopen(1, "w", buffering=1)
                code = child(job)
                sys.stdout.flush()
            finally:
                os._exit(code)
        end = time.monotonic() + seconds
        done, status = os.waitpid(pid, os.WNOHANG)
        while not done and time.monotonic() < end:
            time.sleep(0.01)
            done, status = os.waitpid(pid, os.WNOHANG)
        if not done:
            os.killpg(pid, signal.SIGKILL)
            _, status = os.waitpid(pid, 0)
    text = out.read_text(errors="replace")
    try:
        return read_result(job, status, text), text[-2000:]
    except Exception as error:
        return False, f"{type(error).__name__}: {error}\n{text[-2000:]}"


def main() -> None:
    """Answer jobs."""
    import IPython.core.interactiveshell

    jobs = json.load(sys.stdin)
    if any("torch" in job["front"] + job["cell"] for job in jobs):
        import torch

        torch.set_num_threads(1)
    _ = IPython
    held = os.open(jobs[0]["descriptor"], os.O_RDONLY) if jobs else -1
    os.set_inheritable(held, True) if held >= 0 else None
    for job in jobs:
        won, text = grade(job)
        print(json.dumps({"id": job["id"], "won": won, "text": text}), flush=True)


if __name__ == "__main__":
    main()
