const data = JSON.parse(document.getElementById("data").textContent);
const form = document.getElementById("asks");
const element = (id) => document.getElementById(id);

/* The exported modules, as they are. */
const code = {};
for (const script of document.querySelectorAll("script[data-module]")) {
  const url = URL.createObjectURL(new Blob([script.textContent], { type: "text/javascript" }));
  code[script.dataset.module] = await import(url);
  URL.revokeObjectURL(url);
}

/* What is asked: a text for each control, which the address holds where it is not the default. */

const DEFAULTS = {
  mode: "gundam",
  width: String(data.page[0]),
  height: String(data.page[1]),
  base: "1024",
  tile: String(data.tiles.size),
  columns: "1",
  rows: "1",
  batch: "1",
  prompt: String(data.promptTokens),
  new: "1",
  cached: "",
  device: "H100-SXM",
  execution: "eager",
  head: "all",
  experts: "expected",
  weights: "2",
  expert: "same",
  activations: "2",
  kv: "2",
  exact: "",
  metric: "flops",
  place: "prefill",
};

const control = (name) => form.elements.namedItem(name);

function asked() {
  const state = {};
  for (const name of Object.keys(DEFAULTS)) {
    const input = control(name);
    state[name] = input.type === "checkbox" ? (input.checked ? "1" : "") : plain(input.value.trim());
    if (input.validity.badInput) state[name] = "?";
  }
  return state;
}

/** Whether a control can hold a text; a field of numbers is asked by what it would take. */
function holds(input, value) {
  if (input.type === "checkbox") return value === "" || value === "1";
  if (input.type === "number") return /^(-?\d{1,40}(\.\d{1,40})?(e[-+]?\d{1,2})?)?$/i.test(value);
  return [...input.options].some((option) => option.value === value);
}

/** Puts the address into the controls; what it says that no control can hold is told. */
function restore() {
  const given = new URLSearchParams(location.hash.slice(1));
  const refused = [];
  for (const [name, usual] of Object.entries(DEFAULTS)) {
    const input = control(name);
    const all = given.getAll(name);
    if (all.length > 1) refused.push(`the address gives ${name} ${all.length} times; the first counts`);
    let [value = usual] = all;
    if (!holds(input, value)) {
      refused.push(`${name} is “${value.slice(0, 40)}” in the address; it is left at its default`);
      value = usual;
    }
    if (input.type === "checkbox") input.checked = value === "1";
    else input.value = plain(value);
  }
  for (const name of new Set(given.keys())) {
    if (!Object.hasOwn(DEFAULTS, name)) {
      refused.push(`the address holds “${name.slice(0, 40)}”, which is unknown`);
    }
  }
  return refused;
}

function remember(state) {
  const changed = Object.entries(state).filter(([name, value]) => value !== DEFAULTS[name]);
  const hash = new URLSearchParams(changed).toString();
  if (hash !== location.hash.slice(1)) {
    history.replaceState(null, "", hash ? `#${hash}` : location.pathname + location.search);
  }
}

/* From what is asked to sizes, or to what is wrong with it. */

class Wrong extends Error {
  constructor(name, message) {
    super(message);
    this.control = name;
  }
}

function whole(state, name, what) {
  const { min, max, step } = control(name);
  const of = step === "1" ? "an integer" : `a multiple of ${step}`;
  const allowed = `allowed: ${of} from ${grouped(min)} to ${grouped(max)}`;
  const text = state[name];
  if (!/^\d+$/.test(text)) {
    const told = text === "" ? "is empty" : text === "?" ? "is no number" : `is ${text}`;
    throw new Wrong(name, `${what} ${told}; ${allowed}`);
  }
  const value = BigInt(text);
  if (value < BigInt(min) || value > BigInt(max) || value % BigInt(step) !== 0n) {
    throw new Wrong(name, `${what} is ${grouped(text)}; ${allowed}`);
  }
  return value;
}

function viewsOf(state) {
  if (state.mode === "none") return null;
  if (state.mode === "views") {
    const [base, tile, columns, rows] = [
      whole(state, "base", "the global view"),
      whole(state, "tile", "the tile"),
      whole(state, "columns", "the number of columns"),
      whole(state, "rows", "the number of rows"),
    ];
    const tiles = columns * rows;
    if (tiles === 1n) return { base, tile, columns: 0n, rows: 0n };
    if (tiles > BigInt(data.tiles.most)) {
      throw new Wrong(
        "rows",
        `${columns} × ${rows} are ${tiles} tiles; allowed: up to ${data.tiles.most}, and 1 × 1 for none`,
      );
    }
    return { base, tile, columns, rows };
  }
  const page = ["width", "height"].map((side) => Number(whole(state, side, `the page’s ${side}`)));
  const [base, crops] = data.modes[state.mode];
  const [columns, rows] = crops ? cropGrid(...page, data.tiles) : [0, 0];
  return {
    base: BigInt(base),
    tile: BigInt(data.tiles.size),
    columns: BigInt(columns),
    rows: BigInt(rows),
  };
}

