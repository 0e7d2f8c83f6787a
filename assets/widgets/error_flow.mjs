// Error flow (chapter 06): how large the gradient is that arrives at each of K layers.
import * as kit from "./kit.mjs";
import * as backpropagation from "./backpropagation.mjs";
import * as layers from "./hidden_layers.mjs";

export const DEFAULTS = { activation: "sigmoid", depth: 8, scale: 1, layer: 1 };

export const STRINGS = {
  en: {
    title: "Error flow through K layers",
    activation: "Activation", sigmoid: "sigmoid", tanh: "tanh", relu: "ReLU", leaky_relu: "leaky ReLU", softplus: "softplus", identity: "identity",
    depth: "Layers", scale: "Weights", layer: "Layer k",
    picture: "Mean size of grad_z at every layer; the gradient travels from right to left",
    handle: "Layer: read another one",
    x: "layer k", y: "mean |grad_z|", way: "the gradient's way",
    result: "{depth} layers, {activation}, weights ±{scale}/√20: mean |grad_z| is {last} at layer {depth} and {first} at layer 1, {ratio} times as much.",
    vanishes: "It vanishes: ×{factor} a layer.", explodes: "It explodes: ×{factor} a layer.", lasts: "It roughly keeps its size: ×{factor} a layer.",
    one: "Layer {layer}: mean |grad_z| {size}, mean slope f′(z) {slope}, mean |h| {says}.",
  },
  zh: {
    title: "误差在 K 层中的传播",
    activation: "激活函数", sigmoid: "sigmoid", tanh: "tanh", relu: "ReLU", leaky_relu: "leaky ReLU", softplus: "softplus", identity: "恒等 identity",
    depth: "层数", scale: "权重", layer: "第 k 层",
    picture: "每一层 grad_z 的平均大小；梯度从右向左传",
    handle: "层：读另一层",
    x: "第 k 层", y: "平均 |grad_z|", way: "梯度的方向",
    result: "{depth} 层，{activation}，权重 ±{scale}/√20：第 {depth} 层的平均 |grad_z| 为 {last}，第 1 层为 {first}，是前者的 {ratio} 倍。",
    vanishes: "梯度消失：每层乘以 {factor}。", explodes: "梯度爆炸：每层乘以 {factor}。", lasts: "大小大致不变：每层乘以 {factor}。",
    one: "第 {layer} 层：平均 |grad_z| {size}，平均斜率 f′(z) {slope}，平均 |h| {says}。",
  },
};

// ---- mathematics ------------------------------------------------------------------------------------------------------

export const ACTIVATIONS = ["sigmoid", "tanh", "relu", "leaky_relu", "softplus", "identity"];
export const UNITS = 20; // in every layer, and as many rows in the batch
export const MOST = 20; // layers

/** Numbers like those of a bell curve, the same bits everywhere: twelve numbers of Lehmer's generator, added up, less 6. */
export function bell(count, seed) {
  let state = seed;
  return Array.from({ length: count }, () => {
    let sum = -6;
    for (let i = 0; i < 12; i += 1) {
      state = (48271 * state) % 2147483647;
      sum += state / 2147483647;
    }
    return sum;
  });
}

let drawn = null;

/** Matrix number k of (UNITS, UNITS) numbers, always the same one: 0 is x, 1 is ∂loss/∂output, those after it are weights. */
export function matrix(k) {
  drawn ??= bell((MOST + 2) * UNITS * UNITS, 1);
  return Array.from({ length: UNITS }, (_, i) => drawn.slice((k * UNITS + i) * UNITS, (k * UNITS + i + 1) * UNITS));
}

/** The mean over a matrix of what a function makes of its entries. */
function mean(rows, of) {
  return rows.reduce((sum, row) => sum + row.reduce((part, value) => part + of(value), 0), 0) / (rows.length * rows[0].length);
}

/** Means for each layer, first layer first: |grad_z| (sizes), the slope f′(z) (slopes) and |h| (says). */
export function flow(activation, depth, scale) {
  const zeros = Array.from({ length: UNITS }, () => 0);
  const pairs = Array.from({ length: depth }, (_, k) => [matrix(k + 2).map(row => row.map(value => (value * scale) / Math.sqrt(UNITS))), zeros]);
  const names = pairs.map(() => activation);
  const { h, stored } = backpropagation.mlpForward(matrix(0), pairs, names);
  const found = backpropagation.signals(matrix(1), stored, pairs, names);
  return {
    sizes: found.map(grad => mean(grad, Math.abs)),
    slopes: stored.map(([, z]) => mean(z, value => layers.activationDerivative(activation, value))),
    says: [...stored.slice(1).map(([read]) => read), h].map(each => mean(each, Math.abs)),
  };
}

