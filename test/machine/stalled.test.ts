import assert from "node:assert/strict";
import { rename, rm } from "node:fs/promises";
import path from "node:path";
import { describe, it } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { Sandbox } from "e2b";
import { packsOf } from "./testing/packs.ts";
import { assertNoLeaks, type Served, serve, sharedData } from "./testing/served.ts";

/** Reads much of the disk that nobody has read before, and says what it has read. */
const readMuch = (pattern: string) => `cat ${pattern} | sha256sum`;
const python = "/usr/lib/python3*/*.py";
const libraries = "/usr/lib/x86_64-linux-gnu/*.so*";
const programs = "/usr/bin/*";

/** Takes the bucket's packs away until it is disposed of. */
async function outage(data: string): Promise<AsyncDisposable> {
  const packs = await packsOf(data);
  for (const pack of packs) await rename(pack, `${pack}.away`);
  return {
    [Symbol.asyncDispose]: async () => {
      for (const pack of packs) await rename(`${pack}.away`, pack);
    },
  };
}

/** The test's own time bounds it. */
async function stalled(served: Served, id: string): Promise<void> {
  for (;;) {
    const found = (await served.report()).sandboxes.find((each) => each.id === id);
    if (found?.stalled === true) return;
    await pause(50);
  }
}

/** A daemon that has all of the template's memory on its shelf, and of its disk what one sandbox has read to start. */
async function coldNode(env: Record<string, string> = {}) {
  await rm(path.join(sharedData(), "shelf"), { recursive: true, force: true });
  const served = await serve(env);
  const sandbox = await Sandbox.create({ ...served.sdk, timeoutMs: 600_000 });
  while ((await served.metric("larder_cache_seals_total")) === 0) await pause(50);
  return { served, sandbox, id: sandbox.sandboxId };
}

describe("a sandbox whose bucket goes away", () => {
  it("is stalled, goes on when that is back without an error, and can be paused and killed meanwhile", async () => {
    const { served, sandbox, id } = await coldNode();
    await using _served = served;
    let reading: Promise<{ readonly stdout: string }>;
    {
      await using _away = await outage(served.data);
      reading = sandbox.commands.run(readMuch(libraries), { timeoutMs: 0 });
      await stalled(served, id);
    }
    const { stdout } = await reading;
    const again = await sandbox.commands.run(`${readMuch(libraries)}; grep ' / ' /proc/mounts`, {
      timeoutMs: 0,
    });
    assert.ok(again.stdout.startsWith(stdout), "it has read the same twice");
    assert.match(again.stdout, /ext4 rw/, "its disk can be written");
    assert.match((await served.larder("logs", id)).stdout, /a guest waits for its disk: it is stalled/);

    {
      await using _away = await outage(served.data);
      const second = sandbox.commands.run(readMuch(python), { background: true });
      second.catch(() => {});
      await stalled(served, id);
      const began = performance.now();
      await sandbox.pause();
      assert.ok(performance.now() - began < 15_000);
    }
    const awake = await Sandbox.connect(id, served.sdk);
    assert.equal((await awake.commands.run("echo still here")).stdout, "still here\n");
    {
      await using _away = await outage(served.data);
      awake.commands.run(readMuch(programs), { background: true }).catch(() => {});
      await stalled(served, id);
      const began = performance.now();
      assert.equal(await awake.kill(), true);
      assert.ok(performance.now() - began < 5_000);
    }
    await assertNoLeaks(served);
  });

  it("is ended after the bound, with a sentence that says why", async () => {
    const { served, sandbox, id } = await coldNode({ LARDER_STALL_SECONDS: "3" });
    await using _served = served;
    await using _away = await outage(served.data);
    await assert.rejects(sandbox.commands.run(readMuch(libraries), { timeoutMs: 0 }));
    assert.equal(await sandbox.isRunning(), false);
    assert.match((await served.larder("logs", id)).stdout, /its disk could not be read for 3 s/);
    await assertNoLeaks(served);
  });
});
