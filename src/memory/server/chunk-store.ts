import { hash } from "node:crypto";
import { open } from "node:fs/promises";
import { isZero } from "../../build/is-zero.ts";
import type { ChunkTable } from "../chunk-table.ts";

export interface ChunkStoreOptions {
  readonly table: ChunkTable;
  /** The chunk file on the shelf. Another inode may have its name at any time, and chunks of it may be holes. */
  readonly path: string;
  /** Verified chunks that are kept in memory. */
  readonly chunksMax: number;
  /** A chunk is needed and not on the shelf. Called once for each, until it is given. */
  readonly ask: (chunk: number) => void;
}

/** A chunk that lies in a chunk file; undefined when that has something else there, such as a hole. */
export async function readVerified(
  { path, table }: Pick<ChunkStoreOptions, "path" | "table">,
  chunk: number,
): Promise<Uint8Array | undefined> {
  await using file = await open(path, "r");
  const bytes = Buffer.alloc(table.bytesOf(chunk));
  const start = chunk * table.bytesOf(0);
  for (let done = 0; done < bytes.length; ) {
    const { bytesRead } = await file.read(bytes, done, bytes.length - done, start + done);
    if (bytesRead === 0) return undefined;
    done += bytesRead;
  }
  return isChunk(table, chunk, bytes) ? bytes : undefined;
}

function isChunk(table: ChunkTable, chunk: number, bytes: Uint8Array): boolean {
  if (chunk >= table.chunkCount || bytes.length !== table.bytesOf(chunk)) return false;
  return table.isZero(chunk) ? isZero(bytes) : table.matches(chunk, hash("sha256", bytes, "buffer"));
}

/**
 * The chunks of one file, verified: nothing is believed, neither the shelf nor the daemon. So it does not matter what
 * becomes of the shelf's file meanwhile: a hole where data should be is a chunk that is missing.
 */
export class ChunkStore {
  readonly #options: ChunkStoreOptions;
  /** Least recently used first. */
  readonly #kept = new Map<number, Uint8Array>();
  readonly #coming = new Map<number, PromiseWithResolvers<Uint8Array>>();
  readonly #asked = new Set<number>();

  constructor(options: ChunkStoreOptions) {
    this.#options = options;
  }

  /** What was asked for and has not been given. */
  get missing(): readonly number[] {
    return [...this.#asked];
  }

  /** The bytes of a chunk that is in memory. */
  now(chunk: number): Uint8Array | undefined {
    const kept = this.#kept.get(chunk);
    if (kept === undefined) return undefined;
    this.#kept.delete(chunk);
    this.#kept.set(chunk, kept);
    return kept;
  }

  /** The bytes of a chunk, as soon as there are any. Never rejects. */
  bytes(chunk: number): Promise<Uint8Array> {
    const kept = this.now(chunk);
    if (kept !== undefined) return Promise.resolve(kept);
    const coming = this.#coming.get(chunk);
    if (coming !== undefined) return coming.promise;
    const waited = Promise.withResolvers<Uint8Array>();
    this.#coming.set(chunk, waited);
    void this.#look(chunk);
    return waited.promise;
  }

  /** Somebody brings a chunk; false when it is not what it should be. */
  give(chunk: number, bytes: Uint8Array): boolean {
    const good = isChunk(this.#options.table, chunk, bytes);
    if (good) this.#settle(chunk, Uint8Array.from(bytes));
    return good;
  }

  async #look(chunk: number): Promise<void> {
    const { ask, table } = this.#options;
    if (table.isZero(chunk)) return this.#settle(chunk, new Uint8Array(table.bytesOf(chunk)));
    const found = await readVerified(this.#options, chunk).catch(() => undefined); // as good as none
    if (found !== undefined) return this.#settle(chunk, found);
    if (!this.#coming.has(chunk)) return; // it was given meanwhile
    this.#asked.add(chunk);
    ask(chunk);
  }

  #settle(chunk: number, bytes: Uint8Array): void {
    this.#asked.delete(chunk);
    this.#kept.delete(chunk);
    this.#kept.set(chunk, bytes);
    for (const [oldest] of this.#kept) {
      if (this.#kept.size <= this.#options.chunksMax) break;
      this.#kept.delete(oldest);
    }
    this.#coming.get(chunk)?.resolve(bytes);
    this.#coming.delete(chunk);
  }
}
