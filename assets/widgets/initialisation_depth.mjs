// Initialisation against depth (chapter 07): how large activations and gradients are in each layer, and how they are spread.
import * as kit from "./kit.mjs";
import * as backpropagation from "./backpropagation.mjs";
import * as optimisers from "./optimisers.mjs";

export const DEFAULTS = { rule: "glorot", activation: "tanh", depth: 10, layer: 10 };

export const STRINGS = {
  en: {
    title: "First weights against depth",
    rule: "First weights", uniform: "uniform ±0.01", glorot: "Glorot", he: "He",
    activation: "Activation", tanh: "tanh", relu: "ReLU",
    depth: "Layers", layer: "Layer k",
    picture: "Size of activations (solid, discs) and gradients (dashed, squares) in each layer", handle: "Layer: read another one",
    x: "layer k", y: "size", says: "h", grads: "grad_z",
    spread: "How the activations of layer k are spread", value: "h", share: "share of the units",
    slopes: "How the gradients of layer k are spread", power: "log₁₀ |grad_z|",
    result: "{rule} under {activation}, {depth} layers: h goes from {firstH} to {lastH}, the gradient comes back from {lastG} to {firstG}.",
    one: "Layer {layer}: h has size {h}, {zero} of it is 0 or nearly; grad_z has size {g}.",
  },
  zh: {
    title: "初始化与深度",
    rule: "初始权重", uniform: "均匀 ±0.01", glorot: "Glorot", he: "He",
    activation: "激活函数", tanh: "tanh", relu: "ReLU",
    depth: "层数", layer: "第 k 层",
    picture: "每层激活值的大小（实线，圆点）和梯度的大小（虚线，方块）", handle: "层：读另一层",
    x: "第 k 层", y: "大小", says: "h", grads: "grad_z",
    spread: "第 k 层激活值的分布", value: "h", share: "单元的比例",
    slopes: "第 k 层梯度的分布", power: "log₁₀ |grad_z|",
    result: "{rule}，{activation}，{depth} 层：h 从 {firstH} 到 {lastH}，梯度回传时从 {lastG} 到 {firstG}。",
    one: "第 {layer} 层：h 的大小 {h}，其中 {zero} 为 0 或接近 0；grad_z 的大小 {g}。",
  },
};

// ---- mathematics ------------------------------------------------------------------------------------------------------

export const UNITS = 20; // in every layer, and as many rows in the batch

/** Numbers as (UNITS, UNITS). */
function square(drawn) {
  return Array.from({ length: UNITS }, (_, i) => drawn.slice(i * UNITS, (i + 1) * UNITS));
}

/** The root of the mean of the squares. */
export function size(rows) {
  return Math.sqrt(rows.flat().reduce((sum, value) => sum + value * value, 0) / rows.flat().length);
}

/** What each layer says (says) and the gradient at its sum (grads), each (UNITS, UNITS), first layer first. */
export function layersOf(rule, activation, depth) {
  const zeros = Array.from({ length: UNITS }, () => 0);
  const pairs = Array.from({ length: depth }, (_, k) => [optimisers.initialWeights(k + 3, UNITS, UNITS, rule), zeros]);
  const names = pairs.map(() => activation);
  const { h, stored } = backpropagation.mlpForward(square(optimisers.bells(UNITS * UNITS, 1)), pairs, names);
  const grads = backpropagation.signals(square(optimisers.bells(UNITS * UNITS, 2)), stored, pairs, names);
  return { says: [...stored.slice(1).map(([read]) => read), h], grads };
}

/** Shares of the numbers in equal bins from low to high; what lies outside counts in the first or last bin. */
export function histogram(values, low, high, bins) {
  const counts = Array.from({ length: bins }, () => 0);
  for (const value of values) {
    const bin = Math.floor(((value - low) / (high - low)) * bins);
    counts[Math.min(Math.max(bin, 0), bins - 1)] += 1 / values.length;
  }
  return counts;
}

/** The share of numbers that are no farther from 0 than a limit. */
export function nearZero(values, limit) {
  return values.filter(value => Math.abs(value) <= limit).length / values.length;
}

// ---- picture ----------------------------------------------------------------------------------------------------------

const MOST = 20;
const [LOW, HIGH] = [-48, 6];

