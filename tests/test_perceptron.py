"""Chapter 02: the references against independent programs, and every number that the chapter prints in its text."""

import re
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from course.kit.corpora import king_james
from solutions.perceptron import (
    fold_bias,
    geometric_margin,
    logic_gate,
    mistake_bound,
    perceptron_update,
    threshold_unit,
    train_perceptron,
)

CORNERS = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
AND, OR, NAND, XOR = (np.array(bits) for bits in ([0, 0, 0, 1], [0, 1, 1, 1], [1, 1, 1, 0], [0, 1, 1, 0]))
SEEDS = st.integers(0, 2**32 - 1)


def classical_perceptron(x, y, max_epochs):
    """An independent program: labels ±1, bias in front, exact integers of Python."""
    rows = [([1, *map(int, row)], 1 if label else -1) for row, label in zip(x, y, strict=True)]
    v = [0] * (x.shape[1] + 1)
    counts = []
    while len(counts) < max_epochs and (not counts or counts[-1]):
        counts.append(0)
        for row, sign in rows:
            z = sum(p * q for p, q in zip(v, row, strict=True))
            if (z > 0) != (sign > 0):
                v = [p + sign * q for p, q in zip(v, row, strict=True)]
                counts[-1] += 1
    return v[1:], v[0], counts


def street(seed, features=2, width=0.1, samples=200):
    """Separable samples: a random line with an empty street on both sides of it."""
    rng = np.random.default_rng(seed)
    w, b = rng.normal(size=features), float(0.3 * rng.normal())
    x = rng.uniform(-1, 1, size=(samples, features))
    distance = (x @ w + b) / np.linalg.norm(w)
    x = x[np.abs(distance) > width]
    return x, (x @ w + b > 0).astype(int), w, b


# ---- references ------------------------------------------------------------------------------------------------------
def test_the_unit_is_silent_on_the_line():
    x = np.array([[1.0, 0.0], [1.0, 1e-12], [1.0, -1e-12]])
    decisions = threshold_unit(x, np.array([0.5, 1.0]), -0.5)
    np.testing.assert_array_equal(decisions, [0, 1, 0])
    assert decisions.dtype.kind == "i"


@pytest.mark.parametrize(("name", "table"), [("and", AND), ("or", OR), ("nand", NAND)])
def test_gates_hold_under_both_conventions(name, table):
    w, b = logic_gate(name)
    z = CORNERS @ w + b
    np.testing.assert_array_equal(z > 0, table == 1)
    np.testing.assert_array_equal(z >= 0, table == 1)


def test_two_of_three_and_no_xor():
    w, b = logic_gate("two of three")
    bits = np.array(list(np.ndindex(2, 2, 2)), dtype=float)
    np.testing.assert_array_equal(threshold_unit(bits, w, b), bits.sum(axis=1) >= 2)
    with pytest.raises(ValueError, match="xor"):
        logic_gate("xor")


@given(SEEDS)
@settings(max_examples=30, deadline=None)
def test_folding_keeps_every_score(seed):
    rng = np.random.default_rng(seed)
    x, w, b = rng.normal(size=(6, 4)), rng.normal(size=4), float(rng.normal())
    x_folded, w_folded = fold_bias(x, w, b)
    np.testing.assert_allclose(x_folded @ w_folded, x @ w + b, rtol=0, atol=1e-12)
    np.testing.assert_array_equal(x_folded[:, -1], 1.0)


@given(SEEDS)
@settings(max_examples=50, deadline=None)
def test_an_update_moves_the_score_by_the_squared_length(seed):
    rng = np.random.default_rng(seed)
    x, w, b, y = rng.normal(size=3), rng.normal(size=3), float(rng.normal()), int(rng.integers(2))
    before = w.copy()
    new_w, new_b = perceptron_update(x, y, w, b)
    np.testing.assert_array_equal(w, before)
    assert new_w is not w
    error = y - int(x @ w + b > 0)
    assert x @ new_w + new_b - (x @ w + b) == pytest.approx(error * (x @ x + 1))


