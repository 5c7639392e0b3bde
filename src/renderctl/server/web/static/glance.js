// All frames of a job as small squares, on a canvas: ten thousand elements would be slow.
const NAMES = { b: "blocked", q: "queued", r: "running", s: "succeeded", f: "failed", c: "canceled" };
const GAP = 2;

export class Glance {
  constructor(canvas, said, job) {
    Object.assign(this, { canvas, said, job, at: -1, told: null });
    this.after = Number(canvas.dataset.after);
    new ResizeObserver(() => this.draw()).observe(canvas.parentElement);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
    canvas.addEventListener("pointermove", (event) => this.point(this.under(event)));
    canvas.addEventListener("pointerleave", () => { if (document.activeElement !== canvas) this.point(-1); });
    canvas.addEventListener("click", (event) => this.open(this.under(event)));
    canvas.addEventListener("focus", () => this.point(Math.max(this.at, 0)));
    canvas.addEventListener("blur", () => this.point(-1));
    canvas.addEventListener("keydown", (event) => this.key(event));
  }

  async load() {
    const told = await fetch(`/jobs/${this.job}/glance.json?after=${this.after}`)
      .then((answer) => (answer.ok && !answer.redirected ? answer.json() : null))
      .catch(() => null); // the page is left, or the server is away: "live" says so
    if (!told) return;
    this.told = told;
    this.states = [...this.told.states];
    this.draw();
  }

  // One frame has changed.
  set(number, letter) {
    const index = number - 1 - this.after;
    if (!this.told || !(index in this.states)) return;
    this.states[index] = letter;
    this.square(index);
  }

  draw() {
    if (!this.told) return;
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
      Object.entries(NAMES).map(([letter, name]) => [letter, style.getPropertyValue(`--${name}`)]),
    );
    this.ring = style.getPropertyValue("--text");
    this.states.forEach((_, index) => this.square(index));
  }

  square(index) {
    const { paint, step, side } = this;
    if (!paint) return;
    const x = (index % this.columns) * step, y = Math.floor(index / this.columns) * step;
    paint.clearRect(x, y, step, step);
    paint.fillStyle = this.colours[this.states[index]];
    paint.beginPath();
    paint.roundRect(x, y, side, side, side > 8 ? 3 : 1);
    paint.fill();
    if (this.states[index] === "f" && side > 8) this.cross(x, y);
    if (index === this.at) {
      paint.strokeStyle = this.ring;
      paint.lineWidth = 2;
      paint.strokeRect(x + 1, y + 1, side - 2, side - 2);
    }
  }

  // A failed frame is told by its form, too.
  cross(x, y) {
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

  under(event) {
    if (!this.told) return -1;
    const column = Math.floor(event.offsetX / this.step), row = Math.floor(event.offsetY / this.step);
    const index = row * this.columns + column;
    return column < this.columns && index in this.states ? index : -1;
  }

  point(index) {
    const old = this.at;
    this.at = this.told && index in this.states ? index : -1;
    if (old === this.at) return;
    if (old >= 0) this.square(old);
    if (this.at >= 0) this.square(this.at);
    this.said.textContent = this.at < 0 ? "\u00a0" : this.words(this.at);
  }

  words(index) {
    const { frames, cameras, camera, seconds } = this.told;
    const seen = camera.length ? `, ${cameras[camera[index]]}` : "";
    const took = seconds[index] === null ? "" : `, ${seconds[index].toFixed(1)} s`;
    return `Frame ${frames[index]}${seen}: ${NAMES[this.states[index]]}${took}`;
  }

  open(index) {
    if (index >= 0) location.assign(`/jobs/${this.job}/frames/${index + 1 + this.after}`);
  }

  key(event) {
    if (!this.told) return;
    const last = this.states.length - 1;
    const to = {
      ArrowRight: this.at + 1, ArrowLeft: this.at - 1, ArrowDown: this.at + this.columns, ArrowUp: this.at - this.columns,
      Home: 0, End: last,
    }[event.key];
    if (event.key === "Enter") this.open(this.at);
    if (to === undefined) return;
    event.preventDefault();
    this.point(Math.min(last, Math.max(0, to)));
  }
}
