"""start.py: its sentences, exit codes and recoveries. Nothing here needs the network."""

import ast
import errno
import importlib.util
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from itertools import chain
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).resolve().parent.parent
posix = pytest.mark.skipif(os.name == "nt", reason="signals and stub programs as on Linux and macOS")


@pytest.fixture
def start():
    """start.py as a module of its own for each test."""
    spec = importlib.util.spec_from_file_location("start_under_test", ROOT / "start.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def folder(tmp_path):
    """A copy of the course's outermost files in a folder whose name has a space and Chinese characters."""
    folder = tmp_path / "语言 模型"
    folder.mkdir()
    for name in ("start.py", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, folder)
    return folder


# Stands for pip: prints what pip would, does what a test asks for in the file `plan`, and "installs" a command line.
STUB_PIP = """
import pathlib, sys, time
import pip
site, root = pathlib.Path(pip.__file__).parent.parent, pathlib.Path.cwd()
with open(root / "calls", "a", encoding="utf-8") as calls:
    calls.write(" ".join(sys.argv[1:]) + "\\n")
plan = root / "plan"
if plan.exists():
    exec(plan.read_text(encoding="utf-8"))
print("Collecting numpy<3,>=2.0")
print("Installing collected packages: numpy, nnlm-course")
(site / "autograder").mkdir(exist_ok=True)
(site / "autograder" / "cli.py").write_text(
    "import os, sys\\n"
    "print('COMMAND', sys.argv[1:])\\n"
    "print('PATH', os.environ['PATH'].split(os.pathsep)[0])\\n"
    "sys.exit(7 if 'seven' in sys.argv else 0)\\n"
)
"""


@pytest.fixture
def stub(folder):
    """The folder with a real virtual environment, unfinished, whose pip is a stub."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / ".venv"], check=True)
    (site,) = [*folder.glob(".venv/lib/python3*/site-packages"), *folder.glob(".venv/Lib/site-packages")]
    (site / "pip").mkdir()
    (site / "pip" / "__init__.py").touch()
    (site / "pip" / "__main__.py").write_text(STUB_PIP, encoding="utf-8")
    return folder


def environment(**more):
    """This process's environment without settings of pip."""
    return {k: v for k, v in os.environ.items() if not k.startswith("PIP_")} | {"PYTHONUTF8": "1"} | more


def run(folder, *arguments, prefix=(), **more):
    """Run start.py to its end."""
    return subprocess.run(
        [*prefix, sys.executable, folder / "start.py", *arguments],
        env=environment(**more),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=120,
    )


def begin(folder, *arguments):
    """Start start.py and come back while it runs."""
    return subprocess.Popen(
        [sys.executable, folder / "start.py", *arguments],
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        start_new_session=True,
    )


def calls(folder):
    """How pip was called, a line each."""
    path = folder / "calls"
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def until(condition):
    """Wait for something that another process does."""
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def refused(result, code, *parts):
    """The start ended with this code and exactly one sentence, which has these parts."""
    assert result.returncode == code, result.stderr
    sentence = result.stderr.strip()
    assert "\n" not in sentence
    assert sentence.endswith(".")
    assert "Traceback" not in result.stdout
    for part in parts:
        assert part in sentence


def refuse_here(start, capsys, arguments, code, *parts):
    """The same for a start inside this process."""
    assert start.main(arguments) == code
    sentence = capsys.readouterr().err.strip()
    assert "\n" not in sentence
    assert sentence.endswith(".")
    for part in parts:
        assert part in sentence


# ---------------------------------------------------------------------------------------------------------- arguments


def test_parses_on_old_pythons():
    source = (ROOT / "start.py").read_text(encoding="utf-8")
    ast.parse(source, feature_version=(3, 6))
    assert "__future__" not in source


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", (False, [], ["lab"])),
        ("--no-browser", (False, [], ["lab", "--no-browser"])),
        ("--port 8899 --no-browser", (False, [], ["lab", "--port", "8899", "--no-browser"])),
        ("--port=8899", (False, [], ["lab", "--port", "8899"])),
        ("--no-browser lab --debug", (False, [], ["lab", "--debug", "--no-browser"])),
        ("test -k grade --full", (False, ["test"], ["test", "-k", "grade", "--full"])),
        ("--here check 06.ipynb --json", (True, [], ["check", "06.ipynb", "--json"])),
        ("--with postgres grade 06", (False, ["postgres"], ["grade", "06"])),
        ("site --serve", (False, ["site"], ["site", "--serve"])),
        ("check --help", (False, [], ["check", "--help"])),
        ("--help-commands", (False, [], ["--help"])),
        ("--here -h", (True, [], None)),
    ],
)
def test_arguments(start, line, expected):
    assert start.read_arguments(line.split()) == expected


