import { z } from "zod";
import { Failure } from "../base/failure.ts";
import type { Bucket } from "../bucket/bucket.ts";
import { storeKey } from "./object-keys.ts";
import { readSmall } from "./read-small.ts";

/** Version of the layout of a bucket as a whole. */
const bucketVersion = 1;
/** Largest `larder.json` that is read, in bytes. */
const ownerBytesMax = 4096;

const owner = z.object({ formatVersion: z.int().min(1), store: z.string().min(1).max(200) });

/**
 * Writes into an unowned bucket whose it is: the id of the store. A bucket of the same store is fine.
 * Throws `conflict` for a bucket that belongs to another store, `invalid` for one of a newer version,
 * `corrupt` when it cannot be told.
 */
export async function claimBucket(bucket: Bucket, store: string, signal: AbortSignal): Promise<void> {
  const claim = Buffer.from(`${JSON.stringify({ formatVersion: bucketVersion, store })}\n`);
  try {
    await bucket.put(storeKey, claim, { ifNoneMatch: "*" }, signal);
  } catch (error) {
    if (!Failure.is(error, "conflict")) throw error;
    await checkOwner(bucket, store, signal);
  }
}

/** Throws `conflict` unless the bucket is this store's. Writes nothing. */
export async function checkOwner(bucket: Bucket, store: string, signal: AbortSignal): Promise<void> {
  const owner = await ownerOf(bucket, signal);
  if (owner !== store) {
    const remedy =
      "'larder template import' makes this one a copy of it, if it is lost or the bucket is shared";
    throw new Failure("conflict", `${bucket.name} belongs to another store, ${owner}; ${remedy}`);
  }
}

/** The id of the store that a bucket belongs to. Throws `not_found` when it belongs to none. */
export async function ownerOf(bucket: Bucket, signal: AbortSignal): Promise<string> {
  const text = String(await readSmall(bucket, storeKey, ownerBytesMax, signal));
  const { data } = owner.safeParse(parse(text));
  if (data === undefined)
    throw new Failure("corrupt", `${storeKey} in ${bucket.name} does not say whose bucket it is`);
  if (data.formatVersion > bucketVersion) {
    throw new Failure(
      "invalid",
      `${bucket.name} has format version ${data.formatVersion}; this program reads up to ${bucketVersion}`,
    );
  }
  return data.store;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
