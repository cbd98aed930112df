import assert from "node:assert/strict";
import type { MachineShape } from "../build/manifest.ts";
import type { BuildRecord } from "../store/template-records.ts";

/** What a host offers of a machine shape; the rest belongs to the template. */
export type HostShape = Omit<MachineShape, "vcpus" | "memoryBytes">;

export type ChosenBuild =
  | { readonly how: "restore"; readonly build: BuildRecord }
  | { readonly how: "boot"; readonly build: BuildRecord; readonly because: string };

/**
 * The newest build whose memory runs on this host; if there is none, the disk, to be booted.
 * `builds` are all of one disk, the newest first.
 */
export function chooseBuild(builds: readonly BuildRecord[], host: HostShape): ChosenBuild {
  let because = "it has no memory";
  for (const build of builds) {
    if (build.shape === undefined) continue;
    const difference = shapeDifference(build.shape, host);
    if (difference === undefined && !build.coldBoot) return { how: "restore", build };
    because =
      difference === undefined
        ? "its memory did not restore on the host it was made on"
        : `its memory was made for another machine: ${difference}`;
  }
  const disk = builds.find((build) => build.id === build.diskBuild);
  assert(disk !== undefined, "a template has a disk");
  return { how: "boot", build: disk, because };
}

/** How far the clock of an emulated processor may be from the one that the memory was made with. */
const tscTolerance = 0.001;

/** The first thing in which a shape is not this host's, as half a sentence; undefined when its memory runs here. */
export function shapeDifference(shape: HostShape, host: HostShape): string | undefined {
  for (const part of ["vmm", "vmmVersion", "machineType", "accelerator", "cpuModel"] as const) {
    if (shape[part] !== host[part]) return `${part} ${shape[part]}, here ${host[part]}`;
  }
  if (host.accelerator === "kvm") return undefined;
  const [made = 0, here = 0] = [shape.tscKhz, host.tscKhz];
  if (Math.abs(made - here) <= tscTolerance * here) return undefined;
  return `tscKhz ${made}, here ${here}`;
}
