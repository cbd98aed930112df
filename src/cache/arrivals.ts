import { Failure } from "../base/failure.ts";
import type { ChunkSource } from "../build/chunk-source.ts";
import type { IndexBook } from "../build/index-book.ts";
import type { MadeBuild } from "../build/make-build.ts";
import { adopt } from "./adopt.ts";
import { BuildRoom } from "./build-room.ts";
import type { CacheTools } from "./cache-tools.ts";
import type { Entry } from "./entry.ts";
import { Flights } from "./flights.ts";
import { freshBuild } from "./ledger.ts";
import type { Leftovers } from "./leftovers.ts";
import { type FoundManifest, keptManifest, type Manifests } from "./manifests.ts";
import { Residence } from "./residence.ts";
import type { Room } from "./room.ts";
import { buildDirectory, type Shelf } from "./shelf.ts";
import type { WholeFiles } from "./whole-files.ts";

export interface ArrivalsOptions {
  readonly entries: Map<string, Entry>;
  readonly shelf: Shelf;
  readonly manifests: Manifests;
  readonly files: WholeFiles;
  readonly room: Room;
  readonly tools: CacheTools;
  readonly chunks: ChunkSource;
  readonly indexes: IndexBook;
  readonly leftovers: Leftovers;
}

/** Makes residences: of what a former run has left, and of builds that somebody asks for. */
export class Arrivals {
  readonly #options: ArrivalsOptions;
  readonly #flights: Flights<Entry>;

  constructor(options: ArrivalsOptions) {
    this.#options = options;
    this.#flights = new Flights(options.tools.clock);
  }

  /** A build that is not on the shelf, once its manifest has been found. */
  of(build: string, signal: AbortSignal): Promise<Entry> {
    return this.#flights.join(build, (flightSignal) => this.#arrive(build, flightSignal), signal);
  }

  /** A build that was made on this node, whole on the shelf when this resolves. */
  async adopt(made: MadeBuild, signal: AbortSignal): Promise<Entry> {
    const { shelf, room, files, leftovers, tools } = this.#options;
    await adopt(made, { shelf, room, files, leftovers }, tools.clock.now(), signal);
    const { manifest } = made;
    return this.#settleIn({ manifest, digest: "", bytes: Buffer.alloc(0) }, true, false);
  }

  close(reason: Failure): Promise<void> {
    return this.#flights.abortAll(reason);
  }

  /** Counts what a former run has left on the shelf. Nothing of a build can be believed without its manifest. */
  async remember(): Promise<void> {
    const { room, shelf, files } = this.#options;
    const { directory, disk, journal, suspect } = shelf;
    for (const bytes of shelf.files.values()) room.adjust(bytes);
    for (const [build, kept] of [...journal.ledger.builds]) {
      const folder = buildDirectory(directory, build);
      const digest = kept.manifestDigest;
      const manifest = await keptManifest(disk, build, folder, digest);
      if (manifest === undefined) {
        await journal.append({ type: "evicted", build });
        await files.removeBelow(folder);
      } else {
        const entry = this.#settleIn({ manifest, digest, bytes: Buffer.alloc(0) }, true, suspect.has(build));
        room.adjust(entry.residence.chunkBytes);
      }
    }
  }

  async #arrive(build: string, signal: AbortSignal): Promise<Entry> {
    const { entries, shelf, manifests, leftovers } = this.#options;
    const present = entries.get(build);
    if (present !== undefined) return present;
    const directory = buildDirectory(shelf.directory, build);
    await leftovers.reclaim(build);
    const found = await manifests.find(build, directory, signal);
    const isRecorded = found.kept && (await this.#record(build, found.digest));
    const other = entries.get(build);
    if (other !== undefined) return other; // this flight was given up, and hung for so long
    return this.#settleIn(found, isRecorded, leftovers.has(build));
  }

  #settleIn(found: Omit<FoundManifest, "kept">, isRecorded: boolean, suspect: boolean): Entry {
    const { manifest } = found;
    const { build } = manifest;
    const { entries, shelf, tools, chunks: source, manifests, room } = this.#options;
    const { disk, journal } = shelf;
    const directory = buildDirectory(shelf.directory, build);
    const record = async () =>
      (await manifests.keep(directory, found.bytes, new AbortController().signal)) &&
      (await this.#record(build, found.digest));
    const ownRoom = new BuildRoom(room, isRecorded, record);
    const nothing = freshBuild(found.digest);
    const residence = new Residence({
      ...this.#options,
      ...{ disk, directory, manifest, suspect, journal, source, room: ownRoom },
      kept: () => journal.ledger.builds.get(build) ?? nothing,
    });
    const { pinned, usedAt } = journal.ledger.builds.get(build) ?? nothing;
    const state = { usedAt: usedAt === 0 ? tools.clock.now() : usedAt, pinned, closing: undefined };
    const entry: Entry = { residence, room: ownRoom, leases: new Set(), ...state };
    entries.set(build, entry);
    return entry;
  }

  /** False when the journal could not be told. */
  async #record(build: string, manifestDigest: string): Promise<boolean> {
    const { shelf, tools } = this.#options;
    const { journal } = shelf;
    try {
      await Promise.all([
        journal.append({ type: "build", build, manifestDigest }),
        // When whoever asked for it has given up, no lease will tell: each restart would count as its use (C17).
        journal.append({ type: "used", build, at: tools.clock.now() }),
      ]);
      return true;
    } catch (error) {
      tools.diskTrouble(Failure.from(error));
      return false;
    }
  }
}
