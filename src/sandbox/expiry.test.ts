import assert from "node:assert/strict";
import { it } from "node:test";
import type { Clock } from "../base/clock.ts";
import { VirtualClock } from "../base/testing/virtual-clock.ts";
import { Expiry } from "./expiry.ts";

it("Expiry is kept to the millisecond, also beyond what a timer holds, whatever the wall clock does", async () => {
  const clock = new VirtualClock(0);
  let wallJumpMs = 0;
  const limited: Clock = {
    now: () => clock.now() + wallJumpMs,
    monotonic: () => clock.monotonic(),
    sleep: (ms, signal) => clock.sleep(ms, signal),
    after: (ms, callback) => clock.after(Math.min(ms, 2 ** 31 - 1), callback),
  };
  const dayMs = 24 * 3600 * 1000;
  const due: number[] = [];
  using _expiry = new Expiry(limited, 100 * dayMs, () => due.push(clock.now()));
  wallJumpMs = 365 * dayMs;
  await clock.advance(200 * dayMs);
  assert.deepEqual(due, [100 * dayMs]);
});

it("Expiry calls nobody after it was disposed of", async () => {
  const clock = new VirtualClock(0);
  const expiry = new Expiry(clock, 10, () => assert.fail("it was disposed of"));
  expiry[Symbol.dispose]();
  await clock.advance(100);
  assert.equal(clock.pending, 0);
});

it("Expiry keeps the end that it is told, until somebody changes it", () => {
  const clock = new VirtualClock(1000);
  using expiry = new Expiry(clock, 500, () => {}, 1501);
  expiry.extend(400);
  assert.equal(expiry.endAt, 1501, "it lasts longer than that already");
  expiry.extend(600);
  assert.equal(expiry.endAt, 1600);
});
