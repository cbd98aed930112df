import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { TestDaemon } from "./testing/test-daemon.ts";

describe("larder pause and larder resume", () => {
  it("put sandboxes to sleep, with their memory or without, and wake them", async () => {
    await using daemon = await TestDaemon.start();
    for (let i = 0; i < 2; i++) await daemon.api.call("POST", "/v2/sandboxes", {});
    const paused = await daemon.larder(["pause", "i0001"]);
    assert.deepEqual([paused.code, paused.terminal.printed], [0, "i0001\n"]);
    await daemon.larder(["pause", "--no-memory", "i0002"]);
    const { pauses } = daemon.api.sandboxes;
    assert.deepEqual(pauses, [
      { id: "i0001", memory: true },
      { id: "i0002", memory: false },
    ]);
    const { terminal } = await daemon.larder(["resume", "i0001", "i0002", "--timeout", "7200", "--json"]);
    assert.deepEqual(JSON.parse(terminal.printed), { resumed: ["i0001", "i0002"], refused: {} });
    const { state, startedAt, endAt } = (await daemon.api.call("GET", "/sandboxes/i0001")).body;
    assert.deepEqual([state, Date.parse(endAt) - Date.parse(startedAt)], ["running", 7_200_000]);
  });

  it("say of each that cannot what the daemon says, and do not stop at it", async () => {
    await using daemon = await TestDaemon.start();
    for (let i = 0; i < 2; i++) await daemon.api.call("POST", "/v2/sandboxes", {});
    await daemon.larder(["pause", "i0001"]);
    const { code, terminal } = await daemon.larder(["pause", "i0001", "inone", "i0002"]);
    assert.deepEqual([code, terminal.printed], [1, "i0002\n"]);
    const said =
      "larder pause: sandbox 'i0001' is paused already\nlarder pause: there is no sandbox 'inone'\n";
    assert.equal(terminal.complained, said);
    assert.equal((await daemon.larder(["resume", "i0001", "--timeout", "soon"])).code, 2);
  });
});