/** Half bytes of a width. */
const halves = (width) => (width === "1/2" ? 1n : 2n * BigInt(width));

/** Sizes by their symbols, widths in half bytes; and what else computing takes. */
function workloadOf(state) {
  const views = viewsOf(state);
  const image = views === null ? 0n : imageTokens(views, BigInt(data.tiles.step));
  const B = whole(state, "batch", "the batch");
  const S = 1n + whole(state, "prompt", "the number of text tokens") + image;
  const T = whole(state, "new", "the number of new tokens");
  const K = state.cached === "" ? S : whole(state, "cached", "the number of cached tokens");
  const sizes = { B, S, K, T };
  if (views !== null) {
    const { base, tile, columns, rows } = views;
    Object.assign(sizes, { I_g: base, I_t: tile, n_w: columns, n_h: rows, C: columns * rows });
  }
  sizes.w_w = halves(state.weights);
  sizes.w_a = halves(state.activations);
  sizes.w_kv = halves(state.kv);
  sizes.w_e = halves(state.expert === "same" ? state.weights : state.expert);
  return { state, views, image, sizes };
}

/* Figures: BigInts; those of bytes are in half bytes until they are shown. */

const OF_FLOPS = ["flops", "matrix_flops", "vector_flops"];
const MOVED = ["bytes_read", "bytes_written", "bytes_moved"];
const HELD = ["weight_bytes", "activation_bytes", "kv_bytes", "resident_bytes"];
const METRICS = [...OF_FLOPS, ...MOVED, ...HELD];
const ofBytes = (metric) => !OF_FLOPS.includes(metric);

const fields = (figures, part) =>
  Object.fromEntries(METRICS.map((metric) => [metric, figures[part ? `${part}_${metric}` : metric]]));
const NOTHING = Object.fromEntries(METRICS.map((metric) => [metric, 0n]));
const largest = (one, other) => (one > other ? one : other);

function withExperts(figures, share) {
  const found = { ...figures };
  for (const metric of data.ofExperts) found[metric] += share[metric];
  found.resident_bytes += share.weight_bytes;
  return found;
}

/** A prefill and the steps behind it: work and traffic add, what is held is that of one of them. */
function together(prefill, steps) {
  const found = {};
  for (const metric of [...OF_FLOPS, ...MOVED]) found[metric] = prefill[metric] + steps[metric];
  found.weight_bytes = prefill.weight_bytes;
  found.activation_bytes = largest(prefill.activation_bytes, steps.activation_bytes);
  found.kv_bytes = largest(prefill.kv_bytes, steps.kv_bytes);
  const held = (stage) => stage.kv_bytes + stage.activation_bytes;
  found.resident_bytes = prefill.weight_bytes + largest(held(prefill), held(steps));
  return found;
}

const PARTS = {
  vision: ["sam", "clip", "projector"],
  prefill: ["decoder", "lm_head"],
  decode: ["decoder", "lm_head"],
};

const names = ({ state, views }) => ({
  whole: state.execution,
  prefill: `${state.execution}.${state.head}.${views === null ? "text" : "image"}`,
  experts: `${state.execution}.experts.${state.experts}`,
});

/** All figures by place: a stage, or STAGE.PART; generation, and the steps in it. */
function figuresOf(workload) {
  const { views, sizes } = workload;
  const name = names(workload);
  const experts = { ...sizes, w_w: sizes.w_e };
  const found = {};
  const put = (stage, figures, share) => {
    for (const part of [null, ...PARTS[stage]]) {
      const own = figures === null ? NOTHING : fields(figures, part);
      const touched = share !== null && (part === null || part === "decoder");
      found[part ? `${stage}.${part}` : stage] = touched ? withExperts(own, share) : own;
    }
  };
  put("vision", views === null ? null : code[name.whole].vision(sizes), null);
  put("prefill", code[name.prefill].prefill(sizes), code[name.experts].prefill(experts));
  found["prefill.vision"] = found.vision;
  for (const part of PARTS.vision) found[`prefill.vision.${part}`] = found[`vision.${part}`];
  put("decode", code[name.whole].decode(sizes), code[name.experts].decode(experts));
  const behind = { ...sizes, K: sizes.S };
  found.steps = withExperts(
    fields(code[name.whole].decode(behind), null),
    code[name.experts].decode({ ...experts, K: sizes.S }),
  );
  found.generation = together(found.prefill, found.steps);
  return found;
}

/** How long the device takes at best: as long as its slowest engine. */
function timeOf(figures, device) {
  const busy = {
    matrix: Number(figures.matrix_flops) / device.matrix,
    vector: device.vector === null ? 0 : Number(figures.vector_flops) / device.vector,
    memory: Number(figures.bytes_moved) / 2 / device.memory,
  };
  let bound = null;
  let seconds = 0;
  for (const [engine, time] of Object.entries(busy)) {
    if (time > seconds) [bound, seconds] = [engine, time];
  }
  return { seconds, bound };
}

function intensityOf(figures) {
  return figures.bytes_moved === 0n ? 0 : Number(figures.flops) / (Number(figures.bytes_moved) / 2);
}

/* Figures as people read them. */

