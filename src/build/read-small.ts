import { Failure } from "../base/failure.ts";
import type { Bucket } from "../bucket/bucket.ts";

/** A small object, whole. Throws `corrupt` when it has more than `bytesMax` bytes. */
export async function readSmall(
  bucket: Bucket,
  key: string,
  bytesMax: number,
  signal: AbortSignal,
): Promise<Buffer> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of bucket.read(key, undefined, signal)) {
    bytes += piece.length;
    if (bytes > bytesMax) throw new Failure("corrupt", `${key} has more than ${bytesMax} bytes`);
    pieces.push(Buffer.from(piece));
  }
  return Buffer.concat(pieces);
}
