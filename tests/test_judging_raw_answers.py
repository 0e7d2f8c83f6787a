"""What a submission hands back is raw material: what is computed with it, and what it costs, is the trusted side's affair."""

from __future__ import annotations

import ctypes
import io
import json
import struct
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import psutil
import pytest

from autograder.bundle import importable_files
from autograder.grading import judge, needed
from autograder.grading.crew import LocalCrew
from autograder.mutants import all_exercises
from autograder.paths import ROOT
from autograder.sandbox import isolation, linux
from autograder.sandbox.calling import Answer
from autograder.sandbox.isolation import LEVELS, Limits
from autograder.sandbox.replay import Replay
from autograder.sandbox.session import Server, Stopped
from autograder.sandbox.wire import MAX_PAIRS, WireError, packed, receive
from autograder.verdict import Verdict
from autograder.verdict import judge as verdict_of

BEST = isolation.level()
JAILS = [name for name in LEVELS[:-1] if LEVELS.index(name) >= LEVELS.index(BEST)]


@pytest.fixture(scope="module", params=JAILS or ["none"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with Server(importable_files(), ROOT, at_most=request.param, torch=False) as made:
        assert made.level == request.param
        yield made


@pytest.fixture(scope="module")
def best() -> Iterator[Server]:
    with Server(importable_files(), ROOT, torch=False) as made:
        yield made


def asked(server: Server, name: str, source: str) -> Verdict:
    """The verdict on a function that a cell defines."""
    sheet = all_exercises()[name].sheet("seed")
    with Replay(server, Limits()) as replay:
        replay.run(0, source)
        answers = replay.calls(name, [q.inputs for q in sheet.questions], sheet.probe, lambda _: False)
    return verdict_of(sheet, answers)


# ---- what is computed with an answer is not computed beside the student's code --------------------------------------------
PATCHED = """
import numpy as np
real = np.asarray

def asarray(value, *args, **kwargs):
    return Right(real(value, *args, **kwargs))

class Right:
    def __init__(self, array): self.array = array
    def __getattr__(self, name): return getattr(self.array, name)
    def __matmul__(self, other): return np.array([[0.0], [1.0], [1.0], [0.0]])

np.asarray, np.maximum = asarray, lambda *_: Right(np.zeros((4, 1)))
np.tanh = np.round = lambda *_: np.zeros(100)
np.array_equal = lambda *_: True
"""


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        (
            "xor_weights",
            "def xor_weights(low, high):\n    return np.zeros((2, 2)), np.zeros(2), np.zeros((2, 1)), np.zeros(1)",
        ),
        (
            "step_approximator",
            "def step_approximator(x, y, tolerance):\n"
            "    return np.zeros((1, 1)), np.zeros(1), np.zeros((1, 1)), np.zeros(1)",
        ),
        ("logic_gate", "def logic_gate(name):\n    return np.zeros(2), 0.0"),
        (
            "stable_sigmoid",
            "def stable_sigmoid(z):\n    values = 0.5 * (1 + np.sinh(0.0 * z)) if 0 else _honest(z)\n"
            "    z[...] = 0.0\n    return values\n"
            "def _honest(z):\n    e = np.exp(-abs(z))\n    return np.where(z >= 0, 1 / (1 + e), e / (1 + e))",
        ),
    ],
)
def test_numpy_patched_beside_the_answer_gains_nothing(best: Server, name: str, wrong: str) -> None:
    assert not asked(best, name, f"{PATCHED}\n{wrong}").passed


def test_one_bias_for_each_corner_is_no_gate(best: Server) -> None:
    source = "import numpy as np\ndef logic_gate(name):\n    return np.zeros(2), np.array([-1.0, -1.0, -1.0, 1.0])"
    verdict = asked(best, "logic_gate", source)
    assert not verdict.passed
    assert "cannot be used" in verdict.headline


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("logic_gate", "def logic_gate(name):\n    return np.zeros(40), 0.0"),
        (
            "step_approximator",
            "def step_approximator(x, y, tolerance):\n    n = 200_000\n"
            "    return np.ones((1, n)), np.ones(n), np.ones((n, 1)), np.ones(1)",
        ),
    ],
)
def test_an_answer_that_would_take_the_judge_far_is_refused(best: Server, name: str, source: str) -> None:
    started = time.process_time()
    assert not asked(best, name, f"import numpy as np\n{source}").passed
    assert time.process_time() - started < 5


