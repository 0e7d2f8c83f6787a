// Graph stepper (chapters 05 and 06): deck E's 2-2-1 network, node by node, values forwards and gradients backwards.
import * as kit from "./kit.mjs";
import * as backpropagation from "./backpropagation.mjs";
import * as layers from "./hidden_layers.mjs";

export const DEFAULTS = { bend: "relu", weights: [1, -6, -4, 3, 6, 4, 5, 2, 4], x: [1, 0], target: 1, rate: 1, step: 0 };

export const STRINGS = {
  en: {
    title: "Forwards and backwards through a 2-2-1 network",
    bend: "All units", relu: "ReLU", sigmoid: "sigmoid", input: "Input", rate: "η",
    next: "Next node", back: "Back", turn: "To the loss", end: "To the end", learn: "Change the weights", again: "Start again",
    picture: "The network as a graph: values as they get known, then gradients",
    unit: "unit", loss: "loss",
    table: "The nine weights", weight: "w", value: "value", begins: "from: u", ends: "to: δ", change: "Δw",
    start: "Nothing is known yet but x = {x}, the target {target} and the weights. Which node can be computed first?",
    forward: "Forward {i} of 7:", backward: "Backward {i} of 6:", changes: "Changes {i} of 3:",
    after: "All nine change at once; the loss goes from {before} to {loss}.",
    dead: "The gradient stops at unit {unit}: its slope is 0.",
  },
  zh: {
    title: "2-2-1 网络：向前与向后",
    bend: "所有单元", relu: "ReLU", sigmoid: "sigmoid", input: "输入", rate: "η",
    next: "下一个节点", back: "后退", turn: "到损失", end: "到最后", learn: "更新权重", again: "重新开始",
    picture: "网络的计算图：先逐个得到值，再逐个得到梯度",
    unit: "单元", loss: "损失",
    table: "九个权重", weight: "w", value: "值", begins: "起点 u", ends: "终点 δ", change: "Δw",
    start: "现在只知道 x = {x}、目标 {target} 和权重。哪个节点可以先算？",
    forward: "前向，第 {i} 步，共 7 步：", backward: "反向，第 {i} 步，共 6 步：", changes: "更新，第 {i} 步，共 3 步：",
    after: "九个权重同时更新；损失从 {before} 变为 {loss}。",
    dead: "梯度在单元 {unit} 处中断：它的导数是 0。",
  },
};

// ---- mathematics ------------------------------------------------------------------------------------------------------

export const KEYS = ["w03", "w04", "w05", "w13", "w14", "w23", "w24", "w35", "w45"];
/** The nodes in the order in which they get known; "grad_u5" is ∂loss/∂u₅, "delta5" is ∂loss/∂net₅. */
export const STEPS = [
  "net3", "u3", "net4", "u4", "net5", "u5", "loss",
  "grad_u5", "delta5", "grad_u3", "delta3", "grad_u4", "delta4",
  "change5", "change3", "change4",
];

function named(weights) {
  return Object.fromEntries(KEYS.map((key, i) => [key, weights[i]]));
}

/** Every number of the graph by its name, the slopes g′(net) as "slope5" and the nine changes as "w35" included. */
export function numbers({ bend, weights, x, target, rate }) {
  const w = named(weights);
  const { net, u, loss, delta, change } = backpropagation.workedExample(w, x, target, bend, rate);
  const found = { loss, grad_u5: u[2] - target, grad_u3: delta[2] * w.w35, grad_u4: delta[2] * w.w45, ...change };
  [3, 4, 5].forEach((unit, i) => {
    Object.assign(found, { [`net${unit}`]: net[i], [`u${unit}`]: u[i], [`delta${unit}`]: delta[i] });
    found[`slope${unit}`] = layers.activationDerivative(bend, net[i]);
  });
  return found;
}

/** The weights after one learning step. */
export function learned(net) {
  const found = numbers(net);
  return net.weights.map((weight, i) => weight + found[KEYS[i]]);
}

// ---- picture ----------------------------------------------------------------------------------------------------------

const INPUTS = { "0,0": 0, "0,1": 1, "1,0": 1, "1,1": 0 }; // with the target that XOR asks for
const BOXES = {
  x1: [2, 36, 44, 26], x2: [2, 208, 44, 26],
  3: [90, 4, 120, 90], 4: [90, 176, 120, 90], 5: [258, 64, 120, 90], loss: [258, 208, 120, 42],
};
const EDGES = [["x1", "3"], ["x1", "4"], ["x2", "3"], ["x2", "4"], ["3", "5"], ["4", "5"]];
const OF_BOX = Object.fromEntries(["3", "4", "5"].map(unit => [unit, ["net", "u", "grad_u", "delta"].map(kind => `${kind}${unit}`)]));
const SMALL = text => text.replace(/\d/g, digit => "₀₁₂₃₄₅₆₇₈₉"[digit]);

/** "w₁₃", "∂L/∂u₅": a number's name as people write it. */
function symbol(name) {
  const [, kind, digits] = name.match(/^([a-z_]+?)(\d*)$/);
  return ({ loss: "L", grad_u: "∂L/∂u", delta: "δ" }[kind] ?? kind) + SMALL(digits);
}

