import assert from "node:assert/strict";
import type { Bucket } from "../bucket/bucket.ts";
import { requestChunksMax } from "./artifact.ts";
import type { ChunkPlace } from "./artifact-index.ts";
import type { ChunkRequest, ChunkSource } from "./chunk-source.ts";
import { FrameReader } from "./frame-reader.ts";
import type { IndexBook } from "./index-book.ts";
import { packKey } from "./object-keys.ts";
import { unpackChunk } from "./unpack-chunk.ts";

/**
 * Chunks from the packs of a bucket. The stored chunks of a request are neighbours in the pack, so one request is one
 * range of bytes; each chunk is given out as soon as its own bytes are there. What comes is not verified.
 */
export function bucketChunks(bucket: Bucket, indexes: IndexBook): ChunkSource {
  return {
    name: "bucket",
    async *read(request, signal) {
      const places = placesOf(request, indexes);
      const pack = packKey(request.build, request.artifact);
      const frames = new FrameReader(framesOf(bucket, pack, places, signal), pack);
      try {
        for (const [i, place] of places.entries()) {
          const index = request.firstChunk + i;
          const bytes = place.zero
            ? Buffer.alloc(place.bytes)
            : await unpackChunk(await frames.take(place.packedBytes), place, `chunk ${index} in ${pack}`);
          signal.throwIfAborted();
          yield { index, bytes };
        }
      } finally {
        await frames.close();
      }
    },
  };
}

function placesOf({ build, artifact, firstChunk, count }: ChunkRequest, indexes: IndexBook): ChunkPlace[] {
  assert.ok(count >= 1 && count <= requestChunksMax, `a request of ${count} chunks`);
  const index = indexes.get(build, artifact);
  return Array.from({ length: count }, (_, i) => index.chunk(firstChunk + i));
}

/** The bytes from the first stored chunk to the end of the last one; nothing is asked for zeros alone. */
function framesOf(
  bucket: Bucket,
  pack: string,
  places: readonly ChunkPlace[],
  signal: AbortSignal,
): AsyncIterable<Uint8Array> {
  const stored = places.filter((place) => !place.zero);
  const first = stored[0];
  const last = stored.at(-1);
  if (first === undefined || last === undefined) return nothing();
  const length = last.packOffset + last.packedBytes - first.packOffset;
  return bucket.read(pack, { offset: first.packOffset, length }, signal);
}

async function* nothing(): AsyncIterable<Uint8Array> {}
