"""The decks' table of language models on the Penn Treebank, with what our own models reach beside what was printed.

Every figure of ours comes from one command; the results lie in ``assets/leaderboard.json`` with the version of the code that made
them, and ``docs/leaderboard.md`` shows them.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from autograder.paths import ROOT

RESULTS = ROOT / "assets" / "leaderboard.json"
PAGE = ROOT / "docs" / "leaderboard.md"
PICTURE = ROOT / "assets" / "figures" / "leaderboard.svg"
#: Columns beside the model alone, and what each is.
BESIDE = {"cache": "+ cache", "kn5": "+ KN5", "cache_kn5": "+ both", "dynamic": "dynamic"}


class LeaderboardError(RuntimeError):
    """A row that cannot be made; the message is one sentence."""


@dataclass(frozen=True)
class Entry:
    """A row: who reached what with it, and the command that makes our figure.

    Attributes:
        key: its short name.
        model: what it is.
        source: where the printed figure is from.
        paper_ppl: the printed test perplexity.
        arguments: of ``nnlm train`` after the corpus.
    """

    key: str
    model: str
    source: str
    paper_ppl: float
    arguments: tuple[str, ...]

    @property
    def command(self) -> str:
        """What one types."""
        return " ".join(("python3 start.py train", self.arguments[0], "--data penn_treebank", *self.arguments[1:]))


_THREAD = ("--threads", "1", "--precision", "auto")
_BESIDE = ("--also", "kn5", "--also", "cache")
ENTRIES = (
    Entry("3-gram", "3-gram", "Brown et al. 1992", 178.0, ("kn3",)),
    Entry("fnn", "feed-forward network", "Bengio et al. 2003", 162.2, ("fnn", "--cpu-seconds", "185", *_THREAD)),
    Entry("rnn", "recurrent network", "Mikolov et al. 2010", 124.7, ("rnn", "--cpu-seconds", "175", *_THREAD)),
    Entry(
        "rnn_lda",
        "recurrent network with topics",
        "Mikolov and Zweig 2012",
        92.0,
        ("rnn_lda", "--cpu-seconds", "240", *_THREAD, *_BESIDE),
    ),
    Entry(
        "lstm",
        "LSTM",
        "Zaremba et al. 2014",
        78.4,
        ("lstm", "--cpu-seconds", "570", *_THREAD, *_BESIDE, "--also", "dynamic"),
    ),
    Entry(
        "rhn",
        "recurrent highway network",
        "Zilly et al. 2017",
        65.4,
        ("rhn", "--cpu-seconds", "300", *_THREAD, *_BESIDE),
    ),
    Entry(
        "awd_lstm",
        "LSTM with DropConnect and averaged descent",
        "Merity et al. 2018",
        58.8,
        ("awd_lstm", "--cpu-seconds", "300", *_THREAD, *_BESIDE),
    ),
    Entry(
        "transformer",
        "Transformer",
        "Radford et al. 2019",
        35.7,
        ("transformer", "--cpu-seconds", "225", *_THREAD, *_BESIDE),
    ),
)


def rows() -> list[dict[str, Any]]:
    """What is known of every row, in the order of the table.

    Raises:
        LeaderboardError: the file of results is missing or broken.
    """
    try:
        known = {row["key"]: row for row in json.loads(RESULTS.read_text(encoding="utf-8"))}
    except (OSError, ValueError, TypeError, KeyError):
        raise LeaderboardError(
            "The results (assets/leaderboard.json) are missing or broken; download the course material again."
        ) from None
    return [known[entry.key] for entry in ENTRIES if entry.key in known]


def measure(entry: Entry, data_dir: str | None = None) -> dict[str, Any]:
    """Train a row's model by its command, in a process of its own, and keep what came of it.

    Raises:
        LeaderboardError: it ended without a result.
    """
    command = [sys.executable, "-m", "autograder.cli", "train", entry.arguments[0], "--data", "penn_treebank"]
    command += [*entry.arguments[1:], "--json", *(("--data-dir", data_dir) if data_dir else ())]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"it ended with status {done.returncode}"]
        raise LeaderboardError(f"`{entry.command}` gave no result: {said[-1]}")
    row = row_of(entry, json.loads(done.stdout))
    known = {row["key"]: row for row in (rows() if RESULTS.exists() else [])} | {entry.key: row}
    ordered = [known[one.key] for one in ENTRIES if one.key in known]
    RESULTS.write_text(json.dumps(ordered, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return row


def row_of(entry: Entry, result: dict[str, Any]) -> dict[str, Any]:
    """A row from what ``nnlm train --json`` gave."""
    beside = {name: round(result[f"test_ppl_{name}"], 3) for name in BESIDE if f"test_ppl_{name}" in result}
    return {
        "key": entry.key,
        "model": entry.model,
        "source": entry.source,
        "paper_ppl": entry.paper_ppl,
        "test_ppl": round(result["test_ppl"], 3),
        "valid_ppl": round(result["valid_ppl"], 3),
        "tokens": result["tokens"],
        "beside": beside,
        "parameters": result["parameters"],
        "seconds": round(result["seconds"], 1),
        "cpu_seconds": round(result["cpu_seconds"], 1),
        "threads": result.get("threads", 1),
        "precision": result.get("precision", "float64"),
        "device": result["device"],
        "seed": result["seed"],
        "command": entry.command,
        "version": result["version"],
    }


def table(known: Iterable[dict[str, Any]]) -> str:
    """The rows as Markdown."""
    head = ["model", "printed", "ours", *BESIDE.values(), "parameters", "CPU seconds", "reached by"]
    lines = ["| " + " | ".join(head) + " |", "| " + " | ".join("---" for _ in head) + " |"]
    for row in known:
        beside = [f"{row['beside'][name]:.1f}" if name in row["beside"] else "–" for name in BESIDE]
        spent = f"{row['cpu_seconds']:.1f}" if row["cpu_seconds"] < 10 else f"{row['cpu_seconds']:.0f}"
        if row["device"] != "cpu":
            spent = f"{row['seconds']:.0f} s on {row['device']}"
        cells = [f"{row['model']} ({row['source']})", f"{row['paper_ppl']:.1f}", f"{row['test_ppl']:.1f}", *beside]
        cells += [f"{row['parameters'] / 1e6:.1f} M", spent, f"`{row['command'].removeprefix('python3 start.py ')}`"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def write_page() -> None:
    """Put the table into the page, and draw the picture."""
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition("<!-- table -->\n")
    _, _, after = rest.partition("<!-- end of the table -->\n")
    PAGE.write_text(
        f"{before}<!-- table -->\n{table(rows())}<!-- end of the table -->\n{after}", encoding="utf-8", newline="\n"
    )
    draw(rows())


def draw(known: list[dict[str, Any]]) -> None:
    """Perplexity against the CPU time that it cost, ours and what was printed."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "leaderboard"
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7.5, 4.5), layout="constrained")
    for row in known:
        x = max(row["cpu_seconds"], 0.1)
        axes.plot([x, x], [row["test_ppl"], row["paper_ppl"]], color="0.75", lw=1, zorder=1)
        axes.scatter(x, row["paper_ppl"], marker="_", s=120, color="#D55E00", zorder=2)
        axes.scatter(x, row["test_ppl"], s=40, color="#0072B2", zorder=3)
        if row["beside"]:
            axes.scatter(x, min(row["beside"].values()), s=40, marker="v", color="#009E73", zorder=3)
        axes.annotate(
            row["model"], (x, row["test_ppl"]), xytext=(7, 0), textcoords="offset points", fontsize=8, va="center"
        )
    axes.scatter([], [], s=40, color="#0072B2", label="ours, alone")
    axes.scatter([], [], s=40, marker="v", color="#009E73", label="ours, with the best of what stands beside it")
    axes.scatter([], [], marker="_", s=120, color="#D55E00", label="printed in the paper")
    axes.set(xscale="log", yscale="log", xlabel="CPU seconds of training", ylabel="test perplexity, Penn Treebank")
    low = min(min((row["test_ppl"], row["paper_ppl"], *row["beside"].values())) for row in known)
    ticks = [t for t in (40, 50, 60, 80, 100, 120, 150, 180) if t >= math.floor(low / 10) * 10]
    axes.set_yticks(ticks, [str(t) for t in ticks])
    axes.minorticks_off()
    axes.set_xlim(0.05, 3000)
    axes.legend(frameon=False, fontsize=8, loc="lower left")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(PICTURE, metadata={"Date": None})
    plt.close(figure)
