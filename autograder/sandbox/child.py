"""The untrusted side: runs the student's cells in an IPython shell and answers calls, one frame at a time."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from typing import Any, BinaryIO

from autograder.sandbox.calling import Answer, call
from autograder.sandbox.wire import receive, send

if sys.platform == "linux":
    from autograder.sandbox.linux import flush_c_streams
else:

    def flush_c_streams() -> None:
        """What C code prints there comes out when its buffer is full."""


_STREAMS = ("stdout", "stderr")


def serve(reader: BinaryIO, writer: BinaryIO, output_bytes: int, shell: Shell | None = None) -> None:
    """Answer requests until the other side closes the connection."""
    shell = shell or Shell()
    shell.outputs.budget = output_bytes
    while True:
        try:
            request = receive(reader)
        except EOFError:
            return
        if request["op"] == "run":
            send(writer, shell.run(request["source"]))
        elif request["op"] == "call":
            send(writer, shell.call(request["name"], request["inputs"], request["probe"]))


#: Loads fonts, mathematical text and everything else that a first figure waits for.
_WARMING_UP = """
import matplotlib.pyplot as plt

figure, axes = plt.subplots(figsize=(2, 1))
axes.plot([1, 2], [3, 4], label=r"$\\hat{y}_{i}$")
axes.set(title="A title", xlabel=r"$x_1$")
axes.legend()
axes.imshow([[0.0, 1.0]])
plt.show()
"""


class Shell:
    """An IPython shell whose outputs are collected as nbformat dictionaries."""

    def __init__(self) -> None:
        from IPython.core.displayhook import DisplayHook
        from IPython.core.displaypub import DisplayPublisher
        from IPython.core.interactiveshell import InteractiveShell
        from traitlets.config import Config

        outputs = self.outputs = _Outputs(2**20)

        class Publisher(DisplayPublisher):
            def publish(self, data: Any, metadata: Any = None, *_: Any, **more: Any) -> None:
                display_id = (more.get("transient") or {}).get("display_id")
                outputs.add(
                    {"output_type": "display_data", "data": data, "metadata": metadata or {}},
                    display_id=display_id,
                    update=bool(more.get("update")),
                )

            def clear_output(self, wait: bool = False) -> None:
                outputs.clear()

        class Hook(DisplayHook):
            def write_output_prompt(self) -> None:
                pass

            def write_format_data(self, format_dict: Any, md_dict: Any = None) -> None:
                outputs.add({"output_type": "execute_result", "data": format_dict, "metadata": md_dict or {}})

            def finish_displayhook(self) -> None:
                self._is_active = False

        class Interactive(InteractiveShell):
            def enable_gui(self, gui: Any = None) -> None:
                pass

            def _tee(self, channel: str) -> Any:
                return contextlib.nullcontext()  # IPython would keep all that is printed, without a bound

            def system(self, cmd: str) -> None:
                try:
                    self.system_piped(cmd)
                except OSError:  # no terminal to be had
                    self.system_raw(cmd)

            def _showtraceback(self, etype: Any, evalue: Any, stb: Any) -> None:
                name = getattr(etype, "__name__", str(etype))
                outputs.add({"output_type": "error", "ename": name, "evalue": _text(evalue), "traceback": list(stb)})

        InteractiveShell.clear_instance()
        settings = Config()
        settings.HistoryManager.enabled = False  # its thread would not survive a fork
        self.shell = Interactive.instance(display_pub_class=Publisher, displayhook_class=Hook, config=settings)
        with contextlib.suppress(Exception):
            from matplotlib_inline.backend_inline import configure_inline_support

            configure_inline_support(self.shell, "module://matplotlib_inline.backend_inline")

    @classmethod
    def warm(cls) -> Shell:
        """A shell that has drawn a figure and run a cell, and shows no trace of it: forks find all of that loaded."""
        shell = cls()
        shell.run(_WARMING_UP)
        shell.run("1 + 1")
        shell.run("raise ValueError")
        shell.shell.reset(new_session=True)
        shell.shell.execution_count = 1
        return shell

    def run(self, source: str) -> dict[str, Any]:
        """Run one cell; returns its outputs and whether it ended in an error."""
        self.outputs.start()
        failed = False
        with self.outputs.captured():
            try:
                result = self.shell.run_cell(source, store_history=True)
                failed = not result.success
            except BaseException as error:  # SystemExit and the like must not end the notebook
                failed = True
                self.outputs.add(
                    {"output_type": "error", "ename": type(error).__name__, "evalue": _text(error), "traceback": []}
                )
        return {"outputs": self.outputs.finish(), "failed": failed}

    def call(self, name: str, inputs: dict[str, Any], probe: str | None) -> dict[str, Any]:
        """Call what the student's cells left under ``name``."""
        target = self.shell.user_ns.get(name)
        if not callable(target):
            return Answer("missing").to_data()
        self.outputs.start()
        with self.outputs.captured():
            return call(target, inputs, probe, catch_interrupt=True).to_data()


