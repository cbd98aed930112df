import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isEnding, systemWaiters } from "./system-waiters.ts";

const status = (state: string, own: string, shared: string) =>
  `Name:\tqemu\nState:\t${state}\nTgid:\t4\nSigPnd:\t${own}\nShdPnd:\t${shared}\n`;

describe("systemWaiters", () => {
  it("tell one that is bound to end by the signal that waits for it", () => {
    const nothing = "0000000000000000";
    assert.equal(isEnding(status("D (disk sleep)", nothing, nothing)), false);
    assert.equal(isEnding(status("D (disk sleep)", "0000000000000200", nothing)), false, "it may be caught");
    assert.equal(isEnding(status("D (disk sleep)", "0000000000000100", nothing)), true);
    assert.equal(isEnding(status("D (disk sleep)", nothing, "0000000000000900")), true);
    assert.equal(isEnding(status("Z (zombie)", nothing, nothing)), true);
    assert.equal(isEnding(undefined), true);
  });

  it("find the process of a thread, and never take this one for ending", () => {
    assert.equal(systemWaiters.processOf(process.pid), process.pid);
    assert.equal(systemWaiters.isEnding(process.pid), false);
    assert.equal(systemWaiters.end(0), false);
  });
});
