import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { describe, it } from "node:test";
import { Failure } from "../base/failure.ts";
import { eventually, settled } from "../base/testing/virtual-clock.ts";
import type { Lease } from "./lease.ts";
import { CacheWorld, never } from "./testing/cache-world.ts";
import type { DiskFault, DiskStep } from "./testing/faulty-disk.ts";

/** Every step of this kind on such a file ends like this. */
function fails(operation: DiskStep["operation"], file: RegExp, fault: DiskFault = "EIO") {
  return (step: DiskStep) => (step.operation === operation && file.test(step.file) ? fault : undefined);
}

async function readAll(lease: Lease, bytes: number): Promise<Buffer> {
  const whole = Buffer.alloc(bytes);
  await lease.image("rootfs").read(0, whole, never);
  return whole;
}

/** Reads a whole disk while the shelf's disk does as `plan` says, and again when it is well: then it is kept. */
async function readUnder(plan: (step: DiskStep) => DiskFault): Promise<void> {
  await CacheWorld.run(async (world) => {
    const { build, rootfs } = await world.publish({ chunks: 3, memory: false });
    await using cache = await world.open();
    world.disk.plan = plan;
    await using lease = await cache.acquire(build, "A", never);
    await world.patiently(lease.open("rootfs", never));
    assert.ok((await readAll(lease, rootfs.length)).equals(rootfs), "served all the same");
    assert.ok(world.meter.sum("larder_cache_disk_errors_total") > 0, "and told");
    world.disk.plan = () => undefined;
    for (let i = 0; i < 2; i++) assert.ok((await readAll(lease, rootfs.length)).equals(rootfs));
    assert.equal(lease.image("rootfs").readNow(0, Buffer.alloc(rootfs.length)), true, "kept again");
  });
}

