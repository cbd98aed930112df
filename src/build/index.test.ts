import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { describe, it } from "node:test";
import fc from "fast-check";
import { Failure } from "../base/failure.ts";
import { SeededRandom } from "../base/testing/seeded-random.ts";
import { blockBytes, chunkBytes } from "./artifact.ts";
import { ArtifactIndex, type StoredChunk } from "./artifact-index.ts";
import { decodeLayout } from "./index-codec.ts";
import { type Change, mergeIndex } from "./merge-index.ts";

const deviceBlocks = 300;

describe("ArtifactIndex", () => {
  it("reads any chain of random children as the model says", () => {
    fc.assert(
      fc.property(fc.integer(), fc.integer({ min: 1, max: 6 }), (seed, generations) => {
        const random = new SeededRandom(seed);
        let { index, model } = baseOf(random);
        for (let i = 0; i < generations; i++) ({ index, model } = childOf(index, model, random));
        const again = ArtifactIndex.decode(index.encode(), index);
        assert.deepEqual(again.layout, index.layout);
        for (let i = 0; i < 20; i++) {
          const offset = random.below(deviceBlocks * blockBytes);
          const length = random.below(deviceBlocks * blockBytes - offset);
          compare(again, model, offset, length);
        }
      }),
      { numRuns: 60 },
    );
  });

  it("refuses every truncated and every flipped byte with a sentence", () => {
    const random = new SeededRandom(7);
    const base = baseOf(random);
    const encoded = childOf(base.index, base.model, random).index.encode();
    for (let at = 0; at < encoded.length; at++) {
      assert.throws(() => decodeLayout(encoded.subarray(0, at)), refused, `cut at ${at}`);
      const flipped = Buffer.from(encoded);
      flipped[at] = (flipped[at] ?? 0) ^ (1 << random.below(8));
      assert.throws(() => decodeLayout(flipped), refused, `flipped at ${at}`);
    }
  });

  it("refuses random bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        assert.throws(() => decodeLayout(bytes), refused);
        assert.throws(() => decodeLayout(Buffer.concat([Buffer.from("LARDERIX\x01\x00"), bytes])), refused);
      }),
    );
  });

  it("refuses a newer version by its number, and another artifact's index", () => {
    const { index } = baseOf(new SeededRandom(1));
    const newer = index.encode();
    newer[8] = 9;
    assert.throws(
      () => decodeLayout(newer),
      (error) => Failure.is(error, "invalid") && error.message.includes("version 9"),
    );
    assert.throws(
      () => ArtifactIndex.decode(index.encode(), { build: randomUUID(), artifact: "rootfs" }),
      refused,
    );
    assert.throws(
      () => ArtifactIndex.decode(index.encode(), { build: index.build, artifact: "memfile" }),
      refused,
    );
  });
});

/** For each block of the device: who stores it, and which of their blocks it is; null for zeros. */
type Model = ({ build: string; block: number } | null)[];

function baseOf(random: SeededRandom): { index: ArtifactIndex; model: Model } {
  const build = randomUUID();
  const deviceBytes = deviceBlocks * blockBytes;
  const chunks = chunksOf(random, deviceBytes);
  const model: Model = Array.from({ length: deviceBlocks }, (_, block) => ({ build, block }));
  const runs = [{ offset: 0, length: deviceBytes, build, storageOffset: 0 }];
  const layout = { build, artifact: "rootfs", deviceBytes, storageBytes: deviceBytes, runs, chunks } as const;
  return { index: new ArtifactIndex(layout), model };
}

function childOf(parent: ArtifactIndex, before: Model, random: SeededRandom) {
  const build = randomUUID();
  const model = [...before];
  const changes: Change[] = [];
  let stored = 0;
  for (let at = random.below(20); at < deviceBlocks; at += 1 + random.below(40)) {
    const blocks = Math.min(1 + random.below(30), deviceBlocks - at);
    const zero = random.below(3) === 0;
    changes.push({ offset: at * blockBytes, length: blocks * blockBytes, zero });
    for (let i = 0; i < blocks; i++) model[at + i] = zero ? null : { build, block: stored++ };
    at += blocks;
  }
  const merged = mergeIndex(parent, build, changes);
  assert.equal(merged.storageBytes, stored * blockBytes);
  const chunks = chunksOf(random, merged.storageBytes);
  const { deviceBytes } = parent;
  return { index: new ArtifactIndex({ build, artifact: "rootfs", deviceBytes, ...merged, chunks }), model };
}

function chunksOf(random: SeededRandom, storageBytes: number): StoredChunk[] {
  return Array.from({ length: Math.ceil(storageBytes / chunkBytes) }, () =>
    random.below(4) === 0
      ? null
      : { digest: random.bytes(32), packedBytes: 1 + random.below(chunkBytes), codec: "zstd" as const },
  );
}

function compare(index: ArtifactIndex, model: Model, offset: number, length: number): void {
  let at = offset;
  for (const piece of index.locate(offset, length)) {
    assert.equal(piece.offset, at);
    for (const byte of [piece.offset, piece.offset + piece.length - 1]) {
      const expected = model[Math.floor(byte / blockBytes)] ?? null;
      assert.equal(piece.build, expected?.build ?? null);
      if (expected === null) continue;
      const stored = piece.storageOffset + (byte - piece.offset);
      assert.equal(stored, expected.block * blockBytes + (byte % blockBytes));
    }
    at += piece.length;
  }
  assert.equal(at, offset + length);
}

function refused(error: unknown): boolean {
  return (
    error instanceof Failure &&
    (error.code === "corrupt" || error.code === "invalid") &&
    error.message.length > 10
  );
}