function exactly(metric, value) {
  if (!ofBytes(metric)) return grouped(value);
  return grouped(value / 2n) + (value % 2n ? ".5" : "");
}

/** Digits as HTML that may break between groups. */
const breakable = (text) => text.replaceAll(",", ",<wbr>");

const shown = (metric, value) =>
  ofBytes(metric) ? human(Number(value) / 2, "B") : human(Number(value));

/* The table. */

const ROWS = [
  ["vision", "vision", 0],
  ["vision.sam", "sam", 1],
  ["vision.clip", "clip", 1],
  ["vision.projector", "projector", 1],
  ["prefill", "prefill", 0],
  ["prefill.vision", "vision", 1],
  ["prefill.decoder", "decoder", 1],
  ["prefill.lm_head", "lm_head", 1],
  ["decode", "decode", 0],
  ["decode.decoder", "decoder", 1],
  ["decode.lm_head", "lm_head", 1],
  ["generation", "whole answer", 0],
];
const GROUPS = [
  ["Time at best", ["time", "takes"], ["bound", "limited by"]],
  ["Work, FLOPs", ["flops", "all"], ["matrix_flops", "matrix"], ["vector_flops", "vector"]],
  ["Traffic", ["bytes_read", "read"], ["bytes_written", "written"], ["intensity", "FLOPs/byte"]],
  [
    "Held in memory",
    ["weight_bytes", "weights"],
    ["activation_bytes", "activations"],
    ["kv_bytes", "KV cache"],
    ["resident_bytes", "resident"],
  ],
];
const PICKED = [...OF_FLOPS, "bytes_read", "bytes_written", ...HELD];
const LABELS = {
  flops: "FLOPs",
  matrix_flops: "matrix FLOPs",
  vector_flops: "vector FLOPs",
  bytes_read: "bytes read",
  bytes_written: "bytes written",
  weight_bytes: "weights",
  activation_bytes: "activations",
  kv_bytes: "KV cache",
  resident_bytes: "resident",
};
const cells = new Map();

function add(parent, tag, attributes = {}, text = "") {
  const child = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) child.setAttribute(name, value);
  child.textContent = text;
  return parent.appendChild(child);
}

function placeName(place) {
  return place === "generation" ? "a whole answer" : place.replaceAll(".", " / ");
}

function makeTable() {
  const table = element("stages");
  const head = add(table, "thead");
  const above = add(head, "tr");
  const below = add(head, "tr");
  add(above, "td");
  add(below, "th", { scope: "col" }, "");
  for (const [title, ...columns] of GROUPS) {
    add(above, "th", { colspan: columns.length, scope: "colgroup", class: "gap" }, title);
    columns.forEach(([, name], at) => {
      add(below, "th", at === 0 ? { scope: "col", class: "gap" } : { scope: "col" }, name);
    });
  }
  const body = add(table, "tbody");
  for (const [place, name, depth] of ROWS) {
    const row = add(body, "tr", { class: depth ? `depth-${depth}` : "stage" });
    add(row, "th", { scope: "row" }, name);
    for (const [, ...columns] of GROUPS) {
      columns.forEach(([metric], at) => {
        const cell = add(row, "td", at === 0 ? { class: "gap" } : {});
        cell.dataset.place = place;
        if (PICKED.includes(metric)) cell.dataset.metric = metric;
        else cell.dataset.of = metric;
        cells.set(`${place}.${metric}`, cell);
      });
    }
  }
  body.addEventListener("click", ({ target }) => {
    const { place, metric } = target.dataset;
    if (!metric) return;
    control("place").value = place;
    control("metric").value = metric;
    update();
  });
  for (const metric of PICKED) add(control("metric"), "option", { value: metric }, LABELS[metric]);
  for (const [place] of ROWS) add(control("place"), "option", { value: place }, placeName(place));
}

function fillTable(answer, state) {
  for (const [place] of ROWS) {
    const figures = answer.figures[place];
    for (const metric of PICKED) {
      const cell = cells.get(`${place}.${metric}`);
      const exact = exactly(metric, figures[metric]);
      cell.innerHTML = state.exact ? breakable(exact) : shown(metric, figures[metric]);
      cell.title = `${LABELS[metric]} of ${placeName(place)}: ${exact}${ofBytes(metric) ? " bytes" : ""}`;
      cell.classList.toggle("shown", place === state.place && metric === state.metric);
    }
    cells.get(`${place}.intensity`).textContent = digits(intensityOf(figures));
    const { seconds, bound } = answer.times[place];
    cells.get(`${place}.time`).textContent = seconds ? duration(seconds) : "–";
    cells.get(`${place}.bound`).textContent = bound ?? "–";
  }
}

/* The roofline. */

const DRAWN = [
  "vision",
  "vision.sam",
  "vision.clip",
  "vision.projector",
  "prefill",
  "prefill.decoder",
  "prefill.lm_head",
  "decode",
  "decode.decoder",
  "decode.lm_head",
];

