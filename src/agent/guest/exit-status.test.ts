import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { endedBy } from "./exit-status.ts";

describe("endedBy", () => {
  it("says how a process ended in the words that clients compare", () => {
    assert.deepEqual(endedBy(0, null), { exitCode: 0, exited: true, status: "exit status 0" });
    const three = { exitCode: 3, exited: true, status: "exit status 3", error: "exit status 3" };
    assert.deepEqual(endedBy(3, null), three);
    const killed = { exitCode: -1, exited: false, status: "signal: killed", error: "signal: killed" };
    assert.deepEqual(endedBy(null, "SIGKILL"), killed);
    assert.equal(endedBy(null, "SIGTERM").error, "signal: terminated");
    assert.equal(endedBy(null, null).status, "unknown");
    assert.equal(endedBy(null, "SIGWINCH").error, "signal: sigwinch");
  });
});
