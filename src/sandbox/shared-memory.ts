import { abortable, ignore } from "../base/abortable.ts";
import type { Clock } from "../base/clock.ts";
import { Failure } from "../base/failure.ts";
import type { Logger } from "../base/logger.ts";
import type { Meter } from "../base/meter.ts";
import { requestChunksMax } from "../build/artifact.ts";
import type { MemoryServer } from "../memory/memory-server.ts";
import type { FaultNews } from "../memory/wire.ts";
import type { BuildLease } from "./build-source.ts";
import { fetchAhead } from "./fetch-ahead.ts";
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
  readonly clock: Clock;
  readonly logger: Logger;
  readonly meter: Meter;
}

/** Pauses before it is tried again to make a memory whole. */
const pauseMsFirst = 5_000;
const pauseMsMax = 60_000;

interface Parts {
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
    const guests = Array.from(this.#lent, ({ sandbox, stalled }) => ({ sandbox, stalled: stalled > 0 }));
    return { name: this.name, build: this.build, guests };
  }

  async lend(sandbox: string, signal: AbortSignal): Promise<LentMemory> {
    this.#users += 1;
    try {
      const { server } = await abortable(this.#parts, signal);
      const { build, logger, meter, name } = this.#options;
      const lent: LentMemory = new LentMemory({
        ...{ name, build, sandbox, logger, meter, path: server.path, file: server.file },
        onUp: () => (this.#finishing ??= this.#finish()),
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
      await lease.open("memfile", signal);
      const server = await from(lease, this.#eventsOf(lease), signal);
      void server.lost.then(() => {
        this.#options.onOver();
        for (const lent of this.#lent) lent.onLost();
      });
      void this.#fetchAhead(lease);
      return { lease, server };
    } catch (error) {
      await lease[Symbol.asyncDispose]();
      throw error;
    }
  }

  async #fetchAhead(lease: BuildLease): Promise<void> {
    const { chunkCount } = lease.index("memfile");
    const firsts = Array.from(
      { length: Math.ceil(chunkCount / requestChunksMax) },
      (_, group) => group * requestChunksMax,
    );
    await fetchAhead(
      {
        lease,
        artifact: "memfile",
        chunks: Array.from({ length: chunkCount }, (_, i) => i),
        groupChunks: requestChunksMax,
        requestsMax: 2 * 16,
      },
      this.#over.signal,
    );
  }

  #eventsOf(lease: BuildLease): MemoryEvents {
    return {
      read: (chunk, signal) => lease.chunk("memfile", chunk, requestChunksMax, signal),
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
    if (parts === undefined) return;
    const { lease, server } = parts;
    try {
      if (this.#left) server.leave();
      else await server.end();
    } finally {
      await lease[Symbol.asyncDispose]();
    }
  }
}
