// Linear-map explorer (chapter 01): drag where the basis vectors and the origin go, see the letter F move and the matrix change.
import * as kit from "./kit.mjs";
import * as tensors from "./tensors.mjs";

export const DEFAULTS = { e1: [1, 0], e2: [0, 1], shift: [0, 0] };

export const STRINGS = {
  en: {
    title: "Linear-map explorer",
    plane: "The letter F before (dotted) and after the map; arrows show where the basis vectors go",
    one: "(1, 0): move where it goes", two: "(0, 1): move where it goes", origin: "Origin: move where it goes",
    start: "Nothing", turned: "Turn by 30°", mirrored: "Deck A's “rotation”", shifted: "Shift", flattened: "Projection",
    matrix: "The matrix, for rows (x, y, 1)", row: "row", third: "1",
    identity: "nothing changes", turn: "a turn by {angle}°", mirror: "a mirror", projection: "a projection: the plane becomes a line", point: "everything becomes one point", other: "the F is stretched or sheared", flipped: "mirrored, and stretched or sheared",
    read: "W = {w}, b = {b}. det W = {det}: {kind}.",
    gap: "f(u+v) − f(u) − f(v) = {gap}: {verdict}.",
    linear: "linear", affine: "not linear, because the origin moves; with a 1 at the end of each point one matrix does it",
    how: "Drag the three handles, or use Tab and the arrow keys (with Shift, five times as far).",
  },
  zh: {
    title: "线性映射浏览器",
    plane: "字母 F 映射前（点线）和映射后；箭头表示基向量的去向",
    one: "(1, 0)：移动它的去向", two: "(0, 1)：移动它的去向", origin: "原点：移动它的去向",
    start: "不变", turned: "旋转 30°", mirrored: "课件 A 的“旋转”", shifted: "平移", flattened: "投影",
    matrix: "矩阵，用于行 (x, y, 1)", row: "行", third: "1",
    identity: "什么都不变", turn: "旋转 {angle}°", mirror: "镜像", projection: "投影：平面变成一条线", point: "一切变成一个点", other: "F 被拉伸或剪切", flipped: "镜像，并且拉伸或剪切",
    read: "W = {w}，b = {b}。det W = {det}：{kind}。",
    gap: "f(u+v) − f(u) − f(v) = {gap}：{verdict}。",
    linear: "线性", affine: "不是线性的，因为原点动了；给每个点末尾加一个 1，一个矩阵就能做到",
    how: "拖动三个手柄，或用 Tab 键和方向键（按住 Shift 走五倍）。",
  },
};

// ---- mathematics ------------------------------------------------------------------------------------------------------

export const LETTER = [[0, 0], [0, 1], [0.6, 1], [0.6, 0.8], [0.2, 0.8], [0.2, 0.6], [0.5, 0.6], [0.5, 0.4], [0.2, 0.4], [0.2, 0], [0, 0]];

/** What the linear part does, by its key among the texts, and the angle of a turn in degrees. Tolerant: handles round to 0.01. */
export function kind(e1, e2) {
  const near = (a, b) => Math.abs(a - b) <= 0.011;
  const det = tensors.determinant(tensors.homogeneous(e1, e2, [0, 0]));
  const angle = (Math.atan2(e1[1], e1[0]) * 180) / Math.PI;
  if ([...e1, ...e2].every(value => value === 0)) return { kind: "point", angle };
  if (near(det, 0)) return { kind: "projection", angle };
  const square = near(Math.hypot(...e1), 1) && near(Math.hypot(...e2), 1) && near(e1[0] * e2[0] + e1[1] * e2[1], 0);
  if (!square) return { kind: det > 0 ? "other" : "flipped", angle };
  if (det < 0) return { kind: "mirror", angle };
  return { kind: near(e1[1], 0) && e1[0] > 0 ? "identity" : "turn", angle };
}

// ---- picture ----------------------------------------------------------------------------------------------------------

const PRESETS = {
  start: DEFAULTS,
  turned: { e1: [0.866, 0.5], e2: [-0.5, 0.866], shift: [0, 0] },
  mirrored: { e1: [1, 0], e2: [0, -1], shift: [0, 0] },
  shifted: { e1: [1, 0], e2: [0, 1], shift: [0.5, 0] },
  flattened: { e1: [1, 0], e2: [0, 0], shift: [0, 0] },
};
const U = [0.3, 0.8];
const V = [-0.5, 0.1];