@pytest.mark.parametrize(
    ("line", "part"),
    [
        ("--tests", "does not know --tests"),
        ("--port", "--port needs a number"),
        ("--port eighty", "'eighty'"),
        ("--port 70000", "65535"),
        ("--with gpu", "choose from test, postgres"),
        ("--no-browser grade 06", "leave it out"),
    ],
)
def test_wrong_use(start, capsys, line, part):
    refuse_here(start, capsys, line.split(), 2, part)


def test_help_installs_nothing(folder):
    result = run(folder, "--help")
    assert result.returncode == 0
    assert "--no-browser" in result.stdout
    assert not (folder / ".venv").exists()


# ------------------------------------------------------------------------------------------------------- wrong Python


@pytest.mark.parametrize("better", ["python3.12", None])
def test_old_python(start, capsys, monkeypatch, better):
    monkeypatch.setattr(sys, "version_info", (3, 9, 1, "final", 0))
    monkeypatch.setattr(start, "newer_python", lambda: better)
    refuse_here(start, capsys, ["check", "a b"], 1, "Python 3.9.1", "run `python3.12 start.py check 'a b'`.")


@posix
def test_newer_python_skips_names_that_do_not_run(start, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert start.newer_python() is None
    for name, text in {"python3.13": "#!/bin/sh\nexit 127\n", "python3.11": "#!/bin/sh\necho True\n"}.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    assert start.newer_python() == "python3.11"


@posix
def test_no_venv_module(folder, tmp_path):
    (tmp_path / "stubs").mkdir()
    (tmp_path / "stubs" / "ensurepip.py").write_text("raise ImportError('removed by the system')")
    result = run(folder, PYTHONPATH=str(tmp_path / "stubs"))
    refused(result, 1, "cannot make virtual environments", "apt install python3-venv")


# ------------------------------------------------------------------------------------------- installing and recovering


@posix
def test_first_second_and_changed_start(stub):
    first = run(stub, "--no-browser", "--port", "8899")
    assert first.returncode == 0, first.stderr
    assert [line.split()[0] for line in first.stdout.splitlines() if line[1:3] == "/3"] == ["1/3", "2/3", "3/3"]
    assert "COMMAND ['lab', '--no-browser', '--port', '8899']" in first.stdout
    assert f"PATH {stub / '.venv' / 'bin'}" in first.stdout
    assert len(calls(stub)) == 1
    assert calls(stub)[0].endswith("-c constraints.txt -e .")

    second = run(stub, "grade", "seven")
    assert (second.returncode, second.stderr) == (7, "")
    assert second.stdout.startswith("COMMAND ['grade', 'seven']")
    assert len(calls(stub)) == 1, "pip was called although nothing had changed"

    (stub / "constraints.txt").write_text("numpy==2.0.0\n")
    assert run(stub).returncode == 0
    assert len(calls(stub)) == 2


@posix
def test_extra_is_added_and_stays(stub, tmp_path):
    # no apt-get and no browser on this PATH
    result = run(stub, "test", "-k", "x", PATH=str(tmp_path))
    assert result.returncode == 0, result.stderr
    assert "COMMAND ['test', '-k', 'x']" in result.stdout
    assert calls(stub)[-1].endswith("-e .[test]")
    run(stub)
    assert len(calls(stub)) == 1
    run(stub, "--with", "postgres")
    assert calls(stub)[1].endswith("-e .[postgres,test]")


@posix
@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "disk is full"),
        ("WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError'", "internet"),
        ("ERROR: Something unheard-of.", "Something unheard-of"),
    ],
)
def test_failed_pip_then_recovery(stub, text, part):
    (stub / "plan").write_text(f"print({text!r}); sys.exit(1)")
    refused(run(stub), 1, part)
    (stub / "plan").unlink()
    assert run(stub).returncode == 0


