import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { AuthenticationError, Sandbox } from "e2b";
import { type Served, serve } from "./testing/served.ts";

describe("the agent in a real machine", () => {
  let served: Served;
  let sandbox: Sandbox;
  before(async () => {
    served = await serve();
    sandbox = await Sandbox.create({ ...served.sdk, envs: { GREETING: "hello" } });
  });
  after(async () => {
    await sandbox.kill();
    await served[Symbol.asyncDispose]();
  });

  it("is started again when it dies, knows what it knew, and is found by the daemon", async () => {
    const server = await sandbox.commands.run("exec sleep 100", { background: true });
    const waiting = assert.rejects(server.wait());
    await assert.rejects(sandbox.commands.run("kill -9 $PPID", { user: "root" }));
    await waiting;
    const { stdout } = await sandbox.commands.run("echo $GREETING; id -un; pwd");
    assert.equal(stdout, "hello\nuser\n/home/user\n");
    assert.equal(await sandbox.isRunning(), true);
    const stranger = new Sandbox({
      ...served.sdk,
      sandboxId: sandbox.sandboxId,
      envdVersion: "0.6.13",
      envdAccessToken: "another",
    });
    await assert.rejects(stranger.commands.run("true"), AuthenticationError);
  });
});
