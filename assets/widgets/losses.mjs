// Chapter 04 in JavaScript: the same functions, under the same names, as solutions/losses.py, for one sample each.
import * as layers from "./hidden_layers.mjs";

/** The names of the losses of one score, in the order of the chapter's table. */
export const LOSSES = ["absolute", "squared", "zero_one", "hinge", "logistic", "exponential"];

/** The loss of one score, by name, and its slope by the score: [loss, slope]. */
export function sampleLosses(name, score, target) {
  const margin = target * score;
  const off = score - target;
  switch (name) {
    case "zero_one": return [margin > 0 ? 0 : 1, 0];
    case "absolute": return [Math.abs(off), Math.sign(off)];
    case "squared": return [off ** 2, 2 * off];
    case "hinge": return [Math.max(0, 1 - margin), margin < 1 ? -target : 0];
    case "logistic": return [layers.activation("softplus", -margin), -target * layers.stableSigmoid(-margin)];
    case "exponential": return [Math.exp(-margin), -target * Math.exp(-margin)];
    default: throw new Error(`no loss is called ${name}`);
  }
}

/** Logarithms of the probabilities of one row of scores, without overflow. */
export function logSoftmax(logits) {
  const top = Math.max(...logits);
  const total = Math.log(logits.reduce((sum, z) => sum + Math.exp(z - top), 0));
  return logits.map(z => z - top - total);
}
