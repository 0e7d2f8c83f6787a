// Chapter 03 in JavaScript: the same functions, under the same names, as solutions/hidden_layers.py, for single numbers and rows.

/** The names of the twelve activations, in the chapter's order. */
export const ACTIVATIONS = [
  "step", "identity", "sigmoid", "tanh", "hard_tanh", "gaussian",
  "relu", "leaky_relu", "elu", "softplus", "swish", "gelu",
];

/** 1 / (1 + exp(−z)) without overflow. */
export function stableSigmoid(z) {
  const e = Math.exp(-Math.abs(z)); // never above 1
  return z >= 0 ? 1 / (1 + e) : e / (1 + e);
}

/** erfc(x) for x ≥ 0: a series of positive terms for erf where x is small, a continued fraction where it is large. */
function erfcPositive(x) {
  const bell = Math.exp(-x * x);
  if (x < 2.5) {
    let term = x;
    let sum = x;
    for (let n = 1; term > 1e-17 * sum; n += 1) {
      term *= (2 * x * x) / (2 * n + 1);
      sum += term;
    }
    return 1 - (2 / Math.sqrt(Math.PI)) * bell * sum;
  }
  let fraction = x;
  for (let n = 120; n >= 1; n -= 1) fraction = x + n / 2 / fraction;
  return bell / Math.sqrt(Math.PI) / fraction;
}

/** Φ(z), the probability that a standard normal variable is below z. */
export function normalCdf(z) {
  const half = erfcPositive(Math.abs(z) / Math.SQRT2) / 2;
  return z < 0 ? half : 1 - half;
}

/** An activation function, by name, of one number. */
export function activation(name, z) {
  switch (name) {
    case "step": return z > 0 ? 1 : 0;
    case "identity": return z;
    case "sigmoid": return stableSigmoid(z);
    case "tanh": return Math.tanh(z);
    case "hard_tanh": return Math.min(Math.max(z, -1), 1);
    case "gaussian": return Math.exp(-(z ** 2));
    case "relu": return Math.max(z, 0);
    case "leaky_relu": return z > 0 ? z : 0.01 * z;
    case "elu": return z > 0 ? z : Math.expm1(z);
    case "softplus": return Math.max(z, 0) + Math.log1p(Math.exp(-Math.abs(z)));
    case "swish": return z * stableSigmoid(z);
    case "gelu": return z * normalCdf(z);
    default: throw new Error(`no activation is called ${name}`);
  }
}

/** The slope of an activation function, by name, at one number; corners as the chapter agrees on them. */
export function activationDerivative(name, z) {
  const s = stableSigmoid(z);
  switch (name) {
    case "step": return 0;
    case "identity": return 1;
    case "sigmoid": return s * stableSigmoid(-z);
    case "tanh": return 1 - Math.tanh(z) ** 2;
    case "hard_tanh": return Math.abs(z) < 1 ? 1 : 0;
    case "gaussian": return -2 * z * Math.exp(-(z ** 2));
    case "relu": return z > 0 ? 1 : 0;
    case "leaky_relu": return z > 0 ? 1 : 0.01;
    case "elu": return Math.exp(Math.min(z, 0));
    case "softplus": return s;
    case "swish": return s + z * s * (1 - s);
    case "gelu": return normalCdf(z) + (z * Math.exp(-(z ** 2) / 2)) / Math.sqrt(2 * Math.PI);
    default: throw new Error(`no activation is called ${name}`);
  }
}

/** xW + b for rows x (batch, inputs), w (inputs, outputs), b (outputs,). */
export function affine(x, w, b) {
  return x.map(row => b.map((bias, j) => row.reduce((sum, value, i) => sum + value * w[i][j], bias)));
}

/** Rows through layers [[w, b], …], each followed by the activation of its name; every layer's output, x first. */
export function feedForward(x, layers, activations) {
  const outputs = [x];
  layers.forEach(([w, b], k) => {
    outputs.push(affine(outputs.at(-1), w, b).map(row => row.map(z => activation(activations[k], z))));
  });
  return outputs;
}

/** One affine layer that does what a stack of them does. */
export function collapseLayers(layers) {
  let [w, b] = layers[0];
  for (const [next, bias] of layers.slice(1)) {
    b = affine([b], next, bias)[0];
    w = affine(w, next, bias.map(() => 0));
  }
  return [w, b];
}

/** Steep sigmoids that draw stairs through points, without training: {w1, b1, w2}, a number for each unit, and b2. */
export function stepApproximator(x, y, tolerance) {
  const heights = x.slice(1).map((_, j) => y[j + 1] - y[j]);
  const all = heights.reduce((sum, height) => sum + Math.abs(height), 0);
  const gaps = x.slice(1).map((right, j) => right - x[j]);
  const w1 = gaps.map(gap => (Math.log1p(all / tolerance) * 4) / gap);
  return { w1, b1: w1.map((w, j) => (-w * (x[j + 1] + x[j])) / 2), w2: heights, b2: y[0] };
}
