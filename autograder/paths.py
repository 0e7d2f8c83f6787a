"""Where things are, in the repository and in an unpacked student bundle alike."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COURSE = ROOT / "course"
SOURCES = COURSE / "source"
FROZEN = ROOT / "autograder" / "frozen"


class ChapterError(Exception):
    """No such chapter; the message lists those there are."""


@dataclass(frozen=True)
class Chapter:
    """A chapter's file names: ``02_perceptron`` → number 02, slug ``perceptron``."""

    name: str

    @property
    def slug(self) -> str:
        """Name of its modules in ``solutions`` and ``autograder.exercises``."""
        return self.name.partition("_")[2]

    @property
    def number(self) -> str:
        """Two digits."""
        return self.name.partition("_")[0]

    @property
    def source(self) -> Path:
        """The percent script."""
        return SOURCES / f"{self.name}.py"

    @property
    def notebook(self) -> Path:
        """The committed student notebook."""
        return COURSE / f"{self.name}.ipynb"

    @property
    def frozen(self) -> Path:
        """The frozen cases of its exercises."""
        return FROZEN / f"{self.name}.cases"


def chapters() -> list[Chapter]:
    """All chapters, in order: from the sources, or in a student bundle from the notebooks."""
    found = {path.stem for path in SOURCES.glob("[0-9][0-9]_*.py")} or {
        path.stem for path in COURSE.glob("[0-9][0-9]_*.ipynb")
    }
    return [Chapter(name) for name in sorted(found)]


def chapter(key: str) -> Chapter:
    """The chapter that ``key`` names: ``02``, ``2``, ``perceptron``, ``02_perceptron`` or a path to its notebook.

    Raises:
        ChapterError: none or several fit.
    """
    stem = Path(key).name.removesuffix(".ipynb").removesuffix(".py")
    every = chapters()
    fits = [c for c in every if stem in (c.name, c.slug, c.number) or (stem.isdigit() and int(stem) == int(c.number))]
    if len(fits) != 1:
        raise ChapterError(
            f"There is no chapter '{key}'; choose one of {', '.join(c.name for c in every) or '(none found)'}."
        )
    return fits[0]
