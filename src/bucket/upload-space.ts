import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, rm, rmdir } from "node:fs/promises";
import path from "node:path";
import { Failure } from "../base/failure.ts";
import { FileLock } from "../base/file-lock.ts";

/** How often a folder is made anew when a sweep of another process took it for an old one. */
const triesMax = 5;
const lockName = "lock";

/**
 * Where uploads under way lie: a folder of this process's own below `directory`, with a kernel lock in it. Whoever
 * begins to upload removes the folders whose lock is free: what a killed process left.
 */
export class UploadSpace {
  readonly #directory: string;
  #own: Promise<{ readonly folder: string; readonly lock: FileLock | undefined }> | undefined;
  #uploads = 0;

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** A path for one upload. Who asks for it removes or renames the file. */
  async newPath(): Promise<string> {
    this.#own ??= this.#open();
    const { folder } = await this.#own.catch((error: unknown) => {
      this.#own = undefined;
      throw error;
    });
    return path.join(folder, String(this.#uploads++));
  }

  async close(): Promise<void> {
    const own = await this.#own?.catch(() => undefined);
    this.#own = undefined;
    if (own === undefined) return;
    await rm(own.folder, { recursive: true, force: true });
    own.lock?.[Symbol.dispose]();
    await rmdir(this.#directory).catch(() => {}); // others may be uploading
  }

  async #open() {
    for (let tries = 1; ; tries++) {
      await mkdir(this.#directory, { recursive: true, mode: 0o700 });
      const folder = await mkdtemp(path.join(this.#directory, "upload-"));
      const lock = takeLock(folder);
      // Without locks on this file system nobody's sweep can take one either: the folder is safe.
      if (lock === undefined && tries < triesMax) continue;
      await this.#sweep(folder);
      return { folder, lock };
    }
  }

  async #sweep(own: string): Promise<void> {
    for (const name of await readdir(this.#directory)) {
      const folder = path.join(this.#directory, name);
      if (folder === own) continue;
      using lock = takeLock(folder);
      if (lock !== undefined) await rm(folder, { recursive: true, force: true });
    }
  }
}

/** The lock of an upload folder, or undefined when somebody has it or the folder is gone. */
function takeLock(folder: string): FileLock | undefined {
  const file = path.join(folder, lockName);
  try {
    const lock = FileLock.take(file, `process ${process.pid}`);
    if (existsSync(file)) return lock;
    lock[Symbol.dispose](); // removed by a sweep between its making and its locking
    return undefined;
  } catch (error) {
    const { code } = Failure.from(error);
    if (code === "conflict" || code === "not_found") return undefined;
    throw error;
  }
}
