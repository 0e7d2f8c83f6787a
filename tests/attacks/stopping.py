"""Attacks on the grading process: end it, hang it, fill what it shares with others.

What would harm a machine without protection ends by itself at a bound, with exit status 77, after a second in which whoever
watches it can still act.
"""

from dataclasses import replace

from autograder.grading.attacks import FIRST, LIMITS, WRONG, Attempt, Outcome, Stage, attack, everything

ENOUGH = "import os, time\n\ndef enough():\n    time.sleep(1.0)\n    os._exit(77)\n"


@attack(13, "SystemExit and KeyboardInterrupt", "Z", naive="exits")
def exits(stage: Stage) -> Attempt:
    return Attempt(
        cells={
            FIRST: "def threshold_unit(x, w, b):\n    raise SystemExit(0)\n",
            "fold_bias": "def fold_bias(x, w, b):\n    raise KeyboardInterrupt\n",
            "geometric_margin": "raise SystemExit(0)\n",
        },
        costs=("mistake_bound",),  # it calls geometric_margin
    )


@attack(14, "os._exit(0) in a cell", "K", naive="exits")
def ends_in_a_cell(stage: Stage) -> Attempt:
    return Attempt(
        cells={
            FIRST: "import os\nos._exit(0)\n" + WRONG,
            "logic_gate": "import os\nos.abort()\n",
            "perceptron_update": "import os\nos.execv('/bin/true', ['true'])\n",
        },
        costs=("train_perceptron",),
        causes="ended the process that ran it",
    )


@attack(15, "os._exit(0) in a call", "K", naive="exits")
def ends_in_a_call(stage: Stage) -> Attempt:
    return Attempt(
        cells={
            FIRST: "import os\n\ndef threshold_unit(x, w, b):\n    os._exit(0)\n",
            "logic_gate": "import ctypes\n\ndef logic_gate(name):\n    ctypes.string_at(0)\n",
        },
        causes="ended the process that ran it",
    )


@attack(17, "daemons that outlive the submission and rewrite the result", "Z", naive="later")
def daemons(stage: Stage) -> Attempt:
    return Attempt(
        front="""
        import json, os, signal, subprocess, sys, time

        places = ["results.json", "@COURSE@/results.json", "@COURSE@/verdicts/02_perceptron/mallory.json", "@OUTSIDE@/results.json"]

        def haunt(seconds):
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)
            end = time.time() + seconds
            while time.time() < end:
                for place in places:
                    try:
                        with open(place, "w") as file:
                            json.dump({"score": 1.0, "by": "@MARK@"}, file)
                    except OSError:
                        pass
                time.sleep(0.02)

        if os.fork() == 0:  # of the same program, in a session of its own, with another parent
            os.setsid()
            if os.fork() == 0:
                haunt(20)
            os._exit(0)
        # another program, with nothing in its environment
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(20)", "@MARK@"], start_new_session=True, env={})
        subprocess.Popen(["sh", "-c", "(nohup setsid sleep 20 &) ; : @MARK@"], start_new_session=True)
        """
    )


@attack(36, "memory bombs: private, shared, memfd, a family of processes", "K")
def memory(stage: Stage) -> Attempt:
    return Attempt(
        front=ENOUGH,
        cells={
            FIRST: """
            import os

            def threshold_unit(x, w, b):
                kept = []
                for _ in range(14):
                    kept.append(bytearray(b"x") * (64 << 20))
                enough()
            """,
            "fold_bias": """
            import os

            def fold_bias(x, w, b):
                piece, kept = b"x" * (8 << 20), []
                for _ in range(28):  # each below the limit for a file
                    kept.append(os.memfd_create("bomb"))
                    for _ in range(4):
                        os.write(kept[-1], piece)
                enough()
            """,
            "logic_gate": """
            import mmap, os

            def logic_gate(name):
                shared = mmap.mmap(-1, 900 << 20)
                for place in range(0, len(shared), 4096):
                    shared[place] = 1
                enough()
            """,
            "geometric_margin": """
            import os, time

            def geometric_margin(x, y, w, b):
                told, tell = os.pipe()
                for _ in range(3):  # each of them below what one process may have
                    if os.fork() == 0:
                        kept = bytearray(b"x") * (320 << 20)
                        os.write(tell, b"!")
                        time.sleep(5)
                        os._exit(0)
                os.close(tell)
                count = 0
                while count < 3:
                    piece = os.read(told, 3)
                    if not piece:
                        raise MemoryError("the children were killed")
                    count += len(piece)
                enough()
            """,
        },
        costs=("mistake_bound",),
        limits=replace(LIMITS, memory_mb=450, call_seconds=4.0),
        causes="memory|Memory|Cannot allocate|not permitted",
    )


