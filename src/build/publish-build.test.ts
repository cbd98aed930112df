import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, it } from "node:test";
import { Failure, type FailureCode } from "../base/failure.ts";
import { silentMeter } from "../base/meter.ts";
import { type FaultPlan, faulty } from "../base/testing/faulty.ts";
import { SeededRandom } from "../base/testing/seeded-random.ts";
import type { Bucket } from "../bucket/bucket.ts";
import { MemoryBucket } from "../bucket/memory-bucket.ts";
import { blockBytes, chunkBytes } from "./artifact.ts";
import { bucketChunks } from "./bucket-chunks.ts";
import { IndexBook } from "./index-book.ts";
import { parseManifest } from "./manifest.ts";
import { blobKey } from "./object-keys.ts";
import { publishRandomBuild, publishRandomChild } from "./testing/published-build.ts";
import { openIndex, readDevice, readObject } from "./testing/read-device.ts";
import { verified } from "./verified.ts";

const never = new AbortController().signal;

describe("a published build", () => {
  it("reads back as it was, zeros included, and its files are what the manifest says", async () => {
    await using bucket = new MemoryBucket();
    const published = await publishRandomBuild(bucket, new SeededRandom(1), { chunks: 9 });
    const { build } = published;
    const { source, book } = sourceOf(bucket);
    const manifest = parseManifest(await readObject(bucket, { kind: "manifest", build }), build);
    assert.deepEqual(manifest, published.manifest);
    for (const artifact of ["rootfs", "memfile"] as const) {
      const index = await openIndex(bucket, book, build, artifact);
      assert.ok((await readDevice(index, source)).equals(published[artifact] ?? Buffer.alloc(0)));
      const encoded = await readObject(bucket, { kind: "index", build, artifact });
      assert.deepEqual(manifest[artifact]?.index, entryOf(encoded));
    }
    for (const artifact of ["snapfile", "metafile"] as const) {
      const bytes = await readObject(bucket, { kind: "file", build, artifact });
      assert.ok(bytes.equals(published[artifact] ?? Buffer.alloc(0)));
      assert.deepEqual(manifest[artifact], entryOf(bytes));
    }
    const [input] = manifest.inputs;
    assert.deepEqual(input, { name: "agent-disk", ...entryOf(published.agentDisk) });
    const blob = await readObject(bucket, { kind: "blob", ...(input ?? assert.fail()), build });
    assert.ok(blob.equals(published.agentDisk));
  });

  it("over a chain of random parents reads as the model says, byte by byte", async () => {
    for (const seed of [11, 12, 13]) {
      const random = new SeededRandom(seed);
      await using bucket = new MemoryBucket();
      const { source, book } = sourceOf(bucket);
      const base = await publishRandomBuild(bucket, random, { chunks: 5, memory: false });
      let child = await publishRandomChild(
        bucket,
        random,
        base,
        await openIndex(bucket, book, base.build, "rootfs"),
      );
      for (let i = 0; i < 3; i++) {
        const parent = await openIndex(bucket, book, child.build, "rootfs");
        child = await publishRandomChild(bucket, random, child, parent);
      }
      const index = await openIndex(bucket, book, child.build, "rootfs");
      assert.ok((await readDevice(index, source)).equals(child.rootfs), `seed ${seed}`);
      const named = child.manifest.ancestors.map(({ build }) => build).sort();
      assert.deepEqual(
        named,
        index
          .builds()
          .filter((build) => build !== child.build)
          .sort(),
      );
      for (const { build, index: entry } of child.manifest.ancestors)
        assert.deepEqual(
          entry,
          entryOf(await readObject(bucket, { kind: "index", build, artifact: "rootfs" })),
        );
    }
  });

  it("C26: does not exist until its manifest does", async () => {
    await using bucket = new MemoryBucket();
    const failing = faulty(bucket, manifestFails);
    await assert.rejects(publishRandomBuild(failing, new SeededRandom(2)), isFailure("unavailable"));
    const { objects } = await bucket.list("builds/", {}, never);
    assert.equal(objects.length, 6, "all but the manifest was put");
    assert.ok(objects.every(({ key }) => !key.endsWith("manifest.json")));
    const { build } = await publishRandomBuild(bucket, new SeededRandom(2));
    assert.ok(
      (await bucket.list(`builds/${build}/`, {}, never)).objects.length === 7,
      "and it can be tried again",
    );
  });

  it("C26: is never published twice, and no byte of it is ever put again", async () => {
    await using bucket = new MemoryBucket();
    const { build } = await publishRandomBuild(bucket, new SeededRandom(3));
    const before = (await bucket.list("", {}, never)).objects;
    const again = publishRandomBuild(bucket, new SeededRandom(3), { chunks: 3 });
    await assert.rejects(again, (error) => Failure.is(error, "conflict") && error.message.includes(build));
    assert.deepEqual((await bucket.list("", {}, never)).objects, before);
  });

  it("C26: is published by one of two who do it at the same moment", async () => {
    await using bucket = new MemoryBucket();
    await publishRandomBuild(bucket, new SeededRandom(3));
    const late = faulty(bucket, (method) =>
      method === "head" ? { kind: "fail", code: "not_found" } : undefined,
    );
    await assert.rejects(publishRandomBuild(late, new SeededRandom(3)), isFailure("conflict"));
  });

  it("C26: over a parent is published only after the parent", async () => {
    await using bucket = new MemoryBucket();
    const random = new SeededRandom(4);
    const base = await publishRandomBuild(bucket, random, { memory: false });
    const index = await openIndex(bucket, new IndexBook(), base.build, "rootfs");
    await bucket.delete(`builds/${base.build}/manifest.json`, never);
    const before = (await bucket.list("", {}, never)).objects;
    await assert.rejects(publishRandomChild(bucket, random, base, index), isFailure("not_found"));
    assert.deepEqual((await bucket.list("", {}, never)).objects, before);
  });

  it("never guesses an ancestor", async () => {
    await using bucket = new MemoryBucket();
    const random = new SeededRandom(5);
    const base = await publishRandomBuild(bucket, random, { memory: false });
    const book = new IndexBook();
    const child = await publishRandomChild(
      bucket,
      random,
      base,
      await openIndex(bucket, book, base.build, "rootfs"),
    );
    const silent = { ...child, manifest: { ...child.manifest, ancestors: [] } };
    const index = await openIndex(bucket, book, child.build, "rootfs");
    await assert.rejects(publishRandomChild(bucket, random, silent, index), isFailure("invalid"));
  });

  it("without memory is stored without inventing one", async () => {
    await using bucket = new MemoryBucket();
    const { manifest } = await publishRandomBuild(bucket, new SeededRandom(6), { memory: false });
    assert.equal(manifest.memfile, undefined);
    assert.equal(manifest.snapfile, undefined);
    assert.equal(manifest.rootfs?.bytes, 4 * chunkBytes + blockBytes);
  });

  it("shares its inputs with other builds, and mends one that is cut off", async () => {
    await using bucket = new MemoryBucket();
    const puts: string[] = [];
    const watched = faulty(bucket, (method, [key]) => {
      if (method === "put") puts.push(String(key));
      return undefined;
    });
    const { agentDisk, manifest } = await publishRandomBuild(watched, new SeededRandom(7));
    const key = blobKey(manifest.inputs[0]?.digest ?? "");
    await bucket.delete(`builds/${manifest.build}/manifest.json`, never);
    await publishRandomBuild(watched, new SeededRandom(7));
    assert.equal(puts.filter((put) => put === key).length, 1);
    await bucket.put(key, agentDisk.subarray(1), {}, never);
    await bucket.delete(`builds/${manifest.build}/manifest.json`, never);
    await publishRandomBuild(watched, new SeededRandom(7));
    assert.equal((await bucket.head(key, never)).bytes, agentDisk.length);
  });
});

const manifestFails: FaultPlan = (method, [key]) =>
  method === "put" && String(key).endsWith("manifest.json")
    ? { kind: "fail", code: "unavailable" }
    : undefined;

function sourceOf(bucket: Bucket) {
  const book = new IndexBook();
  return { book, source: verified(bucketChunks(bucket, book), book, silentMeter) };
}

function entryOf(bytes: Buffer) {
  return { bytes: bytes.length, digest: createHash("sha256").update(bytes).digest("hex") };
}

function isFailure(code: FailureCode): (error: unknown) => boolean {
  return (error) => Failure.is(error, code);
}
