"""The few Linux system calls that Python's library lacks, by their numbers; no dependency, nothing is kept."""

from __future__ import annotations

import ctypes
import os
import platform
from pathlib import Path

_libc = ctypes.CDLL(None, use_errno=True)

CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC = 0x20000, 0x02000000, 0x04000000, 0x08000000
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = (
    *(1, 2, 4, 8, 32, 4096, 16384),
    1 << 18,
)
_MNT_DETACH = 2
_AT_FDCWD, _AT_RECURSIVE = -100, 0x8000
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS, _PR_SET_KEEPCAPS = 1, 4, 24, 38, 8
_PR_SET_CHILD_SUBREAPER, _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE = 36, 47, 2
CAP_DAC_READ_SEARCH, CAP_SETUID, CAP_SETPCAP, CAP_SYS_ADMIN = 2, 7, 8, 21

#: Numbers of calls that are alike on every architecture since 5.0, and of those that are not.
_SAME = {"mount_setattr": 442, "landlock_create_ruleset": 444, "landlock_add_rule": 445, "landlock_restrict_self": 446}
_OWN = {
    "x86_64": {"pivot_root": 155, "capset": 126, "capget": 125},
    "aarch64": {"pivot_root": 41, "capset": 91, "capget": 90},
}


def machine() -> str:
    """Name of the processor's architecture."""
    return platform.machine()


def syscall(name: str, *arguments: object) -> int:
    """Make a system call.

    Raises:
        OSError: it fails, or this architecture's number is not known.
    """
    number = _SAME.get(name) or _OWN.get(machine(), {}).get(name)
    if number is None:
        raise OSError(38, f"{name} is not known on {machine()}")
    return _checked(_libc.syscall(ctypes.c_long(number), *arguments), name)


def _checked(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return int(result)


def unshare(flags: int) -> None:
    """Leave the shared namespaces that ``flags`` name."""
    _checked(_libc.unshare(flags), "unshare")


def setns(fd: int, flags: int) -> None:
    """Enter the namespace behind a descriptor."""
    _checked(_libc.setns(fd, flags), "setns")


def mount(source: str, target: str, kind: str | None = None, flags: int = 0, data: str | None = None) -> None:
    """Mount ``source`` on ``target``."""
    encoded = [text.encode() if text is not None else None for text in (source, target, kind)]
    status = _libc.mount(*encoded, ctypes.c_ulong(flags), data.encode() if data is not None else None)
    _checked(status, f"mount {target}")


def bind(source: str, target: str) -> None:
    """Show a file or folder, with everything mounted below it, in a second place."""
    mount(source, target, None, MS_BIND | MS_REC)


def read_only(target: str, *, executable: bool = True) -> None:
    """Make a mount and all below it read-only, without set-uid programs and device files.

    One call sets it for the whole tree and keeps flags that may not be cleared inside a user namespace.
    """

    class Attributes(ctypes.Structure):
        _fields_ = [(name, ctypes.c_uint64) for name in ("set", "clear", "propagation", "userns")]

    wanted = Attributes(MS_RDONLY | MS_NOSUID | MS_NODEV | (0 if executable else MS_NOEXEC), 0, 0, 0)
    syscall(
        "mount_setattr",
        ctypes.c_int(_AT_FDCWD),
        target.encode(),
        ctypes.c_uint(_AT_RECURSIVE),
        ctypes.byref(wanted),
        ctypes.c_size_t(ctypes.sizeof(wanted)),
    )


def enter_root(folder: str) -> None:
    """Make ``folder``, a mount point, the root; of the old one nothing remains."""
    os.chdir(folder)
    syscall("pivot_root", b".", b".")  # the old root lies on top of the new one now
    _checked(_libc.umount2(b".", _MNT_DETACH), "umount")
    os.chdir("/")


def die_with_parent() -> None:
    """Ask to be killed when the parent ends; a change of user forgets it."""
    _checked(_libc.prctl(_PR_SET_PDEATHSIG, 9, 0, 0, 0), "prctl")


def adopt_orphans() -> None:
    """Become the parent of descendants whose own parent ends."""
    _checked(_libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), "prctl")


def no_new_privileges() -> None:
    """No program that is started from here on gains rights."""
    _checked(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl")


def readable_to_itself() -> None:
    """A process that changed its user may not read its own ``/proc/self`` unless it says so."""
    _checked(_libc.prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0), "prctl")


def drop_bounding_set(keep: int | None = None) -> None:
    """No capability but ``keep`` can come back by starting a program."""
    for capability in range(64):
        if capability != keep and _libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0) < 0:
            if ctypes.get_errno() == 22:  # the last one there is
                return
            _checked(-1, "prctl")


def become(user: int, keep: int | None = None) -> None:
    """Become a user without groups, and keep at most one capability."""
    os.setgroups([])
    if keep is not None:
        _checked(_libc.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0), "prctl")
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)


def set_capabilities(keep: int | None = None) -> None:
    """Give up every capability but ``keep``; programs started from here have it too."""

    class Header(ctypes.Structure):
        _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]

    bits = 0 if keep is None else 1 << keep
    data = (ctypes.c_uint32 * 6)(bits, bits, bits, 0, 0, 0)  # effective, permitted, inheritable; then the high halves
    syscall("capset", ctypes.byref(Header(0x20080522, 0)), ctypes.byref(data))
    if keep is not None:
        _checked(_libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, keep, 0, 0), "prctl")


def has_capability(capability: int) -> bool:
    """Whether this process has a capability."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) >> capability & 1)
    return False


def flush_c_streams() -> None:
    """Write out what C code has printed into its buffers."""
    _libc.fflush(None)