@given(SEEDS)
@settings(max_examples=30, deadline=None)
def test_training_equals_an_independent_program(seed):
    rng = np.random.default_rng(seed)
    x, y = rng.integers(-3, 4, size=(12, 3)).astype(float), rng.integers(0, 2, size=12)
    w, b, mistakes = train_perceptron(x, y, np.zeros(3), 0.0, 15)
    v, bias, counts = classical_perceptron(x, y, 15)
    np.testing.assert_array_equal(w, v)
    assert b == bias
    assert mistakes.tolist() == counts


def test_training_can_be_taken_up_again_and_leaves_its_inputs_alone():
    x, y, _, _ = street(1, width=0.02)
    w0 = np.zeros(2)
    w, b, mistakes = train_perceptron(x, y, w0, 0.0, 500)
    np.testing.assert_array_equal(w0, 0.0)
    w1, b1 = np.zeros(2), 0.0
    for count in mistakes:
        w1, b1, once = train_perceptron(x, y, w1, b1, 1)
        assert once.tolist() == [count]
    np.testing.assert_array_equal(w1, w)
    assert b1 == b


@given(SEEDS)
@settings(max_examples=30, deadline=None)
def test_margin_is_the_distance_to_the_nearest_point_of_the_line(seed):
    x, y, w, b = street(seed, samples=30)
    foot = x - np.outer(x @ w + b, w) / (w @ w)  # orthogonal projections
    np.testing.assert_allclose(foot @ w + b, 0.0, atol=1e-9)
    assert geometric_margin(x, y, w, b) == pytest.approx(np.linalg.norm(x - foot, axis=1).min())
    assert geometric_margin(x, y, 7 * w, 7 * b) == pytest.approx(geometric_margin(x, y, w, b))
    flipped = y.copy()
    flipped[0] = 1 - y[0]
    assert geometric_margin(x, flipped, w, b) < 0


@given(SEEDS, st.sampled_from([2, 3, 6]))
@settings(max_examples=40, deadline=None)
def test_mistake_bound_and_both_steps_of_its_proof(seed, features):
    x, y, line_w, line_b = street(seed, features)
    x1, u = fold_bias(x, line_w, line_b)
    u = u / np.linalg.norm(u)
    gamma, radius = geometric_margin(x1, y, u, 0.0), np.linalg.norm(x1, axis=1).max()
    w, b, k = np.zeros(features), 0.0, 0
    clean = False
    while not clean:
        clean = True
        for row, label in zip(x, y, strict=True):
            new_w, new_b = perceptron_update(row, label, w, b)
            if new_b != b:
                w, b, k, clean = new_w, new_b, k + 1, False
                assert np.append(w, b) @ u >= k * gamma - 1e-9
                assert np.linalg.norm(np.append(w, b)) <= np.sqrt(k) * radius + 1e-9
    assert k <= mistake_bound(x, y, line_w, line_b)


def test_what_has_no_line_or_no_margin_raises():
    with pytest.raises(ValueError, match="no line"):
        geometric_margin(CORNERS, AND, np.zeros(2), 1.0)
    with pytest.raises(ValueError, match="separate"):
        mistake_bound(CORNERS, AND, np.ones(2), -1.0)  # deck D: corners on the line
    with pytest.raises(ValueError, match="separate"):
        mistake_bound(CORNERS, XOR, np.ones(2), -0.5)


# ---- the numbers of the chapter --------------------------------------------------------------------------------------
def test_concert():
    equal, miser = np.ones(3), np.array([0.5, 2.0, 0.5])
    evening, degrees = np.array([0, 0, 1.0]), np.array([10 / 20, 150 / 500, 1.0])
    assert evening @ equal == 1.0
    assert evening @ miser == 0.5
    assert degrees @ miser == pytest.approx(1.35, abs=1e-12)
    np.testing.assert_array_equal([10 / 20, 150 / 300], 0.5)  # the old borders
    far = np.array([10 / 1000, 150 / 3000, 1.0])
    assert far @ np.array([0, 0, 10.0]) == pytest.approx(10)
    assert far @ miser == pytest.approx(0.605)
    evenings = np.array(list(np.ndindex(2, 2, 2)), dtype=float)
    for weights in (equal, miser):  # deck A's ≥ 1 and our > 0 with b = −0.75 agree on all eight evenings
        np.testing.assert_array_equal(evenings @ weights >= 1, threshold_unit(evenings, weights, -0.75) == 1)
    below = [max(s for s in evenings @ weights if s < 1) for weights in (equal, miser)]
    assert below == [0, 0.5]  # the largest scores below 1
    z = np.linspace(-1, 1, 21)
    np.testing.assert_array_equal(z >= 0, ~(-z > 0))


