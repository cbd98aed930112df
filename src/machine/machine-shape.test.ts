import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { MachineShape } from "../build/manifest.ts";
import { hostCpu, machineShape, sameShape } from "./machine-shape.ts";

const qemu = { version: "10.0.2" };
const machine = { vcpus: 1, memoryBytes: 512 * 2 ** 20 };
const cpuinfo = (flags: string) =>
  `processor\t: 0\ncpu family\t: 6\nmodel\t\t: 85\n` +
  `model name\t: Some CPU @ 2 GHz\nstepping\t: 7\nflags\t\t: ${flags}\n`;

describe("machineShape", () => {
  it("holds the clock's frequency under emulation only", () => {
    const asked = () => assert.fail("the host's processor is of no interest");
    assert.deepEqual(machineShape(qemu, { ...machine, accelerator: "tcg" }, 2_096_032, asked), {
      vmm: "qemu",
      vmmVersion: "10.0.2",
      machineType: "microvm",
      accelerator: "tcg",
      cpuModel: "qemu64",
      ...machine,
      tscKhz: 2_096_032,
    });
  });

  it("holds the host's processor under KVM, and is short enough for a manifest", () => {
    const shape = machineShape(qemu, { ...machine, accelerator: "kvm" }, 1, () => cpuinfo("fpu vme"));
    assert.match(shape.cpuModel, /^host,migratable=on of Some CPU @ 2 GHz 6-85-7 [0-9a-f]{8}$/);
    assert.equal("tscKhz" in shape, false);
    const long = machineShape(qemu, { ...machine, accelerator: "kvm" }, 1, () =>
      cpuinfo("").replace("Some CPU", "x".repeat(500)),
    );
    assert.ok(long.cpuModel.length <= 200);
  });
});

describe("hostCpu", () => {
  it("tells processors apart by what they can do, in whatever order that is listed", () => {
    assert.equal(hostCpu(cpuinfo("a b c")), hostCpu(cpuinfo("c  b a")));
    assert.notEqual(hostCpu(cpuinfo("a b c")), hostCpu(cpuinfo("a b")));
    assert.match(hostCpu("nothing that is known"), /^\? \?-\?-\? /);
  });
});

describe("sameShape", () => {
  const made: MachineShape = machineShape(qemu, { ...machine, accelerator: "tcg" }, 2_000_000);

  it("is the same shape when everything is", () => {
    assert.deepEqual(sameShape(made, { ...made }), { same: true });
  });

  it("tolerates a thousandth in the clock's frequency, and no more", () => {
    assert.deepEqual(sameShape(made, { ...made, tscKhz: 2_001_900 }), { same: true });
    const reason = "tscKhz 2000000, here 2100000";
    assert.deepEqual(sameShape(made, { ...made, tscKhz: 2_100_000 }), { same: false, reason });
    const { tscKhz: _, ...unknown } = made;
    assert.deepEqual(sameShape(unknown, made), { same: false, reason: "tscKhz unknown, here 2000000" });
    assert.equal(sameShape(unknown, unknown).same, false);
  });

  for (const [part, value] of Object.entries({
    vmm: "another",
    vmmVersion: "9.2.0",
    machineType: "pc",
    cpuModel: "max",
    vcpus: 2,
    memoryBytes: 2 ** 30,
    accelerator: "kvm",
  })) {
    it(`is another shape when ${part} differs, and says so`, () => {
      const here = { ...made, [part]: value };
      const reason = `${part} ${String(made[part as keyof MachineShape])}, here ${value}`;
      assert.deepEqual(sameShape(made, here), { same: false, reason });
    });
  }

  it("compares with a host, which has no numbers of a machine", () => {
    const { vcpus: _, memoryBytes: __, ...host } = made;
    assert.deepEqual(sameShape(made, host), { same: true });
  });
});
