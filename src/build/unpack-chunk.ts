import { promisify } from "node:util";
import { zstdDecompress } from "node:zlib";
import { Failure } from "../base/failure.ts";
import type { ChunkPlace } from "./artifact-index.ts";

const decompress = promisify(zstdDecompress);

/**
 * The chunk that a frame holds, not verified. Never decompresses into more than `place.bytes`: a frame that wants
 * more, or is no frame, is `corrupt` (C11). `name` is the subject of that sentence.
 */
export async function unpackChunk(
  frame: Uint8Array,
  place: ChunkPlace & { readonly zero: false },
  name: string,
): Promise<Uint8Array> {
  if (place.codec === "raw") return frame;
  try {
    return await decompress(frame, { maxOutputLength: place.bytes, chunkSize: place.bytes });
  } catch (error) {
    throw new Failure("corrupt", `${name} could not be decompressed`, {
      cause: error,
    });
  }
}
