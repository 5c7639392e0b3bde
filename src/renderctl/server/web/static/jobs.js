// The list of jobs, as it changes.
import { showJob } from "./fields.js";
import { follow, refresh } from "./live.js";

const list = () => document.getElementById("jobs");
const anew = () => (list() ? refresh("jobs") : location.reload());

follow("/api/v1/events", {
  job(job) {
    const row = list()?.querySelector(`[data-job="${job.id}"]`);
    if (row) showJob(row, job);
    else if (!list() || "newest" in list().dataset) anew();
  },
  removed({ id }) {
    list()?.querySelector(`[data-job="${id}"]`)?.remove();
  },
}, anew);