function svg(parent, tag, attributes, text = "") {
  const child = document.createElementNS(parent.namespaceURI, tag);
  for (const [name, value] of Object.entries(attributes)) child.setAttribute(name, value);
  if (text) child.textContent = text;
  return parent.appendChild(child);
}

function markPath(stage, x, y, r) {
  if (stage === "vision") return `M${x},${y - r * 1.15}l${r * 1.1},${r * 1.95}h${-2.2 * r}z`;
  if (stage === "decode") return `M${x - r * 0.9},${y - r * 0.9}h${1.8 * r}v${1.8 * r}h${-1.8 * r}z`;
  return `M${x - r},${y}a${r},${r} 0 1 0 ${2 * r},0a${r},${r} 0 1 0 ${-2 * r},0z`;
}

const log = Math.log10;
const short = (value) => human(value).replace(/\.0+(?= |$)/, "");
const apart = (one, other) =>
  one.x + one.width <= other.x || other.x + other.width <= one.x ||
  one.y + one.height <= other.y || other.y + other.height <= one.y;

/** Moves a text to the first place right of an edge where it meets nothing that is taken. */
function settle(text, edge, places, taken) {
  const { y: top, width, height } = text.getBBox();
  const rise = Number(text.getAttribute("y")) - top;
  const boxes = places.map(([x, y]) => ({ x: Math.max(x, edge), y: y - rise, width, height }));
  const box = boxes.find((one) => taken.every((other) => apart(one, other))) ?? boxes[0];
  text.setAttribute("x", box.x);
  text.setAttribute("y", box.y + rise);
  taken.push(box);
}

function drawRoof(answer) {
  const { device, figures, times } = answer;
  const points = DRAWN.filter((place) => figures[place].flops && figures[place].bytes_moved)
    .map((place) => ({
      place,
      stage: place.split(".")[0],
      x: log(intensityOf(figures[place])),
      y: log(Number(figures[place].flops) / times[place].seconds),
      time: times[place],
    }))
    .sort((one, other) => one.x - other.x);
  const picture = element("picture");
  const width = Math.max(280, Math.min(element("roof").clientWidth, 1000));
  const level = 16;
  const [left, right, top, bottom] = [62, 20, 40, 42];
  const height = Math.max(340, Math.min(480, width * 0.55)) + points.length * 8;
  const ridge = log(device.matrix / device.memory);
  const narrow = width < 560;
  const low = Math.min(ridge, ...points.map(({ x }) => x)) - 0.35;
  const high = Math.max(ridge, ...points.map(({ x }) => x)) + 0.9;
  const ys = points.map(({ y }) => y);
  const under = device.vector === null ? [] : [log(device.vector)];
  const roof = Math.max(log(device.matrix), ...ys) + 0.15;
  // Labels stand below all that is drawn, each on a level of its own.
  const room = height - top - bottom;
  const above = 1 - ((points.length + 2) * level) / room;
  const floor = Math.min(roof - 3, ...[...ys, ...under].map((y) => roof - (roof - y) / above));
  const across = (x) => left + ((x - low) / (high - low)) * (width - left - right);
  const up = (y) => top + ((roof - y) / (roof - floor)) * room;
  const end = width - right;

  picture.replaceChildren();
  picture.setAttribute("viewBox", `0 0 ${width} ${height}`);
  for (let decade = Math.ceil(floor); decade <= roof; decade++) {
    svg(picture, "path", { class: "grid", d: `M${left},${up(decade)}H${end}` });
    svg(picture, "text", { class: "faint", x: left - 8, y: up(decade) + 4, "text-anchor": "end" }, short(10 ** decade));
  }
  const every = Math.ceil((48 * (high - low)) / (end - left));
  for (let decade = Math.ceil(low / every) * every; decade <= high; decade += every) {
    svg(picture, "path", { class: "grid", d: `M${across(decade)},${top}V${height - bottom}` });
    const label = decade < 0 ? String(+(10 ** decade).toFixed(-decade)) : short(10 ** decade);
    svg(picture, "text", { class: "faint", x: across(decade), y: height - bottom + 18, "text-anchor": "middle" }, label);
  }
  svg(picture, "text", { class: "faint", x: left - 54, y: 12 }, "FLOPs per second, attained at best");
  svg(picture, "text", { class: "faint", x: end, y: height - 5, "text-anchor": "end" }, "FLOPs per byte moved");

  const slope = (x) => x + log(device.memory);
  const start = Math.max(low, floor - log(device.memory));
  under.forEach((y) => {
    const begins = Math.max(low, y - log(device.memory));
    svg(picture, "path", { class: "under", d: `M${across(begins)},${up(y)}H${end}` });
  });
  svg(picture, "path", {
    class: "edge",
    d: `M${across(start)},${up(slope(start))}L${across(ridge)},${up(log(device.matrix))}H${end}`,
  });

  const taken = [];
  const base = (at) => height - bottom - (at + 0.6) * level;
  points.forEach((point, at) => {
    svg(picture, "path", { class: point.stage, d: `M${across(point.x)},${up(point.y)}V${base(at) - 12}`, "stroke-width": 0.8 });
  });
  points.forEach((point, at) => {
    const [x, y] = [across(point.x), up(point.y)];
    const stage = !point.place.includes(".");
    const mark = svg(picture, "path", {
      class: point.stage,
      d: markPath(point.stage, x, y, stage ? 6.5 : 4),
      style: "stroke: var(--paper); stroke-width: 1",
    });
    taken.push(mark.getBBox());
    const told = `${placeName(point.place)}: ${duration(point.time.seconds)}`;
    const label = svg(picture, "text", { y: base(at), class: stage ? "behind bold" : "behind" },
      narrow ? told : `${told}, ${point.time.bound}`);
    label.setAttribute("x", Math.min(x - 4, width - 2 - label.getComputedTextLength()));
    taken.push(label.getBBox());
  });

  for (let part = 0; part <= 1; part += 1 / 64) {
    const x = start + part * (ridge - start);
    taken.push({ x: across(x) - 2, y: up(slope(x)) - 2, width: 4, height: 4 });
  }
  const named = (text, places) => {
    const label = svg(picture, "text", { y: 0, class: "behind" }, text);
    settle(label, left + 4, places(label.getComputedTextLength()), taken);
  };
  const steps = Array.from({ length: 25 }, (_, at) => at / 24);
  const ceiling = up(log(device.matrix));
  const reach = narrow ? width - 2 : end;
  named(`matrix units: ${human(device.matrix, "FLOPs")}/s in ${data.type}`,
    (long) => [[end - long, ceiling - 10]]);
  under.forEach((y) => {
    named(`other units: ${human(device.vector, "FLOPs")}/s`, (long) =>
      [15, -7, 19, 23, 27, 31, 39, 47, -23, -39].flatMap((drop) =>
        steps.map((step) => [reach - long - step * (reach - long - left), up(y) + drop])));
  });
  named(`memory: ${human(device.memory, "B")}/s`, (long) => {
    const down = steps.map((step) => ridge - step * (ridge - start)).map((x) => [across(x), up(slope(x)) + 4]);
    return [
      ...down.map(([x, y]) => [x - 12 - long, y]),
      ...down.map(([x, y]) => [x + 12, y]),
    ];
  });
}

