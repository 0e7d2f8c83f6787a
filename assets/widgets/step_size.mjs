// Step size (chapter 05): the error of three difference quotients against the step h, on axes of powers of ten.
import * as kit from "./kit.mjs";

export const DEFAULTS = { function: "exp", method: "central", log10_h: -2 };

export const STRINGS = {
  en: {
    title: "Which step?",
    function: "Function", exp: "exp(x)", shifted: "exp(x) + 1000", wave: "sin(10x)", cube: "x³",
    method: "Difference", forward: "forward", central: "central", complex: "complex step",
    step: "log₁₀ h", best: "Go to h*",
    picture: "Mean error for x from 0.5 to 1.5 against h: forward (dotted), central (solid), complex step (dashed)",
    handle: "h: move the step",
    theory: "thin: truncation falls, round-off grows, as h gets smaller",
    error: "mean error",
    read: "{method}, h = {h}: mean error {error}. Truncation {truncation}, round-off up to {roundoff}.",
    larger_truncation: "Truncation is the larger: a smaller h helps.",
    larger_roundoff: "Round-off is the larger: a smaller h only adds noise.",
    no_subtraction: "Nothing is subtracted, so no step is too small.",
    optimum: "h* = {h}; lowest point of the curve: {error} at h = {at}.",
    lowest: "Lowest point of the curve: {error} at h = {at}.",
  },
  zh: {
    title: "步长选多大？",
    function: "函数", exp: "exp(x)", shifted: "exp(x) + 1000", wave: "sin(10x)", cube: "x³",
    method: "差分", forward: "前向差分", central: "中心差分", complex: "复数步",
    step: "log₁₀ h", best: "到 h*",
    picture: "x 从 0.5 到 1.5 的平均误差随 h 的变化：前向（点线）、中心（实线）、复数步（虚线）",
    handle: "h：移动步长",
    theory: "细线：h 变小时，截断误差减小，舍入误差增大",
    error: "平均误差",
    read: "{method}，h = {h}：平均误差 {error}。截断误差 {truncation}，舍入误差至多 {roundoff}。",
    larger_truncation: "截断误差较大：减小 h 有帮助。",
    larger_roundoff: "舍入误差较大：再减小 h 只会增加噪声。",
    no_subtraction: "没有相减，步长再小也不怕。",
    optimum: "h* = {h}；曲线最低点：h = {at} 时为 {error}。",
    lowest: "曲线最低点：h = {at} 时为 {error}。",
  },
};

// ---- mathematics ------------------------------------------------------------------------------------------------------

export const METHODS = ["forward", "central", "complex"];
export const UNIT_ROUNDOFF = 2 ** -53;
/** The places that errors are averaged over, as in the chapter. */
export const PLACES = Array.from({ length: 400 }, (_, i) => 0.5 + i / 399);
/** Powers of ten from 0 to −15 in quarters. */
export const EXPONENTS = Array.from({ length: 61 }, (_, i) => -i / 4);

/** Each function with its first three derivatives, and the imaginary part of f(x + ih). */
const FUNCTIONS = {
  exp: { f: Math.exp, first: Math.exp, second: Math.exp, third: Math.exp, imaginary: (x, h) => Math.exp(x) * Math.sin(h) },
  shifted: { f: x => Math.exp(x) + 1000, first: Math.exp, second: Math.exp, third: Math.exp, imaginary: (x, h) => Math.exp(x) * Math.sin(h) },
  wave: {
    f: x => Math.sin(10 * x), first: x => 10 * Math.cos(10 * x), second: x => -100 * Math.sin(10 * x), third: x => -1000 * Math.cos(10 * x),
    imaginary: (x, h) => Math.cos(10 * x) * Math.sinh(10 * h),
  },
  cube: { f: x => x * x * x, first: x => 3 * x * x, second: x => 6 * x, third: () => 6, imaginary: (x, h) => 3 * x * x * h - h * h * h },
};

/** The slope of a function at x by one of the three difference quotients. */
export function slope(method, name, x, h) {
  const { f, imaginary } = FUNCTIONS[name];
  if (method === "forward") return (f(x + h) - f(x)) / h;
  if (method === "central") return (f(x + h) - f(x - h)) / (2 * h);
  return imaginary(x, h) / h;
}

/** The error of a difference quotient, averaged over the places. */
export function meanError(method, name, h) {
  const { first } = FUNCTIONS[name];
  return PLACES.reduce((sum, x) => sum + Math.abs(slope(method, name, x, h) - first(x)), 0) / PLACES.length;
}

/** The two terms of the error, averaged over the places, as powers of ten: {truncation, roundoff}. */
export function terms(method, name, h) {
  const made = FUNCTIONS[name];
  const mean = derivative => PLACES.reduce((sum, x) => sum + Math.abs(made[derivative](x)), 0) / PLACES.length;
  const [truncation, roundoff] = {
    forward: () => [(h / 2) * mean("second"), ((2 * UNIT_ROUNDOFF) / h) * mean("f")],
    central: () => [((h * h) / 6) * mean("third"), (UNIT_ROUNDOFF / h) * mean("f")],
    complex: () => [((h * h) / 6) * mean("third"), UNIT_ROUNDOFF * mean("first")], // only the result is rounded
  }[method]();
  return { truncation: Math.log10(truncation), roundoff: Math.log10(roundoff) };
}

