// Unrolled network (chapter 09): two steps of one unit, forwards, then backwards through time, one number a click.
import * as kit from "./kit.mjs";
import * as recurrent from "./recurrent.mjs";

export const DEFAULTS = { u: 0.5, w: 2, b: -0.5, h0: 0.25, x: [1, 2], y: [1, 0], step: 0 };

export const STRINGS = {
  en: {
    title: "Unrolled network", next: "Next number", back: "One back", all: "All", again: "Start again",
    picture: "Two steps of one unit; the numbers known so far", name: "number", value: "value", how: "how",
    start: "Nothing is computed yet. What is z₁ = x₁u + h₀w + b?", read: "{name} = {how} = {value}. {part}.",
    forwards: "Forwards", backwards: "Backwards through time", parameters: "Sums over both steps", done: "All {count} numbers are known.",
  },
  zh: {
    title: "展开的网络", next: "下一个数", back: "退一步", all: "全部", again: "重新开始",
    picture: "一个单元的两步；目前已知的数", name: "量", value: "值", how: "算法",
    start: "还没有算。z₁ = x₁u + h₀w + b 是多少？", read: "{name} = {how} = {value}。{part}。",
    forwards: "前向", backwards: "随时间反向", parameters: "两步之和", done: "{count} 个数全部已知。",
  },
};

// ---- mathematics ------------------------------------------------------------------------------------------------------

/** What is computed, in this order. */
export const KEYS = [
  "z1", "h1", "z2", "h2", "loss", "grad_h2", "grad_z2", "back1", "own1", "grad_h1", "grad_z1", "grad_u", "grad_w", "grad_b", "grad_h0",
];

/** The numbers known after so many clicks: [key, value], …. */
export function known(u, w, b, h0, x, y, step) {
  const made = recurrent.twoStepExample(u, w, b, h0, x, y);
  return KEYS.filter((_, i) => i < step).map(key => [key, made[key]]);
}

// ---- picture ----------------------------------------------------------------------------------------------------------

// Key, name, how it is computed, and where it belongs.
const ORDER = [
  ["z1", "z₁", "x₁u + h₀w + b", "forwards"], ["h1", "h₁", "tanh z₁", "forwards"], ["z2", "z₂", "x₂u + h₁w + b", "forwards"],
  ["h2", "h₂", "tanh z₂", "forwards"], ["loss", "L", "½(h₁ − y₁)² + ½(h₂ − y₂)²", "forwards"],
  ["grad_h2", "grad_h₂", "h₂ − y₂", "backwards"], ["grad_z2", "grad_z₂", "grad_h₂ · (1 − h₂²)", "backwards"],
  ["back1", "grad_z₂ · w", "grad_z₂ · w", "backwards"], ["own1", "h₁ − y₁", "h₁ − y₁", "backwards"],
  ["grad_h1", "grad_h₁", "(h₁ − y₁) + grad_z₂ · w", "backwards"], ["grad_z1", "grad_z₁", "grad_h₁ · (1 − h₁²)", "backwards"],
  ["grad_u", "grad_u", "grad_z₂ · x₂ + grad_z₁ · x₁", "parameters"], ["grad_w", "grad_w", "grad_z₂ · h₁ + grad_z₁ · h₀", "parameters"],
  ["grad_b", "grad_b", "grad_z₂ + grad_z₁", "parameters"], ["grad_h0", "grad_h₀", "grad_z₁ · w", "backwards"],
];

const PLACES = { z1: [1, 1], h1: [1, 2], z2: [3, 1], h2: [3, 2], loss: [2, 3] };
const BEHIND = { grad_h2: "h2", grad_z2: "z2", grad_h1: "h1", grad_z1: "z1" };

