"""Fresh seeds × every exercise × the reference and its honest variants: no honest program may ever be refused.

Run it with ``python3 start.py bench false_rejects`` (a thousand seeds; give another number to change that).
"""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor

from autograder.mutants import interval
from autograder.notebooks import all_exercises


def ask(name: str, first: int, last: int) -> tuple[str, int, list[dict[str, str]]]:
    """Judge the reference on the seeds from ``first`` up to ``last``; the variants on one seed in ten."""
    from autograder.mutants import _verdicts

    made = all_exercises()[name]
    asked, refused = 0, []
    for number in range(first, last):
        sheet = made.sheet(f"false-rejects-{number}", mistakes=False)
        functions = [made.reference, *(made.variants if number % 10 == 0 else [])]
        for function in functions:
            asked += 1
            (verdict,) = _verdicts([sheet], function)
            if not verdict.passed:
                refused.append(
                    {"exercise": name, "program": function.__name__, "seed": str(number), "said": verdict.headline}
                )
    return name, asked, refused


def main() -> None:
    """Print the counts with their 95 % interval; exit 1 when something honest was refused."""
    seeds = next((int(arg) for arg in sys.argv[1:] if arg.isdigit()), 1000)
    started = time.perf_counter()
    total, refused = 0, []
    names = list(all_exercises())
    with ProcessPoolExecutor(os.cpu_count(), mp_context=multiprocessing.get_context("spawn")) as pool:
        for name, asked, bad in pool.map(ask, names, [0] * len(names), [seeds] * len(names)):
            total += asked
            refused += bad
            print(f"{name:<28}{asked:>8} programs judged, {len(bad)} refused", file=sys.stderr)
    share = interval(len(refused), total)
    result = {"seeds": seeds, "exercises": len(names), "judged": total, "refused": refused, "false_reject": share}
    if "--json" in sys.argv:
        print(json.dumps(result, indent=1))
    else:
        for row in refused:
            print(row)
        print(
            f"{seeds} seeds × {len(names)} exercises: {len(refused)} of {total} honest programs refused "
            f"(95 % interval up to {share['high']:.4%}), {time.perf_counter() - started:.0f} s"
        )
    raise SystemExit(1 if refused else 0)


if __name__ == "__main__":
    main()
