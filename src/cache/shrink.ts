import path from "node:path";
import { chunkBytes, type ImageArtifact } from "../build/artifact.ts";
import type { Manifest } from "../build/manifest.ts";
import { ChunkSet } from "./chunk-set.ts";
import { ChunkSpace } from "./chunk-space.ts";
import type { Disk } from "./disk.ts";
import { chooseExtents } from "./eviction.ts";
import type { Journal } from "./journal.ts";
import { keptBytesOf } from "./kept-bytes.ts";
import type { KeptBuild } from "./ledger.ts";
import type { Room } from "./room.ts";

export interface ShrinkOptions {
  readonly disk: Disk;
  readonly directory: string;
  readonly manifest: Manifest;
  readonly kept: KeptBuild;
  readonly journal: Pick<Journal, "append">;
  readonly room: Pick<Room, "adjust">;
}

/**
 * Frees at least `bytes` of the chunks of a build whose files are closed and that nobody leases, or all of them:
 * the memfile last, because a machine that starts needs most of it. A sealed memfile goes whole, by unlinking
 * it (C28). Always the journal first, and the space after (C17).
 */
export async function shrink(options: ShrinkOptions, bytes: number): Promise<void> {
  const { kept, manifest } = options;
  let left = bytes;
  for (const artifact of ["rootfs", "firstpages"] as const) {
    const before = keptBytesOf(manifest, artifact, kept);
    await dropExtents(options, artifact, left);
    left -= before - keptBytesOf(manifest, artifact, kept);
    if (left <= 0) return;
  }
  if (kept.sealed) await unlinkMemfile(options);
  else await dropExtents(options, "memfile", left);
}

async function dropExtents(
  { disk, directory, manifest, kept, journal, room }: ShrinkOptions,
  artifact: ImageArtifact,
  bytes: number,
): Promise<void> {
  const chunks = chooseExtents(kept.chunks.get(artifact) ?? [], Math.ceil(bytes / chunkBytes));
  if (chunks.length === 0) return;
  const before = keptBytesOf(manifest, artifact, kept);
  const ranges = new ChunkSet(chunks).ranges();
  await journal.append({ type: "dropped", build: manifest.build, artifact, ranges });
  const storageBytes = manifest[artifact]?.storageBytes ?? 0;
  const file = path.join(directory, `${artifact}.data`);
  const space = await ChunkSpace.openToFree({ disk, path: file, storageBytes });
  try {
    for (const chunk of chunks) space.free(chunk);
  } finally {
    await space.close();
  }
  room.adjust(keptBytesOf(manifest, artifact, kept) - before);
}

async function unlinkMemfile({
  disk,
  directory,
  manifest,
  kept,
  journal,
  room,
}: ShrinkOptions): Promise<void> {
  const bytes = keptBytesOf(manifest, "memfile", kept);
  await journal.append({ type: "retired", build: manifest.build });
  await disk.remove(path.join(directory, "memfile.data"));
  room.adjust(-bytes);
}
