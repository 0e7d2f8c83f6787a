"""Exercise checking for the course: ``from autograder import check`` in a notebook, ``nnlm`` on the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from autograder.checking import check as check

__all__ = ["check"]


def __getattr__(name: str) -> Any:
    # Loaded on first use: the sandbox imports this package too and wants nothing of the notebook side.
    if name == "check":
        from autograder.checking import check

        return check
    raise AttributeError(f"module 'autograder' has no attribute {name!r}")
