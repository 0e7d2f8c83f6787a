// Gradient through time (chapter 09): how long ∂L/∂h is at each lag, by the spectral radius of W and the size of the words.
import * as kit from "./kit.mjs";
import * as recurrent from "./recurrent.mjs";
import * as optimisers from "./optimisers.mjs";

export const DEFAULTS = { radius: 1, words: 0.5, length: 40, lag: 10, limit: 1, clip: false };

export const STRINGS = {
  en: {
    title: "Gradient through time", radius: "Radius ρ", words: "Words", length: "Length", lag: "Lag", clip: "Clip to", limit: "Limit",
    picture: "Length of the gradient at every lag; dashed: ρ to the power of the lag", handle: "Lag: read another one",
    x: "lag", y: "length of ∂L/∂h",
    read: "ρ = {radius}, words of size {words}: lag 0 has 1, lag {last} has {end}.",
    vanishes: "It vanishes: × {factor} a step.", explodes: "It explodes: × {factor} a step.", lasts: "It roughly lasts: × {factor} a step.",
    one: "Lag {lag}: {size}.", clipped: "Clipped to {limit}: lag {lag} has {size}.",
  },
  zh: {
    title: "穿过时间的梯度", radius: "谱半径 ρ", words: "词的大小", length: "长度", lag: "间隔", clip: "裁剪", limit: "上限",
    picture: "每个间隔处梯度的长度；虚线：ρ 的间隔次方", handle: "间隔：读另一处",
    x: "间隔", y: "∂L/∂h 的长度",
    read: "ρ = {radius}，词的大小 {words}：间隔 0 处为 1，间隔 {last} 处为 {end}。",
    vanishes: "梯度消失：每步乘以 {factor}。", explodes: "梯度爆炸：每步乘以 {factor}。", lasts: "大致不变：每步乘以 {factor}。",
    one: "间隔 {lag}：{size}。", clipped: "裁剪到 {limit}：间隔 {lag} 处为 {size}。",
  },
};

// ---- mathematics ------------------------------------------------------------------------------------------------------

export const UNITS = 6; // features of the state
export const MOST = 100; // the longest text

let unit = null;

/** Length of the gradient at each lag of a text of so many words, with W scaled to a radius; lag 0 has length 1. */
export function lags(radius, words, length) {
  unit ??= recurrent.unitMatrix(UNITS, 3);
  const w = unit.map(weights => weights.map(value => value * radius));
  const draw = optimisers.bells(UNITS * (MOST + 1), 5);
  const inputs = Array.from({ length: length + 1 }, (_, t) => draw.slice(UNITS * t, UNITS * t + UNITS).map(value => value * words));
  return recurrent.gradientNorms(w.map(() => 1 / Math.sqrt(UNITS)), recurrent.rnnForward(inputs, w), w);
}

/** The factor per step between first and last lag, and a word for it. */
export function fate(norms) {
  const factor = (norms.at(-1) / norms[0]) ** (1 / (norms.length - 1));
  return { factor, word: factor < 0.97 ? "vanishes" : factor > 1.03 ? "explodes" : "lasts" };
}

/** What clipping makes of a gradient's length. */
export function clipLength(length, limit) {
  return Math.min(length, limit);
}

// ---- picture ----------------------------------------------------------------------------------------------------------

const [LOW, HIGH] = [-18, 12];

function build(w) {
  const say = w.say;
  // One curve a kind of network: chapter 10 draws the LSTM's beside this one.
  const picture = kit.plot({
    x: [0, MOST], y: [LOW, HIGH], label: say("picture"), xLabel: say("x"), yLabel: say("y"), width: 420, height: 320, left: 54,
    xTicks: [0, 20, 40, 60, 80, 100], yTicks: [-18, -12, -6, 0, 6, 12], yText: kit.powerOfTen,
  });
  const shown = () => kit.clamp(w.get("lag"), 0, w.get("length"));
  const go = lag => w.set({ lag: kit.clamp(Math.round(lag), 0, w.get("length")) });
  const handle = picture.handle({ label: say("handle"), move: ([k]) => go(k), step: 1, horizontal: true });
  const set = name => value => w.set({ [name]: value });
  const range = (name, min, max, step, get = () => w.get(name), change = set(name)) =>
    kit.range({ label: say(name), min, max, step, get, set: change });
  const controls = [
    range("radius", 0.5, 2, 0.05), range("words", 0, 2, 0.1), range("length", 5, MOST, 1), range("lag", 0, MOST, 1, shown, go),
    kit.select({
      label: say("clip"), options: [["off", "∞"], ["on", say("limit")]], get: () => (w.get("clip") ? "on" : "off"),
      set: value => w.set({ clip: value === "on" }),
    }),
    range("limit", 0.5, 10, 0.5),
  ];
  const live = kit.live();
  w.root.append(
    kit.html("div", { class: "row" },
      kit.html("div", { class: "grow" }, picture.element),
      kit.html("div", { class: "grow" }, ...controls.map(control => control.element), live.element),
    ),
  );

  return () => {
    const [radius, words, length, limit, clip] = ["radius", "words", "length", "limit", "clip"].map(w.get);
    const norms = lags(radius, words, length).map(norm => (clip ? clipLength(norm, limit) : norm));
    const k = shown();
    const { factor, word } = fate(lags(radius, words, length));
    const log = norm => Math.max(Math.log10(norm), LOW);
    const colour = { vanishes: kit.COLOURS.blue, explodes: kit.COLOURS.vermilion, lasts: kit.COLOURS.green }[word];
    picture.clear();
    picture.line([[0, 0], [length, length * Math.log10(radius)]], { width: 1.5, dash: "5 4" });
    picture.line(norms.map((norm, lag) => [lag, log(norm)]), { colour, width: 2.5 });
    for (const control of controls) control.draw();
    const size = kit.scientific(norms[k]);
    const one = clip ? say("clipped", { lag: k, size, limit: kit.number(limit) }) : say("one", { lag: k, size });
    const read = say("read", { radius: kit.number(radius), words: kit.number(words), last: length, end: kit.scientific(lags(radius, words, length).at(-1)) });
    live.say(`${read} ${say(word, { factor: kit.number(factor, 3) })} ${one}`);
    handle.draw([k, log(norms[k])], one);
    picture.describe(`${say("picture")}. ${read}`);
  };
}

export default { render: view => kit.mount(view, { defaults: DEFAULTS, strings: STRINGS, build }) };
