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
    """Draw the four corners of a square beside what a hidden layer makes of them, with a line that parts them there.

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
