"""The widgets: their numbers are those of the solutions, and people with a keyboard or a mouse reach them, kernel or not."""

from __future__ import annotations

import contextlib
import functools
import http.server
import importlib
import json
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
from test_browser import CHROMIUM, SECONDS, address, browser, course, menu, open_notebook, show  # noqa: F401
from widgets.cases import cases, lstm_steps, numbers, stored_model

from autograder.paths import ROOT
from course.kit import widgets

FOLDER = widgets.FOLDER
NODE = shutil.which("node")
HARNESS = Path(__file__).parent / "widgets" / "golden.mjs"
#: Those that compute; a module without a function only holds data.
MODULES = sorted(path.stem for path in FOLDER.glob("*.mjs") if "function " in path.read_text(encoding="utf-8"))
CLASSES = {
    re.sub(r"(?<!^)(?=[A-Z])", "_", made.__name__).lower(): made
    for made in vars(widgets).values()
    if isinstance(made, type) and issubclass(made, widgets.Widget) and made is not widgets.Widget
}
needs_node = pytest.mark.skipif(
    NODE is None, reason="no Node.js, which runs the widgets' mathematics; any version from 20"
)
needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium or Chrome; `start.py doctor` says how to get one"
)


def node(*arguments: str | Path, script: str = "", seconds: float = 60) -> Any:
    """What a script prints, JSON by the line; a script given as text is a module."""
    assert NODE is not None
    command = [NODE, *map(str, arguments)] if not script else [NODE, "--input-type=module", "-e", script]
    run = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=seconds)
    assert run.returncode == 0, run.stderr
    return [json.loads(line) for line in run.stdout.splitlines()]


# ---- packaging ---------------------------------------------------------------------------------------------------------
def test_every_widget_has_its_class_and_its_file() -> None:
    with_view = {path.stem for path in FOLDER.glob("*.mjs") if "\nexport default" in path.read_text(encoding="utf-8")}
    assert set(CLASSES) == with_view == set(DRIVES)


def test_the_latency_benchmark_presses_a_key_in_every_widget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    assert set(importlib.import_module("widget_latency").PRESSED) == set(CLASSES)


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_a_widget_becomes_one_module_that_imports_nothing(name: str) -> None:
    text = widgets.module_source(name)
    assert str(CLASSES[name]._esm) == text
    assert not re.search(r"^\s*import\b|\bimport\s*\(|\brequire\s*\(", text, re.MULTILINE)
    assert re.findall(r"^export default .*$", text, re.MULTILINE) == [
        "export default { render: view => kit.mount(view, { defaults: DEFAULTS, strings: STRINGS, build }) };"
    ]
    addresses = set(re.findall(r"https?://[^\s\"'`)]+", text))
    assert addresses <= {"http://www.w3.org/2000/svg"}  # a name of a vocabulary, never fetched


@needs_node
@pytest.mark.parametrize("name", sorted(CLASSES))
def test_put_into_one_module_it_exports_the_same(name: str, tmp_path: Path) -> None:
    (tmp_path / "one.mjs").write_text(widgets.module_source(name), encoding="utf-8")
    script = "".join(
        f"import * as m{i} from {json.dumps(path.as_uri())};\n"
        for i, path in enumerate((FOLDER / f"{name}.mjs", tmp_path / "one.mjs"))
    )
    script += "console.log(JSON.stringify([m0, m1].map(m => Object.keys(m).map(k => [k, String(m[k])]))));"
    [[files, one]] = node(script=script)
    assert files == one
    assert {"DEFAULTS", "STRINGS", "default"} <= {key for key, _ in one}


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({"w": 'import { a } from "./kit.mjs";\n', "kit": ""}, r"w\.mjs:1: an import must read `import \* as NAME"),
        ({"w": '\nimport * as d3 from "https://x.org/d3.mjs";\n'}, r"w\.mjs:2: an import must read"),
        (
            {"w": 'import * as k from "./kit.mjs";\n', "kit": "const a = 1;\nexport { a };\n"},
            r"kit\.mjs: .* not `export { a }",
        ),
        (
            {"w": 'import * as k from "./kit.mjs";\n', "kit": "export default 1;\n"},
            r"kit\.mjs: .* not `export default 1",
        ),
        ({"w": 'import * as k from "./w.mjs";\n'}, r"w\.mjs imports itself"),
    ],
)
def test_an_author_who_breaks_the_rule_is_told(tmp_path: Path, files: dict[str, str], sentence: str) -> None:
    for name, text in files.items():
        (tmp_path / f"{name}.mjs").write_text(text, encoding="utf-8")
    with pytest.raises(widgets.WidgetSourceError, match=sentence):
        widgets.module_source("w", tmp_path)


@needs_node
@pytest.mark.parametrize("name", sorted(CLASSES))
def test_the_class_hands_over_the_traits_that_the_module_reads(name: str) -> None:
    uri = json.dumps((FOLDER / f"{name}.mjs").as_uri())
    [[defaults, strings]] = node(
        script=f"import {{ DEFAULTS, STRINGS }} from {uri}; console.log(JSON.stringify([DEFAULTS, STRINGS]));"
    )
    made = CLASSES[name]()
    assert {trait: getattr(made, trait) for trait in made.values()} == defaults
    assert set(strings) == {"en", "zh"}
    assert list(strings["en"]) == list(strings["zh"])
    for key, english in strings["en"].items():
        assert set(re.findall(r"\{\w+\}", english)) == set(re.findall(r"\{\w+\}", strings["zh"][key])), key
    used = set(re.findall(r'\bsay\("(\w+)"', (FOLDER / f"{name}.mjs").read_text(encoding="utf-8")))
    assert used <= set(strings["en"])


def test_values_are_checked_and_shown() -> None:
    made = widgets.DecisionLine(gate="xor", weights=[2, -1])
    assert repr(made) == "DecisionLine(gate='xor', weights=[2.0, -1.0], bias=-1.0)"
    with pytest.raises(Exception, match="nor"):
        widgets.DecisionLine(gate="nor")
    with pytest.raises(Exception, match="weights"):
        made.weights = [1.0, 2.0, 3.0]
    with pytest.raises(Exception, match="language"):
        made.language = "fr"


def test_without_anywidget_one_sentence_says_what_to_do() -> None:
    code = "import sys; sys.modules['anywidget'] = None; import course.kit.widgets"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.stderr.splitlines()[-1] == (
        "ImportError: The widgets need the package anywidget: run `python3 start.py` once more, or `pip install anywidget`."
    )


# ---- numbers -----------------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def golden(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("golden") / "cases.json"
    path.write_text(json.dumps(cases()), encoding="utf-8")
    return path


def mathematics(name: str) -> tuple[int, int]:
    """From which line to which (not included) a module computes; a module of mathematics does so everywhere."""
    lines = (FOLDER / f"{name}.mjs").read_text(encoding="utf-8").splitlines()
    headings = [i for i, line in enumerate(lines) if line.startswith("// ----")]
    if not headings:
        return 0, len(lines)
    first = next(i for i in headings if lines[i].startswith("// ---- mathematics"))
    return first, next(i for i in headings if i > first)


@needs_node
def test_the_numbers_are_those_of_the_solutions(golden: Path) -> None:
    [answer] = node(HARNESS, golden, FOLDER)
    assert answer["cases"] > 1000
    assert answer["wrong"] == []


def test_two_units_of_the_map_of_gates_remember_what_is_open() -> None:
    """On sentences it has not seen the stored LSTM never expects a full stop too early, and one unit a sign tells what is open."""
    path = FOLDER / "gate_map_model.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    maker = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(maker)
    model, rng = stored_model("gate_map_model"), np.random.default_rng(99)
    assert model["words"] == list(maker.WORDS)
    assert (FOLDER / "gate_map_model.mjs").stat().st_size < 60_000
    assert {sign for words in (maker.sentence(rng) for _ in range(50)) for sign in words if not sign.isalpha()} <= set(
        ".“”()"
    )
    cells, opened = [], []
    for _ in range(100):
        words = maker.sentence(rng)
        rows = np.array([[float(each == word) for each in model["words"]] for word in [".", *words]])
        steps = numbers(lstm_steps(rows, *(np.array(model[name]) for name in "uwb")))[1:]
        signs = maker.open_signs(words)
        for step, sign in zip(steps, signs, strict=True):
            logits = step["h"] @ np.array(model["wOut"]) + np.array(model["bOut"])
            stop = np.exp(logits - logits.max())[0] / np.exp(logits - logits.max()).sum()
            assert stop < 0.05 or not sign.any()
        cells += [step["c"] for step in steps]
        opened += signs.tolist()
    for unit, sign in [(4, 0), (8, 1)]:
        cell, is_open = np.array(cells)[:, unit - 1], np.array(opened)[:, sign] == 1
        right = max(
            max(np.mean((cell > place) == is_open), np.mean((cell < place) == is_open)) for place in np.sort(cell)[::10]
        )
        assert right > 0.92, unit


