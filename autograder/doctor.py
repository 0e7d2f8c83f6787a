"""``nnlm doctor``: what the course needs of this computer, what is there, and what to do about the rest.

Every look is independent of the others and imports what it needs itself, so that a missing package costs one line.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import shutil
import sys
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from autograder.paths import COURSE, ROOT, chapters

GOOD, ATTENTION, BAD = "✓", "!", "✗"
INSTALL = "Run `python3 start.py`; it installs what is missing."
GIGABYTE = 1e9
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")


@dataclass(frozen=True)
class Line:
    """One thing looked at. ``mark`` is ✓, ! (the course works without it) or ✗ (it does not)."""

    mark: str
    what: str
    text: str
    advice: str = ""

    def __str__(self) -> str:
        return f"{self.mark} {self.what}: {self.text}" + (f" {self.advice}" if self.advice else "")


def examine() -> list[Line]:
    """Look at everything, in the order in which things are worth mending."""
    looks: tuple[tuple[str, Callable[[], Iterator[Line]]], ...] = (
        ("Python", python),
        ("packages", packages),
        ("PyTorch", torch),
        ("kernel", kernel),
        ("chapters", course),
        ("sandbox", sandbox),
        ("disk", disk),
        ("memory", memory),
        ("tests", testing),
    )
    lines: list[Line] = []
    for what, look in looks:
        try:
            lines += look()
        except Exception as error:  # a broken package may raise anything at its import
            lines.append(Line(BAD, what, f"cannot be looked at ({type(error).__name__}: {error}).", INSTALL))
    return lines


def healthy(lines: list[Line]) -> bool:
    """Whether nothing that is required is missing."""
    return all(line.mark != BAD for line in lines)


def to_data(lines: list[Line]) -> dict[str, Any]:
    """As plain data."""
    return {"healthy": healthy(lines), "lines": [asdict(line) for line in lines]}


# ---- what is installed -----------------------------------------------------------------------------------------------
def python() -> Iterator[Line]:
    """The interpreter's version."""
    from packaging.specifiers import SpecifierSet

    wanted, have = _project()["requires-python"], platform.python_version()
    text = f"{have} at {sys.executable}."
    if SpecifierSet(wanted).contains(have, prereleases=True):
        yield Line(GOOD, "Python", text)
    else:
        yield Line(BAD, "Python", text, f"The course needs {wanted}: delete .venv and start with a newer Python.")


def packages() -> Iterator[Line]:
    """Installed versions against pyproject.toml's ranges."""
    from packaging.requirements import Requirement

    missing, wrong = _compare([Requirement(text) for text in _project()["dependencies"]])
    for text in missing + wrong:
        yield Line(BAD, "packages", text, INSTALL)
    if not missing + wrong:
        yield Line(GOOD, "packages", f"all {len(_project()['dependencies'])} are there, in versions that fit.")


def torch() -> Iterator[Line]:
    """PyTorch and the devices it sees."""
    if importlib.util.find_spec("torch") is None:
        yield Line(BAD, "PyTorch", "is not installed.", INSTALL)
        return
    import torch

    text = f"{torch.__version__}"
    if torch.cuda.is_available():
        memory = torch.cuda.get_device_properties(0).total_memory / GIGABYTE
        yield Line(GOOD, "PyTorch", f"{text}, GPU {torch.cuda.get_device_name(0)} with {memory:.0f} GB.")
    elif shutil.which("nvidia-smi"):
        advice = "Install a CUDA build of PyTorch to use it; without it everything runs on the CPU."
        yield Line(ATTENTION, "PyTorch", f"{text} does not see this computer's NVIDIA GPU.", advice)
    else:
        yield Line(GOOD, "PyTorch", f"{text}, no CUDA GPU: everything runs on the CPU.")


def kernel() -> Iterator[Line]:
    """The kernel that notebooks get, also when JupyterLab is started by other means than ours."""
    if importlib.util.find_spec("ipykernel") is None:
        yield Line(BAD, "kernel", "ipykernel is not installed.", INSTALL)
        return
    from jupyter_client.kernelspec import KernelSpecManager

    command = KernelSpecManager().get_kernel_spec("python3").argv[0]
    found = shutil.which(command) if os.path.basename(command) == command else command
    if os.path.basename(command) == command or (found and Path(found).absolute() == Path(sys.executable).absolute()):
        yield Line(GOOD, "kernel", "notebooks run with this Python.")
    else:
        text = f"another kernel called python3 is installed, of {command}."
        yield Line(ATTENTION, "kernel", text, "`python3 start.py` passes it by; do not start JupyterLab yourself.")


