import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { memoryOffset } from "./physical-memory.ts";

describe("memoryOffset", () => {
  it("knows that devices lie below 4 GiB, and memory on both sides of them", () => {
    assert.equal(memoryOffset(0), 0);
    assert.equal(memoryOffset(0xbfff_ffff), 0xbfff_ffff);
    assert.equal(memoryOffset(0xc000_0000), undefined);
    assert.equal(memoryOffset(0xffff_ffff), undefined);
    assert.equal(memoryOffset(0x1_0000_0000), 0xc000_0000);
    assert.equal(memoryOffset(0x1_0000_1000), 0xc000_1000);
  });
});
