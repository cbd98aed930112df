import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { chunkBytes } from "../build/artifact.ts";
import { SharedView } from "./shared-view.ts";
import { CacheWorld, never } from "./testing/cache-world.ts";

describe("SharedView", () => {
  it("C23: shows what is kept, and fetches nothing", () =>
    CacheWorld.run(async (world) => {
      const { build, rootfs } = await world.publish({ chunks: 3 });
      await using cache = await world.open();
      const view = new SharedView(cache);
      assert.equal(view.claim(build), undefined);
      const lease = await cache.acquire(build, "a sandbox", never);
      await lease.open("rootfs", never);
      await lease.image("rootfs").read(0, Buffer.alloc(rootfs.length), never);
      await lease[Symbol.asyncDispose]();
      const requests = world.requests.length;
      await using shared = view.claim(build);
      assert.ok(shared !== undefined && !shared.leased);
      assert.equal(await shared.kept("memfile", never), undefined);
      const image = await shared.kept("rootfs", never);
      assert.ok(image !== undefined && image.has(0));
      assert.deepEqual(image.read(0), rootfs.subarray(0, chunkBytes));
      assert.equal(world.requests.length, requests);
    }));

  it("C23: a build cannot be evicted while a peer reads it, and a peer's lease is no use of the build", () =>
    CacheWorld.run(async (world) => {
      const { build } = await world.publish();
      await using cache = await world.open();
      const view = new SharedView(cache);
      const lease = await cache.acquire(build, "a sandbox", never);
      const shared = view.claim(build);
      assert.equal(shared?.leased, true);
      await lease[Symbol.asyncDispose]();
      assert.equal(shared?.leased, false);
      assert.equal(await cache.evict(build), false);
      await shared?.[Symbol.asyncDispose]();
      assert.equal(await cache.evict(build), true);
    }));

  it("C23: a peer waits for the flight that is under way", () =>
    CacheWorld.run(async (world) => {
      const { build, rootfs } = await world.publish({ chunks: 3 });
      await using cache = await world.open();
      await using lease = await cache.acquire(build, "a sandbox", never);
      await lease.open("rootfs", never);
      await using shared = new SharedView(cache).claim(build);
      const image = await shared?.opened("rootfs", never);
      assert.equal(image?.has(0), false);
      const reading = lease.image("rootfs").read(0, Buffer.alloc(4096), never);
      assert.deepEqual(await image?.fetched(0, never), rootfs.subarray(0, chunkBytes));
      await reading;
      assert.equal(world.asked("rootfs.pack"), 1);
    }));
});
