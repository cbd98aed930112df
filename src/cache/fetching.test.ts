import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Failure } from "../base/failure.ts";
import { eventually, settled } from "../base/testing/virtual-clock.ts";
import { chunkBytes } from "../build/artifact.ts";
import { CacheWorld, never } from "./testing/cache-world.ts";

describe("fetching", () => {
  it("C1: everybody who wants the same missing thing at once shares one flight and its outcome", () =>
    CacheWorld.run(async (world) => {
      const published = await world.publish();
      await using cache = await world.open();
      const leases = await Promise.all(
        Array.from({ length: 50 }, (_, i) => cache.acquire(published.build, `${i}`, never)),
      );
      await Promise.all(leases.map((lease) => lease.openAll(never)));
      const blocks = await Promise.all(
        leases.map(async (lease) => {
          const into = Buffer.alloc(4096);
          await lease.image("rootfs").read(0, into, never);
          return into;
        }),
      );
      for (const block of blocks) assert.ok(block.equals(published.rootfs.subarray(0, 4096)));
      for (const object of ["manifest.json", "rootfs.index", "snapfile", "metafile", "rootfs.pack"]) {
        assert.equal(world.asked(object), 1, `${object} was asked for once`);
      }
      for (const lease of leases) await lease[Symbol.asyncDispose]();
    }));

  it("C2: a failed fetch is never kept: the next caller waits out the back-off and shares the next flight", () =>
    CacheWorld.run(async (world) => {
      const { build } = await world.publish();
      await using cache = await world.open();
      world.plan = () => ({ kind: "fail", code: "denied" });
      await assert.rejects(cache.acquire(build, "A", never), (error) => Failure.is(error, "denied"));
      world.plan = () => undefined;
      const next = [cache.acquire(build, "B", never), cache.acquire(build, "C", never)];
      await world.clock.advance(100);
      for (const lease of await Promise.all(next)) await lease[Symbol.asyncDispose]();
      assert.equal(world.asked("manifest.json"), 2);
    }));

  it("C2: a missing manifest is told at once for five seconds, and then asked for again", () =>
    CacheWorld.run(async (world) => {
      await using cache = await world.open();
      const build = "00000000-0000-4000-8000-000000000000";
      for (let i = 0; i < 3; i++) {
        await assert.rejects(cache.acquire(build, "A", never), (error) => Failure.is(error, "not_found"));
      }
      assert.equal(world.asked("manifest.json"), 1);
      await world.clock.advance(5_000);
      await assert.rejects(cache.acquire(build, "A", never), (error) => Failure.is(error, "not_found"));
      assert.equal(world.asked("manifest.json"), 2);
    }));

  it("C4: a caller who leaves ends nobody else's wait; when the last one leaves the flight is aborted", () =>
    CacheWorld.run(async (world) => {
      const { build } = await world.publish();
      await using cache = await world.open();
      const gate = Promise.withResolvers<void>();
      world.plan = () => ({ kind: "stall", until: gate.promise });
      const impatient = new AbortController();
      const first = cache.acquire(build, "impatient", impatient.signal);
      const second = cache.acquire(build, "patient", never);
      await settled();
      impatient.abort();
      await assert.rejects(first, { name: "AbortError" });
      assert.equal(cache.inspect().flights > 0, true);
      gate.resolve();
      await (await second)[Symbol.asyncDispose]();

      const { build: other } = await world.publish();
      world.plan = () => ({ kind: "stall", until: new Promise(() => {}) });
      const leaving = new AbortController();
      const third = cache.acquire(other, "leaving", leaving.signal);
      await settled();
      leaving.abort();
      await assert.rejects(third);
      world.plan = () => undefined;
      await (await cache.acquire(other, "newcomer", never))[Symbol.asyncDispose]();
      assert.equal(world.asked(`${other}/manifest.json`), 2, "the newcomer started afresh");
    }));

  it("C4: a dying flight writes nothing and sets no bit", () =>
    CacheWorld.run(async (world) => {
      const { build, rootfs } = await world.publish();
      await using cache = await world.open();
      await using lease = await cache.acquire(build, "A", never);
      await lease.open("rootfs", never);
      const gate = Promise.withResolvers<void>();
      world.plan = () => ({ kind: "stall", until: gate.promise });
      const leaving = new AbortController();
      const into = Buffer.alloc(10);
      const read = lease.image("rootfs").read(0, into, leaving.signal);
      await settled();
      leaving.abort();
      await assert.rejects(read);
      gate.resolve();
      await settled();
      assert.equal(lease.image("rootfs").readNow(0, into), false);
      world.plan = () => undefined;
      await lease.image("rootfs").read(0, into, never);
      assert.ok(into.equals(rootfs.subarray(0, 10)));
    }));

  it("C5: when one artifact fails for good the others' waits are given up, and it is logged and counted once", () =>
    CacheWorld.run(async (world) => {
      const { build } = await world.publish();
      await using cache = await world.open();
      await using lease = await cache.acquire(build, "A", never);
      world.plan = (_, [key]) =>
        String(key).endsWith("rootfs.index")
          ? { kind: "fail", code: "not_found" }
          : { kind: "stall", until: new Promise(() => {}) };
      await assert.rejects(Promise.all([lease.openAll(never), lease.openAll(never)]), (error) => {
        assert.ok(error instanceof Failure && error.code === "not_found");
        assert.match(error.message, /rootfs.*rootfs\.index.*not_found/);
        return true;
      });
      assert.equal(world.logged.length, 1);
      assert.equal(world.meter.sum("larder_cache_failed_fetches_total"), 1);
      await eventually(() => cache.inspect().flights === 0);
      assert.equal(cache.inspect().flights, 0, "nobody waits for the others any more");
    }));

  it("C5: a failed chunk fails only the reads that need it", () =>
    CacheWorld.run(async (world) => {
      const { build, rootfs } = await world.publish({ chunks: 40 });
      await using cache = await world.open();
      await using lease = await cache.acquire(build, "A", never);
      await lease.open("rootfs", never);
      const device = lease.image("rootfs");
      let reads = 0;
      world.plan = () => (++reads === 1 ? { kind: "fail", code: "denied" } : undefined);
      const into = Buffer.alloc(4096);
      await assert.rejects(device.read(0, into, never), (error) => Failure.is(error, "denied"));
      const other = device.read(20 * chunkBytes, into, never);
      await world.clock.advance(200);
      await other;
      assert.ok(into.equals(rootfs.subarray(20 * chunkBytes, 20 * chunkBytes + 4096)));
    }));

  it("C6: an artifact that a build does not have is absent, not a failure", () =>
    CacheWorld.run(async (world) => {
      const { build } = await world.publish({ memory: false });
      await using cache = await world.open();
      await using lease = await cache.acquire(build, "A", never);
      await lease.openAll(never);
      assert.equal(cache.inspect().builds[0]?.artifacts?.["memfile"], "absent");
      assert.equal(world.logged.length, 0);
      await assert.rejects(lease.memfile(never), (error) => Failure.is(error, "invalid"));
    }));

  it("C7: unavailable is retried inside the flight, and between flights there is a back-off per object", () =>
    CacheWorld.run(async (world) => {
      const { build } = await world.publish();
      await using cache = await world.open();
      world.plan = () => ({ kind: "fail", code: "unavailable" });
      const dead = cache.acquire(build, "A", never);
      dead.catch(() => {});
      await world.clock.advance(10_000);
      await assert.rejects(dead, (error) => Failure.is(error, "unavailable"));
      assert.ok(
        world.asked("manifest.json") > 1 && world.asked("manifest.json") < 10,
        "a bounded number of attempts",
      );
      world.plan = () => ({ kind: "fail", code: "denied" });
      await assert.rejects(cache.acquire(build, "A", never), (error) => Failure.is(error, "denied"));
      const asked = world.asked("manifest.json");
      const { build: healthy } = await world.publish();
      world.plan = (_, [key]) => (String(key).includes(build) ? { kind: "fail", code: "denied" } : undefined);
      await (await cache.acquire(healthy, "B", never))[Symbol.asyncDispose]();
      assert.equal(cache.inspect().backoffs.length, 1);
      const held = cache.acquire(build, "C", never);
      held.catch(() => {});
      await settled();
      assert.equal(world.asked(`${build}/manifest.json`), asked, "the dead object is left alone");
      world.plan = () => undefined;
      assert.equal(cache.clearBackoffs(), 1);
      await (await held)[Symbol.asyncDispose]();
    }));

  it("C7: a publish ends a not_found at once, also one that a probe begun before would report later", () =>
    CacheWorld.run(async (world) => {
      await using cache = await world.open();
      const build = "00000000-0000-4000-8000-000000000001";
      await assert.rejects(cache.acquire(build, "A", never));
      const gate = Promise.withResolvers<void>();
      world.plan = (_, __, call) =>
        call === 2 ? { kind: "stall", until: gate.promise } : { kind: "fail", code: "not_found" };
      cache.announcePublished(build);
      const probe = cache.acquire(build, "B", never);
      await settled();
      const published = await world.publish();
      // The probe under way learns that the build is missing, although it is announced by then.
      const asked = world.asked("manifest.json");
      cache.announcePublished(build);
      gate.resolve();
      await assert.rejects(probe, (error) => Failure.is(error, "not_found"));
      assert.equal(world.asked("manifest.json"), asked + 1, "it was asked for again after the announcement");
      world.plan = () => undefined;
      await (await cache.acquire(published.build, "C", never))[Symbol.asyncDispose]();
    }));

  it("C8: a source that throws what is no failure settles all waiters", () =>
    CacheWorld.run(async (world) => {
      const { build } = await world.publish();
      const broken = {
        name: "broken",
        read: () => {
          throw new TypeError("a bug");
        },
      };
      await using cache = await world.open({ chunks: broken });
      await using lease = await cache.acquire(build, "A", never);
      await lease.open("rootfs", never);
      const reads = [1, 2, 3].map(() => lease.image("rootfs").read(0, Buffer.alloc(1), never));
      for (const read of await Promise.allSettled(reads)) assert.equal(read.status, "rejected");
    }));

  it("C9: closing aborts flights and leaves no timer, descriptor or temporary file", () =>
    CacheWorld.run(async (world) => {
      const { build } = await world.publish();
      const cache = await world.open();
      const lease = await cache.acquire(build, "A", never);
      world.plan = () => ({ kind: "stall", until: new Promise(() => {}) });
      const opening = lease.openAll(never);
      opening.catch(() => {});
      await settled();
      const closing = cache.close();
      await assert.rejects(opening);
      await lease[Symbol.asyncDispose]();
      await closing;
      assert.equal(world.clock.pending, 0);
      await assert.rejects(cache.acquire(build, "B", never), (error) => Failure.is(error, "cancelled"));
    }));
});
