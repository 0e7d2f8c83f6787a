"""Exercises of chapter 01: storage and strides, broadcasting, sums over axes, norms, linear maps, turned axes."""

import math
from collections.abc import Iterator

import numpy as np

from autograder.exercise import Case, case, exercise, explanation
from solutions import tensors as ref


def _turn(rng: np.random.Generator, n: int) -> np.ndarray:
    """Random orthonormal axes, (n, n), one a row."""
    return np.linalg.qr(rng.normal(size=(n, n)))[0]


# ---- locate ----------------------------------------------------------------------------------------------------------
@exercise(ref.locate, points=2, returns=("strides", "offset"))
def locate(rng: np.random.Generator) -> Iterator[Case]:
    """Find the strides of a shape and the place of one element in storage."""
    yield case("deck A's tensor, last index fastest", shape=(2, 2, 3), index=(1, 0, 2), order="C")
    yield case("the same element, first index fastest", shape=(2, 2, 3), index=(1, 0, 2), order="F")
    for shape in [(5,), (4, 3), (2, 3, 4, 5)]:
        for order in ("C", "F"):
            index = tuple(int(rng.integers(1, size)) for size in shape)
            yield case(shape=shape, index=index, order=order)
    yield case("a scalar", shape=(), index=(), order="C")
    yield case("the first element", shape=(3, 1, 2), index=(0, 0, 0), order="F")
    yield case("an index below the axis", shape=(3, 2), index=(-1, 0), order="C")
    yield case("an index beyond the axis", shape=(3, 2), index=(0, 2), order="F")
    yield case("an order that nobody knows", shape=(3, 2), index=(0, 0), order="D")


@locate.mistake(
    "The two orders are turned round. In order C the last index runs fastest: a step along the last axis is a step of one "
    "element. Which axis should have stride 1?"
)
def fastest_axis_turned_round(shape, index, order):
    if order not in ("C", "F") or any(not 0 <= i < n for i, n in zip(index, shape, strict=True)):
        raise ValueError(shape)
    strides, step = [0] * len(shape), 1
    axes = list(range(len(shape)))
    for axis in axes[::-1] if order == "F" else axes:
        strides[axis] = step
        step *= shape[axis]
    return tuple(strides), sum(i * s for i, s in zip(index, strides, strict=True))


@locate.mistake(
    "These strides count bytes of float64, as NumPy's own `strides` do. Here they count elements, so the fastest axis has "
    "stride 1."
)
def counts_bytes(shape, index, order):
    if order not in ("C", "F") or any(not 0 <= i < n for i, n in zip(index, shape, strict=True)):
        raise ValueError(shape)
    strides = np.empty(shape, order=order).strides
    return tuple(strides), sum(i * s for i, s in zip(index, strides, strict=True))


@locate.mistake(
    "Each stride is the size of its own axis multiplied in once too early. A step along an axis jumps over the faster axes "
    "only: the fastest one has stride 1, whatever its size."
)
def own_size_included(shape, index, order):
    if order not in ("C", "F") or any(not 0 <= i < n for i, n in zip(index, shape, strict=True)):
        raise ValueError(shape)
    strides, step = [0] * len(shape), 1
    axes = list(range(len(shape)))
    for axis in axes if order == "F" else axes[::-1]:
        step *= shape[axis]
        strides[axis] = step
    return tuple(strides), sum(i * s for i, s in zip(index, strides, strict=True))


@locate.mistake(
    "Each stride is the size of one neighbouring axis. It takes the product of all faster axes: with three axes, a step "
    "along the slowest one jumps over a whole matrix."
)
def neighbour_s_size_alone(shape, index, order):
    if order not in ("C", "F") or any(not 0 <= i < n for i, n in zip(index, shape, strict=True)):
        raise ValueError(shape)
    strides = [1, *shape[:-1]] if order == "F" else [*shape[1:], 1]
    strides = strides[: len(shape)]
    return tuple(strides), sum(i * s for i, s in zip(index, strides, strict=True))


@locate.mistake(
    "For order C the strides stand in the order in which you found them, the fastest axis first. They belong to the axes: the "
    "stride of the last axis comes last."
)
def strides_listed_as_they_were_found(shape, index, order):
    if order not in ("C", "F") or any(not 0 <= i < n for i, n in zip(index, shape, strict=True)):
        raise ValueError(shape)
    strides, step = [], 1
    for size in shape if order == "F" else shape[::-1]:
        strides.append(step)
        step *= size
    return tuple(strides), sum(i * s for i, s in zip(index, strides, strict=True))


@locate.mistake(
    "The order makes no difference in your code: both are answered as C. In order F the first index runs fastest, so the "
    "first axis has stride 1."
)
def always_last_index_fastest(shape, index, order):
    if order not in ("C", "F") or any(not 0 <= i < n for i, n in zip(index, shape, strict=True)):
        raise ValueError(shape)
    strides = [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]
    return tuple(strides), sum(i * s for i, s in zip(index, strides, strict=True))


@locate.variant
def by_products_of_slices(shape, index, order):
    if order not in ("C", "F"):
        raise ValueError("order")
    if not all(0 <= i < n for i, n in zip(index, shape, strict=True)):
        raise ValueError("index")
    faster = [shape[:axis] if order == "F" else shape[axis + 1 :] for axis in range(len(shape))]
    strides = [math.prod(sizes) for sizes in faster]
    return strides, sum(np.multiply(index, strides).tolist())


