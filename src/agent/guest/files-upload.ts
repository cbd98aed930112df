import { chownSync, constants, fstatSync } from "node:fs";
import { open } from "node:fs/promises";
import type { Http2ServerRequest } from "node:http2";
import { basename, dirname } from "node:path";
import type { Readable } from "node:stream";
import { createGunzip } from "node:zlib";
import { StatusError } from "./answers.ts";
import type { Metadata } from "./attributes.ts";
import { makeDirectories } from "./directories.ts";
import { fileFailure } from "./file-failure.ts";
import { piecesFrom, streamFrom } from "./lane-transfers.ts";
import type { Lane } from "./lanes.ts";
import { readParts } from "./multipart.ts";
import type { User } from "./users.ts";

export interface Uploaded {
  readonly path: string;
  readonly name: string;
  readonly type: "file";
  readonly metadata?: Readonly<Record<string, string>>;
}

export interface UploadTarget {
  readonly user: User;
  /** Where the only file goes; undefined: each part's own file name says where. */
  readonly path: string | undefined;
  readonly resolve: (path: string) => string;
  readonly metadata: Metadata;
  /** What the body comes by, instead of the request's own. */
  readonly lane: Lane | undefined;
}

/** Without O_NONBLOCK, opening a pipe that nobody reads would take a thread of Node's pool for ever. */
const openFlags = constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_NONBLOCK;

/** Writes the file or files of a request, each as it comes, and says what was written in that order. */
export async function upload(request: Http2ServerRequest, target: UploadTarget): Promise<Uploaded[]> {
  const type = request.headers["content-type"] ?? "";
  const pairs = pairsOf(request);
  const body = bodyOf(request, target.lane);
  if (/^multipart\/form-data\b/i.test(type)) {
    const destination = (name: string | undefined) => {
      const path = target.path ?? name;
      if (path === undefined || path === "") {
        throw new StatusError(400, "a part without a file name needs the query parameter 'path'");
      }
      return target.resolve(path);
    };
    return await readParts(
      body,
      type,
      async (name, part) => await write(destination(name), part, target, pairs),
    );
  }
  if (!/^application\/octet-stream\b/i.test(type)) {
    throw new StatusError(400, `an upload is multipart/form-data or application/octet-stream, not '${type}'`);
  }
  if (target.path === undefined) {
    throw new StatusError(400, "an upload of bytes needs the query parameter 'path'");
  }
  return [await write(target.resolve(target.path), body, target, pairs)];
}

/** The bytes that a client has sent. A piece holds good until the next is asked for. */
function bodyOf(request: Http2ServerRequest, lane: Lane | undefined): AsyncIterable<Buffer> {
  const encoding = request.headers["content-encoding"] ?? "identity";
  if (encoding === "identity") return lane === undefined ? unharmed(request) : piecesFrom(lane, request);
  if (encoding !== "gzip") throw new StatusError(415, `the content encoding '${encoding}' is not known`);
  const packed = lane === undefined ? request : streamFrom(lane, request);
  const gunzip = createGunzip();
  // Not by `pipeline`: it would destroy the request, and with it the way for an answer.
  request.on("aborted", () => gunzip.destroy(new StatusError(400, "the upload broke off")));
  packed.on("error", (error) => gunzip.destroy(error));
  gunzip.on("error", () => packed.unpipe(gunzip));
  return unharmed(packed.pipe(gunzip));
}

/** What is left of a body when reading it fails must not take the request, and the way for an answer, with it. */
function unharmed(body: Readable): AsyncIterable<Buffer> {
  return body.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>;
}

/** `X-Metadata-<key>: <value>`, keys in lower case. */
function pairsOf({ headers }: Http2ServerRequest): ReadonlyMap<string, string> {
  const pairs = new Map<string, string>();
  for (const [name, value] of Object.entries(headers)) {
    if (name.startsWith("x-metadata-")) pairs.set(name.slice("x-metadata-".length), String(value));
  }
  return pairs;
}

async function write(
  path: string,
  body: AsyncIterable<Buffer>,
  { user, metadata }: UploadTarget,
  pairs: ReadonlyMap<string, string>,
): Promise<Uploaded> {
  try {
    makeDirectories(dirname(path), user);
    await using file = await open(path, openFlags, 0o644);
    if (fstatSync(file.fd).uid !== user.uid) chownSync(path, user.uid, user.gid);
    for await (const piece of body) {
      for (let done = 0; done < piece.length; ) {
        done += (await file.write(piece, done, piece.length - done)).bytesWritten;
      }
    }
    metadata.replace(path, pairs);
  } catch (error) {
    throw error instanceof StatusError || isZlib(error) ? wordsFor(error) : fileFailure(error, path);
  }
  const kept = pairs.size === 0 ? {} : { metadata: Object.fromEntries(pairs) };
  return { path, name: basename(path), type: "file", ...kept };
}

function isZlib(error: unknown): error is Error {
  return String((error as NodeJS.ErrnoException).code).startsWith("Z_");
}

function wordsFor(error: Error): StatusError {
  return error instanceof StatusError ? error : new StatusError(400, `the body is no gzip: ${error.message}`);
}
