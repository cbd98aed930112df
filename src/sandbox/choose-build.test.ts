import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { BuildRecord } from "../store/template-records.ts";
import { publishedTemplate } from "../store/testing/sample-records.ts";
import { chooseBuild, type HostShape } from "./choose-build.ts";

const host: HostShape = {
  vmm: "qemu",
  vmmVersion: "10.0.2",
  machineType: "microvm",
  accelerator: "tcg",
  cpuModel: "qemu64",
  tscKhz: 2_000_000,
};

function build(changes: Partial<BuildRecord> = {}): BuildRecord {
  return { ...publishedTemplate(changes).build, templateId: "t0", createdAt: 0 };
}

describe("chooseBuild", () => {
  it("restores the newest memory that was made for this machine", () => {
    const newer = build({
      id: "b2",
      diskBuild: "b0",
      shape: { ...host, vmmVersion: "11.0.0", vcpus: 1, memoryBytes: 1 },
    });
    const chosen = chooseBuild([newer, build({ id: "b1", diskBuild: "b0" }), build()], host);
    assert.deepEqual([chosen.how, chosen.build.id], ["restore", "b1"]);
  });

  it("boots the disk when no memory fits, and says which part does not", () => {
    const { shape: _none, ...disk } = build();
    const reasons: [BuildRecord, HostShape, RegExp][] = [
      [build(), { ...host, vmmVersion: "8.2.0" }, /vmmVersion 10\.0\.2, here 8\.2\.0/],
      [build(), { ...host, tscKhz: 2_003_000 }, /tscKhz 2000000, here 2003000/],
      [build({ coldBoot: true }), host, /did not restore/],
      [disk, host, /has no memory/],
    ];
    for (const [only, here, because] of reasons) {
      const chosen = chooseBuild([only], here);
      assert.equal(chosen.how, "boot");
      assert.match(chosen.because, because);
    }
  });

  it("tolerates a tenth of a percent of clock under emulation, and does not ask for it under KVM", () => {
    assert.equal(chooseBuild([build()], { ...host, tscKhz: 2_001_900 }).how, "restore");
    const shape = { ...host, accelerator: "kvm", vcpus: 1, memoryBytes: 1 } as const;
    const { tscKhz: _, ...kvm } = { ...host, accelerator: "kvm" as const };
    assert.equal(chooseBuild([build({ shape })], kvm).how, "restore");
  });
});
