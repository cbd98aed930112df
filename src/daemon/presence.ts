import { readFileSync } from "node:fs";
import { readFile, rename, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import { Failure } from "../base/failure.ts";

const presence = z.object({
  pid: z.int().positive(),
  /** Clock ticks since the host booted, from /proc; tells this process from a later one with the same id. */
  startTime: z.string(),
  url: z.url(),
  version: z.string(),
});

/** What a running daemon says of itself to the command line, in `$LARDER_DATA/daemon.json`. */
export type Presence = z.output<typeof presence>;

function fileOf(data: string): string {
  return path.join(data, "daemon.json");
}

export async function announce(data: string, url: string, version: string): Promise<AsyncDisposable> {
  const file = fileOf(data);
  const startTime = startTimeOf(process.pid) ?? "";
  await writeFile(`${file}.new`, `${JSON.stringify({ pid: process.pid, startTime, url, version })}\n`);
  await rename(`${file}.new`, file);
  return { [Symbol.asyncDispose]: () => rm(file, { force: true }) };
}

/** The daemon that runs on this data directory now; undefined when none does. */
export async function findDaemon(data: string): Promise<Presence | undefined> {
  const text = await readFile(fileOf(data), "utf8").catch((error: unknown) => {
    if (Failure.from(error).code === "not_found") return undefined;
    throw error;
  });
  const parsed = text === undefined ? undefined : presence.safeParse(parsedJson(text));
  if (parsed?.success !== true) return undefined;
  return isAlive(parsed.data) ? parsed.data : undefined;
}

export function isAlive({ pid, startTime }: Pick<Presence, "pid" | "startTime">): boolean {
  return startTimeOf(pid) === startTime;
}

/** Field 22 of /proc/PID/stat; undefined when there is no such process, or only its remains. */
function startTimeOf(pid: number): string | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  } catch {
    return undefined;
  }
  // The name in parentheses may hold anything, parentheses too: what follows the last one is plain.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return fields[0] === "Z" ? undefined : fields[19];
}

function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
