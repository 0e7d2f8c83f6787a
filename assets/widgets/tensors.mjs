// Chapter 01 in JavaScript: the same functions, under the same names, as solutions/tensors.py, and what broadcasting does.

/** The strides of a dense shape, in elements, and the place of one index; order "C" has the last axis fastest, "F" the first. */
export function locate(shape, index, order) {
  const strides = shape.map(() => 0);
  const axes = order === "F" ? [...shape.keys()] : [...shape.keys()].toReversed();
  let step = 1;
  for (const axis of axes) {
    strides[axis] = step;
    step *= shape[axis];
  }
  return { strides, offset: place(index, strides) };
}

/** Where an index lies, given the strides. */
export function place(index, strides) {
  return index.reduce((sum, i, axis) => sum + i * strides[axis], 0);
}

/** Whether an array can be reshaped without copying. */
export function reshapeIsView(shape, strides, newShape) {
  const axes = [...shape.keys()].filter(axis => shape[axis] !== 1);
  const cuts = newShape.map((_, k) => newShape.slice(0, k).reduce((a, b) => a * b, 1));
  let leading = 1;
  return axes.every((outer, k) => {
    leading *= shape[outer];
    const inner = axes[k + 1];
    return inner === undefined || strides[outer] === shape[inner] * strides[inner] || cuts.includes(leading);
  });
}

/** Two shapes lined up from the right, missing axes as 1; both as long as the longer one. */
export function linedUp(left, right) {
  const rank = Math.max(left.length, right.length);
  return [left, right].map(shape => [...Array(rank - shape.length).fill(1), ...shape]);
}

/** The shape of left + right, or null where they do not fit. */
export function broadcastShape(left, right) {
  const [a, b] = linedUp(left, right);
  const fits = a.every((n, axis) => n === b[axis] || n === 1 || b[axis] === 1);
  return fits ? a.map((n, axis) => (n === 1 ? b[axis] : n)) : null;
}

/** The strides with which a dense array of some shape is read as part of a larger one: 0 along axes of one element. */
export function broadcastStrides(shape, rank) {
  const [full] = linedUp(shape, Array(rank).fill(1));
  return locate(full, full.map(() => 0), "C").strides.map((stride, axis) => (full[axis] === 1 ? 0 : stride));
}

/** The homogeneous matrix, for rows (x, y, 1), whose basis vectors go to e1 and e2 and whose origin goes to shift. */
export function homogeneous(e1, e2, shift) {
  return [[...e1, 0], [...e2, 0], [...shift, 1]];
}

/** Points (x, y) moved by a homogeneous matrix. */
export function move(points, matrix) {
  return points.map(([x, y]) => [0, 1].map(k => x * matrix[0][k] + y * matrix[1][k] + matrix[2][k]));
}

/** Determinant of the linear part. */
export function determinant(matrix) {
  return matrix[0][0] * matrix[1][1] - matrix[0][1] * matrix[1][0];
}

/** f(u + v) − f(u) − f(v): zero for every u and v where f is additive. */
export function additivityGap(matrix, u, v) {
  const [sum, fu, fv] = move([[u[0] + v[0], u[1] + v[1]], u, v], matrix);
  return [sum[0] - fu[0] - fv[0], sum[1] - fu[1] - fv[1]];
}
