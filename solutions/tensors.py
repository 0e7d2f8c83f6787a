"""Chapter 01: where the numbers of a tensor lie, sums over its axes, norms, and what linear maps do to points."""

import math

import numpy as np


def locate(shape: tuple[int, ...], index: tuple[int, ...], order: str) -> tuple[tuple[int, ...], int]:
    """Find where an element of a densely stored tensor lies in its storage.

    Args:
        shape: sizes of the axes, each at least 1; () for a scalar.
        index: one position for each axis, counted from 0.
        order: "C" if the last index runs fastest through the storage, "F" if the first one does.

    Returns:
        strides: one int for each axis, how many elements (not bytes) the place moves when that index grows by 1;
        offset: int, the element's place in the storage, counted from 0.

    Raises:
        ValueError: order is neither "C" nor "F", or an index lies outside its axis.

    Source:
        Deck A, "storage of T(1:2, 1:2, 1:3)"; NumPy's `strides`, divided by the bytes of an element.
    """
    if order not in ("C", "F"):
        raise ValueError(f"order is 'C' or 'F', not {order!r}")
    axes = list(range(len(shape)))
    if any(not 0 <= index[axis] < shape[axis] for axis in axes):
        raise ValueError(f"index {index} lies outside the shape {shape}")
    ### BEGIN SOLUTION
    strides, step = [0] * len(shape), 1
    for axis in axes if order == "F" else axes[::-1]:  # the fastest first
        strides[axis] = step
        step *= shape[axis]
    return tuple(strides), sum(index[axis] * strides[axis] for axis in axes)
    ### END SOLUTION


def reshape_is_view(shape: tuple[int, ...], strides: tuple[int, ...], new_shape: tuple[int, ...]) -> bool:
    """Say whether an array can be reshaped without copying a number.

    The new array reads the elements in the same order, last index fastest. It is a view when some strides over the old
    storage give exactly that order.

    Args:
        shape: sizes of the axes, each at least 1.
        strides: one int for each axis, in elements; any numbers, as of a transposed or sliced array.
        new_shape: sizes of the new axes, each at least 1.

    Returns:
        True if strides for the new shape exist, False if the numbers must be copied.

    Raises:
        ValueError: the shapes hold different numbers of elements.

    Source:
        The rule behind PyTorch's `Tensor.view` and NumPy's `reshape`.
    """
    if math.prod(shape) != math.prod(new_shape):
        raise ValueError(f"{shape} and {new_shape} hold different numbers of elements")
    ### BEGIN SOLUTION
    axes = [axis for axis in range(len(shape)) if shape[axis] > 1]  # an axis of one element never moves
    cuts = [math.prod(new_shape[:k]) for k in range(len(new_shape))]  # elements of the leading new axes
    leading = 1
    for k in range(len(axes) - 1):
        outer, inner = axes[k], axes[k + 1]
        leading *= shape[outer]
        in_one_run = strides[outer] == shape[inner] * strides[inner]
        if not in_one_run and leading not in cuts:
            return False
    return True
    ### END SOLUTION


def add_bias(s: np.ndarray, b: np.ndarray, axis: int) -> np.ndarray:
    """Add one number to every slice of a tensor: b[k] to all elements whose index along `axis` is k.

    Args:
        s: float64, any shape with at least one axis.
        b: (s.shape[axis],) float64.
        axis: which axis of s the bias belongs to; −1 is the last.

    Returns:
        float64, same shape as s, a new array.

    Raises:
        ValueError: b does not have the shape (s.shape[axis],); a b of length 1 must not slip through.

    Source:
        Deck A, "element-wise operations": s + b by broadcasting, there along one axis.
    """
    if b.shape != (s.shape[axis],):
        raise ValueError(f"b has shape {b.shape}, axis {axis} of s has {s.shape[axis]} elements")
    ### BEGIN SOLUTION
    shape = [1] * s.ndim
    shape[axis] = b.size
    return s + b.reshape(shape)
    ### END SOLUTION


