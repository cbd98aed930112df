import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { hash } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, it } from "node:test";
import { promisify } from "node:util";
import { systemClock } from "../../src/base/clock.ts";
import { chunkBytes } from "../../src/build/artifact.ts";
import { ChunkTable } from "../../src/memory/chunk-table.ts";
import { encodeFirstPages, pageBytes } from "../../src/memory/first-pages.ts";
import { MemoryServer } from "../../src/memory/memory-server.ts";
import { ChunkWorld } from "../../src/memory/testing/chunk-world.ts";

const never = new AbortController().signal;
const missing = 2;

/** A server of a file that lacks a chunk, of which the pages 1 and 3 are first ones. */
async function served({ damaged = false } = {}) {
  const stack = new AsyncDisposableStack();
  const world = stack.use(await ChunkWorld.make());
  const place = await mkdtemp(path.join(tmpdir(), "larder-first-pages-"));
  stack.defer(() => rm(place, { recursive: true }));
  const runs = [1, 3].map((page) => {
    const offset = missing * chunkBytes + page * pageBytes;
    return { offset, bytes: world.data.subarray(offset, offset + pageBytes) };
  });
  const image = path.join(place, "firstpages.data");
  await writeFile(image, encodeFirstPages(runs));
  const first = { path: image, table: await ChunkTable.ofFile(image) };
  if (damaged) await writeFile(image, "something else");
  const asked: number[] = [];
  const told: number[] = [];
  const server = await MemoryServer.start(
    {
      ...{ directory: path.join(place, "server"), build: "b", clock: systemClock },
      ...{ stalledMs: 10_000, withheldMsMax: 20_000, table: world.table, source: world.path },
      ...{ firstPages: first, tellsPages: true },
    },
    {
      read: async (chunk) => {
        asked.push(chunk);
        return world.chunk(chunk);
      },
      onPage: (page) => told.push(page),
      onNews: () => {},
      onTouch: () => {},
      onTrouble: (failure) => assert.fail(failure.message),
    },
    never,
  );
  stack.defer(() => server.end());
  /** Read by another process: this one must not wait for its own server. */
  const digestOf = async (page: number) => {
    const read = `dd if=${server.path} bs=${pageBytes} skip=${page} count=1 status=none | sha256sum`;
    const { stdout } = await promisify(execFile)("sh", ["-c", read]);
    return stdout.slice(0, 64);
  };
  const expected = (page: number) =>
    hash("sha256", world.data.subarray(page * pageBytes, (page + 1) * pageBytes));
  return { asked, told, digestOf, expected, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

const pageOf = (page: number) => (missing * chunkBytes) / pageBytes + page;

describe("a memory that is served page by page", () => {
  it("has its first pages before anybody asks, and the others when they are asked for", async () => {
    await using world = await served();
    for (const page of [pageOf(1), pageOf(3)]) assert.equal(await world.digestOf(page), world.expected(page));
    assert.deepEqual([world.told, world.asked], [[], []]);
    const other = pageOf(5);
    assert.equal(await world.digestOf(other), world.expected(other));
    assert.deepEqual([world.told[0], world.asked], [other, [missing]]);
  });

  it("C29: believes no first pages that are not as they should be", async () => {
    await using world = await served({ damaged: true });
    assert.equal(await world.digestOf(pageOf(1)), world.expected(pageOf(1)));
    assert.deepEqual(world.asked, [missing]);
  });
});
