"""Figures that several chapters draw."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

#: Okabe and Ito's palette: distinguishable with every common form of colour blindness.
COLOURS = {
    "black": "#000000",
    "orange": "#E69F00",
    "sky": "#56B4E9",
    "green": "#009E73",
    "yellow": "#F0E442",
    "blue": "#0072B2",
    "vermilion": "#D55E00",
    "purple": "#CC79A7",
}


def draw_decision(axes: Axes, x: np.ndarray, y: np.ndarray, w: np.ndarray | None = None, b: float = 0.0) -> None:
    """Draw samples in the plane and, if weights are given, the line x·w + b = 0 with its firing side hatched.

    Args:
        axes: where to draw.
        x: samples, shape (samples, 2).
        y: labels, shape (samples,): filled discs for 1, open squares for 0.
        w: weights, shape (2,).
        b: bias.
    """
    room = 0.2 * np.ptp(x, axis=0) + 0.2
    low, high = x.min(axis=0) - room, x.max(axis=0) + room
    if w is not None:
        across, up = np.meshgrid(np.linspace(low[0], high[0], 201), np.linspace(low[1], high[1], 201))
        z = across * w[0] + up * w[1] + b
        axes.contourf(across, up, z, levels=[0, np.inf], colors=[COLOURS["sky"]], alpha=0.25, hatches=["//"])
        axes.contour(across, up, z, levels=[0], colors=[COLOURS["black"]], linewidths=1.5)
    axes.scatter(
        x[y == 0, 0],
        x[y == 0, 1],
        marker="s",
        s=70,
        facecolors="white",
        edgecolors=COLOURS["vermilion"],
        lw=2,
        zorder=3,
    )
    axes.scatter(x[y == 1, 0], x[y == 1, 1], marker="o", s=70, color=COLOURS["blue"], zorder=3)
    axes.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), xlabel="$x_1$", ylabel="$x_2$", aspect="equal")


def draw_fold(x: np.ndarray, hidden: np.ndarray, y: np.ndarray, w: np.ndarray, b: float) -> Figure:
    """Draw the four corners of a square beside what a hidden layer makes of them, with a line that separates them.

    Args:
        x: corners, shape (4, 2), in the order of a truth table.
        hidden: the hidden layer's output for each corner, shape (4, 2).
        y: labels, shape (4,), 0 or 1.
        w: weights of the dividing line in the hidden plane, shape (2,).
        b: bias of the dividing line.

    Returns:
        A figure with two panels.
    """
    figure, (before, after) = plt.subplots(1, 2, figsize=(8, 3.6), layout="constrained")
    along = np.array([0, 1, 3])  # from the corner (low, low) over a mixed corner to (high, high)
    before.plot(*x[[0, 1, 3, 2, 0]].T, color=COLOURS["black"], lw=0.8, ls=":")
    after.plot(*hidden[along].T, color=COLOURS["black"], lw=0.8, ls=":")
    draw_decision(before, x, y)
    draw_decision(after, hidden, y, w, b)
    for axes, points in ((before, x), (after, hidden)):
        names: dict[tuple[float, ...], list[str]] = {}
        for corner, point in zip(x, points, strict=True):
            names.setdefault(tuple(np.round(point, 6)), []).append(f"({corner[0]:g}, {corner[1]:g})")
        for place, labels in names.items():
            aside = (8, -26) if len(labels) > 1 else (8, 8)  # points
            axes.annotate(" and\n".join(labels), place, xytext=aside, textcoords="offset points", fontsize=9)
        axes.margins(0.3)
    before.set_title("input space")
    after.set(title="hidden space", xlabel="$h_1$", ylabel="$h_2$")
    return figure


def draw_activations(
    names: Sequence[str],
    function: Callable[[str, np.ndarray], np.ndarray],
    slope: Callable[[str, np.ndarray], np.ndarray],
) -> Figure:
    """Draw activation functions, each in its own panel, with their slopes dashed.

    Args:
        names: which ones, at most twelve.
        function: called with a name and an array of any shape.
        slope: the same for the derivative.

    Returns:
        A figure with three rows of four panels.
    """
    figure, panels = plt.subplots(3, 4, figsize=(10, 6.5), sharex=True, sharey=True, layout="constrained")
    z = np.linspace(-3, 3, 601)
    for axes, name in zip(panels.flat, names, strict=False):
        axes.axhline(0, color=COLOURS["black"], lw=0.5)
        axes.axvline(0, color=COLOURS["black"], lw=0.5)
        axes.plot(z, function(name, z), color=COLOURS["blue"], lw=2, label="f(z)")
        axes.plot(z, slope(name, z), color=COLOURS["vermilion"], lw=1.5, ls="--", label="f′(z)")
        axes.set(title=name, ylim=(-1.3, 2.2))
    panels[0, 0].legend(loc="upper left", fontsize=9)
    return figure


def draw_letter_maps(maps: dict[str, np.ndarray]) -> Figure:
    """Draw yes/no answers for every pair of letters, one panel a map: dark where the answer is yes.

    Args:
        maps: title → bool array of shape (26, 26), first letter down, second letter across.

    Returns:
        A figure with one panel a map.
    """
    figure, panels = plt.subplots(1, len(maps), figsize=(4 * len(maps), 4.2), sharey=True, layout="constrained")
    letters = [chr(ord("a") + i) for i in range(26)]
    for axes, (title, answers) in zip(np.atleast_1d(panels), maps.items(), strict=True):
        axes.imshow(answers, cmap=ListedColormap(["#FFFFFF", COLOURS["blue"]]), vmin=0, vmax=1)
        axes.set(title=title, xlabel="second letter")
        axes.set_xticks(range(26), letters, fontsize=7)
        axes.set_yticks(range(26), letters, fontsize=7)
    np.atleast_1d(panels)[0].set_ylabel("first letter")
    return figure


def draw_two_two_one(weights: dict[str, float], panels: dict[str, tuple[np.ndarray, np.ndarray]]) -> Figure:
    """Draw a 2-2-1 network with what its units say and the signals that come back, one panel a case.

    Args:
        weights: by "w13" for the weight from unit 1 to unit 3; unit 0 is the bias.
        panels: title → (u, delta), both of shape (3,), for the units 3, 4, 5.

    Returns:
        A figure with one panel a case: thin grey lines forward, dashed red ones backward where a signal passes.
    """
    figure, axes_list = plt.subplots(1, len(panels), figsize=(5.2 * len(panels), 3.6), layout="constrained")
    place = {1: (0.0, 1.0), 2: (0.0, 0.0), 3: (1.0, 1.0), 4: (1.0, 0.0), 5: (2.0, 0.5)}
    for axes, (title, (u, delta)) in zip(np.atleast_1d(axes_list), panels.items(), strict=True):
        signals = dict(zip((3, 4, 5), delta, strict=True))
        for key, weight in weights.items():
            start, end = int(key[1]), int(key[2])
            if start == 0:
                continue
            (x0, y0), (x1, y1) = place[start], place[end]
            axes.plot([x0, x1], [y0, y1], color=COLOURS["black"], lw=0.8, zorder=1)
            axes.text(x0 + 0.3 * (x1 - x0), y0 + 0.3 * (y1 - y0) + 0.04, f"{weight:g}", fontsize=8)
            if end == 5 and signals[start] != 0:
                axes.annotate(
                    "",
                    (x0 + 0.17, y0 - 0.06 + 0.17 * (y1 - y0)),
                    (x1 - 0.17, y1 - 0.06 - 0.17 * (y1 - y0)),
                    arrowprops={"arrowstyle": "->", "color": COLOURS["vermilion"], "lw": 1.5, "ls": "--"},
                )
        for unit, (across, up) in place.items():
            axes.scatter(across, up, s=620, facecolors="white", edgecolors=COLOURS["blue"], lw=1.5, zorder=2)
            axes.text(across, up, str(unit), ha="center", va="center", zorder=3)
            if unit in signals:
                axes.text(across, up + 0.2, f"u = {u[unit - 3]:.4g}", ha="center", color=COLOURS["blue"], fontsize=9)
                text = f"δ = {signals[unit]:.4g}"
                axes.text(across, up - 0.26, text, ha="center", color=COLOURS["vermilion"], fontsize=9)
        axes.set(title=title, xlim=(-0.3, 2.4), ylim=(-0.4, 1.4))
        axes.axis("off")
    return figure


def draw_training(histories: dict[str, np.ndarray], levels: dict[str, float]) -> Figure:
    """Draw loss and held-out accuracy over epochs, one line a run, with levels to compare the accuracy with.

    Args:
        histories: label → shape (epochs, 2): loss in nats, accuracy from 0 to 1.
        levels: label → accuracy from 0 to 1, drawn as a horizontal line.

    Returns:
        A figure with two panels.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
    names = ("blue", "vermilion", "green", "purple")
    for (label, history), colour, style in zip(histories.items(), names, ("-", "--", "-.", ":"), strict=False):
        epochs = np.arange(1, len(history) + 1)
        left.plot(epochs, history[:, 0], style, color=COLOURS[colour], lw=1.2, label=label)
        right.plot(epochs, 100 * history[:, 1], style, color=COLOURS[colour], lw=1.2, label=label)
    for label, level in levels.items():
        right.axhline(100 * level, color=COLOURS["black"], lw=0.8, ls=":")
        right.text(1, 100 * level + 0.2, label, fontsize=8)
    left.set(xlabel="epoch", ylabel="loss (nats)")
    right.set(xlabel="epoch", ylabel="% right on new text")
    left.legend(fontsize=9)
    return figure


