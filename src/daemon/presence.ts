import { readFile, rename, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import { Failure } from "../base/failure.ts";
import { isAlive, startTimeOf } from "../base/processes.ts";

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

function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
