import { Failure } from "../base/failure.ts";

export interface ChunkKeeperOptions {
  /** What was written survives a crash from here on. */
  readonly sync: () => Promise<void>;
  /** Tells the journal that these chunks are kept. */
  readonly record: (chunks: readonly number[]) => Promise<void>;
  /** It lies on the disk still: it may have been given up meanwhile. */
  readonly isThere: (chunk: number) => boolean;
  /** The disk had taken these chunks, and then refused to keep them. */
  readonly lose: (chunks: readonly number[], failure: Failure) => void;
}

/** Makes written chunks kept, many with one sync: first synced, then journalled (C12). */
export class ChunkKeeper {
  readonly #options: ChunkKeeperOptions;
  readonly #unsynced = new Set<number>();
  /** What is being synced and recorded just now. */
  readonly #batch = new Set<number>();
  #keeping: Promise<void> | undefined;

  constructor(options: ChunkKeeperOptions) {
    this.#options = options;
  }

  /** True while something that was written is not kept. */
  get isBehind(): boolean {
    return this.#keeping !== undefined || this.#unsynced.size > 0;
  }

  /** A failure to keep it is no failure of whoever reads it: the chunk is simply not kept over a restart. */
  add(chunk: number): void {
    this.#unsynced.add(chunk);
    this.#keeping ??= this.#keep();
    this.#keeping.catch(() => {});
  }

  /** What was written and is not kept, because the disk or the journal refused. */
  get behind(): number[] {
    return [...this.#unsynced];
  }

  /** It is there no more: there is nothing left to keep. */
  forget(chunk: number): void {
    this.#unsynced.delete(chunk);
    this.#batch.delete(chunk);
  }

  /** Resolves when all that was written is synced and journalled. Rejects when the disk refuses. */
  async durable(): Promise<void> {
    while (this.isBehind) {
      this.#keeping ??= this.#keep();
      await this.#keeping;
    }
  }

  async #keep(): Promise<void> {
    try {
      while (this.#unsynced.size > 0) {
        for (const chunk of this.#unsynced) this.#batch.add(chunk);
        this.#unsynced.clear();
        await this.#keepBatch();
      }
    } finally {
      this.#batch.clear();
      this.#keeping = undefined;
    }
  }

  async #keepBatch(): Promise<void> {
    const { sync, record, isThere, lose } = this.#options;
    await sync().catch((error: unknown) => {
      const failure = Failure.from(error);
      lose([...this.#batch], failure);
      throw failure;
    });
    const chunks = [...this.#batch].sort((a, b) => a - b);
    this.#batch.clear(); // what is given up from here on says so in the journal after this
    if (chunks.length === 0) return;
    await record(chunks).catch((error: unknown) => {
      // The next one who needs it kept tries again; what was given up meanwhile must never be said to be kept.
      for (const chunk of chunks) if (isThere(chunk)) this.#unsynced.add(chunk);
      throw error;
    });
  }
}
