import assert from "node:assert/strict";
import { Failure } from "../base/failure.ts";
import type { ChunkSource } from "./chunk-source.ts";

/**
 * From the first source that can; where one breaks off, the next one goes on behind what came already.
 * The failure of the last source is the failure of the read.
 */
export function firstOf(sources: readonly ChunkSource[]): ChunkSource {
  assert.ok(sources.length > 0, "there is a source");
  return {
    name: sources.map((source) => source.name).join(","),
    async *read(request, signal) {
      let next = request.firstChunk;
      const end = request.firstChunk + request.count;
      for (const [i, source] of sources.entries()) {
        try {
          for await (const chunk of source.read(
            { ...request, firstChunk: next, count: end - next },
            signal,
          )) {
            next = chunk.index + 1;
            yield chunk;
          }
          return;
        } catch (error) {
          signal.throwIfAborted();
          if (i === sources.length - 1) throw Failure.from(error);
        }
      }
    },
  };
}
