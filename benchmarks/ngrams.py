"""Interpolated Kneser–Ney on the Penn Treebank: CPU seconds to build a model, and the perplexity of the test text.

KenLM, the program of Heafield et al. 2013, gives 148.281 with three words and 141.186 with five on the same text. The corpus may
not be passed on, so your own copy is read: the environment variable NNLM_DATA names its folder or zip archive, as for
`corpora.load`.
Run it with ``python3 start.py bench ngrams``.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import numpy as np

from course.kit.corpora import CorpusMissing, load
from solutions.ngrams import KneserNey

KENLM = {(3, True): 148.281, (5, True): 141.186}


def rows() -> list[dict[str, Any]]:
    """One entry a model."""
    corpus = load("penn_treebank", parts=("test",))
    found = []
    for modified in (True, False):
        for order in (1, 2, 3, 4, 5):
            began = time.process_time()
            model = KneserNey(order, modified).fit(corpus.train, len(corpus.vocabulary), corpus.vocabulary.end)
            built = time.process_time() - began
            value = float(np.exp(-model.log_probabilities(corpus.test).mean()))
            found.append(
                {
                    "order": order,
                    "modified": modified,
                    "build_cpu_seconds": built,
                    "perplexity": value,
                    "kenlm": KENLM.get((order, modified)),
                }
            )
    return found


def main() -> int:
    """Print one row a model."""
    try:
        found = rows()
    except CorpusMissing as missing:
        print(missing)
        return 1
    if "--json" in sys.argv:
        print(json.dumps(found, indent=1))
        return 0
    print("order  discounts   CPU s   test perplexity   KenLM")
    for row in found:
        kind = "three" if row["modified"] else "one"
        beside = f"{row['kenlm']:9.3f}" if row["kenlm"] else ""
        print(f"{row['order']:5}  {kind:<9}{row['build_cpu_seconds']:8.2f}{row['perplexity']:18.3f}{beside}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
