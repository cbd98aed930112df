import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { endedEarly, machineExit } from "./vmm-process.ts";

const noise = "qemu: warning: hub 0 is not connected to host network\n";

describe("machineExit", () => {
  it("knows a signal by the code with which a watcher tells it", () => {
    const exit = machineExit({ code: 137, signal: null, words: "" });
    assert.deepEqual(exit, { code: null, signal: "SIGKILL", lastWords: "" });
    assert.deepEqual(machineExit({ code: 0, signal: null, words: noise }), {
      code: 0,
      signal: null,
      lastWords: "",
    });
  });

  it("keeps the last of many words, on one line, without what is said at each start", () => {
    const words = `${"long ago\n".repeat(1000)}${noise}qemu: out of \u001b]0;paint\u0007 memory\r\n\n`;
    const { lastWords } = machineExit({ code: 1, signal: null, words });
    assert.ok(lastWords.length <= 1000);
    assert.ok(lastWords.endsWith("long ago; qemu: out of ]0;paint memory"));
  });
});

describe("endedEarly", () => {
  it("says how a machine ended, and its last words", () => {
    const say = (end: Parameters<typeof machineExit>[0]) => endedEarly(machineExit(end)).message;
    assert.equal(
      say({ code: 1, signal: null, words: "no memory\n" }),
      "the machine ended with code 1: no memory",
    );
    assert.equal(say({ code: null, signal: "SIGTERM", words: "" }), "the machine ended by SIGTERM");
    assert.equal(
      say({ code: null, signal: null, words: "no bwrap" }),
      "the machine could not be started: no bwrap",
    );
    assert.equal(endedEarly(machineExit({ code: 1, signal: null, words: "" })).code, "unavailable");
  });
});
