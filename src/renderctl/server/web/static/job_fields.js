// Shows the document of a job in the elements that have a `data-field`.
import { duration } from "./format.js";

export function showJob(root, job) {
  const fields = (name) => root.querySelectorAll(`[data-field="${name}"]`);
  const setText = (name, text) => fields(name).forEach((element) => {
    if (element.textContent !== text) element.textContent = text;
  });
  fields("state").forEach((element) => {
    element.className = `state ${job.state}`;
    element.replaceChildren(document.createElement("i"), job.state);
  });
  fields("bar").forEach((element) => showBar(element, job));
  setText("done", String(job.tasks.succeeded));
  setText("eta", duration(job.eta_seconds));
  setText("priority", String(job.priority));
  setText("reason", job.error || job.waiting_reason || "");
  setText("percent", `${Math.floor(job.progress * 100)} %`);
  setText("outputs", String(job.outputs));
  for (const [state, count] of Object.entries(job.tasks)) setText(`tasks-${state}`, String(count));
}

function showBar(bar, job) {
  bar.setAttribute("aria-valuenow", Math.round(job.progress * 100));
  let x = 0;
  for (const segment of bar.querySelectorAll("rect")) {
    const width = job.tasks.total ? (100 * job.tasks[segment.classList[0]]) / job.tasks.total : 0;
    segment.setAttribute("x", x);
    segment.setAttribute("width", width);
    x += width;
  }
}
