// A scene from this browser becomes a model: chosen, hashed, sent, looked at by a Blender of the server.
import { ask } from "./actions.js";
import { fromDrop, fromInput } from "./choosing.js";
import { duration, size } from "./said.js";
import { hashed, passes, rest, send } from "./sending.js";

const PARTS = ["drop", "chosen", "sending", "lacking"], BUSY_S = 2;
const $ = (id) => document.getElementById(id);
let items = [], running = null, model = null;

function show(part) {
  for (const each of PARTS) $(each).hidden = each !== part;
  $("trouble").textContent = "";
}

function trouble(text) {
  $("trouble").textContent = text;
}

// What is going on, for eyes and for a screen reader.
function tell(phase) {
  $("phase").textContent = $("told").textContent = phase;
  $("of").textContent = $("pace").textContent = "";
}

function choose(found) {
  items = found;
  const scenes = items.filter(({ path }) => path.toLowerCase().endsWith(".blend"));
  if (!scenes.length) return trouble(items.length ? "There is no .blend among these files." : "There is nothing in it.");
  scenes.sort((a, b) => depth(a) - depth(b) || a.path.localeCompare(b.path));
  $("scene").replaceChildren(...scenes.map(({ path }) => new Option(path)));
  $("scenes").hidden = scenes.length < 2;
  const bytes = items.reduce((sum, { file }) => sum + file.size, 0);
  const what = items.length > 1 ? `${items.length} files` : items[0].path;
  $("counted").textContent = `${what}, ${size(bytes)}.`;
  name();
  show("chosen");
  $("counted").focus();
}

const depth = ({ path }) => path.split("/").length;

function name() {
  $("name").value = $("scene").value.split("/").at(-1).replace(/\.blend$/i, "");
}

// Shows how far some bytes are, and how long the rest takes at the pace of the last seconds.
function meter(total) {
  const seen = [];
  let drawn = 0;
  return (done) => {
    const now = performance.now() / 1000;
    if (now - drawn < 0.2 && done < total) return;
    drawn = now;
    seen.push([now, done]);
    while (seen.length > 2 && now - seen[0][0] > 10) seen.shift();
    const [since, before] = seen[0], rate = (done - before) / Math.max(0.001, now - since);
    $("bar").value = total ? done / total : 1;
    $("of").textContent = `${size(done)} of ${size(total)}`;
    const left = rate > 0 && now - since > 1 ? `, about ${duration((total - done) / rate)} left` : "";
    $("pace").textContent = rate > 0 ? `${size(rate)}/s${left}` : "";
  };
}

async function upload() {
  const signal = (running = new AbortController()).signal, main = $("scene").value, project = $("project").value;
  const total = items.reduce((sum, { file }) => sum + file.size, 0);
  show("sending");
  $("cancel").focus();
  try {
    await hashAll(total, signal);
    await sendAll(total, project, signal);
    const found = await look(main, project, signal);
    model = { name: $("name").value, main, project, facts: found.facts, inputs: found.inputs };
    if (found.missing.length) lack(found.missing);
    else await keep();
  } catch (error) {
    show("chosen");
    const again = passes(error) ? " Upload it again when that is over: what was sent need not be sent once more." : "";
    trouble(error.name === "AbortError" ? "" : error.message + again);
  } finally {
    running = null;
  }
}

async function hashAll(total, signal) {
  tell("Reading the files");
  const count = meter(total), unread = items.filter(({ digest }) => !digest);
  let read = items.reduce((sum, { digest, file }) => sum + (digest ? file.size : 0), 0);
  if (!unread.length) return;
  const digests = await hashed(unread.map(({ file }) => file), (bytes) => count(read += bytes), signal);
  unread.forEach((item, index) => Object.assign(item, { digest: digests[index], size: item.file.size }));
}

async function sendAll(total, project, signal) {
  tell("Sending");
  const count = meter(total), sent = new Map();
  let sum = 0;
  await send(items, project, {
    signal,
    onBytes(item, bytes) {
      sum += Math.min(bytes, item.size) - (sent.get(item) ?? 0);
      sent.set(item, Math.min(bytes, item.size));
      count(sum);
    },
    onBreak(words) { $("phase").textContent = words || "Sending"; },
  });
}

async function look(main, project, signal) {
  tell("A Blender of the farm looks at the scene");
  $("bar").removeAttribute("value");
  const files = items.map(({ path, digest, size: bytes }) => ({ path, digest, size: bytes }));
  for (;;) {
    if (signal.aborted) throw new DOMException("It was cancelled.", "AbortError");
    try {
      return await ask("POST", "/api/v1/models/inspect", { main, files, project }, signal);
    } catch (error) {
      if (error.code !== "busy") throw error;
      $("of").textContent = "it looks at another one before";
      await rest(BUSY_S, signal);
    }
  }
}

function lack(missing) {
  show("lacking");
  $("lacking-title").textContent = missing.length > 1 ? `${missing.length} files are missing` : "A file is missing";
  $("lacking-files").replaceChildren(...missing.slice(0, 50).map(({ path, kind, owner }) => {
    const line = document.createElement("li"), code = document.createElement("code"), more = document.createElement("span");
    code.textContent = path;
    more.textContent = `${kind}, ${owner}`;
    more.className = "dim";
    line.append(code, " ", more);
    return line;
  }));
  $("told").textContent = $("lacking-title").textContent;
  $("lacking").focus();
}

async function keep(anyway = "") {
  const added = await ask("POST", "/api/v1/models", model);
  running = null;
  location.assign(`/submit?model=${encodeURIComponent(added.model.id)}${anyway}`);
}

function begin() {
  const drop = $("drop");
  $("upload").hidden = false;
  $("unscripted").hidden = true;
  for (const id of ["file", "folder"]) $(id).addEventListener("change", ({ target }) => {
    if (target.files.length) choose(fromInput(target));
    target.value = "";
  });
  for (const kind of ["dragover", "dragenter"]) drop.addEventListener(kind, (event) => {
    event.preventDefault();
    drop.classList.add("over");
  });
  for (const kind of ["dragleave", "drop"]) drop.addEventListener(kind, () => drop.classList.remove("over"));
  drop.addEventListener("drop", async (event) => {
    event.preventDefault();
    choose(await fromDrop(event.dataTransfer));
  });
  $("scene").addEventListener("change", name);
  $("chosen").addEventListener("submit", (event) => { event.preventDefault(); upload(); });
  for (const id of ["other", "again"]) $(id).addEventListener("click", () => { show("drop"); $("file").focus(); });
  $("cancel").addEventListener("click", () => running?.abort());
  $("anyway").addEventListener("click", () => keep("&allow_missing=on").catch((error) => trouble(error.message)));
  addEventListener("beforeunload", (event) => { if (running) event.preventDefault(); });
}

if ($("upload")) begin();
