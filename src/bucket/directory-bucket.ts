import { constants } from "node:fs";
import { copyFile, link, mkdir, open, readdir, rename, rm, stat, unlink } from "node:fs/promises";
import path from "node:path";
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

/** Bytes asked of the file system at once. */
const pieceBytes = 256 * 1024;
/** Uploads under way lie here; what a crash leaves is removed by the next bucket that opens the directory. */
const uploadsName = ".uploads";

/**
 * A directory as object storage: a key is a path below it.
 * An upload is a temporary file that is synced and then given its name, by `rename`, or by `link` when the
 * object must be new: both are atomic, and `link` fails when the name is taken.
 */
export class DirectoryBucket implements Bucket {
  readonly name: string;
  readonly #root: string;
  #uploads = 0;

  constructor(root: string) {
    this.#root = path.resolve(root);
    this.name = `file://${this.#root}`;
  }

  async head(key: string, signal: AbortSignal): Promise<ObjectInfo> {
    signal.throwIfAborted();
    const found = await stat(this.#pathOf(key)).catch((error: unknown) => fail(error, key));
    if (!found.isFile()) throw new Failure("not_found", `the bucket holds no ${key}`);
    return infoOf(key, found);
  }

  async *read(key: string, range: ByteRange | undefined, signal: AbortSignal): AsyncIterable<Uint8Array> {
    signal.throwIfAborted();
    const file = await open(this.#pathOf(key), "r").catch((error: unknown) => fail(error, key));
    try {
      const { offset, length } = range ?? { offset: 0, length: (await file.stat()).size };
      for (let done = 0; done < length; ) {
        signal.throwIfAborted();
        const piece = Buffer.allocUnsafe(Math.min(pieceBytes, length - done));
        const { bytesRead } = await file
          .read(piece, 0, piece.length, offset + done)
          .catch((error: unknown) => fail(error, key));
        if (bytesRead === 0) {
          throw new Failure("corrupt", `${key} ends at ${offset + done}, before ${offset + length}`);
        }
        done += bytesRead;
        yield piece.subarray(0, bytesRead);
      }
    } finally {
      await file.close();
    }
  }

  async put(key: string, body: Uint8Array | PutFile, options: PutOptions, signal: AbortSignal) {
    const target = this.#pathOf(key);
    const uploads = path.join(this.#root, uploadsName);
    const temporary = path.join(uploads, `${process.pid}-${Date.now()}-${this.#uploads++}`);
    try {
      await mkdir(uploads, { recursive: true, mode: 0o700 });
      await mkdir(path.dirname(target), { recursive: true, mode: 0o700 });
      await this.#upload(temporary, body, signal);
      if (options.ifNoneMatch === "*") await link(temporary, target);
      else await rename(temporary, target);
      await this.#syncAbove(target);
      return infoOf(key, await stat(target));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "EEXIST") {
        throw new Failure("conflict", `${key} exists already`, { cause: error });
      }
      return fail(error, key);
    } finally {
      await rm(temporary, { force: true });
    }
  }

  async list(prefix: string, options: ListOptions, signal: AbortSignal): Promise<ObjectPage> {
    checkPrefix(prefix);
    signal.throwIfAborted();
    const limit = Math.min(options.limit ?? listLimitMax, listLimitMax);
    const { after = "" } = options;
    // Only the folders that the prefix names whole can hold such keys.
    const folder = prefix.slice(0, prefix.lastIndexOf("/") + 1);
    const names = await readdir(path.join(this.#root, folder), {
      recursive: true,
      withFileTypes: true,
    }).catch((error: unknown) => {
      if (Failure.from(error).code === "not_found") return [];
      throw Failure.from(error, `${this.name} could not be listed`);
    });
    const keys = names
      .filter((entry) => entry.isFile())
      .map((entry) => path.relative(this.#root, path.join(entry.parentPath, entry.name)))
      .filter((key) => key.startsWith(prefix) && key > after && !key.startsWith(`${uploadsName}/`))
      .sort();
    const objects: ObjectInfo[] = [];
    for (const key of keys.slice(0, limit)) {
      const info = await this.head(key, signal).catch((error: unknown) => {
        if (Failure.is(error, "not_found")) return undefined; // deleted since it was listed
        throw error;
      });
      if (info !== undefined) objects.push(info);
    }
    const next = keys[limit - 1];
    return keys.length > limit && next !== undefined ? { objects, next } : { objects };
  }

  async delete(key: string, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const target = this.#pathOf(key);
    await unlink(target).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "ENOENT" && error.code !== "ENOTDIR") fail(error, key);
    });
  }

  async close(): Promise<void> {}

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #pathOf(key: string): string {
    checkKey(key);
    if (key.startsWith(`${uploadsName}/`))
      throw new Failure("invalid", `'${uploadsName}' is not for objects`);
    return path.join(this.#root, key);
  }

  async #upload(temporary: string, body: Uint8Array | PutFile, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (!(body instanceof Uint8Array)) await copyFile(body.path, temporary, constants.COPYFILE_FICLONE);
    await using file = await open(temporary, body instanceof Uint8Array ? "wx" : "r+", 0o600);
    if (body instanceof Uint8Array) await file.writeFile(body);
    const { size } = await file.stat();
    const expected = body instanceof Uint8Array ? body.length : body.bytes;
    if (size !== expected) throw new Failure("corrupt", `${size} bytes were there to put, not ${expected}`);
    await file.sync();
  }

  /** Makes a new name durable: every folder from the object up to the root is synced. */
  async #syncAbove(target: string): Promise<void> {
    for (let folder = path.dirname(target); ; folder = path.dirname(folder)) {
      await using handle = await open(folder, "r");
      await handle.sync();
      if (folder === this.#root) return;
    }
  }
}

function infoOf(key: string, stats: { size: number; mtimeMs: number; ino: number }): ObjectInfo {
  return { key, bytes: stats.size, etag: `${stats.ino}-${stats.mtimeMs}-${stats.size}` };
}

function fail(error: unknown, key: string): never {
  const { code } = Failure.from(error);
  if (code === "not_found" || (error as NodeJS.ErrnoException).code === "ENOTDIR") {
    throw new Failure("not_found", `the bucket holds no ${key}`, { cause: error });
  }
  throw Failure.from(error, `${key} could not be reached`);
}
