import { createHash, type Hash } from "node:crypto";
import { createReadStream } from "node:fs";
import { open, stat } from "node:fs/promises";
import { runCommand } from "./run-command.ts";

/** Files from this size on are taken for sparse images, most of which is holes. */
const sparseBytesMin = 1024 ** 3;
const blockBytes = 64 * 1024;

/**
 * SHA-256 of a file, in hex. Of a file of a gibibyte or more, `sparse-` and the SHA-256 of its size and of those of its
 * blocks that are not all zeros, each after its offset: the same wherever its holes are, and quick.
 */
export async function fileDigest(file: string, signal: AbortSignal): Promise<string> {
  const { size } = await stat(file);
  const hash = createHash("sha256");
  if (size >= sparseBytesMin) {
    hash.update(numberBytes(size));
    for (const { start, length } of await dataExtents(file, signal))
      await updateBlocks(hash, file, start, length, signal);
    return `sparse-${hash.digest("hex")}`;
  }
  for await (const piece of createReadStream(file, { highWaterMark: 1 << 20, signal }))
    hash.update(piece as Buffer);
  return hash.digest("hex");
}

interface Extent {
  readonly start: number;
  readonly length: number;
}

/** Where the file system says that there may be data, widened to whole blocks, in order, without overlaps. */
async function dataExtents(file: string, signal: AbortSignal): Promise<Extent[]> {
  const output = await runCommand("qemu-img", ["map", "--output=json", "-f", "raw", file], {}, signal);
  const extents = JSON.parse(output.toString()) as (Extent & { zero: boolean; data: boolean })[];
  const widened: Extent[] = [];
  let end = 0;
  for (const { start, length, data } of extents) {
    if (!data) continue;
    const from = Math.max(end, Math.floor(start / blockBytes) * blockBytes);
    end = Math.max(end, Math.ceil((start + length) / blockBytes) * blockBytes);
    if (end > from) widened.push({ start: from, length: end - from });
  }
  return widened;
}

async function updateBlocks(
  hash: Hash,
  file: string,
  start: number,
  length: number,
  signal: AbortSignal,
): Promise<void> {
  const zeros = Buffer.alloc(blockBytes);
  const buffer = Buffer.alloc(blockBytes * 16);
  const handle = await open(file, "r");
  try {
    for (let offset = start; offset < start + length; ) {
      signal.throwIfAborted();
      const want = Math.min(buffer.byteLength, start + length - offset);
      const { bytesRead } = await handle.read(buffer, 0, want, offset);
      if (bytesRead === 0) return;
      for (let at = 0; at < bytesRead; at += blockBytes) {
        const block = buffer.subarray(at, Math.min(at + blockBytes, bytesRead));
        if (block.equals(zeros.subarray(0, block.byteLength))) continue;
        hash.update(numberBytes(offset + at)).update(block);
      }
      offset += bytesRead;
    }
  } finally {
    await handle.close();
  }
}

function numberBytes(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}
