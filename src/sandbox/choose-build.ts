import assert from "node:assert/strict";
import type { MachineShape } from "../build/manifest.ts";
import { sameShape } from "../machine/machine-shape.ts";
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
    const comparison = sameShape(build.shape, host);
    if (comparison.same && !build.coldBoot) return { how: "restore", build };
    because = comparison.same
      ? "its memory did not restore on the host it was made on"
      : `its memory was made for another machine: ${comparison.reason}`;
  }
  const disk = builds.find((build) => build.id === build.diskBuild);
  assert(disk !== undefined, "a template has a disk");
  return { how: "boot", build: disk, because };
}
