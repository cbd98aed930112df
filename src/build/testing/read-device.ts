import type { Bucket } from "../../bucket/bucket.ts";
import { chunkBytes, type ImageArtifact } from "../artifact.ts";
import { ArtifactIndex } from "../artifact-index.ts";
import { bucketObjects } from "../bucket-objects.ts";
import type { ChunkSource } from "../chunk-source.ts";
import type { IndexBook } from "../index-book.ts";
import type { ObjectName } from "../object-source.ts";

const never = new AbortController().signal;

/** Reads an object whole. */
export async function readObject(bucket: Bucket, object: ObjectName): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of bucketObjects(bucket).read(object, never)) pieces.push(Buffer.from(piece));
  return Buffer.concat(pieces);
}

/** Opens the index of a published build and enters it into the book. */
export async function openIndex(
  bucket: Bucket,
  book: IndexBook,
  build: string,
  artifact: ImageArtifact,
): Promise<ArtifactIndex> {
  const bytes = await readObject(bucket, { kind: "index", build, artifact });
  const index = ArtifactIndex.decode(bytes, { build, artifact });
  book.set(index);
  return index;
}

/** The whole device, read naively: for each piece the chunks it lies in, one by one. All indexes must be open. */
export async function readDevice(index: ArtifactIndex, source: ChunkSource): Promise<Buffer> {
  const device = Buffer.alloc(index.deviceBytes);
  for (const { offset, length, build, storageOffset } of index.locate(0, index.deviceBytes)) {
    if (build === null) continue;
    const first = Math.floor(storageOffset / chunkBytes);
    const last = Math.floor((storageOffset + length - 1) / chunkBytes);
    for (let firstChunk = first; firstChunk <= last; firstChunk++) {
      const request = { build, artifact: index.artifact, firstChunk, count: 1 };
      for await (const { bytes } of source.read(request, never)) {
        const from = Math.max(storageOffset, firstChunk * chunkBytes);
        const to = Math.min(storageOffset + length, firstChunk * chunkBytes + bytes.length);
        const part = Buffer.from(bytes).subarray(
          from - firstChunk * chunkBytes,
          to - firstChunk * chunkBytes,
        );
        part.copy(device, offset + from - storageOffset);
      }
    }
  }
  return device;
}
