"""What the widgets' mathematics must give, computed with the references of ``solutions``."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from course.kit.language_models import choose
from solutions import (
    backpropagation,
    feedforward_lm,
    gradients,
    hidden_layers,
    losses,
    ngrams,
    optimisers,
    perceptron,
    recurrent,
    tensors,
    text_classification,
)

CORNERS = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
LABELS = {"and": [0, 0, 0, 1], "or": [0, 1, 1, 1], "nand": [1, 1, 1, 0], "xor": [0, 1, 1, 0]}
ACTIVATIONS = [
    *("step", "identity", "sigmoid", "tanh", "hard_tanh", "gaussian"),
    *("relu", "leaky_relu", "elu", "softplus", "swish", "gelu"),
]
Case = dict[str, Any]


def plain(value: Any) -> Any:
    """A value as JSON can hold it."""
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return {"number": {math.inf: "Infinity", -math.inf: "-Infinity"}.get(value, "NaN")}
    return value


def case(module: str, call: str, *args: Any, expected: Any) -> Case:
    return {"module": module, "call": call, "args": plain(args), "expected": plain(expected)}


def cases() -> list[Case]:
    rng = np.random.default_rng(20)
    return [
        *kit_cases(rng),
        *perceptron_cases(rng),
        *hidden_layers_cases(rng),
        *stairs_cases(),
        *losses_cases(np.random.default_rng(4)),
        *step_size_cases(),
        *backpropagation_cases(rng),
        *tensors_cases(np.random.default_rng(21)),
        *optimisers_cases(rng),
        *ngrams_cases(np.random.default_rng(8)),
        *recurrent_cases(np.random.default_rng(9)),
        *lstm_cases(np.random.default_rng(10)),
        *attention_cases(np.random.default_rng(12)),
    ]


def kit_cases(rng: np.random.Generator) -> Iterator[Case]:
    yield case("kit", "snap", 0.1 + 0.2, 0.1, expected=0.3)
    yield case("kit", "snap", -0.31, 0.25, expected=-0.25)
    yield case("kit", "snap", 1234.56, 5, expected=1235)
    yield case("kit", "clamp", 3, -1, 2, expected=2)
    yield case("kit", "clamp", -3, -1, 2, expected=-1)
    yield case("kit", "clamp", 0.5, -1, 2, expected=0.5)
    yield case("kit", "ticks", -1, 2, expected=[-1, 0, 1, 2])
    yield case("kit", "ticks", 0, 1, expected=[0, 0.2, 0.4, 0.6, 0.8, 1])
    yield case("kit", "ticks", -6.5, 6.5, expected=[-5, 0, 5])
    yield case("kit", "ticks", 0, 90, expected=[0, 20, 40, 60, 80])
    yield case("kit", "number", -0.5, expected="−0.5")
    yield case("kit", "number", 1.0, expected="1")
    yield case("kit", "number", 2 / 3, 3, expected="0.667")
    yield case("kit", "number", -0.0004, expected="−4.0e−4")
    yield case("kit", "number", 0, expected="0")
    yield case("kit", "number", math.inf, expected="∞")
    yield case("kit", "number", -math.inf, expected="−∞")
    yield case("kit", "tuple", [1, -1.5], expected="(1, −1.5)")
    yield case("kit", "powerOfTen", -12, expected="10⁻¹²")
    for value, text in [
        (6.9e-6, "6.9·10⁻⁶"),
        (-1234.5, "−1.2·10³"),
        (0.25, "0.25"),
        (0, "0"),
        (0.01, "0.01"),
        (1e3, "1·10³"),
    ]:
        yield case("kit", "scientific", value, expected=text)
    yield case("kit", "fill", "{n} of {all}, {x}", {"n": 3, "all": 4}, expected="3 of 4, {x}")
    # Where u = 0.3 crosses four cells, and u − v = −4 one cell, worked out by hand.
    upright = [[[0.3, 0], [0.3, 0.5]], [[0.3, 0.5], [0.3, 1]]]
    yield case("kit", "contour", {"formula": "u - 0.3"}, 0, [0, 1], [0, 1], 2, expected=upright)
    slope = [[[2, 6], [-1, 3]]]
    yield case("kit", "contour", {"formula": "u - v"}, -4, [-1, 3], [2, 6], 1, expected=slope)
    half = [[[0, 0], [0.3, 0], [0.3, 0.5], [0, 0.5]], [[0, 0.5], [0.3, 0.5], [0.3, 1], [0, 1]]]
    yield case("kit", "positive", {"formula": "0.3 - u"}, [0, 1], [0, 1], 2, expected=half)
    yield case(
        "kit",
        "positive",
        {"formula": "u - v + 4"},
        [-1, 3],
        [2, 6],
        1,
        expected=[[[-1, 2], [3, 2], [3, 6], [2, 6], [-1, 3]]],
    )
    yield case(
        "kit",
        "positive",
        {"formula": "1"},
        [0, 3],
        [0, 1],
        3,
        expected=[[[0, k / 3], [3, k / 3], [3, (k + 1) / 3], [0, (k + 1) / 3]] for k in range(3)],
    )
    yield case("kit", "contour", {"formula": "u * u + v * v"}, -1, [-1, 1], [-1, 1], 8, expected=[])
    for _ in range(4):
        point, w = rng.normal(size=2), rng.normal(size=2)
        b = -float(point @ w)
        yield case("kit", "biasThrough", point, w, expected=b)
        away = rng.normal(size=2)
        nearest = away - (away @ w + b) / (w @ w) * w
        assert abs(perceptron.geometric_margin(nearest[None], np.array([1]), w, b)) < 1e-12
        yield case("kit", "nearestOnLine", away, w, b, expected=nearest)
    yield case("kit", "nearestOnLine", [2, 3], [0, 0], 1, expected=[2, 3])


def perceptron_cases(rng: np.random.Generator) -> Iterator[Case]:
    for features in (1, 2, 5):
        x, w, b = rng.normal(size=(6, features)), rng.normal(size=features), float(rng.normal())
        y = rng.integers(0, 2, size=6)
        for row, label in zip(x, y, strict=True):
            new_w, new_b = perceptron.perceptron_update(row, label, w, b)
            yield case("perceptron", "perceptronUpdate", row, label, w, b, expected=[new_w, new_b])
            yield case("perceptron", "score", row, w, b, expected=row @ w + b)
        yield case("perceptron", "thresholdUnit", x, w, b, expected=perceptron.threshold_unit(x, w, b))
        margin = perceptron.geometric_margin(x, y, w, b)
        yield case("perceptron", "geometricMargin", x, y, w, b, expected=margin)
    yield case("perceptron", "thresholdUnit", [[0, 1]], [1, 1], -1, expected=[0])  # on the line: silent
    yield case("perceptron", "geometricMargin", CORNERS, LABELS["and"], [0, 0], 1, expected=math.nan)

    for gate, labels in LABELS.items():
        y = np.array(labels)
        for w, b in [((1.0, 1.0), -1.5), ((1.0, 1.0), 0.0), ((-1.0, 2.0), 0.25), ((0.3, -0.7), 0.1)]:
            answers = perceptron.threshold_unit(CORNERS, np.array(w), b)
            expected = {
                "z": CORNERS @ np.array(w) + b,
                "yHat": answers,
                "right": int((answers == y).sum()),
                "margin": perceptron.geometric_margin(CORNERS, y, np.array(w), b),
            }
            yield case("decision_line", "judge", gate, w, b, expected=expected)
        for start in ([0.0, 0.0, 0.0], [0.5, -1.0, 0.25], [2.0, 0.5, 3.0]):
            shown = follow(y, np.array(start[:2]), start[2], 25)
            yield case("perceptron_rule", "course", gate, start, expected=shown)
            few = follow(y, np.array(start[:2]), start[2], 2)
            yield case("perceptron", "trainPerceptron", CORNERS, y, start[:2], start[2], 2, expected=few)
            for step in {*range(min(len(shown), 25)), len(shown)}:
                later = [i + 1 for i, sample in enumerate(shown) if sample["mistake"] and i >= step]
                following = later[0] if later else len(shown)
                yield case("perceptron_rule", "nextMistake", shown, step, expected=following)
                yield case("perceptron_rule", "repeated", shown, step, expected=repeated(shown, step))
    # Numbers printed in the chapter: OR takes four mistakes and three epochs of correcting, AND takes ten.
    assert sum(sample["mistake"] for sample in follow(np.array(LABELS["or"]), np.zeros(2), 0.0, 25)) == 4
    assert sum(sample["mistake"] for sample in follow(np.array(LABELS["and"]), np.zeros(2), 0.0, 25)) == 10


def follow(y: np.ndarray, w: np.ndarray, b: float, max_epochs: int) -> list[dict[str, Any]]:
    """Every sample that training shows, with the weights after it."""
    shown: list[dict[str, Any]] = []
    w_end, b_end, mistakes = perceptron.train_perceptron(CORNERS, y, w, b, max_epochs)
    for epoch in range(1, len(mistakes) + 1):
        for row in range(4):
            z = float(CORNERS[row] @ w + b)
            w, b = perceptron.perceptron_update(CORNERS[row], y[row], w, b)
            seen = {"epoch": epoch, "row": row, "z": z, "yHat": int(z > 0), "y": int(y[row]), "w": w, "b": b}
            shown.append({**seen, "mistake": int(z > 0) != y[row]})
    assert np.array_equal(w, w_end)
    assert b == b_end
    return [plain({**sample, "mistake": bool(sample["mistake"])}) for sample in shown]


def repeated(shown: list[dict[str, Any]], step: int) -> int:
    """The first epoch that ended with the weights with which the epoch ending at `step` ended; 0 if there is none."""
    ends = [(*shown[i]["w"], shown[i]["b"]) for i in range(3, step, 4)]
    if step % 4 or len(ends) < 2 or ends[-1] not in ends[:-1]:
        return 0
    return ends.index(ends[-1]) + 1


def hidden_layers_cases(rng: np.random.Generator) -> Iterator[Case]:
    places = [
        -1e4,
        -40.0,
        -6.0,
        -3.6,
        -3.5,
        -2.0,
        -1.0,
        -0.3,
        -1e-9,
        0.0,
        1e-9,
        0.25,
        1.0,
        2.0,
        3.5,
        3.6,
        6.0,
        40.0,
        1e4,
    ]
    z = np.array([*places, *rng.normal(scale=3, size=8)])
    for name in ACTIVATIONS:
        for at, value in zip(z, hidden_layers.activation(name, z), strict=True):
            yield case("hidden_layers", "activation", name, at, expected=value)
        slopes = hidden_layers.activation_derivative(name, z)
        for at, slope, value in zip(z, slopes, hidden_layers.activation(name, z), strict=True):
            yield case("hidden_layers", "activationDerivative", name, at, expected=slope)
            if abs(at) <= 6:
                yield case("activation_zoo", "passedOn", name, at, 5, expected=slope**5)
                yield case("activation_zoo", "tangent", name, at, at + 0.7, expected=value + 0.7 * slope)
    for at in z:
        yield case("hidden_layers", "stableSigmoid", at, expected=hidden_layers.stable_sigmoid(at))
        yield case("hidden_layers", "normalCdf", at, expected=hidden_layers.normal_cdf(np.array(at)))

    for sizes, names in [([2, 2, 1], ["relu", "identity"]), ([3, 4, 2, 5], ["tanh", "gelu", "softplus"])]:
        x = rng.normal(size=(4, sizes[0]))
        pairs = list(itertools.pairwise(sizes))
        layers = [(rng.normal(size=pair), rng.normal(size=pair[1])) for pair in pairs]
        yield case(
            "hidden_layers", "feedForward", x, layers, names, expected=hidden_layers.feed_forward(x, layers, names)
        )
        yield case("hidden_layers", "affine", x, *layers[0], expected=x @ layers[0][0] + layers[0][1])
        yield case("hidden_layers", "collapseLayers", layers, expected=hidden_layers.collapse_layers(layers))

    chapter = hidden_layers.xor_weights(0.0, 1.0)
    nets = [("relu", chapter[0], chapter[1], chapter[2][:, 0], -0.5)]
    for bend in ("relu", "identity", "leaky_relu", "tanh", "sigmoid"):
        w1, b1, w2, b2 = rng.normal(size=(2, 2)), rng.normal(size=2), rng.normal(size=2), float(rng.normal())
        nets.append((bend, w1, b1, w2, b2))
    for bend, w1, b1, w2, b2 in nets:
        net = {"bend": bend, "w1": w1, "b1": b1, "w2": w2, "b2": b2}
        layers = [(w1, b1), (w2[:, None], np.array([b2]))]
        _, h, score = hidden_layers.feed_forward(CORNERS, layers, [bend, "identity"])
        yield case("xor_folding", "forward", CORNERS, net, expected={"h": h, "z": score[:, 0]})
        for corner, value in zip(CORNERS, score[:, 0], strict=True):
            yield case("xor_folding", "score", *corner, net, expected=value)
        right = int(((score[:, 0] > 0) == (np.array(LABELS["xor"]) == 1)).sum())
        yield case("xor_folding", "cornersRight", net, expected=right)
        w, b = hidden_layers.collapse_layers(layers)
        yield case("xor_folding", "collapsed", net, expected={"w": w[:, 0], "b": b[0]})


# ---- chapter 03: stairs --------------------------------------------------------------------------------------------
CURVES = {
    "wave": lambda t: np.sin(2 * np.pi * t),
    "hill": lambda t: np.exp(-((6 * t - 3) ** 2)),
    "corner": lambda t: np.abs(2 * t - 1),
    "jump": lambda t: np.where(t > 0.5, 1.0, 0.0),
}


def stairs_cases() -> Iterator[Case]:
    chapter = np.array([0.0, 1.0, 3.0]), np.array([2.0, 5.0, 4.0])
    for tolerance in (0.01, 0.5):
        yield case("hidden_layers", "stepApproximator", *chapter, tolerance, expected=stairs(*chapter, tolerance))
    places = np.arange(1001) / 1000
    for curve, height in CURVES.items():
        for t in (0.0, 0.2, 0.5, 0.51, 1.0):
            yield case("step_approximator", "height", curve, t, expected=height(np.array(t)))
        for units, tolerance in [(1, 0.01), (5, 0.01), (8, 0.3), (64, 0.01)]:
            knots = np.arange(units + 1) / units
            net = stairs(knots, height(knots), tolerance)
            yield case("step_approximator", "network", curve, units, tolerance, expected=net)
            w1, b1, w2, b2 = hidden_layers.step_approximator(knots, height(knots), tolerance)
            said = hidden_layers.feed_forward(places[:, None], [(w1, b1), (w2, b2)], ["sigmoid", "identity"])[-1][:, 0]
            for place in (0, 130, 500, 999):
                yield case("step_approximator", "output", net, places[place], expected=said[place])
            errors = np.abs(said - height(places))
            first = places[np.flatnonzero(errors > errors.max() - 1e-12)]
            expected = {"error": errors.max(), "t": first[0]}
            yield case("step_approximator", "largestError", curve, net, expected=expected)


def stairs(x: np.ndarray, y: np.ndarray, tolerance: float) -> dict[str, Any]:
    w1, b1, w2, b2 = hidden_layers.step_approximator(x, y, tolerance)
    return plain({"w1": w1[0], "b1": b1, "w2": w2[:, 0], "b2": b2[0]})


# ---- chapter 04 ----------------------------------------------------------------------------------------------------
def losses_cases(rng: np.random.Generator) -> Iterator[Case]:
    scores = np.array([-3.0, -1.0, -0.2, 0.0, 0.7, 1.0, 2.5, -40.0, 40.0])
    for name in ("absolute", "squared", "zero_one", "hinge", "logistic", "exponential"):
        for target in (1.0, -1.0):
            found = losses.sample_losses(name, scores, np.full(len(scores), target))
            for score, loss, slope in zip(scores, *found, strict=True):
                yield case("losses", "sampleLosses", name, score, target, expected=[loss, slope])
                if target == 1:
                    yield case("loss_shapes", "atMargin", name, score, expected=[loss, slope])
                    word = {-1: "grows", 0: "flat", 1: "shrinks"}[int(np.sign(slope))]
                    yield case("loss_shapes", "effect", name, score, expected=word)
    for logits in (np.array([2.0, 1.0, 0.0]), np.array([1000.0, 0.0, -1000.0]), rng.normal(size=4)):
        yield case("losses", "logSoftmax", logits, expected=losses.log_softmax(logits[None])[0])
        for temperature in (0.1, 1.0, 4.0):
            log_p = losses.log_softmax(logits[None] / temperature)[0]
            p = np.exp(log_p)
            yield case("softmax_temperature", "shares", logits, temperature, expected=p)
            entropy = -float(np.sum(p * np.where(p > 0, log_p, 0.0)))
            yield case("softmax_temperature", "choices", p, expected=math.exp(entropy))
        powers = np.linspace(-1, 1, 9)
        log_p = losses.log_softmax(logits[None] / 10.0 ** powers[:, None])
        entropies = -np.sum(np.exp(log_p) * log_p, axis=1)
        yield case("softmax_temperature", "sweep", logits, 8, expected=np.stack([powers, np.exp(entropies)], axis=1))

    for time, width, features, filters in [(4, 1, 3, 2), (6, 2, 2, 3), (5, 3, 4, 1), (3, 3, 2, 2)]:
        x, kernel, b = (rng.normal(size=size) for size in [(time, features), (width, features, filters), (filters,)])
        expected = text_classification.convolve_words(x[None], kernel, b)[0]
        yield case("text_classification", "convolveWords", x, kernel, b, expected=expected)
        for how in ("mean", "max"):
            pooled = text_classification.pool_words(x[None], np.ones((1, time), dtype=bool), how)[0]
            yield case("text_classification", "poolWords", x, how, expected=pooled)

    texts = {
        "plain": "a great film",
        "negated": "this is not great at all",
        "apart": "not a great film",
        "turned": "great is it not",
        "blamed": "a bad film",
    }
    known = {"great": [1.5, 0.0], "bad": [-1.0, 0.0], "not": [0.0, 1.0]}
    kernels = {"good": ([[0, 0], [1, 0]], 0.0), "not_good": ([[0, 2], [1, 0]], -2.0), "bad": ([[0, 0], [-1, 0]], 0.0)}
    for (name, line), (which, (kernel, b)) in itertools.product(texts.items(), kernels.items()):
        vectors = np.array([known.get(word, [0.0, 0.0]) for word in line.split()])
        heard = text_classification.convolve_words(
            vectors[None], np.array(kernel, dtype=float)[:, :, None], np.array([b])
        )
        answers = heard[0, :, 0]
        most = max(0.0, float(answers.max()))
        best = int(answers.argmax()) if most > 0 else -1
        expected = {"all": answers, "most": most, "best": best, "mean": vectors.mean(axis=0)}
        yield case("filter_viewer", "answers", name, which, expected=expected)


# ---- chapter 05: the step ------------------------------------------------------------------------------------------
#: A function, its first three derivatives, and from where on rounding in exp and sin stays below the tolerance.
FUNCTIONS = {
    "exp": (np.exp, np.exp, np.exp, np.exp, 1e-5),
    "shifted": (lambda x: np.exp(x) + 1000, np.exp, np.exp, np.exp, 1e-3),
    "wave": (
        lambda x: np.sin(10 * x),
        lambda x: 10 * np.cos(10 * x),
        lambda x: -100 * np.sin(10 * x),
        lambda x: -1000 * np.cos(10 * x),
        1e-5,
    ),
    "cube": (lambda x: x * x * x, lambda x: 3 * x * x, lambda x: 6 * x, lambda x: 6 + 0 * x, 0.0),
}


def step_size_cases() -> Iterator[Case]:
    at, u = 0.5 + np.arange(400) / 399, 2.0**-53
    for name, (f, first, second, third, smallest) in FUNCTIONS.items():
        f0, f1, f2, f3 = (float(np.abs(each(at)).mean()) for each in (f, first, second, third))
        for h in (1.0, 1e-2, 1e-4, 1e-6, 1e-9, 1e-13):
            quotients = {
                "forward": lambda x, f=f, h=h: (f(x + h) - f(x)) / h,
                "central": lambda x, f=f, h=h: (f(x + h) - f(x - h)) / (2 * h),
                "complex": lambda x, f=f, h=h: f(x + 1j * h).imag / h,
            }
            limits = {"forward": (h / 2 * f2, 2 * u * f0 / h), "central": (h**2 / 6 * f3, u * f0 / h)}
            limits["complex"] = (h**2 / 6 * f3, u * f1)
            for method, quotient in quotients.items():
                truncation, roundoff = (math.log10(limit) for limit in limits[method])
                yield case(
                    "step_size", "terms", method, name, h, expected={"truncation": truncation, "roundoff": roundoff}
                )
                if method != "complex" and h < smallest:
                    continue
                yield case("step_size", "slope", method, name, 0.7, h, expected=quotient(0.7))
                error = np.abs(quotient(at) - first(at)).mean()
                yield case("step_size", "meanError", method, name, h, expected=error)
        best = {"forward": 2 * math.sqrt(u * f0 / f2), "central": (3 * u * f0 / f3) ** (1 / 3)}  # as in the chapter
        for method, h in best.items():
            yield case("step_size", "bestExponent", method, name, expected=math.log10(h))
        yield case("step_size", "bestExponent", "complex", name, expected=-math.inf)
        for x in (0.6, 1.3):
            measured = gradients.numerical_gradient(lambda x, f=f: float(f(x)[0]), np.array([x]))[0]
            if name != "shifted":  # whose ten digits are seven
                yield case("step_size", "slope", "central", name, x, 6e-6, expected=measured)


# ---- chapter 06 ----------------------------------------------------------------------------------------------------
KEYS = ("w03", "w04", "w05", "w13", "w14", "w23", "w24", "w35", "w45")
DECK_E = (1.0, -6.0, -4.0, 3.0, 6.0, 4.0, 5.0, 2.0, 4.0)


def on_paper(bend: str, weights: Any, x: Any, target: float, rate: float) -> tuple[dict[str, Any], dict[str, Any]]:
    """What `worked_example` gives with the sums before the activations, and the same by the widget's names."""
    w = dict(zip(KEYS, weights, strict=True))
    u, loss, delta, change = backpropagation.worked_example(w, tuple(x), target, bend, rate)
    net = [w["w03"] + w["w13"] * x[0] + w["w23"] * x[1], w["w04"] + w["w14"] * x[0] + w["w24"] * x[1]]
    net.append(w["w05"] + w["w35"] * u[0] + w["w45"] * u[1])
    slopes = hidden_layers.activation_derivative(bend, np.array(net))
    names: dict[str, Any] = {"loss": loss, "grad_u5": u[2] - target, **change}
    names |= {"grad_u3": delta[2] * w["w35"], "grad_u4": delta[2] * w["w45"]}
    for i, unit in enumerate("345"):
        names |= {f"net{unit}": net[i], f"u{unit}": u[i], f"delta{unit}": delta[i], f"slope{unit}": slopes[i]}
    return {"net": net, "u": u, "loss": loss, "delta": delta, "change": change}, names


