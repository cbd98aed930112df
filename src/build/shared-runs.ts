import type { SharedRuns } from "../base/shared-image.ts";
import type { Run } from "./artifact-index.ts";

/** Runs as plain numbers in shared memory. `builds` gives each file its number. */
export function sharedRuns(runs: readonly Run[], builds: readonly string[], deviceBytes: number): SharedRuns {
  const numbers = new Map(builds.map((build, number) => [build, number]));
  const shared = {
    offsets: new Float64Array(new SharedArrayBuffer(8 * (runs.length + 1))),
    files: new Int32Array(new SharedArrayBuffer(4 * runs.length)),
    positions: new Float64Array(new SharedArrayBuffer(8 * runs.length)),
  };
  for (const [i, run] of runs.entries()) {
    shared.offsets[i] = run.offset;
    shared.files[i] = run.build === null ? -1 : (numbers.get(run.build) ?? -1);
    shared.positions[i] = run.storageOffset;
  }
  shared.offsets[runs.length] = deviceBytes;
  return shared;
}
