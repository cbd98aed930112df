import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";

export interface Leaks {
  /** `PID name`. */
  readonly processes: readonly string[];
  /** Paths. */
  readonly sockets: readonly string[];
  readonly files: readonly string[];
  readonly mounts: readonly string[];
  /** Control groups. */
  readonly groups: readonly string[];
}

export interface Premises {
  /** Of the sockets; one directory per sandbox. */
  readonly runDirectory: string;
  readonly data: string;
  /** The process of the daemon, if one runs. */
  readonly daemonPid: number | undefined;
  /** Sandboxes, and whatever else the daemon names as the owner of such a directory. */
  readonly owners: ReadonlySet<string>;
  /** Another root than `/`, for tests. */
  readonly proc?: string;
}

/** What lies or runs where only sandboxes do, and belongs to none. */
export function findLeaks(premises: Premises): Omit<Leaks, "groups"> {
  const { runDirectory, data, owners } = premises;
  const isOrphan = (name: string) => !owners.has(name);
  return {
    processes: orphanProcesses(premises),
    sockets: entries(runDirectory)
      .filter(isOrphan)
      .map((name) => path.join(runDirectory, name)),
    files: entries(path.join(data, "sandboxes"))
      .filter(isOrphan)
      .map((name) => path.join(data, "sandboxes", name)),
    mounts: mountPoints(premises).filter((point) => ownerOf(point, premises).some(isOrphan)),
  };
}

export function isEmpty(leaks: Partial<Leaks>): boolean {
  return Object.values(leaks as unknown as Record<string, readonly string[]>).every(
    (list) => list.length === 0,
  );
}

/** Processes that were started with a path of a sandbox that is no more. */
function orphanProcesses(premises: Premises): string[] {
  const { proc = "/proc", daemonPid, owners } = premises;
  const orphans: string[] = [];
  for (const pid of entries(proc)) {
    if (!/^\d+$/.test(pid) || Number(pid) === daemonPid || Number(pid) === process.pid) continue;
    const words = textOf(path.join(proc, pid, "cmdline")).split("\0");
    const named = words.flatMap((word) => ownerOf(word, premises));
    if (named.some((owner) => !owners.has(owner))) orphans.push(`${pid} ${path.basename(words[0] ?? "")}`);
  }
  return orphans;
}

function mountPoints({ proc = "/proc" }: Premises): string[] {
  const lines = textOf(path.join(proc, "self/mountinfo")).split("\n");
  // Field 5 is the mount point, with blanks and backslashes in octal; proc(5).
  const unescape = (field: string) =>
    field.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
  return lines.map((line) => unescape(line.split(" ")[4] ?? "")).filter((point) => point !== "");
}

/** Whose directories `text` mentions. */
function ownerOf(text: string, { runDirectory, data }: Premises): string[] {
  const found: string[] = [];
  for (const prefix of [`${runDirectory}/`, `${path.join(data, "sandboxes")}/`]) {
    for (let at = text.indexOf(prefix); at >= 0; at = text.indexOf(prefix, at + 1)) {
      const [owner] = /^[A-Za-z0-9._-]+/.exec(text.slice(at + prefix.length)) ?? [];
      if (owner !== undefined) found.push(owner);
    }
  }
  return found;
}

function entries(directory: string): string[] {
  try {
    return readdirSync(directory).sort();
  } catch {
    return [];
  }
}

/** Processes end while one looks at them. */
function textOf(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}
