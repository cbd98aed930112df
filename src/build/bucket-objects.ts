import type { Bucket } from "../bucket/bucket.ts";
import { keyOf } from "./object-keys.ts";
import type { ObjectSource } from "./object-source.ts";

/** Whole objects from a bucket; not verified. */
export function bucketObjects(bucket: Bucket): ObjectSource {
  return { name: "bucket", read: (object, signal) => bucket.read(keyOf(object), undefined, signal) };
}
