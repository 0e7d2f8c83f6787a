// Attention explorer (chapter 12): where each word of a sentence looks, by head, causal mask, scaling and width of a head.
import * as kit from "./kit.mjs";
import * as attention from "./attention.mjs";

export const DEFAULTS = { head: "meant", causal: false, scaled: true, d: 4, query: 7, key: 2, weights: [] };

export const STRINGS = {
  en: {
    title: "Attention explorer",
    head: "Head", before: "1: the word before", meant: "2: who is meant", clause: "3: who does what", alike: "4: all alike",
    causal: "Causal mask", scaled: "Scores ÷ √d", d: "Width d", query: "Query", key: "Key",
    map: "Weights: each row is a query, each column a key; hatched: masked", keys: "key: looked at", queries: "query: looks", handle: "Query and key: move",
    bars: "Weights of the query word", share: "weight",
    most: "“{query}” looks most at “{best}”: {weight}; entropy {bits} of at most {all} bits.",
    score: "“{query}” on “{key}”: q·k = {product}, score {score}, weight {weight}.",
    masked: "“{query}” on “{key}”: masked, weight 0.",
    output: "Output: {values}.", living: "living", thing: "thing", doing: "doing", quality: "quality",
  },
  zh: {
    title: "注意力查看器",
    head: "头", before: "1：前一个词", meant: "2：指的是谁", clause: "3：谁做什么", alike: "4：一视同仁",
    causal: "因果掩码", scaled: "得分 ÷ √d", d: "宽度 d", query: "查询", key: "键",
    map: "权重：每行一个查询，每列一个键；斜线：被掩盖", keys: "键：被看的词", queries: "查询：在看的词", handle: "查询和键：移动",
    bars: "查询词的权重", share: "权重",
    most: "“{query}”最关注“{best}”：{weight}；熵 {bits} 比特，最多 {all} 比特。",
    score: "“{query}”对“{key}”：q·k = {product}，得分 {score}，权重 {weight}。",
    masked: "“{query}”对“{key}”：被掩盖，权重 0。",
    output: "输出：{values}。", living: "生物", thing: "物件", doing: "动作", quality: "性质",
  },
};

// ---- mathematics ------------------------------------------------------------------------------------------------------

export const WORDS = ["the", "small", "dog", "chased", "a", "ball", "until", "it", "was", "tired"];
export const WIDTHS = [4, 16, 64, 256];
export const FEATURES = ["living", "thing", "doing", "quality"];

/** What a word hands over: living, thing, doing, quality. */
export const VALUES = [
  [0, 0, 0, 0], [0, 0, 0, 1], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1],
];

/** Queries and keys of each head, four numbers a word. */
export const HEADS = {
  // A key's numbers are cosine and sine of two angles that grow with its position; a query asks for the angles one position before.
  before: {
    q: [-1, 0, 1, 2, 3, 4, 5, 6, 7, 8].map(t => circles(t)),
    k: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9].map(t => circles(t)),
  },
  // Living, thing, doing, quality.
  meant: {
    q: [
      [1, 1, 0, 0], [1.6, 1.6, 0, 0], [1, 0, 0, 2], [2, 1.4, 0, 0], [0.4, 1.6, 0, 0], [0, 1, 1.4, 0.4], [0, 0, 1.8, 0.6], [2.8, 0.8, 0, 0], [2, 0, 0, 1.6],
      [2.6, 0.4, 0, 0],
    ],
    k: [
      [0, 0, 0, 0], [0, 0, 0, 2], [2.2, 1, 0, 0], [0, 0, 2.2, 0], [0, 0, 0, 0], [0.3, 2.2, 0, 0], [0, 0, 0, 0], [1.2, 0.6, 0, 0], [0, 0, 1.4, 0],
      [0, 0, 0, 2.2],
    ],
  },
  // Who does it, what is done, to whom, and the small words before a noun.
  clause: {
    q: [
      [2.4, 0, 0.4, 0], [2.4, 0, 0.4, 0], [0, 2, 0, 1.4], [2.3, 0, 2.4, 0], [0.4, 0, 2.6, 0], [0, 2, 0, 1.4], [0, 2.6, 0, 0], [0, 2.6, 0, 0], [2.6, 0, 0, 0],
      [1.8, 1.6, 0, 0],
    ],
    k: [
      [0, 0, 0, 2.2], [0, 0, 0, 1.6], [2.4, 0, 0.4, 0], [0, 2.4, 0, 0], [0, 0, 0, 2.2], [0.4, 0, 2.4, 0], [0, 0, 0, 0], [2.6, 0, 0, 0], [0, 2.4, 0, 0],
      [0, 1, 0.6, 0],
    ],
  },
  alike: {
    q: WORDS.map(() => [0.2, -0.1, 0.1, 0.2]),
    k: WORDS.map((_, t) => [1, 0.5 * (t % 3), 0.8, 0.4 * (t % 2)]),
  },
};

