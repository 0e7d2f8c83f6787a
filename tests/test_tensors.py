"""Chapter 01: references against NumPy's, PyTorch's and Python's own arithmetic, and every number the chapter prints or says."""

from __future__ import annotations

import itertools
import math
import re
import warnings
from fractions import Fraction
from typing import Any

import nbformat
import numpy as np
import pytest
import torch
from solved_chapter import run_solved

from autograder import notebooks
from autograder.checking import verdict_of
from autograder.exercise import Exercise
from autograder.paths import chapter
from course.kit import plotting
from solutions import tensors as ref

EXERCISES = [made for made in notebooks.exercises(chapter("01_tensors")) if isinstance(made, Exercise)]


# ---- storage ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("shape", [(), (1,), (5,), (4, 3), (3, 1, 2), (2, 2, 3), (2, 3, 4, 5)])
def test_places_and_strides_are_numpys(shape: tuple[int, ...], order: str) -> None:
    array = np.zeros(shape, order=order)  # type: ignore[call-overload]
    places = np.arange(array.size).reshape(shape, order=order)  # type: ignore[call-overload]
    for index in itertools.product(*map(range, shape)):
        strides, offset = ref.locate(shape, index, order)
        assert offset == places[index]
        assert all(type(step) is int for step in strides)
        for axis, size in enumerate(shape):
            if size > 1:  # along an axis of one element nothing ever moves, and NumPy may say anything
                assert strides[axis] == array.strides[axis] // 8


def test_torch_has_the_strides_of_order_c() -> None:
    for shape in [(5,), (4, 3), (2, 3, 4, 5)]:
        assert ref.locate(shape, (0,) * len(shape), "C")[0] == torch.zeros(shape).stride()


