// Chapter 08 in JavaScript: counting, Kneser–Ney, perplexity and drawing words, as in solutions/ngrams.py.

/** exp of the mean of −ln p: among how many equally probable words a model wavers. */
export function perplexity(probabilities) {
  return Math.exp(-probabilities.reduce((sum, p) => sum + Math.log(p), 0) / probabilities.length);
}

/** P(word | context) by counting alone, over all words; null where the context never occurs. A text follows an <eos>, number 0. */
export function counted(tokens, size, context) {
  const text = [0, ...tokens];
  const counts = Array(size).fill(0);
  text.forEach((_, i) => {
    const next = text[i + context.length];
    if (next !== undefined && context.every((word, k) => text[i + k] === word)) counts[next] += 1;
  });
  const total = counts.reduce((sum, count) => sum + count, 0);
  return total === 0 ? null : counts.map(count => count / total);
}

/** The n-grams of a text for Kneser–Ney with one discount an order; a start, number `size`, stands before every sentence. */
function fit(tokens, size, order) {
  const raw = Array.from({ length: order }, () => new Map());
  let sentence = [size];
  for (const word of tokens) {
    sentence.push(word);
    raw.slice(0, sentence.length).forEach((grams, k) => {
      const key = sentence.slice(sentence.length - (k + 1)).join();
      grams.set(key, (grams.get(key) ?? 0) + 1);
    });
    if (word === 0) sentence = [size];
  }
  return raw.map((grams, k) => {
    const counts = k === order - 1 ? grams : company(grams, raw[k + 1], size);
    const having = n => [...counts.values()].filter(count => count === n).length;
    const discount = having(1) === 0 ? 0.5 : having(1) / (having(1) + 2 * having(2));
    const after = new Map();
    for (const [key, count] of counts) {
      const words = key.split(",").map(Number);
      const context = words.slice(0, -1).join();
      if (!after.has(context)) after.set(context, []);
      after.get(context).push([words.at(-1), count]);
    }
    return { discount, after };
  });
}

/** In how many words' company each n-gram occurs; at the start of a sentence it has none, and counts as often as it occurs. */
function company(grams, longer, size) {
  const found = new Map();
  for (const key of longer.keys()) {
    const rest = key.slice(key.indexOf(",") + 1);
    found.set(rest, (found.get(rest) ?? 0) + 1);
  }
  for (const [key, count] of grams) if (key.split(",")[0] === String(size)) found.set(key, count);
  return found;
}

/** P(word | context) of what `fit` gave, over all words; the context is a text that starts a sentence. */
function kneserNey(levels, size, context) {
  const from = context.lastIndexOf(0);
  const history = [size, ...context.slice(from + 1)];
  return levels.reduce((lower, { discount, after }, k) => {
    const next = k > history.length ? undefined : after.get(history.slice(history.length - k).join());
    if (next === undefined) return lower;
    const total = next.reduce((sum, [, count]) => sum + count, 0);
    const mixed = lower.map(p => (discount * next.length * p) / total);
    for (const [word, count] of next) mixed[word] += (count - discount) / total;
    return mixed;
  }, Array(size).fill(1 / size));
}

const fitted = new WeakMap();

/** P(word | context) by interpolated Kneser–Ney, over all words; a text is counted once. */
export function kneserNeyOf(tokens, size, order, context) {
  if (fitted.get(tokens)?.length !== order) fitted.set(tokens, fit(tokens, size, order));
  return kneserNey(fitted.get(tokens), size, context);
}

/** A distribution after temperature, then with its k most probable words, then with the fewest that add up to topP. */
export function choose(probabilities, temperature, topK, topP) {
  const order = probabilities.map((_, word) => word).sort((a, b) => probabilities[b] - probabilities[a]);
  const most = probabilities[order[0]];
  let kept = order.map(word => (probabilities[word] === 0 ? 0 : Math.exp(Math.log(probabilities[word] / most) / temperature)));
  kept = normalised(kept.map((p, place) => (place < topK ? p : 0)));
  let before = 0;
  kept = normalised(kept.map(p => {
    const stays = before < topP - 1e-12;
    before += p;
    return stays ? p : 0;
  }));
  const result = Array(probabilities.length).fill(0);
  order.forEach((word, place) => {
    result[word] = kept[place];
  });
  return result;
}

function normalised(values) {
  const total = values.reduce((sum, value) => sum + value, 0);
  return values.map(value => value / total);
}

/** The word on whose piece of [0, 1) a draw falls. */
export function sampleWord(probabilities, draw) {
  let end = 0;
  let last = 0;
  for (const [word, p] of probabilities.entries()) {
    if (p > 0) last = word;
    end += p;
    if (draw < end) return word;
  }
  return last;
}
