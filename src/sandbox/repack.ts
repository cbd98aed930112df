import { type FileHandle, open, rename } from "node:fs/promises";
import type { BlockDevice } from "../base/block-device.ts";
import { Failure } from "../base/failure.ts";
import type { ArtifactIndex } from "../build/artifact-index.ts";
import type { Change } from "../build/merge-index.ts";
import type { ChildImage } from "../build/pack-layer.ts";
import type { BuildSource } from "./build-source.ts";

/** So many builds may hold the parts of one disk: each is one more that must be there. */
export const chainMax = 16;
const pieceBytes = 1024 * 1024;

/** A stretch that a child stores itself: of what its sandbox wrote, or of what a build before it stores. */
interface Part extends Change {
  readonly from: "changes" | "before";
}

/**
 * The disk of a child, as it is to be packed: when it would be spread over more builds than `chainMax`, it takes along
 * what all of these store but the one that stores most, which is the template's. So a sandbox that is paused every day
 * does not grow for ever.
 */
export async function repacked(
  child: ChildImage,
  shelf: Pick<BuildSource, "acquire">,
  signal: AbortSignal,
): Promise<ChildImage> {
  const { index, manifest } = child.parent;
  if (index.builds().length < chainMax) return child;
  const parts = partsOf(index, child.changes);
  await using lease = await shelf.acquire(manifest.build, "repacking", signal);
  await lease.open("rootfs", signal);
  const target = `${child.path}.repacked`;
  {
    await using source = await open(child.path, "r");
    await using file = await open(target, "wx", 0o600);
    await copy(parts, { source, before: lease.image("rootfs"), file }, signal);
  }
  await rename(target, child.path);
  return { ...child, changes: parts.map(({ offset, length, zero }) => ({ offset, length, zero })) };
}

/** All that the child stores, in the order of the device. */
function partsOf(index: ArtifactIndex, changes: readonly Change[]): Part[] {
  const kept = largestOf(index);
  const parts: Part[] = [];
  let at = 0;
  const takeAlong = (end: number) => {
    for (const { build, offset, length } of index.locate(at, end - at))
      if (build !== null && build !== kept) parts.push({ offset, length, zero: false, from: "before" });
  };
  for (const change of changes) {
    takeAlong(change.offset);
    parts.push({ ...change, from: "changes" });
    at = change.offset + change.length;
  }
  takeAlong(index.deviceBytes);
  return parts;
}

function largestOf(index: ArtifactIndex): string | undefined {
  const bytes = new Map<string, number>();
  for (const { build, length } of index.locate(0, index.deviceBytes))
    if (build !== null) bytes.set(build, (bytes.get(build) ?? 0) + length);
  return [...bytes].toSorted(([, a], [, b]) => b - a)[0]?.[0];
}

interface Places {
  /** The changes that are not zeros, one after the other. */
  readonly source: FileHandle;
  readonly before: BlockDevice;
  readonly file: FileHandle;
}

async function copy(parts: readonly Part[], { source, before, file }: Places, signal: AbortSignal) {
  const buffer = Buffer.allocUnsafe(pieceBytes);
  let taken = 0;
  let written = 0;
  for (const { from, length, offset, zero } of parts) {
    if (zero) continue;
    for (let done = 0; done < length; ) {
      signal.throwIfAborted();
      const piece = buffer.subarray(0, Math.min(pieceBytes, length - done));
      if (from === "before") await before.read(offset + done, piece, signal);
      else taken += await readAll(source, piece, taken);
      await file.write(piece, 0, piece.length, written);
      done += piece.length;
      written += piece.length;
    }
  }
}

async function readAll(file: FileHandle, into: Uint8Array, position: number): Promise<number> {
  const { bytesRead } = await file.read(into, 0, into.length, position);
  if (bytesRead !== into.length) throw new Failure("corrupt", "what a sandbox wrote is shorter than it was");
  return bytesRead;
}
