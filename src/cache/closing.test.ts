import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Failure } from "../base/failure.ts";
import { eventually, settled } from "../base/testing/virtual-clock.ts";
import { takeCensus } from "../base/testing/census.ts";
import { CacheWorld, never } from "./testing/cache-world.ts";

describe("an end", () => {
  it("C9: of the cache closes every file that it had open", () =>
    CacheWorld.run(async (world) => {
      const { build } = await world.publish();
      const cache = await world.open();
      const lease = await cache.acquire(build, "A", never);
      await lease.openAll(never);
      const open = () => takeCensus().descriptors.filter((name) => name.endsWith(".data")).length;
      assert.equal(open(), 2, "one file for each image");
      await lease[Symbol.asyncDispose]();
      await cache.close();
      assert.equal(open(), 0);
    }));

  it("C15: of a lease comes only after no read of its is under way", () =>
    CacheWorld.run(async (world) => {
      const { build } = await world.publish({ chunks: 4 });
      await using cache = await world.open();
      const lease = await cache.acquire(build, "A", never);
      await lease.open("rootfs", never);
      world.plan = () => ({ kind: "stall", until: new Promise(() => {}) });
      let leasesAtTheEnd = 0;
      const read = lease
        .image("rootfs")
        .read(0, Buffer.alloc(10), never)
        .finally(() => {
          leasesAtTheEnd = cache.inspect().leases.length;
        });
      const given = assert.rejects(read, (error) => Failure.is(error, "cancelled"));
      await settled();
      await Promise.all([given, lease[Symbol.asyncDispose]()]);
      assert.equal(leasesAtTheEnd, 1, "the lease was still held when its last read ended");
      assert.deepEqual(cache.inspect().leases, []);
      await eventually(() => cache.inspect().flights === 0);
    }));

  it("C3, C4: of an opening that nobody waits for leaves no file open, and the next one opens its own", () =>
    CacheWorld.run(async (world) => {
      const { build } = await world.publish();
      await using cache = await world.open();
      const open = () => takeCensus().descriptors.filter((name) => name.includes("memfile.data")).length;
      for (let turns = 0; turns < 30; turns++) {
        // Leaves a little later each time, so that one of them leaves while the file is being opened.
        const lease = await cache.acquire(build, "A", never);
        const leaving = new AbortController();
        const opening = lease.open("memfile", leaving.signal).catch(() => {});
        for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve));
        leaving.abort(new Failure("cancelled", "gone"));
        await Promise.all([opening, lease.open("memfile", never)]);
        assert.equal(open(), 1, `after ${turns} turns`);
        await lease[Symbol.asyncDispose]();
        await cache.evict(build);
        assert.equal(open(), 0, `after ${turns} turns`);
      }
    }));
});
