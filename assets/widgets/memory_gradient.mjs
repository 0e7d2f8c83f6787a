// Memory and gradient (chapter 10): how much of a state arrives k words later, in an LSTM's cell and in a tanh network.
import * as kit from "./kit.mjs";
import * as lstm from "./lstm.mjs";
import * as recurrent from "./recurrent.mjs";
import * as optimisers from "./optimisers.mjs";

export const DEFAULTS = { bias: 1, radius: 1, length: 60, lag: 20 };

export const STRINGS = {
  en: {
    title: "Memory and gradient", bias: "Forget bias", radius: "Radius ρ", length: "Length", lag: "Lag k",
    picture: "Size of ∂state(T)/∂state(T − k): LSTM’s cell (solid, discs), tanh network (dashed, squares), forget gates alone (dotted)",
    handle: "Lag: read another one", x: "lag k", y: "size",
    both: "Forget bias {bias}: gates near {gate}. ρ = {radius}.",
    read: "Lag {lag}: LSTM {lstm}, forget gates alone {straight}, tanh network {rnn}.",
    more: "The LSTM’s gradient is {times} times as large.", less: "The tanh network’s gradient is {times} times as large.",
    steps: "A step: LSTM × {lstm}, tanh network × {rnn}.",
  },
  zh: {
    title: "记忆与梯度", bias: "遗忘门偏置", radius: "谱半径 ρ", length: "长度", lag: "间隔 k",
    picture: "∂状态(T)/∂状态(T − k) 的大小：LSTM 的细胞（实线，圆点）、tanh 网络（虚线，方块）、只算遗忘门（点线）",
    handle: "间隔：读另一处", x: "间隔 k", y: "大小",
    both: "遗忘门偏置 {bias}：门约为 {gate}。ρ = {radius}。",
    read: "间隔 {lag}：LSTM {lstm}，只算遗忘门 {straight}，tanh 网络 {rnn}。",
    more: "LSTM 的梯度是 {times} 倍大。", less: "tanh 网络的梯度是 {times} 倍大。",
    steps: "每步：LSTM × {lstm}，tanh 网络 × {rnn}。",
  },
};

// ---- mathematics ------------------------------------------------------------------------------------------------------

export const UNITS = 6; // of both networks
export const MOST = 100; // the longest text

/** Numbers as rows. */
function rowsOf(numbers, columns) {
  return Array.from({ length: numbers.length / columns }, (_, i) => numbers.slice(columns * i, columns * i + columns));
}

let fixed = null;

/** What is always the same: the words that both networks read, the LSTM's weights u and w, and the tanh network's at radius 1. */
export function drawn() {
  const draw = (count, seed, columns, scale) => rowsOf(optimisers.bells(count, seed).map(value => scale * value), columns);
  fixed ??= {
    words: draw(UNITS * (MOST + 1), 5, UNITS, 0.5),
    u: draw(4 * UNITS * UNITS, 11, 4 * UNITS, 0.5 / Math.sqrt(UNITS)),
    w: draw(4 * UNITS * UNITS, 12, 4 * UNITS, 0.5 / Math.sqrt(UNITS)),
    unit: recurrent.unitMatrix(UNITS, 3),
  };
  return fixed;
}

/** Sizes at each lag, lag 0 first, and the mean of all forget gates. */
export function curves(bias, radius, length) {
  const { words, u, w: own, unit } = drawn();
  const inputs = words.slice(0, length + 1);
  const b = Array.from({ length: 4 * UNITS }, (_, i) => (Math.floor(i / UNITS) === 1 ? bias : 0)); // of the forget gates only
  const steps = lstm.lstmForward(inputs, { u, w: own, b });
  const w = unit.map(row => row.map(value => value * radius));
  const gates = steps.flatMap(step => step.forget);
  return {
    lstm: lstm.cellGradients(steps, own),
    straight: lstm.forgetProducts(steps),
    rnn: lstm.stateGradients(recurrent.rnnForward(inputs, w), w),
    gate: gates.reduce((sum, gate) => sum + gate, 0) / gates.length,
  };
}

