"""Opening what a student handed in: only a regular file of bounded size is ever read, and no link is followed to it."""

from __future__ import annotations

import errno
import glob
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

MAX_BYTES = 20 * 2**20
#: What may lie in a submission's folder beside the notebook; nbgrader copies all of it.
MAX_FILES = 1_000
MAX_FOLDER_BYTES = 200 * 2**20
MAX_FOLDERS_DEEP = 20

_FLAGS = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
_BINARY = getattr(os, "O_BINARY", 0)  # Windows translates line ends otherwise
_RELATIVE = os.open in os.supports_dir_fd and os.stat in os.supports_dir_fd
# Control characters, terminal escapes, bidirectional controls, and bytes that were no UTF-8.
_ODD = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


class Unreadable(Exception):
    """A submission that cannot be taken in; the message is a sentence for the student."""


def take_in(path: Path, below: Path | None = None) -> bytes:
    """Read a submitted file.

    Args:
        path: the notebook, ``…/STUDENT/CHAPTER/CHAPTER.ipynb``.
        below: a folder above it that is the instructor's own. No component below it may be a link; by default the
            folder that holds the students' folders.

    Raises:
        Unreadable: it is a link or lies behind one, is no regular file, is too large, may not be read, or changed
            while it was read.
    """
    path = Path(os.path.abspath(path))
    if below is None:
        below = path.parents[min(2, len(path.parents) - 1)]
    try:
        with _opened(path, Path(os.path.abspath(below))) as fd:
            return _whole(fd, path.name)
    except OSError as error:
        raise Unreadable(_why(error, path.name)) from None


def survey(folder: Path, notebook: str = "") -> list[str]:
    """Look through a submission's folder before nbgrader copies it.

    Args:
        folder: ``…/STUDENT/CHAPTER``.
        notebook: file name of the notebook, whose other names on the disk are noted.

    Returns:
        What an instructor may want to know, one phrase each; nothing of it stands in the way of grading.

    Raises:
        Unreadable: the folder or something in it is a link or a special file, has a name that cannot be used, or there
            is too much of it.
    """
    if _is_link(folder.parent) or _is_link(folder):
        raise Unreadable("The submission's folder is a link; put the folder itself there.")
    notes: list[str] = []
    files = size = 0
    waiting = [(folder, 0)]
    try:
        while waiting:
            here, depth = waiting.pop()
            with os.scandir(here) as entries:
                for entry in entries:
                    files += 1
                    about = entry.stat(follow_symlinks=False)
                    _refuse(entry, about)
                    if stat.S_ISDIR(about.st_mode):
                        waiting.append((Path(entry.path), depth + 1))
                    else:
                        size += about.st_size
                        if entry.name == notebook and about.st_nlink > 1:
                            notes.append(f"the notebook has {about.st_nlink - 1} more names on the disk (hard links)")
                    if files > MAX_FILES or depth >= MAX_FOLDERS_DEEP or size > MAX_FOLDER_BYTES:
                        raise Unreadable(
                            f"The submission holds more than {MAX_FILES} files, {MAX_FOLDER_BYTES >> 20} MB or "
                            f"{MAX_FOLDERS_DEEP} folders in one another; submit the notebook alone."
                        )
    except OSError as error:
        raise Unreadable(_why(error, folder.name)) from None
    return notes


def set_aside(folder: Path, target: Path, notebook: str) -> list[str]:
    """Move what :func:`survey` refuses out of a submission's folder, so that nbgrader, which copies everything, can have the rest.

    Args:
        folder: ``…/STUDENT/CHAPTER``.
        target: where it goes; nothing is lost.
        notebook: file name of the notebook; it stays unless it is itself a link or a special file.

    Returns:
        Names of what was moved.
    """
    moved: list[str] = []

    def move(path: Path) -> None:
        aside = (
            target / f"{len(os.listdir(target)) if target.is_dir() else 0}-{shown(path.name)[:80].replace('/', '_')}"
        )
        target.mkdir(parents=True, exist_ok=True)
        os.rename(path, aside)  # of a link, the link itself
        moved.append(path.name)

    if _is_link(folder):
        move(folder)
        folder.mkdir()
    for where, folders, names in os.walk(folder):
        for name in [*folders, *names]:
            about = os.lstat(os.path.join(where, name))
            if not (stat.S_ISDIR(about.st_mode) or stat.S_ISREG(about.st_mode)) or _ODD.search(name):
                move(Path(where, name))
        folders[:] = [name for name in folders if os.path.isdir(os.path.join(where, name))]
    try:
        survey(folder, notebook)
    except Unreadable:
        for entry in sorted(folder.iterdir()):
            if entry.name not in (notebook, "timestamp.txt"):
                move(entry)
    return moved


