"""How long a widget takes from a key press to changed pixels, in JupyterLab and on the site, beside `interactive` with a figure.

``python3 start.py bench widget_latency [--json] [--presses N] [--only NAME …]``; ends with 1 if a widget misses the bars.

A key is pressed by Chromium's own input pipeline (DevTools' ``Input.dispatchKeyEvent``), at moments that have nothing to do with
the screen's refresh. *Latency* is Chromium's own figure for that event (``EventLatency`` of its tracing): from the moment at which
the browser receives the key until it has swapped in the first frame that the key has caused, after the handler, style, layout,
paint, raster and drawing. Its resolution is far below a millisecond.

Whether the *pixels of the picture* are other ones in that frame is seen by a screencast, which hands over every new frame as a PNG:
a press after which the next frame shows the same picture (a slider's knob and numbers beside the picture do not count) is a
press that was not seen, and is a miss. As the PNGs are made on the same processors, this is a second round of as many presses.

With `interactive` the first frame shows a moved knob and an old picture. There, latency is until the frame in which the
picture differs is due on the screen, by the screencast's own times; these are ticks of 60 Hz, so 17 ms is what it can tell.
*Due* gives the same figure for the widgets, for comparison: it is up to a tick more than the latency.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import io
import itertools
import json
import os
import random
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat
from PIL import Image, ImageChops

from autograder import bundle
from autograder.paths import ROOT, chapter
from autograder.site import browsing, building, serving, widgets

MEDIAN_MS, P90_MS = 16.0, 50.0
#: Presses that are not counted: they fill caches and compile.
WARM_UP = 4
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking")
#: What is pressed, by turns: role and name of a control, and the key. Where there is a choice, what costs the widget most.
PRESSED: dict[str, list[tuple[str, str, str]]] = {
    "tensor_explorer": [("slider", "Element: move to another one", key) for key in ("ArrowDown", "ArrowUp")],
    "linear_map_explorer": [("slider", "(1, 0): move where it goes", key) for key in ("ArrowUp", "ArrowDown")],
    "decision_line": [("slider", "Weights: turn the line", key) for key in ("ArrowUp", "ArrowDown")],
    "perceptron_rule": [("button", name, "Enter") for name in ("Next sample", "Next sample", "Back")],
    "xor_folding": [("slider", "Unit 2: turn its line", key) for key in ("ArrowRight", "ArrowLeft")],
    "activation_zoo": [("slider", "z: move along the curve", key) for key in ("ArrowLeft", "ArrowRight")],
    "step_approximator": [("slider", "Hidden units", key) for key in ("ArrowRight", "ArrowLeft")],
    "loss_shapes": [("slider", "m: move along the loss", key) for key in ("ArrowRight", "ArrowLeft")],
    "softmax_temperature": [("slider", "T: move along the curve", key) for key in ("ArrowRight", "ArrowLeft")],
    "filter_viewer": [("slider", "Window: move it", key) for key in ("ArrowRight", "ArrowLeft")],
    "step_size": [("slider", "h: move the step", key) for key in ("ArrowRight", "ArrowLeft")],
    "graph_stepper": [("button", name, "Enter") for name in ("Next node", "Next node", "Back")],
    "error_flow": [("slider", "Weights", key) for key in ("ArrowRight", "ArrowLeft")],
    "optimiser_race": [("slider", "Start: move it", key) for key in ("ArrowLeft", "ArrowRight")],
    "initialisation_depth": [("slider", "Layers", key) for key in ("ArrowRight", "ArrowLeft")],
    "dropout_viewer": [("slider", "p", key) for key in ("ArrowRight", "ArrowLeft")],
    "perplexity_branching": [("slider", "1/p of word 4", key) for key in ("ArrowRight", "ArrowLeft")],
    "word_sampler": [("slider", "T", key) for key in ("ArrowRight", "ArrowLeft")],
    "next_word": [("slider", "T", key) for key in ("ArrowRight", "ArrowLeft")],
    "unrolled_network": [("slider", "w", key) for key in ("ArrowLeft", "ArrowRight")],
    "gradient_through_time": [("slider", "Radius ρ", key) for key in ("ArrowRight", "ArrowLeft")],
    "gate_map": [("slider", "Word and unit: move", key) for key in ("ArrowRight", "ArrowLeft")],
    "memory_gradient": [("slider", "Forget bias", key) for key in ("ArrowRight", "ArrowLeft")],
    "attention_explorer": [("slider", "Width d", key) for key in ("ArrowRight", "ArrowLeft")],
    "positional_map": [("slider", "Position", key) for key in ("ArrowRight", "ArrowLeft")],
}
#: Traits to begin with: XOR is never learned, so there is always a next sample; the network shows some numbers that w changes.
BEGIN: dict[str, dict[str, Any]] = {
    "perceptron_rule": {"gate": "xor"},
    "graph_stepper": {"step": 1},
    "unrolled_network": {"step": 4},
}
#: The same line as in `decision_line`, drawn by Matplotlib in the kernel.
BASELINE = """import matplotlib.pyplot as plt
import numpy as np
from ipywidgets import FloatSlider, interactive


