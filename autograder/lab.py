"""``nnlm lab``: JupyterLab on the course folder, quiet, with this environment's kernel and nothing of the user's in its way."""

from __future__ import annotations

import http.client
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from autograder.paths import COURSE, ROOT
from autograder.sandbox.isolation import die_with_parent

HOST = "127.0.0.1"
FIRST_PORT = 8888
FIRST_PAGE = "00_start_here.ipynb"
START_SECONDS = 120.0
#: What a student does not need, and what takes time or shows messages at the start.
_SERVER_EXTENSIONS_OFF = (
    "jupyterlab_jupytext",
    "nbgrader.server_extensions.assignment_list",
    "nbgrader.server_extensions.course_list",
    "nbgrader.server_extensions.formgrader",
    "nbgrader.server_extensions.validate_assignment",
)
_LAB_EXTENSIONS_OFF = ("@jupyter/nbgrader", "jupyterlab-jupytext", "@jupyterlab/apputils-extension:announcements")


class LabError(Exception):
    """JupyterLab does not start; the message says why."""


class Lab:
    """A running JupyterLab with a folder of settings of its own."""

    def __init__(self, port: int = FIRST_PORT, *, browser: bool = False) -> None:
        """Start it; :meth:`wait` says when it answers.

        Args:
            port: where to begin looking for a free port.
            browser: whether it opens the course in the system's browser.

        Raises:
            LabError: no port is free.
        """
        self.port, self.token = free_port(port), secrets.token_hex(20)
        self._folder = tempfile.TemporaryDirectory(prefix="nnlm-lab-", ignore_cleanup_errors=True)
        folder = Path(self._folder.name)
        write_settings(folder, self.token)
        self._log = folder / "jupyter.log"
        command = [sys.executable, "-m", "jupyterlab", *options(self.port, browser)]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command,
                cwd=COURSE,
                env=environment(folder),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # Ctrl-C is for us: JupyterLab would answer it with a question.
                start_new_session=True,
                preexec_fn=die_with_parent if sys.platform == "linux" else None,
            )

    @property
    def address(self) -> str:
        """Where the course is, token included."""
        return f"http://{HOST}:{self.port}/lab/tree/{first_page()}?token={self.token}"

    def wait(self, seconds: float = START_SECONDS) -> None:
        """Wait until it answers.

        Raises:
            LabError: it ended, or does not answer in time.
        """
        deadline = time.monotonic() + seconds
        while not self._answers():
            if self._process.poll() is not None:
                raise LabError(f"JupyterLab ended while it started: {self._last_words()}")
            if time.monotonic() > deadline:
                raise LabError(f"JupyterLab did not answer within {seconds:.0f} s; run `python3 start.py doctor`.")
            time.sleep(0.1)

    def join(self) -> int:
        """Wait until it ends by itself; returns its exit status."""
        return self._process.wait()

    def close(self) -> None:
        """End it with its kernels and remove its settings."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._folder.cleanup()

    def __enter__(self) -> Lab:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection(HOST, self.port, timeout=5)
        try:
            connection.request("GET", "/api/status", headers={"Authorization": f"token {self.token}"})
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _last_words(self) -> str:
        lines = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return lines[-1].strip() if lines else "it left no message."


def serve(port: int, *, browser: bool, tell: Callable[[str], None]) -> None:
    """Run JupyterLab until Ctrl-C, or until it is shut down from its own menu.

    Raises:
        LabError: it does not start.
    """
    for name in ("SIGTERM", "SIGHUP"):  # a closed terminal ends it as Ctrl-C does
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), _interrupt)
    with Lab(port, browser=browser and has_display()) as lab:
        try:
            lab.wait()
            if lab.port != port:
                tell(f"Port {port} is taken; this is port {lab.port}.")
            tell(f"The course is open at {lab.address}")
            tell("Ctrl-C ends it; what you have saved stays in the folder course.")
            lab.join()
        except KeyboardInterrupt:
            tell("JupyterLab has ended.")


def free_port(first: int) -> int:
    """The first free port from ``first`` on.

    Raises:
        LabError: a hundred in a row are taken.
    """
    for port in range(first, min(first + 100, 65536)):
        with socket.socket() as probe:
            if os.name == "posix":  # what the server does too; on Windows the option means something else
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return port
    raise LabError(f"No port from {first} to {min(first + 99, 65535)} is free; name another with --port.")


def first_page() -> str:
    """The notebook to begin with: chapter 00, or in a bundle without it the first chapter there is."""
    if (COURSE / FIRST_PAGE).is_file():
        return FIRST_PAGE
    return next((path.name for path in sorted(COURSE.glob("[0-9][0-9]_*.ipynb"))), "")


def options(port: int, browser: bool) -> list[str]:
    """JupyterLab's command line; the token is not on it, because others can read command lines."""
    chosen = [
        f"--ServerApp.ip={HOST}",
        f"--ServerApp.port={port}",
        "--ServerApp.port_retries=0",
        "--ServerApp.base_url=/",
        f"--ServerApp.root_dir={COURSE}",
        f"--ServerApp.open_browser={browser}",
        f"--LabApp.default_url=/lab/tree/{first_page()}",
        f"--LabApp.workspaces_dir={ROOT / '.jupyter' / 'workspaces'}",  # not the layout of another project
        "--LabApp.news_url=None",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    ]
    if hasattr(os, "geteuid") and os.geteuid() == 0:  # as in most containers
        chosen.append("--allow-root")
    return chosen


def environment(folder: Path) -> dict[str, str]:
    """The environment of JupyterLab: our settings come before the user's, the user's others stay."""
    own = dict(os.environ)
    for name in ("JUPYTER_PATH", "JUPYTER_CONFIG_PATH"):
        own[name] = os.pathsep.join(part for part in (str(folder), own.get(name)) if part)
    return own


def write_settings(folder: Path, token: str) -> None:
    """Write the kernel, the token and what is switched off, where JupyterLab looks first."""
    python_path = os.pathsep.join(part for part in (str(ROOT), os.environ.get("PYTHONPATH")) if part)
    kernel = {
        # An absolute path: a kernel called python3 that another project left in the home folder is not ours.
        "argv": [sys.executable, "-Xfrozen_modules=off", "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "display_name": "Python 3 (ipykernel)",
        "language": "python",
        "metadata": {"debugger": True},
        "env": {"PYTHONPATH": python_path},
    }
    extensions = {"ServerApp": {"jpserver_extensions": dict.fromkeys(_SERVER_EXTENSIONS_OFF, False)}}
    page = {"disabledExtensions": dict.fromkeys(_LAB_EXTENSIONS_OFF, True)}
    for name, content in (
        ("kernels/python3/kernel.json", kernel),
        ("jupyter_server_config.json", {"IdentityProvider": {"token": token}}),
        ("jupyter_server_config.d/nnlm.json", extensions),
        ("labconfig/page_config.json", page),
    ):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content), encoding="utf-8")


def has_display() -> bool:
    """Whether a browser window can open here; without a display a text browser would take over the terminal."""
    if sys.platform in ("win32", "darwin"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY") or os.environ.get("BROWSER"))


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
