// Durations and sizes for people, as the server formats them (templating.py).
export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "";
  if (seconds < 10) return `${Math.max(0, seconds).toFixed(1)} s`;
  if (seconds < 60) return `${seconds.toFixed(0)} s`;
  const units = [[86400, "d"], [3600, "h"], [60, "min"]];
  const index = units.findIndex(([length]) => seconds >= length);
  const [length, unit] = units[index];
  const rest = seconds % length, smaller = units[index + 1];
  const part = smaller && rest >= smaller[0] ? ` ${Math.floor(rest / smaller[0])} ${smaller[1]}` : "";
  return `${Math.floor(seconds / length)} ${unit}${part}`;
}

export function fileSize(bytes) {
  for (const unit of ["bytes", "KiB", "MiB"]) {
    if (bytes < 1024) return unit === "bytes" ? `${bytes.toFixed(0)} ${unit}` : `${bytes.toFixed(1)} ${unit}`;
    bytes /= 1024;
  }
  return `${bytes.toFixed(1)} GiB`;
}
