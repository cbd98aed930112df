import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { progressScreen } from "./progress-screen.ts";

describe("progressScreen", () => {
  it("without a terminal a step is a line when it begins, when it ends, and now and then between", () => {
    let shown = "";
    const show = progressScreen({ write: (text) => (shown += String(text)) });
    show({ step: "kernel", detail: "downloading", fraction: 0, seconds: 0, done: false });
    show({ step: "kernel", detail: "downloading", fraction: 0.1, seconds: 1, done: false });
    show({ step: "kernel", detail: "downloading", fraction: 0.5, seconds: 11, done: false });
    show({ step: "kernel", detail: "6.1 unpacked", fraction: 1, seconds: 12.34, done: true });
    assert.equal(
      shown,
      "  kernel: downloading 0 %\n  kernel: downloading 50 %\n  kernel: 6.1 unpacked (done, 12.3 s)\n",
    );
  });

  it("on a terminal a step is one line that changes", () => {
    let shown = "";
    const show = progressScreen({ isTTY: true, write: (text) => (shown += String(text)) });
    show({ step: "boot", detail: "waiting", seconds: 0, done: false });
    show({ step: "boot", detail: "agent answers", seconds: 5, done: true });
    assert.equal(shown, "\r\u001b[2K  … boot: waiting\r\u001b[2K  ✓ boot: agent answers (5.0 s)\n");
  });
});
