import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Failure, type FailureCode } from "../base/failure.ts";
import { settled } from "../base/testing/virtual-clock.ts";
import { Scene } from "./testing/scene.ts";

const never = new AbortController().signal;
const timeoutMs = 10_000;

function is(code: FailureCode): (error: unknown) => boolean {
  return (error) => Failure.is(error, code);
}

/** Connects; the machine that this launches answers. */
async function wake(scene: Scene, id: string, wish: { timeoutMs: number; reboot?: boolean } = { timeoutMs }) {
  const connecting = scene.sandboxes.connect(id, wish, never);
  connecting.catch(() => "the test looks at it later");
  await settled();
  scene.launcher.of(id)?.answer();
  return await connecting;
}

describe("a paused sandbox", () => {
  it("has a build and nothing else of the node, stays in the lists, and is woken from its build", async () => {
    await using scene = await Scene.open();
    const { id, accessToken } = await scene.create({
      metadata: { owner: "me" },
      envs: { A: "1" },
      allowInternet: false,
    });
    await scene.sandboxes.pause(id, true);
    assert.equal(scene.launcher.there.size, 0);
    assert.equal(scene.uids.lent, 0);
    assert.deepEqual(scene.sandboxes.inspect(), { sandboxes: [], pool: [], places: 0, waiting: 0 });
    assert.equal((await scene.sandboxes.get(id)).state, "paused");
    assert.throws(() => scene.sandboxes.channel(id), is("not_found"));
    const listed = await scene.sandboxes.list({ order: "asc", limit: 10, states: ["paused"] });
    assert.deepEqual(
      listed.sandboxes.map((each) => each.id),
      [id],
    );
    await assert.rejects(scene.sandboxes.pause(id, true), is("conflict"));
    await assert.rejects(scene.sandboxes.setTimeout(id, 1_000), is("not_found"));

    const { view, resumed } = await wake(scene, id);
    const { order } = scene.launcher.launches[1] ?? assert.fail("it was launched");
    assert.deepEqual([order.build, order.how, order.envs], ["child-0", "restore", { A: "1" }]);
    assert.equal(order.allowInternet, false, "its network is as it was chosen");
    assert.deepEqual([resumed, view.state, view.accessToken], [true, "running", accessToken]);
    assert.deepEqual(view.metadata, { owner: "me" });
    assert.equal((await scene.sandboxes.connect(id, { timeoutMs }, never)).resumed, false);
    assert.equal((await scene.store.sandboxes.get(id))?.paused, undefined);
    await scene.sandboxes.kill(id);
  });

  it("keeps what was left of its time, and connect only extends it", async () => {
    await using scene = await Scene.open();
    const { id } = await scene.create({ timeoutMs: 100_000 });
    await scene.clock.advance(40_000);
    await scene.sandboxes.pause(id, true);
    await scene.clock.advance(24 * 3600 * 1000);
    const { view } = await wake(scene, id, { timeoutMs: 5_000 });
    assert.equal(view.endAt, scene.clock.now() + 60_000);
    await scene.sandboxes.pause(id, true);
    const later = await wake(scene, id, { timeoutMs: 500_000 });
    assert.equal(later.view.endAt, scene.clock.now() + 500_000);
    await scene.sandboxes.kill(id);
  });

  it("is booted from its disk when it has no memory, or when that is asked for", async () => {
    await using scene = await Scene.open();
    const { id } = await scene.create();
    await scene.sandboxes.pause(id, false);
    await wake(scene, id);
    await scene.sandboxes.pause(id, true);
    await wake(scene, id, { timeoutMs, reboot: true });
    const ways = scene.launcher.launches.map(({ order }) => order.how);
    assert.deepEqual(ways, ["restore", "boot", "boot"]);
    assert.deepEqual(
      scene.snapshots.made.map(({ memory }) => memory),
      [false, true],
    );
    await scene.sandboxes.kill(id);
  });

  it("says so when its memory was made for another machine, sleeps on, and starts from its disk", async () => {
    await using scene = await Scene.open();
    const { id } = await scene.create();
    await scene.sandboxes.pause(id, true);
    const [build] = (await scene.store.templates.find("base"))?.builds ?? [];
    const shape = build?.shape ?? assert.fail("the sample has memory");
    scene.snapshots.shape = { ...shape, vmmVersion: "8.2.0" };
    await assert.rejects(
      wake(scene, id),
      (error) => is("conflict")(error) && /8\.2\.0.*memory: false/.test(String(error)),
    );
    assert.equal((await scene.sandboxes.get(id)).state, "paused");
    assert.equal((await wake(scene, id, { timeoutMs, reboot: true })).view.state, "running");
    await scene.sandboxes.kill(id);
  });

  it("sleeps on when it cannot be woken, and can be woken later", async () => {
    await using scene = await Scene.open();
    const { id } = await scene.create();
    await scene.sandboxes.pause(id, true);
    const connecting = scene.sandboxes.connect(id, { timeoutMs }, never);
    await settled();
    scene.launcher.of(id)?.fail();
    await assert.rejects(connecting, is("unavailable"));
    assert.equal((await scene.sandboxes.get(id)).state, "paused");
    assert.equal((await scene.store.sandboxes.get(id))?.state, "paused");
    assert.equal((await wake(scene, id)).resumed, true);
    await scene.sandboxes.kill(id);
  });

  it("is woken once, however many connect; who leaves ends nobody else's wait", async () => {
    await using scene = await Scene.open();
    const { id } = await scene.create();
    await scene.sandboxes.pause(id, true);
    const leaving = new AbortController();
    const left = scene.sandboxes.connect(id, { timeoutMs }, leaving.signal);
    const others = [1, 2, 3].map(() => scene.sandboxes.connect(id, { timeoutMs }, never));
    await settled();
    leaving.abort(new Failure("cancelled", "the client hung up"));
    await assert.rejects(left, is("cancelled"));
    scene.launcher.of(id)?.answer();
    for (const other of others) assert.equal((await other).view.state, "running");
    assert.equal(scene.launcher.launches.length, 2);
    await scene.sandboxes.kill(id);
  });

  it("is killed asleep, while it falls asleep, and while it wakes", async () => {
    await using scene = await Scene.open();
    const asleep = await scene.create();
    await scene.sandboxes.pause(asleep.id, true);
    assert.equal(await scene.sandboxes.kill(asleep.id), true);
    await assert.rejects(scene.sandboxes.connect(asleep.id, { timeoutMs }, never), is("not_found"));

    const falling = await scene.create();
    const launch = scene.launcher.of(falling.id) ?? assert.fail("it was launched");
    launch.captured = () => new Promise(() => {}); // the disk stalls
    const pausing = scene.sandboxes.pause(falling.id, true);
    const connecting = scene.sandboxes.connect(falling.id, { timeoutMs }, never);
    await settled();
    assert.equal((await scene.sandboxes.get(falling.id)).state, "paused", "told from the moment it begins");
    assert.equal(await scene.sandboxes.kill(falling.id), true);
    await assert.rejects(pausing, is("conflict"));
    await assert.rejects(connecting, is("conflict"), "it is ending");

    const waking = await scene.create();
    await scene.sandboxes.pause(waking.id, true);
    const woken = scene.sandboxes.connect(waking.id, { timeoutMs }, never);
    await settled();
    assert.equal(await scene.sandboxes.kill(waking.id), true);
    await assert.rejects(woken, is("conflict"));
    await scene.assertNothingLeft();
    assert.ok(scene.snapshots.sweeps >= 3);
  });

  it("is there after a restart, and its deadline does not pass meanwhile", async () => {
    await using scene = await Scene.open();
    const { id } = await scene.create();
    await scene.sandboxes.pause(id, true);
    await scene.restart();
    await scene.clock.advance(400_000);
    assert.equal((await scene.sandboxes.get(id)).state, "paused");
    assert.equal((await wake(scene, id)).resumed, true);
    await scene.sandboxes.kill(id);
  });
});

