import type { Artifact, ImageArtifact } from "./artifact.ts";

/** A whole object of a build, or an input by its digest (hex SHA-256). */
export type ObjectName =
  | { readonly kind: "manifest"; readonly build: string }
  | { readonly kind: "index"; readonly build: string; readonly artifact: ImageArtifact }
  | { readonly kind: "file"; readonly build: string; readonly artifact: Exclude<Artifact, ImageArtifact> }
  | { readonly kind: "blob"; readonly digest: string };

/** Where whole objects come from. What it yields is *not* verified: who asked knows the digest. */
export interface ObjectSource {
  readonly name: string;
  /** The object's bytes in pieces; throws a Failure (`unavailable`, `not_found`, `cancelled`). */
  read(object: ObjectName, signal: AbortSignal): AsyncIterable<Uint8Array>;
}
