#!/usr/bin/env python3
"""Install the course and start it: `python3 start.py`, `python3 start.py test`, `python3 start.py --help`.

Standard library only. The file has to parse on every Python since 3.6, so that an old one gets a sentence and not a
SyntaxError: no walrus, no `match`, no `X | None`, no subscripted built-in types, no parenthesised `with`.
"""

import contextlib
import errno
import hashlib
import json
import os
import platform
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.realpath(__file__))
WINDOWS = os.name == "nt"
OLDEST = (3, 11)
EXTRAS = ("test", "postgres", "cluster", "site", "baselines", "chinese")
COMMAND_EXTRAS = {"test": ["test"], "site": ["site"]}
SOURCES = ("pyproject.toml", "constraints.txt")
STAMP, LOCK, LOG, TEMPORARY = "nnlm-start.json", "nnlm-start.lock", "nnlm-install.log", "nnlm-tmp"
RECIPE = 1  # count up when the way of installing changes, so that everyone installs again
GIGABYTE = 10**9
SPACE_NEW, SPACE_UPDATE = 3 * GIGABYTE, GIGABYTE // 2
HEARTBEAT = 15.0  # seconds between signs of life where the output is no terminal

HELP = """\
python3 start.py                     install what is missing into .venv, then open the course in JupyterLab
python3 start.py test                install what the tests need, then run them
python3 start.py COMMAND [ARGS...]   run another command of the course, installing first if need be
python3 start.py --help-commands     list the commands

  --no-browser    do not open a browser, only print the address
  --port N        the port of JupyterLab
  --here          install into the Python that runs this file (an active conda or virtual environment), make no .venv
  --with EXTRA    also install an extra: test, postgres, cluster, site, baselines, chinese
  -h, --help      this help

The first start takes a minute or more and about 1.5 GB, a later one seconds.
Delete the folder .venv to begin afresh."""


class Stop(Exception):
    """The one sentence a person reads when the start cannot go on, with the exit code."""

    def __init__(self, sentence, code=1):
        super().__init__(sentence)
        self.code = code


# ---------------------------------------------------------------------------------------------------------- arguments


def read_arguments(arguments):
    """Split the command line into (here, extras, command with its own arguments); command None asks for help."""
    here, extras, lab, rest = False, [], [], list(arguments)

    def value(flag, meaning):
        if not rest:
            raise Stop(f"{flag} needs {meaning}: see `python3 start.py --help`.", 2)
        return rest.pop(0)

    while rest and rest[0].startswith("-"):
        flag = rest.pop(0)
        if flag in ("-h", "--help"):
            return here, extras, None
        if flag == "--help-commands":
            return here, extras, ["--help"]
        if flag.startswith(("--port=", "--with=")):
            flag, attached = flag.split("=", 1)
            rest.insert(0, attached)
        if flag == "--here":
            here = True
        elif flag == "--no-browser":
            lab.append(flag)
        elif flag == "--port":
            port = value(flag, "a number")
            if not re.match(r"[0-9]{1,5}\Z", port) or int(port) > 65535:
                raise Stop(f"--port needs a number up to 65535, not {port!r}.", 2)
            lab += [flag, port]
        elif flag == "--with":
            extra = value(flag, "a name")
            if extra not in EXTRAS:
                raise Stop(f"There is no extra {extra!r}: choose from {', '.join(EXTRAS)}.", 2)
            extras.append(extra)
        else:
            raise Stop(f"start.py does not know {flag}: see `python3 start.py --help`.", 2)
    if lab and rest and rest[0] != "lab":
        raise Stop(f"{lab[0]} is for JupyterLab and cannot stand before the command {rest[0]!r}: leave it out.", 2)
    command = (rest or ["lab"]) + lab
    return here, extras + COMMAND_EXTRAS.get(command[0], []), command


# ------------------------------------------------------------------------------------------------------------- Python


