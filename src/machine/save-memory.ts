import { type FileHandle, open } from "node:fs/promises";
import { chunkBytes } from "../build/artifact.ts";
import { isZero } from "../build/is-zero.ts";
import type { Change } from "../build/merge-index.ts";
import { bytesOf, type MemoryRange, pageBytes, unionOf } from "./dirty-pages.ts";
import type { GuestMemory } from "./guest-memory.ts";

/** Above this share of its memory a machine's own pages are not worth a layer: the whole is saved flat. */
const layerShareMax = 1 / 4;
/** What is read at once, on the calling thread. */
const pieceBytes = 1024 * 1024;

export interface SaveMemoryOptions {
  readonly memory: Pick<GuestMemory, "dirtyRanges" | "fileRanges" | "readNow">;
  readonly memoryBytes: number;
  /** The file is mapped privately, and stays: then only what differs from it need be saved. */
  readonly layered: boolean;
  /** The file's pages come when they are needed, and are not to be asked for: a layer is saved, however large. */
  readonly lazy?: boolean;
  /** A path for what is saved. */
  readonly target: string;
}

/** What lies in the target: changes one after the other, or, without them, the whole memory with holes for zeros. */
export interface SavedMemory {
  readonly changes: readonly Change[] | undefined;
  /** Bytes that were the machine's own. */
  readonly dirtyBytes: number;
}

/** Saves the memory of a machine that is stopped. */
export async function saveMemory(
  { memory, memoryBytes, layered, lazy = false, target }: SaveMemoryOptions,
  signal: AbortSignal,
): Promise<SavedMemory> {
  const dirty = layered ? await memory.dirtyRanges(signal) : [];
  const dirtyBytes = bytesOf(dirty);
  await using file = await open(target, "wx", 0o600);
  if (layered && (lazy || dirtyBytes <= memoryBytes * layerShareMax)) {
    return { changes: await saveLayer(memory, dirty, file, signal), dirtyBytes };
  }
  await file.truncate(memoryBytes);
  await saveFlat(memory, unionOf(dirty, await memory.fileRanges()), file, signal);
  return { changes: undefined, dirtyBytes };
}

type Readable = Pick<GuestMemory, "readNow">;

/** Pages of zeros are named and not stored. */
async function saveLayer(
  memory: Readable,
  dirty: readonly MemoryRange[],
  file: FileHandle,
  signal: AbortSignal,
): Promise<Change[]> {
  const changes: Change[] = [];
  const buffer = Buffer.allocUnsafe(pieceBytes);
  let filled = 0;
  let written = 0;
  const flush = async () => {
    signal.throwIfAborted();
    await writeAll(file, buffer.subarray(0, filled), written);
    written += filled;
    filled = 0;
  };
  for (const { offset, length } of dirty) {
    for (let done = 0; done < length; ) {
      const bytes = Math.min(length - done, pieceBytes - filled);
      const piece = buffer.subarray(filled, filled + bytes);
      memory.readNow(offset + done, piece);
      filled += keepData(changes, piece, offset + done);
      done += bytes;
      if (filled === pieceBytes) await flush();
    }
  }
  await flush();
  return changes;
}

/** Moves the pages of `piece` that are not zeros to its front, returns their bytes, and tells `changes` of all. */
function keepData(changes: Change[], piece: Buffer, offset: number): number {
  let kept = 0;
  for (let at = 0; at < piece.length; at += pageBytes) {
    const zero = isZero(piece.subarray(at, at + pageBytes));
    if (!zero && kept !== at) piece.copyWithin(kept, at, at + pageBytes);
    if (!zero) kept += pageBytes;
    const last = changes.at(-1);
    if (last !== undefined && last.zero === zero && last.offset + last.length === offset + at)
      changes[changes.length - 1] = { ...last, length: last.length + pageBytes };
    else changes.push({ offset: offset + at, length: pageBytes, zero });
  }
  return kept;
}

async function saveFlat(
  memory: Readable,
  ranges: readonly MemoryRange[],
  file: FileHandle,
  signal: AbortSignal,
): Promise<void> {
  const buffer = Buffer.allocUnsafe(chunkBytes);
  for (const { offset, length } of ranges) {
    for (let done = 0; done < length; done += chunkBytes) {
      signal.throwIfAborted();
      const piece = buffer.subarray(0, Math.min(chunkBytes, length - done));
      memory.readNow(offset + done, piece);
      if (!isZero(piece)) await writeAll(file, piece, offset + done);
    }
  }
}

async function writeAll(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; )
    done += (await file.write(bytes, done, bytes.length - done, position + done)).bytesWritten;
}
