export interface SlabPoolOptions {
  /** Size of each slab. */
  readonly slabBytes: number;
  /** How many are kept for later; further ones are left to the garbage collector. */
  readonly idleMax: number;
}

/** A reply of 256 KiB, the favourite of copying clients, with room for its headers. Larger slabs were slower. */
const defaultOptions: SlabPoolOptions = { slabBytes: 272 * 1024, idleMax: 8 };

/**
 * Large buffers, used again and again: a fresh one costs more in page faults than the copy into it.
 * May be shared by any number of exports of one thread.
 */
export class SlabPool {
  readonly slabBytes: number;
  readonly #idleMax: number;
  readonly #idle: Buffer[] = [];

  constructor({ slabBytes, idleMax }: SlabPoolOptions = defaultOptions) {
    this.slabBytes = slabBytes;
    this.#idleMax = idleMax;
  }

  take(): Buffer {
    return this.#idle.pop() ?? Buffer.allocUnsafeSlow(this.slabBytes);
  }

  give(slab: Buffer): void {
    if (this.#idle.length < this.#idleMax) this.#idle.push(slab);
  }
}
