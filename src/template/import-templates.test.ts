import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Failure } from "../base/failure.ts";
import { silentLogger } from "../base/logger.ts";
import { faulty } from "../base/testing/faulty.ts";
import { SeededRandom } from "../base/testing/seeded-random.ts";
import { VirtualClock } from "../base/testing/virtual-clock.ts";
import type { Bucket } from "../bucket/bucket.ts";
import { MemoryBucket } from "../bucket/memory-bucket.ts";
import { claimBucket } from "../build/claim-bucket.ts";
import { deleteBuild } from "../build/delete-build.ts";
import { IndexBook } from "../build/index-book.ts";
import { needsBytesMax, needsKey, parseNeeds } from "../build/node-needs.ts";
import { readSmall } from "../build/read-small.ts";
import { cardKey, cardPrefix } from "../build/template-card.ts";
import { publishRandomBuild, publishRandomChild } from "../build/testing/published-build.ts";
import { openIndex } from "../build/testing/read-device.ts";
import { Store } from "../store/store.ts";
import { publishedTemplate, sandboxRecord } from "../store/testing/sample-records.ts";
import { BucketRegister } from "./bucket-register.ts";
import { importTemplates } from "./import-templates.ts";

const never = new AbortController().signal;
const [node, other] = ["11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"];
const sizes = { vcpus: 1, memoryBytes: 2 ** 29, diskBytes: 2 ** 30 };

/** A bucket, and a store whose names it is told of. */
class Site implements AsyncDisposable {
  readonly clock = new VirtualClock();
  readonly random = new SeededRandom(3);
  readonly memory = new MemoryBucket(this.clock);
  isAway = false;
  readonly bucket = faulty(this.memory as Bucket, () =>
    this.isAway ? { kind: "fail", code: "unavailable" } : undefined,
  );
  readonly #held = new AsyncDisposableStack();

  async open(): Promise<Store> {
    const { clock, random } = this;
    return this.#held.use(await Store.open({ path: ":memory:", clock, logger: silentLogger, random }));
  }

  register({ cards }: Store, of = node): BucketRegister {
    const { bucket, clock } = this;
    return this.#held.use(new BucketRegister({ bucket, cards, node: of, clock, logger: silentLogger }));
  }

  /** A store with `base` (two tags) and a named snapshot of a sandbox of it. */
  async inUse(): Promise<{ store: Store; base: string; snapshot: string }> {
    const store = await this.open();
    await claimBucket(this.memory, store.settings.storeId, never);
    const parent = await publishRandomBuild(this.memory, this.random, { chunks: 2 });
    const index = await openIndex(this.memory, new IndexBook(), parent.build, "rootfs");
    const child = await publishRandomChild(this.memory, this.random, parent, index);
    await store.templates.publish(publishedTemplate({ id: parent.build }));
    await store.templateTags.assign("base", ["stable"]);
    await store.childBuilds.insert({ id: child.build, ancestors: [parent.build] });
    await store.snapshots.save({ name: "mine/v1", sandboxId: "i1", build: { id: child.build, ...sizes } });
    return { store, base: parent.build, snapshot: child.build };
  }

  async cards(): Promise<string[]> {
    return (await this.memory.list(cardPrefix, {}, never)).objects.map(({ key }) => key);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#held.disposeAsync();
  }
}

