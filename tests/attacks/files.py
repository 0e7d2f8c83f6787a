"""Attacks through the file that is handed in, and on the people who read what comes out; a class is graded as a whole."""

import csv
import io
import json
import os
import pickle
import stat
import zipfile
import zlib
from html.parser import HTMLParser
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from autograder.cells import CHECK_PREFIX
from autograder.grading import demo, report, spreadsheet
from autograder.grading.attacks import CHAPTER, FIRST, Attempt, HandIn, Outcome, Stage, attack

CHECK = CHECK_PREFIX + FIRST


def wrong_score(stage: Stage) -> float:
    """What the chapter gets with the first exercise wrong."""
    return stage.automatic - stage.known[FIRST].points


def plain(stage: Stage) -> NotebookNode:
    """The attacker's notebook without a trick: the first exercise is wrong."""
    return stage.notebook(Attempt())


class Evil:
    """Leaves a file where somebody unpickles it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (exec, (f"open({str(self.path)!r}, 'a').write('unpickled')",))


# ---- files that run when they are loaded -----------------------------------------------------------------------------
@attack(23, "a .pt file beside the notebook that runs when it is loaded", "B", naive="artifact", whole=True)
def model_file(stage: Stage) -> dict[str, HandIn]:
    return {"a23": HandIn(plain(stage), lambda path: evil_files(stage, path.parent, ("model.pt", "weights.pth")))}


@attack(24, "pickles for np.load, joblib and dill beside the notebook", "B", naive="artifact", whole=True)
def pickle_files(stage: Stage) -> dict[str, HandIn]:
    names = ("data.npy", "model.joblib", "model.pkl", "results.pkl", "session.dill")
    return {"a24": HandIn(plain(stage), lambda path: evil_files(stage, path.parent, names))}


def evil_files(stage: Stage, folder: Path, names: tuple[str, ...]) -> None:
    """Put files that run when they are loaded into a folder."""
    for name in names:
        data = pickle.dumps(Evil(stage.outside / f"ran-{name}"))
        (folder / name).write_bytes(b"\x93NUMPY" + data if name == "data.npy" else data)


@model_file.judged_by
def model_file_stays_shut(stage: Stage, _: object) -> Outcome:
    return nothing_ran(stage, "a23")


@pickle_files.judged_by
def pickles_stay_shut(stage: Stage, _: object) -> Outcome:
    return nothing_ran(stage, "a24")


def nothing_ran(stage: Stage, name: str) -> Outcome:
    """No file was loaded, and the score is that of the notebook."""
    ran = [path.name for path in stage.outside.glob("ran-*")]
    return stage.class_outcome("B", {name: wrong_score(stage)}, "nobody opened them", f"loaded: {ran}" if ran else "")


# ---- files that are no notebook, or too much of one ------------------------------------------------------------------
@attack(41, "notebook bombs: huge outputs, deep JSON, a million cells, a zip bomb, ../ in names", "R", whole=True)
def bombs(stage: Stage) -> dict[str, HandIn]:
    def text(content: str | bytes) -> HandIn:
        data = content.encode() if isinstance(content, str) else content
        return HandIn(place=lambda path: path.write_bytes(data) and None)

    huge = plain(stage)
    huge.cells[0].outputs = [nbformat.v4.new_output("stream", text="x" * (25 << 20))]
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as bundle:
        bundle.writestr("../../escaped.ipynb", b"0" * (64 << 20))
    deep = '{"cells": [{"cell_type": "code", "source": "", "metadata": ' + '{"a":' * 50_000 + "1" + "}" * 50_000 + "}]}"
    named = stage.notebook(Attempt(cells={}))
    written = next(cell for cell in named.cells if cell.cell_type == "markdown" and cell.metadata.nbgrader.solution)
    picture = {"image/png": "iVBORw0KGgo="}
    written.attachments = {"../../../escaped.png": picture, "/escaped.png": picture, "..\\escaped.png": picture}
    return {
        "a41-huge": HandIn(huge),
        "a41-deep": text("[" * 300_000 + "]" * 300_000),
        "a41-nested": text(deep),
        "a41-cells": text(
            '{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [' + "{}," * 1_000_000 + "{}]}"
        ),
        "a41-zip": text(zipped.getvalue()),
        "a41-gzip": text(zlib.compress(b"0" * (64 << 20))),
        "a41-names": HandIn(named),
    }


@bombs.judged_by
def defused(stage: Stage, _: object) -> Outcome:
    refused = ("a41-huge", "a41-deep", "a41-nested", "a41-cells", "a41-zip", "a41-gzip")
    escaped = [str(path) for path in (*stage.folder.rglob("escaped*"), *stage.folder.parent.glob("escaped*"))]
    expected: dict[str, float | None] = {**dict.fromkeys(refused), "a41-names": stage.automatic}
    return stage.class_outcome("R", expected, extra=f"written outside: {escaped}" if escaped else "")


@attack(42, "symlinks, FIFOs, device files in place of the notebook or beside it", "R", whole=True)
def special_files(stage: Stage) -> dict[str, HandIn]:
    secret, book = stage.home / "secret.txt", stage.course / "gradebook.db"
    made = {
        "a42-link": HandIn(place=lambda path: path.symlink_to(secret)),
        "a42-book": HandIn(place=lambda path: path.symlink_to(book)),
        "a42-loop": HandIn(place=lambda path: path.symlink_to(path.name)),
        "a42-fifo": HandIn(place=lambda path: os.mkfifo(path)),
        "a42-folder": HandIn(place=lambda path: path.mkdir()),
        "a42-beside": HandIn(plain(stage), lambda path: (path.parent / "data.txt").symlink_to(secret)),
    }
    if os.geteuid() == 0:
        zero = os.makedev(1, 5)
        made["a42-device"] = HandIn(place=lambda path: os.mknod(path, stat.S_IFCHR | 0o666, zero))
    return made


@special_files.judged_by
def refused(stage: Stage, _: object) -> Outcome:
    return stage.class_outcome("R", dict.fromkeys(name for name in stage.results if name.startswith("a42-")))


# ---- locked cells ----------------------------------------------------------------------------------------------------
@attack(43, "delete, duplicate, edit, rename test cells; other points and locks", "Z", whole=True)
def tampered(stage: Stage) -> dict[str, HandIn]:
    deleted, twice, edited, renamed, unlocked, claimed = (plain(stage) for _ in range(6))
    del deleted.cells[demo.position(deleted, CHECK)]
    index = demo.position(twice, CHECK)
    copy = demo.copy_cell(twice.cells[index], "twice")
    copy.source = "pass"
    twice.cells.insert(index, copy)
    edited.cells[demo.position(edited, CHECK)].source = "1000.0"
    renamed.cells[demo.position(renamed, CHECK)].metadata.nbgrader["grade_id"] = "something_else"
    for cell in unlocked.cells:
        if "nbgrader" in cell.metadata:
            cell.metadata.nbgrader |= {
                "points": 1000,
                "locked": False,
                "solution": True,
                "grade": True,
                "checksum": "0",
            }
    # A solved exercise's check under the name of the one that is not.
    other = next(name for name in stage.known if name != FIRST)
    claimed.cells[demo.position(claimed, CHECK)].metadata.nbgrader["grade_id"] = CHECK_PREFIX + other
    names = ("deleted", "twice", "edited", "renamed", "unlocked", "claimed")
    return {
        f"a43-{n}": HandIn(nb)
        for n, nb in zip(names, (deleted, twice, edited, renamed, unlocked, claimed), strict=True)
    }


@tampered.judged_by
def restored(stage: Stage, _: object) -> Outcome:
    names = [name for name in stage.results if name.startswith("a43-")]
    silent = [name for name in names if not stage.results[name].repairs and name != "a43-unlocked"]
    extra = f"not flagged: {', '.join(silent)}" if silent else ""
    return stage.class_outcome("Z", dict.fromkeys(names, wrong_score(stage)), extra=extra)


@attack(44, "skip-execution tags, raises-exception, another kernel", "Z", whole=True)
def skipped(stage: Stage) -> dict[str, HandIn]:
    tagged = plain(stage)
    for cell in tagged.cells:
        # The course's own tag for long runs, on graded cells only: elsewhere it keeps its author's cells from running.
        own = ["long-run"] if "nbgrader" in cell.metadata else []
        cell.metadata["tags"] = ["skip-execution", "raises-exception", "remove-cell", *own]
        if cell.cell_type == "code":
            cell.outputs = [nbformat.v4.new_output("execute_result", {"text/plain": "1000.0"}, execution_count=1)]
    other = plain(stage)
    other.metadata["kernelspec"] = {
        "name": "evil",
        "display_name": "evil",
        "language": "evil",
        "argv": ["sh", "-c", "exit 0"],
    }
    other.metadata["language_info"] = {"name": "bash"}
    return {"a44-tags": HandIn(tagged), "a44-kernel": HandIn(other)}


@skipped.judged_by
def run_all_the_same(stage: Stage, _: object) -> Outcome:
    expected: dict[str, float | None] = {"a44-tags": wrong_score(stage), "a44-kernel": wrong_score(stage)}
    return stage.class_outcome("Z", expected, "tags dropped, the course's kernel used")


# ---- what people read ------------------------------------------------------------------------------------------------
SCRIPTS = (
    "<script>nnlmxss()</script>",
    "<img src=x onerror=nnlmxss()>",
    "<svg onload=nnlmxss()><circle r=9 /></svg>",
    "<a href='javascript:nnlmxss()'>click</a>",
    "<iframe srcdoc='<script>nnlmxss()</script>'></iframe>",
    "<style>@import 'http://nnlmxss.invalid/'</style>",
    "[click](javascript:nnlmxss())",
    "</pre></textarea></script><script>nnlmxss()</script>",
)


@attack(45, "script, onerror, SVG and Markdown in what the instructor reads", "S", whole=True)
def scripts(stage: Stage) -> dict[str, HandIn]:
    text = "\n".join(SCRIPTS)
    attempt = Attempt(
        front=f"""
