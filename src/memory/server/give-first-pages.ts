import { stat } from "node:fs/promises";
import type { ChunkTable } from "../chunk-table.ts";
import { decodeFirstPages, type PageRun } from "../first-pages.ts";
import { readVerified } from "./chunk-store.ts";
import type { FuseDevice } from "./fuse-device.ts";

/** Where an image `firstpages` lies, and what it holds if it is good. */
export interface FirstPagesPlace {
  readonly path: string;
  readonly table: ChunkTable;
}

/**
 * Fills the kernel's cache of the mounted file with what machines read first, so that they need not ask. An image that
 * is not whole is left alone, and a page that the kernel drops again comes as all others do.
 */
export async function giveFirstPages(
  device: Pick<FuseDevice, "store">,
  { mountPoint, firstPages }: { readonly mountPoint: string; readonly firstPages: FirstPagesPlace },
): Promise<void> {
  // When the kernel learns the size of a file, it forgets what it knew of its pages: so that comes first.
  const { size } = await stat(mountPoint);
  for (const { bytes, offset } of await runsIn(firstPages, size)) device.store(offset, bytes);
}

async function runsIn(place: FirstPagesPlace, memoryBytes: number): Promise<PageRun[]> {
  try {
    const reads = Array.from({ length: place.table.chunkCount }, async (_, chunk) => {
      const bytes = await readVerified(place, chunk);
      if (bytes === undefined) throw new Error(`chunk ${chunk} is not there`);
      return bytes;
    });
    return decodeFirstPages(Buffer.concat(await Promise.all(reads)), memoryBytes);
  } catch (error) {
    console.error(`the first pages in ${place.path} are of no use: ${String(error)}`);
    return [];
  }
}