@pytest.mark.parametrize(
    ("index", "order", "sentence"), [((0, 0), "A", "order"), ((2, 0), "C", "outside"), ((0, -1), "F", "outside")]
)
def test_what_lies_outside_is_refused(index: tuple[int, ...], order: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        ref.locate((2, 3), index, order)


def random_view(rng: np.random.Generator) -> torch.Tensor:
    """A tensor whose axes were moved, sliced, repeated or made up, as it comes."""
    shape = [int(n) for n in rng.integers(1, 5, size=rng.integers(0, 5))]
    made = torch.arange(math.prod(shape)).reshape(shape).permute(rng.permutation(len(shape)).tolist())
    if shape and rng.random() < 0.5:
        axis = int(rng.integers(len(shape)))
        made = made.narrow(axis, 0, max(1, made.shape[axis] - 1))
    if rng.random() < 0.3:
        made = made.unsqueeze(0).expand(3, *made.shape)
    return made


def random_shape(rng: np.random.Generator, size: int) -> list[int]:
    """Sizes whose product is `size`, with a 1 here and there."""
    shape = [1] * int(rng.integers(0, 2))
    while size > 1:
        factor = int(rng.choice([k for k in range(2, size + 1) if size % k == 0]))
        shape.append(factor)
        size //= factor
    return [shape[k] for k in rng.permutation(len(shape))]


def test_a_reshape_is_a_view_exactly_where_torch_and_numpy_share_the_storage() -> None:
    rng, answers = np.random.default_rng(0), []
    for _ in range(3000):
        tensor = random_view(rng)
        new = random_shape(rng, tensor.numel())
        said = ref.reshape_is_view(tuple(tensor.shape), tensor.stride(), tuple(new))
        try:
            tensor.view(new)
            by_torch = True
        except RuntimeError:
            by_torch = False
        array = tensor.numpy()
        assert said is by_torch is np.shares_memory(array, array.reshape(new)), (tensor.shape, tensor.stride(), new)
        answers.append(said)
    assert 0.2 < np.mean(answers) < 0.8
    with pytest.raises(ValueError, match="different numbers"):
        ref.reshape_is_view((3, 4), (4, 1), (5, 2))


def test_flattening_the_transpose_steps_by_4_4_and_minus_7() -> None:
    places = np.arange(12).reshape(3, 4).T.ravel()
    assert places[:5].tolist() == [0, 4, 8, 1, 5]
    assert np.diff(places)[:3].tolist() == [4, 4, -7]
    assert ref.reshape_is_view((4, 3), (1, 4), (2, 2, 3))
    assert not ref.reshape_is_view((4, 3), (1, 4), (2, 6))


# ---- broadcasting and sums -------------------------------------------------------------------------------------------
@pytest.mark.parametrize("shape", [(3,), (2, 3), (3, 3), (2, 3, 4), (5, 1, 2, 3)])
def test_a_bias_on_every_axis(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(len(shape))
    s = rng.normal(size=shape)
    for axis in range(-len(shape), len(shape)):
        b = rng.normal(size=shape[axis])
        result = ref.add_bias(s, b, axis)
        for index in np.ndindex(*shape):
            assert result[index] == s[index] + b[index[axis]]
        assert not np.shares_memory(result, s)
    wrong = [np.ones(shape[0] + 1), np.ones((shape[0], 1))] + [np.ones(1)] * (shape[0] > 1)
    for b in wrong:
        with pytest.raises(ValueError, match="shape"):
            ref.add_bias(s, b, 0)


def test_a_bias_along_channels_is_that_of_a_convolution() -> None:
    x, bias = torch.randn(2, 3, 4, 5, dtype=torch.float64), torch.randn(3, dtype=torch.float64)
    identity = torch.eye(3, dtype=torch.float64)[:, :, None, None]
    expected = torch.nn.functional.conv2d(x, identity, bias).numpy()
    np.testing.assert_allclose(ref.add_bias(x.numpy(), bias.numpy(), axis=1), expected, rtol=1e-12)


def test_recipes_are_the_sums_of_the_docstring() -> None:
    rng = np.random.default_rng(3)
    a, b, x, w = (rng.normal(size=size) for size in [(2, 3), (3, 5), (2, 4, 3), (3, 5)])
    m, u, v = rng.normal(size=(4, 4)), rng.normal(size=3), rng.normal(size=2)
    rows, t, others = rng.normal(size=(6, 2)), rng.normal(size=(2, 3)), rng.normal(size=(6, 3))
    for name, operands, expected in [
        ("matrix product", (a, b), a @ b),
        ("tensor times matrix", (x, w), torch.matmul(torch.tensor(x), torch.tensor(w)).numpy()),
        ("transpose", (a,), a.T),
        ("trace", (m,), np.trace(m)),
        ("column sums", (a,), a.sum(axis=0)),
        ("outer product", (u, v), np.outer(u, v)),
        ("squared row norms", (a, a), np.linalg.norm(a, axis=1) ** 2),
        ("bilinear forms", (rows, t, others), np.array([p @ t @ q for p, q in zip(rows, others, strict=True)])),
    ]:
        np.testing.assert_allclose(np.einsum(ref.einsum_recipe(name), *operands), expected, rtol=1e-12)
        by_torch = torch.einsum(ref.einsum_recipe(name), *[torch.tensor(operand) for operand in operands])
        np.testing.assert_allclose(by_torch.numpy(), expected, rtol=1e-12)
    torch.testing.assert_close(
        torch.nn.functional.bilinear(torch.tensor(rows), torch.tensor(others), torch.tensor(t)[None])[:, 0],
        torch.einsum(ref.einsum_recipe("bilinear forms"), *map(torch.tensor, (rows, t, others))),
    )
    with pytest.raises(ValueError, match="inverse"):
        ref.einsum_recipe("inverse")


# ---- norms -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("p", [1.0, 1.5, 2.0, 3.0, 10.0, math.inf])
def test_norms_equal_numpys_and_torchs(p: float) -> None:
    x = np.random.default_rng(5).normal(scale=300, size=(40, 7))
    np.testing.assert_allclose(ref.p_norm(x, p), np.linalg.norm(x, p, axis=1), rtol=1e-13)
    np.testing.assert_allclose(
        ref.p_norm(x, p), torch.linalg.vector_norm(torch.tensor(x), p, dim=1).numpy(), rtol=1e-13
    )


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0, math.inf])
@pytest.mark.parametrize("scale", [1e-300, 1e-200, 1e-30, 1.0, 1000.0, 1e200, 1e300])
def test_norms_scale_without_a_warning(p: float, scale: float) -> None:
    x = np.array([[3.0, -4.0, 0.0], [1.0, 1.0, -1.0], [0.0, 0.0, 0.0]])
    with np.errstate(over="raise", divide="raise", invalid="raise"):
        found = ref.p_norm(scale * x, p)
    np.testing.assert_allclose(found, scale * np.linalg.norm(x, p, axis=1), rtol=1e-13)
    assert found[2] == 0


def test_the_2_norm_by_exact_fractions() -> None:
    x = np.random.default_rng(6).normal(size=(5, 9))
    squares = [sum(Fraction(float(value)) ** 2 for value in row) for row in x]
    np.testing.assert_allclose(ref.p_norm(x, 2.0), [math.sqrt(total) for total in squares], rtol=1e-15)