/** The power of ten of h*, where the sum of both terms is smallest; −∞ for the complex step, which has no such place. */
export function bestExponent(method, name) {
  const { truncation, roundoff } = terms(method, name, 1);
  // a·h + b/h has its lowest point at √(b/a), a·h² + b/h at ∛(b/2a)
  if (method === "forward") return (roundoff - truncation) / 2;
  return method === "central" ? (roundoff - truncation - Math.log10(2)) / 3 : -Infinity;
}

// ---- picture ----------------------------------------------------------------------------------------------------------

const LOOKS = {
  forward: { colour: kit.COLOURS.vermilion, dash: "2 4" },
  central: { colour: kit.COLOURS.blue },
  complex: { colour: kit.COLOURS.green, dash: "7 4" },
};
const LOW = -17; // where an error of 0 is drawn
const curves = new Map();

/** A curve of errors; computed once, as it takes a few milliseconds. */
function curve(method, name) {
  const key = `${method} ${name}`;
  if (!curves.has(key)) curves.set(key, EXPONENTS.map(e => meanError(method, name, 10 ** e)));
  return curves.get(key);
}

function build(w) {
  const say = w.say;
  const powers = [-16, -12, -8, -4, 0, 4];
  const picture = kit.plot({
    x: [-15, 0], y: [LOW, 4], label: say("picture"), xLabel: "h", yLabel: say("error"), width: 420, height: 340, left: 54,
    xTicks: [-15, -12, -9, -6, -3, 0], yTicks: powers, xText: kit.powerOfTen, yText: kit.powerOfTen,
  });
  const move = e => w.set({ log10_h: kit.snap(kit.clamp(e, -15, 0), 0.25) });
  const handle = picture.handle({ label: say("handle"), colour: "var(--w-ink)", move: ([e]) => move(e), step: 0.25, horizontal: true });
  const controls = [
    kit.select({
      label: say("function"), options: ["exp", "shifted", "wave", "cube"].map(name => [name, say(name)]),
      get: () => w.get("function"), set: name => w.set({ function: name }),
    }),
    kit.select({
      label: say("method"), options: METHODS.map(name => [name, say(name)]),
      get: () => w.get("method"), set: method => w.set({ method }),
    }),
  ];
  const step = kit.range({ label: say("step"), min: -15, max: 0, step: 0.25, get: () => w.get("log10_h"), set: move });
  const best = kit.button(say("best"), () => move(bestExponent(w.get("method"), w.get("function"))));
  const live = kit.live();
  w.root.append(
    kit.html("div", { class: "row" },
      kit.html("div", { class: "grow" }, picture.element, kit.html("div", {}, say("theory"))),
      kit.html("div", { class: "grow" },
        kit.html("div", { class: "buttons" }, ...controls.map(control => control.element)),
        step.element, kit.html("div", { class: "buttons" }, best), live.element,
      ),
    ),
  );

  return () => {
    const [name, method, e] = ["function", "method", "log10_h"].map(w.get);
    const log = value => Math.max(Math.log10(value), LOW);
    const h = 10 ** e;
    picture.clear();
    for (const term of ["truncation", "roundoff"]) {
      picture.line([0, -15].map(at => [at, terms(method, name, 10 ** at)[term]]), { width: 1.2, opacity: 0.75 });
    }
    METHODS.forEach((each, i) => {
      const look = { ...LOOKS[each], width: each === method ? 3 : 1.5 };
      picture.line(EXPONENTS.map((at, k) => [at, log(curve(each, name)[k])]), look);
      picture.line([[-14.6 + 4.7 * i, 3.3], [-13.7 + 4.7 * i, 3.3]], look);
      picture.text(-13.5 + 4.7 * i, 3.3, say(each), { dy: 4 });
    });
    const star = bestExponent(method, name);
    const exists = Number.isFinite(star);
    if (exists) picture.line([[star, LOW], [star, 2.6]], { width: 1.2, dash: "1 4" });
    if (exists) picture.text(star, 2, "h*", { dx: 4 });
    for (const control of [...controls, step]) control.draw();
    kit.enable(best, exists);
    const { truncation, roundoff } = terms(method, name, h);
    const error = meanError(method, name, h);
    const lowest = Math.min(...curve(method, name));
    const read = say("read", {
      method: say(method), h: kit.scientific(h), error: kit.scientific(error),
      truncation: kit.scientific(10 ** truncation), roundoff: kit.scientific(10 ** roundoff),
    });
    const larger = say(truncation > roundoff ? "larger_truncation" : method === "complex" ? "no_subtraction" : "larger_roundoff");
    const optimum = say(exists ? "optimum" : "lowest", {
      h: kit.scientific(10 ** star), error: kit.scientific(lowest),
      at: kit.scientific(10 ** EXPONENTS[curve(method, name).indexOf(lowest)]),
    });
    live.say(`${read} ${larger} ${optimum}`);
    handle.draw([e, log(error)], read);
    picture.describe(`${say("picture")}. ${read} ${optimum}`);
  };
}

export default { render: view => kit.mount(view, { defaults: DEFAULTS, strings: STRINGS, build }) };
