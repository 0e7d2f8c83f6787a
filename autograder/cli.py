"""The command line ``nnlm`` (also ``python3 start.py COMMAND``). Exit code 1: it failed; 2: it was called wrongly."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from autograder.paths import ROOT, ChapterError, chapter, chapters

app = typer.Typer(
    name="nnlm",
    help="From the perceptron to the Transformer language model: read, check, build, grade.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON value instead of text.")]
CourseDir = Annotated[
    Path, typer.Option("--course-dir", help="The instructor's nbgrader course.", envvar="NNLM_COURSE_DIR")
]
CLASSROOM = Path("classroom")


class Trouble(Exception):
    """Ends a command with one sentence and an exit code."""

    def __init__(self, sentence: str, code: int = 1) -> None:
        super().__init__(sentence)
        self.code = code


def guarded(command: Callable[..., Any]) -> Callable[..., Any]:
    """Turn known errors into one sentence on stderr."""

    @wraps(command)
    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except ChapterError as error:
            _end(str(error), 2)
        except Trouble as trouble:
            _end(str(trouble), trouble.code)
        except ImportError as error:
            _end(*_about_missing(error))
        except KeyboardInterrupt:
            _end("Stopped.", 130)

    return run


def _about_missing(error: ImportError) -> tuple[str, int]:
    if str(error.name).partition(".")[0] not in ("autograder", "solutions"):
        return f"A package is missing or does not fit ({error}); run `python3 start.py`, it installs what is needed.", 1
    if (ROOT / "autograder" / "grading").is_dir():
        raise error
    return "This command needs the whole project; a student's copy has lab, check, progress, data and doctor.", 2


def _end(sentence: str, code: int) -> None:
    err.print(escape(sentence), soft_wrap=True)
    raise typer.Exit(code)


def say(value: Any) -> None:
    """Print one JSON value."""
    print(json.dumps(value, ensure_ascii=False, indent=1))


@app.command()
@guarded
def build(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[CHAPTER]...", help="Chapters; all when none is named.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; fail when a committed file is out of step.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Build student notebooks and frozen cases from course/source, solutions and exercises."""
    from autograder import notebooks

    wanted = [chapter(name) for name in names] if names else chapters()
    try:
        made = notebooks.build(wanted)
    except notebooks.BuildError as error:
        raise Trouble(str(error)) from None
    changed = notebooks.out_of_step(made) if check else notebooks.write(made)
    if not names:
        changed += _gallery(check)
    if as_json:
        say({"chapters": [c.name for c in wanted], "out_of_step" if check else "changed": changed})
    elif check:
        for path in changed:
            err.print(
                escape(f"{path}: out of step; run `python3 start.py build` and commit what it changes."), soft_wrap=True
            )
    else:
        for path in changed:
            out.print(escape(f"updated {path}"))
        out.print(f"{len(wanted)} chapters built, {len(changed)} changes.")
    if check and changed:
        raise typer.Exit(1)


def _gallery(check: bool) -> list[str]:
    """Bring the feedback gallery into step, or say that it is not."""
    from autograder import gallery

    text = gallery.page()
    if gallery.PAGE.is_file() and gallery.PAGE.read_text(encoding="utf-8") == text:
        return []
    if not check:
        gallery.PAGE.write_text(text, encoding="utf-8", newline="\n")
    return ["docs/feedback_gallery.md"]


