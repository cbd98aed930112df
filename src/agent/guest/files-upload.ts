import busboy from "busboy";
import { constants } from "node:fs";
import { chown, type FileHandle, open, stat } from "node:fs/promises";
import type { Http2ServerRequest } from "node:http2";
import { basename, dirname } from "node:path";
import type { Readable } from "node:stream";
import { createGunzip } from "node:zlib";
import { StatusError } from "./answers.ts";
import { makeDirectories } from "./directories.ts";
import type { User } from "./users.ts";

/** Parts of one upload. */
const partsMax = 10_000;

export interface Uploaded {
  readonly path: string;
  readonly name: string;
  readonly type: "file";
}

export interface UploadTarget {
  readonly user: User;
  /** Where the only file goes; undefined: each part's own file name says where. */
  readonly path: string | undefined;
  readonly resolve: (path: string) => string;
}

/** Writes the file or files of a request, each as it comes, and says what was written in that order. */
export async function upload(request: Http2ServerRequest, target: UploadTarget): Promise<Uploaded[]> {
  const type = (request.headers["content-type"] ?? "").toLowerCase();
  const body = unpacked(request);
  if (type.startsWith("multipart/form-data")) return uploadParts(request, body, target);
  if (!type.startsWith("application/octet-stream")) {
    throw new StatusError(400, `an upload is multipart/form-data or application/octet-stream, not '${type}'`);
  }
  if (target.path === undefined)
    throw new StatusError(400, "an upload of bytes needs the query parameter 'path'");
  return [await write(target.resolve(target.path), body, target.user)];
}

function unpacked(request: Http2ServerRequest): Readable {
  const encoding = request.headers["content-encoding"];
  if (encoding === undefined || encoding === "identity") return request;
  if (encoding !== "gzip") throw new StatusError(400, `the content encoding '${encoding}' is not known`);
  const gunzip = createGunzip();
  request.on("error", (error) => gunzip.destroy(error));
  return request.pipe(gunzip);
}

async function uploadParts(
  request: Http2ServerRequest,
  body: Readable,
  target: UploadTarget,
): Promise<Uploaded[]> {
  // A part without a file name is a file too, when the query says where it goes.
  const parser = busboy({
    headers: { ...request.headers },
    preservePath: true,
    defParamCharset: "utf8",
    limits: { parts: partsMax },
    ...({ isPartAFile: (name: string | undefined) => name === "file" } as object),
  });
  const written: Promise<Uploaded>[] = [];
  parser.on("file", (field: string, part: Readable, info: { filename?: string }) => {
    if (field !== "file") return void part.resume();
    const name = target.path ?? info.filename;
    const file =
      name === undefined || name === ""
        ? Promise.reject(new StatusError(400, "a part without a file name needs the query parameter 'path'"))
        : write(target.resolve(name), part, target.user);
    file.catch((error: unknown) => parser.destroy(error as Error));
    written.push(file);
  });
  const end = new Promise<void>((resolve, reject) => {
    parser.on("close", resolve);
    parser.on("error", reject);
    body.on("error", reject);
    request.on("aborted", () => reject(new StatusError(400, "the upload broke off")));
  });
  body.pipe(parser);
  await end.catch((error: unknown) => {
    throw error instanceof StatusError || isErrno(error)
      ? error
      : new StatusError(400, `no multipart body: ${String(error)}`);
  });
  return Promise.all(written);
}

function isErrno(error: unknown): boolean {
  return typeof (error as NodeJS.ErrnoException).code === "string";
}

async function write(path: string, body: Readable, user: User): Promise<Uploaded> {
  try {
    if ((await stat(path).catch(() => undefined))?.isDirectory() === true) {
      throw new StatusError(400, `path is a directory: ${path}`);
    }
    await makeDirectories(dirname(path), user);
    await using file = await open(path, constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC, 0o644);
    await chown(path, user.uid, user.gid);
    for await (const piece of body as AsyncIterable<Buffer>) await writeAll(file, piece);
    return { path, name: basename(path), type: "file" };
  } catch (error) {
    body.resume();
    if ((error as NodeJS.ErrnoException).code === "ENOSPC")
      throw new StatusError(507, "not enough disk space available");
    throw error;
  }
}

async function writeAll(file: FileHandle, bytes: Buffer): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    done += (await file.write(bytes, done, bytes.length - done)).bytesWritten;
  }
}
