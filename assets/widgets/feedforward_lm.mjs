// Chapter 08 in JavaScript: Bengio's network forwards, as in solutions/feedforward_lm.py, for one context.
import * as losses from "./losses.mjs";

/** P(word | context): context holds word numbers, oldest first; w1, w2 and embeddings are lists of rows. */
export function distribution(context, { embeddings, w1, b1, w2, b2 }) {
  const x = context.flatMap(word => embeddings[word]);
  const affine = (row, w, b) => b.map((bias, j) => row.reduce((sum, value, i) => sum + value * w[i][j], bias));
  return losses.logSoftmax(affine(affine(x, w1, b1).map(Math.tanh), w2, b2)).map(Math.exp);
}