def test_every_function_of_the_mathematics_has_a_case() -> None:
    called = {(made["module"], made["call"]) for made in cases()}
    for name in MODULES:
        first, last = mathematics(name)
        text = "\n".join((FOLDER / f"{name}.mjs").read_text(encoding="utf-8").splitlines()[first:last])
        for function in re.findall(r"^export function (\w+)", text, re.MULTILINE):
            assert (name, function) in called, f"{name}.{function}"


@needs_node
@pytest.mark.parametrize("name", MODULES)
def test_a_sign_turned_round_is_noticed(name: str, tmp_path: Path) -> None:
    """Every + and −, every comparison in the mathematics, one at a time: some case must come out wrong, or never end."""
    turned = {" + ": " - ", " - ": " + ", " > ": " < ", " < ": " > ", " >= ": " < ", " === ": " !== "}
    lines = (FOLDER / f"{name}.mjs").read_text(encoding="utf-8").splitlines()
    first, last = mathematics(name)
    changes = [
        (i, found.start(), found[0])
        for i in range(first, last)
        if not lines[i].lstrip().startswith(("//", "*", "/*"))
        for found in re.finditer("|".join(map(re.escape, turned)), lines[i].split(" // ")[0])
    ]
    folders = {}
    for i, start, sign in changes:
        folder = tmp_path / f"{i}-{start}"
        shutil.copytree(FOLDER, folder)
        line = lines[i][:start] + turned[sign] + lines[i][start + len(sign) :]
        (folder / f"{name}.mjs").write_text("\n".join([*lines[:i], line, *lines[i + 1 :]]), encoding="utf-8")
        folders[str(folder)] = f"{name}.mjs:{i + 1}: {line.strip()}"
    users = {path.stem for path in FOLDER.glob("*.mjs") if f'"./{name}.mjs"' in path.read_text(encoding="utf-8")}
    concerned = tmp_path / "cases.json"
    concerned.write_text(json.dumps([made for made in cases() if made["module"] in {name, *users}]), encoding="utf-8")
    answers = []
    try:
        answers = node(HARNESS, concerned, *folders, seconds=60)
    except subprocess.TimeoutExpired:  # one of them never ends: one by one
        for folder in folders:
            with contextlib.suppress(subprocess.TimeoutExpired):
                answers += node(HARNESS, concerned, folder, seconds=10)
    assert folders
    assert [folders[answer["folder"]] for answer in answers if not answer["wrong"]] == []


