"""Real submissions of every chapter, spoilt in thousands of ways: intake never crashes, and whoever loses a word is told so.

Each case takes one submission through one to four mutations of its bytes, its JSON or its nbgrader metadata, and then reads and
rebuilds it. A case is fixed by the seed and its number. Run it with ``python3 start.py bench fuzz_intake --count 10000 --json``;
``--seed S --only N`` repeats one case and shows its traceback.
"""

from __future__ import annotations

import argparse
import copy
import gzip
import io
import json
import multiprocessing
import os
import random
import re
import sys
import tempfile
import time
import traceback
import unicodedata
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode
from nbgrader.nbgraderformat import MetadataValidator
from nbgrader.utils import compute_checksum

from autograder.grading import intake
from autograder.notebooks import instructor_notebook, without_markers
from autograder.paths import chapter, chapters

Data = dict[str, Any]

STRANGE_TEXT = [
    "",
    "\x00",
    "\ud800 lone surrogate \udfff",
    "\u202emoc.live\u2066",
    "\u2028\u2029\x85\x0b\x0c",
    "line\r\nline\rline",
    "e\u0301 \u1100\u1161\u11a8 ﬁ Å",
    "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 🏳️‍🌈 感知机",
    "\ufeff",
    "<script>alert(1)</script>",
    "\x1b[31mred\x1b[0m \x9b2J",
    "1e9",
    "../../etc/passwd",
    "def " * 500,
    "(" * 3_000,
    "-" * 50_000 + "1",
    "'''",
    "\\",
    "=cmd|' /C calc'!A0",
    "check_threshold_unit",
    "threshold_unit",
]
STRANGE = [
    None,
    True,
    False,
    0,
    -1,
    1.5,
    10**30,
    float("nan"),
    float("inf"),
    -float("inf"),
    [],
    {},
    [[]],
    [None],
    {"": {}},
    [["nested", ["text"]], 7],
    {"a": [1, {"b": None}]},
    "code",
    "markdown",
    "heading",
    ["code"],
]
STRANGE_BYTES = [
    b"\x00",
    b"\xff",
    b"\xfe\xff",
    b"\xef\xbb\xbf",
    b"\xed\xa0\x80",
    b"\xc0\xaf",
    b"\r",
    b"\n",
    b"\\",
    b'"',
    b"\\u0000",
    b"\\ud800",
    b"\\x",
    b",",
    b",,",
    b"[",
    b"]",
    b"{",
    b"}",
    b"NaN",
    b"-Infinity",
    b"1e999999",
    b"0x10",
    b"01",
    b"//",
    b"<!--",
    b"null",
    b"[" * 500,
    b'{"a":' * 500,
    b"9" * 5_000,
    b"<<<<<<< HEAD\n",
]
KEYS = ["cells", "source", "metadata", "nbgrader", "grade_id", "outputs", "id", "cell_type", "nbformat", "attachments"]


@dataclass(frozen=True)
class Outcome:
    """What came of one case: ``kind`` is rebuilt, unreadable, crash or silent (something was lost without a word)."""

    number: int
    kind: str
    seconds: float
    said: str = ""
    how: str = ""


# ---- what is handed in before it is spoilt ----------------------------------------------------------------------------
@cache
def template(name: str) -> NotebookNode:
    """A chapter as it is released."""
    return nbformat.read(chapter(name).notebook, as_version=4)


