import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { controllers, limitFiles, limitsFor } from "./group-limits.ts";

const mebibyte = 2 ** 20;
const limits = limitsFor({ vcpus: 2, memoryBytes: 512 * mebibyte }, "254:0");

/** All that is written, as `name = text`. */
function written(version: 1 | 2, of = limits): string[] {
  return controllers.flatMap((each) =>
    limitFiles(version, each, of).map(({ name, text }) => `${name} = ${text}`),
  );
}

describe("limitsFor", () => {
  it("bound a machine by what its guest was given, and what the VMM needs for itself", () => {
    assert.deepEqual(limits, {
      memoryBytes: 768 * mebibyte,
      swapBytes: 512 * mebibyte,
      processors: 3,
      processesMax: 128,
      disk: { device: "254:0", bytesPerSecond: 256 * mebibyte },
    });
  });
});

describe("limitFiles", () => {
  it("say it in the words of version 2", () => {
    assert.deepEqual(written(2), [
      "memory.max = 805306368",
      "memory.swap.max = 536870912",
      "memory.oom.group = 1",
      "cpu.max = 300000 100000",
      "pids.max = 128",
      "io.max = 254:0 rbps=268435456 wbps=268435456",
    ]);
  });

  it("say it in the words of version 1, memory before memory and swap together", () => {
    assert.deepEqual(written(1), [
      "memory.limit_in_bytes = 805306368",
      "memory.memsw.limit_in_bytes = 1342177280",
      "cpu.cfs_period_us = 100000",
      "cpu.cfs_quota_us = 300000",
      "pids.max = 128",
      "blkio.throttle.read_bps_device = 254:0 268435456",
      "blkio.throttle.write_bps_device = 254:0 268435456",
    ]);
  });

  it("leave the disk alone where files lie on no single one", () => {
    const none = limitsFor({ vcpus: 1, memoryBytes: mebibyte }, undefined);
    for (const version of [1, 2] as const) assert.deepEqual(limitFiles(version, "io", none), []);
  });
});
