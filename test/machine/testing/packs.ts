import { readdir } from "node:fs/promises";
import path from "node:path";

/** The files in which the directory bucket of `data` keeps the bytes of disks and memories. */
export async function packsOf(data: string): Promise<string[]> {
  const builds = path.join(data, "bucket/builds");
  const files = await readdir(builds, { recursive: true });
  return files.filter((file) => file.endsWith(".pack")).map((file) => path.join(builds, file));
}