function build(w) {
  const say = w.say;
  const plane = kit.plot({ x: [-2, 2], y: [-2, 2], label: say("plane"), xLabel: "x", yLabel: "y", width: 380, height: 380 });
  const put = (name, value) => w.set({ [name]: value.map(each => kit.snap(kit.clamp(each, -2, 2), 0.01)) });
  const from = point => point.map((each, k) => each - w.get("shift")[k]);
  const handles = { // those made last lie on top: a basis vector that is 0 can be pulled out of the origin
    shift: plane.handle({ label: say("origin"), colour: kit.COLOURS.vermilion, move: point => put("shift", point), nudge: d => put("shift", w.get("shift").map((old, k) => old + 0.1 * d[k])) }),
    e1: plane.handle({ label: say("one"), colour: kit.COLOURS.blue, move: point => put("e1", from(point)), nudge: d => put("e1", w.get("e1").map((old, k) => old + 0.1 * d[k])) }),
    e2: plane.handle({ label: say("two"), colour: kit.COLOURS.green, move: point => put("e2", from(point)), nudge: d => put("e2", w.get("e2").map((old, k) => old + 0.1 * d[k])) }),
  };
  const number = (label, name, k) =>
    kit.range({ label, min: -2, max: 2, step: 0.05, get: () => w.get(name)[k], set: value => put(name, w.get(name).map((old, j) => (j === k ? value : old))) });
  const controls = [
    number("W[0,0]", "e1", 0), number("W[0,1]", "e1", 1), number("W[1,0]", "e2", 0), number("W[1,1]", "e2", 1),
    number("b[0]", "shift", 0), number("b[1]", "shift", 1),
  ];
  const table = kit.table(say("matrix"), [say("row"), "x", "y", say("third")]);
  const live = kit.live();
  w.root.append(
    kit.html("div", { class: "buttons" }, ...Object.keys(PRESETS).map(name => kit.button(say(name), () => w.set(PRESETS[name])))),
    kit.html("div", { class: "row" },
      kit.html("div", { class: "grow" }, plane.element),
      kit.html("div", { class: "grow" }, ...controls.map(each => each.element), table.element, live.element),
    ),
    kit.html("div", {}, say("how")),
  );

  return () => {
    const [e1, e2, shift] = ["e1", "e2", "shift"].map(w.get);
    const matrix = tensors.homogeneous(e1, e2, shift);
    const tips = tensors.move([[1, 0], [0, 1]], matrix);
    plane.clear();
    plane.line(LETTER, { dash: "2 4" });
    plane.line(tensors.move(LETTER, matrix), { colour: kit.COLOURS.vermilion, width: 2.5 });
    plane.arrow(shift, tips[0], { colour: kit.COLOURS.blue });
    plane.arrow(shift, tips[1], { colour: kit.COLOURS.green, dash: "6 3" });
    plane.text(...tips[0], "(1, 0)", { dx: 12, dy: 16 });
    plane.text(...tips[1], "(0, 1)", { dx: 12, dy: -9 });
    handles.shift.draw(shift, kit.tuple(shift));
    handles.e1.draw(tips[0], kit.tuple(e1));
    handles.e2.draw(tips[1], kit.tuple(e2));
    for (const control of controls) control.draw();
    table.draw(matrix.map((row, k) => [["x", "y", "1"][k], ...row.map(each => kit.number(each))]));
    const found = kind(e1, e2);
    const gap = tensors.additivityGap(matrix, U, V).map(each => kit.snap(each, 0.0001));
    const read = say("read", {
      w: `${kit.tuple(e1)}, ${kit.tuple(e2)}`, b: kit.tuple(shift), det: kit.number(kit.snap(tensors.determinant(matrix), 0.0001)),
      kind: say(found.kind, { angle: kit.number(found.angle, 0) }),
    });
    const verdict = say(gap.every(each => each === 0) ? "linear" : "affine");
    live.say(`${read} ${say("gap", { gap: kit.tuple(gap), verdict })}`);
    plane.describe(`${say("plane")}. ${read}`);
  };
}

export default { render: view => kit.mount(view, { defaults: DEFAULTS, strings: STRINGS, build }) };