def newer_python():
    """How to call an installed Python that is new enough, or None. Runs it: some names on PATH are empty shims."""
    candidates = [["python3.%d" % minor] for minor in (13, 12, 14, 11)]  # noqa: UP031
    candidates += [["py", "-3.%d" % minor] for minor in (13, 12, 14, 11)] if WINDOWS else []  # noqa: UP031
    for candidate in candidates:
        if shutil.which(candidate[0]):
            try:
                code = "import sys, venv; print(sys.version_info >= (3, 11))"
                answer = subprocess.check_output(candidate + ["-c", code], stderr=subprocess.DEVNULL, timeout=10)  # noqa: RUF005
            except (OSError, subprocess.SubprocessError):
                continue
            if answer.strip() == b"True":
                return " ".join(candidate)
    return None


def check_python(version, arguments):
    """Refuse a Python that is too old, and say which one to call instead."""
    if tuple(version[:2]) >= OLDEST:
        return
    have = ".".join(str(part) for part in version[:3])
    better = newer_python()
    call = " ".join([better or "python3.12", "start.py"] + [shlex.quote(argument) for argument in arguments])
    how = "" if better else "install one (from python.org, or with your system's package manager) and "
    raise Stop(f"The course needs Python 3.11 or newer and this is Python {have}: {how}run `{call}`.")


def system_name():
    """The computer in words, for a sentence: `Linux x86_64`."""
    return f"{platform.system()} {platform.machine()}"


# ------------------------------------------------------------------------------------------------- where packages live


class Place:
    """The environment packages go to: the project's own `.venv`, or with `--here` the running Python's."""

    def __init__(self, root, here=False):
        self.root, self.here = root, here
        if here:
            import sysconfig

            self.folder, self.python = sys.prefix, sys.executable
            self.scripts, self.site = sysconfig.get_path("scripts"), sysconfig.get_path("purelib")
            if os.path.exists(os.path.join(sysconfig.get_path("stdlib"), "EXTERNALLY-MANAGED")) and not is_venv():
                raise Stop("--here needs an active conda or virtual environment: activate one, or leave out --here.")
            return
        self.folder = os.path.join(root, ".venv")
        if WINDOWS:
            self.scripts = os.path.join(self.folder, "Scripts")
            self.python = os.path.join(self.scripts, "python.exe")
            self.site = os.path.join(self.folder, "Lib", "site-packages")
        else:
            self.scripts = os.path.join(self.folder, "bin")
            self.python = os.path.join(self.scripts, "python")
            library = "python{}.{}".format(*sys.version_info[:2])
            self.site = os.path.join(self.folder, "lib", library, "site-packages")

    def path(self, name):
        """A file that this program keeps in the environment."""
        return os.path.join(self.folder, name)

    def read_stamp(self):
        """What the last finished step left: key, Python, project folder, extras. Empty where nothing usable is."""
        try:
            with open(self.path(STAMP), encoding="utf-8") as file:
                stamp = json.load(file)
        except (OSError, ValueError):
            return {}
        return stamp if isinstance(stamp, dict) and isinstance(stamp.get("extras", []), list) else {}

    def write_stamp(self, key, extras):
        """Record what is installed; key None says that the environment is made but not yet filled."""
        stamp = {"key": key, "python": sys.implementation.cache_tag, "root": self.root, "extras": sorted(extras)}
        temporary = self.path(STAMP) + ".new"
        with open(temporary, "w", encoding="utf-8") as file:
            json.dump(stamp, file)
        os.replace(temporary, self.path(STAMP))

    def belongs(self, stamp):
        """Is the environment this Python's and this folder's? A moved virtual environment has dead scripts."""
        return stamp.get("python") == sys.implementation.cache_tag and stamp.get("root") == self.root

    def is_ready(self, key, extras):
        """Is everything wanted installed? Looks at one small file, starts nothing."""
        stamp = self.read_stamp()
        has_all = set(extras) <= set(stamp.get("extras", []))
        return stamp.get("key") == key and self.belongs(stamp) and has_all and os.access(self.python, os.X_OK)


