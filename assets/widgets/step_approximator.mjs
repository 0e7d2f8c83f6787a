// Step approximator (chapter 03): steep sigmoids, added up, draw stairs along a curve.
import * as kit from "./kit.mjs";
import * as layers from "./hidden_layers.mjs";

export const DEFAULTS = { curve: "wave", units: 8, tolerance: 0.01, unit: 3 };

export const STRINGS = {
  en: {
    title: "Step approximator",
    curve: "Curve", wave: "wave sin(2πt)", hill: "hill", corner: "corner |2t − 1|", jump: "jump at ½",
    units: "Hidden units", tolerance: "Tolerance", unit: "Unit",
    picture: "The curve (thin), the sum of all hidden units (thick) and one unit's own step (dashed)",
    handle: "Unit: go to another one",
    errors: "Largest error against the number of hidden units, both axes doubling",
    error: "largest error",
    legend_curve: "curve", legend_sum: "network", legend_unit: "one unit",
    result: "{units} hidden units: largest error {error}, at t = {t}. {twice} units: {half}.",
    one: "Unit {unit}: σ({w}·t {b}) steps at t = {t}, output weight {height}.",
  },
  zh: {
    title: "阶梯逼近",
    curve: "曲线", wave: "波 sin(2πt)", hill: "山丘", corner: "尖角 |2t − 1|", jump: "在 ½ 处跳跃",
    units: "隐层单元", tolerance: "容差", unit: "单元",
    picture: "曲线（细线）、所有隐层单元之和（粗线）和一个单元自己的台阶（虚线）",
    handle: "单元：换一个",
    errors: "最大误差随隐层单元数的变化，两轴都逐格加倍",
    error: "最大误差",
    legend_curve: "曲线", legend_sum: "网络", legend_unit: "一个单元",
    result: "{units} 个隐层单元：最大误差 {error}，在 t = {t} 处。{twice} 个单元：{half}。",
    one: "单元 {unit}：σ({w}·t {b}) 在 t = {t} 处跳变，输出权重 {height}。",
  },
};

// ---- mathematics ------------------------------------------------------------------------------------------------------

/** The height of a curve, by name, at t from 0 to 1. */
export function height(curve, t) {
  switch (curve) {
    case "wave": return Math.sin(2 * Math.PI * t);
    case "hill": return Math.exp(-((6 * t - 3) ** 2));
    case "corner": return Math.abs(2 * t - 1);
    case "jump": return t > 0.5 ? 1 : 0;
    default: throw new Error(`no curve is called ${curve}`);
  }
}

/** The network for a curve whose points lie at equal distances on [0, 1]: {w1, b1, w2, b2}. */
export function network(curve, units, tolerance) {
  const x = Array.from({ length: units + 1 }, (_, i) => i / units);
  return layers.stepApproximator(x, x.map(t => height(curve, t)), tolerance);
}

/** What the network says at t. */
export function output({ w1, b1, w2, b2 }, t) {
  return w1.reduce((sum, w, j) => sum + w2[j] * layers.stableSigmoid(w * t + b1[j]), b2);
}

/** The largest error at 1001 places from 0 to 1, and the first place that has it: {error, t}. */
export function largestError(curve, net) {
  let worst = { error: -1, t: 0 };
  for (const t of PLACES) {
    const error = Math.abs(output(net, t) - height(curve, t));
    if (error > worst.error + 1e-12) worst = { error, t }; // of equal ones the first, whatever the last digit of a sine is
  }
  return worst;
}

const PLACES = Array.from({ length: 1001 }, (_, i) => i / 1000);

// ---- picture ----------------------------------------------------------------------------------------------------------

const DRAWN = PLACES.filter((_, i) => i % 2 === 0); // enough for 64 stairs
const SIZES = [1, 2, 4, 8, 16, 32, 64, 128];
const errors = new Map(); // they take a few milliseconds, and most redraws change neither curve nor tolerance

function errorOf(curve, units, tolerance) {
  const key = [curve, units, tolerance].join();
  if (!errors.has(key)) errors.set(key, largestError(curve, network(curve, units, tolerance)));
  return errors.get(key);
}

