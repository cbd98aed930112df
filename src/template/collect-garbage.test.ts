import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Failure } from "../base/failure.ts";
import { silentLogger } from "../base/logger.ts";
import { type FaultPlan, faulty } from "../base/testing/faulty.ts";
import { SeededRandom } from "../base/testing/seeded-random.ts";
import { VirtualClock } from "../base/testing/virtual-clock.ts";
import type { Bucket } from "../bucket/bucket.ts";
import { MemoryBucket } from "../bucket/memory-bucket.ts";
import { claimBucket } from "../build/claim-bucket.ts";
import { graceMsDefault, graceMsMin } from "../build/grace.ts";
import { IndexBook } from "../build/index-book.ts";
import { encodeNeeds, needsKey } from "../build/node-needs.ts";
import { blobKey, manifestKey, packKey } from "../build/object-keys.ts";
import { allObjects } from "../build/survey-bucket.ts";
import {
  type PublishedBuild,
  publishRandomBuild,
  publishRandomChild,
} from "../build/testing/published-build.ts";
import { openIndex } from "../build/testing/read-device.ts";
import { type Collection, type CollectionWish, collectGarbage } from "./collect-garbage.ts";

const never = new AbortController().signal;
const [own, other] = ["11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"];

/** A bucket of the store `s`, and a node that needs and keeps what the test says. */
class Site {
  readonly clock = new VirtualClock();
  readonly random = new SeededRandom(7);
  readonly memory = new MemoryBucket(this.clock);
  plan: FaultPlan = () => undefined;
  readonly bucket = faulty(this.memory as Bucket, (...call) => this.plan(...call));
  readonly needed = new Set<string>();
  readonly leased = new Set<string>();
  readonly shelf = new Map<string, number>();
  readonly forgotten: string[] = [];

  static async open(): Promise<Site> {
    const site = new Site();
    await claimBucket(site.memory, "s", never);
    return site;
  }

  publish(): Promise<PublishedBuild> {
    return publishRandomBuild(this.memory, this.random, { chunks: 2 });
  }

  async child(parent: PublishedBuild): Promise<string> {
    const index = await openIndex(this.memory, new IndexBook(), parent.build, "rootfs");
    // By the clock, a child is published after its parent.
    await this.clock.advance(1);
    return (await publishRandomChild(this.memory, this.random, parent, index)).build;
  }

  collect(wish: Partial<CollectionWish> = {}, store = "s"): Promise<Collection> {
    const { bucket, clock, shelf, leased } = this;
    return collectGarbage(
      {
        ...{ bucket, clock, store, node: own, logger: silentLogger },
        needed: async () => new Set([...this.needed, ...leased]),
        shelf: {
          builds: () => [...shelf].map(([build, bytes]) => ({ build, bytes })),
          evict: async (build) => !leased.has(build) && shelf.delete(build),
        },
        forget: async (builds) => void this.forgotten.push(...builds),
      },
      { dryRun: false, graceMs: graceMsDefault, lostNodes: [], ...wish },
      never,
    );
  }

  async keys(): Promise<string[]> {
    return (await Array.fromAsync(allObjects(this.memory, "", never))).map(({ key }) => key);
  }

  async has(build: string): Promise<boolean> {
    return (await this.keys()).includes(manifestKey(build));
  }

  /** Long enough that nothing there is young any more. */
  async age(): Promise<void> {
    await this.clock.advance(graceMsDefault + 1);
  }
}

