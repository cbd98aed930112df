import { chunkBytes } from "../../build/artifact.ts";
import { groupOf } from "../../peers/rendezvous.ts";
import { RoguePeer, sendChunk } from "../../peers/testing/rogue-peer.ts";

/** A peer that says of every build that it leases it and has all of its chunks, and sends something else. */
export function lyingPeer(chunks: number): Promise<RoguePeer> {
  const has = Array.from({ length: groupOf(chunks - 1) + 1 }, (_, group) => group);
  return RoguePeer.listen({
    ...{ node: "liar", leases: true, has },
    onChunks: (first, response) => {
      sendChunk(response, first, Buffer.alloc(chunkBytes, 0x5a));
      response.end();
    },
  });
}
