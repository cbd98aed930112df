import { openSync, readSync } from "node:fs";

/**
 * Random bytes straight from the kernel. Node's own generators keep state in memory, which every machine restored from
 * one snapshot shares; whatever must be secret or unique in the agent comes from here.
 */
export class KernelRandom {
  readonly #fd = openSync("/dev/urandom", "r");

  bytes(count: number): Buffer {
    const bytes = Buffer.allocUnsafe(count);
    for (let filled = 0; filled < count; ) filled += readSync(this.#fd, bytes, filled, count - filled, null);
    return bytes;
  }

  /** A number in [0, 1) with 53 random bits, like `Math.random`'s. */
  fraction(): number {
    const bytes = this.bytes(8);
    return ((bytes.readUInt32LE(0) >>> 5) * 2 ** 26 + (bytes.readUInt32LE(4) >>> 6)) / 2 ** 53;
  }
}