def backpropagation_cases(rng: np.random.Generator) -> Iterator[Case]:
    states = [(bend, DECK_E, (1.0, 0.0), 1.0, 1.0) for bend in ("relu", "sigmoid")]
    states += [(b, rng.normal(size=9), rng.normal(size=2), float(rng.normal()), 0.3) for b in ("relu", "sigmoid") * 3]
    for bend, weights, x, target, rate in states:
        found, names = on_paper(bend, weights, x, target, rate)
        w = dict(zip(KEYS, weights, strict=True))
        yield case("backpropagation", "workedExample", w, x, target, bend, rate, expected=found)
        net = {"bend": bend, "weights": weights, "x": x, "target": target, "rate": rate}
        yield case("graph_stepper", "numbers", net, expected=names)
        yield case("graph_stepper", "learned", net, expected=[w[key] + found["change"][key] for key in KEYS])

    for activations in (["tanh", "relu", "identity"], ["sigmoid", "leaky_relu", "softplus"]):
        layers = [(rng.normal(size=size), rng.normal(size=size[1])) for size in [(3, 5), (5, 4), (4, 2)]]
        x, grad_y = rng.normal(size=(4, 3)), rng.normal(size=(4, 2))
        h, stored = backpropagation.mlp_forward(x, layers, activations)
        yield case("backpropagation", "mlpForward", x, layers, activations, expected={"h": h, "stored": stored})
        found = signals(grad_y, x, layers, activations)
        yield case("backpropagation", "signals", grad_y, stored, layers, activations, expected=found)
        z, name = stored[-1][1], activations[-1]
        expected = backpropagation.activation_backward(grad_y, z, name)
        yield case("backpropagation", "activationBackward", grad_y, z, name, expected=expected)
        grad_x = backpropagation.affine_backward(grad_y, stored[-1][0], *layers[-1])[0]
        yield case("backpropagation", "inputBackward", grad_y, layers[-1][0], expected=grad_x)

    yield case("error_flow", "bell", 60, 7, expected=lehmer_bell(60, 7))
    drawn = np.array(lehmer_bell(22 * 400, 1)).reshape(22, 20, 20)
    assert abs(drawn.mean()) < 0.02
    assert abs(drawn.std() - 1) < 0.02
    for k in (0, 1, 2, 21):
        yield case("error_flow", "matrix", k, expected=drawn[k])
    for name, depth, scale in itertools.product(("sigmoid", "tanh", "relu"), (2, 8), (1.4,)):
        yield flow_case(drawn, name, depth, scale)
    for name, depth, scale in [
        ("leaky_relu", 5, 2.0),
        ("softplus", 3, 0.5),
        ("identity", 20, 3.0),
        ("sigmoid", 8, 1.0),
    ]:
        yield flow_case(drawn, name, depth, scale)
    words = {"vanishes": ([0.5, 3, 1], [0.79, 1]), "lasts": ([0.9, 3, 1], [0.81, 1], [1.24, 1])}
    for word, several in [*words.items(), ("explodes", ([1.26, 1], [500, 2, 1, 3]))]:
        for sizes in several:
            ratio = sizes[0] / sizes[-1]
            expected = {"ratio": ratio, "factor": ratio ** (1 / (len(sizes) - 1)), "word": word}
            yield case("error_flow", "fate", sizes, expected=expected)


