import { constants, zstdCompressSync, zstdDecompressSync } from "node:zlib";
import { Failure } from "../base/failure.ts";

/** Pages of the memory that follow each other, and what they hold. */
export interface PageRun {
  /** Of its first byte, in the memory. */
  readonly offset: number;
  readonly bytes: Uint8Array;
}

const magic = Buffer.from("LARDERFP");
const version = 1;
/** Magic, version, number of runs. */
const headBytes = 13;
const runBytes = 8;
export const pageBytes = 4096;
/** More pages are not first ones: 64 MiB. */
export const firstPagesMax = 16_384;
/** A few per cent smaller than the library's own choice, for a template that is packed once and fetched often. */
const compressionLevel = 6;

/** Of pages, each named by its number, those that follow each other: first and count, in order. */
export function runsOf(pages: Iterable<number>): { readonly page: number; readonly pages: number }[] {
  const runs: { page: number; pages: number }[] = [];
  for (const page of [...new Set(pages)].sort((a, b) => a - b)) {
    const last = runs.at(-1);
    if (last !== undefined && last.page + last.pages === page) last.pages += 1;
    else runs.push({ page, pages: 1 });
  }
  return runs;
}

/** First pages as the file `firstpages` of a build holds them; layout: docs/formats.md. Whole pages, in order. */
export function encodeFirstPages(runs: readonly PageRun[]): Buffer {
  const head = Buffer.alloc(headBytes + runs.length * runBytes);
  magic.copy(head);
  head.writeUInt8(version, magic.length);
  head.writeUInt32BE(runs.length, magic.length + 1);
  for (const [index, { bytes, offset }] of runs.entries()) {
    head.writeUInt32BE(offset / pageBytes, headBytes + index * runBytes);
    head.writeUInt32BE(bytes.length / pageBytes, headBytes + index * runBytes + 4);
  }
  const params = { [constants.ZSTD_c_compressionLevel]: compressionLevel };
  return Buffer.concat([head, zstdCompressSync(Buffer.concat(runs.map(({ bytes }) => bytes)), { params })]);
}

/** Throws `corrupt` for what is none, `invalid` for what a newer version has written. */
export function decodeFirstPages(file: Buffer, memoryBytes: number): PageRun[] {
  const wrong = (what: string, cause?: unknown) => new Failure("corrupt", `first pages ${what}`, { cause });
  if (file.length < headBytes || !file.subarray(0, magic.length).equals(magic)) throw wrong("are none");
  const found = file.readUInt8(magic.length);
  if (found > version)
    throw new Failure("invalid", `first pages of version ${found}; this program reads up to ${version}`);
  const count = file.readUInt32BE(magic.length + 1);
  const bodyAt = headBytes + count * runBytes;
  if (found !== version || count > firstPagesMax || bodyAt > file.length) throw wrong("are cut off");
  const places: { readonly offset: number; readonly length: number }[] = [];
  let total = 0;
  let end = 0;
  for (let at = headBytes; at < bodyAt; at += runBytes) {
    const offset = file.readUInt32BE(at) * pageBytes;
    const length = file.readUInt32BE(at + 4) * pageBytes;
    if (offset < end || length === 0 || offset + length > memoryBytes) throw wrong("lie in no order");
    places.push({ offset, length });
    end = offset + length;
    total += length;
  }
  if (total > firstPagesMax * pageBytes) throw wrong("are too many");
  const bytes = unpacked(file.subarray(bodyAt), total);
  if (bytes?.length !== total) throw wrong("do not hold what they name");
  let at = 0;
  return places.map(({ offset, length }) => ({ offset, bytes: bytes.subarray(at, (at += length)) }));
}

function unpacked(frame: Buffer, bytes: number): Buffer | undefined {
  try {
    return zstdDecompressSync(frame, { maxOutputLength: Math.max(1, bytes) });
  } catch {
    return undefined;
  }
}
