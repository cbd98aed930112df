import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Failure } from "../base/failure.ts";
import { settled } from "../base/testing/virtual-clock.ts";
import { publishedTemplate } from "../store/testing/sample-records.ts";
import { Scene } from "./testing/scene.ts";
import { accessTokenOf } from "./tokens.ts";

const never = new AbortController().signal;

const dayMs = 24 * 3600 * 1000;

const isGone = (error: unknown) => Failure.is(error, "not_found");
const isInvalid = (error: unknown) => Failure.is(error, "invalid");
const isConflict = (error: unknown) => Failure.is(error, "conflict");

describe("Sandboxes.create", () => {
  it("shows what was asked for, with a token derived from the store's seed", async () => {
    await using scene = await Scene.open();
    const view = await scene.create({ metadata: { owner: "me" }, envs: { A: "1" }, allowInternet: false });
    assert.match(view.id, /^i[a-z0-9]{20}$/);
    assert.deepEqual(view, {
      id: view.id,
      templateId: view.templateId,
      alias: "base",
      metadata: { owner: "me" },
      startedAt: scene.clock.now(),
      endAt: scene.clock.now() + 300_000,
      state: "running",
      cpuCount: 1,
      memoryMb: 512,
      diskMb: 10 * 1024,
      agentVersion: "0.6.13",
      accessToken: accessTokenOf(scene.store.settings.tokenSeed, view.id),
      allowInternet: false,
      lifecycle: { onTimeout: "kill", keepMemory: true, autoResume: false },
      ingress: { public: true, httpsPorts: [] },
    });
    assert.deepEqual(await scene.sandboxes.get(view.id), view);
    const order = scene.launcher.of(view.id)?.order;
    assert.deepEqual(order?.envs, { A: "1" });
    assert.equal(order?.accessToken, view.accessToken);
    assert.equal(order?.uid, 100_000);
    assert.equal(order?.allowInternet, false);
    const record = await scene.store.sandboxes.get(view.id);
    assert.deepEqual(record?.process, { pid: 1000, startTime: "1" });
    assert.equal(record?.state, "running");
  });

  it("asks for no token unless secure", async () => {
    await using scene = await Scene.open();
    const view = await scene.create({ secure: false });
    assert.equal(view.accessToken, undefined);
    assert.equal(scene.launcher.of(view.id)?.order.accessToken, undefined);
  });

  it("refuses an unknown template, and bad timeouts and environments by name", async () => {
    await using scene = await Scene.open();
    await assert.rejects(scene.create({ template: "nothing" }), isGone);
    for (const timeoutMs of [0, -1, Number.NaN, Infinity, 1e14])
      await assert.rejects(scene.create({ timeoutMs }), isInvalid, String(timeoutMs));
    for (const envs of [{ "": "x" }, { "A=B": "x" }, { "A\0": "x" }, { A: "\0" }])
      await assert.rejects(scene.create({ envs }), isInvalid);
    assert.equal(scene.launcher.launches.length, 0);
  });

  it("boots from the disk when the memory was made for another machine", async () => {
    await using scene = await Scene.open();
    const first = await scene.create();
    assert.equal(scene.launcher.of(first.id)?.order.how, "restore");
    await scene.store.templates.setColdBoot("b0", true);
    const second = await scene.create();
    assert.equal(scene.launcher.of(second.id)?.order.how, "boot");
    assert.equal(scene.launcher.of(second.id)?.order.build, publishedTemplate().build.diskBuild);
  });

  it("leaves nothing behind when the launch fails, and says why it failed", async () => {
    await using scene = await Scene.open();
    const { create } = await scene.begin();
    scene.launcher.launches[0]?.fail(new Failure("corrupt", "chunk 3 is not what its digest says"));
    await assert.rejects(create, (error) => Failure.is(error, "corrupt"));
    await scene.assertNothingLeft();
    assert.equal(scene.meter.get("larder_sandboxes_ended_total", { why: "failed" }), 1);
  });

  it("leaves nothing behind when the client hangs up, whenever it does", async () => {
    await using scene = await Scene.open();
    const early = AbortSignal.abort(new Failure("cancelled", "the client hung up"));
    const before = await scene.begin({}, early);
    await assert.rejects(before.create, (error) => Failure.is(error, "cancelled"));
    const during = new AbortController();
    const { create } = await scene.begin({}, during.signal);
    during.abort(new Failure("cancelled", "the client hung up"));
    await assert.rejects(create, (error) => Failure.is(error, "cancelled"));
    const late = new AbortController();
    const last = await scene.begin({}, late.signal);
    scene.launcher.launches.at(-1)?.answer();
    late.abort(new Failure("cancelled", "the client hung up"));
    await assert.rejects(last.create, (error) => Failure.is(error, "cancelled"));
    await scene.assertNothingLeft();
  });

  it("may be waited for by a client that stays when another hangs up", async () => {
    await using scene = await Scene.open({ startsMax: 1 });
    const leaving = new AbortController();
    const first = await scene.begin({}, leaving.signal);
    const second = await scene.begin();
    assert.equal(scene.launcher.launches.length, 1, "the second waits for its turn");
    leaving.abort(new Failure("cancelled", "the client hung up"));
    await assert.rejects(first.create);
    await settled();
    scene.launcher.launches[1]?.answer();
    assert.equal((await second.create).state, "running");
  });
});

