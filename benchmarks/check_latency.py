"""How long ``check`` takes to answer, for every exercise: the reference, and the first known mistake.

The process is warm (a notebook has imported NumPy and one check already), the frozen file is read anew for the first figure.
Run it with ``python3 start.py bench check_latency``.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from contextlib import redirect_stdout, suppress
from io import StringIO
from typing import Any

from autograder import frozen
from autograder.checking import CheckFailed, check
from autograder.notebooks import all_exercises

REPEATS = 7


def seconds(name: str, function: Callable[..., Any]) -> float:
    started = time.perf_counter()
    with redirect_stdout(StringIO()), suppress(CheckFailed):
        check(name, function)
    return time.perf_counter() - started


def main() -> None:
    """Print one row an exercise, and a summary."""
    rows = []
    for name, made in all_exercises().items():
        functions = {"reference": made.reference, **{m.name: m.implementation for m in made.mistakes[:1]}}
        for what, function in functions.items():
            frozen._chapter_file.cache_clear()
            first = seconds(name, function)
            rows.append(
                {
                    "exercise": name,
                    "what": what,
                    "first_s": first,
                    "median_s": statistics.median(seconds(name, function) for _ in range(REPEATS)),
                }
            )
    medians = [row["median_s"] for row in rows]
    summary = {
        "exercises": len(all_exercises()),
        "median_s": statistics.median(medians),
        "worst_s": max(max(row["median_s"], row["first_s"]) for row in rows),
    }
    if "--json" in sys.argv:
        print(json.dumps({**summary, "rows": rows}, indent=1))
        return
    for row in rows:
        print(
            f"{row['exercise']:<28}{row['what']:<34}first {1000 * row['first_s']:7.1f} ms   then {1000 * row['median_s']:7.1f} ms"
        )
    print(
        f"{summary['exercises']} exercises: median {1000 * summary['median_s']:.1f} ms, worst {1000 * summary['worst_s']:.1f} ms"
    )


if __name__ == "__main__":
    main()
