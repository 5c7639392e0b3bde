// Forms that send a document: `data-do="POST /api/v1/…"`. A field's `data-as` says what its text is; then the parts
// that `data-refresh` names are put anew, `data-said` is said, and what `data-told` names (one part of the answer, or
// several for fields of these names) is shown, this once.
import { ask } from "./actions.js";
import { refresh } from "./live.js";
import { say } from "./said.js";

const AS = { list: (text) => text.split(/[\s,]+/).filter(Boolean), json: JSON.parse };

function documentOf(form) {
  const told = {};
  for (const { name, value, dataset } of form.elements) {
    if (!name) continue;
    if (dataset.as) told[name] = AS[dataset.as](value);
    else if (value !== "") told[name] = value;
  }
  return told;
}

// What is wrong stands in the form, and is read out.
function complain(form, text) {
  let place = form.querySelector(".trouble");
  if (!place) {
    place = document.createElement("p");
    place.className = "trouble";
    place.setAttribute("role", "alert");
    form.append(place);
  }
  place.textContent = text;
}

function show(form, answer, names) {
  const place = form.parentElement.querySelector(".told"), fields = place.querySelectorAll("[readonly]");
  names.forEach((name, at) => {
    const secret = [].concat(answer[name]).join("\n");
    fields[at].value = form.dataset.link ? location.origin + form.dataset.link + encodeURIComponent(secret) : secret;
  });
  place.hidden = false;
  fields[0].select();
}

document.addEventListener("submit", async (event) => {
  const form = event.target, { do: deed, then, told, said, refresh: parts } = form.dataset;
  if (!deed) return;
  event.preventDefault();
  if (form.ariaBusy === "true") return;
  const [method, address] = deed.split(" ");
  form.ariaBusy = "true";
  try {
    const answer = await ask(method, address, documentOf(form));
    complain(form, "");
    if (then) return location.assign(then);
    if (told) show(form, answer, told.split(" "));
    if (said) say(said);
    if ("clear" in form.dataset) form.reset();
    for (const each of form.querySelectorAll('[type="password"]')) each.value = "";
    if (parts) refresh(...parts.split(" "));
  } catch (error) {
    complain(form, error.message);
  } finally {
    form.ariaBusy = "false";
  }
});

document.addEventListener("click", async ({ target }) => {
  if (!target.closest("[data-copy]")) return;
  const field = target.parentElement.querySelector("input, textarea");
  field.select();
  try {
    await navigator.clipboard.writeText(field.value);
    say("Copied.");
  } catch {
    say("It is selected: copy it with the keyboard.");
  }
});

document.addEventListener("done", ({ detail }) => {
  const parts = detail.dataset.refresh ?? detail.closest("[id]")?.id;
  if (parts) refresh(...parts.split(" "));
});
