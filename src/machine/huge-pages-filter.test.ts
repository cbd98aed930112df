import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { hugePagesFilter } from "./huge-pages-filter.ts";

const kill = 0x8000_0000;
const allow = 0x7fff_0000;
const refuse = 0x0005_0016;

/** Runs a filter as the kernel would, on one call. */
function judge(call: { architecture?: number; number: number; third?: number }): number {
  const filter = hugePagesFilter();
  const data = Buffer.alloc(64);
  data.writeUInt32LE(call.number, 0);
  data.writeUInt32LE(call.architecture ?? 0xc000_003e, 4);
  data.writeUInt32LE(call.third ?? 0, 32);
  let accumulator = 0;
  for (let at = 0; at < filter.length; at += 8) {
    const operand = filter.readUInt32LE(at + 4);
    const code = filter.readUInt16LE(at);
    if (code === 0x20) accumulator = data.readUInt32LE(operand);
    else if (code === 0x15) at += 8 * filter.readUInt8(at + (accumulator === operand ? 2 : 3));
    else return operand;
  }
  return assert.fail("the filter has no end");
}

describe("hugePagesFilter", () => {
  it("refuses huge pages with an error that the VMM does without", () => {
    assert.equal(judge({ number: 28, third: 14 }), refuse);
  });

  it("lets every other call pass, other advice included", () => {
    assert.equal(judge({ number: 28, third: 4 }), allow);
    for (const number of [0, 1, 9, 14, 202]) assert.equal(judge({ number, third: 14 }), allow);
  });

  it("ends a program of another architecture, whose calls have other numbers", () => {
    assert.equal(judge({ architecture: 0x4000_0003, number: 219, third: 14 }), kill);
  });
});
