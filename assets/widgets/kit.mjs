// What every widget shares: a root that follows the theme and the language, plots that can be dragged, labelled controls.
//
// No dependency and no request. Nothing here touches the document before `mount` is called, so that Node can import it.

// ---- mathematics ------------------------------------------------------------------------------------------------------

/** Round to the nearest multiple of a step, without the dust of binary fractions: snap(0.30000000000000004, 0.1) is 0.3. */
export function snap(value, step) {
  const digits = Math.max(0, Math.ceil(-Math.log10(step)) + 1);
  return Number((Math.round(value / step) * step).toFixed(digits));
}

/** Keep a value between two limits. */
export function clamp(value, low, high) {
  return Math.min(Math.max(value, low), high);
}

/** Round values from low to high for an axis, about `wanted` of them, at multiples of 1, 2 or 5 times a power of ten. */
export function ticks(low, high, wanted = 5) {
  const raw = (high - low) / wanted;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = power * (raw / power > 5 ? 10 : raw / power > 2 ? 5 : raw / power > 1 ? 2 : 1);
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  return Array.from({ length: last - first + 1 }, (_, i) => snap((first + i) * step, step));
}

/** The bias of the line with weights w that passes through a point. */
export function biasThrough(point, w) {
  return -(point[0] * w[0] + point[1] * w[1]);
}

/** The point of the line x·w + b = 0 that is nearest to `point`; the point itself where all weights are 0. */
export function nearestOnLine(point, w, b) {
  const square = w[0] ** 2 + w[1] ** 2;
  if (square === 0) return [...point];
  const z = point[0] * w[0] + point[1] * w[1] + b;
  return [point[0] - (z * w[0]) / square, point[1] - (z * w[1]) / square];
}

/** The values of f on the corners of n × n cells, and where they are. */
function grid(f, [x0, x1], [y0, y1], n) {
  const x = Array.from({ length: n + 1 }, (_, i) => x0 + ((x1 - x0) * i) / n);
  const y = Array.from({ length: n + 1 }, (_, i) => y0 + ((y1 - y0) * i) / n);
  return { x, y, value: y.map(v => x.map(u => f(u, v))) };
}

/** The corners of cell (column j, row i) in turn, each [[x, y], value]. */
function cell({ x, y, value }, i, j) {
  return [[j, i], [j + 1, i], [j + 1, i + 1], [j, i + 1]].map(([c, r]) => [[x[c], y[r]], value[r][c]]);
}

/** How many corners of a cell have a value above 0. */
function sides({ value }, i, j) {
  return Number(value[i][j] > 0) + Number(value[i][j + 1] > 0) + Number(value[i + 1][j + 1] > 0) + Number(value[i + 1][j] > 0);
}

/** Where on the way from p (value a) to q (value b) a straight line is 0. */
function crossing(p, q, a, b) {
  return [p[0] + ((q[0] - p[0]) * a) / (a - b), p[1] + ((q[1] - p[1]) * a) / (a - b)];
}

/** Where f(x, y) = level, on a grid of n × n cells, as pieces [[x, y], [x, y]]; straight within a cell. */
export function contour(f, level, x, y, n = 60) {
  const made = grid((u, v) => f(u, v) - level, x, y, n);
  const pieces = [];
  for (let i = 0; i < n; i += 1) {
    for (let j = 0; j < n; j += 1) {
      if (sides(made, i, j) % 4 === 0) continue; // all four on one side
      const corners = cell(made, i, j);
      const cuts = [];
      corners.forEach(([p, a], k) => {
        const [q, b] = corners[(k + 1) % 4];
        if (a > 0 !== b > 0) cuts.push(crossing(p, q, a, b));
      });
      cuts.forEach((cut, k) => {
        if (k % 2 === 1) pieces.push([cuts[k - 1], cut]);
      });
    }
  }
  return pieces;
}