@app.command()
@guarded
def release(
    name: Annotated[str, typer.Argument(metavar="CHAPTER")],
    due: Annotated[str | None, typer.Option(help="Due date, as 2026-12-01 or '2026-12-01 23:59' (UTC).")] = None,
    course_dir: CourseDir = CLASSROOM,
    as_json: Json = False,
) -> None:
    """Release a chapter: nbgrader's assignment, and a zip for students."""
    from datetime import datetime

    from autograder.grading.classroom import Classroom

    try:
        when = datetime.fromisoformat(due) if due else None
    except ValueError:
        raise Trouble(f"'{due}' is not a date; write it as 2026-12-01 or '2026-12-01 23:59'.", 2) from None
    with known_errors():
        target, names = Classroom(course_dir).release(chapter(name), when)
    if as_json:
        say({"bundle": str(target), "files": names, "due": due})
    else:
        out.print(
            f"Released. Give students [bold]{escape(str(target))}[/bold] ({len(names)} files, no solutions).",
            soft_wrap=True,
        )
        out.print(
            f"Put what they hand in at "
            f"{escape(str(course_dir))}/submitted/STUDENT/{chapter(name).name}/{chapter(name).name}.ipynb",
            soft_wrap=True,
        )


@app.command()
@guarded
def grade(
    name: Annotated[str, typer.Argument(metavar="CHAPTER")],
    student: Annotated[list[str] | None, typer.Option(help="Only this student; may be repeated.")] = None,
    exercise: Annotated[
        str, typer.Option(help="Grade only this exercise anew; every other verdict and score stays.")
    ] = "",
    again: Annotated[bool, typer.Option("--again", help="Also what is graded already and has not changed.")] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a run that was stopped, with its own settings.")
    ] = False,
    seed: Annotated[
        str,
        typer.Option(
            help="Secret from which fresh cases are drawn; by default a submission keeps its own until it changes."
        ),
    ] = "",
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes that grade; by default one a processor, at most 8.")
    ] = None,
    cluster: Annotated[str, typer.Option(metavar="ADDRESS", help="A Dask scheduler, as tcp://HOST:PORT.")] = "",
    device: Annotated[str | None, typer.Option(help="Where student code may compute: cpu or cuda.")] = None,
    unsafe: Annotated[
        bool, typer.Option("--unsafe", help="Grade also where student code cannot be locked in.")
    ] = False,
    course_dir: CourseDir = CLASSROOM,
    as_json: Json = False,
) -> None:
    """Grade a chapter's submissions with fresh cases."""
    if resume and (student or exercise or again or seed):
        raise Trouble("A run is resumed with its own settings; give --resume without the others.", 2)
    if device not in (None, "cpu", "cuda"):
        raise Trouble(f"'{device}' is no device; choose cpu or cuda.", 2)
    one = chapter(name)
    from autograder.grading import crew

    nobody = bool(cluster or resume or exercise)
    ready = None if nobody else crew.early(course_dir, one.name, student or [], again, workers, device or "cpu")

    from autograder.grading.classroom import Classroom  # takes longer than all before it
    from autograder.grading.report import results_table, weakest_isolation
    from autograder.sandbox.isolation import describe_level

    classroom = Classroom(course_dir)
    overrides = {**({"device": device} if device else {}), **({"unsafe": True} if unsafe else {})}
    try:
        with known_errors(), grading_progress(quiet=as_json) as watch:
            results = classroom.grade(
                one,
                student,
                again,
                seed,
                overrides,
                workers=workers,
                exercise=exercise,
                resume=resume,
                cluster=cluster,
                watch=watch,
                ready=ready,
            )
    except KeyboardInterrupt:
        raise Trouble(
            f"Stopped; nothing that is graded is lost. `nnlm grade {one.name} --resume` goes on.", 130
        ) from None
    isolation = weakest_isolation(classroom, one, results)
    if as_json:
        say({"chapter": one.name, "isolation": isolation, "students": [r.to_data() for r in results]})
    else:
        out.print(results_table(results))
        if isolation:
            out.print(escape(f"Isolation – {describe_level(isolation)}"), style="dim")
    if any(result.score is None for result in results):  # someone could not be graded; the table says why
        raise typer.Exit(1)


