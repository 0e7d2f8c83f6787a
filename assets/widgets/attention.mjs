// Chapter 12 in JavaScript: scaled dot-product attention for one text, rows are words, and the encodings of positions.
import * as losses from "./losses.mjs";

/** The dot product of two rows. */
export function dot(a, b) {
  return a.reduce((sum, value, i) => sum + value * b[i], 0);
}

/**
 * What every query sees: scores q·k (over √d where `scaled`; −∞ for later words where `causal`), weights (their softmax by rows), and
 * output (the values' mean with these weights).
 */
export function scaledDotProduct(q, k, v, causal, scaled) {
  const unit = scaled ? Math.sqrt(q[0].length) : 1;
  const scores = q.map((query, t) => k.map((key, s) => (causal && s > t ? -Infinity : dot(query, key) / unit)));
  const weights = scores.map(row => losses.logSoftmax(row).map(Math.exp));
  return { scores, weights, output: weights.map(row => v[0].map((_, j) => dot(row, v.map(value => value[j])))) };
}

/** Entropy of probabilities in bits. */
export function entropy(probabilities) {
  return probabilities.reduce((sum, p) => sum - (p > 0 ? p * Math.log2(p) : 0), 0);
}

/** After how many positions the wave of a dimension comes round. */
export function waveLength(dimension, width) {
  return 2 * Math.PI * 10000 ** ((dimension - (dimension % 2)) / width);
}

/** Sinusoidal encodings, (positions, width): in even dimensions a sine, in the odd one after it the cosine of the same angle. */
export function sinusoidal(positions, width) {
  return Array.from({ length: positions }, (_, t) =>
    Array.from({ length: width }, (_, j) => {
      const angle = (2 * Math.PI * t) / waveLength(j, width);
      return j % 2 === 0 ? Math.sin(angle) : Math.cos(angle);
    }),
  );
}
