import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, it } from "node:test";
import { chooseAccelerator, kvmTrouble } from "./accelerator.ts";

const usable = async () => null;
const missing = async () => "there is no /dev/kvm";

describe("chooseAccelerator", () => {
  it("takes KVM when it can be used, else emulation, and says why", async () => {
    assert.deepEqual(await chooseAccelerator(undefined, usable), {
      kind: "kvm",
      reason: "KVM, since /dev/kvm can be used",
    });
    assert.deepEqual(await chooseAccelerator("auto", missing), {
      kind: "tcg",
      reason: "emulation (about ten times slower), since there is no /dev/kvm",
    });
  });

  it("takes what it is told, without looking when that is emulation", async () => {
    const { kind } = await chooseAccelerator("tcg", () => assert.fail("nobody asked"));
    assert.equal(kind, "tcg");
    assert.equal((await chooseAccelerator("kvm", usable)).kind, "kvm");
  });

  it("refuses KVM that cannot be had, and words that it does not know", async () => {
    const message = "LARDER_ACCEL=kvm, but there is no /dev/kvm";
    await assert.rejects(chooseAccelerator("kvm", missing), { code: "invalid", message });
    await assert.rejects(chooseAccelerator("KVM", usable), {
      code: "invalid",
      message: "LARDER_ACCEL is 'KVM': it must be auto, kvm or tcg",
    });
  });
});

describe("kvmTrouble", () => {
  it("opens the device to know whether it can be used", async () => {
    const directory = await mkdtemp(path.join(tmpdir(), "kvm-"));
    try {
      const device = path.join(directory, "kvm");
      assert.equal(await kvmTrouble(device), `there is no ${device}`);
      await writeFile(device, "");
      assert.equal(await kvmTrouble(device), null);
      assert.equal(await kvmTrouble(directory), `${directory} cannot be opened (EISDIR)`);
    } finally {
      await rm(directory, { recursive: true });
    }
  });
});
