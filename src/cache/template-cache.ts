import { rm } from "node:fs/promises";
import path from "node:path";
import { abortable, ignore } from "../base/abortable.ts";
import { Failure } from "../base/failure.ts";
import type { ChunkSource } from "../build/chunk-source.ts";
import type { IndexBook } from "../build/index-book.ts";
import { isBuildId } from "../build/manifest.ts";
import type { MadeBuild } from "../build/make-build.ts";
import type { ObjectSource } from "../build/object-source.ts";
import { adopt } from "./adopt.ts";
import { Blobs } from "./blobs.ts";
import { CacheTools, type CacheToolsOptions } from "./cache-tools.ts";
import { type Entry, Evictor } from "./evictor.ts";
import { Flights } from "./flights.ts";
import { HeldLease, type Lease } from "./lease.ts";
import { keptManifest, Manifests } from "./manifests.ts";
import { wholeFileBytes } from "./recovery.ts";
import { type CacheReport, reportOf } from "./report.ts";
import { type KeptBuild, Residence } from "./residence.ts";
import { Room } from "./room.ts";
import { blobBytes, buildDirectory, freshBuild, openShelf, type Shelf } from "./shelf.ts";
import { WholeFiles } from "./whole-files.ts";

export interface TemplateCacheOptions extends CacheToolsOptions {
  /** The shelf. */
  readonly directory: string;
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
  /** Bytes free on the disk of a directory. */
  readonly freeBytes?: (directory: string) => Promise<number>;
}

/**
 * The template cache: fetch, verify, keep, lend, make room.
 *
 * A build:  unknown ──acquire──▶ leased ⇄ idle ──evict──▶ closing ──▶ unknown
 */
export class TemplateCache implements AsyncDisposable {
  readonly #options: TemplateCacheOptions;
  readonly #shelf: Shelf;
  readonly #tools: CacheTools;
  readonly #room: Room;
  readonly #files: WholeFiles;
  readonly #manifests: Manifests;
  readonly #blobs: Blobs;
  readonly #entries = new Map<string, Entry>();
  readonly #arrivals = new Flights<Entry>();
  readonly #evictor: Evictor;
  #closed: Promise<void> | undefined;
  #leasesChanged = Promise.withResolvers<void>();

