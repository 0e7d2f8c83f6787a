// Optimiser race (chapter 07): eleven optimisers on two-dimensional landscapes, two of them drawn.
import * as kit from "./kit.mjs";
import * as optimisers from "./optimisers.mjs";

export const DEFAULTS = { landscape: "valley", name: "momentum", beside: "sgd", steps: 40, log10_rate: -2, start: [1.2, 0.2] };

const NAMES = {
  sgd: "SGD", momentum: "momentum", nesterov: "Nesterov", adagrad: "Adagrad", adadelta: "Adadelta", rmsprop: "RMSprop",
  adam: "Adam", adamax: "AdaMax", nadam: "Nadam", amsgrad: "AMSGrad", adamw: "AdamW",
};

export const STRINGS = {
  en: {
    title: "Optimiser race",
    landscape: "Landscape", valley: "valley", turned: "turned valley", bent: "bent valley", saddle: "saddle", ripples: "ripples",
    name: "Optimiser", beside: "Beside it", ...NAMES,
    rate: "log₁₀ η", steps: "Steps", more: "Ten steps more", again: "From the start",
    picture: "Lines of equal loss, and the ways of two optimisers", handle: "Start: move it",
    read: "{name}, η = {rate}, {steps} steps: loss {loss} at {place}.",
    table: "All eleven at their usual rates", who: "optimiser", eta: "η", loss: "loss", place: "place",
  },
  zh: {
    title: "优化器赛跑",
    landscape: "地形", valley: "峡谷", turned: "斜置的峡谷", bent: "弯曲的峡谷", saddle: "鞍点", ripples: "波纹",
    name: "优化器", beside: "对照", ...NAMES, sgd: "随机梯度下降 SGD", momentum: "动量 momentum",
    rate: "log₁₀ η", steps: "步数", more: "再走十步", again: "从头开始",
    picture: "等损失线和两个优化器的路径", handle: "起点：移动",
    read: "{name}，η = {rate}，{steps} 步：损失 {loss}，位置 {place}。",
    table: "十一种优化器用各自常用的学习率", who: "优化器", eta: "η", loss: "损失", place: "位置",
  },
};

// ---- mathematics ------------------------------------------------------------------------------------------------------

export const LANDSCAPES = ["valley", "turned", "bent", "saddle", "ripples"];

/** The loss at a place. */
export function height(landscape, x, y) {
  if (landscape === "valley") return 0.5 * (100 * x * x + y * y);
  if (landscape === "turned") return 0.25 * (100 * (x + y) ** 2 + (y - x) ** 2);
  if (landscape === "bent") return (1 - x) ** 2 + 10 * (y - x * x) ** 2;
  if (landscape === "saddle") return 0.5 * (x * x - y * y) + 0.25 * y ** 4;
  return 0.25 * (x * x + y * y) + 0.2 * (2 - Math.cos(5 * x) - Math.cos(5 * y));
}

/** Its gradient. */
export function slope(landscape, x, y) {
  if (landscape === "valley") return [100 * x, y];
  if (landscape === "turned") return [0.5 * (100 * (x + y) - (y - x)), 0.5 * (100 * (x + y) + (y - x))];
  if (landscape === "bent") return [-2 * (1 - x) - 40 * x * (y - x * x), 20 * (y - x * x)];
  if (landscape === "saddle") return [x, y ** 3 - y];
  return [0.5 * x + Math.sin(5 * x), 0.5 * y + Math.sin(5 * y)];
}

/** The way of one optimiser: {path, loss}, the loss at its end. */
export function race(name, landscape, start, rate, steps) {
  const path = optimisers.descend(name, (x, y) => slope(landscape, x, y), start, rate, steps);
  return { path, loss: height(landscape, ...path.at(-1)) };
}

// ---- picture ----------------------------------------------------------------------------------------------------------

const LEVELS = { valley: [0.1, 1, 10, 50, 150], turned: [0.1, 1, 10, 50, 150], bent: [0.1, 1, 4, 16, 64], saddle: [-0.2, -0.1, 0.001, 0.3, 1, 2], ripples: [0.1, 0.3, 0.6, 1, 1.5, 2] };

