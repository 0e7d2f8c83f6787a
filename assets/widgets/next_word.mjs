// Next-word explorer (chapter 08): what four models of Genesis 1 to 3 expect after a context, and what is drawn from them.
import * as kit from "./kit.mjs";
import * as ngrams from "./ngrams.mjs";
import * as network from "./feedforward_lm.mjs";
import * as stored from "./next_word_model.mjs";
import * as optimisers from "./optimisers.mjs";

export const DEFAULTS = { text: [3, 7, 38, 2], model: "network", beside: "kneser_ney", temperature: 1, top_k: 120, top_p: 1, seed: 1 };

export const STRINGS = {
  en: {
    title: "Next-word explorer",
    model: "Model (solid)", beside: "Beside it (dotted)",
    bigram: "bigram, counted", trigram: "trigram, counted", kneser_ney: "Kneser–Ney 3", network: "feed-forward network",
    picture: "The ten most probable next words", axis: "probability",
    temperature: "T", top_k: "top-k", top_p: "nucleus p", word: "Add a word", draw: "Draw a word", back: "Take one back", again: "From the start",
    context: "… {words}",
    read: "{model} after “{context}”: {list}. {left} of {all} words can be drawn.",
    never: "{model} never saw “{context}”: it says nothing.",
  },
  zh: {
    title: "下一个词",
    model: "模型（实线）", beside: "对照（点线）",
    bigram: "二元计数", trigram: "三元计数", kneser_ney: "Kneser–Ney 三元", network: "前馈网络",
    picture: "最可能的十个词", axis: "概率",
    temperature: "T", top_k: "top-k", top_p: "核 p", word: "添加一个词", draw: "抽取一个词", back: "退回一个词", again: "从头开始",
    context: "… {words}",
    read: "{model}，“{context}”之后：{list}。{all} 个词中有 {left} 个可能被抽到。",
    never: "{model} 从未见过“{context}”，给不出概率。",
  },
};

const { words: WORDS, tokens: TOKENS, order: ORDER, network: NETWORK } = stored.MODEL;
const MODELS = ["bigram", "trigram", "kneser_ney", "network"];
const SEEN = { bigram: 1, trigram: 2, kneser_ney: 2, network: ORDER - 1 };

// ---- mathematics ------------------------------------------------------------------------------------------------------

/** The last words that a model looks at; before a text begins there are ends of sentences. */
export function contextOf(text, model) {
  return [...Array(ORDER).fill(0), ...text].slice(-SEEN[model]);
}

/** P(word | text) by one of the four models; null where it never saw the context. */
export function expected(model, text) {
  if (model === "network") return network.distribution(contextOf(text, model), NETWORK);
  if (model === "kneser_ney") return ngrams.kneserNeyOf(TOKENS, WORDS.length, 3, text);
  return ngrams.counted(TOKENS, WORDS.length, contextOf(text, model));
}

/** The word that the next draw gives; draws come from a seed, one for each place of the text. */
export function drawn(model, text, temperature, topK, topP, seed) {
  const p = expected(model, text);
  return p === null ? 0 : ngrams.sampleWord(ngrams.choose(p, temperature, topK, topP), optimisers.uniforms(text.length + 1, seed).at(-1));
}

// ---- picture ----------------------------------------------------------------------------------------------------------

const ROWS = 10;

function build(w) {
  const say = w.say;
  const picture = kit.plot({
    x: [0, 1], y: [0, ROWS], label: say("picture"), xLabel: say("axis"), width: 420, height: 330, yTicks: [], left: 20,
  });
  const slider = (name, min, max, step) => kit.range({
    label: say(name), min, max, step, get: () => w.get(name), set: value => w.set({ [name]: value }),
  });
  const options = MODELS.map(name => [name, say(name)]);
  const controls = [
    kit.select({ label: say("model"), options, get: () => w.get("model"), set: model => w.set({ model }) }),
    kit.select({ label: say("beside"), options, get: () => w.get("beside"), set: beside => w.set({ beside }) }),
    kit.select({
      label: say("word"), options: WORDS.map((word, number) => [String(number), word]),
      get: () => String(w.get("text").at(-1) ?? 0), set: number => w.set({ text: [...w.get("text"), Number(number)].slice(-60) }),
    }),
    slider("temperature", 0.1, 3, 0.1), slider("top_k", 1, WORDS.length, 1), slider("top_p", 0.05, 1, 0.05),
  ];
  const draw = kit.button(say("draw"), () => {
    const [text, model, temperature, topK, topP, seed] = ["text", "model", "temperature", "top_k", "top_p", "seed"].map(w.get);
    w.set({ text: [...text, drawn(model, text, temperature, topK, topP, seed)].slice(-60) });
  });
  const back = kit.button(say("back"), () => w.set({ text: w.get("text").slice(0, -1) }));
  const again = kit.button(say("again"), () => w.set({ text: [], seed: w.get("seed") + 1 }));
  const written = kit.html("p");
  const live = kit.live();
  w.root.append(
    kit.html("div", { class: "row" },
      kit.html("div", { class: "grow" }, written, picture.element),
      kit.html("div", { class: "grow" },
        kit.html("div", { class: "buttons" }, draw, back, again),
        ...controls.map(control => control.element), live.element,
      ),
    ),
  );

  return () => {
    const [text, model, beside, temperature, topK, topP] = ["text", "model", "beside", "temperature", "top_k", "top_p"].map(w.get);
    const [main, other] = [model, beside].map(name => {
      const p = expected(name, text);
      return p === null ? null : ngrams.choose(p, temperature, topK, topP);
    });
    const ranked = WORDS.map((_, word) => word).sort((a, b) => (main ?? other ?? [])[b] - (main ?? other ?? [])[a]).slice(0, ROWS);
    picture.clear();
    ranked.forEach((word, row) => {
      const y = ROWS - row - 0.5;
      if (other) picture.line([[0, y - 0.2], [other[word], y - 0.2]], { colour: kit.COLOURS.vermilion, width: 4, dash: "2 3" });
      if (main) picture.line([[0, y + 0.1], [main[word], y + 0.1]], { colour: kit.COLOURS.blue, width: 8 });
      picture.text(Math.max(main?.[word] ?? 0, other?.[word] ?? 0), y, `${WORDS[word]} ${kit.number((main ?? other ?? [])[word] ?? 0, 3)}`, { dx: 6, dy: 4 });
    });
    for (const control of controls) control.draw();
    kit.enable(back, text.length > 0);
    written.textContent = say("context", { words: text.slice(-18).map(word => WORDS[word]).join(" ") });
    const context = contextOf(text, model).map(word => WORDS[word]).join(" ");
    const list = main && ranked.slice(0, 3).map(word => `${WORDS[word]} ${kit.number(main[word], 3)}`).join(", ");
    const sentence = main
      ? say("read", { model: say(model), context, list, left: main.filter(p => p > 0).length, all: WORDS.length })
      : say("never", { model: say(model), context });
    live.say(sentence);
    picture.describe(`${say("picture")}. ${sentence}`);
  };
}

export default { render: view => kit.mount(view, { defaults: DEFAULTS, strings: STRINGS, build }) };
