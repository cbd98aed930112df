import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { SeededRandom } from "../base/testing/seeded-random.ts";
import { decodeFirstPages, encodeFirstPages } from "./first-pages.ts";

const page = 4096;
const memoryBytes = 16 * page;
const data = Buffer.from(new SeededRandom(7).bytes(memoryBytes));
const runs = [
  { first: 2, count: 2 },
  { first: 9, count: 1 },
  { first: 15, count: 1 },
].map(({ first, count }) => ({
  offset: first * page,
  bytes: data.subarray(first * page, (first + count) * page),
}));

describe("first pages", () => {
  it("are read as they were written, also when there are none", () => {
    const read = decodeFirstPages(encodeFirstPages(runs), memoryBytes);
    assert.deepEqual(
      read.map(({ offset }) => offset),
      [2 * page, 9 * page, 15 * page],
    );
    for (const [index, { bytes }] of read.entries())
      assert.ok(Buffer.from(bytes).equals(runs[index]?.bytes ?? Buffer.alloc(0)));
    assert.deepEqual(decodeFirstPages(encodeFirstPages([]), memoryBytes), []);
  });

  it("are read as version 1 has them: a stored sample, never edited", () => {
    const sample = Buffer.alloc(3 * page, "larder ");
    sample.fill(0, 0, page);
    sample.write("4c41524445524650010000000200000003000000010000000900000001", "hex");
    const read = decodeFirstPages(sample, memoryBytes);
    assert.deepEqual(
      read.map(({ bytes, offset }) => [offset / page, bytes.length]),
      [
        [3, page],
        [9, page],
      ],
    );
    assert.ok(encodeFirstPages(read).equals(sample));
  });

  it("are refused when they are cut off, of a newer version, or not of this memory", () => {
    const file = encodeFirstPages(runs);
    for (const length of [0, 12, 20, page, file.length - 1])
      assert.throws(() => decodeFirstPages(file.subarray(0, length), memoryBytes), { code: "corrupt" });
    assert.throws(() => decodeFirstPages(file, 15 * page), { code: "corrupt" });
    const newer = Buffer.from(file);
    newer.writeUInt8(2, 8);
    assert.throws(() => decodeFirstPages(newer, memoryBytes), /version 2.*reads up to 1/);
    const backwards = encodeFirstPages(runs.toReversed());
    assert.throws(() => decodeFirstPages(backwards, memoryBytes), { code: "corrupt" });
  });

  it("are refused when they name more than they hold, or less", () => {
    const [first = assert.fail()] = runs;
    const file = encodeFirstPages([first]);
    const fewer = Buffer.from(file);
    fewer.writeUInt32BE(1, 17);
    const more = Buffer.from(file);
    more.writeUInt32BE(3, 17);
    for (const each of [fewer, more])
      assert.throws(() => decodeFirstPages(each, memoryBytes), { code: "corrupt" });
  });
});
