import type { MachineHost } from "../machine/confinement.ts";
import type { Accelerator } from "../machine/machine-spec.ts";

/** What this host runs machines with, once there is a QEMU. */
export interface BaseHost {
  readonly accelerator: Accelerator;
  readonly machines: MachineHost;
  readonly tscKhz: number;
}

/** One machine to be started from a published build, to see that it can be. */
export interface Proof {
  readonly build: string;
  readonly how: "restore" | "boot";
  readonly accelerator: Accelerator["kind"];
  readonly vcpus: number;
  readonly memoryBytes: number;
}

/** What `base` is now, and what runs it: emulation, when KVM was found not to restore here. */
export interface Base {
  readonly build: string;
  readonly accelerator: Accelerator["kind"];
  /** Its memory does not restore here: it has to be booted from its disk. */
  readonly coldBoot: boolean;
}
