"""A class with hostile submissions, killed and resumed: the benchmark of that name, small."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from autograder.paths import ROOT
from autograder.sandbox.isolation import level, safe


def run(*arguments: str) -> dict[str, object]:
    command = [sys.executable, str(ROOT / "benchmarks" / "hostile_class.py"), "--json", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=1500)
    assert done.stdout, done.stderr
    found = json.loads(done.stdout)
    assert found["good"], f"{found}\n{done.stderr[-2000:]}"
    assert done.returncode == 0
    return dict(found)


@pytest.mark.skipif(not safe(level()), reason="hostile submissions need a jail")
def test_a_small_hostile_class_killed_twice() -> None:
    found = run("--students", "26", "--kills", "2")
    assert found["hostile"] == 3
    assert found["gradebooks_equal"] is True
    assert found["verdicts_equal"] is True


@pytest.mark.full
@pytest.mark.skipif(not safe(level()), reason="hostile submissions need a jail")
def test_two_hundred_students_killed_five_times() -> None:
    found = run("--students", "200", "--kills", "5")
    assert found["hostile"] == 20