/** Where f(x, y) > 0, on a grid of n × n cells, as polygons; cells that lie inside are joined along their row. */
export function positive(f, x, y, n = 40) {
  const made = grid(f, x, y, n);
  const polygons = [];
  for (let i = 0; i < n; i += 1) {
    let row = null; // the rectangle that grows
    for (let j = 0; j < n; j += 1) {
      const above = sides(made, i, j);
      const corners = above === 0 ? [] : cell(made, i, j);
      if (above === 4 && row !== null) {
        [row[1], row[2]] = [corners[1][0], corners[2][0]];
        continue;
      }
      const polygon = corners.flatMap(([p, a], k) => {
        const [q, b] = corners[(k + 1) % 4];
        return [...(a > 0 ? [p] : []), ...(a > 0 !== b > 0 ? [crossing(p, q, a, b)] : [])];
      });
      row = above === 4 ? polygon : null;
      if (above > 0) polygons.push(polygon);
    }
  }
  return polygons;
}

// ---- text -------------------------------------------------------------------------------------------------------------

/** A number for people: at most `digits` decimals, no trailing zeros, a true minus sign. */
export function number(value, digits = 2) {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "–" : value > 0 ? "∞" : "−∞";
  const text = value !== 0 && Math.abs(value) < 0.5 * 10 ** -digits ? value.toExponential(1) : String(Number(value.toFixed(digits)));
  return text.replaceAll("-", "−");
}

/** "(1, −0.5)" */
export function tuple(values, digits = 2) {
  return `(${values.map(value => number(value, digits)).join(", ")})`;
}

/** 10 to a whole power, as text: powerOfTen(-5) is "10⁻⁵". */
export function powerOfTen(exponent) {
  return `10${String(exponent).replaceAll("-", "⁻").replace(/\d/g, digit => "⁰¹²³⁴⁵⁶⁷⁸⁹"[digit])}`;
}

/** "6.9·10⁻⁶"; "0.25" where no power is needed. */
export function scientific(value, digits = 1) {
  if (value === 0 || !Number.isFinite(value) || (Math.abs(value) >= 0.01 && Math.abs(value) < 1000)) return number(value, digits + 2);
  const [mantissa, exponent] = value.toExponential(digits).split("e");
  return `${number(Number(mantissa), digits)}·${powerOfTen(Number(exponent))}`;
}

/** Put values into a template: fill("{n} of 4", {n: 3}). */
export function fill(template, values = {}) {
  return template.replace(/\{(\w+)\}/g, (whole, key) => (key in values ? values[key] : whole));
}

// ---- looks ------------------------------------------------------------------------------------------------------------

/** Okabe and Ito's palette. Blue, vermilion, green and purple have enough contrast for lines on white and on black. */
export const COLOURS = {
  orange: "#E69F00",
  sky: "#56B4E9",
  green: "#009E73",
  yellow: "#F0E442",
  blue: "#0072B2",
  vermilion: "#D55E00",
  purple: "#CC79A7",
};

