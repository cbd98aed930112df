import assert from "node:assert/strict";
import { type ArtifactIndex, isBlockAligned, type Run } from "./artifact-index.ts";
import { joins } from "./index-rules.ts";

/** A range of the device that a child build has changed: stored by itself, or all zeros now. */
export interface Change {
  readonly offset: number;
  readonly length: number;
  readonly zero: boolean;
}

export interface Merged {
  readonly runs: Run[];
  /** Bytes of the child's own storage space: its changes, dense, in the order of the device. */
  readonly storageBytes: number;
}

/**
 * The runs of a child: its parent's, with `changes` (in order, apart from each other, whole blocks) laid over them.
 * Flat by nature: the parent's runs name the builds that hold the bytes, however old.
 */
export function mergeIndex(parent: ArtifactIndex, child: string, changes: readonly Change[]): Merged {
  const runs: Run[] = [];
  let at = 0;
  let storageBytes = 0;
  for (const change of changes) {
    assert.ok(change.offset >= at && change.length > 0, "changes are in order and apart");
    assert.ok(isBlockAligned(change.offset) && isBlockAligned(change.length), "changes are whole blocks");
    for (const piece of parent.locate(at, change.offset - at)) append(runs, piece);
    const place = change.zero
      ? { build: null, storageOffset: 0 }
      : { build: child, storageOffset: storageBytes };
    append(runs, { offset: change.offset, length: change.length, ...place });
    if (!change.zero) storageBytes += change.length;
    at = change.offset + change.length;
  }
  for (const piece of parent.locate(at, parent.deviceBytes - at)) append(runs, piece);
  return { runs, storageBytes };
}

/** Adds a run, joined with the last one when their places are contiguous. */
export function append(runs: Run[], run: Run): void {
  const last = runs.at(-1);
  if (last !== undefined && joins(last, run))
    runs[runs.length - 1] = { ...last, length: last.length + run.length };
  else runs.push(run);
}