payload = {text!r}
from IPython.display import HTML, SVG, Javascript, Markdown, display
for kind in (HTML, Markdown, Javascript, SVG):
    try:
        display(kind(payload))
    except Exception:
        pass
display({{"text/html": payload, "application/javascript": "nnlmxss()", "image/svg+xml": payload, "text/latex": payload,
         "application/vnd.jupyter.widget-view+json": {{"model_id": payload}}, "text/plain": payload}}, raw=True)
print(payload)
""",
        cells={FIRST: f"def threshold_unit(x, w, b):\n    raise ValueError({text!r})\n"},
        back=f"raise type({SCRIPTS[0]!r}, (Exception,), {{}})({text!r})",
    )
    notebook = stage.notebook(attempt)
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and cell.metadata.nbgrader.solution:
            cell.source = text
            cell.attachments = {"nnlmxss.svg": {"image/svg+xml": text, "text/html": text}}
    notebook.cells.append(nbformat.v4.new_markdown_cell(text))
    notebook.cells.append(nbformat.v4.new_raw_cell(text, metadata={"format": "text/html"}))
    return {"a45": HandIn(notebook)}


class Live(HTMLParser):
    """Finds the payload where a browser would run or fetch it."""

    def __init__(self) -> None:
        super().__init__()
        self.inside = ""
        self.found: list[str] = []

    def handle_starttag(self, tag, attributes):
        self.inside = tag if tag in ("script", "style") else ""
        for name, value in attributes:
            if "nnlmxss" in (value or "") and (
                name.startswith("on") or name in ("href", "src", "srcdoc", "action", "data")
            ):
                self.found.append(f"<{tag} {name}>")

    def handle_endtag(self, tag):
        self.inside = ""

    def handle_data(self, data):
        if self.inside and "nnlmxss" in data:
            self.found.append(f"<{self.inside}>")


@scripts.judged_by
def nothing_runs(stage: Stage, _: object) -> Outcome:
    """In the feedback page and in the report no payload is live; the graded notebook carries no HTML of the student's."""
    pages = [path.read_text("utf-8") for path in (stage.course / "feedback" / "a45").rglob("*.html")]
    live = Live()
    for page in pages:
        live.feed(page)
    graded = stage.course / "autograded" / "a45" / CHAPTER.name / f"{CHAPTER.name}.ipynb"
    rich = [
        kind
        for cell in json.loads(graded.read_text("utf-8"))["cells"]
        for output in cell.get("outputs", [])
        for kind, data in output.get("data", {}).items()
        if kind not in ("text/plain", "image/png", "image/jpeg") and "<script>nnlmxss" in "".join(data)
    ]
    extra = "" if pages and "nnlmxss" in pages[0] else "the page does not show the payload at all"
    extra = f"live in the page: {sorted(set(live.found))}" if live.found else extra
    extra = f"in the graded notebook: {rich}" if rich else extra
    return stage.class_outcome("S", {"a45": wrong_score(stage)}, "shown as text", extra)


