import assert from "node:assert/strict";
import {
  appendFile,
  chmod,
  copyFile,
  mkdir,
  open,
  readdir,
  readFile,
  stat,
  writeFile,
} from "node:fs/promises";
import path from "node:path";
import { describe, it } from "node:test";
import { Failure } from "../base/failure.ts";
import { blockBytes, chunkBytes } from "../build/artifact.ts";
import { artifactsOf } from "../build/manifest.ts";
import { realDisk } from "./disk.ts";
import { Journal } from "./journal.ts";
import { Ledger } from "./ledger.ts";
import type { TemplateCache } from "./template-cache.ts";
import { CacheWorld, never } from "./testing/cache-world.ts";

/** Takes the end of an orderly run off the journal, as a process that was killed would have left it. */
async function pretendKilled(world: CacheWorld): Promise<void> {
  const journal = path.join(world.directory, "journal");
  const lines = (await readFile(journal, "utf8")).split("\n").filter((line) => !line.includes('"clean"'));
  await writeFile(journal, lines.join("\n"));
}

async function readRootfs(cache: TemplateCache, build: string, bytes: number): Promise<Buffer> {
  await using lease = await cache.acquire(build, "reader", never);
  await lease.open("rootfs", never);
  const whole = Buffer.alloc(bytes);
  await lease.image("rootfs").read(0, whole, never);
  return whole;
}

describe("a restart", () => {
  it("C21: keeps what was kept, and needs the bucket only for what is missing", () =>
    CacheWorld.run(async (world) => {
      const { build, rootfs } = await world.publish({ chunks: 20 });
      {
        await using cache = await world.open();
        await using lease = await cache.acquire(build, "A", never);
        await lease.open("rootfs", never);
        await lease.image("rootfs").read(0, Buffer.alloc(1), never);
      }
      world.requests.length = 0;
      await using cache = await world.open();
      assert.ok((await readRootfs(cache, build, 4096)).equals(rootfs.subarray(0, 4096)));
      assert.deepEqual(world.requests, [], "nothing was asked of the bucket");
      assert.ok((await readRootfs(cache, build, rootfs.length)).equals(rootfs));
    }));

  it("C21: keeps every kind of file that a build may have", () =>
    CacheWorld.run(async (world) => {
      const { build, manifest } = await world.publish({ chunks: 2, firstpages: true });
      const use = async () => {
        await using cache = await world.open();
        await using lease = await cache.acquire(build, "A", never);
        await lease.openAll(never);
        await lease.memory(never);
        for (const artifact of ["rootfs", "firstpages"] as const) {
          const { bytes } = lease.image(artifact);
          await lease.image(artifact).read(0, Buffer.alloc(bytes), never);
        }
        return await readdir(path.join(world.directory, "builds", build));
      };
      const files = await use();
      assert.deepEqual(artifactsOf(manifest).length, 5, "it has all that there is");
      world.requests.length = 0;
      assert.deepEqual(await use(), files);
      assert.deepEqual([world.requests, world.meter.get("larder_cache_unexplained_total")], [[], 0]);
    }));

  it("C21: removes what the journal does not explain, and believes no record behind a damaged one", () =>
    CacheWorld.run(async (world) => {
      const { build, rootfs } = await world.publish();
      {
        await using cache = await world.open();
        await readRootfs(cache, build, rootfs.length);
      }
      const stranger = path.join(world.directory, "builds", "stranger");
      await mkdir(stranger);
      await copyFile(path.join(world.directory, "journal"), path.join(stranger, "file"));
      await writeFile(path.join(world.directory, "builds", build, "snapfile.0.new"), "half");
      await appendFile(path.join(world.directory, "journal"), '00000000 {"type":"evicted"');
      await using cache = await world.open();
      assert.equal(world.meter.get("larder_cache_unexplained_total"), 2);
      await assert.rejects(stat(stranger), { code: "ENOENT" });
      assert.ok((await readRootfs(cache, build, rootfs.length)).equals(rootfs));
    }));

  it("C21: frees a range that was written but not journalled", () =>
    CacheWorld.run(async (world) => {
      const { build, rootfs } = await world.publish({ chunks: 40 });
      {
        await using cache = await world.open();
        await readRootfs(cache, build, 1);
      }
      await pretendKilled(world);
      const data = path.join(world.directory, "builds", build, "rootfs.data");
      {
        await using file = await open(data, "r+");
        await file.write(Buffer.alloc(chunkBytes, 0x77), 0, chunkBytes, 30 * chunkBytes);
      }
      await using cache = await world.open();
      await using lease = await cache.acquire(build, "A", never);
      await lease.open("rootfs", never);
      const stored = (await readFile(data)).subarray(30 * chunkBytes, 31 * chunkBytes);
      assert.ok(stored.equals(Buffer.alloc(chunkBytes)), "the stranger's bytes are gone");
      assert.ok((await readRootfs(cache, build, rootfs.length)).equals(rootfs));
    }));

  it("C21: a shelf has one owner, and a second one is refused naming the first", () =>
    CacheWorld.run(async (world) => {
      await using _first = await world.open();
      await assert.rejects(world.open(), (error) => {
        assert.ok(Failure.is(error, "conflict"));
        assert.match(error.message, new RegExp(`process ${process.pid}`));
        return true;
      });
    }));

  it("C22: after an unclean stop what was kept is verified on its first read, and fetched again if damaged", () =>
    CacheWorld.run(async (world) => {
      const { build, rootfs } = await world.publish({ chunks: 6 });
      {
        await using cache = await world.open();
        await readRootfs(cache, build, rootfs.length);
      }
      await pretendKilled(world);
      {
        await using file = await open(path.join(world.directory, "builds", build, "rootfs.data"), "r+");
        await file.write(Buffer.from("damage"), 0, 6, 100);
      }
      await using cache = await world.open();
      assert.ok((await readRootfs(cache, build, rootfs.length)).equals(rootfs));
      const verified = (outcome: string) =>
        world.meter.get("larder_cache_verified_after_restart_total", { outcome });
      assert.equal(verified("damaged"), 1);
      assert.ok(verified("good") >= 1);
      assert.equal(world.logged.length, 0, "a mismatch is no error");
    }));

  it("C22: what was not verified yet after an unclean stop is not believed because a later stop was clean", () =>
    CacheWorld.run(async (world) => {
      const { build, rootfs } = await world.publish({ chunks: 6 });
      {
        await using cache = await world.open();
        await readRootfs(cache, build, rootfs.length);
      }
      await pretendKilled(world);
      {
        await using file = await open(path.join(world.directory, "builds", build, "rootfs.data"), "r+");
        await file.write(Buffer.from("damage"), 0, 6, 100);
      }
      {
        await using _idle = await world.open();
      }
      {
        await using cache = await world.open();
        await readRootfs(cache, build, 0); // opened, and nothing of it read
      }
      await using cache = await world.open();
      assert.ok((await readRootfs(cache, build, rootfs.length)).equals(rootfs));
    }));

  it("C22: a memfile is verified whole after an unclean stop before it is sealed again", () =>
    CacheWorld.run(async (world) => {
      const { build, memfile = Buffer.alloc(0) } = await world.publish({ chunks: 6 });
      let sealed = "";
      {
        await using cache = await world.open();
        await using lease = await cache.acquire(build, "A", never);
        sealed = await lease.memfile(never);
      }
      await pretendKilled(world);
      const before = (await stat(sealed)).ino;
      await chmod(sealed, 0o600);
      {
        await using file = await open(sealed, "r+");
        await file.write(Buffer.from("damage"), 0, 6, 100);
      }
      await using _mapped = await open(sealed, "r"); // so that its number is not given to another file
      await using cache = await world.open();
      await using lease = await cache.acquire(build, "A", never);
      const again = await lease.memfile(never);
      assert.ok((await readFile(again)).equals(memfile));
      assert.notEqual((await stat(again)).ino, before, "the bad file was retired, not healed in place");
    }));
});

