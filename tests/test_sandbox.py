"""The sandbox's own promise, seen from inside at every level that this machine offers, and what is left when a child ends."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from sandbox_probe import SOURCE

from autograder.bundle import importable_files
from autograder.paths import ROOT
from autograder.sandbox import isolation, seccomp
from autograder.sandbox.isolation import LEVELS, Limits
from autograder.sandbox.session import Server, Stopped, _sweep

EXPECTED = json.loads(Path(__file__).with_name("sandbox_expected.json").read_text())
BEST = isolation.level()
JAILS = [name for name in LEVELS[:-1] if LEVELS.index(name) >= LEVELS.index(BEST)]

pytestmark = pytest.mark.skipif(not JAILS, reason=f"this machine offers no jail: {isolation.describe_level()}")
at_every_level = pytest.mark.parametrize("server", JAILS, indirect=True)
TIGHT = Limits(cell_seconds=4, call_seconds=4, total_seconds=60, memory_mb=400, disk_mb=16, files=400, processes=40)


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[str, Server]]:
    """A server for each level, started when first asked for."""
    made: dict[str, Server] = {}
    yield made
    for server in made.values():
        server.close()


@pytest.fixture
def server(request: pytest.FixtureRequest, servers: dict[str, Server]) -> Server:
    level = getattr(request, "param", JAILS[0] if JAILS else "none")
    if level not in servers:
        servers[level] = Server(importable_files(), ROOT, at_most=level)
    assert servers[level].level == level, servers[level].why
    return servers[level]


@contextlib.contextmanager
def outside(server: Server) -> Iterator[dict[str, Any]]:
    """Things on the trusted side that a child may look for."""
    with (
        tempfile.TemporaryDirectory() as folder,
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.socket(socket.AF_UNIX) as unix,
        socket.socket(socket.AF_UNIX) as abstract,
    ):
        os.chmod(folder, 0o777)
        secret, path = Path(folder, "secret"), f"{folder}/socket"
        secret.write_text("secret")
        unix.bind(path)
        unix.listen()
        abstract.bind(f"\0nnlm-{os.getpid()}")
        abstract.listen()
        for name in (path, str(secret)):
            os.chmod(name, 0o777)
        yield {
            "shadow": "/etc/shadow",
            "readme": str(ROOT / "README.md"),
            "solution": str(ROOT / "solutions" / "perceptron.py"),
            "log": str(server.folder / "server.log"),
            "secret": str(secret),
            "home": str(Path.home() / ".bashrc"),
            "folder": Path(folder).name,
            "grader": os.getpid(),
            "parent": os.getppid(),
            "server": server.pid,
            "port": listener.getsockname()[1],
            "unix": path,
            "abstract": f"nnlm-{os.getpid()}",
        }


def inside(server: Server) -> dict[str, str]:
    with outside(server) as places, server.open(Limits()) as session:
        assert not session.run_cell(SOURCE)["failed"]
        answer = session.call("probe", {"places": places}, None)
    assert answer.status == "returned", answer
    return dict(answer.value)


@at_every_level
@pytest.mark.skipif(os.geteuid() != 0, reason="the expectations are those of a server that runs as root")
def test_what_can_be_seen_and_done_inside_is_what_was_promised(server: Server) -> None:
    found, promised = inside(server), EXPECTED[server.level]
    assert set(found) == set(promised)
    wrong = {name: (word, promised[name]) for name, word in found.items() if word not in promised[name].split("|")}
    assert not wrong, f"name: (found, promised) {wrong}"


# ---- limits ----------------------------------------------------------------------------------------------------------
HOGS = {
    "memory": (
        "x = []\nwhile True: x.append(bytearray(2**22))",
        ("400 MB of memory", "MemoryError"),
    ),
    "memory of several processes": (
        "import os, time\nfor _ in range(8):\n    if os.fork() == 0:\n        x = bytearray(100 * 2**20)\n        time.sleep(60)\n"
        "time.sleep(60)",
        ("400 MB of memory",),
    ),
    "memory without a name": (
        "import os\nfd = os.memfd_create('x')\nwhile True: os.write(fd, bytes(2**20))",
        ("400 MB of memory", "PermissionError", "File too large"),
    ),
    "many memories without a name": (
        "import os\nfds = []\nwhile True:\n    fds.append(os.memfd_create('x'))\n"
        "    for _ in range(60): os.write(fds[-1], bytes(2**20))",
        ("400 MB of memory", "PermissionError"),
    ),
    "disk": (
        "import time\nfor i in range(100):\n    with open(f'f{i}', 'wb') as f: f.write(bytes(2**20))\ntime.sleep(60)",
        ("No space left", "16 MB of files"),
    ),
    "a large file": (
        "open('f', 'wb').write(bytes(70 * 2**20))",
        ("File too large", "No space left", "16 MB of files"),
    ),
    "processes": (
        "import os, time\nwhile True:\n    try:\n        os.fork()\n    except OSError:\n        time.sleep(0.01)",
        ("did not end within", "40 processes"),
    ),
    "threads": (
        "import threading, time\nfor _ in range(1000): threading.Thread(target=time.sleep, args=(60,)).start()",
        ("can't start new thread", "40 processes"),
    ),
    "output": (
        "while True: print('x' * 100_000)",
        ("did not end within",),
    ),
    "a sleep that ignores interrupts": (
        "import signal, time\n[signal.signal(s, signal.SIG_IGN) for s in (2, 15)]\nwhile True: time.sleep(1)",
        ("did not end within",),
    ),
}


@at_every_level
@pytest.mark.parametrize("hog", HOGS)
def test_what_uses_up_the_machine_is_stopped_and_the_cause_is_named(server: Server, hog: str) -> None:
    source, words = HOGS[hog]
    with server.open(TIGHT) as session:
        try:
            said = str(session.run_cell(source)["outputs"])
        except Stopped as stopped:
            said = stopped.reason
    assert any(word in said for word in words), said[-600:]
    with server.open(Limits()) as another:
        assert not another.run_cell("1 + 1")["failed"]


@at_every_level
def test_nothing_is_left_of_a_child(server: Server) -> None:
    def processes() -> set[int]:
        tree = psutil.Process(server.process.pid).children(recursive=True)
        return {p.pid for p in tree if p.status() != psutil.STATUS_ZOMBIE}

    def groups() -> list[Path]:
        return [path for path in Path("/sys/fs/cgroup").rglob(f"nnlm-{server.pid}/*") if path.is_dir()]

    def mounts() -> list[str]:
        return [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if "nnlm" in line]

    before = (processes(), groups(), mounts(), sorted(os.listdir(server.folder)))
    for source in (
        "x = 1",
        "import os\nos._exit(3)",
        "while True: pass",
        "import subprocess\nsubprocess.Popen(['sleep', '600'], start_new_session=True)",
        "import os, time\nif os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n        time.sleep(600)\n    os._exit(0)",
    ):
        with server.open(Limits(cell_seconds=1)) as session, contextlib.suppress(Stopped):
            session.run_cell(source)
    assert (processes(), groups(), mounts(), sorted(os.listdir(server.folder))) == before
    left = [p for p in psutil.process_iter(["cmdline"]) if p.info["cmdline"] == ["sleep", "600"]]
    assert left == []


@at_every_level
def test_an_answer_that_drips_ends_at_the_deadline(server: Server) -> None:
    drip = (
        "import os, time\nfor fd in range(3, 40):\n    try:\n        os.write(fd, b'\\x10')\n        mine = fd\n"
        "    except OSError:\n        pass\nwhile True:\n    os.write(mine, b'\\x00')\n    time.sleep(0.05)"
    )
    with server.open(Limits(cell_seconds=1.5)) as session, pytest.raises(Stopped) as caught:
        session.run_cell(drip)
    assert caught.value.status in ("timeout", "died")


@at_every_level
def test_one_child_does_not_see_another(server: Server) -> None:
    secret = (
        "import os\nopen(os.environ['TMPDIR'] + '/secret', 'w').write('x')\nos.environ['SECRET'] = 'x'\n"
        "open('/dev/shm/secret', 'w').write('x')"
    )
    look = (
        "import glob, os\n"
        "print([p for p in glob.glob('/tmp/**/secret', recursive=True) + glob.glob('/dev/shm/*')], 'SECRET' in os.environ)"
    )
    with server.open(Limits()) as one, server.open(Limits()) as two:
        one.run_cell(secret)
        said = two.run_cell(look)["outputs"][0]["text"]
        assert said.startswith("[] False"), said
        assert one.run_cell("print(open(os.environ['TMPDIR'] + '/secret').read())")["outputs"][0]["text"] == "x\n"


# ---- the end of those who hold it ------------------------------------------------------------------------------------
HOLDER = """
import sys, time
from autograder.bundle import importable_files
from autograder.paths import ROOT
from autograder.sandbox.isolation import Limits
from autograder.sandbox.session import Server
server = Server(importable_files(), ROOT, at_most=sys.argv[1])
session = server.open(Limits())
session.run_cell("import subprocess\\nsubprocess.Popen(['sleep', sys.argv[2]], start_new_session=True)".replace(
    "sys.argv[2]", repr(sys.argv[2])))
