import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { describe, it } from "node:test";
import { Failure } from "../base/failure.ts";
import { faulty } from "../base/testing/faulty.ts";
import { SeededRandom } from "../base/testing/seeded-random.ts";
import { MemoryBucket } from "../bucket/memory-bucket.ts";
import { blockBytes, chunkBytes, type ImageArtifact, imageArtifacts } from "./artifact.ts";
import { ArtifactIndex } from "./artifact-index.ts";
import { bucketChunks } from "./bucket-chunks.ts";
import { bucketObjects } from "./bucket-objects.ts";
import { silentMeter } from "../base/meter.ts";
import { IndexBook } from "./index-book.ts";
import { encodeManifest, parseManifest } from "./manifest.ts";
import type { ObjectName } from "./object-source.ts";
import { publishRandomBuild } from "./testing/published-build.ts";
import { verified } from "./verified.ts";

const never = new AbortController().signal;

describe("a published build", () => {
  it("reads back as it was, chunk by chunk, zeros included", async () => {
    await using bucket = new MemoryBucket();
    const published = await publishRandomBuild(bucket, new SeededRandom(1), { chunks: 9 });
    const indexes = new IndexBook();
    const source = verified(bucketChunks(bucket, indexes), indexes, silentMeter);
    for (const artifact of imageArtifacts) {
      const index = await openIndex(bucket, published.build, artifact);
      indexes.set(index);
      const image = published[artifact] ?? Buffer.alloc(0);
      assert.equal(index.deviceBytes, image.length);
      const request = { build: published.build, artifact, firstChunk: 0, count: index.chunkCount };
      for await (const { index, bytes } of source.read(request, never)) {
        const expected = image.subarray(index * chunkBytes, (index + 1) * chunkBytes);
        assert.ok(expected.equals(bytes), `chunk ${index} of ${artifact}`);
      }
    }
  });

  it("C26: does not exist until its manifest does, and is put once", async () => {
    await using bucket = new MemoryBucket();
    const failing = faulty(bucket, (method, [key]) =>
      method === "put" && String(key).endsWith("manifest.json")
        ? { kind: "fail", code: "unavailable" }
        : undefined,
    );
    await assert.rejects(publishRandomBuild(failing, new SeededRandom(2)), (error) =>
      Failure.is(error, "unavailable"),
    );
    const { objects } = await bucket.list("builds/", {}, never);
    assert.ok(objects.length > 4, "all but the manifest was put");
    assert.ok(objects.every(({ key }) => !key.endsWith("manifest.json")));
  });

  it("stores a build without memory without inventing one", async () => {
    await using bucket = new MemoryBucket();
    const { manifest } = await publishRandomBuild(bucket, new SeededRandom(3), { memory: false });
    assert.equal(manifest.memfile, undefined);
    assert.equal(manifest.snapfile, undefined);
    assert.equal(manifest.rootfs?.bytes, 4 * chunkBytes + blockBytes);
  });
});

describe("a manifest", () => {
  it("is refused with a sentence when it is cut, or says anything it must not", async () => {
    await using bucket = new MemoryBucket();
    const { manifest, build } = await publishRandomBuild(bucket, new SeededRandom(4));
    const bytes = encodeManifest(manifest);
    assert.deepEqual(parseManifest(bytes, build), manifest);
    for (let at = 0; at < bytes.length - 2; at++) {
      assert.throws(() => parseManifest(bytes.subarray(0, at), build), corrupt, `cut at ${at}`);
    }
    for (let at = 0; at < bytes.length; at++) {
      const flipped = Buffer.from(bytes);
      flipped[at] = (flipped[at] ?? 0) ^ 0x80; // no longer ASCII
      assert.throws(() => parseManifest(flipped, build), corrupt, `flipped at ${at}`);
    }
    const wrong = [
      { ...manifest, build: randomUUID() },
      { ...manifest, unknown: 1 },
      { ...manifest, metafile: undefined },
      { ...manifest, rootfs: { ...manifest.rootfs, bytes: 4097 } },
      { ...manifest, inputs: [{ name: "agent-disk", digest: "zz", bytes: 1 }] },
    ];
    for (const value of wrong)
      assert.throws(() => parseManifest(Buffer.from(JSON.stringify(value)), build), corrupt);
  });

  it("of a newer version is refused by its number", () => {
    const newer = Buffer.from(JSON.stringify({ formatVersion: 2, anything: true }));
    assert.throws(
      () => parseManifest(newer, randomUUID()),
      (error) => Failure.is(error, "invalid") && error.message.includes("version 2"),
    );
  });
});

async function openIndex(
  bucket: MemoryBucket,
  build: string,
  artifact: ImageArtifact,
): Promise<ArtifactIndex> {
  const object: ObjectName = { kind: "index", build, artifact };
  const pieces: Uint8Array[] = [];
  for await (const piece of bucketObjects(bucket).read(object, never)) pieces.push(piece);
  return ArtifactIndex.decode(Buffer.concat(pieces), { build, artifact });
}

function corrupt(error: unknown): boolean {
  return Failure.is(error, "corrupt") && error.message.length > 10;
}
