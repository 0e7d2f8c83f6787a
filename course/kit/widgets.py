"""Widgets that compute in the browser: each class here hands its values to an ES module and can be asked for them again.

>>> line = DecisionLine(gate="or")  # doctest: +SKIP
>>> line.weights, line.bias  # where the reader has dragged them  # doctest: +SKIP
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

try:
    import anywidget
    import traitlets
except ImportError as error:
    raise ImportError(
        "The widgets need the package anywidget: run `python3 start.py` once more, or `pip install anywidget`."
    ) from error

#: Where the ES modules lie.
FOLDER = Path(__file__).resolve().parents[2] / "assets" / "widgets"
_IMPORT = re.compile(r'^import \* as (\w+) from "\./(\w+\.mjs)";$', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async function|function|const|class) (\w+)\b)", re.MULTILINE)


class WidgetSourceError(Exception):
    """A module breaks the rule by which modules are put into one; the message says which line."""


@cache
def module_source(name: str, folder: Path = FOLDER) -> str:
    """Give a widget as one ES module that imports nothing.

    JupyterLab gets a widget's module as text, from which a relative import leads nowhere; the same holds for a page opened
    as a file. So each line ``import * as kit from "./kit.mjs";`` is replaced by ``const kit = (() => { … })();`` with
    that file's text inside, and what it exports is returned.

    Args:
        name: the file's name without ``.mjs``.
        folder: where the files lie.

    Returns:
        JavaScript.

    Raises:
        WidgetSourceError: an import or export is not written in the one way that is understood.
    """
    return _with_imports_inside(folder / f"{name}.mjs", folder, ())


def _with_imports_inside(path: Path, folder: Path, above: tuple[Path, ...]) -> str:
    if path in above:
        raise WidgetSourceError(f"{path.name} imports itself, by way of {above[-1].name}")
    text = path.read_text(encoding="utf-8")
    for number, line in enumerate(text.splitlines(), start=1):
        if line.startswith("import") and not _IMPORT.fullmatch(line):
            raise WidgetSourceError(
                f'{path.name}:{number}: an import must read `import * as NAME from "./FILE.mjs";`, not `{line}`'
            )
    return _IMPORT.sub(lambda found: _as_constant(found[1], folder / found[2], folder, (*above, path)), text)


def _as_constant(name: str, path: Path, folder: Path, above: tuple[Path, ...]) -> str:
    text = _with_imports_inside(path, folder, above)
    exported = _EXPORT.findall(text)
    body = _EXPORT.sub("", text)
    for line in body.splitlines():
        if line.startswith("export"):
            raise WidgetSourceError(
                f"{path.name}: a module that others import must write `export` before a function, const or class, not `{line}`"
            )
    return f"const {name} = (() => {{\n{body}\nreturn {{ {', '.join(exported)} }};\n}})();"


class Widget(anywidget.AnyWidget):
    """What all widgets of the course have: a language, and texts that go before the module's own."""

    language = traitlets.Enum(("en", "zh"), "en").tag(sync=True)
    #: Key → text; the keys are those of ``STRINGS`` in the widget's module.
    strings = traitlets.Dict(value_trait=traitlets.Unicode(), key_trait=traitlets.Unicode()).tag(sync=True)

    def __repr__(self) -> str:
        values = (f"{name}={getattr(self, name)!r}" for name in self.values())
        return f"{type(self).__name__}({', '.join(values)})"

    @classmethod
    def values(cls) -> list[str]:
        """The names of the traits that the widget's own controls set."""
        own = [made for made in reversed(cls.__mro__) if issubclass(made, Widget) and made is not Widget]
        traits = [(name, trait) for made in own for name, trait in vars(made).items()]
        return [name for name, trait in traits if isinstance(trait, traitlets.TraitType) and name[0] != "_"]


def _pair(*default: float) -> Any:
    """A trait for a list of as many numbers as the default has."""
    return traitlets.List(traitlets.Float(), list(default), minlen=len(default), maxlen=len(default)).tag(sync=True)


def _sizes(*default: int, low: int = 1) -> Any:
    """A trait for as many whole numbers up to 4 as the default has."""
    one = traitlets.Int(min=low, max=4)
    return traitlets.List(one, list(default), minlen=len(default), maxlen=len(default)).tag(sync=True)


