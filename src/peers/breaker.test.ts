import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { VirtualClock } from "../base/testing/virtual-clock.ts";
import { Breaker } from "./breaker.ts";

function opened() {
  const clock = new VirtualClock();
  const random = { fraction: () => 1, bytes: () => Buffer.alloc(0) };
  const breaker = new Breaker({ clock, random, openMs: 1000, openMsMax: 3000 });
  const { signal } = breaker;
  assert.equal(breaker.failed(), true);
  return { breaker, clock, signal };
}

describe("Breaker", () => {
  it("opens at the first failure, and everybody who waits for the peer goes on", () => {
    const { breaker, signal } = opened();
    assert.equal(breaker.state, "open");
    assert.equal(signal.aborted, true);
    assert.equal(breaker.failed(), false);
  });

  it("lets one probe through when its time is over, and closes when that came back well", async () => {
    const { breaker, clock } = opened();
    await clock.advance(999);
    assert.equal(breaker.tryProbe(), false);
    await clock.advance(1);
    assert.equal(breaker.tryProbe(), true);
    assert.equal(breaker.tryProbe(), false);
    breaker.passed();
    assert.equal(breaker.state, "closed");
    assert.equal(breaker.signal.aborted, false);
  });

  it("opens for its longest time when the peer has lied", async () => {
    const { breaker, clock } = opened();
    await clock.advance(1000);
    assert.equal(breaker.tryProbe(), true);
    breaker.failed("lie");
    breaker.hurry();
    await clock.advance(2999);
    assert.equal(breaker.tryProbe(), false);
    await clock.advance(1);
    assert.equal(breaker.tryProbe(), true);
  });

  it("may be probed at once when the peer was heard of", () => {
    const { breaker } = opened();
    assert.equal(breaker.tryProbe(), false);
    breaker.hurry();
    assert.equal(breaker.tryProbe(), true);
  });

  it("stays open twice as long each time, up to a bound, until the peer has proved itself", async () => {
    const { breaker, clock } = opened();
    for (const openMs of [1000, 2000, 3000, 3000]) {
      await clock.advance(openMs - 1);
      assert.equal(breaker.tryProbe(), false, `before ${openMs}`);
      await clock.advance(1);
      assert.equal(breaker.tryProbe(), true, `after ${openMs}`);
      breaker.passed();
      assert.equal(breaker.failed(), true);
    }
    await clock.advance(3000);
    breaker.tryProbe();
    breaker.passed();
    breaker.proved();
    breaker.failed();
    await clock.advance(1000);
    assert.equal(breaker.tryProbe(), true);
  });
});
