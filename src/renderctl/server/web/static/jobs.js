// The list of jobs, updated as they change.
import { subscribe } from "./event_stream.js";
import { showJob } from "./job_fields.js";
import { refresh } from "./refresh.js";

const list = () => document.getElementById("jobs");
const refreshList = () => (list() ? refresh("jobs") : location.reload());

subscribe("/api/v1/events", {
  job(job) {
    const row = list()?.querySelector(`[data-job="${job.id}"]`);
    if (row) showJob(row, job);
    else if (!list() || "newest" in list().dataset) refreshList();
  },
  removed({ id }) {
    list()?.querySelector(`[data-job="${id}"]`)?.remove();
  },
}, refreshList);
