import path from "node:path";
import type { Clock } from "../base/clock.ts";
import { Failure } from "../base/failure.ts";
import type { Logger } from "../base/logger.ts";
import type { Meter } from "../base/meter.ts";
import type { Random } from "../base/random.ts";
import { randomId } from "../base/random-id.ts";
import { requestChunksMax } from "../build/artifact.ts";
import { silentTracer, type Tracer } from "../base/tracer.ts";
import { ChunkTable } from "../memory/chunk-table.ts";
import { MemoryServer } from "../memory/memory-server.ts";
import type { ReadOrders } from "../build/read-orders.ts";
import { fetchAhead } from "./fetch-ahead.ts";
import type { BuildLease, BuildSource } from "./build-source.ts";
import type { LentMemory } from "./lent-memory.ts";
import { type ServerFrom, SharedMemory } from "./shared-memory.ts";

export interface LazyMemoriesOptions {
  /** The directory of the daemon's sockets: each server has one of its own in there. */
  readonly directory: string;
  readonly builds: BuildSource;
  /** Where it is remembered what is read first. */
  readonly orders: ReadOrders;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly meter: Meter;
  readonly tracer?: Tracer;
}

/** After this long a guest that waits for its memory is stalled, and after that long it is ended. */
const stalledMs = 2_000;
const withheldMsMax = 60_000;
const nameLetters = 10;
/** On a host where no memory can be served in parts it is not tried again for so long. */
const respiteMs = 600_000;

/** The memories that are served to machines page by page, each by a process that outlives this one. */
export class LazyMemories {
  readonly #options: LazyMemoriesOptions;
  readonly #shared = new Map<string, SharedMemory>();
  #notBeforeMs = 0;

  constructor(options: LazyMemoriesOptions) {
    this.#options = options;
  }

  /** Of the servers: directories of theirs are in use. */
  get names(): string[] {
    return [...this.#shared.keys()];
  }

  /** For operators. */
  inspect(): object[] {
    return Array.from(this.#shared.values(), (shared) => shared.inspect());
  }

  /** The memory of a build for one more machine; undefined where none can be served. */
  async take(
    { build, sandbox }: { readonly build: string; readonly sandbox: string },
    signal: AbortSignal,
  ): Promise<LentMemory | undefined> {
    const { clock, meter, random } = this.#options;
    if (clock.monotonic() < this.#notBeforeMs) return undefined;
    const name = `mem-${randomId(random, nameLetters)}`;
    const there = [...this.#shared.values()].find((each) => each.build === build);
    const shared = there ?? this.#share(name, build, this.#start(name), this.#options.orders);
    try {
      const lent = await shared.lend(sandbox, signal);
      meter.count("larder_memory_lazy_starts_total");
      return lent;
    } catch (error) {
      signal.throwIfAborted();
      if (this.#notBeforeMs <= clock.monotonic()) throw error;
      return undefined;
    }
  }

  /** The same for a machine that has lived on. Throws `not_found` when what served it is no more. */
  async retake(
    { build, name, sandbox }: { readonly build: string; readonly name: string; readonly sandbox: string },
    signal: AbortSignal,
  ): Promise<LentMemory> {
    const shared = this.#shared.get(name) ?? this.#share(name, build, this.#find(name));
    return await shared.lend(sandbox, signal);
  }

  #share(name: string, build: string, from: ServerFrom, orders?: ReadOrders): SharedMemory {
    const { builds, clock, logger, meter, tracer = silentTracer } = this.#options;
    const shared = new SharedMemory({
      tracer,
      ...{ name, build, from, orders, clock, logger, meter },
      acquire: (signal) => builds.acquire(build, `memory ${name}`, signal),
      onOver: () => {
        if (this.#shared.get(name) === shared) this.#shared.delete(name);
      },
    });
    this.#shared.set(name, shared);
    return shared;
  }

  #start(name: string): ServerFrom {
    const { clock, logger } = this.#options;
    return async (lease, events, signal) => {
      const index = lease.index("memfile");
      const table = ChunkTable.of(index);
      const source = lease.source("memfile");
      const place = { directory: this.#directoryOf(name), build: index.build, source };
      const firstPages = await this.#firstPages(lease, signal);
      const what = { ...place, table, firstPages, clock, stalledMs, withheldMsMax };
      try {
        return await MemoryServer.start(what, events, signal);
      } catch (error) {
        signal.throwIfAborted();
        this.#notBeforeMs = clock.monotonic() + respiteMs;
        const because = Failure.from(error).message;
        logger.warn({ because }, "memories are fetched whole before a sandbox starts; see 'larder doctor'");
        throw error;
      }
    };
  }

  /** They are a help and nothing else: without them the memory comes all the same. */
  async #firstPages(lease: BuildLease, signal: AbortSignal) {
    const { firstpages, build } = lease.manifest;
    if (firstpages === undefined) return undefined;
    try {
      await lease.open("firstpages", signal);
      const index = lease.index("firstpages");
      const chunks = Array.from({ length: index.chunkCount }, (_, chunk) => chunk);
      const what = { lease, artifact: "firstpages", chunks, groupChunks: requestChunksMax } as const;
      await fetchAhead({ ...what, chunksAtOnce: index.chunkCount }, signal);
      return { path: lease.source("firstpages"), table: ChunkTable.of(index) };
    } catch (error) {
      signal.throwIfAborted();
      this.#options.logger.warn({ build, error }, "a memory is served without its first pages");
      return undefined;
    }
  }

  #find(name: string): ServerFrom {
    const { clock } = this.#options;
    const directory = this.#directoryOf(name);
    return (lease, events, signal) =>
      MemoryServer.find({ directory, build: lease.manifest.build, clock }, events, signal);
  }

  #directoryOf(name: string): string {
    return path.join(this.#options.directory, name);
  }
}