/* Formulas: trees on exact fractions. */

function fraction(above, below = 1n) {
  const sign = below < 0n ? -1n : 1n;
  let [a, b] = [above < 0n ? -above : above, below * sign];
  while (b) [a, b] = [b, a % b];
  const common = a || 1n;
  return [(above * sign) / common, (below * sign) / common];
}
const plus = ([a, b], [c, d]) => fraction(a * d + c * b, b * d);
const times = ([a, b], [c, d]) => fraction(a * c, b * d);
const floorOf = ([a, b]) => [a / b - (a % b < 0n ? 1n : 0n), 1n];
const less = ([a, b], [c, d]) => a * d < c * b;

function value(tree, sizes) {
  if (typeof tree === "number") return [BigInt(tree), 1n];
  if (typeof tree === "string") {
    if (!(tree in sizes)) throw new Error(`${tree} has no value`);
    return sizes[tree];
  }
  const [sign, ...rest] = tree;
  if (sign === "/") return fraction(BigInt(rest[0]), BigInt(rest[1]));
  const parts = rest.map((part) => value(part, sizes));
  const [first, second] = parts;
  switch (sign) {
    case "+": return parts.reduce(plus);
    case "*": return parts.reduce(times);
    case "^": return fraction(first[0] ** second[0], first[1] ** second[0]);
    case "floor": return floorOf(first);
    case "ceiling": return floorOf([-first[0], first[1]]).map((n, at) => (at ? n : -n));
    case "abs": return [first[0] < 0n ? -first[0] : first[0], first[1]];
    case "min": return parts.reduce((one, other) => (less(other, one) ? other : one));
    case "max": return parts.reduce((one, other) => (less(one, other) ? other : one));
    default: throw new Error(`${sign} is no operation`);
  }
}

/** A fraction in decimals where that is exact, otherwise in six digits with an ellipsis. */
function decimal([above, below]) {
  if (below === 1n) return grouped(above);
  for (let places = 1; places <= 6; places++) {
    const scale = 10n ** BigInt(places);
    if ((above * scale) % below === 0n) {
      const all = (above * scale) / below;
      return `${grouped(all / scale)}.${String(all % scale).padStart(places, "0")}`;
    }
  }
  const size = Number((above * 10n ** 9n) / below) / 1e9;
  return `${size.toPrecision(6)}…`;
}

