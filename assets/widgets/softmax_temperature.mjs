// Softmax and temperature (chapter 04): what becomes of four scores when they are divided by T first.
import * as kit from "./kit.mjs";
import * as losses from "./losses.mjs";

export const DEFAULTS = { logits: [2, 1, 0, -1], temperature: 1 };

export const STRINGS = {
  en: {
    title: "Softmax and temperature",
    picture: "Probabilities of four classes",
    axis: "class", share: "probability", logit: "z{k}", temperature: "T",
    shift: "Add 1 to all scores",
    curve: "As uncertain as so many equally probable classes, against the temperature", many: "classes", handle: "T: move along the curve",
    read: "T = {t}: probabilities {shares}. As uncertain as {many} equally probable classes.",
  },
  zh: {
    title: "Softmax 与温度",
    picture: "四个类别的概率",
    axis: "类别", share: "概率", logit: "z{k}", temperature: "T",
    shift: "所有得分加 1",
    curve: "不确定程度相当于多少个等概率的类别，随温度变化", many: "类别数", handle: "T：沿曲线移动",
    read: "T = {t}：概率 {shares}。不确定程度相当于 {many} 个等概率的类别。",
  },
};

// ---- mathematics ------------------------------------------------------------------------------------------------------

/** Probabilities of scores at a temperature. */
export function shares(logits, temperature) {
  return losses.logSoftmax(logits.map(z => z / temperature)).map(Math.exp);
}

/** exp of the entropy: among how many equally probable classes one would be as uncertain. */
export function choices(probabilities) {
  return Math.exp(probabilities.reduce((sum, p) => sum - (p > 0 ? p * Math.log(p) : 0), 0));
}

/** [log₁₀ T, choices] at n + 1 temperatures from 0.1 to 10. */
export function sweep(logits, n) {
  const powers = Array.from({ length: n + 1 }, (_, i) => (2 * i) / n - 1);
  return powers.map(power => [power, choices(shares(logits, 10 ** power))]);
}

// ---- picture ----------------------------------------------------------------------------------------------------------

function build(w) {
  const say = w.say;
  const classes = [1, 2, 3, 4];
  const picture = kit.plot({
    x: [0.4, 4.6], y: [0, 1], label: say("picture"), xLabel: say("axis"), yLabel: say("share"), width: 380, height: 260, xTicks: classes,
  });
  const curve = kit.plot({
    x: [-1, 1], y: [1, 4], label: say("curve"), xLabel: say("temperature"), yLabel: say("many"), width: 380, height: 180,
    xTicks: [-1, -0.5, 0, 0.5, 1], xText: power => kit.number(10 ** power, 1), yTicks: classes,
  });
  const warm = t => w.set({ temperature: kit.clamp(kit.snap(t, 0.1), 0.1, 10) });
  const handle = curve.handle({
    label: say("handle"), colour: "var(--w-ink)", move: ([power]) => warm(10 ** power),
    nudge: ([steps]) => warm(w.get("temperature") + 0.1 * steps), horizontal: true,
  });
  const controls = classes.map((k, i) =>
    kit.range({
      label: say("logit", { k }), min: -5, max: 5, step: 0.25, get: () => w.get("logits")[i],
      set: value => w.set({ logits: w.get("logits").map((z, j) => (j === i ? value : z)) }),
    }),
  );
  const temperature = kit.range({
    label: say("temperature"), min: 0.1, max: 10, step: 0.1, get: () => w.get("temperature"), set: value => w.set({ temperature: value }),
  });
  const shift = kit.button(say("shift"), () => w.set({ logits: w.get("logits").map(z => kit.clamp(z + 1, -5, 5)) }));
  const live = kit.live();
  w.root.append(
    kit.html("div", { class: "row" },
      kit.html("div", { class: "grow" }, picture.element, curve.element),
      kit.html("div", { class: "grow" },
        temperature.element, ...controls.map(control => control.element),
        kit.html("div", { class: "buttons" }, shift), live.element,
      ),
    ),
  );

  return () => {
    const [logits, t] = ["logits", "temperature"].map(w.get);
    const probabilities = shares(logits, t);
    const many = choices(probabilities);
    picture.clear();
    curve.clear();
    curve.line(sweep(logits, 100), { colour: kit.COLOURS.vermilion });
    probabilities.forEach((p, i) => {
      picture.line([[i + 1, 0], [i + 1, p]], { colour: kit.COLOURS.blue, width: 34 });
      picture.text(i + 1, Math.min(p, 0.93), kit.number(p, 3), { anchor: "middle", dy: -4 });
    });
    for (const control of [...controls, temperature]) control.draw();
    const read = say("read", {
      t: kit.number(t), shares: probabilities.map(p => kit.number(p, 4)).join(", "), many: kit.number(many, 2),
    });
    live.say(read);
    handle.draw([Math.log10(t), many], read);
    picture.describe(`${say("picture")}. ${read}`);
  };
}

export default { render: view => kit.mount(view, { defaults: DEFAULTS, strings: STRINGS, build }) };
