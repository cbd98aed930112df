import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Failure } from "../base/failure.ts";
import { settled } from "../base/testing/virtual-clock.ts";
import { chunkBytes } from "../build/artifact.ts";
import { CacheWorld, never } from "./testing/cache-world.ts";

const chunk = (index: number, bytes: Buffer) => bytes.subarray(index * chunkBytes, (index + 1) * chunkBytes);

describe("reading", () => {
  it("C11: what is corrupt, short or stale is neither served nor kept, and the next read heals", () =>
    CacheWorld.run(async (world) => {
      const { build, rootfs } = await world.publish();
      await using cache = await world.open();
      await using lease = await cache.acquire(build, "A", never);
      await lease.open("rootfs", never);
      const device = lease.image("rootfs");
      const into = Buffer.alloc(4096);
      for (const change of [(b: Uint8Array) => b.map((x) => x ^ 1), (b: Uint8Array) => b.subarray(1)]) {
        world.plan = () => ({ kind: "change", bytes: change });
        const read = device.read(0, into, never);
        read.catch(() => {});
        await world.clock.advance(10_000);
        await assert.rejects(read, (error) => Failure.is(error, "corrupt"));
        assert.equal(device.readNow(0, into), false);
      }
      assert.ok(world.meter.get("larder_corrupt_chunks_total", { source: "bucket" }) > 0);
      world.plan = () => undefined;
      const healed = device.read(0, into, never);
      await world.clock.advance(10_000);
      await healed;
      assert.ok(into.equals(rootfs.subarray(0, 4096)));
    }));

  it("C12: a waiter is released as soon as its chunk is there, whatever becomes of the rest of the request", () =>
    CacheWorld.run(async (world) => {
      const { build, rootfs } = await world.publish({ chunks: 8 });
      const gate = Promise.withResolvers<void>();
      const rest = {
        name: "slow",
        async *read({ firstChunk }: { firstChunk: number }) {
          yield { index: firstChunk, bytes: chunk(firstChunk, rootfs) };
          await gate.promise;
          throw new Failure("denied", "the rest is not to be had");
        },
      };
      await using cache = await world.open({ chunks: rest });
      await using lease = await cache.acquire(build, "A", never);
      await lease.open("rootfs", never);
      const into = Buffer.alloc(100);
      await lease.image("rootfs").read(0, into, never);
      assert.ok(into.equals(rootfs.subarray(0, 100)));
      const second = lease.image("rootfs").read(chunkBytes, into, never);
      await settled();
      gate.resolve();
      await assert.rejects(second);
      assert.equal(lease.image("rootfs").readNow(0, into), true, "what came is kept");
    }));

  it("C13: a read that finds everything on the shelf is answered without waiting", () =>
    CacheWorld.run(async (world) => {
      const { build, rootfs } = await world.publish();
      await using cache = await world.open();
      await using lease = await cache.acquire(build, "A", never);
      await lease.open("rootfs", never);
      const device = lease.image("rootfs");
      const whole = Buffer.alloc(device.bytes);
      assert.equal(device.readNow(0, whole), false);
      await device.read(0, whole, never);
      whole.fill(0xff);
      assert.equal(device.readNow(0, whole), true);
      assert.ok(whole.equals(rootfs));
    }));

  it("C14: what is ready of one build never satisfies a reader of another", () =>
    CacheWorld.run(async (world) => {
      const [one, two] = [await world.publish(), await world.publish()];
      await using cache = await world.open();
      await using first = await cache.acquire(one.build, "A", never);
      await using second = await cache.acquire(two.build, "B", never);
      await Promise.all([first.open("rootfs", never), second.open("rootfs", never)]);
      const into = Buffer.alloc(64);
      await first.image("rootfs").read(0, into, never);
      assert.equal(second.image("rootfs").readNow(0, into), false);
      await second.image("rootfs").read(0, into, never);
      assert.ok(into.equals(two.rootfs.subarray(0, 64)));
    }));
});