/** What a figure is made of: formulas, each with the sizes that it holds for. */
function made(answer, place, metric) {
  const { workload, figures } = answer;
  const { sizes, state } = workload;
  const name = names(workload);
  const behind = { ...sizes, K: sizes.S };
  if (place.startsWith("prefill.vision")) return made(answer, place.slice("prefill.".length), metric);
  if (place === "steps" || place.startsWith("decode")) {
    const of = place === "steps" ? "decode" : place;
    return shares(of, metric, name.whole, place === "steps" ? behind : sizes, state);
  }
  if (place.startsWith("vision")) {
    return workload.views === null ? [] : shares(place, metric, name.whole, sizes, state);
  }
  if (place.startsWith("prefill")) return shares(place, metric, name.prefill, sizes, state);
  const of = (stage, which) =>
    made(answer, stage, which).map((part) => ({ ...part, told: `${stage}: ${LABELS[which]}${part.told ? `, ${part.told}` : ""}` }));
  if (metric === "weight_bytes") return of("prefill", metric);
  const { prefill, steps } = figures;
  if (metric === "resident_bytes") {
    const held = (stage) => stage.kv_bytes + stage.activation_bytes;
    const fuller = held(steps) > held(prefill) ? "steps" : "prefill";
    return [...of("prefill", "weight_bytes"), ...of(fuller, "kv_bytes"), ...of(fuller, "activation_bytes")];
  }
  if (HELD.includes(metric)) return of(steps[metric] > prefill[metric] ? "steps" : "prefill", metric);
  return [...of("prefill", metric), ...of("steps", metric)];
}

function shares(place, metric, module, sizes, state) {
  const [stage, part] = place.split(".");
  const exact = Object.fromEntries(
    Object.entries(sizes).map(([size, number]) => [size, size.startsWith("w_") ? fraction(number, 2n) : [number, 1n]]),
  );
  const found = [{ formula: data.shown[module][`${place}.${metric}`], sizes: exact, told: "" }];
  const share = metric === "resident_bytes" ? "weight_bytes" : metric;
  if (stage !== "vision" && (!part || part === "decoder") && data.ofExperts.includes(share)) {
    const touched = data.touched[state.experts][stage];
    found[0].told = "all but routed experts";
    found.push({
      formula: data.shown[`${state.execution}.experts`][`${stage}.${share}`],
      sizes: { ...exact, U: value(touched.tree, exact) },
      told: "routed experts",
      touched,
    });
  }
  return found;
}

/** The largest sum of a formula as terms, each with its value. */
function evaluated({ formula, sizes }) {
  const sums = data.formulas[formula].map((sum) => {
    const terms = sum.flatMap(([factor, inner]) => {
      const outer = value(data.products[factor].tree, sizes);
      return inner.map(([above, below, product]) => {
        const number = fraction(BigInt(above), BigInt(below));
        const size = times(outer, value(data.products[product].tree, sizes));
        return { number, factor, product, value: times(number, size) };
      });
    });
    return { sum, terms, value: terms.map((term) => term.value).reduce(plus, [0n, 1n]) };
  });
  return { count: sums.length, ...sums.reduce((one, other) => (less(one.value, other.value) ? other : one)) };
}

const isOne = (product) => data.products[product].tree === 1;
const DOT = "<mo>·<\/mo>";
const PLUS = '<mo form="infix">+<\/mo>';

function numberML([above, below]) {
  const size = above < 0n ? -above : above;
  const top = `<mn>${grouped(size)}<\/mn>`;
  return below === 1n ? top : `<mfrac>${top}<mn>${grouped(below)}<\/mn><\/mfrac>`;
}

/** A term without its sign. */
function termML(number, ...products) {
  const shownProducts = products.filter((product) => !isOne(product));
  const parts = shownProducts.map((product) => data.products[product].mathml);
  const isPlain = (number[0] === 1n || number[0] === -1n) && number[1] === 1n;
  if (!(isPlain && parts.length)) parts.unshift(numberML(number));
  return parts.join(DOT);
}

const math = (inner) => `<math>${inner}<\/math>`;
const sign = ([above], first) =>
  above < 0n ? `<mo form="${first ? "prefix" : "infix"}">−<\/mo>` : first ? "" : PLUS;

/** A sum in small pieces, between which lines may break. */
function sumML(sum) {
  const pieces = [];
  sum.forEach(([factor, inner], place) => {
    const bracketed = inner.length > 1 && !isOne(factor);
    if (bracketed) {
      const before = place ? PLUS : "";
      pieces.push(math(`${before}${data.products[factor].mathml}${DOT}<mo stretchy="false">(<\/mo>`));
    }
    inner.forEach(([above, below, product], at) => {
      const number = fraction(BigInt(above), BigInt(below));
      const first = bracketed ? at === 0 : place + at === 0;
      const products = bracketed ? [product] : [factor, product];
      pieces.push(math(sign(number, first) + termML(number, ...products)));
    });
    if (bracketed) pieces.push(math('<mo stretchy="false">)<\/mo>'));
  });
  return pieces.join(" ");
}

const withNumbers = (mathml, sizes) =>
  mathml.replace(/<(mi|msub) data-size="(\w+)">.*?<\/\1>/g, (_, tag, size) => `<mn>${decimal(sizes[size])}<\/mn>`);

