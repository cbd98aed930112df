import { crc32 } from "node:zlib";
import type { ImageArtifact } from "../build/artifact.ts";

/** Pairs of first chunk and count. */
export type ChunkRanges = readonly (readonly [number, number])[];

/** Version of the journal's format that is written. What each one means: docs/formats.md, "On the shelf". */
export const journalVersion = 2;

/**
 * What is kept, as records in the order in which it came to be. Layout: docs/formats.md, "On the shelf".
 * `open` and `clean` frame a run of the daemon: an `open` without a `clean` behind it tells of a crash.
 */
export type JournalRecord =
  /** The first record since version 2. */
  | { readonly type: "format"; readonly version: number }
  | { readonly type: "open" }
  /** `suspect` names the builds of which something was still to be verified: an orderly end proves nothing (C22). */
  | { readonly type: "clean"; readonly suspect?: readonly string[] }
  | { readonly type: "build"; readonly build: string; readonly manifestDigest: string }
  | {
      readonly type: "chunks";
      readonly build: string;
      readonly artifact: ImageArtifact;
      readonly ranges: ChunkRanges;
    }
  | { readonly type: "sealed" | "retired"; readonly build: string }
  | {
      readonly type: "dropped";
      readonly build: string;
      readonly artifact: ImageArtifact;
      /** Version 1 named one chunk. */
      readonly chunk?: number;
      readonly ranges?: ChunkRanges;
    }
  /** Since version 2: somebody leases it now, so a crash counts as the end of that lease. */
  | { readonly type: "leased"; readonly build: string }
  | { readonly type: "used"; readonly build: string; readonly at: number }
  | { readonly type: "pinned" | "unpinned"; readonly build: string }
  | { readonly type: "evicted"; readonly build: string }
  | { readonly type: "blob"; readonly digest: string; readonly bytes: number }
  | { readonly type: "blobGone"; readonly digest: string };

/** One line: the CRC-32 of the JSON as eight hex digits, a blank, the JSON. All versions are written like this. */
export function lineOf(record: JournalRecord): string {
  const json = JSON.stringify(record);
  return `${checksumOf(json)} ${json}\n`;
}

/** The records of a journal up to the first line that is damaged: a crash leaves a torn tail. */
export function parseLines(text: string): JournalRecord[] {
  const records: JournalRecord[] = [];
  for (const line of text.split("\n")) {
    const json = line.slice(9);
    if (line.length < 10 || checksumOf(json) !== line.slice(0, 8)) break;
    records.push(JSON.parse(json) as JournalRecord);
  }
  return records;
}

function checksumOf(json: string): string {
  return crc32(json).toString(16).padStart(8, "0");
}
