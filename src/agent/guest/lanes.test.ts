import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { VirtualClock } from "../../base/testing/virtual-clock.ts";
import { parseOffer } from "../protocol/lane.ts";
import { KernelRandom } from "./kernel-random.ts";
import type { LanePage } from "./lane-memory.ts";
import { Lanes } from "./lanes.ts";

const page = (address: number): LanePage => ({ bytes: Buffer.alloc(2 * 1024 * 1024), address });

describe("Lanes", () => {
  it("are lent to one transfer each, until it is closed and nobody holds it, and hold nothing of a file then", () => {
    let taken = 0;
    const lanes = new Lanes(() => page((taken += 1) * 2 ** 21), new KernelRandom(), new VirtualClock());
    const open = [1, 2, 3, 4].map(() => lanes.open() ?? assert.fail());
    assert.equal(lanes.open(), undefined, "there are four");
    assert.deepEqual(
      open.map(({ offer }) => parseOffer(offer)?.address),
      [1, 2, 3, 4].map((each) => each * 2 ** 21),
    );
    const [first = assert.fail()] = open;
    first.slots[0]?.fill(7);
    const held = first.hold();
    first[Symbol.dispose]();
    assert.equal(lanes.open(), undefined, "somebody may still write to it");
    held[Symbol.dispose]();
    assert.equal(lanes.find(first.id), undefined);
    assert.ok(first.slots.every((slot) => slot.every((byte) => byte === 0)));
    const again = lanes.open() ?? assert.fail();
    assert.equal(parseOffer(again.offer)?.address, 2 ** 21);
    assert.notEqual(again.id, first.id);
    assert.equal(taken, 4, "its memory is used again");
  });

  it("are not searched for at each transfer when the kernel has no memory for them", async () => {
    let asked = 0;
    const clock = new VirtualClock();
    const none = () => {
      asked += 1;
      return undefined;
    };
    const lanes = new Lanes(none, new KernelRandom(), clock);
    for (let i = 0; i < 3; i++) assert.equal(lanes.open(), undefined);
    assert.equal(asked, 1);
    await clock.advance(60_000);
    assert.equal(lanes.open(), undefined);
    assert.equal(asked, 2);
  });
});
