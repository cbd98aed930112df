import { Failure } from "../base/failure.ts";
import type { ArtifactIndex } from "../build/artifact-index.ts";
import { Bitmap } from "./bitmap.ts";
import { ChunkKeeper } from "./chunk-keeper.ts";
import { ChunkReaders } from "./chunk-readers.ts";
import { ChunkSet } from "./chunk-set.ts";
import { ChunkSpace } from "./chunk-space.ts";
import type { Disk } from "./disk.ts";
import { FileSeal } from "./file-seal.ts";
import type { Journal } from "./journal.ts";
import { onDisk } from "./on-disk.ts";

export interface ChunkFileOptions {
  readonly disk: Disk;
  readonly path: string;
  readonly index: ArtifactIndex;
  readonly journal: Pick<Journal, "append">;
  /** Chunks that the journal says are kept. */
  readonly kept: Iterable<number>;
  /** After an unclean stop: what was kept is verified on its first read (C22). */
  readonly suspect: boolean;
  /** The memfile was sealed before. */
  readonly sealed: boolean;
  /** So many bytes of the disk are free again. */
  readonly onFreed: (bytes: number) => void;
  /** The file was given up as bad, with so many bytes in it. */
  readonly onRetired: (bytes: number) => void;
  readonly onTrouble: (failure: Failure) => void;
}

/**
 * The chunks of one artifact on the shelf: a sparse file in storage order, and a bitmap of what may be served.
 *
 * A chunk:  absent ──write──▶ present ──synced, journalled──▶ kept ──distrust──▶ leaving ──▶ absent
 *           kept ──unclean stop──▶ suspect ──verified──▶ present, or absent when it is damaged
 * A memfile: open ──seal──▶ sealed (read-only for good) ──retire──▶ open, another inode
 */
export class ChunkFile {
  readonly path: string;
  readonly index: ArtifactIndex;
  /** What may be served. Read by anyone, written by this class alone. */
  readonly present: Bitmap;
  /** Threads that read the file without asking. */
  readonly readers = new ChunkReaders();
  readonly #options: ChunkFileOptions;
  readonly #keeper: ChunkKeeper;
  readonly #suspect: Bitmap;
  /** Chunks that take up space of the disk: what the budget counts. */
  readonly #allocated: ChunkSet;
  /** Chunks that the journal says are kept although they are not: it could not be told (C22). */
  readonly #untold = new ChunkSet();
  readonly #writing = new Set<number>();
  /** Chunks whose space is being given back: whoever wants to write them waits. */
  readonly #leaving = new Map<number, Promise<void>>();
  readonly #space: ChunkSpace;
  readonly #seal: FileSeal;

