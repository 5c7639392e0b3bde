// A bar chart of the seconds of each frame; with many frames, a bar is the slowest of several.
import { duration } from "./format.js";

const MAX_WIDTH = 900, HEIGHT = 120, LEFT = 48, BOTTOM = 18, MAX_BARS = 300;

export function plot(section, { frames, seconds }) {
  const measured = seconds.map((value, index) => ({ value, frame: frames[index] })).filter(({ value }) => value !== null);
  section.hidden = measured.length < 2;
  if (section.hidden) return;
  const width = Math.min(MAX_WIDTH, section.clientWidth);  // not scaled down on a phone: the text stays readable
  const sorted = [...measured].sort((a, b) => a.value - b.value);
  const median = sorted[sorted.length >> 1].value, slowest = sorted.at(-1), top = slowest.value || 1;
  section.querySelector("p").textContent =
    `Half of them took less than ${duration(median)}; frame ${slowest.frame} took longest: ${duration(slowest.value)}.`;
  const perBar = Math.ceil(seconds.length / MAX_BARS), bars = Math.ceil(seconds.length / perBar);
  const step = (width - LEFT) / bars, svg = section.querySelector("svg"), parts = [];
  const addLine = (y, text) => parts.push(
    make("line", { x1: LEFT, x2: width, y1: y, y2: y, class: "rule" }), make("text", { x: LEFT - 6, y: y + 4, class: "end" }, text));
  addLine(8, duration(top));
  addLine(8 + HEIGHT / 2, duration(top / 2));
  for (let bar = 0; bar < bars; bar += 1) {
    const longest = Math.max(...seconds.slice(bar * perBar, (bar + 1) * perBar).map((value) => value ?? 0));
    const height = (longest / top) * HEIGHT;
    if (longest) parts.push(make("rect", {
      x: LEFT + bar * step, y: 8 + HEIGHT - height, width: Math.max(0.6, step - (step > 4 ? 1.5 : 0.2)), height,
      class: longest > 3 * median ? "slow" : "usual",
    }));
  }
  parts.push(make("line", { x1: LEFT, x2: width, y1: 8 + HEIGHT, y2: 8 + HEIGHT, class: "rule" }));
  parts.push(make("text", { x: LEFT, y: HEIGHT + 8 + BOTTOM }, frames[0]));
  parts.push(make("text", { x: width, y: HEIGHT + 8 + BOTTOM, class: "end" }, frames.at(-1)));
  svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT + 8 + BOTTOM + 6}`);
  svg.replaceChildren(...parts);
}

function make(name, attributes, text = "") {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.textContent = text;
  return element;
}
