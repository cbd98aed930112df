import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { addDirtyPages, type MemoryRange, unionOf } from "./dirty-pages.ts";

/** One entry of /proc/PID/pagemap. */
function entry(...bits: number[]): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(bits.reduce((sum, bit) => sum | (1n << BigInt(bit)), 0n));
  return bytes;
}

describe("addDirtyPages", () => {
  it("tells pages of the process from the file's, and joins neighbours over two readings", () => {
    const ranges: MemoryRange[] = [];
    const [none, file, own, gone] = [entry(), entry(63, 61), entry(63), entry(62)];
    addDirtyPages(ranges, Buffer.concat([none, own, gone, file, own]), 0);
    addDirtyPages(ranges, Buffer.concat([own, none, entry(62, 61), entry(63, 0, 55)]), 5 * 4096);
    assert.deepEqual(ranges, [
      { offset: 4096, length: 8192 },
      { offset: 4 * 4096, length: 8192 },
      { offset: 8 * 4096, length: 4096 },
    ]);
  });
});

describe("unionOf", () => {
  it("joins what overlaps or touches", () => {
    const first = [
      { offset: 0, length: 10 },
      { offset: 30, length: 5 },
    ];
    const second = [
      { offset: 5, length: 10 },
      { offset: 15, length: 2 },
      { offset: 31, length: 1 },
    ];
    assert.deepEqual(unionOf(first, second), [
      { offset: 0, length: 17 },
      { offset: 30, length: 5 },
    ]);
  });
});
