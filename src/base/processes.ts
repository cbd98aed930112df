import { readFileSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";

/** A process that cannot be mistaken for a later one with the same number. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Field 22 of /proc/PID/stat: clock ticks since boot. */
  readonly startTime: string;
}

/** When the process was started, or undefined when there is none, or only its remains that nobody has waited for. */
export function startTimeOf(pid: number): string | undefined {
  try {
    return parseStartTime(readFileSync(`/proc/${pid}/stat`, "latin1"));
  } catch {
    return undefined;
  }
}

/**
 * The start time in the text of /proc/PID/stat; undefined for a process that has ended. Its name, in
 * brackets, may hold
 * blanks and brackets itself: fields are counted from the last bracket on.
 */
export function parseStartTime(stat: string): string | undefined {
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return fields[0] === "Z" || fields[0] === "X" ? undefined : fields[19];
}

export function isAlive({ pid, startTime }: ProcessIdentity): boolean {
  return startTimeOf(pid) === startTime;
}

/** Sends SIGKILL to exactly this process. False when it was gone already. */
export function killByIdentity(identity: ProcessIdentity): boolean {
  if (!isAlive(identity)) return false;
  try {
    process.kill(identity.pid, "SIGKILL");
    return true;
  } catch {
    return false;
  }
}

/** Processes with `marker` as a whole argument of their command line; never this one. */
export async function findByArgument(marker: string): Promise<ProcessIdentity[]> {
  const found: ProcessIdentity[] = [];
  for (const name of await readdir("/proc")) {
    if (!/^\d+$/.test(name) || Number(name) === process.pid) continue;
    const identity = await identityByArgument(Number(name), marker);
    if (identity !== undefined) found.push(identity);
  }
  return found;
}

/** The process of this number, if `marker` is a whole argument of its command line. */
export async function identityByArgument(pid: number, marker: string): Promise<ProcessIdentity | undefined> {
  const line = await readFile(`/proc/${pid}/cmdline`, "latin1").catch(() => "");
  if (!line.split("\0").includes(marker)) return undefined;
  const startTime = startTimeOf(pid);
  return startTime === undefined ? undefined : { pid, startTime };
}