@attack(37, "fork and thread bombs", "K")
def forks(stage: Stage) -> Attempt:
    return Attempt(
        front=ENOUGH,
        cells={
            FIRST: """
            import os, time

            def threshold_unit(x, w, b):
                for _ in range(120):
                    if os.fork() == 0:
                        time.sleep(20)
                        os._exit(0)
                enough()
            """,
            "fold_bias": """
            import os, threading, time

            def fold_bias(x, w, b):
                for _ in range(120):
                    threading.Thread(target=time.sleep, args=(20,), daemon=True).start()
                enough()
            """,
        },
        costs=("mistake_bound",),  # it calls fold_bias
        limits=replace(LIMITS, processes=48),
        causes="Resource temporarily unavailable|start new thread|rocesses|did not end within",
    )


@attack(38, "spin, sleep, hang in C; signals ignored", "K")
def hangs(stage: Stage) -> Attempt:
    deaf = "import signal\nfor number in (2, 3, 14, 15):\n    signal.signal(number, signal.SIG_IGN)\n"
    return Attempt(
        cells={
            FIRST: deaf + "def threshold_unit(x, w, b):\n    while True:\n        pass\n",
            "fold_bias": deaf + "import time\n\ndef fold_bias(x, w, b):\n    time.sleep(1e6)\n",
            "logic_gate": deaf + "import re\n\ndef logic_gate(name):\n    re.match('(a+)+$', 'a' * 60 + 'b')\n",
            "geometric_margin": deaf + "import ctypes\nctypes.CDLL(None).pause()\n",
        },
        costs=("mistake_bound",),
        limits=replace(LIMITS, cell_seconds=2.0, call_seconds=1.0),
        causes="did not end within",
    )


@attack(39, "fill the disk, use up the inodes", "K")
def disk(stage: Stage) -> Attempt:
    return Attempt(
        front=ENOUGH,
        cells={
            FIRST: """
            import os

            def threshold_unit(x, w, b):
                total, trouble = 0, None
                for place in (".", "/tmp", "/dev/shm", "/var/tmp", os.path.expanduser("~")):
                    for number in range(100):
                        try:
                            with open(os.path.join(place, f"@MARK@-{number}"), "wb") as file:
                                for _ in range(15):
                                    total += file.write(b"x" * (1 << 20))
                        except OSError as error:
                            trouble = error
                            break
                        if total > 1_000 << 20:
                            enough()
                raise trouble
            """,
            "fold_bias": """
            import os

            def fold_bias(x, w, b):
                os.makedirs("@MARK@", exist_ok=True)
                for number in range(30_000):
                    open(f"@MARK@/{number}", "w").close()
                enough()
            """,
        },
        costs=("mistake_bound",),
        limits=replace(LIMITS, disk_mb=48, files=1_000, file_mb=64, call_seconds=5.0),
        causes="No space left|too large|disk|files|written",
    )


@attack(40, "floods: prints, displays that are updated without end, raw writes", "K")
def floods(stage: Stage) -> Attempt:
    return Attempt(
        front="for _ in range(100):\n    print('x' * 100_000)\n",
        cells={
            FIRST: "def threshold_unit(x, w, b):\n    while True:\n        print('flood ' * 200)\n",
            "fold_bias": """
            from IPython.display import display

            handle = display("0", display_id="counter")
            count = 0
            while True:
                count += 1
                handle.update("y" * (count % 100_000))
                display(str(count))
            """,
            "logic_gate": "import os\n\ndef logic_gate(name):\n    while True:\n        os.write(1, b'z' * 65_536)\n",
        },
        costs=("mistake_bound",),
        limits=replace(LIMITS, output_mb=0.5, cell_seconds=2.0, call_seconds=1.0),
        causes="did not end within|ended the process|disk|No space|too large",
    )


@floods.judged_by
def cut(stage: Stage, made: Attempt) -> Outcome:
    """Stopped like every endless cell, and what had been printed until then is cut."""
    with stage.watched() as seen:
        graded = stage.grade(made)
        seen.text = everything(graded)
    outcome = stage.outcome(made, graded, "K", seen)
    kept = sum(len(str(outputs)) for outputs in graded.outputs.values())
    if kept > 3 * made.limits.output_mb * 2**20:
        return Outcome(f"{kept:,} characters of output were kept", outcome.detail)
    if "was cut" not in str(graded.outputs.get("front")):
        return Outcome("nothing was cut", outcome.detail)
    return outcome
