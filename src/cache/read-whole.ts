import type { Disk } from "./disk.ts";

/** Bytes that are read at once, at most. */
const pieceBytesMax = 1024 * 1024;

/** All bytes of a file. Throws as the disk does, `ENOENT` when there is none. */
export async function readWhole(disk: Disk, path: string): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(readPieces(disk, path)));
}

/** The bytes of a file in pieces. */
export async function* readPieces(disk: Disk, path: string): AsyncIterable<Buffer> {
  const file = await disk.open(path, "read");
  try {
    const bytes = await file.size();
    for (let at = 0; at < bytes; ) {
      const piece = Buffer.allocUnsafe(Math.min(pieceBytesMax, bytes - at));
      const length = await file.read(piece, at);
      if (length === 0) return;
      at += length;
      yield piece.subarray(0, length);
    }
  } finally {
    await file.close();
  }
}
