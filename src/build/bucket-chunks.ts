import { promisify } from "node:util";
import { zstdDecompress } from "node:zlib";
import { Failure } from "../base/failure.ts";
import type { Bucket } from "../bucket/bucket.ts";
import type { ChunkPlace } from "./artifact-index.ts";
import type { ChunkRequest, ChunkSource } from "./chunk-source.ts";
import type { IndexBook } from "./index-book.ts";
import { packKey } from "./object-keys.ts";

const decompress = promisify(zstdDecompress);

/**
 * Chunks from the packs of a bucket. The chunks of a request are neighbours in the pack too, so one request is one
 * range; each chunk is given out as soon as its bytes are there. What comes is not verified.
 */
export function bucketChunks(bucket: Bucket, indexes: IndexBook): ChunkSource {
  return {
    name: "bucket",
    async *read(request, signal) {
      const places = placesOf(request, indexes);
      const stored = places.filter((place) => !place.zero);
      const [first] = stored;
      const last = stored.at(-1);
      const pieces =
        first === undefined || last === undefined
          ? nothing()
          : bucket.read(
              packKey(request.build, request.artifact),
              { offset: first.packOffset, length: last.packOffset + last.packedBytes - first.packOffset },
              signal,
            );
      const frames = new FrameReader(pieces);
      try {
        for (const [i, place] of places.entries()) {
          const bytes = place.zero
            ? Buffer.alloc(place.bytes)
            : await unpack(await frames.take(place.packedBytes), place);
          signal.throwIfAborted();
          yield { index: request.firstChunk + i, bytes };
        }
      } finally {
        await frames.close();
      }
    },
  };
}

function placesOf(request: ChunkRequest, indexes: IndexBook): ChunkPlace[] {
  const index = indexes.get(request.build, request.artifact);
  return Array.from({ length: request.count }, (_, i) => index.chunk(request.firstChunk + i));
}

/** Never decompresses into more than a chunk: a frame that wants more is corrupt. */
async function unpack(frame: Buffer, place: ChunkPlace & { zero: false }): Promise<Uint8Array> {
  if (place.codec === "raw") return frame;
  try {
    return await decompress(frame, { maxOutputLength: place.bytes });
  } catch (error) {
    throw new Failure("corrupt", `a frame of ${frame.length} bytes could not be decompressed`, {
      cause: error,
    });
  }
}

/** Cuts a stream of pieces into frames of given sizes. */
class FrameReader {
  readonly #pieces: AsyncIterator<Uint8Array>;
  #held: Uint8Array[] = [];
  #heldBytes = 0;

  constructor(pieces: AsyncIterable<Uint8Array>) {
    this.#pieces = pieces[Symbol.asyncIterator]();
  }

  async take(bytes: number): Promise<Buffer> {
    while (this.#heldBytes < bytes) {
      const step = await this.#pieces.next();
      if (step.done === true) throw new Failure("corrupt", "the pack is shorter than its index says");
      this.#held.push(step.value);
      this.#heldBytes += step.value.length;
    }
    const all = Buffer.concat(this.#held, this.#heldBytes);
    this.#held = [all.subarray(bytes)];
    this.#heldBytes -= bytes;
    return all.subarray(0, bytes);
  }

  async close(): Promise<void> {
    await this.#pieces.return?.();
  }
}

async function* nothing(): AsyncIterable<Uint8Array> {}
