import type { Tracer } from "../base/tracer.ts";
import type { ChunkSource } from "./chunk-source.ts";

/** Tells a tracer of each request for chunks. */
export function traced(source: ChunkSource, tracer: Tracer): ChunkSource {
  return {
    name: source.name,
    async *read(request, signal) {
      const { build, artifact, firstChunk, count } = request;
      const facts = { source: source.name, build, artifact, firstChunk, count };
      const span = tracer.open("fetch chunks", facts);
      let failure: unknown;
      try {
        yield* source.read(request, signal);
      } catch (error) {
        failure = error;
        throw error;
      } finally {
        span.end(failure);
      }
    },
  };
}
