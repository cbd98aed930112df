import { existsSync } from "node:fs";
import path from "node:path";
import type { Clock } from "../base/clock.ts";
import { isAlive } from "../base/processes.ts";
import type { SandboxRecord } from "../store/sandbox-records.ts";
import type { Berth } from "./berths.ts";
import type { LeftMachine } from "./launcher.ts";
import { memoryName } from "./places.ts";
import type { Awakening } from "./tenancy.ts";

/**
 * The machine that a former daemon has left running, by this record: its agent had answered, and its process is
 * still there. Undefined for all else, of which only remains can be left.
 */
export function leftMachine({ state, process, channelSecret }: SandboxRecord): LeftMachine | undefined {
  if (state !== "running" && state !== "pausing") return undefined;
  if (process === undefined || channelSecret === undefined || !isAlive(process)) return undefined;
  return { process, channelSecret };
}

/** How such a sandbox is taken over: with what is left of its time, by the clock on the wall. */
export function adoption(
  record: SandboxRecord,
  left: LeftMachine,
  berth: () => Berth,
  clock: Clock,
): Awakening {
  // One that was booted has memory of its own.
  const how = existsSync(path.join(record.directory, memoryName)) ? "boot" : "restore";
  const timeoutMs = () => Math.max(0, record.endAt - clock.now());
  return { left, how: async () => how, timeoutMs, berth: async () => berth() };
}
