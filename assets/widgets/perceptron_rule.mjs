// Perceptron-rule stepper (chapter 02): show the unit one sample after another and see every correction.
import * as kit from "./kit.mjs";
import * as perceptron from "./perceptron.mjs";

export const DEFAULTS = { gate: "or", start: [0, 0, 0], step: 0, weights: [0, 0], bias: 0 };

export const STRINGS = {
  en: {
    title: "Perceptron-rule stepper",
    gate: "Task",
    and: "AND", or: "OR", nand: "NAND", xor: "XOR",
    plane: "The plane of the two inputs. Discs are corners with label 1, squares with label 0; the unit fires on the hatched side; the ring marks the sample just shown",
    back: "Back", next: "Next sample", mistake: "Next mistake", again: "Start again",
    table: "The mistakes so far",
    epoch: "epoch", row: "row", w_after: "w after", b_after: "b after",
    start: "Nothing shown yet: w = {w}, b = {b}. What will the unit say to {x}?",
    right: "Epoch {epoch}, row {x}: z = {z}, ŷ = {yHat}, y = {y}: right, nothing changes.",
    wrong: "Epoch {epoch}, row {x}: z = {z}, ŷ = {yHat}, y = {y}: mistake {count}. w becomes {w}, b becomes {b}.",
    done: "The whole epoch was right: training ends after {count} mistakes.",
    again_same: "The weights at the end of this epoch were there before, at the end of epoch {epoch}: it will go round for ever.",
    end: "Stopped after {epochs} epochs.",
  },
  zh: {
    title: "感知机学习规则",
    gate: "任务",
    and: "与 (AND)", or: "或 (OR)", nand: "与非 (NAND)", xor: "异或 (XOR)",
    plane: "两个输入构成的平面。圆点的标签为 1，方块的标签为 0；单元在阴影一侧激活；圆环标出刚出示的样本",
    back: "后退", next: "下一个样本", mistake: "下一个错误", again: "重新开始",
    table: "到目前为止的错误",
    epoch: "轮次", row: "样本", w_after: "更新后的 w", b_after: "更新后的 b",
    start: "还没有出示样本：w = {w}，b = {b}。单元对 {x} 会输出什么？",
    right: "第 {epoch} 轮，样本 {x}：z = {z}，ŷ = {yHat}，y = {y}：正确，不更新。",
    wrong: "第 {epoch} 轮，样本 {x}：z = {z}，ŷ = {yHat}，y = {y}：第 {count} 个错误。w 变为 {w}，b 变为 {b}。",
    done: "这一轮全部正确：共 {count} 个错误，训练结束。",
    again_same: "这一轮结束时的权重与第 {epoch} 轮结束时相同：它会永远循环下去。",
    end: "{epochs} 轮后停止。",
  },
};

// ---- mathematics ------------------------------------------------------------------------------------------------------

export const CORNERS = [[0, 0], [0, 1], [1, 0], [1, 1]];
export const LABELS = { and: [0, 0, 0, 1], or: [0, 1, 1, 1], nand: [1, 1, 1, 0], xor: [0, 1, 1, 0] };
export const MOST_EPOCHS = 25;

/** All samples that training shows for a gate, from start = [w₁, w₂, b]. */
export function course(gate, start) {
  return perceptron.trainPerceptron(CORNERS, LABELS[gate], start.slice(0, 2), start[2], MOST_EPOCHS);
}

/** After which sample (counted from 1) the next mistake after `step` has happened; the last sample if there is none. */
export function nextMistake(shown, step) {
  const found = shown.findIndex((sample, i) => i >= step && sample.mistake);
  return found < 0 ? shown.length : found + 1;
}

/** The earlier epoch that ended with the same weights as the one that ends with sample `step`, or 0. */
export function repeated(shown, step) {
  if (step === 0 || step % CORNERS.length > 0) return 0;
  const ends = shown.slice(0, step).filter((_, i) => i % CORNERS.length === CORNERS.length - 1);
  const last = ends.at(-1);
  return ends.findIndex(end => end !== last && end.b === last.b && end.w.every((value, j) => value === last.w[j])) + 1;
}