# ---- linear maps -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("angle", [0.0, 0.4, math.pi / 2, -2.0, 7.0])
def test_the_camera_does_step_by_step_what_it_does_at_once(mirror: bool, angle: float) -> None:
    rng = np.random.default_rng(7)
    shift = rng.normal(scale=1000, size=3)
    motion, picture = ref.picture_matrix(mirror, angle, shift)
    assert motion.shape == (4, 4)
    assert picture.shape == (4, 2)
    for x, y, z in rng.normal(size=(10, 3)):
        flipped = -x if mirror else x
        depth = math.sin(angle) * flipped + math.cos(angle) * z
        moved = np.array([math.cos(angle) * flipped - math.sin(angle) * z, y, depth]) + shift
        np.testing.assert_allclose(np.array([x, y, z, 1.0]) @ motion, [*moved, 1.0], rtol=1e-12)
        np.testing.assert_allclose(np.array([x, y, z, 1.0]) @ picture, moved[:2], rtol=1e-12)
    linear = motion[:3, :3]
    np.testing.assert_allclose(linear @ linear.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(linear) == pytest.approx(-1 if mirror else 1)


@pytest.mark.parametrize("rank", [1, 2, 3, 4])
def test_a_tensor_keeps_its_value_when_the_axes_turn(rank: int) -> None:
    rng = np.random.default_rng(rank)
    components, vectors = rng.normal(size=(3,) * rank), rng.normal(size=(rank, 3))
    axes = np.linalg.qr(rng.normal(size=(3, 3)))[0]

    def value(table: np.ndarray, arguments: np.ndarray) -> float:
        for each in arguments:
            table = np.tensordot(each, table, axes=(0, 0))
        return float(table)

    turned = ref.turned_components(components, axes)
    assert turned.shape == components.shape
    assert value(turned, vectors @ axes.T) == pytest.approx(value(components, vectors))
    assert np.linalg.norm(turned) == pytest.approx(np.linalg.norm(components))
    for index in itertools.product(range(3), repeat=rank):  # a component is the value at basis vectors
        assert turned[index] == pytest.approx(value(components, axes[list(index)]))
    np.testing.assert_allclose(ref.turned_components(turned, axes.T), components, atol=1e-12)


def test_rank_2_is_a_t_at() -> None:
    rng = np.random.default_rng(9)
    table, axes = rng.normal(size=(2, 4, 4))
    np.testing.assert_allclose(ref.turned_components(table, axes), axes @ table @ axes.T, rtol=1e-12)
    by_torch = torch.einsum("ai,bj,ij->ab", torch.tensor(axes), torch.tensor(axes), torch.tensor(table))
    np.testing.assert_allclose(ref.turned_components(table, axes), by_torch.numpy(), rtol=1e-12)


# ---- what the decks print --------------------------------------------------------------------------------------------
def test_deck_a_rotation_is_a_mirror() -> None:
    assert np.linalg.det(np.diag([1.0, -1.0, 1.0])) == -1
    for angle in np.linspace(0, 2 * np.pi, 100):
        turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        assert np.linalg.det(turn) == pytest.approx(1)
        assert not np.allclose(turn, np.diag([1.0, -1.0]))


def test_deck_a_shift_is_not_linear_and_its_b_moves_one_point() -> None:
    b = np.array([[0.5, 0, 0], [0, 0, 0], [0, 0, 0]])
    points = np.random.default_rng(0).normal(size=(3, 3))
    moved = np.abs(points + b - points).max(axis=1) > 0.1
    assert moved.tolist() == [True, False, False]
    assert (np.abs(points + b[0] - points).max(axis=1) > 0.1).all()
    u, v = points[:2]
    assert np.allclose((u + v + b[0]) - (u + b[0]) - (v + b[0]), -b[0])


def test_deck_a_projection_leaves_one_number_a_row() -> None:
    stack = np.tile(np.eye(3), (5, 1, 1))
    assert (stack @ np.ones((3, 1))).shape == (5, 3, 1)
    assert (stack @ np.ones((3, 2))).shape == (5, 3, 2)


def test_deck_a_counts_axes_both_ways() -> None:
    storage = np.arange(1, 13)
    # "T(1:2, 1:2, 1:3) … 3 × 2 × 2": the bounds list the slowest axis first, the size the fastest first.
    for i, j, k in itertools.product(range(2), range(2), range(3)):
        assert storage[ref.locate((2, 2, 3), (i, j, k), "C")[1]] == storage[ref.locate((3, 2, 2), (k, j, i), "F")[1]]
    # "x's first dimension equals w's rows", with x(1:4, 1:4, 1:4) and the shape … × n: it is the last axis.
    x, w = np.ones((2, 5, 3)), np.ones((3, 4))
    assert (x @ w).shape == (2, 5, 4)
    with pytest.raises(ValueError, match="core dimension"):
        x.T @ w


def test_deck_a_list_of_one_address_holds_one_result() -> None:
    r, kept = np.zeros(2), []
    for step in range(3):
        r[:] = step
        kept.append(r)
    assert [entry.tolist() for entry in kept] == [[2, 2]] * 3


@pytest.mark.parametrize("r", [1, 2, 3])
def test_deck_a_rank_r_tensor_has_r_arguments(r: int) -> None:
    rng = np.random.default_rng(r)
    value, named = rng.normal(size=(3,) * r), rng.normal(size=(r + 1, 3))  # v₀ … v_r, as the deck names them
    for vector in named[:r]:
        value = np.tensordot(vector, value, axes=(0, 0))
    assert np.ndim(value) == 0  # a number already, and one of the named vectors is left
    assert len(named[r:]) == 1


def test_deck_a_norm_of_a_matrix_depends_on_which_is_meant() -> None:
    a = np.array([[1.0, 2.0], [3.0, 4.0]])
    entries = [ref.p_norm(a.reshape(1, -1), p)[0] for p in (1.0, 2.0)]
    assert entries == pytest.approx([10, math.sqrt(30)])
    assert np.linalg.norm(a, 1) == 6
    assert np.linalg.norm(a, 2) == pytest.approx(5.4650, abs=1e-4)


# ---- the chapter, run from top to bottom -----------------------------------------------------------------------------
@pytest.fixture(scope="module")
def solved() -> tuple[str, dict[str, Any]]:
    """What the solved chapter prints, and its names afterwards."""
    return run_solved("01_tensors")


@pytest.fixture(scope="module")
def printed(solved: tuple[str, dict[str, Any]]) -> str:
    return solved[0]


@pytest.mark.parametrize(
    "line",
    [
        "[[[1, 2, 3], [4, 5, 6]], [[7, 8, 9], [10, 11, 12]]]",
        "C, (2, 2, 3): strides [6, 3, 1]  [1, 0, 2] → 9",
        "F, (3, 2, 2): strides [1, 3, 6]  [2, 0, 1] → 9",
        "one storage: True True",
        "axes: 3  linear algebra's rank of a (4, 4) of ones: 1",
        "           transpose: strides   [1, 4], a[0, 0] is now 99, view",
        " every second column: strides   [4, 2], a[0, 0] is now 99, view",
        "     list of columns: strides   [1, 3], a[0, 0] is now  0, copy",
        "               a + 0: strides   [4, 1], a[0, 0] is now  0, copy",
        "             reshape: strides   [6, 1], a[0, 0] is now 99, view",
        "  transpose, reshape: strides   [6, 1], a[0, 0] is now  0, copy",
        "row by row, the transpose reads places [0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11]",
        "(8, 3) False · torch's view: refused",
        "(2, 12) False · torch's view: refused",
        "(2, 2, 2, 3) True · torch's view: view",
        "(24,) False · torch's view: refused",
        "s + b\n [[2. 3. 4. 5.]\n [6. 7. 8. 9.]]",
        "strides of b, broadcast: [0, 1]",
        "(2, 4) + (2,) → does not fit\n(2, 4) + (2, 1) → (2, 4)\n(3, 1) + (4,) → (3, 4)",
        "(5, 1, 4) + (3, 1) → (5, 3, 4)\n(4, 1) + (4,) → (4, 4)",
        "a bias a channel: [1. 2. 3.]",
        "equal: True · ReLU(2, −0.3) = [2. 0.]",
        "rows of the result: [[2.0, 1.0]]",
        "(5, 3, 3) × (3, 1): (5, 3, 1), × (3, 2): (5, 3, 2)",
        "inverse [[-1.0, 2.0], [3.0, -5.0]]  a a⁻¹ = I: True",
        "x = [[1. 2.]]  check x aᵀ = [[9. 5.]]",
        "a*a [[25.0, 4.0], [9.0, 1.0]]  a@a [[31.0, 12.0], [18.0, 7.0]]  (aw)ᵀ = wᵀaᵀ: True",
        "einsum: row sums of w [-1. -1.  2.  0.]  diagonal of x[0] [ 1.  6. 11. 16.]\ndot product of w's columns: 1.0\n",
        "your recipe gives x @ w: True",
        "split: [(2, 2), (2, 2), (2, 2)]  views: True",
        "(6, 2)  stacked: (3, 2, 2)\ntorch the same: True",
        "['p = 1: 7.0000', 'p = 2: 5.0000', 'p = 10: 4.0220', 'p = inf: 4.0000']",
        "entries of a matrix: 5.4772  norm(a, 2): 5.465",
        "norm(a, 1): 6.0 the largest column sum; entries: 10.0",
        "as it stands: inf",
        "             a shift: f(u+v) − f(u) − f(v) = [-0.5  0. ]  f(2u) − 2f(u) = [-0.5  0. ]",
        "determinants: -1.0 1.0\nadded to three points, it moves them by [0.5 0.  0. ]",
        "corner (1, 1, 0) goes to [0.866 1.5   0.5   1.   ] and is drawn at [0.866 1.5  ]",
        "one vector after the other: True\nlinear in v: True\nlinear in both at once: False · it is c² times: True",
        "the pull: [[1.0, -1.0], [-1.0, 1.0]]",
        "y = xW, torch's layout: (2, 3)  equals Wᵀ: True\na scalar by W: (3, 2)  the shape of W: True",
        "shared: [7.0, 0.0, 0.0]  copied: [0.0, 0.0, 0.0]  dtypes: torch.float64 torch.float32",
        "(791447, 5) [1, 1] shares memory: True",
        "    gold: silver, fine, brass, vessels",
        "   seven: three, six, two, five",
        "   david: saul, joab, jonathan, solomon",
        "perfect predictions, 'loss': 1.3333  shape: (3, 3)",
        "x W and x Wᵀ: [0. 1.] [2. 0.]\nthree states: [[3.0, 3.0], [3.0, 3.0], [3.0, 3.0]]",
        "expected m1 and m2 to have the same dtype, but got: float != double",
    ],
)
def test_the_chapter_prints(printed: str, line: str) -> None:
    assert line in printed


def test_only_the_shift_is_not_linear(printed: str) -> None:
    zero = re.findall(r" +(.*): f\(u\+v\) − f\(u\) − f\(v\) = \[0\. 0\.\]  f\(2u\) − 2f\(u\) = \[0\. 0\.\]", printed)
    assert zero == ["deck A's 'rotation'", "a turn by 0.7", "a projection"]


def test_the_number_t_of_v_and_u_is_the_same_in_all_axes(printed: str) -> None:
    [(change, before, after)] = re.findall(r"change: (\S+)  T\(v, u\): (\S+) in the new axes (\S+)", printed)
    assert before == after
    assert float(change) > 0.5


def test_vectorised_is_faster_by_far(printed: str) -> None:
    """The chapter prints the times of its reader's machine; a busy one must not fail, so only the order is held to."""
    [relu] = re.findall(r"vectorised \S+ s: ([\d,]+) times as fast", printed)
    [product] = re.findall(r"a @ b \S+ s: ([\d,]+) times as fast", printed)
    assert int(relu.replace(",", "")) > 2
    assert int(product.replace(",", "")) > 20
    [(at_once, loops)] = re.findall(r"dot products: (\S+) s; in three loops they would take about (\d+) s", printed)
    assert float(loops) > 3 * float(at_once)
    [(transpose, flatten)] = re.findall(r"transpose (\S+) s, then flatten (\S+) s", printed)
    assert float(flatten) > 3 * float(transpose)


def test_words_of_a_group_are_likelier_neighbours(printed: str) -> None:
    found = re.findall(r"(\S.*): mean likeness inside (\S+), to all words (\S+)\n", printed)
    assert [name for name, _, _ in found] == ["numbers", "family", "body", "kings and prophets"]
    assert all(float(inside) > 2.5 * float(other) for _, inside, other in found)


def test_what_the_three_views_show(solved: tuple[str, dict[str, Any]]) -> None:
    names, groups, views = (solved[1][name] for name in ("names", "groups", "views"))
    out = {}  # how many standard deviations the middle of a group is from that of all words, across the picture
    for title, places in views.items():
        for group, words in groups.items():
            middle = places[[names.index(word) for word in words if word in names], 0].mean()
            out[title, group] = abs(middle - places[:, 0].mean()) / places[:, 0].std()
    assert out["turned by 0°", "numbers"] > 2
    assert out["turned by 0°", "family"] < 1
    assert out["turned by 90°", "family"] > 1.5
    assert out["turned by 135°", "numbers"] < 1


def test_answers_of_check_yourself() -> None:
    made = np.zeros((4, 6)).T
    assert made.shape == (6, 4)
    assert [step // 8 for step in made.strides] == [1, 6]
    assert np.broadcast_shapes((8, 1, 6), (7, 1)) == (8, 7, 6)


def test_the_letter_is_closed_and_the_deck_s_map_turns_it_upside_down() -> None:
    letter = plotting.LETTER_F
    assert letter[0].tolist() == letter[-1].tolist() == [0, 0]
    area = 0.5 * np.sum(letter[:-1, 0] * letter[1:, 1] - letter[1:, 0] * letter[:-1, 1])
    mirrored = letter @ np.diag([1.0, -1.0])
    flipped = 0.5 * np.sum(mirrored[:-1, 0] * mirrored[1:, 1] - mirrored[1:, 0] * mirrored[:-1, 1])
    assert flipped == pytest.approx(-area)


def test_every_cell_of_the_student_s_notebook_compiles() -> None:
    notebook = nbformat.read(chapter("01_tensors").notebook, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            compile(cell.source, cell.id, "exec")


# ---- feedback --------------------------------------------------------------------------------------------------------
def by_name(name: str) -> Exercise:
    return next(made for made in EXERCISES if made.name == name)


def test_feedback_on_three_classics() -> None:
    verdict = verdict_of(by_name("add_bias").sheet("a secret"), lambda s, b, axis: s + b)
    assert not verdict.passed
    verdict = verdict_of(by_name("p_norm").sheet("a secret"), lambda x, p: np.linalg.norm(x, p, axis=1))
    assert not verdict.passed  # NumPy's own overflows
    verdict = verdict_of(by_name("einsum_recipe").sheet("a secret"), lambda name: "ij,jk->ik")
    assert not verdict.passed


def test_a_huge_answer_is_diagnosed_without_a_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for made in by_name("p_norm").mistakes:
            verdict = verdict_of(by_name("p_norm").sheet("a secret"), made.implementation)
            assert verdict.misconception == made.name
        doubled = verdict_of(by_name("p_norm").sheet("a secret"), lambda x, p: 2 * by_name("p_norm").reference(x, p))
        assert not doubled.passed


def answer_of(name: str, student: Any) -> Any:
    return verdict_of(by_name(name).sheet("a secret"), student)


def test_the_trace_s_missing_sum_is_not_explained_by_a_gradient() -> None:
    recipe = by_name("einsum_recipe").reference
    verdict = answer_of("einsum_recipe", lambda name: "ii->i" if name == "trace" else recipe(name))
    assert "over which a sum is missing" in verdict.headline
    assert "Who shares" not in str(verdict)


def test_a_recipe_with_too_few_operands_or_a_foreign_sign_is_told_so() -> None:
    recipe = by_name("einsum_recipe").reference
    verdict = answer_of("einsum_recipe", lambda name: "ij->i" if name == "squared row norms" else recipe(name))
    assert "names 1 operand(s) before the arrow, but the formula multiplies 2" in verdict.headline
    verdict = answer_of("einsum_recipe", lambda name: "pi·iq->pq" if name == "matrix product" else recipe(name))
    assert "signs other than letters" in verdict.headline


def test_zero_by_zero_is_not_called_an_overflow() -> None:
    def never_asks_for_zero(x: np.ndarray, p: float) -> np.ndarray:
        largest = np.abs(x).max(axis=1)
        return np.asarray(largest * ((np.abs(x) / largest[:, None]) ** p).sum(axis=1) ** (1 / p))

    verdict = answer_of("p_norm", never_asks_for_zero)
    assert verdict.diagnosis != "overflow"
    assert "NaN (not a number) at [2]" in verdict.headline
    assert "exponential" not in str(verdict)


def test_a_small_number_added_to_the_scale_is_not_called_right_to_212_digits() -> None:
    def padded(x: np.ndarray, p: float) -> np.ndarray:
        largest = np.abs(x).max(axis=1) + 1e-300
        if p == math.inf:
            return np.abs(x).max(axis=1)
        return np.asarray(largest * ((np.abs(x) / (largest[:, None] + 1e-12)) ** p).sum(axis=1) ** (1 / p))

    verdict = answer_of("p_norm", padded)
    assert not verdict.passed
    assert not re.search(r"about \d{3} digits", verdict.headline)
