import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import type { SeededRandom } from "../../base/testing/seeded-random.ts";
import type { Bucket } from "../../bucket/bucket.ts";
import { blockBytes, chunkBytes } from "../artifact.ts";
import type { ArtifactIndex } from "../artifact-index.ts";
import type { Manifest } from "../manifest.ts";
import { publishBuild } from "../publish-build.ts";
import { randomBuildId } from "./random-build-id.ts";
import { randomImage } from "./random-image.ts";
import { randomChanges } from "./random-index.ts";

export interface PublishedBuild {
  readonly build: string;
  readonly manifest: Manifest;
  /** What a reader must see. */
  readonly rootfs: Buffer;
  readonly memfile: Buffer | undefined;
  readonly firstpages?: Buffer | undefined;
  readonly snapfile: Buffer | undefined;
  readonly metafile: Buffer;
  readonly agentDisk: Buffer;
}

export interface PublishedOptions {
  readonly chunks?: number;
  /** False: a build of the file system alone, without memfile and snapfile. */
  readonly memory?: boolean;
  /** It has first pages: an image of two chunks. */
  readonly firstpages?: boolean;
  /** Of the memfile; as many as of the disk unless said. */
  readonly memoryChunks?: number;
}

const never = new AbortController().signal;

/** A small build of random bytes, with chunks of zeros and an odd last chunk, published into `bucket`. */
export async function publishRandomBuild(
  bucket: Bucket,
  random: SeededRandom,
  { chunks = 5, memory = true, memoryChunks = chunks, firstpages = false }: PublishedOptions = {},
): Promise<PublishedBuild> {
  const build = randomBuildId(random);
  const scratch = await mkdtemp(path.join(tmpdir(), "larder-published-"));
  try {
    const write = async (name: string, bytes: Buffer) => {
      await writeFile(path.join(scratch, name), bytes);
      return path.join(scratch, name);
    };
    const rootfs = randomImage(random, chunks);
    const memfile = memory ? randomImage(random, memoryChunks) : undefined;
    const first = firstpages ? random.bytes(2 * chunkBytes) : undefined;
    const snapfile = memory ? random.bytes(5000) : undefined;
    const metafile = Buffer.from(JSON.stringify({ version: 1, seed: random.below(1000) }));
    const agentDisk = random.bytes(20_000);
    const manifest = await publishBuild(
      {
        bucket,
        build,
        createdAt: new Date(0).toISOString(),
        artifacts: {
          rootfs: await write("rootfs", rootfs),
          ...(memfile === undefined ? {} : { memfile: await write("memfile", memfile) }),
          ...(first === undefined ? {} : { firstpages: await write("firstpages", first) }),
          ...(snapfile === undefined ? {} : { snapfile: await write("snapfile", snapfile) }),
        },
        metafile,
        inputs: [{ name: "agent-disk", path: await write("agent-disk", agentDisk) }],
        scratch,
      },
      never,
    );
    return { build, manifest, rootfs, memfile, firstpages: first, snapfile, metafile, agentDisk };
  } finally {
    await rm(scratch, { recursive: true });
  }
}

/** A child of a published build: its rootfs changed in random ranges, nothing else stored by itself. */
export async function publishRandomChild(
  bucket: Bucket,
  random: SeededRandom,
  parent: Pick<PublishedBuild, "manifest" | "rootfs">,
  parentIndex: ArtifactIndex,
): Promise<Pick<PublishedBuild, "build" | "manifest" | "rootfs">> {
  const build = randomBuildId(random);
  const rootfs = Buffer.from(parent.rootfs);
  const changes = randomChanges(random, rootfs.length / blockBytes);
  const stored: Buffer[] = [];
  for (const { offset, length, zero } of changes) {
    const range = rootfs.subarray(offset, offset + length).fill(random.below(256));
    if (zero) range.fill(0);
    else random.bytes(64).copy(range);
    if (!zero) stored.push(range);
  }
  const scratch = await mkdtemp(path.join(tmpdir(), "larder-published-"));
  try {
    const changed = path.join(scratch, "changed");
    await writeFile(changed, Buffer.concat(stored));
    const image = { path: changed, changes, parent: { manifest: parent.manifest, index: parentIndex } };
    const rest = { createdAt: new Date(0).toISOString(), metafile: Buffer.from("{}"), inputs: [], scratch };
    const manifest = await publishBuild({ bucket, build, artifacts: { rootfs: image }, ...rest }, never);
    return { build, manifest, rootfs };
  } finally {
    await rm(scratch, { recursive: true });
  }
}
