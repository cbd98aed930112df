import { createHash, hash } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { systemClock } from "../../base/clock.ts";
import { closeAtOnce, listenLocally, urlOf } from "./local-server.ts";

export interface FakeStoreOptions {
  readonly speaks: "s3" | "gs";
  readonly bucket: string;
  /** The id of the only access key, or the only token. */
  readonly credential: string;
  /** Puts go through whatever their condition says. */
  readonly ignoresConditions?: boolean;
}

interface StoredObject {
  readonly bytes: Buffer;
  readonly etag: string;
  /** Milliseconds since the epoch. */
  readonly modifiedAt: number;
  readonly mark: string | undefined;
}

interface Upload {
  readonly key: string;
  readonly mark: string | undefined;
  readonly parts: Map<number, Buffer>;
}

/** Parts that are listed at once: few, so that lists have pages. */
const partsOnPage = 3;

/** An answer; a string is XML. */
type Answer = readonly [status: number, headers: Record<string, string>, body?: Buffer | string];

/**
 * As much of S3 and of Google's XML API as a bucket uses, in memory: ranges, conditions, lists, uploads in parts. It
 * wants the right credential and the right digest of each body; signatures are left to real servers.
 */
export class FakeObjectStore {
  readonly objects = new Map<string, StoredObject>();
  readonly uploads = new Map<string, Upload>();
  /** Method and target of each request, in the order they came. */
  readonly asked: string[] = [];
  readonly #options: FakeStoreOptions;
  readonly #server: Server;
  #count = 0;

  private constructor(options: FakeStoreOptions) {
    this.#options = options;
    this.#server = createServer((request, response) => void this.#serve(request, response));
  }

  static async start(options: FakeStoreOptions): Promise<FakeObjectStore> {
    const store = new FakeObjectStore(options);
    await listenLocally(store.#server);
    return store;
  }

  get url(): string {
    return urlOf(this.#server);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await closeAtOnce(this.#server);
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.asked.push(`${request.method} ${request.url}`);
    const body = Buffer.concat(await Array.fromAsync(request as AsyncIterable<Buffer>).catch(() => []));
    const [status, headers, content] = this.#refuse(request, body) ?? this.#answer(request, body);
    const bytes = content === undefined ? undefined : Buffer.from(content);
    const length = bytes?.length ?? headers["content-length"] ?? 0;
    response.writeHead(status, { ...headers, ...(status === 204 ? {} : { "content-length": length }) });
    response.end(request.method === "HEAD" ? undefined : bytes);
  }

  #refuse({ headers, url }: IncomingMessage, body: Buffer): Answer | undefined {
    const { bucket, credential, speaks } = this.#options;
    const claim = speaks === "s3" ? `Credential=${credential}/` : `Bearer ${credential}`;
    if (headers.authorization?.includes(claim) !== true) return refusal(403, "InvalidAccessKeyId");
    const digestIsRight =
      speaks === "s3"
        ? headers["x-amz-content-sha256"] === hash("sha256", body)
        : body.length === 0 || headers["content-md5"] === createHash("md5").update(body).digest("base64");
    if (!digestIsRight) return refusal(400, speaks === "s3" ? "XAmzContentSHA256Mismatch" : "BadDigest");
    return new RegExp(`^/${bucket}([/?]|$)`).test(url ?? "") ? undefined : refusal(404, "NoSuchBucket");
  }

  #answer(request: IncomingMessage, body: Buffer): Answer {
    const { pathname, searchParams: query } = new URL(request.url ?? "", "http://store");
    const key = pathname.split("/").slice(2).join("/");
    const upload = query.get("uploadId");
    if (request.method === "PUT")
      return upload === null ? this.#put(key, body, request) : this.#putPart(upload, query, body);
    if (request.method === "POST")
      return upload === null ? this.#begin(key, request) : this.#complete(upload, body, request);
    if (request.method === "DELETE") {
      if (upload === null) this.objects.delete(key);
      else if (!this.uploads.delete(upload)) return refusal(404, "NoSuchUpload");
      return [204, {}];
    }
    if (upload !== null) return this.#listParts(upload, query);
    return key === "" ? this.#list(query) : this.#get(key, request);
  }

