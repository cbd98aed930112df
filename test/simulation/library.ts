import { SeededRandom } from "../../src/base/testing/seeded-random.ts";
import { MemoryBucket } from "../../src/bucket/memory-bucket.ts";
import {
  chunkBytes,
  type ImageArtifact,
  imageArtifacts,
  requestChunksMax,
} from "../../src/build/artifact.ts";
import { ArtifactIndex } from "../../src/build/artifact-index.ts";
import { bucketChunks } from "../../src/build/bucket-chunks.ts";
import { IndexBook } from "../../src/build/index-book.ts";
import type { Manifest } from "../../src/build/manifest.ts";
import { indexKey } from "../../src/build/object-keys.ts";
import { publishRandomBuild, publishRandomChild } from "../../src/build/testing/published-build.ts";

const never = new AbortController().signal;

/** A build as the model knows it: what every reader must see. */
export interface ModelBuild {
  readonly build: string;
  readonly manifest: Manifest;
  readonly rootfs: Buffer;
  readonly memfile: Buffer | undefined;
  readonly snapfile: Buffer | undefined;
}

/** What all worlds share, because it never changes: builds in a bucket, and their chunks, unpacked. */
export interface Library {
  readonly bucket: MemoryBucket;
  readonly builds: readonly ModelBuild[];
  /** `build/artifact` → chunks of its storage space. */
  readonly chunks: ReadonlyMap<string, readonly Buffer[]>;
}

export async function makeLibrary(): Promise<Library> {
  const bucket = new MemoryBucket();
  const random = new SeededRandom(42);
  const base = await publishRandomBuild(bucket, random, { chunks: 4 });
  const plain = await publishRandomBuild(bucket, random, { chunks: 5, memory: false });
  const child = await publishRandomChild(bucket, random, base, await indexOf(bucket, base.build, "rootfs"));
  const builds: ModelBuild[] = [base, plain, { ...child, memfile: undefined, snapfile: undefined }];
  const chunks = new Map<string, readonly Buffer[]>();
  for (const { build, manifest } of builds) {
    for (const artifact of imageArtifacts) {
      if (manifest[artifact] === undefined) continue;
      chunks.set(`${build}/${artifact}`, await unpack(bucket, await indexOf(bucket, build, artifact)));
    }
  }
  return { bucket, builds, chunks };
}

async function indexOf(bucket: MemoryBucket, build: string, artifact: ImageArtifact): Promise<ArtifactIndex> {
  const pieces = await Array.fromAsync(bucket.read(indexKey(build, artifact), undefined, never));
  return ArtifactIndex.decode(Buffer.concat(pieces), { build, artifact });
}

async function unpack(bucket: MemoryBucket, index: ArtifactIndex): Promise<Buffer[]> {
  const indexes = new IndexBook();
  indexes.set(index);
  const source = bucketChunks(bucket, indexes);
  const chunks: Buffer[] = [];
  const { build, artifact, chunkCount } = index;
  for (let firstChunk = 0; firstChunk < chunkCount; firstChunk += requestChunksMax) {
    const count = Math.min(requestChunksMax, chunkCount - firstChunk);
    for await (const chunk of source.read({ build, artifact, firstChunk, count }, never)) {
      chunks.push(Buffer.from(chunk.bytes));
    }
  }
  return chunks;
}

/** Bytes of the budget that hold about half of the library. */
export const shelfBytes = 9 * chunkBytes;
