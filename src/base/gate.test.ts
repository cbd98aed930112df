import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { Failure } from "./failure.ts";
import { Gate } from "./gate.ts";
import { settled } from "./testing/virtual-clock.ts";

const never = new AbortController().signal;

describe("Gate", () => {
  it("lets in as many as fit and the others in the order they came", async () => {
    const gate = new Gate({ capacity: 2, waitersMax: 10, name: "restores" });
    const passes = [await gate.enter(never), await gate.enter(never)];
    const order: number[] = [];
    const waiting = [3, 4, 5].map((who) => gate.enter(never).then((pass) => (order.push(who), pass)));
    await settled();
    assert.deepEqual(order, []);
    passes[0]?.[Symbol.dispose]();
    await settled();
    assert.deepEqual(order, [3]);
    for (const pass of passes) pass[Symbol.dispose]();
    for (const pass of waiting) (await pass)[Symbol.dispose]();
    assert.deepEqual(order, [3, 4, 5]);
    assert.equal(gate.inside, 0);
  });

  it("refuses with `exhausted` when its queue is full, and at once what could never fit", async () => {
    const gate = new Gate({ capacity: 1, waitersMax: 1, name: "restores" });
    using _pass = await gate.enter(never);
    const controller = new AbortController();
    const waiting = gate.enter(controller.signal);
    await assert.rejects(gate.enter(never), (error) => Failure.is(error, "exhausted"));
    await assert.rejects(gate.enter(never, 2), (error) => Failure.is(error, "exhausted"));
    controller.abort();
    await assert.rejects(waiting, { name: "AbortError" });
    assert.equal(gate.waiting, 0);
  });

  it("lets the next one in when a heavy one at the head of the queue leaves", async () => {
    const gate = new Gate({ capacity: 3, waitersMax: 5, name: "bytes" });
    using _pass = await gate.enter(never, 2);
    const controller = new AbortController();
    const heavy = gate.enter(controller.signal, 3);
    const light = gate.enter(never, 1);
    await settled();
    assert.equal(gate.waiting, 2, "a light one does not overtake a heavy one");
    controller.abort();
    await assert.rejects(heavy);
    (await light)[Symbol.dispose]();
  });

  it("is never over its capacity and ends empty, whatever the order of entering and leaving", async () => {
    const step = fc.record({
      weight: fc.integer({ min: 1, max: 4 }),
      leave: fc.boolean(),
      abort: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        const gate = new Gate({ capacity: 4, waitersMax: 100, name: "units" });
        const passes: Disposable[] = [];
        const waits: Promise<unknown>[] = [];
        for (const { weight, leave, abort } of steps) {
          const controller = new AbortController();
          waits.push(
            gate.enter(controller.signal, weight).then(
              (pass) => passes.push(pass),
              () => {},
            ),
          );
          await Promise.resolve();
          if (abort) controller.abort();
          if (leave) passes.shift()?.[Symbol.dispose]();
          assert.ok(gate.inside <= 4);
        }
        while (gate.inside > 0 || gate.waiting > 0) {
          await settled();
          passes.shift()?.[Symbol.dispose]();
        }
        await Promise.all(waits);
        assert.equal(gate.inside, 0);
      }),
      { numRuns: 50 },
    );
  });
});
