// Uploads files: it hashes them, and sends those that the server misses in chunks, resuming after an interruption.
import { csrfToken, errorMessage, sendRequest } from "./api.js";

const CHUNK = 16 << 20, PARALLEL = 3, MAX_WAIT_S = 30, MAX_RETRIES = 40;
const aborted = () => new DOMException("It was cancelled.", "AbortError");

// The digests of the files, in order; `onBytes` gets how many more bytes were read.
export function hashFiles(files, onBytes, signal) {
  return new Promise((resolve, reject) => {
    const worker = new Worker("/static/hash_worker.js", { type: "module" }), digests = [];
    const end = (settle, value) => { worker.terminate(); settle(value); };
    signal.addEventListener("abort", () => end(reject, aborted()), { once: true });
    worker.onerror = () => end(reject, new Error("The files cannot be read."));
    worker.onmessage = ({ data }) => {
      if (data.error) end(reject, new Error(data.error));
      if (data.bytes) onBytes(data.bytes);
      if (data.digest && digests.push(data.digest) === files.length) end(resolve, digests);
    };
    worker.postMessage(files);
  });
}

// Upload those of `items` ({file, path, digest, size}) that the server misses, several at a time. `onBytes(item, sent)`,
// `onRetry(message)`: an empty message when the upload goes on.
export async function uploadFiles(items, project, { onBytes, onRetry, signal }) {
  const files = items.map(({ path, digest, size }) => ({ path, digest, size }));
  const missing = await sendRequest("POST", "/api/v1/uploads/wanted", { files, project });
  const digests = new Set(missing.map(({ digest }) => digest)), queue = [];
  for (const item of items) if (digests.delete(item.digest)) queue.push(item);
  const queued = new Set(queue);
  for (const item of items) if (!queued.has(item)) onBytes(item, item.size);
  const group = new AbortController();  // when one fails, the others end
  signal.addEventListener("abort", () => group.abort(), { once: true });
  const uploadQueued = async () => {
    while (queue.length) await uploadFile(queue.shift(), onBytes, onRetry, group.signal);
  };
  try {
    await Promise.all(Array.from({ length: PARALLEL }, uploadQueued));
  } finally {
    group.abort();
  }
}

async function uploadFile(item, onBytes, onRetry, signal) {
  const url = `/api/v1/uploads/${item.digest}`;
  let sent = 0, retries = 0;
  for (let complete = false; !complete;) {
    if (signal.aborted) throw aborted();
    try {
      if (retries || (!sent && item.size > CHUNK)) sent = Math.min((await sendRequest("GET", url)).received, item.size);
      onBytes(item, sent);
      const chunk = item.file.slice(sent, sent + CHUNK);
      const result = await putChunk(`${url}?size=${item.size}&offset=${sent}`, chunk, (bytes) => onBytes(item, sent + bytes), signal);
      ({ received: sent, complete } = result);
      retries = 0;
      onRetry("");
    } catch (error) {
      if (signal.aborted || !isTransient(error) || (retries += 1) > MAX_RETRIES) throw error;
      const wait = Math.min(MAX_WAIT_S, 2 ** (retries - 1));
      onRetry(`${error.message} It is tried again in ${wait} s.`);
      await delay(wait, signal);
    }
  }
  onBytes(item, item.size);
}

// Worth another try: no connection, a server that is away, another page that uploads the same file.
export const isTransient = (error) => error instanceof TypeError || error.status === 0 || error.status === 409 || error.status >= 502;

function putChunk(url, chunk, onBytes, signal) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();  // fetch does not report progress
    const abort = () => request.abort();
    const end = (settle, value) => { signal.removeEventListener("abort", abort); settle(value); };
    const fail = (message) => end(reject, Object.assign(new Error(message), { status: request.status }));
    request.open("PUT", url);
    request.setRequestHeader("X-CSRF-Token", csrfToken());
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.responseType = "json";
    request.upload.onprogress = ({ loaded }) => onBytes(loaded);
    request.onload = () => {
      if (request.status === 200) end(resolve, request.response);
      else fail(errorMessage(request.status, request.response));
    };
    request.onerror = () => fail("The connection is lost.");
    request.onabort = () => end(reject, aborted());
    signal.addEventListener("abort", abort, { once: true });
    request.send(chunk);
  });
}

export function delay(seconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, seconds * 1000);
    signal.addEventListener("abort", () => { clearTimeout(timer); reject(aborted()); }, { once: true });
  });
}
