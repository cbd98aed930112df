import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { DatabaseSync, StatementSync } from "node:sqlite";
import { after, before, beforeEach, describe, it, mock } from "node:test";
import { Failure } from "../base/failure.ts";
import { silentLogger } from "../base/logger.ts";
import { assertNothingLeft, takeCensus } from "../base/testing/census.ts";
import { SeededRandom } from "../base/testing/seeded-random.ts";
import { VirtualClock } from "../base/testing/virtual-clock.ts";
import { Store } from "./store.ts";
import { publishedTemplate, sandboxRecord } from "./testing/sample-records.ts";

const clock = new VirtualClock();

function open(file: string, seed = 1): Promise<Store> {
  return Store.open({ path: file, clock, logger: silentLogger, random: new SeededRandom(seed) });
}

describe("Store", () => {
  let directory = "";
  let file = "";
  before(async () => {
    directory = await mkdtemp(path.join(tmpdir(), "larder-store-"));
  });
  beforeEach(() => {
    file = path.join(directory, `${Math.random()}.db`);
  });
  after(() => rm(directory, { recursive: true }));

  it("makes its id and its seed once and keeps them", async () => {
    const first = await open(file, 1);
    const { storeId, tokenSeed } = first.settings;
    await first.close();
    assert.equal(tokenSeed.length, 32);
    await using second = await open(file, 2);
    assert.equal(second.settings.storeId, storeId);
    assert.deepEqual(second.settings.tokenSeed, tokenSeed);
  });

  it("is readable by its owner only, its journal too, and leaves nothing open", async () => {
    const census = takeCensus();
    const store = await open(file);
    for (const name of [file, `${file}-wal`]) assert.equal((await stat(name)).mode & 0o777, 0o600);
    await store.close();
    await assertNothingLeft(census);
  });

  it("refuses what a newer version wrote, with a sentence and without touching it", async () => {
    await (await open(file)).close();
    const database = new DatabaseSync(file);
    database.exec("insert into schemaSteps (name, timestamp) values ('0099-later', 'x')");
    database.close();
    const census = takeCensus();
    await assert.rejects(
      open(file),
      (error) => Failure.is(error, "invalid") && /newer version.*0099-later/.test(error.message),
    );
    await assertNothingLeft(census);
  });

  it("is brought up to date, or stays as it was, wherever the process that does it breaks off", async () => {
    const run = Reflect.get(StatementSync.prototype, "run") as (...args: never[]) => never;
    let left = Infinity;
    mock.method(StatementSync.prototype, "run", function (this: StatementSync, ...values: never[]) {
      if (left-- <= 0) throw new Error("killed");
      return Reflect.apply(run, this, values);
    });
    /** False when it was broken off. */
    const opens = async (place: string) => {
      const store = await open(place).catch(() => undefined);
      await store?.close();
      return store !== undefined;
    };
    try {
      for (let steps = 0; ; steps++) {
        const place = `${file}-${steps}`;
        left = steps;
        const isDone = await opens(place);
        left = Infinity;
        assert.ok(await opens(place), `broken off at statement ${steps}`);
        if (isDone) break;
      }
    } finally {
      mock.restoreAll();
    }
  });

  it("says that a file is no store", async () => {
    await (await open(file)).close();
    await writeFile(file, "this is a letter to my grandmother, and no database at all".repeat(100));
    await assert.rejects(open(file), (error) => Failure.is(error, "corrupt"));
  });

  it("lets one transaction after the other use its one connection", async () => {
    await using store = await open(":memory:");
    const ids = Array.from({ length: 50 }, (_, i) => `i${i}`);
    await Promise.all(ids.map((id) => store.sandboxes.insert(sandboxRecord({ id, metadata: { id } }))));
    assert.equal((await store.sandboxes.all()).length, 50);
  });

  it("undoes a transaction that fails half-way", async () => {
    await using store = await open(":memory:");
    const bad = { ...publishedTemplate(), build: { ...publishedTemplate().build, diskBuild: "nowhere" } };
    await assert.rejects(store.templates.publish(bad), (error) => Failure.is(error, "conflict"));
    assert.deepEqual(await store.templates.list(), []);
  });
});

describe("ApiKeys", () => {
  it("lets in the keys that were set, and an old key of the same name no longer", async () => {
    await using store = await open(":memory:");
    await store.apiKeys.set("local", "e2b_01");
    await store.apiKeys.set("friend", "e2b_02");
    assert.deepEqual(
      await Promise.all(["e2b_01", "e2b_02", "e2b_03", ""].map((key) => store.apiKeys.allows(key))),
      [true, true, false, false],
    );
    await store.apiKeys.set("local", "e2b_03");
    assert.equal(await store.apiKeys.allows("e2b_01"), false);
    assert.equal(await store.apiKeys.allows("e2b_03"), true);
    assert.equal(await store.apiKeys.remove("friend"), true);
    assert.equal(await store.apiKeys.remove("friend"), false);
    assert.deepEqual(await store.apiKeys.names(), ["local"]);
  });

  it("are nowhere in the file", async () => {
    const directory = await mkdtemp(path.join(tmpdir(), "larder-store-"));
    const file = path.join(directory, "larder.db");
    const store = await open(file);
    await store.apiKeys.set("local", "e2b_0123456789abcdef");
    await store.close();
    assert.ok(!(await readFile(file)).includes("0123456789abcdef"));
    await rm(directory, { recursive: true });
  });
});

describe("TemplateRecords", () => {
  it("finds a template by id, by name and by tag", async () => {
    await using store = await open(":memory:");
    const id = await store.templates.publish(publishedTemplate({ id: "b1" }));
    await store.templates.publish({ ...publishedTemplate({ id: "b2" }), tag: "next" });
    for (const reference of [id, "base", "base:default", `${id}:default`])
      assert.equal((await store.templates.find(reference))?.builds[0]?.id, "b1", reference);
    assert.equal((await store.templates.find("base:next"))?.builds[0]?.id, "b2");
    for (const reference of ["bas", "base:other", "", ":", "base:"])
      assert.equal(await store.templates.find(reference), undefined, reference);
    assert.deepEqual((await store.templates.list())[0]?.tags, { default: "b1", next: "b2" });
  });

  it("knows all builds of a disk, the newest first, as they were published", async () => {
    await using store = await open(":memory:");
    const { shape: _none, ...disk } = publishedTemplate({ id: "b1" }).build;
    await store.templates.publish({ name: "base", build: disk });
    await clock.advance(1);
    const warm = publishedTemplate({ id: "b2", diskBuild: "b1" });
    await store.templates.publish(warm);
    const found = await store.templates.find("base");
    assert.deepEqual(
      found?.builds.map((build) => [build.id, build.shape?.vmmVersion]),
      [
        ["b2", "10.0.2"],
        ["b1", undefined],
      ],
    );
    assert.deepEqual(found?.builds[0]?.shape, warm.build.shape);
    await store.templates.setColdBoot("b2", true);
    assert.equal((await store.templates.buildsOf("b1"))[0]?.coldBoot, true);
  });

  it("moves a tag to the newest disk", async () => {
    await using store = await open(":memory:");
    const id = await store.templates.publish(publishedTemplate({ id: "b1" }));
    assert.equal(await store.templates.publish(publishedTemplate({ id: "b2" })), id);
    assert.equal((await store.templates.find("base"))?.builds[0]?.id, "b2");
  });
});
