import assert from "node:assert/strict";
import { stat } from "node:fs/promises";
import path from "node:path";
import { describe, it } from "node:test";
import { chunkBytes } from "../build/artifact.ts";
import type { PublishedBuild } from "../build/testing/published-build.ts";
import { chooseExtents, extentChunks } from "./eviction.ts";
import type { TemplateCache } from "./template-cache.ts";
import { CacheWorld, never } from "./testing/cache-world.ts";

/** Brings all of a build to the shelf. */
async function bring(cache: TemplateCache, { build, rootfs, memfile }: PublishedBuild): Promise<void> {
  await using lease = await cache.acquire(build, "user", never);
  await lease.openAll(never);
  await lease.image("rootfs").read(0, Buffer.alloc(rootfs.length), never);
  if (memfile !== undefined) await lease.memfile(never);
}

/** What the file system itself says that a file takes up. */
async function bytesOnDisk(world: CacheWorld, build: string, artifact: string): Promise<number> {
  const file = await stat(path.join(world.directory, "builds", build, `${artifact}.data`)).catch(
    () => undefined,
  );
  return (file?.blocks ?? 0) * 512;
}

describe("a build that nobody leases", () => {
  it("C17: gives up only as much as is needed, its disk first; what stays is served without the bucket", () =>
    CacheWorld.run(async (world) => {
      const old = await world.publish({ chunks: 8 });
      const memory = (old.manifest.memfile?.storageBytes ?? 0) + 64 * 1024;
      {
        await using cache = await world.open();
        await bring(cache, old);
      }
      const order: string[] = [];
      world.disk.plan = ({ operation, file }) => {
        if (operation === "punch" || (operation === "sync" && file.endsWith("journal.new")))
          order.push(operation);
        return undefined;
      };
      // Settling brings it down to low water: some of the rootfs must go, and the memfile may stay.
      const bytesLow = memory + chunkBytes;
      await using cache = await world.open({ bytesMax: bytesLow, bytesLow });
      assert.deepEqual([...new Set(order)], ["sync", "punch"], "the journal first, the space after");
      assert.ok(order.lastIndexOf("sync") < order.indexOf("punch"));
      world.disk.plan = () => undefined;
      assert.equal(world.meter.get("larder_cache_evictions_total", { reason: "part" }), 1);
      assert.ok((await bytesOnDisk(world, old.build, "rootfs")) === 0);
      assert.ok((await bytesOnDisk(world, old.build, "memfile")) > 0);
      assert.equal(
        cache.inspect().bytes.kept,
        cache.inspect().builds[0]?.bytes,
        "what is left is what counts",
      );
      world.requests.length = 0;
      await using lease = await cache.acquire(old.build, "user", never);
      await lease.memfile(never);
      assert.deepEqual(world.requests, [], "the memfile is still whole");
      await lease.open("rootfs", never);
      const whole = Buffer.alloc(old.rootfs.length);
      await lease.image("rootfs").read(0, whole, never);
      assert.ok(whole.equals(old.rootfs), "and the rest comes again");
    }));

  it("C17: frees no space of which the journal could not be told", () =>
    CacheWorld.run(async (world) => {
      const old = await world.publish({ chunks: 8 });
      {
        await using cache = await world.open();
        await bring(cache, old);
      }
      const before = await bytesOnDisk(world, old.build, "rootfs");
      await using cache = await world.openUnsettled({ bytesMax: chunkBytes, bytesLow: chunkBytes });
      world.disk.plan = ({ operation, file }) =>
        operation === "write" && file.endsWith("journal.new") ? "EIO" : undefined;
      await cache.settle();
      world.disk.plan = () => undefined;
      assert.equal(await bytesOnDisk(world, old.build, "rootfs"), before);
    }));

  it("C17, C28: gives up a sealed memfile whole, by unlinking it, and it comes again", () =>
    CacheWorld.run(async (world) => {
      const old = await world.publish({ chunks: 8 });
      {
        await using cache = await world.open();
        await bring(cache, old);
      }
      await using cache = await world.open({ bytesMax: 2 * chunkBytes, bytesLow: 64 * 1024 });
      assert.equal(cache.inspect().builds.length, 1, "its manifest and small files stay");
      assert.equal(await bytesOnDisk(world, old.build, "memfile"), 0);
      assert.equal(await bytesOnDisk(world, old.build, "rootfs"), 0);
      assert.equal(cache.inspect().bytes.kept, cache.inspect().builds[0]?.bytes);
    }));

  it("C17: that is pinned stays, and what it refers to, also over a restart, until it is unpinned", () =>
    CacheWorld.run(async (world) => {
      const pinned = await world.publish({ chunks: 4, memory: false });
      {
        await using cache = await world.open();
        await bring(cache, pinned);
        await cache.operator.pin(pinned.build);
      }
      await (await world.open()).close(); // has written the journal anew
      const limits = { bytesMax: chunkBytes, bytesLow: 1 };
      {
        await using cache = await world.open(limits);
        assert.deepEqual([cache.inspect().builds.length, cache.inspect().builds[0]?.pinned], [1, true]);
        assert.equal(await cache.evict(pinned.build), false);
        await cache.operator.unpin(pinned.build);
      }
      await using cache = await world.open(limits);
      assert.deepEqual(cache.inspect().builds, []);
    }));

  it("C17: gives up whole extents, from the end", () => {
    const kept = Array.from({ length: 200 }, (_, chunk) => chunk);
    assert.equal(extentChunks, 64);
    assert.deepEqual(chooseExtents(kept, 1), kept.slice(192));
    assert.deepEqual(chooseExtents(kept, 9), kept.slice(128));
    assert.deepEqual(chooseExtents(kept, 500), kept);
    assert.deepEqual(chooseExtents([], 5), []);
  });

  it("C20: is described with all that is known of it", () =>
    CacheWorld.run(async (world) => {
      const published = await world.publish({ chunks: 4 });
      await using cache = await world.open();
      await using lease = await cache.acquire(published.build, "sandbox i1", never);
      await lease.open("rootfs", never);
      await lease.image("rootfs").read(0, Buffer.alloc(1), never);
      const detail = cache.operator.describe(published.build);
      const { holders, images, suspect, recorded } = detail;
      assert.deepEqual([suspect, recorded, holders[0]?.holder], [false, true, "sandbox i1"]);
      assert.equal(images.rootfs?.storageBytes, published.manifest.rootfs?.storageBytes);
      assert.ok((images.rootfs?.keptBytes ?? 0) > 0);
      assert.throws(() => cache.operator.describe("00000000-0000-4000-8000-000000000000"), {
        code: "not_found",
      });
      const { chunks, damaged } = await cache.operator.verify(published.build, never);
      assert.ok(chunks > 0 && damaged === 0);
    }));

  it("C18: is looked at although the journal does not take when it was used last", () =>
    CacheWorld.run(async (world) => {
      const published = await world.publish({ chunks: 4 });
      await using cache = await world.open();
      {
        await using lease = await cache.acquire(published.build, "sandbox i1", never);
        await lease.open("rootfs", never);
        await lease.image("rootfs").read(0, Buffer.alloc(1), never);
      }
      world.disk.plan = ({ operation, file }) =>
        operation === "write" && /journal/.test(file) ? "ENOSPC" : undefined;
      const { damaged } = await cache.operator.verify(published.build, never);
      assert.equal(damaged, 0);
      world.disk.plan = () => undefined;
    }));
});
