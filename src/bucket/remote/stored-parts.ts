import { Failure } from "../../base/failure.ts";
import type { Retries } from "./retries.ts";
import type { StoreClient } from "./store-client.ts";
import { partsOf, textOf } from "./xml.ts";

export interface StoredPart {
  readonly etag: string;
  readonly bytes: number;
}

interface Upload {
  readonly key: string;
  readonly upload: string;
}

/** What has been put of an upload, by the parts' numbers from 1. Throws `not_found` when the upload is no more. */
export async function storedParts(
  client: StoreClient,
  retries: Retries,
  upload: Upload,
  signal: AbortSignal,
): Promise<Map<number, StoredPart>> {
  const stored = new Map<number, StoredPart>();
  for (let after: number | undefined = 0; after !== undefined; ) {
    const from: number = after;
    after = await retries.run(() => look(client, upload, from, stored, signal), signal);
  }
  return stored;
}

/** Adds one page; resolves to the last number on it when there are more. */
async function look(
  client: StoreClient,
  { key, upload }: Upload,
  after: number,
  stored: Map<number, StoredPart>,
  signal: AbortSignal,
): Promise<number | undefined> {
  const query: [string, string][] = [
    ["part-number-marker", String(after)],
    ["uploadId", upload],
  ];
  const what = `look what has been put of ${key}`;
  const text = await client.document({ method: "GET", what, key, query }, "ListPartsResult", signal);
  let last = after;
  for (const part of partsOf(text, "Part")) {
    const [number, bytes] = [Number(textOf(part, "PartNumber")), Number(textOf(part, "Size"))];
    stored.set(number, { etag: textOf(part, "ETag") ?? "", bytes });
    last = Math.max(last, number);
  }
  if (textOf(text, "IsTruncated") !== "true") return undefined;
  if (last === after) throw new Failure("unavailable", `${what}: the list makes no sense`);
  return last;
}
