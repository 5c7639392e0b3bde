// Replaces elements of the page, by their ids, by their versions in a newly loaded page.
const pendingIds = new Set();
let timer = null;

// Replace them soon: several calls make one request.
export function refresh(...ids) {
  for (const id of ids) pendingIds.add(id);
  timer ??= setTimeout(() => {
    timer = null;
    const due = [...pendingIds];
    pendingIds.clear();
    reload(due);
  }, 800);
}

// Replace them now. Resolves to whether the server has answered.
export async function reload(ids) {
  const response = await fetch(location.href, { headers: { Accept: "text/html" } }).catch(() => null);
  if (response?.redirected) location.reload();
  const text = response?.ok && !response.redirected ? await response.text().catch(() => null) : null;
  if (text === null) return false;
  const page = new DOMParser().parseFromString(text, "text/html");
  for (const id of ids) {
    const current = document.getElementById(id), updated = page.getElementById(id);
    if (current && updated) replace(current, document.adoptNode(updated));
    else if (updated) location.reload();
  }
  document.dispatchEvent(new Event("refreshed"));
  return true;
}

// Skip an element in which somebody is typing. Other edited fields keep their values, and the focus stays where it is.
function replace(current, updated) {
  const focused = current.contains(document.activeElement) ? document.activeElement : null;
  if ((focused && isEdited(focused)) || current.isEqualNode(updated)) return;
  const edited = [...current.querySelectorAll("input, select, textarea")].filter(isEdited);
  const nextFocus = focused && (counterpart(updated, focused) || counterpart(updated, focused, actionTarget) || updated.querySelector("a, button"));
  current.replaceWith(updated);
  for (const field of edited) {
    const newField = counterpart(updated, field);
    if (newField) newField.value = field.value;
  }
  nextFocus?.focus({ preventScroll: true });
}

function isEdited(field) {
  if (field.options) return [...field.options].some((option) => option.selected !== option.defaultSelected);
  return field.defaultValue !== undefined && field.value !== field.defaultValue;
}

const actionOf = (element) => element.closest("[data-action]")?.dataset.action ?? "";
const identity = (element) => [element.id, element.name, element.getAttribute("href"), actionOf(element)].join();
// The thing that an action is for, whatever the action: `…/resume` and `…/drain` of one worker.
const actionTarget = (element) => actionOf(element).replace(/\/\w+$/, "");

function counterpart(parent, element, key = identity) {
  return key(element) && [...parent.querySelectorAll(element.localName)].find((other) => key(other) === key(element));
}
