import assert from "node:assert/strict";
import { constants, type Stats } from "node:fs";
import { type FileHandle, link, lstat, mkdir, open, rename, rm, rmdir, unlink } from "node:fs/promises";
import path from "node:path";
import { abortable, abortableOrGivenBack, ignore } from "../base/abortable.ts";
import { Failure } from "../base/failure.ts";
import {
  type Bucket,
  type ByteRange,
  type ListOptions,
  listLimitMax,
  type ListedObject,
  type ObjectInfo,
  type ObjectPage,
  type PutFile,
  type PutOptions,
} from "./bucket.ts";
import { directoryFailure } from "./directory-failure.ts";
import { checkKey, checkPrefix } from "./object-key.ts";
import { checkRange } from "./object-range.ts";
import { UploadSpace } from "./upload-space.ts";
import { walkKeys } from "./walk-keys.ts";
import { writeUpload } from "./write-upload.ts";

/** Bytes asked of the file system at once. */
const pieceBytes = 256 * 1024;
/** Uploads under way lie here. */
const uploadsName = ".uploads";
/** How often an object's folder is made anew when a delete of its last neighbour took it away. */
const folderTriesMax = 10;
/** A pipe does not stall whoever opens it, a link leads nowhere: neither is an object. */
const readFlags = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW;

/**
 * A directory as object storage: a key is a path below it.
 * An upload is a temporary file that is synced and then given its name, by `rename`, or by `link` when the
 * object must be new: both are atomic, and `link` fails when the name is taken.
 */
export class DirectoryBucket implements Bucket {
  readonly name: string;
  readonly #root: string;
  readonly #uploads: UploadSpace;

  constructor(root: string) {
    this.#root = path.resolve(root);
    this.name = `file://${this.#root}`;
    this.#uploads = new UploadSpace(path.join(this.#root, uploadsName));
  }

  async head(key: string, signal: AbortSignal): Promise<ObjectInfo> {
    return infoOf(key, await this.#look(key, signal));
  }

  async #look(key: string, signal: AbortSignal): Promise<Stats> {
    signal.throwIfAborted();
    const found = await abortable(lstat(this.#pathOf(key)), signal).catch((error: unknown) => {
      signal.throwIfAborted();
      throw directoryFailure(error, key);
    });
    if (!found.isFile()) throw new Failure("not_found", `the bucket holds no ${key}`);
    return found;
  }

  async *read(key: string, range: ByteRange | undefined, signal: AbortSignal): AsyncIterable<Uint8Array> {
    const file = await this.#open(key, signal);
    try {
      const found = await abortable(file.stat(), signal);
      if (!found.isFile()) throw new Failure("not_found", `the bucket holds no ${key}`);
      const { offset, length } = range ?? { offset: 0, length: found.size };
      checkRange({ offset, length }, found.size, key);
      for (let done = 0; done < length; ) {
        const piece = Buffer.allocUnsafe(Math.min(pieceBytes, length - done));
        const { bytesRead } = await abortable(file.read(piece, 0, piece.length, offset + done), signal);
        if (bytesRead === 0) throw new Failure("corrupt", `${key} became shorter while it was read`);
        done += bytesRead;
        yield piece.subarray(0, bytesRead);
      }
    } catch (error) {
      signal.throwIfAborted();
      throw directoryFailure(error, key);
    } finally {
      // A read that hangs would hold the close up: who has left does not wait for it.
      const closed = file.close();
      if (signal.aborted) void closed.catch(ignore);
      else await closed;
    }
  }

  async put(key: string, body: Uint8Array | PutFile, options: PutOptions, signal: AbortSignal) {
    const target = this.#pathOf(key);
    signal.throwIfAborted();
    let temporary: string | undefined;
    try {
      temporary = await this.#uploads.newPath();
      const written = await writeUpload(temporary, body, signal);
      await this.#giveName(temporary, target, options, signal);
      return infoOf(key, written);
    } catch (error) {
      signal.throwIfAborted();
      throw directoryFailure(error, key);
    } finally {
      if (temporary !== undefined) await rm(temporary, { force: true });
    }
  }

