import { readFile, rename, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import { Failure } from "../base/failure.ts";
import { isAlive, startTimeOf } from "../base/processes.ts";
import type { Addresses } from "./addresses.ts";

const presence = z.object({
  pid: z.int().positive(),
  /** Clock ticks since the host booted, from /proc; tells this process from a later one with the same id. */
  startTime: z.string(),
  /** For programs on this machine. */
  url: z.url(),
  /** Of the ports of sandboxes, with `*` for PORT-ID; and what the e2b package must be told. */
  clients: z.object({ sandboxes: z.string(), variables: z.record(z.string(), z.string()) }).optional(),
  version: z.string(),
});

/** What a running daemon says of itself to the command line, in `$LARDER_DATA/daemon.json`. */
export type Presence = z.output<typeof presence>;

function fileOf(data: string): string {
  return path.join(data, "daemon.json");
}

export async function announce(
  data: string,
  url: string,
  version: string,
  addresses?: Pick<Addresses, "sandboxes" | "variables">,
): Promise<AsyncDisposable> {
  const file = fileOf(data);
  const startTime = startTimeOf(process.pid) ?? "";
  const clients = addresses && { sandboxes: addresses.sandboxes, variables: addresses.variables };
  const said = { pid: process.pid, startTime, url, clients, version };
  await writeFile(`${file}.new`, `${JSON.stringify(said)}\n`);
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
