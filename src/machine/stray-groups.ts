import { readFileSync } from "node:fs";
import { readdir, rmdir } from "node:fs/promises";
import path from "node:path";
import { groupTrees } from "./group-mounts.ts";

/** More groups than this are not looked at. */
const groupsMax = 20_000;

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

/** Removes those without processes: what a daemon that was killed has left, once its machines have ended. */
export async function removeEmptyGroups(daemon: string): Promise<void> {
  for (const { directory } of await groupsOf(daemon)) await rmdir(directory).catch(() => {});
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
