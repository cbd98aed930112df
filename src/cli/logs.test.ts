import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { commandLine } from "./command-line.ts";
import { TestDaemon } from "./testing/test-daemon.ts";

describe("larder logs", () => {
  it("prints what is known of a sandbox, also of one that has ended, for people and for programs", async () => {
    await using daemon = await TestDaemon.start();
    note(daemon, 1000, "info", "it starts");
    note(daemon, 2000, "warn", "it is lost");
    const { code, terminal } = await daemon.larder(["logs", "i0001"]);
    const lines = [
      "1970-01-01T00:00:01.000Z info  it starts of=i0001",
      "1970-01-01T00:00:02.000Z warn  it is lost of=i0001",
    ];
    assert.deepEqual([code, terminal.printed], [0, `${lines.join("\n")}\n`]);
    const warnings = await daemon.larder(["logs", "i0001", "--level", "warn", "--json"]);
    assert.equal(JSON.parse(warnings.terminal.printed).message, "it is lost");
  });

  it("follows until the sandbox has ended, and says nothing twice", async () => {
    await using daemon = await TestDaemon.start();
    await daemon.api.call("POST", "/v2/sandboxes", {});
    note(daemon, 1000, "info", "first");
    const terminal = daemon.terminal();
    const following = commandLine(["logs", "i0001", "--follow"], terminal);
    while (!terminal.printed.includes("first")) await new Promise((resolve) => setImmediate(resolve));
    note(daemon, 1000, "info", "second");
    note(daemon, 1500, "info", "third");
    await daemon.api.call("DELETE", "/sandboxes/i0001");
    const code = await following;
    const messages = terminal.printed.match(/first|second|third/g);
    assert.deepEqual([code, messages], [0, ["first", "second", "third"]]);
  });

  it("knows no sandbox that never was, and no level that is none", async () => {
    await using daemon = await TestDaemon.start();
    const { code, terminal } = await daemon.larder(["logs", "inone"]);
    assert.deepEqual([code, terminal.complained], [1, "larder logs: there is no sandbox 'inone'\n"]);
    assert.equal((await daemon.larder(["logs", "i0001", "--level", "loud"])).code, 2);
  });
});

function note(daemon: TestDaemon, atMs: number, level: "info" | "warn", message: string): void {
  daemon.api.logEntries.push({ atMs, level, message, fields: { of: "i0001" } });
}
