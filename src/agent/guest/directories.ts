import { chownSync, type Dirent, mkdirSync, statSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Failure } from "../../base/failure.ts";
import type { User } from "./users.ts";

/** Entries of one answer, and how deep it goes at the most. */
const entriesMax = 50_000;
const depthMax = 64;

/**
 * Makes `directory` and what is missing above it, all of it the user's. Throws `invalid` when a file is in
 * the way.
 */
export function makeDirectories(directory: string, user: User): void {
  const missing: string[] = [];
  for (let at = directory; !isDirectory(at); at = dirname(at)) missing.unshift(at);
  for (const each of missing) {
    try {
      mkdirSync(each, 0o755);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "EEXIST") continue; // Somebody else made it just now.
      throw error;
    }
    if (user.uid !== process.getuid?.()) chownSync(each, user.uid, user.gid);
  }
}

function isDirectory(path: string): boolean {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) return false;
  if (found.isDirectory()) return true;
  throw new Failure("invalid", `path already exists but it is not a directory: ${path}`);
}

/**
 * Paths below `directory`, `depth` levels deep, each directory before what is in it, by name. Links to directories are
 * listed, not followed; what disappears meanwhile is left out.
 */
export async function walk(directory: string, depth: number): Promise<string[]> {
  const found: string[] = [];
  await descend(directory, Math.min(depth, depthMax), found);
  return found;
}

async function descend(directory: string, depth: number, found: string[]): Promise<void> {
  for (const entry of await entriesIn(directory, found.length === 0)) {
    if (found.length >= entriesMax) {
      throw new Failure("exhausted", `more than ${entriesMax} entries: list fewer levels of ${directory}`);
    }
    const path = join(directory, entry.name);
    found.push(path);
    if (depth > 1 && entry.isDirectory()) await descend(path, depth - 1, found);
  }
}

async function entriesIn(directory: string, mustBeThere: boolean): Promise<Dirent[]> {
  try {
    const entries = await readdir(directory, { withFileTypes: true });
    return entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  } catch (error) {
    if (mustBeThere || (error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    return [];
  }
}
