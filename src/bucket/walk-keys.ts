import type { Dirent } from "node:fs";
import { readdir } from "node:fs/promises";
import path from "node:path";
import { abortable } from "../base/abortable.ts";
import { isKeySegment } from "./object-key.ts";

export interface WalkOptions {
  readonly prefix: string;
  /** Keys after this one only; every key when it is empty. */
  readonly after: string;
  /** A folder at the top that holds no objects. */
  readonly except: string;
}

/**
 * The keys of all files below `root`, in the order of their bytes, one folder at a time: a folder that can hold no
 * such key is not read. What vanishes on the way is left out; what could not be a key is no object.
 */
export async function* walkKeys(
  root: string,
  options: WalkOptions,
  signal: AbortSignal,
  folder = "",
): AsyncGenerator<string> {
  const { prefix, after, except } = options;
  const entries = await abortable(readdir(path.join(root, folder), { withFileTypes: true }), signal).catch(
    (error: NodeJS.ErrnoException): Dirent[] => {
      if (error.code === "ENOENT" || error.code === "ENOTDIR") return [];
      throw error;
    },
  );
  const names = entries
    .filter((entry) => isKeySegment(entry.name) && (entry.isFile() || entry.isDirectory()))
    .map((entry) => folder + entry.name + (entry.isDirectory() ? "/" : ""))
    .filter((name) => name !== `${except}/`)
    .sort();
  for (const name of names) {
    if (!name.endsWith("/")) {
      if (name.startsWith(prefix) && name > after) yield name;
      continue;
    }
    const mayMatch = name.startsWith(prefix) || prefix.startsWith(name);
    const mayFollow = name > after || after.startsWith(name);
    if (mayMatch && mayFollow) yield* walkKeys(root, options, signal, name);
  }
}
