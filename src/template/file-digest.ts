import { createHash, type Hash, hash as digest } from "node:crypto";
import { createReadStream } from "node:fs";
import { type FileHandle, open, readFile, stat } from "node:fs/promises";
import { dataRanges } from "../base/sparse-file.ts";

/** Files from this size on are taken for sparse images, most of which is holes. */
const sparseBytesMin = 1024 ** 3;
/** Below this size one read is quicker than a stream. */
const smallBytesMax = 4 * 1024 ** 2;
const blockBytes = 64 * 1024;

/**
 * SHA-256 of a file, in hex. Of a file of a gibibyte or more, `sparse-` and the SHA-256 of its size and
 * of those of its
 * blocks that are not all zeros, each after its offset: the same wherever its holes are, and quick.
 */
export async function fileDigest(file: string, signal: AbortSignal): Promise<string> {
  const { size } = await stat(file);
  if (size < smallBytesMax) return digest("sha256", await readFile(file, { signal }));
  const hash = createHash("sha256");
  if (size < sparseBytesMin) {
    for await (const piece of createReadStream(file, { highWaterMark: 1 << 20, signal }))
      hash.update(piece as Buffer);
    return hash.digest("hex");
  }
  await using handle = await open(file, "r");
  hash.update(numberBytes(size));
  let end = 0;
  for (const { offset, length } of dataRanges(handle.fd, size)) {
    const from = Math.max(end, Math.floor(offset / blockBytes) * blockBytes);
    end = Math.max(end, Math.ceil((offset + length) / blockBytes) * blockBytes);
    await updateBlocks(hash, handle, { from, end }, signal);
  }
  return `sparse-${hash.digest("hex")}`;
}

async function updateBlocks(
  hash: Hash,
  handle: FileHandle,
  { from, end }: { readonly from: number; readonly end: number },
  signal: AbortSignal,
): Promise<void> {
  const zeros = Buffer.alloc(blockBytes);
  const buffer = Buffer.alloc(blockBytes * 16);
  for (let offset = from; offset < end; offset += buffer.byteLength) {
    signal.throwIfAborted();
    const { bytesRead } = await handle.read(buffer, 0, Math.min(buffer.byteLength, end - offset), offset);
    for (let at = 0; at < bytesRead; at += blockBytes) {
      const block = buffer.subarray(at, Math.min(at + blockBytes, bytesRead));
      if (block.equals(zeros.subarray(0, block.byteLength))) continue;
      hash.update(numberBytes(offset + at)).update(block);
    }
  }
}

function numberBytes(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}
