import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { pipeline } from "node:stream/promises";
import { Failure } from "../base/failure.ts";
import type { Bucket } from "../bucket/bucket.ts";
import type { FileEntry } from "./manifest.ts";
import { blobKey } from "./object-keys.ts";

/**
 * Puts a file under its digest. One that is there already is left alone: a blob is never overwritten, except one of
 * the wrong length, which is none.
 */
export async function putBlob(bucket: Bucket, file: string, signal: AbortSignal): Promise<FileEntry> {
  const sum = createHash("sha256");
  await pipeline(createReadStream(file), sum, { signal });
  const digest = sum.digest("hex");
  const { size: bytes } = await stat(file);
  const there = await bytesOf(bucket, blobKey(digest), signal);
  if (there === bytes) return { bytes, digest };
  try {
    const options = there === undefined ? { ifNoneMatch: "*" as const } : {};
    await bucket.put(blobKey(digest), { path: file, bytes }, options, signal);
  } catch (error) {
    if (!Failure.is(error, "conflict")) throw error; // somebody else was faster
  }
  return { bytes, digest };
}

async function bytesOf(bucket: Bucket, key: string, signal: AbortSignal): Promise<number | undefined> {
  try {
    return (await bucket.head(key, signal)).bytes;
  } catch (error) {
    if (Failure.is(error, "not_found")) return undefined;
    throw error;
  }
}
