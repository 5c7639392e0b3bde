// Buttons that do something: `data-do="POST /api/v1/…"`, with `data-body`, `data-ask` before and `data-then` after it.
import { say } from "./said.js";

export async function ask(method, address, body, signal) {
  const headers = { "X-CSRF-Token": document.querySelector('meta[name="csrf"]').content };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const answer = await fetch(address, { method, headers, body: body === undefined ? undefined : JSON.stringify(body), signal });
  const told = await answer.json().catch(() => ({}));
  if (answer.ok) return told;
  const error = told.error ?? { message: `The server answered ${answer.status}.` };
  const { status } = answer, { code } = error;
  throw Object.assign(new Error([error.message, error.hint].filter(Boolean).join(" ")), { status, code });
}

function sure(question, word) {
  const dialog = document.createElement("dialog");
  const text = document.createElement("p"), form = document.createElement("form");
  text.textContent = question;
  text.id = "question";
  dialog.setAttribute("aria-labelledby", "question");
  form.method = "dialog";
  form.innerHTML = '<button value="">Back</button> <button value="yes" class="danger"></button>';
  form.lastChild.textContent = word;
  dialog.append(text, form);
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((done) => dialog.addEventListener("close", () => {
    dialog.remove();
    done(dialog.returnValue === "yes");
  }));
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("button[data-do]");
  if (!button) return;
  const { do: deed, body, ask: question, then } = button.dataset;
  if (question && !(await sure(question, button.textContent.trim()))) return;
  const [method, address] = deed.split(" ");
  button.disabled = true;
  try {
    await ask(method, address, body ? JSON.parse(body) : undefined);
    if (then) location.assign(then);
    else document.dispatchEvent(new CustomEvent("done", { detail: button }));
    if (!then && "reload" in button.dataset) location.reload();
  } catch (error) {
    say(error.message, true);
  } finally {
    button.disabled = false;
    if (document.activeElement === document.body) button.focus({ preventScroll: true });
  }
});

// Filters that need no button.
for (const form of document.querySelectorAll("form[data-auto]")) {
  form.classList.add("auto");
  form.addEventListener("change", () => form.requestSubmit());
  form.addEventListener("formdata", ({ formData }) => {
    for (const [name, value] of [...formData]) if (!value) formData.delete(name);
  });
}
