// Tensor explorer (chapter 01): where an element lies in storage, what transposing does to the strides, what broadcasting repeats.
import * as kit from "./kit.mjs";
import * as tensors from "./tensors.mjs";

export const DEFAULTS = { mode: "storage", shape: [2, 2, 3], order: "C", axes: "012", index: [1, 0, 2], left: [3, 1], right: [1, 3], vector: true, entry: [1, 2] };

export const STRINGS = {
  en: {
    title: "Tensor explorer",
    mode: "Show", storage: "storage and strides", broadcast: "broadcasting",
    size: "Axis {k}: size", axis: "Index {k}", order: "Order of storage", c: "C: last axis fastest", f: "F: first axis fastest",
    axes: "Axes of the view", plain: "as stored (0, 1, 2)",
    picture: "Above the tensor, a matrix for each first index; below its storage, sixteen places a row",
    element: "Element: move to another one",
    read: "Shape {shape}, strides {strides}. Element {index}: {terms} = place {place}, number {number}.",
    view: "Flattened it is a view: one stride walks through it.", copy: "Flattened it must be copied: no single stride walks through it.",
    rows: "Left: rows", columns: "Left: columns", rows2: "Right: rows", columns2: "Right: columns",
    vector: "Right is a vector: one axis only",
    sums: "Left, right, and their sum; the dashed squares are what the chosen sum is made of",
    sum: "Sum: move to another one",
    fits: "{left} + {right} → {result}. Entry {entry} = {a} + {b} = {total}. Strides: left {first}, right {second}.",
    clash: "{left} + {right} does not fit: axis {axis} from the right has {m} and {n}, and neither is 1.",
    how: "Drag the handle, or use Tab and the arrow keys.",
  },
  zh: {
    title: "张量浏览器",
    mode: "显示", storage: "存储与步长", broadcast: "广播",
    size: "第 {k} 轴：大小", axis: "下标 {k}", order: "存储顺序", c: "C：最后一轴变化最快", f: "F：第一轴变化最快",
    axes: "视图的轴", plain: "与存储一致 (0, 1, 2)",
    picture: "上方是张量，第一个下标对应一个矩阵；下方是存储，每行十六个位置",
    element: "元素：移到另一个",
    read: "形状 {shape}，步长 {strides}。元素 {index}：{terms} = 位置 {place}，数 {number}。",
    view: "展平后是视图：一个步长就能走完。", copy: "展平必须复制：没有一个步长能走完。",
    rows: "左：行数", columns: "左：列数", rows2: "右：行数", columns2: "右：列数",
    vector: "右边是向量：只有一个轴",
    sums: "左、右和它们的和；虚线方块是所选的和的来源",
    sum: "和：移到另一个",
    fits: "{left} + {right} → {result}。元素 {entry} = {a} + {b} = {total}。步长：左 {first}，右 {second}。",
    clash: "{left} + {right} 不匹配：从右数第 {axis} 轴是 {m} 和 {n}，都不是 1。",
    how: "拖动手柄，或用 Tab 键和方向键。",
  },
};

// ---- mathematics ------------------------------------------------------------------------------------------------------

/** A stored tensor seen with its axes in another order: its shape, its strides, and whether it flattens without a copy. */
export function seen(shape, order, axes) {
  const { strides } = tensors.locate(shape, shape.map(() => 0), order);
  const turn = [...axes].map(Number);
  const view = { shape: turn.map(axis => shape[axis]), strides: turn.map(axis => strides[axis]) };
  const size = shape.reduce((a, b) => a * b, 1);
  return { ...view, flat: tensors.reshapeIsView(view.shape, view.strides, [size]) };
}

/** Keep an index inside a shape. */
export function inside(index, shape) {
  return index.map((i, axis) => kit.clamp(Math.round(i), 0, shape[axis] - 1));
}

/** Left holds 10, 20, 30, …, right 1, 2, 3, …: the sum's shape and the parts of one entry; where they clash, the axis from the right. */
export function added(left, right, entry) {
  const result = tensors.broadcastShape(left, right);
  if (result === null) {
    const [a, b] = tensors.linedUp(left, right).map(shape => shape.toReversed());
    const axis = a.findIndex((n, k) => n !== b[k] && n !== 1 && b[k] !== 1);
    return { result, axis: axis + 1, sizes: [a[axis], b[axis]] };
  }
  const strides = [left, right].map(shape => tensors.broadcastStrides(shape, result.length));
  const at = inside(entry, result);
  const places = strides.map(each => tensors.place(at, each));
  return { result, strides, at, places, parts: [10 * (places[0] + 1), places[1] + 1] };
}

