import assert from "node:assert/strict";
import { Failure } from "../base/failure.ts";
import type { ByteRange } from "./bucket.ts";

/** Throws `corrupt` when an object of `bytes` bytes ends before the range does. */
export function checkRange({ offset, length }: ByteRange, bytes: number, key: string): void {
  assert.ok(Number.isSafeInteger(offset) && offset >= 0 && Number.isSafeInteger(length) && length >= 0);
  if (offset + length > bytes) {
    throw new Failure("corrupt", `${key} ends at ${bytes}, before ${offset + length}`);
  }
}
