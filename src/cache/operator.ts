import { Failure } from "../base/failure.ts";
import { type ImageArtifact, imageArtifacts } from "../build/artifact.ts";
import { callSite } from "./call-site.ts";
import type { Entry } from "./entry.ts";
import type { Evictor } from "./evictor.ts";
import type { JournalRecord } from "./journal-record.ts";
import type { HeldLease, Taker } from "./lease.ts";
import { type BuildReport, buildReportOf, type LeaseReport, leaseReportsOf } from "./report.ts";
import { verify, type VerifyReport } from "./verify.ts";

/** All that is known of one build on the shelf. */
export interface BuildDetail extends BuildReport {
  readonly createdAt: string;
  /** Builds that it refers to: they are held with it. */
  readonly ancestors: readonly string[];
  readonly images: Readonly<Partial<Record<ImageArtifact, { keptBytes: number; storageBytes: number }>>>;
  /** Something of it has not been verified since an unclean stop. */
  readonly suspect: boolean;
  /** False while the shelf's disk does not take its manifest: then nothing of it is kept. */
  readonly recorded: boolean;
  readonly holders: readonly LeaseReport[];
}

export interface OperatorOptions {
  readonly entries: ReadonlyMap<string, Entry>;
  readonly evictor: Evictor;
  readonly acquire: (build: string, taker: Taker, signal: AbortSignal) => Promise<HeldLease>;
  readonly append: (record: JournalRecord) => Promise<void>;
}

/** What people may see of single builds on the shelf, and do to them. */
export class Operator {
  readonly #options: OperatorOptions;

  constructor(options: OperatorOptions) {
    this.#options = options;
  }

  /** Throws `not_found` when the build is not on the shelf; so do the others. */
  describe(build: string): BuildDetail {
    const entry = this.#entry(build);
    const { residence, room } = entry;
    const { manifest } = residence;
    const images: Partial<Record<ImageArtifact, { keptBytes: number; storageBytes: number }>> = {};
    for (const artifact of imageArtifacts) {
      const image = manifest[artifact];
      if (image === undefined) continue;
      images[artifact] = { keptBytes: residence.keptBytes(artifact), storageBytes: image.storageBytes };
    }
    return {
      ...buildReportOf(build, entry),
      createdAt: manifest.createdAt,
      ancestors: [...new Set(manifest.ancestors.map((ancestor) => ancestor.build))],
      images,
      suspect: residence.isSuspect,
      recorded: room.recorded,
      holders: leaseReportsOf(build, entry),
    };
  }

  /** Evicts a build that nobody leases; false when somebody does, when it is pinned, or not on the shelf. */
  async evict(build: string): Promise<boolean> {
    const { entries, evictor } = this.#options;
    const entry = entries.get(build);
    return entry !== undefined && (await evictor.evict(build, entry, "operator"));
  }

  /** Reads again what is kept of a build; what is damaged is given up, and fetched when it is needed next. */
  async verify(build: string, signal: AbortSignal): Promise<VerifyReport> {
    this.#entry(build);
    const taker = { holder: "verify", where: callSite(), looks: true };
    await using lease = await this.#options.acquire(build, taker, signal);
    return await verify(lease, signal);
  }

  /** The build, and those that it refers to, stay whatever room is needed, also across restarts. */
  async pin(build: string): Promise<void> {
    await this.#setPinned(build, true);
  }

  async unpin(build: string): Promise<void> {
    await this.#setPinned(build, false);
  }

  async #setPinned(build: string, pinned: boolean): Promise<void> {
    const entry = this.#entry(build);
    if (!entry.room.recorded)
      throw new Failure("exhausted", `the shelf keeps nothing of build ${build}: its disk refuses`);
    await this.#options.append({ type: pinned ? "pinned" : "unpinned", build });
    entry.pinned = pinned;
  }

  #entry(build: string): Entry {
    const entry = this.#options.entries.get(build);
    if (entry === undefined) throw new Failure("not_found", `build ${build} is not on the shelf`);
    return entry;
  }
}
