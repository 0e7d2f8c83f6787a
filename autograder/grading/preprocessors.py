"""Our entries in nbgrader's two lists of preprocessors; ``nbgrader autograde`` and the formgrader's button use them too."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any, ClassVar

import nbformat
from nbconvert.exporters import NotebookExporter
from nbformat import NotebookNode
from nbgrader.preprocessors import NbGraderPreprocessor
from traitlets import Bool, Float, Integer, Unicode

from autograder.exercise import Explanation
from autograder.grading import intake, judge, records, work
from autograder.notebooks import definitions
from autograder.paths import chapter
from autograder.sandbox.isolation import Limits, safe


class SubmissionExporter(NotebookExporter):
    """Reads a submission through :mod:`autograder.grading.intake`: a file that is no notebook becomes an empty one with a note."""

    def from_filename(self, filename: str, resources: dict[str, Any] | None = None, **kwargs: Any) -> Any:
        """Read, rebuild when it is a submission, and convert."""
        assert resources is not None
        path = Path(filename)
        if "autograded" in path.parent.parent.parent.name:  # the second pass reads what the first one wrote
            return super().from_filename(filename, resources=resources, **kwargs)
        return self.from_notebook_node(self.rebuilt(filename, resources), resources=resources, **kwargs)

    def rebuilt(self, filename: str, resources: dict[str, Any]) -> NotebookNode:
        """A submission in the released notebook's frame."""
        template = release_notebook(self, resources["nbgrader"]["assignment"], resources["nbgrader"]["notebook"])
        try:
            taken = intake.rebuild(intake.read(Path(filename)), template)
            unreadable = ""
        except intake.Unreadable as error:
            taken = intake.Intake(nbformat.from_dict(template))
            unreadable = str(error)
        taken.notebook.metadata["nnlm"] = {"repairs": taken.repairs, "unreadable": unreadable}
        return taken.notebook


def course_root(configurable: Any) -> Path:
    """The course that a configured nbgrader object works in."""
    return Path(configurable.config.CourseDirectory.get("root") or ".").resolve()


def release_notebook(configurable: Any, assignment: str, notebook: str) -> NotebookNode:
    """The released notebook: the frame into which submissions are put."""
    path = course_root(configurable) / "release" / assignment / f"{notebook}.ipynb"
    return work.released(path.read_bytes())


