import { Sandbox } from "e2b";
import type { Served } from "../machine/testing/served.ts";

export type Sdk = Served["sdk"] & { readonly retries?: number };

/** What clients ask of a sandbox, and a daemon may be killed at. */
export interface Operation {
  /** What the sandbox does when the work begins. */
  readonly before: "runs" | "sleeps" | "is not there";
  readonly work: (sdk: Sdk, id: string) => Promise<unknown>;
  /** Whether the sandbox may be gone afterwards. */
  readonly mayBeGone: boolean;
  /** Whether there may be others. */
  readonly makesOthers?: boolean;
  /** Removes what else the work may have made. */
  readonly after?: (sdk: Sdk) => Promise<void>;
}

const timeoutMs = 600_000;

export const operations: Readonly<Record<string, Operation>> = {
  create: {
    ...{ before: "is not there", mayBeGone: true, makesOthers: true },
    work: (sdk) => Sandbox.create({ ...sdk, timeoutMs }),
  },
  pause: {
    ...{ before: "runs", mayBeGone: false },
    work: (sdk, id) => Sandbox.pause(id, sdk),
  },
  resume: {
    ...{ before: "sleeps", mayBeGone: false },
    work: (sdk, id) => Sandbox.connect(id, { ...sdk, timeoutMs }),
  },
  snapshot: {
    ...{ before: "runs", mayBeGone: false },
    work: (sdk, id) => Sandbox.createSnapshot(id, sdk),
    after: removeSnapshots,
  },
  fork: {
    ...{ before: "runs", mayBeGone: false, makesOthers: true },
    work: (sdk, id) => Sandbox.fork(id, { ...sdk, timeoutMs }),
  },
  kill: {
    ...{ before: "runs", mayBeGone: true },
    work: (sdk, id) => Sandbox.kill(id, sdk),
  },
};

async function removeSnapshots(sdk: Sdk): Promise<void> {
  for (const { snapshotId } of await Sandbox.listSnapshots(sdk).nextItems())
    await Sandbox.deleteSnapshot(snapshotId, sdk);
}
