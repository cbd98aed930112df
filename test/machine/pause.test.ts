import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { Sandbox } from "e2b";
import { markerOf } from "../../src/machine/machine-spec.ts";
import { findByArgument } from "../../src/base/processes.ts";
import { type Served, serve } from "./testing/served.ts";

describe("a paused sandbox in a real machine", () => {
  let served: Served;
  before(async () => {
    served = await serve();
  });
  after(() => served[Symbol.asyncDispose]());

  it("goes on where it was: processes, memory, unsynced writes, environment, metadata, access", async () => {
    const metadata = { owner: "me" };
    const sandbox = await Sandbox.create({ ...served.sdk, envs: { GREETING: "hello" }, metadata });
    const { sandboxId: id } = sandbox;
    await sandbox.commands.run(
      "mkdir -p /dev/shm/t && echo volatile > /dev/shm/t/file && echo unsynced > ~/file",
    );
    const counter = await sandbox.commands.run(
      "i=0; while :; do i=$((i+1)); echo $i > /dev/shm/count; sleep 0.1; done",
      {
        background: true,
        timeoutMs: 0,
      },
    );
    assert.equal(await sandbox.pause(), true);
    assert.equal(await sandbox.pause(), false, "it is paused already");
    assert.deepEqual(await findByArgument(markerOf(id)), []);
    assert.equal((await Sandbox.getInfo(id, served.sdk)).state, "paused");
    assert.equal(await sandbox.isRunning(), false);
    const paused = await Sandbox.list({ ...served.sdk, query: { state: ["paused"], metadata } }).nextItems();
    assert.deepEqual(
      paused.map((each) => each.sandboxId),
      [id],
    );

    const again = await Sandbox.connect(id, served.sdk);
    assert.equal((await again.getInfo()).state, "running");
    assert.deepEqual((await again.getInfo()).metadata, metadata);
    const { stdout } = await again.commands.run("cat /dev/shm/t/file ~/file; echo $GREETING");
    assert.equal(stdout, "volatile\nunsynced\nhello\n");
    const first = Number((await again.commands.run("cat /dev/shm/count")).stdout);
    await again.commands.run("sleep 1");
    const second = Number((await again.commands.run("cat /dev/shm/count")).stdout);
    assert.ok(second > first, `the counter stands at ${first}`);
    assert.ok((await again.commands.list()).some(({ pid }) => pid === counter.pid));
    assert.equal(await again.kill(), true);
    await assert.rejects(Sandbox.connect(id, served.sdk));
  });
});