// Colours come from JupyterLab, else from the site's theme, else from what the system prefers.
const STYLE = `
.nnlm-widget {
  --w-own-ink: #1b1b1b; --w-own-paper: #ffffff;
  --w-ink: var(--jp-content-font-color1, var(--pst-color-text-base, var(--w-own-ink)));
  --w-paper: var(--jp-layout-color0, var(--pst-color-background, var(--w-own-paper)));
  --w-focus: #0072B2;
  box-sizing: border-box; max-width: 60rem; padding: 0.5rem;
  color: var(--w-ink); background: var(--w-paper); text-align: left;
  font: 14px/1.45 var(--jp-ui-font-family, system-ui), "Noto Sans CJK SC", "PingFang SC", "Microsoft YaHei", sans-serif;
}
@media (prefers-color-scheme: dark) { .nnlm-widget { --w-own-ink: #e8e8e8; --w-own-paper: #16181c; } }
.nnlm-widget *, .nnlm-widget *::before { box-sizing: border-box; }
.nnlm-widget .row { display: flex; flex-wrap: wrap; gap: 0.5rem 1rem; align-items: flex-start; margin: 0; }
.nnlm-widget .row > .grow { flex: 1 1 17rem; min-width: 0; padding: 0; margin: 0; }
.nnlm-widget .buttons { display: flex; flex-wrap: wrap; gap: 0.4rem; margin: 0.4rem 0; align-items: center; }
.nnlm-widget label { display: inline-flex; gap: 0.4rem; align-items: center; min-height: 28px; }
.nnlm-widget .slider { display: flex; gap: 0.5rem; align-items: center; margin: 0.1rem 0; }
.nnlm-widget .slider label { flex: 1; min-width: 0; }
.nnlm-widget .slider .name { flex: 0 0 auto; min-width: 2.6rem; }
.nnlm-widget .slider input { flex: 1; min-width: 0; height: 28px; margin: 0; accent-color: var(--w-focus); }
.nnlm-widget .slider .value { flex: 0 0 3.6rem; text-align: right; font-variant-numeric: tabular-nums; }
.nnlm-widget button, .nnlm-widget select {
  font: inherit; color: inherit; background: transparent; border: 1px solid currentColor; border-radius: 4px;
  min-height: 30px; padding: 0.1rem 0.6rem; margin: 0; cursor: pointer;
}
.nnlm-widget select option { color: var(--w-ink); background: var(--w-paper); }
.nnlm-widget button:disabled { opacity: 0.5; cursor: default; }
.nnlm-widget button:hover:enabled { background: rgba(86, 180, 233, 0.25); }
.nnlm-widget input[type="checkbox"] { width: 24px; height: 24px; margin: 0; accent-color: var(--w-focus); }
.nnlm-widget :is(button, select, input, summary, [tabindex]):focus-visible { outline: 3px solid var(--w-focus); outline-offset: 2px; }
.nnlm-widget summary { cursor: pointer; min-height: 28px; }
.nnlm-widget .live { margin: 0.4rem 0; min-height: 1.45em; }
.nnlm-widget .wide { overflow-x: auto; }
.nnlm-widget table { border-collapse: collapse; margin: 0.3rem 0; width: auto; font: inherit; color: inherit; background: transparent; }
.nnlm-widget th, .nnlm-widget td {
  padding: 0.1rem 0.6rem; text-align: right; font-weight: normal; white-space: nowrap; border: 0; background: transparent;
  font-variant-numeric: tabular-nums; border-bottom: 1px solid color-mix(in srgb, var(--w-ink) 25%, transparent);
}
.nnlm-widget thead th { font-weight: bold; }
@media (max-width: 480px) { .nnlm-widget :is(th, td) { padding: 0.1rem 0.25rem; font-size: 13px; } }
.nnlm-widget tr[data-now="true"] :is(th, td) { background: rgba(86, 180, 233, 0.3); }
.nnlm-widget svg.plot { display: block; width: 100%; max-width: 30rem; height: auto; overflow: visible; touch-action: pan-y; }
.nnlm-widget svg.plot > svg { overflow: hidden; }
.nnlm-widget svg text { fill: var(--w-ink); font-size: 12px; font-family: inherit; stroke: none; }
.nnlm-widget svg .frame { fill: none; stroke: var(--w-ink); stroke-opacity: 0.55; }
.nnlm-widget svg .grid { stroke: var(--w-ink); stroke-opacity: 0.14; }
.nnlm-widget svg .zero { stroke: var(--w-ink); stroke-opacity: 0.5; }
.nnlm-widget svg .halo { paint-order: stroke; stroke: var(--w-paper); stroke-width: 3px; }
.nnlm-widget svg .handle { cursor: grab; touch-action: none; outline: none; }
.nnlm-widget svg .handle:active { cursor: grabbing; }
.nnlm-widget svg .handle .grip { fill: transparent; }
.nnlm-widget svg .handle .rim { fill: var(--w-paper); fill-opacity: 0.6; stroke-width: 1.5; }
.nnlm-widget svg .handle .ring { fill: none; stroke: none; }
.nnlm-widget svg .handle:focus .ring { stroke: var(--w-ink); stroke-width: 2.5; }
@media print { .nnlm-widget .row > .grow { min-width: min-content; } .nnlm-widget .wide { overflow: visible; } }
@media (forced-colors: active) { .nnlm-widget svg .handle:focus .ring { stroke: Highlight; } }
`;

// ---- elements ---------------------------------------------------------------------------------------------------------

function filled(element, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== null && value !== false) element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children);
  return element;
}

