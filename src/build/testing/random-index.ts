import assert from "node:assert/strict";
import type { SeededRandom } from "../../base/testing/seeded-random.ts";
import { blockBytes, chunkBytes } from "../artifact.ts";
import { ArtifactIndex, type StoredChunk } from "../artifact-index.ts";
import { type Change, mergeIndex } from "../merge-index.ts";
import { randomBuildId } from "./random-build-id.ts";

/** For each block of the device: who stores it, and which of their blocks it is; null for zeros. */
export type Model = readonly ({ readonly build: string; readonly block: number } | null)[];

export interface ModelledIndex {
  readonly index: ArtifactIndex;
  readonly model: Model;
}

/** The index of a base that stores all of its device, with what it must say. */
export function randomBase(random: SeededRandom, deviceBlocks: number): ModelledIndex {
  const build = randomBuildId(random);
  const deviceBytes = deviceBlocks * blockBytes;
  const chunks = randomChunks(random, deviceBytes);
  const runs = [{ offset: 0, length: deviceBytes, build, storageOffset: 0 }];
  const layout = { build, artifact: "rootfs", deviceBytes, storageBytes: deviceBytes, runs, chunks } as const;
  const model = Array.from({ length: deviceBlocks }, (_, block) => ({ build, block }));
  return { index: new ArtifactIndex(layout), model };
}

/** The index of a child that changed random ranges, a third of them to zeros, with what it must say. */
export function randomChild({ index: parent, model: before }: ModelledIndex, random: SeededRandom) {
  const build = randomBuildId(random);
  const model = [...before];
  const changes = randomChanges(random, model.length);
  let stored = 0;
  for (const { offset, length, zero } of changes) {
    for (let block = offset / blockBytes; block < (offset + length) / blockBytes; block++)
      model[block] = zero ? null : { build, block: stored++ };
  }
  const merged = mergeIndex(parent, build, changes);
  assert.equal(merged.storageBytes, stored * blockBytes);
  const chunks = randomChunks(random, merged.storageBytes);
  const { deviceBytes } = parent;
  const index = new ArtifactIndex({ build, artifact: "rootfs", deviceBytes, ...merged, chunks });
  return { index, model, changes };
}

/** Ranges of a device, in order and apart from each other; some of them touch. */
export function randomChanges(random: SeededRandom, deviceBlocks: number): Change[] {
  const changes: Change[] = [];
  for (let at = random.below(20); at < deviceBlocks; at += random.below(40)) {
    const blocks = Math.min(1 + random.below(30), deviceBlocks - at);
    changes.push({ offset: at * blockBytes, length: blocks * blockBytes, zero: random.below(3) === 0 });
    at += blocks;
  }
  return changes;
}

function randomChunks(random: SeededRandom, storageBytes: number): StoredChunk[] {
  return Array.from({ length: Math.ceil(storageBytes / chunkBytes) }, (_, i) => {
    const bytes = Math.min(chunkBytes, storageBytes - i * chunkBytes);
    const digest = random.bytes(32);
    if (random.below(4) === 0) return null;
    if (random.below(4) === 0) return { digest, packedBytes: bytes, codec: "raw" };
    return { digest, packedBytes: 1 + random.below(bytes - 1), codec: "zstd" };
  });
}
