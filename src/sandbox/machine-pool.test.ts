import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Failure } from "../base/failure.ts";
import { Scene } from "./testing/scene.ts";

const minuteMs = 60_000;

/** A node that keeps two machines of each kind, with one sandbox that has been asked for. */
async function pooled() {
  const scene = await Scene.open({ poolMachinesMax: 2 });
  const first = await scene.create();
  await filled(scene);
  return { scene, first, ids: () => [...scene.launcher.started.keys()] };
}

/** Lets the time pass after which machines are started. */
async function filled(scene: Scene): Promise<void> {
  await scene.clock.advance(1000);
}

describe("MachinePool", () => {
  it("starts machines of a kind that was asked for; the next sandbox is one of them", async () => {
    const { scene, first, ids } = await pooled();
    await using _scene = scene;
    const waiting = ids();
    assert.equal(waiting.length, 2);
    assert.deepEqual([...scene.launcher.dozing], waiting, "both have run until their agent answered");
    const next = await scene.create({ envs: { A: "1" } });
    assert.ok(next.id !== first.id && waiting.includes(next.id));
    const order = scene.launcher.of(next.id)?.order;
    assert.deepEqual([order?.envs, order?.how], [{ A: "1" }, "restore"]);
    const record = await scene.store.sandboxes.all();
    assert.deepEqual(
      record.find(({ id }) => id === next.id)?.uid,
      order?.uid,
      "its user is that of the machine",
    );
    await filled(scene);
    assert.equal(ids().length, 2, "and another one takes its place");
    assert.equal(scene.uids.lent, 2 + 2, "each has one user, those that run and those that wait");
    assert.equal(await scene.sandboxes.kill(next.id), true);
    assert.ok(!scene.launcher.there.has(next.id));
  });

  it("keeps none that does not come up, nor anything of it", async () => {
    await using scene = await Scene.open({ poolMachinesMax: 2 });
    scene.launcher.nextDozeFailure = new Failure("unavailable", "its agent does not answer");
    await scene.create();
    await filled(scene);
    assert.deepEqual([scene.launcher.started.size, scene.launcher.there.size, scene.uids.lent], [0, 1, 1]);
    await scene.create();
    await filled(scene);
    assert.equal(scene.launcher.started.size, 2, "the next create is another occasion");
  });

  it("has none for whoever wants another network", async () => {
    const { scene, ids } = await pooled();
    await using _scene = scene;
    const waiting = ids();
    const { id } = await scene.create({ allowInternet: false });
    assert.ok(!waiting.includes(id));
    await filled(scene);
    assert.equal(ids().length, 4);
  });

  it("ends what waits when nobody has asked for it in ten minutes, and when it is closed", async () => {
    const { scene, ids } = await pooled();
    await using _scene = scene;
    await scene.clock.advance(9 * minuteMs);
    assert.equal(ids().length, 2);
    await scene.clock.advance(2 * minuteMs);
    assert.deepEqual(ids(), []);
    assert.equal(scene.meter.get("larder_pool_machines"), 0);
    await scene.create();
    await filled(scene);
    assert.equal(ids().length, 2);
    await scene.sandboxes.close();
    assert.deepEqual([...scene.launcher.there], []);
    assert.equal(scene.uids.lent, 0);
  });

  it("replaces one that has died while it waited, once somebody asks again", async () => {
    const { scene, ids } = await pooled();
    await using _scene = scene;
    const [dead = ""] = ids();
    scene.launcher.started.get(dead)?.die();
    await filled(scene);
    assert.ok(!scene.launcher.there.has(dead), "nothing of it is left");
    const next = await scene.create();
    assert.notEqual(next.id, dead);
    await filled(scene);
    assert.equal(ids().length, 2);
  });

  it("tries again with the next create when a machine could not be started", async () => {
    await using scene = await Scene.open({ poolMachinesMax: 1 });
    scene.launcher.nextStartFailure = new Failure("exhausted", "no process is left");
    await scene.create();
    await filled(scene);
    assert.equal(scene.launcher.started.size, 0);
    await scene.create();
    await filled(scene);
    assert.equal(scene.launcher.started.size, 1);
  });

  it("loses nothing when the client of a create leaves, or the sandbox does not answer", async () => {
    const { scene, ids } = await pooled();
    await using _scene = scene;
    const waiting = ids();
    const leaving = new AbortController();
    const { create } = await scene.begin({}, leaving.signal);
    leaving.abort(new Failure("cancelled", "the client has gone"));
    await assert.rejects(create, /the client has gone/);
    await filled(scene);
    const [taken = ""] = waiting.filter((id) => !ids().includes(id));
    assert.ok(taken !== "" && !scene.launcher.there.has(taken));
    assert.equal(ids().length, 2);
    assert.equal(scene.uids.lent, 1 + 2, "those of the sandbox that runs and of the two that wait");
  });
});