def draw(b):
    fig, ax = plt.subplots(figsize=(5, 4))
    x = np.linspace(-1, 2, 50)
    ax.plot(x, -b - x)
    ax.scatter([0, 0, 1, 1], [0, 1, 0, 1], c=[0, 0, 0, 1])
    ax.set(xlim=(-1, 2), ylim=(-1, 2), xlabel="x1", ylabel="x2")
    plt.show()


interactive(draw, b=FloatSlider(value=-1.0, min=-3, max=3, step=0.1))"""
BARE = """<!doctype html><div tabindex="0" style="width: 200px; height: 200px; background: navy"></div><script>
    document.querySelector('div').addEventListener('keydown', event => {
        event.currentTarget.style.background = event.currentTarget.style.background === 'navy' ? 'orange' : 'navy';
    });
</script>"""
LISTEN = """() => {
    window.pressed = [];
    const listen = event => { window.pressed.push(performance.timeOrigin + event.timeStamp); };
    window.addEventListener('keydown', listen, { capture: true });
}"""
#: By how much the page's monotonic clock is ahead of the system's, in milliseconds; Date.now() has whole ones, so the edge counts.
OFFSET = """() => {
    let least = Infinity;
    for (let i = 0; i < 20000; i += 1) {
        least = Math.min(least, performance.timeOrigin + performance.now() - Date.now());
    }
    return least;
}"""


@dataclass
class Row:
    """Presses of one widget at one place; times in milliseconds.

    Attributes:
        swapped: from each key to the swap of its first frame.
        due: from each key to the time at which the first frame with another picture is due.
        at_once: how many pictures had changed in the first frame.
    """

    widget: str
    where: str
    presses: int
    swapped: list[float] = field(default_factory=list)
    due: list[float] = field(default_factory=list)
    at_once: int = 0

    def latency(self) -> list[float]:
        """Key to changed pixels; the swap only says so where the first frame has them."""
        return self.swapped if self.at_once == self.presses else self.due

    def as_dict(self) -> dict[str, Any]:
        """What is printed."""
        values = self.latency()
        return {
            "widget": self.widget,
            "where": self.where,
            "presses": self.presses,
            "seen": len(self.due),
            "in_first_frame": self.at_once,
            "median_ms": round(statistics.median(values), 1) if values else None,
            "p90_ms": round(p90(values), 1) if values else None,
            "due_median_ms": round(statistics.median(self.due), 1) if self.due else None,
        }

    def good(self) -> bool:
        """Whether every press changed the picture in its first frame and the bars are kept."""
        return (
            self.at_once == len(self.swapped) == self.presses
            and statistics.median(self.swapped) < MEDIAN_MS
            and p90(self.swapped) < P90_MS
        )


def p90(values: list[float]) -> float:
    return sorted(values)[max(0, -(-9 * len(values) // 10) - 1)]


class Watched:
    """A page whose frames and key presses are recorded."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.frames: list[tuple[float, bytes]] = []
        self._cdp = page.context.new_cdp_session(page)
        self._cdp.on("Page.screencastFrame", self._take)
        self._tracing = page.context.browser.new_browser_cdp_session()
        self._events: list[dict[str, Any]] = []
        self._ended = False
        self._tracing.on("Tracing.dataCollected", lambda data: self._events.extend(data["value"]))
        self._tracing.on("Tracing.tracingComplete", lambda _: setattr(self, "_ended", True))
        page.evaluate(LISTEN)

    def _take(self, frame: dict[str, Any]) -> None:
        self._cdp.send("Page.screencastFrameAck", {"sessionId": frame["sessionId"]})
        self.frames.append((1000 * frame["metadata"]["timestamp"], base64.b64decode(frame["data"])))

    def _swapped(self) -> list[float]:
        """End the trace: for each key pressed, in order, how long until the swap, in milliseconds."""
        self._tracing.send("Tracing.end")
        while not self._ended:
            self.page.wait_for_timeout(20)
        began, made = {}, []
        for event in sorted(self._events, key=lambda event: event["ts"]):
            if event["name"] != "EventLatency":
                continue
            key = (event["pid"], json.dumps(event.get("id2", event.get("id"))))
            if event["ph"] == "b":
                began[key] = event
            elif (start := began.pop(key, None)) and start["args"]["event_latency"]["event_type"] == "KEY_PRESSED":
                made.append((start["ts"], (event["ts"] - start["ts"]) / 1000))
        self._events.clear()
        self._ended = False
        return [latency for _, latency in sorted(made)]

    def measure(self, row: Row, controls: list[tuple[Any, str]], picture: Any, pause_ms: float) -> Row:
        """Press keys by turns and fill in the row.

        Args:
            row: with the number of presses.
            controls: element and key.
            picture: elements whose pixels count.
            pause_ms: how long to wait for a frame after each press.
        """
        controls[0][0].focus()
        picture.first.evaluate("element => element.scrollIntoView({block: 'center', behavior: 'instant'})")
        self._tracing.send("Tracing.start", {"traceConfig": {"includedCategories": ["input.scrolling"]}})
        self._press(controls, row.presses, pause_ms)
        row.swapped = self._swapped()[WARM_UP:]
        self.frames.clear()
        self._cdp.send("Page.startScreencast", {"format": "png"})
        self._press(controls, row.presses, pause_ms)
        self._cdp.send("Page.stopScreencast")
        offset = self.page.evaluate(OFFSET)
        times = [at - offset for at in self.page.evaluate("pressed")]
        boxes = [one.bounding_box() for one in picture.all() if one.is_visible()]
        box = (
            int(min(one["x"] for one in boxes)),
            int(min(one["y"] for one in boxes)),
            int(max(one["x"] + one["width"] for one in boxes)),
            int(max(one["y"] + one["height"] for one in boxes)),
        )
        pictures = [(at, Image.open(io.BytesIO(data)).convert("RGB").crop(box)) for at, data in self.frames]
        for start, end in zip(times, [*times[1:], float("inf")], strict=True):
            before = [made for at, made in pictures if at <= start][-1:]
            after = [(at, made) for at, made in pictures if start < at < end]
            changed = [at for at, made in after if before and ImageChops.difference(before[0], made).getbbox()]
            row.due += [changed[0] - start] if changed else []
            row.at_once += bool(changed) and changed[0] == after[0][0]
        return row

    def _press(self, controls: list[tuple[Any, str]], presses: int, pause_ms: float) -> None:
        """Press so many keys, after some that are not counted."""
        self.page.wait_for_timeout(400)
        for number, (control, key) in zip(range(WARM_UP + presses), itertools.cycle(controls), strict=False):
            control.evaluate("element => element.focus({ preventScroll: true })")
            self.page.wait_for_timeout(25 + random.uniform(0, 17))
            if number == WARM_UP:
                self.page.evaluate("pressed.length = 0")
                del self.frames[:-1]
            self.page.keyboard.press(key)
            self.page.wait_for_timeout(pause_ms)