print(server.folder, server.pid, flush=True)
session.run_cell("while True: pass")
"""


@at_every_level
@pytest.mark.parametrize("victim", ["grader", "server"])
def test_killing_the_grader_or_the_server_ends_everything(server: Server, victim: str) -> None:
    if victim == "server" and server.level == "landlock":
        pytest.skip("without a namespace of processes, what left its session outlives a server that is killed")
    seconds = f"{600 + time.time() % 1:.6f}"  # a sleep of our own, whoever else runs this test

    def sleepers() -> list[int]:
        return [p.pid for p in psutil.process_iter(["cmdline"]) if p.info["cmdline"] == ["sleep", seconds]]

    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, server.level, seconds],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    folder, pid = process.stdout.readline().split()
    deadline = time.monotonic() + 10
    while not sleepers() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert sleepers()
    os.kill(process.pid if victim == "grader" else int(pid), signal.SIGKILL)
    process.communicate(timeout=60)
    deadline = time.monotonic() + 20
    while (sleepers() or psutil.pid_exists(int(pid))) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert sleepers() == []
    assert not psutil.pid_exists(int(pid))
    _sweep()  # nobody was left to remove its folder and groups; the next server does so before it starts
    assert not Path(folder).exists()
    with Server(importable_files(), ROOT, at_most=server.level):
        assert [path for path in Path("/sys/fs/cgroup").rglob(f"nnlm-{pid}")] == []


def test_a_course_inside_a_folder_that_python_is_read_from_is_hidden(tmp_path: Path) -> None:
    """As when the course was unpacked below an environment's folder."""
    course = Path(sys.prefix, f"course-{os.getpid()}")
    (course / "autograder").mkdir(parents=True)
    (course / "secret").write_text("secret")
    try:
        for file in importable_files():
            target = course / file.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)
        files = [course / file.relative_to(ROOT) for file in importable_files()]
        with Server(files, course) as server:
            if server.level in ("full", "no-cgroup"):
                with server.open(Limits()) as session:
                    said = session.run_cell(f"import os; print(os.listdir({str(course)!r}))")["outputs"][0]["text"]
                assert said == "[]\n"
            else:
                assert "move the course elsewhere" in server.why
    finally:
        shutil.rmtree(course)


