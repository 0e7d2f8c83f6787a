"""The jail on Linux: what a child can see, reach and use up. Built once in the server, entered by every child.

The strongest of three levels that works here is found by trying it:

* ``full``: namespaces of its own (user, files, network, processes, IPC), a root that holds only what is on an allow-list, a
  control group, Landlock, seccomp, and where the server runs as root, a user of its own;
* ``no-cgroup``: the same without a control group; the trusted side watches memory instead;
* ``landlock``: for containers that forbid namespaces: Landlock, seccomp, and a user of its own or Landlock's scopes.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import site
import socket
import stat
import struct
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autograder.sandbox import landlock, linux, seccomp
from autograder.sandbox.cgroups import Group, Groups
from autograder.sandbox.isolation import LEVELS, Limits, apply_limits

#: Users of children: 64 for each server, far above those that systems hand out.
_FIRST_USER, _SLOTS = 1_000_000_000, 64
_DEVICES = ("null", "zero", "full", "random", "urandom")
_ETC = (
    *("ld.so.cache", "ld.so.conf", "ld.so.conf.d", "localtime", "timezone", "fonts", "mime.types", "alternatives"),
    *("magic", "matplotlibrc", "gai.conf", "protocols", "services"),
)
_TREES = ("bin", "sbin", "lib", "lib32", "lib64", "libx32", "usr")
_PLAIN = linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC
#: Of a child's own folder in /proc; not its `net`, which without a network of its own is the machine's.
_PROC_OWN = (
    "status",
    "stat",
    "statm",
    "maps",
    "smaps",
    "smaps_rollup",
    "fd",
    "task",
    "cmdline",
    "comm",
    "limits",
    "io",
    "exe",
)
_PROC_READABLE = ("cpuinfo", "meminfo", "stat", "loadavg", "uptime", "version", "filesystems", "sys/kernel", "sys/vm")


class NoJail(OSError):
    """A level does not work here; the message says why."""


@dataclass
class Slot:
    """What one child gets: a user, a folder on the host, and a control group."""

    number: int
    user: int | None
    folder: Path
    group: Group | None = None


class Jail:
    """One level of isolation, prepared in the server's process."""

    def __init__(self, level: str, folder: Path, shadow: Path, device: str, hidden: list[str]) -> None:
        """Prepare.

        Args:
            level: one of ``full``, ``no-cgroup``, ``landlock``.
            folder: the server's own folder.
            shadow: the copy of what student code may import of this project.
            device: ``cpu``, or ``cuda`` to let children use NVIDIA devices.
            hidden: folders that must not be seen, should they lie inside one that is shown.

        Raises:
            NoJail: it does not work here.
        """
        self.level, self.folder, self.device = level, folder, device
        self.namespaces = level in ("full", "no-cgroup")
        self.is_root = os.geteuid() == 0 and linux.has_capability(linux.CAP_SETUID)
        self.readable = readable_places(shadow)
        self.hidden = [Path(path) for path in hidden if self._is_shown(Path(path))]
        self.server = os.getpid()
        self.gpu = sorted(str(path) for path in Path("/dev").glob("nvidia*")) if device == "cuda" else []
        self.groups: Groups | None = None
        self.slots: dict[int, Slot] = {}
        self.root = folder / "root"
        if not seccomp.supported():
            raise NoJail(f"there is no seccomp filter for {linux.machine()}")
        if level == "full":
            try:
                self.groups = Groups()
            except OSError as error:
                raise NoJail(f"no control group ({error.strerror or error})") from None
        try:
            if self.namespaces:
                self._enter_own_namespaces()
                self._build_root()
            else:
                self._check_landlock()
        except OSError as error:
            self.close()
            raise NoJail(f"no {'namespaces' if self.namespaces else 'Landlock'} ({error.strerror or error})") from None

    # ---- in the server -------------------------------------------------------------------------------------------
    def _check_landlock(self) -> None:
        version = landlock.abi()
        if self.hidden:
            raise NoJail(f"{self.hidden[0]} lies inside a folder that Python is read from; move the course elsewhere")
        if version == 0:
            raise NoJail("the kernel has no Landlock")
        if version < 6 and not self.is_root:
            raise NoJail(
                f"Landlock {version} cannot keep signals apart, and only root can give children users of their own"
            )

    def _enter_own_namespaces(self) -> None:
        """A user namespace where this process is not root, and a mount namespace: nothing mounted here is seen outside."""
        if not (self.is_root and linux.has_capability(linux.CAP_SYS_ADMIN)):
            self.is_root = False
            _own_user_namespace(linux.CLONE_NEWPID)
            # The namespace of processes that `fork` comes back to must be this user's too: live in it.
            _continue_in_child()
            linux.unshare(linux.CLONE_NEWNS)
            linux.mount("none", "/", None, linux.MS_REC | linux.MS_PRIVATE)
            linux.mount("proc", "/proc", "proc", _PLAIN)
        else:
            linux.unshare(linux.CLONE_NEWNS)
            linux.mount("none", "/", None, linux.MS_REC | linux.MS_PRIVATE)
        self._own_pids = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)

    def _build_root(self) -> None:
        """A small read-only tree of what children may see; every child gets its own view of it."""
        root = self.root
        root.mkdir(exist_ok=True)
        linux.mount("tmpfs", str(root), "tmpfs", linux.MS_NOSUID | linux.MS_NODEV, "size=1m,nr_inodes=4k,mode=755")
        for name in ("tmp", "dev", "dev/shm", "dev/pts", "proc", "etc"):
            (root / name).mkdir(mode=0o755)
        users = [self._user(number) for number in range(1, _SLOTS)] if self.is_root else [os.geteuid()]
        (root / "etc/passwd").write_text("".join(f"student:x:{u}:{u}:student:/tmp/home:/bin/sh\n" for u in users))
        (root / "etc/group").write_text("".join(f"student:x:{u}:\n" for u in users))
        (root / "etc/hosts").write_text("127.0.0.1 localhost\n")
        for name in _TREES:
            path = Path("/", name)
            if path.is_symlink():
                (root / name).symlink_to(os.readlink(path))
            elif path.is_dir():
                self._show(path)
        for name in _ETC:
            if Path("/etc", name).exists():
                self._show(Path("/etc", name))
        for place in self.readable:
            if not place.is_relative_to("/usr") and not place.is_relative_to("/tmp"):
                self._show(place)
        for path in self.hidden:
            linux.mount("tmpfs", str(root / path.relative_to("/")), "tmpfs", _PLAIN, "size=1m,mode=755")
            for place in self.readable:
                if place.is_relative_to(path):
                    self._show(place)
        for name in _DEVICES:
            (root / "dev" / name).touch()
            linux.mount(f"/dev/{name}", str(root / "dev" / name), None, linux.MS_BIND)
        for device in self.gpu:
            self._show(Path(device), read_only=False)
        for name, target in (("fd", "/proc/self/fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2")):
            (root / "dev" / name).symlink_to(target)
        (root / "dev/ptmx").symlink_to("pts/ptmx")
        linux.mount("tmpfs", str(root), None, linux.MS_REMOUNT | linux.MS_BIND | linux.MS_RDONLY | linux.MS_NOSUID)

    def _is_shown(self, path: Path) -> bool:
        """Whether a folder lies strictly inside one that children see."""
        shown = [*self.readable, *(Path("/", name) for name in _TREES)]
        return path.is_dir() and any(path != place and path.is_relative_to(place) for place in shown)

    def _show(self, place: Path, *, read_only: bool = True) -> None:
        target = self.root / place.relative_to("/")
        if place.is_dir():
            target.mkdir(parents=True, exist_ok=True)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.touch()
        linux.bind(str(place), str(target))
        if read_only:
            linux.read_only(str(target))

    def take(self, limits: Limits, folder: Path) -> Slot:
        """Prepare a child's slot, before the fork."""
        number = next(n for n in range(1, len(self.slots) + 2) if n not in self.slots)
        if number >= _SLOTS:
            raise OSError(11, "too many submissions run at once")
        user = self._user(number) if self.is_root else None
        slot = Slot(number, user, folder)
        if self.groups is not None:
            slot.group = self.groups.make(limits.memory_mb, limits.processes)
        if user is not None and not self.namespaces:
            os.chown(folder, user, user)
        self.slots[number] = slot
        return slot

    def _user(self, number: int) -> int:
        return _FIRST_USER + self.server * _SLOTS + number

    def give_back(self, slot: Slot) -> None:
        """After the child has ended."""
        self.slots.pop(slot.number, None)
        if slot.group is not None:
            slot.group.remove()

    def fork(self) -> int:
        """Fork; with namespaces the child is process 1 of its own, and everything it starts ends with it."""
        if not self.namespaces:
            return os.fork()
        linux.unshare(linux.CLONE_NEWPID)
        pid = -1
        try:
            pid = os.fork()
        finally:
            if pid != 0:
                linux.setns(self._own_pids, linux.CLONE_NEWPID)
        return pid

    def close(self) -> None:
        """Remove the control groups; mounts go with the process."""
        if self.groups is not None:
            self.groups.remove()
            self.groups = None

    # ---- in the child --------------------------------------------------------------------------------------------
    def enter(self, slot: Slot, limits: Limits) -> None:
        """Lock the calling process in, for good.

        Raises:
            OSError: a layer fails; the child must not go on.
        """
        if slot.group is not None:
            slot.group.enter()
        if self.namespaces:
            self._enter_root(slot, limits)
        # The system counts a user's processes together, in each user namespace apart.
        others = 0 if self.namespaces or slot.user is not None else _own_threads()
        apply_limits(limits, processes=limits.processes + others, data=self.device != "cuda")
        keep = None
        closed = not self.namespaces and slot.user is not None and not _open_to_others(self.readable)
        if closed and linux.has_capability(linux.CAP_DAC_READ_SEARCH):
            keep = linux.CAP_DAC_READ_SEARCH  # Python lies below a closed folder; Landlock bounds what is read
        if self.namespaces and not self.is_root:
            _own_user_namespace()
        if linux.has_capability(linux.CAP_SETPCAP):
            linux.drop_bounding_set(keep)
        if slot.user is not None:
            linux.become(slot.user, keep)
        linux.die_with_parent()
        linux.no_new_privileges()
        linux.set_capabilities(keep)
        linux.readable_to_itself()
        if landlock.abi():
            landlock.restrict(*self._places(slot), network=self.namespaces)
        seccomp.install(namespaces=self.namespaces, anonymous_files=slot.group is not None)

    def _enter_root(self, slot: Slot, limits: Limits) -> None:
        linux.unshare(
            linux.CLONE_NEWNS | linux.CLONE_NEWNET | linux.CLONE_NEWIPC | linux.CLONE_NEWUTS | linux.CLONE_NEWCGROUP
        )
        root, user = str(self.root), slot.user if slot.user is not None else os.geteuid()
        group = slot.user if slot.user is not None else os.getegid()
        options = f"size={limits.disk_mb}m,nr_inodes={limits.files},mode=1777"
        linux.mount("tmpfs", f"{root}/tmp", "tmpfs", linux.MS_NOSUID | linux.MS_NODEV, options)
        for name in ("work", "home", "shm"):
            os.mkdir(f"{root}/tmp/{name}", 0o755)
            if slot.user is not None:
                os.chown(f"{root}/tmp/{name}", user, group)
        for place in self.readable:
            if place.is_relative_to("/tmp"):
                self._show(place)
        linux.bind(f"{root}/tmp/shm", f"{root}/dev/shm")
        linux.mount("proc", f"{root}/proc", "proc", _PLAIN)
        linux.mount(
            "devpts", f"{root}/dev/pts", "devpts", linux.MS_NOSUID | linux.MS_NOEXEC, "newinstance,ptmxmode=0666"
        )
        _loopback_up()
        linux.enter_root(root)
        os.chdir("/tmp/work")

    def _places(self, slot: Slot) -> tuple[list[str], list[str], list[str]]:
        devices = [f"/dev/{name}" for name in _DEVICES] + self.gpu
        if self.namespaces:
            return ["/"], ["/tmp", "/dev/shm"], [*devices, "/dev/pts"]
        readable = [f"/{name}" for name in _TREES] + [f"/etc/{name}" for name in _ETC] + ["/etc/passwd", "/etc/group"]
        readable += [str(place) for place in self.readable]
        readable += [f"/proc/{os.getpid()}/{name}" for name in _PROC_OWN]
        readable += [*(f"/proc/{name}" for name in _PROC_READABLE), "/sys/devices/system/cpu"]
        return readable, [str(slot.folder)], devices

    def home(self, slot: Slot) -> tuple[str, str, str]:
        """Working folder, home and folder for temporary files, as the child sees them."""
        if self.namespaces:
            return "/tmp/work", "/tmp/home", "/tmp"
        for name in ("home", "tmp"):
            (slot.folder / name).mkdir(exist_ok=True)
        return str(slot.folder), str(slot.folder / "home"), str(slot.folder / "tmp")