def _gate(default: str) -> Any:
    return traitlets.Enum(("and", "or", "nand", "xor"), default).tag(sync=True)


_ACTIVATIONS = (
    *("step", "identity", "sigmoid", "tanh", "hard_tanh", "gaussian"),
    *("relu", "leaky_relu", "elu", "softplus", "swish", "gelu"),
)

_LOSSES = ("absolute", "squared", "zero_one", "hinge", "logistic", "exponential")


class TensorExplorer(Widget):
    """Where an element of a tensor lies in storage, and what broadcasting repeats (chapter 01).

    Attributes:
        mode: ``"storage"`` or ``"broadcast"``.
        shape: sizes of three axes, 1 to 4, as stored.
        order: ``"C"`` (last axis fastest) or ``"F"`` (first axis fastest).
        axes: which stored axis each axis of the view is, ``"012"`` as stored.
        index: the element, in the view.
        left: shape of the first summand.
        right: shape of the second summand; only its columns count if it is a vector.
        vector: whether the second summand has one axis.
        entry: the entry of the sum.
    """

    _esm = module_source("tensor_explorer")
    mode = traitlets.Enum(("storage", "broadcast"), "storage").tag(sync=True)
    shape = _sizes(2, 2, 3)
    order = traitlets.Enum(("C", "F"), "C").tag(sync=True)
    axes = traitlets.Enum(("012", "021", "102", "120", "201", "210"), "012").tag(sync=True)
    index = _sizes(1, 0, 2, low=0)
    left = _sizes(3, 1)
    right = _sizes(1, 3)
    vector = traitlets.Bool(True).tag(sync=True)
    entry = _sizes(1, 2, low=0)


class LinearMapExplorer(Widget):
    """Drag where a map takes the basis vectors and the origin (chapter 01).

    Attributes:
        e1: where (1, 0) goes, less the shift: row 0 of the matrix.
        e2: where (0, 1) goes, less the shift: row 1 of the matrix.
        shift: where the origin goes: the last row of the homogeneous matrix.
    """

    _esm = module_source("linear_map_explorer")
    e1 = _pair(1.0, 0.0)
    e2 = _pair(0.0, 1.0)
    shift = _pair(0.0, 0.0)


class DecisionLine(Widget):
    """Drag the weights and the bias of one threshold unit and see what it says at the corners of a square (chapter 02).

    Attributes:
        gate: ``"and"``, ``"or"``, ``"nand"`` or ``"xor"``: which corners have label 1.
        weights: w, two numbers; the unit fires where x·w + b > 0.
        bias: b.
    """

    _esm = module_source("decision_line")
    gate = _gate("and")
    weights = _pair(1.0, 1.0)
    bias = traitlets.Float(-1.0).tag(sync=True)


class PerceptronRule(Widget):
    """Show a unit one sample after another and see every correction (chapter 02).

    Attributes:
        gate: ``"and"``, ``"or"``, ``"nand"`` or ``"xor"``.
        start: w₁, w₂ and b to start from.
        step: how many samples have been shown.
        weights: w after them; follows from the above.
        bias: b after them; follows from the above.
    """

    _esm = module_source("perceptron_rule")
    gate = _gate("or")
    start = _pair(0.0, 0.0, 0.0)
    step = traitlets.Int(0, min=0).tag(sync=True)
    weights = _pair(0.0, 0.0)
    bias = traitlets.Float(0.0).tag(sync=True)


class XorFolding(Widget):
    """Drag the weights of two hidden units and see where they put the corners of a square (chapter 03).

    Attributes:
        bend: the hidden units' activation: ``"relu"``, ``"identity"``, ``"leaky_relu"``, ``"tanh"`` or ``"sigmoid"``.
        w1: weights from inputs to hidden units, (inputs, hidden) as a list of rows.
        b1: biases of the hidden units.
        w2: weights from hidden units to the output.
        b2: bias of the output, which fires where its score is above 0.
    """

    _esm = module_source("xor_folding")
    bend = traitlets.Enum(("relu", "identity", "leaky_relu", "tanh", "sigmoid"), "relu").tag(sync=True)
    w1 = traitlets.List(
        traitlets.List(traitlets.Float(), minlen=2, maxlen=2), [[1.0, 1.0], [1.0, 1.0]], minlen=2, maxlen=2
    ).tag(sync=True)
    b1 = _pair(0.0, -1.0)
    w2 = _pair(1.0, -2.0)
    b2 = traitlets.Float(-0.5).tag(sync=True)


