import assert from "node:assert/strict";
import { readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { describe, it } from "node:test";
import type { BlockDevice } from "../base/block-device.ts";
import { Failure } from "../base/failure.ts";
import type { MadeBuild } from "../build/make-build.ts";
import { putMadeBuild } from "../build/put-made-build.ts";
import type { PublishedBuild } from "../build/testing/published-build.ts";
import type { Lease } from "./lease.ts";
import { CacheWorld, never } from "./testing/cache-world.ts";
import { type Blocks, makeChild, withBlocks } from "./testing/made-build.ts";
import type { TemplateCache } from "./template-cache.ts";

const disk: Blocks = { 0: 7, 1: 0, 2: 9, 200: 3 };
const memory: Blocks = { 3: 5, 4: 0, 130: 1 };

async function contentOf(device: BlockDevice): Promise<Buffer> {
  const bytes = Buffer.alloc(device.bytes);
  await device.read(0, bytes, never);
  return bytes;
}

/** Makes a child of what the lease is of; `flat` as its whole memory. */
async function childOf(lease: Lease, changed: Parameters<typeof makeChild>[1]): Promise<MadeBuild> {
  await lease.openAll(never);
  const mapped = await lease.memory(never);
  const rootfs = { manifest: lease.manifest, index: lease.index("rootfs") };
  return await makeChild({ rootfs, memfile: mapped }, changed);
}

/** Has a child of a published build adopted; its own directory is gone then. */
async function adoptChild(cache: TemplateCache, parent: PublishedBuild): Promise<Lease> {
  await using lease = await cache.acquire(parent.build, "test", never);
  const made = await childOf(lease, { rootfs: disk, memfile: memory });
  const adopted = await cache.adopt(made, "publisher", never);
  await rm(made.directory, { recursive: true });
  return adopted;
}

interface Scene {
  readonly world: CacheWorld;
  readonly parent: PublishedBuild;
  readonly cache: TemplateCache;
  /** On the parent. */
  readonly lease: Lease;
  readonly made: MadeBuild;
  /** Bytes on the shelf by now. */
  readonly kept: number;
}

/** A child of a published build was made, and nobody has adopted it yet. */
function withMade(test: (scene: Scene) => Promise<void>): Promise<void> {
  return CacheWorld.run(async (world) => {
    const parent = await world.publish();
    await using cache = await world.open();
    await using lease = await cache.acquire(parent.build, "test", never);
    const made = await childOf(lease, { rootfs: disk, memfile: memory });
    await test({ world, parent, cache, lease, made, kept: cache.inspect().bytes.kept });
    await rm(made.directory, { recursive: true, force: true });
  });
}

describe("an adopted build", () => {
  it("is read from the shelf alone, with its parents' bytes around its own", () =>
    CacheWorld.run(async (world) => {
      const parent = await world.publish();
      await using cache = await world.open();
      await using adopted = await adoptChild(cache, parent);
      const { build } = adopted;
      await using lease = await cache.acquire(build, "sandbox", never);
      await lease.openAll(never);
      assert.ok((await contentOf(lease.image("rootfs"))).equals(withBlocks(parent.rootfs, disk)));
      const content = await contentOf(lease.image("memfile"));
      assert.ok(content.equals(withBlocks(parent.memfile ?? Buffer.alloc(0), memory)));
      assert.equal(
        world.requests.filter(({ key }) => key.includes(build)).length,
        0,
        "the bucket has none of it",
      );
    }));

  it("C28: has a layer of memory over a sealed file, and says where it differs", () =>
    CacheWorld.run(async (world) => {
      const parent = await world.publish();
      await using cache = await world.open();
      await using adopted = await adoptChild(cache, parent);
      const mapped = await adopted.memory(never);
      assert.equal(mapped.manifest.build, parent.build);
      assert.equal((await stat(mapped.path)).mode & 0o777, 0o444);
      const image = adopted.image("memfile");
      const content = await readFile(mapped.path);
      for (const { offset, length } of mapped.changes) {
        await image.read(offset, content.subarray(offset, offset + length), never);
      }
      assert.ok(content.equals(withBlocks(parent.memfile ?? Buffer.alloc(0), memory)));
      const bytes = mapped.changes.reduce((sum, { length }) => sum + length, 0);
      assert.ok(bytes <= 3 * 4096, "and nothing else is written");
    }));

  it("C28: maps its own file when that is its whole memory", () =>
    CacheWorld.run(async (world) => {
      const parent = await world.publish();
      await using cache = await world.open();
      const whole = withBlocks(parent.memfile ?? Buffer.alloc(0), memory);
      await using lease = await cache.acquire(parent.build, "test", never);
      const made = await childOf(lease, { rootfs: disk, memfile: whole });
      await using adopted = await cache.adopt(made, "publisher", never);
      const mapped = await adopted.memory(never);
      assert.deepEqual([mapped.manifest.build, mapped.changes], [adopted.build, []]);
      assert.ok((await readFile(mapped.path)).equals(whole));
      assert.equal((await stat(mapped.path)).mode & 0o777, 0o444);
      await rm(made.directory, { recursive: true });
    }));

  it("C21: is there after a restart, an orderly one and a crash, without the bucket", () =>
    CacheWorld.run(async (world) => {
      const parent = await world.publish();
      let build = "";
      {
        await using cache = await world.open();
        await using adopted = await adoptChild(cache, parent);
        ({ build } = adopted);
      }
      const journal = path.join(world.directory, "journal");
      for (const crash of [false, true]) {
        if (crash) {
          const text = await readFile(journal, "utf8");
          await writeFile(journal, text.replace(/.*"clean".*\n/, ""));
        }
        await using cache = await world.open();
        await using lease = await cache.acquire(build, "sandbox", never);
        await lease.openAll(never);
        assert.ok((await contentOf(lease.image("rootfs"))).equals(withBlocks(parent.rootfs, disk)));
        assert.equal(world.requests.filter(({ key }) => key.includes(build)).length, 0);
      }
    }));

  it("C18, C27: that a disk refuses, at whichever step, is a failure that leaves nothing behind", () =>
    withMade(async ({ world, parent, cache, made, kept }) => {
      const { build } = made.manifest;
      for (let refused = 0; ; refused++) {
        let steps = 0;
        world.disk.plan = () => (steps++ === refused ? "EIO" : undefined);
        const adopted = await cache.adopt(made, "publisher", never).catch((error: unknown) => {
          assert.ok(error instanceof Failure, `step ${refused} was refused: ${String(error)}`);
        });
        world.disk.plan = () => undefined;
        if (adopted !== undefined) {
          // A disk that does not say how much it has free is asked all the same.
          const isWhole = steps <= refused;
          assert.equal(cache.inspect().builds.length, 2);
          await adopted[Symbol.asyncDispose]();
          if (isWhole) break;
          assert.equal(await cache.evict(build), true);
        }
        assert.deepEqual(cache.inspect().bytes, { ...cache.inspect().bytes, kept, reserved: 0 });
        assert.deepEqual(await readdir(path.join(world.directory, "builds")), [parent.build]);
      }
    }));

  it("C20: is leased by its publisher: until that ends it is not evicted, then it goes and comes back", () =>
    withMade(async ({ world, parent, cache, made }) => {
      const adopted = await cache.adopt(made, "publisher", never);
      const { build } = adopted;
      assert.ok(cache.inspect().leases.some((each) => each.build === build && each.holder === "publisher"));
      assert.equal(await cache.evict(build), false);
      await putMadeBuild({ bucket: world.bucket, made, clock: world.clock }, never);
      await rm(made.directory, { recursive: true });
      await adopted[Symbol.asyncDispose]();
      const before = cache.inspect().bytes.kept;
      assert.equal(await cache.evict(build), true);
      assert.ok(cache.inspect().bytes.kept < before);
      assert.deepEqual(await readdir(path.join(world.directory, "builds")), [parent.build]);
      await using again = await cache.acquire(build, "sandbox", never);
      await again.openAll(never);
      assert.ok((await contentOf(again.image("rootfs"))).equals(withBlocks(parent.rootfs, disk)));
    }));

  it("C18: is refused, naming the bytes, when there is no room for it, and nothing of it stays", () =>
    withMade(async ({ world, parent, cache, lease, made, kept }) => {
      await lease[Symbol.asyncDispose]();
      await cache.close();
      await using small = await world.open({ bytesMax: kept + 100 });
      await using _held = await small.acquire(parent.build, "test", never);
      const gaveUp = new AbortController();
      const adopting = small.adopt(made, "publisher", gaveUp.signal);
      gaveUp.abort();
      await assert.rejects(
        adopting,
        (error) => Failure.is(error, "exhausted") && /needs \d+ bytes/.test(error.message),
      );
      assert.deepEqual(await readdir(path.join(world.directory, "builds")), [parent.build]);
    }));

  it("C18: reserves all that it takes, its manifest included", () =>
    withMade(async ({ world, cache, made, kept }) => {
      let reserved = 0;
      world.disk.plan = ({ operation }) => {
        if (operation === "link") reserved = Math.max(reserved, cache.inspect().bytes.reserved);
        return undefined;
      };
      await using _adopted = await cache.adopt(made, "publisher", never);
      assert.equal(cache.inspect().bytes.kept - kept, reserved);
    }));

  it("C18: that failed on a disk which removes nothing counts, and goes when somebody asks for it", () =>
    withMade(async ({ world, parent, cache, made, kept }) => {
      const { build } = made.manifest;
      world.disk.plan = ({ operation, file }) =>
        (operation === "write" && file.includes("journal")) ||
        (operation === "remove" && file.endsWith(build))
          ? "EIO"
          : undefined;
      await assert.rejects(cache.adopt(made, "publisher", never));
      assert.ok(cache.inspect().bytes.kept > kept, "it lies there");
      world.disk.plan = () => undefined;
      await putMadeBuild({ bucket: world.bucket, made, clock: world.clock }, never);
      {
        await using again = await cache.acquire(build, "test", never);
        await again.open("rootfs", never);
        const expected = withBlocks(parent.rootfs, disk);
        assert.ok((await contentOf(again.image("rootfs"))).equals(expected));
      }
      assert.equal(await cache.evict(build), true);
      const { bytes, builds } = cache.inspect();
      assert.equal(
        bytes.kept,
        builds.reduce((sum, each) => sum + each.bytes, 0),
      );
    }));
});
