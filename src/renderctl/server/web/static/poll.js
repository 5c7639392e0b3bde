// Polls the page every few seconds while it is visible: elements with `data-poll` are replaced by their new versions.
import { reload, refresh } from "./refresh.js";

const INTERVAL_MS = 3000;
const indicator = document.getElementById("live");
const polledIds = () => [...document.querySelectorAll("[data-poll]")].map((element) => element.id);

async function poll() {
  if (!document.hidden) indicator.hidden = !(await reload(polledIds()));
  setTimeout(poll, INTERVAL_MS);
}

setTimeout(poll, INTERVAL_MS);
indicator.hidden = false;
document.addEventListener("action-done", () => refresh(...polledIds()));