def is_venv():
    """Does this Python run in a virtual or conda environment?"""
    return sys.prefix != sys.base_prefix or os.path.isdir(os.path.join(sys.prefix, "conda-meta"))


def fingerprint(root):
    """A hash of everything that decides what gets installed."""
    digest = hashlib.sha256(str(RECIPE).encode())
    for name in SOURCES:
        try:
            with open(os.path.join(root, name), "rb") as file:
                digest.update(file.read() + b"\0")
        except FileNotFoundError:
            raise Stop(f"{name} is missing next to start.py: unpack or clone the whole course again.") from None
    return digest.hexdigest()


# ----------------------------------------------------------------------------------------------- one install at a time


def is_running(process):
    """Is there a process with this number?"""
    if WINDOWS:
        return True  # the system itself drops a dead process's lock
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True


class Lock:
    """A lock the operating system gives back when its holder dies, so that none is ever stale.

    The installing child inherits it: if this program is killed, its pip ends its work alone and the next start waits.
    """

    def __init__(self, place, progress):
        self.file = open(place.path(LOCK), "a+")  # noqa: SIM115
        started = time.monotonic()
        while not self._try():
            owner = self._owner()
            if owner is None or is_running(owner):
                who = f" (process {owner})" if owner else ""
                raise Stop(f"Another start is installing here{who}: wait until it is done, then try again.")
            if time.monotonic() - started > 600:
                raise Stop("An interrupted installation still runs: end its pip process, then try again.")
            progress.show("waiting for an interrupted installation to end its last step")
            time.sleep(0.2)
        self.file.seek(0)
        self.file.truncate()
        self.file.write(str(os.getpid()))
        self.file.flush()

    def _try(self):
        try:
            if WINDOWS:
                import msvcrt

                self.file.seek(4096)  # a byte past the number, which others may read
                msvcrt.locking(self.file.fileno(), msvcrt.LK_NBLCK, 1)
            else:
                import fcntl

                fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            # any other error: this file system has no locks, so go on without one
            return error.errno not in (errno.EACCES, errno.EAGAIN, errno.EDEADLK)
        return True

    def _owner(self):
        self.file.seek(0)
        text = self.file.read(20)
        return int(text) if text.isdigit() else None

    def release(self):
        """Give the lock back; the file stays."""
        self.file.close()


# ----------------------------------------------------------------------------------------------------------- progress


def in_words(seconds):
    """A duration for people: `41 s`, `2 min 05 s`."""
    seconds = int(seconds)
    return f"{seconds} s" if seconds < 60 else f"{seconds // 60} min {seconds % 60:02d} s"


class Progress:
    """One line that renews itself on a terminal; elsewhere a sign of life now and then; one lasting line a step."""

    def __init__(self, stream=None):
        self.stream = stream or sys.stdout
        self.terminal = self.stream.isatty()
        self.width = 0
        self.restart()

    def restart(self):
        """Count the time from now on."""
        self.started = self.step_started = self.last = time.monotonic()

    def show(self, text):
        """Say what is going on right now."""
        now = time.monotonic()
        if not self.terminal:
            if now - self.last >= HEARTBEAT:
                self.last = now
                self._write(f"     {text}, {in_words(now - self.started)}\n")
            return
        line = f"     {text}, {in_words(now - self.started)}"[: shutil.get_terminal_size().columns - 1]
        self._write("\r" + line.ljust(self.width))
        self.width = len(line)

    def done(self, text):
        """A step is over."""
        self.last = time.monotonic()
        self.say(f"{text}, {in_words(self.last - self.step_started)}")
        self.step_started = self.last

    def clear(self):
        """Wipe the renewing line."""
        if self.width:
            self._write("\r" + " " * self.width + "\r")
            self.width = 0

    def say(self, text):
        """Print a lasting line."""
        self.clear()
        self._write(text + "\n")

    def _write(self, text):
        self.stream.write(text)
        self.stream.flush()


