import { readdir, rm, stat } from "node:fs/promises";
import path from "node:path";
import type { ImageArtifact } from "../build/artifact.ts";
import type { JournalRecord } from "./journal.ts";
import type { KeptBuild } from "./residence.ts";

interface MutableBuild {
  readonly manifestDigest: string;
  readonly chunks: Map<ImageArtifact, Set<number>>;
  sealed: boolean;
  usedAt: number;
}

/** What the records of a journal amount to. */
export interface Remembered {
  readonly builds: ReadonlyMap<string, KeptBuild>;
  /** Digest → bytes. */
  readonly blobs: ReadonlyMap<string, number>;
  /** The last run ended in order: what was kept need not be verified again. */
  readonly clean: boolean;
  /** Builds of which something has not been verified since an unclean stop, however the last run ended. */
  readonly suspect: ReadonlySet<string>;
}

/** Adds up the records of a journal. Pure. */
export function replay(records: readonly JournalRecord[]): Remembered {
  const builds = new Map<string, MutableBuild>();
  const blobs = new Map<string, number>();
  for (const record of records) {
    if (record.type === "blob") blobs.set(record.digest, record.bytes);
    else if (record.type === "blobGone") blobs.delete(record.digest);
    else if ("build" in record) apply(builds, record);
  }
  const last = records.at(-1);
  const clean = last === undefined || last.type === "clean";
  const suspect = new Set(last?.type === "clean" ? last.suspect : builds.keys());
  return { builds, blobs, clean, suspect };
}

function apply(builds: Map<string, MutableBuild>, record: Extract<JournalRecord, { build: string }>): void {
  if (record.type === "evicted") return void builds.delete(record.build);
  if (record.type === "build") {
    const { build, manifestDigest } = record;
    builds.set(build, { manifestDigest, chunks: new Map(), sealed: false, usedAt: 0 });
    return;
  }
  const build = builds.get(record.build);
  if (build === undefined) return;
  switch (record.type) {
    case "chunks": {
      const chunks = chunksOf(build, record.artifact);
      for (const [first, count] of record.ranges) for (let i = 0; i < count; i++) chunks.add(first + i);
      break;
    }
    case "dropped":
      chunksOf(build, record.artifact).delete(record.chunk);
      break;
    case "sealed":
      build.sealed = true;
      break;
    case "retired":
      build.sealed = false;
      build.chunks.delete("memfile");
      break;
    case "used":
      build.usedAt = record.at;
      break;
  }
}

function chunksOf(build: MutableBuild, artifact: ImageArtifact): Set<number> {
  const chunks = build.chunks.get(artifact) ?? new Set<number>();
  build.chunks.set(artifact, chunks);
  return chunks;
}

/** Removes directories and files below `shelf` that no record explains; resolves to how many there were. */
export async function removeUnexplained(shelf: string, remembered: Remembered): Promise<number> {
  let removed = 0;
  const sweep = async (folder: string, isKnown: (name: string) => boolean) => {
    for (const name of await readdir(path.join(shelf, folder)).catch(() => [])) {
      if (isKnown(name)) continue;
      await rm(path.join(shelf, folder, name), { recursive: true, force: true });
      removed += 1;
    }
  };
  await sweep("builds", (name) => remembered.builds.has(name));
  for (const build of remembered.builds.keys()) await sweep(`builds/${build}`, isFileOfBuild);
  await sweep("blobs", (name) => remembered.blobs.has(name));
  return removed;
}

/** Bytes of the whole files of a build: all but the chunks. */
export async function wholeFileBytes(directory: string): Promise<number> {
  let bytes = 0;
  for (const name of await readdir(directory).catch(() => [])) {
    if (/\.index$|^(?:snap|meta)file$/.test(name)) bytes += (await stat(path.join(directory, name))).size;
  }
  return bytes;
}

function isFileOfBuild(name: string): boolean {
  return /^(?:manifest\.json|snapfile|metafile|(?:rootfs|memfile)\.(?:index|data))$/.test(name);
}
