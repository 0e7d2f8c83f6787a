"""Control groups: memory and processes of one child together, whatever it forks. Version 1 and 2 of the interface."""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass
from pathlib import Path

_NAME = "nnlm-"


@dataclass(frozen=True)
class Usage:
    """What a child's group has counted."""

    out_of_memory: bool
    peak_mb: float
    too_many_processes: bool


class Group:
    """The group of one child, made anew for it."""

    def __init__(self, folders: dict[str, Path], version: int, memory_mb: int, processes: int) -> None:
        self.version = version
        self.memory, self.processes = folders["memory"], folders["pids"]
        self.folders = tuple(dict.fromkeys(folders.values()))
        for folder in self.folders:
            folder.mkdir()
        size = str(memory_mb * 2**20)
        if version == 1:
            _write(self.memory / "memory.limit_in_bytes", size)
            with contextlib.suppress(OSError):  # where swap is not counted there is no such file
                _write(self.memory / "memory.memsw.limit_in_bytes", size)
        else:
            _write(self.memory / "memory.max", size)
            for name, value in (("memory.swap.max", "0"), ("memory.oom.group", "1")):
                with contextlib.suppress(OSError):
                    _write(self.memory / name, value)
        _write(self.processes / "pids.max", str(processes))

    def enter(self) -> None:
        """Move the calling process in; its children follow."""
        for folder in self.folders:
            _write(folder / "cgroup.procs", "0")

    def usage(self) -> Usage:
        """What has been counted so far."""
        if self.version == 1:
            killed = _field(self.memory / "memory.oom_control", "oom_kill")
            peak = _number(self.memory / "memory.max_usage_in_bytes")
        else:
            killed = _field(self.memory / "memory.events", "oom_kill")
            peak = _number(self.memory / "memory.peak")
        return Usage(killed > 0, peak / 2**20, _field(self.processes / "pids.events", "max") > 0)

    def remove(self) -> None:
        """Remove it; its processes have ended, but the kernel may still be counting them off."""
        for folder in self.folders:
            _remove(folder)


class Groups:
    """This server's folder in each hierarchy, below the group that it runs in itself."""

    def __init__(self) -> None:
        """Make the folders.

        Raises:
            OSError: there are no control groups here that this process may use.
        """
        self.version, parents = _hierarchies()
        self.own = {name: parent / f"{_NAME}{os.getpid()}" for name, parent in parents.items()}
        self.count = 0
        for parent in set(parents.values()):
            _sweep(parent)
        try:
            for folder in set(self.own.values()):
                folder.mkdir(exist_ok=True)
            if self.version == 2:
                for folder in {*parents.values(), *self.own.values()}:
                    _write(folder / "cgroup.subtree_control", "+memory +pids")
        except OSError:
            self.remove()
            raise

    def make(self, memory_mb: int, processes: int) -> Group:
        """A group for one more child.

        Raises:
            OSError: the limits cannot be set.
        """
        self.count += 1
        folders = {name: folder / str(self.count) for name, folder in self.own.items()}
        try:
            return Group(folders, self.version, memory_mb, processes)
        except OSError:
            for folder in folders.values():
                _remove(folder)
            raise

    def remove(self) -> None:
        """Remove the server's folders with what is left in them."""
        for folder in set(self.own.values()):
            _remove_tree(folder)


def remove_of(pid: int) -> None:
    """Remove what a server left that could not do it itself."""
    with contextlib.suppress(OSError):
        for parent in set(_hierarchies()[1].values()):
            _remove_tree(parent / f"{_NAME}{pid}")


def _hierarchies() -> tuple[int, dict[str, Path]]:
    """Version of the interface, and for memory and for processes the folder of the group this process is in."""
    mine: dict[str, str] = {}
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, names, path = line.split(":", 2)
        mine.update(dict.fromkeys(names.split(","), path))
    found: dict[str, Path] = {}
    unified: Path | None = None
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        left, _, right = line.partition(" - ")
        root, point = left.split()[3:5]
        kind, _, options = right.split(maxsplit=2)
        if kind == "cgroup":
            for name in {"memory", "pids"} & set(options.split(",")):
                found[name] = _below(point, root, mine.get(name, "/"))
        elif kind == "cgroup2":
            unified = _below(point, root, mine.get("", "/"))
    if {"memory", "pids"} <= set(found):
        return 1, found
    if unified is not None:
        # A group that holds processes may not hand out limits; its parent, or a delegated sibling's, may.
        for folder in (unified, unified.parent):
            if {"memory", "pids"} <= set((folder / "cgroup.controllers").read_text().split()):
                inside = (folder / "cgroup.procs").read_text().strip() and folder != Path("/sys/fs/cgroup")
                if not inside and os.access(folder, os.W_OK):
                    return 2, {"memory": folder, "pids": folder}
    raise OSError(2, "no control groups for memory and processes that may be used here")


def _below(point: str, root: str, path: str) -> Path:
    inside = path.removeprefix(root) if root != "/" else path
    return Path(point + "/" + inside.strip("/"))


def _sweep(parent: Path) -> None:
    """Remove groups of servers that ended without doing so."""
    for folder in parent.glob(f"{_NAME}*"):
        pid = folder.name.removeprefix(_NAME)
        if pid.isdigit() and not Path("/proc", pid).exists():
            _remove_tree(folder)


def _remove_tree(folder: Path) -> None:
    with contextlib.suppress(OSError):
        for child in sorted(path for path in folder.iterdir() if path.is_dir()):
            _remove(child)
    _remove(folder)


def _remove(folder: Path) -> None:
    for _ in range(50):
        try:
            folder.rmdir()
            return
        except FileNotFoundError:
            return
        except OSError:
            time.sleep(0.01)


def _write(path: Path, value: str) -> None:
    with path.open("w") as file:
        file.write(value)


def _number(path: Path) -> int:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return 0


def _field(path: Path, name: str) -> int:
    with contextlib.suppress(OSError, ValueError):
        for line in path.read_text().splitlines():
            key, _, value = line.partition(" ")
            if key == name:
                return int(value)
    return 0
