import { hash } from "node:crypto";
import { promisify } from "node:util";
import { constants, zstdCompress } from "node:zlib";
import type { StoredChunk } from "./artifact-index.ts";
import { isZero } from "./is-zero.ts";

const compress = promisify(zstdCompress);
/** Level 3 packs 250 MB/s a core; higher ones cost more than the bytes they save. */
const compression = { params: { [constants.ZSTD_c_compressionLevel]: 3 } };
/** A frame that saves less than 5 % is stored as it is: reading it back is then free. */
const worthwhile = 0.95;

/** What zstd may add to a chunk that it cannot shrink. */
const frameOverheadBytesMax = 1024 + 64;

export interface PackedChunk {
  readonly stored: NonNullable<StoredChunk>;
  /** What goes into the pack. */
  readonly frame: Buffer;
}

/** One chunk as it is stored; null for zeros, which are not. Compressed on the runtime's own threads. */
export async function packChunk(bytes: Buffer): Promise<PackedChunk | null> {
  if (isZero(bytes)) return null;
  const digest = hash("sha256", bytes, "buffer");
  // Room for the largest result, so that one call of the compressor is enough.
  const packed = await compress(bytes, { ...compression, chunkSize: bytes.length + frameOverheadBytesMax });
  const codec = packed.length < bytes.length * worthwhile ? "zstd" : "raw";
  const frame = codec === "zstd" ? packed : bytes;
  return { stored: { digest, packedBytes: frame.length, codec }, frame };
}
