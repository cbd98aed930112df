import type { BlockDevice, Extent } from "../../base/block-device.ts";
import { abortable } from "../../base/abortable.ts";

const blockBytes = 4096;

/** A device over an array. Cold blocks are read only by `read`, and only when the test lets them. */
export class ArrayDevice implements BlockDevice {
  readonly data: Buffer;
  /** False makes every `readNow` fail. */
  hot = true;
  /** What a waiting `read` waits for; by default it does not wait. Throw here to fail it. */
  beforeRead: (offset: number) => Promise<void> = async () => {};
  /** Reads under way, and how many bytes they fill. */
  underWay = 0;
  underWayBytes = 0;
  underWayBytesSeenMax = 0;

  constructor(data: Buffer) {
    this.data = data;
  }

  /** `bytes` of which every other run of 16 blocks is zero, the rest a pattern that differs everywhere. */
  static striped(bytes: number): ArrayDevice {
    const data = Buffer.alloc(bytes);
    for (let at = 0; at < bytes; at += 4) {
      if (Math.floor(at / blockBytes / 16) % 2 === 0) data.writeUInt32BE((at * 2654435761 + 1) >>> 0, at);
    }
    return new ArrayDevice(data);
  }

  /** Makes the device cold and gives a gate for each read that comes, by its offset. */
  gateReads(): Map<number, PromiseWithResolvers<void>> {
    const gates = new Map<number, PromiseWithResolvers<void>>();
    this.hot = false;
    this.beforeRead = async (offset) => {
      const gate = Promise.withResolvers<void>();
      gates.set(offset, gate);
      await gate.promise;
    };
    return gates;
  }

  get bytes(): number {
    return this.data.length;
  }

  readNow(offset: number, into: Uint8Array): boolean {
    if (this.hot) this.data.copy(into, 0, offset, offset + into.length);
    return this.hot;
  }

  async read(offset: number, into: Uint8Array, signal: AbortSignal): Promise<void> {
    this.underWay += 1;
    this.underWayBytes += into.length;
    this.underWayBytesSeenMax = Math.max(this.underWayBytesSeenMax, this.underWayBytes);
    try {
      await abortable(this.beforeRead(offset), signal);
      this.data.copy(into, 0, offset, offset + into.length);
    } finally {
      this.underWay -= 1;
      this.underWayBytes -= into.length;
    }
  }

  extents(offset: number, length: number, extentsMax: number): Extent[] {
    const extents: Extent[] = [];
    const end = offset + length;
    for (let at = offset; at < end && extents.length < extentsMax; ) {
      const zero = this.#isZero(at);
      let to = blockEnd(at);
      while (to < end && this.#isZero(to) === zero) to = blockEnd(to);
      extents.push({ bytes: Math.min(to, end) - at, zero });
      at = to;
    }
    return extents;
  }

  #isZero(at: number): boolean {
    const from = at - (at % blockBytes);
    return this.data.subarray(from, from + blockBytes).every((byte) => byte === 0);
  }
}

function blockEnd(at: number): number {
  return at - (at % blockBytes) + blockBytes;
}