/** A histogram's outline as points of a line. */
function outline(shares, low, high) {
  const wide = (high - low) / shares.length;
  return [[low, 0], ...shares.flatMap((share, i) => [[low + i * wide, share], [low + (i + 1) * wide, share]]), [high, 0]];
}

function build(w) {
  const say = w.say;
  let [shownFor, made] = ["", null];
  const picture = kit.plot({
    x: [0, MOST + 1], y: [LOW, HIGH], label: say("picture"), xLabel: say("x"), yLabel: say("y"), width: 400, height: 280, left: 58,
    xTicks: [1, 5, 10, 15, 20], yTicks: [-48, -36, -24, -12, 0], yText: kit.powerOfTen,
  });
  const spread = kit.plot({ x: [-3, 3], y: [0, 1], label: say("spread"), xLabel: say("value"), yLabel: say("share"), width: 300, height: 200 });
  const slopes = kit.plot({ x: [-48, 6], y: [0, 1], label: say("slopes"), xLabel: say("power"), yLabel: say("share"), width: 300, height: 200, xTicks: [-48, -36, -24, -12, 0] });
  const shown = () => kit.clamp(w.get("layer"), 1, w.get("depth"));
  const go = layer => w.set({ layer: kit.clamp(Math.round(layer), 1, w.get("depth")) });
  const handle = picture.handle({ label: say("handle"), move: ([k]) => go(k), step: 1, horizontal: true });
  const pick = (key, options) => kit.select({ label: say(key), options: options.map(each => [each, say(each)]), get: () => w.get(key), set: value => w.set({ [key]: value }) });
  const controls = [
    pick("rule", ["uniform", "glorot", "he"]),
    pick("activation", ["tanh", "relu"]),
    kit.range({ label: say("depth"), min: 2, max: MOST, step: 1, get: () => w.get("depth"), set: depth => w.set({ depth }) }),
    kit.range({ label: say("layer"), min: 1, max: MOST, step: 1, get: shown, set: go }),
  ];
  const live = kit.live();
  w.root.append(
    kit.html("div", { class: "row" },
      kit.html("div", { class: "grow" }, picture.element,
        kit.html("div", { class: "buttons" }, controls[0].element, controls[1].element), controls[2].element, controls[3].element, live.element),
      kit.html("div", { class: "grow" }, spread.element, slopes.element),
    ),
  );

  return () => {
    const [rule, activation, depth] = ["rule", "activation", "depth"].map(w.get);
    const k = shown();
    const key = [rule, activation, depth].join();
    if (key !== shownFor) [shownFor, made] = [key, layersOf(rule, activation, depth)];
    const [h, g] = [made.says.map(size), made.grads.map(size)];
    picture.clear();
    for (const [sizes, colour, dash, shape] of [[h, kit.COLOURS.blue, undefined, "disc"], [g, kit.COLOURS.vermilion, "6 4", "square"]]) {
      const points = sizes.map((value, i) => [i + 1, Math.log10(value)]);
      picture.line(points, { colour, dash });
      for (const point of points) picture.point(...point, { colour, shape, size: 4 });
    }
    const [values, grads] = [made.says[k - 1].flat(), made.grads[k - 1].flat()];
    spread.clear();
    spread.line(outline(histogram(values, -3, 3, 30), -3, 3), { colour: kit.COLOURS.blue });
    slopes.clear();
    slopes.line(outline(histogram(grads.map(value => Math.log10(Math.abs(value))), -48, 6, 36), -48, 6), { colour: kit.COLOURS.vermilion, dash: "6 4" });
    for (const control of controls) control.draw();
    const result = say("result", {
      rule: say(rule), activation: say(activation), depth,
      firstH: kit.scientific(h[0]), lastH: kit.scientific(h.at(-1)), firstG: kit.scientific(g[0]), lastG: kit.scientific(g.at(-1)),
    });
    const one = say("one", { layer: k, h: kit.scientific(h[k - 1]), zero: `${kit.number(100 * nearZero(values, 0.01), 0)} %`, g: kit.scientific(g[k - 1]) });
    live.say(`${result} ${one}`);
    handle.draw([k, Math.log10(h[k - 1])], one);
    picture.describe(`${say("picture")}. ${result}`);
    spread.describe(`${say("spread")}. ${one}`);
    slopes.describe(`${say("slopes")}. ${one}`);
  };
}

export default { render: view => kit.mount(view, { defaults: DEFAULTS, strings: STRINGS, build }) };