@posix
def test_no_network_and_half_made_environment(folder):
    (folder / ".venv" / "bin").mkdir(parents=True)
    (folder / ".venv" / "pyvenv.cfg").write_text("home = /nowhere\n")
    (folder / ".venv" / "bin" / "python").symlink_to("/nowhere/python3")
    (folder / ".venv" / "old").touch()
    offline = {"PIP_CONFIG_FILE": os.devnull, "PIP_RETRIES": "0", "PIP_INDEX_URL": "http://127.0.0.1:9/"}
    result = run(folder, **offline)
    refused(result, 1, "could not be downloaded", "run the same command again")
    assert "1/3  .venv made" in result.stdout
    assert not (folder / ".venv" / "old").exists()
    again = run(folder, PIP_CONFIG_FILE=os.devnull, PIP_NO_INDEX="1")
    refused(again, 1, "could not be downloaded")
    assert "1/3  .venv is there" in again.stdout, "what was usable was not kept"


@posix
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_then_resumed(stub, number):
    (stub / "plan").write_text("print('Collecting numpy', flush=True); (root / 'busy').touch(); time.sleep(60)")
    process = begin(stub)
    until((stub / "busy").exists)
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    refused(subprocess.CompletedProcess([], process.returncode, out, err), 1, "Stopped", "run the same command again")
    (stub / "plan").unlink()
    assert run(stub).returncode == 0


@posix
def test_killed_then_resumed(stub):
    """Only start.py is killed: its pip works on, and the next start waits for it instead of working against it."""
    (stub / "plan").write_text(
        "import os; open(os.environ['TMPDIR'] + '/left', 'w'); (root / 'busy').touch()\n"
        "time.sleep(1); (root / 'ended').touch()"
    )
    process = begin(stub)
    until((stub / "busy").exists)
    process.kill()
    process.communicate()
    result = run(stub)
    assert result.returncode == 0, result.stderr
    assert (stub / "ended").exists()
    assert not (stub / ".venv" / "nnlm-tmp").exists()
    assert len(calls(stub)) == 2


@posix
def test_two_starts_at_once(stub):
    (stub / "plan").write_text("(root / 'busy').touch()\nwhile not (root / 'go').exists(): time.sleep(0.02)")
    first = begin(stub)
    until((stub / "busy").exists)
    refused(run(stub), 1, f"Another start is installing here (process {first.pid})", "wait until it is done")
    (stub / "go").touch()
    out, err = first.communicate(timeout=20)
    assert first.returncode == 0, err
    assert "COMMAND ['lab']" in out
    assert len(calls(stub)) == 1


def test_lock_file_of_a_dead_process_is_no_lock(start, folder):
    (folder / ".venv").mkdir()
    (folder / ".venv" / start.LOCK).write_text("999999999")
    lock = start.Lock(start.Place(str(folder)), start.Progress(io.StringIO()))
    assert (folder / ".venv" / start.LOCK).read_text() == str(os.getpid())
    lock.release()


@pytest.mark.parametrize("change", [{"python": "cpython-310"}, {"root": "/moved/from/here"}])
def test_foreign_or_moved_environment_is_made_anew(start, folder, monkeypatch, change):
    place = start.Place(str(folder))
    os.makedirs(place.scripts)
    for name in ("pyvenv.cfg", "bin/tool", start.LOCK):
        (folder / ".venv" / name).parent.mkdir(exist_ok=True)
        (folder / ".venv" / name).touch()
    place.write_stamp("key", ["test"])
    stamp = json.loads((folder / ".venv" / start.STAMP).read_text()) | change
    (folder / ".venv" / start.STAMP).write_text(json.dumps(stamp))
    assert not place.is_ready("key", [])
    commands = []
    monkeypatch.setattr(start, "run_logged", lambda command, *rest: commands.append(command) or 0)
    start.make_environment(place, None, start.Progress(io.StringIO()))
    assert commands[0][1:] == ["-m", "venv", str(folder / ".venv")]
    assert {path.name for path in (folder / ".venv").iterdir()} == {start.LOCK, start.STAMP}
    assert not place.is_ready("key", []), "a new, empty environment is not ready"


