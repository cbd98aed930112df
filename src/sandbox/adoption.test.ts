import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { startTimeOf } from "../base/processes.ts";
import { settled } from "../base/testing/virtual-clock.ts";
import { leftMachine } from "./adoption.ts";
import { Scene } from "./testing/scene.ts";

/** A process that is there as long as this test is. */
const alive = { pid: process.pid, startTime: startTimeOf(process.pid) ?? assert.fail("it runs") };

describe("a sandbox whose daemon goes", () => {
  it("runs on, and is taken over with its process, its secret, its user and what is left of its time", async () => {
    await using scene = await Scene.open();
    scene.launcher.process = alive;
    const { id, accessToken } = await scene.create({ timeoutMs: 10_000, metadata: { owner: "me" } });
    const { uid } = (await scene.store.sandboxes.get(id)) ?? assert.fail("it is in the store");
    await scene.clock.advance(4_000);
    scene.launcher.automatic = true;
    await scene.restart("leave");
    assert.ok(scene.launcher.there.has(id));
    const order = scene.launcher.launches.at(-1)?.order;
    assert.deepEqual(order?.left, { process: alive, channelSecret: Buffer.alloc(16, 1) });
    assert.deepEqual([order?.uid, scene.uids.lent], [uid, 1]);
    const view = await scene.sandboxes.get(id);
    assert.deepEqual(
      [view.state, view.metadata, view.accessToken],
      ["running", { owner: "me" }, accessToken],
    );
    await scene.clock.advance(5_900);
    assert.ok(scene.launcher.there.has(id));
    await scene.clock.advance(200);
    assert.equal(scene.launcher.there.has(id), false, "its deadline is the one it had");
  });

  it("is taken over with the user that it was woken with, which is another one than before", async () => {
    await using scene = await Scene.open();
    scene.launcher.process = alive;
    scene.launcher.automatic = true;
    const { id } = await scene.create();
    await scene.sandboxes.pause(id, true);
    await scene.sandboxes.connect(id, { timeoutMs: 10_000 }, new AbortController().signal);
    const [first, woken] = scene.launcher.launches.map(({ order }) => order.uid);
    assert.notEqual(woken, first);
    await scene.restart("leave");
    assert.equal(scene.launcher.launches.at(-1)?.order.uid, woken);
    await scene.sandboxes.kill(id);
  });

  it("ends at once when its time ran out meanwhile", async () => {
    await using scene = await Scene.open();
    scene.launcher.process = alive;
    const { id } = await scene.create({ timeoutMs: 10_000 });
    await scene.sandboxes.close("leave");
    await scene.clock.advance(20_000);
    scene.launcher.automatic = true;
    await scene.restart("leave");
    await scene.clock.advance(1);
    assert.equal(scene.launcher.there.has(id), false);
  });

  it("is ended, and gone from the lists, when its agent does not answer", async () => {
    await using scene = await Scene.open();
    scene.launcher.process = alive;
    const { id } = await scene.create();
    const restarted = scene.restart("leave");
    await settled();
    scene.launcher.launches.at(-1)?.fail();
    await restarted;
    assert.equal(await scene.sandboxes.kill(id), false);
    assert.equal(scene.meter.sum("larder_sandboxes_ended_total"), 1);
  });

  it("finds its place again although the node is full by now", async () => {
    await using scene = await Scene.open({ sandboxesMax: 1 });
    scene.launcher.process = alive;
    scene.launcher.automatic = true;
    const { id } = await scene.create();
    await scene.restart("leave");
    assert.equal((await scene.sandboxes.get(id)).state, "running");
    await scene.sandboxes.kill(id);
    const other = await scene.create();
    await scene.sandboxes.kill(other.id);
  });
});

describe("leftMachine", () => {
  it("is none of a record whose agent had not answered, or whose process is another's or no more", async () => {
    await using scene = await Scene.open();
    scene.launcher.process = alive;
    const { id } = await scene.create();
    const record = (await scene.store.sandboxes.get(id)) ?? assert.fail("it is in the store");
    assert.deepEqual(leftMachine(record)?.process, alive);
    for (const state of ["starting", "stopping", "paused"] as const)
      assert.equal(leftMachine({ ...record, state }), undefined);
    const reused = { ...alive, startTime: "1" };
    assert.equal(leftMachine({ ...record, process: reused }), undefined);
    const { channelSecret: _unknown, ...early } = record;
    assert.equal(leftMachine(early), undefined);
    await scene.sandboxes.kill(id);
  });
});
