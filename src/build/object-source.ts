import type { Artifact, ImageArtifact } from "./artifact.ts";

/** A whole object of a build, or an input of builds. */
export type ObjectName =
  | { readonly kind: "manifest"; readonly build: string }
  | { readonly kind: "index"; readonly build: string; readonly artifact: ImageArtifact }
  | { readonly kind: "file"; readonly build: string; readonly artifact: Exclude<Artifact, ImageArtifact> }
  | ({ readonly kind: "blob" } & BlobName);

/** An input, named by what is in it (SHA-256); with a build that needs it, by which other nodes are asked for it. */
export interface BlobName {
  readonly digest: string;
  readonly bytes: number;
  readonly build: string;
}

/** Where whole objects come from. What it yields is *not* verified: who asked knows the digest. */
export interface ObjectSource {
  readonly name: string;
  /** The object's bytes in pieces; throws a Failure (`unavailable`, `not_found`, `cancelled`). */
  read(object: ObjectName, signal: AbortSignal): AsyncIterable<Uint8Array>;
}