def readable_places(shadow: Path) -> list[Path]:
    """Folders that Python and its packages are read from, none of them inside another."""
    found = {Path(sys.prefix), Path(sys.base_prefix), Path(sys.exec_prefix), shadow}
    found |= {Path(path) for path in (*site.getsitepackages(), os.path.dirname(os.path.realpath(sys.executable)))}
    real = {path.resolve() for path in found if path.is_dir()} | {path for path in found if path.is_dir()}
    real = {path for path in real if path not in (Path("/"), Path("/usr"), Path.home())}
    return sorted(path for path in real if not any(path != other and path.is_relative_to(other) for other in real))


def _open_to_others(places: list[Path]) -> bool:
    """Whether a user who owns nothing can reach the places."""
    return all(
        stat.S_IMODE(folder.stat().st_mode) & 0o005 == 0o005 for place in places for folder in (place, *place.parents)
    )


def _own_threads() -> int:
    """How many threads the user of this process has."""
    total, me = 0, os.geteuid()
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):
                if folder.stat().st_uid == me:
                    total += len(os.listdir(folder / "task"))
    return total


def _own_user_namespace(more: int = 0) -> None:
    """Enter a user namespace in which this user keeps its number."""
    user, group = os.geteuid(), os.getegid()
    linux.unshare(linux.CLONE_NEWUSER | more)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
    Path("/proc/self/gid_map").write_text(f"{group} {group} 1")


