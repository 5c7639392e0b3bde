// All frames of a job as small squares on a canvas: ten thousand elements would be slow.
const STATES = { b: "blocked", q: "queued", r: "running", s: "succeeded", f: "failed", c: "canceled" };
const GAP = 2;

export class FrameGrid {
  constructor(canvas, label, job) {
    Object.assign(this, { canvas, label, job, current: -1, frames: null });
    this.after = Number(canvas.dataset.after);
    new ResizeObserver(() => this.draw()).observe(canvas.parentElement);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
    canvas.addEventListener("pointermove", (event) => this.select(this.indexAt(event)));
    canvas.addEventListener("pointerleave", () => { if (document.activeElement !== canvas) this.select(-1); });
    canvas.addEventListener("click", (event) => this.open(this.indexAt(event)));
    canvas.addEventListener("focus", () => this.select(Math.max(this.current, 0)));
    canvas.addEventListener("blur", () => this.select(-1));
    canvas.addEventListener("keydown", (event) => this.handleKey(event));
  }

  async load() {
    const frames = await fetch(`/jobs/${this.job}/frames.json?after=${this.after}`)
      .then((response) => (response.ok && !response.redirected ? response.json() : null))
      .catch(() => null); // the page is being left, or the server is away: the indicator "live" shows it
    if (!frames) return;
    this.frames = frames;
    this.states = [...frames.states];
    this.draw();
  }

  // Set the state of one frame: the first letter of its name.
  setState(number, letter) {
    const index = number - 1 - this.after;
    if (!this.frames || !(index in this.states)) return;
    this.states[index] = letter;
    this.drawSquare(index);
  }

  draw() {
    if (!this.frames) return;
    const { canvas } = this, count = this.states.length, width = canvas.parentElement.clientWidth;
    const side = count <= 150 ? 22 : count <= 1200 ? 14 : count <= 4000 ? 9 : 6;
    this.step = side + (side > 8 ? GAP : 1);
    this.side = side;
    this.columns = Math.max(1, Math.floor(width / this.step));
    const height = Math.ceil(count / this.columns) * this.step, scale = devicePixelRatio;
    canvas.width = this.columns * this.step * scale;
    canvas.height = height * scale;
    canvas.style.width = `${this.columns * this.step}px`;
    canvas.style.height = `${height}px`;
    this.paint = canvas.getContext("2d");
    this.paint.scale(scale, scale);
    const style = getComputedStyle(document.documentElement);
    this.colours = Object.fromEntries(
      Object.entries(STATES).map(([letter, name]) => [letter, style.getPropertyValue(`--${name}`)]),
    );
    this.outline = style.getPropertyValue("--text");
    this.states.forEach((_, index) => this.drawSquare(index));
  }

  drawSquare(index) {
    const { paint, step, side } = this;
    if (!paint) return;
    const x = (index % this.columns) * step, y = Math.floor(index / this.columns) * step;
    paint.clearRect(x, y, step, step);
    paint.fillStyle = this.colours[this.states[index]];
    paint.beginPath();
    paint.roundRect(x, y, side, side, side > 8 ? 3 : 1);
    paint.fill();
    if (this.states[index] === "f" && side > 8) this.drawCross(x, y);
    if (index === this.current) {
      paint.strokeStyle = this.outline;
      paint.lineWidth = 2;
      paint.strokeRect(x + 1, y + 1, side - 2, side - 2);
    }
  }

  // Failed frames differ by shape, too, not by colour alone.
  drawCross(x, y) {
    const { paint, side } = this, inset = side * 0.32;
    paint.strokeStyle = "#fff";
    paint.lineWidth = 1.5;
    paint.beginPath();
    paint.moveTo(x + inset, y + inset);
    paint.lineTo(x + side - inset, y + side - inset);
    paint.moveTo(x + side - inset, y + inset);
    paint.lineTo(x + inset, y + side - inset);
    paint.stroke();
  }

  indexAt(event) {
    if (!this.frames) return -1;
    const column = Math.floor(event.offsetX / this.step), row = Math.floor(event.offsetY / this.step);
    const index = row * this.columns + column;
    return column < this.columns && index in this.states ? index : -1;
  }

  select(index) {
    const previous = this.current;
    this.current = this.frames && index in this.states ? index : -1;
    if (previous === this.current) return;
    if (previous >= 0) this.drawSquare(previous);
    if (this.current >= 0) this.drawSquare(this.current);
    this.label.textContent = this.current < 0 ? "\u00a0" : this.describe(this.current);
  }

  describe(index) {
    const { frames, cameras, camera, seconds } = this.frames;
    const by = camera.length ? `, ${cameras[camera[index]]}` : "";
    const took = seconds[index] === null ? "" : `, ${seconds[index].toFixed(1)} s`;
    return `Frame ${frames[index]}${by}: ${STATES[this.states[index]]}${took}`;
  }

  open(index) {
    if (index >= 0) location.assign(`/jobs/${this.job}/frames/${index + 1 + this.after}`);
  }

  handleKey(event) {
    if (!this.frames) return;
    const last = this.states.length - 1, { current, columns } = this;
    const next = {
      ArrowRight: current + 1, ArrowLeft: current - 1, ArrowDown: current + columns, ArrowUp: current - columns,
      Home: 0, End: last,
    }[event.key];
    if (event.key === "Enter") this.open(current);
    if (next === undefined) return;
    event.preventDefault();
    this.select(Math.min(last, Math.max(0, next)));
  }
}