describe("a sandbox's time", () => {
  it("runs from when it is ready, and ends it within a second", async () => {
    await using scene = await Scene.open();
    const { create } = await scene.begin({ timeoutMs: 5_000 });
    await scene.clock.advance(60_000);
    scene.launcher.launches[0]?.answer();
    const view = await create;
    assert.equal(view.endAt, scene.clock.now() + 5_000);
    await scene.clock.advance(4_999);
    assert.equal((await scene.sandboxes.get(view.id)).id, view.id);
    await scene.clock.advance(1);
    await assert.rejects(scene.sandboxes.get(view.id), isGone);
    assert.equal(scene.meter.get("larder_sandboxes_ended_total", { why: "expired" }), 1);
    await scene.assertNothingLeft();
  });

  it("is only ever extended by connect", async () => {
    await using scene = await Scene.open();
    const { id, endAt } = await scene.create({ timeoutMs: 100_000 });
    assert.equal((await scene.sandboxes.connect(id, { timeoutMs: 10_000 }, never)).view.endAt, endAt);
    assert.equal(
      (await scene.sandboxes.connect(id, { timeoutMs: 200_000 }, never)).view.endAt,
      endAt + 100_000,
    );
    await scene.clock.advance(199_999);
    assert.equal((await scene.sandboxes.get(id)).id, id);
    await scene.clock.advance(1);
    await assert.rejects(scene.sandboxes.connect(id, { timeoutMs: 10_000 }, never), isGone);
  });

  it("is set from now by setTimeout, sooner or later, also across a restart of the store's reader", async () => {
    await using scene = await Scene.open();
    const { id } = await scene.create({ timeoutMs: 100_000 });
    await scene.clock.advance(50_000);
    await scene.sandboxes.setTimeout(id, 1_000_000);
    assert.equal((await scene.store.sandboxes.get(id))?.endAt, scene.clock.now() + 1_000_000);
    await scene.sandboxes.setTimeout(id, 1_000);
    for (const timeoutMs of [0, -5, Number.NaN])
      await assert.rejects(scene.sandboxes.setTimeout(id, timeoutMs), isInvalid);
    await scene.clock.advance(1_000);
    await assert.rejects(scene.sandboxes.setTimeout(id, 1_000), isGone);
  });

  it("may be longer than a timer holds", async () => {
    await using scene = await Scene.open();
    const { id } = await scene.create({ timeoutMs: 60 * dayMs });
    await scene.clock.advance(60 * dayMs - 1);
    assert.equal((await scene.sandboxes.get(id)).id, id);
    await scene.clock.advance(1);
    await assert.rejects(scene.sandboxes.get(id), isGone);
  });
});