@cache
def submissions() -> tuple[tuple[str, str], ...]:
    """Every chapter unfinished, solved, and half solved with outputs, texts and pictures of the student's own, as JSON."""
    made = []
    for one in chapters():
        blank, solved = template(one.name), without_markers(instructor_notebook(one))
        lively: NotebookNode = copy.deepcopy(solved)
        for number, cell in enumerate(lively.cells):
            if cell.cell_type == "code":
                cell.outputs = [
                    nbformat.v4.new_output("stream", text="printed\n" * 3),
                    nbformat.v4.new_output("display_data", data={"image/png": "aGVsbG8=", "text/html": "<b>x</b>"}),
                    nbformat.v4.new_output("error", ename="E", evalue="v", traceback=["\x1b[31mE\x1b[0m"]),
                ][: number % 4]
                cell.execution_count = number
            elif cell.metadata.get("nbgrader", {}).get("solution"):
                cell.source = "My answer: no line does it. ![sketch](attachment:sketch.png)"
                cell.attachments = {"sketch.png": {"image/png": "aGVsbG8="}}
        lively.cells.insert(3, nbformat.v4.new_code_cell("%matplotlib inline\nmine = 1"))
        lively.cells.insert(9, nbformat.v4.new_raw_cell("kept for later"))
        made += [(one.name, nbformat.writes(notebook)) for notebook in (blank, solved, lively)]
    return tuple(made)


# ---- mutations of JSON -------------------------------------------------------------------------------------------------
def places(value: Any, depth: int = 0) -> Iterator[tuple[Any, Any]]:
    """Every (container, key) below a value."""
    if depth > 40:
        return
    inner = (
        list(value.items()) if isinstance(value, dict) else list(enumerate(value)) if isinstance(value, list) else []
    )
    for key, part in inner:
        yield value, key
        yield from places(part, depth + 1)


def somewhere(rng: random.Random, data: Data) -> tuple[Any, Any]:
    """One place: most places are lines of text, so a shallow one is as likely as a deep one."""
    found = list(places(data))
    return rng.choice(found if rng.random() < 0.4 else [place for place in found if isinstance(place[1], str)])


def strange(rng: random.Random) -> Any:
    """A value that does not belong where it will stand."""
    return copy.deepcopy(rng.choice(STRANGE)) if rng.random() < 0.6 else rng.choice(STRANGE_TEXT)


def cells_of(data: Data) -> list[Any]:
    cells = data.get("cells")
    return [cell for cell in cells if isinstance(cell, dict)] if isinstance(cells, list) else []


def replace_value(rng: random.Random, data: Data) -> None:
    holder, key = somewhere(rng, data)
    holder[key] = strange(rng)


def delete_value(rng: random.Random, data: Data) -> None:
    holder, key = somewhere(rng, data)
    del holder[key]


def swap_values(rng: random.Random, data: Data) -> None:
    (one, a), (two, b) = somewhere(rng, data), somewhere(rng, data)
    # Copies, or a value could come to lie inside itself.
    one[a], two[b] = copy.deepcopy(two[b]), copy.deepcopy(one[a])


def wrap_value(rng: random.Random, data: Data) -> None:
    holder, key = somewhere(rng, data)
    for _ in range(rng.choice([1, 1, 2, 30, 200])):
        holder[key] = [holder[key]] if rng.random() < 0.5 else {"inner": holder[key]}


def retype_value(rng: random.Random, data: Data) -> None:
    holder, key = somewhere(rng, data)
    value = holder[key]
    if isinstance(value, list):
        holder[key] = {str(i): part for i, part in enumerate(value)} if rng.random() < 0.5 else "".join(map(str, value))
    elif isinstance(value, dict):
        holder[key] = list(value.items())
    elif isinstance(value, str):
        holder[key] = rng.choice([[value], list(value[:200]), len(value), value.encode().hex(), {"text": value}])
    else:
        holder[key] = str(value)


def repeat_value(rng: random.Random, data: Data) -> None:
    lists = [holder[key] for holder, key in places(data) if isinstance(holder[key], list) and holder[key]]
    if lists:
        chosen = rng.choice(lists)
        for _ in range(rng.choice([1, 1, 1, 40])):
            chosen.insert(rng.randrange(len(chosen) + 1), copy.deepcopy(rng.choice(chosen)))


def reorder_cells(rng: random.Random, data: Data) -> None:
    cells = data.get("cells")
    if not isinstance(cells, list) or not cells:
        return
    if rng.random() < 0.5:
        rng.shuffle(cells)
    else:
        cells.insert(rng.randrange(len(cells)), cells.pop(rng.randrange(len(cells))))