# ---- levels ----------------------------------------------------------------------------------------------------------
def test_a_level_says_what_it_means_and_why_it_is_no_stronger() -> None:
    for name in LEVELS:
        assert isolation.describe_level(name).startswith(f"{name}: ")
    assert "NOT SANDBOXED" in isolation.describe_level("none", "landlock: the kernel has no Landlock")
    assert "no Landlock" in isolation.describe_level("none", "landlock: the kernel has no Landlock")
    assert isolation.safe("landlock")
    assert not isolation.safe("none")


def test_a_request_cannot_choose_a_weaker_level(server: Server) -> None:
    server.socket.sendall(b'{"op": "watch", "pid": 1, "at_most": "none", "level": "none"}\n')
    assert server.lines.readline()
    with server.open(Limits()) as session:
        status = session.run_cell("print(open('/proc/self/status').read())")["outputs"][0]["text"]
    assert "CapEff:\t0000000000000000" in status
    assert "Seccomp:\t2" in status


# ---- as a plain user -------------------------------------------------------------------------------------------------
#: Python and the course may lie below folders that others may not enter; in a mount namespace of its own they are shown to a
#: user without any rights.
AS_PLAIN_USER = """
set -e
hidden=$(mktemp -d)
trap 'rm -rf $hidden' EXIT
mkdir $hidden/python $hidden/course $hidden/venv
mount --bind "$BASE" $hidden/python
mount --bind "$COURSE" $hidden/course
mount --bind "$VENV" $hidden/venv
for place in "$BASE" "$COURSE" "$VENV"; do
    top=/$(echo "$place" | cut -d/ -f2)
    case $top in /usr|/tmp) ;; *) mountpoint -q $top || mount -t tmpfs -o mode=755 tmpfs $top ;; esac
done
mkdir -p "$BASE" "$COURSE" && mount --bind $hidden/python "$BASE" && mount --bind $hidden/course "$COURSE"
mkdir -p "$VENV" && mount --bind $hidden/venv "$VENV"
exec setpriv --reuid 4321 --regid 4321 --clear-groups "$PYTHON" -c "$CODE" $LEVEL
"""
PLAIN_USERS_LOOK = """
import os, socket
print(os.getuid(), os.access("/etc/shadow", os.R_OK))
try:
    socket.create_connection(("127.0.0.1", 9), 1)
except OSError as error:
    print(type(error).__name__)
"""
PLAIN_USERS_HOG = """
import os, time
for _ in range(8):
    if os.fork() == 0:
        x = bytearray(90 * 2**20)
        time.sleep(60)
time.sleep(60)
"""
PLAIN_USERS_CODE = """
import os, sys
from autograder.bundle import importable_files
from autograder.paths import ROOT
from autograder.sandbox.isolation import Limits
from autograder.sandbox.session import Server, Stopped

server = Server(importable_files(), ROOT, at_most=sys.argv[1])
print(server.level)
with server.open(Limits(memory_mb=300, cell_seconds=30)) as session:
    print(session.run_cell(os.environ["LOOK"])["outputs"][0]["text"].strip())
    try:
        session.run_cell(os.environ["HOG"])
    except Stopped as stopped:
        print(stopped.reason)
server.close()
print(server.folder.exists())
"""


