import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Failure } from "../base/failure.ts";
import { Scene } from "./testing/scene.ts";

const newest = { order: "desc", limit: 100 } as const;

describe("Sandboxes.list", () => {
  it("shows those that run, the newest first, page by page", async () => {
    await using scene = await Scene.open();
    const ids: string[] = [];
    for (let i = 0; i < 5; i++) {
      ids.unshift((await scene.create({ metadata: { i: String(i % 2) } })).id);
      await scene.clock.advance(1_000);
    }
    await scene.begin();
    const seen: string[] = [];
    let after: string | undefined;
    do {
      const page = await scene.sandboxes.list({
        ...newest,
        limit: 2,
        ...(after === undefined ? {} : { after }),
      });
      seen.push(...page.sandboxes.map((each) => each.id));
      after = page.next;
    } while (after !== undefined);
    assert.deepEqual(seen, ids, "the one that starts is not there yet");
  });

  it("filters by metadata, template, start and state", async () => {
    await using scene = await Scene.open();
    const first = await scene.create({ metadata: { owner: "me" } });
    await scene.clock.advance(1_000);
    const second = await scene.create({ metadata: { owner: "you" } });
    const ids = async (filter: object) =>
      (await scene.sandboxes.list({ ...newest, ...filter })).sandboxes.map((each) => each.id);
    assert.deepEqual(await ids({ metadata: { owner: "me" } }), [first.id]);
    assert.deepEqual(await ids({ template: "base" }), [second.id, first.id]);
    assert.deepEqual(await ids({ template: first.templateId, order: "asc" }), [first.id, second.id]);
    assert.deepEqual(await ids({ template: "other" }), []);
    assert.deepEqual(await ids({ startedAfter: second.startedAt }), [second.id]);
    assert.deepEqual(await ids({ states: ["paused"] }), []);
    assert.deepEqual(await ids({ states: ["running", "paused"] }), [second.id, first.id]);
  });

  it("refuses limits beyond 1 to 100 and tokens that are none", async () => {
    await using scene = await Scene.open();
    for (const limit of [0, 101, 1.5, Number.NaN])
      await assert.rejects(scene.sandboxes.list({ ...newest, limit }), (error) =>
        Failure.is(error, "invalid"),
      );
    await assert.rejects(scene.sandboxes.list({ ...newest, after: "page 2" }), (error) =>
      Failure.is(error, "invalid"),
    );
  });
});