def spoil_text(rng: random.Random, data: Data) -> None:
    texts = [(holder, key) for holder, key in places(data) if isinstance(holder[key], str)]
    if not texts:
        return
    holder, key = rng.choice(texts)
    old, at = holder[key], rng.randrange(len(holder[key]) + 1)
    holder[key] = rng.choice(
        [
            old[:at] + rng.choice(STRANGE_TEXT) + old[at:],
            unicodedata.normalize("NFD", old),
            old.replace("\n", "\r\n"),
            old.replace("\n", "\r"),
            old[::-1],
            old * rng.choice([2, 100]),
            "".join(chr(rng.choice([rng.randrange(128), rng.randrange(0x110000)])) for _ in range(30)),
        ]
    )


def exchange_between_cells(rng: random.Random, data: Data) -> None:
    cells = cells_of(data)
    if len(cells) > 1:
        one, two = rng.sample(cells, 2)
        key = rng.choice(["source", "metadata", "id", "cell_type", "outputs"])
        one[key], two[key] = copy.deepcopy(two.get(key)), copy.deepcopy(one.get(key))


def make_bulky(rng: random.Random, data: Data) -> None:
    """Sizes near and beyond what is taken in."""
    cells = cells_of(data)
    if not cells:
        return
    what = rng.randrange(5)
    if what == 0:
        data["cells"] = data["cells"] + [{} for _ in range(rng.choice([2_500, 60_000]))]
    elif what == 1:
        rng.choice(cells)["source"] = rng.choice(["x = 1\n", "(", "感", "\\u", '"']) * rng.choice([30_000, 90_000])
    elif what == 2:
        rng.choice(cells)["outputs"] = [{"output_type": "stream", "name": "stdout", "text": ["y\n"] * 50_000}]
    elif what == 3:
        rng.choice(cells)["metadata"] = {f"k{i}": [] for i in range(20_000)}
    else:
        rng.choice(cells)["attachments"] = {f"{i}.png": {"image/png": "aGVsbG8="} for i in range(2_000)}


# ---- mutations of what nbgrader wrote ----------------------------------------------------------------------------------
def nbgrader_of(data: Data) -> list[Data]:
    found = []
    for cell in cells_of(data):
        metadata = cell.get("metadata")
        if isinstance(metadata, dict) and isinstance(metadata.get("nbgrader"), dict):
            found.append(metadata)
    return found


def spoil_nbgrader(rng: random.Random, data: Data) -> None:
    holders = nbgrader_of(data)
    if not holders:
        return
    own = rng.choice(holders)["nbgrader"]
    key = rng.choice(
        ["grade_id", "points", "locked", "solution", "grade", "task", "schema_version", "cell_type", "checksum"]
    )
    own[key] = rng.choice([strange(rng), "1e9", 99, -3, [own.get(key)], {"x": own.get(key)}, "made up"])


def replace_nbgrader(rng: random.Random, data: Data) -> None:
    holders = nbgrader_of(data)
    if holders:
        rng.choice(holders)["nbgrader"] = strange(rng)


def exchange_nbgrader(rng: random.Random, data: Data) -> None:
    holders = nbgrader_of(data)
    if len(holders) > 1:
        one, two = rng.sample(holders, 2)
        if rng.random() < 0.5:
            one["nbgrader"], two["nbgrader"] = two["nbgrader"], one["nbgrader"]
        else:
            one["nbgrader"]["grade_id"] = copy.deepcopy(two["nbgrader"].get("grade_id"))


def drop_metadata(rng: random.Random, data: Data) -> None:
    keep = rng.choice(["nothing", "ids", "metadata"])
    for cell in cells_of(data):
        if keep != "metadata":
            cell["metadata"] = {}
        if keep != "ids":
            cell.pop("id", None)