class PipWatch:
    """Reads pip's log while pip writes it, and tells what pip is doing."""

    def __init__(self, place, progress, offset):
        self.place, self.progress, self.offset = place, progress, offset
        self.found, self.current, self.total, self.rest = set(), "", 0, b""
        self.before = self.installed()

    def installed(self):
        """Distributions that are completely installed."""
        return {name for name in dist_infos(self.place.site) if is_whole(self.place.site, name)}

    def feed(self, line):
        """Take in one line of pip's log."""
        collecting = re.match(r"\s*(?:Collecting|Requirement already satisfied:) ([A-Za-z0-9._-]+)", line)
        collecting = collecting or re.match(r"Processing (?:.*[/\\])?([A-Za-z0-9_.]+)-[^/\\]+\.whl", line)
        download = re.match(r"\s*Downloading (?:\S+/)?([A-Za-z0-9_.]+)-(\S+?)-\S*\.whl \(([0-9.]+ [kMG]B)\)", line)
        if collecting:
            self.found.add(re.sub(r"[-_.]+", "-", collecting.group(1).lower()))
            self.current = collecting.group(1)
        elif download:
            self.current = f"{download.group(1)} {download.group(2)} ({download.group(3)})"
        elif "Retrying (" in line:
            self.current = "the network does not answer, trying again"
        elif line.startswith("Installing collected packages:"):
            self.total = line.count(",") + 1
            self.current = ""
            self.progress.done(f"2/3  packages to install: {self.total}")

    def __call__(self):
        """Read what is new and show it."""
        with open(self.place.path(LOG), "rb") as file:
            file.seek(self.offset)
            new = file.read()
        self.offset += len(new)
        lines = (self.rest + new).split(b"\n")
        self.rest = lines.pop()
        for line in lines:
            self.feed(line.decode("utf-8", "replace"))
        if not self.total:
            self.progress.show(f"finding packages: {len(self.found)}" + (f", {self.current}" if self.current else ""))
            return
        fresh = self.installed() - self.before
        newest = max(fresh, key=lambda name: os.path.getmtime(os.path.join(self.place.site, name)), default="")
        name = ", " + newest.split("-")[0] if newest else ""
        self.progress.show(f"installing packages: {min(len(fresh), self.total)} of {self.total}{name}")


def dist_infos(site):
    """The names of the metadata folders in a site-packages folder."""
    try:
        return [name for name in os.listdir(site) if name.endswith(".dist-info")]
    except OSError:
        return []


def is_whole(site, name):
    """Did pip finish this distribution? It writes INSTALLER after the last file."""
    return os.path.exists(os.path.join(site, name, "INSTALLER"))


# ---------------------------------------------------------------------------------------------------------- installing


def child_environment():
    """The environment for venv and pip: nothing that would install elsewhere or see packages from elsewhere."""
    unwanted = ("PYTHONHOME", "PYTHONPATH", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "__PYVENV_LAUNCHER__")
    environment = {name: value for name, value in os.environ.items() if name not in unwanted}
    environment.update(PIP_USER="0", PYTHONNOUSERSITE="1", PYTHONUTF8="1", PYTHONUNBUFFERED="1")
    return environment