/** The factor of one step, on average over all. */
export function factor(sizes) {
  return sizes.at(-1) ** (1 / (sizes.length - 1));
}

// ---- picture ----------------------------------------------------------------------------------------------------------

const [LOW, HIGH] = [-18, 6];

function build(w) {
  const say = w.say;
  let [shownFor, made] = ["", null];
  const picture = kit.plot({
    x: [0, MOST], y: [LOW, HIGH], label: say("picture"), xLabel: say("x"), yLabel: say("y"), width: 420, height: 330, left: 54,
    xTicks: [0, 20, 40, 60, 80, 100], yTicks: [-18, -12, -6, 0, 6], yText: kit.powerOfTen,
  });
  const shown = () => kit.clamp(w.get("lag"), 0, w.get("length"));
  const go = lag => w.set({ lag: kit.clamp(Math.round(lag), 0, w.get("length")) });
  const handle = picture.handle({ label: say("handle"), colour: "var(--w-ink)", move: ([k]) => go(k), step: 1, horizontal: true });
  const range = (name, min, max, step, get = () => w.get(name), set = value => w.set({ [name]: value })) =>
    kit.range({ label: say(name), min, max, step, get, set });
  const controls = [range("bias", -2, 8, 0.5), range("radius", 0.5, 2, 0.05), range("length", 5, MOST, 1), range("lag", 0, MOST, 1, shown, go)];
  const live = kit.live();
  w.root.append(
    kit.html("div", { class: "row" },
      kit.html("div", { class: "grow" }, picture.element),
      kit.html("div", { class: "grow" }, ...controls.map(control => control.element), live.element, kit.html("p", {}, say("picture"))),
    ),
  );

  return () => {
    const [bias, radius, length] = ["bias", "radius", "length"].map(w.get);
    const key = [bias, radius, length].join();
    if (key !== shownFor) [shownFor, made] = [key, curves(bias, radius, length)];
    const k = shown();
    const points = sizes => sizes.map((value, lag) => [lag, Math.log10(value)]);
    const end = sizes => points(sizes).filter(([, size]) => size > LOW).at(-1); // where a curve leaves the picture
    picture.clear();
    picture.line(points(made.straight), { width: 2, dash: "1 4" });
    for (const [sizes, colour, dash, shape] of [
      [made.rnn, kit.COLOURS.vermilion, "6 4", "square"],
      [made.lstm, kit.COLOURS.blue, undefined, "disc"],
    ]) {
      picture.line(points(sizes), { colour, dash, width: 2.5 });
      for (const point of points(sizes)) if (point[0] % 10 === 0) picture.point(...point, { colour, shape, size: 4 });
    }
    const below = made.rnn.at(-1) < made.lstm.at(-1);
    for (const [sizes, name, up] of [[made.lstm, "LSTM", below], [made.rnn, "tanh", !below]]) {
      const [lag, size] = end(sizes);
      picture.text(lag, size, name, up ? { dx: 8, dy: -5 } : { anchor: "end", dx: -8, dy: size < LOW + 2 ? -5 : 16 });
    }
    picture.line([[k, LOW], [k, HIGH]], { width: 1, dash: "2 3" });
    for (const control of controls) control.draw();
    const [cell, state] = [made.lstm[k], made.rnn[k]];
    const both = say("both", { bias: kit.number(bias), gate: kit.number(made.gate), radius: kit.number(radius) });
    const one = say("read", { lag: k, lstm: kit.scientific(cell), straight: kit.scientific(made.straight[k]), rnn: kit.scientific(state) });
    const times = Math.max(cell, state) / Math.min(cell, state);
    const ratio = say(cell >= state ? "more" : "less", { times: times < 1000 ? kit.number(times, 1) : kit.scientific(times) });
    const steps = say("steps", { lstm: kit.number(factor(made.lstm), 3), rnn: kit.number(factor(made.rnn), 3) });
    live.say(`${both} ${one} ${ratio} ${steps}`);
    handle.draw([k, Math.log10(cell)], one);
    picture.describe(`${say("picture")}. ${one}`);
  };
}

export default { render: view => kit.mount(view, { defaults: DEFAULTS, strings: STRINGS, build }) };