def draw_step_sizes(steps: np.ndarray, errors: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> Figure:
    """Draw measured errors of difference quotients against the step, with the errors that theory expects.

    Args:
        steps: shape (steps,), positive.
        errors: name → measured error at each step; points, at most four names.
        expected: name → expected error at each step; lines in the colours of `errors`, by name.

    Returns:
        A figure with logarithmic axes.
    """
    figure, axes = plt.subplots(figsize=(7.5, 4), layout="constrained")
    looks = (("vermilion", "s", "--"), ("blue", "^", "-"), ("green", "o", ":"), ("purple", "v", "-."))
    for (name, error), (colour, marker, line) in zip(errors.items(), looks, strict=False):
        axes.loglog(steps, error, marker, ms=4, color=COLOURS[colour], label=f"{name}, measured")
        if name in expected:
            axes.loglog(steps, expected[name], line, lw=1.5, color=COLOURS[colour], label=f"{name}, expected")
    axes.set(xlabel="step h", ylabel="error")
    axes.invert_xaxis()
    axes.legend(fontsize=9)
    return figure


def draw_graph(
    places: dict[str, tuple[float, float]],
    edges: Sequence[tuple[str, str]],
    forward: dict[str, str],
    backward: dict[str, str],
) -> Figure:
    """Draw a computation graph: values above the nodes, gradients below them, arrows from parents to children.

    Args:
        places: node → its place, across and up.
        edges: pairs (parent, child).
        forward: node → text of its value.
        backward: node → text of its gradient; nodes may be missing.

    Returns:
        A figure without axes.
    """
    across, up = np.array(list(places.values())).T
    figure, axes = plt.subplots(figsize=(10, 4.4), layout="constrained")
    for parent, child in edges:
        arrow = {"arrowstyle": "->", "color": COLOURS["black"], "shrinkA": 17, "shrinkB": 17}
        axes.annotate("", places[child], places[parent], arrowprops=arrow)
    for name, (x, y) in places.items():
        box = {"boxstyle": "circle,pad=0.35", "facecolor": "white", "edgecolor": COLOURS["black"]}
        axes.text(x, y, name, ha="center", va="center", bbox=box, zorder=3)
        axes.text(x, y + 0.3, forward.get(name, ""), ha="center", va="bottom", color=COLOURS["blue"], fontsize=9)
        axes.text(x, y - 0.3, backward.get(name, ""), ha="center", va="top", color=COLOURS["vermilion"], fontsize=9)
    axes.set(xlim=(across.min() - 0.6, across.max() + 0.6), ylim=(up.min() - 0.9, up.max() + 0.8))
    axes.set_axis_off()
    return figure


def draw_regions(
    x: np.ndarray, y: np.ndarray, scores: dict[str, Callable[[np.ndarray], np.ndarray]], labels: tuple[str, str]
) -> Figure:
    """Draw where classifiers say yes over two features, one panel a classifier, with the samples on top.

    Samples are drawn a little beside their place, so that equal ones do not hide each other.

    Args:
        x: samples, shape (samples, 2).
        y: labels, shape (samples,): 1 or −1.
        scores: title → function from points (points, 2) to scores (points,); positive means yes, and is hatched.
        labels: names of the two features.

    Returns:
        A figure with one panel a classifier.
    """
    low, high = np.quantile(x, 0.005, axis=0), np.quantile(x, 0.995, axis=0)
    across, up = np.meshgrid(np.linspace(low[0], high[0], 121), np.linspace(low[1], high[1], 121))
    points = np.stack([across.ravel(), up.ravel()], axis=1)
    beside = x + np.random.default_rng(0).uniform(-0.2, 0.2, size=x.shape) * x.std(axis=0)
    figure, panels = plt.subplots(1, len(scores), figsize=(4.8 * len(scores), 4), sharey=True, layout="constrained")
    for axes, (title, score) in zip(np.atleast_1d(panels), scores.items(), strict=True):
        z = score(points).reshape(across.shape)
        axes.contourf(across, up, z, levels=[0, np.inf], colors=[COLOURS["sky"]], alpha=0.3, hatches=["//"])
        axes.contour(across, up, z, levels=[0], colors=[COLOURS["black"]], linewidths=1.5)
        for label, marker, colour in ((-1, "x", "vermilion"), (1, "o", "blue")):
            axes.scatter(*beside[y == label].T, marker=marker, s=9, lw=0.8, color=COLOURS[colour], alpha=0.5)
        axes.set(title=title, xlabel=labels[0], xlim=(low[0], high[0]), ylim=(low[1], high[1]))
    np.atleast_1d(panels)[0].set_ylabel(labels[1])
    return figure


#: The letter F as one line through its corners: a shape that shows whether it has been turned or mirrored.
LETTER_F = np.array([[0, 0], [0, 1], [0.6, 1], [0.6, 0.8], [0.2, 0.8], [0.2, 0.6], [0.5, 0.6], [0.5, 0.4], [0.2, 0.4]])
LETTER_F = np.vstack([LETTER_F, [[0.2, 0], [0, 0]]])


def draw_outlines(before: np.ndarray, after: dict[str, np.ndarray]) -> Figure:
    """Draw a closed line before (dotted) and after several maps, one panel a map.

    Args:
        before: corners in order, shape (corners, 2).
        after: title → the corners after the map, shape (corners, 2).

    Returns:
        A figure with one panel a map, all with the same axes.
    """
    figure, panels = plt.subplots(
        1, len(after), figsize=(2.6 * len(after), 2.8), sharex=True, sharey=True, layout="constrained"
    )
    for axes, (title, points) in zip(np.atleast_1d(panels), after.items(), strict=True):
        axes.axhline(0, color=COLOURS["black"], lw=0.5)
        axes.axvline(0, color=COLOURS["black"], lw=0.5)
        axes.plot(*before.T, ":", color=COLOURS["black"], lw=1.2)
        axes.plot(*points.T, "-", color=COLOURS["vermilion"], lw=2)
        axes.set(title=title, aspect="equal")
    return figure


def draw_words(views: dict[str, np.ndarray], words: Sequence[str], groups: dict[str, Sequence[str]]) -> Figure:
    """Draw words as points of a plane, one panel a view; the words of some groups are written out.

    Args:
        views: title → places, shape (words, 2).
        words: the word of each row.
        groups: name → words to write, at most five groups.

    Returns:
        A figure with one panel a view.
    """
    figure, panels = plt.subplots(1, len(views), figsize=(4.6 * len(views), 4.4), layout="constrained")
    looks = (("blue", "o"), ("vermilion", "s"), ("green", "^"), ("purple", "D"), ("black", "v"))
    row = {word: i for i, word in enumerate(words)}
    for axes, (title, places) in zip(np.atleast_1d(panels), views.items(), strict=True):
        axes.scatter(*places.T, s=3, color="#999999")
        for (name, members), (colour, marker) in zip(groups.items(), looks, strict=False):
            chosen = places[[row[word] for word in members if word in row]]
            axes.scatter(*chosen.T, s=22, marker=marker, color=COLOURS[colour], label=name)
            for word, place in zip([word for word in members if word in row], chosen, strict=True):
                axes.annotate(word, place, xytext=(3, 3), textcoords="offset points", fontsize=7)
        axes.set(title=title, xticks=[], yticks=[])
    np.atleast_1d(panels)[0].legend(fontsize=8, loc="best")
    return figure
