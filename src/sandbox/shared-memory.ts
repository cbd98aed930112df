import { abortable, ignore } from "../base/abortable.ts";
import type { Clock } from "../base/clock.ts";
import { Failure } from "../base/failure.ts";
import type { Logger } from "../base/logger.ts";
import type { Meter } from "../base/meter.ts";
import type { Tracer } from "../base/tracer.ts";
import type { MemoryServer } from "../memory/memory-server.ts";
import type { FaultNews } from "../memory/wire.ts";
import type { BuildLease } from "./build-source.ts";
import { FirstReads, type FirstReadsOptions } from "./first-reads.ts";
import { LentMemory } from "./lent-memory.ts";

/** How the server is got: made, or found where a former daemon has left it. */
export type ServerFrom = (
  lease: BuildLease,
  events: MemoryEvents,
  signal: AbortSignal,
) => Promise<MemoryServer>;

export interface MemoryEvents {
  read(chunk: number, signal: AbortSignal): Promise<Uint8Array>;
  onNews(chunk: number, news: FaultNews): void;
  onTouch(chunk: number): void;
  onTrouble(failure: Failure): void;
}

export interface SharedMemoryOptions {
  /** Of the server. */
  readonly name: string;
  readonly build: string;
  readonly acquire: (signal: AbortSignal) => Promise<BuildLease>;
  readonly from: ServerFrom;
  /** It may be lent to nobody else: it is to be ended, or serves no more. */
  readonly onOver: () => void;
  /** Where first reads are remembered; missing when the server was found: they are over. */
  readonly orders?: FirstReadsOptions["orders"];
  readonly clock: Clock;
  readonly logger: Logger;
  readonly meter: Meter;
  readonly tracer: Tracer;
}

/** The first commands of the first guest need the way to the bucket more than the rest of the memory does. */
const leftAloneMs = 2_000;
/** Pauses before it is tried again to make a memory whole. */
const pauseMsFirst = 5_000;
const pauseMsMax = 60_000;

interface Parts {
  readonly firstReads: FirstReads;
  readonly lease: BuildLease;
  readonly server: MemoryServer;
}

/**
 * The memory of one build, served page by page to all machines that have mapped it so. It holds a lease of its own;
 * once the first guest is up the rest is fetched and the file is sealed, and who starts later maps that.
 *
 *   starting ──▶ served ──first guest up──▶ being made whole ──▶ whole; after the last user: ended, or left
 */
export class SharedMemory {
  readonly name: string;
  readonly build: string;
  readonly #options: SharedMemoryOptions;
  readonly #parts: Promise<Parts>;
  readonly #over = new AbortController();
  readonly #lent = new Set<LentMemory>();
  #users = 0;
  #left = false;
  #fetching: Promise<void> | undefined;
  #finishing: Promise<void> | undefined;
  #ended: Promise<void> | undefined;

  constructor(options: SharedMemoryOptions) {
    this.name = options.name;
    this.build = options.build;
    this.#options = options;
    this.#parts = this.#start();
    this.#parts.catch(ignore); // told to those who wait for it
  }

  /** For operators. */
  inspect(): object {
    const guests = Array.from(this.#lent, ({ sandbox, isStalled }) => ({ sandbox, stalled: isStalled }));
    return { name: this.name, build: this.build, guests };
  }

  async lend(sandbox: string, signal: AbortSignal): Promise<LentMemory> {
    this.#users += 1;
    try {
      const { firstReads, server } = await abortable(this.#parts, signal);
      const { build, logger, meter, name } = this.#options;
      const lent: LentMemory = new LentMemory({
        ...{ name, build, sandbox, logger, meter, path: server.path, file: server.file },
        onDiskRead: (offset, bytes) => firstReads.onDisk(offset, bytes),
        onUp: () => {
          firstReads.onUp();
          this.#finishing ??= this.#options.tracer.apart.within(() => this.#finish());
        },
        giveBack: async (how) => {
          this.#lent.delete(lent);
          this.#left ||= how === "leave";
          await this.#leave();
        },
      });
      this.#lent.add(lent);
      return lent;
    } catch (error) {
      await this.#leave();
      throw error;
    }
  }

  async #start(): Promise<Parts> {
    const { acquire, from } = this.#options;
    const { signal } = this.#over;
    const lease = await acquire(signal);
    try {
      await Promise.all([lease.open("memfile", signal), lease.open("rootfs", signal)]);
      const { clock, logger, orders } = this.#options;
      const firstReads = new FirstReads({ lease, orders, clock, logger });
      // A machine that has lived on has had its first reads.
      if (orders !== undefined) this.#fetching = firstReads.fetch(signal);
      const server = await from(lease, this.#eventsOf(lease, firstReads), signal);
      void server.lost.then(() => {
        this.#options.onOver();
        for (const lent of this.#lent) lent.onLost();
      });
      return { firstReads, lease, server };
    } catch (error) {
      await lease[Symbol.asyncDispose]();
      throw error;
    }
  }

  #eventsOf(lease: BuildLease, firstReads: FirstReads): MemoryEvents {
    return {
      read: (chunk, signal) => {
        // Who asks is not told. Of several guests, one that starts is the one that reads much.
        const start = [...this.#lent].find((lent) => lent.start !== undefined)?.start;
        return (start ?? this.#options.tracer.apart).within(() => lease.chunk("memfile", chunk, 1, signal));
      },
      onTouch: (chunk) => firstReads.onMemory(chunk),
      onNews: (chunk, news) => {
        for (const lent of this.#lent) if (lent.onNews(chunk, news)) return;
      },
      onTrouble: (failure) => {
        for (const lent of this.#lent) lent.onTrouble(failure);
      },
    };
  }

  /** Fetches the rest and seals the file. What goes wrong is tried again: meanwhile pages come one by one. */
  async #finish(): Promise<void> {
    const { build, clock, logger } = this.#options;
    const { signal } = this.#over;
    const { lease } = await this.#parts;
    await this.#fetching;
    await clock.sleep(leftAloneMs, signal).catch(ignore);
    for (let pauseMs = pauseMsFirst; !signal.aborted; pauseMs = Math.min(2 * pauseMs, pauseMsMax)) {
      try {
        await lease.memory(signal);
        return logger.info({ build }, "a memory that was served in parts is whole");
      } catch (error) {
        if (signal.aborted) return;
        logger.warn({ build, error }, "a memory that is served in parts could not be made whole");
      }
      await clock.sleep(pauseMs, signal).catch(ignore);
    }
  }

  async #leave(): Promise<void> {
    this.#users -= 1;
    if (this.#users > 0) return;
    this.#options.onOver();
    await (this.#ended ??= this.#end());
  }

  async #end(): Promise<void> {
    this.#over.abort(new Failure("cancelled", "nobody uses the memory any more"));
    const parts = await this.#parts.catch(ignore);
    await this.#finishing;
    await this.#fetching;
    if (parts === undefined) return;
    const { firstReads, lease, server } = parts;
    try {
      await firstReads.end();
      if (this.#left) server.leave();
      else await server.end();
    } finally {
      await lease[Symbol.asyncDispose]();
    }
  }
}