describe("a failing disk", () => {
  it("C18: that takes no chunk is passed by, and used again when it is well", () =>
    readUnder(fails("write", /rootfs\.data$/)));

  it("C18: that is full is passed by, and used again when it has room", () =>
    readUnder(({ operation }) => (operation === "write" ? "ENOSPC" : undefined)));

  it("C18: that does not sync is passed by, and used again when it is well", () =>
    readUnder(fails("sync", /rootfs\.data$/)));

  it("C18: that opens no file is passed by, and used again when it is well", () =>
    readUnder(fails("open", /rootfs\.data$/)));

  it("C18: that keeps no index is passed by", () => readUnder(fails("rename", /rootfs\.index$/)));

  it("C18: that keeps no manifest is passed by, and used again when it is well", () =>
    readUnder(fails("rename", /manifest\.json$/)));

  it("C18: that takes no record is passed by, and used again when it is well", () =>
    readUnder(fails("write", /journal/)));

  it("C18: fails a file that must lie there whole with what it refused, and heals", () =>
    CacheWorld.run(async (world) => {
      const { build } = await world.publish();
      await using cache = await world.open();
      await using lease = await cache.acquire(build, "A", never);
      world.disk.plan = fails("write", /snapfile/, "ENOSPC");
      await assert.rejects(lease.open("snapfile", never), (error) => {
        assert.ok(Failure.is(error, "exhausted"));
        assert.match(String(error.cause), /the shelf's disk refuses .*snapfile: ENOSPC/);
        return true;
      });
      assert.equal(world.asked("snapfile"), 1, "the bucket is not to blame, and not asked again");
      assert.equal(cache.inspect().bytes.reserved, 0);
      world.disk.plan = () => undefined;
      await world.patiently(lease.open("snapfile", never));
    }));

  it("C15: that removes nothing fails no end of a lease", () =>
    CacheWorld.run(async (world) => {
      const { build } = await world.publish({ chunks: 1, memory: false });
      await using cache = await world.open();
      world.disk.plan = ({ operation }) => (/rename|remove/.test(operation) ? "EIO" : undefined);
      const lease = await cache.acquire(build, "A", never);
      await lease[Symbol.asyncDispose]();
      world.disk.plan = () => undefined;
      assert.deepEqual(cache.inspect().leases, []);
      await (await cache.acquire(build, "B", never))[Symbol.asyncDispose]();
    }));

  it("C11: that cannot read what is kept fails no guest: the bucket gives it, and it is kept anew", () =>
    CacheWorld.run(async (world) => {
      const { build, rootfs } = await world.publish({ chunks: 3, memory: false });
      await using cache = await world.open();
      await using lease = await cache.acquire(build, "A", never);
      await lease.open("rootfs", never);
      await readAll(lease, rootfs.length);
      const device = lease.image("rootfs");
      const into = Buffer.alloc(4096);
      world.disk.plan = fails("readNow", /rootfs\.data$/);
      assert.equal(device.readNow(0, into), false, "not answered at once");
      assert.ok((await readAll(lease, rootfs.length)).equals(rootfs), "served by the bucket");
      world.disk.plan = () => undefined;
      assert.ok((await readAll(lease, rootfs.length)).equals(rootfs));
      assert.equal(device.readNow(0, into), true);
      const { kept } = cache.inspect().bytes;
      assert.equal(kept, cache.inspect().builds[0]?.bytes, "every byte is counted once");
    }));

  it("C21: that loses what it was told to keep at a crash costs a fetch, not a byte", () =>
    CacheWorld.run(async (world) => {
      const { build, rootfs } = await world.publish({ chunks: 3, memory: false });
      {
        await using cache = await world.open();
        world.disk.plan = fails("write", /journal/);
        await using lease = await cache.acquire(build, "A", never);
        await lease.open("rootfs", never);
        await readAll(lease, rootfs.length);
      }
      world.disk.plan = () => undefined;
      await using cache = await world.open();
      await using lease = await cache.acquire(build, "A", never);
      await lease.open("rootfs", never);
      assert.ok((await readAll(lease, rootfs.length)).equals(rootfs));
    }));
});

describe("a slow disk", () => {
  it("C4: holds up a newcomer for 100 ms at most, and no chunk has two writers", () =>
    CacheWorld.run(async (world) => {
      const { build, rootfs } = await world.publish({ chunks: 2, memory: false });
      await using cache = await world.open();
      await using lease = await cache.acquire(build, "A", never);
      await lease.open("rootfs", never);
      const device = lease.image("rootfs");
      const hanging = Promise.withResolvers<void>();
      let writes = 0;
      world.disk.plan = ({ operation, file }) => {
        if (operation !== "write" || !file.endsWith("rootfs.data")) return undefined;
        writes += 1;
        return { until: hanging.promise };
      };
      const leaving = new AbortController();
      const first = device.read(0, Buffer.alloc(10), leaving.signal);
      await eventually(() => writes === 1);
      leaving.abort();
      await assert.rejects(first);
      assert.ok(cache.inspect().bytes.reserved > 0, "the dying flight keeps its room");
      const into = Buffer.alloc(10);
      const newcomer = device.read(0, into, never);
      await world.clock.advance(99);
      assert.equal(world.asked("rootfs.pack"), 1, "it waits for the dying flight to come down");
      await world.clock.advance(1);
      await newcomer;
      assert.ok(into.equals(rootfs.subarray(0, 10)));
      assert.equal(world.asked("rootfs.pack"), 2, "but not for long");
      assert.equal(device.readNow(0, into), false, "what another one is writing is passed through");
      hanging.resolve();
      await eventually(() => cache.inspect().flights === 0);
      await settled();
      assert.equal(device.readNow(0, into), false, "the dying flight has set no bit");
      assert.equal(cache.inspect().bytes.reserved, 0);
      world.disk.plan = () => undefined;
      await device.read(0, into, never);
      assert.equal(device.readNow(0, into), true);
    }));

  it("C4: holds up a newcomer to a file for 100 ms at most, and the dying flight gives nothing its name", () =>
    CacheWorld.run(async (world) => {
      const { build } = await world.publish();
      await using cache = await world.open();
      await using lease = await cache.acquire(build, "A", never);
      const hanging = Promise.withResolvers<void>();
      const renames: string[] = [];
      let isHanging = false;
      world.disk.plan = ({ operation, file }) => {
        if (operation === "rename") renames.push(file);
        if (operation !== "sync" || !file.includes("snapfile.")) return undefined;
        isHanging = true;
        return { until: hanging.promise };
      };
      const leaving = new AbortController();
      const first = lease.open("snapfile", leaving.signal);
      first.catch(() => {});
      await eventually(() => isHanging);
      leaving.abort();
      await assert.rejects(first);
      world.disk.plan = ({ operation, file }) => void (operation === "rename" && renames.push(file));
      const newcomer = lease.open("snapfile", never);
      await world.clock.advance(100);
      await newcomer;
      hanging.resolve();
      await eventually(() => cache.inspect().flights === 0);
      assert.equal(renames.length, 1);
      assert.equal(cache.inspect().bytes.kept, cache.inspect().builds[0]?.bytes, "counted once");
    }));

  it("C10: that still removes what could not be read removes nothing that came after it", () =>
    CacheWorld.run(async (world) => {
      const { build, snapfile } = await world.publish();
      {
        await using cache = await world.open();
        await using lease = await cache.acquire(build, "A", never);
        await lease.open("snapfile", never);
      }
      await using cache = await world.open();
      await using lease = await cache.acquire(build, "A", never);
      const hanging = Promise.withResolvers<void>();
      let isRemoving = false;
      world.disk.plan = ({ operation, file }) => {
        if (!file.endsWith("/snapfile")) return undefined;
        if (operation === "read") return "EIO";
        if (operation !== "remove") return undefined;
        isRemoving = true;
        return { until: hanging.promise };
      };
      const leaving = new AbortController();
      const first = lease.open("snapfile", leaving.signal);
      first.catch(() => {});
      await eventually(() => isRemoving);
      leaving.abort();
      world.disk.plan = () => undefined;
      const newcomer = lease.file("snapfile", never);
      await world.clock.advance(100);
      hanging.resolve();
      const file = await newcomer;
      await eventually(() => cache.inspect().flights === 0);
      assert.deepEqual(await readFile(file), snapfile);
    }));
});
