import { ignore } from "../../base/abortable.ts";
import { Failure } from "../../base/failure.ts";
import type { ObjectInfo } from "../bucket.ts";
import type { Header } from "../http/http-message.ts";
import { lookAt } from "./look-at.ts";
import type { PutObject } from "./put-object.ts";
import type { Retries } from "./retries.ts";
import type { StoreClient } from "./store-client.ts";
import { type StoredPart, storedParts } from "./stored-parts.ts";
import { openBody, type Slice } from "./upload-body.ts";
import { UploadNote } from "./upload-note.ts";
import { textOf } from "./xml.ts";

export interface MultipartOptions extends PutObject {
  readonly client: StoreClient;
  readonly retries: Retries;
  readonly mark: string;
}

interface Begun {
  readonly upload: string;
  /** Parts that were put before, by their numbers from 1. */
  readonly stored: ReadonlyMap<number, StoredPart>;
}

/** Parts under way at once, of one object. */
const partsAtOnce = 4;
/** Most parts of one object: S3's and Google's limit. */
const partsMax = 10_000;

/**
 * Puts a large object in parts. What failed is aborted, so that no parts are left that cost money and are seen by
 * nobody. An upload that may be resumed is noted: what a former run has put of it is not put again, if it is right.
 */
export class Multipart {
  readonly #options: MultipartOptions;
  readonly #partBytes: number;
  readonly #count: number;
  readonly #note: UploadNote | undefined;
  #mark: string;

  constructor(options: MultipartOptions) {
    this.#options = options;
    const { bytes } = options.body;
    this.#partBytes = Math.max(options.partBytes, Math.ceil(bytes / partsMax));
    this.#count = Math.ceil(bytes / this.#partBytes);
    this.#note = options.resume && new UploadNote(options.resume.noteAt);
    this.#mark = options.mark;
  }

