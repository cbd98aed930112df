import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { after, before, describe, it } from "node:test";
import { Sandbox } from "e2b";
import { findByArgument } from "../../src/base/processes.ts";
import { runDirectoryOf } from "../../src/daemon/run-directory.ts";
import { markerOf } from "../../src/machine/machine-spec.ts";
import { assertNoLeaks, type Served, serveAt } from "./testing/served.ts";
import { SmallWorld, world } from "./testing/small-world.ts";

const patience = { timeoutMs: 120_000 };

/** Where no guest may come, and why. */
const forbidden: readonly (readonly [string, string])[] = [
  ["http://127.0.0.1/", "the guest's own loopback, where nothing listens"],
  ["http://169.254.0.22/", "its gateway"],
  ["http://169.254.1.1/", "the uplink"],
  [`http://${world.hostPublic}/`, "the host, by its public address"],
  [`http://${world.hostAtHome}/`, "the host, by its address at home"],
  [`http://${world.host}/`, "the host, by a third address"],
  [`http://${world.router}/`, "a neighbour with a public address"],
  [`http://${world.neighbourAtHome}/`, "a neighbour at home"],
  [`http://${world.metadata}/`, "the cloud's metadata"],
  ...world.privates.map((address) => [`http://${address}/`, "a private network behind the router"] as const),
  [`http://[${world.hostUla}]/`, "the host, by its local IPv6 address"],
  ["http://[::ffff:10.1.2.3]/", "a private network in the notation of IPv6"],
  ["http://[fe80::1%25eth0]/", "the link's own IPv6 addresses"],
];

