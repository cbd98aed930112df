import { readdir, rm } from "node:fs/promises";
import path from "node:path";
import type { Clock } from "../base/clock.ts";
import { Failure } from "../base/failure.ts";
import type { Logger } from "../base/logger.ts";
import { findByArgument } from "../base/processes.ts";
import { endProcesses } from "./end-processes.ts";
import { uplinkPidFile } from "./uplink.ts";

/** How a network's directory is called, in the directory of the daemon's sockets. */
export const networkName = /^net-[a-z0-9]+$/;

/** Ends whatever is left of the network with this directory; silent when nothing is. */
export async function removeNetwork(directory: string, clock: Clock): Promise<void> {
  const markers = [directory, uplinkPidFile(directory)];
  const find = async () => (await Promise.all(markers.map(findByArgument))).flat();
  await endProcesses(find, clock);
  await rm(directory, { recursive: true, force: true });
}

export interface FormerNetworks {
  /** Names of those whose sandboxes run on. */
  readonly spared?: ReadonlySet<string>;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * Ends the networks that a daemon which was killed has left in `directory`; to be called before any is made. Resolves
 * to how many there were. What could not be ended is logged, and stays for the next start.
 */
export async function endFormerNetworks(
  directory: string,
  { spared = new Set(), clock, logger }: FormerNetworks,
): Promise<number> {
  const names = (await namesIn(directory)).filter((name) => networkName.test(name) && !spared.has(name));
  for (const name of names) {
    try {
      await removeNetwork(path.join(directory, name), clock);
    } catch (error) {
      logger.error({ network: name, error }, "something of a network could not be removed");
    }
  }
  return names.length;
}

async function namesIn(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if (Failure.from(error).code === "not_found") return [];
    throw Failure.from(error);
  }
}
