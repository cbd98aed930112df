import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { Sandbox } from "e2b";
import { markerOf } from "../../src/machine/machine-spec.ts";
import { findByArgument, killByIdentity } from "../../src/base/processes.ts";
import { assertNoLeaks, type Served, serve } from "./testing/served.ts";

describe("a sandbox in a real machine", () => {
  let served: Served;
  before(async () => {
    served = await serve();
  });
  after(() => served[Symbol.asyncDispose]());

  it("ends within a second of its time", async () => {
    const sandbox = await Sandbox.create({ ...served.sdk, timeoutMs: 3_000 });
    const { endAt } = await Sandbox.getInfo(sandbox.sandboxId, served.sdk);
    await until(() => running(served, sandbox.sandboxId).then((runs) => !runs));
    const lateMs = Date.now() - endAt.getTime();
    assert.ok(lateMs >= -50 && lateMs < 1_000, `it ended ${lateMs} ms after its end`);
    assert.equal(await sandbox.isRunning(), false);
  });

  it("is gone when its machine dies, and whoever waits for a command learns it within five seconds", async () => {
    const sandbox = await Sandbox.create({ ...served.sdk });
    const command = sandbox.commands.run("sleep 100");
    const failed = assert.rejects(command);
    await until(async () => (await sandbox.commands.list()).length > 0);
    const processes = await findByArgument(markerOf(sandbox.sandboxId));
    assert.ok(processes.length > 0);
    const began = Date.now();
    for (const process of processes) killByIdentity(process);
    await failed;
    assert.ok(Date.now() - began < 5_000);
    assert.equal(await Sandbox.kill(sandbox.sandboxId, served.sdk), false);
    assert.match(served.printed(), /a sandbox ends/);
  });

  it("is said to have ended by whoever waits for a command in it when it is killed", async () => {
    const sandbox = await Sandbox.create({ ...served.sdk });
    const command = await sandbox.commands.run("exec sleep 100", { background: true });
    const failed = assert.rejects(command.wait(), /The sandbox was killed or reached its end of life/);
    await sandbox.kill();
    await failed;
  });

  it("leaves nothing behind when its client hangs up, at whatever step", async () => {
    for (let ms = 0; ms <= 400; ms += 50) {
      const response = fetch(`${served.url}/v2/sandboxes`, {
        method: "POST",
        headers: { "X-API-KEY": served.apiKey, "content-type": "application/json" },
        body: "{}",
        signal: AbortSignal.timeout(ms),
      });
      const answer = await response
        .then((each) => each.json() as Promise<{ sandboxID: string }>)
        .catch(() => undefined);
      if (answer !== undefined) await Sandbox.kill(answer.sandboxID, served.sdk);
    }
    await until(async () => (await served.metric("larder_sandboxes")) === 0);
    await assertNoLeaks(served);
    assert.equal(await served.metric("larder_cache_leases"), 0);
  });

  it("may be one of twenty that are asked for at once", async () => {
    const all = await Promise.all(Array.from({ length: 20 }, () => Sandbox.create({ ...served.sdk })));
    assert.equal(new Set(all.map((each) => each.sandboxId)).size, 20);
    await Promise.all(all.map((each) => each.kill()));
    await assertNoLeaks(served);
  });
});

async function running(served: Served, id: string): Promise<boolean> {
  const items = await Sandbox.list(served.sdk).nextItems();
  return items.some((each) => each.sandboxId === id);
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  for (let turn = 0; turn < 600; turn++) {
    if (await holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.fail("it did not come to pass in 30 s");
}
