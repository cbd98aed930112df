import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Failure } from "../base/failure.ts";
import { overlayExtents } from "./overlay-map.ts";

const kib = 1024;

describe("overlayExtents", () => {
  it("takes what is present, zeros too, and leaves to the parent what is not", () => {
    const map = [
      { start: 0, length: 64 * kib, depth: 0, present: false, zero: true, data: false },
      {
        start: 64 * kib,
        length: 128 * kib,
        depth: 0,
        present: true,
        zero: false,
        data: true,
        offset: 327680,
      },
      { start: 192 * kib, length: 64 * kib, depth: 0, present: true, zero: true, data: false },
      { start: 256 * kib, length: 768 * kib, depth: 0, present: false, zero: true, data: false },
    ];
    assert.deepEqual(overlayExtents(JSON.stringify(map), 1024 * kib), [
      { offset: 64 * kib, length: 128 * kib, fileOffset: 327680 },
      { offset: 192 * kib, length: 64 * kib, fileOffset: undefined },
    ]);
  });

  it("refuses what no overlay of this device can hold", () => {
    const good = { start: 0, length: 4096, present: true, zero: false, data: true, offset: 65536 };
    const { offset: _, ...nowhere } = good;
    for (const bad of [{ ...good, length: 8192 }, { ...good, start: 100 }, nowhere, { start: "0" }]) {
      assert.throws(
        () => overlayExtents(JSON.stringify([bad]), 4096),
        (error) => Failure.is(error, "corrupt"),
      );
    }
  });
});
