"""What a student gets: an allow-list of files, never a list of exceptions."""

from __future__ import annotations

import zipfile
from pathlib import Path

from autograder.paths import ROOT, Chapter

#: Modules of the grading package that ``check`` needs; none imports a reference.
MODULES = (
    "autograder/__init__.py",
    "autograder/checking.py",
    "autograder/comparison.py",
    "autograder/diagnosis.py",
    "autograder/exercise.py",
    "autograder/frozen.py",
    "autograder/gradients.py",
    "autograder/paths.py",
    "autograder/progress.py",
    "autograder/render.py",
    "autograder/verdict.py",
)
_IMPORTABLE = (*MODULES, "autograder/sandbox/*.py", "course/__init__.py", "course/kit/*.py", "assets/widgets/*.mjs")
_STARTING = (
    "start.py",
    "pyproject.toml",
    "constraints.txt",
    "environment.yml",
    "LICENSE",
    "LICENSE-TEXT.md",
    "autograder/bundle.py",
    "autograder/cells.py",
    "autograder/cli.py",
    "autograder/data.py",
    "autograder/doctor.py",
    "autograder/headless.py",
    "autograder/lab.py",
    "autograder/frozen/00_start_here.cases",
    "course/00_start_here.ipynb",
)


def _matching(patterns: tuple[str, ...]) -> list[Path]:
    return sorted(path for pattern in patterns for path in ROOT.glob(pattern) if path.is_file())


def importable_files() -> list[Path]:
    """What student code may import of this project while it is graded; the cases it could look up are public anyway."""
    return _matching((*_IMPORTABLE, "autograder/frozen/*.cases"))


def student_files(chapters: list[Chapter]) -> list[Path]:
    """What a bundle with these chapters holds."""
    own = [path for chapter in chapters for path in (chapter.notebook, chapter.frozen) if path.is_file()]
    return sorted({*_matching((*_IMPORTABLE, *_STARTING)), *own})


def write_zip(chapters: list[Chapter], target: Path, readme: str) -> list[str]:
    """Write a student bundle; the same content gives the same bytes. Returns the names inside."""
    target.parent.mkdir(parents=True, exist_ok=True)
    entries = {path.relative_to(ROOT).as_posix(): path.read_bytes() for path in student_files(chapters)}
    entries["README.md"] = readme.encode()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name in sorted(entries):
            info = zipfile.ZipInfo(f"nnlm-course/{name}", date_time=(1980, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = 0o644 << 16
            bundle.writestr(info, entries[name])
    return sorted(entries)