// ---- picture ----------------------------------------------------------------------------------------------------------

const TURNS = ["012", "021", "102", "120", "201", "210"];
const list = values => `(${values.join(", ")}${values.length === 1 ? "," : ""})`;
const bracket = values => `[${values.join(", ")}]`;

function square(plot, u, v, words, { chosen = false, part = false } = {}) {
  plot.point(u, v, { shape: "square", open: true, size: chosen ? 11 : 9, colour: chosen ? kit.COLOURS.vermilion : kit.COLOURS.blue });
  if (part) plot.ring(u, v, { dash: "3 2", size: 13 });
  plot.text(u, v, String(words), { anchor: "middle", dy: 4 });
}

function storagePart(w) {
  const say = w.say;
  const plot = kit.plot({ x: [-1, 19], y: [-5.4, 4.6], label: say("picture"), width: 400, height: 240, xTicks: [], yTicks: [], left: 8 });
  const state = () => {
    const [shape, order, axes] = ["shape", "order", "axes"].map(w.get);
    const view = seen(shape, order, axes);
    return { ...view, index: inside(w.get("index"), view.shape) };
  };
  const where = ([g, r, c], shape) => [g * (shape[2] + 0.8) + c, 4 - r];
  const handle = plot.handle({
    label: say("element"),
    move: ([u, v]) => {
      const { shape } = state();
      const g = kit.clamp(Math.floor((u + 0.9) / (shape[2] + 0.8)), 0, shape[0] - 1);
      w.set({ index: inside([g, 4 - v, u - g * (shape[2] + 0.8)], shape) });
    },
    nudge: ([du, dv]) => {
      const { index, shape } = state();
      w.set({ index: inside([index[0], index[1] - dv, index[2] + du], shape) });
    },
  });
  const change = (name, k) => value => w.set({ [name]: w.get(name).map((old, j) => (j === k ? value : old)) });
  const sizes = [0, 1, 2].map(k =>
    kit.range({ label: say("size", { k }), min: 1, max: 4, step: 1, get: () => w.get("shape")[k], set: change("shape", k) }),
  );
  const places = [0, 1, 2].map(k =>
    kit.range({ label: say("axis", { k }), min: 0, max: 3, step: 1, get: () => state().index[k], set: value => w.set({ index: inside(state().index.map((old, j) => (j === k ? value : old)), state().shape) }) }),
  );
  const order = kit.select({ label: say("order"), options: [["C", say("c")], ["F", say("f")]], get: () => w.get("order"), set: value => w.set({ order: value }) });
  const axes = kit.select({
    label: say("axes"), options: TURNS.map(turn => [turn, turn === "012" ? say("plain") : list([...turn])]),
    get: () => w.get("axes"), set: value => w.set({ axes: value }),
  });
  const controls = [order, axes, ...sizes, ...places];
  const element = kit.html("div", { class: "row" },
    kit.html("div", { class: "grow" }, plot.element),
    kit.html("div", { class: "grow" }, kit.html("div", { class: "buttons" }, order.element, axes.element), ...controls.slice(2).map(each => each.element)),
  );
  return {
    element,
    draw: () => {
      const { shape, strides, flat, index } = state();
      const at = tensors.place(index, strides);
      plot.clear();
      const size = shape.reduce((a, b) => a * b, 1);
      const along = new Set(Array.from({ length: shape[2] }, (_, c) => tensors.place([index[0], index[1], c], strides)));
      for (let g = 0; g < shape[0]; g += 1) {
        for (let r = 0; r < shape[1]; r += 1) {
          for (let c = 0; c < shape[2]; c += 1) {
            const here = tensors.place([g, r, c], strides);
            square(plot, ...where([g, r, c], shape), here + 1, { chosen: here === at });
          }
        }
      }
      for (let k = 0; k < size; k += 1) square(plot, k % 16, -1.2 - Math.floor(k / 16), k + 1, { chosen: k === at, part: along.has(k) });
      for (const control of controls) control.draw();
      const terms = index.map((i, k) => `${i}·${strides[k]}`).join(" + ");
      const read = say("read", { shape: list(shape), strides: list(strides), index: bracket(index), terms, place: at, number: at + 1 });
      handle.draw(where(index, shape), bracket(index));
      plot.describe(`${say("picture")}. ${read}`);
      return `${read} ${say(flat ? "view" : "copy")}`;
    },
  };
}

