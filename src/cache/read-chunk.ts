import { Failure } from "../base/failure.ts";
import { chunkBytes } from "../build/artifact.ts";
import type { Wish } from "./chunk-fetcher.ts";
import type { OpenImage } from "./residence.ts";

/** The bytes of one chunk: from the shelf, else brought to it, else from the source past a shelf that fails. */
export async function readChunk(
  { fetcher, file, index }: OpenImage,
  chunk: number,
  wish: Pick<Wish, "groupChunks">,
  signal: AbortSignal,
): Promise<Uint8Array> {
  if (chunk >= index.chunkCount) throw new Failure("invalid", `there is no chunk ${chunk}`);
  const passedThrough = await fetcher.want(chunk, signal, wish);
  if (passedThrough !== undefined) return passedThrough;
  const place = index.chunk(chunk);
  const bytes = Buffer.alloc(place.bytes);
  if (place.zero) return bytes;
  try {
    await file.read(chunk * chunkBytes, bytes);
    if (file.present.has(chunk)) return bytes; // else it was given up while it was read
  } catch {
    if (file.present.has(chunk)) void fetcher.checker.distrust(chunk);
  }
  return await fetcher.passThrough(chunk, signal);
}
