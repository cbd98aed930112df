import { Failure } from "../base/failure.ts";
import type { Meter } from "../base/meter.ts";
import type { ChunkSource } from "./chunk-source.ts";

/** Counts fetches by source and outcome, and bytes by source. An aborted fetch is no failure. */
export function measured(source: ChunkSource, meter: Meter): ChunkSource {
  const labels = { source: source.name };
  return {
    name: source.name,
    async *read(request, signal) {
      let outcome = "abandoned";
      let missing = request.count;
      try {
        for await (const chunk of source.read(request, signal)) {
          meter.count("larder_fetched_bytes_total", labels, chunk.bytes.length);
          missing -= 1;
          if (missing === 0) outcome = "ok"; // a reader that has all it asked for need not ask for the end
          yield chunk;
        }
      } catch (error) {
        outcome = signal.aborted ? "abandoned" : Failure.from(error).code;
        throw error;
      } finally {
        meter.count("larder_fetches_total", { ...labels, outcome });
      }
    },
  };
}
