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

  it("is refused when it says more than it must, although the checksum fits", () => {
    const numbers = encoded.subarray(18, 18 + encoded.readUInt32BE(10));
    const names = encoded.subarray(18 + numbers.length, -4);
    assert.deepEqual(envelope(numbers, names), encoded);
    const [first, second, rest] = [names.subarray(0, 16), names.subarray(16, 32), names.subarray(32)];
    const wrong: [string, Uint8Array, Uint8Array][] = [
      ["a number too many", Buffer.concat([numbers, Buffer.of(0)]), names],
      [
        "a number that is longer than it need be",
        Buffer.concat([numbers.subarray(0, -1), long(numbers)]),
        names,
      ],
      ["a digest too many", numbers, Buffer.concat([names, names.subarray(-32)])],
      ["a digest too few", numbers, names.subarray(0, -32)],
      ["one build twice", numbers, Buffer.concat([first, first, rest])],
      [
        "a build that is not named",
        oneBuildMore(numbers),
        Buffer.concat([first, second, first.toReversed(), rest]),
      ],
    ];
    for (const [lie, ...parts] of wrong)
      assert.throws(() => decodeLayout(envelope(...parts)), refused("corrupt"), lie);
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

/** The last number, below 128, with a group of zeros behind it. */
function long(numbers: Uint8Array): Buffer {
  return Buffer.of((numbers.at(-1) ?? 0) | 0x80, 0);
}

/** The numbers with the count of builds, the third one, raised by one. */
function oneBuildMore(numbers: Uint8Array): Buffer {
  const raised = Buffer.from(numbers);
  let at = 0;
  for (let passed = 0; passed < 2; at++) if ((raised[at] ?? 0) < 0x80) passed += 1;
  raised[at] = (raised[at] ?? 0) + 1;
  return raised;
}

function refused(code: FailureCode, pattern = /^the index |^a number /): (error: unknown) => boolean {
  return (error) => Failure.is(error, code) && pattern.test(error.message);
}
