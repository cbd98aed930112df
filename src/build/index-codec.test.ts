import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { crc32 } from "node:zlib";
import fc from "fast-check";
import { Failure, type FailureCode } from "../base/failure.ts";
import { SeededRandom } from "../base/testing/seeded-random.ts";
import { blockBytes, chunkBytes } from "./artifact.ts";
import type { IndexLayout } from "./artifact-index.ts";
import { decodeLayout, encodeLayout } from "./index-codec.ts";
import { randomBase, randomChild } from "./testing/random-index.ts";
import { VarintWriter } from "./varint.ts";

describe("an encoded index", () => {
  const random = new SeededRandom(7);
  const { layout } = randomChild(randomBase(random, 300), random).index;
  const encoded = encodeLayout(layout);

  it("is refused with a sentence when it is cut off anywhere, or goes on", () => {
    for (let at = 0; at < encoded.length; at++)
      assert.throws(() => decodeLayout(encoded.subarray(0, at)), refused("corrupt"), `cut at ${at}`);
    assert.throws(() => decodeLayout(Buffer.concat([encoded, Buffer.of(0)])), refused("corrupt"));
  });

  it("is refused with a sentence when any bit of any byte is flipped", () => {
    for (let bit = 0; bit < encoded.length * 8; bit++) {
      const flipped = Buffer.from(encoded);
      const at = bit >> 3;
      flipped[at] = (flipped[at] ?? 0) ^ (1 << (bit & 7));
      assert.throws(() => decodeLayout(flipped), refused("corrupt"), `bit ${bit}`);
    }
  });

  it("is refused, never crashed on, when its numbers are random but its checksum fits", () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat(400), { maxLength: 40 }),
        fc.uint8Array({ maxLength: 200 }),
        (values, rest) => {
          const numbers = new VarintWriter();
          for (const value of values) numbers.write(value);
          for (const bytes of [rest, envelope(numbers.end(), rest), envelope(rest, Buffer.alloc(16))])
            assert.throws(() => decodeLayout(bytes), refused("corrupt"));
        },
      ),
    );
  });

  it("is refused when a single number of it is another, although the checksum fits, or says what it says", () => {
    for (let at = 18; at < encoded.length - 4; at++) {
      const changed = Buffer.from(encoded);
      changed[at] = (changed[at] ?? 0) ^ 1;
      changed.writeUInt32BE(crc32(changed.subarray(0, -4)), changed.length - 4);
      try {
        assert.deepEqual(encodeLayout(decodeLayout(changed)), changed, "only what would be written is read");
      } catch (error) {
        assert.ok(refused("corrupt")(error), `${at}: ${String(error)}`);
      }
    }
  });

  it("of a newer version is refused by its number", () => {
    const newer = Buffer.from(encoded);
    newer[8] = 9;
    newer.writeUInt32BE(crc32(newer.subarray(0, -4)), newer.length - 4);
    assert.throws(() => decodeLayout(newer), refused("invalid", /version 9/));
  });

  it("is never written with a broken rule", () => {
    const run = { offset: 0, length: chunkBytes, build: layout.build, storageOffset: 0 };
    const chunk = { digest: Buffer.alloc(32), packedBytes: 9, codec: "zstd" as const };
    const whole = {
      ...layout,
      deviceBytes: chunkBytes,
      storageBytes: chunkBytes,
      runs: [run],
      chunks: [chunk],
    };
    assert.deepEqual(decodeLayout(encodeLayout(whole)), whole);
    const zeros = { ...run, build: null };
    const broken: Partial<IndexLayout>[] = [
      { deviceBytes: 1 },
      { deviceBytes: 2 ** 41 },
      { storageBytes: 2 * chunkBytes },
      { storageBytes: 0, chunks: [] },
      { runs: [] },
      { runs: [{ ...run, length: chunkBytes - blockBytes }] },
      { runs: [{ ...run, storageOffset: blockBytes }] },
      { runs: [{ ...run, storageOffset: 1 }] },
      { runs: [{ ...zeros, storageOffset: blockBytes }] },
      { runs: [zeros, { ...run, offset: chunkBytes, length: 0 }] },
      {
        runs: [
          { ...zeros, length: blockBytes },
          { ...zeros, offset: blockBytes, length: chunkBytes - blockBytes },
        ],
      },
      { chunks: [] },
      { chunks: [{ ...chunk, digest: Buffer.alloc(31) }] },
      { chunks: [{ ...chunk, packedBytes: 0 }] },
      { chunks: [{ ...chunk, packedBytes: chunkBytes }] },
      { chunks: [{ ...chunk, codec: "raw" }] },
    ];
    for (const change of broken)
      assert.throws(
        () => encodeLayout({ ...whole, ...change }),
        { name: "AssertionError" },
        JSON.stringify(change),
      );
  });
});

/** Magic, version 1, rootfs, the given parts, a checksum that fits. */
function envelope(numbers: Uint8Array, digests: Uint8Array): Buffer {
  const header = Buffer.from("LARDERIX\x01\x00\0\0\0\0\0\0\0\0", "latin1");
  header.writeUInt32BE(numbers.length, 10);
  header.writeUInt32BE(digests.length, 14);
  const body = Buffer.concat([header, numbers, digests]);
  const checksum = Buffer.alloc(4);
  checksum.writeUInt32BE(crc32(body));
  return Buffer.concat([body, checksum]);
}

function refused(code: FailureCode, pattern = /^the index |^a number /): (error: unknown) => boolean {
  return (error) => Failure.is(error, code) && pattern.test(error.message);
}
