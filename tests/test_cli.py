"""The command line: help for everything, exit codes, JSON that parses."""

from __future__ import annotations

import json
import socket
import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from autograder import cli, lab, testing

COMMANDS = sorted(typer.main.get_command(cli.app).commands)
RUNNER = CliRunner()


def nnlm(*arguments):
    return RUNNER.invoke(cli.app, [str(argument) for argument in arguments], prog_name="nnlm")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command):
    done = nnlm(command, "--help")
    assert done.exit_code == 0
    text = " ".join(done.output.split())
    assert f"Usage: nnlm {command}" in text
    about = typer.main.get_command(cli.app).commands[command].help
    assert about, "a command without a docstring"


def test_without_arguments_it_lists_the_commands():
    done = nnlm()
    assert all(command in done.output for command in COMMANDS)


@pytest.mark.parametrize(
    "arguments",
    [
        ("no-such-command",),
        ("check",),
        ("check", "99"),
        ("check", "no/such/file.ipynb"),
        ("check", __file__),
        ("build", "99_nowhere"),
        ("release", "99"),
        ("release", "02", "--due", "tomorrow"),
        ("grade", "99"),
        ("lab", "--port", "0"),
        ("lab", "--port", "abc"),
        ("doctor", "extra"),
    ],
    ids=" ".join,
)
def test_wrong_use_ends_with_2_and_no_traceback(arguments, tmp_path):
    done = nnlm(*arguments, *(("--course-dir", tmp_path) if arguments[0] in ("release", "grade") else ()))
    assert done.exit_code == 2, done.output
    assert "Traceback" not in done.output


def test_what_is_wrong_is_one_sentence_on_stderr():
    command = [sys.executable, "-m", "autograder.cli", "check", "99"]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=60)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("There is no chapter '99'; choose one of 0")
    assert len(done.stderr.splitlines()) == 1


def test_check_says_what_the_panel_says_and_fails():
    done = nnlm("check", "00")
    assert done.exit_code == 1
    assert "✗ scale_and_shift: Its cell still raises NotImplementedError" in done.output
    assert "0 of 2 checks passed" in done.output


def test_check_and_doctor_print_json():
    done = nnlm("check", "00", "--json")
    data = json.loads(done.stdout)
    assert {"notebook", "passed", "failed", "not_reached", "checks"} <= set(data)
    assert (data["passed"], data["failed"], [verdict["kind"] for verdict in data["checks"]]) == (
        0,
        2,
        ["unfinished"] * 2,
    )
    done = nnlm("doctor", "--json")
    assert done.exit_code == int(not json.loads(done.stdout)["healthy"])


# ---- lab -------------------------------------------------------------------------------------------------------------
def test_a_taken_port_is_passed_by():
    with socket.create_server((lab.HOST, 0)) as taken:
        port = taken.getsockname()[1]
        assert port < lab.free_port(port) < port + 100


def test_no_free_port_is_said(monkeypatch):
    def taken(*_):
        raise OSError

    monkeypatch.setattr(socket.socket, "bind", taken)
    done = nnlm("lab", "--no-browser", "--port", "65500")
    assert done.exit_code == 1
    assert "No port from 65500 to 65535 is free" in done.output


def test_a_lab_that_ends_at_once_says_why(monkeypatch):
    monkeypatch.setattr(lab, "options", lambda port, browser: ["--ServerApp.port=not-a-number"])
    with lab.Lab(18888) as started, pytest.raises(lab.LabError, match=r"JupyterLab ended while it started: .*port"):
        started.wait()


def test_the_token_is_not_on_the_command_line(tmp_path):
    lab.write_settings(tmp_path, "a-secret")
    assert "a-secret" in (tmp_path / "jupyter_server_config.json").read_text()
    assert not any("a-secret" in option for option in lab.options(8888, browser=False))
    kernel = json.loads((tmp_path / "kernels" / "python3" / "kernel.json").read_text())
    assert kernel["argv"][0] == sys.executable


# ---- test ------------------------------------------------------------------------------------------------------------
def test_slow_tests_are_left_out_unless_wanted():
    assert testing.pytest_arguments(False, ["-k", "lab"]) == [
        "-n",
        "2",
        "--dist",
        "loadfile",
        "-m",
        "not full",
        "-k",
        "lab",
    ]
    assert testing.pytest_arguments(True, []) == ["-n", "2", "--dist", "loadfile"]


def test_pytest_gets_unknown_arguments(monkeypatch):
    asked = []
    monkeypatch.setattr(testing, "run", lambda full, more, tell: asked.append((full, more)) or 0)
    assert nnlm("test", "-x", "--full", "-k", "lab", "tests/test_cli.py").exit_code == 0
    assert asked == [(True, ["-x", "-k", "lab", "tests/test_cli.py"])]


def test_one_thing_that_is_not_clean_fails_the_whole(monkeypatch):
    said = []
    codes = {"ruff": 1}
    order = []

    def run(command, **_):
        order.append(command[2])
        return subprocess.CompletedProcess(command, codes.get(command[2], 0), "found something\n", "")

    monkeypatch.setattr(testing.subprocess, "run", run)
    assert testing.run(False, [], said.append) == 1
    assert order == ["ruff", "ruff", "mypy", "autograder.cli", "pytest"]
    assert said[0] == "✗ ruff check"
    assert said[-1] == "Not clean: ruff check, ruff format --check."


def test_tests_without_their_tools_say_how_to_get_them(monkeypatch):
    monkeypatch.setattr(testing, "missing_tools", lambda: ["pytest", "xdist"])
    done = nnlm("test")
    assert done.exit_code == 1
    assert "pytest, xdist not installed; run `python3 start.py test`" in " ".join(done.output.split())
