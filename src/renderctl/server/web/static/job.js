// One job, as it changes.
import { ask } from "./actions.js";
import { showJob } from "./fields.js";
import { Glance } from "./glance.js";
import { follow, refresh } from "./live.js";
import { plot } from "./plot.js";
import { say } from "./said.js";

const job = document.getElementById("job").dataset.job;
const glance = new Glance(document.getElementById("glance"), document.getElementById("pointed"), job);
let later = null;

// What an event does not say, or said while nobody listened.
function again() {
  later ??= setTimeout(async () => {
    later = null;
    await glance.load();
    if (glance.told) plot(document.getElementById("plot"), glance.told);
  }, 1500);
}

function both() {
  refresh("deeds", "latest", "list");
  again();
}

await glance.load();
if (glance.told) plot(document.getElementById("plot"), glance.told);

let state = document.getElementById("job").dataset.state;
follow(`/api/v1/events?job=${job}`, {
  job(told) {
    showJob(document, told);
    if (told.state !== state) both();
    state = told.state;
  },
  task({ number, state: became }) {
    if (became === "running") glance.set(number, "r");
    else if (became === "succeeded") glance.set(number, "s");
    else glance.set(number, "q");
    if (became !== "running") again();
  },
  output() { refresh("latest", "list"); },
  removed() { location.assign("/"); },
}, both);

document.addEventListener("done", both);
document.addEventListener("change", async ({ target }) => {
  if (!target.dataset.priority) return;
  try {
    await ask("PUT", target.dataset.priority, { priority: Number(target.value) });
    say(`Priority ${target.value} from the next turn on.`);
  } catch (error) {
    say(error.message, true);
  }
});