const capitalized = (text) => text.charAt(0).toUpperCase() + text.slice(1);
const escaped = (text) => text.replace(/[&<>"]/g, (letter) => `&#${letter.charCodeAt(0)};`);

/** Writes the formula of the figure that is picked; says whether its terms add up to it. */
function writeFormula(answer) {
  const { place, metric } = answer.workload.state;
  const figure = answer.figures[place][metric];
  const exact = ofBytes(metric) ? fraction(figure, 2n) : [figure, 1n];
  const unit = ofBytes(metric) ? " bytes" : "";
  const parts = made(answer, place, metric).map((part) => ({ ...part, ...evaluated(part) }));
  const total = parts.map((part) => part.value).reduce(plus, [0n, 1n]);
  const adds = total[0] === exact[0] && total[1] === exact[1];
  element("formula").dataset.adds = adds;
  element("formula").dataset.total = total.join("/");
  if (!adds) {
    element("formula").innerHTML =
      `<p class="error">The terms add up to ${decimal(total)}, the exported code says ${decimal(exact)}: one of them is broken.<\/p>`;
    return;
  }
  const used = new Map();
  let text = `<p class="sum">${LABELS[metric]} of ${placeName(place)} = <strong>${decimal(exact)}${unit}<\/strong><\/p>`;
  for (const part of parts) {
    if (part.told) text += `<h3>${escaped(part.told)}<\/h3>`;
    if (part.count > 1) text += `<p class="quiet">The largest of ${part.count} sums, each live at another moment; here it is this one.<\/p>`;
    text += `<p class="sum">${sumML(part.sum)}<\/p>`;
    text += '<table class="terms"><thead><tr><th scope="col">term<\/th><th scope="col">with these sizes<\/th><th scope="col">value<\/th><\/tr><\/thead><tbody>';
    for (const term of part.terms) {
      const written = (term.number[0] < 0n ? "<mo>−<\/mo>" : "") + termML(term.number, term.factor, term.product);
      text += `<tr${term.value[0] ? "" : ' class="nothing"'}><td>${math(written)}<\/td><td>${math(withNumbers(written, part.sizes))}<\/td><td>${breakable(decimal(term.value)).replace("-", "−")}<\/td><\/tr>`;
      for (const [, , size] of written.matchAll(/<(mi|msub) data-size="(\w+)">/g)) used.set(`${size}${decimal(part.sizes[size])}`, [size, part]);
    }
    text += `<tr class="total"><th colspan="2" scope="row">sum<\/th><td>${breakable(decimal(part.value))}<\/td><\/tr><\/tbody><\/table>`;
  }
  text += '<ul class="where">';
  for (const [size, part] of used.values()) {
    const { mathml, meaning } = data.sizes[size];
    const number = decimal(part.sizes[size]);
    const equals = `<mo form="infix">${number.endsWith("…") ? "≈" : "="}<\/mo>`;
    const how = size === "U" ? `${math(part.touched.mathml)} ` : "";
    text += `<li>${math(`${mathml}<mo form="infix">=<\/mo>`)} ${how}${math(`${how && equals}<mn>${number}<\/mn>`)} ${meaning}<\/li>`;
  }
  element("formula").innerHTML = `${text}<\/ul>`;
}

/* The same on the command line. */

function commandOf({ state, views }) {
  const words = ["symcost", "report", data.model];
  const changed = (name, option, value = state[name]) => {
    if (state[name] !== DEFAULTS[name]) words.push(option, value);
  };
  if (views === null) words.push("--no-image");
  else if (state.mode === "views") {
    words.push("--base-size", state.base, "--tile-size", state.tile);
    words.push("--crop-grid", `${state.columns}x${state.rows}`);
  } else {
    changed("mode", "--mode");
    if (state.width !== DEFAULTS.width || state.height !== DEFAULTS.height) {
      words.push("--image", `${state.width}x${state.height}`);
    }
  }
  changed("batch", "--batch");
  changed("prompt", "--prompt-tokens");
  changed("cached", "--cached");
  changed("new", "--new-tokens");
  changed("execution", "--execution");
  changed("head", "--lm-head");
  changed("experts", "--experts");
  const widths = [["weights", "weights"], ["activations", "activations"], ["kv", "kv"], ["expert", "experts.weights"]]
    .filter(([name]) => state[name] !== DEFAULTS[name])
    .map(([name, width]) => `${width}=${state[name]}`);
  if (widths.length) words.push("--width", widths.join(","));
  words.push("--device", state.device);
  return words.join(" ");
}

/* Putting it together. */

function answerTo(workload) {
  const { state, sizes } = workload;
  const device = data.devices[state.device];
  const figures = figuresOf(workload);
  const times = Object.fromEntries(
    Object.entries(figures).map(([place, of]) => [place, timeOf(of, device)]),
  );
  const request = times.prefill.seconds + times.steps.seconds;
  const engines = new Set([times.prefill.bound, times.steps.bound]);
  times.generation = { seconds: request, bound: [...engines].join(", ") };
  return {
    workload,
    device,
    figures,
    times,
    ttft: times.prefill,
    tpot: { seconds: times.decode.seconds / Number(sizes.T), bound: times.decode.bound },
    request,
    rate: Number(sizes.B) / request,
  };
}

const many = (count, one, more = `${one}s`) => `${grouped(count)} ${count === 1n ? one : more}`;
const LIMITS = {
  matrix: "at least; matrix units limit",
  vector: "at least; the other units limit",
  memory: "at least; memory bandwidth limits",
};

function show(answer) {
  const { workload, device, figures, ttft, tpot, rate } = answer;
  const { state, views, image, sizes } = workload;
  const crops = views !== null && views.columns > 0n;
  const tiles = crops ? `, ${views.columns} × ${views.rows} tiles of ${views.tile} px` : ", no tiles";
  const seen = views === null ? "no image" : `one view of ${views.base} px${tiles}: ${many(image, "token")}`;
  element("seen").textContent = `${capitalized(seen)}.`;
  element("asked").textContent =
    `Batch ${grouped(sizes.B)}; ${seen}; prefill of ${grouped(sizes.S)}, then ${many(sizes.T, "new token")} on ${grouped(sizes.K)} cached; at best on ${state.device}.`;
  element("ttft").textContent = duration(ttft.seconds);
  element("ttft-bound").textContent = LIMITS[ttft.bound];
  element("tpot").textContent = duration(tpot.seconds);
  element("tpot-bound").textContent = LIMITS[tpot.bound];
  element("rate-name").textContent = views === null ? "Answers" : "Pages";
  element("rate").textContent = `${digits(rate)} /s`;
  element("rate-of").textContent = `${digits(rate * Number(sizes.T))} tokens/s, one batch after the other`;
  const resident = Number(figures.generation.resident_bytes) / 2;
  element("memory").textContent = human(resident, "B");
  element("memory-of").textContent =
    resident <= device.capacity ? `of ${human(device.capacity, "B")}: it fits` : `of ${human(device.capacity, "B")}: it does not fit`;
  element("stages-told").textContent = `decode is ${many(sizes.T, "step")}${sizes.T > 1n ? " together" : ""}; a whole answer is a prefill and ${many(sizes.T, "step")} behind it`;
  element("roof-told").textContent =
    `${state.device}: matrix units can limit from ${digits(device.matrix / device.memory)} FLOPs per byte on; below that memory does first. Large marks are stages, small ones of the same shape their parts.` +
    (device.vector === null ? " Its vendor states no peak of the other units." : "");
  fillTable(answer, state);
  drawRoof(answer);
  writeFormula(answer);
  element("command").textContent = commandOf(workload);
}

const OUTPUTS = [
  "asked", "seen", "ttft", "ttft-bound", "tpot", "tpot-bound", "rate", "rate-of", "memory",
  "memory-of", "stages-told", "roof-told", "command",
];

function clear() {
  for (const id of OUTPUTS) element(id).textContent = "–";
  for (const cell of cells.values()) {
    cell.textContent = "–";
    cell.removeAttribute("title");
  }
  for (const id of ["picture", "formula"]) element(id).replaceChildren();
}

function complain(error) {
  for (const old of form.querySelectorAll(".error")) old.remove();
  for (const input of form.elements) {
    input.removeAttribute("aria-invalid");
    input.removeAttribute("aria-describedby");
  }
  document.body.classList.toggle("unknown", error !== null);
  element("copy").disabled = error !== null;
  if (error === null) return;
  const input = control(error.control);
  input.setAttribute("aria-invalid", "true");
  input.setAttribute("aria-describedby", "wrong");
  add(input.parentElement, "span", { class: "error", id: "wrong" }, capitalized(error.message));
}

let last = null;
let told;

function update(notes = []) {
  const state = asked();
  for (const group of form.querySelectorAll(".group")) {
    const of = state.mode in data.modes ? "modes" : state.mode;
    group.hidden = group.dataset.of !== of;
  }
  remember(state);
  last = null;
  const problems = [...notes];
  try {
    const workload = workloadOf(state);
    complain(null);
    last = answerTo(workload);
    show(last);
  } catch (error) {
    clear();
    complain(error instanceof Wrong ? error : null);
    document.body.classList.add("unknown");
    problems.unshift(error.message);
  }
  element("problem").textContent = capitalized(problems.join("; "));
  element("problem").hidden = problems.length === 0;
  clearTimeout(told);
  told = setTimeout(() => {
    element("status").textContent = last
      ? `First token ${element("ttft").textContent}, each further token ${element("tpot").textContent}, memory ${element("memory").textContent}.`
      : "";
  }, 700);
}

makeTable();
form.addEventListener("submit", (event) => event.preventDefault());
for (const name of Object.keys(DEFAULTS)) control(name).addEventListener("input", () => update());
addEventListener("hashchange", () => update(restore()));
element("reset").addEventListener("click", (event) => {
  event.preventDefault();
  history.replaceState(null, "", location.pathname + location.search);
  update(restore());
});
element("copy").addEventListener("click", async () => {
  try {
    await navigator.clipboard.writeText(element("command").textContent);
    element("copy").textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(element("command"));
    element("copy").textContent = "Selected";
  }
  setTimeout(() => (element("copy").textContent = "Copy"), 1500);
});
const wide = matchMedia("(min-width: 62rem)");
const fold = () => (element("controls").open = wide.matches);
wide.addEventListener("change", fold);
fold();
new ResizeObserver(() => last && drawRoof(last)).observe(element("roof"));
update(restore());
document.documentElement.dataset.ready = "";
