import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Failure } from "../base/failure.ts";
import { faulty } from "../base/testing/faulty.ts";
import { eventually } from "../base/testing/virtual-clock.ts";
import { bucketChunks } from "../build/bucket-chunks.ts";
import { chunkBytes } from "../build/artifact.ts";
import type { ChunkSource } from "../build/chunk-source.ts";
import { IndexBook } from "../build/index-book.ts";
import { verified } from "../build/verified.ts";
import type { TemplateCache } from "./template-cache.ts";
import { CacheWorld, never } from "./testing/cache-world.ts";

/** A cache over a source that gives whole chunks of wrong bytes while `lies` says so of their number. */
function openOverLiar(world: CacheWorld, lies: (chunk: number) => boolean): Promise<TemplateCache> {
  const indexes = new IndexBook();
  const honest = bucketChunks(world.bucket, indexes);
  const liar = {
    name: "liar",
    async *read(...[request, signal]: Parameters<typeof honest.read>) {
      for await (const { index, bytes } of honest.read(request, signal)) {
        yield { index, bytes: lies(index) ? bytes.map((byte) => byte ^ 1) : bytes };
      }
    },
  };
  const chunks = verified(
    faulty(liar, () => undefined),
    indexes,
    world.meter,
  );
  return world.open({ chunks, indexes });
}

describe("a bad chunk", () => {
  it("C11: of the right size is neither served nor kept, and the next read heals", () =>
    CacheWorld.run(async (world) => {
      const { build, rootfs } = await world.publish({ chunks: 4 });
      let lying = true;
      await using cache = await openOverLiar(world, () => lying);
      await using lease = await cache.acquire(build, "A", never);
      await lease.open("rootfs", never);
      const device = lease.image("rootfs");
      const into = Buffer.alloc(100);
      await assert.rejects(device.read(0, into, never), (error) => Failure.is(error, "corrupt"));
      assert.ok(into.equals(Buffer.alloc(100)), "not a byte was handed out");
      assert.equal(device.readNow(0, into), false);
      lying = false;
      await world.patiently(device.read(0, into, never));
      assert.ok(into.equals(rootfs.subarray(0, 100)));
    }));

  it("C5, C7: fails only the reads that need it, and slows nobody else", () =>
    CacheWorld.run(async (world) => {
      const { build, rootfs } = await world.publish({ chunks: 40 });
      await using cache = await openOverLiar(world, (chunk) => chunk === 0);
      await using lease = await cache.acquire(build, "A", never);
      await lease.open("rootfs", never);
      const device = lease.image("rootfs");
      const neighbour = Buffer.alloc(100);
      const inSameRequest = Array.from({ length: 15 }, (_, i) => (i + 1) * chunkBytes);
      const at = inSameRequest.find((offset) => rootfs[offset] !== 0) ?? assert.fail("no chunk with data");
      const together = device.read(at, neighbour, never);
      await assert.rejects(device.read(0, Buffer.alloc(1), never), (error) => Failure.is(error, "corrupt"));
      await together;
      assert.ok(neighbour.equals(rootfs.subarray(at, at + 100)));
      // The clock stands still: whoever waited for a pause would wait for ever.
      const rest = Buffer.alloc(rootfs.length - chunkBytes);
      await device.read(chunkBytes, rest, never);
      assert.ok(rest.equals(rootfs.subarray(chunkBytes)));
    }));

  it("C4, C15: that ends a read ends what that read has begun besides", () =>
    CacheWorld.run(async (world) => {
      const { build } = await world.publish({ chunks: 8, memory: false });
      const held = Promise.withResolvers<void>();
      const chunks: ChunkSource = {
        name: "one that is bad and one that hangs",
        async *read({ firstChunk }) {
          if (firstChunk > 0) await held.promise;
          yield* [];
        },
      };
      await using cache = await world.open({ chunks });
      await using lease = await cache.acquire(build, "A", never);
      await lease.open("rootfs", never);
      const device = lease.image("rootfs");
      await assert.rejects(device.read(0, Buffer.alloc(device.bytes), never));
      await eventually(() => cache.inspect().flights === 0);
      held.resolve();
    }));
});
