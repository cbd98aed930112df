import { chmod, copyFile, link, mkdir, open, readdir, rename, rm, stat, statfs } from "node:fs/promises";
import { FileLock } from "../base/file-lock.ts";
import type { DataRange } from "../base/sparse-file.ts";
import { RealFile, flagsOf, type OpenAs, syncedDirectory } from "./real-file.ts";

/**
 * The file system under the shelf: all that the cache asks of it. It is a dependency, so that tests can make it fail,
 * be slow, run full, or lose at a crash what was not synced. Errors are those of the system, with its codes.
 */
export interface Disk {
  /** Makes a directory, and those above it. */
  makeDirectory(path: string): Promise<void>;
  /** Names of what lies in a directory; none when it is not there. */
  list(directory: string): Promise<string[]>;
  /** Bytes of a file; undefined when it is not there. */
  size(path: string): Promise<number | undefined>;
  open(path: string, as: OpenAs, mode?: number): Promise<DiskFile>;
  /** Nobody may write this file any more. */
  protect(path: string): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  /** Gives a file a second name, or makes a copy where that is on another disk. */
  link(from: string, to: string): Promise<void>;
  /** Removes a file, or a directory with all that is in it; what is not there is no error. */
  remove(path: string): Promise<void>;
  /** What was made, renamed or removed in a directory survives a crash from here on. */
  syncDirectory(path: string): Promise<void>;
  /** Bytes that may still be written to the disk of a directory. */
  freeBytes(directory: string): Promise<number>;
  /** An exclusive lock that ends with this process. Throws `conflict`, naming the holder. */
  lock(path: string, holder: string): Disposable;
}

/** An open file. Offsets and lengths are in bytes. */
export interface DiskFile {
  /** For a thread that reads the file by itself. */
  readonly descriptor: number;
  /** Reads on the calling thread, without a promise; returns how many bytes, 0 at the end of the file. */
  readNow(into: Uint8Array, offset: number): number;
  read(into: Uint8Array, offset: number): Promise<number>;
  /** Writes all of `bytes`. */
  write(bytes: Uint8Array, offset: number): Promise<void>;
  size(): Promise<number>;
  resize(bytes: number): Promise<void>;
  /** What was written survives a crash from here on; when this fails, the system may have dropped it. */
  sync(): Promise<void>;
  /** Gives the space of a stretch back; it reads as zeros from now on. */
  punch(offset: number, length: number): void;
  /** Where the first `bytes` bytes of the file hold data, in order; the rest are holes. */
  dataRanges(bytes: number): DataRange[];
  close(): Promise<void>;
}

/** The machine's own disk. */
export const realDisk: Disk = {
  makeDirectory: async (path) => void (await mkdir(path, { recursive: true, mode: 0o700 })),
  list: (directory) => unlessMissing(readdir(directory), []),
  size: async (path) => (await unlessMissing(stat(path), undefined))?.size,
  open: async (path, as, mode = 0o600) => new RealFile(await open(path, flagsOf(as), mode)),
  protect: (path) => chmod(path, 0o444),
  rename,
  link: (from, to) =>
    link(from, to).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "EXDEV") throw error;
      return copyFile(from, to);
    }),
  remove: (path) => rm(path, { recursive: true, force: true }),
  syncDirectory: syncedDirectory,
  freeBytes: async (directory) => {
    const { bavail, bsize } = await statfs(directory);
    return bavail * bsize;
  },
  lock: (path, holder) => FileLock.take(path, holder),
};

async function unlessMissing<T, U>(found: Promise<T>, otherwise: U): Promise<T | U> {
  return found.catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return otherwise;
    throw error;
  });
}
