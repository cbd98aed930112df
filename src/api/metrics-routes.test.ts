import assert from "node:assert/strict";
import { Readable } from "node:stream";
import { describe, it } from "node:test";
import { Sandbox } from "e2b";
import { VirtualClock } from "../base/testing/virtual-clock.ts";
import { TestApi, testKey } from "./testing/test-api.ts";

const usage = {
  ...{ ts: 1, cpu_count: 2, cpu_used_pct: 12.5, mem_total: 1000, mem_used: 400, mem_cache: 100 },
  ...{ disk_used: 5000, disk_total: 9000, mem_total_mib: 0, mem_used_mib: 0 },
};

/** An API with one sandbox, whose guest says `answer.text` when it is asked; `asked` counts how often. */
async function watched(clock: VirtualClock) {
  const api = await TestApi.start({}, clock);
  const guest = { text: JSON.stringify(usage), asked: [] as (string | string[] | undefined)[] };
  api.sandboxes.guest = {
    request: async ({ headers }) => {
      guest.asked.push(headers["x-access-token"]);
      return { status: 200, headers: {}, body: Readable.from([Buffer.from(guest.text)]) };
    },
    connectPort: () => Promise.reject(new Error("nobody asks for ports")),
  };
  await api.call("POST", "/v2/sandboxes", {});
  return { api, guest };
}

describe("metrics of a sandbox", () => {
  it("are what its guest says, asked at most every five seconds", async () => {
    const clock = new VirtualClock();
    const { api, guest } = await watched(clock);
    await using _api = api;
    const first = (await api.call("GET", "/sandboxes/i0001/metrics")).body;
    const nowMs = clock.now();
    assert.deepEqual(first, [
      {
        ...{ timestamp: new Date(nowMs).toISOString(), timestampUnix: nowMs / 1000 },
        ...{ cpuCount: 2, cpuUsedPct: 12.5, memUsed: 400, memTotal: 1000, memCache: 100 },
        ...{ diskUsed: 5000, diskTotal: 9000 },
      },
    ]);
    await clock.advance(4000);
    assert.equal((await api.call("GET", "/sandboxes/i0001/metrics")).body.length, 1);
    await clock.advance(1000);
    assert.equal((await api.call("GET", "/sandboxes/i0001/metrics")).body.length, 2);
    assert.deepEqual(guest.asked, ["token", "token"]);
    const end = `end=${nowMs / 1000 + 4}`;
    assert.equal((await api.call("GET", `/sandboxes/i0001/metrics?${end}`)).body.length, 1);
    assert.equal(
      (await api.call("GET", `/sandboxes/i0001/metrics?start=${nowMs / 1000 + 5}`)).body.length,
      1,
    );
    assert.equal((await api.call("GET", "/sandboxes/inone/metrics")).status, 404);
  });

  it("are what is known when the guest says nonsense, too much, or sleeps", async () => {
    const clock = new VirtualClock();
    const { api, guest } = await watched(clock);
    await using _api = api;
    for (const text of ["{", '{"cpu_count":"many"}', "x".repeat(1024 * 1024)]) {
      guest.text = text;
      assert.deepEqual((await api.call("GET", "/sandboxes/i0001/metrics")).body, []);
    }
    guest.text = JSON.stringify(usage);
    assert.equal((await api.call("GET", "/sandboxes/i0001/metrics")).body.length, 1);
    await api.call("POST", "/sandboxes/i0001/pause", {});
    await clock.advance(60_000);
    assert.equal((await api.call("GET", "/sandboxes/i0001/metrics")).body.length, 1);
  });

  it("of many are told at once, those of unknown ones left out; the package reads them", async () => {
    const { api } = await watched(new VirtualClock());
    await using _api = api;
    for (const query of ["sandbox_ids=i0001,inone", "sandbox_ids=i0001&sandbox_ids=inone"]) {
      const { sandboxes } = (await api.call("GET", `/sandboxes/metrics?${query}`)).body;
      assert.deepEqual(Object.keys(sandboxes), ["i0001"]);
    }
    const ids = Array.from({ length: 101 }, (_, i) => `i${i}`).join(",");
    assert.equal((await api.call("GET", `/sandboxes/metrics?sandbox_ids=${ids}`)).status, 400);
    const sandbox = await Sandbox.connect("i0001", { apiKey: testKey, apiUrl: api.url });
    const [metrics] = await sandbox.getMetrics();
    assert.deepEqual([metrics?.cpuCount, metrics?.memUsed, metrics?.diskTotal], [2, 400, 9000]);
  });
});
