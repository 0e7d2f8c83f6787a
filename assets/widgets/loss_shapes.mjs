// Loss shapes (chapter 04): six losses as functions of the margin, with their slopes.
import * as kit from "./kit.mjs";
import * as losses from "./losses.mjs";

export const DEFAULTS = { loss: "logistic", beside: "hinge", margin: -1 };

export const STRINGS = {
  en: {
    title: "Loss shapes",
    loss: "Loss", beside: "Beside it", none: "nothing",
    absolute: "absolute", squared: "squared", zero_one: "0-1", hinge: "hinge", logistic: "logistic", exponential: "exponential",
    picture: "A loss (solid) and its slope (dashed) against the margin",
    handle: "m: move along the loss", margin: "m", axis: "margin m = y·s, for y = 1",
    value: "loss solid", slope: "slope dashed",
    read: "{name} at m = {m}: loss {loss}, slope {slope}.",
    flat: "A gradient step changes nothing here.", grows: "A step against the slope makes the margin larger.",
    shrinks: "A step against the slope makes the margin smaller, although the answer is right.",
  },
  zh: {
    title: "损失函数的形状",
    loss: "损失", beside: "对照", none: "无",
    absolute: "绝对值", squared: "平方", zero_one: "0-1", hinge: "合页 hinge", logistic: "逻辑 logistic", exponential: "指数",
    picture: "损失（实线）及其斜率（虚线）随间隔的变化",
    handle: "m：沿损失曲线移动", margin: "m", axis: "间隔 m = y·s（y = 1）",
    value: "损失 实线", slope: "斜率 虚线",
    read: "{name}，m = {m}：损失 {loss}，斜率 {slope}。",
    flat: "这里的梯度步不起作用。", grows: "逆着斜率走一步，间隔变大。",
    shrinks: "虽然答案正确，逆着斜率走一步，间隔却变小。",
  },
};

// ---- mathematics ------------------------------------------------------------------------------------------------------

/** The loss and its slope at a margin: [loss, slope], for an answer of 1. */
export function atMargin(name, margin) {
  return losses.sampleLosses(name, margin, 1);
}

/** What a step against the slope does to the margin: "grows", "shrinks" or "flat". */
export function effect(name, margin) {
  const slope = atMargin(name, margin)[1];
  return slope < 0 ? "grows" : slope > 0 ? "shrinks" : "flat";
}

// ---- picture ----------------------------------------------------------------------------------------------------------

const GRID = Array.from({ length: 241 }, (_, i) => kit.snap(-3 + i * 0.025, 0.001));
const JUMPS = { zero_one: [0], absolute: [1], hinge: [1] };

/** A curve for drawing, with a gap where it jumps. */
function points(f, jumps) {
  return GRID.flatMap(m => (jumps.includes(m) ? [[m, f(m)], [NaN, NaN]] : [[m, f(m)]]));
}

function build(w) {
  const say = w.say;
  const picture = kit.plot({ x: [-3, 3], y: [-4, 6], label: say("picture"), xLabel: say("axis"), width: 400, height: 320 });
  const move = m => w.set({ margin: kit.snap(kit.clamp(m, -3, 3), 0.05) });
  const handle = picture.handle({ label: say("handle"), colour: kit.COLOURS.blue, move: ([m]) => move(m), step: 0.1, horizontal: true });
  const options = losses.LOSSES.map(name => [name, say(name)]);
  const controls = [
    kit.select({ label: say("loss"), options, get: () => w.get("loss"), set: loss => w.set({ loss }) }),
    kit.select({
      label: say("beside"), options: [["none", say("none")], ...options], get: () => w.get("beside"), set: beside => w.set({ beside }),
    }),
    kit.range({ label: say("margin"), min: -3, max: 3, step: 0.05, get: () => w.get("margin"), set: move }),
  ];
  const live = kit.live();
  const second = kit.html("p", { class: "live" });
  w.root.append(
    kit.html("div", { class: "row" },
      kit.html("div", { class: "grow" }, picture.element),
      kit.html("div", { class: "grow" },
        kit.html("div", { class: "buttons" }, controls[0].element, controls[1].element),
        controls[2].element, live.element, second,
      ),
    ),
  );

  return () => {
    const [name, beside, margin] = ["loss", "beside", "margin"].map(w.get);
    const shown = beside === "none" || beside === name ? [[name, kit.COLOURS.blue]] : [[beside, kit.COLOURS.vermilion], [name, kit.COLOURS.blue]];
    picture.clear();
    for (const [each, colour] of shown) {
      picture.line(points(m => atMargin(each, m)[1], JUMPS[each] ?? []), { colour, width: 1.5, dash: "6 4" });
      picture.line(points(m => atMargin(each, m)[0], each === "zero_one" ? JUMPS.zero_one : []), { colour, width: 2.5 });
    }
    shown.toReversed().forEach(([each, colour], i) => {
      picture.line([[0.6, 5.4 - 0.7 * i], [1, 5.4 - 0.7 * i]], { colour, width: 2.5 });
      picture.text(1.1, 5.4 - 0.7 * i, say(each), { dy: 4 });
    });
    picture.text(0.6, -3, say("value"));
    picture.text(0.6, -3.6, say("slope"));
    for (const control of controls) control.draw();
    const read = each => {
      const [loss, slope] = atMargin(each, margin);
      return say("read", { name: say(each), m: kit.number(margin), loss: kit.number(loss, 4), slope: kit.number(slope, 4) });
    };
    live.say(`${read(name)} ${say(effect(name, margin))}`);
    second.textContent = shown.length > 1 ? read(beside) : "";
    handle.draw([margin, atMargin(name, margin)[0]], read(name));
    picture.describe(`${say("picture")}. ${read(name)}`);
  };
}

export default { render: view => kit.mount(view, { defaults: DEFAULTS, strings: STRINGS, build }) };
