import type { Bucket } from "../bucket/bucket.ts";
import { manifestKey } from "./object-keys.ts";

/** Deletes a build, the manifest first: from then on it does not exist. Inputs stay, others may name them too. */
export async function deleteBuild(bucket: Bucket, build: string, signal: AbortSignal): Promise<void> {
  await bucket.delete(manifestKey(build), signal);
  const { objects } = await bucket.list(`builds/${build}/`, {}, signal);
  for (const { key } of objects) await bucket.delete(key, signal);
}
