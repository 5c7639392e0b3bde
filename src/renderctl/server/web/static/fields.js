// Show what a job document says in the elements that have a `data-field`.
import { duration } from "./said.js";

export function showJob(root, job) {
  const set = (name, text) => root.querySelectorAll(`[data-field="${name}"]`).forEach((each) => {
    if (each.textContent !== text) each.textContent = text;
  });
  root.querySelectorAll('[data-field="state"]').forEach((each) => {
    each.className = `state ${job.state}`;
    each.replaceChildren(document.createElement("i"), job.state);
  });
  root.querySelectorAll('[data-field="bar"]').forEach((each) => showBar(each, job));
  set("done", String(job.tasks.succeeded));
  set("left", duration(job.eta_seconds));
  set("priority", String(job.priority));
  set("why", job.error || job.waiting_reason || "");
  set("percent", `${Math.floor(job.progress * 100)} %`);
  set("outputs", String(job.outputs));
  for (const [state, count] of Object.entries(job.tasks)) set(`tasks-${state}`, String(count));
}

function showBar(bar, job) {
  bar.setAttribute("aria-valuenow", Math.round(job.progress * 100));
  let from = 0;
  for (const part of bar.querySelectorAll("rect")) {
    const width = job.tasks.total ? (100 * job.tasks[part.classList[0]]) / job.tasks.total : 0;
    part.setAttribute("x", from);
    part.setAttribute("width", width);
    from += width;
  }
}
