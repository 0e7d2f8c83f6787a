// Perplexity as a branching factor (chapter 08): four words with 1/p choices each, and the die with as many sides on average.
import * as kit from "./kit.mjs";
import * as ngrams from "./ngrams.mjs";

export const DEFAULTS = { choices: [2, 9, 4, 3] };

export const STRINGS = {
  en: {
    title: "Perplexity as a branching factor",
    picture: "Choices 1/p at each of four words; perplexity solid, plain mean dashed",
    axis: "word", height: "choices 1/p", choice: "1/p of word {k}",
    read: "P = {p}, perplexity {ppl}: as uncertain as a die of {ppl} sides at each word; {bits} bits a word. The plain mean of the choices is {mean}.",
  },
  zh: {
    title: "困惑度是平均分支数",
    picture: "四个词各自的选择数 1/p；实线为困惑度，虚线为算术平均",
    axis: "词", height: "选择数 1/p", choice: "词 {k} 的 1/p",
    read: "P = {p}，困惑度 {ppl}：相当于每个词掷一次 {ppl} 面的骰子；每词 {bits} 比特。选择数的算术平均为 {mean}。",
  },
};

// ---- mathematics ------------------------------------------------------------------------------------------------------

/** What four words with so many choices give: their probability, perplexity, bits a word and the plain mean. */
export function summary(choices) {
  const probabilities = choices.map(k => 1 / k);
  const value = ngrams.perplexity(probabilities);
  return {
    probability: probabilities.reduce((product, p) => product * p, 1),
    perplexity: value,
    bits: Math.log2(value),
    mean: choices.reduce((sum, k) => sum + k, 0) / choices.length,
  };
}

// ---- picture ----------------------------------------------------------------------------------------------------------

function build(w) {
  const say = w.say;
  const picture = kit.plot({
    x: [0.4, 4.6], y: [0, 64], label: say("picture"), xLabel: say("axis"), yLabel: say("height"), width: 380, height: 300, xTicks: [1, 2, 3, 4],
  });
  const controls = [1, 2, 3, 4].map((k, i) =>
    kit.range({
      label: say("choice", { k }), min: 1, max: 64, step: 1, get: () => w.get("choices")[i],
      set: value => w.set({ choices: w.get("choices").map((old, j) => (j === i ? value : old)) }),
    }),
  );
  const live = kit.live();
  w.root.append(
    kit.html("div", { class: "row" },
      kit.html("div", { class: "grow" }, picture.element),
      kit.html("div", { class: "grow" }, ...controls.map(control => control.element), live.element),
    ),
  );

  return () => {
    const choices = w.get("choices");
    const { probability, perplexity, bits, mean } = summary(choices);
    picture.clear();
    choices.forEach((k, i) => picture.line([[i + 1, 0], [i + 1, k]], { colour: kit.COLOURS.blue, width: 30 }));
    picture.line([[0.4, perplexity], [4.6, perplexity]], { colour: kit.COLOURS.vermilion, width: 2.5 });
    picture.line([[0.4, mean], [4.6, mean]], { dash: "6 4" });
    for (const control of controls) control.draw();
    const sentence = say("read", {
      p: kit.number(probability, 6), ppl: kit.number(perplexity, 3), bits: kit.number(bits, 3), mean: kit.number(mean, 3),
    });
    live.say(sentence);
    picture.describe(`${say("picture")}. ${sentence}`);
  };
}

export default { render: view => kit.mount(view, { defaults: DEFAULTS, strings: STRINGS, build }) };
