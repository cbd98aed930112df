import type { LendableDevice } from "../base/shared-image.ts";
import type { FileArtifact, ImageArtifact } from "../build/artifact.ts";
import type { ArtifactIndex } from "../build/artifact-index.ts";
import type { InputName, Manifest } from "../build/manifest.ts";

export interface MemoryParts {
  readonly path: string;
  /** The build that the file is of, and the file's map. */
  readonly manifest: Manifest;
  readonly index: ArtifactIndex;
  /** Where the memory is not as in the file: to be read from the image. */
  readonly changes: readonly { readonly offset: number; readonly length: number }[];
}

/** A claim on a build: nothing of it leaves the node while it is held. The cache's leases are such. */
export interface BuildLease extends AsyncDisposable {
  readonly manifest: Manifest;
  /** Makes an image ready to be read. */
  open(artifact: ImageArtifact, signal: AbortSignal): Promise<void>;
  /** A device whose missing chunks are fetched when they are read. */
  image(artifact: ImageArtifact): LendableDevice;
  /** The map of an image that was made ready. */
  index(artifact: ImageArtifact): ArtifactIndex;
  /** Its chunk file. Who reads it by himself has to verify it, and it may be gone at any time. */
  source(artifact: ImageArtifact): string;
  /** Paths of whole, verified files. */
  file(artifact: FileArtifact, signal: AbortSignal): Promise<string>;
  /** What its memory is made of: a sealed file to be mapped, and what differs from it. The image is open then. */
  memory(signal: AbortSignal): Promise<MemoryParts>;
  /** Whether it gains much to begin before its memory is whole. The image is open then. */
  lacksMemory(signal: AbortSignal): Promise<boolean>;
  /** The bytes of one chunk of an image that was made ready, brought with so many of its neighbours. */
  chunk(
    artifact: ImageArtifact,
    chunk: number,
    groupChunks: number,
    signal: AbortSignal,
  ): Promise<Uint8Array>;
  /** Brings a chunk of such an image, and so many neighbours, to the shelf; false when that cannot keep it. */
  bring(artifact: ImageArtifact, chunk: number, groupChunks: number, signal: AbortSignal): Promise<boolean>;
  input(name: InputName, signal: AbortSignal): Promise<string>;
}

/** Where builds come from. */
export interface BuildSource {
  acquire(build: string, holder: string, signal: AbortSignal): Promise<BuildLease>;
}
