import type { Artifact, ImageArtifact } from "./artifact.ts";
import type { ObjectName } from "./object-source.ts";

/** Where things lie in a bucket; the layout is docs/formats.md. */
export const storeKey = "larder.json";

export function manifestKey(build: string): string {
  return `builds/${build}/manifest.json`;
}

export function packKey(build: string, artifact: ImageArtifact): string {
  return `builds/${build}/${artifact}.pack`;
}

export function indexKey(build: string, artifact: ImageArtifact): string {
  return `builds/${build}/${artifact}.index`;
}

export function fileKey(build: string, artifact: Exclude<Artifact, ImageArtifact>): string {
  return `builds/${build}/${artifact}`;
}

export function readOrderKey(build: string): string {
  return `builds/${build}/read-order.json`;
}

export function blobKey(digest: string): string {
  return `blobs/sha256/${digest}`;
}

export function keyOf(object: ObjectName): string {
  switch (object.kind) {
    case "manifest":
      return manifestKey(object.build);
    case "index":
      return indexKey(object.build, object.artifact);
    case "file":
      return fileKey(object.build, object.artifact);
    case "blob":
      return blobKey(object.digest);
  }
}
