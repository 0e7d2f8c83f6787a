// Map of gates (chapter 10): what the gates of a trained LSTM do at each word of a sentence, and which unit remembers what is open.
import * as kit from "./kit.mjs";
import * as lstm from "./lstm.mjs";
import * as losses from "./losses.mjs";
import * as recurrent from "./recurrent.mjs";
import * as stored from "./gate_map_model.mjs";

export const DEFAULTS = { sentence: "quotation", gate: "c", unit: 4, word: 12 };

export const STRINGS = {
  en: {
    title: "Map of gates",
    sentence: "Sentence", plain: "plain", quotation: "with a quotation", bracket: "with a bracket", inside: "a bracket in a quotation", around: "a quotation in a bracket",
    gate: "Shown above", input: "input gate", forget: "forget gate", output: "output gate", candidate: "candidate", c: "cell", h: "state", sign: "open",
    unit: "Unit", word: "Word",
    map: "All units over the sentence, below all of the chosen unit. Blue is positive, orange with – negative, blank 0. Top row: quotation open (solid), bracket open (dashed).",
    units: "unit", handle: "Word and unit: move",
    one: "Gates, candidate, cell and state of the chosen unit over the sentence",
    read: "Word {n} “{word}”, unit {unit}: input {input}, forget {forget}, output {output}, candidate {candidate}; cell {c}, state {h}.",
    none: "Nothing is open.", quoted: "A quotation is open.", bracketed: "A bracket is open.", two: "A quotation and a bracket are open.",
    next: "Expected next: {list}.",
  },
  zh: {
    title: "门的热图",
    sentence: "句子", plain: "普通", quotation: "有引号", bracket: "有括号", inside: "引号里有括号", around: "括号里有引号",
    gate: "上图显示", input: "输入门", forget: "遗忘门", output: "输出门", candidate: "候选值", c: "细胞", h: "状态", sign: "未闭合",
    unit: "单元", word: "词",
    map: "上图是句子中的所有单元，下图是所选单元的全部数值。蓝色为正，带 – 的橙色为负，空白为 0。顶行：引号未闭合（实线），括号未闭合（虚线）。",
    units: "单元", handle: "词和单元：移动",
    one: "所选单元在句子中的各个门、候选值、细胞和状态",
    read: "第 {n} 个词“{word}”，单元 {unit}：输入门 {input}，遗忘门 {forget}，输出门 {output}，候选值 {candidate}；细胞 {c}，状态 {h}。",
    none: "没有未闭合的符号。", quoted: "引号未闭合。", bracketed: "括号未闭合。", two: "引号和括号都未闭合。",
    next: "下一个词：{list}。",
  },
};

// ---- mathematics ------------------------------------------------------------------------------------------------------

export const SENTENCES = {
  plain: "the king sees the bird and the bird likes the river and the child hears the king .".split(" "),
  quotation: "the king says “ the child sees the bird and the bird hears the river and the river likes the king ” .".split(" "),
  bracket: "the child likes the bird ( the king hears the river and the bird sees the king ) and the king sees the river .".split(" "),
  inside: "the bird says “ the king likes the child ( the river hears the bird ) and the child sees the king ” .".split(" "),
  around: "the king hears the river ( the child says “ the bird likes the king and the king sees the child ” ) .".split(" "),
};
export const GATES = ["input", "forget", "output", "candidate", "c", "h"];

/** How many quotations and brackets are open after each word: [quotations, brackets]. */
export function openSigns(words) {
  const count = (words, sign) => words.filter(word => word === sign).length;
  return words.map((_, t) => {
    const said = words.slice(0, t + 1);
    return [count(said, "“") - count(said, "”"), count(said, "(") - count(said, ")")];
  });
}

/** What the LSTM holds after each word, by name, and what it expects next (p). Before a sentence it reads a full stop. */
export function read(words) {
  const { u, w, b, wOut, bOut } = stored.MODEL;
  const oneHot = word => stored.MODEL.words.map(each => (each === word ? 1 : 0));
  const steps = lstm.lstmForward([".", ...words].map(oneHot), { u, w, b });
  return steps.slice(1).map(step => {
    const through = recurrent.rowTimes(step.h, wOut);
    return { ...step, p: losses.logSoftmax(bOut.map((value, i) => value + through[i])).map(Math.exp) };
  });
}

/** Gates and states as a number from −1 to 1: what a cell holds goes through tanh, as on its way to the state. */
export function strength(gate, value) {
  return gate === "c" ? Math.tanh(value) : value;
}

// ---- picture ----------------------------------------------------------------------------------------------------------

const UNITS = stored.MODEL.w.length;
const LONGEST = Math.max(...Object.values(SENTENCES).map(words => words.length));

/** Where a heat map of values[row][column], first row on top, is negative: a short stroke each. */
function minus(values) {
  return values.flatMap((row, i) =>
    row.flatMap((value, j) => (value < -0.05 ? [[[j + 0.25, values.length - i - 0.5], [j + 0.75, values.length - i - 0.5]]] : [])));
}

/** Where a sign is open, as lines at a height. */
function spans(open, height) {
  return open.flatMap((count, t) => (count > 0 ? [[[t, height], [t + 1, height]]] : []));
}

