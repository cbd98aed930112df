import type { ChunkSource } from "../build/chunk-source.ts";
import { type PeerAsking, peerFrames } from "./peer-frames.ts";

/**
 * Chunks of one group from one peer, as it has them; not verified. Throws `not_found` where the peer has no more,
 * `exhausted` when it is busy; `unavailable` and `corrupt` are the peer's fault.
 */
export function peerChunks(asking: PeerAsking): ChunkSource {
  const wholeMsMax = asking.limits.requestMsMax;
  return {
    name: "peer",
    read(request, signal) {
      const question = { kind: "chunks", ...request } as const;
      return peerFrames(asking, { question, count: request.count, wholeMsMax }, signal);
    },
  };
}
