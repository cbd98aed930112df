import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import * as newest from "e2b";
import * as older from "e2b-2.45";
import { type Served, serve } from "./testing/served.ts";

/** What both generations of the SDK offer alike. */
const sdks = { newest: newest.Sandbox, "2.45.0": older.Sandbox as unknown as typeof newest.Sandbox };

describe("a sandbox, through the unmodified SDK", () => {
  let served: Served;
  before(async () => {
    served = await serve();
  });
  after(() => served[Symbol.asyncDispose]());

  for (const [version, Sandbox] of Object.entries(sdks)) {
    it(`plays the README's snippet with e2b ${version}`, async () => {
      const restores = await served.metric("larder_restores_total");
      const reads = await served.metric("larder_nbd_reads_total");
      const sandbox = await Sandbox.create({
        ...served.sdk,
        metadata: { owner: "me" },
        envs: { GREETING: "hello" },
        timeoutMs: 120_000,
      });
      const result = await sandbox.commands.run(
        'echo $GREETING from $(uname -n); id -un; python3 -c "print(6*7)"',
      );
      await sandbox.files.write("/home/user/notes/a.txt", "kept");
      assert.equal(result.exitCode, 0);
      assert.equal(result.stdout, `hello from ${sandbox.sandboxId}\nuser\n42\n`);
      assert.equal(await sandbox.files.read("/home/user/notes/a.txt"), "kept");
      const names = (await sandbox.files.list("/home/user")).map((entry) => entry.name);
      assert.ok(names.includes("notes"), `listed: ${names.join(" ")}`);
      assert.equal(await sandbox.kill(), true);
      assert.equal(await served.metric("larder_restores_total"), restores + 1);
      assert.equal(await served.metric("larder_boots_total"), 0);
      assert.ok(
        (await served.metric("larder_nbd_reads_total")) > reads,
        "blocks were read through the cache",
      );
    });
  }

  it("shares no random number, boot id or host name with another restore of the same snapshot", async () => {
    const ask = [
      "cat /proc/sys/kernel/random/uuid /proc/sys/kernel/random/boot_id /etc/machine-id",
      "uname -n",
      "head -c16 /dev/urandom | od -An -tx1",
      'python3 -c "import random,uuid;print(random.random());print(uuid.uuid4())"',
    ].join("; ");
    const answers = await Promise.all(
      [0, 1].map(async () => {
        const sandbox = await newest.Sandbox.create({ ...served.sdk });
        const { stdout } = await sandbox.commands.run(ask);
        await sandbox.kill();
        return stdout.trim().split("\n");
      }),
    );
    const [first = [], second = []] = answers;
    assert.equal(first.length, 7);
    for (const line of first) assert.ok(!second.includes(line), `both restores said ${line}`);
  });

  it("has the right time, users and groups", async () => {
    const sandbox = await newest.Sandbox.create({ ...served.sdk });
    const before = Date.now() / 1000;
    const { stdout } = await sandbox.commands.run("date +%s; id -Gn; pwd; echo $HOME; sudo -n id -un");
    const [seconds, groups, cwd, home, root] = stdout.trim().split("\n");
    const late = Number(seconds) - before;
    assert.ok(late > -2 && late < Date.now() / 1000 - before + 2, `the guest says ${seconds}`);
    assert.deepEqual(groups?.split(" "), ["user", "sudo"]);
    assert.deepEqual([cwd, home, root], ["/home/user", "/home/user", "root"]);
    await sandbox.kill();
  });

  it("knows which sandbox it is, by its environment and by files", async () => {
    const sandbox = await newest.Sandbox.create({ ...served.sdk });
    const { templateId } = await sandbox.getInfo();
    const facts = { E2B_SANDBOX: "true", E2B_SANDBOX_ID: sandbox.sandboxId, E2B_TEMPLATE_ID: templateId };
    const ask = Object.keys(facts).map((name) => `echo $${name}; cat /run/e2b/.${name}; echo`);
    const { stdout } = await sandbox.commands.run(ask.join("; "));
    assert.equal(
      stdout,
      Object.values(facts)
        .map((value) => `${value}\n${value}\n`)
        .join(""),
    );
    await sandbox.kill();
  });

  it("lets no guest out: no route, no daemon, no local network", async () => {
    const sandbox = await newest.Sandbox.create({ ...served.sdk });
    const port = new URL(served.url).port;
    const script = `for host in 127.0.0.1 10.0.2.2 192.168.0.1; do
      timeout 3 bash -c "</dev/tcp/$host/${port}" 2>/dev/null && echo reached $host
    done; echo done`;
    assert.equal((await sandbox.commands.run(script)).stdout, "done\n");
    await sandbox.kill();
  });

  it("shows a guest's port by host name and by header", async () => {
    const sandbox = await newest.Sandbox.create({ ...served.sdk });
    await sandbox.commands.run("python3 -m http.server 8080 --directory /etc", { background: true });
    const headers = { "E2b-Sandbox-Id": sandbox.sandboxId, "E2b-Sandbox-Port": "8080" };
    let byHeader = await fetch(`${served.url}/hostname`, { headers });
    for (let i = 0; i < 30 && byHeader.status === 502; i++)
      byHeader = await fetch(`${served.url}/hostname`, { headers });
    assert.equal(byHeader.status, 200);
    assert.equal((await byHeader.text()).trim(), sandbox.sandboxId);
    const closed = await fetch(served.url, {
      headers: { "E2b-Sandbox-Id": sandbox.sandboxId, "E2b-Sandbox-Port": "8081" },
    });
    assert.equal(closed.status, 502);
    assert.deepEqual(await closed.json(), {
      message: "The sandbox is running but port is not open",
      sandboxId: sandbox.sandboxId,
      port: 8081,
      code: 502,
    });
    await sandbox.kill();
    assert.equal(await sandbox.isRunning(), false);
  });
});
