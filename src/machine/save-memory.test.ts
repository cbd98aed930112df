import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import type { MemoryRange } from "./dirty-pages.ts";
import { saveMemory } from "./save-memory.ts";

const page = 4096;
const memoryBytes = 1024 * page;
const never = new AbortController().signal;

/** Memory over a file of ones in some of its pages, of which some pages were written since. */
class FakeMemory {
  readonly bytes = Buffer.alloc(memoryBytes);
  readonly #dirty: MemoryRange[] = [];
  readonly #file: MemoryRange[];

  constructor(file: MemoryRange[]) {
    this.#file = file;
    for (const { offset, length } of file) this.bytes.fill(1, offset, offset + length);
  }

  write(first: number, count: number, byte: number): void {
    this.bytes.fill(byte, first * page, (first + count) * page);
    this.#dirty.push({ offset: first * page, length: count * page });
  }

  async dirtyRanges(): Promise<MemoryRange[]> {
    return this.#dirty;
  }

  async fileRanges(): Promise<MemoryRange[]> {
    return this.#file;
  }

  readNow(offset: number, into: Uint8Array): void {
    into.set(this.bytes.subarray(offset, offset + into.length));
  }
}

describe("saveMemory", () => {
  let directory = "";
  let memory: FakeMemory;
  beforeEach(async () => {
    directory = await mkdtemp(path.join(tmpdir(), "larder-memory-"));
    memory = new FakeMemory([{ offset: 0, length: 100 * page }]);
  });
  afterEach(() => rm(directory, { recursive: true }));

  function save(layered = true, lazy = false) {
    const target = path.join(directory, "memfile.data");
    return saveMemory({ memory, memoryBytes, layered, lazy, target }, never);
  }

  it("keeps only what was written, however much, when the file below is not to be touched", async () => {
    memory.fileRanges = () => assert.fail("it was touched");
    memory.write(0, 1000, 7);
    const { changes } = await save(true, true);
    assert.deepEqual(changes, [{ offset: 0, length: 1000 * page, zero: false }]);
  });

  it("keeps only what was written, one after the other, and names pages of zeros without storing them", async () => {
    memory.write(2, 1, 7);
    memory.write(10, 3, 0);
    memory.write(13, 200, 8);
    const { changes, dirtyBytes } = await save();
    assert.deepEqual(changes, [
      { offset: 2 * page, length: page, zero: false },
      { offset: 10 * page, length: 3 * page, zero: true },
      { offset: 13 * page, length: 200 * page, zero: false },
    ]);
    assert.equal(dirtyBytes, 204 * page);
    const stored = await readFile(path.join(directory, "memfile.data"));
    assert.ok(stored.equals(Buffer.concat([Buffer.alloc(page, 7), Buffer.alloc(200 * page, 8)])));
  });

  it("saves the whole memory when more than a quarter was written, or when nothing lies below it", async () => {
    memory.write(500, 257, 9);
    assert.equal((await save()).changes, undefined);
    assert.ok((await readFile(path.join(directory, "memfile.data"))).equals(memory.bytes));
    await rm(path.join(directory, "memfile.data"));
    memory = new FakeMemory([{ offset: 5 * page, length: page }]);
    assert.equal((await save(false)).changes, undefined);
    assert.ok((await readFile(path.join(directory, "memfile.data"))).equals(memory.bytes));
  });
});