@attack(46, "formulas in names and messages for the spreadsheet", "S", whole=True)
def formulas(stage: Stage) -> dict[str, HandIn]:
    notebook = plain(stage)
    notebook.metadata["kernelspec"] = {"name": "=HYPERLINK(1)", "display_name": "x", "language": "python"}
    return {name: HandIn(notebook) for name in ("=1+2", "+1+2", "-1+2", "@SUM(1)", "＝1+2")}


@formulas.judged_by
def text_only(stage: Stage, _: object) -> Outcome:
    with stage.classroom.gradebook() as book:
        book.update_or_create_student("bob", first_name="=cmd|' /C calc'!A0", last_name="\t=1+2")
    data = spreadsheet.as_csv(report.collect(stage.classroom, CHAPTER)).decode("utf-8-sig")
    rows = list(csv.reader(io.StringIO(data)))
    names = [name for name in stage.results if name[0] in "=+-@＝"]
    formula = [cell for row in rows for cell in row if cell.lstrip()[:1] and cell.lstrip()[:1] in "=+-@＝＋－＠"]
    shown = [name for name in names if not any(f"'{name}" in row for row in rows)]
    extra = f"formulas: {formula[:3]}" if formula else (f"names lost: {shown}" if shown else "")
    return stage.class_outcome("S", dict.fromkeys(names, wrong_score(stage)), "an apostrophe in front", extra)