# ---- in a browser, without a kernel ------------------------------------------------------------------------------------
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,"><title>A widget</title>
<style>body { margin: 8px; } @media (prefers-color-scheme: dark) { body { background: #16181c; color: #e8e8e8; } }</style>
</head><body><main><h1>A widget</h1><div id="here"></div></main>
<script type="application/json" id="source">SOURCE</script>
<script type="module">
  const values = {}, heard = {};
  window.model = {
    saved: 0,
    get: name => values[name],
    set: (name, value) => { values[name] = value; for (const callback of heard[`change:${name}`] ?? []) callback(); },
    save_changes: () => { window.model.saved += 1; },
    on: (event, callback) => { (heard[event] ??= []).push(callback); },
    off: (event, callback) => { heard[event] = (heard[event] ?? []).filter(one => one !== callback); },
  };
  const text = JSON.parse(document.getElementById("source").textContent);
  const address = text === null ? "./NAME.mjs" : URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
  const { default: widget } = await import(address);
  window.end = widget.render({ model: window.model, el: document.getElementById("here") });
  window.ready = true;
</script></body></html>
"""


class Driven:
    """One widget on a page: what a person does with it."""

    def __init__(self, page: Any, root: Any = None) -> None:
        """The page's only widget, or the one whose root element is handed over."""
        self.page = page
        self.root = page.locator(".nnlm-widget") if root is None else root

    def says(self, text: str) -> None:
        """The live sentence holds a text, at once or after the next frame."""
        self.page.wait_for_function(
            "([root, text]) => root.querySelector('[role=status]')?.textContent.includes(text)",
            arg=[self.root.element_handle(), text],
            timeout=3000,
        )

    def text(self) -> str:
        return self.root.locator("[role=status]").inner_text()

    def trait(self, name: str) -> Any:
        return self.root.evaluate("(root, name) => root.model.get(name)", name)

    def press(self, role: str, name: str, *keys: str) -> None:
        """Put the focus on a control, by its accessible name, and press keys."""
        control = self.root.get_by_role(role, name=name, exact=True)
        control.focus()
        for key in keys:
            self.page.keyboard.press(key)
        assert control.evaluate("element => element === document.activeElement"), "the focus was lost"

    def choose(self, name: str, value: str) -> None:
        self.root.get_by_role("combobox", name=name, exact=True).select_option(value)

    def drag(self, name: str, across: float, up: float, span: tuple[float, float]) -> None:
        """Take a handle with the mouse and move it, in the units of its plot's axes, which are `span` long."""
        handle = self.root.get_by_role("slider", name=name, exact=True)
        # Into the middle: at the edge a bar of the page could lie above it.
        handle.evaluate("element => element.scrollIntoView({block: 'center', behavior: 'instant'})")
        knob = handle.locator(".knob").bounding_box()
        frame = handle.locator("xpath=ancestor::*[contains(@class, 'plot')]").locator(".frame").bounding_box()
        x, y = knob["x"] + knob["width"] / 2, knob["y"] + knob["height"] / 2
        self.page.mouse.move(x, y)
        self.page.mouse.down()
        self.page.mouse.move(x + across * frame["width"] / span[0], y - up * frame["height"] / span[1], steps=4)
        self.page.mouse.up()
        self.page.mouse.move(x - 100, y)  # let go: this moves nothing any more


def drive_decision_line(on: Driven) -> None:
    on.says("4 of 4 corners right for AND with w = (1, 1), b = −1. (0, 1), (1, 0) on the line")  # deck D's AND
    on.press("slider", "b", "ArrowLeft", "ArrowLeft")
    on.says("b = −1.5. The nearest corner is 0.354 away")  # the chapter's 0.5/√2
    on.drag("Line: move it", 0.75, 0.75, span=(3, 3))
    assert on.trait("bias") == pytest.approx(-3, abs=0.03)
    on.says("3 of 4 corners right for AND")
    on.says("Most so far: 4 of 4")
    on.press("button", "Start again", "Enter")
    on.says("w = (1, 1), b = −1.")
    on.press("slider", "Weights: turn the line", "ArrowRight", "Shift+ArrowUp")
    assert on.trait("weights") == [1.25, 2.25]
    assert on.trait("bias") == pytest.approx(-1.75, abs=0.03)  # the line still passes through its handle at (½, ½)
    on.drag("Weights: turn the line", -0.7875, -0.7875, span=(3, 3))
    assert on.trait("weights") == pytest.approx([-1, 0], abs=0.051)
    on.choose("Task", "xor")
    on.press("slider", "w₁", "Home", *["ArrowRight"] * 20)
    on.press("slider", "w₂", "Home", *["ArrowRight"] * 20)
    on.says("All weights are 0: there is no line")
    assert on.trait("weights") == [0, 0]


def drive_perceptron_rule(on: Driven) -> None:
    on.says("Nothing shown yet: w = (0, 0), b = 0. What will the unit say to (0, 0)?")
    on.press("button", "Next sample", "Enter", "Space")
    on.says("Epoch 1, row (0, 1): z = 0, ŷ = 0, y = 1: mistake 1. w becomes (0, 1), b becomes 1.")
    on.press("button", "Next mistake", "Enter", "Enter", "Enter")
    on.says("Epoch 3, row (0, 0): z = 1, ŷ = 1, y = 0: mistake 4. w becomes (1, 1), b becomes 0.")
    rows = on.root.locator("tbody tr").all_inner_texts()
    assert [row.split("\t") for row in rows] == [  # the table of the chapter's worked example
        ["1", "(0, 1)", "0", "0", "1", "(0, 1)", "1"],
        ["2", "(0, 0)", "1", "1", "0", "(0, 1)", "0"],
        ["2", "(1, 0)", "0", "0", "1", "(1, 1)", "1"],
        ["3", "(0, 0)", "1", "1", "0", "(1, 1)", "0"],
    ]
    on.root.get_by_role("button", name="Next mistake").click()
    on.says("The whole epoch was right: training ends after 4 mistakes.")
    assert (on.trait("weights"), on.trait("bias")) == ([1, 1], 0)
    step = on.trait("step")
    on.press("button", "Next mistake", "Enter")
    assert on.trait("step") == step
    on.press("button", "Back", "Enter")
    assert on.trait("step") == step - 1
    on.choose("Task", "and")
    on.press("button", "Next mistake", *["Enter"] * 11)
    on.says("training ends after 10 mistakes")
    on.choose("Task", "xor")
    on.press("button", "Next sample", *["Enter"] * 12)
    on.says("were there before, at the end of epoch 2: it will go round for ever")


def drive_xor_folding(on: Driven) -> None:
    on.says("4 of 4 corners right. 3 different places in the hidden plane.")
    cells = [row.split("\t") for row in on.root.locator("tbody tr").all_inner_texts()]
    assert [row[:3] for row in cells] == [
        ["(0, 0)", "0", "0"],
        ["(0, 1)", "1", "0"],
        ["(1, 0)", "1", "0"],
        ["(1, 1)", "2", "1"],
    ]
    on.choose("Bend", "identity")
    on.says(
        "3 of 4 corners right. 3 different places in the hidden plane. Without a bend the two layers are one: W′ = (−1, −1)"
    )
    on.press("button", "The chapter's weights", "Enter")
    on.press("slider", "Unit 2: turn its line", "ArrowRight")
    assert on.trait("w1") == [[1, 1.25], [1, 1]]
    on.says("4 of 4 corners right. 4 different places")  # the chapter says: the lines need not be parallel
    on.press("button", "The chapter's weights", "Enter")
    on.press("slider", "Unit 2: move its line", *["ArrowRight"] * 10)
    assert on.trait("b1") == [0, -2]
    on.says("3 of 4 corners right")
    on.drag("Unit 2: move its line", -0.5, -0.5, span=(2.5, 2.5))
    assert on.trait("b1") == pytest.approx([0, -1], abs=0.05)
    on.press("slider", "Output: turn its line", "ArrowDown")
    assert on.trait("w2") == [1, -2.25]
    on.root.get_by_text("All nine numbers").click()
    on.press("slider", "W₁[1,2]", "ArrowRight")
    assert on.trait("w1") == [[1, 1.25], [1, 1]]
    on.says("4 different places")


def drive_activation_zoo(on: Driven) -> None:
    on.says("sigmoid at z = 2: f = 0.8808, slope f′ = 0.105.")
    on.press("slider", "z", "End")
    on.says("sigmoid at z = 6: f = 0.9975, slope f′ = 0.0025.")  # as the chapter says
    on.press("slider", "z: move along the curve", "Shift+ArrowLeft", "ArrowLeft")
    assert on.trait("z") == 5.4
    on.drag("z: move along the curve", -5.4, 0, span=(12, 5))
    assert on.trait("z") == pytest.approx(0, abs=0.051)
    on.press("slider", "z", "Home", *["ArrowRight"] * 120)
    on.says("slope f′ = 0.25. K = 5 such slopes in a row multiply a signal by 0.000977.")
    on.choose("Activation", "relu")
    on.says("ReLU at z = 0: f = 0, slope f′ = 0. Here it is flat")
    on.choose("Beside it", "gelu")
    assert on.root.locator("p.live").nth(1).inner_text().startswith("GELU at z = 0: f = 0, slope f′ = 0.5.")
    on.press("slider", "K", "Home")
    assert on.trait("units") == 1


def drive_step_approximator(on: Driven) -> None:
    on.says("8 hidden units: largest error 0.2566, at t = 0.453. 16 units: 0.1285.")  # half: as the chapter says
    on.says("Unit 3: σ(191.8·t − 59.9) steps at t = 0.3125, output weight −0.2929.")
    on.press("slider", "Unit: go to another one", "ArrowRight", "ArrowRight")
    assert on.trait("unit") == 5
    on.drag("Unit: go to another one", -0.25, 0, span=(1, 2.8))
    on.says("Unit 3: ")
    on.press("slider", "Hidden units", *["ArrowRight"] * 8)
    on.says("16 hidden units: largest error 0.1285")
    on.press("slider", "Hidden units", "Home")
    on.says("1 hidden units: largest error 1, ")
    assert (on.trait("units"), on.trait("unit")) == (1, 1)
    on.press("slider", "Hidden units", "End")
    on.choose("Curve", "jump")
    on.says("64 hidden units: largest error 0.9997, at t = 0.501.")
    on.press("slider", "Hidden units", "ArrowLeft")
    on.says("63 hidden units: largest error 0.5, at t = 0.5.")  # the chapter's errata: at a jump of 1 it stays ½
    on.choose("Curve", "hill")
    on.press("slider", "Tolerance", "End")
    assert on.trait("tolerance") == 1


def drive_step_size(on: Driven) -> None:
    on.says("central, h = 0.01: mean error 4.7·10⁻⁵. Truncation 4.7·10⁻⁵, round-off up to 3.1·10⁻¹⁴.")
    on.says(
        "Truncation is the larger: a smaller h helps. h* = 6.9·10⁻⁶; lowest point of the curve: "
    )  # the chapter's h*
    assert re.search(r"curve: \d\.\d·10⁻¹[⁰¹] at h = \d(\.\d)?·10⁻[⁵⁶]", on.text())
    on.press("button", "Go to h*", "Enter")
    assert on.trait("log10_h") == -5.25
    on.press("slider", "log₁₀ h", "ArrowLeft")
    on.says("Round-off is the larger: a smaller h only adds noise.")
    on.press("slider", "h: move the step", "Shift+ArrowRight")
    assert on.trait("log10_h") == -4.25
    on.drag("h: move the step", -4, 0, span=(15, 21))
    assert on.trait("log10_h") == -8.25
    on.choose("Difference", "forward")
    on.says("h* = 2.1·10⁻⁸; lowest point")  # as in the chapter
    on.choose("Function", "shifted")
    on.says("h* = 4·10⁻⁷")  # |f| is 360 times as large, and so is the round-off
    on.choose("Difference", "central")
    on.says("h* = 4.9·10⁻⁵")
    on.choose("Function", "wave")
    on.says("h* = 7·10⁻⁷")
    on.choose("Difference", "complex")
    on.press("slider", "log₁₀ h", "Home")
    on.says("Nothing is subtracted, so no step is too small.")


def weights_shown(on: Driven) -> list[list[str]]:
    return [row.split("\t") for row in on.root.locator("tbody tr").all_inner_texts()]


def drive_graph_stepper(on: Driven) -> None:
    on.says("Nothing is known yet but x = (1, 0), the target 1 and the weights.")
    on.press("button", "Next node", "Enter")
    on.says("Forward 1 of 7: net₃ = w₀₃ + w₁₃·x₁ + w₂₃·x₂ = 1 + 3·1 + 4·0 = 4.")
    on.press("button", "Next node", *["Enter"] * 5, "Space")
    on.says("Forward 7 of 7: L = ½(t − u₅)² = ½(1 − 4)² = 4.5.")
    on.press("button", "Next node", *["Enter"] * 6)
    on.says("Backward 6 of 6: δ₄ = ∂L/∂u₄·g′(net₄) = 12·0 = 0. The gradient stops at unit 4")
    on.press("button", "To the end", "Enter")
    on.says("All nine change at once; the loss goes from 4.5 to 0.5.")  # as the chapter prints
    assert weights_shown(on) == [  # the numbers of deck E, put right
        ["w₀₃", "1", "1", "6", "−6"],
        ["w₀₄", "−6", "1", "0", "0"],
        ["w₀₅", "−4", "1", "3", "−3"],
        ["w₁₃", "3", "1", "6", "−6"],
        ["w₁₄", "6", "1", "0", "0"],
        ["w₂₃", "4", "0", "6", "0"],
        ["w₂₄", "5", "0", "0", "0"],
        ["w₃₅", "2", "4", "3", "−12"],
        ["w₄₅", "4", "0", "3", "0"],
    ]
    on.choose("All units", "sigmoid")
    on.says("All nine change at once; the loss goes from 0.129536 to 0.070992.")
    assert [row[3:] for row in weights_shown(on)] == [
        ["−0.004494", "0.004494"],
        ["−0.127207", "0.127207"],
        ["−0.127207", "0.127207"],
        ["−0.004494", "0.004494"],
        ["−0.127207", "0.127207"],
        ["−0.004494", "0"],
        ["−0.127207", "0"],
        ["−0.127207", "0.124919"],
        ["−0.127207", "0.063603"],
    ]
    picture = on.root.get_by_role("img").get_attribute("aria-label")
    assert "net₅ = −0.035972; u₅ = 0.491008; L = 0.129536" in picture
    on.press("button", "Back", "Enter")
    assert on.trait("step") == 15
    on.root.locator("svg.plot g g").filter(has_text="loss").click()  # a node
    on.says("Forward 7 of 7: L = ½(t − u₅)² = ½(1 − 0.491008)² = 0.129536.")
    on.choose("All units", "relu")
    on.press("button", "To the end", "Enter")
    on.press("button", "Change the weights", "Enter")
    assert on.trait("weights") == [-5, -6, -7, -3, 6, 4, 5, -10, 4]
    on.press("button", "To the loss", "Enter")
    on.says("= 0.5.")
    on.press("button", "Next node", "Enter", "Enter")
    on.says("The gradient stops at unit 5: its slope is 0.")
    on.press("button", "Start again", "Enter")
    on.press("slider", "η", "Home")
    on.press("button", "To the end", "Enter")
    on.press("slider", "η", *["ArrowRight"] * 3)
    on.says("the loss goes from 4.5 to 0.026542.")  # as the chapter says of η = 0.04
    on.press("slider", "η", "ArrowRight", "ArrowRight")
    on.says("the loss goes from 4.5 to 0.481769.")  # with 0.06 unit 5 is still awake, with 0.07 it is not
    on.press("slider", "η", "ArrowRight")
    on.says("the loss goes from 4.5 to 0.5.")
    on.choose("Input", "1,1")
    assert (on.trait("x"), on.trait("target"), on.trait("rate")) == ([1, 1], 0, 0.07)


def drive_error_flow(on: Driven) -> None:
    on.says(
        "8 layers, sigmoid, weights ±1/√20: mean |grad_z| is 0.18 at layer 8 and 6.2·10⁻⁶ at layer 1, 3.5·10⁻⁵ times"
    )
    on.says("It vanishes: ×0.23 a layer. Layer 1: mean |grad_z| 6.2·10⁻⁶, mean slope f′(z) 0.214")
    on.press("slider", "Layer: read another one", "Shift+ArrowRight", "ArrowLeft")
    on.says("Layer 5: ")
    on.drag("Layer: read another one", 3, 0, span=(21, 24))
    on.says("Layer 8: mean |grad_z| 0.18")
    on.choose("Activation", "relu")
    on.press("slider", "Weights", *["ArrowRight"] * 8)
    on.says("8 layers, ReLU, weights ±1.4/√20")
    on.says("It roughly keeps its size")
    on.press("slider", "Weights", "End")
    on.says("It explodes: ×2.035 a layer.")  # as the chapter says
    on.press("slider", "Layers", "End")
    on.says("20 layers, ReLU, weights ±3/√20")
    on.says("It explodes: ×")
    on.choose("Activation", "sigmoid")
    on.press("slider", "Layers", *["ArrowLeft"] * 12)
    on.says("It vanishes: ×0.506 a layer.")
    on.press("slider", "Weights", "Home")
    on.says("It vanishes")
    on.press("slider", "Layers", "Home")
    assert (on.trait("depth"), on.trait("scale")) == (2, 0.25)


def drive_tensor_explorer(on: Driven) -> None:
    on.says(
        "Shape (2, 2, 3), strides (6, 3, 1). Element [1, 0, 2]: 1·6 + 0·3 + 2·1 = place 8, number 9. Flattened it is a view"
    )
    on.press("slider", "Index 1", "ArrowRight")  # the chapter's worked example, and one row further
    on.says("Element [1, 1, 2]: 1·6 + 1·3 + 2·1 = place 11, number 12.")
    on.choose("Axes of the view", "210")
    on.says(
        "Shape (3, 2, 2), strides (1, 3, 6). Element [1, 1, 1]: 1·1 + 1·3 + 1·6 = place 10, number 11. Flattened it must"
    )
    on.choose("Order of storage", "F")
    on.says(
        "Shape (3, 2, 2), strides (4, 2, 1). Element [1, 1, 1]: 1·4 + 1·2 + 1·1 = place 7, number 8. Flattened it is a view"
    )
    on.press("slider", "Element: move to another one", "ArrowUp", "ArrowLeft")
    assert on.trait("index") == [1, 0, 0]
    on.drag("Element: move to another one", 3.8, -1, span=(20, 10))
    assert on.trait("index") == [2, 1, 1]
    on.press("slider", "Axis 2: size", "End")
    on.says("Shape (4, 2, 2)")
    on.choose("Show", "broadcast")
    on.says("(3, 1) + (3,) → (3, 3). Entry [1, 2] = 20 + 3 = 23. Strides: left (1, 0), right (0, 1).")
    on.press("slider", "Sum: move to another one", "ArrowDown", "ArrowLeft")
    on.says("Entry [2, 1] = 30 + 2 = 32.")
    on.drag("Sum: move to another one", -1, 2, span=(16, 5.2))
    on.says("Entry [0, 0] = 10 + 1 = 11.")
    on.press("slider", "Left: columns", "ArrowRight")
    on.says("(3, 2) + (3,) does not fit: axis 1 from the right has 2 and 3, and neither is 1.")
    on.press("slider", "Sum: move to another one", "ArrowDown")  # there is none
    on.press("slider", "Left: columns", "ArrowRight")
    on.says("(3, 3) + (3,) → (3, 3).")
    on.press("checkbox", "Right is a vector: one axis only", "Space")
    on.press("slider", "Right: rows", "ArrowRight")
    on.says("(3, 3) + (2, 3) does not fit: axis 2 from the right has 3 and 2")
    on.press("slider", "Right: columns", "Home")
    on.press("slider", "Right: rows", "Home")
    on.press("slider", "Left: rows", "Home")
    on.says("(1, 3) + (1, 1) → (1, 3). Entry [0, 0] = 10 + 1 = 11. Strides: left (0, 1), right (0, 0).")


def drive_linear_map_explorer(on: Driven) -> None:
    on.says("W = (1, 0), (0, 1), b = (0, 0). det W = 1: nothing changes. f(u+v) − f(u) − f(v) = (0, 0): linear.")
    on.press("button", "Deck A's “rotation”", "Enter")
    on.says("det W = −1: a mirror. f(u+v) − f(u) − f(v) = (0, 0): linear.")  # as the chapter says
    on.press("button", "Turn by 30°", "Enter")
    on.says("det W = 1: a turn by 30°.")
    on.press("button", "Shift", "Enter")
    on.says("b = (0.5, 0). det W = 1: nothing changes. f(u+v) − f(u) − f(v) = (−0.5, 0): not linear")
    on.press("button", "Projection", "Enter")
    on.says("det W = 0: a projection: the plane becomes a line.")
    on.press("slider", "(1, 0): move where it goes", "Shift+ArrowLeft", *["ArrowLeft"] * 5)
    assert on.trait("e1") == [0, 0]
    on.says("everything becomes one point")
    on.drag("(0, 1): move where it goes", -0.5, 0.5, span=(4, 4))
    assert on.trait("e2") == pytest.approx([-0.5, 0.5], abs=0.03)
    on.press("button", "Nothing", "Enter")
    on.press("slider", "Origin: move where it goes", "ArrowUp", "ArrowRight")
    assert on.trait("shift") == [0.1, 0.1]
    on.press("slider", "W[0,0]", *["ArrowRight"] * 10)
    on.press("slider", "b[1]", "ArrowLeft")
    on.says("W = (1.5, 0), (0, 1), b = (0.1, 0.05). det W = 1.5: the F is stretched or sheared.")
    cells = [row.split("\t") for row in on.root.locator("tbody tr").all_inner_texts()]
    assert cells == [["x", "1.5", "0", "0"], ["y", "0", "1", "0"], ["1", "0.1", "0.05", "1"]]


def drive_loss_shapes(on: Driven) -> None:
    on.says("logistic at m = −1: loss 1.3133, slope −0.7311. A step against the slope makes the margin larger.")
    assert "hinge at m = −1: loss 2, slope −1." in on.root.inner_text()
    on.press("slider", "m", "Home", *["ArrowRight"] * 40)
    on.says("logistic at m = −1: loss 1.3133")
    on.choose("Loss", "squared")
    on.press("slider", "m: move along the loss", *["Shift+ArrowRight"] * 7)
    on.says("squared at m = 2.5: loss 2.25, slope 3. A step against the slope makes the margin smaller")
    on.choose("Beside it", "none")
    on.choose("Loss", "zero_one")
    on.says("0-1 at m = 2.5: loss 0, slope 0. A gradient step changes nothing here.")
    on.choose("Loss", "hinge")
    on.drag("m: move along the loss", -2, 0, span=(6, 10))
    on.says("hinge at m = 0.5: loss 0.5, slope −1.")


def drive_softmax_temperature(on: Driven) -> None:
    on.says("T = 1: probabilities 0.6439, 0.2369, 0.0871, 0.0321. As uncertain as 2.58 equally probable classes.")
    on.press("slider", "T", "Home")
    on.says("T = 0.1: probabilities 1, 4.5e−5, 2.1e−9, 9.4e−14. As uncertain as 1 equally probable classes.")
    on.press("slider", "T", "End")
    on.says("T = 10: probabilities 0.2887, 0.2612, 0.2363, 0.2138.")
    before = on.text()
    on.press("button", "Add 1 to all scores", "Enter")
    assert on.trait("logits") == [3, 2, 1, 0]
    assert on.text() == before  # a constant changes nothing
    on.press("slider", "z4", *["ArrowRight"] * 12)
    assert on.trait("logits") == [3, 2, 1, 3]
    on.press("slider", "T: move along the curve", "ArrowLeft", "Shift+ArrowLeft")
    assert on.trait("temperature") == 9.4
    on.drag("T: move along the curve", -0.9731, 0, span=(2, 3))
    assert on.trait("temperature") == pytest.approx(1, abs=0.051)  # the axis is logarithmic: 9.4 is 10 to 0.9731
    on.press("slider", "T: move along the curve", *["Shift+ArrowLeft"] * 3)
    on.says("T = 0.1: probabilities 0.5, 2.3e−5, 1.0e−9, 0.5. As uncertain as 2 equally probable classes.")


def drive_filter_viewer(on: Driven) -> None:
    on.says("Window 1 of 5, “this is”: answer −2, after ReLU 0. Max pooling keeps 1.5, from “not great”.")
    on.press("slider", "Window", "ArrowRight", "ArrowRight")
    on.says("Window 3 of 5, “not great”: answer 1.5, after ReLU 1.5.")
    on.press("slider", "Window: move it", "ArrowRight")
    on.says("Window 4 of 5, “great at”: answer −2")
    on.drag("Window: move it", -2, 0, span=(5.2, 5.2))
    on.says("Window 2 of 5")
    on.choose("Text", "apart")
    on.says("No window fires: max pooling keeps 0. Mean of all words: praise 0.38, negation 0.25.")
    on.choose("Text", "turned")
    on.says("praise 0.38, negation 0.25.")
    on.choose("Filter", "bad")
    on.choose("Text", "blamed")
    on.says("Max pooling keeps 1, from “a bad”.")


def drive_optimiser_race(on: Driven) -> None:
    on.says("momentum, η = 0.01, 40 steps: loss ")
    on.says("SGD, η = 0.01, 40 steps: loss ")
    on.press("button", "From the start", "Enter")
    on.says("momentum, η = 0.01, 0 steps: loss 72.02 at (1.2, 0.2).")
    on.press("button", "Ten steps more", "Enter", "Space")
    assert on.trait("steps") == 20
    on.press("slider", "Start: move it", "ArrowLeft", "ArrowUp")
    assert on.trait("start") == pytest.approx([1.1, 0.3])
    on.drag("Start: move it", -0.1, 0.7, span=(4, 4))
    assert on.trait("start") == pytest.approx([1, 1], abs=0.051)
    on.choose("Optimiser", "adagrad")
    assert on.trait("log10_rate") == pytest.approx(-0.3)
    on.press("slider", "Steps", "End")
    on.choose("Landscape", "turned")
    rows = {row.split("\t")[0]: row.split("\t")[1:] for row in on.root.locator("tbody tr").all_inner_texts()}
    assert len(rows) == 11
    assert rows["SGD"][0] == "0.01"
    on.choose("Beside it", "adadelta")
    on.says("Adadelta, η = 1, 300 steps")
    on.press("slider", "log₁₀ η", "ArrowRight")
    assert on.trait("log10_rate") == pytest.approx(-0.2)
    on.choose("Optimiser", "sgd")
    on.press("slider", "log₁₀ η", *["ArrowRight"] * 5)
    on.press("slider", "Start: move it", "ArrowRight")
    on.says("SGD, η = 0.032, 300 steps: loss ")
    assert re.search(r"SGD, η = 0\.032, 300 steps: loss \d(\.\d)?·10[¹²]\S\S at", on.text())  # above 2/100 it explodes


def drive_initialisation_depth(on: Driven) -> None:
    on.says("Glorot under tanh, 10 layers: h goes from ")
    on.says("Layer 10: h has size ")
    on.press("slider", "Layer: read another one", "Shift+ArrowLeft", "ArrowRight")
    on.says("Layer 6: ")
    on.drag("Layer: read another one", -3, 0, span=(21, 54))
    assert on.trait("layer") == 3
    on.choose("First weights", "uniform")
    on.says("uniform ±0.01 under tanh, 10 layers")
    on.says("100 % of it is 0 or nearly")
    on.choose("First weights", "he")
    on.choose("Activation", "relu")
    on.press("slider", "Layers", "End")
    on.press("slider", "Layer k", "End")
    on.says("He under ReLU, 20 layers")
    on.says("Layer 20: ")
    on.press("slider", "Layers", "Home")
    assert on.trait("depth") == 2
    on.says("Layer 2: ")


def drive_dropout_viewer(on: Driven) -> None:
    on.says("inverted, training, p = 0.5: ")
    on.says("the others say 2.")
    before = on.text()
    on.press("button", "Draw anew", "Enter")
    assert on.trait("draw") == 2
    on.page.wait_for_function(
        "([root, before]) => root.querySelector('[role=status]').textContent !== before",
        arg=[on.root.element_handle(), before],
    )
    on.choose("Time", "test")
    on.says("inverted, test, p = 0.5: 0 of 120 are silent, the others say 1. The next sum is 10 on average")
    on.choose("Kind", "standard")
    on.says("standard, test, p = 0.5: 0 of 120 are silent, the others say 0.5. The next sum is 5 on average")
    on.press("slider", "p", "End")
    on.says("p = 0.9: 0 of 120 are silent, the others say 0.1. The next sum is 1 on average; without dropout it is 10.")
    on.press("slider", "p", "Home")
    on.choose("Time", "train")
    on.says("standard, training, p = 0: 0 of 120 are silent, the others say 1. The next sum is 10 on average")


def drive_perplexity_branching(on: Driven) -> None:
    on.says("P = 0.00463, perplexity 3.834: as uncertain as a die of 3.834 sides at each word; 1.939 bits a word.")
    on.says("The plain mean of the choices is 4.5.")
    on.press("slider", "1/p of word 4", "End")
    assert on.trait("choices") == [2, 9, 4, 64]
    on.says("perplexity 8.239")
    on.says("The plain mean of the choices is 19.75.")
    for k in (1, 2, 3, 4):
        on.press("slider", f"1/p of word {k}", "Home", "ArrowRight")
    on.says("P = 0.0625, perplexity 2: as uncertain as a die of 2 sides at each word; 1 bits a word.")


def drive_next_word(on: Driven) -> None:
    on.says("feed-forward network after “god made the”: ")
    on.says("120 of 120 words can be drawn.")
    on.press("slider", "top-k", "Home", "ArrowRight", "ArrowRight")
    on.says("3 of 120 words can be drawn.")
    on.press("slider", "nucleus p", "Home")
    on.says("1 of 120 words can be drawn.")
    on.press("slider", "top-k", "End")
    on.press("slider", "nucleus p", "End")
    on.choose("Model (solid)", "bigram")
    on.says("bigram, counted after “the”: ")
    on.press("button", "Draw a word", "Enter", "Space")
    assert len(on.trait("text")) == 6
    on.press("button", "Take one back", "Enter")
    assert len(on.trait("text")) == 5
    on.press("button", "From the start", "Enter")
    assert on.trait("text") == []
    on.choose("Model (solid)", "trigram")
    on.choose("Add a word", "1")
    on.choose("Add a word", "2")
    on.choose("Add a word", "3")
    on.says("trigram, counted never saw “the and”: it says nothing.")
    on.choose("Model (solid)", "kneser_ney")
    on.says("Kneser–Ney 3 after “the and”: ")
    on.press("slider", "T", "Home")
    on.choose("Beside it (dotted)", "bigram")
    assert on.trait("temperature") == 0.1


def drive_unrolled_network(on: Driven) -> None:
    on.says("Nothing is computed yet")
    on.press("button", "Next number", "Enter", "Space")
    on.says("h₁ = tanh z₁ = 0.4621. Forwards.")  # the chapter's paper example
    on.press("button", "All", "Enter")
    on.says("grad_h₀ = grad_z₁ · w = −0.266. Backwards through time. All 15 numbers are known.")
    rows = {row.split("\t")[0]: row.split("\t")[2] for row in on.root.locator("tbody tr").all_inner_texts()}
    assert (rows["grad_u"], rows["grad_w"], rows["grad_b"]) == ("0.2357", "0.0519", "0.0514")
    on.press("button", "One back", "Enter", "Enter")
    on.says("grad_w = grad_z₂ · h₁ + grad_z₁ · h₀ = 0.0519. Sums over both steps.")
    on.press("slider", "w", "Home")
    assert on.trait("w") == -3
    on.press("button", "Start again", "Enter")
    assert on.trait("step") == 0


def drive_gradient_through_time(on: Driven) -> None:
    on.says("ρ = 1, words of size 0.5: lag 0 has 1, lag 40 has ")
    on.says("It vanishes")
    on.press("slider", "Words", "Home")
    on.says("It roughly lasts: × ")
    on.press("slider", "Radius ρ", *["ArrowRight"] * 4)
    on.says("It explodes: × 1.1")
    on.press("slider", "Lag: read another one", "Shift+ArrowRight", "ArrowLeft")
    on.says("Lag 14: ")
    on.drag("Lag: read another one", 16, 0, span=(100, 30))
    assert on.trait("lag") == pytest.approx(30, abs=1)
    on.choose("Clip to", "on")
    on.press("slider", "Limit", "ArrowRight")
    on.says("Clipped to 1.5: lag ")
    on.press("slider", "Length", "Home")
    on.says("lag 5 has ")
    on.press("slider", "Lag", "Home")
    on.says("lag 0 has 1.")


def drive_word_sampler(on: Driven) -> None:
    on.says("T = 1, top-k 8, top-p 1: 8 of 8 words stay: said 0.36, of 0.24")
    on.press("slider", "top-k", *["ArrowLeft"] * 5)
    on.says("3 of 8 words stay: said 0.5, of 0.333, went 0.167.")
    before = on.text()
    on.press("button", "Draw anew", "Enter")
    on.page.wait_for_function(
        "([root, b]) => root.querySelector('[role=status]').textContent !== b", arg=[on.root.element_handle(), before]
    )
    on.press("button", "As the model says", "Enter")
    on.press("slider", "top-p", *["ArrowLeft"] * 8)
    on.says("top-p 0.6: 2 of 8 words stay: said 0.6, of 0.4.")
    on.press("button", "Greedy", "Enter")
    on.says("1 of 8 words stay: said 1. Ten draws: said said said said said said said said said said.")
    on.press("slider", "T", "End")
    on.says("T = 3, ")
    temperature = on.root.get_by_role("slider", name="T", exact=True)
    temperature.click(position={"x": 2, "y": temperature.bounding_box()["height"] / 2})
    assert on.trait("temperature") < 0.3


def drive_gate_map(on: Driven) -> None:
    on.says(
        "Word 12 “bird”, unit 4: input 0, forget 1, output 0.95, candidate −0.97; cell −0.4, state −0.36. A quotation is open."
    )
    on.press("slider", "Word", *["ArrowRight"] * 9)
    on.says("Word 21 “king”, unit 4: ")
    on.says("Expected next: ” ")
    on.press("slider", "Word and unit: move", "ArrowRight", "ArrowDown")
    on.says("Word 22 “””, unit 5: ")
    on.says("Nothing is open. Expected next: ")
    on.drag("Word and unit: move", -18, 2, span=(25, 9))
    assert (on.trait("word"), on.trait("unit")) == (4, 3)
    on.choose("Sentence", "inside")
    on.choose("Shown above", "forget")
    on.press("slider", "Unit", "End")
    on.press("slider", "Word and unit: move", "Shift+ArrowRight", "Shift+ArrowRight", "ArrowRight")
    on.says("Word 15 “bird”, unit 8: ")
    on.says("A quotation and a bracket are open. Expected next: ) ")
    on.press("slider", "Word", "Home")
    on.says("Word 1 “the”")
    assert (on.trait("sentence"), on.trait("gate")) == ("inside", "forget")


def drive_memory_gradient(on: Driven) -> None:
    on.says(
        "Forget bias 1: gates near 0.73. ρ = 1. Lag 20: LSTM 0.025, forget gates alone 1.8·10⁻³, tanh network 1.6·10⁻³."
    )
    on.says("The LSTM’s gradient is 16.3 times as large.")
    on.press("slider", "Forget bias", "Home")
    on.says("The tanh network’s gradient is ")
    on.press("slider", "Forget bias", *["ArrowRight"] * 14)
    on.says("Forget bias 5: gates near 0.99. ρ = 1. Lag 20: LSTM 0.98")
    on.press("slider", "Radius ρ", "Home")
    on.says("ρ = 0.5.")
    on.press("slider", "Lag: read another one", "Shift+ArrowRight", "ArrowLeft")
    on.says("Lag 24: ")
    on.drag("Lag: read another one", 16, 0, span=(100, 24))
    assert on.trait("lag") == pytest.approx(40, abs=1)
    on.press("slider", "Length", "Home")
    on.says("Lag 5: ")
    on.press("slider", "Lag k", "Home")
    on.says("Lag 0: LSTM 1, forget gates alone 1, tanh network 1.")


def drive_attention_explorer(on: Driven) -> None:
    on.says("“it” looks most at “dog”: 0.65; entropy 1.86 of at most 3.32 bits.")
    on.says("“it” on “dog”: q·k = 6.96, score 3.48, weight 0.65. Output: living 0.65, ")
    weights = on.trait("weights")
    assert [sum(row) for row in weights] == pytest.approx([1] * 10)
    on.press("slider", "Width d", "ArrowRight", "ArrowRight", "ArrowRight")
    on.says("“it” on “dog”: q·k = 55.68, score 3.48, weight 0.65.")  # 8 times as large, and √d is, too
    assert on.trait("d") == 256
    on.press("checkbox", "Scores ÷ √d", "Space")
    on.says("“it” looks most at “dog”: 1; ")
    on.press("checkbox", "Scores ÷ √d", "Space")
    on.press("slider", "Width d", "Home")
    on.press("checkbox", "Causal mask", "Space")
    on.says("“it” looks most at “dog”: 0.68; entropy 1.65 of at most 3 bits.")
    assert all(weight == 0 for t, row in enumerate(on.trait("weights")) for weight in row[t + 1 :])
    on.press("slider", "Query and key: move", "Shift+ArrowRight", "ArrowRight")
    on.says("“it” on “was”: masked, weight 0.")
    on.press("slider", "Query and key: move", "ArrowDown")
    on.says("“was” looks most at “dog”: ")
    on.drag("Query and key: move", -7, 3, span=(10, 10))
    assert (on.trait("query"), on.trait("key")) == (5, 1)
    on.choose("Head", "alike")
    on.press("slider", "Query", "End")
    on.says("entropy 3.32 of at most 3.32 bits.")
    on.choose("Head", "before")
    on.press("slider", "Key", "End")
    on.says("“tired” looks most at “was”: 0.76")


def drive_positional_map(on: Driven) -> None:
    on.says("Position 12, dimension 6: sine = 0.846; this wave comes round after 35.3 positions.")
    on.says("Dot product with itself 16 = d/2; with each neighbour 15.31; least with position 39: 6.94.")
    on.press("slider", "Position", "Home")
    on.says("Position 0, dimension 6: sine = 0; ")
    on.says("with its neighbour 15.31; least")  # it depends on the distance only
    on.press("slider", "Position and dimension: move", "Shift+ArrowUp", "ArrowRight")
    on.says("Position 5, dimension 7: cosine = ")
    on.drag("Position and dimension: move", 0.25, 0.5, span=(1, 1))
    assert (on.trait("position"), on.trait("dimension")) == (25, 15)
    on.press("slider", "Width d", "Home")
    on.says("dimension 3: cosine = ")
    on.says("Dot product with itself 2 = d/2")
    on.press("slider", "Positions", "Home")
    on.says("Position 7, dimension 3")
    on.press("slider", "Dimension", "Home")
    on.says("dimension 0: sine = 0.657; this wave comes round after 6.3 positions.")


DRIVES: dict[str, Callable[[Driven], None]] = {
    "decision_line": drive_decision_line,
    "perceptron_rule": drive_perceptron_rule,
    "xor_folding": drive_xor_folding,
    "activation_zoo": drive_activation_zoo,
    "step_approximator": drive_step_approximator,
    "step_size": drive_step_size,
    "graph_stepper": drive_graph_stepper,
    "error_flow": drive_error_flow,
    "tensor_explorer": drive_tensor_explorer,
    "linear_map_explorer": drive_linear_map_explorer,
    "loss_shapes": drive_loss_shapes,
    "softmax_temperature": drive_softmax_temperature,
    "filter_viewer": drive_filter_viewer,
    "optimiser_race": drive_optimiser_race,
    "initialisation_depth": drive_initialisation_depth,
    "dropout_viewer": drive_dropout_viewer,
    "perplexity_branching": drive_perplexity_branching,
    "next_word": drive_next_word,
    "unrolled_network": drive_unrolled_network,
    "gradient_through_time": drive_gradient_through_time,
    "word_sampler": drive_word_sampler,
    "gate_map": drive_gate_map,
    "memory_gradient": drive_memory_gradient,
    "attention_explorer": drive_attention_explorer,
    "positional_map": drive_positional_map,
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """A folder with a page a widget and the modules beside them, and the address at which it is served."""
    folder = tmp_path_factory.mktemp("site")
    for path in FOLDER.glob("*.mjs"):
        shutil.copy(path, folder)
    for name in CLASSES:
        page = PAGE.replace("NAME", name)
        (folder / f"{name}.html").write_text(page.replace("SOURCE", "null"), encoding="utf-8")
        text = json.dumps(widgets.module_source(name)).replace("</", "<\\/")
        (folder / f"{name}_inside.html").write_text(page.replace("SOURCE", text), encoding="utf-8")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield folder, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def open_widget(browser: Any, site: tuple[Path, str]) -> Iterator[Callable[..., Driven]]:  # noqa: F811
    """Open a widget's page; at the end, nothing was complained of and nothing was fetched from elsewhere."""
    folder, served = site
    opened, complaints, requests = [], [], []

    def open_widget(name: str, as_file: bool = False, **look: Any) -> Driven:
        context = browser.new_context(**{"viewport": {"width": 900, "height": 900}, **look})
        opened.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto((folder / f"{name}_inside.html").as_uri() if as_file else f"{served}/{name}.html")
        page.wait_for_function("window.ready === true", timeout=10 * SECONDS)
        return Driven(page)

    yield open_widget
    for context in opened:
        context.close()
    assert complaints == []
    known = (served + "/", "file://", "blob:", "data:")
    assert [url for url in requests if not url.startswith(known)] == []
    assert requests


@needs_chromium
@pytest.mark.parametrize("as_file", [False, True], ids=["served", "file"])
@pytest.mark.parametrize("name", sorted(CLASSES))
def test_a_widget_answers_keyboard_and_mouse_without_a_kernel(name: str, as_file: bool, open_widget: Any) -> None:
    on = open_widget(name, as_file=as_file)
    DRIVES[name](on)
    on.page.wait_for_function("window.model.saved > 0")
    on.page.evaluate("window.end()")
    assert on.page.locator(".nnlm-widget").count() == 0


@needs_chromium
@pytest.mark.parametrize("name", sorted(CLASSES))
def test_a_widget_can_be_used_on_a_phone_by_touch(name: str, open_widget: Any, tmp_path: Path) -> None:
    on = open_widget(name, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page = on.page
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    sizes = page.evaluate("""() => [...document.querySelectorAll('.nnlm-widget :is(button, select, input, .grip)')]
        .filter(e => e.checkVisibility()).map(e => [e.outerHTML.slice(0, 80), e.getBoundingClientRect()])
        .map(([what, {width, height}]) => [what, Math.min(width, height)])""")
    assert sizes
    assert [what for what, size in sizes if size < 24] == []
    # Slanted words, too: what a pixel of theirs becomes is the length of the matrix's first column.
    texts = page.locator(".nnlm-widget svg text").evaluate_all(
        "all => all.map(e => parseFloat(getComputedStyle(e).fontSize) * Math.hypot(e.getScreenCTM().a, e.getScreenCTM().b))"
    )
    assert min(texts) >= 10
    page.screenshot(path=tmp_path / f"{name}.png", full_page=True)


@needs_chromium
@pytest.mark.parametrize("name", sorted(CLASSES))
def test_a_widget_is_readable_in_light_and_dark(name: str, open_widget: Any) -> None:
    papers = set()
    for scheme in ("light", "dark"):
        page = open_widget(name, color_scheme=scheme).page
        page.evaluate("model.set('step', 2)")  # the stepper begins with an empty plane
        found = page.evaluate(COLOURS_THAT_MATTER)
        assert found["text"] >= 7, scheme
        assert found["lines"]
        assert {colour: ratio for colour, ratio in found["lines"].items() if ratio < 3} == {}, scheme
        papers.add(found["paper"])
    assert len(papers) == 2


COLOURS_THAT_MATTER = """() => {
    const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
    const luminance = colour => {
        canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
        return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3).map(c => c / 255)
            .map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
            .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
    };
    const ratio = (a, b) => { const [p, q] = [luminance(a), luminance(b)].sort(); return (q + 0.05) / (p + 0.05); };
    const root = document.querySelector('.nnlm-widget');
    const paper = getComputedStyle(root).backgroundColor;
    const lines = {};
    for (const mark of root.querySelectorAll('svg g[role=img] :is(path, line)')) {
        const { stroke } = getComputedStyle(mark);
        if (stroke !== 'none' && !mark.closest('defs')) lines[stroke] = ratio(stroke, paper);
    }
    for (const knob of root.querySelectorAll('.knob')) {
        const { fill } = getComputedStyle(knob);
        lines[fill] = ratio(fill, paper);
    }
    return { paper, text: ratio(getComputedStyle(root).color, paper), lines };
}"""


@needs_chromium
@pytest.mark.parametrize("name", sorted(CLASSES))
def test_every_control_is_named_and_shows_the_focus(name: str, open_widget: Any) -> None:
    page = open_widget(name).page
    page.locator("details").evaluate_all("all => all.forEach(one => one.open = true)")
    reached = []
    for _ in range(60):
        page.keyboard.press("Tab")
        found = page.evaluate("""() => {
            const e = document.activeElement;
            if (!e.closest('.nnlm-widget')) return null;
            const ring = e.querySelector('.ring');
            const style = getComputedStyle(ring ?? e);
            const seen = ring ? style.stroke !== 'none' : style.outlineStyle === 'solid' && parseFloat(style.outlineWidth) >= 2;
            return [e.getAttribute('aria-label') ?? e.labels?.[0]?.innerText ?? e.innerText, seen];
        }""")
        if found is None:
            break
        reached.append(found)
    count = page.locator(".nnlm-widget :is(button, select, input, summary, [tabindex='0'])").count()
    assert len(reached) == count > 2
    assert all(label.strip() and seen for label, seen in reached), reached


@needs_chromium
def test_texts_follow_the_language_and_the_author(open_widget: Any) -> None:
    on = open_widget("decision_line")
    on.page.evaluate("model.set('language', 'zh')")
    on.says("4 个角中有 4 个正确")
    assert on.page.locator(".nnlm-widget").get_attribute("lang") == "zh-CN"
    on.page.evaluate("model.set('strings', { again: '从头来' })")
    on.press("button", "从头来", "Enter")
    on.press("slider", "直线：移动", "ArrowRight")
    on.says("b = −1.1")


@needs_chromium
@pytest.mark.parametrize("name", sorted(CLASSES))
def test_every_text_is_there_in_chinese(name: str, open_widget: Any) -> None:
    on = open_widget(name)
    before = on.text()
    on.page.evaluate("model.set('language', 'zh')")
    text = on.text()
    assert text != before
    assert re.search(r"[\u4e00-\u9fff]", text)
    assert "{" not in on.page.locator(".nnlm-widget").inner_text()
    assert re.search(r"[\u4e00-\u9fff]", on.page.locator(".nnlm-widget").get_attribute("aria-label"))


@needs_chromium
def test_a_value_set_from_outside_is_drawn(open_widget: Any) -> None:
    on = open_widget("xor_folding")
    on.page.evaluate("model.set('w2', [0, 0]); model.set('b2', 1)")
    on.says("2 of 4 corners right")


# ---- in JupyterLab -----------------------------------------------------------------------------------------------------
def notebook_of(*sources: str) -> nbformat.NotebookNode:
    return nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(source) for source in sources],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
    )


def complaints_of(page: Any) -> list[str]:
    """What the page's console says of errors from now on."""
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    return said


@needs_chromium
def test_in_jupyterlab_every_widget_answers_while_the_kernel_sleeps(course: Path, open_notebook: Any) -> None:  # noqa: F811
    """The kernel shows the widgets and falls asleep, so all that moves is computed in the page; awake, Python reads it."""
    names, alarm = sorted(CLASSES), course / "alarm"
    sources = [
        "import json, pathlib, time\nfrom course.kit import widgets\nshown = {}",
        *(f"shown[{name!r}] = widgets.{CLASSES[name].__name__}()\nshown[{name!r}]" for name in names),
        f"print('asleep')\nwhile not pathlib.Path({str(alarm)!r}).exists():\n    time.sleep(0.1)\nprint('awake')",
        "print(json.dumps({name: {trait: getattr(one, trait) for trait in one.values()} for name, one in shown.items()}))",
    ]
    nbformat.write(notebook_of(*sources), course / "course" / "widgets.ipynb")
    page = open_notebook("widgets.ipynb")
    complaints = complaints_of(page)
    page.locator(".jp-CodeCell .cm-content").first.click()
    page.keyboard.press("Shift+Enter")
    root_of = {
        name: page.locator(".jp-CodeCell", has_text=f"shown['{name}'] = ").locator(".nnlm-widget") for name in names
    }
    for root in root_of.values():  # one by one: a model that has not started after two seconds is an error to anywidget
        page.keyboard.press("Shift+Enter")
        root.wait_for(state="attached", timeout=30 * SECONDS)
    page.keyboard.press("Shift+Enter")
    page.locator(".jp-OutputArea-output", has_text="asleep").wait_for(timeout=60 * SECONDS)
    in_page = {}
    for name, root in root_of.items():
        show(root)
        on = Driven(page, root)
        DRIVES[name](on)
        in_page[name] = {trait: on.trait(trait) for trait in CLASSES[name].values()}
    assert page.locator(".jp-OutputArea-output", has_text="awake").count() == 0, "the kernel has helped"
    alarm.touch()
    page.locator(".jp-OutputArea-output", has_text="awake").wait_for(timeout=30 * SECONDS)
    printed = page.locator(".jp-CodeCell").last.locator(".jp-OutputArea-output pre")
    in_python: dict[str, Any] = {}
    for _ in range(20):  # what was held back from a busy kernel is sent when it answers again, in several messages
        page.locator(".jp-CodeCell .cm-content").last.click()
        page.keyboard.press("Control+Enter")
        printed.wait_for(timeout=30 * SECONDS)
        in_python = json.loads(printed.inner_text())
        if in_python == in_page:
            break
        page.wait_for_timeout(1 * SECONDS)
    assert in_python == in_page
    assert page.locator(".jp-CodeCell").count() == len(sources)
    assert complaints == []


@needs_chromium
def test_in_jupyterlab_keys_move_the_line_and_python_reads_it(course: Path, open_notebook: Any) -> None:  # noqa: F811
    cells = ("from course.kit.widgets import DecisionLine\nline = DecisionLine()\nline", "line.weights, line.bias")
    nbformat.write(notebook_of(*cells), course / "course" / "widget.ipynb")
    page = open_notebook("widget.ipynb")
    problems = complaints_of(page)
    page.locator(".jp-CodeCell .cm-content").first.click()
    page.keyboard.press("Control+Enter")
    page.wait_for_selector(".nnlm-widget", timeout=60 * SECONDS)
    widget = page.locator(".nnlm-widget")
    on = Driven(page)
    on.says("w = (1, 1), b = −1.")
    on.drag("Line: move it", 0.25, 0.25, span=(3, 3))
    page.wait_for_timeout(200)
    widget.get_by_role("slider", name="b", exact=True).focus()
    page.keyboard.press("Home")
    for _ in range(14):
        page.keyboard.press("ArrowRight")
    on.says("4 of 4 corners right for AND with w = (1, 1), b = −1.5. The nearest corner is 0.354 away")
    handle = widget.get_by_role("slider", name="Weights: turn the line")
    handle.focus()
    for key in ("ArrowRight", "ArrowUp", "b", "d", "d", "x"):  # in command mode the letters would add and delete cells
        page.keyboard.press(key)
    on.says("w = (1.25, 1.25), b = −1.88.")
    assert page.locator(".jp-CodeCell").count() == 2
    backgrounds = set()
    for theme in ("JupyterLab Light", "JupyterLab Dark"):
        menu(page, "Settings", "Theme", theme)
        page.wait_for_selector(f'body[data-jp-theme-name="{theme}"]', state="attached", timeout=20 * SECONDS)
        page.wait_for_timeout(500)
        show(widget)
        found = page.evaluate(COLOURS_THAT_MATTER)
        assert found["text"] >= 7
        assert min(found["lines"].values()) >= 3
        backgrounds.add(found["paper"])
    assert len(backgrounds) == 2
    page.locator(".jp-CodeCell .cm-content").nth(1).click()
    page.keyboard.press("Control+Enter")
    page.get_by_text("([1.25, 1.25], -1.88)").wait_for(timeout=30 * SECONDS)
    assert problems == []
