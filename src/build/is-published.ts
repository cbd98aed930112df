import { Failure } from "../base/failure.ts";
import type { Bucket } from "../bucket/bucket.ts";
import { manifestKey } from "./object-keys.ts";

/** A build exists when its manifest does (C26). */
export async function isPublished(bucket: Bucket, build: string, signal: AbortSignal): Promise<boolean> {
  try {
    await bucket.head(manifestKey(build), signal);
    return true;
  } catch (error) {
    if (Failure.is(error, "not_found")) return false;
    throw error;
  }
}
