/* Numbers as people write and read them. */

export const grouped = (number) => String(number).replace(/\B(?=(\d{3})+(?!\d))/g, ",");

/** An integer in its shortest digits, also where it is written 08 or 1e3; other texts as they are. */
export function plain(text) {
  const [, digits, exponent = 0] = /^(\d{1,40})(?:e\+?(\d{1,2}))?$/i.exec(text) ?? [];
  return digits ? String(BigInt(digits) * 10n ** BigInt(exponent)) : text;
}

const PREFIXES = ["", "k", "M", "G", "T", "P", "E"];

/** Four significant digits and a decimal prefix; below a thousand, six and none. */
export function human(value, unit = "") {
  if (value < 1000) return `${+value.toPrecision(6)} ${unit}`.trim();
  let power = PREFIXES.findLastIndex((_, at) => value >= 1000 ** at);
  if (Number((value / 1000 ** power).toPrecision(4)) === 1000) power += 1;
  if (power === PREFIXES.length || value >= 1e21) return `${value.toExponential(3)} ${unit}`.trim();
  return `${(value / 1000 ** power).toPrecision(4)} ${PREFIXES[power]}${unit}`;
}

/** Four significant digits. */
export function digits(value) {
  const near = +value.toPrecision(4);
  if (near >= 1e6) return near.toExponential(3);
  return near >= 1000 && Number.isInteger(near) ? grouped(near) : String(near);
}

const TIMES = [
  [1000 * 86_400, 365.25 * 86_400, "years"],
  [100_000, 86_400, "days"],
  [1, 1, "s"],
  [1e-3, 1e-3, "ms"],
  [1e-6, 1e-6, "µs"],
  [0, 1e-9, "ns"],
];

/** Four significant digits of a time, each unit from its own least on. */
export function duration(seconds) {
  const near = +seconds.toPrecision(4);
  const [, size, unit] = TIMES.find(([least]) => near >= least);
  return `${digits(seconds / size)} ${unit}`;
}
