import { Failure } from "../../base/failure.ts";
import type { ForkOutcome, SnapshotView } from "../../sandbox/snapshots.ts";
import type { SnapshotService } from "../ports.ts";
import type { FakeSandboxes } from "./fake-sandboxes.ts";

/** Snapshots that are names and nothing else. */
export class FakeSnapshots implements SnapshotService {
  readonly #sandboxes: FakeSandboxes;
  readonly #made: (SnapshotView & { readonly of: string })[] = [];
  /** Thrown by every second sandbox of a fork. */
  forkFailure: Failure | undefined;

  constructor(sandboxes: FakeSandboxes) {
    this.#sandboxes = sandboxes;
  }

  async create(of: string, name: string | undefined): Promise<SnapshotView> {
    await this.#sandboxes.get(of);
    const id = `${name ?? `s${this.#made.length}`}:default`;
    const view = { id, names: name === undefined ? [] : [id] };
    this.#made.unshift({ ...view, of });
    return view;
  }

  async list(filter: { sandboxId?: string; limit: number; after?: string }) {
    const all = this.#made.filter(({ of }) => filter.sandboxId === undefined || of === filter.sandboxId);
    const from = filter.after === undefined ? 0 : all.findIndex(({ id }) => id === filter.after) + 1;
    const snapshots = all.slice(from, from + filter.limit).map(({ id, names }) => ({ id, names }));
    const last = snapshots.at(-1);
    return last !== undefined && from + filter.limit < all.length
      ? { snapshots, next: last.id }
      : { snapshots };
  }

  async remove(reference: string): Promise<boolean> {
    const at = this.#made.findIndex(({ id }) => id === reference);
    if (at >= 0) this.#made.splice(at, 1);
    return at >= 0;
  }

  async fork(id: string, { count, timeoutMs }: { count: number; timeoutMs: number }): Promise<ForkOutcome[]> {
    const { metadata } = await this.#sandboxes.get(id);
    if (count < 1) throw new Failure("invalid", `a count of ${count} is none: 1 to 100`);
    const outcomes: ForkOutcome[] = [];
    for (let i = 0; i < count; i++) {
      const request = { template: "base", timeoutMs, metadata, envs: {}, secure: true, allowInternet: true };
      if (this.forkFailure !== undefined && i % 2 === 1) outcomes.push({ failure: this.forkFailure });
      else outcomes.push({ sandbox: await this.#sandboxes.create(request, new AbortController().signal) });
    }
    return outcomes;
  }
}
