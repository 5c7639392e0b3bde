// Follow the farm: the browser connects again by itself; "lost" and a new connection mean that something was missed.
export function follow(address, tell, again) {
  const source = new EventSource(address);
  const sign = document.getElementById("live");
  let began = false;
  source.onopen = () => {
    if (sign) sign.hidden = false;
    if (began) again();
    began = true;
  };
  source.onerror = () => { if (sign) sign.hidden = true; };
  source.addEventListener("lost", again);
  for (const [kind, told] of Object.entries(tell)) {
    source.addEventListener(kind, (event) => told(JSON.parse(event.data)));
  }
  addEventListener("pagehide", () => source.close());
  return source;
}

// The same page anew, of which the parts with these ids are put in place of the old ones.
const wanted = new Set();
let asking = null;
export function refresh(...ids) {
  for (const id of ids) wanted.add(id);
  asking ??= setTimeout(() => {
    asking = null;
    const parts = [...wanted];
    wanted.clear();
    renew(parts);
  }, 800);
}

// As refresh, now; whether the server has answered.
export async function renew(ids) {
  const answer = await fetch(location.href, { headers: { Accept: "text/html" } }).catch(() => null);
  if (answer?.redirected) location.reload();
  const text = answer?.ok && !answer.redirected ? await answer.text().catch(() => null) : null;
  if (text === null) return false;
  const fresh = new DOMParser().parseFromString(text, "text/html");
  for (const id of ids) {
    const old = document.getElementById(id), now = fresh.getElementById(id);
    if (old && now) put(old, document.adoptNode(now));
    else if (now) location.reload();
  }
  document.dispatchEvent(new Event("refreshed"));
  return true;
}

// Not where somebody types. What is typed elsewhere stays, and who is there with the keyboard stays where he is.
function put(old, now) {
  const held = old.contains(document.activeElement) ? document.activeElement : null;
  if ((held && isChanged(held)) || old.isEqualNode(now)) return;
  const typed = [...old.querySelectorAll("input, select, textarea")].filter(isChanged);
  const heir = held && (alike(now, held) || alike(now, held, about) || now.querySelector("a, button"));
  old.replaceWith(now);
  for (const each of typed) {
    const its = alike(now, each);
    if (its) its.value = each.value;
  }
  heir?.focus({ preventScroll: true });
}

function isChanged(field) {
  if (field.options) return [...field.options].some((each) => each.selected !== each.defaultSelected);
  return field.defaultValue !== undefined && field.value !== field.defaultValue;
}

const deed = (each) => each.closest("[data-do]")?.dataset.do ?? "";
const marks = (each) => [each.id, each.name, each.getAttribute("href"), deed(each)].join();
// What else may be done to the same: `…/resume` for `…/drain`.
const about = (each) => deed(each).replace(/\/\w+$/, "");

function alike(now, held, mark = marks) {
  return mark(held) && [...now.querySelectorAll(held.localName)].find((each) => mark(each) === mark(held));
}