@pytest.mark.parametrize(("at_most", "level"), [("full", "no-cgroup"), ("landlock", "landlock")])
def test_a_plain_user_gets_a_jail_too(at_most: str, level: str) -> None:
    if os.geteuid() != 0 or BEST != "full" or not (shutil.which("unshare") and shutil.which("setpriv")):
        pytest.skip("needs root, unshare and setpriv, to become a plain user")
    environment = {
        **{"PATH": os.environ["PATH"], "HOME": "/tmp", "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(ROOT)},
        **{"BASE": sys.base_prefix, "VENV": sys.prefix, "COURSE": str(ROOT), "PYTHON": sys.executable},
        **{"CODE": PLAIN_USERS_CODE, "LOOK": PLAIN_USERS_LOOK, "HOG": PLAIN_USERS_HOG, "LEVEL": at_most},
    }
    command = ["unshare", "-m", "bash", "-c", AS_PLAIN_USER]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, cwd="/")
    lines = done.stdout.splitlines()
    assert len(lines) == 5, done.stdout + done.stderr
    found, rights, refusal, reason, left = lines
    assert (found, rights, left) == (level, "4321 False", "False")
    assert refusal in ("ConnectionRefusedError", "PermissionError")
    assert "300 MB of memory" in reason


# ---- the filter on system calls, for both architectures --------------------------------------------------------------
def verdict_of(program: list[tuple[int, int, int, int]], arch: int, number: int, *arguments: int) -> int:
    """Run a BPF program over one system call, as the kernel would."""
    data = {0: number, 4: arch, **{16 + 8 * i: a & 0xFFFFFFFF for i, a in enumerate(arguments)}}
    accumulator, at = 0, 0
    while True:
        code, yes, no, k = program[at]
        at += 1
        if code == 0x20:
            accumulator = data.get(k, 0)
        elif code == 0x54:
            accumulator &= k
        elif code == 0x06:
            return k
        else:
            truth = {0x15: accumulator == k, 0x35: accumulator >= k, 0x45: bool(accumulator & k)}[code]
            at += yes if truth else no


