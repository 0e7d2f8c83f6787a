"""A whole class, end to end."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from autograder.notebooks import exercises
from autograder.paths import chapter


def test_every_submission_of_the_demo_class_gets_what_it_should(tmp_path: Path) -> None:
    course = tmp_path / "course"
    command = [sys.executable, "-m", "autograder.cli", "demo", "--json", "--keep", str(course)]
    run = subprocess.run(command, capture_output=True, text=True)
    data = json.loads(run.stdout)
    rows = {row["name"]: row for row in data["students"]}
    assert [row for row in rows.values() if not row["as_expected"]] == []
    assert run.returncode == 0, run.stderr
    assert len(rows) >= 12
    assert rows["reference"]["score"] == rows["reference"]["max"] == 20
    assert rows["empty"]["score"] == 0
    assert rows["warnings-only"]["score"] == rows["warnings-only"]["max"]
    for made in exercises(chapter("03")):
        for mistake in made.mistakes:
            row = rows[f"{made.name}-{mistake.name}"]
            assert row["score"] <= row["max"] - made.points, row
    for name in (
        "endless-loop",
        "broken-json",
        "duplicated-test",
        "deleted-test",
        "renamed-test",
        "wrong-kernel",
        "late",
    ):
        assert set(rows[name]) >= {"name", "expected", "score", "max", "as_expected", "reason"}
    # Feedback for everyone, with the verdict in it and no traceback of ours.
    for name in rows:
        page = (course / "feedback" / name / "03_hidden_layers" / "03_hidden_layers.html").read_text()
        assert "check of" in page
    # A regrade is byte-identical: the seed is recorded.
    record = course / "verdicts" / "03_hidden_layers" / "activation-leaks_on_the_wrong_side.json"
    before = record.read_bytes()
    again = [sys.executable, "-m", "autograder.cli", "grade", "03", "--again", "--course-dir", str(course)]
    student = ["--student", "activation-leaks_on_the_wrong_side", "--json"]
    result = subprocess.run([*again, *student], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert record.read_bytes() == before
    assert json.loads(before)["verdicts"]
    # Two students, two seeds.
    other = json.loads((course / "verdicts" / "03_hidden_layers" / "reference.json").read_text())
    assert other["seed"] != json.loads(before)["seed"]
