import { Failure } from "../../base/failure.ts";
import { type ListedObject, listLimitMax, type ObjectPage } from "../bucket.ts";
import { isKeySegment } from "../object-key.ts";
import type { Retries } from "./retries.ts";
import type { StoreClient } from "./store-client.ts";
import { partsOf, textOf } from "./xml.ts";

export interface Listing {
  /** Of the bucket's keys; put before those of the listing, and taken off again. */
  readonly rootPrefix: string;
  readonly prefix: string;
  readonly after: string;
  readonly limit: number;
}

/** What was found, and how far the store has looked. */
interface Found {
  readonly objects: readonly ListedObject[];
  /** The last key, whether it could be one of ours or not; undefined when there is nothing more. */
  readonly lookedUpTo: string | undefined;
}

/** One page of the objects, by `ListObjectsV2`. What could be no key of ours is left out. */
export async function listObjects(
  client: StoreClient,
  retries: Retries,
  listing: Listing,
  signal: AbortSignal,
): Promise<ObjectPage> {
  const { limit } = listing;
  const objects: ListedObject[] = [];
  let after: string | undefined = listing.after;
  while (after !== undefined) {
    const rest: Listing = { ...listing, after, limit: Math.min(limit - objects.length + 1, listLimitMax) };
    const found = await retries.run(() => look(client, rest, signal), signal);
    objects.push(...found.objects);
    const last = objects[limit - 1];
    // One more than was asked for has been looked for: so it is known whether there are more.
    if (objects.length > limit && last !== undefined)
      return { objects: objects.slice(0, limit), next: last.key };
    if (objects.length === limit && last !== undefined && found.lookedUpTo !== undefined)
      return { objects, next: last.key };
    after = found.lookedUpTo;
  }
  return { objects };
}

async function look(client: StoreClient, listing: Listing, signal: AbortSignal): Promise<Found> {
  const { after, limit, prefix, rootPrefix } = listing;
  const query: [string, string][] = [
    ["list-type", "2"],
    ["max-keys", String(limit)],
  ];
  if (rootPrefix + prefix !== "") query.push(["prefix", rootPrefix + prefix]);
  if (after !== "") query.push(["start-after", rootPrefix + after]);
  const operation = { method: "GET", what: `list ${prefix}*`, query } as const;
  const text = await client.document(operation, "ListBucketResult", signal);
  const entries = partsOf(text, "Contents").map((entry) => ({
    key: textOf(entry, "Key")?.slice(rootPrefix.length) ?? "",
    bytes: Number(textOf(entry, "Size") ?? Number.NaN),
    etag: textOf(entry, "ETag") ?? "",
    modifiedAt: Date.parse(textOf(entry, "LastModified") ?? ""),
  }));
  const broken = new Failure("unavailable", `list ${prefix}*: the list makes no sense`);
  // The prefix alone may be an object of somebody who makes folders.
  const follows = (key: string) => key.startsWith(prefix) && (key > after || after === "");
  const isWhole = (entry: ListedObject) => [entry.bytes, entry.modifiedAt].every(Number.isSafeInteger);
  if (!entries.every((entry) => isWhole(entry) && follows(entry.key))) throw broken;
  const truncated = textOf(text, "IsTruncated") === "true";
  const last = entries.at(-1);
  if (truncated && last === undefined) throw broken;
  const objects = entries.filter(({ key }) => key.split("/").every(isKeySegment));
  return { objects, lookedUpTo: truncated ? last?.key : undefined };
}