describe("a lost store", () => {
  it("is made again from its bucket: templates, tags, snapshots, and what keeps them", async () => {
    await using site = new Site();
    const { store, base, snapshot } = await site.inUse();
    await site.register(store).sync(never);
    const found = [await store.templates.find("base:stable"), await store.templates.find("mine/v1")];
    const snapshots = await store.snapshots.page({ limit: 10 });

    const fresh = await site.open();
    assert.notEqual(fresh.settings.storeId, store.settings.storeId);
    const { templates, skipped } = await importTemplates(
      { bucket: site.bucket, store: fresh, random: site.random },
      never,
    );
    assert.deepEqual(skipped, []);
    assert.deepEqual(templates, [
      { name: "base", tags: ["default", "stable"] },
      { name: "mine/v1", tags: ["default"] },
    ]);
    assert.equal(fresh.settings.storeId, store.settings.storeId);
    await claimBucket(site.bucket, fresh.settings.storeId, never);
    assert.deepEqual(
      [await fresh.templates.find("base:stable"), await fresh.templates.find("mine/v1")],
      found,
    );
    assert.deepEqual(await fresh.snapshots.page({ limit: 10 }), snapshots);
    assert.deepEqual(await fresh.cards.needed(), new Set([base, snapshot]));
    await fresh.snapshots.remove("mine/v1");
    assert.deepEqual(await fresh.childBuilds.unneeded([]), [snapshot], "it goes when its name does");
    const again = await importTemplates({ bucket: site.bucket, store: fresh, random: site.random }, never);
    assert.equal(again.templates.length, 1, "a second import brings what is lacking");
  });

  it("gets back what slept on a node that is named as lost, as snapshots; the layers below get no names", async () => {
    await using site = new Site();
    const { store } = await site.inUse();
    const parent = await publishRandomBuild(site.memory, site.random, { chunks: 2 });
    await store.templates.publish({ ...publishedTemplate({ id: parent.build }), name: "mine" });
    const index = await openIndex(site.memory, new IndexBook(), parent.build, "rootfs");
    const first = await publishRandomChild(site.memory, site.random, parent, index);
    const over = await openIndex(site.memory, new IndexBook(), first.build, "rootfs");
    const asleep = await publishRandomChild(site.memory, site.random, first, over);
    for (const { build } of [first, asleep])
      await store.childBuilds.insert({ id: build, ancestors: [parent.build] });
    await site.register(store).sync(never);
    const fresh = await site.open();
    const parts = { bucket: site.bucket, store: fresh, random: site.random };
    const { templates } = await importTemplates({ ...parts, lostNodes: [node] }, never);
    const name = `lost-${asleep.build.slice(0, 8)}`;
    assert.deepEqual(
      templates.map((each) => each.name),
      ["base", "mine", "mine/v1", name],
    );
    assert.equal((await fresh.templates.find(name))?.builds[0]?.id, asleep.build);
    assert.ok((await fresh.cards.needed()).has(asleep.build));
    const again = await importTemplates({ ...parts, lostNodes: [node] }, never);
    assert.deepEqual(again.templates, []);
    const unknown = importTemplates({ ...parts, lostNodes: [other] }, never);
    await assert.rejects(unknown, (error) => Failure.is(error, "not_found"));
  });

  it("gets back what is whole, and is told of the rest", async () => {
    await using site = new Site();
    const { store, base } = await site.inUse();
    await site.register(store).sync(never);
    await site.memory.put(`${cardPrefix}odd.json`, Buffer.from("{}"), {}, never);
    await deleteBuild(site.memory, base, never);
    const fresh = await site.open();
    const { templates, skipped } = await importTemplates(
      { bucket: site.bucket, store: fresh, random: site.random },
      never,
    );
    assert.deepEqual(templates, []);
    assert.deepEqual(
      skipped.map(({ name, tag }) => [name, tag]),
      [
        ["base", "default"],
        ["base", "stable"],
        ["mine/v1", "default"],
        ["templates/odd.json", undefined],
      ],
    );
  });

  it("is not made of one that is in use, and not from a bucket that is nobody's", async () => {
    await using site = new Site();
    await site.inUse();
    const used = await site.open();
    const { storeId } = used.settings;
    await used.sandboxes.insert(sandboxRecord({ id: "i9" }));
    await assert.rejects(
      importTemplates({ bucket: site.bucket, store: used, random: site.random }, never),
      (error) => Failure.is(error, "conflict"),
    );
    assert.equal(used.settings.storeId, storeId);
    await using empty = new MemoryBucket();
    await assert.rejects(
      importTemplates({ bucket: empty, store: await site.open(), random: site.random }, never),
      (error) => Failure.is(error, "not_found"),
    );
  });
});

describe("what the bucket is told", () => {
  it("follows the store, by and by also when the bucket was away", async () => {
    await using site = new Site();
    const { store, base, snapshot } = await site.inUse();
    const register = site.register(store);
    register.start();
    await site.clock.advance(10);
    assert.deepEqual(await site.cards(), [cardKey("base"), cardKey("mine/v1")]);
    const needs = parseNeeds(await readSmall(site.bucket, needsKey(node), needsBytesMax, never), "needs");
    assert.deepEqual([needs.node, needs.builds], [node, [base, snapshot].sort()]);
    site.isAway = true;
    await store.snapshots.remove("mine/v1");
    register.changed();
    await site.clock.advance(1_000);
    site.isAway = false;
    assert.equal((await site.cards()).length, 2);
    await site.clock.advance(60_000);
    assert.deepEqual(await site.cards(), [cardKey("base")]);
    await store.templateTags.assign("base", ["late"]);
    register.changed();
    await register.close();
    const fresh = await site.open();
    const { templates } = await importTemplates(
      { bucket: site.bucket, store: fresh, random: site.random },
      never,
    );
    assert.deepEqual(
      templates[0]?.tags,
      ["default", "late", "stable"],
      "the last word is said when it closes",
    );
  });

  it("by one node stays when another one knows less", async () => {
    await using site = new Site();
    const { store } = await site.inUse();
    await site.register(store).sync(never);
    const before = await site.cards();
    const copy = await site.open();
    await importTemplates({ bucket: site.bucket, store: copy, random: site.random }, never);
    await site.clock.advance(5);
    await store.templateTags.assign("base", ["newer"]);
    await site.register(store).sync(never);
    await copy.snapshots.remove("mine/v1");
    await site.register(copy, other).sync(never);
    assert.deepEqual(await site.cards(), before, "a name that another node has told of is not removed");
    const third = await site.open();
    const { templates } = await importTemplates(
      { bucket: site.bucket, store: third, random: site.random },
      never,
    );
    assert.deepEqual(templates[0]?.tags, ["default", "newer", "stable"]);
  });

  it("names every name in a key of its own", () => {
    const names = [
      "base",
      "a/b",
      "a_2fb",
      "a_b",
      "A",
      "a.json",
      "é",
      "x".repeat(300),
      "x".repeat(301),
      "..",
      ".",
    ];
    const keys = names.map(cardKey);
    assert.equal(new Set(keys).size, names.length);
    for (const key of keys) assert.match(key, /^templates\/[A-Za-z0-9._-]{1,255}$/);
    assert.equal(keys[0], "templates/base.json");
  });
});