def test_interview():
    marks, weights = np.array([[9, 9, 5, 5], [7, 7, 7, 7]]), np.array([0.4, 0.3, 0.2, 0.1])
    assert marks.sum(axis=1).tolist() == [28, 28]
    np.testing.assert_allclose(marks @ weights, [7.8, 7.0])
    assert threshold_unit(marks, weights, -7.5).tolist() == [1, 0]


def test_deck_d_weights_under_both_conventions():
    w = np.ones(2)
    for b, gate, other in [(-1.0, AND, OR), (0.0, OR, np.ones(4))]:
        z = CORNERS @ w + b
        np.testing.assert_array_equal(z > 0, gate)
        np.testing.assert_array_equal(z >= 0, other)
    np.testing.assert_array_equal(CORNERS.sum(axis=1) > -1, np.ones(4))  # "threshold (bias)": compared with b itself
    np.testing.assert_array_equal(CORNERS.sum(axis=1) > 1, AND)


def test_worked_example_or():
    w, b, path = np.zeros(2), 0.0, []
    for epoch in range(1, 5):
        for row, label in zip(CORNERS, OR, strict=True):
            z = row @ w + b
            new_w, new_b = perceptron_update(row, label, w, b)
            if new_b != b:
                path.append((epoch, *row, z, label, *new_w, new_b))
            w, b = new_w, new_b
    assert path == [
        (1, 0, 1, 0, 1, 0, 1, 1),
        (2, 0, 0, 1, 0, 0, 1, 0),
        (2, 1, 0, 0, 1, 1, 1, 1),
        (3, 0, 0, 1, 0, 1, 1, 0),
    ]
    np.testing.assert_array_equal(w, [1, 1])  # deck D's OR
    assert b == 0
    assert train_perceptron(CORNERS, OR, np.zeros(2), 0.0, 9)[2].tolist() == [1, 2, 1, 0]


def test_and_makes_ten_mistakes_of_51_and_ends_on_the_line():
    w, b, mistakes = train_perceptron(CORNERS, AND, np.zeros(2), 0.0, 100)
    assert mistakes.tolist() == [1, 3, 3, 2, 1, 0]
    assert mistakes.sum() == 10
    assert (CORNERS @ w + b).tolist() == [-2, -1, 0, 1]
    assert mistake_bound(CORNERS, AND, np.array([2.0, 2.0]), -3.0) == pytest.approx(51)
    assert mistake_bound(CORNERS, OR, np.array([2.0, 2.0]), -1.0) == pytest.approx(27)
    assert geometric_margin(CORNERS, AND, np.ones(2), -1.5) == pytest.approx(0.5 / np.sqrt(2))


@pytest.mark.parametrize(("labels", "best", "smallest"), [(AND, (2.0, 2.0, -3.0), 51), (OR, (2.0, 2.0, -1.0), 27)])
def test_the_lines_for_the_bounds_are_the_best(labels, best, smallest):
    rng = np.random.default_rng(0)
    for _ in range(2_000):
        v = np.array(best) + rng.normal(size=3) * rng.choice([0.01, 0.1, 1.0])
        try:
            bound = mistake_bound(CORNERS, labels, v[:2], float(v[2]))
        except ValueError:
            continue
        assert bound >= smallest - 1e-9


