import { abortable } from "../base/abortable.ts";
import type { SandboxRecord } from "../store/sandbox-records.ts";
import type { HeldBuild, SnapshotKeeper } from "./child-builds.ts";
import type { Sandbox } from "./sandbox.ts";
import type { SandboxView } from "./sandbox-view.ts";

/** What connecting to a sandbox came to. */
export interface Connected {
  readonly view: SandboxView;
  /** It slept before. */
  readonly resumed: boolean;
}

/** What others can be started from: a build of a sandbox, held, and the record that it had. */
export interface Captured extends AsyncDisposable {
  readonly held: HeldBuild;
  readonly record: SandboxRecord;
  readonly memory: boolean;
}

/** It is on its way to running or sleeping. Whoever waits for that looks again: it may be on its way back. */
export function isUnderWay({ isThere, state }: Sandbox): boolean {
  return isThere && state !== "running" && state !== "asleep";
}

/** Captures a sandbox that runs, or takes what one that sleeps has. Throws `conflict` when it ends meanwhile. */
export async function capture(
  sandbox: Sandbox,
  snapshots: Pick<SnapshotKeeper, "hold">,
  signal: AbortSignal,
): Promise<Captured> {
  while (isUnderWay(sandbox)) await abortable(sandbox.settled, signal);
  const { record } = sandbox;
  const asleep = sandbox.state === "asleep";
  const held = asleep ? snapshots.hold(record.build) : await sandbox.snapshot(signal);
  const memory = !asleep || record.paused?.memory === true;
  return { held, record, memory, [Symbol.asyncDispose]: () => held[Symbol.asyncDispose]() };
}