describe("a pause that fails", () => {
  const faults: Record<string, (scene: Scene, id: string) => void> = {
    "while the machine is copied": (scene, id) => {
      const launch = scene.launcher.of(id);
      if (launch !== undefined)
        launch.captured = async () => Promise.reject(new Failure("unavailable", "no answer"));
    },
    "on a full disk": (scene) => {
      scene.snapshots.nextFailure = new Failure("exhausted", "the disk is full");
    },
    "in the store": (scene) => {
      const { sandboxes } = scene.store;
      const update = sandboxes.update.bind(sandboxes);
      sandboxes.update = async (who, change) => {
        if (change.state !== "paused") return await update(who, change);
        sandboxes.update = update;
        throw new Failure("unavailable", "the store does not answer");
      };
    },
  };
  for (const [where, fault] of Object.entries(faults)) {
    it(`C27: ${where} leaves it running, with what was left of its time, and the next one succeeds`, async () => {
      await using scene = await Scene.open();
      const { id } = await scene.create({ timeoutMs: 100_000 });
      await scene.clock.advance(30_000);
      fault(scene, id);
      await assert.rejects(scene.sandboxes.pause(id, true), Failure);
      const view = await scene.sandboxes.get(id);
      assert.deepEqual([view.state, view.endAt], ["running", scene.clock.now() + 70_000]);
      assert.equal((await scene.store.sandboxes.get(id))?.state, "running");
      assert.equal(scene.launcher.of(id)?.stopped, false);
      assert.ok(scene.sandboxes.channel(id));
      assert.equal(scene.snapshots.held.size, 0);
      const launch = scene.launcher.of(id) ?? assert.fail("it was launched");
      launch.captured = async () => {};
      await scene.sandboxes.pause(id, true);
      assert.equal((await scene.sandboxes.get(id)).state, "paused");
      await scene.sandboxes.kill(id);
    });
  }

  it("and whose machine does not go on is the end of it", async () => {
    await using scene = await Scene.open();
    const { id } = await scene.create();
    const launch = scene.launcher.of(id) ?? assert.fail("it was launched");
    scene.snapshots.nextFailure = new Failure("exhausted", "the disk is full");
    launch.stuck = true;
    await assert.rejects(scene.sandboxes.pause(id, true), is("exhausted"));
    await settled();
    await assert.rejects(scene.sandboxes.get(id), is("not_found"));
    assert.equal(scene.meter.get("larder_sandboxes_ended_total", { why: "lost" }), 1);
  });
});

describe("the end of a sandbox's time", () => {
  it("puts it to sleep when it was made so, and is tried again when that fails", async () => {
    await using scene = await Scene.open();
    const lifecycle = { onTimeout: "pause", keepMemory: false, autoResume: false } as const;
    const { id } = await scene.create({ timeoutMs: 5_000, lifecycle });
    scene.snapshots.nextFailure = new Failure("exhausted", "the disk is full");
    await scene.clock.advance(5_000);
    await settled();
    assert.equal((await scene.sandboxes.get(id)).state, "running");
    await scene.clock.advance(30_000);
    await settled();
    assert.equal((await scene.sandboxes.get(id)).state, "paused");
    assert.deepEqual(
      scene.snapshots.made.map(({ memory }) => memory),
      [false],
    );
    const { view } = await wake(scene, id);
    assert.equal(view.endAt, scene.clock.now() + timeoutMs);
    await scene.sandboxes.kill(id);
  });
});
