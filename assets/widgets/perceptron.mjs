// Chapter 02 in JavaScript: the same functions, under the same names, as solutions/perceptron.py.

/** z = x·w + b for one sample. */
export function score(x, w, b) {
  return x.reduce((sum, value, i) => sum + value * w[i], 0) + b;
}

/** 1 where x·w + b is strictly above 0, else 0; one decision a row. */
export function thresholdUnit(x, w, b) {
  return x.map(row => (score(row, w, b) > 0 ? 1 : 0));
}

/** Show the unit one sample; w and b move by y − ŷ times the folded sample. Returns [w, b]. */
export function perceptronUpdate(x, y, w, b) {
  const step = y - thresholdUnit([x], w, b)[0];
  return [w.map((value, i) => value + step * x[i]), b + step];
}

/** Distance from the line to the nearest sample, negative if one lies on the wrong side; NaN where there is no line. */
export function geometricMargin(x, y, w, b) {
  const norm = Math.hypot(...w);
  if (norm === 0) return NaN;
  return Math.min(...x.map((row, i) => (2 * y[i] - 1) * score(row, w, b))) / norm;
}

/**
 * Every sample that training shows, in order, until an epoch without a mistake or `maxEpochs`.
 *
 * Returns objects {epoch, row, z, yHat, y, w, b, mistake}; w and b are those after the sample.
 */
export function trainPerceptron(x, y, w, b, maxEpochs) {
  const shown = [];
  for (let epoch = 1; epoch <= maxEpochs; epoch += 1) {
    let wrong = 0;
    for (let row = 0; row < x.length; row += 1) {
      const z = score(x[row], w, b);
      const yHat = z > 0 ? 1 : 0;
      [w, b] = perceptronUpdate(x[row], y[row], w, b);
      wrong += Number(yHat !== y[row]);
      shown.push({ epoch, row, z, yHat, y: y[row], w, b, mistake: yHat !== y[row] });
    }
    if (wrong === 0) break;
  }
  return shown;
}
