import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { type Clock, systemClock } from "../base/clock.ts";
import { Failure } from "../base/failure.ts";
import {
  type Bucket,
  type ByteRange,
  type ListOptions,
  listLimitMax,
  type ObjectInfo,
  type ObjectPage,
  type PutFile,
  type PutOptions,
} from "./bucket.ts";
import { checkKey, checkPrefix } from "./object-key.ts";
import { checkRange } from "./object-range.ts";

/** Objects are handed out in pieces of this many bytes, as a network would. */
const pieceBytes = 64 * 1024;

/** A bucket that forgets all when the process ends. */
export class MemoryBucket implements Bucket {
  readonly name = "memory:";
  readonly #objects = new Map<string, Buffer>();
  readonly #modifiedAt = new Map<string, number>();
  readonly #clock: Pick<Clock, "now">;

  constructor(clock: Pick<Clock, "now"> = systemClock) {
    this.#clock = clock;
  }

  async head(key: string, signal: AbortSignal): Promise<ObjectInfo> {
    signal.throwIfAborted();
    return infoOf(key, this.#get(key));
  }

  async *read(key: string, range: ByteRange | undefined, signal: AbortSignal): AsyncIterable<Uint8Array> {
    signal.throwIfAborted();
    const object = this.#get(key);
    const { offset, length } = range ?? { offset: 0, length: object.length };
    checkRange({ offset, length }, object.length, key);
    for (let at = offset; at < offset + length; at += pieceBytes) {
      signal.throwIfAborted();
      yield Uint8Array.from(object.subarray(at, Math.min(at + pieceBytes, offset + length)));
    }
  }

  async put(key: string, body: Uint8Array | PutFile, options: PutOptions, signal: AbortSignal) {
    checkKey(key);
    signal.throwIfAborted();
    const bytes = body instanceof Uint8Array ? Buffer.from(body) : await readFile(body.path, { signal });
    if (!(body instanceof Uint8Array) && bytes.length !== body.bytes)
      throw new Failure("corrupt", `the file to be put is not ${body.bytes} bytes long`);
    if (options.ifNoneMatch === "*" && this.#objects.has(key)) {
      throw new Failure("conflict", `${key} exists already`);
    }
    this.#objects.set(key, bytes);
    this.#modifiedAt.set(key, this.#clock.now());
    return infoOf(key, bytes);
  }

  async list(prefix: string, options: ListOptions, signal: AbortSignal): Promise<ObjectPage> {
    checkPrefix(prefix);
    signal.throwIfAborted();
    const limit = Math.min(options.limit ?? listLimitMax, listLimitMax);
    assert.ok(limit >= 1, "a page has room for an object");
    const { after } = options;
    const keys = [...this.#objects.keys()].filter(
      (key) => key.startsWith(prefix) && (after === undefined || key > after),
    );
    const page = keys.sort().slice(0, limit);
    const objects = page.map((key) => ({
      ...infoOf(key, this.#get(key)),
      modifiedAt: this.#modifiedAt.get(key) ?? 0,
    }));
    const next = page.at(-1);
    return keys.length > limit && next !== undefined ? { objects, next } : { objects };
  }

  async delete(key: string, signal: AbortSignal): Promise<void> {
    checkKey(key);
    signal.throwIfAborted();
    this.#objects.delete(key);
  }

  async close(): Promise<void> {
    this.#objects.clear();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #get(key: string): Buffer {
    checkKey(key);
    const object = this.#objects.get(key);
    if (object === undefined) throw new Failure("not_found", `the bucket holds no ${key}`);
    return object;
  }
}

function infoOf(key: string, object: Buffer): ObjectInfo {
  return { key, bytes: object.length, etag: createHash("sha256").update(object).digest("hex") };
}
