import type { Logger } from "../base/logger.ts";
import type { SandboxChange, SandboxRecords } from "../store/sandbox-records.ts";
import type { SnapshotKeeper } from "./child-builds.ts";
import type { Guest } from "./launcher.ts";

export interface SleepWish {
  readonly id: string;
  readonly guest: Guest;
  readonly memory: boolean;
  /** What is left of its time; the sleep does not use it up. */
  readonly remainingMs: number;
}

interface SleepTools {
  readonly records: SandboxRecords;
  readonly snapshots: SnapshotKeeper;
  readonly logger: Logger;
}

/**
 * Makes a build of a guest and notes that its sandbox sleeps: when this resolves the machine is not needed any more.
 * When it rejects the sandbox is as it was, but that its machine may be stopped.
 */
export async function fallAsleep(
  { id, guest, memory, remainingMs }: SleepWish,
  { records, snapshots, logger }: SleepTools,
  signal: AbortSignal,
) {
  signal.throwIfAborted();
  await records.update(id, { state: "pausing" });
  await using snapshot = await snapshots.take(guest, { memory, goOn: false }, signal);
  signal.throwIfAborted();
  const { build } = snapshot;
  const change = { state: "paused", build, paused: { remainingMs, memory } } as const satisfies SandboxChange;
  await records.update(id, change);
  logger.info({ sandbox: id, memory }, "a sandbox sleeps");
  return change;
}