@app.command()
@guarded
def feedback(
    name: Annotated[str, typer.Argument(metavar="CHAPTER")],
    student: Annotated[list[str] | None, typer.Option(help="Only this student; may be repeated.")] = None,
    course_dir: CourseDir = CLASSROOM,
    as_json: Json = False,
) -> None:
    """Write each graded student's feedback as a page."""
    from autograder.grading.classroom import Classroom

    with known_errors():
        written = Classroom(course_dir).feedback(chapter(name), student)
    if as_json:
        say({"files": [str(path) for path in written]})
    else:
        out.print(f"{len(written)} pages below {escape(str(course_dir / 'feedback'))}.")


@app.command()
@guarded
def report(
    name: Annotated[str, typer.Argument(metavar="CHAPTER")],
    csv: Annotated[Path | None, typer.Option(help="Spreadsheet; by default reports/CHAPTER.csv of the course.")] = None,
    html: Annotated[Path | None, typer.Option(help="Page; by default reports/CHAPTER.html of the course.")] = None,
    course_dir: CourseDir = CLASSROOM,
    as_json: Json = False,
) -> None:
    """Report on a class: every student's score, what was difficult, as a table, a page and a spreadsheet."""
    from autograder.grading import report as reporting
    from autograder.grading import report_files
    from autograder.grading.classroom import Classroom

    folder = course_dir / "reports"
    targets = {
        "html": html or folder / f"{chapter(name).name}.html",
        "csv": csv or folder / f"{chapter(name).name}.csv",
    }
    with known_errors():
        made = reporting.collect(Classroom(course_dir), chapter(name))
        report_files.write(made, **targets)
    if as_json:
        say({**made.to_data(), "files": {kind: str(path) for kind, path in targets.items()}})
        return
    out.print(reporting.results_table(list(made.results)))
    for path in targets.values():
        out.print(escape(f"wrote {path}"), soft_wrap=True)


@app.command()
@guarded
def formgrader(
    course_dir: CourseDir = CLASSROOM,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page in a browser.")] = True,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes any free one.")] = 0,
) -> None:
    """Open JupyterLab in the course, with nbgrader's formgrader for grading by hand; Ctrl-C ends it."""
    from autograder.grading.classroom import Classroom
    from autograder.grading.formgrader import Formgrader

    with known_errors(), Formgrader(Classroom(course_dir), port) as server:
        out.print(f"Formgrader: {escape(server.formgrader_url)}", soft_wrap=True)
        out.print(f"JupyterLab: {escape(server.lab_url)}", soft_wrap=True)
        out.print("Ctrl-C ends both.")
        if browser:
            server.open_browser()
        server.wait()


@app.command()
@guarded
def demo(
    name: Annotated[str, typer.Argument(metavar="[CHAPTER]")] = "03",
    keep: Annotated[Path | None, typer.Option(help="Keep the class in this new folder, to look at it.")] = None,
    as_json: Json = False,
) -> None:
    """Grade an invented class end to end and compare with what each submission should get."""
    import tempfile

    from rich.table import Table

    from autograder.grading import demo as demonstration
    from autograder.sandbox.isolation import describe_level, level

    if keep is not None and keep.exists():
        raise Trouble(f"{keep} exists already; name a new folder.", 2)
    with known_errors(), tempfile.TemporaryDirectory() as folder, progress("making the class", quiet=as_json) as report:
        rows = demonstration.run(chapter(name), keep or Path(folder, "course"), report)
    wrong = [row for row in rows if not row.as_expected]
    if as_json:
        say({"chapter": chapter(name).name, "isolation": level(), "students": [row.to_data() for row in rows]})
    else:
        table = Table(
            "student",
            "expected",
            "score",
            "of",
            "",
            "what it is",
            title=f"{chapter(name).name}: {len(rows)} submissions",
        )
        for row in rows:
            score = "–" if row.score is None else f"{row.score:g}"
            mark = "✓" if row.as_expected else "✗"
            table.add_row(escape(row.name), f"{row.expected:g}", score, f"{row.max:g}", mark, escape(row.reason))
        out.print(table)
        out.print(f"{len(rows) - len(wrong)} of {len(rows)} as expected.")
        out.print(escape(f"Isolation – {describe_level()}"), style="dim")
    if wrong:
        raise typer.Exit(1)


