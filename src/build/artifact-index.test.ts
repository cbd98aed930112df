import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { Failure } from "../base/failure.ts";
import { SeededRandom } from "../base/testing/seeded-random.ts";
import { blockBytes } from "./artifact.ts";
import { ArtifactIndex } from "./artifact-index.ts";
import { type ModelledIndex, randomBase, randomChild } from "./testing/random-index.ts";

const deviceBlocks = 300;

describe("ArtifactIndex", () => {
  it("reads any chain of random children as the model says", () => {
    fc.assert(
      fc.property(fc.integer(), fc.integer({ min: 1, max: 6 }), (seed, generations) => {
        const random = new SeededRandom(seed);
        let modelled: ModelledIndex = randomBase(random, deviceBlocks);
        for (let i = 0; i < generations; i++) modelled = randomChild(modelled, random);
        const { index, model } = modelled;
        const again = ArtifactIndex.decode(index.encode(), index);
        assert.deepEqual(again.layout, index.layout);
        compare({ index: again, model }, 0, index.deviceBytes);
        for (let i = 0; i < 20; i++) {
          const offset = random.below(deviceBlocks * blockBytes);
          compare({ index: again, model }, offset, random.below(index.deviceBytes - offset));
        }
      }),
      { numRuns: 60 },
    );
  });

  it("stores each changed block once, densely, in the order of the device", () => {
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        const random = new SeededRandom(seed);
        const { index } = randomChild(randomBase(random, deviceBlocks), random);
        const own = index.layout.runs.filter((run) => run.build === index.build);
        let stored = 0;
        for (const run of own) {
          assert.equal(run.storageOffset, stored);
          stored += run.length;
        }
        assert.equal(stored, index.storageBytes);
      }),
      { numRuns: 30 },
    );
  });

  it("puts the frames of its pack one after the other", () => {
    const { index } = randomBase(new SeededRandom(5), 2000);
    let at = 0;
    for (let i = 0; i < index.chunkCount; i++) {
      const place = index.chunk(i);
      if (place.zero) continue;
      assert.equal(place.packOffset, at);
      at += place.packedBytes;
    }
    assert.equal(index.packBytes, at);
  });

  it("is refused when it belongs to another build or artifact, or tells other sizes than the manifest", () => {
    const { index } = randomBase(new SeededRandom(1), deviceBlocks);
    const bytes = index.encode();
    const { build, artifact, deviceBytes, storageBytes, packBytes } = index;
    const image = { bytes: deviceBytes, storageBytes, packBytes, index: { bytes: 1, digest: "" } };
    assert.deepEqual(ArtifactIndex.decode(bytes, { build, artifact, image }).layout, index.layout);
    const wrong = [
      { build: randomBase(new SeededRandom(2), 1).index.build, artifact },
      { build, artifact: "memfile" as const },
      { build, artifact, image: { ...image, bytes: deviceBytes + blockBytes } },
      { build, artifact, image: { ...image, storageBytes: storageBytes - blockBytes } },
      { build, artifact, image: { ...image, packBytes: packBytes + 1 } },
    ];
    for (const expected of wrong) {
      assert.throws(
        () => ArtifactIndex.decode(bytes, expected),
        (error) => Failure.is(error, "corrupt") && error.message.includes(expected.build),
      );
    }
  });
});

function compare({ index, model }: ModelledIndex, offset: number, length: number): void {
  let at = offset;
  for (const piece of index.locate(offset, length)) {
    assert.equal(piece.offset, at);
    assert.ok(piece.length > 0);
    for (let byte = at; byte < at + piece.length; byte += blockBytes - (byte % blockBytes)) {
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
