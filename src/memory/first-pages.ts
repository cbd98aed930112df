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

/** First pages as the image `firstpages` of a build holds them; layout: docs/formats.md. Whole pages, in order. */
export function encodeFirstPages(runs: readonly PageRun[]): Buffer {
  const head = Buffer.alloc(headPages(runs.length) * pageBytes);
  magic.copy(head);
  head.writeUInt8(version, magic.length);
  head.writeUInt32BE(runs.length, magic.length + 1);
  for (const [index, { bytes, offset }] of runs.entries()) {
    head.writeUInt32BE(offset / pageBytes, headBytes + index * runBytes);
    head.writeUInt32BE(bytes.length / pageBytes, headBytes + index * runBytes + 4);
  }
  return Buffer.concat([head, ...runs.map(({ bytes }) => bytes)]);
}

/** Throws `corrupt` for what is none, `invalid` for what a newer version has written. */
export function decodeFirstPages(image: Buffer, memoryBytes: number): PageRun[] {
  const wrong = (what: string) => new Failure("corrupt", `first pages ${what}`);
  if (image.length < headBytes || !image.subarray(0, magic.length).equals(magic)) throw wrong("are none");
  const found = image.readUInt8(magic.length);
  if (found > version)
    throw new Failure("invalid", `first pages of version ${found}; this program reads up to ${version}`);
  const count = image.readUInt32BE(magic.length + 1);
  let at = headPages(count) * pageBytes;
  if (found !== version || count > firstPagesMax || at > image.length) throw wrong("are cut off");
  const runs: PageRun[] = [];
  let end = 0;
  for (let index = 0; index < count; index++) {
    const offset = image.readUInt32BE(headBytes + index * runBytes) * pageBytes;
    const length = image.readUInt32BE(headBytes + index * runBytes + 4) * pageBytes;
    if (offset < end || length === 0 || offset + length > memoryBytes) throw wrong("lie in no order");
    if (at + length > image.length) throw wrong("are cut off");
    runs.push({ offset, bytes: image.subarray(at, at + length) });
    end = offset + length;
    at += length;
  }
  if (at !== image.length) throw wrong("are followed by something");
  return runs;
}

/** Pages that the head takes, with its list of runs. */
function headPages(runs: number): number {
  return Math.ceil((headBytes + runs * runBytes) / pageBytes);
}
