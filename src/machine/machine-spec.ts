import type { DeviceRange } from "../build/manifest.ts";
import type { FileIdentity } from "./memory-maps.ts";

/** What the host runs machines with. */
export interface Accelerator {
  readonly kind: "kvm" | "tcg";
  /** Why this one, as a sentence for people. */
  readonly reason: string;
}

/** A machine as a plain value: what it is made of, not how it is started. Paths are the host's. */
export interface MachineSpec {
  readonly id: string;
  /** Of this machine alone and writable for it: overlay, snapshot, log. */
  readonly directory: string;
  /** Of this machine alone and short: a Unix socket's path holds 107 bytes. */
  readonly socketDirectory: string;
  readonly vcpus: number;
  readonly memoryBytes: number;
  readonly accelerator: Accelerator["kind"];
  readonly memfile: Memfile;
  readonly rootDisk: RootDisk;
  /** A file, or where it lies on the export that an overlay is laid over: behind the root disk. */
  readonly agentDisk: string | DeviceRange;
  /** For a boot. The frequency of the time stamp counter is needed under emulation. */
  readonly boot?: {
    readonly kernel: string;
    readonly initrd: string;
    readonly tscKhz?: number;
    readonly arguments?: string;
  };
  /** For a restore: the file with the device state. */
  readonly snapfile?: string;
  /** The user and group it runs as, where the daemon is root. */
  readonly uid?: number;
  /** The files of its control groups by which a process joins them. */
  readonly processFiles?: readonly string[];
  /** Where its network card leads; missing: nowhere. Only while this is there has the guest a carrier. */
  readonly network?: NetworkPlace;
}

export interface Memfile {
  readonly path: string;
  /** `build`: shared and written; `restore`: mapped privately, never written. */
  readonly mode: "build" | "restore";
  /**
   * Pages of the file come only when they are needed, perhaps by way of this program, which must never touch it. By
   * its identity it is found among the mappings of the VMM.
   */
  readonly lazy?: FileIdentity;
}

/** The network namespace that a machine lives in, instead of an empty one. */
export interface NetworkPlace {
  /** The interface in there that it uses. */
  readonly tap: string;
  readonly netNamespace: string;
  /** Has to be entered too by who is not root. */
  readonly userNamespace: string;
}

export type RootDisk =
  | { readonly kind: "raw"; readonly path: string }
  /** An overlay in `directory`, over a read-only export on a Unix socket. */
  | { readonly kind: "overlay"; readonly name: string; readonly nbdSocket: string };

/** The host's side of the machine's network card. */
export const netdevName = "n0";
/** Names below `socketDirectory`. */
export const qmpSocketName = "qmp";
export const channelSocketName = "agent";
/** The standard error of the VMM, below `directory`. */
export const lastWordsName = "vmm.log";
/** The console of a machine that boots, below `directory`. */
export const consoleName = "console.log";

/** What marks a VMM's command line as ours; an argument of its own. */
export function markerOf(id: string): string {
  return `larder-${id}`;
}
