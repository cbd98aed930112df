import assert from "node:assert/strict";
import { Gate } from "../../base/gate.ts";
import {
  type Bucket,
  type ByteRange,
  type ListOptions,
  listLimitMax,
  type ObjectInfo,
  type ObjectPage,
  type PutFile,
  type PutOptions,
} from "../bucket.ts";
import type { HttpClient } from "../http/http-client.ts";
import { checkKey, checkPrefix } from "../object-key.ts";
import type { BucketLocation } from "./bucket-location.ts";
import { listObjects } from "./list-objects.ts";
import { lookAt } from "./look-at.ts";
import { proveConditions } from "./prove-conditions.ts";
import { putObject } from "./put-object.ts";
import { readObject } from "./read-object.ts";
import type { Retries } from "./retries.ts";
import type { StoreClient } from "./store-client.ts";
import { openBody } from "./upload-body.ts";

export interface RemoteBucketOptions {
  readonly location: BucketLocation;
  readonly http: HttpClient;
  readonly client: StoreClient;
  readonly retries: Retries;
  /** Larger objects are put in parts of this size; at least 5 MiB for a real server. */
  readonly partBytes: number;
}

/** A bucket of an object store: S3, or one that speaks as it does. */
export class RemoteBucket implements Bucket {
  readonly name: string;
  readonly #options: RemoteBucketOptions;
  readonly #proving = new Gate({ capacity: 1, waitersMax: 10_000, name: "proving conditions" });
  #proven = false;

  constructor(options: RemoteBucketOptions) {
    this.#options = options;
    const { bucket, prefix, service } = options.location;
    this.name = `${service}://${bucket}/${prefix}`.replace(/\/$/, "");
  }

  async head(key: string, signal: AbortSignal): Promise<ObjectInfo> {
    checkKey(key);
    signal.throwIfAborted();
    const { client, retries } = this.#options;
    const { bytes, etag } = await retries.run(() => lookAt(client, key, signal), signal);
    return { key, bytes, etag };
  }

  read(key: string, range: ByteRange | undefined, signal: AbortSignal): AsyncIterable<Uint8Array> {
    const { client, retries } = this.#options;
    return readObject(client, retries, key, range, signal);
  }

  async put(key: string, body: Uint8Array | PutFile, options: PutOptions, signal: AbortSignal) {
    checkKey(key);
    signal.throwIfAborted();
    const { client, partBytes, retries } = this.#options;
    await using opened = await openBody(body);
    const onlyIfAbsent = options.ifNoneMatch === "*";
    if (onlyIfAbsent && !this.#proven) await this.#prove(key, signal);
    const resume = body instanceof Uint8Array ? undefined : body.resume;
    const order = { key, body: opened, onlyIfAbsent, partBytes, resume };
    return await putObject(client, retries, order, signal);
  }

  async list(prefix: string, options: ListOptions, signal: AbortSignal): Promise<ObjectPage> {
    checkPrefix(prefix);
    signal.throwIfAborted();
    const limit = Math.min(options.limit ?? listLimitMax, listLimitMax);
    assert.ok(limit >= 1, "a page has room for an object");
    const { client, location, retries } = this.#options;
    const listing = { rootPrefix: location.prefix, prefix, after: options.after ?? "", limit };
    return listObjects(client, retries, listing, signal);
  }

  async delete(key: string, signal: AbortSignal): Promise<void> {
    checkKey(key);
    signal.throwIfAborted();
    const { client, retries } = this.#options;
    const operation = { method: "DELETE", what: `delete ${key}`, key, accepts: [404] } as const;
    await retries.run(async () => {
      using _response = await client.send(operation, signal);
    }, signal);
  }

  /** Once for all who put something new at the same time. */
  async #prove(key: string, signal: AbortSignal): Promise<void> {
    const { client, retries } = this.#options;
    using _pass = await this.#proving.enter(signal);
    if (!this.#proven) await proveConditions(client, retries, key, signal);
    this.#proven = true;
  }

  /** Waits for nothing but the closing of connections: what is under way fails. */
  close(): Promise<void> {
    return this.#options.http.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
