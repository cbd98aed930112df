import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { Failure } from "../base/failure.ts";
import { silentLogger } from "../base/logger.ts";
import { VirtualClock } from "../base/testing/virtual-clock.ts";
import { encodePageToken } from "./page-token.ts";
import type { RecordFilter } from "./sandbox-page.ts";
import { Store } from "./store.ts";
import { sandboxRecord } from "./testing/sample-records.ts";

const clock = new VirtualClock();

function open(): Promise<Store> {
  return Store.open({ path: ":memory:", clock, logger: silentLogger });
}

const everything: RecordFilter = { states: ["running"], order: "asc", limit: 100 };

async function idsOf(store: Store, filter: Partial<RecordFilter>): Promise<string[]> {
  const { records } = await store.sandboxes.page({ ...everything, ...filter });
  return records.map((record) => record.id);
}

describe("SandboxRecords", () => {
  it("gives back what was put in, and what was changed", async () => {
    await using store = await open();
    const record = sandboxRecord({
      id: "i1",
      state: "starting",
      metadata: { owner: "me", "": "empty name" },
      envs: { GREETING: "hello\n" },
      secure: false,
      uid: 100_007,
    });
    await store.sandboxes.insert(record);
    assert.deepEqual(await store.sandboxes.get("i1"), record);
    const process = { pid: 4711, startTime: "123456" };
    const change = { state: "running", process, channelSecret: Buffer.alloc(16, 7), endAt: 2 ** 43 } as const;
    await store.sandboxes.update("i1", change);
    assert.deepEqual(await store.sandboxes.get("i1"), { ...record, ...change });
    await assert.rejects(store.sandboxes.insert(record), (error) => Failure.is(error, "conflict"));
    await store.sandboxes.delete("i1");
    await store.sandboxes.delete("i1");
    await store.sandboxes.update("i1", change);
    assert.equal(await store.sandboxes.get("i1"), undefined);
  });

  it("filters by all pairs of metadata, state, template and start", async () => {
    await using store = await open();
    const { sandboxes } = store;
    await sandboxes.insert(sandboxRecord({ id: "i1", metadata: { owner: "me", job: "a" } }));
    await sandboxes.insert(
      sandboxRecord({ id: "i2", metadata: { owner: "me", job: "b" }, startedAt: 2_000 }),
    );
    await sandboxes.insert(
      sandboxRecord({ id: "i3", metadata: { owner: "a", a: "owner" }, state: "starting" }),
    );
    await sandboxes.insert(sandboxRecord({ id: "i4", templateId: "t1", templateName: "other" }));
    assert.deepEqual(await idsOf(store, { metadata: { owner: "me" } }), ["i1", "i2"]);
    assert.deepEqual(await idsOf(store, { metadata: { owner: "me", job: "b" } }), ["i2"]);
    assert.deepEqual(await idsOf(store, { metadata: { owner: "b" } }), []);
    assert.deepEqual(await idsOf(store, { metadata: { job: "' or 1=1 --" } }), []);
    assert.deepEqual(await idsOf(store, { states: ["starting"] }), ["i3"]);
    assert.deepEqual(await idsOf(store, { states: [] }), []);
    assert.deepEqual(await idsOf(store, { startedAfter: 2_000 }), ["i2"]);
    assert.deepEqual(await idsOf(store, { startedAfter: 2_001 }), []);
    assert.deepEqual(await idsOf(store, { template: "t1" }), ["i4"]);
    assert.deepEqual(await idsOf(store, { template: "base" }), ["i1", "i2"]);
    assert.deepEqual(await idsOf(store, { template: "nothing" }), []);
  });

  it("pages through all that stay, each once and in order, whatever comes and goes meanwhile", async () => {
    const scene = fc.record({
      starts: fc.array(fc.integer({ min: 0, max: 5 }), { maxLength: 25 }),
      order: fc.constantFrom("asc", "desc"),
      limit: fc.integer({ min: 1, max: 6 }),
      leaves: fc.infiniteStream(fc.nat()),
      newcomer: fc.infiniteStream(fc.integer({ min: 0, max: 5 })),
    });
    await fc.assert(
      fc.asyncProperty(scene, async ({ starts, order, limit, leaves, newcomer }) => {
        await using store = await open();
        const staying = new Map(starts.map((startedAt, i) => [`i${i}`, startedAt]));
        for (const [id, startedAt] of staying) await store.sandboxes.insert(sandboxRecord({ id, startedAt }));
        const seen: string[] = [];
        let after: string | undefined;
        for (let page = 0; ; page++) {
          const filter = { ...everything, order, limit, ...(after === undefined ? {} : { after }) };
          const { records, next } = await store.sandboxes.page(filter);
          assert.ok(records.length <= limit);
          seen.push(...records.map((record) => record.id));
          if (next === undefined) break;
          after = next;
          const gone = `i${leaves.next().value % starts.length}`;
          await store.sandboxes.delete(gone);
          staying.delete(gone);
          await store.sandboxes.insert(sandboxRecord({ id: `n${page}`, startedAt: newcomer.next().value }));
        }
        assert.equal(new Set(seen).size, seen.length, "none came twice");
        const sign = order === "asc" ? 1 : -1;
        const expected = [...staying].sort(
          ([idA, a], [idB, b]) => sign * (a - b || (idA < idB ? -1 : idA > idB ? 1 : 0)),
        );
        const stayed = seen.filter((id) => staying.has(id));
        assert.deepEqual(
          stayed,
          expected.map(([id]) => id),
        );
      }),
      { numRuns: 40 },
    );
  });

  it("refuses a token that it did not give, or gave for another order", async () => {
    await using store = await open();
    const place = { startedAt: 1, id: "i1" };
    const good = encodePageToken({ order: "asc", ...place });
    for (const after of [
      "",
      "x",
      "%%%",
      `${good}=`,
      `${good}A`,
      good.slice(1),
      encodePageToken({ order: "desc", ...place }),
    ])
      await assert.rejects(
        store.sandboxes.page({ ...everything, after }),
        (error) => Failure.is(error, "invalid"),
        after,
      );
    assert.deepEqual(await store.sandboxes.page({ ...everything, after: good }), { records: [] });
  });
});
