import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { zstdCompressSync } from "node:zlib";
import { Failure, type FailureCode } from "../base/failure.ts";
import { type Fault, faulty } from "../base/testing/faulty.ts";
import { SeededRandom } from "../base/testing/seeded-random.ts";
import { settled } from "../base/testing/virtual-clock.ts";
import type { ByteRange } from "../bucket/bucket.ts";
import { MemoryBucket } from "../bucket/memory-bucket.ts";
import { chunkBytes } from "./artifact.ts";
import { bucketChunks } from "./bucket-chunks.ts";
import { IndexBook } from "./index-book.ts";
import { packKey } from "./object-keys.ts";
import { publishRandomBuild } from "./testing/published-build.ts";
import { openIndex } from "./testing/read-device.ts";

const never = new AbortController().signal;

describe("bucketChunks", () => {
  it("asks the bucket once for all stored chunks of a request, and never for zeros", async () => {
    const { request, source, index, ranges, image } = await scene();
    for await (const { index: number, bytes } of source.read(request, never))
      assert.ok(image.subarray(number * chunkBytes, (number + 1) * chunkBytes).equals(bytes));
    assert.deepEqual(ranges, [{ offset: 0, length: index.packBytes }]);
    const zero = request.firstChunk + numbers(request.count).findIndex((i) => index.chunk(i).zero);
    const [hole] = await Array.fromAsync(source.read({ ...request, firstChunk: zero, count: 1 }, never));
    assert.ok(hole?.bytes.every((byte) => byte === 0));
    assert.equal(ranges.length, 1, "a hole is nobody's business");
  });

  it("reads any run of chunks as the image has it", async () => {
    const { request, source, image } = await scene();
    for (let firstChunk = 0; firstChunk < request.count; firstChunk++) {
      for (let count = 1; firstChunk + count <= request.count; count++) {
        const got = await Array.fromAsync(source.read({ ...request, firstChunk, count }, never));
        assert.deepEqual(
          got.map(({ index }) => index),
          numbers(count).map((i) => firstChunk + i),
        );
        const bytes = Buffer.concat(got.map((chunk) => chunk.bytes));
        assert.ok(image.subarray(firstChunk * chunkBytes, (firstChunk + count) * chunkBytes).equals(bytes));
      }
    }
  });

  it("C12: gives out a chunk as soon as its own bytes are there", async () => {
    const stalled = Promise.withResolvers<never>();
    const { request, source } = await scene(async function* (pieces) {
      let given = 0;
      for await (const piece of pieces) {
        if (given > 2 * chunkBytes) await stalled.promise;
        given += piece.length;
        yield piece;
      }
    });
    const got: number[] = [];
    const controller = new AbortController();
    const reading = (async () => {
      for await (const { index } of source.read(request, controller.signal)) got.push(index);
    })();
    while (got.length < 2) await settled();
    stalled.reject(new Failure("unavailable", "reset"));
    await assert.rejects(reading, (error) => Failure.is(error, "unavailable"));
    assert.ok(got.length < request.count);
  });

  it("fails with the kind that fits when the pack is cut off, damaged or gone", async () => {
    const { request, source, bucket, key } = await scene();
    const pack = await Array.fromAsync(bucket.read(key, undefined, never));
    const whole = Buffer.concat(pack);
    const fails = async (code: FailureCode) => {
      const read = Array.fromAsync(source.read(request, never));
      await assert.rejects(read, (error) => Failure.is(error, code));
    };
    await bucket.put(key, whole.subarray(0, whole.length - 1), {}, never);
    await fails("corrupt");
    await bucket.put(key, Buffer.alloc(whole.length, 0x5a), {}, never);
    await fails("corrupt");
    await bucket.delete(key, never);
    await fails("not_found");
  });

  it("C11: never decompresses into more than a chunk", async () => {
    const { request, source, bucket, key, index } = await scene();
    const whole = Buffer.concat(await Array.fromAsync(bucket.read(key, undefined, never)));
    const bomb = zstdCompressSync(Buffer.alloc(2 ** 24));
    const place = index.chunk(0);
    assert.ok(!place.zero && place.codec === "zstd" && place.packedBytes > bomb.length);
    bomb.copy(whole, place.packOffset);
    await bucket.put(key, whole, {}, never);
    const read = Array.fromAsync(source.read({ ...request, count: 1 }, never));
    await assert.rejects(read, (error) => {
      assert.ok(Failure.is(error, "corrupt"));
      return (error.cause as NodeJS.ErrnoException).code === "ERR_BUFFER_TOO_LARGE";
    });
  });

  it("stops reading the bucket when its reader stops early", async () => {
    let stopped = 0;
    const { request, source } = await scene(async function* (pieces) {
      try {
        yield* pieces;
      } finally {
        stopped += 1;
      }
    });
    for await (const _chunk of source.read(request, never)) break;
    assert.equal(stopped, 1);
  });
});

type Stream = (pieces: AsyncIterable<Uint8Array>) => AsyncIterable<Uint8Array>;

/**
 * A published build, a source over its bucket that notes the ranges it is asked for, and what `stream` makes
 * of them.
 */
async function scene(stream: Stream = (pieces) => pieces) {
  const bucket = new MemoryBucket();
  const published = await publishRandomBuild(bucket, new SeededRandom(21), { chunks: 8 });
  const indexes = new IndexBook();
  const index = await openIndex(bucket, indexes, published.build, "rootfs");
  const ranges: ByteRange[] = [];
  const noting = faulty(bucket, (method, args): Fault | undefined => {
    if (method === "read") ranges.push(args[1] as ByteRange);
    return undefined;
  });
  const streaming = Object.assign(Object.create(noting) as MemoryBucket, {
    read: (...args: Parameters<MemoryBucket["read"]>) => stream(noting.read(...args)),
  });
  const request = { build: published.build, artifact: "rootfs", firstChunk: 0, count: 8 } as const;
  const key = packKey(published.build, "rootfs");
  return {
    request,
    source: bucketChunks(streaming, indexes),
    bucket,
    key,
    index,
    ranges,
    image: published.rootfs,
  };
}

function numbers(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}