def signals(grad_y: np.ndarray, x: np.ndarray, layers: Any, activations: list[str]) -> list[np.ndarray]:
    """∂loss/∂z of each layer: for a single row it is what `mlp_backward` gives for the biases."""
    rows = []
    for i in range(len(x)):
        _, stored = backpropagation.mlp_forward(x[i : i + 1], layers, activations)
        grads = backpropagation.mlp_backward(grad_y[i : i + 1], stored, layers, activations)
        rows.append([grad_b for _, grad_b in grads])
    return [np.stack([row[k] for row in rows]) for k in range(len(layers))]


def lehmer_bell(count: int, seed: int) -> list[float]:
    """Lehmer's generator, 48271·s mod 2³¹ − 1; twelve numbers from 0 to 1, added up one after another, less 6."""
    made, state = [], seed
    for _ in range(count):
        total = -6.0
        for _ in range(12):
            state = state * 48271 % (2**31 - 1)
            total += state / (2**31 - 1)
        made.append(total)
    return made


def flow_case(drawn: np.ndarray, name: str, depth: int, scale: float) -> Case:
    layers = [(w * scale / math.sqrt(20), np.zeros(20)) for w in drawn[2 : depth + 2]]
    h, stored = backpropagation.mlp_forward(drawn[0], layers, [name] * depth)
    sizes = [float(np.abs(grad_z).mean()) for grad_z in signals(drawn[1], drawn[0], layers, [name] * depth)]
    slopes = [float(hidden_layers.activation_derivative(name, z).mean()) for _, z in stored]
    says = [float(np.abs(each).mean()) for each in [*(read for read, _ in stored[1:]), h]]
    return case("error_flow", "flow", name, depth, scale, expected={"sizes": sizes, "slopes": slopes, "says": says})


