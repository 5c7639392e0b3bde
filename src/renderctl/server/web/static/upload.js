// Makes a model of a scene in this browser: pick its files, hash and upload them, and have a Blender inspect the scene.
import { sendRequest } from "./api.js";
import { delay, hashFiles, isTransient, uploadFiles } from "./chunked_upload.js";
import { filesOfDrop, filesOfInput } from "./file_picker.js";
import { duration, fileSize } from "./format.js";

const STEPS = ["drop", "picked", "uploading", "missing"], BUSY_S = 2;
const $ = (id) => document.getElementById(id);
let items = [], running = null, model = null;

function showStep(step) {
  for (const id of STEPS) $(id).hidden = id !== step;
  showError("");
}

function showError(text) {
  $("error").textContent = text;
}

// Show the phase, also to screen readers.
function showPhase(text) {
  $("phase").textContent = $("upload-status").textContent = text;
  $("transferred").textContent = $("speed").textContent = "";
}

function pick(picked) {
  items = picked;
  const scenes = items.filter(({ path }) => path.toLowerCase().endsWith(".blend"));
  if (!scenes.length) return showError(items.length ? "There is no .blend among these files." : "There are no files in it.");
  scenes.sort((a, b) => depth(a) - depth(b) || a.path.localeCompare(b.path));
  $("scene").replaceChildren(...scenes.map(({ path }) => new Option(path)));
  $("scenes").hidden = scenes.length < 2;
  const bytes = items.reduce((sum, { file }) => sum + file.size, 0);
  const what = items.length > 1 ? `${items.length} files` : items[0].path;
  $("summary").textContent = `${what}, ${fileSize(bytes)}.`;
  suggestName();
  showStep("picked");
  $("summary").focus();
}

const depth = ({ path }) => path.split("/").length;

function suggestName() {
  $("name").value = $("scene").value.split("/").at(-1).replace(/\.blend$/i, "");
}

// Returns a function that shows how many bytes are done, and the time left at the speed of the last ten seconds.
function progressMeter(total) {
  const samples = [];
  let shownAt = 0;
  return (done) => {
    const now = performance.now() / 1000;
    if (now - shownAt < 0.2 && done < total) return;
    shownAt = now;
    samples.push([now, done]);
    while (samples.length > 2 && now - samples[0][0] > 10) samples.shift();
    const [since, before] = samples[0], rate = (done - before) / Math.max(0.001, now - since);
    $("bar").value = total ? done / total : 1;
    $("transferred").textContent = `${fileSize(done)} of ${fileSize(total)}`;
    const left = rate > 0 && now - since > 1 ? `, about ${duration((total - done) / rate)} left` : "";
    $("speed").textContent = rate > 0 ? `${fileSize(rate)}/s${left}` : "";
  };
}

async function upload() {
  const signal = (running = new AbortController()).signal, main = $("scene").value, project = $("project").value;
  const total = items.reduce((sum, { file }) => sum + file.size, 0);
  showStep("uploading");
  $("cancel").focus();
  try {
    await hashAll(total, signal);
    await uploadAll(total, project, signal);
    const inspected = await inspect(main, project, signal);
    model = { name: $("name").value, main, project, facts: inspected.facts, inputs: inspected.inputs };
    if (inspected.missing.length) showMissing(inspected.missing);
    else await register();
  } catch (error) {
    showStep("picked");
    const advice = isTransient(error) ? " Upload it again later: what was sent need not be sent once more." : "";
    showError(error.name === "AbortError" ? "" : error.message + advice);
  } finally {
    running = null;
  }
}

async function hashAll(total, signal) {
  showPhase("Reading the files");
  const showProgress = progressMeter(total), unhashed = items.filter(({ digest }) => !digest);
  let read = items.reduce((sum, { digest, file }) => sum + (digest ? file.size : 0), 0);
  if (!unhashed.length) return;
  const digests = await hashFiles(unhashed.map(({ file }) => file), (bytes) => showProgress(read += bytes), signal);
  unhashed.forEach((item, index) => Object.assign(item, { digest: digests[index], size: item.file.size }));
}

async function uploadAll(total, project, signal) {
  showPhase("Uploading");
  const showProgress = progressMeter(total), sent = new Map();
  let sum = 0;
  await uploadFiles(items, project, {
    signal,
    onBytes(item, bytes) {
      sum += Math.min(bytes, item.size) - (sent.get(item) ?? 0);
      sent.set(item, Math.min(bytes, item.size));
      showProgress(sum);
    },
    onRetry(message) { $("phase").textContent = message || "Uploading"; },
  });
}

async function inspect(main, project, signal) {
  showPhase("Inspecting the scene in Blender");
  $("bar").removeAttribute("value");
  const files = items.map(({ path, digest, size }) => ({ path, digest, size }));
  for (;;) {
    if (signal.aborted) throw new DOMException("It was cancelled.", "AbortError");
    try {
      return await sendRequest("POST", "/api/v1/models/inspect", { main, files, project }, signal);
    } catch (error) {
      if (error.code !== "busy") throw error;
      $("transferred").textContent = "after another scene";
      await delay(BUSY_S, signal);
    }
  }
}

function showMissing(missing) {
  showStep("missing");
  $("missing-title").textContent = missing.length > 1 ? `${missing.length} files are missing` : "A file is missing";
  $("missing-files").replaceChildren(...missing.slice(0, 50).map(({ path, kind, owner }) => {
    const line = document.createElement("li"), code = document.createElement("code"), detail = document.createElement("span");
    code.textContent = path;
    detail.textContent = `${kind}, ${owner}`;
    detail.className = "dim";
    line.append(code, " ", detail);
    return line;
  }));
  $("upload-status").textContent = $("missing-title").textContent;
  $("missing").focus();
}

async function register(query = "") {
  const added = await sendRequest("POST", "/api/v1/models", model);
  running = null;
  location.assign(`/submit?model=${encodeURIComponent(added.model.id)}${query}`);
}

function start() {
  const drop = $("drop");
  $("upload").hidden = false;
  $("no-script").hidden = true;
  for (const id of ["file", "folder"]) $(id).addEventListener("change", ({ target }) => {
    if (target.files.length) pick(filesOfInput(target));
    target.value = "";
  });
  for (const type of ["dragover", "dragenter"]) drop.addEventListener(type, (event) => {
    event.preventDefault();
    drop.classList.add("over");
  });
  for (const type of ["dragleave", "drop"]) drop.addEventListener(type, () => drop.classList.remove("over"));
  drop.addEventListener("drop", async (event) => {
    event.preventDefault();
    pick(await filesOfDrop(event.dataTransfer));
  });
  $("scene").addEventListener("change", suggestName);
  $("picked").addEventListener("submit", (event) => { event.preventDefault(); upload(); });
  for (const id of ["pick-other", "pick-again"]) $(id).addEventListener("click", () => { showStep("drop"); $("file").focus(); });
  $("cancel").addEventListener("click", () => running?.abort());
  $("continue").addEventListener("click", () => register("&allow_missing=on").catch((error) => showError(error.message)));
  addEventListener("beforeunload", (event) => { if (running) event.preventDefault(); });
}

if ($("upload")) start();
