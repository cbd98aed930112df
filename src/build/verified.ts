import { hash } from "node:crypto";
import { Failure } from "../base/failure.ts";
import type { Meter } from "../base/meter.ts";
import type { Chunk, ChunkRequest, ChunkSource } from "./chunk-source.ts";
import type { IndexBook } from "./index-book.ts";
import { isZero } from "./is-zero.ts";

/**
 * Never unverified: every chunk is compared with the index before anyone sees it (C11).
 * What is corrupt, short, over-long, out of order or missing ends the read with `corrupt` and is counted.
 */
export function verified(source: ChunkSource, indexes: IndexBook, meter: Meter): ChunkSource {
  return {
    name: source.name,
    async *read(request, signal) {
      const end = request.firstChunk + request.count;
      let next = request.firstChunk;
      try {
        for await (const chunk of source.read(request, signal)) {
          if (next === end) throw corrupt(request, chunk.index, "was not asked for");
          if (chunk.index !== next) throw corrupt(request, next, `is chunk ${chunk.index}`);
          check(chunk, request, indexes);
          next += 1;
          yield chunk;
        }
        if (next !== end) throw corrupt(request, next, "is missing");
      } catch (error) {
        if (Failure.is(error, "corrupt")) meter.count("larder_corrupt_chunks_total", { source: source.name });
        throw error;
      }
    },
  };
}

function check({ index, bytes }: Chunk, request: ChunkRequest, indexes: IndexBook): void {
  const place = indexes.get(request.build, request.artifact).chunk(index);
  if (bytes.length !== place.bytes)
    throw corrupt(request, index, `has ${bytes.length} bytes, not ${place.bytes}`);
  const good = place.zero ? isZero(bytes) : hash("sha256", bytes, "buffer").equals(place.digest);
  if (!good) throw corrupt(request, index, "is not what its digest says");
}

function corrupt({ build, artifact }: ChunkRequest, index: number, what: string): Failure {
  return new Failure("corrupt", `chunk ${index} of ${artifact} of build ${build} ${what}`);
}
