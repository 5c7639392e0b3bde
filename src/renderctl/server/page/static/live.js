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
let asking = null;
export function refresh(...ids) {
  asking ??= setTimeout(async () => {
    asking = null;
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (answer.redirected) return location.reload();
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const id of ids) {
      const old = document.getElementById(id), now = fresh.getElementById(id);
      if (old && now && !old.contains(document.activeElement)) old.replaceWith(document.adoptNode(now));
      else if (!old && now) return location.reload();
    }
    document.dispatchEvent(new Event("refreshed"));
  }, 800);
}
