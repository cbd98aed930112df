import assert from "node:assert/strict";
import { hash, randomUUID } from "node:crypto";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, it } from "node:test";
import { Failure } from "../base/failure.ts";
import { assertNothingLeft, takeCensus } from "../base/testing/census.ts";
import { eventually } from "../base/testing/virtual-clock.ts";
import { chunkBytes } from "../build/artifact.ts";
import { ArtifactIndex } from "../build/artifact-index.ts";
import { ChunkFile, type ChunkFileOptions } from "./chunk-file.ts";
import { realDisk } from "./disk.ts";
import type { JournalRecord } from "./journal-record.ts";
import { FaultyDisk } from "./testing/faulty-disk.ts";

const never = new AbortController().signal;
const bytes = Buffer.alloc(chunkBytes, 7);

/** A memfile of four chunks in a directory of its own, and a journal that only remembers what it was told. */
async function withChunkFile(
  test: (world: {
    openFile: (options?: Partial<ChunkFileOptions>) => Promise<ChunkFile>;
    disk: FaultyDisk;
    records: string[];
    lost: number[];
    path: string;
  }) => Promise<void>,
): Promise<void> {
  const census = takeCensus();
  const directory = await mkdtemp(path.join(tmpdir(), "larder-chunks-"));
  const records: string[] = [];
  const lost: number[] = [];
  const journal = { append: async (record: object) => void records.push(JSON.stringify(record)) };
  const disk = new FaultyDisk(realDisk);
  const troubles: Failure[] = [];
  const defaults = {
    disk,
    path: path.join(directory, "memfile.data"),
    index: indexOfChunks(4),
    journal,
    kept: [],
    suspect: false,
    sealed: false,
    onFreed: (count: number) => void lost.push(count),
    onRetired: (count: number) => void lost.push(count),
    onTrouble: (failure: Failure) => void troubles.push(failure),
  };
  const openFile = (options: Partial<ChunkFileOptions> = {}) =>
    ChunkFile.open({ ...defaults, ...options }, never);
  try {
    await test({ openFile, disk, records, lost, path: defaults.path });
  } finally {
    await rm(directory, { recursive: true });
  }
  await assertNothingLeft(census);
}

function indexOfChunks(count: number): ArtifactIndex {
  const build = randomUUID();
  const storageBytes = count * chunkBytes;
  const chunk = { digest: hash("sha256", bytes, "buffer"), packedBytes: 100, codec: "zstd" as const };
  return new ArtifactIndex({
    build,
    artifact: "memfile",
    deviceBytes: storageBytes,
    storageBytes,
    runs: [{ offset: 0, length: storageBytes, build, storageOffset: 0 }],
    chunks: Array.from({ length: count }, () => chunk),
  });
}

/** Makes the next sync of any file fail, as a dying disk would. */
function breakNextSync(disk: FaultyDisk): void {
  disk.plan = ({ operation }) => {
    if (operation !== "sync") return undefined;
    disk.plan = () => undefined;
    return "EIO";
  };
}

