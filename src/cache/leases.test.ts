import assert from "node:assert/strict";
import { readdir } from "node:fs/promises";
import path from "node:path";
import { describe, it } from "node:test";
import { Failure } from "../base/failure.ts";
import { eventually, settled } from "../base/testing/virtual-clock.ts";
import { chunkBytes } from "../build/artifact.ts";
import type { PublishedBuild } from "../build/testing/published-build.ts";
import { realDisk } from "./disk.ts";
import { chooseEvictions } from "./eviction.ts";
import type { TemplateCache } from "./template-cache.ts";
import { CacheWorld, never } from "./testing/cache-world.ts";

/** Leases a build, reads all of its disk, and gives the lease back. */
async function use(cache: TemplateCache, { build, rootfs }: PublishedBuild): Promise<void> {
  await using lease = await cache.acquire(build, "user", never);
  await lease.open("rootfs", never);
  const whole = Buffer.alloc(rootfs.length);
  await lease.image("rootfs").read(0, whole, never);
  assert.ok(whole.equals(rootfs));
}

describe("leases and room", () => {
  it("C10: whoever holds a lease keeps every file of the build, whatever room is needed", () =>
    CacheWorld.run(async (world) => {
      const held = await world.publish({ chunks: 8 });
      await using cache = await world.open({ bytesMax: 20 * chunkBytes });
      await using lease = await cache.acquire(held.build, "holder", never);
      await lease.open("rootfs", never);
      const device = lease.image("rootfs");
      const whole = Buffer.alloc(device.bytes);
      await device.read(0, whole, never);
      for (let i = 0; i < 4; i++) await use(cache, await world.publish({ chunks: 8 }));
      assert.equal(await cache.evict(held.build), false);
      assert.equal(device.readNow(0, whole), true);
      assert.ok(whole.equals(held.rootfs));
    }));

  it("C15: N leases need N disposals, and disposing twice is harmless", () =>
    CacheWorld.run(async (world) => {
      const { build } = await world.publish();
      await using cache = await world.open();
      const [one, two] = [await cache.acquire(build, "1", never), await cache.acquire(build, "2", never)];
      await one[Symbol.asyncDispose]();
      await one[Symbol.asyncDispose]();
      assert.equal(await cache.evict(build), false);
      await assert.rejects(
        async () => one.open("rootfs", never),
        (error) => Failure.is(error, "internal"),
      );
      await two[Symbol.asyncDispose]();
      assert.equal(await cache.evict(build), true);
    }));

  it("C15: a caller who left before the lease was made holds none", () =>
    CacheWorld.run(async (world) => {
      const { build } = await world.publish();
      await using cache = await world.open();
      await assert.rejects(cache.acquire(build, "A", AbortSignal.abort()));
      const leaving = new AbortController();
      const acquiring = cache.acquire(build, "B", leaving.signal);
      leaving.abort();
      await assert.rejects(acquiring);
      await eventually(() => cache.inspect().flights === 0);
      assert.deepEqual(cache.inspect().leases, []);
    }));

  it("C16: who comes while the build is being evicted waits for that and opens it afresh", () =>
    CacheWorld.run(async (world) => {
      const published = await world.publish();
      await using cache = await world.open();
      await use(cache, published);
      const evicting = cache.evict(published.build);
      const coming = use(cache, published);
      assert.equal(await evicting, true);
      await coming;
      assert.equal(world.asked("manifest.json"), 2);
    }));

  it("C3: closing a residence never touches a file of its successor", () =>
    CacheWorld.run(async (world) => {
      const published = await world.publish();
      await using cache = await world.open();
      for (let i = 0; i < 3; i++) {
        await use(cache, published);
        const [, lease] = await Promise.all([
          cache.evict(published.build),
          cache.acquire(published.build, "next", never),
        ]);
        await lease.openAll(never);
        assert.ok(
          (await readdir(path.join(world.directory, "builds", published.build))).includes("snapfile"),
        );
        await lease[Symbol.asyncDispose]();
      }
    }));

  it("C17: only what nobody leases is evicted, least recently used first, down to low water", () =>
    CacheWorld.run(async (world) => {
      const builds = [];
      for (let i = 0; i < 12; i++) builds.push(await world.publish({ chunks: 6 }));
      await using cache = await world.open({ bytesMax: 22 * chunkBytes, bytesLow: 14 * chunkBytes });
      for (const build of builds) {
        await world.clock.advance(1000);
        await use(cache, build);
      }
      const { kept, budget } = cache.inspect().bytes;
      assert.ok(kept <= budget, `${kept} bytes are kept of ${budget}`);
      const left = cache.inspect().builds.map(({ build }) => build);
      assert.deepEqual(
        left,
        builds.slice(-left.length).map(({ build }) => build),
        "the oldest went first",
      );
      assert.ok(left.length < 12 && left.length > 0);
    }));

  it("C17: a long lease counts as used when it ends, also across a restart", () =>
    CacheWorld.run(async (world) => {
      const [long, short] = [await world.publish(), await world.publish()];
      {
        await using cache = await world.open();
        const lease = await cache.acquire(long.build, "long", never);
        await world.clock.advance(1000);
        await use(cache, short);
        await world.clock.advance(1000);
        await lease[Symbol.asyncDispose]();
      }
      await using cache = await world.open();
      const at = new Map(cache.inspect().builds.map(({ build, usedAt }) => [build, usedAt]));
      assert.ok((at.get(long.build) ?? "") > (at.get(short.build) ?? ""));
    }));

  it("C17: the choice of what to evict takes the oldest that is enough, and never what is leased", () => {
    const candidate = (build: string, usedAt: number, held = false) => ({
      ...{ build, bytes: 10, chunkBytes: 8, usedAt, held },
    });
    const all = [candidate("c", 3), candidate("a", 1, true), candidate("b", 2), candidate("d", 4)];
    const chosen = (bytes: number) =>
      chooseEvictions(all, bytes).map(({ build, bytes: part }) => [build, part]);
    assert.deepEqual(chosen(19), [
      ["b", undefined],
      ["c", undefined],
    ]);
    assert.deepEqual(chosen(12), [
      ["b", undefined],
      ["c", 2],
    ]);
    assert.deepEqual(chosen(1000), [
      ["b", undefined],
      ["c", undefined],
      ["d", undefined],
    ]);
    assert.deepEqual(chosen(0), []);
  });

  it("C17: a disk with too little free is made room on, although the budget is not used up", () =>
    CacheWorld.run(async (world) => {
      const [one, two] = [await world.publish(), await world.publish()];
      let free = 2 ** 30;
      const disk = { ...realDisk, freeBytes: async () => free };
      await using cache = await world.open({ freeBytesMin: 2 ** 20, disk });
      await use(cache, one);
      free = 0;
      await use(cache, two);
      assert.ok(world.meter.get("larder_cache_evictions_total", { reason: "room" }) >= 1);
    }));

  it("C18: when all is leased and no room is left a read is still served, without being kept", () =>
    CacheWorld.run(async (world) => {
      const published = await world.publish({ chunks: 12 });
      await using cache = await world.open({ bytesMax: 2 * chunkBytes });
      await using lease = await cache.acquire(published.build, "A", never);
      await lease.open("rootfs", never);
      const whole = Buffer.alloc(published.rootfs.length);
      await lease.image("rootfs").read(0, whole, never);
      assert.ok(whole.equals(published.rootfs));
      assert.ok(world.meter.get("larder_cache_passed_through_total") > 0);
      assert.ok(cache.inspect().bytes.kept <= 2 * chunkBytes);
      assert.equal(cache.inspect().bytes.reserved, 0);
    }));

  it("C18: a memfile without room waits within its deadline, then fails exhausted naming the bytes", () =>
    CacheWorld.run(async (world) => {
      const published = await world.publish({ chunks: 12 });
      await using cache = await world.open({ bytesMax: 6 * chunkBytes });
      await using lease = await cache.acquire(published.build, "A", never);
      const patience = new AbortController();
      const waiting = lease.memfile(patience.signal);
      waiting.catch(() => {});
      await settled();
      patience.abort();
      await assert.rejects(waiting);
      await assert.rejects(
        lease.memfile(never),
        (error) => Failure.is(error, "exhausted") && /\d{6,} bytes/.test(error.message),
      );
    }));

  it("C18: a memfile that waits for another's room fails exhausted, naming the bytes, when its time is over", () =>
    CacheWorld.run(async (world) => {
      const [one, other] = [await world.publish({ chunks: 3 }), await world.publish({ chunks: 3 })];
      const large = await world.open();
      await (await large.acquire(one.build, "A", never)).memfile(never);
      const { kept } = large.inspect().bytes;
      const closed = large.close();
      await world.clock.advance(5_000);
      await closed;
      await using cache = await world.open({ bytesMax: kept + 40_000 });
      await using _held = await cache.acquire(one.build, "A", never);
      await using lease = await cache.acquire(other.build, "B", never);
      const patience = new AbortController();
      const waiting = lease.memfile(patience.signal);
      waiting.catch(() => {});
      await eventually(() => cache.inspect().builds[1]?.artifacts["memfile"] === "open");
      for (let turn = 0; turn < 20; turn++) await settled();
      patience.abort(new Failure("unavailable", "it took too long"));
      await assert.rejects(
        waiting,
        (error) => Failure.is(error, "exhausted") && /needs \d{6,} bytes/.test(error.message),
      );
    }));

  it("C17: a build that is looked at is not used by that; whoever uses it meanwhile uses it", () =>
    CacheWorld.run(async (world) => {
      const { build } = await world.publish({ memory: false });
      await using cache = await world.open();
      const usedAt = () => Date.parse(cache.inspect().builds[0]?.usedAt ?? "");
      await using first = await cache.acquire(build, "A", never);
      await first.open("rootfs", never);
      await first.image("rootfs").read(0, Buffer.alloc(10), never);
      await first[Symbol.asyncDispose]();
      const before = usedAt();
      await world.clock.advance(1_000);
      await cache.operator.verify(build, never);
      assert.equal(usedAt(), before);
      const hanging = Promise.withResolvers<void>();
      world.disk.plan = ({ operation, file }) =>
        operation === "read" && file.endsWith("rootfs.data") ? { until: hanging.promise } : undefined;
      const verifying = cache.operator.verify(build, never);
      await eventually(() => cache.inspect().leases.length > 0);
      const second = await cache.acquire(build, "B", never);
      await world.clock.advance(1_000);
      await second[Symbol.asyncDispose]();
      await world.clock.advance(1_000);
      hanging.resolve();
      await verifying;
      assert.equal(usedAt(), before + 2_000);
    }));

  it("C19: after the last lease and the eviction no file, directory or descriptor of the build remains", () =>
    CacheWorld.run(async (world) => {
      const published = await world.publish();
      await using cache = await world.open();
      const lease = await cache.acquire(published.build, "A", never);
      await lease.openAll(never);
      await lease.memfile(never);
      await lease.input("agent-disk", never);
      await lease[Symbol.asyncDispose]();
      assert.equal(await cache.evict(published.build), true);
      assert.deepEqual(await readdir(path.join(world.directory, "builds")), []);
      assert.deepEqual(await readdir(path.join(world.directory, "blobs")), []);
      assert.equal(cache.inspect().bytes.kept, 0);
    }));

  it("C20: a lease knows who took it, when and where; all open leases can be listed", () =>
    CacheWorld.run(async (world) => {
      const { build } = await world.publish();
      await using cache = await world.open();
      const since = new Date(world.clock.now()).toISOString();
      await using _one = await cache.acquire(build, "sandbox i1", never);
      await using _two = await cache.acquire(build, "publisher", never);
      const { leases } = cache.inspect();
      const here = /^cache\/leases\.test\.ts:\d+$/;
      for (const { where } of leases) assert.match(where, here);
      assert.deepEqual(
        leases.map(({ build, holder, since }) => ({ build, holder, since })),
        [
          { build, holder: "sandbox i1", since },
          { build, holder: "publisher", since },
        ],
      );
      assert.equal(await cache.evict(build), false);
    }));
});
