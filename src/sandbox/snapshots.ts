import { Failure } from "../base/failure.ts";
import type { SnapshotFilter, SnapshotRecord, SnapshotRecords } from "../store/snapshot-records.ts";
import type { SnapshotKeeper } from "./child-builds.ts";
import { checkLimit, checkTimeout } from "./create-request.ts";
import type { Sandboxes } from "./sandboxes.ts";
import type { SandboxView } from "./sandbox-view.ts";

export interface SnapshotsOptions {
  readonly sandboxes: Pick<Sandboxes, "capture" | "startLike">;
  readonly records: SnapshotRecords;
  readonly keeper: Pick<SnapshotKeeper, "shapeOf" | "sweep">;
}

export interface SnapshotView {
  /** What a create takes as its template. */
  readonly id: string;
  readonly names: readonly string[];
}

/** One of the sandboxes that a fork was to make. */
export type ForkOutcome = { readonly sandbox: SandboxView } | { readonly failure: Failure };

/** The most sandboxes that one fork makes. */
export const forksMax = 100;

/** What others start from: snapshots with a name, and forks. */
export class Snapshots {
  readonly #options: SnapshotsOptions;

  constructor(options: SnapshotsOptions) {
    this.#options = options;
  }

  /** Makes a build of a sandbox, which goes on, and gives it a name, or one that nobody chose. */
  async create(sandboxId: string, name: string | undefined, signal: AbortSignal): Promise<SnapshotView> {
    const { sandboxes, records, keeper } = this.#options;
    if (name !== undefined) await records.checkName(name);
    await using captured = await sandboxes.capture(sandboxId, signal);
    const { held, record } = captured;
    const shape = captured.memory ? await keeper.shapeOf(held.build) : undefined;
    const { vcpus, memoryBytes, diskBytes } = record;
    const build = {
      id: held.build,
      vcpus,
      memoryBytes,
      diskBytes,
      ...(shape === undefined ? {} : { shape }),
    };
    return viewOf(await records.save({ sandboxId, build, ...(name === undefined ? {} : { name }) }));
  }

  /** The newest first. */
  async list(filter: SnapshotFilter): Promise<{ snapshots: SnapshotView[]; next?: string }> {
    checkLimit(filter.limit);
    const { snapshots, next } = await this.#options.records.page(filter);
    return { snapshots: snapshots.map(viewOf), ...(next === undefined ? {} : { next }) };
  }

  /** False when there is no such snapshot. Sandboxes that were started from it live on. */
  async remove(reference: string): Promise<boolean> {
    const { records, keeper } = this.#options;
    const removed = await records.remove(reference);
    keeper.sweep();
    return removed;
  }

  /** Starts `count` sandboxes of their own from what a sandbox is now; that one goes on. Each may fail for itself. */
  async fork(
    sandboxId: string,
    { count, timeoutMs }: { readonly count: number; readonly timeoutMs: number },
    signal: AbortSignal,
  ): Promise<ForkOutcome[]> {
    checkTimeout(timeoutMs);
    if (!(Number.isInteger(count) && count >= 1 && count <= forksMax))
      throw new Failure("invalid", `a count of ${count} is none: 1 to ${forksMax}`);
    const { sandboxes } = this.#options;
    await using captured = await sandboxes.capture(sandboxId, signal);
    const starts = Array.from({ length: count }, () => sandboxes.startLike(captured, timeoutMs, signal));
    const outcomes = await Promise.allSettled(starts);
    signal.throwIfAborted();
    return outcomes.map((each) =>
      each.status === "fulfilled" ? { sandbox: each.value } : { failure: Failure.from(each.reason) },
    );
  }
}

function viewOf({ templateId, name, tag }: SnapshotRecord): SnapshotView {
  if (name === undefined) return { id: `${templateId}:${tag}`, names: [] };
  return { id: `${name}:${tag}`, names: [`${name}:${tag}`] };
}
