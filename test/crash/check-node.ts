import assert from "node:assert/strict";
import { hash } from "node:crypto";
import { access, readdir } from "node:fs/promises";
import path from "node:path";
import type { Bucket } from "../../src/bucket/bucket.ts";
import { DirectoryBucket } from "../../src/bucket/directory-bucket.ts";
import { fileArtifacts, imageArtifacts } from "../../src/build/artifact.ts";
import type { FileEntry, ImageEntry } from "../../src/build/manifest.ts";
import { blobKey, fileKey, indexKey, packKey } from "../../src/build/object-keys.ts";
import { readSmall } from "../../src/build/read-small.ts";
import { readManifest, surveyBucket } from "../../src/build/survey-bucket.ts";
import { realDisk } from "../../src/cache/disk.ts";
import { CrashNode, openStore } from "./crash-node.ts";
import { baseImage, fills } from "./node-workload.ts";
import { never, type Place } from "./workload.ts";

const bytesMax = 2 ** 26;

/** C26: every build that exists is whole, and so is all that it refers to. */
export async function checkBucket(place: Place): Promise<void> {
  await using bucket = new DirectoryBucket(place.bucket);
  const { builds } = await surveyBucket(bucket, never);
  for (const [build, { publishedAt }] of builds) {
    if (publishedAt === undefined) continue;
    const manifest = await readManifest(bucket, build, never);
    assert.ok(manifest !== undefined);
    for (const { build: ancestor } of manifest.ancestors)
      assert.ok(builds.get(ancestor)?.publishedAt !== undefined, `parent ${ancestor} of ${build} exists`);
    for (const artifact of imageArtifacts) {
      const image: ImageEntry | undefined = manifest[artifact];
      if (image === undefined) continue;
      await checkObject(bucket, indexKey(build, artifact), image.index);
      assert.equal((await bucket.head(packKey(build, artifact), never)).bytes, image.packBytes);
    }
    for (const artifact of fileArtifacts) {
      const entry = manifest[artifact];
      if (entry !== undefined) await checkObject(bucket, fileKey(build, artifact), entry);
    }
    for (const input of manifest.inputs) await checkObject(bucket, blobKey(input.digest), input);
  }
}

async function checkObject(bucket: Bucket, key: string, { bytes, digest }: FileEntry): Promise<void> {
  const content = await readSmall(bucket, key, bytesMax, never);
  assert.deepEqual([content.length, hash("sha256", content)], [bytes, digest], key);
}

/**
 * The next start: every sandbox that slept and every name has its build, byte for byte (C27), and what was not
 * published is by and by. `old` is what the first sandbox was made from.
 */
export async function checkNode(place: Place, old: Buffer): Promise<void> {
  await using node = await CrashNode.open(place, realDisk);
  const { store } = node;
  const images = imagesOver(old);
  const wanted: [string, Buffer][] = (await store.sandboxes.all()).map(({ id, build }) => [
    build,
    images(id),
  ]);
  for (const { template, builds } of await store.cards.all()) {
    for (const { id, recipe } of builds) {
      if (template.name === "snap") wanted.push([id, images("snap")]);
      if (template.name === "base") wanted.push([id, baseImage(recipe)]);
    }
  }
  for (const [build, image] of wanted) assert.ok((await node.read(build)).equals(image), `build ${build}`);
  await node.published();
  const { builds } = await surveyBucket(node.bucket, never);
  for (const [build] of wanted)
    assert.ok(builds.get(build)?.publishedAt !== undefined, `${build} is published`);
}

/** After all was done in the end: nothing is left that nothing leads to, and an import finds every name. */
export async function checkEnd(place: Place): Promise<void> {
  await using store = await openStore(place.data);
  await using again = await openStore(place.data, "again.db");
  assert.deepEqual(await again.cards.all(), await store.cards.all());
  await using bucket = new DirectoryBucket(place.bucket);
  const { builds, blobs } = await surveyBucket(bucket, never);
  const manifests = await Promise.all([...builds.keys()].map((build) => readManifest(bucket, build, never)));
  const needed = await store.cards.needed();
  for (const manifest of manifests) {
    assert.ok(manifest !== undefined, "what a publish left that never ended is gone");
    if (needed.has(manifest.build)) for (const ancestor of manifest.ancestors) needed.add(ancestor.build);
  }
  assert.deepEqual(new Set(builds.keys()), needed);
  const named = manifests.flatMap((manifest) => manifest?.inputs.map(({ digest }) => digest) ?? []);
  assert.deepEqual(new Set(blobs.keys()), new Set(named));
  assert.deepEqual(await readdir(path.join(place.data, "unpublished")), []);
  assert.deepEqual(await readdir(path.join(place.data, "made")), []);
  await assert.rejects(access(path.join(place.bucket, ".uploads")));
}

function imagesOver(old: Buffer): (id: string) => Buffer {
  const image = Buffer.from(old);
  const all = new Map<string, Buffer>();
  for (const [id, [block, byte]] of Object.entries(fills)) {
    image.fill(byte, block * 4096, (block + 1) * 4096);
    all.set(id, Buffer.from(image));
  }
  return (id) => all.get(id) ?? Buffer.alloc(0);
}
