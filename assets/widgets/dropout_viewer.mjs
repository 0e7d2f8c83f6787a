// Dropout viewer (chapter 07): who speaks in training and at test time, how loud, and what the next unit adds up.
import * as kit from "./kit.mjs";
import * as optimisers from "./optimisers.mjs";

export const DEFAULTS = { p: 0.5, kind: "inverted", mode: "train", draw: 1 };

export const STRINGS = {
  en: {
    title: "Dropout in training and at test time",
    kind: "Kind", inverted: "inverted", standard: "standard", mode: "Time", train: "training", test: "test",
    p: "p", fresh: "Draw anew",
    picture: "Each row is a sample, each column a unit that says 1: discs speak, the larger the louder; rings are silent",
    x: "unit", y: "sample",
    read: "{kind}, {mode}, p = {p}: {silent} of {all} are silent, the others say {loud}. The next sum is {sum} on average; without dropout it is {plain}.",
    table: "The four situations: mean of the next sum", where: "kind and time", loud: "who speaks says", sum: "mean sum",
  },
  zh: {
    title: "训练时和测试时的随机失活",
    kind: "种类", inverted: "反向", standard: "标准", mode: "时间", train: "训练", test: "测试",
    p: "p", fresh: "重新抽取",
    picture: "每行是一个样本，每列是一个输出为 1 的单元：圆点发声，越大越响；圆圈沉默",
    x: "单元", y: "样本",
    read: "{kind}，{mode}，p = {p}：{all} 个中有 {silent} 个沉默，其余输出 {loud}。下一层的和平均为 {sum}；没有 dropout 时为 {plain}。",
    table: "四种情况：下一层的和的平均", where: "种类和时间", loud: "发声者输出", sum: "平均和",
  },
};

// ---- mathematics ------------------------------------------------------------------------------------------------------

export const ROWS = 12;
export const UNITS = 10;

/** What became of ROWS samples of UNITS units that all say 1: {factor, silent, loud, sum}, sum being the mean over the rows. */
export function situation(draw, p, kind, mode) {
  const factor = optimisers.dropoutFactor(draw, ROWS, UNITS, p, kind === "inverted", mode === "train");
  const all = factor.flat();
  return {
    factor,
    silent: all.filter(value => value === 0).length,
    loud: Math.max(...all),
    sum: all.reduce((sum, value) => sum + value, 0) / ROWS,
  };
}

// ---- picture ----------------------------------------------------------------------------------------------------------

function build(w) {
  const say = w.say;
  const picture = kit.plot({
    x: [0.3, UNITS + 0.7], y: [0.3, ROWS + 0.7], label: say("picture"), xLabel: say("x"), yLabel: say("y"), width: 380, height: 360,
    xTicks: [1, 5, 10], yTicks: [1, 6, 12],
  });
  const pick = (key, options) => kit.select({ label: say(key), options: options.map(each => [each, say(each)]), get: () => w.get(key), set: value => w.set({ [key]: value }) });
  const controls = [
    pick("kind", ["inverted", "standard"]),
    pick("mode", ["train", "test"]),
    kit.range({ label: say("p"), min: 0, max: 0.9, step: 0.05, get: () => w.get("p"), set: p => w.set({ p }) }),
  ];
  const fresh = kit.button(say("fresh"), () => w.set({ draw: w.get("draw") + 1 }));
  const live = kit.live();
  const table = kit.table(say("table"), [say("where"), say("loud"), say("sum")]);
  w.root.append(
    kit.html("div", { class: "row" },
      kit.html("div", { class: "grow" }, picture.element),
      kit.html("div", { class: "grow" },
        kit.html("div", { class: "buttons" }, controls[0].element, controls[1].element, fresh), controls[2].element, live.element, table.element),
    ),
  );

  return () => {
    const [p, kind, mode, draw] = ["p", "kind", "mode", "draw"].map(w.get);
    const { factor, silent, loud, sum } = situation(draw, p, kind, mode);
    picture.clear();
    factor.forEach((row, i) => row.forEach((value, j) => {
      if (value === 0) picture.ring(j + 1, i + 1, { size: 6, dash: "2 2" });
      else picture.point(j + 1, i + 1, { size: 4 + 3 * Math.min(value, 3) });
    }));
    picture.line([[0.3, 0.32], [UNITS + 0.7, 0.32]], { colour: kit.COLOURS.blue, width: 1 });
    for (const control of controls) control.draw();
    const said = say("read", { kind: say(kind), mode: say(mode), p: kit.number(p), silent, all: ROWS * UNITS, loud: kit.number(loud, 3), sum: kit.number(sum, 3), plain: UNITS });
    live.say(said);
    const four = ["inverted", "standard"].flatMap(each => ["train", "test"].map(time => [each, time]));
    table.draw(
      four.map(([each, time]) => {
        const found = situation(draw, p, each, time);
        return [`${say(each)}, ${say(time)}`, kit.number(found.loud, 3), kit.number(found.sum, 3)];
      }),
      four.findIndex(([each, time]) => each === kind && time === mode),
    );
    picture.describe(`${say("picture")}. ${said}`);
  };
}

export default { render: view => kit.mount(view, { defaults: DEFAULTS, strings: STRINGS, build }) };
