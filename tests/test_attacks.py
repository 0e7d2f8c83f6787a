"""The attack corpus: every attack does on a grader without protection what it says, and none gets through ours."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from autograder import conduct
from autograder.bundle import importable_files
from autograder.exercise import source_of
from autograder.grading import attack_table, attacks
from autograder.notebooks import all_exercises
from autograder.sandbox.calling import call
from autograder.sandbox.isolation import LEVELS, describe_level, level, safe

CORPUS = attacks.corpus()
SHOWN = [one for one in CORPUS if one.naive]
#: Hostile code without a jail runs only on machines that are thrown away afterwards.
THROW_AWAY = bool(os.environ.get("CI"))
only_on_a_throw_away_machine = pytest.mark.skipif(
    not THROW_AWAY, reason="runs hostile code without a jail: set CI=1 on a machine that you can throw away"
)


@pytest.fixture(scope="module")
def played() -> dict[int, attacks.Row]:
    """The whole corpus at the strongest level of this machine."""
    if not safe(level()) and not THROW_AWAY:
        pytest.skip(f"attacks would run without a jail here ({describe_level()})")
    return {row.id: row for row in attacks.run("full")}


def test_the_corpus_is_complete() -> None:
    assert [one.id for one in CORPUS] == list(range(1, 61))
    assert all(one.title and one.required in attacks.ANSWERS for one in CORPUS)


def test_every_attack_is_shown_to_work_or_says_why_not() -> None:
    """Stops and refusals show themselves: an attack that did nothing would not be stopped or refused."""
    silent = [one.id for one in CORPUS if not one.naive and not one.unshown and one.required not in "KRS"]
    assert silent == [43, 44]  # they run nothing: what was restored is compared by score and by the list of repairs


def test_the_page_describes_this_corpus() -> None:
    page = attack_table.PAGE.read_text(encoding="utf-8")
    titles = {
        int(number): (title, required)
        for number, title, required in re.findall(r"^\| (\d+) \| (.*?) \| (\w) \|", page, re.M)
    }
    assert titles == {one.id: (one.title, one.required) for one in CORPUS}
    known = attack_table.documented()
    assert set(known) == {(one.id, level) for one in CORPUS for level in LEVELS}
    assert all(known[one.id, level] for one in CORPUS for level in LEVELS if level != "none")


def test_every_attack_gets_its_required_answer(played: dict[int, attacks.Row]) -> None:
    """As the page says of this machine's level; at a jail's levels nothing gets through."""
    assert len(played) == len(CORPUS)
    assert attack_table.surprises(list(played.values())) == []
    if next(iter(played.values())).level != "none":
        assert {row.id: row.got for row in played.values() if not row.held} == {}


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has several levels")
@pytest.mark.parametrize("weaker", LEVELS[1:])
def test_at_a_weaker_level_what_depends_on_it_is_as_the_page_says(weaker: str) -> None:
    if weaker == "none" and not THROW_AWAY:
        pytest.skip("runs hostile code without a jail: set CI=1 on a machine that you can throw away")
    known = attack_table.documented()
    depends = [one.id for one in CORPUS if not all(known[one.id, other] for other in LEVELS)]
    assert len(depends) > 10
    rows = attacks.run(weaker, depends)
    if rows[0].level != weaker:
        pytest.skip(f"this machine offers {rows[0].level} at most")
    assert attack_table.surprises(rows) == []


# ---- the attacks do what they say ------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def unprotected(tmp_path_factory: pytest.TempPathFactory) -> dict[int, dict[str, Any]]:
    """Every attack on the grader without protection that it names, in a process of its own."""
    with attacks.Stage("none") as stage:
        return run_unprotected(stage, tmp_path_factory.mktemp("unprotected"))


def run_unprotected(stage: attacks.Stage, there: Path) -> dict[int, dict[str, Any]]:
    jobs = []
    for one in SHOWN:
        folder = there / f"attack-{one.id}" / "work"
        folder.mkdir(parents=True)
        made = one.make(stage)
        job = {
            "id": one.id,
            "mode": one.naive,
            "folder": str(folder),
            "outside": str(stage.outside),
            "front": "",
            "back": "",
        }
        job |= {"cell": attacks.WRONG, "tokens": list(stage.tokens.values()), "token": stage.tokens["course"]}
        job |= {"descriptor": stage.descriptor.name}
        if isinstance(made, attacks.Attempt):
            job |= {"front": stage.fill(made.front), "back": stage.fill(made.back)}
            job |= {"cell": stage.fill(made.cells[attacks.FIRST])}
        else:
            for handed in made.values():
                handed.place(folder / "notebook.ipynb")
        jobs.append(job)
    # Nothing of the project lies on the import path of this process: what runs here may write wherever it can import from.
    for file in importable_files():
        copy = there / "shadow" / file.relative_to(attacks.ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy)
    script = Path(shutil.copy(attacks.FOLDER / "naive.py", there))
    environment = {**os.environ, "NNLM_SECRET": stage.tokens["environment"], "NNLM_MARK": stage.mark}
    environment |= {"PYTHONPATH": str(there / "shadow"), "PYTHONDONTWRITEBYTECODE": "1"}
    with stage.watched() as seen:
        done = subprocess.run(
            [sys.executable, "-P", str(script)],
            cwd=there,
            input=json.dumps(jobs),
            capture_output=True,
            text=True,
            env=environment,
            timeout=300,
        )
        heard = set(stage.ears.heard)
    assert seen.troubles, "these attacks are not harmless"
    assert done.returncode == 0, done.stderr[-2000:]
    rows = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    found = {row["id"]: row for row in rows}
    found[32]["won"] = {"tcp", "udp", "unix"} <= heard
    return found


@only_on_a_throw_away_machine
@pytest.mark.skipif(sys.platform != "linux", reason="the attacks are written for Linux")
def test_attacks_succeed_where_nothing_stops_them(unprotected: dict[int, dict[str, Any]]) -> None:
    assert set(unprotected) == {one.id for one in SHOWN}
    assert len(SHOWN) >= 44
    failed = {number: row["text"][-300:] for number, row in unprotected.items() if not row["won"]}
    assert failed == {}


# ---- the runner notices what gets through ----------------------------------------------------------------------------
RIGHT_UNIT = "def threshold_unit(x, w, b):\n    return (x @ w + b > 0).astype(int)\n"
GETS_THROUGH = {
    "points gained": attacks.Attempt(cells={attacks.FIRST: RIGHT_UNIT}),
    "leaked (course)": attacks.Attempt(front="print(open('@COURSE@/secret.txt').read())"),
    "files changed (secret.txt)": attacks.Attempt(front="open('@COURSE@/secret.txt', 'a').write('x')"),
    "files left": attacks.Attempt(front="open('/tmp/@MARK@-left', 'w').close()"),
    "connected (tcp)": attacks.Attempt(front="import socket\nsocket.create_connection(('127.0.0.1', @TCP@)).close()"),
    "honest questions lost (mistake_bound)": attacks.Attempt(
        cells={attacks.FIRST: attacks.WRONG, "fold_bias": "fold_bias = 3"}
    ),
}


@pytest.mark.parametrize("words", GETS_THROUGH)
def test_what_gets_through_is_seen(words: str, weak: attacks.Stage) -> None:
    """At the weakest level these work, and the runner says so; the next attack finds everything as it was."""
    assert words in weak.attempt(GETS_THROUGH[words], "Z").got
    assert weak.attempt(attacks.Attempt(), "Z").got == "Z"


def test_a_process_that_is_left_is_seen_and_ended(weak: attacks.Stage) -> None:
    command = [sys.executable, "-c", "import time; time.sleep(30)", weak.mark]
    with subprocess.Popen(command, start_new_session=True, env={}) as left:
        with weak.watched() as seen:
            pass
        assert seen.troubles == ["1 processes survived"]
        assert left.wait(timeout=10) < 0


def test_an_attack_that_is_not_stopped_is_seen(weak: attacks.Stage) -> None:
    calm = attacks.Attempt(causes="did not end within")
    assert "threshold_unit was not stopped" in weak.attempt(calm, "K").got
    other = attacks.Attempt(cells={attacks.FIRST: "import os\nos._exit(0)\n"}, causes="did not end within")
    assert "does not name the cause" in weak.attempt(other, "K").got


@pytest.fixture(scope="module")
def weak() -> Iterator[attacks.Stage]:
    with attacks.Stage("none") as made:
        yield made


# ---- how an answer came about ----------------------------------------------------------------------------------------
def test_no_honest_program_of_the_course_is_flagged() -> None:
    flagged = {}
    for name, made in all_exercises().items():
        sheet = made.sheet("conduct", mistakes=False)
        for program in (made.reference, *made.variants):
            with redirect_stdout(StringIO()), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found = conduct.flags(made, sheet, source_of(program), asking(program))
            if found:
                flagged[name, program.__name__] = found
    assert flagged == {}


def asking(program: Any) -> conduct.Ask:
    return lambda inputs, probe: call(program, inputs, probe)


def flags_of(name: str, source: str) -> str:
    made = all_exercises()[name]
    space: dict[str, Any] = {"np": np}
    exec(compile(source, "<cell>", "exec"), space)
    return " ".join(conduct.flags(made, made.sheet("conduct", mistakes=False), source, asking(space[name])))


AFFINE = "def affine_backward(grad_y, x, w, b):\n"
RIGHT = "    return grad_y @ w.T, x.T @ grad_y, grad_y.sum(axis=0)\n"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("    import torch.nn.functional as F\n", "names `torch.nn.functional`"),
        (
            "    t = __import__('torch')\n    getattr(t, 'au' + 'tograd').functional.jacobian(lambda z: z, t.ones(2))\n",
            "used `torch.autograd.functional.jacobian`",
        ),
        ("    exec('pass')\n", "uses `exec`"),
        ("    import torch\n    torch.ones(1).sum().item()\n", ""),
        (
            "    import builtins\n    getattr(builtins, 'ex' + 'ec')('import torch; torch.nn.ReLU()(torch.ones(2))')\n",
            "The call used `torch.nn.functional.relu`",
        ),
        ("    import sys\n    sys.setprofile(None)\n", "switched off"),
        ("    h = 1e-6\n    slope = (np.tanh(x + h) - np.tanh(x - h)) / (2 * h)\n", "small step"),
        (
            "    f = lambda a: a.sum()\n    for i in np.ndindex(x.shape):\n"
            "        a = x.copy()\n        a[i] += 0.5\n        f(a)\n",
            "entries of `x` was shifted alone",
        ),
        ("", ""),
        ("    eps = 1e-5\n    scaled = x / np.sqrt(x.var() + eps)\n", ""),
    ],
)
def test_what_is_flagged(body: str, words: str) -> None:
    found = flags_of("affine_backward", AFFINE + body + RIGHT)
    assert words in found
    assert bool(found) == bool(words)


def test_a_definition_may_name_what_an_exercise_does_without() -> None:
    made = all_exercises()["affine_backward"]
    before = made.without
    try:
        made.does_without("numpy.linalg")
        assert "names `numpy.linalg.norm`" in flags_of(
            "affine_backward", AFFINE + "    from numpy.linalg import norm\n" + RIGHT
        )
        assert flags_of("affine_backward", AFFINE + "    import torch.nn\n" + RIGHT) == ""
    finally:
        made.without = before
    assert "torch.nn" in conduct.banned(made)