class ActivationZoo(Widget):
    """Twelve activation functions with their slopes, and what K slopes in a row leave of a signal (chapter 03).

    Attributes:
        name: which activation, by its name in the chapter.
        beside: another one, or ``"none"``.
        z: where to read it, from −6 to 6.
        units: K.
    """

    _esm = module_source("activation_zoo")
    name = traitlets.Enum(_ACTIVATIONS, "sigmoid").tag(sync=True)
    beside = traitlets.Enum(("none", *_ACTIVATIONS), "none").tag(sync=True)
    z = traitlets.Float(2.0, min=-6, max=6).tag(sync=True)
    units = traitlets.Int(5, min=1, max=20).tag(sync=True)


class StepApproximator(Widget):
    """Add up steep sigmoids and watch stairs follow a curve, without training (chapter 03).

    Attributes:
        curve: ``"wave"``, ``"hill"``, ``"corner"`` or ``"jump"``, each over t from 0 to 1.
        units: how many hidden units.
        tolerance: what `step_approximator` of the chapter is asked for; it sets how steep the steps are.
        unit: the unit whose own step is shown, counted from 1.
    """

    _esm = module_source("step_approximator")
    curve = traitlets.Enum(("wave", "hill", "corner", "jump"), "wave").tag(sync=True)
    units = traitlets.Int(8, min=1, max=64).tag(sync=True)
    tolerance = traitlets.Float(0.01, min=0.001, max=1).tag(sync=True)
    unit = traitlets.Int(3, min=1, max=64).tag(sync=True)


class LossShapes(Widget):
    """Six losses of one score against the margin, with their slopes (chapter 04).

    Attributes:
        loss: which one, by its name in the chapter.
        beside: another one, or ``"none"``.
        margin: where to read them, from −3 to 3.
    """

    _esm = module_source("loss_shapes")
    loss = traitlets.Enum(_LOSSES, "logistic").tag(sync=True)
    beside = traitlets.Enum(("none", *_LOSSES), "hinge").tag(sync=True)
    margin = traitlets.Float(-1.0, min=-3, max=3).tag(sync=True)


class SoftmaxTemperature(Widget):
    """What becomes of four scores when they are divided by a temperature before the softmax (chapter 04).

    Attributes:
        logits: the four scores.
        temperature: T.
    """

    _esm = module_source("softmax_temperature")
    logits = _pair(2.0, 1.0, 0.0, -1.0)
    temperature = traitlets.Float(1.0, min=0.1, max=10).tag(sync=True)


class FilterViewer(Widget):
    """Slide a filter of width 2 over a short text and see what max pooling keeps (chapter 04).

    Attributes:
        text: ``"plain"``, ``"negated"``, ``"apart"``, ``"turned"`` or ``"blamed"``.
        filter: ``"good"``, ``"not_good"`` or ``"bad"``.
        place: the window that is read out, counted from 1.
    """

    _esm = module_source("filter_viewer")
    text = traitlets.Enum(("plain", "negated", "apart", "turned", "blamed"), "negated").tag(sync=True)
    filter = traitlets.Enum(("good", "not_good", "bad"), "not_good").tag(sync=True)
    place = traitlets.Int(1, min=1, max=5).tag(sync=True)


class StepSize(Widget):
    """The error of three difference quotients against the step h (chapter 05).

    Attributes:
        function: ``"exp"``, ``"shifted"`` (exp + 1000), ``"wave"`` (sin 10x) or ``"cube"``.
        method: ``"forward"``, ``"central"`` or ``"complex"``.
        log10_h: the step h as a power of ten, from −15 to 0.
    """

    _esm = module_source("step_size")
    function = traitlets.Enum(("exp", "shifted", "wave", "cube"), "exp").tag(sync=True)
    method = traitlets.Enum(("forward", "central", "complex"), "central").tag(sync=True)
    log10_h = traitlets.Float(-2.0, min=-15, max=0).tag(sync=True)