class Judge(NbGraderPreprocessor):
    """Writes one verdict into each check cell; stands in for nbgrader's Execute.

    When nbgrader runs it, it runs the submission in the sandbox and judges it. ``nnlm grade`` has done that already, in
    other processes, and hands over what came of it.
    """

    seed = Unicode(
        "", help="Secret from which fresh cases are drawn; by default a new one, recorded for regrades."
    ).tag(config=True)
    cell_seconds = Float(Limits.cell_seconds, help="Wall time of one cell.").tag(config=True)
    call_seconds = Float(Limits.call_seconds, help="Wall time of one call in a check.").tag(config=True)
    total_seconds = Float(Limits.total_seconds, help="Wall time of one notebook.").tag(config=True)
    cpu_seconds = Float(Limits.cpu_seconds, help="Processor time of each of a submission's processes.").tag(config=True)
    memory_mb = Integer(Limits.memory_mb, help="Memory of a submission with all it starts, in MB.").tag(config=True)
    processes = Integer(Limits.processes, help="Processes and threads of a submission.").tag(config=True)
    disk_mb = Integer(Limits.disk_mb, help="What a submission may write in all, in MB.").tag(config=True)
    file_mb = Integer(Limits.file_mb, help="The largest file that it may write, in MB.").tag(config=True)
    files = Integer(Limits.files, help="How many files and folders it may make.").tag(config=True)
    output_mb = Float(Limits.output_mb, help="What a cell may print, in MB.").tag(config=True)
    device = Unicode("cpu", help="Where student code may compute: cpu, or cuda.").tag(config=True)
    everything = Bool(
        False, help="Run also the course's own cells that the student left as they were and that nothing depends on."
    ).tag(config=True)
    unsafe = Bool(False, help="Run student code also where it cannot be locked in.").tag(config=True)

    #: What ``nnlm grade`` found out about the submission that is being written.
    handed: ClassVar[records.Pending | None] = None

    def limits(self) -> Limits:
        """What a submission may use."""
        return Limits(**{limit.name: getattr(self, limit.name) for limit in fields(Limits)})

    def preprocess(self, nb: NotebookNode, resources: dict[str, Any]) -> tuple[NotebookNode, dict[str, Any]]:
        """Execute, judge, record; or take over what was handed."""
        about = resources["nbgrader"]
        outputs = self._graded_here(nb, about) if self.handed is None else self.handed.outputs
        for cell in nb.cells:
            if cell.cell_type == "code":
                cell.outputs = [nbformat.from_dict(output) for output in outputs.get(cell.id, [])]
                cell.execution_count = None
        return nb, resources

    def _graded_here(self, nb: NotebookNode, about: dict[str, str]) -> dict[str, list[dict[str, Any]]]:
        store = records.Store(course_root(self))
        folder = course_root(self) / "submitted" / about["student"] / about["assignment"]
        submission = records.fingerprint(folder / f"{about['notebook']}.ipynb")
        before = store.load(about["assignment"], about["student"])
        seed, attempt = records.next_seed(before, about["student"], about["assignment"], submission, self.seed)
        sandbox = judge.server(self.device)
        if not self.unsafe and not safe(sandbox.level):
            raise RuntimeError(work.too_weak(sandbox.level, sandbox.why))
        graded = judge.grade(
            nb,
            work.exercises_of(chapter(about["assignment"]).name),
            seed,
            self.limits(),
            given=None if self.everything else release_notebook(self, about["assignment"], about["notebook"]),
            sandbox=sandbox,
        )
        note = nb.metadata.get("nnlm", {})
        store.save(
            records.Record(
                student=about["student"],
                chapter=about["assignment"],
                seed=seed,
                isolation=sandbox.level,
                submission=submission,
                unreadable=str(note.get("unreadable", "")),
                repairs=[str(text) for text in note.get("repairs", [])],
                verdicts=[verdict.to_data() for verdict in graded.verdicts.values()],
                attempt=attempt,
            )
        )
        return graded.outputs


class ShowIntake(NbGraderPreprocessor):
    """Says at the top of the graded notebook what had to be repaired, and shows rubrics next to written answers."""

    def preprocess(self, nb: NotebookNode, resources: dict[str, Any]) -> tuple[NotebookNode, dict[str, Any]]:
        """Insert Markdown cells; runs last, after the grades are saved."""
        record = records.Store(course_root(self)).load(
            resources["nbgrader"]["assignment"], resources["nbgrader"]["student"]
        )
        written = {
            name: made
            for name, made in definitions(chapter(resources["nbgrader"]["assignment"])).items()
            if isinstance(made, Explanation)
        }
        cells: list[NotebookNode] = []
        notes = [record.unreadable] if record and record.unreadable else []
        notes += [f"{text[:1].upper()}{text[1:]}." for text in (record.repairs if record else [])]
        if notes:
            cells.append(
                _note("intake-note", "**About this submission**\n\n" + "\n".join(f"* {text}" for text in notes))
            )
        for cell in nb.cells:
            cells.append(cell)
            made = written.get(cell.metadata.get("nbgrader", {}).get("grade_id"))
            if made is not None:
                cells.append(
                    _note(f"rubric-{made.name}", f"**Rubric** ({made.points:g} points)\n\n{made.rubric_markdown}")
                )
        nb.cells = cells
        return nb, resources


def _note(cell_id: str, text: str) -> NotebookNode:
    return nbformat.v4.new_markdown_cell(text, id=cell_id)
