import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, it } from "node:test";
import { commandLine } from "./command-line.ts";
import { TestTerminal } from "./testing/test-terminal.ts";

describe("larder stop", () => {
  it("asks the daemon to end and returns when it has ended", async () => {
    const data = await mkdtemp(path.join(tmpdir(), "larder-stop-"));
    const daemon = startDaemon(data);
    await once(daemon.stdout, "data");
    const exited = once(daemon, "exit");
    const terminal = new TestTerminal({ LARDER_DATA: data, HOME: data });
    assert.equal(await commandLine(["stop"], terminal), 0);
    assert.equal(terminal.printed, "stopped http://127.0.0.1:1\n");
    assert.deepEqual(await exited, [7, null]);
    await rm(data, { recursive: true });
  });
});

/** A process that says that it is the daemon, and ends with 7 when it is asked to. */
function startDaemon(data: string) {
  const presence = path.join(import.meta.dirname, "../daemon/presence.ts");
  const script = `
    import { announce } from ${JSON.stringify(presence)};
    process.on("SIGTERM", () => process.exit(7));
    setInterval(() => {}, 1000);
    await announce(${JSON.stringify(data)}, "http://127.0.0.1:1", "0");
    console.log("ready");`;
  const args = ["--input-type=module", "-e", script];
  return spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
}
