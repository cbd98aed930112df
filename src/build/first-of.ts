import assert from "node:assert/strict";
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
      const end = request.firstChunk + request.count;
      let next = request.firstChunk;
      for (const source of sources) {
        try {
          const rest = { ...request, firstChunk: next, count: end - next };
          for await (const chunk of source.read(rest, signal)) {
            next = chunk.index + 1;
            yield chunk;
          }
          return;
        } catch (error) {
          if (next >= end) return;
          signal.throwIfAborted();
          if (source === sources.at(-1)) throw error;
        }
      }
    },
  };
}
