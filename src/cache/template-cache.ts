import path from "node:path";
import { abortable, ignore } from "../base/abortable.ts";
import { Failure } from "../base/failure.ts";
import type { ChunkSource } from "../build/chunk-source.ts";
import type { IndexBook } from "../build/index-book.ts";
import { isBuildId } from "../build/manifest.ts";
import type { MadeBuild } from "../build/make-build.ts";
import type { ObjectSource } from "../build/object-source.ts";
import { Arrivals } from "./arrivals.ts";
import { Blobs } from "./blobs.ts";
import { CacheTools, type CacheToolsOptions } from "./cache-tools.ts";
import { callSite } from "./call-site.ts";
import { type Disk, realDisk } from "./disk.ts";
import type { Entry } from "./entry.ts";
import { Evictor } from "./evictor.ts";
import { HeldLease, type Lease, type Taker } from "./lease.ts";
import { Manifests } from "./manifests.ts";
import { Operator } from "./operator.ts";
import { type CacheReport, reportOf } from "./report.ts";
import { Room } from "./room.ts";
import { openShelf, type Shelf } from "./shelf.ts";
import { WholeFiles } from "./whole-files.ts";

export interface TemplateCacheOptions extends CacheToolsOptions {
  /** The shelf. */
  readonly directory: string;
  /** The disk that it lies on; the machine's own unless said. */
  readonly disk?: Disk;
  /** High water, in bytes. */
  readonly bytesMax: number;
  /** Low water: how far an eviction goes. 90 % of high water unless said. */
  readonly bytesLow?: number;
  /** Evicts also when the disk has less free than this. */
  readonly freeBytesMin?: number;
  /** Verified chunks. */
  readonly chunks: ChunkSource;
  readonly objects: ObjectSource;
  readonly indexes: IndexBook;
  /** How long `close` waits for leases. */
  readonly closeMsMax?: number;
}

/**
 * The template cache: fetch, verify, keep, lend, make room.
 *
 * A build:  unknown ──acquire──▶ leased ⇄ idle ──evict──▶ closing ──▶ unknown
 */
export class TemplateCache implements AsyncDisposable {
  /** For people who look after the shelf. */
  readonly operator: Operator;
  readonly #options: TemplateCacheOptions;
  readonly #shelf: Shelf;
  readonly #tools: CacheTools;
  readonly #room: Room;
  readonly #files: WholeFiles;
  readonly #manifests: Manifests;
  readonly #blobs: Blobs;
  readonly #entries = new Map<string, Entry>();
  readonly #arrivals: Arrivals;
  readonly #evictor: Evictor;
  #closed: Promise<void> | undefined;
  #leasesChanged = Promise.withResolvers<void>();