describe("the network of a sandbox", () => {
  let small: SmallWorld;
  let served: Served;
  let online: Sandbox;
  let offline: Sandbox;

  before(async () => {
    small = await SmallWorld.make();
    served = await serveAt(world.host, await small.onHost(world.resolver), { LARDER_HOST: "0.0.0.0" });
    [online, offline] = await Promise.all([
      Sandbox.create({ ...served.sdk }),
      Sandbox.create({ ...served.sdk, allowInternetAccess: false }),
    ]);
  });
  after(async () => {
    await served?.[Symbol.asyncDispose]();
    await small?.[Symbol.asyncDispose]();
  });

  it("leads to the internet, by address and by name", async () => {
    assert.equal(await page(online, `http://${world.internet}/`), "internet\n");
    assert.equal(await page(online, "http://example.com/"), "internet\n");
  });

  it("leads nowhere where that was not allowed, and says so at once", async () => {
    const began = Date.now();
    assert.equal(await page(offline, `http://${world.internet}/`), "");
    assert.equal(await page(offline, "http://example.com/"), "");
    assert.ok(Date.now() - began < 20_000, "nothing was waited for");
    const { allowInternetAccess } = await Sandbox.getInfo(offline.sandboxId, served.sdk);
    assert.equal(allowInternetAccess, false);
  });

  it("leads neither to the host nor to its daemon, nor to any network that is not public", async () => {
    const { port } = new URL(served.url);
    const daemon = forbidden.map(([url, what]) => [url.replace(/\/$/, `:${port}/`), what] as const);
    const all = [...forbidden, ...daemon];
    // One guest under emulation asks for all of them in the time of one.
    const asks = all.map(([url], at) => `curl -gs -m 8 '${url}' > /tmp/page-${at} &`).join("\n");
    await said(online, `${asks}\nwait`);
    const got = await said(
      online,
      all.map((_, at) => `echo "${at} $(head -c 60 /tmp/page-${at})"`).join("\n"),
    );
    const reached = got.split("\n").filter((line) => /^\d+ ./.test(line));
    assert.deepEqual(
      reached.map((line) => `${all[Number.parseInt(line)]?.join(", ")}: ${line}`),
      [],
    );
    assert.equal(
      await page(online, `http://${world.internet}/`),
      "internet\n",
      "it was connected all the while",
    );
  });

  it("keeps out whoever changes the guest's own address and routes", async () => {
    const mischief = [
      "ip addr add 192.168.77.9/24 dev eth0",
      "ip route replace 192.168.77.0/24 via 169.254.0.22 src 192.168.77.9",
      `curl -s -m 5 --interface 192.168.77.9 http://${world.neighbourAtHome}/ || true`,
      `curl -s -m 5 --interface 192.168.77.9 http://${world.internet}/ || true`,
    ];
    const { stdout } = await online.commands.run(mischief.join("\n"), { user: "root", ...patience });
    assert.equal(stdout, "");
  });

  it("is shared by no two sandboxes", async () => {
    const serve = "cd /tmp && python3 -m http.server 8000 --bind 0.0.0.0";
    await online.commands.run(serve, { background: true });
    const other = await Sandbox.create({ ...served.sdk });
    try {
      const sweep = "http://169.254.0.[16-31]:8000/";
      assert.equal(await said(other, `curl -s -m 20 --parallel --connect-timeout 8 '${sweep}' || true`), "");
    } finally {
      await other.kill();
    }
  });

  it("is as it was chosen after a pause, too", async () => {
    for (const sandbox of [online, offline]) {
      await sandbox.pause();
      await sandbox.connect();
    }
    assert.equal(await page(online, `http://${world.internet}/`), "internet\n");
    assert.equal(await page(online, `http://${world.neighbourAtHome}/`), "");
    assert.equal(await page(offline, `http://${world.internet}/`), "");
  });

  it("may be closed while its sandbox runs and opened again, and stays closed over a pause", async () => {
    const sandbox = await Sandbox.create({ ...served.sdk });
    const seen = () => page(sandbox, `http://${world.internet}/`);
    await sandbox.updateNetwork({ allowInternetAccess: false });
    const began = Date.now();
    assert.equal(await seen(), "");
    assert.ok(Date.now() - began < 7000, "nothing was waited for");
    await sandbox.updateNetwork({});
    assert.equal(await seen(), "internet\n");
    await sandbox.updateNetwork({ denyOut: ({ allTraffic }) => [allTraffic] });
    await sandbox.pause();
    await sandbox.connect();
    assert.equal(await seen(), "");
    await assert.rejects(sandbox.updateNetwork({}), /was started without internet access/);
    await sandbox.pause();
    await sandbox.updateNetwork({});
    await sandbox.connect();
    assert.equal(await seen(), "internet\n");
    await sandbox.kill();
  });

  it("ends with its sandbox, and lives on with it when its daemon is killed", async () => {
    await online.kill();
    await offline.kill();
    await assertNoLeaks(served);
    const left = await Sandbox.create({ ...served.sdk });
    await served.end("SIGKILL");
    assert.ok((await uplinks(served.data)).length > 0, "it did not end by itself");
    served = await serveAt(world.host, await small.onHost(world.localResolver), { LARDER_HOST: "0.0.0.0" });
    const again = await Sandbox.connect(left.sandboxId, served.sdk);
    assert.equal(await page(again, `http://${world.internet}/`), "internet\n");
    await again.updateNetwork({ allowInternetAccess: false });
    assert.equal(await page(again, `http://${world.internet}/`), "", "the next daemon can close it, too");
    await again.kill();
    assert.deepEqual(await findByArgument(markerOf(left.sandboxId)), []);
    await assertNoLeaks(served);
  });

  it("asks for names where the host does, on the host's loopback too", async () => {
    const sandbox = await Sandbox.create({ ...served.sdk });
    assert.equal(await page(sandbox, "http://example.com/"), "internet\n");
    await sandbox.kill();
  });
});

/** What the guest got from there; nothing when it got nothing. */
async function page(sandbox: Sandbox, url: string): Promise<string> {
  return said(sandbox, `curl -gs -m 8 '${url}' || true`);
}

async function said(sandbox: Sandbox, command: string): Promise<string> {
  return (await sandbox.commands.run(command, patience)).stdout;
}

/** Processes that keep up networks of the daemon with this data directory. */
async function uplinks(data: string): Promise<string[]> {
  const directory = runDirectoryOf(data, { env: process.env, uid: 0 });
  const found: string[] = [];
  for (const pid of await readdir("/proc")) {
    const line = await readFile(`/proc/${pid}/cmdline`, "latin1").catch(() => "");
    if (line.includes("--dns-forward") && line.includes(`${directory}/`)) found.push(pid);
  }
  return found;
}