class GraphStepper(Widget):
    """Deck E's 2-2-1 network node by node: values forwards, gradients backwards, then a learning step (chapters 05, 06).

    Attributes:
        bend: activation of all units, ``"relu"`` or ``"sigmoid"``.
        weights: w03, w04, w05, w13, w14, w23, w24, w35, w45; "w13" leads from unit 1 to unit 3, unit 0 says 1.
        x: what units 1 and 2 say.
        target: what unit 5 should say.
        rate: learning rate η.
        step: how many nodes are known.
    """

    _esm = module_source("graph_stepper")
    bend = traitlets.Enum(("relu", "sigmoid"), "relu").tag(sync=True)
    weights = _pair(1.0, -6.0, -4.0, 3.0, 6.0, 4.0, 5.0, 2.0, 4.0)
    x = _pair(1.0, 0.0)
    target = traitlets.Float(1.0).tag(sync=True)
    rate = traitlets.Float(1.0, min=0).tag(sync=True)
    step = traitlets.Int(0, min=0, max=16).tag(sync=True)


class ErrorFlow(Widget):
    """How large the gradient is that arrives at each of K layers of 20 units (chapter 06).

    Attributes:
        activation: of all layers: ``"sigmoid"``, ``"tanh"``, ``"relu"``, ``"leaky_relu"``, ``"softplus"`` or ``"identity"``.
        depth: K.
        scale: the weights' standard deviation, times √20; they are always the same draw.
        layer: the layer whose numbers are read out, counted from 1.
    """

    _esm = module_source("error_flow")
    activation = traitlets.Enum(("sigmoid", "tanh", "relu", "leaky_relu", "softplus", "identity"), "sigmoid").tag(
        sync=True
    )
    depth = traitlets.Int(8, min=2, max=20).tag(sync=True)
    scale = traitlets.Float(1.0, min=0.25, max=3).tag(sync=True)
    layer = traitlets.Int(1, min=1, max=20).tag(sync=True)


_OPTIMISERS = (
    *("sgd", "momentum", "nesterov", "adagrad", "adadelta", "rmsprop"),
    *("adam", "adamax", "nadam", "amsgrad", "adamw"),
)


class OptimiserRace(Widget):
    """Eleven optimisers on two-dimensional landscapes, two of them drawn (chapter 07).

    Attributes:
        landscape: ``"valley"``, ``"turned"``, ``"bent"``, ``"saddle"`` or ``"ripples"``.
        name: the optimiser drawn solid, at the rate below.
        beside: the one drawn dashed, at its usual rate.
        steps: how many steps they have made.
        log10_rate: learning rate of the first as a power of ten.
        start: where both begin.
    """

    _esm = module_source("optimiser_race")
    landscape = traitlets.Enum(("valley", "turned", "bent", "saddle", "ripples"), "valley").tag(sync=True)
    name = traitlets.Enum(_OPTIMISERS, "momentum").tag(sync=True)
    beside = traitlets.Enum(_OPTIMISERS, "sgd").tag(sync=True)
    steps = traitlets.Int(40, min=0, max=300).tag(sync=True)
    log10_rate = traitlets.Float(-2.0, min=-4, max=1).tag(sync=True)
    start = _pair(1.2, 0.2)


class InitialisationDepth(Widget):
    """Size and spread of activations and gradients in each of K layers of 20 units, by the rule of the first weights (chapter 07).

    Attributes:
        rule: ``"uniform"`` (±0.01), ``"glorot"`` or ``"he"``.
        activation: ``"tanh"`` or ``"relu"``.
        depth: K.
        layer: the layer whose numbers and histograms are shown, counted from 1.
    """

    _esm = module_source("initialisation_depth")
    rule = traitlets.Enum(("uniform", "glorot", "he"), "glorot").tag(sync=True)
    activation = traitlets.Enum(("tanh", "relu"), "tanh").tag(sync=True)
    depth = traitlets.Int(10, min=2, max=20).tag(sync=True)
    layer = traitlets.Int(10, min=1, max=20).tag(sync=True)


