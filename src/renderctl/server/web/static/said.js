// How the page writes durations; the server writes them alike.
export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "";
  if (seconds < 10) return `${Math.max(0, seconds).toFixed(1)} s`;
  if (seconds < 60) return `${seconds.toFixed(0)} s`;
  const units = [[86400, "d"], [3600, "h"], [60, "min"]];
  const at = units.findIndex(([length]) => seconds >= length);
  const [length, unit] = units[at];
  const rest = seconds % length, smaller = units[at + 1];
  const part = smaller && rest >= smaller[0] ? ` ${Math.floor(rest / smaller[0])} ${smaller[1]}` : "";
  return `${Math.floor(seconds / length)} ${unit}${part}`;
}

// And bytes.
export function size(count) {
  for (const unit of ["bytes", "KiB", "MiB"]) {
    if (count < 1024) return unit === "bytes" ? `${count.toFixed(0)} ${unit}` : `${count.toFixed(1)} ${unit}`;
    count /= 1024;
  }
  return `${count.toFixed(1)} GiB`;
}

// Tell whoever looks, and whoever listens to a screen reader.
export function say(text, trouble = false) {
  const place = document.getElementById("said");
  place.textContent = text;
  place.classList.toggle("trouble", trouble);
  clearTimeout(say.timer);
  say.timer = setTimeout(() => { place.textContent = ""; }, trouble ? 12000 : 4000);
}