function build(w) {
  const say = w.say;
  const picture = kit.plot({ x: [-2, 2], y: [-2, 2], label: say("picture"), xLabel: "w₁", yLabel: "w₂", width: 400, height: 380 });
  const move = place => w.set({ start: place.map(value => kit.snap(kit.clamp(value, -2, 2), 0.05)) });
  const handle = picture.handle({ label: say("handle"), move, step: 0.1 });
  const names = optimisers.NAMES.map(name => [name, say(name)]);
  const choose = name => w.set({ name, log10_rate: kit.snap(Math.log10(optimisers.RATES[name]), 0.1) });
  const controls = [
    kit.select({ label: say("landscape"), options: LANDSCAPES.map(each => [each, say(each)]), get: () => w.get("landscape"), set: landscape => w.set({ landscape }) }),
    kit.select({ label: say("name"), options: names, get: () => w.get("name"), set: choose }),
    kit.select({ label: say("beside"), options: names, get: () => w.get("beside"), set: beside => w.set({ beside }) }),
    kit.range({ label: say("rate"), min: -4, max: 1, step: 0.1, get: () => w.get("log10_rate"), set: log10_rate => w.set({ log10_rate }) }),
    kit.range({ label: say("steps"), min: 0, max: 300, step: 1, get: () => w.get("steps"), set: steps => w.set({ steps }) }),
  ];
  const more = kit.button(say("more"), () => w.set({ steps: Math.min(300, w.get("steps") + 10) }));
  const again = kit.button(say("again"), () => w.set({ steps: 0 }));
  const live = kit.live();
  const table = kit.table(say("table"), [say("who"), say("eta"), say("loss"), say("place")]);
  w.root.append(
    kit.html("div", { class: "row" },
      kit.html("div", { class: "grow" }, picture.element),
      kit.html("div", { class: "grow" },
        kit.html("div", { class: "buttons" }, ...controls.slice(0, 3).map(control => control.element)),
        controls[3].element, controls[4].element,
        kit.html("div", { class: "buttons" }, more, again),
        live.element, table.element,
      ),
    ),
  );
  let [shownFor, lines] = ["", []];

  return () => {
    const [landscape, name, beside, steps, power, start] = ["landscape", "name", "beside", "steps", "log10_rate", "start"].map(w.get);
    if (shownFor !== landscape) {
      [shownFor, lines] = [landscape, LEVELS[landscape].map(level => kit.contour((x, y) => height(landscape, x, y), level, [-2, 2], [-2, 2], 50))];
    }
    const rate = 10 ** power;
    picture.clear();
    for (const pieces of lines) picture.pieces(pieces, { width: 0.7 });
    const near = path => path.slice(0, path.findIndex(place => place.some(value => !(Math.abs(value) < 50))) >>> 0);
    const sentence = (each, eta, found) => say("read", {
      name: say(each), rate: kit.scientific(eta, 1), steps, loss: kit.scientific(found.loss), place: kit.tuple(found.path.at(-1)),
    });
    const chosen = race(name, landscape, start, rate, steps);
    const other = race(beside, landscape, start, optimisers.RATES[beside], steps);
    picture.line(near(other.path), { colour: kit.COLOURS.blue, dash: "5 3", width: 1.8 });
    picture.line(near(chosen.path), { colour: kit.COLOURS.vermilion, width: 2.2 });
    for (const [found, colour, shape] of [[other, kit.COLOURS.blue, "square"], [chosen, kit.COLOURS.vermilion, "disc"]]) {
      const end = found.path.at(-1);
      if (end.every(value => Math.abs(value) <= 2)) picture.point(...end, { colour, shape, size: 5 });
    }
    for (const control of controls) control.draw();
    kit.enable(more, steps < 300);
    kit.enable(again, steps > 0);
    const said = `${sentence(name, rate, chosen)} ${sentence(beside, optimisers.RATES[beside], other)}`;
    live.say(said);
    const rows = optimisers.NAMES.map(each => [each, race(each, landscape, start, optimisers.RATES[each], steps)]);
    table.draw(rows.map(([each, found]) => [say(each), kit.number(optimisers.RATES[each]), kit.scientific(found.loss), kit.tuple(found.path.at(-1))]), optimisers.NAMES.indexOf(name));
    handle.draw(start, kit.tuple(start));
    picture.describe(`${say("picture")}. ${said}`);
  };
}

export default { render: view => kit.mount(view, { defaults: DEFAULTS, strings: STRINGS, build }) };