describe("Sandboxes.kill", () => {
  it("is false for what is not there, and true once", async () => {
    await using scene = await Scene.open();
    assert.equal(await scene.sandboxes.kill("i0"), false);
    const { id } = await scene.create();
    assert.equal(await scene.sandboxes.kill(id), true);
    await scene.assertNothingLeft();
    assert.equal(await scene.sandboxes.kill(id), false);
    await assert.rejects(scene.sandboxes.get(id), isGone);
    assert.throws(() => scene.sandboxes.channel(id), isGone);
  });

  it("ends a sandbox that still starts, and its create says so", async () => {
    await using scene = await Scene.open();
    const { create } = await scene.begin();
    const id = scene.launcher.launches[0]?.order.id ?? "";
    await assert.rejects(scene.sandboxes.get(id), isGone, "it is not there for clients yet");
    assert.equal(await scene.sandboxes.kill(id), true);
    await assert.rejects(create, isConflict);
    await scene.assertNothingLeft();
  });

  it("is joined by those who kill it too, while connect is told that it ends", async () => {
    await using scene = await Scene.open();
    const { id } = await scene.create();
    const kills = [scene.sandboxes.kill(id), scene.sandboxes.kill(id)];
    await assert.rejects(scene.sandboxes.connect(id, { timeoutMs: 1_000 }, never), isConflict);
    assert.deepEqual((await scene.sandboxes.list({ order: "asc", limit: 10 })).sandboxes, []);
    assert.deepEqual(await Promise.all(kills), [true, true]);
    assert.equal(scene.meter.sum("larder_sandboxes_ended_total"), 1);
  });

  it("tries again what could not be removed, and does not forget it", async () => {
    await using scene = await Scene.open();
    const { id } = await scene.create();
    scene.launcher.brokenRemovals = 2;
    await assert.rejects(scene.sandboxes.kill(id), (error) => Failure.is(error, "internal"));
    assert.equal((await scene.store.sandboxes.get(id))?.state, "stopping");
    assert.equal(scene.uids.lent, 1, "nobody else gets its user");
    assert.equal(await scene.sandboxes.kill(id), true);
    await scene.assertNothingLeft();
  });

  it("reaps what did not end in order", async () => {
    await using scene = await Scene.open();
    const { id } = await scene.create();
    scene.launcher.brokenRemovals = 1;
    assert.equal(await scene.sandboxes.kill(id), true);
    await scene.assertNothingLeft();
  });
});

describe("a sandbox whose machine ends by itself", () => {
  it("is gone, and its last words are counted as a loss", async () => {
    await using scene = await Scene.open();
    const { id } = await scene.create();
    scene.launcher.of(id)?.die("kernel panic");
    assert.equal(await scene.sandboxes.kill(id), false, "there was nothing left to kill, noticed or not");
    await assert.rejects(scene.sandboxes.get(id), isGone);
    assert.equal(scene.meter.get("larder_sandboxes_ended_total", { why: "lost" }), 1);
    await scene.assertNothingLeft();
  });
});

describe("Sandboxes.close", () => {
  it("ends those that run, start and wait, and takes no more", async () => {
    await using scene = await Scene.open({ startsMax: 1 });
    await scene.create();
    const starting = await scene.begin();
    const waiting = await scene.begin();
    await scene.sandboxes.close();
    for (const { create } of [starting, waiting])
      await assert.rejects(create, (error) => Failure.is(error, "unavailable"));
    await scene.assertNothingLeft();
    await assert.rejects(scene.create(), (error) => Failure.is(error, "unavailable"));
  });
});

describe("a full node", () => {
  it("lets creates wait in order, and lets the next in when one ends", async () => {
    await using scene = await Scene.open({ sandboxesMax: 1 });
    const first = await scene.create();
    const second = await scene.begin();
    const third = await scene.begin();
    assert.equal(scene.launcher.launches.length, 1);
    await scene.sandboxes.kill(first.id);
    await settled();
    scene.launcher.launches[1]?.answer();
    const { id } = await second.create;
    await scene.sandboxes.kill(id);
    await settled();
    scene.launcher.launches[2]?.answer();
    await third.create;
  });

  it("tells the others `exhausted` when too many wait, or when the wait is over", async () => {
    await using scene = await Scene.open({ sandboxesMax: 1, waitersMax: 1 });
    await scene.create();
    const waiting = await scene.begin();
    await assert.rejects((await scene.begin()).create, (error) => Failure.is(error, "exhausted"));
    await scene.clock.advance(20_000);
    await assert.rejects(
      waiting.create,
      (error) => Failure.is(error, "exhausted") && /20000 ms/.test(error.message),
    );
  });

  it("counts guest memory", async () => {
    await using scene = await Scene.open({ memoryBytesMax: 2 * 512 * 2 ** 20 });
    await scene.create();
    const { id } = await scene.create();
    const third = await scene.begin();
    assert.equal(scene.launcher.launches.length, 2);
    await scene.sandboxes.kill(id);
    await settled();
    scene.launcher.launches[2]?.answer();
    await third.create;
  });
});
