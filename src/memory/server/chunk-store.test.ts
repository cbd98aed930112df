import assert from "node:assert/strict";
import { rm, writeFile } from "node:fs/promises";
import { describe, it } from "node:test";
import { eventually } from "../../base/testing/virtual-clock.ts";
import { ChunkTable } from "../chunk-table.ts";
import { ChunkWorld } from "../testing/chunk-world.ts";
import { ChunkStore } from "./chunk-store.ts";

describe("ChunkStore", () => {
  it("C29: reads what the shelf has, and asks once for a hole where data should be", async () => {
    await using world = await ChunkWorld.make();
    const asked: number[] = [];
    const { path, table } = world;
    const store = new ChunkStore({ table, path, chunksMax: 8, ask: (chunk) => asked.push(chunk) });
    assert.deepEqual(Buffer.from(await store.bytes(0)), world.chunk(0));
    assert.deepEqual(Buffer.from(await store.bytes(1)), world.chunk(1), "zeros are stored nowhere");
    const waiting = [store.bytes(2), store.bytes(2)];
    await eventually(() => asked.length > 0);
    assert.deepEqual([asked, store.missing], [[2], [2]]);
    assert.equal(store.give(2, world.chunk(2)), true);
    for (const each of await Promise.all(waiting)) assert.deepEqual(Buffer.from(each), world.chunk(2));
    assert.deepEqual(store.missing, []);
  });

  it("C29: believes neither a shelf nor a daemon that has something else", async () => {
    await using world = await ChunkWorld.make();
    const bad = Buffer.from(world.data);
    bad[5] = (bad[5] ?? 0) ^ 1;
    await writeFile(world.path, bad);
    const asked: number[] = [];
    const { path, table } = world;
    const store = new ChunkStore({ table, path, chunksMax: 8, ask: (chunk) => asked.push(chunk) });
    const waiting = store.bytes(0);
    await eventually(() => asked.length > 0);
    assert.equal(store.give(0, world.chunk(2)), false);
    assert.equal(store.give(0, world.chunk(0).subarray(1)), false);
    assert.equal(store.give(99, world.chunk(0)), false);
    assert.equal(store.give(0, world.chunk(0)), true);
    assert.deepEqual(Buffer.from(await waiting), world.chunk(0));
  });

  it("keeps few chunks in memory, and those that were used last", async () => {
    await using world = await ChunkWorld.make();
    const { path, table } = world;
    const store = new ChunkStore({ table, path, chunksMax: 2, ask: () => {} });
    store.give(0, world.chunk(0));
    store.give(2, world.chunk(2));
    store.now(0);
    store.give(3, world.chunk(3));
    assert.deepEqual(
      [0, 2, 3].map((chunk) => store.now(chunk) !== undefined),
      [true, false, true],
    );
    await rm(path);
    assert.deepEqual(Buffer.from(await store.bytes(1)), world.chunk(1));
  });

  it("gets to know a table in the form in which it is handed over", async () => {
    await using world = await ChunkWorld.make();
    const table = ChunkTable.decode(world.table.encode());
    assert.deepEqual([table.chunkCount, table.isZero(1), table.isZero(2)], [4, true, false]);
    assert.throws(() => ChunkTable.decode({ fileBytes: 5_000_000, digests: "" }), RangeError);
  });
});
