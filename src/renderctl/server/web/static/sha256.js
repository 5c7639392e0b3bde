// SHA-256 of what comes in pieces (FIPS 180-4): what browsers bring along takes only the whole of it at once.
const PRIMES = [];
for (let number = 2; PRIMES.length < 64; number += 1) if (PRIMES.every((prime) => number % prime)) PRIMES.push(number);
const fraction = (root) => Math.floor((root - Math.floor(root)) * 2 ** 32) | 0;
const K = new Int32Array(PRIMES.map((prime) => fraction(Math.cbrt(prime))));
const BEGIN = new Int32Array(PRIMES.slice(0, 8).map((prime) => fraction(Math.sqrt(prime))));
const BLOCK = 64;

export class Sha256 {
  constructor() {
    this.state = BEGIN.slice();
    this.words = new Int32Array(64);
    this.rest = new Uint8Array(BLOCK);
    this.waiting = 0;
    this.size = 0;
  }

  // The next bytes, a Uint8Array.
  update(bytes) {
    let at = 0;
    this.size += bytes.length;
    if (this.waiting) {
      at = Math.min(BLOCK - this.waiting, bytes.length);
      this.rest.set(bytes.subarray(0, at), this.waiting);
      this.waiting += at;
      if (this.waiting < BLOCK) return this;
      this.block(this.rest, 0);
      this.waiting = 0;
    }
    for (; at + BLOCK <= bytes.length; at += BLOCK) this.block(bytes, at);
    this.rest.set(bytes.subarray(at));
    this.waiting = bytes.length - at;
    return this;
  }

  // The digest in hex; nothing can follow.
  hex() {
    const bits = this.size * 8, padded = this.waiting < 56 ? 56 : 120;
    const end = new Uint8Array(padded - this.waiting + 8), view = new DataView(end.buffer);
    end[0] = 0x80;
    view.setUint32(end.length - 8, Math.floor(bits / 2 ** 32));
    view.setUint32(end.length - 4, bits >>> 0);
    this.update(end);
    return [...this.state].map((word) => (word >>> 0).toString(16).padStart(8, "0")).join("");
  }

  block(bytes, at) {
    const { words: w, state } = this;
    for (let i = 0; i < 16; i += 1, at += 4) {
      w[i] = (bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3];
    }
    for (let i = 16; i < 64; i += 1) {
      const x = w[i - 15], y = w[i - 2];
      const low = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
      const high = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
      w[i] = (w[i - 16] + low + w[i - 7] + high) | 0;
    }
    let [a, b, c, d, e, f, g, h] = state;
    for (let i = 0; i < 64; i += 1) {
      const high = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
      const one = (h + high + ((e & f) ^ (~e & g)) + K[i] + w[i]) | 0;
      const low = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
      const two = (low + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      h = g; g = f; f = e; e = (d + one) | 0;
      d = c; c = b; b = a; a = (one + two) | 0;
    }
    state[0] += a; state[1] += b; state[2] += c; state[3] += d;
    state[4] += e; state[5] += f; state[6] += g; state[7] += h;
  }
}
