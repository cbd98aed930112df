import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { pipeline } from "node:stream/promises";
import type { Bucket } from "../bucket/bucket.ts";
import type { FileEntry } from "./manifest.ts";
import { blobKey } from "./object-keys.ts";
import { putOnce, type PutTools } from "./put-once.ts";

/**
 * Puts a file under its digest. One that is there already is left alone, unless it has the wrong length, or is so old
 * that a collection may be about to remove it: then the same is put again.
 */
export async function putBlob(
  bucket: Bucket,
  file: string,
  tools: PutTools,
  signal: AbortSignal,
): Promise<FileEntry> {
  const entry = await fileEntry(file, signal);
  await putOnce(bucket, { key: blobKey(entry.digest), file }, tools, signal);
  return entry;
}

/** What a manifest says of a file that is put as it is. */
export async function fileEntry(file: string, signal: AbortSignal): Promise<FileEntry> {
  const sum = createHash("sha256");
  await pipeline(createReadStream(file), sum, { signal });
  const { size: bytes } = await stat(file);
  return { bytes, digest: sum.digest("hex") };
}
