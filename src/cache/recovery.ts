import path from "node:path";
import { fileArtifacts, imageArtifacts } from "../build/artifact.ts";
import type { Disk } from "./disk.ts";
import type { KeptBuild, Ledger } from "./ledger.ts";

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
  for (const [build, kept] of ledger.builds)
    await sweep(`builds/${build}`, (name) => isExplained(name, kept));
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

const wholeFilesOfBuild: ReadonlySet<string> = new Set([
  "manifest.json",
  ...fileArtifacts,
  ...imageArtifacts.map((artifact) => `${artifact}.index`),
]);

/** It has the name of a file of a build; one of chunks also holds some that are kept. */
function isExplained(name: string, kept: KeptBuild): boolean {
  const image = imageArtifacts.find((artifact) => name === `${artifact}.data`);
  if (image === undefined) return wholeFilesOfBuild.has(name);
  return (image === "memfile" && kept.sealed) || (kept.chunks.get(image)?.size ?? 0) > 0;
}
