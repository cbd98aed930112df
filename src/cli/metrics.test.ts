import assert from "node:assert/strict";
import { Readable } from "node:stream";
import { describe, it } from "node:test";
import { TestDaemon } from "./testing/test-daemon.ts";

const mib = 1024 * 1024;
const usage = {
  ...{ cpu_count: 2, cpu_used_pct: 12.5, mem_total: 512 * mib, mem_used: 64 * mib, mem_cache: 0 },
  ...{ disk_used: 500 * mib, disk_total: 10_240 * mib },
};

describe("larder metrics", () => {
  it("prints what all that run use, or those that are named", async () => {
    await using daemon = await TestDaemon.start();
    daemon.api.sandboxes.guest = {
      request: async () => ({
        ...{ status: 200, headers: {} },
        body: Readable.from([Buffer.from(JSON.stringify(usage))]),
      }),
      connectPort: () => Promise.reject(new Error("nobody asks for ports")),
    };
    for (let i = 0; i < 3; i++) await daemon.api.call("POST", "/v2/sandboxes", {});
    await daemon.larder(["pause", "i0003"]);
    const { code, terminal } = await daemon.larder(["metrics"]);
    const [head, ...rows] = terminal.printed.trim().split("\n");
    assert.equal(code, 0);
    assert.match(head ?? "", /^ID +CPUS +CPU +MEMORY +DISK$/);
    assert.deepEqual(rows.toSorted(), [
      "i0001  2     12.5 %  64 of 512 MB  500 of 10240 MB",
      "i0002  2     12.5 %  64 of 512 MB  500 of 10240 MB",
    ]);
    const named = await daemon.larder(["metrics", "i0001", "inone", "--json"]);
    assert.equal(named.code, 1);
    assert.deepEqual(Object.keys(JSON.parse(named.terminal.printed) as object), ["i0001"]);
    assert.match(named.terminal.complained, /nothing is known of inone/);
  });
});
