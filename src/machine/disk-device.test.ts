import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { it } from "node:test";
import { diskDeviceOf } from "./disk-device.ts";

it("diskDeviceOf names the whole disk of a partition, and nothing where the kernel tells of none", async () => {
  const directory = await mkdtemp(path.join(tmpdir(), "disk-"));
  try {
    const { dev } = await stat(directory);
    const name = `${(dev >> 8) & 0xfff}:${(dev & 0xff) | ((dev >> 12) & 0xfff00)}`;
    const sys = path.join(directory, "sys");
    assert.equal(await diskDeviceOf(directory, sys), undefined);
    const disk = path.join(sys, "devices/virtio0/vda");
    await mkdir(path.join(disk, "vda1"), { recursive: true });
    await mkdir(path.join(sys, "dev/block"), { recursive: true });
    await writeFile(path.join(disk, "dev"), "254:0\n");
    await writeFile(path.join(disk, "vda1/dev"), "254:1\n");
    await symlink(path.join(disk, "vda1"), path.join(sys, "dev/block", name));
    assert.equal(await diskDeviceOf(directory, sys), "254:1");
    await writeFile(path.join(disk, "vda1/partition"), "1\n");
    assert.equal(await diskDeviceOf(directory, sys), "254:0");
  } finally {
    await rm(directory, { recursive: true });
  }
});