def another_version(rng: random.Random, data: Data) -> None:
    data["nbformat"] = rng.choice([1, 2, 3, 5, 99, -1, "4", None, 4.5, [4]])
    data["nbformat_minor"] = rng.choice([0, 1, 4, 6, 99, "5", None, {}])
    if rng.random() < 0.3:
        data["worksheets"] = [{"cells": data.pop("cells", []), "metadata": {}}]


def tag_everything(rng: random.Random, data: Data) -> None:
    for cell in cells_of(data):
        if isinstance(cell.get("metadata"), dict):
            cell["metadata"]["tags"] = rng.choice(
                [["skip-execution"], ["long-run", 7, []], "long-run", {"long-run": 1}]
            )
    data["metadata"] = {"kernelspec": {"name": rng.choice(["bash", "python3", 7, "\u202e\n\ud800"])}}


# ---- mutations of bytes ------------------------------------------------------------------------------------------------
def insert_bytes(rng: random.Random, raw: bytes) -> bytes:
    at = rng.randrange(len(raw) + 1)
    return raw[:at] + rng.choice(STRANGE_BYTES) + raw[at:]


def flip_bytes(rng: random.Random, raw: bytes) -> bytes:
    changed = bytearray(raw)
    for _ in range(rng.choice([1, 1, 3, 50])):
        if changed:
            changed[rng.randrange(len(changed))] = rng.randrange(256)
    return bytes(changed)


def delete_bytes(rng: random.Random, raw: bytes) -> bytes:
    at = rng.randrange(len(raw) + 1)
    return raw[:at] + raw[at + rng.choice([1, 10, 1_000]) :]


def repeat_bytes(rng: random.Random, raw: bytes) -> bytes:
    at = rng.randrange(len(raw) + 1)
    part = raw[at : at + rng.choice([1, 20, 2_000])]
    return raw[:at] + part * rng.choice([2, 50]) + raw[at:]


def truncate(rng: random.Random, raw: bytes) -> bytes:
    return raw[: rng.randrange(len(raw) + 1)]


def splice(rng: random.Random, raw: bytes) -> bytes:
    other = rng.choice(submissions())[1].encode()
    return raw[: rng.randrange(len(raw) + 1)] + other[rng.randrange(len(other)) :]


def reencode(rng: random.Random, raw: bytes) -> bytes:
    text = raw.decode("utf-8", "replace")
    encoding = rng.choice(["utf-8-sig", "utf-16", "utf-16-le", "utf-32", "gb18030", "latin-1", "utf-7"])
    return text.encode(encoding, "replace")


def line_ends(rng: random.Random, raw: bytes) -> bytes:
    return raw.replace(b"\n", rng.choice([b"\r\n", b"\r", b"\n\n", b"\x0b", b"\\r\\n"]))


def double_a_key(rng: random.Random, raw: bytes) -> bytes:
    name = rng.choice(KEYS)
    found = [match.start() for match in re.finditer(rb'"%s":' % name.encode(), raw)]
    if not found:
        return raw
    at = rng.choice(found)
    return raw[:at] + f'"{name}": {json.dumps(strange(rng))}, '.encode() + raw[at:]


def another_file(rng: random.Random, raw: bytes) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("../../02_perceptron.ipynb", raw)
        made.writestr("zeros", bytes(2_000_000))
    return rng.choice(
        [
            b"",
            b" \n",
            bytes(300),
            archive.getvalue(),
            gzip.compress(raw),
            b"%PDF-1.7\n" + raw,
            b"<!DOCTYPE html><title>Sign in</title>",
            b"print('a script')\n",
            rng.randbytes(500),
            json.dumps(json.dumps(raw.decode("utf-8", "replace"))).encode(),
            b'{"cells": [' + b"{}," * 1_000_000 + b"{}]}",
            b'{"cells": [], "x": ' + b"7" * 1_000_000 + b"}",
        ]
    )


