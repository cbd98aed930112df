import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { TestDaemon } from "./testing/test-daemon.ts";

const build = "0b9c6f5e-0000-4000-8000-000000000001";

const collection = {
  builds: [{ build, bytes: 3 * 1024 * 1024, because: "unfinished" }],
  blobs: [{ digest: "ab".repeat(32), bytes: 1024 * 1024 }],
  evicted: [{ build, bytes: 2 * 1024 * 1024 }],
  freedBytes: { bucket: 4 * 1024 * 1024, shelf: 2 * 1024 * 1024 },
  keptBuilds: 7,
  nodes: [{ node: build, writtenAt: 1, builds: 2 }],
};

describe("larder template", () => {
  it("gc says what was removed, or would be, for people and for programs", async () => {
    await using daemon = await TestDaemon.start();
    daemon.api.collection = collection;
    const done = await daemon.larder(["template", "gc"]);
    assert.equal(done.code, 0, done.terminal.complained);
    assert.match(done.terminal.printed, /build +0b9c6f5e\S+ +3\.0 MB +unfinished/);
    assert.match(done.terminal.printed, /4\.0 MB in the bucket and 2\.0 MB here were freed\./);
    assert.match(done.terminal.printed, /7 builds stay\. The needs of 1 other node/);
    const dry = await daemon.larder([
      "template",
      "gc",
      "--dry-run",
      "--older-than",
      "2",
      "--lost-node",
      build,
    ]);
    assert.match(dry.terminal.printed, /would be freed/);
    const json = await daemon.larder(["template", "gc", "--json"]);
    assert.deepEqual(JSON.parse(json.terminal.printed), { ...collection, dryRun: false });
  });

  it("refuses options that are another's, and a grace time that is none", async () => {
    await using daemon = await TestDaemon.start();
    assert.equal((await daemon.larder(["template", "ls", "--dry-run"])).code, 2);
    assert.equal((await daemon.larder(["template", "gc", "--older-than", "0.5"])).code, 2);
    assert.equal((await daemon.larder(["template", "gc", "base"])).code, 2);
  });

  it("import is not for a data directory that a daemon runs on", async () => {
    await using daemon = await TestDaemon.start();
    const { code, terminal } = await daemon.larder(["template", "import"]);
    assert.equal(code, 1);
    assert.match(terminal.complained, /a daemon runs on .*: ?|larder stop/);
  });
});
