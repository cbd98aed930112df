import { Failure } from "../../base/failure.ts";
import type { ByteRange } from "../bucket.ts";
import type { Header } from "../http/http-message.ts";
import type { HttpResponse } from "../http/http-response.ts";
import { checkKey } from "../object-key.ts";
import { checkRange } from "../object-range.ts";
import { lookAt } from "./look-at.ts";
import type { Retries } from "./retries.ts";
import type { StoreClient } from "./store-client.ts";

/** After so many bytes without a failure the attempts are counted anew. */
const goodPartBytes = 4 * 1024 * 1024;

/** What is still to be read of an object. */
interface Reading {
  next: number;
  /** Where to stop; undefined until the length of the object is known. */
  end: number | undefined;
  etag: string | undefined;
}

/**
 * The bytes of an object, or of a range of it. What breaks off is taken up where it broke, as long as the object is
 * the same. It is always a range that is asked for: its answer says which bytes these are, and a page that some proxy
 * serves with status 200 is not taken for them.
 */
export async function* readObject(
  client: StoreClient,
  retries: Retries,
  key: string,
  range: ByteRange | undefined,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  checkKey(key);
  signal.throwIfAborted();
  if (range?.length === 0) {
    // There is no way to ask for a range without bytes.
    const { bytes } = await retries.run(() => lookAt(client, key, signal), signal);
    return checkRange(range, bytes, key);
  }
  const begin = range?.offset ?? 0;
  const reading: Reading = {
    next: begin,
    end: range === undefined ? undefined : begin + range.length,
    etag: undefined,
  };
  const tries = retries.begin();
  while (reading.end === undefined || reading.next < reading.end) {
    let good = 0;
    try {
      using response = await openPart(client, key, reading, signal);
      if (response === undefined) return;
      for (let piece = await response.next(); piece !== undefined; piece = await response.next()) {
        signal.throwIfAborted();
        good += piece.length;
        reading.next += piece.length;
        if (reading.next > (reading.end ?? 0))
          throw new Failure("corrupt", `more came of ${key} than it has`);
        yield piece;
      }
      if (reading.next !== reading.end) throw new Failure("corrupt", `${key} ended too early`);
      tries.succeeded();
    } catch (error) {
      if (good >= goodPartBytes) tries.succeeded();
      await tries.failed(error, signal);
    }
  }
}

/** The answer with the rest of the range; undefined for an object without bytes of which the whole is read. */
async function openPart(
  client: StoreClient,
  key: string,
  reading: Reading,
  signal: AbortSignal,
): Promise<HttpResponse | undefined> {
  const { end, etag, next } = reading;
  const headers: Header[] = [["range", `bytes=${next}-${end === undefined ? "" : end - 1}`]];
  if (etag !== undefined) headers.push(["if-match", etag]);
  const what = `read ${key}`;
  const operation = { method: "GET", what, key, headers, accepts: [412, 416] } as const;
  const response = await client.send(operation, signal);
  try {
    if (response.status === 412) throw new Failure("corrupt", `${key} was replaced while it was read`);
    if (response.status === 416) {
      await endsBefore(client, key, reading, signal);
      response[Symbol.dispose]();
      return undefined;
    }
    takeHead(response, key, reading);
    return response;
  } catch (error) {
    response[Symbol.dispose]();
    throw error;
  }
}

/** There are no bytes from there on: fine for an object without any, of which the whole is read. */
async function endsBefore(client: StoreClient, key: string, reading: Reading, signal: AbortSignal) {
  using response = await client.send({ method: "HEAD", what: `look at ${key}`, key }, signal);
  const bytes = Number(response.headers.get("content-length"));
  if (reading.end !== undefined) throw beyond(key, bytes, reading.end);
  if (bytes !== 0) throw wrongRange(key);
}

/** Checks that the answer holds what was asked for, and learns from it how long the object is. */
function takeHead({ headers, status }: HttpResponse, key: string, reading: Reading): void {
  if (status !== 206) throw wrongRange(key);
  const range = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15})$/.exec(headers.get("content-range") ?? "");
  const [first, last, total] = (range ?? []).slice(1).map(Number);
  if (first !== reading.next || last === undefined || total === undefined) throw wrongRange(key);
  if (reading.end !== undefined && total < reading.end) throw beyond(key, total, reading.end);
  reading.end ??= total;
  const length = headers.get("content-length");
  if (last !== reading.end - 1 || (length !== undefined && Number(length) !== reading.end - first))
    throw wrongRange(key);
  reading.etag ??= headers.get("etag");
}

function wrongRange(key: string): Failure {
  return new Failure("unavailable", `other bytes came than those of ${key} that were asked for`);
}

/** Nothing that another try would mend: the object is what it is. */
function beyond(key: string, bytes: number, end: number): Failure {
  return new Failure("corrupt", `${key} ends at ${bytes}, before ${end}`);
}
