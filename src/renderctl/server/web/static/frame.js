// The page of one frame: its log while Blender prints, and its images when they are published.
import { subscribe } from "./event_stream.js";
import { refresh } from "./refresh.js";

const log = document.getElementById("log");
const ids = ["status", "images", "attempts"];

if (log) log.scrollTop = log.scrollHeight;
if (log && "live" in log.dataset) {
  const { job, number, attempt } = log.dataset;
  let isFirst = true;
  const source = subscribe(`/api/v1/jobs/${job}/logs/live?task=${number}`, {
    log(part) {
      if (part.attempt.id !== attempt) return;
      if (isFirst) log.textContent = "";
      isFirst = false;
      const isAtEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
      log.append(part.text);
      if (isAtEnd) log.scrollTop = log.scrollHeight;
    },
    end() { source.close(); },
  }, () => { isFirst = true; });
}

const segments = location.pathname.split("/");
subscribe(`/api/v1/events?job=${segments[2]}`, {
  task({ number }) {
    if (number !== Number(segments[4])) return;
    if (log) refresh(...ids);
    else location.reload();
  },
}, () => refresh(...ids));
