import { readdir, readFile, rm } from "node:fs/promises";
import path from "node:path";
import { systemClock } from "../../src/base/clock.ts";
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
import type { MadeBuild } from "../../src/build/make-build.ts";
import type { Manifest } from "../../src/build/manifest.ts";
import { indexKey } from "../../src/build/object-keys.ts";
import { putMadeBuild } from "../../src/build/put-made-build.ts";
import { randomBuildId } from "../../src/build/testing/random-build-id.ts";
import { makeChild, withBlocks } from "../../src/cache/testing/made-build.ts";
import {
  type PublishedBuild,
  publishRandomBuild,
  publishRandomChild,
} from "../../src/build/testing/published-build.ts";

const never = new AbortController().signal;

/** A build as the model knows it: what every reader must see. */
export interface ModelBuild {
  readonly build: string;
  readonly manifest: Manifest;
  readonly rootfs: Buffer;
  readonly memfile: Buffer | undefined;
  readonly snapfile: Buffer | undefined;
}

/** A build that a node may make of a sandbox: what is found in its directory then. */
export interface ModelChild extends ModelBuild {
  readonly files: ReadonlyMap<string, Buffer>;
}

/** What all worlds share, because it never changes: builds in a bucket, and their chunks, unpacked. */
export interface Library {
  readonly bucket: MemoryBucket;
  /** Published from the start. */
  readonly builds: readonly ModelBuild[];
  /** Published when a node has made them and got so far. */
  readonly children: readonly ModelChild[];
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
  const children = await makeChildren(bucket, base, plain);
  const chunks = new Map<string, readonly Buffer[]>();
  for (const { build, manifest } of [...builds, ...children]) {
    for (const artifact of imageArtifacts) {
      if (manifest[artifact] === undefined) continue;
      chunks.set(`${build}/${artifact}`, await unpack(bucket, await indexOf(bucket, build, artifact)));
    }
  }
  return { bucket, builds, children, chunks };
}

/** One with a memory of its own, and one of a disk alone. */
async function makeChildren(
  bucket: MemoryBucket,
  base: PublishedBuild,
  plain: PublishedBuild,
): Promise<ModelChild[]> {
  const random = new SeededRandom(43);
  const memory = random.bytes(chunkBytes + 3 * 4096);
  const parent = async ({ build, manifest }: PublishedBuild) => ({
    manifest,
    index: await indexOf(bucket, build, "rootfs"),
  });
  const first = { 1: 7, 65: 9, 70: 0 };
  const second = { 0: 5, 100: 6, 101: 6 };
  const [one, two] = [
    await makeChild(
      { rootfs: await parent(base) },
      { rootfs: first, memfile: memory },
      randomBuildId(random),
    ),
    await makeChild({ rootfs: await parent(plain) }, { rootfs: second }, randomBuildId(random)),
  ];
  return [
    await asModel(bucket, one, withBlocks(base.rootfs, first), memory),
    await asModel(bucket, two, withBlocks(plain.rootfs, second), undefined),
  ];
}

/** Publishes it, and takes the files of its directory to memory. */
async function asModel(
  bucket: MemoryBucket,
  { manifest, directory }: MadeBuild,
  rootfs: Buffer,
  memfile: Buffer | undefined,
): Promise<ModelChild> {
  await putMadeBuild(bucket, directory, manifest, { clock: systemClock }, never);
  const files = new Map<string, Buffer>();
  for (const name of await readdir(directory)) files.set(name, await readFile(path.join(directory, name)));
  await rm(directory, { recursive: true });
  const { build } = manifest;
  return { build, manifest, rootfs, memfile, snapfile: files.get("snapfile"), files };
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