def bare(chromium: Any, presses: int) -> Row:
    """A page with one square that a key colours: what no page on this machine can be quicker than."""
    page = chromium.new_page(viewport={"width": 1100, "height": 900})
    page.set_content(BARE)
    square = page.locator("div")
    row = Watched(page).measure(Row("one square", "bare page", presses), [(square, "ArrowRight")], square, 60)
    page.close()
    return row


def on_site(chromium: Any, names: list[str], presses: int, tell: Any) -> Iterator[Row]:
    """The page that has every widget, built as always, of one chapter only."""
    built = building.build(wanted=[chapter("00")], work=ROOT / "build" / "widget_latency", tell=tell)
    with serving.served(built.folder) as address:
        page = chromium.new_page(viewport={"width": 1100, "height": 900})
        page.goto(f"{address}/play.html")
        page.wait_for_load_state("load")
        watched = Watched(page)
        for name in names:
            tell(f"site: {name}")
            root = page.locator(f'.course-widget[data-widget="{name}"] .nnlm-widget')
            yield watched.measure(Row(name, "site", presses), *prepared(root, name), 60)
        page.close()


def in_lab(chromium: Any, names: list[str], presses: int, tell: Any) -> Iterator[Row]:
    """A notebook with every widget, and one with `interactive`, in JupyterLab as `lab` starts it."""
    classes = widgets.classes()
    cells = ["from course.kit import widgets", *(f"widgets.{classes[name].__name__}()" for name in names)]
    with tempfile.TemporaryDirectory(prefix="nnlm-latency-") as folder, lab(Path(folder)) as (course, address):
        page = opened(chromium, course, address, "interactive", [BASELINE])
        page.locator(".jp-OutputArea-output img").wait_for(timeout=60_000)
        tell("JupyterLab: interactive")
        knob, picture = page.locator(".noUi-handle"), page.locator(".jp-OutputArea-output img")
        knob_keys = [(knob, "ArrowRight"), (knob, "ArrowLeft")]
        yield Watched(page).measure(Row("interactive + inline", "JupyterLab", presses), knob_keys, picture, 700)
        page.close()
        page = opened(chromium, course, address, "widgets", cells)
        watched = Watched(page)
        for number, name in enumerate(names, start=1):
            tell(f"JupyterLab: {name}")
            root = page.locator(".jp-CodeCell").nth(number).locator(".nnlm-widget")
            yield watched.measure(Row(name, "JupyterLab", presses), *prepared(root, name), 60)
        page.close()


