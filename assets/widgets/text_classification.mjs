// Chapter 04 in JavaScript: the same functions, under the same names, as solutions/text_classification.py, for one text.

/** Filters over all windows of a text: x (time, features), kernel (width, features, filters), b (filters,). */
export function convolveWords(x, kernel, b) {
  const starts = x.slice(kernel.length - 1).map((_, t) => t);
  const dot = (t, f) => kernel.reduce((sum, row, k) => row.reduce((inner, weights, i) => inner + x[t + k][i] * weights[f], sum), 0);
  return starts.map(t => b.map((bias, f) => dot(t, f) + bias));
}

/** One vector of the vectors of a text, all of them real words: their mean or, feature by feature, the largest. */
export function poolWords(vectors, how) {
  const columns = vectors[0].map((_, i) => vectors.map(row => row[i]));
  if (how === "max") return columns.map(column => Math.max(...column));
  return columns.map(column => column.reduce((sum, value) => sum + value, 0) / vectors.length);
}
