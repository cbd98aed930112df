import { readdir } from "node:fs/promises";
import path from "node:path";
import { Failure } from "../base/failure.ts";
import type { Logger } from "../base/logger.ts";
import type { SandboxRecord, SandboxRecords } from "../store/sandbox-records.ts";
import type { Launcher } from "./launcher.ts";

export interface LeftoversOptions {
  readonly records: SandboxRecords;
  readonly launcher: Pick<Launcher, "reap">;
  readonly directory: string;
  readonly socketDirectory: string;
  readonly logger: Logger;
  /** Which machines are left running, to be taken over; none unless said. */
  readonly spare?: (record: SandboxRecord) => boolean;
}

/**
 * Ends and removes what a daemon that was killed has left; to be called before any sandbox is made. Resolves to how
 * many there were. What could not be removed keeps its record, for the next start. One that sleeps keeps it too: only
 * what is left of its last machine goes.
 */
export async function endLeftovers(options: LeftoversOptions): Promise<number> {
  const { records, launcher, directory, socketDirectory, logger, spare = () => false } = options;
  const known = await records.all();
  const remains = new Map(
    [...(await idsIn(directory)), ...(await idsIn(socketDirectory))].map((id) => [
      id,
      { id, directory: path.join(directory, id), socketDirectory: path.join(socketDirectory, id) },
    ]),
  );
  const asleep = new Set(known.filter(({ state }) => state === "paused").map(({ id }) => id));
  for (const record of known) {
    if (spare(record)) remains.delete(record.id);
    else if (remains.has(record.id) || !asleep.has(record.id)) remains.set(record.id, record);
  }
  await Promise.all(
    [...remains.values()].map(async (each) => {
      try {
        await launcher.reap(each);
        if (!asleep.has(each.id)) await records.delete(each.id);
        logger.info({ sandbox: each.id }, "ended what a former daemon had left of a sandbox");
      } catch (error) {
        logger.error({ sandbox: each.id, error }, "something of a sandbox could not be removed");
      }
    }),
  );
  return remains.size;
}

/** The sandboxes that have something in a directory. */
async function idsIn(directory: string): Promise<string[]> {
  try {
    return (await readdir(directory)).filter((name) => /^i[a-z0-9]{20}$/.test(name));
  } catch (error) {
    if (Failure.from(error).code === "not_found") return [];
    throw Failure.from(error);
  }
}
