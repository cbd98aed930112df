import assert from "node:assert/strict";
import { readSync } from "node:fs";
import { describe, it } from "node:test";
import type { OtherReaders, SharedImage } from "../base/shared-image.ts";
import { settled } from "../base/testing/virtual-clock.ts";
import { IndexBook } from "../build/index-book.ts";
import { publishRandomChild } from "../build/testing/published-build.ts";
import { openIndex } from "../build/testing/read-device.ts";
import { CacheWorld, never } from "./testing/cache-world.ts";

const nobody: OtherReaders = { passed: async () => {} };

/** What another thread sees: all of the device, and which of its bytes it may believe. */
function seenIn({ bytes, runs, files }: SharedImage): { data: Buffer; present: boolean[] } {
  const data = Buffer.alloc(bytes);
  const present: boolean[] = [];
  for (const [run, number] of runs.files.entries()) {
    const start = runs.offsets[run] ?? assert.fail();
    const end = runs.offsets[run + 1] ?? assert.fail();
    for (let at = start; at < end; at += 4096) {
      const file = files[number];
      const position = (runs.positions[run] ?? 0) + at - start;
      const chunk = Math.floor(position / (file?.chunkBytes ?? 1));
      const isSet = (words: Int32Array | undefined) =>
        (((words?.[chunk >> 5] ?? 0) >>> (chunk & 31)) & 1) === 1;
      present.push(file === undefined || isSet(file.present) || isSet(file.zero));
      if (file !== undefined) readSync(file.descriptor, data, at, Math.min(4096, end - at), position);
    }
  }
  return { data, present };
}

describe("lending an image", () => {
  it("C13: lays open what is present, as it comes, of the build and of those below it", () =>
    CacheWorld.run(async (world) => {
      const parent = await world.publish();
      const index = await openIndex(world.bucket, new IndexBook(), parent.build, "rootfs");
      const { build, rootfs } = await publishRandomChild(world.bucket, world.random, parent, index);
      await using cache = await world.open();
      await using lease = await cache.acquire(build, "A", never);
      await lease.open("rootfs", never);
      const device = lease.image("rootfs");
      using lent = device.lend(nobody);
      const blockOf = (bytes: Buffer, block: number) => bytes.subarray(block * 4096, (block + 1) * 4096);
      for (let offset = 0; offset < device.bytes; offset += 300_000) {
        const { data, present } = seenIn(lent.image);
        for (const [block, there] of present.entries()) {
          if (there) assert.ok(blockOf(data, block).equals(blockOf(rootfs, block)), `block ${block}`);
          assert.equal(there, device.readNow(block * 4096, Buffer.alloc(1)), `block ${block}`);
        }
        await device.read(offset, Buffer.alloc(Math.min(300_000, device.bytes - offset)), never);
      }
      const { data, present } = seenIn(lent.image);
      assert.ok(data.equals(rootfs) && present.every(Boolean));
    }));

  it("C15: keeps the lease from ending until the image was given back", () =>
    CacheWorld.run(async (world) => {
      const { build } = await world.publish();
      await using cache = await world.open();
      const lease = await cache.acquire(build, "A", never);
      await lease.open("rootfs", never);
      const lent = lease.image("rootfs").lend(nobody);
      const ending = lease[Symbol.asyncDispose]();
      await settled();
      assert.equal(cache.inspect().leases.length, 1);
      assert.equal(await cache.evict(build), false);
      lent[Symbol.dispose]();
      lent[Symbol.dispose]();
      await ending;
      assert.equal(cache.inspect().leases.length, 0);
      assert.throws(() => lease.image("rootfs"));
    }));
});