function build(w) {
  const say = w.say;
  const picture = kit.plot({ x: [-0.7, 4], y: [-0.6, 3.5], label: say("picture"), width: 420, height: 330, xTicks: [], yTicks: [] });
  const go = step => w.set({ step: kit.clamp(step, 0, ORDER.length) });
  const next = kit.button(say("next"), () => go(w.get("step") + 1));
  const back = kit.button(say("back"), () => go(w.get("step") - 1));
  const all = kit.button(say("all"), () => go(ORDER.length));
  const again = kit.button(say("again"), () => go(0));
  const weights = ["u", "w", "b"].map(name =>
    kit.range({ label: name, min: -3, max: 3, step: 0.25, get: () => w.get(name), set: value => w.set({ [name]: value }) }),
  );
  const live = kit.live();
  const body = kit.html("tbody");
  const table = kit.html("table", {},
    kit.html("thead", {}, kit.html("tr", {}, ...["name", "how", "value"].map(key => kit.html("th", { scope: "col" }, say(key))))), body);
  w.root.append(
    kit.html("div", { class: "row" },
      kit.html("div", { class: "grow" }, picture.element, kit.html("div", { class: "buttons" }, next, back, all, again), live.element),
      kit.html("div", { class: "grow" }, ...weights.map(control => control.element), kit.html("div", { class: "wide" }, table)),
    ),
  );

  return () => {
    const [u, weight, b, h0, x, y, step] = ["u", "w", "b", "h0", "x", "y", "step"].map(w.get);
    const found = known(u, weight, b, h0, x, y, step);
    const values = Object.fromEntries(found);
    picture.clear();
    const arrow = (from, to, on) => picture.arrow(from, to, { colour: on ? kit.COLOURS.vermilion : kit.COLOURS.blue, width: on ? 3 : 1.5 });
    arrow([1, 0], [1, 0.62], false);
    arrow([3, 0], [3, 0.62], false);
    arrow([1, 1.15], [1, 1.62], "grad_z1" in values);
    arrow([3, 1.15], [3, 1.62], "grad_z2" in values);
    arrow([-0.3, 1], [0.6, 1], "grad_h0" in values);
    arrow([1.6, 1.75], [2.45, 1.2], "back1" in values);
    arrow([1.15, 2.15], [1.8, 2.9], "own1" in values);
    arrow([2.85, 2.15], [2.2, 2.9], "grad_h2" in values);
    picture.text(1, -0.3, `x₁ = ${kit.number(x[0])}`, { anchor: "middle" });
    picture.text(3, -0.3, `x₂ = ${kit.number(x[1])}`, { anchor: "middle" });
    picture.text(-0.6, 0.65, `h₀ = ${kit.number(h0)}`);
    for (const [key, name] of ORDER) {
      if (!(key in PLACES)) continue;
      const [px, py] = PLACES[key];
      const grad = Object.keys(BEHIND).find(one => BEHIND[one] === key);
      picture.text(px, py, key in values ? `${name} = ${kit.number(values[key], 4)}` : name, { anchor: "middle", dy: 4 });
      if (grad !== undefined && grad in values) picture.text(px, py - 0.22, `grad ${kit.number(values[grad], 4)}`, { anchor: "middle", dy: 4 });
    }
    body.replaceChildren(...found.map(([, value], i) =>
      kit.html("tr", { "data-now": i === step - 1 ? "true" : "false" },
        kit.html("th", { scope: "row" }, ORDER[i][1]), kit.html("td", {}, ORDER[i][2]), kit.html("td", {}, kit.number(value, 4)))));
    for (const control of weights) control.draw();
    kit.enable(next, step < ORDER.length);
    kit.enable(back, step > 0);
    const text = step === 0 ? say("start") : say("read", {
      name: ORDER[step - 1][1], how: ORDER[step - 1][2], value: kit.number(found[step - 1][1], 4), part: say(ORDER[step - 1][3]),
    });
    live.say(step === ORDER.length ? `${text} ${say("done", { count: ORDER.length })}` : text);
    picture.describe(`${say("picture")}. ${text}`);
  };
}

export default { render: view => kit.mount(view, { defaults: DEFAULTS, strings: STRINGS, build }) };
