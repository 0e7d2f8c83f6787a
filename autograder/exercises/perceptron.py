"""Exercises of chapter 02, the perceptron."""

import math
from collections.abc import Iterator

import numpy as np

from autograder.exercise import Case, case, exercise, explanation
from solutions import perceptron as ref

_CORNERS = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])


def _grid(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Multiples of 1/4 in [−2, 2]: sums of products are exact, so every program lands on the same side of the line."""
    return rng.integers(-8, 9, size=shape) / 4


def _separable(rng: np.random.Generator, samples: int, w: np.ndarray, b: float) -> tuple[np.ndarray, np.ndarray]:
    """Samples on the grid with labels from the line (w, b), none on the line, both labels present, in random order."""
    x = _grid(rng, 40 * samples, len(w))
    z = x @ w + b
    above, below = x[z > 0][: (samples + 1) // 2], x[z < 0][: samples // 2]
    x = rng.permutation(np.vstack([above, below]))
    return x, (x @ w + b > 0).astype(int)


# ---- 2.1 -------------------------------------------------------------------------------------------------------------
@exercise(ref.threshold_unit, points=1)
def threshold_unit(rng: np.random.Generator) -> Iterator[Case]:
    """Decide 0 or 1 for every row of x."""
    yield case("deck D's AND: two corners lie on the line", x=_CORNERS, w=np.array([1.0, 1.0]), b=-1.0)
    yield case(
        "the concert, far away and expensive", x=np.array([[0.5, 0.3, 1.0]]), w=np.array([0.5, 2.0, 0.5]), b=-1.0
    )
    for samples, features in [(5, 3), (8, 2), (6, 5)]:
        x, w = _grid(rng, samples, features), _grid(rng, features)
        w[0] = 0.5
        b = float(_grid(rng, 1)[0]) + 0.25
        x[0] = 0.0
        x[0, 0] = -b / 0.5  # exactly on the line
        x[1] = x[0]
        x[1, 0] += 0.5
        x[2] = x[0]
        x[2, 0] -= 0.5
        yield case(x=x, w=w, b=b)
    yield case("whole numbers", x=rng.integers(0, 2, size=(4, 3)), w=np.array([2.0, -3.0, 1.0]), b=0.0)
    tiny = 2.0**-45  # exact in every sum below
    near = np.array([[1.0, tiny], [1.0, 0.0], [1.0, -tiny], [1.0 + tiny, 0.0], [1.0 - tiny, 0.0]])
    yield case("a hair above and below the line (2**-45)", x=near, w=np.array([1.0, 1.0]), b=-1.0)


@threshold_unit.mistake(
    "On the line itself, where z is exactly 0, our unit stays silent. Decks A and C let it fire there; this "
    "course does not. Which rows of your input give z = 0?"
)
def fires_on_the_line(x, w, b):
    return (x @ w + b >= 0).astype(int)


@threshold_unit.mistake(
    "The bias is the threshold with its sign turned, so it is added to the sum. You compare the sum with b "
    "itself. With b = −1, would a sum of 0 make your unit fire?"
)
def bias_as_threshold(x, w, b):
    return (x @ w > b).astype(int)


@threshold_unit.mistake("Decisions are labelled 0 and 1 in this chapter, and you answer −1 where the unit is silent.")
def minus_one_when_silent(x, w, b):
    return np.where(x @ w + b > 0, 1, -1)


@threshold_unit.mistake("Every row of x is a sample with its own decision; you give one decision for the whole batch.")
def one_decision_for_all(x, w, b):
    return int(np.any(x @ w + b > 0))


@threshold_unit.mistake(
    "The bias is missing: your line always runs through the origin. What does your unit say to x = 0?"
)
def no_bias(x, w, b):
    return (x @ w > 0).astype(int)


@threshold_unit.mistake(
    "A score that is barely above 0 counts as 0 here: you leave room around the line, or round. Which values of z make "
    "the unit fire, according to the docstring?"
)
def room_around_the_line(x, w, b):
    return (x @ w + b > 1e-6).astype(int)


@threshold_unit.variant
def threshold_in_a_loop(x, w, b):
    decisions = []
    for row in x:
        total = b
        for value, weight in zip(row, w, strict=True):
            total += value * weight
        decisions.append(1 if total > 0 else 0)
    return np.array(decisions)


@threshold_unit.variant
def threshold_with_where(x, w, b):
    return np.where(np.einsum("sf,f->s", x, w) + b > 0, 1, 0)


@threshold_unit.variant
def threshold_with_heaviside(x, w, b):
    return np.heaviside((x * w).sum(axis=1) + b, 0.0).astype(np.int64)


# ---- 2.2 -------------------------------------------------------------------------------------------------------------
@exercise(ref.logic_gate, points=2, returns=("fires at z > 0", "fires at z ≥ 0"))
def logic_gate(rng: np.random.Generator) -> Iterator[Case]:
    """Choose weights and a bias for each gate, with no corner on the line."""
    for name in ["and", "or", "nand", "two of three", "xor"]:
        yield case(name, name=name)


@logic_gate.measure
def truth_table(value, name):
    w, b = value
    w, b = np.asarray(w, dtype=float), np.asarray(b, dtype=float).item()  # one bias, not one for each corner
    if w.size > 8:
        raise ValueError(f"w has {w.size:,} entries, far more than a gate has inputs")
    corners = np.array(list(np.ndindex(*[2] * w.size)), dtype=float)  # (0,0), (0,1), (1,0), (1,1), …
    z = corners @ w + b
    return (z > 0).astype(int), (z >= 0).astype(int)


@logic_gate.mistake(
    "A corner lies exactly on the line, so > and ≥ give different gates. Print z at every corner: between which "
    "two values is there room for 0?"
)
def corners_on_the_line(name):
    gates = {
        "and": ([1.0, 1.0], -1.5),
        "or": ([1.0, 1.0], 0.0),
        "nand": ([-1.0, -1.0], 2.0),
        "two of three": ([1.0, 1.0, 1.0], -1.0),
    }
    if name not in gates:
        raise ValueError(name)
    w, b = gates[name]
    return np.array(w), b


@logic_gate.mistake(
    "OR: with these weights, deck D's own, z is exactly 0 at (0, 0), so the corner lies on the line and the unit would "
    "fire there at z ≥ 0. Where, between the scores of 0 and of 1, is there room for the line?"
)
def or_on_the_line(name):
    gates = {
        "and": ([1.0, 1.0], -1.5),
        "or": ([1.0, 1.0], 0.0),
        "nand": ([-1.0, -1.0], 1.5),
        "two of three": ([1.0, 1.0, 1.0], -1.5),
    }
    if name not in gates:
        raise ValueError(name)
    w, b = gates[name]
    return np.array(w), b


@logic_gate.mistake(
    "Your bias is +σ instead of −σ. The unit adds b to the sum, so a gate that needs a larger sum "
    "has a smaller b. What is z at (0, 0)?"
)
def threshold_not_turned(name):
    gates = {
        "and": ([1.0, 1.0], -1.5),
        "or": ([1.0, 1.0], 0.5),
        "nand": ([-1.0, -1.0], -1.5),
        "two of three": ([1.0, 1.0, 1.0], 1.5),
    }
    if name not in gates:
        raise ValueError(name)
    w, b = gates[name]
    return np.array(w), b


@logic_gate.mistake(
    "NAND answers the opposite of AND at every corner. Turning the weights round is half of that; what must "
    "become of z as a whole?"
)
def nand_with_the_bias_of_and(name):
    gates = {
        "and": ([1.0, 1.0], -1.5),
        "or": ([1.0, 1.0], -0.5),
        "nand": ([-1.0, -1.0], -1.5),
        "two of three": ([1.0, 1.0, 1.0], -1.5),
    }
    if name not in gates:
        raise ValueError(name)
    w, b = gates[name]
    return np.array(w), b


@logic_gate.mistake(
    "For 'xor' you return None. That no unit computes it is right, but whoever asked has to hear of it: what does the "
    "docstring say under Raises?"
)
def nothing_for_xor(name):
    gates = {
        "and": ([1.0, 1.0], -1.5),
        "or": ([1.0, 1.0], -0.5),
        "nand": ([-1.0, -1.0], 1.5),
        "two of three": ([1.0, 1.0, 1.0], -1.5),
    }
    if name not in gates:
        return None
    w, b = gates[name]
    return np.array(w), b


@logic_gate.mistake(
    "For 'xor' you return weights, and no weights exist: every line leaves one corner on the wrong side. The "
    "docstring says what to do instead."
)
def xor_gets_an_answer(name):
    gates = {
        "and": ([1.0, 1.0], -1.5),
        "or": ([1.0, 1.0], -0.5),
        "nand": ([-1.0, -1.0], 1.5),
        "two of three": ([1.0, 1.0, 1.0], -1.5),
        "xor": ([1.0, 1.0], -0.5),
    }
    w, b = gates[name]
    return np.array(w), b


@logic_gate.variant
def gates_in_a_table(name):
    table = {
        "and": (np.array([2.0, 2.0]), -3.0),
        "or": (np.array([2.0, 2.0]), -1.0),
        "nand": (np.array([-2.0, -2.0]), 3.0),
        "two of three": (np.array([2.0, 2.0, 2.0]), -3.0),
    }
    if name in table:
        return table[name]
    raise ValueError("there is no such unit")


@logic_gate.variant
def uneven_gates(name):
    if name == "and":
        return np.array([0.3, 0.4]), -0.5
    elif name == "or":
        return np.array([5.0, 7.0]), -1.0
    elif name == "nand":
        return np.array([-3, -2]), 4
    elif name == "two of three":
        return np.array([0.9, 1.0, 1.1]), -1.45
    else:
        raise ValueError(f"{name} is not linearly separable")


@logic_gate.variant
def gates_by_counting(name):
    inputs, least, turn = {"and": (2, 2, 1), "or": (2, 1, 1), "nand": (2, 2, -1), "two of three": (3, 2, 1)}.get(
        name, (0, 0, 0)
    )
    if inputs == 0:
        raise ValueError(name)
    return turn * np.ones(inputs), turn * (0.5 - least)


# ---- 2.3 -------------------------------------------------------------------------------------------------------------
@exercise(ref.fold_bias, points=1, returns=("x_folded", "w_folded"))
def fold_bias(rng: np.random.Generator) -> Iterator[Case]:
    """Turn the bias into the weight of an input that is always 1."""
    yield case("the four corners", x=_CORNERS, w=np.array([1.0, 1.0]), b=-1.5)
    for samples, features in [(1, 3), (3, 5), (5, 2)]:
        yield case(x=rng.normal(size=(samples, features)), w=rng.normal(size=features), b=float(rng.normal()))
    yield case("whole numbers, b = 0", x=rng.integers(0, 9, size=(4, 3)), w=np.array([2.0, -3.0, 1.0]), b=0.0)


@fold_bias.mistake(
    "Clamped input and bias stand at different ends, so each weight meets its neighbour's input. Compare x·w + b "
    "with the folded product."
)
def clamped_first_bias_last(x, w, b):
    return np.hstack([np.ones((len(x), 1)), x]), np.append(w, b)


@fold_bias.mistake(
    "The ones stand in front, with b as the first weight, as deck D draws them. The product is the same, but here both "
    "come last: compare with the docstring."
)
def both_in_front(x, w, b):
    return np.hstack([np.ones((len(x), 1)), x]), np.append(b, w)


@fold_bias.mistake(
    "The product comes out right, but you clamped the input at b and gave it weight 1. Only weights are learned: "
    "which of the two has to be able to move?"
)
def clamped_at_the_bias(x, w, b):
    return np.hstack([x, np.full((len(x), 1), float(b))]), np.append(w, 1.0)


@fold_bias.mistake("You stored the threshold −b where the bias b belongs. What does z become for x = 0?")
def folds_the_threshold(x, w, b):
    return np.hstack([x, np.ones((len(x), 1))]), np.append(w, -b)


@fold_bias.mistake(
    "The ones became one more row, that is one more sample. Each sample needs one more input: along which axis is that?"
)
def ones_as_a_row(x, w, b):
    return np.vstack([x, np.ones((1, x.shape[1]))]), np.append(w, b)


@fold_bias.variant
def fold_into_empty(x, w, b):
    samples, features = x.shape
    x_folded = np.ones((samples, features + 1))
    x_folded[:, :features] = x
    w_folded = np.empty(features + 1)
    w_folded[:features], w_folded[features] = w, b
    return x_folded, w_folded


@fold_bias.variant
def fold_with_concatenate(x, w, b):
    column = np.ones(x.shape[0])[:, np.newaxis]
    return np.concatenate((x, column), axis=1), np.concatenate((w, [b]))


@fold_bias.variant
def fold_row_by_row(x, w, b):
    return np.array([[*row, 1.0] for row in x.tolist()]), np.array([*w.tolist(), b])


# ---- 2.4 -------------------------------------------------------------------------------------------------------------
@exercise(ref.perceptron_update, points=2, returns=("new_w", "new_b"))
def perceptron_update(rng: np.random.Generator) -> Iterator[Case]:
    """Correct the weights after one sample, and only after a wrong decision."""
    x, w = np.array([1.0, 2.0]), np.array([0.5, -1.0])
    yield case("silent, should fire", x=x, y=1, w=w, b=0.25)
    yield case("fires, should be silent", x=x, y=0, w=w, b=2.0)
    yield case("fires rightly", x=x, y=1, w=w, b=2.0)
    yield case("silent rightly", x=x, y=0, w=w, b=0.25)
    yield case("on the line, should fire", x=x, y=1, w=w, b=1.5)
    yield case("on the line, should be silent", x=x, y=0, w=w, b=1.5)
    for features in [3, 5, 4]:
        x, w = _grid(rng, features), _grid(rng, features)
        x[0] = 1.5
        for y in (0, 1):
            yield case(x=x, y=y, w=w, b=float(_grid(rng, 1)[0]))


@perceptron_update.mistake(
    "You pull in the wrong direction: after your update the sample's score is further on the wrong side. Compute "
    "x·w + b before and after."
)
def pushes_the_wrong_way(x, y, w, b):
    y_hat = int(x @ w + b > 0)
    return w + (y_hat - y) * x, b + (y_hat - y)


@perceptron_update.mistake(
    "You move the weights after right decisions too. The perceptron learns from mistakes only: what is y − ŷ when "
    "the decision is right?"
)
def learns_from_every_sample(x, y, w, b):
    step = 2 * y - 1
    return w + step * x, b + step


@perceptron_update.mistake(
    "The bias never moves. It is the weight of an input clamped to 1, so it takes part in every update. What is "
    "the update of that weight?"
)
def bias_stays(x, y, w, b):
    y_hat = int(x @ w + b > 0)
    return w + (y - y_hat) * x, b


@perceptron_update.mistake(
    "The new weights are right, but they overwrite the array that was passed in, and the caller still needs it. "
    "Does `w += …` make a new array?"
)
def works_in_place(x, y, w, b):
    step = y - int(x @ w + b > 0)
    w += step * x
    return w, b + step


@perceptron_update.mistake(
    "A sample with label 0 exactly on the line is decided rightly here, because the unit stays silent at z = 0; "
    "you count it as a mistake, as books with labels ±1 do."
)
def line_counts_as_a_mistake(x, y, w, b):
    sign = 2 * y - 1
    if sign * (x @ w + b) <= 0:
        return w + sign * x, b + sign
    return w.copy(), b


@perceptron_update.variant
def update_by_cases(x, y, w, b):
    fires = float(np.dot(w, x)) + b > 0
    if fires and y == 0:
        return w - x, b - 1
    if not fires and y == 1:
        return w + x, b + 1
    return w.copy(), b


@perceptron_update.variant
def update_on_a_copy(x, y, w, b):
    new_w = np.array(w, dtype=float)
    score = b
    for i in range(len(x)):
        score += x[i] * w[i]
    error = y - (1 if score > 0 else 0)
    for i in range(len(x)):
        new_w[i] += error * x[i]
    return new_w, b + error


@perceptron_update.variant
def update_folded(x, y, w, b):
    v, x1 = np.append(w, b), np.append(x, 1.0)
    v = v + (y - np.heaviside(v @ x1, 0.0)) * x1
    return v[:-1], v[-1]


# ---- 2.5 -------------------------------------------------------------------------------------------------------------
@exercise(ref.geometric_margin, points=2)
def geometric_margin(rng: np.random.Generator) -> Iterator[Case]:
    """Measure how far the nearest sample is from the line."""
    yield case("AND with room on both sides", x=_CORNERS, y=np.array([0, 0, 0, 1]), w=np.array([1.0, 1.0]), b=-1.5)
    yield case("the same line, scaled by 4", x=_CORNERS, y=np.array([0, 0, 0, 1]), w=np.array([4.0, 4.0]), b=-6.0)
    yield case("one corner on the wrong side", x=_CORNERS, y=np.array([0, 1, 1, 0]), w=np.array([1.0, 1.0]), b=-0.5)
    for samples, features in [(6, 3), (9, 2), (5, 4)]:
        w, b = _grid(rng, features) + 0.125, float(_grid(rng, 1)[0]) / 4 + 0.5
        x, y = _separable(rng, samples, w, b)
        yield case(x=x, y=y, w=w, b=b)
    yield case("a line along an axis", x=_CORNERS, y=np.array([0, 1, 0, 1]), w=np.array([0.0, 4.0]), b=-1.0)
    yield case("weights whose sum is 0", x=_CORNERS, y=np.array([0, 0, 1, 0]), w=np.array([2.0, -2.0]), b=-1.5)
    yield case("no line", x=_CORNERS, y=np.array([0, 0, 0, 1]), w=np.zeros(2), b=-1.0)


@geometric_margin.mistake(
    "This is the score, not the distance: scaling w and b by 4 leaves the line where it is and makes your margin "
    "4 times larger. What has to be divided out?"
)
def functional_margin(x, y, w, b):
    if np.linalg.norm(w) == 0:
        raise ValueError("no line")
    return float(np.min((2 * y - 1) * (x @ w + b)))


@geometric_margin.mistake(
    "The bias moves the line without turning it, so it has no part in the length you divide by. Try w = (3, 4), b "
    "= 100: how long is w?"
)
def bias_in_the_norm(x, y, w, b):
    if np.linalg.norm(w) == 0:
        raise ValueError("no line")
    return float(np.min((2 * y - 1) * (x @ w + b)) / np.sqrt(np.sum(w**2) + b**2))


@geometric_margin.mistake(
    "A sample on the wrong side has a negative distance; yours is positive, so a line that decides wrongly looks "
    "as good as one that decides rightly."
)
def distance_without_a_side(x, y, w, b):
    if np.linalg.norm(w) == 0:
        raise ValueError("no line")
    return float(np.min(np.abs(x @ w + b)) / np.linalg.norm(w))


@geometric_margin.mistake(
    "Multiplying by a label 0 wipes the sample out. The sign has to be −1 for label 0 and +1 for label 1: which "
    "map of y does that?"
)
def label_as_sign(x, y, w, b):
    if np.linalg.norm(w) == 0:
        raise ValueError("no line")
    return float(np.min(y * (x @ w + b)) / np.linalg.norm(w))


@geometric_margin.mistake("The margin belongs to the nearest sample alone; you average over all samples.")
def mean_distance(x, y, w, b):
    if np.linalg.norm(w) == 0:
        raise ValueError("no line")
    return float(np.mean((2 * y - 1) * (x @ w + b)) / np.linalg.norm(w))


@geometric_margin.mistake(
    "The bias is missing in the score, so the distance is measured to a line through the origin. What moves the line "
    "away from there?"
)
def bias_forgotten(x, y, w, b):
    if np.linalg.norm(w) == 0:
        raise ValueError("no line")
    return float(np.min((2 * y - 1) * (x @ w)) / np.linalg.norm(w))


@geometric_margin.variant
def margin_of_unit_normal(x, y, w, b):
    length = math.sqrt(float(w @ w))
    if length == 0:
        raise ValueError("w = 0")
    normal, offset = w / length, b / length
    distance = x @ normal + offset
    return np.where(y == 1, distance, -distance).min()


@geometric_margin.variant
def margin_in_a_loop(x, y, w, b):
    if not np.any(w):
        raise ValueError("w = 0")
    length = sum(v * v for v in w) ** 0.5
    best = float("inf")
    for row, label in zip(x, y, strict=True):
        z = sum(v * r for v, r in zip(w, row, strict=True)) + b
        best = min(best, (z if label else -z) / length)
    return best


@geometric_margin.variant
def margin_by_class(x, y, w, b):
    norm = np.sqrt(np.sum(w**2))
    if norm < 1e-12:
        raise ValueError("w = 0")
    z = np.einsum("sf,f->s", x, w) + b
    above, below = z[y == 1], -z[y == 0]
    return float(np.sort(np.concatenate([above, below]))[0] / norm)


# ---- 2.6 -------------------------------------------------------------------------------------------------------------
@exercise(ref.mistake_bound, points=2, rtol=1e-6)
def mistake_bound(rng: np.random.Generator) -> Iterator[Case]:
    """Bound the number of mistakes by (R/γ)²."""
    yield case("AND, best line", x=_CORNERS, y=np.array([0, 0, 0, 1]), w=np.array([2.0, 2.0]), b=-3.0)
    yield case("OR, best line", x=_CORNERS, y=np.array([0, 1, 1, 1]), w=np.array([2.0, 2.0]), b=-1.0)
    for samples, features in [(6, 3), (9, 2), (5, 4)]:
        w, b = _grid(rng, features) + 0.125, float(_grid(rng, 1)[0]) / 4 + 0.5
        x, y = _separable(rng, samples, w, b)
        yield case(x=x, y=y, w=w, b=b)
    yield case("silent everywhere: the bias alone decides", x=_CORNERS, y=np.zeros(4, int), w=np.zeros(2), b=-1.5)
    yield case("deck D's AND: margin 0", x=_CORNERS, y=np.array([0, 0, 0, 1]), w=np.array([1.0, 1.0]), b=-1.0)
    yield case("XOR", x=_CORNERS, y=np.array([0, 1, 1, 0]), w=np.array([1.0, 1.0]), b=-0.5)


@mistake_bound.mistake(
    "R is the length of the longest sample with its clamped 1, because the bias is updated too. You measured the "
    "samples without it."
)
def radius_not_folded(x, y, w, b):
    gamma = np.min((2 * y - 1) * (x @ w + b)) / np.sqrt(np.sum(w**2) + b**2)
    if gamma <= 0:
        raise ValueError("no margin")
    return float(np.max(np.sum(x**2, axis=1)) / gamma**2)


@mistake_bound.mistake(
    "γ has to be measured where the line runs through the origin, with the bias as one of the weights: then b has "
    "its share in the length."
)
def margin_not_folded(x, y, w, b):
    if not np.any(w):
        raise ValueError("all weights are 0: no line, no distance")
    gamma = np.min((2 * y - 1) * (x @ w + b)) / np.sqrt(np.sum(w**2))
    if gamma <= 0:
        raise ValueError("no margin")
    return float((np.max(np.sum(x**2, axis=1)) + 1) / gamma**2)


@mistake_bound.mistake(
    "The bound is the square of R/γ: one factor comes from ‖w̃‖ ≥ kγ, where k is not under a root. Go through step "
    "3 again."
)
def not_squared(x, y, w, b):
    gamma = np.min((2 * y - 1) * (x @ w + b)) / np.sqrt(np.sum(w**2) + b**2)
    if gamma <= 0:
        raise ValueError("no margin")
    return float(np.sqrt(np.max(np.sum(x**2, axis=1)) + 1) / gamma)


@mistake_bound.mistake(
    "A line that does not separate the samples has a margin of 0 or less, and squaring hides it. The docstring "
    "asks for a ValueError there."
)
def no_margin_no_matter(x, y, w, b):
    gamma = np.min((2 * y - 1) * (x @ w + b)) / np.sqrt(np.sum(w**2) + b**2)
    with np.errstate(divide="ignore"):
        return float((np.max(np.sum(x**2, axis=1)) + 1) / gamma**2)


@mistake_bound.mistake(
    "Nothing is folded: R and γ are both measured in the plane of the samples. The proof needs both where the bias is one "
    "of the weights and every sample ends in a 1."
)
def nothing_folded(x, y, w, b):
    if not np.any(w):
        raise ValueError("all weights are 0: no line, no distance")
    gamma = np.min((2 * y - 1) * (x @ w + b)) / np.sqrt(np.sum(w**2))
    if gamma <= 0:
        raise ValueError("no margin")
    return float(np.max(np.sum(x**2, axis=1)) / gamma**2)


@mistake_bound.mistake(
    "You refuse w = 0. But with the bias folded in, the weights are not all 0: a bias alone separates samples of one "
    "label. Which quantity has to be above 0?"
)
def refuses_zero_weights(x, y, w, b):
    if not np.any(w):
        raise ValueError("all weights are 0: no line, no distance")
    gamma = np.min((2 * y - 1) * (x @ w + b)) / np.sqrt(np.sum(w**2) + b**2)
    if gamma <= 0:
        raise ValueError("no margin")
    return float((np.max(np.sum(x**2, axis=1)) + 1) / gamma**2)


@mistake_bound.variant
def bound_with_functions(x, y, w, b):
    x1 = np.hstack([x, np.ones((len(x), 1))])
    v = np.append(w, b)
    gamma = ((2 * y - 1) * (x1 @ v)).min() / np.linalg.norm(v)
    if not gamma > 0:
        raise ValueError("no margin")
    return (np.linalg.norm(x1, axis=1).max() / gamma) ** 2


@mistake_bound.variant
def bound_in_a_loop(x, y, w, b):
    longest, nearest = 0.0, float("inf")
    for row, label in zip(x, y, strict=True):
        longest = max(longest, float(row @ row) + 1.0)
        z = float(row @ w) + b
        nearest = min(nearest, z if label == 1 else -z)
    if nearest <= 0:
        raise ValueError("no margin")
    return longest * (float(w @ w) + b * b) / nearest**2


@mistake_bound.variant
def bound_signed_rows(x, y, w, b):
    signed = np.where(y == 1, 1.0, -1.0)[:, None] * np.c_[x, np.ones(len(x))]  # a good v has v·row > 0 for every row
    v = np.r_[w, b] / math.hypot(*w, b)
    gamma = np.min(signed @ v)
    if gamma <= 0:
        raise ValueError("no margin")
    return np.max(np.einsum("sf,sf->s", signed, signed)) / gamma**2


# ---- 2.7 -------------------------------------------------------------------------------------------------------------
@exercise(ref.train_perceptron, points=3, returns=("w", "b", "mistakes"))
def train_perceptron(rng: np.random.Generator) -> Iterator[Case]:
    """Train until an epoch has no mistake, and count the mistakes of every epoch."""
    yield case("OR from zero", x=_CORNERS, y=np.array([0, 1, 1, 1]), w=np.zeros(2), b=0.0, max_epochs=20)
    yield case("AND from zero", x=_CORNERS, y=np.array([0, 0, 0, 1]), w=np.zeros(2), b=0.0, max_epochs=20)
    yield case("XOR never ends", x=_CORNERS, y=np.array([0, 1, 1, 0]), w=np.zeros(2), b=0.0, max_epochs=7)
    yield case("nothing to correct", x=_CORNERS, y=np.zeros(4, dtype=int), w=np.zeros(2), b=0.0, max_epochs=5)
    for samples, features in [(12, 3), (15, 2), (10, 5)]:
        w, b = _grid(rng, features) + 0.125, float(_grid(rng, 1)[0]) / 4 + 0.5
        x, y = _separable(rng, samples, w, b)
        yield case(x=x, y=y, w=_grid(rng, features), b=float(_grid(rng, 1)[0]), max_epochs=30)
    x, y = _grid(rng, 14, 3), rng.integers(0, 2, size=14)
    yield case("labels at random, one epoch", x=x, y=y, w=np.zeros(3), b=0.0, max_epochs=1)
    yield case(
        "word counts",
        x=rng.integers(0, 3, size=(9, 4)),
        y=rng.integers(0, 2, size=9),
        w=np.zeros(4),
        b=0.0,
        max_epochs=6,
    )


@train_perceptron.mistake(
    "You decide a whole epoch with the weights from its start. Each row is decided with the weights that the row "
    "before it left behind. Follow OR on paper: what are w and b when row 2 comes?"
)
def decides_the_epoch_at_once(x, y, w, b, max_epochs):
    mistakes = []
    for _ in range(max_epochs):
        error = y - (x @ w + b > 0).astype(int)
        w, b = w + error @ x, b + float(error.sum())
        mistakes.append(int(np.abs(error).sum()))
        if mistakes[-1] == 0:
            break
    return w, b, np.array(mistakes)


@train_perceptron.mistake(
    "After an epoch without a mistake nothing can change any more: training is over. You go on to the last epoch, "
    "and zeros pile up in `mistakes`."
)
def never_stops_early(x, y, w, b, max_epochs):
    mistakes = []
    for _ in range(max_epochs):
        wrong = 0
        for row, label in zip(x, y, strict=True):
            step = int(label) - int(row @ w + b > 0)
            w, b, wrong = w + step * row, b + step, wrong + abs(step)
        mistakes.append(wrong)
    return w, b, np.array(mistakes)


@train_perceptron.mistake(
    "The last, clean epoch was run as well, so its 0 belongs into `mistakes`; you leave the loop before you note "
    "it down."
)
def forgets_the_clean_epoch(x, y, w, b, max_epochs):
    mistakes = []
    for _ in range(max_epochs):
        wrong = 0
        for row, label in zip(x, y, strict=True):
            step = int(label) - int(row @ w + b > 0)
            w, b, wrong = w + step * row, b + step, wrong + abs(step)
        if wrong == 0:
            break
        mistakes.append(wrong)
    return w, b, np.array(mistakes, dtype=int)


@train_perceptron.mistake(
    "The count runs on from epoch to epoch: it is never set back to 0, so no epoch looks clean after the first mistake. "
    "Where in the two loops does a new count begin?"
)
def counter_not_reset(x, y, w, b, max_epochs):
    mistakes, wrong = [], 0
    for _ in range(max_epochs):
        for row, label in zip(x, y, strict=True):
            step = int(label) - int(row @ w + b > 0)
            w, b, wrong = w + step * row, b + step, wrong + abs(step)
        mistakes.append(wrong)
        if wrong == 0:
            break
    return w, b, np.array(mistakes)


@train_perceptron.mistake(
    "Training ends after its first epoch, whatever `max_epochs` says. How far is the line with `return` indented: is it "
    "inside the loop or behind it?"
)
def returns_inside_the_loop(x, y, w, b, max_epochs):
    mistakes = []
    for _ in range(max_epochs):
        wrong = 0
        for row, label in zip(x, y, strict=True):
            step = int(label) - int(row @ w + b > 0)
            w, b, wrong = w + step * row, b + step, wrong + abs(step)
        mistakes.append(wrong)
        if wrong == 0:
            break
        return w, b, np.array(mistakes)
    return w, b, np.array(mistakes)


@train_perceptron.mistake(
    "The weights that were passed in are overwritten while you train. Whoever called you still needs them: does "
    "`w += …` make a new array?"
)
def trains_in_place(x, y, w, b, max_epochs):
    mistakes = []
    for _ in range(max_epochs):
        wrong = 0
        for row, label in zip(x, y, strict=True):
            step = int(label) - int(row @ w + b > 0)
            w += step * row
            b += step
            wrong += abs(step)
        mistakes.append(wrong)
        if wrong == 0:
            break
    return w, b, np.array(mistakes)


@train_perceptron.variant
def train_on_a_copy(x, y, w, b, max_epochs):
    w, counts, epoch = w.astype(float).copy(), [], 0
    while epoch < max_epochs and (not counts or counts[-1] > 0):
        counts.append(0)
        for i in range(len(x)):
            error = y[i] - int(np.dot(x[i], w) + b > 0)
            if error != 0:
                w += error * x[i]
                b = b + error
                counts[-1] += 1
        epoch += 1
    return w, b, np.asarray(counts)


@train_perceptron.variant
def train_folded(x, y, w, b, max_epochs):
    signed = np.where(y == 1, 1, -1)
    rows = np.hstack([x, np.ones((len(x), 1))])
    v = np.append(w, b)
    counts = np.zeros(max_epochs, dtype=int)
    for epoch in range(max_epochs):
        for row, sign in zip(rows, signed, strict=True):
            if (row @ v > 0) != (sign > 0):
                v = v + sign * row
                counts[epoch] += 1
        if counts[epoch] == 0:
            return v[:-1], v[-1], counts[: epoch + 1]
    return v[:-1], v[-1], counts


@train_perceptron.variant
def train_by_jumps(x, y, w, b, max_epochs):
    mistakes = []
    for _ in range(max_epochs):
        start, count = 0, 0
        while True:  # nothing changes between mistakes: jump from one to the next
            wrong = np.flatnonzero((x[start:] @ w + b > 0) != (y[start:] == 1))
            if len(wrong) == 0:
                break
            i = start + wrong[0]
            sign = 2 * y[i] - 1
            w, b, count, start = w + sign * x[i], b + float(sign), count + 1, i + 1
        mistakes.append(count)
        if count == 0:
            break
    return w, b, np.array(mistakes)


# ---- graded by a person ----------------------------------------------------------------------------------------------
xor_no_line = explanation(
    "xor_no_line",
    points=4,
    question="""
    **No line for XOR.** A threshold unit with two inputs fires where $w_1x_1 + w_2x_2 + b > 0$.

    1. Write down the four conditions that XOR puts on $w_1$, $w_2$ and $b$, one for each corner.
    2. Show that no numbers satisfy all four.
    3. Does your proof survive if the unit fires at $\\geq 0$ instead? Say which lines change.
    4. Give the unit a third input that is computed from $x_1$ and $x_2$ (a product of the inputs, or one
       gate of exercise 2.2), with weights that make it compute XOR, and name the step of your proof that breaks.
    """,
    rubric=(
        (1, "four conditions, each with the right sense: > 0 at (0,1) and (1,0), ≤ 0 at (0,0) and (1,1)"),
        (1, "a complete contradiction, for instance both sums equal w₁ + w₂ + 2b, one is > 0 and the other ≤ 0"),
        (1, "with ≥ the firing conditions become ≥ 0 and the silent ones < 0; the sums still contradict each other"),
        (1, "a third input that works (such as x₁x₂), weights that fit, and the sum at which w₃ spoils the argument"),
    ),
    answer="""
    1. $(0,0)$ is silent: $b \\leq 0$. $(0,1)$ fires: $w_2 + b > 0$. $(1,0)$ fires: $w_1 + b > 0$.
       $(1,1)$ is silent: $w_1 + w_2 + b \\leq 0$.
    2. Adding the two that fire gives $w_1 + w_2 + 2b > 0$. Adding the two that are silent gives
       $w_1 + w_2 + 2b \\leq 0$. One number cannot be both. (In the plane: the midpoint $(\\frac12, \\frac12)$
       of both diagonals would have to lie on both sides.)
    3. The firing conditions become $\\geq 0$ and the silent ones $< 0$; the sums become $\\geq 0$ and $< 0$,
       a contradiction again.
    4. $x_3 = x_1x_2$ with $w = (1, 1, -2)$ and $b = -\\frac12$: at the corners
       $z = -\\frac12, \\frac12, \\frac12, -\\frac12$. Now the silent sum is $w_1 + w_2 + w_3 + 2b \\leq 0$.
       It contains $w_3$, the firing sum does not, so the two are different numbers.
    """,
)
