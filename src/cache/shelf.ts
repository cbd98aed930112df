import { mkdir, stat } from "node:fs/promises";
import path from "node:path";
import { FileLock } from "../base/file-lock.ts";
import { Journal, type JournalRecord } from "./journal.ts";
import { rangesOf } from "./chunk-file.ts";
import { type Remembered, removeUnexplained, replay } from "./recovery.ts";
import type { KeptBuild } from "./residence.ts";

/**
 * The node's own disk, as one process finds and owns it.
 * Layout: docs/formats.md, "On the shelf".
 */
export interface Shelf {
  readonly directory: string;
  readonly lock: FileLock;
  readonly journal: Journal;
  readonly remembered: Remembered;
  /** Files and directories that no record explained. */
  readonly removed: number;
}

/** Takes the shelf for this process; throws `conflict`, naming the holder, when another one has it (C21). */
export async function openShelf(directory: string): Promise<Shelf> {
  await mkdir(path.join(directory, "builds"), { recursive: true, mode: 0o700 });
  await mkdir(path.join(directory, "blobs"), { recursive: true, mode: 0o700 });
  const lock = FileLock.take(path.join(directory, "lock"), `process ${process.pid}`);
  try {
    const remembered = replay(await Journal.read(directory));
    const removed = await removeUnexplained(directory, remembered);
    const journal = await Journal.start(directory, [...recordsOf(remembered), { type: "open" }]);
    return { directory, lock, journal, remembered, removed };
  } catch (error) {
    lock[Symbol.dispose]();
    throw error;
  }
}

export function buildDirectory(shelf: string, build: string): string {
  return path.join(shelf, "builds", build);
}

/** The shortest journal that says the same. */
export function recordsOf({ builds, blobs }: Pick<Remembered, "builds" | "blobs">): JournalRecord[] {
  const records: JournalRecord[] = [...blobs].map(([digest, bytes]) => ({ type: "blob", digest, bytes }));
  for (const [build, kept] of builds) {
    records.push({ type: "build", build, manifestDigest: kept.manifestDigest });
    for (const [artifact, chunks] of kept.chunks) {
      if (chunks.size > 0) records.push({ type: "chunks", build, artifact, ranges: rangesOf([...chunks]) });
    }
    if (kept.sealed) records.push({ type: "sealed", build });
    records.push({ type: "used", build, at: kept.usedAt });
  }
  return records;
}

/** Bytes of the blobs that are really there. */
export async function blobBytes(directory: string, blobs: ReadonlyMap<string, number>): Promise<number> {
  let bytes = 0;
  for (const digest of blobs.keys()) {
    bytes += (await stat(path.join(directory, "blobs", digest)).catch(() => undefined))?.size ?? 0;
  }
  return bytes;
}

/** A build that the shelf holds nothing of yet. */
export function freshBuild(manifestDigest: string): KeptBuild {
  return { manifestDigest, chunks: new Map(), sealed: false, usedAt: 0 };
}
