// The lag of each standby over time, as SVG.  Nothing here touches markup: elements and text nodes only.

const SVG = "http://www.w3.org/2000/svg";
const STYLES = 6;
const MARGIN = { top: 8, right: 8, bottom: 20, left: 58 };
const HEIGHT = 192;
const SPAN_MS = 600000;

function make(name, attributes, text) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
  if (text !== undefined) element.textContent = text;
  return element;
}

export function duration(ms) {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 10000) return `${(ms / 1000).toFixed(1)} s`;
  if (ms < 120000) return `${Math.round(ms / 1000)} s`;
  if (ms < 7200000) return `${Math.round(ms / 60000)} min`;
  if (ms < 172800000) return `${Math.round(ms / 3600000)} h`;
  return `${Math.round(ms / 86400000)} d`;
}

export function bytes(count) {
  const units = ["B", "kB", "MB", "GB", "TB", "PB"];
  let unit = 0;
  while (count >= 1024 && unit < units.length - 1) {
    count /= 1024;
    unit++;
  }
  return `${count < 10 && unit > 0 ? count.toFixed(1) : Math.round(count)} ${units[unit]}`;
}

export const show = { ms: duration, bytes };

// A line's style belongs to its name, in the order of all names: colour, and dashes for who sees no colour.
export function styleOf(index) {
  return `c${index % STYLES}`;
}

export function key(index) {
  const picture = make("svg", { viewBox: "0 0 32 12", "aria-hidden": "true" });
  picture.append(make("line", { x1: 0, y1: 6, x2: 32, y2: 6, class: styleOf(index) }));
  return picture;
}

// 1, 2 or 5 times a power of ten (of two, for bytes), so that the lines of the grid are round.
function ceiling(most, unit) {
  let step = unit === "bytes" ? 1024 : 100;
  const factors = unit === "bytes" ? [2, 2] : [2, 2.5, 2];
  for (let i = 0; step < most; i++) step *= factors[i % factors.length];
  return step;
}

function path(ages, values, x, y, period) {
  let text = "";
  let before = null;
  for (let i = 0; i < ages.length; i++) {
    if (values[i] < 0 || ages[i] > SPAN_MS) {
      before = null;
      continue;
    }
    const joined = before !== null && before - ages[i] < 3 * period;
    text += `${joined ? "L" : "M"}${x(ages[i]).toFixed(1)} ${y(values[i]).toFixed(1)}`;
    if (!joined) text += "h0.1";
    before = ages[i];
  }
  return text;
}

// Draw into the box; lag as in /status, unit "ms" or "bytes".
export function draw(box, lag, unit) {
  const width = Math.max(240, box.clientWidth);
  const most = Math.max(0, ...lag.members.flatMap((one) => one[unit]));
  const top = ceiling(most, unit);
  const x = (age) => MARGIN.left + (1 - age / SPAN_MS) * (width - MARGIN.left - MARGIN.right);
  const y = (value) => MARGIN.top + (1 - value / top) * (HEIGHT - MARGIN.top - MARGIN.bottom);
  const picture = make("svg", {
    viewBox: `0 0 ${width} ${HEIGHT}`,
    role: "img",
    "aria-label": `Plot of replay lag, from 0 to ${show[unit](top)}; the table below has its figures`,
  });
  for (const part of [0, 0.5, 1]) {
    const at = y(part * top);
    picture.append(make("line", { x1: MARGIN.left, x2: width - MARGIN.right, y1: at, y2: at, class: "grid" }));
    picture.append(make("text", { x: MARGIN.left - 6, y: at + 4, "text-anchor": "end" }, show[unit](part * top)));
  }
  for (const minutes of [10, 5, 0]) {
    const anchor = { 10: "start", 5: "middle", 0: "end" }[minutes];
    const text = minutes === 0 ? "now" : `${minutes} min ago`;
    picture.append(make("text", { x: x(minutes * 60000), y: HEIGHT - 4, "text-anchor": anchor }, text));
  }
  lag.members.forEach((one, index) => {
    picture.append(make("path", { d: path(lag.age_ms, one[unit], x, y, lag.period_ms), class: styleOf(index) }));
  });
  box.replaceChildren(picture);
}
