import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { Inbox } from "./inbox.ts";

describe("Inbox", () => {
  it("gives the same messages whatever pieces they came in, also when the memory of these is used again", () => {
    const step = fc.record({ skip: fc.boolean(), count: fc.integer({ min: 0, max: 9 }) });
    const plan = fc.record({
      pieces: fc.array(fc.uint8Array({ maxLength: 7 }), { maxLength: 20 }),
      steps: fc.array(step, { maxLength: 20 }),
    });
    fc.assert(
      fc.property(plan, ({ pieces, steps }) => {
        const inbox = new Inbox();
        const whole = Buffer.concat(pieces);
        const coming = pieces.values();
        const lent = Buffer.alloc(7);
        let at = 0;
        for (const { skip, count } of steps) {
          if (at + count > whole.length) break;
          if (skip) inbox.skip(count);
          let taken = skip ? Buffer.alloc(0) : inbox.take(count);
          while (taken === undefined) {
            const next = coming.next();
            assert.ok(!next.done, "all has come and the message is still not there");
            lent.set(next.value);
            inbox.push(lent.subarray(0, next.value.length));
            const there = inbox.take(count);
            taken = there && Buffer.from(there);
            inbox.keep();
            lent.fill(0xee);
          }
          assert.deepEqual(taken, skip ? Buffer.alloc(0) : whole.subarray(at, at + count));
          at += count;
        }
      }),
    );
  });

  it("drops what it was told to skip before that has come", () => {
    const inbox = new Inbox();
    inbox.push(Buffer.from("ab"));
    inbox.skip(5);
    assert.ok(inbox.skipping);
    inbox.push(Buffer.from("cd"));
    assert.equal(inbox.take(0), undefined, "nothing is taken from the middle of what is skipped");
    inbox.push(Buffer.from("efg"));
    assert.equal(inbox.take(2)?.toString(), "fg");
    assert.equal(inbox.bytes, 0);
  });
});
