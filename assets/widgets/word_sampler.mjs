// Word sampler (chapter 09): which words stay under greedy choice, temperature, top-k and nucleus, and what is drawn.
import * as kit from "./kit.mjs";
import * as recurrent from "./recurrent.mjs";
import * as optimisers from "./optimisers.mjs";

export const DEFAULTS = { temperature: 1, top_k: 8, top_p: 1, seed: 1 };

export const STRINGS = {
  en: {
    title: "Word sampler", temperature: "T", top_k: "top-k", top_p: "top-p", draw: "Draw anew", greedy: "Greedy", plain: "As the model says",
    picture: "Probabilities of the next word: dashed line before, bar after", share: "probability", axis: "word after “and the king”",
    read: "T = {t}, top-k {k}, top-p {p}: {count} of 8 words stay: {words}.", drawn: "Ten draws: {drawn}.",
  },
  zh: {
    title: "词采样器", temperature: "T", top_k: "top-k", top_p: "top-p", draw: "重新抽取", greedy: "贪心", plain: "照模型原样",
    picture: "下一个词的概率：虚线为之前，粗条为之后", share: "概率", axis: "“and the king”之后的词",
    read: "T = {t}，top-k {k}，top-p {p}：8 个词中保留 {count} 个：{words}。", drawn: "十次抽取：{drawn}。",
  },
};

// ---- mathematics ------------------------------------------------------------------------------------------------------

export const WORDS = ["said", "of", "went", "and", "sent", "shall", "was", "fig"];
export const SHARES = [0.36, 0.24, 0.12, 0.1, 0.08, 0.05, 0.04, 0.01];

/** The probabilities after temperature, top-k and nucleus; top-k 8 and top-p 1 keep all. */
export function reshaped(temperature, topK, topP) {
  const logits = SHARES.map(Math.log);
  return recurrent.wordProbabilities(logits, temperature, topK === 8 ? null : topK, topP === 1 ? null : topP);
}

/** Numbers of so many words drawn with the random numbers of a seed: the first word whose running sum exceeds the number. */
export function drawn(probabilities, count, seed) {
  const last = probabilities.findLastIndex(p => p > 0);
  return optimisers.uniforms(count, seed).map(number => {
    let total = 0;
    const found = probabilities.findIndex(p => (total += p) > number);
    return found < 0 ? last : found;
  });
}

// ---- picture ----------------------------------------------------------------------------------------------------------

function build(w) {
  const say = w.say;
  const places = WORDS.map((_, i) => i + 1);
  const picture = kit.plot({
    x: [0.4, 8.6], y: [0, 1], label: say("picture"), xLabel: say("axis"), yLabel: say("share"), width: 420, height: 300, xTicks: places,
    xText: k => WORDS[k - 1],
  });
  const range = (name, min, max, step) =>
    kit.range({ label: say(name), min, max, step, get: () => w.get(name), set: value => w.set({ [name]: value }) });
  const controls = [range("temperature", 0, 3, 0.1), range("top_k", 1, 8, 1), range("top_p", 0.05, 1, 0.05)];
  const buttons = [
    kit.button(say("draw"), () => w.set({ seed: w.get("seed") + 1 })),
    kit.button(say("greedy"), () => w.set({ temperature: 0 })),
    kit.button(say("plain"), () => w.set({ temperature: 1, top_k: 8, top_p: 1 })),
  ];
  const live = kit.live();
  w.root.append(
    kit.html("div", { class: "row" },
      kit.html("div", { class: "grow" }, picture.element),
      kit.html("div", { class: "grow" }, ...controls.map(control => control.element), kit.html("div", { class: "buttons" }, ...buttons), live.element),
    ),
  );

  return () => {
    const [t, k, p, seed] = ["temperature", "top_k", "top_p", "seed"].map(w.get);
    const after = reshaped(t, k, p);
    picture.clear();
    after.forEach((share, i) => {
      if (share > 0) picture.line([[i + 1, 0], [i + 1, share]], { colour: kit.COLOURS.blue, width: 22 });
      picture.line([[i + 0.6, SHARES[i]], [i + 1.4, SHARES[i]]], { width: 1.5, dash: "3 2" });
      picture.text(i + 1, Math.min(Math.max(share, SHARES[i]), 0.93), share > 0 ? kit.number(share, 3) : "–", { anchor: "middle", dy: -5 });
    });
    for (const control of controls) control.draw();
    const kept = WORDS.filter((_, i) => after[i] > 0);
    const shares = kept.map(word => `${word} ${kit.number(after[WORDS.indexOf(word)], 3)}`).join(", ");
    const read = say("read", { t: kit.number(t), k, p: kit.number(p), count: kept.length, words: shares });
    const ten = say("drawn", { drawn: drawn(after, 10, seed).map(i => WORDS[i]).join(" ") });
    live.say(`${read} ${ten}`);
    picture.describe(`${say("picture")}. ${read}`);
  };
}

export default { render: view => kit.mount(view, { defaults: DEFAULTS, strings: STRINGS, build }) };
