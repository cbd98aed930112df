import type { BlockDevice } from "../base/block-device.ts";
import type { FileArtifact, ImageArtifact } from "../build/artifact.ts";
import type { InputName, Manifest } from "../build/manifest.ts";

/** A claim on a build: nothing of it leaves the node while it is held. The cache's leases are such. */
export interface BuildLease extends AsyncDisposable {
  readonly manifest: Manifest;
  /** Makes an image ready to be read. */
  open(artifact: ImageArtifact, signal: AbortSignal): Promise<void>;
  /** A device whose missing chunks are fetched when they are read. */
  image(artifact: ImageArtifact): BlockDevice;
  /** Paths of whole, verified files. */
  file(artifact: FileArtifact, signal: AbortSignal): Promise<string>;
  memfile(signal: AbortSignal): Promise<string>;
  input(name: InputName, signal: AbortSignal): Promise<string>;
}

/** Where builds come from. */
export interface BuildSource {
  acquire(build: string, holder: string, signal: AbortSignal): Promise<BuildLease>;
}
