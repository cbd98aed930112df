import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { MachineShape } from "../build/manifest.ts";
import type { BuildRecord } from "../store/template-records.ts";
import { planBase } from "./base-plan.ts";

const tcg: MachineShape = {
  vmm: "qemu",
  vmmVersion: "10.0.2",
  machineType: "microvm",
  accelerator: "tcg",
  cpuModel: "qemu64",
  vcpus: 1,
  memoryBytes: 512 * 2 ** 20,
  tscKhz: 2_000_000,
};
const { tscKhz: _, ...withoutClock } = tcg;
const kvm: MachineShape = { ...withoutClock, accelerator: "kvm", cpuModel: "host", vcpus: 2 };

function build(shape: MachineShape, recipe = "r", coldBoot = false): BuildRecord {
  const { vcpus, memoryBytes } = shape;
  const id = `${shape.accelerator}-${recipe}`;
  const rest = { templateId: "t", diskBuild: id, diskBytes: 1, createdAt: 0 };
  return { id, recipe, shape, coldBoot, vcpus, memoryBytes, ...rest };
}

const fresh = (shape: MachineShape) => ({ shape, failed: false });

describe("planBase", () => {
  it("keeps what is of this recipe and this machine, also when it has to be booted", () => {
    const kept = build(tcg, "r", true);
    const plan = planBase({ recipe: "r", candidates: [fresh(tcg)], builds: [kept] });
    assert.deepEqual(plan, { kind: "keep", build: kept });
  });

  it("makes it when there is none, for another recipe, or for another machine, and says which", () => {
    const because = (candidate: MachineShape, builds: BuildRecord[]) => {
      const plan = planBase({ recipe: "r", candidates: [fresh(candidate)], builds });
      return plan.kind === "make" ? plan.because : "kept";
    };
    assert.match(because(tcg, []), /none yet/);
    assert.match(because(tcg, [build(tcg, "old")]), /recipe/);
    assert.match(
      because({ ...tcg, vmmVersion: "10.1.0" }, [build(tcg)]),
      /vmmVersion 10\.0\.2, here 10\.1\.0/,
    );
    assert.match(because({ ...tcg, memoryBytes: 2 ** 30 }, [build(tcg)]), /memoryBytes/);
    assert.match(because({ ...tcg, tscKhz: 2_100_000 }, [build(tcg)]), /tscKhz/);
  });

  it("tolerates a clock that was measured a little differently", () => {
    const plan = planBase({
      recipe: "r",
      candidates: [fresh({ ...tcg, tscKhz: 2_000_900 })],
      builds: [build(tcg)],
    });
    assert.equal(plan.kind, "keep");
  });

  it("prefers KVM, and emulation once KVM has failed here", () => {
    const builds = [build(tcg)];
    const candidates = [fresh(kvm), fresh(tcg)];
    assert.equal(planBase({ recipe: "r", candidates, builds }).kind, "make");
    const afterFailure = [{ shape: kvm, failed: true }, fresh(tcg)];
    assert.equal(planBase({ recipe: "r", candidates: afterFailure, builds }).kind, "keep");
  });
});