  async put(signal: AbortSignal): Promise<ObjectInfo> {
    const { client, key, retries } = this.#options;
    await this.#refuseIfThere(signal);
    const { upload, stored: former } = (await this.#found(signal)) ?? (await this.#create(signal));
    try {
      const etags = await this.#putParts(upload, former, signal);
      await this.#refuseIfThere(signal);
      await this.#complete(upload, etags, signal);
    } catch (error) {
      if (this.#options.resume?.leaving.aborted !== true) await this.#abort(upload, signal.aborted);
      throw error;
    }
    await this.#note?.remove().catch(ignore);
    const stored = await retries.run(() => lookAt(client, key, signal), signal);
    if (stored.bytes !== this.#options.body.bytes && stored.mark === this.#mark)
      throw new Failure("corrupt", `${key} was stored with ${stored.bytes} bytes`);
    return { key, bytes: stored.bytes, etag: stored.etag };
  }

  /**
   * A condition on the completion is not known to every server: what is there already is found before.
   * Two who put the same key at the same moment are told apart only by a server that knows it.
   */
  async #refuseIfThere(signal: AbortSignal): Promise<void> {
    const { client, key, onlyIfAbsent, retries } = this.#options;
    if (!onlyIfAbsent) return;
    try {
      await retries.run(() => lookAt(client, key, signal), signal);
    } catch (error) {
      if (Failure.is(error, "not_found")) return;
      throw error;
    }
    throw new Failure("conflict", `${key} exists already`);
  }

  /** What a former run has begun of the very same; undefined when there is nothing to go on with. */
  async #found(signal: AbortSignal): Promise<Begun | undefined> {
    const { body, client, key, retries } = this.#options;
    const note = await this.#note?.read();
    if (note === undefined) return undefined;
    const isSame = note.key === key && note.bytes === body.bytes && note.partBytes === this.#partBytes;
    const stored = isSame
      ? await storedParts(client, retries, note, signal).catch(unlessUnavailable)
      : undefined;
    if (stored === undefined || stored.size === 0) {
      if (note.key === key) await this.#abort(note.upload, true);
      return undefined;
    }
    this.#mark = note.mark;
    return { upload: note.upload, stored };
  }

  async #create(signal: AbortSignal): Promise<Begun> {
    const { body, client, key, retries } = this.#options;
    const headers: Header[] = [[client.dialect.markHeader, this.#mark]];
    const operation = { method: "POST", what: `begin to put ${key}`, key, headers } as const;
    const query = [["uploads", ""]] as const;
    const root = "InitiateMultipartUploadResult";
    const text = await retries.run(() => client.document({ ...operation, query }, root, signal), signal);
    const upload = textOf(text, "UploadId");
    if (upload === undefined || upload === "")
      throw new Failure("unavailable", `begin to put ${key}: the answer names no upload`);
    const begun = { key, bytes: body.bytes, partBytes: this.#partBytes, mark: this.#mark, upload };
    await this.#note?.write(begun).catch(ignore); // then it cannot be resumed
    return { upload, stored: new Map() };
  }

  /** The etags of all parts. Ends when every part that was begun has ended. */
  async #putParts(upload: string, stored: Begun["stored"], signal: AbortSignal): Promise<string[]> {
    const etags: string[] = [];
    const failed = new AbortController();
    const either = AbortSignal.any([signal, failed.signal]);
    let next = 0;
    const work = async () => {
      for (let part = next++; part < this.#count; part = next++) {
        either.throwIfAborted();
        etags[part] =
          (await this.#stillRight(stored.get(part + 1), part, either)) ??
          (await this.#putPart(upload, part, either));
      }
    };
    const workers = Array.from({ length: Math.min(partsAtOnce, this.#count) }, () =>
      work().catch((error: unknown) => {
        failed.abort(error);
        throw error;
      }),
    );
    const outcomes = await Promise.allSettled(workers);
    signal.throwIfAborted();
    if (failed.signal.aborted) throw failed.signal.reason;
    if (outcomes.some(({ status }) => status === "rejected"))
      throw new Error("a part failed without a reason");
    return etags;
  }

  /**
   * The etag of a part that was put before, if that is the MD5 of the very bytes. Stores that encrypt with keys of
   * their clients have other etags: there all is put again.
   */
  async #stillRight(
    stored: StoredPart | undefined,
    part: number,
    signal: AbortSignal,
  ): Promise<string | undefined> {
    const slice = this.#slice(part);
    if (stored?.bytes !== slice.bytes) return undefined;
    return stored.etag === `"${await slice.digest("md5", signal)}"` ? stored.etag : undefined;
  }

  #slice(part: number): Slice {
    const { body } = this.#options;
    const offset = part * this.#partBytes;
    return body.slice(offset, Math.min(this.#partBytes, body.bytes - offset));
  }

  #putPart(upload: string, part: number, signal: AbortSignal): Promise<string> {
    const { client, key, retries } = this.#options;
    const slice = this.#slice(part);
    const query = [
      ["partNumber", String(part + 1)],
      ["uploadId", upload],
    ] as const;
    const what = `put part ${part + 1} of ${key}`;
    return retries.run(async () => {
      using response = await client.send({ method: "PUT", what, key, query, body: slice }, signal);
      const etag = response.headers.get("etag");
      if (etag === undefined) throw new Failure("unavailable", `${what}: the answer has no etag`);
      await response.text(0).catch(ignore);
      return etag;
    }, signal);
  }

  async #complete(upload: string, etags: readonly string[], signal: AbortSignal): Promise<void> {
    const { client, key, onlyIfAbsent, retries } = this.#options;
    const parts = etags.map(
      (etag, i) => `<Part><PartNumber>${i + 1}</PartNumber><ETag>${escapeXml(etag)}</ETag></Part>`,
    );
    const xml = `<CompleteMultipartUpload>${parts.join("")}</CompleteMultipartUpload>`;
    await using body = await openBody(Buffer.from(xml));
    const what = `finish putting ${key}`;
    // Google's service takes no condition here; S3's does.
    const conditional = onlyIfAbsent && client.dialect.ifAbsent[0] === "if-none-match";
    const headers = conditional ? [client.dialect.ifAbsent] : [];
    const query = [["uploadId", upload]] as const;
    const operation = { method: "POST", what, key, headers, query, body: body.slice(0, body.bytes) } as const;
    await retries.run(async () => {
      try {
        await client.document(operation, "CompleteMultipartUploadResult", signal);
      } catch (error) {
        const mayBeDone = Failure.is(error, "not_found") || Failure.is(error, "conflict");
        if (!mayBeDone || !(await this.#isOurs(signal))) throw error;
      }
    }, signal);
  }

  /** A completion whose answer got lost has ended the upload: then the object bears our mark. */
  async #isOurs(signal: AbortSignal): Promise<boolean> {
    const { client, key } = this.#options;
    const stored = await lookAt(client, key, signal).catch(() => undefined);
    return stored?.mark === this.#mark;
  }

  /** Is tried even when the caller has left, but then only once: somebody may be waiting for us to go. */
  async #abort(upload: string, once: boolean): Promise<void> {
    const { client, key, retries } = this.#options;
    const query = [["uploadId", upload]] as const;
    const what = `give up putting ${key}`;
    const operation = { method: "DELETE", what, key, query, accepts: [404] } as const;
    const { signal } = new AbortController();
    const attempt = async () => (await client.send(operation, signal))[Symbol.dispose]();
    // What could not be given up stays noted: then the next try goes on with it.
    await (once ? attempt() : retries.run(attempt, signal)).then(() => this.#note?.remove(), ignore);
  }
}

/** What is no more, or may not be looked at, is begun anew. */
function unlessUnavailable(error: unknown): undefined {
  const { code } = Failure.from(error);
  if (code !== "not_found" && code !== "denied" && code !== "invalid") throw error;
}

function escapeXml(text: string): string {
  return text.replace(/[&<>]/g, (character) => `&#${character.charCodeAt(0)};`);
}