/** Two circles, one turned slowly and one fast. */
function circles(t) {
  return [Math.cos(0.3 * t), Math.sin(0.3 * t), Math.cos(1.3 * t), Math.sin(1.3 * t)].map(value => 2.4 * value);
}

/**
 * Queries and keys of a head with d numbers a word. The four numbers come again in d/4 blocks; in some of them the query has the
 * other sign, so that most of a long sum cancels, as it does between random vectors: q·k grows like √d.
 */
export function widened(head, d) {
  const blocks = d / 4;
  const alike = (blocks + Math.sqrt(blocks)) / 2;
  const signs = Array.from({ length: blocks }, (_, i) => (i < alike ? 1 : -1));
  const { q, k } = HEADS[head];
  return {
    q: q.map(query => signs.flatMap(sign => query.map(value => sign * value))),
    k: k.map(key => signs.flatMap(() => key)),
  };
}

/** Scores, weights and outputs of the sentence in a head. */
export function attend(head, causal, scaled, d) {
  const { q, k } = widened(head, d);
  return attention.scaledDotProduct(q, k, VALUES, causal, scaled);
}

// ---- picture ----------------------------------------------------------------------------------------------------------

const COUNT = WORDS.length;
const short = value => kit.number(kit.snap(value, 0.01));

/** Half an ellipse from one row to another, to the left of the words. */
function arc(from, to) {
  return Array.from({ length: 25 }, (_, i) => {
    const angle = (Math.PI * i) / 24;
    return [-0.02 - 0.05 * Math.abs(to - from) * Math.sin(angle), (from + to) / 2 + ((from - to) / 2) * Math.cos(angle)];
  });
}

