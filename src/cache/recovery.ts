import path from "node:path";
import { fileArtifacts, imageArtifacts } from "../build/artifact.ts";
import type { Disk } from "./disk.ts";
import type { Ledger } from "./ledger.ts";

/** Files of a build and inputs that the shelf holds whole: path → bytes. */
export type WholeFileSizes = Map<string, number>;

/** Removes directories and files below `shelf` that no record explains; resolves to how many there were. */
export async function removeUnexplained(disk: Disk, shelf: string, ledger: Ledger): Promise<number> {
  let removed = 0;
  const sweep = async (folder: string, isKnown: (name: string) => boolean) => {
    for (const name of await disk.list(path.join(shelf, folder))) {
      if (isKnown(name)) continue;
      await disk.remove(path.join(shelf, folder, name));
      removed += 1;
    }
  };
  await sweep("builds", (name) => ledger.builds.has(name));
  for (const build of ledger.builds.keys()) await sweep(`builds/${build}`, isFileOfBuild);
  await sweep("blobs", (name) => ledger.blobs.has(name));
  return removed;
}

/** What lies on the shelf besides chunks, once all that is unexplained has been removed. */
export async function wholeFileSizes(disk: Disk, shelf: string, ledger: Ledger): Promise<WholeFileSizes> {
  const sizes: WholeFileSizes = new Map();
  const weigh = async (folder: string, isWhole: (name: string) => boolean) => {
    for (const name of await disk.list(folder)) {
      const file = path.join(folder, name);
      if (isWhole(name)) sizes.set(file, (await disk.size(file)) ?? 0);
    }
  };
  for (const build of ledger.builds.keys()) {
    await weigh(path.join(shelf, "builds", build), (name) => !name.endsWith(".data"));
  }
  await weigh(path.join(shelf, "blobs"), () => true);
  return sizes;
}

const filesOfBuild: ReadonlySet<string> = new Set([
  "manifest.json",
  ...fileArtifacts,
  ...imageArtifacts.flatMap((artifact) => [`${artifact}.index`, `${artifact}.data`]),
]);

function isFileOfBuild(name: string): boolean {
  return filesOfBuild.has(name);
}
