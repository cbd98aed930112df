import type { ImageArtifact } from "../build/artifact.ts";
import { ChunkSet } from "./chunk-set.ts";
import { type ChunkRanges, type JournalRecord, journalVersion } from "./journal-record.ts";

/** What the journal knows of a build. */
export interface KeptBuild {
  readonly manifestDigest: string;
  readonly chunks: Map<ImageArtifact, ChunkSet>;
  /** Its memfile was whole and read-only. */
  sealed: boolean;
  /** Somebody leased it when the last record was written. */
  leased: boolean;
  /** An operator wants it to stay. */
  pinned: boolean;
  /** When its last lease ended, in milliseconds since the epoch. */
  usedAt: number;
}

type RecordOfBuild = Extract<JournalRecord, { build: string }>;

/** What the records of a journal amount to, and the shortest list of records that says the same. */
export class Ledger {
  readonly builds = new Map<string, KeptBuild>();
  /** Digest → bytes. */
  readonly blobs = new Map<string, number>();
  #clean = true;
  #suspect: readonly string[] = [];

  constructor(records: Iterable<JournalRecord> = []) {
    for (const record of records) this.apply(record);
  }

  /** The last run ended in order: what was kept need not be verified again. */
  get clean(): boolean {
    return this.#clean;
  }

  /** Builds of which something has not been verified since an unclean stop, however the last run ended (C22). */
  get suspect(): Set<string> {
    return new Set(this.#clean ? this.#suspect : this.builds.keys());
  }

  apply(record: JournalRecord): void {
    this.#clean = record.type === "clean" || (record.type === "format" && this.#clean);
    if (record.type === "clean") this.#suspect = record.suspect ?? [];
    else if (record.type === "blob") this.blobs.set(record.digest, record.bytes);
    else if (record.type === "blobGone") this.blobs.delete(record.digest);
    else if ("build" in record) this.#applyTo(record);
  }

  records(): JournalRecord[] {
    const records: JournalRecord[] = [{ type: "format", version: journalVersion }];
    for (const [digest, bytes] of this.blobs) records.push({ type: "blob", digest, bytes });
    for (const [build, kept] of this.builds) {
      records.push({ type: "build", build, manifestDigest: kept.manifestDigest });
      for (const [artifact, chunks] of kept.chunks) {
        if (chunks.size > 0) records.push({ type: "chunks", build, artifact, ranges: chunks.ranges() });
      }
      if (kept.sealed) records.push({ type: "sealed", build });
      records.push({ type: "used", build, at: kept.usedAt });
      if (kept.leased) records.push({ type: "leased", build });
      if (kept.pinned) records.push({ type: "pinned", build });
    }
    records.push(this.#clean ? { type: "clean", suspect: this.#suspect } : { type: "open" });
    return records;
  }

  #applyTo(record: RecordOfBuild): void {
    if (record.type === "evicted") return void this.builds.delete(record.build);
    const kept = this.builds.get(record.build);
    if (record.type === "build") {
      if (kept?.manifestDigest === record.manifestDigest) return; // said again
      return void this.builds.set(record.build, freshBuild(record.manifestDigest));
    }
    if (kept === undefined) return; // nothing of a build counts without its manifest
    if (record.type === "chunks") {
      for (const chunk of chunksIn(record.ranges)) chunksOf(kept, record.artifact).add(chunk);
    } else if (record.type === "dropped") {
      const ranges = record.ranges ?? [[record.chunk ?? 0, 1]];
      for (const chunk of chunksIn(ranges)) chunksOf(kept, record.artifact).delete(chunk);
    } else changeState(kept, record);
  }
}

/** A build that the shelf holds nothing of yet but its manifest. */
export function freshBuild(manifestDigest: string): KeptBuild {
  return { manifestDigest, chunks: new Map(), sealed: false, leased: false, pinned: false, usedAt: 0 };
}

function changeState(kept: KeptBuild, record: RecordOfBuild): void {
  if (record.type === "sealed") kept.sealed = true;
  else if (record.type === "retired") {
    kept.sealed = false;
    kept.chunks.delete("memfile");
  } else if (record.type === "leased") kept.leased = true;
  else if (record.type === "used") {
    kept.leased = false;
    kept.usedAt = record.at;
  } else if (record.type === "pinned" || record.type === "unpinned") kept.pinned = record.type === "pinned";
}

function chunksOf(kept: KeptBuild, artifact: ImageArtifact): ChunkSet {
  const chunks = kept.chunks.get(artifact) ?? new ChunkSet();
  kept.chunks.set(artifact, chunks);
  return chunks;
}

function* chunksIn(ranges: ChunkRanges): Iterable<number> {
  for (const [first, count] of ranges) for (let i = 0; i < count; i++) yield first + i;
}
