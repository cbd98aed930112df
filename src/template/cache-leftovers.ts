import { readdir } from "node:fs/promises";
import path from "node:path";
import { runCommand } from "./run-command.ts";

/** Names of directories in the cache that are being made; finished ones are renamed. */
export const unfinished = { unpacked: ".unpacking-", rootDisk: ".root-disk-" } as const;

/** Removes what was being made by somebody who was killed. The caller holds the cache's lock, so nobody is at it. */
export async function removeLeftovers(cacheDirectory: string, signal: AbortSignal): Promise<void> {
  const prefixes = Object.values(unfinished);
  const names = (await readdir(cacheDirectory)).filter((name) =>
    prefixes.some((prefix) => name.startsWith(prefix)),
  );
  const places = names.map((name) => path.join(cacheDirectory, name));
  if (places.length > 0) await removeAsRoot(places, signal);
}

/**
 * Removes directories of which some files may belong to users lent to this one. Other file systems that are mounted
 * in there are left alone.
 */
export async function removeAsRoot(places: readonly string[], signal: AbortSignal): Promise<void> {
  await runCommand("rm", ["-rf", "--one-file-system", ...places], { asRoot: true }, signal);
}
