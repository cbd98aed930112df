import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Failure } from "../base/failure.ts";
import { silentLogger } from "../base/logger.ts";
import { SeededRandom } from "../base/testing/seeded-random.ts";
import { VirtualClock } from "../base/testing/virtual-clock.ts";
import type { NewSnapshot, SnapshotRecord } from "./snapshot-records.ts";
import { Store } from "./store.ts";
import { publishedTemplate, sandboxRecord } from "./testing/sample-records.ts";

const clock = new VirtualClock();
const sizes = { vcpus: 1, memoryBytes: 512 * 2 ** 20, diskBytes: 10 * 2 ** 30 };

async function open(): Promise<Store> {
  const store = await Store.open({
    path: ":memory:",
    clock,
    logger: silentLogger,
    random: new SeededRandom(3),
  });
  await store.templates.publish(publishedTemplate());
  return store;
}

async function save(store: Store, id: string, more: Partial<NewSnapshot> = {}): Promise<SnapshotRecord> {
  await clock.advance(1);
  const { shape } = publishedTemplate().build;
  return await store.snapshots.save({
    sandboxId: "i1",
    build: { id, ...sizes, ...(shape && { shape }) },
    ...more,
  });
}

describe("SnapshotRecords", () => {
  it("are started from like templates, by id or by name, and are not listed among them", async () => {
    await using store = await open();
    const { templateId, name } = await save(store, "c1");
    assert.equal(name, undefined);
    await save(store, "c2", { name: "mine" });
    await save(store, "c3", { name: "mine:next" });
    for (const [reference, build] of [
      [`${templateId}:default`, "c1"],
      ["mine", "c2"],
      ["mine:default", "c2"],
      ["mine:next", "c3"],
    ] as const) {
      assert.deepEqual(
        (await store.templates.find(reference))?.builds.map(({ id }) => id),
        [build],
      );
    }
    assert.deepEqual(
      (await store.templates.list()).map((each) => each.name),
      ["base"],
    );
  });

  it("a name moves to the newest build, and never away from a template", async () => {
    await using store = await open();
    await save(store, "c1", { name: "mine" });
    await save(store, "c2", { name: "mine" });
    assert.deepEqual(
      (await store.templates.find("mine"))?.builds.map(({ id }) => id),
      ["c2"],
    );
    for (const name of ["base", "base:other"]) {
      await assert.rejects(save(store, "c3", { name }), (error) => Failure.is(error, "conflict"));
      await assert.rejects(store.snapshots.checkName(name), (error) => Failure.is(error, "conflict"));
    }
    await assert.rejects(save(store, "c3", { name: "a b" }), (error) => Failure.is(error, "invalid"));
    await assert.rejects(
      save(store, "c2"),
      (error) => Failure.is(error, "conflict"),
      "it has a name already",
    );
  });

  it("are paged newest first, each once, and filtered by sandbox and name", async () => {
    await using store = await open();
    for (let i = 0; i < 7; i++)
      await save(store, `c${i}`, i % 2 === 0 ? { name: `n${i}` } : { sandboxId: "i2" });
    const seen: string[] = [];
    let after: string | undefined;
    do {
      const page = await store.snapshots.page({ limit: 2, ...(after === undefined ? {} : { after }) });
      seen.push(...page.snapshots.map((each) => each.name ?? each.templateId));
      after = page.next;
    } while (after !== undefined);
    assert.equal(new Set(seen).size, 7);
    assert.deepEqual(
      seen.filter((name) => name.startsWith("n") && name.length === 2),
      ["n6", "n4", "n2", "n0"],
    );
    assert.equal((await store.snapshots.page({ limit: 10, sandboxId: "i2" })).snapshots.length, 3);
    assert.equal((await store.snapshots.page({ limit: 10, name: "n4:default" })).snapshots.length, 1);
    await assert.rejects(store.snapshots.page({ limit: 1, after: "x" }), (error) =>
      Failure.is(error, "invalid"),
    );
  });

  it("are removed by tag or whole; a template proper never is", async () => {
    await using store = await open();
    await save(store, "c1", { name: "mine" });
    await save(store, "c2", { name: "mine:next" });
    assert.equal(await store.snapshots.remove("mine:next"), true);
    assert.equal(await store.snapshots.remove("mine:next"), false);
    assert.equal(await store.templates.find("mine:next"), undefined);
    assert.equal(await store.snapshots.remove("mine"), true);
    assert.equal(await store.templates.find("mine"), undefined);
    for (const reference of ["base", "base:default", "", "ns/none:default"])
      assert.equal(await store.snapshots.remove(reference), false, reference);
    assert.ok(await store.templates.find("base"));
  });
});

describe("ChildBuildRecords", () => {
  it("are needed by sandboxes, by templates, by whoever holds them, and by what is needed itself", async () => {
    await using store = await open();
    const { childBuilds, sandboxes } = store;
    const ancestors: Record<string, string[]> = { c1: ["b0"], c2: ["c1", "b0"], c3: ["c1"], c4: [], c5: [] };
    for (const [id, refersTo] of Object.entries(ancestors))
      await childBuilds.insert({ id, ancestors: refersTo });
    await sandboxes.insert(sandboxRecord({ id: "i1", build: "c2" }));
    await save(store, "c4");
    assert.deepEqual((await childBuilds.unneeded(["c5"])).sort(), ["c3"]);
    await sandboxes.delete("i1");
    assert.deepEqual((await childBuilds.unneeded([])).sort(), ["c1", "c2", "c3", "c5"]);
  });
});
