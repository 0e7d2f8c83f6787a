"""The leaderboard: its rows come from commands that exist, and the page shows what the file of results says."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from autograder import cli, language_models, leaderboard

RESULT = {
    "model": "rnn", "test_ppl": 121.76123, "valid_ppl": 128.0, "tokens": 82430, "parameters": 3_190_000, "seconds": 210.44,
    "cpu_seconds": 207.04, "threads": 1, "device": "cpu", "seed": 0, "version": "0.1.0", "test_ppl_cache": 100.0,
    "test_ppl_kn5": 101.0, "test_ppl_cache_kn5": 98.7654,
}  # fmt: skip
KEYS = {"model", "paper_ppl", "test_ppl", "parameters", "seconds", "device", "seed", "command", "version"}


def test_every_row_that_is_shown_has_a_figure_and_says_where_it_is_from() -> None:
    done = CliRunner().invoke(cli.app, ["leaderboard", "--json"])
    assert done.exit_code == 0, done.output
    rows = json.loads(done.stdout)["rows"]
    measured = [row["key"] for row in rows]
    assert measured == [entry.key for entry in leaderboard.ENTRIES if entry.key in measured]
    assert "3-gram" in measured
    for row in rows:
        assert row.keys() >= KEYS
        assert row["tokens"] == 82_430
        assert 30 < row["test_ppl"] < 200
        assert "dirty" not in row["version"]  # made by a state of the code that can be found again


def test_the_page_shows_the_file_of_results() -> None:
    assert leaderboard.table(leaderboard.rows()) in leaderboard.PAGE.read_text(encoding="utf-8")
    assert leaderboard.PICTURE.is_file()


@pytest.mark.parametrize("entry", leaderboard.ENTRIES, ids=lambda entry: entry.key)
def test_the_command_of_a_row_is_one_that_train_takes(
    entry: leaderboard.Entry, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[language_models.Request] = []

    def look(request: language_models.Request, *_: object) -> dict[str, object]:
        request.check()
        asked.append(request)
        return {}

    monkeypatch.setattr(language_models, "run", look)
    words = entry.command.split()
    assert words[:2] == ["python3", "start.py"]
    done = CliRunner().invoke(cli.app, words[2:])
    assert done.exit_code == 0, done.output
    assert asked[0].data == "penn_treebank"


def test_a_version_is_dirty_when_code_has_changed_and_not_when_results_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(language_models, "ROOT", tmp_path)
    assert "+" not in language_models.version()  # no commit is known
    for name in ("code.py", *language_models.RESULTS):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("1")
    who = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    for words in (["init", "-q"], ["add", "-A"], [*who, "commit", "-qm", "first"]):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)
    clean = language_models.version()
    assert "+" in clean
    assert "dirty" not in clean
    for name in language_models.RESULTS:
        (tmp_path / name).write_text("2")
    assert language_models.version() == clean
    (tmp_path / "code.py").write_text("2")
    assert language_models.version() == f"{clean}-dirty"


def test_a_row_keeps_what_a_run_gave() -> None:
    entry = next(entry for entry in leaderboard.ENTRIES if entry.key == "rnn")
    row = leaderboard.row_of(entry, RESULT)
    assert row["test_ppl"] == 121.761
    assert row["beside"] == {"cache": 100.0, "kn5": 101.0, "cache_kn5": 98.765}
    line = leaderboard.table([row]).splitlines()[2]
    assert line == (
        "| recurrent network (Mikolov et al. 2010) | 124.7 | 121.8 | 100.0 | 101.0 | 98.8 | – | 3.2 M | 207 "
        "| `train rnn --data penn_treebank --cpu-seconds 175 --threads 1 --precision auto` |"
    )


def test_a_run_without_the_corpus_says_so_and_keeps_the_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NNLM_DATA", str(tmp_path))
    before = leaderboard.RESULTS.read_bytes()
    done = CliRunner().invoke(cli.app, ["leaderboard", "--run", "3-gram"])
    assert done.exit_code == 1
    assert "Penn Treebank" in done.stderr
    assert leaderboard.RESULTS.read_bytes() == before


def test_what_cannot_be_is_said_in_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = CliRunner().invoke(cli.app, ["leaderboard", "--run", "gpt"])
    assert done.exit_code == 2
    assert "There is no row 'gpt'; there are 3-gram, fnn" in " ".join(done.stderr.split())
    broken = tmp_path / "leaderboard.json"
    monkeypatch.setattr(leaderboard, "RESULTS", broken)
    for text in (None, "{", '{"a": 1}'):
        if text is not None:
            broken.write_text(text)
        done = CliRunner().invoke(cli.app, ["leaderboard"])
        assert done.exit_code == 1
        assert "missing or broken" in " ".join(done.stderr.split())
