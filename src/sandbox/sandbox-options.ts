import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/logger.ts";
import type { Meter } from "../base/meter.ts";
import type { SandboxRecord, SandboxRecords } from "../store/sandbox-records.ts";
import type { SnapshotKeeper } from "./child-builds.ts";
import type { Launcher } from "./launcher.ts";

export interface SandboxOptions {
  /** In state `starting`, or `paused` for one that a former run has left asleep. */
  readonly record: SandboxRecord;
  readonly accessToken: string | undefined;
  readonly onGone: () => void;
  readonly launcher: Launcher;
  readonly records: SandboxRecords;
  readonly snapshots: SnapshotKeeper;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly meter: Meter;
}