class DropoutViewer(Widget):
    """Who speaks under dropout, how loud, and what the next unit adds up, in training and at test time (chapter 07).

    Attributes:
        p: probability that a unit is silent.
        kind: ``"inverted"`` or ``"standard"``.
        mode: ``"train"`` or ``"test"``.
        draw: number of the draw.
    """

    _esm = module_source("dropout_viewer")
    p = traitlets.Float(0.5, min=0, max=0.9).tag(sync=True)
    kind = traitlets.Enum(("inverted", "standard"), "inverted").tag(sync=True)
    mode = traitlets.Enum(("train", "test"), "train").tag(sync=True)
    draw = traitlets.Int(1, min=1).tag(sync=True)


_NEXT_WORD_MODELS = ("bigram", "trigram", "kneser_ney", "network")


class PerplexityBranching(Widget):
    """Four words with 1/p choices each, and the die with as many sides on average (chapter 08).

    Attributes:
        choices: 1/p of each word, from 1 to 64.
    """

    _esm = module_source("perplexity_branching")
    choices = _pair(2.0, 9.0, 4.0, 3.0)


class NextWord(Widget):
    """What four models of Genesis 1 to 3 expect after a context, and what is drawn from them (chapter 08).

    Attributes:
        text: numbers of the words so far.
        model: ``"bigram"``, ``"trigram"``, ``"kneser_ney"`` or ``"network"``.
        beside: another one.
        temperature: T, from 0.1 to 3.
        top_k: how many of the most probable words may be drawn.
        top_p: the share that the fewest most probable words must make up.
        seed: of the draws.
    """

    _esm = module_source("next_word")
    text = traitlets.List(traitlets.Int(min=0, max=119), [3, 7, 38, 2], maxlen=60).tag(sync=True)
    model = traitlets.Enum(_NEXT_WORD_MODELS, "network").tag(sync=True)
    beside = traitlets.Enum(_NEXT_WORD_MODELS, "kneser_ney").tag(sync=True)
    temperature = traitlets.Float(1.0, min=0.1, max=3).tag(sync=True)
    top_k = traitlets.Int(120, min=1, max=120).tag(sync=True)
    top_p = traitlets.Float(1.0, min=0.05, max=1).tag(sync=True)
    seed = traitlets.Int(1, min=1).tag(sync=True)


class UnrolledNetwork(Widget):
    """Two steps of one recurrent unit, forwards and back through time, one number a click (chapter 09).

    Attributes:
        u: weight of the input.
        w: weight of the state before.
        b: bias.
        h0: the state before the first step.
        x: what the two steps read.
        y: what the two states should be; the loss is ½(h₁ − y₁)² + ½(h₂ − y₂)².
        step: how many numbers are known.
    """

    _esm = module_source("unrolled_network")
    u = traitlets.Float(0.5).tag(sync=True)
    w = traitlets.Float(2.0).tag(sync=True)
    b = traitlets.Float(-0.5).tag(sync=True)
    h0 = traitlets.Float(0.25).tag(sync=True)
    x = _pair(1.0, 2.0)
    y = _pair(1.0, 0.0)
    step = traitlets.Int(0, min=0, max=15).tag(sync=True)


class GradientThroughTime(Widget):
    """How long ∂L/∂h is at each lag of a recurrent network, by the spectral radius of W and the size of the words (chapter 09).

    Attributes:
        radius: spectral radius of W.
        words: standard deviation of what the words add to z.
        length: steps back from the last state.
        lag: the lag that is read out.
        limit: where clipping cuts the gradient's length.
        clip: whether it does.
    """

    _esm = module_source("gradient_through_time")
    radius = traitlets.Float(1.0, min=0.5, max=2).tag(sync=True)
    words = traitlets.Float(0.5, min=0, max=2).tag(sync=True)
    length = traitlets.Int(40, min=5, max=100).tag(sync=True)
    lag = traitlets.Int(10, min=0, max=100).tag(sync=True)
    limit = traitlets.Float(1.0, min=0.5, max=10).tag(sync=True)
    clip = traitlets.Bool(False).tag(sync=True)