@locate.variant
def by_asking_numpy(shape, index, order):
    if order not in ("C", "F") or any(not 0 <= i < n for i, n in zip(index, shape, strict=True)):
        raise ValueError("order or index")
    places = np.arange(math.prod(shape)).reshape(shape, order=order)
    strides = tuple(step // places.itemsize for step in np.empty(shape, dtype=places.dtype, order=order).strides)
    return strides, int(places[index])


@locate.variant
def horner_from_the_slowest(shape, index, order):
    if order not in ("C", "F") or any(not 0 <= i < n for i, n in zip(index, shape, strict=True)):
        raise ValueError("order or index")
    turned = (lambda items: items[::-1]) if order == "F" else (lambda items: items)
    offset, strides = 0, []
    for k, (i, n) in enumerate(zip(turned(index), turned(shape), strict=True)):
        offset = offset * n + i
        strides.append(math.prod(turned(shape)[k + 1 :]))
    return tuple(turned(strides)), offset


# ---- reshape_is_view -------------------------------------------------------------------------------------------------
@exercise(ref.reshape_is_view, points=3)
def reshape_is_view(rng: np.random.Generator) -> Iterator[Case]:
    """Say whether a reshape can share the old storage."""
    yield case("a dense matrix, flattened", shape=(3, 4), strides=(4, 1), new_shape=(12,))
    yield case("its transpose, flattened", shape=(4, 3), strides=(1, 4), new_shape=(12,))
    yield case("its transpose, one axis split", shape=(4, 3), strides=(1, 4), new_shape=(2, 2, 3))
    yield case("its transpose, cut elsewhere", shape=(4, 3), strides=(1, 4), new_shape=(2, 6))
    yield case("its transpose, cut elsewhere as well", shape=(4, 6), strides=(1, 4), new_shape=(3, 8))
    yield case("its transpose, more axes but no cut at 4", shape=(4, 6), strides=(1, 4), new_shape=(3, 2, 4))
    yield case("heads split off and moved", shape=(2, 3, 5, 4), strides=(60, 4, 12, 1), new_shape=(2, 15, 4))
    yield case(
        "heads split off and moved, batch merged", shape=(2, 3, 5, 4), strides=(60, 4, 12, 1), new_shape=(6, 5, 4)
    )
    yield case("two batches of dense rows", shape=(2, 3, 4), strides=(12, 4, 1), new_shape=(6, 4))
    yield case("the first columns of a matrix", shape=(3, 2), strides=(4, 1), new_shape=(6,))
    yield case("the first columns, columns split", shape=(3, 4), strides=(8, 1), new_shape=(3, 2, 2))
    yield case("the first rows of a matrix", shape=(2, 4), strides=(4, 1), new_shape=(8,))
    yield case("every second number", shape=(6,), strides=(2,), new_shape=(2, 3))
    yield case("a row repeated by broadcasting", shape=(3, 4), strides=(0, 1), new_shape=(12,))
    yield case("one number repeated", shape=(3, 4), strides=(0, 0), new_shape=(2, 6))
    yield case("read backwards", shape=(3, 4), strides=(-4, -1), new_shape=(12,))
    yield case("an axis of one with an odd stride", shape=(3, 1, 4), strides=(4, 99, 1), new_shape=(12,))
    yield case("an axis of one at the end", shape=(4, 3, 1), strides=(3, 1, 7), new_shape=(2, 6))
    yield case("new axes of one", shape=(4, 3), strides=(1, 4), new_shape=(1, 4, 1, 3))
    yield case("a single number", shape=(1, 1), strides=(5, 3), new_shape=())
    yield case("first of three runs kept, second lost", shape=(2, 3, 4), strides=(1, 2, 6), new_shape=(2, 12))
    yield case("numbers missing", shape=(3, 4), strides=(4, 1), new_shape=(5, 2))
    for _ in range(8):
        sizes = [int(n) for n in rng.integers(2, 4, size=3)]
        dense = [sizes[1] * sizes[2], sizes[2], 1]
        moved = rng.permutation(3)
        shape = tuple(sizes[k] for k in moved)
        split = [(shape[0] * shape[1], shape[2]), (shape[0], shape[1] * shape[2]), (math.prod(shape),)]
        new = split[int(rng.integers(3))]
        yield case("axes moved", shape=shape, strides=tuple(dense[k] for k in moved), new_shape=new)


@reshape_is_view.mistake(
    "A view does not need densely stored numbers. A transposed matrix can still have one of its axes split; what it cannot do "
    "is merge two axes that do not follow each other. Which axes does this reshape merge?"
)
def only_dense_arrays(shape, strides, new_shape):
    if math.prod(shape) != math.prod(new_shape):
        raise ValueError(shape)
    axes = [axis for axis in range(len(shape)) if shape[axis] > 1]
    step = 1
    for axis in axes[::-1]:
        if strides[axis] != step:
            return False
        step *= shape[axis]
    return True


@reshape_is_view.mistake(
    "The first break decides in your code, whatever comes after it. A cut at one break is no promise for the next: say True only "
    "when every break has its cut."
)
def the_first_break_decides(shape, strides, new_shape):
    if math.prod(shape) != math.prod(new_shape):
        raise ValueError(shape)
    axes = [axis for axis in range(len(shape)) if shape[axis] > 1]
    cuts = [math.prod(new_shape[:k]) for k in range(len(new_shape) + 1)]
    for k in range(len(axes) - 1):
        outer, inner = axes[k], axes[k + 1]
        if strides[outer] != shape[inner] * strides[inner]:
            return math.prod(shape[: outer + 1]) in cuts
    return True


@reshape_is_view.mistake(
    "An axis of one element is never moved along, so its stride says nothing. Leave such axes out before you compare "
    "neighbours."
)
def axes_of_one_in_the_way(shape, strides, new_shape):
    if math.prod(shape) != math.prod(new_shape):
        raise ValueError(shape)
    cuts = [math.prod(new_shape[:k]) for k in range(len(new_shape) + 1)]
    for k in range(len(shape) - 1):
        broken = strides[k] != shape[k + 1] * strides[k + 1]
        if broken and math.prod(shape[: k + 1]) not in cuts:
            return False
    return True


@reshape_is_view.mistake(
    "You ask whether all neighbouring axes could be merged. That is only needed where the reshape does merge them: a break "
    "between two old axes is harmless if the new shape has a cut at the same place."
)
def every_pair_must_merge(shape, strides, new_shape):
    if math.prod(shape) != math.prod(new_shape):
        raise ValueError(shape)
    axes = [axis for axis in range(len(shape)) if shape[axis] > 1]
    return all(strides[axes[k]] == shape[axes[k + 1]] * strides[axes[k + 1]] for k in range(len(axes) - 1))


@reshape_is_view.mistake(
    "Two neighbours are one run if a step of the outer axis equals a whole walk along the inner one: the inner size times the "
    "inner stride. You multiply by the outer size."
)
def outer_size_in_the_product(shape, strides, new_shape):
    if math.prod(shape) != math.prod(new_shape):
        raise ValueError(shape)
    axes = [axis for axis in range(len(shape)) if shape[axis] > 1]
    cuts = [math.prod(new_shape[:k]) for k in range(len(new_shape))]
    leading = 1
    for k in range(len(axes) - 1):
        outer, inner = axes[k], axes[k + 1]
        leading *= shape[outer]
        if strides[outer] != shape[outer] * strides[inner] and leading not in cuts:
            return False
    return True


@reshape_is_view.mistake(
    "A cut is a number of elements, the product of all leading sizes, not the size of one new axis. Compare products with "
    "products: the old axes up to the break with the new axes up to a cut."
)
def sizes_instead_of_products(shape, strides, new_shape):
    if math.prod(shape) != math.prod(new_shape):
        raise ValueError(shape)
    axes = [axis for axis in range(len(shape)) if shape[axis] > 1]
    for k in range(len(axes) - 1):
        outer, inner = axes[k], axes[k + 1]
        broken = strides[outer] != shape[inner] * strides[inner]
        if broken and math.prod(shape[: outer + 1]) not in new_shape:
            return False
    return True


@reshape_is_view.variant
def by_asking_numpy_for_shared_memory(shape, strides, new_shape):
    if math.prod(shape) != math.prod(new_shape):
        raise ValueError("sizes")
    reach = sum((n - 1) * abs(s) for n, s in zip(shape, strides, strict=True))
    storage = np.zeros(2 * reach + 1)
    steps = [8 * s for s in strides]
    array = np.lib.stride_tricks.as_strided(storage[reach:], shape=shape, strides=steps)
    return bool(np.shares_memory(array, array.reshape(new_shape)))


@reshape_is_view.variant
def by_trying_strides(shape, strides, new_shape):
    if math.prod(shape) != math.prod(new_shape):
        raise ValueError("sizes")
    places = [sum(i * s for i, s in zip(index, strides, strict=True)) for index in np.ndindex(*shape)]
    places = np.array(places).reshape(new_shape)
    guess = np.zeros(new_shape, dtype=int) + places.flat[0]
    for axis, size in enumerate(new_shape):
        if size > 1:
            first = [0] * len(new_shape)
            first[axis] = 1
            step = places[tuple(first)] - places.flat[0]
            along = [1] * len(new_shape)
            along[axis] = size
            guess = guess + step * np.arange(size).reshape(along)
    return bool(np.array_equal(guess, places))


@reshape_is_view.variant
def by_runs(shape, strides, new_shape):
    if math.prod(shape) != math.prod(new_shape):
        raise ValueError("sizes")
    runs, last = [], None
    for n, s in zip(shape, strides, strict=True):
        if n == 1:
            continue
        if last is not None and last == n * s:
            runs[-1] *= n
        else:
            runs.append(n)
        last = s
    left = list(new_shape)
    for run in runs:
        size = 1
        while size < run:
            size *= left.pop(0)
        if size != run:
            return False
    return True


# ---- add_bias --------------------------------------------------------------------------------------------------------
@exercise(ref.add_bias, points=2)
def add_bias(rng: np.random.Generator) -> Iterator[Case]:
    """Add one number to every slice of a tensor, along the axis that is named."""
    eight = np.array([[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]])
    yield case("deck A's sum", s=eight, b=np.ones(4), axis=-1)
    yield case("one number a row", s=eight, b=np.array([10.0, 20.0]), axis=0)
    for shape, axis in [((5,), 0), ((3, 3), 0), ((3, 3), 1), ((2, 3, 4), 1), ((3, 3, 3), 0), ((2, 1, 3, 4), -3)]:
        yield case(s=rng.normal(size=shape), b=rng.normal(size=shape[axis]), axis=axis)
    yield case("a middle axis, counted from the end", s=rng.normal(size=(2, 3, 4)), b=rng.normal(size=3), axis=-2)
    yield case("one number where four are needed", s=eight, b=np.ones(1), axis=1)
    yield case("as long as another axis", s=eight, b=np.ones(4), axis=0)
    yield case("a column instead of a vector", s=eight, b=np.ones((2, 1)), axis=0)


@add_bias.mistake(
    "Broadcasting lines shapes up from the right, so a plain s + b always uses the last axis, whatever `axis` says. Which "
    "shape must b have to line up with another one?"
)
def always_the_last_axis(s, b, axis):
    if b.shape != (s.shape[axis],):
        raise ValueError("shape of b")
    return s + b


@add_bias.mistake(
    "b goes to the first axis each time: as a column it lines up with the rows. Put as many ones behind its size as there are "
    "axes after `axis`, not after the first."
)
def always_the_first_axis(s, b, axis):
    if b.shape != (s.shape[axis],):
        raise ValueError("shape of b")
    return s + b.reshape(-1, *[1] * (s.ndim - 1))


@add_bias.mistake(
    "The caller's own array was changed: += writes into s. Return a new array, s + …, so that nobody loses numbers that are "
    "still needed."
)
def writes_into_s(s, b, axis):
    if b.shape != (s.shape[axis],):
        raise ValueError("shape of b")
    shape = [1] * s.ndim
    shape[axis] = -1
    s += b.reshape(shape)
    return s


@add_bias.mistake(
    "A b of length 1 fits any axis by broadcasting, so your code takes it without a word. The docstring promises a ValueError "
    "when b has not exactly one number for each slice."
)
def one_number_slips_through(s, b, axis):
    if b.ndim != 1 or b.size not in (1, s.shape[axis]):
        raise ValueError("shape of b")
    shape = [1] * s.ndim
    shape[axis] = -1
    return s + b.reshape(shape)


@add_bias.mistake(
    "A negative axis counts from the end. No position k that you run through equals −1, so the size of b is put nowhere. A list "
    "takes −1 as an index; where you compare positions, compare them with axis % s.ndim."
)
def negative_axes_never_meet(s, b, axis):
    if b.shape != (s.shape[axis],):
        raise ValueError("shape of b")
    return s + b.reshape([len(b) if k == axis else 1 for k in range(s.ndim)])


@add_bias.variant
def by_moving_the_axis(s, b, axis):
    if b.shape != (s.shape[axis],):
        raise ValueError("shape of b")
    return np.moveaxis(np.moveaxis(s, axis, -1) + b, -1, axis)


@add_bias.variant
def slice_by_slice(s, b, axis):
    if b.ndim != 1 or len(b) != s.shape[axis]:
        raise ValueError("shape of b")
    result = s.copy()
    moved = np.moveaxis(result, axis, 0)
    for k in range(len(b)):
        moved[k] += b[k]
    return result


@add_bias.variant
def with_none_as_an_index(s, b, axis):
    if b.shape != (s.shape[axis],):
        raise ValueError("shape of b")
    where = tuple(slice(None) if k == axis % s.ndim else None for k in range(s.ndim))
    return s + b[where]


# ---- einsum_recipe ---------------------------------------------------------------------------------------------------
@exercise(ref.einsum_recipe, points=3)
def einsum_recipe(rng: np.random.Generator) -> Iterator[Case]:
    """Turn formulas with Σ into subscripts of einsum."""

    def given(*shapes: tuple[int, ...]) -> list[np.ndarray]:
        return [rng.normal(size=shape) for shape in shapes]

    grid = np.add.outer(np.arange(4.0), np.arange(1.0, 17.0).reshape(4, 4))
    yield case("a square matrix product", name="matrix product", operands=given((3, 3), (3, 3)))
    yield case("an uneven matrix product", name="matrix product", operands=given((2, 3), (3, 5)))
    deck = [grid, np.array([[-1.0, 0.0], [0.0, -1.0], [1.0, 1.0], [0.0, 0.0]])]
    yield case("deck A's (4, 4, 4) × (4, 2)", name="tensor times matrix", operands=deck)
    yield case("all axes alike", name="tensor times matrix", operands=given((3, 3, 3), (3, 3)))
    yield case("all axes different", name="tensor times matrix", operands=given((2, 5, 3), (3, 4)))
    yield case(name="transpose", operands=given((2, 3)))
    yield case(name="transpose", operands=given((3, 3)))
    yield case(name="trace", operands=given((4, 4)))
    yield case(name="column sums", operands=given((2, 3)))
    yield case(name="column sums", operands=given((3, 3)))
    yield case(name="outer product", operands=given((3,), (4,)))
    yield case(name="outer product", operands=given((3,), (3,)))
    a = rng.normal(size=(3, 3))
    yield case(name="squared row norms", operands=[a, a])
    a = rng.normal(size=(2, 5))
    yield case(name="squared row norms", operands=[a, a])
    yield case("square, not symmetric", name="bilinear forms", operands=given((4, 3), (3, 3), (4, 3)))
    yield case("uneven", name="bilinear forms", operands=given((5, 2), (2, 3), (5, 3)))
    yield case("a name that nobody bears", name="determinant", operands=given((2, 2)))


@einsum_recipe.probe
def ask_for_the_recipe(student, name, operands):
    return student(name)


@einsum_recipe.measure
def follow_the_recipe(value, name, operands):
    if type(value) is not str or len(value) > 100:
        raise TypeError("subscripts are a text such as 'ij -> ji'")
    if not value.isascii():
        raise TypeError(f"{value!r} has signs other than letters, commas, dots and the arrow ->")
    named = value.split("->")[0].count(",") + 1
    if named != len(operands):
        raise TypeError(
            f"{value!r} names {named} operand(s) before the arrow, but the formula multiplies {len(operands)}"
        )
    try:
        return np.einsum(value, *operands)
    except ValueError as error:
        raise TypeError(f"einsum cannot follow {value!r}: {error}") from None


@einsum_recipe.mistake(
    "matrix product: the summed letter stands in the wrong places, so one factor is read transposed. In Σ_i a[p, i]·b[i, q] "
    "the letter i is second in a and first in b."
)
def sums_over_b_s_columns(name):
    recipes = {
        "matrix product": "pi,qi->pq",
        "tensor times matrix": "bti,iq->btq",
        "transpose": "ij->ji",
        "trace": "ii->",
        "column sums": "ij->j",
        "outer product": "i,j->ij",
        "squared row norms": "ij,ij->i",
        "bilinear forms": "bi,ij,bj->b",
    }
    if name not in recipes:
        raise ValueError(name)
    return recipes[name]


@einsum_recipe.mistake(
    "tensor times matrix: the matrix meets the wrong axis of x. Its rows belong to the last axis, the features; batch and time "
    "pass through untouched. Deck A calls the same axis the first."
)
def meets_the_first_axis(name):
    recipes = {
        "matrix product": "pi,iq->pq",
        "tensor times matrix": "ibt,iq->btq",
        "transpose": "ij->ji",
        "trace": "ii->",
        "column sums": "ij->j",
        "outer product": "i,j->ij",
        "squared row norms": "ij,ij->i",
        "bilinear forms": "bi,ij,bj->b",
    }
    if name not in recipes:
        raise ValueError(name)
    return recipes[name]


@einsum_recipe.mistake(
    "column sums: a letter that is missing after the arrow is summed over. You keep i, the row; the formula keeps j."
)
def sums_rows_for_columns(name):
    recipes = {
        "matrix product": "pi,iq->pq",
        "tensor times matrix": "bti,iq->btq",
        "transpose": "ij->ji",
        "trace": "ii->",
        "column sums": "ij->i",
        "outer product": "i,j->ij",
        "squared row norms": "ij,ij->i",
        "bilinear forms": "bi,ij,bj->b",
    }
    if name not in recipes:
        raise ValueError(name)
    return recipes[name]


@einsum_recipe.mistake(
    "trace: two different letters run independently and add up the whole matrix. The same letter twice in one operand walks "
    "along the diagonal."
)
def adds_up_everything(name):
    recipes = {
        "matrix product": "pi,iq->pq",
        "tensor times matrix": "bti,iq->btq",
        "transpose": "ij->ji",
        "trace": "ij->",
        "column sums": "ij->j",
        "outer product": "i,j->ij",
        "squared row norms": "ij,ij->i",
        "bilinear forms": "bi,ij,bj->b",
    }
    if name not in recipes:
        raise ValueError(name)
    return recipes[name]


@einsum_recipe.mistake(
    "bilinear forms: each row v[b] should meet its own u[b]. With a second letter for the rows of u every v meets every u; "
    "the letter b belongs into both."
)
def every_row_with_every_row(name):
    recipes = {
        "matrix product": "pi,iq->pq",
        "tensor times matrix": "bti,iq->btq",
        "transpose": "ij->ji",
        "trace": "ii->",
        "column sums": "ij->j",
        "outer product": "i,j->ij",
        "squared row norms": "ij,ij->i",
        "bilinear forms": "bi,ij,cj->bc",
    }
    if name not in recipes:
        raise ValueError(name)
    return recipes[name]


@einsum_recipe.mistake(
    "squared row norms: nothing after the arrow sums over rows and columns, which is one number for the whole matrix. The "
    "formula keeps i: one number a row."
)
def one_norm_for_all_rows(name):
    recipes = {
        "matrix product": "pi,iq->pq",
        "tensor times matrix": "bti,iq->btq",
        "transpose": "ij->ji",
        "trace": "ii->",
        "column sums": "ij->j",
        "outer product": "i,j->ij",
        "squared row norms": "ij,ij->",
        "bilinear forms": "bi,ij,bj->b",
    }
    if name not in recipes:
        raise ValueError(name)
    return recipes[name]


@einsum_recipe.variant
def with_other_letters(name):
    recipes = {
        "matrix product": "ab,bc->ac",
        "tensor times matrix": "xyz,zw->xyw",
        "transpose": "rc->cr",
        "trace": "kk->",
        "column sums": "rc->c",
        "outer product": "m,n->mn",
        "squared row norms": "rc,rc->r",
        "bilinear forms": "nv,vu,nu->n",
    }
    if name not in recipes:
        raise ValueError(name)
    return recipes[name]


@einsum_recipe.variant
def with_dots_for_leading_axes(name):
    recipes = {
        "matrix product": "...i,iq->...q",
        "tensor times matrix": "...i,iq->...q",
        "transpose": "ij->ji",
        "trace": "ii",
        "column sums": "i...->...",
        "outer product": "i,j",
        "squared row norms": "...j,...j->...",
        "bilinear forms": "...i,ij,...j->...",
    }
    if name not in recipes:
        raise ValueError(name)
    return recipes[name]


@einsum_recipe.variant
def one_question_at_a_time(name):
    if name == "matrix product":
        return "pi, iq -> pq"
    if name == "tensor times matrix":
        return "bti, iq -> btq"
    if name == "transpose":
        return "ab -> ba"
    if name == "trace":
        return "ii -> "
    if name == "column sums":
        return "ab -> b"
    if name == "outer product":
        return "p, q -> pq"
    if name == "squared row norms":
        return "ab, ab -> a"
    if name == "bilinear forms":
        return "zi, ij, zj -> z"
    raise ValueError(f"{name} is not on the list")


# ---- p_norm ----------------------------------------------------------------------------------------------------------
@exercise(ref.p_norm, points=3, returns=("norms", "a floating-point warning", "x was overwritten"), rtol=1e-9, atol=0.0)
def p_norm(rng: np.random.Generator) -> Iterator[Case]:
    """Measure every row by its p-norm, without overflow."""
    yield case("by hand", x=np.array([[3.0, -4.0], [0.0, -2.0], [0.0, 0.0]]), p=2.0)
    for p in (1.0, 2.0, 3.0, 1.5, math.inf):
        yield case(x=rng.normal(size=(4, 3)), p=p)
        huge = np.array([[3e200, -4e200, 0.0], [3e-200, 4e-200, -1e-200], [0.0, 0.0, 0.0], [1.0, -2.0, 2.0]])
        yield case("huge, tiny and nothing", x=huge, p=p)
    yield case("one feature, negative", x=-np.abs(rng.normal(size=(3, 1))) - 1, p=4.0)
    yield case("a high power", x=rng.normal(size=(2, 5)), p=40.0)


@p_norm.probe
def norms_while_listening(student, x, p):
    heard = []
    with np.errstate(over="call", divide="call", invalid="call", call=lambda kind, flag: heard.append(kind)):
        norms = student(x, p)
    return norms, len(heard) > 0, x


@p_norm.measure
def whether_x_is_as_it_was(value, x, p):
    norms, heard, after = value
    return norms, heard, not np.array_equal(x, after)


@p_norm.mistake(
    "The formula as it stands overflows: 1e200 squared is more than a float64 can hold, and 1e-200 squared is 0. Divide each "
    "row by its largest absolute value first, and multiply at the end."
)
def as_the_formula_stands(x, p):
    size = np.abs(x)
    if p == math.inf:
        return size.max(axis=1)
    return np.sum(size**p, axis=1) ** (1 / p)


@p_norm.mistake(
    "In a row of zeros the largest absolute value is 0, and 0 divided by 0 is NaN. Its norm is 0. Which number can you safely "
    "divide such a row by instead?"
)
def zero_by_zero(x, p):
    size = np.abs(x)
    largest = size.max(axis=1)
    if p == math.inf:
        return largest
    return largest * np.sum((size / largest[:, None]) ** p, axis=1) ** (1 / p)


@p_norm.mistake("The root at the end is missing: this is Σ|x|^p. A norm must double when the row doubles.")
def without_the_root(x, p):
    size = np.abs(x)
    largest = size.max(axis=1)
    if p == math.inf:
        return largest
    scale = np.where(largest > 0, largest, 1.0)
    return scale * np.sum((size / scale[:, None]) ** p, axis=1)


@p_norm.mistake(
    "The absolute values are missing, so negative numbers cancel positive ones, or their odd powers give NaN. A distance takes "
    "|x| of every element first."
)
def signs_cancel(x, p):
    largest = np.abs(x).max(axis=1)
    if p == math.inf:
        return largest
    scale = np.where(largest > 0, largest, 1.0)
    return scale * np.sum((x / scale[:, None]) ** p, axis=1) ** (1 / p)


@p_norm.mistake(
    "You measure the columns. Samples are rows here: one norm a row, so the sum runs over the features, axis 1."
)
def measures_columns(x, p):
    size = np.abs(x)
    largest = size.max(axis=0)
    if p == math.inf:
        return largest
    scale = np.where(largest > 0, largest, 1.0)
    return scale * np.sum((size / scale) ** p, axis=0) ** (1 / p)


@p_norm.mistake(
    "One largest value for the whole matrix: next to a huge row a tiny one is rounded away to 0. Every row needs its own scale."
)
def one_scale_for_all_rows(x, p):
    size = np.abs(x)
    if p == math.inf:
        return size.max(axis=1)
    scale = size.max()
    return scale * np.sum((size / scale) ** p, axis=1) ** (1 / p)


@p_norm.variant
def row_by_row(x, p):
    norms = []
    for row in x:
        sizes = [abs(float(value)) for value in row]
        top = max(sizes)
        if top == 0 or math.isinf(p):
            norms.append(top)
        else:
            norms.append(top * sum((size / top) ** p for size in sizes) ** (1 / p))
    return np.array(norms)


@p_norm.variant
def through_logarithms(x, p):
    size = np.abs(x)
    if np.isinf(p):
        return np.max(size, axis=1)
    logs = np.where(size > 0, np.log(np.where(size > 0, size, 1.0)), -1e9)
    top = logs.max(axis=1, keepdims=True)
    total = top[:, 0] + np.log(np.exp(p * (logs - top)).sum(axis=1)) / p
    return np.exp(total)


@p_norm.variant
def scaled_numpy_norm(x, p):
    top = np.max(np.abs(x), axis=1, keepdims=True)
    safe = np.where(top == 0, 1.0, top)
    return safe[:, 0] * np.linalg.norm(x / safe, ord=p, axis=1)


# ---- picture_matrix --------------------------------------------------------------------------------------------------
@exercise(ref.picture_matrix, points=3, returns=("motion", "picture"))
def picture_matrix(rng: np.random.Generator) -> Iterator[Case]:
    """Mirror, turn, shift and project points by one matrix in homogeneous coordinates."""
    yield case("nothing moves", mirror=False, angle=0.0, shift=np.zeros(3))
    yield case("a quarter turn", mirror=False, angle=math.pi / 2, shift=np.zeros(3))
    yield case("a shift alone", mirror=False, angle=0.0, shift=np.array([0.5, -1.0, 2.0]))
    yield case("a mirror alone", mirror=True, angle=0.0, shift=np.zeros(3))
    for mirror in (False, True):
        for _ in range(2):
            yield case(mirror=mirror, angle=float(rng.uniform(0.3, 1.2)), shift=rng.normal(size=3))
    yield case("a turn backwards", mirror=True, angle=-2.0, shift=np.array([1.0, 2.0, 3.0]))


@picture_matrix.mistake(
    "The turn goes the other way: the docstring sends (1, 0, 0) to (cos, 0, sin). Row 0 of the matrix is where (1, 0, 0) goes; "
    "which sign has its sine?"
)
def turns_the_other_way(mirror, angle, shift):
    cos, sin = math.cos(angle), math.sin(angle)
    mirrored = np.diag([-1.0 if mirror else 1.0, 1.0, 1.0, 1.0])
    turned = np.array([[cos, 0, -sin, 0], [0, 1, 0, 0], [sin, 0, cos, 0], [0, 0, 0, 1.0]])
    moved = np.eye(4)
    moved[3, :3] = shift
    motion = mirrored @ turned @ moved
    return motion, motion[:, :2]


@picture_matrix.mistake(
    "The shift stands in the last column, as for points written as columns. Here a point is a row with its 1 at the end, and "
    "that 1 picks the last row."
)
def shift_in_the_last_column(mirror, angle, shift):
    cos, sin = math.cos(angle), math.sin(angle)
    mirrored = np.diag([-1.0 if mirror else 1.0, 1.0, 1.0, 1.0])
    turned = np.array([[cos, 0, sin, 0], [0, 1, 0, 0], [-sin, 0, cos, 0], [0, 0, 0, 1.0]])
    moved = np.eye(4)
    moved[:3, 3] = shift
    motion = mirrored @ turned @ moved
    return motion, motion[:, :2]


@picture_matrix.mistake(
    "The shift happens before the turn, so it is turned too. Rows read from left to right: what acts first stands first, and "
    "the shift comes after the turn."
)
def shifts_before_the_turn(mirror, angle, shift):
    cos, sin = math.cos(angle), math.sin(angle)
    mirrored = np.diag([-1.0 if mirror else 1.0, 1.0, 1.0, 1.0])
    turned = np.array([[cos, 0, sin, 0], [0, 1, 0, 0], [-sin, 0, cos, 0], [0, 0, 0, 1.0]])
    moved = np.eye(4)
    moved[3, :3] = shift
    motion = mirrored @ moved @ turned
    return motion, motion[:, :2]


@picture_matrix.mistake(
    "The product stands in the order for columns, with the last map on the left. Rows read from left to right: the mirror acts "
    "first, so it stands first, then the turn, then the shift."
)
def product_in_the_order_for_columns(mirror, angle, shift):
    cos, sin = math.cos(angle), math.sin(angle)
    mirrored = np.diag([-1.0 if mirror else 1.0, 1.0, 1.0, 1.0])
    turned = np.array([[cos, 0, sin, 0], [0, 1, 0, 0], [-sin, 0, cos, 0], [0, 0, 0, 1.0]])
    moved = np.eye(4)
    moved[3, :3] = shift
    motion = moved @ turned @ mirrored
    return motion, motion[:, :2]


@picture_matrix.mistake(
    "The turn is about the third axis, in the plane of the first two. The docstring turns about the second one: (0, 1, 0) stays "
    "where it is."
)
def turns_about_the_third_axis(mirror, angle, shift):
    cos, sin = math.cos(angle), math.sin(angle)
    mirrored = np.diag([-1.0 if mirror else 1.0, 1.0, 1.0, 1.0])
    turned = np.array([[cos, sin, 0, 0], [-sin, cos, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])
    moved = np.eye(4)
    moved[3, :3] = shift
    motion = mirrored @ turned @ moved
    return motion, motion[:, :2]


@picture_matrix.mistake(
    "The mirror is not in the product: with mirror=True the point should first go from x to −x. `mirrored` is there already; where "
    "does a map stand that acts first?"
)
def forgets_the_mirror(mirror, angle, shift):
    cos, sin = math.cos(angle), math.sin(angle)
    turned = np.array([[cos, 0, sin, 0], [0, 1, 0, 0], [-sin, 0, cos, 0], [0, 0, 0, 1.0]])
    moved = np.eye(4)
    moved[3, :3] = shift
    motion = turned @ moved
    return motion, motion[:, :2]


@picture_matrix.variant
def written_out(mirror, angle, shift):
    side = -1.0 if mirror else 1.0
    motion = np.zeros((4, 4))
    motion[0] = [side * np.cos(angle), 0, side * np.sin(angle), 0]
    motion[1, 1] = 1
    motion[2] = [-np.sin(angle), 0, np.cos(angle), 0]
    motion[3] = [*shift, 1]
    return motion, motion @ np.eye(4)[:, :2]


@picture_matrix.variant
def from_where_the_basis_goes(mirror, angle, shift):
    def move(point):
        x, y, z = point
        x = -x if mirror else x
        turned = np.array([np.cos(angle) * x - np.sin(angle) * z, y, np.sin(angle) * x + np.cos(angle) * z])
        return turned + shift

    origin = move(np.zeros(3))
    linear = np.stack([move(basis) - origin for basis in np.eye(3)])
    motion = np.block([[linear, np.zeros((3, 1))], [origin[None, :], np.ones((1, 1))]])
    return motion, motion[:, :2]


@picture_matrix.variant
def for_columns_then_transposed(mirror, angle, shift):
    cos, sin = math.cos(angle), math.sin(angle)
    move = np.array([[1, 0, 0, shift[0]], [0, 1, 0, shift[1]], [0, 0, 1, shift[2]], [0, 0, 0, 1.0]])
    turn = np.array([[cos, 0, -sin, 0], [0, 1, 0, 0], [sin, 0, cos, 0], [0, 0, 0, 1.0]])
    flip = np.eye(4)
    if mirror:
        flip[0, 0] = -1
    motion = (move @ turn @ flip).T
    return motion, np.delete(motion, [2, 3], axis=1)


# ---- turned_components -----------------------------------------------------------------------------------------------
@exercise(ref.turned_components, points=3)
def turned_components(rng: np.random.Generator) -> Iterator[Case]:
    """Give the components of one and the same tensor in other axes, whatever its rank."""
    eighth = np.array([[1.0, 1.0], [-1.0, 1.0]]) / math.sqrt(2)
    yield case("a pull along x, axes turned by 45°", components=np.array([[2.0, 0.0], [0.0, 0.0]]), axes=eighth)
    yield case("a vector", components=rng.normal(size=3), axes=_turn(rng, 3))
    yield case("rank 2, not symmetric", components=rng.normal(size=(3, 3)), axes=_turn(rng, 3))
    yield case("rank 3", components=rng.normal(size=(2, 2, 2)), axes=_turn(rng, 2))
    yield case("rank 4", components=rng.normal(size=(3, 3, 3, 3)), axes=_turn(rng, 3))
    yield case("axes of other lengths and angles", components=rng.normal(size=(2, 2)), axes=rng.normal(size=(2, 2)))
    yield case(
        "rank 3, axes that are not square to each other",
        components=rng.normal(size=(3, 3, 3)),
        axes=rng.normal(size=(3, 3)),
    )


@turned_components.mistake(
    "The axes are read the wrong way round: the new basis vectors are the rows of `axes`, you use its columns. That turns the "
    "tensor back instead of forth."
)
def turns_backwards(components, axes):
    for k in range(components.ndim):
        components = np.moveaxis(np.tensordot(axes, components, axes=(0, k)), 0, k)
    return components


@turned_components.mistake(
    "Only one of the tensor's arguments was turned. Every axis of the components belongs to one vector, and each vector has to "
    "be the new one."
)
def turns_the_first_axis_only(components, axes):
    return np.tensordot(axes, components, axes=(1, 0))


@turned_components.mistake(
    "Only the last axis of the table was turned. If you loop over the axes: does each round go on with the table of the round "
    "before, or begin with `components` again?"
)
def each_round_begins_again(components, axes):
    for k in range(components.ndim):
        turned = np.moveaxis(np.tensordot(components, axes, axes=(k, 1)), -1, k)
    return turned


@turned_components.mistake(
    "The values are right, but the axes come out in another order: tensordot puts the new axis in front. Move it back to the "
    "place of the one it replaced."
)
def axes_come_out_in_another_order(components, axes):
    for k in range(components.ndim):
        components = np.moveaxis(np.tensordot(axes, components, axes=(1, k)), 0, k)
    return components.T


@turned_components.mistake(
    "tensordot puts the new axis at the end, so the next round meets another axis than you think: one is turned twice, another "
    "never. Move the new axis back to the place of the one it replaced."
)
def the_next_round_meets_another_axis(components, axes):
    for k in range(components.ndim):
        components = np.tensordot(components, axes, axes=(k, 1))
    return components


@turned_components.mistake(
    "This is right for a matrix and only there. A vector has one axis to turn, a rank-3 tensor has three: let the number of "
    "factors follow components.ndim."
)
def right_for_matrices_only(components, axes):
    return axes @ components @ axes.T


@turned_components.variant
def by_einsum_for_each_rank(components, axes):
    old, new = "abcd"[: components.ndim], "wxyz"[: components.ndim]
    factors = ",".join(n + o for n, o in zip(new, old, strict=True))
    return np.einsum(f"{factors},{old}->{new}", *[axes] * components.ndim, components)


@turned_components.variant
def by_its_values(components, axes):
    result = np.zeros(components.shape)
    for index in np.ndindex(*components.shape):
        value = components
        for a in index:
            value = np.tensordot(axes[a], value, axes=(0, 0))
        result[index] = value
    return result


@turned_components.variant
def by_one_big_matrix(components, axes):
    big = np.ones((1, 1))
    for _ in range(components.ndim):
        big = np.kron(big, axes)
    return (big @ components.reshape(-1)).reshape(components.shape)


# ---- graded by a person ----------------------------------------------------------------------------------------------
what_is_linear = explanation(
    "what_is_linear",
    points=3,
    question="""
    Deck A heads a slide "linear transformations" and writes x · w + b on it, with a turn, a shift and a projection below.

    1. Write what additivity and homogeneity ask of a map, and show which of x ↦ xW and x ↦ xW + b has them.
    2. With a 1 at the end of every point, one matrix does the shift as well. Say where b goes, and why this is no
       contradiction to your first answer.
    3. You transpose a matrix and flatten it with reshape. Does writing into the result change the matrix? Say why, with
       the strides.
    """,
    rubric=(
        (
            1,
            "f(x + y) = f(x) + f(y) and f(cx) = c·f(x); xW has both (distributivity), xW + b neither unless b = 0: "
            "f(x) + f(y) has b twice (or f(0) = b)",
        ),
        (
            1,
            "b is the last row (rows are points); the map is linear on vectors with n + 1 numbers, but the points with a 1 "
            "at the end are no linear space: the sum of two of them ends in 2",
        ),
        (
            1,
            "no: the transpose is a view with strides (1, columns), the flattened order has no single stride, so reshape "
            "copies and the copy has a storage of its own",
        ),
    ),
    answer="""
    1. Additivity: f(x + y) = f(x) + f(y). Homogeneity: f(cx) = c·f(x). For f(x) = xW both hold, as (x + y)W = xW + yW and
       (cx)W = c(xW). For f(x) = xW + b, f(x) + f(y) − f(x + y) = b, and f(cx) − c·f(x) = (1 − c)b, so neither holds unless
       b = 0. It is affine: linear plus a constant.
    2. b becomes the last row of the matrix; the 1 picks it. The big matrix is a linear map of vectors with n + 1 numbers.
       Points are those that end in 1, and they are no linear space: adding two of them gives one that ends in 2. On
       points alone, the map is still a shift and still not additive.
    3. No. The transpose of a dense (r, c) matrix is a view of shape (c, r) with strides (1, c). In flattened order the place
       moves by c, again by c, …, and then back to the next column: no single stride does that. So reshape copies the
       numbers, and the copy is not connected with the matrix.
    """,
)
