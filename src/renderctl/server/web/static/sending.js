// Files go to the server: hashed, those that it wants in pieces, going on where a piece broke off.
import { ask } from "./actions.js";

const PIECE = 16 << 20, PARALLEL = 3, LONGEST_WAIT_S = 30, GIVE_UP = 40;
const stopped = () => new DOMException("It was cancelled.", "AbortError");

// The digest of each file, in order; `onBytes` hears how many more were read.
export function hashed(files, onBytes, signal) {
  return new Promise((done, failed) => {
    const worker = new Worker("/static/hashing.js", { type: "module" }), digests = [];
    const end = (then, value) => { worker.terminate(); then(value); };
    signal.addEventListener("abort", () => end(failed, stopped()), { once: true });
    worker.onerror = () => end(failed, new Error("The files can not be read."));
    worker.onmessage = ({ data }) => {
      if (data.trouble) end(failed, new Error(data.trouble));
      if (data.bytes) onBytes(data.bytes);
      if (data.digest && digests.push(data.digest) === files.length) end(done, digests);
    };
    worker.postMessage(files);
  });
}

// Send what is wanted of `items` ({file, path, digest, size}), several at a time. `onBytes(item, sent)`, `onBreak(words)`.
export async function send(items, project, { onBytes, onBreak, signal }) {
  const files = items.map(({ path, digest, size }) => ({ path, digest, size }));
  const told = await ask("POST", "/api/v1/uploads/wanted", { files, project });
  const digests = new Set(told.map(({ digest }) => digest)), waiting = [];
  for (const item of items) if (digests.delete(item.digest)) waiting.push(item);
  const wanted = new Set(waiting);
  for (const item of items) if (!wanted.has(item)) onBytes(item, item.size);
  const together = new AbortController();  // when one fails, the others end
  signal.addEventListener("abort", () => together.abort(), { once: true });
  const sending = async () => {
    while (waiting.length) await sendOne(waiting.shift(), onBytes, onBreak, together.signal);
  };
  try {
    await Promise.all(Array.from({ length: PARALLEL }, sending));
  } finally {
    together.abort();
  }
}

async function sendOne(item, onBytes, onBreak, signal) {
  const address = `/api/v1/uploads/${item.digest}`;
  let sent = 0, broke = 0;
  for (let complete = false; !complete;) {
    if (signal.aborted) throw stopped();
    try {
      if (broke || (!sent && item.size > PIECE)) sent = Math.min((await ask("GET", address)).received, item.size);
      onBytes(item, sent);
      const piece = item.file.slice(sent, sent + PIECE);
      const told = await put(`${address}?size=${item.size}&offset=${sent}`, piece, (some) => onBytes(item, sent + some), signal);
      ({ received: sent, complete } = told);
      broke = 0;
      onBreak("");
    } catch (error) {
      if (signal.aborted || !passes(error) || (broke += 1) > GIVE_UP) throw error;
      const wait = Math.min(LONGEST_WAIT_S, 2 ** (broke - 1));
      onBreak(`${error.message} It goes on in ${wait} s.`);
      await rest(wait, signal);
    }
  }
  onBytes(item, item.size);
}

// What a while may help against: no connection, a server that is away, another page that sends the same file.
export const passes = (error) => error instanceof TypeError || error.status === 0 || error.status === 409 || error.status >= 502;

function put(address, piece, onBytes, signal) {
  return new Promise((done, failed) => {
    const request = new XMLHttpRequest();  // fetch does not say how far it is
    const abort = () => request.abort();
    const end = (then, value) => { signal.removeEventListener("abort", abort); then(value); };
    const fail = (message) => end(failed, Object.assign(new Error(message), { status: request.status }));
    request.open("PUT", address);
    request.setRequestHeader("X-CSRF-Token", document.querySelector('meta[name="csrf"]').content);
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.responseType = "json";
    request.upload.onprogress = ({ loaded }) => onBytes(loaded);
    request.onload = () => {
      if (request.status === 200) return end(done, request.response);
      const { message = `The server answered ${request.status}.`, hint } = request.response?.error ?? {};
      fail([message, hint].filter(Boolean).join(" "));
    };
    request.onerror = () => fail("The connection is lost.");
    request.onabort = () => end(failed, stopped());
    signal.addEventListener("abort", abort, { once: true });
    request.send(piece);
  });
}

export function rest(seconds, signal) {
  return new Promise((done, failed) => {
    const timer = setTimeout(done, seconds * 1000);
    signal.addEventListener("abort", () => { clearTimeout(timer); failed(stopped()); }, { once: true });
  });
}