def einsum_recipe(name: str) -> str:
    """Write a sum of products as the subscripts of `np.einsum`.

    Args:
        name: one of these; the letters on the left are the result's indices.

            "matrix product"      c[p, q] = Σ_i a[p, i] · b[i, q]
            "tensor times matrix" s[b, t, q] = Σ_i x[b, t, i] · w[i, q]
            "transpose"           c[j, i] = a[i, j]
            "trace"               c = Σ_i a[i, i]
            "column sums"         c[j] = Σ_i a[i, j]
            "outer product"       c[i, j] = u[i] · v[j]
            "squared row norms"   c[i] = Σ_j a[i, j] · a[i, j]; the operands are a and a again
            "bilinear forms"      c[b] = Σ_i Σ_j v[b, i] · t[i, j] · u[b, j]

    Returns:
        The subscripts with their arrow, for example "ij->i", for the operands in the order of the formula.

    Raises:
        ValueError: the name is none of these.

    Source:
        Deck A, c_pq = Σ_i a_pi b_iq and the product (4, 4, 4) × (4, 2); Einstein 1916 (summation convention).
    """
    recipes = {"transpose": "ij->ji"}  # the first of eight
    ### BEGIN SOLUTION
    recipes |= {
        "matrix product": "pi,iq->pq",
        "tensor times matrix": "bti,iq->btq",
        "trace": "ii->",
        "column sums": "ij->j",
        "outer product": "i,j->ij",
        "squared row norms": "ij,ij->i",
        "bilinear forms": "bi,ij,bj->b",
    }
    ### END SOLUTION
    if name not in recipes:
        raise ValueError(f"no recipe is called {name!r}")
    return recipes[name]


def p_norm(x: np.ndarray, p: float) -> np.ndarray:
    """Measure every row by its p-norm, (Σ_i |x_i|^p)^(1/p), without overflow or underflow on the way.

    Args:
        x: (rows, features) float64, at least one feature; |x| from 1e-300 to 1e300, or 0.
        p: at least 1; math.inf asks for the largest |x_i|.

    Returns:
        (rows,) float64, without a floating-point warning; 0 for a row of zeros.

    Source:
        Deck A, "norm of a vector"; scaling by the largest element as in the BLAS routine nrm2.
    """
    size = np.abs(x)  # (rows, features)
    largest = size.max(axis=1)  # (rows,)
    if p == math.inf:
        return largest
    scale = np.where(largest > 0, largest, 1.0)  # (rows,)
    return scale * np.sum((size / scale[:, None]) ** p, axis=1) ** (1 / p)


def picture_matrix(mirror: bool, angle: float, shift: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Put a mirror, a turn, a shift and a projection into one matrix, for points in homogeneous coordinates.

    A point (x, y, z) is the row (x, y, z, 1). It is first mirrored (x becomes −x) if asked for, then turned about the
    second axis, then shifted, and at last its third coordinate is dropped.

    Args:
        mirror: whether to begin with the mirror.
        angle: of the turn, in radians; (1, 0, 0) goes to (cos, 0, sin) and (0, 0, 1) to (−sin, 0, cos).
        shift: (3,) float64, added to the point after the turn.

    Returns:
        motion: (4, 4) float64, row @ motion is the moved point with its 1;
        picture: (4, 2) float64, row @ picture are the first two coordinates of the moved point.

    Source:
        Deck A, "linear transformations": rotation, shift and projection, there with a mirror under the name of rotation.
    """
    mirrored = np.diag([-1.0 if mirror else 1.0, 1.0, 1.0, 1.0])  # (4, 4)
    ### BEGIN SOLUTION
    turned, moved = np.eye(4), np.eye(4)  # row k is where basis vector k goes
    turned[0] = [math.cos(angle), 0.0, math.sin(angle), 0.0]
    turned[2] = [-math.sin(angle), 0.0, math.cos(angle), 0.0]
    moved[3, :3] = shift  # the 1 at the end of every point picks this row
    motion = mirrored @ turned @ moved
    return motion, motion[:, :2]
    ### END SOLUTION


def turned_components(components: np.ndarray, axes: np.ndarray) -> np.ndarray:
    """Give the components of a tensor in other axes.

    A tensor of rank r is a function of r vectors, linear in each. Its component [i, j, …] is its value at the basis
    vectors i, j, …; other basis vectors give other components of the same tensor.

    Args:
        components: float64 with r ≥ 1 axes, each of n elements: the values at the old basis vectors.
        axes: (n, n) float64; row a holds the new basis vector a, written in the old basis. Any basis will do.

    Returns:
        float64, same shape as components: the values at the new basis vectors.

    Source:
        Deck A, "a tensor is a quantity": the stress tensor T(v, u) = vᵀ[T]u in turned axes.
    """
    for k in range(components.ndim):
        in_front = np.tensordot(axes, components, axes=(1, k))  # new axis k comes first
        components = np.moveaxis(in_front, 0, k)
    return components