  private constructor(options: ChunkFileOptions, space: ChunkSpace) {
    this.path = options.path;
    this.index = options.index;
    this.#options = options;
    this.#space = space;
    this.present = new Bitmap(options.index.chunkCount);
    this.#suspect = new Bitmap(options.index.chunkCount);
    const { chunkCount } = options.index;
    this.#allocated = new ChunkSet([...options.kept].filter((chunk) => chunk < chunkCount));
    const known = options.suspect ? this.#suspect : this.present;
    for (const chunk of this.#allocated) known.add(chunk);
    this.#seal = new FileSeal(options.sealed, () => this.#isWhole);
    this.#keeper = new ChunkKeeper({
      sync: () => space.sync(),
      record: (chunks) => this.#record(chunks),
      isThere: (chunk) => this.present.has(chunk),
      lose: (chunks, failure) => this.#lose(chunks, failure),
    });
  }

  /**
   * Opens the file, or makes it. Ranges that the journal does not explain are freed (C21), unless `signal` has aborted
   * by then: somebody else may be opening it too.
   */
  static async open(options: ChunkFileOptions, signal: AbortSignal): Promise<ChunkFile> {
    const { disk, path, index, sealed, onTrouble } = options;
    const place = { disk, path, storageBytes: index.storageBytes };
    // Nobody may write a sealed file, this program neither: somebody may have it mapped (C28).
    const space = await (sealed
      ? ChunkSpace.openToRead(place, onTrouble)
      : ChunkSpace.open(place, onTrouble));
    if (signal.aborted) {
      await space.close(); // whoever comes next opens one of their own, and this one would be nobody's
      throw signal.reason;
    }
    // A file that has gone is found to be bad by whoever wants something of it, and made anew.
    const suspect = options.suspect || space.isNew || (sealed && !space.isOpen);
    const file = new ChunkFile({ ...options, suspect }, space);
    if (suspect && !sealed) file.#freeUnexplained();
    return file;
  }

  get sealed(): boolean {
    return this.#seal.isSealed;
  }

  /** For a thread that reads the file by itself; -1 while the disk refuses to open it. */
  get descriptor(): number {
    return this.#space.descriptor;
  }

  /** Bytes of the chunks that take up space, verified or not. */
  get keptBytes(): number {
    let bytes = 0;
    for (const chunk of this.#allocated) bytes += this.#space.bytesOf(chunk);
    return bytes;
  }

  /** True when reading `chunk` needs no source: it is zeros, or present. */
  isAtHand(chunk: number): boolean {
    return this.present.has(chunk) || this.index.chunk(chunk).zero;
  }

  get #isWhole(): boolean {
    for (let chunk = 0; chunk < this.index.chunkCount; chunk++) if (!this.isAtHand(chunk)) return false;
    return true;
  }

  /** Something of it is still to be verified, or is not as the journal says. */
  get isDoubtful(): boolean {
    return !this.#suspect.isEmpty || this.#untold.size > 0;
  }

  isSuspect(chunk: number): boolean {
    return this.#suspect.has(chunk);
  }

  /** Reads bytes of the storage space that are all at hand. On the calling thread, without a promise (C13). */
  readNow(storageOffset: number, into: Uint8Array): void {
    this.#space.readNow(storageOffset, into);
  }

  /** The same without holding up the thread, for what nobody waits for. */
  async read(storageOffset: number, into: Uint8Array): Promise<void> {
    await this.#space.read(storageOffset, into);
  }

  /**
   * Writes a verified chunk and sets its bit; it is kept once `durable` resolves (C12). When `signal` aborts, the
   * flight that brought it is dying: then no bit is set, whatever became of the write (C4). Resolves to how many bytes
   * more of the disk are taken up. Throws `conflict` while another write of the chunk has not settled.
   */
  async write(chunk: number, bytes: Uint8Array, signal: AbortSignal): Promise<number> {
    await this.#seal.settled();
    while (this.#leaving.has(chunk)) await this.#leaving.get(chunk);
    signal.throwIfAborted();
    if (this.sealed) throw new Failure("internal", `${this.path} is sealed`);
    if (this.#seal.isBound) await this.retire();
    if (this.#writing.has(chunk)) throw new Failure("conflict", `chunk ${chunk} is still being written`);
    this.#writing.add(chunk);
    try {
      await this.#space.write(chunk, bytes);
      signal.throwIfAborted();
    } catch (error) {
      this.#free(chunk);
      throw error;
    } finally {
      this.#writing.delete(chunk);
    }
    if (this.#leaving.has(chunk)) throw new Failure("conflict", `chunk ${chunk} was given up meanwhile`);
    const taken = this.#allocated.has(chunk) ? 0 : this.#space.bytesOf(chunk);
    this.#allocated.add(chunk);
    this.#suspect.delete(chunk);
    this.present.add(chunk);
    this.#keeper.add(chunk);
    return taken;
  }

  /** Resolves when all that was written is synced and journalled. Rejects when the disk refuses. */
  async durable(): Promise<void> {
    await this.#keeper.durable();
  }

  /** A suspect chunk was verified, and is what the index says. */
  settleGood(chunk: number): void {
    if (!this.#suspect.has(chunk)) return; // the whole file was given up meanwhile
    this.#suspect.delete(chunk);
    this.present.add(chunk);
  }

  /**
   * A chunk is not what it should be, or cannot be read. Nobody is served from it from this call on; a file that was
   * sealed is retired whole, because somebody may map it.
   */
  async distrust(chunk: number): Promise<void> {
    if (this.#seal.isBound) return this.retire();
    if (!this.#allocated.has(chunk) || this.#leaving.has(chunk)) return;
    await this.#giveUp([chunk]);
  }

  /**
   * From now on the file is never written (C28). All its chunks are to be at hand; false when one of them was found
   * to be bad meanwhile.
   */
  async seal(signal: AbortSignal): Promise<boolean> {
    const { disk, journal } = this.#options;
    await this.durable();
    signal.throwIfAborted();
    if (!this.#isWhole) return false;
    const protect = () => onDisk(this.path, disk.protect(this.path));
    return await this.#seal.seal(protect, () => journal.append({ type: "sealed", build: this.index.build }));
  }

  /** The file was found to be bad: it is unlinked and made anew as another inode. Who maps the old one keeps it. */
  retire(): Promise<void> {
    return this.#seal.retire(() => this.#replace());
  }

  /** Nothing is served any more; the file stays where it is, with what is kept. */
  async close(): Promise<void> {
    await this.durable().catch(() => {});
    await Promise.all(this.#leaving.values());
    await this.readers.quiet();
    this.present.clear();
    for (const chunk of this.#keeper.behind) this.#free(chunk);
    await this.#space.close();
  }

  /** The journal is told before anything is freed; nothing is written meanwhile. */
  async #replace(): Promise<void> {
    const { journal, onRetired } = this.#options;
    this.present.clear();
    this.#suspect.clear();
    await this.durable().catch(() => {});
    await journal.append({ type: "retired", build: this.index.build });
    await this.readers.quiet();
    await this.#space.remove();
    const bytes = this.keptBytes;
    for (const chunk of this.#allocated) this.#allocated.delete(chunk);
    onRetired(bytes);
  }

  /** Nobody writes them and nobody reads them any more, the journal knows, and only then the space is freed. */
  async #giveUp(chunks: readonly number[]): Promise<void> {
    if (chunks.length === 0) return;
    const gone = Promise.withResolvers<void>();
    for (const chunk of chunks) {
      this.#leaving.set(chunk, gone.promise);
      this.present.delete(chunk);
      this.#suspect.delete(chunk);
      this.#keeper.forget(chunk);
      this.#untold.add(chunk);
    }
    try {
      const { build, artifact } = this.index;
      const ranges = new ChunkSet(chunks).ranges();
      await this.#options.journal.append({ type: "dropped", build, artifact, ranges });
      for (const chunk of chunks) this.#untold.delete(chunk);
      await this.readers.quiet();
      for (const chunk of chunks) this.#free(chunk);
    } finally {
      for (const chunk of chunks) this.#leaving.delete(chunk);
      gone.resolve();
    }
  }

  async #record(chunks: readonly number[]): Promise<void> {
    const { build, artifact } = this.index;
    const ranges = new ChunkSet(chunks).ranges();
    await this.#options.journal.append({ type: "chunks", build, artifact, ranges });
    // One that was given up meanwhile is said to be kept now, until the journal takes that it was dropped.
    for (const chunk of chunks) if (this.present.has(chunk)) this.#untold.delete(chunk);
  }

  /** After a failed sync the system may have dropped what it was to write: none of it may be read any more. */
  #lose(chunks: readonly number[], failure: Failure): void {
    this.#options.onTrouble(failure);
    void this.#giveUp(chunks).catch((error: unknown) => this.#options.onTrouble(Failure.from(error)));
  }

  /** Gives the space of a chunk back; a file system that cannot keeps it until the build is evicted. */
  #free(chunk: number): void {
    if (!this.#space.free(chunk) || !this.#allocated.has(chunk)) return; // nothing reads it: its bit is not set
    this.#allocated.delete(chunk);
    this.#options.onFreed(this.#space.bytesOf(chunk));
  }

  /** Writes that a crash cut off before their journal record are holes again afterwards. */
  #freeUnexplained(): void {
    try {
      for (const chunk of this.#space.chunksWithData()) if (!this.#allocated.has(chunk)) this.#free(chunk);
    } catch (error) {
      this.#options.onTrouble(Failure.from(error)); // a disk that cannot tell is passed by
    }
  }
}