def prepared(root: Any, name: str) -> tuple[list[tuple[Any, str]], Any]:
    """The controls to press, with their keys, and the pictures to watch."""
    root.wait_for(timeout=60_000)
    root.evaluate(
        "(root, traits) => Object.entries(traits).forEach(([name, value]) => root.model.set(name, value))",
        BEGIN.get(name, {}),
    )
    controls = [(root.get_by_role(role, name=what, exact=True), key) for role, what, key in PRESSED[name]]
    return controls, root.locator("svg.plot")


@contextlib.contextmanager
def lab(folder: Path) -> Iterator[tuple[Path, str]]:
    """JupyterLab on a student's copy; gives the folder of notebooks and the server's address."""
    bundle.write_zip([chapter("02")], folder / "course.zip", "# Course\n")
    with zipfile.ZipFile(folder / "course.zip") as archive:
        archive.extractall(folder)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    home = folder / "nnlm-course"
    process = subprocess.Popen(
        [sys.executable, "-m", "autograder.cli", "lab", "--no-browser", "--port", str(port)],
        cwd=home,
        env={**os.environ, "HOME": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        found = None
        while found is None:
            line = process.stdout.readline()
            if not line:
                raise SystemExit("JupyterLab ended before it answered.")
            found = re.search(r"http://127\.0\.0\.1:\d+/lab/tree/(\S+)\?token=\w+", line)
        yield home / "course", found[0]
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)


def opened(chromium: Any, course: Path, address: str, name: str, cells: list[str]) -> Any:
    """A page with a notebook whose cells have run."""
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    made = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(cell) for cell in cells], metadata={"kernelspec": kernel}
    )
    nbformat.write(made, course / f"{name}.ipynb")
    page = chromium.new_page(viewport={"width": 1100, "height": 900})
    page.goto(re.sub(r"/lab/tree/\S+?\?", f"/lab/workspaces/{name}/tree/{name}.ipynb?", address))
    page.wait_for_selector("#jupyterlab-splash", state="detached", timeout=60_000)
    page.wait_for_selector('#jp-main-statusbar :text("(ipykernel) | Idle")', timeout=60_000)
    page.locator(".jp-CodeCell .cm-content").first.click()
    for _ in cells:
        page.keyboard.press("Shift+Enter")
    return page


def main() -> None:
    """Print a row a widget and place, and whether all keep the bars."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--presses", type=int, default=30)
    parser.add_argument("--only", nargs="*", choices=sorted(PRESSED), default=[])
    wanted = parser.parse_args()
    if lacking := browsing.why_not():
        raise SystemExit(f"Not measured, as {lacking}.")
    from playwright.sync_api import sync_playwright

    def tell(line: str) -> None:
        print(line, file=sys.stderr)

    names = [name for name in widgets.classes() if not wanted.only or name in wanted.only]
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browsing.browser(), args=list(FLAGS))
        rows = [
            bare(chromium, wanted.presses),
            *in_lab(chromium, names, wanted.presses, tell),
            *on_site(chromium, names, wanted.presses, tell),
        ]
        version = chromium.version
        chromium.close()
    measured = [row for row in rows if row.widget in PRESSED]
    summary = {
        "chromium": version,
        "processors": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "bars_ms": {"median": MEDIAN_MS, "p90": P90_MS},
        "missed": [f"{row.widget} ({row.where})" for row in measured if not row.good()],
        "rows": [row.as_dict() for row in rows],
    }
    if wanted.json:
        print(json.dumps(summary, indent=1))
    else:
        print(f"{'':<24}{'':<12}{'seen':>8}{'median':>10}{'p90':>8}{'due':>8}  (ms)")
        for row in summary["rows"]:
            print(
                f"{row['widget']:<24}{row['where']:<12}{row['in_first_frame']:>5}/{row['presses']}"
                f"{row['median_ms'] or '-':>10}{row['p90_ms'] or '-':>8}{row['due_median_ms'] or '-':>8}"
            )
        print(f"missed: {', '.join(summary['missed']) or 'none'} (median < {MEDIAN_MS:g} ms, p90 < {P90_MS:g} ms)")
    raise SystemExit(bool(summary["missed"]))


if __name__ == "__main__":
    main()
