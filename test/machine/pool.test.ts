import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { Sandbox } from "e2b";
import { startTimeOf } from "../../src/base/processes.ts";
import { assertNoLeaks, type Served, serve } from "./testing/served.ts";

/** The id of the machine that waits, once there is one; the test's own time bounds it. */
async function waiting(served: Served): Promise<string> {
  for (;;) {
    const [id] = (await served.report()).pool;
    if (id !== undefined) return id;
    await pause(50);
  }
}

describe("a machine that was started before anybody asked", () => {
  it("is the next sandbox, with an identity and random numbers of its own, and no leak while it waits", async () => {
    await using served = await serve({ LARDER_POOL: "1" });
    await using first = disposable(await Sandbox.create(served.sdk));
    const id = await waiting(served);
    await assertNoLeaks(served);
    await using second = disposable(await Sandbox.create({ ...served.sdk, envs: { GREETING: "hello" } }));
    assert.equal(second.sandbox.sandboxId, id);
    const say = "echo $GREETING from $(uname -n); head -c 16 /dev/urandom | base64";
    const [greeting, random] = (await second.sandbox.commands.run(say)).stdout.split("\n");
    assert.equal(greeting, `hello from ${id}`);
    const other = (await first.sandbox.commands.run("head -c 16 /dev/urandom | base64")).stdout.trim();
    assert.notEqual(random, other);
    assert.equal(await served.metric("larder_boots_total"), 0);
  });

  it("goes with its daemon, also by kill -9", async () => {
    for (const signal of ["SIGTERM", "SIGKILL"] as const) {
      await using first = await serve({ LARDER_POOL: "1" });
      const made = await Sandbox.create(first.sdk);
      await waiting(first);
      await first.end(signal);
      await using second = await serve();
      const [left] = (await second.report()).sandboxes;
      assert.equal(left?.id, made.sandboxId, "the sandbox is there");
      assert.ok(startTimeOf(left.pid) !== undefined);
      await assertNoLeaks(second);
      assert.equal(await Sandbox.kill(made.sandboxId, second.sdk), true);
    }
  });
});

function disposable(sandbox: Sandbox) {
  return { sandbox, [Symbol.asyncDispose]: async () => void (await sandbox.kill()) };
}
