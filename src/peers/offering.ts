import type { ImageArtifact } from "../build/artifact.ts";

/** What this node can offer to others. The daemon makes it of the cache, which this room never sees (C23). */
export interface Offering {
  /** Claims what the shelf has of a build while a peer reads it; undefined when it has none. Fetches nothing. */
  claim(build: string): OfferedBuild | undefined;
}

/** A lease on a build of the shelf. Nothing of it may leave before this is disposed of. */
export interface OfferedBuild extends AsyncDisposable {
  /** Somebody on this node uses the build, peers apart. */
  readonly leased: boolean;
  /** An image of which something is on the shelf; undefined when nothing is. Fetches nothing. */
  kept(artifact: ImageArtifact, signal: AbortSignal): Promise<OfferedImage | undefined>;
  /** The same of a build that is leased here: what is missing of its index is fetched. Throws a Failure. */
  opened(artifact: ImageArtifact, signal: AbortSignal): Promise<OfferedImage>;
  /** Digests of the inputs that lie on the shelf, verified. */
  readonly inputs: readonly string[];
  /** The bytes of an input that lies on the shelf, verified. */
  keptInput(digest: string): AsyncIterable<Uint8Array> | undefined;
  /** The same of a build that is leased here: joins the flight that brings it, or starts one. Throws a Failure. */
  fetchedInput(digest: string, signal: AbortSignal): Promise<AsyncIterable<Uint8Array>>;
}

export interface OfferedImage {
  readonly chunkCount: number;
  /** It lies on the shelf, verified. */
  has(chunk: number): boolean;
  /** The bytes of a chunk that needs no fetching; undefined when it does. */
  read(chunk: number): Uint8Array | undefined;
  /** Joins the flight that brings a chunk, or starts one. Only for a build that is leased here. */
  fetched(chunk: number, signal: AbortSignal): Promise<Uint8Array>;
}
