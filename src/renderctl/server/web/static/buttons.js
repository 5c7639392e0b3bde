// Buttons that send a request: `data-action="POST /api/v1/…"`, with `data-body`; `data-confirm` is asked before, and
// after it the page goes to `data-redirect`, or loads again (`data-reload`).
import { sendRequest } from "./api.js";
import { showToast } from "./toast.js";

function confirmed(question, label) {
  const dialog = document.createElement("dialog");
  const text = document.createElement("p"), form = document.createElement("form");
  text.textContent = question;
  text.id = "confirm-question";
  dialog.id = "confirm";
  dialog.setAttribute("aria-labelledby", text.id);
  form.method = "dialog";
  form.innerHTML = '<button value="">Back</button> <button value="yes" class="danger"></button>';
  form.lastChild.textContent = label;
  dialog.append(text, form);
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => dialog.addEventListener("close", () => {
    dialog.remove();
    resolve(dialog.returnValue === "yes");
  }));
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("button[data-action]");
  if (!button) return;
  const { action, body, confirm: question, redirect } = button.dataset;
  if (question && !(await confirmed(question, button.textContent.trim()))) return;
  const [method, url] = action.split(" ");
  button.disabled = true;
  try {
    await sendRequest(method, url, body ? JSON.parse(body) : undefined);
    if (redirect) location.assign(redirect);
    else document.dispatchEvent(new CustomEvent("action-done", { detail: button }));
    if (!redirect && "reload" in button.dataset) location.reload();
  } catch (error) {
    showToast(error.message, true);
  } finally {
    button.disabled = false;
    if (document.activeElement === document.body) button.focus({ preventScroll: true });
  }
});

// Filters that apply without their button.
for (const form of document.querySelectorAll("form[data-auto]")) {
  form.classList.add("auto");
  form.addEventListener("change", () => form.requestSubmit());
  form.addEventListener("formdata", ({ formData }) => {
    for (const [name, value] of [...formData]) if (!value) formData.delete(name);
  });
}