@app.command("check")
@guarded
def check_command(
    notebook: Annotated[str, typer.Argument(metavar="NOTEBOOK", help="A chapter such as 02, or any .ipynb file.")],
    everything: Annotated[bool, typer.Option("--all", help="Also run the cells that train for show.")] = False,
    as_json: Json = False,
) -> None:
    """Run every check of a notebook, without JupyterLab."""
    from autograder import headless
    from autograder import progress as kept
    from autograder.render import as_text
    from autograder.sandbox.session import SandboxError

    try:
        path = headless.find_notebook(notebook)
        with progress("starting", quiet=as_json) as tell:
            report = headless.check_notebook(path, everything=everything, progress=tell)
    except headless.NotANotebook as error:
        raise Trouble(str(error), 2) from None
    except SandboxError as error:
        raise Trouble(str(error)) from None
    for verdict in report.checks:
        kept.record(verdict.exercise, verdict.passed)
    if as_json:
        say(report.to_data())
    else:
        for verdict in report.checks:
            out.print(escape(as_text(verdict)), soft_wrap=True)
        for sentence in report.left_out:
            out.print(escape(sentence), soft_wrap=True)
        out.print(escape(report.summary()), style="bold", soft_wrap=True)
    if not report.good:
        raise typer.Exit(1)


@app.command()
@guarded
def lab(
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="Do not open a browser, only print the address.")
    ] = False,
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port; when it is taken, the next free one.")] = 8888,
) -> None:
    """Open the course in JupyterLab; Ctrl-C ends it."""
    from autograder import lab as jupyterlab

    try:
        jupyterlab.serve(port, browser=not no_browser, tell=lambda text: print(text, flush=True))
    except jupyterlab.LabError as error:
        raise Trouble(str(error)) from None


@app.command()
@guarded
def doctor(as_json: Json = False) -> None:
    """Look at this computer: what the course needs, what is there, what to do."""
    from autograder import doctor as surgery

    lines = surgery.examine()
    if as_json:
        say(surgery.to_data(lines))
    else:
        for line in lines:
            out.print(escape(str(line)), soft_wrap=True)
    if not surgery.healthy(lines):
        raise typer.Exit(1)


