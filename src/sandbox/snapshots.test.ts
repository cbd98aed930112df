import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Failure, type FailureCode } from "../base/failure.ts";
import { settled } from "../base/testing/virtual-clock.ts";
import { Snapshots } from "./snapshots.ts";
import { Scene } from "./testing/scene.ts";

const never = new AbortController().signal;

function is(code: FailureCode): (error: unknown) => boolean {
  return (error) => Failure.is(error, code);
}

function snapshotsOf({ sandboxes, store, snapshots: keeper }: Scene): Snapshots {
  return new Snapshots({ sandboxes, records: store.snapshots, keeper });
}

describe("a snapshot", () => {
  it("is made of a sandbox that goes on, and others start from it by its name", async () => {
    await using scene = await Scene.open();
    const snapshots = snapshotsOf(scene);
    const { id } = await scene.create();
    const made = await snapshots.create(id, "mine", never);
    assert.deepEqual(made, { id: "mine:default", names: ["mine:default"] });
    const launch = scene.launcher.of(id) ?? assert.fail("it was launched");
    assert.deepEqual([launch.captures, launch.stopped], [1, false]);
    assert.equal((await scene.sandboxes.get(id)).state, "running");
    await scene.create({ template: made.id });
    assert.equal(scene.launcher.launches[1]?.order.build, "child-0");
    assert.deepEqual((await snapshots.list({ limit: 10, sandboxId: id })).snapshots, [made]);
    assert.equal(await snapshots.remove(made.id), true);
    assert.equal(await snapshots.remove(made.id), false);
  });

  it("needs a name that no template has, before anything is done", async () => {
    await using scene = await Scene.open();
    const { id } = await scene.create();
    await assert.rejects(snapshotsOf(scene).create(id, "base", never), is("conflict"));
    assert.equal(scene.launcher.of(id)?.captures, 0);
    await assert.rejects(snapshotsOf(scene).create("i0", undefined, never), is("not_found"));
  });

  it("that fails leaves the sandbox running", async () => {
    await using scene = await Scene.open();
    const { id } = await scene.create();
    scene.snapshots.nextFailure = new Failure("exhausted", "the disk is full");
    await assert.rejects(snapshotsOf(scene).create(id, undefined, never), is("exhausted"));
    assert.equal(scene.launcher.of(id)?.stopped, false);
    assert.equal((await scene.sandboxes.get(id)).state, "running");
  });

  it("and a pause wait for each other: the machine is captured by one at a time", async () => {
    await using scene = await Scene.open();
    const { id } = await scene.create();
    const capturing = scene.sandboxes.capture(id, never);
    const pausing = scene.sandboxes.pause(id, true);
    await using _captured = await capturing;
    await pausing;
    assert.equal(scene.launcher.of(id)?.captures, 2);
    assert.equal((await scene.sandboxes.get(id)).state, "paused");
    await scene.sandboxes.kill(id);
  });
});

describe("a fork", () => {
  it("starts sandboxes of their own, with all but the time of the first one", async () => {
    await using scene = await Scene.open();
    const { id } = await scene.create({ metadata: { owner: "me" }, envs: { A: "1" }, timeoutMs: 100_000 });
    scene.launcher.automatic = true;
    const outcomes = await snapshotsOf(scene).fork(id, { count: 2, timeoutMs: 7_000 }, never);
    const views = outcomes.map((each) => ("sandbox" in each ? each.sandbox : assert.fail(each.failure)));
    assert.equal(new Set([id, ...views.map((view) => view.id)]).size, 3);
    for (const view of views) {
      assert.deepEqual([view.metadata, view.endAt], [{ owner: "me" }, scene.clock.now() + 7_000]);
      assert.deepEqual(scene.launcher.of(view.id)?.order.envs, { A: "1" });
      assert.equal(scene.launcher.of(view.id)?.order.build, "child-0");
    }
    assert.equal(scene.snapshots.made.length, 1, "all start from one build");
    assert.equal((await scene.sandboxes.get(id)).state, "running");
  });

  it("of one that sleeps starts from its build, and each may fail for itself", async () => {
    await using scene = await Scene.open();
    const { id } = await scene.create();
    await scene.sandboxes.pause(id, false);
    const forking = snapshotsOf(scene).fork(id, { count: 2, timeoutMs: 7_000 }, never);
    await settled();
    scene.launcher.launches[1]?.fail();
    scene.launcher.launches[2]?.answer();
    const outcomes = await forking;
    assert.deepEqual(
      outcomes.map((each) => "sandbox" in each),
      [false, true],
    );
    assert.equal(scene.launcher.launches[2]?.order.how, "boot");
    assert.equal((await scene.sandboxes.get(id)).state, "paused");
    await scene.sandboxes.kill(id);
  });

  it("makes 1 to 100", async () => {
    await using scene = await Scene.open();
    const { id } = await scene.create();
    for (const count of [0, -1, 101, 1.5])
      await assert.rejects(snapshotsOf(scene).fork(id, { count, timeoutMs: 1_000 }, never), is("invalid"));
  });
});

describe("traffic", () => {
  const lifecycle = { onTimeout: "pause", keepMemory: true, autoResume: true } as const;

  it("wakes a sandbox that was made so, for at least five minutes, and waits for one that wakes", async () => {
    await using scene = await Scene.open();
    const { id } = await scene.create({ lifecycle, timeoutMs: 5_000 });
    await scene.clock.advance(5_000);
    await settled();
    assert.equal((await scene.sandboxes.get(id)).state, "paused");
    const asked = [1, 2].map(() => scene.sandboxes.reach(id, () => true, never));
    await settled();
    scene.launcher.of(id)?.answer();
    for (const each of asked) assert.ok(await each);
    assert.equal(scene.launcher.launches.length, 2);
    assert.equal((await scene.sandboxes.get(id)).endAt, scene.clock.now() + 300_000);
    await scene.sandboxes.kill(id);
  });

  it("wakes no other one: not for a stranger, not without memory, not unless it was made so", async () => {
    await using scene = await Scene.open();
    const made = await scene.create({ lifecycle });
    await scene.sandboxes.pause(made.id, true);
    await assert.rejects(
      scene.sandboxes.reach(made.id, () => false, never),
      is("not_found"),
    );
    const bare = await scene.create({ lifecycle });
    await scene.sandboxes.pause(bare.id, false);
    const plain = await scene.create();
    await scene.sandboxes.pause(plain.id, true);
    for (const { id } of [bare, plain])
      await assert.rejects(
        scene.sandboxes.reach(id, () => true, never),
        is("not_found"),
      );
    for (const { id } of [made, bare, plain]) await scene.sandboxes.kill(id);
  });
});