JSON_MUTATIONS: list[Callable[[random.Random, Data], None]] = [
    replace_value,
    delete_value,
    swap_values,
    wrap_value,
    retype_value,
    repeat_value,
    reorder_cells,
    spoil_text,
    exchange_between_cells,
    another_version,
]
NBGRADER_MUTATIONS = [spoil_nbgrader, replace_nbgrader, exchange_nbgrader, drop_metadata, tag_everything]
BYTE_MUTATIONS: list[Callable[[random.Random, bytes], bytes]] = [
    insert_bytes,
    flip_bytes,
    delete_bytes,
    repeat_bytes,
    truncate,
    splice,
    reencode,
    line_ends,
    double_a_key,
]


def spoilt(seed: str, number: int) -> tuple[str, bytes, str]:
    """One case: the chapter it was handed in for, the file's bytes, and what was done to them."""
    rng = random.Random(f"{seed}/{number}")
    name, text = rng.choice(submissions())
    done: list[str] = []
    kind = rng.choices(["json", "nbgrader", "both", "bytes", "bulky", "another"], [30, 25, 20, 20, 3, 2])[0]
    raw = text.encode()
    if kind in ("json", "nbgrader", "both", "bulky"):
        data = json.loads(text)
        for _ in range(rng.randint(1, 4)):
            pool = {"json": JSON_MUTATIONS, "nbgrader": NBGRADER_MUTATIONS, "bulky": [make_bulky]}.get(
                kind, [*JSON_MUTATIONS, *NBGRADER_MUTATIONS]
            )
            mutate = rng.choice(pool)
            if isinstance(data, dict) and data:
                mutate(rng, data)
                done.append(mutate.__name__)
        raw = json.dumps(data, ensure_ascii=rng.random() < 0.5, indent=rng.choice([None, 1])).encode("utf-8", "replace")
        if kind == "bulky" or rng.random() < 0.8:
            return name, raw, " ".join(done)
    if kind == "another":
        return name, another_file(rng, raw), "another_file"
    for _ in range(rng.randint(1, 3)):
        mutate_bytes = rng.choice(BYTE_MUTATIONS)
        raw = mutate_bytes(rng, raw)
        done.append(mutate_bytes.__name__)
    return name, raw, " ".join(done)


# ---- what must hold ----------------------------------------------------------------------------------------------------
def examine(path: Path, frame: NotebookNode) -> tuple[str, str]:
    """Take a file in as grading does; returns the kind of outcome and what was said.

    Raises:
        Exception: whatever intake or nbformat or nbgrader raises; each is a crash.
    """
    try:
        submitted = intake.read(path)
    except intake.Unreadable as error:
        return ("unreadable" if is_sentence(str(error)) else "silent"), str(error)
    taken = intake.rebuild(submitted, frame)
    notebook = taken.notebook
    nbformat.validate(notebook)
    MetadataValidator().validate_nb(notebook)
    assert shape(notebook) == shape(frame), "the frame is not the released one"
    assert all(type(cell.source) is str for cell in notebook.cells)
    text = nbformat.writes(notebook)
    text.encode("utf-8")
    assert nbformat.reads(text, as_version=4) == notebook, "it does not survive writing and reading"
    said = "; ".join(taken.repairs)
    if not all(is_phrase(phrase) for phrase in taken.repairs):
        return "silent", f"not a phrase: {said!r}"
    lost = lost_texts(submitted, notebook, frame)
    if lost and not taken.repairs:
        return "silent", f"lost without a word: {lost[0][:80]!r}"
    return "rebuilt", said


def shape(notebook: NotebookNode) -> list[tuple[Any, ...]]:
    """Everything that decides about points and locks, in order."""
    return [
        (
            cell.cell_type,
            cell.metadata,
            compute_checksum(cell) if cell.metadata.nbgrader.get("locked") else "",
        )
        for cell in notebook.cells
        if cell.metadata.get("nbgrader")
    ]


