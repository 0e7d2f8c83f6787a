// Chapter 07 in JavaScript: the rules of solutions/optimisers.py for one weight at a time, and numbers to draw from.

export const NAMES = ["sgd", "momentum", "nesterov", "adagrad", "adadelta", "rmsprop", "adam", "adamax", "nadam", "amsgrad", "adamw"];

/** A learning rate that suits each of them on landscapes of size 1. */
export const RATES = {
  sgd: 0.01, momentum: 0.01, nesterov: 0.01, adagrad: 0.5, adadelta: 1, rmsprop: 0.05,
  adam: 0.1, adamax: 0.1, nadam: 0.1, amsgrad: 0.1, adamw: 0.1,
};

const [BETA1, BETA2, EPS] = [0.9, 0.999, 1e-8];

/** Adam's memories after gradient g: m and v, and m freed from its start at 0. */
function moments(memory, g, t) {
  memory.m = BETA1 * (memory.m ?? 0) + (1 - BETA1) * g;
  memory.v = BETA2 * (memory.v ?? 0) + (1 - BETA2) * g * g;
  return memory.m / (1 - BETA1 ** t);
}

/** The root of v, freed from its start at 0. */
const root = (v, t) => Math.sqrt(v / (1 - BETA2 ** t));

/** Nadam's momentum at step t, which warms up. */
const warm = t => BETA1 * (1 - 0.5 * 0.96 ** (t * 0.004));

/** What to subtract from w over the learning rate: rule(gradient, memory, step from 1, w). */
const RULES = {
  sgd: g => g,
  momentum: (g, memory) => {
    memory.v = 0.9 * (memory.v ?? 0) + g;
    return memory.v;
  },
  nesterov: (g, memory) => g + 0.9 * RULES.momentum(g, memory),
  adagrad: (g, memory) => {
    memory.total = (memory.total ?? 0) + g * g;
    return g / (Math.sqrt(memory.total) + 1e-10);
  },
  adadelta: (g, memory) => {
    memory.square = 0.9 * (memory.square ?? 0) + 0.1 * g * g;
    const step = (g * Math.sqrt((memory.steps ?? 0) + 1e-6)) / Math.sqrt(memory.square + 1e-6);
    memory.steps = 0.9 * (memory.steps ?? 0) + 0.1 * step * step;
    return step;
  },
  rmsprop: (g, memory) => {
    memory.square = 0.9 * (memory.square ?? 0) + 0.1 * g * g;
    return g / (Math.sqrt(memory.square) + EPS);
  },
  adam: (g, memory, t) => moments(memory, g, t) / (root(memory.v, t) + EPS),
  adamax: (g, memory, t) => {
    const mean = moments(memory, g, t);
    memory.largest = Math.max(BETA2 * (memory.largest ?? 0), Math.abs(g) + EPS);
    return mean / memory.largest;
  },
  nadam: (g, memory, t) => {
    moments(memory, g, t);
    memory.product = (memory.product ?? 1) * warm(t);
    const next = warm(t + 1);
    const mean = ((1 - warm(t)) * g) / (1 - memory.product) + (next * memory.m) / (1 - memory.product * next);
    return mean / (root(memory.v, t) + EPS);
  },
  amsgrad: (g, memory, t) => {
    const mean = moments(memory, g, t);
    memory.most = Math.max(memory.most ?? 0, memory.v);
    return mean / (root(memory.most, t) + EPS);
  },
  adamw: (g, memory, t, w) => RULES.adam(g, memory, t) + 0.1 * w,
};

/** The places of a descent from a start: [start, …], steps more of them. gradient(x, y) gives [∂/∂x, ∂/∂y]. */
export function descend(name, gradient, start, rate, steps) {
  const memories = start.map(() => ({}));
  const path = [start];
  for (let t = 1; t <= steps; t += 1) {
    const at = path.at(-1);
    const slope = gradient(...at);
    path.push(at.map((w, i) => w - rate * RULES[name](slope[i], memories[i], t, w)));
  }
  return path;
}

/** Numbers between 0 and 1 from Lehmer's generator, the same bits everywhere; the first ten are left out. */
export function uniforms(count, seed) {
  let state = seed;
  const next = () => {
    state = (48271 * state) % 2147483647;
    return state / 2147483647;
  };
  for (let i = 0; i < 10; i += 1) next();
  return Array.from({ length: count }, next);
}

/** Numbers like those of a bell curve: twelve uniform ones, added up, less 6. */
export function bells(count, seed) {
  const drawn = uniforms(12 * count, seed);
  return Array.from({ length: count }, (_, i) => drawn.slice(12 * i, 12 * (i + 1)).reduce((sum, value) => sum + value, -6));
}

/** First weights of a layer, (inputs, outputs), by the rule "uniform", "glorot" or "he". */
export function initialWeights(seed, inputs, outputs, rule) {
  const bound = rule === "uniform" ? 0.01 : Math.sqrt(6 / (inputs + outputs));
  const all = rule === "he"
    ? bells(inputs * outputs, seed).map(value => value * Math.sqrt(2 / inputs))
    : uniforms(inputs * outputs, seed).map(value => bound * (2 * value - 1));
  return Array.from({ length: inputs }, (_, i) => all.slice(i * outputs, (i + 1) * outputs));
}

/** By what dropout multiplies each unit, (rows, units), while training or not. */
export function dropoutFactor(seed, rows, units, p, inverted, train) {
  const spoken = train && inverted ? 1 / (1 - p) : train || inverted ? 1 : 1 - p;
  const drawn = uniforms(rows * units, seed).map(value => (train && value < p ? 0 : spoken));
  return Array.from({ length: rows }, (_, i) => drawn.slice(i * units, (i + 1) * units));
}
