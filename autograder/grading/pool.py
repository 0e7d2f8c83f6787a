"""The same work for many students, on several processors."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import TypeVar

R = TypeVar("R")

#: Starting a worker takes about as long as grading a few submissions.
WORTH_IT = 6


def default_workers(count: int) -> int:
    """How many processes to use for ``count`` students."""
    return 1 if count < WORTH_IT else max(1, min(os.cpu_count() or 1, 8, count // 3))


def each(
    work: Callable[..., R],
    arguments: list[tuple[object, ...]],
    workers: int,
    progress: Callable[[str, int, int], None] | None = None,
) -> Iterator[R]:
    """Results of ``work(*arguments)``, in the order of the arguments; the last argument names the student.

    Workers are spawned, never forked: this process may hold threads and database connections.
    """
    if workers <= 1:
        for done, row in enumerate(arguments):
            if progress:
                progress(str(row[-1]), done, len(arguments))
            yield work(*row)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        futures = {pool.submit(work, *row): row for row in arguments}
        try:
            for done, future in enumerate(as_completed(futures), 1):
                if progress:
                    progress(str(futures[future][-1]), done, len(arguments))
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
        for future in futures:
            yield future.result()