class _Outputs:
    """What a cell printed and displayed, up to a budget in bytes."""

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self.start()

    def start(self) -> None:
        self.items: list[dict[str, Any]] = []
        self.displays: dict[str, dict[str, Any]] = {}
        self.used = 0
        self.clipped = False

    def clear(self) -> None:
        self.items = []

    def add(self, output: dict[str, Any], display_id: Any = None, update: bool = False) -> None:
        plain = _plain(output)
        if update:  # a display that was shown before gets other content
            self.displays.get(str(display_id), {}).update(plain)
            return
        if display_id is not None:
            self.displays[str(display_id)] = plain
        size = len(str(plain))
        if self.used + size > self.budget:
            self.clipped = True
            return
        self.used += size
        self.items.append(plain)

    def text(self, name: str, text: str) -> int:
        room = self.budget - self.used
        kept = text[:room]
        self.clipped = self.clipped or len(kept) < len(text)
        if kept:
            self.used += len(kept)
            last = self.items[-1] if self.items else {}
            if last.get("output_type") == "stream" and last.get("name") == name:
                last["text"] += kept
            else:
                self.items.append({"output_type": "stream", "name": name, "text": kept})
        return len(text)

    def finish(self) -> list[dict[str, Any]]:
        if self.clipped:
            note = f"\n(output beyond {self.budget:,} bytes was cut)\n"
            self.items.append({"output_type": "stream", "name": "stdout", "text": note})
        return self.items

    @contextlib.contextmanager
    def captured(self) -> Any:
        """Collect Python's streams, and what C code or child processes write to the file descriptors."""
        before = {name: getattr(sys, name) for name in _STREAMS}
        saved = [os.dup(1), os.dup(2)]
        with tempfile.TemporaryFile() as raw:
            os.dup2(raw.fileno(), 1)
            os.dup2(raw.fileno(), 2)
            for name in _STREAMS:
                setattr(sys, name, _Writer(self, name))
            try:
                yield
            finally:
                for name in _STREAMS:
                    setattr(sys, name, before[name])
                flush_c_streams()
                os.dup2(saved[0], 1)
                os.dup2(saved[1], 2)
                for fd in saved:
                    os.close(fd)
                raw.seek(0)
                text = raw.read(self.budget).decode("utf-8", "replace")
                if text:
                    self.text("stdout", text)


class _Writer:
    """A text stream that ends in the cell's outputs."""

    encoding, errors, closed = "utf-8", "replace", False

    def __init__(self, outputs: _Outputs, name: str) -> None:
        self._outputs, self.name = outputs, name

    def write(self, text: str) -> int:
        return self._outputs.text(self.name, str(text))

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        pass

    def isatty(self) -> bool:
        return False

    def writable(self) -> bool:
        return True

    def readable(self) -> bool:
        return False

    def fileno(self) -> int:
        return 1 if self.name == "stdout" else 2


def _plain(value: Any) -> Any:
    """Only what nbformat holds: text, numbers, lists, dictionaries; images as base64."""
    if isinstance(value, dict):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    if isinstance(value, bytes):
        import base64

        return base64.b64encode(value).decode()
    if value is None or isinstance(value, (bool, int, float)):
        return value
    return str(value)


def _text(value: Any) -> str:
    try:
        return str(value)[:2_000]
    except BaseException:  # a student's __str__ may do anything
        return "(no message)"
