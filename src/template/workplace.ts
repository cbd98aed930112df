import { createHash } from "node:crypto";
import { mkdir, rm } from "node:fs/promises";
import path from "node:path";
import type { Clock } from "../base/clock.ts";
import { markerOf } from "../machine/machine-spec.ts";
import { removeMemoryServer } from "../memory/memory-server.ts";
import { findByArgument, killByIdentity } from "../base/processes.ts";

export interface WorkplaceOptions {
  /** For everything on the way. */
  readonly directory: string;
  /** For the machine's sockets: short. */
  readonly socketDirectory: string;
  readonly clock: Clock;
}

/** Empty directories to make a template in, and a name for its machine; disposing of it removes all of that. */
export interface Workplace extends AsyncDisposable {
  readonly directory: string;
  readonly socketDirectory: string;
  readonly machineId: string;
}

/** Where the memory of a machine that is tried lies while it is served page by page. */
export function rehearsalMemoryIn(socketDirectory: string): string {
  return path.join(socketDirectory, "mem-rehearsal");
}

/** How often processes that were killed are looked at. */
const pollMs = 5;

/** Makes the directories; what somebody who was killed left in them, machines too, is ended and removed first. */
export async function workplace(options: WorkplaceOptions, signal: AbortSignal): Promise<Workplace> {
  const { directory, socketDirectory } = options;
  const machineId = `template-${createHash("sha256").update(directory).digest("hex").slice(0, 8)}`;
  await clear(options, machineId, signal);
  await mkdir(directory, { recursive: true, mode: 0o700 });
  await mkdir(socketDirectory, { recursive: true, mode: 0o700 });
  return {
    directory,
    socketDirectory,
    machineId,
    [Symbol.asyncDispose]: () => clear(options, machineId, new AbortController().signal),
  };
}

async function clear(
  { directory, socketDirectory, clock }: WorkplaceOptions,
  machineId: string,
  signal: AbortSignal,
): Promise<void> {
  for (;;) {
    const left = await findByArgument(markerOf(machineId));
    if (left.length === 0) break;
    for (const process of left) killByIdentity(process);
    await clock.sleep(pollMs, signal);
  }
  await removeMemoryServer(rehearsalMemoryIn(socketDirectory), clock);
  for (const place of [directory, socketDirectory]) await rm(place, { recursive: true, force: true });
}