@app.command()
@guarded
def data(
    name: Annotated[str, typer.Argument(metavar="[NAME]", help="A corpus; all when none is named.")] = "",
    data_dir: Annotated[
        Path | None,
        typer.Option(
            "--data-dir",
            metavar="PLACE",
            help="Folder or zip archive with your own copy of Penn Treebank or WikiText-2.",
            envvar="NNLM_DATA",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show the corpora for language models: their size, terms and origin, and whether they are here."""
    from autograder import data as looking
    from course.kit.corpora import CORPORA

    if name and name not in CORPORA:
        raise Trouble(f"There is no corpus '{name}'; choose one of {', '.join(CORPORA)}.", 2)
    rows = [looking.describe(one, data_dir) for one in ([name] if name else CORPORA)]
    if name and rows[0].unit is None:
        raise Trouble(rows[0].missing)
    if as_json:
        say(rows[0].to_data() if name else [row.to_data() for row in rows])
    elif name:
        _show_corpus(rows[0])
    else:
        _list_corpora(rows)


def _list_corpora(rows: list[Any]) -> None:
    """A table of sizes, and below it what each corpus is."""
    from rich.table import Table

    parts = ("train", "valid", "test")
    table = Table("tokens", *parts, "types", "<unk>", "limit")
    table.columns[0].no_wrap = True
    for row in rows:
        sizes = [f"{row.tokens[part]:,}" if part in row.tokens else "–" for part in parts]
        sizes[0] = sizes[0] if row.tokens else "not here"
        types = "–" if row.types is None else f"{row.types:,}"
        share = f"{list(row.unknown.values())[-1]:.2%}" if row.unknown else "–"
        limit = "–" if row.limit is None else f"{row.limit:.3f}"
        table.add_row(row.name, *sizes, types, share, limit)
    out.print(table)
    out.print("<unk>: unknown words in the last part that is here. limit: no model has a lower perplexity on average.")
    for row in rows:
        out.print(
            f"[bold]{row.name}[/bold]: {escape(f'{row.title}; {row.provenance}; {row.licence}.')}", soft_wrap=True
        )
        if row.missing:
            out.print(escape(f"  {row.missing}"), style="dim", soft_wrap=True)


def _show_corpus(row: Any) -> None:
    """One corpus with its first sentences."""
    lines = [f"{row.name}: {row.title}", f"from: {row.provenance}", f"terms: {row.licence}"]
    lines += [
        f"{part}: {tokens:,} tokens in {row.sentences[part]:,} sentences, {row.unknown[part]:.2%} unknown"
        for part, tokens in row.tokens.items()
    ]
    lines.append(f"vocabulary: {row.types:,} {row.unit}s, <eos> and <unk> among them")
    if row.entropy is not None:
        lines.append(f"entropy: {row.entropy:.4f} nats a token; no model has a perplexity below {row.limit:.4f}")
    lines += [row.missing] if row.missing else []
    for line in (*lines, "", *row.first):
        out.print(escape(line), soft_wrap=True)


@app.command("test", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
@guarded
def run_tests(
    context: typer.Context,
    full: Annotated[bool, typer.Option("--full", help="Also the tests that take longer than CI allows.")] = False,
) -> None:
    """Run ruff, mypy, build --check and pytest; further arguments go to pytest."""
    from autograder import testing

    missing = testing.missing_tools()
    if missing:
        raise Trouble(f"{', '.join(missing)} not installed; run `python3 start.py test`, it installs what tests need.")
    code = testing.run(full, context.args, tell=lambda text: print(text, flush=True))
    if code:
        raise typer.Exit(code)


@app.command()
@guarded
def mutants(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[CHAPTER]...", help="Chapters; all when none is named.")
    ] = None,
    every: Annotated[int, typer.Option(min=1, help="Try only every Nth mutant.")] = 1,
    as_json: Json = False,
) -> None:
    """Measure the checks: wrong programs must fail and be named, honest ones must pass."""
    from autograder import mutants as measuring

    wanted = [chapter(name) for name in names] if names else chapters()
    with known_errors(), progress("making mutants", quiet=as_json) as report:
        data = measuring.measure(wanted, report, every=every).to_data()
    if as_json:
        say(data)
    else:
        accept, reject, recall = (data[key] for key in ("false_accept", "false_reject", "recall"))
        out.print(
            f"{data['mutants']} mutants: {data['killed']} killed, {data['equivalent']} equivalent, "
            f"{len(data['survivors'])} survived"
        )
        for label, row in (
            ("false accepts", accept),
            ("false rejects", reject),
            ("misconceptions named first", recall),
        ):
            out.print(
                f"{label}: {row['count']} of {row['of']} ({row['share']:.2%}, 95 % interval {row['low']:.2%} to {row['high']:.2%})"
            )
        algebra = data["algebra"]
        out.print(
            f"algebra alone names a class for {algebra['diagnosed']} of {data['killed']}; "
            f"where one is expected, {algebra['class_right']} of {algebra['with_a_class']} are right"
        )
        for row in (*data["survivors"], *data["rejected"], *data["unnamed"], *data["named_wrongly"]):
            out.print(escape("  " + "; ".join(f"{key}: {value}" for key, value in row.items() if key != "source")))
    if data["survivors"] or data["rejected"]:
        raise typer.Exit(1)


@app.command()
@guarded
def attack(
    level: Annotated[
        str, typer.Option(help="The strongest isolation to use: full, no-cgroup, landlock or none.")
    ] = "full",
    only: Annotated[str, typer.Option(metavar="N,N", help="Only these attacks, by their numbers.")] = "",
    write_docs: Annotated[
        bool,
        typer.Option(
            "--write-docs", help="Play them at every level, also without a jail, and write the table docs/attacks.md."
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Attack the grader in sixty ways and see what comes of it."""
    from rich.table import Table

    from autograder.grading import attack_table, attacks
    from autograder.sandbox.isolation import LEVELS, describe_level, safe
    from autograder.sandbox.isolation import level as best_level

    numbers = [part.strip() for part in only.split(",") if part.strip()]
    known = [str(one.id) for one in attacks.corpus()]
    if level not in LEVELS:
        raise Trouble(f"There is no level '{level}'; choose one of {', '.join(LEVELS)}.", 2)
    if unknown := [number for number in numbers if number not in known]:
        raise Trouble(f"There is no attack '{unknown[0]}'; they have the numbers 1 to {len(known)}.", 2)
    if level != "none" and not write_docs and not safe(best_level()):
        raise Trouble(
            f"Attacks would run without a jail here ({describe_level()}); play them on a machine that you can throw away, "
            "with --level none.",
            1,
        )
    with known_errors(), progress("making the class", quiet=as_json) as report:
        chosen = [int(number) for number in numbers]
        rows = [row for one in (LEVELS if write_docs else (level,)) for row in attacks.run(one, chosen, report)]
    if write_docs and not chosen:
        try:
            attack_table.write(rows)
        except ValueError as error:
            raise Trouble(f"The table is not written: {error}.") from None
    surprises = attack_table.surprises(rows)
    if as_json:
        say({"attacks": [row.to_data() for row in rows]})
    else:
        table = Table("", "attack", "level", "required", "got", "", "what was said")
        for row in rows:
            cells = (row.title, row.level, row.required, row.got)
            table.add_row(str(row.id), *map(escape, cells), "✓" if row.held else "✗", escape(row.detail[:200]))
        out.print(table)
        out.print(f"{sum(row.held for row in rows)} of {len(rows)} held.")
        for row in surprises:
            out.print(escape(f"{row.id} at level {row.level}: docs/attacks.md says otherwise."))
    if surprises:
        raise typer.Exit(1)


@app.command()
@guarded
def site(
    serve: Annotated[
        bool, typer.Option("--serve", help="Serve it on this computer afterwards; Ctrl-C ends it.")
    ] = False,
    target: Annotated[
        Path | None, typer.Option("--out", metavar="FOLDER", help="Where to; by default build/site/html.")
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port for --serve; 0 takes any free one.")] = 8000,
    as_json: Annotated[
        bool, typer.Option("--json", help="Measure it, in a browser too where there is one, and print one JSON value.")
    ] = False,
    screenshots: Annotated[
        bool,
        typer.Option(
            "--screenshots",
            help="Keep every page and widget as a desktop, a phone and paper show it, in build/screenshots.",
        ),
    ] = False,
) -> None:
    """Build the course as a site: pages that need no server and ask no other machine for anything."""
    from autograder.site import browsing, building, report, serving

    def tell(line: str) -> None:
        err.print(escape(line), style="dim", soft_wrap=True)

    try:
        built = building.build(target, tell=tell)
    except building.SiteError as error:
        raise Trouble(str(error)) from None
    if screenshots:
        if lacking := browsing.why_not():
            raise Trouble(f"There are no screenshots, as {lacking}.")
        made = browsing.photograph(built.folder, building.SCREENSHOTS, tell)
        err.print(f"{len(made)} pictures and prints: {escape(str(building.SCREENSHOTS))}", soft_wrap=True)
    if as_json:
        data, notes = report.measure(built, tell)
        for note in notes:
            err.print(escape(note), soft_wrap=True)
        say(data)
        if not report.good(data):
            raise typer.Exit(1)
    else:
        for line in built.warnings:
            err.print(escape(line), soft_wrap=True)
        out.print(
            f"{len(built.pages)} pages in {built.seconds:.0f} s: {escape(report.address_of(built.folder))}",
            soft_wrap=True,
        )
    if serve:
        try:
            with serving.served(built.folder, port) as address:
                err.print(f"{escape(address)}/ – Ctrl-C ends it.", soft_wrap=True)
                serving.wait()
        except OSError:
            raise Trouble(f"Port {port} is taken; name another one with --port.") from None


@app.command()
@guarded
def train(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="kn3, kn5, fnn, rnn, rnn_lda, lstm, awd_lstm, rhn or transformer.")
    ],
    data: Annotated[str, typer.Option("--data", metavar="NAME", help="A corpus.")] = "king_james",
    data_dir: Annotated[
        str | None, typer.Option("--data-dir", metavar="FOLDER", help="Where your own corpora are: a folder or a zip.")
    ] = None,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    minutes: Annotated[
        float | None, typer.Option(help="Train for about so long; 2 where no limit is given.", show_default=False)
    ] = None,
    epochs: Annotated[float | None, typer.Option(help="Read the training text so often.")] = None,
    cpu_seconds: Annotated[float | None, typer.Option(help="Train for about so much CPU time.")] = None,
    threads: Annotated[int | None, typer.Option(help="Threads for PyTorch.")] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same run.")] = 0,
    checkpoint: Annotated[
        str | None, typer.Option(metavar="FILE", help="Save the run here now and then, and go on from it.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume/--no-resume", help="Go on from the checkpoint, or begin anew.")
    ] = True,
    softmax: Annotated[str, typer.Option(help="While training: sampled or full. Judging is always full.")] = "sampled",
    precision: Annotated[
        str, typer.Option(help="While training: float32, bf16, or auto: bf16 where the machine has it.")
    ] = "float32",
    deterministic: Annotated[bool, typer.Option("--deterministic", help="The same bits on a GPU, too.")] = False,
    patience: Annotated[
        int | None, typer.Option(help="Stop after so many judgings in a row that were no better.")
    ] = None,
    text: Annotated[int, typer.Option(metavar="N", help="Show N words of its text after each judging.")] = 0,
    also: Annotated[
        list[str] | None,
        typer.Option("--also", metavar="WAY", help="Judge it also with kn5, cache or dynamic; may be repeated."),
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Change a setting of the recipe.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Train a language model and judge it by every word of a test text; under torchrun on several processes."""
    import shlex
    import sys

    from autograder import language_models

    try:
        request = language_models.Request(
            model=model, data=data, data_dir=data_dir, device=device, minutes=minutes, epochs=epochs,
            cpu_seconds=cpu_seconds, threads=threads, seed=seed, checkpoint=checkpoint, resume=resume, softmax=softmax,
            precision=precision, deterministic=deterministic, patience=patience, text=text, also=tuple(also or ()),
            settings=dict(language_models.setting(one) for one in settings or []),
        )  # fmt: skip
        quiet = as_json and not err.is_terminal
        command = shlex.join(["nnlm", *sys.argv[1:]])
        result = language_models.run(request, command, None if quiet else sys.stderr)
    except language_models.TrainingError as error:
        raise Trouble(str(error), error.code) from None
    if not result:
        return  # not the first of several processes
    if as_json:
        say(result)
    else:
        for line in language_models.to_lines(result):
            out.print(escape(line), soft_wrap=True)


@app.command()
@guarded
def leaderboard(
    again: Annotated[
        list[str] | None, typer.Option("--run", metavar="ROW", help="Train a row again; may be repeated.")
    ] = None,
    data_dir: Annotated[
        str | None, typer.Option("--data-dir", metavar="FOLDER", help="Where your Penn Treebank is: a folder or a zip.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show the lectures' table of language models with what ours reach, and make its rows again."""
    from autograder import leaderboard as board

    entries = {entry.key: entry for entry in board.ENTRIES}
    for key in again or []:
        if key not in entries:
            raise Trouble(f"There is no row '{key}'; there are {', '.join(entries)}.", 2)
    try:
        for key in again or []:
            err.print(escape(f"{entries[key].command} …"), style="dim")
            board.measure(entries[key], data_dir)
        known = board.rows()
    except board.LeaderboardError as error:
        raise Trouble(str(error)) from None
    if again:
        board.write_page()
    if as_json:
        say({"rows": known})
        return
    from rich.table import Table

    shown = Table(box=None, pad_edge=False)
    for name in ("model", "printed", "ours", *board.BESIDE.values(), "size", "CPU s"):
        shown.add_column(name, justify="left" if name == "model" else "right")
    for row in known:
        beside = [f"{row['beside'][name]:.1f}" if name in row["beside"] else "–" for name in board.BESIDE]
        shown.add_row(
            row["model"], f"{row['paper_ppl']:.1f}", f"{row['test_ppl']:.1f}", *beside,
            f"{row['parameters'] / 1e6:.1f} M", f"{row['cpu_seconds']:.1f}" if row["device"] == "cpu" else "GPU",
        )  # fmt: skip
    out.print(shown)


@app.command("progress")
@guarded
def progress_command(as_json: Json = False) -> None:
    """Show which exercises pass, as of their last check on this computer."""
    from autograder import progress as kept

    rows = kept.overview()
    if as_json:
        say([{"chapter": row.chapter, "passed": row.passed, "exercises": row.exercises} for row in rows])
    else:
        print(kept.Panel(rows))


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
@guarded
def bench(
    context: typer.Context, name: Annotated[str, typer.Argument(help="A script of the folder benchmarks.")] = ""
) -> None:
    """Run a benchmark; what follows its name goes to it."""
    import subprocess
    import sys

    from autograder.paths import ROOT

    known = sorted(path.stem for path in (ROOT / "benchmarks").glob("*.py"))
    if name not in known:
        raise Trouble(f"There is no benchmark '{name}'; choose one of {', '.join(known)}.", 2)
    command = [sys.executable, str(ROOT / "benchmarks" / f"{name}.py"), *context.args]
    raise typer.Exit(subprocess.run(command).returncode)


@contextmanager
def progress(first: str, quiet: bool) -> Iterator[Callable[[str, int, int], None]]:
    """A line on stderr that says who is being graded, how many are done, how long it has taken."""
    from rich.progress import MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), MofNCompleteColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True, disable=quiet or not err.is_terminal) as bar:
        task = bar.add_task(first, total=None)
        yield lambda who, done, total: bar.update(task, description=escape(who), completed=done, total=total)


@contextmanager
def grading_progress(quiet: bool) -> Iterator[Callable[[Any], None]]:
    """Lines on stderr: how many are done, how long it will take, who is being graded and for how long."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    from autograder.grading.report import duration

    columns = (
        SpinnerColumn(),
        MofNCompleteColumn(),
        BarColumn(bar_width=20),
        TimeElapsedColumn(),
        TextColumn("{task.fields[left]}"),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=err, transient=True, disable=quiet or not err.is_terminal) as bar:
        task = bar.add_task("starting", total=None, left="")

        def watch(state: Any) -> None:
            seconds = state.seconds_left
            about = "" if seconds is None else duration(seconds) if seconds >= 60 else f"{seconds:.0f} s"
            left = f"about {about} left" if about else ""
            bar.update(task, description=escape(state.sentence()), completed=state.done, total=state.total, left=left)

        yield watch


@contextmanager
def known_errors() -> Iterator[None]:
    """Say errors of the grading side in one sentence."""
    from autograder.grading.classroom import ClassroomError
    from autograder.notebooks import BuildError
    from autograder.sandbox.session import SandboxError

    try:
        yield
    except (ClassroomError, SandboxError, BuildError) as error:
        raise Trouble(str(error)) from None


def main() -> None:
    """Entry point."""
    app(prog_name="nnlm")


if __name__ == "__main__":
    main()
