// Positional map (chapter 12): sinusoidal encodings, and how near each position is to the others.
import * as kit from "./kit.mjs";
import * as attention from "./attention.mjs";

export const DEFAULTS = { positions: 40, width: 32, position: 12, dimension: 6 };

export const STRINGS = {
  en: {
    title: "Map of positions", positions: "Positions", width: "Width d", position: "Position", dimension: "Dimension",
    map: "Encodings: each row is a position, each column a dimension; the stronger the colour, the nearer to 1; blank is −1",
    columns: "dimension", rows: "position", handle: "Position and dimension: move",
    near: "Dot product of the chosen position with every position, over d/2 (solid); values of the chosen dimension (dashed)",
    other: "position", share: "product ÷ d/2",
    one: "Position {t}, dimension {j}: {kind} = {value}; this wave comes round after {wave} positions.",
    product: "Dot product with itself {own} = d/2; with each neighbour {beside}; least with position {far}: {least}.",
    edge: "Dot product with itself {own} = d/2; with its neighbour {beside}; least with position {far}: {least}.", sine: "sine", cosine: "cosine",
  },
  zh: {
    title: "位置编码图", positions: "位置数", width: "宽度 d", position: "位置", dimension: "维度",
    map: "编码：每行一个位置，每列一个维度；颜色越深越接近 1，空白为 −1",
    columns: "维度", rows: "位置", handle: "位置和维度：移动",
    near: "所选位置与每个位置的点积，除以 d/2（实线）；所选维度的值（虚线）",
    other: "位置", share: "点积 ÷ d/2",
    one: "位置 {t}，维度 {j}：{kind} = {value}；这个波每 {wave} 个位置重复一次。",
    product: "与自身的点积 {own} = d/2；与两侧相邻位置：{beside}；与位置 {far} 最小：{least}。",
    edge: "与自身的点积 {own} = d/2；与相邻位置：{beside}；与位置 {far} 最小：{least}。", sine: "正弦", cosine: "余弦",
  },
};

// ---- mathematics ------------------------------------------------------------------------------------------------------

export const MOST = [64, 64]; // positions and dimensions

/** Dot products of one position's encoding with all, and where they are least. */
export function products(encodings, position) {
  const all = encodings.map(row => attention.dot(row, encodings[position]));
  const least = Math.min(...all);
  return { all, least, far: all.indexOf(least) };
}

/** The position beside one: the next, or the one before the last. */
export function beside(position, positions) {
  return position + 1 < positions ? position + 1 : position - 1;
}

// ---- picture ----------------------------------------------------------------------------------------------------------

function build(w) {
  const say = w.say;
  const at = (name, most) => kit.clamp(w.get(name), 0, w.get(most) - 1);
  const now = () => [at("position", "positions"), at("dimension", "width")];
  const go = (position, dimension) => w.set({
    position: kit.clamp(Math.round(position), 0, w.get("positions") - 1), dimension: kit.clamp(Math.round(dimension), 0, w.get("width") - 1),
  });
  const quarters = [0, 0.25, 0.5, 0.75, 1]; // the map fills its frame, however many positions and dimensions there are
  const map = kit.plot({
    x: [0, 1], y: [0, 1], label: say("map"), xLabel: say("columns"), yLabel: say("rows"), width: 400, height: 360, xTicks: quarters, yTicks: quarters,
  });
  const near = kit.plot({ x: [0, MOST[0]], y: [-1, 1.1], label: say("near"), xLabel: say("other"), yLabel: say("share"), width: 400, height: 250, yTicks: [-1, -0.5, 0, 0.5, 1] });
  const handle = map.handle({
    label: say("handle"), colour: kit.COLOURS.vermilion,
    move: ([u, v]) => go(Math.floor(v * w.get("positions")), Math.floor(u * w.get("width"))),
    nudge: ([across, up]) => go(now()[0] + up, now()[1] + across),
  });
  const range = (name, min, max, step, get = () => w.get(name), set = value => w.set({ [name]: value })) =>
    kit.range({ label: say(name), min, max, step, get, set });
  const controls = [
    range("positions", 8, MOST[0], 4), range("width", 4, MOST[1], 4),
    range("position", 0, MOST[0] - 1, 1, () => now()[0], t => go(t, now()[1])),
    range("dimension", 0, MOST[1] - 1, 1, () => now()[1], j => go(now()[0], j)),
  ];
  const live = kit.live();
  w.root.append(
    kit.html("div", { class: "row" },
      kit.html("div", { class: "grow" }, map.element, kit.html("p", {}, say("map"))),
      kit.html("div", { class: "grow" }, ...controls.map(control => control.element), live.element, near.element, kit.html("p", {}, say("near"))),
    ),
  );

  return () => {
    const [positions, width] = ["positions", "width"].map(w.get);
    const [t, j] = now();
    const encodings = attention.sinusoidal(positions, width);
    const { all, least, far } = products(encodings, t);
    map.clear();
    map.tell("x", share => kit.number(share * width));
    map.tell("y", share => kit.number(share * positions));
    map.heat(encodings.map(row => row.map(value => (1 + value) / 2)));
    const [low, high] = [t / positions, (t + 1) / positions];
    map.line([[0, low], [1, low]], { width: 1.5 });
    map.line([[0, high], [1, high]], { width: 1.5 });
    for (const edge of [j / width, (j + 1) / width]) map.line([[edge, 0], [edge, 1]], { width: 1, dash: "4 3" });
    near.clear();
    near.line(encodings.map((row, s) => [s, row[j]]), { colour: kit.COLOURS.vermilion, width: 1.5, dash: "5 4" });
    near.line(all.map((value, s) => [s, value / (width / 2)]), { colour: kit.COLOURS.blue, width: 2.5 });
    near.point(t, 1, { colour: kit.COLOURS.blue, size: 6 });
    near.text(t, 1, String(t), { dx: 9, dy: 2 });
    for (const control of controls) control.draw();
    const one = say("one", {
      t, j, kind: say(j % 2 === 0 ? "sine" : "cosine"), value: kit.number(encodings[t][j], 3), wave: kit.number(attention.waveLength(j, width), 1),
    });
    const values = { own: kit.number(all[t]), beside: kit.number(all[beside(t, positions)]), far, least: kit.number(least) };
    const product = t > 0 && t + 1 < positions ? say("product", values) : say("edge", values);
    live.say(`${one} ${product}`);
    handle.draw([(j + 0.5) / width, (t + 0.5) / positions], one);
    map.describe(`${say("map")}. ${one}`);
    near.describe(`${say("near")}. ${product}`);
  };
}

export default { render: view => kit.mount(view, { defaults: DEFAULTS, strings: STRINGS, build }) };
