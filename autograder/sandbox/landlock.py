"""Landlock: which files a process and its descendants may touch, whatever their user may."""

from __future__ import annotations

import contextlib
import ctypes
import os
import stat

from autograder.sandbox import linux

# Rights in the order of their bits (linux/landlock.h).
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1, 2, 4, 8
_MAKE_CHAR, _MAKE_BLOCK = 1 << 6, 1 << 11
_REFER, _TRUNCATE, _IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV
READ = _EXECUTE | _READ_FILE | _READ_DIR
DEVICE = _READ_FILE | _WRITE_FILE | _READ_DIR | _IOCTL_DEV
_SCOPES = 0b11  # abstract sockets, signals


def abi() -> int:
    """Version of Landlock that the kernel speaks, 0 for none."""
    try:
        return linux.syscall("landlock_create_ruleset", None, ctypes.c_size_t(0), ctypes.c_uint32(1))
    except OSError:
        return 0


def _known(version: int) -> int:
    rights = (1 << 13) - 1
    for since, right in ((2, _REFER), (3, _TRUNCATE), (5, _IOCTL_DEV)):
        rights |= right if version >= since else 0
    return rights


def restrict(readable: list[str], writable: list[str], devices: list[str], *, network: bool) -> None:
    """Allow reading and running below ``readable``, everything but device files below ``writable``, and using ``devices``.

    Paths that do not exist are left out. ``network`` allows ports, for a process that has a network of its own.
    Needs :func:`linux.no_new_privileges` before.

    Raises:
        OSError: the kernel refuses.
    """
    version = abi()
    handled = _known(version)
    fields = [handled, 3 if version >= 4 and not network else 0, _SCOPES if version >= 6 else 0]
    size = 8 * (1 + (version >= 4) + (version >= 6))
    attributes = (ctypes.c_uint64 * 3)(*fields)
    ruleset = linux.syscall(
        "landlock_create_ruleset", ctypes.byref(attributes), ctypes.c_size_t(size), ctypes.c_uint32(0)
    )
    all_but_devices = handled & ~(_MAKE_CHAR | _MAKE_BLOCK | _IOCTL_DEV)
    try:
        for paths, rights in ((readable, READ), (writable, all_but_devices), (devices, DEVICE | _TRUNCATE)):
            for path in paths:
                with contextlib.suppress(FileNotFoundError):
                    _allow(ruleset, path, rights & handled)
        linux.syscall("landlock_restrict_self", ctypes.c_int(ruleset), ctypes.c_uint32(0))
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: str, rights: int) -> None:
    class Beneath(ctypes.Structure):
        _pack_ = 1
        _fields_ = [("rights", ctypes.c_uint64), ("parent", ctypes.c_int32)]

    fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        if not stat.S_ISDIR(os.fstat(fd).st_mode):
            rights &= _OF_FILES
        rule = Beneath(rights, fd)
        linux.syscall(
            "landlock_add_rule", ctypes.c_int(ruleset), ctypes.c_int(1), ctypes.byref(rule), ctypes.c_uint32(0)
        )
    finally:
        os.close(fd)
