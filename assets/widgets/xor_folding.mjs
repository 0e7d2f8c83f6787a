// XOR space folding (chapter 03): drag the weights of two hidden units and see where they put the four corners.
import * as kit from "./kit.mjs";
import * as layers from "./hidden_layers.mjs";

export const DEFAULTS = { bend: "relu", w1: [[1, 1], [1, 1]], b1: [0, -1], w2: [1, -2], b2: -0.5 };

export const STRINGS = {
  en: {
    title: "XOR space folding",
    bend: "Bend", relu: "ReLU", identity: "none (identity)", leaky_relu: "leaky ReLU", tanh: "tanh", sigmoid: "sigmoid",
    again: "The chapter's weights",
    before: "Input plane", after: "Hidden plane",
    input: "The input plane with the lines of both hidden units; the network fires in the hatched part",
    hidden: "The hidden plane: where the hidden units put the corners and a grid of the square, and the output unit's line",
    line: "Unit {unit}: move its line", arrow: "Unit {unit}: turn its line",
    out_line: "Output: move its line", out_arrow: "Output: turn its line",
    numbers: "All nine numbers",
    corner: "x", score: "z₂", right: "right?", yes: "yes", no: "no",
    table: "Every corner through the network",
    count: "{right} of 4 corners right.",
    meet: "{places} different places in the hidden plane.",
    collapsed: "Without a bend the two layers are one: W′ = {w}, b′ = {b}. One line, and XOR needs more.",
  },
  zh: {
    title: "折叠空间解异或",
    bend: "激活函数", relu: "ReLU", identity: "无（恒等）", leaky_relu: "leaky ReLU", tanh: "tanh", sigmoid: "sigmoid",
    again: "本章的权重",
    before: "输入平面", after: "隐层平面",
    input: "输入平面和两个隐层单元的直线；网络在阴影部分激活",
    hidden: "隐层平面：四个角和正方形网格的去处，以及输出单元的直线",
    line: "单元 {unit}：移动直线", arrow: "单元 {unit}：转动直线",
    out_line: "输出：移动直线", out_arrow: "输出：转动直线",
    numbers: "全部九个数",
    corner: "x", score: "z₂", right: "正确？", yes: "是", no: "否",
    table: "每个角经过网络",
    count: "4 个角中有 {right} 个正确。",
    meet: "在隐层平面上有 {places} 个不同的位置。",
    collapsed: "没有非线性，两层就是一层：W′ = {w}，b′ = {b}。只有一条直线，异或需要更多。",
  },
};

// ---- mathematics ------------------------------------------------------------------------------------------------------

export const CORNERS = [[0, 0], [0, 1], [1, 0], [1, 1]];
export const XOR = [0, 1, 1, 0];

/** The hidden layer and the score of the output unit for rows of inputs. Returns {h, z}. */
export function forward(x, { bend, w1, b1, w2, b2 }) {
  const [, h, z] = layers.feedForward(x, [[w1, b1], [w2.map(value => [value]), [b2]]], [bend, "identity"]);
  return { h, z: z.map(row => row[0]) };
}

/** The score of the output unit at one place; the same as `forward`'s, quick enough for a thousand places a frame. */
export function score(u, v, { bend, w1, b1, w2, b2 }) {
  const h1 = layers.activation(bend, u * w1[0][0] + v * w1[1][0] + b1[0]);
  const h2 = layers.activation(bend, u * w1[0][1] + v * w1[1][1] + b1[1]);
  return h1 * w2[0] + h2 * w2[1] + b2;
}

/** How many of the four corners fire (z > 0) exactly where XOR is 1. */
export function cornersRight(net) {
  return forward(CORNERS, net).z.filter((z, i) => Number(z > 0) === XOR[i]).length;
}

/** The one affine layer that the network is without a bend. Returns {w, b}. */
export function collapsed({ w1, b1, w2, b2 }) {
  const [w, b] = layers.collapseLayers([[w1, b1], [w2.map(value => [value]), [b2]]]);
  return { w: w.map(row => row[0]), b: b[0] };
}

// ---- picture ----------------------------------------------------------------------------------------------------------

const UNITS = [
  { colour: kit.COLOURS.green, dash: undefined },
  { colour: kit.COLOURS.purple, dash: "7 4" },
];
const ALONG = Array.from({ length: 13 }, (_, i) => i / 12);
const ACROSS = [0, 0.25, 0.5, 0.75, 1];

