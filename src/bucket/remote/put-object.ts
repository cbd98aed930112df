import { randomUUID } from "node:crypto";
import { Failure } from "../../base/failure.ts";
import type { ObjectInfo, Resume } from "../bucket.ts";
import type { Header } from "../http/http-message.ts";
import { lookAt } from "./look-at.ts";
import { Multipart } from "./multipart.ts";
import type { Retries } from "./retries.ts";
import type { StoreClient } from "./store-client.ts";
import type { UploadBody } from "./upload-body.ts";

export interface PutObject {
  readonly key: string;
  readonly body: UploadBody;
  readonly onlyIfAbsent: boolean;
  /** More bytes than this are put in parts of so many. */
  readonly partBytes: number;
  readonly resume?: Resume | undefined;
}

/**
 * Puts an object. Each put marks the object as its own: when an answer gets lost and the next try is told that there
 * is such an object already, the mark tells whether it is ours.
 */
export async function putObject(
  client: StoreClient,
  retries: Retries,
  order: PutObject,
  signal: AbortSignal,
): Promise<ObjectInfo> {
  const { body, key, partBytes } = order;
  const mark = randomUUID();
  if (body.bytes > partBytes) return new Multipart({ client, retries, ...order, mark }).put(signal);
  const { dialect } = client;
  const headers: Header[] = [[dialect.markHeader, mark]];
  if (order.onlyIfAbsent) headers.push(dialect.ifAbsent);
  const what = `put ${key}`;
  const operation = { method: "PUT", what, key, headers, body: body.slice(0, body.bytes) } as const;
  return retries.run(async () => {
    try {
      using response = await client.send(operation, signal);
      await response.text(0).catch(() => {}); // no body is expected, and none of it would tell anything
      return { key, bytes: body.bytes, etag: response.headers.get("etag") ?? mark };
    } catch (error) {
      if (!Failure.is(error, "conflict")) throw error;
      const stored = await lookAt(client, key, signal);
      if (stored.mark !== mark) throw error;
      return { key, bytes: stored.bytes, etag: stored.etag };
    }
  }, signal);
}
