"""Running and judging submissions: the child answers, nothing it does costs more than what depended on it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import nbformat
import numpy as np
import pytest
from nbformat import NotebookNode

from autograder.bundle import importable_files
from autograder.grading import demo, judge
from autograder.notebooks import exercises, instructor_notebook, without_markers
from autograder.paths import ROOT, chapter
from autograder.sandbox.isolation import Limits
from autograder.sandbox.session import Server, Session, Stopped

ONE = chapter("02")
KNOWN = {made.name: made for made in exercises(ONE)}
LIMITS = Limits(cell_seconds=3, call_seconds=2)
FIRST = "threshold_unit"


@pytest.fixture(scope="module")
def solved() -> NotebookNode:
    return without_markers(instructor_notebook(ONE))


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server(importable_files(), ROOT) as made:
        yield made


def passed(graded: judge.Graded) -> dict[str, bool]:
    return {name: verdict.passed for name, verdict in graded.verdicts.items()}


def grade(notebook: NotebookNode, seed: str = "seed") -> judge.Graded:
    return judge.grade(notebook, KNOWN, seed, LIMITS)


def test_the_reference_passes_and_is_judged_alike_twice(solved: NotebookNode) -> None:
    first, second = grade(solved), grade(solved)
    assert all(passed(first).values())
    assert set(first.verdicts) == set(KNOWN)
    assert [v.to_data() for v in first.verdicts.values()] == [v.to_data() for v in second.verdicts.values()]


def test_the_released_notebook_gets_nothing_and_is_told_why() -> None:
    graded = grade(nbformat.read(ONE.notebook, as_version=4))
    assert not any(passed(graded).values())
    assert {verdict.kind for verdict in graded.verdicts.values()} == {"unfinished"}


@pytest.mark.parametrize(
    ("trick", "kind", "words"),
    [
        ("while True: pass", "missing", "could not be defined. The cell did not end within 3 s"),
        ("import os; os._exit(3)", "missing", "ended the process that ran it: exit status 3"),
        ("import ctypes; ctypes.string_at(0)", "missing", "segmentation fault"),
        ("raise KeyError('x')", "missing", "its cell ended with KeyError"),
        ("import sys; sys.exit()", "missing", "its cell ended with SystemExit"),
        ("def f(:", "missing", "SyntaxError"),
    ],
)
def test_a_cell_that_stops_costs_its_own_exercise_only(solved: NotebookNode, trick: str, kind: str, words: str) -> None:
    broken = demo.with_source(solved, FIRST, trick + "\n" + demo.source(solved, FIRST))
    graded = grade(broken)
    assert graded.verdicts[FIRST].kind == kind
    assert words in graded.verdicts[FIRST].headline
    others = {name: ok for name, ok in passed(graded).items() if name != FIRST}
    assert all(others.values()), others


@pytest.mark.parametrize(
    ("body", "kind", "words"),
    [
        ("while True: pass", "timeout", "look for a loop that never ends"),
        ("import os; os._exit(0)", "died", "ended the process that ran it"),
        ("import sys; sys.exit(0)", "exception", "SystemExit"),
        ("raise KeyboardInterrupt", "exception", "KeyboardInterrupt"),
        ("return [0] * 10**9", "exception", "MemoryError"),
        ("class A:\n        __eq__ = lambda s, o: True\n    return A()", "type", "object of type A"),
    ],
)
def test_a_call_that_stops_costs_its_own_exercise_only(solved: NotebookNode, body: str, kind: str, words: str) -> None:
    broken = demo.with_source(solved, FIRST, f"def {FIRST}(x, w, b):\n    {body}\n")
    graded = grade(broken)
    assert graded.verdicts[FIRST].kind == kind, graded.verdicts[FIRST].headline
    assert words in graded.verdicts[FIRST].headline
    assert all(ok for name, ok in passed(graded).items() if name != FIRST)


def test_what_a_cell_prints_is_clipped_and_cleaned(server: Server) -> None:
    with server.open(Limits(output_mb=0.01)) as session:
        outputs = session.run_cell("print('\\x1b[31mred' * 100_000)")["outputs"]
    assert sum(len(o["text"]) for o in outputs) < 12_000
    assert "was cut" in outputs[-1]["text"]
    shown = judge._output(outputs[0])
    assert shown is not None
    assert "\x1b" not in shown["text"]


def test_references_cannot_be_imported_and_the_environment_is_clean(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    with server.open(Limits()) as session:
        for name in ("solutions", "autograder.exercises", "autograder.grading"):
            assert session.run_cell(f"import {name}")["failed"], name
        text = session.run_cell("import os; print(sorted(os.environ))")["outputs"][0]["text"]
        assert "SECRET" not in text
        assert "/work" in session.run_cell("import os; print(os.getcwd())")["outputs"][0]["text"]


def test_a_cell_behaves_as_in_a_notebook(server: Server) -> None:
    cells: list[tuple[str, str, str]] = [
        ("1 + 1", "execute_result", "2"),
        ("print('a'); 3", "stream", "a"),
        ("import asyncio\nawait asyncio.sleep(0)\n5", "execute_result", "5"),
        ("%timeit -n1 -r1 pass", "stream", "loop"),
        ("!echo from the shell", "stream", "from the shell"),
        ("import os; os.system('echo deep')", "execute_result", "0"),
        ("from IPython.display import display; display(7)", "display_data", "7"),
        ("import matplotlib.pyplot as plt; plt.plot([1, 2]);", "display_data", "Figure"),
        ("1 / 0", "error", "division"),
        ("import warnings; warnings.warn('careful')", "stream", "careful"),
    ]
    with server.open(Limits()) as session:
        for source, kind, words in cells:
            outputs = session.run_cell(source)["outputs"]
            assert any(o["output_type"] == kind and words in str(o) for o in outputs), (source, outputs)


def test_an_answer_is_data_and_inputs_are_copies(server: Server) -> None:
    with server.open(Limits()) as session:
        session.run_cell("def f(x):\n    x[0] = 99.0\n    return x")
        given = np.ones(3)
        answer = session.call("f", {"x": given}, None)
        assert answer.changed_inputs == ("x",)
        np.testing.assert_array_equal(given, [1, 1, 1])
        assert session.call("nothing", {}, None).status == "missing"
        session.run_cell("g = 5")
        assert session.call("g", {}, None).status == "missing"


def test_a_forged_frame_ends_the_session_not_the_grader(server: Server) -> None:
    forge = (
        "import gc, socket, os\n"
        "for fd in range(3, 64):\n"
        "    try:\n        os.write(fd, b'\\x05' + b'\\0' * 15 + b'hello')\n"
        "    except OSError:\n        pass\n"
    )

    def use(session: Session) -> None:
        for source in (forge, "1", "1"):
            session.run_cell(source)

    with server.open(Limits(cell_seconds=5)) as session:
        with pytest.raises(Stopped) as caught:
            use(session)
        assert caught.value.status == "died"
    with server.open(Limits()) as another:  # the server heard nothing of it
        assert not another.run_cell("1")["failed"]


def test_no_child_and_no_folder_is_left_behind() -> None:
    import psutil

    me = psutil.Process()
    before = {p.pid for p in me.children(recursive=True)}
    server = Server(importable_files(), ROOT)
    folder = server.folder
    for source in ("x = 1", "while True: pass", "import subprocess; subprocess.Popen(['sleep', '60'])"):
        session = server.open(Limits(cell_seconds=1))
        with contextlib.suppress(Stopped):
            session.run_cell(source)
        session.close()
    server.close()
    assert not folder.exists()
    left = [p for p in me.children(recursive=True) if p.pid not in before and p.status() != psutil.STATUS_ZOMBIE]
    assert left == []


def test_verdict_first_outputs() -> None:
    verdict: Any = grade(without_markers(instructor_notebook(ONE))).verdicts[FIRST]
    assert [o["output_type"] for o in judge.verdict_outputs(verdict)] == ["display_data"]


def test_a_mistake_that_follows_from_another_exercise_names_it() -> None:
    """In chapter 9 the gradient through time calls the step's: one wrong sign fails both, and the second says why."""
    one = chapter("09")
    notebook = without_markers(instructor_notebook(one))
    right = "grad_z = grad_next * (1 - h_next**2)"
    assert right in demo.source(notebook, "rnn_step_backward")
    turned = demo.source(notebook, "rnn_step_backward").replace(right, "grad_z = -grad_next * (1 - h_next**2)")
    known = {
        made.name: made for made in exercises(one) if made.name in ("rnn_step_backward", "rnn_forward", "rnn_backward")
    }
    released = nbformat.read(one.notebook, as_version=4)
    graded = judge.grade(
        demo.with_source(notebook, "rnn_step_backward", turned), known, "follow", Limits(), given=released
    )
    note = "It relies on `rnn_step_backward`, which does not pass; mend that first, the mistake may lie there alone."
    assert {name: verdict.passed for name, verdict in graded.verdicts.items()} == {
        "rnn_step_backward": False, "rnn_forward": True, "rnn_backward": False,
    }  # fmt: skip
    assert graded.verdicts["rnn_backward"].notes == (note,)
    assert graded.verdicts["rnn_step_backward"].notes == ()


def test_a_mistake_is_followed_through_functions_that_are_given() -> None:
    """Chapter 12's training calls the gradient of attention only through three given functions."""
    notebook = without_markers(instructor_notebook(chapter("12")))
    used = judge._relied_on(notebook, "train_transformer_lm")
    assert {
        "transformer_lm_gradients",
        "transformer_block_backward",
        "attention_backward",
        "clip_by_global_norm",
    } <= used
    assert "cached_self_attention" not in used
