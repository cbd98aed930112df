import { stat } from "node:fs/promises";
import type { Clock } from "../base/clock.ts";
import { Failure } from "../base/failure.ts";
import type { Bucket, ListedObject } from "../bucket/bucket.ts";
import { freshMsMax } from "./grace.ts";

/** The object of this very key, as a list shows it. */
export async function listed(
  bucket: Bucket,
  key: string,
  signal: AbortSignal,
): Promise<ListedObject | undefined> {
  // Of all keys that begin so, the key itself comes first.
  const [first] = (await bucket.list(key, { limit: 1 }, signal)).objects;
  return first?.key === key ? first : undefined;
}

export interface PutTools {
  readonly clock: Pick<Clock, "now">;
  /** Aborts when this process goes: then what has been put of a file stays, and the next run goes on with it. */
  readonly leaving?: AbortSignal;
}

/**
 * Puts a file whose content its key decides, unless it is there already: whole, and so young that no collection can be
 * about to remove it. So what broke off goes on with the object that it broke off at, a large one with its parts.
 */
export async function putOnce(
  bucket: Bucket,
  { key, file }: { readonly key: string; readonly file: string },
  { clock, leaving }: PutTools,
  signal: AbortSignal,
): Promise<void> {
  const { size: bytes } = await stat(file);
  const there = await listed(bucket, key, signal);
  if (there?.bytes === bytes && clock.now() - there.modifiedAt < freshMsMax) return;
  try {
    const options = there === undefined ? { ifNoneMatch: "*" as const } : {};
    const resume = leaving && { noteAt: `${file}.upload`, leaving };
    await bucket.put(key, { path: file, bytes, ...(resume && { resume }) }, options, signal);
  } catch (error) {
    if (!Failure.is(error, "conflict")) throw error; // somebody else was faster
  }
}
