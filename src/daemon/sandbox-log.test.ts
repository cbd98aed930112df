import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { silentLogger } from "../base/logger.ts";
import { VirtualClock } from "../base/testing/virtual-clock.ts";
import { SandboxLog } from "./sandbox-log.ts";

describe("the log of a sandbox", () => {
  it("keeps what was said about it, without what is the operator's", async () => {
    const clock = new VirtualClock(1000);
    const log = new SandboxLog(silentLogger, clock);
    log.info({ sandbox: "i1", why: "expired", record: { envs: "secret" } }, "a sandbox ends");
    log.warn({ sandbox: "i1", error: new Error("no more") }, "a sandbox did not end in order");
    log.info({ url: "x" }, "the daemon is ready");
    log.debug({ sandbox: "i1" }, "traffic was cut short");
    assert.deepEqual(await log.of("i1"), [
      { atMs: 1000, level: "info", message: "a sandbox ends", fields: { why: "expired" } },
      { atMs: 1000, level: "warn", message: "a sandbox did not end in order", fields: { error: "no more" } },
    ]);
    assert.deepEqual(await log.of("i2"), []);
  });

  it("is bounded, in each and in number", async () => {
    const log = new SandboxLog(silentLogger, new VirtualClock());
    for (let i = 0; i < 101; i++) log.info({ sandbox: "i0", text: "x".repeat(1000) }, `event ${i}`);
    const entries = await log.of("i0");
    assert.deepEqual([entries.length, entries[0]?.message], [100, "event 1"]);
    assert.equal(entries[0]?.fields["text"]?.length, 200);
    for (let i = 1; i <= 1000; i++) log.info({ sandbox: `i${i}` }, "a sandbox ends");
    assert.deepEqual([(await log.of("i0")).length, (await log.of("i1")).length], [0, 1]);
  });
});