class WordSampler(Widget):
    """Which of eight words stay under greedy choice, temperature, top-k and nucleus, and ten draws (chapter 09).

    Attributes:
        temperature: T; 0 is greedy.
        top_k: how many words stay; 8 keeps all.
        top_p: share of the nucleus; 1 keeps all.
        seed: of the ten draws.
    """

    _esm = module_source("word_sampler")
    temperature = traitlets.Float(1.0, min=0, max=3).tag(sync=True)
    top_k = traitlets.Int(8, min=1, max=8).tag(sync=True)
    top_p = traitlets.Float(1.0, min=0.05, max=1).tag(sync=True)
    seed = traitlets.Int(1, min=1).tag(sync=True)


class GateMap(Widget):
    """What the gates of a trained LSTM do at each word of a sentence, and which unit remembers what is open (chapter 10).

    Attributes:
        sentence: ``"plain"``, ``"quotation"``, ``"bracket"``, ``"inside"`` (a bracket in a quotation) or ``"around"``.
        gate: what is shown of all units: ``"input"``, ``"forget"``, ``"output"``, ``"candidate"``, ``"c"`` or ``"h"``.
        unit: the unit of which everything is shown, counted from 1.
        word: the word whose numbers are read out, counted from 1.
    """

    _esm = module_source("gate_map")
    sentence = traitlets.Enum(("plain", "quotation", "bracket", "inside", "around"), "quotation").tag(sync=True)
    gate = traitlets.Enum(("input", "forget", "output", "candidate", "c", "h"), "c").tag(sync=True)
    unit = traitlets.Int(4, min=1, max=8).tag(sync=True)
    word = traitlets.Int(12, min=1).tag(sync=True)


class MemoryGradient(Widget):
    """How much of a state arrives k words later, in an LSTM's cell and in a tanh network (chapter 10).

    Attributes:
        bias: bias of the forget gates.
        radius: spectral radius of the tanh network's W.
        length: steps back from the last state.
        lag: the lag that is read out.
    """

    _esm = module_source("memory_gradient")
    bias = traitlets.Float(1.0, min=-2, max=8).tag(sync=True)
    radius = traitlets.Float(1.0, min=0.5, max=2).tag(sync=True)
    length = traitlets.Int(60, min=5, max=100).tag(sync=True)
    lag = traitlets.Int(20, min=0, max=100).tag(sync=True)


class AttentionExplorer(Widget):
    """Where each word of a sentence looks, by head, causal mask, scaling and width of a head (chapter 12).

    Attributes:
        head: ``"before"``, ``"meant"``, ``"clause"`` or ``"alike"``.
        causal: whether later words are masked.
        scaled: whether scores are divided by √d.
        d: numbers in a query and a key: 4, 16, 64 or 256.
        query: the word that looks, counted from 0.
        key: the word looked at whose score is read out, counted from 0.
        weights: a row a query, a column a key; follows from the above, empty until the widget is shown.
    """

    _esm = module_source("attention_explorer")
    head = traitlets.Enum(("before", "meant", "clause", "alike"), "meant").tag(sync=True)
    causal = traitlets.Bool(False).tag(sync=True)
    scaled = traitlets.Bool(True).tag(sync=True)
    d = traitlets.Enum((4, 16, 64, 256), 4).tag(sync=True)
    query = traitlets.Int(7, min=0, max=9).tag(sync=True)
    key = traitlets.Int(2, min=0, max=9).tag(sync=True)
    weights = traitlets.List(traitlets.List(traitlets.Float())).tag(sync=True)


class PositionalMap(Widget):
    """Sinusoidal encodings of positions, and the dot product of one position's with all others' (chapter 12).

    Attributes:
        positions: how many positions.
        width: numbers in an encoding: 4, 8, … or 64.
        position: the position that is compared, counted from 0.
        dimension: the dimension that is read out, counted from 0.
    """

    _esm = module_source("positional_map")
    positions = traitlets.Int(40, min=8, max=64).tag(sync=True)
    width = traitlets.Enum(tuple(range(4, 65, 4)), 32).tag(sync=True)
    position = traitlets.Int(12, min=0, max=63).tag(sync=True)
    dimension = traitlets.Int(6, min=0, max=63).tag(sync=True)
