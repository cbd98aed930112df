import type { ImageArtifact } from "../build/artifact.ts";
import type { ChunkRequest, ChunkSource } from "../build/chunk-source.ts";
import { groupOf } from "./rendezvous.ts";

/**
 * What this node reads from the bucket just now. Such a read waits for no peer, so that every peer may wait for it,
 * whoever the owner is.
 */
export class OriginReads {
  readonly #underWay = new Set<ChunkRequest>();

  /** Notes what is read from `source`, for as long as it is. */
  noted(source: ChunkSource): ChunkSource {
    const underWay = this.#underWay;
    return {
      name: source.name,
      async *read(request, signal) {
        underWay.add(request);
        try {
          yield* source.read(request, signal);
        } finally {
          underWay.delete(request);
        }
      },
    };
  }

  has(build: string, artifact: ImageArtifact, chunk: number): boolean {
    for (const each of this.#underWay) {
      const behind = chunk - each.firstChunk;
      if (each.build === build && each.artifact === artifact && behind >= 0 && behind < each.count)
        return true;
    }
    return false;
  }

  /** The groups of one artifact of which something is being read. */
  groups(build: string, artifact: ImageArtifact): number[] {
    const groups: number[] = [];
    for (const each of this.#underWay) {
      if (each.build !== build || each.artifact !== artifact) continue;
      const last = groupOf(each.firstChunk + each.count - 1);
      for (let group = groupOf(each.firstChunk); group <= last; group++) groups.push(group);
    }
    return groups;
  }
}
