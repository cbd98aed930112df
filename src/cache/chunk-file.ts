import { readSync } from "node:fs";
import { chmod, type FileHandle, open, rm } from "node:fs/promises";
import { Failure } from "../base/failure.ts";
import { punchHole } from "../base/punch-hole.ts";
import { dataRanges } from "../base/sparse-file.ts";
import { chunkBytes, type ImageArtifact } from "../build/artifact.ts";
import type { ArtifactIndex } from "../build/artifact-index.ts";
import { Bitmap } from "./bitmap.ts";
import type { Journal } from "./journal.ts";

export interface ChunkFileOptions {
  readonly path: string;
  readonly index: ArtifactIndex;
  readonly journal: Journal;
  /** Chunks that the journal says are kept. */
  readonly kept: Iterable<number>;
  /** After an unclean stop: what was kept is verified on its first read (C22). */
  readonly suspect: boolean;
  /** The memfile was sealed before. */
  readonly sealed: boolean;
  /** Told of bytes that the disk had taken and then did not keep. */
  readonly onLost: (bytes: number, failure: Failure) => void;
}

/**
 * The chunks of one artifact on the shelf: a sparse file in storage order, and a bitmap of what may be served.
 *
 * A chunk:  absent ──write──▶ present ──synced, journalled──▶ kept
 *           kept ──unclean stop──▶ suspect ──verified──▶ present, or absent when it is damaged
 * A memfile: open ──seal──▶ sealed (read-only for good) ──retire──▶ open, another inode
 */
export class ChunkFile {
  readonly path: string;
  readonly index: ArtifactIndex;
  /** What may be served. Read by anyone, written by this class alone. */
  readonly present: Bitmap;
  readonly #suspect: Bitmap;
  readonly #journal: Journal;
  readonly #onLost: ChunkFileOptions["onLost"];
  #file: FileHandle;
  #sealed: boolean;
  #wasSealed: boolean;
  #retiring: Promise<number> | undefined;
  #unsynced: number[] = [];
  #syncing: Promise<void> | undefined;