  #get(key: string, { headers, method }: IncomingMessage): Answer {
    const object = this.objects.get(key);
    if (object === undefined) return refusal(404, "NoSuchKey");
    const { bytes, etag, mark } = object;
    const told = { etag, ...(mark === undefined ? {} : { [this.#markHeader]: mark }) };
    if (headers["if-match"] !== undefined && headers["if-match"] !== etag)
      return refusal(412, "PreconditionFailed");
    if (method === "HEAD") return [200, { ...told, "content-length": String(bytes.length) }];
    const [, first, last] = /^bytes=(\d+)-(\d*)$/.exec(headers.range ?? "") ?? [];
    if (first === undefined) return [200, told, bytes];
    const begin = Number(first);
    if (begin >= bytes.length) return refusal(416, "InvalidRange");
    const end = Math.min(last === "" ? bytes.length : Number(last) + 1, bytes.length);
    const range = `bytes ${begin}-${end - 1}/${bytes.length}`;
    return [206, { ...told, "content-range": range }, bytes.subarray(begin, end)];
  }

  #put(key: string, bytes: Buffer, request: IncomingMessage): Answer {
    if (this.#isRefused(key, request)) return refusal(412, "PreconditionFailed");
    return [200, { etag: this.#store(key, bytes, this.#markOf(request)) }];
  }

  #begin(key: string, request: IncomingMessage): Answer {
    const id = `upload-${++this.#count}`;
    this.uploads.set(id, { key, mark: this.#markOf(request), parts: new Map() });
    const root = "InitiateMultipartUploadResult";
    return [200, {}, `<?xml version="1.0"?><${root}><UploadId>${id}</UploadId></${root}>`];
  }

  #putPart(id: string, query: URLSearchParams, bytes: Buffer): Answer {
    const upload = this.uploads.get(id);
    if (upload === undefined) return refusal(404, "NoSuchUpload");
    upload.parts.set(Number(query.get("partNumber")), bytes);
    return [200, { etag: `"${hash("md5", bytes)}"` }];
  }

  #listParts(id: string, query: URLSearchParams): Answer {
    const upload = this.uploads.get(id);
    if (upload === undefined) return refusal(404, "NoSuchUpload");
    const after = Number(query.get("part-number-marker"));
    const numbers = [...upload.parts.keys()].filter((number) => number > after).sort((a, b) => a - b);
    const page = numbers.slice(0, partsOnPage).map((number) => {
      const bytes = upload.parts.get(number) ?? Buffer.alloc(0);
      const etag = `<ETag>&quot;${hash("md5", bytes)}&quot;</ETag>`;
      return `<Part><PartNumber>${number}</PartNumber>${etag}<Size>${bytes.length}</Size></Part>`;
    });
    const more = `<IsTruncated>${numbers.length > partsOnPage}</IsTruncated>`;
    return [200, {}, `<ListPartsResult>${more}${page.join("")}</ListPartsResult>`];
  }

  #complete(id: string, body: Buffer, request: IncomingMessage): Answer {
    const upload = this.uploads.get(id);
    if (upload === undefined) return refusal(404, "NoSuchUpload");
    if (this.#isRefused(upload.key, request)) return refusal(412, "PreconditionFailed");
    const named = Array.from(
      body.toString().matchAll(/<PartNumber>(\d+)<\/PartNumber><ETag>"(\w+)"<\/ETag>/g),
    );
    const parts = named.map(([, number, etag]) => {
      const part = upload.parts.get(Number(number));
      return part !== undefined && hash("md5", part) === etag ? part : undefined;
    });
    if (parts.includes(undefined) || parts.length !== upload.parts.size) return refusal(400, "InvalidPart");
    this.uploads.delete(id);
    const etag = this.#store(upload.key, Buffer.concat(parts as Buffer[]), upload.mark);
    const root = "CompleteMultipartUploadResult";
    return [200, {}, `<${root}><ETag>${etag}</ETag></${root}>`];
  }

  #list(query: URLSearchParams): Answer {
    const [prefix, after] = [query.get("prefix") ?? "", query.get("start-after") ?? ""];
    const keys = [...this.objects.keys()].filter((key) => key.startsWith(prefix) && key > after).sort();
    const page = keys.slice(0, Number(query.get("max-keys") ?? 1000));
    const contents = page.map((key) => {
      const { bytes, etag, modifiedAt } = this.objects.get(key) as StoredObject;
      const when = `<LastModified>${new Date(modifiedAt).toISOString()}</LastModified>`;
      const name = key.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
      return `<Contents><Key>${name}</Key>${when}<Size>${bytes.length}</Size><ETag>${etag}</ETag></Contents>`;
    });
    const more = `<IsTruncated>${keys.length > page.length}</IsTruncated>`;
    const head = `<?xml version="1.0" encoding="UTF-8"?>`;
    return [200, {}, `${head}<ListBucketResult xmlns="x">${more}${contents.join("")}</ListBucketResult>`];
  }

  #store(key: string, bytes: Buffer, mark: string | undefined): string {
    const etag = `"${hash("md5", bytes)}-${++this.#count}"`;
    this.objects.set(key, { bytes, etag, mark, modifiedAt: systemClock.now() });
    return etag;
  }

  #isRefused(key: string, { headers }: IncomingMessage): boolean {
    const { ignoresConditions = false, speaks } = this.#options;
    const conditional =
      speaks === "s3" ? headers["if-none-match"] === "*" : headers["x-goog-if-generation-match"] === "0";
    return conditional && !ignoresConditions && this.objects.has(key);
  }

  get #markHeader(): string {
    return this.#options.speaks === "s3" ? "x-amz-meta-larder-put" : "x-goog-meta-larder-put";
  }

  #markOf({ headers }: IncomingMessage): string | undefined {
    return headers[this.#markHeader] as string | undefined;
  }
}

function refusal(status: number, code: string): Answer {
  return [status, { "content-type": "application/xml" }, `<Error><Code>${code}</Code></Error>`];
}
