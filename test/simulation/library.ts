import { readdir, readFile, rm } from "node:fs/promises";
import path from "node:path";
import { systemClock } from "../../src/base/clock.ts";
import { SeededRandom } from "../../src/base/testing/seeded-random.ts";
import { MemoryBucket } from "../../src/bucket/memory-bucket.ts";
import {
  blockBytes,
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
import { type Blocks, makeChild, withBlocks } from "../../src/cache/testing/made-build.ts";
import { type PublishedBuild, publishRandomBuild } from "../../src/build/testing/published-build.ts";

const blocksPerChunk = chunkBytes / blockBytes;
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
  /** What is put of it when it is published. */
  readonly objects: ReadonlyMap<string, Buffer>;
}

/** What all worlds share, because it never changes: builds in a bucket, and their chunks, unpacked. */
export interface Library {
  /** What is in the bucket from the start. */
  readonly objects: ReadonlyMap<string, Buffer>;
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
  const base = await publishRandomBuild(bucket, random, { chunks: 4, firstpages: true });
  const plain = await publishRandomBuild(bucket, random, { chunks: 5, memory: false });
  const child = await makeDiskChild(
    bucket,
    base,
    { 2: 1, 3: 1, [blocksPerChunk]: 0, [3 * blocksPerChunk]: 2 },
    random,
  );
  const builds: ModelBuild[] = [base, plain, child];
  const objects = await objectsBelow(bucket, "");
  const children = await makeChildren(bucket, base, plain);
  const chunks = new Map<string, readonly Buffer[]>();
  for (const { build, manifest } of [...builds, ...children]) {
    for (const artifact of imageArtifacts) {
      if (manifest[artifact] === undefined) continue;
      chunks.set(`${build}/${artifact}`, await unpack(bucket, await indexOf(bucket, build, artifact)));
    }
  }
  return { objects, builds, children, chunks };
}

/** One with a memory of its own, one of a disk alone, and one over the first. */
async function makeChildren(
  bucket: MemoryBucket,
  base: PublishedBuild,
  plain: PublishedBuild,
): Promise<ModelChild[]> {
  const random = new SeededRandom(43);
  const memfile = random.bytes(chunkBytes + 3 * blockBytes);
  const rootfs = { 1: 7, [blocksPerChunk + 1]: 9, [blocksPerChunk + 2]: 0 };
  const made = await makeChild(
    { rootfs: await parentOf(bucket, base) },
    { rootfs, memfile },
    randomBuildId(random),
  );
  const first = await asModel(bucket, made, withBlocks(base.rootfs, rootfs), memfile);
  return [
    first,
    await makeDiskChild(
      bucket,
      plain,
      { 0: 5, [blocksPerChunk * 2]: 6, [blocksPerChunk * 2 + 1]: 6 },
      random,
    ),
    await makeDiskChild(bucket, first, { 1: 8, 2: 8 }, random),
  ];
}

async function makeDiskChild(
  bucket: MemoryBucket,
  parent: ModelBuild,
  rootfs: Blocks,
  random: SeededRandom,
): Promise<ModelChild> {
  const made = await makeChild({ rootfs: await parentOf(bucket, parent) }, { rootfs }, randomBuildId(random));
  return await asModel(bucket, made, withBlocks(parent.rootfs, rootfs), undefined);
}

async function parentOf(bucket: MemoryBucket, { build, manifest }: ModelBuild) {
  return { manifest, index: await indexOf(bucket, build, "rootfs") };
}

/** Publishes it, and takes the files of its directory to memory. */
async function asModel(
  bucket: MemoryBucket,
  { manifest, directory }: MadeBuild,
  rootfs: Buffer,
  memfile: Buffer | undefined,
): Promise<ModelChild> {
  await putMadeBuild({ bucket, made: { manifest, directory }, clock: systemClock }, never);
  const files = new Map<string, Buffer>();
  for (const name of await readdir(directory)) files.set(name, await readFile(path.join(directory, name)));
  await rm(directory, { recursive: true });
  const { build } = manifest;
  const objects = await objectsBelow(bucket, `builds/${build}/`);
  return { build, manifest, rootfs, memfile, snapfile: files.get("snapfile"), files, objects };
}

async function objectsBelow(bucket: MemoryBucket, prefix: string): Promise<Map<string, Buffer>> {
  const objects = new Map<string, Buffer>();
  for (const { key } of (await bucket.list(prefix, {}, never)).objects)
    objects.set(key, Buffer.concat(await Array.fromAsync(bucket.read(key, undefined, never))));
  return objects;
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
