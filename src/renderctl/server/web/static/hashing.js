// A worker that reads files piece by piece, so that the page stays quick and the memory small whatever their size.
import { Sha256 } from "./sha256.js";

const PIECE = 4 << 20;

addEventListener("message", async ({ data: files }) => {
  for (const file of files) {
    const hash = new Sha256();
    try {
      for (let at = 0; at < file.size; at += PIECE) {
        const piece = new Uint8Array(await file.slice(at, at + PIECE).arrayBuffer());
        hash.update(piece);
        postMessage({ bytes: piece.length });
      }
      postMessage({ digest: hash.hex() });
    } catch (error) {
      return postMessage({ trouble: `${file.name} can not be read: ${error.message}` });
    }
  }
});
