// Chapter 10 in JavaScript: an LSTM for one text, and how much of a memory arrives at the end. Rows are inputs; the gates' columns
// stand in torch's order: input, forget, candidate, output.
import * as layers from "./hidden_layers.mjs";
import * as recurrent from "./recurrent.mjs";

/** One step: the gates, the candidate, the new cell and state, by name. u (inputs, 4·hidden), w (hidden, 4·hidden), b (4·hidden). */
export function lstmStep(x, h, c, { u, w, b }) {
  const units = h.length;
  const [fromWord, fromState] = [recurrent.rowTimes(x, u), recurrent.rowTimes(h, w)];
  const z = b.map((value, i) => value + fromWord[i] + fromState[i]);
  const part = k => z.slice(k * units, units + k * units);
  const [input, forget, output] = [0, 1, 3].map(k => part(k).map(layers.stableSigmoid));
  const candidate = part(2).map(Math.tanh);
  const cell = c.map((value, i) => forget[i] * value + input[i] * candidate[i]);
  return { input, forget, candidate, output, c: cell, h: cell.map((value, i) => output[i] * Math.tanh(value)) };
}

/** All steps of one text, from zeros. */
export function lstmForward(inputs, parameters) {
  const zeros = parameters.w.map(() => 0);
  const steps = [];
  for (const x of inputs) {
    const before = steps.at(-1) ?? { h: zeros, c: zeros };
    steps.push(lstmStep(x, before.h, before.c, parameters));
  }
  return steps;
}

/** The root of the mean over units of the squares of all their gradients: 1 for the identity. */
function size(rows) {
  return Math.sqrt(rows.flat().reduce((sum, value) => sum + value * value, 0) / rows.length);
}

/** The identity as rows. */
function identity(units) {
  return Array.from({ length: units }, (_, i) => Array.from({ length: units }, (_, j) => (i === j ? 1 : 0)));
}

/** Size of ∂c_T/∂c_{T−k} at each lag k, along all ways: through the cell and through what the state tells the gates. */
export function cellGradients(steps, w) {
  const units = w.length;
  let rows = identity(units).map(c => ({ c, h: c.map(() => 0) })); // gradients at step t: of c by all ways, of h
  const sizes = [1];
  for (let t = steps.length - 1; t > 0; t -= 1) {
    const { input, forget, candidate, output, c } = steps[t];
    const before = steps[t - 1];
    rows = rows.map(grad => {
      const gradZ = [
        ...input.map((gate, i) => grad.c[i] * candidate[i] * gate * (1 - gate)),
        ...forget.map((gate, i) => grad.c[i] * before.c[i] * gate * (1 - gate)),
        ...candidate.map((value, i) => grad.c[i] * input[i] * (1 - value ** 2)),
        ...output.map((gate, i) => grad.h[i] * Math.tanh(c[i]) * gate * (1 - gate)),
      ];
      const h = recurrent.rowTimesTransposed(gradZ, w);
      return { h, c: grad.c.map((value, i) => value * forget[i] + h[i] * before.output[i] * (1 - Math.tanh(before.c[i]) ** 2)) };
    });
    sizes.push(size(rows.map(grad => grad.c)));
  }
  return sizes;
}

/** Size of the product of the forget gates alone at each lag: what the straight way through the cell leaves. */
export function forgetProducts(steps) {
  let left = steps[0].forget.map(() => 1);
  const sizes = [1];
  for (const { forget } of steps.slice(1).reverse()) {
    left = left.map((value, i) => value * forget[i]);
    sizes.push(size(left.map(value => [value])));
  }
  return sizes;
}

/** Size of ∂h_T/∂h_{T−k} of a tanh network at each lag k. */
export function stateGradients(states, w) {
  const norms = identity(w.length).map(row => recurrent.gradientNorms(row, states, w));
  return states.map((_, k) => size(norms.map(each => [each[k]])));
}
