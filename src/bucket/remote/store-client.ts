import { Failure } from "../../base/failure.ts";
import type { HttpClient } from "../http/http-client.ts";
import type { Header } from "../http/http-message.ts";
import type { HttpResponse } from "../http/http-response.ts";
import type { BucketLocation } from "./bucket-location.ts";
import type { Dialect } from "./dialect.ts";
import { failureOf, isExpired, type Refusal } from "./refusal.ts";
import { encodeQuery } from "./sign-v4.ts";
import type { Slice } from "./upload-body.ts";
import { isDocument, textOf } from "./xml.ts";

/** One thing to be asked of an object store. */
export interface Operation {
  readonly method: "GET" | "HEAD" | "PUT" | "POST" | "DELETE";
  /** For the sentence of a failure: `read builds/x`. */
  readonly what: string;
  /** Of an object; undefined asks the bucket itself. */
  readonly key?: string;
  readonly query?: readonly (readonly [name: string, value: string])[];
  readonly headers?: readonly Header[];
  readonly body?: Slice;
  /** Statuses besides 2xx that are an answer and no failure. */
  readonly accepts?: readonly number[];
}

export interface StoreClientOptions {
  readonly http: HttpClient;
  /** The value of `host`, as the service expects it. */
  readonly host: string;
  readonly location: BucketLocation;
  readonly dialect: Dialect;
  /** How long to wait for the head of an answer: to what only reads, and to what must be stored first. */
  readonly answerMsMax: { readonly read: number; readonly write: number };
}

/** Longest document that is read: a page of a list is below it. */
const documentBytesMax = 4 * 1024 * 1024;
/** Longest error that is read. */
const errorBytesMax = 64 * 1024;

/** Asks an object store once: says who asks, and tells an answer from a refusal. */
export class StoreClient {
  readonly dialect: Dialect;
  readonly #options: StoreClientOptions;

  constructor(options: StoreClientOptions) {
    this.#options = options;
    this.dialect = options.dialect;
  }

  /** An answer with a status of 2xx, or one that the operation accepts; it must be disposed of. */
  async send(operation: Operation, signal: AbortSignal): Promise<HttpResponse> {
    const response = await this.#request(operation, signal);
    if (this.#isAnswer(response, operation)) return response;
    const refusal = await readRefusal(response);
    if (!isExpired(refusal)) throw this.#failureOf(refusal, operation);
    this.dialect.forget();
    const again = await this.#request(operation, signal);
    if (this.#isAnswer(again, operation)) return again;
    throw this.#failureOf(await readRefusal(again), operation);
  }

  /**
   * An answer that is an XML document of this kind. Some errors come with status 200, because it was sent before the
   * work was done; what is neither is no word of an object store.
   */
  async document(operation: Operation, root: string, signal: AbortSignal): Promise<string> {
    using response = await this.send(operation, signal);
    const text = await response.text(documentBytesMax);
    if (isDocument(text, root)) return text;
    if (!isDocument(text, "Error"))
      throw new Failure("unavailable", `${operation.what}: a page came that is none of an object store`);
    const { headers, status } = response;
    const code = codeOf(text);
    const told = this.#failureOf({ status, headers, code }, operation);
    // The status says nothing here: what is not known by its word may be passing.
    throw told.code === "invalid"
      ? new Failure("unavailable", `${this.dialect.service} could not ${operation.what} (${code})`)
      : told;
  }

  async #request(operation: Operation, signal: AbortSignal): Promise<HttpResponse> {
    const { answerMsMax, dialect, host, http } = this.#options;
    const { body, headers = [], method, query = [] } = operation;
    const path = this.#pathOf(operation.key);
    const bodyDigest = await body?.digest(dialect.digest, signal);
    const unsigned = { method, path, query, headers: [["host", host], ...headers] as Header[], bodyDigest };
    const all = await dialect.authorize(unsigned, signal);
    const target = query.length === 0 ? path : `${path}?${encodeQuery(query)}`;
    const request = { method, target, headers: all, ...(body === undefined ? {} : { body }) };
    const waits = method === "PUT" || method === "POST" ? answerMsMax.write : answerMsMax.read;
    return http.request({ ...request, answerMsMax: waits }, signal);
  }

  #pathOf(key: string | undefined): string {
    const { bucket, pathStyle, prefix } = this.#options.location;
    const object = key === undefined ? "" : `${prefix}${key}`;
    return pathStyle ? `/${bucket}${key === undefined ? "" : "/"}${object}` : `/${object}`;
  }

  #isAnswer({ status }: HttpResponse, { accepts }: Operation): boolean {
    return (status >= 200 && status < 300) || accepts?.includes(status) === true;
  }

  #failureOf(refusal: Refusal, { what }: Operation): Failure {
    const { dialect, location } = this.#options;
    const bucket = `${location.service}://${location.bucket}`;
    return failureOf(refusal, { what, bucket, service: dialect.service, rights: dialect.rights });
  }
}

/** Reads what an error says, if it says something of this kind. */
async function readRefusal(response: HttpResponse): Promise<Refusal> {
  using read = response;
  const { headers, status } = read;
  const text = await read.text(errorBytesMax).catch(() => "");
  return { status, headers, code: codeOf(text) };
}

function codeOf(text: string): string | undefined {
  return isDocument(text, "Error") ? /^\w{1,60}$/.exec(textOf(text, "Code") ?? "")?.[0] : undefined;
}
