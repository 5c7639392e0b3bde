// The page of one job, updated as the job changes.
import { sendRequest } from "./api.js";
import { subscribe } from "./event_stream.js";
import { FrameGrid } from "./frame_grid.js";
import { showJob } from "./job_fields.js";
import { plot } from "./plot.js";
import { refresh } from "./refresh.js";
import { showToast } from "./toast.js";

const section = document.getElementById("job"), job = section.dataset.job;
const grid = new FrameGrid(document.getElementById("frame-grid"), document.getElementById("frame-label"), job);
let timer = null;

async function loadGrid() {
  await grid.load();
  if (grid.frames) plot(document.getElementById("plot"), grid.frames);
}

// For what events do not say, or what they said before the page listened.
function loadGridSoon() {
  timer ??= setTimeout(() => {
    timer = null;
    loadGrid();
  }, 1500);
}

function refreshAll() {
  refresh("actions", "latest", "list");
  loadGridSoon();
}

await loadGrid();

let state = section.dataset.state;
subscribe(`/api/v1/events?job=${job}`, {
  job(jobDocument) {
    showJob(document, jobDocument);
    if (jobDocument.state !== state) refreshAll();
    state = jobDocument.state;
  },
  task({ number, state: attemptState }) {
    if (attemptState === "running") grid.setState(number, "r");
    else if (attemptState === "succeeded") grid.setState(number, "s");
    else grid.setState(number, "q");
    if (attemptState !== "running") loadGridSoon();
  },
  output() { refresh("latest", "list"); },
  removed() { location.assign("/"); },
}, refreshAll);

document.addEventListener("action-done", refreshAll);
document.addEventListener("change", async ({ target }) => {
  if (!target.dataset.priority) return;
  try {
    await sendRequest("PUT", target.dataset.priority, { priority: Number(target.value) });
    showToast(`The priority is ${target.value} for the next frames.`);
  } catch (error) {
    showToast(error.message, true);
  }
});
