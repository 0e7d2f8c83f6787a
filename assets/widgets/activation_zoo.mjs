// Activation zoo (chapter 03): twelve activation functions with their slopes, and what K of them in a row leave of a signal.
import * as kit from "./kit.mjs";
import * as layers from "./hidden_layers.mjs";

export const DEFAULTS = { name: "sigmoid", beside: "none", z: 2, units: 5 };

const NAMES = {
  step: "step", identity: "identity", sigmoid: "sigmoid", tanh: "tanh", hard_tanh: "hard tanh", gaussian: "Gaussian",
  relu: "ReLU", leaky_relu: "leaky ReLU", elu: "ELU", softplus: "softplus", swish: "Swish", gelu: "GELU",
};

export const STRINGS = {
  en: {
    title: "Activation zoo",
    name: "Activation", beside: "Beside it", none: "nothing", ...NAMES,
    curve: "An activation function (solid), its slope (dashed) and its tangent at z (dotted)",
    handle: "z: move along the curve",
    units: "K", value: "f(z) solid", slope: "f′(z) dashed",
    read: "{name} at z = {z}: f = {f}, slope f′ = {slope}.",
    chain: "K = {units} such slopes in a row multiply a signal by {product}.",
    flat: "Here it is flat: no signal passes.",
  },
  zh: {
    title: "激活函数动物园",
    name: "激活函数", beside: "对照", none: "无", ...NAMES, step: "阶跃 step", identity: "恒等 identity", gaussian: "高斯 Gaussian",
    curve: "激活函数（实线）、导数（虚线）和 z 处的切线（点线）",
    handle: "z：沿曲线移动",
    units: "K", value: "f(z) 实线", slope: "f′(z) 虚线",
    read: "{name}，z = {z}：f = {f}，导数 f′ = {slope}。",
    chain: "K = {units} 个这样的导数连乘，信号乘以 {product}。",
    flat: "这里是平的：信号传不过去。",
  },
};

// ---- mathematics ------------------------------------------------------------------------------------------------------

/** What K equal slopes in a row leave of a signal of 1. */
export function passedOn(name, z, units) {
  return layers.activationDerivative(name, z) ** units;
}

/** The tangent's height at u, for the activation at z. */
export function tangent(name, z, u) {
  return layers.activation(name, z) + layers.activationDerivative(name, z) * (u - z);
}

// ---- picture ----------------------------------------------------------------------------------------------------------

const GRID = Array.from({ length: 601 }, (_, i) => kit.snap(-6 + i * 0.02, 0.01));

/** A curve for drawing; at the step's jump a gap, so that no upright line is drawn that the function does not have. */
function points(f, jumps) {
  return GRID.flatMap(u => (jumps.includes(u) ? [[u, f(u)], [NaN, NaN]] : [[u, f(u)]]));
}

const JUMPS = { step: [0] };
const CORNERS = { hard_tanh: [-1, 0.98], relu: [0], leaky_relu: [0] };

function build(w) {
  const say = w.say;
  const curve = kit.plot({ x: [-6, 6], y: [-2, 3], label: say("curve"), xLabel: "z", width: 400, height: 300 });
  const move = z => w.set({ z: kit.snap(kit.clamp(z, -6, 6), 0.05) });
  const handle = curve.handle({ label: say("handle"), colour: kit.COLOURS.blue, move: ([u]) => move(u), step: 0.1, horizontal: true });
  const options = layers.ACTIVATIONS.map(name => [name, say(name)]);
  const controls = [
    kit.select({ label: say("name"), options, get: () => w.get("name"), set: name => w.set({ name }) }),
    kit.select({
      label: say("beside"), options: [["none", say("none")], ...options],
      get: () => w.get("beside"), set: beside => w.set({ beside }),
    }),
    kit.range({ label: "z", min: -6, max: 6, step: 0.05, get: () => w.get("z"), set: move }),
    kit.range({ label: say("units"), min: 1, max: 20, step: 1, get: () => w.get("units"), set: units => w.set({ units }) }),
  ];
  const live = kit.live();
  const second = kit.html("p", { class: "live" });
  w.root.append(
    kit.html("div", { class: "row" },
      kit.html("div", { class: "grow" }, curve.element),
      kit.html("div", { class: "grow" },
        kit.html("div", { class: "buttons" }, controls[0].element, controls[1].element),
        controls[2].element, controls[3].element, live.element, second,
      ),
    ),
  );

  return () => {
    const [name, beside, z, units] = ["name", "beside", "z", "units"].map(w.get);
    const shown = beside === "none" || beside === name ? [[name, kit.COLOURS.blue]] : [[beside, kit.COLOURS.vermilion], [name, kit.COLOURS.blue]];
    curve.clear();
    for (const [each, colour] of shown) {
      curve.line(points(u => layers.activationDerivative(each, u), CORNERS[each] ?? []), { colour, width: 1.5, dash: "6 4" });
      curve.line(points(u => layers.activation(each, u), JUMPS[each] ?? []), { colour, width: 2.5 });
    }
    curve.line([z - 1.2, z + 1.2].map(u => [u, tangent(name, z, u)]), { dash: "1 4", width: 2.5 });
    shown.toReversed().forEach(([each, colour], i) => {
      curve.line([[-5.7, 2.7 - 0.4 * i], [-5.1, 2.7 - 0.4 * i]], { colour, width: 2.5 });
      curve.text(-5, 2.7 - 0.4 * i, say(each), { dy: 4 });
    });
    curve.text(-5.7, -1.4, say("value"));
    curve.text(-5.7, -1.75, say("slope"));
    for (const control of controls) control.draw();
    const read = each => say("read", {
      name: say(each), z: kit.number(z),
      f: kit.number(layers.activation(each, z), 4), slope: kit.number(layers.activationDerivative(each, z), 4),
    });
    const chain = each => say("chain", { units, product: kit.number(passedOn(each, z, units), 6) });
    const slope = layers.activationDerivative(name, z);
    live.say(`${read(name)} ${slope === 0 ? say("flat") : chain(name)}`);
    second.textContent = shown.length > 1 ? `${read(beside)} ${chain(beside)}` : "";
    handle.draw([z, layers.activation(name, z)], read(name));
    curve.describe(`${say("curve")}. ${read(name)}`);
  };
}

export default { render: view => kit.mount(view, { defaults: DEFAULTS, strings: STRINGS, build }) };
