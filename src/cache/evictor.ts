import { Failure } from "../base/failure.ts";
import type { Blobs } from "./blobs.ts";
import type { CacheTools } from "./cache-tools.ts";
import type { Entry } from "./entry.ts";
import { type Candidate, chooseEvictions, type Eviction } from "./eviction.ts";
import type { Leftovers } from "./leftovers.ts";
import type { Room } from "./room.ts";
import type { Shelf } from "./shelf.ts";

export interface EvictorOptions {
  readonly entries: Map<string, Entry>;
  readonly shelf: Shelf;
  readonly room: Room;
  readonly blobs: Blobs;
  readonly leftovers: Leftovers;
  readonly tools: CacheTools;
  readonly bytesMax: number;
  readonly bytesLow?: number;
  readonly freeBytesMin?: number;
}

/** Makes room on the shelf: of builds that nobody needs, the least recently used first (C17). */
export class Evictor {
  readonly #options: EvictorOptions;
  #makingRoom: Promise<void> | undefined;
  /** Nothing is evicted before those who live on have taken their leases (C20). */
  #settled = false;

  constructor(options: EvictorOptions) {
    this.#options = options;
  }

  /** Everybody who lives on has a lease: from now on the rest may be evicted. */
  async settle(): Promise<void> {
    this.#settled = true;
    await this.makeRoom(0);
  }

  /** From high water down to low water, for `bytes` more; quietly does what it can. One at a time. */
  async makeRoom(bytes: number): Promise<void> {
    while (this.#makingRoom !== undefined) await this.#makingRoom;
    if (!this.#settled || (this.#options.room.fits(bytes) && (await this.#lacking(bytes)) === 0)) return;
    this.#makingRoom ??= this.#evictFor(bytes).finally(() => {
      this.#makingRoom = undefined;
    });
    await this.#makingRoom;
  }

  /**
   * Evicts one build that nobody needs; false when somebody does, or it is gone by then. Whoever asks for it meanwhile
   * waits for the end of this.
   */
  async evict(build: string, entry: Entry, reason: "room" | "operator" | "unkept"): Promise<boolean> {
    return this.#exclusively(build, entry, () => this.#remove(build, entry, reason));
  }

  /** With `bytes` more, the disk would have less free than its floor. */
  async isCrowded(bytes: number): Promise<boolean> {
    return (await this.#lacking(bytes)) > 0;
  }

  /** True when a lease or a pin, on the build or on one that refers to it, keeps the build. */
  isHeld(build: string, { leases, pinned }: Entry): boolean {
    if (leases.size > 0 || pinned) return true;
    const refers = ({ pinned, residence }: Entry) =>
      pinned && residence.manifest.ancestors.some((ancestor) => ancestor.build === build);
    return [...this.#options.entries.values()].some(refers);
  }

  async #evictFor(bytes: number): Promise<void> {
    const { bytesMax, bytesLow = bytesMax * 0.9, room, entries, leftovers, tools } = this.#options;
    await leftovers.clear();
    const excess = room.keptBytes + room.reservedBytes + bytes - bytesLow;
    const lacking = await this.#lacking(bytes);
    const candidates: Candidate[] = [...entries].map(([build, entry]) => ({
      build,
      bytes: entry.residence.bytes,
      chunkBytes: entry.residence.chunkBytes,
      usedAt: entry.usedAt,
      held: entry.closing !== undefined || this.isHeld(build, entry),
    }));
    for (const eviction of chooseEvictions(candidates, Math.max(excess, lacking))) {
      const entry = entries.get(eviction.build);
      if (entry === undefined) continue;
      // A disk that refuses one may allow another; who needs room finds out whether there is some.
      await this.#evictAsChosen(entry, eviction).catch((error: unknown) =>
        tools.diskTrouble(Failure.from(error)),
      );
    }
  }

  async #evictAsChosen(entry: Entry, { build, bytes }: Eviction): Promise<void> {
    if (bytes === undefined) return void (await this.evict(build, entry, "room"));
    const before = entry.residence.chunkBytes;
    const isDone = await this.#exclusively(build, entry, () => entry.residence.shrink(bytes));
    if (isDone) this.#count("part", before - entry.residence.chunkBytes);
  }

  /** How far below its floor the free space of the disk would be with all that is reserved, and `bytes` more. */
  async #lacking(bytes: number): Promise<number> {
    const { freeBytesMin = 0, shelf, room, tools } = this.#options;
    if (freeBytesMin === 0) return 0;
    try {
      const free = await shelf.disk.freeBytes(shelf.directory);
      return Math.max(0, freeBytesMin + room.reservedBytes + bytes - free);
    } catch (error) {
      tools.diskTrouble(Failure.from(error));
      return 0; // the write itself will tell
    }
  }

  async #exclusively(build: string, entry: Entry, work: () => Promise<void>): Promise<boolean> {
    while (entry.closing !== undefined) await entry.closing;
    if (this.#options.entries.get(build) !== entry || this.isHeld(build, entry)) return false;
    const closing = Promise.withResolvers<void>();
    entry.closing = closing.promise;
    try {
      await work();
      return true;
    } finally {
      entry.closing = undefined;
      closing.resolve();
    }
  }

  /** Journal first, files after: never free first. The entry is gone before those who wait for it go on. */
  async #remove(build: string, entry: Entry, reason: string): Promise<void> {
    const { entries, shelf, blobs } = this.#options;
    const { residence } = entry;
    const bytes = residence.bytes;
    let isTold = false;
    const told = async () => {
      if (entry.room.recorded) await shelf.journal.append({ type: "evicted", build });
      isTold = true;
    };
    try {
      await residence.remove(told);
    } catch (error) {
      throw Failure.from(error);
    } finally {
      // What the journal still says is there stays in the books, and is evicted another time.
      if (isTold) entries.delete(build);
    }
    this.#count(reason, bytes);
    await blobs.evictUnless((digest) => this.#isNeeded(digest));
  }

  #count(reason: string, bytes: number): void {
    const { meter } = this.#options.tools;
    meter.count("larder_cache_evictions_total", { reason });
    meter.count("larder_cache_evicted_bytes_total", { reason }, bytes);
  }

  #isNeeded(digest: string): boolean {
    for (const { residence } of this.#options.entries.values()) {
      if (residence.manifest.inputs.some((input) => input.digest === digest)) return true;
    }
    return false;
  }
}
