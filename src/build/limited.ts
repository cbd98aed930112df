import { Gate } from "../base/gate.ts";
import { chunkBytes } from "./artifact.ts";
import type { ChunkSource } from "./chunk-source.ts";

export interface FetchLimits {
  readonly requestsMax: number;
  readonly bytesInFlightMax: number;
  /** Requests that may wait; the next one fails with `exhausted`. */
  readonly waitersMax: number;
}

/** So many requests and so many bytes at a time, first come, first served. */
export function limited(source: ChunkSource, limits: FetchLimits): ChunkSource {
  const { waitersMax } = limits;
  const requests = new Gate({ capacity: limits.requestsMax, waitersMax, name: "fetches" });
  const bytes = new Gate({ capacity: limits.bytesInFlightMax, waitersMax, name: "bytes being fetched" });
  return {
    name: source.name,
    async *read(request, signal) {
      using _request = await requests.enter(signal);
      using _bytes = await bytes.enter(signal, request.count * chunkBytes);
      yield* source.read(request, signal);
    },
  };
}