/** An HTML element: html("p", {class: "live"}, "text"). */
export function html(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/** An SVG element. */
export function svg(tag, attributes = {}, ...children) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

/** A name for an element that nothing else on the page has. */
function unique(prefix) {
  return `${prefix}-${Math.random().toString(36).slice(2, 10)}`;
}

// ---- the root ---------------------------------------------------------------------------------------------------------

/**
 * Put a widget into an element and keep it in step with its model.
 *
 * @param {object} view what anywidget's `render` gets: {model, el}.
 * @param {object} widget
 *   defaults: trait → value where the model has none (on a page without a kernel);
 *   strings: language → key → text, with a `title`, the widget's accessible name;
 *   build(w): fills `w.root` once and returns the function that draws what depends on the traits.
 * @returns {function} ends it.
 *
 * `w` has: root; get(name); set({name: value, …}), which also tells the kernel; say(key, values), a text in the model's
 * language, or from its trait `strings`, which goes first.
 */
export function mount({ model, el }, { defaults, strings, build }) {
  const root = html("div", { class: "nnlm-widget", role: "group" });
  root.model = model; // whoever looks into a page, by hand or by a test, finds the traits here
  // JupyterLab's command mode would take letters and arrows; its shortcuts with Ctrl, and Escape, still reach it.
  root.addEventListener("keydown", event => {
    if (!event.ctrlKey && !event.metaKey && !event.altKey && event.key !== "Escape") event.stopPropagation();
  });
  let draw = () => {};
  let waiting = false;
  let ended = false;
  let saving = false;
  const save = () => {
    if (saving) return;
    saving = true; // the kernel is told after the next frame: packing a message takes longer than drawing
    const tell = () => {
      saving = false;
      model.save_changes();
    };
    if (document.hidden) setTimeout(tell); // there is no next frame
    else requestAnimationFrame(() => setTimeout(tell));
  };
  const w = {
    root,
    get: name => model.get(name) ?? defaults[name],
    set: changes => {
      const changed = Object.entries(changes).filter(([name, value]) => JSON.stringify(value) !== JSON.stringify(w.get(name)));
      for (const [name, value] of changed) model.set(name, value);
      if (changed.length) save();
    },
    say: (key, values) => {
      const language = model.get("language") in strings ? model.get("language") : "en";
      return fill(model.get("strings")?.[key] ?? strings[language][key] ?? key, values);
    },
  };
  const rebuild = () => {
    root.replaceChildren(html("style", {}, STYLE));
    root.setAttribute("aria-label", w.say("title"));
    root.setAttribute("lang", model.get("language") === "zh" ? "zh-CN" : "en");
    draw = build(w);
    draw();
  };
  const redraw = () => {
    if (waiting) return;
    waiting = true; // several traits that change together are drawn once, still before the next frame
    queueMicrotask(() => {
      waiting = false;
      if (!ended) draw();
    });
  };
  const heard = [...Object.keys(defaults).map(name => [name, redraw]), ["language", rebuild], ["strings", rebuild]];
  for (const [name, callback] of heard) model.on(`change:${name}`, callback);
  rebuild();
  el.append(root);
  return () => {
    ended = true;
    for (const [name, callback] of heard) model.off(`change:${name}`, callback);
    root.remove();
  };
}

// ---- controls ---------------------------------------------------------------------------------------------------------

/** The sentence that says what happened; screen readers read it aloud. Returns {element, say(text)}. */
export function live() {
  const element = html("p", { class: "live", role: "status", "aria-live": "polite" });
  return {
    element,
    say: text => {
      if (element.textContent !== text) element.textContent = text;
    },
  };
}

/** A labelled slider. `get` and `set` connect it to a trait; `text` says its value. Returns {element, draw()}. */
export function range({ label, min, max, step, get, set, digits = 2, text = value => number(value, digits) }) {
  const input = html("input", { type: "range", min, max, step });
  const value = html("span", { class: "value", "aria-hidden": "true" });
  const element = html("div", { class: "slider" }, html("label", {}, html("span", { class: "name" }, label), input), value);
  input.addEventListener("input", () => set(snap(Number(input.value), step)));
  return {
    element,
    draw: () => {
      const now = get();
      if (Number(input.value) !== now) input.value = now;
      value.textContent = text(now);
      input.setAttribute("aria-valuetext", text(now));
    },
  };
}

/** A labelled choice. options: [value, text] pairs. Returns {element, draw()}. */
export function select({ label, options, get, set }) {
  const input = html("select", {}, ...options.map(([value, text]) => html("option", { value }, text)));
  input.addEventListener("change", () => set(input.value));
  return {
    element: html("label", {}, label, input),
    draw: () => {
      if (input.value !== get()) input.value = get();
    },
  };
}

/** A labelled box to tick. Returns {element, draw()}. */
export function checkbox({ label, get, set }) {
  const input = html("input", { type: "checkbox" });
  input.addEventListener("change", () => set(input.checked));
  return {
    element: html("label", {}, input, label),
    draw: () => {
      input.checked = get();
    },
  };
}

/** A button. Where it gets disabled while it has the focus, the focus would be lost: use `enable(element, can)`. */
export function button(label, press) {
  const element = html("button", { type: "button" }, label);
  element.addEventListener("click", () => {
    if (element.getAttribute("aria-disabled") !== "true") press();
  });
  return element;
}

/** Enable or disable a button and leave the focus where it is. */
export function enable(element, can) {
  element.setAttribute("aria-disabled", String(!can));
  element.style.opacity = can ? "" : "0.5";
}

/** A table with a head. Returns {element, draw(rows, now)}: rows of texts, `now` the index of the row to stress. */
export function table(label, head) {
  const body = html("tbody");
  const top = html("thead", {}, html("tr", {}, ...head.map(text => html("th", { scope: "col" }, text))));
  // What may scroll sideways must take the focus, or the keyboard cannot scroll it.
  const element = html("div", { class: "wide", role: "group", "aria-label": label, tabindex: 0 }, html("table", { "aria-label": label }, top, body));
  let shown = "";
  return {
    element,
    draw: (rows, now = -1) => {
      const wanted = JSON.stringify([rows.map(cells => cells.map(String)), now]);
      if (wanted === shown) return; // a table that says the same needs no new layout
      shown = wanted;
      body.replaceChildren(
        ...rows.map((cells, i) => {
          const [first, ...rest] = cells.map(String);
          const line = [html("th", { scope: "row" }, first), ...rest.map(text => html("td", {}, text))];
          return html("tr", i === now ? { "data-now": "true", "aria-current": "true" } : {}, ...line);
        }),
      );
    },
  };
}

// ---- plots ------------------------------------------------------------------------------------------------------------

/**
 * A plane with axes. Marks are drawn anew by `clear()` and the mark functions; handles stay, so that they keep the focus.
 *
 * @param {object} options x, y: [low, high]; label: accessible name; xLabel, yLabel; width, height in pixels before scaling;
 *   xTicks, yTicks: values; xText, yText: what is written at them; left, bottom: room for those of y and of x; turned: words at the
 *   x axis stand slanted.
 * @returns {object} element; at(event) → [x, y]; clear(); tell(axis, text); describe(text); line, point, arrow, text, straight, halfPlane, region,
 *   heat, pieces; handle(…).
 */
export function plot({
  x, y, label, xLabel = "", yLabel = "", width = 360, height = 340, xTicks, yTicks, xText = number, yText = number, left = 46, bottom = 36, turned = false,
}) {
  const [right, top] = [8, 8];
  const inner = [width - left - right, height - top - bottom];
  const X = value => ((value - x[0]) / (x[1] - x[0])) * inner[0];
  const Y = value => inner[1] - ((value - y[0]) / (y[1] - y[0])) * inner[1];
  const hatch = unique("hatch");
  const stripes = svg("path", { d: "M0,8 L8,0", stroke: COLOURS.sky, "stroke-width": 1.2 });
  const marks = svg("g", { role: "img", "aria-label": label });
  const ground = svg("g", { "aria-hidden": "true" });
  const handles = svg("g", { transform: `translate(${left},${top})` });
  const element = svg(
    "svg",
    { class: "plot", viewBox: `0 0 ${width} ${height}`, role: "group", "aria-label": label },
    svg("defs", {}, svg("pattern", { id: hatch, width: 8, height: 8, patternUnits: "userSpaceOnUse" }, stripes)),
    ground,
    svg("svg", { x: left, y: top, width: inner[0], height: inner[1] }, marks), // an inner svg cuts off what lies outside
    handles,
  );
  const at = (u, v) => [left + X(u), top + Y(v)];
  const written = { x: [], y: [] }; // the words at the ticks
  for (const value of xTicks ?? ticks(...x)) {
    const [across] = at(value, 0);
    const words = turned
      ? svg("text", { transform: `translate(${across + 5},${top + inner[1] + 11}) rotate(-55)`, "text-anchor": "end" }, xText(value))
      : svg("text", { x: across, y: top + inner[1] + 15, "text-anchor": "middle" }, xText(value));
    ground.append(svg("line", { class: value === 0 ? "zero" : "grid", x1: across, x2: across, y1: top, y2: top + inner[1] }), words);
    written.x.push([value, words]);
  }
  for (const value of yTicks ?? ticks(...y)) {
    const [, up] = at(0, value);
    const words = svg("text", { x: left - 5, y: up + 4, "text-anchor": "end" }, yText(value));
    ground.append(svg("line", { class: value === 0 ? "zero" : "grid", x1: left, x2: left + inner[0], y1: up, y2: up }), words);
    written.y.push([value, words]);
  }
  ground.append(
    svg("rect", { class: "frame", x: left, y: top, width: inner[0], height: inner[1] }),
    svg("text", { x: left + inner[0] / 2, y: height - 4, "text-anchor": "middle" }, xLabel),
    svg("text", { transform: `translate(10,${top + inner[1] / 2}) rotate(-90)`, "text-anchor": "middle" }, yLabel),
  );

  const add = (tag, attributes, ...children) => {
    const made = svg(tag, attributes, ...children);
    marks.append(made);
    return made;
  };
  const d = points => `M${points.map(([u, v]) => `${X(u).toFixed(2)},${Y(v).toFixed(2)}`).join("L")}`;
  const reach = 4 * Math.hypot(x[1] - x[0], y[1] - y[0]);

  const made = {
    element,
    x,
    y,
    /** Where a pointer event is, in the units of the axes. */
    at: event => {
      const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(element.getScreenCTM().inverse());
      return [x[0] + ((point.x - left) / inner[0]) * (x[1] - x[0]), y[0] + ((inner[1] - point.y + top) / inner[1]) * (y[1] - y[0])];
    },
    clear: () => marks.replaceChildren(),
    /** Write something else at the ticks of an axis, "x" or "y". */
    tell: (axis, text) => {
      for (const [value, words] of written[axis]) words.textContent = text(value);
    },
    describe: text => marks.setAttribute("aria-label", text),
    /** A line through points; gaps where a value is not finite. */
    line: (points, { colour = "var(--w-ink)", width: thick = 2, dash, opacity } = {}) => {
      const runs = [[]];
      for (const point of points) {
        if (point.every(Number.isFinite)) runs.at(-1).push(point);
        else if (runs.at(-1).length) runs.push([]);
      }
      const path = runs.filter(run => run.length).map(d).join("");
      return add("path", { d: path, fill: "none", stroke: colour, "stroke-width": thick, "stroke-dasharray": dash, "stroke-opacity": opacity });
    },
    /** Separate pieces, each of two points, as `contour` gives them. */
    pieces: (pieces, { colour = "var(--w-ink)", width: thick = 2, dash } = {}) =>
      add("path", { d: pieces.map(d).join(""), fill: "none", stroke: colour, "stroke-width": thick, "stroke-dasharray": dash }),
    /** A disc or a square. */
    point: (u, v, { shape = "disc", colour = COLOURS.blue, open = false, size = 7 } = {}) => {
      const look = { fill: open ? "var(--w-paper)" : colour, stroke: open ? colour : "var(--w-paper)", "stroke-width": open ? 2.5 : 1 };
      if (shape === "disc") return add("circle", { cx: X(u), cy: Y(v), r: size, ...look });
      return add("rect", { x: X(u) - size, y: Y(v) - size, width: 2 * size, height: 2 * size, ...look });
    },
    /** A ring around a place. */
    ring: (u, v, { colour = "var(--w-ink)", size = 13, dash } = {}) =>
      add("circle", { cx: X(u), cy: Y(v), r: size, fill: "none", stroke: colour, "stroke-width": 2, "stroke-dasharray": dash }),
    arrow: (from, to, { colour = "var(--w-ink)", width: thick = 2, dash } = {}) => {
      const [x0, y0, x1, y1] = [X(from[0]), Y(from[1]), X(to[0]), Y(to[1])];
      const length = Math.hypot(x1 - x0, y1 - y0);
      if (length < 1) return null;
      const [u, v] = [(x1 - x0) / length, (y1 - y0) / length];
      const head = [[x1, y1], [x1 - 9 * u + 4 * v, y1 - 9 * v - 4 * u], [x1 - 9 * u - 4 * v, y1 - 9 * v + 4 * u]];
      add("line", { x1: x0, y1: y0, x2: x1 - 6 * u, y2: y1 - 6 * v, stroke: colour, "stroke-width": thick, "stroke-dasharray": dash });
      return add("polygon", { points: head.map(p => p.join(",")).join(" "), fill: colour });
    },
    /** Words beside a place; near the right edge on its other side. */
    text: (u, v, words, { anchor = "start", dx = 0, dy = 0 } = {}) => {
      const turned = anchor === "start" && X(u) > 0.85 * inner[0];
      return add("text", { class: "halo", x: X(u) + (turned ? -dx : dx), y: Y(v) + dy, "text-anchor": turned ? "end" : anchor }, words);
    },
    /** The line x·w + b = 0; nothing where all weights are 0. */
    straight: (w, b, look) => {
      const length = Math.hypot(...w);
      if (length === 0) return null;
      const [u, v] = nearestOnLine([(x[0] + x[1]) / 2, (y[0] + y[1]) / 2], w, b);
      const along = [(-w[1] / length) * reach, (w[0] / length) * reach];
      return made.line([[u - along[0], v - along[1]], [u + along[0], v + along[1]]], look);
    },
    /** The side where x·w + b > 0, hatched; all or nothing where all weights are 0. */
    halfPlane: (w, b) => {
      const length = Math.hypot(...w);
      const fillIn = points => {
        add("path", { d: `${d(points)}Z`, fill: COLOURS.sky, "fill-opacity": 0.22 });
        return add("path", { d: `${d(points)}Z`, fill: `url(#${hatch})`, "fill-opacity": 0.55 });
      };
      if (length === 0) return b > 0 ? fillIn([[x[0], y[0]], [x[1], y[0]], [x[1], y[1]], [x[0], y[1]]]) : null;
      const [u, v] = nearestOnLine([(x[0] + x[1]) / 2, (y[0] + y[1]) / 2], w, b);
      const [p, q] = [(w[0] / length) * reach, (w[1] / length) * reach];
      return fillIn([[u + q, v - p], [u - q, v + p], [u - q + p, v + p + q], [u + q + p, v - p + q]]);
    },
    /** Where f(x, y) > 0, hatched, on a grid of n × n cells. */
    region: (f, n = 40) => {
      const path = positive(f, x, y, n).map(polygon => `${d(polygon)}Z`).join("");
      add("path", { d: path, fill: COLOURS.sky, "fill-opacity": 0.22 });
      return add("path", { d: path, fill: `url(#${hatch})`, "fill-opacity": 0.55 });
    },
    /** A grid of cells; values from 0 to 1 become the strength of a colour, in 50 steps. values[0] is the lowest row. */
    heat: (values, { colour = COLOURS.blue } = {}) => {
      const corners = (count, length) => Array.from({ length: count + 1 }, (_, i) => ((length * i) / count).toFixed(2));
      const [across, up] = [corners(values[0].length, inner[0]), corners(values.length, inner[1]).reverse()];
      const cells = Array(51).fill(""); // one element a strength, however many cells there are
      values.forEach((row, i) =>
        row.forEach((value, j) => {
          cells[Math.round(50 * clamp(value, 0, 1))] += `M${across[j]},${up[i + 1]}H${across[j + 1]}V${up[i]}H${across[j]}Z`;
        }),
      );
      cells.forEach((path, strength) => {
        if (path && strength > 0) add("path", { d: path, fill: colour, "fill-opacity": strength / 50, "shape-rendering": "crispEdges" });
      });
    },
    /**
     * A handle for pointer and keyboard. move([x, y]) is called with where the pointer is; nudge([dx, dy]) with −1, 0 or 1 (with
     * Shift −5, 0 or 5) for each arrow key, by default a move by `step`. Returns {element, draw([x, y], text)}.
     */
    handle: ({ label: name, colour = COLOURS.vermilion, move, nudge, step = 0.1, horizontal = false }) => {
      let place = [0, 0];
      const element = svg(
        "g",
        { class: "handle", tabindex: 0, role: "slider", "aria-label": name, "aria-valuemin": x[0], "aria-valuemax": x[1] },
        svg("circle", { class: "grip", r: 18 }),
        svg("circle", { class: "ring", r: 15 }),
        svg("circle", { class: "rim", r: 10, stroke: colour }),
        svg("circle", { class: "knob", r: 5, fill: colour }),
      );
      const push = nudge ?? (([du, dv]) => move([place[0] + du * step, place[1] + dv * step]));
      element.addEventListener("keydown", event => {
        const [du, dv] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowDown: [0, -1], ArrowUp: [0, 1] }[event.key] ?? [0, 0];
        if (du === 0 && dv === 0) return;
        event.preventDefault();
        const times = event.shiftKey ? 5 : 1;
        push(horizontal ? [times * (du + dv), 0] : [times * du, times * dv]);
      });
      let offset = [0, 0]; // from where the handle was taken to its middle, so that it does not jump
      element.addEventListener("pointerdown", event => {
        if (event.button > 0) return;
        event.preventDefault();
        element.focus({ preventScroll: true });
        element.setPointerCapture(event.pointerId);
        const [u, v] = made.at(event);
        offset = [place[0] - u, place[1] - v];
      });
      element.addEventListener("pointermove", event => {
        if (!element.hasPointerCapture(event.pointerId)) return;
        const [u, v] = made.at(event);
        move([u + offset[0], v + offset[1]]);
      });
      handles.append(element);
      return {
        element,
        draw: (where, text) => {
          place = [clamp(where[0], ...x), clamp(where[1], ...y)]; // a handle never leaves the picture
          element.setAttribute("transform", `translate(${X(place[0])},${Y(place[1])})`);
          element.setAttribute("aria-valuenow", snap(place[0], 0.001));
          element.setAttribute("aria-valuetext", text);
        },
      };
    },
  };
  return made;
}