@pytest.mark.parametrize(("machine", "arch", "column"), [("x86_64", 0xC000003E, 0), ("aarch64", 0xC00000B7, 1)])
@pytest.mark.parametrize("namespaces", [True, False])
def test_the_filter_answers_as_meant(
    machine: str, arch: int, column: int, namespaces: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("autograder.sandbox.linux.machine", lambda: machine)
    allow, kill, eperm, enosys = 0x7FFF0000, 0x80000000, 0x00050001, 0x00050026
    lines = seccomp.program(namespaces=namespaces, anonymous_files=namespaces)
    assert all(0 <= jump < 256 for _, yes, no, _ in lines for jump in (yes, no))

    def ask(numbers: tuple[int | None, ...], *arguments: int) -> int:
        number = numbers[column]
        assert number is not None
        return verdict_of(lines, arch, number, *arguments)

    assert verdict_of(lines, arch ^ 1, 0) == kill
    assert verdict_of(lines, arch, 0x40000000 + 1) == kill
    assert verdict_of(lines, arch, 463) == enosys
    for numbers in seccomp._NUMBERS.values():
        assert numbers[column] is None or ask(numbers) == eperm
    read, openat = (0, 63), (257, 56)
    assert ask(read) == ask(openat) == allow
    assert ask((435, 435)) == enosys
    assert ask((56, 220), 0x11) == allow
    for flag in (0x20000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000):
        assert ask((56, 220), 0x11 | flag) == eperm
    assert ask((16, 29), 0, 0x5401) == allow
    assert ask((16, 29), 0, 0x5412) == eperm
    assert ask((157, 167), 1) == 0x00050000  # says yes and does nothing
    assert ask((157, 167), 15) == allow
    assert ask((135, 92), 0) == ask((135, 92), 0xFFFFFFFF) == allow
    assert ask((135, 92), 0x0040000) == eperm
    for_own = allow if namespaces else eperm
    assert ask((302, 261), 0) == ask((141, 140), 0, 0) == allow
    assert ask((302, 261), 4321) == ask((141, 140), 0, 4321) == ask((203, 122), 4321) == ask((294, 26)) == for_own
    assert ask((41, 198), 2) == for_own
    assert ask((41, 198), 40) == ask((41, 198), 16) == eperm
    assert ask((42, 203)) == ask((53, 199), 1, 2) == ask((319, 279)) == ask((29, 194)) == for_own
    assert ask((53, 199), 1, 1 | 0o2000000) == allow


# ---- what is loaded --------------------------------------------------------------------------------------------------
def test_a_server_for_a_chapter_without_torch_loads_none() -> None:
    """It would cost each worker some seconds before the first submission; a child that wants it can still have it."""
    with Server(importable_files(), ROOT, torch=False) as server, server.open(Limits()) as session:
        looked = session.run_cell("import sys\nprint('torch' in sys.modules, 'course.kit.widgets' in sys.modules)")
        assert looked["outputs"][0]["text"] == "False True\n"
        assert (
            session.run_cell("import torch, course.kit.language_models\nprint('here')")["outputs"][0]["text"]
            == "here\n"
        )


# ---- CUDA ------------------------------------------------------------------------------------------------------------
def test_a_server_for_cuda_leaves_starting_it_to_the_child() -> None:
    """Also without a GPU: a server that had started CUDA could fork no child that uses it."""
    import_it = "import os, torch\nprint(torch.cuda.is_initialized(), os.environ.get('CUDA_VISIBLE_DEVICES'))"
    with Server(importable_files(), ROOT, device="cuda") as server, server.open(Limits()) as session:
        said = session.run_cell(import_it)["outputs"][0]["text"]
        assert said.startswith("False ")
        assert not session.run_cell("torch.ones(2, device='cuda' if torch.cuda.is_available() else 'cpu').sum()")[
            "failed"
        ]


def test_processor_time_is_bounded() -> None:
    tight = Limits(cpu_seconds=1.0, cell_seconds=30.0)
    with Server(importable_files(), ROOT) as server, server.open(tight) as session, pytest.raises(Stopped) as caught:
        session.run_cell("while True: pass")
    assert caught.value.status == "died"
    assert "its 1 s of processor time" in caught.value.reason
