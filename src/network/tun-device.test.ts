import assert from "node:assert/strict";
import { chmod, mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { it } from "node:test";
import { openTunDevice } from "./tun-device.ts";

it("openTunDevice opens the device to all users once, and says what is missing", async () => {
  const directory = await mkdtemp(path.join(tmpdir(), "tun-"));
  const file = path.join(directory, "tun");
  try {
    await assert.rejects(openTunDevice(file), /the kernel's module tun is needed/);
    await writeFile(file, "");
    await chmod(file, 0o600);
    assert.equal(await openTunDevice(file), true);
    assert.equal((await stat(file)).mode & 0o777, 0o666);
    assert.equal(await openTunDevice(file), false);
  } finally {
    await rm(directory, { recursive: true });
  }
});
