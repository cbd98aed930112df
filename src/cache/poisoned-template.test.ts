import assert from "node:assert/strict";
import { createReadStream } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import path from "node:path";
import { describe, it } from "node:test";
import { Failure } from "../base/failure.ts";
import { settled } from "../base/testing/virtual-clock.ts";
import { CacheWorld, never } from "./testing/cache-world.ts";

describe("a template whose first fetch fails in one of its parts", () => {
  it("C2, C3, C10: poisons nothing, takes no file from its readers, and is whole for the next one who comes", () =>
    CacheWorld.run(async (world) => {
      const { build, rootfs, snapfile } = await world.publish();
      await using cache = await world.open();

      // A and a reader that serves a peer hold the build.
      const a = await cache.acquire(build, "A", never);
      const reader = await cache.acquire(build, "peer", never);

      // Its rootfs cannot be opened, but its snapfile can; the late failure is still on its way.
      const late = Promise.withResolvers<void>();
      world.plan = (_, [key]) =>
        String(key).endsWith("rootfs.index") ? { kind: "stall", until: late.promise } : undefined;
      const opening = a.openAll(never);
      opening.catch(() => {});
      const snapPath = await reader.file("snapfile", never);
      const stream = createReadStream(snapPath, { highWaterMark: 512 });
      const pieces: Buffer[] = [];
      const pieceOf = stream[Symbol.asyncIterator]();
      pieces.push((await pieceOf.next()).value as Buffer);

      // A learns the error, once, while the reader is in the middle of the file.
      const indexKey = `builds/${build}/rootfs.index`;
      const index = Buffer.concat(await Array.fromAsync(world.bucket.read(indexKey, undefined, never)));
      await world.bucket.delete(indexKey, never);
      late.resolve();
      await assert.rejects(opening, (error) => Failure.is(error, "not_found"));
      assert.equal(world.logged.length, 1);
      await a[Symbol.asyncDispose]();

      // A newcomer waits out the back-off, fetches again and succeeds.
      world.plan = () => undefined;
      await world.bucket.put(indexKey, index, {}, never);
      const newcomer = await cache.acquire(build, "newcomer", never);
      const again = newcomer.openAll(never);
      await settled();
      await world.clock.advance(200);
      await again;
      const block = Buffer.alloc(4096);
      await newcomer.image("rootfs").read(0, block, never);
      assert.ok(block.equals(rootfs.subarray(0, 4096)));

      // The late failure has changed nothing of it, and the reader reads to the end.
      for (let step = await pieceOf.next(); step.done !== true; step = await pieceOf.next()) {
        pieces.push(step.value as Buffer);
      }
      assert.ok(Buffer.concat(pieces).equals(snapfile ?? Buffer.alloc(0)));
      assert.ok((await readFile(snapPath)).equals(snapfile ?? Buffer.alloc(0)));
      assert.equal(world.logged.length, 1, "the failure was told once");

      // When all is released and evicted nothing is left on the disk.
      await newcomer[Symbol.asyncDispose]();
      assert.equal(await cache.evict(build), false, "the reader still holds it");
      await reader[Symbol.asyncDispose]();
      assert.equal(await cache.evict(build), true);
      assert.deepEqual(await readdir(path.join(world.directory, "builds")), []);
      assert.deepEqual(await readdir(path.join(world.directory, "blobs")), []);
      assert.equal(cache.inspect().bytes.kept, 0);
    }));
});