@attack(47, "ANSI escapes and control characters for the terminal", "S", whole=True)
def escapes(stage: Stage) -> dict[str, HandIn]:
    bad = "\x1b]0;owned\x07\x1b[2J\x1b[31mred\x1b[8mhidden\x9b2J\u202ertl\x08\x08"
    attempt = Attempt(
        front=f"import sys\nprint({bad!r})\nprint({bad!r}, file=sys.stderr)",
        cells={FIRST: f"def threshold_unit(x, w, b):\n    raise ValueError({bad!r})\n"},
        back=f"raise type({bad!r}, (Exception,), {{}})({bad!r})",
    )
    return {"a47": HandIn(stage.notebook(attempt))}


@escapes.judged_by
def plain_text(stage: Stage, _: object) -> Outcome:
    """The terminal's table, the records' headlines, the graded notebook and the feedback page hold none of them."""
    from rich.console import Console

    from autograder.grading.records import Store
    from autograder.render import as_text
    from autograder.verdict import Verdict

    console = Console(file=io.StringIO(), force_terminal=False, width=200)
    console.print(report.results_table(list(stage.results.values())))
    record = Store(stage.course).load(CHAPTER.name, "a47")
    assert record is not None
    texts = [console.file.getvalue()]  # type: ignore[attr-defined]
    texts += [as_text(Verdict(**verdict)) for verdict in record.verdicts]
    texts += [path.read_text("utf-8") for path in (stage.course / "feedback" / "a47").rglob("*.html")]
    graded = json.loads(
        (stage.course / "autograded" / "a47" / CHAPTER.name / f"{CHAPTER.name}.ipynb").read_text("utf-8")
    )
    shown = [json.dumps(cell.get("outputs", []), ensure_ascii=False) for cell in graded["cells"]]
    texts += [json.dumps(json.loads(text), ensure_ascii=False) for text in shown]
    bad = [
        sign
        for sign in ("\x1b", "\\u001b", "\x9b", "\u202e", "\x08", "\\b\\b", "\x07")
        for text in texts
        if sign in text
    ]
    extra = f"left: {sorted(set(bad))!r}" if bad else ""
    extra = extra or ("" if "owned" in texts[-1] + "".join(shown) else "the message did not arrive at all")
    return stage.class_outcome("S", {"a47": wrong_score(stage)}, "escapes taken out", extra)
