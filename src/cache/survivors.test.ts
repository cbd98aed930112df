import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { describe, it } from "node:test";
import { Failure } from "../base/failure.ts";
import { eventually } from "../base/testing/virtual-clock.ts";
import { chunkBytes } from "../build/artifact.ts";
import type { PublishedBuild } from "../build/testing/published-build.ts";
import type { TemplateCache } from "./template-cache.ts";
import { CacheWorld, never } from "./testing/cache-world.ts";

async function use(cache: TemplateCache, { build, rootfs }: PublishedBuild): Promise<void> {
  await using lease = await cache.acquire(build, "user", never);
  await lease.open("rootfs", never);
  await lease.image("rootfs").read(0, Buffer.alloc(rootfs.length), never);
}

describe("a start", () => {
  it("C20: evicts nothing before those who live on have taken their leases, however full the shelf is", () =>
    CacheWorld.run(async (world) => {
      const [oldest, newest] = [await world.publish({ chunks: 8 }), await world.publish({ chunks: 8 })];
      const newcomer = await world.publish({ chunks: 8 });
      {
        await using cache = await world.open();
        await use(cache, oldest);
        await world.clock.advance(1000);
        await use(cache, newest);
      }
      await using cache = await world.openUnsettled({ bytesMax: 9 * chunkBytes, bytesLow: chunkBytes });
      const builds = () => cache.inspect().builds.map(({ build }) => build);
      await use(cache, newcomer);
      for (const { build } of [oldest, newest])
        assert.ok(builds().includes(build), "who wants room gets none");
      await using lease = await cache.acquire(oldest.build, "survivor", never);
      await lease.open("rootfs", never);
      const whole = Buffer.alloc(oldest.rootfs.length);
      assert.equal(lease.image("rootfs").readNow(0, whole), true);
      await cache.settle();
      assert.deepEqual(
        builds(),
        [oldest.build],
        "the one that nobody leases made room, although it is newer",
      );
      assert.equal(lease.image("rootfs").readNow(0, whole), true);
    }));

  it("C17: after a crash counts what was leased then as used last", () =>
    CacheWorld.run(async (world) => {
      const [leased, used] = [await world.publish(), await world.publish()];
      let journal = "";
      {
        await using cache = await world.open();
        await use(cache, leased);
        await using _lease = await cache.acquire(leased.build, "sandbox", never);
        await world.clock.advance(1000);
        await use(cache, used);
        journal = await readFile(path.join(world.directory, "journal"), "utf8");
      }
      await writeFile(path.join(world.directory, "journal"), journal); // as a crash here would have left it
      await world.clock.advance(1000);
      await using cache = await world.open();
      const at = new Map(cache.inspect().builds.map(({ build, usedAt }) => [build, usedAt]));
      assert.ok((at.get(leased.build) ?? "") > (at.get(used.build) ?? ""));
    }));

  it("C17: remembers when a build came for which nobody waited any more", () =>
    CacheWorld.run(async (world) => {
      const { build } = await world.publish();
      const usedAt = (cache: TemplateCache) => cache.inspect().builds.map((each) => each.usedAt);
      let before: string[] = [];
      {
        await using cache = await world.open();
        const leaving = new AbortController();
        world.disk.plan = ({ operation, file }) => {
          if (operation === "write" && file.includes("journal"))
            leaving.abort(new Failure("cancelled", "gone"));
          return undefined;
        };
        await assert.rejects(cache.acquire(build, "A", leaving.signal));
        await eventually(() => cache.inspect().builds.length === 1);
        before = usedAt(cache);
        await world.clock.advance(1000);
      }
      await using cache = await world.open();
      assert.deepEqual(usedAt(cache), before);
    }));
});
