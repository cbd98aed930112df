import type { SeededRandom } from "../../base/testing/seeded-random.ts";
import { blockBytes, chunkBytes } from "../artifact.ts";

/** Chunks of noise, of repetition and of zeros; the last one is a single block. */
export function randomImage(random: SeededRandom, chunks: number): Buffer {
  const image = Buffer.alloc((chunks - 1) * chunkBytes + blockBytes);
  for (let chunk = 0; chunk < chunks; chunk++) {
    const bytes = image.subarray(chunk * chunkBytes, (chunk + 1) * chunkBytes);
    const kind = chunk === 0 ? 0 : random.below(3);
    if (kind === 0) random.bytes(4096).copy(bytes);
    if (kind === 1) for (let at = 0; at < bytes.length; at += 4096) random.bytes(4096).copy(bytes, at);
  }
  return image;
}