  private constructor(options: TemplateCacheOptions, shelf: Shelf) {
    this.#options = options;
    this.#shelf = shelf;
    this.#tools = new CacheTools(options);
    this.#room = new Room({
      bytesMax: options.bytesMax,
      makeRoom: (bytes) => this.#evictor.makeRoom(bytes),
      isCrowded: () => this.#evictor.isCrowded(),
    });
    this.#files = new WholeFiles(options.objects, this.#room, this.#tools);
    this.#manifests = new Manifests(options.objects, this.#tools);
    this.#blobs = new Blobs(
      path.join(shelf.directory, "blobs"),
      this.#files,
      shelf.journal,
      shelf.remembered.blobs,
    );
    const { room, blobs, tools } = { room: this.#room, blobs: this.#blobs, tools: this.#tools };
    this.#evictor = new Evictor({ ...options, entries: this.#entries, shelf, room, blobs, tools });
  }

  /** Takes the shelf and believes what its journal says. Throws `conflict` when another process owns it. */
  static async open(options: TemplateCacheOptions): Promise<TemplateCache> {
    const cache = new TemplateCache(options, await openShelf(options.directory));
    await cache.#remember();
    return cache;
  }

  /**
   * A lease on a build, whose manifest is there and verified then. `holder` says who, for reports.
   * Throws `not_found` when there is no such build, `unavailable` or `corrupt` when that cannot be found out.
   */
  async acquire(build: string, holder: string, signal: AbortSignal): Promise<Lease> {
    return this.#acquire(build, holder, signal);
  }

  /** Takes a build made on this node: whole on the shelf, durable, leased by `holder` (C20). May throw `exhausted`. */
  async adopt(made: MadeBuild, holder: string, signal: AbortSignal): Promise<Lease> {
    if (this.#closed !== undefined) throw new Failure("cancelled", "the cache is closed");
    const kept = await adopt(made, { shelf: this.#shelf, room: this.#room, tools: this.#tools }, signal);
    const residence = this.#residence(made.manifest, kept, false);
    const entry: Entry = { ...freshEntry, leases: new Set(), residence, kept, usedAt: kept.usedAt };
    this.#entries.set(made.manifest.build, entry);
    this.#manifests.announce(made.manifest.build);
    return this.#lend(entry, residence, holder);
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

  /** Evicts a build that nobody leases; false when it is leased or not on the shelf. */
  async evict(build: string): Promise<boolean> {
    const entry = this.#entries.get(build);
    if (entry === undefined || entry.leases.size > 0) return false;
    await this.#evictor.evict(build, entry, "operator");
    return true;
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

  async #acquire(build: string, holder: string, signal: AbortSignal): Promise<HeldLease> {
    if (!isBuildId(build)) throw new Failure("invalid", `'${build}' is no id of a build`);
    for (;;) {
      if (this.#closed !== undefined) throw new Failure("cancelled", "the cache is closed");
      const known = this.#entries.get(build);
      if (known?.closing !== undefined) {
        await abortable(known.closing, signal);
        continue;
      }
      const entry = await this.#arrivals.join(build, (flight) => this.#arrive(build, known, flight), signal);
      // Between the arrival and this moment it may have begun to close.
      if (entry.closing === undefined && entry.residence !== undefined && this.#closed === undefined) {
        return this.#lend(entry, entry.residence, holder);
      }
    }
  }

  #lend(entry: Entry, residence: Residence, holder: string): HeldLease {
    const lease = new HeldLease({
      residence,
      holder,
      since: this.#tools.clock.now(),
      acquire: (build, signal) => this.#acquire(build, `${holder} (for ${residence.build})`, signal),
      input: (manifest, name, signal) => this.#blobs.have(manifest, name, signal),
      end: (ended) => this.#endLease(entry, ended),
    });
    entry.leases.add(lease);
    return lease;
  }

  /** A long lease counts as used when it ends, also across a restart (C17). */
  async #endLease(entry: Entry, lease: HeldLease): Promise<void> {
    entry.leases.delete(lease);
    entry.usedAt = this.#tools.clock.now();
    this.#leasesChanged.resolve();
    this.#leasesChanged = Promise.withResolvers();
    if (entry.leases.size === 0) this.#room.wake();
    const record = { type: "used", build: lease.build, at: entry.usedAt } as const;
    await this.#shelf.journal
      .append(record)
      .catch((error: unknown) => this.#tools.diskTrouble(Failure.from(error)));
  }

  /** Makes a residence of a build: from what the shelf has of it, else from its manifest in the bucket. */
  async #arrive(build: string, known: Entry | undefined, signal: AbortSignal): Promise<Entry> {
    if (known?.residence !== undefined) return known;
    const directory = buildDirectory(this.#shelf.directory, build);
    if (known !== undefined) {
      const manifest = await keptManifest(build, directory, known.kept.manifestDigest);
      if (manifest !== undefined) {
        known.residence = this.#residence(manifest, known.kept, this.#shelf.remembered.suspect.has(build));
        return known;
      }
      // Nothing of a build can be believed without its manifest.
      await this.#shelf.journal.append({ type: "evicted", build });
      await rm(directory, { recursive: true, force: true });
      this.#room.adjust(-known.bytes);
      this.#entries.delete(build);
    }
    const { manifest, digest } = await this.#manifests.find(build, directory, signal);
    await this.#shelf.journal.append({ type: "build", build, manifestDigest: digest });
    const kept = freshBuild(digest);
    const usedAt = this.#tools.clock.now();
    const residence = this.#residence(manifest, kept, false);
    const entry: Entry = { ...freshEntry, leases: new Set(), residence, kept, usedAt };
    this.#entries.set(build, entry);
    return entry;
  }

  #residence(manifest: Residence["manifest"], kept: KeptBuild, suspect: boolean): Residence {
    return new Residence({
      directory: buildDirectory(this.#shelf.directory, manifest.build),
      manifest,
      kept,
      suspect,
      journal: this.#shelf.journal,
      room: this.#room,
      files: this.#files,
      source: this.#options.chunks,
      indexes: this.#options.indexes,
      tools: this.#tools,
    });
  }

  /** Counts what a former run has left on the shelf. */
  async #remember(): Promise<void> {
    const { directory, remembered, removed } = this.#shelf;
    for (const [build, kept] of remembered.builds) {
      let bytes = await wholeFileBytes(buildDirectory(directory, build));
      const manifest = await keptManifest(build, buildDirectory(directory, build), kept.manifestDigest);
      if (manifest !== undefined) bytes += this.#residence(manifest, kept, false).keptBytes;
      this.#room.adjust(bytes);
      const { usedAt } = kept;
      this.#entries.set(build, {
        ...freshEntry,
        leases: new Set(),
        residence: undefined,
        kept,
        usedAt,
        bytes,
      });
    }
    this.#room.adjust(await blobBytes(directory, remembered.blobs));
    const facts = { builds: remembered.builds.size, removed, clean: remembered.clean };
    this.#tools.logger.info(facts, "the shelf was taken over");
    this.#tools.meter.count("larder_cache_unexplained_total", {}, removed);
    if (!this.#room.fits(0)) await this.#evictor.makeRoom(0);
  }

  async #close(): Promise<void> {
    await Promise.resolve();
    const reason = new Failure("cancelled", "the cache is closing");
    await Promise.all([
      this.#arrivals.abortAll(reason),
      this.#manifests.close(reason),
      this.#files.close(reason),
    ]);
    await this.#leasesEnded();
    for (const { closing } of this.#entries.values()) await closing?.catch(ignore);
    const suspect = this.#suspects();
    for (const { residence } of this.#entries.values()) await residence?.close(reason);
    await this.#shelf.journal.append({ type: "clean", suspect }).catch(ignore);
    await this.#shelf.journal.close();
    this.#shelf.lock[Symbol.dispose]();
  }

  /** What the next run has to verify although this one ends in order (C22). */
  #suspects(): string[] {
    const { suspect } = this.#shelf.remembered;
    const doubtful = ([build, { residence }]: [string, Entry]) =>
      suspect.has(build) && (residence?.isSuspect ?? true);
    return [...this.#entries].filter(doubtful).map(([build]) => build);
  }

  async #leasesEnded(): Promise<void> {
    const patience = new AbortController();
    using _timer = this.#tools.clock.after(this.#options.closeMsMax ?? 5_000, () => patience.abort());
    while ([...this.#entries.values()].some(({ leases }) => leases.size > 0) && !patience.signal.aborted) {
      await abortable(this.#leasesChanged.promise, patience.signal).catch(ignore);
    }
  }
}

const freshEntry = { bytes: 0, closing: undefined };