describe("ChunkFile", () => {
  it("C4: sets no bit for a flight that died while its chunk was being written, and frees the space", () =>
    withChunkFile(async ({ openFile, path }) => {
      const file = await openFile();
      const dying = new AbortController();
      const writing = file.write(1, bytes, dying.signal);
      // Some turns on, the write has been handed to the disk; it cannot have come back.
      for (let turn = 0; turn < 4; turn++) await Promise.resolve();
      dying.abort(new Failure("cancelled", "nobody waits any more"));
      await assert.rejects(writing, (error) => Failure.is(error, "cancelled"));
      assert.equal(file.isAtHand(1), false);
      assert.equal((await stat(path)).blocks, 0);
      await file.close();
    }));

  it("C12: takes back what the disk had accepted and then refused to sync; nobody reads it, no record names it", () =>
    withChunkFile(async ({ openFile, disk, records, lost }) => {
      const file = await openFile();
      breakNextSync(disk);
      await file.write(1, bytes, never);
      await assert.rejects(file.durable(), (error) => Failure.is(error, "unavailable"));
      assert.equal(file.isAtHand(1), false);
      assert.deepEqual(lost, [chunkBytes]);
      await file.write(1, bytes, never);
      await file.durable();
      const kept = records.filter((record) => record.includes('"chunks"'));
      assert.equal(kept.length, 1, "the second attempt is kept");
      await file.close();
    }));

  it("C22: stays doubtful when a chunk is given up just when the journal is told of it, and then refuses", () =>
    withChunkFile(async ({ openFile }) => {
      const told = Promise.withResolvers<void>();
      const types: string[] = [];
      const append = async ({ type }: JournalRecord) => {
        types.push(type);
        await told.promise;
        if (type === "dropped") throw new Failure("exhausted", "no room for the journal");
      };
      const file = await openFile({ journal: { append } });
      await file.write(0, bytes, never);
      await eventually(() => types.includes("chunks"));
      const given = file.distrust(0);
      told.resolve();
      await assert.rejects(given, { code: "exhausted" });
      await file.durable();
      assert.ok(!file.present.has(0));
      assert.ok(file.isDoubtful, "the journal says that it is kept: whoever opens it next has to look");
      await file.close();
    }));

  it("C21: is never said to keep what was given up while the journal refused to be told of it", () =>
    withChunkFile(async ({ openFile }) => {
      const told: string[] = [];
      const refused = Promise.withResolvers<void>();
      let isFirst = true;
      const append = async (record: JournalRecord) => {
        if (isFirst) {
          isFirst = false;
          await refused.promise;
          throw new Failure("unavailable", "a planned fault");
        }
        told.push(record.type);
      };
      const file = await openFile({ journal: { append } });
      await file.write(1, bytes, never);
      const durable = file.durable();
      durable.catch(() => {});
      await eventually(() => !isFirst);
      await file.distrust(1);
      refused.resolve();
      await assert.rejects(durable);
      await file.durable();
      assert.deepEqual(told, ["dropped"], "not a word of its being kept");
      await file.close();
    }));

  it("C28: is never sealed while a chunk of it is not kept", () =>
    withChunkFile(async ({ openFile, disk, records }) => {
      const file = await openFile();
      breakNextSync(disk);
      await file.write(1, bytes, never);
      await assert.rejects(file.seal(never));
      assert.equal(file.sealed, false);
      assert.deepEqual(
        records.filter((record) => record.includes("sealed")),
        [],
      );
      await file.close();
    }));

  it("C28: is not sealed when a chunk turns out to be bad meanwhile, and never said to be", () =>
    withChunkFile(async ({ openFile, disk, records }) => {
      const file = await openFile();
      for (let chunk = 0; chunk < 4; chunk++) await file.write(chunk, bytes, never);
      const held = Promise.withResolvers<void>();
      let isHeld = false;
      disk.plan = ({ operation }) => {
        if (operation !== "protect") return undefined;
        isHeld = true;
        return { until: held.promise };
      };
      const sealed = file.seal(never);
      await eventually(() => isHeld);
      const given = file.distrust(1);
      held.resolve();
      assert.equal(await sealed, false);
      await given;
      assert.equal(file.sealed, false);
      assert.equal(
        records.some((record) => record.includes("sealed")),
        false,
      );
      for (let chunk = 0; chunk < 4; chunk++) {
        assert.equal(file.isAtHand(chunk), false, "all of it comes anew");
        await file.write(chunk, bytes, never);
      }
      assert.equal(await file.seal(never), true);
      await file.close();
    }));

  it("C28: is not taken for sealed when a chunk of it is not kept, whatever was said", () =>
    withChunkFile(async ({ openFile }) => {
      const file = await openFile();
      for (let chunk = 0; chunk < 4; chunk++) await file.write(chunk, bytes, never);
      await file.seal(never);
      await file.close();
      const again = await openFile({ kept: [0, 1, 3], sealed: true });
      assert.equal(again.sealed, false);
      await again.write(2, bytes, never);
      assert.equal(again.isAtHand(0), false, "what others may have mapped is not written");
      await again.close();
    }));

  it("C28: never makes a sealed file writable again, not for a moment, also after an unclean stop", () =>
    withChunkFile(async ({ openFile, path }) => {
      const first = await openFile();
      for (let chunk = 0; chunk < 4; chunk++) await first.write(chunk, bytes, never);
      await first.seal(never);
      await first.close();
      const { ino, ctimeMs } = await stat(path);
      const kept = [0, 1, 2, 3];
      const again = await openFile({ kept, sealed: true, suspect: true });
      assert.equal(again.sealed, false, "not before it has been verified");
      const now = await stat(path);
      assert.deepEqual([now.mode & 0o777, now.ino, now.ctimeMs], [0o444, ino, ctimeMs]);
      await again.close();
    }));
});
