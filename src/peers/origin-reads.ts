import type { ImageArtifact } from "../build/artifact.ts";
import type { ChunkRequest, ChunkSource } from "../build/chunk-source.ts";
import type { BlobName, ObjectSource } from "../build/object-source.ts";
import { groupOf } from "./rendezvous.ts";

/**
 * What this node reads from the bucket just now. Such a read waits for no peer, so that every peer may wait for it,
 * whoever the owner is.
 */
export class OriginReads {
  readonly #underWay = new Set<ChunkRequest>();
  readonly #inputs = new Set<BlobName>();

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

  /** The same of whole objects, as far as they are inputs of builds. */
  notedObjects(source: ObjectSource): ObjectSource {
    const underWay = this.#inputs;
    return {
      name: source.name,
      async *read(object, signal) {
        if (object.kind !== "blob") return void (yield* source.read(object, signal));
        underWay.add(object);
        try {
          yield* source.read(object, signal);
        } finally {
          underWay.delete(object);
        }
      },
    };
  }

  /** Digests of the inputs that are being read for a build. */
  inputs(build: string): string[] {
    return [...this.#inputs].filter((each) => each.build === build).map(({ digest }) => digest);
  }

  hasInput(digest: string): boolean {
    return [...this.#inputs].some((each) => each.digest === digest);
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