def name_trouble(student: str) -> str:
    """Why a student's folder name cannot be used, as a sentence; empty when it can."""
    if glob.escape(student) != student:
        return "nbgrader reads [, * and ? in a folder's name as a pattern; rename the student's folder."
    if _ODD.search(student) or student != student.strip() or student in ("", ".", ".."):
        return f"The student's folder {shown(student)} has a name with control characters or spaces at its ends; rename it."
    return ""


def shown(name: str) -> str:
    """A file name that is safe to print: control characters escaped, cut to a readable length."""
    safe = _ODD.sub(lambda found: f"\\u{ord(found.group()):04x}", name)
    return safe if len(safe) <= 60 else f"{safe[:57]}…"


def _refuse(entry: os.DirEntry[str], about: os.stat_result) -> None:
    if stat.S_ISLNK(about.st_mode) or _is_junction(entry):
        raise Unreadable(f"The submission holds a link ({shown(entry.name)}); remove it and submit again.")
    if not (stat.S_ISREG(about.st_mode) or stat.S_ISDIR(about.st_mode)):
        raise Unreadable(f"The submission holds a special file ({shown(entry.name)}); remove it and submit again.")
    if _ODD.search(entry.name):
        raise Unreadable(
            f"The submission holds a file with control characters in its name ({shown(entry.name)}); rename it."
        )


@contextmanager
def _opened(path: Path, below: Path) -> Iterator[int]:
    """A file descriptor of ``path``, reached from ``below`` folder by folder so that nobody can slip a link in between."""
    parts = path.relative_to(below).parts if path.is_relative_to(below) else (path.name,)
    if not path.is_relative_to(below):
        below = path.parent
    if not _RELATIVE:
        here = below
        for part in parts:
            here = here / part
            if _is_link(here):
                raise Unreadable("The submission is a link or lies behind one; submit the notebook itself.")
        _must_be_regular(os.lstat(path), path.name)
        fd = os.open(path, _FLAGS | _BINARY)
    else:
        folder = os.open(below, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for part in parts[:-1]:
                inner = os.open(part, _FLAGS | os.O_DIRECTORY, dir_fd=folder)
                os.close(folder)
                folder = inner
            # Merely opening a device can do something, so it is looked at first; fstat below is what counts.
            _must_be_regular(os.stat(parts[-1], dir_fd=folder, follow_symlinks=False), path.name)
            fd = os.open(parts[-1], _FLAGS, dir_fd=folder)
        finally:
            os.close(folder)
    try:
        yield fd
    finally:
        with suppress(OSError):
            os.close(fd)


def _whole(fd: int, name: str) -> bytes:
    before = os.fstat(fd)
    _must_be_regular(before, name)
    if before.st_size > MAX_BYTES:
        raise Unreadable(
            f"The notebook has {before.st_size / 2**20:.0f} MB; clear its outputs, {MAX_BYTES >> 20} MB is the limit."
        )
    with os.fdopen(os.dup(fd), "rb") as file:
        raw = file.read(MAX_BYTES + 1)
    after = os.fstat(fd)
    if len(raw) != before.st_size or (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
        raise Unreadable("The notebook changed while it was read; grade it again when it is complete.")
    return raw


def _must_be_regular(about: os.stat_result, name: str) -> None:
    if stat.S_ISLNK(about.st_mode):
        raise Unreadable("The submitted file is a link or cannot be opened; submit the notebook itself.")
    if stat.S_ISDIR(about.st_mode):
        raise Unreadable(f"{shown(name)} is a folder; submit the notebook itself under this name.")
    if not stat.S_ISREG(about.st_mode):
        raise Unreadable("The submitted file is not a regular file; submit the notebook itself.")


def _why(error: OSError, name: str) -> str:
    if error.errno == errno.ENOENT:
        return f"There is no {shown(name)}; submit the notebook under this name."
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"{shown(name)} may not be read; give the grader permission to read it."
    if error.errno in (errno.ELOOP, errno.ENOTDIR):
        return "The submission is a link or lies behind one; submit the notebook itself."
    return f"{shown(name)} cannot be read ({error.strerror}); submit it again."


def _is_link(path: Path) -> bool:
    return path.is_symlink() or bool(getattr(os.path, "isjunction", lambda _: False)(path))


def _is_junction(entry: os.DirEntry[str]) -> bool:
    return bool(getattr(entry, "is_junction", lambda: False)())