// ---- picture ----------------------------------------------------------------------------------------------------------

function build(w) {
  const say = w.say;
  const plane = kit.plot({ x: [-1, 2], y: [-1, 2], label: say("plane"), xLabel: "x₁", yLabel: "x₂" });
  const shown = () => course(w.get("gate"), w.get("start"));
  const go = step => w.set({ step: kit.clamp(step, 0, shown().length) });
  const gate = kit.select({
    label: say("gate"),
    options: Object.keys(LABELS).map(name => [name, say(name)]),
    get: () => w.get("gate"),
    set: name => w.set({ gate: name, step: 0 }),
  });
  const back = kit.button(say("back"), () => go(w.get("step") - 1));
  const next = kit.button(say("next"), () => go(w.get("step") + 1));
  const mistake = kit.button(say("mistake"), () => go(nextMistake(shown(), w.get("step"))));
  const again = kit.button(say("again"), () => go(0));
  const table = kit.table(say("table"), [say("epoch"), say("row"), "z", "ŷ", "y", say("w_after"), say("b_after")]);
  const live = kit.live();
  w.root.append(
    kit.html("div", { class: "buttons" }, gate.element, back, next, mistake, again),
    live.element,
    kit.html("div", { class: "row" },
      kit.html("div", { class: "grow" }, plane.element),
      kit.html("div", { class: "grow" }, table.element),
    ),
  );

  return () => {
    const samples = shown();
    const y = LABELS[w.get("gate")];
    const step = kit.clamp(w.get("step"), 0, samples.length);
    const [w1, w2, b0] = w.get("start");
    const now = step === 0 ? { w: [w1, w2], b: b0 } : samples[step - 1];
    w.set({ weights: now.w, bias: now.b });
    const mistakes = samples.slice(0, step).filter(sample => sample.mistake);

    plane.clear();
    plane.halfPlane(now.w, now.b);
    if (now.mistake) {
      const before = step === 1 ? { w: [w1, w2], b: b0 } : samples[step - 2];
      plane.straight(before.w, before.b, { dash: "5 4", opacity: 0.6 });
    }
    plane.straight(now.w, now.b);
    plane.arrow([0, 0], now.w.map(value => value / 2));
    CORNERS.forEach(([u, v], i) => plane.point(u, v, y[i] ? {} : { shape: "square", colour: kit.COLOURS.vermilion, open: true }));
    if (step > 0) plane.ring(...CORNERS[now.row], now.mistake ? { dash: "3 3" } : {});

    gate.draw();
    kit.enable(back, step > 0);
    kit.enable(again, step > 0);
    kit.enable(next, step < samples.length);
    kit.enable(mistake, step < samples.length);
    table.draw(
      mistakes.map(s => [s.epoch, kit.tuple(CORNERS[s.row]), kit.number(s.z), s.yHat, s.y, kit.tuple(s.w), kit.number(s.b)]),
      now.mistake ? mistakes.length - 1 : -1,
    );

    const values = { w: kit.tuple(now.w), b: kit.number(now.b), count: mistakes.length, epochs: MOST_EPOCHS };
    const sentences = [];
    if (step === 0) sentences.push(say("start", { ...values, x: kit.tuple(CORNERS[0]) }));
    else {
      const sample = { ...values, epoch: now.epoch, x: kit.tuple(CORNERS[now.row]), z: kit.number(now.z), yHat: now.yHat, y: now.y };
      sentences.push(say(now.mistake ? "wrong" : "right", sample));
      const before = repeated(samples, step);
      const clean = !samples.slice(-CORNERS.length).some(s => s.mistake);
      if (step === samples.length) sentences.push(say(clean ? "done" : "end", values));
      else if (before) sentences.push(say("again_same", { epoch: before }));
    }
    live.say(sentences.join(" "));
    plane.describe(`${say("plane")}. ${sentences[0]}`);
  };
}

export default { render: view => kit.mount(view, { defaults: DEFAULTS, strings: STRINGS, build }) };
