import assert from "node:assert/strict";
import { chmod, open, readFile } from "node:fs/promises";
import { describe, it } from "node:test";
import { Failure } from "../base/failure.ts";
import { eventually } from "../base/testing/virtual-clock.ts";
import { chunkBytes } from "../build/artifact.ts";
import { isZero } from "../build/is-zero.ts";
import { CacheWorld, never } from "./testing/cache-world.ts";

describe("the room of a memfile", () => {
  it("C18: is reserved as a whole before it is fetched: of two that do not both fit, one is served", () =>
    CacheWorld.run(async (world) => {
      const large = { chunks: 1, memoryChunks: 100 }; // more than are asked for at once
      const [one, two] = [await world.publish(large), await world.publish(large)];
      const needed = chunksThatAreNotZero(one.memfile) * chunkBytes;
      await using cache = await world.open({ bytesMax: needed + 4 * chunkBytes });
      await using first = await cache.acquire(one.build, "A", never);
      await using second = await cache.acquire(two.build, "B", never);
      const gate = Promise.withResolvers<void>();
      world.plan = (_, [key]) =>
        String(key).endsWith("memfile.pack") ? { kind: "stall", until: gate.promise } : undefined;
      const memfile = first.memfile(never);
      await eventually(() => cache.inspect().bytes.reserved > needed - chunkBytes);
      const waiting = second.memfile(never);
      waiting.catch(() => {});
      await eventually(() => cache.inspect().flights >= 2);
      gate.resolve();
      assert.ok((await readFile(await memfile)).equals(one.memfile ?? Buffer.alloc(0)));
      assert.equal(world.asked(`${two.build}/memfile.pack`), 0, "the other one waits with empty hands");
      assert.equal(cache.inspect().bytes.reserved, 0);
      await first[Symbol.asyncDispose]();
      assert.ok((await readFile(await waiting)).equals(two.memfile ?? Buffer.alloc(0)), "then it has room");
    }));

  it("C18: counts manifests and indexes too, and is what the disk holds", () =>
    CacheWorld.run(async (world) => {
      const { build, manifest } = await world.publish();
      await using cache = await world.open();
      const lease = await cache.acquire(build, "A", never);
      const manifestBytes = cache.inspect().bytes.kept;
      assert.ok(manifestBytes > 500, "the manifest");
      await lease.open("rootfs", never);
      assert.equal(cache.inspect().bytes.kept, manifestBytes + (manifest.rootfs?.index.bytes ?? 0));
      await lease[Symbol.asyncDispose]();
      await cache.evict(build);
      assert.equal(cache.inspect().bytes.kept, 0);
    }));

  it("C28: that is retired while it is mapped counts until the last mapper has ended, and all of them are told", () =>
    CacheWorld.run(async (world) => {
      const { build, memfile = Buffer.alloc(0) } = await world.publish({ chunks: 6 });
      await using cache = await world.open();
      await using one = await cache.acquire(build, "A", never);
      await using two = await cache.acquire(build, "B", never);
      const mappers = [one, two];
      await one.openAll(never);
      const [path = ""] = await Promise.all(mappers.map((lease) => lease.memfile(never)));
      await using mapped = await open(path, "r");
      await chmod(path, 0o600);
      await using writable = await open(path, "r+");
      const at = memfile.findIndex((byte) => byte !== 0);
      await writable.write(Buffer.from([(memfile[at] ?? 0) ^ 1]), 0, 1, at);
      const before = cache.inspect().bytes.kept;
      const { damaged } = await cache.operator.verify(build, never);
      assert.equal(damaged, 1);
      for (const lease of mappers)
        assert.ok(Failure.is(lease.memfileRetired.reason, "corrupt"), "it is told");
      assert.equal(cache.inspect().bytes.kept, before, "the old inode still takes up room");
      assert.equal(world.meter.get("larder_cache_retirements_total"), 1);
      await using newcomer = await cache.acquire(build, "C", never);
      const again = await newcomer.memfile(never);
      assert.ok((await readFile(again)).equals(memfile), "it was made anew");
      const own = Buffer.alloc(1);
      await mapped.read(own, 0, 1, at);
      assert.equal(own[0], (memfile[at] ?? 0) ^ 1, "who maps the old one keeps it as it was");
      const both = cache.inspect().bytes.kept;
      for (const lease of mappers) await lease[Symbol.asyncDispose]();
      assert.ok(cache.inspect().bytes.kept < both, "and frees its room with its end");
      assert.equal(cache.inspect().bytes.kept, cache.inspect().builds[0]?.bytes);
    }));
});

function chunksThatAreNotZero(bytes: Uint8Array = Buffer.alloc(0)): number {
  let count = 0;
  for (let at = 0; at < bytes.length; at += chunkBytes) {
    if (!isZero(bytes.subarray(at, at + chunkBytes))) count += 1;
  }
  return count;
}
