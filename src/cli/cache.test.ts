import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { TestDaemon } from "./testing/test-daemon.ts";

const build = "0b9c6f5e-0000-4000-8000-000000000001";

const report = {
  cache: {
    builds: [
      {
        ...{ build, bytes: 3 * 1024 * 1024, leases: 2, pinned: true, usedAt: "2026-01-01T00:00:00.000Z" },
        artifacts: { rootfs: "open", memfile: "sealed", snapfile: "closed", metafile: "absent" },
      },
    ],
    bytes: { kept: 3 * 1024 * 1024, reserved: 0, budget: 20 * 1024 * 1024 },
    backoffs: [{ object: "builds/x/manifest.json", kind: "unavailable", msLeft: 120.4 }],
  },
};

describe("larder cache", () => {
  it("lists builds and back-offs, for people and for programs", async () => {
    await using daemon = await TestDaemon.start();
    daemon.api.report = report;
    const ls = await daemon.larder(["cache", "ls"]);
    assert.equal(ls.code, 0);
    assert.match(
      ls.terminal.printed,
      /3\.0 MB +2 +pinned +2026-01-01T00:00:00.000Z +rootfs:open memfile:sealed/,
    );
    assert.match(ls.terminal.printed, /3\.0 MB of 20\.0 MB are used/);
    const json = JSON.parse((await daemon.larder(["cache", "ls", "--json"])).terminal.printed);
    assert.deepEqual(json.builds, report.cache.builds);
    const backoffs = await daemon.larder(["cache", "backoffs"]);
    assert.match(backoffs.terminal.printed, /builds\/x\/manifest\.json +unavailable +121 ms/);
    const cleared = await daemon.larder(["cache", "backoffs", "--clear", "--json"]);
    assert.deepEqual(JSON.parse(cleared.terminal.printed), { cleared: 3 });
  });

  it("inspects, verifies, evicts and pins one build", async () => {
    await using daemon = await TestDaemon.start();
    const inspected = await daemon.larder(["cache", "inspect", build]);
    assert.deepEqual(JSON.parse(inspected.terminal.printed), { build, bytes: 7 });
    const verified = await daemon.larder(["cache", "verify", build]);
    assert.equal(verified.code, 1, "some of it was damaged");
    assert.equal(verified.terminal.printed, "4 chunks were read, 1 of them were damaged.\n");
    assert.equal((await daemon.larder(["cache", "pin", build])).terminal.printed, "It is pinned.\n");
    assert.ok(daemon.api.pinned.has(build));
    assert.equal((await daemon.larder(["cache", "unpin", build])).terminal.printed, "It is not pinned.\n");
    const evicted = await daemon.larder(["cache", "evict", build, "--json"]);
    assert.deepEqual([evicted.code, JSON.parse(evicted.terminal.printed)], [0, { evicted: true }]);
    assert.deepEqual(daemon.api.evicted, [build]);
  });

  it("says how it is called when it is called otherwise, and what each word does", async () => {
    await using daemon = await TestDaemon.start();
    for (const words of [["nonsense"], ["inspect"], ["ls", build], ["toString"]]) {
      const { code, terminal } = await daemon.larder(["cache", ...words]);
      assert.equal(code, 2);
      assert.match(terminal.complained, /usage: larder cache ls \|/);
    }
    const help = (await daemon.larder(["cache", "--help"])).terminal.printed;
    for (const word of ["ls", "inspect", "verify", "evict", "pin", "backoffs", "--json"])
      assert.ok(help.includes(word), word);
  });
});
