import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, afterEach, before, describe, it } from "node:test";
import { promisify } from "node:util";
import { assertNothingLeft, type Census, takeCensus } from "../../src/base/testing/census.ts";
import { MemoryLogger } from "../../src/base/testing/memory-logger.ts";
import { MemoryMeter } from "../../src/base/testing/memory-meter.ts";
import type { SharedImage } from "../../src/base/shared-image.ts";
import type { DiskExport, DiskExports } from "../../src/nbd/disk-exports.ts";
import { MainThreadExports } from "../../src/nbd/main-thread-exports.ts";
import { ArrayDevice } from "../../src/nbd/testing/array-device.ts";
import { fileImage } from "../../src/nbd/testing/file-image.ts";
import { NbdWorkers } from "../../src/nbd/worker/nbd-workers.ts";

const run = promisify(execFile);
const mebibyte = 1024 * 1024;

interface NbdInfo {
  readonly exports: readonly Record<string, unknown>[];
  readonly protocol: string;
  readonly structured: boolean;
}

interface MapEntry {
  readonly start?: number;
  readonly offset: number;
  readonly length: number;
  readonly type?: number;
  readonly zero?: boolean;
  readonly data?: boolean;
}

const logger = new MemoryLogger();
const meter = new MemoryMeter();

/** Where a disk is exported. */
interface Place {
  readonly exports: DiskExports;
  readonly tellCounts: () => void;
  readonly close: () => Promise<void>;
}

const places: Record<string, () => Place> = {
  "the main thread": () => ({
    exports: new MainThreadExports({ logger, meter }),
    tellCounts: () => {},
    close: async () => {},
  }),
  "worker threads": () => {
    const workers = new NbdWorkers({ threads: 2, logger, meter });
    return { exports: workers, tellCounts: () => workers.tellCounts(), close: () => workers.close() };
  },
};

for (const [where, makePlace] of Object.entries(places)) {
  describe(`an NBD export of ${where}, read by the clients that people have`, () => {
    let device: ArrayDevice;
    let directory: string;
    let uri: string;
    let nbdExport: DiskExport;
    let place: Place;
    let image: SharedImage;
    let descriptor: number;
    let census: Census;

    before(async () => {
      device = ArrayDevice.striped(24 * mebibyte);
      device.data.fill(0, 8 * mebibyte, 16 * mebibyte);
      directory = await mkdtemp(path.join(tmpdir(), "nbd-"));
      census = takeCensus();
      const socket = path.join(directory, "disk.sock");
      uri = `nbd+unix:///disk?socket=${socket}`;
      const file = path.join(directory, "expected.raw");
      await writeFile(file, device.data);
      descriptor = openSync(file, "r");
      image = fileImage(descriptor, device.bytes, device.extents(0, device.bytes, Infinity));
      place = makePlace();
      const options = { path: socket, device, image, name: "disk", description: "a striped disk" };
      nbdExport = await place.exports.listen(options);
    });

    function setHot(hot: boolean): void {
      device.hot = hot;
      image.files[0]?.present.fill(hot ? -1 : 0);
    }

    afterEach(() => {
      setHot(true);
      assert.deepEqual(logger.warnings, [], "no client was hung up on");
    });

    after(async () => {
      await nbdExport.close();
      await place.close();
      closeSync(descriptor);
      await assertNothingLeft(census);
      await rm(directory, { recursive: true });
    });

    /** What the clients should say of the device, neighbours joined: offset, length, zero. */
    function expectedMap(): [number, number, boolean][] {
      let at = 0;
      return device.extents(0, device.bytes, Infinity).map(({ bytes, zero }) => {
        at += bytes;
        return [at - bytes, bytes, zero];
      });
    }

    it("is described by nbdinfo", async () => {
      const { stdout } = await run("nbdinfo", ["--json", uri]);
      const { exports, structured } = JSON.parse(stdout) as NbdInfo;
      assert.equal(structured, true);
      const [found] = exports;
      assert.equal(found?.["export-size"], device.bytes);
      assert.equal(found["description"], "a striped disk");
      assert.equal(found["is_read_only"], true);
      assert.equal(found["can_multi_conn"], true);
      assert.equal(found["can_df"], true);
      assert.equal(found["block_size_maximum"], 32 * mebibyte);
      assert.deepEqual(found["contexts"], ["base:allocation"]);
    });

    it("is found by nbdinfo --list without a name", async () => {
      const { stdout } = await run("nbdinfo", ["--list", "--json", uri.replace("/disk?", "/?")]);
      assert.deepEqual(
        (JSON.parse(stdout) as NbdInfo).exports.map((found) => found["export-name"]),
        ["disk"],
      );
    });

    it("is mapped by nbdinfo and by qemu-img as the device says", async () => {
      const ours = await run("nbdinfo", ["--map", "--json", uri]);
      const entries = JSON.parse(ours.stdout) as MapEntry[];
      assert.deepEqual(
        entries.map(({ offset, length, type }) => [offset, length, type === 3]),
        expectedMap(),
      );
      const theirs = await run("qemu-img", ["map", "--output=json", "-f", "raw", uri]);
      const extents = JSON.parse(theirs.stdout) as MapEntry[];
      assert.deepEqual(
        extents.map(({ start, length, zero }) => [start, length, zero]),
        expectedMap(),
      );
    });

    it("is copied whole by nbdcopy, over one connection and over four", async () => {
      for (const connections of [1, 4]) {
        const copy = path.join(directory, `copy-${connections}.raw`);
        await run("nbdcopy", [`--connections=${connections}`, uri, copy]);
        assert.ok((await readFile(copy)).equals(device.data));
      }
      place.tellCounts();
      assert.ok(meter.get("larder_nbd_reads_total", { outcome: "hit" }) > 0);
    });

    it("is copied whole by nbdcopy when nothing is at hand and answers come out of order", async () => {
      setHot(false);
      let reads = 0;
      device.beforeRead = async () => {
        for (let turn = (reads++ * 7) % 5; turn > 0; turn--)
          await new Promise((resolve) => setImmediate(resolve));
      };
      const copy = path.join(directory, "cold.raw");
      await run("nbdcopy", [uri, copy]);
      assert.ok((await readFile(copy)).equals(device.data));
      place.tellCounts();
      assert.ok(meter.get("larder_nbd_reads_total", { outcome: "miss" }) > 0);
    });

    it("is converted and compared by qemu-img", async () => {
      const copy = path.join(directory, "converted.qcow2");
      await run("qemu-img", ["convert", "-f", "raw", "-O", "qcow2", uri, copy]);
      await run("qemu-img", [
        "compare",
        "-f",
        "qcow2",
        "-F",
        "raw",
        copy,
        path.join(directory, "expected.raw"),
      ]);
      await run("qemu-img", ["compare", "-f", "raw", "-F", "raw", uri, path.join(directory, "expected.raw")]);
    });

    it("is not written to by qemu-img or nbdcopy", async () => {
      const raw = path.join(directory, "expected.raw");
      await assert.rejects(run("qemu-img", ["convert", "-n", "-f", "raw", "-O", "raw", raw, uri]));
      await assert.rejects(run("nbdcopy", [raw, uri]));
    });

    it("refuses a name that it does not bear, and clients that insist on TLS", async () => {
      await assert.rejects(run("nbdinfo", [uri.replace("/disk?", "/other?")]), /other/);
      await assert.rejects(run("nbdinfo", [uri.replace("nbd+unix:", "nbds+unix:")]));
    });
  });
}
