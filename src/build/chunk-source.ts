import type { ImageArtifact } from "./artifact.ts";

/** Which chunks: `count` neighbours of the storage space of one artifact of one build. */
export interface ChunkRequest {
  readonly build: string;
  readonly artifact: ImageArtifact;
  readonly firstChunk: number;
  /** 1 … requestChunksMax. */
  readonly count: number;
}

export interface Chunk {
  /** Its number in the storage space: bytes index × chunkBytes … */
  readonly index: number;
  /** Uncompressed; chunkBytes long, the artifact's last one may be shorter. Valid until the next one is asked for. */
  readonly bytes: Uint8Array;
}

/** Anything chunks can be read from: bucket, peer, and every decorator over them. */
export interface ChunkSource {
  /** For logs and the label `source` of counters. */
  readonly name: string;
  /**
   * Yields the chunks asked for in ascending order, each once, or throws a Failure
   * (`unavailable`, `not_found`, `corrupt`, `cancelled`). Stops work when the consumer returns early.
   */
  read(request: ChunkRequest, signal: AbortSignal): AsyncIterable<Chunk>;
}
