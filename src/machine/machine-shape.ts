import { hash } from "node:crypto";
import { readFileSync } from "node:fs";
import type { MachineShape } from "../build/manifest.ts";
import type { Accelerator, MachineSpec } from "./machine-spec.ts";
import type { QemuInstall } from "./qemu-install.ts";
import { near } from "./tsc-clock.ts";

/** Part of the command line too; `microvm` is not versioned, so a snapshot belongs to the VMM's exact version. */
export const machineType = "microvm";

/**
 * The processor that a guest sees, as QEMU is told: under KVM the host's own, without what cannot be saved;
 * under emulation QEMU's default (`max` was no faster).
 */
export function cpuArgument(accelerator: Accelerator["kind"]): string {
  return accelerator === "kvm" ? "host,migratable=on" : "qemu64";
}

/**
 * What a host must match to run memory that was made here. `cpuinfo` reads /proc/cpuinfo; it is asked only under KVM,
 * where the guest has seen the host's processor.
 */
export function machineShape(
  qemu: Pick<QemuInstall, "version">,
  machine: Pick<MachineSpec, "accelerator" | "vcpus" | "memoryBytes">,
  tscKhz: number,
  cpuinfo: () => string = () => readFileSync("/proc/cpuinfo", "utf8"),
): MachineShape {
  const { accelerator, vcpus, memoryBytes } = machine;
  const argument = cpuArgument(accelerator);
  return {
    vmm: "qemu",
    vmmVersion: qemu.version,
    machineType,
    accelerator,
    cpuModel: accelerator === "kvm" ? `${argument} of ${hostCpu(cpuinfo())}` : argument,
    vcpus,
    memoryBytes,
    ...(accelerator === "tcg" ? { tscKhz } : {}),
  };
}

/** The host's processor in one line: what it is called, and a digest of what it can do. */
export function hostCpu(cpuinfo: string): string {
  const field = (name: string) => new RegExp(`^${name}\\s*:\\s*(.*)$`, "m").exec(cpuinfo)?.[1]?.trim() ?? "?";
  const numbers = ["cpu family", "model", "stepping"].map(field).join("-");
  const flags = field("flags").split(/\s+/).sort().join(" ");
  return `${field("model name").slice(0, 100)} ${numbers} ${hash("sha256", flags).slice(0, 8)}`;
}

export type Comparison = { readonly same: true } | { readonly same: false; readonly reason: string };

/** All of a shape, or of what a host offers of one: the numbers of the machine itself count where both are told. */
type ComparableShape = Omit<MachineShape, "vcpus" | "memoryBytes"> & Partial<MachineShape>;

/** Whether memory of one shape runs on the other; if not, the first thing in which they differ, as half a sentence. */
export function sameShape(made: ComparableShape, here: ComparableShape): Comparison {
  for (const part of ["vmm", "vmmVersion", "machineType", "accelerator", "cpuModel"] as const) {
    if (made[part] !== here[part]) return differs(part, made[part], here[part]);
  }
  for (const part of ["vcpus", "memoryBytes"] as const) {
    const both = made[part] !== undefined && here[part] !== undefined;
    if (both && made[part] !== here[part]) return differs(part, made[part], here[part]);
  }
  if (here.accelerator === "kvm" || near(made.tscKhz ?? NaN, here.tscKhz ?? NaN)) return { same: true };
  return differs("tscKhz", made.tscKhz, here.tscKhz);
}

type Part = string | number | undefined;

function differs(part: string, made: Part, here: Part): Comparison {
  return { same: false, reason: `${part} ${made ?? "unknown"}, here ${here ?? "unknown"}` };
}
