// One frame, while it is being rendered: its log as it is printed, and what has come of it at the end.
import { follow, refresh } from "./live.js";

const log = document.getElementById("log");
const parts = ["standing", "images", "attempts"];

if (log) log.scrollTop = log.scrollHeight;
if (log && "live" in log.dataset) {
  const { job, number, attempt } = log.dataset;
  let fresh = true;
  const source = follow(`/api/v1/jobs/${job}/logs/live?task=${number}`, {
    log(part) {
      if (part.attempt.id !== attempt) return;
      if (fresh) log.textContent = "";
      fresh = false;
      const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
      log.append(part.text);
      if (atEnd) log.scrollTop = log.scrollHeight;
    },
    end() { source.close(); },
  }, () => { fresh = true; });
}

const place = location.pathname.split("/");
follow(`/api/v1/events?job=${place[2]}`, {
  task({ number }) {
    if (number !== Number(place[4])) return;
    if (log) refresh(...parts);
    else location.reload();
  },
}, () => refresh(...parts));
