import { Failure } from "../base/failure.ts";

/** Longest key, in bytes: S3's and GCS's limit. */
const keyBytesMax = 1024;
/** Longest segment of a key, in bytes: that of a file's name. */
const segmentBytesMax = 255;
const segmentPattern = /^[A-Za-z0-9._-]+$/;

/** Throws `invalid` unless `key` is `segment/segment/…` of plain characters, without `.` and `..`. */
export function checkKey(key: string): void {
  if (!key.split("/").every(isKeySegment) || key.length > keyBytesMax) {
    throw new Failure("invalid", `'${key.slice(0, 80)}' is no key of an object`);
  }
}

/** Throws `invalid` unless `prefix` is the start of a key, or empty. */
export function checkPrefix(prefix: string): void {
  if (prefix !== "") checkKey(prefix.endsWith("/") ? prefix.slice(0, -1) : prefix);
}

/** True for what may stand between two slashes of a key. */
export function isKeySegment(segment: string): boolean {
  return segmentPattern.test(segment) && !/^\.\.?$/.test(segment) && segment.length <= segmentBytesMax;
}
