import { chown, lstat, mkdir, opendir, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Failure } from "../../base/failure.ts";
import type { User } from "./users.ts";

/** Entries of one answer, and how deep it goes at the most. */
const entriesMax = 100_000;
const depthMax = 100;

/** Makes `directory` and what is missing above it, all of it the user's. */
export async function makeDirectories(directory: string, user: User): Promise<void> {
  const missing: string[] = [];
  for (let at = directory; !(await isDirectory(at)); at = dirname(at)) missing.unshift(at);
  for (const each of missing) {
    await mkdir(each, 0o755).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "EEXIST") throw error; // somebody else made it just now
    });
    await chown(each, user.uid, user.gid);
  }
}

/** Throws `invalid` when a file is in the way. */
async function isDirectory(path: string): Promise<boolean> {
  const found = await stat(path).catch(() => undefined);
  if (found === undefined) return false;
  if (found.isDirectory()) return true;
  throw new Failure("invalid", `path already exists but it is not a directory: ${path}`);
}

/** Paths below `directory`, `depth` levels deep, each directory before what is in it, by name. */
export async function walk(directory: string, depth: number): Promise<string[]> {
  const found: string[] = [];
  await descend(directory, Math.min(depth, depthMax), found);
  return found;
}

async function descend(directory: string, depth: number, found: string[]): Promise<void> {
  const names: string[] = [];
  for await (const { name } of await opendir(directory)) names.push(name);
  for (const name of names.sort()) {
    if (found.length >= entriesMax)
      throw new Failure("exhausted", `more than ${entriesMax} entries in ${directory}`);
    const path = join(directory, name);
    found.push(path);
    if (depth <= 1) continue;
    const entry = await lstat(path).catch(() => undefined); // may be gone by now
    if (entry?.isDirectory() === true) await descend(path, depth - 1, found).catch(tolerateMissing);
  }
}

function tolerateMissing(error: unknown): void {
  if (Failure.from(error).code !== "not_found") throw error;
}
