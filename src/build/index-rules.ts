import { blockBytes, chunkBytes } from "./artifact.ts";
import type { IndexLayout, Run } from "./artifact-index.ts";

/** Limits of an index; checked when it is written and when it is read. */
export const indexLimits = {
  /** 1 TiB. */
  deviceBytesMax: 2 ** 40,
  runsMax: 2 ** 22,
  /** Other builds that one artifact may refer to. */
  buildsMax: 1000,
  /** Largest encoded index: it is read into memory whole. */
  indexBytesMax: 256 * 2 ** 20,
} as const;

/** Says in a sentence which rule of an index `layout` breaks, or null. */
export function brokenRule(layout: IndexLayout): string | null {
  const { deviceBytes, storageBytes, runs, chunks } = layout;
  if (!isBlocks(deviceBytes) || deviceBytes > indexLimits.deviceBytesMax)
    return `a device of ${deviceBytes} bytes`;
  if (!isBlocks(storageBytes) || storageBytes > indexLimits.deviceBytesMax)
    return `storage of ${storageBytes} bytes`;
  if (runs.length > indexLimits.runsMax) return `${runs.length} runs`;
  if (chunks.length !== Math.ceil(storageBytes / chunkBytes)) {
    return `${chunks.length} chunks for ${storageBytes} bytes of storage`;
  }
  for (const [i, chunk] of chunks.entries()) {
    if (chunk === null) continue;
    if (chunk.digest.length !== 32) return `chunk ${i} has a digest of ${chunk.digest.length} bytes`;
    const bytes = Math.min(chunkBytes, storageBytes - i * chunkBytes);
    const fits = chunk.codec === "raw" ? chunk.packedBytes === bytes : chunk.packedBytes < bytes;
    if (!Number.isSafeInteger(chunk.packedBytes) || chunk.packedBytes < 1 || !fits) {
      return `chunk ${i} of ${bytes} bytes as ${chunk.codec} of ${chunk.packedBytes}`;
    }
  }
  return brokenRuns(layout);
}

function brokenRuns(layout: IndexLayout): string | null {
  const builds = new Set<string>();
  let at = 0;
  let previous: Run | undefined;
  for (const run of layout.runs) {
    if (run.offset !== at) return `a gap at ${at}`;
    if (!isBlocks(run.length) || run.length === 0) return `a run of ${run.length} bytes`;
    if (!isBlocks(run.storageOffset)) return `a run stored at ${run.storageOffset}`;
    if (run.build === null && run.storageOffset !== 0) return "zeros that are stored";
    if (run.build === layout.build && run.storageOffset + run.length > layout.storageBytes) {
      return `a run beyond the storage at ${run.offset}`;
    }
    if (run.build !== null && run.storageOffset + run.length > indexLimits.deviceBytesMax) {
      return `a run beyond every storage at ${run.offset}`;
    }
    if (previous !== undefined && joins(previous, run)) return `two runs that are one at ${run.offset}`;
    if (run.build !== null && run.build !== layout.build) builds.add(run.build);
    at += run.length;
    previous = run;
  }
  if (at !== layout.deviceBytes) return `runs end at ${at} of ${layout.deviceBytes}`;
  return builds.size > indexLimits.buildsMax ? `${builds.size} ancestors` : null;
}

/** True when `second` goes on where `first` ends, on the device and in storage. */
export function joins(first: Run, second: Run): boolean {
  if (first.build !== second.build) return false;
  return first.build === null || first.storageOffset + first.length === second.storageOffset;
}

function isBlocks(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0 && value % blockBytes === 0;
}
