import { chunkBytes, type ImageArtifact } from "../build/artifact.ts";
import type { Manifest } from "../build/manifest.ts";
import type { KeptBuild } from "./ledger.ts";

/** Bytes of the chunks that the journal says are kept of an artifact. */
export function keptBytesOf(manifest: Manifest, artifact: ImageArtifact, kept: KeptBuild): number {
  const chunks = kept.chunks.get(artifact);
  if (chunks === undefined) return 0;
  const storageBytes = manifest[artifact]?.storageBytes ?? 0;
  const last = Math.ceil(storageBytes / chunkBytes) - 1;
  const short = chunks.has(last) ? (last + 1) * chunkBytes - storageBytes : 0;
  return chunks.size * chunkBytes - short;
}