def test_cloud_of_the_proof_and_its_stretching():
    rng = np.random.default_rng(2)
    x = rng.uniform(-1, 1, size=(200, 2))
    w, b = np.array([1.0, 2.0]), -0.5
    x = x[np.abs((x @ w + b) / np.linalg.norm(w)) > 0.1]
    y = threshold_unit(x, w, b)
    found = []
    for scale in (1, 10, 100):
        stretched, line = x * np.array([1, scale]), w / np.array([1, scale])
        _, _, mistakes = train_perceptron(stretched, y, np.zeros(2), 0.0, 2_000)
        assert mistakes[-1] == 0
        found.append((int(mistakes.sum()), round(mistake_bound(stretched, y, line, b))))
    assert found == [(27, 293), (43, 2566), (2715, 244700)]
    gammas = [1 / np.linalg.norm([1.0, 2.0 / scale, 0.5]) for scale in (1, 10, 100)]  # up to the same smallest score
    assert gammas[1] / gammas[0] == pytest.approx(2, abs=0.1)
    assert gammas[2] / gammas[0] == pytest.approx(2, abs=0.1)


def test_xor_cycles_and_no_unit_of_the_grid_computes_it():
    w, b, after, counts = np.zeros(2), 0.0, [], []
    for _ in range(7):
        w, b, mistakes = train_perceptron(CORNERS, XOR, w, b, 1)
        after.append((*w, b))
        counts.append(int(mistakes[0]))
    assert counts == [2, 3, 4, 4, 4, 4, 4]
    assert set(after[1:]) == {(-1, 0, 1)}
    grid = np.stack(np.meshgrid(*[np.arange(-20, 21) / 4] * 3), axis=-1).reshape(-1, 3)
    fires = CORNERS @ grid[:, :2].T + grid[:, 2] > 0
    assert len(grid) == 68_921
    assert (fires == (XOR == 1)[:, None]).sum(axis=0).max() == 3


def test_xor_proof_and_the_third_input_of_the_model_answer():
    # both sums of the proof are w1 + w2 + 2b: (0,1) + (1,0) and (0,0) + (1,1), with the clamped 1
    x1 = np.hstack([CORNERS, np.ones((4, 1))])
    np.testing.assert_array_equal(x1[1] + x1[2], x1[0] + x1[3])
    x3 = np.hstack([CORNERS, CORNERS[:, :1] * CORNERS[:, 1:]])
    z = x3 @ np.array([1.0, 1.0, -2.0]) - 0.5
    assert z.tolist() == [-0.5, 0.5, 0.5, -0.5]


def test_check_yourself():
    # 1: a learning rate changes no decision when training starts from zero
    x, y, _, _ = street(3, width=0.02)
    w, b, counts, fast = np.zeros(2), 0.0, [], train_perceptron(x, y, np.zeros(2), 0.0, 1_000)
    while not counts or counts[-1]:
        counts.append(0)
        for row, label in zip(x, y, strict=True):
            error = label - int(row @ w + b > 0)
            w, b, counts[-1] = w + 0.125 * error * row, b + 0.125 * error, counts[-1] + abs(error)
    assert counts == fast[2].tolist()
    np.testing.assert_allclose(w, 0.125 * fast[0])
    # 2: NAND without a bias: (0, 0) stays silent
    w = np.zeros(2)
    for _ in range(50):
        for row, label in zip(CORNERS, NAND, strict=True):
            w, _ = perceptron_update(row, label, w, 0.0)
    assert threshold_unit(CORNERS, w, 0.0)[0] == 0
    # 3: copying the samples leaves the bound alone
    twice = mistake_bound(np.vstack([CORNERS] * 2), np.tile(AND, 2), np.array([2.0, 2.0]), -3.0)
    assert twice == mistake_bound(CORNERS, AND, np.array([2.0, 2.0]), -3.0)


def test_table_of_what_goes_wrong():
    def train(step, labels):
        w, b, wrong = np.zeros(2), 0.0, 0
        for _ in range(200):
            wrong = 0
            for row, label in zip(CORNERS, labels, strict=True):
                y_hat = int(row @ w + b > 0)
                w, b, wrong = w + step(label, y_hat) * row, b + step(label, y_hat), wrong + (label != y_hat)
        return wrong

    assert train(lambda y, y_hat: y - y_hat, AND) == 0
    assert train(lambda y, y_hat: y_hat - y, AND) > 0  # the sign turned
    assert train(lambda y, y_hat: y - y_hat, 2 * AND - 1) > 0  # labels −1 and +1


