export interface SlabPoolOptions {
  /** Size of each slab. */
  readonly slabBytes: number;
  /** How many are kept for later; further ones are left to the garbage collector. */
  readonly idleMax: number;
}

/**
 * Large buffers, used again and again: a fresh one costs more in page faults than the copy into it.
 * May be shared by any number of exports of one thread.
 */
export class SlabPool {
  readonly slabBytes: number;
  readonly #idleMax: number;
  readonly #idle: Buffer[] = [];

  constructor({ slabBytes, idleMax }: SlabPoolOptions = { slabBytes: 512 * 1024, idleMax: 4 }) {
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
