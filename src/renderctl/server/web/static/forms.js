// Forms that send a document: `data-action="POST /api/v1/…"`. `data-type` of a field says how its text is parsed. After
// the request, the elements of `data-refresh` are replaced, `data-toast` is shown, and the fields of the response that
// `data-reveal` names are shown in the element `.result`, this once.
import { sendRequest } from "./api.js";
import { refresh } from "./refresh.js";
import { showToast } from "./toast.js";

const PARSERS = { list: (text) => text.split(/[\s,]+/).filter(Boolean), json: JSON.parse };

function formDocument(form) {
  const values = {};
  for (const { name, value, dataset } of form.elements) {
    if (!name) continue;
    if (dataset.type) values[name] = PARSERS[dataset.type](value);
    else if (value !== "") values[name] = value;
  }
  return values;
}

// The error stands in the form, and screen readers read it aloud.
function showError(form, text) {
  let element = form.querySelector(".error");
  if (!element) {
    element = document.createElement("p");
    element.className = "error";
    element.setAttribute("role", "alert");
    form.append(element);
  }
  element.textContent = text;
}

function reveal(form, result, names) {
  const element = form.parentElement.querySelector(".result"), fields = element.querySelectorAll("[readonly]");
  names.forEach((name, index) => {
    const secret = [].concat(result[name]).join("\n");
    fields[index].value = form.dataset.link ? location.origin + form.dataset.link + encodeURIComponent(secret) : secret;
  });
  element.hidden = false;
  fields[0].select();
}

document.addEventListener("submit", async (event) => {
  const form = event.target, { action, redirect, reveal: names, toast, refresh: ids } = form.dataset;
  if (!action) return;
  event.preventDefault();
  if (form.ariaBusy === "true") return;
  const [method, url] = action.split(" ");
  form.ariaBusy = "true";
  try {
    const result = await sendRequest(method, url, formDocument(form));
    showError(form, "");
    if (redirect) return location.assign(redirect);
    if (names) reveal(form, result, names.split(" "));
    if (toast) showToast(toast);
    if ("clear" in form.dataset) form.reset();
    for (const field of form.querySelectorAll('[type="password"]')) field.value = "";
    if (ids) refresh(...ids.split(" "));
  } catch (error) {
    showError(form, error.message);
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
    showToast("Copied.");
  } catch {
    showToast("It is selected: copy it with the keyboard.");
  }
});

document.addEventListener("action-done", ({ detail: button }) => {
  const ids = button.dataset.refresh ?? button.closest("[id]")?.id;
  if (ids) refresh(...ids.split(" "));
});