# ---- the real run ----------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def testaments():
    """Bags of words as the chapter makes them: training and held-out verses."""
    verses = [verse for verse in king_james() if verse.text != "[]"]
    books = list(dict.fromkeys(verse.book for verse in verses))
    new_books = set(books[books.index("Matthew") :])
    is_new = np.array([int(verse.book in new_books) for verse in verses])
    words_of = [re.findall(r"[a-z']+", verse.text.lower()) for verse in verses]
    held_out = np.array([verse.chapter % 5 == 0 for verse in verses])
    rows = np.random.default_rng(0).permutation(np.flatnonzero(~held_out))[:12_000]
    test_rows = np.flatnonzero(held_out)
    counts = Counter(word for i in rows for word in words_of[i])
    vocabulary = {word: j for j, (word, _) in enumerate(counts.most_common(2_000))}

    def bags(some):
        x = np.zeros((len(some), len(vocabulary)), dtype=np.float32)
        for k, i in enumerate(some):
            for word in words_of[i]:
                if word in vocabulary:
                    x[k, vocabulary[word]] += 1
        return x

    jesus = np.array([int("jesus" in words) for words in words_of])
    return rows, bags(rows), is_new[rows], bags(test_rows), is_new[test_rows], is_new, jesus, list(vocabulary)


def test_baselines(testaments):
    *_, y_test, is_new, jesus, _ = testaments
    assert len(is_new) == 31_102
    assert np.mean(is_new == 0) == pytest.approx(0.744, abs=5e-4)
    assert np.mean(is_new == jesus) == pytest.approx(0.774, abs=5e-4)
    assert np.mean(y_test == 0) == pytest.approx(0.751, abs=5e-4)


def test_real_run(testaments):
    _, x, y, x_test, y_test, _, _, words = testaments
    w, b, path, first = np.zeros(x.shape[1]), 0.0, [], 0
    shares = {}
    for epoch in range(1, 21):
        w, b, mistakes = train_perceptron(x, y, w, b, 1)
        first = first or int(mistakes[0])
        path.append(np.append(w, b))
        mean = np.mean(path, axis=0)
        units = ((w, b), (mean[:-1], mean[-1]))
        shares[epoch] = [round(float(np.mean(threshold_unit(x_test, *unit) == y_test)), 3) for unit in units]
    assert shares[18] == [0.860, 0.873]
    assert shares[20] == [0.881, 0.874]
    path = path[:5]
    mean = np.mean(path, axis=0)
    averaged = np.mean(threshold_unit(x_test, mean[:-1], mean[-1]) == y_test)
    assert first == 2346  # whole numbers all the way: the run is exact
    assert averaged == pytest.approx(0.869, abs=5e-4)
    best = [words[j] for j in np.argsort(mean[:-1])[::-1][:3]]
    assert "jesus" in best


def test_rows_in_the_order_of_the_book(testaments):
    rows, x, y, x_test, y_test, *_ = testaments
    order = np.argsort(rows)
    w, b, mistakes = train_perceptron(x[order], y[order], np.zeros(x.shape[1]), 0.0, 1)
    assert mistakes.tolist() == [1]
    assert threshold_unit(x_test, w, b).mean() > 0.99
    assert np.mean(threshold_unit(x_test, w, b) == y_test) < 0.26
    assert y[order][-3120:].all()  # the sorted rows end with all of the New Testament
    assert y.sum() == 3120
    w, b, mistakes = train_perceptron(x[order], y[order], np.zeros(x.shape[1]), 0.0, 5)
    assert mistakes.tolist() == [1, 8, 19, 24, 29]
    assert threshold_unit(x_test, w, b).mean() > 0.99


def test_a_bias_alone_can_separate():
    assert mistake_bound(CORNERS, np.zeros(4, dtype=int), np.zeros(2), -1.5) == pytest.approx(3)  # R² = 3, γ = 1
    assert geometric_margin(CORNERS, np.array([0, 1, 0, 1]), np.array([0.0, 4.0]), -1.0) == pytest.approx(0.25)
