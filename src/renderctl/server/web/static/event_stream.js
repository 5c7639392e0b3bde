// Subscribes to a stream of server-sent events: `handlers` by type of event. The browser reconnects by itself; after that,
// and after an event `lost`, events were missed, and `onMissed` is called.
export function subscribe(url, handlers, onMissed) {
  const source = new EventSource(url);
  const indicator = document.getElementById("live");
  let wasOpen = false;
  source.onopen = () => {
    if (indicator) indicator.hidden = false;
    if (wasOpen) onMissed();
    wasOpen = true;
  };
  source.onerror = () => { if (indicator) indicator.hidden = true; };
  source.addEventListener("lost", onMissed);
  for (const [type, handle] of Object.entries(handlers)) {
    source.addEventListener(type, (event) => handle(JSON.parse(event.data)));
  }
  addEventListener("pagehide", () => source.close());
  return source;
}
