import type { SlabPool } from "../../base/slab-pool.ts";

/** One stretch of memory: bytes up to `filled` have come, those up to `taken` were handed out. */
interface Slab {
  readonly memory: Buffer;
  filled: number;
  taken: number;
}

/**
 * Memory that a body is read into and handed out from, without a copy in between. A piece is its reader's until it
 * takes the next one; then the memory may be used again, which costs far less than fresh one. What is never asked
 * for again, because somebody has left, is left to the garbage collector.
 */
export class BodyMemory {
  readonly #pool: SlabPool;
  /** The last one is being filled. */
  readonly #slabs: Slab[] = [];
  #lent: Slab | undefined;
  #bytes = 0;

  constructor(pool: SlabPool) {
    this.#pool = pool;
  }

  /** Bytes that nobody has taken yet. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Where the next bytes shall go, of `bytesMax` that are to come at most. */
  room(bytesMax: number): Buffer {
    let slab = this.#slabs.at(-1);
    if (slab === undefined || slab.filled === slab.memory.length) {
      // What is small has memory of its size: a slab that is never full would not come back.
      const isLarge = bytesMax >= this.#pool.slabBytes;
      slab = { memory: isLarge ? this.#pool.take() : Buffer.allocUnsafe(bytesMax), filled: 0, taken: 0 };
      this.#slabs.push(slab);
    }
    return slab.memory.subarray(slab.filled, slab.filled + bytesMax);
  }

  /** So many bytes have come to where `room` said. */
  filled(bytes: number): void {
    const slab = this.#slabs.at(-1);
    if (slab === undefined) return;
    slab.filled += bytes;
    this.#bytes += bytes;
  }

  /** Takes bytes that came to somewhere else. */
  append(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) {
      const room = this.room(bytes.length - at);
      room.set(bytes.subarray(at, at + room.length));
      this.filled(room.length);
      at += room.length;
    }
  }

  /** The next bytes, all that have come and lie in a row; undefined when there are none. The former ones are over. */
  take(): Uint8Array | undefined {
    this.#giveBack();
    const [slab] = this.#slabs;
    if (slab === undefined || slab.taken === slab.filled) return undefined;
    const piece = slab.memory.subarray(slab.taken, slab.filled);
    slab.taken = slab.filled;
    this.#bytes -= piece.length;
    this.#lent = slab;
    return piece;
  }

  /** A slab that is full and read can be filled again by whoever needs one; smaller memory is let go of. */
  #giveBack(): void {
    const slab = this.#lent;
    this.#lent = undefined;
    if (slab === undefined || slab.taken < slab.memory.length) return;
    this.#slabs.shift();
    if (slab.memory.length === this.#pool.slabBytes) this.#pool.give(slab.memory);
  }
}
