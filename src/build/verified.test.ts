import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Failure } from "../base/failure.ts";
import { MemoryMeter } from "../base/testing/memory-meter.ts";
import { SeededRandom } from "../base/testing/seeded-random.ts";
import { MemoryBucket } from "../bucket/memory-bucket.ts";
import { chunkBytes } from "./artifact.ts";
import { bucketChunks } from "./bucket-chunks.ts";
import type { Chunk, ChunkSource } from "./chunk-source.ts";
import { IndexBook } from "./index-book.ts";
import { publishRandomBuild } from "./testing/published-build.ts";
import { openIndex } from "./testing/read-device.ts";
import { verified } from "./verified.ts";

const never = new AbortController().signal;

describe("verified", () => {
  it("C11: gives out no chunk that is corrupt, short, over-long or another one, and counts it once", async () => {
    const { request, source, indexes, image } = await scene();
    const flip = (bytes: Uint8Array) => bytes.with(77, (bytes[77] ?? 0) ^ 1);
    const lies: [string, (chunk: Chunk) => Chunk[]][] = [
      ["a flipped bit", ({ index, bytes }) => [{ index, bytes: flip(bytes) }]],
      ["a short chunk", ({ index, bytes }) => [{ index, bytes: bytes.subarray(1) }]],
      ["an empty chunk", ({ index }) => [{ index, bytes: new Uint8Array(0) }]],
      ["an over-long chunk", ({ index, bytes }) => [{ index, bytes: Buffer.concat([bytes, bytes]) }]],
      ["a stale chunk", ({ index }) => [{ index, bytes: image.subarray(0, chunkBytes) }]],
      ["a chunk of zeros", ({ index, bytes }) => [{ index, bytes: new Uint8Array(bytes.length) }]],
      ["a missing chunk", () => []],
      ["a chunk twice", (chunk) => [chunk, chunk]],
      ["a wrong number", ({ index, bytes }) => [{ index: index + 1, bytes }]],
    ];
    for (const [lie, change] of lies) {
      const meter = new MemoryMeter();
      const got: number[] = [];
      const read = async () => {
        const lying = changed(source, (chunk) => (chunk.index === 1 ? change(chunk) : [chunk]));
        for await (const { index } of verified(lying, indexes, meter).read(request, never)) got.push(index);
      };
      await assert.rejects(read(), (error) => Failure.is(error, "corrupt"), lie);
      assert.deepEqual(got, lie === "a chunk twice" ? [0, 1] : [0], `${lie}: only what is good came`);
      assert.equal(meter.get("larder_corrupt_chunks_total", { source: "bucket" }), 1, lie);
    }
  });

  it("C11: refuses a hole that is not all zeros or of another length, a chunk too many and one too few", async () => {
    const { request, source, indexes, index } = await scene();
    const holes = Array.from({ length: index.chunkCount }, (_, i) => i).filter((i) => index.chunk(i).zero);
    assert.ok(holes.length > 0);
    const holesAs = (change: (bytes: Uint8Array) => Uint8Array) =>
      changed(source, ({ index, bytes }) => [
        { index, bytes: holes.includes(index) ? change(bytes) : bytes },
      ]);
    const lastAs = (change: (chunk: Chunk) => Chunk[]) =>
      changed(source, (chunk) => (chunk.index === request.count - 1 ? change(chunk) : [chunk]));
    const lies = [
      holesAs((bytes) => Uint8Array.from(bytes).fill(1, 9, 10)),
      holesAs((bytes) => bytes.subarray(1)),
      holesAs((bytes) => new Uint8Array(2 * bytes.length)),
      lastAs((chunk) => [chunk, { ...chunk, index: chunk.index + 1 }]),
      lastAs(() => []),
    ];
    for (const lying of lies) {
      const chunks = verified(lying, indexes, new MemoryMeter()).read(request, never);
      await assert.rejects(Array.fromAsync(chunks), (error) => Failure.is(error, "corrupt"));
    }
  });

  it("C14: never takes a chunk of one artifact for that of another", async () => {
    const { request, source, indexes } = await scene();
    const other: ChunkSource = {
      name: "confused",
      read: (asked, signal) => source.read({ ...asked, artifact: "memfile" }, signal),
    };
    const chunks = verified(other, indexes, new MemoryMeter()).read(request, never);
    await assert.rejects(Array.fromAsync(chunks), (error) => Failure.is(error, "corrupt"));
  });
});

async function scene() {
  const bucket = new MemoryBucket();
  const published = await publishRandomBuild(bucket, new SeededRandom(21), { chunks: 8 });
  const indexes = new IndexBook();
  const index = await openIndex(bucket, indexes, published.build, "rootfs");
  await openIndex(bucket, indexes, published.build, "memfile");
  assert.ok(!index.chunk(1).zero, "the seed gives a second chunk that is stored");
  const request = { build: published.build, artifact: "rootfs", firstChunk: 0, count: 8 } as const;
  return { request, source: bucketChunks(bucket, indexes), indexes, index, image: published.rootfs };
}

function changed(source: ChunkSource, change: (chunk: Chunk) => Chunk[]): ChunkSource {
  return {
    name: source.name,
    async *read(request, signal) {
      for await (const chunk of source.read(request, signal)) yield* change(chunk);
    },
  };
}