  async list(prefix: string, options: ListOptions, signal: AbortSignal): Promise<ObjectPage> {
    checkPrefix(prefix);
    const limit = Math.min(options.limit ?? listLimitMax, listLimitMax);
    assert.ok(limit >= 1, "a page has room for an object");
    signal.throwIfAborted();
    const objects: ListedObject[] = [];
    const walk = walkKeys(this.#root, { prefix, after: options.after ?? "", except: uploadsName }, signal);
    try {
      for await (const key of walk) {
        const next = objects.at(-1)?.key;
        if (objects.length === limit && next !== undefined) return { objects, next };
        const found = await this.#look(key, signal).catch((error: unknown) => {
          if (Failure.is(error, "not_found")) return undefined; // deleted since it was listed
          throw error;
        });
        if (found !== undefined) objects.push({ ...infoOf(key, found), modifiedAt: found.mtimeMs });
      }
    } catch (error) {
      signal.throwIfAborted();
      throw directoryFailure(error, `${prefix}*`);
    }
    return { objects };
  }

  async delete(key: string, signal: AbortSignal): Promise<void> {
    const target = this.#pathOf(key);
    signal.throwIfAborted();
    try {
      await unlink(target);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === "ENOENT" || code === "ENOTDIR" || code === "EISDIR") return;
      throw directoryFailure(error, key);
    }
    await this.#removeEmptyAbove(target);
  }

  /** Waits for nothing: uploads under way fail. */
  async close(): Promise<void> {
    await this.#uploads.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #pathOf(key: string): string {
    checkKey(key);
    if (key === uploadsName || key.startsWith(`${uploadsName}/`))
      throw new Failure("invalid", `'${uploadsName}' is not for objects`);
    return path.join(this.#root, key);
  }

  async #open(key: string, signal: AbortSignal): Promise<FileHandle> {
    signal.throwIfAborted();
    const opened = open(this.#pathOf(key), readFlags);
    return abortableOrGivenBack(opened, (file) => file.close(), signal).catch((error: unknown) => {
      signal.throwIfAborted();
      throw directoryFailure(error, key);
    });
  }

  async #giveName(
    temporary: string,
    target: string,
    options: PutOptions,
    signal: AbortSignal,
  ): Promise<void> {
    const folder = path.dirname(target);
    for (let tries = 1; ; tries++) {
      try {
        const made = await makeFolder(folder);
        signal.throwIfAborted();
        if (options.ifNoneMatch === "*") await link(temporary, target);
        else await rename(temporary, target);
        return await syncFolders(folder, this.#root, made);
      } catch (error) {
        const gone = (error as NodeJS.ErrnoException).code === "ENOENT";
        if (!gone || tries === folderTriesMax) throw error;
      }
    }
  }

  async #removeEmptyAbove(target: string): Promise<void> {
    for (let folder = path.dirname(target); folder !== this.#root; folder = path.dirname(folder)) {
      try {
        await rmdir(folder);
      } catch {
        return; // not empty, or somebody else did it
      }
    }
  }
}

/** The first folder that had to be made, if any. */
async function makeFolder(folder: string): Promise<string | undefined> {
  try {
    return await mkdir(folder, { recursive: true, mode: 0o700 });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "ENOTDIR" && code !== "EEXIST") throw error;
    throw new Failure("invalid", `no object can lie below ${folder}: an object is in the way`, {
      cause: error,
    });
  }
}

/** Makes a new name durable: every folder from the object's up to the root is synced, and above what was made. */
async function syncFolders(from: string, root: string, made: string | undefined): Promise<void> {
  const top = made === undefined || made.startsWith(`${root}/`) ? root : path.dirname(made);
  for (let folder = from; ; folder = path.dirname(folder)) {
    await syncFolder(folder);
    if (folder === top) return;
  }
}

/** A folder that is gone holds no name that could be lost: its object was deleted meanwhile. */
async function syncFolder(folder: string): Promise<void> {
  try {
    await using handle = await open(folder, "r");
    await handle.sync();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
}

function infoOf(key: string, { size, mtimeMs, ino }: Stats): ObjectInfo {
  return { key, bytes: size, etag: `${ino}-${mtimeMs}-${size}` };
}
