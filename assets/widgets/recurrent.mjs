// Chapter 09 in JavaScript: the same functions, under the same names, as solutions/recurrent.py.
import * as optimisers from "./optimisers.mjs";

/** One unit over two steps with the loss ½(h1 − y1)² + ½(h2 − y2)²: every number, forwards and backwards, by name. */
export function twoStepExample(u, w, b, h0, x, y) {
  const z1 = x[0] * u + h0 * w + b;
  const h1 = Math.tanh(z1);
  const z2 = x[1] * u + h1 * w + b;
  const h2 = Math.tanh(z2);
  const [own1, own2] = [h1 - y[0], h2 - y[1]];
  const gradZ2 = own2 * (1 - h2 ** 2);
  const back1 = gradZ2 * w;
  const gradH1 = own1 + back1;
  const gradZ1 = gradH1 * (1 - h1 ** 2);
  return {
    z1, h1, z2, h2, loss: 0.5 * own1 ** 2 + 0.5 * own2 ** 2, own1, own2, grad_h2: own2, grad_z2: gradZ2, back1, grad_h1: gradH1, grad_z1: gradZ1,
    grad_u: gradZ2 * x[1] + gradZ1 * x[0], grad_w: gradZ2 * h1 + gradZ1 * h0, grad_b: gradZ2 + gradZ1, grad_h0: gradZ1 * w,
  };
}

/** A row times a matrix (a list of rows). */
export function rowTimes(row, matrix) {
  return matrix[0].map((_, j) => row.reduce((sum, value, i) => sum + value * matrix[i][j], 0));
}

/** A row times a matrix transposed. */
export function rowTimesTransposed(row, matrix) {
  return matrix.map(weights => weights.reduce((sum, weight, j) => sum + row[j] * weight, 0));
}

/** W with a spectral radius of 1: from a seed, a random symmetric matrix divided by its largest |eigenvalue|. */
export function unitMatrix(units, seed) {
  const draw = optimisers.bells(units * units, seed);
  const even = Array.from({ length: units }, (_, i) => Array.from({ length: units }, (_, j) => draw[units * i + j] + draw[units * j + i]));
  let row = Array.from({ length: units }, (_, i) => 1 / (1 + i));
  let size = 1;
  for (let k = 0; k < 2000; k += 1) {
    // Twice, so that eigenvalues of both signs settle.
    row = rowTimes(rowTimes(row, even), even);
    size = Math.hypot(...row);
    row = row.map(value => value / size);
  }
  return even.map(weights => weights.map(value => value / Math.sqrt(size)));
}

/** The states of one text whose words have gone through U already: h_t = tanh(input_t + h_{t−1} W), from zeros. */
export function rnnForward(inputs, w) {
  let h = w.map(() => 0);
  return inputs.map(input => {
    const through = rowTimes(h, w);
    h = input.map((value, i) => Math.tanh(value + through[i]));
    return h;
  });
}

/** Length of ∂L/∂h at each lag, when only the last state of one text feeds the loss. */
export function gradientNorms(gradLast, states, w) {
  let grad = gradLast;
  const norms = [Math.hypot(...grad)];
  for (const h of states.slice(1).reverse()) {
    grad = rowTimesTransposed(grad.map((value, i) => value * (1 - h[i] ** 2)), w);
    norms.push(Math.hypot(...grad));
  }
  return norms;
}

/** Probabilities from which the next word is drawn; topK and topP null keep all. */
export function wordProbabilities(logits, temperature, topK, topP) {
  const top = Math.max(...logits);
  if (temperature === 0) {
    const first = logits.indexOf(top);
    return logits.map((_, i) => (i === first ? 1 : 0));
  }
  const shared = values => {
    const total = values.reduce((sum, value) => sum + value, 0);
    return values.map(value => value / total);
  };
  let p = shared(logits.map(z => Math.exp((z - top) / temperature)));
  const order = [...p.keys()].sort((i, j) => p[j] - p[i]); // stable: among equals the smaller number goes first
  if (topK !== null) p = shared(p.map((value, i) => (order.indexOf(i) < topK ? value : 0)));
  if (topP !== null) {
    let before = 0;
    const kept = p.map(() => 0);
    for (const i of order) {
      if (before < topP) kept[i] = p[i];
      before += p[i];
    }
    p = shared(kept);
  }
  return p;
}
