// A page that is looked at again every few seconds, while somebody sees it: what has `data-again` is put anew.
import { refresh, renew } from "./live.js";

const EVERY_MS = 3000;
const sign = document.getElementById("live");
const parts = () => [...document.querySelectorAll("[data-again]")].map((each) => each.id);

async function again() {
  if (!document.hidden) sign.hidden = !(await renew(parts()));
  setTimeout(again, EVERY_MS);
}

setTimeout(again, EVERY_MS);
sign.hidden = false;
document.addEventListener("done", () => refresh(...parts()));
