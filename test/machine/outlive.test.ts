import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { describe, it } from "node:test";
import { Sandbox } from "e2b";
import { killByIdentity, startTimeOf } from "../../src/base/processes.ts";
import { assertNoLeaks, type Served, serve } from "./testing/served.ts";

async function pidOf(served: Served, id: string): Promise<number> {
  const { sandboxes } = await served.report();
  return sandboxes.find((each) => each.id === id)?.pid ?? assert.fail(`no ${id}`);
}

async function counts(served: Served): Promise<number[]> {
  const names = ["larder_adoptions_total", "larder_restores_total", "larder_boots_total"];
  return await Promise.all(names.map((name) => served.metric(name)));
}

describe("a sandbox", () => {
  for (const signal of ["SIGTERM", "SIGKILL"] as const) {
    it(`outlives its daemon that ends by ${signal}, with all that runs in it`, async () => {
      await using first = await serve();
      const made = await Sandbox.create({ ...first.sdk, metadata: { owner: "me" }, timeoutMs: 600_000 });
      const id = made.sandboxId;
      const script = "for i in $(seq 100000); do echo $i > /home/user/count; sleep 0.1; done";
      const { pid } = await made.commands.run(script, { background: true, timeoutMs: 0 });
      await made.files.write("/home/user/kept.txt", "kept");
      const vmm = await pidOf(first, id);
      const startTime = startTimeOf(vmm);
      const { endAt } = await made.getInfo();
      await first.end(signal);
      assert.equal(startTimeOf(vmm), startTime, "the machine runs on");
      await using second = await serve();
      assert.deepEqual(await counts(second), [1, 0, 0]);
      assert.equal(await pidOf(second, id), vmm);
      const sandbox = await Sandbox.connect(id, second.sdk);
      const info = await sandbox.getInfo();
      assert.deepEqual([info.metadata, info.endAt], [{ owner: "me" }, endAt]);
      assert.equal(await sandbox.files.read("/home/user/kept.txt"), "kept");
      assert.ok((await sandbox.commands.list()).some((each) => each.pid === pid));
      const before = Number(await sandbox.files.read("/home/user/count"));
      await sandbox.commands.run(`until [ "$(cat /home/user/count)" -gt ${before} ]; do sleep 0.1; done`);
      // What it never read comes through the export of the new daemon.
      assert.match((await sandbox.commands.run("cat /usr/share/common-licenses/GPL-3 | wc -l")).stdout, /^6/);
      assert.equal(await sandbox.kill(), true);
      assert.equal(startTimeOf(vmm), undefined);
      await assertNoLeaks(second);
    });
  }

  it("that was taken over and dies is noticed within a second, and its stream ends", async () => {
    await using first = await serve();
    const { sandboxId: id } = await Sandbox.create({ ...first.sdk });
    await first.end("SIGKILL");
    await using second = await serve();
    const sandbox = await Sandbox.connect(id, second.sdk);
    const sleeping = await sandbox.commands.run("sleep 600", { background: true });
    const pid = await pidOf(second, id);
    killByIdentity({ pid, startTime: startTimeOf(pid) ?? "" });
    const began = performance.now();
    await assert.rejects(sleeping.wait());
    assert.equal(await sandbox.isRunning(), false);
    assert.ok(performance.now() - began < 5_000);
  });

  it("that died while no daemon ran is gone, and nothing of it is left", async () => {
    await using first = await serve();
    const { sandboxId: id } = await Sandbox.create({ ...first.sdk });
    const pid = await pidOf(first, id);
    await first.end("SIGTERM");
    killByIdentity({ pid, startTime: startTimeOf(pid) ?? "" });
    await using second = await serve();
    assert.equal(await Sandbox.kill(id, second.sdk), false);
    await assertNoLeaks(second);
  });

  it("ends with `larder stop --all`, also when its daemon has gone before", async () => {
    await using first = await serve();
    const { sandboxId } = await Sandbox.create({ ...first.sdk });
    const pid = await pidOf(first, sandboxId);
    const stopped = await first.larder("stop");
    assert.match(stopped.stdout, /1 sandbox runs on/);
    assert.match(await readFile(`/proc/${pid}/cmdline`, "latin1"), new RegExp(sandboxId));
    const all = await first.larder("stop", "--all");
    assert.match(all.stdout, /ended 1 that an earlier one had left/);
    assert.equal(startTimeOf(pid), undefined);
    await using second = await serve();
    await Sandbox.create({ ...second.sdk });
    await second.larder("stop", "--all");
    await assertNoLeaks(second);
  });
});