def _continue_in_child() -> None:
    """Go on as a child, process 1 of a new namespace; the process that was started waits for it and ends as it does."""
    pid = os.fork()
    if pid == 0:
        linux.die_with_parent()
        return
    os.closerange(3, 65_536)
    _, status = os.waitpid(pid, 0)
    os._exit(os.waitstatus_to_exitcode(status) & 0x7F)


def _loopback_up() -> None:
    """Processes of one notebook may talk to each other as on any machine."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, 0x8914, struct.pack("16sH14x", b"lo", 0x41))  # SIOCSIFFLAGS: up, running


def best(
    folder: Path, shadow: Path, options: dict[str, Any], works: Callable[[Jail], None]
) -> tuple[Jail | None, str, str]:
    """Find the strongest level that works.

    Args:
        folder: the server's own folder.
        shadow: what may be imported of this project.
        options: ``at_most``, the strongest level to try, and what :class:`Jail` takes.
        works: called with a jail; raises :class:`OSError` when a child of it cannot be locked in.

    Returns:
        The jail (None at level ``none``), its level, and why no stronger one is used.
    """
    why: list[str] = []
    for level in LEVELS[LEVELS.index(options["at_most"]) : -1]:
        jail = None
        try:
            jail = Jail(level, folder, shadow, options["device"], options["hidden"])
            works(jail)
            return jail, level, "; ".join(why)
        except OSError as error:
            why.append(f"{level}: {error.strerror or error}")
            if jail is not None:
                jail.close()
    return None, "none", "; ".join(why)
