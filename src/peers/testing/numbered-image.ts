import { hash } from "node:crypto";
import { chunkBytes, type ImageArtifact } from "../../build/artifact.ts";
import { ArtifactIndex } from "../../build/artifact-index.ts";

export const testBuild = "00000000-0000-4000-8000-000000000001";
export const testSecret = "a secret of thirty-two characters, for tests";

/** The bytes of a chunk of the test build: filled with its number plus one. */
export function numberedChunk(chunk: number): Buffer {
  return Buffer.alloc(chunkBytes, chunk + 1);
}

/** The index of an image of such chunks. */
export function numberedIndex(chunkCount: number, artifact: ImageArtifact = "rootfs"): ArtifactIndex {
  const bytes = chunkCount * chunkBytes;
  const chunks = Array.from({ length: chunkCount }, (_, chunk) => ({
    digest: Buffer.from(hash("sha256", numberedChunk(chunk)), "hex"),
    packedBytes: chunkBytes,
    codec: "raw" as const,
  }));
  const runs = [{ offset: 0, length: bytes, build: testBuild, storageOffset: 0 }];
  return new ArtifactIndex({
    build: testBuild,
    artifact,
    deviceBytes: bytes,
    storageBytes: bytes,
    runs,
    chunks,
  });
}
