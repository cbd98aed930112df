import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { TestDaemon } from "./testing/test-daemon.ts";

describe("larder snapshot", () => {
  it("keeps the state of a sandbox, with a name or without, lists all of it and removes it", async () => {
    await using daemon = await TestDaemon.start();
    await daemon.api.call("POST", "/v2/sandboxes", {});
    const named = await daemon.larder(["snapshot", "i0001", "before-upgrade"]);
    assert.deepEqual([named.code, named.terminal.printed], [0, "before-upgrade:default\n"]);
    for (let i = 0; i < 101; i++) assert.equal((await daemon.larder(["snapshot", "i0001"])).code, 0);
    const listed = JSON.parse((await daemon.larder(["snapshot", "ls", "--json"])).terminal.printed);
    assert.equal(listed.length, 102);
    assert.deepEqual(listed.at(-1), {
      snapshotID: "before-upgrade:default",
      names: ["before-upgrade:default"],
    });
    const removed = await daemon.larder(["snapshot", "rm", "before-upgrade:default"]);
    assert.deepEqual([removed.code, removed.terminal.printed], [0, "before-upgrade:default\n"]);
    const rows = (await daemon.larder(["snapshot", "ls"])).terminal.printed.trim().split("\n");
    assert.deepEqual([rows.length, rows[0]?.split(/ +/)], [102, ["SNAPSHOT", "NAMES"]]);
  });

  it("says what is wrong with a command line, or not there", async () => {
    await using daemon = await TestDaemon.start();
    assert.equal((await daemon.larder(["snapshot", "rm"])).code, 2);
    assert.equal((await daemon.larder(["snapshot", "ls", "x"])).code, 2);
    const { code, terminal } = await daemon.larder(["snapshot", "inone"]);
    assert.deepEqual([code, terminal.complained], [1, "larder snapshot: there is no sandbox 'inone'\n"]);
  });
});