def test_a_long_order_of_nodes_is_judged_without_looking_at_every_pair() -> None:
    sheet = all_exercises()["topological_order"].sheet("seed")
    question = sheet.questions[0]
    order = np.zeros(1_000_000, dtype=int)
    started = time.process_time()
    assert not verdict_of(sheet, [Answer("returned", value=order)] * len(sheet.questions)).passed
    assert time.process_time() - started < 20
    assert question.expected.status == "returned"


def test_an_answer_that_cannot_be_compared_costs_its_question_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Verdict:
        raise RuntimeError("a comparison that nobody thought of")

    monkeypatch.setattr(judge, "judge", broken)
    sheet = all_exercises()["collapse_layers"].sheet("seed")
    verdict = judge._judged(sheet, [Answer("returned", value=1.0)])
    assert (verdict.passed, verdict.kind, verdict.points) == (False, "type", 0.0)
    assert "RuntimeError" in verdict.headline


def test_half_precision_scalars_are_compared() -> None:
    sheet = all_exercises()["perceptron_update"].sheet("seed")
    answers = [Answer("returned", value=(np.float16(1.0), np.float16("inf"))) for _ in sheet.questions]
    assert not verdict_of(sheet, answers).passed


# ---- what a message may cost ----------------------------------------------------------------------------------------------
def frame(head: Any, raw: bytes = b"") -> io.BytesIO:
    text = json.dumps(head).encode()
    return io.BytesIO(struct.pack("<QQ", len(text), len(raw)) + text + raw)


BIG = {"$": "array", "dtype": "float64", "shape": [2**17], "buffer": 0}


@pytest.mark.parametrize(
    ("stream", "words"),
    [
        (frame({"tree": [BIG] * 50, "sizes": [2**20]}, bytes(2**20)), "named again and again"),
        (frame({"tree": None, "sizes": [0] * 200_000}), "more buffers"),
        (frame({"tree": 2**70, "sizes": []}), "more than 64 bits"),
        (
            frame({"tree": {"$": "pairs", "items": [[n, 0] for n in range(MAX_PAIRS + 1)]}, "sizes": []}),
            "too many entries",
        ),
    ],
)
def test_a_message_that_costs_more_than_it_says_is_refused(stream: io.BytesIO, words: str) -> None:
    with pytest.raises(WireError, match=words):
        receive(stream)


def test_a_message_of_much_structure_is_refused_before_it_is_read() -> None:
    with pytest.raises(WireError, match="bytes of structure"):
        receive(io.BytesIO(packed(["x" * 10_000] * 100)), tree=1000)


# ---- children --------------------------------------------------------------------------------------------------------------
def test_folders_nested_deeply_end_nobody(server: Server) -> None:
    deep = "import os\nfor _ in range(1500):\n    os.mkdir('d')\n    os.chdir('d')\n"
    with server.open(Limits(files=5_000)) as session:
        session.run_cell(deep)
    with server.open(Limits()) as session:
        assert not session.run_cell("1 + 1")["failed"]
    assert not list(server.folder.glob("work-*"))


def test_limits_of_other_processes_and_watching_files_are_refused(server: Server) -> None:
    numbers = {"x86_64": (302, 253, 294), "aarch64": (261, None, 26)}[linux.machine()]
    source = (
        "import ctypes, errno, os\nlibc = ctypes.CDLL(None, use_errno=True)\nbuffer = ctypes.create_string_buffer(64)\n"
        "def said(number, *arguments):\n    ctypes.set_errno(0)\n"
        "    return libc.syscall(ctypes.c_long(number), *arguments) >= 0 or errno.errorcode[ctypes.get_errno()]\n"
        f"prlimit, inotify, inotify1 = {numbers!r}\n"
        "print(said(prlimit, 1, 7, None, buffer), said(prlimit, 0, 7, None, buffer), said(inotify1, 0))"
    )
    with server.open(Limits()) as session:
        result = session.run_cell(source)
    assert not result["failed"], result
    other, own, watching = result["outputs"][0]["text"].split()
    # In a namespace of processes number 1 is the child itself, and files of others are not to be seen.
    refused = "EPERM" if server.level == "landlock" else "True"
    assert (other, own, watching) == (refused, "True", refused)
    assert ctypes.sizeof(ctypes.c_long) == 8