describe("a memfile", () => {
  it("C28: is mapped only when sealed: whole, verified, and never written again", () =>
    CacheWorld.run(async (world) => {
      const { build, memfile = Buffer.alloc(0) } = await world.publish({ chunks: 9 });
      await using cache = await world.open();
      await using lease = await cache.acquire(build, "A", never);
      await lease.open("memfile", never);
      assert.equal(cache.inspect().builds[0]?.artifacts?.["memfile"], "open");
      const paths = await Promise.all([lease.memfile(never), lease.memfile(never)]);
      assert.equal(paths[0], paths[1]);
      assert.equal(cache.inspect().builds[0]?.artifacts?.["memfile"], "sealed");
      const { mode, size } = await stat(paths[0]);
      assert.equal(mode & 0o777, 0o444);
      assert.equal(size % blockBytes, 0);
      assert.ok((await readFile(paths[0])).equals(memfile));
      assert.equal(world.meter.get("larder_cache_seals_total"), 1);
    }));

  it("C28: is mapped by nobody while a part of it cannot be had", () =>
    CacheWorld.run(async (world) => {
      const { build } = await world.publish({ chunks: 20 });
      await using cache = await world.open();
      await using lease = await cache.acquire(build, "A", never);
      await lease.open("memfile", never);
      world.plan = () => ({ kind: "fail", code: "denied" });
      await assert.rejects(lease.memfile(never), (error) => Failure.is(error, "denied"));
      assert.equal(cache.inspect().builds[0]?.artifacts?.["memfile"], "open");
      world.plan = () => undefined;
      await world.patiently(lease.memfile(never));
    }));
});

describe("the journal", () => {
  it("C21: says after a rewrite what it said before", () =>
    CacheWorld.run(async (world) => {
      const { build, rootfs } = await world.publish({ chunks: 30 });
      {
        await using cache = await world.open();
        await readRootfs(cache, build, rootfs.length);
      }
      const before = new Ledger(await Journal.read(realDisk, world.directory));
      {
        await using _cache = await world.open();
      }
      const after = new Ledger(await Journal.read(realDisk, world.directory));
      assert.deepEqual(after.records(), before.records());
      assert.equal(after.clean, true);
    }));
});