/** The sum or product behind a step, in symbols, in numbers, and its value. */
function equation(step, w, x, target, rate, found) {
  const show = value => kit.number(value, 6);
  const inside = value => (value < 0 ? `(${show(value)})` : show(value));
  const says = { 0: 1, 1: x[0], 2: x[1], 3: found.u3, 4: found.u4 };
  const unit = step.at(-1);
  const into = unit === "5" ? [3, 4] : [1, 2];
  const from = i => (i > 2 ? SMALL(`u${i}`) : SMALL(`x${i}`));
  if (step.startsWith("net")) {
    const names = into.map(i => `${symbol(`w${i}${unit}`)}·${from(i)}`).join(" + ");
    const values = into.map(i => `${inside(w[`w${i}${unit}`])}·${inside(says[i])}`).join(" + ");
    return `${symbol(step)} = ${symbol(`w0${unit}`)} + ${names} = ${show(w[`w0${unit}`])} + ${values} = ${show(found[step])}`;
  }
  if (step.startsWith("u")) return `${symbol(step)} = g(${symbol(`net${unit}`)}) = g(${show(found[`net${unit}`])}) = ${show(found[step])}`;
  if (step === "loss") return `L = ½(t − u₅)² = ½(${show(target)} − ${inside(found.u5)})² = ${show(found.loss)}`;
  if (step === "grad_u5") return `∂L/∂u₅ = u₅ − t = ${show(found.u5)} − ${inside(target)} = ${show(found.grad_u5)}`;
  if (step.startsWith("grad_u")) {
    return `${symbol(step)} = δ₅·${symbol(`w${unit}5`)} = ${show(found.delta5)}·${inside(w[`w${unit}5`])} = ${show(found[step])}`;
  }
  if (step.startsWith("delta")) {
    const slope = found[`slope${unit}`];
    return `${symbol(step)} = ${symbol(`grad_u${unit}`)}·g′(${symbol(`net${unit}`)}) = ${show(found[`grad_u${unit}`])}·${inside(slope)} = ${show(found[step])}`;
  }
  return [0, ...into].map(i => `Δ${symbol(`w${i}${unit}`)} = −${show(rate)}·${inside(found[`delta${unit}`])}·${inside(says[i])} = ${show(found[`w${i}${unit}`])}`).join("; ");
}