describe("a collection of garbage", () => {
  it("removes what nothing leads to from bucket and shelf, and says how much that was", async () => {
    const site = await Site.open();
    const [kept, gone] = [await site.publish(), await site.publish()];
    site.needed.add(kept.build);
    for (const { build } of [kept, gone]) site.shelf.set(build, 1000);
    await site.age();
    const before = await sizeOf(site);
    const told = await site.collect({ dryRun: true });
    assert.deepEqual(await sizeOf(site), before, "a dry run removes nothing");
    assert.equal(site.shelf.size, 2);
    const done = await site.collect();
    assert.deepEqual({ ...done, dryRun: true }, told, "what was removed is what a dry run says");
    assert.deepEqual(
      done.builds.map(({ build, because }) => [build, because]),
      [[gone.build, "unreferenced"]],
    );
    assert.deepEqual([...site.shelf.keys()], [kept.build]);
    assert.deepEqual(site.forgotten, [gone.build]);
    assert.equal(done.freedBytes.bucket, before - (await sizeOf(site)));
    assert.equal(done.freedBytes.shelf, 1000);
    assert.equal(done.keptBuilds, 1);
    const keys = await site.keys();
    assert.ok(!keys.some((key) => key.includes(gone.build)));
    assert.ok(!keys.includes(blobKey(gone.manifest.inputs[0]?.digest ?? "")));
    assert.ok(keys.includes(blobKey(kept.manifest.inputs[0]?.digest ?? "")), "an input that is named stays");
    assert.deepEqual((await site.collect()).freedBytes, { bucket: 0, shelf: 0 });
  });

  it("keeps what a needed build refers to, and a child goes before its parent", async () => {
    const site = await Site.open();
    const [parent, orphan] = [await site.publish(), await site.publish()];
    const child = await site.child(parent);
    const orphans = await site.child(orphan);
    site.needed.add(child);
    await site.age();
    const { builds } = await site.collect();
    assert.deepEqual(
      builds.map(({ build }) => build),
      [orphans, orphan.build],
    );
    assert.ok((await site.has(parent.build)) && (await site.has(child)));
  });

  it("leaves what is young, published or not: a publish under way needs it", async () => {
    const site = await Site.open();
    const { build, manifest } = await site.publish();
    const blob = blobKey("ab".repeat(32));
    const unfinished = packKey("33333333-3333-4333-8333-333333333333", "rootfs");
    await site.memory.put(blob, Buffer.of(1), {}, never);
    await site.memory.put(unfinished, Buffer.of(1), {}, never);
    const keys = await site.keys();
    await site.clock.advance(graceMsDefault);
    assert.deepEqual((await site.collect()).builds, []);
    assert.deepEqual(await site.keys(), keys);
    await site.clock.advance(1);
    const { builds, blobs } = await site.collect();
    assert.deepEqual(builds.map(({ because }) => because).sort(), ["unfinished", "unreferenced"]);
    assert.equal(blobs.length, 2);
    assert.deepEqual(await site.keys(), ["larder.json"]);
    assert.ok(builds.some((each) => each.build === build) && manifest.inputs.length === 1);
    await assert.rejects(site.collect({ graceMs: graceMsMin - 1 }), { code: "invalid" });
  });

  it("leaves what another node needs, whether it is up or not, until that is said to be lost", async () => {
    const site = await Site.open();
    const { build } = await site.publish();
    const needs = encodeNeeds({ node: other, writtenAt: 5, builds: [build] });
    await site.memory.put(needsKey(other), needs, {}, never);
    await site.age();
    const { builds, nodes } = await site.collect();
    assert.deepEqual(builds, []);
    assert.deepEqual(nodes, [{ node: other, writtenAt: 5, builds: 1 }]);
    assert.equal((await site.collect({ lostNodes: [other] })).builds.length, 1);
    assert.ok(!(await site.keys()).includes(needsKey(other)));
  });

  it("touches nothing in the bucket of another store, or in one that says nothing", async () => {
    const site = await Site.open();
    await site.publish();
    await site.age();
    const keys = await site.keys();
    await assert.rejects(site.collect({}, "another"), (error) => Failure.is(error, "conflict"));
    await site.memory.delete("larder.json", never);
    await assert.rejects(site.collect(), (error) => Failure.is(error, "not_found"));
    assert.deepEqual(await site.keys(), keys.slice(0, -1));
  });

  it("touches nothing when a manifest or the needs of a node cannot be read", async () => {
    const site = await Site.open();
    const [kept] = [await site.publish(), await site.publish()];
    site.needed.add(kept.build);
    await site.age();
    const keys = await site.keys();
    site.plan = (method, [key]) =>
      method === "read" && key === manifestKey(kept.build)
        ? { kind: "fail", code: "unavailable" }
        : undefined;
    await assert.rejects(site.collect(), (error) => Failure.is(error, "unavailable"));
    site.plan = () => undefined;
    await site.memory.put(needsKey(other), Buffer.from("{}"), {}, never);
    await assert.rejects(site.collect(), (error) => Failure.is(error, "corrupt"));
    assert.deepEqual(await site.keys(), [...keys, needsKey(other)].sort());
  });

  it("spares, with its parents and inputs, what is leased or needed only by the time it is to go", async () => {
    const site = await Site.open();
    const parent = await site.publish();
    const child = await site.child(parent);
    await site.age();
    site.plan = (method, [key]) => {
      // All has been surveyed by then.
      if (method === "list" && String(key) === `builds/${child}/`) site.needed.add(child);
      return undefined;
    };
    const { builds, blobs } = await site.collect();
    assert.deepEqual([builds, blobs], [[], []]);
    assert.ok((await site.has(parent.build)) && (await site.has(child)));
    site.needed.clear();
    site.plan = () => undefined;
    site.shelf.set(child, 10);
    const evict = site.shelf.delete.bind(site.shelf);
    site.shelf.delete = () => false; // leased meanwhile
    assert.deepEqual((await site.collect()).builds, []);
    site.shelf.delete = evict;
    assert.equal((await site.collect()).builds.length, 2);
  });

  it("that broke off is finished by the next one", async () => {
    const site = await Site.open();
    const { build } = await site.publish();
    await site.age();
    site.plan = (method, [key]) =>
      method === "delete" && String(key).endsWith("rootfs.pack")
        ? { kind: "fail", code: "unavailable" }
        : undefined;
    await assert.rejects(site.collect(), (error) => Failure.is(error, "unavailable"));
    assert.ok(!(await site.has(build)), "the manifest goes first");
    site.plan = () => undefined;
    assert.equal((await site.collect()).builds[0]?.because, "unfinished");
    assert.deepEqual(await site.keys(), ["larder.json"]);
  });
});

async function sizeOf(site: Site): Promise<number> {
  const objects = await Array.fromAsync(allObjects(site.memory, "", never));
  return objects.reduce((sum, { bytes }) => sum + bytes, 0);
}
