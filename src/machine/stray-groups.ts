import { readFileSync } from "node:fs";
import { readdir, rmdir } from "node:fs/promises";
import path from "node:path";
import type { Clock } from "../base/clock.ts";
import { deadline } from "../base/deadline.ts";
import { Failure } from "../base/failure.ts";
import type { Logger } from "../base/logger.ts";
import { groupTrees } from "./group-mounts.ts";

/** More groups than this are not looked at. */
const groupsMax = 20_000;
/** How long the processes of a machine may take to be gone from its group, and how often that is looked at. */
const emptyMsMax = 5_000;
const pollMs = 2;

/** All groups of one daemon's machines, wherever in the trees they were made: a daemon may be started anywhere. */
export async function groupsOf(
  daemon: string,
): Promise<{ readonly directory: string; readonly id: string }[]> {
  const prefix = groupPrefix(daemon);
  const trees = groupTrees(textOf("/proc/self/mountinfo"), textOf("/proc/self/cgroup"));
  const found: { directory: string; id: string }[] = [];
  const left = trees.map(({ root }) => root);
  for (let seen = 0; left.length > 0 && seen < groupsMax; seen++) {
    const directory = left.pop() ?? "";
    const name = path.basename(directory);
    if (name.startsWith(prefix)) found.push({ directory, id: name.slice(prefix.length) });
    const entries = await readdir(directory, { withFileTypes: true }).catch(() => []);
    for (const entry of entries) if (entry.isDirectory()) left.push(path.join(directory, entry.name));
  }
  return found;
}

/**
 * Removes those that a daemon which was killed has left, but for machines that live on. The processes in them have
 * been ended by then: that they are gone is waited for.
 */
export async function removeFormerGroups(
  daemon: string,
  { spared, clock, logger }: { spared: ReadonlySet<string>; clock: Clock; logger: Logger },
): Promise<void> {
  const strays = (await groupsOf(daemon)).filter(({ id }) => !spared.has(id));
  const remove = async ({ directory }: { readonly directory: string }) => {
    await removeGroup(directory, clock).catch((error: unknown) => {
      logger.warn({ directory, error }, "a group that a former daemon has left could not be removed");
    });
  };
  await Promise.all(strays.map(remove));
}

/** Silent when there is none. Throws `unavailable` when its processes do not go. */
export async function removeGroup(directory: string, clock: Clock): Promise<void> {
  using patience = deadline(clock, emptyMsMax, `waiting for the processes in ${directory}`);
  for (;;) {
    try {
      return await rmdir(directory);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === "ENOENT") return;
      if (code !== "EBUSY") throw Failure.from(error);
    }
    await clock.sleep(pollMs, patience.signal);
  }
}

/** What the names of a daemon's groups begin with; the machine's id follows. */
export function groupPrefix(daemon: string): string {
  return `larder-${daemon}-`;
}

function textOf(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}