/**
 * The line x·w + b = 0 with two handles: one moves it, the other, at the tip of the weights' arrow, turns and stretches them.
 *
 * @param {object} at a plot.
 * @param {object} options get() → {w, b}; set({w, b}); names: {line, arrow}; colour; centre: the line's handle stays near it;
 *   scale: length of the arrow for a weight of 1; most: greatest size of a weight; step: what one key press changes.
 * @returns {object} draw(): line, arrow and handles.
 */
export function draggableLine(at, { get, set, names, colour, dash, centre, scale = 0.35, most = 5, step = 0.25 }) {
  let anchor = centre;
  const give = (w, b) => set({ w: w.map(value => snap(clamp(value, -most, most), 0.01)), b: snap(clamp(b, -3 * most, 3 * most), 0.01) });
  const turn = w => {
    const rounded = w.map(value => snap(clamp(value, -most, most), 0.01));
    give(rounded, biasThrough(anchor, rounded));
  };
  const line = at.handle({ label: names.line, colour, move: point => {
    anchor = [clamp(point[0], ...at.x), clamp(point[1], ...at.y)];
    give(get().w, biasThrough(anchor, get().w));
  }, step: 0.1 });
  const tip = at.handle({
    label: names.arrow,
    colour,
    move: point => turn([snap((point[0] - anchor[0]) / scale, 0.05), snap((point[1] - anchor[1]) / scale, 0.05)]),
    nudge: ([du, dv]) => turn([get().w[0] + du * step, get().w[1] + dv * step]),
  });
  return {
    draw: () => {
      const { w, b } = get();
      anchor = nearestOnLine(anchor, w, b);
      // A line outside the picture keeps its handle at the edge, where it can be taken back in.
      anchor = [clamp(anchor[0], ...at.x), clamp(anchor[1], ...at.y)];
      const end = [anchor[0] + w[0] * scale, anchor[1] + w[1] * scale];
      at.straight(w, b, { colour, dash });
      at.arrow(anchor, end, { colour });
      line.draw(anchor, `b = ${number(b)}`);
      tip.draw(end, `w = ${tuple(w)}`);
    },
  };
}