function build(w) {
  const say = w.say;
  const net = () => Object.fromEntries(Object.keys(DEFAULTS).map(name => [name, w.get(name)]));
  const swap = (list, i, value) => list.map((old, j) => (j === i ? value : old));
  const before = kit.plot({ x: [-0.75, 1.75], y: [-0.75, 1.75], label: say("input"), xLabel: "x₁", yLabel: "x₂" });
  const after = kit.plot({ x: [-1.5, 2.5], y: [-1.5, 2.5], label: say("hidden"), xLabel: "h₁", yLabel: "h₂" });
  const column = j => w.get("w1").map(row => row[j]);
  const lines = UNITS.map((look, j) => kit.draggableLine(before, {
    get: () => ({ w: column(j), b: w.get("b1")[j] }),
    set: ({ w: values, b }) => w.set({ w1: w.get("w1").map((row, i) => swap(row, j, values[i])), b1: swap(w.get("b1"), j, b) }),
    names: { line: say("line", { unit: j + 1 }), arrow: say("arrow", { unit: j + 1 }) },
    centre: j === 0 ? [-0.25, 0.25] : [0.75, 0.25], scale: 0.25, ...look,
  }));
  const output = kit.draggableLine(after, {
    get: () => ({ w: w.get("w2"), b: w.get("b2") }),
    set: ({ w: w2, b: b2 }) => w.set({ w2, b2 }),
    names: { line: say("out_line"), arrow: say("out_arrow") },
    colour: "var(--w-ink)", centre: [0, -0.25], scale: 0.4,
  });
  const bend = kit.select({
    label: say("bend"),
    options: ["relu", "identity", "leaky_relu", "tanh", "sigmoid"].map(name => [name, say(name)]),
    get: () => w.get("bend"),
    set: name => w.set({ bend: name }),
  });
  const slider = (label, get, set) => kit.range({ label, min: -5, max: 5, step: 0.25, get, set });
  const sliders = [
    ...[0, 1].flatMap(i => [0, 1].map(j => slider(
      `W₁[${i + 1},${j + 1}]`, () => w.get("w1")[i][j], value => w.set({ w1: swap(w.get("w1"), i, swap(w.get("w1")[i], j, value)) }),
    ))),
    ...[0, 1].map(j => slider(`b₁[${j + 1}]`, () => w.get("b1")[j], value => w.set({ b1: swap(w.get("b1"), j, value) }))),
    ...[0, 1].map(j => slider(`w₂[${j + 1}]`, () => w.get("w2")[j], value => w.set({ w2: swap(w.get("w2"), j, value) }))),
    slider("b₂", () => w.get("b2"), value => w.set({ b2: value })),
  ];
  const table = kit.table(say("table"), [say("corner"), "h₁", "h₂", say("score"), "ŷ", "y", say("right")]);
  const live = kit.live();
  w.root.append(
    kit.html("div", { class: "buttons" }, bend.element, kit.button(say("again"), () => w.set(DEFAULTS))),
    kit.html("div", { class: "row" },
      kit.html("div", { class: "grow" }, kit.html("div", {}, say("before")), before.element),
      kit.html("div", { class: "grow" }, kit.html("div", {}, say("after")), after.element),
    ),
    live.element,
    table.element,
    kit.html("details", {}, kit.html("summary", {}, say("numbers")), ...sliders.map(control => control.element)),
  );

  return () => {
    const now = net();
    const { h, z } = forward(CORNERS, now);
    const right = cornersRight(now);
    before.clear();
    before.region((u, v) => score(u, v, now), 32);
    for (const line of lines) line.draw();
    after.clear();
    after.halfPlane(now.w2, now.b2);
    for (const fixed of ACROSS) {
      after.line(forward(ALONG.map(t => [t, fixed]), now).h, { colour: kit.COLOURS.blue, width: 1, opacity: 0.6 });
      after.line(forward(ALONG.map(t => [fixed, t]), now).h, { colour: kit.COLOURS.vermilion, width: 1, opacity: 0.6 });
    }
    output.draw();
    const places = new Map();
    CORNERS.forEach((corner, i) => {
      const look = XOR[i] ? {} : { shape: "square", colour: kit.COLOURS.vermilion, open: true };
      const fired = Number(z[i] > 0);
      before.point(...corner, look);
      before.text(...corner, `${kit.tuple(corner)} ${fired === XOR[i] ? "✓" : "✗"}`, { dx: 11, dy: -8 });
      after.point(...h[i], look);
      const key = h[i].map(value => kit.snap(value, 1e-6)).join();
      places.set(key, [...(places.get(key) ?? []), i]);
    });
    for (const at of places.values()) {
      after.text(...h[at[0]], at.map(i => kit.tuple(CORNERS[i])).join(" "), { dx: 10, dy: at.length > 1 ? 20 : -9 });
    }
    bend.draw();
    for (const control of sliders) control.draw();
    table.draw(CORNERS.map((x, i) => {
      const fired = Number(z[i] > 0);
      return [kit.tuple(x), kit.number(h[i][0]), kit.number(h[i][1]), kit.number(z[i]), fired, XOR[i], fired === XOR[i] ? say("yes") : say("no")];
    }));
    const one = collapsed(now);
    const sentences = [say("count", { right }), say("meet", { places: places.size })];
    if (now.bend === "identity") sentences.push(say("collapsed", { w: kit.tuple(one.w), b: kit.number(one.b) }));
    live.say(sentences.join(" "));
    before.describe(`${say("input")}. ${sentences[0]}`);
    after.describe(`${say("hidden")}. ${CORNERS.map((x, i) => `${kit.tuple(x)} → ${kit.tuple(h[i])}`).join("; ")}`);
  };
}

export default { render: view => kit.mount(view, { defaults: DEFAULTS, strings: STRINGS, build }) };