# ---- chapter 01 ----------------------------------------------------------------------------------------------------
def tensors_cases(rng: np.random.Generator) -> Iterator[Case]:
    for shape in [(2, 2, 3), (4, 1, 3), (3, 2, 4), (1, 1, 1), (5,)]:
        for order in ("C", "F"):
            index = tuple(int(rng.integers(n)) for n in shape)
            strides, offset = tensors.locate(shape, index, order)
            expected = {"strides": strides, "offset": offset}
            yield case("tensors", "locate", shape, index, order, expected=expected)
            yield case("tensors", "place", index, strides, expected=offset)
    for shape, index, order, at in [((2, 2, 3), (1, 0, 2), "C", 8), ((3, 2, 2), (2, 0, 1), "F", 8)]:  # of the chapter
        assert tensors.locate(shape, index, order)[1] == at
    for shape in [(2, 2, 3), (3, 2, 4), (1, 4, 2)]:
        for order, axes in itertools.product(("C", "F"), itertools.permutations(range(3))):
            view = np.empty(shape, order=order).transpose(axes)
            strides = tuple(tensors.locate(shape, (0, 0, 0), order)[0][axis] for axis in axes)
            for new in [(view.size,), (view.shape[0], view.size // view.shape[0]), (2, view.size // 2)]:
                expected = tensors.reshape_is_view(view.shape, strides, new)
                yield case("tensors", "reshapeIsView", view.shape, strides, new, expected=expected)
            flat = tensors.reshape_is_view(view.shape, strides, (view.size,))
            found = {"shape": view.shape, "strides": strides, "flat": flat}
            yield case("tensor_explorer", "seen", shape, order, "".join(map(str, axes)), expected=found)
    yield case("tensor_explorer", "inside", [3, -1, 0.6], [2, 4, 3], expected=[1, 0, 1])

    for left, right in [((3, 1), (3,)), ((2, 4), (4,)), ((2, 4), (2, 1)), ((1, 3), (2, 3)), ((4, 4), (4, 4))]:
        yield from sum_cases(left, right)
    for left, right, axis, sizes in [
        ((2, 3), (2,), 1, (3, 2)),
        ((2, 3), (4, 3), 2, (2, 4)),
        ((4, 2), (1, 3), 1, (2, 3)),
    ]:
        yield case("tensors", "broadcastShape", left, right, expected=None)
        expected = {"result": None, "axis": axis, "sizes": sizes}
        yield case("tensor_explorer", "added", left, right, [0, 0], expected=expected)

    for _ in range(4):
        e1, e2, shift, u, v = rng.normal(size=(5, 2))
        matrix = np.block([[e1, 0], [e2, 0], [shift, 1]])
        yield case("tensors", "homogeneous", e1, e2, shift, expected=matrix)
        points = rng.normal(size=(3, 2))
        moved = np.hstack([points, np.ones((3, 1))]) @ matrix
        yield case("tensors", "move", points, matrix, expected=moved[:, :2])
        yield case("tensors", "determinant", matrix, expected=np.linalg.det(matrix))
        yield case("tensors", "additivityGap", matrix, u, v, expected=-shift)
    _, picture = tensors.picture_matrix(True, 0.0, np.array([0.5, -0.25, 0.0]))
    flat = np.array([[*row, k == 2] for k, row in enumerate(picture[[0, 1, 3]])], dtype=float)  # the plane of x and y
    yield case("tensors", "homogeneous", flat[0, :2], flat[1, :2], flat[2, :2], expected=flat)
    letter = np.array([[0.6, 1.0], [0.2, 0.4]])
    expected = (np.hstack([letter, np.zeros((2, 1)), np.ones((2, 1))]) @ picture).tolist()
    yield case("tensors", "move", letter, flat, expected=expected)

    for e1, e2, kind in [
        ((1, 0), (0, 1), "identity"),
        ((0.87, 0.5), (-0.5, 0.87), "turn"),
        ((-1, 0), (0, -1), "turn"),
        ((0, -1), (1, 0), "turn"),
        ((1, 0), (0, -1), "mirror"),
        ((0, 1), (1, 0), "mirror"),
        ((1, 0), (0, 0), "projection"),
        ((1, 0.5), (2, 1), "projection"),
        ((0, 0), (0, 0), "point"),
        ((2, 0), (0, 1), "other"),
        ((1, 0), (0, 2), "other"),
        ((1, 0), (0.6, 0.8), "other"),
        ((0.6, 0.8), (0.6, -0.8), "flipped"),
        ((2, 0), (0, -1), "flipped"),
    ]:
        angle = math.degrees(math.atan2(e1[1], e1[0]))
        yield case("linear_map_explorer", "kind", e1, e2, expected={"kind": kind, "angle": angle})


def sum_cases(left: tuple[int, ...], right: tuple[int, ...]) -> Iterator[Case]:
    """One sum by broadcasting, as NumPy makes it."""
    shape = np.broadcast_shapes(left, right)
    yield case("tensors", "broadcastShape", left, right, expected=shape)
    full = [(1,) * (len(shape) - len(each)) + each for each in (left, right)]
    yield case("tensors", "linedUp", left, right, expected=full)
    strides = []
    for each, whole in zip((left, right), full, strict=True):
        dense, _ = tensors.locate(whole, (0,) * len(whole), "C")
        strides.append([0 if n == 1 else step for n, step in zip(whole, dense, strict=True)])
        yield case("tensors", "broadcastStrides", each, len(shape), expected=strides[-1])
    tens, ones = (np.arange(math.prod(each)).reshape(each) for each in (left, right))
    total = 10 * (tens + 1) + (ones + 1)
    for at in itertools.product(*map(range, shape)):
        places = [int(np.broadcast_to(each, shape)[at]) for each in (tens, ones)]
        parts = [10 * (places[0] + 1), places[1] + 1]
        assert total[at] == sum(parts)
        expected = {"result": shape, "strides": strides, "at": at, "places": places, "parts": parts}
        yield case("tensor_explorer", "added", left, right, at, expected=expected)


# ---- chapter 07 ----------------------------------------------------------------------------------------------------
OPTIMISERS: dict[str, Any] = {
    "sgd": lambda w, lr: optimisers.SGD(w, lr),
    "momentum": lambda w, lr: optimisers.Momentum(w, lr),
    "nesterov": lambda w, lr: optimisers.Momentum(w, lr, nesterov=True),
    "adagrad": lambda w, lr: optimisers.Adagrad(w, lr),
    "adadelta": lambda w, lr: optimisers.Adadelta(w, lr),
    "rmsprop": lambda w, lr: optimisers.RMSprop(w, lr, alpha=0.9),
    "adam": lambda w, lr: optimisers.Adam(w, lr),
    "adamax": lambda w, lr: optimisers.AdaMax(w, lr),
    "nadam": lambda w, lr: optimisers.Nadam(w, lr),
    "amsgrad": lambda w, lr: optimisers.Adam(w, lr, amsgrad=True),
    "adamw": lambda w, lr: optimisers.Adam(w, lr, decay=0.1),
}
LANDSCAPES: dict[str, Any] = {
    "valley": lambda x, y: (100 * x**2 + y**2) / 2,
    "turned": lambda x, y: (100 * ((x + y) / math.sqrt(2)) ** 2 + ((y - x) / math.sqrt(2)) ** 2) / 2,
    "bent": lambda x, y: (1 - x) ** 2 + 10 * (y - x**2) ** 2,
    "saddle": lambda x, y: (x**2 - y**2) / 2 + y**4 / 4,
    "ripples": lambda x, y: (x**2 + y**2) / 4 + (2 - np.cos(5 * x) - np.cos(5 * y)) / 5,
}


def slope_of(landscape: str, x: float, y: float) -> list[float]:
    """The gradient by complex steps: to the last digits, and by no formula of the widget's."""
    f, h = LANDSCAPES[landscape], 1e-30
    return [float(np.imag(f(x + 1j * h, y))) / h, float(np.imag(f(x, y + 1j * h))) / h]


def way(name: str, gradient: Any, start: list[float], rate: float, steps: int) -> list[list[float]]:
    """The places of a descent, made by the reference."""
    w = np.array(start)
    optimiser, path = OPTIMISERS[name]([w], rate), [w.tolist()]
    for _ in range(steps):
        optimiser.step([np.array(gradient(*w.tolist()), dtype=float)])
        path.append(w.tolist())
    return path


def lehmer(count: int, seed: int) -> np.ndarray:
    """Lehmer's generator between 0 and 1, without its first ten numbers."""
    made, state = [], seed
    for _ in range(count + 10):
        state = state * 48271 % (2**31 - 1)
        made.append(state / (2**31 - 1))
    return np.array(made[10:])


def lehmer_bells(count: int, seed: int) -> np.ndarray:
    return lehmer(12 * count, seed).reshape(count, 12).sum(axis=1) - 6


class Drawn:
    """Stands for NumPy's generator: the reference draws from Lehmer's numbers."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def uniform(self, low: float, high: float, size: tuple[int, int]) -> np.ndarray:
        return low + (high - low) * lehmer(math.prod(size), self.seed).reshape(size)

    def normal(self, mean: float, deviation: float, size: tuple[int, int]) -> np.ndarray:
        return mean + deviation * lehmer_bells(math.prod(size), self.seed).reshape(size)

    def random(self, size: tuple[int, int]) -> np.ndarray:
        return lehmer(math.prod(size), self.seed).reshape(size)


def optimisers_cases(rng: np.random.Generator) -> Iterator[Case]:
    formulas: list[tuple[str, Any, float, int]] = [
        ("[3 * u, v - 2]", lambda u, v: [3 * u, v - 2], 0.1, 30),
        ("[100 * (u + v), u * v]", lambda u, v: [100 * (u + v), u * v], 0.003, 8),
        # As small as ε, so that its sign counts.
        ("[1e-8, -3e-8]", lambda u, v: [1e-8, -3e-8], 1.0, 5),
        ("[1e-10, -3e-10]", lambda u, v: [1e-10, -3e-10], 1.0, 5),
        ("[1e-3, -1e-2]", lambda u, v: [1e-3, -1e-2], 1.0, 5),
    ]
    for name, (formula, gradient, rate, steps) in itertools.product(OPTIMISERS, formulas):
        start = [1.2, -0.4]
        expected = way(name, gradient, start, rate, steps)
        yield case("optimisers", "descend", name, {"formula": formula}, start, rate, steps, expected=expected)
    for landscape, f in LANDSCAPES.items():
        for x, y in rng.normal(size=(4, 2)):
            yield case("optimiser_race", "height", landscape, x, y, expected=f(x, y))
            yield case("optimiser_race", "slope", landscape, x, y, expected=slope_of(landscape, x, y))
        for name in ("sgd", "adam"):
            start, rate = [1.2, 0.2], 0.01
            path = way(name, lambda x, y, on=landscape: slope_of(on, x, y), start, rate, 12)
            expected = {"path": path, "loss": f(*path[-1])}
            yield case("optimiser_race", "race", name, landscape, start, rate, 12, expected=expected)

    yield case("optimisers", "uniforms", 40, 7, expected=lehmer(40, 7))
    yield case("optimisers", "bells", 9, 3, expected=lehmer_bells(9, 3))
    for rule, (inputs, outputs) in itertools.product(("uniform", "glorot", "he"), ((3, 5), (4, 2))):
        drawn: Any = Drawn(11)
        expected = optimisers.initial_weights(drawn, inputs, outputs, rule)
        yield case("optimisers", "initialWeights", 11, inputs, outputs, rule, expected=expected)
    for rule, activation, depth in [("glorot", "tanh", 2), ("he", "relu", 3), ("uniform", "tanh", 2)]:
        x, grad = (lehmer_bells(400, seed).reshape(20, 20) for seed in (1, 2))
        drawn_layers = [(optimisers.initial_weights(Drawn(k + 3), 20, 20, rule), np.zeros(20)) for k in range(depth)]  # type: ignore[arg-type]
        h, stored = backpropagation.mlp_forward(x, drawn_layers, [activation] * depth)
        found = signals(grad, x, drawn_layers, [activation] * depth)
        expected = {"says": [*(read for read, _ in stored[1:]), h], "grads": found}
        yield case("initialisation_depth", "layersOf", rule, activation, depth, expected=expected)
        yield case("initialisation_depth", "size", h, expected=np.sqrt(np.mean(h**2)))
    values = [-5.0, -0.9, 0.05, 0.11, 0.12, 1.4, 7.0, 0.0]
    counts, _ = np.histogram(np.clip(values, -1.99, 1.99), bins=8, range=(-2, 2))
    yield case("initialisation_depth", "histogram", values, -2, 2, 8, expected=counts / 8)
    yield case("initialisation_depth", "histogram", [1.5, 2.5, 3.9], 1, 4, 3, expected=[1 / 3, 1 / 3, 1 / 3])
    yield case("initialisation_depth", "nearZero", values, 0.05, expected=0.25)
    for inverted, train, p in itertools.product((True, False), (True, False), (0.3, 0.5)):
        layer = optimisers.Dropout(p, Drawn(5), inverted)  # type: ignore[arg-type]
        factor = layer.forward(np.ones((12, 10)), train)
        yield case("optimisers", "dropoutFactor", 5, 12, 10, p, inverted, train, expected=factor)
        expected = {
            "factor": factor,
            "silent": int((factor == 0).sum()),
            "loud": factor.max(),
            "sum": factor.sum() / 12,
        }
        kind, mode = "inverted" if inverted else "standard", "train" if train else "test"
        yield case("dropout_viewer", "situation", 5, p, kind, mode, expected=expected)


# ---- chapter 08 ----------------------------------------------------------------------------------------------------
def stored_model(name: str) -> Any:
    """What a module of data holds."""
    path = Path(__file__).parents[2] / "assets" / "widgets" / f"{name}.mjs"
    return json.loads(path.read_text(encoding="utf-8").split("MODEL = ")[1].rstrip(";\n"))


def next_words(model: str, text: list[int]) -> np.ndarray | None:
    """P(word | text) by one of the explorer's four models."""
    stored = stored_model("next_word_model")
    tokens, size = np.array(stored["tokens"]), len(stored["words"])
    if model == "network":
        context = np.array([[0, 0, 0, *text][-3:]])
        parts = {name: np.array(part) for name, part in stored["network"].items()}
        return np.exp(losses.log_softmax(feedforward_lm.feedforward_logits(context, **parts)))[0]
    if model == "kneser_ney":
        return ngrams.KneserNey(3, modified=False).fit(tokens, size).distribution(np.array(text))
    order = {"bigram": 2, "trigram": 3}[model]
    context = np.array([0, 0, *text][-(order - 1) :])
    found, counts = ngrams.count_ngrams(np.append(0, tokens), order)
    follows = (found[:, :-1] == context).all(axis=1)
    row = np.bincount(found[follows, -1], counts[follows], size)
    return row / row.sum() if row.any() else None


def ngrams_cases(rng: np.random.Generator) -> Iterator[Case]:
    for p in ([0.5], [0.1, 0.2, 0.9], rng.uniform(0.01, 1, size=7).tolist()):
        yield case("ngrams", "perplexity", p, expected=ngrams.perplexity(np.array(p)))
    for choices in ([2, 9, 4, 3], [64, 1, 1, 7]):
        p = 1 / np.array(choices, dtype=float)
        value = ngrams.perplexity(p)
        expected = {"probability": p.prod(), "perplexity": value, "bits": math.log2(value), "mean": np.mean(choices)}
        yield case("perplexity_branching", "summary", choices, expected=expected)
    tokens = [*rng.integers(0, 5, size=40).tolist(), 0]
    for text in ([], [1], [2, 0], [1, 3], [4, 4, 4], [0, 2, 1], [3, 2, 1, 0, 4]):
        for order in (1, 2, 3):
            model = ngrams.KneserNey(order, modified=False).fit(np.array(tokens), 6)
            expected = model.distribution(np.array(text, dtype=np.int64))
            yield case("ngrams", "kneserNeyOf", tokens, 6, order, text, expected=expected)
    table = ngrams.bigram_table(np.array(tokens), 6)
    for word in range(6):
        row = table[word] / table[word].sum() if table[word].any() else None
        yield case("ngrams", "counted", tokens, 6, [word], expected=row)
    for p in (np.array([0.1, 0.4, 0.0, 0.3, 0.2]), np.full(4, 0.25), rng.dirichlet(np.ones(6))):
        for temperature, top_k, top_p in [
            (1, 9, 1),
            (0.5, 9, 1),
            (2, 3, 1),
            (1, 2, 0.7),
            (1, 9, 0.65),
            (1, 9, 0.4),
            (3, 1, 0.05),
        ]:
            expected = choose(p, temperature, top_k, top_p)
            yield case("ngrams", "choose", p, temperature, top_k, top_p, expected=expected)
        for draw in (0.0, 0.12, 0.26, 0.53, 0.68, 0.999999):
            with np.errstate(divide="ignore"):
                expected = int(ngrams.sample_words(np.log(p), 1.0, np.array([draw]))[0])
            yield case("ngrams", "sampleWord", p, draw, expected=expected)
    yield case("ngrams", "sampleWord", [0.5, 0.4, 0.0], 0.95, expected=1)  # rounding left the last end below the draw
    parts = [rng.normal(size=size) for size in ((4, 2), (6, 3), (3,), (3, 4), (4,))]
    given = dict(zip(("embeddings", "w1", "b1", "w2", "b2"), parts, strict=True))
    for context in ([0, 3, 1], [2, 2, 2]):
        expected = np.exp(losses.log_softmax(feedforward_lm.feedforward_logits(np.array([context]), *parts)))[0]
        yield case("feedforward_lm", "distribution", context, given, expected=expected)
    for model, text in itertools.product(("bigram", "trigram", "kneser_ney", "network"), ([], [3, 7, 17, 2], [2, 0])):
        p = next_words(model, text)
        looks = {"bigram": 1, "network": 3}.get(model, 2)
        yield case("next_word", "contextOf", text, model, expected=[0, 0, 0, *text][-looks:])
        yield case("next_word", "expected", model, text, expected=p)
        for seed in (1, 2):
            word = 0
            if p is not None:
                draw = lehmer(len(text) + 1, seed)[-1:]
                with np.errstate(divide="ignore"):
                    word = int(ngrams.sample_words(np.log(choose(p, 0.8, 20, 0.9)), 1.0, draw)[0])
            yield case("next_word", "drawn", model, text, 0.8, 20, 0.9, seed, expected=word)


# ---- chapter 09 --------------------------------------------------------------------------------------------------------
def recurrent_cases(rng: np.random.Generator) -> Iterator[Case]:
    keys = [
        *("z1", "h1", "z2", "h2", "loss", "grad_h2", "grad_z2", "back1", "own1", "grad_h1", "grad_z1"),
        *("grad_u", "grad_w", "grad_b", "grad_h0"),
    ]
    paper = (0.5, 2.0, -0.5, 0.25, (1.0, 2.0), (1.0, 0.0))
    others = [(*rng.normal(size=4).tolist(), tuple(rng.normal(size=2)), tuple(rng.normal(size=2))) for _ in range(4)]
    for given in [paper, *others]:
        made = recurrent.two_step_example(*given)  # type: ignore[arg-type]
        yield case("recurrent", "twoStepExample", *given, expected=made)
        for step in (0, 4, 15):
            expected = [[key, made[key]] for key in keys[:step]]
            yield case("unrolled_network", "known", *given, step, expected=expected)
    for time, features in [(1, 2), (4, 3), (6, 2)]:
        w, inputs, last = (
            rng.normal(size=(features, features)),
            rng.normal(size=(time, features)),
            rng.normal(size=features),
        )
        yield case("recurrent", "rowTimes", last, w, expected=last @ w)
        yield case("recurrent", "rowTimesTransposed", last, w, expected=last @ w.T)
        every, zero = np.ones((1, time), dtype=bool), np.zeros((1, features))
        states = recurrent.rnn_forward(inputs[None], zero, every, np.eye(features), w, np.zeros(features))
        yield case("recurrent", "rnnForward", inputs, w, expected=states[0])
        norms = recurrent.gradient_norms(last[None], states, w)
        yield case("recurrent", "gradientNorms", last, states[0], w, expected=norms)

    draw = lehmer_bells(36, 3).reshape(6, 6)
    unit = recurrent.with_spectral_radius(draw + draw.T, 1.0)
    yield case("recurrent", "unitMatrix", 6, 3, expected=unit)
    for radius, words, length in [(1.0, 0.5, 40), (0.7, 0.0, 12), (1.5, 0.3, 100), (2.0, 2.0, 5)]:
        inputs = words * lehmer_bells(6 * 101, 5).reshape(101, 6)[: length + 1]
        every, zero = np.ones((1, length + 1), dtype=bool), np.zeros((1, 6))
        states = recurrent.rnn_forward(inputs[None], zero, every, np.eye(6), radius * unit, np.zeros(6))
        norms = recurrent.gradient_norms(np.ones((1, 6)) / np.sqrt(6), states, radius * unit)
        yield case("gradient_through_time", "lags", radius, words, length, expected=norms)
    for norms, factor, word in [
        ([1.0, 0.5, 0.25], 0.5, "vanishes"),
        ([2.0, 9.0, 18.0], 3.0, "explodes"),
        ([3.0, 3.03], 1.01, "lasts"),
    ]:
        yield case("gradient_through_time", "fate", norms, expected={"factor": factor, "word": word})
    yield case("gradient_through_time", "clipLength", 3.0, 2.5, expected=2.5)
    yield case("gradient_through_time", "clipLength", 0.1, 2.5, expected=0.1)

    equal = np.array([0.0, 2.0, 1.0, 2.0, 1.0, 1.0, 0.0])
    shares = np.array([0.36, 0.24, 0.12, 0.1, 0.08, 0.05, 0.04, 0.01])
    for settings in [
        (1.0, None, None),
        (0.0, None, None),
        (0.6, 3, None),
        (2.0, None, 0.7),
        (1.3, 5, 0.45),
        (1.0, 4, None),
    ]:
        for logits in (rng.normal(size=6), equal, np.array([1000.0, 999.0, -1000.0])):
            expected = recurrent.word_probabilities(logits, *settings)
            yield case("recurrent", "wordProbabilities", logits, *settings, expected=expected)
    for t, k, p in [(1.0, 8, 1.0), (0.5, 8, 1.0), (1.0, 3, 1.0), (1.0, 8, 0.65), (2.0, 5, 0.5), (0.0, 8, 1.0)]:
        expected = recurrent.word_probabilities(np.log(shares), t, None if k == 8 else k, None if p == 1 else p)
        yield case("word_sampler", "reshaped", t, k, p, expected=expected)
    for probabilities, seed in [(shares, 3), (np.array([0.2, 0.1, 0.0]), 4)]:
        ends, last = np.cumsum(probabilities), np.flatnonzero(probabilities)[-1]
        places = np.searchsorted(ends, lehmer(30, seed), side="right")
        yield case(
            "word_sampler", "drawn", probabilities, 30, seed, expected=np.where(places < len(ends), places, last)
        )


# ---- chapter 10 --------------------------------------------------------------------------------------------------------
def lstm_of(u: np.ndarray, w: np.ndarray, b: np.ndarray) -> torch.nn.LSTMCell:
    """torch's own cell with these weights, rows are inputs."""
    cell = torch.nn.LSTMCell(*u.shape[:1], w.shape[0], dtype=torch.float64)
    with torch.no_grad():
        for parameter, value in zip(cell.parameters(), (u.T, w.T, b, np.zeros_like(b)), strict=True):
            parameter.copy_(torch.from_numpy(np.ascontiguousarray(value)))
    return cell


def lstm_steps(
    inputs: np.ndarray, u: np.ndarray, w: np.ndarray, b: np.ndarray, start: Any = None
) -> list[dict[str, Any]]:
    """Gates and states of every step as tensors that remember their gradients; the states are those of torch's cell."""
    cell, steps = lstm_of(u, w, b), []
    h, c = (torch.zeros(len(w), dtype=torch.float64),) * 2 if start is None else map(torch.from_numpy, start)
    for x in torch.from_numpy(inputs):
        expected = cell(x, (h, c))
        z_input, z_forget, z_candidate, z_output = (cell.weight_ih @ x + cell.weight_hh @ h + cell.bias_ih).chunk(4)
        step = {"input": z_input.sigmoid(), "forget": z_forget.sigmoid(), "candidate": z_candidate.tanh()}
        step |= {"output": z_output.sigmoid(), "c": step["forget"] * c + step["input"] * step["candidate"]}
        step["h"] = step["output"] * step["c"].tanh()
        h, c = step["h"], step["c"]
        torch.testing.assert_close((h, c), tuple(expected))
        steps.append(step)
    return steps


def numbers(steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value.detach().numpy() for name, value in step.items()} for step in steps]


def sizes_of(last: Any, before: list[Any]) -> list[float]:
    """Root of the mean over units of the squares of d last / d each of the earlier ones, the last one first."""
    rows = [torch.autograd.grad(value, before, retain_graph=True) for value in last]
    squares = [sum(float((row[t] ** 2).sum()) for row in rows) for t in range(len(before))]
    return [math.sqrt(square / len(last)) for square in reversed(squares)]


def forget_sizes(steps: list[dict[str, Any]]) -> list[float]:
    forget = np.array([step["forget"].detach().numpy() for step in steps[:0:-1]]).reshape(-1, len(steps[0]["c"]))
    left = np.cumprod(np.vstack([np.ones(forget.shape[1]), forget]), axis=0)
    return np.sqrt((left**2).mean(axis=1)).tolist()


def tanh_states(inputs: np.ndarray, w: np.ndarray) -> list[Any]:
    h, states = torch.zeros(len(w), dtype=torch.float64, requires_grad=True), []
    for x in torch.from_numpy(inputs):
        h = (x + h @ torch.from_numpy(w)).tanh()
        states.append(h)
    return states


def lstm_cases(rng: np.random.Generator) -> Iterator[Case]:
    for time, features, units in [(1, 2, 3), (5, 3, 2), (7, 4, 4)]:
        u, w, b = (
            rng.normal(size=(features, 4 * units)),
            rng.normal(size=(units, 4 * units)),
            rng.normal(size=4 * units),
        )
        inputs, start = rng.normal(size=(time, features)), rng.normal(size=(2, units))
        given = {"u": u, "w": w, "b": b}
        [one] = numbers(lstm_steps(inputs[:1], u, w, b, start))
        yield case("lstm", "lstmStep", inputs[0], *start, given, expected=one)
        steps = lstm_steps(inputs, u, w, b)
        made = numbers(steps)
        yield case("lstm", "lstmForward", inputs, given, expected=made)
        expected = sizes_of(steps[-1]["c"], [step["c"] for step in steps])
        yield case("lstm", "cellGradients", made, w, expected=expected)
        yield case("lstm", "forgetProducts", made, expected=forget_sizes(steps))
        square, words = rng.normal(size=(units, units)), rng.normal(size=(time, units))
        states = tanh_states(words, square)
        plain_states = [state.detach().numpy() for state in states]
        yield case("lstm", "stateGradients", plain_states, square, expected=sizes_of(states[-1], states))

    words = 0.5 * lehmer_bells(6 * 101, 5).reshape(101, 6)
    u, w = (0.5 / math.sqrt(6) * lehmer_bells(144, seed).reshape(6, 24) for seed in (11, 12))
    draw = lehmer_bells(36, 3).reshape(6, 6)
    unit = recurrent.with_spectral_radius(draw + draw.T, 1.0)
    yield case("memory_gradient", "drawn", expected={"words": words, "u": u, "w": w, "unit": unit})
    for bias, radius, length in [(1.0, 1.0, 60), (-2.0, 0.5, 5), (5.0, 1.5, 100)]:
        b = np.zeros(24)
        b[6:12] = bias
        steps, states = lstm_steps(words[: length + 1], u, w, b), tanh_states(words[: length + 1], radius * unit)
        expected = {
            "lstm": sizes_of(steps[-1]["c"], [step["c"] for step in steps]),
            "straight": forget_sizes(steps),
            "rnn": sizes_of(states[-1], states),
            "gate": np.mean([step["forget"] for step in numbers(steps)]),
        }
        yield case("memory_gradient", "curves", bias, radius, length, expected=expected)
    yield case("memory_gradient", "factor", [1.0, 0.3, 0.25], expected=0.5)

    model = stored_model("gate_map_model")
    for text in GATE_MAP_TEXTS:
        words = text.split()
        rows = [[float(each == word) for each in model["words"]] for word in [".", *words]]
        made = numbers(lstm_steps(np.array(rows), *(np.array(model[name]) for name in "uwb")))[1:]
        for step in made:
            logits = step["h"] @ np.array(model["wOut"]) + np.array(model["bOut"])
            step["p"] = np.exp(losses.log_softmax(logits[None]))[0]
        yield case("gate_map", "read", words, expected=made)
        opened = [
            [words[: t + 1].count(a) - words[: t + 1].count(b) for a, b in ("“”", "()")] for t in range(len(words))
        ]
        yield case("gate_map", "openSigns", words, expected=opened)
    yield case("gate_map", "strength", "c", 2.0, expected=math.tanh(2.0))
    yield case("gate_map", "strength", "forget", 0.7, expected=0.7)


#: What the map of gates is tried on: nothing open, a quotation, a bracket in a quotation.
GATE_MAP_TEXTS = (
    "the king sees the bird .",
    "the bird says “ the river likes the king ” .",
    "the child says “ the king hears the bird ( the river sees the child ) ” and the bird likes the king .",
)


# ---- chapter 12 --------------------------------------------------------------------------------------------------------
def attention_of(q: np.ndarray, k: np.ndarray, v: np.ndarray, causal: bool, scaled: bool) -> dict[str, Any]:
    """Scores, weights and output; the output is that of torch's own function."""
    scores = q @ k.T / (math.sqrt(q.shape[1]) if scaled else 1.0)
    if causal:
        scores = np.where(np.tri(*scores.shape, dtype=bool), scores, -np.inf)
    weights = np.exp(losses.log_softmax(scores))
    output = torch.nn.functional.scaled_dot_product_attention(
        *(torch.from_numpy(rows)[None] for rows in (q, k, v)), is_causal=causal, scale=None if scaled else 1.0
    )[0]
    np.testing.assert_allclose(weights @ v, output.numpy(), rtol=1e-9, atol=1e-12)
    return {"scores": scores, "weights": weights, "output": output.numpy()}


def encodings_of(positions: int, width: int) -> np.ndarray:
    angles = np.arange(positions)[:, None] / 10000 ** (np.arange(0, width, 2) / width)  # (positions, width / 2)
    return np.stack([np.sin(angles), np.cos(angles)], axis=2).reshape(positions, width)


def attention_cases(rng: np.random.Generator) -> Iterator[Case]:
    for time, width, features in [(1, 1, 2), (4, 3, 2), (6, 8, 5)]:
        q, k, v = rng.normal(size=(time, width)), rng.normal(size=(time, width)), rng.normal(size=(time, features))
        for causal, scaled in itertools.product((False, True), repeat=2):
            expected = attention_of(q, k, v, causal, scaled)
            yield case("attention", "scaledDotProduct", q, k, v, causal, scaled, expected=expected)
        yield case("attention", "dot", q[0], k[0], expected=q[0] @ k[0])
    q = np.array([[1000.0, -1000.0], [0.0, 500.0]])
    yield case(
        "attention", "scaledDotProduct", q, q, np.eye(2), True, True, expected=attention_of(q, q, np.eye(2), True, True)
    )
    for p, bits in [([0.5, 0.25, 0.25, 0.0], 1.5), ([1.0], 0.0), ([0.1] * 10, math.log2(10))]:
        yield case("attention", "entropy", p, expected=bits)
    for positions, width in [(5, 4), (40, 32), (64, 6)]:
        encodings = encodings_of(positions, width)
        yield case("attention", "sinusoidal", positions, width, expected=encodings)
        for position in (0, positions // 3, positions - 1):
            product = encodings @ encodings[position]
            expected = {"all": product, "least": product.min(), "far": int(product.argmin())}
            yield case("positional_map", "products", encodings, position, expected=expected)
    for dimension, width, length in [
        (0, 8, 2 * math.pi),
        (1, 8, 2 * math.pi),
        (4, 8, 200 * math.pi),
        (5, 8, 200 * math.pi),
    ]:
        yield case("attention", "waveLength", dimension, width, expected=length)
    for position, neighbour in [(0, 1), (6, 7), (7, 6)]:
        yield case("positional_map", "beside", position, 8, expected=neighbour)

    for head, d, causal, scaled in itertools.product(HEADS, (4, 16, 64, 256), (False, True), (False, True)):
        q, k = HEADS[head]
        blocks = d // 4
        alike = (blocks + math.isqrt(blocks)) // 2
        signs = np.repeat([1.0] * alike + [-1.0] * (blocks - alike), 4)
        wide = {"q": np.tile(q, blocks) * signs, "k": np.tile(k, blocks)}
        np.testing.assert_allclose(wide["q"] @ wide["k"].T, math.sqrt(blocks) * q @ k.T, atol=1e-12)
        if causal and scaled:
            yield case("attention_explorer", "widened", head, d, expected=wide)
        expected = attention_of(wide["q"], wide["k"], HANDED_OVER, causal, scaled)
        yield case("attention_explorer", "attend", head, causal, scaled, d, expected=expected)


def circles(t: np.ndarray) -> np.ndarray:
    return 2.4 * np.stack([np.cos(0.3 * t), np.sin(0.3 * t), np.cos(1.3 * t), np.sin(1.3 * t)], axis=1)


def sparse(rows: dict[int, list[float]], width: int = 4) -> np.ndarray:
    """Ten rows of which only some are not 0."""
    return np.array([rows.get(t, [0.0] * width) for t in range(10)], dtype=np.float64)


#: Queries and keys of the heads of the attention explorer, and what its words hand over.
HEADS = {
    "before": (circles(np.arange(-1.0, 9.0)), circles(np.arange(10.0))),
    "meant": (
        sparse(
            {
                0: [1, 1, 0, 0],
                1: [1.6, 1.6, 0, 0],
                2: [1, 0, 0, 2],
                3: [2, 1.4, 0, 0],
                4: [0.4, 1.6, 0, 0],
                5: [0, 1, 1.4, 0.4],
                6: [0, 0, 1.8, 0.6],
                7: [2.8, 0.8, 0, 0],
                8: [2, 0, 0, 1.6],
                9: [2.6, 0.4, 0, 0],
            }
        ),
        sparse(
            {
                1: [0, 0, 0, 2],
                2: [2.2, 1, 0, 0],
                3: [0, 0, 2.2, 0],
                5: [0.3, 2.2, 0, 0],
                7: [1.2, 0.6, 0, 0],
                8: [0, 0, 1.4, 0],
                9: [0, 0, 0, 2.2],
            }
        ),
    ),
    "clause": (
        sparse(
            {
                0: [2.4, 0, 0.4, 0],
                1: [2.4, 0, 0.4, 0],
                2: [0, 2, 0, 1.4],
                3: [2.3, 0, 2.4, 0],
                4: [0.4, 0, 2.6, 0],
                5: [0, 2, 0, 1.4],
                6: [0, 2.6, 0, 0],
                7: [0, 2.6, 0, 0],
                8: [2.6, 0, 0, 0],
                9: [1.8, 1.6, 0, 0],
            }
        ),
        sparse(
            {
                0: [0, 0, 0, 2.2],
                1: [0, 0, 0, 1.6],
                2: [2.4, 0, 0.4, 0],
                3: [0, 2.4, 0, 0],
                4: [0, 0, 0, 2.2],
                5: [0.4, 0, 2.4, 0],
                7: [2.6, 0, 0, 0],
                8: [0, 2.4, 0, 0],
                9: [0, 1, 0.6, 0],
            }
        ),
    ),
    "alike": (
        np.tile([0.2, -0.1, 0.1, 0.2], (10, 1)),
        np.array([[1, 0.5 * (t % 3), 0.8, 0.4 * (t % 2)] for t in range(10)]),
    ),
}
HANDED_OVER = sparse(
    {1: [0, 0, 0, 1], 2: [1, 0, 0, 0], 3: [0, 0, 1, 0], 5: [0, 1, 0, 0], 8: [0, 0, 1, 0], 9: [0, 0, 0, 1]}
)
