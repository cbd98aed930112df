import { ignore } from "../base/abortable.ts";
import type { Clock } from "../base/clock.ts";
import { deadline } from "../base/deadline.ts";
import { Failure } from "../base/failure.ts";
import type { Logger } from "../base/logger.ts";
import { chunkBytes, requestChunksMax } from "../build/artifact.ts";
import type { ReadOrder, ReadOrders } from "../build/read-orders.ts";
import type { BuildLease } from "./build-source.ts";
import { fetchAhead } from "./fetch-ahead.ts";

export interface FirstReadsOptions {
  readonly lease: BuildLease;
  /** Missing: nothing is remembered. */
  readonly orders?: Pick<ReadOrders, "find" | "keep"> | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** So much is fetched ahead at most, of what is remembered. */
const replayedBytesMax = 256 * 1024 * 1024;
/** The first reads are those until the guest is up, and this long after: its first commands are among them. */
const recordMs = 2_000;
/** How long keeping them may take when nobody uses the build any more. */
const keepMsMax = 2_000;
/** Of the sixteen requests that the bucket is asked at a time: the others are left to those who wait. */
const requestsAhead = 2;
const chunksAhead = 12;

/**
 * What machines read first of a build, in its order. When it is known it is fetched ahead, on the first start of this
 * node; when not, it is recorded for others. Meanwhile all of the memory is fetched in the order of its file, unless
 * the build itself has what is read first of it: then few chunks are missed.
 */
export class FirstReads {
  readonly #options: FirstReadsOptions;
  readonly #memfile = new Set<number>();
  readonly #rootfs = new Set<number>();
  #recording = false;
  #timer: Disposable | undefined;
  #keeping: Promise<void> | undefined;

  constructor(options: FirstReadsOptions) {
    this.#options = options;
  }

  onMemory(chunk: number): void {
    if (this.#recording) this.#memfile.add(chunk);
  }

  /** A read of the disk that was not answered by the shelf. */
  onDisk(offset: number, bytes: number): void {
    if (!this.#recording) return;
    const index = this.#options.lease.index("rootfs");
    for (const { build, storageOffset, length } of index.locate(offset, bytes)) {
      if (build !== index.build) continue;
      const last = Math.floor((storageOffset + length - 1) / chunkBytes);
      for (let chunk = Math.floor(storageOffset / chunkBytes); chunk <= last; chunk++)
        this.#rootfs.add(chunk);
    }
  }

  /** Fetches ahead what is known to be needed, or all; resolves when that has come. Never rejects. */
  async fetch(signal: AbortSignal): Promise<void> {
    const { lease, orders } = this.#options;
    this.#recording = orders !== undefined;
    const order = await orders?.find(lease.manifest.build, signal).catch((error: unknown) => {
      // Whether there is one is not known: then it is not for this start to write it.
      this.#recording = false;
      if (!signal.aborted) this.#warn(error, "what a template reads first could not be looked up");
      return undefined;
    });
    if (order !== undefined) {
      this.#recording = false;
      await this.#replay(order, signal);
    } else if (this.#options.lease.manifest.firstpages === undefined) await this.#fetchAll(signal);
  }

  /** The guest is up. */
  onUp(): void {
    if (this.#recording) this.#timer ??= this.#options.clock.after(recordMs, () => void this.#keep());
  }

  /** Nobody uses the build any more: what was seen is kept, if a guest was up. */
  async end(): Promise<void> {
    if (this.#timer !== undefined) await this.#keep();
    this.#timer?.[Symbol.dispose]();
  }

  async #replay({ memfile, rootfs }: ReadOrder, signal: AbortSignal): Promise<void> {
    const { lease } = this.#options;
    const few = memfile.slice(0, replayedBytesMax / chunkBytes);
    await Promise.all([
      fetchAhead(
        { lease, artifact: "memfile", chunks: few, groupChunks: 1, chunksAtOnce: chunksAhead },
        signal,
      ),
      lease
        .open("rootfs", signal)
        .then(() =>
          fetchAhead(
            { lease, artifact: "rootfs", chunks: rootfs, groupChunks: requestChunksMax, chunksAtOnce: 1 },
            signal,
          ),
        )
        .catch(ignore), // whoever reads the disk is told
    ]);
  }

  async #fetchAll(signal: AbortSignal): Promise<void> {
    const { lease } = this.#options;
    const chunks = Array.from({ length: lease.index("memfile").chunkCount }, (_, chunk) => chunk);
    const ahead = { lease, artifact: "memfile", chunks, groupChunks: requestChunksMax } as const;
    await fetchAhead({ ...ahead, chunksAtOnce: requestsAhead * requestChunksMax }, signal);
  }

  #keep(): Promise<void> {
    return (this.#keeping ??= this.#keepOnce());
  }

  async #keepOnce(): Promise<void> {
    const { clock, lease, orders } = this.#options;
    this.#recording = false;
    const { build } = lease.manifest;
    using limit = deadline(clock, keepMsMax, "keeping what a template reads first");
    const order = { memfile: [...this.#memfile], rootfs: [...this.#rootfs] };
    await orders
      ?.keep(build, order, limit.signal)
      .catch((error: unknown) => this.#warn(error, "what a template reads first could not be kept"));
  }

  #warn(error: unknown, what: string): void {
    const { lease, logger } = this.#options;
    logger.warn({ build: lease.manifest.build, reason: Failure.from(error).message }, what);
  }
}
