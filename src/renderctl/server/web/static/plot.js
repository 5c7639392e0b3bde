// Seconds by frame, as bars; of many frames each bar stands for the slowest of some.
import { duration } from "./said.js";

const WIDEST = 900, HEIGHT = 120, LEFT = 48, BOTTOM = 18, MOST = 300;

export function plot(section, { frames, seconds }) {
  const known = seconds.map((took, index) => ({ took, frame: frames[index] })).filter(({ took }) => took !== null);
  section.hidden = known.length < 2;
  if (section.hidden) return;
  const width = Math.min(WIDEST, section.clientWidth);  // so that words are as large as elsewhere on a phone
  const sorted = [...known].sort((a, b) => a.took - b.took);
  const middle = sorted[sorted.length >> 1].took, slowest = sorted.at(-1), top = slowest.took || 1;
  section.querySelector("p").textContent =
    `Half of them took less than ${duration(middle)}; frame ${slowest.frame} took longest: ${duration(slowest.took)}.`;
  const each = Math.ceil(seconds.length / MOST), count = Math.ceil(seconds.length / each);
  const wide = (width - LEFT) / count, svg = section.querySelector("svg"), parts = [];
  const line = (y, text) => parts.push(
    make("line", { x1: LEFT, x2: width, y1: y, y2: y, class: "rule" }), make("text", { x: LEFT - 6, y: y + 4, class: "end" }, text));
  line(8, duration(top));
  line(8 + HEIGHT / 2, duration(top / 2));
  for (let bar = 0; bar < count; bar += 1) {
    const took = Math.max(...seconds.slice(bar * each, (bar + 1) * each).map((one) => one ?? 0));
    const tall = (took / top) * HEIGHT;
    if (took) parts.push(make("rect", {
      x: LEFT + bar * wide, y: 8 + HEIGHT - tall, width: Math.max(0.6, wide - (wide > 4 ? 1.5 : 0.2)), height: tall,
      class: took > 3 * middle ? "slow" : "usual",
    }));
  }
  parts.push(make("line", { x1: LEFT, x2: width, y1: 8 + HEIGHT, y2: 8 + HEIGHT, class: "rule" }));
  parts.push(make("text", { x: LEFT, y: HEIGHT + 8 + BOTTOM }, frames[0]));
  parts.push(make("text", { x: width, y: HEIGHT + 8 + BOTTOM, class: "end" }, frames.at(-1)));
  svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT + 8 + BOTTOM + 6}`);
  svg.replaceChildren(...parts);
}

function make(name, attributes, text = "") {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.textContent = text;
  return made;
}