function broadcastPart(w) {
  const say = w.say;
  const plot = kit.plot({ x: [-1, 15], y: [-0.6, 4.6], label: say("sums"), width: 400, height: 175, xTicks: [], yTicks: [], left: 8 });
  const shapes = () => [w.get("left"), w.get("vector") ? w.get("right").slice(1) : w.get("right")];
  const state = () => added(...shapes(), w.get("entry"));
  const handle = plot.handle({
    label: say("sum"),
    move: ([u, v]) => state().result && w.set({ entry: inside([4 - v, u - 11], state().result) }),
    nudge: ([du, dv]) => state().result && w.set({ entry: inside([state().at[0] - dv, state().at[1] + du], state().result) }),
  });
  const size = (name, k, label) =>
    kit.range({ label: say(label), min: 1, max: 4, step: 1, get: () => w.get(name)[k], set: value => w.set({ [name]: w.get(name).map((old, j) => (j === k ? value : old)) }) });
  const controls = [
    size("left", 0, "rows"), size("left", 1, "columns"), size("right", 0, "rows2"), size("right", 1, "columns2"),
    kit.checkbox({ label: say("vector"), get: () => w.get("vector"), set: vector => w.set({ vector }) }),
  ];
  const element = kit.html("div", { class: "row" },
    kit.html("div", { class: "grow" }, plot.element),
    kit.html("div", { class: "grow" }, ...controls.map(each => each.element)),
  );
  const table = (shape, from, value, look) => {
    const [rows, columns] = shape.length === 1 ? [1, shape[0]] : shape;
    for (let r = 0; r < rows; r += 1) {
      for (let c = 0; c < columns; c += 1) square(plot, from + c, 4 - r, value(r, c), look(r * columns + c));
    }
  };
  return {
    element,
    draw: () => {
      const [left, right] = shapes();
      const now = state();
      plot.clear();
      table(left, 0, (r, c) => 10 * (r * left[1] + c + 1), k => ({ part: now.result !== null && k === now.places[0] }));
      plot.text(4.4, 4, "+", { anchor: "middle", dy: 4 });
      table(right, 5.5, (r, c) => (right.length === 1 ? 0 : r * right[1]) + c + 1, k => ({ part: now.result !== null && k === now.places[1] }));
      plot.text(9.9, 4, "=", { anchor: "middle", dy: 4 });
      for (const control of controls) control.draw();
      if (now.result === null) {
        plot.text(11, 4, "?", { dy: 4 });
        handle.draw([11, 4], "–");
        return say("clash", { left: list(left), right: list(right), axis: now.axis, m: now.sizes[0], n: now.sizes[1] });
      }
      table(now.result, 11, (r, c) => added(left, right, [r, c]).parts.reduce((a, b) => a + b), k => ({ chosen: k === now.at[0] * now.result[1] + now.at[1] }));
      handle.draw([11 + now.at[1], 4 - now.at[0]], bracket(now.at));
      const [a, b] = now.parts;
      plot.text(11, 0, `${a} + ${b} = ${a + b}`, { dx: -8, dy: 4 }); // the handle covers the chosen square
      const [first, second] = now.strides.map(list);
      const read = say("fits", { left: list(left), right: list(right), result: list(now.result), entry: bracket(now.at), a, b, total: a + b, first, second });
      plot.describe(`${say("sums")}. ${read}`);
      return read;
    },
  };
}

function build(w) {
  const say = w.say;
  const parts = { storage: storagePart(w), broadcast: broadcastPart(w) };
  const mode = kit.select({ label: say("mode"), options: Object.keys(parts).map(name => [name, say(name)]), get: () => w.get("mode"), set: name => w.set({ mode: name }) });
  const live = kit.live();
  const stage = kit.html("div", {});
  w.root.append(kit.html("div", { class: "buttons" }, mode.element), stage, live.element, kit.html("div", {}, say("how")));
  return () => {
    const part = parts[w.get("mode")];
    if (stage.firstChild !== part.element) stage.replaceChildren(part.element);
    mode.draw();
    live.say(part.draw());
  };
}

export default { render: view => kit.mount(view, { defaults: DEFAULTS, strings: STRINGS, build }) };
