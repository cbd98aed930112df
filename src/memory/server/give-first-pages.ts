import { hash } from "node:crypto";
import { readFileSync } from "node:fs";
import { stat } from "node:fs/promises";
import { decodeFirstPages, type PageRun } from "../first-pages.ts";
import type { FuseDevice } from "./fuse-device.ts";

/** A file `firstpages`, and the digest that it has if it is good. */
export interface FirstPagesFile {
  readonly path: string;
  readonly digest: string;
}

/**
 * Fills the kernel's cache of the mounted file with what machines read first, so that they need not ask. A file that
 * is not as it should be is left alone, and a page that the kernel drops again comes as all others do.
 */
export async function giveFirstPages(
  device: Pick<FuseDevice, "store">,
  { mountPoint, firstPages }: { readonly mountPoint: string; readonly firstPages: FirstPagesFile },
): Promise<void> {
  // When the kernel learns the size of a file, it forgets what it knew of its pages: so that comes first.
  const { size } = await stat(mountPoint);
  for (const { bytes, offset } of runsIn(firstPages, size)) device.store(offset, bytes);
}

function runsIn({ digest, path }: FirstPagesFile, memoryBytes: number): PageRun[] {
  try {
    const file = readFileSync(path);
    if (hash("sha256", file) !== digest) throw new Error("its digest is another one");
    return decodeFirstPages(file, memoryBytes);
  } catch (error) {
    console.error(`the first pages in ${path} are of no use: ${String(error)}`);
    return [];
  }
}
