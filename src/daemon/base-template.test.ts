import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { MachineShape } from "../build/manifest.ts";
import { machineShape } from "../machine/machine-shape.ts";
import type { Accelerator } from "../machine/machine-spec.ts";
import type { BuildRecord } from "../store/template-records.ts";
import { publishedTemplate } from "../store/testing/sample-records.ts";
import { hostFor } from "./base-template.ts";
import type { Host } from "./host.ts";

const qemu = { version: "10.0.2" };
const tscKhz = 2_000_000;

const hostWith = (kind: Accelerator["kind"]): Host => ({
  accelerator: { kind, reason: "chosen" },
  machines: { qemu, libraries: [], root: false } as unknown as Host["machines"],
  tscKhz,
  bounds: {} as unknown as Host["bounds"],
});

const shapeWith = (accelerator: Accelerator["kind"]): MachineShape =>
  machineShape(qemu, { accelerator, vcpus: 1, memoryBytes: 512 }, tscKhz);

function made(kind: Accelerator["kind"], changes: Partial<BuildRecord> = {}): BuildRecord {
  const { build } = publishedTemplate({ id: kind, shape: shapeWith(kind), ...changes });
  return { ...build, templateId: "t0", createdAt: 0 };
}

describe("The host of a template that is there", () => {
  const kinds = (builds: BuildRecord[], host: Host, mayEmulate = true) =>
    hostFor(builds, host, mayEmulate).accelerator.kind;

  it("emulates where KVM is at hand but only memory made under emulation is", () => {
    assert.equal(kinds([made("tcg")], hostWith("kvm")), "tcg");
    assert.equal(kinds([made("kvm", { coldBoot: true }), made("tcg")], hostWith("kvm")), "tcg");
  });

  it("is left as it is where its own memory restores, where none does, or where KVM is demanded", () => {
    assert.equal(kinds([made("tcg"), made("kvm")], hostWith("kvm")), "kvm");
    assert.equal(kinds([made("kvm", { coldBoot: true, diskBuild: "kvm" })], hostWith("kvm")), "kvm");
    assert.equal(kinds([made("tcg")], hostWith("kvm"), false), "kvm");
    assert.equal(kinds([made("tcg")], hostWith("tcg")), "tcg");
  });
});
