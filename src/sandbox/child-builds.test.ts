import assert from "node:assert/strict";
import { readdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { describe, it } from "node:test";
import { Failure } from "../base/failure.ts";
import { silentLogger } from "../base/logger.ts";
import { faulty } from "../base/testing/faulty.ts";
import type { Bucket } from "../bucket/bucket.ts";
import { blockBytes } from "../build/artifact.ts";
import { dataPath } from "../build/make-build.ts";
import { manifestKey } from "../build/object-keys.ts";
import type { PublishedBuild } from "../build/testing/published-build.ts";
import type { TemplateCache } from "../cache/template-cache.ts";
import { CacheWorld, never } from "../cache/testing/cache-world.ts";
import { Store } from "../store/store.ts";
import { sandboxRecord } from "../store/testing/sample-records.ts";
import { type BuildShelf, ChildBuilds, type HeldBuild } from "./child-builds.ts";
import type { Guest } from "./launcher.ts";
import { chainMax } from "./repack.ts";

/** Of the first change; that of each later one is one more. */
const filling = 7;
const wish = { memory: false, goOn: false };

/** A node: its shelf, its store, and the builds that are made on it. */
class Node implements AsyncDisposable {
  readonly world: CacheWorld;
  readonly store: Store;
  readonly bucket: Bucket;
  /** Puts of a manifest fail while this is set. */
  bucketIsAway = false;
  /** Whoever wants to repack a child of this build cannot have it. */
  unreadable: string | undefined;
  #made = 0;
  cache!: TemplateCache;
  builds!: ChildBuilds;

  constructor(world: CacheWorld, store: Store) {
    this.world = world;
    this.store = store;
    this.bucket = faulty(world.bucket as Bucket, (method, args) =>
      this.bucketIsAway && method === "put" && String(args[0]).endsWith("manifest.json")
        ? { kind: "fail", code: "unavailable" }
        : undefined,
    );
  }

  static async open(world: CacheWorld): Promise<Node> {
    const { clock, random } = world;
    const node = new Node(world, await Store.open({ path: ":memory:", clock, logger: silentLogger, random }));
    await node.start();
    return node;
  }

  get directory(): string {
    return path.join(this.world.directory, "unpublished");
  }

  async start(): Promise<void> {
    const { clock, meter } = this.world;
    this.cache = await this.world.open();
    const shelf = faulty(this.cache as BuildShelf, (method, args) =>
      method === "acquire" && args[0] === this.unreadable && args[1] === "repacking"
        ? { kind: "fail", code: "unavailable" }
        : undefined,
    );
    const options = { records: this.store.childBuilds, shelf, bucket: this.bucket };
    const rest = { directory: this.directory, clock, logger: silentLogger, meter };
    this.builds = await ChildBuilds.open({ ...options, ...rest });
  }

  async stop(): Promise<void> {
    await this.builds.close();
    await this.cache.close();
  }

  /** A build of a sandbox of `parent`, of which another block has changed each time; a sandbox starts from it. */
  async make(id: string, parent: string): Promise<string> {
    await using held = await this.builds.take(await this.guestOf(parent), wish, never);
    await this.store.sandboxes.insert(sandboxRecord({ id, build: held.build, state: "paused" }));
    return held.build;
  }

  async guestOf(parent: string): Promise<Guest> {
    await using lease = await this.cache.acquire(parent, "test", never);
    await lease.open("rootfs", never);
    const of = { manifest: lease.manifest, index: lease.index("rootfs") };
    const block = this.#made++;
    const changes = [{ offset: blockBytes * block, length: blockBytes, zero: false }];
    const capture: Guest["capture"] = async ({ directory }) => {
      const target = dataPath(directory, "rootfs");
      await writeFile(target, Buffer.alloc(blockBytes, filling + block));
      const rootfs = { path: target, changes, parent: of };
      return { images: { rootfs }, metafile: Buffer.from("{}"), inputs: of.manifest.inputs };
    };
    return { capture } as unknown as Guest;
  }

  async isPublished(build: string): Promise<boolean> {
    const { objects } = await this.world.bucket.list(manifestKey(build), {}, never);
    return objects.length > 0;
  }

  async until(holds: () => Promise<boolean> | boolean): Promise<void> {
    for (let turn = 0; turn < 20_000; turn++) {
      if (await holds()) return;
      await new Promise((resolve) => setImmediate(resolve));
      await this.world.clock.advance(10);
    }
    assert.fail("it did not come to pass");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    await this.store.close();
  }
}

function run(test: (node: Node, parent: PublishedBuild) => Promise<void>): Promise<void> {
  return CacheWorld.run(async (world) => {
    const parent = await world.publish();
    await using node = await Node.open(world);
    await test(node, parent);
  });
}

describe("builds of sandboxes", () => {
  it("C26: are published in the background, a parent before its child, and leave nothing behind", () =>
    run(async (node, parent) => {
      node.bucketIsAway = true;
      const first = await node.make("i1", parent.build);
      const second = await node.make("i2", first);
      await node.until(() => node.builds.unpublished === 2);
      assert.equal(await node.isPublished(first), false);
      node.bucketIsAway = false;
      const order: string[] = [];
      await node.until(async () => {
        for (const build of [first, second])
          if (!order.includes(build) && (await node.isPublished(build))) order.push(build);
        return node.builds.unpublished === 0;
      });
      assert.deepEqual(order, [first, second].slice(0, order.length));
      assert.ok((await node.isPublished(first)) && (await node.isPublished(second)));
      await node.until(() => node.cache.inspect().leases.length === 0);
      assert.deepEqual(await readdir(node.directory), []);
    }));

  it("that nothing needs, and a machine that ends has still, go with the sweep that follows its end", () =>
    run(async (node, parent) => {
      const build = await node.make("i1", parent.build);
      await node.until(() => node.isPublished(build));
      {
        await using _machine = await node.cache.acquire(build, "sandbox i1", never);
        await node.store.sandboxes.delete("i1");
        node.builds.sweep();
        await node.builds.swept();
        assert.equal(await node.isPublished(build), true);
        assert.notEqual(await node.store.childBuilds.get(build), undefined);
      }
      node.builds.sweep();
      await node.builds.swept();
      assert.equal(await node.isPublished(build), false);
      assert.equal(await node.store.childBuilds.get(build), undefined);
      const kept = node.cache.inspect().builds.map((each) => each.build);
      assert.equal(kept.includes(build), false, "the shelf has nothing of it");
    }));

  it("C27: that could not be published are usable, and published after a restart", () =>
    run(async (node, parent) => {
      node.bucketIsAway = true;
      const build = await node.make("i1", parent.build);
      await node.stop();
      await writeFile(path.join(node.directory, "litter"), "");
      await node.start();
      assert.deepEqual(await readdir(node.directory), [build]);
      const leases = node.cache.inspect().leases.filter((each) => each.build === build);
      assert.deepEqual(
        leases.map(({ holder }) => holder),
        ["publisher"],
      );
      {
        await using lease = await node.cache.acquire(build, "sandbox", never);
        await lease.open("rootfs", never);
        const bytes = Buffer.alloc(4096);
        await lease.image("rootfs").read(0, bytes, never);
        assert.ok(bytes.equals(Buffer.alloc(4096, 7)));
      }
      node.bucketIsAway = false;
      await node.until(() => node.isPublished(build));
      await node.until(() => node.builds.unpublished === 0);
    }));

  it("do not grow into a chain: one that would be longer than sixteen takes along what those before it store", () =>
    run(async (node, parent) => {
      const expected = Buffer.from(parent.rootfs);
      const ancestors: number[] = [];
      for (let n = 0, before = parent.build; n < 36; n++) {
        const made = await node.make(`i${n}`, before);
        expected.fill(filling + n, blockBytes * n, blockBytes * (n + 1));
        await node.store.sandboxes.delete(`i${n - 1}`);
        before = made;
        await using lease = await node.cache.acquire(made, "test", never);
        await lease.open("rootfs", never);
        ancestors.push(lease.manifest.ancestors.length);
        const disk = Buffer.alloc(expected.length);
        await lease.image("rootfs").read(0, disk, never);
        assert.ok(disk.equals(expected), `the disk of number ${n}`);
      }
      assert.deepEqual([Math.max(...ancestors), ancestors.slice(14, 17)], [15, [15, 1, 2]]);
      node.builds.sweep();
      await node.builds.swept();
      const { objects } = await node.world.bucket.list("builds/", {}, never);
      const left = new Set(objects.map(({ key }) => key.split("/")[1]));
      assert.ok(left.size <= chainMax, "what the last one does not refer to is gone");
    }));

  it("grow into one when what lies before cannot be read", () =>
    run(async (node, parent) => {
      let before = parent.build;
      for (let n = 0; n < 15; n++) before = await node.make(`i${n}`, before);
      await node.until(() => node.builds.unpublished === 0);
      node.unreadable = before;
      const last = await node.make("last", before);
      node.unreadable = undefined;
      await using lease = await node.cache.acquire(last, "test", never);
      assert.equal(lease.manifest.ancestors.length, 16);
    }));

  it("go when nothing starts from them or from what refers to them, also while they are being published", () =>
    run(async (node, parent) => {
      const first = await node.make("i1", parent.build);
      const second = await node.make("i2", first);
      await node.until(() => node.builds.unpublished === 0);
      await node.store.sandboxes.delete("i1");
      node.builds.sweep();
      await node.builds.swept();
      assert.ok(await node.isPublished(first), "its child refers to it");
      node.bucketIsAway = true;
      const third = await node.make("i3", parent.build);
      await node.store.sandboxes.delete("i2");
      await node.store.sandboxes.delete("i3");
      node.builds.sweep();
      await node.builds.swept();
      node.bucketIsAway = false;
      for (const build of [first, second, third]) assert.equal(await node.isPublished(build), false);
      const { objects } = await node.world.bucket.list("builds/", {}, never);
      assert.ok(objects.every(({ key }) => key.startsWith(`builds/${parent.build}/`)));
      assert.deepEqual(await readdir(path.join(node.world.directory, "builds")), [parent.build]);
      assert.deepEqual(await readdir(node.directory), []);
      assert.equal(await node.store.childBuilds.get(first), undefined);
    }));

  it("stay as long as they are held, and are gone without a trace when making them fails", () =>
    run(async (node, parent) => {
      const guest = await node.guestOf(parent.build);
      const held: HeldBuild = await node.builds.take(guest, wish, never);
      node.builds.sweep();
      await node.builds.swept();
      assert.ok(await node.store.childBuilds.get(held.build));
      await held[Symbol.asyncDispose]();
      await node.builds.swept();
      assert.equal(await node.store.childBuilds.get(held.build), undefined);
      const broken = { capture: () => Promise.reject(new Failure("unavailable", "no")) } as unknown as Guest;
      await assert.rejects(node.builds.take(broken, wish, never), (error) =>
        Failure.is(error, "unavailable"),
      );
      assert.deepEqual(await readdir(node.directory), []);
    }));
});
