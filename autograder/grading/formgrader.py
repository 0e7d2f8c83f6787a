"""JupyterLab in the course's folder, where nbgrader's formgrader finds the course and its settings."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import webbrowser
from pathlib import Path
from typing import Any

from autograder.grading.classroom import Classroom, ClassroomError

#: How long JupyterLab may take to start, in seconds.
START_SECONDS = 90


class Formgrader:
    """A running JupyterLab server; use it in a ``with`` statement.

    nbgrader's extension reads ``nbgrader_config.py`` of the folder that the server starts in, and serves only courses
    below the server's root: both are the course's folder.
    """

    def __init__(self, classroom: Classroom, port: int = 0) -> None:
        self.classroom, self.port = classroom, port
        self._process: subprocess.Popen[bytes] | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._about: dict[str, Any] = {}

    def __enter__(self) -> Formgrader:
        """Start the server.

        Raises:
            ClassroomError: there is no course, its gradebook cannot be opened, or JupyterLab does not start.
        """
        with self.classroom.gradebook():
            pass  # trouble is said here in a sentence rather than later as a page "500"
        # Jupyter writes its address and token into its runtime folder; a folder of its own makes the file easy to find.
        self._folder = tempfile.TemporaryDirectory(prefix="nnlm-formgrader-")
        try:
            self._start(Path(self._folder.name))
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *about: object) -> None:
        """End the server."""
        self.close()

    @property
    def formgrader_url(self) -> str:
        """Address of the formgrader with its token."""
        return self._url("formgrader/manage_assignments")

    @property
    def lab_url(self) -> str:
        """Address of JupyterLab with its token."""
        return self._url("lab")

    def _url(self, page: str) -> str:
        host, port, base = self._about["hostname"], self._about["port"], self._about["base_url"]
        return f"http://{host}:{port}{base}{page}?token={self._about['token']}"

    def open_browser(self) -> None:
        """Show the formgrader in the user's browser, where there is one."""
        with contextlib.suppress(webbrowser.Error):
            webbrowser.open(self.formgrader_url)

    def wait(self) -> None:
        """Return when the server ends; ``KeyboardInterrupt`` passes through."""
        for name in ("SIGTERM", "SIGHUP"):  # else the server would outlive this process
            if hasattr(signal, name):
                signal.signal(getattr(signal, name), lambda number, frame: sys.exit(128 + number))
        if self._process is not None:
            self._process.wait()

    def close(self) -> None:
        """End the server and forget its files."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def _start(self, folder: Path) -> None:
        log = folder / "jupyter.log"
        extensions = {"jupyterlab": True, "nbgrader.server_extensions.formgrader": True}
        command = [
            *(sys.executable, "-m", "jupyterlab", "--no-browser", "-y"),
            f"--ServerApp.root_dir={self.classroom.root}",
            f"--ServerApp.port={self.port}",
            "--ServerApp.port_retries=0",
            # A user's own configuration may have switched them off.
            f"--ServerApp.jpserver_extensions={extensions}",
        ]
        if hasattr(os, "geteuid") and os.geteuid() == 0:
            command.append("--allow-root")  # in a container there may be nobody else
        with log.open("wb") as file:
            self._process = subprocess.Popen(
                command,
                cwd=self.classroom.root,
                env={**os.environ, "JUPYTER_RUNTIME_DIR": str(folder)},
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            for path in folder.glob("jpserver-*.json"):
                with contextlib.suppress(ValueError):  # half written
                    self._about = json.loads(path.read_text(encoding="utf-8"))
                    self.port = int(self._about["port"])
                    return
            if self._process.poll() is not None:
                break
            time.sleep(0.1)
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines() or ["it said nothing."]
        reason = re.sub(r"^\[.*?\] *(ERROR: *)?", "", lines[-1].strip())
        raise ClassroomError(f"JupyterLab did not start: {reason}")
