import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Failure } from "../base/failure.ts";
import { VirtualClock } from "../base/testing/virtual-clock.ts";
import { wakingDeadline } from "./waking-deadline.ts";

const never = new AbortController().signal;

describe("wakingDeadline", () => {
  it("aborts when its time is over, and says what took so long", async () => {
    const clock = new VirtualClock();
    using late = wakingDeadline(clock, 1000, "a peer", never);
    await clock.advance(999);
    assert.equal(late.signal.aborted, false);
    await clock.advance(1);
    assert.ok(Failure.is(late.signal.reason, "unavailable"));
  });

  it("does not count the time in which the process was kept from running", () => {
    const callbacks: (() => void)[] = [];
    const after = (_ms: number, callback: () => void) => {
      callbacks.push(callback);
      return { [Symbol.dispose]: () => {} };
    };
    const clock = Object.assign(new VirtualClock(), { after });
    using late = wakingDeadline(clock, 1000, "a peer", never);
    callbacks[0]?.(); // however late it is
    assert.equal(late.signal.aborted, false);
    assert.equal(callbacks.length, 2);
  });

  it("leaves no timer", () => {
    const clock = new VirtualClock();
    wakingDeadline(clock, 1000, "a peer", never)[Symbol.dispose]();
    assert.equal(clock.pending, 0);
  });
});