def lost_texts(submitted: Data, notebook: NotebookNode, frame: NotebookNode) -> list[str]:
    """Texts of submitted cells that are neither in the rebuilt notebook nor the released text of a cell."""
    there = Counter(cell.source.strip() for cell in [*notebook.cells, *frame.cells])
    missing = []
    for cell in submitted["cells"]:
        source = cell.get("source") if isinstance(cell, dict) else cell
        text = all_text(source)
        text = text.replace("\r\n", "\n").replace("\r", "\n").encode("utf-8", "replace").decode().strip()
        if text and text not in there:
            missing.append(text)
    return missing


def all_text(source: Any) -> str:
    """What a person would call a cell's text; numbers and the like among it as they are written."""
    if isinstance(source, list):
        return "".join(map(all_text, source))
    return source if isinstance(source, str) else json.dumps(source) if source not in (None, {}) else ""


def is_phrase(text: str) -> bool:
    """One readable line."""
    return 10 < len(text) < 300 and text.isprintable()


def is_sentence(text: str) -> bool:
    """One readable line that begins and ends as a sentence does."""
    return is_phrase(text) and text.endswith(".") and not text[0].islower()


def run(seed: str, first: int, last: int) -> list[Outcome]:
    """The cases from ``first`` up to ``last``."""
    outcomes = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "submitted.ipynb")
        for number in range(first, last):
            name, raw, how = spoilt(seed, number)
            path.write_bytes(raw)
            started = time.perf_counter()
            try:
                kind, said = examine(path, template(name))
            except Exception:
                kind, said = "crash", traceback.format_exc()
            outcomes.append(Outcome(number, kind, time.perf_counter() - started, said, how))
    return outcomes


def peak_mb() -> float:
    """The most memory that this process and its finished children ever held."""
    try:
        import resource
    except ImportError:  # Windows
        return 0.0
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) / unit


def main() -> None:
    """Print the counts; exit 1 when something crashed or was lost without a word."""
    parser = argparse.ArgumentParser(prog="fuzz_intake")
    parser.add_argument("--count", type=int, default=1_000)
    parser.add_argument("--seed", default="intake")
    parser.add_argument("--only", type=int, help="repeat one case")
    parser.add_argument("--workers", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.only is not None:
        outcomes = run(options.seed, options.only, options.only + 1)
        print(json.dumps(asdict(outcomes[0]), indent=1, ensure_ascii=False), file=sys.stderr)
    else:
        step = 100
        starts = range(0, options.count, step)
        outcomes = []
        with ProcessPoolExecutor(options.workers, mp_context=multiprocessing.get_context("spawn")) as pool:
            lasts = [min(start + step, options.count) for start in starts]
            for part in pool.map(run, [options.seed] * len(starts), starts, lasts):
                outcomes += part
                print(f"\r{len(outcomes)} of {options.count}", end="", file=sys.stderr)
        print(file=sys.stderr)
    kinds = Counter(outcome.kind for outcome in outcomes)
    slowest = max(outcomes, key=lambda outcome: outcome.seconds)
    bad = [replace(outcome, said=outcome.said[-600:]) for outcome in outcomes if outcome.kind in ("crash", "silent")]
    result = {
        "count": len(outcomes),
        "seed": options.seed,
        "crashes": kinds["crash"],
        "unreadable": kinds["unreadable"],
        "rebuilt": kinds["rebuilt"],
        "slowest_s": round(slowest.seconds, 3),
        "slowest": slowest.number,
        "without_a_sentence": kinds["silent"],
        "peak_mb": round(peak_mb()),
        "failed": [asdict(outcome) for outcome in bad],
    }
    if options.json:
        print(json.dumps(result, indent=1, ensure_ascii=False))
    else:
        for outcome in bad:
            print(f"--seed {options.seed} --only {outcome.number}: {outcome.kind} after {outcome.how}\n{outcome.said}")
        print(", ".join(f"{key} {value}" for key, value in result.items() if key != "failed"))
    raise SystemExit(1 if bad else 0)


if __name__ == "__main__":
    main()
