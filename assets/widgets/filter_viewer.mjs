// Filter viewer (chapter 04): one filter over all pairs of neighbouring words, max pooling, and what the mean says.
import * as kit from "./kit.mjs";
import * as text from "./text_classification.mjs";

export const DEFAULTS = { text: "negated", filter: "not_good", place: 1 };

export const STRINGS = {
  en: {
    title: "Filter viewer",
    text: "Text", filter: "Filter", plain: "a great film", negated: "this is not great at all", apart: "not a great film",
    turned: "great, is it not", blamed: "a bad film",
    good: "praise", not_good: "not + praise", bad: "blame",
    picture: "The filter's answer to each window of two words", axis: "window", answer: "answer",
    handle: "Window: move it", place: "Window",
    read: "Window {n} of {all}, “{words}”: answer {value}, after ReLU {positive}.",
    pooled: "Max pooling keeps {most}, from “{best}”. Mean of all words: praise {praise}, negation {negation}.",
    silent: "No window fires: max pooling keeps 0. Mean of all words: praise {praise}, negation {negation}.",
  },
  zh: {
    title: "滤波器查看器",
    text: "文本", filter: "滤波器", plain: "a great film", negated: "this is not great at all", apart: "not a great film",
    turned: "great, is it not", blamed: "a bad film",
    good: "褒义", not_good: "否定 + 褒义", bad: "贬义",
    picture: "滤波器对每个两词窗口的响应", axis: "窗口", answer: "响应",
    handle: "窗口：移动", place: "窗口",
    read: "第 {n} 个窗口（共 {all} 个）“{words}”：响应 {value}，ReLU 之后 {positive}。",
    pooled: "最大池化保留 {most}，来自“{best}”。所有词的平均：褒义 {praise}，否定 {negation}。",
    silent: "没有窗口响应：最大池化保留 0。所有词的平均：褒义 {praise}，否定 {negation}。",
  },
};

// ---- mathematics ------------------------------------------------------------------------------------------------------

/** The texts as lists of words. */
export const TEXTS = {
  plain: ["a", "great", "film"], negated: ["this", "is", "not", "great", "at", "all"], apart: ["not", "a", "great", "film"],
  turned: ["great", "is", "it", "not"], blamed: ["a", "bad", "film"],
};
/** What is known of a word: [praise, negation]; nothing of the words that are not here. */
export const VECTORS = { great: [1.5, 0], bad: [-1, 0], not: [0, 1] };
/** A filter of width 2: kernel (width, features, filters) and bias. */
export const FILTERS = {
  good: { kernel: [[[0], [0]], [[1], [0]]], b: [0] },
  not_good: { kernel: [[[0], [2]], [[1], [0]]], b: [-2] },
  bad: { kernel: [[[0], [0]], [[-1], [0]]], b: [0] },
};

/** The answers of a filter to all windows of a text, the largest after ReLU, its place, and the mean of the words' vectors. */
export function answers(name, filter) {
  const vectors = TEXTS[name].map(word => VECTORS[word] ?? [0, 0]);
  const { kernel, b } = FILTERS[filter];
  const all = text.convolveWords(vectors, kernel, b).map(([value]) => value);
  const most = Math.max(0, ...all);
  return { all, most, best: most > 0 ? all.indexOf(most) : -1, mean: text.poolWords(vectors, "mean") };
}

// ---- picture ----------------------------------------------------------------------------------------------------------

function build(w) {
  const say = w.say;
  const picture = kit.plot({
    x: [0.4, 5.6], y: [-2.6, 2.6], label: say("picture"), xLabel: say("axis"), yLabel: say("answer"), width: 420, height: 300, xTicks: [1, 2, 3, 4, 5],
  });
  const windows = () => TEXTS[w.get("text")].length - 1;
  const now = () => kit.clamp(w.get("place"), 1, windows());
  const move = n => w.set({ place: kit.clamp(Math.round(n), 1, windows()) });
  const handle = picture.handle({ label: say("handle"), colour: "var(--w-ink)", move: ([n]) => move(n), step: 1, horizontal: true });
  const controls = [
    kit.select({
      label: say("text"), options: Object.keys(TEXTS).map(name => [name, say(name)]),
      get: () => w.get("text"), set: name => w.set({ text: name, place: 1 }),
    }),
    kit.select({
      label: say("filter"), options: Object.keys(FILTERS).map(name => [name, say(name)]),
      get: () => w.get("filter"), set: filter => w.set({ filter }),
    }),
    kit.range({ label: say("place"), min: 1, max: 5, step: 1, get: now, set: move }),
  ];
  const live = kit.live();
  w.root.append(
    kit.html("div", { class: "row" },
      kit.html("div", { class: "grow" }, picture.element),
      kit.html("div", { class: "grow" },
        kit.html("div", { class: "buttons" }, controls[0].element, controls[1].element), controls[2].element, live.element,
      ),
    ),
  );

  return () => {
    const words = TEXTS[w.get("text")];
    const pair = t => `${words[t]} ${words[t + 1]}`;
    const { all, most, best, mean } = answers(w.get("text"), w.get("filter"));
    const place = now();
    picture.clear();
    picture.line([[0.4, 0], [5.6, 0]], { width: 1 });
    all.forEach((value, t) => {
      const chosen = t === best;
      picture.line([[t + 1, 0], [t + 1, value === 0 ? 0.04 : value]], { colour: chosen ? kit.COLOURS.vermilion : kit.COLOURS.blue, width: 24 });
      picture.text(t + 1, -2.45 + 0.35 * (t % 2), pair(t), { anchor: "middle" });
    });
    if (best >= 0) picture.line([[0.4, most], [5.6, most]], { dash: "5 4", width: 1.5 });
    for (const control of controls) control.draw();
    const value = all[place - 1];
    const read = say("read", {
      n: place, all: all.length, words: pair(place - 1), value: kit.number(value), positive: kit.number(Math.max(0, value)),
    });
    const values = { praise: kit.number(mean[0]), negation: kit.number(mean[1]), most: kit.number(most) };
    const pooled = best < 0 ? say("silent", values) : say("pooled", { ...values, best: pair(best) });
    live.say(`${read} ${pooled}`);
    handle.draw([place, value], read);
    picture.describe(`${say("picture")}. ${read} ${pooled}`);
  };
}

export default { render: view => kit.mount(view, { defaults: DEFAULTS, strings: STRINGS, build }) };
