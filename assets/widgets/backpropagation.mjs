// Chapter 06 in JavaScript: the same functions, under the same names, as solutions/backpropagation.py.
import * as layers from "./hidden_layers.mjs";

/**
 * One learning step of a 2-2-1 network unit by unit, as on paper. Weights by "w13": from unit 1 to unit 3; unit 0 says 1.
 * Returns {net, u, loss, delta, change}; net, u and delta are those of units 3, 4, 5.
 */
export function workedExample(weights, [x1, x2], target, name, rate) {
  const w = weights;
  const says = [1, x1, x2];
  const net = [w.w03 + w.w13 * x1 + w.w23 * x2, w.w04 + w.w14 * x1 + w.w24 * x2];
  says.push(...net.map(z => layers.activation(name, z)));
  net.push(w.w05 + w.w35 * says[3] + w.w45 * says[4]);
  const u5 = layers.activation(name, net[2]);
  const slope = net.map(z => layers.activationDerivative(name, z));
  const delta5 = (u5 - target) * slope[2];
  const delta = [delta5 * w.w35 * slope[0], delta5 * w.w45 * slope[1], delta5];
  const change = Object.fromEntries(Object.keys(w).map(key => [key, -rate * delta[key[2] - 3] * says[key[1]]]));
  return { net, u: [says[3], says[4], u5], loss: 0.5 * (target - u5) ** 2, delta, change };
}

/** Rows through K layers [[w, b], …]: {h, stored}, where stored has for each layer what it read and its z. */
export function mlpForward(x, pairs, activations) {
  let h = x;
  const stored = pairs.map(([w, b], k) => {
    const z = layers.affine(h, w, b);
    const read = h;
    h = z.map(row => row.map(value => layers.activation(activations[k], value)));
    return [read, z];
  });
  return { h, stored };
}

/** ∂loss/∂z from ∂loss/∂h for h = f(z). */
export function activationBackward(gradH, z, name) {
  return gradH.map((row, n) => row.map((value, i) => value * layers.activationDerivative(name, z[n][i])));
}

/** ∂loss/∂x from ∂loss/∂y for y = xW + b: rows times W transposed. */
export function inputBackward(gradY, w) {
  return gradY.map(row => w.map(weights => weights.reduce((sum, weight, o) => sum + row[o] * weight, 0)));
}

/** ∂loss/∂z of every layer, first layer first, from ∂loss/∂(output of the network). */
export function signals(gradY, stored, pairs, activations) {
  let gradH = gradY;
  const found = [];
  for (const k of [...pairs.keys()].reverse()) {
    found.unshift(activationBackward(gradH, stored[k][1], activations[k]));
    gradH = inputBackward(found[0], pairs[k][0]);
  }
  return found;
}