function build(w) {
  const say = w.say;
  const words = () => SENTENCES[w.get("sentence")];
  const now = () => kit.clamp(w.get("word"), 1, words().length);
  const go = (word, unit) => w.set({ word: kit.clamp(word, 1, words().length), unit: kit.clamp(unit, 1, UNITS) });
  const columns = Array.from({ length: LONGEST }, (_, t) => t + 0.5);
  const rows = count => Array.from({ length: count }, (_, i) => i + 0.5);
  const map = kit.plot({
    x: [0, LONGEST], y: [0, UNITS + 1], label: say("map"), yLabel: say("units"), width: 420, height: 300, left: 82, bottom: 52,
    xTicks: columns, turned: true, yTicks: rows(UNITS + 1), yText: place => (place > UNITS ? say("sign") : String(UNITS - Math.floor(place))),
  });
  const one = kit.plot({
    x: [0, LONGEST], y: [0, GATES.length], label: say("one"), width: 420, height: 190, left: 82, bottom: 8,
    xTicks: [], yTicks: rows(GATES.length), yText: place => say(GATES[GATES.length - 1 - Math.floor(place)]),
  });
  const handle = map.handle({
    label: say("handle"), colour: "var(--w-ink)",
    move: ([u, v]) => go(Math.floor(u) + 1, UNITS - Math.floor(v)),
    nudge: ([across, up]) => go(now() + across, w.get("unit") - up),
  });
  const pick = (name, keys) => kit.select({
    label: say(name), options: keys.map(key => [key, say(key)]), get: () => w.get(name), set: value => w.set({ [name]: value }),
  });
  const controls = [
    pick("sentence", Object.keys(SENTENCES)), pick("gate", GATES),
    kit.range({ label: say("unit"), min: 1, max: UNITS, step: 1, get: () => w.get("unit"), set: unit => go(now(), unit) }),
    kit.range({ label: say("word"), min: 1, max: LONGEST, step: 1, get: now, set: word => go(word, w.get("unit")), text: n => words()[n - 1] }),
  ];
  const live = kit.live();
  const parts = controls.map(control => control.element);
  w.root.append(
    kit.html("div", { class: "buttons" }, parts[0], parts[1]),
    kit.html("div", { class: "row" },
      kit.html("div", { class: "grow" }, map.element, one.element),
      kit.html("div", { class: "grow" }, parts[2], parts[3], live.element, kit.html("p", {}, say("map"))),
    ),
  );
  const draw = (picture, values) => {
    const filled = [...values].reverse().map(row => [...row, ...Array(LONGEST - row.length).fill(0)]);
    picture.heat(filled);
    picture.heat(filled.map(row => row.map(value => -value)), { colour: kit.COLOURS.vermilion });
    picture.pieces(minus(values), { width: 1.5 });
  };

  return () => {
    const [gate, unit] = ["gate", "unit"].map(w.get);
    const said = words();
    const steps = read(said);
    const n = now();
    const step = steps[n - 1];
    const open = openSigns(said);
    map.clear();
    map.tell("x", place => said[Math.floor(place)] ?? "");
    draw(map, [said.map(() => 0), ...rows(UNITS).map((_, i) => steps.map(each => strength(gate, each[gate][i])))]);
    map.pieces(spans(open.map(([quotes]) => quotes), UNITS + 0.7), { colour: kit.COLOURS.green, width: 4 });
    map.pieces(spans(open.map(([, brackets]) => brackets), UNITS + 0.3), { width: 4, dash: "4 3" });
    const edge = UNITS - unit;
    const ring = (picture, low, high) => {
      picture.line([[n - 1, 0], [n - 1, picture.y[1]]], { width: 1, dash: "3 3" });
      picture.line([[n, 0], [n, picture.y[1]]], { width: 1, dash: "3 3" });
      picture.line([[0, low], [said.length, low], [said.length, high], [0, high], [0, low]], { width: 2 });
    };
    ring(map, edge, edge + 1);
    one.clear();
    draw(one, GATES.map(name => steps.map(each => strength(name, each[name][unit - 1]))));
    ring(one, 0, GATES.length);
    for (const control of controls) control.draw();
    const values = Object.fromEntries(GATES.map(name => [name, kit.number(kit.snap(step[name][unit - 1], 0.01))]));
    const sentence = say("read", { n, word: said[n - 1], unit, ...values });
    const [quotes, brackets] = open[n - 1];
    const state = say(["none", "quoted", "bracketed", "two"][quotes + 2 * brackets]);
    const best = stored.MODEL.words.map((_, i) => i).sort((i, j) => step.p[j] - step.p[i]).slice(0, 3);
    const next = say("next", { list: best.map(i => `${stored.MODEL.words[i]} ${kit.number(step.p[i])}`).join(", ") });
    live.say(`${sentence} ${state} ${next}`);
    handle.draw([n - 0.5, edge + 0.5], sentence);
    map.describe(`${say("map")}. ${sentence}`);
    one.describe(`${say("one")}. ${sentence}`);
  };
}

export default { render: view => kit.mount(view, { defaults: DEFAULTS, strings: STRINGS, build }) };
