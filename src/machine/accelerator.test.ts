import assert from "node:assert/strict";
import { chmod, mkdtemp, rm, stat, writeFile } from "node:fs/promises";
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
  it("opens the device to know whether it can be used, and asks the processor", async () => {
    const directory = await mkdtemp(path.join(tmpdir(), "kvm-"));
    try {
      const [device, cpuinfo] = [path.join(directory, "kvm"), path.join(directory, "cpuinfo")];
      const places = { device, cpuinfo, root: false };
      assert.equal(await kvmTrouble(places), `there is no ${device}`);
      await writeFile(device, "");
      await writeFile(cpuinfo, "flags\t\t: fpu vme vmx ssse3\n");
      assert.equal(await kvmTrouble(places), null);
      await writeFile(cpuinfo, "flags\t\t: fpu svm\n");
      assert.equal(await kvmTrouble(places), null);
      await writeFile(cpuinfo, "flags\t\t: fpu vme\nvmx flags\t: vnmi\n");
      assert.match((await kvmTrouble(places)) ?? "", /neither vmx nor svm/);
      const trouble = await kvmTrouble({ ...places, device: directory });
      assert.equal(trouble, `${directory} cannot be opened (EISDIR)`);
    } finally {
      await rm(directory, { recursive: true });
    }
  });

  it("needs more than root's own rights, where machines run as users of their own", async () => {
    const directory = await mkdtemp(path.join(tmpdir(), "kvm-"));
    try {
      const [device, cpuinfo] = [path.join(directory, "kvm"), path.join(directory, "cpuinfo")];
      await writeFile(cpuinfo, "flags\t\t: vmx\n");
      await writeFile(device, "", { mode: 0o600 });
      const group = (await stat(device)).gid;
      const trouble = await kvmTrouble({ device, cpuinfo, root: true });
      if (group === 0) assert.match(trouble ?? "", /is root's alone/);
      else assert.equal(trouble, null);
      await chmod(device, 0o666);
      assert.equal(await kvmTrouble({ device, cpuinfo, root: true }), null);
    } finally {
      await rm(directory, { recursive: true });
    }
  });
});
