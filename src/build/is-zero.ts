import { chunkBytes } from "./artifact.ts";

const zeros = Buffer.alloc(chunkBytes);

/** True when every one of at most chunkBytes bytes is zero. */
export function isZero(bytes: Uint8Array): boolean {
  return zeros.compare(bytes, 0, bytes.length, 0, bytes.length) === 0;
}
