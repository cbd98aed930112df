import type { ImageArtifact } from "../build/artifact.ts";
import type { BuildLease } from "./build-source.ts";

export interface AheadOptions {
  readonly lease: Pick<BuildLease, "bring">;
  readonly artifact: ImageArtifact;
  /** In the order in which they are likely to be needed. */
  readonly chunks: readonly number[];
  /** How many neighbours travel in one request. */
  readonly groupChunks: number;
  /**
   * Chunks on their way at once. Fewer requests than the bucket is ever asked at a time, so that who really needs
   * something never has to wait for a place.
   */
  readonly chunksAtOnce: number;
}

/**
 * Brings chunks to the shelf before anybody needs them, and gives up at the first that fails or is not kept: whoever
 * needs it then learns why, or does without the shelf.
 */
export async function fetchAhead(options: AheadOptions, signal: AbortSignal): Promise<void> {
  const { artifact, chunks, groupChunks, lease, chunksAtOnce } = options;
  let next = 0;
  let over = false;
  const work = async () => {
    while (!over && next < chunks.length) {
      const chunk = chunks[next++] ?? 0;
      const kept = await lease.bring(artifact, chunk, groupChunks, signal).catch(() => false);
      over ||= !kept;
    }
  };
  await Promise.all(Array.from({ length: chunksAtOnce }, work));
}
