import assert from "node:assert/strict";
import { readdir, rename, rm } from "node:fs/promises";
import path from "node:path";
import { describe, it } from "node:test";
import { silentLogger } from "../base/logger.ts";
import { eventually } from "../base/testing/virtual-clock.ts";
import { IndexBook } from "../build/index-book.ts";
import { isPublished } from "../build/is-published.ts";
import { type MadeFiles, realMadeFiles } from "../build/made-files.ts";
import { openIndex } from "../build/testing/read-device.ts";
import { CacheWorld, never } from "../cache/testing/cache-world.ts";
import { makeChild } from "../cache/testing/made-build.ts";
import { Publisher } from "./publisher.ts";

describe("a publisher that takes up what was left", () => {
  it("C27: keeps a build that the disk does not let be read now, and publishes it when it does", () =>
    CacheWorld.run(async (world) => {
      const { bucket, clock, meter } = world;
      const parent = await world.publish();
      const rootfs = {
        manifest: parent.manifest,
        index: await openIndex(bucket, new IndexBook(), parent.build, "rootfs"),
      };
      const made = await makeChild({ rootfs }, { rootfs: { 0: 7 } });
      const { build } = made.manifest;
      const directory = path.join(world.directory, "unpublished");
      await realMadeFiles.remove(directory);
      await rename(made.directory, path.join(world.directory, build));
      let refuses = true;
      const files: MadeFiles = {
        ...realMadeFiles,
        read: (file) => {
          if (refuses) throw Object.assign(new Error("EIO: a planned fault"), { code: "EIO" });
          return realMadeFiles.read(file);
        },
      };
      const published: string[] = [];
      const lease = async () => ({ [Symbol.asyncDispose]: async () => {} });
      await using publisher = new Publisher({
        ...{ bucket, directory: world.directory, files, lease, clock, logger: silentLogger, meter },
        onPublished: (each) => published.push(each),
      });
      await publisher.recall(async (each) => each === build);
      assert.deepEqual(await readdir(world.directory), [build]);
      await clock.advance(1_000);
      refuses = false;
      await world.patiently(eventually(() => published.length > 0));
      assert.equal(await isPublished(bucket, build, never), true);
      await eventually(() => publisher.waiting === 0);
      await rm(path.join(world.directory, build), { recursive: true, force: true });
    }));
});
