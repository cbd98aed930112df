import assert from "node:assert/strict";
import { readdir } from "node:fs/promises";
import path from "node:path";
import { describe, it } from "node:test";
import { Failure } from "../base/failure.ts";
import { ArtifactIndex } from "../build/artifact-index.ts";
import { indexKey } from "../build/object-keys.ts";
import { type PublishedBuild, publishRandomChild } from "../build/testing/published-build.ts";
import type { TemplateCache } from "./template-cache.ts";
import { CacheWorld, never } from "./testing/cache-world.ts";

type Family = [PublishedBuild, Child, Child];
type Child = Pick<PublishedBuild, "build" | "manifest" | "rootfs">;

async function indexOf(world: CacheWorld, { build }: Pick<Child, "build">): Promise<ArtifactIndex> {
  const bytes = await Array.fromAsync(world.bucket.read(indexKey(build, "rootfs"), undefined, never));
  return ArtifactIndex.decode(Buffer.concat(bytes), { build, artifact: "rootfs" });
}

/** A base, its child, and a child of that one. */
async function publishFamily(world: CacheWorld): Promise<Family> {
  const base = await world.publish({ chunks: 12 });
  const child = await publishRandomChild(world.bucket, world.random, base, await indexOf(world, base));
  const grandchild = await publishRandomChild(world.bucket, world.random, child, await indexOf(world, child));
  return [base, child, grandchild];
}

async function read(cache: TemplateCache, { build, rootfs }: Child): Promise<void> {
  await using lease = await cache.acquire(build, "reader", never);
  await lease.open("rootfs", never);
  const whole = Buffer.alloc(rootfs.length);
  await lease.image("rootfs").read(0, whole, never);
  assert.ok(whole.equals(rootfs));
}

describe("a lease on a child", () => {
  it("C10, C20: holds from its start all builds that its indexes refer to, and gives all of them back", () =>
    CacheWorld.run(async (world) => {
      const [base, child, grandchild] = await publishFamily(world);
      await using cache = await world.open();
      const lease = await cache.acquire(grandchild.build, "A", never);
      const held = () => cache.inspect().leases.map(({ build }) => build);
      const referred = new Set([
        grandchild.build,
        ...grandchild.manifest.ancestors.map(({ build }) => build),
      ]);
      assert.ok(referred.has(base.build));
      assert.deepEqual(new Set(held()), referred, "before any image is opened");
      for (const build of referred) assert.equal(await cache.evict(build), false);
      await lease.open("rootfs", never);
      const device = lease.image("rootfs");
      const whole = Buffer.alloc(device.bytes);
      await device.read(0, whole, never);
      assert.ok(whole.equals(grandchild.rootfs));
      assert.equal(device.readNow(0, whole), true, "from the shelves of three builds");
      await lease[Symbol.asyncDispose]();
      assert.deepEqual(held(), []);
      await read(cache, child);
      for (const build of referred) assert.equal(await cache.evict(build), true);
      await cache.evict(child.build);
      assert.deepEqual(await readdir(path.join(world.directory, "builds")), []);
      assert.equal(cache.inspect().bytes.kept, 0);
    }));

  it("C17: keeps its ancestors as recent as itself", () =>
    CacheWorld.run(async (world) => {
      const [base, child] = await publishFamily(world);
      const stranger = await world.publish({ chunks: 12 });
      await using cache = await world.open();
      await read(cache, base);
      await world.clock.advance(1000);
      await read(cache, stranger);
      await world.clock.advance(1000);
      await read(cache, child);
      const used = new Map(cache.inspect().builds.map(({ build, usedAt }) => [build, usedAt]));
      const at = ({ build }: Pick<Child, "build">) => used.get(build) ?? "";
      assert.ok(at(base) > at(stranger) && at(child) > at(stranger));
    }));

  it("C15: is not given when an ancestor cannot be had, and nothing is held then", () =>
    CacheWorld.run(async (world) => {
      const [base, child] = await publishFamily(world);
      await using cache = await world.open();
      world.plan = (_, [key]) =>
        String(key).includes(base.build) ? { kind: "fail", code: "denied" } : undefined;
      await assert.rejects(cache.acquire(child.build, "A", never), (error) => Failure.is(error, "denied"));
      assert.deepEqual(cache.inspect().leases, []);
      world.plan = () => undefined;
      await world.patiently(read(cache, child));
    }));
});