def run_logged(command, place, lock, watch, environment=None):
    """Run a command with its output in the log, calling `watch` several times a second; return its exit code."""
    inherit = {} if WINDOWS else {"pass_fds": (lock.file.fileno(),)}
    with open(place.path(LOG), "ab") as log:
        process = subprocess.Popen(
            command,
            cwd=place.root,
            env=environment or child_environment(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            **inherit,
        )
    try:
        while True:
            try:
                return process.wait(0.2)
            except subprocess.TimeoutExpired:
                watch()
    finally:
        end(process)


def end(process):
    """See a child to its end: at once where it has ended, else interrupt it, as pip then tidies up."""
    try:
        process.wait(1)  # Ctrl-C in a terminal has reached the child too
    except subprocess.TimeoutExpired:
        if WINDOWS:
            process.terminate()
        else:
            process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(5)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def log_text(place):
    """The log so far, for a person's sentence."""
    try:
        with open(place.path(LOG), encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


NETWORK = re.compile(
    r"Retrying \(|NewConnectionError|Max retries exceeded|Failed to establish a new connection|getaddrinfo failed|"
    r"name resolution|ReadTimeoutError|ConnectTimeout|Connection timed out|ProxyError|SSLError|RemoteDisconnected|"
    r"IncompleteRead|ProtocolError|Connection(?:Reset)?Error|Network is unreachable"
)
NO_VERSION = re.compile(
    r"Could not find a version that satisfies the requirement ([^\s(;]+)[^\n]*?\(from versions: ([^)]*)\)"
)
DISK_FULL = "The disk is full: make room (the course needs about 3 GB) and run the same command again."
NO_VENV = (
    "This Python cannot make virtual environments: install the missing part (Debian and Ubuntu:"
    " `apt install python3-venv`) and run the same command again."
)


def explain(text, code, log):
    """Say in one sentence why pip or venv failed and what to do, from its log."""
    if re.search(r"No space left on device|\[Errno 28\]|Disk quota exceeded|\[WinError 112\]", text):
        return DISK_FULL
    if "ensurepip is not available" in text or "No module named ensurepip" in text:
        return NO_VENV
    if re.search(r"\[Errno 13\]|Permission denied|\[WinError 5\]|Read-only file system", text):
        return f"A file could not be written (see {log}): close programs that use .venv, or delete it, and try again."
    if "Long Path" in text:
        return "The folder's path is too long for Windows: move the course to one like C:\\course and try again."
    missing = NO_VERSION.search(text)
    nothing = missing is not None and missing.group(2).strip() in ("", "none")
    no_index = bool(os.environ.get("PIP_NO_INDEX")) or (nothing and missing.group(1).startswith("setuptools"))
    if (no_index or NETWORK.search(text)) and (missing is None or nothing):
        return (
            "The packages could not be downloaded: check the connection to the internet (or the proxy) and run the same"
            " command again; it goes on where it stopped."
        )
    conflict = re.search(r"The user requested \(constraint\) (\S+)", text) if "ResolutionImpossible" in text else None
    if missing or conflict:
        version, wanted = "{}.{}".format(*sys.version_info[:2]), (missing or conflict).group(1)
        if system_name() == "Darwin x86_64" and wanted.startswith("torch"):
            return "PyTorch has no builds for Macs with an Intel processor any more: use another computer."
        other = "python3.13" if version == "3.12" else "python3.12"
        return (
            f"There is no fitting {wanted} for Python {version} on {system_name()}: start again with another Python,"
            f" for example `{other} start.py` (details in {log})."
        )
    errors = re.findall(r"^\s*(?:ERROR|error|Error): *(\S.*)$", text, re.MULTILINE)
    reason = errors[-1].strip().rstrip(".:") if errors else f"exit code {code}"
    return f"The installation failed ({reason}): run the same command again, and if it fails again, read {log}."


def check_space(place):
    """Refuse early where the disk cannot hold the packages."""
    needed = SPACE_UPDATE if os.path.isdir(os.path.join(place.site, "torch")) else SPACE_NEW
    free = shutil.disk_usage(place.root).free
    if free < needed:
        have, need = f"{free / GIGABYTE:.1f}", f"{needed / GIGABYTE:.1f}"
        raise Stop(f"Only {have} GB are free here and the course needs {need} GB: make room and try again.")


def works(place):
    """Can the environment's Python run its pip, and is it of the version that runs this file?"""
    code = "import sys, pip; print(sys.implementation.cache_tag, sys.prefix != sys.base_prefix)"
    try:
        answer = subprocess.check_output(
            [place.python, "-c", code], env=child_environment(), stderr=subprocess.DEVNULL, timeout=60
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return answer.decode("utf-8", "replace").split() == [sys.implementation.cache_tag, "True"]


def clear(place):
    """Empty `.venv` but for our own lock and log."""
    if os.path.islink(place.folder):
        raise Stop("The link .venv leads to an environment that does not fit: remove the link and try again.")
    for name in os.listdir(place.folder):
        if name in (LOCK, LOG):
            continue
        path = place.path(name)
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        else:
            os.remove(path)


def repair(place):
    """Forget distributions that a killed pip left half-installed, so that pip installs them again."""
    for name in dist_infos(place.site):
        if not is_whole(place.site, name):
            shutil.rmtree(os.path.join(place.site, name))
    for name in os.listdir(place.site):
        if name.startswith("~"):  # what pip sets aside while it replaces a package
            path = os.path.join(place.site, name)
            shutil.rmtree(path) if os.path.isdir(path) else os.remove(path)


def make_environment(place, lock, progress):
    """Make `.venv`, or keep the one that is there if it can be used."""
    stamp = place.read_stamp()
    if os.path.exists(place.path("pyvenv.cfg")) and (not stamp or place.belongs(stamp)) and works(place):
        repair(place)
        progress.done("1/3  .venv is there")
        return
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        raise Stop(NO_VENV) from None
    if os.pathsep in place.folder:
        raise Stop(f"Python cannot make .venv in a path with {os.pathsep!r} in it: rename the folder and try again.")
    clear(place)
    base = getattr(sys, "_base_executable", None) or sys.executable
    code = run_logged([base, "-m", "venv", place.folder], place, lock, lambda: progress.show("making .venv"))
    if code:
        raise Stop(explain(log_text(place), code, place.path(LOG)))
    place.write_stamp(None, [])
    progress.done(f"1/3  .venv made for Python {platform.python_version()}")


def install(place, key, extras):
    """Bring the environment up to date with pyproject.toml and constraints.txt."""
    check_space(place)
    progress = Progress()
    try:
        os.makedirs(place.folder, exist_ok=True)
    except FileExistsError:
        raise Stop("There is a file called .venv where a folder has to be: remove it and try again.") from None
    lock = Lock(place, progress)
    progress.restart()
    try:
        if place.is_ready(key, extras):  # another start has done it while this one waited
            return
        open(place.path(LOG), "wb").close()
        progress.say(f"Installing the course (details: {place.path(LOG)})")
        old = place.read_stamp()
        extras = sorted(set(extras) | set(old.get("extras", [])) & set(EXTRAS))
        if place.here:
            progress.done(f"1/3  using {place.folder}")
        else:
            make_environment(place, lock, progress)
        place.write_stamp(None, extras)
        project = ".[{}]".format(",".join(extras)) if extras else "."
        command = [place.python, "-m", "pip", "install", "--no-input", "--disable-pip-version-check"]
        command += ["--progress-bar", "off", "--no-warn-script-location", "-c", "constraints.txt", "-e", project]
        environment = child_environment()
        if not WINDOWS:  # /tmp may be small, and what a killed pip leaves here the next start removes
            shutil.rmtree(place.path(TEMPORARY), ignore_errors=True)
            os.mkdir(place.path(TEMPORARY))
            environment["TMPDIR"] = place.path(TEMPORARY)
        watch = PipWatch(place, progress, os.path.getsize(place.path(LOG)))
        code = run_logged(command, place, lock, watch, environment)
        if code:
            raise Stop(explain(log_text(place), code, place.path(LOG)))
        watch()
        shutil.rmtree(place.path(TEMPORARY), ignore_errors=True)
        place.write_stamp(key, extras)
        progress.done(f"3/3  packages installed: {watch.total}")
    finally:
        progress.clear()
        lock.release()


# ------------------------------------------------------------------------------------------------------------ browser


def find_browser():
    """A Chromium-like browser for the browser tests, or None."""
    for name in ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge"):
        if shutil.which(name):
            return shutil.which(name)
    applications = ("Google Chrome", "Chromium", "Microsoft Edge")
    places = [f"/Applications/{name}.app/Contents/MacOS/{name}" for name in applications]
    for variable in ("PROGRAMFILES", "PROGRAMFILES(X86)", "LOCALAPPDATA"):
        for tail in (r"Google\Chrome\Application\chrome.exe", r"Microsoft\Edge\Application\msedge.exe"):
            places.append(os.path.join(os.environ.get(variable, ""), tail))
    return next((path for path in places if os.path.isabs(path) and os.path.exists(path)), None)


def provide_browser(place):
    """Install Debian's Chromium where that is possible; else say so and go on."""
    if find_browser():
        return
    if not WINDOWS and shutil.which("apt-get") and os.geteuid() == 0:
        print("Installing Chromium for the browser tests (apt-get).", flush=True)
        environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
        with open(place.path(LOG), "ab") as log:
            for command in (["update"], ["install", "-y", "--no-install-recommends", "chromium"]):
                subprocess.call(
                    ["apt-get", "-q"] + command,  # noqa: RUF005
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                )
        if find_browser():
            return
    print("No Chromium or Chrome here, so browser tests will be skipped: install one to run them.", flush=True)


# --------------------------------------------------------------------------------------------------------------- start


def hand_over(place, command):
    """Become the course's command line, with the environment's programs first on PATH."""
    environment = dict(os.environ)
    environment.pop("PYTHONHOME", None)
    environment["PATH"] = os.pathsep.join(part for part in (place.scripts, environment.get("PATH")) if part)
    if not place.here:
        environment["VIRTUAL_ENV"] = place.folder
    # -P: a file of the student's such as random.py in the current folder must not be taken for a library
    arguments = [place.python, "-P", "-m", "autograder.cli"] + command  # noqa: RUF005
    sys.stdout.flush()
    sys.stderr.flush()
    if not WINDOWS:
        os.execve(place.python, arguments, environment)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the command's to answer
    return subprocess.call(arguments, env=environment)


def from_system(error):
    """One sentence for an error of the operating system."""
    if error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", None)):
        return DISK_FULL
    where = f"{error.filename}" if error.filename else "this folder"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"{where} cannot be written: move the course to a folder of your own and try again."
    return f"{where} gave the error '{error.strerror or error}': put that right and run the same command again."


def interrupt(number, frame):
    """Treat a polite request to end like Ctrl-C."""
    raise KeyboardInterrupt


def start(arguments):
    """Do what the command line asks; return the exit code."""
    here, extras, command = read_arguments(arguments)
    if command is None:
        print(HELP)
        return 0
    check_python(sys.version_info, arguments)
    place = Place(ROOT, here)
    key = fingerprint(ROOT)
    if not place.is_ready(key, extras):
        for name in ("SIGTERM", "SIGHUP"):
            if hasattr(signal, name) and signal.getsignal(getattr(signal, name)) == signal.SIG_DFL:
                signal.signal(getattr(signal, name), interrupt)
        install(place, key, extras)
    if command[0] == "test":
        provide_browser(place)
    return hand_over(place, command)


def main(arguments):
    """Start, and turn every foreseeable trouble into one sentence."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a path in any script must be printable on any console
    try:
        return start(arguments)
    except Stop as stop:
        sentence, code = str(stop), stop.code
    except KeyboardInterrupt:
        sentence, code = "Stopped: run the same command again to go on where it stopped.", 1
    except OSError as error:
        sentence, code = from_system(error), 1
    print(sentence, file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
