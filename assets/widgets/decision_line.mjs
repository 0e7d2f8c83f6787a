// Decision-line explorer (chapter 02): drag the weights and the bias of one unit and see what it says at the four corners.
import * as kit from "./kit.mjs";
import * as perceptron from "./perceptron.mjs";

export const DEFAULTS = { gate: "and", weights: [1, 1], bias: -1 };

export const STRINGS = {
  en: {
    title: "Decision-line explorer",
    gate: "Task",
    and: "AND", or: "OR", nand: "NAND", xor: "XOR",
    again: "Start again",
    plane: "The plane of the two inputs. Discs are corners with label 1, squares with label 0; the unit fires on the hatched side",
    line: "Line: move it",
    arrow: "Weights: turn the line",
    corner: "x", right: "right?", yes: "yes", no: "no",
    table: "What the unit says at each corner",
    count: "{right} of 4 corners right for {gate} with w = {w}, b = {b}.",
    room: "The nearest corner is {margin} away from the line.",
    on_line: "{corners} on the line: z = 0, and the unit is silent.",
    flat: "All weights are 0: there is no line, and the unit says {answer} everywhere.",
    best: "Most so far: {best} of 4.",
    how: "Drag the two handles, or use Tab and the arrow keys (with Shift, five times as far).",
  },
  zh: {
    title: "决策直线",
    gate: "任务",
    and: "与 (AND)", or: "或 (OR)", nand: "与非 (NAND)", xor: "异或 (XOR)",
    again: "重新开始",
    plane: "两个输入构成的平面。圆点的标签为 1，方块的标签为 0；单元在阴影一侧激活",
    line: "直线：移动",
    arrow: "权重：转动直线",
    corner: "x", right: "正确？", yes: "是", no: "否",
    table: "单元在每个角上的输出",
    count: "{gate}：w = {w}，b = {b} 时，4 个角中有 {right} 个正确。",
    room: "最近的角到直线的距离是 {margin}。",
    on_line: "{corners} 在直线上：z = 0，单元不激活。",
    flat: "权重全为 0：没有直线，单元处处输出 {answer}。",
    best: "目前最多：4 个中的 {best} 个。",
    how: "拖动两个手柄，或用 Tab 键和方向键（按住 Shift 走五倍）。",
  },
};

// ---- mathematics ------------------------------------------------------------------------------------------------------

export const CORNERS = [[0, 0], [0, 1], [1, 0], [1, 1]];
export const LABELS = { and: [0, 0, 0, 1], or: [0, 1, 1, 1], nand: [1, 1, 1, 0], xor: [0, 1, 1, 0] };

/** Scores, decisions, how many are right, and the margin, for a gate. */
export function judge(gate, w, b) {
  const y = LABELS[gate];
  const z = CORNERS.map(x => perceptron.score(x, w, b));
  const yHat = perceptron.thresholdUnit(CORNERS, w, b);
  return { z, yHat, right: yHat.filter((value, i) => value === y[i]).length, margin: perceptron.geometricMargin(CORNERS, y, w, b) };
}

// ---- picture ----------------------------------------------------------------------------------------------------------

function build(w) {
  const best = {};
  const say = w.say;
  const plane = kit.plot({ x: [-1, 2], y: [-1, 2], label: say("plane"), xLabel: "x₁", yLabel: "x₂" });
  const line = kit.draggableLine(plane, {
    get: () => ({ w: w.get("weights"), b: w.get("bias") }),
    set: ({ w: weights, b: bias }) => w.set({ weights, bias }),
    names: { line: say("line"), arrow: say("arrow") },
    colour: "var(--w-ink)",
    centre: [0.5, 0.5],
  });
  const gate = kit.select({
    label: say("gate"),
    options: Object.keys(LABELS).map(name => [name, say(name)]),
    get: () => w.get("gate"),
    set: name => w.set({ gate: name }),
  });
  const weight = i => kit.range({
    label: `w${"₁₂"[i]}`, min: -5, max: 5, step: 0.25,
    get: () => w.get("weights")[i],
    set: value => w.set({ weights: w.get("weights").map((old, j) => (j === i ? value : old)) }),
  });
  const bias = kit.range({ label: "b", min: -5, max: 5, step: 0.25, get: () => w.get("bias"), set: value => w.set({ bias: value }) });
  const controls = [gate, weight(0), weight(1), bias];
  const table = kit.table(say("table"), [say("corner"), "z", "ŷ", "y", say("right")]);
  const live = kit.live();
  const again = kit.button(say("again"), () => w.set({ weights: DEFAULTS.weights, bias: DEFAULTS.bias }));
  w.root.append(
    kit.html("div", { class: "row" },
      kit.html("div", { class: "grow" }, plane.element, live.element),
      kit.html("div", { class: "grow" },
        kit.html("div", { class: "buttons" }, gate.element, again),
        ...controls.slice(1).map(control => control.element),
        table.element,
      ),
    ),
    kit.html("div", {}, say("how")),
  );

  return () => {
    const [name, weights, b] = [w.get("gate"), w.get("weights"), w.get("bias")];
    const y = LABELS[name];
    const { z, yHat, right, margin } = judge(name, weights, b);
    best[name] = Math.max(best[name] ?? 0, right);
    plane.clear();
    plane.halfPlane(weights, b);
    line.draw();
    CORNERS.forEach(([u, v], i) => {
      plane.point(u, v, y[i] ? {} : { shape: "square", colour: kit.COLOURS.vermilion, open: true });
      if (yHat[i] !== y[i]) plane.ring(u, v, { dash: "3 3" });
      plane.text(u, v, yHat[i] === y[i] ? "✓" : "✗", { dx: 12, dy: -9 });
    });
    for (const control of controls) control.draw();
    table.draw(CORNERS.map((x, i) => [kit.tuple(x), kit.number(z[i]), yHat[i], y[i], yHat[i] === y[i] ? say("yes") : say("no")]));
    const sentences = [say("count", { right, gate: say(name), w: kit.tuple(weights), b: kit.number(b) })];
    const touching = CORNERS.filter((_, i) => z[i] === 0);
    if (weights.every(value => value === 0)) sentences.push(say("flat", { answer: yHat[0] }));
    else if (touching.length) sentences.push(say("on_line", { corners: touching.map(x => kit.tuple(x)).join(", ") }));
    else if (right === 4) sentences.push(say("room", { margin: kit.number(margin, 3) }));
    if (right < best[name]) sentences.push(say("best", { best: best[name] }));
    live.say(sentences.join(" "));
    plane.describe(`${say("plane")}. ${sentences[0]}`);
  };
}

export default { render: view => kit.mount(view, { defaults: DEFAULTS, strings: STRINGS, build }) };
