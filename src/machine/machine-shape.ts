import type { MachineShape } from "../build/manifest.ts";
import type { Accelerator, MachineSpec } from "./machine-spec.ts";
import type { QemuInstall } from "./qemu-install.ts";

/** Part of the command line too; `microvm` is not versioned, so a snapshot belongs to the VMM's exact version. */
export const machineType = "microvm";

/** The model of the processor: what the host has under KVM, QEMU's default under emulation. */
export function cpuModel(accelerator: Accelerator["kind"]): string {
  return accelerator === "kvm" ? "host,migratable=on" : "qemu64";
}

/** What a host must match to run memory that was made here. */
export function machineShape(
  qemu: QemuInstall,
  machine: Pick<MachineSpec, "accelerator" | "vcpus" | "memoryBytes">,
  tscKhz: number,
): MachineShape {
  return {
    vmm: "qemu",
    vmmVersion: qemu.version,
    machineType,
    accelerator: machine.accelerator,
    cpuModel: cpuModel(machine.accelerator),
    vcpus: machine.vcpus,
    memoryBytes: machine.memoryBytes,
    ...(machine.accelerator === "tcg" ? { tscKhz } : {}),
  };
}