function build(w) {
  const say = w.say;
  const most = 64;
  const picture = kit.plot({ x: [0, 1], y: [-1.4, 1.4], label: say("picture"), xLabel: "t", width: 400, height: 300 });
  const fall = kit.plot({
    x: [0, 7], y: [-7, 1], label: say("errors"), xLabel: say("units"), yLabel: say("error"), width: 360, height: 300, left: 52,
    xTicks: [0, 1, 2, 3, 4, 5, 6, 7], yTicks: [-6, -4, -2, 0], xText: i => String(2 ** i), yText: i => (i < 0 ? `1/${2 ** -i}` : String(2 ** i)),
  });
  const shown = () => kit.clamp(w.get("unit"), 1, w.get("units"));
  const go = unit => w.set({ unit: kit.clamp(unit, 1, w.get("units")) });
  const handle = picture.handle({
    label: say("handle"), colour: kit.COLOURS.green, horizontal: true,
    move: ([t]) => go(Math.round(t * w.get("units") + 0.5)),
    nudge: ([du]) => go(shown() + du),
  });
  const units = kit.range({
    label: say("units"), min: 1, max: most, step: 1, get: () => w.get("units"),
    set: value => w.set({ units: value, unit: Math.min(w.get("unit"), value) }),
  });
  const controls = [
    kit.select({
      label: say("curve"), options: ["wave", "hill", "corner", "jump"].map(name => [name, say(name)]),
      get: () => w.get("curve"), set: curve => w.set({ curve }),
    }),
    units,
    kit.range({ label: say("tolerance"), min: 0.01, max: 1, step: 0.01, get: () => w.get("tolerance"), set: tolerance => w.set({ tolerance }) }),
    kit.range({ label: say("unit"), min: 1, max: most, step: 1, get: shown, set: go }),
  ];
  const live = kit.live();
  w.root.append(
    kit.html("div", { class: "row" },
      kit.html("div", { class: "grow" }, picture.element, ...controls.map(control => control.element), live.element),
      kit.html("div", { class: "grow" }, fall.element),
    ),
  );

  return () => {
    const [curve, count, tolerance] = ["curve", "units", "tolerance"].map(w.get);
    const j = shown() - 1;
    const net = network(curve, count, tolerance);
    const at = -net.b1[j] / net.w1[j];
    const own = t => net.w2[j] * layers.stableSigmoid(net.w1[j] * t + net.b1[j]);
    picture.clear();
    picture.line(DRAWN.map(t => [t, height(curve, t)]), { width: 1.5 });
    picture.line(DRAWN.map(t => [t, output(net, t)]), { colour: kit.COLOURS.vermilion, width: 2.5 });
    picture.line(DRAWN.map(t => [t, own(t)]), { colour: kit.COLOURS.green, dash: "6 4" });
    [["legend_curve", { width: 1.5 }], ["legend_sum", { colour: kit.COLOURS.vermilion, width: 2.5 }], ["legend_unit", { colour: kit.COLOURS.green, dash: "6 4" }]]
      .forEach(([key, look], i) => {
        picture.line([[0.03 + 0.3 * i, 1.27], [0.08 + 0.3 * i, 1.27]], look);
        picture.text(0.09 + 0.3 * i, 1.27, say(key), { dy: 4 });
      });
    const worst = errorOf(curve, count, tolerance);
    picture.line([[worst.t, height(curve, worst.t)], [worst.t, output(net, worst.t)]], { colour: kit.COLOURS.purple, width: 4 });
    fall.clear();
    const points = SIZES.map((size, i) => [i, Math.log2(errorOf(curve, size, tolerance).error)]);
    fall.line(points, { colour: kit.COLOURS.purple });
    for (const point of points) fall.point(...point, { colour: kit.COLOURS.purple, size: 4 });
    fall.ring(Math.log2(count), Math.log2(worst.error), { size: 9 });
    for (const control of controls) control.draw();
    const result = say("result", {
      units: count, error: kit.number(worst.error, 4), t: kit.number(worst.t, 3),
      twice: 2 * count, half: kit.number(errorOf(curve, 2 * count, tolerance).error, 4),
    });
    const b = net.b1[j];
    const one = say("one", {
      unit: j + 1, w: kit.number(net.w1[j], 1), b: `${b < 0 ? "−" : "+"} ${kit.number(Math.abs(b), 1)}`,
      t: kit.number(at, 4), height: kit.number(net.w2[j], 4),
    });
    live.say(`${result} ${one}`);
    handle.draw([at, -1.25], one);
    picture.describe(`${say("picture")}. ${result}`);
    fall.describe(`${say("errors")}. ${SIZES.map(size => `${size}: ${kit.number(errorOf(curve, size, tolerance).error, 4)}`).join("; ")}`);
  };
}

export default { render: view => kit.mount(view, { defaults: DEFAULTS, strings: STRINGS, build }) };
