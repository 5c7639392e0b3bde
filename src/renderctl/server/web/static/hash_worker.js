// A web worker that hashes files in chunks: the page stays responsive, and memory small, whatever their size.
import { Sha256 } from "./sha256.js";

const CHUNK = 4 << 20;

addEventListener("message", async ({ data: files }) => {
  for (const file of files) {
    const hash = new Sha256();
    try {
      for (let offset = 0; offset < file.size; offset += CHUNK) {
        const chunk = new Uint8Array(await file.slice(offset, offset + CHUNK).arrayBuffer());
        hash.update(chunk);
        postMessage({ bytes: chunk.length });
      }
      postMessage({ digest: hash.hex() });
    } catch (error) {
      return postMessage({ error: `${file.name} cannot be read: ${error.message}` });
    }
  }
});