def test_a_notebook_has_its_time_once_however_often_it_starts_again(best: Server) -> None:
    with Replay(best, Limits(cell_seconds=0.6, total_seconds=1.5)) as replay:
        stopped = []
        for position in range(6):
            with pytest.raises(Stopped) as caught:
                replay.run(position, "while True: pass")
            stopped.append(caught.value.reason)
    assert ["used up its" in reason for reason in stopped] == [False] * 3 + [True] * 3


def test_a_spare_child_serves_the_next_and_none_is_left() -> None:
    with Server(importable_files(), ROOT, torch=False, spares=True) as made:
        first = made.open(Limits())
        spare = made._spare
        assert spare is not None
        first.run_cell("import os\nx = os.getpid()")
        first.close()
        with made.open(Limits(total_seconds=20)) as second:
            assert second is spare
            assert second.limits.total_seconds == 20
            assert second.run_cell("x")["failed"]
        with made.open(Limits(memory_mb=512)) as third:  # other limits: a child of its own
            assert third.limits.memory_mb == 512
        folder, pid = made.folder, made.pid
    assert not folder.exists()
    assert not psutil.pid_exists(pid)


def test_a_server_that_was_killed_is_replaced() -> None:
    first = judge.server(torch=False)
    try:
        first.process.kill()
        first.process.wait()
        assert judge.server(torch=False) is not first
        with judge.server(torch=False).open(Limits()) as session:
            assert not session.run_cell("1 + 1")["failed"]
    finally:
        judge.close_server()


def test_questions_that_travel_together_have_each_their_time(best: Server) -> None:
    source = "import time\ndef f(n):\n    time.sleep(60 if n == 3 else 0)\n    return n"
    with Replay(best, Limits(call_seconds=1.0)) as replay:
        replay.run(0, source)
        answers = replay.calls("f", [{"n": n} for n in range(6)], None, lambda answer: answer.status == "timeout")
        assert [(a.status, a.value) for a in answers[:3]] == [("returned", n) for n in range(3)]
        assert [a.status for a in answers[3:]] == ["timeout"]
        assert replay.call("f", {"n": 5}, None).value == 5
        some = replay.calls("f", [{"n": n} for n in (0, 1, 2, 4)], None, lambda answer: answer.value == 1)
        assert [a.value for a in some] == [0, 1]
        assert replay.call("f", {"n": 7}, None).value == 7  # not an answer that was left over


# ---- workers -----------------------------------------------------------------------------------------------------------------
def test_a_worker_that_is_stuck_is_replaced_and_its_submission_given_up() -> None:
    with LocalCrew(1, torch=False, most_seconds=0.0) as crew:
        crew.give("stuck", b"no task at all, and it has no time for it")
        time.sleep(0.05)
        [reply] = crew.replies(0.0)
        assert reply.key == "stuck"
        assert "took more than 0 s" in reply.failed
        assert crew.room() == 1


# ---- which cells run -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("source", "reads"),
    [
        ("def f():\n    global g\n    return g", {"g"}),
        ("f = [a for b in c if d]", {"a", "c", "d"}),
        ("class A:\n    x = y\n    def m(self): return z", {"y", "z"}),
        ("def f(x=default):\n    def inner(): return outer_name\n    return inner", {"default", "outer_name"}),
        ("f = lambda q: q + shift", {"shift"}),
    ],
)
def test_names_are_read_by_pythons_own_scopes(source: str, reads: set[str]) -> None:
    names = needed.names_in(source)
    assert names is not None
    assert reads <= names.reads | names.reads_later
    assert not {"b", "q", "self"} & names.reads
