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

  it("is equal after ten cycles: files, unsynced writes, memory and processes", async () => {
    const sandbox = await Sandbox.create({ ...served.sdk });
    const { sandboxId: id } = sandbox;
    const make =
      "head -c 8M /dev/urandom > /dev/shm/pages; head -c 4M /dev/urandom > ~/unsynced; sleep 1000 >/dev/null 2>&1 &";
    await sandbox.commands.run(`${make} echo $! > /dev/shm/pid; disown`);
    const sum =
      "sha256sum /dev/shm/pages ~/unsynced /usr/bin/python3 && kill -0 $(cat /dev/shm/pid) && cat ~/cycle";
    await sandbox.files.write("/home/user/cycle", "0");
    let expected = (await sandbox.commands.run(sum)).stdout;
    for (let cycle = 1; cycle <= 10; cycle++) {
      await Sandbox.pause(id, served.sdk);
      const again = await Sandbox.connect(id, served.sdk);
      const { stdout } = await again.commands.run(sum);
      assert.equal(stdout, expected, `cycle ${cycle}`);
      await again.files.write("/home/user/cycle", String(cycle));
      expected = expected.replace(/\d+$/, String(cycle));
    }
    assert.equal(await Sandbox.kill(id, served.sdk), true);
  });

  it("without memory keeps its disk alone and boots, also one with memory whose reboot is asked for", async () => {
    const sandbox = await Sandbox.create({ ...served.sdk, envs: { GREETING: "hello" } });
    const { sandboxId: id } = sandbox;
    await sandbox.commands.run("echo kept > ~/file; echo gone > /dev/shm/file");
    assert.equal(await Sandbox.pause(id, { ...served.sdk, keepMemory: false }), true);
    // A boot takes seconds, under emulation on a busy machine a minute.
    const patient = { ...served.sdk, requestTimeoutMs: 150_000 };
    const booted = await Sandbox.connect(id, patient);
    const look = "cat ~/file; ls /dev/shm | wc -l; echo $GREETING";
    assert.equal((await booted.commands.run(look)).stdout, "kept\n0\nhello\n");
    await booted.commands.run("echo again > ~/file; sync; echo gone > /dev/shm/file");
    await booted.pause();
    const rebooted = await Sandbox.connect(id, { ...patient, onResume: "reboot" });
    assert.equal((await rebooted.commands.run(look)).stdout, "again\n0\nhello\n");
    await rebooted.kill();
  });

  it("and one that runs can be forked and kept as a snapshot, and goes on", async () => {
    const sandbox = await Sandbox.create({ ...served.sdk });
    await sandbox.commands.run("echo shared > /dev/shm/file");
    const { snapshotId } = await sandbox.createSnapshot();
    await sandbox.commands.run("echo later > /dev/shm/file");
    const forks = await sandbox.fork({ count: 2 });
    const fromSnapshot = await Sandbox.create(snapshotId, { ...served.sdk });
    const seen: string[] = [];
    for (const each of [sandbox, ...forks, fromSnapshot]) {
      assert.ok(each instanceof Sandbox, "a fork failed");
      seen.push((await each.commands.run("cat /dev/shm/file")).stdout.trim());
    }
    assert.deepEqual(seen, ["later", "later", "later", "shared"]);
    assert.equal(await Sandbox.deleteSnapshot(snapshotId, served.sdk), true);
    for (const each of [sandbox, ...forks, fromSnapshot]) if (each instanceof Sandbox) await each.kill();
  });
});
