import { Failure } from "../../base/failure.ts";
import type { ObjectInfo } from "../bucket.ts";
import type { StoreClient } from "./store-client.ts";

export interface Stored extends ObjectInfo {
  /** Of the put that made it; undefined when it was none of ours. */
  readonly mark: string | undefined;
}

/** What is known of an object without its bytes. */
export async function lookAt(client: StoreClient, key: string, signal: AbortSignal): Promise<Stored> {
  using response = await client.send({ method: "HEAD", what: `look at ${key}`, key }, signal);
  const bytes = Number(response.headers.get("content-length") ?? Number.NaN);
  const etag = response.headers.get("etag");
  if (!Number.isSafeInteger(bytes) || etag === undefined)
    throw new Failure("unavailable", `look at ${key}: the answer tells neither length nor etag`);
  return { key, bytes, etag, mark: response.headers.get(client.dialect.markHeader) };
}