function build(w) {
  const say = w.say;
  const places = WORDS.map((_, i) => i + 0.5);
  const word = place => WORDS[Math.floor(place)];
  const map = kit.plot({
    x: [0, COUNT], y: [0, COUNT], label: say("map"), xLabel: say("keys"), yLabel: say("queries"), width: 400, height: 400, left: 66, bottom: 72, turned: true,
    xTicks: places, yTicks: places, xText: word, yText: place => WORDS[COUNT - 1 - Math.floor(place)],
  });
  const bars = kit.plot({
    x: [-0.5, 1.2], y: [0, COUNT], label: say("bars"), xLabel: say("share"), width: 400, height: 330, left: 12, xTicks: [], yTicks: [],
  });
  const row = t => COUNT - 0.5 - t; // the first word stands on top
  const at = value => kit.clamp(value, 0, COUNT - 1);
  const handle = map.handle({
    label: say("handle"), colour: "var(--w-ink)",
    move: ([u, v]) => w.set({ key: at(Math.floor(u)), query: at(COUNT - 1 - Math.floor(v)) }),
    nudge: ([across, up]) => w.set({ key: at(w.get("key") + across), query: at(w.get("query") - up) }),
  });
  const set = name => value => w.set({ [name]: value });
  const slider = name => kit.range({
    label: say(name), min: 0, max: COUNT - 1, step: 1, get: () => w.get(name), set: set(name), text: t => WORDS[t],
  });
  const tick = name => kit.checkbox({ label: say(name), get: () => w.get(name), set: set(name) });
  const controls = [
    kit.select({ label: say("head"), options: Object.keys(HEADS).map(name => [name, say(name)]), get: () => w.get("head"), set: set("head") }),
    tick("causal"), tick("scaled"),
    kit.range({
      label: say("d"), min: 0, max: WIDTHS.length - 1, step: 1, get: () => WIDTHS.indexOf(w.get("d")), set: i => w.set({ d: WIDTHS[i] }), text: i => `${WIDTHS[i]}`,
    }),
    slider("query"), slider("key"),
  ];
  const live = kit.live();
  const parts = controls.map(control => control.element);
  w.root.append(
    kit.html("div", { class: "row" },
      kit.html("div", { class: "grow" }, kit.html("div", { class: "buttons" }, ...parts.slice(0, 3)), map.element),
      kit.html("div", { class: "grow" }, ...parts.slice(3), live.element, bars.element),
    ),
  );

  return () => {
    const [head, causal, scaled, d, query, key] = ["head", "causal", "scaled", "d", "query", "key"].map(w.get);
    const { scores, weights, output } = attend(head, causal, scaled, d);
    w.set({ weights });
    const own = weights[query];
    const best = own.indexOf(Math.max(...own));
    map.clear();
    map.heat([...weights].reverse());
    if (causal) {
      const hatched = weights.flatMap((_, t) => weights.map((_, s) => [t, s])).filter(([t, s]) => s > t);
      map.pieces(hatched.map(([t, s]) => [[s + 0.3, row(t) - 0.2], [s + 0.7, row(t) + 0.2]]), { width: 1 });
    }
    const edge = row(query) - 0.5;
    map.line([[0, edge], [COUNT, edge], [COUNT, edge + 1], [0, edge + 1], [0, edge]], { colour: kit.COLOURS.vermilion, width: 2.5 });
    bars.clear();
    own.forEach((weight, s) => {
      if (weight > 0.005) bars.line(arc(row(query), row(s)), { colour: kit.COLOURS.blue, width: 0.5 + 8 * weight });
      bars.text(0, row(s), WORDS[s], { dy: 4 });
      if (causal && s > query) bars.text(0.25, row(s), "×", { dy: 4 });
      else bars.line([[0.24, row(s)], [0.24 + 0.72 * weight, row(s)]], { colour: s === best ? kit.COLOURS.vermilion : kit.COLOURS.blue, width: 14 });
      if (!causal || s <= query) bars.text(0.24 + 0.72 * weight, row(s), short(weight), { dx: 5, dy: 4 });
    });
    bars.ring(-0.02, row(query), { size: 5 });
    for (const control of controls) control.draw();
    const names = { query: WORDS[query], key: WORDS[key], best: WORDS[best] };
    const most = say("most", {
      ...names, weight: kit.number(own[best], 2), bits: short(attention.entropy(own)),
      all: kit.number(Math.log2(causal ? query + 1 : COUNT)),
    });
    const product = scores[query][key] * (scaled ? Math.sqrt(d) : 1);
    const one = Number.isFinite(product)
      ? say("score", { ...names, product: kit.number(product), score: kit.number(scores[query][key], 2), weight: kit.number(kit.snap(own[key], 0.001), 3) })
      : say("masked", names);
    const values = say("output", { values: FEATURES.map((name, j) => `${say(name)} ${short(output[query][j])}`).join(", ") });
    live.say(`${most} ${one} ${values}`);
    handle.draw([key + 0.5, row(query)], one);
    map.describe(`${say("map")}. ${most}`);
    bars.describe(`${say("bars")}. ${most}`);
  };
}

export default { render: view => kit.mount(view, { defaults: DEFAULTS, strings: STRINGS, build }) };
