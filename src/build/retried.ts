import type { ChunkSource } from "./chunk-source.ts";
import { Attempts, type RetryPolicy } from "./retry.ts";

/**
 * Again if the failure says so (C7). An attempt goes on behind the chunks that came already; the number of attempts is
 * bounded for the request as a whole.
 */
export function retried(source: ChunkSource, policy: RetryPolicy): ChunkSource {
  return {
    name: source.name,
    async *read(request, signal) {
      const attempts = new Attempts(policy);
      const end = request.firstChunk + request.count;
      let next = request.firstChunk;
      while (next < end) {
        try {
          const rest = { ...request, firstChunk: next, count: end - next };
          for await (const chunk of source.read(rest, signal)) {
            next = chunk.index + 1;
            yield chunk;
          }
          return;
        } catch (error) {
          if (next < end) await attempts.failed(error, signal);
        }
      }
    },
  };
}
