import { readdir } from "node:fs/promises";
import path from "node:path";
import type { Clock } from "../base/clock.ts";
import { Failure } from "../base/failure.ts";
import type { Logger } from "../base/logger.ts";
import { memoryServerName, removeMemoryServer } from "./memory-server.ts";

export interface FormerServers {
  /** Names of those whose machines run on. */
  readonly spared: ReadonlySet<string>;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * Ends what a former daemon has left in `directory` to serve memories that no machine has mapped any more; to be
 * called before any is made. What could not be ended is logged, and stays for the next start.
 */
export async function endFormerServers(
  directory: string,
  { spared, clock, logger }: FormerServers,
): Promise<void> {
  for (const name of await namesIn(directory)) {
    if (!memoryServerName.test(name) || spared.has(name)) continue;
    try {
      await removeMemoryServer(path.join(directory, name), clock);
    } catch (error) {
      logger.error({ server: name, error }, "something of what served a memory could not be removed");
    }
  }
}

async function namesIn(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if (Failure.from(error).code === "not_found") return [];
    throw Failure.from(error);
  }
}
