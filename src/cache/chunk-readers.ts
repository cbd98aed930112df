/**
 * Those who read a chunk file by themselves: threads that look at its bitmap and its descriptor without asking.
 * Before the space of a chunk is given back or its descriptor is closed, they are waited for (C15, C17).
 */
export class ChunkReaders {
  readonly #quiets = new Set<() => Promise<void>>();

  /** `quiet` resolves when every read has ended that may have seen a bit that is not set any more. */
  join(quiet: () => Promise<void>): Disposable {
    this.#quiets.add(quiet);
    return { [Symbol.dispose]: () => void this.#quiets.delete(quiet) };
  }

  /** Resolves when nobody can be reading what the bitmap does not show any more. */
  async quiet(): Promise<void> {
    await Promise.all(Array.from(this.#quiets, async (quiet) => quiet()));
  }
}
