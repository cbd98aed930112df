import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Failure } from "../base/failure.ts";
import { chunkBytes } from "../build/artifact.ts";
import { realDisk } from "./disk.ts";
import { CacheWorld, never } from "./testing/cache-world.ts";

describe("the floor of free space", () => {
  it("C18: degrades reads to passing through, reported, and they are kept again when the disk has room", () =>
    CacheWorld.run(async (world) => {
      const { build, rootfs } = await world.publish({ chunks: 4 });
      let free = 0;
      const disk = { ...realDisk, freeBytes: async () => free };
      await using cache = await world.open({ freeBytesMin: 2 ** 20, disk });
      await using lease = await cache.acquire(build, "A", never);
      await lease.open("rootfs", never);
      const device = lease.image("rootfs");
      const whole = Buffer.alloc(rootfs.length);
      await device.read(0, whole, never);
      assert.ok(whole.equals(rootfs), "served all the same");
      assert.equal(device.readNow(0, whole), false, "and not kept");
      assert.ok(world.meter.get("larder_cache_passed_through_total") > 0);
      free = 2 ** 30;
      await device.read(0, whole, never);
      assert.equal(device.readNow(0, whole), true);
    }));

  it("C18: is not crossed for a memfile, which fails exhausted and names its bytes", () =>
    CacheWorld.run(async (world) => {
      const { build } = await world.publish({ chunks: 4 });
      const disk = { ...realDisk, freeBytes: async () => 0 };
      await using cache = await world.open({ freeBytesMin: 2 ** 20, disk });
      await using lease = await cache.acquire(build, "A", never);
      const needs = (error: unknown) => Failure.is(error, "exhausted") && /\d{6,} bytes/.test(error.message);
      await assert.rejects(lease.memfile(never), needs);
      assert.ok(cache.inspect().bytes.kept < chunkBytes);
    }));
});