def test_half_installed_packages_are_forgotten(start, folder):
    place = start.Place(str(folder))
    site = Path(place.site)
    for name in ("numpy-2.0.dist-info", "torch-2.13.dist-info", "~umpy"):
        (site / name).mkdir(parents=True)
    (site / "numpy-2.0.dist-info" / "INSTALLER").write_text("pip\n")
    (site / "~ile.py").touch()
    start.repair(place)
    assert [path.name for path in site.iterdir()] == ["numpy-2.0.dist-info"]


def test_stamp(start, folder):
    place = start.Place(str(folder))
    os.makedirs(place.scripts)
    Path(place.python).touch(mode=0o755)
    assert not place.is_ready("key", [])
    place.write_stamp("key", ["test"])
    assert place.is_ready("key", [])
    assert place.is_ready("key", ["test"])
    assert not place.is_ready("key", ["postgres"])
    assert not place.is_ready("other", [])
    for broken in ("", "[]", '{"extras": 3}', "{"):
        (folder / ".venv" / start.STAMP).write_text(broken)
        assert not place.is_ready("key", [])
    place.write_stamp("key", [])
    os.remove(place.python)
    assert not place.is_ready("key", [])


# ------------------------------------------------------------------------------------------------------ the file system


def test_little_space(start, capsys, folder, monkeypatch):
    monkeypatch.setattr(start, "ROOT", str(folder))
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**10, 9 * 10**9, 10**9))
    refuse_here(start, capsys, [], 1, "Only 1.0 GB are free here", "needs 3.0 GB", "make room")
    assert not (folder / ".venv").exists()
    place = start.Place(str(folder))
    os.makedirs(os.path.join(place.site, "torch"))
    start.check_space(place)  # an update needs less


@pytest.mark.parametrize(
    ("number", "part"),
    [
        (errno.EACCES, "move the course to a folder of your own"),
        (errno.EROFS, "move the course to a folder of your own"),
        (errno.ENOSPC, "The disk is full"),
        (errno.EIO, "put that right"),
    ],
)
def test_system_errors(start, capsys, folder, monkeypatch, number, part):
    def fail(path, **rest):
        raise OSError(number, os.strerror(number), path)

    monkeypatch.setattr(start, "ROOT", str(folder))
    monkeypatch.setattr(os, "makedirs", fail)
    refuse_here(start, capsys, [], 1, part)


@posix
def test_read_only_folder(folder):
    prefix = []
    if os.geteuid() == 0:  # root ignores permissions until it gives that right away
        prefix = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
        if not shutil.which("setpriv") or subprocess.run([*prefix, "true"], capture_output=True).returncode:
            pytest.skip("root, and no setpriv")
    folder.chmod(0o555)
    try:
        result = run(folder, prefix=prefix)
    finally:
        folder.chmod(0o755)
    refused(result, 1, f"{folder / '.venv'} cannot be written", "move the course to a folder of your own")


def test_file_called_venv(folder):
    (folder / ".venv").touch()
    refused(run(folder), 1, "a file called .venv", "remove it")


def test_incomplete_course(folder):
    (folder / "constraints.txt").unlink()
    refused(run(folder), 1, "constraints.txt is missing", "again")


@posix
def test_colon_in_the_path(folder):
    folder = folder.rename(folder.with_name("week 1: start"))
    refused(run(folder), 1, "':'", "rename the folder")