  private constructor(options: ChunkFileOptions, file: FileHandle) {
    this.path = options.path;
    this.index = options.index;
    this.#journal = options.journal;
    this.#onLost = options.onLost;
    this.#file = file;
    this.#sealed = options.sealed && !options.suspect;
    this.#wasSealed = options.sealed;
    this.present = new Bitmap(options.index.chunkCount);
    this.#suspect = new Bitmap(options.index.chunkCount);
    for (const chunk of options.kept) {
      if (chunk < options.index.chunkCount) (options.suspect ? this.#suspect : this.present).add(chunk);
    }
  }

  /** Opens the file, or makes it. Ranges that the journal does not explain are freed (C21). */
  static async open(options: ChunkFileOptions): Promise<ChunkFile> {
    // Nobody may write a sealed file, this program neither: somebody may have it mapped (C28).
    if (options.sealed) return new ChunkFile(options, await open(options.path, "r"));
    const chunks = new ChunkFile(options, await create(options.path, options.index.storageBytes));
    if (options.suspect) chunks.#freeUnexplained();
    return chunks;
  }

  get sealed(): boolean {
    return this.#sealed;
  }

  /** Bytes of the chunks that are on the disk, verified or not. */
  get keptBytes(): number {
    let bytes = 0;
    for (const bitmap of [this.present, this.#suspect])
      for (const chunk of bitmap) bytes += this.#bytesOf(chunk);
    return bytes;
  }

  /** True when reading `chunk` needs no source: it is zeros, or present. */
  isAtHand(chunk: number): boolean {
    return this.present.has(chunk) || this.index.chunk(chunk).zero;
  }

  /** Something of it is still to be verified. */
  get hasSuspects(): boolean {
    return this.#suspect[Symbol.iterator]().next().done !== true;
  }

  isSuspect(chunk: number): boolean {
    return this.#suspect.has(chunk);
  }

  /** Reads bytes of the storage space that are all at hand. On the calling thread, without a promise (C13). */
  readNow(storageOffset: number, into: Uint8Array): void {
    for (let done = 0; done < into.length; ) {
      const read = readSync(this.#file.fd, into, done, into.length - done, storageOffset + done);
      if (read === 0) throw new Failure("corrupt", `${this.path} is shorter than it was`);
      done += read;
    }
  }

  /**
   * Writes a verified chunk and sets its bit; it is kept once `durable` resolves (C12). When `signal` aborts, the
   * flight that brought it is dying: then no bit is set, whatever became of the write (C4).
   */
  async write(chunk: number, bytes: Uint8Array, signal: AbortSignal): Promise<void> {
    await this.#retiring;
    signal.throwIfAborted();
    if (this.#sealed) throw new Failure("internal", `${this.path} is sealed`);
    for (let done = 0; done < bytes.length; ) {
      const { bytesWritten } = await this.#file.write(
        bytes,
        done,
        bytes.length - done,
        chunk * chunkBytes + done,
      );
      done += bytesWritten;
    }
    if (signal.aborted) this.#free(chunk);
    signal.throwIfAborted();
    this.#suspect.delete(chunk);
    this.present.add(chunk);
    this.#unsynced.push(chunk);
    // A failed sync is no failure of this read: the chunk is simply not kept over a restart.
    this.#syncing ??= this.#sync();
    this.#syncing.catch(() => {});
  }

  /** Resolves when all that was written is synced and journalled. Rejects when the disk refuses. */
  async durable(): Promise<void> {
    while (this.#syncing !== undefined || this.#unsynced.length > 0) {
      this.#syncing ??= this.#sync();
      await this.#syncing;
    }
  }

  /**
   * Settles what a suspect chunk is: `good` makes it present; else it is absent, and is fetched again. A file that
   * was sealed is retired whole: somebody may map it. Resolves to the bytes that are no longer kept.
   */
  async settleSuspect(chunk: number, good: boolean): Promise<number> {
    if (!good && this.#wasSealed) return this.retire();
    if (this.#retiring !== undefined) {
      await this.#retiring; // the whole file goes
      return 0;
    }
    this.#suspect.delete(chunk);
    if (good) {
      this.present.add(chunk);
      return 0;
    }
    const { build, artifact } = this.index;
    await this.#journal.append({ type: "dropped", build, artifact, chunk });
    return this.#bytesOf(chunk);
  }

  /** From now on the file is never written (C28). All its chunks must be at hand and durable. */
  async seal(): Promise<void> {
    await this.durable();
    await chmod(this.path, 0o444);
    await this.#journal.append({ type: "sealed", build: this.index.build });
    this.#sealed = true;
  }

  /**
   * The file was found to be bad: it is unlinked and made anew as another inode. Whoever maps the old one keeps it.
   * Returns the bytes that it held.
   */
  retire(): Promise<number> {
    this.#retiring ??= this.#replace().finally(() => {
      this.#retiring = undefined;
    });
    return this.#retiring;
  }

  /** Nothing is served any more; the file stays where it is. */
  async close(): Promise<void> {
    await this.durable().catch(() => {});
    await this.#file.close();
  }

  /** The journal is told before anything is freed; nothing is written meanwhile. */
  async #replace(): Promise<number> {
    await this.durable();
    await this.#journal.append({ type: "retired", build: this.index.build });
    await rm(this.path, { force: true });
    const fresh = await create(this.path, this.index.storageBytes);
    const bytes = this.keptBytes;
    const old = this.#file;
    this.#file = fresh;
    this.present.clear();
    this.#suspect.clear();
    this.#sealed = false;
    this.#wasSealed = false;
    await old.close();
    return bytes;
  }

  #bytesOf(chunk: number): number {
    return Math.min(chunkBytes, this.index.storageBytes - chunk * chunkBytes);
  }

  async #sync(): Promise<void> {
    try {
      while (this.#unsynced.length > 0) {
        const chunks = this.#unsynced;
        this.#unsynced = [];
        await this.#file.datasync().catch((error: unknown) => this.#lose(chunks, Failure.from(error)));
        const { build, artifact } = this.index;
        const ranges = rangesOf(chunks);
        await this.#journal.append({ type: "chunks", build, artifact, ranges }).catch((error: unknown) => {
          this.#unsynced.push(...chunks); // not kept yet: the next one who needs it kept tries again
          throw error;
        });
      }
    } finally {
      this.#syncing = undefined;
    }
  }

  /** After a failed sync the system may have dropped what it was to write: none of it may be read any more. */
  #lose(chunks: readonly number[], failure: Failure): never {
    const there = chunks.filter((chunk) => this.present.has(chunk));
    for (const chunk of there) {
      this.present.delete(chunk);
      this.#free(chunk);
    }
    this.#onLost(
      there.reduce((sum, chunk) => sum + this.#bytesOf(chunk), 0),
      failure,
    );
    throw failure;
  }

  /** Gives the space of a chunk back; a file system that cannot keeps it until the build is evicted. */
  #free(chunk: number): void {
    try {
      punchHole(this.#file.fd, chunk * chunkBytes, this.#bytesOf(chunk));
    } catch {
      // Nothing reads it: its bit is not set.
    }
  }

  /** Writes that a crash cut off before their journal record are holes again afterwards. */
  #freeUnexplained(): void {
    const strangers = new Set<number>();
    for (const { offset, length } of dataRanges(this.#file.fd, this.index.storageBytes)) {
      const last = Math.floor((offset + length - 1) / chunkBytes);
      for (let chunk = Math.floor(offset / chunkBytes); chunk <= last; chunk++) {
        if (!this.#suspect.has(chunk)) strangers.add(chunk);
      }
    }
    for (const chunk of strangers) this.#free(chunk);
  }
}

async function create(path: string, bytes: number): Promise<FileHandle> {
  const file = await open(path, "a+", 0o600).then(async (made) => {
    await made.close();
    return open(path, "r+");
  });
  if ((await file.stat()).size !== bytes) await file.truncate(bytes);
  return file;
}

/** Chunk numbers as pairs of first and count. */
export function rangesOf(chunks: readonly number[]): [number, number][] {
  const ranges: [number, number][] = [];
  for (const chunk of [...chunks].sort((a, b) => a - b)) {
    const last = ranges.at(-1);
    if (last !== undefined && last[0] + last[1] === chunk) last[1] += 1;
    else ranges.push([chunk, 1]);
  }
  return ranges;
}

/** For logs: which artifact of which build this is. */
export function nameOf(index: { build: string; artifact: ImageArtifact }): string {
  return `${index.artifact} of build ${index.build}`;
}