function build(w) {
  const say = w.say;
  const net = () => ({ ...Object.fromEntries(Object.keys(DEFAULTS).map(name => [name, w.get(name)])) });
  const go = step => w.set({ step: kit.clamp(step, 0, STEPS.length) });
  const marks = kit.svg("g", { role: "img", "aria-label": say("picture") });
  const picture = kit.svg("svg", { class: "plot", viewBox: "0 0 380 270", role: "group", "aria-label": say("picture") }, marks);
  const bend = kit.select({
    label: say("bend"), options: ["relu", "sigmoid"].map(name => [name, say(name)]),
    get: () => w.get("bend"), set: name => w.set({ bend: name }),
  });
  const input = kit.select({
    label: say("input"), options: Object.entries(INPUTS).map(([x, t]) => [x, `x = (${x.replace(",", ", ")}), t = ${t}`]),
    get: () => w.get("x").join(), set: x => w.set({ x: x.split(",").map(Number), target: INPUTS[x] }),
  });
  const rate = kit.range({ label: say("rate"), min: 0.01, max: 2, step: 0.01, get: () => w.get("rate"), set: value => w.set({ rate: value }) });
  const next = kit.button(say("next"), () => go(w.get("step") + 1));
  const back = kit.button(say("back"), () => go(w.get("step") - 1));
  const turn = kit.button(say("turn"), () => go(STEPS.indexOf("loss") + 1));
  const end = kit.button(say("end"), () => go(STEPS.length));
  const learn = kit.button(say("learn"), () => w.set({ weights: learned(net()), step: 0 }));
  const again = kit.button(say("again"), () => w.set({ weights: DEFAULTS.weights, step: 0 }));
  const live = kit.live();
  const table = kit.table(say("table"), ["weight", "value", "begins", "ends", "change"].map(key => say(key)));
  w.root.append(
    kit.html("div", { class: "buttons" }, bend.element, input.element),
    kit.html("div", { class: "row" },
      kit.html("div", { class: "grow" }, picture, kit.html("div", { class: "buttons" }, next, back, turn, end), live.element),
      kit.html("div", { class: "grow", style: "flex-basis: 24rem" }, table.element, rate.element, kit.html("div", { class: "buttons" }, learn, again)),
    ),
  );

  /** A click on a box goes to its next number. */
  const ahead = names => {
    const places = names.map(name => STEPS.indexOf(name) + 1);
    go(places.find(place => place > w.get("step")) ?? places[0]);
  };
  const box = (name, lines, steps, now) => {
    const [left, top, width, height] = BOXES[name];
    const here = steps.includes(now);
    const look = { fill: here ? kit.COLOURS.sky : "var(--w-paper)", "fill-opacity": here ? 0.35 : 1, stroke: "var(--w-ink)", "stroke-width": here ? 3 : 1.2 };
    const group = kit.svg("g", { style: steps.length ? "cursor: pointer" : "" }, kit.svg("rect", { x: left, y: top, width, height, rx: 5, ...look }));
    lines.forEach(([key, value, stress], i) => {
      const y = top + 16 + 16.5 * i;
      const weight = stress ? { "font-weight": "bold" } : {};
      group.append(kit.svg("text", { x: left + 5, y, ...weight }, key), kit.svg("text", { x: left + width - 5, y, "text-anchor": "end", ...weight }, value));
    });
    if (steps.length) group.addEventListener("click", () => ahead(steps));
    marks.append(group);
  };

  return () => {
    const state = net();
    const { bend: name, x, target, rate: eta } = state;
    const step = kit.clamp(state.step, 0, STEPS.length);
    const weights = named(state.weights);
    const found = numbers(state);
    const now = STEPS[step - 1];
    const known = key => STEPS.indexOf(key) < step;
    const show = (key, digits = 6) => (known(key) ? kit.number(found[key], digits) : "?");
    const backwards = step > STEPS.indexOf("loss") + 1;
    marks.replaceChildren();
    for (const [from, to] of [...EDGES, ["5", "loss"]]) {
      const [left, top, width, height] = BOXES[from];
      const [x0, y0] = to === "loss" ? [left + width / 2, top + height] : [left + width, top + height / 2];
      const [x1, y1] = to === "loss" ? [BOXES.loss[0] + BOXES.loss[2] / 2, BOXES.loss[1]] : [BOXES[to][0], BOXES[to][1] + BOXES[to][3] / 2];
      const used = to === "loss" ? known("loss") : known(`net${to}`);
      const returned = backwards && (to === "loss" ? known("grad_u5") : known(from.startsWith("x") ? `change${to}` : `grad_u${from}`));
      const stroke = returned ? kit.COLOURS.vermilion : used ? kit.COLOURS.blue : "var(--w-ink)";
      marks.append(kit.svg("line", { x1: x0, y1: y0, x2: x1, y2: y1, stroke, "stroke-width": used ? 2.5 : 1.2, "stroke-dasharray": returned ? "6 3" : null }));
      if (to === "loss") continue;
      const at = from === "x2" || from === "4" ? 0.28 : 0.3;
      const text = kit.number(weights[`w${from.at(-1)}${to}`]);
      marks.append(kit.svg("text", { class: "halo", x: x0 + at * (x1 - x0) + 3, y: y0 + at * (y1 - y0) - 4, "text-anchor": "middle" }, text));
    }
    box("x1", [["x₁", kit.number(x[0])]], [], now);
    box("x2", [["x₂", kit.number(x[1])]], [], now);
    for (const unit of ["3", "4", "5"]) {
      const bias = [`${say("unit")} ${unit}`, `${symbol(`w0${unit}`)} ${kit.number(weights[`w0${unit}`])}`];
      box(unit, [bias, ...OF_BOX[unit].map(key => [symbol(key), show(key), key === now])], [...OF_BOX[unit], `change${unit}`], now);
    }
    box("loss", [[`${say("loss")} L`, show("loss"), now === "loss"], ["t", kit.number(target)]], ["loss"], now);
    for (const control of [bend, input, rate]) control.draw();
    kit.enable(next, step < STEPS.length);
    kit.enable(back, step > 0);
    kit.enable(turn, step !== STEPS.indexOf("loss") + 1);
    kit.enable(end, step < STEPS.length);
    kit.enable(learn, step === STEPS.length);
    table.draw(KEYS.map(key => {
      const [begins, ends] = [key[1], key[2]];
      const u = begins === "0" ? "1" : begins < "3" ? kit.number(x[begins - 1]) : show(`u${begins}`);
      return [symbol(key), kit.number(weights[key], 6), u, show(`delta${ends}`), known(`change${ends}`) ? kit.number(found[key], 6) : "?"];
    }));
    const sentences = [];
    if (step === 0) sentences.push(say("start", { x: kit.tuple(x), target: kit.number(target) }));
    else {
      const part = step <= 7 ? ["forward", step] : step <= 13 ? ["backward", step - 7] : ["changes", step - 13];
      sentences.push(say(part[0], { i: part[1] }), `${equation(now, weights, x, target, eta, found)}.`);
    }
    if (now?.startsWith("delta") && found[`slope${now.at(-1)}`] === 0) sentences.push(say("dead", { unit: now.at(-1) }));
    if (step === STEPS.length) {
      const { loss } = numbers({ ...state, bend: name, weights: learned(state) });
      sentences.push(say("after", { before: kit.number(found.loss, 6), loss: kit.number(loss, 6) }));
    }
    live.say(sentences.join(" "));
    marks.setAttribute("aria-label", `${say("picture")}. ${STEPS.slice(0, step).filter(key => !key.startsWith("change")).map(key => `${symbol(key)} = ${kit.number(found[key], 6)}`).join("; ")}`);
  };
}

export default { render: view => kit.mount(view, { defaults: DEFAULTS, strings: STRINGS, build }) };