def test_here_refuses_a_managed_python(start, capsys, tmp_path, monkeypatch):
    (tmp_path / "EXTERNALLY-MANAGED").touch()
    monkeypatch.setattr("sysconfig.get_path", lambda name: str(tmp_path))
    monkeypatch.setattr(start, "is_venv", lambda: False)
    refuse_here(start, capsys, ["--here"], 1, "--here needs an active conda or virtual environment")


@posix
def test_here_uses_the_running_environment(stub):
    for _ in range(2):
        result = subprocess.run(
            [stub / ".venv" / "bin" / "python", stub / "start.py", "--here", "check", "a"],
            env=environment(),
            capture_output=True,
            encoding="utf-8",
        )
        assert result.returncode == 0, result.stderr
        assert "COMMAND ['check', 'a']" in result.stdout
        assert f"PATH {stub / '.venv' / 'bin'}" in result.stdout
    assert len(calls(stub)) == 1


# ------------------------------------------------------------------------------------------------- reading pip's output

NO_TORCH = "ERROR: Could not find a version that satisfies the requirement torch<3,>=2.4 (from x) (from versions: {})"
NO_SETUPTOOLS = "  ERROR: Could not find a version that satisfies the requirement setuptools>=77 (from versions: none)"
CONFLICT = "    The user requested (constraint) torch==2.13.0\n\nERROR: ResolutionImpossible: for help visit a page"


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("OSError: [Errno 28] No space left on device\nWARNING: Retrying (Retry(total=4", "disk is full"),
        (
            "ERROR: Could not install packages due to an OSError: [Errno 13] Permission denied: 'x'",
            "could not be written",
        ),
        ("HINT: This error might have occurred since this system does not have Windows Long Path support", "too long"),
        ("The virtual environment was not created successfully because ensurepip is not available.", "python3-venv"),
        (NO_SETUPTOOLS, "could not be downloaded"),
        ("WARNING: Retrying (Retry(total=0)) after ...\n" + NO_TORCH.format("none"), "could not be downloaded"),
        ("ReadTimeoutError: HTTPSConnectionPool(host='files')", "could not be downloaded"),
        (NO_TORCH.format("none"), "no fitting torch<3,>=2.4 for Python"),
        (NO_TORCH.format("2.1.0, 2.2.0"), "start again with another Python"),
        (CONFLICT, "no fitting torch==2.13.0 for Python"),
        ("ERROR: Failed building wheel for x\nerror: command 'gcc' failed", "(command 'gcc' failed)"),
        ("", "(exit code 2)"),
    ],
)
def test_explanations(start, monkeypatch, text, part):
    monkeypatch.delenv("PIP_NO_INDEX", raising=False)
    monkeypatch.setattr(start, "system_name", lambda: "Linux x86_64")
    sentence = start.explain(text, 2, "LOG")
    assert part in sentence
    assert sentence.endswith(".")
    assert "\n" not in sentence


def test_intel_mac(start, monkeypatch):
    monkeypatch.delenv("PIP_NO_INDEX", raising=False)
    monkeypatch.setattr(start, "system_name", lambda: "Darwin x86_64")
    assert "Intel" in start.explain(CONFLICT, 1, "LOG")


def test_progress_counts_packages(start, folder):
    place, out = start.Place(str(folder)), io.StringIO()
    os.makedirs(place.folder)
    log = Path(place.path(start.LOG))
    log.write_text(
        "Collecting numpy<3,>=2.0 (from nnlm-course)\n  Using cached numpy-2.4.6-cp311-x.whl (16 MB)\n"
        "Processing /some/where/typing_extensions-4.16.0-py3-none-any.whl (from x)\n"
        "Requirement already satisfied: typing-extensions in x\n"
        "Collecting torch<3,>=2.4\n  Downloading torch-2.13.0-cp312-cp312-win_amd64.whl (122.1 MB)\nInstal"
    )
    watch = start.PipWatch(place, start.Progress(out), 0)
    watch()
    assert watch.found == {"numpy", "typing-extensions", "torch"}
    assert watch.current == "torch 2.13.0 (122.1 MB)"
    with log.open("a") as file:
        file.write("ling collected packages: numpy, torch\n")
    watch()
    assert watch.total == 2
    assert "2/3  packages to install: 2, 0 s\n" in out.getvalue()


