import { systemClock } from "../base/clock.ts";
import { chooseAccelerator } from "../machine/accelerator.ts";
import type { MachineHost } from "../machine/confinement.ts";
import { ControlGroups } from "../machine/control-groups.ts";
import { diskDeviceOf } from "../machine/disk-device.ts";
import { hostLibraries, kvmGroup } from "../machine/host-libraries.ts";
import { machineShape } from "../machine/machine-shape.ts";
import type { Accelerator } from "../machine/machine-spec.ts";
import { findQemu } from "../machine/qemu-install.ts";
import { hostTscKhz } from "../machine/tsc-clock.ts";
import type { HostShape } from "../sandbox/choose-build.ts";
import type { Bounds } from "../sandbox/guest-bounds.ts";
import type { Configuration } from "./configuration.ts";
import { daemonName } from "./run-directory.ts";

/** What this host runs virtual machines with. */
export interface Host {
  readonly accelerator: Accelerator;
  readonly machines: MachineHost;
  readonly tscKhz: number;
  readonly bounds: Bounds & { readonly groups: ControlGroups };
}

/** Throws `not_found` when there is no QEMU yet, `invalid` when KVM is demanded and cannot be had. */
export async function findHost({ cache, accel, data }: Configuration): Promise<Host> {
  const accelerator = await chooseAccelerator(accel);
  const qemu = await findQemu(cache);
  const tscKhz = await hostTscKhz(data);
  const kvmGid = await kvmGroup();
  const machines = {
    qemu,
    libraries: await hostLibraries(),
    root: process.getuid?.() === 0,
    ...(kvmGid === undefined ? {} : { kvmGid }),
  };
  const groups = await ControlGroups.find({ daemon: daemonName(data), clock: systemClock });
  const bounds = { groups, device: await diskDeviceOf(data) };
  return { accelerator, machines, tscKhz, bounds };
}

/** What memory must have been made for to run here. */
export function shapeOf({ machines, tscKhz, accelerator }: Host): HostShape {
  const machine = { accelerator: accelerator.kind, vcpus: 1, memoryBytes: 0 };
  const { vcpus: _vcpus, memoryBytes: _memory, ...shape } = machineShape(machines.qemu, machine, tscKhz);
  return shape;
}
