import { Failure } from "../base/failure.ts";
import type { Meter } from "../base/meter.ts";
import type { ChunkRequest, ChunkSource } from "../build/chunk-source.ts";
import type { IndexBook } from "../build/index-book.ts";
import { verified } from "../build/verified.ts";
import type { Neighbourhood } from "./neighbourhood.ts";
import type { Peer } from "./peer.ts";
import { groupChunks, groupOf } from "./rendezvous.ts";

export interface PeerSourceOptions {
  readonly neighbourhood: Neighbourhood;
  readonly indexes: IndexBook;
  readonly meter: Meter;
  /** Peers that are asked for one group at most. */
  readonly askedMax: number;
}

/**
 * Chunks from other nodes; verified here, so that a lie is blamed on who told it (C24). Throws `not_found` when nobody
 * has the next chunk or brings it: then it is this node's to read from the bucket.
 */
export function peerSource({ neighbourhood, indexes, meter, askedMax }: PeerSourceOptions): ChunkSource {
  return {
    name: "peer",
    async *read(request, signal) {
      const end = request.firstChunk + request.count;
      let next = request.firstChunk;
      const tried = new Set<Peer>();
      await neighbourhood.meet(request.build, signal);
      while (next < end) {
        const part = groupFrom(request, next);
        const place = { build: part.build, artifact: part.artifact, group: groupOf(next) };
        const peer = tried.size < askedMax ? neighbourhood.choose(place, tried) : undefined;
        if (peer === undefined) throw new Failure("not_found", `no peer has chunk ${next}`);
        tried.add(peer);
        try {
          for await (const chunk of verified(peer.chunks, indexes, meter).read(part, signal)) {
            peer.proved();
            next = chunk.index + 1;
            yield chunk;
          }
          tried.clear();
        } catch (error) {
          signal.throwIfAborted();
          peer.failed(request.build, error);
        }
      }
    },
  };
}

/** What is left of a request from chunk `next` on, as far as one group goes. */
function groupFrom({ build, artifact, firstChunk, count }: ChunkRequest, next: number): ChunkRequest {
  const end = Math.min(firstChunk + count, (groupOf(next) + 1) * groupChunks);
  return { build, artifact, firstChunk: next, count: end - next };
}
