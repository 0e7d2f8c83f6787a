// node golden.mjs CASES.json FOLDER…: calls functions of the widgets' modules and compares with what Python expects.
//
// A case is {module, call, args, expected}. Numbers travel as JSON, those it cannot hold as {"number": "NaN"}, functions of two
// numbers as {"formula": "u - v"}. Prints one JSON object a folder, {folder, cases, wrong: [text, …]}; of several folders each is left
// at its first wrong case. The exit code is 0 if that was possible.
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";

const TOLERANCE = 1e-9; // relative above 1, absolute below
const [file, ...folders] = process.argv.slice(2);

function revive(value) {
  if (Array.isArray(value)) return value.map(revive);
  if (value !== null && typeof value === "object") {
    if ("number" in value) return Number(value.number);
    if ("formula" in value) return new Function("u", "v", `return ${value.formula};`);
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, revive(inner)]));
  }
  return value;
}

/** Where two values differ first, or nothing. */
function difference(got, expected, path) {
  if (typeof expected === "number") {
    if (typeof got !== "number") return `${path}: ${got} is no number`;
    if (Object.is(got, expected) || got === expected) return "";
    return Math.abs(got - expected) <= TOLERANCE * Math.max(1, Math.abs(expected)) ? "" : `${path}: ${got} instead of ${expected}`;
  }
  if (expected !== null && typeof expected === "object") {
    if (got === null || typeof got !== "object" || Array.isArray(got) !== Array.isArray(expected)) return `${path}: another kind of value`;
    if (Object.keys(got).sort().join() !== Object.keys(expected).sort().join()) return `${path}: has ${Object.keys(got)} instead of ${Object.keys(expected)}`;
    for (const key of Object.keys(expected)) {
      const found = difference(got[key], expected[key], `${path}.${key}`);
      if (found) return found;
    }
    return "";
  }
  return got === expected ? "" : `${path}: ${got} instead of ${expected}`;
}

const cases = JSON.parse(readFileSync(file, "utf8"));
for (const folder of folders) {
  const modules = {};
  const wrong = [];
  for (const { module, call, args, expected } of cases) {
    let got;
    try {
      modules[module] ??= await import(pathToFileURL(resolve(folder, `${module}.mjs`)));
      got = modules[module][call](...revive(args));
    } catch (error) {
      got = String(error);
    }
    const found = difference(got, revive(expected), `${module}.${call}(${JSON.stringify(args)})`);
    if (found) wrong.push(found);
    if (found && folders.length > 1) break;
  }
  console.log(JSON.stringify({ folder, cases: cases.length, wrong }));
}