  private constructor(options: TemplateCacheOptions, shelf: Shelf) {
    this.#options = options;
    this.#shelf = shelf;
    const tools = new CacheTools(options);
    const room = new Room({
      bytesMax: options.bytesMax,
      makeRoom: (bytes) => this.#evictor.makeRoom(bytes),
      isCrowded: (bytes) => this.#evictor.isCrowded(bytes),
    });
    const { disk, files: sizes } = shelf;
    this.#tools = tools;
    this.#room = room;
    this.#files = new WholeFiles({ disk, source: options.objects, room, tools, sizes });
    this.#manifests = new Manifests(options.objects, this.#files, tools);
    this.#blobs = new Blobs(path.join(shelf.directory, "blobs"), this.#files, shelf.journal);
    const { bytesMax, bytesLow = bytesMax * 0.9, freeBytesMin = 0 } = options;
    const limits = { bytesMax, bytesLow, freeBytesMin };
    this.#evictor = new Evictor({
      ...limits,
      entries: this.#entries,
      shelf,
      room,
      blobs: this.#blobs,
      tools,
    });
    this.operator = new Operator({
      ...{ entries: this.#entries, evictor: this.#evictor },
      acquire: (build, taker, signal) => this.#acquire(build, taker, signal),
      append: (record) => shelf.journal.append(record),
      note: (record) => this.#note(record),
    });
    const { chunks, indexes } = options;
    this.#arrivals = new Arrivals({
      ...{ entries: this.#entries, shelf, manifests: this.#manifests, files: this.#files, room, tools },
      ...{ chunks, indexes, hasLeft: (build) => this.#evictor.hasLeft(build) },
    });
  }

  /**
   * Takes the shelf and believes what its journal says. Nothing is evicted before `settle`.
   * Throws `conflict` when another process owns it, `invalid` when its journal is of a newer version.
   */
  static async open(options: TemplateCacheOptions): Promise<TemplateCache> {
    const { disk = realDisk, directory, clock } = options;
    const shelf = await openShelf(disk, directory, clock.now());
    const cache = new TemplateCache(options, shelf);
    await cache.#arrivals.remember();
    const { clean, removed } = shelf;
    const facts = { builds: cache.#entries.size, removed, clean };
    options.logger.info(facts, "the shelf was taken over");
    options.meter.count("larder_cache_unexplained_total", {}, removed);
    return cache;
  }

  /** Those who live on since the last run have taken their leases: what nobody needs may be evicted now (C20). */
  async settle(): Promise<void> {
    await this.#evictor.settle();
  }

  /**
   * A lease on a build and on all builds that it refers to; their manifests are there and verified then. `holder` says
   * who takes it, for reports. Throws `not_found` when there is no such build, `unavailable` or `corrupt` when that
   * cannot be found out.
   */
  async acquire(build: string, holder: string, signal: AbortSignal): Promise<Lease> {
    const taker = { holder, where: callSite() };
    return await this.#withAncestors(await this.#acquire(build, taker, signal), taker, signal);
  }

  /** Takes a build made on this node: whole on the shelf, durable, leased by `holder` (C20). May throw `exhausted`. */
  async adopt(made: MadeBuild, holder: string, signal: AbortSignal): Promise<Lease> {
    const taker = { holder, where: callSite() };
    if (this.#closed !== undefined) throw new Failure("cancelled", "the cache is closed");
    const entry = await this.#arrivals.adopt(made, signal);
    this.#manifests.announce(made.manifest.build);
    return await this.#withAncestors(this.#lend(entry, taker), taker, signal);
  }

  /** The build was published by this node: nobody is told any more that it is missing. */
  announcePublished(build: string): void {
    this.#manifests.announce(build);
  }

  /** Lets everything be asked for at once again; says how many objects were waiting. */
  clearBackoffs(): number {
    this.#manifests.forgetMissing();
    return this.#tools.backoffs.clearAll();
  }

  /** Evicts a build that nobody leases; false when somebody does, or it is not on the shelf. */
  evict(build: string): Promise<boolean> {
    return this.operator.evict(build);
  }

  /** A lease on what the shelf has of a build; undefined when that is nothing. Fetches nothing. */
  lendKept(build: string, holder: string): HeldLease | undefined {
    const entry = this.#entries.get(build);
    if (entry === undefined || entry.closing !== undefined || this.#closed !== undefined) return undefined;
    return this.#lend(entry, { holder, where: "peers" });
  }

  /** Who leases a build. */
  holdersOf(build: string): string[] {
    return Array.from(this.#entries.get(build)?.leases ?? [], ({ holder }) => holder);
  }

  /** The bytes of an input that lies on the shelf, verified. */
  inputPieces(digest: string): AsyncIterable<Uint8Array> | undefined {
    return this.#blobs.pieces(digest);
  }

  inspect(): CacheReport {
    const { keptBytes, reservedBytes, bytesMax } = this.#room;
    const flights = this.#files.underWay + this.#manifests.underWay;
    const bytes = { kept: keptBytes, reserved: reservedBytes, budget: bytesMax };
    return reportOf(this.#entries, flights, bytes, this.#tools.backoffs.list());
  }

  /** Sets the gauges; called when somebody wants to see them. */
  measure(): void {
    const { leases, flights, bytes, artifacts } = this.inspect();
    const { meter } = this.#tools;
    meter.gauge("larder_cache_leases", leases.length);
    meter.gauge("larder_cache_flights", flights);
    for (const [kind, value] of Object.entries(bytes)) meter.gauge("larder_cache_bytes", value, { kind });
    for (const [state, count] of Object.entries(artifacts))
      meter.gauge("larder_cache_artifacts", count, { state });
  }

  /** Aborts flights, waits for leases up to a bound, and leaves no timer, descriptor or temporary file (C9). */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #acquire(build: string, taker: Taker, signal: AbortSignal): Promise<HeldLease> {
    if (!isBuildId(build)) throw new Failure("invalid", `'${build}' is no id of a build`);
    for (;;) {
      if (this.#closed !== undefined) throw new Failure("cancelled", "the cache is closed");
      const known = this.#entries.get(build);
      if (known?.closing !== undefined) {
        await abortable(known.closing, signal);
        continue;
      }
      signal.throwIfAborted();
      const entry = known ?? (await this.#arrivals.of(build, signal));
      // Between the arrival and this moment it may have begun to close.
      const isThere = this.#entries.get(build) === entry && entry.closing === undefined;
      if (isThere && this.#closed === undefined) return this.#lend(entry, taker);
    }
  }

  /** A lease on a child holds all builds that its indexes refer to, or none is given. */
  async #withAncestors(lease: HeldLease, taker: Taker, signal: AbortSignal): Promise<HeldLease> {
    try {
      await lease.holdAncestors((ancestor) => this.#acquire(ancestor, taker, signal));
      return lease;
    } catch (error) {
      await lease[Symbol.asyncDispose]();
      throw error;
    }
  }

  #lend(entry: Entry, taker: Taker): HeldLease {
    const { residence, leases, room } = entry;
    const lease = new HeldLease({
      ...taker,
      residence,
      since: this.#tools.clock.now(),
      input: (manifest, name, signal) => this.#blobs.have(manifest, name, signal),
      end: (ended) => this.#endLease(entry, ended),
    });
    leases.add(lease);
    if (leases.size === 1 && room.recorded) void this.#note({ type: "leased", build: residence.build });
    return lease;
  }

  /** A long lease counts as used when it ends, also across a restart (C17). */
  async #endLease(entry: Entry, lease: HeldLease): Promise<void> {
    const { leases, room } = entry;
    leases.delete(lease);
    entry.usedAt = this.#tools.clock.now();
    this.#leasesChanged.resolve();
    this.#leasesChanged = Promise.withResolvers();
    if (leases.size > 0) return;
    this.#room.wake();
    if (room.recorded) await this.#note({ type: "used", build: lease.build, at: entry.usedAt });
    else
      await this.#evictor
        .evict(lease.build, entry, "unkept")
        .catch((error: unknown) => this.#tools.diskTrouble(Failure.from(error)));
  }

  /** What is only told to make a later run wiser may get lost. */
  async #note(record: Parameters<Shelf["journal"]["append"]>[0]): Promise<void> {
    await this.#shelf.journal
      .append(record)
      .catch((error: unknown) => this.#tools.diskTrouble(Failure.from(error)));
  }

  async #close(): Promise<void> {
    await Promise.resolve();
    const reason = new Failure("cancelled", "the cache is closing");
    await Promise.all([
      this.#arrivals.close(reason),
      this.#manifests.close(reason),
      this.#files.close(reason),
    ]);
    await this.#leasesEnded();
    for (const { closing } of this.#entries.values()) await closing?.catch(ignore);
    for (const { residence } of this.#entries.values()) await residence.close(reason);
    // What the next run has to verify although this one ends in order (C22).
    const doubtful = [...this.#entries].filter(([, { residence }]) => residence.isSuspect);
    await this.#note({ type: "clean", suspect: doubtful.map(([build]) => build) });
    await this.#shelf.journal.close();
    this.#shelf.lock[Symbol.dispose]();
  }

  async #leasesEnded(): Promise<void> {
    const patience = new AbortController();
    using _timer = this.#tools.clock.after(this.#options.closeMsMax ?? 5_000, () => patience.abort());
    while ([...this.#entries.values()].some(({ leases }) => leases.size > 0) && !patience.signal.aborted) {
      await abortable(this.#leasesChanged.promise, patience.signal).catch(ignore);
    }
  }
}
