import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Failure } from "../base/failure.ts";
import { Scene } from "./testing/scene.ts";

const never = new AbortController().signal;
const isConflict = (error: unknown) => Failure.is(error, "conflict");

describe("Sandboxes.setInternetAccess", () => {
  it("closes the way of one that runs and opens it again, and keeps that over a pause", async () => {
    await using scene = await Scene.open();
    scene.launcher.automatic = true;
    const { id } = await scene.create({});
    const open = () => [scene.launcher.of(id)?.internet, scene.launcher.of(id)?.order.allowInternet];
    await scene.sandboxes.setInternetAccess(id, false, never);
    assert.deepEqual([open()[0], (await scene.sandboxes.get(id)).allowInternet], [false, false]);
    await scene.sandboxes.setInternetAccess(id, true, never);
    assert.deepEqual([open()[0], (await scene.sandboxes.get(id)).allowInternet], [true, true]);
    await scene.sandboxes.setInternetAccess(id, false, never);
    await scene.sandboxes.pause(id, true);
    await scene.sandboxes.connect(id, { timeoutMs: 300_000 }, never);
    assert.deepEqual(open(), [undefined, false], "it was woken without");
  });

  it("gives one that was started without a way one when it wakes, not before", async () => {
    await using scene = await Scene.open();
    scene.launcher.automatic = true;
    const { id } = await scene.create({ allowInternet: false });
    await assert.rejects(scene.sandboxes.setInternetAccess(id, true, never), isConflict);
    assert.equal((await scene.sandboxes.get(id)).allowInternet, false);
    await scene.sandboxes.setInternetAccess(id, false, never);
    await scene.sandboxes.pause(id, true);
    await scene.sandboxes.setInternetAccess(id, true, never);
    await scene.sandboxes.connect(id, { timeoutMs: 300_000 }, never);
    assert.equal(scene.launcher.of(id)?.internet, true);
  });

  it("never leaves a guest with more than its record says, whatever fails", async () => {
    await using scene = await Scene.open();
    scene.launcher.automatic = true;
    const { id } = await scene.create({});
    const launch = scene.launcher.of(id);
    assert.ok(launch);
    launch.stuck = true;
    await assert.rejects(scene.sandboxes.setInternetAccess(id, false, never));
    assert.deepEqual([launch.internet, (await scene.sandboxes.get(id)).allowInternet], [true, true]);
    launch.stuck = false;
    await scene.sandboxes.setInternetAccess(id, false, never);
    launch.stuck = true;
    await assert.rejects(scene.sandboxes.setInternetAccess(id, true, never));
    assert.deepEqual([launch.internet, (await scene.sandboxes.get(id)).allowInternet], [false, true]);
  });

  it("is noted in the store, and refused for a sandbox that is not there", async () => {
    await using scene = await Scene.open();
    scene.launcher.automatic = true;
    const { id } = await scene.create({});
    await scene.sandboxes.setInternetAccess(id, false, never);
    assert.equal((await scene.store.sandboxes.get(id))?.allowInternet, false);
    await assert.rejects(scene.sandboxes.setInternetAccess("inone", true, never), (error) =>
      Failure.is(error, "not_found"),
    );
  });
});
