import { rm, statfs } from "node:fs/promises";
import type { Blobs } from "./blobs.ts";
import type { CacheTools } from "./cache-tools.ts";
import { type Candidate, chooseEvictions } from "./eviction.ts";
import type { HeldLease } from "./lease.ts";
import { keptManifest } from "./manifests.ts";
import type { KeptBuild, Residence } from "./residence.ts";
import type { Room } from "./room.ts";
import { buildDirectory, type Shelf } from "./shelf.ts";

/** A build on the shelf. `residence` is there from its first lease on until it is evicted. */
export interface Entry {
  readonly leases: Set<HeldLease>;
  residence: Residence | undefined;
  readonly kept: KeptBuild;
  /** When its last lease ended. */
  usedAt: number;
  /** What a former run has left, while there is no residence to ask. */
  readonly bytes: number;
  /** Being evicted: who comes now waits for it and opens afresh (C16). */
  closing: Promise<void> | undefined;
}

export interface EvictorOptions {
  readonly entries: Map<string, Entry>;
  readonly shelf: Shelf;
  readonly room: Room;
  readonly blobs: Blobs;
  readonly tools: CacheTools;
  readonly bytesMax: number;
  readonly bytesLow?: number;
  readonly freeBytesMin?: number;
  readonly freeBytes?: (directory: string) => Promise<number>;
}

/** Makes room on the shelf: whole builds that nobody leases, least recently used first (C17). */
export class Evictor {
  readonly #options: EvictorOptions;
  #makingRoom: Promise<void> | undefined;

  constructor(options: EvictorOptions) {
    this.#options = options;
  }

  /** From high water down to low water, for `bytes` more; quietly does what it can. One at a time. */
  async makeRoom(bytes: number): Promise<void> {
    while (this.#makingRoom !== undefined) await this.#makingRoom;
    if (this.#options.room.fits(bytes) && (await this.#lacking()) === 0) return;
    this.#makingRoom = this.#evictFor(bytes).finally(() => {
      this.#makingRoom = undefined;
    });
    await this.#makingRoom;
  }

  /** Evicts one build that nobody leases. Whoever asks for it meanwhile waits for the end of this. */
  async evict(build: string, entry: Entry, reason: "room" | "operator"): Promise<void> {
    entry.closing ??= this.#remove(build, entry, reason);
    await entry.closing;
  }

  async #evictFor(bytes: number): Promise<void> {
    const { bytesMax, bytesLow = bytesMax * 0.9, room, entries } = this.#options;
    const excess = room.keptBytes + room.reservedBytes + bytes - bytesLow;
    const candidates: Candidate[] = [...entries].map(([build, entry]) => ({
      build,
      bytes: entry.residence?.keptBytes ?? entry.bytes,
      usedAt: entry.usedAt,
      leased: entry.leases.size > 0 || entry.closing !== undefined,
    }));
    for (const build of chooseEvictions(candidates, Math.max(excess, await this.#lacking()))) {
      const entry = entries.get(build);
      if (entry !== undefined && entry.leases.size === 0) await this.evict(build, entry, "room");
    }
  }

  async isCrowded(): Promise<boolean> {
    return (await this.#lacking()) > 0;
  }

  /** Bytes that the disk has less than its floor. */
  async #lacking(): Promise<number> {
    const { freeBytesMin = 0, freeBytes = freeBytesOf, shelf } = this.#options;
    return freeBytesMin === 0 ? 0 : Math.max(0, freeBytesMin - (await freeBytes(shelf.directory)));
  }

  /** Journal first, files after: never free first. The entry is gone before those who wait for it go on. */
  async #remove(build: string, entry: Entry, reason: string): Promise<void> {
    const { entries, shelf, room, blobs, tools } = this.#options;
    await Promise.resolve(); // `closing` is set before anything else happens
    const told = () => shelf.journal.append({ type: "evicted", build });
    try {
      if (entry.residence !== undefined) await entry.residence.remove(told);
      else {
        await told();
        await rm(buildDirectory(shelf.directory, build), { recursive: true, force: true });
        room.adjust(-entry.bytes);
      }
    } finally {
      entries.delete(build);
    }
    await blobs.evictAllBut(await this.#neededBlobs());
    tools.meter.count("larder_cache_evictions_total", { reason });
  }

  async #neededBlobs(): Promise<Set<string>> {
    const needed = new Set<string>();
    for (const [build, { residence, kept }] of this.#options.entries) {
      const directory = buildDirectory(this.#options.shelf.directory, build);
      const manifest = residence?.manifest ?? (await keptManifest(build, directory, kept.manifestDigest));
      for (const input of manifest?.inputs ?? []) needed.add(input.digest);
    }
    return needed;
  }
}

async function freeBytesOf(directory: string): Promise<number> {
  const { bavail, bsize } = await statfs(directory);
  return bavail * bsize;
}
