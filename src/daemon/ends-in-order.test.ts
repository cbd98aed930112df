import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { settled, VirtualClock } from "../base/testing/virtual-clock.ts";
import { EndsInOrder } from "./ends-in-order.ts";

describe("EndsInOrder", () => {
  const told: string[] = [];
  const log = (facts: object) => void told.push((facts as { what: string }).what);
  const logger = { debug: log, info: log, warn: log, error: log };

  it("ends in reverse, once, whatever fails", async () => {
    const ended: string[] = [];
    const ends = new EndsInOrder({ eachMsMax: 1000, clock: new VirtualClock(), logger });
    ends.hold("store", { [Symbol.asyncDispose]: async () => void ended.push("store") });
    ends.hold("cache", { [Symbol.asyncDispose]: () => Promise.reject(new Error("no")) });
    ends.hold("api", { [Symbol.dispose]: () => void ended.push("api") });
    await Promise.all([ends.end(), ends.end()]);
    await ends.end();
    assert.deepEqual(ended, ["api", "store"]);
    assert.deepEqual(told, ["cache"]);
  });

  it("one that hangs is named and passed by", async () => {
    told.length = 0;
    const clock = new VirtualClock();
    const ends = new EndsInOrder({ eachMsMax: 1000, clock, logger });
    let last = false;
    ends.hold("store", { [Symbol.dispose]: () => void (last = true) });
    ends.hold("sandboxes", { [Symbol.asyncDispose]: () => new Promise(() => {}) });
    const ending = ends.end();
    await clock.advance(999);
    assert.equal(last, false);
    await clock.advance(1);
    await ending;
    await settled();
    assert.deepEqual([last, told], [true, ["sandboxes"]]);
    assert.equal(clock.pending, 0);
  });
});
