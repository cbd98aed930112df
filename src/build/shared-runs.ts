import type { SharedRuns } from "../base/shared-image.ts";
import type { Run, StoredChunk } from "./artifact-index.ts";

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

/** One bit a chunk: it is zeros. */
export function sharedZeros(chunks: readonly StoredChunk[]): Int32Array {
  const zeros = new Int32Array(new SharedArrayBuffer(4 * Math.max(1, Math.ceil(chunks.length / 32))));
  for (const [i, chunk] of chunks.entries()) {
    if (chunk === null) zeros[i >> 5] = (zeros[i >> 5] ?? 0) | (1 << (i & 31));
  }
  return zeros;
}
