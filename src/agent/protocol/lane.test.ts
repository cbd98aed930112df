import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { encodeLength, encodeOffer, LengthSplitter, parseOffer, slotAddress } from "./lane.ts";

const offer = {
  id: "0a1b",
  mark: Buffer.alloc(16, 7),
  address: 2 ** 32 + 4096,
  slotBytes: 1020 * 1024,
  slots: 2,
};

describe("a lane's offer", () => {
  it("is understood as it was meant", () => {
    assert.deepEqual(parseOffer(encodeOffer(offer)), offer);
    assert.equal(slotAddress(offer, 1), offer.address + 4096 + offer.slotBytes);
  });

  it("is none when a guest says anything else, or too much", () => {
    const text = encodeOffer(offer);
    const wrong = { slotBytes: 2 * 1024 * 1024, slots: 17 };
    for (const [name, value] of Object.entries({ ...wrong, address: -1, id: "no id" })) {
      assert.equal(parseOffer(encodeOffer({ ...offer, [name]: value })), undefined, name);
    }
    for (const each of [
      undefined,
      "",
      `${text} 1`,
      text.slice(0, -2),
      [text, text],
      text.replace("07", "0g"),
    ])
      assert.equal(parseOffer(each), undefined);
    fc.assert(fc.property(fc.string(), (any) => parseOffer(any) === undefined));
  });
});

describe("LengthSplitter", () => {
  it("finds all lengths, however they are split over reads", () => {
    const lengths = fc.array(fc.integer({ min: 0, max: 2 ** 32 - 1 }));
    fc.assert(
      fc.property(lengths, fc.integer({ min: 1, max: 9 }), (lengths, size) => {
        const all = Buffer.concat(lengths.map(encodeLength));
        const splitter = new LengthSplitter();
        const found: number[] = [];
        for (let at = 0; at < all.length; at += size)
          found.push(...splitter.push(all.subarray(at, at + size)));
        assert.deepEqual(found, lengths);
      }),
    );
  });
});
