"""The warm server: imports the heavy libraries once, then forks one child a submission.

Run as ``python -m autograder.sandbox.server FD`` by :mod:`autograder.sandbox.session`, in a clean environment and with a path
that holds neither references nor exercises. A request is a JSON line; the answer to ``fork`` carries the child's socket.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
import time
from typing import Any

from autograder.sandbox.child import serve
from autograder.sandbox.isolation import Limits, apply_limits, die_with_parent


def warm() -> None:
    """Import what notebooks use, without starting a thread: a thread would not survive the fork."""
    import IPython.core.interactiveshell
    import matplotlib
    import numpy

    matplotlib.use("module://matplotlib_inline.backend_inline")
    import matplotlib.pyplot
    import torch

    torch.set_num_threads(1)
    parameter = torch.nn.Parameter(torch.zeros(2))
    parameter.sum().backward()  # the first backward and the first optimiser load hundreds of modules
    torch.optim.SGD([parameter], lr=0.1).step()
    _ = (IPython, numpy)


def main(fd: int) -> None:
    """Serve until the other side closes."""
    die_with_parent()
    connection = socket.socket(fileno=fd)
    warm()
    connection.sendall(b'{"ready": true}\n')
    requests = connection.makefile("rb")
    children: set[int] = set()
    for line in requests:
        request: dict[str, Any] = json.loads(line)
        if request["op"] == "fork":
            ours, theirs = socket.socketpair()
            pid = os.fork()
            if pid == 0:
                _child(theirs, request)
            theirs.close()
            children.add(pid)
            socket.send_fds(connection, [json.dumps({"pid": pid}).encode() + b"\n"], [ours.fileno()])
            ours.close()
        elif request["op"] == "reap":
            status = _reap(int(request["pid"]), children, float(request["patience"]))
            connection.sendall(json.dumps({"status": status}).encode() + b"\n")


def _reap(pid: int, children: set[int], patience: float) -> int:
    """Kill a child with everything in its session, and return its exit status, negative for a signal.

    ``patience`` is how many seconds a child that is already ending may take: its own exit status says more than our kill.
    """
    if pid not in children:
        return -1
    children.discard(pid)
    deadline = time.monotonic() + patience
    done, status = os.waitpid(pid, os.WNOHANG)
    while not done and time.monotonic() < deadline:
        time.sleep(0.005)
        done, status = os.waitpid(pid, os.WNOHANG)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)  # what it left behind in its session
    if not done:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status)


def _close_all_but(kept: int) -> None:
    """Close what the child inherited, above all this server's own control connection."""
    os.closerange(3, kept)
    os.closerange(kept + 1, 65_536)


def _child(connection: socket.socket, request: dict[str, Any]) -> None:
    code = 1
    try:
        os.setsid()
        die_with_parent()
        _close_all_but(connection.fileno())
        apply_limits(Limits(**request["limits"]))
        os.chdir(request["folder"])
        devnull = os.open(os.devnull, os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(devnull, fd)
        import random

        import numpy

        random.seed()
        numpy.random.seed()
        with connection.makefile("rb") as reader, connection.makefile("wb") as writer:
            serve(reader, writer, int(request["limits"]["output_mb"] * 2**20))
        code = 0
    finally:
        os._exit(code)


if __name__ == "__main__":
    main(int(sys.argv[1]))