# ---- what belongs to the course --------------------------------------------------------------------------------------
def course() -> Iterator[Line]:
    """Each notebook's checks against the frozen cases."""
    from autograder import frozen, headless

    repair = "Run `python3 start.py build`." if _is_repository() else "Unpack the course material again."
    if not chapters():
        yield Line(BAD, "chapters", "there are none.", repair)
    if not os.access(COURSE, os.W_OK):
        yield Line(BAD, "chapters", f"{COURSE} cannot be written, so no work can be saved.", "Move the course.")
    good = 0
    for chapter in chapters():
        try:
            cells = headless.read_cells(chapter.notebook)
        except headless.NotANotebook as error:
            yield Line(BAD, "chapters", str(error), repair)
            continue
        names = {name for cell in cells for name in headless.checked_names(cell.source)}
        try:
            known = set(frozen.thaw(chapter.frozen.read_bytes())) if chapter.frozen.is_file() else set()
        except Exception:
            yield Line(BAD, "chapters", f"the cases of {chapter.name} cannot be read.", repair)
            continue
        if names - known:
            text = f"{chapter.name} checks {', '.join(sorted(names - known))}, of which there are no cases."
            yield Line(BAD, "chapters", text, repair)
        else:
            good += 1
    if good:
        yield Line(GOOD, "chapters", f"{good} with their checks in step.")


def sandbox() -> Iterator[Line]:
    """Whether a child answers, and how strongly it is held."""
    from autograder.bundle import importable_files
    from autograder.sandbox.isolation import Limits, describe_level, level, safe
    from autograder.sandbox.session import SandboxError, Server, Stopped

    try:
        with Server(importable_files(), ROOT) as server, server.open(Limits()) as session:
            answered = not session.run_cell("from autograder import check")["failed"]
    except (SandboxError, Stopped) as error:
        yield Line(BAD, "sandbox", str(getattr(error, "reason", "") or error))
        return
    if not answered:
        yield Line(BAD, "sandbox", "it cannot import the checks.", INSTALL)
    # Only who grades other people's code has to think about the level.
    mark = ATTENTION if not safe(level()) and _is_repository() else GOOD
    yield Line(mark, "sandbox", describe_level())


# ---- the computer ----------------------------------------------------------------------------------------------------
def disk() -> Iterator[Line]:
    """Room for notebooks and models."""
    free = shutil.disk_usage(ROOT).free / GIGABYTE
    text = f"{free:.1f} GB free."
    if free < 0.1:
        yield Line(BAD, "disk", text, "Make room, or saving fails.")
    elif free < 2:
        yield Line(ATTENTION, "disk", text, "Later chapters need about 2 GB.")
    else:
        yield Line(GOOD, "disk", text)


def memory() -> Iterator[Line]:
    """Main memory, or less where the system grants less."""
    total = _memory_bytes() / GIGABYTE
    if total < 3.5:
        yield Line(ATTENTION, "memory", f"{total:.1f} GB.", "Close other programs before long runs; 4 GB are enough.")
    else:
        yield Line(GOOD, "memory", f"{total:.0f} GB.")


def testing() -> Iterator[Line]:
    """What `start.py test` needs beyond the course; nothing of it in a student's copy."""
    if not _is_repository():
        return
    from packaging.requirements import Requirement

    wanted = _project().get("optional-dependencies", {}).get("test", [])
    missing, wrong = _compare([Requirement(text) for text in wanted])
    if missing + wrong:
        names = ", ".join(text.split()[0] for text in missing + wrong)
        yield Line(ATTENTION, "tests", f"{names} missing or not fitting.", "`python3 start.py test` installs them.")
    browser = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if browser:
        yield Line(GOOD, "tests", f"browser tests use {browser}.")
    else:
        advice = "On Debian: apt-get install chromium."
        yield Line(ATTENTION, "tests", "no Chromium, so browser tests are skipped.", advice)


def _project() -> dict[str, Any]:
    with (ROOT / "pyproject.toml").open("rb") as file:
        project: dict[str, Any] = tomllib.load(file)["project"]
    return project


def _compare(wanted: list[Any]) -> tuple[list[str], list[str]]:
    """Sentences about requirements that are missing, and about those in a version that does not fit."""
    missing, wrong = [], []
    for requirement in wanted:
        if requirement.marker is not None and not requirement.marker.evaluate():
            continue
        try:
            have = importlib.metadata.version(requirement.name)
        except importlib.metadata.PackageNotFoundError:
            missing.append(f"{requirement.name} is missing.")
            continue
        if not requirement.specifier.contains(have, prereleases=True):
            wrong.append(f"{requirement.name} is {have}, the course needs {requirement.specifier}.")
    return missing, wrong


def _is_repository() -> bool:
    """Whether this is the whole project and not a student's copy."""
    return (ROOT / "autograder" / "grading").is_dir()


def _memory_bytes() -> float:
    limits = []
    if importlib.util.find_spec("psutil"):
        import psutil

        limits.append(float(psutil.virtual_memory().total))
    elif hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        limits.append(float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")))
    granted = Path("/sys/fs/cgroup/memory.max")  # a container may have less than the machine
    if granted.is_file() and (text := granted.read_text().strip()).isdigit():
        limits.append(float(text))
    return min(limits)