def test_progress_line_on_a_terminal(start, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    out = Terminal()
    monkeypatch.setenv("COLUMNS", "20")
    progress = start.Progress(out)
    progress.show("a text that is longer than the terminal is wide")
    progress.done("1/3  done")
    shown = out.getvalue().split("\r")
    assert max(map(len, shown[:-1])) < 20
    assert shown[-1] == "1/3  done, 0 s\n"
    assert [start.in_words(seconds) for seconds in (0.4, 59.9, 60, 125)] == ["0 s", "59 s", "1 min 00 s", "2 min 05 s"]


# ------------------------------------------------------------------------------------------------------------- browser


def test_browser_present(start, folder, monkeypatch, capsys):
    monkeypatch.setattr(shutil, "which", lambda name: "/usr/bin/chromium" if name == "chromium" else None)
    start.provide_browser(start.Place(str(folder)))
    assert capsys.readouterr().out == ""


@posix
@pytest.mark.parametrize(("user", "works"), [(0, True), (0, False), (1000, False)])
def test_browser_missing(start, folder, monkeypatch, capsys, user, works):
    installed = []
    monkeypatch.setattr(start, "find_browser", lambda: "/usr/bin/chromium" if works and installed else None)
    monkeypatch.setattr(shutil, "which", lambda name: "/usr/bin/apt-get" if name == "apt-get" else None)
    monkeypatch.setattr(os, "geteuid", lambda: user)
    monkeypatch.setattr(subprocess, "call", lambda command, **rest: installed.append(command) or 0)
    place = start.Place(str(folder))
    os.makedirs(place.folder)
    start.provide_browser(place)
    said = capsys.readouterr().out
    assert bool(installed) == (user == 0)
    assert said.startswith("Installing Chromium") == (user == 0)
    assert ("browser tests will be skipped" in said) == (not works)
    if installed:
        assert [command[2] for command in installed] == ["update", "install"]
        assert installed[1][-1] == "chromium"


# -------------------------------------------------------------------------------------------- one list of dependencies


def project():
    """The project table of pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def pins():
    """Name and version of every pin."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    requirements = [Requirement(line) for line in lines if line and not line.startswith("#")]
    found = {}
    for requirement in requirements:
        (specifier,) = requirement.specifier
        assert specifier.operator == "=="
        assert "+" not in specifier.version
        assert canonical(requirement.name) not in found, "pinned twice"
        found[canonical(requirement.name)] = specifier.version
    return found


def canonical(name):
    """A package's name as the index compares it."""
    return name.lower().replace("_", "-").replace(".", "-")


def test_every_dependency_has_a_fitting_pin():
    table, pinned = project(), pins()
    for requirement in map(Requirement, chain(table["dependencies"], *table["optional-dependencies"].values())):
        version = pinned.get(canonical(requirement.name))
        assert version, f"{requirement.name} has no pin in constraints.txt"
        assert version in requirement.specifier, f"{requirement.name}=={version} is outside {requirement.specifier}"
    assert not {"pip", canonical(table["name"])} & set(pinned)


def test_extras_are_those_of_the_project(start):
    assert set(start.EXTRAS) == set(project()["optional-dependencies"])
    assert SpecifierSet(project()["requires-python"]) == SpecifierSet(">=" + ".".join(map(str, start.OLDEST)))


def test_conda_draws_from_the_same_list():
    conda = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    *plain, last = conda["dependencies"]
    assert last == {"pip": ["-c constraints.txt", "-e ."]}
    assert [name.split(">")[0] for name in plain] == ["python", "pip"]
    assert project()["requires-python"] in plain[0]


@posix
def test_ci_runs_the_command_of_the_readme():
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    subprocess.run(["bash", "-n", script], check=True)
    assert script.read_text().rstrip().endswith("start.py test </dev/null")
    assert "python3 start.py test" in (ROOT / "README.md").read_text(encoding="utf-8")
