import { type FileHandle, open, readFile, rename } from "node:fs/promises";
import path from "node:path";
import { crc32 } from "node:zlib";
import { Failure } from "../base/failure.ts";
import type { ImageArtifact } from "../build/artifact.ts";

/**
 * What is kept, as records in the order in which it came to be. Layout: docs/formats.md, "Journal".
 * `open` and `clean` frame a run of the daemon: an `open` without a `clean` behind it tells of a crash.
 */
export type JournalRecord =
  | { readonly type: "open" }
  /** `suspect` names the builds of which something was still to be verified: an orderly end proves nothing (C22). */
  | { readonly type: "clean"; readonly suspect?: readonly string[] }
  | { readonly type: "build"; readonly build: string; readonly manifestDigest: string }
  | {
      readonly type: "chunks";
      readonly build: string;
      readonly artifact: ImageArtifact;
      /** Pairs of first chunk and count. */
      readonly ranges: readonly (readonly [number, number])[];
    }
  | { readonly type: "sealed"; readonly build: string }
  | { readonly type: "retired"; readonly build: string }
  | {
      readonly type: "dropped";
      readonly build: string;
      readonly artifact: ImageArtifact;
      readonly chunk: number;
    }
  | { readonly type: "used"; readonly build: string; readonly at: number }
  | { readonly type: "evicted"; readonly build: string }
  | { readonly type: "blob"; readonly digest: string; readonly bytes: number }
  | { readonly type: "blobGone"; readonly digest: string };

/** A journal this small is never compacted. */
const compactBytesMin = 64 * 1024;

/** An append-only file of checksummed lines. A torn tail, as a crash leaves it, ends the reading. */
export class Journal {
  readonly #path: string;
  #file: FileHandle;
  #bytes: number;
  #liveBytes: number;
  #waiting: { line: string; done: PromiseWithResolvers<void> }[] = [];
  #writing: Promise<void> | undefined;

  private constructor(path: string, file: FileHandle, bytes: number) {
    this.#path = path;
    this.#file = file;
    this.#bytes = bytes;
    this.#liveBytes = bytes;
  }

  /** The records of the journal in `directory`, up to the first that is damaged. */
  static async read(directory: string): Promise<JournalRecord[]> {
    const text = await readFile(path.join(directory, "journal"), "utf8").catch(
      (error: NodeJS.ErrnoException) => {
        if (error.code === "ENOENT") return "";
        throw Failure.from(error, "the journal of the shelf cannot be read");
      },
    );
    const records: JournalRecord[] = [];
    for (const line of text.split("\n")) {
      const record = parseLine(line);
      if (record === undefined) break;
      records.push(record);
    }
    return records;
  }

  /** Starts a new journal with `records`, which replaces the old one at once and whole. */
  static async start(directory: string, records: readonly JournalRecord[]): Promise<Journal> {
    const target = path.join(directory, "journal");
    const file = await open(`${target}.new`, "w", 0o600);
    const text = records.map(lineOf).join("");
    await file.writeFile(text);
    await file.sync();
    await rename(`${target}.new`, target);
    await syncDirectory(directory);
    return new Journal(target, file, Buffer.byteLength(text));
  }

  /** Resolves when the record is on the disk. Records are written in the order of the calls, many at a time. */
  append(record: JournalRecord): Promise<void> {
    const done = Promise.withResolvers<void>();
    this.#waiting.push({ line: lineOf(record), done });
    this.#writing ??= this.#write();
    return done.promise;
  }

  /** True when it has grown to twice the size that it had when it was last written anew. */
  get isWasteful(): boolean {
    return this.#bytes > compactBytesMin && this.#bytes > 2 * this.#liveBytes;
  }

  async close(): Promise<void> {
    await this.#writing;
    await this.#file.close();
  }

  async #write(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#waiting;
      this.#waiting = [];
      try {
        const text = batch.map(({ line }) => line).join("");
        // Behind what is good: a write that failed in the middle is written over.
        const bytes = Buffer.from(text);
        for (let at = 0; at < bytes.length; ) {
          at += (await this.#file.write(bytes, at, bytes.length - at, this.#bytes + at)).bytesWritten;
        }
        await this.#file.datasync();
        this.#bytes += bytes.length;
        for (const { done } of batch) done.resolve();
      } catch (error) {
        const failure = Failure.from(error, `the journal ${this.#path} cannot be written`);
        for (const { done } of batch) done.reject(failure);
      }
    }
    this.#writing = undefined;
  }
}

function lineOf(record: JournalRecord): string {
  const json = JSON.stringify(record);
  return `${crc32(json).toString(16).padStart(8, "0")} ${json}\n`;
}

function parseLine(line: string): JournalRecord | undefined {
  const json = line.slice(9);
  if (line.length < 10 || crc32(json).toString(16).padStart(8, "0") !== line.slice(0, 8)) return undefined;
  return JSON.parse(json) as JournalRecord;
}

export async function syncDirectory(directory: string): Promise<void> {
  await using handle = await open(directory, "r");
  await handle.sync();
}