/** What became of the gradient on its way to layer 1: how many times as large (ratio), per layer (factor), and in a word. */
export function fate(sizes) {
  const ratio = sizes[0] / sizes.at(-1);
  const factor = ratio ** (1 / (sizes.length - 1));
  return { ratio, factor, word: factor < 0.8 ? "vanishes" : factor > 1.25 ? "explodes" : "lasts" };
}

// ---- picture ----------------------------------------------------------------------------------------------------------

const [LOW, HIGH] = [-15, 9];

function build(w) {
  const say = w.say;
  let [shownFor, means] = ["", null];
  const picture = kit.plot({
    x: [0, MOST + 1], y: [LOW, HIGH], label: say("picture"), xLabel: say("x"), yLabel: say("y"), width: 420, height: 320, left: 54,
    xTicks: [1, 5, 10, 15, 20], yTicks: [-15, -12, -9, -6, -3, 0, 3, 6, 9], yText: kit.powerOfTen,
  });
  const shown = () => kit.clamp(w.get("layer"), 1, w.get("depth"));
  const go = layer => w.set({ layer: kit.clamp(Math.round(layer), 1, w.get("depth")) });
  const handle = picture.handle({ label: say("handle"), move: ([k]) => go(k), step: 1, horizontal: true });
  const controls = [
    kit.select({
      label: say("activation"), options: ACTIVATIONS.map(name => [name, say(name)]),
      get: () => w.get("activation"), set: activation => w.set({ activation }),
    }),
    kit.range({ label: say("depth"), min: 2, max: MOST, step: 1, get: () => w.get("depth"), set: depth => w.set({ depth }) }),
    kit.range({ label: say("scale"), min: 0.25, max: 3, step: 0.05, get: () => w.get("scale"), set: scale => w.set({ scale }) }),
    kit.range({ label: say("layer"), min: 1, max: MOST, step: 1, get: shown, set: go }),
  ];
  const live = kit.live();
  w.root.append(
    kit.html("div", { class: "row" },
      kit.html("div", { class: "grow" }, picture.element),
      kit.html("div", { class: "grow" }, ...controls.map(control => control.element), live.element),
    ),
  );

  return () => {
    const [activation, depth, scale] = ["activation", "depth", "scale"].map(w.get);
    const k = shown();
    const key = [activation, depth, scale].join();
    if (key !== shownFor) [shownFor, means] = [key, flow(activation, depth, scale)]; // not again where only the layer has changed
    const { sizes, slopes, says } = means;
    const log = sizes.map(size => Math.log10(size));
    const { ratio, factor, word } = fate(sizes);
    const colour = { vanishes: kit.COLOURS.blue, explodes: kit.COLOURS.vermilion, lasts: kit.COLOURS.green }[word];
    picture.clear();
    picture.line([[0, log.at(-1)], [MOST + 1, log.at(-1)]], { width: 1, dash: "2 4" });
    picture.line(log.map((value, i) => [i + 1, value]), { colour });
    log.forEach((value, i) => picture.point(i + 1, value, { colour, size: 4.5, shape: word === "explodes" ? "square" : "disc" }));
    picture.arrow([depth, HIGH - 2.2], [1, HIGH - 2.2], { colour, width: 1.5 });
    picture.text(1, HIGH - 1.6, say("way"));
    for (const control of controls) control.draw();
    const result = say("result", {
      depth, activation: say(activation), scale: kit.number(scale),
      last: kit.scientific(sizes.at(-1)), first: kit.scientific(sizes[0]), ratio: kit.scientific(ratio),
    });
    const one = say("one", { layer: k, size: kit.scientific(sizes[k - 1]), slope: kit.number(slopes[k - 1], 3), says: kit.scientific(says[k - 1]) });
    live.say(`${result} ${say(word, { factor: kit.number(factor, 3) })} ${one}`);
    handle.draw([k, log[k - 1]], one);
    picture.describe(`${say("picture")}. ${result}`);
  };
}

export default { render: view => kit.mount(view, { defaults: DEFAULTS, strings: STRINGS, build }) };
